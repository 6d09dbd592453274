//! What a hub costs that has stored many messages, beside one that has few: `cargo bench --bench growth`.
//!
//! For each size a fresh hub in its own process is filled by real callers, five subscribers acknowledge as they go and
//! one stays away; then everything is measured that could grow: publishing, delivery, catching up, each kind of start,
//! a check, memory and disk. Prints numbers, never judges by them: it fails only when a message is lost, doubled or left
//! unacknowledged.

#[path = "../common/mod.rs"]
mod common;
mod curve;
mod options;
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
        document::has_marks(path, NAME)?;
    }
    std::fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    let folder = tempfile::Builder::new().prefix("growth-").tempdir_in(&options.folder)?;
    let watch = Stopwatch::start();
    let machine = machine::describe(folder.path());
    say(&format!("{machine}\n{}", options.summary()))?;
    let dev = DevSet::make(folder.path())?;
    let mut sizes = Vec::new();
    for messages in options.sizes() {
        sizes.push(size::measure(messages, options.load(), &dev, watch).await?);
    }
    let table = report::table(&sizes);
    say(&format!("{table}\n{:.0} s in all", watch.seconds()))?;
    if let Some(path) = &options.write {
        document::write(
            path,
            "the growth benchmark",
            &format!("{machine}\n\n{}\n\n{table}", options.summary()),
        )?;
        let curve = path.with_file_name("growth.svg");
        let drawn = sizes.last().map(|size| curve::draw(&size.curve)).unwrap_or_default();
        std::fs::write(&curve, drawn).with_context(|| curve.display().to_string())?;
    }
    Ok(())
}

fn say(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
