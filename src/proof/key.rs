//! Who signs a note, and with what: names, ids and keys as text.
//!
//! Owns the types of signatures that are known here and how a key's id follows from its name, type and bytes. Never verifies
//! anything, and never says whose a key is: that is for whoever was given it. Source: C2SP `signed-note`, `tlog-cosignature`.

use std::fmt;
use std::str::FromStr;

use super::note::{Note, SignatureLine};
use super::text;
use crate::seal::{Algorithm, HalfKey, VerifyingKey, sha256};

/// Bytes of a name at most: a cosignature by ML-DSA-44 says the length of both names in one byte.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// Characters of a key's text at most: the longest name, and Base64 of an ML-DSA-44 key.
const KEY_TEXT_BYTES_MAX: usize = 4096;

/// The name of a key: 1 to 255 bytes without spaces, control characters and `+`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Box<str>);

/// Text that is not the name of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a key's name: 1 to {KEY_NAME_BYTES_MAX} bytes without spaces, control characters and + expected"
)]
pub struct KeyNameError {
    found: String,
}

/// How a signature in a note is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureType {
    /// Ed25519 over the note's text.
    Ed25519,
    /// Ed25519 over a checkpoint and a time.
    CosignatureEd25519,
    /// ML-DSA-44 over a checkpoint, the cosigner's name and a time.
    CosignatureMlDsa44,
}

/// Names a key beside its own name. Short, so it is no fingerprint: another key may have the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NoteKeyId(pub u32);

/// A key that notes are verified by, with its name and the type of its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteKey {
    name: KeyName,
    id: NoteKeyId,
    signature_type: SignatureType,
    key: HalfKey,
}

/// Text that is not a key of a note.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteKeyError {
    /// It has not the three parts, or one of them is not written as it must be.
    #[error(
        "not a key of a note: <name>+<8 hexadecimal digits>+<Base64> in at most {KEY_TEXT_BYTES_MAX} bytes expected"
    )]
    Form,
    /// Its name is none.
    #[error(transparent)]
    Name(#[from] KeyNameError),
    /// Its type is not one of those known here.
    #[error("the key of {name} has the type {found:#04x}, 0x01, 0x04 or 0x06 expected")]
    Type {
        /// Whose key.
        name: KeyName,
        /// The type's byte.
        found: u8,
    },
    /// Its bytes are no key of its type.
    #[error("the key of {name} is not one of {algorithm}")]
    Key {
        /// Whose key.
        name: KeyName,
        /// The type's algorithm.
        algorithm: Algorithm,
    },
    /// Its id is another key's.
    #[error("the key of {name} has the id {found}, {expected} expected")]
    Id {
        /// Whose key.
        name: KeyName,
        /// The id in the text.
        found: NoteKeyId,
        /// The id that follows from name, type and bytes.
        expected: NoteKeyId,
    },
}

impl KeyName {
    /// Gives the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether text may stand where a note has a key's name, whatever its length.
    pub(super) fn may_be(text: &str) -> bool {
        let refused = |one: char| one.is_whitespace() || one < ' ' || one == '+';
        !text.is_empty() && !text.contains(refused)
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        if Self::may_be(text) && text.len() <= KEY_NAME_BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            Err(KeyNameError { found: text.chars().take(KEY_NAME_BYTES_MAX).collect() })
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl SignatureType {
    /// Gives the byte that stands for it.
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureEd25519 => 0x04,
            Self::CosignatureMlDsa44 => 0x06,
        }
    }

    /// Gives the algorithm of its keys.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 | Self::CosignatureEd25519 => Algorithm::Ed25519,
            Self::CosignatureMlDsa44 => Algorithm::MlDsa44,
        }
    }

    fn of(byte: u8) -> Option<Self> {
        [Self::Ed25519, Self::CosignatureEd25519, Self::CosignatureMlDsa44]
            .into_iter()
            .find(|it| it.byte() == byte)
    }
}

impl NoteKey {
    /// Takes the half of a key that a type of signatures is made with, under a name.
    pub fn new(name: KeyName, signature_type: SignatureType, key: &VerifyingKey) -> Self {
        Self::of_half(name, signature_type, key.half(signature_type.algorithm()))
    }

    fn of_half(name: KeyName, signature_type: SignatureType, key: HalfKey) -> Self {
        let named = [name.as_str().as_bytes(), b"\n", &[signature_type.byte()], key.as_bytes()].concat();
        let [a, b, c, d, ..] = sha256(&named);
        Self { name, id: NoteKeyId(u32::from_be_bytes([a, b, c, d])), signature_type, key }
    }

    /// Gives the name.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Gives the id.
    pub fn id(&self) -> NoteKeyId {
        self.id
    }

    /// Gives the type of its signatures.
    pub fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// Gives the key itself.
    pub fn key(&self) -> &HalfKey {
        &self.key
    }

    /// Gives the lines of a note that say they are by this key.
    pub fn lines_in<'n>(&'n self, note: &'n Note) -> impl Iterator<Item = &'n SignatureLine> {
        note.lines().iter().filter(|line| line.name() == self.name.as_str() && line.id() == self.id)
    }
}

/// Shows the text of the form `<name>+<id>+<type and key>`.
impl fmt::Display for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&[self.signature_type.byte()], self.key.as_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, self.id, text::to_base64(&bytes))
    }
}

impl FromStr for NoteKey {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        if text.len() > KEY_TEXT_BYTES_MAX {
            return Err(NoteKeyError::Form);
        }
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteKeyError::Form);
        };
        let name: KeyName = name.parse()?;
        let digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        let id = (id.len() == 8 && id.bytes().all(digit)).then(|| u32::from_str_radix(id, 16));
        let found = NoteKeyId(id.and_then(Result::ok).ok_or(NoteKeyError::Form)?);
        let bytes = text::base64(key).ok_or(NoteKeyError::Form)?;
        let (byte, key) = bytes.split_first().ok_or(NoteKeyError::Form)?;
        let Some(signature_type) = SignatureType::of(*byte) else {
            return Err(NoteKeyError::Type { name, found: *byte });
        };
        let algorithm = signature_type.algorithm();
        let Ok(key) = HalfKey::from_bytes(algorithm, key) else {
            return Err(NoteKeyError::Key { name, algorithm });
        };
        let key = Self::of_half(name, signature_type, key);
        if key.id == found {
            Ok(key)
        } else {
            Err(NoteKeyError::Id { found, expected: key.id, name: key.name })
        }
    }
}

/// Shows eight hexadecimal digits.
impl fmt::Display for NoteKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for NoteKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteKeyId({self})")
    }
}
