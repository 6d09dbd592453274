//! Making a packet: its files read and digested, its manifest, its envelope.
//!
//! Owns that the same packet is the same draft: what waits in the outbox is gone on with, not written a second time.
//! Never copies a file: the outbox notes where it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Manifest, PacketFile};
use crate::desk::compose::{new_id, random_bytes};
use crate::desk::outbox::{Outbox, Outgoing};
use crate::desk::store::StoreError;
use crate::files::partial::Digested;
use crate::host::clock::Clock;
use crate::host::disk::{Disk, OpenMode};
use crate::host::random::Random;
use crate::model::deadline::Deadlines;
use crate::model::envelope::{CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority};
use crate::model::id::DirectoryVersion;
use crate::model::identity::{Desk, Name};
use crate::wire::convert;

/// Bytes read at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// A file to be sent: where it is, and its name in the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name in the packet.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A packet and where it is to go.
#[derive(Clone, Debug)]
pub struct PacketDraft {
    /// What it says.
    pub manifest: Manifest,
    /// Where its files are, in the manifest's order.
    pub sources: Vec<PathBuf>,
    /// The thread of what it supersedes.
    pub thread_id: Option<[u8; 16]>,
    /// Whether it is real.
    pub status: CapStatus,
    /// The stream that it belongs to.
    pub stream: Name,
    /// By when it is to be received, read and acted on.
    pub deadlines: Deadlines,
    /// The offices that it is for, in any order.
    pub recipients: Vec<Name>,
    /// The version of the directory that they were taken from; 0: from none.
    pub directory_version: DirectoryVersion,
}

/// Reads a file and digests it, piece by piece: another task gets its turn in between.
///
/// # Errors
/// That of the disk.
pub async fn digest(disk: &Arc<dyn Disk>, found: &Found) -> io::Result<PacketFile> {
    let open = disk.open(&found.path, OpenMode::Read)?;
    let (mut digested, mut piece) = (Digested::nothing(), vec![0; PIECE_BYTES]);
    loop {
        let read = open.read_at(&mut piece, digested.bytes())?;
        if read == 0 {
            break;
        }
        digested.take(&piece[..read]);
        tokio::task::yield_now().await;
    }
    let bytes = digested.bytes();
    let file = crate::model::envelope::FileRef { digest: digested.finish(), bytes };
    Ok(PacketFile { name: found.name.clone(), file })
}

/// Makes the message; `true`: it is one that waits in the outbox already, of the same content and for the same offices.
///
/// # Errors
/// [`StoreError`].
pub fn compose(
    desk: &Desk,
    draft: PacketDraft,
    outbox: &Outbox,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<(Outgoing, bool), StoreError> {
    let mut recipients = draft.recipients;
    recipients.sort();
    recipients.dedup();
    let payload = draft.manifest.bytes();
    for id in outbox.pending()?.0 {
        // A damaged one is told when it is handed in.
        let Ok(waits) = outbox.read_message(id) else { continue };
        let envelope = &waits.envelope;
        if waits.payload == payload
            && envelope.class == MessageClass::Packet
            && envelope.stream == draft.stream
            && envelope.recipients == recipients
            && envelope.status == draft.status
            && envelope.deadlines == draft.deadlines
        {
            return Ok((waits, true));
        }
    }
    let supersedes: Vec<MessageId> = draft.manifest.supersedes.into_iter().collect();
    let envelope = Envelope {
        message_id: new_id(clock, random),
        class: MessageClass::Packet,
        stream: draft.stream,
        sender: desk.clone(),
        recipients,
        directory_version: draft.directory_version,
        priority: Priority::Normal,
        status: draft.status,
        msg_type: if supersedes.is_empty() { CapMsgType::Alert } else { CapMsgType::Update },
        thread_id: draft.thread_id.unwrap_or_else(|| random_bytes(random)),
        references: supersedes,
        sent: clock.now(),
        expires: None,
        payload_bytes: payload.len() as u64,
        payload_digest: crate::desk::inbox::sha256(&payload),
        deadlines: draft.deadlines,
        files: draft.manifest.file_refs(),
    };
    let envelope_bytes = convert::envelope_bytes(&envelope);
    let outgoing = Outgoing {
        envelope,
        envelope_bytes,
        payload,
        reference: None,
        sources: draft.sources,
        erased: false,
        outcome: None,
    };
    Ok((outgoing, false))
}
