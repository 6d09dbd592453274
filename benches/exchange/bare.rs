//! The bare exchange: the same calls, deliveries and answers over the same TLS and libraries, and nothing kept.
//!
//! Its server is this program again, in a process of its own. It has no door, journal, ledger or bounds: it counts what
//! it is given, answers at once and forwards to whoever subscribed. What the hub takes beyond this is the hub's own.

#![expect(
    clippy::disallowed_methods,
    reason = "a yardstick that keeps nothing needs no bounds and nobody to watch its tasks"
)]

use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;
use resguardo::wire::proto::exchange_service_server::ExchangeService;
use resguardo::wire::proto::{
    Accepted, Deliveries, Delivery, EraseRequest, EraseResponse, Message, PublishRequest, PublishResponse,
    PublishResult, PublishStreamRequest, PublishStreamResponse, ReceiptResult, ReceiptResults, Recorded,
    SignedReceipt, Started, SubscribeRequest, SubscribeResponse, delivery, publish_result, receipt_result,
    subscribe_request, subscribe_response,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// Deliveries in one frame.
const DELIVERIES_MAX: usize = 256;
/// Frames that may wait to go down.
const FRAMES_DOWN_MAX: usize = 4;

type Frames<F> = ReceiverStream<Result<F, Status>>;

/// The service, the same on every connection.
#[derive(Clone, Default)]
pub(crate) struct Bare(Arc<State>);

#[derive(Default)]
struct State {
    told: Mutex<Told>,
}

/// Under one lock: each subscriber is told in order.
#[derive(Default)]
struct Told {
    last_index: u64,
    subscribers: Vec<mpsc::UnboundedSender<News>>,
}

/// What a subscriber is told.
#[derive(Clone)]
enum News {
    Message(Delivery),
    Results(ReceiptResults),
}

impl State {
    fn take(&self, request: PublishRequest) -> Accepted {
        let PublishRequest { envelope, payload } = request;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.last_index += 1;
        let index = told.last_index;
        let content = Some(delivery::Content::Message(Message { envelope, payload, ..Message::default() }));
        let news = News::Message(Delivery { index, accepted_unix_us: 1, content });
        for subscriber in &told.subscribers {
            // It may have gone.
            let _ = subscriber.send(news.clone());
        }
        Accepted { index, accepted_unix_us: 1, duplicate: false, epoch: 0, promise: None }
    }
}

#[tonic::async_trait]
impl ExchangeService for Bare {
    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        Ok(Response::new(PublishResponse { accepted: Some(self.0.take(request.into_inner())) }))
    }

    type PublishStreamStream = Frames<PublishStreamResponse>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<PublishStreamRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let (mut up, state) = (request.into_inner(), Arc::clone(&self.0));
        let (down, frames) = mpsc::channel(FRAMES_DOWN_MAX);
        tokio::spawn(async move {
            while let Ok(Some(frame)) = up.message().await {
                let accepted = frame.messages.into_iter().map(|message| PublishResult {
                    outcome: Some(publish_result::Outcome::Accepted(state.take(message))),
                });
                let results = accepted.collect();
                if down.send(Ok(PublishStreamResponse { results })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(frames)))
    }

    type SubscribeStream = Frames<SubscribeResponse>;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let mut up = request.into_inner();
        let Some(subscribe_request::Frame::Start(start)) = up.message().await?.and_then(|it| it.frame) else {
            return Err(Status::invalid_argument("a subscription begins with its start"));
        };
        let (tell, news) = mpsc::unbounded_channel();
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner).subscribers.push(tell.clone());
        let (down, frames) = mpsc::channel(FRAMES_DOWN_MAX);
        let started = Started { credit: start.credit, ..Started::default() };
        let started = SubscribeResponse { frame: Some(subscribe_response::Frame::Started(started)) };
        down.send(Ok(started)).await.map_err(|_| Status::cancelled("nobody reads"))?;
        tokio::spawn(send(news, down));
        tokio::spawn(async move {
            while let Ok(Some(frame)) = up.message().await {
                let Some(subscribe_request::Frame::Receipts(receipts)) = frame.frame else { continue };
                let results = receipts.receipts.iter().map(|receipt| {
                    let named =
                        SignedReceipt::decode(receipt.receipt.clone()).map_or(0, |it| it.messages.len());
                    let news = u32::try_from(named).unwrap_or(u32::MAX);
                    ReceiptResult {
                        outcome: Some(receipt_result::Outcome::Recorded(Recorded {
                            news,
                            ..Recorded::default()
                        })),
                    }
                });
                if tell.send(News::Results(ReceiptResults { results: results.collect() })).is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(frames)))
    }

    async fn erase(&self, _: Request<EraseRequest>) -> Result<Response<EraseResponse>, Status> {
        Err(Status::unimplemented("nothing is kept"))
    }
}

/// Sends what waits: deliveries together, results as they were gathered.
async fn send(
    mut news: mpsc::UnboundedReceiver<News>,
    down: mpsc::Sender<Result<SubscribeResponse, Status>>,
) {
    let mut waiting = Vec::with_capacity(DELIVERIES_MAX);
    while news.recv_many(&mut waiting, DELIVERIES_MAX).await > 0 {
        let mut deliveries = Vec::with_capacity(waiting.len());
        let mut frames = Vec::new();
        for one in waiting.drain(..) {
            match one {
                News::Message(delivery) => deliveries.push(delivery),
                News::Results(results) => frames.push(subscribe_response::Frame::ReceiptResults(results)),
            }
        }
        if !deliveries.is_empty() {
            frames.insert(0, subscribe_response::Frame::Deliveries(Deliveries { deliveries }));
        }
        for frame in frames {
            if down.send(Ok(SubscribeResponse { frame: Some(frame) })).await.is_err() {
                return;
            }
        }
    }
}
