//! Alerts beside bulk, at others: how long an urgent message takes while messages of 1 MiB are pushed to the same six
//! subscribers at a fixed pace, in the same stream or in one of their own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::beside::FILES_PER_S;
use crate::common::latency::{Latency, Quantiles};
use crate::common::messages::Flights;
use crate::common::stopwatch::Stopwatch;
use crate::load::Subscribers;
use crate::peer::{ALERTS, Caller, Payload, Peer, Stream, UNCOUNTED};

/// The stream of bulk that has one of its own.
const BULK: Stream = "bulk";
/// Alerts a second, as those of ours beside files.
const ALERTS_PER_S: f64 = 10.0;
/// Alerts before those that count.
const WARM_UP: u32 = 10;
/// Bytes of a message of the bulk.
const BULK_BYTES: usize = 1024 * 1024;
/// Callers that push the bulk, on connections of their own.
const PUSHING: u32 = 2;
/// How often it is looked whether all is acknowledged.
const LOOK: Duration = Duration::from_millis(20);
/// How long that may take, in seconds.
const OWES_MAX_S: f64 = 60.0;

/// What goes on beside the alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    Nothing,
    SameStream,
    OwnStream,
}

/// All, the one that others are held to first.
pub(crate) const ALL: [Beside; 3] = [Beside::Nothing, Beside::SameStream, Beside::OwnStream];

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::SameStream => "bulk in the same stream",
            Self::OwnStream => "bulk in a stream of its own",
        })
    }
}

/// What one phase gave, of ours or of others.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) beside: String,
    pub(crate) ours: bool,
    pub(crate) confirm: Quantiles,
    pub(crate) end_to_end: Quantiles,
    /// Bytes of bulk that were taken, a second.
    pub(crate) bulk_per_s: f64,
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, beside, confirm, end_to_end, bulk_per_s, .. } = self;
        write!(
            f,
            "{name}, alerts beside {beside}: confirm {:.3} / {:.3} ms  end to end {:.3} / {:.3} ms  bulk {:.1} MiB/s",
            confirm.p50_ms,
            confirm.p99_ms,
            end_to_end.p50_ms,
            end_to_end.p99_ms,
            bulk_per_s / 1024.0 / 1024.0
        )
    }
}

/// Measures one phase at a server that was started for it.
pub(crate) async fn measure<P: Peer>(
    (name, peer): (String, P),
    beside: Beside,
    alerts: u32,
    watch: Stopwatch,
) -> Result<Measured> {
    let flights = Arc::new(Flights::new(watch, usize::try_from(WARM_UP + alerts)?));
    peer.prepare(ALERTS).await?;
    let subscribers = Subscribers::open(&peer, ALERTS, &flights).await?;
    let mut caller = peer.callers(ALERTS, 1, 1).await?.into_iter().next().context("a caller")?;
    let mut beside_them = None;
    let pushed = match beside {
        Beside::Nothing => None,
        Beside::SameStream => Some(ALERTS),
        Beside::OwnStream => {
            peer.prepare(BULK).await?;
            beside_them = Some(Subscribers::open(&peer, BULK, &flights).await?);
            Some(BULK)
        }
    };
    let pushing = Pushing::begin(watch);
    let mut tasks = JoinSet::new();
    if let Some(stream) = pushed {
        for caller in peer.callers(stream, PUSHING, PUSHING).await? {
            tasks.spawn(push(caller, Arc::clone(&pushing)));
        }
    }

    let (mut confirm, mut payload) = (Latency::new(), Payload::new(1));
    let (mut before, mut from_s) = (0, 0.0);
    for number in 0..WARM_UP + alerts {
        if number == WARM_UP {
            flights.count_times();
            (before, from_s) = (pushing.bytes.load(Ordering::Relaxed), watch.seconds());
        }
        let due_s = watch.seconds() + 1.0 / ALERTS_PER_S;
        let flight = flights.take();
        let message = payload.of(flight);
        let begun_ns = flights.begin(flight)?;
        caller.publish(message).await?;
        if number >= WARM_UP {
            confirm.record_ns(flights.now_ns() - begun_ns);
        }
        sleep(Duration::from_secs_f64((due_s - watch.seconds()).max(0.0))).await;
    }
    let bytes = pushing.bytes.load(Ordering::Relaxed) - before;
    let lasted_s = watch.seconds() - from_s;
    pushing.stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    nothing_outstanding(&peer, pushed, watch).await?;
    let end_to_end = subscribers.end(flights.count()).await?;
    if let Some(subscribers) = beside_them {
        subscribers.end(0).await?;
    }
    ensure!(end_to_end.count() == 6 * u64::from(alerts), "{} deliveries came", end_to_end.count());
    peer.into_server().stop(watch).await?;
    #[expect(clippy::cast_precision_loss, reason = "some GiB are exact in an f64")]
    let bulk_per_s = bytes as f64 / lasted_s;
    let (beside, confirm, end_to_end) = (beside.to_string(), confirm.quantiles(), end_to_end.quantiles());
    Ok(Measured { name, beside, ours: false, confirm, end_to_end, bulk_per_s })
}

async fn nothing_outstanding<P: Peer>(peer: &P, pushed: Option<Stream>, watch: Stopwatch) -> Result<()> {
    let from_s = watch.seconds();
    for stream in [Some(ALERTS), pushed].into_iter().flatten() {
        loop {
            let outstanding = peer.outstanding(stream).await?;
            if outstanding == 0 {
                break;
            }
            ensure!(watch.seconds() - from_s < OWES_MAX_S, "{outstanding} deliveries stay outstanding");
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// The bulk of one phase.
struct Pushing {
    watch: Stopwatch,
    began_s: f64,
    stop: CancellationToken,
    bytes: AtomicU64,
}

impl Pushing {
    fn begin(watch: Stopwatch) -> Arc<Self> {
        let (stop, bytes) = (CancellationToken::new(), AtomicU64::new(0));
        Arc::new(Self { watch, began_s: watch.seconds(), stop, bytes })
    }
}

/// Hands in messages at the pace of one of those that push, each when the one before is confirmed, until it is stopped.
async fn push<C: Caller>(mut caller: C, pushing: Arc<Pushing>) -> Result<()> {
    let mut message = vec![7; BULK_BYTES];
    message[..8].copy_from_slice(&UNCOUNTED.to_be_bytes());
    let message = Bytes::from(message);
    let mut pushed = 0.0;
    while !pushing.stop.is_cancelled() {
        caller.publish(message.clone()).await?;
        pushing.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "a MiB is exact in an f64")]
        let bytes = BULK_BYTES as f64;
        pushed += bytes;
        let early_s = pushing.began_s + pushed / (FILES_PER_S / f64::from(PUSHING)) - pushing.watch.seconds();
        if early_s > 0.0 {
            sleep(Duration::from_secs_f64(early_s)).await;
        }
    }
    Ok(())
}
