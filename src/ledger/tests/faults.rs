//! A store that fails, and readers beside the writer.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

use bytes::Bytes;

use super::agree::{Dump, Journal, drawn_and_agreed, dump};
use super::bench::*;
use crate::ledger::audit::{OutstandingCursor, Selection, Unreached};
use crate::ledger::store::memory::MemoryStore;
use crate::ledger::store::{Direction, RowBatch, Store, StoreError, Visit};
use crate::ledger::view::{Lane, Owed, View};
use crate::ledger::{Ledger, LedgerError, Opened, Staged};
use crate::model::entry::Mark;
use crate::model::id::{Index, Position};
use crate::model::policy::AuditPermit;

/// Fails at one call, with or without having done it.
struct Failing {
    inner: Arc<dyn Store>,
    calls_left: AtomicU64,
    done: bool,
    distrusted: AtomicBool,
}

impl Failing {
    /// Fails at that call; at none for 0.
    fn at(inner: &Arc<dyn Store>, call: u64, done: bool) -> Arc<Self> {
        let (calls_left, distrusted) = (AtomicU64::new(call), AtomicBool::new(false));
        Arc::new(Self { inner: Arc::clone(inner), calls_left, done, distrusted })
    }

    fn call<T>(&self, run: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let failed = || StoreError::Io("no space left".into());
        match self.calls_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) {
            Ok(1) if self.done => run().and(Err(failed())),
            Ok(1) => Err(failed()),
            _ => run(),
        }
    }
}

impl Store for Failing {
    fn row(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.call(|| self.inner.row(key))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.call(|| self.inner.scan(from, to, direction, visit))
    }

    fn apply(&self, batch: &RowBatch) -> Result<(), StoreError> {
        self.call(|| self.inner.apply(batch))
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.inner.disk_bytes()
    }

    fn distrust(&self, found: &str) -> Result<(), StoreError> {
        self.distrusted.store(true, Ordering::SeqCst);
        self.inner.distrust(found)
    }

    fn close(&self) -> Result<(), StoreError> {
        self.inner.close()
    }
}

/// Feeds a ledger what it lacks, and after a failure tries to go on all the same; gives the first error.
fn fed(store: Arc<dyn Store>, journal: &Journal) -> Result<(), LedgerError> {
    let Opened::Ready { mut ledger, mut writer, .. } = Ledger::open(store, JOURNAL)? else {
        panic!("another journal or format");
    };
    let done = usize::try_from(ledger.mark().position.0).unwrap();
    let mut first = Ok(());
    for (mark, entries) in &journal[done..] {
        let written =
            ledger.decide(*mark, entries).and_then(|applied| writer.write(&applied.staged).map(drop));
        match &first {
            Ok(()) => first = written,
            Err(_) => assert!(written.is_err(), "an error sticks"),
        }
    }
    first
}

#[test]
fn failure_at_any_call_sticks_and_leaves_whole_batches() {
    let (journal, rows) = drawn_and_agreed(8, 40);
    let mut failures = 0;
    for at in (1..).step_by(3) {
        for done in [false, true] {
            let inner: Arc<dyn Store> = Arc::new(MemoryStore::default());
            let failing = Failing::at(&inner, at, done);
            match fed(Arc::clone(&failing) as Arc<dyn Store>, &journal) {
                Ok(()) => {
                    assert!(
                        failing.calls_left.load(Ordering::SeqCst) > 0,
                        "call {at} failed and nobody noticed"
                    );
                    assert!(failures > 100, "{failures}");
                    return;
                }
                Err(error) => assert_eq!(error, LedgerError::Store(StoreError::Io("no space left".into()))),
            }
            failures += 1;
            assert_eq!(fed(Arc::clone(&inner), &journal), Ok(()), "call {at}");
            assert!(dump(inner.as_ref()).unwrap() == rows, "call {at}, done {done}");
        }
    }
}

#[test]
fn failed_write_is_the_last() {
    let (journal, _) = drawn_and_agreed(9, 3);
    let inner: Arc<dyn Store> = Arc::new(MemoryStore::default());
    assert_eq!(fed(Arc::clone(&inner), &journal[..1].to_vec()), Ok(()));
    let failing = Failing::at(&inner, 0, false);
    let store: Arc<dyn Store> = Arc::clone(&failing) as _;
    let Opened::Ready { mut ledger, mut writer, .. } = Ledger::open(store, JOURNAL).unwrap() else {
        panic!("another journal or format");
    };
    let mut staged = journal[1..].iter().map(|(mark, entries)| ledger.decide(*mark, entries).unwrap().staged);
    let before = dump(inner.as_ref()).unwrap();
    failing.calls_left.store(1, Ordering::SeqCst);
    let first = writer.write(&staged.next().unwrap()).unwrap_err();
    assert_eq!(writer.write(&staged.next().unwrap()), Err(first));
    assert!(dump(inner.as_ref()).unwrap() == before);
}

#[test]
fn batch_that_does_not_follow_is_a_fault() {
    let entry =
        |index| decoded(Mark { next_index: Index(index), ..Mark::default() }, vec![(hub(), summary())]);
    let stands = Bench::founded().ledger.mark();
    let next = stands.next_index.0;
    let right = after(stands, 1);
    for (mark, entries) in [
        (Mark { journal: [8; 16], ..right }, entry(next)),
        (Mark { position: Position(right.position.0 + 1), ..right }, entry(next)),
        (right, entry(next + 1)),
        (right, Vec::new()),
        (after(stands, 2), entry(next)),
    ] {
        let mut bench = Bench::founded();
        let refused = bench.ledger.decide(mark, &entries).err();
        assert!(matches!(refused, Some(LedgerError::OutOfOrder { .. })), "{mark:?}");
        assert!(bench.ledger.decide(right, &entry(next)).is_err(), "an error sticks");
    }
}

