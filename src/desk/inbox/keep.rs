//! Keeping what came: the one writer of an inbox.
//!
//! Owns the lock of the inbox and the memory of what came before. Never acknowledges: it says what may be.
//! At a crash: see the inbox; the memory is read back from the files' names.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use prost::Message as _;

use super::{
    AsideBody, Inbox, InboxEntry, IncomingBody, Kept, KeptNotice, NoticeBody, State, aside_name, notice_name,
};
use crate::desk::epochs;
use crate::desk::home::Home;
use crate::desk::record;
use crate::desk::store::StoreError;
use crate::host::disk::Lock;
use crate::model::envelope::{Envelope, FileRef, MessageId};
use crate::model::epoch::{EpochId, Epochs};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::receipt::MessageRef;
use crate::wire::{convert, proto};

/// What became of one thing that came. It is on the disk, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A message that was not here: kept.
    New(Kept),
    /// A message that was here, and was damaged: kept anew.
    Mended {
        /// Which, as it came now.
        message: MessageRef,
        /// What is kept.
        kept: Kept,
    },
    /// A message that is here: nothing was written.
    Again {
        /// Which.
        message: MessageRef,
        /// Whether it was replayed on request: then it was acknowledged long ago.
        replayed: bool,
        /// Its files.
        files: Vec<FileRef>,
    },
    /// A message without its payload, which the hub no longer keeps, and which is not here with it either.
    Erased {
        /// Which.
        message: MessageRef,
        /// What is kept of it, if nothing was here.
        kept: Option<Kept>,
    },
    /// A message that cannot be read: kept aside.
    Unreadable {
        /// Which, if that much could be read: else it cannot be acknowledged at all.
        message: Option<MessageRef>,
        /// Its index.
        index: Index,
        /// What is wrong, in words that name no person and no place.
        reason: String,
    },
    /// A notice: kept, now or before.
    Notice {
        /// The notice.
        notice: KeptNotice,
        /// Whether it had been kept before.
        again: bool,
    },
    /// Something that a later version of the hub sends: nothing was done.
    Unknown(Index),
}

/// A message that was erased here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasedHere {
    /// Its index; `None`: the hub has lost it since.
    pub place: Option<Index>,
    /// Its files.
    pub files: Vec<FileRef>,
    /// Whether its payload was here until now.
    pub was_kept: bool,
}

/// An index and its epoch.
type Place = (Index, EpochId);

/// The one writer of an inbox.
pub struct InboxWriter {
    inbox: Inbox,
    known: HashMap<(Name, MessageId), Place>,
    epochs: Epochs,
    _lock: Lock,
}

