//! A desk's files: those of the packets that came and went, sealed.
//!
//! Owns one folder, each file under its digest. Never fetches. At a crash: see [`super`]; one process at a time makes a
//! file grow, by a lock on it that ends with the process.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::partial::{Known, Partial, part_path};
use super::{DiskError, at, erase, remove};
use crate::host::disk::{Disk, DiskFile, Lock, OpenMode};
use crate::model::envelope::FileRef;

/// A desk's files.
#[derive(Clone)]
pub struct Shelf {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// The right to make a file grow, until it is dropped.
#[derive(Debug)]
pub struct Growing {
    _lock: Lock,
}

impl Shelf {
    /// Takes a folder, which need not be there.
    pub fn at(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self { disk, dir }
    }

    /// Tells whether a file is whole.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn has(&self, file: &FileRef) -> Result<bool, DiskError> {
        match self.open(file) {
            Ok(open) => Ok(open.len().map_err(at(&self.dir))? == file.bytes),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens a whole file, for reading.
    ///
    /// # Errors
    /// [`DiskError`], `NotFound` if it is not whole.
    pub fn open(&self, file: &FileRef) -> Result<Arc<dyn DiskFile>, DiskError> {
        let path = self.path(file);
        self.disk.open(&path, OpenMode::Read).map_err(at(&path))
    }

    /// Takes the right to make a file grow; `None` while another process has it. Ask again then whether
    /// it is whole.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn grow(&self, file: &FileRef) -> Result<Option<Growing>, DiskError> {
        self.disk.create_dir_all(&self.dir).map_err(at(&self.dir))?;
        let path = part_path(&self.dir, &file.digest);
        let Some(lock) = self.disk.lock(&path).map_err(at(&path))? else { return Ok(None) };
        // Whoever had it before may have made it whole: what is locked here is then an empty one of the same name.
        if self.has(file)? {
            remove(self.disk.as_ref(), &path)?;
        }
        Ok(Some(Growing { _lock: lock }))
    }

    /// Goes on with a file, or begins it.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn partial(&self, _held: &Growing, file: FileRef) -> Result<Partial, DiskError> {
        Partial::open(Arc::clone(&self.disk), &self.dir, file, Known::NOTHING)
    }

    /// Where a file may be written that is known by its digest only at its end; `of` tells it from others.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn growing(&self, of: &FileRef) -> Result<PathBuf, DiskError> {
        self.disk.create_dir_all(&self.dir).map_err(at(&self.dir))?;
        Ok(self.dir.join(format!("{}.sealing", of.digest)))
    }

    /// Takes a file that was written there, and synced, for good.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn take(&self, growing: &Path, file: &FileRef) -> Result<(), DiskError> {
        let path = self.path(file);
        self.disk.rename(growing, &path).map_err(at(&path))?;
        self.disk.sync_dir(&self.dir).map_err(at(&self.dir))
    }

    /// Where a whole file is.
    pub fn path(&self, file: &FileRef) -> PathBuf {
        self.dir.join(file.digest.to_string())
    }

    /// Removes a file, whole or not, that may be gone already; nothing is left of its bytes where the disk allows.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn forget(&self, file: &FileRef) -> Result<(), DiskError> {
        let whole = self.path(file);
        erase(self.disk.as_ref(), &whole)?;
        erase(self.disk.as_ref(), &part_path(&self.dir, &file.digest))
    }

    /// Tells how many bytes may still be written.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn free_bytes(&self) -> Result<u64, DiskError> {
        self.disk.create_dir_all(&self.dir).map_err(at(&self.dir))?;
        self.disk.free_bytes(&self.dir).map_err(at(&self.dir))
    }
}
