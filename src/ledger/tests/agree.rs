//! Random commands: the ledger agrees with a naive one after each batch, whatever the store, the lag and the restarts.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use tempfile::TempDir;

use super::bench::*;
use super::model::{Draw, Expected, Model};
use crate::ledger::Staged;
use crate::ledger::audit::{OutstandingCursor, Selection, Unreached};
use crate::ledger::entry::{Decoded, Outcome, Statement};
use crate::ledger::store::memory::MemoryStore;
use crate::ledger::store::sled::{SledOptions, SledStore};
use crate::ledger::store::{Direction, Store, StoreError};
use crate::ledger::view::View;
use crate::model::entry::Mark;
use crate::model::id::Index;
use crate::model::policy::{AuditPermit, OfficeNumber};
use crate::model::receipt::Stage;

/// A journal's batches: the mark after each, and its entries.
pub(super) type Journal = Vec<(Mark, Vec<Decoded>)>;

const ALL: [OfficeNumber; 3] = [IACHR, MEXICO, HONDURAS];

/// Draws a journal and holds the ledger to the naive one at each batch.
pub(super) fn drawn_and_agreed(seed: u64, batches: usize) -> (Journal, Dump) {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut bench = Bench::founded_on(&store);
    let mut model = Model::default();
    let mut draw = Draw::seeded(seed);
    let mut journal: Journal = vec![(bench.ledger.mark(), founding())];
    let mut unwritten: Option<Staged> = None;
    for batch in 0..batches {
        let before = bench.ledger.mark();
        let mut entries = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..=draw.below(40) {
            let next = Mark { next_index: Index(before.next_index.0 + entries.len() as u64), ..before };
            let entry = decoded(next, vec![draw.command(&model)]).remove(0);
            expected.push(model.take(&entry));
            entries.push(entry);
        }
        let mark = after(before, entries.len() as u64);
        let door = door_answers(&bench.view, &entries);
        let applied = bench.ledger.decide(mark, &entries).unwrap();
        for (index, passed) in door {
            let outcome = &applied.outcomes[usize::try_from(index.0 - before.next_index.0).unwrap()];
            let refused = matches!(outcome, Outcome::Refused(_));
            assert_eq!(passed, !refused, "seed {seed}, batch {batch}: the door and the decision differ");
        }
        let found: Vec<_> = applied.outcomes.iter().map(Expected::of).collect();
        for ((entry, found), expected) in entries.iter().zip(&found).zip(&expected) {
            assert_eq!(found, expected, "seed {seed}, batch {batch}: {entry:#?}");
        }
        journal.push((mark, entries));
        match &mut unwritten {
            Some(staged) => staged.join(applied.staged).unwrap(),
            None => unwritten = Some(applied.staged),
        }
        assert_owed_is_the_same(&bench, &model, if draw.below(15) == 0 { usize::MAX } else { 12 }, seed);
        if draw.below(4) == 0 {
            bench.writer.write(&unwritten.take().unwrap()).unwrap();
        }
        if batch % 50 == 49 && batch < 150 {
            assert_audit_is_the_same(&bench.view, &model, seed);
        }
        if unwritten.is_none() && draw.below(20) == 0 {
            bench = bench.reopened();
            assert_owed_is_the_same(&bench, &model, usize::MAX, seed);
        }
    }
    if let Some(staged) = unwritten {
        bench.writer.write(&staged).unwrap();
    }
    (journal, dump(store.as_ref()).unwrap())
}

/// What the door says of the receipts that name nothing of their own batch.
fn door_answers(view: &View, entries: &[Decoded]) -> Vec<(Index, bool)> {
    let next = view.decided().next_index;
    let receipts = entries.iter().filter_map(|entry| match &entry.statement {
        Statement::Receipt(receipt) => Some((entry.index, receipt)),
        _ => None,
    });
    // What is to be erased may be said in this batch.
    let receipts = receipts.filter(|(_, it)| it.stage != Stage::Erased);
    let receipts = receipts.filter(|(_, it)| {
        it.messages
            .iter()
            .map(|named| named.index)
            .chain(it.notices.iter().copied())
            .all(|index| index < next)
    });
    let answers = receipts.map(|(index, receipt)| {
        let office = view.policy().number(&receipt.desk.office).unwrap();
        (index, view.check_receipt(office, receipt).unwrap().is_ok())
    });
    answers.collect()
}

fn founding() -> Vec<Decoded> {
    decoded(Mark::default(), vec![(hub(), super::bench::founding())])
}

