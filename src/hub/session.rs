//! A subscription: a cursor over what an office is owed, and the way up for its receipts.
//!
//! Owns two positions, a credit and nothing else: a subscriber that stops reading costs the hub no more. What is owed is
//! the ledger's to say; it is sent in order, urgent first, once a subscription, and again on the next one until the
//! office has acknowledged it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tonic::{Status, Streaming};

use super::answers::{self, Answer, Answers, FRAMES_WAITING_MAX};
use super::delivery::{self, Cursor};
use super::{Hub, stopping_status};
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

type Down = mpsc::Sender<Result<SubscribeResponse, Status>>;

/// How many deliveries the subscriber still takes.
#[derive(Default)]
struct Credit {
    left: AtomicU32,
    more: Notify,
}

/// Runs a subscription to its end: the subscriber's, the hub's or the line's.
pub(super) async fn run(hub: Arc<Hub>, caller: Identity, mut up: Streaming<SubscribeRequest>, down: Down) {
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
    let answering =
        hub.tasks.spawn("receipt-answers", Box::pin(answers::send(waiting, down.clone(), results)));
    let ended = tokio::select! {
        () = hub.stop.cancelled() => Err(stopping_status()),
        ended = take_frames(&hub, &caller, up, answers, &credit) => ended,
        ended = deliver(&hub, cursor, &down, &credit) => ended,
    };
    // What was handed up is answered before the stream ends.
    let _ = answering.await;
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
    hub: &Hub,
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
    hub: &Hub,
    caller: &Identity,
    receipts: Receipts,
) -> Result<Answers<ReceiptResult>, Status> {
    let count = receipts.receipts.len();
    if !(1..=FRAME_RECEIPTS_MAX).contains(&count) {
        let message = format!("a frame holds 1 to {FRAME_RECEIPTS_MAX} receipts; this holds {count}");
        return Err(hub.door.refuse(caller, "Subscribe", &Refusal::field("receipts", message)));
    }
    let check = |bytes| {
        hub.door.receipt(caller, bytes).map_err(|refusal| {
            hub.door.refusals.known(caller, "Subscribe", &refusal);
            ReceiptResult::refused(&refusal)
        })
    };
    let checked = receipts.receipts.into_iter().map(check).collect();
    Answers::of(checked, hub).await.map_err(|refusal| status::refused(&refusal))
}

/// Sends down what is owed, as far as the credit goes, until the reader is gone.
async fn deliver(hub: &Hub, mut cursor: Cursor, down: &Down, credit: &Credit) -> Result<(), Status> {
    loop {
        // A place first, then the choice: what is urgent by then goes into it.
        let Ok(place) = down.reserve().await else { return Ok(()) };
        let left = credit.left.load(Ordering::Acquire);
        let deliveries = if left == 0 { Vec::new() } else { cursor.next(hub, left).await? };
        if deliveries.is_empty() {
            drop(place);
            tokio::select! {
                () = credit.more.notified(), if left == 0 => {}
                () = cursor.rung(), if left > 0 => {}
            }
            continue;
        }
        let spent = u32::try_from(deliveries.len()).unwrap_or(u32::MAX);
        credit.left.fetch_sub(spent.min(left), Ordering::AcqRel);
        hub.meters.sent(spent);
        place.send(Ok(delivery::frame(deliveries)));
    }
}
