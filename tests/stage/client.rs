//! Who talks to the hub: desks of offices and auditors, each over a connection of its own.

use std::sync::Arc;

use resguardo::host::clock::SystemClock;
use resguardo::wire::client::{ConnectLimits, connect};
use resguardo::wire::connect_error::ConnectError;
use resguardo::wire::line::Silence;
use resguardo::wire::proto::audit_service_client::AuditServiceClient;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;
use resguardo::wire::proto::exchange_service_client::ExchangeServiceClient;
use resguardo::wire::proto::publish_result::Outcome;
use resguardo::wire::proto::{
    Accepted, DescribeDirectoryRequest, DescribeDirectoryResponse, PublishRequest, PublishResult,
    PublishStreamRequest, PublishStreamResponse, Start,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::Stage;
use super::authority::Papers;
use super::draft::Draft;
use super::subscription::Subscription;
use super::wait::within;

/// Bytes of one answer at most: far above what a hub sends.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Connects with papers, to the stage's hub.
pub(crate) async fn knock(stage: &Stage, papers: &Papers) -> Result<Channel, ConnectError> {
    knock_at(&stage.address(), papers).await
}

/// Connects with papers.
pub(crate) async fn knock_at(address: &str, papers: &Papers) -> Result<Channel, ConnectError> {
    let silence = Silence { ms: 60_000, ..Silence::default() };
    let limits = ConnectLimits { silence, ..ConnectLimits::default() };
    let credentials = papers.credentials();
    let connected = connect(address, "localhost", &credentials, limits, Arc::new(SystemClock::new()));
    within("a connection is made or refused", connected).await
}

/// A desk.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Its identity.
    pub(crate) identity: String,
    /// Its connection.
    pub(crate) channel: Channel,
}

impl Desk {
    /// Connects a desk of this identity.
    pub(crate) async fn connect(stage: &Stage, identity: &str) -> Self {
        Self::with(stage, identity, &stage.authority.client(identity)).await
    }

    /// Connects with papers that need not be of that identity.
    pub(crate) async fn with(stage: &Stage, identity: &str, papers: &Papers) -> Self {
        let channel = knock(stage, papers).await.unwrap_or_else(|error| panic!("{identity}: {error}"));
        Self { identity: identity.to_owned(), channel }
    }

    /// The office's name.
    pub(crate) fn office(&self) -> &str {
        self.identity.split(':').nth(3).expect("a desk's identity")
    }

