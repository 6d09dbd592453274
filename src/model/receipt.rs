//! Receipts: what an office states about messages it was owed, checked once, at the edge.

use std::fmt;

use super::envelope::{MessageId, numbered};
use super::id::{Index, UnixMicros};
use super::identity::Desk;
use super::refusal::Refusal;

/// Messages that one `received` may name: a statement then takes about 16 KiB at most.
pub const RECEIPT_MESSAGES_MAX: usize = 512;
/// Notices that one `received` may name.
pub const RECEIPT_NOTICES_MAX: usize = 512;
/// Longest reason, in bytes of UTF-8.
pub const REASON_BYTES_MAX: usize = 1024;
/// Longest encoded receipt, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 32 * 1024;

numbered! {
    /// How far an office is with a message.
    Stage {
        /// A desk has it on its disk.
        Received = 1 "received",
        /// A person opened it.
        Read = 2 "read",
        /// The office did something.
        Acted = 3 "acted",
        /// The office will not deal with it.
        Declined = 4 "declined",
        /// The office cannot read it.
        Unreadable = 5 "unreadable",
        /// The office has erased what it had of a message whose erasure was told.
        Erased = 6 "erased",
    }
}

numbered! {
    /// What an office did.
    Action {
        /// Reached the person or somebody close.
        ContactedPerson = 1 "contacted-person",
        /// Asked the State for information or protection.
        AskedState = 2 "asked-state",
        /// Asked for or granted a precautionary measure.
        PrecautionaryMeasure = 3 "precautionary-measure",
        /// Sent an urgent appeal.
        UrgentAppeal = 4 "urgent-appeal",
        /// Helped the person to move.
        Relocation = 5 "relocation",
        /// Spoke in public.
        PublicStatement = 6 "public-statement",
        /// Nothing, for the reason given.
        None = 7 "none",
    }
}

/// A message, as the hub delivered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef {
    /// Its index.
    pub index: Index,
    /// Its id.
    pub message_id: MessageId,
}

/// An office's acknowledgement. Every field as `message.proto` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The desk that states it.
    pub desk: Desk,
    /// The stage.
    pub stage: Stage,
    /// The messages, ascending by index.
    pub messages: Vec<MessageRef>,
    /// The notices, ascending.
    pub notices: Vec<Index>,
    /// When it happened, by the office's clock.
    pub at: UnixMicros,
    /// What was done.
    pub action: Option<Action>,
    /// Why.
    pub reason: String,
}

impl Receipt {
    /// Checks what no single field shows.
    ///
    /// # Errors
    /// [`super::refusal::Reason::FieldInvalid`] with the field, for counts, order, an action or a reason that do not go with the stage.
    pub fn check(&self) -> Result<(), Refusal> {
        self.check_messages()?;
        let needs_reason =
            matches!(self.stage, Stage::Declined | Stage::Unreadable) || self.action == Some(Action::None);
        match (self.stage, self.action) {
            (Stage::Acted, None) => {
                return Err(Refusal::field("action", "`acted` says what was done; no action is given"));
            }
            (Stage::Acted, Some(_)) | (_, None) => {}
            (stage, Some(action)) => {
                return Err(Refusal::field(
                    "action",
                    format!("only `acted` has an action; {stage} came with {action}"),
                ));
            }
        }
        if needs_reason && self.reason.trim().is_empty() {
            return Err(Refusal::field("reason", format!("{} needs a reason; none is given", self.stage)));
        }
        if !needs_reason && self.stage != Stage::Acted && !self.reason.is_empty() {
            return Err(Refusal::field("reason", format!("{} has no reason; one came", self.stage)));
        }
        if self.reason.len() > REASON_BYTES_MAX {
            let found = self.reason.len();
            let message = format!("a reason has at most {REASON_BYTES_MAX} bytes; this has {found}");
            return Err(Refusal::field("reason", message));
        }
        Ok(())
    }

    fn check_messages(&self) -> Result<(), Refusal> {
        // What a machine states by itself.
        let received = matches!(self.stage, Stage::Received | Stage::Erased);
        if !received && (self.messages.len() != 1 || !self.notices.is_empty()) {
            let message = format!(
                "{} is stated of exactly one message; this names {} messages and {} notices",
                self.stage,
                self.messages.len(),
                self.notices.len()
            );
            return Err(Refusal::field("messages", message));
        }
        if received && self.messages.is_empty() && self.notices.is_empty() {
            return Err(Refusal::field(
                "messages",
                "a receipt names at least one message or notice; this names none",
            ));
        }
        if self.messages.len() > RECEIPT_MESSAGES_MAX {
            let found = self.messages.len();
            let message =
                format!("a receipt names at most {RECEIPT_MESSAGES_MAX} messages; this names {found}");
            return Err(Refusal::field("messages", message));
        }
        if self.notices.len() > RECEIPT_NOTICES_MAX {
            let found = self.notices.len();
            let message =
                format!("a receipt names at most {RECEIPT_NOTICES_MAX} notices; this names {found}");
            return Err(Refusal::field("notices", message));
        }
        if self.messages.windows(2).any(|pair| pair[0].index >= pair[1].index) {
            return Err(Refusal::field("messages", "messages stand in ascending order of index, each once"));
        }
        if self.notices.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(Refusal::field("notices", "notices stand in ascending order, each once"));
        }
        Ok(())
    }
}
