//! Handing in what waits in the outbox: messages by a call each, persons' receipts by a short subscription.
//!
//! Owns the noting of what the hub said. Never changes a byte of what was kept: what is not confirmed stays pending,
//! and the same bytes are handed in again. At a crash after the hub's answer: it is asked again and says the same.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::epochs;
use super::erasure;
use super::home::{Home, HomeError};
use super::inbox::{Inbox, InboxEntry};
use super::outbox::{Outbox, Outcome, Outgoing, StatementEntry};
use super::packet::Manifest;
use super::packet::transfer::{Mover, TransferError};
use super::store::StoreError;
use crate::model::envelope::MessageId;
use crate::model::epoch::{EpochId, Epochs};
use crate::model::id::{Index, UnixMicros};
use crate::model::receipt::{MessageRef, Receipt, Stage};
use crate::model::refusal::Reason;
use crate::wire::proto::exchange_service_client::ExchangeServiceClient;
use crate::wire::status::{CallError, Refused};
use crate::wire::{convert, proto};

/// Receipts in a frame, as the protocol allows.
pub(super) const FRAME_RECEIPTS_MAX: usize = 256;
/// Bytes that a frame from the hub may have: a whole page of deliveries with payloads of the largest kind.
pub(super) const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The reason of a packet that this desk itself gave up: its file is another one by now.
pub const FILE_CHANGED: &str = "FILE_CHANGED";

/// How long to wait after a refusal that passes, where the hub does not say.
const RETRY_MS: u64 = 1_000;

/// Why something still waits.
#[derive(Debug, thiserror::Error)]
pub enum HandInError {
    /// The hub did not take it for now.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The outbox cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The home is in use.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The hub was restored from a backup and has not got the message that a receipt is about.
    #[error(
        "the hub was restored from a backup and has lost message {0}: what you stated about it is handed in when the \
         message has come again"
    )]
    MessageLost(MessageId),
    /// A packet's file is not whole at the hub.
    #[error(transparent)]
    Files(TransferError),
}

impl HandInError {
    /// Tells whether another try may help, and after how many milliseconds at the earliest.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Call(CallError::Refused(refused)) => passes_after_ms(refused),
            Self::Call(CallError::Fault { retry_after_ms, .. }) => Some(retry_after_ms.unwrap_or(0)),
            Self::Call(CallError::Unreachable { .. }) => Some(0),
            Self::Files(error) => error.retry_after_ms(),
            _ => None,
        }
    }
}

/// Tells after how many milliseconds to try again; `None` for a refusal that stays.
pub(super) fn passes_after_ms(refused: &Refused) -> Option<u64> {
    let passes = |reason| {
        use Reason as R;
        matches!(
            reason,
            R::RateExceeded
                | R::ConnectionsExceeded
                | R::Busy
                | R::DiskReserve
                | R::QuotaExceeded
                | R::Stopping
                // Its files are handed up again.
                | R::FileMissing
        )
    };
    refused.retry_after_ms.or_else(|| refused.known_reason().is_some_and(passes).then_some(RETRY_MS))
}

/// Makes a client for the exchange that takes frames as large as a hub may send.
pub fn client(channel: Channel) -> ExchangeServiceClient<Channel> {
    ExchangeServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX)
}

/// Hands in one message as it was kept, and notes what the hub said in the end.
///
/// # Errors
/// [`HandInError::Call`]: it stays pending; [`HandInError::Store`], [`HandInError::Home`].
pub async fn message(
    channel: Channel,
    home: &Home,
    outbox: &Outbox,
    id: MessageId,
) -> Result<Outcome, HandInError> {
    let kept = outbox.read_message(id)?;
    if let Some(outcome) = kept.outcome {
        return Ok(outcome);
    }
    let request = proto::PublishRequest { envelope: kept.envelope_bytes, payload: kept.payload };
    let outcome = match client(channel).publish(request).await.map_err(CallError::from) {
        Ok(answer) => accepted(answer.into_inner().accepted)?,
        Err(CallError::Refused(refused)) if passes_after_ms(&refused).is_none() => refusal(refused),
        Err(error) => return Err(error.into()),
    };
    let held = home.lock().await?;
    outbox.settle_message(&held, id, outcome.clone())?;
    Ok(outcome)
}

