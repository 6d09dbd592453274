//! Amendments of the directory: what registrars signed together, each naming the one before it.
//!
//! Owns their shape. Never says whether one counts: policy does, which holds each to the signatures that it needs.

use bytes::Bytes;

use super::fact::Fact;
use super::id::{DirectoryVersion, UnixMicros};
use crate::seal::{KeyId, Signature, sha256};

/// Facts of one amendment at most: an office, its desk, its key and all streams of a large exchange.
pub const FACTS_MAX: usize = 4_096;

/// Signatures of one amendment at most.
pub const SIGNATURES_MAX: usize = 16;

/// Bytes of an amendment at most, with its signatures: a founding of some hundred offices and their desks.
pub const AMENDMENT_BYTES_MAX: usize = 3 * 1024 * 1024;

/// What an amendment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// The version that the directory has with it: 1 for the founding, then one more each.
    pub version: DirectoryVersion,
    /// The digest of the amendment before; zeros for the founding.
    pub previous: [u8; 32],
    /// When it was made, by the clock of who wrote it.
    pub made: UnixMicros,
    /// The facts, each following from those before it.
    pub facts: Vec<Fact>,
}

/// An amendment as it travels: its exact bytes and who signed them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAmendment {
    /// What it says.
    pub amendment: Amendment,
    /// The exact bytes that are signed.
    pub statement: Bytes,
    /// The signatures, each with the key that it is said to be of.
    pub signatures: Vec<(KeyId, Signature)>,
}

impl SignedAmendment {
    /// The SHA-256 of the exact bytes that are signed.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&self.statement)
    }
}
