//! This exchange beside others that sync before they confirm: `scripts/bench-peers`.
//!
//! A package of its own, so that what talks to others is no dependency of the program; the program that it measures is built
//! from the same source with the same settings. In one run and in turns, with the same callers, subscribers, messages, TLS and
//! disk: Redis, NATS, RabbitMQ, and ours. Prints numbers, never judges by them: it fails only when a message is lost or left
//! unacknowledged.

#[path = "../../exchange/bare.rs"]
mod bare;
mod bars;
#[expect(dead_code, reason = "another benchmark measures files without alerts, too")]
#[path = "../../exchange/beside.rs"]
mod beside;
mod bulk;
#[path = "../../common/mod.rs"]
mod common;
mod contest;
#[path = "../../exchange/echo.rs"]
mod echo;
#[path = "../../exchange/limits.rs"]
mod limits;
mod load;
mod nats;
mod options;
mod peer;
#[expect(dead_code, reason = "another benchmark measures a bare exchange, too")]
#[path = "../../exchange/point.rs"]
mod point;
mod rabbit;
mod redis;
mod report;
mod server;
#[expect(dead_code, reason = "another benchmark asks for the bytes of an entry, too")]
#[path = "../../exchange/supply.rs"]
mod supply;
mod syncs;
#[path = "../../exchange/unchecked.rs"]
mod unchecked;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Parser as _;
use resguardo::wire::proto::DescribeDirectoryRequest;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;

use crate::common::hub::{DevSet, PROGRAM, SENDER};
use crate::common::messages::Audience;
use crate::common::stopwatch::Stopwatch;
use crate::common::{document, machine};
use crate::contest::{Contestant, Ring};
use crate::limits::{Limit, Limits};
use crate::options::Options;
use crate::point::Measured;
use crate::server::TlsFiles;
use crate::supply::Supply;
use crate::syncs::Syncs;

/// The callers and subscribers stand for offices' programs, of which ours has this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    match (&options.bare_server, &options.unchecked_hub) {
        (Some(home), _) => runtime.block_on(echo::serve(home, None)),
        (None, Some(home)) => runtime.block_on(unchecked::serve(home)),
        (None, None) => {
            let provider = rustls::crypto::aws_lc_rs::default_provider();
            provider.install_default().map_err(|_| anyhow!("another provider of TLS is installed"))?;
            runtime.block_on(run(&options))
        }
    }
}

/// Its name in the marks of a document.
const NAME: &str = "the benchmark of the peers";
/// The name of its part about alerts beside bulk.
const BULK_NAME: &str = "the benchmark of the peers beside bulk";

async fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.write {
        // Before the long part, not after it.
        document::has_marks(path, options.name())?;
    }
    std::fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    let folder = tempfile::Builder::new().prefix("peers-").tempdir_in(&options.folder)?;
    let watch = Stopwatch::start();
    let machine = machine::describe(folder.path());
    let head = format!("{machine}\n\n{}\n\n{}{}", versions(options)?, options.summary(), busy().await?);
    say(&head)?;
    let measured = measure(options, folder.path(), watch).await?;
    let tables = report::tables(&measured);
    say(&tables)?;
    let shown = if options.bulk { "" } else { CHART };
    if let Some(path) = &options.write {
        document::write(path, options.name(), &format!("{head}\n\n{tables}{shown}"))?;
    }
    if let (Some(path), false) = (&options.write, options.bulk) {
        let chart = path.with_file_name("peers.svg");
        std::fs::write(&chart, bars::draw(&report::panels(&measured.rounds)))
            .with_context(|| chart.display().to_string())?;
    }
    say(&format!("{:.0} s in all", watch.seconds()))
}

/// What is to be said where the machine has other work: servers with one thread suffer most from it.
async fn busy() -> Result<String> {
    let (busy, all) = ticks()?;
    tokio::time::sleep(LOOK).await;
    let (busy_then, all_then) = ticks()?;
    let percent = (busy_then - busy) * 100 / (all_then - all).max(1);
    Ok(match percent {
        0..BUSY_PERCENT => String::new(),
        _ => format!("; NOT ALONE, others have {percent} % of the processors: the ratios decide nothing"),
    })
}

/// Reads the processors' time that was spent working, and all of it, in ticks.
fn ticks() -> Result<(u64, u64)> {
    let told = std::fs::read_to_string("/proc/stat")?;
    let fields = told.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().context("/proc/stat")?;
    ensure!(ticks.len() >= 8, "/proc/stat has too few numbers");
    // User, nice, system, idle, waiting for a disk, interrupts of two kinds, stolen by other machines.
    let all = ticks[..8].iter().sum();
    Ok((all - ticks[3] - ticks[4], all))
}

