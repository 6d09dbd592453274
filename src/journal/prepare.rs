//! The next segment, filled with zeros before it is needed.
//!
//! Owns the file `next` and the task that fills it. Never touches a segment in use. An append that needs the next
//! segment before it is ready waits for it, or fills it itself; that it needs a lock is the only thing they share.
//! At a crash: `next` is worth nothing and is removed at the next opening.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::mpsc;

use super::error::JournalError;
use crate::host::disk::{Disk, DiskFile, OpenMode};
use crate::host::tasks::Tasks;

/// Zeros are written and synced in pieces, so that the sync of an append never waits behind more than one of them.
const PIECE_BYTES: u64 = 1 << 20;
/// Comparing with it finds what is not zero at the speed of memory.
pub(super) static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// Tells whether the disk has room for the journal to go on; a clone asks the same journal.
#[derive(Clone)]
pub struct Space {
    next: Arc<Next>,
    wake: mpsc::Sender<()>,
}

impl Space {
    /// Tells why there will be no next segment, if that is known: then refuse what can wait; the current one has room
    /// for a while. Asking makes the journal try again, beside the appends.
    pub fn shortage(&self) -> Option<String> {
        let shortage = self.next.shortage.lock().expect(NO_PANIC).clone();
        if shortage.is_some() {
            self.prepare();
        }
        shortage
    }

    fn prepare(&self) {
        // A full channel means that the task is about to look anyway; a closed one, that the journal is closed.
        let _ = self.wake.try_send(());
    }
}

/// The maker of next segments, and the task behind it. Dropping it ends the task.
pub(super) struct Preparer {
    space: Space,
}

pub(super) struct Next {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    segment_bytes: u64,
    /// Held while the file is being filled.
    ready: Mutex<Option<Arc<dyn DiskFile>>>,
    shortage: Mutex<Option<String>>,
    ended: AtomicBool,
}

const NO_PANIC: &str = "nothing panics while it holds this lock";

impl Preparer {
    /// Starts the task, which begins at once.
    pub(super) fn start(
        disk: Arc<dyn Disk>,
        tasks: &dyn Tasks,
        dir: &Path,
        segment_bytes: u64,
    ) -> Result<Self, JournalError> {
        let next = Arc::new(Next {
            disk,
            dir: dir.to_owned(),
            segment_bytes,
            ready: Mutex::new(None),
            shortage: Mutex::new(None),
            ended: AtomicBool::new(false),
        });
        let (wake, mut woken) = mpsc::channel(1);
        let space = Space { next: next.clone(), wake };
        let task = move || async move {
            while woken.recv().await.is_some() && !next.ended.load(Ordering::SeqCst) {
                // What went wrong stands in `shortage`.
                drop(next.fill_ready());
            }
        };
        tasks
            .spawn_dedicated("journal-prepare", Box::new(move || Box::pin(task())))
            .map_err(JournalError::disk("start the task that prepares segments in", dir))?;
        space.prepare();
        Ok(Self { space })
    }

    pub(super) fn space(&self) -> Space {
        self.space.clone()
    }

    /// Gives what the next segment is taken from.
    pub(super) fn next(&self) -> Arc<Next> {
        Arc::clone(&self.space.next)
    }

    /// Starts preparing the segment after the one just taken. Call it when the name `next` is free again.
    pub(super) fn prepare(&self) {
        self.space.prepare();
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        // Once the lock is had, no filling is under way, and none begins: the folder may be opened again.
        self.space.next.ended.store(true, Ordering::SeqCst);
        drop(self.space.next.ready.lock());
        self.space.prepare();
    }
}

/// The next segment, taken, still under the name [`next_path`]. As long as this lives nobody prepares another one under
/// that name: that would empty this file, whatever stands in it by then.
pub(super) struct Taken<'a> {
    pub(super) file: Arc<dyn DiskFile>,
    _held: MutexGuard<'a, Option<Arc<dyn DiskFile>>>,
}

impl Next {
    /// Takes the next segment; waits for it, or fills it, if it is not ready. Drop what is taken once it has its own name.
    ///
    /// # Errors
    /// `Full`; `Disk`.
    pub(super) fn take(&self) -> Result<Taken<'_>, JournalError> {
        let mut ready = self.fill_ready().map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                JournalError::Full { shortage: error.to_string() }
            }
            _ => JournalError::disk("prepare", &next_path(&self.dir))(error),
        })?;
        let file = ready.take().expect("it was filled under this lock");
        Ok(Taken { file, _held: ready })
    }

    fn fill_ready(&self) -> io::Result<MutexGuard<'_, Option<Arc<dyn DiskFile>>>> {
        let mut ready = self.ready.lock().expect(NO_PANIC);
        if ready.is_some() {
            return Ok(ready);
        }
        let filled = self.fill();
        let shortage = filled.as_ref().err().map(ToString::to_string);
        *self.shortage.lock().expect(NO_PANIC) = shortage;
        *ready = Some(filled?);
        Ok(ready)
    }

    fn fill(&self) -> io::Result<Arc<dyn DiskFile>> {
        // Asked first, so that a disk that is full is not filled to its last byte time and again.
        let (free, wanted) = (self.disk.free_bytes(&self.dir)?, self.segment_bytes);
        if free < wanted {
            let text = format!("{free} bytes free, expected {wanted}");
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        let path = next_path(&self.dir);
        let filled = zero_filled(self.disk.as_ref(), &path, wanted, &self.ended);
        if filled.is_err() {
            // Frees the room again; if that fails too, the error is the first one.
            let _ = self.disk.remove(&path);
        }
        filled
    }
}

/// Where the segment that is being prepared stands.
pub(super) fn next_path(dir: &Path) -> PathBuf {
    dir.join("next")
}

/// Makes a file of written, synced zeros: blocks that are there, so that a sync of an append into them writes no
/// metadata. Gives up when `ended` says so.
pub(super) fn zero_filled(
    disk: &dyn Disk,
    path: &Path,
    bytes: u64,
    ended: &AtomicBool,
) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.open(path, OpenMode::Replace)?;
    let mut offset = 0;
    while offset < bytes {
        if ended.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let piece = PIECE_BYTES.min(bytes - offset);
        file.write_all_at(&ZEROS[..usize::try_from(piece).expect("at most 1 MiB")], offset)?;
        file.sync_data()?;
        offset += piece;
    }
    Ok(file)
}
