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
use super::config::Config;
use super::home::Home;
use crate::host::tasks::SendFuture;
use crate::journal::Space;
use crate::model::id::UnixMicros;
use crate::model::refusal::Reason;
use crate::wire::connection::Caller;
use crate::wire::tls::time;

/// How often the disk's free bytes are looked at.
const DISK_LOOK: Duration = Duration::from_secs(1);
/// How often refusals are summed up.
const SUM_UP: Duration = Duration::from_mins(1);
/// How often configuration and papers are looked at: five small files.
const FILES_LOOK: Duration = Duration::from_secs(2);
/// How often it is said that something has run out or soon will.
const REMIND: Duration = Duration::from_hours(12);
/// Days before a certificate's end from which on it is told.
const WARN_DAYS: u64 = 30;
const DAY_US: u64 = 86_400_000_000;

/// Begins to look, until the hub stops. `reload`: look at the files now.
pub(super) fn begin(hub: &Arc<Hub>, home: &Home, config: Config, space: Space, reload: Arc<Notify>) {
    let (watched, disk, dir) = (Arc::clone(hub), Arc::clone(&hub.disk), home.journal());
    let look = move || {
        let reserve_bytes = watched.door.limits().disk_reserve_bytes;
        let free = disk.free_bytes(&dir);
        // A disk that cannot say is taken for full.
        let enough = free.as_ref().is_ok_and(|free| *free >= reserve_bytes);
        let low = !enough || space.shortage().is_some();
        if watched.door.disk_low.swap(low, Ordering::AcqRel) != low {
            tracing::warn!(
                low,
                ?free,
                reserve_bytes,
                "the disk's reserve: publishing is refused while it is low"
            );
        }
    };
    hub.tasks.spawn("disk-watch", repeat(Arc::clone(hub), DISK_LOOK, None, look));
    let summed = Arc::clone(hub);
    let sum_up = move || summed.door.refusals.sum_up();
    hub.tasks.spawn("sum-up", repeat(Arc::clone(hub), SUM_UP, None, sum_up));
    hub.tasks.spawn("directory", Box::pin(watch_directory(Arc::clone(hub), hub.live.listen_directory())));
    let files = Files {
        hub: Arc::clone(hub),
        home: home.clone(),
        config: Mutex::new(config),
        told: Mutex::default(),
    };
    hub.tasks.spawn("files", repeat(Arc::clone(hub), FILES_LOOK, Some(reload), move || files.look()));
    let reminded = Arc::clone(hub);
    hub.tasks.spawn("remind", repeat(Arc::clone(hub), REMIND, None, move || remind(&reminded)));
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
        told[0].about("certificates", papers.as_ref().err());
        told[1].about("hub.toml", config.as_ref().err());
        drop(told);
        if papers == Ok(true) {
            let in_force = self.hub.papers.in_force();
            let revoked = in_force.revocations.map_or(0, |list| list.len());
            tracing::info!(until = time(in_force.own.not_after), revoked, "certificates were taken up");
            self.hub.end_revoked();
            remind(&self.hub);
        }
        if let Ok(config) = config {
            self.adopt(config);
        }
    }

    fn adopt(&self, new: Config) {
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if *config == new {
            return;
        }
        let later = config.at_next_start(&new);
        self.hub.door.adopt(&new.limits);
        *config = new;
        drop(config);
        tracing::info!("hub.toml was taken up");
        if !later.is_empty() {
            tracing::warn!(keys = later.join(", "), "these changes of hub.toml count from the next start on");
        }
    }
}

impl Complaint {
    fn about(&mut self, what: &str, error: Option<&impl ToString>) {
        let text = error.map(ToString::to_string).unwrap_or_default();
        self.looks = if text == self.text { self.looks.saturating_add(1) } else { 1 };
        self.text = text;
        if self.looks == 2 && !self.text.is_empty() {
            tracing::error!(
                error = self.text,
                "the changed {what} cannot be used: what was in force stays so"
            );
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

/// Tells what has run out or soon will.
fn remind(hub: &Hub) {
    if let Some(since) = hub.papers.stale_since() {
        tracing::error!(
            since = time(since),
            "the revocation list is old: it still counts, and a newer one should be in tls/crl.pem by now"
        );
    }
    let (ends, now) = (hub.papers.in_force().own.not_after, hub.clock.now());
    match days_left(ends, now) {
        Some(days) if days < WARN_DAYS => {
            tracing::warn!(days, until = time(ends), "the hub's certificate ends soon: have it renewed");
        }
        Some(_) => {}
        None => tracing::error!(since = time(ends), "the hub's certificate has ended: nobody can connect"),
    }
}

/// Whole days until an end; `None` when it has come.
fn days_left(ends: UnixMicros, now: UnixMicros) -> Option<u64> {
    Some(ends.0.checked_sub(now.0)? / DAY_US)
}