fn summary() -> crate::ledger::entry::Statement {
    crate::ledger::entry::Statement::Refusal
}

#[test]
fn rows_are_written_in_the_order_of_deciding_alone() {
    let mut bench = Bench::founded();
    let mut staged: Vec<Staged> = (0..3).map(|_| bench.decide(vec![(hub(), summary())]).1).collect();
    let (third, second, mut first) = (staged.pop().unwrap(), staged.pop().unwrap(), staged.pop().unwrap());
    assert!(matches!(bench.writer.write(&second), Err(LedgerError::OutOfOrder { .. })));
    assert!(matches!(first.join(third), Err(LedgerError::OutOfOrder { .. })));
    first.join(second).unwrap();
    assert_eq!(first.mark().position, Position(3));
}

#[test]
fn other_journal_and_other_format_are_told() {
    let bench = Bench::founded();
    let other = Ledger::open(Arc::clone(&bench.store), [8; 16]).unwrap();
    assert!(matches!(other, Opened::OtherJournal { found: JOURNAL }));
    // The format's number is the first field of the row.
    let row = bench.store.row(b"a").unwrap().unwrap();
    let mut bytes = row.to_vec();
    bytes[1] = 99;
    bench.store.apply(&[(Bytes::from_static(b"a"), Some(bytes.into()))].into()).unwrap();
    let other = Ledger::open(Arc::clone(&bench.store), JOURNAL).unwrap();
    assert!(matches!(other, Opened::OtherFormat { found: 99 }));
}

#[test]
fn readers_beside_the_writer_never_miss_a_row() {
    let (journal, rows) = drawn_and_agreed(10, 100);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let Opened::Ready { mut ledger, mut writer, view } = Ledger::open(Arc::clone(&store), JOURNAL).unwrap()
    else {
        panic!("another journal or format");
    };
    let (ended, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|threads| {
        let reader = |read: fn(&View), counted: u64| {
            let (view, ended, rounds) = (&view, &ended, &rounds);
            move || {
                while !ended.load(Ordering::SeqCst) {
                    read(view);
                    rounds.fetch_add(counted, Ordering::SeqCst);
                }
            }
        };
        let readers = [
            threads.spawn(reader(read_all_that_was_decided, 1)),
            threads.spawn(reader(read_spans_of_what_is_owed, 0)),
        ];
        // Written some batches late: readers find rows staged, being written, and written.
        for batches in journal.chunks(3) {
            let staged: Vec<_> =
                batches.iter().map(|(mark, entries)| ledger.decide(*mark, entries).unwrap().staged).collect();
            for staged in &staged {
                writer.write(staged).unwrap();
            }
            let seen = rounds.load(Ordering::SeqCst);
            while rounds.load(Ordering::SeqCst) == seen && !readers.iter().any(ScopedJoinHandle::is_finished)
            {
                std::thread::yield_now();
            }
        }
        ended.store(true, Ordering::SeqCst);
    });
    let found: Dump = dump(store.as_ref()).unwrap();
    assert!(found == rows);
}

/// What is owed stands in a span: in memory until the checkpoint, then in a row; never in neither.
fn read_spans_of_what_is_owed(view: &View) {
    let from = Index(view.decided().next_index.0.saturating_sub(500));
    for office in [IACHR, MEXICO, HONDURAS] {
        for owed in view.owed(office, Lane::Other, from, 3).unwrap() {
            let Owed::Message(message) = owed else { continue };
            let replayed = view.replay(office, message.index, 1).unwrap().rows;
            assert_eq!(replayed.first().map(|it| it.index), Some(message.index));
        }
    }
}

fn read_all_that_was_decided(view: &View) {
    let decided = view.decided().next_index;
    for office in [IACHR, MEXICO, HONDURAS] {
        for lane in [Lane::Urgent, Lane::Other] {
            for owed in view.owed(office, lane, Index(0), 30).unwrap() {
                if let Owed::Message(message) = owed {
                    assert!(message.recipients.contains(&office));
                    let known = view.known(message.sender_office, message.message_id).unwrap().unwrap();
                    assert_eq!(known.index, message.index);
                }
            }
        }
        let from = Index(decided.0.saturating_sub(100));
        assert!(view.replay(office, from, 20).unwrap().rows.iter().all(|it| it.index >= from));
    }
    let selection = Selection { permit: AuditPermit::All, office: None };
    let from = Index(decided.0.saturating_sub(200));
    for row in view.deliveries(selection, from, 50).unwrap().rows {
        let history = view.history(AuditPermit::All, row.message.index).unwrap().unwrap();
        let about = view.receipts_about(AuditPermit::All, &history.message, Index(0), 50).unwrap().rows;
        assert!(about.iter().all(|it| it.messages.contains(&row.message.index)));
    }
    view.receipts(selection, from, 50).unwrap();
    view.outstanding(selection, Unreached::Acted, OutstandingCursor::default(), 20).unwrap();
}

#[test]
fn damaged_row_is_an_error_and_ends_the_stores_use() {
    let bench = Bench::founded();
    let mut key = Vec::new();
    let scanned = bench.store.scan(b"f", b"g", Direction::Ascending, &mut |found, _| {
        key = found.to_vec();
        ControlFlow::Break(())
    });
    scanned.unwrap();
    bench.store.apply(&[(Bytes::from(key), Some(Bytes::from_static(&[0, 3, 1])))].into()).unwrap();
    let store = Failing::at(&bench.store, 0, false);
    assert!(matches!(Ledger::open(Arc::clone(&store) as _, JOURNAL), Err(LedgerError::Row { .. })));
    assert!(store.distrusted.load(Ordering::SeqCst));
}
