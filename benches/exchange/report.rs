//! The table: medians over the rounds, beside the limits and the goals.

use std::fmt::Write as _;

use crate::Rounds;
use crate::beside;
use crate::common::callers::Mode;
use crate::common::latency::{Quantiles, median};
use crate::limits::Limit;
use crate::operations::Operation;
use crate::point::{Content, Exchange, Measured, Point};

/// One caller's confirmation of a signed message, at most this many times L.
const CONFIRM_GOAL: f64 = 2.1;
/// An urgent alert's p99 end to end while files move, at most this many times that beside nothing.
const BESIDE_FILES_GOAL: f64 = 2.0;

/// What 64 callers reach at least, in messages a second; none where it is held to another program's in turns with it.
fn rate_goal(content: Content, mode: Mode) -> Option<f64> {
    match (content, mode) {
        (Content::Opaque, _) => None,
        (Content::Signed, Mode::Calls) => Some(9_000.0),
        (Content::Signed, Mode::Stream) => Some(12_000.0),
        (Content::Sealed, _) => Some(3_000.0),
    }
}

/// A point's measurement and the limit just before.
type Round = (Point, Limit, Measured);

/// Makes the table, in Markdown.
pub(crate) fn table(rounds: &Rounds) -> String {
    let of = |value: fn(&Limit) -> f64| median(rounds.limits.iter().map(value));
    let mut text = format!(
        "L = {:.3} ms: sync p50 {:.3} (p99 {:.3}), echo p50 {:.3} (p99 {:.3}); medians of {} probes.\n",
        of(|limit| limit.ms()),
        of(|limit| limit.sync.p50_ms),
        of(|limit| limit.sync.p99_ms),
        of(|limit| limit.echo.p50_ms),
        of(|limit| limit.echo.p99_ms),
        rounds.limits.len()
    );
    for line in &rounds.made {
        let _ = write!(text, "\n{line}\n");
    }
    text.push_str(&operations(&rounds.operations));
    let mut points: Vec<Point> = Vec::new();
    for (point, ..) in &rounds.points {
        if !points.contains(point) {
            points.push(*point);
        }
    }
    if !points.is_empty() {
        text.push_str(
            "\n| | callers | messages/s | of bare | confirm p50 / p99 ms | × L | end to end p50 / p99 ms | × L | \
             hub CPU s per 1,000 | clients' | hub memory MiB, at most | goal |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n",
        );
    }
    let of_point = |point| rounds.points.iter().filter(|(other, ..)| *other == point).collect::<Vec<_>>();
    for point in points {
        let bare = of_point(Point { exchange: Exchange::Bare, ..point });
        text.push_str(&row(point, &of_point(point), &bare));
    }
    text.push_str(&beside_files(&rounds.beside));
    if !rounds.flat_out.is_empty() {
        let of = |value: fn(&beside::FlatOut) -> f64| median(rounds.flat_out.iter().map(value));
        let _ = writeln!(
            text,
            "\nFiles as fast as they go, with no alert: {:.0} MiB/s up ({:.2} of the disk alone), {:.0} MiB/s down. The disk alone, \
             the same files written and synced one after the other: {:.0} MiB/s.",
            of(|it| it.up),
            of(|it| it.up / it.disk),
            of(|it| it.down),
            of(|it| it.disk)
        );
    }
    text
}

/// Makes the table of what sealing and signing take.
fn operations(rounds: &[Vec<Operation>]) -> String {
    let Some(first) = rounds.first() else { return String::new() };
    let mut text = String::from(
        "\n| | µs | a second on one core | on all cores | limit: the bare primitives | µs | × |\n\
         |---|---:|---:|---:|---|---:|---:|\n",
    );
    for (at, Operation { name, bare, .. }) in first.iter().enumerate() {
        let of = |value: fn(&Operation) -> f64| median(rounds.iter().map(|round| value(&round[at])));
        let _ = writeln!(
            text,
            "| {name} | {:.1} | {:.0} | {:.0} | {bare} | {:.1} | {:.2} |",
            of(|it| it.us),
            of(|it| 1e6 / it.us),
            of(|it| it.per_s_all),
            of(|it| it.bare_us),
            of(|it| it.us / it.bare_us)
        );
    }
    text
}

