//! What is told of sealing, signing and keys holds: fixed vectors, properties, and each error.

mod file_key;
mod files;
mod keys;
mod plain;
mod sealed;
mod signed;

use super::{OpeningKey, SigningKey};

/// An opening key that is the same in each run.
fn opening(number: u8) -> OpeningKey {
    OpeningKey::from_seed(&[number; 32])
}

/// A signing key that is the same in each run.
fn signing(number: u8) -> SigningKey {
    let mut seeds = [number; 64];
    seeds[32..].fill(number.wrapping_add(100));
    SigningKey::from_seeds(&seeds)
}

/// SHA-256 in hexadecimal digits: a vector that is long is held to by it.
fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    hash.as_ref().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn keys_and_streams_may_move_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn moved<T: Send>() {}
    shared::<(OpeningKey, super::Recipient)>();
    shared::<(SigningKey, super::VerifyingKey, super::Signature)>();
    shared::<(super::OpenError, super::SealError)>();
    moved::<super::Opening<std::io::Empty>>();
}
