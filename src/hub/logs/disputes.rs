//! Which desks say in their receipts that a log of the hub's is not what it was.
//!
//! Owns the list and its alarm. Never says that they are right; stops nothing. At a start nobody is in it: each says so again with
//! its next receipt.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::hub::Hub;
use crate::hub::alarms::Alarm;
use crate::model::identity::Desk;
use crate::model::receipt::Receipt;

/// Who disputes the logs.
#[derive(Default)]
pub(super) struct Disputes(Mutex<BTreeSet<Desk>>);

impl Disputes {
    fn desks(&self) -> MutexGuard<'_, BTreeSet<Desk>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives their names in certificates, ascending.
    pub(super) fn list(&self) -> Vec<String> {
        self.desks().iter().map(ToString::to_string).collect()
    }
}

impl Hub {
    /// Hears what a receipt, whose signatures hold, says of the logs.
    pub(in crate::hub) fn heard(&self, receipt: &Receipt) {
        if let Some(seen) = &receipt.seen {
            self.disputes(&receipt.desk, seen.disputed);
        }
    }

    /// Notes whether a desk disputes the logs; whose cosignature of a new checkpoint came does not any more.
    pub(super) fn disputes(&self, desk: &Desk, disputed: bool) {
        let list = &self.logs.disputes;
        let news = {
            let mut desks = list.desks();
            if disputed { desks.insert(desk.clone()) } else { desks.remove(desk) }
        };
        if news {
            let by = list.list();
            let wrong = format!(
                "{} say in signed receipts that this hub's log is not what it was: keep the disk as it is, and tell both \
                 registrars; alerts go on",
                by.join(", ")
            );
            self.alarms.set(Alarm::LogsDisputed, (!by.is_empty()).then_some(wrong));
        }
    }
}
