//! A subscription: a cursor over what an office is owed, and the way up for its receipts.
//!
//! Owns two positions, a credit and nothing else: a subscriber that stops reading costs the hub no more. What is owed is
//! the ledger's to say; it is sent in order, urgent first, once a subscription, and again on the next one until the
//! office has acknowledged it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::answers::{self, Answer, Answers, FRAMES_WAITING_MAX};
use super::delivery::{self, Cursor, Next};
use super::{Hub, stopping_status};
use crate::ledger::entry::Statement;
use crate::model::id::UnixMicros;
use crate::model::identity::{Identity, Name};
use crate::model::refusal::{Reason, Refusal};
use crate::wire::convert;
use crate::wire::proto::{
    ReceiptResult, ReceiptResults, Receipts, Start, Started, SubscribeRequest, SubscribeResponse,
    subscribe_request, subscribe_response,
};
use crate::wire::status;

/// How long a subscription may wait for its `start`: several round trips of the worst line.
const START_WAIT: Duration = Duration::from_secs(20);
/// Receipts in one frame at most.
const FRAME_RECEIPTS_MAX: usize = 256;

/// Frames of deliveries on their way down: one, so that what becomes urgent waits behind no more.
const DELIVERIES_DOWN_MAX: usize = 1;
/// Frames of answers to receipts on their way down.
const RESULTS_DOWN_MAX: usize = 1;

type Frame = Result<SubscribeResponse, Status>;

/// The ways down: two, so that answers take no delivery's place. What goes down at once travels together.
pub(super) struct Down {
    deliveries: mpsc::Sender<Frame>,
    results: mpsc::Sender<Frame>,
}

/// What goes down: first of all how it begins, then answers to receipts before deliveries.
pub(super) struct Frames {
    begun: bool,
    deliveries: mpsc::Receiver<Frame>,
    results: mpsc::Receiver<Frame>,
}

/// Makes the ways down, and what comes out of them.
pub(super) fn ways_down() -> (Down, Frames) {
    let (deliveries, deliveries_down) = mpsc::channel(DELIVERIES_DOWN_MAX);
    let (results, results_down) = mpsc::channel(RESULTS_DOWN_MAX);
    let frames = Frames { begun: false, deliveries: deliveries_down, results: results_down };
    (Down { deliveries, results }, frames)
}

impl Stream for Frames {
    type Item = Frame;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Frame>> {
        if !self.begun {
            let first = ready!(self.deliveries.poll_recv(context));
            self.begun = true;
            return Poll::Ready(first);
        }
        match self.results.poll_recv(context) {
            Poll::Ready(None) => self.deliveries.poll_recv(context),
            Poll::Ready(results) => Poll::Ready(results),
            Poll::Pending => match self.deliveries.poll_recv(context) {
                Poll::Ready(None) => Poll::Pending,
                deliveries => deliveries,
            },
        }
    }
}

/// How many deliveries the subscriber still takes.
#[derive(Default)]
struct Credit {
    left: AtomicU32,
    more: Notify,
}

/// Runs a subscription to its end: the subscriber's, the hub's or the line's.
pub(super) async fn run(
    hub: Arc<Hub>,
    caller: Identity,
    mut up: Streaming<SubscribeRequest>,
    Down { deliveries: down, results: results_down }: Down,
) {
    let begun = tokio::select! {
        () = hub.stop.cancelled() => Err(stopping_status()),
        begun = tokio::time::timeout(START_WAIT, begin(&hub, &caller, &mut up)) => begun.unwrap_or_else(|_| {
            let refusal = Refusal::new(Reason::FrameUnexpected, "no `start` came: a subscription begins with one");
            Err(hub.door.refuse(&caller, "Subscribe", &refusal))
        }),
    };
    let (cursor, started) = match begun {
        Ok(begun) => begun,
        Err(status) => {
            // Who reads may have gone.
            let _ = down.send(Err(status)).await;
            return;
        }
    };
    let credit = Arc::new(Credit { left: AtomicU32::new(started.credit), more: Notify::new() });
    let frame = subscribe_response::Frame::Started(started);
    if down.send(Ok(SubscribeResponse { frame: Some(frame) })).await.is_err() {
        return;
    }
    let (answers, waiting) = mpsc::channel(FRAMES_WAITING_MAX);
    let results = |results: Vec<ReceiptResult>| SubscribeResponse {
        frame: Some(subscribe_response::Frame::ReceiptResults(ReceiptResults { results })),
    };
    let answering = answers::send(waiting, results_down, results);
    let ended = answers::beside(answering, async {
        tokio::select! {
            () = hub.stop.cancelled() => Err(stopping_status()),
            ended = take_frames(&hub, &caller, up, answers, &credit) => ended,
            ended = deliver(&hub, cursor, &down, &credit) => ended,
        }
    })
    .await;
    if let Err(status) = ended {
        let _ = down.send(Err(status)).await;
    }
}

async fn begin(
    hub: &Hub,
    caller: &Identity,
    up: &mut Streaming<SubscribeRequest>,
) -> Result<(Cursor, Started), Status> {
    let refuse = |refusal: Refusal| hub.door.refuse(caller, "Subscribe", &refusal);
    let first = hub.door.frame(caller, "Subscribe", up).await?;
    let Some(SubscribeRequest { frame: Some(subscribe_request::Frame::Start(start)) }) = first else {
        return Err(refuse(Refusal::new(Reason::FrameUnexpected, "a subscription begins with `start`")));
    };
    let since = match start.replay_from_unix_us {
        Some(time) => Some(hub.index_at(UnixMicros(time)).await?.0),
        None => None,
    };
    let replay_from = start.replay_from_index.max(since);
    permit(hub, caller, &start, replay_from).map_err(refuse)
}

