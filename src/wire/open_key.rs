//! A signing key that lies open in a home, for nobody is there when it signs, and its public half, which registrars are to sign.
//!
//! Owns the files of a hub's key and of an outside witness's. Never leaves the machine. What such a key says counts only where
//! others say the same: a checkpoint where witnesses cosign it, a cosignature among those of a quorum.

use std::io;
use std::path::{Path, PathBuf};

use crate::host::disk::Disk;
use crate::host::random::Random;
use crate::seal::key_file::{self, KeyFile, KeyFileError, Plain, SecretKey};
use crate::seal::{SigningKey, VerifyingKey};

const FOLDER: &str = "keys";
/// Bytes of a key's file at most.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// Whose key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenKey {
    /// A hub's, by which it signs what its logs come to: `keys/hub`.
    Hub,
    /// An outside witness's: `keys/witness`.
    Witness,
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum OpenKeyError {
    /// Its file cannot be read or written.
    #[error("{}: {error}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        error: io::Error,
    },
    /// Its file is no key's.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: KeyFileError,
    },
    /// Its file holds another kind of key.
    #[error("{}: a key that signs and that no passphrase wraps expected", .0.display())]
    Kind(PathBuf),
}

impl OpenKey {
    fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Witness => "witness",
        }
    }

    /// Where the public half of a home's key is.
    pub fn public_path(self, home: &Path) -> PathBuf {
        home.join(FOLDER).join(format!("{}.public", self.name()))
    }

    fn path(self, home: &Path) -> PathBuf {
        home.join(FOLDER).join(self.name())
    }

    /// Makes the key of a home, or reads the one that is there; its public half is written beside it.
    ///
    /// # Errors
    /// [`OpenKeyError`]
    pub fn make(
        self,
        disk: &dyn Disk,
        home: &Path,
        random: &dyn Random,
    ) -> Result<VerifyingKey, OpenKeyError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenKeyError::Disk { path, error }
        };
        let folder = home.join(FOLDER);
        disk.create_dir_all(&folder).map_err(at(&folder))?;
        let public = if let Some(key) = self.read(disk, home)? {
            key.verifying_key()
        } else {
            let key = SigningKey::generate(|bytes| random.fill(bytes));
            let (public, path) = (key.verifying_key(), self.path(home));
            let text = key_file::plain(&SecretKey::Signing(key), Plain::Unattended);
            let text = text.map_err(|error| OpenKeyError::File { path: path.clone(), error })?;
            disk.write_atomically(&path, text.as_bytes()).map_err(at(&path))?;
            public
        };
        let path = self.public_path(home);
        disk.write_atomically(&path, format!("{public}\n").as_bytes()).map_err(at(&path))?;
        Ok(public)
    }

    /// Reads the key of a home; `None` where there is none.
    ///
    /// # Errors
    /// [`OpenKeyError`]
    pub fn read(self, disk: &dyn Disk, home: &Path) -> Result<Option<SigningKey>, OpenKeyError> {
        let path = self.path(home);
        let bytes = match disk.read(&path, KEY_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| OpenKeyError::Disk { path: path.clone(), error })?,
        };
        match KeyFile::parse(&bytes).map_err(|error| OpenKeyError::File { path: path.clone(), error })? {
            KeyFile::Plain(_, SecretKey::Signing(key)) => Ok(Some(key)),
            _ => Err(OpenKeyError::Kind(path)),
        }
    }
}
