//! What goes into the ledger and what it answers: decoded entries and their outcomes.
//!
//! Owns these two shapes. Never decodes: exact bytes are the caller's, so that no format of the wire is known here.

use std::sync::Arc;

use crate::model::amendment::SignedEntry;
use crate::model::clock::ClockRecord;
use crate::model::envelope::Envelope;
use crate::model::epoch::Epoch;
use crate::model::erasure::Erasure;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::overdue::Overdue;
use crate::model::policy::OfficeNumber;
use crate::model::receipt::Receipt;
use crate::model::refusal::Refusal;
use crate::model::renewal::Renewal;

/// An entry of the journal, its statement decoded by the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Its place.
    pub index: Index,
    /// The hub's time of its batch.
    pub time: UnixMicros,
    /// The identity that answers for it; `None` for text that is not an identity.
    pub caller: Option<Identity>,
    /// What it states.
    pub statement: Statement,
}

/// What an entry states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// An envelope was handed in for publishing.
    Publish {
        /// The envelope, valid in form.
        envelope: Box<Envelope>,
        /// The SHA-256 of its exact bytes.
        digest: [u8; 32],
    },
    /// A receipt of an office, valid in form.
    Receipt(Box<Receipt>),
    /// An amendment of the directory, or a rotation of keys.
    Amendment(Arc<SignedEntry>),
    /// A request for a next certificate, or the answer to one.
    Renewal(Renewal),
    /// That payloads are no longer kept.
    Erasure(Erasure),
    /// The hub was restored from a backup.
    Epoch(Epoch),
    /// The hub's word that something was missed.
    Overdue(Box<Overdue>),
    /// A record of the hub's clock.
    Clock(ClockRecord),
    /// A refusal, or a summary of refusals: nothing follows from it.
    Refusal,
    /// Bytes that could not be decoded, and why: answered with that refusal.
    Undecodable(Refusal),
}

/// What the ledger says of one entry. The same at every replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is accepted.
    Accepted {
        /// Its index: the first one, for ever.
        index: Index,
        /// The hub's time of that entry.
        time: UnixMicros,
        /// Whether it had been accepted before this entry.
        duplicate: bool,
    },
    /// The receipt is recorded.
    Recorded {
        /// The receipt's own index; when it stated nothing new, that of the first receipt, or the last of several first ones.
        index: Index,
        /// The hub's time of that entry.
        time: UnixMicros,
        /// For how many of its messages and notices it stated something new.
        news: u32,
        /// The offices whose messages it stated something new about, ascending.
        about: Vec<OfficeNumber>,
    },
    /// The message is ordered to be erased.
    Erased {
        /// The index of the order: the first one, for ever.
        index: Index,
        /// The hub's time of that entry.
        time: UnixMicros,
        /// Whether it had been ordered before this entry.
        duplicate: bool,
    },
    /// Taken in; nobody waits for an answer.
    Noted,
    /// Refused; nothing followed from it.
    Refused(Refusal),
}
