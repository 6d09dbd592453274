//! One size: a fresh hub is filled, measured, stopped in each way, started again and checked.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use resguardo::wire::proto::DescribeDirectoryRequest;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;
use tokio::time::sleep;

use crate::common::callers::{Callers, Mode};
use crate::common::hub::{DevSet, Hub, SENDER, Usage};
use crate::common::latency::{Latency, Quantiles};
use crate::common::messages::{Audience, Flights, PAYLOAD_BYTES};
use crate::common::source::Source;
use crate::common::stopwatch::Stopwatch;
use crate::common::subscribers::Subscribers;
use crate::common::sync;
use crate::say;

/// Callers that fill the hub, and their connections.
pub(crate) const CALLERS: u32 = 64;
pub(crate) const CONNECTIONS: usize = 4;
/// Points of the curve.
const CURVE_POINTS: u64 = 50;
/// Messages a second for which there is room in the phases that last some seconds.
const ROOM_PER_S: f64 = 300_000.0;
/// How often the auditor asks whether something is still outstanding, and how often at most.
const AUDIT_EVERY: Duration = Duration::from_millis(100);
const AUDITS_MAX: usize = 600;
/// Samples of a probe of the disk.
const SYNCS: u32 = 1_000;

/// How much is done at each size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Messages that are measured after those that are stored.
    pub(crate) measured: u64,
    /// The last messages for which one office is away.
    pub(crate) away: u64,
    /// Seconds of one caller alone.
    pub(crate) alone_s: f64,
    /// Seconds of load before the hub is killed.
    pub(crate) killed_s: f64,
}

/// What one size gave.
pub(crate) struct Size {
    /// Messages that were stored before those that were measured.
    pub(crate) messages: u64,
    pub(crate) curve: Vec<Filled>,
    /// Messages a second of 64 callers, until the last receipt of them was on the hub's disk.
    pub(crate) per_s: f64,
    pub(crate) confirm: Quantiles,
    /// What the disk takes to sync, just before and after one caller.
    pub(crate) sync: Quantiles,
    /// One caller's.
    pub(crate) alone_confirm: Quantiles,
    pub(crate) alone_end_to_end: Quantiles,
    pub(crate) filled: Usage,
    /// What the office that was away was owed, and the seconds until the hub had its receipts of all.
    pub(crate) caught_up: u64,
    pub(crate) caught_up_s: f64,
    pub(crate) after_catch_up: Usage,
    pub(crate) stop_s: f64,
    pub(crate) clean: Start,
    pub(crate) killed: Start,
    pub(crate) rebuilt: Start,
    pub(crate) verify_s: f64,
    /// Entries of the journal at the end.
    pub(crate) entries: u64,
    /// Messages at the end.
    pub(crate) payloads: u64,
    /// What the journal says, and what it takes of the disk, with room for what comes.
    pub(crate) journal_bytes: u64,
    pub(crate) journal_disk_bytes: u64,
    /// What the ledger takes of the disk as it grew, and after it was built anew.
    pub(crate) ledger_disk_bytes: u64,
    pub(crate) ledger_rebuilt_bytes: u64,
}

/// A point of the curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    pub(crate) messages: u64,
    /// Since the point before.
    pub(crate) per_s: f64,
    pub(crate) resident_mib: f64,
}

/// One start of the hub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    /// From starting the program until it listens.
    pub(crate) whole_s: f64,
    /// Of this, sled's opening of its files.
    pub(crate) sled_s: f64,
    /// Reading and catching up of the ledger.
    pub(crate) ledger_s: f64,
    pub(crate) usage: Usage,
}

impl Start {
    /// All but sled's own opening.
    pub(crate) fn rest_s(&self) -> f64 {
        self.whole_s - self.sled_s
    }
}

/// A hub, and who talks to it.
struct Exchange<'a> {
    dev: &'a DevSet,
    hub: Hub,
    flights: Arc<Flights>,
    audience: Audience,
    callers: Callers,
    watch: Stopwatch,
}

