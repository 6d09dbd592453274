//! What the hub looks at from time to time: the disk's reserve, refusals to be summed up, files that have changed,
//! certificates and lists that run out.
//!
//! Owns the rhythm, and what an operator is told of it. Never stops alerts: what is wrong with a file is told, and what
//! was in force stays so.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::Hub;
use super::alarms::Alarm;
use super::config::Config;
use super::files::clear_orphans;
use super::home::Home;
use crate::host::tasks::SendFuture;
use crate::journal::Space;
use crate::model::expiry::{Nearness, Reminder, days_left};
use crate::model::refusal::Reason;
use crate::wire::connection::Caller;
use crate::wire::tls::time;

/// How often the disk's free bytes are looked at.
const DISK_LOOK: Duration = Duration::from_secs(1);
/// How often refusals are summed up.
const SUM_UP: Duration = Duration::from_mins(1);
/// How often configuration and papers are looked at: five small files.
const FILES_LOOK: Duration = Duration::from_secs(2);
/// How near its end a certificate is an alarm: a renewal by hand takes days.
const ALARMING: Nearness = Nearness::Fortnight;

/// Begins to look, until the hub stops. `reload`: look at the files now.
pub(super) fn begin(hub: &Arc<Hub>, home: &Home, config: Config, space: Space, reload: Arc<Notify>) {
    let (watched, disk, dir) = (Arc::clone(hub), Arc::clone(&hub.disk), home.journal());
    let look = move || {
        let reserve_bytes = watched.door.limits().disk_reserve_bytes;
        let free = disk.free_bytes(&dir);
        // A disk that cannot say is taken for full.
        let enough = free.as_ref().is_ok_and(|free| *free >= reserve_bytes);
        let low = !enough || space.shortage().is_some();
        watched.door.disk_low.store(low, Ordering::Release);
        let free = free.map_or_else(|error| format!("unknown ({error})"), |free| format!("{free} bytes"));
        let wrong = format!(
            "the disk is down to its reserve of {reserve_bytes} bytes, {free} free: publishing is refused until there is more room"
        );
        watched.alarms.set(Alarm::DiskLow, low.then_some(wrong));
    };
    hub.tasks.spawn("disk-watch", repeat(Arc::clone(hub), DISK_LOOK, None, look));
    let summed = Arc::clone(hub);
    let mut before = [0; 3];
    let sum_up = move || {
        summed.door.refusals.sum_up();
        let now = summed.meters.totals();
        if now != before {
            let [accepted, receipts, deliveries] = [0, 1, 2].map(|at| now[at] - before[at]);
            tracing::info!(accepted, receipts, deliveries, "in the last minute");
            before = now;
        }
    };
    hub.tasks.spawn("sum-up", repeat(Arc::clone(hub), SUM_UP, None, sum_up));
    hub.tasks.spawn("directory", Box::pin(watch_directory(Arc::clone(hub), hub.live.listen_directory())));
    let files = Files {
        hub: Arc::clone(hub),
        home: home.clone(),
        config: Mutex::new(config),
        told: Mutex::default(),
        reminder: Mutex::default(),
    };
    hub.tasks.spawn("files", repeat(Arc::clone(hub), FILES_LOOK, Some(reload), move || files.look()));
    hub.tasks.spawn("orphans", clear_orphans(Arc::clone(hub)));
}

fn repeat(
    hub: Arc<Hub>,
    every: Duration,
    now: Option<Arc<Notify>>,
    mut work: impl FnMut() + Send + 'static,
) -> SendFuture {
    let now = now.unwrap_or_default();
    Box::pin(async move {
        loop {
            work();
            tokio::select! {
                () = hub.stop.cancelled() => return,
                () = now.notified() => {}
                () = tokio::time::sleep(every) => {}
            }
        }
    })
}

/// The files that may change while a hub runs.
struct Files {
    hub: Arc<Hub>,
    home: Home,
    config: Mutex<Config>,
    /// What was wrong at the last look. A pair of files is changed one after the other, so it is told at the second.
    told: Mutex<[Complaint; 2]>,
    reminder: Mutex<Reminder>,
}

#[derive(Default)]
struct Complaint {
    text: String,
    looks: u32,
}

