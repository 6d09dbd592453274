//! What makes an alert readable by its recipients alone, and a statement somebody's own.
//!
//! Owns sealing ([`seal`], [`Opening`], [`FileKey`]: age files for hybrid post-quantum keys, padded), signing ([`SigningKey`],
//! [`VerifyingKey`]: two algorithms over exact bytes; [`Plain`] for formats of others), keys as text ([`key_file`]) and what
//! people compare ([`OfficeFingerprint`]). Never knows the hub, an office, a disk or the encoding of what it seals and signs:
//! manifests and statements are opaque bytes. Touches no disk, so a crash leaves nothing behind; whoever opens a stream into a
//! file shows nothing of it before [`Opening::finish`] has returned.
//!
//! Secrets are zeroized when they are dropped, and no `Debug`, `Display` or error has any of them. What cannot be reached from
//! here: the expanded signing keys lie inside AWS-LC, which overwrites all memory that it frees; the age crate's own copies of
//! file and payload keys are zeroized by it; the cipher's state and the last clear piece of a sealing, and copies that the
//! compiler leaves on a stack, are not. So no core is to be dumped of a process that holds keys.
//!
//! Formats: `docs/sealing.md`. Sources: C2SP `age.md` (its file format and `mlkem768x25519`), RFC 9180 (HPKE), FIPS 203
//! (ML-KEM), RFC 7748 (X25519), FIPS 204 (ML-DSA), RFC 8032 (Ed25519), DSSE 1.0.0 (its pre-authentication encoding),
//! BIP 173 (Bech32), Nikitin and others, "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs"
//! (Padmé).

use aws_lc_rs::digest::{SHA256, digest};

mod bech;
mod file_key;
mod fingerprint;
mod hybrid;
mod inner;
pub mod key_file;
mod opening;
mod plain;
mod sealing;
mod signing;
mod statement;

#[cfg(test)]
mod tests;

pub use bech::KeyTextError;
pub use file_key::{FILE_KEY_BYTES, FileKey};
pub use fingerprint::{FingerprintError, OfficeFingerprint};
pub use hybrid::{OpeningKey, Recipient};
pub use inner::padded_bytes;
pub use opening::{OpenError, Opened, Opening, open_any, open_bytes, open_bytes_with};
pub use plain::{HalfKey, NotPlain, Plain};
pub use sealing::{SealError, seal, seal_bytes};
pub use signing::{Algorithm, KeyId, Signature, SignatureError, SigningKey, VerifyingKey};
pub use statement::{Kind, pae};

/// Gives the SHA-256 (FIPS 180-4) of bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

/// Recipients of one sealing at most. An envelope, which lists them all, has room for fewer.
pub const RECIPIENTS_MAX: usize = 1024;

/// Bytes of an inner manifest at most: a name of the longest for each recipient, and a signature.
pub const MANIFEST_BYTES_MAX: usize = 128 * 1024;
