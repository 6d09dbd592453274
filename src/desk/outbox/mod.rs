//! The outbox: what this desk says, kept before it is handed in.
//!
//! Owns the exact bytes of messages, of persons' receipts and of orders to erase, and what became of them. Never hands in;
//! forgets nothing but the payload of a message that this office had erased.
//! At a crash: what [`Outbox::add_message`] or [`Outbox::add_statement`] returned is there and is pending, and the same
//! bytes are handed in again. Between the writing of an outcome and the removal of the pending file both are there: the
//! outcome counts.
//!
//! ```text
//! <message id>.message.<stand>                                       a message of this desk
//! <statement id>.<message id>.<its office>.<stage>.receipt.<stand>   a person's receipt
//! <message id>.erasure.<stand>                                       an order to erase a message of this office
//! ```
//!
//! where the stand is `pending`, `accepted` or `refused`.

mod files;
mod orders;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;

use self::files::{OutcomeBody, OutgoingBody, StatementBody, message_name};
pub use self::orders::Order;
use super::home::{Home, HomeLock};
use super::record::{Record, encode};
use super::store::{Folder, StoreError};
use crate::cap::Reference;
use crate::model::envelope::{Envelope, MessageId};
use crate::model::epoch::EpochId;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::receipt::Stage;
use crate::seal::{OfficeFingerprint, sha256};
use crate::wire::proto::Promise;
use crate::wire::signed::SignedEnvelope;

const FOLDER: &str = "outbox";

/// How far a thing of this desk is. What is later in this list counts before what is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stand {
    /// The hub has not confirmed it.
    Pending,
    /// The hub refused it for good.
    Refused,
    /// The hub has it.
    Accepted,
}

/// A message of this desk, as far as its file's name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxEntry {
    /// Its id.
    pub message_id: MessageId,
    /// How far it is.
    pub stand: Stand,
}

/// A person's receipt, as far as its file's name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatementEntry {
    /// Its own id, in this home alone; ascending by when it was written.
    pub id: MessageId,
    /// The message that it is about.
    pub message_id: MessageId,
    /// The office that sent that message.
    pub sender: Name,
    /// What it states.
    pub stage: Stage,
    /// How far it is.
    pub stand: Stand,
}

/// What the hub said in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has it.
    Accepted {
        /// Its index in the hub's journal.
        index: Index,
        /// The hub's time.
        at: UnixMicros,
        /// The epoch of the index.
        epoch: EpochId,
        /// Whether it said something that was known already: a message handed in before, a receipt without news.
        repeated: bool,
        /// Whether the hub's answer to a message did not bear its signature, though the directory names its key.
        unsigned: bool,
    },
    /// It will not have it.
    Refused {
        /// The stable reason.
        reason: String,
        /// What was wrong, for people.
        message: String,
    },
}

/// A message of this desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The envelope.
    pub envelope: Envelope,
    /// The exact bytes of what stands around it: not signed as long as it is a draft, whose recipients' keys and numbers
    /// are none.
    pub envelope_bytes: Bytes,
    /// The payload: a draft's is sealed to this office alone.
    pub payload: Bytes,
    /// Whether it is for the members of its stream, whoever they are when it is sealed.
    pub to_members: bool,
    /// The name that CAP 1.2 gives it, by which later ones refer to it; `None` for what is no alert.
    pub name: Option<CapName>,
    /// Where a packet's files are on this machine, in the order of its manifest.
    pub sources: Vec<PathBuf>,
    /// Of a resealing, the fingerprint of the office that it is for, as it was when a person wrote it; it is sealed for no other.
    pub seen: Option<OfficeFingerprint>,
    /// Whether its payload is erased, by this office's order.
    pub erased: bool,
    /// What the hub said; `None` while pending.
    pub outcome: Option<Outcome>,
    /// The hub's signed word for that.
    pub promise: Option<Promise>,
}

/// The name that CAP 1.2 gives a message, hidden: an alert's identifier may say what it is about. A name can be held to it by
/// whoever has the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapName([u8; 32]);

