//! Officers: the people of a desk who state that something was read, acted on or declined.
//!
//! Owns `officers/` in the home: a key for each, and the list. Never has two of one id; an id that was removed is not used
//! again. At a crash: the key is there before the list says so, and the list says that somebody is removed before the key
//! goes.
//!
//! ```text
//! officers/list.toml   who there is and was
//! officers/<id>.key    an officer's key, wrapped by the officer's own passphrase, with that of the home's keys beside it
//! ```

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::files;
use crate::host::disk::Disk;
use crate::host::random::Random;
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::seal::key_file::{self, FILE_BYTES_MAX, KeyFile, KeyFileError, Plain, SecretKey, WorkFactor};
use crate::seal::{KeyId, SigningKey};
use crate::wire::note::OFFICER_BYTES_MAX;

const FOLDER: &str = "officers";
const LIST: &str = "list.toml";
/// Largest list, in bytes: some thousand officers.
const LIST_BYTES_MAX: u64 = 1024 * 1024;

/// An officer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Officer {
    /// What the officer is called on the command line.
    pub id: String,
    /// The officer's name, as those read it for whom a note is sealed.
    pub name: String,
    /// The id of the officer's key: 64 hexadecimal digits.
    pub key: String,
    /// When the officer was added: microseconds since 1970-01-01T00:00:00Z.
    pub added_unix_us: u64,
    /// When the officer was removed, if so.
    pub removed_unix_us: Option<u64>,
}

/// What wraps an officer's key.
#[derive(Clone, Copy)]
pub enum Wrap<'a> {
    /// The officer's own passphrase, which unwraps that of the home's keys too.
    Passphrase {
        /// The officer's.
        own: &'a str,
        /// That of the home's keys.
        of_home: &'a str,
    },
    /// Nothing: for a development set.
    Insecure,
}

/// An officer's key, and what it takes to unlock the home's; `None` where nothing wraps those.
pub struct Present {
    /// The officer's key.
    pub key: SigningKey,
    /// The passphrase of the home's keys.
    pub of_home: Option<Zeroizing<String>>,
}

/// Why officers cannot be listed, added, removed or let sign.
#[derive(Debug, thiserror::Error)]
pub enum OfficersError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The list is not one.
    #[error("{}: {message}; put it right", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The key cannot be wrapped or unwrapped.
    #[error("the key of officer {0}: {1}")]
    Key(String, KeyFileError),
    /// There is such an officer, or was.
    #[error("{0} is or was an officer of this desk: choose another id")]
    Taken(Name),
    /// The name cannot be one.
    #[error("a name of 1 to {OFFICER_BYTES_MAX} bytes without control characters expected")]
    NoName,
    /// There is no such officer.
    #[error("{0} is no officer of this desk; there are {1}: `resguardo officer add` makes one")]
    Unknown(String, String),
    /// Nobody is there to state anything.
    #[error(
        "this desk has no officer, and a person's stage bears an officer's name: `resguardo officer add` makes one"
    )]
    Nobody,
    /// Several are there.
    #[error("who states it? Name the officer with --officer: {0}")]
    Several(String),
}

/// Lists the officers, removed ones too, as they were added.
///
/// # Errors
/// [`OfficersError::Disk`], [`OfficersError::List`].
pub fn list(disk: &dyn Disk, home: &Path) -> Result<Vec<Officer>, OfficersError> {
    let path = home.join(FOLDER).join(LIST);
    let bytes = match disk.read(&path, LIST_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(at(&path))?,
    };
    let list: Result<ListFile, _> = toml::from_str(&String::from_utf8_lossy(&bytes));
    list.map(|list| list.officer)
        .map_err(|error| OfficersError::List { path, message: error.message().replace('\n', " ") })
}

/// Adds an officer.
///
/// # Errors
/// [`OfficersError`], each but the last three.
pub fn add(
    disk: &dyn Disk,
    home: &Path,
    (id, name): (&Name, &str),
    wrap: Wrap<'_>,
    random: &dyn Random,
    now: UnixMicros,
) -> Result<Officer, OfficersError> {
    if !(1..=OFFICER_BYTES_MAX).contains(&name.len()) || name.chars().any(char::is_control) {
        return Err(OfficersError::NoName);
    }
    let mut officers = list(disk, home)?;
    if officers.iter().any(|officer| officer.id == id.as_str()) {
        return Err(OfficersError::Taken(id.clone()));
    }
    let key = SigningKey::generate(|bytes| random.fill(bytes));
    let key_id: KeyId = key.verifying_key().id();
    let failed = |error| OfficersError::Key(id.to_string(), error);
    let text = match wrap {
        Wrap::Passphrase { own, of_home } => {
            let wrapped = key_file::wrapped_officer(&key, of_home, own, WorkFactor::STANDARD);
            Zeroizing::new(wrapped.map_err(failed)?)
        }
        Wrap::Insecure => key_file::plain(&SecretKey::Signing(key), Plain::Insecure).map_err(failed)?,
    };
    let folder = home.join(FOLDER);
    disk.create_dir_all(&folder).map_err(at(&folder))?;
    let path = key_path(home, id.as_str());
    disk.write_atomically(&path, text.as_bytes()).map_err(at(&path))?;
    let (id, name, key) = (id.to_string(), name.to_owned(), key_id.to_string());
    let officer = Officer { id, name, key, added_unix_us: now.0, removed_unix_us: None };
    officers.push(officer.clone());
    keep(disk, home, officers)?;
    Ok(officer)
}

