//! `hub.toml`: operating limits, and nothing that decides what is accepted in the ledger.
//!
//! Read once, checked whole: an unknown key, a wrong type or a value out of range is refused with its line.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::model::identity::Name;

/// What an operator may set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The hub's name, as in `urn:resguardo:hub:<name>`.
    #[serde(deserialize_with = "name")]
    pub name: Name,
    /// Where it listens, e.g. `127.0.0.1:7443`; port 0 takes a free one and prints it.
    pub listen: SocketAddr,
    /// Bounds on what callers may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// The journal's disk.
    #[serde(default)]
    pub journal: JournalConfig,
    /// The ledger's store.
    #[serde(default)]
    pub ledger: LedgerConfig,
}

/// Bounds on what callers may ask for. Each has its reason beside its default, below.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
            // A line of 9,600 bit/s with 2 s latency carries the 8 KiB of a post-quantum handshake in this time.
            handshake_ms: 20_000,
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// sled's cache, in bytes; its memory goes somewhat above.
    pub cache_bytes: u64,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        // A third of the 150 MiB that a hub may take.
        Self { cache_bytes: 48 * 1024 * 1024 }
    }
}

/// Why a `hub.toml` is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML, an unknown key, a wrong type; with line and column.
    #[error("hub.toml: {0}")]
    Form(#[from] toml::de::Error),
    /// A value out of its range.
    #[error("hub.toml: {key} is {found}; {expected} expected")]
    Range {
        /// The key.
        key: &'static str,
        /// What stands there.
        found: u64,
        /// What may stand there.
        expected: &'static str,
    },
}

impl Config {
    /// Reads and checks a `hub.toml`.
    ///
    /// # Errors
    /// [`ConfigError::Form`] with line and column, [`ConfigError::Range`] with the key.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        let limits = &config.limits;
        let range = |key, found: u64, low: u64, high: u64, expected| {
            if (low..=high).contains(&found) {
                Ok(())
            } else {
                Err(ConfigError::Range { key, found, expected })
            }
        };
        let mib = 1024 * 1024;
        range("limits.payload_bytes_max", limits.payload_bytes_max, 1, 3 * mib, "1 to 3145728 bytes")?;
        range("limits.recipients_max", limits.recipients_max as u64, 1, 4_096, "1 to 4096")?;
        range("limits.connections_max", limits.connections_max as u64, 1, 100_000, "1 to 100000")?;
        let of_office = limits.connections_per_office_max as u64;
        range("limits.connections_per_office_max", of_office, 1, 100_000, "1 to 100000")?;
        range("limits.handshakes_max", limits.handshakes_max as u64, 1, 10_000, "1 to 10000")?;
        range("limits.handshake_ms", limits.handshake_ms, 100, 120_000, "100 to 120000 ms")?;
        range("limits.streams_max", limits.streams_max as u64, 1, 100_000, "1 to 100000")?;
        let of_office = limits.streams_per_office_max as u64;
        range("limits.streams_per_office_max", of_office, 1, 100_000, "1 to 100000")?;
        let streams = limits.streams_per_connection_max as u64;
        range("limits.streams_per_connection_max", streams, 1, 10_000, "1 to 10000")?;
        let in_flight = u64::from(limits.deliveries_in_flight_max);
        range("limits.deliveries_in_flight_max", in_flight, 1, 65_536, "1 to 65536")?;
        range("limits.publishes_per_s", u64::from(limits.publishes_per_s), 1, 10_000_000, "1 to 10000000")?;
        range("limits.publishes_burst", u64::from(limits.publishes_burst), 1, 10_000_000, "1 to 10000000")?;
        range("limits.receipts_per_s", u64::from(limits.receipts_per_s), 1, 10_000_000, "1 to 10000000")?;
        range("limits.waiting_bytes_max", limits.waiting_bytes_max, 8 * mib, 1024 * mib, "8 MiB to 1 GiB")?;
        range("limits.disk_reserve_bytes", limits.disk_reserve_bytes, 0, 1 << 50, "at most 2^50 bytes")?;
        range("limits.grace_ms", limits.grace_ms, 100, 600_000, "100 to 600000 ms")?;
        let segment_bytes = config.journal.segment_bytes;
        range("journal.segment_bytes", segment_bytes, mib, 1024 * mib, "1 MiB to 1 GiB")?;
        if !segment_bytes.is_multiple_of(4_096) {
            let (key, expected) = ("journal.segment_bytes", "a multiple of 4096");
            return Err(ConfigError::Range { key, found: segment_bytes, expected });
        }
        let payload_bytes_max = limits.payload_bytes_max;
        let room = "at most a quarter of journal.segment_bytes";
        range("limits.payload_bytes_max", payload_bytes_max, 1, segment_bytes / 4, room)?;
        range("ledger.cache_bytes", config.ledger.cache_bytes, mib, 65_536 * mib, "1 MiB to 64 GiB")?;
        Ok(config)
    }
}

impl Config {
    /// The keys in which another configuration differs and which count from the next start on only.
    pub(super) fn at_next_start(&self, new: &Self) -> Vec<&'static str> {
        let (old, limits) = (&self.limits, &new.limits);
        let differs = [
            ("name", self.name != new.name),
            ("listen", self.listen != new.listen),
            ("journal", self.journal != new.journal),
            ("ledger", self.ledger != new.ledger),
            ("limits.connections_max", old.connections_max != limits.connections_max),
            ("limits.handshakes_max", old.handshakes_max != limits.handshakes_max),
            ("limits.handshake_ms", old.handshake_ms != limits.handshake_ms),
            ("limits.streams_max", old.streams_max != limits.streams_max),
            ("limits.streams_per_office_max", old.streams_per_office_max != limits.streams_per_office_max),
            (
                "limits.streams_per_connection_max",
                old.streams_per_connection_max != limits.streams_per_connection_max,
            ),
            ("limits.waiting_bytes_max", old.waiting_bytes_max != limits.waiting_bytes_max),
        ];
        differs.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
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
            (&format!("{head}[limits]\npublishes_per_s = '9'"), "line 4"),
            (&format!("{head}[limits]\ngrace_ms = 1"), "limits.grace_ms is 1; 100 to 600000 ms expected"),
            (&format!("{head}policy = 1"), "unknown field `policy`"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
