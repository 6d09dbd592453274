//! What the journal promises, on disks in memory and on the machine's.

mod append;
mod copy;
mod crash;
mod damage;
mod erase;
mod forged;
mod format;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::*;
use crate::host::disk::{Disk, MemoryDisk};
use crate::host::random::{Random, SeededRandom};
use crate::host::tasks::LocalTasks;
use crate::model::entry::{Batch, BatchName, Entry, EntryKind, Mark, Payload, Proposal};
use crate::model::id::{Index, Position, UnixMicros};

const ID: [u8; 16] = *b"journal of tests";
const SMALL: Options = Options { segment_bytes: SEGMENT_BYTES_MIN };

fn dir() -> &'static Path {
    Path::new("/home/journal")
}

/// Runs on one thread, with tasks beside it that run when it yields.
fn on_one_thread<T>(run: impl AsyncFnOnce() -> T) -> T {
    let runtime = Builder::new_current_thread().build().unwrap();
    LocalSet::new().block_on(&runtime, run())
}

/// Lets the tasks beside it go on until they wait.
async fn let_others_run() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

fn new_journal(options: Options) -> MemoryDisk {
    let disk = MemoryDisk::new();
    create(&disk, dir(), ID, options).unwrap();
    disk
}

fn open_in(
    disk: &MemoryDisk,
    options: Options,
    confirmed: Option<&Mark>,
) -> Result<(Writer, Reader, Recovery), JournalError> {
    open(Arc::new(disk.clone()), &LocalTasks, dir(), options, confirmed)
}

fn open_small(disk: &MemoryDisk) -> (Writer, Reader, Recovery) {
    open_in(disk, SMALL, None).unwrap()
}

fn proposal(statement: &[u8], payload: Option<&[u8]>) -> Proposal {
    Proposal {
        kind: if payload.is_some() { EntryKind::Publish } else { EntryKind::Receipt },
        identity: "spiffe://resguardo.test/office/ohchr-honduras".into(),
        statement: Bytes::copy_from_slice(statement),
        payload: payload.map(Bytes::copy_from_slice),
    }
}

fn batch(number: u64, proposals: Vec<Proposal>) -> Batch {
    Batch {
        name: BatchName { hub: 3, run: 2, number },
        time: UnixMicros(1_700_000_000_000_000 + number),
        seed: [7; 32],
        proposals,
    }
}

/// A batch of one to four entries of many sizes, with and without payloads.
fn random_batch(number: u64, random: &SeededRandom) -> Batch {
    let bytes = |max: u64| {
        let mut bytes = vec![0; usize::try_from(random.below(max)).unwrap()];
        random.fill(&mut bytes);
        bytes
    };
    let proposals = (0..=random.below(4)).map(|_| {
        let payload = (random.below(2) == 0).then(|| bytes(1_500));
        proposal(&bytes(300), payload.as_deref())
    });
    batch(number, proposals.collect())
}

/// Entries as they should be read back, without asking the journal.
fn entries_expected(batches: &[Batch]) -> Vec<Entry> {
    let entry = |batch: &Batch, proposal: &Proposal, index: u64| Entry {
        index: Index(index),
        time: batch.time,
        nonce: batch.nonce(Index(index)),
        kind: proposal.kind,
        identity: proposal.identity.clone(),
        statement: proposal.statement.clone(),
        payload: proposal.payload.clone().map_or(Payload::None, Payload::Kept),
    };
    let all = batches.iter().flat_map(|batch| batch.proposals.iter().map(move |proposal| (batch, proposal)));
    all.zip(0..).map(|((batch, proposal), index)| entry(batch, proposal, index)).collect()
}

fn entries_read(reader: &Reader) -> Result<Vec<Entry>, JournalError> {
    let mut cursor = reader.from(Index(0));
    let mut entries = Vec::new();
    while let Some(entry) = cursor.next()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn batches_read(reader: &Reader, from: u64) -> Result<Vec<StoredBatch>, JournalError> {
    let mut batches = reader.batches(Position(from));
    let mut read = Vec::new();
    while let Some(batch) = batches.next()? {
        read.push(batch);
    }
    Ok(read)
}

fn verified(reader: &Reader) -> Result<Verified, JournalError> {
    verify(reader, &mut |_| {}, &mut |_| {})
}

/// The names of the segments of a journal.
fn segments_of(disk: &MemoryDisk) -> Vec<std::path::PathBuf> {
    let names = disk.list(dir()).unwrap();
    names.iter().map(|name| dir().join(name)).filter(|path| path.extension().is_some()).collect()
}
