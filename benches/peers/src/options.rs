//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

use crate::contest::{ALL, Contestant};
use crate::point::{Content, Load};
use crate::supply::Made;
use crate::{BULK_NAME, NAME};

/// Signed messages that are made for each second of load: more than the hub takes.
const SIGNED_PER_S: f64 = 20_000.0;
/// Sealed alerts that are made for each second of load.
const SEALED_PER_S: f64 = 6_000.0;

/// Measures this exchange and others side by side.
#[derive(Debug, Parser)]
#[command(
    name = "scripts/bench-peers",
    after_help = "Example: --callers 1,64 --only redis,opaque --seconds 2 --rounds 1"
)]
pub(crate) struct Options {
    /// Callers at once, each waiting for its confirmation; a measurement for each number
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", default_value = "1,16,64", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) callers: Vec<u32>,
    /// Connections that the callers of each share at most, where another number than four is to be tried
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    connections: Option<u32>,
    /// Seconds of load of each measurement, beside its warm-up
    #[arg(long)]
    seconds: Option<f64>,
    /// How often everything is measured
    #[arg(long)]
    rounds: Option<u32>,
    /// Measure only those whose names in the table have one of these words in them, e.g. redis,opaque
    #[arg(long, value_delimiter = ',', value_name = "WORD")]
    only: Option<Vec<String>>,
    /// Leave out the look by strace at what is synced when
    #[arg(long)]
    pub(crate) no_syncs: bool,
    /// Measure alerts beside bulk instead, in a table of their own
    #[arg(long)]
    pub(crate) bulk: bool,
    /// See in a minute that everything runs; the numbers say little
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write table and chart into this document, e.g. docs/performance.md
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
    /// Where all servers keep what they keep: the disk that is measured
    #[arg(long, value_name = "DIR", default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub(crate) folder: PathBuf,
    /// Be the server of the bare echo, with the TLS files of this home.
    #[arg(long, hide = true)]
    pub(crate) bare_server: Option<PathBuf>,
    /// Be a hub that looks at no signature, with this home.
    #[arg(long, hide = true)]
    pub(crate) unchecked_hub: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Options {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// The load of one of those that are measured.
    pub(crate) fn load(&self, contestant: Contestant) -> Load {
        let (warm_up_s, seconds) = if self.quick { (0.1, 0.3) } else { (0.5, 4.0) };
        let connections = self.connections.unwrap_or(contestant.connections());
        Load { warm_up_s, seconds: self.seconds.unwrap_or(seconds), connections }
    }

    /// Who is measured, in the order of the table.
    pub(crate) fn contestants(&self) -> Vec<Contestant> {
        let named = |it: &Contestant| {
            let name = it.to_string().to_lowercase();
            self.only
                .as_ref()
                .is_none_or(|words| words.iter().any(|word| name.contains(&word.to_lowercase())))
        };
        ALL.into_iter().filter(named).collect()
    }

    /// Alerts of each phase beside bulk.
    pub(crate) fn alerts(&self) -> u32 {
        if self.quick { 10 } else { 150 }
    }

    /// The marks of a document between which what is measured is written.
    pub(crate) fn name(&self) -> &'static str {
        if self.bulk { BULK_NAME } else { NAME }
    }

    /// How many messages are made before the clock starts.
    pub(crate) fn made(&self) -> Made {
        let of = |content, per_s: f64| {
            if self.bulk {
                return None;
            }
            let mut of_it = self
                .contestants()
                .into_iter()
                .filter(|it| matches!(it, Contestant::Ours(is, _) if *is == content));
            of_it.next().map(|it| {
                let Load { warm_up_s, seconds, .. } = self.load(it);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "some seconds of messages"
                )]
                let count = ((warm_up_s + seconds) * per_s) as u64;
                count
            })
        };
        Made { signed: of(Content::Signed, SIGNED_PER_S), sealed: of(Content::Sealed, SEALED_PER_S) }
    }

    /// What is done, in a line.
    pub(crate) fn summary(&self) -> String {
        let (rounds, alerts) = (self.rounds(), self.alerts());
        let Load { warm_up_s, seconds, .. } = self.load(Contestant::Redis);
        let build = if cfg!(debug_assertions) { "; NOT OPTIMISED: the numbers say nothing" } else { "" };
        if self.bulk {
            return format!("{rounds} rounds, each of {alerts} alerts, 10 a second, in each phase{build}");
        }
        format!(
            "{rounds} rounds, each measurement {seconds} s after {warm_up_s} s of warm-up, or as long as there are messages that were \
             made beforehand, against a server that is started anew{build}"
        )
    }
}
