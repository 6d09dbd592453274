//! One log's tree at the hub: grown from records, its full tiles on disk, its unfinished ones in memory.
//!
//! Owns the folder of one log. Never decides what a record is, nor signs. Full tiles and bundles lie under their paths of C2SP
//! `tlog-tiles`; unfinished ones are made again from the journal at a start, for they would be other files with each entry.
//! At a crash: what was written since the last checkpoint may be there in part, and is written once more; what a checkpoint
//! covers was synced before that was signed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::host::disk::Disk;
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
    finished: Vec<(EntryBundle, Bytes)>,
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
        Self { full, grower, records: Vec::new(), finished: Vec::new() }
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
            self.finished.push((bundle, EntryBundle::encode(&self.records).into()));
            self.records.clear();
        }
    }

    /// Writes what was finished since it was asked last; when it returns, that is durable.
    ///
    /// # Errors
    /// [`TreeDiskError`]: what was finished has to be appended again to be written.
    pub(super) fn write(&mut self) -> Result<(), TreeDiskError> {
        let bundles = std::mem::take(&mut self.finished).into_iter();
        let bundles = bundles.map(|(bundle, bytes)| (bundle.to_string().into(), bytes));
        let tiles = self.grower.take_finished().into_iter();
        let tiles = tiles.map(|(tile, bytes)| (tile.to_string().into(), bytes));
        let files: Vec<(PathBuf, Bytes)> = bundles.chain(tiles).collect();
        // No renames: a part of one, after a crash, is beyond every checkpoint and is written again.
        let FullTiles { disk, dir } = &self.full;
        let written = if files.is_empty() { Ok(()) } else { disk.write_many(dir, &files) };
        written.map_err(|error| TreeDiskError { path: dir.clone(), error })
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
}
