//! Packets' files in a backup: copied once each, and kept there as long as a message needs them.
//!
//! Owns which files belong to a backup, and what of them is not as it should be. A file has its name when it is whole and
//! synced, and is never written again. Never looks for a file that neither the hub nor the backup before has.
//! At a crash: what the manifest names is untouched; what was copied beyond it is taken up by the next backup.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{BackupError, at};
use crate::files::DiskError;
use crate::files::partial::{Digested, Known, Partial, PartialError};
use crate::files::shelf::Shelf;
use crate::files::store;
use crate::host::disk::{Disk, DiskFile, OpenMode};
use crate::hub::decode;
use crate::journal::{JournalError, Reader};
use crate::ledger::entry::Statement;
use crate::model::entry::{EntryKind, Payload};
use crate::model::envelope::{FileDigest, FileRef};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;

/// Bytes read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A file and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeptFile {
    /// The office that handed it up.
    pub office: Name,
    /// What it holds.
    pub file: FileRef,
}

/// A file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flawed {
    /// Which.
    pub kept: KeptFile,
    /// What was found.
    pub flaw: Flaw,
}

/// What was found in the place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    Missing,
    /// Other bytes, or some that cannot be read.
    Damaged,
}

impl Flaw {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeptFile { office, file } = &self.kept;
        write!(f, "file {} of {office} ({} bytes) is {}", file.digest, file.bytes, self.flaw.name())
    }
}

/// What a copying of files did.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// The files of the backup, ascending.
    pub(super) files: BTreeSet<KeptFile>,
    /// How many of them are new in it.
    pub(super) new: u64,
    /// What the hub has lost, whether the backup holds it or not.
    pub(super) flawed: Vec<Flawed>,
}

