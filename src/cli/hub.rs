//! `hub init|run|status|clock-ok|config|verify|rebuild|backup|restore`: the operator's commands.
//!
//! Owns what an operator is told. Never decides what is damage: the hub does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::backup::{Backup, Restore};
use super::context::Context;
use super::exit::{Exit, Failure};
use super::hub_config::HubConfig;
use super::log::{self, LogForm};
use super::office::told;
use super::registrar::read_amendment;
use super::screen::Tone;
use super::status;
use crate::desk::members;
use crate::host::network::TcpNetwork;
use crate::hub::home::{Home, HomeError};
use crate::hub::logs::keeper::LogError;
use crate::hub::open::{self, News, OpenError, Progress};
use crate::hub::papers::PapersError;
use crate::hub::run::{self, Host, RunError};
use crate::hub::verify::{self, VerifyError};
use crate::journal::{JournalError, Recovery, Verified};
use crate::ledger::store::SetAside;
use crate::ledger::store::sled::SledStores;
use crate::wire::amendment;

/// After how many entries more the progress of a check is told.
const PROGRESS_ENTRIES: u64 = 100_000;
/// What tells one start of the machine from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The hub.
#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// Founds a hub: makes its journal, whose first entry is the founding that the registrars signed.
    #[command(after_help = "Example:\n  resguardo hub init --home certs-dev/hub")]
    Init(Init),
    /// Runs a hub until Ctrl-C or SIGTERM.
    ///
    /// Prints `listening on ADDRESS` when it takes calls. What an operator should know goes to standard error.
    #[command(after_help = "Example:\n  resguardo hub run --home certs-dev/hub")]
    Run(Run),
    /// Tells how a running hub is: alarms, disk, connections, and what is open at each office. For operators.
    #[command(after_help = "Example:\n  resguardo hub status --home certs-dev/operator-dev")]
    Status,
    /// Checks a hub's `hub.toml`, and prints what is in effect with it. The hub may run.
    #[command(after_help = "Example:\n  resguardo hub config --print --home certs-dev/hub")]
    Config(HubConfig),
    /// Says that you have looked at the hub's clock after it jumped: it calls things overdue and expired again.
    #[command(after_help = "Example:\n  resguardo hub clock-ok --home certs-dev/operator-dev")]
    ClockOk,
    /// Hands in what the registrars signed for the directory. For operators and desks.
    #[command(subcommand)]
    Directory(DirectoryCommand),
    /// Checks a hub that is not running: every frame of the journal, and that the ledger agrees with it.
    #[command(after_help = "Example:\n  resguardo hub verify --home certs-dev/hub")]
    Verify,
    /// Builds the ledger of a hub that is not running anew from its journal; the old one is moved aside.
    #[command(after_help = "Example:\n  resguardo hub rebuild --home certs-dev/hub")]
    Rebuild,
    /// Backs up a hub, running or not, into a folder: its journal and `hub.toml`, not its keys.
    Backup(Backup),
    /// Lays a new home from a backup; the hub that runs on it goes on where the backup ends.
    Restore(Restore),
}

/// `hub directory`
#[derive(Debug, Subcommand)]
pub enum DirectoryCommand {
    /// Hands in an amendment, or new keys of a desk that one registrar has signed. For operators and desks.
    #[command(after_help = "Example:\n  resguardo hub directory add peru --home certs-dev/operator-dev")]
    Add {
        /// The file: an amendment has the signatures of registrars of both institutions.
        amendment: PathBuf,
    },
}

/// `hub run`
#[derive(Debug, Args)]
pub struct Run {
    /// The form of the log on standard error; what is told in it, the environment variable RUST_LOG says.
    #[arg(long, value_name = "FORM", default_value = "text")]
    log: LogForm,
}

/// `hub init`
#[derive(Debug, Args)]
pub struct Init {
    /// The founding, signed; `founding` in the home where none is named.
    #[arg(long, value_name = "FILE")]
    founding: Option<PathBuf>,
}

