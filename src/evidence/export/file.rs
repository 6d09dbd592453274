//! The file: a line that says what it is, then frames, each after its length.
//!
//! Owns exact bytes, read and written, and what of a frame's form can be said without a key. Never verifies anything, and never
//! reads more than a frame ahead.

use std::io::{self, Read};

use bytes::Bytes;
use prost::Message as _;

use super::ExportError;
use crate::evidence::Entry;
use crate::model::entry::{EntryKind, NONCE_BYTES};
use crate::model::envelope::MessageId;
use crate::model::id::{Index, UnixMicros};
use crate::model::receipt::{Covered, SALT_BYTES};
use crate::proof::{HASH_BYTES, Record, TreeHash};
use crate::wire::log::Recorded;
use crate::wire::proto;
use crate::wire::proto::export_frame::Frame as Wire;

/// What an export begins with.
pub const EXPORT_MAGIC: &[u8] = b"resguardo export 1\n";

/// Bytes of a frame at most: a statement of a MiB with its signatures, or both checkpoints with 127 witnesses each.
pub const EXPORT_FRAME_BYTES_MAX: usize = 4 << 20;

/// Bytes of an identity at most, as in the journal.
const IDENTITY_BYTES_MAX: usize = 255;

/// A piece of an export whose form is right.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// What all of it is held to.
    Head(Head),
    /// An entry of the directory, wherever it stands.
    Directory(Entry),
    /// An entry that is not shown.
    Hidden(Record),
    /// An entry that is shown.
    Shown(Shown),
}

/// What an export is held to.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// The first entry.
    pub from: Index,
    /// The one after the last.
    pub until: Index,
    /// How many entries of the directory follow.
    pub directory: u64,
    /// The roots of the full subtrees before the first entry, the largest first.
    pub edge: Vec<TreeHash>,
    /// That the checkpoint's tree goes on from the one before `until`.
    pub consistency: Vec<TreeHash>,
    /// The journal's checkpoint, a signed note.
    pub journal_checkpoint: Bytes,
    /// The directory's; `None`: there was none.
    pub directory_checkpoint: Option<Bytes>,
}

/// An entry that is shown; its index follows from its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The hub's time.
    pub time: UnixMicros,
    /// What it records.
    pub kind: EntryKind,
    /// Who answers for it.
    pub identity: String,
    /// The statement as it was recorded.
    pub statement: Bytes,
    /// What hides it in its leaf.
    pub nonce: [u8; NONCE_BYTES],
    /// Of a receipt: the covers that are opened, ascending by place.
    pub covers: Vec<Opened>,
}

/// A cover of a receipt that is opened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Opened {
    /// Its place.
    pub place: u32,
    /// What opens it.
    pub salt: [u8; SALT_BYTES],
    /// The message.
    pub message_id: MessageId,
    /// SHA-256 of its envelope.
    pub digest: [u8; 32],
}

impl Opened {
    /// As a receipt is read with it. The message's index is in no export's receipts: its place among the covers stands for it.
    pub(super) fn covered(&self) -> (Covered, usize, [u8; SALT_BYTES]) {
        let (message_id, digest) = (self.message_id, self.digest);
        let index = Index(u64::from(self.place));
        (Covered { index, message_id, digest }, usize::try_from(self.place).unwrap_or(usize::MAX), self.salt)
    }
}

impl Shown {
    /// What stands for it in the journal's log, at an index.
    pub fn record(&self, index: Index) -> Record {
        let Self { time, kind, identity, statement, nonce, .. } = self;
        let recorded = Recorded { index, time: *time, kind: *kind, identity, statement: statement.clone() };
        recorded.record(nonce)
    }
}

impl Frame {
    /// Reads one from the wire.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn read(wire: proto::ExportFrame) -> Result<Self, String> {
        match wire.frame {
            Some(Wire::Head(head)) => Head::read(head).map(Self::Head),
            Some(Wire::Directory(entry)) => {
                Entry::read(entry).map(Self::Directory).map_err(|error| error.to_string())
            }
            Some(Wire::Hidden(record)) => {
                let record = record[..].try_into().map_err(|_| "a record has 32 bytes".to_owned())?;
                Ok(Self::Hidden(Record(record)))
            }
            Some(Wire::Entry(entry)) => Shown::read(entry).map(Self::Shown),
            None => Err("it is of no kind that is known".to_owned()),
        }
    }

    /// Puts it on the wire.
    pub fn wire(&self) -> proto::ExportFrame {
        let frame = match self {
            Self::Head(head) => Wire::Head(head.wire()),
            Self::Directory(entry) => Wire::Directory(entry.wire()),
            Self::Hidden(record) => Wire::Hidden(Bytes::copy_from_slice(&record.0)),
            Self::Shown(shown) => Wire::Entry(shown.wire()),
        };
        proto::ExportFrame { frame: Some(frame) }
    }

    /// Gives its bytes in a file, with their length before them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let frame = self.wire().encode_to_vec();
        let length = u32::try_from(frame.len()).expect("a frame is far smaller than 4 GiB").to_le_bytes();
        [&length[..], &frame].concat()
    }

    /// What it is, in words.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Head(_) => "a head",
            Self::Directory(_) => "an entry of the directory",
            Self::Hidden(_) | Self::Shown(_) => "an entry of the range",
        }
    }
}

impl Head {
    fn read(wire: proto::ExportHead) -> Result<Self, String> {
        Ok(Self {
            from: Index(wire.from_index),
            until: Index(wire.until_index),
            directory: wire.directory_entries,
            edge: hashes(&wire.edge)?,
            consistency: hashes(&wire.consistency)?,
            journal_checkpoint: wire.journal_checkpoint,
            directory_checkpoint: Some(wire.directory_checkpoint).filter(|note| !note.is_empty()),
        })
    }

