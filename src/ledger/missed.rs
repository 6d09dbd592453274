//! What of an entry is about things asked of offices: whether they were missed, and what does what they ask for.
//!
//! Owns these rules, beside those of [`super::decide`], and as pure. Times are those of entries alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::decide::{Deciding, Prepared, caller};
use super::entry::{Decoded, Outcome};
use super::lanes::{Asked, Kind, Lane};
use super::overdue::{ClockRow, MissedRow, OverdueRow};
use super::rows::{FollowUp, MessageRow};
use crate::model::clock::ClockRecord;
use crate::model::deadline::Within;
use crate::model::envelope::{CapMsgType, CapStatus, Envelope};
use crate::model::id::UnixMicros;
use crate::model::identity::Identity;
use crate::model::obligation::{Duty, ObligationNumber};
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::{OfficeNumber, Policy};
use crate::model::receipt::MessageRef;
use crate::model::refusal::{Reason, Refusal};

/// Asks policy about a word that something was missed.
pub(super) fn prepare_overdue<'a>(policy: &Policy, entry: &'a Decoded, overdue: &'a Overdue) -> Prepared<'a> {
    let by_hub = matches!(entry.caller, Some(Identity::Hub(_)));
    // Nobody is at a removed office to be late.
    let office = policy.number(&overdue.office).filter(|_| by_hub && policy.is_member(&overdue.office));
    let Some(office) = office else { return Prepared::Done(Outcome::Noted) };
    let obligation = match &overdue.missed {
        Missed::Stage { .. } => None,
        Missed::FollowUp { obligation, .. } | Missed::Month { obligation, .. } => {
            let number = policy.obligations().number(obligation);
            number.map(|number| (number, grace_days(policy, number)))
        }
    };
    let headquarters = policy.headquarters().and_then(|name| policy.number(name));
    Prepared::Overdue { entry, overdue, office, obligation, headquarters }
}

/// The days of grace of a monthly obligation; of another none.
pub(super) fn grace_days(policy: &Policy, number: ObligationNumber) -> u32 {
    match policy.obligations().get(number).map(|it| it.duty) {
        Some(Duty::Monthly { grace_days }) => grace_days,
        _ => 0,
    }
}

/// Asks policy about a record of the clock.
pub(super) fn prepare_clock<'a>(policy: &Policy, entry: &Decoded, record: ClockRecord) -> Prepared<'a> {
    let permitted = match (&record, &entry.caller) {
        (ClockRecord::Suspended { .. }, Some(Identity::Hub(_))) => Ok(()),
        (ClockRecord::Suspended { .. }, _) => {
            Err(Refusal::new(Reason::RoleNotAllowed, "only the hub says that its clock jumped"))
        }
        (ClockRecord::Confirmed, _) => {
            caller(entry).and_then(|caller| policy.permit_operate(caller)).map(|_| ())
        }
    };
    if let Err(refusal) = permitted {
        return Prepared::Done(Outcome::Refused(refusal));
    }
    let suspended = match record {
        ClockRecord::Suspended { expected, found } => Some((expected, found)),
        ClockRecord::Confirmed => None,
    };
    Prepared::Clock(ClockRow { index: entry.index, suspended })
}

/// Asks policy what obligations make of a message: whose answers it asks for, which monthly ones it may count for.
pub(super) fn obliged(
    policy: &Policy,
    envelope: &Envelope,
    row: &mut Arc<MessageRow>,
) -> Vec<(ObligationNumber, u32)> {
    let counts = matches!(envelope.msg_type, CapMsgType::Alert | CapMsgType::Update);
    if !counts || envelope.status != CapStatus::Actual {
        return Vec::new();
    }
    let mut monthly = Vec::new();
    for (number, obligation) in policy.obligations().iter() {
        if obligation.class != envelope.class || obligation.stream != envelope.stream {
            continue;
        }
        match obligation.duty {
            Duty::Monthly { grace_days } => monthly.push((number, grace_days)),
            Duty::FollowUp { within } => {
                let owes = |office: &&OfficeNumber| {
                    policy.office(**office).is_some_and(|name| obligation.is_owed_by(name, policy))
                };
                let offices: Vec<_> = row.recipients.iter().filter(owes).copied().collect();
                if !offices.is_empty() {
                    let it = Arc::make_mut(row);
                    it.follow_ups.push(FollowUp { obligation: number, within, offices });
                    it.thread = Some(envelope.thread_id);
                }
            }
        }
    }
    monthly
}