impl HubCommand {
    /// Does it.
    ///
    /// # Errors
    /// [`Exit::Integrity`] for damage, [`Exit::Usage`] for a home, configuration or founding file that is not right,
    /// [`Exit::Fault`] for the rest.
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        if matches!(self, Self::Status) {
            let left = "Nothing was changed.";
            return context.unless_stopped(left, status::run(context)).await;
        }
        if matches!(self, Self::ClockOk) {
            return context
                .unless_stopped("Ask `resguardo hub status` whether it went on.", status::clock_ok(context))
                .await;
        }
        if let Self::Directory(DirectoryCommand::Add { amendment }) = self {
            let left = "Ask `resguardo office list` whether it was taken in.";
            return context.unless_stopped(left, add(context, amendment)).await;
        }
        let Some(home) = &context.home else {
            return Err(Failure::usage("which hub? Name its home with --home DIR or RESGUARDO_HOME"));
        };
        let host = host(context);
        match self {
            Self::Backup(backup) => return backup.run(context, &host, home).await,
            Self::Restore(restore) => return restore.run(context, &host, home),
            Self::Init(init) => {
                let (place, founding) = (Home::at(home), init.founding.as_deref());
                let (facts, trust) = open::found(&host, &place, founding, &mut |news| tell(context, news))?;
                context.screen.line(&format!(
                    "founded: {facts} facts of the directory are the journal's first entry"
                ))?;
                context.screen.line(&format!("founding  {trust}"))?;
            }
            Self::Run(run) => serve(context, &host, home, run.log).await?,
            Self::Config(config) => return config.run(context, &Home::at(home)),
            Self::Status | Self::ClockOk | Self::Directory(_) => {
                unreachable!("it is asked of a running hub, above")
            }
            Self::Verify => return verified(context, &host, home),
            Self::Rebuild => {
                let place = Home::at(home);
                let _lock = place.lock(host.disk.as_ref())?;
                let config = place.config(host.disk.as_ref())?;
                let opened = match open::rebuild(&host, &place, &config, &mut |news| tell(context, news)) {
                    Err(OpenError::Stopped) => return Ok(stopped(context, &OpenError::Stopped)),
                    opened => opened?,
                };
                let entries = opened.reader.mark().next_index;
                let logs = open::rebuild_logs(&host, &place, &opened);
                opened.close()?;
                context.screen.line(&format!("rebuilt: the ledger stands at entry {entries}"))?;
                let [journal, directory] = logs?;
                context.screen.line(&format!(
                    "rebuilt: the logs' tiles, for {journal} entries of the journal and {directory} of the directory"
                ))?;
            }
        }
        Ok(Exit::Done)
    }
}

/// Says that more was asked for than was done.
pub(super) fn stopped(context: &Context, error: &impl ToString) -> Exit {
    context.screen.aside(Tone::Warning, &error.to_string());
    context.stop.exit()
}

/// Hands in an amendment.
async fn add(context: &Context, path: &Path) -> Result<Exit, Failure> {
    let signed = read_amendment(context, path)?;
    let home = context.home()?;
    let channel = context.connect(&home).await?;
    let version = members::amend(channel, amendment::bytes(&signed)).await?;
    if home.desk().is_ok() {
        // Its own new keys come into their places.
        told(context).await?;
    }
    context.screen.line(&format!("The directory is at version {version} now."))?;
    context.screen.object(&serde_json::json!({ "object": "directory", "version": version.0 }))?;
    Ok(Exit::Done)
}

fn host(context: &Context) -> Host {
    Host {
        disk: context.disk.clone(),
        clock: context.clock.clone(),
        random: context.random.clone(),
        network: Arc::new(TcpNetwork),
        tasks: context.tasks.clone(),
        stores: Arc::new(SledStores {
            // Where the system has no such file, a ledger is built anew after every stop that was not in order.
            boot_id: std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned(),
        }),
        reload: Arc::default(),
        stop: context.stop.token.clone(),
    }
}

