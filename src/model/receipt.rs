//! Receipts: what an office states about messages it was owed, checked once, at the edge.

use std::fmt;

use super::envelope::{MessageId, numbered};
use super::id::{Index, UnixMicros};
use super::identity::Desk;
use super::refusal::Refusal;
use crate::seal::sha256;

/// Messages that one `received` may name: a statement then takes about 16 KiB at most.
pub const RECEIPT_MESSAGES_MAX: usize = 512;
/// Notices that one `received` may name.
pub const RECEIPT_NOTICES_MAX: usize = 512;
/// Bytes from which the salts of a receipt follow.
pub const SEED_BYTES: usize = 32;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 16;
/// Longest sealed note, in bytes: one of the longest text for three offices takes 9 KB.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Longest reason, in bytes of UTF-8.
pub const REASON_BYTES_MAX: usize = 1024;
/// Longest receipt, in bytes: the most messages that one may name, with what covers them, and a signature.
pub const RECEIPT_BYTES_MAX: usize = 64 * 1024;

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

/// A message that a receipt covers: which, and what its envelope says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Its index.
    pub index: Index,
    /// Its id.
    pub message_id: MessageId,
    /// The SHA-256 of its envelope's exact bytes.
    pub digest: [u8; 32],
}

impl Covered {
    /// Its name.
    pub fn message(&self) -> MessageRef {
        MessageRef { index: self.index, message_id: self.message_id }
    }

    /// Gives what a receipt states of it: salted, so that it can be opened without what stands beside it.
    pub fn cover(&self, seed: &[u8; SEED_BYTES], place: usize) -> [u8; 32] {
        self.cover_salted(&cover_salt(seed, place))
    }

    /// Gives the same, with its salt.
    pub fn cover_salted(&self, salt: &[u8; SALT_BYTES]) -> [u8; 32] {
        let id = self.message_id.as_bytes();
        sha256(&joined::<90>([b"resguardo receipt cover v1", salt, id, &self.digest]))
    }
}

/// Gives the salt of the cover at a place: it opens that one and no other.
pub fn cover_salt(seed: &[u8; SEED_BYTES], place: usize) -> [u8; SALT_BYTES] {
    let place = u32::try_from(place).expect("a receipt covers few messages").to_le_bytes();
    let mut salt = [0; SALT_BYTES];
    salt.copy_from_slice(
        &sha256(&joined::<61>([b"resguardo receipt salt v1", seed, &place, &[]]))[..SALT_BYTES],
    );
    salt
}

/// Joins parts of so many bytes in all, without memory of their own: six offices cover each message of a busy hub.
fn joined<const BYTES: usize>(parts: [&[u8]; 4]) -> [u8; BYTES] {
    let (mut joined, mut at) = ([0; BYTES], 0);
    for part in parts {
        joined[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    debug_assert_eq!(at, BYTES);
    joined
}

/// What a desk has seen of the hub's journal as a log: others hold it to what they have seen themselves, and no hub can keep it
/// from them without keeping the receipt from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenLog {
    /// Entries of the last checkpoint that it verified; at least one.
    pub size: u64,
    /// The root of that checkpoint's tree.
    pub root: [u8; 32],
    /// How many restores of the hub that registrars have signed came before it.
    pub restores: u32,
    /// Whether the desk has found the hub out: one of its logs is not what it was.
    pub disputed: bool,
}

/// An office's acknowledgement. Every field as `message.proto` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The desk that states it.
    pub desk: Desk,
    /// The stage.
    pub stage: Stage,
    /// The messages, ascending by index.
    pub messages: Vec<Covered>,
    /// The notices, ascending.
    pub notices: Vec<Index>,
    /// When it happened, by the office's clock.
    pub at: UnixMicros,
    /// What was done.
    pub action: Option<Action>,
    /// Why it cannot be read.
    pub reason: String,
    /// The SHA-256 of the sealed note that goes with a person's stage.
    pub note_digest: Option<[u8; 32]>,
    /// Whether the office's key was used to find out that it cannot be read, or a person says so.
    pub opened: bool,
    /// What the desk had seen of the hub's journal by then.
    pub seen: Option<SeenLog>,
}

impl Stage {
    /// Whether a person states it, who says who they are in a note.
    pub fn is_persons(self) -> bool {
        matches!(self, Self::Read | Self::Acted | Self::Declined)
    }
}

impl Receipt {
    /// Whether a machine may state it while nobody is there.
    pub fn is_machines(&self) -> bool {
        match self.stage {
            Stage::Received | Stage::Erased => true,
            Stage::Unreadable => !self.opened,
            Stage::Read | Stage::Acted | Stage::Declined => false,
        }
    }

    /// That a desk has messages on its disk.
    pub fn received(desk: Desk, messages: Vec<Covered>, at: UnixMicros) -> Self {
        let (notices, action, reason, note_digest) = (Vec::new(), None, String::new(), None);
        let (stage, opened, seen) = (Stage::Received, false, None);
        Self { desk, stage, messages, notices, at, action, reason, note_digest, opened, seen }
    }

    /// Checks what no single field shows.
    ///
    /// # Errors
    /// [`super::refusal::Reason::FieldInvalid`] with the field, for counts, order, an action or a reason that do not go with the stage.
    pub fn check(&self) -> Result<(), Refusal> {
        self.check_messages()?;
        let needs_reason = self.stage == Stage::Unreadable;
        match (self.stage.is_persons(), self.note_digest) {
            (true, None) => {
                let message = format!(
                    "{} is a person's to state, who says so in a note; no note goes with it",
                    self.stage
                );
                return Err(Refusal::field("note_digest", message));
            }
            (false, Some(_)) => {
                let message = format!("no note goes with {}, which a machine states; one came", self.stage);
                return Err(Refusal::field("note_digest", message));
            }
            _ => {}
        }
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
        if self.opened && self.stage != Stage::Unreadable {
            let message =
                format!("only `unreadable` says whether it was opened; {} came with it", self.stage);
            return Err(Refusal::field("opened", message));
        }
        if self.seen.is_some_and(|seen| seen.size == 0) {
            return Err(Refusal::field(
                "seen.size",
                "a checkpoint is over at least one entry; this is over none",
            ));
        }
        if needs_reason && self.reason.trim().is_empty() {
            return Err(Refusal::field("reason", format!("{} needs a reason; none is given", self.stage)));
        }
        if !needs_reason && !self.reason.is_empty() {
            let message = format!("{} has no reason that everybody can read; one came", self.stage);
            return Err(Refusal::field("reason", message));
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
