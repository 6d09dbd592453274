//! The file: exact bytes, read and written, and what of its form can be said without a key.
//!
//! Owns its bounds and the order of its entries. Never verifies anything.

use bytes::Bytes;
use prost::Message as _;

use super::EvidenceError;
use crate::model::entry::{EntryKind, NONCE_BYTES};
use crate::model::id::{Index, UnixMicros};
use crate::model::receipt::SALT_BYTES;
use crate::proof::{HASH_BYTES, InclusionProof, Record, TreeHash};
use crate::seal::FILE_KEY_BYTES;
use crate::wire::log::Recorded;
use crate::wire::proto;

/// Bytes of a file at most: a directory of decades with its handovers, and the most receipts of one message that a hub tells.
pub const EVIDENCE_BYTES_MAX: usize = 64 << 20;

/// The version that is written and read.
const VERSION: u32 = 1;
/// Bytes of an identity at most, as in the journal.
const IDENTITY_BYTES_MAX: usize = 255;

/// A file of evidence whose form is right; whether it proves anything [`super::verify`] says.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The journal's checkpoint, a signed note.
    pub journal_checkpoint: Bytes,
    /// The directory's checkpoint; `None`: there was none.
    pub directory_checkpoint: Option<Bytes>,
    /// The directory's entries, the founding first.
    pub directory: Vec<Entry>,
    /// What is about the message, ascending by index.
    pub entries: Vec<Entry>,
    /// Notes of officers, ascending by the receipt's index.
    pub notes: Vec<Note>,
}

/// An entry of the journal, with what shows that it is in the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its place.
    pub index: Index,
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
    /// The way up from its leaf.
    pub path: InclusionProof,
    /// Of a receipt: the place of the cover that is about the message, and its salt.
    pub cover: Option<(u32, [u8; SALT_BYTES])>,
}

/// A sealed note of an officer, and its own key.
#[derive(Clone, PartialEq)]
pub struct Note {
    /// The receipt that it goes with.
    pub receipt: Index,
    /// The sealing.
    pub sealed: Bytes,
    /// What opens it.
    pub file_key: [u8; FILE_KEY_BYTES],
}

impl Evidence {
    /// Reads a file.
    ///
    /// # Errors
    /// [`EvidenceError::Bytes`], [`EvidenceError::Form`], [`EvidenceError::Version`], [`EvidenceError::Order`].
    pub fn parse(bytes: &Bytes) -> Result<Self, EvidenceError> {
        let found = bytes.len();
        if found > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::Bytes { found });
        }
        let decoded = proto::Evidence::decode(bytes.clone());
        let wire = decoded.map_err(|error| EvidenceError::Form(error.to_string()))?;
        if wire.version != VERSION {
            return Err(EvidenceError::Version { found: wire.version });
        }
        // A field that nobody knows could be one that somebody has renamed, to hide it.
        if wire.encode_to_vec() != bytes[..] {
            return Err(EvidenceError::Form("it is not in the one encoding that its fields have".into()));
        }
        let evidence = Self {
            journal_checkpoint: wire.journal_checkpoint,
            directory_checkpoint: Some(wire.directory_checkpoint).filter(|note| !note.is_empty()),
            directory: wire.directory.into_iter().map(Entry::read).collect::<Result<_, _>>()?,
            entries: wire.entries.into_iter().map(Entry::read).collect::<Result<_, _>>()?,
            notes: wire.notes.into_iter().map(Note::read).collect::<Result<_, _>>()?,
        };
        evidence.in_order()?;
        Ok(evidence)
    }

    /// Writes it.
    pub fn to_bytes(&self) -> Bytes {
        let wire = proto::Evidence {
            version: VERSION,
            journal_checkpoint: self.journal_checkpoint.clone(),
            directory_checkpoint: self.directory_checkpoint.clone().unwrap_or_default(),
            directory: self.directory.iter().map(Entry::wire).collect(),
            entries: self.entries.iter().map(Entry::wire).collect(),
            notes: self.notes.iter().map(Note::wire).collect(),
        };
        wire.encode_to_vec().into()
    }

    /// Indexes ascend, and no entry stands among the directory's and among the others.
    fn in_order(&self) -> Result<(), EvidenceError> {
        let indexes = |list: &[Entry]| list.iter().map(|it| it.index).collect::<Vec<_>>();
        let (directory, entries) = (indexes(&self.directory), indexes(&self.entries));
        let notes: Vec<_> = self.notes.iter().map(|it| it.receipt).collect();
        let mut all = [directory.as_slice(), &entries].concat();
        all.sort_unstable();
        let wrong = [directory, entries, all, notes].iter().find_map(|it| {
            let pair = it.windows(2).find(|pair| pair[0] >= pair[1])?;
            Some(pair[1])
        });
        wrong.map_or(Ok(()), |index| Err(EvidenceError::Order { index: index.0 }))
    }
}

