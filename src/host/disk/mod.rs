//! Files and folders, handed in.
//!
//! Owns what may be asked of a disk and what it promises. Never knows what is stored.
//! At a crash of the machine: contents since the last [`DiskFile::sync_data`] and names since the last
//! [`Disk::sync_dir`] may be there, wholly, in part or not at all; all before is there.

#[cfg(test)]
mod contract;
#[cfg(test)]
pub(crate) mod crash;
mod image;
mod memory;
mod os;

use std::any::Any;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub use self::image::{CrashStyle, FileNumber, Operation};
pub use self::memory::{Fault, FaultPoint, MemoryDisk};
pub use self::os::OsDisk;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing one, for reading.
    Read,
    /// An existing one, for reading and writing.
    Write,
    /// A new one, for reading and writing; an error if the name is taken.
    CreateNew,
    /// A new one, or an existing one emptied, for reading and writing.
    Replace,
}

/// Whether the system says by this that the disk failed, rather than that what was asked for is not there or may not be had: at the
/// next try it may be over.
pub fn is_failure(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        FileTooLarge, InvalidFilename, IsADirectory, NotADirectory, NotFound, PermissionDenied,
    };
    !matches!(
        kind,
        NotFound | PermissionDenied | NotADirectory | IsADirectory | InvalidFilename | FileTooLarge
    )
}

/// A disk: names. New files and folders are open to their owner alone.
pub trait Disk: Send + Sync {
    /// Makes a folder and those above it where they are missing; their names are durable when it returns.
    ///
    /// # Errors
    /// Any error of the disk; a file stands in the way.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists` by the mode; any error of the disk.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Lists the names in a folder, sorted.
    ///
    /// # Errors
    /// `NotFound`; any error of the disk.
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;

    /// Renames a file or folder inside its folder, over an existing file if there is one; at a crash the old or the new
    /// state is there, never a mixture.
    ///
    /// # Errors
    /// `NotFound`; `CrossesDevices` if the two are not in one folder; any error of the disk.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`; any error of the disk.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// Any error of the disk. After one it is unknown which names are durable: do not go on.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes a file as a lock, making it if it is missing; `None` if another process or handle holds it.
    ///
    /// # Errors
    /// Any error of the disk.
    fn lock(&self, path: &Path) -> io::Result<Option<Lock>>;

    /// Tells how many bytes may still be written to the disk that holds a folder.
    ///
    /// # Errors
    /// Any error of the disk.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;

    /// Writes a small file so that after a crash at any moment the old content or the new one is there, whole; the
    /// new one once it returns. One writer a path at a time.
    ///
    /// # Errors
    /// Any error of the disk. It is then unknown whether the new content stands.
    fn write_atomically(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = Path::new(&temporary);
        // A leftover of a crash is emptied first: it was never renamed, so nobody counts on it.
        let file = self.open(temporary, OpenMode::Replace)?;
        file.write_all_at(bytes, 0)?;
        file.sync_data()?;
        drop(file);
        self.rename(temporary, path)?;
        self.sync_dir(folder_of(path))
    }

    /// Writes files below a folder, each whole, over one that is there; makes their folders where they are missing. All are
    /// durable, with their names, when it returns; at a crash before, each may be there, wholly, in part or not at all.
    ///
    /// # Errors
    /// Any error of the disk. It is then unknown which of them are durable: write all of them again.
    fn write_many(&self, dir: &Path, files: &[(PathBuf, Bytes)]) -> io::Result<()> {
        let folders = put_many(self, dir, files, |file| file.sync_data())?;
        folders.iter().try_for_each(|folder| self.sync_dir(folder))
    }

    /// Reads a whole file of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// `NotFound`; `FileTooLarge` beyond the bound; any error of the disk.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = file.len()?;
        if len > bytes_max {
            let text = format!("{} has {len} bytes, expected at most {bytes_max}", path.display());
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// An open file, read and written at offsets, from several threads if need be.
pub trait DiskFile: Send + Sync {
    /// Reads bytes from `offset` on; fewer than asked for near the end of the file, 0 beyond it.
    ///
    /// # Errors
    /// Any error of the disk.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at `offset`, growing the file if need be. Durable only after [`DiskFile::sync_data`].
    ///
    /// # Errors
    /// `StorageFull`; any error of the disk. A part may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes what was written durable, the length included. The file's name is its folder's: [`Disk::sync_dir`].
    ///
    /// # Errors
    /// Any error of the disk. What was not durable may be gone, and a further sync may hide that: never retry.
    fn sync_data(&self) -> io::Result<()>;

    /// Tells the length in bytes.
    ///
    /// # Errors
    /// Any error of the disk.
    fn len(&self) -> io::Result<u64>;

    /// Tells whether there are no bytes.
    ///
    /// # Errors
    /// Any error of the disk.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts the file, or grows it with zeros that may not have blocks of their own yet.
    ///
    /// # Errors
    /// Any error of the disk.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before; any error of the disk.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            match self.read_at(&mut bytes[done..], offset + done as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }
}

/// A lock held on a file until it is dropped or the process ends.
pub struct Lock {
    _held: Box<dyn Any + Send + Sync>,
}

impl Lock {
    fn holding(held: impl Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// The folder that holds a path's name; `.` for a bare name.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Writes files below a folder, which need not be durable but for what `then` does with each; gives their folders.
fn put_many<D: Disk + ?Sized>(
    disk: &D,
    dir: &Path,
    files: &[(PathBuf, Bytes)],
    then: impl Fn(&dyn DiskFile) -> io::Result<()>,
) -> io::Result<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::new();
    for (path, bytes) in files {
        let path = dir.join(path);
        let mut write = || {
            if folders.insert(folder_of(&path).to_owned()) {
                disk.create_dir_all(folder_of(&path))?;
            }
            let file = disk.open(&path, OpenMode::Replace)?;
            file.write_all_at(bytes, 0)?;
            then(file.as_ref())
        };
        named(&path, write())?;
    }
    Ok(folders)
}

/// An error with the path in front of what the disk said.
fn named<T>(path: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

fn refuse_other_folder(from: &Path, to: &Path) -> io::Result<()> {
    if folder_of(from) == folder_of(to) { Ok(()) } else { Err(io::ErrorKind::CrossesDevices.into()) }
}
