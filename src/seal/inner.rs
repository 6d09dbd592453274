//! What stands inside a sealing: lengths, manifest, content, and zeros up to a size that says little.
//!
//! Owns the head's 16 bytes and the sizes. Never encrypts, never looks inside a manifest or a content.
//!
//! Head: `RSG1`, the manifest's length (4 bytes) and the content's (8 bytes), both little-endian.

use super::MANIFEST_BYTES_MAX;

/// Bytes of the head.
pub(super) const HEAD_BYTES: usize = 16;
const MAGIC: [u8; 4] = *b"RSG1";

/// The sizes below which all sealings look alike: real alerts fit into the first two.
const STEPS: [u64; 3] = [4 << 10, 16 << 10, 64 << 10];

/// The lengths that the head of a sealing tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) manifest_bytes: u32,
    pub(super) content_bytes: u64,
}

/// Why 16 bytes are not a head that may be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// They do not begin as one.
    Foreign,
    /// Its manifest is longer than any.
    Manifest(u64),
}

impl Head {
    /// Writes it.
    pub(super) fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..8].copy_from_slice(&self.manifest_bytes.to_le_bytes());
        bytes[8..].copy_from_slice(&self.content_bytes.to_le_bytes());
        bytes
    }

    /// Reads it.
    pub(super) fn from_bytes(bytes: [u8; HEAD_BYTES]) -> Result<Self, HeadError> {
        let [m0, m1, m2, m3, a0, a1, a2, a3, content @ ..] = bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(HeadError::Foreign);
        }
        let manifest_bytes = u32::from_le_bytes([a0, a1, a2, a3]);
        if manifest_bytes as usize > MANIFEST_BYTES_MAX {
            return Err(HeadError::Manifest(manifest_bytes.into()));
        }
        Ok(Self { manifest_bytes, content_bytes: u64::from_le_bytes(content) })
    }

    /// Counts the zeros that follow the content; `None` if no such length exists.
    pub(super) fn padding_bytes(self) -> Option<u64> {
        let full = (HEAD_BYTES as u64 + u64::from(self.manifest_bytes)).checked_add(self.content_bytes)?;
        Some(padded_bytes(full)? - full)
    }
}

/// Gives the size up to which `bytes` of head, manifest and content are padded; `None` if it does not fit into 64 bits.
///
/// 4, 16 or 64 KiB; above these Padmé: only as many of the number's leading bits may be set as it takes bits to write how many
/// bits it has, so that a size tells little, at the cost of 3 % at most.
pub fn padded_bytes(bytes: u64) -> Option<u64> {
    if let Some(step) = STEPS.iter().find(|step| bytes <= **step) {
        return Some(*step);
    }
    let exponent = bytes.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    let unit = 1_u64 << (exponent - kept_bits);
    bytes.checked_next_multiple_of(unit)
}
