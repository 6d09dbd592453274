//! The objects that programs read, one a line. Their names are documented in `docs/json.md` and never change meaning.
//!
//! Owns names and forms. Times are RFC 3339 in UTC with microseconds; ids and indexes are as everywhere else.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::exit::Failure;
use super::inbox::banner_of;
use super::screen::utc;
use crate::cap::Alert;
use crate::desk::content;
use crate::desk::inbox::{InboxEntry, Kept, KeptNotice, Told};
use crate::desk::opener::{Clear, Unreadable};
use crate::desk::outbox::{Outcome, Outgoing, StatementEntry};
use crate::desk::packet::{Manifest, PacketFile, Source};
use crate::desk::reseal::Request;
use crate::desk::reseal::answers::Resealed;
use crate::model::deadline::Within;
use crate::model::envelope::{About, Envelope, MessageClass, MessageId};
use crate::model::id::{Index, UnixMicros};
use crate::model::overdue::Missed;
use crate::model::person::Person;
use crate::model::refusal::Refusal;
use crate::wire::note::OfficerNote;
use crate::wire::reseal::ResealContent;

/// Why a command ended early.
pub(super) fn error(failure: &Failure) -> Value {
    json!({
        "object": "error",
        "exit_code": failure.exit as u8,
        "reason": failure.reason,
        "message": failure.message,
    })
}

/// A remark that stops nothing.
pub(super) fn warning(message: &str) -> Value {
    json!({ "object": "warning", "message": message })
}

/// A message that came.
pub(super) fn received(kept: &Kept, headline: Option<&str>) -> Value {
    let mut object = Map::new();
    object.insert("object".into(), "message".into());
    object.insert("index".into(), kept.entry.index.0.into());
    object.insert("accepted_at".into(), utc(kept.accepted));
    object.insert("kept_at".into(), utc(kept.kept));
    object.insert("expired".into(), kept.expired.into());
    object.insert("replayed".into(), kept.replayed.into());
    object.insert("erased".into(), kept.erased.is_some().into());
    object.insert("erased_reason".into(), kept.erased.clone().filter(|why| !why.is_empty()).into());
    object.insert("erased_unordered".into(), kept.unordered.into());
    object.insert("headline".into(), headline.into());
    extend_with_envelope(&mut object, &kept.envelope);
    object.into()
}

/// A message of this desk.
pub(super) fn sent(outgoing: &Outgoing, headline: Option<&str>) -> Value {
    let mut object = Map::new();
    object.insert("object".into(), "sent".into());
    extend_with_outcome(&mut object, outgoing.outcome.as_ref());
    object.insert("erased".into(), outgoing.erased.into());
    object.insert("headline".into(), headline.into());
    extend_with_envelope(&mut object, &outgoing.envelope);
    object.into()
}

/// What became of a message that was handed in; `None`: it waits.
pub(super) fn published(message_id: MessageId, outcome: Option<&Outcome>) -> Value {
    let mut object = Map::new();
    object.insert("object".into(), "published".into());
    object.insert("message_id".into(), message_id.to_string().into());
    extend_with_outcome(&mut object, outcome);
    object.into()
}

/// What became of a person's receipt; `None`: it waits.
pub(super) fn stated(entry: &StatementEntry, outcome: Option<&Outcome>) -> Value {
    let mut object = Map::new();
    object.insert("object".into(), "stated".into());
    object.insert("message_id".into(), entry.message_id.to_string().into());
    object.insert("sender_office".into(), entry.sender.to_string().into());
    object.insert("stage".into(), entry.stage.name().into());
    extend_with_outcome(&mut object, outcome);
    object.into()
}

/// An order to erase that the hub told of, and that does not hold.
pub(super) fn order_not_held(index: Index, refusal: &Refusal) -> Value {
    json!({
        "object": "order_not_held", "index": index.0,
        "refusal": { "reason": refusal.reason.name(), "message": refusal.message },
    })
}

