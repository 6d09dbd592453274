//! What the ledger keeps of a message, of a receipt and of what else an entry said, and the bytes of each.
//!
//! Owns these shapes; the tags of their fields are part of the format. Never knows where a row is kept.

use prost::Message;

use super::keys;
use super::log::Record;
use crate::model::deadline::{Deadlines, Within};
use crate::model::envelope::{CapMsgType, CapStatus, MessageClass, MessageId, Priority};
use crate::model::epoch::{Begun, Epoch, EpochId};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::{Desk, Identity, IdentityError, Name, NameError};
use crate::model::obligation::ObligationNumber;
use crate::model::policy::OfficeNumber;
use crate::model::receipt::{Action, MessageRef, Stage};
use crate::model::renewal::Renewal;

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
    /// By when each recipient is to have received, read and acted on it, as its envelope or policy says.
    pub deadlines: Deadlines,
    /// The answers that obligations ask for.
    pub follow_ups: Vec<FollowUp>,
    /// Its thread, where answers are asked for.
    pub thread: Option<[u8; 16]>,
    /// The messages whose follow-up it is, by index, ascending.
    pub answers: Vec<Index>,
    /// The message that it is about, of a resealing.
    pub about: Option<MessageRef>,
}

/// The answers to a message that an obligation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// The obligation.
    pub obligation: ObligationNumber,
    /// By when.
    pub within: Within,
    /// Who owes an answer, ascending.
    pub offices: Vec<OfficeNumber>,
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

impl Record for MessageRow {
    const LETTER: u8 = keys::MESSAGES;

    fn index(&self) -> Index {
        self.index
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let bytes = MessageBytes {
            message_id: self.message_id.as_bytes().to_vec(),
            accepted: self.accepted.0,
            sender_office: self.sender_office.0.into(),
            office: self.sender.office.to_string(),
            desk: self.sender.desk.to_string(),
            stream: self.stream.to_string(),
            class: self.class as i32,
            priority: self.priority as i32,
            status: self.status as i32,
            msg_type: self.msg_type as i32,
            expires: self.expires.map(|at| at.0),
            recipients: self.recipients.iter().map(|office| u32::from(office.0)).collect(),
            digest: self.digest.to_vec(),
            receive_s: self.deadlines.receive.map(Within::seconds),
            read_s: self.deadlines.read.map(Within::seconds),
            act_s: self.deadlines.act.map(Within::seconds),
            follow_ups: self.follow_ups.iter().map(follow_up_bytes).collect(),
            thread: self.thread.map(|thread| thread.to_vec()),
            answers: steps(&self.answers),
            about: self.about.as_ref().map(about_bytes),
        };
        bytes.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = MessageBytes::decode(bytes).map_err(|error| error.to_string())?;
        let message_id = MessageId::from_slice(&it.message_id).ok_or("no message id")?;
        Ok(Self {
            index,
            message_id,
            accepted: UnixMicros(it.accepted),
            sender: Desk { office: name(&it.office)?, desk: name(&it.desk)? },
            sender_office: office(it.sender_office)?,
            stream: name(&it.stream)?,
            class: MessageClass::from_number(it.class).ok_or("no class")?,
            priority: Priority::from_number(it.priority).ok_or("no priority")?,
            status: CapStatus::from_number(it.status).ok_or("no status")?,
            msg_type: CapMsgType::from_number(it.msg_type).ok_or("no type")?,
            expires: it.expires.map(UnixMicros),
            recipients: it.recipients.into_iter().map(office).collect::<Result<_, _>>()?,
            digest: it.digest.try_into().map_err(|_| "no digest")?,
            deadlines: deadlines(it.receive_s, it.read_s, it.act_s)?,
            follow_ups: it.follow_ups.into_iter().map(follow_up).collect::<Result<_, _>>()?,
            thread: it.thread.map(|thread| thread.try_into().map_err(|_| "no thread")).transpose()?,
            answers: from_steps(&it.answers)?,
            about: it.about.as_ref().map(about).transpose()?,
        })
    }
}

impl Record for ReceiptRow {
    const LETTER: u8 = keys::RECEIPTS;

