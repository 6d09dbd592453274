//! One measurement: a fresh hub or the bare exchange, its subscribers, a load, and at a hub the audit at its end.

use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use tokio::time::sleep;

use crate::common::callers::{Callers, Mode};
use crate::common::hub::{DevSet, Hub, SENDER, Usage};
use crate::common::latency::Quantiles;
use crate::common::messages::Flights;
use crate::common::stopwatch::Stopwatch;
use crate::common::subscribers::Subscribers;
use crate::supply::Supply;
use crate::unchecked;

/// Messages a second for which there is room: several times what any machine is expected to do.
pub(crate) const ROOM_PER_S: f64 = 300_000.0;
/// Of messages that were made beforehand, this part at most is for the warm-up: one in so many.
const WARM_UP_SHARE: u64 = 5;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) exchange: Exchange,
    pub(crate) content: Content,
    pub(crate) mode: Mode,
    pub(crate) callers: u32,
}

/// Which exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// The one that keeps nothing.
    Bare,
    /// The hub.
    Hub,
}

/// What the messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Content {
    /// 1 KiB that nobody signed, for a hub that looks at no signature
    Opaque,
    /// 1 KiB, signed beforehand
    Signed,
    /// Alerts, sealed and signed beforehand
    Sealed,
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Opaque => "opaque",
            Self::Signed => "signed",
            Self::Sealed => "sealed",
        })
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Calls => "calls",
            Mode::Stream => "stream",
        };
        let exchange = match self.exchange {
            Exchange::Bare => "bare",
            Exchange::Hub => "hub",
        };
        write!(f, "{exchange:<4} {} {mode:<6} {:>3}", self.content, self.callers)
    }
}

/// How long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Before anything counts.
    pub(crate) warm_up_s: f64,
    /// While it counts.
    pub(crate) seconds: f64,
    /// Connections that the callers share, if there are as many callers.
    pub(crate) connections: u32,
}

/// What one measurement gave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Messages, from the first's handing in until the last's receipts were all on the hub's disk.
    pub(crate) per_s: f64,
    /// From handing in to being confirmed.
    pub(crate) confirm: Quantiles,
    /// From handing in to a subscriber's having it; over all six subscribers' deliveries.
    pub(crate) end_to_end: Quantiles,
    /// The hub's processor seconds for a thousand messages and their receipts.
    pub(crate) cpu_s_per_1000: f64,
    /// The same of this process: of callers and subscribers.
    pub(crate) clients_cpu_s_per_1000: f64,
    /// The hub's memory at the end.
    pub(crate) resident_mib: f64,
    /// The hub's most memory.
    pub(crate) peak_mib: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            per_s,
            confirm,
            end_to_end,
            cpu_s_per_1000,
            clients_cpu_s_per_1000,
            resident_mib,
            peak_mib,
        } = self;
        write!(
            f,
            "{per_s:>6.0}/s  confirm {:.3} / {:.3} ms  end to end {:.3} / {:.3} ms  CPU s/1000 {cpu_s_per_1000:.3}, \
             clients {clients_cpu_s_per_1000:.3}  {resident_mib:.0} MiB, at most {peak_mib:.0}",
            confirm.p50_ms, confirm.p99_ms, end_to_end.p50_ms, end_to_end.p99_ms
        )
    }
}

/// An exchange with its subscribers, and callers that wait to hand in.
pub(crate) struct Loaded {
    pub(crate) hub: Hub,
    pub(crate) flights: Arc<Flights>,
    pub(crate) callers: Callers,
    pub(crate) subscribers: Subscribers,
    /// Messages that there are at most.
    pub(crate) most: Option<u64>,
}

impl Loaded {
    /// Starts what is measured, and all that talks to it; there is room for so many seconds of load.
    pub(crate) async fn start(
        point: Point,
        (dev, supply): (&DevSet, &Supply),
        (connections, seconds): (u32, f64),
        watch: Stopwatch,
    ) -> Result<Self> {
        let hub = start(point, dev)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "some seconds of messages"
        )]
        let room = (seconds * ROOM_PER_S) as usize;
        let flights = Arc::new(Flights::new(watch, room));
        let sender = dev.office_home(SENDER);
        let mut channels = Vec::new();
        for _ in 0..connections.min(point.callers) {
            channels.push(hub.connect(&sender).await?);
        }
        let offices = &supply.audience.offices;
        let subscribers = match point.content {
            Content::Opaque => Subscribers::open_unsigned(dev, &hub, offices, &flights).await?,
            Content::Signed | Content::Sealed => Subscribers::open(dev, &hub, offices, &flights).await?,
        };
        let source = supply.source(point.content)?;
        let most = source.count();
        let callers = Callers::new(channels, Arc::clone(&flights), source, 0);
        Ok(Self { hub, flights, callers, subscribers, most })
    }
}