impl Files {
    fn look(&self) {
        let papers = self.hub.papers.take_up();
        let config = self.home.config(self.hub.disk.as_ref());
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let alarms = &self.hub.alarms;
        told[0].about(papers.as_ref().err(), |wrong| alarms.set(Alarm::CertificatesUnusable, wrong));
        told[1].about(config.as_ref().err(), |wrong| alarms.set(Alarm::ConfigurationUnusable, wrong));
        drop(told);
        if papers == Ok(true) {
            let in_force = self.hub.papers.in_force();
            let revoked = in_force.revocations.map_or(0, |list| list.len());
            tracing::info!(until = time(in_force.own.not_after), revoked, "certificates were taken up");
            self.hub.end_revoked();
        }
        if let Ok(config) = config {
            self.adopt(config);
        }
        self.look_at_ends();
    }

    /// Tells what has run out or soon will.
    fn look_at_ends(&self) {
        let (hub, now) = (&self.hub, self.hub.clock.now());
        let stale = hub.papers.stale_since().map(|since| {
            let since = time(since);
            format!(
                "the revocation list is old since {since}: it still counts; put a newer one into tls/crl.pem"
            )
        });
        hub.alarms.set(Alarm::RevocationsStale, stale);
        let ends = hub.papers.in_force().own.not_after;
        let (days, until) = (days_left(ends, now), time(ends));
        let words = match Nearness::of(ends, now) {
            Some(Nearness::Over) => format!("the hub's certificate has ended, {until}: nobody can connect"),
            _ => format!("the hub's certificate ends in {days} days, {until}: have it renewed"),
        };
        let mut reminder = self.reminder.lock().unwrap_or_else(PoisonError::into_inner);
        match reminder.due(ends, now) {
            Some(nearness) if nearness > ALARMING => tracing::error!(days, until, "{words}"),
            Some(_) => tracing::warn!(days, until, "{words}"),
            None => {}
        }
        let alarming = Nearness::of(ends, now).is_some_and(|nearness| nearness >= ALARMING);
        hub.alarms.set(Alarm::CertificateEnds, alarming.then_some(words));
    }

    fn adopt(&self, new: Config) {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if *config == new {
            return;
        }
        let later = config.at_next_start(&new);
        self.hub.door.adopt(&new.limits);
        self.hub.transfers.store.adopt(new.files.room());
        self.hub.transfers.adopt(new.files.transfers_per_office_max);
        *config = new;
        drop(config);
        tracing::info!("hub.toml was taken up");
        if !later.is_empty() {
            tracing::warn!(keys = later.join(", "), "these changes of hub.toml count from the next start on");
        }
    }
}

impl Complaint {
    /// Takes in what was wrong at this look; tells it when it was so twice, and when it is over.
    fn about(&mut self, error: Option<&impl ToString>, tell: impl FnOnce(Option<String>)) {
        let text = error.map(ToString::to_string).unwrap_or_default();
        self.looks = if text == self.text { self.looks.saturating_add(1) } else { 1 };
        self.text = text;
        if self.text.is_empty() {
            tell(None);
        } else if self.looks > 1 {
            tell(Some(format!("{}: what was in force stays so", self.text)));
        }
    }
}

/// Ends the connections of those who lost their place in the directory, as soon as they have.
async fn watch_directory(hub: Arc<Hub>, mut changes: watch::Receiver<()>) {
    loop {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            rung = changes.changed() => if rung.is_err() { return },
        }
        let policy = hub.door.view.policy();
        let lost = |caller: &Caller| matches!(&caller.identity, Ok(identity) if policy.admit(identity).is_err_and(|it| it.reason == Reason::Revoked));
        for caller in hub.connections.end(lost) {
            tracing::warn!(who = name(&caller), "no longer in the directory: its connection is ended");
        }
    }
}

impl Hub {
    /// Ends the connections whose certificates were revoked.
    fn end_revoked(&self) {
        for caller in self.connections.end(|caller| self.papers.are_revoked(&caller.serial)) {
            tracing::warn!(who = name(&caller), serial = %caller.serial, "a revoked certificate: its connection is ended");
        }
    }
}

fn name(caller: &Caller) -> String {
    caller.identity.as_ref().map_or_else(ToString::to_string, ToString::to_string)
}
