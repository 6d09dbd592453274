//! A subscriber: one office, one connection, every message acknowledged.
//!
//! Keeps nothing on disk, checks no digests or signatures: what an office does with a message is not the hub's cost. Receipts
//! are gathered for a while (the timer's grain adds up to a millisecond), then go up in one frame.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::model::identity::Desk;
use resguardo::model::receipt::{Covered, RECEIPT_MESSAGES_MAX, Receipt, Stage};
use resguardo::seal::SigningKey;
use resguardo::wire::proto::exchange_service_client::ExchangeServiceClient;
use resguardo::wire::proto::{
    Credit, Deliveries, HandedReceipt, ReceiptResults, Receipts as Frame, Start, SubscribeRequest,
    SubscribeResponse, delivery, receipt_result, subscribe_request, subscribe_response,
};
use resguardo::wire::signed::SignedReceipt;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::common::latency::Latency;
use crate::common::messages::{self, Flights};

/// How long receipts are gathered that nobody signs.
const GATHER: Duration = Duration::from_millis(1);
/// How long receipts are gathered for one signature.
const GATHER_SIGNED: Duration = Duration::from_millis(50);
/// Deliveries that may be on the way: never what this load waits for.
const CREDIT: u32 = 65_536;
/// Deliveries after which their credit is given back.
const CREDIT_STEP: u32 = CREDIT / 16;
/// Frames that may wait to go up.
const FRAMES_UP_MAX: usize = 16;

/// How a subscriber acknowledges.
pub(crate) enum Receipts {
    /// Nobody signs.
    Unsigned,
    /// By a key.
    Signed(Arc<SigningKey>),
}

impl Receipts {
    fn gather(&self) -> Duration {
        match self {
            Self::Unsigned => GATHER,
            Self::Signed(_) => GATHER_SIGNED,
        }
    }
}

/// One subscriber.
pub(crate) struct Subscriber {
    desk: Desk,
    flights: Arc<Flights>,
    clock: SystemClock,
    up: mpsc::Sender<SubscribeRequest>,
    down: Streaming<SubscribeResponse>,
    /// Received and not acknowledged yet, ascending, as a receipt names them.
    gathered: Vec<Covered>,
    receipts: Receipts,
    last_index: Option<u64>,
    spent: u32,
    /// Messages whose receipts the hub has recorded.
    recorded: watch::Sender<u64>,
    latency: Latency,
}

impl Subscriber {
    /// Subscribes, and waits until the subscription has begun.
    pub(crate) async fn open(
        channel: Channel,
        office: &str,
        flights: Arc<Flights>,
        receipts: Receipts,
    ) -> Result<Self> {
        let (up, frames) = mpsc::channel(FRAMES_UP_MAX);
        let start = Start { credit: CREDIT, ..Start::default() };
        up.try_send(SubscribeRequest { frame: Some(subscribe_request::Frame::Start(start)) })?;
        let response = ExchangeServiceClient::new(channel).subscribe(ReceiverStream::new(frames)).await?;
        let mut down = response.into_inner();
        let first = down.message().await?.and_then(|response| response.frame);
        let Some(subscribe_response::Frame::Started(started)) = first else {
            bail!("a subscription began with {first:?}")
        };
        ensure!(started.credit == CREDIT, "a credit of {} is granted; {CREDIT} expected", started.credit);
        Ok(Self {
            desk: Desk { office: office.parse()?, desk: "desk-1".parse()? },
            receipts,
            flights,
            clock: SystemClock::new(),
            up,
            down,
            gathered: Vec::new(),
            last_index: None,
            spent: 0,
            recorded: watch::Sender::new(0),
            latency: Latency::new(),
        })
    }

    /// Follows how many messages' receipts the hub has recorded.
    pub(crate) fn recorded(&self) -> watch::Receiver<u64> {
        self.recorded.subscribe()
    }

