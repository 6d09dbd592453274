//! What the exchanges of others have in common: a server, callers that wait for each confirmation, six durable subscribers that
//! acknowledge each message, and a count of what is outstanding.

use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::common::latency::Latency;
use crate::common::messages::{Flights, PAYLOAD_BYTES};
use crate::server::Server;

/// Subscribers of each exchange.
pub(crate) const SUBSCRIBERS: usize = 6;

/// What messages are handed in to, with six subscribers of its own.
pub(crate) type Stream = &'static str;
/// The stream of all that is measured.
pub(crate) const ALERTS: Stream = "alerts";
/// Stands where a message's number does, in those that are only to be in the way.
pub(crate) const UNCOUNTED: u64 = u64::MAX;

/// A subscriber that receives and acknowledges until it is stopped.
pub(crate) type Running = Pin<Box<dyn Future<Output = Result<Office>> + Send>>;

/// An exchange of others with its server running.
pub(crate) trait Peer: Sized + Send + Sync + 'static {
    /// Who hands messages in.
    type Caller: Caller;

    /// Its server.
    fn server(&self) -> &Server;
    /// Ends it, and gives its server.
    fn into_server(self) -> Server;
    /// Makes what keeps messages for six subscribers, before any of them is there.
    fn prepare(&self, stream: Stream) -> impl Future<Output = Result<()>> + Send;
    /// Connects so many callers, on at most so many connections.
    fn callers(
        &self,
        stream: Stream,
        callers: u32,
        connections: u32,
    ) -> impl Future<Output = Result<Vec<Self::Caller>>> + Send;
    /// Connects the subscriber of a number.
    fn subscribe(
        &self,
        stream: Stream,
        number: usize,
        office: Office,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<Running>> + Send;
    /// How many messages of a stream it owes its subscribers, of all six together, those that were delivered and not acknowledged among them.
    fn outstanding(&self, stream: Stream) -> impl Future<Output = Result<u64>> + Send;
}

/// Who hands messages in.
pub(crate) trait Caller: Send + 'static {
    /// Hands one in, and waits until it is confirmed.
    fn publish(&mut self, payload: Bytes) -> impl Future<Output = Result<()>> + Send;
}

/// What one subscriber has had.
pub(crate) struct Office {
    flights: Arc<Flights>,
    pub(crate) latency: Latency,
    /// A bit for each message.
    had: Vec<u64>,
    acknowledged: watch::Sender<u64>,
}

impl Office {
    /// Makes a subscriber that has had nothing.
    pub(crate) fn new(flights: Arc<Flights>) -> Self {
        let (latency, acknowledged) = (Latency::new(), watch::Sender::new(0));
        Self { flights, latency, had: Vec::new(), acknowledged }
    }

    /// Counts a message that came; once, however often it comes.
    pub(crate) fn receive(&mut self, payload: &[u8]) -> Result<()> {
        let now_ns = self.flights.now_ns();
        let number =
            payload.first_chunk().map(|it| u64::from_be_bytes(*it)).context("a message without a number")?;
        if number == UNCOUNTED {
            return Ok(());
        }
        let (word, bit) = (usize::try_from(number / 64)?, 1 << (number % 64));
        if word >= self.had.len() {
            self.had.resize(word + 1, 0);
        }
        if self.had[word] & bit != 0 {
            return Ok(());
        }
        self.had[word] |= bit;
        if let Some(ns) = self.flights.elapsed_ns(number, now_ns)? {
            self.latency.record_ns(ns);
        }
        Ok(())
    }

    /// Counts acknowledgements: confirmed ones, where the exchange confirms them, else those that are sent.
    pub(crate) fn acknowledged(&self) -> watch::Sender<u64> {
        self.acknowledged.clone()
    }

    /// How many different messages came.
    pub(crate) fn count(&self) -> u64 {
        self.had.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// Writes messages: their number, then bytes that are no use to compress.
#[derive(Clone)]
pub(crate) struct Payload([u8; PAYLOAD_BYTES]);

impl Payload {
    /// Fills it from a seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut bytes = [0; PAYLOAD_BYTES];
        resguardo::host::random::Random::fill(&resguardo::host::random::SeededRandom::new(seed), &mut bytes);
        Self(bytes)
    }

    /// Gives the message of a number.
    pub(crate) fn of(&mut self, number: u64) -> Bytes {
        self.0[..8].copy_from_slice(&number.to_be_bytes());
        Bytes::copy_from_slice(&self.0)
    }
}
