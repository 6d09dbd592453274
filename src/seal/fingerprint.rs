//! What two people read to each other by telephone to know that they mean the same keys.
//!
//! Owns how it is computed and written. Never says which keys are an office's.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA512, digest};

use super::hybrid::Recipient;
use super::signing::KeyId;

/// Groups of five digits, each from five bytes of a hash.
const GROUPS: usize = 12;
const GROUP_DIGITS: usize = 5;
const DOMAIN: &[u8] = b"resguardo office fingerprint 1\0";

/// The fingerprint of an office's keys: sixty decimal digits, which are 199 bits.
///
/// To find other keys with the same digits takes some 2^199 attempts.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OfficeFingerprint([u32; GROUPS]);

/// Text that is not a fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint: 60 digits expected, in groups or not; {found} found")]
pub struct FingerprintError {
    /// How many characters were found, without what separates groups.
    pub found: usize,
}

impl OfficeFingerprint {
    /// Takes it of an office's signing keys, in any order, and of the key that is sealed to.
    ///
    /// With `None` it is the same before and after a rotation of that key, which the signing keys vouch for.
    pub fn of(signing_keys: &[KeyId], recipient: Option<&Recipient>) -> Self {
        let mut ids = signing_keys.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut bytes = DOMAIN.to_vec();
        bytes.extend_from_slice(&(ids.len() as u64).to_le_bytes());
        bytes.extend(ids.iter().flat_map(|id| id.0));
        bytes.extend(recipient.into_iter().flat_map(Recipient::to_bytes));
        let hash = digest(&SHA512, &bytes);
        let mut groups = [0; GROUPS];
        for (group, five) in groups.iter_mut().zip(hash.as_ref().chunks(GROUP_DIGITS)) {
            // The remainder on the way is below 100,000, so nothing overflows.
            *group = five.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 100_000);
        }
        Self(groups)
    }
}

/// Shows twelve groups of five digits.
impl fmt::Display for OfficeFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{group:05}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for OfficeFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OfficeFingerprint({self})")
    }
}

impl FromStr for OfficeFingerprint {
    type Err = FingerprintError;

    /// Reads it as people write it: with spaces, line ends and hyphens, or without.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let written: Vec<char> = text.chars().filter(|one| !one.is_whitespace() && *one != '-').collect();
        let refused = FingerprintError { found: written.len() };
        let digits: Option<Vec<u32>> = written.iter().map(|one| one.to_digit(10)).collect();
        let digits = digits.filter(|it| it.len() == GROUPS * GROUP_DIGITS).ok_or(refused)?;
        let mut groups = [0; GROUPS];
        for (group, five) in groups.iter_mut().zip(digits.chunks(GROUP_DIGITS)) {
            *group = five.iter().fold(0, |number, digit| number * 10 + digit);
        }
        Ok(Self(groups))
    }
}