impl CapName {
    /// That of a message: two names are the same that name the same moment, however it is written.
    pub fn of(id: MessageId, name: &Reference) -> Self {
        let instant = name.sent.unix_micros().to_le_bytes();
        let (sender, identifier) = (name.sender.to_string(), name.identifier.to_string());
        let length = (sender.len() as u64).to_le_bytes();
        let parts = [id.as_bytes(), &length[..], sender.as_bytes(), &instant, identifier.as_bytes()];
        Self(sha256(&parts.concat()))
    }
}

impl Outgoing {
    /// Whether it was never sealed and signed.
    pub fn is_draft(&self) -> bool {
        self.envelope.payload_bytes == 0
    }
}

/// A person's receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The exact bytes of the signed receipt.
    pub receipt_bytes: Bytes,
    /// The sealed note that goes with it; empty for none.
    pub note: Bytes,
    /// What the hub said; `None` while pending.
    pub outcome: Option<Outcome>,
}

/// What [`Outbox::by_references`] found.
#[derive(Debug)]
pub struct ByReferences {
    /// For each name wanted, the envelope of the message that bears it.
    pub messages: Vec<Option<Envelope>>,
    /// Files that could not be looked at.
    pub damaged: Vec<StoreError>,
}

/// What this desk said. Reading needs nothing; changing needs the home's lock.
#[derive(Clone)]
pub struct Outbox {
    folder: Folder,
}

