//! What a year of the exchange leaves, and what it asks of a desk's line: `cargo bench --bench year`.
//!
//! A real hub and real desks give the evidence of one alert, and what an idle desk's line carries. Then the log of a simulated year
//! is grown on the disk by the hub's own code, with that evidence at many places, and each is verified under the year's tree.
//! Prints numbers, never judges by them: it fails only when evidence does not hold or a round of witnesses does not come.

#[path = "../common/mod.rs"]
mod common;
mod exported;
mod grown;
mod history;
mod idle;
mod line;
mod options;
mod proved;
mod report;
mod rhythm;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use resguardo::desk::home::Home;
use resguardo::host::disk::OsDisk;
use resguardo::proof::TiledTree;
use resguardo::wire::log::Log;
use resguardo::wire::proto::DescribeDirectoryRequest;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;

use crate::common::hub::{DevSet, Hub, SENDER};
use crate::common::messages::Audience;
use crate::common::stopwatch::Stopwatch;
use crate::common::{document, machine};
use crate::exported::Exported;
use crate::grown::Grown;
use crate::idle::Idle;
use crate::options::Options;
use crate::proved::{Placed, Signers, Verified};
use crate::report::float;
use crate::rhythm::{ENTRIES_A_MESSAGE, Happened};

/// Its name in the marks of a document.
const NAME: &str = "the benchmark of a year";

/// All that was measured.
struct Measured {
    grown: Grown,
    /// Bytes of the last round's note: before anybody cosigned, and after all did.
    notes: [usize; 2],
    idle: Idle,
    exported: Exported,
    verified: Verified,
    /// Hashes of the proof of growth between the last rounds, in the mean.
    proof_hashes: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    tokio::runtime::Runtime::new().context("no runtime")?.block_on(run(&options))
}

async fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.write {
        // Before the long part, not after it.
        document::has_marks(path, NAME)?;
    }
    std::fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    let folder = tempfile::Builder::new().prefix("year-").tempdir_in(&options.folder)?;
    let machine = machine::describe(folder.path());
    say(&format!("{machine}\n{}", options.summary()))?;
    let watch = Stopwatch::start();
    let measured = measure(options, folder.path(), watch).await?;
    let table = report::table(&measured);
    say(&format!("{table}\n{:.0} s in all", watch.seconds()))?;
    if let Some(path) = &options.write {
        document::write(path, NAME, &format!("{machine}\n\n{}\n\n{table}", options.summary()))?;
    }
    Ok(())
}

async fn measure(options: &Options, folder: &Path, watch: Stopwatch) -> Result<Measured> {
    let dev = DevSet::make(folder)?;
    let hub = dev.start_hub()?;
    let audience = audience(&dev, &hub).await?;
    let offices = audience.offices.clone();
    dev.lead(exported::AUDITOR, hub.address())?;
    let exported = exported::measure((&dev, &hub), audience, options.exported(), watch).await?;
    say(&format!("{exported:?}: {:.0} s", watch.seconds()))?;
    hub.stop()?;
    let hub = dev.start_hub()?;
    for office in offices.iter().map(String::as_str).chain([SENDER, history::AUDITOR]) {
        dev.lead(office, hub.address())?;
    }
    let given = history::of_an_alert(&dev, &offices, folder)?;
    say(&format!("an alert and {} receipts: {:.0} s", given.entries.len() - 1, watch.seconds()))?;
    let idle = idle::measure(&dev, &hub, &offices, options.watch()).await?;
    say(&format!("{idle:?}: {:.0} s", watch.seconds()))?;
    hub.stop()?;

    let exchange = options.exchange();
    let (files, repeats) = options.evidence();
    let placed = Placed::new(given, files, exchange.days * exchange.messages_a_day * ENTRIES_A_MESSAGE)?;
    let grown = grown::grow(&exchange, &placed.records(), &folder.join("log"), watch)?;
    say(&format!("{} entries: {:.0} s", grown.happened.entries, watch.seconds()))?;
    let all: Vec<_> = offices.iter().cloned().chain([SENDER.to_owned()]).collect();
    let signers = Signers::of(&dev, &all)?;
    let trust = Home::open(std::sync::Arc::new(OsDisk), &dev.office_home(SENDER))?.trust()?;
    let verified = placed.verify(&grown.tiles, &signers, (trust, repeats), watch)?;
    let notes = signers.sizes(&Log::Journal.origin(&trust.founding), grown.tiles.head())?;
    let proof_hashes = proof_hashes(&grown)?;
    Ok(Measured { grown, notes, idle, exported, verified, proof_hashes })
}

/// The mean over the rounds of the last tenth of the year.
fn proof_hashes(grown: &Grown) -> Result<f64> {
    let Happened { rounds, .. } = &grown.happened;
    let last = &rounds[rounds.len() - rounds.len().div_ceil(10)..];
    let mut hashes = 0;
    for pair in last.windows(2) {
        let ((_, old), (_, new)) = (pair[0], pair[1]);
        hashes += TiledTree::new(&grown.tiles, new)?.consistency(old)?.hashes().len();
    }
    Ok(float(hashes as u64) / float((last.len() as u64).saturating_sub(1).max(1)))
}

/// Whom the one that publishes writes to: the six other offices.
async fn audience(dev: &DevSet, hub: &Hub) -> Result<Audience> {
    let channel = hub.connect(&dev.office_home(SENDER)).await?;
    let asked = DescribeDirectoryRequest::default();
    let directory = DirectoryServiceClient::new(channel).describe_directory(asked).await?;
    Audience::of(&directory.into_inner(), dev)
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
