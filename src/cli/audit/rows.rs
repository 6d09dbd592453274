//! Rows of the audit: as objects for programs and as cells for people.
//!
//! Owns their forms. A number that this version does not know is shown as the number.

use std::fmt::Write as _;

use comfy_table::Cell;
use prost::Message as _;
use serde_json::{Map, Value, json};

use super::owed;
use crate::cli::context::Context;
use crate::cli::facts::fact_words;
use crate::cli::inbox::banner_of;
use crate::cli::objects::{self, utc_or_null};
use crate::cli::screen::{Tone, after, cell, harmless, hex, priority_tone, toned, utc};
use crate::model::amendment::DirectoryEntry;
use crate::model::clock::ClockRecord;
use crate::model::entry::EntryKind;
use crate::model::envelope::{CapMsgType, CapStatus, MessageClass, MessageId, Priority};
use crate::model::erasure::Erasure;
use crate::model::id::UnixMicros;
use crate::model::overdue::Overdue;
use crate::model::receipt::{Action, Stage};
use crate::model::renewal::Renewal;
use crate::wire::signed::{SignedEnvelope, SignedReceipt};
use crate::wire::{amendment, convert, erasure, proto};

pub(super) const DELIVERY_HEADER: &[&str] = &["For", "Received", "Read", "Acted", "Open"];
pub(super) const RECEIPT_HEADER: &[&str] =
    &["Index", "Recorded", "Desk", "Stage", "Messages", "News", "Action", "Reason"];
pub(super) const ERASURE_HEADER: &[&str] = &["Index", "Recorded", "Erased", "By", "Reason"];
pub(super) const ENTRY_HEADER: &[&str] = &["Index", "Recorded", "Kind", "Identity", "What"];

/// How many deliveries there are; exercises and tests apart.
#[derive(Default)]
pub(super) struct Counts {
    real: Count,
    drill: Count,
}

#[derive(Default)]
struct Count {
    missed: usize,
    deliveries: usize,
    received: usize,
    read: usize,
    acted: usize,
}

impl Counts {
    pub(super) fn add(&mut self, row: &proto::DeliveryRow) {
        let status = row.message.as_ref().map_or(0, |message| message.status);
        let real = status == CapStatus::Actual as i32;
        let count = if real { &mut self.real } else { &mut self.drill };
        let has = |stage: Stage| usize::from(row.stages.iter().any(|row| row.stage == stage as i32));
        count.deliveries += 1;
        count.received += has(Stage::Received);
        count.read += has(Stage::Read);
        count.acted += has(Stage::Acted);
    }

    pub(super) fn add_missed(&mut self, row: &proto::OverdueRow) {
        let count = if owed::is_real_row(row) { &mut self.real } else { &mut self.drill };
        count.missed += 1;
    }

    pub(super) fn missed_words(&self) -> String {
        let Self { real, drill } = self;
        format!("Actual: {} missed. Exercises, tests and drafts: {} missed.", real.missed, drill.missed)
    }

    pub(super) fn words(&self) -> String {
        let words = |what: &str, count: &Count| {
            let Count { deliveries, received, read, acted, .. } = count;
            format!("{what}: {deliveries} deliveries, {received} received, {read} read, {acted} acted.")
        };
        let mut all = words("Actual", &self.real);
        if self.drill.deliveries > 0 {
            let _ = write!(all, " {}", words("Exercises, tests and drafts", &self.drill));
        }
        all
    }
}

/// A number's name, or the number.
pub(super) fn named<T>(number: i32, from: fn(i32) -> Option<T>, name: fn(T) -> &'static str) -> String {
    from(number).map_or_else(|| number.to_string(), |value| name(value).to_owned())
}

/// An id as people and programs read it.
pub(super) fn id(bytes: &[u8]) -> String {
    uuid::Uuid::from_slice(bytes).map_or_else(|_| hex(bytes), |id| id.to_string())
}

