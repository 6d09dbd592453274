//! Proofs that a leaf is in a tree, and that a tree has only grown: which hashes they have, and how they are held to roots.
//!
//! Owns both proofs' shapes and their verification. Never reads a tile, and never says whose the roots are: they count only
//! where a checkpoint with them was verified.
//!
//! A proof's shape follows from sizes alone and is worked out from them, never from the proof; a proof with a hash too many or
//! too few is refused before anything is hashed. Sources: RFC 6962, sections 2.1.1 and 2.1.2; RFC 9162, sections 2.1.3, 2.1.4.

use std::ops::Range;

use super::hash::{TreeHash, node_hash};
use super::tree::SIZE_MAX;

/// Hashes of a proof at most: the largest tree has no higher path.
pub const PATH_HASHES_MAX: usize = 63;

/// What a checkpoint says of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: TreeHash,
}

/// The hashes beside the way from a leaf up to the root, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof(Vec<TreeHash>);

/// The hashes by which the roots of a tree before and after it grew are both made, the lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof(Vec<TreeHash>);

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is no tree as large.
    #[error("a tree has at most {SIZE_MAX} leaves, {found} found")]
    Size {
        /// The size.
        found: u64,
    },
    /// The leaf is said to be where the tree has none.
    #[error("index {index} is not in a tree of {size} leaves")]
    Index {
        /// Where the leaf is said to be.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The later tree is the smaller one.
    #[error("a log of {old} leaves has {new} later: it only grows")]
    Shrunk {
        /// Leaves of the earlier tree.
        old: u64,
        /// Leaves of the later tree.
        new: u64,
    },
    /// Another number of hashes than these sizes ask for.
    #[error("the proof has {found} hashes, {expected} expected")]
    Length {
        /// How many it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// What the proof leads to is another root.
    #[error("the proof leads to the root {found} of {size} leaves, {expected} expected")]
    Root {
        /// The tree's size.
        size: u64,
        /// What it leads to.
        found: TreeHash,
        /// The root that was given.
        expected: TreeHash,
    },
}

/// On which side of a path a hash lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Which leaves the hashes of a proof are over, and on which side each lies: the lowest first.
pub(super) struct Shape {
    /// The full subtree at which a proof of consistency begins; `None` in a proof of inclusion, which begins at the leaf.
    base: Option<Range<u64>>,
    beside: Vec<(Side, Range<u64>)>,
}

impl Shape {
    /// The shape of a proof that a leaf is in a tree. The index is below the size.
    pub(super) fn of_inclusion(index: u64, size: u64) -> Self {
        let (mut start, mut end) = (0, size);
        let mut beside = Vec::new();
        while end - start > 1 {
            let middle = start + left_leaves(end - start);
            if index < middle {
                beside.push((Side::Right, middle..end));
                end = middle;
            } else {
                beside.push((Side::Left, start..middle));
                start = middle;
            }
        }
        beside.reverse();
        Self { base: None, beside }
    }

    /// The shape of a proof that a tree grew from one size to another. Neither is zero, and the later one is larger.
    pub(super) fn of_consistency(old: u64, new: u64) -> Self {
        let (mut start, mut end) = (0, new);
        let mut beside = Vec::new();
        // Down to the one subtree that ends where the old tree ended.
        while end > old {
            let middle = start + left_leaves(end - start);
            if old <= middle {
                beside.push((Side::Right, middle..end));
                end = middle;
            } else {
                beside.push((Side::Left, start..middle));
                start = middle;
            }
        }
        beside.reverse();
        Self { base: Some(start..end), beside }
    }

    /// Gives the leaves that each hash of the proof is over, in the proof's order.
    ///
    /// Where the old tree is one full subtree, its root is what the proof begins with, and is not said again.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let base = self.base.iter().filter(|base| base.start > 0);
        base.chain(self.beside.iter().map(|(_, range)| range)).cloned()
    }

    fn holds(&self, hashes: &[TreeHash]) -> Result<(), PathError> {
        let expected = self.ranges().count();
        let found = hashes.len();
        if found == expected { Ok(()) } else { Err(PathError::Length { found, expected }) }
    }
}

