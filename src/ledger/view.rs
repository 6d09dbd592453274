//! Reading the ledger: policy, duplicates, what is owed, for the hub's door and its sessions.
//!
//! Owns no state of its own: a cheap handle on what was decided. Never changes a row, never waits for a write.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::amendments::AmendmentRow;
use super::erasures::all_erased;
use super::gather::stored_span;
use super::log::{self, Reader};
use super::outstanding::Outstanding;
use super::rows::{MessageRow, ReceiptRow};
use super::span::{Places, Span};
use super::state::State;
use super::store::Direction;
use super::table::Table;
use super::{LedgerError, Shared, checks as rules, ids, keys};
use crate::model::entry::Mark;
use crate::model::envelope::{Envelope, FileDigest, MessageId};
use crate::model::epoch::Epochs;
use crate::model::id::{Index, UnixMicros};
use crate::model::policy::{OfficeNumber, Policy, PublishPermit};
use crate::model::receipt::Receipt;
use crate::model::refusal::Refusal;
use crate::model::renewal::Renewals;

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
    /// A notice, by the index of its entry: a `declined` or `unreadable` receipt on one of the office's own messages, or
    /// what another office missed.
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

/// What is open at an office. What is not real is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Urgent messages that are outstanding and real.
    pub urgent: u64,
    /// Other messages that are outstanding and real.
    pub other: u64,
    /// Messages that are outstanding and not real: exercises, tests, drafts and what is about the exchange itself.
    pub drills: u64,
    /// Notices that are outstanding.
    pub notices: u64,
    /// Urgent, real messages, received or not, of which the office has stated neither `read` nor `acted`.
    pub unread: u64,
    /// The oldest of these.
    pub oldest_unread: Option<Index>,
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
pub struct View {
    shared: Arc<Shared>,
}

