//! `audit message`: one message's history, from its acceptance to what each office did about it.

use std::collections::HashMap;

use bytes::Bytes;
use clap::Args;
use serde_json::{Map, Value};

use super::evidence::ToEvidence;
use super::watch::{self, Client};
use super::{listing, rows};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::{Tone, after, cell, harmless, table, toned};
use crate::cli::unlock::Unlock;
use crate::cli::wait;
use crate::desk::find::{Found, find, parse_message_id};
use crate::desk::home::Home;
use crate::desk::opener::Reader;
use crate::desk::reseal::name_of;
use crate::desk::stated::{Shown, Subject};
use crate::model::envelope::MessageId;
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::model::receipt::{Action, Stage};
use crate::wire::note::OfficerNote;
use crate::wire::proto;

/// `audit message`
#[derive(Debug, Args)]
pub struct History {
    /// The message: its whole id, or, for a message of this home, at least six characters of its beginning or end.
    message: String,
    /// The office that sent it, where several used the same id.
    #[arg(long, value_name = "OFFICE")]
    sender: Option<Name>,
    /// Show each further receipt about it as it comes, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    evidence: ToEvidence,
    #[command(flatten)]
    unlock: Unlock,
}

impl History {
    /// Tells whether it goes on until it is stopped.
    pub(super) fn watches(&self) -> bool {
        self.watch
    }

    fn message_id(&self, context: &Context, home: &Home) -> Result<MessageId, Failure> {
        if let Some(id) = parse_message_id(&self.message) {
            return Ok(id);
        }
        let (inbox, outbox) = context.boxes(home)?;
        Ok(find(&self.message, &inbox.entries()?, &outbox.messages()?)?.message_id())
    }

    pub(super) async fn run(self, context: &Context, home: &Home) -> Result<Exit, Failure> {
        // What is typed is looked at before the hub is asked.
        let id = self.message_id(context, home)?;
        self.evidence.check(home)?;
        let channel = context.connect(home).await?;
        let mut client = watch::client(channel.clone());
        let request = proto::DescribeMessageRequest {
            message_id: Bytes::copy_from_slice(id.as_bytes()),
            sender_office: self.sender.map(|office| office.to_string()).unwrap_or_default(),
        };
        let told = client.describe_message(request).await?.into_inner();
        let subject = Subject { message_id: id, digest: digest(context, home, (id, &told))? };
        let shown = wait::shown(context, &channel, subject, &told.receipts).await?;
        let reader = if told.receipts.iter().any(|row| !row.note.is_empty()) {
            Some(self.unlock.reader(context, home)?)
        } else {
            None
        };
        let notes = reader.as_ref().map(|reader| notes(&told, reader, &shown)).unwrap_or_default();
        context.screen.object(&object(&told, &notes, &shown))?;
        if !context.screen.is_json() {
            show(context, &told, &notes, &shown)?;
        }
        self.evidence.write((context, home), &channel, &told, reader.as_ref()).await?;
        if self.watch { watch_receipts(context, home, &told).await } else { Ok(Exit::Done) }
    }
}

/// Shows the receipts about a message that come after those that were told.
async fn watch_receipts(
    context: &Context,
    home: &Home,
    told: &proto::DescribeMessageResponse,
) -> Result<Exit, Failure> {
    let message_index = told.message.as_ref().map_or(0, |message| message.index);
    let last = told.receipts.last().and_then(|row| row.stage.as_ref()).map(|stage| stage.receipt_index);
    let from_index = last.unwrap_or(message_index) + 1;
    let ask = async |mut client: Client, selection| {
        client.list_receipts(proto::ListReceiptsRequest { selection: Some(selection), message_index }).await
    };
    let selection = proto::Selection { from_index, ..proto::Selection::default() };
    watch::run(context, home, selection, listing::RECEIPTS, ask).await
}

/// Who stated persons' stages, by the index of the receipt, as far as their notes can be read here.
type Notes = HashMap<u64, OfficerNote>;

fn notes(told: &proto::DescribeMessageResponse, reader: &Reader, shown: &Shown) -> Notes {
    let read = |row: &proto::ReceiptRow| {
        let index = row.stage.as_ref()?.receipt_index;
        let note = reader.note(shown.receipt(index)?, &row.note)?.ok()?;
        Some((index, note))
    };
    told.receipts.iter().filter_map(read).collect()
}

/// The digest of the message's envelope, where it is in this home.
fn digest(
    context: &Context,
    home: &Home,
    (id, told): (MessageId, &proto::DescribeMessageResponse),
) -> Result<Option<[u8; 32]>, Failure> {
    if home.desk().is_err() {
        return Ok(None);
    }
    let sender = told.message.as_ref().map_or("", |message| message.sender.as_str());
    let (inbox, outbox) = context.boxes(home)?;
    // A damaged file of this home keeps nobody from the history.
    let digest = match find(&id.to_string(), &inbox.entries()?, &outbox.messages()?) {
        Ok(Found::Sent(_)) => {
            let sent = outbox.read_message(id).ok();
            sent.map(|sent| (sent.envelope.sender.to_string(), name_of(&sent).digest))
        }
        Ok(Found::Received(entry)) => {
            let kept = inbox.read(&entry).ok();
            kept.map(|kept| (kept.envelope.sender.to_string(), kept.digest))
        }
        Err(_) => None,
    };
    Ok(digest.filter(|(from, _)| from == sender).map(|(_, digest)| digest))
}

