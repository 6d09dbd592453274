//! Erasures: why the payload of a message is no longer kept, though its entries are.
//!
//! Every field as `message.proto` says.

use super::envelope::MessageId;
use super::id::{Index, UnixMicros};
use super::identity::Desk;

/// Days that payloads are kept where policy says nothing: three years.
pub const RETENTION_DAYS_DEFAULT: u32 = 3 * 365;
/// Days that policy can ask for at most: a hundred years.
pub const RETENTION_DAYS_MAX: u32 = 36_500;

const DAY_US: u64 = 86_400_000_000;

/// The statement of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// An office has a message of its own erased.
    Order {
        /// The order.
        order: ErasureOrder,
        /// Where the message stands.
        message: Index,
    },
    /// The hub's word that every payload up to an index has been kept as long as policy asks.
    Retention {
        /// The last of these messages.
        until: Index,
    },
}

/// An office's order that a message of its own be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureOrder {
    /// The desk that gives it.
    pub desk: Desk,
    /// The message.
    pub message_id: MessageId,
    /// When, by the office's clock.
    pub at: UnixMicros,
    /// Why.
    pub reason: String,
}

/// Tells whether a payload has been kept for so many days.
pub fn is_over(accepted: UnixMicros, days: u32, now: UnixMicros) -> bool {
    now.0 >= accepted.0.saturating_add(u64::from(days) * DAY_US)
}
