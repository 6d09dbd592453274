//! Asking what happened: deliveries, receipts, what is outstanding, one message's history.
//!
//! Owns the listings and who may see which rows. Never gives more than the permit allows; never holds more than a page,
//! and looks at a bounded number of rows for each: a page may be empty and still name a next one.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::log::Reader;
use super::rows::{MessageRow, ReceiptRow};
use super::span::{Places, Span};
use super::state::CLEARING;
use super::store::Direction;
use super::view::{Lane, Page, View};
use super::{LedgerError, keys};
use crate::model::envelope::MessageId;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Desk;
use crate::model::policy::{AuditPermit, OfficeNumber};
use crate::model::receipt::{Action, Stage};

/// Rows that a page looks at, at most: some tens of milliseconds.
pub(super) const LOOKED_MAX: usize = 4096;

/// Outstanding messages that are asked for at once.
const STEP_MAX: usize = 256;

/// Which rows a listing gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    /// What the caller may see.
    pub permit: AuditPermit,
    /// Only this office's rows; `None`: every office's that the caller may see.
    pub office: Option<OfficeNumber>,
}

/// One stage that an office stated of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRow {
    /// The stage.
    pub stage: Stage,
    /// The receipt's index.
    pub receipt: Index,
    /// The desk that stated it.
    pub desk: Desk,
    /// The hub's time of the receipt.
    pub recorded: UnixMicros,
    /// The office's time.
    pub at: UnixMicros,
    /// What was done.
    pub action: Option<Action>,
    /// Why.
    pub reason: String,
}

/// One message owed to one office, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// The message.
    pub message: Arc<MessageRow>,
    /// The office that it is owed to.
    pub office: OfficeNumber,
    /// The stages that the office stated, each as it was first stated, by ascending receipt.
    pub stages: Vec<StageRow>,
    /// What is asked of the office and by when, from the first stage on.
    pub due: Vec<DueRow>,
}

/// One deadline of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueRow {
    /// The stage.
    pub stage: Stage,
    /// When it falls or fell due.
    pub due: UnixMicros,
    /// When the stage, or a later one, was reached; `None`: not yet.
    pub reached: Option<UnixMicros>,
    /// Whether it was missed and is still open.
    pub overdue: bool,
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

/// One message and its deliveries, as far as the caller may see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// The message.
    pub message: Arc<MessageRow>,
    /// A row for each recipient, ascending by number.
    pub deliveries: Vec<DeliveryRow>,
}

impl Default for OutstandingCursor {
    /// The beginning.
    fn default() -> Self {
        Self { office: OfficeNumber(0), lane: Lane::Urgent, index: Index(0) }
    }
}

