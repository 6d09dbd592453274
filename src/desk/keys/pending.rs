//! New keys that wait for the directory: written before they are handed in, and put in their places once the hub took them.
//!
//! Owns the names of key files, and each step from a new key to a present one. Never makes a key; needs no passphrase.
//! At a crash at any point no key is lost: a new key is on disk before anybody hears of it, the one before is sealed to it, and
//! [`settle`] goes on where it was cut off.
//!
//! ```text
//! keys/office-next.ID      a new key of the office, ID being the SHA-256 of its recipient
//! keys/former-next.ID      the present key of the office, sealed to that new one
//! keys/former.NUMBER.ID    a former key of the office, sealed to the one that came after it
//! keys/transfer-next.ID    a new transfer key
//! keys/attended-next, keys/unattended-next, keys/transfer-renewed, keys/request-next
//!                          new keys of the desk, and their public halves
//! keys/renewal             those of them that registrars are asked to sign
//! ```

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::{FOLDER, KeysError, REQUEST, at, read_request};
use crate::files;
use crate::host::disk::{Disk, OpenMode};
use crate::model::identity::Desk;
use crate::model::policy::Policy;

/// The files of new keys of a desk, and where they go.
pub(super) const RENEWED: [(&str, &str); 3] =
    [("attended-next", "attended"), ("unattended-next", "unattended"), ("transfer-renewed", "transfer")];
pub(super) const REQUEST_NEXT: &str = "request-next";
pub(super) const RENEWAL: &str = "renewal";

/// The folder of a home's keys.
pub(super) struct Folder<'a> {
    pub(super) disk: &'a dyn Disk,
    dir: PathBuf,
}

/// A former key of the office.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Former {
    pub(super) number: u64,
    /// The SHA-256 of its recipient, hexadecimal.
    pub(super) id: String,
    pub(super) name: String,
}

/// Puts new keys in their places that the directory holds by now, and erases former ones that nothing is sealed to any more
/// that is still kept. Under the home's lock.
///
/// # Errors
/// [`KeysError::Disk`], [`KeysError::Request`].
pub(in crate::desk) fn settle(
    disk: &dyn Disk,
    home: &Path,
    own: &Desk,
    policy: &Policy,
) -> Result<(), KeysError> {
    let folder = Folder::of(disk, home);
    let names = folder.names()?;
    if let Some(id) = suffix(&names, "office-next.")
        // Also where another own has replaced it since: it follows on the one before in any case.
        && bytes(&id).is_some_and(|id| policy.had_sealing_key(&own.office, &id))
    {
        folder.install_office(&id)?;
    }
    if let Some(id) = suffix(&names, "transfer-next.") {
        let present = policy.transfer_key_id(own).map(|id| hex(&id));
        if present.as_ref() == Some(&id) {
            folder.replace(&format!("transfer-next.{id}"), "transfer")?;
        }
    }
    if let Some(renewed) = read_request(disk, &folder.path(REQUEST_NEXT))?
        && policy.desks().get(own).is_some_and(|present| {
            (&present.attended, &present.unattended) == (&renewed.keys.attended, &renewed.keys.unattended)
        })
    {
        for (from, to) in RENEWED {
            folder.replace(from, to)?;
        }
        folder.erase(RENEWAL)?;
        // Last: while it is there, this goes on after a crash.
        folder.replace(REQUEST_NEXT, REQUEST)?;
    }
    Ok(())
}

/// Erases former keys of the office that are spent, by the earlier of this machine's time and the hub's.
///
/// # Errors
/// [`KeysError::Disk`].
pub(super) fn destroy(folder: &Folder<'_>, spent: &[[u8; 32]]) -> Result<usize, KeysError> {
    let spent: Vec<_> = spent.iter().map(hex).collect();
    let mut destroyed = 0;
    for former in folder.former()?.into_iter().filter(|former| spent.contains(&former.id)) {
        folder.erase(&former.name)?;
        destroyed += 1;
    }
    Ok(destroyed)
}

impl<'a> Folder<'a> {
    pub(super) fn of(disk: &'a dyn Disk, home: &Path) -> Self {
        Self { disk, dir: home.join(FOLDER) }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What is there, whole: not what a write that was cut off left.
    pub(super) fn names(&self) -> Result<Vec<String>, KeysError> {
        let names = match self.disk.list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names.map_err(at(&self.dir))?,
        };
        let names = names.iter().filter_map(|name| Some(name.to_str()?.to_owned()));
        Ok(names.filter(|name| Path::new(name).extension().is_none_or(|it| it != "new")).collect())
    }

    /// The former keys of the office, the newest first.
    pub(super) fn former(&self) -> Result<Vec<Former>, KeysError> {
        let former = |name: &String| {
            let (number, id) = name.strip_prefix("former.")?.split_once('.')?;
            bytes(id)?;
            Some(Former { number: number.parse().ok()?, id: id.to_owned(), name: name.clone() })
        };
        let mut all: Vec<_> = self.names()?.iter().filter_map(former).collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.number));
        Ok(all)
    }

    pub(super) fn write(&self, name: &str, text: &[u8]) -> Result<(), KeysError> {
        let path = self.path(name);
        self.disk.write_atomically(&path, text).map_err(at(&path))
    }

    pub(super) fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, KeysError> {
        let path = self.path(name);
        match self.disk.read(&path, bytes_max) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(at(&path)),
        }
    }

    /// Removes a file that may be gone already, and writes over its bytes first.
    pub(super) fn erase(&self, name: &str) -> Result<(), KeysError> {
        files::erase(self.disk, &self.path(name)).map_err(disk_error)
    }

    /// Puts one file in the place of another, whose bytes are then written over. Nothing is done where the first is gone.
    pub(super) fn replace(&self, from: &str, to: &str) -> Result<(), KeysError> {
        let (from, to) = (self.path(from), self.path(to));
        if self.disk.open(&from, OpenMode::Read).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(());
        }
        let before = match self.disk.open(&to, OpenMode::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            file => Some(file.map_err(at(&to))?),
        };
        self.disk.rename(&from, &to).map_err(at(&from))?;
        self.disk.sync_dir(&self.dir).map_err(at(&self.dir))?;
        // A crash before this leaves bytes that nothing names and a passphrase wraps.
        before.map_or(Ok(()), |file| files::write_over(file.as_ref(), &to)).map_err(disk_error)
    }

    /// Makes the new key of the office the present one, and the present one a former one.
    pub(super) fn install_office(&self, id: &str) -> Result<(), KeysError> {
        if let Some(before) = suffix(&self.names()?, "former-next.") {
            let number = self.former()?.first().map_or(1, |newest| newest.number + 1);
            // Before the new key stands in its place: in between, the one before is present and, sealed, a former one.
            self.replace(&format!("former-next.{before}"), &format!("former.{number}.{before}"))?;
        }
        self.replace(&format!("office-next.{id}"), "office")
    }
}

/// What follows a beginning in the first name that has it.
pub(super) fn suffix(names: &[String], beginning: &str) -> Option<String> {
    names
        .iter()
        .find_map(|name| name.strip_prefix(beginning))
        .filter(|id| bytes(id).is_some())
        .map(str::to_owned)
}

pub(super) fn hex(id: &[u8; 32]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut id = [0; 32];
    for (byte, at) in id.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(id)
}

fn disk_error(error: files::DiskError) -> KeysError {
    KeysError::Disk { path: error.path, source: error.source }
}
