//! The store of the ledger's rows: sorted keys, small values, one atomic batch after another; and where stores come from.
//!
//! Owns the contracts that every store and every keeper of stores holds to, and their suites. Never knows what a row means.
//! At a crash: a batch is there whole or not at all; the newest ones may be missing, never one from the middle.

#[cfg(test)]
mod contract;
pub mod memory;
pub mod sled;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// Keeps stores, each in a folder of its own; handed in, so that a simulation can keep them in memory.
pub trait Stores: Send + Sync {
    /// Opens the store of a folder, and makes it if it is missing. Rows that cannot be trusted or opened are set aside,
    /// and the store begins with none.
    ///
    /// # Errors
    /// [`StoreError::Io`]: it is in use, or the disk refuses.
    fn open(&self, dir: &Path, cache_bytes: u64) -> Result<OpenedStore, StoreError>;

    /// Opens rows that were set aside in the folder of an open store, those that can still be opened: for a look at what
    /// they knew. Some of them may be missing; those that are there are as they were written at some time.
    fn set_aside(&self, dir: &Path, cache_bytes: u64) -> Vec<Arc<dyn Store>>;

    /// Removes the store of a folder that is no longer wanted, if it is there. Not one that is open.
    ///
    /// # Errors
    /// [`StoreError::Io`]
    fn remove(&self, dir: &Path) -> Result<(), StoreError>;
}

/// What opening a store found.
pub struct OpenedStore {
    /// The store.
    pub store: Arc<dyn Store>,
    /// Rows that were there and could not be trusted. The store is then empty: the ledger is to be built anew.
    pub set_aside: Option<SetAside>,
}

/// Rows that were moved out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Why.
    pub why: Distrust,
    /// Where they are now. Older ones that had been set aside for the same reason are gone.
    pub to: PathBuf,
}

/// Why rows cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The machine stopped while they were in use.
    #[error("the machine stopped while the ledger was in use")]
    MachineStopped,
    /// They are damaged, or not of this journal or format.
    #[error("the ledger cannot be used: {0}")]
    Damaged(String),
}

impl Distrust {
    /// The name, in the folder of the store, of what was set aside for this reason.
    fn place(&self) -> &'static str {
        match self {
            Self::MachineStopped => ASIDE[0],
            Self::Damaged(_) => ASIDE[1],
        }
    }
}

/// Where rows are that were set aside: after a stop of the machine, and for damage.
const ASIDE: [&str; 2] = ["rows-untrusted", "rows-damaged"];

/// Holds a batch to the bounds of the format.
fn assert_bounds(batch: &RowBatch) {
    for (key, value) in batch {
        let bytes = value.as_ref().map_or(0, Bytes::len);
        assert!(bytes <= VALUE_BYTES_MAX, "the value of key {key:?} has {bytes} bytes");
    }
}
