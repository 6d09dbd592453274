//! One file on its way up: its frames, in order, each in its turn on the lane, and beside them its syncs.
//!
//! Owns the order of frames, and how much of a file waits for the disk at once: little while messages come, whose syncs wait
//! behind that. Never has more of a file in memory than what the line has on its way and one piece.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tonic::{Status, Streaming};

use super::{CHUNK_UP_BYTES_MAX, NotDone, STALL_MAX};
use crate::files::store::{StoreError, Upload};
use crate::hub::Hub;
use crate::hub::submit::stopping;
use crate::model::identity::{Identity, Name};
use crate::model::refusal::{Reason, Refusal};
use crate::wire::convert;
use crate::wire::proto::upload_request::Frame;
use crate::wire::proto::{UploadRequest, UploadResponse, UploadStart};

/// Bytes of a file after which a sync begins where messages came lately: a disk of 500 MiB/s has them in half a millisecond.
/// As much again may come until it does.
const SYNC_BYTES_IN_USE: u64 = 256 * 1024;
/// The same where none came, and nobody waits behind it.
const SYNC_BYTES_QUIET: u64 = 4 * 1024 * 1024;
/// For how long after a message others are thought to come, in microseconds.
const IN_USE_US: u64 = 1_000_000;
/// After how long a sync begins where little comes, in microseconds: on a slow line that is a piece.
const SYNC_WAIT_US: u64 = 1_000_000;

/// Takes one file up.
pub(super) async fn take_file(
    hub: &Arc<Hub>,
    caller: &Identity,
    office: &Name,
    mut up: Streaming<UploadRequest>,
    down: &mpsc::Sender<Result<UploadResponse, Status>>,
) -> Result<(), Status> {
    let taking = async {
        let Some(Frame::Start(start)) = next_frame(hub, caller, &mut up).await? else {
            let message = "an upload begins with a start";
            return Err(Refusal::new(Reason::FrameUnexpected, message).into());
        };
        let (mut upload, mut left) = begin(hub, office, start).await?;
        let mut syncs = Syncs::default();
        syncs.came(hub, upload.unsynced());
        while left > 0 || syncs.are_left() {
            let most = sync_bytes(hub);
            if syncs.under_way.is_none() && (left == 0 || syncs.waiting_bytes >= most) {
                upload = syncs.begin(hub, upload).await?;
            }
            tokio::select! {
                chunk = next_chunk(hub, caller, &mut up), if left > 0 && syncs.waiting_bytes < most => match chunk {
                    Ok(Some(chunk)) => {
                        left = left.saturating_sub(chunk.len() as u64);
                        syncs.came(hub, chunk.len() as u64);
                        upload = in_turn(hub, upload, move |upload| upload.take(&chunk)).await?.0;
                    }
                    ended => {
                        // What came stays, and the next upload goes on from there: no more of it is to be lost than must be.
                        if syncs.waiting_bytes > 0 {
                            let _ = syncs.begin(hub, upload).await;
                        }
                        return ended.map(drop);
                    }
                },
                synced = syncs.next(hub) => match synced? {
                    Some(synced_bytes) => {
                        upload.synced_to(synced_bytes);
                        // Who does not read how far it is loses nothing by it.
                        let _ = down.try_send(Ok(UploadResponse { synced_bytes, whole: false }));
                    }
                    None => upload = syncs.begin(hub, upload).await?,
                },
            }
        }
        hub.in_up_lane(move |_| upload.finish()).await?;
        // Who reads may have gone: it asks again and is told.
        let _ = down.send(Ok(UploadResponse { synced_bytes: 0, whole: true })).await;
        Ok(())
    };
    taking.await.map_err(|error: NotDone| hub.not_done(caller, "Upload", error))
}

/// The syncs of a file, one at a time.
#[derive(Default)]
struct Syncs {
    /// Tells how many bytes are there for good.
    under_way: Option<oneshot::Receiver<Result<u64, StoreError>>>,
    /// Bytes that came and are in none.
    waiting_bytes: u64,
    /// When these are due, however few they are, by the monotonic clock.
    due_us: u64,
}

impl Syncs {
    fn are_left(&self) -> bool {
        self.under_way.is_some() || self.waiting_bytes > 0
    }

