//! Reading the ledger: policy, duplicates, what is owed, for the hub's door and its sessions.
//!
//! Owns no state of its own: a cheap handle on what was decided. Never changes a row, never waits for a write.

use std::sync::Arc;

use super::LedgerError;
use super::rows::{MessageRow, ReceiptRow};
use crate::model::entry::Mark;
use crate::model::envelope::MessageId;
use crate::model::id::{Index, UnixMicros};
use crate::model::policy::{OfficeNumber, Policy};

/// A message that was accepted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its index.
    pub index: Index,
    /// The hub's time of acceptance.
    pub time: UnixMicros,
    /// The SHA-256 of its envelope's exact bytes.
    pub digest: [u8; 32],
}

/// Which of the two queues of an office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Urgent messages, and notices.
    Urgent,
    /// All other messages.
    Other,
}

/// One thing that is outstanding for an office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owed {
    /// A message.
    Message(Arc<MessageRow>),
    /// A notice: a `declined` or `unreadable` receipt on one of the office's own messages, by the receipt's index.
    Notice(Index),
}

/// How much is outstanding for an office.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OwedCount {
    /// Messages.
    pub messages: u64,
    /// Notices.
    pub notices: u64,
}

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<R, C> {
    /// The rows.
    pub rows: Vec<R>,
    /// Where the next page begins; `None`: this is the last.
    pub next: Option<C>,
}

/// A handle for readers: cheap to clone, for any thread. It sees what was decided, also before it is written.
#[derive(Clone)]
pub struct View {}

#[expect(clippy::todo, reason = "the shape, ahead of its working")]
impl View {
    /// The policy as of the last decided batch.
    pub fn policy(&self) -> Arc<Policy> {
        todo!()
    }

    /// Where the ledger stands: after the last decided batch.
    pub fn decided(&self) -> Mark {
        todo!()
    }

    /// After the last batch whose rows are in the store.
    pub fn written(&self) -> Mark {
        todo!()
    }

    /// Tells whether an office published under this id before.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn known(&self, _office: OfficeNumber, _id: MessageId) -> Result<Option<Known>, LedgerError> {
        todo!()
    }

    /// Counts what is outstanding for an office.
    pub fn owed_count(&self, _office: OfficeNumber) -> OwedCount {
        todo!()
    }

    /// Gives what is outstanding for an office in one lane, from an index on, ascending, at most `rows_max`.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn owed(
        &self,
        _office: OfficeNumber,
        _lane: Lane,
        _from: Index,
        _rows_max: usize,
    ) -> Result<Vec<Owed>, LedgerError> {
        todo!()
    }

    /// Tells whether a message or notice is outstanding for an office.
    pub fn is_owed(&self, _office: OfficeNumber, _index: Index) -> bool {
        todo!()
    }

    /// Lists messages that an office was ever owed, acknowledged or not, from an index on, ascending.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn replay(
        &self,
        _office: OfficeNumber,
        _from: Index,
        _rows_max: usize,
    ) -> Result<Page<Arc<MessageRow>, Index>, LedgerError> {
        todo!()
    }

    /// Gives the message at an index; `None` where no accepted message stands.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn message(&self, _index: Index) -> Result<Option<Arc<MessageRow>>, LedgerError> {
        todo!()
    }

    /// Gives the receipt at an index; `None` where no recorded receipt stands.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn receipt(&self, _index: Index) -> Result<Option<Arc<ReceiptRow>>, LedgerError> {
        todo!()
    }
}