impl Entry {
    /// Reads one from the wire.
    ///
    /// # Errors
    /// [`EvidenceError::Form`]
    pub fn read(wire: proto::EvidenceEntry) -> Result<Self, EvidenceError> {
        let index = wire.index;
        let form = |what: &str| EvidenceError::Form(format!("entry {index}: {what}"));
        let kind = u8::try_from(wire.kind).ok().and_then(EntryKind::from_number);
        let hash = |it: &Bytes| <[u8; HASH_BYTES]>::try_from(&it[..]).ok().map(TreeHash);
        let path = wire.path.iter().map(hash).collect::<Option<Vec<_>>>();
        let cover = wire.cover.map(|it| {
            let salt = it.salt[..].try_into().map_err(|_| form("a salt has 16 bytes"))?;
            Ok::<_, EvidenceError>((it.place, salt))
        });
        if wire.identity.len() > IDENTITY_BYTES_MAX {
            return Err(form("an identity has at most 255 bytes"));
        }
        Ok(Self {
            index: Index(index),
            time: UnixMicros(wire.recorded_unix_us),
            kind: kind.ok_or_else(|| form("no kind of entry that is known"))?,
            identity: wire.identity,
            statement: wire.statement,
            nonce: wire.nonce[..].try_into().map_err(|_| form("a nonce has 16 bytes"))?,
            path: path
                .and_then(InclusionProof::from_hashes)
                .ok_or_else(|| form("a path has at most 63 hashes of 32 bytes"))?,
            cover: cover.transpose()?,
        })
    }

    /// Puts it on the wire.
    pub fn wire(&self) -> proto::EvidenceEntry {
        let cover = self
            .cover
            .as_ref()
            .map(|(place, salt)| proto::CoverOpening { place: *place, salt: Bytes::copy_from_slice(salt) });
        proto::EvidenceEntry {
            index: self.index.0,
            recorded_unix_us: self.time.0,
            kind: self.kind as i32,
            identity: self.identity.clone(),
            statement: self.statement.clone(),
            nonce: Bytes::copy_from_slice(&self.nonce),
            path: self.path.hashes().iter().map(|hash| Bytes::copy_from_slice(&hash.0)).collect(),
            cover,
        }
    }

    /// What stands for it in the journal's log.
    pub fn record(&self) -> Record {
        let Self { index, time, kind, identity, statement, .. } = self;
        let recorded =
            Recorded { index: *index, time: *time, kind: *kind, identity, statement: statement.clone() };
        recorded.record(&self.nonce)
    }
}

impl Note {
    fn read(wire: proto::OpenedNote) -> Result<Self, EvidenceError> {
        let index = wire.receipt_index;
        let form = |_| EvidenceError::Form(format!("the note of entry {index}: a file key has 16 bytes"));
        Ok(Self {
            receipt: Index(index),
            sealed: wire.note,
            file_key: wire.file_key[..].try_into().map_err(form)?,
        })
    }

    fn wire(&self) -> proto::OpenedNote {
        proto::OpenedNote {
            receipt_index: self.receipt.0,
            note: self.sealed.clone(),
            file_key: Bytes::copy_from_slice(&self.file_key),
        }
    }
}

/// Shows nothing of the key.
impl std::fmt::Debug for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Note({})", self.receipt)
    }
}
