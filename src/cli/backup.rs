//! `hub backup`, `hub restore`: the operator's copies of a hub, and a hub made of one.
//!
//! Owns what an operator is told of them. Never decides whether a backup can be used: the hub's room does.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::hub::{checking, stopped};
use super::screen::{Tone, utc};
use crate::hub::backup::{self, BackedUp, BackupError};
use crate::hub::manifest::{Manifest, ManifestError};
use crate::hub::restore::{self, RestoreError};
use crate::hub::run::Host;

/// After how many bytes more the progress of a copying is told.
const PROGRESS_BYTES: u64 = 256 * 1024 * 1024;

/// `hub backup`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo hub backup /mnt/backup/hub --home /var/lib/resguardo
  resguardo hub backup /mnt/backup/hub --check --home /var/lib/resguardo

The hub may run meanwhile. Made again into the same folder, only what is new is copied. A backup that was cut short leaves
the one before as it was. Keys and certificates are not in it: keep them elsewhere, or have new ones signed.")]
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

Every byte of the backup is checked first. The home must be new; only tls/ with the hub's certificate may be there. A new
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
            let (manifest, counts) = backup::check(host, &self.dir, &mut checking(context))?;
            context.screen.line(&format!(
                "whole: {} entries, {} payloads kept, {} erased; made {}",
                counts.entries,
                counts.payloads,
                counts.erased,
                context.screen.time(manifest.made)
            ))?;
            let mut object = described("backup-checked", &self.dir, &manifest);
            object["payloads"] = counts.payloads.into();
            object["erased"] = counts.erased.into();
            context.screen.object(&object)?;
            return Ok(Exit::Done);
        }
        let made = match backup::backup(host, home, &self.dir, &mut copying(context)).await {
            Err(BackupError::Stopped) => return Ok(stopped(context, &BackupError::Stopped)),
            made => made?,
        };
        let BackedUp { manifest, entries_before, bytes } = &made;
        let entries = manifest.extent.mark.next_index.0;
        context.screen.line(&format!(
            "backed up: {entries} entries, {} of them new, {bytes} bytes copied; it holds what the hub had accepted on {}",
            entries - entries_before,
            context.screen.time(manifest.made)
        ))?;
        let mut object = described("backup", &self.dir, manifest);
        object["new_entries"] = (entries - entries_before).into();
        object["copied_bytes"] = (*bytes).into();
        context.screen.object(&object)?;
        Ok(Exit::Done)
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
        let (manifest, begun) = (&restored.manifest, &restored.begun);
        let made = context.screen.time(manifest.made);
        context.screen.line(&format!(
            "restored: {} entries, the last one kept is {}; epoch {} of the log begins",
            begun.first,
            begun.first.0.saturating_sub(1),
            begun.epoch.number
        ))?;
        context.screen.line(&format!(
            "may be missing: whatever was accepted after {made}. Offices' programs hand in again what they sent and stated; \
             changes of the directory made since then must be made again first"
        ))?;
        context.screen.line(&format!(
            "before it runs: the hub's certificate, key and authority belong into {}",
            home.join("tls").display()
        ))?;
        let mut object = described("restored", &self.dir, manifest);
        object["home"] = home.display().to_string().into();
        object["epoch"] = begun.epoch.number.into();
        object["last_kept_index"] = begun.first.0.saturating_sub(1).into();
        context.screen.object(&object)?;
        Ok(Exit::Done)
    }
}

fn described(object: &str, dir: &Path, manifest: &Manifest) -> serde_json::Value {
    json!({
        "object": object,
        "backup": dir.display().to_string(),
        "hub": manifest.hub,
        "entries": manifest.extent.mark.next_index.0,
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
