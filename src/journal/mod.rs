//! The journal: every entry in its order, on disk before anything is acknowledged.
//!
//! Owns the segment files of a folder: their format (`docs/journal-format.md`), appending, reading, recovery, checking.
//! Payloads alone may be overwritten later, in place, when somebody's order says so.
//! Never decides policy, never acknowledges, never looks into a statement or payload.
//!
//! At a crash: every batch whose append returned is there, whole and in its place; the one in flight may be there, whole,
//! or not at all. An opening tells what a power cut can leave (cut, and reported) from damage (refused, nothing
//! overwritten).

mod batch;
mod copy;
mod erase;
mod error;
mod frame;
mod prepare;
mod reader;
mod recover;
mod scan;
mod segment;
mod shared;
mod tail;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use self::batch::{BATCH_BYTES_MAX, IDENTITY_BYTES_MAX, PAYLOAD_BYTES_MAX, STATEMENT_BYTES_MAX};
pub use self::copy::{Copied, Extent, Room, copy, look_until};
pub use self::erase::erase;
pub use self::error::{Damage, JournalError};
pub use self::prepare::Space;
pub use self::reader::{Batches, Cursor, Reader, StoredBatch};
pub use self::recover::{Recovery, Torn, create, look, open};
pub use self::segment::{SEGMENT_BYTES, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
pub use self::verify::{Verified, verify};
pub use self::writer::{Appended, Writer};

/// Held by whoever has the journal open.
const LOCK_FILE: &str = "lock";

/// How a journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The length of new segments: a multiple of 4,096 from [`SEGMENT_BYTES_MIN`] to [`SEGMENT_BYTES_MAX`]. A batch
    /// must fit into one.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: SEGMENT_BYTES }
    }
}
