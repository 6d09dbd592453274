//! Between exact bytes and the model: decoding with every field checked, encoding once.
//!
//! Decoding is a pure function of the bytes: a replay of the journal decodes what the door decoded.
//! Contains no rules but the form of a field.

use std::str::FromStr;

use bytes::Bytes;
use prost::Message as _;

use super::renewal::{BUNDLE_BYTES_MAX, digest_of};
use super::{obligation, proto};
use crate::model::clock::ClockRecord;
use crate::model::deadline::{Deadlines, Within};
use crate::model::envelope::{
    About, CapMsgType, CapStatus, ENVELOPE_BYTES_MAX, Envelope, FileDigest, FileRef, MessageClass, MessageId,
    Priority, Recipient, Voided,
};
use crate::model::epoch::{Begun, Epoch, EpochId};
use crate::model::id::{DirectoryVersion, Index, UnixMicros};
use crate::model::identity::{Desk, Identity, Name};
use crate::model::overdue::{Missed, Overdue};
use crate::model::receipt::{
    Action, Covered, MessageRef, REASON_BYTES_MAX, RECEIPT_BYTES_MAX, Receipt, SeenLog, Stage,
};
use crate::model::refusal::{Reason, Refusal};
use crate::model::renewal::Renewal;

/// Bytes of a renewal's statement at most: an answer with its bundle.
const RENEWAL_BYTES_MAX: usize = 20 * 1024;

/// Decodes an envelope.
///
/// # Errors
/// [`Reason::TooLarge`], [`Reason::Malformed`], [`Reason::FieldInvalid`] with the field.
pub fn envelope(bytes: &Bytes) -> Result<Envelope, Refusal> {
    let wire: proto::Envelope = decode("envelope", bytes, ENVELOPE_BYTES_MAX)?;
    let envelope = Envelope {
        message_id: message_id("message_id", &wire.message_id)?,
        class: number("message_class", wire.message_class, MessageClass::from_number)?,
        stream: name("stream", &wire.stream)?,
        sender: desk("sender", &wire.sender)?,
        recipients: wire.recipients.iter().map(recipient).collect::<Result<_, _>>()?,
        directory_version: DirectoryVersion(wire.directory_version),
        priority: number("priority", wire.priority, Priority::from_number)?,
        status: number("status", wire.status, CapStatus::from_number)?,
        msg_type: number("msg_type", wire.msg_type, CapMsgType::from_number)?,
        thread_id: array("thread_id", &wire.thread_id)?,
        references: wire
            .references
            .iter()
            .map(|id| message_id("references", id))
            .collect::<Result<_, _>>()?,
        sent: UnixMicros(wire.sent_unix_us),
        expires: wire.expires_unix_us.map(UnixMicros),
        payload_bytes: wire.payload_bytes,
        payload_digest: array("payload_digest", &wire.payload_digest)?,
        deadlines: deadlines(wire.receive_by_s, wire.read_by_s, wire.act_by_s)?,
        files: wire.files.iter().map(|file| file_ref("files", file)).collect::<Result<_, _>>()?,
        voided: wire.voided.iter().map(voided).collect::<Result<_, _>>()?,
        about: wire.about.as_ref().map(about).transpose()?,
    };
    envelope.check()?;
    Ok(envelope)
}

