//! A small tree that is held whole in memory: the leaves that were kept together.
//!
//! Owns its levels, so that a proof is read off and hashes nothing. Source: RFC 6962, section 2.1, whose tree it is: what has
//! nothing beside it on a level stands on the next one unchanged.

use super::hash::{TreeHash, node_hash};
use super::path::InclusionProof;

/// A tree of leaves that are all known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchTree {
    /// From the leaves up to the root; at least one, which may be empty.
    levels: Vec<Vec<TreeHash>>,
}

impl BatchTree {
    /// Grows over leaves.
    pub fn over(leaves: Vec<TreeHash>) -> Self {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let pair = |pair: &[TreeHash]| match pair {
                [left, right] => node_hash(left, right),
                alone => alone[0],
            };
            levels.push(below.chunks(2).map(pair).collect());
        }
        Self { levels }
    }

    /// Gives how many leaves it has.
    pub fn size(&self) -> u64 {
        self.levels[0].len() as u64
    }

    /// Gives its root.
    pub fn root(&self) -> TreeHash {
        self.levels.last().and_then(|top| top.first()).copied().unwrap_or(TreeHash::EMPTY_ROOT)
    }

    /// Gives the proof that the leaf at a place is in it; `None` where it has none there.
    pub fn inclusion(&self, place: usize) -> Option<InclusionProof> {
        let _ = self.levels[0].get(place)?;
        let beside = self.levels.iter().enumerate().filter_map(|(height, level)| {
            let at = place >> height;
            level.get(at ^ 1).copied()
        });
        Some(InclusionProof::made(beside.collect()))
    }
}
