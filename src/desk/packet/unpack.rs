//! Writing a packet's files where a person wants them: under the names that the manifest gives.
//!
//! Owns that nothing is ever overwritten, and that what is written is what was sent. At a crash: a file is there whole
//! under its name, or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::PacketFile;
use super::sealed::open_file;
use crate::desk::opener::Unreadable;
use crate::files::partial::Digested;
use crate::files::shelf::Shelf;
use crate::host::disk::{Disk, DiskFile, OpenMode};
use crate::model::envelope::FileDigest;
use crate::seal::OpenError;

pub use super::sealed::Opens;

/// Bytes copied at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Something else is there.
    #[error("{} is there and is another file: it stays as it is. Name another folder with --to", .0.display())]
    Taken(PathBuf),
    /// What this home keeps is not what was sent, or what was sent does not hold.
    #[error(
        "{name}: {why}. Nothing of it was written. If it comes out the same once it was fetched again, tell the sender"
    )]
    Unreadable {
        /// The file.
        name: String,
        /// What is wrong.
        why: Unreadable,
    },
    /// The disk did not do what was asked.
    #[error("{}: {source}", path.display())]
    Disk {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpacked {
    /// It was written.
    Written,
    /// It was there already, the same.
    There,
}

/// Writes a file into a folder, unless it is there.
///
/// # Errors
/// [`UnpackError`]; nothing that was there is changed.
pub async fn unpack(
    disk: &Arc<dyn Disk>,
    store: &Shelf,
    (opens, file): (Opens<'_>, &PacketFile),
    dir: &Path,
) -> Result<Unpacked, UnpackError> {
    let path = dir.join(&file.name);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| UnpackError::Disk { path, source }
    };
    if is_same(disk, &path, file).await? {
        return Ok(Unpacked::There);
    }
    let source = store
        .open(&file.sealed.unwrap_or(file.file))
        .map_err(|error| UnpackError::Disk { path: error.path, source: error.source })?;
    disk.create_dir_all(dir).map_err(failed(dir))?;
    // A name of its own, so that two that run at once do not write into one file.
    let growing = dir.join(format!(".{}.{}.new", file.file.digest, std::process::id()));
    let target = disk.open(&growing, OpenMode::Replace).map_err(failed(&growing))?;
    if let Err(why) = open_file(opens, file, source, Arc::clone(&target)) {
        disk.remove(&growing).map_err(failed(&growing))?;
        return Err(match why {
            Unreadable::Sealing(OpenError::Write(source)) => UnpackError::Disk { path: growing, source },
            why => UnpackError::Unreadable { name: file.name.clone(), why },
        });
    }
    target.sync_data().map_err(failed(&growing))?;
    // It may have come to be there meanwhile.
    if is_same(disk, &path, file).await? {
        disk.remove(&growing).map_err(failed(&growing))?;
        return Ok(Unpacked::There);
    }
    disk.rename(&growing, &path).map_err(failed(&path))?;
    disk.sync_dir(dir).map_err(failed(dir))?;
    Ok(Unpacked::Written)
}

/// Tells whether the file is there already, the same.
///
/// # Errors
/// [`UnpackError::Taken`]: another one is.
async fn is_same(disk: &Arc<dyn Disk>, path: &Path, file: &PacketFile) -> Result<bool, UnpackError> {
    let there = match disk.open(path, OpenMode::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(UnpackError::Disk { path: path.to_owned(), source }),
        Ok(there) => there,
    };
    let same = there.len().is_ok_and(|bytes| bytes == file.file.bytes)
        && digest(there.as_ref()).await.is_ok_and(|digest| digest == file.file.digest);
    if same { Ok(true) } else { Err(UnpackError::Taken(path.to_owned())) }
}

/// Digests a file; another task gets its turn after each piece.
async fn digest(file: &dyn DiskFile) -> io::Result<FileDigest> {
    let (mut digested, mut piece) = (Digested::nothing(), vec![0; PIECE_BYTES]);
    loop {
        let read = file.read_at(&mut piece, digested.bytes())?;
        if read == 0 {
            return Ok(digested.finish());
        }
        digested.take(&piece[..read]);
        tokio::task::yield_now().await;
    }
}