/// Encodes an envelope: the exact bytes that travel and are kept.
pub fn envelope_bytes(envelope: &Envelope) -> Bytes {
    let wire = proto::Envelope {
        message_id: id_bytes(envelope.message_id),
        message_class: envelope.class as i32,
        stream: envelope.stream.to_string(),
        sender: envelope.sender.to_string(),
        recipients: envelope.recipients.iter().map(wire_recipient).collect(),
        directory_version: envelope.directory_version.0,
        priority: envelope.priority as i32,
        status: envelope.status as i32,
        msg_type: envelope.msg_type as i32,
        thread_id: Bytes::copy_from_slice(&envelope.thread_id),
        references: envelope.references.iter().copied().map(id_bytes).collect(),
        sent_unix_us: envelope.sent.0,
        expires_unix_us: envelope.expires.map(|at| at.0),
        payload_bytes: envelope.payload_bytes,
        payload_digest: Bytes::copy_from_slice(&envelope.payload_digest),
        receive_by_s: envelope.deadlines.receive.map(Within::seconds),
        read_by_s: envelope.deadlines.read.map(Within::seconds),
        act_by_s: envelope.deadlines.act.map(Within::seconds),
        files: envelope.files.iter().map(wire_file_ref).collect(),
        voided: envelope.voided.iter().map(wire_voided).collect(),
        about: envelope.about.as_ref().map(wire_about),
    };
    wire.encode_to_vec().into()
}

fn recipient(wire: &proto::Recipient) -> Result<Recipient, Refusal> {
    Ok(Recipient {
        office: name("recipients", &wire.office)?,
        key: array("recipients.key_id", &wire.key_id)?,
        number: wire.number,
    })
}

fn wire_recipient(recipient: &Recipient) -> proto::Recipient {
    proto::Recipient {
        office: recipient.office.to_string(),
        key_id: Bytes::copy_from_slice(&recipient.key),
        number: recipient.number,
    }
}

fn voided(wire: &proto::VoidedNumber) -> Result<Voided, Refusal> {
    Ok(Voided { office: name("voided", &wire.office)?, number: wire.number })
}

fn wire_voided(voided: &Voided) -> proto::VoidedNumber {
    proto::VoidedNumber { office: voided.office.to_string(), number: voided.number }
}

fn about(wire: &proto::AboutMessage) -> Result<About, Refusal> {
    Ok(About {
        office: name("about.office", &wire.office)?,
        message_id: message_id("about.message_id", &wire.message_id)?,
        digest: array("about.envelope_digest", &wire.envelope_digest)?,
    })
}

fn wire_about(about: &About) -> proto::AboutMessage {
    proto::AboutMessage {
        office: about.office.to_string(),
        message_id: id_bytes(about.message_id),
        envelope_digest: Bytes::copy_from_slice(&about.digest),
    }
}

/// Reads a file's name from the wire.
///
/// # Errors
/// [`Reason::FieldInvalid`] for a digest that has not 32 bytes.
pub fn file_ref(field: &'static str, wire: &proto::FileRef) -> Result<FileRef, Refusal> {
    Ok(FileRef { digest: FileDigest(array(field, &wire.sha256)?), bytes: wire.bytes })
}

/// Puts a file's name on the wire.
pub fn wire_file_ref(file: &FileRef) -> proto::FileRef {
    proto::FileRef { sha256: Bytes::copy_from_slice(&file.digest.0), bytes: file.bytes }
}

/// Decodes a receipt about messages, and gives what it states of each.
///
/// # Errors
/// [`Reason::Malformed`], [`Reason::FieldInvalid`] with the field.
pub(super) fn receipt(bytes: &Bytes, messages: Vec<Covered>) -> Result<(Receipt, Vec<Bytes>), Refusal> {
    let wire: proto::Receipt = decode("receipt", bytes, RECEIPT_BYTES_MAX)?;
    let action = match wire.action {
        0 => None,
        action => Some(number("action", action, Action::from_number)?),
    };
    let receipt = Receipt {
        desk: desk("desk", &wire.desk)?,
        stage: number("stage", wire.stage, Stage::from_number)?,
        messages,
        notices: wire.notices.into_iter().map(Index).collect(),
        at: UnixMicros(wire.at_unix_us),
        action,
        reason: wire.reason,
        note_digest: match wire.note_digest.len() {
            0 => None,
            _ => Some(array("note_digest", &wire.note_digest)?),
        },
        opened: wire.opened,
        seen: wire.seen.as_ref().map(seen_log).transpose()?,
    };
    receipt.check()?;
    Ok((receipt, wire.covers))
}

