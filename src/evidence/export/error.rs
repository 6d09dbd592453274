//! Why an export proves nothing: what is wrong, where, and what was expected.

use std::io;

use crate::evidence::EvidenceError;
use crate::model::refusal::Refusal;
use crate::proof::PathError;

/// Why an export proves nothing. An entry is named by its index in the journal, a frame by the byte at which it begins.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It cannot be read.
    #[error("{0}")]
    Read(io::Error),
    /// It does not begin as an export of this version does.
    #[error("it does not begin as an export of version 1 does: take a newer program, or it is damaged")]
    Magic,
    /// It ends within a frame, or before the last one.
    #[error("the file ends at byte {at}, where more must follow: it was cut")]
    Cut {
        /// Where it ends.
        at: u64,
    },
    /// Something follows the last frame.
    #[error("the file goes on at byte {at}, after its last entry")]
    Further {
        /// Where.
        at: u64,
    },
    /// A frame is too long, or says that it is.
    #[error(
        "the frame at byte {at} has {found} bytes, 1 to {} expected: it is damaged",
        super::EXPORT_FRAME_BYTES_MAX
    )]
    FrameBytes {
        /// Where it begins.
        at: u64,
        /// How long it says that it is.
        found: u64,
    },
    /// A frame cannot be read.
    #[error("the frame at byte {at} is damaged: {found}")]
    Frame {
        /// Where it begins.
        at: u64,
        /// What is wrong.
        found: String,
    },
    /// Another frame stands here than must.
    #[error("the frame at byte {at} is {found}, {expected} expected")]
    Place {
        /// Where it begins.
        at: u64,
        /// What it is.
        found: &'static str,
        /// What must stand there.
        expected: &'static str,
    },
    /// It says that it has entries which the journal under its checkpoint has not.
    #[error(
        "it is of entries {from} to {until}, {until} left out, and its checkpoint is over {size}: no such range"
    )]
    Range {
        /// The first.
        from: u64,
        /// The one after the last.
        until: u64,
        /// Entries under the checkpoint.
        size: u64,
    },
    /// The tree before the first entry is not said as it must be.
    #[error("the journal before entry {from} is told by {found} hashes, {expected} expected")]
    Edge {
        /// The first entry.
        from: u64,
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: u32,
    },
    /// The entries do not come to the journal under the checkpoint.
    #[error("the entries are not those of the journal under the checkpoint: {0}")]
    Root(PathError),
    /// Times go backwards.
    #[error(
        "entry {index} was recorded {found} µs after 1970, before an entry before it: the hub's time only grows"
    )]
    Time {
        /// Which.
        index: u64,
        /// Its time.
        found: u64,
    },
    /// What opens the covers of a receipt does not.
    #[error("entry {index} is not opened as it must be: {refusal}")]
    Covers {
        /// Which.
        index: u64,
        /// Why.
        refusal: Refusal,
    },
    /// An entry of the directory that counts is not among those of the directory.
    #[error("entry {index} is of the directory and counts, and was left out of the directory's entries")]
    LeftOut {
        /// Which.
        index: u64,
    },
    /// The directory, or a checkpoint, does not hold.
    #[error(transparent)]
    Basis(#[from] EvidenceError),
}
