//! Files of messages on a disk: how they grow, become whole, are counted and go.
//!
//! Owns names, digests, resumption, quota and orphans, at a hub ([`store`]) and at a desk ([`shelf`]). Never looks inside a
//! file; never decides who may have one. At a crash a file that was told to be whole is whole; one that was not is there
//! as far as it had come, and goes on from there. What a crash of the machine spoils of that shows at the end, by the
//! digest over all bytes.

pub mod partial;
pub mod shelf;
pub mod store;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use crate::host::disk::{Disk, DiskFile, OpenMode};

/// Bytes of a file that a desk or a backup writes before it makes them durable, and that are written over when one is erased:
/// small, so that a sync of something else on the same disk (an alert's) never waits behind much.
pub const SYNC_BYTES: u64 = 1024 * 1024;

/// The disk did not do what was asked of a file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct DiskError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the disk said.
    pub source: io::Error,
}

/// Says where the disk's error happened.
fn at(path: &Path) -> impl FnOnce(io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| DiskError { path, source }
}

/// Removes a file that may be gone already.
fn remove(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// Removes a file that may be gone already, and its bytes as far as the disk allows: they are written over first.
pub(crate) fn erase(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    let file = match disk.open(path, OpenMode::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(at(path))?,
    };
    write_over(file.as_ref(), path)?;
    remove(disk, path)
}

/// Writes zeros over all bytes of a file.
pub(crate) fn write_over(file: &dyn DiskFile, path: &Path) -> Result<(), DiskError> {
    let (bytes, nothing) = (file.len().map_err(at(path))?, vec![0; 256 * 1024]);
    let mut done = 0;
    while done < bytes {
        let piece = nothing.len().min(usize::try_from(bytes - done).unwrap_or(usize::MAX));
        file.write_all_at(&nothing[..piece], done).map_err(at(path))?;
        done += piece as u64;
        if done.is_multiple_of(SYNC_BYTES) || done == bytes {
            file.sync_data().map_err(at(path))?;
        }
    }
    Ok(())
}
