//! Asking what has fallen due, what is late, and whether the clock is trusted.
//!
//! Owns these questions. Never decides that something was missed: an entry does.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::LedgerError;
use super::lanes::{Asked, Kind, Lane};
use super::log::{self, Reader};
use super::missed::grace_days;
use super::overdue::{ClockRow, MissedRow, OverdueRow};
use super::rows::MessageRow;
use super::span::Places;
use super::view::{Page, View};
use crate::model::id::{Index, UnixMicros};
use crate::model::obligation::{Month, ObligationNumber};
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::{AuditPermit, OfficeNumber, Policy};
use crate::model::receipt::{MessageRef, Stage};

/// Rows that a page looks at, at most.
const LOOKED_MAX: usize = 4096;

/// Where a listing of what is owed stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObligationCursor(Option<(Lane, Index)>);

/// What an office owes without a message yet, or an answer to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObligationRow {
    /// The obligation.
    pub obligation: ObligationNumber,
    /// Who owes it.
    pub office: OfficeNumber,
    /// When it falls or fell due.
    pub due: UnixMicros,
    /// What is owed.
    pub owed: OwedRow,
}

/// What is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwedRow {
    /// A message for a month.
    Month {
        /// The oldest month that is open.
        month: Month,
        /// How many were missed so far.
        missed: u32,
        /// The last message that counted.
        last: Option<Index>,
    },
    /// An answer.
    FollowUp {
        /// To which message.
        message: Arc<MessageRow>,
        /// Whether it was missed.
        overdue: bool,
    },
}