impl View {
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The policy as of the last decided batch.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.shared.state().policy)
    }

    /// The renewals as of the last decided batch.
    pub fn renewals(&self) -> Arc<Renewals> {
        Arc::clone(&self.shared.state().renewals)
    }

    /// The epochs of the log as of the last decided batch. While a hub runs none begins.
    pub fn epochs(&self) -> Arc<Epochs> {
        Arc::clone(&self.shared.state().epochs)
    }

    /// Where the ledger stands: after the last decided batch.
    pub fn decided(&self) -> Mark {
        self.shared.state().mark
    }

    /// After the last batch whose rows are in the store.
    pub fn written(&self) -> Mark {
        self.shared.written()
    }

    /// Tells how many bytes the store takes on disk.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub fn disk_bytes(&self) -> Result<u64, LedgerError> {
        Ok(self.shared.table.disk_bytes()?)
    }

    /// Tells whether an office published under this id before.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn known(&self, office: OfficeNumber, id: MessageId) -> Result<Option<Known>, LedgerError> {
        let state = self.shared.state();
        let (index, next) = (state.ids.index((id, office)), state.mark.next_index);
        let recent = index.and_then(|index| state.recent(index).cloned());
        let ask_pages = index.is_none() && state.ids.may_be_in_pages(id);
        drop(state);
        let index = if ask_pages {
            let offices = self.checked(ids::in_pages(&self.shared.table, id))?;
            offices.into_iter().find(|(by, _)| *by == office).map(|(_, index)| index)
        } else {
            index
        };
        // Of a batch that is being decided nothing is known yet.
        let Some(index) = index.filter(|index| *index < next) else { return Ok(None) };
        let message = match recent {
            Some(message) => message,
            None => self.message_at(index)?,
        };
        Ok(Some(Known { index, time: message.accepted, digest: message.digest }))
    }

    /// Counts what is outstanding for an office.
    pub fn owed_count(&self, office: OfficeNumber) -> OwedCount {
        let state = self.shared.state();
        state.outstanding.get(usize::from(office.0)).map(Outstanding::count).unwrap_or_default()
    }

    /// Counts what is open at an office.
    pub fn backlog(&self, office: OfficeNumber) -> Backlog {
        let state = self.shared.state();
        state.outstanding.get(usize::from(office.0)).map(Outstanding::backlog).unwrap_or_default()
    }

    /// Gives what is outstanding for an office in one lane, from an index on, ascending, at most `rows_max`.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn owed(
        &self,
        office: OfficeNumber,
        lane: Lane,
        from: Index,
        rows_max: usize,
    ) -> Result<Vec<Owed>, LedgerError> {
        let state = self.shared.state();
        let outstanding = state.outstanding.get(usize::from(office.0));
        let lane = outstanding.map(|it| it.lane(lane, from, state.mark.next_index, rows_max));
        let lane = lane.unwrap_or_default().into_iter().map(|(index, notice)| {
            let recent = if notice { None } else { state.recent(index).cloned() };
            (index, notice, recent)
        });
        let lane: Vec<_> = lane.collect();
        drop(state);
        let mut messages = Reader::of(&self.shared.table);
        let owed = lane.into_iter().map(|(index, notice, recent)| match recent {
            _ if notice => Ok(Owed::Notice(index)),
            Some(message) => Ok(Owed::Message(message)),
            None => self.checked(required(&mut messages, index)).map(Owed::Message),
        });
        owed.collect()
    }

    /// Checks, before a receipt is put in order, that an office was owed all that it names. Deciding checks it again; but
    /// reading what is old costs the caller here, and everybody there.
    ///
    /// # Errors
    /// [`LedgerError`], each. The refusal, [`Reason::NotOwed`](crate::model::refusal::Reason::NotOwed), is in the answer.
    pub fn check_receipt(
        &self,
        office: OfficeNumber,
        receipt: &Receipt,
    ) -> Result<Result<(), Refusal>, LedgerError> {
        let mut spans = BTreeMap::new();
        for index in receipt.messages.iter().map(|it| it.index).chain(receipt.notices.iter().copied()) {
            let number = Places::of(index).0;
            if let Entry::Vacant(vacant) = spans.entry(number) {
                vacant.insert(self.span(office, number)?.unwrap_or_default());
            }
        }
        let span_of = |index: Index| spans.get(&Places::of(index).0);
        let checked = rules::all_owed(receipt, span_of);
        let checked = checked.and_then(|()| all_erased(receipt, &self.shared.state().erasures));
        if let Err(refusal) = checked {
            return Ok(Err(refusal));
        }
        let mut messages = Reader::of(&self.shared.table);
        for named in &receipt.messages {
            let message = self.row(&mut messages, named.index)?;
            if let Err(refusal) = rules::same_message(named, &message) {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    /// Checks, before an envelope is put in order, that an Update or Cancel names no message that others sent. Deciding
    /// checks it again.
    ///
    /// # Errors
    /// [`LedgerError`], each. The refusal, [`Reason::ReferenceForeign`](crate::model::refusal::Reason::ReferenceForeign),
    /// is in the answer.
    pub fn check_references(
        &self,
        sender: OfficeNumber,
        envelope: &Envelope,
    ) -> Result<Result<(), Refusal>, LedgerError> {
        let mut users = BTreeMap::new();
        for id in rules::own_only(envelope) {
            users.insert(*id, self.users_of(*id)?.into_iter().map(|(office, _)| office).collect());
        }
        Ok(rules::own_references(envelope, sender, |id| users.get(&id).cloned().unwrap_or_default()))
    }

    /// Checks, before an envelope is put in order, that the message which it is about gives it standing. Deciding checks it again.
    ///
    /// # Errors
    /// [`LedgerError`], each. The refusal, [`Reason::ResealNotAllowed`](crate::model::refusal::Reason::ResealNotAllowed), is in the
    /// answer.
    pub fn check_about(
        &self,
        permit: &PublishPermit,
        envelope: &Envelope,
    ) -> Result<Result<(), Refusal>, LedgerError> {
        let Some(about) = &envelope.about else { return Ok(Ok(())) };
        let office = self.policy().number(&about.office);
        let known = office.map(|office| self.known(office, about.message_id)).transpose()?.flatten();
        let message = known.map(|known| self.message(known.index)).transpose()?.flatten();
        let about = message.as_ref().map(|message| (&**message, self.is_erased(message.index)));
        Ok(rules::between_its_offices(envelope, (permit.sender, &permit.recipients), about))
    }

    /// Tells whether a message or notice is outstanding for an office.
    pub fn is_owed(&self, office: OfficeNumber, index: Index) -> bool {
        let state = self.shared.state();
        state.outstanding.get(usize::from(office.0)).is_some_and(|it| it.contains(index))
    }

    /// Lists messages that an office was ever owed, acknowledged or not, from an index on, ascending.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn replay(
        &self,
        office: OfficeNumber,
        from: Index,
        rows_max: usize,
    ) -> Result<Page<Arc<MessageRow>, Index>, LedgerError> {
        let mut messages = Reader::of(&self.shared.table);
        let mut rows = Vec::new();
        let mut next = Some(Places::of(from).0);
        while let Some((number, span)) = self.next_span(office, next)? {
            for place in span.owed.iter() {
                let index = Places::index(number, place);
                if index < from {
                    continue;
                }
                if rows.len() >= rows_max {
                    return Ok(Page { rows, next: Some(index) });
                }
                rows.push(self.row(&mut messages, index)?);
            }
            next = number.checked_add(1);
        }
        Ok(Page { rows, next: None })
    }

    /// Gives the message at an index; `None` where no accepted message stands.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn message(&self, index: Index) -> Result<Option<Arc<MessageRow>>, LedgerError> {
        let state = self.shared.state();
        if index >= state.mark.next_index {
            return Ok(None);
        }
        if let Some(message) = state.recent(index) {
            return Ok(Some(Arc::clone(message)));
        }
        drop(state);
        self.checked(Reader::of(&self.shared.table).at(index))
    }

    /// Tells whether the message of an office at an index has a file, and is kept.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn has_file(
        &self,
        sender: OfficeNumber,
        digest: &FileDigest,
        message: Index,
    ) -> Result<bool, LedgerError> {
        let row = self.shared.table.row(&keys::file(sender, digest, message));
        self.checked(row).map(|row| row.is_some() && !self.is_erased(message))
    }

    /// Tells whether any message of an office whose payload is kept has a file.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn needs_file(&self, sender: OfficeNumber, digest: &FileDigest) -> Result<bool, LedgerError> {
        let from = keys::file_prefix(sender, digest);
        let mut messages = Vec::new();
        let scanned =
            self.shared.table.scan(&from, &keys::after(&from), Direction::Ascending, &mut |key, _| {
                messages.extend(keys::file_message(key));
                ControlFlow::Continue(())
            });
        self.checked(scanned).map(|()| messages.into_iter().any(|message| !self.is_erased(message)))
    }

    /// Gives the receipt at an index; `None` where no recorded receipt stands.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn receipt(&self, index: Index) -> Result<Option<Arc<ReceiptRow>>, LedgerError> {
        self.checked(Reader::of(&self.shared.table).at(index))
    }

    /// Where the entries of the directory stand that were taken in before an index, ascending.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn directory_before(&self, before: Index) -> Result<Vec<Index>, LedgerError> {
        let mut found = Vec::new();
        let listed = log::each(&self.shared.table, Index(0), |row: Arc<AmendmentRow>| {
            if row.index >= before {
                return Ok(ControlFlow::Break(()));
            }
            found.push(row.index);
            Ok(ControlFlow::Continue(()))
        });
        self.checked(listed).map(|()| found)
    }

    /// What memory holds.
    pub(super) fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.shared.state()
    }

    /// The rows, for listings.
    pub(super) fn table(&self) -> &Table {
        &self.shared.table
    }

    /// A message that must be there, from memory or by the reader.
    pub(super) fn row(
        &self,
        messages: &mut Reader<'_, MessageRow>,
        index: Index,
    ) -> Result<Arc<MessageRow>, LedgerError> {
        let recent = self.shared.state().recent(index).cloned();
        recent.map_or_else(|| self.checked(required(messages, index)), Ok)
    }

    /// The first span of an office at or after a number, as of the last decided batch.
    pub(super) fn next_span(
        &self,
        office: OfficeNumber,
        from: Option<u64>,
    ) -> Result<Option<(u64, Span)>, LedgerError> {
        let Some(from) = from else { return Ok(None) };
        let state = self.shared.state();
        let changed = state.spans.range((office, from)..=(office, u64::MAX)).next().map(|((_, at), _)| *at);
        drop(state);
        let to = keys::after(&keys::span(office, u64::MAX));
        let stored = self.checked(self.shared.table.first(&keys::span(office, from), &to))?;
        let stored = stored.and_then(|(key, _)| keys::span_number(&key));
        match changed.into_iter().chain(stored).min() {
            Some(number) => Ok(self.span(office, number)?.map(|span| (number, span))),
            None => Ok(None),
        }
    }

    /// An office's span as of the last decided batch.
    pub(super) fn span(&self, office: OfficeNumber, number: u64) -> Result<Option<Span>, LedgerError> {
        let state = self.shared.state();
        let next = state.mark.next_index;
        let changed = state.spans.get(&(office, number)).cloned();
        drop(state);
        let span = match changed {
            Some(span) => Some(span),
            None => self.checked(stored_span(&self.shared.table, (office, number)))?,
        };
        Ok(span.map(|span| span.before(number, next)))
    }

    /// What is outstanding for an office, of one lane, messages only.
    pub(super) fn owed_indexes(
        &self,
        office: OfficeNumber,
        lane: Lane,
        from: Index,
        count_max: usize,
    ) -> Vec<Index> {
        let state = self.shared.state();
        let Some(outstanding) = state.outstanding.get(usize::from(office.0)) else { return Vec::new() };
        outstanding.messages(lane, from, state.mark.next_index, count_max)
    }

    /// The offices that used an id, and where, as of the last decided batch.
    pub(super) fn users_of(&self, id: MessageId) -> Result<BTreeSet<(OfficeNumber, Index)>, LedgerError> {
        let state = self.shared.state();
        let next = state.mark.next_index;
        let mut found: BTreeSet<_> = state.ids.of(id).collect();
        let ask_pages = state.ids.may_be_in_pages(id);
        drop(state);
        if ask_pages {
            found.extend(self.checked(ids::in_pages(&self.shared.table, id))?);
        }
        found.retain(|(_, index)| *index < next);
        Ok(found)
    }

    /// Sees to it that a damaged store is not used again.
    pub(super) fn checked<T, E: Into<LedgerError>>(&self, read: Result<T, E>) -> Result<T, LedgerError> {
        read.map_err(|error| self.shared.table.distrusted(error.into()))
    }

    fn message_at(&self, index: Index) -> Result<Arc<MessageRow>, LedgerError> {
        self.checked(required(&mut Reader::of(&self.shared.table), index))
    }
}

fn required(messages: &mut Reader<'_, MessageRow>, index: Index) -> Result<Arc<MessageRow>, LedgerError> {
    let missing =
        || LedgerError::row(&keys::group(keys::MESSAGES, index), "no message where another row points");
    messages.at(index)?.ok_or_else(missing)
}
