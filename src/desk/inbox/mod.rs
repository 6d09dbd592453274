//! The inbox: what came for this desk, kept before it is acknowledged.
//!
//! Owns the files of messages and notices, and the knowledge of what came before. Never acknowledges; never deletes but by
//! an order of the office that sent a message.
//! At a crash: what [`InboxWriter::keep`] returned is there; what it had not returned is there whole or not at all,
//! and comes again, because nobody acknowledged it.
//!
//! A file's name says what can be said without opening it:
//!
//! ```text
//! <index, 20 digits>.<message id>.<sending office>.kept    a message
//! <index, 20 digits>.<message id>.<sending office>.due     a message for which a command has yet to succeed
//! <index, 20 digits>.<message id>.<sending office>.erased  what is left of an erased message: all but its payload
//! <index, 20 digits>.notice                                a notice
//! <index, 20 digits>.aside                                 what came and could not be read
//! sequence                                                 which numbers of each sending desk came
//! ```
//!
//! After a restore of the hub an index is followed by its epoch, `-` and 16 hexadecimal digits. A message that comes again
//! at another index gets that one's name.

mod came;
#[cfg(test)]
mod forged;
pub mod hold;
mod keep;
mod ordered;
mod sequence;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::sequence::{Sequence, SequenceBody};
use super::find::parse_message_id;
use super::home::Home;
use super::record::{Record, RecordKind};
use super::store::{Folder, StoreError};
use crate::model::envelope::{Envelope, MessageId};
use crate::model::epoch::EpochId;
use crate::model::erasure::{Erasure, ErasureOrder};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::overdue::Overdue;
use crate::model::receipt::{Covered, Receipt};
use crate::model::refusal::{Reason, Refusal};
use crate::wire::signed::{SignedEnvelope, SignedReceipt};
use crate::wire::{convert, erasure};

pub use self::keep::{ErasedHere, InboxWriter, Outcome};
pub use self::sequence::Missing;

const FOLDER: &str = "inbox";

/// A kept message, as far as its file's name tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxEntry {
    /// Its index in the hub's journal.
    pub index: Index,
    /// The epoch of the index.
    pub epoch: EpochId,
    /// Its id.
    pub message_id: MessageId,
    /// The office that sent it.
    pub sender: Name,
}

/// A kept message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place and name.
    pub entry: InboxEntry,
    /// The hub's time of acceptance.
    pub accepted: UnixMicros,
    /// When it was kept, by this desk's clock.
    pub kept: UnixMicros,
    /// Whether it had expired, by the hub's clock, when it was sent down.
    pub expired: bool,
    /// Whether it was replayed on request rather than owed.
    pub replayed: bool,
    /// The envelope.
    pub envelope: Envelope,
    /// The exact bytes of the signed envelope.
    pub envelope_bytes: Bytes,
    /// The digest of what was signed.
    pub digest: [u8; 32],
    /// The payload, whose digest is the envelope's; empty once it is erased.
    pub payload: Bytes,
    /// Why it is erased, as the office that sent it says, if it is known; `None`: it is not erased.
    pub erased: Option<String>,
    /// Whether the hub alone says that it is erased: it came without its payload, no order that holds is known here, and the
    /// time for which payloads are kept is not over.
    pub unordered: bool,
}

/// A kept notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptNotice {
    /// Its index in the hub's journal.
    pub index: Index,
    /// The hub's time of what it tells.
    pub recorded: UnixMicros,
    /// What it tells; an error if this version cannot read it, or if it is not signed as it must be.
    pub told: Result<Told, Refusal>,
    /// The sealed note that came with a receipt; empty for none.
    pub note: Bytes,
}

/// What a notice tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// What another office stated about this office's message.
    Receipt(Receipt),
    /// What another office missed.
    Overdue(Overdue),
    /// A message is to be erased.
    Erasure(ErasureOrder),
}

/// What is kept, for reading; any number of processes at once.
#[derive(Clone)]
pub struct Inbox {
    folder: Folder,
}

impl Kept {
    /// Whether there is nothing of it to read, and nobody misses it. What the hub alone says to be erased is missed.
    pub fn is_gone(&self) -> bool {
        self.erased.is_some() && !self.unordered
    }

    /// What a receipt for it covers.
    pub fn covered(&self) -> Covered {
        Covered { index: self.entry.index, message_id: self.entry.message_id, digest: self.digest }
    }
}

