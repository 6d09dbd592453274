//! Refusals: told, counted, and journaled when they are of somebody enrolled.
//!
//! Owns the rate at which refusals may write to the disk: an enrolled identity's are entries up to a rate, the rest are
//! summed up; strangers are logged up to a rate, counted, and summed up in one entry a minute at most.
//! At a crash the counts of the running minute are lost; the entries are not.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::door::account;
use super::metrics::Meters;
use super::rates::Rates;
use super::shares::Shares;
use super::submit::{Submitted, Submitter};
use crate::host::clock::Clock;
use crate::ledger::entry::Statement;
use crate::model::entry::{EntryKind, Proposal};
use crate::model::id::UnixMicros;
use crate::model::identity::Identity;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::proto::{RefusalCount, RefusalRecord, RefusalSummary};
use crate::wire::status;

/// Refusals of one office or auditor that are entries of their own, a second: a person's mistakes, not a program's loop.
const ENTRIES_PER_S: u32 = 1;
/// And at once after a pause.
const ENTRIES_BURST: u32 = 20;
/// Lines that strangers may write to the log, a second.
const STRANGERS_LOGGED_PER_S: u32 = 1;
/// And at once after a pause.
const STRANGERS_LOGGED_BURST: u32 = 20;

/// Where refusals go.
pub(super) struct Refusals {
    clock: Arc<dyn Clock>,
    submitter: Submitter,
    meters: Meters,
    /// Whoever is refused something pays for it.
    shares: Arc<Shares>,
    /// The hub's own identity: it answers for summaries.
    hub: Identity,
    entries: Rates<String>,
    strangers: Rates<()>,
    period: Mutex<Period>,
}

#[derive(Default)]
struct Period {
    since: UnixMicros,
    counts: BTreeMap<String, u64>,
}

impl Refusals {
    /// Begins to count.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        submitter: Submitter,
        hub: Identity,
        meters: Meters,
        shares: Arc<Shares>,
    ) -> Self {
        let period = Mutex::new(Period { since: clock.now(), counts: BTreeMap::new() });
        let entries = Rates::new(ENTRIES_PER_S, ENTRIES_BURST);
        let strangers = Rates::new(STRANGERS_LOGGED_PER_S, STRANGERS_LOGGED_BURST);
        Self { clock, submitter, meters, shares, hub, entries, strangers, period }
    }

    /// Takes a refusal of somebody enrolled.
    pub(super) fn known(&self, identity: &Identity, call: &str, refusal: &Refusal) {
        self.meters.refused(refusal.reason.name());
        let key = account(identity);
        self.shares.charge(&key);
        if self.entries.take(key, self.clock.monotonic_us()).is_err() || !self.write(identity, call, refusal)
        {
            self.count(format!("BEYOND_RATE_{}", refusal.reason));
            return;
        }
        tracing::warn!(%identity, call, reason = %refusal.reason, "refused: {}", status::said(refusal));
    }

    /// Takes a refusal for a bound of the hub's: counted and summed up.
    pub(super) fn beyond(&self, reason: Reason) {
        self.meters.refused(reason.name());
        self.count(reason.name().to_owned());
    }

    /// Takes a refusal of somebody who is not enrolled.
    pub(super) fn stranger(&self, reason: &'static str, peer: Option<SocketAddr>, said: &str) {
        self.meters.stranger(reason);
        self.count(format!("STRANGER_{reason}"));
        if self.strangers.take((), self.clock.monotonic_us()).is_ok() {
            let peer = peer.map_or_else(|| "unknown".into(), |peer| peer.to_string());
            tracing::warn!(peer, reason, "stranger refused: {said}");
        }
    }

    /// Writes the running period's summary, if there is anything in it, and begins the next. Called once a minute.
    pub(super) fn sum_up(&self) {
        let now = self.clock.now();
        let period = {
            let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
            if period.counts.is_empty() {
                period.since = now;
                return;
            }
            std::mem::replace(&mut *period, Period { since: now, counts: BTreeMap::new() })
        };
        let counts = period.counts.iter().map(|(reason, count)| {
            tracing::info!(reason, count, "refusals summed up");
            RefusalCount { reason: reason.clone(), count: *count }
        });
        let summary = RefusalSummary { since_unix_us: period.since.0, counts: counts.collect() };
        let proposal = proposal(EntryKind::Summary, &self.hub, &summary);
        if self
            .submitter
            .submit_now(vec![Submitted { proposal, statement: Statement::Refusal, pins: None }])
            .is_err()
        {
            // The queue is full: the counts go into the next period's summary.
            let mut running = self.period.lock().unwrap_or_else(PoisonError::into_inner);
            running.since = period.since;
            for (reason, count) in period.counts {
                *running.counts.entry(reason).or_default() += count;
            }
        }
    }

    fn write(&self, identity: &Identity, call: &str, refusal: &Refusal) -> bool {
        let record = RefusalRecord {
            call: call.into(),
            reason: refusal.reason.to_string(),
            message: status::said(refusal).to_owned(),
        };
        let proposal = proposal(EntryKind::Refusal, identity, &record);
        self.submitter
            .submit_now(vec![Submitted { proposal, statement: Statement::Refusal, pins: None }])
            .is_ok()
    }

    fn count(&self, reason: String) {
        let mut period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
        *period.counts.entry(reason).or_default() += 1;
    }
}

fn proposal(kind: EntryKind, identity: &Identity, statement: &impl prost::Message) -> Proposal {
    let statement = statement.encode_to_vec().into();
    Proposal { kind, identity: identity.to_string(), statement, payload: None }
}
