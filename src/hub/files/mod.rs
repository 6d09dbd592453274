//! Packets' files, as gRPC: handed up before their message, fetched by those whom it is for.
//!
//! Owns who may move which file, how many at once, and the rhythm in which what nobody needs is cleared. What is on the
//! disk is the store's to say. Never holds more of a file than a few pieces, and never makes an alert wait: disk work
//! has lanes of its own, and is done in small pieces.

mod down;
mod up;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::door::{self, StreamPlace};
use super::lane::Lane;
use super::{Hub, stopping_status, submit};
use crate::files::DiskError;
use crate::files::store::{Store, StoreError};
use crate::host::tasks::SendFuture;
use crate::ledger::LedgerError;
use crate::model::envelope::FileDigest;
use crate::model::identity::{Identity, Name};
use crate::model::refusal::{Reason, Refusal};
use crate::wire::proto::file_service_server::FileService;
use crate::wire::proto::{
    BeginUploadRequest, BeginUploadResponse, DownloadRequest, DownloadResponse, UploadRequest, UploadResponse,
};
use crate::wire::{convert, status};

/// Bytes of one piece that comes up at most; a frame has somewhat more.
const CHUNK_UP_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one frame at most.
pub(super) const FRAME_BYTES_MAX: usize = CHUNK_UP_BYTES_MAX + 1024;
/// Frames of one transfer that wait for the line.
const FRAMES_WAITING_MAX: usize = 4;
/// How long the other side may let a transfer wait: a piece on a line of 9,600 bit/s takes four minutes.
const STALL_MAX: Duration = Duration::from_mins(10);
/// When to come again when an office has as many transfers as it may, in milliseconds.
const PLACES_RETRY_MS: u64 = 2_000;
/// How often it is looked for what belongs to no message.
const CLEAR_EVERY: Duration = Duration::from_mins(10);
/// Before it is looked again at a file that is to be erased while a message with it is being decided.
const PINNED_PAUSE: Duration = Duration::from_millis(50);

/// What moves files.
pub(super) struct Transfers {
    /// The files.
    pub(super) store: Arc<Store>,
    /// Where all that changes them waits.
    up: Lane,
    /// Where what came up waits for the disk, one sync after the other.
    sync: Lane,
    /// Where reading waits.
    down: Lane,
    places: Arc<Places>,
}

/// How many transfers go on, by office.
struct Places {
    most: AtomicUsize,
    taken: Mutex<HashMap<Name, usize>>,
}

/// A place among an office's transfers, and among the streams.
struct Place {
    places: Arc<Places>,
    office: Name,
    _stream: StreamPlace,
}

impl Transfers {
    /// Moves the files of a store; `most` of one office at once.
    pub(super) fn new(store: Arc<Store>, [up, sync, down]: [Lane; 3], most: usize) -> Self {
        let places = Arc::new(Places { most: most.into(), taken: Mutex::default() });
        Self { store, up, sync, down, places }
    }

    /// Does in the lane of what changes files something else that waits for the disk; `None` when the hub stops.
    pub(super) async fn in_lane<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.up.run(work).await.ok()
    }

    /// Waits until what changes files has ended: nobody else may have them before that.
    pub(super) async fn settle(&self) {
        for lane in [&self.up, &self.sync] {
            // One that has ended does nothing any more.
            let _ = lane.run(|| ()).await;
        }
    }

    /// Takes up another bound.
    pub(super) fn adopt(&self, most: usize) {
        self.places.most.store(most, Ordering::Relaxed);
    }
}

