//! The broker at the centre: accept, authorise, submit, answer, deliver, stop in order.
//!
//! Owns the composition of order, journal, ledger and wire. Never sees a payload in clear: it is opaque bytes here.
//! At a crash nothing that was answered is lost: it was in the synced journal, and a restart replays that.

mod alarms;
mod answers;
mod audit;
pub mod backup;
pub mod config;
mod connections;
mod deadlines;
mod decode;
mod delivery;
mod directory;
mod door;
mod enrolment;
mod eraser;
mod exchange;
mod files;
mod follow;
pub mod home;
mod lane;
mod live;
pub mod logs;
mod lookout;
pub mod manifest;
mod metrics;
pub mod open;
mod operator;
pub mod papers;
mod parts;
mod promises;
mod rates;
mod reader;
mod refusals;
pub mod restore;
mod rows;
pub mod run;
mod sequence;
mod serve;
mod session;
mod shares;
mod submit;
pub mod verify;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::alarms::Alarms;
use self::connections::Connections;
use self::door::Door;
use self::files::Transfers;
use self::lane::Lane;
use self::live::{Item, Live};
use self::logs::Logs;
use self::metrics::Meters;
use self::papers::Papers;
use self::promises::Promiser;
use self::rows::ReadError;
use self::shares::Shares;
use self::submit::Submitter;
use crate::host::clock::Clock;
use crate::host::disk::Disk;
use crate::host::tasks::Tasks;
use crate::journal::Reader;
use crate::ledger::LedgerError;
use crate::model::entry::Payload;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::{Identity, Name};
use crate::wire::status;

/// What all services of a hub share.
pub struct Hub {
    /// Who it is itself: it answers for what it states.
    identity: Identity,
    /// Who may do what.
    door: Door,
    /// What it proves itself and checks others with.
    papers: Papers,
    /// Held while the directory is changed.
    amending: Arc<tokio::sync::Mutex<()>>,
    /// What is wrong.
    alarms: Alarms,
    /// What is counted and measured.
    meters: Meters,
    /// This run.
    run: Run,
    /// Who is connected.
    connections: Connections,
    /// What each of them has of the hub's work and memory.
    shares: Arc<Shares>,
    /// The way in.
    submitter: Submitter,
    /// What goes on now.
    live: Arc<Live>,
    /// What is shown of the logs.
    logs: Logs,
    /// Signs what was taken; `None`: the hub has no key.
    promiser: Option<Arc<Promiser>>,
    /// Where reads wait that somebody's delivery waits for.
    reads: Lane,
    /// Where listings wait.
    audits: Lane,
    /// What moves packets' files.
    transfers: Transfers,
    /// The journal, for reading.
    journal: Reader,
    /// Files.
    disk: Arc<dyn Disk>,
    /// Tasks.
    tasks: Arc<dyn Tasks>,
    /// The clock.
    clock: Arc<dyn Clock>,
    /// The index up to which the ledger's rows are in its store.
    written: watch::Receiver<Index>,
    /// Where a ledger that cannot be read is told.
    faults: mpsc::Sender<LedgerError>,
    /// Cancelled when the hub begins to stop.
    stop: CancellationToken,
}

/// What does not change while a hub runs.
struct Run {
    /// The hub's name.
    name: Name,
    /// When it began.
    started: UnixMicros,
    /// The same, by the clock that never jumps.
    started_monotonic_us: u64,
    /// The journal's folder.
    journal: PathBuf,
    /// The file that says how far erasures were carried out.
    erased: PathBuf,
}

impl Hub {
    /// Waits until everything that was answered so far is in the ledger's rows.
    async fn settled(&self) -> Result<(), Status> {
        let decided = self.door.view.decided().next_index;
        let mut written = self.written.clone();
        written.wait_for(|written| *written >= decided).await.map(|_| ()).map_err(|_| stopping_status())
    }

    /// Finds the first entry at or after a time; the next one to come where all are before it.
    async fn index_at(&self, time: UnixMicros) -> Result<Index, Status> {
        let journal = self.journal.clone();
        let found = self.reads.run(move || journal.index_at(time)).await.map_err(|_| stopping_status())?;
        found.map_err(|error| read_fault(&error))
    }

    /// Reads messages and notices, from memory or from the journal, in the order of `indexes`; `None` for one that cannot
    /// be read. It may give fewer than were asked for, when they fill a frame.
    async fn items(&self, indexes: Vec<Index>) -> Result<Vec<Option<Item>>, Status> {
        let found = self.live.find(&indexes);
        if found.iter().all(Option::is_some) {
            return Ok(found);
        }
        let journal = self.journal.clone();
        let read = move || {
            let mut bytes = 0;
            let mut items = Vec::with_capacity(indexes.len());
            for (item, index) in found.into_iter().zip(indexes) {
                if bytes > delivery::FRAME_BYTES_MAX {
                    break;
                }
                let item = item.or_else(|| read_item(&journal, index));
                bytes += item.as_ref().map_or(0, Item::bytes);
                items.push(item);
            }
            items
        };
        self.reads.run(read).await.map_err(|_| stopping_status())
    }

    /// The status of a ledger that failed: the hub ends, and a restart builds the ledger anew.
    fn ledger_fault(&self, error: LedgerError) -> Status {
        let status = read_fault(&error);
        // The first fault ends the hub; a second changes nothing.
        let _ = self.faults.try_send(error);
        status
    }

    /// The status of a page that could not be read.
    fn page_fault(&self, error: ReadError) -> Status {
        match error {
            ReadError::Ledger(error) => self.ledger_fault(error),
            ReadError::Journal(error) => read_fault(&error),
        }
    }
}

/// Reads what is owed. What cannot be read is told, loudly: somebody is waiting for it.
fn read_item(journal: &Reader, index: Index) -> Option<Item> {
    let entry = match journal.entry(index) {
        Ok(Some(entry)) => entry,
        Ok(None) => {
            tracing::error!(%index, "the journal has no entry of a message that is owed");
            return None;
        }
        Err(error) => {
            tracing::error!(%index, %error, "a message that is owed cannot be read, and is not delivered");
            return None;
        }
    };
    let payload = match entry.payload {
        Payload::Kept(bytes) => Some(bytes),
        Payload::None | Payload::Erased => None,
    };
    Some(Item { kind: entry.kind, index, time: entry.time, statement: entry.statement, payload })
}

/// The status that ends a stream of a stopping hub.
fn stopping_status() -> Status {
    status::refused(&submit::stopping())
}

/// The status of a read that failed: said in the log, not to the caller.
fn read_fault(error: &dyn std::error::Error) -> Status {
    tracing::error!(%error, "a read failed");
    status::fault()
}