impl Outbox {
    /// Opens a home's outbox.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        Ok(Self { folder: home.folder(FOLDER)? })
    }

    /// Keeps a message: its exact bytes are on the disk, for good, when it returns.
    ///
    /// # Errors
    /// [`StoreError::Disk`]: it must not be handed in.
    pub fn add_message(
        &self,
        _held: &HomeLock,
        message: &Outgoing,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        let body = OutgoingBody {
            envelope: message.envelope_bytes.clone(),
            payload: message.payload.clone(),
            written_unix_us: now.0,
            name: message.name.map(|name| Bytes::copy_from_slice(&name.0)).unwrap_or_default(),
            outcome: None,
            promise: None,
            sources: message.sources.iter().map(|path| path.to_string_lossy().into_owned()).collect(),
            seen: message.seen.map(|it| it.to_string()).unwrap_or_default(),
            erased: false,
            to_members: message.to_members,
        };
        let name = message_name(message.envelope.message_id, Stand::Pending);
        self.folder.keep(&[(name, encode(&body))])
    }

    /// Keeps a person's receipt: its exact bytes are on the disk, for good, when it returns.
    ///
    /// # Errors
    /// [`StoreError::Disk`]: it must not be handed in.
    pub fn add_statement(
        &self,
        _held: &HomeLock,
        entry: &StatementEntry,
        (receipt, note): (Bytes, Bytes),
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        let body = StatementBody { receipt, note, written_unix_us: now.0, outcome: None };
        self.folder.keep(&[(entry.file_name(Stand::Pending), encode(&body))])
    }

    /// Lists messages, ascending by id, which is by when they were written.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn messages(&self) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut stands = BTreeMap::new();
        for entry in self.folder.names()?.iter().filter_map(|name| OutboxEntry::from_file_name(name)) {
            let stand = stands.entry(entry.message_id).or_insert(entry.stand);
            *stand = entry.stand.max(*stand);
        }
        Ok(stands.into_iter().map(|(message_id, stand)| OutboxEntry { message_id, stand }).collect())
    }

    /// Lists persons' receipts, ascending by when they were written.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn statements(&self) -> Result<Vec<StatementEntry>, StoreError> {
        let mut entries = BTreeMap::new();
        for entry in self.folder.names()?.iter().filter_map(|name| StatementEntry::from_file_name(name)) {
            let known = entries.entry(entry.id).or_insert_with(|| entry.clone());
            known.stand = known.stand.max(entry.stand);
        }
        Ok(entries.into_values().collect())
    }

    /// Lists what waits: messages, then persons' receipts, each in the order in which they were written. It is asked
    /// again and again by a running subscription, and so looks closely at what waits alone. What it lists is on the disk
    /// for good, also where the run that kept it ended in the middle: it may be handed in.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn pending(&self) -> Result<(Vec<MessageId>, Vec<StatementEntry>), StoreError> {
        let names = self.folder.names()?;
        let waits = names.iter().filter(|name| is_pending(name) && !has_outcome(&names, name));
        let (mut messages, mut statements) = (Vec::new(), Vec::new());
        for name in waits {
            messages.extend(OutboxEntry::from_file_name(name).map(|entry| entry.message_id));
            statements.extend(StatementEntry::from_file_name(name));
        }
        if !messages.is_empty() || !statements.is_empty() {
            self.folder.sync()?;
        }
        Ok((messages, statements))
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`StoreError::Disk`]; [`StoreError::Damaged`]: the file is not as it was written, nothing of it is given.
    pub fn read_message(&self, id: MessageId) -> Result<Outgoing, StoreError> {
        let body: OutgoingBody = self.read(|stand| message_name(id, stand))?;
        let signed = SignedEnvelope::read(&body.envelope)
            .map_err(|refusal| self.folder.damaged(&message_name(id, Stand::Pending), refusal.message))?;
        Ok(Outgoing {
            envelope: signed.envelope,
            to_members: body.to_members,
            envelope_bytes: body.envelope,
            payload: body.payload,
            name: body.name.as_ref().try_into().ok().map(CapName),
            sources: body.sources.into_iter().map(PathBuf::from).collect(),
            seen: body.seen.parse().ok(),
            erased: body.erased,
            outcome: body.outcome.map(OutcomeBody::into_outcome),
            promise: body.promise,
        })
    }

    /// Reads a person's receipt.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn read_statement(&self, entry: &StatementEntry) -> Result<Statement, StoreError> {
        let body: StatementBody = self.read(|stand| entry.file_name(stand))?;
        let outcome = body.outcome.map(OutcomeBody::into_outcome);
        Ok(Statement { receipt_bytes: body.receipt, note: body.note, outcome })
    }

    /// Notes for good what the hub said of a message, and its signed word for it. What another process noted already stays.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn settle_message(
        &self,
        _held: &HomeLock,
        id: MessageId,
        (outcome, promise): (Outcome, Option<Promise>),
    ) -> Result<(), StoreError> {
        let body: OutgoingBody = self.read(|stand| message_name(id, stand))?;
        if body.outcome.is_some() {
            return Ok(());
        }
        let name = message_name(id, outcome.stand());
        let body = OutgoingBody { outcome: Some(OutcomeBody::of(outcome)), promise, ..body };
        self.folder.keep(&[(name, encode(&body))])?;
        self.folder.remove(&[message_name(id, Stand::Pending)])
    }

    /// Notes for good what the hub said of a person's receipt. What another process noted already stays.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn settle_statement(
        &self,
        _held: &HomeLock,
        entry: &StatementEntry,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let body: StatementBody = self.read(|stand| entry.file_name(stand))?;
        if body.outcome.is_some() {
            return Ok(());
        }
        let name = entry.file_name(outcome.stand());
        let body = StatementBody { outcome: Some(OutcomeBody::of(outcome)), ..body };
        self.folder.keep(&[(name, encode(&body))])?;
        self.folder.remove(&[entry.file_name(Stand::Pending)])
    }

    /// Keeps a message that waits as it was sealed and signed now.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn reseal_message(&self, _held: &HomeLock, sealed: &Outgoing) -> Result<(), StoreError> {
        let id = sealed.envelope.message_id;
        let body: OutgoingBody = self.read(|stand| message_name(id, stand))?;
        if body.outcome.is_some() {
            return Ok(());
        }
        let (envelope, payload) = (sealed.envelope_bytes.clone(), sealed.payload.clone());
        let body = OutgoingBody { envelope, payload, ..body };
        self.folder.keep(&[(message_name(id, Stand::Pending), encode(&body))])
    }

    /// Makes a message wait again that the hub had and has lost: the same bytes.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn reopen_message(&self, _held: &HomeLock, id: MessageId) -> Result<(), StoreError> {
        let body: OutgoingBody = self.read(|stand| message_name(id, stand))?;
        let waits = encode(&OutgoingBody { outcome: None, promise: None, ..body });
        self.folder.keep(&[(message_name(id, Stand::Pending), waits)])?;
        self.folder.remove(&[message_name(id, Stand::Accepted)])
    }

    /// Makes a person's receipt wait again that the hub had and has lost.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn reopen_statement(&self, _held: &HomeLock, entry: &StatementEntry) -> Result<(), StoreError> {
        let body: StatementBody = self.read(|stand| entry.file_name(stand))?;
        let waits = encode(&StatementBody { outcome: None, ..body });
        self.folder.keep(&[(entry.file_name(Stand::Pending), waits)])?;
        self.folder.remove(&[entry.file_name(Stand::Accepted)])
    }

    /// Gives a receipt that waits other bytes: its message stands elsewhere since the hub was restored.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn restate(
        &self,
        _held: &HomeLock,
        entry: &StatementEntry,
        receipt: Bytes,
    ) -> Result<(), StoreError> {
        let body: StatementBody = self.read(|stand| entry.file_name(stand))?;
        if body.outcome.is_some() {
            return Ok(());
        }
        self.folder.keep(&[(entry.file_name(Stand::Pending), encode(&StatementBody { receipt, ..body }))])
    }

    /// Finds which of this desk's messages bear CAP names; the newest, if several bear one. Refused ones do not count:
    /// nobody ever got them. Damaged ones are told beside, and keep nobody from writing about the others.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn by_references(&self, wanted: &[Reference]) -> Result<ByReferences, StoreError> {
        let mut found = ByReferences { messages: vec![None; wanted.len()], damaged: Vec::new() };
        if wanted.is_empty() {
            return Ok(found);
        }
        for entry in self.messages()?.into_iter().filter(|entry| entry.stand != Stand::Refused) {
            let message = match self.read_message(entry.message_id) {
                Ok(message) => message,
                Err(error @ StoreError::Damaged { .. }) => {
                    found.damaged.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(name) = message.name else { continue };
            let id = message.envelope.message_id;
            for (_, place) in
                wanted.iter().zip(&mut found.messages).filter(|(wanted, _)| CapName::of(id, wanted) == name)
            {
                *place = Some(message.envelope.clone());
            }
        }
        Ok(found)
    }

    /// Removes what a crash left: half-written files, and pending ones that have their outcome beside them.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn sweep(&self, _held: &HomeLock) -> Result<(), StoreError> {
        self.folder.sweep()?;
        let names = self.folder.names()?;
        let settled = names.iter().filter(|name| has_outcome(&names, name));
        self.folder.remove(&settled.cloned().collect::<Vec<_>>())
    }

    /// Reads under whichever name it is: the outcome first, because it counts.
    fn read<R: Record>(&self, name: impl Fn(Stand) -> String) -> Result<R, StoreError> {
        let mut result = self.folder.read(&name(Stand::Accepted));
        // The last look is for a file that was renamed between the first and the third.
        for stand in [Stand::Refused, Stand::Pending, Stand::Accepted, Stand::Refused] {
            if result.as_ref().is_err_and(StoreError::is_not_found) {
                result = self.folder.read(&name(stand));
            }
        }
        result
    }
}

fn is_pending(name: &str) -> bool {
    name.ends_with(Stand::Pending.name())
}

/// Tells whether a pending file has its outcome beside it, in a sorted list of names.
fn has_outcome(names: &[String], pending: &str) -> bool {
    pending.strip_suffix(Stand::Pending.name()).is_some_and(|stem| {
        let outcomes = [Stand::Accepted, Stand::Refused].map(|stand| format!("{stem}{}", stand.name()));
        outcomes.iter().any(|outcome| names.binary_search(outcome).is_ok())
    })
}

impl Stand {
    const ALL: [Self; 3] = [Self::Pending, Self::Refused, Self::Accepted];

    /// Gives its name, as people, programs and files have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Refused => "refused",
            Self::Accepted => "accepted",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stand| stand.name() == name)
    }
}

impl Outcome {
    /// How far a thing with this outcome is.
    pub fn stand(&self) -> Stand {
        match self {
            Self::Accepted { .. } => Stand::Accepted,
            Self::Refused { .. } => Stand::Refused,
        }
    }
}
