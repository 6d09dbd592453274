//! `hub.toml`: operating limits, and nothing that decides what is accepted in the ledger.
//!
//! Read at the start and when it changes, checked whole: an unknown key, a wrong type or a value out of range is refused
//! with its line. What may stand where is in [`keys`].

pub mod keys;
mod text;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use self::keys::{Effect, KEYS, Kind};

use crate::files::store::Room;
use crate::model::identity::Name;

/// What an operator may set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The hub's name, as in `urn:resguardo:hub:<name>`.
    #[serde(deserialize_with = "name", serialize_with = "name_text")]
    pub name: Name,
    /// Where it listens, e.g. `127.0.0.1:7443`; port 0 takes a free one and prints it.
    pub listen: SocketAddr,
    /// Where it answers with metrics, on this machine alone; `None`: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<SocketAddr>,
    /// Bounds on what callers may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// The journal's disk.
    #[serde(default)]
    pub journal: JournalConfig,
    /// The ledger's store.
    #[serde(default)]
    pub ledger: LedgerConfig,
    /// Packets' files.
    #[serde(default)]
    pub files: FilesConfig,
}

/// Bounds on what callers may ask for. Each has its reason beside its default, below.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest payload, in bytes.
    pub payload_bytes_max: u64,
    /// Recipients of one message at most.
    pub recipients_max: usize,
    /// Connections at once, all callers together.
    pub connections_max: usize,
    /// Of these, one office's or auditor's at most.
    pub connections_per_office_max: usize,
    /// TLS handshakes at once.
    pub handshakes_max: usize,
    /// Longest handshake, in milliseconds.
    pub handshake_ms: u64,
    /// Handshakes a second that are computed.
    pub handshakes_per_s: u32,
    /// Publishing streams, subscriptions and audit listings at once, all callers together.
    pub streams_max: usize,
    /// Of these, one office's or auditor's at most.
    pub streams_per_office_max: usize,
    /// Of these, on one connection at most.
    pub streams_per_connection_max: usize,
    /// Deliveries that one subscription may have on the way: the largest credit.
    pub deliveries_in_flight_max: u32,
    /// Publishes a second of one office, on average.
    pub publishes_per_s: u32,
    /// Publishes of one office at once after a pause.
    pub publishes_burst: u32,
    /// Receipts a second of one office, on average; twice as many at once after a pause.
    pub receipts_per_s: u32,
    /// Bytes that wait for the disk at most, all callers together.
    pub waiting_bytes_max: u64,
    /// Free bytes of disk below which publishing is refused; receipts go on.
    pub disk_reserve_bytes: u64,
    /// Longest orderly stop, in milliseconds.
    pub grace_ms: u64,
}

/// Descriptors beside those of connections: segments of the journal that are open for reading, the store's, tiles, files under
/// way.
const OTHER_DESCRIPTORS: u64 = 256;

impl Limits {
    /// Gives how many descriptors a hub with these bounds needs at most: for connections, for those that are only told why they
    /// are refused, for handshakes, and for its own files.
    pub fn descriptors(&self) -> u64 {
        (self.connections_max + 2 * self.handshakes_max) as u64 + OTHER_DESCRIPTORS
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // An alert of 64 KiB, sealed for a hundred offices.
            payload_bytes_max: 256 * 1024,
            // An envelope of 16 KiB holds about this many names.
            recipients_max: 200,
            // A hundred offices of ten desks.
            connections_max: 1_000,
            // Ten desks, each with a watch, a person at work and a script, three times over.
            connections_per_office_max: 100,
            // A handshake costs about 0.3 ms of a core: a second's worth of two cores takes this many twenty times over.
            handshakes_max: 256,
            // A post-quantum handshake takes 11 s on a line of 9,600 bit/s with 2 s latency, and more where others share it. Who
            // has no more to do than to hold a place gives way to the next.
            handshake_ms: 45_000,
            // All thousand connections of a hub that starts anew within three seconds; less than a fifth of a core.
            handshakes_per_s: 400,
            // One of each kind a connection.
            streams_max: 4_000,
            streams_per_office_max: 200,
            // A desk has a few; each may make the hub hold a message of 4 MiB.
            streams_per_connection_max: 32,
            // 4 MiB of messages of 4 KiB.
            deliveries_in_flight_max: 1_024,
            // Ten thousand alerts a day are 0.1 a second; this is for a flood at one office.
            publishes_per_s: 500,
            publishes_burst: 2_000,
            // Desks gather what they received into one receipt: this is for a program that went wrong.
            receipts_per_s: 5_000,
            // A quarter of what the hub may take in all.
            waiting_bytes_max: 32 * 1024 * 1024,
            // Room for some ten million receipts after publishing has stopped.
            disk_reserve_bytes: 1024 * 1024 * 1024,
            // Shorter than the 30 s that service managers allow.
            grace_ms: 10_000,
        }
    }
}

/// The journal's disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Size of a segment file, in bytes: a multiple of 4096, and room for the largest batch.
    pub segment_bytes: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        // Large enough that its preparation is rare, small enough that it is over in a fraction of a second.
        Self { segment_bytes: 64 * 1024 * 1024 }
    }
}

/// The ledger's store.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// sled's cache, in bytes; its memory goes somewhat above.
    pub cache_bytes: u64,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        // With this a hub of three million messages stays under 150 MiB; three times as much made nothing faster.
        Self { cache_bytes: 12 * 1024 * 1024 }
    }
}

