//! A proof that anybody can check without a line: where an entry is in a log, the hashes up to the root, and the checkpoint.
//!
//! Owns the file's exact bytes, read and written, and its bounds. Never has the entry itself: whoever checks a proof makes the
//! leaf from what it is a proof of. Never says who must have cosigned: [`super::Quorum`] does, over what [`LogProof::verify`] gives.
//! Source: C2SP `tlog-proof`.

use std::fmt;

use super::checkpoint::{CheckpointError, LogVerifier, SignedCheckpoint};
use super::hash::TreeHash;
use super::note::{NOTE_BYTES_MAX, Note, NoteError};
use super::path::{InclusionProof, PATH_HASHES_MAX, PathError};
use super::text;

/// Bytes of the extra data at most. Nothing is kept there that a proof needs.
pub const EXTRA_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a proof at most: the longest note, and some room for what stands before it.
const PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + 2 * EXTRA_BYTES_MAX;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// A proof that an entry is in a log. One that exists is well formed; whether it proves anything is another matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogProof {
    index: u64,
    path: InclusionProof,
    checkpoint: Note,
    extra: Option<Vec<u8>>,
}

/// Bytes that are no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// They are too many.
    #[error("a proof of {found} bytes, at most {PROOF_BYTES_MAX} expected")]
    Bytes {
        /// How many.
        found: usize,
    },
    /// They are not text.
    #[error("a proof that is not UTF-8")]
    Utf8,
    /// There is no empty line before the checkpoint.
    #[error("a proof without the empty line before its checkpoint")]
    Parts,
    /// It begins as something else.
    #[error("a proof that begins with {found:?}, {HEADER:?} expected")]
    Header {
        /// The first line, or its beginning.
        found: String,
    },
    /// The extra data is not written as it must be, or is too long.
    #[error("the extra data of a proof: Base64 of at most {EXTRA_BYTES_MAX} bytes expected")]
    Extra,
    /// There is no index where it must be.
    #[error("{found:?} in a proof, \"index \" and a decimal number expected")]
    Index {
        /// The line, or its beginning.
        found: String,
    },
    /// A hash is not written as it must be.
    #[error("hash {number} of a proof is not Base64 of 32 bytes")]
    Hash {
        /// Which, counted from 1.
        number: usize,
    },
    /// There are more hashes than any proof has.
    #[error("a proof with {found} hashes, at most {PATH_HASHES_MAX} expected")]
    Hashes {
        /// How many.
        found: usize,
    },
    /// The checkpoint is no note.
    #[error("the checkpoint of a proof: {0}")]
    Checkpoint(#[from] NoteError),
}

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogProofError {
    /// The checkpoint is not the log's.
    #[error("the checkpoint of the proof does not count: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The leaf is not in the checkpoint's tree.
    #[error("the entry is not where the proof says: {0}")]
    Path(#[from] PathError),
}

impl LogProof {
    /// Puts a proof together: the entry's index, its way up, and the checkpoint's note.
    pub fn new(index: u64, path: InclusionProof, checkpoint: Note) -> Self {
        Self { index, path, checkpoint, extra: None }
    }

    /// Puts extra data with it, of at most [`EXTRA_BYTES_MAX`] bytes: a hint, which nobody signed.
    ///
    /// # Errors
    /// [`BundleError::Extra`] beyond the bound.
    pub fn with_extra(self, extra: Vec<u8>) -> Result<Self, BundleError> {
        if extra.len() > EXTRA_BYTES_MAX {
            return Err(BundleError::Extra);
        }
        Ok(Self { extra: Some(extra), ..self })
    }

    /// Reads a proof's exact bytes.
    ///
    /// # Errors
    /// [`BundleError`] by what is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(BundleError::Bytes { found: bytes.len() });
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| BundleError::Utf8)?;
        let (head, checkpoint) = whole.split_once("\n\n").ok_or(BundleError::Parts)?;
        let short = |line: &str| line.chars().take(64).collect();
        let mut lines = head.split('\n').peekable();
        let header = lines.next().unwrap_or_default();
        if header != HEADER {
            return Err(BundleError::Header { found: short(header) });
        }
        let extra = lines.next_if(|line| line.starts_with("extra ")).map(|line| {
            let bytes = text::base64(&line["extra ".len()..]);
            bytes.filter(|it| it.len() <= EXTRA_BYTES_MAX).ok_or(BundleError::Extra)
        });
        let extra = extra.transpose()?;
        let line = lines.next().unwrap_or_default();
        let index = line.strip_prefix("index ").and_then(text::number);
        let index = index.ok_or_else(|| BundleError::Index { found: short(line) })?;
        let hash = |(number, line)| text::hash(line).ok_or(BundleError::Hash { number });
        let hashes = (1..).zip(lines).map(hash).collect::<Result<Vec<_>, _>>()?;
        let found = hashes.len();
        let path = InclusionProof::from_hashes(hashes).ok_or(BundleError::Hashes { found })?;
        Ok(Self { index, path, checkpoint: Note::parse(checkpoint.as_bytes())?, extra })
    }

    /// Gives the entry's index, counted from 0.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Gives the hashes up to the root.
    pub fn path(&self) -> &InclusionProof {
        &self.path
    }

    /// Gives the checkpoint's note, not verified.
    pub fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }

    /// Gives the extra data, which nobody signed.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Holds a leaf to it, and its checkpoint to a log; then the entry is in that checkpoint's tree.
    ///
    /// # Errors
    /// [`LogProofError::Checkpoint`] where that is not the log's, [`LogProofError::Path`] where the leaf is not in its tree.
    pub fn verify(&self, leaf: &TreeHash, log: &LogVerifier) -> Result<SignedCheckpoint, LogProofError> {
        let signed = log.verify(self.checkpoint.clone())?;
        self.path.verify(leaf, self.index, signed.checkpoint().tree())?;
        Ok(signed)
    }
}

/// Shows the proof's exact bytes.
impl fmt::Display for LogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", text::to_base64(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.hashes().iter().try_for_each(|hash| writeln!(f, "{}", text::to_base64(&hash.0)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}
