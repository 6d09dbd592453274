//! What a hub makes of entries: its logs, their checkpoints, evidence and exports. It need not be honest: whatever it is given comes
//! under checkpoints of its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;
use resguardo::evidence::export::{EXPORT_MAGIC, Frame, Head, Opened, Shown};
use resguardo::evidence::{Entry as Given, Evidence, Note};
use resguardo::model::entry::{Entry, EntryKind};
use resguardo::model::id::Index;
use resguardo::model::identity::Identity;
use resguardo::model::receipt::{SALT_BYTES, cover_salt};
use resguardo::proof::{BatchTree, Checkpoint, Frontier, Record, TreeHash, TreeHead, UnixSeconds};
use resguardo::wire::log::{Log, Recorded, directory_record, key_name};
use resguardo::wire::signed::SignedReceipt;
use resguardo::wire::{amendment, proto};

use crate::exchange::{desk, hub_key, keys, offices, trust};

/// When the hub signed, and witnesses after it, in seconds.
const SIGNED_S: u64 = 1_772_467_800;

/// Entries of a journal at most, where anybody says which: more would only be slower.
pub const ENTRIES_MAX: u64 = 64;

/// A checkpoint, cosigned by the first so many offices.
fn note(log: Log, tree: &Frontier, witnesses: usize) -> Bytes {
    let head = TreeHead { size: tree.size(), root: tree.root() };
    let checkpoint = Checkpoint::new(log.origin(&trust().founding), head).expect("a tree of a few entries");
    let at = |seconds| UnixSeconds::new(SIGNED_S + seconds).expect("it is after 1970");
    let mut note = checkpoint.sign(&hub_key(), at(0));
    for (office, seconds) in offices().zip(1..).take(witnesses) {
        let name = key_name(&Identity::Desk(desk(office)));
        for line in checkpoint.cosign(&name, &keys(office)[1], at(seconds)) {
            note.add(line).expect("it is another's");
        }
    }
    note.to_string().into_bytes().into()
}

fn tree(leaves: impl IntoIterator<Item = TreeHash>) -> Frontier {
    let mut tree = Frontier::new();
    leaves.into_iter().for_each(|it| tree.append(it));
    tree
}

fn directory_note(directory: &[Given], witnesses: usize) -> Bytes {
    let exact = |it: &Given| amendment::read(&it.statement).map(|it| amendment::bytes(&it));
    let records = directory.iter().map(|it| exact(it).unwrap_or_else(|_| it.statement.clone()));
    note(Log::Directory, &tree(records.map(|it| directory_record(&it).leaf())), witnesses)
}

/// The leaves of a journal of which some entries are told.
fn leaves(told: &BTreeMap<u64, Record>, size: u64) -> Vec<TreeHash> {
    let record = |index: u64| told.get(&index).copied().unwrap_or(Record([index as u8; 32]));
    (0..size).map(|index| record(index).leaf()).collect()
}

/// Puts what is told of a message into logs of the hub's own; `false` where no journal has such indexes.
pub fn evidence(given: &mut Evidence, witnesses: usize) -> bool {
    let all = given.directory.iter().chain(&given.entries);
    let told: BTreeMap<_, _> = all.map(|it| (it.index.0, it.record())).collect();
    let size = told.keys().next_back().map_or(0, |last| last.saturating_add(1));
    if size > ENTRIES_MAX {
        return false;
    }
    let leaves = leaves(&told, size);
    let batch = BatchTree::over(leaves.clone());
    for entry in given.directory.iter_mut().chain(&mut given.entries) {
        entry.path = batch.inclusion(entry.index.0 as usize).expect("it is below the size");
    }
    given.journal_checkpoint = note(Log::Journal, &tree(leaves), witnesses);
    given.directory_checkpoint = Some(directory_note(&given.directory, witnesses));
    true
}

/// Puts what is told of a range into logs of the hub's own, and gives the file; `None` where no journal has such indexes.
pub fn export(
    mut head: Head,
    mut directory: Vec<Given>,
    range: &[Frame],
    witnesses: usize,
) -> Option<Vec<u8>> {
    let (from, until) = (head.from.0, head.until.0);
    let last = directory.iter().map(|it| it.index.0.saturating_add(1)).max().unwrap_or(0);
    let size = until.max(last);
    if from >= until || size > ENTRIES_MAX {
        return None;
    }
    let mut told: BTreeMap<_, _> = directory.iter().map(|it| (it.index.0, it.record())).collect();
    let mut frames = range.iter();
    for index in from..until {
        if told.contains_key(&index) {
            continue;
        }
        match frames.next()? {
            Frame::Shown(shown) => told.insert(index, shown.record(Index(index))),
            Frame::Hidden(record) => told.insert(index, *record),
            Frame::Head(_) | Frame::Directory(_) => return None,
        };
    }
    let leaves = leaves(&told, size);
    let batch = BatchTree::over(leaves.clone());
    for entry in &mut directory {
        entry.path = batch.inclusion(entry.index.0 as usize)?;
    }
    head.directory = directory.len() as u64;
    head.edge = tree(leaves[..from as usize].iter().copied()).edge().to_vec();
    head.consistency = growth(until as usize, &leaves, true);
    head.journal_checkpoint = note(Log::Journal, &tree(leaves), witnesses);
    head.directory_checkpoint = Some(directory_note(&directory, witnesses));
    let frames = [Frame::Head(head)].into_iter().chain(directory.into_iter().map(Frame::Directory));
    let bytes = frames.chain(range.iter().cloned()).flat_map(|it| it.to_bytes());
    Some(EXPORT_MAGIC.iter().copied().chain(bytes).collect())
}

