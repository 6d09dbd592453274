//! What evidence proves, as one object for programs.
//!
//! Owns its fields; `docs/json.md` names them.

use serde_json::{Value, json};

use crate::cli::screen::{hex, utc};
use crate::evidence::{Erased, Logged, Missed, Proved, Statement};
use crate::model::id::UnixMicros;
use crate::model::receipt::Action;
use crate::proof::UnixSeconds;

/// Puts all of it into one object.
pub(super) fn of(proved: &Proved) -> Value {
    let published = &proved.published;
    let message = &published.message;
    let recipient = |it: &crate::evidence::Recipient| json!({ "office": it.office.to_string(), "institution": it.institution.to_string() });
    let not_before = published.not_before.as_ref().map(|it| {
        json!({ "office": it.office.to_string(), "made_at": utc(it.made), "recorded_at": utc(it.recorded) })
    });
    json!({
        "object": "evidence",
        "witnessed": proved.is_witnessed(),
        "not_before": not_before,
        "not_after": proved.not_after().map(seconds),
        "message_id": message.id.to_string(),
        "index": published.index.0,
        "recorded_at": utc(published.recorded),
        "sent_at": utc(message.sent),
        "sender": published.sender.to_string(),
        "institution": published.institution.to_string(),
        "class": message.class.name(),
        "stream": message.stream.to_string(),
        "priority": message.priority.name(),
        "status": message.status.name(),
        "msg_type": message.msg_type.name(),
        "envelope_digest": hex(&message.envelope_digest),
        "payload_bytes": message.payload_bytes,
        "payload_digest": hex(&message.payload_digest),
        "recipients": published.recipients.iter().map(recipient).collect::<Value>(),
        "statements": proved.statements.iter().map(statement).collect::<Value>(),
        "missed": proved.missed.iter().map(missed).collect::<Value>(),
        "erased": proved.erased.iter().map(erased).collect::<Value>(),
        "journal": logged(&proved.journal),
        "directory_version": proved.directory_version.0,
        "directory_needed": proved.directory_needed.0,
        "directory_witnessed": proved.directory_witnessed().0,
        "directory": proved.directory.as_ref().map(logged),
        "founding": hex(&proved.founding),
        "not_proved": ["understood", "nothing-else-said", "content", "clocks"],
    })
}

fn statement(it: &Statement) -> Value {
    let officer =
        it.officer.as_ref().map(|it| json!({ "name": it.name, "key": hex(&it.key), "text": it.text }));
    json!({
        "index": it.index.0, "recorded_at": utc(it.recorded), "office": it.desk.office.to_string(),
        "desk": it.desk.to_string(), "stage": it.stage.name(), "at": utc(it.at),
        "action": it.action.map(Action::name), "reason": it.reason, "attended": it.attended, "officer": officer,
    })
}

fn missed(it: &Missed) -> Value {
    json!({
        "index": it.index.0, "recorded_at": utc(it.recorded), "office": it.office.to_string(), "due_at": utc(it.due),
        "stage": it.stage.map(crate::model::receipt::Stage::name),
        "obligation": it.obligation.as_ref().map(ToString::to_string),
    })
}

fn erased(it: &Erased) -> Value {
    let order = it.ordered.as_ref();
    json!({
        "index": it.index.0, "recorded_at": utc(it.recorded), "ordered_by": order.map(|it| it.by.clone()),
        "ordered_at": order.map(|it| utc(it.at)), "reason": order.map(|it| it.reason.clone()),
    })
}

/// A checkpoint and who bears witness to it.
pub(super) fn logged(it: &Logged) -> Value {
    let cosigned = it.witnessed.by.iter().map(|it| {
        json!({
            "office": &*it.office, "institution": &*it.institution, "witness": it.witness.as_str(),
            "at": seconds(it.at),
        })
    });
    json!({
        "size": it.tree.size, "root": it.tree.root.to_string(), "signed_at": it.signed_at.map(seconds),
        "needed": it.witnessed.needed, "reached_at": it.witnessed.reached_at.map(seconds),
        "missing": it.witnessed.missing.iter().map(|it| &**it).collect::<Vec<_>>(),
        "cosigned": cosigned.collect::<Value>(),
    })
}

/// A witness's time.
pub(super) fn seconds(time: UnixSeconds) -> Value {
    utc(UnixMicros(time.seconds().saturating_mul(1_000_000)))
}