/// Packets' files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesConfig {
    /// Bytes of one office's files at most.
    pub office_bytes_max: u64,
    /// Free bytes of disk below which no file is taken.
    pub disk_reserve_bytes: u64,
    /// Transfers of one office at once, up and down together.
    pub transfers_per_office_max: usize,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            // A hundred packets of several hundred MiB: about three years of monthly ones.
            office_bytes_max: 32 * 1024 * 1024 * 1024,
            // Twice what publishing keeps: files end before alerts do.
            disk_reserve_bytes: 2 * 1024 * 1024 * 1024,
            // Two desks, each with one that goes on and one that was cut and is not known to be.
            transfers_per_office_max: 4,
        }
    }
}

impl FilesConfig {
    /// The bounds, as the store of files takes them.
    pub(super) fn room(&self) -> Room {
        Room { office_bytes_max: self.office_bytes_max, disk_reserve_bytes: self.disk_reserve_bytes }
    }
}

/// Why a `hub.toml` is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown key, a wrong type.
    #[error("hub.toml, line {line}: {message}")]
    Form {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A value that may not stand at its key.
    #[error("hub.toml{}: {key} is {found}; {expected} expected", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Value {
        /// The line, from 1; `None`: the key is not in the file, and its default does not fit the rest.
        line: Option<usize>,
        /// The key.
        key: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        expected: String,
    },
}

impl Config {
    /// Reads and checks a `hub.toml`.
    ///
    /// # Errors
    /// [`ConfigError::Form`] with the line, [`ConfigError::Value`] with the key and its line.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            ConfigError::Form { line, message: error.message().replace('\n', " ") }
        })?;
        let wrong = |key, found: &dyn ToString, expected: &dyn ToString| {
            let (line, found, expected) = (line_of(text, key), found.to_string(), expected.to_string());
            Err(ConfigError::Value { line, key, found, expected })
        };
        let table = config.table();
        for key in KEYS {
            let Some(found) = text::number(&table, key) else { continue };
            if let Kind::Number(_, low, high) = key.kind
                && !(low..=high).contains(&found)
            {
                return wrong(key.name, &found, &key.kind);
            }
        }
        if let Some(address) = config.metrics.filter(|address| !address.ip().is_loopback()) {
            return wrong("metrics", &address, &"an address of this machine alone, e.g. 127.0.0.1:9464,");
        }
        let segment_bytes = config.journal.segment_bytes;
        if !segment_bytes.is_multiple_of(4_096) {
            return wrong("journal.segment_bytes", &segment_bytes, &"a multiple of 4096");
        }
        if config.limits.payload_bytes_max > segment_bytes / 4 {
            let found = config.limits.payload_bytes_max;
            return wrong("limits.payload_bytes_max", &found, &"at most a quarter of journal.segment_bytes");
        }
        Ok(config)
    }

    /// The keys in which another configuration differs and which count from the next start on only.
    pub(super) fn at_next_start(&self, new: &Self) -> Vec<&'static str> {
        let (old, new) = (self.table(), new.table());
        let later = KEYS.iter().filter(|key| key.effect == Effect::NextStart).map(|key| key.name);
        later.filter(|name| text::value(&old, name) != text::value(&new, name)).collect()
    }
}

/// The line, from 1, on which a key's value stands.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let value = match key.split_once('.') {
        Some((section, name)) => table.get_ref().get(section)?.get_ref().get(name)?,
        None => table.get_ref().get(key)?,
    };
    Some(text.get(..value.span().start)?.matches('\n').count() + 1)
}

fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn name_text<S: serde::Serializer>(name: &Name, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_has_its_default() {
        let config = Config::parse("name = 'dev'\nlisten = '127.0.0.1:0'\n").unwrap();
        assert_eq!(config.limits, Limits::default());
        let config = Config::parse("name = 'dev'\nlisten = '[::1]:1'\n[limits]\ngrace_ms = 500\n").unwrap();
        assert_eq!(config.limits, Limits { grace_ms: 500, ..Limits::default() });
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        let head = "name = 'dev'\nlisten = '127.0.0.1:0'\n";
        for (text, said) in [
            ("listen = '127.0.0.1:0'", "missing field `name`"),
            ("name = 'Dev'\nlisten = '127.0.0.1:0'", "not a name"),
            ("name = 'dev'\nlisten = 'here'", "line 2"),
            (&format!("{head}[limits]\npayload = 3"), "unknown field `payload`"),
            (&format!("{head}limits.grace_ms = 500\n[limits]"), "hub.toml, line 4: duplicate key"),
            (&format!("{head}[limits]\npublishes_per_s = '9'"), "line 4"),
            (
                &format!("{head}[limits]\n\ngrace_ms = 1"),
                "hub.toml, line 5: limits.grace_ms is 1; 100 to 600000 milliseconds expected",
            ),
            (&format!("{head}limits.grace_ms = 1"), "line 3: limits.grace_ms is 1"),
            (&format!("{head}[limits]\ngrace_ms = -1"), "line 4"),
            (&format!("{head}[limits]\ngrace_ms = '10 s'"), "line 4"),
            (
                &format!("{head}metrics = '0.0.0.0:9464'"),
                "line 3: metrics is 0.0.0.0:9464; an address of this",
            ),
            (
                &format!("{head}[journal]\nsegment_bytes = 1048577"),
                "line 4: journal.segment_bytes is 1048577; a",
            ),
            (
                &format!("{head}[journal]\nsegment_bytes = 1048576\n[limits]\npayload_bytes_max = 262145"),
                "line 6: limits.payload_bytes_max is 262145; at most a quarter of journal.segment_bytes expected",
            ),
            (&format!("{head}policy = 1"), "unknown field `policy`"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