impl Places {
    fn take(self: &Arc<Self>, office: Name, stream: StreamPlace) -> Result<Place, Refusal> {
        let most = self.most.load(Ordering::Relaxed);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(office.clone()).or_default();
        if *count >= most {
            let message =
                format!("{most} transfers of {office} go on, as many as this hub takes of one office");
            return Err(Refusal::new(Reason::ConnectionsExceeded, message).retry_after_ms(PLACES_RETRY_MS));
        }
        *count += 1;
        Ok(Place { places: Arc::clone(self), office, _stream: stream })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(self.office.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The service.
#[derive(Clone)]
pub(super) struct Files {
    hub: Arc<Hub>,
}

impl Files {
    /// Serves a hub.
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    fn place<T>(&self, request: &Request<T>, caller: &Identity, office: Name) -> Result<Place, Refusal> {
        let stream = self.hub.door.stream(door::line(request), caller)?;
        self.hub.transfers.places.take(office, stream)
    }
}

#[tonic::async_trait]
impl FileService for Files {
    async fn begin_upload(
        &self,
        request: Request<BeginUploadRequest>,
    ) -> Result<Response<BeginUploadResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let asked = request.into_inner().file.unwrap_or_default();
        let hub = &self.hub;
        let begun = async {
            let office = hub.door.view.policy().permit_upload(&caller)?.office;
            let file = convert::file_ref("file.sha256", &asked)?;
            hub.in_up_lane(move |hub| hub.transfers.store.begin(&office, file, hub.clock.now())).await
        };
        match begun.await {
            Ok(have) => Ok(Response::new(BeginUploadResponse { have_bytes: have.bytes, whole: have.whole })),
            Err(error) => Err(hub.not_done(&caller, "BeginUpload", error)),
        }
    }

    type UploadStream = ReceiverStream<Result<UploadResponse, Status>>;

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<Self::UploadStream>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let permitted = self.hub.door.view.policy().permit_upload(&caller);
        let place = permitted.and_then(|permit| self.place(&request, &caller, permit.office));
        let place = place.map_err(|refusal| self.hub.door.refuse(&caller, "Upload", &refusal))?;
        let (down, frames) = mpsc::channel(FRAMES_WAITING_MAX);
        let (hub, up) = (Arc::clone(&self.hub), request.into_inner());
        self.hub.tasks.spawn(
            "upload",
            Box::pin(async move {
                let taken = tokio::select! {
                    () = hub.stop.cancelled() => Err(stopping_status()),
                    taken = up::take_file(&hub, &caller, &place.office, up, &down) => taken,
                };
                drop(place);
                if let Err(status) = taken {
                    // Who reads may have gone.
                    let _ = down.send(Err(status)).await;
                }
            }),
        );
        Ok(Response::new(ReceiverStream::new(frames)))
    }

    type DownloadStream = ReceiverStream<Result<DownloadResponse, Status>>;

    async fn download(
        &self,
        request: Request<DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal: Refusal| self.hub.door.refuse(&caller, "Download", &refusal);
        let permitted = self.hub.door.view.policy().permit_subscribe(&caller, &[]);
        let office = permitted.map_err(refuse)?;
        let place = match &caller {
            Identity::Desk(desk) => self.place(&request, &caller, desk.office.clone()).map_err(refuse)?,
            // The permit is for desks alone.
            _ => return Err(status::fault()),
        };
        let asked = request.into_inner();
        let (down, frames) = mpsc::channel(FRAMES_WAITING_MAX);
        let found = self.hub.find_file(office, asked).await;
        let found = found.map_err(|error| self.hub.not_done(&caller, "Download", error))?;
        let hub = Arc::clone(&self.hub);
        self.hub.tasks.spawn(
            "download",
            Box::pin(async move {
                let sent = tokio::select! {
                    () = hub.stop.cancelled() => Err(stopping_status()),
                    sent = down::send_file(&hub, found, &down) => sent,
                };
                drop(place);
                if let Err(status) = sent {
                    // Who reads may have gone.
                    let _ = down.send(Err(status)).await;
                }
            }),
        );
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}

/// Why something was not done.
pub(super) enum NotDone {
    /// The caller's mistake, or something that it must wait for.
    Refused(Refusal),
    /// A fault of the hub's own, of this transfer alone.
    Disk(DiskError),
    /// A fault of the hub's own.
    Ledger(LedgerError),
    /// The line, or the caller's reader.
    Status(Status),
}

impl From<Refusal> for NotDone {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for NotDone {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => Self::Refused(refusal),
            StoreError::Disk(error) => Self::Disk(error),
        }
    }
}

impl From<DiskError> for NotDone {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl From<LedgerError> for NotDone {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl Hub {
    /// Makes a status of what was not done, and records a refusal.
    fn not_done(&self, caller: &Identity, call: &str, error: NotDone) -> Status {
        match error {
            NotDone::Refused(refusal) => self.door.refuse(caller, call, &refusal),
            NotDone::Disk(error) => {
                tracing::error!(%error, call, "a file could not be read or written");
                status::unavailable()
            }
            NotDone::Ledger(error) => self.ledger_fault(error),
            NotDone::Status(status) => status,
        }
    }

