//! How far the hub is from what its machine can do: `cargo bench --bench exchange`.
//!
//! In one run and in turns: the limits of the machine (a synced append, a bare echo over mutual TLS), a bare exchange that
//! keeps nothing, and the hub in its own process, with its journal on disk, six subscribers that acknowledge each message,
//! and callers that wait for each confirmation; and what sealing and signing take. Prints numbers, never judges by them: it
//! fails only when a message is lost or left unacknowledged.

mod appending;
mod bare;
mod beside;
#[path = "../common/mod.rs"]
mod common;
mod echo;
mod limits;
mod operations;
mod options;
mod point;
mod primitives;
mod raw;
mod report;
mod steps;
mod supply;
mod unchecked;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use resguardo::wire::proto::DescribeDirectoryRequest;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;

use crate::common::hub::{DevSet, SENDER};
use crate::common::messages::Audience;
use crate::common::stopwatch::Stopwatch;
use crate::common::{document, machine};
use crate::limits::{Limit, Limits};
use crate::operations::Operation;
use crate::options::Options;
use crate::point::{Content, Measured, Point};
use crate::steps::Steps;
use crate::supply::Supply;

/// Its name in the marks of a document.
const NAME: &str = "the benchmark";
/// The name of its part about the logs.
const LOGS_NAME: &str = "the benchmark of the logs";
/// The name of its part about the steps of a message's way.
const STEPS_NAME: &str = "the benchmark of the steps";
/// Echoes of each step that count.
const STEP_ECHOES: u32 = 4_000;
/// Seconds for which bare hashes are measured.
const HASHES_S: f64 = 0.5;

/// The callers and subscribers stand for offices' programs, which have this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
    match (&options.bare_server, &options.unchecked_hub) {
        (Some(home), _) => match options.raw {
            Some(raw) => runtime.block_on(raw::serve(home, raw)),
            None => runtime.block_on(echo::serve(home, options.appended.as_deref())),
        },
        (None, Some(home)) => runtime.block_on(unchecked::serve(home)),
        (None, None) => runtime.block_on(run(&options)),
    }
}

async fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.write {
        // Before the long part, not after it.
        for name in options.names() {
            document::has_marks(path, name)?;
        }
    }
    std::fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    let folder = tempfile::Builder::new().prefix("exchange-").tempdir_in(&options.folder)?;
    let watch = Stopwatch::start();
    let machine = machine::describe(folder.path());
    say(&machine)?;
    let rounds = measure(options, folder.path(), watch).await?;
    for name in options.names() {
        let report = match name {
            NAME => format!("{}\n\n{}", options.summary(), report::table(&rounds)),
            STEPS_NAME => format!("{}\n\n{}", options.summary(), steps::table(&rounds.steps)),
            _ => format!(
                "{}\n{}",
                options.turns_summary(),
                appending::table(&rounds.appending, rounds.hashes_us)
            ),
        };
        say(&report)?;
        if let Some(path) = &options.write {
            document::write(path, name, &format!("{machine}\n\n{report}"))?;
            if name == STEPS_NAME {
                let drawn = path.with_file_name("steps.svg");
                std::fs::write(&drawn, steps::draw(&rounds.steps))
                    .with_context(|| drawn.display().to_string())?;
            }
        }
    }
    say(&format!("{:.0} s in all", watch.seconds()))
}

/// Every measurement, in the order in which it was made.
#[derive(Default)]
struct Rounds {
    /// What was made beforehand, in sentences.
    made: Vec<String>,
    /// Of each round all of them.
    operations: Vec<Vec<Operation>>,
    limits: Vec<Limit>,
    points: Vec<(Point, Limit, Measured)>,
    /// Of each round its phases.
    beside: Vec<Vec<beside::Measured>>,
    /// Of each round files without alerts.
    flat_out: Vec<beside::FlatOut>,
    /// Of each round its turns with logs and without.
    appending: Vec<Vec<appending::Turn>>,
    /// What the bare hashes of a signed message's entry take, and of an opaque one's, in microseconds.
    hashes_us: [f64; 2],
    /// Of each round the steps of a message's way.
    steps: Vec<Steps>,
}

async fn measure(options: &Options, folder: &Path, watch: Stopwatch) -> Result<Rounds> {
    let dev = DevSet::make(folder)?;
    let limits = Limits::start(&dev, folder, watch, options.quick).await?;
    let mut rounds = Rounds::default();
    say(&options.summary())?;
    let supply = Supply::make(&dev, audience(&dev).await?, options.made(), watch)?;
    rounds.made = supply.told();
    for line in &rounds.made {
        say(line)?;
    }
    if options.turns().is_some() {
        let us = |content| appending::hashes_us(supply.entry_bytes(content), HASHES_S, watch);
        rounds.hashes_us = [Content::Signed, Content::Opaque].map(us);
    }
    for round in 1..=options.rounds() {
        if let Some(seconds) = options.operations_s() {
            let operations = operations::measure(&dev, &supply.audience, seconds, watch)?;
            for operation in &operations {
                say(&format!("round {round}  {operation}"))?;
            }
            rounds.operations.push(operations);
        }
        if options.points().is_empty() && options.names().contains(&NAME) {
            let limit = limits.probe().await?;
            say(&format!("round {round}  {limit}"))?;
            rounds.limits.push(limit);
        }
        for point in options.points() {
            let limit = limits.probe().await?;
            let measured = point::measure(point, (&dev, &supply), options.load(), watch).await?;
            say(&format!("round {round}  {limit}  {point}  {measured}"))?;
            rounds.limits.push(limit);
            rounds.points.push((point, limit, measured));
        }
        if options.steps() {
            let samples = if options.quick { 50 } else { STEP_ECHOES };
            let steps = steps::measure((&dev, &supply), folder, options.load(), samples, watch).await?;
            say(&format!("round {round}\n{}", steps::table(std::slice::from_ref(&steps))))?;
            rounds.steps.push(steps);
        }
        if let Some(turns) = options.turns() {
            let connections = options.load().connections;
            let say = |turn: &str| say(&format!("round {round}  {turn}"));
            let measured = appending::measure(turns, (&dev, &supply), connections, watch, &say).await?;
            rounds.appending.push(measured);
        }
        if let Some(alerts) = options.alerts_beside_files() {
            let phases = beside::measure(alerts, &dev, watch).await?;
            for phase in &phases {
                say(&format!("round {round}  {phase}"))?;
            }
            rounds.beside.push(phases);
            let flat_out = beside::flat_out(options.files_flat_out(), &dev, watch).await?;
            say(&format!("round {round}  {flat_out}"))?;
            rounds.flat_out.push(flat_out);
        }
    }
    Ok(rounds)
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