impl Deciding<'_> {
    /// Has an accepted message count for what its sender owes.
    pub(super) fn fulfil(
        &mut self,
        envelope: &Envelope,
        row: &mut Arc<MessageRow>,
        monthly: &[(ObligationNumber, u32)],
    ) {
        let sender = row.sender_office;
        for (number, grace_days) in monthly {
            let owed = (*number, sender);
            if self.state.months.publish(owed, *grace_days, row.accepted, row.index) {
                self.additions.months.insert(owed);
            }
        }
        let Some(open) = self.state.threads.get(&envelope.thread_id) else { return };
        let open: Vec<_> = open.iter().filter_map(|index| self.message(*index).cloned()).collect();
        for asked in open {
            let owes = asked.follow_ups.iter().any(|it| it.offices.contains(&sender));
            if owes && envelope.status == CapStatus::Actual {
                self.state.answer(sender, &asked);
                Arc::make_mut(row).answers.push(asked.index);
            }
        }
    }

    /// Decides whether something was missed: what was asked by then, was not done by then and was not said before.
    pub(super) fn overdue(
        &mut self,
        entry: &Decoded,
        overdue: &Overdue,
        (office, obligation): (OfficeNumber, Option<(ObligationNumber, u32)>),
        headquarters: Option<OfficeNumber>,
    ) -> Outcome {
        if self.state.suspended.is_some() || entry.time < overdue.due {
            return Outcome::Noted;
        }
        let (missed, message, told) = match (&overdue.missed, obligation) {
            (Missed::Stage { message: named, stage, status }, _) => {
                let within =
                    |message: &MessageRow| message.deadlines.of(*stage).filter(|_| message.status == *status);
                let asked = Asked::Stage(*stage);
                let Some(message) = self.waits(office, asked, named, overdue.due, within) else {
                    return Outcome::Noted;
                };
                let missed = MissedRow::Stage { message: named.index, stage: *stage };
                (missed, Some(Arc::clone(&message)), message.sender_office)
            }
            (Missed::FollowUp { message: named, .. }, Some((obligation, _))) => {
                let within = |message: &MessageRow| {
                    let asked = message.follow_ups.iter().find(|it| it.obligation == obligation);
                    asked.map(|it| it.within)
                };
                let asked = Asked::FollowUp(obligation);
                let Some(message) = self.waits(office, asked, named, overdue.due, within) else {
                    return Outcome::Noted;
                };
                (MissedRow::FollowUp { message: named.index, obligation }, Some(message), office)
            }
            (Missed::Month { month, .. }, Some((obligation, grace_days))) => {
                let owed = (obligation, office);
                if month.due(grace_days) != overdue.due || !self.state.months.miss(owed, *month) {
                    return Outcome::Noted;
                }
                self.additions.months.insert(owed);
                (MissedRow::Month { obligation, month: *month }, None, office)
            }
            (Missed::FollowUp { .. } | Missed::Month { .. }, None) => return Outcome::Noted,
        };
        let told: BTreeSet<_> = headquarters.into_iter().chain([told]).collect();
        let row = OverdueRow {
            index: entry.index,
            recorded: entry.time,
            office,
            due: overdue.due,
            missed,
            told: told.into_iter().collect(),
        };
        self.state.miss(self.gathered, &row, message.as_deref());
        self.additions.owed.extend(&row.told);
        self.additions.overdue.push(Arc::new(row));
        Outcome::Noted
    }

    /// The message that something is asked about, if it waits in a lane and falls due at a time.
    fn waits(
        &self,
        office: OfficeNumber,
        asked: Asked,
        named: &MessageRef,
        due: UnixMicros,
        within: impl Fn(&MessageRow) -> Option<Within>,
    ) -> Option<Arc<MessageRow>> {
        let message = self.message(named.index).filter(|it| it.message_id == named.message_id)?;
        let within = within(message).filter(|within| within.after(message.accepted) == due)?;
        let lane = Lane { office, asked, kind: Kind::Within(within) };
        self.state.lanes.contains(lane, named.index).then(|| Arc::clone(message))
    }
}