/// What is outstanding: how much, and the first so many of it.
fn assert_owed_is_the_same(bench: &Bench, model: &Model, most: usize, seed: u64) {
    for office in ALL {
        let owed = model.owed(office);
        let first = most.min(owed.len());
        assert_eq!(bench.first_owed(office, most)[..first], owed[..first], "seed {seed}, office {office:?}");
        let count = bench.view.owed_count(office);
        assert_eq!(count.messages + count.notices, owed.len() as u64, "seed {seed}, office {office:?}");
        assert_eq!(bench.view.backlog(office), model.backlog(office), "seed {seed}, office {office:?}");
    }
}

/// Every listing, whole, page by page, against the naive ledger.
fn assert_audit_is_the_same(view: &View, model: &Model, seed: u64) {
    let permits = [AuditPermit::All, AuditPermit::Own(IACHR), AuditPermit::Own(HONDURAS)];
    for (permit, office) in permits.into_iter().flat_map(|permit| [(permit, None), (permit, Some(MEXICO))]) {
        let selection = Selection { permit, office };
        let about = format!("seed {seed}, {selection:?}");
        assert_eq!(deliveries(view, selection), expected_deliveries(model, selection), "{about}");
        assert_eq!(receipts(view, selection), expected_receipts(model, selection), "{about}");
        for (stage, reaching) in [
            (Unreached::Received, &[Stage::Received, Stage::Read, Stage::Acted, Stage::Erased][..]),
            (Unreached::Read, &[Stage::Read, Stage::Acted, Stage::Erased]),
            (Unreached::Acted, &[Stage::Acted, Stage::Erased]),
        ] {
            let expected = expected_outstanding(model, selection, reaching);
            assert_eq!(outstanding(view, selection, stage), expected, "{about}, {stage:?}");
        }
    }
    for office in ALL {
        let theirs = model.messages.iter().filter(|(_, it)| it.recipients.contains(&office));
        let theirs: Vec<_> = theirs.map(|(index, _)| *index).collect();
        assert_eq!(
            pages(|from| view.replay(office, from, 7).unwrap()).map(|it| it.index).collect::<Vec<_>>(),
            theirs
        );
    }
    for (index, message) in model.messages.iter().step_by(17) {
        let history = view.history(AuditPermit::All, *index).unwrap().unwrap();
        assert_eq!(history.deliveries.len(), message.recipients.len());
        let about = model.receipts.iter().filter(|(_, it)| it.2.contains(index)).map(|(at, _)| *at);
        let found = pages(|from| view.receipts_about(AuditPermit::All, &history.message, from, 3).unwrap());
        assert_eq!(
            found.map(|it| it.index).collect::<Vec<_>>(),
            about.collect::<Vec<_>>(),
            "seed {seed}, {index}"
        );
        let found = view.find(AuditPermit::All, message.id, Some(message.sender)).unwrap();
        assert_eq!(found.iter().map(|it| it.index).collect::<Vec<_>>(), [*index]);
        let known = view.known(message.sender, message.id).unwrap().unwrap();
        assert_eq!((known.index, known.time), (*index, history.message.accepted));
    }
}

fn pages<R>(mut page: impl FnMut(Index) -> crate::ledger::view::Page<R, Index>) -> impl Iterator<Item = R> {
    let mut rows = Vec::new();
    let mut next = Some(Index(0));
    while let Some(from) = next {
        let found = page(from);
        rows.extend(found.rows);
        next = found.next;
    }
    rows.into_iter()
}

/// A delivery: message, office, stages with their receipts.
type Delivery = (Index, OfficeNumber, BTreeSet<(Index, Stage)>);

fn deliveries(view: &View, selection: Selection) -> Vec<Delivery> {
    let rows = pages(|from| view.deliveries(selection, from, 5).unwrap());
    rows.map(|it| (it.message.index, it.office, it.stages.iter().map(|it| (it.receipt, it.stage)).collect()))
        .collect()
}

fn stages(model: &Model, office: OfficeNumber, index: Index) -> BTreeSet<(Index, Stage)> {
    let first = |stage: &Stage| Some((*model.first.get(&(office, index, *stage))?, *stage));
    Stage::ALL.iter().filter_map(first).collect()
}

fn sees(selection: Selection, sender: OfficeNumber, recipient: OfficeNumber) -> bool {
    let permitted = match selection.permit {
        AuditPermit::All => true,
        AuditPermit::Own(own) => own == sender || own == recipient,
    };
    permitted && selection.office.is_none_or(|office| office == recipient)
}

