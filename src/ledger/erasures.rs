//! What is no longer kept: orders to erase a message, and how far the time is over for which payloads are kept.
//!
//! Owns the rows, what memory holds of them, and what follows from an erasure. Never touches a payload: whoever carries an
//! erasure out asks here what is to be erased.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use prost::Message;

use super::decide::{Deciding, Prepared, caller, missing};
use super::entry::{Decoded, Outcome};
use super::log::{self, Reader, Record};
use super::rows::{MessageRow, ReceiptRow, name, office};
use super::state::State;
use super::table::Table;
use super::view::{Page, View};
use super::{LedgerError, keys};
use crate::model::envelope::MessageId;
use crate::model::erasure::{Erasure, ErasureOrder, OrderedBy, is_over};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::policy::{AuditPermit, OfficeNumber, Policy};
use crate::model::receipt::{Covered, Receipt, Stage};
use crate::model::refusal::{Reason, Refusal};

/// Receipts that are looked through at once for notes.
const NOTES_PAGE: usize = 256;

/// An erasure that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureRow {
    /// Its index.
    pub index: Index,
    /// The hub's time of the entry.
    pub recorded: UnixMicros,
    /// What is no longer kept.
    pub what: Erased,
}

/// What is no longer kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// One message, by an order.
    Message {
        /// The message.
        message: Index,
        /// Who ordered it.
        by: OrderedBy,
        /// The office that sent it.
        office: OfficeNumber,
        /// Why.
        reason: String,
    },
    /// Every payload up to a message.
    Until(Index),
}

/// Where a message stands that an office sent, and the order to erase it, by the entry's index and time.
pub type Sent = (Index, Option<(Index, UnixMicros)>);

/// What memory holds of erasures.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    /// The first order for each message: its index and time.
    ordered: BTreeMap<Index, (Index, UnixMicros)>,
    /// Up to which message each end of a retention goes, with the entry's index and time; ascending.
    ended: Vec<(Index, Index, UnixMicros)>,
}

