//! A growing log: its right edge, and the tiles that each growth makes.
//!
//! Owns the last, unfinished tile of each level, and what was finished since it was asked last. Never writes them: whoever does
//! syncs them before a checkpoint over them is signed. After a crash it is made again from the tiles of the size that was kept,
//! and the leaves since then are appended again, which gives the same tiles.
//! Source: C2SP `tlog-tiles`.

use bytes::Bytes;

use super::hash::{HASH_BYTES, TreeHash};
use super::reader::{TileError, TiledTree, Tiles};
use super::tiles::{TILE_HEIGHT, TILE_WIDTH, Tile};
use super::tree::Frontier;

/// A log's right edge that makes tiles.
///
/// It holds under 8 KiB for each level, and the full tiles since [`Self::take_finished`]: 8 KiB and a little for each 256 leaves.
#[derive(Clone, Debug, Default)]
pub struct Grower {
    frontier: Frontier,
    /// By level: the bytes of its unfinished tile.
    rows: Vec<Vec<u8>>,
    finished: Vec<(Tile, Bytes)>,
}

impl Grower {
    /// Begins with no leaf.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on after `size` leaves, from their tiles: one is read for each level.
    ///
    /// # Errors
    /// [`TileError`] by the tiles, or where no tree has so many leaves.
    pub fn from_tiles<T: Tiles>(tiles: &T, size: u64) -> Result<Self, TileError<T::Error>> {
        let mut tree = TiledTree::new(tiles, size)?;
        let frontier = tree.frontier()?;
        let mut rows = Vec::new();
        for level in 0..u64::BITS / TILE_HEIGHT {
            let hashes = size >> (level * TILE_HEIGHT);
            if hashes == 0 {
                break;
            }
            let level = u8::try_from(level).expect("there are eight levels");
            let tile = Tile::in_tree(size, level, hashes / u64::from(TILE_WIDTH));
            rows.push(match tile {
                Some(tile) => tree.hashes_of(tile)?.concat(),
                None => Vec::new(),
            });
        }
        Ok(Self { frontier, rows, finished: Vec::new() })
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: TreeHash) {
        let Self { frontier, rows, finished, .. } = self;
        let size = frontier.size() + 1;
        frontier.append_seeing(leaf, |height, hash| {
            if !height.is_multiple_of(TILE_HEIGHT) {
                return;
            }
            let level = (height / TILE_HEIGHT) as usize;
            if rows.len() == level {
                rows.push(Vec::with_capacity(usize::from(TILE_WIDTH) * HASH_BYTES));
            }
            let row = &mut rows[level];
            row.extend_from_slice(&hash.0);
            if row.len() == usize::from(TILE_WIDTH) * HASH_BYTES {
                let level = u8::try_from(level).expect("there are eight levels");
                let index = (size >> (height + TILE_HEIGHT)) - 1;
                let tile = Tile::new(level, index, TILE_WIDTH).expect("a tree has no tile of another place");
                finished.push((tile, Bytes::copy_from_slice(row)));
                row.clear();
            }
        });
    }

    /// Gives the number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Gives the root.
    pub fn root(&self) -> TreeHash {
        self.frontier.root()
    }

    /// Gives the right edge.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Takes the tiles that were finished since it was asked last: full ones, which never change again.
    pub fn take_finished(&mut self) -> Vec<(Tile, Bytes)> {
        std::mem::take(&mut self.finished)
    }

    /// Gives the unfinished tile of each level that has one, as it is now.
    pub fn unfinished(&self) -> impl Iterator<Item = (Tile, Bytes)> {
        let size = self.size();
        (0_u8..).zip(&self.rows).filter_map(move |(level, row)| {
            let hashes = size >> (u32::from(level) * TILE_HEIGHT);
            let tile = Tile::in_tree(size, level, hashes / u64::from(TILE_WIDTH))?;
            Some((tile, Bytes::copy_from_slice(row)))
        })
    }
}