    fn came(&mut self, hub: &Hub, bytes: u64) {
        if self.waiting_bytes == 0 {
            self.due_us = hub.clock.monotonic_us() + SYNC_WAIT_US;
        }
        self.waiting_bytes += bytes;
    }

    /// Begins one of all that waits.
    async fn begin(&mut self, hub: &Arc<Hub>, upload: Upload) -> Result<Upload, NotDone> {
        let (upload, sync) = in_turn(hub, upload, |upload| upload.sync()).await?;
        self.waiting_bytes = 0;
        self.under_way = Some(hub.transfers.sync.begin(move || sync.run()).await.map_err(|_| stopping())?);
        Ok(upload)
    }

    /// Waits for the one under way and gives how many bytes are there for good; or, where none is, until one is due.
    async fn next(&mut self, hub: &Hub) -> Result<Option<u64>, NotDone> {
        match &mut self.under_way {
            Some(told) => {
                let synced = told.await;
                self.under_way = None;
                Ok(Some(synced.map_err(|_| stopping())??))
            }
            None if self.waiting_bytes > 0 => {
                let left_us = self.due_us.saturating_sub(hub.clock.monotonic_us());
                tokio::time::sleep(Duration::from_micros(left_us)).await;
                Ok(None)
            }
            None => std::future::pending().await,
        }
    }
}

fn sync_bytes(hub: &Hub) -> u64 {
    if hub.submitter.is_in_use(IN_USE_US) { SYNC_BYTES_IN_USE } else { SYNC_BYTES_QUIET }
}

/// Begins an upload, with what was there before digested; gives how many bytes have yet to come.
async fn begin(hub: &Arc<Hub>, office: &Name, start: UploadStart) -> Result<(Upload, u64), NotDone> {
    let file = convert::file_ref("start.file.sha256", &start.file.unwrap_or_default())?;
    let (office, from) = (office.clone(), start.from_bytes);
    // What a connection that was cut has brought is there for good, or is not there.
    hub.transfers.sync.run(|| ()).await.map_err(|_| stopping())?;
    let mut upload = hub.in_up_lane(move |hub| hub.transfers.store.upload(&office, file, from)).await?;
    // A piece at a time: others take their turns in between.
    loop {
        let (back, done) = in_turn(hub, upload, Upload::catch_up).await?;
        upload = back;
        if done {
            return Ok((upload, file.bytes - from));
        }
    }
}

async fn in_turn<T: Send + 'static>(
    hub: &Arc<Hub>,
    mut upload: Upload,
    work: impl FnOnce(&mut Upload) -> Result<T, StoreError> + Send + 'static,
) -> Result<(Upload, T), NotDone> {
    hub.in_up_lane(move |_| work(&mut upload).map(|done| (upload, done))).await
}

/// Takes the next bytes; `None`: the line has ended.
async fn next_chunk(
    hub: &Hub,
    caller: &Identity,
    up: &mut Streaming<UploadRequest>,
) -> Result<Option<Bytes>, NotDone> {
    match next_frame(hub, caller, up).await? {
        Some(Frame::Chunk(chunk)) if (1..=CHUNK_UP_BYTES_MAX).contains(&chunk.len()) => Ok(Some(chunk)),
        Some(Frame::Chunk(chunk)) => {
            let message = format!("a chunk has 1 to {CHUNK_UP_BYTES_MAX} bytes; this has {}", chunk.len());
            Err(Refusal::field("chunk", message).into())
        }
        Some(Frame::Start(_)) => {
            Err(Refusal::new(Reason::FrameUnexpected, "a start comes first, and once").into())
        }
        None => Ok(None),
    }
}

async fn next_frame(
    hub: &Hub,
    caller: &Identity,
    up: &mut Streaming<UploadRequest>,
) -> Result<Option<Frame>, NotDone> {
    let frame = tokio::time::timeout(STALL_MAX, hub.door.frame(caller, "Upload", up)).await;
    let frame = frame.map_err(|_| Refusal::new(Reason::Busy, "nothing came for long").retry_after_ms(1))?;
    Ok(frame.map_err(NotDone::Status)?.and_then(|frame| frame.frame))
}
