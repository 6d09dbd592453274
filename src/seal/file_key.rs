//! The key of one sealing alone: what each of its recipients finds in their stanza.
//!
//! Owns how it is taken out of a sealing, and that with it that sealing is opened and no other: the header's authentication
//! code follows from it, and the header names every recipient. Never says who may have it. Source: C2SP `age.md`, "File key",
//! "Header MAC".

use std::cell::RefCell;
use std::fmt;
use std::io::{BufReader, Read};

use age_core::format::{FileKey as Inner, Stanza};
use age_core::secrecy::ExposeSecret as _;

use super::hybrid::{OpeningKey, wrapped};
use super::opening::{Below, OpenError, decrypted};

/// Bytes of a file key (C2SP `age.md`).
pub const FILE_KEY_BYTES: usize = age_core::format::FILE_KEY_BYTES;

/// The key of one sealing.
pub struct FileKey(Inner);

impl FileKey {
    /// Takes its bytes.
    pub fn from_bytes(bytes: &[u8; FILE_KEY_BYTES]) -> Self {
        Self(Inner::init_with_mut(|key| key.copy_from_slice(bytes)))
    }

    /// Gives its bytes, which are the secret itself.
    pub fn as_bytes(&self) -> &[u8; FILE_KEY_BYTES] {
        self.0.expose_secret()
    }

    /// Takes it out of a sealing, by the first of the keys that fits. Nothing but the header is read, whose authentication code
    /// holds.
    ///
    /// # Errors
    /// [`OpenError::NotForTheseKeys`], [`OpenError::Header`], [`OpenError::TooLarge`], [`OpenError::Read`],
    /// [`OpenError::Changed`] where nothing follows the header.
    pub fn of(sealed: impl Read, keys: &[OpeningKey]) -> Result<Self, OpenError> {
        let found = RefCell::new(None);
        let taking: Vec<_> = keys.iter().map(|key| Taking { key, found: &found }).collect();
        decrypted(BufReader::new(Below(sealed)), &taking)?;
        found.take().map(Self).ok_or(OpenError::NotForTheseKeys { tried: keys.len() })
    }

    fn again(&self) -> Inner {
        Inner::init_with_mut(|key| key.copy_from_slice(self.as_bytes()))
    }
}

impl age::Identity for FileKey {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<Inner, age::DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    /// Looks at the form of every stanza, as whoever has a key of a recipient does.
    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<Inner, age::DecryptError>> {
        Some(wrapped(stanzas).map(|_| self.again()))
    }
}

/// Opens with a key, and keeps what it found.
struct Taking<'a> {
    key: &'a OpeningKey,
    found: &'a RefCell<Option<Inner>>,
}

impl age::Identity for Taking<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<Inner, age::DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<Result<Inner, age::DecryptError>> {
        let found = self.key.unwrap_stanzas(stanzas)?;
        Some(found.inspect(|key| *self.found.borrow_mut() = Some(FileKey::from_bytes(key.expose_secret()).0)))
    }
}

/// Shows nothing of it.
impl fmt::Debug for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKey")
    }
}
