//! Handing in what waits in the outbox: messages by a call each, persons' receipts by a short subscription.
//!
//! Owns the noting of what the hub said. Never changes a byte of what was kept: what is not confirmed stays pending,
//! and the same bytes are handed in again. At a crash after the hub's answer: it is asked again and says the same.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::epochs;
use super::erasure;
use super::home::{Home, HomeError};
use super::inbox::{Inbox, Kept};
use super::members::{Members, MembersError};
use super::numbers;
use super::outbox::{Outbox, Outcome, Outgoing, StatementEntry};
use super::packet::transfer::{Mover, TransferError};
use super::sealer::{SealerError, Unlocked};
use super::signer::Signer;
use super::store::StoreError;
use super::witness;
use crate::host::clock::Clock;
use crate::model::entry::EntryKind;
use crate::model::envelope::MessageId;
use crate::model::epoch::{EpochId, Epochs};
use crate::model::id::{Index, UnixMicros};
use crate::model::receipt::Receipt;
use crate::model::refusal::Reason;
use crate::wire::erasure::SignedOrder;
use crate::wire::log::Recorded;
use crate::wire::promise;
use crate::wire::proto;
use crate::wire::proto::exchange_service_client::ExchangeServiceClient;
use crate::wire::status::{CallError, Refused};

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
    /// It cannot be sealed and signed.
    #[error(transparent)]
    Sealer(#[from] SealerError),
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

/// Hands in one message as it was kept, and notes what the hub said in the end. A draft is sealed and signed before, and so
/// is, once, what the hub finds sealed or signed by an older directory, if the directory bears that out.
///
/// # Errors
/// [`HandInError::Call`], [`HandInError::Sealer`]: it stays pending; [`HandInError::Store`], [`HandInError::Home`].
pub async fn message(
    channel: Channel,
    home: &Home,
    outbox: &Outbox,
    id: MessageId,
    sealing: &Sealing,
) -> Result<Outcome, HandInError> {
    let mut kept = outbox.read_message(id)?;
    if let Some(outcome) = kept.outcome {
        return Ok(outcome);
    }
    if kept.is_draft() {
        kept = sealing.seal(&channel, home, outbox, id).await?;
    }
    // Another process of this home was first.
    if let Some(outcome) = kept.outcome {
        return Ok(outcome);
    }
    let mut answer = publish(channel.clone(), &kept).await;
    if answer.as_ref().is_err_and(is_stale) {
        let refused = kept;
        kept = sealing.seal_anew(&channel, home, outbox, &refused).await?;
        if let Some(outcome) = kept.outcome {
            return Ok(outcome);
        }
        // The same bytes once more, where nothing is stale: the hub may have been given back what it had lost.
        answer = publish(channel, &kept).await;
        if answer.as_ref().is_err_and(is_stale) && kept.envelope_bytes == refused.envelope_bytes {
            return Err(SealerError::NotStale(id).into());
        }
    }
    let mut promise = None;
    let outcome = match answer {
        Ok(answer) => {
            let accepted =
                answer.accepted.ok_or_else(|| strange("the hub's answer says neither yes nor no"))?;
            let outcome = taken(home, &kept, &accepted);
            promise = accepted.promise;
            outcome
        }
        // It is stale again: somebody changed the directory in between.
        Err(error) if is_stale(&error) => return Err(error.into()),
        Err(CallError::Refused(refused)) if passes_after_ms(&refused).is_none() => refusal(refused),
        Err(error) => return Err(error.into()),
    };
    let held = home.lock().await?;
    match outcome {
        Outcome::Accepted { .. } => numbers::taken(home, &held, id, &kept.envelope.voided)?,
        Outcome::Refused { .. } => numbers::refused(home, &held, id)?,
    }
    outbox.settle_message(&held, id, (outcome.clone(), promise))?;
    Ok(outcome)
}

async fn publish(channel: Channel, kept: &Outgoing) -> Result<proto::PublishResponse, CallError> {
    let (envelope, payload) = (kept.envelope_bytes.clone(), kept.payload.clone());
    let answer = client(channel).publish(proto::PublishRequest { envelope, payload }).await;
    answer.map(tonic::Response::into_inner).map_err(CallError::from)
}

fn is_stale(error: &CallError) -> bool {
    matches!(error, CallError::Refused(refused) if refused.known_reason() == Some(Reason::DirectoryStale))
}

/// What it takes to seal and sign.
#[derive(Clone)]
pub struct Sealing {
    /// The desk's keys; `None`: nobody has unlocked them, and drafts wait.
    pub unlocked: Option<Unlocked>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Sealing {
    async fn seal(
        &self,
        channel: &Channel,
        home: &Home,
        outbox: &Outbox,
        id: MessageId,
    ) -> Result<Outgoing, HandInError> {
        let (unlocked, members) = self.ready(channel, home).await?;
        let held = home.lock().await?;
        Ok(unlocked.seal(home, &held, outbox, members.policy(), id)?)
    }

    async fn seal_anew(
        &self,
        channel: &Channel,
        home: &Home,
        outbox: &Outbox,
        refused: &Outgoing,
    ) -> Result<Outgoing, HandInError> {
        let (unlocked, members) = self.ready(channel, home).await?;
        let held = home.lock().await?;
        Ok(unlocked.seal_anew(home, &held, outbox, members.policy(), refused)?)
    }

    async fn ready(&self, channel: &Channel, home: &Home) -> Result<(&Unlocked, Members), HandInError> {
        let unlocked = self.unlocked.as_ref().ok_or(SealerError::Locked)?;
        let members = match Members::fetch(channel.clone(), home, self.clock.now()).await {
            Ok(members) => Some(members),
            Err(MembersError::Call(error)) => return Err(error.into()),
            // A false directory is not believed; what was known before it is.
            Err(_) => Members::copied(home).ok().flatten(),
        };
        Ok((unlocked, members.ok_or(SealerError::NoDirectory)?))
    }
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
    let sender = SignedOrder::read(&kept.order_bytes).map(|it| it.order.sender().clone());
    let request = proto::EraseRequest { order: kept.order_bytes };
    let outcome = match client(channel).erase(request).await.map_err(CallError::from) {
        Ok(answer) => {
            let it = answer.into_inner();
            Outcome::Accepted {
                index: Index(it.index),
                at: UnixMicros(it.recorded_unix_us),
                epoch: EpochId(it.epoch),
                repeated: it.duplicate,
                unsigned: false,
            }
        }
        Err(CallError::Refused(refused)) if passes_after_ms(&refused).is_none() => refusal(refused),
        Err(error) => return Err(error.into()),
    };
    // A registrar's order may be about a message of another office.
    let own = sender.is_ok_and(|sender| home.desk().is_ok_and(|desk| desk.office == sender));
    if let Outcome::Accepted { .. } = outcome
        && own
    {
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
    sealing: &Sealing,
) -> Result<Outcome, HandInError> {
    let id = outgoing.envelope.message_id;
    let channel = mover.dial.dial().await.map_err(CallError::from)?;
    let mut files = outgoing.envelope.files.clone();
    if outgoing.is_draft() {
        match sealing.seal(&channel, home, outbox, id).await {
            Err(HandInError::Sealer(error @ SealerError::Changed(_))) => {
                return given_up(home, outbox, id, error.to_string()).await;
            }
            sealed => {
                let sealed = sealed?;
                if let Some(outcome) = sealed.outcome {
                    return Ok(outcome);
                }
                files = sealed.envelope.files;
            }
        }
    }
    let shelf = home.shelf();
    for file in files {
        match mover.up(home.disk(), &shelf.path(&file), file).await {
            Err(error @ TransferError::Changed { .. }) => {
                return given_up(home, outbox, id, error.to_string()).await;
            }
            done => done?,
        }
    }
    message(channel, home, outbox, id, sealing).await
}

async fn given_up(
    home: &Home,
    outbox: &Outbox,
    id: MessageId,
    message: String,
) -> Result<Outcome, HandInError> {
    let outcome = Outcome::Refused { reason: FILE_CHANGED.into(), message };
    let held = home.lock().await?;
    numbers::refused(home, &held, id)?;
    outbox.settle_message(&held, id, (outcome.clone(), None))?;
    Ok(outcome)
}

/// States that a message is on this desk's disk, with its files.
///
/// # Errors
/// [`HandInError::Call`], [`HandInError::Home`].
pub async fn received(
    channel: Channel,
    home: &Home,
    outbox: &Outbox,
    (kept, at): (&Kept, UnixMicros),
    signer: &Signer,
) -> Result<(), HandInError> {
    let (entry, messages) = (&kept.entry, vec![kept.covered()]);
    let desk = signer.desk().clone();
    let receipt = signer.sign(Receipt { seen: witness::seen(home), ..Receipt::received(desk, messages, at) });
    let receipt = proto::HandedReceipt { receipt, note: bytes::Bytes::new() };
    let receipts = async |epochs: &Epochs| {
        let holds = epochs.hold(entry.index, entry.epoch);
        if holds { Ok(vec![receipt]) } else { Err(HandInError::MessageLost(entry.message_id)) }
    };
    let result = results(channel, home, outbox, receipts).await?.pop_front();
    verdict(result.ok_or_else(|| strange("the hub did not answer a receipt"))?)?
        .map_err(CallError::Refused)?;
    Ok(())
}

/// That the hub has a message; whether it is bound by its answer, the directory that is known here says. It stops nothing.
fn taken(home: &Home, kept: &Outgoing, accepted: &proto::Accepted) -> Outcome {
    let (index, at) = (Index(accepted.index), UnixMicros(accepted.accepted_unix_us));
    let epoch = EpochId(accepted.epoch);
    let identity = kept.envelope.sender.to_string();
    let statement = kept.envelope_bytes.clone();
    let recorded = Recorded { index, time: at, kind: EntryKind::Publish, identity: &identity, statement };
    let members = Members::copied(home).ok().flatten();
    let policy = members.as_ref().map(Members::policy).filter(|policy| policy.hub_key().is_some());
    let unsigned = policy
        .is_some_and(|policy| promise::check(accepted.promise.as_ref(), policy, epoch, &recorded).is_err());
    Outcome::Accepted { index, at, epoch, repeated: accepted.duplicate, unsigned }
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
            unsigned: false,
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
pub(super) async fn results(
    channel: Channel,
    home: &Home,
    outbox: &Outbox,
    receipts: impl AsyncFnOnce(&Epochs) -> Result<Vec<proto::HandedReceipt>, HandInError>,
) -> Result<VecDeque<proto::ReceiptResult>, HandInError> {
    use proto::subscribe_request::Frame;
    let start = proto::Start { credit: 1, ..proto::Start::default() };
    let (sender, frames) = mpsc::channel(2);
    let start = proto::SubscribeRequest { frame: Some(Frame::Start(start)) };
    sender.try_send(start).expect("the channel is empty and its other end is in this function");
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
    // There is room for it; a call that has ended meanwhile takes nothing more, and its answer says why.
    let _ = sender.try_send(proto::SubscribeRequest { frame: Some(frame) });
    let mut results = VecDeque::with_capacity(wanted);
    while results.len() < wanted {
        let frame = down.message().await.map_err(CallError::from)?.ok_or_else(cut)?;
        if let Some(proto::subscribe_response::Frame::ReceiptResults(found)) = frame.frame {
            results.extend(found.results);
        }
    }
    Ok(results)
}
