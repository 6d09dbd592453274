//! Keeps one log: its tree grows behind the journal, and is signed from time to time.
//!
//! Owns when a checkpoint is signed. No publish waits for any of it. Synced entries first, then tiles, then the checkpoint, each
//! durable before the next, and nobody is shown a checkpoint before it is on the disk: so no crash makes the hub sign two
//! different trees of one size. A tree that does not agree with the last checkpoint is never signed again by itself.

pub mod given;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::Signed;
use super::source::Source;
use super::tree::{FullTiles, Tree, TreeDiskError};
use crate::host::disk::Disk;
use crate::journal::JournalError;
use crate::proof::{
    Checkpoint, CheckpointError, NOTE_BYTES_MAX, Note, Origin, TILE_WIDTH, TreeHead, UnixSeconds,
};
use crate::seal::SigningKey;

/// The newest checkpoint's file, in the log's folder.
const CHECKPOINT: &str = "checkpoint";
/// Finished bundles that are written at once: 256 of them are 4 MiB with their tiles.
const WAITING_MAX: usize = 256;

/// Why a log cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A file of the log.
    #[error(transparent)]
    Disk(#[from] TreeDiskError),
    /// The newest checkpoint cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Its file.
        path: PathBuf,
        /// What the disk said.
        error: std::io::Error,
    },
    /// What stands for the newest checkpoint is none of this log's.
    #[error("{}: {error}", path.display())]
    Checkpoint {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        error: CheckpointError,
    },
    /// The journal cannot be read.
    #[error("the journal: {0}")]
    Journal(#[from] JournalError),
    /// Something was taken out or changed after it had been signed.
    #[error(
        "the {log} is not the one that was signed: the last checkpoint is over {} entries with root {}, {found}; \
         nothing more is signed until this is cleared up: keep the disk as it is, and tell both registrars", signed.size, signed.root
    )]
    Disagrees {
        /// The log.
        log: &'static str,
        /// What was signed.
        signed: TreeHead,
        /// What is there.
        found: String,
    },
}

/// One log.
pub(super) struct Keeper {
    source: Source,
    origin: Origin,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    tree: Tree,
    signed: Option<Arc<Signed>>,
}

impl Keeper {
    /// Opens a log as its folder has it, and holds it to its last checkpoint. Tiles that are missing or damaged are made again
    /// from all entries, which `anew` hears of.
    ///
    /// # Errors
    /// [`LogError`]
    pub(super) fn open(
        source: Source,
        origin: Origin,
        disk: Arc<dyn Disk>,
        dir: &Path,
        anew: &mut dyn FnMut(&str),
    ) -> Result<Self, LogError> {
        let mut keeper = Self::empty(source, origin, disk, dir);
        let Some((note, head)) = keeper.last()? else { return Ok(keeper) };
        let whole = head.size - head.size % u64::from(TILE_WIDTH);
        match Tree::from_tiles(keeper.full(), whole) {
            Ok(tree) => keeper.tree = tree,
            Err(wrong) => anew(&wrong),
        }
        keeper.grow(head.size)?;
        if keeper.tree.root() != head.root && whole > 0 {
            anew("its tiles do not agree with its last checkpoint");
            keeper.tree = Tree::empty(keeper.full());
        }
        keeper.stand(note, head)
    }

    /// Makes the tiles of a log again from all entries, as far as its last checkpoint goes.
    ///
    /// # Errors
    /// [`LogError`]
    pub(super) fn rebuilt(
        source: Source,
        origin: Origin,
        disk: Arc<dyn Disk>,
        dir: &Path,
    ) -> Result<Self, LogError> {
        let keeper = Self::empty(source, origin, disk, dir);
        match keeper.last()? {
            Some((note, head)) => keeper.stand(note, head),
            None => Ok(keeper),
        }
    }

    fn empty(source: Source, origin: Origin, disk: Arc<dyn Disk>, dir: &Path) -> Self {
        let tree = Tree::empty(FullTiles::at(Arc::clone(&disk), dir));
        Self { source, origin, disk, dir: dir.to_owned(), tree, signed: None }
    }

