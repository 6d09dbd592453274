//! What each office and auditor has of the hub's work and memory before a call of theirs is understood, and all who are
//! refused together: so that nobody takes it from others.
//!
//! Owns a share for each account, as many as are enrolled. Never decides what is work: that is `wire`'s to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::config::Limits;
use super::door::account;
use crate::host::clock::Clock;
use crate::model::identity::Identity;
use crate::wire::pace::Pace;

/// Units of work a second beside those of publishes and receipts: listings, files, keep-alive. With the others of the usual
/// limits, about a tenth of a core.
const UNITS_PER_S: u64 = 60_000;
/// Units of a publish by a call of its own, with all that goes along.
const PUBLISH_UNITS: u64 = 50;
/// Units of a receipt in a frame of its own.
const RECEIPT_UNITS: u64 = 2;
/// Units a second of all who are refused: some hundred refusals.
const REFUSED_UNITS_PER_S: u64 = 10_000;
/// Units of something that is refused: a message, a receipt, a call.
const REFUSAL_UNITS: u64 = 20;
/// KiB of one office's messages of which a part has come: as much as 32 frames of a MiB.
const PARTS_KIB: usize = 32 * 1024;
/// KiB of everybody's.
const ALL_PARTS_KIB: usize = 128 * 1024;

/// One account's share.
pub(super) struct Share {
    /// How fast its connections are read.
    pub pace: Arc<Pace>,
    /// KiB for messages of which a part has come.
    pub parts: Arc<Semaphore>,
}

/// The shares.
pub(super) struct Shares {
    clock: Arc<dyn Clock>,
    of: Mutex<HashMap<String, Arc<Share>>>,
    refused: Arc<Pace>,
    /// KiB for messages of which a part has come, everybody's.
    pub parts: Arc<Semaphore>,
}

impl Shares {
    /// Begins.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let refused = Arc::new(Pace::new(Arc::clone(&clock), REFUSED_UNITS_PER_S));
        Self { clock, of: Mutex::default(), refused, parts: Arc::new(Semaphore::new(ALL_PARTS_KIB)) }
    }

    /// The share of who is enrolled, as the limits have it now.
    pub(super) fn of(&self, identity: &Identity, limits: &Limits) -> Arc<Share> {
        let publishes = u64::from(limits.publishes_per_s) * PUBLISH_UNITS;
        let per_s = UNITS_PER_S + publishes + u64::from(limits.receipts_per_s) * RECEIPT_UNITS;
        let mut of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let pace = Arc::new(Pace::new(Arc::clone(&self.clock), per_s));
            Arc::new(Share { pace, parts: Arc::new(Semaphore::new(PARTS_KIB)) })
        };
        let share = of.entry(account(identity)).or_insert_with(new);
        share.pace.set(per_s);
        Arc::clone(share)
    }

    /// Has somebody pay for what was refused: it was read, and maybe a signature was looked at.
    pub(super) fn charge(&self, account: &str) {
        let of = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = of.get(account) {
            // The next read waits for it.
            share.pace.take(REFUSAL_UNITS);
        }
    }

    /// The pace of all who are refused.
    pub(super) fn refused(&self) -> Arc<Pace> {
        Arc::clone(&self.refused)
    }
}
