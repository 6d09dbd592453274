//! A subscription as an office's program holds it: frames up, frames down, nothing done by itself.

use std::collections::VecDeque;
use std::panic::Location;

use bytes::Bytes;
use resguardo::wire::proto::subscribe_request::Frame as Up;
use resguardo::wire::proto::subscribe_response::Frame as Down;
use resguardo::wire::proto::{
    Credit, Delivery, Envelope, HandedReceipt, Message, ReceiptResult, Receipts, Recorded, Start, Started,
    SubscribeRequest, SubscribeResponse, delivery, notice,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::client::Desk;
use super::draft::{envelope_of, new_id};
use super::statement::{self, Receipt};
use super::wait::within;

/// Frames that wait to go up, at most.
const WAITING_MAX: usize = 64;

/// An open subscription. Dropped, it is cut.
pub(crate) struct Subscription {
    /// What the hub said at the start.
    pub(crate) started: Started,
    pub(crate) desk: String,
    up: mpsc::Sender<SubscribeRequest>,
    down: Streaming<SubscribeResponse>,
    deliveries: VecDeque<Delivery>,
    results: VecDeque<ReceiptResult>,
}

impl Subscription {
    /// Opens one; gives the hub's refusal, however it comes.
    pub(crate) async fn open(desk: &Desk, start: Start) -> Result<Self, Status> {
        let (up, mut down) = Self::open_raw(desk, SubscribeRequest { frame: Some(Up::Start(start)) }).await?;
        match within("a subscription starts", down.message()).await? {
            Some(SubscribeResponse { frame: Some(Down::Started(started)) }) => Ok(Self {
                started,
                desk: desk.identity.clone(),
                up,
                down,
                deliveries: VecDeque::new(),
                results: VecDeque::new(),
            }),
            other => panic!("the first frame down is `started`, not {other:?}"),
        }
    }

    /// Opens one with any first frame; gives what it is made of.
    pub(crate) async fn open_raw(
        desk: &Desk,
        first: SubscribeRequest,
    ) -> Result<(mpsc::Sender<SubscribeRequest>, Streaming<SubscribeResponse>), Status> {
        let (up, frames) = mpsc::channel(WAITING_MAX);
        up.send(first).await.expect("there is room for the first frame");
        let mut exchange = desk.exchange();
        let call = exchange.subscribe(ReceiverStream::new(frames));
        let down = within("a subscription is opened", call).await?.into_inner();
        Ok((up, down))
    }

    /// The next delivery.
    pub(crate) async fn delivery(&mut self) -> Delivery {
        while self.deliveries.is_empty() {
            self.frame().await.unwrap_or_else(|status| panic!("the subscription ended: {status:?}"));
        }
        self.deliveries.pop_front().expect("one came")
    }

    /// The next so many deliveries.
    pub(crate) async fn next(&mut self, count: usize) -> Vec<Delivery> {
        let mut found = Vec::new();
        while found.len() < count {
            found.push(self.delivery().await);
        }
        found
    }

    /// The next delivery, or how the subscription ended.
    pub(crate) async fn try_delivery(&mut self) -> Result<Delivery, Status> {
        while self.deliveries.is_empty() {
            self.frame().await?;
        }
        Ok(self.deliveries.pop_front().expect("one came"))
    }

    /// Deliveries that came and were not asked for yet.
    pub(crate) fn came(&mut self) -> Vec<Delivery> {
        self.deliveries.drain(..).collect()
    }

    /// Checks that nothing was sent that is not asked for: a receipt that is refused goes up, and its result is the
    /// next thing that comes down.
    #[track_caller]
    pub(crate) fn nothing_comes(&mut self) -> impl Future<Output = ()> {
        let caller = Location::caller();
        async move {
            let nobodys = statement::nobodys(u64::MAX, new_id());
            let receipt = statement::received_of(&self.desk, vec![nobodys]);
            statement::refused(&self.state(&receipt).await);
            assert!(self.deliveries.is_empty(), "{caller}: this came: {:?}", self.deliveries);
        }
    }

    /// Gives more credit.
    pub(crate) async fn credit(&mut self, deliveries: u32) {
        self.send(Up::Credit(Credit { deliveries })).await;
    }

    /// Hands up one receipt and awaits its result.
    pub(crate) async fn state(&mut self, receipt: &Receipt) -> ReceiptResult {
        self.state_bytes(vec![statement::bytes(receipt)]).await.remove(0)
    }

    /// Hands up one receipt that must be recorded.
    pub(crate) async fn record(&mut self, receipt: &Receipt) -> Recorded {
        statement::recorded(&self.state(receipt).await)
    }

    /// Acknowledges deliveries as received, with one receipt.
    pub(crate) async fn acknowledge(&mut self, deliveries: &[Delivery]) -> Recorded {
        let receipt = statement::received(&self.desk, deliveries);
        self.record(&receipt).await
    }

    /// Hands up receipts in one frame, whatever they are, and awaits their results.
    pub(crate) async fn state_bytes(&mut self, receipts: Vec<Bytes>) -> Vec<ReceiptResult> {
        self.try_state_bytes(receipts)
            .await
            .unwrap_or_else(|status| panic!("the subscription ended: {status:?}"))
    }

    /// Hands up receipts in one frame; gives their results, or how the subscription ended.
    pub(crate) async fn try_state_bytes(
        &mut self,
        receipts: Vec<Bytes>,
    ) -> Result<Vec<ReceiptResult>, Status> {
        self.try_state_handed(receipts.into_iter().map(statement::handed).collect()).await
    }

    /// Hands up receipts and notes in one frame, whatever they are, and awaits their results.
    pub(crate) async fn state_handed(&mut self, receipts: Vec<HandedReceipt>) -> Vec<ReceiptResult> {
        let results = self.try_state_handed(receipts).await;
        results.unwrap_or_else(|status| panic!("the subscription ended: {status:?}"))
    }

    async fn try_state_handed(&mut self, receipts: Vec<HandedReceipt>) -> Result<Vec<ReceiptResult>, Status> {
        let count = receipts.len();
        self.send(Up::Receipts(Receipts { receipts })).await;
        while self.results.len() < count {
            self.frame().await?;
        }
        Ok(self.results.drain(..count).collect())
    }

    /// Sends a frame up.
    pub(crate) async fn send(&mut self, frame: Up) {
        self.send_raw(SubscribeRequest { frame: Some(frame) }).await;
    }

    /// Sends a frame up, also one that says nothing. One that is sent after the end is lost: the end says why.
    pub(crate) async fn send_raw(&mut self, request: SubscribeRequest) {
        let _ = within("a frame goes up", self.up.send(request)).await;
    }

    /// Closes the way up, and waits until the hub has closed the way down.
    pub(crate) async fn finish(self) -> Status {
        let Self { up, mut down, .. } = self;
        drop(up);
        end_of(&mut down).await
    }

    /// Waits until the hub ends it; deliveries that come before are dropped.
    pub(crate) async fn end(mut self) -> Status {
        end_of(&mut self.down).await
    }

    /// Takes in one frame.
    async fn frame(&mut self) -> Result<(), Status> {
        let frame = within("a frame comes down", self.down.message()).await?;
        match frame.ok_or_else(ended)?.frame {
            Some(Down::Deliveries(frame)) => {
                assert!(!frame.deliveries.is_empty(), "a frame of deliveries has some");
                self.deliveries.extend(frame.deliveries);
            }
            Some(Down::ReceiptResults(frame)) => self.results.extend(frame.results),
            other => panic!("after `started` come deliveries and results, not {other:?}"),
        }
        Ok(())
    }
}

/// Waits for the end of a stream.
pub(crate) async fn end_of(down: &mut Streaming<SubscribeResponse>) -> Status {
    within("the hub ends the subscription", async {
        loop {
            match down.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return ended(),
                Err(status) => return status,
            }
        }
    })
    .await
}

