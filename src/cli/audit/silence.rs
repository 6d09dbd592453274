//! `audit silence`: which offices have not read what they owe, and since when.
//!
//! Owns the sums: a row for each office, and what is not real apart. What is unread is the hub's to say.

use std::collections::BTreeMap;

use super::csv::Csv;
use super::rows::is_real;
use super::watch::Client;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::{Tone, after, cell, table, utc};
use crate::model::envelope::Priority;
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::model::receipt::Stage;
use crate::wire::proto;
use clap::Args;
use serde_json::{Value, json};

/// `audit silence`, `audit obligations`
#[derive(Debug, Args)]
pub struct OfOffice {
    /// Only this office.
    #[arg(long, value_name = "OFFICE")]
    pub(super) office: Option<Name>,
    /// Print comma-separated values, for a spreadsheet.
    #[arg(long, conflicts_with = "json")]
    pub(super) csv: bool,
}

/// What one office has not read; what is not real is summed up apart.
#[derive(Clone, Default)]
struct Unread {
    removed: bool,
    messages: u64,
    urgent: u64,
    /// Deadlines that were missed and are still open.
    overdue: u64,
    oldest_index: u64,
    oldest: UnixMicros,
}

/// By what is real, then by office.
type Sums = BTreeMap<(bool, String), Unread>;

impl OfOffice {
    pub(super) async fn silence(self, context: &Context, mut client: Client) -> Result<Exit, Failure> {
        let office = self.office.map(|office| office.to_string()).unwrap_or_default();
        let selection = proto::Selection { office, ..proto::Selection::default() };
        let request = proto::ListOutstandingRequest { selection: Some(selection), stage: Stage::Read as i32 };
        let mut frames = client.list_outstanding(request).await?.into_inner();
        let mut sums = Sums::new();
        while let Some(frame) = frames.message().await? {
            for row in &frame.deliveries {
                add(&mut sums, row);
            }
        }
        show(context, &sums, self.csv)
    }
}

fn add(sums: &mut Sums, row: &proto::DeliveryRow) {
    let Some(message) = &row.message else { return };
    let sum = sums.entry((!is_real(Some(message)), row.office.clone())).or_default();
    sum.removed = row.office_removed;
    if sum.messages == 0 || message.index < sum.oldest_index {
        (sum.oldest_index, sum.oldest) = (message.index, UnixMicros(message.accepted_unix_us));
    }
    sum.messages += 1;
    sum.urgent += u64::from(message.priority == Priority::Urgent as i32);
    sum.overdue += row.due.iter().filter(|due| due.overdue).count() as u64;
}

fn object(real: bool, office: &str, sum: &Unread) -> Value {
    json!({
        "object": "silence",
        "office": office,
        "office_removed": sum.removed,
        "real": real,
        "unread": sum.messages,
        "unread_urgent": sum.urgent,
        "overdue": sum.overdue,
        "oldest_index": sum.oldest_index,
        "silent_since": utc(sum.oldest),
    })
}

fn show(context: &Context, sums: &Sums, as_csv: bool) -> Result<Exit, Failure> {
    let (screen, now) = (&context.screen, context.clock.now());
    let mut csv = Csv::default();
    for ((drill, office), sum) in sums {
        let object = object(!drill, office, sum);
        screen.object(&object)?;
        if as_csv {
            csv.row(screen, &object)?;
        }
    }
    if as_csv {
        return Ok(Exit::Done);
    }
    for (drill, title) in [(false, "Actual"), (true, "Exercises, tests and drafts")] {
        let mut rows = table(&["Office", "Unread", "Urgent", "Overdue", "Silent for", "Since", "Entry"]);
        for ((_, office), sum) in sums.iter().filter(|((it, _), _)| *it == drill) {
            let removed = if sum.removed { " (removed)" } else { "" };
            let bad = |count| if count > 0 && !sum.removed { Tone::Bad } else { Tone::Plain };
            rows.add_row(vec![
                cell(Tone::Plain, &format!("{office}{removed}")),
                cell(Tone::Plain, &sum.messages.to_string()),
                cell(bad(sum.urgent), &sum.urgent.to_string()),
                cell(bad(sum.overdue), &sum.overdue.to_string()),
                cell(Tone::Plain, &after(sum.oldest, now)),
                cell(Tone::Plain, &screen.time(sum.oldest)),
                cell(Tone::Plain, &sum.oldest_index.to_string()),
            ]);
        }
        if rows.is_empty() {
            screen.line(&format!("{title}: nothing is unread."))?;
        } else {
            screen.line(&format!("{title}:"))?;
            screen.table(&rows)?;
        }
    }
    Ok(Exit::Done)
}