/// Removes an officer: nothing is stated in their name any more. What was stays.
///
/// # Errors
/// [`OfficersError::Unknown`], [`OfficersError::Disk`], [`OfficersError::List`].
pub fn remove(disk: &dyn Disk, home: &Path, id: &Name, now: UnixMicros) -> Result<Officer, OfficersError> {
    let mut officers = list(disk, home)?;
    let listed = names(&officers);
    let found = officers.iter_mut().find(|it| it.id == id.as_str() && it.removed_unix_us.is_none());
    let found = found.ok_or_else(|| OfficersError::Unknown(id.to_string(), listed))?;
    found.removed_unix_us = Some(now.0);
    let removed = found.clone();
    keep(disk, home, officers)?;
    let path = key_path(home, id.as_str());
    let erased = files::erase(disk, &path);
    erased.map_err(|error| OfficersError::Disk { path: error.path, source: error.source })?;
    Ok(removed)
}

/// Finds the officer who states something: the one that is named, or the only one.
///
/// # Errors
/// [`OfficersError::Unknown`], [`OfficersError::Nobody`], [`OfficersError::Several`], [`OfficersError::List`],
/// [`OfficersError::Disk`].
pub fn who(disk: &dyn Disk, home: &Path, named: Option<&Name>) -> Result<Officer, OfficersError> {
    let mut officers = list(disk, home)?;
    officers.retain(|officer| officer.removed_unix_us.is_none());
    let listed = names(&officers);
    match named {
        Some(id) => {
            let found = officers.into_iter().find(|officer| officer.id == id.as_str());
            found.ok_or_else(|| OfficersError::Unknown(id.to_string(), listed))
        }
        None if officers.len() > 1 => Err(OfficersError::Several(listed)),
        None => officers.pop().ok_or(OfficersError::Nobody),
    }
}

/// Tells whether a passphrase wraps an officer's key.
///
/// # Errors
/// [`OfficersError::Disk`], [`OfficersError::Key`].
pub fn needs_passphrase(disk: &dyn Disk, home: &Path, officer: &Officer) -> Result<bool, OfficersError> {
    Ok(matches!(key_of(disk, home, officer)?, KeyFile::Wrapped(_)))
}

/// Unlocks an officer's key. Where a passphrase wraps it that takes some second.
///
/// # Errors
/// [`OfficersError::Disk`], [`OfficersError::Key`].
pub fn unlock(
    disk: &dyn Disk,
    home: &Path,
    officer: &Officer,
    passphrase: &str,
) -> Result<Present, OfficersError> {
    let failed = |error| OfficersError::Key(officer.id.clone(), error);
    match key_of(disk, home, officer)? {
        KeyFile::Plain(_, SecretKey::Signing(key)) => Ok(Present { key, of_home: None }),
        KeyFile::Plain(..) => Err(failed(KeyFileError::Unknown)),
        KeyFile::Wrapped(wrapped) => {
            let (key, of_home) = wrapped.unwrap_officer_with(passphrase).map_err(failed)?;
            Ok(Present { key, of_home: Some(of_home) })
        }
    }
}

fn key_of(disk: &dyn Disk, home: &Path, officer: &Officer) -> Result<KeyFile, OfficersError> {
    let path = key_path(home, &officer.id);
    let bytes = Zeroizing::new(disk.read(&path, FILE_BYTES_MAX as u64).map_err(at(&path))?);
    KeyFile::parse(&bytes).map_err(|error| OfficersError::Key(officer.id.clone(), error))
}

fn key_path(home: &Path, id: &str) -> PathBuf {
    home.join(FOLDER).join(format!("{id}.key"))
}

fn names(officers: &[Officer]) -> String {
    let there: Vec<_> =
        officers.iter().filter(|it| it.removed_unix_us.is_none()).map(|it| it.id.as_str()).collect();
    if there.is_empty() { "none".into() } else { there.join(", ") }
}

fn keep(disk: &dyn Disk, home: &Path, officer: Vec<Officer>) -> Result<(), OfficersError> {
    let path = home.join(FOLDER).join(LIST);
    let text = toml::to_string(&ListFile { officer }).expect("a list of texts and numbers is TOML");
    disk.write_atomically(&path, text.as_bytes()).map_err(at(&path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> OfficersError {
    let path = path.to_owned();
    move |source| OfficersError::Disk { path, source }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListFile {
    #[serde(default)]
    officer: Vec<Officer>,
}