    fn index(&self) -> Index {
        self.index
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let bytes = ReceiptBytes {
            recorded: self.recorded.0,
            number: self.office.0.into(),
            office: self.desk.office.to_string(),
            desk: self.desk.desk.to_string(),
            stage: self.stage as i32,
            messages: steps(&self.messages),
            notices: steps(&self.notices),
            at: self.at.0,
            action: self.action.map_or(0, |action| action as i32),
            reason: self.reason.clone(),
            news: self.news,
        };
        bytes.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = ReceiptBytes::decode(bytes).map_err(|error| error.to_string())?;
        Ok(Self {
            index,
            recorded: UnixMicros(it.recorded),
            desk: Desk { office: name(&it.office)?, desk: name(&it.desk)? },
            office: office(it.number)?,
            stage: Stage::from_number(it.stage).ok_or("no stage")?,
            messages: from_steps(&it.messages)?,
            notices: from_steps(&it.notices)?,
            at: UnixMicros(it.at),
            action: match it.action {
                0 => None,
                action => Some(Action::from_number(action).ok_or("no action")?),
            },
            reason: it.reason,
            news: it.news,
        })
    }
}

/// What an entry said of a renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RenewalRow {
    pub(super) index: Index,
    /// The entry's identity.
    pub(super) by: Identity,
    pub(super) renewal: Renewal,
}

impl Record for RenewalRow {
    const LETTER: u8 = keys::RENEWALS;

    fn index(&self) -> Index {
        self.index
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (digest, answered) = match &self.renewal {
            Renewal::Asked { digest } => (digest, String::new()),
            Renewal::Answered { identity, digest } => (digest, identity.to_string()),
        };
        RenewalBytes { by: self.by.to_string(), digest: digest.to_vec(), answered }.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = RenewalBytes::decode(bytes).map_err(|error| error.to_string())?;
        let identity = |uri: &str| uri.parse().map_err(|error: IdentityError| error.to_string());
        let digest = it.digest.try_into().map_err(|_| "no digest")?;
        let renewal = match it.answered.as_str() {
            "" => Renewal::Asked { digest },
            uri => Renewal::Answered { identity: identity(uri)?, digest },
        };
        Ok(Self { index, by: identity(&it.by)?, renewal })
    }
}

/// An epoch that began.
impl Record for Begun {
    const LETTER: u8 = keys::EPOCHS;

    fn index(&self) -> Index {
        self.first
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Epoch { id, number, backup } = self.epoch;
        EpochBytes { id: id.0, number, backup: backup.0 }.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = EpochBytes::decode(bytes).map_err(|error| error.to_string())?;
        let epoch = Epoch { id: EpochId(it.id), number: it.number, backup: UnixMicros(it.backup) };
        Ok(Self { epoch, first: index })
    }
}

#[derive(Clone, PartialEq, Message)]
struct RenewalBytes {
    #[prost(string, tag = "1")]
    by: String,
    #[prost(bytes = "vec", tag = "2")]
    digest: Vec<u8>,
    /// Whose request was answered; empty: it is a request.
    #[prost(string, tag = "3")]
    answered: String,
}

#[derive(Clone, PartialEq, Message)]
struct EpochBytes {
    #[prost(fixed64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    number: u64,
    #[prost(uint64, tag = "3")]
    backup: u64,
}

#[derive(Clone, PartialEq, Message)]
struct MessageBytes {
    #[prost(bytes = "vec", tag = "1")]
    message_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    accepted: u64,
    #[prost(uint32, tag = "3")]
    sender_office: u32,
    #[prost(string, tag = "4")]
    office: String,
    #[prost(string, tag = "5")]
    desk: String,
    #[prost(string, tag = "6")]
    stream: String,
    #[prost(int32, tag = "7")]
    class: i32,
    #[prost(int32, tag = "8")]
    priority: i32,
    #[prost(int32, tag = "9")]
    status: i32,
    #[prost(int32, tag = "10")]
    msg_type: i32,
    #[prost(uint64, optional, tag = "11")]
    expires: Option<u64>,
    #[prost(uint32, repeated, tag = "12")]
    recipients: Vec<u32>,
    #[prost(bytes = "vec", tag = "13")]
    digest: Vec<u8>,
    #[prost(uint32, optional, tag = "14")]
    receive_s: Option<u32>,
    #[prost(uint32, optional, tag = "15")]
    read_s: Option<u32>,
    #[prost(uint32, optional, tag = "16")]
    act_s: Option<u32>,
    #[prost(message, repeated, tag = "17")]
    follow_ups: Vec<FollowUpBytes>,
    #[prost(bytes = "vec", optional, tag = "18")]
    thread: Option<Vec<u8>>,
    /// As `messages` of a receipt.
    #[prost(uint64, repeated, tag = "19")]
    answers: Vec<u64>,
    #[prost(message, optional, tag = "20")]
    about: Option<AboutBytes>,
}