fn ended() -> Status {
    Status::new(Code::Ok, "the hub closed the stream")
}

/// The message in a delivery.
#[track_caller]
pub(crate) fn message(delivery: &Delivery) -> &Message {
    match &delivery.content {
        Some(delivery::Content::Message(message)) => message,
        other => panic!("a message was expected, not {other:?}"),
    }
}

/// The envelope in a delivery.
#[track_caller]
pub(crate) fn envelope(delivery: &Delivery) -> Envelope {
    envelope_of(&message(delivery).envelope)
}

/// The id of the message in a delivery.
#[track_caller]
pub(crate) fn id(delivery: &Delivery) -> Bytes {
    envelope(delivery).message_id
}

/// The ids of the messages in deliveries.
#[track_caller]
pub(crate) fn ids(deliveries: &[Delivery]) -> Vec<Bytes> {
    deliveries.iter().map(id).collect()
}

/// The receipt's bytes in a notice.
#[track_caller]
pub(crate) fn notice(delivery: &Delivery) -> &Bytes {
    match &delivery.content {
        Some(delivery::Content::Notice(found)) => match &found.notice {
            Some(notice::Notice::Receipt(receipt)) => receipt,
            other => panic!("a receipt was expected, not {other:?}"),
        },
        other => panic!("a notice was expected, not {other:?}"),
    }
}
