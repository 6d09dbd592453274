//! Receipts to hand up, and what became of them.

use bytes::Bytes;
use prost::Message as _;
use resguardo::wire::proto::receipt_result::Outcome;
use resguardo::wire::proto::{
    Action, Delivery, MessageRef, Receipt, ReceiptResult, Recorded, Refusal, Stage as ReceiptStage, delivery,
};

use super::authority::now_us;

/// Names a delivered message.
#[track_caller]
pub(crate) fn named(delivery: &Delivery) -> MessageRef {
    MessageRef { index: delivery.index, message_id: super::subscription::id(delivery) }
}

/// A receipt of a stage without more.
pub(crate) fn receipt(desk: &str, stage: ReceiptStage, messages: Vec<MessageRef>) -> Receipt {
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
pub(crate) fn received_of(desk: &str, messages: Vec<MessageRef>) -> Receipt {
    receipt(desk, ReceiptStage::Received, messages)
}

/// `read` of one message.
pub(crate) fn read(desk: &str, message: MessageRef) -> Receipt {
    receipt(desk, ReceiptStage::Read, vec![message])
}

/// `acted` on one message.
pub(crate) fn acted(desk: &str, message: MessageRef, action: Action, reason: &str) -> Receipt {
    let receipt = receipt(desk, ReceiptStage::Acted, vec![message]);
    Receipt { action: action.into(), reason: reason.to_owned(), ..receipt }
}

/// `declined` or `unreadable` of one message.
pub(crate) fn turned_down(desk: &str, stage: ReceiptStage, message: MessageRef, reason: &str) -> Receipt {
    Receipt { reason: reason.to_owned(), ..receipt(desk, stage, vec![message]) }
}

/// The exact bytes of a receipt.
pub(crate) fn bytes(receipt: &Receipt) -> Bytes {
    receipt.encode_to_vec().into()
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
