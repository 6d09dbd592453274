//! Receipts to hand up, and what became of them.

use bytes::Bytes;
use prost::Message as _;
use resguardo::model::envelope::MessageId;
use resguardo::model::id::Index;
use resguardo::model::receipt::Covered;
use resguardo::seal::{Kind, SigningKey};
use resguardo::wire::proto::receipt_result::Outcome;
use resguardo::wire::proto::{
    Action, CoveredMessage, Delivery, HandedReceipt, MessageRef, Receipt as Wire, ReceiptResult, Recorded,
    Refusal, Signed, SignedReceipt, Stage as ReceiptStage, delivery,
};

use super::authority::now_us;
use super::chance::sha256;
use super::founding::desk_keys;
use super::sign::signature;

/// The note that goes with each person's stage here: the hub never looks into one.
pub(crate) const NOTE: &[u8] = b"what an officer says, sealed";

/// From which the salts follow here.
const SEED: [u8; 32] = [7; 32];

/// A receipt before it is signed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Receipt {
    /// The desk that states it.
    pub(crate) desk: String,
    /// The stage.
    pub(crate) stage: i32,
    /// The messages.
    pub(crate) messages: Vec<CoveredMessage>,
    /// The notices.
    pub(crate) notices: Vec<u64>,
    /// When.
    pub(crate) at_unix_us: u64,
    /// What was done.
    pub(crate) action: i32,
    /// Why.
    pub(crate) reason: String,
}

/// Names a delivered message.
#[track_caller]
pub(crate) fn named(delivery: &Delivery) -> CoveredMessage {
    covered(delivery.index, &super::subscription::message(delivery).envelope)
}

/// Names a message at an index.
pub(crate) fn covered(index: u64, envelope: &Bytes) -> CoveredMessage {
    let statement = Signed::decode(envelope.clone()).expect("what stands around an envelope").statement;
    let message_id = super::draft::envelope_of(envelope).message_id;
    CoveredMessage { index, message_id, envelope_digest: sha256(&statement).into() }
}

/// The message alone, as listings name it.
pub(crate) fn bare(covered: &CoveredMessage) -> MessageRef {
    MessageRef { index: covered.index, message_id: covered.message_id.clone() }
}

/// A message that nobody sent.
pub(crate) fn nobodys(index: u64, message_id: Bytes) -> CoveredMessage {
    CoveredMessage { index, message_id, envelope_digest: Bytes::from_static(&[9; 32]) }
}

/// A receipt of a stage without more.
pub(crate) fn receipt(desk: &str, stage: ReceiptStage, messages: Vec<CoveredMessage>) -> Receipt {
    Receipt {
        desk: desk.to_owned(),
        stage: stage.into(),
        messages,
        notices: Vec::new(),
        at_unix_us: now_us(),
        action: Action::Unspecified.into(),
        reason: String::new(),
    }
}

/// `received` for everything in some deliveries, messages and notices.
pub(crate) fn received(desk: &str, deliveries: &[Delivery]) -> Receipt {
    let messages = deliveries.iter().filter(|delivery| is_message(delivery)).map(named).collect();
    let notices = deliveries.iter().filter(|delivery| !is_message(delivery)).map(|notice| notice.index);
    let mut receipt = receipt(desk, ReceiptStage::Received, messages);
    receipt.notices = notices.collect();
    receipt.messages.sort_by_key(|message| message.index);
    receipt.notices.sort_unstable();
    receipt
}

/// `received` for messages.
pub(crate) fn received_of(desk: &str, messages: Vec<CoveredMessage>) -> Receipt {
    receipt(desk, ReceiptStage::Received, messages)
}

/// `read` of one message.
pub(crate) fn read(desk: &str, message: CoveredMessage) -> Receipt {
    receipt(desk, ReceiptStage::Read, vec![message])
}

/// `acted` on one message.
pub(crate) fn acted(desk: &str, message: CoveredMessage, action: Action) -> Receipt {
    let receipt = receipt(desk, ReceiptStage::Acted, vec![message]);
    Receipt { action: action.into(), ..receipt }
}