#[derive(Clone, PartialEq, Message)]
struct AboutBytes {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(bytes = "vec", tag = "2")]
    message_id: Vec<u8>,
}

fn about_bytes(it: &MessageRef) -> AboutBytes {
    AboutBytes { index: it.index.0, message_id: it.message_id.as_bytes().to_vec() }
}

fn about(it: &AboutBytes) -> Result<MessageRef, String> {
    let message_id = MessageId::from_slice(&it.message_id).ok_or("no id of what it is about")?;
    Ok(MessageRef { index: Index(it.index), message_id })
}

#[derive(Clone, PartialEq, Message)]
struct FollowUpBytes {
    #[prost(uint32, tag = "1")]
    obligation: u32,
    #[prost(uint32, tag = "2")]
    within_s: u32,
    #[prost(uint32, repeated, tag = "3")]
    offices: Vec<u32>,
}

fn follow_up_bytes(it: &FollowUp) -> FollowUpBytes {
    FollowUpBytes {
        obligation: it.obligation.0.into(),
        within_s: it.within.seconds(),
        offices: it.offices.iter().map(|office| office.0.into()).collect(),
    }
}

fn follow_up(it: FollowUpBytes) -> Result<FollowUp, String> {
    let obligation = u16::try_from(it.obligation).map_err(|error| error.to_string())?;
    Ok(FollowUp {
        obligation: ObligationNumber(obligation),
        within: Within::from_seconds(it.within_s)?,
        offices: it.offices.into_iter().map(office).collect::<Result<_, _>>()?,
    })
}

#[derive(Clone, PartialEq, Message)]
struct ReceiptBytes {
    #[prost(uint64, tag = "1")]
    recorded: u64,
    #[prost(uint32, tag = "2")]
    number: u32,
    #[prost(string, tag = "3")]
    office: String,
    #[prost(string, tag = "4")]
    desk: String,
    #[prost(int32, tag = "5")]
    stage: i32,
    /// The first, then the distance to each next one.
    #[prost(uint64, repeated, tag = "6")]
    messages: Vec<u64>,
    /// As `messages`.
    #[prost(uint64, repeated, tag = "7")]
    notices: Vec<u64>,
    #[prost(uint64, tag = "8")]
    at: u64,
    #[prost(int32, tag = "9")]
    action: i32,
    #[prost(string, tag = "10")]
    reason: String,
    #[prost(uint32, tag = "11")]
    news: u32,
}

pub(super) fn name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|error: NameError| error.to_string())
}

pub(super) fn deadlines(
    receive: Option<u32>,
    read: Option<u32>,
    act: Option<u32>,
) -> Result<Deadlines, String> {
    let within = |seconds: Option<u32>| seconds.map(Within::from_seconds).transpose();
    Ok(Deadlines { receive: within(receive)?, read: within(read)?, act: within(act)? })
}

pub(super) fn office(number: u32) -> Result<OfficeNumber, String> {
    u16::try_from(number).map(OfficeNumber).map_err(|error| error.to_string())
}

fn steps(indexes: &[Index]) -> Vec<u64> {
    let before = std::iter::once(0).chain(indexes.iter().map(|index| index.0));
    indexes.iter().zip(before).map(|(index, before)| index.0 - before).collect()
}

fn from_steps(steps: &[u64]) -> Result<Vec<Index>, String> {
    let mut last = 0_u64;
    let indexes = steps.iter().map(|step| {
        last = last.checked_add(*step).ok_or("an index that is too great")?;
        Ok(Index(last))
    });
    indexes.collect()
}