pub(super) fn message_fields(object: &mut Map<String, Value>, row: &proto::MessageRow) {
    let office = row.sender.split(':').nth(3).unwrap_or_default();
    for (name, value) in [
        ("index", Value::from(row.index)),
        ("message_id", id(&row.message_id).into()),
        ("accepted_at", utc(UnixMicros(row.accepted_unix_us))),
        ("sender", row.sender.clone().into()),
        ("sender_office", office.into()),
        ("stream", row.stream.clone().into()),
        ("class", named(row.message_class, MessageClass::from_number, MessageClass::name).into()),
        ("priority", named(row.priority, Priority::from_number, Priority::name).into()),
        ("status", named(row.status, CapStatus::from_number, CapStatus::name).into()),
        ("msg_type", named(row.msg_type, CapMsgType::from_number, CapMsgType::name).into()),
        ("expires_at", utc_or_null(row.expires_unix_us.map(UnixMicros))),
        ("about", row.about.as_ref().map(about_object).into()),
    ] {
        object.insert(name.into(), value);
    }
}

fn about_object(about: &proto::MessageRef) -> Value {
    json!({ "index": about.index, "message_id": id(&about.message_id) })
}

pub(super) fn stage_object(row: &proto::StageRow) -> Value {
    let action = Action::from_number(row.action).map(Action::name);
    json!({
        "stage": named(row.stage, Stage::from_number, Stage::name),
        "receipt_index": row.receipt_index,
        "desk": row.desk,
        "recorded_at": utc(UnixMicros(row.recorded_unix_us)),
        "at": utc(UnixMicros(row.at_unix_us)),
        "action": action,
        "reason": row.reason,
    })
}

pub(super) fn delivery_object(kind: &str, row: &proto::DeliveryRow) -> Value {
    let mut object = Map::new();
    object.insert("object".into(), kind.into());
    object.insert("office".into(), row.office.clone().into());
    object.insert("office_removed".into(), row.office_removed.into());
    message_fields(&mut object, &row.message.clone().unwrap_or_default());
    object.insert("stages".into(), row.stages.iter().map(stage_object).collect());
    object.insert("due".into(), row.due.iter().map(due_object).collect());
    object.into()
}

fn due_object(row: &proto::DueRow) -> Value {
    json!({
        "stage": named(row.stage, Stage::from_number, Stage::name),
        "due_at": utc(UnixMicros(row.due_unix_us)),
        "reached_at": utc_or_null(row.reached_unix_us.map(UnixMicros)),
        "overdue": row.overdue,
    })
}

/// Whether a message is real.
pub(super) fn is_real(message: Option<&proto::MessageRow>) -> bool {
    message.is_some_and(|message| message.status == CapStatus::Actual as i32)
}

/// What is still asked of an office; what was done too late.
pub(super) fn asked(row: &proto::DeliveryRow, now: UnixMicros) -> (Tone, String) {
    let stage = |due: &proto::DueRow| named(due.stage, Stage::from_number, Stage::name);
    if row.office_removed {
        return (Tone::Faint, String::new());
    }
    let mut open = row.due.iter().filter(|due| due.reached_unix_us.is_none());
    let late = row.due.iter().filter(|due| due.reached_unix_us.is_some_and(|at| at > due.due_unix_us));
    if let Some(due) = open.clone().find(|due| due.overdue) {
        return (
            Tone::Bad,
            format!("OVERDUE {} since {}", stage(due), after(UnixMicros(due.due_unix_us), now)),
        );
    }
    if let Some(due) = open.next() {
        return (Tone::Warning, format!("{} in {}", stage(due), after(now, UnixMicros(due.due_unix_us))));
    }
    let late: Vec<_> = late.map(|due| format!("{} late", stage(due))).collect();
    (Tone::Warning, late.join(", "))
}

