//! What the command line asks for.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::common::callers::Mode;
use crate::point::{Exchange, Load, Point};

/// Measures the hub beside the limits of the machine that it runs on.
#[derive(Debug, Parser)]
#[command(
    name = "cargo bench --bench exchange --",
    after_help = "Example: --callers 1,64 --only calls --seconds 2"
)]
pub(crate) struct Options {
    /// Callers at once, each waiting for its confirmation; a measurement for each number
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=4096))]
    callers: Option<Vec<u32>>,
    /// Connections that the callers share, or as many as there are callers
    #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: u32,
    /// Seconds of load of each measurement, beside its warm-up
    #[arg(long)]
    seconds: Option<f64>,
    /// How often everything is measured
    #[arg(long)]
    rounds: Option<u32>,
    /// Measure only this
    #[arg(long)]
    only: Option<Only>,
    /// See in a few seconds that everything runs; the numbers say little
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write the table into this document, e.g. docs/performance.md
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// Where the journal is while it runs: the disk that is measured
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) folder: PathBuf,
    /// Be the server of echo and bare exchange, with the TLS files of this home.
    #[arg(long, hide = true)]
    pub(crate) bare_server: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// Single calls
    Calls,
    /// Publishing streams
    Stream,
    /// Alerts beside files
    Files,
    /// The machine's limits, without the hub
    Limits,
}

impl Options {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    pub(crate) fn load(&self) -> Load {
        let (warm_up_s, seconds) = if self.quick { (0.1, 0.3) } else { (0.5, 4.0) };
        Load { warm_up_s, seconds: self.seconds.unwrap_or(seconds), connections: self.connections }
    }

    /// Alerts of each phase beside files, where that is measured.
    pub(crate) fn alerts_beside_files(&self) -> Option<u32> {
        let alerts = if self.quick { 10 } else { 300 };
        matches!(self.only, None | Some(Only::Files)).then_some(alerts)
    }

    /// What is measured in each round, in order.
    pub(crate) fn points(&self) -> Vec<Point> {
        let modes: &[Mode] = match self.only {
            None => &[Mode::Calls, Mode::Stream],
            Some(Only::Calls) => &[Mode::Calls],
            Some(Only::Stream) => &[Mode::Stream],
            Some(Only::Files | Only::Limits) => &[],
        };
        let default: &[u32] = if self.quick { &[1, 64] } else { &[1, 16, 64] };
        let callers = self.callers.as_deref().unwrap_or(default);
        let both = [Exchange::Bare, Exchange::Hub];
        let point = |mode| callers.iter().map(move |&callers| (mode, callers));
        let points = modes.iter().copied().flat_map(point);
        points.flat_map(|(mode, callers)| both.map(|exchange| Point { exchange, mode, callers })).collect()
    }

    /// What is done, in a line.
    pub(crate) fn summary(&self) -> String {
        let Load { warm_up_s, seconds, connections } = self.load();
        let rounds = self.rounds();
        let build = if cfg!(debug_assertions) { "; NOT OPTIMISED: the numbers say nothing" } else { "" };
        format!(
            "{rounds} rounds, each measurement {seconds} s after {warm_up_s} s of warm-up, callers on at most \
             {connections} connections{build}"
        )
    }
}
