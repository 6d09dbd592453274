//! `officer add|list|remove`: the people of a desk who state that something was read, acted on or declined.
//!
//! Owns the words. Never states anything.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::passphrase::chosen_for;
use super::screen::{Tone, cell, table, utc};
use super::unlock::Unlock;
use crate::desk::officers::{self, Officer, OfficersError, Wrap};
use crate::model::id::UnixMicros;
use crate::model::identity::Name;

/// The people of this desk.
#[derive(Debug, Subcommand)]
pub enum OfficerCommand {
    /// Adds an officer, who chooses a passphrase of their own.
    #[command(after_help = "Example:\n  resguardo officer add maria --name 'María Pérez'")]
    Add(Add),
    /// Lists the officers.
    #[command(after_help = "Example:\n  resguardo officer list")]
    List,
    /// Removes an officer: nothing is stated in their name any more.
    #[command(after_help = "Example:\n  resguardo officer remove maria")]
    Remove {
        /// The officer.
        officer: Name,
    },
}

/// `officer add`
#[derive(Debug, Args)]
pub struct Add {
    /// What the officer is called on the command line: letters, digits, `-`.
    officer: Name,
    /// The officer's name, for those who read what they state.
    #[arg(long)]
    name: String,
    /// Take the officer's own passphrase from the first line of this file, instead of asking for it.
    #[arg(long, value_name = "FILE")]
    officer_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlock,
}

impl OfficerCommand {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        home.desk()?;
        let (disk, dir, now) = (context.disk.as_ref(), home.dir(), context.clock.now());
        match self {
            Self::Add(add) => {
                let of_home = add.unlock.of_home(context, &home)?;
                let own = match &of_home {
                    Some(_) => Some(chosen_for(context, &add.name, add.officer_passphrase_file.as_deref())?),
                    None => None,
                };
                let wrap = match of_home.as_ref().zip(own.as_ref()) {
                    Some((of_home, own)) => Wrap::Passphrase { own, of_home },
                    None => Wrap::Insecure,
                };
                let who = (&add.officer, add.name.trim());
                let added = officers::add(disk, dir, who, wrap, context.random.as_ref(), now)?;
                context.screen.object(&object(&added))?;
                context.screen.line(&format!("{} is an officer of this desk: {}", added.id, added.name))?;
            }
            Self::List => list(context, &officers::list(disk, dir)?)?,
            Self::Remove { officer } => {
                let removed = officers::remove(disk, dir, officer, now)?;
                context.screen.object(&object(&removed))?;
                let line =
                    format!("{} is no officer any more. What {} stated stays", removed.id, removed.name);
                context.screen.line(&line)?;
            }
        }
        Ok(Exit::Done)
    }
}

fn list(context: &Context, officers: &[Officer]) -> Result<(), Failure> {
    let mut rows = table(&["Officer", "Name", "Since", "Until", "Key"]);
    for officer in officers {
        context.screen.object(&object(officer))?;
        let until = officer.removed_unix_us.map(|at| context.screen.time(UnixMicros(at)));
        rows.add_row(vec![
            cell(Tone::Plain, &officer.id),
            cell(Tone::Plain, &officer.name),
            cell(Tone::Plain, &context.screen.time(UnixMicros(officer.added_unix_us))),
            cell(Tone::Faint, &until.unwrap_or_default()),
            cell(Tone::Faint, officer.key.get(..16).unwrap_or_default()),
        ]);
    }
    if officers.is_empty() {
        context.screen.line("This desk has no officer: `resguardo officer add` makes one.")?;
    } else {
        context.screen.table(&rows)?;
    }
    Ok(())
}

fn object(officer: &Officer) -> serde_json::Value {
    json!({
        "object": "officer",
        "officer": officer.id,
        "name": officer.name,
        "key": officer.key,
        "added_at": utc(UnixMicros(officer.added_unix_us)),
        "removed_at": officer.removed_unix_us.map(|at| utc(UnixMicros(at))),
    })
}

impl From<OfficersError> for Failure {
    fn from(error: OfficersError) -> Self {
        let exit = if matches!(error, OfficersError::Disk { .. }) { Exit::Fault } else { Exit::Usage };
        Self::new(exit, error.to_string())
    }
}
