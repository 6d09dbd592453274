//! Erasures between exact bytes and the model.
//!
//! Contains no rules but the form of a field.

use bytes::Bytes;
use prost::Message as _;

use super::convert::{decode, desk, id_bytes, message_id, reason};
use super::proto;
use super::proto::erasure::Erasure as Wire;
use crate::model::erasure::{Erasure, ErasureOrder};
use crate::model::id::{Index, UnixMicros};
use crate::model::refusal::Refusal;

/// Bytes of an erasure at most: a desk, an id, a reason.
const ERASURE_BYTES_MAX: usize = 2 * 1024;

/// Decodes an erasure.
///
/// # Errors
/// [`Reason::TooLarge`](crate::model::refusal::Reason::TooLarge),
/// [`Reason::Malformed`](crate::model::refusal::Reason::Malformed),
/// [`Reason::FieldInvalid`](crate::model::refusal::Reason::FieldInvalid) with the field.
pub fn read(bytes: &Bytes) -> Result<Erasure, Refusal> {
    match decode::<proto::Erasure>("erasure", bytes, ERASURE_BYTES_MAX)?.erasure {
        Some(Wire::Ordered(it)) => {
            Ok(Erasure::Order { order: read_order(&it.order)?, message: Index(it.message_index) })
        }
        Some(Wire::Retention(it)) => Ok(Erasure::Retention { until: Index(it.until_index) }),
        None => {
            let message = "an erasure is an order or the end of a retention; nothing that is known came";
            Err(Refusal::field("erasure", message))
        }
    }
}

/// Decodes an order.
///
/// # Errors
/// As [`read`].
pub fn read_order(bytes: &Bytes) -> Result<ErasureOrder, Refusal> {
    let it: proto::ErasureOrder = decode("order to erase", bytes, ERASURE_BYTES_MAX)?;
    Ok(ErasureOrder {
        desk: desk("desk", &it.desk)?,
        message_id: message_id("message_id", &it.message_id)?,
        at: UnixMicros(it.at_unix_us),
        reason: reason(it.reason)?,
    })
}

/// Encodes an order: the exact bytes that travel and are kept.
pub fn order_bytes(order: &ErasureOrder) -> Bytes {
    let wire = proto::ErasureOrder {
        desk: order.desk.to_string(),
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
