//! A log that grows by records that are given to it, kept as the hub keeps its own: for whoever measures what years of it take.
//!
//! Owns nothing that a log of the hub's has not: tiles and bundles are made, written and read by the same code. Never signs.
//! At a crash: as a log's tree; it is begun anew.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{LogError, WAITING_MAX};
use crate::host::disk::Disk;
use crate::hub::logs::tree::{FullTiles, Standing, Tree, TreeDiskError};
use crate::proof::{Record, Tile, Tiles, TreeHead};

/// A growing log.
pub struct GivenLog(Tree);

/// A log as it stood when it was written: all of its tiles can be read.
pub struct GivenTiles(Standing);

impl GivenLog {
    /// Begins without an entry, in a folder that is there.
    pub fn begin(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self(Tree::empty(FullTiles::at(disk, dir)))
    }

    /// Appends a record; what has been finished is written in the hub's lots.
    ///
    /// # Errors
    /// [`LogError::Disk`]
    pub fn append(&mut self, record: Record) -> Result<(), LogError> {
        self.0.append(record);
        if self.0.waiting() >= WAITING_MAX {
            self.0.write()?;
        }
        Ok(())
    }

    /// Writes what is finished, durably, and gives the log as it stands.
    ///
    /// # Errors
    /// [`LogError::Disk`]
    pub fn written(&mut self) -> Result<GivenTiles, LogError> {
        self.0.write()?;
        Ok(GivenTiles(self.0.standing()))
    }
}

impl GivenTiles {
    /// Its size and root.
    pub fn head(&self) -> TreeHead {
        self.0.head
    }
}

impl Tiles for GivenTiles {
    type Error = TreeDiskError;

    fn tile(&self, tile: Tile) -> Result<Bytes, TreeDiskError> {
        self.0.tile(tile)
    }
}