/// What stands above all that is told of one message. Its id is whole: an auditor has no other place to take it from.
pub(super) fn message_head(context: &Context, row: &proto::MessageRow) -> String {
    let status = CapStatus::from_number(row.status).map(banner_of).unwrap_or_default();
    let priority = Priority::from_number(row.priority);
    let priority = toned(
        priority.map_or(Tone::Plain, priority_tone),
        &named(row.priority, Priority::from_number, Priority::name),
    );
    let about = row.about.as_ref();
    let what = match about {
        Some(_) => MessageClass::Reseal.name().to_owned(),
        None => named(row.msg_type, CapMsgType::from_number, CapMsgType::name),
    };
    let about = about.map(|it| format!("\nabout {}, entry {}", id(&it.message_id), it.index));
    format!(
        "{status}{priority} {what} {}\nentry {}, accepted {}\nfrom {}, on {}{}",
        id(&row.message_id),
        row.index,
        context.screen.time(UnixMicros(row.accepted_unix_us)),
        harmless(&row.sender),
        harmless(&row.stream),
        about.unwrap_or_default(),
    )
}

pub(super) fn delivery_cells(row: &proto::DeliveryRow, now: UnixMicros) -> Vec<Cell> {
    let (tone, asked) = asked(row, now);
    let refused = refused_there(row);
    let open: Vec<_> = [asked, refused.clone()].into_iter().filter(|words| !words.is_empty()).collect();
    let tone = if refused.is_empty() { tone } else { Tone::Bad };
    let accepted = UnixMicros(row.message.as_ref().map_or(0, |message| message.accepted_unix_us));
    let stage = |stage: Stage| {
        let found = row.stages.iter().find(|row| row.stage == stage as i32);
        found.map_or_else(
            || cell(Tone::Faint, "-"),
            |row| cell(Tone::Good, &format!("+{}", after(accepted, UnixMicros(row.recorded_unix_us)))),
        )
    };
    vec![
        if row.office_removed {
            cell(Tone::Faint, &format!("{} (removed)", row.office))
        } else {
            cell(Tone::Plain, &row.office)
        },
        stage(Stage::Received),
        stage(Stage::Read),
        stage(Stage::Acted),
        cell(tone, &open.join("; ")),
    ]
}

fn refused_there(row: &proto::DeliveryRow) -> String {
    let refused = [Stage::Declined, Stage::Unreadable];
    let stages = row.stages.iter().filter(|row| refused.iter().any(|stage| row.stage == *stage as i32));
    let words =
        stages.map(|row| format!("{}: {}", named(row.stage, Stage::from_number, Stage::name), row.reason));
    words.collect::<Vec<_>>().join("; ")
}

pub(super) fn receipt_object(row: &proto::ReceiptRow) -> Value {
    let mut object = stage_object(&row.stage.clone().unwrap_or_default());
    object["object"] = "receipt".into();
    object["news"] = row.news.into();
    let message = |it: &proto::MessageRef| json!({ "index": it.index, "message_id": id(&it.message_id) });
    object["messages"] = row.messages.iter().map(message).collect();
    object
}

pub(super) fn receipt_cells(context: &Context, row: &proto::ReceiptRow) -> Vec<Cell> {
    let stage = row.stage.clone().unwrap_or_default();
    let indexes: Vec<_> = row.messages.iter().take(8).map(|message| message.index.to_string()).collect();
    let more = row.messages.len().saturating_sub(8);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let bad = [Stage::Declined, Stage::Unreadable].iter().any(|bad| stage.stage == *bad as i32);
    vec![
        cell(Tone::Plain, &stage.receipt_index.to_string()),
        cell(Tone::Plain, &context.screen.time(UnixMicros(stage.recorded_unix_us))),
        cell(Tone::Plain, stage.desk.strip_prefix("urn:resguardo:office:").unwrap_or(&stage.desk)),
        cell(if bad { Tone::Bad } else { Tone::Good }, &named(stage.stage, Stage::from_number, Stage::name)),
        cell(Tone::Plain, &format!("{}{more}", indexes.join(", "))),
        cell(Tone::Plain, &row.news.to_string()),
        cell(Tone::Plain, Action::from_number(stage.action).map(Action::name).unwrap_or_default()),
        cell(Tone::Plain, &stage.reason),
    ]
}

