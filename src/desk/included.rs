//! Whether what this desk sent and received is in the history that enough offices have cosigned.
//!
//! Owns the home's `included` file: how far that was found. Never decides whether a checkpoint follows from the last one; `witness`
//! does, and keeps the proof where the hub is found out. Looking reads what came since the last look, and everything once more
//! where something has come late. At a crash: what was found and not noted is looked at again.

use std::collections::BTreeSet;

use bytes::Bytes;
use tonic::transport::Channel;

use super::epochs;
use super::home::Home;
use super::inbox::Inbox;
use super::outbox::{Outbox, Outcome, Stand};
use super::record::{Record, RecordKind, encode};
use super::store::StoreError;
use super::witness::{self, WitnessError, follows, hashes};
use crate::model::entry::{EntryKind, NONCE_BYTES};
use crate::model::envelope::MessageId;
use crate::model::epoch::Epochs;
use crate::model::id::{Index, UnixMicros};
use crate::model::policy::Policy;
use crate::model::refusal::Reason;
use crate::proof::{InclusionProof, SignedCheckpoint, TreeHead};
use crate::wire::log::{self, Log, Recorded, uncovered};
use crate::wire::proto::log_service_client::LogServiceClient;
use crate::wire::proto::{
    EntryProof, GetCheckpointRequest, GetCheckpointResponse, Newest, Promise, ProveEntriesRequest,
};
use crate::wire::signed::SignedReceipt;
use crate::wire::status::CallError;

/// By when a message is to be in a history that enough offices have cosigned, in microseconds: ten minutes.
pub const LATE_US: u64 = 600 * 1_000_000;

const FILE: &str = "included";
/// Entries that are proved at once.
const LOT: usize = 64;

/// What a look has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Included {
    /// Entries of the journal that enough offices have cosigned.
    pub until: Index,
    /// What of this home was proved now to be among them: messages, and receipts of its persons.
    pub proved: usize,
}

/// How far it was found.
#[derive(Clone, PartialEq, prost::Message)]
struct IncludedBody {
    /// Received messages with a smaller index were proved.
    #[prost(uint64, tag = "1")]
    until: u64,
    /// How many these were.
    #[prost(uint64, tag = "2")]
    received: u64,
    /// What was sent under ids up to this was looked at: 16 bytes; empty for none.
    #[prost(bytes = "bytes", tag = "3")]
    sent_to: Bytes,
    /// Those of them that were not proved yet.
    #[prost(bytes = "bytes", repeated, tag = "4")]
    sent_open: Vec<Bytes>,
    /// The epoch that the hub's log was in.
    #[prost(fixed64, tag = "5")]
    epoch: u64,
    /// How many were sent under ids up to that.
    #[prost(uint64, tag = "6")]
    sent: u64,
}

impl Record for IncludedBody {
    const KIND: RecordKind = RecordKind::Included;
}

/// What this home has, as its entry of the journal has to be.
struct Own {
    kind: EntryKind,
    /// The message, or what a receipt is about.
    id: MessageId,
    index: Index,
    time: UnixMicros,
    /// Whose desk said it.
    identity: String,
    statement: Bytes,
    /// The hub's signed word for it, of what this desk sent.
    promise: Option<Promise>,
}

impl Own {
    /// Tells whether a proof shows it in a tree.
    fn is_in(&self, tree: &TreeHead, proof: &EntryProof) -> bool {
        let Self { kind, index, time, .. } = *self;
        let recorded =
            Recorded { index, time, kind, identity: &self.identity, statement: self.statement.clone() };
        let Ok(nonce) = <&[u8; NONCE_BYTES]>::try_from(proof.nonce.as_ref()) else { return false };
        let path = hashes(&proof.path).and_then(InclusionProof::from_hashes);
        path.is_some_and(|path| path.verify(&recorded.record(nonce).leaf(), index.0, tree).is_ok())
    }
}

/// Tells whether a message of this home was found, by the last look, in what enough offices have cosigned.
///
/// # Errors
/// [`StoreError`]
pub fn holds(home: &Home, id: MessageId, index: Index) -> Result<bool, StoreError> {
    let body = read(home)?;
    let open = body.sent_open.iter().any(|open| open.as_ref() == id.as_bytes());
    Ok(body.epoch == epochs::known(home)?.current().0 && index.0 < body.until && !open)
}