impl Inbox {
    /// Opens a home's inbox.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        Ok(Self { folder: home.folder(FOLDER)? })
    }

    /// Lists the numbers of sending desks' messages for this office that have not come here, though later ones have.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn missing(&self) -> Result<Vec<Missing>, StoreError> {
        Ok(self.sequence()?.missing())
    }

    fn sequence(&self) -> Result<Sequence, StoreError> {
        match self.folder.read::<SequenceBody>(sequence::FILE) {
            Err(error) if error.is_not_found() => Ok(Sequence::default()),
            body => Ok(body?.into()),
        }
    }

    /// Lists messages, by ascending index.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn entries(&self) -> Result<Vec<InboxEntry>, StoreError> {
        Ok(self.files()?.into_iter().map(|(entry, _)| entry).collect())
    }

    /// Lists the messages for which a command has yet to succeed, by ascending index.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn due(&self) -> Result<Vec<InboxEntry>, StoreError> {
        let files = self.files()?.into_iter();
        Ok(files.filter(|(_, state)| *state == State::Due).map(|(entry, _)| entry).collect())
    }

    /// Lists the messages that are erased, by ascending index.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn erased(&self) -> Result<Vec<InboxEntry>, StoreError> {
        let files = self.files()?.into_iter();
        Ok(files.filter(|(_, state)| *state == State::Erased).map(|(entry, _)| entry).collect())
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`StoreError::Disk`]; [`StoreError::Damaged`]: the file is not as it was written, nothing of it is given.
    pub fn read(&self, entry: &InboxEntry) -> Result<Kept, StoreError> {
        // The name changes, from due to kept and from both to erased: whoever looked in between finds it under the other.
        let looks = [State::Erased, State::Kept, State::Due, State::Kept, State::Erased];
        let names = looks.map(|state| entry.file_name(state));
        let mut result = self.folder.read::<IncomingBody>(&names[0]);
        for name in &names[1..] {
            if result.as_ref().is_err_and(StoreError::is_not_found) {
                result = self.folder.read(name);
            }
        }
        result?.into_kept(&self.folder, entry)
    }

    /// Notes for good that a message's command succeeded: it is never run again.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn settle_due(&self, entry: &InboxEntry) -> Result<(), StoreError> {
        let same = |it: &InboxEntry| it.message_id == entry.message_id && it.sender == entry.sender;
        match self.folder.rename(&entry.file_name(State::Due), &entry.file_name(State::Kept)) {
            // The message came again at another index while its command ran.
            Err(error) if error.is_not_found() => match self.due()?.into_iter().find(same) {
                Some(moved) => {
                    self.folder.rename(&moved.file_name(State::Due), &moved.file_name(State::Kept))
                }
                None => Err(error),
            },
            renamed => renamed,
        }
    }

    /// Gives a message the name of another place: the hub has it there since it was restored.
    fn move_to(&self, from: &InboxEntry, to: &InboxEntry) -> Result<(), StoreError> {
        for state in State::ALL {
            match self.folder.rename(&from.file_name(state), &to.file_name(state)) {
                Err(error) if error.is_not_found() => {}
                renamed => renamed?,
            }
        }
        Ok(())
    }

    /// Lists the indexes of notices with their epochs, ascending.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn notices(&self) -> Result<Vec<(Index, EpochId)>, StoreError> {
        let mut notices: Vec<_> =
            self.folder.names()?.iter().filter_map(|name| placed(name, ".notice")).collect();
        notices.sort_unstable();
        Ok(notices)
    }

    /// Reads a notice.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn read_notice(&self, (index, epoch): (Index, EpochId)) -> Result<KeptNotice, StoreError> {
        Ok(self.folder.read::<NoticeBody>(&notice_name(index, epoch))?.into_notice(index))
    }

    /// Lists the indexes of what came and could not be read, ascending.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn asides(&self) -> Result<Vec<Index>, StoreError> {
        Ok(self
            .folder
            .names()?
            .iter()
            .filter_map(|name| placed(name, ".aside"))
            .map(|(index, _)| index)
            .collect())
    }

    fn files(&self) -> Result<Vec<(InboxEntry, State)>, StoreError> {
        let mut files: BTreeMap<_, State> = BTreeMap::new();
        for (entry, state) in self.folder.names()?.iter().filter_map(|name| InboxEntry::from_file_name(name))
        {
            // After a crash two may be there: the one that is further counts.
            let known = files.entry(entry).or_insert(state);
            *known = state.max(*known);
        }
        Ok(files.into_iter().collect())
    }
}

/// What is later in this list counts before what is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Due,
    Kept,
    Erased,
}

impl State {
    const ALL: [Self; 3] = [Self::Due, Self::Kept, Self::Erased];

    fn name(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Kept => "kept",
            Self::Erased => "erased",
        }
    }
}

impl InboxEntry {
    fn file_name(&self, state: State) -> String {
        let place = place_name(self.index, self.epoch);
        format!("{place}.{}.{}.{}", self.message_id, self.sender, state.name())
    }

    fn from_file_name(name: &str) -> Option<(Self, State)> {
        let mut parts = name.split('.');
        let (index, epoch) = place_of(parts.next()?)?;
        let message_id = parse_message_id(parts.next()?)?;
        let sender = parts.next()?.parse().ok()?;
        let state = parts.next()?;
        let state = State::ALL.into_iter().find(|known| known.name() == state)?;
        parts.next().is_none().then_some((Self { index, epoch, message_id, sender }, state))
    }
}

