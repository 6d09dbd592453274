//! The way of one caller's message in steps, each with one thing more than the one before: what each adds is what it costs.
//!
//! Two programs and 1 KiB between them over TCP; TLS; HTTP/2 and gRPC; a synced append before the answer; the hub with nobody
//! that subscribes; with six offices that have each message and acknowledge it; with signatures.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use resguardo::wire::client::ConnectLimits;
use tonic::client::Grpc;

use crate::common::callers::{Callers, Mode};
use crate::common::child::Child;
use crate::common::hub::{self, DevSet, SENDER};
use crate::common::latency::{Quantiles, median};
use crate::common::messages::Flights;
use crate::common::stopwatch::Stopwatch;
use crate::common::svg::{self, WIDTH};
use crate::common::sync;
use crate::limits;
use crate::point::{self, Content, Exchange, Load, Point, ROOM_PER_S};
use crate::raw::{self, Raw};
use crate::supply::Supply;

/// Where a step's name ends and its bar begins.
const LEFT: f64 = 330.0;
/// Room for a number after the longest bar.
const RIGHT: f64 = 110.0;
const BAR: f64 = 15.0;
const STEP: f64 = 22.0;
const TITLE: f64 = 34.0;

/// One step.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What it has more than the one before.
    pub(crate) more: &'static str,
    pub(crate) took: Quantiles,
}

/// One round of all steps.
pub(crate) struct Steps {
    /// In their order, each until the confirmation.
    pub(crate) confirm: Vec<Step>,
    /// What the last takes until a subscriber has the message.
    pub(crate) end_to_end: Quantiles,
    /// The bare append with its sync, which is in one of the steps.
    pub(crate) sync: Quantiles,
}

/// Measures all steps, one after the other.
pub(crate) async fn measure(
    (dev, supply): (&DevSet, &Supply),
    folder: &Path,
    load: Load,
    samples: u32,
    watch: Stopwatch,
) -> Result<Steps> {
    let home = dev.office_home(SENDER);
    let appended = folder.join("appended");
    let server = |arguments: &[&str]| -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--bare-server").arg(dev.hub_home()).args(arguments);
        Child::start(&mut command, &folder.join("bare.log"))
    };
    let counts = (limits::WARM_UP_ECHOES, samples);
    let mut confirm = Vec::new();
    for (more, raw, word) in [("TCP, between two programs", Raw::Tcp, "tcp"), ("+ TLS", Raw::Tls, "tls")] {
        let server = server(&["--raw", word])?;
        let took = raw::probe((&server.address, &home), raw, counts, watch).await?;
        confirm.push(Step { more, took: took.quantiles() });
    }
    let synced = appended.display().to_string();
    for (more, arguments) in [
        ("+ HTTP/2 and gRPC", &[][..]),
        ("+ an append, synced, by a thread of its own", &["--appended", &synced]),
    ] {
        let server = server(arguments)?;
        let client = Grpc::new(hub::connect(&server.address, &home, ConnectLimits::default()).await?);
        let took = limits::echoes(client, counts, watch).await?;
        confirm.push(Step { more, took: took.quantiles() });
    }
    let sync = sync::probe(&appended, samples, watch)?.quantiles();
    let took = unsubscribed((dev, supply), load, watch).await?;
    confirm.push(Step { more: "+ the hub's own work, nobody subscribes", took });
    let mut end_to_end = took;
    for (more, content) in
        [("+ six offices have it and acknowledge", Content::Opaque), ("+ signatures", Content::Signed)]
    {
        let point = Point { exchange: Exchange::Hub, content, mode: Mode::Calls, callers: 1 };
        let measured = point::measure(point, (dev, supply), load, watch).await?;
        confirm.push(Step { more, took: measured.confirm });
        end_to_end = measured.end_to_end;
    }
    Ok(Steps { confirm, end_to_end, sync })
}

/// Measures one caller at a hub of which nobody has anything.
async fn unsubscribed(
    (dev, supply): (&DevSet, &Supply),
    Load { warm_up_s, seconds, .. }: Load,
    watch: Stopwatch,
) -> Result<Quantiles> {
    let point = Point { exchange: Exchange::Hub, content: Content::Opaque, mode: Mode::Calls, callers: 1 };
    let hub = point::start(point, dev)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds of messages")]
    let flights = Arc::new(Flights::new(watch, ((warm_up_s + seconds) * ROOM_PER_S) as usize));
    let channel = hub.connect(&dev.office_home(SENDER)).await?;
    let mut callers = Callers::new(vec![channel], Arc::clone(&flights), supply.source(Content::Opaque)?, 0);
    callers.run(Mode::Calls, 1, point::lasting(&flights, warm_up_s, None)).await?;
    let took = callers.run(Mode::Calls, 1, point::lasting(&flights, seconds, None)).await?;
    Ok(took.quantiles())
}

/// The medians of all rounds: of each step what it takes with all before it, and what the one before takes.
struct Medians {
    steps: Vec<(String, f64, f64, f64)>,
    sync: f64,
}

impl Medians {
    fn of(rounds: &[Steps]) -> Self {
        let mut steps = Vec::new();
        let mut before = 0.0;
        let count = rounds.first().map_or(0, |it| it.confirm.len());
        for at in 0..=count {
            let took = |round: &Steps| round.confirm.get(at).map_or(round.end_to_end, |it| it.took);
            let p50 = median(rounds.iter().map(|round| took(round).p50_ms));
            let p99 = median(rounds.iter().map(|round| took(round).p99_ms));
            let more = rounds[0].confirm.get(at).map_or("+ until an office has it", |it| it.more);
            steps.push((more.to_owned(), p50, p99, before));
            before = p50;
        }
        Self { steps, sync: median(rounds.iter().map(|round| round.sync.p50_ms)) }
    }
}

/// Makes the table, in Markdown.
pub(crate) fn table(rounds: &[Steps]) -> String {
    let medians = Medians::of(rounds);
    let mut text = String::from("| | p50 / p99 ms | adds ms |\n|---|---:|---:|\n");
    for (more, p50, p99, before) in &medians.steps {
        let _ = writeln!(text, "| {more} | {p50:.3} / {p99:.3} | {:.3} |", p50 - before);
    }
    let _ =
        write!(text, "\nThe same append and sync without anything around it: p50 {:.3} ms.", medians.sync);
    text
}

/// Draws them: what is in a step of the ones before it, and what it adds.
pub(crate) fn draw(rounds: &[Steps]) -> String {
    let steps = Medians::of(rounds).steps;
    let most = steps.iter().map(|(_, p50, ..)| *p50).fold(f64::MIN_POSITIVE, f64::max);
    let rows = steps.iter().map(|_| STEP).sum::<f64>();
    let mut svg =
        svg::begin(TITLE + rows + 10.0, "The way of one caller's message, in steps, and what each adds");
    svg::text(&mut svg, 8.0, 20.0, "start", "one caller's message: p50 in ms, and what each step adds");
    let mut y = TITLE;
    for (more, p50, _, before) in &steps {
        let x = |ms: f64| LEFT + (WIDTH - LEFT - RIGHT) * ms / most;
        svg::text(&mut svg, LEFT - 8.0, y + 12.0, "end", more);
        // A step can come out below the one before, by noise.
        let from = before.min(*p50);
        for (class, from, to) in [("theirs", 0.0, from), ("ours", from, *p50)] {
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>",
                x(from),
                x(to) - x(from)
            );
        }
        svg::text(&mut svg, x(*p50) + 6.0, y + 12.0, "start", &format!("{p50:.3} ({:+.3})", p50 - before));
        y += STEP;
    }
    svg::end(svg)
}