/// Whether a person's stage is seen to have been signed; `null` for a machine's.
fn signed(office: &str, stage: &proto::StageRow, shown: &Shown) -> Value {
    if !Stage::from_number(stage.stage).is_some_and(Stage::is_persons) {
        return Value::Null;
    }
    office.parse().is_ok_and(|office| shown.stage(&office, stage).is_some()).into()
}

fn object(told: &proto::DescribeMessageResponse, notes: &Notes, shown: &Shown) -> Value {
    let mut object = Map::new();
    object.insert("object".into(), "history".into());
    rows::message_fields(&mut object, &told.message.clone().unwrap_or_default());
    let delivery = |row: &proto::DeliveryRow| {
        let mut object = rows::delivery_object("delivery", row);
        for (place, stage) in row.stages.iter().enumerate() {
            object["stages"][place]["signed"] = signed(&row.office, stage, shown);
        }
        object
    };
    object.insert("deliveries".into(), told.deliveries.iter().map(delivery).collect());
    object.insert("erasure".into(), told.erasure.as_ref().map(rows::erasure_object).into());
    let receipt = |row: &proto::ReceiptRow| {
        let mut object = rows::receipt_object(row);
        let note = row.stage.as_ref().and_then(|stage| notes.get(&stage.receipt_index));
        object["officer"] = note.map(|note| note.officer.clone()).into();
        object["note"] = note.map(|note| note.text.clone()).into();
        object
    };
    object.insert("receipts".into(), told.receipts.iter().map(receipt).collect());
    object.into()
}

fn show(
    context: &Context,
    told: &proto::DescribeMessageResponse,
    notes: &Notes,
    shown: &Shown,
) -> Result<(), Failure> {
    let message = told.message.clone().unwrap_or_default();
    let accepted = UnixMicros(message.accepted_unix_us);
    let screen = &context.screen;
    screen.line(&rows::message_head(context, &message))?;
    if let Some(erasure) = &told.erasure {
        let at = screen.time(UnixMicros(erasure.recorded_unix_us));
        let line = if erasure.ordered_by.is_empty() {
            format!("Its content was kept as long as policy asks: erased by entry {} on {at}.", erasure.index)
        } else {
            let why = harmless(&erasure.reason);
            format!("Erased by order of {}, entry {} on {at}: {why}", erasure.ordered_by, erasure.index)
        };
        screen.line(&toned(Tone::Warning, &line))?;
    }
    let mut table =
        table(&["For", "Stage", "Recorded", "After", "Desk", "Officer", "Entry", "Action", "Reason"]);
    let mut doubts = Vec::new();
    for row in &told.deliveries {
        if row.stages.is_empty() {
            table.add_row(vec![cell(Tone::Plain, &row.office), cell(Tone::Bad, "outstanding")]);
        }
        for stage in &row.stages {
            let seen = row.office.parse().ok().map(|office: Name| (shown.stage(&office, stage), office));
            let Some((Some(stage), _)) = &seen else {
                let named = Stage::from_number(stage.stage);
                doubts.extend(seen.zip(named).map(|((_, office), stage)| wait::unsigned(&office, stage)));
                let word = format!("{}, not signed", named.map_or("?", Stage::name));
                table.add_row(vec![cell(Tone::Plain, &row.office), cell(Tone::Bad, &word)]);
                continue;
            };
            let note = notes.get(&stage.receipt_index);
            let recorded = UnixMicros(stage.recorded_unix_us);
            let known = Stage::from_number(stage.stage);
            let bad = matches!(known, Some(Stage::Declined | Stage::Unreadable));
            table.add_row(vec![
                cell(Tone::Plain, &row.office),
                cell(if bad { Tone::Bad } else { Tone::Good }, known.map_or("?", Stage::name)),
                cell(Tone::Plain, &screen.time(recorded)),
                cell(Tone::Plain, &after(accepted, recorded)),
                cell(Tone::Plain, stage.desk.rsplit(':').next().unwrap_or_default()),
                cell(Tone::Plain, &note.map(|note| harmless(&note.officer)).unwrap_or_default()),
                cell(Tone::Plain, &stage.receipt_index.to_string()),
                cell(Tone::Plain, Action::from_number(stage.action).map(Action::name).unwrap_or_default()),
                cell(Tone::Plain, &harmless(note.map_or(&stage.reason, |note| &note.text))),
            ]);
        }
    }
    screen.table(&table)?;
    for doubt in &doubts {
        screen.aside(Tone::Bad, doubt);
    }
    let repeated = told.receipts.iter().filter(|row| row.news == 0).count();
    Ok(screen.line(&format!("{} receipts, {repeated} of them repetitions.", told.receipts.len()))?)
}