    /// The exchange.
    pub(crate) fn exchange(&self) -> ExchangeServiceClient<Channel> {
        ExchangeServiceClient::new(self.channel.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The audit as this desk sees it.
    pub(crate) fn auditor(&self) -> Auditor {
        Auditor { identity: self.identity.clone(), channel: self.channel.clone() }
    }

    /// Begins a message of this desk.
    pub(crate) fn draft(&self, recipients: &[&str]) -> Draft {
        Draft::new(&self.identity, recipients)
    }

    /// Hands in one message.
    pub(crate) async fn publish(&self, draft: &Draft) -> Result<Accepted, Status> {
        self.publish_request(draft.request()).await
    }

    /// Hands in one message, whatever it is.
    pub(crate) async fn publish_request(&self, request: PublishRequest) -> Result<Accepted, Status> {
        let answer = within("a publish is answered", self.exchange().publish(request)).await?;
        Ok(answer.into_inner().accepted.expect("an answer says where it was accepted"))
    }

    /// Hands in one message that must be accepted as new.
    pub(crate) async fn send(&self, draft: &Draft) -> Accepted {
        let accepted = self.publish(draft).await.unwrap_or_else(|status| panic!("not accepted: {status:?}"));
        assert!(!accepted.duplicate, "a new message is no duplicate");
        accepted
    }

    /// Hands in frames of messages on one stream; gives the results, or how the call failed.
    pub(crate) async fn publish_frames(
        &self,
        frames: Vec<Vec<PublishRequest>>,
    ) -> Result<Vec<PublishResult>, Status> {
        let expected: usize = frames.iter().map(Vec::len).sum();
        let mut stream = self.publish_stream().await?;
        let frames = frames.into_iter().map(|messages| PublishStreamRequest { messages });
        let up = stream.up.clone();
        let sending = async move {
            for frame in frames {
                if up.send(frame).await.is_err() {
                    break;
                }
            }
        };
        let receiving = async {
            let mut results = Vec::new();
            while results.len() < expected {
                match stream.down.message().await? {
                    Some(frame) => results.extend(frame.results),
                    None => break,
                }
            }
            Ok(results)
        };
        let ((), results) =
            within("a publishing stream is answered", async { tokio::join!(sending, receiving) }).await;
        results
    }

    /// Hands in many messages on one stream, so many a frame, all of which must be accepted.
    pub(crate) async fn send_all(&self, drafts: &[Draft], in_a_frame: usize) -> Vec<Accepted> {
        let frames =
            drafts.chunks(in_a_frame).map(|some| some.iter().map(Draft::request).collect()).collect();
        let results = self.publish_frames(frames).await.expect("the stream goes through");
        results.iter().map(accepted).collect()
    }

    /// Opens a publishing stream.
    pub(crate) async fn publish_stream(&self) -> Result<PublishStream, Status> {
        let (up, frames) = mpsc::channel(1);
        let mut exchange = self.exchange();
        let call = exchange.publish_stream(ReceiverStream::new(frames));
        let down = within("a publishing stream is opened", call).await?.into_inner();
        Ok(PublishStream { up, down })
    }

    /// Subscribes to everything, with much credit.
    pub(crate) async fn subscribe(&self) -> Subscription {
        self.subscribe_with(Start { credit: 1_000, ..Start::default() }).await
    }

    /// Subscribes as it is said.
    pub(crate) async fn subscribe_with(&self, start: Start) -> Subscription {
        let opened = Subscription::open(self, start).await;
        opened.unwrap_or_else(|status| panic!("{} may not subscribe: {status:?}", self.identity))
    }

    /// Reads the directory.
    pub(crate) async fn directory(&self) -> Result<DescribeDirectoryResponse, Status> {
        let mut client = DirectoryServiceClient::new(self.channel.clone());
        let call = client.describe_directory(DescribeDirectoryRequest { after_version: 0 });
        Ok(within("the directory is told", call).await?.into_inner())
    }
}

/// A publishing stream.
pub(crate) struct PublishStream {
    /// Takes frames; a second one waits until the connection has taken the first.
    pub(crate) up: mpsc::Sender<PublishStreamRequest>,
    /// Gives results.
    pub(crate) down: Streaming<PublishStreamResponse>,
}

/// Somebody who asks what happened.
#[derive(Clone)]
pub(crate) struct Auditor {
    /// Its identity.
    pub(crate) identity: String,
    /// Its connection.
    pub(crate) channel: Channel,
}

impl Auditor {
    /// Connects somebody of this identity.
    pub(crate) async fn connect(stage: &Stage, identity: &str) -> Self {
        let desk = Desk::connect(stage, identity).await;
        Self { identity: desk.identity, channel: desk.channel }
    }

    /// The audit.
    pub(crate) fn audit(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }
}

/// What an accepted message was told.
#[track_caller]
pub(crate) fn accepted(result: &PublishResult) -> Accepted {
    match &result.outcome {
        Some(Outcome::Accepted(accepted)) => accepted.clone(),
        other => panic!("not accepted: {other:?}"),
    }
}

/// Why a message of a stream was refused.
#[track_caller]
pub(crate) fn refused(result: &PublishResult) -> resguardo::wire::proto::Refusal {
    match &result.outcome {
        Some(Outcome::Refusal(refusal)) => refusal.clone(),
        other => panic!("not refused: {other:?}"),
    }
}
