//! Envelopes: what the hub may see of a message, checked once, at the edge.
//!
//! An `Envelope` that exists is valid in form; whether policy lets it pass is `policy`'s to say.

use std::fmt;

use super::deadline::Deadlines;
use super::id::{Index, UnixMicros};
use super::identity::{Desk, Name};
use super::refusal::{Reason, Refusal};

/// Longest encoded envelope, in bytes: some 200 recipients of the longest name.
pub const ENVELOPE_BYTES_MAX: usize = 16 * 1024;
/// References to earlier messages at most: what one thread of updates is ever likely to name.
pub const REFERENCES_MAX: usize = 64;

macro_rules! numbered {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $number:literal $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant = $number,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Reads it from its number in the protocol; `None` for 0 and for numbers that this version does not know.
            pub fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// Gives its name, as people and programs read it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.name()) }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// What kind of thing a message is.
    MessageClass {
        /// An alert: OASIS CAP 1.2.
        Alert = 1 "alert",
        /// An analysis packet.
        Packet = 2 "packet",
        /// A statement of both institutions.
        Statement = 3 "statement",
    }
}

numbered! {
    /// How soon a message must be seen.
    Priority {
        /// Before everything else.
        Urgent = 1 "urgent",
        /// The usual.
        Normal = 2 "normal",
        /// It may wait.
        Low = 3 "low",
    }
}

numbered! {
    /// CAP 1.2 `status`.
    CapStatus {
        /// Real.
        Actual = 1 "Actual",
        /// An exercise.
        Exercise = 2 "Exercise",
        /// About the exchange itself.
        System = 3 "System",
        /// A technical test.
        Test = 4 "Test",
        /// A draft.
        Draft = 5 "Draft",
    }
}

numbered! {
    /// CAP 1.2 `msgType`.
    CapMsgType {
        /// New.
        Alert = 1 "Alert",
        /// Replaces earlier ones.
        Update = 2 "Update",
        /// Withdraws earlier ones.
        Cancel = 3 "Cancel",
        /// Received and accepted, in CAP's own sense.
        Ack = 4 "Ack",
        /// Rejected, in CAP's own sense.
        Error = 5 "Error",
    }
}

/// A message's id: a UUID of version 7 (RFC 9562, section 5.7), unique in its office.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// Takes 16 bytes that are a UUID of version 7 and the RFC's variant; `None` for others.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (bytes[6] >> 4 == 7 && bytes[8] >> 6 == 2).then_some(Self(bytes))
    }

    /// Gives the 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Refuses other bytes under this id, which the office used before, at an index.
    pub fn reused(self, first: Index) -> Refusal {
        let message = format!(
            "the office used message id {self} for other bytes before, at index {first}: a new message needs a new id"
        );
        Refusal::new(Reason::IdReused, message).of_field("message_id")
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the hub may see of a message. Every field as `message.proto` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The message's id.
    pub message_id: MessageId,
    /// What kind of thing it is.
    pub class: MessageClass,
    /// The stream it belongs to.
    pub stream: Name,
    /// The sending desk.
    pub sender: Desk,
    /// The offices it is for, ascending, each once, at least one.
    pub recipients: Vec<Name>,
    /// The version of the directory that they were taken from.
    pub directory_version: Index,
    /// How soon it must be seen.
    pub priority: Priority,
    /// Whether it is real.
    pub status: CapStatus,
    /// What it does to earlier messages.
    pub msg_type: CapMsgType,
    /// The thread it belongs to.
    pub thread_id: [u8; 16],
    /// The sender's earlier messages that it is about.
    pub references: Vec<MessageId>,
    /// When the sender wrote it, by the sender's clock.
    pub sent: UnixMicros,
    /// When it stops to apply.
    pub expires: Option<UnixMicros>,
    /// The payload's size.
    pub payload_bytes: u64,
    /// The payload's SHA-256.
    pub payload_digest: [u8; 32],
    /// By when it is to be received, read and acted on; none: as policy says.
    pub deadlines: Deadlines,
}

impl Envelope {
    /// Checks what no single field shows.
    ///
    /// # Errors
    /// [`Reason::FieldInvalid`] for recipients that are none, not ascending or not unique, for too many references, and for
    /// deadlines of which a later one comes first.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.recipients.is_empty() {
            return Err(Refusal::field(
                "recipients",
                "an envelope names at least one recipient; this names none",
            ));
        }
        if let Some((before, after)) = self.recipients.iter().zip(&self.recipients[1..]).find(|(a, b)| a >= b)
        {
            let message = format!("recipients stand in ascending order, each once; {after} follows {before}");
            return Err(Refusal::field("recipients", message));
        }
        if self.references.len() > REFERENCES_MAX {
            let found = self.references.len();
            let message = format!("an envelope has at most {REFERENCES_MAX} references; this has {found}");
            return Err(Refusal::field("references", message));
        }
        self.deadlines.check()
    }

    /// Checks that the payload is the one described.
    ///
    /// # Errors
    /// [`Reason::PayloadMismatch`] for another size or digest. `digest` is the payload's SHA-256.
    pub fn check_payload(&self, payload_bytes: usize, digest: &[u8; 32]) -> Result<(), Refusal> {
        if self.payload_bytes != payload_bytes as u64 {
            let message = format!(
                "the envelope describes a payload of {} bytes; {payload_bytes} came: hand in the bytes that were sized",
                self.payload_bytes
            );
            return Err(Refusal::new(Reason::PayloadMismatch, message).of_field("payload_bytes"));
        }
        if self.payload_digest != *digest {
            let message =
                "the payload's SHA-256 is not the one in the envelope: hand in the bytes that were digested";
            return Err(Refusal::new(Reason::PayloadMismatch, message).of_field("payload_digest"));
        }
        Ok(())
    }
}
