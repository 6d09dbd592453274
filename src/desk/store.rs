//! Folders of records: the files of inbox and outbox.
//!
//! Owns how a file comes to be there whole and for good. Never knows what it means.
//! At a crash: what `Folder::keep` was given is there wholly once it has returned, each file by itself; before that
//! each of the files is there whole or not at all. Leftovers (`….new`) are ignored, and swept by the next writer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, RECORD_BYTES_MAX, Record, RecordError};
use crate::files::{self, DiskError};
use crate::host::disk::{Disk, Lock, OpenMode};

const TEMPORARY: &str = ".new";
const LOCK: &str = "lock";

/// What a desk's files may say.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk did not do what was asked.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A file is not as it was written.
    #[error("{}: {source}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RecordError,
    },
    /// Another process has it.
    #[error("{} is in use by another process of this home", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl StoreError {
    /// Tells whether a file is simply not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Disk { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// A folder of records.
#[derive(Clone)]
pub(super) struct Folder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Folder {
    /// Takes a folder, making it if it is missing.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: PathBuf) -> Result<Self, StoreError> {
        disk.create_dir_all(&dir).map_err(at(&dir))?;
        Ok(Self { disk, dir })
    }

    /// Takes the folder for this process alone, until the lock is dropped.
    pub(super) fn lock(&self) -> Result<Lock, StoreError> {
        let path = self.dir.join(LOCK);
        let lock = self.disk.lock(&path).map_err(at(&path))?;
        lock.ok_or_else(|| StoreError::InUse { path: self.dir.clone() })
    }

    /// Keeps files for good, over those of the same names: all contents are synced before the first has its name, and
    /// all names before it returns.
    pub(super) fn keep(&self, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
        for (name, bytes) in files {
            let path = self.temporary(name);
            self.write(&path, bytes).map_err(at(&path))?;
        }
        for (name, _) in files {
            let path = self.dir.join(name);
            self.disk.rename(&self.temporary(name), &path).map_err(at(&path))?;
        }
        if files.is_empty() { Ok(()) } else { self.sync() }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = self.disk.open(path, OpenMode::Replace)?;
        file.write_all_at(bytes, 0)?;
        file.sync_data()
    }

    /// Gives the names of the records, sorted.
    pub(super) fn names(&self) -> Result<Vec<String>, StoreError> {
        let names = self.disk.list(&self.dir).map_err(at(&self.dir))?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        Ok(names.filter(|name| !name.ends_with(TEMPORARY) && name != LOCK).collect())
    }

    /// Reads a record.
    pub(super) fn read<R: Record>(&self, name: &str) -> Result<R, StoreError> {
        let path = self.dir.join(name);
        let bytes = self.disk.read(&path, RECORD_BYTES_MAX).map_err(at(&path))?;
        record::decode(bytes).map_err(|source| StoreError::Damaged { path, source })
    }

    /// Says that a file is whole and yet not what it should be.
    pub(super) fn damaged(&self, name: &str, message: String) -> StoreError {
        StoreError::Damaged { path: self.dir.join(name), source: RecordError::Body(message) }
    }

    /// Gives a file another name, for good. One that has it already is fine.
    pub(super) fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        let path = self.dir.join(from);
        self.disk.rename(&path, &self.dir.join(to)).map_err(at(&path))?;
        self.sync()
    }

    /// Removes files that may be gone already, for good.
    pub(super) fn remove(&self, names: &[String]) -> Result<(), StoreError> {
        for name in names {
            let path = self.dir.join(name);
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path)(error)),
                _ => {}
            }
        }
        if names.is_empty() { Ok(()) } else { self.sync() }
    }

    /// Keeps a file over one of the same name, of whose bytes nothing is left as far as the disk allows.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.dir.join(name);
        let old = self.disk.open(&path, OpenMode::Write).map_err(at(&path))?;
        self.keep(&[(name.to_owned(), bytes.to_vec())])?;
        // It has no name any more.
        files::write_over(old.as_ref(), &path).map_err(disk_error)
    }

    /// Removes files that may be gone already, for good, and their bytes as far as the disk allows.
    pub(super) fn erase(&self, names: &[String]) -> Result<(), StoreError> {
        for name in names {
            files::erase(self.disk.as_ref(), &self.dir.join(name)).map_err(disk_error)?;
        }
        if names.is_empty() { Ok(()) } else { self.sync() }
    }

    /// Removes what a crash left half written. Only for the one who may write here.
    pub(super) fn sweep(&self) -> Result<(), StoreError> {
        let names = self.disk.list(&self.dir).map_err(at(&self.dir))?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        self.remove(&names.filter(|name| name.ends_with(TEMPORARY)).collect::<Vec<_>>())
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}{TEMPORARY}"))
    }

    /// Makes all names durable: those too that a run left in the machine's memory when it ended between naming a file
    /// and its sync.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync_dir(&self.dir).map_err(at(&self.dir))
    }
}

fn disk_error(DiskError { path, source }: DiskError) -> StoreError {
    StoreError::Disk { path, source }
}

/// Says where the disk's error happened.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Disk { path, source }
}
