//! A naive ledger, in maps and sets, and commands drawn at random: what the real one must agree with.

use std::collections::{BTreeMap, BTreeSet};

use super::bench::*;
use crate::host::random::SeededRandom;
use crate::ledger::entry::{Decoded, Outcome, Statement};
use crate::ledger::view::Backlog;
use crate::model::envelope::{CapMsgType, CapStatus, Envelope, MessageId, Priority};
use crate::model::erasure::{Erasure, ErasureOrder, OrderedBy};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::policy::OfficeNumber;
use crate::model::receipt::{Covered, Receipt, Stage};
use crate::model::refusal::Reason;

/// An accepted message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: MessageId,
    pub(super) sender: OfficeNumber,
    pub(super) recipients: BTreeSet<OfficeNumber>,
    pub(super) urgent: bool,
    real: bool,
    envelope: Envelope,
    digest: [u8; 32],
    time: UnixMicros,
}

/// What the naive ledger knows.
#[derive(Default)]
pub(super) struct Model {
    pub(super) messages: BTreeMap<Index, Message>,
    /// The first receipt of each office, message or notice, and stage.
    pub(super) first: BTreeMap<(OfficeNumber, Index, Stage), Index>,
    /// Every receipt: office, stage, messages, news.
    pub(super) receipts: BTreeMap<Index, (OfficeNumber, Stage, Vec<Index>, u32)>,
    /// To whom notices were ever owed.
    notices: BTreeSet<(Index, OfficeNumber)>,
    /// The first order to erase each message: the entry and its time.
    erased: BTreeMap<Index, (Index, UnixMicros)>,
    times: BTreeMap<Index, UnixMicros>,
    ids: BTreeMap<MessageId, BTreeMap<OfficeNumber, Index>>,
}

/// What the naive ledger says of an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Accepted { index: Index, time: UnixMicros, duplicate: bool },
    Recorded { index: Index, time: UnixMicros, news: u32, about: BTreeSet<OfficeNumber> },
    Erased { index: Index, time: UnixMicros, duplicate: bool },
    Refused(Reason),
    Noted,
}

impl Expected {
    /// Tells the same of a real outcome.
    pub(super) fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Accepted { index, time, duplicate } => {
                Self::Accepted { index: *index, time: *time, duplicate: *duplicate }
            }
            Outcome::Recorded { index, time, news, about } => Self::Recorded {
                index: *index,
                time: *time,
                news: *news,
                about: about.iter().copied().collect(),
            },
            Outcome::Erased { index, time, duplicate } => {
                Self::Erased { index: *index, time: *time, duplicate: *duplicate }
            }
            Outcome::Refused(refusal) => Self::Refused(refusal.reason),
            Outcome::Noted => Self::Noted,
        }
    }
}

fn number(office: &str) -> OfficeNumber {
    let place = OFFICES.iter().position(|it| *it == office).unwrap();
    OfficeNumber(u16::try_from(place).unwrap())
}

impl Model {
    /// What is outstanding for an office.
    pub(super) fn owed(&self, office: OfficeNumber) -> Vec<u64> {
        let open = |index: &Index| {
            let stages = [Stage::Received, Stage::Read, Stage::Acted, Stage::Erased];
            !stages.into_iter().any(|stage| self.first.contains_key(&(office, *index, stage)))
        };
        let lane = |urgent| {
            let messages = self.messages.iter().filter(move |(_, it)| it.urgent == urgent);
            messages.filter(|(_, it)| it.recipients.contains(&office)).map(|(index, _)| *index)
        };
        let notices = self.notices.iter().filter(|(_, to)| *to == office).map(|(index, _)| *index);
        let mut first: Vec<_> = lane(true).chain(notices).filter(open).map(|index| index.0).collect();
        first.sort_unstable();
        first.into_iter().chain(lane(false).filter(open).map(|index| index.0)).collect()
    }

    /// What is open at an office.
    pub(super) fn backlog(&self, office: OfficeNumber) -> Backlog {
        let stated = |index: &Index, stages: &[Stage]| {
            stages.iter().any(|stage| self.first.contains_key(&(office, *index, *stage)))
        };
        let clearing = [Stage::Received, Stage::Read, Stage::Acted, Stage::Erased];
        let mut backlog = Backlog::default();
        for (index, it) in self.messages.iter().filter(|(_, it)| it.recipients.contains(&office)) {
            let seen = stated(index, &clearing[1..]) || self.erased.contains_key(index);
            let (owed, unread) = (!stated(index, &clearing), it.urgent && !seen);
            backlog.urgent += u64::from(owed && it.real && it.urgent);
            backlog.other += u64::from(owed && it.real && !it.urgent);
            backlog.drills += u64::from(owed && !it.real);
            backlog.unread += u64::from(unread && it.real);
            backlog.oldest_unread = backlog.oldest_unread.or(Some(*index).filter(|_| unread && it.real));
        }
        let notices = self.notices.iter().filter(|(index, to)| *to == office && !stated(index, &clearing));
        backlog.notices = notices.count() as u64;
        backlog
    }

