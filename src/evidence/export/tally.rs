//! Counting, entry after entry.
//!
//! Owns what makes an entry count beside those before it, by the rules of the hub's ledger: of a message the first under its id, of
//! a stage the first statement, of a missed deadline the first word, where nothing was stated in time. Keeps some 200 bytes
//! for each message, and nothing of any other entry.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::judge::Said;
use super::statistics::{Counts, OfOffice, Statistics};
use crate::model::deadline::Deadlines;
use crate::model::envelope::{CapStatus, Envelope, MessageClass, MessageId};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::obligation::Month;
use crate::model::overdue::{Missed, Overdue};
use crate::model::receipt::{MessageRef, Stage};

/// Entries that do not count of which it is told why.
const REASONS_MAX: usize = 20;

/// What is counted so far.
#[derive(Default)]
pub(super) struct Tally {
    statistics: Statistics,
    messages: HashMap<MessageId, Vec<Message>>,
    /// Numbers of offices, in the order in which they came.
    numbers: BTreeMap<Name, u32>,
    months: BTreeSet<(Name, Name, Month)>,
    /// Messages that are ordered to be erased, by the office that sent them: which entry one is, the hub says.
    ordered: BTreeSet<(u32, MessageId)>,
}

/// What is kept of a message.
struct Message {
    index: Index,
    accepted: UnixMicros,
    digest: [u8; 32],
    sender: u32,
    class: MessageClass,
    status: CapStatus,
    deadlines: Deadlines,
    recipients: Box<[Recipient]>,
}

/// What is asked of a message, and how far the office is of which it is asked.
struct Asked<'a> {
    status: CapStatus,
    class: MessageClass,
    accepted: UnixMicros,
    deadlines: Deadlines,
    recipient: &'a mut Recipient,
}

/// How far a recipient is, a bit for each stage.
struct Recipient {
    office: u32,
    stated: u8,
    in_time: u8,
    missed: u8,
    answer_missed: bool,
}

impl Tally {
    /// Counts what is not of one message: entries that are shown, and when.
    pub(super) fn statistics(&mut self) -> &mut Statistics {
        &mut self.statistics
    }

    /// Takes notice of an entry that does not count.
    pub(super) fn uncounted(&mut self, index: Index, why: String) {
        let uncounted = &mut self.statistics.uncounted;
        uncounted.count += 1;
        if uncounted.first.len() < REASONS_MAX {
            uncounted.first.push((index, why));
        }
    }

    /// Counts what an entry says.
    ///
    /// # Errors
    /// Why it does not count beside what was said before.
    pub(super) fn take(&mut self, index: Index, time: UnixMicros, said: Said) -> Result<(), String> {
        match said {
            Said::Message { envelope, digest, deadlines } => {
                self.publish((index, time), &envelope, digest, deadlines)
            }
            Said::Stated { office, stage, messages, hidden } => {
                self.statistics.covers_hidden += hidden;
                let mut wrong = None;
                for message in messages {
                    let stated = self.state((&office, stage), time, message);
                    wrong = wrong.or(stated.err());
                }
                wrong.map_or(Ok(()), Err)
            }
            Said::Missed(missed) => self.miss(time, missed),
            Said::Erased { index, message_id, sender } => self.erase(index, message_id, &sender),
            Said::LeftOut | Said::Other => Ok(()),
        }
    }

    /// Gives all that was counted.
    pub(super) fn into_statistics(self) -> Statistics {
        self.statistics
    }

    fn publish(
        &mut self,
        (index, accepted): (Index, UnixMicros),
        envelope: &Envelope,
        digest: [u8; 32],
        deadlines: Deadlines,
    ) -> Result<(), String> {
        let sender = self.number(&envelope.sender.office);
        let recipients: Box<[_]> = envelope.offices().map(|office| self.number(office)).collect();
        let same = self.messages.entry(envelope.message_id).or_default();
        if let Some(first) = same.iter().find(|it| it.sender == sender) {
            let repeats = if first.digest == digest { "repeats" } else { "has the id of" };
            return Err(format!("it {repeats} entry {}", first.index));
        }
        let recipient = |office: &u32| Recipient {
            office: *office,
            stated: 0,
            in_time: 0,
            missed: 0,
            answer_missed: false,
        };
        let (class, status) = (envelope.class, envelope.status);
        let recipients = recipients.iter().map(recipient).collect();
        same.push(Message { index, accepted, digest, sender, class, status, deadlines, recipients });
        let counts = counts(&mut self.statistics, status);
        *counts.published.entry((class, envelope.sender.office.clone())).or_default() += 1;
        for office in envelope.offices() {
            of_office(counts, class, office).messages += 1;
        }
        Ok(())
    }

