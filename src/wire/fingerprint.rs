//! Fingerprints: what two people read to each other to know that they have the same certificate or key.
//!
//! Owns their one form. Never says what a thing is good for.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256 (FIPS 180-4) of the DER encoding of a certificate, or of a public key (SubjectPublicKeyInfo, RFC 5280, 4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Takes it of an encoding.
    pub fn of(der: &[u8]) -> Self {
        let found = digest(&SHA256, der);
        Self(found.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// Shows it in groups of four digits, to be read out.
    pub fn grouped(&self) -> String {
        let digits = self.to_string();
        let groups: Vec<&str> = (0..digits.len()).step_by(4).map(|at| &digits[at..at + 4]).collect();
        groups.join(" ")
    }
}

/// Shows 64 hexadecimal digits.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Text that is not a fingerprint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a fingerprint: 64 hexadecimal digits expected, in groups or not")]
pub struct FingerprintError(String);

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    /// Reads it as people write it: with spaces, colons, small or capital letters.
    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digits = text.chars().filter(|one| !one.is_whitespace() && *one != ':');
        let digits: Option<Vec<u8>> =
            digits.map(|one| one.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
        digits
            .filter(|digits| digits.len() == 64)
            .map(|digits| digits.chunks(2).map(|pair| (pair[0] << 4) | pair[1]).collect::<Vec<u8>>())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| FingerprintError(text.chars().take(100).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_however_it_was_written_down() {
        let found = Fingerprint::of(b"a certificate");
        for text in [found.to_string(), found.grouped(), found.grouped().to_uppercase().replace(' ', ":")] {
            assert_eq!(text.parse(), Ok(found), "{text}");
        }
        assert_eq!(found.grouped().split(' ').count(), 16);
    }

    #[test]
    fn what_is_none_is_refused() {
        let digits = "0".repeat(64);
        assert!(digits.parse::<Fingerprint>().is_ok());
        for text in ["", &digits[1..], &format!("{digits}0"), &format!("{}g", &digits[1..])] {
            assert!(text.parse::<Fingerprint>().is_err(), "{text}");
        }
    }
}
