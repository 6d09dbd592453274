//! The keys of a home: made here, never leaving it in clear.
//!
//! Owns `keys/`. Never sends one anywhere. At a crash: each file is whole, and the request, which is written last, names the
//! keys that are there.
//!
//! ```text
//! keys/attended     signs while a person is there; wrapped by a passphrase
//! keys/unattended   signs what a machine does by itself; lies open, for nobody is there to unwrap it
//! keys/office       opens what is sealed to the office; wrapped by a passphrase; not where another desk has it
//! keys/request      their public halves: a file to carry to the registrars
//! ```

use std::io;
use std::path::{Path, PathBuf};

use crate::host::disk::Disk;
use crate::host::random::Random;
use crate::model::fact::DeskKeys;
use crate::seal::key_file::{self, KeyFileError, Plain, SecretKey, WorkFactor};
use crate::seal::{OpeningKey, SigningKey};
use crate::wire::key_request::{KEY_REQUEST_BYTES_MAX, KeyRequest, KeyRequestError};

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
    let kept = |name: &str, key: &SecretKey| match wrap {
        Wrap::Passphrase(passphrase) => {
            write(name, &key_file::wrapped(key, passphrase, WorkFactor::STANDARD)?)
        }
        Wrap::Insecure => write(name, &key_file::plain(key, Plain::Insecure)?),
    };
    let signing = || SigningKey::generate(|bytes| random.fill(bytes));
    let (attended, unattended) = (signing(), signing());
    let keys = DeskKeys { attended: attended.verifying_key(), unattended: unattended.verifying_key() };
    kept("attended", &SecretKey::Signing(attended))?;
    write("unattended", &key_file::plain(&SecretKey::Signing(unattended), Plain::Unattended)?)?;
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
    let path = request_path(home);
    let text = match disk.read(&path, KEY_REQUEST_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(at(&path))?,
    };
    let request = KeyRequest::parse(&String::from_utf8_lossy(&text));
    request.map(Some).map_err(|source| KeysError::Request { path, source })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeysError {
    let path = path.to_owned();
    move |source| KeysError::Disk { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::disk::MemoryDisk;
    use crate::host::random::SeededRandom;

    #[test]
    fn keys_are_made_once_and_lie_as_they_must() {
        let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
        let made = make(&disk, home, true, Wrap::Passphrase("correct horse"), &random).unwrap();
        assert_eq!(make(&disk, home, true, Wrap::Insecure, &random).unwrap(), made, "nothing is made anew");
        let read = |name: &str| {
            let path = home.join(FOLDER).join(name);
            key_file::KeyFile::parse(&disk.read(&path, 1 << 20).unwrap()).unwrap()
        };
        for name in ["attended", "office"] {
            assert!(matches!(read(name), key_file::KeyFile::Wrapped(_)), "{name}");
        }
        assert!(matches!(read("unattended"), key_file::KeyFile::Plain(Plain::Unattended, _)));
        let second = make(&disk, Path::new("/second"), false, Wrap::Insecure, &random).unwrap();
        assert_eq!(second.recipient, None, "one office, one key");
        assert_ne!(second.keys, made.keys);
    }
}