fn permit(
    hub: &Hub,
    caller: &Identity,
    start: &Start,
    replay_from: Option<u64>,
) -> Result<(Cursor, Started), Refusal> {
    let streams: Vec<Name> =
        start.streams.iter().map(|name| convert::name("start.streams", name)).collect::<Result<_, _>>()?;
    let office = hub.door.view.policy().permit_subscribe(caller, &streams)?;
    let credit = hub.door.credit(start.credit)?;
    let started = Started {
        next_index: hub.door.view.decided().next_index.0,
        outstanding: hub.door.view.owed_count(office).messages,
        credit,
        epochs: hub.door.view.epochs().begun().iter().map(convert::wire_epoch).collect(),
    };
    Ok((Cursor::new(hub, office, streams, replay_from), started))
}

/// Takes receipts and credit up until the subscriber ends its side.
async fn take_frames(
    hub: &Arc<Hub>,
    caller: &Identity,
    mut up: Streaming<SubscribeRequest>,
    answers: mpsc::Sender<Answers<ReceiptResult>>,
    credit: &Credit,
) -> Result<(), Status> {
    while let Some(request) = hub.door.frame(caller, "Subscribe", &mut up).await? {
        match request.frame {
            Some(subscribe_request::Frame::Receipts(receipts)) => {
                let waiting = take_receipts(hub, caller, receipts).await?;
                if answers.send(waiting).await.is_err() {
                    return Ok(());
                }
            }
            Some(subscribe_request::Frame::Credit(more)) => {
                let most = hub.door.credit_max();
                let grow = |left: u32| Some(left.saturating_add(more.deliveries).min(most));
                // The closure always gives a value.
                let _ = credit.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, grow);
                credit.more.notify_one();
            }
            Some(subscribe_request::Frame::Start(_)) | None => {
                let refusal = Refusal::new(Reason::FrameUnexpected, "after `start` come receipts and credit");
                return Err(hub.door.refuse(caller, "Subscribe", &refusal));
            }
        }
    }
    Ok(())
}

async fn take_receipts(
    hub: &Arc<Hub>,
    caller: &Identity,
    receipts: Receipts,
) -> Result<Answers<ReceiptResult>, Status> {
    let count = receipts.receipts.len();
    if !(1..=FRAME_RECEIPTS_MAX).contains(&count) {
        let message = format!("a frame holds 1 to {FRAME_RECEIPTS_MAX} receipts; this holds {count}");
        return Err(hub.door.refuse(caller, "Subscribe", &Refusal::field("receipts", message)));
    }
    let check = |handed| {
        let item = hub.door.receipt(caller, handed).map_err(|refusal| {
            hub.door.refusals.known(caller, "Subscribe", &refusal);
            ReceiptResult::refused(&refusal)
        })?;
        if let Statement::Receipt(receipt) = &item.statement {
            hub.heard(receipt);
        }
        Ok(item)
    };
    let checked = receipts.receipts.into_iter().map(check).collect();
    Answers::of(checked, hub).await.map_err(|refusal| status::refused(&refusal))
}

/// Sends down what is owed, as far as the credit goes, until the reader is gone.
async fn deliver(
    hub: &Hub,
    mut cursor: Cursor,
    down: &mpsc::Sender<Frame>,
    credit: &Credit,
) -> Result<(), Status> {
    loop {
        // A place first, then the choice: what is urgent by then goes into it.
        let Ok(place) = down.reserve().await else { return Ok(()) };
        let left = credit.left.load(Ordering::Acquire);
        if left == 0 {
            drop(place);
            credit.more.notified().await;
            continue;
        }
        let Next { deliveries, more } = cursor.next(hub, left).await?;
        if deliveries.is_empty() {
            drop(place);
        } else {
            let spent = u32::try_from(deliveries.len()).unwrap_or(u32::MAX);
            credit.left.fetch_sub(spent.min(left), Ordering::AcqRel);
            hub.meters.sent(spent);
            place.send(Ok(delivery::frame(deliveries)));
        }
        if !more {
            cursor.rung().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;

    use super::*;

    fn frame(frame: subscribe_response::Frame) -> SubscribeResponse {
        SubscribeResponse { frame: Some(frame) }
    }

    #[tokio::test]
    async fn subscription_begins_with_its_beginning_and_answers_go_before_deliveries_and_the_end() {
        let (down, mut frames) = ways_down();
        let results = || frame(subscribe_response::Frame::ReceiptResults(ReceiptResults::default()));
        down.results.try_send(Ok(results())).unwrap();
        down.deliveries.try_send(Ok(frame(subscribe_response::Frame::Started(Started::default())))).unwrap();
        let mut next = async || frames.next().await.map(|frame| frame.ok().and_then(|it| it.frame));
        assert!(matches!(next().await, Some(Some(subscribe_response::Frame::Started(_)))));
        assert!(matches!(next().await, Some(Some(subscribe_response::Frame::ReceiptResults(_)))));
        down.deliveries.try_send(Err(stopping_status())).unwrap();
        down.results.try_send(Ok(results())).unwrap();
        drop(down);
        assert!(matches!(next().await, Some(Some(subscribe_response::Frame::ReceiptResults(_)))));
        assert!(matches!(next().await, Some(None)), "the end");
        assert!(next().await.is_none());
    }
}
