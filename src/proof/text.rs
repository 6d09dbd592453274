//! Numbers, hashes and Base64 as the formats of C2SP write them: one value has one text.
//!
//! Owns reading and writing them. Never says what they stand for. Source: RFC 4648, section 4, with padding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::hash::TreeHash;

/// Reads a decimal number without leading zeros, signs or spaces.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|it| it.is_ascii_digit());
    let zeros = text.len() > 1 && text.starts_with('0');
    (digits && !zeros).then(|| text.parse().ok())?
}

/// Reads Base64 with its padding, and no bit set that is left over.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Writes Base64 with its padding.
pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads a hash in Base64.
pub(super) fn hash(text: &str) -> Option<TreeHash> {
    Some(TreeHash(base64(text)?.try_into().ok()?))
}