pub(super) fn entry_object(row: &proto::EntryRow) -> Value {
    json!({
        "object": "entry",
        "index": row.index,
        "recorded_at": utc(UnixMicros(row.recorded_unix_us)),
        "kind": kind(row.kind),
        "identity": row.identity,
        "what": what(row),
        "statement_hex": hex(&row.statement),
    })
}

pub(super) fn entry_cells(context: &Context, row: &proto::EntryRow) -> Vec<Cell> {
    let identity = row.identity.strip_prefix("urn:resguardo:").unwrap_or(&row.identity);
    vec![
        cell(Tone::Plain, &row.index.to_string()),
        cell(Tone::Plain, &context.screen.time(UnixMicros(row.recorded_unix_us))),
        cell(Tone::Plain, kind(row.kind)),
        cell(Tone::Plain, identity),
        cell(Tone::Plain, &what(row)),
    ]
}

/// One erasure.
pub(super) fn erasure_object(row: &proto::ErasureRow) -> Value {
    let until = (row.message.is_none()).then_some(row.until_index);
    let mut object = Map::new();
    object.insert("object".into(), "erasure".into());
    object.insert("index".into(), row.index.into());
    object.insert("recorded_at".into(), utc(UnixMicros(row.recorded_unix_us)));
    let ordered_by = (!row.ordered_by.is_empty()).then(|| row.ordered_by.clone());
    object.insert("ordered_by".into(), ordered_by.into());
    object.insert("reason".into(), row.reason.clone().into());
    object.insert("until_index".into(), until.into());
    let message = row.message.as_ref().map(|message| {
        let mut object = Map::new();
        message_fields(&mut object, message);
        Value::from(object)
    });
    object.insert("message".into(), message.into());
    object.into()
}

pub(super) fn erasure_cells(context: &Context, row: &proto::ErasureRow) -> Vec<Cell> {
    let what = match &row.message {
        Some(message) => {
            MessageId::from_slice(&message.message_id).map(|id| id.to_string()).unwrap_or_default()
        }
        None => format!("payloads up to entry {}", row.until_index),
    };
    let by = match row.ordered_by.as_str() {
        "" => "the hub, by policy",
        by => by.strip_prefix("urn:resguardo:office:").unwrap_or(by),
    };
    vec![
        cell(Tone::Plain, &row.index.to_string()),
        cell(Tone::Plain, &context.screen.time(UnixMicros(row.recorded_unix_us))),
        cell(Tone::Plain, &what),
        cell(Tone::Plain, by),
        cell(Tone::Plain, &row.reason),
    ]
}

fn entry_kind(number: i32) -> Option<EntryKind> {
    u8::try_from(number).ok().and_then(EntryKind::from_number)
}

fn kind(number: i32) -> &'static str {
    match entry_kind(number) {
        Some(EntryKind::Directory) => "directory",
        Some(EntryKind::Publish) => "publish",
        Some(EntryKind::Receipt) => "receipt",
        Some(EntryKind::Refusal) => "refusal",
        Some(EntryKind::Summary) => "summary",
        Some(EntryKind::Renewal) => "renewal",
        Some(EntryKind::Epoch) => "epoch",
        Some(EntryKind::Overdue) => "overdue",
        Some(EntryKind::Clock) => "clock",
        Some(EntryKind::Erasure) => "erasure",
        None => "unknown",
    }
}

/// Facts of an amendment that are told in a line.
const FACTS_SHOWN: usize = 8;

