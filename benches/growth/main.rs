//! What a hub costs that has stored many messages, beside one that has few: `cargo bench --bench growth`.
//!
//! For each size a fresh hub in its own process is filled by real callers, five subscribers acknowledge as they go and
//! one stays away; then everything is measured that could grow: publishing, delivery, catching up, each kind of start,
//! a check, memory and disk. Then what more offices cost, and what it takes to catch up on more. Prints numbers, never judges
//! by them: it fails only when a message is lost, doubled or left unacknowledged.

#[path = "../common/mod.rs"]
mod common;
mod curve;
mod enrolled;
mod offices;
mod options;
mod outstanding;
mod report;
mod size;

use std::io::Write as _;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::common::hub::DevSet;
use crate::common::stopwatch::Stopwatch;
use crate::common::{document, machine};
use crate::options::Options;

/// Its name in the marks of a document.
const NAME: &str = "the growth benchmark";
/// The name of its part about offices.
const OFFICES_NAME: &str = "the growth benchmark of offices";
/// The name of its part about what is outstanding.
const OUTSTANDING_NAME: &str = "the growth benchmark of what is outstanding";

/// The callers and subscribers stand for offices' programs, which have this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let options = Options::parse();
    tokio::runtime::Runtime::new().context("no runtime")?.block_on(run(&options))
}

async fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.write {
        // Before the long part, not after it.
        for name in options.names() {
            document::has_marks(path, name)?;
        }
    }
    std::fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    let folder = tempfile::Builder::new().prefix("growth-").tempdir_in(&options.folder)?;
    let watch = Stopwatch::start();
    let machine = machine::describe(folder.path());
    say(&format!("{machine}\n{}", options.summary()))?;
    let dev = DevSet::make(folder.path())?;
    for name in options.names() {
        let table = match name {
            OFFICES_NAME => {
                let (counts, alerts) = options.offices();
                let table = offices::table(&offices::measure(counts, alerts, &dev, watch).await?);
                format!("{alerts} alerts, one at a time\n\n{table}")
            }
            OUTSTANDING_NAME => {
                outstanding::table(&outstanding::measure(options.outstanding(), &dev, watch).await?)
            }
            _ => stored(options, &dev, watch).await?,
        };
        say(&format!("{table}\n{:.0} s in all", watch.seconds()))?;
        if let Some(path) = &options.write {
            document::write(path, name, &format!("{machine}\n\n{table}"))?;
        }
    }
    Ok(())
}

/// Measures hubs that have stored more and more; draws how the last was filled.
async fn stored(options: &Options, dev: &DevSet, watch: Stopwatch) -> Result<String> {
    let mut sizes = Vec::new();
    for messages in options.sizes() {
        sizes.push(size::measure(messages, options.load(), dev, watch).await?);
    }
    if let Some(path) = &options.write {
        let curve = path.with_file_name("growth.svg");
        let drawn = sizes.last().map(|size| curve::draw(&size.curve)).unwrap_or_default();
        std::fs::write(&curve, drawn).with_context(|| curve.display().to_string())?;
    }
    Ok(format!("{}\n\n{}", options.summary(), report::table(&sizes)))
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
