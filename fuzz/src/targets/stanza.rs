//! The header of an age file, up to the hybrid stanza for one of our keys, and what follows it.
//!
//! Only a header that its key has authenticated may lead to any content.

use resguardo::seal::{OpeningKey, open_any, open_bytes};

/// Far more than a seed has, so that a length that is believed shows as memory.
const CONTENT_BYTES_MAX: u64 = 1 << 20;

/// Runs it.
pub fn run(bytes: &[u8]) {
    // The key of the seeds.
    let keys = [OpeningKey::from_seed(&[1; 32])];
    if let Ok(opened) = open_bytes(bytes, &keys, CONTENT_BYTES_MAX) {
        assert!(opened.content.len() as u64 <= CONTENT_BYTES_MAX);
    }
    let mut clear = Vec::new();
    if open_any(bytes, &keys, CONTENT_BYTES_MAX, &mut clear).is_ok() {
        assert!(clear.len() <= bytes.len(), "more came out than went in");
    }
}
