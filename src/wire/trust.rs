//! The trust file: what a home believes of the directory, and nothing that the hub says can replace it.
//!
//! Owns its form. Never makes one from what a hub told: it comes from a registrar, and people compare it.

use std::fmt;

use serde::Deserialize;

use crate::model::amendment::SignedEntry;
use crate::model::refusal::{Reason, Refusal};

/// The file's name in every home.
pub const TRUST_FILE: &str = "trust.toml";

/// Bytes of the file at most.
pub const TRUST_BYTES_MAX: u64 = 64 * 1024;

/// Digits of a group, when it is read out.
const GROUP_DIGITS: usize = 8;

/// What a home trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trust {
    /// The digest of the founding amendment: the registrars' keys stand in it, and all else follows from it.
    pub founding: [u8; 32],
}

/// Text that is not a trust file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a trust file: {0}")]
pub struct TrustError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    founding: String,
}

impl Trust {
    /// Trusts a founding.
    pub fn of(founding: &SignedEntry) -> Self {
        Self { founding: founding.digest() }
    }

    /// Reads a trust file's text.
    ///
    /// # Errors
    /// [`TrustError`] with what is wrong.
    pub fn parse(text: &str) -> Result<Self, TrustError> {
        let file: File = toml::from_str(text).map_err(|error| TrustError(error.message().to_owned()))?;
        let digits: String = file.founding.chars().filter(|it| !it.is_whitespace()).collect();
        let wrong = || TrustError(format!("founding = {:?}: 64 hexadecimal digits expected", file.founding));
        if digits.len() != 64 || !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut founding = [0; 32];
        for (byte, at) in founding.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self { founding })
    }

    /// Gives the file's text.
    pub fn to_text(self) -> String {
        format!(
            "# What this home believes of the directory: this founding, and what follows from it.\n\
             # Compare it over another line with somebody of the other institution.\nfounding = \"{self}\"\n"
        )
    }

    /// Holds a founding to it.
    ///
    /// # Errors
    /// [`Reason::FoundingForeign`]
    pub fn check(self, founding: &SignedEntry) -> Result<(), Refusal> {
        let found = Self::of(founding);
        if found == self {
            return Ok(());
        }
        let message = format!(
            "the directory begins with another founding ({found}) than this home trusts ({self}): this is another \
             exchange, or somebody shows a false directory; tell the registrars"
        );
        Err(Refusal::new(Reason::FoundingForeign, message))
    }
}

/// Shows its digits in groups.
impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, bytes) in self.founding.chunks(GROUP_DIGITS / 2).enumerate() {
            f.write_str(if at == 0 { "" } else { " " })?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_as_written() {
        let trust = Trust { founding: std::array::from_fn(|at| u8::try_from(at * 7).unwrap()) };
        assert_eq!(Trust::parse(&trust.to_text()), Ok(trust));
    }

    #[test]
    fn other_text_is_refused() {
        // A sign before a digit is no digit: the same founding would have another text.
        let signed = format!("founding = '{}'", "+f".repeat(32));
        let letters = format!("founding = '{}'", "é".repeat(32));
        for text in ["", "founding = 'ab'", "founding = 7", "trust = ''", &letters, &signed] {
            assert!(Trust::parse(text).is_err(), "{text}");
        }
    }
}
