//! What follows from an entry. Pure: the same entries over the same state give the same outcomes.
//!
//! Owns the rules: first, repeated and reused ids; foreign references; what was owed. Never reads a store, a clock or a
//! configuration: policy is what the entries before this one say.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::LedgerError;
use super::amendments::AmendmentRow;
use super::checks::{all_owed, between_its_offices, own_references, same_message};
use super::entry::{Decoded, Outcome, Statement};
use super::erasures::{self, ErasureRow};
use super::keys;
use super::missed;
use super::months::Owed;
use super::overdue::{ClockRow, OverdueRow};
use super::rows::{MessageRow, ReceiptRow, RenewalRow};
use super::span::Places;
use super::state::{Gathered, State, by_span};
use crate::model::amendment::SignedEntry;
use crate::model::envelope::{Envelope, MessageId};
use crate::model::epoch::Begun;
use crate::model::erasure::ErasureOrder;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::obligation::ObligationNumber;
use crate::model::overdue::Overdue;
use crate::model::policy::{OfficeNumber, Policy};
use crate::model::receipt::{MessageRef, Receipt, Stage};
use crate::model::refusal::{Reason, Refusal};
use crate::model::renewal::{Renewal, Renewals};

/// An entry of which all is decided that policy alone decides.
pub(super) enum Prepared<'a> {
    /// A message.
    Publish {
        /// The caller's office, if the directory holds it and the envelope is in its name.
        office: Option<OfficeNumber>,
        /// Its envelope.
        envelope: &'a Envelope,
        /// The envelope's digest.
        digest: &'a [u8; 32],
        /// What is kept of it, if policy lets it pass.
        row: Result<Arc<MessageRow>, Refusal>,
        /// The monthly obligations that it may count for, with their days of grace.
        monthly: Vec<(ObligationNumber, u32)>,
        /// The office that sent the message which it is about, and that one's id.
        about: Option<(OfficeNumber, MessageId)>,
    },
    /// An amendment that was taken in.
    Amendment {
        /// The entry.
        entry: &'a Decoded,
        /// Policy with it.
        policy: Arc<Policy>,
    },
    /// A receipt that policy lets pass.
    Receipt {
        /// The entry.
        entry: &'a Decoded,
        /// The receipt.
        receipt: &'a Receipt,
        /// The office that states it.
        office: OfficeNumber,
    },
    /// Something that an office of the directory is said to have missed.
    Overdue {
        /// The entry.
        entry: &'a Decoded,
        /// What was missed.
        overdue: &'a Overdue,
        /// The office.
        office: OfficeNumber,
        /// The obligation that asks for it, by number, with its days of grace after a month.
        obligation: Option<(ObligationNumber, u32)>,
        /// Headquarters, if there are any.
        headquarters: Option<OfficeNumber>,
    },
    /// An order to erase a message, by a desk that may give it.
    Erase {
        /// The entry.
        entry: &'a Decoded,
        /// The order.
        order: &'a ErasureOrder,
        /// Where the message stands.
        message: Index,
        /// That desk's office.
        office: OfficeNumber,
    },
    /// The hub's word that payloads have been kept long enough.
    RetentionEnd {
        /// The entry.
        entry: &'a Decoded,
        /// Up to which message.
        until: Index,
        /// Days that policy asks for.
        days: u32,
    },
    /// A record of the hub's clock, by somebody who may make it.
    Clock(ClockRow),
    /// Nothing is left to decide.
    Done(Outcome),
}

/// What entries add to the log of the ledger.
#[derive(Default)]
pub(super) struct Additions {
    /// Accepted messages.
    pub(super) messages: Vec<Arc<MessageRow>>,
    /// Recorded receipts.
    pub(super) receipts: Vec<Arc<ReceiptRow>>,
    /// Amendments that were taken in.
    pub(super) amendments: Vec<Arc<AmendmentRow>>,
    /// What was taken in about renewals.
    pub(super) renewals: Vec<Arc<RenewalRow>>,
    /// Epochs that began.
    pub(super) epochs: Vec<Arc<Begun>>,
    /// Deadlines that were missed.
    pub(super) overdue: Vec<Arc<OverdueRow>>,
    /// Records of the clock that counted.
    pub(super) clock: Vec<Arc<ClockRow>>,
    /// Erasures that count.
    pub(super) erasures: Vec<Arc<ErasureRow>>,
    /// What is owed each month and changed.
    pub(super) months: BTreeSet<Owed>,
    /// Keys of repetitions.
    pub(super) repeats: Vec<Bytes>,
    /// Keys of accepted messages' files.
    pub(super) files: Vec<Bytes>,
    /// Offices for which something became outstanding.
    pub(super) owed: BTreeSet<OfficeNumber>,
    /// How long after its acceptance each message was first received by an office.
    pub(super) received_after_us: Vec<u64>,
}

