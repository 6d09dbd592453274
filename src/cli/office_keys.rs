//! `office rotate|pass-key|take-key`: new keys of the office, and how its desks come by them.
//!
//! Owns the commands. How a key goes from one place to the next is the desk's.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::confirm;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::passphrase::Passphrase;
use crate::desk::home::Home;
use crate::desk::keys::{self, Bench, PASSED_BYTES_MAX, RotateError};
use crate::desk::members::Members;
use crate::host::disk::OpenMode;
use crate::model::identity::Identity;
use crate::wire::key_request::fingerprint_of_recipient;

/// `office rotate`
#[derive(Debug, Args)]
pub struct Rotate {
    #[command(flatten)]
    passphrase: Passphrase,
}

/// `office pass-key`
#[derive(Debug, Args)]
pub struct PassKey {
    /// The desk that gets them, `urn:resguardo:office:<office>:<desk>`: of this office, and in the directory.
    desk: Identity,
    /// Where to write the file; only that desk can open it.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// `office take-key`
#[derive(Debug, Args)]
pub struct TakeKey {
    /// The file that the other desk wrote.
    file: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Rotate {
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let given = given(context, &home, &self.passphrase)?;
        let members = bench(context, &home, given.as_ref().map(|it| it.as_str()))
            .await?
            .rotate(context.clock.now())
            .await?;
        tell(context, &home, &members, "What is for this office is sealed to a new key from now on")
    }
}

impl PassKey {
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let Identity::Desk(to) = &self.desk else {
            return Err(Failure::usage(format!(
                "{} is not a desk: only desks open what is sealed",
                self.desk
            )));
        };
        let path = self.to.display().to_string();
        if context.disk.open(&self.to, OpenMode::Read).is_ok() {
            return Err(Failure::usage(format!("{path} is there already: name a new file with --to")));
        }
        let home = context.home()?;
        let given = given(context, &home, &self.passphrase)?;
        let file = bench(context, &home, given.as_ref().map(|it| it.as_str()))
            .await?
            .pass(to, context.clock.now())
            .await?;
        let written = context.disk.write_atomically(&self.to, &file);
        written.map_err(|error| Failure::new(Exit::Fault, format!("cannot write {path}: {error}")))?;
        context.screen.line(&format!("{path} is for {to} alone. There: resguardo office take-key {path}"))?;
        context.screen.object(&json!({ "object": "passed_keys", "path": path, "desk": to.to_string() }))?;
        Ok(Exit::Done)
    }
}

impl TakeKey {
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let read = context.disk.read(&self.file, PASSED_BYTES_MAX);
        let file = read.map_err(|error| Failure::usage(format!("{}: {error}", self.file.display())))?;
        let home = context.home()?;
        let given = given(context, &home, &self.passphrase)?;
        let members = bench(context, &home, given.as_ref().map(|it| it.as_str()))
            .await?
            .take(&file.into(), context.clock.now())
            .await?;
        tell(context, &home, &members, "This desk opens what is sealed to its office from now on")
    }
}

/// The passphrase of a home's keys, where one wraps them.
pub(super) fn given(
    context: &Context,
    home: &Home,
    passphrase: &Passphrase,
) -> Result<Option<zeroize::Zeroizing<String>>, Failure> {
    let wrapped = keys::needs_passphrase(context.disk.as_ref(), home.dir())?;
    if wrapped { passphrase.given(context).map(Some) } else { Ok(None) }
}

async fn bench<'a>(
    context: &'a Context,
    home: &'a Home,
    passphrase: Option<&'a str>,
) -> Result<Bench<'a>, Failure> {
    let channel = context.connect(home).await?;
    Ok(Bench { home, passphrase, random: context.random.as_ref(), channel })
}

fn tell(context: &Context, home: &Home, members: &Members, said: &str) -> Result<Exit, Failure> {
    confirm::alarm(context, home, members);
    let office = &home.desk()?.office;
    let key = members.policy().office_key(office).map(|key| fingerprint_of_recipient(key).to_string());
    context.screen.line(&format!("{said}: {}", key.as_deref().unwrap_or("none")))?;
    context.screen.object(&json!({ "object": "office_key", "office": office.as_str(), "key": key }))?;
    Ok(Exit::Done)
}

impl From<RotateError> for Failure {
    fn from(error: RotateError) -> Self {
        match error {
            RotateError::Keys(error) => error.into(),
            RotateError::Members(error) => error.into(),
            RotateError::Home(error) => error.into(),
            RotateError::Call(error) => error.into(),
            RotateError::Seal(_) => Self::new(Exit::Fault, error.to_string()),
            RotateError::NotPassed(_) => Self::new(Exit::Integrity, error.to_string()),
            RotateError::NoOfficeKey(_)
            | RotateError::Behind(_)
            | RotateError::Clock
            | RotateError::NoDesk(_) => Self::usage(error.to_string()),
        }
    }
}
