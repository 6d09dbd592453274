//! One file on its way down: who may have it, and its pieces.
//!
//! Owns that nobody learns of a file that is not of nor for their office, and that no damaged one is given whole. Never reads
//! further ahead than a few pieces.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tonic::Status;

use super::{NotDone, STALL_MAX};
use crate::files::DiskError;
use crate::files::partial::Digested;
use crate::host::disk::DiskFile;
use crate::hub::{Hub, read_fault, stopping_status, submit};
use crate::model::envelope::FileDigest;
use crate::model::id::Index;
use crate::model::policy::OfficeNumber;
use crate::model::receipt::MessageRef;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::proto::{DownloadRequest, DownloadResponse, FileRef};
use crate::wire::{convert, status};

/// Bytes of one piece that goes down.
const CHUNK_BYTES: usize = 64 * 1024;
/// Pieces read from the disk at once.
const CHUNKS_READ: usize = 4;

/// A file that an office may have.
pub(super) struct Found {
    file: Arc<dyn DiskFile>,
    digest: FileDigest,
    /// The byte from which on it is asked for.
    from: u64,
}

impl Hub {
    /// Finds a file that an office may have: of a message that it sent or that is for it.
    pub(super) async fn find_file(
        self: &Arc<Self>,
        office: OfficeNumber,
        asked: DownloadRequest,
    ) -> Result<Found, NotDone> {
        let named = asked.message.unwrap_or_default();
        let message_id = convert::message_id("message.message_id", &named.message_id)?;
        let wire = FileRef { sha256: asked.sha256, bytes: 0 };
        let digest = convert::file_ref("sha256", &wire)?.digest;
        let named = MessageRef { index: Index(named.index), message_id };
        let hub = Arc::clone(self);
        let found = self.transfers.down.run(move || hub.open_file(office, &named, &digest)).await;
        let file = found.map_err(|_| NotDone::Refused(submit::stopping()))??;
        let bytes = file.len().map_err(|source| DiskError { path: digest.to_string().into(), source })?;
        if asked.from_bytes > bytes {
            let message = format!("the file has {bytes} bytes; there are none from {} on", asked.from_bytes);
            return Err(Refusal::field("from_bytes", message).into());
        }
        Ok(Found { file, digest, from: asked.from_bytes })
    }

    fn open_file(
        &self,
        office: OfficeNumber,
        named: &MessageRef,
        digest: &FileDigest,
    ) -> Result<Arc<dyn DiskFile>, NotDone> {
        let row = self.door.view.message(named.index)?;
        let theirs = row.filter(|row| {
            row.message_id == named.message_id
                && (row.sender_office == office || row.recipients.contains(&office))
        });
        let sender = match theirs {
            Some(row) if self.door.view.has_file(row.sender_office, digest, named.index)? => {
                row.sender.office.clone()
            }
            // One answer for both, so that nobody learns what is there.
            _ => {
                let message = format!(
                    "message {} at index {} has no file {digest}, or is neither of nor for the caller's office",
                    named.message_id, named.index
                );
                return Err(Refusal::new(Reason::MessageUnknown, message).into());
            }
        };
        self.transfers.store.read(&sender, digest).map_err(|error| match error.source.kind() {
            io::ErrorKind::NotFound => {
                let message = format!("file {digest} is no longer at the hub: ask {sender} for it");
                NotDone::Refused(Refusal::new(Reason::FileMissing, message))
            }
            _ => error.into(),
        })
    }
}

/// Sends one file down. What is asked for from its first byte on is digested on the way, and does not end where the disk gave other
/// bytes than once went up; a part is the reader's to look at.
pub(super) async fn send_file(
    hub: &Hub,
    Found { file, digest, mut from }: Found,
    down: &mpsc::Sender<Result<DownloadResponse, Status>>,
) -> Result<(), Status> {
    let mut digested = (from == 0).then(Digested::nothing);
    let mut piece = Bytes::new();
    loop {
        let reading = Arc::clone(&file);
        let read = hub.transfers.down.run(move || read_pieces(reading.as_ref(), from)).await;
        let next = read.map_err(|_| stopping_status())?.map_err(|error| read_fault(&error))?;
        from += next.len() as u64;
        if let Some(digested) = &mut digested {
            digested.take(&next);
        }
        if next.is_empty() && digested.take().is_some_and(|digested| digested.finish() != digest) {
            tracing::error!(file = %digest, "a packet's file is damaged on this disk, and not given: `hub backup` finds all such");
            let message = format!(
                "file {digest} is damaged at the hub, and what came of it is worth nothing: ask its sender for it"
            );
            return Err(status::refused(&Refusal::new(Reason::FileMissing, message)));
        }
        let ended = next.is_empty();
        let mut now = std::mem::replace(&mut piece, next);
        while !now.is_empty() {
            let chunk = now.split_to(now.len().min(CHUNK_BYTES));
            match tokio::time::timeout(STALL_MAX, down.send(Ok(DownloadResponse { chunk }))).await {
                Ok(Ok(())) => {}
                // Who read has gone, or takes nothing.
                _ => return Ok(()),
            }
        }
        if ended {
            return Ok(());
        }
    }
}

fn read_pieces(file: &dyn DiskFile, from: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; CHUNK_BYTES * CHUNKS_READ];
    let read = file.read_at(&mut bytes, from)?;
    bytes.truncate(read);
    Ok(bytes.into())
}