/// Asks policy, and takes in amendments and renewals.
pub(super) fn prepare<'a>(
    policy: &mut Arc<Policy>,
    renewals: &mut Arc<Renewals>,
    additions: &mut Additions,
    entry: &'a Decoded,
) -> Prepared<'a> {
    let outcome = match &entry.statement {
        Statement::Publish { envelope, digest } => return prepare_publish(policy, entry, envelope, digest),
        Statement::Receipt(receipt) => {
            let permit = caller(entry).and_then(|caller| policy.permit_receipt(caller, &receipt.desk));
            match permit {
                Ok(office) => return Prepared::Receipt { entry, receipt, office },
                Err(refusal) => Outcome::Refused(refusal),
            }
        }
        Statement::Amendment(signed) => match take_in(policy, entry, signed) {
            Ok(()) => {
                let signed = Arc::clone(signed);
                additions.amendments.push(Arc::new(AmendmentRow { index: entry.index, signed }));
                return Prepared::Amendment { entry, policy: Arc::clone(policy) };
            }
            Err(refusal) => Outcome::Refused(refusal),
        },
        Statement::Renewal(renewal) => match take_renewal(policy, renewals, entry, renewal) {
            Ok(row) => {
                additions.renewals.push(Arc::new(row));
                Outcome::Noted
            }
            Err(refusal) => Outcome::Refused(refusal),
        },
        Statement::Epoch(epoch) => match caller(entry) {
            Ok(Identity::Hub(_)) => {
                additions.epochs.push(Arc::new(Begun { epoch: *epoch, first: entry.index }));
                Outcome::Noted
            }
            Ok(other) => {
                let message = format!("only the hub begins an epoch of its log; the caller is {other}");
                Outcome::Refused(Refusal::new(Reason::RoleNotAllowed, message))
            }
            Err(refusal) => Outcome::Refused(refusal),
        },
        Statement::Erasure(erasure) => return erasures::prepare(policy, entry, erasure),
        Statement::Overdue(overdue) => return missed::prepare_overdue(policy, entry, overdue),
        Statement::Clock(record) => return missed::prepare_clock(policy, entry, *record),
        Statement::Refusal => Outcome::Noted,
        Statement::Undecodable(refusal) => Outcome::Refused(refusal.clone()),
    };
    Prepared::Done(outcome)
}

fn prepare_publish<'a>(
    policy: &Policy,
    entry: &Decoded,
    envelope: &'a Envelope,
    digest: &'a [u8; 32],
) -> Prepared<'a> {
    let office = match &entry.caller {
        Some(Identity::Desk(desk)) if desk.office == envelope.sender.office => policy.number(&desk.office),
        _ => None,
    };
    let permit = caller(entry).and_then(|caller| policy.permit_publish(caller, envelope));
    let mut row = permit.map(|permit| {
        let mut recipients = permit.recipients;
        recipients.sort_unstable();
        Arc::new(MessageRow {
            index: entry.index,
            message_id: envelope.message_id,
            accepted: entry.time,
            sender: envelope.sender.clone(),
            sender_office: permit.sender,
            stream: envelope.stream.clone(),
            class: envelope.class,
            priority: envelope.priority,
            status: envelope.status,
            msg_type: envelope.msg_type,
            expires: envelope.expires,
            recipients,
            digest: *digest,
            deadlines: policy.deadlines_of(envelope),
            follow_ups: Vec::new(),
            thread: None,
            answers: Vec::new(),
            about: None,
        })
    });
    let monthly = row.as_mut().map_or_else(|_| Vec::new(), |row| missed::obliged(policy, envelope, row));
    let about = envelope.about.as_ref();
    let about = about.and_then(|it| Some((policy.number(&it.office)?, it.message_id)));
    Prepared::Publish { office, envelope, digest, row, monthly, about }
}

fn take_in(policy: &mut Arc<Policy>, entry: &Decoded, signed: &Arc<SignedEntry>) -> Result<(), Refusal> {
    match caller(entry)? {
        // At the founding, before anybody is enrolled.
        Identity::Hub(_) if policy.entries().is_empty() => {}
        other => policy.permit_amend(other).map(|_| ())?,
    }
    Arc::make_mut(policy).amend(signed)
}