/// Leaves under the left child of a node over so many, which are two or more: the largest power of two that is fewer.
fn left_leaves(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

impl InclusionProof {
    /// Takes the hashes as they stand in a proof; `None` where they are more than 63.
    pub fn from_hashes(hashes: Vec<TreeHash>) -> Option<Self> {
        (hashes.len() <= PATH_HASHES_MAX).then_some(Self(hashes))
    }

    /// Takes hashes of the right shape.
    pub(super) fn made(hashes: Vec<TreeHash>) -> Self {
        Self(hashes)
    }

    /// Gives the hashes, the lowest first.
    pub fn hashes(&self) -> &[TreeHash] {
        &self.0
    }

    /// Holds a leaf at an index to a tree.
    ///
    /// # Errors
    /// [`PathError::Size`] and [`PathError::Index`] for what no tree has, [`PathError::Length`] and [`PathError::Root`] for
    /// another proof than this leaf's, or another tree.
    pub fn verify(&self, leaf: &TreeHash, index: u64, tree: &TreeHead) -> Result<(), PathError> {
        same_root(tree, self.root(leaf, index, tree.size)?)
    }

    /// Gives the root of the tree of a size in which it shows a leaf at an index.
    ///
    /// # Errors
    /// [`PathError::Size`] and [`PathError::Index`] for what no tree has, [`PathError::Length`] for another proof than this leaf's.
    pub fn root(&self, leaf: &TreeHash, index: u64, size: u64) -> Result<TreeHash, PathError> {
        possible(size)?;
        if index >= size {
            return Err(PathError::Index { index, size });
        }
        let shape = Shape::of_inclusion(index, size);
        shape.holds(&self.0)?;
        let mut hash = *leaf;
        for ((side, _), beside) in shape.beside.iter().zip(&self.0) {
            hash = match side {
                Side::Left => node_hash(beside, &hash),
                Side::Right => node_hash(&hash, beside),
            };
        }
        Ok(hash)
    }
}

impl ConsistencyProof {
    /// Takes the hashes as they stand in a proof; `None` where they are more than 63.
    pub fn from_hashes(hashes: Vec<TreeHash>) -> Option<Self> {
        (hashes.len() <= PATH_HASHES_MAX).then_some(Self(hashes))
    }

    /// Takes hashes of the right shape.
    pub(super) fn made(hashes: Vec<TreeHash>) -> Self {
        Self(hashes)
    }

    /// Gives the hashes, the lowest first.
    pub fn hashes(&self) -> &[TreeHash] {
        &self.0
    }

    /// Holds two trees to each other: that the later one begins with all leaves of the earlier one.
    ///
    /// Every tree begins with the one of no leaf, whose root is known; that, and trees of one size, need no hash.
    ///
    /// # Errors
    /// [`PathError::Size`] for what no tree has, [`PathError::Shrunk`] where the later one is smaller, [`PathError::Length`]
    /// and [`PathError::Root`] for another proof than these sizes', or another tree, earlier or later.
    pub fn verify(&self, old: &TreeHead, new: &TreeHead) -> Result<(), PathError> {
        possible(new.size)?;
        if old.size > new.size {
            return Err(PathError::Shrunk { old: old.size, new: new.size });
        }
        if old.size == 0 || old.size == new.size {
            return self.verify_without_hashes(old, new);
        }
        let shape = Shape::of_consistency(old.size, new.size);
        shape.holds(&self.0)?;
        let mut hashes = self.0.iter();
        let said = shape.base.as_ref().is_some_and(|base| base.start > 0);
        let base = *if said { hashes.next() } else { None }.unwrap_or(&old.root);
        let (mut earlier, mut later) = (base, base);
        for ((side, _), beside) in shape.beside.iter().zip(hashes) {
            match side {
                Side::Left => (earlier, later) = (node_hash(beside, &earlier), node_hash(beside, &later)),
                Side::Right => later = node_hash(&later, beside),
            }
        }
        same_root(old, earlier)?;
        same_root(new, later)
    }

    fn verify_without_hashes(&self, old: &TreeHead, new: &TreeHead) -> Result<(), PathError> {
        if !self.0.is_empty() {
            return Err(PathError::Length { found: self.0.len(), expected: 0 });
        }
        for tree in [old, new].into_iter().filter(|tree| tree.size == 0) {
            same_root(tree, TreeHash::EMPTY_ROOT)?;
        }
        if old.size == new.size { same_root(old, new.root) } else { Ok(()) }
    }
}

fn possible(size: u64) -> Result<(), PathError> {
    if size <= SIZE_MAX { Ok(()) } else { Err(PathError::Size { found: size }) }
}

fn same_root(tree: &TreeHead, found: TreeHash) -> Result<(), PathError> {
    let expected = tree.root;
    if found == expected { Ok(()) } else { Err(PathError::Root { size: tree.size, found, expected }) }
}