impl View {
    /// Finds what has fallen due by a time and was not said to be missed, at most `rows_max`, by lane and index.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn due(&self, now: UnixMicros, rows_max: usize) -> Result<Vec<Overdue>, LedgerError> {
        let policy = self.policy();
        let mut messages = Reader::<MessageRow>::of(self.table());
        let mut found = Vec::new();
        for (lane, first) in self.heads(&policy) {
            if found.len() >= rows_max || self.is_due(&mut messages, lane, first, now)?.is_none() {
                continue;
            }
            let indexes = self.state().lanes.some(lane, first, rows_max - found.len());
            for index in indexes {
                let Some((row, due)) = self.is_due(&mut messages, lane, index, now)? else { break };
                let message = MessageRef { index, message_id: row.message_id };
                let missed = match lane.asked {
                    Asked::Stage(stage) => Some(Missed::Stage { message, stage, status: row.status }),
                    Asked::FollowUp(obligation) => policy.obligations().get(obligation).map(|it| {
                        let obligation = it.name.clone();
                        Missed::FollowUp { obligation, message }
                    }),
                };
                let office = policy.office(lane.office).cloned();
                let overdue = office.zip(missed).map(|(office, missed)| Overdue { office, due, missed });
                found.extend(overdue);
            }
        }
        self.due_months(&policy, now, &mut found);
        found.truncate(rows_max);
        Ok(found)
    }

    fn due_months(&self, policy: &Policy, now: UnixMicros, found: &mut Vec<Overdue>) {
        let state = self.state();
        for ((number, office), months) in &state.months.0 {
            let Some((office, obligation)) = policy.office(*office).zip(policy.obligations().get(*number))
            else {
                continue;
            };
            let grace_days = grace_days(policy, *number);
            found.extend(months.due(grace_days, now).map(|month| Overdue {
                office: office.clone(),
                due: month.due(grace_days),
                missed: Missed::Month { obligation: obligation.name.clone(), month },
            }));
        }
    }

    /// The lanes of members in which something waits, each with its first index.
    fn heads(&self, policy: &Policy) -> Vec<(Lane, Index)> {
        let state = self.state();
        let next = state.mark.next_index;
        let member = |office| policy.office(office).is_some_and(|name| policy.is_member(name));
        let heads = state.lanes.heads();
        heads
            .filter(|(lane, at)| matches!(lane.kind, Kind::Within(_)) && *at < next && member(lane.office))
            .collect()
    }

    /// Gives the message and when it fell due, if it did by a time.
    fn is_due(
        &self,
        messages: &mut Reader<'_, MessageRow>,
        lane: Lane,
        index: Index,
        now: UnixMicros,
    ) -> Result<Option<(Arc<MessageRow>, UnixMicros)>, LedgerError> {
        // Of a batch that is being decided nothing is asked yet.
        if index >= self.decided().next_index {
            return Ok(None);
        }
        let message = self.row(messages, index)?;
        let Kind::Within(within) = lane.kind else { return Ok(None) };
        let due = within.after(message.accepted);
        Ok((due <= now).then_some((message, due)))
    }

    /// Since which record the hub's clock is not to be trusted; `None`: it is.
    pub fn suspended(&self) -> Option<ClockRow> {
        self.state().suspended
    }

    /// Counts the deadlines that an office missed and that are still open: of what is real, and of what is not.
    pub fn overdue_count(&self, office: OfficeNumber) -> (u64, u64) {
        let state = self.state();
        let (mut real, mut drills) = (0, 0);
        for (lane, set) in state.lanes.of(office) {
            match lane.kind {
                Kind::Missed { real: true } => real += set.len(),
                Kind::Missed { real: false } => drills += set.len(),
                Kind::Within(_) => {}
            }
        }
        (real, drills)
    }

    /// Tells whether an office missed a stage of a message and has not reached it yet.
    pub fn is_overdue(&self, office: OfficeNumber, stage: Stage, message: &MessageRow) -> bool {
        self.state().lanes.contains(Lane::missed(office, Asked::Stage(stage), message), message.index)
    }

    /// Tells whether what was missed is still open: a month is until another message counts.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn is_open(&self, row: &OverdueRow) -> Result<bool, LedgerError> {
        let message = row.missed.message().map(|index| self.message(index)).transpose()?.flatten();
        let state = self.state();
        let within = |asked| {
            let message = message.as_deref();
            message.is_some_and(|it| state.lanes.contains(Lane::missed(row.office, asked, it), it.index))
        };
        Ok(match row.missed {
            MissedRow::Stage { stage, .. } => within(Asked::Stage(stage)),
            MissedRow::FollowUp { obligation, .. } => within(Asked::FollowUp(obligation)),
            MissedRow::Month { obligation, .. } => {
                let months = state.months.0.get(&(obligation, row.office));
                months.is_some_and(|months| months.last.is_none_or(|last| last < row.index))
            }
        })
    }

    /// Lists what is owed without a message yet, as far as the caller may see it: first by month, then the answers that are
    /// open, by office and index.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn obligations(
        &self,
        (permit, office): (AuditPermit, Option<OfficeNumber>),
        from: ObligationCursor,
        rows_max: usize,
    ) -> Result<Page<ObligationRow, ObligationCursor>, LedgerError> {
        let policy = self.policy();
        let headquarters = policy.headquarters().and_then(|name| policy.number(name));
        let sees = |of: OfficeNumber| {
            let seen = match permit {
                AuditPermit::All => true,
                AuditPermit::Own(own) => own == of || Some(own) == headquarters,
            };
            seen && office.is_none_or(|office| office == of)
        };
        let mut rows = Vec::new();
        if from.0.is_none() {
            let state = self.state();
            for ((obligation, office), months) in state.months.0.iter().filter(|((_, of), _)| sees(*of)) {
                let (month, missed, last) = (months.oldest, months.missed, months.last);
                let due = month.due(grace_days(&policy, *obligation));
                let owed = OwedRow::Month { month, missed, last };
                rows.push(ObligationRow { obligation: *obligation, office: *office, due, owed });
            }
        }
        let lanes: Vec<_> = self.state().lanes.follow_ups(from.0.map(|(lane, _)| lane)).collect();
        let mut messages = Reader::<MessageRow>::of(self.table());
        let mut looked = 0;
        for lane in lanes.into_iter().filter(|lane| sees(lane.office)) {
            let Asked::FollowUp(obligation) = lane.asked else { continue };
            let begin = from.0.filter(|(at, _)| *at == lane).map_or(Index(0), |(_, index)| index);
            let indexes = self.state().lanes.some(lane, begin, LOOKED_MAX + 1);
            for index in indexes {
                if rows.len() >= rows_max || looked >= LOOKED_MAX {
                    return Ok(Page { rows, next: Some(ObligationCursor(Some((lane, index)))) });
                }
                looked += 1;
                if index >= self.decided().next_index {
                    break;
                }
                let message = self.row(&mut messages, index)?;
                let asked = message.follow_ups.iter().find(|it| it.obligation == obligation);
                let due = asked.map_or(message.accepted, |it| it.within.after(message.accepted));
                let overdue = matches!(lane.kind, Kind::Missed { .. });
                let owed = OwedRow::FollowUp { message, overdue };
                rows.push(ObligationRow { obligation, office: lane.office, due, owed });
            }
        }
        Ok(Page { rows, next: None })
    }

    /// Lists what was missed, by ascending index of the entry, as far as the caller may see it.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn overdue(
        &self,
        (permit, office): (AuditPermit, Option<OfficeNumber>),
        from: Index,
        rows_max: usize,
    ) -> Result<Page<OverdueRow, Index>, LedgerError> {
        let mut page = Page { rows: Vec::new(), next: None };
        let mut looked = 0;
        let listed = log::each(self.table(), from, |row: Arc<OverdueRow>| {
            if page.rows.len() >= rows_max || looked >= LOOKED_MAX {
                page.next = Some(row.index);
                return Ok(ControlFlow::Break(()));
            }
            looked += 1;
            let sees = match permit {
                AuditPermit::All => true,
                AuditPermit::Own(own) => own == row.office || row.told.contains(&own),
            };
            if sees && office.is_none_or(|office| office == row.office) {
                page.rows.push(OverdueRow::clone(&row));
            }
            Ok(ControlFlow::Continue(()))
        });
        self.checked(listed)?;
        Ok(page)
    }

    /// Tells whether an office is owed, or was owed, the notice of an entry.
    ///
    /// # Errors
    /// [`LedgerError`], each.
    pub fn is_told(&self, office: OfficeNumber, index: Index) -> Result<bool, LedgerError> {
        let (number, place) = Places::of(index);
        Ok(self.span(office, number)?.is_some_and(|span| span.notices.contains(place)))
    }
}
