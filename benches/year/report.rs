//! The table: what a year comes to, beside its goals.

use std::fmt::Write as _;

use crate::Measured;
use crate::exported::Exported;
use crate::grown::Stored;
use crate::idle::Bytes;
use crate::rhythm::{DAY_S, Happened};

/// Bytes a day that an idle desk's line may carry, each way.
const DAY_BYTES_MAX: f64 = 1.5e6;
/// Milliseconds that verifying one file of evidence may take.
const VERIFY_MS_MAX: f64 = 100.0;
const MIB: f64 = 1024.0 * 1024.0;
const HOUR_S: f64 = 3_600.0;
/// Minutes of a day.
const DAY_MINUTES: f64 = 1_440.0;
/// Bytes of a hash in a proof of growth, on the line: itself and what protobuf puts before it.
const PROOF_HASH_BYTES: f64 = 34.0;

/// Makes the table, in Markdown.
pub(crate) fn table(measured: &Measured) -> String {
    let Measured { grown, notes, .. } = measured;
    let mut text = String::from("| | | goal |\n|---|---:|---|\n");
    let mut row = |name: &str, value: String, goal: &str| {
        let _ = writeln!(text, "| {name} | {value} | {goal} |");
    };
    let happened = &grown.happened;
    let rounds = happened.rounds.len() as u64;
    row("messages", happened.messages.to_string(), "");
    row("entries of the journal", happened.entries.to_string(), "");
    row("checkpoints that were signed; one is kept", happened.checkpoints.to_string(), "");
    row("rounds of witnesses", rounds.to_string(), "");
    row("of these because of an urgent message", happened.urgent_rounds.to_string(), "");
    row("tiles of hashes: files; MiB; MiB on the disk", stored(grown.hashes), "");
    row("bundles of records: files; MiB; MiB on the disk", stored(grown.bundles), "");
    row("a checkpoint, bytes", notes[0].to_string(), "");
    row("with the cosignatures of seven offices, bytes", notes[1].to_string(), "");
    row("all rounds, cosigned by all, MiB", format!("{:.0}", float(rounds * notes[1] as u64) / MIB), "");
    let all = float(grown.hashes.bytes + grown.bundles.bytes + rounds * notes[1] as u64);
    row("all of the log, bytes a message", format!("{:.0}", all / float(happened.messages)), "");
    let us = grown.seconds * 1e6 / float(happened.entries);
    row("growing it: s; µs an entry", format!("{:.0}; {us:.2}", grown.seconds), "");
    line(measured, &mut row);
    verified(measured, &mut row);
    exported(measured, &mut row);
    text
}

fn stored(stored: Stored) -> String {
    let Stored { files, bytes, disk_bytes } = stored;
    format!("{files}; {:.0}; {:.0}", float(bytes) / MIB, float(disk_bytes) / MIB)
}

/// What an idle desk's line carries.
fn line(measured: &Measured, row: &mut impl FnMut(&str, String, &str)) {
    let Measured { idle, grown, .. } = measured;
    let both = |bytes: Bytes| format!("{:.0}; {:.0}", bytes.up, bytes.down);
    row("an idle desk: bytes up; down, to connect", both(idle.begin), "");
    row("a minute in which nothing happens", both(idle.quiet_minute), "");
    let round = measured.round();
    row("what a round adds", both(round), "");
    let days = float(days(&grown.happened));
    let rounds = float(grown.happened.looks_with_a_round) / days;
    row("looks of a day that find a round", format!("{rounds:.0}"), "");
    let day = idle.begin + idle.quiet_minute * DAY_MINUTES + round * rounds;
    let verdict = if day.up.max(day.down) <= DAY_BYTES_MAX { "met" } else { "missed" };
    let rest = (DAY_BYTES_MAX - idle.begin.up - idle.quiet_minute.up * DAY_MINUTES) / round.up;
    row("rounds a day for which as much goes up as may", format!("{rest:.0}"), "");
    row("a day, bytes up; down", both(day), &format!("≤ {DAY_BYTES_MAX:.0} each {verdict}"));
}

fn verified(measured: &Measured, row: &mut impl FnMut(&str, String, &str)) {
    let verified = &measured.verified;
    row("evidence of a message, bytes", verified.file_bytes.to_string(), "");
    let has = format!("{}; {}; {}", verified.entries, verified.directory, verified.path_hashes);
    row("its entries; those of the directory; hashes of a path", has, "");
    let times = verified.times.quantiles();
    let verdict = if times.p99_ms <= VERIFY_MS_MAX { "met" } else { "missed" };
    row(
        "verifying it, p50 / p99 ms",
        format!("{:.2} / {:.2}", times.p50_ms, times.p99_ms),
        &format!("≤ {VERIFY_MS_MAX:.0} ms {verdict}"),
    );
}

/// What was exported, and what as many entries as a year has come to at that rate.
fn exported(measured: &Measured, row: &mut impl FnMut(&str, String, &str)) {
    let Exported { messages, entries, bytes, written_s, verified_s } = measured.exported;
    row("an export: messages; entries; MiB", format!("{messages}; {entries}; {:.0}", float(bytes) / MIB), "");
    let times = |s: f64| format!("{s:.1}; {:.0}", s * 1e6 / float(entries));
    row("making it, which checks it once: s; µs an entry", times(written_s), "");
    row("verifying it: s; µs an entry", times(verified_s), "");
    let year = float(measured.grown.happened.entries) / float(entries);
    let [written, verified] = [written_s, verified_s].map(|s| s * year / HOUR_S);
    let gib = float(bytes) * year / MIB / 1024.0;
    row(
        "as many entries as all days have, at that rate: GiB; making, h; verifying, h",
        format!("{gib:.0}; {written:.1}; {verified:.1}"),
        "",
    );
}

impl Measured {
    /// What a round adds at the end of the year, with the proof of growth that it has then. The few hashes of that of the hub that
    /// was measured are counted beside it.
    fn round(&self) -> Bytes {
        self.idle.round + Bytes { up: 0.0, down: self.proof_hashes * PROOF_HASH_BYTES }
    }
}

fn days(happened: &Happened) -> u64 {
    let last = happened.rounds.last().map_or(0, |(second, _)| *second);
    (last / DAY_S).max(1)
}

#[expect(clippy::cast_precision_loss, reason = "counts and bytes of a year are far below 2^53")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
