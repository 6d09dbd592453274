//! A disk in memory that can crash, fill up, fail and be looked at.
//!
//! Owns faults, the record of operations, locks. Never touches the machine's disk.
//! At a crash: [`MemoryDisk::crash`] gives the disk as it may be after it; the old one goes on, as if nothing were.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use super::image::{CrashStyle, FileNumber, Image, Operation};
use super::{Disk, DiskFile, Lock, OpenMode, refuse_other_folder};

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// What an injected fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// Reading bytes.
    Read,
    /// Writing bytes or setting a length.
    Write,
    /// Making bytes or names durable.
    Sync,
    /// Making, renaming or removing a file.
    Name,
}

/// A fault to inject: once, then it is gone.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What it strikes.
    pub point: FaultPoint,
    /// How many of these go well before it: 0 for the next one.
    pub after: u64,
    /// What the caller is told.
    pub error: io::ErrorKind,
    /// Whether the operation is carried out all the same. A read never is. A sync of contents that is not loses them:
    /// see [`Operation::SyncFailed`].
    pub carried_out: bool,
}

struct State {
    image: Image,
    capacity_bytes: u64,
    faults: Vec<Fault>,
    syncs_ignored: bool,
    recorded: Option<Vec<Operation>>,
    locked: BTreeSet<PathBuf>,
}

impl MemoryDisk {
    /// Makes an empty disk without a bound.
    pub fn new() -> Self {
        Self::of(Image::new())
    }