/// Hands in an order to erase a message, notes what the hub said in the end, and erases this desk's own copy once the hub has
/// it.
///
/// # Errors
/// [`HandInError::Call`]: it stays pending; [`HandInError::Store`], [`HandInError::Home`].
pub async fn order(
    channel: Channel,
    home: &Home,
    outbox: &Outbox,
    id: MessageId,
) -> Result<Outcome, HandInError> {
    let kept = outbox.read_order(id)?;
    if let Some(outcome) = kept.outcome {
        return Ok(outcome);
    }
    let request = proto::EraseRequest { order: kept.order_bytes };
    let outcome = match client(channel).erase(request).await.map_err(CallError::from) {
        Ok(answer) => {
            let it = answer.into_inner();
            Outcome::Accepted {
                index: Index(it.index),
                at: UnixMicros(it.recorded_unix_us),
                epoch: EpochId(it.epoch),
                repeated: it.duplicate,
            }
        }
        Err(CallError::Refused(refused)) if passes_after_ms(&refused).is_none() => refusal(refused),
        Err(error) => return Err(error.into()),
    };
    if let Outcome::Accepted { .. } = outcome {
        erasure::sent(home, outbox, id).await?;
    }
    let held = home.lock().await?;
    outbox.settle_order(&held, id, outcome.clone())?;
    Ok(outcome)
}

/// Hands in a packet as it was kept: its files, as far as the hub lacks them, then the message. A file that is another one
/// by now is noted as a refusal: that packet can never be handed in.
///
/// # Errors
/// [`HandInError`]: it stays pending.
pub async fn packet(
    mover: &Mover<'_>,
    home: &Home,
    outbox: &Outbox,
    outgoing: &Outgoing,
) -> Result<Outcome, HandInError> {
    let id = outgoing.envelope.message_id;
    let manifest = Manifest::of(&outgoing.envelope, &outgoing.payload);
    let files = manifest.map(|manifest| manifest.files).unwrap_or_default();
    for (file, source) in files.iter().zip(&outgoing.sources) {
        match mover.up(home.disk(), source, file.file).await {
            Err(error @ TransferError::Changed { .. }) => {
                let outcome = Outcome::Refused { reason: FILE_CHANGED.into(), message: error.to_string() };
                outbox.settle_message(&home.lock().await?, id, outcome.clone())?;
                return Ok(outcome);
            }
            done => done?,
        }
    }
    let channel = mover.dial.dial().await.map_err(CallError::from)?;
    message(channel, home, outbox, id).await
}

/// States that a message is on this desk's disk, with its files.
///
/// # Errors
/// [`HandInError::Call`], [`HandInError::Home`].
pub async fn received(
    channel: Channel,
    home: &Home,
    outbox: &Outbox,
    entry: &InboxEntry,
    at: UnixMicros,
) -> Result<(), HandInError> {
    let messages = vec![MessageRef { index: entry.index, message_id: entry.message_id }];
    let (desk, stage) = (home.desk()?.clone(), Stage::Received);
    let (notices, action, reason) = (Vec::new(), None, String::new());
    let receipt = convert::receipt_bytes(&Receipt { desk, stage, messages, notices, at, action, reason });
    let receipts = async |epochs: &Epochs| {
        let holds = epochs.hold(entry.index, entry.epoch);
        if holds { Ok(vec![receipt]) } else { Err(HandInError::MessageLost(entry.message_id)) }
    };
    let result = results(channel, home, outbox, receipts).await?.pop_front();
    verdict(result.ok_or_else(|| strange("the hub did not answer a receipt"))?)?
        .map_err(CallError::Refused)?;
    Ok(())
}

fn accepted(accepted: Option<proto::Accepted>) -> Result<Outcome, CallError> {
    let accepted = accepted.ok_or_else(|| strange("the hub's answer says neither yes nor no"))?;
    Ok(Outcome::Accepted {
        index: Index(accepted.index),
        at: UnixMicros(accepted.accepted_unix_us),
        epoch: EpochId(accepted.epoch),
        repeated: accepted.duplicate,
    })
}

fn strange(message: &str) -> CallError {
    CallError::Other { code: tonic::Code::Unknown, message: message.into() }
}

fn refusal(refused: Refused) -> Outcome {
    Outcome::Refused { reason: refused.reason, message: refused.message }
}