    /// Receives and acknowledges until it is stopped; gives the times from handing in to having.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<Latency> {
        let gather = self.receipts.gather();
        let timer = sleep(gather);
        tokio::pin!(timer);
        let (up, mut due) = (self.up.clone(), false);
        loop {
            let waiting = self.gathered.is_empty();
            tokio::select! {
                frame = self.down.message() => {
                    let frame = frame?.context("the hub ended a subscription")?.frame;
                    self.take(frame)?;
                    if waiting && !self.gathered.is_empty() {
                        timer.set(sleep(gather));
                    }
                    due |= self.gathered.len() >= RECEIPT_MESSAGES_MAX;
                }
                () = &mut timer, if !waiting && !due => due = true,
                // A place first: to wait for one must never keep from reading.
                place = up.reserve(), if due => {
                    due = false;
                    place?.send(self.acknowledge());
                    self.give_credit();
                }
                () = stop.cancelled() => return Ok(self.latency),
            }
        }
    }

    fn take(&mut self, frame: Option<subscribe_response::Frame>) -> Result<()> {
        match frame {
            Some(subscribe_response::Frame::Deliveries(deliveries)) => self.receive(deliveries),
            Some(subscribe_response::Frame::ReceiptResults(results)) => self.learn(&results),
            other => bail!("deliveries or results expected, not {other:?}"),
        }
    }

    fn receive(&mut self, frame: Deliveries) -> Result<()> {
        let now_ns = self.flights.now_ns();
        for delivery in frame.deliveries {
            let Some(delivery::Content::Message(message)) = delivery.content else {
                bail!("a message expected, not {:?}", delivery.content)
            };
            let covered = messages::covered(delivery.index, &message.envelope)?;
            if let Some(ns) = self.flights.elapsed_ns(messages::number(covered.message_id), now_ns)? {
                self.latency.record_ns(ns);
            }
            let in_order = self.last_index < Some(delivery.index);
            ensure!(in_order, "{} delivered after {:?}", delivery.index, self.last_index);
            self.last_index = Some(delivery.index);
            self.spent += 1;
            self.gathered.push(covered);
        }
        Ok(())
    }

    fn learn(&self, results: &ReceiptResults) -> Result<()> {
        for result in &results.results {
            let Some(receipt_result::Outcome::Recorded(recorded)) = &result.outcome else {
                bail!("a receipt was not recorded: {result:?}")
            };
            self.recorded.send_modify(|count| *count += u64::from(recorded.news));
        }
        Ok(())
    }

    fn give_credit(&mut self) {
        let frame = subscribe_request::Frame::Credit(Credit { deliveries: self.spent });
        let frame = SubscribeRequest { frame: Some(frame) };
        // Where no place is free, the next time does.
        if self.spent >= CREDIT_STEP && self.up.try_send(frame).is_ok() {
            self.spent = 0;
        }
    }

    /// States what was gathered as received.
    fn acknowledge(&mut self) -> SubscribeRequest {
        let mut receipts = Vec::new();
        let mut rest = std::mem::take(&mut self.gathered);
        while !rest.is_empty() {
            let messages: Vec<_> = rest.drain(..rest.len().min(RECEIPT_MESSAGES_MAX)).collect();
            let receipt = Receipt {
                desk: self.desk.clone(),
                stage: Stage::Received,
                messages,
                notices: Vec::new(),
                at: self.clock.now(),
                action: None,
                reason: String::new(),
                note_digest: None,
                opened: false,
                seen: None,
            };
            // From the seed follows what hides one message from who sees another: nobody does here.
            let seed = [7; 32];
            let signed = match &self.receipts {
                Receipts::Signed(key) => SignedReceipt::by(key, receipt, seed),
                Receipts::Unsigned => SignedReceipt::unsigned(receipt, seed),
            };
            receipts.push(HandedReceipt { receipt: signed.to_bytes(), note: Bytes::new() });
        }
        SubscribeRequest { frame: Some(subscribe_request::Frame::Receipts(Frame { receipts })) }
    }
}
