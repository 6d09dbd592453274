//! Entries of the directory: amendments, which registrars signed together, and rotations of keys.
//!
//! Owns their shape. Never says whether one counts: policy does, which holds each to the signatures that it needs.
//!
//! An amendment names the amendment before it, a rotation the key that it replaces. So an amendment that travels for days
//! between registrars is not out of date because an office has rotated its key meanwhile.

use bytes::Bytes;

use super::fact::Fact;
use super::id::{AmendmentNumber, UnixMicros};
use crate::seal::{KeyId, Kind, Signature, pae, sha256};

/// Facts of one amendment at most: an office, its desk, its key and all streams of a large exchange.
pub const FACTS_MAX: usize = 4_096;

/// Signatures of one entry at most.
pub const SIGNATURES_MAX: usize = 16;

/// Bytes of an entry at most, with its signatures: a founding of two hundred offices and their desks. More come by amendments.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes at most of what a rotation carries for other desks: some forty of them.
pub const HANDOVER_BYTES_MAX: usize = 64 * 1024;

/// What registrars say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// How many amendments there are with it: 1 for the founding.
    pub number: AmendmentNumber,
    /// The digest of the amendment before; zeros for the founding.
    pub previous: [u8; 32],
    /// When it was made, by the clock of who wrote it.
    pub made: UnixMicros,
    /// The facts, each following from those before it.
    pub facts: Vec<Fact>,
}

/// New keys in the place of present ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The id of the key that it replaces; of a desk's, the attended one.
    pub replaces: [u8; 32],
    /// When it was made, by the clock of who wrote it.
    pub made: UnixMicros,
    /// The new keys: [`Fact::Desk`], [`Fact::OfficeKey`] or [`Fact::TransferKey`].
    pub fact: Fact,
    /// An office's new key, sealed for its other desks; empty where there are none.
    pub handover: Bytes,
}

/// One entry of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a directory holds some thousand, not millions")]
pub enum DirectoryEntry {
    /// What registrars say.
    Amendment(Amendment),
    /// What an office or a desk says of its keys.
    Rotation(Rotation),
}

/// An entry as it travels: its exact bytes and who signed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEntry {
    /// What it says.
    pub entry: DirectoryEntry,
    /// The exact bytes that are signed.
    pub statement: Bytes,
    /// The signatures, each with the key that it is said to be of.
    pub signatures: Vec<(KeyId, Signature)>,
}

impl DirectoryEntry {
    /// As what it is signed.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Amendment(_) => Kind::DirectoryEntry,
            Self::Rotation(_) => Kind::KeyRotation,
        }
    }

    /// Its facts.
    pub fn facts(&self) -> &[Fact] {
        match self {
            Self::Amendment(amendment) => &amendment.facts,
            Self::Rotation(rotation) => std::slice::from_ref(&rotation.fact),
        }
    }

    /// When it was made, by the clock of who wrote it.
    pub fn made(&self) -> UnixMicros {
        match self {
            Self::Amendment(amendment) => amendment.made,
            Self::Rotation(rotation) => rotation.made,
        }
    }
}

impl SignedEntry {
    /// The SHA-256 of the exact bytes of the statement: what the next amendment and a trust file name.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.statement)
    }

    /// The digest of the directory with this entry after all those whose digest is `head`: the SHA-256 of that one and of
    /// the SHA-256 of what is signed here.
    pub fn head_after(&self, head: &[u8; 32]) -> [u8; 32] {
        sha256(&[*head, self.signed_digest()].concat())
    }

    /// The SHA-256 of what is signed: the statement and its kind.
    pub fn signed_digest(&self) -> [u8; 32] {
        sha256(&pae(self.entry.kind(), &self.statement))
    }
}