impl InboxWriter {
    /// Opens a home's inbox for writing, and sweeps what a crash left half written.
    ///
    /// # Errors
    /// [`StoreError::InUse`]: another subscription of this home runs; [`StoreError::Disk`].
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        let inbox = Inbox::open(home)?;
        let lock = inbox.folder.lock()?;
        inbox.folder.sweep()?;
        // What is found here comes again and is acknowledged as known.
        inbox.folder.sync()?;
        let files = inbox.files()?;
        // What a crash left of erased messages.
        for (entry, _) in files.iter().filter(|(_, state)| *state == State::Erased) {
            inbox.folder.erase(&[State::Due, State::Kept].map(|state| entry.file_name(state)))?;
        }
        let known = files
            .into_iter()
            .map(|(entry, _)| ((entry.sender, entry.message_id), (entry.index, entry.epoch)));
        let known = known.collect();
        Ok(Self { inbox, known, epochs: epochs::known(home)?, _lock: lock })
    }

    /// Takes in the epochs of the hub's log: indexes that come from here on are of these.
    pub fn adopt(&mut self, epochs: Epochs) {
        self.epochs = epochs;
    }

    /// The inbox, for reading.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// Keeps a frame of what came: all of it is on the disk, for good, when it returns. The outcomes stand in the
    /// order of the frame. With `due`, a command has yet to succeed for each new message.
    ///
    /// # Errors
    /// [`StoreError::Disk`]: nothing of the frame may be acknowledged; do not go on.
    pub fn keep(
        &mut self,
        frame: Vec<proto::Delivery>,
        now: UnixMicros,
        due: bool,
    ) -> Result<Vec<Outcome>, StoreError> {
        let state = if due { State::Due } else { State::Kept };
        let mut files = Vec::with_capacity(frame.len());
        let mut fresh = HashMap::new();
        let mut outcomes = Vec::with_capacity(frame.len());
        for delivery in frame {
            let index = Index(delivery.index);
            let accepted = UnixMicros(delivery.accepted_unix_us);
            let (outcome, file) = match delivery.content {
                Some(proto::delivery::Content::Message(message)) => {
                    self.judge(index, Came { accepted, now, state, message }, &mut fresh)?
                }
                Some(proto::delivery::Content::Notice(proto::Notice { notice: Some(told) })) => {
                    self.judge_notice(index, accepted, now, told)?
                }
                _ => (Outcome::Unknown(index), None),
            };
            files.extend(file);
            outcomes.push(outcome);
        }
        self.inbox.folder.keep(&files)?;
        self.known.extend(fresh);
        Ok(outcomes)
    }

    /// Erases a message that is here, if it is: all but its payload and the reason is kept. One that is erased gets the
    /// reason that it may lack.
    ///
    /// # Errors
    /// [`StoreError::Disk`]: it may be here in part; ask again.
    pub fn erase(
        &mut self,
        sender: &Name,
        id: MessageId,
        why: &str,
    ) -> Result<Option<ErasedHere>, StoreError> {
        let key = (sender.clone(), id);
        let Some((index, epoch)) = self.known.get(&key).copied() else { return Ok(None) };
        let entry = InboxEntry { index, epoch, message_id: id, sender: sender.clone() };
        let (mut files, mut was_kept) = (Vec::new(), true);
        match self.inbox.read(&entry) {
            Ok(kept) => {
                files.clone_from(&kept.envelope.files);
                was_kept = kept.erased.is_none();
                if kept.erased.as_deref().is_none_or(|known| known.is_empty() && !why.is_empty()) {
                    let erased = Kept { payload: Bytes::new(), erased: Some(why.to_owned()), ..kept };
                    self.inbox.folder.keep(&[erased.file(State::Erased)])?;
                }
            }
            // Nothing of it can be kept. If the hub still owes it, it comes again, without its payload.
            Err(StoreError::Damaged { .. }) => {
                self.inbox.folder.erase(&[entry.file_name(State::Erased)])?;
                self.known.remove(&key);
            }
            Err(error) => return Err(error),
        }
        self.inbox.folder.erase(&[State::Due, State::Kept].map(|state| entry.file_name(state)))?;
        let place = self.epochs.hold(index, epoch).then_some(index);
        Ok(Some(ErasedHere { place, files, was_kept }))
    }

    /// Says what a message is to this inbox, and the file that it takes.
    fn judge(
        &self,
        index: Index,
        came: Came,
        fresh: &mut HashMap<(Name, MessageId), Place>,
    ) -> Result<(Outcome, Option<File>), StoreError> {
        let epoch = self.epochs.of(index);
        let envelope = match convert::envelope(&came.message.envelope).and_then(|envelope| {
            if !came.message.erased {
                envelope.check_payload(came.message.payload.len(), &sha256(&came.message.payload))?;
            }
            Ok(envelope)
        }) {
            Ok(envelope) => envelope,
            Err(refusal) => return Ok(came.aside((index, epoch), refusal.message)),
        };
        let entry = InboxEntry {
            index,
            epoch,
            message_id: envelope.message_id,
            sender: envelope.sender.office.clone(),
        };
        let key = (entry.sender.clone(), entry.message_id);
        if fresh.contains_key(&key) {
            let message = MessageRef { index, message_id: entry.message_id };
            let files = envelope.files;
            return Ok((Outcome::Again { message, replayed: came.message.replayed, files }, None));
        }
        let Some(before) = self.known.get(&key) else {
            fresh.insert(key, (index, epoch));
            let erased = came.message.erased;
            let state = if erased { State::Erased } else { came.state };
            let kept = came.kept(entry, envelope);
            let file = kept.file(state);
            if !erased {
                return Ok((Outcome::New(kept), Some(file)));
            }
            let message = MessageRef { index, message_id: kept.entry.message_id };
            return Ok((Outcome::Erased { message, kept: Some(kept) }, Some(file)));
        };
        let before = InboxEntry { index: before.0, epoch: before.1, ..entry.clone() };
        if self.epochs.hold(before.index, before.epoch) {
            return self.judge_again(index, before, came, envelope);
        }
        self.inbox.move_to(&before, &entry)?;
        fresh.insert(key, (index, epoch));
        self.judge_again(index, entry, came, envelope)
    }

    fn judge_again(
        &self,
        index: Index,
        before: InboxEntry,
        came: Came,
        envelope: Envelope,
    ) -> Result<(Outcome, Option<File>), StoreError> {
        let message = MessageRef { index, message_id: before.message_id };
        match self.inbox.read(&before) {
            // Without an order what is here stays: how long the hub keeps a payload is the hub's own affair.
            Ok(kept) if came.message.erased && kept.erased.is_some() => {
                Ok((Outcome::Erased { message, kept: None }, None))
            }
            Ok(kept) if kept.envelope_bytes == came.message.envelope => {
                // What was erased, here or there, is not fetched again.
                let gone = kept.erased.is_some() || came.message.erased;
                let files = if gone { Vec::new() } else { envelope.files };
                Ok((Outcome::Again { message, replayed: came.message.replayed, files }, None))
            }
            Ok(_) => {
                Ok(came.aside((index, before.epoch), "another message is kept here under the same id".into()))
            }
            Err(StoreError::Damaged { .. }) => {
                let state = match self.inbox.due()?.contains(&before) {
                    _ if came.message.erased => State::Erased,
                    true => State::Due,
                    false => State::Kept,
                };
                let kept = came.kept(before, envelope);
                let file = kept.file(state);
                Ok((Outcome::Mended { message, kept }, Some(file)))
            }
            Err(error) => Err(error),
        }
    }

    fn judge_notice(
        &self,
        index: Index,
        recorded: UnixMicros,
        now: UnixMicros,
        told: proto::notice::Notice,
    ) -> Result<(Outcome, Option<File>), StoreError> {
        let epoch = self.epochs.of(index);
        match self.inbox.read_notice((index, epoch)) {
            Ok(notice) => Ok((Outcome::Notice { notice, again: true }, None)),
            Err(error) if error.is_not_found() || matches!(error, StoreError::Damaged { .. }) => {
                let (receipt, overdue, erasure) = match told {
                    proto::notice::Notice::Receipt(receipt) => (receipt, None, None),
                    proto::notice::Notice::Overdue(overdue) => (Bytes::new(), Some(overdue), None),
                    proto::notice::Notice::Erasure(erasure) => (Bytes::new(), None, Some(erasure)),
                };
                let (recorded_unix_us, kept_unix_us) = (recorded.0, now.0);
                let body = NoticeBody { receipt, recorded_unix_us, kept_unix_us, overdue, erasure };
                let file = (notice_name(index, epoch), record::encode(&body));
                Ok((Outcome::Notice { notice: body.into_notice(index), again: false }, Some(file)))
            }
            Err(error) => Err(error),
        }
    }
}

