//! One measurement: a fresh hub or the bare exchange, its subscribers, a load, and at a hub the audit at its end.

use std::fmt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::sleep;

use crate::common::callers::{Callers, Mode};
use crate::common::hub::{DevSet, Hub, SENDER, Usage};
use crate::common::latency::Quantiles;
use crate::common::messages::{Audience, Flights};
use crate::common::stopwatch::Stopwatch;
use crate::common::subscribers::Subscribers;

/// Messages a second for which there is room: several times what any machine is expected to do.
const ROOM_PER_S: f64 = 300_000.0;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) exchange: Exchange,
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
        write!(f, "{exchange:<4} {mode:<6} {:>3}", self.callers)
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

/// Measures a point. Fails when a message was lost, came twice or out of order, or stayed unacknowledged.
pub(crate) async fn measure(
    point: Point,
    (dev, audience): (&DevSet, &Audience),
    load: Load,
    watch: Stopwatch,
) -> Result<Measured> {
    let hub = match point.exchange {
        Exchange::Hub => dev.start_hub()?,
        Exchange::Bare => {
            let mut command = Command::new(std::env::current_exe()?);
            dev.stand_in(command.arg("--bare-server").arg(dev.hub_home()))?
        }
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds of messages")]
    let room = ((load.warm_up_s + load.seconds) * ROOM_PER_S) as usize;
    let flights = Arc::new(Flights::new(watch, room));
    let sender = dev.office_home(SENDER);
    let mut channels = Vec::new();
    for _ in 0..load.connections.min(point.callers) {
        channels.push(hub.connect(&sender).await?);
    }
    let mut subscribers = Subscribers::open(dev, &hub, &audience.offices, &flights).await?;
    let mut callers = Callers::new(channels, Arc::clone(&flights), audience.clone(), 0);
    let lasting = |seconds| async move {
        sleep(Duration::from_secs_f64(seconds)).await;
        Ok(())
    };
    callers.run(point.mode, point.callers, lasting(load.warm_up_s)).await?;
    subscribers.drain(flights.count()).await?;

    flights.count_times();
    let (before, counted) = (Moment::now(&hub, watch)?, flights.count());
    let confirm = callers.run(point.mode, point.callers, lasting(load.seconds)).await?;
    subscribers.drain(flights.count()).await?;
    let (after, count) = (Moment::now(&hub, watch)?, flights.count() - counted);
    ensure!(confirm.count() == count, "{} of {count} messages are confirmed", confirm.count());

    if point.exchange == Exchange::Hub {
        dev.check_nothing_outstanding(&hub).await?;
    }
    let end_to_end = subscribers.end().await?;
    ensure!(end_to_end.count() == 6 * count, "{} deliveries of {count} messages to six", end_to_end.count());
    #[expect(clippy::cast_precision_loss, reason = "counts of some seconds are exact in an f64")]
    let count = count as f64;
    Ok(Measured {
        per_s: count / (after.s - before.s),
        confirm: confirm.quantiles(),
        end_to_end: end_to_end.quantiles(),
        cpu_s_per_1000: (after.hub.cpu_s - before.hub.cpu_s) * 1000.0 / count,
        clients_cpu_s_per_1000: (after.clients.cpu_s - before.clients.cpu_s) * 1000.0 / count,
        resident_mib: after.hub.resident_mib,
        peak_mib: after.hub.peak_mib,
    })
}

/// When, and what had been used until then.
struct Moment {
    s: f64,
    hub: Usage,
    clients: Usage,
}

impl Moment {
    fn now(hub: &Hub, watch: Stopwatch) -> Result<Self> {
        Ok(Self { s: watch.seconds(), hub: hub.usage()?, clients: Usage::of("self")? })
    }
}
