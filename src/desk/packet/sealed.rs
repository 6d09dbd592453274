//! A packet's files, sealed for those whom it is for and opened again.
//!
//! Owns the way between a file in clear and a sealed one, 64 KiB of it in memory at a time. Nothing in clear is left behind
//! that does not hold. At a crash: what was sealed is on the shelf, whole, or not at all.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::{Manifest, PacketFile};
use crate::desk::home::Home;
use crate::desk::opener::{Opener, Unreadable, hold};
use crate::desk::outbox::Outgoing;
use crate::desk::reseal::answers::Resealed;
use crate::desk::sealer::SealerError;
use crate::files::DiskError;
use crate::files::partial::Digested;
use crate::host::disk::{DiskFile, OpenMode};
use crate::model::envelope::{Envelope, FILE_BYTES_MAX, FileRef};
use crate::model::policy::Policy;
use crate::seal::{self, FileKey, OpenError, Opening, OpeningKey, SealError, SigningKey};
use crate::wire::manifest::{Part, SealedManifest};

/// Seals each file of a packet onto the shelf, and gives the manifest that says so.
///
/// # Errors
/// [`SealerError`]; what was sealed by then stays on the shelf and is written over the next time.
pub(in crate::desk) fn seal_files(
    home: &Home,
    outgoing: &Outgoing,
    envelope: &Envelope,
    mut manifest: Manifest,
    (keys, attended): (&[seal::Recipient], &SigningKey),
) -> Result<Manifest, SealerError> {
    if manifest.files.len() != outgoing.sources.len() {
        return Err(SealerError::Sources);
    }
    for (file, source) in manifest.files.iter_mut().zip(&outgoing.sources) {
        let inner = SealedManifest::of(envelope, Part::File, file.file.digest.0).signed_by(attended);
        file.sealed = Some(seal_file(home, source, file.file, (keys, &inner))?);
    }
    Ok(manifest)
}

fn seal_file(
    home: &Home,
    source: &Path,
    clear: FileRef,
    (keys, inner): (&[seal::Recipient], &[u8]),
) -> Result<FileRef, SealerError> {
    let changed = || SealerError::Changed(source.to_owned());
    let unreadable = |source_error| SealerError::Source { path: source.to_owned(), source: source_error };
    let (disk, shelf) = (home.disk(), home.shelf());
    let growing = shelf.growing(&clear)?;
    let at = |source| DiskError { path: growing.clone(), source };
    let open = disk.open(source, OpenMode::Read).map_err(unreadable)?;
    let mut from = Piecewise { file: open, at: 0, digested: Digested::nothing() };
    let target = disk.open(&growing, OpenMode::Replace).map_err(at)?;
    let into = Piecewise { file: target, at: 0, digested: Digested::nothing() };
    let sealed = seal::seal(keys, inner, &mut from, clear.bytes, into).map_err(|error| match error {
        SealError::ContentLength { .. } => changed(),
        SealError::Read(error) => unreadable(error),
        SealError::Write(error) => SealerError::Disk(at(error)),
        error => SealerError::Seal(error),
    })?;
    if from.digested.finish() != clear.digest {
        return Err(changed());
    }
    sealed.file.sync_data().map_err(at)?;
    let bytes = sealed.at;
    let file = FileRef { digest: sealed.digested.finish(), bytes };
    shelf.take(&growing, &file)?;
    Ok(file)
}

/// What opens the files of one packet, and what they are held to.
#[derive(Clone, Copy, Debug)]
pub struct Opens<'a> {
    /// The office's keys.
    pub opener: &'a Opener,
    /// How it was sealed again, where none of them opens it.
    pub resealed: Option<&'a Resealed>,
    /// The directory.
    pub policy: &'a Policy,
    /// The packet's envelope.
    pub envelope: &'a Envelope,
}

/// Opens a sealed file into another one, and holds it to the packet that it belongs to. What was written counts only once
/// it has returned.
///
/// # Errors
/// [`Unreadable`]
pub(super) fn open_file(
    Opens { opener, resealed, policy, envelope }: Opens<'_>,
    file: &PacketFile,
    sealed: Arc<dyn DiskFile>,
    target: Arc<dyn DiskFile>,
) -> Result<(), Unreadable> {
    let from = Piecewise { file: sealed, at: 0, digested: Digested::nothing() };
    let key = resealed.zip(file.sealed).and_then(|(it, sealed)| it.file_key(envelope, &sealed));
    let opening = match key {
        Some(key) => Opening::begin_with(from, key, FILE_BYTES_MAX)?,
        None => Opening::begin(from, &opener.keys(), FILE_BYTES_MAX)?,
    };
    let mut into = Piecewise { file: target, at: 0, digested: Digested::nothing() };
    let manifest = opening.finish(&mut into)?;
    let digest = into.digested.finish();
    hold(policy, envelope, Part::File, manifest, &digest.0)?;
    if digest == file.file.digest { Ok(()) } else { Err(Unreadable::Other("file")) }
}

/// Takes the key of a sealed file out of it.
///
/// # Errors
/// As [`FileKey::of`].
pub(in crate::desk) fn file_key(file: Arc<dyn DiskFile>, keys: &[OpeningKey]) -> Result<FileKey, OpenError> {
    FileKey::of(Piecewise { file, at: 0, digested: Digested::nothing() }, keys)
}

/// A file that is read or written from its beginning on, and digested on the way.
struct Piecewise {
    file: Arc<dyn DiskFile>,
    at: u64,
    digested: Digested,
}

impl Read for Piecewise {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(piece, self.at)?;
        self.at += read as u64;
        self.digested.take(&piece[..read]);
        Ok(read)
    }
}

impl Write for Piecewise {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(piece, self.at)?;
        self.at += piece.len() as u64;
        self.digested.take(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