type File = (String, Vec<u8>);

/// A message as it came.
struct Came {
    accepted: UnixMicros,
    now: UnixMicros,
    state: State,
    message: proto::Message,
}

impl Came {
    fn kept(self, entry: InboxEntry, envelope: Envelope) -> Kept {
        Kept {
            entry,
            accepted: self.accepted,
            kept: self.now,
            expired: self.message.expired,
            replayed: self.message.replayed,
            envelope,
            envelope_bytes: self.message.envelope,
            payload: self.message.payload,
            erased: self.message.erased.then(String::new),
        }
    }

    fn aside(self, (index, epoch): Place, reason: String) -> (Outcome, Option<File>) {
        let message = readable_id(&self.message.envelope).map(|message_id| MessageRef { index, message_id });
        let body = AsideBody {
            envelope: self.message.envelope,
            payload: self.message.payload,
            accepted_unix_us: self.accepted.0,
            kept_unix_us: self.now.0,
            reason: reason.clone(),
        };
        let file = (aside_name(index, epoch), record::encode(&body));
        (Outcome::Unreadable { message, index, reason }, Some(file))
    }
}

impl Kept {
    fn file(&self, state: State) -> File {
        let body = IncomingBody {
            envelope: self.envelope_bytes.clone(),
            payload: self.payload.clone(),
            index: self.entry.index.0,
            accepted_unix_us: self.accepted.0,
            kept_unix_us: self.kept.0,
            expired: self.expired,
            replayed: self.replayed,
            erased: self.erased.clone(),
        };
        (self.entry.file_name(state), record::encode(&body))
    }
}

/// Reads the id alone, from an envelope that is otherwise not as this version expects.
fn readable_id(envelope: &Bytes) -> Option<MessageId> {
    MessageId::from_slice(&proto::Envelope::decode(envelope.clone()).ok()?.message_id)
}

pub(in crate::desk) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}
