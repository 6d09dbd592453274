//! The right edge of a growing tree: all that is needed to append to it and to say its root.
//!
//! Owns the full subtrees that a size is made of. Never keeps leaves; what is to the left of the edge is in tiles.
//! Source: RFC 6962, section 2.1.

use super::hash::{TreeHash, node_hash};

/// Leaves of a tree at most: what every implementation that counts with signed numbers of 64 bits can say.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// The right edge of a tree: one hash for each bit of its size that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// Of full subtrees, from the largest, at the left, to the smallest.
    edge: Vec<TreeHash>,
}

impl Frontier {
    /// Begins with no leaf.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a size and the hashes of its full subtrees, the largest first; `None` if their number is not the size's.
    pub fn of(size: u64, edge: Vec<TreeHash>) -> Option<Self> {
        (size <= SIZE_MAX && edge.len() == size.count_ones() as usize).then_some(Self { size, edge })
    }

    /// Appends a leaf: one node is made, on average.
    pub fn append(&mut self, leaf: TreeHash) {
        self.append_seeing(leaf, |_, _| {});
    }

    /// Appends a leaf and shows each subtree that it completes, with its height: the leaf itself first.
    pub(super) fn append_seeing(&mut self, leaf: TreeHash, mut seen: impl FnMut(u32, &TreeHash)) {
        let mut hash = leaf;
        seen(0, &hash);
        for height in 1..=self.size.trailing_ones() {
            let left = self.edge.pop().expect("a set bit of the size has its subtree");
            hash = node_hash(&left, &hash);
            seen(height, &hash);
        }
        self.edge.push(hash);
        self.size += 1;
    }

    /// Gives the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Gives the hashes of the full subtrees, the largest first.
    pub fn edge(&self) -> &[TreeHash] {
        &self.edge
    }

    /// Gives the root.
    pub fn root(&self) -> TreeHash {
        rolled_up(&self.edge)
    }
}

/// Gives the hash over full subtrees that lie side by side, from the largest to the smallest.
pub(super) fn rolled_up(subtrees: &[TreeHash]) -> TreeHash {
    let from_right = subtrees.iter().copied().rev();
    from_right.reduce(|right, left| node_hash(&left, &right)).unwrap_or(TreeHash::EMPTY_ROOT)
}
