//! Restoring a hub from a backup: a new home with the journal and the files of the backup, and a new epoch at its end.
//!
//! Owns the new home's making. Never writes into a home that holds anything but certificates; never changes the backup.
//! An epoch is begun by every restore: nobody can know from a backup that nothing came after it.
//! At a crash: the configuration is written last, so a home that is not whole is none, and is told as such.

use std::path::{Path, PathBuf};

use super::backup::files::{Flawed, lay};
use super::backup::{self, BackupError, Checked};
use super::config::{Config, ConfigError};
use super::home::Home;
use super::logs;
use super::manifest::Manifest;
use super::run::Host;
use super::sequence::HUB_NUMBER;
use crate::journal::{self, Options, Room, Verified};
use crate::model::entry::{Batch, BatchName, EntryKind, Proposal};
use crate::model::epoch::{Begun, Epoch, EpochId};
use crate::model::identity::Identity;
use crate::proof::TreeHash;
use crate::wire::convert;
use crate::wire::restored::{self, RESTORED_FILE};

/// A hub that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the backup held.
    pub manifest: Manifest,
    /// The epoch that begins.
    pub begun: Begun,
    /// The root of the journal's tree over the entries that were kept.
    pub root: TreeHash,
    /// Files of packets that were not whole in the backup: everything else is there.
    pub flawed: Vec<Flawed>,
}

/// Why a hub was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup.
    #[error("the backup: {0}")]
    Backup(#[from] BackupError),
    /// Its configuration.
    #[error("the backup: {0}")]
    Config(#[from] ConfigError),
    /// The home is not empty.
    #[error(
        "{dir} holds {found} already: name a new folder, in which there may be tls/ with the hub's certificate"
    )]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
        /// What stands there.
        found: String,
    },
}

/// Lays a new home from a backup. Every byte of its journal is checked before, its files of packets as they are copied. `verifying` is told the counts of the check,
/// `copying` the bytes copied so far.
///
/// # Errors
/// [`RestoreError`], each. A home that was begun must be removed before another try.
pub fn restore(
    host: &Host,
    dir: &Path,
    home: &Path,
    verifying: &mut dyn FnMut(&Verified),
    copying: &mut dyn FnMut(u64),
) -> Result<Restored, RestoreError> {
    let disk = host.disk.as_ref();
    let found = backup::checked(&host.disk, dir, verifying)?;
    let config = Config::parse(&String::from_utf8_lossy(&found.config))?;
    let place = Home::at(home);
    disk.create_dir_all(home).map_err(backup::at(home))?;
    refuse_what_is_there(host, home)?;
    let _lock = place.lock(disk).map_err(BackupError::from)?;
    let to = place.journal();
    disk.create_dir_all(&to).map_err(backup::at(&to))?;
    let mut of_journal = 0;
    let copied = journal::copy(&found.journal, disk, &to, None, Room::Written, &mut |bytes| {
        of_journal = bytes;
        copying(bytes);
        !host.stop.is_cancelled()
    });
    copied.map_err(BackupError::from)?.ok_or(BackupError::Stopped)?;
    let (from, files, now) = (dir.join(backup::FILES), &found.manifest.files, host.clock.now());
    let flawed = lay(&host.disk, (&from, &place.files()), files, now, &mut |bytes| {
        copying(of_journal + bytes);
        !host.stop.is_cancelled()
    });
    let flawed = flawed?.ok_or(BackupError::Stopped)?;
    let (begun, root) = begin_epoch(host, &place, &config, &found)?;
    let told = restored::to_text(begun.epoch.id, begun.first.0, &root.0);
    disk.write_atomically(&home.join(RESTORED_FILE), told.as_bytes()).map_err(backup::at(home))?;
    disk.write_atomically(&home.join("hub.toml"), &found.config).map_err(backup::at(home))?;
    Ok(Restored { manifest: found.manifest, begun, root, flawed })
}

fn refuse_what_is_there(host: &Host, home: &Path) -> Result<(), RestoreError> {
    let names = host.disk.list(home).map_err(backup::at(home))?;
    match names.iter().find(|name| !matches!(name.to_str(), Some("tls" | "keys" | "lock"))) {
        None => Ok(()),
        Some(name) => {
            Err(RestoreError::NotEmpty { dir: home.into(), found: name.to_string_lossy().into_owned() })
        }
    }
}

/// Appends the entry that begins the epoch, by the hub; gives the root of the journal's tree before it.
fn begin_epoch(
    host: &Host,
    home: &Home,
    config: &Config,
    found: &Checked,
) -> Result<(Begun, TreeHash), BackupError> {
    let options = Options { segment_bytes: config.journal.segment_bytes };
    let (mut journal, reader, _) = journal::open(
        host.disk.clone(),
        host.tasks.as_ref(),
        &home.journal(),
        options,
        Some(&found.manifest.extent.mark),
    )?;
    let mut id = [0; 8];
    host.random.fill(&mut id);
    // Zero is the first epoch's.
    let id = EpochId(u64::from_le_bytes(id).max(1));
    let epoch = Epoch { id, number: found.manifest.epoch + 1, backup: found.manifest.made };
    let begun = Begun { epoch, first: journal.mark().next_index };
    let root = logs::root_of(&reader, begun.first)?;
    let run = super::open::last_run(&reader)? + 1;
    let proposal = Proposal {
        kind: EntryKind::Epoch,
        identity: Identity::Hub(config.name.clone()).to_string(),
        statement: convert::epoch_bytes(&begun),
        payload: None,
    };
    let time = journal.mark().time.max(host.clock.now());
    let name = BatchName { hub: HUB_NUMBER, run, number: 0 };
    journal.append(&Batch { name, time, seed: host.random.seed(), proposals: vec![proposal] })?;
    journal.close()?;
    Ok((begun, root))
}