/// RFC 6962, section 2.1.2: SUBPROOF(m, D[n], b).
fn growth(m: usize, leaves: &[TreeHash], whole: bool) -> Vec<TreeHash> {
    let n = leaves.len();
    let root = |leaves: &[TreeHash]| tree(leaves.iter().copied()).root();
    if m == n {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(n.next_power_of_two() / 2);
    let k = left.len();
    if m <= k {
        [growth(m, left, whole), vec![root(right)]].concat()
    } else {
        [growth(m - k, right, false), vec![root(left)]].concat()
    }
}

/// What a file of evidence about the message at an index has of an entry.
pub fn given(entry: &Entry, about: Index) -> Given {
    let (recorded, path) = (Recorded::from(entry), Vec::new());
    Given {
        index: entry.index,
        time: entry.time,
        kind: entry.kind,
        identity: entry.identity.clone(),
        statement: recorded.statement.clone(),
        nonce: entry.nonce,
        path: resguardo::proof::InclusionProof::from_hashes(path).expect("it is short"),
        cover: opening(entry, about),
    }
}

fn opening(entry: &Entry, about: Index) -> Option<(u32, [u8; SALT_BYTES])> {
    let whole = proto::SignedReceipt::decode(entry.statement.clone()).ok()?;
    let place = whole.messages.iter().position(|it| it.index == about.0)?;
    let seed = whole.seed[..].try_into().ok().filter(|_| entry.kind == EntryKind::Receipt)?;
    Some((place as u32, cover_salt(&seed, place)))
}

/// What an export shows of an entry.
pub fn shown(entry: &Entry) -> Shown {
    let recorded = Recorded::from(entry);
    let receipt = SignedReceipt::read(&entry.statement).ok().filter(|_| entry.kind == EntryKind::Receipt);
    let covers = receipt.iter().flat_map(|receipt| {
        receipt.receipt.messages.iter().map(|it| {
            let (place, salt) = receipt.opening(it.index).expect("it is about it");
            Opened { place: place as u32, salt, message_id: it.message_id, digest: it.digest }
        })
    });
    Shown {
        time: entry.time,
        kind: entry.kind,
        identity: entry.identity.clone(),
        statement: recorded.statement.clone(),
        nonce: entry.nonce,
        covers: covers.collect(),
    }
}

/// Evidence about a message, of all entries of an exchange that are named.
pub fn evidence_of(entries: &[Entry], notes: &[Note], about: &[u64]) -> Evidence {
    let message = Index(about[0]);
    let of = |it: &Entry| given(it, message);
    let mut made = Evidence {
        journal_checkpoint: Bytes::new(),
        directory_checkpoint: None,
        directory: entries.iter().filter(|it| it.kind == EntryKind::Directory).map(of).collect(),
        entries: about.iter().map(|it| of(&entries[*it as usize])).collect(),
        notes: notes.to_vec(),
    };
    assert!(evidence(&mut made, offices().count()), "it is small");
    made
}

/// An export of a range, with some entries hidden.
pub fn export_of(entries: &[Entry], from: u64, until: u64, hidden: &[u64]) -> Vec<u8> {
    let directory = entries.iter().filter(|it| it.kind == EntryKind::Directory);
    let directory: Vec<_> = directory.map(|it| given(it, Index(u64::MAX))).collect();
    let range = &entries[from as usize..until as usize];
    let range = range.iter().filter(|it| it.kind != EntryKind::Directory).map(|it| {
        if hidden.contains(&it.index.0) {
            Frame::Hidden(Recorded::from(it).record(&it.nonce))
        } else {
            Frame::Shown(shown(it))
        }
    });
    let head = Head {
        from: Index(from),
        until: Index(until),
        directory: 0,
        edge: Vec::new(),
        consistency: Vec::new(),
        journal_checkpoint: Bytes::new(),
        directory_checkpoint: None,
    };
    export(head, directory, &range.collect::<Vec<_>>(), offices().count()).expect("it is small")
}
