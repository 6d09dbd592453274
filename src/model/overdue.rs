//! What was missed: the hub's own statement that an office did not do in time what it was asked.

use super::envelope::CapStatus;
use super::id::UnixMicros;
use super::identity::Name;
use super::obligation::Month;
use super::receipt::{MessageRef, Stage};

/// Something that an office missed. Every field as `message.proto` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The office.
    pub office: Name,
    /// When it fell due, by the hub's time.
    pub due: UnixMicros,
    /// What was missed.
    pub missed: Missed,
}

/// What was missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missed {
    /// A stage of a message.
    Stage {
        /// The message.
        message: MessageRef,
        /// `received`, `read` or `acted`.
        stage: Stage,
        /// Whether the message is real.
        status: CapStatus,
    },
    /// The answer to a message that an obligation asks for.
    FollowUp {
        /// The obligation.
        obligation: Name,
        /// The message.
        message: MessageRef,
    },
    /// What an obligation asks for in each month.
    Month {
        /// The obligation.
        obligation: Name,
        /// The month.
        month: Month,
    },
}
