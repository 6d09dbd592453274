//! What of an entry is about things asked of offices: whether they were missed, and whether the clock is trusted.
//!
//! Owns these rules, beside those of [`super::decide`], and as pure. Times are those of entries alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::decide::{Deciding, Prepared, caller};
use super::entry::{Decoded, Outcome};
use super::lanes::{Kind, Lane};
use super::overdue::{ClockRow, OverdueRow};
use crate::model::clock::ClockRecord;
use crate::model::identity::Identity;
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::{OfficeNumber, Policy};
use crate::model::refusal::{Reason, Refusal};

/// Asks policy about a word that something was missed.
pub(super) fn prepare_overdue<'a>(policy: &Policy, entry: &'a Decoded, overdue: &'a Overdue) -> Prepared<'a> {
    let by_hub = matches!(entry.caller, Some(Identity::Hub(_)));
    // Nobody is at a removed office to be late.
    let office = policy.number(&overdue.office).filter(|_| by_hub && policy.is_member(&overdue.office));
    let Some(office) = office else { return Prepared::Done(Outcome::Noted) };
    let headquarters = policy.headquarters().and_then(|name| policy.number(name));
    Prepared::Overdue { entry, overdue, office, headquarters }
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

impl Deciding<'_> {
    /// Decides whether something was missed: what was asked by then, was not done by then and was not said before.
    pub(super) fn overdue(
        &mut self,
        entry: &Decoded,
        overdue: &Overdue,
        office: OfficeNumber,
        headquarters: Option<OfficeNumber>,
    ) -> Outcome {
        let Missed::Stage { message: named, stage } = overdue.missed;
        let Some(message) = self.message(named.index).cloned() else { return Outcome::Noted };
        let Some(within) = message.deadlines.of(stage) else { return Outcome::Noted };
        let lane = Lane { office, stage, kind: Kind::Within(within) };
        let missed = within.after(message.accepted) == overdue.due
            && self.state.suspended.is_none()
            && message.message_id == named.message_id
            && entry.time >= overdue.due
            && self.state.lanes.contains(lane, named.index);
        if !missed {
            return Outcome::Noted;
        }
        let told: BTreeSet<_> = headquarters.into_iter().chain([message.sender_office]).collect();
        let row = OverdueRow {
            index: entry.index,
            recorded: entry.time,
            office,
            due: overdue.due,
            message: named.index,
            stage,
            told: told.into_iter().collect(),
        };
        self.state.miss(self.gathered, &row, &message);
        self.additions.owed.extend(&row.told);
        self.additions.overdue.push(Arc::new(row));
        Outcome::Noted
    }
}
