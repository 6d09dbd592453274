//! What the command line asks for.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::appending::Turns;
use crate::common::callers::Mode;
use crate::point::{Content, Exchange, Load, Point};
use crate::raw::Raw;
use crate::supply::Made;
use crate::{LOGS_NAME, NAME, STEPS_NAME};

/// Signed messages that are made for each second of load: more than the hub takes; the bare exchange may run out of them.
const SIGNED_PER_S: f64 = 20_000.0;
/// Sealed alerts that are made for each second of load.
const SEALED_PER_S: f64 = 6_000.0;
/// Signed messages where only that everything runs is to be seen.
const QUICK_SIGNED: u64 = 400;
/// Sealed alerts there.
const QUICK_SEALED: u64 = 200;

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
    /// What the messages are, where they are handed in
    #[arg(long, value_delimiter = ',', value_name = "KIND", default_value = "opaque,signed,sealed")]
    messages: Vec<Content>,
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
    /// Be the server of an echo below gRPC instead.
    #[arg(long, hide = true)]
    pub(crate) raw: Option<Raw>,
    /// Have the echo append to this file, and sync, before it answers.
    #[arg(long, hide = true)]
    pub(crate) appended: Option<PathBuf>,
    /// Be a hub that looks at no signature, with this home.
    #[arg(long, hide = true)]
    pub(crate) unchecked_hub: Option<PathBuf>,
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
    /// Seal, open, sign, verify
    Operations,
    /// Alerts beside files
    Files,
    /// The hub with its logs and without
    Logs,
    /// The machine's limits, without the hub
    Limits,
    /// The steps of one caller's message, from bare TCP to the hub
    Steps,
}

impl Options {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
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

    /// Files of each transfer, where these go as fast as they can.
    pub(crate) fn files_flat_out(&self) -> u64 {
        if self.quick { 1 } else { 12 }
    }

    /// Seconds for which each of seal, open, sign and verify is measured, where that is.
    pub(crate) fn operations_s(&self) -> Option<f64> {
        let seconds = if self.quick { 0.01 } else { 0.5 };
        matches!(self.only, None | Some(Only::Operations)).then_some(seconds)
    }

    /// Whether the steps of a message's way are measured.
    pub(crate) fn steps(&self) -> bool {
        matches!(self.only, None | Some(Only::Steps))
    }

    /// The marks of a document between which what is measured is written.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let all = !matches!(self.only, Some(Only::Logs | Only::Steps));
        let names = [(all, NAME), (self.steps(), STEPS_NAME), (self.turns().is_some(), LOGS_NAME)];
        names.into_iter().filter_map(|(measured, name)| measured.then_some(name)).collect()
    }

    /// How the turns with logs and without are, in a line.
    pub(crate) fn turns_summary(&self) -> String {
        let Some(Turns { warm_up_s, seconds, .. }) = self.turns() else { return String::new() };
        format!(
            "{} rounds; each turn without logs {seconds} s after {warm_up_s} s of warm-up, each with them from one checkpoint \
             to the next but one, about as long; callers on at most {} connections{}",
            self.rounds(),
            self.connections,
            build()
        )
    }

    /// How long each turn with logs and without is, where these are measured.
    pub(crate) fn turns(&self) -> Option<Turns> {
        let turns = if self.quick {
            Turns { warm_up_s: 0.1, seconds: 0.3, checkpoints: None }
        } else {
            let seconds = self.seconds.unwrap_or(11.0);
            Turns { warm_up_s: 5.0, seconds, checkpoints: Some(2) }
        };
        matches!(self.only, None | Some(Only::Logs)).then_some(turns)
    }

    /// How many messages are made before the clock starts.
    pub(crate) fn made(&self) -> Made {
        let Load { warm_up_s, seconds, .. } = self.load();
        let of = |content, per_s: f64, quick| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "some seconds of messages"
            )]
            let count = if self.quick { quick } else { ((warm_up_s + seconds) * per_s) as u64 };
            let points = self.points().iter().any(|point| point.content == content);
            // Of the steps the last is with signatures.
            (points || self.steps() && content == Content::Signed).then_some(count)
        };
        let signed = of(Content::Signed, SIGNED_PER_S, QUICK_SIGNED);
        let in_turns = self.turns().map(|turns| turns.signed().max(QUICK_SIGNED));
        Made { signed: signed.max(in_turns), sealed: of(Content::Sealed, SEALED_PER_S, QUICK_SEALED) }
    }

    /// What is measured in each round, in order.
    pub(crate) fn points(&self) -> Vec<Point> {
        let modes: &[Mode] = match self.only {
            None => &[Mode::Calls, Mode::Stream],
            Some(Only::Calls) => &[Mode::Calls],
            Some(Only::Stream) => &[Mode::Stream],
            Some(Only::Operations | Only::Files | Only::Logs | Only::Limits | Only::Steps) => &[],
        };
        let callers = self.callers.as_deref().unwrap_or(&[1, 64]);
        let mut points = Vec::new();
        for &content in &self.messages {
            for &mode in modes {
                for &callers in callers {
                    let both = [Exchange::Bare, Exchange::Hub];
                    points.extend(both.map(|exchange| Point { exchange, content, mode, callers }));
                }
            }
        }
        points
    }

    /// What is done, in a line.
    pub(crate) fn summary(&self) -> String {
        let Load { warm_up_s, seconds, connections } = self.load();
        let rounds = self.rounds();
        let build = build();
        format!(
            "{rounds} rounds, each measurement {seconds} s after {warm_up_s} s of warm-up or as long as there are messages, \
             callers on at most {connections} connections{build}"
        )
    }
}

/// What is to be said of the build.
fn build() -> &'static str {
    if cfg!(debug_assertions) { "; NOT OPTIMISED: the numbers say nothing" } else { "" }
}
