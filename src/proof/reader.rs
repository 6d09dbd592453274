//! Hashes and proofs of a tree, out of its tiles.
//!
//! Owns which tiles are read for what, and that one is read once: a proof reads two a level at most, the one above the leaf and
//! the one at the right edge. Never verifies what it read: tiles may come from anywhere, and what is made of them is held to a
//! checkpoint by whoever uses it. Source: C2SP `tlog-tiles`.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::hash::{HASH_BYTES, TreeHash};
use super::path::{ConsistencyProof, InclusionProof, PathError, Shape};
use super::tiles::{TILE_HEIGHT, TILE_WIDTH, Tile, hashes};
use super::tree::{Frontier, SIZE_MAX, rolled_up};

/// Where tiles are read from.
pub trait Tiles {
    /// Why a tile cannot be read.
    type Error: fmt::Debug + fmt::Display;

    /// Reads a tile: whole hashes of 32 bytes, as many as it is wide, or more of them where it has grown since.
    ///
    /// # Errors
    /// Any error of what they are kept in.
    fn tile(&self, tile: Tile) -> Result<Bytes, Self::Error>;
}

/// Why nothing could be made of tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError<E: fmt::Debug + fmt::Display> {
    /// A tile could not be read.
    #[error("{tile} cannot be read: {error}")]
    Read {
        /// Which.
        tile: Tile,
        /// Why.
        error: E,
    },
    /// A tile has fewer hashes than it must have, more than there are in one, or a part of one.
    #[error("{tile} has {found} bytes, {} to 8192 in whole hashes expected", tile.bytes())]
    Bytes {
        /// Which.
        tile: Tile,
        /// Its bytes.
        found: usize,
    },
    /// No tree has what was asked for.
    #[error(transparent)]
    Asked(#[from] PathError),
}

/// A tree of a size, read from tiles. Tiles that were read once are kept as long as it is.
pub struct TiledTree<'a, T: Tiles> {
    tiles: &'a T,
    size: u64,
    /// A few: two for each level and proof.
    read: Vec<(Tile, Bytes)>,
}

impl<'a, T: Tiles> TiledTree<'a, T> {
    /// Looks at the first `size` leaves of a log, which has as many or more.
    ///
    /// # Errors
    /// [`TileError::Asked`] where no tree has so many.
    pub fn new(tiles: &'a T, size: u64) -> Result<Self, TileError<T::Error>> {
        if size > SIZE_MAX {
            return Err(PathError::Size { found: size }.into());
        }
        Ok(Self { tiles, size, read: Vec::new() })
    }

    /// Gives the leaf at an index.
    ///
    /// # Errors
    /// [`TileError::Asked`] beyond the size; [`TileError::Read`] and [`TileError::Bytes`] by the tiles.
    pub fn leaf(&mut self, index: u64) -> Result<TreeHash, TileError<T::Error>> {
        self.is_in(index)?;
        self.subtree(0, index)
    }

    /// Gives the root.
    ///
    /// # Errors
    /// [`TileError::Read`] and [`TileError::Bytes`] by the tiles.
    pub fn root(&mut self) -> Result<TreeHash, TileError<T::Error>> {
        Ok(self.frontier()?.root())
    }

    /// Makes the right edge again, from one tile a level.
    ///
    /// # Errors
    /// [`TileError::Read`] and [`TileError::Bytes`] by the tiles.
    pub fn frontier(&mut self) -> Result<Frontier, TileError<T::Error>> {
        let edge = self.subtrees(0..self.size)?;
        Ok(Frontier::of(self.size, edge).expect("a tree has a subtree for each bit of its size"))
    }

    /// Makes the proof that the leaf at an index is in this tree.
    ///
    /// # Errors
    /// [`TileError::Asked`] beyond the size; [`TileError::Read`] and [`TileError::Bytes`] by the tiles.
    pub fn inclusion(&mut self, index: u64) -> Result<InclusionProof, TileError<T::Error>> {
        self.is_in(index)?;
        Ok(InclusionProof::made(self.proof(&Shape::of_inclusion(index, self.size))?))
    }

