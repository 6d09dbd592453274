//! Who syncs before it confirms: a short run of its own under strace, one message at a time, never while anything is measured.
//!
//! First messages are published while no subscriber is there, then others whose six acknowledgements are waited for. A
//! confirmation is synced where a call that syncs began and ended between what it confirms and itself.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::wire::proto::exchange_service_client::ExchangeServiceClient;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;
use tonic::transport::Channel;

use crate::common::hub::{DevSet, Hub, SENDER};
use crate::common::messages::{Author, Flights};
use crate::common::stopwatch::Stopwatch;
use crate::common::subscribers::Subscribers as OurSubscribers;
use crate::contest::{Contestant, Ring};
use crate::load::Subscribers;
use crate::nats::{Acks, Nats};
use crate::peer::{ALERTS, Caller, Payload, Peer};
use crate::rabbit::Rabbit;
use crate::redis::Redis;

/// Messages of each part.
const MESSAGES: u64 = 40;
/// Room for them.
const ROOM: usize = 3 * MESSAGES as usize;
/// What syncs.
const CALLS: &str = "trace=fsync,fdatasync,sync_file_range,msync";
/// How long nothing new may come of a tracer that is attaching, or of a server that syncs afterwards.
const QUIET: Duration = Duration::from_millis(300);
/// How long is waited after an acknowledgement that nobody confirms.
const AFTERWARDS: Duration = Duration::from_millis(50);

/// What a trace showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Syncs {
    pub(crate) publishes: Part,
    /// Of a message's six.
    pub(crate) acknowledgements: Part,
    /// Whether acknowledgements are confirmed at all.
    pub(crate) confirmed: bool,
}

/// Of publishes, or of acknowledgements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Calls that sync, for each message.
    pub(crate) a_message: f64,
    /// Messages of a hundred with such a call between what was confirmed and the confirmation.
    pub(crate) before_percent: f64,
}

impl Syncs {
    /// Whether nothing that was published is confirmed before it is synced.
    pub(crate) fn publishes_first(&self) -> bool {
        self.publishes.before_percent >= 99.0
    }

    /// Looks at one of those that are measured.
    pub(crate) async fn of(contestant: Contestant, ring: &Ring<'_>) -> Result<Self> {
        let Ring { dev, tls, folder, watch, .. } = *ring;
        match contestant {
            Contestant::Ours(..) => look(Ours::start(ring).await?, folder, true).await,
            Contestant::Redis => of_peer(Redis::start(folder, tls, watch).await?, folder, true, watch).await,
            Contestant::Nats(acks) => {
                let nats = Nats::start(folder, tls, acks, watch).await?;
                of_peer(nats, folder, acks == Acks::Confirmed, watch).await
            }
            Contestant::Rabbit => {
                of_peer(Rabbit::start(folder, tls, watch).await?, folder, false, watch).await
            }
        }
        .with_context(|| format!("{contestant}, in {}", dev.hub_home().display()))
    }
}

/// An exchange that takes a message at a time.
trait Paced {
    fn id(&self) -> u32;
    async fn publish(&mut self) -> Result<()>;
    async fn subscribe(&mut self) -> Result<()>;
    /// Waits until everything is acknowledged.
    async fn acknowledged(&mut self) -> Result<()>;
}

async fn look(mut exchange: impl Paced, folder: &Path, confirmed: bool) -> Result<Syncs> {
    let clock = SystemClock::new();
    let now = || clock.now().0;
    exchange.publish().await?;
    let trace = Trace::attach(exchange.id(), folder).await?;
    let mut windows = Vec::new();
    for _ in 0..MESSAGES {
        let from = now();
        exchange.publish().await?;
        windows.push((from, now()));
    }
    let publishes = Part::of(&trace.end().await?, &windows);
    exchange.subscribe().await?;
    exchange.acknowledged().await?;
    sleep(QUIET).await;
    let trace = Trace::attach(exchange.id(), folder).await?;
    windows.clear();
    for _ in 0..MESSAGES {
        exchange.publish().await?;
        let from = now();
        exchange.acknowledged().await?;
        if !confirmed {
            sleep(AFTERWARDS).await;
        }
        windows.push((from, now()));
    }
    let mut acknowledgements = Part::of(&trace.end().await?, &windows);
    acknowledgements.a_message = (acknowledgements.a_message - publishes.a_message).max(0.0);
    Ok(Syncs { publishes, acknowledgements, confirmed })
}

impl Part {
    #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
    fn of(synced: &[(u64, u64)], windows: &[(u64, u64)]) -> Self {
        let within = |&&(from, until): &&(u64, u64)| {
            synced.iter().any(|&(began, ended)| from <= began && ended <= until)
        };
        let messages = windows.len() as f64;
        Self {
            a_message: synced.len() as f64 / messages,
            before_percent: windows.iter().filter(within).count() as f64 * 100.0 / messages,
        }
    }
}