    fn state(
        &mut self,
        (office, stage): (&Name, Stage),
        time: UnixMicros,
        (id, digest): (MessageId, [u8; 32]),
    ) -> Result<(), String> {
        let number = self.number(office);
        let same = self.messages.get_mut(&id).and_then(|it| it.iter_mut().find(|it| it.digest == digest));
        let Some(message) = same else {
            *self.statistics.elsewhere.entry((office.clone(), stage)).or_default() += 1;
            return Ok(());
        };
        let index = message.index;
        let recipient = message.recipients.iter_mut().find(|it| it.office == number);
        let recipient =
            recipient.ok_or_else(|| format!("the message in entry {index} was not for {office}"))?;
        for (asked, within) in message.deadlines.each().filter(|(asked, _)| *asked <= stage) {
            if time <= within.after(message.accepted) {
                recipient.in_time |= bit(asked);
            }
        }
        if recipient.stated & bit(stage) == 0 {
            recipient.stated |= bit(stage);
            let after = time.0.saturating_sub(message.accepted.0);
            let counted = of_office(counts(&mut self.statistics, message.status), message.class, office);
            counted.stages[stage as usize - 1].add(after);
        }
        Ok(())
    }

    fn miss(&mut self, time: UnixMicros, Overdue { office, due, missed }: Overdue) -> Result<(), String> {
        if time < due {
            return Err(format!("it fell due {} µs after 1970, after this entry", due.0));
        }
        match missed {
            Missed::Month { obligation, month } => {
                if !self.months.insert((obligation, office.clone(), month)) {
                    return Err("it was said before".to_owned());
                }
                *self.statistics.months_missed.entry(office).or_default() += 1;
            }
            Missed::FollowUp { message, .. } => {
                let Some(asked) = self.asked(&message, &office)? else { return Ok(()) };
                if std::mem::replace(&mut asked.recipient.answer_missed, true) {
                    return Err("it was said before".to_owned());
                }
                let (status, class) = (asked.status, asked.class);
                of_office(counts(&mut self.statistics, status), class, &office).answers_missed += 1;
            }
            Missed::Stage { message, stage, status: _ } => {
                let Some(asked) = self.asked(&message, &office)? else { return Ok(()) };
                let Asked { status, class, accepted, deadlines, recipient } = asked;
                if deadlines.of(stage).is_none_or(|within| within.after(accepted) != due) {
                    return Err(format!("{stage} was not asked of the message by then"));
                }
                if recipient.in_time & bit(stage) != 0 {
                    return Err(format!("{office} had stated that, or more, in time"));
                }
                if recipient.missed & bit(stage) != 0 {
                    return Err("it was said before".to_owned());
                }
                recipient.missed |= bit(stage);
                let counted = of_office(counts(&mut self.statistics, status), class, &office);
                counted.missed[stage as usize - 1] += 1;
            }
        }
        Ok(())
    }

    /// The message that something is said to be missed of, and how far the office is; `None` where the file does not show it.
    fn asked(&mut self, named: &MessageRef, office: &Name) -> Result<Option<Asked<'_>>, String> {
        let number = self.number(office);
        let same = self.messages.get_mut(&named.message_id);
        let Some(message) = same.and_then(|it| it.iter_mut().find(|it| it.index == named.index)) else {
            *self.statistics.missed_elsewhere.entry(office.clone()).or_default() += 1;
            return Ok(None);
        };
        let Message { status, class, accepted, deadlines, .. } = *message;
        let recipient = message.recipients.iter_mut().find(|it| it.office == number);
        let recipient =
            recipient.ok_or_else(|| format!("the message in entry {} was not for {office}", named.index))?;
        Ok(Some(Asked { status, class, accepted, deadlines, recipient }))
    }

    fn erase(&mut self, index: Index, id: MessageId, sender: &Name) -> Result<(), String> {
        let number = self.number(sender);
        let same = self.messages.get(&id);
        let there = same.and_then(|it| it.iter().find(|it| it.index == index));
        if there.is_some_and(|it| it.sender != number) {
            return Err(format!("the message in entry {index} is not of {sender}"));
        }
        if let Some(message) =
            same.and_then(|it| it.iter().find(|it| it.sender == number && it.index != index))
        {
            return Err(format!(
                "the message is in entry {}, and the hub names entry {index}",
                message.index
            ));
        }
        if !self.ordered.insert((number, id)) {
            return Err("it was ordered before".to_owned());
        }
        self.statistics.erasures_ordered += 1;
        Ok(())
    }

    fn number(&mut self, office: &Name) -> u32 {
        if let Some(number) = self.numbers.get(office) {
            return *number;
        }
        let number = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        self.numbers.insert(office.clone(), number);
        number
    }
}

fn counts(statistics: &mut Statistics, status: CapStatus) -> &mut Counts {
    if status == CapStatus::Actual { &mut statistics.real } else { &mut statistics.others }
}

fn of_office<'a>(counts: &'a mut Counts, class: MessageClass, office: &Name) -> &'a mut OfOffice {
    counts.offices.entry((class, office.clone())).or_default()
}

fn bit(stage: Stage) -> u8 {
    1 << (stage as u8 - 1)
}
