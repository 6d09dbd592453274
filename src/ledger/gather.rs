//! Reading from the store what entries need and memory does not hold, before they are decided.
//!
//! Owns which rows an entry may need. Never changes anything: readers go on meanwhile.

use std::sync::Arc;

use super::LedgerError;
use super::checks::own_only;
use super::decide::{Additions, Prepared};
use super::ids;
use super::keys;
use super::log::Reader;
use super::rows::MessageRow;
use super::span::{Places, Span};
use super::state::{Gathered, SpanKey, State};
use super::table::Table;
use crate::model::envelope::{Envelope, MessageId};
use crate::model::erasure::ErasureOrder;
use crate::model::id::Index;
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::OfficeNumber;
use crate::model::receipt::Receipt;

/// Reads what some entries need, all of them before `next`.
pub(super) fn gather(
    table: &Table,
    state: &State,
    additions: &Additions,
    entries: &[Prepared<'_>],
    next: Index,
) -> Result<Gathered, LedgerError> {
    let mut gathering = Gathering {
        next,
        table,
        state,
        additions,
        messages: Reader::of(table),
        gathered: Gathered::default(),
    };
    for entry in entries {
        match entry {
            Prepared::Publish { office, envelope, about, .. } => {
                gathering.for_publish(*office, envelope)?;
                gathering.for_about(*about)?;
            }
            Prepared::Receipt { receipt, office, .. } => gathering.for_receipt(*office, receipt)?,
            Prepared::Overdue { overdue, office, .. } => gathering.for_overdue(*office, overdue)?,
            Prepared::Erase { order, office, .. } => gathering.for_order(*office, order)?,
            Prepared::RetentionEnd { until, .. } => gathering.message(*until)?,
            Prepared::Amendment { .. } | Prepared::Clock(_) | Prepared::Done(_) => {}
        }
    }
    Ok(gathering.gathered)
}

/// Reads a span as of the last checkpoint.
pub(super) fn stored_span(table: &Table, (office, number): SpanKey) -> Result<Option<Span>, LedgerError> {
    let key = keys::span(office, number);
    let Some(bytes) = table.long(&key)? else { return Ok(None) };
    Span::decode(&bytes).map(Some).map_err(|found| LedgerError::row(&key, found))
}

struct Gathering<'a> {
    table: &'a Table,
    state: &'a State,
    additions: &'a Additions,
    messages: Reader<'a, MessageRow>,
    gathered: Gathered,
    next: Index,
}

impl Gathering<'_> {
    fn for_publish(&mut self, office: Option<OfficeNumber>, envelope: &Envelope) -> Result<(), LedgerError> {
        self.id(envelope.message_id)?;
        for reference in own_only(envelope) {
            self.id(*reference)?;
        }
        if let Some(open) = self.state.threads.get(&envelope.thread_id) {
            for index in open {
                self.message(*index)?;
            }
        }
        office.map_or(Ok(()), |office| self.message_of(office, envelope.message_id))
    }

    fn for_about(&mut self, about: Option<(OfficeNumber, MessageId)>) -> Result<(), LedgerError> {
        let Some((office, id)) = about else { return Ok(()) };
        self.id(id)?;
        self.message_of(office, id)
    }

    fn for_order(&mut self, office: OfficeNumber, order: &ErasureOrder) -> Result<(), LedgerError> {
        self.id(order.message_id)?;
        self.message_of(office, order.message_id)
    }

    /// The message that an office published under an id.
    fn message_of(&mut self, office: OfficeNumber, id: MessageId) -> Result<(), LedgerError> {
        let stored = self.gathered.ids.get(&id).into_iter().flatten();
        let stored = stored.filter(|(by, _)| *by == office).map(|(_, index)| *index).next();
        match self.state.ids.index((id, office)).or(stored) {
            Some(first) => self.message(first),
            None => Ok(()),
        }
    }

    fn for_receipt(&mut self, office: OfficeNumber, receipt: &Receipt) -> Result<(), LedgerError> {
        for index in receipt.messages.iter().map(|named| named.index).chain(receipt.notices.iter().copied()) {
            self.span(office, index)?;
        }
        // What was never owed is refused by the spans: the messages are not read for it.
        let owed = receipt.messages.iter().filter(|named| {
            let (number, place) = Places::of(named.index);
            self.state.span(&self.gathered, (office, number)).is_some_and(|span| span.owed.contains(place))
        });
        for index in owed.map(|named| named.index).collect::<Vec<_>>() {
            self.message(index)?;
        }
        Ok(())
    }

    fn for_overdue(&mut self, office: OfficeNumber, overdue: &Overdue) -> Result<(), LedgerError> {
        let (Missed::Stage { message, .. } | Missed::FollowUp { message, .. }) = &overdue.missed else {
            return Ok(());
        };
        self.span(office, message.index)?;
        self.message(message.index)
    }

    fn id(&mut self, id: MessageId) -> Result<(), LedgerError> {
        if self.state.ids.may_be_in_pages(id) && !self.gathered.ids.contains_key(&id) {
            self.gathered.ids.insert(id, ids::in_pages(self.table, id)?);
        }
        Ok(())
    }

    fn message(&mut self, index: Index) -> Result<(), LedgerError> {
        let in_memory = self.state.stays_recent(index, self.next)
            || self.additions.messages.binary_search_by_key(&index, |it| it.index).is_ok()
            || self.gathered.messages.contains_key(&index);
        // Of what is to come there is no row yet.
        if in_memory || index >= self.state.mark.next_index {
            return Ok(());
        }
        if let Some(message) = self.messages.at(index)? {
            self.gathered.messages.insert(index, Arc::clone(&message));
        }
        Ok(())
    }

    fn span(&mut self, office: OfficeNumber, index: Index) -> Result<(), LedgerError> {
        let key = (office, Places::of(index).0);
        let in_memory = self.state.spans.contains_key(&key) || self.gathered.spans.contains_key(&key);
        if in_memory || !self.state.may_be_stored(key.1) {
            return Ok(());
        }
        if let Some(span) = stored_span(self.table, key)? {
            self.gathered.spans.insert(key, span);
        }
        Ok(())
    }
}