    /// Does in its turn what changes files.
    async fn in_up_lane<T: Send + 'static, E: Into<NotDone> + Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, NotDone> {
        let hub = Arc::clone(self);
        let done = self.transfers.up.run(move || work(&hub)).await;
        done.map_err(|_| NotDone::Refused(submit::stopping()))?.map_err(Into::into)
    }

    /// Erases a file that no message needs whose payload is kept.
    ///
    /// # Errors
    /// [`NotDone`], each: ask again.
    pub(super) async fn forget_file(
        self: &Arc<Self>,
        sender: Name,
        digest: FileDigest,
    ) -> Result<(), NotDone> {
        loop {
            let office = sender.clone();
            let forgotten = self.in_up_lane(move |hub| {
                let needed = || hub.is_needed(&office, &digest);
                hub.transfers.store.forget(&office, &digest, needed)
            });
            if forgotten.await? {
                return Ok(());
            }
            // A message with this file is being decided.
            tokio::time::sleep(PINNED_PAUSE).await;
        }
    }

    fn is_needed(&self, office: &Name, digest: &FileDigest) -> Result<bool, NotDone> {
        let Some(number) = self.door.view.policy().number(office) else { return Ok(false) };
        Ok(self.door.view.needs_file(number, digest)?)
    }
}

/// Clears what belongs to no message, now and then, until the hub stops.
pub(super) fn clear_orphans(hub: Arc<Hub>) -> SendFuture {
    Box::pin(async move {
        loop {
            let cleared = hub.in_up_lane(|hub| {
                hub.transfers.store.clear(hub.clock.now(), |office, digest| hub.is_needed(office, digest))
            });
            match cleared.await {
                Ok(0) | Err(NotDone::Refused(_) | NotDone::Status(_)) => {}
                Ok(files) => {
                    tracing::info!(files, "files that were handed up and never published were cleared");
                }
                Err(NotDone::Ledger(error)) => drop(hub.ledger_fault(error)),
                Err(NotDone::Disk(error)) => tracing::error!(%error, "files could not be cleared"),
            }
            tokio::select! {
                () = hub.stop.cancelled() => return,
                () = tokio::time::sleep(CLEAR_EVERY) => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::files::store::Room;
    use crate::host::disk::MemoryDisk;
    use crate::host::tasks::TokioTasks;
    use crate::model::id::UnixMicros;

    #[tokio::test]
    async fn who_waits_until_files_have_settled_waits_for_a_sync_that_is_under_way() {
        let tasks = TokioTasks::on(tokio::runtime::Handle::current());
        let lanes = ["up", "sync", "down"].map(|name| Lane::start(&tasks, name).unwrap().0);
        let room = Room { office_bytes_max: 1, disk_reserve_bytes: 0 };
        let store = Store::open(Arc::new(MemoryDisk::new()), "/files".into(), room, UnixMicros(1)).unwrap();
        let transfers = Transfers::new(store, lanes, 1);
        let (end, ended) = sync_channel(1);
        let mut synced = transfers.sync.begin(move || ended.recv()).await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(50), transfers.settle()).await.is_err());
        end.send(()).unwrap();
        transfers.settle().await;
        assert_eq!(synced.try_recv().unwrap(), Ok(()));
    }
}