async fn serve(context: &Context, host: &Host, home: &Path, form: LogForm) -> Result<(), Failure> {
    form.begin();
    let descriptors = raise_descriptors();
    if let Ok(config) = Home::at(home).config(context.disk.as_ref())
        && let Some(allowed) = descriptors
        && let needed = config.limits.descriptors()
        && allowed < needed
    {
        tracing::warn!(
            allowed,
            needed,
            "the system allows fewer open files than limits of connections and handshakes may need: raise its limit \
             (LimitNOFILE, ulimit -n), or lower them"
        );
    }
    let ready = |address| {
        log::ready();
        // A closed standard output is no reason not to serve.
        let _ = context.screen.line(&format!("listening on {address}"));
        let _ = context.screen.object(&serde_json::json!({ "object": "listening", "address": address }));
    };
    watch_hangups(context, Arc::clone(&host.reload));
    match run::run(host, home, &mut log_news, ready).await {
        Err(RunError::Open(OpenError::Stopped)) => tracing::info!("{}", OpenError::Stopped),
        ended => ended?,
    }
    tracing::info!("stopped in order");
    Ok(())
}

/// Takes as many descriptors as the system allows, and gives how many; `None`: without a bound. Where there are fewer than
/// connections may be, strangers could leave the journal without one.
fn raise_descriptors() -> Option<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Up to the maximum everybody may.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current
}

/// Has the hub look at its files at each SIGHUP, as operators expect of a service.
fn watch_hangups(context: &Context, reload: Arc<Notify>) {
    let watch = async move {
        // Where the system does not give signals, the files are looked at from time to time all the same.
        let Ok(mut signals) = signal(SignalKind::hangup()) else { return };
        while signals.recv().await.is_some() {
            reload.notify_one();
        }
    };
    drop(context.tasks.spawn("hangups", Box::pin(watch)));
}

/// Tells how far the check of a journal is, now and then.
pub(super) fn checking(context: &Context) -> impl FnMut(&Verified) {
    let mut told = 0;
    move |so_far| {
        if so_far.entries >= told + PROGRESS_ENTRIES {
            told = so_far.entries;
            // Progress that cannot be told stops nothing.
            let _ = context.screen.line(&format!("checked so far: {} entries, {} bytes", told, so_far.bytes));
        }
    }
}