impl Erasures {
    /// Reads those before an index.
    pub(super) fn load(table: &Table, before: Index) -> Result<Self, LedgerError> {
        let mut erasures = Self::default();
        log::each(table, Index(0), |row: Arc<ErasureRow>| {
            if row.index >= before {
                return Ok(ControlFlow::Break(()));
            }
            erasures.take(&row);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(erasures)
    }

    fn take(&mut self, row: &ErasureRow) {
        match row.what {
            Erased::Message { message, .. } => {
                self.ordered.entry(message).or_insert((row.index, row.recorded));
            }
            Erased::Until(until) => self.ended.push((until, row.index, row.recorded)),
        }
    }

    /// The erasure of a message that counts, by the entry's index and time: the order, if there is one.
    pub(super) fn of(&self, message: Index) -> Option<(Index, UnixMicros)> {
        self.ordered.get(&message).copied().or_else(|| {
            let first = self.ended.partition_point(|(until, ..)| *until < message);
            self.ended.get(first).map(|(_, index, recorded)| (*index, *recorded))
        })
    }

    /// The order to erase a message, by the entry's index and time.
    pub(super) fn order(&self, message: Index) -> Option<(Index, UnixMicros)> {
        self.ordered.get(&message).copied()
    }

    /// From where on payloads have not been kept long enough, as far as was said.
    pub(super) fn kept_from(&self) -> Index {
        self.ended.last().map_or(Index(0), |(until, ..)| until.next())
    }
}

/// Asks policy about an erasure.
pub(super) fn prepare<'a>(policy: &Policy, entry: &'a Decoded, erasure: &'a Erasure) -> Prepared<'a> {
    let by = match caller(entry) {
        Ok(by) => by,
        Err(refusal) => return Prepared::Done(Outcome::Refused(refusal)),
    };
    match (erasure, by) {
        (Erasure::Order { order, message }, by) => match policy.permit_erase(by, order) {
            Ok(office) => Prepared::Erase { entry, order, message: *message, office },
            Err(refusal) => Prepared::Done(Outcome::Refused(refusal)),
        },
        (Erasure::Retention { until }, Identity::Hub(_)) => {
            Prepared::RetentionEnd { entry, until: *until, days: policy.retention_days() }
        }
        (Erasure::Retention { .. }, other) => {
            let message = format!("only the hub says how long it has kept what; the caller is {other}");
            Prepared::Done(Outcome::Refused(Refusal::new(Reason::RoleNotAllowed, message)))
        }
    }
}

impl Deciding<'_> {
    /// Decides an order: of a message that the office sent, the first one counts.
    pub(super) fn erase(
        &mut self,
        entry: &Decoded,
        order: &ErasureOrder,
        office: OfficeNumber,
        index: Index,
    ) -> Result<Outcome, LedgerError> {
        if self.index_of(order.message_id, office) != Some(index) {
            return Ok(Outcome::Refused(unknown(order.message_id)));
        }
        if let Some((index, time)) = self.state.erasures.order(index) {
            return Ok(Outcome::Erased { index, time, duplicate: true });
        }
        let message = self.message(index).cloned().ok_or_else(|| missing(index))?;
        let what =
            Erased::Message { message: index, by: order.by.clone(), office, reason: order.reason.clone() };
        let row = ErasureRow { index: entry.index, recorded: entry.time, what };
        self.state.erase(&row, Some(&message));
        self.additions.owed.extend(told(&message));
        self.additions.erasures.push(Arc::new(row));
        Ok(Outcome::Erased { index: entry.index, time: entry.time, duplicate: false })
    }

    /// Decides whether payloads have been kept as long as policy asks, up to a message.
    pub(super) fn end_retention(&mut self, entry: &Decoded, until: Index, days: u32) -> Outcome {
        let over = self.message(until).is_some_and(|message| is_over(message.accepted, days, entry.time));
        if over && until >= self.state.erasures.kept_from() && self.state.suspended.is_none() {
            let row = ErasureRow { index: entry.index, recorded: entry.time, what: Erased::Until(until) };
            self.state.erase(&row, None);
            self.additions.erasures.push(Arc::new(row));
        }
        Outcome::Noted
    }
}

impl State {
    /// Takes in an erasure. After an order nothing is asked of anybody about the message any more, but to erase it: what
    /// fell due before is not unsaid.
    pub(super) fn erase(&mut self, row: &ErasureRow, message: Option<&MessageRow>) {
        self.erasures.take(row);
        let Some(message) = message else { return };
        for office in &message.recipients {
            self.reach(*office, Stage::Acted, message, row.recorded);
            self.seen(*office, message.index);
        }
        for office in told(message) {
            self.owe_notice(office, row.index);
        }
    }
}

/// Who is told that a message is to be erased: who received it, and the other desks of the office that sent it.
fn told(message: &MessageRow) -> impl Iterator<Item = OfficeNumber> {
    let sender = Some(message.sender_office).filter(|sender| !message.recipients.contains(sender));
    message.recipients.iter().copied().chain(sender)
}

/// Checks that what an office says to have erased was to be erased.
///
/// # Errors
/// [`Reason::NotErased`]
pub(super) fn all_erased(receipt: &Receipt, erasures: &Erasures) -> Result<(), Refusal> {
    let kept = |named: &&Covered| erasures.of(named.index).is_none();
    match receipt.messages.iter().find(kept).filter(|_| receipt.stage == Stage::Erased) {
        None => Ok(()),
        Some(named) => {
            let message = format!(
                "message {} is kept: nobody has ordered it to be erased, so it cannot be `erased`",
                named.message_id
            );
            Err(Refusal::new(Reason::NotErased, message).of_field("messages"))
        }
    }
}

fn unknown(id: MessageId) -> Refusal {
    let message = format!("the office has sent no message {id}: it can have its own messages erased alone");
    Refusal::new(Reason::MessageUnknown, message).of_field("message_id")
}

impl View {
    /// Checks, before an order is put in order, that the office sent the message. Gives its index, and the first order where
    /// there was one.
    ///
    /// # Errors
    /// [`LedgerError`], each. The refusal, [`Reason::MessageUnknown`], is in the answer.
    pub fn check_order(
        &self,
        office: OfficeNumber,
        id: MessageId,
    ) -> Result<Result<Sent, Refusal>, LedgerError> {
        let sent = self.known(office, id)?;
        Ok(sent.ok_or_else(|| unknown(id)).map(|message| {
            let state = self.state();
            let order = state.erasures.order(message.index);
            (message.index, order.filter(|(index, _)| *index < state.mark.next_index))
        }))
    }

    /// Tells whether the payload of the message at an index is no longer kept.
    pub fn is_erased(&self, message: Index) -> bool {
        let state = self.state();
        state.erasures.of(message).is_some_and(|(index, _)| index < state.mark.next_index)
    }

    /// The erasure of a message, if its payload is no longer kept.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn erasure_of(&self, message: Index) -> Result<Option<Arc<ErasureRow>>, LedgerError> {
        let erasure = self.state().erasures.of(message);
        match erasure {
            Some((index, _)) => self.checked(Reader::of(self.table()).at(index)),
            None => Ok(None),
        }
    }

