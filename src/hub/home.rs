//! A hub's home: where its files are, and that one process at a time uses them.
//!
//! Owns names and the lock. Never reads what is in the journal or the ledger.

use std::io;
use std::path::{Path, PathBuf};

use super::config::{Config, ConfigError};
use crate::host::disk::{Disk, Lock};
use crate::model::amendment::ENTRY_BYTES_MAX;
use crate::wire::trust::TRUST_FILE;

/// Largest configuration or founding, in bytes.
const FILE_BYTES_MAX: u64 = ENTRY_BYTES_MAX as u64;

/// Where a hub's files are.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another process uses it.
    #[error("{0} is used by another process: one hub a home; stop the other first")]
    Locked(PathBuf),
    /// A file cannot be read.
    #[error("{path}: {error}{hint}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A file is not text.
    #[error("{0} is not UTF-8 text")]
    Text(PathBuf),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Home {
    /// Names a home.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The journal's folder.
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// The folder of packets' files.
    pub fn files(&self) -> PathBuf {
        self.dir.join("files")
    }

    /// The folder of the logs' tiles and checkpoints.
    pub fn logs(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Its own folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file that says how far erasures were carried out.
    pub fn erased(&self) -> PathBuf {
        self.dir.join("erased")
    }

    /// The ledger's folder.
    pub fn ledger(&self) -> PathBuf {
        self.dir.join("ledger")
    }

    /// A file of its TLS: `cert.pem`, `key.pem` or `ca.pem`.
    pub fn tls(&self, file: &str) -> PathBuf {
        self.dir.join("tls").join(file)
    }

    /// The founding that is taken when no other is named.
    pub fn founding(&self) -> PathBuf {
        self.dir.join("founding")
    }

    /// The file that says whom it trusts; a hub may have none.
    pub(super) fn trust(&self) -> PathBuf {
        self.dir.join(TRUST_FILE)
    }

    /// Takes the home for this process, until the lock is dropped.
    ///
    /// # Errors
    /// [`HomeError::Locked`], [`HomeError::File`].
    pub fn lock(&self, disk: &dyn Disk) -> Result<Lock, HomeError> {
        let path = self.dir.join("lock");
        let lock = disk.lock(&path).map_err(|error| HomeError::File {
            path,
            error,
            hint: ": name a hub's home with --home; `resguardo certs dev` makes one for trying",
        })?;
        lock.ok_or_else(|| HomeError::Locked(self.dir.clone()))
    }

    /// Reads and checks `hub.toml`.
    ///
    /// # Errors
    /// [`HomeError::File`], [`HomeError::Text`], [`HomeError::Config`].
    pub fn config(&self, disk: &dyn Disk) -> Result<Config, HomeError> {
        Ok(Config::parse(&text(disk, &self.config_path())?)?)
    }

    /// Reads `hub.toml` as it is, for a backup.
    ///
    /// # Errors
    /// [`HomeError::File`]
    pub(super) fn config_bytes(&self, disk: &dyn Disk) -> Result<Vec<u8>, HomeError> {
        bytes(disk, &self.config_path())
    }

    fn config_path(&self) -> PathBuf {
        self.dir.join("hub.toml")
    }
}

fn text(disk: &dyn Disk, path: &Path) -> Result<String, HomeError> {
    String::from_utf8(bytes(disk, path)?).map_err(|_| HomeError::Text(path.to_owned()))
}

/// Reads a file.
///
/// # Errors
/// [`HomeError::File`]
pub(super) fn bytes(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, HomeError> {
    disk.read(path, FILE_BYTES_MAX).map_err(|error| HomeError::File {
        path: path.to_owned(),
        error,
        hint: "",
    })
}
