//! What the command line asks for.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::size::Load;
use crate::{NAME, OFFICES_NAME, OUTSTANDING_NAME};

/// Measures a hub that has stored many messages beside one that has few.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench growth --", after_help = "Example: --messages 10000,100000")]
pub(crate) struct Options {
    /// Messages stored when it is measured; a fresh hub for each number
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(100..=100_000_000))]
    messages: Option<Vec<u64>>,
    /// Measure only this
    #[arg(long)]
    only: Option<Only>,
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

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Messages stored
    Stored,
    /// Offices, each with a session
    Offices,
    /// Messages outstanding for one office
    Outstanding,
}

impl Options {
    fn measures(&self, part: Only) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    pub(crate) fn sizes(&self) -> Vec<u64> {
        if !self.measures(Only::Stored) {
            return Vec::new();
        }
        let default = if self.quick { vec![500, 2_000] } else { vec![1_000, 10_000, 100_000, 1_000_000] };
        self.messages.clone().unwrap_or(default)
    }

    /// Offices, each with a session, and the alerts that each of these numbers has.
    pub(crate) fn offices(&self) -> (&[usize], u64) {
        match (self.measures(Only::Offices), self.quick) {
            (false, _) => (&[], 0),
            (true, true) => (&[6, 20, 210], 2),
            (true, false) => (&[6, 50, 200, 500, 1_000], 50),
        }
    }

    /// Messages outstanding for one office.
    pub(crate) fn outstanding(&self) -> &[u64] {
        match (self.measures(Only::Outstanding), self.quick) {
            (false, _) => &[],
            (true, true) => &[1, 100, 1_000],
            (true, false) => &[1, 1_000, 10_000, 100_000, 1_000_000],
        }
    }

    /// The marks of a document between which what is measured is written.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let names =
            [(Only::Stored, NAME), (Only::Offices, OFFICES_NAME), (Only::Outstanding, OUTSTANDING_NAME)];
        names.into_iter().filter_map(|(part, name)| self.measures(part).then_some(name)).collect()
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
