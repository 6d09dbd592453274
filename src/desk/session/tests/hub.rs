//! A hub that says what a test tells it to, over real sockets, without TLS.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

use crate::desk::dial::{Dial, Dialled};
use crate::host::tasks::{Tasks, TokioTasks};
use crate::model::id::DirectoryVersion;
use crate::model::policy::Policy;
use crate::wire::connect_error::ConnectError;
use crate::wire::proto::directory_service_server::{DirectoryService, DirectoryServiceServer};
use crate::wire::proto::exchange_service_server::{ExchangeService, ExchangeServiceServer};
use crate::wire::proto::subscribe_response::Frame;
use crate::wire::{amendment, proto};

type Down = mpsc::Sender<Result<proto::SubscribeResponse, Status>>;

/// One subscription, held by the test.
pub(super) struct Call {
    up: Streaming<proto::SubscribeRequest>,
    pub(super) down: Down,
}

/// A hub without a mind of its own.
pub(super) struct FakeHub {
    address: SocketAddr,
    calls: mpsc::Receiver<Call>,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answers: Mutex<VecDeque<Result<proto::Accepted, Status>>>,
    refusals: Mutex<VecDeque<Status>>,
    published: Mutex<Vec<proto::PublishRequest>>,
    directory: Mutex<Policy>,
    /// What is answered instead of the directory.
    untold: Mutex<VecDeque<Status>>,
}

struct Directory(Arc<State>);

struct Service {
    calls: mpsc::Sender<Call>,
    state: Arc<State>,
}

impl FakeHub {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, calls) = mpsc::channel(4);
        let state = Arc::new(State::default());
        let service = ExchangeServiceServer::new(Service { calls: sender, state: state.clone() });
        let directory = DirectoryServiceServer::new(Directory(state.clone()));
        let server = Server::builder().add_service(service).add_service(directory);
        let serving = async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        };
        drop(TokioTasks::on(tokio::runtime::Handle::current()).spawn("hub", Box::pin(serving)));
        Self { address, calls, state }
    }

    /// Waits for the next subscription, and for its start, and grants what it asks for.
    pub(super) async fn subscribed(&mut self) -> (Call, proto::Start) {
        self.subscribed_with(u32::MAX).await
    }

    /// The same, granting less credit.
    pub(super) async fn subscribed_with(&mut self, credit_max: u32) -> (Call, proto::Start) {
        let mut call = self.calls.recv().await.unwrap();
        match call.up.message().await.unwrap().unwrap().frame.unwrap() {
            proto::subscribe_request::Frame::Start(start) => {
                let credit = start.credit.min(credit_max);
                call.send(Frame::Started(proto::Started {
                    next_index: 100,
                    outstanding: 1,
                    credit,
                    epochs: Vec::new(),
                }))
                .await;
                (call, start)
            }
            other => panic!("{other:?} is no start"),
        }
    }

    /// Answers the next publishes so, one each; then refuses none and accepts none: it is unavailable.
    pub(super) fn answer_publish(&self, answers: impl IntoIterator<Item = Result<proto::Accepted, Status>>) {
        self.state.answers.lock().unwrap().extend(answers);
    }

    /// Answers the next subscriptions so, one each, before any is let in.
    pub(super) fn refuse_subscribe(&self, status: Status) {
        self.state.refusals.lock().unwrap().push_back(status);
    }

    /// Tells this directory from now on.
    pub(super) fn tell_directory(&self, policy: Policy) {
        *self.state.directory.lock().unwrap() = policy;
    }

    /// Answers so the next times that the directory is asked for.
    pub(super) fn keep_directory(&self, answers: impl IntoIterator<Item = Status>) {
        self.state.untold.lock().unwrap().extend(answers);
    }

    pub(super) fn published(&self) -> Vec<proto::PublishRequest> {
        self.state.published.lock().unwrap().clone()
    }
}

impl Call {
    pub(super) async fn send(&self, frame: Frame) {
        self.down.send(Ok(proto::SubscribeResponse { frame: Some(frame) })).await.unwrap();
    }

    pub(super) async fn deliver(&self, deliveries: Vec<proto::Delivery>) {
        self.send(Frame::Deliveries(proto::Deliveries { deliveries })).await;
    }

    /// Waits for the next frame.
    pub(super) async fn next(&mut self) -> proto::subscribe_request::Frame {
        self.up.message().await.unwrap().unwrap().frame.unwrap()
    }

