//! Deadlines: what has fallen due is said once, each by an entry of the hub's own.
//!
//! Owns the rhythm, and the watch over the clock that must be trusted for it. Never decides what was missed: it asks the
//! ledger and puts in order what that found; the ledger decides again. At a crash what was not said yet is said at the
//! next start, with the time at which it fell due.

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::alarms::Alarm;
use super::submit::Submitted;
use super::{Hub, stopping_status};
use crate::host::clock::Clock;
use crate::ledger::entry::{Outcome, Statement};
use crate::model::clock::ClockRecord;
use crate::model::entry::{EntryKind, Proposal};
use crate::model::id::UnixMicros;
use crate::model::identity::Identity;
use crate::model::overdue::Overdue;
use crate::wire::tls::time;
use crate::wire::{convert, status};

/// How often it is looked what has fallen due, and at the clock: a deadline is said to be missed a second late at most.
const LOOK: Duration = Duration::from_secs(1);
/// Missed deadlines that go in together: what others hand in meanwhile stands between two such lots.
const LOT_MAX: usize = 256;
/// A jump of the time of day beyond which nothing is called overdue or expired until an operator has looked.
const JUMP_US: u64 = 60_000_000;
/// Looks between two alarms about a clock that is not to be trusted: a minute.
const LOOKS_TO_ALARM: u32 = 60;

/// Holds the time of day to the monotonic clock.
struct Watch {
    clock: Arc<dyn Clock>,
    wall: UnixMicros,
    monotonic_us: u64,
}

/// The time of day went on as it should have, or it did not.
type Look = Result<UnixMicros, ClockRecord>;

impl Watch {
    fn begin(clock: Arc<dyn Clock>) -> Self {
        let (wall, monotonic_us) = (clock.now(), clock.monotonic_us());
        Self { clock, wall, monotonic_us }
    }

    /// Looks for the first time: the day cannot be before what the journal says already.
    fn first(&self, journaled: UnixMicros) -> Look {
        if self.wall.0.saturating_add(JUMP_US) < journaled.0 {
            return Err(ClockRecord::Suspended { expected: journaled, found: self.wall });
        }
        Ok(self.wall)
    }

    /// Looks again. Small steps, as of a clock that is kept right, add up to nothing.
    fn look(&mut self) -> Look {
        let (found, monotonic_us) = (self.clock.now(), self.clock.monotonic_us());
        let expected = UnixMicros(self.wall.0.saturating_add(monotonic_us.saturating_sub(self.monotonic_us)));
        (self.wall, self.monotonic_us) = (found, monotonic_us);
        if found.0.abs_diff(expected.0) > JUMP_US {
            return Err(ClockRecord::Suspended { expected, found });
        }
        Ok(found)
    }
}

/// Begins to look, until the hub stops.
pub(super) fn begin(hub: &Arc<Hub>) {
    hub.tasks.spawn("deadlines", Box::pin(run(Arc::clone(hub))));
}

async fn run(hub: Arc<Hub>) {
    let mut watch = Watch::begin(Arc::clone(&hub.clock));
    let mut look = watch.first(hub.door.view.decided().time);
    for looks in (0..LOOKS_TO_ALARM).cycle() {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = go_on(&hub, &mut watch, look, looks) => {}
        }
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        look = watch.look();
    }
}

async fn go_on(hub: &Arc<Hub>, watch: &mut Watch, mut look: Look, looks: u32) {
    let mut before = Vec::new();
    loop {
        let now = match look {
            Ok(now) => now,
            Err(record) => return suspend(hub, record).await,
        };
        if alarmed(hub, looks) {
            return;
        }
        let view = hub.door.view.clone();
        let Ok(found) = hub.audits.run(move || view.due(now, LOT_MAX)).await else { return };
        let due = match found {
            Ok(due) => due,
            Err(error) => {
                // The hub ends by it.
                let _ = hub.ledger_fault(error);
                return;
            }
        };
        // What the ledger did not take is looked at again in a second.
        if due.is_empty() || due == before {
            return;
        }
        if put_in(hub, due.iter().map(|it| submitted(hub, it)).collect()).await.is_err() {
            return;
        }
        before = due;
        look = watch.look();
    }
}