/// Names the others that are measured, in a line.
fn versions(options: &Options) -> Result<String> {
    let mut named = Vec::new();
    for contestant in options.contestants() {
        let version = match contestant {
            Contestant::Redis => redis::Redis::version()?,
            Contestant::Nats(_) => nats::Nats::version()?,
            Contestant::Rabbit => rabbit::Rabbit::version()?,
            Contestant::Ours(..) => server::version(std::process::Command::new(PROGRAM).arg("--version"))?,
        };
        if !named.contains(&version) {
            named.push(version);
        }
    }
    Ok(named.join("; "))
}

/// What shows the chart in the document.
const CHART: &str =
    "\n![Messages a second, end to end, processor time and memory of all that were measured](peers.svg)\n";
/// How long it is looked whether the machine has other work.
const LOOK: Duration = Duration::from_secs(1);
/// From which part of its processors' time on it has, in percent.
const BUSY_PERCENT: u64 = 10;

/// What was synced when, by each of those that were looked at.
type Looked = Vec<(Contestant, Syncs)>;

/// One measurement and the limit just before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) contestant: Contestant,
    pub(crate) callers: u32,
    pub(crate) limit: Limit,
    pub(crate) measured: Measured,
}

/// All that was measured.
#[derive(Default)]
struct All {
    looked: Looked,
    /// Of each round its turns.
    rounds: Vec<Vec<Turn>>,
    /// Of each round its phases beside bulk.
    bulk: Vec<Vec<bulk::Measured>>,
}

/// Measures all rounds.
async fn measure(options: &Options, folder: &Path, watch: Stopwatch) -> Result<All> {
    let dev = DevSet::make(folder)?;
    let limits = Limits::start(&dev, folder, watch, options.quick).await?;
    let supply = Supply::make(&dev, audience(&dev).await?, options.made(), watch)?;
    for line in supply.told() {
        say(&line)?;
    }
    let tls = TlsFiles::of(&dev);
    let ring = Ring { dev: &dev, supply: &supply, tls: &tls, folder, watch };
    let mut all = All { looked: look(options, &ring).await?, ..All::default() };
    for round in 0..options.rounds() {
        let mut contestants = options.contestants();
        if !contestants.is_empty() {
            let by = usize::try_from(round)? * 3 % contestants.len();
            contestants.rotate_left(by);
        }
        if options.bulk {
            all.bulk.push(beside_bulk(&contestants, &ring, options.alerts(), round).await?);
            continue;
        }
        let mut turns = Vec::new();
        for contestant in contestants {
            for &callers in &options.callers {
                let limit = limits.probe().await?;
                let measured = contestant.measure(&ring, callers, options.load(contestant)).await;
                let measured = measured.with_context(|| format!("{contestant}, {callers} callers"))?;
                say(&format!("round {}  {limit}  {contestant:<31} {callers:>3}  {measured}", round + 1))?;
                turns.push(Turn { contestant, callers, limit, measured });
            }
        }
        all.rounds.push(turns);
    }
    Ok(all)
}

/// Measures alerts beside bulk: of ours once, as the program takes them.
async fn beside_bulk(
    contestants: &[Contestant],
    ring: &Ring<'_>,
    alerts: u32,
    round: u32,
) -> Result<Vec<bulk::Measured>> {
    let mut phases: Vec<bulk::Measured> = Vec::new();
    for contestant in contestants {
        if contestant.is_peer() || phases.iter().all(|it| !it.ours) {
            let measured =
                contestant.beside_bulk(ring, alerts).await.with_context(|| contestant.to_string())?;
            for phase in &measured {
                say(&format!("round {}  {phase}", round + 1))?;
            }
            phases.extend(measured);
        }
    }
    Ok(phases)
}

/// Looks who syncs when: of ours once, for how messages are handed in and what they are makes no difference to it.
async fn look(options: &Options, ring: &Ring<'_>) -> Result<Looked> {
    let mut looked = Looked::new();
    if options.no_syncs || options.bulk {
        return Ok(looked);
    }
    for contestant in options.contestants() {
        if contestant.is_peer() || looked.iter().all(|(it, _): &(Contestant, Syncs)| it.is_peer()) {
            let syncs = Syncs::of(contestant, ring).await?;
            say(&format!("{contestant}  {syncs:?}"))?;
            looked.push((contestant, syncs));
        }
    }
    Ok(looked)
}

/// Whom the messages are for, by a hub's directory.
async fn audience(dev: &DevSet) -> Result<Audience> {
    let hub = dev.start_hub()?;
    let channel = hub.connect(&dev.office_home(SENDER)).await?;
    let directory =
        DirectoryServiceClient::new(channel).describe_directory(DescribeDirectoryRequest::default()).await?;
    Audience::of(&directory.into_inner(), dev)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