/// What became of an order to erase; `None`: it waits.
pub(super) fn ordered(message_id: MessageId, outcome: Option<&Outcome>) -> Value {
    let mut object = Map::new();
    object.insert("object".into(), "ordered".into());
    object.insert("message_id".into(), message_id.to_string().into());
    extend_with_outcome(&mut object, outcome);
    object.into()
}

/// What another office stated about a message of this office, or missed.
pub(super) fn notice(notice: &KeptNotice, note: Option<&OfficerNote>) -> Value {
    let mut object = json!({
        "object": "notice",
        "index": notice.index.0,
        "recorded_at": utc(notice.recorded),
        "desk": null,
        "stage": null,
        "at": null,
        "reason": null,
        "officer": note.map(|note| note.officer.clone()),
        "message_ids": null,
        "missed_by": null,
        "due_at": null,
        "status": null,
        "obligation": null,
        "month": null,
        "erased_by": null,
    });
    match &notice.told {
        Ok(Told::Receipt(receipt)) => {
            object["desk"] = receipt.desk.to_string().into();
            object["stage"] = receipt.stage.name().into();
            object["at"] = utc(receipt.at);
            object["reason"] = note.map_or_else(|| receipt.reason.clone(), |note| note.text.clone()).into();
            let ids = receipt.messages.iter().map(|message| message.message_id.to_string());
            object["message_ids"] = ids.collect::<Vec<_>>().into();
        }
        Ok(Told::Overdue(overdue)) => {
            object["missed_by"] = overdue.office.to_string().into();
            object["due_at"] = utc(overdue.due);
            if let Missed::Stage { stage, status, .. } = &overdue.missed {
                object["stage"] = stage.name().into();
                object["status"] = status.name().into();
            }
            if let Missed::Stage { message, .. } | Missed::FollowUp { message, .. } = &overdue.missed {
                object["message_ids"] = vec![message.message_id.to_string()].into();
            }
            if let Missed::FollowUp { obligation, .. } | Missed::Month { obligation, .. } = &overdue.missed {
                object["obligation"] = obligation.to_string().into();
            }
            if let Missed::Month { month, .. } = &overdue.missed {
                object["month"] = month.to_string().into();
            }
        }
        Ok(Told::Erasure(order)) => {
            object["erased_by"] = order.by.to_string().into();
            object["at"] = utc(order.at);
            object["reason"] = order.reason.clone().into();
            object["message_ids"] = vec![order.message_id.to_string()].into();
        }
        Err(_) => {}
    }
    object
}

/// What was missed, in words.
pub(super) fn missed(missed: &Missed) -> String {
    match missed {
        Missed::Stage { message, stage, status } => {
            format!("{}{} not {stage}", banner_of(*status), message.message_id)
        }
        Missed::FollowUp { obligation, message } => {
            format!("{} not answered ({obligation})", message.message_id)
        }
        Missed::Month { obligation, month } => format!("{obligation} not met for {month}"),
    }
}

/// What is asked of this office of a message, and by when.
pub(super) fn asked(asked: &[Asked]) -> Value {
    let one = |it: &Asked| json!({ "stage": it.stage.name(), "due_at": utc(it.due), "done": it.done, "overdue": it.overdue });
    asked.iter().map(one).collect()
}

/// Something that cannot be read.
pub(super) fn unreadable(message_id: Option<MessageId>, index: Index, reason: &str) -> Value {
    json!({
        "object": "unreadable",
        "message_id": message_id.map(|id| id.to_string()),
        "index": index.0,
        "reason": reason,
    })
}

/// A time, where there is one.
pub(super) fn utc_or_null(time: Option<UnixMicros>) -> Value {
    time.map_or(Value::Null, utc)
}

