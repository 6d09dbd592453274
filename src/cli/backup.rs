//! `hub backup`, `hub restore`: the operator's copies of a hub, and a hub made of one.
//!
//! Owns what an operator is told of them. Never decides whether a backup can be used: the hub's room does.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::hub::{checking, stopped};
use super::publish::warn;
use super::screen::{Tone, utc};
use crate::hub::backup::files::{Flawed, KeptFile};
use crate::hub::backup::{self, BackedUp, BackupError, Looked};
use crate::hub::manifest::{Manifest, ManifestError};
use crate::hub::restore::{self, RestoreError, Restored};
use crate::hub::run::Host;
use crate::wire::restored::RESTORED_FILE;

/// After how many bytes more the progress of a copying is told.
const PROGRESS_BYTES: u64 = 256 * 1024 * 1024;

/// `hub backup`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo hub backup /mnt/backup/hub --home /var/lib/resguardo
  resguardo hub backup /mnt/backup/hub --check --home /var/lib/resguardo

The hub may run meanwhile. Made again into the same folder, only what is new is copied. A backup that was cut short leaves
the one before as it was. It ends with 5 if a packet's file is missing or damaged: which, and whether at the hub or in the
backup, is told, and everything else is there. Keys and certificates are not in it: keep them elsewhere, or have new ones signed.")]
pub struct Backup {
    /// The backup's folder.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Check the backup that is there, byte for byte, and make none.
    #[arg(long)]
    check: bool,
}

/// `hub restore`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  resguardo hub restore /mnt/backup/hub --home /var/lib/resguardo-new