    fn of(image: Image) -> Self {
        let state = State {
            image,
            capacity_bytes: u64::MAX,
            faults: Vec::new(),
            syncs_ignored: false,
            recorded: None,
            locked: BTreeSet::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Gives the disk as it may be after a crash at this moment: without faults, bound, record and locks.
    #[must_use]
    pub fn crash(&self, style: CrashStyle) -> Self {
        Self::of(self.state().image.crashed(style))
    }

    /// Carries out an operation that another disk recorded.
    ///
    /// # Errors
    /// As the operation by itself would have.
    pub fn replay(&self, operation: &Operation) -> io::Result<()> {
        self.state().image.apply(operation)
    }

    /// Tells by which number operations name a file.
    ///
    /// # Errors
    /// `NotFound`, `IsADirectory`.
    pub fn number(&self, path: &Path) -> io::Result<FileNumber> {
        self.state().image.file(path)
    }

    /// Starts to record all changes and syncs from here on.
    pub fn record(&self) {
        self.state().recorded = Some(Vec::new());
    }

    /// Gives what was recorded so far.
    pub fn recorded(&self) -> Vec<Operation> {
        self.state().recorded.clone().unwrap_or_default()
    }

    /// Takes back all faults that have not struck.
    pub fn mend(&self) {
        self.state().faults.clear();
    }

    /// Injects a fault.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Bounds what all files together may hold.
    pub fn set_capacity_bytes(&self, bytes: u64) {
        self.state().capacity_bytes = bytes;
    }

    /// Makes the disk a liar, or honest again: a sync of contents says that it was done, and does nothing.
    pub fn ignore_syncs(&self, ignored: bool) {
        self.state().syncs_ignored = ignored;
    }

    /// Turns one bit (0 to 7) of the byte at `offset`, durably.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let mut state = self.state();
        let file = state.image.file(path)?;
        state.image.flip_bit(file, usize::try_from(offset).map_err(io::Error::other)?, bit)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the state of a memory disk")
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryDisk")
    }
}

impl Disk for MemoryDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.state().change(FaultPoint::Name, Operation::CreateDir(dir.into()))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let found = state.image.file(path);
        let file = match (found, mode) {
            (Ok(_), OpenMode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Ok(file), OpenMode::Replace) => {
                state.change(FaultPoint::Write, Operation::SetLen(file, 0))?;
                file
            }
            (Ok(file), _) => file,
            (Err(error), OpenMode::CreateNew | OpenMode::Replace)
                if error.kind() == io::ErrorKind::NotFound =>
            {
                state.change(FaultPoint::Name, Operation::CreateFile(path.into()))?;
                state.image.file(path)?
            }
            (Err(error), _) => return Err(error),
        };
        Ok(Arc::new(MemoryFile { disk: self.clone(), file, writable: mode != OpenMode::Read }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.state().image.names(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        refuse_other_folder(from, to)?;
        self.state().change(FaultPoint::Name, Operation::Rename(from.into(), to.into()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state().change(FaultPoint::Name, Operation::Remove(path.into()))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.state().change(FaultPoint::Sync, Operation::SyncDir(dir.into()))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let mut state = self.state();
        if state.image.file(path).is_err() {
            state.change(FaultPoint::Name, Operation::CreateFile(path.into()))?;
        }
        let taken = state.locked.insert(path.to_owned());
        Ok(taken.then(|| Lock::holding(MemoryLock { disk: self.clone(), path: path.to_owned() })))
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let state = self.state();
        state.image.names(dir)?;
        Ok(state.capacity_bytes.saturating_sub(state.image.bytes_used()))
    }
}

impl State {
    fn change(&mut self, point: FaultPoint, operation: Operation) -> io::Result<()> {
        if let Some(fault) = self.strike(point) {
            match operation {
                _ if fault.carried_out => self.carry_out(operation)?,
                Operation::SyncData(file) => self.carry_out(Operation::SyncFailed(file))?,
                _ => {}
            }
            return Err(fault.error.into());
        }
        self.carry_out(operation)
    }

    fn carry_out(&mut self, operation: Operation) -> io::Result<()> {
        if self.syncs_ignored && matches!(operation, Operation::SyncData(_)) {
            return Ok(());
        }
        self.image.apply(&operation)?;
        if let Some(recorded) = &mut self.recorded {
            recorded.push(operation);
        }
        Ok(())
    }

    /// Counts down the faults of this point; the one that is due, if any.
    fn strike(&mut self, point: FaultPoint) -> Option<Fault> {
        let due = self.faults.iter().position(|fault| fault.point == point && fault.after == 0);
        if let Some(due) = due {
            return Some(self.faults.remove(due));
        }
        for fault in self.faults.iter_mut().filter(|fault| fault.point == point) {
            fault.after -= 1;
        }
        None
    }

    fn refuse_growth(&self, file: FileNumber, end: u64) -> io::Result<()> {
        if self.capacity_bytes == u64::MAX {
            return Ok(());
        }
        let growth = end.saturating_sub(self.image.bytes(file).len() as u64);
        let free = self.capacity_bytes.saturating_sub(self.image.bytes_used());
        if growth > free { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

struct MemoryLock {
    disk: MemoryDisk,
    path: PathBuf,
}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.path);
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    file: FileNumber,
    writable: bool,
}

impl MemoryFile {
    fn refuse_reader(&self) -> io::Result<()> {
        // What the system says for a write to a file opened for reading (EBADF).
        if self.writable { Ok(()) } else { Err(io::Error::from_raw_os_error(9)) }
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        if let Some(fault) = state.strike(FaultPoint::Read) {
            return Err(fault.error.into());
        }
        let content = state.image.bytes(self.file);
        let from = usize::try_from(offset).map_err(io::Error::other)?.min(content.len());
        let read = bytes.len().min(content.len() - from);
        bytes[..read].copy_from_slice(&content[from..from + read]);
        Ok(read)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.refuse_reader()?;
        let mut state = self.disk.state();
        state.refuse_growth(self.file, offset + bytes.len() as u64)?;
        let operation = Operation::Write(self.file, offset, Bytes::copy_from_slice(bytes));
        state.change(FaultPoint::Write, operation)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.state().change(FaultPoint::Sync, Operation::SyncData(self.file))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().image.bytes(self.file).len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.refuse_reader()?;
        let mut state = self.disk.state();
        state.refuse_growth(self.file, len)?;
        state.change(FaultPoint::Write, Operation::SetLen(self.file, len))
    }
}
