//! Asking what happened: deliveries, receipts, what is outstanding, one message's history.
//!
//! Owns the listings and who may see which rows. Never gives more than the permit allows; never holds more than a page.

use std::sync::Arc;

use super::LedgerError;
use super::rows::{MessageRow, ReceiptRow};
use super::view::{Lane, Page, View};
use crate::model::envelope::MessageId;
use crate::model::id::Index;
use crate::model::policy::{AuditPermit, OfficeNumber};

/// Which rows a listing gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// What the caller may see.
    pub permit: AuditPermit,
    /// Only this office's rows; `None`: every office's that the caller may see.
    pub office: Option<OfficeNumber>,
}

/// One message owed to one office, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The message.
    pub message: Arc<MessageRow>,
    /// The office that it is owed to.
    pub office: OfficeNumber,
    /// The stages that the office stated, each as it was first stated, by index of the receipt.
    pub stages: Vec<Arc<ReceiptRow>>,
}

/// Which stage an outstanding delivery has not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// Not `received`, nor anything that implies it: the same as what is to be delivered.
    Received,
    /// Neither `read` nor `acted`.
    Read,
    /// Not `acted`: not closed.
    Acted,
}

/// Where a listing of outstanding deliveries stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutstandingCursor {
    /// The office.
    pub office: OfficeNumber,
    /// The lane.
    pub lane: Lane,
    /// The index.
    pub index: Index,
}

/// One message's history, as far as the caller may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The message.
    pub message: Arc<MessageRow>,
    /// A row for each recipient.
    pub deliveries: Vec<DeliveryRow>,
    /// Every receipt about it, repetitions too, by ascending index.
    pub receipts: Vec<Arc<ReceiptRow>>,
}

#[expect(clippy::todo, reason = "the shape, ahead of its working")]
impl View {
    /// Lists deliveries by ascending index of the message. A page ends with a whole message: at `rows_max` rows or a few more.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn deliveries(
        &self,
        _selection: &Selection,
        _from: Index,
        _rows_max: usize,
    ) -> Result<Page<DeliveryRow, Index>, LedgerError> {
        todo!()
    }

    /// Lists receipts by ascending index, their messages as far as the caller may see them.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn receipts(
        &self,
        _selection: &Selection,
        _from: Index,
        _rows_max: usize,
    ) -> Result<Page<Arc<ReceiptRow>, Index>, LedgerError> {
        todo!()
    }

    /// Lists deliveries that have not reached a stage, by office number, then urgent first, then by index.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn outstanding(
        &self,
        _selection: &Selection,
        _stage: Unreached,
        _from: OutstandingCursor,
        _rows_max: usize,
    ) -> Result<Page<DeliveryRow, OutstandingCursor>, LedgerError> {
        todo!()
    }

    /// Finds the messages with an id that the caller may see: one for each office that used it.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn find(
        &self,
        _permit: AuditPermit,
        _id: MessageId,
        _sender: Option<OfficeNumber>,
    ) -> Result<Vec<Arc<MessageRow>>, LedgerError> {
        todo!()
    }

    /// Tells one message's history; `None` for what the caller may not see.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn history(&self, _permit: AuditPermit, _index: Index) -> Result<Option<History>, LedgerError> {
        todo!()
    }
}