/// Measures one size.
pub(crate) async fn measure(messages: u64, load: Load, dev: &DevSet, watch: Stopwatch) -> Result<Size> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds of messages")]
    let room = messages + load.measured + ((load.alone_s + load.killed_s) * ROOM_PER_S) as u64;
    let flights = Arc::new(Flights::new(watch, usize::try_from(room)?));
    dev.found_hub()?;
    let mut exchange = Exchange::over(dev.run_hub()?, dev, &flights, watch).await?;
    let (away, present) = exchange.audience.offices.clone().split_last().map(split).context("no office")?;

    let leaves = (messages + load.measured).saturating_sub(load.away);
    let mut subscribers = Subscribers::open(dev, &exchange.hub, &present, &flights).await?;
    let mut curve = Vec::new();
    if leaves > 0 {
        let mut sixth = Subscribers::open(dev, &exchange.hub, &away, &flights).await?;
        exchange.fill(0, leaves, messages, &mut curve).await?;
        sixth.drain(flights.count()).await?;
        sixth.end().await?;
    }
    let before_away = flights.count() * u64::from(leaves > 0);
    exchange.fill(flights.count(), messages, messages, &mut curve).await?;
    subscribers.drain(flights.count()).await?;

    let (from, began_s) = (flights.count(), watch.seconds());
    let target = from + load.measured;
    let confirm = exchange.callers.run(Mode::Stream, CALLERS, flights.reach(target)).await?.quantiles();
    subscribers.drain(flights.count()).await?;
    let per_s = ratio(flights.count() - from, watch.seconds() - began_s);
    let filled = exchange.hub.usage()?;
    say(&format!(
        "{messages} stored: {per_s:.0}/s, confirm {:.3} / {:.3} ms",
        confirm.p50_ms, confirm.p99_ms
    ))?;

    let mut sync = sync_probe(dev, watch)?;
    flights.count_times();
    let alone = exchange.callers.run(Mode::Calls, 1, lasting(load.alone_s)).await?.quantiles();
    subscribers.drain(flights.count()).await?;
    let alone_end_to_end = subscribers.end().await?.quantiles();
    sync.add(&sync_probe(dev, watch)?)?;

    let (owed, began_s) = (flights.count() - before_away, watch.seconds());
    let mut returned = Subscribers::open(dev, &exchange.hub, &away, &flights).await?;
    returned.drain(owed).await?;
    let caught_up_s = watch.seconds() - began_s;
    returned.end().await?;
    dev.check_nothing_outstanding(&exchange.hub).await?;
    let after_catch_up = exchange.hub.usage()?;
    say(&format!("{owed} outstanding caught up in {caught_up_s:.2} s; {after_catch_up:?}"))?;

    let stop_s = timed(watch, || exchange.hub.stop())?;
    let ledger = dev.hub_home().join("ledger");
    let ledger_disk_bytes = disk_bytes(&ledger)?;
    let (hub, clean) = start(dev, watch)?;
    let mut exchange = Exchange::over(hub, dev, &flights, watch).await?;
    let subscribers = Subscribers::open(dev, &exchange.hub, &exchange.audience.offices, &flights).await?;
    exchange.callers.run(Mode::Stream, CALLERS, lasting(load.killed_s)).await?;
    // Dropped, it is killed: with receipts on their way, and rows of the ledger that were never flushed.
    drop((exchange, subscribers));
    let (hub, killed) = start(dev, watch)?;
    let exchange = Exchange::over(hub, dev, &flights, watch).await?;
    let subscribers = Subscribers::open(dev, &exchange.hub, &exchange.audience.offices, &flights).await?;
    exchange.settle().await?;
    subscribers.end().await?;
    exchange.hub.stop()?;

    fs::remove_dir_all(&ledger)?;
    let (hub, rebuilt) = start(dev, watch)?;
    hub.stop()?;
    let began_s = watch.seconds();
    let verified = dev.verify_hub()?;
    let verify_s = watch.seconds() - began_s;
    let told = |name: &str| verified[name].as_u64().with_context(|| format!("the check tells no {name}"));
    let payloads = told("payloads")?;
    ensure!(payloads == flights.count(), "{payloads} of {} confirmed messages are stored", flights.count());
    Ok(Size {
        messages,
        curve,
        per_s,
        confirm,
        sync: sync.quantiles(),
        alone_confirm: alone,
        alone_end_to_end,
        filled,
        caught_up: owed,
        caught_up_s,
        after_catch_up,
        stop_s,
        clean,
        killed,
        rebuilt,
        verify_s,
        entries: told("entries")?,
        payloads,
        journal_bytes: told("bytes")?,
        journal_disk_bytes: disk_bytes(&dev.hub_home().join("journal"))?,
        ledger_disk_bytes,
        ledger_rebuilt_bytes: disk_bytes(&ledger)?,
    })
}

