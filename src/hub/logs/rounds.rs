//! What witnesses have cosigned: one checkpoint each round, so that they all sign the same one.
//!
//! Owns the notes with cosignatures, one file a round beside the log: in `open` until enough witnesses have cosigned, then in
//! `witnessed`, for ever. Never verifies a cosignature: whoever adds one has. A file is written before anybody is shown what is in
//! it, so a cosignature that was taken is there after a crash.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::host::disk::Disk;
use crate::proof::NOTE_BYTES_MAX;

/// Rounds that take cosignatures, beside those that enough witnesses have cosigned already: some hours.
const OPEN_MAX: usize = 32;
/// Digits of a size in a file's name, so that names stand in their order.
const DIGITS: usize = 20;

/// The rounds of one log.
pub(super) struct Rounds {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    open: BTreeSet<u64>,
    witnessed: BTreeSet<u64>,
}

impl Rounds {
    /// Opens the rounds of a log.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(super) fn open(disk: Arc<dyn Disk>, log: &Path) -> io::Result<Self> {
        let dir = log.join("rounds");
        let sizes = |folder: &str| -> io::Result<BTreeSet<u64>> {
            disk.create_dir_all(&dir.join(folder))?;
            let names = disk.list(&dir.join(folder))?;
            let size =
                |name: &std::ffi::OsString| name.to_str().filter(|it| it.len() == DIGITS)?.parse().ok();
            Ok(names.iter().filter_map(size).collect())
        };
        let witnessed = sizes("witnessed")?;
        let open = sizes("open")?.difference(&witnessed).copied().collect();
        Ok(Self { disk, dir, open, witnessed })
    }

    /// The size of the newest.
    pub(super) fn newest(&self) -> Option<u64> {
        self.open.last().max(self.witnessed.last()).copied()
    }

    /// The newest that enough witnesses have cosigned.
    pub(super) fn witnessed(&self) -> Option<u64> {
        self.witnessed.last().copied()
    }

    /// The first that enough witnesses have cosigned and that has an entry.
    pub(super) fn witnessing(&self, index: u64) -> Option<u64> {
        self.witnessed.range(index.saturating_add(1)..).next().copied()
    }

    /// The largest of at most so many entries that enough witnesses have cosigned.
    pub(super) fn witnessed_within(&self, size: u64) -> Option<u64> {
        self.witnessed.range(..=size).next_back().copied()
    }

    /// Reads a round's note; `None` for a size that is no round's.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(super) fn note(&self, size: u64) -> io::Result<Option<Bytes>> {
        let witnessed = self.witnessed.contains(&size);
        if !witnessed && !self.open.contains(&size) {
            return Ok(None);
        }
        self.disk.read(&self.path(size, witnessed), NOTE_BYTES_MAX as u64).map(|note| Some(note.into()))
    }

    /// Keeps a round's note: a new round's, or one with another cosignature. Old rounds that too few witnesses have cosigned make
    /// room.
    ///
    /// # Errors
    /// Any error of the disk.
    pub(super) fn keep(&mut self, size: u64, note: &[u8], witnessed: bool) -> io::Result<()> {
        let witnessed = witnessed || self.witnessed.contains(&size);
        self.disk.write_atomically(&self.path(size, witnessed), note)?;
        if !witnessed {
            self.open.insert(size);
        } else if self.witnessed.insert(size) && self.open.remove(&size) {
            self.disk.remove(&self.path(size, false))?;
        }
        while self.open.len() > OPEN_MAX {
            let oldest = self.open.pop_first().expect("there are more than enough");
            self.disk.remove(&self.path(oldest, false))?;
        }
        Ok(())
    }

    fn path(&self, size: u64, witnessed: bool) -> PathBuf {
        let folder = if witnessed { "witnessed" } else { "open" };
        self.dir.join(folder).join(format!("{size:0DIGITS$}"))
    }
}
