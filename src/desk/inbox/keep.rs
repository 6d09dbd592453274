//! Keeping what came: the one writer of an inbox.
//!
//! Owns the lock of the inbox and the memory of what came before. Never acknowledges: it says what may be.
//! At a crash: see the inbox; the memory is read back from the files' names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::came::{Came, File};
use super::ordered::Orders;
use super::{
    Inbox, InboxEntry, Kept, KeptNotice, Missing, NoticeBody, Sequence, SequenceBody, State, hold,
    notice_name, sequence,
};
use crate::desk::epochs;
use crate::desk::home::Home;
use crate::desk::opener::{Clear, Opener};
use crate::desk::record;
use crate::desk::store::StoreError;
use crate::host::disk::Lock;
use crate::model::envelope::{Envelope, FileRef, MessageId};
use crate::model::epoch::{EpochId, Epochs};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::policy::{Policy, Stated, When};
use crate::model::receipt::Covered;
use crate::model::refusal::Refusal;
use crate::seal::{Kind, sha256};
use crate::wire::proto;
use crate::wire::signed::{Signed, SignedEnvelope};

/// What became of one thing that came. It is on the disk, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A message that was not here: kept.
    New(Kept, Option<Clear>),
    /// A message that was here, and was damaged: kept anew.
    Mended {
        /// Which, as it came now.
        message: Covered,
        /// What is kept.
        kept: Kept,
    },
    /// A message that is here: nothing was written.
    Again {
        /// Which.
        message: Covered,
        /// Whether it was replayed on request: then it was acknowledged long ago.
        replayed: bool,
        /// Its files.
        files: Vec<FileRef>,
    },
    /// A message without its payload, which the hub no longer keeps, and which is not here with it either.
    Erased {
        /// Which.
        message: Covered,
        /// Whether more than the hub's word says so: only then may it be stated.
        holds: bool,
        /// What is kept of it, if nothing was here.
        kept: Option<Kept>,
    },
    /// A message that cannot be read: kept aside.
    Unreadable {
        /// Which, if that much could be read: else it cannot be acknowledged at all.
        message: Option<Covered>,
        /// Its index.
        index: Index,
        /// What is wrong, in words that name no person and no place.
        reason: String,
        /// Whether it took the office's key to find out.
        opened: bool,
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
    /// What a receipt for it covers; `None`: the hub has lost it since, or nothing of it could be read.
    pub place: Option<Covered>,
    /// Its files.
    pub files: Vec<FileRef>,
    /// Whether its payload was here until now.
    pub was_kept: bool,
    /// Whether the hub alone said until now that it is erased.
    pub was_unordered: bool,
}

/// An index and its epoch.
pub(super) type Place = (Index, EpochId);

/// Why a second message of one id is kept aside.
const ANOTHER: &str = "another message is kept here under the same id";

/// What a frame changes.
#[derive(Default)]
struct Fresh {
    places: HashMap<(Name, MessageId), Place>,
    /// The envelopes' digests of what it brings.
    digests: HashMap<(Name, MessageId), [u8; 32]>,
    /// What came without its payload, on the hub's word alone.
    unordered: HashSet<(Name, MessageId)>,
    /// Files in whose stead others were written.
    replaced: Vec<String>,
}

/// The one writer of an inbox.
pub struct InboxWriter {
    pub(super) inbox: Inbox,
    pub(super) known: HashMap<(Name, MessageId), Place>,
    pub(super) orders: Orders,
    epochs: Epochs,
    pub(super) policy: Arc<Policy>,
    opener: Option<Opener>,
    own: Option<Name>,
    sequence: Sequence,
    _lock: Lock,
}

impl InboxWriter {
    /// Opens a home's inbox for writing, and sweeps what a crash left half written.
    ///
    /// # Errors
    /// [`StoreError::InUse`]: another subscription of this home runs; [`StoreError::Disk`].
    pub fn open(home: &Home, opener: Option<Opener>) -> Result<Self, StoreError> {
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
        let (epochs, policy) = (epochs::known(home)?, Arc::default());
        let own = home.desk().ok().map(|desk| desk.office.clone());
        // One that is damaged is begun anew: what is missing then is not known, and nothing else is lost.
        let sequence = inbox.sequence().unwrap_or_default();
        let orders = Orders::default();
        Ok(Self { inbox, known, orders, epochs, policy, opener, own, sequence, _lock: lock })
    }

    /// Takes in the directory, to which what comes is held.
    pub fn follow(&mut self, policy: Arc<Policy>) {
        self.policy = policy;
    }

    /// The directory that what comes is held to.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes in the epochs of the hub's log: indexes that come from here on are of these.
    pub fn adopt(&mut self, epochs: Epochs) {
        self.epochs = epochs;
    }

