//! Erasures: why the payload of a message is no longer kept, though its entries are.
//!
//! Every field as `message.proto` says.

use std::fmt;

use super::envelope::MessageId;
use super::id::{Index, UnixMicros};
use super::identity::{Desk, Name};

/// Days that payloads are kept where policy says nothing: three years.
pub const RETENTION_DAYS_DEFAULT: u32 = 3 * 365;
/// Days that policy can ask for at most: a hundred years.
pub const RETENTION_DAYS_MAX: u32 = 36_500;

const DAY_US: u64 = 86_400_000_000;

/// The statement of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// An office has a message of its own erased, or a registrar has any.
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

/// Who has a message erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderedBy {
    /// A desk of the office that sent it.
    Desk(Desk),
    /// A registrar.
    Registrar {
        /// Which.
        name: Name,
        /// The office that sent it.
        sender: Name,
    },
}

/// An order that a message be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureOrder {
    /// Who gives it.
    pub by: OrderedBy,
    /// The message.
    pub message_id: MessageId,
    /// When, by the clock of who gives it.
    pub at: UnixMicros,
    /// Why.
    pub reason: String,
}

impl ErasureOrder {
    /// The office that sent the message: a desk has messages of its own office erased.
    pub fn sender(&self) -> &Name {
        match &self.by {
            OrderedBy::Desk(desk) => &desk.office,
            OrderedBy::Registrar { sender, .. } => sender,
        }
    }
}

impl fmt::Display for OrderedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Desk(desk) => desk.fmt(f),
            Self::Registrar { name, .. } => write!(f, "registrar {name}"),
        }
    }
}

/// Tells whether a payload has been kept for so many days.
pub fn is_over(accepted: UnixMicros, days: u32, now: UnixMicros) -> bool {
    now.0 >= accepted.0.saturating_add(u64::from(days) * DAY_US)
}