fn take_renewal(
    policy: &Policy,
    renewals: &mut Arc<Renewals>,
    entry: &Decoded,
    renewal: &Renewal,
) -> Result<RenewalRow, Refusal> {
    let by = caller(entry)?;
    match renewal {
        Renewal::Asked { .. } => policy.admit(by)?,
        Renewal::Answered { .. } => policy.permit_operate(by).map(|_| ())?,
    }
    Arc::make_mut(renewals).take(entry.index, by, renewal)?;
    Ok(RenewalRow { index: entry.index, by: by.clone(), renewal: renewal.clone() })
}

pub(super) fn caller(entry: &Decoded) -> Result<&Identity, Refusal> {
    entry.caller.as_ref().ok_or_else(|| {
        let message = "the entry's identity is not of the form urn:resguardo:<role>:<name>";
        Refusal::new(Reason::IdentityMalformed, message)
    })
}

/// Decides entries over a state.
pub(super) struct Deciding<'a> {
    /// The state, changed by each entry.
    pub(super) state: &'a mut State,
    /// What the entries need of the store.
    pub(super) gathered: &'a Gathered,
    /// What the batch added so far.
    pub(super) additions: &'a mut Additions,
}

impl Deciding<'_> {
    /// Decides one entry.
    pub(super) fn decide(&mut self, prepared: Prepared<'_>) -> Result<Outcome, LedgerError> {
        match prepared {
            Prepared::Publish { office, envelope, digest, row, monthly, about } => {
                self.publish((office, about), envelope, digest, row, &monthly)
            }
            Prepared::Amendment { entry, policy } => {
                self.state.months.follow(&policy, entry.time, &mut self.additions.months);
                Ok(Outcome::Noted)
            }
            Prepared::Receipt { entry, receipt, office } => self.receipt(entry, receipt, office),
            Prepared::Overdue { entry, overdue, office, obligation, headquarters } => {
                Ok(self.overdue(entry, overdue, (office, obligation), headquarters))
            }
            Prepared::Erase { entry, order, message, office } => self.erase(entry, order, office, message),
            Prepared::RetentionEnd { entry, until, days } => Ok(self.end_retention(entry, until, days)),
            Prepared::Clock(row) => {
                // The first suspension counts until it is confirmed.
                if self.state.suspended.is_some() != row.suspended.is_some() {
                    self.state.set_clock(row);
                    self.additions.clock.push(Arc::new(row));
                }
                Ok(Outcome::Noted)
            }
            Prepared::Done(outcome) => Ok(outcome),
        }
    }

    fn publish(
        &mut self,
        (office, about): (Option<OfficeNumber>, Option<(OfficeNumber, MessageId)>),
        envelope: &Envelope,
        digest: &[u8; 32],
        row: Result<Arc<MessageRow>, Refusal>,
        monthly: &[(ObligationNumber, u32)],
    ) -> Result<Outcome, LedgerError> {
        let id = envelope.message_id;
        // Before policy: what was accepted once is answered so for ever, also when policy has changed since.
        if let Some(first) = office.and_then(|office| self.index_of(id, office)) {
            let first = self.message(first).ok_or_else(|| missing(first))?;
            return Ok(if first.digest == *digest {
                Outcome::Accepted { index: first.index, time: first.accepted, duplicate: true }
            } else {
                Outcome::Refused(id.reused(first.index))
            });
        }
        let mut row = match row {
            Ok(row) => row,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        if let Err(refusal) = own_references(envelope, row.sender_office, |id| self.users_of(id)) {
            return Ok(Outcome::Refused(refusal));
        }
        let about = about.and_then(|(office, id)| self.message(self.index_of(id, office)?));
        let known = about.map(|about| (&**about, self.state.erasures.of(about.index).is_some()));
        let offices = (row.sender_office, row.recipients.as_slice());
        if let Err(refusal) = between_its_offices(envelope, offices, known) {
            return Ok(Outcome::Refused(refusal));
        }
        if let Some(about) = about.map(|it| MessageRef { index: it.index, message_id: it.message_id }) {
            Arc::make_mut(&mut row).about = Some(about);
        }
        self.fulfil(envelope, &mut row, monthly);
        self.state.deliver(&row);
        self.additions.owed.extend(&row.recipients);
        let outcome = Outcome::Accepted { index: row.index, time: row.accepted, duplicate: false };
        let files = envelope.files.iter().map(|file| keys::file(row.sender_office, &file.digest, row.index));
        self.additions.files.extend(files.map(Bytes::from));
        self.additions.messages.push(row);
        Ok(outcome)
    }

    fn receipt(
        &mut self,
        entry: &Decoded,
        receipt: &Receipt,
        office: OfficeNumber,
    ) -> Result<Outcome, LedgerError> {
        let messages = match self.owed_messages(receipt, office)? {
            Ok(messages) => messages,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        if !self.state.lanes.is_free(office) {
            for named in &receipt.messages {
                let message = self.message(named.index).cloned().ok_or_else(|| missing(named.index))?;
                self.state.reach(office, receipt.stage, &message, entry.time);
            }
        }
        let mut named: Vec<_> = receipt.messages.iter().map(|it| it.index).collect();
        named.extend(&receipt.notices);
        named.sort_unstable();
        let named = by_span(named);
        let done = self.state.acknowledge(self.gathered, office, receipt.stage, entry.index, &named);
        let news = done.news.iter().map(|(_, places)| places.len()).sum();
        let is_news = |index: Index| {
            let (number, place) = Places::of(index);
            let at = done.news.binary_search_by_key(&number, |(span, _)| *span);
            at.is_ok_and(|at| done.news[at].1.contains(place))
        };
        let about: BTreeSet<_> = receipt
            .messages
            .iter()
            .zip(&messages)
            .filter(|(it, _)| is_news(it.index))
            .map(|(_, (by, _))| *by)
            .collect();
        if receipt.stage == Stage::Received {
            let new = receipt.messages.iter().zip(&messages).filter(|(it, _)| is_news(it.index));
            let after_us = new.map(|(_, (_, accepted))| entry.time.0.saturating_sub(accepted.0));
            self.additions.received_after_us.extend(after_us);
        }
        if matches!(receipt.stage, Stage::Declined | Stage::Unreadable) {
            for sender in &about {
                self.state.owe_notice(*sender, entry.index);
                self.additions.owed.insert(*sender);
            }
        }
        for (span, _) in &done.repeats {
            let chunk = span >> keys::SPANS_IN_CHUNK_BITS;
            self.additions.repeats.push(keys::repeat(office, chunk, entry.index).into());
        }
        self.additions.receipts.push(Arc::new(row_of(entry, receipt, office, news)));
        // The time of a first receipt is in its row: filled in by who can read it.
        let index = done.last_first.filter(|_| news == 0).unwrap_or(entry.index);
        Ok(Outcome::Recorded { index, time: entry.time, news, about: about.into_iter().collect() })
    }

    /// Checks that an office was owed all that a receipt names; gives the sender and acceptance of each message.
    fn owed_messages(
        &self,
        receipt: &Receipt,
        office: OfficeNumber,
    ) -> Result<Result<Vec<(OfficeNumber, UnixMicros)>, Refusal>, LedgerError> {
        let span_of = |index| self.state.span(self.gathered, (office, Places::of(index).0));
        let checked = all_owed(receipt, span_of);
        let checked = checked.and_then(|()| erasures::all_erased(receipt, &self.state.erasures));
        if let Err(refusal) = checked {
            return Ok(Err(refusal));
        }
        let mut messages = Vec::with_capacity(receipt.messages.len());
        for named in &receipt.messages {
            // Owed, so accepted: a refusal here would be another answer than a replay gives.
            let message = self.message(named.index).ok_or_else(|| missing(named.index))?;
            if let Err(refusal) = same_message(named, message) {
                return Ok(Err(refusal));
            }
            messages.push((message.sender_office, message.accepted));
        }
        Ok(Ok(messages))
    }

    pub(super) fn index_of(&self, id: MessageId, office: OfficeNumber) -> Option<Index> {
        self.state.ids.index((id, office)).or_else(|| {
            let stored = self.gathered.ids.get(&id)?;
            stored.iter().find(|(by, _)| *by == office).map(|(_, index)| *index)
        })
    }

    fn users_of(&self, id: MessageId) -> BTreeSet<OfficeNumber> {
        let stored = self.gathered.ids.get(&id).into_iter().flatten().copied();
        self.state.ids.of(id).chain(stored).map(|(office, _)| office).collect()
    }

    pub(super) fn message(&self, index: Index) -> Option<&Arc<MessageRow>> {
        let added = || {
            let messages = &self.additions.messages;
            messages.binary_search_by_key(&index, |it| it.index).ok().map(|place| &messages[place])
        };
        self.state.recent(index).or_else(added).or_else(|| self.gathered.messages.get(&index))
    }
}

fn row_of(entry: &Decoded, receipt: &Receipt, office: OfficeNumber, news: u32) -> ReceiptRow {
    ReceiptRow {
        index: entry.index,
        recorded: entry.time,
        desk: receipt.desk.clone(),
        office,
        stage: receipt.stage,
        messages: receipt.messages.iter().map(|it| it.index).collect(),
        notices: receipt.notices.clone(),
        at: receipt.at,
        action: receipt.action,
        reason: receipt.reason.clone(),
        news,
    }
}

pub(super) fn missing(index: Index) -> LedgerError {
    LedgerError::row(&keys::group(keys::MESSAGES, index), "no message where its id points")
}