    /// Takes in an entry.
    pub(super) fn take(&mut self, entry: &Decoded) -> Expected {
        self.times.insert(entry.index, entry.time);
        match &entry.statement {
            Statement::Publish { envelope, digest } => self.publish(entry, envelope, digest),
            Statement::Receipt(receipt) => self.receipt(entry, receipt),
            Statement::Erasure(Erasure::Order { order, message }) => self.erase(entry, order, *message),
            _ => Expected::Noted,
        }
    }

    fn find(&self, office: OfficeNumber, id: MessageId) -> Option<(&Index, &Message)> {
        self.messages.get_key_value(self.ids.get(&id)?.get(&office)?)
    }

    fn publish(&mut self, entry: &Decoded, envelope: &Envelope, digest: &[u8; 32]) -> Expected {
        let Some(Identity::Desk(desk)) = &entry.caller else {
            return Expected::Refused(Reason::RoleNotAllowed);
        };
        let sender = number(desk.office.as_str());
        if envelope.sender != *desk {
            return Expected::Refused(Reason::SenderForeign);
        }
        if let Some((index, first)) = self.find(sender, envelope.message_id) {
            return if first.digest == *digest {
                Expected::Accepted { index: *index, time: first.time, duplicate: true }
            } else {
                Expected::Refused(Reason::IdReused)
            };
        }
        let changes = matches!(envelope.msg_type, CapMsgType::Update | CapMsgType::Cancel);
        let foreign = |id: &MessageId| self.ids.get(id).is_some_and(|users| !users.contains_key(&sender));
        if changes && envelope.references.iter().any(foreign) {
            return Expected::Refused(Reason::ReferenceForeign);
        }
        let message = Message {
            id: envelope.message_id,
            sender,
            recipients: envelope.offices().map(|it| number(it.as_str())).collect(),
            urgent: envelope.priority == Priority::Urgent,
            real: envelope.status == CapStatus::Actual,
            envelope: envelope.clone(),
            digest: *digest,
            time: entry.time,
        };
        self.ids.entry(message.id).or_default().insert(sender, entry.index);
        self.messages.insert(entry.index, message);
        Expected::Accepted { index: entry.index, time: entry.time, duplicate: false }
    }

    fn erase(&mut self, entry: &Decoded, order: &ErasureOrder, message: Index) -> Expected {
        let office = number(order.sender().as_str());
        let Some((index, sent)) = self.find(office, order.message_id).filter(|(index, _)| **index == message)
        else {
            return Expected::Refused(Reason::MessageUnknown);
        };
        let (index, told) = (*index, sent.recipients.iter().copied().chain([office]).collect::<Vec<_>>());
        if let Some((index, time)) = self.erased.get(&index).copied() {
            return Expected::Erased { index, time, duplicate: true };
        }
        self.notices.extend(told.into_iter().map(|office| (entry.index, office)));
        self.erased.insert(index, (entry.index, entry.time));
        Expected::Erased { index: entry.index, time: entry.time, duplicate: false }
    }

    fn receipt(&mut self, entry: &Decoded, receipt: &Receipt) -> Expected {
        let office = number(receipt.desk.office.as_str());
        let owed = |named: &Covered| {
            let message = self.messages.get(&named.index);
            message.is_some_and(|it| it.id == named.message_id && it.recipients.contains(&office))
        };
        let noticed = |index: &Index| self.notices.contains(&(*index, office));
        if !receipt.messages.iter().all(owed) || !receipt.notices.iter().all(noticed) {
            return Expected::Refused(Reason::NotOwed);
        }
        let erased = |named: &Covered| self.erased.contains_key(&named.index);
        if receipt.stage == Stage::Erased && !receipt.messages.iter().all(erased) {
            return Expected::Refused(Reason::NotErased);
        }
        let (mut news, mut last, mut about) = (0, None, BTreeSet::new());
        for index in receipt.messages.iter().map(|it| it.index).chain(receipt.notices.iter().copied()) {
            if let Some(first) = self.first.get(&(office, index, receipt.stage)) {
                last = last.max(Some(*first));
                continue;
            }
            self.first.insert((office, index, receipt.stage), entry.index);
            news += 1;
            about.extend(self.messages.get(&index).map(|it| it.sender));
        }
        if news > 0 && matches!(receipt.stage, Stage::Declined | Stage::Unreadable) {
            self.notices.extend(about.iter().map(|sender| (entry.index, *sender)));
        }
        let messages = receipt.messages.iter().map(|it| it.index).collect();
        self.receipts.insert(entry.index, (office, receipt.stage, messages, news));
        let index = last.filter(|_| news == 0).unwrap_or(entry.index);
        Expected::Recorded { index, time: self.times[&index], news, about }
    }
}

/// Draws commands that mean something: mostly right, often repeated, sometimes wrong.
pub(super) struct Draw {
    random: SeededRandom,
    ids: u64,
}

impl Draw {
    pub(super) fn seeded(seed: u64) -> Self {
        Self { random: SeededRandom::new(seed), ids: 0 }
    }

    pub(super) fn below(&self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap()
    }