/// Looks whether what this desk sent and received is in the newest history that enough offices have cosigned; `None`: none is yet,
/// or it is to be looked at later.
///
/// # Errors
/// [`WitnessError`]; [`WitnessError::Found`] where something is not in it.
pub async fn look(home: &Home, channel: Channel, policy: &Policy) -> Result<Option<Included>, WitnessError> {
    let Some(last) = witness::last(home, policy, Log::Journal)? else { return Ok(None) };
    let mut client = LogServiceClient::new(channel);
    let (epochs, before) = (epochs::known(home)?, read(home)?);
    let before = if before.epoch == epochs.current().0 { before } else { IncludedBody::default() };
    let none_below = |size| -> Result<bool, StoreError> {
        let received = received(home, &epochs, &before, size)?.0;
        Ok(received.is_empty() && sent(home, &epochs, &before, size)?.own.is_empty())
    };
    // Who has nothing to prove asks for nothing, and who has nothing in what was looked at asks for what is beyond: a checkpoint with
    // its cosignatures is 28 KB on a slow line.
    if none_below(last.checkpoint().tree().size)? {
        return Ok(None);
    }
    let until = if none_below(before.until)? { before.until } else { 0 };
    let Some(witnessed) = cosigned(&mut client, home, policy, (&last, until)).await? else {
        return Ok(None);
    };
    let tree = *witnessed.checkpoint().tree();
    let (received, count) = received(home, &epochs, &before, tree.size)?;
    let sent = sent(home, &epochs, &before, tree.size)?;
    let own: Vec<_> = received.into_iter().chain(sent.own).collect();
    for lot in own.chunks(LOT) {
        if let Some(missing) = missing(&mut client, &tree, lot).await? {
            let what = match missing.kind {
                EntryKind::Receipt => "this desk's receipt of message",
                _ => "message",
            };
            let why = format!(
                "{what} {}, which this home has as entry {}, is not among the {} entries that the offices have cosigned",
                missing.id, missing.index, tree.size
            );
            let heads = (&last, &witnessed);
            return Err(witness::found_out(home, Log::Journal, &why, heads, missing.promise.as_ref()));
        }
    }
    let after = IncludedBody {
        until: tree.size,
        received: count,
        sent_to: sent.to,
        sent_open: sent.open,
        epoch: epochs.current().0,
        sent: sent.count,
    };
    if after != before {
        home.root()?.keep(&[(FILE.to_owned(), encode(&after))])?;
    }
    Ok(Some(Included { until: Index(tree.size), proved: own.len() }))
}

fn read(home: &Home) -> Result<IncludedBody, StoreError> {
    match home.root()?.read(FILE) {
        Err(error) if error.is_not_found() => Ok(IncludedBody::default()),
        body => body,
    }
}

/// The newest checkpoint that enough offices have cosigned, once it was held to the last one that this home knows; `None`: none that
/// is over more entries than were looked at.
async fn cosigned(
    client: &mut LogServiceClient<Channel>,
    home: &Home,
    policy: &Policy,
    (last, until): (&SignedCheckpoint, u64),
) -> Result<Option<SignedCheckpoint>, WitnessError> {
    let given = ask(client, Newest::Witnessed, until).await?;
    if given.note.is_empty() {
        return Ok(None);
    }
    let witnessed = witness::open(policy, Log::Journal, &given.note)?;
    let tally = log::quorum(policy).ok().and_then(|quorum| quorum.tally(&witnessed).ok());
    let (known, tree) = (last.checkpoint().tree(), witnessed.checkpoint().tree());
    if !tally.is_some_and(|tally| tally.is_enough()) || tree.size > known.size {
        return Ok(None);
    }
    let proof = if tree.size < known.size {
        let again = ask(client, Newest::ToCosign, tree.size).await?;
        // Another round may have begun meanwhile: the next look sees it.
        if witness::open(policy, Log::Journal, &again.note)?.checkpoint() != last.checkpoint() {
            return Ok(None);
        }
        again.consistency
    } else {
        Vec::new()
    };
    match follows(tree, known, &proof) {
        Ok(()) => Ok(Some(witnessed)),
        Err(why) => {
            let why = format!("the offices have cosigned another history than this home knows: {why}");
            Err(witness::found_out(home, Log::Journal, &why, (last, &witnessed), None))
        }
    }
}

async fn ask(
    client: &mut LogServiceClient<Channel>,
    newest: Newest,
    known_size: u64,
) -> Result<GetCheckpointResponse, WitnessError> {
    let asked = GetCheckpointRequest { log: Log::Journal.to_wire(), newest: newest as i32, known_size };
    Ok(client.get_checkpoint(asked).await.map_err(CallError::from)?.into_inner())
}

/// What came and was not proved yet, and how many of this epoch came in all below a size.
fn received(
    home: &Home,
    epochs: &Epochs,
    before: &IncludedBody,
    size: u64,
) -> Result<(Vec<Own>, u64), StoreError> {
    let inbox = Inbox::open(home)?;
    let mut entries = inbox.entries()?;
    entries.retain(|it| it.index.0 < size && epochs.hold(it.index, it.epoch));
    let known = entries.iter().filter(|it| it.index.0 < before.until).count() as u64;
    // Something below came after the last look: then all of it is looked at again.
    let from = if known == before.received { before.until } else { 0 };
    let mut own = Vec::new();
    for entry in entries.iter().filter(|it| it.index.0 >= from) {
        let kept = match inbox.read(entry) {
            // A damaged file is told where it is shown.
            Err(StoreError::Damaged { .. }) => continue,
            kept => kept?,
        };
        own.push(Own {
            kind: EntryKind::Publish,
            id: entry.message_id,
            index: entry.index,
            time: kept.accepted,
            identity: kept.envelope.sender.to_string(),
            statement: kept.envelope_bytes,
            promise: None,
        });
    }
    Ok((own, entries.len() as u64))
}