/// Encodes a receipt with what it states of each message: the exact bytes that are signed.
pub(super) fn receipt_bytes(receipt: &Receipt, covers: Vec<Bytes>) -> Bytes {
    let wire = proto::Receipt {
        desk: receipt.desk.to_string(),
        stage: receipt.stage as i32,
        covers,
        notices: receipt.notices.iter().map(|index| index.0).collect(),
        at_unix_us: receipt.at.0,
        action: receipt.action.map_or(0, |action| action as i32),
        reason: receipt.reason.clone(),
        note_digest: receipt.note_digest.map(|it| Bytes::copy_from_slice(&it)).unwrap_or_default(),
        opened: receipt.opened,
        seen: receipt.seen.map(|seen| proto::SeenLog {
            size: seen.size,
            root: Bytes::copy_from_slice(&seen.root),
            restores: seen.restores,
            disputed: seen.disputed,
        }),
    };
    wire.encode_to_vec().into()
}

fn seen_log(wire: &proto::SeenLog) -> Result<SeenLog, Refusal> {
    let root = array("seen.root", &wire.root)?;
    Ok(SeenLog { size: wire.size, root, restores: wire.restores, disputed: wire.disputed })
}

/// Puts a message's name on the wire.
pub fn message_ref(message: &MessageRef) -> proto::MessageRef {
    proto::MessageRef { index: message.index.0, message_id: id_bytes(message.message_id) }
}

fn named(field: &'static str, message: &proto::MessageRef) -> Result<MessageRef, Refusal> {
    Ok(MessageRef { index: Index(message.index), message_id: message_id(field, &message.message_id)? })
}

/// Decodes what an office missed.
///
/// # Errors
/// [`Reason::Malformed`], [`Reason::FieldInvalid`] with the field.
pub fn overdue(bytes: &Bytes) -> Result<Overdue, Refusal> {
    use proto::overdue::Missed as Wire;
    let wire: proto::Overdue = decode("overdue", bytes, usize::MAX)?;
    let missed = match wire.missed {
        Some(Wire::Stage(it)) => Missed::Stage {
            message: named("stage.message", &it.message.unwrap_or_default())?,
            stage: number("stage.stage", it.stage, Stage::from_number)?,
            status: number("stage.status", it.status, CapStatus::from_number)?,
        },
        Some(Wire::FollowUp(it)) => Missed::FollowUp {
            obligation: name("follow_up.obligation", &it.obligation)?,
            message: named("follow_up.message", &it.message.unwrap_or_default())?,
        },
        Some(Wire::Month(it)) => Missed::Month {
            obligation: name("month.obligation", &it.obligation)?,
            month: obligation::month(it.year, it.month)?,
        },
        None => return Err(Refusal::field("missed", "something is missed; nothing that is known came")),
    };
    Ok(Overdue { office: name("office", &wire.office)?, due: UnixMicros(wire.due_unix_us), missed })
}

/// Encodes what an office missed: the exact bytes that travel and are kept.
pub fn overdue_bytes(overdue: &Overdue) -> Bytes {
    use proto::overdue::Missed as Wire;
    let missed = match &overdue.missed {
        Missed::Stage { message, stage, status } => Wire::Stage(proto::MissedStage {
            message: Some(message_ref(message)),
            stage: *stage as i32,
            status: *status as i32,
        }),
        Missed::FollowUp { obligation, message } => Wire::FollowUp(proto::MissedFollowUp {
            obligation: obligation.to_string(),
            message: Some(message_ref(message)),
        }),
        Missed::Month { obligation, month } => {
            let (year, month) = month.parts();
            Wire::Month(proto::MissedMonth { obligation: obligation.to_string(), year, month })
        }
    };
    let (office, due_unix_us) = (overdue.office.to_string(), overdue.due.0);
    proto::Overdue { office, due_unix_us, missed: Some(missed) }.encode_to_vec().into()
}

