//! Publishing and subscribing, as gRPC.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::answers::{self, Answer, Answers, FRAMES_WAITING_MAX};
use super::door::{self, Erase, Publish};
use super::{Hub, stopping_status};
use super::{session, submit};
use crate::model::identity::Identity;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::proto::exchange_service_server::ExchangeService;
use crate::wire::proto::{
    EraseRequest, EraseResponse, PublishRequest, PublishResponse, PublishResult, PublishStreamRequest,
    PublishStreamResponse, SubscribeRequest, publish_result,
};
use crate::wire::status;

/// Messages in one frame of a publishing stream at most.
pub(super) const FRAME_MESSAGES_MAX: usize = 256;
/// How long a single call waits for a place before it is told to come again.
const BUSY_WAIT: Duration = Duration::from_secs(2);
/// Frames of answers or rows on their way down to one caller: the next is made while one is sent.
pub(super) const FRAMES_DOWN_MAX: usize = 4;

/// The service.
#[derive(Clone)]
pub(super) struct Exchange {
    hub: Arc<Hub>,
}

impl Exchange {
    /// Serves a hub.
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }
}

#[tonic::async_trait]
impl ExchangeService for Exchange {
    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal: &Refusal| self.hub.door.refuse(&caller, "Publish", refusal);
        let item = match self.hub.door.publish(&caller, request.into_inner()).map_err(|it| refuse(&it))? {
            Publish::Known(mut accepted) => {
                self.hub.promise_again([&mut accepted]).await?;
                return Ok(Response::new(PublishResponse { accepted: Some(accepted) }));
            }
            Publish::New(item) => item,
        };
        // In its turn: who streams waits in the same line, so nobody is kept out by somebody else's flood.
        let submitted = tokio::time::timeout(BUSY_WAIT, self.hub.submitter.submit(vec![item])).await;
        let outcomes = submitted.unwrap_or_else(|_| Err(submit::busy())).map_err(|it| refuse(&it))?;
        let mut decided = outcomes.await.map_err(|_| status::fault())?;
        let outcome = decided.outcomes.pop().ok_or_else(status::fault)?;
        // What the ledger refused is an entry already: it is not recorded a second time.
        let epochs = self.hub.door.view.epochs();
        let mut accepted = answers::accepted(outcome, decided.promised.as_deref(), &epochs)
            .map_err(|refusal| status::refused(&refusal))?;
        self.hub.promise_again([&mut accepted]).await?;
        Ok(Response::new(PublishResponse { accepted: Some(accepted) }))
    }

    async fn erase(&self, request: Request<EraseRequest>) -> Result<Response<EraseResponse>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let refuse = |refusal: &Refusal| self.hub.door.refuse(&caller, "Erase", refusal);
        let checked = self.hub.door.erase(&caller, request.into_inner().order).map_err(|it| refuse(&it))?;
        let item = match checked {
            Erase::Known(response) => return Ok(Response::new(response)),
            Erase::New(item) => item,
        };
        let outcomes = self.hub.submitter.submit(vec![item]).await.map_err(|it| refuse(&it))?;
        let mut decided = outcomes.await.map_err(|_| status::fault())?;
        let outcome = decided.outcomes.pop().ok_or_else(status::fault)?;
        let response = answers::erased(outcome, &self.hub.door.view.epochs())
            .map_err(|refusal| status::refused(&refusal))?;
        Ok(Response::new(response))
    }

    type PublishStreamStream = ReceiverStream<Result<PublishStreamResponse, Status>>;

    async fn publish_stream(
        &self,
        request: Request<Streaming<PublishStreamRequest>>,
    ) -> Result<Response<Self::PublishStreamStream>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let place = self
            .hub
            .door
            .stream(door::line(&request), &caller)
            .map_err(|refusal| self.hub.door.refuse(&caller, "PublishStream", &refusal))?;
        let (down, frames) = mpsc::channel(FRAMES_DOWN_MAX);
        let (answers, waiting) = mpsc::channel(FRAMES_WAITING_MAX);
        let (hub, up) = (Arc::clone(&self.hub), request.into_inner());
        let refused = down.clone();
        let frame = |results| PublishStreamResponse { results };
        self.hub.tasks.spawn(
            "publish-stream",
            Box::pin(async move {
                let _place = place;
                let answering = answers::send(waiting, down, frame);
                let taken = answers::beside(answering, async {
                    tokio::select! {
                        () = hub.stop.cancelled() => Err(stopping_status()),
                        taken = take_frames(&hub, &caller, up, answers) => taken,
                    }
                })
                .await;
                if let Err(status) = taken {
                    // Who reads may have gone.
                    let _ = refused.send(Err(status)).await;
                }
            }),
        );
        Ok(Response::new(ReceiverStream::new(frames)))
    }

    type SubscribeStream = session::Frames;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let caller = self.hub.door.admit(&request)?;
        let place = self
            .hub
            .door
            .stream(door::line(&request), &caller)
            .map_err(|refusal| self.hub.door.refuse(&caller, "Subscribe", &refusal))?;
        let (down, frames) = session::ways_down();
        let (hub, up) = (Arc::clone(&self.hub), request.into_inner());
        self.hub.tasks.spawn(
            "subscription",
            Box::pin(async move {
                let _place = place;
                session::run(hub, caller, up, down).await;
            }),
        );
        Ok(Response::new(frames))
    }
}

/// Takes frames up until the caller ends the stream.
async fn take_frames(
    hub: &Arc<Hub>,
    caller: &Identity,
    mut up: Streaming<PublishStreamRequest>,
    answers: mpsc::Sender<Answers<PublishResult>>,
) -> Result<(), Status> {
    loop {
        let Some(frame) = hub.door.frame(caller, "PublishStream", &mut up).await? else { return Ok(()) };
        let count = frame.messages.len();
        if !(1..=FRAME_MESSAGES_MAX).contains(&count) {
            let message = format!("a frame holds 1 to {FRAME_MESSAGES_MAX} messages; this holds {count}");
            let refusal = Refusal::new(Reason::FieldInvalid, message).of_field("messages");
            return Err(hub.door.refuse(caller, "PublishStream", &refusal));
        }
        #[expect(clippy::result_large_err, reason = "an answer that is known at the door is no error")]
        let check = |message| match hub.door.publish(caller, message) {
            Ok(Publish::New(item)) => Ok(item),
            Ok(Publish::Known(accepted)) => {
                Err(PublishResult { outcome: Some(publish_result::Outcome::Accepted(accepted)) })
            }
            Err(refusal) => {
                hub.door.refusals.known(caller, "PublishStream", &refusal);
                Err(PublishResult::refused(&refusal))
            }
        };
        let checked = frame.messages.into_iter().map(check).collect();
        let waiting = Answers::of(checked, hub).await.map_err(|refusal| status::refused(&refusal))?;
        if answers.send(waiting).await.is_err() {
            return Ok(());
        }
    }
}