/// Copies what a backup lacks of a hub's files. What it held before and the hub has no longer stays if `needed` names it,
/// which is asked in that case alone. `progress` is told the bytes copied so far; `None` is given when it says no.
///
/// # Errors
/// [`BackupError::Disk`], of the backup's disk; that of `needed`.
pub(super) fn copy(
    disk: &Arc<dyn Disk>,
    (from, to): (&Path, &Path),
    before: &BTreeSet<KeptFile>,
    needed: impl FnOnce() -> Result<BTreeSet<KeptFile>, JournalError>,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Copied>, BackupError> {
    let (mut copied, mut bytes) = (Copied::default(), 0);
    let there: BTreeSet<_> = list(disk.as_ref(), from)?.into_iter().collect();
    for kept in there {
        if !shelf(disk, to, &kept.office).has(&kept.file)? {
            let before = bytes;
            let mut moved = |piece: u64| {
                bytes = before + piece;
                progress(bytes)
            };
            match copy_one(disk, from, to, &kept, &mut moved)? {
                None => return Ok(None),
                Some(Ok(())) => copied.new += 1,
                // An orphan was cleared, or a message erased, since it was listed.
                Some(Err(Flaw::Missing)) => continue,
                Some(Err(flaw)) => {
                    copied.flawed.push(Flawed { kept, flaw });
                    continue;
                }
            }
        }
        copied.files.insert(kept);
    }
    let gone: BTreeSet<_> = before.difference(&copied.files).cloned().collect();
    if !gone.is_empty() {
        for kept in needed()?.intersection(&gone) {
            let is_it =
                |it: &Flawed| it.kept.office == kept.office && it.kept.file.digest == kept.file.digest;
            if !copied.flawed.iter().any(is_it) {
                copied.flawed.push(Flawed { kept: kept.clone(), flaw: Flaw::Missing });
            }
            copied.files.insert(kept.clone());
        }
    }
    Ok(Some(copied))
}

/// Erases what a backup holds beyond its manifest: what was cleared or erased at the hub, and what was half copied.
///
/// # Errors
/// [`BackupError::Disk`]
pub(super) fn erase_others(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    files: &BTreeSet<KeptFile>,
) -> Result<(), BackupError> {
    let files: BTreeSet<_> = files.iter().map(|kept| (&kept.office, kept.file.digest)).collect();
    for (office, name) in names(disk.as_ref(), dir)? {
        let (digest, ending) = name.split_once('.').unwrap_or((&name, ""));
        let Some(digest) = FileDigest::from_hex(digest) else { continue };
        if !files.contains(&(&office, digest)) {
            shelf(disk, dir, &office).forget(&FileRef { digest, bytes: 0 })?;
        } else if !ending.is_empty() {
            let path = dir.join(office.as_str()).join(&name);
            disk.remove(&path).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Lays a backup's files into a new home, as ones that are not known to be of a message: a day later the hub will have
/// cleared those that are of none. Gives what is not whole in the backup; `None` when `progress` says no.
///
/// # Errors
/// [`BackupError::Disk`], of the home's disk.
pub(in crate::hub) fn lay(
    disk: &Arc<dyn Disk>,
    (from, to): (&Path, &Path),
    files: &BTreeSet<KeptFile>,
    now: UnixMicros,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Vec<Flawed>>, BackupError> {
    let (mut flawed, mut bytes) = (Vec::new(), 0);
    for kept in files {
        let before = bytes;
        let mut moved = |piece: u64| {
            bytes = before + piece;
            progress(bytes)
        };
        match copy_one(disk, from, to, kept, &mut moved)? {
            None => return Ok(None),
            Some(Ok(())) => store::mark(disk.as_ref(), &to.join(kept.office.as_str()), &kept.file, now)?,
            Some(Err(flaw)) => flawed.push(Flawed { kept: kept.clone(), flaw }),
        }
    }
    Ok(Some(flawed))
}

/// Reads a backup's files, and gives those that are not whole.
pub(super) fn check(disk: &dyn Disk, dir: &Path, files: &BTreeSet<KeptFile>) -> Vec<Flawed> {
    let whole = |kept: &KeptFile| {
        let source = open(disk, dir, kept)?;
        let mut digested = Digested::nothing();
        while digested.bytes() < kept.file.bytes {
            digested.take(&piece(source.as_ref(), digested.bytes(), kept.file.bytes)?);
        }
        let whole = source.len().is_ok_and(|bytes| bytes == kept.file.bytes);
        if whole && digested.finish() == kept.file.digest { Ok(()) } else { Err(Flaw::Damaged) }
    };
    let flawed = |kept: &KeptFile| Some(Flawed { kept: kept.clone(), flaw: whole(kept).err()? });
    files.iter().filter_map(flawed).collect()
}

/// The files that messages of a journal need: those whose payload was erased need none.
///
/// # Errors
/// As of reading the journal.
pub(super) fn needed(journal: &Reader) -> Result<BTreeSet<KeptFile>, JournalError> {
    let (mut entries, mut needed) = (journal.from(Index(0)), BTreeSet::new());
    while let Some(entry) = entries.next()? {
        if entry.kind != EntryKind::Publish || entry.payload == Payload::Erased {
            continue;
        }
        if let Statement::Publish { envelope, .. } = decode::entry(&entry).statement {
            let office = &envelope.sender.office;
            needed.extend(envelope.files.iter().map(|file| KeptFile { office: office.clone(), file: *file }));
        }
    }
    Ok(needed)
}

/// Copies one file; `None` when `progress` says no, a flaw where the source is not whole.
fn copy_one(
    disk: &Arc<dyn Disk>,
    from: &Path,
    to: &Path,
    kept: &KeptFile,
    progress: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Result<(), Flaw>>, BackupError> {
    let source = match open(disk.as_ref(), from, kept) {
        Ok(source) => source,
        Err(flaw) => return Ok(Some(Err(flaw))),
    };
    let dir = to.join(kept.office.as_str());
    disk.create_dir_all(&dir).map_err(at(&dir))?;
    // From its beginning: what a copying that was cut short left of it may be of another file's end.
    let known = Known { bytes: 0, digested: None };
    let mut partial = Partial::open(Arc::clone(disk), &dir, kept.file, known)?;
    while partial.have() < kept.file.bytes {
        let piece = match piece(source.as_ref(), partial.have(), kept.file.bytes) {
            Ok(piece) => piece,
            Err(flaw) => return Ok(Some(Err(flaw))),
        };
        if let Err(PartialError::Disk(error)) = partial.append(&piece) {
            return Err(error.into());
        }
        if !progress(partial.have()) {
            return Ok(None);
        }
    }
    match partial.finish() {
        Ok(()) => Ok(Some(Ok(()))),
        Err(PartialError::Disk(error)) => Err(error.into()),
        // Zeros, where it is being erased: then it is gone in a moment.
        Err(_) => Ok(Some(Err(open(disk.as_ref(), from, kept).err().unwrap_or(Flaw::Damaged)))),
    }
}

fn open(disk: &dyn Disk, dir: &Path, kept: &KeptFile) -> Result<Arc<dyn DiskFile>, Flaw> {
    let path = dir.join(kept.office.as_str()).join(kept.file.digest.to_string());
    disk.open(&path, OpenMode::Read).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Flaw::Missing,
        _ => Flaw::Damaged,
    })
}

fn piece(file: &dyn DiskFile, from: u64, end: u64) -> Result<Vec<u8>, Flaw> {
    let mut piece = vec![0; PIECE_BYTES.min(usize::try_from(end - from).unwrap_or(PIECE_BYTES))];
    file.read_exact_at(&mut piece, from).map_err(|_| Flaw::Damaged)?;
    Ok(piece)
}

/// The whole files in a folder, by their names and lengths.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<KeptFile>, BackupError> {
    let mut found = Vec::new();
    for (office, name) in names(disk, dir)? {
        let Some(digest) = FileDigest::from_hex(&name) else { continue };
        let path = dir.join(office.as_str()).join(&name);
        match disk.open(&path, OpenMode::Read).and_then(|file| file.len()) {
            Ok(bytes) => found.push(KeptFile { office, file: FileRef { digest, bytes } }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&path)(error)),
        }
    }
    Ok(found)
}

/// The names in the folders of offices.
fn names(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Name, String)>, BackupError> {
    let in_dir = |dir: &Path| match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(at(dir)),
    };
    let mut found = Vec::new();
    for office in in_dir(dir)? {
        let Some(office) = office.to_str().and_then(|name| name.parse::<Name>().ok()) else { continue };
        for name in in_dir(&dir.join(office.as_str()))? {
            found.extend(name.to_str().map(|name| (office.clone(), name.to_owned())));
        }
    }
    Ok(found)
}

fn shelf(disk: &Arc<dyn Disk>, dir: &Path, office: &Name) -> Shelf {
    Shelf::at(Arc::clone(disk), dir.join(office.as_str()))
}

impl From<DiskError> for BackupError {
    fn from(error: DiskError) -> Self {
        Self::Disk { path: error.path, error: error.source }
    }
}