/// Decodes a record of the hub's clock.
///
/// # Errors
/// [`Reason::Malformed`], [`Reason::FieldInvalid`] with the field.
pub fn clock_record(bytes: &Bytes) -> Result<ClockRecord, Refusal> {
    use proto::clock_record::Record as Wire;
    match decode::<proto::ClockRecord>("clock record", bytes, usize::MAX)?.record {
        Some(Wire::Suspended(it)) => Ok(ClockRecord::Suspended {
            expected: UnixMicros(it.expected_unix_us),
            found: UnixMicros(it.found_unix_us),
        }),
        Some(Wire::Confirmed(proto::ClockConfirmed {})) => Ok(ClockRecord::Confirmed),
        None => {
            Err(Refusal::field("record", "a clock is suspended or confirmed; nothing that is known came"))
        }
    }
}

/// Encodes a record of the hub's clock.
pub fn clock_bytes(record: &ClockRecord) -> Bytes {
    use proto::clock_record::Record as Wire;
    let record = match record {
        ClockRecord::Suspended { expected, found } => {
            Wire::Suspended(proto::ClockSuspended { expected_unix_us: expected.0, found_unix_us: found.0 })
        }
        ClockRecord::Confirmed => Wire::Confirmed(proto::ClockConfirmed {}),
    };
    proto::ClockRecord { record: Some(record) }.encode_to_vec().into()
}

/// Decodes what an entry says of a renewal. What a request holds is not looked at: who signs does.
///
/// # Errors
/// [`Reason::TooLarge`], [`Reason::Malformed`], [`Reason::FieldInvalid`] with the field.
pub fn renewal(bytes: &Bytes) -> Result<Renewal, Refusal> {
    use proto::renewal_record::Record;
    let wire: proto::RenewalRecord = decode("renewal", bytes, RENEWAL_BYTES_MAX)?;
    match wire.record {
        Some(Record::Request(request)) => Ok(Renewal::Asked { digest: digest_of(&request) }),
        Some(Record::Answer(answer)) => renewal_answer(&answer),
        None => Err(Refusal::field("record", "a renewal is a request or an answer; this says neither")),
    }
}

/// Reads an answer to a request for a next certificate.
///
/// # Errors
/// [`Reason::FieldInvalid`] with the field.
pub fn renewal_answer(answer: &proto::RenewalAnswer) -> Result<Renewal, Refusal> {
    let identity = Identity::from_str(&answer.identity)
        .map_err(|error| Refusal::field("answers.identity", format!("answers.identity: {error}")))?;
    let digest = array("answers.request_digest", &answer.request_digest)?;
    let (bundle, refusal) = (answer.bundle.len(), answer.refusal.len());
    if (bundle == 0) == (refusal == 0) || bundle > BUNDLE_BYTES_MAX || refusal > REASON_BYTES_MAX {
        let message = format!(
            "an answer is a bundle of {BUNDLE_BYTES_MAX} bytes at most, or a refusal of {REASON_BYTES_MAX}; \
             {bundle} and {refusal} came"
        );
        return Err(Refusal::field("answers", message));
    }
    Ok(Renewal::Answered { identity, digest })
}

pub(super) fn reason(text: String) -> Result<String, Refusal> {
    if text.is_empty() || text.len() > REASON_BYTES_MAX {
        let message = format!("reason: 1 to {REASON_BYTES_MAX} bytes say why; {} came", text.len());
        return Err(Refusal::field("reason", message));
    }
    Ok(text)
}

/// Decodes what an entry says that begins an epoch.
///
/// # Errors
/// [`Reason::Malformed`]
pub fn epoch(bytes: &Bytes) -> Result<Epoch, Refusal> {
    let wire: proto::EpochRecord = decode("epoch", bytes, usize::MAX)?;
    Ok(Epoch { id: EpochId(wire.id), number: wire.number, backup: UnixMicros(wire.backup_unix_us) })
}

