//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

use crate::size::Load;

/// Measures a hub that has stored many messages beside one that has few.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench growth --", after_help = "Example: --messages 10000,100000")]
pub(crate) struct Options {
    /// Messages stored when it is measured; a fresh hub for each number
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    messages: Option<Vec<u64>>,
    /// See in some seconds that everything runs; the numbers say little
    #[arg(long)]
    quick: bool,
    /// Write the table into this document, e.g. docs/performance.md, and the curve beside it as growth.svg
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// Where journal and ledger are while it runs: the disk that is measured
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) folder: PathBuf,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn sizes(&self) -> Vec<u64> {
        let default = if self.quick { vec![500, 2_000] } else { vec![10_000, 1_000_000] };
        self.messages.clone().unwrap_or(default)
    }

    pub(crate) fn load(&self) -> Load {
        if self.quick {
            Load { measured: 300, away: 600, alone_s: 0.3, killed_s: 0.2 }
        } else {
            Load { measured: 10_000, away: 100_000, alone_s: 5.0, killed_s: 1.0 }
        }
    }

    /// What is done, in a line.
    pub(crate) fn summary(&self) -> String {
        let Load { measured, away, alone_s, killed_s } = self.load();
        let build = if cfg!(debug_assertions) { "; NOT OPTIMISED: the numbers say nothing" } else { "" };
        format!(
            "64 callers on 4 publishing streams fill the hub; the next {measured} messages are measured, then one caller \
             for {alone_s} s; one office is away for the last {away} messages or all; SIGKILL after {killed_s} s of load{build}"
        )
    }
}
