//! Erasures between exact bytes and the model.
//!
//! Contains no rules but the form of a field.

use bytes::Bytes;
use prost::Message as _;

use super::convert::{decode, desk, id_bytes, message_id, name, reason};
use super::proto;
use super::proto::erasure::Erasure as Wire;
use super::signed::Signed;
use crate::model::erasure::{Erasure, ErasureOrder, OrderedBy};
use crate::model::id::{Index, UnixMicros};
use crate::model::refusal::Refusal;
use crate::seal::{Kind, SigningKey};

/// Bytes of an erasure at most: a desk, an id, a reason, a signature.
pub const ERASURE_BYTES_MAX: usize = 6 * 1024;

/// An order as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOrder {
    /// What it says.
    pub order: ErasureOrder,
    /// What was signed.
    pub signed: Signed,
}

impl SignedOrder {
    /// Reads one.
    ///
    /// # Errors
    /// As [`read`], and [`Reason::SignatureInvalid`](crate::model::refusal::Reason::SignatureInvalid) for bytes that cannot be
    /// a signature.
    pub fn read(bytes: &Bytes) -> Result<Self, Refusal> {
        let signed = Signed::read("order to erase", bytes, ERASURE_BYTES_MAX)?;
        Ok(Self { order: read_order(&signed.statement)?, signed })
    }

    /// Signs one: the exact bytes that are handed in.
    pub fn by(key: &SigningKey, order: &ErasureOrder) -> Bytes {
        Signed::by(key, Kind::ErasureOrder, order_bytes(order)).to_bytes()
    }
}

/// Decodes an erasure.
///
/// # Errors
/// [`Reason::TooLarge`](crate::model::refusal::Reason::TooLarge),
/// [`Reason::Malformed`](crate::model::refusal::Reason::Malformed),
/// [`Reason::FieldInvalid`](crate::model::refusal::Reason::FieldInvalid) with the field.
pub fn read(bytes: &Bytes) -> Result<Erasure, Refusal> {
    match decode::<proto::Erasure>("erasure", bytes, ERASURE_BYTES_MAX)?.erasure {
        Some(Wire::Ordered(it)) => Ok(Erasure::Order {
            order: SignedOrder::read(&it.order)?.order,
            message: Index(it.message_index),
        }),
        Some(Wire::Retention(it)) => Ok(Erasure::Retention { until: Index(it.until_index) }),
        None => {
            let message = "an erasure is an order or the end of a retention; nothing that is known came";
            Err(Refusal::field("erasure", message))
        }
    }
}

/// Gives the exact bytes of the order that an erasure was taken for; `None` for the end of a retention.
///
/// # Errors
/// As [`read`].
pub fn order_of(bytes: &Bytes) -> Result<Option<Bytes>, Refusal> {
    let erasure = decode::<proto::Erasure>("erasure", bytes, ERASURE_BYTES_MAX)?.erasure;
    Ok(erasure.and_then(|erasure| match erasure {
        Wire::Ordered(it) => Some(it.order),
        Wire::Retention(_) => None,
    }))
}

fn read_order(bytes: &Bytes) -> Result<ErasureOrder, Refusal> {
    let it: proto::ErasureOrder = decode("order to erase", bytes, ERASURE_BYTES_MAX)?;
    let by = match (it.desk.as_str(), it.registrar.as_str()) {
        (by, "") if it.sender_office.is_empty() => OrderedBy::Desk(desk("desk", by)?),
        (_, "") => {
            let message =
                "a desk has messages of its own office erased; another office's is named with a registrar";
            return Err(Refusal::field("sender_office", message));
        }
        ("", by) => {
            let sender = name("sender_office", &it.sender_office)?;
            OrderedBy::Registrar { name: name("registrar", by)?, sender }
        }
        _ => return Err(Refusal::field("registrar", "a desk or a registrar orders it; both are named")),
    };
    Ok(ErasureOrder {
        by,
        message_id: message_id("message_id", &it.message_id)?,
        at: UnixMicros(it.at_unix_us),
        reason: reason(it.reason)?,
    })
}

/// Encodes an order: the exact bytes that are signed.
fn order_bytes(order: &ErasureOrder) -> Bytes {
    let (desk, registrar, sender_office) = match &order.by {
        OrderedBy::Desk(desk) => (desk.to_string(), String::new(), String::new()),
        OrderedBy::Registrar { name, sender } => (String::new(), name.to_string(), sender.to_string()),
    };
    let wire = proto::ErasureOrder {
        desk,
        registrar,
        sender_office,
        message_id: id_bytes(order.message_id),
        at_unix_us: order.at.0,
        reason: order.reason.clone(),
    };
    wire.encode_to_vec().into()
}

/// Encodes the statement of an order, around its exact bytes.
pub fn ordered_bytes(order: Bytes, message: Index) -> Bytes {
    statement(Wire::Ordered(proto::OrderedErasure { order, message_index: message.0 }))
}

/// Encodes the statement of the end of a retention.
pub fn retention_bytes(until: Index) -> Bytes {
    statement(Wire::Retention(proto::RetentionEnd { until_index: until.0 }))
}

fn statement(erasure: Wire) -> Bytes {
    proto::Erasure { erasure: Some(erasure) }.encode_to_vec().into()
}