/// Encodes what an entry says that begins an epoch at an index.
pub fn epoch_bytes(begun: &Begun) -> Bytes {
    let Begun { epoch: Epoch { id, number, backup }, first } = begun;
    let last_kept_index = first.0.saturating_sub(1);
    let wire = proto::EpochRecord { id: id.0, number: *number, last_kept_index, backup_unix_us: backup.0 };
    wire.encode_to_vec().into()
}

/// Puts an epoch of the log on the wire.
pub fn wire_epoch(begun: &Begun) -> proto::Epoch {
    let Begun { epoch: Epoch { id, number, backup }, first } = begun;
    proto::Epoch { id: id.0, first_index: first.0, number: *number, backup_unix_us: backup.0 }
}

/// Reads an epoch of the log from the wire.
pub fn begun(wire: &proto::Epoch) -> Begun {
    let (id, backup) = (EpochId(wire.id), UnixMicros(wire.backup_unix_us));
    Begun { epoch: Epoch { id, number: wire.number, backup }, first: Index(wire.first_index) }
}

/// Reads a message id from the wire.
///
/// # Errors
/// [`Reason::FieldInvalid`] for bytes that are not a UUID of version 7.
pub fn message_id(field: &'static str, bytes: &[u8]) -> Result<MessageId, Refusal> {
    MessageId::from_slice(bytes).ok_or_else(|| {
        Refusal::field(field, format!("{field} is a UUID of version 7, 16 bytes; {} came", shown(bytes)))
    })
}

/// Reads a name from the wire.
///
/// # Errors
/// [`Reason::FieldInvalid`] for text that is not a name.
pub fn name(field: &'static str, text: &str) -> Result<Name, Refusal> {
    Name::from_str(text).map_err(|error| Refusal::field(field, format!("{field}: {error}")))
}

pub(super) fn decode<M: prost::Message + Default>(
    what: &str,
    bytes: &Bytes,
    bytes_max: usize,
) -> Result<M, Refusal> {
    if bytes.len() > bytes_max {
        let message = format!("the {what} has {} bytes; at most {bytes_max} are taken", bytes.len());
        return Err(Refusal::new(Reason::TooLarge, message));
    }
    M::decode(bytes.clone()).map_err(|error| {
        Refusal::new(Reason::Malformed, format!("the bytes are not those of a {what}: {error}"))
    })
}

pub(super) fn deadlines(
    receive: Option<u32>,
    read: Option<u32>,
    act: Option<u32>,
) -> Result<Deadlines, Refusal> {
    let within = |field: &'static str, seconds: Option<u32>| {
        let within = seconds.map(Within::from_seconds).transpose();
        within.map_err(|found| Refusal::field(field, format!("{field}: {found}")))
    };
    Ok(Deadlines {
        receive: within("receive_by_s", receive)?,
        read: within("read_by_s", read)?,
        act: within("act_by_s", act)?,
    })
}

pub(super) fn desk(field: &'static str, uri: &str) -> Result<Desk, Refusal> {
    if let Ok(Identity::Desk(desk)) = Identity::from_str(uri) {
        return Ok(desk);
    }
    // The longest identity, and so the start of what is none.
    let came: String = uri.chars().take(255).collect();
    let message = format!("{field} is a desk, urn:resguardo:office:<office>:<desk>; {came:?} came");
    Err(Refusal::field(field, message))
}

pub(super) fn number<T>(field: &'static str, found: i32, from: fn(i32) -> Option<T>) -> Result<T, Refusal> {
    from(found).ok_or_else(|| {
        Refusal::field(field, format!("{field} {found} is not one that this hub knows, or is not set"))
    })
}

pub(super) fn array<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], Refusal> {
    bytes
        .try_into()
        .map_err(|_| Refusal::field(field, format!("{field} has {N} bytes; {} came", bytes.len())))
}

pub(super) fn id_bytes(id: MessageId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

fn shown(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{} bytes", bytes.len());
    for byte in bytes.iter().take(20) {
        let _ = write!(text, " {byte:02x}");
    }
    text
}