    /// Makes the proof that this tree grew from one of `old` leaves.
    ///
    /// # Errors
    /// [`TileError::Asked`] where this tree is smaller; [`TileError::Read`] and [`TileError::Bytes`] by the tiles.
    pub fn consistency(&mut self, old: u64) -> Result<ConsistencyProof, TileError<T::Error>> {
        if old > self.size {
            return Err(PathError::Shrunk { old, new: self.size }.into());
        }
        if old == 0 || old == self.size {
            return Ok(ConsistencyProof::made(Vec::new()));
        }
        Ok(ConsistencyProof::made(self.proof(&Shape::of_consistency(old, self.size))?))
    }

    /// Gives the hashes of a tile of this tree, for what keeps tiles and goes on with the last of each level.
    pub(super) fn hashes_of(&mut self, tile: Tile) -> Result<&[[u8; HASH_BYTES]], TileError<T::Error>> {
        let bytes = self.bytes_of(tile)?;
        Ok(&hashes(bytes)[..usize::from(tile.width())])
    }

    fn is_in(&self, index: u64) -> Result<(), PathError> {
        let size = self.size;
        if index < size { Ok(()) } else { Err(PathError::Index { index, size }) }
    }

    fn proof(&mut self, shape: &Shape) -> Result<Vec<TreeHash>, TileError<T::Error>> {
        shape.ranges().map(|range| Ok(rolled_up(&self.subtrees(range)?))).collect()
    }

    /// Gives the full subtrees that a range is made of, from the left. It begins where a subtree as large as it could.
    fn subtrees(&mut self, range: Range<u64>) -> Result<Vec<TreeHash>, TileError<T::Error>> {
        let mut subtrees = Vec::new();
        let mut start = range.start;
        while start < range.end {
            let height = (range.end - start).ilog2();
            subtrees.push(self.subtree(height, start >> height)?);
            start += 1 << height;
        }
        Ok(subtrees)
    }

    /// Gives the root of the subtree of 2^`height` leaves at an index among those. The tree has it whole.
    fn subtree(&mut self, height: u32, index: u64) -> Result<TreeHash, TileError<T::Error>> {
        let level = u8::try_from(height / TILE_HEIGHT).expect("a tree is not as high");
        let within = height % TILE_HEIGHT;
        let first = index << within;
        let in_tile = first / u64::from(TILE_WIDTH);
        let tile = Tile::in_tree(self.size, level, in_tile).expect("a subtree of the tree has its tile");
        let from = usize::try_from(first % u64::from(TILE_WIDTH)).expect("a tile is not as wide");
        let hashes = &self.hashes_of(tile)?[from..from + (1 << within)];
        Ok(over(hashes))
    }

    fn bytes_of(&mut self, tile: Tile) -> Result<&Bytes, TileError<T::Error>> {
        if let Some(at) = self.read.iter().position(|(read, _)| *read == tile) {
            return Ok(&self.read[at].1);
        }
        let bytes = self.tiles.tile(tile).map_err(|error| TileError::Read { tile, error })?;
        let found = bytes.len();
        let full = usize::from(TILE_WIDTH) * HASH_BYTES;
        if !(tile.bytes()..=full).contains(&found) || !found.is_multiple_of(HASH_BYTES) {
            return Err(TileError::Bytes { tile, found });
        }
        Ok(&self.read.push_mut((tile, bytes)).1)
    }
}

/// Gives the root over hashes side by side, as many as a power of two.
fn over(hashes: &[[u8; HASH_BYTES]]) -> TreeHash {
    let mut edge = Frontier::new();
    for hash in hashes {
        edge.append(TreeHash(*hash));
    }
    edge.root()
}
