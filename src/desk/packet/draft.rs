//! Making a packet: its files read and digested, its manifest, its envelope.
//!
//! Owns that the same packet is the same draft: what waits in the outbox is gone on with, not written a second time.
//! Never copies a file: the outbox notes where it is.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Manifest, PacketFile};
use crate::desk::compose::{drafted, new_id, random_bytes, unsigned};
use crate::desk::outbox::{Outbox, Outgoing};
use crate::desk::sealer::{SealerError, Unlocked, draft_payload};
use crate::files::partial::Digested;
use crate::host::clock::Clock;
use crate::host::disk::{Disk, OpenMode};
use crate::host::random::Random;
use crate::model::deadline::Deadlines;
use crate::model::envelope::{CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority};
use crate::model::id::DirectoryVersion;
use crate::model::identity::{Desk, Name};
use crate::seal;

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
    /// Whether they are the members of the stream, whoever those are when it is sealed.
    pub to_members: bool,
    /// What the draft is sealed to: this office's own key.
    pub own: seal::Recipient,
}

/// Tells whether what waits is of the same content, as it was or as it was sealed since.
fn is_of(waits: &Outgoing, draft: &PacketDraft, unlocked: &Unlocked) -> bool {
    let content = unlocked.opener.own(&waits.payload);
    let manifest = content.ok().and_then(|content| Manifest::of(&waits.envelope, &content.0).ok());
    let as_drafted = manifest.map(|manifest| {
        let files = manifest.files.into_iter().map(|file| PacketFile { sealed: None, ..file });
        Manifest { files: files.collect(), ..manifest }
    });
    as_drafted.as_ref() == Some(&draft.manifest)
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
    Ok(PacketFile { name: found.name.clone(), file, sealed: None })
}

/// Makes the message; `true`: it is one that waits in the outbox already, of the same content and for the same offices.
///
/// # Errors
/// [`SealerError`]
pub fn compose(
    desk: &Desk,
    draft: PacketDraft,
    outbox: &Outbox,
    clock: &dyn Clock,
    random: &dyn Random,
    unlocked: &Unlocked,
) -> Result<(Outgoing, bool), SealerError> {
    let mut recipients = draft.recipients.clone();
    recipients.sort();
    recipients.dedup();
    for id in outbox.pending()?.0 {
        // A damaged one is told when it is handed in.
        let Ok(waits) = outbox.read_message(id) else { continue };
        let envelope = &waits.envelope;
        if is_of(&waits, &draft, unlocked)
            && envelope.class == MessageClass::Packet
            && envelope.stream == draft.stream
            && envelope.offices().eq(&recipients)
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
        recipients: recipients.into_iter().map(drafted).collect(),
        directory_version: DirectoryVersion(0),
        priority: Priority::Normal,
        status: draft.status,
        msg_type: if supersedes.is_empty() { CapMsgType::Alert } else { CapMsgType::Update },
        thread_id: draft.thread_id.unwrap_or_else(|| random_bytes(random)),
        references: supersedes,
        sent: clock.now(),
        expires: None,
        payload_bytes: 0,
        payload_digest: [0; 32],
        deadlines: draft.deadlines,
        files: Vec::new(),
        voided: Vec::new(),
        about: None,
    };
    let envelope_bytes = unsigned(&envelope);
    let outgoing = Outgoing {
        envelope,
        envelope_bytes,
        payload: draft_payload(&draft.own, &draft.manifest.bytes())?.into(),
        to_members: draft.to_members,
        name: None,
        sources: draft.sources,
        seen: None,
        erased: false,
        outcome: None,
        promise: None,
    };
    Ok((outgoing, false))
}
