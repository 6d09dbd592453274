//! The store of the ledger's rows: sorted keys, small values, one atomic batch after another.
//!
//! Owns the contract that every store keeps, and its suite. Never knows what a row means.
//! At a crash: a batch is there whole or not at all; the newest ones may be missing, never one from the middle.

#[cfg(test)]
mod contract;
pub mod memory;
pub mod sled;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;

/// Longest value, in bytes: sled keeps longer ones in files of their own that it never syncs.
pub const VALUE_BYTES_MAX: usize = 4096;

/// Why a store cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk or the system refused.
    #[error("the ledger's store failed: {0}")]
    Io(String),
    /// What was read is not what was written.
    #[error("the ledger's store is damaged: {0}")]
    Damaged(String),
    /// It was closed before.
    #[error("the ledger's store is closed")]
    Closed,
}

/// Rows to put (`Some`) and to take out (`None`) together, by key. Values have at most [`VALUE_BYTES_MAX`] bytes.
pub type RowBatch = BTreeMap<Bytes, Option<Bytes>>;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the smallest key on.
    Ascending,
    /// From the greatest key on.
    Descending,
}

/// Sees one row: its key, its value; says whether the scan goes on. Must not call the store.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A sorted store of rows. One writer; readers on any thread.
pub trait Store: Send + Sync {
    /// Reads a row.
    ///
    /// # Errors
    /// [`StoreError`], each: nothing can be said of the row.
    fn row(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Visits the rows from `from` to before `to`, in order of their keys.
    ///
    /// # Errors
    /// [`StoreError`], each: what was visited until then is true, the rest unknown.
    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;

    /// Puts and takes out all rows of a batch at once. Not yet durable when it returns.
    ///
    /// # Panics
    /// For a value longer than [`VALUE_BYTES_MAX`].
    ///
    /// # Errors
    /// [`StoreError`], each: whether the batch is there is unknown.
    fn apply(&self, batch: &RowBatch) -> Result<(), StoreError>;

    /// Tells how many bytes it takes on disk.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn disk_bytes(&self) -> Result<u64, StoreError>;

    /// Sees to it that what is stored is not used again: the next opening begins with nothing. Durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    fn distrust(&self, found: &str) -> Result<(), StoreError>;

    /// Makes all durable and ends the store's use: calls after it fail with [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError`], each: the store will not be trusted after the machine stops.
    fn close(&self) -> Result<(), StoreError>;
}

/// Holds a batch to the bounds of the format.
fn assert_bounds(batch: &RowBatch) {
    for (key, value) in batch {
        let bytes = value.as_ref().map_or(0, Bytes::len);
        assert!(bytes <= VALUE_BYTES_MAX, "the value of key {key:?} has {bytes} bytes");
    }
}
