//! The keys of a home, unlocked: what a person signs and opens with, and what the machine signs with.
//!
//! Owns how key files become keys. Never keeps a passphrase, never writes.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::pending::Folder;
use super::{FOLDER, KeysError, Wrap, at};
use crate::host::disk::Disk;
use crate::seal::key_file::{self, FILE_BYTES_MAX, KeyFile, KeyFileError, Plain, SecretKey, WorkFactor};
use crate::seal::{OpenError, OpeningKey, SigningKey, open_bytes};

/// Bytes of a former key's file at most; it is sealed to one recipient.
const FORMER_BYTES_MAX: u64 = 64 * 1024;

/// What a person has in hand who gave the passphrase. Zeroized when it is dropped.
pub struct Keyring {
    /// Signs what a person answers for.
    pub attended: SigningKey,
    /// Open what is sealed to the office, the present key first, then former ones; none where another desk has them.
    pub opening: Vec<OpeningKey>,
}

/// Tells whether a passphrase wraps the keys of a home: not in a development set.
///
/// # Errors
/// [`KeysError::Disk`], [`KeysError::Missing`], [`KeysError::Key`].
pub fn needs_passphrase(disk: &dyn Disk, home: &Path) -> Result<bool, KeysError> {
    Ok(matches!(required(disk, home, "attended")?, KeyFile::Wrapped(_)))
}

/// Unlocks a home's keys. Where a passphrase wraps them it takes some seconds: call it where that holds nothing up.
///
/// # Errors
/// [`KeysError::Key`] for a wrong passphrase, [`KeysError::NoPassphrase`] where one is needed, [`KeysError::Missing`],
/// [`KeysError::Kind`], [`KeysError::Disk`].
pub fn unlock(disk: &dyn Disk, home: &Path, passphrase: Option<&str>) -> Result<Keyring, KeysError> {
    let attended = signing(home, "attended", unwrapped(required(disk, home, "attended")?, passphrase)?)?;
    let office = key_file(disk, home, "office")?.map(|file| unwrapped(file, passphrase)).transpose()?;
    let present = office.map(|key| opening(home, "office", key)).transpose()?;
    let mut opening: Vec<_> = present.into_iter().collect();
    let folder = Folder::of(disk, home);
    for former in folder.former()? {
        let sealed = folder.read(&former.name, FORMER_BYTES_MAX)?.unwrap_or_default();
        match open_bytes(&sealed, &opening, FILE_BYTES_MAX as u64) {
            Ok(opened) => {
                let text = Zeroizing::new(opened.content);
                let text =
                    std::str::from_utf8(&text).map_err(|_| KeysError::Former(folder.path(&former.name)))?;
                opening.push(OpeningKey::from_text(text.trim()).map_err(KeyFileError::Key)?);
            }
            // Left by a crash: it is sealed to a key that has not come into its place.
            Err(OpenError::NotForTheseKeys { .. }) => {}
            Err(_) => return Err(KeysError::Former(folder.path(&former.name))),
        }
    }
    Ok(Keyring { attended, opening })
}

/// Gives the text of a file for a key, wrapped as the others of its home.
pub(super) fn wrap(key: &SecretKey, how: Wrap<'_>) -> Result<Zeroizing<String>, KeysError> {
    Ok(match how {
        Wrap::Passphrase(passphrase) => key_file::wrapped(key, passphrase, WorkFactor::STANDARD)?.into(),
        Wrap::Insecure => key_file::plain(key, Plain::Insecure)?,
    })
}

/// Reads the key by which a home signs while nobody is there.
///
/// # Errors
/// [`KeysError::Disk`], [`KeysError::Missing`], [`KeysError::Key`], [`KeysError::Kind`].
pub fn unattended(disk: &dyn Disk, home: &Path) -> Result<SigningKey, KeysError> {
    signing(home, "unattended", unwrapped(required(disk, home, "unattended")?, None)?)
}

pub(super) fn unwrapped(file: KeyFile, passphrase: Option<&str>) -> Result<SecretKey, KeysError> {
    match file {
        KeyFile::Plain(_, key) => Ok(key),
        KeyFile::Wrapped(wrapped) => Ok(wrapped.unwrap_with(passphrase.ok_or(KeysError::NoPassphrase)?)?),
    }
}

fn signing(home: &Path, name: &str, key: SecretKey) -> Result<SigningKey, KeysError> {
    match key {
        SecretKey::Signing(key) => Ok(key),
        SecretKey::Opening(_) => {
            Err(KeysError::Kind(home.join(FOLDER).join(name), "opens, and does not sign"))
        }
    }
}

pub(super) fn opening(home: &Path, name: &str, key: SecretKey) -> Result<OpeningKey, KeysError> {
    match key {
        SecretKey::Opening(key) => Ok(key),
        SecretKey::Signing(_) => {
            Err(KeysError::Kind(home.join(FOLDER).join(name), "signs, and does not open"))
        }
    }
}

fn required(disk: &dyn Disk, home: &Path, name: &str) -> Result<KeyFile, KeysError> {
    key_file(disk, home, name)?.ok_or_else(|| KeysError::Missing(home.join(FOLDER).join(name)))
}

pub(super) fn key_file(disk: &dyn Disk, home: &Path, name: &str) -> Result<Option<KeyFile>, KeysError> {
    let path = home.join(FOLDER).join(name);
    match disk.read(&path, FILE_BYTES_MAX as u64) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(KeyFile::parse(&read.map_err(at(&path))?)?)),
    }
}