fn expected_deliveries(model: &Model, selection: Selection) -> Vec<Delivery> {
    let all =
        model.messages.iter().flat_map(|(index, it)| it.recipients.iter().map(move |to| (*index, it, *to)));
    let seen = all.filter(|(_, it, to)| sees(selection, it.sender, *to));
    seen.map(|(index, _, to)| (index, to, stages(model, to, index))).collect()
}

fn receipts(view: &View, selection: Selection) -> Vec<(Index, Stage, Vec<Index>)> {
    let rows = pages(|from| view.receipts(selection, from, 5).unwrap());
    rows.map(|it| (it.index, it.stage, it.messages.clone())).collect()
}

fn expected_receipts(model: &Model, selection: Selection) -> Vec<(Index, Stage, Vec<Index>)> {
    let theirs = model.receipts.iter().filter(|(_, it)| selection.office.is_none_or(|office| office == it.0));
    let seen = theirs.filter_map(|(index, (by, stage, messages, _))| {
        let whole = match selection.permit {
            AuditPermit::All => true,
            AuditPermit::Own(own) => own == *by,
        };
        let mut messages = messages.clone();
        messages.retain(|it| whole || selection.permit == AuditPermit::Own(model.messages[it].sender));
        (whole || !messages.is_empty()).then_some((*index, *stage, messages))
    });
    seen.collect()
}

fn outstanding(view: &View, selection: Selection, stage: Unreached) -> Vec<(OfficeNumber, Index)> {
    let mut rows = Vec::new();
    let mut next = Some(OutstandingCursor::default());
    while let Some(from) = next {
        let page = view.outstanding(selection, stage, from, 5).unwrap();
        rows.extend(page.rows.into_iter().map(|it| (it.office, it.message.index)));
        next = page.next;
    }
    rows
}

fn expected_outstanding(
    model: &Model,
    selection: Selection,
    reaching: &[Stage],
) -> Vec<(OfficeNumber, Index)> {
    let lanes = ALL.into_iter().flat_map(|office| [(office, true), (office, false)]);
    let rows = lanes.flat_map(|(office, urgent)| {
        let theirs = model.messages.iter().filter(move |(_, it)| {
            it.urgent == urgent && it.recipients.contains(&office) && sees(selection, it.sender, office)
        });
        theirs.map(move |(index, _)| (office, *index))
    });
    let reached = |(office, index): &(OfficeNumber, Index)| {
        reaching.iter().any(|stage| model.first.contains_key(&(*office, *index, *stage)))
    };
    rows.filter(|row| !reached(row)).collect()
}

/// All rows of a store.
pub(super) type Dump = Vec<(Vec<u8>, Vec<u8>)>;

pub(super) fn dump(store: &dyn Store) -> Result<Dump, StoreError> {
    let mut rows = Vec::new();
    store.scan(&[], &[u8::MAX; 20], Direction::Ascending, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

/// Replays a journal: so many batches a write, opened again after so many.
fn replayed(store: &Arc<dyn Store>, journal: &Journal, joined: usize, restarted: usize) -> Dump {
    let mut bench = open(store);
    let done = usize::try_from(bench.ledger.mark().position.0).unwrap();
    for (number, batches) in journal[done..].chunks(joined).enumerate() {
        let mut staged: Option<Staged> = None;
        for (mark, entries) in batches {
            let applied = bench.ledger.decide(*mark, entries).unwrap();
            match &mut staged {
                Some(staged) => staged.join(applied.staged).unwrap(),
                None => staged = Some(applied.staged),
            }
        }
        bench.writer.write(&staged.unwrap()).unwrap();
        if number % restarted == restarted - 1 {
            bench = bench.reopened();
        }
    }
    dump(store.as_ref()).unwrap()
}

#[test]
fn ledger_agrees_with_a_naive_one_on_random_commands() {
    for seed in 0..4 {
        drawn_and_agreed(seed, 100);
    }
}

#[test]
fn replay_gives_the_same_rows_byte_for_byte() {
    let (journal, first) = drawn_and_agreed(100, 300);
    let entries: usize = journal.iter().map(|(_, entries)| entries.len()).sum();
    assert!(entries > 4096, "several checkpoints: {entries}");
    for (joined, restarted) in [(1, usize::MAX), (1, 1), (3, 2), (50, usize::MAX), (1000, 1)] {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        assert!(
            replayed(&store, &journal, joined, restarted) == first,
            "{joined} a write, {restarted} a start"
        );
    }
    let dir = TempDir::new().unwrap();
    let options = SledOptions { dir: dir.path().into(), boot_id: "boot".into(), cache_bytes: 8 << 20 };
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&options).unwrap().store);
    assert!(replayed(&store, &journal, 2, 40) == first, "in sled");
}
