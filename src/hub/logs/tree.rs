//! One log's tree at the hub: grown from records, its full tiles on disk, its unfinished ones in memory.
//!
//! Owns the folder of one log. Never decides what a record is, nor signs. Full tiles and bundles lie under their paths of C2SP
//! `tlog-tiles`; unfinished ones are made again from the journal at a start, for they would be other files with each entry.
//! At a crash: what was written since the last checkpoint may be there in part, and is written once more; what a checkpoint
//! covers was synced before that was signed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::host::disk::{Disk, OpenMode, folder_of};
use crate::proof::{
    EntryBundle, Frontier, Grower, HASH_BYTES, Record, TILE_WIDTH, Tile, Tiles, TreeHash, TreeHead,
};

/// Bytes of a bundle at most, which is larger than a tile: each entry after its length.
const BUNDLE_BYTES_MAX: u64 = TILE_WIDTH as u64 * (2 + HASH_BYTES as u64);

/// A file of a tree that cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct TreeDiskError {
    path: PathBuf,
    error: io::Error,
}

/// Tiles that lie full on a disk.
#[derive(Clone)]
pub(super) struct FullTiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// A tree as a checkpoint says it: all of its tiles can be read, also when it has grown on.
#[derive(Clone)]
pub(super) struct Standing {
    /// Its size and root.
    pub head: TreeHead,
    full: FullTiles,
    /// The unfinished tile of each level, and the unfinished bundle.
    unfinished: BTreeMap<u8, (Tile, Bytes)>,
    bundle: Bytes,
}

/// A growing tree.
pub(super) struct Tree {
    full: FullTiles,
    grower: Grower,
    /// The records of the unfinished bundle.
    records: Vec<Record>,
    finished: Vec<(EntryBundle, Vec<u8>)>,
    /// Folders that are there.
    folders: BTreeSet<PathBuf>,
}

impl FullTiles {
    pub(super) fn at(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self { disk, dir: dir.to_owned() }
    }

    fn path(&self, place: &dyn Display) -> PathBuf {
        self.dir.join(place.to_string())
    }

    /// Holds what lies at a place to what has to lie there; gives how many were compared, one.
    ///
    /// # Errors
    /// [`TreeDiskError`], also for other bytes.
    pub(super) fn holds(&self, place: &dyn Display, bytes: &[u8]) -> Result<u64, TreeDiskError> {
        if self.read(place)? == bytes {
            return Ok(1);
        }
        let error = io::Error::new(
            io::ErrorKind::InvalidData,
            "not what follows from the journal; `resguardo hub rebuild` makes it again",
        );
        Err(TreeDiskError { path: self.path(place), error })
    }

    fn read(&self, place: &dyn Display) -> Result<Bytes, TreeDiskError> {
        let path = self.path(place);
        let bytes = self.disk.read(&path, BUNDLE_BYTES_MAX);
        bytes.map(Bytes::from).map_err(|error| TreeDiskError { path, error })
    }
}

/// For a start: an unfinished tile above the lowest level holds the roots of full ones below it.
impl Tiles for FullTiles {
    type Error = TreeDiskError;

    fn tile(&self, tile: Tile) -> Result<Bytes, TreeDiskError> {
        let (level, width) = (tile.level(), u64::from(TILE_WIDTH));
        if tile.is_full() || level == 0 {
            return self.read(&tile);
        }
        let first = tile.index() * width;
        let mut roots = Vec::with_capacity(tile.bytes());
        for index in first..first + u64::from(tile.width()) {
            let below = Tile::new(level - 1, index, TILE_WIDTH).expect("a tree has tiles below its tiles");
            roots.extend(root_of(&self.tile(below)?).0);
        }
        Ok(roots.into())
    }
}

fn root_of(full: &[u8]) -> TreeHash {
    let mut frontier = Frontier::new();
    for hash in full.as_chunks::<HASH_BYTES>().0 {
        frontier.append(TreeHash(*hash));
    }
    frontier.root()
}

impl Tiles for Standing {
    type Error = TreeDiskError;

    fn tile(&self, tile: Tile) -> Result<Bytes, TreeDiskError> {
        match self.unfinished.get(&tile.level()) {
            Some((unfinished, bytes)) if unfinished.index() == tile.index() => Ok(bytes.clone()),
            _ => {
                let full = Tile::new(tile.level(), tile.index(), TILE_WIDTH);
                self.full.read(&full.expect("a tile has a full one in its place"))
            }
        }
    }
}

