//! The keys of a home: made here, never leaving it in clear.
//!
//! Owns `keys/`. Never sends one anywhere but sealed for another desk of the office. At a crash: each file is whole, and the
//! request, which is written last, names the keys that are there.
//!
//! ```text
//! keys/attended     signs while a person is there; wrapped by a passphrase
//! keys/unattended   signs what a machine does by itself; lies open, for nobody is there to unwrap it
//! keys/office       opens what is sealed to the office; wrapped by a passphrase; not where another desk has it
//! keys/transfer     opens what other desks of the office hand over: the office's keys; wrapped by a passphrase
//! keys/request      their public halves: a file to carry to the registrars
//! ```
//!
//! What lies beside them while keys are renewed: `pending`.

mod handover;
mod keyring;
mod pending;
mod renew;
mod rotate;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use crate::host::disk::Disk;
use crate::host::random::Random;
use crate::model::fact::DeskKeys;
use crate::seal::key_file::{self, KeyFileError, Plain, SecretKey};
use crate::seal::{OpeningKey, SigningKey};
use crate::wire::key_request::{KEY_REQUEST_BYTES_MAX, KeyRequest, KeyRequestError};

pub use handover::unlock_for;
pub use keyring::{Keyring, needs_passphrase, unattended, unlock};
pub(in crate::desk) use pending::settle;
pub use renew::renew;
pub use rotate::{Bench, PASSED_BYTES_MAX, RotateError, rotation_due};

const FOLDER: &str = "keys";
const REQUEST: &str = "request";

/// How private keys are to lie in the home.
#[derive(Clone, Copy)]
pub enum Wrap<'a> {
    /// Wrapped by this passphrase.
    Passphrase(&'a str),
    /// Open, and marked so: for a development set.
    Insecure,
}

/// Why keys cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A key cannot be wrapped.
    #[error("the keys: {0}")]
    Key(#[from] KeyFileError),
    /// There are none.
    #[error("{} is not there: `resguardo office request` makes a home's keys", .0.display())]
    Missing(PathBuf),
    /// A passphrase wraps them, and none was given.
    #[error("the keys: a passphrase wraps them, and none was given")]
    NoPassphrase,
    /// One is of another kind than its place.
    #[error("{}: a key that {}: it belongs elsewhere", .0.display(), .1)]
    Kind(PathBuf, &'static str),
    /// A former key's file is not what was written.
    #[error("{}: this file of a former key of the office is damaged: bring it back from a copy", .0.display())]
    Former(PathBuf),
    /// The request is not one.
    #[error("{}: {source}", path.display())]
    Request {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyRequestError,
    },
}

/// Where a home's request to the registrars is.
pub fn request_path(home: &Path) -> PathBuf {
    home.join(FOLDER).join(REQUEST)
}

/// Makes the keys of a desk, and those of its office if this is its first; gives those that are there already.
///
/// # Errors
/// [`KeysError`]
pub fn make(
    disk: &dyn Disk,
    home: &Path,
    first_of_office: bool,
    wrap: Wrap<'_>,
    random: &dyn Random,
) -> Result<KeyRequest, KeysError> {
    if let Some(request) = request(disk, home)? {
        return Ok(request);
    }
    let folder = home.join(FOLDER);
    disk.create_dir_all(&folder).map_err(at(&folder))?;
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        disk.write_atomically(&path, text.as_bytes()).map_err(at(&path))
    };
    let kept = |name: &str, key: &SecretKey| write(name, &keyring::wrap(key, wrap)?);
    let signing = || SigningKey::generate(|bytes| random.fill(bytes));
    let (attended, unattended) = (signing(), signing());
    let transfer = OpeningKey::generate(|bytes| random.fill(bytes));
    let keys = DeskKeys {
        attended: attended.verifying_key(),
        unattended: unattended.verifying_key(),
        transfer: transfer.recipient(),
    };
    kept("attended", &SecretKey::Signing(attended))?;
    write("unattended", &key_file::plain(&SecretKey::Signing(unattended), Plain::Unattended)?)?;
    kept("transfer", &SecretKey::Opening(transfer))?;
    let mut recipient = None;
    if first_of_office {
        let office = OpeningKey::generate(|bytes| random.fill(bytes));
        recipient = Some(office.recipient());
        kept("office", &SecretKey::Opening(office))?;
    }
    let request = KeyRequest { keys, recipient };
    write(REQUEST, &request.to_text())?;
    Ok(request)
}

/// Reads the request of the keys that are there, if there are any.
///
/// # Errors
/// [`KeysError::Disk`], [`KeysError::Request`].
pub fn request(disk: &dyn Disk, home: &Path) -> Result<Option<KeyRequest>, KeysError> {
    read_request(disk, &request_path(home))
}

fn read_request(disk: &dyn Disk, path: &Path) -> Result<Option<KeyRequest>, KeysError> {
    let text = match disk.read(path, KEY_REQUEST_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(at(path))?,
    };
    let request = KeyRequest::parse(&String::from_utf8_lossy(&text));
    request.map(Some).map_err(|source| KeysError::Request { path: path.into(), source })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let path = path.to_owned();
    move |source| KeysError::Disk { path, source }
}