impl View {
    /// Lists deliveries by ascending index of the message, then by office number. A page ends with a whole message: at
    /// `rows_max` rows or a few more.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn deliveries(
        &self,
        selection: Selection,
        from: Index,
        rows_max: usize,
    ) -> Result<Page<DeliveryRow, Index>, LedgerError> {
        let mut tracer = Tracer::of(self);
        let mut messages = Reader::<MessageRow>::of(self.table());
        let mut rows = Vec::new();
        let mut next = from;
        for _ in 0..LOOKED_MAX {
            let Some(message) = self.checked(messages.from(next))? else {
                return Ok(Page { rows, next: None });
            };
            if rows.len() >= rows_max {
                return Ok(Page { rows, next: Some(message.index) });
            }
            next = message.index.next();
            tracer.deliveries(selection, &message, &mut rows)?;
        }
        Ok(Page { rows, next: Some(next) })
    }

    /// Lists receipts by ascending index, their messages and notices as far as the caller may see them.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn receipts(
        &self,
        selection: Selection,
        from: Index,
        rows_max: usize,
    ) -> Result<Page<Arc<ReceiptRow>, Index>, LedgerError> {
        let mut tracer = Tracer::of(self);
        let mut receipts = Reader::<ReceiptRow>::of(self.table());
        let mut rows = Vec::new();
        let mut next = from;
        for _ in 0..LOOKED_MAX {
            let Some(receipt) = self.checked(receipts.from(next))? else {
                return Ok(Page { rows, next: None });
            };
            if rows.len() >= rows_max {
                return Ok(Page { rows, next: Some(receipt.index) });
            }
            next = receipt.index.next();
            if selection.office.is_none_or(|office| office == receipt.office) {
                rows.extend(tracer.visible(selection.permit, receipt)?);
            }
        }
        Ok(Page { rows, next: Some(next) })
    }

    /// Lists deliveries that have not reached a stage, by office number, then urgent first, then by index.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn outstanding(
        &self,
        selection: Selection,
        stage: Unreached,
        from: OutstandingCursor,
        rows_max: usize,
    ) -> Result<Page<DeliveryRow, OutstandingCursor>, LedgerError> {
        let offices = u16::try_from(self.policy().offices().count()).unwrap_or(u16::MAX);
        let mut tracer = Tracer::of(self);
        let mut rows = Vec::new();
        let mut looked = 0;
        let mut at = from;
        while at.office.0 < offices {
            if rows.len() >= rows_max || looked >= LOOKED_MAX {
                return Ok(Page { rows, next: Some(at) });
            }
            let theirs = selection.office.is_none_or(|office| office == at.office);
            let (found, next) = if theirs { self.unreached(stage, at)? } else { (Vec::new(), None) };
            looked += 1 + found.len();
            for index in found {
                if rows.len() >= rows_max {
                    return Ok(Page { rows, next: Some(OutstandingCursor { index, ..at }) });
                }
                let message = tracer.message(index)?;
                if may_see(selection.permit, message.sender_office, at.office) {
                    rows.push(tracer.delivery(&message, at.office)?);
                }
            }
            at = next.map_or_else(|| at.next_lane(), |index| OutstandingCursor { index, ..at });
        }
        Ok(Page { rows, next: None })
    }

    /// Finds the messages with an id that the caller may see: one for each office that used it.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn find(
        &self,
        permit: AuditPermit,
        id: MessageId,
        sender: Option<OfficeNumber>,
    ) -> Result<Vec<Arc<MessageRow>>, LedgerError> {
        let mut tracer = Tracer::of(self);
        let mut found = Vec::new();
        for (by, index) in self.users_of(id)? {
            if sender.is_none_or(|sender| sender == by) {
                found.push(tracer.message(index)?);
            }
        }
        found.retain(|message| {
            message.recipients.iter().any(|office| may_see(permit, message.sender_office, *office))
        });
        Ok(found)
    }

    /// Tells how far one message is; `None` for what the caller may not see.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn history(&self, permit: AuditPermit, index: Index) -> Result<Option<History>, LedgerError> {
        let Some(message) = self.message(index)? else { return Ok(None) };
        let mut deliveries = Vec::new();
        Tracer::of(self).deliveries(Selection { permit, office: None }, &message, &mut deliveries)?;
        Ok((!deliveries.is_empty()).then_some(History { message, deliveries }))
    }

    /// Lists every receipt about one message, repetitions too, by ascending index, as far as the caller may see them: of
    /// each what it says of this message.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn receipts_about(
        &self,
        permit: AuditPermit,
        message: &MessageRow,
        from: Index,
        rows_max: usize,
    ) -> Result<Page<Arc<ReceiptRow>, Index>, LedgerError> {
        let mut tracer = Tracer::of(self);
        let mut found = BTreeSet::new();
        let mut end: Option<Index> = None;
        for office in &message.recipients {
            if may_see(permit, message.sender_office, *office) {
                let (number, place) = Places::of(message.index);
                let span = tracer.span(*office, number)?;
                found.extend(span.of_place(place).map(|it| it.receipt).filter(|index| *index >= from));
                let unseen = self.repeats(*office, number, from, &mut found)?;
                end = end.into_iter().chain(unseen).min();
            }
        }
        let mut rows = Vec::new();
        for index in found.into_iter().filter(|index| end.is_none_or(|end| *index < end)) {
            if rows.len() >= rows_max {
                return Ok(Page { rows, next: Some(index) });
            }
            let receipt = tracer.receipt(index)?;
            if receipt.messages.contains(&message.index) {
                rows.push(tracer.part(&receipt, vec![message.index])?);
            }
        }
        Ok(Page { rows, next: end })
    }

    /// Finds receipts of an office that repeated something near a span; gives where it stopped looking.
    fn repeats(
        &self,
        office: OfficeNumber,
        span: u64,
        from: Index,
        found: &mut BTreeSet<Index>,
    ) -> Result<Option<Index>, LedgerError> {
        let chunk = span >> keys::SPANS_IN_CHUNK_BITS;
        let to = keys::after(&keys::repeat(office, chunk, Index(u64::MAX)));
        let mut looked = 0;
        let mut end = None;
        let scanned = self.table().scan(
            &keys::repeat(office, chunk, from),
            &to,
            Direction::Ascending,
            &mut |key, _| {
                let Some(receipt) = keys::repeat_receipt(key) else { return ControlFlow::Continue(()) };
                if looked == LOOKED_MAX {
                    end = Some(receipt);
                    return ControlFlow::Break(());
                }
                looked += 1;
                found.insert(receipt);
                ControlFlow::Continue(())
            },
        );
        self.checked(scanned)?;
        Ok(end)
    }

    /// Gives some messages of an office's lane that have not reached a stage, and where to go on; `None`: the lane ends.
    fn unreached(
        &self,
        stage: Unreached,
        at: OutstandingCursor,
    ) -> Result<(Vec<Index>, Option<Index>), LedgerError> {
        if stage == Unreached::Received {
            let found = self.owed_indexes(at.office, at.lane, at.index, STEP_MAX);
            let next = found.last().filter(|_| found.len() == STEP_MAX).map(|index| index.next());
            return Ok((found, next));
        }
        let Some((number, span)) = self.next_span(at.office, Some(Places::of(at.index).0))? else {
            return Ok((Vec::new(), None));
        };
        let lane = match at.lane {
            Lane::Urgent => span.urgent,
            Lane::Other => span.owed.minus(span.urgent),
        };
        let places = lane.minus(span.any_of(stage.reaching()));
        let found =
            places.iter().map(|place| Places::index(number, place)).filter(|index| *index >= at.index);
        Ok((found.collect(), number.checked_add(1).map(|number| Places::index(number, 0))))
    }
}