/// Measures a point. Fails when a message was lost, came twice or out of order, or stayed unacknowledged.
pub(crate) async fn measure(
    point: Point,
    (dev, supply): (&DevSet, &Supply),
    load: Load,
    watch: Stopwatch,
) -> Result<Measured> {
    let Load { warm_up_s, seconds, connections } = load;
    let loaded = Loaded::start(point, (dev, supply), (connections, warm_up_s + seconds), watch).await?;
    let Loaded { hub, flights, mut callers, mut subscribers, most } = loaded;
    let warm = lasting(&flights, warm_up_s, most.map(|most| most / WARM_UP_SHARE));
    callers.run(point.mode, point.callers, warm).await?;
    subscribers.drain(flights.count()).await?;

    flights.count_times();
    let (before, counted) = (Moment::now(&hub, watch)?, flights.count());
    let all = lasting(&flights, seconds, most);
    let confirm = callers.run(point.mode, point.callers, all).await?;
    subscribers.drain(flights.count()).await?;
    let (after, count) = (Moment::now(&hub, watch)?, flights.count() - counted);
    ensure!(confirm.count() == count, "{} of {count} messages are confirmed", confirm.count());

    if point.exchange == Exchange::Hub {
        dev.check_nothing_outstanding(&hub).await?;
    }
    let end_to_end = subscribers.end().await?;
    ensure!(end_to_end.count() == 6 * count, "{} deliveries of {count} messages to six", end_to_end.count());
    Ok(Measured::of(&before, &after, count, (confirm.quantiles(), end_to_end.quantiles())))
}

/// Starts what is measured.
pub(crate) fn start(point: Point, dev: &DevSet) -> Result<Hub> {
    let mut command = Command::new(std::env::current_exe()?);
    match (point.exchange, point.content) {
        (Exchange::Bare, _) => dev.stand_in(command.arg("--bare-server").arg(dev.hub_home())),
        (Exchange::Hub, Content::Opaque) => {
            dev.found_hub()?;
            let hub = dev.stand_in(command.arg("--unchecked-hub").arg(dev.hub_home()))?;
            let line = hub.logged(unchecked::SAID)?;
            ensure!(line["level"] == "ERROR", "a hub that looks at no signature says so as an error: {line}");
            Ok(hub)
        }
        (Exchange::Hub, Content::Signed | Content::Sealed) => dev.start_hub(),
    }
}

/// Waits for some seconds, or until as many messages are handed in as there are.
pub(crate) async fn lasting(flights: &Flights, seconds: f64, most: Option<u64>) -> Result<()> {
    let time = sleep(Duration::from_secs_f64(seconds));
    tokio::select! {
        () = time => Ok(()),
        reached = flights.reach(most.unwrap_or(u64::MAX)), if most.is_some() => reached,
    }
}

impl Measured {
    /// Works out what a count of messages took between two moments.
    pub(crate) fn of(
        before: &Moment,
        after: &Moment,
        count: u64,
        (confirm, end_to_end): (Quantiles, Quantiles),
    ) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts of some seconds are exact in an f64")]
        let count = count as f64;
        Self {
            per_s: count / (after.s - before.s),
            confirm,
            end_to_end,
            cpu_s_per_1000: (after.hub.cpu_s - before.hub.cpu_s) * 1000.0 / count,
            clients_cpu_s_per_1000: (after.clients.cpu_s - before.clients.cpu_s) * 1000.0 / count,
            resident_mib: after.hub.resident_mib,
            peak_mib: after.hub.peak_mib,
        }
    }
}

/// When, and what had been used until then.
pub(crate) struct Moment {
    pub(crate) s: f64,
    pub(crate) hub: Usage,
    pub(crate) clients: Usage,
}

impl Moment {
    pub(crate) fn now(hub: &Hub, watch: Stopwatch) -> Result<Self> {
        Ok(Self { s: watch.seconds(), hub: hub.usage()?, clients: Usage::of("self")? })
    }
}
