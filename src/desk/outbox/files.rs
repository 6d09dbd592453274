//! The names and bodies of an outbox's files.
//!
//! Owns their form: names and numbers here are on people's disks. Never touches a disk.

use bytes::Bytes;

use super::{OutboxEntry, Outcome, Stand, StatementEntry};
use crate::desk::find::parse_message_id;
use crate::desk::record::{Record, RecordKind};
use crate::model::envelope::MessageId;
use crate::model::epoch::EpochId;
use crate::model::id::{Index, UnixMicros};
use crate::model::receipt::Stage;
use crate::wire::proto::Promise;

impl OutboxEntry {
    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        let (id, rest) = name.split_once(".message.")?;
        Some(Self { message_id: parse_message_id(id)?, stand: Stand::from_name(rest)? })
    }
}

impl StatementEntry {
    pub(super) fn file_name(&self, stand: Stand) -> String {
        let Self { id, message_id, sender, stage, .. } = self;
        format!("{id}.{message_id}.{sender}.{stage}.receipt.{}", stand.name())
    }

    pub(super) fn from_file_name(name: &str) -> Option<Self> {
        let parts: Vec<_> = name.split('.').collect();
        let &[id, message_id, sender, stage, "receipt", stand] = parts.as_slice() else { return None };
        Some(Self {
            id: parse_message_id(id)?,
            message_id: parse_message_id(message_id)?,
            sender: sender.parse().ok()?,
            stage: Stage::ALL.iter().copied().find(|known| known.name() == stage)?,
            stand: Stand::from_name(stand)?,
        })
    }
}

pub(super) fn message_name(id: MessageId, stand: Stand) -> String {
    format!("{id}.message.{}", stand.name())
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OutgoingBody {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) envelope: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) payload: Bytes,
    #[prost(uint64, tag = "3")]
    pub(super) written_unix_us: u64,
    /// See `CapName`; empty for what is no alert.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) name: Bytes,
    #[prost(message, optional, tag = "5")]
    pub(super) outcome: Option<OutcomeBody>,
    /// Where a packet's files are, in the order of its manifest.
    #[prost(string, repeated, tag = "6")]
    pub(super) sources: Vec<String>,
    /// Its payload is erased, by this office's order.
    #[prost(bool, tag = "7")]
    pub(super) erased: bool,
    /// It is for the members of its stream, whoever they are when it is sealed.
    #[prost(bool, tag = "8")]
    pub(super) to_members: bool,
    /// The fingerprint of the office that a resealing is for, as it was when a person wrote it.
    #[prost(string, tag = "9")]
    pub(super) seen: String,
    /// The hub's signed word for an acceptance.
    #[prost(message, optional, tag = "10")]
    pub(super) promise: Option<Promise>,
}

impl Record for OutgoingBody {
    const KIND: RecordKind = RecordKind::Outgoing;
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatementBody {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) receipt: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) written_unix_us: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) outcome: Option<OutcomeBody>,
    /// The sealed note that goes with it.
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) note: Bytes,
}

impl Record for StatementBody {
    const KIND: RecordKind = RecordKind::Statement;
}

pub(super) fn order_name(id: MessageId, stand: Stand) -> String {
    format!("{id}.erasure.{}", stand.name())
}

pub(super) fn order_of(name: &str) -> Option<(MessageId, Stand)> {
    let (id, rest) = name.split_once(".erasure.")?;
    Some((parse_message_id(id)?, Stand::from_name(rest)?))
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OrderBody {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) order: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) written_unix_us: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) outcome: Option<OutcomeBody>,
}

impl Record for OrderBody {
    const KIND: RecordKind = RecordKind::Order;
}

/// A refusal has a reason, an acceptance has none.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OutcomeBody {
    #[prost(uint64, tag = "1")]
    pub(super) index: u64,
    #[prost(uint64, tag = "2")]
    pub(super) at_unix_us: u64,
    #[prost(bool, tag = "3")]
    pub(super) repeated: bool,
    #[prost(string, tag = "4")]
    pub(super) refused_reason: String,
    #[prost(string, tag = "5")]
    pub(super) refused_message: String,
    #[prost(fixed64, tag = "6")]
    pub(super) epoch: u64,
    #[prost(bool, tag = "7")]
    pub(super) unsigned: bool,
}

impl OutcomeBody {
    pub(super) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Accepted { index, at, epoch, repeated, unsigned } => {
                let (index, at_unix_us, epoch) = (index.0, at.0, epoch.0);
                Self { index, at_unix_us, repeated, epoch, unsigned, ..Self::default() }
            }
            Outcome::Refused { reason, message } => {
                Self { refused_reason: reason, refused_message: message, ..Self::default() }
            }
        }
    }

    pub(super) fn into_outcome(self) -> Outcome {
        if self.refused_reason.is_empty() {
            let Self { repeated, unsigned, .. } = self;
            let (index, at, epoch) = (Index(self.index), UnixMicros(self.at_unix_us), EpochId(self.epoch));
            Outcome::Accepted { index, at, epoch, repeated, unsigned }
        } else {
            Outcome::Refused { reason: self.refused_reason, message: self.refused_message }
        }
    }
}