fn extend_with_outcome(object: &mut Map<String, Value>, outcome: Option<&Outcome>) {
    let (word, index, at, repeated, reason, message) = match outcome {
        None => ("pending", None, None, None, None, None),
        Some(Outcome::Accepted { index, at, repeated, unsigned, .. }) => {
            if *unsigned {
                object.insert("unsigned".into(), true.into());
            }
            ("accepted", Some(index.0), Some(*at), Some(*repeated), None, None)
        }
        Some(Outcome::Refused { reason, message }) => {
            ("refused", None, None, None, Some(reason), Some(message))
        }
    };
    object.insert("outcome".into(), word.into());
    object.insert("index".into(), index.into());
    object.insert("accepted_at".into(), utc_or_null(at));
    object.insert("repeated".into(), repeated.into());
    object.insert("reason".into(), reason.cloned().into());
    object.insert("message".into(), message.cloned().into());
}

fn extend_with_envelope(object: &mut Map<String, Value>, envelope: &Envelope) {
    let names = |ids: &[MessageId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (name, value) in [
        ("message_id", Value::from(envelope.message_id.to_string())),
        ("class", envelope.class.name().into()),
        ("stream", envelope.stream.to_string().into()),
        ("sender", envelope.sender.to_string().into()),
        ("sender_office", envelope.sender.office.to_string().into()),
        ("recipients", envelope.offices().map(ToString::to_string).collect::<Vec<_>>().into()),
        ("directory_version", envelope.directory_version.0.into()),
        ("priority", envelope.priority.name().into()),
        ("status", envelope.status.name().into()),
        ("msg_type", envelope.msg_type.name().into()),
        ("thread_id", uuid::Uuid::from_bytes(envelope.thread_id).to_string().into()),
        ("references", names(&envelope.references).into()),
        ("sent_at", utc(envelope.sent)),
        ("expires_at", utc_or_null(envelope.expires)),
        ("payload_bytes", envelope.payload_bytes.into()),
        ("files_bytes", envelope.files.iter().map(|file| file.bytes).sum::<u64>().into()),
        ("receive_by_s", envelope.deadlines.receive.map(Within::seconds).into()),
        ("read_by_s", envelope.deadlines.read.map(Within::seconds).into()),
        ("act_by_s", envelope.deadlines.act.map(Within::seconds).into()),
        ("about", envelope.about.as_ref().map_or(Value::Null, about)),
    ] {
        object.insert(name.into(), value);
    }
}

fn about(about: &About) -> Value {
    json!({ "sender_office": about.office.to_string(), "message_id": about.message_id.to_string() })
}

/// Says in a line what a message is about: an alert in the reader's language where it has it, a packet by its title.
///
/// # Errors
/// What is wrong with the content, in words.
pub(super) fn headline(envelope: &Envelope, payload: &Bytes, languages: &[String]) -> Result<String, String> {
    match envelope.class {
        MessageClass::Packet => match Manifest::of(envelope, payload) {
            Ok(manifest) => Ok(format!("packet: {} (version {})", manifest.title, manifest.version)),
            Err(error) => Err(format!("(no packet: {error})")),
        },
        MessageClass::Reseal => resealing(envelope, payload),
        MessageClass::Alert | MessageClass::Statement => match content::read(payload) {
            Ok(read) => Ok(headline_of(&read.imported.alert, languages)),
            Err(error) => Err(format!("({error})")),
        },
    }
}

fn resealing(envelope: &Envelope, payload: &Bytes) -> Result<String, String> {
    let id = envelope.about.as_ref().map(|about| about.message_id.to_string()).unwrap_or_default();
    match ResealContent::read(payload) {
        Ok(ResealContent::Request { why }) => {
            let why = if why.is_empty() { why } else { format!(": {why}") };
            Ok(format!("asks to seal {id} again{why}"))
        }
        Ok(ResealContent::Answer(_)) => Ok(format!("seals {id} again")),
        Err(refusal) => Err(format!("(no resealing: {})", refusal.message)),
    }
}

/// Adds what a resealing says: why it asks, or on which request it answers.
pub(super) fn extend_with_resealing(object: &mut Value, payload: &Bytes) {
    let (why, request) = match ResealContent::read(payload) {
        Ok(ResealContent::Request { why }) => (Some(why), None),
        Ok(ResealContent::Answer(answer)) => (None, Some(answer.request.to_string())),
        Err(_) => (None, None),
    };
    (object["why"], object["request"]) = (why.into(), request.into());
}

/// A request to seal a message again.
pub(super) fn request(asked: &Request) -> Value {
    let mut object = received(&asked.kept, None);
    object["object"] = "reseal_request".into();
    object["why"] = asked.why.clone().into();
    object
}

/// How a message was sealed again.
pub(super) fn resealed(resealed: Option<&Resealed>) -> Value {
    let object = |it: &Resealed| {
        json!({
            "by": it.by.to_string(),
            "at": utc(it.at),
            "answer": it.answer.to_string(),
            "request": it.request.to_string(),
        })
    };
    resealed.map_or(Value::Null, object)
}

/// What is to be done about a message that the hub alone says to be erased.
pub(super) const UNORDERED: &str =
    "the hub says that this message is erased, and shows no order: ask its sender";

/// Says in a line what a message that came is about, or that it is erased.
///
/// # Errors
/// What is wrong with the payload, in words; why it is sealed or erased.
pub(super) fn headline_here(
    kept: &Kept,
    content: &Result<Clear, Unreadable>,
    languages: &[String],
) -> Result<String, String> {
    match kept.erased.as_deref() {
        None => match content {
            Ok(content) => headline(&kept.envelope, &content.0, languages),
            Err(Unreadable::Locked) => Err("(sealed)".into()),
            Err(why) => Err(format!("(cannot be read: {why})")),
        },
        Some(_) if kept.unordered => Err(format!("({UNORDERED})")),
        Some("") => Err("(erased)".into()),
        Some(why) => Err(format!("(erased: {why})")),
    }
}

/// The alarm about a message that the hub alone says to be erased.
pub(super) fn unordered(entry: &InboxEntry) -> String {
    format!("{} from {}: {UNORDERED}", entry.message_id, entry.sender)
}

/// Adds what a packet says.
pub(super) fn extend_with_manifest(object: &mut Value, manifest: &Manifest) {
    let source = |it: &Source| json!({ "grade": it.grade.to_string(), "text": it.text });
    let file = |it: &PacketFile| json!({ "name": it.name, "bytes": it.file.bytes, "sha256": it.file.digest.to_string() });
    object["title"] = manifest.title.clone().into();
    object["version"] = manifest.version.into();
    object["supersedes"] = manifest.supersedes.map(|id| id.to_string()).into();
    object["period_from"] = manifest.period.map(|(from, _)| from.to_string()).into();
    object["period_to"] = manifest.period.map(|(_, to)| to.to_string()).into();
    object["territory"] = manifest.territory.clone().into();
    object["line_of_action"] = manifest.line_of_action.to_string().into();
    object["method"] = manifest.method.clone().into();
    object["sources"] = manifest.sources.iter().map(source).collect();
    object["files"] = manifest.files.iter().map(file).collect();
}

/// Adds whom an alert is about.
pub(super) fn extend_with_persons(object: &mut Value, persons: &[Person]) {
    let person = |it: &Person| {
        json!({
            "kind": it.kind.name(),
            "name": it.name,
            "contact": it.contact,
            "place": it.place.name(),
            "measures": it.measures,
            "precautionary_measure": it.precautionary_measure,
            "name_to_government": it.name_to_government.name(),
            "name_in_public_report": it.name_in_public_report.name(),
        })
    };
    object["persons"] = persons.iter().map(person).collect();
}

/// The headline of an alert, in the reader's language where the alert has it.
pub(super) fn headline_of(alert: &Alert, languages: &[String]) -> String {
    let in_language = |range: &String| alert.infos.iter().find(|info| info.is_within(range));
    let info = languages.iter().find_map(in_language).or(alert.infos.first());
    let words =
        info.map(|info| info.headline.as_ref().filter(|line| !line.is_blank()).unwrap_or(&info.event));
    words
        .or(alert.note.as_ref())
        .map_or_else(String::new, |words| words.split_whitespace().collect::<Vec<_>>().join(" "))
}
