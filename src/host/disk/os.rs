//! The machine's disk (Linux, and other Unix systems).
//!
//! Owns the calls. Never caches, never retries. At a crash: what was synced is there, if the drive keeps its word.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Disk, DiskFile, Lock, OpenMode, folder_of, put_many, refuse_other_folder};

/// The machine's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

/// Only the owner: what is kept here names defenders.
const FILE_MODE: u32 = 0o600;
const DIR_MODE: u32 = 0o700;

/// So many files are synced one by one. More are synced with all else that the disk holds, which costs one sync for all of them, but
/// may have to wait for what others write.
#[cfg(target_os = "linux")]
const SYNCED_EACH_MAX: usize = 16;

impl Disk for OsDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        if dir.is_dir() {
            // It may have been made a moment before a crash, by a run that did not come to its sync. Where the folder
            // above may not be read, it was not we who made it.
            return match self.sync_dir(folder_of(dir)) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                synced => synced,
            };
        }
        if let Some(above) = dir.parent().filter(|above| !above.as_os_str().is_empty() && !above.is_dir()) {
            self.create_dir_all(above)?;
        }
        match DirBuilder::new().mode(DIR_MODE).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => Err(error),
            _ => self.sync_dir(folder_of(dir)),
        }
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).mode(FILE_MODE);
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::Write => options.write(true),
            OpenMode::CreateNew => options.write(true).create_new(true),
            OpenMode::Replace => options.write(true).create(true).truncate(true),
        };
        Ok(Arc::new(OsFile(options.open(path)?)))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        let mut names =
            std::fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        refuse_other_folder(from, to)?;
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn write_many(&self, dir: &Path, files: &[(PathBuf, Bytes)]) -> io::Result<()> {
        if files.len() <= SYNCED_EACH_MAX {
            let folders = put_many(self, dir, files, |file| file.sync_data())?;
            return folders.iter().try_for_each(|folder| self.sync_dir(folder));
        }
        self.create_dir_all(dir)?;
        // Opened first: what goes wrong with the disk from here on is told to the sync of this handle.
        let disk = File::open(dir)?;
        put_many(self, dir, files, |_| Ok(()))?;
        Ok(rustix::fs::syncfs(&disk)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock::holding(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let found = rustix::fs::statvfs(dir)?;
        // Blocks that only root may use are not counted.
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }
}

struct OsFile(File);

impl DiskFile for OsFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(bytes, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn new_files_and_folders_are_open_to_their_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        OsDisk.create_dir_all(&dir).unwrap();
        OsDisk.write_atomically(&dir.join("key"), b"secret").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("key"))), (DIR_MODE, FILE_MODE));
    }

    #[test]
    fn lock_keeps_another_process_out_until_it_is_dropped() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        // flock(1) of util-linux, a process of its own, takes the same lock by the same call.
        let other = || std::process::Command::new("flock").arg("-n").arg(&path).arg("true").status().unwrap();
        let lock = OsDisk.lock(&path).unwrap().unwrap();
        assert!(!other().success());
        drop(lock);
        assert!(other().success());
    }

    #[test]
    fn sync_is_asked_of_the_system_and_its_refusal_is_told() {
        // A device that keeps nothing can be written and not synced: a sync that were left out would go well.
        let device = OsDisk.open(Path::new("/dev/null"), OpenMode::Write).unwrap();
        device.write_all_at(b"lost", 0).unwrap();
        assert!(device.sync_data().is_err());
    }
}
