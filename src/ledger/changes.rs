//! What happened to deliveries, entry by entry: for who watches the journal go on.
//!
//! Owns how a delivery stood right after an entry. A row follows from the entries up to its own alone, so whoever begins
//! again at an index is given the same rows again. Never holds more than a page.

use std::sync::Arc;

use super::LedgerError;
use super::audit::{DeliveryRow, LOOKED_MAX, Selection, Tracer, Unreached, may_see};
use super::log::Reader;
use super::rows::{MessageRow, ReceiptRow};
use super::view::{Page, View};
use crate::model::id::Index;

impl View {
    /// Lists what entries from one index up to another did to deliveries, by ascending entry: those of a message when it
    /// was accepted, and those of which a receipt stated something new. With `unreached` only those that had not reached
    /// that stage before the entry. A page ends with a whole entry, so it may have some hundred rows more than `rows_max`.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn changes(
        &self,
        selection: Selection,
        unreached: Option<Unreached>,
        (from, until): (Index, Index),
        rows_max: usize,
    ) -> Result<Page<DeliveryRow, Index>, LedgerError> {
        let mut tracer = Tracer::of(self);
        let mut messages = Reader::<MessageRow>::of(self.table());
        let mut receipts = Reader::<ReceiptRow>::of(self.table());
        let mut message = self.checked(messages.from(from))?;
        let mut receipt = self.checked(receipts.from(from))?;
        let mut rows = Vec::new();
        let mut next = from;
        for _ in 0..LOOKED_MAX {
            let at = message.iter().map(|row| row.index).chain(receipt.iter().map(|row| row.index)).min();
            let Some(at) = at.filter(|at| *at < until) else { return Ok(Page { rows, next: None }) };
            if rows.len() >= rows_max {
                return Ok(Page { rows, next: Some(at) });
            }
            next = at.next();
            if let Some(accepted) = message.take_if(|row| row.index == at) {
                tracer.accepted(selection, &accepted, &mut rows)?;
                message = self.checked(messages.from(next))?;
            } else if let Some(stated) = receipt.take() {
                tracer.stated(selection, unreached, &stated, &mut rows)?;
                receipt = self.checked(receipts.from(next))?;
            }
        }
        Ok(Page { rows, next: Some(next) })
    }
}

impl Tracer<'_> {
    /// Adds the rows of a message as they stood when it was accepted: nobody had stated anything.
    fn accepted(
        &mut self,
        selection: Selection,
        message: &Arc<MessageRow>,
        rows: &mut Vec<DeliveryRow>,
    ) -> Result<(), LedgerError> {
        let before = rows.len();
        self.deliveries(selection, message, rows)?;
        rows[before..].iter_mut().for_each(|row| row.stages.clear());
        Ok(())
    }

    /// Adds the rows that a receipt changed, as they stood after it.
    fn stated(
        &mut self,
        selection: Selection,
        unreached: Option<Unreached>,
        receipt: &ReceiptRow,
        rows: &mut Vec<DeliveryRow>,
    ) -> Result<(), LedgerError> {
        if receipt.news == 0 || selection.office.is_some_and(|office| office != receipt.office) {
            return Ok(());
        }
        for index in &receipt.messages {
            let message = self.message(*index)?;
            if !may_see(selection.permit, message.sender_office, receipt.office) {
                continue;
            }
            let mut row = self.delivery(&message, receipt.office)?;
            row.stages.retain(|stage| stage.receipt <= receipt.index);
            let (now, before): (Vec<_>, Vec<_>) =
                row.stages.iter().partition(|stage| stage.receipt == receipt.index);
            let reaches = unreached.map_or(&[][..], Unreached::reaching);
            if !now.is_empty() && !before.iter().any(|stage| reaches.contains(&stage.stage)) {
                rows.push(row);
            }
        }
        Ok(())
    }
}
