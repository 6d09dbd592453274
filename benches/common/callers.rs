//! The callers: each hands in a message, waits for its confirmation, and hands in the next.
//!
//! By single calls each caller is a task. On a publishing stream the callers of one stream are places in it: when some
//! are confirmed, they hand in their next messages together in one frame.

use std::collections::VecDeque;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use resguardo::wire::proto::exchange_service_client::ExchangeServiceClient;
use resguardo::wire::proto::{PublishStreamRequest, publish_result};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::common::latency::Latency;
use crate::common::messages::Flights;
use crate::common::source::{Source, Writer};

/// How messages are handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A call each.
    Calls,
    /// Several a frame.
    Stream,
}

/// Callers with their connections.
pub(crate) struct Callers {
    channels: Vec<Channel>,
    flights: Arc<Flights>,
    source: Source,
    seed: u64,
}

impl Callers {
    /// Makes callers; the ids of messages that they write are drawn from the seeds after this one.
    pub(crate) fn new(channels: Vec<Channel>, flights: Arc<Flights>, source: Source, seed: u64) -> Self {
        Self { channels, flights, source, seed }
    }

    /// Runs the load of so many callers until it is enough; gives the times from handing in to being confirmed.
    pub(crate) async fn run(
        &mut self,
        mode: Mode,
        callers: u32,
        enough: impl Future<Output = Result<()>>,
    ) -> Result<Latency> {
        let mut tasks = JoinSet::new();
        let stop = CancellationToken::new();
        match mode {
            Mode::Calls => {
                for number in 0..usize::try_from(callers)? {
                    let client =
                        ExchangeServiceClient::new(self.channels[number % self.channels.len()].clone());
                    tasks.spawn(call(client, self.writer(), Arc::clone(&self.flights), stop.clone()));
                }
            }
            Mode::Stream => {
                let streams = self.channels.len();
                for number in 0..streams {
                    let callers = (usize::try_from(callers)? + streams - 1 - number) / streams;
                    let client = ExchangeServiceClient::new(self.channels[number].clone());
                    let writer = self.writer();
                    tasks.spawn(stream(client, writer, callers, Arc::clone(&self.flights), stop.clone()));
                }
            }
        }
        tokio::select! {
            reached = enough => reached?,
            Some(ended) = tasks.join_next() => {
                ended??;
                bail!("a caller ended before it was asked to");
            }
        }
        stop.cancel();
        let mut all = Latency::new();
        while let Some(ended) = tasks.join_next().await {
            all.add(&ended??)?;
        }
        Ok(all)
    }

    fn writer(&mut self) -> Writer {
        self.seed += 1;
        self.source.writer(&self.flights, self.seed)
    }
}

async fn call(
    mut client: ExchangeServiceClient<Channel>,
    mut writer: Writer,
    flights: Arc<Flights>,
    stop: CancellationToken,
) -> Result<Latency> {
    let mut latency = Latency::new();
    while !stop.is_cancelled() {
        let Some((number, request)) = writer.next() else {
            stop.cancelled().await;
            break;
        };
        let begun_ns = flights.begin(number)?;
        let response = client.publish(request).await?.into_inner();
        latency.record_ns(flights.now_ns() - begun_ns);
        ensure!(response.accepted.is_some_and(|accepted| !accepted.duplicate), "message {number} is not new");
    }
    Ok(latency)
}

async fn stream(
    mut client: ExchangeServiceClient<Channel>,
    mut writer: Writer,
    callers: usize,
    flights: Arc<Flights>,
    stop: CancellationToken,
) -> Result<Latency> {
    let mut latency = Latency::new();
    let (up, frames) = mpsc::channel(callers);
    let mut down = client.publish_stream(ReceiverStream::new(frames)).await?.into_inner();
    let mut handed_in = VecDeque::with_capacity(callers);
    let mut free = callers;
    loop {
        if !stop.is_cancelled() {
            let (numbers, messages): (Vec<_>, Vec<_>) = (0..free).map_while(|_| writer.next()).unzip();
            for number in numbers {
                handed_in.push_back(flights.begin(number)?);
            }
            if !messages.is_empty() {
                up.try_send(PublishStreamRequest { messages }).context("more frames than callers")?;
            }
        }
        if handed_in.is_empty() {
            stop.cancelled().await;
            return Ok(latency);
        }
        let results = down.message().await?.context("the hub ended a publishing stream")?.results;
        free = results.len();
        let now = flights.now_ns();
        for result in results {
            let Some(publish_result::Outcome::Accepted(accepted)) = result.outcome else {
                bail!("a message was not accepted: {result:?}")
            };
            ensure!(!accepted.duplicate, "a message is not new");
            latency.record_ns(now - handed_in.pop_front().context("more results than messages")?);
        }
    }
}