    /// The numbers that have not come here by a time, though later ones had.
    pub fn missing_since(&self, until: UnixMicros) -> Vec<Missing> {
        let mut missing = self.sequence.missing();
        missing.retain(|it| it.since <= until);
        missing
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
        let mut counted = false;
        let mut files = Vec::with_capacity(frame.len());
        let mut fresh = Fresh::default();
        let mut outcomes = Vec::with_capacity(frame.len());
        for delivery in frame {
            let index = Index(delivery.index);
            let accepted = UnixMicros(delivery.accepted_unix_us);
            let (outcome, file) = match delivery.content {
                Some(proto::delivery::Content::Message(message)) => {
                    counted |= self.count(&message, now);
                    self.judge(index, Came { accepted, now, state, message }, &mut fresh)?
                }
                Some(proto::delivery::Content::Notice(proto::Notice { notice: Some(told), note })) => {
                    self.judge_notice(index, (accepted, now), told, note)?
                }
                _ => (Outcome::Unknown(index), None),
            };
            files.extend(file);
            outcomes.push(outcome);
        }
        if counted {
            files.push((sequence::FILE.to_owned(), record::encode(&SequenceBody::from(&self.sequence))));
        }
        self.inbox.folder.keep(&files)?;
        self.inbox.folder.erase(&fresh.replaced)?;
        self.known.extend(fresh.places);
        Ok(outcomes)
    }

