//! What an export proves, as one object for programs.
//!
//! Owns its fields; `docs/json.md` names them.

use serde_json::{Value, json};

use crate::cli::screen::{hex, utc};
use crate::cli::verify::object::{logged, seconds};
use crate::evidence::export::{Counts, Exported, OfOffice};
use crate::model::entry::EntryKind;
use crate::model::receipt::Stage;

/// Puts all of it into one object.
pub(super) fn of(exported: &Exported) -> Value {
    let statistics = &exported.statistics;
    let shown = statistics.shown.iter().map(|(kind, count)| (kind_name(*kind).to_owned(), json!(count)));
    let uncounted =
        statistics.uncounted.first.iter().map(|(index, why)| json!({ "index": index.0, "why": why }));
    let elsewhere = statistics.elsewhere.iter().map(|((office, stage), count)| {
        json!({ "office": office.to_string(), "stage": stage.name(), "count": count })
    });
    let offices = |counts: &std::collections::BTreeMap<crate::model::identity::Name, u64>| {
        let counts = counts.iter().map(|(office, count)| (office.to_string(), json!(count)));
        Value::Object(counts.collect())
    };
    json!({
        "object": "export",
        "witnessed": exported.is_witnessed(),
        "not_after": exported.journal.witnessed.reached_at.map(seconds),
        "from_index": exported.from.0,
        "until_index": exported.until.0,
        "entries": exported.entries(),
        "shown": statistics.shown_count(),
        "hidden": statistics.hidden,
        "kinds": Value::Object(shown.collect()),
        "first_recorded_at": statistics.recorded.map(|(first, _)| utc(first)),
        "last_recorded_at": statistics.recorded.map(|(_, last)| utc(last)),
        "real": counts(&statistics.real),
        "others": counts(&statistics.others),
        "months_missed": offices(&statistics.months_missed),
        "erasures_ordered": statistics.erasures_ordered,
        "elsewhere": elsewhere.collect::<Value>(),
        "missed_elsewhere": offices(&statistics.missed_elsewhere),
        "covers_hidden": statistics.covers_hidden,
        "uncounted": statistics.uncounted.count,
        "uncounted_first": uncounted.collect::<Value>(),
        "journal": logged(&exported.journal),
        "directory_version": exported.directory_version.0,
        "directory_needed": exported.directory_needed.0,
        "directory_witnessed": exported.directory_witnessed().0,
        "directory": exported.directory.as_ref().map(logged),
        "founding": hex(&exported.founding),
        "not_proved": ["understood", "outside", "hidden", "content", "clocks"],
    })
}

fn counts(counts: &Counts) -> Value {
    let published = counts.published.iter().map(|((class, office), count)| {
        json!({ "class": class.name(), "office": office.to_string(), "messages": count })
    });
    let offices = counts.offices.iter().map(|((class, office), it)| {
        let stages = Stage::ALL.iter().map(|it_is| (it_is.name().to_owned(), stage(it, *it_is)));
        json!({
            "class": class.name(), "office": office.to_string(), "messages": it.messages,
            "stages": Value::Object(stages.collect()), "answers_missed": it.answers_missed,
        })
    });
    json!({ "published": published.collect::<Value>(), "offices": offices.collect::<Value>() })
}

fn stage(of: &OfOffice, stage: Stage) -> Value {
    let times = of.stage(stage);
    json!({
        "count": times.count(), "median_us": times.median_us(), "p90_us": times.p90_us(),
        "longest_us": times.longest_us(), "missed": of.missed(stage),
    })
}

fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Directory => "directory",
        EntryKind::Publish => "publish",
        EntryKind::Receipt => "receipt",
        EntryKind::Refusal => "refusal",
        EntryKind::Summary => "summary",
        EntryKind::Overdue => "overdue",
        EntryKind::Renewal => "renewal",
        EntryKind::Erasure => "erasure",
        EntryKind::Epoch => "epoch",
        EntryKind::Clock => "clock",
    }
}
