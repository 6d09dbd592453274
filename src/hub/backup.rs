//! Backing a hub up, running or not: its journal, its packets' files and its configuration, into a folder elsewhere.
//!
//! Owns what is in a backup and the order in which it is written. A backup is a beginning of the journal, whole batches
//! each of them checked in the copy; made again into the same folder, only what is new is copied. The ledger is not in it,
//! for the journal gives it; keys are not in it: whoever steals a backup must not become the hub.
//! At a crash: the manifest is written last, and nothing that the one before it names is touched, so the backup before
//! stands. What was copied beyond it is of no account, and is copied again.

pub mod files;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::files::Flawed;
use super::home::{Home, HomeError};
use super::manifest::{Manifest, ManifestError};
use super::run::Host;
use crate::host::disk::{Disk, Lock};
use crate::journal::{self, JournalError, Reader, Room, Verified};
use crate::model::entry::EntryKind;
use crate::model::erasure::Erasure;
use crate::model::id::{Index, Position};
use crate::seal::sha256;
use crate::wire::erasure;

/// The journal's folder in a backup.
const JOURNAL: &str = "journal";
/// The folder of packets' files in a backup.
pub(super) const FILES: &str = "files";
/// The configuration in a backup.
const CONFIG: &str = "hub.toml";
/// Largest configuration, in bytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// How often a running hub is looked at again when it was met in the middle of a write, which takes milliseconds.
const LOOKS: u32 = 100;
/// Between two looks.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What a backup did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackedUp {
    /// What is in the folder now.
    pub manifest: Manifest,
    /// How many entries the backup before held; 0: there was none.
    pub entries_before: u64,
    /// Bytes that were copied.
    pub bytes: u64,
    /// How many of its files of packets are new.
    pub new_files: u64,
    /// Files of packets that the hub has lost. The manifest names those that the backup before held.
    pub flawed: Vec<Flawed>,
}

/// Why there is no backup, or none that can be used. The one before, if there was one, stands as it stood.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The hub's home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The journal of the hub, or the backup's.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The disk of the backup.
    #[error("{path}: {error}")]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        error: io::Error,
    },
    /// Another backup into the same folder is being made.
    #[error("another backup into {0} is being made: let it end first")]
    Locked(PathBuf),
    /// The folder holds a backup of another journal, or of another history of it.
    #[error(
        "{dir} holds a backup of something else: it goes up to entry {found} of another history. Name a new folder for \
         this hub; nothing was changed"
    )]
    OtherHistory {
        /// The folder.
        dir: PathBuf,
        /// Entries of the backup that is there.
        found: u64,
    },
    /// The configuration is not the one that the manifest names.
    #[error("{0} is not the file that was backed up: its SHA-256 is another")]
    Config(PathBuf),
    /// The host's stop came.
    #[error("stopped before the backup was whole; the one before stands")]
    Stopped,
}

/// Backs a hub up into a folder, which is made if it is missing. `progress` is told the bytes copied so far.
///
/// # Errors
/// [`BackupError`], each.
pub async fn backup(
    host: &Host,
    home: &Path,
    dir: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<BackedUp, BackupError> {
    let mut looks = 0;
    loop {
        match Backup::begin(host, home, dir)?.make(progress) {
            // A hub at work may be met in the middle of a write; what is damaged stays so.
            Err(BackupError::Journal(JournalError::Damage(_))) if looks < LOOKS && runs(host, home)? => {
                looks += 1;
                tokio::time::sleep(LOOK_PAUSE).await;
            }
            made => return made,
        }
    }
}

/// Whether a hub is at work on its home.
fn runs(host: &Host, home: &Path) -> Result<bool, HomeError> {
    match Home::at(home).lock(host.disk.as_ref()) {
        Err(HomeError::Locked(_)) => Ok(true),
        locked => locked.map(|_| false),
    }
}

struct Backup<'a> {
    host: &'a Host,
    home: Home,
    dir: &'a Path,
    before: Option<Manifest>,
    _lock: Lock,
}

impl<'a> Backup<'a> {
    fn begin(host: &'a Host, home: &Path, dir: &'a Path) -> Result<Self, BackupError> {
        let disk = host.disk.as_ref();
        disk.create_dir_all(&dir.join(JOURNAL)).map_err(at(dir))?;
        let lock = disk.lock(&dir.join("lock")).map_err(at(dir))?;
        let lock = lock.ok_or_else(|| BackupError::Locked(dir.into()))?;
        let before = match Manifest::read(disk, dir) {
            Err(ManifestError::Missing(_)) => None,
            read => Some(read?),
        };
        Ok(Self { host, home: Home::at(home), dir, before, _lock: lock })
    }

