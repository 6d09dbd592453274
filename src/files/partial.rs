//! A file that grows: appended, digested on the way, and whole in one step.
//!
//! Owns `<digest>.part` until it becomes `<digest>`. Never has more of it in memory than one piece. At a crash of the
//! process all that was written is there; at one of the machine all that was synced, and what is spoilt beyond that is
//! found out by the digest at the end, and dropped.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};

use super::{DiskError, SYNC_BYTES, at, remove};
use crate::host::disk::{Disk, DiskFile, OpenMode};
use crate::model::envelope::{FileDigest, FileRef};

/// Bytes read at once where what is there must be digested.
const PIECE_BYTES: usize = 256 * 1024;

/// The digest of the beginning of a file.
#[derive(Clone)]
pub struct Digested {
    context: Context,
    bytes: u64,
}

impl Digested {
    /// Of nothing yet.
    pub fn nothing() -> Self {
        Self { context: Context::new(&SHA256), bytes: 0 }
    }

    /// Takes in the next bytes.
    pub fn take(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// How many bytes were taken in.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest of all that was taken in.
    pub fn finish(self) -> FileDigest {
        FileDigest(self.context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }
}

impl fmt::Debug for Digested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digested").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// Why a growing file does not go on.
#[derive(Debug, thiserror::Error)]
pub enum PartialError {
    /// The disk did not do what was asked. What is there stays.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// More bytes came than the file has. What is there stays.
    #[error("the file has {expected} bytes; at least {found} came")]
    TooLong {
        /// Bytes that came, with those that were there.
        found: u64,
        /// Bytes of the file.
        expected: u64,
    },
    /// All bytes are there, and are not those of the file: it was dropped.
    #[error("the {bytes} bytes that came have the SHA-256 {found}, not {expected}")]
    Mismatch {
        /// How many.
        bytes: u64,
        /// Their digest.
        found: FileDigest,
        /// The digest of the file.
        expected: FileDigest,
    },
}

/// A file that grows. One at a time for a path.
pub struct Partial {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: FileRef,
    open: Arc<dyn DiskFile>,
    have: u64,
    synced: u64,
    digested: Digested,
}

/// A sync of a file that grows, of the bytes that were there when it was asked for.
pub struct PartialSync {
    disk: Arc<dyn Disk>,
    open: Arc<dyn DiskFile>,
    path: PathBuf,
    bytes: u64,
}

impl PartialSync {
    /// Waits for the disk; gives how many bytes are there for good. Where it fails `first` is done, and then the file is cut to
    /// nothing.
    ///
    /// # Errors
    /// [`DiskError`]: nothing of the file counts any more.
    pub fn run(&self, first: impl FnOnce()) -> Result<u64, DiskError> {
        let Err(source) = self.open.sync_data() else { return Ok(self.bytes) };
        first();
        cut(self.disk.as_ref(), self.open.as_ref(), &self.path);
        Err(at(&self.path)(source))
    }
}

/// Drops all that a file has after a sync of it failed: it may be read back from memory and never come to the disk, whatever is
/// synced later. A disk that does not do this either has told of itself by that sync.
fn cut(disk: &dyn Disk, open: &dyn DiskFile, path: &Path) {
    let _ = open.set_len(0).or_else(|_| disk.remove(path));
}

/// What is known of a file's beginning from before.
#[derive(Clone, Debug)]
pub struct Known {
    /// So many bytes count; what may stand behind them was never told to be there.
    pub bytes: u64,
    /// What was digested of them.
    pub digested: Option<Digested>,
}

impl Known {
    /// Nothing: all that is there counts, and is digested.
    pub const NOTHING: Self = Self { bytes: u64::MAX, digested: None };
}

/// Where a file grows.
pub(super) fn part_path(dir: &Path, digest: &FileDigest) -> PathBuf {
    dir.join(format!("{digest}.part"))
}

impl Partial {
    /// Goes on with what is in the folder, or begins. What was digested of it before is not read again.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, file: FileRef, known: Known) -> Result<Self, DiskError> {
        let path = part_path(dir, &file.digest);
        let open = disk.open(&path, OpenMode::Write).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => disk.open(&path, OpenMode::CreateNew),
            _ => Err(error),
        });
        let open = open.map_err(at(&path))?;
        let mut have = open.len().map_err(at(&path))?;
        if have > known.bytes || have > file.bytes {
            // The rest of a write that failed, or of another file altogether.
            have = if have > file.bytes { 0 } else { known.bytes };
            open.set_len(have).map_err(at(&path))?;
        }
        let digested = known.digested.filter(|digested| digested.bytes <= have);
        let digested = digested.unwrap_or_else(Digested::nothing);
        Ok(Self { disk, dir: dir.to_owned(), file, open, have, synced: 0, digested })
    }

    /// The file that it will be.
    pub fn file(&self) -> FileRef {
        self.file
    }

    /// Bytes that are there.
    pub fn have(&self) -> u64 {
        self.have
    }

    /// Bytes that are there for good.
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// What was digested so far, for who opens it again.
    pub fn digested(&self) -> Digested {
        self.digested.clone()
    }

    /// Digests a piece of what was there before; `true` when nothing is left of it.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn catch_up(&mut self) -> Result<bool, DiskError> {
        let left = self.have - self.digested.bytes;
        let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(left).unwrap_or(PIECE_BYTES))];
        let path = part_path(&self.dir, &self.file.digest);
        self.open.read_exact_at(&mut piece, self.digested.bytes).map_err(at(&path))?;
        self.digested.take(&piece);
        Ok(self.digested.bytes == self.have)
    }

    /// Appends bytes, and syncs now and then. All that was there must have been digested.
    ///
    /// # Errors
    /// [`PartialError::Disk`], [`PartialError::TooLong`]; nothing was appended, as far as anybody is told.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), PartialError> {
        self.write(bytes)?;
        if self.have - self.synced >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    /// The same, for who syncs by itself.
    ///
    /// # Errors
    /// As there.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), PartialError> {
        let have = self.have + bytes.len() as u64;
        if have > self.file.bytes {
            return Err(PartialError::TooLong { found: have, expected: self.file.bytes });
        }
        let path = part_path(&self.dir, &self.file.digest);
        self.open.write_all_at(bytes, self.have).map_err(at(&path))?;
        self.digested.take(bytes);
        self.have = have;
        Ok(())
    }

    /// Makes what is there durable.
    ///
    /// # Errors
    /// [`DiskError`]: nothing counts any more, the file begins anew.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        let synced = self.sync_beside().run(|| {});
        if synced.is_err() {
            (self.have, self.digested) = (0, Digested::nothing());
        }
        self.synced = *synced.as_ref().unwrap_or(&0);
        synced.map(drop)
    }

    /// Gives what makes durable, beside what is appended meanwhile, all that is there now.
    pub fn sync_beside(&self) -> PartialSync {
        let path = part_path(&self.dir, &self.file.digest);
        let (disk, open) = (Arc::clone(&self.disk), Arc::clone(&self.open));
        PartialSync { disk, open, path, bytes: self.have }
    }

    /// Drops what came, as far as the disk does that: a sync of it has failed, beside which it was written.
    pub fn drop_what_came(&mut self) {
        (self.have, self.synced, self.digested) = (0, 0, Digested::nothing());
        cut(self.disk.as_ref(), self.open.as_ref(), &part_path(&self.dir, &self.file.digest));
    }

    /// Hears that so many bytes are there for good.
    pub fn synced_to(&mut self, bytes: u64) {
        self.synced = self.synced.max(bytes.min(self.have));
    }

    /// Makes it whole, once all of it is there: when this returns it has its name, for good.
    ///
    /// # Errors
    /// [`PartialError::Mismatch`]: it was dropped; [`PartialError::Disk`].
    pub fn finish(mut self) -> Result<(), PartialError> {
        while !self.catch_up()? {}
        let path = part_path(&self.dir, &self.file.digest);
        let found = self.digested.clone().finish();
        if found != self.file.digest || self.have != self.file.bytes {
            remove(self.disk.as_ref(), &path)?;
            return Err(PartialError::Mismatch { bytes: self.have, found, expected: self.file.digest });
        }
        // Contents before the name: a name that is there says that the file is whole.
        if self.synced < self.have || self.have == 0 {
            self.sync()?;
        }
        let whole = self.dir.join(self.file.digest.to_string());
        self.disk.rename(&path, &whole).map_err(at(&whole))?;
        self.disk.sync_dir(&self.dir).map_err(at(&self.dir))?;
        Ok(())
    }
}