/// `declined` or `unreadable` of one message; why it is declined stands in the note.
pub(crate) fn turned_down(desk: &str, stage: ReceiptStage, message: CoveredMessage, reason: &str) -> Receipt {
    let reason = if stage == ReceiptStage::Unreadable { reason } else { "" };
    Receipt { reason: reason.to_owned(), ..receipt(desk, stage, vec![message]) }
}

/// The exact bytes of a receipt, signed by the desk that it names: with its unattended key where a machine states it.
pub(crate) fn bytes(receipt: &Receipt) -> Bytes {
    let [attended, unattended] = desk_keys(&receipt.desk);
    let by_itself = [ReceiptStage::Received, ReceiptStage::Erased, ReceiptStage::Unreadable];
    let by_itself = by_itself.iter().any(|stage| *stage as i32 == receipt.stage);
    signed_with(receipt, if by_itself { &unattended } else { &attended })
}

/// The exact bytes of a receipt, signed by somebody.
pub(crate) fn signed_with(receipt: &Receipt, key: &SigningKey) -> Bytes {
    let Receipt { desk, stage, messages, notices, at_unix_us, action, reason } = receipt.clone();
    let covers = messages.iter().enumerate().map(|(place, message)| cover(place, message)).collect();
    let persons = [ReceiptStage::Read, ReceiptStage::Acted, ReceiptStage::Declined];
    let persons = persons.iter().any(|it| *it as i32 == stage);
    let note_digest = if persons { sha256(NOTE).into() } else { Bytes::new() };
    let wire = Wire {
        desk,
        stage,
        covers,
        notices,
        at_unix_us,
        action,
        reason,
        note_digest,
        opened: false,
        seen: None,
    };
    let statement: Bytes = wire.encode_to_vec().into();
    let signatures = vec![signature(key, Kind::Receipt, &statement)];
    SignedReceipt { statement, signatures, messages, seed: Bytes::from_static(&SEED) }.encode_to_vec().into()
}

/// What is stated of a message; of one without an id or a digest, something that no hub takes.
fn cover(place: usize, message: &CoveredMessage) -> Bytes {
    let message_id = MessageId::from_slice(&message.message_id);
    let digest = message.envelope_digest.as_ref().try_into().ok();
    let cover = message_id.zip(digest).map(|(message_id, digest)| {
        Covered { index: Index(message.index), message_id, digest }.cover(&SEED, place)
    });
    Bytes::copy_from_slice(&cover.unwrap_or_default())
}

/// What is handed up: a receipt's bytes, with the note that belongs to it.
pub(crate) fn handed(receipt: Bytes) -> HandedReceipt {
    let signed = SignedReceipt::decode(receipt.clone()).unwrap_or_default();
    let names_one = Wire::decode(signed.statement).is_ok_and(|it| !it.note_digest.is_empty());
    let note = if names_one { Bytes::from_static(NOTE) } else { Bytes::new() };
    HandedReceipt { receipt, note }
}

/// Reads a receipt back.
pub(crate) fn decoded(bytes: &Bytes) -> Receipt {
    let signed = SignedReceipt::decode(bytes.clone()).expect("a receipt");
    let Wire { desk, stage, notices, at_unix_us, action, reason, .. } =
        Wire::decode(signed.statement).expect("a receipt");
    Receipt { desk, stage, messages: signed.messages, notices, at_unix_us, action, reason }
}

/// Where a receipt was recorded.
#[track_caller]
pub(crate) fn recorded(result: &ReceiptResult) -> Recorded {
    match &result.outcome {
        Some(Outcome::Recorded(recorded)) => *recorded,
        other => panic!("not recorded: {other:?}"),
    }
}

/// Why a receipt was refused.
#[track_caller]
pub(crate) fn refused(result: &ReceiptResult) -> Refusal {
    match &result.outcome {
        Some(Outcome::Refusal(refusal)) => refusal.clone(),
        other => panic!("not refused: {other:?}"),
    }
}

/// Whether a delivery is a message, not a notice.
pub(crate) fn is_message(delivery: &Delivery) -> bool {
    matches!(delivery.content, Some(delivery::Content::Message(_)))
}