/// An index of the first epoch stands alone.
fn place_name(index: Index, epoch: EpochId) -> String {
    match epoch {
        EpochId(0) => format!("{:020}", index.0),
        EpochId(id) => format!("{:020}-{id:016x}", index.0),
    }
}

fn place_of(name: &str) -> Option<(Index, EpochId)> {
    let (index, epoch) = match name.split_once('-') {
        Some((index, epoch)) => (index, u64::from_str_radix(epoch, 16).ok()?),
        None => (name, 0),
    };
    Some((Index(index.parse().ok()?), EpochId(epoch)))
}

fn notice_name(index: Index, epoch: EpochId) -> String {
    format!("{}.notice", place_name(index, epoch))
}

fn aside_name(index: Index, epoch: EpochId) -> String {
    format!("{}.aside", place_name(index, epoch))
}

fn placed(name: &str, ending: &str) -> Option<(Index, EpochId)> {
    place_of(name.strip_suffix(ending)?)
}

#[derive(Clone, PartialEq, prost::Message)]
struct IncomingBody {
    #[prost(bytes = "bytes", tag = "1")]
    envelope: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
    #[prost(uint64, tag = "3")]
    index: u64,
    #[prost(uint64, tag = "4")]
    accepted_unix_us: u64,
    #[prost(uint64, tag = "5")]
    kept_unix_us: u64,
    #[prost(bool, tag = "6")]
    expired: bool,
    #[prost(bool, tag = "7")]
    replayed: bool,
    #[prost(string, optional, tag = "8")]
    erased: Option<String>,
    #[prost(bool, tag = "9")]
    unordered: bool,
}

impl Record for IncomingBody {
    const KIND: RecordKind = RecordKind::Incoming;
}

impl IncomingBody {
    fn into_kept(self, folder: &Folder, entry: &InboxEntry) -> Result<Kept, StoreError> {
        let signed = SignedEnvelope::read(&self.envelope)
            .map_err(|refusal| folder.damaged(&entry.file_name(State::Kept), refusal.message))?;
        Ok(Kept {
            entry: entry.clone(),
            accepted: UnixMicros(self.accepted_unix_us),
            kept: UnixMicros(self.kept_unix_us),
            expired: self.expired,
            replayed: self.replayed,
            digest: signed.digest(),
            envelope: signed.envelope,
            envelope_bytes: self.envelope,
            payload: self.payload,
            erased: self.erased,
            unordered: self.unordered,
        })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct NoticeBody {
    /// Empty where it tells something else.
    #[prost(bytes = "bytes", tag = "1")]
    receipt: Bytes,
    #[prost(uint64, tag = "2")]
    recorded_unix_us: u64,
    #[prost(uint64, tag = "3")]
    kept_unix_us: u64,
    #[prost(bytes = "bytes", optional, tag = "4")]
    overdue: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    erasure: Option<Bytes>,
    #[prost(bytes = "bytes", tag = "6")]
    note: Bytes,
    /// Why it does not count; empty: it does.
    #[prost(string, tag = "7")]
    false_word: String,
}

impl Record for NoticeBody {
    const KIND: RecordKind = RecordKind::Notice;
}

impl NoticeBody {
    fn into_notice(self, index: Index) -> KeptNotice {
        KeptNotice {
            index,
            recorded: UnixMicros(self.recorded_unix_us),
            note: self.note.clone(),
            told: match (&self.overdue, &self.erasure) {
                _ if !self.false_word.is_empty() => {
                    Err(Refusal::new(Reason::SignatureInvalid, self.false_word.clone()))
                }
                (Some(overdue), _) => convert::overdue(overdue).map(Told::Overdue),
                (None, Some(bytes)) => match erasure::read(bytes) {
                    Ok(Erasure::Order { order, .. }) => Ok(Told::Erasure(order)),
                    Ok(Erasure::Retention { .. }) => Err(Refusal::field("erasure", "no order is in it")),
                    Err(refusal) => Err(refusal),
                },
                (None, None) => SignedReceipt::read(&self.receipt).map(|it| Told::Receipt(it.receipt)),
            },
        }
    }
}

/// What came and could not be read, with all of it that came.
#[derive(Clone, PartialEq, prost::Message)]
struct AsideBody {
    #[prost(bytes = "bytes", tag = "1")]
    envelope: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    payload: Bytes,
    #[prost(uint64, tag = "3")]
    accepted_unix_us: u64,
    #[prost(uint64, tag = "4")]
    kept_unix_us: u64,
    #[prost(string, tag = "5")]
    reason: String,
}

impl Record for AsideBody {
    const KIND: RecordKind = RecordKind::Aside;
}
