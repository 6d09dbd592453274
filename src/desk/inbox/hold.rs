//! Holding what the hub tells to the signatures of those who are said to have said it.
//!
//! Owns that nothing counts on the hub's word alone. Never keeps anything.

use bytes::Bytes;

use crate::model::erasure::ErasureOrder;
use crate::model::policy::{Policy, Stated, When};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::Kind;
use crate::wire::erasure::{self, SignedOrder};
use crate::wire::proto;
use crate::wire::signed::{SignedEnvelope, SignedReceipt};

/// Tells whether something of a frame was signed under a newer directory than this one.
pub fn is_behind(policy: &Policy, frame: &[proto::Delivery]) -> bool {
    frame.iter().any(|it| names_newer(policy, it) || is_of_unknown_key(policy, it))
}

/// Tells whether a delivery is of what was signed with a key that this directory does not know.
pub fn is_of_unknown_key(policy: &Policy, delivery: &proto::Delivery) -> bool {
    use proto::delivery::Content;
    use proto::notice::Notice;
    let notice = match &delivery.content {
        Some(Content::Notice(notice)) => notice,
        Some(Content::Message(message)) => {
            return SignedEnvelope::read(&message.envelope).is_ok_and(|it| {
                let unknown = |id| policy.signing_key(&it.envelope.sender, id).is_none();
                it.signed.signatures.iter().any(|(id, _)| unknown(*id))
            });
        }
        None => return false,
    };
    let held = match &notice.notice {
        Some(Notice::Receipt(bytes)) => receipt(policy, bytes),
        Some(Notice::Erasure(bytes)) => erasure(policy, bytes),
        _ => Ok(()),
    };
    held.is_err_and(|found| found.reason == Reason::KeyUnknown)
}

/// Tells whether a delivery is a message whose sender knew a newer directory.
fn names_newer(policy: &Policy, delivery: &proto::Delivery) -> bool {
    let Some(proto::delivery::Content::Message(message)) = &delivery.content else { return false };
    SignedEnvelope::read(&message.envelope).is_ok_and(|it| policy.version() < it.envelope.directory_version)
}

/// Reads an order to erase, and holds it to the signature of who is said to have given it.
///
/// # Errors
/// What is wrong with it.
pub fn order(policy: &Policy, bytes: &Bytes) -> Result<ErasureOrder, Refusal> {
    let SignedOrder { order, signed } = SignedOrder::read(bytes)?;
    policy.check_erasure_order(&order, (&signed.statement, &signed.signatures), When::Once)?;
    Ok(order)
}

/// Holds an erasure that is told to the order that it was taken for, if there is one.
pub(super) fn erasure(policy: &Policy, bytes: &Bytes) -> Result<(), Refusal> {
    let of_order = erasure::order_of(bytes)?;
    of_order.map_or(Ok(()), |bytes| order(policy, &bytes).map(|_| ()))
}

/// Holds a receipt that is told to the signature of the desk that is said to have given it.
pub(super) fn receipt(policy: &Policy, bytes: &Bytes) -> Result<(), Refusal> {
    let SignedReceipt { receipt, signed, .. } = SignedReceipt::read(bytes)?;
    let (statement, signatures) = (&signed.statement, &signed.signatures);
    let stated = Stated { desk: &receipt.desk, kind: Kind::Receipt, statement, signatures };
    policy.check_receipt(stated, &receipt, When::Once)
}
