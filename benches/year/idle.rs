//! What a desk to which nothing is sent asks of its line: bytes of a real subscription to a real hub, over real TLS.
//!
//! A real `subscribe` is watched while nothing happens. Then rounds of witnesses are begun by urgent alerts between two others,
//! and the desk looks at each after another number of the other desks has cosigned it, by what `subscribe` calls itself; so what
//! a round adds is the mean over all orders in which desks may look.

use std::ops::{Add, Mul};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use resguardo::desk::home::Home;
use resguardo::desk::members::Members;
use resguardo::desk::{included, witness};
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::host::disk::OsDisk;
use resguardo::wire::client::ConnectLimits;
use tokio::time::sleep;
use tonic::transport::Channel;

use crate::common::hub::{DevSet, Hub, SENDER, connect};
use crate::history;
use crate::line::{Line, Passed};

/// Until a desk has begun, and has looked for the first time.
const BEGIN: Duration = Duration::from_secs(8);
/// How often it is looked whether a round has begun, and how many times at most.
const ASK_EVERY: Duration = Duration::from_millis(100);
const ASKED_MAX: u32 = 600;
/// What was sent has gone through the line then.
const SETTLE: Duration = Duration::from_millis(300);

/// How long it is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    /// Seconds in which nothing happens.
    pub(crate) quiet_s: u64,
    /// In how many rounds another number of others has cosigned before.
    pub(crate) orders: usize,
}

/// Bytes up and down.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bytes {
    pub(crate) up: f64,
    pub(crate) down: f64,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle {
    /// To begin: TLS, the subscription, the first look.
    pub(crate) begin: Bytes,
    /// Of a minute in which nothing happens.
    pub(crate) quiet_minute: Bytes,
    /// What a round of witnesses adds, in the mean of all orders.
    pub(crate) round: Bytes,
}

/// A program that is ended with this.
struct Subscribed(Child);

impl Drop for Subscribed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A desk's home and its connection, for looks of its own.
struct Witness {
    home: Home,
    channel: Channel,
    members: Members,
}

impl Witness {
    async fn of(dev: &DevSet, office: &str, hub: &str) -> Result<Self> {
        let home = Home::open(Arc::new(OsDisk), &dev.office_home(office))?;
        let channel = connect(hub, &dev.office_home(office), ConnectLimits::default()).await?;
        let members = Members::fetch(channel.clone(), &home, SystemClock::new().now()).await?;
        Ok(Self { home, channel, members })
    }

    /// Looks as `subscribe` does; tells whether something was cosigned.
    async fn look(&self) -> Result<bool> {
        let (policy, now) = (self.members.policy(), SystemClock::new().now());
        let seen = witness::look(&self.home, self.channel.clone(), policy, now).await?;
        included::look(&self.home, self.channel.clone(), policy).await?;
        Ok(seen.iter().any(|it| it.cosigned))
    }
}

/// Measures it, at a hub with nobody else.
pub(crate) async fn measure(dev: &DevSet, hub: &Hub, offices: &[String], watch: Watch) -> Result<Idle> {
    let [other, idle, ..] = offices else { anyhow::bail!("{} offices are too few", offices.len()) };
    let line = Line::to(hub.address().parse()?).await?;
    dev.lead(idle, &line.address().to_string())?;
    let desk = subscribe(dev, idle)?;
    sleep(BEGIN).await;
    let begin = Bytes::between(Passed { up: 0, down: 0 }, line.passed());
    ensure!(begin.down > 0.0, "nothing went through the line");
    let (from, quiet) = (line.passed(), Duration::from_secs(watch.quiet_s));
    sleep(quiet).await;
    let quiet_minute = Bytes::between(from, line.passed()) * (60.0 / quiet.as_secs_f64());
    drop(desk);

    let desk = Witness::of(dev, idle, &line.address().to_string()).await?;
    let mut others = Vec::new();
    for office in offices.iter().map(String::as_str).chain([SENDER]).filter(|it| it != idle) {
        others.push(Witness::of(dev, office, hub.address()).await?);
    }
    // What the desk received before is proved once, in a round that does not count.
    begin_round(dev, std::slice::from_ref(other)).await?;
    for witness in others.iter().chain([&desk]) {
        witness.look().await?;
    }
    let (mut sum, mut rounds) = (Bytes::default(), 0.0);
    for before in (0..=others.len()).take(watch.orders) {
        begin_round(dev, std::slice::from_ref(other)).await?;
        for other in &others[..before] {
            ensure!(other.look().await?, "there was nothing to cosign");
        }
        let with_round = desk.bytes(&line, true).await?;
        for other in &others[before..] {
            ensure!(other.look().await?, "there was nothing to cosign");
        }
        let with_none = desk.bytes(&line, false).await?;
        (sum, rounds) = (sum + with_round + with_none * -1.0, rounds + 1.0);
    }
    Ok(Idle { begin, quiet_minute, round: sum * (1.0 / rounds) })
}

impl Witness {
    /// What a look sends, in which something is cosigned or not.
    async fn bytes(&self, line: &Line, expected: bool) -> Result<Bytes> {
        sleep(SETTLE).await;
        let from = line.passed();
        let cosigned = self.look().await?;
        ensure!(cosigned == expected, "a look that cosigned: {cosigned}; expected: {expected}");
        sleep(SETTLE).await;
        Ok(Bytes::between(from, line.passed()))
    }
}

fn subscribe(dev: &DevSet, office: &str) -> Result<Subscribed> {
    let mut command = history::command(dev, office, &["subscribe"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    Ok(Subscribed(child.with_context(|| format!("{command:?}"))?))
}

/// Has an urgent alert published to others, and waits until its round has begun.
async fn begin_round(dev: &DevSet, to: &[String]) -> Result<()> {
    let before = dev.newest_round()?;
    history::publish(dev, to)?;
    for _ in 0..ASKED_MAX {
        if dev.newest_round()? > before {
            return Ok(());
        }
        sleep(ASK_EVERY).await;
    }
    anyhow::bail!("no round of witnesses has begun")
}

impl Bytes {
    #[expect(clippy::cast_precision_loss, reason = "bytes of some minutes are exact in an f64")]
    fn between(from: Passed, to: Passed) -> Self {
        Self { up: (to.up - from.up) as f64, down: (to.down - from.down) as f64 }
    }
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { up: self.up + other.up, down: self.down + other.down }
    }
}

impl Mul<f64> for Bytes {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self { up: self.up * times, down: self.down * times }
    }
}
