//! What the ledger keeps of a message and of a receipt.

use crate::model::envelope::{CapMsgType, CapStatus, MessageClass, MessageId, Priority};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::{Desk, Name};
use crate::model::policy::OfficeNumber;
use crate::model::receipt::{Action, Stage};

/// An accepted message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRow {
    /// Its index.
    pub index: Index,
    /// Its id.
    pub message_id: MessageId,
    /// The hub's time of acceptance.
    pub accepted: UnixMicros,
    /// The sending desk.
    pub sender: Desk,
    /// The sending office.
    pub sender_office: OfficeNumber,
    /// The stream.
    pub stream: Name,
    /// What kind of thing it is.
    pub class: MessageClass,
    /// How soon it must be seen.
    pub priority: Priority,
    /// Whether it is real.
    pub status: CapStatus,
    /// What it does to earlier messages.
    pub msg_type: CapMsgType,
    /// When it stops to apply.
    pub expires: Option<UnixMicros>,
    /// The offices that it is owed to, ascending by number.
    pub recipients: Vec<OfficeNumber>,
    /// The SHA-256 of its envelope's exact bytes.
    pub digest: [u8; 32],
}

/// A recorded receipt, also one that repeated what was known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRow {
    /// Its index.
    pub index: Index,
    /// The hub's time of the entry.
    pub recorded: UnixMicros,
    /// The desk that states it.
    pub desk: Desk,
    /// That desk's office.
    pub office: OfficeNumber,
    /// The stage.
    pub stage: Stage,
    /// The messages it is about, by index, ascending.
    pub messages: Vec<Index>,
    /// The notices it is about, ascending.
    pub notices: Vec<Index>,
    /// The office's time.
    pub at: UnixMicros,
    /// What was done.
    pub action: Option<Action>,
    /// Why.
    pub reason: String,
    /// For how many messages and notices it stated something new.
    pub news: u32,
}