/// Raises the alarm of a clock that is not to be trusted, each minute anew in the log, or lowers it.
fn alarmed(hub: &Hub, looks: u32) -> bool {
    let suspended = hub.door.view.suspended().and_then(|row| row.suspended);
    let wrong = suspended.map(|(expected, found)| {
        format!(
            "the clock jumped from {} to {}: nothing is called overdue or expired. Look at it, then say \
             `resguardo hub clock-ok`",
            time(expected),
            time(found)
        )
    });
    if let Some(wrong) = wrong.as_ref().filter(|_| looks == 0) {
        tracing::error!("{wrong}");
    }
    hub.alarms.set(Alarm::ClockSuspended, wrong);
    suspended.is_some()
}

async fn suspend(hub: &Hub, record: ClockRecord) {
    // Said once, until an operator has looked. A hub that stops says it at its next start, if it is still so.
    if !alarmed(hub, 1) && put_clock(hub, &hub.identity, record).await.is_ok() {
        alarmed(hub, 1);
    }
}

/// Puts a record of the clock in order, in the name of who answers for it, and waits until it is decided.
///
/// # Errors
/// The status of a hub that is stopping.
pub(super) async fn put_clock(hub: &Hub, by: &Identity, record: ClockRecord) -> Result<Vec<Outcome>, Status> {
    let (kind, statement) = (EntryKind::Clock, convert::clock_bytes(&record));
    let proposal = Proposal { kind, identity: by.to_string(), statement, payload: None };
    put_in(hub, vec![Submitted { proposal, statement: Statement::Clock(record), pins: None }]).await
}

fn submitted(hub: &Hub, overdue: &Overdue) -> Submitted {
    let (kind, statement) = (EntryKind::Overdue, convert::overdue_bytes(overdue));
    let proposal = Proposal { kind, identity: hub.identity.to_string(), statement, payload: None };
    Submitted { proposal, statement: Statement::Overdue(Box::new(overdue.clone())), pins: None }
}

/// Puts things in order and waits until they are decided.
///
/// # Errors
/// The status of a hub that is stopping.
pub(super) async fn put_in(hub: &Hub, items: Vec<Submitted>) -> Result<Vec<Outcome>, Status> {
    let outcomes = hub.submitter.submit(items).await.map_err(|refusal| status::refused(&refusal))?;
    outcomes.await.map(|decided| decided.outcomes).map_err(|_| stopping_status())
}

impl Hub {
    /// The time by which messages are marked as expired; as long as the clock is not to be trusted, none is.
    pub(super) fn expiring(&self) -> UnixMicros {
        if self.door.view.suspended().is_some() { UnixMicros(0) } else { self.clock.now() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::ManualClock;

    const NOW: UnixMicros = UnixMicros(1_700_000_000_000_000);

    #[test]
    fn jump_of_more_than_a_minute_is_told_once_and_smaller_steps_never() {
        let clock = Arc::new(ManualClock::at(NOW));
        let mut watch = Watch::begin(clock.clone());
        for step in [1, -1, 60, -60_i64] {
            clock.advance_us(1_000_000);
            clock.jump_to(UnixMicros(clock.now().0.saturating_add_signed(step * 1_000_000)));
            assert_eq!(watch.look(), Ok(clock.now()), "a step of {step} s");
        }
        for step in [61, -61_i64] {
            clock.advance_us(5_000_000);
            let expected = clock.now();
            clock.jump_to(UnixMicros(expected.0.saturating_add_signed(step * 1_000_000)));
            assert_eq!(watch.look(), Err(ClockRecord::Suspended { expected, found: clock.now() }));
            assert_eq!(watch.look(), Ok(clock.now()));
        }
    }

    #[test]
    fn day_before_the_journals_last_is_told_at_the_start() {
        let watch = Watch::begin(Arc::new(ManualClock::at(NOW)));
        assert_eq!(watch.first(UnixMicros(NOW.0 + 60_000_000)), Ok(NOW));
        let journaled = UnixMicros(NOW.0 + 60_000_001);
        assert_eq!(watch.first(journaled), Err(ClockRecord::Suspended { expected: journaled, found: NOW }));
    }
}