    fn wire(&self) -> proto::ExportHead {
        let bytes = |hashes: &[TreeHash]| hashes.iter().map(|it| Bytes::copy_from_slice(&it.0)).collect();
        proto::ExportHead {
            from_index: self.from.0,
            until_index: self.until.0,
            directory_entries: self.directory,
            edge: bytes(&self.edge),
            consistency: bytes(&self.consistency),
            journal_checkpoint: self.journal_checkpoint.clone(),
            directory_checkpoint: self.directory_checkpoint.clone().unwrap_or_default(),
        }
    }
}

impl Shown {
    fn read(wire: proto::ExportedEntry) -> Result<Self, String> {
        let kind = u8::try_from(wire.kind).ok().and_then(EntryKind::from_number);
        if wire.identity.len() > IDENTITY_BYTES_MAX {
            return Err("an identity has at most 255 bytes".to_owned());
        }
        let covers = wire.covers.iter().map(opened).collect::<Result<Vec<_>, String>>()?;
        if covers.windows(2).any(|pair| pair[0].place >= pair[1].place) {
            return Err("covers stand in ascending order of place, each once".to_owned());
        }
        Ok(Self {
            time: UnixMicros(wire.recorded_unix_us),
            kind: kind.ok_or("no kind of entry that is known")?,
            identity: wire.identity,
            statement: wire.statement,
            nonce: wire.nonce[..].try_into().map_err(|_| "a nonce has 16 bytes")?,
            covers,
        })
    }

    fn wire(&self) -> proto::ExportedEntry {
        let opened = |it: &Opened| proto::OpenedCover {
            place: it.place,
            salt: Bytes::copy_from_slice(&it.salt),
            message_id: Bytes::copy_from_slice(it.message_id.as_bytes()),
            envelope_digest: Bytes::copy_from_slice(&it.digest),
        };
        proto::ExportedEntry {
            recorded_unix_us: self.time.0,
            kind: self.kind as i32,
            identity: self.identity.clone(),
            statement: self.statement.clone(),
            nonce: Bytes::copy_from_slice(&self.nonce),
            covers: self.covers.iter().map(opened).collect(),
        }
    }
}

fn opened(wire: &proto::OpenedCover) -> Result<Opened, String> {
    Ok(Opened {
        place: wire.place,
        salt: wire.salt[..].try_into().map_err(|_| "a salt has 16 bytes")?,
        message_id: MessageId::from_slice(&wire.message_id).ok_or("a message id is a UUID of version 7")?,
        digest: wire.envelope_digest[..].try_into().map_err(|_| "a digest has 32 bytes")?,
    })
}

fn hashes(wire: &[Bytes]) -> Result<Vec<TreeHash>, String> {
    let hash = |it: &Bytes| <[u8; HASH_BYTES]>::try_from(&it[..]).map(TreeHash);
    wire.iter().map(hash).collect::<Result<_, _>>().map_err(|_| "a hash has 32 bytes".to_owned())
}

/// The frames of a file, as they are read.
pub struct Frames<R> {
    from: R,
    at: u64,
}

impl<R: Read> Frames<R> {
    /// Begins to read a file.
    ///
    /// # Errors
    /// [`ExportError::Magic`], [`ExportError::Read`].
    pub fn of(mut from: R) -> Result<Self, ExportError> {
        let mut magic = [0; EXPORT_MAGIC.len()];
        let found = fill(&mut from, &mut magic)?;
        if found < magic.len() || magic != EXPORT_MAGIC {
            return Err(ExportError::Magic);
        }
        Ok(Self { from, at: magic.len() as u64 })
    }

    /// The byte at which the next frame begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Reads the next frame; `None` at the end.
    ///
    /// # Errors
    /// [`ExportError::Read`], [`ExportError::Cut`], [`ExportError::FrameBytes`], [`ExportError::Frame`].
    pub fn frame(&mut self) -> Result<Option<Frame>, ExportError> {
        let at = self.at;
        let mut length = [0; 4];
        match fill(&mut self.from, &mut length)? {
            0 => return Ok(None),
            4 => {}
            found => return Err(ExportError::Cut { at: at + found as u64 }),
        }
        let found = u64::from(u32::from_le_bytes(length));
        if !(1..=EXPORT_FRAME_BYTES_MAX as u64).contains(&found) {
            return Err(ExportError::FrameBytes { at, found });
        }
        let mut bytes = vec![0; usize::try_from(found).unwrap_or(EXPORT_FRAME_BYTES_MAX)];
        let there = fill(&mut self.from, &mut bytes)?;
        if there < bytes.len() {
            return Err(ExportError::Cut { at: at + 4 + there as u64 });
        }
        self.at = at + 4 + found;
        let damaged = |found: String| ExportError::Frame { at, found };
        let bytes = Bytes::from(bytes);
        let wire = proto::ExportFrame::decode(bytes.clone()).map_err(|error| damaged(error.to_string()))?;
        // A field that nobody knows could be one that somebody has renamed, to hide it.
        if wire.encode_to_vec() != bytes {
            return Err(damaged("it is not in the one encoding that its fields have".to_owned()));
        }
        Frame::read(wire).map(Some).map_err(damaged)
    }
}

/// Reads as many bytes as there are, at most all; gives how many.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> Result<usize, ExportError> {
    let mut done = 0;
    while done < bytes.len() {
        match from.read(&mut bytes[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ExportError::Read(error)),
        }
    }
    Ok(done)
}