    fn make(&self, progress: &mut dyn FnMut(u64)) -> Result<BackedUp, BackupError> {
        let disk = self.host.disk.as_ref();
        let name = self.home.config(disk)?.name.to_string();
        let config = self.home.config_bytes(disk)?;
        // Before the look: what is accepted from here on may be in the backup or not.
        let made = self.host.clock.now();
        let source = journal::look(Arc::clone(&self.host.disk), &self.home.journal())?;
        let (have, from) = match &self.before {
            None => (None, Position(0)),
            Some(before) => (Some(self.held(before, &source)?), before.extent.mark.position),
        };
        let (to, mut bytes) = (self.dir.join(JOURNAL), 0);
        let copied = journal::copy(&source, disk, &to, have.as_ref(), Room::Hole, &mut |so_far| {
            bytes = so_far;
            progress(bytes);
            !self.host.stop.is_cancelled()
        })?;
        let copied = copied.ok_or(BackupError::Stopped)?;
        let copy = journal::look_until(Arc::clone(&self.host.disk), &to, &copied.extent)?;
        let (begun, kept_from) = self.check_from(&copy, from)?;
        // After the journal's look: a message's files were whole before the message was there.
        let (of_hub, of_backup) = (self.home.files(), self.dir.join(FILES));
        let (none, of_journal) = (BTreeSet::new(), bytes);
        let held = self.before.as_ref().map_or(&none, |before| &before.files);
        let needed = || files::needed(&copy);
        let kept = files::copy(&self.host.disk, (&of_hub, &of_backup), held, needed, &mut |so_far| {
            bytes = of_journal + so_far;
            progress(bytes);
            !self.host.stop.is_cancelled()
        })?;
        let kept = kept.ok_or(BackupError::Stopped)?;
        disk.write_atomically(&self.dir.join(CONFIG), &config).map_err(at(&self.dir.join(CONFIG)))?;
        let epoch = self.before.as_ref().map_or(1, |before| before.epoch) + begun;
        let manifest = Manifest {
            hub: name,
            extent: copied.extent,
            epoch,
            made,
            kept_from,
            config_digest: sha256(&config),
            files: kept.files,
        };
        manifest.write(disk, self.dir)?;
        files::erase_others(&self.host.disk, &of_backup, &manifest.files)?;
        let entries_before = self.before.as_ref().map_or(0, |before| before.extent.mark.next_index.0);
        Ok(BackedUp { manifest, entries_before, bytes, new_files: kept.new, flawed: kept.flawed })
    }

    /// Reads the batches of a copy from a position on, each checked, and carries out in it what they say is erased; gives how
    /// many epochs begin in them, and from where on payloads are kept.
    fn check_from(&self, copy: &Reader, from: Position) -> Result<(u64, Index), JournalError> {
        let (mut batches, mut begun) = (copy.batches(from), 0);
        let (mut erased, mut kept_from) =
            (BTreeSet::new(), self.before.as_ref().map_or(Index(0), |before| before.kept_from));
        let first = kept_from;
        while let Some(batch) = batches.next()? {
            for entry in batch.entries {
                match entry.kind {
                    EntryKind::Epoch => begun += 1,
                    EntryKind::Erasure => match erasure::read(&entry.statement) {
                        Ok(Erasure::Order { message, .. }) => {
                            erased.insert(message);
                        }
                        Ok(Erasure::Retention { until }) => kept_from = kept_from.max(until.next()),
                        // The ledger took nothing from it either.
                        Err(_) => {}
                    },
                    _ => {}
                }
            }
        }
        journal::erase(copy, erased.into_iter().filter(|message| *message >= kept_from))?;
        journal::erase(copy, (first.0..kept_from.0).map(Index))?;
        Ok((begun, kept_from))
    }

    /// Reads the backup that is there, once it is known to be a beginning of this journal.
    fn held(&self, before: &Manifest, source: &Reader) -> Result<Reader, BackupError> {
        let mark = &before.extent.mark;
        if source.mark().journal != mark.journal || !source.holds(mark)? {
            return Err(BackupError::OtherHistory { dir: self.dir.into(), found: mark.next_index.0 });
        }
        let to = self.dir.join(JOURNAL);
        Ok(journal::look_until(Arc::clone(&self.host.disk), &to, &before.extent)?)
    }
}

/// A backup whose journal was read whole, byte for byte; packets' files apart.
pub(super) struct Checked {
    pub(super) manifest: Manifest,
    pub(super) journal: Reader,
    pub(super) config: Vec<u8>,
    pub(super) counts: Verified,
}

/// Reads a backup and checks every byte that counts, but for packets' files: a hub serves without one of them.
///
/// # Errors
/// [`BackupError::Manifest`], [`BackupError::Journal`], [`BackupError::Config`], [`BackupError::Disk`].
pub(super) fn checked(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    progress: &mut dyn FnMut(&Verified),
) -> Result<Checked, BackupError> {
    let manifest = Manifest::read(disk.as_ref(), dir)?;
    let journal = journal::look_until(Arc::clone(disk), &dir.join(JOURNAL), &manifest.extent)?;
    let counts = journal::verify(&journal, progress, &mut |_| {})?;
    let path = dir.join(CONFIG);
    let config = disk.read(&path, CONFIG_BYTES_MAX).map_err(at(&path))?;
    if sha256(&config) != manifest.config_digest {
        return Err(BackupError::Config(path));
    }
    Ok(Checked { manifest, journal, config, counts })
}

/// What a check of a backup found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// What it says that it holds.
    pub manifest: Manifest,
    /// What its journal holds.
    pub counts: Verified,
    /// Its files of packets that are not whole.
    pub flawed: Vec<Flawed>,
}

/// Checks a backup without using it. `progress` is told the counts so far.
///
/// # Errors
/// As of every backup that cannot be used.
pub fn check(host: &Host, dir: &Path, progress: &mut dyn FnMut(&Verified)) -> Result<Looked, BackupError> {
    let Checked { manifest, counts, .. } = checked(&host.disk, dir, progress)?;
    let flawed = files::check(host.disk.as_ref(), &dir.join(FILES), &manifest.files);
    Ok(Looked { manifest, counts, flawed })
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::Disk { path, error }
}
