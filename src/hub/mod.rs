//! The broker at the centre: accept, authorise, submit, answer, deliver, stop in order.
//!
//! Owns the composition of order, journal, ledger and wire. Never sees a payload in clear: it is opaque bytes here.
//! At a crash nothing that was answered is lost: it was in the synced journal, and a restart replays that.

mod answers;
mod audit;
pub mod config;
mod decode;
mod delivery;
mod directory;
mod door;
mod exchange;
pub mod founding;
pub mod home;
mod lane;
mod live;
pub mod open;
mod rates;
mod refusals;
mod rows;
pub mod run;
mod sequence;
mod serve;
mod session;
mod submit;
pub mod verify;

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::door::Door;
use self::lane::Lane;
use self::live::{Item, Live};
use self::submit::Submitter;
use crate::host::clock::Clock;
use crate::host::disk::Disk;
use crate::host::tasks::Tasks;
use crate::journal::{JournalError, Reader};
use crate::model::entry::Payload;
use crate::model::id::Index;
use crate::wire::status;

/// What all services of a hub share.
pub struct Hub {
    /// Who may do what.
    door: Door,
    /// The way in.
    submitter: Submitter,
    /// What goes on now.
    live: Arc<Live>,
    /// Where reads of disk and ledger wait.
    reads: Lane,
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
    /// Cancelled when the hub begins to stop.
    stop: CancellationToken,
}

impl Hub {
    /// Waits until everything that was answered so far is in the ledger's rows.
    async fn settled(&self) -> Result<(), Status> {
        let decided = self.door.view.decided().next_index;
        let mut written = self.written.clone();
        written.wait_for(|written| *written >= decided).await.map(|_| ()).map_err(|_| stopping_status())
    }

    /// Reads messages and notices, from memory or from the journal; in the order of `indexes`.
    async fn items(&self, indexes: Vec<Index>) -> Result<Vec<Item>, Status> {
        let found = self.live.find(&indexes);
        let missing: Vec<Index> =
            indexes.iter().zip(&found).filter(|(_, item)| item.is_none()).map(|(index, _)| *index).collect();
        if missing.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        let journal = self.journal.clone();
        let read = move || missing.into_iter().map(|at| read_item(&journal, at)).collect();
        let read: Result<Vec<Item>, JournalError> =
            self.reads.run(read).await.map_err(|_| stopping_status())?;
        let mut read = read.map_err(|error| read_fault(&error))?.into_iter();
        Ok(found.into_iter().filter_map(|item| item.or_else(|| read.next())).collect())
    }
}

fn read_item(journal: &Reader, index: Index) -> Result<Item, JournalError> {
    let entry = journal.entry(index)?.expect("the ledger was given this entry from the same journal");
    let payload = match entry.payload {
        Payload::Kept(bytes) => Some(bytes),
        Payload::None | Payload::Erased => None,
    };
    Ok(Item { index, time: entry.time, statement: entry.statement, payload })
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
