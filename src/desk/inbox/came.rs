//! A message as it came, and the file that becomes of it.
//!
//! Owns what of it is written. Never judges it.

use bytes::Bytes;
use prost::Message as _;

use super::keep::{Outcome, Place};
use super::{AsideBody, InboxEntry, IncomingBody, Kept, State, aside_name};
use crate::desk::record;
use crate::model::envelope::{Envelope, MessageId};
use crate::model::id::{Index, UnixMicros};
use crate::model::receipt::Covered;
use crate::seal::sha256;
use crate::wire::proto;

/// A file's name and bytes.
pub(super) type File = (String, Vec<u8>);

/// A message as it came.
pub(super) struct Came {
    pub(super) accepted: UnixMicros,
    pub(super) now: UnixMicros,
    pub(super) state: State,
    pub(super) message: proto::Message,
}

impl Came {
    /// As it is kept; with `gone` without its payload, and with what is known of why.
    pub(super) fn kept(
        self,
        entry: InboxEntry,
        envelope: Envelope,
        digest: [u8; 32],
        gone: Option<(String, bool)>,
    ) -> Kept {
        let payload = if gone.is_some() { Bytes::new() } else { self.message.payload };
        let (erased, unordered) = gone.unzip();
        Kept {
            entry,
            accepted: self.accepted,
            kept: self.now,
            expired: self.message.expired,
            replayed: self.message.replayed,
            envelope,
            envelope_bytes: self.message.envelope,
            digest,
            payload,
            erased,
            unordered: unordered.unwrap_or_default(),
        }
    }

    /// As it is kept aside.
    pub(super) fn aside(
        self,
        (index, epoch): Place,
        reason: String,
        opened: bool,
    ) -> (Outcome, Option<File>) {
        let message = readable(&self.message.envelope, index);
        let body = AsideBody {
            envelope: self.message.envelope,
            payload: self.message.payload,
            accepted_unix_us: self.accepted.0,
            kept_unix_us: self.now.0,
            reason: reason.clone(),
        };
        let file = (aside_name(index, epoch), record::encode(&body));
        (Outcome::Unreadable { message, index, reason, opened }, Some(file))
    }
}

impl Kept {
    /// The file that it is kept in.
    pub(super) fn file(&self, state: State) -> File {
        let body = IncomingBody {
            envelope: self.envelope_bytes.clone(),
            payload: self.payload.clone(),
            index: self.entry.index.0,
            accepted_unix_us: self.accepted.0,
            kept_unix_us: self.kept.0,
            expired: self.expired,
            replayed: self.replayed,
            erased: self.erased.clone(),
            unordered: self.unordered,
        };
        (self.entry.file_name(state), record::encode(&body))
    }
}

/// Reads the id alone, from an envelope that is otherwise not as this version expects.
fn readable(envelope: &Bytes, index: Index) -> Option<Covered> {
    let statement = proto::Signed::decode(envelope.clone()).ok()?.statement;
    let message_id = MessageId::from_slice(&proto::Envelope::decode(statement.clone()).ok()?.message_id)?;
    Some(Covered { index, message_id, digest: sha256(&statement) })
}
