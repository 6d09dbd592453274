//! The hashes that a log's tree is made of.
//!
//! Owns how an entry of the journal becomes a record, a record a leaf, and two hashes a node. Never keeps a tree.
//! Nothing here is put on the heap but the state of a hash over an entry: one is made for each entry of the journal.
//! Sources: RFC 6962, section 2.1; FIPS 180-4.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::seal::sha256;

/// Bytes of every hash here: SHA-256's.
pub const HASH_BYTES: usize = 32;

/// Bytes of a nonce: nobody guesses it, so a record tells nothing of its entry.
pub const NONCE_BYTES: usize = 16;

/// Begins what a record is the hash of, so that no other hash of the program's can be taken for one.
const RECORD_DOMAIN: &[u8] = b"resguardo journal entry v1";

/// RFC 6962: begins what a leaf is the hash of.
const LEAF: u8 = 0;
/// RFC 6962: begins what a node is the hash of.
const NODE: u8 = 1;

/// A hash in a tree: a leaf's, a node's or a root's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeHash(pub [u8; HASH_BYTES]);

/// What is hashed with an entry of the journal, and kept beside it: 16 random bytes, others for each entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; NONCE_BYTES]);

/// What stands in the journal's log for an entry: 32 bytes that tell nothing of it to whoever has no nonce.
///
/// It is the log's entry, in the sense of C2SP; its leaf is the hash of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record(pub [u8; HASH_BYTES]);

impl Record {
    /// Makes it of a nonce and an entry's exact bytes: SHA-256 over a domain, the nonce, the entry.
    pub fn of(nonce: &Nonce, entry: &[u8]) -> Self {
        // Piece by piece, since an entry may have many KiB, and a copy of it costs more than the state of a hash.
        let mut state = Context::new(&SHA256);
        state.update(RECORD_DOMAIN);
        state.update(&nonce.0);
        state.update(entry);
        Self(state.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// Gives its leaf.
    pub fn leaf(&self) -> TreeHash {
        let mut bytes = [LEAF; 1 + HASH_BYTES];
        bytes[1..].copy_from_slice(&self.0);
        TreeHash(sha256(&bytes))
    }
}

impl TreeHash {
    /// The root of a tree without leaves: SHA-256 of nothing.
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);
}

/// Gives the leaf of an entry of a log, any number of bytes: SHA-256 over a zero byte and the entry.
pub fn leaf_hash(entry: &[u8]) -> TreeHash {
    let mut state = Context::new(&SHA256);
    state.update(&[LEAF]);
    state.update(entry);
    TreeHash(state.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

/// Gives the node over two: SHA-256 over a byte of one, the left hash, the right hash.
pub fn node_hash(left: &TreeHash, right: &TreeHash) -> TreeHash {
    let mut bytes = [NODE; 1 + 2 * HASH_BYTES];
    bytes[1..=HASH_BYTES].copy_from_slice(&left.0);
    bytes[1 + HASH_BYTES..].copy_from_slice(&right.0);
    TreeHash(sha256(&bytes))
}

/// Shows 64 hexadecimal digits. Formats of C2SP write a hash in Base64 instead.
impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({})", TreeHash(self.0))
    }
}

/// Shows nothing of it: with it somebody could try what an entry says.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}
