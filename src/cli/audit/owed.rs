//! Rows of what was missed and of what offices owe: as objects for programs and as cells for people.
//!
//! Owns their forms. Each row has the same names, so that they also make a table of values.

use comfy_table::Cell;
use serde_json::{Map, Value};

use super::rows::{id, is_real, message_fields, named};
use crate::cli::context::Context;
use crate::cli::screen::{Tone, after, cell, utc};
use crate::model::envelope::{CapStatus, Priority};
use crate::model::id::UnixMicros;
use crate::model::receipt::Stage;
use crate::wire::proto;

pub(super) const OVERDUE_HEADER: &[&str] =
    &["Entry", "Office", "Missed", "Due", "State", "Status", "Priority", "From", "Message"];
pub(super) const OBLIGATION_HEADER: &[&str] = &["Obligation", "Office", "For", "Due", "State", "Last"];

pub(super) fn overdue_object(row: &proto::OverdueRow) -> Value {
    let mut object = Map::new();
    for (name, value) in [
        ("object", Value::from("overdue")),
        ("overdue_index", row.index.into()),
        ("recorded_at", utc(UnixMicros(row.recorded_unix_us))),
        ("office", row.office.clone().into()),
        ("office_removed", row.office_removed.into()),
        ("stage", Stage::from_number(row.stage).map(Stage::name).into()),
        ("obligation", none_if_empty(&row.obligation)),
        ("month", none_if_empty(&row.month)),
        ("due_at", utc(UnixMicros(row.due_unix_us))),
        ("open", row.open.into()),
        ("real", is_real_row(row).into()),
    ] {
        object.insert(name.into(), value);
    }
    maybe_message(&mut object, row.message.as_ref());
    object.into()
}

/// What is owed for a month is real.
pub(super) fn is_real_row(row: &proto::OverdueRow) -> bool {
    row.message.is_none() || is_real(row.message.as_ref())
}

fn none_if_empty(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

/// The names of a message, also where there is none: each row has the same.
fn maybe_message(object: &mut Map<String, Value>, message: Option<&proto::MessageRow>) {
    let before: Vec<_> = object.keys().cloned().collect();
    message_fields(object, &message.cloned().unwrap_or_default());
    if message.is_none() {
        for (name, value) in object.iter_mut() {
            if !before.contains(name) {
                *value = Value::Null;
            }
        }
    }
}

pub(super) fn obligation_object(row: &proto::ObligationRow) -> Value {
    let mut object = Map::new();
    for (name, value) in [
        ("object", Value::from("obligation")),
        ("obligation", row.obligation.clone().into()),
        ("office", row.office.clone().into()),
        ("office_removed", row.office_removed.into()),
        ("month", none_if_empty(&row.month)),
        ("due_at", utc(UnixMicros(row.due_unix_us))),
        ("overdue", row.overdue.into()),
        ("months_missed", row.missed.into()),
        ("last_index", row.last_index.into()),
    ] {
        object.insert(name.into(), value);
    }
    maybe_message(&mut object, row.message.as_ref());
    object.into()
}

pub(super) fn obligation_cells(context: &Context, row: &proto::ObligationRow) -> Vec<Cell> {
    let (due, now) = (UnixMicros(row.due_unix_us), context.clock.now());
    let what = row.message.as_ref().map_or_else(|| row.month.clone(), |message| id(&message.message_id));
    let state = match (row.office_removed, row.overdue, row.missed) {
        (true, ..) => cell(Tone::Faint, "removed"),
        (false, true, _) => cell(Tone::Bad, &format!("OVERDUE for {}", after(due, now))),
        (false, false, 0) => cell(Tone::Plain, &format!("in {}", after(now, due))),
        (false, false, missed) => {
            cell(Tone::Warning, &format!("in {}; {missed} months missed before", after(now, due)))
        }
    };
    vec![
        cell(Tone::Plain, &row.obligation),
        cell(Tone::Plain, &row.office),
        cell(Tone::Plain, &what),
        cell(Tone::Plain, &context.screen.time(due)),
        state,
        cell(Tone::Plain, &row.last_index.map(|index| index.to_string()).unwrap_or_default()),
    ]
}

pub(super) fn overdue_cells(context: &Context, row: &proto::OverdueRow) -> Vec<Cell> {
    let message = row.message.clone().unwrap_or_default();
    let state = match (row.office_removed, row.open) {
        (true, _) => cell(Tone::Faint, "removed"),
        (false, true) => {
            cell(Tone::Bad, &format!("for {}", after(UnixMicros(row.due_unix_us), context.clock.now())))
        }
        (false, false) => cell(Tone::Good, "done since"),
    };
    let status = CapStatus::from_number(message.status).map(CapStatus::name).unwrap_or_default();
    let real = is_real_row(row);
    let what = if row.obligation.is_empty() {
        named(row.stage, Stage::from_number, Stage::name)
    } else {
        format!("{} {}", row.obligation, row.month)
    };
    vec![
        cell(Tone::Plain, &row.index.to_string()),
        cell(Tone::Plain, &row.office),
        cell(Tone::Plain, what.trim()),
        cell(Tone::Plain, &context.screen.time(UnixMicros(row.due_unix_us))),
        state,
        if real { cell(Tone::Plain, status) } else { cell(Tone::Drill, &status.to_uppercase()) },
        cell(Tone::Plain, Priority::from_number(message.priority).map(Priority::name).unwrap_or_default()),
        cell(Tone::Plain, message.sender.split(':').nth(3).unwrap_or_default()),
        cell(Tone::Plain, &row.message.as_ref().map(|message| id(&message.message_id)).unwrap_or_default()),
    ]
}