/// Makes the table of alerts beside files: each round's ratios are to its own alerts beside nothing.
fn beside_files(rounds: &[Vec<beside::Measured>]) -> String {
    let Some(first) = rounds.first() else { return String::new() };
    let mut text = String::from(
        "\n| urgent alerts beside | files MiB/s | confirm p50 / p99 ms | end to end p50 / p99 ms | p99 × that beside nothing | \
         goal |\n|---|---:|---:|---:|---:|---|\n",
    );
    for (phase, measured) in first.iter().enumerate() {
        let of =
            |value: fn(&beside::Measured) -> f64| median(rounds.iter().map(|round| value(&round[phase])));
        let times =
            median(rounds.iter().map(|round| round[phase].end_to_end.p99_ms / round[0].end_to_end.p99_ms));
        let goal = match phase {
            0 => String::new(),
            _ => {
                format!("≤ {BESIDE_FILES_GOAL} {}", if times <= BESIDE_FILES_GOAL { "met" } else { "missed" })
            }
        };
        let _ = writeln!(
            text,
            "| {} | {:.1} | {:.3} / {:.3} | {:.3} / {:.3} | {times:.2} | {goal} |",
            measured.beside,
            of(|it| it.files_per_s / 1024.0 / 1024.0),
            of(|it| it.confirm.p50_ms),
            of(|it| it.confirm.p99_ms),
            of(|it| it.end_to_end.p50_ms),
            of(|it| it.end_to_end.p99_ms),
        );
    }
    text
}

/// `bare` are the bare exchange's measurements of the same load, each just before the hub's of the same round.
fn row(point: Point, rounds: &[&Round], bare: &[&Round]) -> String {
    let of = |value: fn(&Measured) -> f64| median(rounds.iter().map(|(.., measured)| value(measured)));
    // Each round's ratio is to its own limit, measured just before.
    let times_l = |quantiles: fn(&Measured) -> Quantiles| {
        median(rounds.iter().map(|(_, limit, measured)| quantiles(measured).p50_ms / limit.ms()))
    };
    let (confirm, end_to_end) = (times_l(|it| it.confirm), times_l(|it| it.end_to_end));
    let per_s = of(|it| it.per_s);
    let of_bare = median(rounds.iter().zip(bare).map(|(hub, bare)| hub.2.per_s / bare.2.per_s));
    let exchange = match point.exchange {
        Exchange::Bare => "bare",
        Exchange::Hub => "hub",
    };
    let mode = match point.mode {
        Mode::Calls => "single calls",
        Mode::Stream => "publishing stream",
    };
    let mut row = String::new();
    let _ = writeln!(
        row,
        "| {exchange}, {}: {mode} | {} | {per_s:.0} | {of_bare:.2} | {:.3} / {:.3} | {confirm:.2} | {:.3} / {:.3} | {end_to_end:.2} | {:.3} | \
         {:.3} | {:.0}, {:.0} | {} |",
        point.content,
        point.callers,
        of(|it| it.confirm.p50_ms),
        of(|it| it.confirm.p99_ms),
        of(|it| it.end_to_end.p50_ms),
        of(|it| it.end_to_end.p99_ms),
        of(|it| it.cpu_s_per_1000),
        of(|it| it.clients_cpu_s_per_1000),
        of(|it| it.resident_mib),
        of(|it| it.peak_mib),
        goal(point, per_s, confirm),
    );
    row
}

fn goal(point: Point, per_s: f64, confirm: f64) -> String {
    let verdict = |met| if met { "met" } else { "missed" };
    match (point.exchange, point.content, point.mode, point.callers) {
        (Exchange::Hub, Content::Signed, Mode::Calls, 1) => {
            format!("confirm ≤ {CONFIRM_GOAL} L {}", verdict(confirm <= CONFIRM_GOAL))
        }
        (Exchange::Hub, content, mode, 64) => rate_goal(content, mode)
            .map(|goal| format!("≥ {goal:.0}/s {}", verdict(per_s >= goal)))
            .unwrap_or_default(),
        _ => String::new(),
    }
}
