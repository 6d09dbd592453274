//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

use crate::idle::Watch;
use crate::rhythm::Exchange;

/// Simulates a year of an exchange, and measures what stays of it and what it asks of a desk's line.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench year --", after_help = "Example: --days 30 --urgent-one-of 100")]
pub(crate) struct Options {
    /// Days of the simulated time
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=3_650))]
    days: Option<u64>,
    /// Messages a day
    #[arg(long, value_name = "NUMBER", default_value = "10000", value_parser = clap::value_parser!(u64).range(10..=100_000))]
    messages_a_day: u64,
    /// One of so many messages is urgent, and has a round of witnesses of its own
    #[arg(long, value_name = "NUMBER", default_value = "50", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    urgent_one_of: u64,
    /// Messages that are exported
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    exported: Option<u64>,
    /// See in some seconds that everything runs; the numbers say little
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write the table into this document, e.g. docs/performance.md
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// Where the log is: the disk that is measured
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) folder: PathBuf,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn exchange(&self) -> Exchange {
        let (days, messages_a_day) = if self.quick { (1, 200) } else { (365, self.messages_a_day) };
        Exchange {
            days: self.days.unwrap_or(days),
            messages_a_day,
            urgent_one_of: self.urgent_one_of,
            seed: 7,
        }
    }

    /// How long a desk is watched.
    pub(crate) fn watch(&self) -> Watch {
        if self.quick { Watch { quiet_s: 1, orders: 1 } } else { Watch { quiet_s: 360, orders: 7 } }
    }

    /// How many files of evidence are made and verified, and how often each.
    pub(crate) fn evidence(&self) -> (u64, u32) {
        if self.quick { (5, 2) } else { (200, 10) }
    }

    /// How many messages go into the export.
    pub(crate) fn exported(&self) -> u64 {
        self.exported.unwrap_or(if self.quick { 20 } else { 10_000 })
    }

    /// What is done, in a line.
    pub(crate) fn summary(&self) -> String {
        let Exchange { days, messages_a_day, urgent_one_of, .. } = self.exchange();
        let build = if cfg!(debug_assertions) { "; NOT OPTIMISED: the times say nothing" } else { "" };
        format!(
            "{days} days, {messages_a_day} messages a day to all six other offices, one of {urgent_one_of} urgent; all are received \
             and read, one office of each acts{build}"
        )
    }
}