impl Standing {
    /// Reads a bundle; one that is not full may be wider than was asked for.
    ///
    /// # Errors
    /// [`TreeDiskError`]
    pub(super) fn entries(&self, bundle: EntryBundle) -> Result<Bytes, TreeDiskError> {
        if bundle.index() == self.head.size / u64::from(TILE_WIDTH) {
            return Ok(self.bundle.clone());
        }
        let full = EntryBundle::new(bundle.index(), TILE_WIDTH);
        self.full.read(&full.expect("a bundle has a full one in its place"))
    }
}

impl Tree {
    /// Begins without a leaf.
    pub(super) fn empty(full: FullTiles) -> Self {
        Self::of(full, Grower::new())
    }

    /// Goes on from the full tiles of so many leaves, a multiple of a tile's width.
    ///
    /// # Errors
    /// A sentence that says which tile is missing or damaged.
    pub(super) fn from_tiles(full: FullTiles, size: u64) -> Result<Self, String> {
        let grower = Grower::from_tiles(&full, size).map_err(|error| error.to_string())?;
        Ok(Self::of(full, grower))
    }

    fn of(full: FullTiles, grower: Grower) -> Self {
        Self { full, grower, records: Vec::new(), finished: Vec::new(), folders: BTreeSet::new() }
    }

    /// How many leaves it has.
    pub(super) fn size(&self) -> u64 {
        self.grower.size()
    }

    /// Its root.
    pub(super) fn root(&self) -> TreeHash {
        self.grower.root()
    }

    /// How many bundles wait to be written.
    pub(super) fn waiting(&self) -> usize {
        self.finished.len()
    }

    /// Appends a record.
    pub(super) fn append(&mut self, record: Record) {
        self.grower.append(record.leaf());
        self.records.push(record);
        if self.records.len() == usize::from(TILE_WIDTH) {
            let index = self.grower.size() / u64::from(TILE_WIDTH) - 1;
            let bundle = EntryBundle::new(index, TILE_WIDTH).expect("a tree has no bundle of another place");
            self.finished.push((bundle, EntryBundle::encode(&self.records)));
            self.records.clear();
        }
    }

    /// Writes what was finished since it was asked last; when it returns, that is durable.
    ///
    /// # Errors
    /// [`TreeDiskError`]: what was finished has to be appended again to be written.
    pub(super) fn write(&mut self) -> Result<(), TreeDiskError> {
        let mut touched = BTreeSet::new();
        for (bundle, bytes) in std::mem::take(&mut self.finished) {
            self.put(&bundle, &bytes, &mut touched)?;
        }
        for (tile, bytes) in self.grower.take_finished() {
            self.put(&tile, &bytes, &mut touched)?;
        }
        for path in touched {
            let synced = self.full.disk.sync_dir(&path);
            synced.map_err(|error| TreeDiskError { path, error })?;
        }
        Ok(())
    }

    /// Gives the tree as it stands, once it was written.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            head: TreeHead { size: self.size(), root: self.root() },
            full: self.full.clone(),
            unfinished: self.grower.unfinished().map(|(tile, bytes)| (tile.level(), (tile, bytes))).collect(),
            bundle: EntryBundle::encode(&self.records).into(),
        }
    }

    fn put(
        &mut self,
        place: &dyn Display,
        bytes: &[u8],
        touched: &mut BTreeSet<PathBuf>,
    ) -> Result<(), TreeDiskError> {
        let path = self.full.path(place);
        let folder = folder_of(&path).to_owned();
        let disk = &self.full.disk;
        let write = || {
            if !self.folders.contains(&folder) {
                disk.create_dir_all(&folder)?;
            }
            // No rename: a part of it, after a crash, is beyond every checkpoint and is written again.
            let file = disk.open(&path, OpenMode::Replace)?;
            file.write_all_at(bytes, 0)?;
            file.sync_data()
        };
        write().map_err(|error| TreeDiskError { path: path.clone(), error })?;
        self.folders.insert(folder.clone());
        touched.insert(folder);
        Ok(())
    }
}