impl<'a> Exchange<'a> {
    async fn over(hub: Hub, dev: &'a DevSet, flights: &Arc<Flights>, watch: Stopwatch) -> Result<Self> {
        let mut channels = Vec::new();
        for _ in 0..CONNECTIONS {
            channels.push(hub.connect(&dev.office_home(SENDER)).await?);
        }
        let directory = DirectoryServiceClient::new(channels[0].clone())
            .describe_directory(DescribeDirectoryRequest::default())
            .await?;
        let audience = Audience::of(&directory.into_inner(), dev)?;
        // Ids are drawn from a seed: another one for each set of callers.
        let callers =
            Callers::new(channels, Arc::clone(flights), Source::Written(audience.clone()), flights.count());
        Ok(Self { dev, hub, flights: Arc::clone(flights), audience, callers, watch })
    }

    /// Publishes until so many messages are stored, and notes the points of the curve on the way.
    async fn fill(&mut self, from: u64, to: u64, of: u64, curve: &mut Vec<Filled>) -> Result<()> {
        let Self { hub, flights, callers, watch, .. } = self;
        let following = async {
            let (mut count, mut at_s) = (from, watch.seconds());
            while count < to {
                flights.reach((count + of / CURVE_POINTS).min(to)).await?;
                let (now, now_s) = (flights.count(), watch.seconds());
                let per_s = ratio(now - count, now_s - at_s);
                curve.push(Filled { messages: now, per_s, resident_mib: hub.usage()?.resident_mib });
                (count, at_s) = (now, now_s);
            }
            Ok(())
        };
        callers.run(Mode::Stream, CALLERS, following).await?;
        Ok(())
    }

    /// Waits until nothing is outstanding.
    async fn settle(&self) -> Result<()> {
        for _ in 0..AUDITS_MAX {
            if self.dev.outstanding(&self.hub).await? == 0 {
                return Ok(());
            }
            sleep(AUDIT_EVERY).await;
        }
        self.dev.check_nothing_outstanding(&self.hub).await
    }
}

/// Starts the hub that was founded.
fn start(dev: &DevSet, watch: Stopwatch) -> Result<(Hub, Start)> {
    let began_s = watch.seconds();
    let hub = dev.run_hub()?;
    let whole_s = watch.seconds() - began_s;
    let opened = hub.logged("open: ")?;
    let seconds = |name: &str| -> Result<f64> {
        let us = opened[name].as_f64().with_context(|| format!("the hub's log tells no {name}"))?;
        Ok(us / 1e6)
    };
    let usage = hub.usage()?;
    let start = Start { whole_s, sled_s: seconds("store_us")?, ledger_s: seconds("ledger_us")?, usage };
    say(&format!("{start:?} {opened}"))?;
    Ok((hub, start))
}

async fn lasting(seconds: f64) -> Result<()> {
    sleep(Duration::from_secs_f64(seconds)).await;
    Ok(())
}

fn sync_probe(dev: &DevSet, watch: Stopwatch) -> Result<Latency> {
    sync::probe(&dev.hub_home().join("sync-probe"), SYNCS, watch)
}

fn timed(watch: Stopwatch, act: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began_s = watch.seconds();
    act()?;
    Ok(watch.seconds() - began_s)
}

fn split((last, others): (&String, &[String])) -> (Vec<String>, Vec<String>) {
    (vec![last.clone()], others.to_vec())
}

#[expect(clippy::cast_precision_loss, reason = "counts of messages and bytes are far below 2^53")]
pub(crate) fn ratio(count: u64, by: f64) -> f64 {
    count as f64 / by
}

impl Size {
    /// Bytes of all payloads at the end.
    pub(crate) fn payload_bytes(&self) -> f64 {
        ratio(self.payloads * PAYLOAD_BYTES as u64, 1.0)
    }
}

/// What a folder takes of the disk.
fn disk_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += if found.is_dir() { disk_bytes(&entry.path())? } else { found.blocks() * 512 };
    }
    Ok(bytes)
}
