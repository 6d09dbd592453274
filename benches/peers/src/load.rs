//! One measurement of an exchange of others: a fresh server, its subscribers, a load in closed loops, and a look at its end
//! whether every subscriber had every confirmed message and the server owes nothing.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::common::hub::Usage;
use crate::common::latency::Latency;
use crate::common::messages::Flights;
use crate::common::stopwatch::Stopwatch;
use crate::peer::{ALERTS, Caller, Office, Payload, Peer, SUBSCRIBERS, Stream};
use crate::point::{Load, Measured, Moment, ROOM_PER_S, lasting};

/// How often a server is asked whether it owes something still.
const LOOK: Duration = Duration::from_millis(5);
/// How long after its subscribers have gone it is asked for the last time.
const GONE: Duration = Duration::from_millis(200);
/// How long it may owe something after all were received, in seconds.
const OWES_MAX_S: f64 = 20.0;

/// Measures so many callers. Fails when a message was lost or stays unacknowledged.
pub(crate) async fn measure<P: Peer>(
    peer: P,
    callers: u32,
    load: Load,
    watch: Stopwatch,
) -> Result<Measured> {
    let Load { warm_up_s, seconds, connections } = load;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some seconds of messages")]
    let room = ((warm_up_s + seconds) * ROOM_PER_S) as usize;
    let flights = Arc::new(Flights::new(watch, room));
    peer.prepare(ALERTS).await?;
    let mut subscribers = Subscribers::open(&peer, ALERTS, &flights).await?;
    let mut callers = peer.callers(ALERTS, callers, connections.min(callers)).await?;

    (callers, _) = run(callers, &flights, lasting(&flights, warm_up_s, None)).await?;
    subscribers.drain(&peer, flights.count(), watch).await?;
    flights.count_times();
    let (before, counted) = (moment(&peer, watch)?, flights.count());
    let (_, confirm) = run(callers, &flights, lasting(&flights, seconds, None)).await?;
    subscribers.drain(&peer, flights.count(), watch).await?;
    let (after, count) = (moment(&peer, watch)?, flights.count() - counted);
    ensure!(confirm.count() == count, "{} of {count} messages are confirmed", confirm.count());

    let end_to_end = subscribers.end(flights.count()).await?;
    ensure!(end_to_end.count() == 6 * count, "{} deliveries of {count} messages to six", end_to_end.count());
    // What was delivered to a subscriber and not acknowledged is owed again once it has gone: some count it only then.
    sleep(GONE).await;
    let outstanding = peer.outstanding(ALERTS).await?;
    ensure!(outstanding == 0, "{outstanding} deliveries are outstanding at the end");
    peer.into_server().stop(watch).await?;
    Ok(Measured::of(&before, &after, count, (confirm.quantiles(), end_to_end.quantiles())))
}

fn moment<P: Peer>(peer: &P, watch: Stopwatch) -> Result<Moment> {
    Ok(Moment { s: watch.seconds(), hub: peer.server().usage()?, clients: Usage::of("self")? })
}

/// Runs the load until it is enough; gives the callers back, and the times from handing in to being confirmed.
async fn run<C: Caller>(
    callers: Vec<C>,
    flights: &Arc<Flights>,
    enough: impl Future<Output = Result<()>>,
) -> Result<(Vec<C>, Latency)> {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for (seed, caller) in (1..).zip(callers) {
        tasks.spawn(call(caller, Payload::new(seed), Arc::clone(flights), stop.clone()));
    }
    tokio::select! {
        reached = enough => reached?,
        Some(ended) = tasks.join_next() => {
            ended??;
            bail!("a caller ended before it was asked to");
        }
    }
    stop.cancel();
    let (mut callers, mut all) = (Vec::new(), Latency::new());
    while let Some(ended) = tasks.join_next().await {
        let (caller, latency) = ended??;
        callers.push(caller);
        all.add(&latency)?;
    }
    Ok((callers, all))
}

async fn call<C: Caller>(
    mut caller: C,
    mut payload: Payload,
    flights: Arc<Flights>,
    stop: CancellationToken,
) -> Result<(C, Latency)> {
    let mut latency = Latency::new();
    while !stop.is_cancelled() {
        let number = flights.take();
        let payload = payload.of(number);
        let begun_ns = flights.begin(number)?;
        caller.publish(payload).await?;
        latency.record_ns(flights.now_ns() - begun_ns);
    }
    Ok((caller, latency))
}

/// The six subscribers.
pub(crate) struct Subscribers {
    tasks: JoinSet<Result<Office>>,
    acknowledged: Vec<watch::Receiver<u64>>,
    stop: CancellationToken,
}

impl Subscribers {
    pub(crate) async fn open<P: Peer>(peer: &P, stream: Stream, flights: &Arc<Flights>) -> Result<Self> {
        let (stop, mut tasks, mut acknowledged) = (CancellationToken::new(), JoinSet::new(), Vec::new());
        for number in 0..SUBSCRIBERS {
            let office = Office::new(Arc::clone(flights));
            acknowledged.push(office.acknowledged().subscribe());
            tasks.spawn(peer.subscribe(stream, number, office, stop.clone()).await?);
        }
        Ok(Self { tasks, acknowledged, stop })
    }

    /// Waits until each has acknowledged so many messages.
    pub(crate) async fn acknowledged(&mut self, count: u64) -> Result<()> {
        for acknowledged in &mut self.acknowledged {
            tokio::select! {
                reached = acknowledged.wait_for(|acknowledged| *acknowledged >= count) => drop(reached?),
                Some(ended) = self.tasks.join_next() => {
                    ended?.context("a subscriber failed")?;
                    bail!("a subscriber ended before it was asked to");
                }
            }
        }
        Ok(())
    }

    /// Waits until each has acknowledged so many messages, and the server owes nothing.
    async fn drain<P: Peer>(&mut self, peer: &P, count: u64, watch: Stopwatch) -> Result<()> {
        self.acknowledged(count).await?;
        let from_s = watch.seconds();
        loop {
            let outstanding = peer.outstanding(ALERTS).await?;
            if outstanding == 0 {
                return Ok(());
            }
            ensure!(watch.seconds() - from_s < OWES_MAX_S, "{outstanding} deliveries stay outstanding");
            sleep(LOOK).await;
        }
    }

    /// Ends them; gives the times from handing in to having, of all together. Fails unless each had all messages.
    pub(crate) async fn end(mut self, count: u64) -> Result<Latency> {
        self.stop.cancel();
        let mut all = Latency::new();
        while let Some(ended) = self.tasks.join_next().await {
            let office = ended??;
            ensure!(office.count() == count, "a subscriber had {} of {count} messages", office.count());
            all.add(&office.latency)?;
        }
        Ok(all)
    }
}
