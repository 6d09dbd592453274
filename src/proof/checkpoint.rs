//! Checkpoints: what a log says of its tree, signed by both of its algorithms.
//!
//! Owns a checkpoint's text, how a log signs it and how that is verified. Never says which log is the right one, and never
//! compares two checkpoints: [`super::ConsistencyProof`] does. A log signs once for each size and keeps what it signed; the
//! signature by ML-DSA-44 and its time would be others the next time.
//!
//! Ed25519 signs the text, as every reader of checkpoints expects. ML-DSA-44 signs as a cosigner under the log's own name,
//! which is what the standard recommends to logs: it has no ML-DSA signature over plain text. That one says a time, too.
//! There are no extension lines, for ML-DSA-44 does not sign them.
//!
//! The key of a log or witness may sign statements as well. Statements begin with `DSSEv1` and a space, and an origin has no
//! space: a checkpoint's text can begin with `DSSEv1` at most where the line ends after it. Cosigned messages begin with words
//! of their own. [`crate::seal::Plain`] holds every message here to it, signed or verified.
//!
//! Source: C2SP `tlog-checkpoint`, `tlog-cosignature`.

use std::fmt;
use std::str::FromStr;

use super::cosignature::{UnixSeconds, cosignature_line, times_of};
use super::hash::TreeHash;
use super::key::{KeyName, KeyNameError, NoteKey, SignatureType};
use super::note::{LineError, Note, NoteError, SignatureLine};
use super::path::TreeHead;
use super::text;
use super::tree::SIZE_MAX;
use crate::seal::{Algorithm, Plain, SigningKey, VerifyingKey};

/// Names a log: 1 to 255 bytes without spaces, control characters and `+`. The log's keys bear it as their name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(KeyName);

/// What a log says of its tree. One that exists has a possible size, and the root of no leaf where it has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: Origin,
    tree: TreeHead,
}

/// Bytes that are no checkpoint, or one that does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// They are no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text has not three lines.
    #[error("a checkpoint of {found} lines, 3 expected: origin, size, root")]
    Lines {
        /// How many.
        found: usize,
    },
    /// The first line names no log.
    #[error("the origin of a checkpoint: {0}")]
    Origin(#[from] KeyNameError),
    /// The second line is not a size.
    #[error("{found:?} is not the size of a tree: a decimal number of at most {SIZE_MAX} expected")]
    Size {
        /// The line, or its beginning.
        found: String,
    },
    /// The third line is not a root.
    #[error("{found:?} is not the root of a tree: Base64 of 32 bytes expected")]
    Root {
        /// The line, or its beginning.
        found: String,
    },
    /// A tree without leaves has one root, and this is another.
    #[error("a tree without leaves has the root {found}, {} expected", TreeHash::EMPTY_ROOT)]
    EmptyRoot {
        /// The root in the text.
        found: TreeHash,
    },
    /// It is another log's.
    #[error("a checkpoint of {found}, one of {expected} expected")]
    OtherLog {
        /// Its origin.
        found: Origin,
        /// The log that was asked about.
        expected: Origin,
    },
    /// It is not known by which key the log signs.
    #[error("no key of the log is known")]
    NoKey,
    /// A signature of the log's is missing or does not hold.
    #[error(transparent)]
    Signature(#[from] LineError),
}

impl Checkpoint {
    /// Puts a log and its tree together.
    ///
    /// # Errors
    /// [`CheckpointError::Size`] and [`CheckpointError::EmptyRoot`] for what no tree has.
    pub fn new(origin: Origin, tree: TreeHead) -> Result<Self, CheckpointError> {
        if tree.size > SIZE_MAX {
            return Err(CheckpointError::Size { found: tree.size.to_string() });
        }
        if tree.size == 0 && tree.root != TreeHash::EMPTY_ROOT {
            return Err(CheckpointError::EmptyRoot { found: tree.root });
        }
        Ok(Self { origin, tree })
    }

    /// Reads the text of a note.
    ///
    /// # Errors
    /// [`CheckpointError`] by what is wrong with it; nothing of signatures.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<_> = text.strip_suffix('\n').unwrap_or(text).split('\n').collect();
        let (&[origin, size, root], true) = (lines.as_slice(), text.ends_with('\n')) else {
            return Err(CheckpointError::Lines { found: lines.len() });
        };
        let short = |line: &str| line.chars().take(64).collect();
        let origin = origin.parse()?;
        let size = text::number(size).ok_or_else(|| CheckpointError::Size { found: short(size) })?;
        let root = text::hash(root).ok_or_else(|| CheckpointError::Root { found: short(root) })?;
        Self::new(origin, TreeHead { size, root })
    }

    /// Gives the log's name.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Gives size and root.
    pub fn tree(&self) -> &TreeHead {
        &self.tree
    }

    /// Gives the text that is signed: three lines, each with its end.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.tree.size, text::to_base64(&self.tree.root.0))
    }

    /// Signs it as the log, by both algorithms, at a time: the note that the log keeps and gives out.
    ///
    /// Whoever calls this has synced the tiles of this size, and has never signed another checkpoint of it.
    pub fn sign(&self, key: &SigningKey, at: UnixSeconds) -> Note {
        let (text, public) = (self.text(), key.verifying_key());
        let plain = Plain::of(text.as_bytes()).expect("an origin has no space");
        let signature = key.sign_plain(Algorithm::Ed25519, plain);
        let of_text = NoteKey::new(self.origin.0.clone(), SignatureType::Ed25519, &public);
        let timed = NoteKey::new(self.origin.0.clone(), SignatureType::CosignatureMlDsa44, &public);
        let lines = vec![SignatureLine::of(&of_text, signature), cosignature_line(self, &timed, key, at)];
        Note::new(text, lines).expect("a checkpoint and two signatures are a note")
    }

    /// Cosigns it as a witness, by both algorithms, at a time: two lines for the log to add.
    ///
    /// Whoever calls this has verified it, has held it to the last one that it cosigned, and has kept it as the last one.
    pub fn cosign(&self, name: &KeyName, key: &SigningKey, at: UnixSeconds) -> [SignatureLine; 2] {
        let public = key.verifying_key();
        [SignatureType::CosignatureEd25519, SignatureType::CosignatureMlDsa44]
            .map(|it| cosignature_line(self, &NoteKey::new(name.clone(), it, &public), key, at))
    }
}