    fn full(&self) -> FullTiles {
        FullTiles::at(Arc::clone(&self.disk), &self.dir)
    }

    /// Grows to the last checkpoint and is held to it.
    fn stand(mut self, note: Bytes, head: TreeHead) -> Result<Self, LogError> {
        self.grow(head.size)?;
        let root = self.tree.root();
        if root != head.root {
            return Err(self.disagrees(head, format!("and these here have root {root}")));
        }
        self.tree.write()?;
        self.signed = Some(Arc::new(Signed { tree: self.tree.standing(), note }));
        Ok(self)
    }

    /// The newest checkpoint.
    pub(super) fn signed(&self) -> Option<&Arc<Signed>> {
        self.signed.as_ref()
    }

    /// Tells whether there are entries that no checkpoint has yet.
    pub(super) fn is_behind(&self) -> bool {
        self.source.count() > self.tree.size() || self.signed.is_none()
    }

    /// Takes in all entries that are there, and signs what they come to.
    ///
    /// # Errors
    /// [`LogError`]; nothing was signed.
    pub(super) fn sign(&mut self, key: &SigningKey, at: UnixSeconds) -> Result<&Arc<Signed>, LogError> {
        self.grow(self.source.count())?;
        self.tree.write()?;
        let tree = self.tree.standing();
        let same = |signed: &Arc<Signed>| signed.tree.head == tree.head;
        if !self.signed.as_ref().is_some_and(same) {
            let checkpoint = Checkpoint::new(self.origin.clone(), tree.head);
            let checkpoint = checkpoint.expect("a tree that was grown has a possible size");
            let note = checkpoint.sign(key, at).to_string().into_bytes();
            let path = self.dir.join(CHECKPOINT);
            let written = self.disk.write_atomically(&path, &note);
            written.map_err(|error| LogError::File { path, error })?;
            self.signed = Some(Arc::new(Signed { tree, note: note.into() }));
        }
        Ok(self.signed.as_ref().expect("it was signed"))
    }

    fn grow(&mut self, size: u64) -> Result<(), LogError> {
        while self.tree.size() < size {
            let record = self.source.record(self.tree.size())?;
            self.tree.append(record);
            if self.tree.waiting() >= WAITING_MAX {
                self.tree.write()?;
            }
        }
        Ok(())
    }

    /// The last checkpoint, if the entries under it are here.
    fn last(&self) -> Result<Option<(Bytes, TreeHead)>, LogError> {
        let last = last(self.disk.as_ref(), &self.dir, &self.origin)?;
        let count = self.source.count();
        match last {
            Some((_, head)) if count < head.size => {
                Err(self.disagrees(head, format!("and only {count} are here")))
            }
            last => Ok(last),
        }
    }

    fn disagrees(&self, signed: TreeHead, found: String) -> LogError {
        LogError::Disagrees { log: self.source.log().name(), signed, found }
    }
}

/// Reads the newest checkpoint of a log's folder, whoever signed it: that it is the hub's is for others to check.
///
/// # Errors
/// [`LogError::File`], [`LogError::Checkpoint`].
pub(super) fn last(
    disk: &dyn Disk,
    dir: &Path,
    origin: &Origin,
) -> Result<Option<(Bytes, TreeHead)>, LogError> {
    let path = dir.join(CHECKPOINT);
    let bytes = match disk.read(&path, NOTE_BYTES_MAX as u64) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| LogError::File { path: path.clone(), error })?,
    };
    let read = || {
        let checkpoint = Checkpoint::parse(Note::parse(&bytes)?.text())?;
        if checkpoint.origin() != origin {
            let (found, expected) = (checkpoint.origin().clone(), origin.clone());
            return Err(CheckpointError::OtherLog { found, expected });
        }
        Ok(*checkpoint.tree())
    };
    let head = read().map_err(|error| LogError::Checkpoint { path, error })?;
    Ok(Some((bytes.into(), head)))
}
