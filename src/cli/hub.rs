//! `hub init|run|verify|rebuild`: the operator's commands.
//!
//! Owns what an operator is told. Never decides what is damage: the hub does.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::hub::home::{Home, HomeError};
use crate::hub::open::{self, News, OpenError, Progress};
use crate::hub::run::{self, Host, RunError};
use crate::hub::verify::{self, VerifyError};
use crate::journal::{JournalError, Verified};
use crate::ledger::store_sled::SetAside;

/// The hub.
#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// Founds a hub: makes its journal, whose first entries are the facts of the founding file.
    #[command(after_help = "Example:\n  resguardo hub init --home certs-dev/hub")]
    Init(Init),
    /// Runs a hub until Ctrl-C or SIGTERM.
    ///
    /// Prints `listening on ADDRESS` when it takes calls. What an operator should know goes to standard error.
    #[command(after_help = "Example:\n  resguardo hub run --home certs-dev/hub")]
    Run,
    /// Checks a hub that is not running: every frame of the journal, and that the ledger agrees with it.
    #[command(after_help = "Example:\n  resguardo hub verify --home certs-dev/hub")]
    Verify,
    /// Builds the ledger of a hub that is not running anew from its journal; the old one is moved aside.
    #[command(after_help = "Example:\n  resguardo hub rebuild --home certs-dev/hub")]
    Rebuild,
}

/// `hub init`
#[derive(Debug, Args)]
pub struct Init {
    /// The founding file; `founding.toml` in the home where none is named.
    #[arg(long, value_name = "FILE")]
    founding: Option<PathBuf>,
}

/// Why a command of the operator's failed.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Opening.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Running.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Checking.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The terminal.
    #[error("cannot write: {0}")]
    Io(#[from] io::Error),
}

impl HubError {
    /// Whether what is on the disk is not what was written.
    pub fn is_damage(&self) -> bool {
        let journal = match self {
            Self::Open(OpenError::Journal(error))
            | Self::Run(RunError::Open(OpenError::Journal(error)))
            | Self::Verify(VerifyError::Journal(error) | VerifyError::Open(OpenError::Journal(error))) => {
                error
            }
            Self::Verify(VerifyError::Differs { .. }) => return true,
            _ => return false,
        };
        matches!(journal, JournalError::Damage(_))
    }
}

impl HubCommand {
    /// Does it. `stop` comes when the operator asks for an orderly stop.
    ///
    /// # Errors
    /// [`HubError`], each.
    pub async fn run(
        &self,
        host: &Host,
        home: &Path,
        out: &mut dyn Write,
        stop: impl Future<Output = ()>,
    ) -> Result<(), HubError> {
        match self {
            Self::Init(init) => {
                let facts = open::found(host, &Home::at(home), init.founding.as_deref())?;
                writeln!(out, "founded: {facts} facts are the first entries of the journal")?;
            }
            Self::Run => {
                let ready = |address| {
                    // A closed standard output is no reason not to serve.
                    let _ = writeln!(out, "listening on {address}").and_then(|()| out.flush());
                };
                run::run(host, home, &mut log_news, ready, stop).await?;
                tracing::info!("stopped in order");
            }
            Self::Verify => verified(host, home, out)?,
            Self::Rebuild => {
                let place = Home::at(home);
                let _lock = place.lock(host.disk.as_ref())?;
                let config = place.config(host.disk.as_ref())?;
                let opened = open::rebuild(host, &place, &config, &mut |news| tell(out, news))?;
                let entries = opened.reader.mark().next_index;
                opened.close()?;
                writeln!(out, "rebuilt: the ledger stands at entry {entries}")?;
            }
        }
        Ok(())
    }
}

fn verified(host: &Host, home: &Path, out: &mut dyn Write) -> Result<(), HubError> {
    let mut told = 0;
    let mut progress = |so_far: &Verified| {
        if so_far.entries >= told + 100_000 {
            told = so_far.entries;
            tracing::info!(entries = so_far.entries, bytes = so_far.bytes, "checking the journal");
        }
    };
    let report = verify::verify(host, home, &mut |news| tell(out, news), &mut progress)?;
    let journal = report.journal;
    writeln!(
        out,
        "whole: {} entries in {} batches and {} segments, {} payloads kept, {} erased, {} bytes",
        journal.entries, journal.batches, journal.segments, journal.payloads, journal.erased, journal.bytes
    )?;
    writeln!(out, "agrees: {} rows of the ledger are those that the journal gives", report.ledger_rows)?;
    Ok(())
}

fn tell(out: &mut dyn Write, news: &News) {
    if let Some(line) = line(news) {
        // Who asked may have closed the terminal; the work goes on.
        let _ = writeln!(out, "{line}");
    }
}

fn log_news(news: &News) {
    if let Some(line) = line(news) {
        tracing::info!("{line}");
    }
}

fn line(news: &News) -> Option<String> {
    match news {
        News::Journal(recovery) => {
            let torn = recovery.torn.as_ref()?;
            Some(format!(
                "the journal's tail was torn and is cut: {} bytes from byte {} of {}; nobody was answered for them",
                torn.bytes,
                torn.offset,
                torn.path.display()
            ))
        }
        News::LedgerSetAside(SetAside { why, to }) => {
            Some(format!("{why}; its rows are now {}, and it is built anew", to.display()))
        }
        News::CatchingUp(Progress { applied, lacked }) => {
            Some(format!("the ledger takes in what it lacks: {applied} of {lacked} entries"))
        }
    }
}