/// A log's name and both of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogVerifier {
    origin: Origin,
    of_text: NoteKey,
    timed: NoteKey,
}

/// A checkpoint whose both signatures were verified, and the note with them and with any witnesses' lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
    signed_at: Option<UnixSeconds>,
}

impl LogVerifier {
    /// Takes a log's name and key.
    pub fn new(origin: Origin, key: &VerifyingKey) -> Self {
        let of_text = NoteKey::new(origin.0.clone(), SignatureType::Ed25519, key);
        let timed = NoteKey::new(origin.0.clone(), SignatureType::CosignatureMlDsa44, key);
        Self { origin, of_text, timed }
    }

    /// Gives the log's name.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Gives the keys, for programs of others: Ed25519's, then ML-DSA-44's.
    pub fn keys(&self) -> [&NoteKey; 2] {
        [&self.of_text, &self.timed]
    }

    /// Reads a checkpoint's note and holds both of the log's signatures to it.
    ///
    /// # Errors
    /// [`CheckpointError`] by what is wrong with it.
    pub fn open(&self, bytes: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
        self.verify(Note::parse(bytes)?)
    }

    /// Holds both of the log's signatures to a note.
    ///
    /// # Errors
    /// [`CheckpointError`] by what is wrong with it.
    pub fn verify(&self, note: Note) -> Result<SignedCheckpoint, CheckpointError> {
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != self.origin {
            let expected = self.origin.clone();
            return Err(CheckpointError::OtherLog { found: checkpoint.origin, expected });
        }
        note.verify(&self.of_text)?;
        let times = times_of(&checkpoint, &self.timed, &note)?;
        let signed_at = *times
            .first()
            .ok_or_else(|| LineError::Missing { name: self.timed.name().clone(), id: self.timed.id() })?;
        Ok(SignedCheckpoint { checkpoint, note, signed_at })
    }
}

impl SignedCheckpoint {
    /// Gives the checkpoint.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Gives the note, whose text is the checkpoint's.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Gives the time of the log's signature, by the log; `None` where it says none.
    pub fn signed_at(&self) -> Option<UnixSeconds> {
        self.signed_at
    }

    /// Adds a line by a witness, where there is none by that key; says whether it did. Verify it first.
    ///
    /// # Errors
    /// As [`Note::add`].
    pub fn add(&mut self, line: SignatureLine) -> Result<bool, NoteError> {
        self.note.add(line)
    }
}

impl Origin {
    /// Gives the name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Origin {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