    fn of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Draws one command, given what was taken in before.
    pub(super) fn command(&mut self, model: &Model) -> (Option<Identity>, Statement) {
        let office = OFFICES[self.below(3)];
        match self.below(20) {
            0 => self.again(model).unwrap_or_else(|| self.new_message(model, office)),
            1 => (by(office), publish(envelope(u64::MAX >> 9, OFFICES[self.below(3)], &["iachr"]))),
            2 => match self.below(3) {
                0 => (hub(), Statement::Refusal),
                _ => self.order(model, office),
            },
            3..10 => self.new_message(model, office),
            _ => self.receipt(model, office),
        }
    }

    /// The same message, or its id with other bytes.
    fn again(&self, model: &Model) -> Option<(Option<Identity>, Statement)> {
        let all: Vec<_> = model.messages.values().collect();
        let message = all.get(self.below(all.len().max(1)))?;
        let mut digest = message.digest;
        digest[31] = u8::from(self.below(3) == 0);
        let envelope = Box::new(message.envelope.clone());
        Some((Some(Identity::Desk(envelope.sender.clone())), Statement::Publish { envelope, digest }))
    }

    /// An order to erase some message: mostly the office's own.
    fn order(&self, model: &Model, office: &str) -> (Option<Identity>, Statement) {
        let mine = number(office);
        let any = self.below(4) == 0;
        let all: Vec<_> = model.messages.iter().filter(|(_, it)| any || it.sender == mine).collect();
        let Some((index, message)) = all.get(self.below(all.len().max(1))) else {
            return (hub(), Statement::Refusal);
        };
        let by_whom = match self.below(3) {
            0 => OrderedBy::Registrar {
                name: name("iachr"),
                sender: name(OFFICES[usize::from(message.sender.0)]),
            },
            _ => OrderedBy::Desk(desk(office)),
        };
        let order = ordered(by_whom, message.id);
        let message = if self.below(20) == 0 { index.next() } else { **index };
        (by(office), Statement::Erasure(Erasure::Order { order, message }))
    }

    fn new_message(&mut self, model: &Model, office: &str) -> (Option<Identity>, Statement) {
        let mut recipients: Vec<_> = OFFICES.iter().copied().filter(|_| self.below(3) > 0).collect();
        if recipients.is_empty() {
            recipients.push(OFFICES[self.below(3)]);
        }
        self.ids += 1;
        // Mostly ascending; some are far behind or ahead; two offices may use the same.
        let id = match self.below(8) {
            0 => self.random.below(1 << 20),
            1 => 500_000 + self.random.below(50),
            _ => 500_000 + self.ids,
        };
        let mut it = envelope(id, office, &recipients);
        it.priority = *self.of(&[Priority::Urgent, Priority::Normal, Priority::Normal, Priority::Low]);
        it.status = *self.of(&[CapStatus::Actual, CapStatus::Actual, CapStatus::Exercise, CapStatus::Test]);
        it.msg_type =
            *self.of(&[CapMsgType::Alert, CapMsgType::Alert, CapMsgType::Update, CapMsgType::Cancel]);
        let all: Vec<_> = model.messages.values().collect();
        for _ in 0..self.below(3).min(all.len()) {
            it.references.push(self.of(&all).id);
        }
        (by(office), publish(it))
    }

    fn receipt(&self, model: &Model, office: &str) -> (Option<Identity>, Statement) {
        let mine = number(office);
        // Some of the messages from somewhere on: owed or acknowledged before, and now and then never owed.
        let begin = Index(self.random.below(model.messages.keys().last().map_or(1, |last| last.0 + 1)));
        let any = self.below(20) == 0;
        let some = model.messages.range(begin..).take(60);
        let mut owed: Vec<_> =
            some.filter(|(_, it)| any || it.recipients.contains(&mine)).map(|(at, _)| *at).collect();
        let notices = model.notices.range((begin, OfficeNumber(0))..).take(30);
        owed.extend(notices.filter(|(_, to)| any || *to == mine).map(|(at, _)| *at));
        let most = if self.below(2) == 0 { 40 } else { 2 };
        let drawn: BTreeSet<_> = (0..most).filter_map(|_| owed.get(self.below(owed.len().max(1)))).collect();
        let (messages, notices): (Vec<Index>, Vec<Index>) =
            drawn.into_iter().partition(|index| model.messages.contains_key(index));
        let messages: Vec<_> = messages.into_iter().map(|index| (index, model.messages[&index].id)).collect();
        let stage = *self.of(Stage::ALL);
        let mut stated = match (stage, messages.first()) {
            (Stage::Received, _) | (_, None) => receipt(office, Stage::Received, &messages),
            (Stage::Erased, Some(_)) if self.below(4) > 0 => {
                let erased = messages.iter().filter(|(index, _)| model.erased.contains_key(index));
                match erased.copied().collect::<Vec<_>>() {
                    none if none.is_empty() => receipt(office, Stage::Received, &messages),
                    erased => receipt(office, Stage::Erased, &erased),
                }
            }
            (stage, Some(one)) => receipt(office, stage, &[*one]),
        };
        if matches!(stated.stage, Stage::Received | Stage::Erased) {
            stated.notices = notices;
        }
        (by(office), state(stated))
    }
}
