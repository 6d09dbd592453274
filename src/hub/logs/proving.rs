//! Proofs under a checkpoint, each held to its signed root before it is given.
//!
//! Owns that: a tile that was damaged makes no proof, which would accuse the hub of another history than it has.

use super::Signed;
use super::tree::{Standing, TreeDiskError};
use crate::proof::{ConsistencyProof, Frontier, InclusionProof, PathError, TileError, TiledTree, TreeHead};

/// Why no proof can be given.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotProved {
    /// A tile cannot be read.
    #[error(transparent)]
    Tile(#[from] TileError<TreeDiskError>),
    /// What the tiles come to is not what was signed.
    #[error("a tile of the log is damaged ({0}); `resguardo hub rebuild` makes it again")]
    Damaged(#[from] PathError),
}

/// The tree of a size, up to a checkpoint's.
pub(super) struct Proving<'a> {
    signed: &'a Signed,
    tree: TiledTree<'a, Standing>,
    head: TreeHead,
}

impl Signed {
    /// Looks at the first entries under this checkpoint.
    ///
    /// # Errors
    /// [`NotProved`]
    pub(super) fn first(&self, size: u64) -> Result<Proving<'_>, NotProved> {
        let mut tree = TiledTree::new(&self.tree, size)?;
        let head = TreeHead { size, root: tree.root()? };
        let whole = self.tree.head;
        TiledTree::new(&self.tree, whole.size)?.consistency(size)?.verify(&head, &whole)?;
        Ok(Proving { signed: self, tree, head })
    }
}

impl Proving<'_> {
    /// What their tree goes on from.
    ///
    /// # Errors
    /// [`NotProved`]
    pub(super) fn edge(&mut self) -> Result<Frontier, NotProved> {
        Ok(self.tree.frontier()?)
    }

    /// That an entry is among them.
    ///
    /// # Errors
    /// [`NotProved`]
    pub(super) fn inclusion(&mut self, index: u64) -> Result<InclusionProof, NotProved> {
        let (leaf, path) = (self.tree.leaf(index)?, self.tree.inclusion(index)?);
        path.verify(&leaf, index, &self.head)?;
        Ok(path)
    }

    /// That they go on from fewer.
    ///
    /// # Errors
    /// [`NotProved`]
    pub(super) fn consistency(&mut self, old: u64) -> Result<ConsistencyProof, NotProved> {
        let known = TreeHead { size: old, root: TiledTree::new(&self.signed.tree, old)?.root()? };
        let proof = self.tree.consistency(old)?;
        proof.verify(&known, &self.head)?;
        Ok(proof)
    }
}
