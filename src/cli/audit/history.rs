//! `audit message`: one message's history, from its acceptance to what each office did about it.

use bytes::Bytes;
use clap::Args;
use serde_json::{Map, Value};

use super::watch::{self, Client};
use super::{listing, rows};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::screen::{Tone, after, cell, harmless, table, toned};
use crate::desk::find::{find, parse_message_id};
use crate::desk::home::Home;
use crate::model::envelope::MessageId;
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::model::receipt::{Action, Stage};
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
        let mut client = watch::connect(context, home).await?;
        let request = proto::DescribeMessageRequest {
            message_id: Bytes::copy_from_slice(id.as_bytes()),
            sender_office: self.sender.map(|office| office.to_string()).unwrap_or_default(),
        };
        let told = client.describe_message(request).await?.into_inner();
        context.screen.object(&object(&told))?;
        if !context.screen.is_json() {
            show(context, &told)?;
        }
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

fn object(told: &proto::DescribeMessageResponse) -> Value {
    let mut object = Map::new();
    object.insert("object".into(), "history".into());
    rows::message_fields(&mut object, &told.message.clone().unwrap_or_default());
    let delivery = |row| rows::delivery_object("delivery", row);
    object.insert("deliveries".into(), told.deliveries.iter().map(delivery).collect());
    object.insert("erasure".into(), told.erasure.as_ref().map(rows::erasure_object).into());
    object.insert("receipts".into(), told.receipts.iter().map(rows::receipt_object).collect());
    object.into()
}

fn show(context: &Context, told: &proto::DescribeMessageResponse) -> Result<(), Failure> {
    let message = told.message.clone().unwrap_or_default();
    let accepted = UnixMicros(message.accepted_unix_us);
    let screen = &context.screen;
    screen.line(&rows::message_head(context, &message))?;
    if let Some(erasure) = &told.erasure {
        let at = screen.time(UnixMicros(erasure.recorded_unix_us));
        let line = if erasure.desk.is_empty() {
            format!("Its content was kept as long as policy asks: erased by entry {} on {at}.", erasure.index)
        } else {
            let why = harmless(&erasure.reason);
            format!("Erased by order of {}, entry {} on {at}: {why}", erasure.desk, erasure.index)
        };
        screen.line(&toned(Tone::Warning, &line))?;
    }
    let mut table = table(&["For", "Stage", "Recorded", "After", "Desk", "Entry", "Action", "Reason"]);
    for row in &told.deliveries {
        if row.stages.is_empty() {
            table.add_row(vec![cell(Tone::Plain, &row.office), cell(Tone::Bad, "outstanding")]);
        }
        for stage in &row.stages {
            let recorded = UnixMicros(stage.recorded_unix_us);
            let known = Stage::from_number(stage.stage);
            let bad = matches!(known, Some(Stage::Declined | Stage::Unreadable));
            table.add_row(vec![
                cell(Tone::Plain, &row.office),
                cell(if bad { Tone::Bad } else { Tone::Good }, known.map_or("?", Stage::name)),
                cell(Tone::Plain, &screen.time(recorded)),
                cell(Tone::Plain, &after(accepted, recorded)),
                cell(Tone::Plain, stage.desk.rsplit(':').next().unwrap_or_default()),
                cell(Tone::Plain, &stage.receipt_index.to_string()),
                cell(Tone::Plain, Action::from_number(stage.action).map(Action::name).unwrap_or_default()),
                cell(Tone::Plain, &stage.reason),
            ]);
        }
    }
    screen.table(&table)?;
    let repeated = told.receipts.iter().filter(|row| row.news == 0).count();
    Ok(screen.line(&format!("{} receipts, {repeated} of them repetitions.", told.receipts.len()))?)
}
