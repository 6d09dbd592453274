//! What appending to the logs costs: the hub with its logs and without, in turns, under the same load.
//!
//! A hub that cannot make the folders of its rounds keeps no log; all else is as it is: entries get their nonces, and the thread looks
//! each second whether it may begin. Whoever keeps logs is measured from one checkpoint to the next but one, so that it has appended
//! as many entries as have come.

use std::fmt;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use tokio::time::sleep;

use crate::common::callers::Mode;
use crate::common::hub::{DevSet, Hub};
use crate::common::latency::median;
use crate::common::stopwatch::Stopwatch;
use crate::point::{Content, Exchange, Loaded, Moment, Point, lasting};
use crate::supply::Supply;

/// Callers at once.
const CALLERS: u32 = 64;
/// The thread of the hub that keeps its logs.
const THREAD: &str = "logs";
/// How often it is looked whether there is another checkpoint.
const LOOK: Duration = Duration::from_millis(20);
/// As long as a turn is at most, in seconds: some checkpoints, each five seconds and a little after the one before.
const TURN_S_MAX: f64 = 40.0;
/// More entries than a founding has.
const MANY_ENTRIES: u64 = 500;
/// Signed messages that are made for each second of a turn: more than the hub takes.
const SIGNED_PER_S: f64 = 14_000.0;
/// Entries that are hashed one after the other between two looks at the clock.
const LOT: u32 = 50;
/// Hashes of a leaf and of a node, one each for each entry.
const LEAF_AND_NODE_BYTES: [usize; 2] = [33, 65];

/// What is measured, in order.
const POINTS: [(Content, Mode); 4] = [
    (Content::Signed, Mode::Calls),
    (Content::Signed, Mode::Stream),
    (Content::Opaque, Mode::Calls),
    (Content::Opaque, Mode::Stream),
];

/// What appending may take of the messages a second, in percent.
fn goal(content: Content) -> f64 {
    if content == Content::Opaque { 15.0 } else { 5.0 }
}

/// How long a turn is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns {
    /// Seconds of load before it counts, without logs.
    pub(crate) warm_up_s: f64,
    /// Seconds while it counts, without logs; with them where no number of checkpoints is given.
    pub(crate) seconds: f64,
    /// Checkpoints for which it lasts with logs.
    pub(crate) checkpoints: Option<u32>,
}

impl Turns {
    /// Messages that are enough for a turn: one with logs takes some seconds longer.
    pub(crate) fn signed(self) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some seconds of messages"
        )]
        let count = ((self.warm_up_s + self.seconds + 4.0) * SIGNED_PER_S) as u64;
        if self.checkpoints.is_some() { count } else { 0 }
    }
}

/// What one turn gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    content: Content,
    mode: Mode,
    /// Messages a second until the last receipt of them was recorded.
    per_s: f64,
    cpu_s_per_1000: f64,
    /// Of a hub that keeps logs.
    logs: Option<Appended>,
}

impl Turn {
    /// The part of the hub's processor time that went into its logs.
    fn share(&self) -> Option<f64> {
        let per_message_us = self.cpu_s_per_1000 * 1e3;
        self.logs.map(|Appended { per_message, us }| per_message * us / per_message_us)
    }
}

/// What was appended meanwhile.
#[derive(Clone, Copy, Debug)]
struct Appended {
    /// Entries for each message.
    per_message: f64,
    /// Microseconds of a processor for each entry, with tiles, syncs and checkpoints.
    us: f64,
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { content, mode, per_s, cpu_s_per_1000, logs } = self;
        let named = named(*content, *mode);
        write!(f, "{named} {per_s:.0}/s  CPU s/1000 {cpu_s_per_1000:.3}  ")?;
        match logs {
            None => f.write_str("without logs"),
            Some(Appended { per_message, us }) => {
                write!(f, "with logs: {per_message:.2} entries a message, {us:.2} us each")
            }
        }
    }
}

fn named(content: Content, mode: Mode) -> String {
    let mode = match mode {
        Mode::Calls => "single calls",
        Mode::Stream => "publishing stream",
    };
    format!("{content}: {mode}")
}

/// Measures each load without logs and with them, one after the other.
pub(crate) async fn measure(
    turns: Turns,
    (dev, supply): (&DevSet, &Supply),
    connections: u32,
    watch: Stopwatch,
    say: &dyn Fn(&str) -> Result<()>,
) -> Result<Vec<Turn>> {
    let mut measured = Vec::new();
    for (content, mode) in POINTS {
        for kept in [false, true] {
            dev.keep_logs(kept)?;
            let turn = turn(turns, (content, mode, kept), (dev, supply), connections, watch).await;
            // Whatever comes after has a hub that keeps its logs.
            dev.keep_logs(true)?;
            let turn = turn?;
            say(&turn.to_string())?;
            measured.push(turn);
        }
    }
    Ok(measured)
}