/// A tracer of a server.
struct Trace {
    tracer: Child,
    calls: PathBuf,
}

impl Trace {
    async fn attach(id: u32, folder: &Path) -> Result<Self> {
        let [calls, said] = ["strace.calls", "strace.log"].map(|file| folder.join(file));
        let tracer = Command::new("strace")
            .args(["-f", "-ttt", "-T", "-e", CALLS, "-p", &id.to_string(), "-o"])
            .arg(&calls)
            .stdin(Stdio::null())
            .stderr(File::create(&said)?)
            .spawn()
            .context("strace")?;
        let trace = Self { tracer, calls };
        let mut told = 0;
        loop {
            sleep(QUIET).await;
            let now_told = fs::read_to_string(&said)?.matches("attached").count();
            if now_told > 0 && now_told == told {
                return Ok(trace);
            }
            told = now_told;
        }
    }

    /// Ends it; gives when each call began and ended, in microseconds of the time of day.
    async fn end(mut self) -> Result<Vec<(u64, u64)>> {
        sleep(AFTERWARDS).await;
        kill_process(Pid::from_child(&self.tracer), Signal::INT)?;
        self.tracer.wait()?;
        let calls = fs::read_to_string(&self.calls)?;
        let ended = calls.lines().filter(|line| line.contains(" = 0 <"));
        ended.map(|line| call(line).with_context(|| format!("strace says {line:?}"))).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.tracer.kill();
        let _ = self.tracer.wait();
    }
}

/// Reads a line like `71 1732733.123456 fdatasync(8) = 0 <0.000120>`, or the end of a call that others came between.
fn call(line: &str) -> Option<(u64, u64)> {
    let at: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let took: f64 = line.rsplit_once('<')?.1.strip_suffix('>')?.parse().ok()?;
    let (began, ended) = if line.contains("resumed>") { (at - took, at) } else { (at, at + took) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the time of day")]
    let us = |seconds: f64| (seconds * 1e6) as u64;
    Some((us(began), us(ended)))
}

async fn of_peer<P: Peer>(peer: P, folder: &Path, confirmed: bool, watch: Stopwatch) -> Result<Syncs> {
    peer.prepare(ALERTS).await?;
    let caller = peer.callers(ALERTS, 1, 1).await?.into_iter().next().context("a caller")?;
    let flights = Arc::new(Flights::new(watch, ROOM));
    look(Others { peer, caller, payload: Payload::new(1), flights, subscribers: None }, folder, confirmed)
        .await
}

struct Others<P: Peer> {
    peer: P,
    caller: P::Caller,
    payload: Payload,
    flights: Arc<Flights>,
    subscribers: Option<Subscribers>,
}

impl<P: Peer> Paced for Others<P> {
    fn id(&self) -> u32 {
        self.peer.server().id()
    }

    async fn publish(&mut self) -> Result<()> {
        let number = self.flights.take();
        self.flights.begin(number)?;
        self.caller.publish(self.payload.of(number)).await
    }

    async fn subscribe(&mut self) -> Result<()> {
        self.subscribers = Some(Subscribers::open(&self.peer, ALERTS, &self.flights).await?);
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<()> {
        let subscribers = self.subscribers.as_mut().context("nobody has subscribed")?;
        subscribers.acknowledged(self.flights.count()).await
    }
}

struct Ours<'a> {
    dev: &'a DevSet,
    hub: Hub,
    client: ExchangeServiceClient<Channel>,
    author: Author,
    offices: Vec<String>,
    flights: Arc<Flights>,
    subscribers: Option<OurSubscribers>,
}

impl<'a> Ours<'a> {
    async fn start(ring: &Ring<'a>) -> Result<Self> {
        let Ring { dev, supply, watch, .. } = *ring;
        let hub = dev.start_hub()?;
        let client = ExchangeServiceClient::new(hub.connect(&dev.office_home(SENDER)).await?);
        let (author, flights) = (Author::new(&supply.audience, 1), Arc::new(Flights::new(watch, ROOM)));
        Ok(Self {
            dev,
            hub,
            client,
            author,
            offices: supply.audience.offices.clone(),
            flights,
            subscribers: None,
        })
    }
}

impl Paced for Ours<'_> {
    fn id(&self) -> u32 {
        self.hub.id()
    }

    async fn publish(&mut self) -> Result<()> {
        let number = self.flights.take();
        let request = self.author.write(number);
        self.flights.begin(number)?;
        let accepted = self.client.publish(request).await?.into_inner().accepted;
        ensure!(accepted.is_some(), "message {number} is not accepted");
        Ok(())
    }

    async fn subscribe(&mut self) -> Result<()> {
        let (dev, hub, offices, flights) = (self.dev, &self.hub, &self.offices, &self.flights);
        self.subscribers = Some(OurSubscribers::open(dev, hub, offices, flights).await?);
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<()> {
        self.subscribers.as_mut().context("nobody has subscribed")?.drain(self.flights.count()).await
    }
}
