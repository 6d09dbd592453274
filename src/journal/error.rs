//! What can go wrong with a journal, and what the caller may believe then.
//!
//! Owns the errors and their words. Never decides what is damage: `tail` and `scan` do.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::id::{Index, UnixMicros};

/// Why the journal did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process or handle has this journal open.
    #[error("{} is locked: another process has this journal open", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// There is no journal in the folder.
    #[error("no journal in {}", dir.display())]
    NotFound {
        /// The folder.
        dir: PathBuf,
    },
    /// There is a journal in the folder already.
    #[error("a journal is in {} already", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// The segments' size is out of bounds.
    #[error("segments of {found} bytes: expected a multiple of 4096, from {min} to {max}")]
    SegmentBytes {
        /// The size asked for.
        found: u64,
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// The journal was written by a later version.
    #[error("{} has format version {found}, expected {supported}", path.display())]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that this program reads.
        supported: u32,
    },
    /// The mark of the ledger is of another journal; nothing is wrong with this one.
    #[error("the ledger's mark is of the journal {}, found {}", hex(expected), hex(found))]
    OtherJournal {
        /// This journal's id.
        found: [u8; 16],
        /// The id in the mark.
        expected: [u8; 16],
    },
    /// Bytes on the disk are not what was written. Nothing was overwritten.
    #[error(transparent)]
    Damage(#[from] Box<Damage>),
    /// The batch has no entry. Nothing was written.
    #[error("a batch of no entries, expected at least 1")]
    EmptyBatch,
    /// A part of the batch, or all of it, is beyond the format's bounds. Nothing was written.
    #[error("{what} of {found} bytes, expected at most {max}")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its length in bytes.
        found: u64,
        /// The bound in bytes.
        max: u64,
    },
    /// The batch is older than the one before it. Nothing was written.
    #[error("a batch of the time {} µs, expected {} or later", found.0, min.0)]
    TimeWentBack {
        /// The batch's time.
        found: UnixMicros,
        /// The time of the last batch.
        min: UnixMicros,
    },
    /// The current segment is full and the disk has no room for another. Nothing was written; later it may succeed.
    #[error("no room for another journal segment: {shortage}")]
    Full {
        /// What the disk said.
        shortage: String,
    },
    /// The disk failed. When appending: the batch may be there after a restart or not, and the writer takes no more.
    #[error("cannot {doing} {}: {source}", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// An earlier error stopped the writer. Nothing was written.
    #[error("the journal takes no more since an error: {because}")]
    Stopped {
        /// The earlier error.
        because: String,
    },
}

impl JournalError {
    pub(super) fn disk(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { doing, path: path.to_owned(), source }
    }

    /// Whether a write that a power cut interrupted can have left this: an unwritten block where one is due.
    pub(super) fn may_be_tear(&self) -> bool {
        matches!(self, Self::Damage(damage) if damage.tear)
    }
}

/// Bytes that are not what was written: where, what is there, what should be.
#[derive(Debug, thiserror::Error)]
#[error("{} is damaged at byte {offset}, at or before entry {index}: found {found}, expected {expected}", path.display())]
pub struct Damage {
    /// The segment.
    pub path: PathBuf,
    /// The byte where it begins, or the frame's first one.
    pub offset: u64,
    /// The first entry that it can touch.
    pub index: Index,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: String,
    pub(super) tear: bool,
}

/// Something that contradicts what stands before it, though its checksum is right, or is no frame at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) found: String,
    pub(super) expected: String,
}

impl Wrong {
    pub(super) fn new(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { found: found.into(), expected: expected.into() }
    }

    /// Says that a named number is not the one that is due.
    pub(super) fn number(what: &str, found: impl Into<u64>, expected: impl Into<u64>) -> Self {
        Self::new(format!("{what} {}", found.into()), expected.into().to_string())
    }

    pub(super) fn at(self, path: &Path, offset: u64, index: Index) -> JournalError {
        let Self { found, expected } = self;
        Box::new(Damage { path: path.to_owned(), offset, index, found, expected, tear: false }).into()
    }
}

fn hex(bytes: &[u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(*bytes))
}