async fn turn(
    turns: Turns,
    (content, mode, kept): (Content, Mode, bool),
    (dev, supply): (&DevSet, &Supply),
    connections: u32,
    watch: Stopwatch,
) -> Result<Turn> {
    let point = Point { exchange: Exchange::Hub, content, mode, callers: CALLERS };
    let loaded = Loaded::start(point, (dev, supply), (connections, TURN_S_MAX), watch).await?;
    let Loaded { hub, flights, mut callers, mut subscribers, most } = loaded;
    let by_checkpoint = turns.checkpoints.filter(|_| kept);
    let warm = async {
        match by_checkpoint {
            Some(_) => signed_under_load(dev).await,
            None => lasting(&flights, turns.warm_up_s, most.map(|most| most / 3)).await,
        }
    };
    callers.run(mode, CALLERS, warm).await?;
    subscribers.drain(flights.count()).await?;

    let (before, counted, log) = (Moment::now(&hub, watch)?, flights.count(), Log::now(dev, &hub)?);
    let all = async {
        match by_checkpoint {
            Some(checkpoints) => signed_again(dev, checkpoints).await,
            None => lasting(&flights, turns.seconds, most).await,
        }
    };
    callers.run(mode, CALLERS, all).await?;
    let appended = Log::now(dev, &hub)?;
    subscribers.drain(flights.count()).await?;
    let (after, count) = (Moment::now(&hub, watch)?, flights.count() - counted);
    ensure!(
        most != Some(flights.count()) || turns.checkpoints.is_none(),
        "the messages ran out before the time"
    );
    dev.check_nothing_outstanding(&hub).await?;
    subscribers.end().await?;
    if !kept {
        ensure!(dev.logged_entries()? == 0, "a hub without folders for its logs keeps one");
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of some seconds are exact in an f64")]
    let [count, entries, ns] =
        [count, appended.entries - log.entries, appended.ns - log.ns].map(|it| it as f64);
    Ok(Turn {
        content,
        mode,
        per_s: count / (after.s - before.s),
        cpu_s_per_1000: (after.hub.cpu_s - before.hub.cpu_s) * 1000.0 / count,
        logs: kept.then_some(Appended { per_message: entries / count, us: ns / entries / 1e3 }),
    })
}

/// Waits for the first checkpoint that has many entries: the one at the start has those of the founding.
async fn signed_under_load(dev: &DevSet) -> Result<()> {
    while dev.logged_entries()? < MANY_ENTRIES {
        sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until the hub has signed so many checkpoints more of its journal.
async fn signed_again(dev: &DevSet, mut checkpoints: u32) -> Result<()> {
    let mut entries = dev.logged_entries()?;
    while checkpoints > 0 {
        sleep(LOOK).await;
        let now = dev.logged_entries()?;
        checkpoints -= u32::from(now > entries);
        entries = now;
    }
    Ok(())
}

/// What a hub has appended by now, and what that took.
struct Log {
    entries: u64,
    ns: u64,
}

impl Log {
    fn now(dev: &DevSet, hub: &Hub) -> Result<Self> {
        Ok(Self { entries: dev.logged_entries()?, ns: hub.thread_ns(THREAD)? })
    }
}

/// Microseconds of the hashes alone that an entry of so many bytes takes: its record, its leaf, and a node. The median of short
/// lots, for others may use the processor meanwhile.
pub(crate) fn hashes_us(entry_bytes: usize, seconds: f64, watch: Stopwatch) -> f64 {
    let [leaf, node] = LEAF_AND_NODE_BYTES;
    let bytes = [entry_bytes, leaf, node].map(|length| vec![7; length]);
    let (began_s, mut lots) = (watch.seconds(), Vec::new());
    while watch.seconds() - began_s < seconds {
        let from_s = watch.seconds();
        for _ in 0..LOT {
            for bytes in &bytes {
                black_box(digest(&SHA256, black_box(bytes)));
            }
        }
        lots.push((watch.seconds() - from_s) * 1e6 / f64::from(LOT));
    }
    median(lots.into_iter())
}

/// Makes the table, in Markdown. `hashes` are the microseconds of the bare hashes of an entry of each kind, signed and opaque.
pub(crate) fn table(rounds: &[Vec<Turn>], hashes: [f64; 2]) -> String {
    if rounds.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "\n| 64 callers | messages/s without logs | with them | × | costs | goal | hub CPU s per 1,000 without, with | \
         entries a message | µs an entry | limit: the bare hashes | × | of the hub's CPU |\n\
         |---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (content, mode) in POINTS {
        text.push_str(&row(rounds, (content, mode), hashes[usize::from(content == Content::Opaque)]));
    }
    text
}

fn row(rounds: &[Vec<Turn>], (content, mode): (Content, Mode), hashes_us: f64) -> String {
    let of = |kept: bool| {
        let turns = rounds.iter().flatten();
        turns.filter(move |it| (it.content, it.mode, it.logs.is_some()) == (content, mode, kept))
    };
    let appended =
        |value: fn(&Appended) -> f64| median(of(true).filter_map(|it| it.logs.as_ref()).map(value));
    let rate = |kept| median(of(kept).map(|it| it.per_s));
    let raw = |kept| of(kept).map(|it| format!("{:.0}", it.per_s)).collect::<Vec<_>>().join(" ");
    let cpu = |kept| median(of(kept).map(|it| it.cpu_s_per_1000));
    let (times, goal, us) = (rate(true) / rate(false), goal(content), appended(|it| it.us));
    let costs = (1.0 - times) * 100.0;
    let mut row = String::new();
    let _ = writeln!(
        row,
        "| {} | {:.0} ({}) | {:.0} ({}) | {times:.3} | {costs:.1} % | ≤ {goal:.0} % {} | {:.3}, {:.3} | {:.2} | {us:.2} | \
         {hashes_us:.2} | {:.2} | {:.1} % |",
        named(content, mode),
        rate(false),
        raw(false),
        rate(true),
        raw(true),
        if costs <= goal { "met" } else { "missed" },
        cpu(false),
        cpu(true),
        appended(|it| it.per_message),
        us / hashes_us,
        median(of(true).filter_map(Turn::share)) * 100.0,
    );
    row
}