/// Hands in persons' receipts as they were kept, and notes what the hub said; in the order given.
///
/// # Errors
/// [`HandInError::Call`]: those without an outcome stay pending; [`HandInError::Store`], [`HandInError::Home`].
pub async fn statements(
    channel: Channel,
    home: &Home,
    outbox: &Outbox,
    entries: &[StatementEntry],
) -> Result<Vec<Outcome>, HandInError> {
    let mut outcomes = Vec::with_capacity(entries.len());
    for entries in entries.chunks(FRAME_RECEIPTS_MAX) {
        let receipts = async |_: &Epochs| {
            let inbox = Inbox::open(home)?;
            let mut receipts = Vec::with_capacity(entries.len());
            for entry in entries {
                let bytes = epochs::ready(home, &inbox, outbox, entry).await?;
                receipts.push(bytes.ok_or(HandInError::MessageLost(entry.message_id))?);
            }
            Ok(receipts)
        };
        let mut results = results(channel.clone(), home, outbox, receipts).await?;
        for entry in entries {
            let result =
                results.pop_front().ok_or_else(|| strange("the hub answered fewer receipts than it got"))?;
            outcomes.push(settle(home, outbox, entry, result).await?);
        }
    }
    Ok(outcomes)
}

/// Notes what the hub said of a person's receipt.
///
/// # Errors
/// [`HandInError::Call`] for a refusal that passes: it stays pending; [`HandInError::Store`], [`HandInError::Home`].
pub(super) async fn settle(
    home: &Home,
    outbox: &Outbox,
    entry: &StatementEntry,
    result: proto::ReceiptResult,
) -> Result<Outcome, HandInError> {
    let outcome = match verdict(result)? {
        Ok(recorded) => Outcome::Accepted {
            index: Index(recorded.index),
            at: UnixMicros(recorded.recorded_unix_us),
            epoch: EpochId(recorded.epoch),
            repeated: recorded.news == 0,
        },
        Err(refused) if passes_after_ms(&refused).is_some() => return Err(CallError::Refused(refused).into()),
        Err(refused) => refusal(refused),
    };
    let held = home.lock().await?;
    outbox.settle_statement(&held, entry, outcome.clone())?;
    Ok(outcome)
}

/// Reads one result.
pub(super) fn verdict(result: proto::ReceiptResult) -> Result<Result<proto::Recorded, Refused>, CallError> {
    match result.outcome {
        Some(proto::receipt_result::Outcome::Recorded(recorded)) => Ok(Ok(recorded)),
        Some(proto::receipt_result::Outcome::Refusal(refusal)) => Ok(Err(refusal.into())),
        None => Err(strange("the hub's answer to a receipt says neither yes nor no")),
    }
}

/// Hands up one frame of receipts and waits for their results. What the hub delivers meanwhile is not acknowledged,
/// and so comes again to whoever subscribes.
async fn results(
    channel: Channel,
    home: &Home,
    outbox: &Outbox,
    receipts: impl AsyncFnOnce(&Epochs) -> Result<Vec<bytes::Bytes>, HandInError>,
) -> Result<VecDeque<proto::ReceiptResult>, HandInError> {
    use proto::subscribe_request::Frame;
    let start = proto::Start { credit: 1, ..proto::Start::default() };
    let (sender, frames) = mpsc::channel(2);
    let room = "the channel has room for both and its other end is in this function";
    sender.try_send(proto::SubscribeRequest { frame: Some(Frame::Start(start)) }).expect(room);
    let mut down =
        client(channel).subscribe(ReceiverStream::new(frames)).await.map_err(CallError::from)?.into_inner();
    let cut = || CallError::Unreachable { message: "the hub ended the call before it answered".into() };
    let started = down.message().await.map_err(CallError::from)?.ok_or_else(cut)?;
    let Some(proto::subscribe_response::Frame::Started(started)) = started.frame else {
        return Err(strange("the hub began a subscription with something else than its start").into());
    };
    // An index is named only to a hub that means the same by it.
    let told = epochs::told(&started);
    epochs::adopt(home, outbox, &told).await?;
    let receipts = receipts(&told).await?;
    let wanted = receipts.len();
    let frame = Frame::Receipts(proto::Receipts { receipts });
    sender.try_send(proto::SubscribeRequest { frame: Some(frame) }).expect(room);
    let mut results = VecDeque::with_capacity(wanted);
    while results.len() < wanted {
        let frame = down.message().await.map_err(CallError::from)?.ok_or_else(cut)?;
        if let Some(proto::subscribe_response::Frame::ReceiptResults(found)) = frame.frame {
            results.extend(found.results);
        }
    }
    Ok(results)
}
