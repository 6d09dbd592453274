//! The alarms in force: what is wrong with this hub and goes on being wrong.
//!
//! Owns the one place where they stand, so that the log, the status and the metrics say the same. Never decides that
//! something is wrong; never stops anything: an alarm is for people. At a crash they are raised anew by what raised them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::host::clock::Clock;
use crate::model::id::UnixMicros;

macro_rules! alarms {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// What can be wrong. What each means and what to do stands in `docs/operating.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Alarm { $($(#[doc = $doc])+ $variant,)+ }

        impl Alarm {
            /// Every one.
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Gives the stable name.
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

alarms! {
    /// The hub's certificate ends within 14 days, or has ended.
    CertificateEnds = "certificate-ends",
    /// The changed certificates, key or revocation list cannot be used.
    CertificatesUnusable = "certificates-unusable",
    /// The time of day jumped: nothing is called overdue or expired until an operator has looked.
    ClockSuspended = "clock-suspended",
    /// The changed `hub.toml` cannot be used.
    ConfigurationUnusable = "configuration-unusable",
    /// The disk is down to its reserve: publishing is refused.
    DiskLow = "disk-low",
    /// What is to be erased cannot be overwritten.
    ErasuresWait = "erasures-wait",
    /// A desk says that a log is not what it was. Alerts go on.
    LogsDisputed = "logs-disputed",
    /// What the logs come to is not signed: nothing new can be proved. Alerts go on.
    LogsUnsigned = "logs-unsigned",
    /// The revocation list is older than its authority promised.
    RevocationsStale = "revocations-stale",
}

/// An alarm in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InForce {
    /// Which.
    pub alarm: Alarm,
    /// Since when.
    pub since: UnixMicros,
    /// What is wrong and what to do, for people.
    pub detail: String,
}

/// The alarms in force.
pub(super) struct Alarms {
    clock: Arc<dyn Clock>,
    in_force: Mutex<BTreeMap<Alarm, InForce>>,
}

impl Alarms {
    /// Begins with none.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, in_force: Mutex::default() }
    }

    /// Raises an alarm with what is wrong, or lowers it; the log is told when it comes and when it goes.
    pub(super) fn set(&self, alarm: Alarm, wrong: Option<String>) {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(detail) = wrong else {
            if in_force.remove(&alarm).is_some() {
                tracing::info!(alarm = alarm.name(), "the alarm is over");
            }
            return;
        };
        if let Some(known) = in_force.get_mut(&alarm) {
            known.detail = detail;
            return;
        }
        tracing::error!(alarm = alarm.name(), "{detail}");
        in_force.insert(alarm, InForce { alarm, since: self.clock.now(), detail });
    }

    /// Those in force, by name.
    pub(super) fn list(&self) -> Vec<InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::ManualClock;

    #[test]
    fn alarm_stands_from_its_first_cause_until_it_is_over() {
        let clock = Arc::new(ManualClock::at(UnixMicros(5)));
        let alarms = Alarms::new(clock.clone());
        alarms.set(Alarm::DiskLow, Some("9 bytes free".into()));
        clock.advance_us(10);
        alarms.set(Alarm::DiskLow, Some("8 bytes free".into()));
        alarms.set(Alarm::RevocationsStale, None);
        let disk = InForce { alarm: Alarm::DiskLow, since: UnixMicros(5), detail: "8 bytes free".into() };
        assert_eq!(alarms.list(), [disk]);
        alarms.set(Alarm::DiskLow, None);
        assert_eq!(alarms.list(), []);
    }

    #[test]
    fn each_alarm_is_explained_to_operators() {
        let page = include_str!("../../docs/operating.md");
        for alarm in Alarm::ALL {
            assert!(
                page.contains(&format!("| `{}` | ", alarm.name())),
                "{} is not in the page",
                alarm.name()
            );
        }
    }

    #[test]
    fn names_are_stable_ascending_and_each_its_own() {
        let names: Vec<_> = Alarm::ALL.iter().map(|it| it.name()).collect();
        assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