    /// Waits for the next receipts, passing over credit.
    pub(super) async fn receipts(&mut self) -> Vec<bytes::Bytes> {
        loop {
            if let proto::subscribe_request::Frame::Receipts(frame) = self.next().await {
                return frame.receipts.into_iter().map(|handed| handed.receipt).collect();
            }
        }
    }

    pub(super) async fn record(&self, indexes: impl IntoIterator<Item = u64>) {
        let recorded = |index| {
            let recorded = proto::Recorded { index, recorded_unix_us: 9_000 + index, news: 1, epoch: 0 };
            let outcome = Some(proto::receipt_result::Outcome::Recorded(recorded));
            proto::ReceiptResult { outcome }
        };
        let results = indexes.into_iter().map(recorded).collect();
        self.send(Frame::ReceiptResults(proto::ReceiptResults { results })).await;
    }

    pub(super) async fn refuse(&self, reason: &str, retry_after_ms: u64) {
        let refusal = proto::Refusal {
            reason: reason.into(),
            message: "no".into(),
            field: String::new(),
            retry_after_ms,
        };
        let outcome = Some(proto::receipt_result::Outcome::Refusal(refusal));
        let results = vec![proto::ReceiptResult { outcome }];
        self.send(Frame::ReceiptResults(proto::ReceiptResults { results })).await;
    }

    /// Waits until the desk has ended the call.
    pub(super) async fn ended(mut self) {
        while let Ok(Some(_)) = self.up.message().await {}
    }
}

/// The way to a hub, apart from the hub itself, which the test holds.
pub(super) struct Way(SocketAddr);

impl FakeHub {
    pub(super) fn way(&self) -> Way {
        Way(self.address)
    }

    /// The way to a port where nobody listens.
    pub(super) async fn nowhere(&self) -> Way {
        Way(TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap())
    }
}

impl Dial for Way {
    fn dial(&self) -> Dialled<'_> {
        Box::pin(async {
            let address = self.0.to_string();
            let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
            endpoint.connect().await.map_err(|_| ConnectError::NobodyListens { address })
        })
    }
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn describe_directory(
        &self,
        request: Request<proto::DescribeDirectoryRequest>,
    ) -> Result<Response<proto::DescribeDirectoryResponse>, Status> {
        if let Some(status) = self.0.untold.lock().unwrap().pop_front() {
            return Err(status);
        }
        let policy = self.0.directory.lock().unwrap().clone();
        let after = DirectoryVersion(request.into_inner().after_version);
        let known = usize::try_from(after.0).unwrap();
        let entries = policy.entries().iter().skip(known).map(|entry| amendment::bytes(entry)).collect();
        let digest_after = policy.head_at(after).unwrap_or_default().to_vec().into();
        let version = policy.version().0;
        let told = proto::DescribeDirectoryResponse { version, entries, digest_after, ..Default::default() };
        Ok(Response::new(told))
    }

    async fn amend_directory(
        &self,
        _: Request<proto::AmendDirectoryRequest>,
    ) -> Result<Response<proto::AmendDirectoryResponse>, Status> {
        Err(Status::unimplemented("no test amends it here"))
    }
}

#[tonic::async_trait]
impl ExchangeService for Service {
    async fn publish(
        &self,
        request: Request<proto::PublishRequest>,
    ) -> Result<Response<proto::PublishResponse>, Status> {
        self.state.published.lock().unwrap().push(request.into_inner());
        let answer = self.state.answers.lock().unwrap().pop_front();
        let accepted = answer.unwrap_or_else(|| Err(Status::unavailable("not now")))?;
        Ok(Response::new(proto::PublishResponse { accepted: Some(accepted) }))
    }

    async fn erase(&self, _: Request<proto::EraseRequest>) -> Result<Response<proto::EraseResponse>, Status> {
        Err(Status::unimplemented("no test orders an erasure here"))
    }

    type PublishStreamStream = ReceiverStream<Result<proto::PublishStreamResponse, Status>>;

    async fn publish_stream(
        &self,
        _: Request<Streaming<proto::PublishStreamRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        Err(Status::unimplemented("no desk calls it"))
    }

    type SubscribeStream = ReceiverStream<Result<proto::SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<proto::SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        if let Some(refusal) = self.state.refusals.lock().unwrap().pop_front() {
            return Err(refusal);
        }
        let (down, frames) = mpsc::channel(16);
        let call = Call { up: request.into_inner(), down };
        self.calls.send(call).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(frames)))
    }
}