    /// Up to which message payloads have been kept long enough by a time, and that was not said yet. It looks at
    /// `messages_max` messages; `None`: at none that is due.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn retention_due(&self, now: UnixMicros, messages_max: usize) -> Result<Option<Index>, LedgerError> {
        let (mut next, days) = (self.state().erasures.kept_from(), self.policy().retention_days());
        let mut messages = Reader::<MessageRow>::of(self.table());
        let mut due = None;
        for _ in 0..messages_max {
            let Some(message) = self.checked(messages.from(next))? else { break };
            if !is_over(message.accepted, days, now) {
                break;
            }
            due = Some(message.index);
            next = message.index.next();
        }
        Ok(due)
    }

    /// Lists erasures by ascending index, as far as the caller may see them.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn erasures(
        &self,
        (permit, sender): (AuditPermit, Option<OfficeNumber>),
        from: Index,
        rows_max: usize,
    ) -> Result<Page<Arc<ErasureRow>, Index>, LedgerError> {
        let mut erasures = Reader::<ErasureRow>::of(self.table());
        let mut rows = Vec::new();
        let mut next = from;
        for _ in 0..super::audit::LOOKED_MAX {
            let Some(row) = self.checked(erasures.from(next))? else { return Ok(Page { rows, next: None }) };
            if rows.len() >= rows_max {
                return Ok(Page { rows, next: Some(row.index) });
            }
            next = row.index.next();
            if self.concerns((permit, sender), &row)? {
                rows.push(row);
            }
        }
        Ok(Page { rows, next: Some(next) })
    }

    fn concerns(
        &self,
        (permit, sender): (AuditPermit, Option<OfficeNumber>),
        row: &ErasureRow,
    ) -> Result<bool, LedgerError> {
        let (message, by) = match &row.what {
            Erased::Message { message, office, .. } => (*message, *office),
            Erased::Until(_) => return Ok(sender.is_none()),
        };
        if sender.is_some_and(|sender| sender != by) {
            return Ok(false);
        }
        let AuditPermit::Own(own) = permit else { return Ok(true) };
        Ok(own == by || self.message(message)?.is_some_and(|row| row.recipients.contains(&own)))
    }

    /// The messages whose payloads the erasures from an index on take away, up to another: what is to be carried out.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn to_erase(&self, row: &ErasureRow, before: Index) -> Result<Vec<Arc<MessageRow>>, LedgerError> {
        let mut messages = Reader::<MessageRow>::of(self.table());
        let (mut next, until) = match row.what {
            Erased::Message { message, .. } => (message, message),
            Erased::Until(until) => (before, until),
        };
        let mut found = Vec::new();
        while let Some(message) = self.checked(messages.from(next))?
            && message.index <= until
        {
            next = message.index.next();
            found.push(message);
        }
        Ok(found)
    }
}

impl View {
    /// The notes that go with receipts about a message, by the indexes of these: they are erased with it.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn notes_about(&self, message: &MessageRow) -> Result<Vec<Index>, LedgerError> {
        let (mut notes, mut next) = (Vec::new(), Some(Index(0)));
        while let Some(from) = next {
            let page = self.receipts_about(AuditPermit::All, message, from, NOTES_PAGE)?;
            notes.extend(page.rows.iter().filter(|row| row.stage.is_persons()).map(|row| row.index));
            next = page.next;
        }
        Ok(notes)
    }

    /// Tells whether what stands beside an entry is not to be kept: a message's payload, or a note about it.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn is_to_go(&self, index: Index) -> Result<bool, LedgerError> {
        if self.is_erased(index) {
            return Ok(true);
        }
        let receipt = self.checked(Reader::<ReceiptRow>::of(self.table()).at(index))?;
        Ok(receipt.is_some_and(|row| row.messages.iter().any(|message| self.is_erased(*message))))
    }
}

impl Record for ErasureRow {
    const LETTER: u8 = keys::ERASURES;

    fn index(&self) -> Index {
        self.index
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let recorded = self.recorded.0;
        let bytes = match &self.what {
            Erased::Message { message, by, office, reason } => {
                let (desk, registrar, sender) = match by {
                    OrderedBy::Desk(desk) => (desk.to_string(), String::new(), String::new()),
                    OrderedBy::Registrar { name, sender } => {
                        (String::new(), name.to_string(), sender.to_string())
                    }
                };
                let (message, number, reason) = (Some(message.0), office.0.into(), reason.clone());
                ErasureBytes { recorded, message, number, desk, registrar, sender, reason, until: None }
            }
            Erased::Until(until) => {
                ErasureBytes { recorded, until: Some(until.0), ..ErasureBytes::default() }
            }
        };
        bytes.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = ErasureBytes::decode(bytes).map_err(|error| error.to_string())?;
        let what = match (it.message, it.until) {
            (Some(message), None) => {
                let by = match it.registrar.as_str() {
                    "" => match it.desk.parse() {
                        Ok(Identity::Desk(desk)) => OrderedBy::Desk(desk),
                        _ => return Err(format!("{:?} is not a desk", it.desk)),
                    },
                    registrar => OrderedBy::Registrar { name: name(registrar)?, sender: name(&it.sender)? },
                };
                Erased::Message { message: Index(message), by, office: office(it.number)?, reason: it.reason }
            }
            (None, Some(until)) => Erased::Until(Index(until)),
            _ => return Err("nothing that can be erased".into()),
        };
        Ok(Self { index, recorded: UnixMicros(it.recorded), what })
    }
}

#[derive(Clone, PartialEq, Message)]
struct ErasureBytes {
    #[prost(uint64, tag = "1")]
    recorded: u64,
    #[prost(uint64, optional, tag = "2")]
    message: Option<u64>,
    #[prost(uint32, tag = "3")]
    number: u32,
    #[prost(string, tag = "4")]
    desk: String,
    #[prost(string, tag = "5")]
    registrar: String,
    #[prost(string, tag = "6")]
    reason: String,
    #[prost(uint64, optional, tag = "7")]
    until: Option<u64>,
    #[prost(string, tag = "8")]
    sender: String,
}
