//! One file on its way up: its frames, in order, each in its turn on the lane.
//!
//! Owns the order of frames. Never has more of a file in memory than what the line has on its way and one piece.

use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::{CHUNK_UP_BYTES_MAX, NotDone, STALL_MAX};
use crate::files::store::{StoreError, Upload};
use crate::hub::Hub;
use crate::model::identity::{Identity, Name};
use crate::model::refusal::{Reason, Refusal};
use crate::wire::convert;
use crate::wire::proto::upload_request::Frame;
use crate::wire::proto::{UploadRequest, UploadResponse, UploadStart};

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
        while left > 0 {
            let chunk = match next_frame(hub, caller, &mut up).await? {
                Some(Frame::Chunk(chunk)) if (1..=CHUNK_UP_BYTES_MAX).contains(&chunk.len()) => chunk,
                Some(Frame::Chunk(chunk)) => {
                    let message =
                        format!("a chunk has 1 to {CHUNK_UP_BYTES_MAX} bytes; this has {}", chunk.len());
                    return Err(Refusal::field("chunk", message).into());
                }
                Some(Frame::Start(_)) => {
                    let message = "a start comes first, and once";
                    return Err(Refusal::new(Reason::FrameUnexpected, message).into());
                }
                // What came stays; the next upload goes on from there.
                None => return Ok(()),
            };
            left = left.saturating_sub(chunk.len() as u64);
            let (back, synced) = in_turn(hub, upload, move |upload| upload.take(&chunk)).await?;
            upload = back;
            if let Some(synced_bytes) = synced {
                // Who does not read how far it is loses nothing by it.
                let _ = down.try_send(Ok(UploadResponse { synced_bytes, whole: false }));
            }
        }
        hub.in_up_lane(move |_| upload.finish()).await?;
        // Who reads may have gone: it asks again and is told.
        let _ = down.send(Ok(UploadResponse { synced_bytes: 0, whole: true })).await;
        Ok(())
    };
    taking.await.map_err(|error: NotDone| hub.not_done(caller, "Upload", error))
}

/// Begins an upload, with what was there before digested; gives how many bytes have yet to come.
async fn begin(hub: &Arc<Hub>, office: &Name, start: UploadStart) -> Result<(Upload, u64), NotDone> {
    let file = convert::file_ref("start.file.sha256", &start.file.unwrap_or_default())?;
    let (office, from) = (office.clone(), start.from_bytes);
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

async fn next_frame(
    hub: &Hub,
    caller: &Identity,
    up: &mut Streaming<UploadRequest>,
) -> Result<Option<Frame>, NotDone> {
    let frame = tokio::time::timeout(STALL_MAX, hub.door.frame(caller, "Upload", up)).await;
    let frame = frame.map_err(|_| Refusal::new(Reason::Busy, "nothing came for long").retry_after_ms(1))?;
    Ok(frame.map_err(NotDone::Status)?.and_then(|frame| frame.frame))
}
