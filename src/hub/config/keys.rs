//! Every key of `hub.toml`: what may stand there, when a change of it counts, what it is for.
//!
//! Owns this one list: the check at the start, what `hub config --print` says and `docs/configuration.md` follow it, and a
//! test holds them to each other. Never knows a value.

use std::fmt;

const MIB: u64 = 1024 * 1024;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name, after its table's and a dot where it is in one.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// When a change of it counts.
    pub effect: Effect,
    /// What it is for, in a sentence.
    pub about: &'static str,
}

/// What may stand at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name: lower-case letters, digits and hyphens.
    Name,
    /// An address and a port.
    Address,
    /// The same, of this machine alone; the key may be left out, and then there is nothing there.
    Loopback,
    /// A whole number of a unit, from the least to the most.
    Number(&'static str, u64, u64),
}

/// When a change of a key counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Within seconds, or at once on SIGHUP.
    WhileRunning,
    /// From the next start on.
    NextStart,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("a name"),
            Self::Address => f.write_str("address:port"),
            Self::Loopback => f.write_str("loopback address:port"),
            Self::Number("", low, high) => write!(f, "{low} to {high}"),
            Self::Number(unit, low, high) => write!(f, "{low} to {high} {unit}"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WhileRunning => "while running",
            Self::NextStart => "next start",
        })
    }
}

const fn key(name: &'static str, kind: Kind, effect: Effect, about: &'static str) -> Key {
    Key { name, kind, effect, about }
}

use Effect::{NextStart, WhileRunning};
use Kind::{Address, Loopback, Name, Number};

/// The keys, those of one table together, as they are printed.
pub const KEYS: &[Key] = &[
    key("name", Name, NextStart, "The hub's name, as in urn:resguardo:hub:<name>."),
    key("listen", Address, NextStart, "Where it listens; port 0 takes a free one and prints it."),
    key("metrics", Loopback, NextStart, "Where it answers with metrics for Prometheus; left out: nowhere."),
    key("limits.payload_bytes_max", Number("bytes", 1, 3 * MIB), WhileRunning, "Largest payload."),
    key("limits.recipients_max", Number("", 1, 4_096), WhileRunning, "Recipients of one message at most."),
    key(
        "limits.connections_max",
        Number("", 1, 100_000),
        NextStart,
        "Connections at once, all callers together.",
    ),
    key(
        "limits.connections_per_office_max",
        Number("", 1, 100_000),
        WhileRunning,
        "Of these, one office's or auditor's at most.",
    ),
    key("limits.handshakes_max", Number("", 1, 10_000), NextStart, "TLS handshakes at once."),
    key("limits.handshake_ms", Number("milliseconds", 100, 120_000), NextStart, "Longest handshake."),
    key(
        "limits.handshakes_per_s",
        Number("a second", 1, 100_000),
        NextStart,
        "Handshakes computed, on average; twice as many at once after a pause.",
    ),
    key(
        "limits.streams_max",
        Number("", 1, 100_000),
        NextStart,
        "Publishing streams, subscriptions and audit listings at once, all callers together.",
    ),
    key(
        "limits.streams_per_office_max",
        Number("", 1, 100_000),
        NextStart,
        "Of these, one office's or auditor's at most.",
    ),
    key(
        "limits.streams_per_connection_max",
        Number("", 1, 10_000),
        NextStart,
        "Of these, on one connection at most.",
    ),
    key(
        "limits.deliveries_in_flight_max",
        Number("", 1, 65_536),
        WhileRunning,
        "Deliveries that one subscription may have on the way: the largest credit.",
    ),
    key(
        "limits.publishes_per_s",
        Number("a second", 1, 10_000_000),
        WhileRunning,
        "Publishes of one office, on average.",
    ),
    key(
        "limits.publishes_burst",
        Number("", 1, 10_000_000),
        WhileRunning,
        "Publishes of one office at once after a pause.",
    ),
    key(
        "limits.receipts_per_s",
        Number("a second", 1, 10_000_000),
        WhileRunning,
        "Receipts of one office, on average; twice as many at once after a pause.",
    ),
    key(
        "limits.waiting_bytes_max",
        Number("bytes", 8 * MIB, 1024 * MIB),
        NextStart,
        "What waits for the disk at most, all callers together.",
    ),
    key(
        "limits.disk_reserve_bytes",
        Number("bytes", 0, 1 << 50),
        WhileRunning,
        "With less than this free on the disk publishing is refused; receipts and reading go on.",
    ),
    key("limits.grace_ms", Number("milliseconds", 100, 600_000), WhileRunning, "Longest orderly stop."),
    key(
        "journal.segment_bytes",
        Number("bytes", MIB, 1024 * MIB),
        NextStart,
        "Size of a segment file of the journal: a multiple of 4096, and at least four of the largest payload.",
    ),
    key(
        "ledger.cache_bytes",
        Number("bytes", MIB, 65_536 * MIB),
        NextStart,
        "Cache of the ledger's store; its memory goes somewhat above.",
    ),
    key(
        "files.office_bytes_max",
        Number("bytes", 0, 1 << 50),
        WhileRunning,
        "What one office's files of packets take of the disk at most.",
    ),
    key(
        "files.disk_reserve_bytes",
        Number("bytes", 0, 1 << 50),
        WhileRunning,
        "With less than this free on the disk no file is taken, counting what is on its way.",
    ),
    key(
        "files.transfers_per_office_max",
        Number("", 1, 1_000),
        WhileRunning,
        "Transfers of files of one office at once, up and down together.",
    ),
];