Every byte of the backup is checked. A packet's file that is missing or damaged is told, and the command then ends with 5;
the hub can run without it. The home must be new; only tls/ with the hub's certificate may be there. A new
epoch of the log begins: what the hub accepted after the backup may be missing, and is handed in again by the offices'
programs when they connect. docs/restoring.md has the whole drill.")]
pub struct Restore {
    /// The backup's folder.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

impl Backup {
    pub(super) async fn run(&self, context: &Context, host: &Host, home: &Path) -> Result<Exit, Failure> {
        if self.check {
            let looked = backup::check(host, &self.dir, &mut checking(context))?;
            let Looked { manifest, counts, flawed } = &looked;
            context.screen.line(&format!(
                "whole: {} entries, {} payloads kept, {} erased, {} files of packets; made {}",
                counts.entries,
                counts.payloads,
                counts.erased,
                manifest.files.len() - flawed.len(),
                context.screen.time(manifest.made)
            ))?;
            let exit = tell_flawed(context, flawed, |_| "in the backup")?;
            let mut object = described("backup-checked", &self.dir, manifest, flawed);
            object["payloads"] = counts.payloads.into();
            object["erased"] = counts.erased.into();
            context.screen.object(&object)?;
            return Ok(exit);
        }
        let made = match backup::backup(host, home, &self.dir, &mut copying(context)).await {
            Err(BackupError::Stopped) => return Ok(stopped(context, &BackupError::Stopped)),
            made => made?,
        };
        let BackedUp { manifest, entries_before, bytes, new_files, flawed } = &made;
        let entries = manifest.extent.mark.next_index.0;
        context.screen.line(&format!(
            "backed up: {entries} entries, {} of them new, and {} files of packets, {new_files} of them new; {bytes} bytes \
             copied; it holds what the hub had accepted on {}",
            entries - entries_before,
            manifest.files.len(),
            context.screen.time(manifest.made)
        ))?;
        let exit = tell_flawed(context, flawed, |flawed| {
            if manifest.files.contains(&flawed.kept) {
                "at the hub; the backup holds it: copy it from there into the hub's files/"
            } else {
                "at the hub, and not in the backup: ask that office for it"
            }
        })?;
        let mut object = described("backup", &self.dir, manifest, flawed);
        object["new_entries"] = (entries - entries_before).into();
        object["new_files"] = (*new_files).into();
        object["copied_bytes"] = (*bytes).into();
        context.screen.object(&object)?;
        Ok(exit)
    }
}

impl Restore {
    pub(super) fn run(&self, context: &Context, host: &Host, home: &Path) -> Result<Exit, Failure> {
        let restored = restore::restore(host, &self.dir, home, &mut checking(context), &mut copying(context));
        let restored = match restored {
            Err(RestoreError::Backup(BackupError::Stopped)) => {
                let words = format!("stopped: remove {} before another try", home.display());
                return Ok(stopped(context, &words));
            }
            restored => restored?,
        };
        let Restored { manifest, begun, root, flawed } = &restored;
        let made = context.screen.time(manifest.made);
        context.screen.line(&format!(
            "restored: {} entries, the last one kept is {}, and {} files of packets; epoch {} of the log begins",
            begun.first,
            begun.first.0.saturating_sub(1),
            manifest.files.len() - flawed.len(),
            begun.epoch.number
        ))?;
        context.screen.line(&format!(
            "may be missing: whatever was accepted after {made}. Offices' programs hand in again what they sent and stated; \
             changes of the directory made since then must be made again first"
        ))?;
        context.screen.line(&format!(
            "for the registrars: {}, root {root}. Until both have signed it (resguardo policy restored), offices say that the hub \
             went back, and bear no witness; alerts go on",
            home.join(RESTORED_FILE).display()
        ))?;
        context.screen.line(&format!(
            "before it runs: the hub's certificate, key and authority belong into {}, and its key for the logs into {}",
            home.join("tls").display(),
            home.join("keys").display()
        ))?;
        let exit = tell_flawed(context, flawed, |_| "in the backup")?;
        let mut object = described("restored", &self.dir, manifest, flawed);
        object["root"] = root.to_string().into();
        object["home"] = home.display().to_string().into();
        object["epoch"] = begun.epoch.number.into();
        object["last_kept_index"] = begun.first.0.saturating_sub(1).into();
        context.screen.object(&object)?;
        Ok(exit)
    }
}

/// Tells which files of packets are not whole, and of each where; the exit code that follows.
fn tell_flawed(
    context: &Context,
    flawed: &[Flawed],
    place: impl Fn(&Flawed) -> &'static str,
) -> Result<Exit, Failure> {
    for flawed in flawed {
        warn(context, &format!("{flawed} {}", place(flawed)))?;
    }
    Ok(if flawed.is_empty() { Exit::Done } else { Exit::Integrity })
}

fn described(object: &str, dir: &Path, manifest: &Manifest, flawed_files: &[Flawed]) -> serde_json::Value {
    let flawed = |it: &Flawed| {
        let KeptFile { office, file } = &it.kept;
        json!({
            "office": office.to_string(),
            "sha256": file.digest.to_string(),
            "bytes": file.bytes,
            "found": it.flaw.name(),
        })
    };
    json!({
        "object": object,
        "backup": dir.display().to_string(),
        "hub": manifest.hub,
        "entries": manifest.extent.mark.next_index.0,
        "files": manifest.files.len(),
        "flawed_files": flawed_files.iter().map(flawed).collect::<Vec<_>>(),
        "epoch": manifest.epoch,
        "made_at": utc(manifest.made),
    })
}

fn copying(context: &Context) -> impl FnMut(u64) {
    let mut told = 0;
    move |bytes| {
        if bytes >= told + PROGRESS_BYTES {
            told = bytes;
            // Progress that cannot be told stops nothing.
            context.screen.aside(Tone::Faint, &format!("copied so far: {bytes} bytes"));
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Home(error) => error.into(),
            BackupError::Journal(error) => error.into(),
            BackupError::OtherHistory { .. } | BackupError::Manifest(ManifestError::Missing(_)) => {
                Self::usage(error.to_string())
            }
            BackupError::Config(_) | BackupError::Manifest(ManifestError::Damaged { .. }) => {
                Self::new(Exit::Integrity, error.to_string())
            }
            BackupError::Manifest(ManifestError::Disk { .. })
            | BackupError::Disk { .. }
            | BackupError::Locked(_)
            | BackupError::Stopped => Self::new(Exit::Fault, error.to_string()),
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Backup(error) => error.into(),
            RestoreError::Config(_) | RestoreError::NotEmpty { .. } => Self::usage(error.to_string()),
        }
    }
}
