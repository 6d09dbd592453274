//! The hub's two logs: the journal and the directory as trees, signed, and cosigned by witnesses.
//!
//! Owns the folder `logs` of the home and the rhythm of checkpoints and rounds. Nothing that happens waits for them: they follow
//! the journal on a thread of their own. Whatever goes wrong here is an alarm, and stops no alert.

mod about;
pub mod check;
mod disputes;
mod export;
pub mod keeper;
mod parts;
mod proving;
mod rounds;
pub(super) mod service;
mod source;
mod tree;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;

use self::disputes::Disputes;
use self::keeper::{Keeper, LogError};
use self::rounds::Rounds;
use self::source::{Directory, Source};
use self::tree::Standing;
use super::Hub;
use super::alarms::Alarm;
use crate::host::tasks::{Task, Tasks};
use crate::journal::{JournalError, Reader};
use crate::model::id::Index;
use crate::model::policy::Policy;
use crate::proof::{Frontier, TreeHash, UnixSeconds};
use crate::seal::SigningKey;
use crate::wire::log::Log;
use crate::wire::open_key::OpenKeyError;

/// How often it is looked whether a log has grown.
const LOOK: Duration = Duration::from_secs(1);
/// Between two checkpoints at least, in microseconds: each is a signature of 3 KB.
const CHECKPOINT_EVERY_US: u64 = 5_000_000;
/// Between two rounds of witnesses, in microseconds: each takes a cosignature of 3.3 KB from each of them, also on a slow line.
const ROUND_EVERY_US: u64 = 600 * 1_000_000;
/// Before a log is looked at again that could not be kept, in microseconds: that may read the whole journal.
const FAILED_PAUSE_US: u64 = 60 * 1_000_000;

/// A checkpoint that the hub has signed, and the tree under it.
pub(super) struct Signed {
    /// The tree, all of which can be read.
    tree: Standing,
    /// The note, exact bytes, as it lies on the disk.
    note: Bytes,
}

/// What the hub shows of its logs.
#[derive(Default)]
pub(super) struct Logs {
    journal: Shown,
    directory: Shown,
    disputes: Disputes,
}

/// What is shown of one.
#[derive(Default)]
pub(super) struct Shown {
    signed: RwLock<Option<Arc<Signed>>>,
    rounds: Mutex<Option<Rounds>>,
}

impl Logs {
    fn of(&self, log: Log) -> &Shown {
        match log {
            Log::Journal => &self.journal,
            Log::Directory => &self.directory,
        }
    }
}

impl Shown {
    /// The newest checkpoint; `None` while there is none.
    fn signed(&self) -> Option<Arc<Signed>> {
        self.signed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, signed: &Arc<Signed>) {
        *self.signed.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(signed));
    }

    fn rounds(&self) -> MutexGuard<'_, Option<Rounds>> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a log's files are, in a home.
pub fn dir_of(logs: &Path, log: Log) -> PathBuf {
    logs.join(log.name())
}

/// Begins to keep the logs, until the hub stops.
///
/// # Errors
/// The system gives no further thread.
pub(super) fn begin(
    hub: &Arc<Hub>,
    dir: PathBuf,
    key: Result<Option<Arc<SigningKey>>, OpenKeyError>,
) -> std::io::Result<Task> {
    let kept = Arc::clone(hub);
    let key = key.map_err(|error| error.to_string()).and_then(|key| {
        key.ok_or_else(|| "the home has no `keys/hub`: what the logs come to cannot be signed".to_owned())
    });
    let keeping = move || Keeping { hub: kept, dir, key, logs: Log::ALL.map(Kept::of) };
    let tasks: &dyn Tasks = hub.tasks.as_ref();
    tasks.spawn_dedicated("logs", Box::new(move || Box::pin(keeping().run())))
}

/// Keeps both logs.
struct Keeping {
    hub: Arc<Hub>,
    dir: PathBuf,
    /// What it is signed with, or why it cannot be.
    key: Result<Arc<SigningKey>, String>,
    logs: [Kept; 2],
}

/// One log, as far as it is kept.
struct Kept {
    log: Log,
    keeper: Option<Keeper>,
    /// When it may be signed again, when a round may begin, by the monotonic clock.
    next_us: u64,
    next_round_us: u64,
    wrong: Option<String>,
}

impl Kept {
    fn of(log: Log) -> Self {
        Self { log, keeper: None, next_us: 0, next_round_us: 0, wrong: None }
    }
}