impl Unreached {
    /// The stages of which one is enough.
    pub(super) fn reaching(self) -> &'static [Stage] {
        match self {
            Self::Received => &CLEARING,
            Self::Read => &CLEARING[1..],
            Self::Acted => &CLEARING[2..],
        }
    }
}

impl OutstandingCursor {
    fn next_lane(self) -> Self {
        let first = Self { index: Index(0), ..self };
        match self.lane {
            Lane::Urgent => Self { lane: Lane::Other, ..first },
            Lane::Other => Self { lane: Lane::Urgent, office: OfficeNumber(self.office.0 + 1), ..first },
        }
    }
}

/// Puts rows together, and keeps what neighbours share.
pub(super) struct Tracer<'a> {
    view: &'a View,
    messages: Reader<'a, MessageRow>,
    receipts: Reader<'a, ReceiptRow>,
    /// The span of each office that was read last.
    spans: BTreeMap<OfficeNumber, (u64, Arc<Span>)>,
}

impl<'a> Tracer<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        let (messages, receipts) = (Reader::of(view.table()), Reader::of(view.table()));
        Self { view, messages, receipts, spans: BTreeMap::new() }
    }

    pub(super) fn message(&mut self, index: Index) -> Result<Arc<MessageRow>, LedgerError> {
        self.view.row(&mut self.messages, index)
    }

    fn receipt(&mut self, index: Index) -> Result<Arc<ReceiptRow>, LedgerError> {
        let missing =
            || LedgerError::row(&keys::group(keys::RECEIPTS, index), "no receipt where another row points");
        let found = self.receipts.at(index).and_then(|found| found.ok_or_else(missing));
        self.view.checked(found)
    }

    fn span(&mut self, office: OfficeNumber, number: u64) -> Result<Arc<Span>, LedgerError> {
        match self.spans.get(&office) {
            Some((kept, span)) if *kept == number => Ok(Arc::clone(span)),
            _ => {
                let span = Arc::new(self.view.span(office, number)?.unwrap_or_default());
                self.spans.insert(office, (number, Arc::clone(&span)));
                Ok(span)
            }
        }
    }

    /// Adds a row for each recipient that the caller may see.
    pub(super) fn deliveries(
        &mut self,
        selection: Selection,
        message: &Arc<MessageRow>,
        rows: &mut Vec<DeliveryRow>,
    ) -> Result<(), LedgerError> {
        let theirs =
            message.recipients.iter().filter(|to| selection.office.is_none_or(|office| office == **to));
        for office in theirs.filter(|to| may_see(selection.permit, message.sender_office, **to)) {
            rows.push(self.delivery(message, *office)?);
        }
        Ok(())
    }

    pub(super) fn delivery(
        &mut self,
        message: &Arc<MessageRow>,
        office: OfficeNumber,
    ) -> Result<DeliveryRow, LedgerError> {
        let (number, place) = Places::of(message.index);
        let span = self.span(office, number)?;
        let stages = span.of_place(place).map(|it| {
            let receipt = self.receipt(it.receipt)?;
            Ok(StageRow {
                stage: it.stage,
                receipt: it.receipt,
                desk: receipt.desk.clone(),
                recorded: receipt.recorded,
                at: receipt.at,
                action: receipt.action,
                reason: receipt.reason.clone(),
            })
        });
        let stages = stages.collect::<Result<Vec<_>, LedgerError>>()?;
        let erased = self.view.state().erasures.order(message.index);
        let due = message.deadlines.each().map(|(stage, within)| {
            let reaching = |it: &&StageRow| (stage..=Stage::Acted).contains(&it.stage);
            DueRow {
                stage,
                due: within.after(message.accepted),
                reached: stages.iter().filter(reaching).map(|it| it.recorded).min(),
                overdue: self.view.is_overdue(office, stage, message),
            }
        });
        // Nothing is asked any more that had not fallen due when the message was ordered to be erased.
        let asked = |it: &DueRow| it.reached.is_some() || erased.is_none_or(|(_, at)| it.due <= at);
        let due = due.filter(asked).collect();
        Ok(DeliveryRow { message: Arc::clone(message), office, stages, due })
    }

    /// Gives a receipt without what the caller may not see of it; `None` where nothing is left.
    fn visible(
        &mut self,
        permit: AuditPermit,
        receipt: Arc<ReceiptRow>,
    ) -> Result<Option<Arc<ReceiptRow>>, LedgerError> {
        let own = match permit {
            AuditPermit::All => return Ok(Some(receipt)),
            AuditPermit::Own(own) if own == receipt.office => return Ok(Some(receipt)),
            AuditPermit::Own(own) => own,
        };
        let mut messages = Vec::new();
        for index in &receipt.messages {
            if self.message(*index)?.sender_office == own {
                messages.push(*index);
            }
        }
        if messages.is_empty() { Ok(None) } else { self.part(&receipt, messages).map(Some) }
    }

    /// Gives what a receipt says of some of its messages, also of how many of them it was the first to say it.
    fn part(&mut self, receipt: &ReceiptRow, messages: Vec<Index>) -> Result<Arc<ReceiptRow>, LedgerError> {
        let mut news = 0;
        for index in &messages {
            let (number, place) = Places::of(*index);
            let span = self.span(receipt.office, number)?;
            news += u32::from(span.of_place(place).any(|it| it.receipt == receipt.index));
        }
        Ok(Arc::new(ReceiptRow { messages, notices: Vec::new(), news, ..receipt.clone() }))
    }
}

/// Tells whether a caller may see what became of a message at a recipient.
pub(super) fn may_see(permit: AuditPermit, sender: OfficeNumber, recipient: OfficeNumber) -> bool {
    match permit {
        AuditPermit::All => true,
        AuditPermit::Own(own) => own == sender || own == recipient,
    }
}