    /// Erases a message that is here, if it is, by an order that holds: all but its payload and the reason is kept. One that
    /// is erased gets the reason that it may lack; of one that is not here the order is remembered.
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
        let Some((index, epoch)) = self.known.get(&key).copied() else {
            self.orders.insert(key, why.to_owned());
            return Ok(None);
        };
        let mut place = None;
        let entry = InboxEntry { index, epoch, message_id: id, sender: sender.clone() };
        let (mut files, mut was_kept, mut was_unordered) = (Vec::new(), true, false);
        match self.inbox.read(&entry) {
            Ok(kept) => {
                files.clone_from(&kept.envelope.files);
                place = Some(kept.covered()).filter(|_| self.epochs.hold(index, epoch));
                (was_kept, was_unordered) = (kept.erased.is_none(), kept.unordered);
                if kept.erased.as_deref().is_none_or(|known| known.is_empty() && !why.is_empty()) {
                    let (payload, erased) = (Bytes::new(), Some(why.to_owned()));
                    let erased = Kept { payload, erased, unordered: false, ..kept };
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
        Ok(Some(ErasedHere { place, files, was_kept, was_unordered }))
    }

    /// Says what a message is to this inbox, and the file that it takes.
    fn judge(
        &self,
        index: Index,
        came: Came,
        fresh: &mut Fresh,
    ) -> Result<(Outcome, Option<File>), StoreError> {
        let epoch = self.epochs.of(index);
        let signed = match self.hold(&came.message) {
            Ok(signed) => signed,
            Err(refusal) => return Ok(came.aside((index, epoch), refusal.message, false)),
        };
        let digest = signed.digest();
        let envelope = signed.envelope;
        let entry = InboxEntry {
            index,
            epoch,
            message_id: envelope.message_id,
            sender: envelope.sender.office.clone(),
        };
        let key = (entry.sender.clone(), entry.message_id);
        if fresh.digests.get(&key).is_some_and(|first| *first != digest) {
            return Ok(came.aside((index, epoch), ANOTHER.into(), false));
        }
        if fresh.places.contains_key(&key) {
            let message = Covered { index, message_id: entry.message_id, digest };
            if fresh.unordered.contains(&key) {
                // It is not acknowledged, so with its payload it comes once more.
                return Ok((Outcome::Erased { message, holds: false, kept: None }, None));
            }
            let files = envelope.files;
            return Ok((Outcome::Again { message, replayed: came.message.replayed, files }, None));
        }
        let Some(before) = self.known.get(&key) else {
            return Ok(self.judge_new(entry, came, (envelope, digest), fresh));
        };
        let mut before = InboxEntry { index: before.0, epoch: before.1, ..entry.clone() };
        if !self.epochs.hold(before.index, before.epoch) {
            self.inbox.move_to(&before, &entry)?;
            fresh.places.insert(key, (index, epoch));
            before = entry.clone();
        }
        match self.inbox.read(&before) {
            // What is here without its payload on the hub's word alone was never received.
            Ok(kept)
                if kept.erased.as_deref() == Some("") && kept.digest == digest && !came.message.erased =>
            {
                let judged = self.judge_new(entry, came, (envelope, digest), fresh);
                if let Outcome::New(..) = judged.0 {
                    fresh.replaced.push(before.file_name(State::Erased));
                }
                Ok(judged)
            }
            read => self.judge_again((index, before, read), came, (envelope, digest)),
        }
    }

    /// Takes a message that is not here, or not with its payload.
    fn judge_new(
        &self,
        entry: InboxEntry,
        came: Came,
        (envelope, digest): (Envelope, [u8; 32]),
        fresh: &mut Fresh,
    ) -> (Outcome, Option<File>) {
        let (place, erased) = ((entry.index, entry.epoch), came.message.erased);
        let clear = match self.opener.as_ref().filter(|opener| !erased && self.may_open(opener, &envelope)) {
            None => None,
            Some(opener) => match opener.open(&self.policy, &envelope, &came.message.payload) {
                Ok(clear) => Some(clear),
                Err(found) => return came.aside(place, found.to_string(), true),
            },
        };
        fresh.places.insert((entry.sender.clone(), entry.message_id), place);
        fresh.digests.insert((entry.sender.clone(), entry.message_id), digest);
        let state = if erased { State::Erased } else { came.state };
        let gone = erased.then(|| self.gone(&envelope, came.now));
        let kept = came.kept(entry, envelope, digest, gone);
        let file = kept.file(state);
        if !erased {
            return (Outcome::New(kept, clear), Some(file));
        }
        let (message, holds) = (kept.covered(), !kept.unordered);
        if kept.unordered {
            fresh.unordered.insert((kept.entry.sender.clone(), kept.entry.message_id));
        }
        (Outcome::Erased { message, holds, kept: Some(kept) }, Some(file))
    }

    /// Tells whether a message is sealed to a key that is at hand. Where another desk of the office has made a new one that
    /// has not come here, the message is kept sealed, and nothing is wrong with it.
    fn may_open(&self, opener: &Opener, envelope: &Envelope) -> bool {
        let here = envelope.recipients.iter().find(|it| Some(&it.office) == self.own.as_ref());
        here.is_none_or(|here| opener.holds(&here.key))
    }

    /// Holds what came to the envelope's signature, the envelope to this home's office, and the payload to the envelope.
    fn hold(&self, message: &proto::Message) -> Result<SignedEnvelope, Refusal> {
        let read = SignedEnvelope::read(&message.envelope)?;
        let Signed { statement, signatures } = &read.signed;
        let stated = Stated { desk: &read.envelope.sender, kind: Kind::Envelope, statement, signatures };
        self.policy.check_envelope(stated, When::Once)?;
        if self.own.as_ref().is_some_and(|own| read.envelope.offices().all(|office| office != own)) {
            return Err(Refusal::field("recipients", "it is not for this office"));
        }
        if !message.erased {
            read.envelope.check_payload(message.payload.len(), &sha256(&message.payload))?;
        }
        Ok(read)
    }

    fn judge_again(
        &self,
        (index, before, read): (Index, InboxEntry, Result<Kept, StoreError>),
        came: Came,
        (envelope, digest): (Envelope, [u8; 32]),
    ) -> Result<(Outcome, Option<File>), StoreError> {
        let message = Covered { index, message_id: before.message_id, digest };
        match read {
            Ok(kept) if came.message.erased && kept.unordered => {
                let (why, unordered) = self.gone(&envelope, came.now);
                let kept = Kept { erased: Some(why), unordered, ..kept };
                let file = (!unordered).then(|| kept.file(State::Erased));
                Ok((Outcome::Erased { message, holds: !unordered, kept: None }, file))
            }
            // Without an order what is here stays: how long the hub keeps a payload is the hub's own affair.
            Ok(kept) if came.message.erased && kept.erased.is_some() => {
                Ok((Outcome::Erased { message, holds: true, kept: None }, None))
            }
            Ok(kept) if kept.digest == digest => {
                // What was erased, here or there, is not fetched again.
                let gone = kept.erased.is_some() || came.message.erased;
                let files = if gone { Vec::new() } else { envelope.files };
                Ok((Outcome::Again { message, replayed: came.message.replayed, files }, None))
            }
            Ok(_) => Ok(came.aside((index, before.epoch), ANOTHER.into(), false)),
            Err(StoreError::Damaged { .. }) => {
                let state = match self.inbox.due()?.contains(&before) {
                    _ if came.message.erased => State::Erased,
                    true => State::Due,
                    false => State::Kept,
                };
                let gone = came.message.erased.then(|| self.gone(&envelope, came.now));
                let kept = came.kept(before, envelope, digest, gone);
                let file = kept.file(state);
                let outcome = match kept.erased {
                    Some(_) => Outcome::Erased { message, holds: !kept.unordered, kept: Some(kept) },
                    None => Outcome::Mended { message, kept },
                };
                Ok((outcome, Some(file)))
            }
            Err(error) => Err(error),
        }
    }

    fn judge_notice(
        &self,
        index: Index,
        (recorded, now): (UnixMicros, UnixMicros),
        told: proto::notice::Notice,
        note: Bytes,
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
                let false_word = match (&overdue, &erasure) {
                    (Some(_), _) => None,
                    (None, Some(erasure)) => hold::erasure(&self.policy, erasure).err(),
                    (None, None) => hold::receipt(&self.policy, &receipt).err(),
                };
                let false_word = false_word.map(|refusal| refusal.to_string()).unwrap_or_default();
                let body = NoticeBody {
                    receipt,
                    recorded_unix_us,
                    kept_unix_us,
                    overdue,
                    erasure,
                    note,
                    false_word,
                };
                let file = (notice_name(index, epoch), record::encode(&body));
                Ok((Outcome::Notice { notice: body.into_notice(index), again: false }, Some(file)))
            }
            Err(error) => Err(error),
        }
    }
}

impl InboxWriter {
    /// Notes the number of a message whose envelope holds.
    fn count(&mut self, message: &proto::Message, now: UnixMicros) -> bool {
        let (Some(own), Ok(read)) = (&self.own, self.hold(message)) else { return false };
        self.sequence.take(own, &read.envelope, now)
    }
}