impl Keeping {
    async fn run(mut self) {
        loop {
            let now_us = self.hub.clock.monotonic_us();
            for place in 0..self.logs.len() {
                if now_us < self.logs[place].next_us {
                    continue;
                }
                let looked = self.look(place, now_us);
                let kept = &mut self.logs[place];
                kept.wrong = looked.err();
                if kept.wrong.is_some() {
                    (kept.keeper, kept.next_us) = (None, now_us + FAILED_PAUSE_US);
                }
            }
            let wrong = self.logs.iter().find_map(|kept| kept.wrong.clone());
            self.hub.alarms.set(Alarm::LogsUnsigned, wrong);
            tokio::select! {
                () = self.hub.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Signs what a log has come to, where it has grown, and begins a round where one is due.
    fn look(&mut self, place: usize, now_us: u64) -> Result<(), String> {
        let policy = self.hub.door.view.policy();
        let key = match (&self.key, policy.hub_key()) {
            (Ok(key), Some(named)) if key.verifying_key() == *named => key,
            (Err(wrong), _) => return Err(wrong.clone()),
            (_, None) => {
                return Err("the directory names no key of the hub: the registrars are to sign one \
                            (resguardo policy hub-key)"
                    .into());
            }
            _ => {
                return Err("`keys/hub` is not the key that the directory names: bring it back, or have the registrars \
                            sign this one (resguardo policy hub-key)"
                    .into());
            }
        };
        let at = UnixSeconds::new(self.hub.clock.now().0 / 1_000_000).ok_or("the clock says no time")?;
        let kept = &mut self.logs[place];
        let shown = self.hub.logs.of(kept.log);
        if kept.keeper.is_none() {
            kept.keeper = Some(open(&self.hub, &self.dir, kept.log, &policy).map_err(|it| it.to_string())?);
            let dir = dir_of(&self.dir, kept.log);
            let rounds = Rounds::open(Arc::clone(&self.hub.disk), &dir);
            *shown.rounds() = Some(rounds.map_err(|error| format!("{}: {error}", dir.display()))?);
        }
        let keeper = kept.keeper.as_mut().expect("it was opened");
        if keeper.is_behind() {
            shown.show(keeper.sign(key, at).map_err(|error| error.to_string())?);
            kept.next_us = now_us + CHECKPOINT_EVERY_US;
        } else if let Some(signed) = keeper.signed() {
            shown.show(signed);
        }
        let Some(signed) = keeper.signed() else { return Ok(()) };
        let (mut rounds, size) = (shown.rounds(), signed.tree.head.size);
        let Some(rounds) = rounds.as_mut() else { return Ok(()) };
        let before = rounds.newest().unwrap_or(0);
        // One that no round has and this checkpoint does: a round without it would be followed by another at once.
        let urgent = kept.log == Log::Journal
            && self.hub.live.urgent().is_some_and(|index| (before..size).contains(&index.0));
        if size > before && (now_us >= kept.next_round_us || urgent) {
            let begun = rounds.keep(size, &signed.note, false);
            begun.map_err(|error| format!("a round of witnesses cannot be kept: {error}"))?;
            kept.next_round_us = now_us + ROUND_EVERY_US;
        }
        Ok(())
    }
}

fn open(hub: &Hub, logs: &Path, log: Log, policy: &Policy) -> Result<Keeper, LogError> {
    let source = match log {
        Log::Journal => Source::of_journal(hub.journal.clone()),
        Log::Directory => Source::Directory(Directory::Now(hub.door.view.clone())),
    };
    let dir = dir_of(logs, log);
    Keeper::open(source, log.origin(&founding(policy)), Arc::clone(&hub.disk), &dir, &mut |why| {
        tracing::warn!(log = log.name(), why, "the log's tiles are made anew from the journal");
    })
}

/// The root of the journal's tree over its first entries.
///
/// # Errors
/// [`JournalError`]
pub(super) fn root_of(reader: &Reader, entries: Index) -> Result<TreeHash, JournalError> {
    let (mut source, mut tree) = (Source::of_journal(reader.clone()), Frontier::new());
    for place in 0..entries.0 {
        tree.append(source.record(place)?.leaf());
    }
    Ok(tree.root())
}

/// The digest of the founding, after which the logs are called.
pub(super) fn founding(policy: &Policy) -> [u8; 32] {
    policy.entries().first().map_or([0; 32], |entry| entry.digest())
}