/// What was sent: messages, and what persons stated.
struct Sent {
    /// What can be proved now and was not yet.
    own: Vec<Own>,
    /// The ids of what cannot be yet.
    open: Vec<Bytes>,
    /// Up to which id was looked.
    to: Bytes,
    /// How many there are.
    count: u64,
}

fn sent(home: &Home, epochs: &Epochs, before: &IncludedBody, size: u64) -> Result<Sent, StoreError> {
    let outbox = Outbox::open(home)?;
    let (messages, statements) = (outbox.messages()?, outbox.statements()?);
    let ids = messages.iter().map(|it| it.message_id).chain(statements.iter().map(|it| it.id));
    let known = ids.clone().filter(|id| id.as_bytes().as_slice() <= before.sent_to.as_ref()).count() as u64;
    // Something was written under an earlier id after the last look, by a clock that was put back: all of it is looked at again.
    let again = known != before.sent;
    let open: BTreeSet<&[u8]> = before.sent_open.iter().map(AsRef::as_ref).collect();
    let is_new = |id: MessageId| {
        let id = id.as_bytes().as_slice();
        again || id > before.sent_to.as_ref() || open.contains(id)
    };
    let last = ids.clone().max().map(|id| Bytes::copy_from_slice(id.as_bytes())).unwrap_or_default();
    let count = (messages.len() + statements.len()) as u64;
    let mut sent = Sent { own: Vec::new(), open: Vec::new(), to: last, count };
    for entry in messages.iter().filter(|it| it.stand != Stand::Refused && is_new(it.message_id)) {
        let message = match outbox.read_message(entry.message_id) {
            Err(StoreError::Damaged { .. }) => continue,
            message => message?,
        };
        let Some((index, time)) = placed(message.outcome.as_ref(), epochs, size) else {
            sent.open.push(Bytes::copy_from_slice(entry.message_id.as_bytes()));
            continue;
        };
        sent.own.push(Own {
            kind: EntryKind::Publish,
            id: entry.message_id,
            index,
            time,
            identity: message.envelope.sender.to_string(),
            statement: message.envelope_bytes,
            promise: message.promise,
        });
    }
    for entry in statements.iter().filter(|it| it.stand != Stand::Refused && is_new(it.id)) {
        let statement = match outbox.read_statement(entry) {
            Err(StoreError::Damaged { .. }) => continue,
            statement => statement?,
        };
        // What was known already has no entry of its own.
        if matches!(statement.outcome, Some(Outcome::Accepted { repeated: true, .. })) {
            continue;
        }
        let Some((index, time)) = placed(statement.outcome.as_ref(), epochs, size) else {
            sent.open.push(Bytes::copy_from_slice(entry.id.as_bytes()));
            continue;
        };
        let Ok(receipt) = SignedReceipt::read(&statement.receipt_bytes) else { continue };
        sent.own.push(Own {
            kind: EntryKind::Receipt,
            id: entry.message_id,
            index,
            time,
            identity: receipt.receipt.desk.to_string(),
            statement: uncovered(&statement.receipt_bytes),
            promise: None,
        });
    }
    Ok(sent)
}

/// Where and when the hub has put something, if that can be proved by a tree of a size.
fn placed(outcome: Option<&Outcome>, epochs: &Epochs, size: u64) -> Option<(Index, UnixMicros)> {
    match outcome {
        Some(Outcome::Accepted { index, at, epoch, .. }) => {
            (index.0 < size && epochs.hold(*index, *epoch)).then_some((*index, *at))
        }
        _ => None,
    }
}

/// Has entries proved; gives the first that is not.
async fn missing<'a>(
    client: &mut LogServiceClient<Channel>,
    tree: &TreeHead,
    lot: &'a [Own],
) -> Result<Option<&'a Own>, WitnessError> {
    if let Some(proofs) = proofs(client, tree, lot).await? {
        let mut proofs = proofs.iter();
        return Ok(lot.iter().find(|own| !proofs.next().is_some_and(|proof| own.is_in(tree, proof))));
    }
    // Of one of them the hub says that there is no such entry of ours. Which, is asked one by one.
    for own in lot {
        let alone = proofs(client, tree, std::slice::from_ref(own)).await?.unwrap_or_default();
        if !alone.first().is_some_and(|proof| own.is_in(tree, proof)) {
            return Ok(Some(own));
        }
    }
    Ok(None)
}

/// Asks for proofs; `None`: the hub says of one of the entries that it is none that this home may see.
async fn proofs(
    client: &mut LogServiceClient<Channel>,
    tree: &TreeHead,
    lot: &[Own],
) -> Result<Option<Vec<EntryProof>>, WitnessError> {
    let indexes = lot.iter().map(|own| own.index.0).collect();
    let asked = ProveEntriesRequest { log: Log::Journal.to_wire(), size: tree.size, indexes };
    match client.prove_entries(asked).await.map_err(CallError::from) {
        Ok(given) => Ok(Some(given.into_inner().proofs)),
        Err(CallError::Refused(refused)) if refused.known_reason() == Some(Reason::AuditNotAllowed) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
