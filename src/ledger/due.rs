//! Asking what has fallen due, what is late, and whether the clock is trusted.
//!
//! Owns these questions. Never decides that something was missed: an entry does.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::LedgerError;
use super::lanes::{Kind, Lane};
use super::log::{self, Reader};
use super::overdue::{ClockRow, OverdueRow};
use super::rows::MessageRow;
use super::span::Places;
use super::view::{Page, View};
use crate::model::id::{Index, UnixMicros};
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::{AuditPermit, OfficeNumber, Policy};
use crate::model::receipt::{MessageRef, Stage};

/// Rows that a page looks at, at most.
const LOOKED_MAX: usize = 4096;

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
                let Some((message, due)) = self.is_due(&mut messages, lane, index, now)? else { break };
                let office = policy.office(lane.office).cloned();
                let missed = Missed::Stage { message, stage: lane.stage };
                found.extend(office.map(|office| Overdue { office, due, missed }));
            }
        }
        Ok(found)
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
    ) -> Result<Option<(MessageRef, UnixMicros)>, LedgerError> {
        // Of a batch that is being decided nothing is asked yet.
        if index >= self.decided().next_index {
            return Ok(None);
        }
        let message = self.row(messages, index)?;
        let Kind::Within(within) = lane.kind else { return Ok(None) };
        let (due, named) =
            (within.after(message.accepted), MessageRef { index, message_id: message.message_id });
        Ok((due <= now).then_some((named, due)))
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
        self.state().lanes.contains(Lane::missed(office, stage, message), message.index)
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