/// Says in a line what an entry records.
fn what(row: &proto::EntryRow) -> String {
    let unreadable = |error: &dyn std::fmt::Display| format!("cannot be read: {error}");
    match entry_kind(row.kind) {
        Some(EntryKind::Directory) => match amendment::read(&row.statement) {
            Ok(it) => {
                let facts = it.entry.facts();
                let mut words: Vec<_> = facts.iter().take(FACTS_SHOWN).map(fact_words).collect();
                if facts.len() > FACTS_SHOWN {
                    words.push(format!("and {} more", facts.len() - FACTS_SHOWN));
                }
                match &it.entry {
                    DirectoryEntry::Amendment(amendment) => {
                        format!("amendment {} of the directory: {}", amendment.number, words.join("; "))
                    }
                    DirectoryEntry::Rotation(_) => format!("new keys: {}", words.join("; ")),
                }
            }
            Err(refusal) => unreadable(&refusal.message),
        },
        Some(EntryKind::Publish) => match SignedEnvelope::read(&row.statement).map(|it| it.envelope) {
            Ok(it) => {
                let names: Vec<_> = it.offices().map(ToString::to_string).collect();
                let (id, status) = (it.message_id, it.status.name());
                let what = match &it.about {
                    Some(about) => format!("{} of {}:", it.class, about.message_id),
                    None => it.msg_type.to_string(),
                };
                let names = names.join(", ");
                format!("{status} {} {what} {id} on {} for {names}", it.priority, it.stream)
            }
            Err(refusal) => unreadable(&refusal.message),
        },
        Some(EntryKind::Receipt) => match SignedReceipt::read(&row.statement).map(|it| it.receipt) {
            Ok(it) => {
                let mut named: Vec<_> = it.messages.iter().map(|message| message.index.to_string()).collect();
                if !it.notices.is_empty() {
                    named.push(format!("{} notices", it.notices.len()));
                }
                let action = it.action.map(|action| format!(" {action}")).unwrap_or_default();
                let reason = if it.reason.is_empty() { String::new() } else { format!(": {}", it.reason) };
                format!("{}{action} of {}{reason}", it.stage, named.join(", "))
            }
            Err(refusal) => unreadable(&refusal.message),
        },
        Some(EntryKind::Refusal) => match proto::RefusalRecord::decode(row.statement.clone()) {
            Ok(it) => format!("{}: {} [{}]", it.call, it.message, it.reason),
            Err(error) => unreadable(&error),
        },
        Some(EntryKind::Renewal) => match convert::renewal(&row.statement) {
            Ok(Renewal::Asked { .. }) => "asked for its next certificate".into(),
            Ok(Renewal::Answered { identity, .. }) => format!("the authority's answer to {identity}"),
            Err(refusal) => unreadable(&refusal.message),
        },
        Some(EntryKind::Summary) => match proto::RefusalSummary::decode(row.statement.clone()) {
            Ok(it) => {
                let counts = it.counts.iter().map(|count| format!("{} {}", count.count, count.reason));
                counts.collect::<Vec<_>>().join(", ")
            }
            Err(error) => unreadable(&error),
        },
        Some(EntryKind::Epoch) => convert::epoch(&row.statement).map_or_else(
            |refusal| unreadable(&refusal.message),
            |it| {
                format!(
                    "epoch {}: the hub was restored from a backup of {}; what it accepted after that may be missing",
                    it.number,
                    crate::wire::tls::time(it.backup)
                )
            },
        ),
        Some(EntryKind::Overdue) => match convert::overdue(&row.statement) {
            Ok(Overdue { office, missed, .. }) => format!("{} by {office}", objects::missed(&missed)),
            Err(refusal) => unreadable(&refusal.message),
        },
        Some(EntryKind::Erasure) => match erasure::read(&row.statement) {
            Ok(Erasure::Order { order: it, .. }) => {
                format!("{} is to be erased: {}", it.message_id, it.reason)
            }
            Ok(Erasure::Retention { until }) => format!("payloads up to entry {until} were kept long enough"),
            Err(refusal) => unreadable(&refusal.message),
        },
        Some(EntryKind::Clock) => match convert::clock_record(&row.statement) {
            Ok(ClockRecord::Suspended { expected, found }) => {
                format!(
                    "the clock jumped: {} s expected, {} s found",
                    expected.0 / 1_000_000,
                    found.0 / 1_000_000
                )
            }
            Ok(ClockRecord::Confirmed) => "the clock is confirmed".into(),
            Err(refusal) => unreadable(&refusal.message),
        },
        None => format!("of a kind that only a newer program knows: {}", row.kind),
    }
}
