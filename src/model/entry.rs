//! Batches and entries: what is put in order, kept in the journal and applied to the ledger.
//!
//! Owns the shape of an entry and the number of each kind. Statements are exact bytes, kept as they came,
//! so that a signature over them can be checked at any later time; nothing here looks inside.

use std::fmt;

use bytes::Bytes;

use super::id::{Index, Position, UnixMicros};
use crate::seal::sha256;

/// Bytes of an entry's nonce.
pub const NONCE_BYTES: usize = 16;
/// Bytes from which the nonces of a batch follow.
pub const BATCH_SEED_BYTES: usize = 32;

/// What an entry records. The numbers are part of the journal's format and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EntryKind {
    /// A fact of the directory: an institution, an office, an auditor, a stream, a right.
    Directory = 1,
    /// An envelope handed in for publishing; its payload is kept apart.
    Publish = 2,
    /// A receipt of an office.
    Receipt = 3,
    /// A refusal of a known identity.
    Refusal = 4,
    /// A summary of refused strangers, or of refusals beyond the rate.
    Summary = 5,
    /// The hub's word that an office missed a deadline.
    Overdue = 6,
    /// A request for a next certificate, or the answer to one.
    Renewal = 7,
    /// That a message's payload is no longer kept.
    Erasure = 8,
    /// A hub restored from a backup: what followed in the log before is no longer there.
    Epoch = 9,
    /// That the hub's clock is not to be trusted, or that it is again.
    Clock = 10,
}

impl EntryKind {
    /// Reads the kind from its number in the journal; `None` for a number that this version does not know.
    pub fn from_number(number: u8) -> Option<Self> {
        let all = [
            Self::Directory,
            Self::Publish,
            Self::Receipt,
            Self::Refusal,
            Self::Summary,
            Self::Overdue,
            Self::Renewal,
            Self::Erasure,
            Self::Epoch,
            Self::Clock,
        ];
        all.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// The name of a batch: a retry under the same name is the same batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchName {
    /// The hub that made the batch.
    pub hub: u32,
    /// That hub's run: one more at each start.
    pub run: u64,
    /// The batch's number in that run, from 0, without gaps.
    pub number: u64,
}

/// What is handed in to be put in order: an entry without its place and time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What it records.
    pub kind: EntryKind,
    /// The identity that answers for it: the URI of the caller's certificate, or the hub's own. At most 255 bytes.
    pub identity: String,
    /// The statement, exact bytes.
    pub statement: Bytes,
    /// The payload, kept apart from the entry so that it can be erased in place; opaque. A message's with
    /// `Publish`, a person's note with `Receipt`.
    pub payload: Option<Bytes>,
}

/// Proposals that go to the disk together, under one name and one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its name.
    pub name: BatchName,
    /// The hub's time when it was closed; only grows from batch to batch.
    pub time: UnixMicros,
    /// Random. Its entries' nonces follow from it, so that whoever keeps the batch has the same; it is kept nowhere itself.
    pub seed: [u8; BATCH_SEED_BYTES],
    /// What it holds, in order; at least one.
    pub proposals: Vec<Proposal>,
}

impl Batch {
    /// Gives the nonce of its entry at an index: whoever has one learns nothing of another.
    pub fn nonce(&self, index: Index) -> [u8; NONCE_BYTES] {
        const DOMAIN: &[u8; 26] = b"resguardo journal nonce v1";
        let mut from = [0; DOMAIN.len() + BATCH_SEED_BYTES + 8];
        from[..DOMAIN.len()].copy_from_slice(DOMAIN);
        from[DOMAIN.len()..][..BATCH_SEED_BYTES].copy_from_slice(&self.seed);
        from[DOMAIN.len() + BATCH_SEED_BYTES..].copy_from_slice(&index.0.to_le_bytes());
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&sha256(&from)[..NONCE_BYTES]);
        nonce
    }
}

/// A payload as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The entry has none.
    None,
    /// The bytes, exactly as they came.
    Kept(Bytes),
    /// Overwritten: only the entry remains.
    Erased,
}

/// One entry as the journal holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub index: Index,
    /// The hub's time of its batch.
    pub time: UnixMicros,
    /// Random: what hides the entry in the leaf that the journal's tree has of it.
    pub nonce: [u8; NONCE_BYTES],
    /// What it records.
    pub kind: EntryKind,
    /// The identity that answers for it.
    pub identity: String,
    /// The statement, exact bytes.
    pub statement: Bytes,
    /// The payload that belongs to it.
    pub payload: Payload,
}

/// Where a journal stands after a batch: enough to tell that another journal, or another history, is not this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Mark {
    /// The journal's random id.
    pub journal: [u8; 16],
    /// Batches so far: the position of the next one.
    pub position: Position,
    /// Entries so far: the index of the next one.
    pub next_index: Index,
    /// The journal's running checksum after the last batch; 0 for an empty journal.
    pub chain: u32,
    /// The time of the last batch.
    pub time: UnixMicros,
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { journal, position, next_index, chain, time } = self;
        let journal = u128::from_be_bytes(*journal);
        write!(
            out,
            "entry {next_index} and batch {position} of journal {journal:032x}, checksum {chain:08x}, {} µs after 1970",
            time.0
        )
    }
}
