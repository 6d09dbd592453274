//! The acknowledged-delivery log: a deterministic projection of the journal into rows.
//!
//! Owns what follows from the entries: which messages were accepted, who is owed what, who acknowledged what and when.
//! Never reads a clock, configuration or randomness, and is never the only copy of anything: lost, it is rebuilt.
//! At a crash it stands at its mark, whole, and is fed the batches after it.

pub mod audit;
pub mod entry;
pub mod rows;
pub mod store;
pub mod view;

use std::sync::Arc;

use self::entry::{Decoded, Outcome};
use self::store::{RowBatch, Store, StoreError};
use self::view::View;
use crate::model::entry::Mark;
use crate::model::policy::OfficeNumber;

/// Why the ledger cannot go on. It stays so: nothing more is decided or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row does not say what this version wrote.
    #[error("row {key} of the ledger is damaged: {found}")]
    Row {
        /// The row's key, in hex.
        key: String,
        /// What was wrong.
        found: String,
    },
    /// A batch does not follow the one before it.
    #[error("the ledger stands at {expected}, the batch begins at {found}")]
    OutOfOrder {
        /// Where the ledger stands.
        expected: String,
        /// Where the batch begins.
        found: String,
    },
}

/// What a store was found to hold.
pub enum Opened {
    /// A ledger of this journal, or an empty one: its mark tells which batch comes next.
    Ready {
        /// Decides batches; one thread's.
        ledger: Ledger,
        /// Writes what was decided; one thread's, the same or another.
        writer: Writer,
        /// Reads.
        view: View,
    },
    /// A ledger of another journal: set it aside and open anew.
    OtherJournal {
        /// That journal's id.
        found: [u8; 16],
    },
    /// A ledger in a format that this version does not know: set it aside and open anew.
    OtherFormat {
        /// The number of that format.
        found: u32,
    },
}

/// Takes batches in, one after the other, and decides what follows.
pub struct Ledger {}

/// What was decided of a batch.
pub struct Applied {
    /// The outcome of each entry, in order.
    pub outcomes: Vec<Outcome>,
    /// The offices for which something became outstanding, ascending.
    pub owed: Vec<OfficeNumber>,
    /// Its rows, to be written.
    pub staged: Staged,
}

/// Rows of decided batches, not yet in the store.
#[derive(Default)]
pub struct Staged {
    mark: Mark,
    rows: RowBatch,
}

/// Puts staged rows into the store.
pub struct Writer {}

#[expect(clippy::todo, reason = "the shape, ahead of its working")]
impl Ledger {
    /// Opens the ledger of a journal. Reads what is outstanding and the policy, not the messages.
    ///
    /// # Errors
    /// [`LedgerError::Store`], [`LedgerError::Row`]: set the store aside and open anew.
    pub fn open(_store: Arc<dyn Store>, _journal: [u8; 16]) -> Result<Opened, LedgerError> {
        todo!()
    }

    /// Where it stands: after the last decided batch.
    pub fn mark(&self) -> Mark {
        todo!()
    }

    /// Decides a batch: readers see it at once, the store when its rows are written.
    ///
    /// # Errors
    /// [`LedgerError`], each; nothing of the batch has happened, and no batch can be decided any more.
    pub fn decide(&mut self, _mark: Mark, _entries: &[Decoded]) -> Result<Applied, LedgerError> {
        todo!()
    }
}

impl Staged {
    /// Takes in the rows of the batches that follow, so that all are written at once.
    pub fn join(&mut self, next: Staged) {
        self.rows.extend(next.rows);
        self.mark = next.mark;
    }
}

#[expect(clippy::todo, reason = "the shape, ahead of its working")]
impl Writer {
    /// Puts rows and mark into the store, at once and in the order of deciding.
    ///
    /// # Errors
    /// [`LedgerError`], each; nothing can be written any more.
    pub fn write(&mut self, _staged: Staged) -> Result<Mark, LedgerError> {
        todo!()
    }

    /// Closes the store: what was written is durable afterwards.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub fn close(self) -> Result<(), LedgerError> {
        todo!()
    }
}