fn verified(context: &Context, host: &Host, home: &Path) -> Result<Exit, Failure> {
    let mut progress = checking(context);
    let report = match verify::verify(host, home, &mut |news| tell(context, news), &mut progress) {
        Err(VerifyError::Open(OpenError::Stopped)) => return Ok(stopped(context, &OpenError::Stopped)),
        report => report?,
    };
    let (journal, rows) = (report.journal, report.ledger_rows);
    context.screen.line(&format!(
        "whole: {} entries in {} batches and {} segments, {} payloads kept, {} erased, {} bytes",
        journal.entries, journal.batches, journal.segments, journal.payloads, journal.erased, journal.bytes
    ))?;
    if report.to_erase > 0 {
        let words =
            format!("{} payloads are still to be erased: the hub does it when it runs", report.to_erase);
        context.screen.line(&words)?;
    }
    context.screen.line(&format!("agrees: {rows} rows of the ledger are those that the journal gives"))?;
    for log in &report.logs {
        let (name, entries) = (log.log.name(), log.entries);
        let signed = log.signed.map_or_else(
            || "nothing of it is signed yet".to_owned(),
            |head| format!("{} of them under the last checkpoint, root {}", head.size, head.root),
        );
        context.screen.line(&format!("agrees: the {name}'s log, {entries} entries, {signed}"))?;
        context.screen.object(&serde_json::json!({
            "object": "verified_log", "log": name, "entries": entries, "tiles": log.tiles,
            "signed": log.signed.map(|head| head.size), "root": log.signed.map(|head| head.root.to_string()),
        }))?;
    }
    context.screen.object(&serde_json::json!({
        "object": "verified",
        "entries": journal.entries,
        "batches": journal.batches,
        "segments": journal.segments,
        "payloads": journal.payloads,
        "erased": journal.erased,
        "to_erase": report.to_erase,
        "bytes": journal.bytes,
        "ledger_rows": rows,
    }))?;
    Ok(Exit::Done)
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        let exit = match &error {
            HomeError::Locked(_) => Exit::Fault,
            HomeError::File { error, .. } => Self::of_unread(error.kind()),
            HomeError::Text(_) | HomeError::Config(_) => Exit::Usage,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let exit = if matches!(error, JournalError::Damage(_)) { Exit::Integrity } else { Exit::Fault };
        Self::new(exit, format!("journal: {error}"))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Home(error) => error.into(),
            OpenError::Journal(error) => error.into(),
            OpenError::JournalLost(_) => Self::new(Exit::Integrity, error.to_string()),
            OpenError::Log(error) => error.into(),
            OpenError::Trust(_)
            | OpenError::Founding(_)
            | OpenError::Founded(_)
            | OpenError::NotFounded(_) => Self::usage(error.to_string()),
            OpenError::Ledger(_) | OpenError::LedgerForeign | OpenError::Stopped => {
                Self::new(Exit::Fault, error.to_string())
            }
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let exit = match &error {
            LogError::Journal(_) | LogError::File { .. } => Exit::Fault,
            LogError::Disk(_) | LogError::Checkpoint { .. } | LogError::Disagrees { .. } => Exit::Integrity,
        };
        Self::new(exit, format!("logs: {error}"))
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Open(error) => error.into(),
            RunError::Home(error) => error.into(),
            RunError::Papers(PapersError::Tls(error)) if error.is_failure() => {
                Self::new(Exit::Fault, error.to_string())
            }
            RunError::Papers(error) => Self::usage(error.to_string()),
            other => Self::new(Exit::Fault, other.to_string()),
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Open(error) => error.into(),
            VerifyError::Home(error) => error.into(),
            VerifyError::Journal(error) => error.into(),
            VerifyError::Log(error) => error.into(),
            VerifyError::Differs { .. }
            | VerifyError::ErasedWithoutOrder(_)
            | VerifyError::LedgerSetAside(_) => Self::new(Exit::Integrity, error.to_string()),
            other => Self::new(Exit::Fault, other.to_string()),
        }
    }
}

fn tell(context: &Context, news: &News) {
    for line in lines(news) {
        // Who asked may have closed the terminal; the work goes on.
        let _ = context.screen.line(&line);
    }
}

fn log_news(news: &News) {
    for line in lines(news) {
        tracing::info!("{line}");
    }
}

fn lines(news: &News) -> Vec<String> {
    match news {
        News::Journal(Recovery { torn, ends_remade, closed: _ }) => {
            let torn = torn.iter().map(|torn| {
                format!(
                    "the journal's tail was torn and is cut: {} bytes from byte {} of {}; nobody was answered for them",
                    torn.bytes,
                    torn.offset,
                    torn.path.display()
                )
            });
            let remade = ends_remade.iter().map(|path| {
                format!(
                    "the end of {} was missing or damaged: it is made again from its batches, which are whole",
                    path.display()
                )
            });
            torn.chain(remade).collect()
        }
        News::LedgerSetAside(SetAside { why, to }) => {
            vec![format!("{why}; its rows are now {}, and it is built anew", to.display())]
        }
        News::CatchingUp(progress) => vec![format!("the ledger takes in what it lacks: {}", far(*progress))],
        News::BuildingSecond(progress) => {
            vec![format!("a second ledger is built to compare with: {}", far(*progress))]
        }
    }
}

fn far(progress: Progress) -> String {
    let Progress { applied, lacked, per_s } = progress;
    let left = if applied < lacked { format!(", about {} s left", progress.left_s()) } else { String::new() };
    format!("{applied} of {lacked} entries, {per_s} a second{left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_tells_the_rate_and_what_is_left() {
        let told = |applied| far(Progress { applied, lacked: 1_000, per_s: 300 });
        assert_eq!(told(100), "100 of 1000 entries, 300 a second, about 3 s left");
        assert_eq!(told(1_000), "1000 of 1000 entries, 300 a second");
    }
}
