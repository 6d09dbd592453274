//! `audit`: what was published, delivered and acknowledged, as the hub's journal has it.
//!
//! Owns the questions. Never sees a payload: the hub gives none here.

mod history;
mod rows;

use clap::{Args, Subcommand};
use comfy_table::{Cell, Table};
use serde_json::Value;
use tonic::{Status, Streaming};

use super::ack::named;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen::table;
use crate::model::identity::Name;
use crate::model::receipt::Stage;
use crate::wire::proto;
use crate::wire::proto::audit_service_client::AuditServiceClient;

/// Rows of a table at most; a longer listing is several tables, so that memory stays bounded.
const TABLE_ROWS_MAX: usize = 500;
/// Bytes that a frame of rows may have.
const FRAME_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Asks the hub what happened.
#[derive(Debug, Subcommand)]
#[command(after_help = "An auditor sees everything; an office what it sent, was owed and stated.")]
pub enum Audit {
    /// Lists deliveries: a row for each message and recipient, and how far it is.
    #[command(
        after_help = "Example:\n  resguardo --home certs-dev/auditor-iachr audit deliveries --office ohchr-mexico"
    )]
    Deliveries(Selection),
    /// Lists receipts: a row for each statement of an office.
    #[command(after_help = "Example:\n  resguardo audit receipts --from 1000 --json")]
    Receipts(Selection),
    /// Lists deliveries that have not reached a stage.
    #[command(after_help = "Example:\n  resguardo audit outstanding --stage read")]
    Outstanding(Outstanding),
    /// Tells one message's history.
    #[command(after_help = "Example:\n  resguardo audit message 01928f3a-6c1e-7d3b-9f20-5b1c7d9be2c4")]
    Message(history::History),
    /// Lists entries of the journal.
    #[command(after_help = "Example:\n  resguardo audit entries --limit 20")]
    Entries(Selection),
}

/// Which rows.
#[derive(Debug, Args)]
pub struct Selection {
    /// The first entry of the journal.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// How many rows at most; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u64,
    /// Only this office.
    #[arg(long, value_name = "OFFICE")]
    office: Option<Name>,
}

/// `audit outstanding`
#[derive(Debug, Args)]
pub struct Outstanding {
    #[command(flatten)]
    selection: Selection,
    /// The stage that is not reached.
    #[arg(long, value_parser = named(OUTSTANDING_STAGES, Stage::name), default_value = "received")]
    stage: Stage,
}

const OUTSTANDING_STAGES: &[Stage] = &[Stage::Received, Stage::Read, Stage::Acted];

impl Audit {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let message = match &self {
            // What is typed is looked at before the hub is asked.
            Self::Message(history) => Some(history.message_id(context, &home)?),
            _ => None,
        };
        let channel = context.connect(&home).await?;
        let mut client = AuditServiceClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
        match self {
            Self::Deliveries(selection) => {
                let request = proto::ListDeliveriesRequest { selection: Some(selection.wire()) };
                let frames = client.list_deliveries(request).await?.into_inner();
                let page = |frame: proto::ListDeliveriesResponse| frame.deliveries;
                deliveries(context, frames, page, "delivery").await
            }
            Self::Outstanding(asked) => {
                let selection = Some(asked.selection.wire());
                let request = proto::ListOutstandingRequest { selection, stage: asked.stage as i32 };
                let frames = client.list_outstanding(request).await?.into_inner();
                let page = |frame: proto::ListOutstandingResponse| frame.deliveries;
                deliveries(context, frames, page, "outstanding").await
            }
            Self::Receipts(selection) => {
                let request = proto::ListReceiptsRequest { selection: Some(selection.wire()) };
                let frames = client.list_receipts(request).await?.into_inner();
                let page = |frame: proto::ListReceiptsResponse| frame.receipts;
                let mut listing = Listing::new(context, rows::RECEIPT_HEADER);
                listing.all(frames, page, rows::receipt_object, no_head, rows::receipt_cells).await?;
                listing.end("receipts")
            }
            Self::Entries(selection) => {
                let request = proto::ListEntriesRequest { selection: Some(selection.wire()) };
                let frames = client.list_entries(request).await?.into_inner();
                let page = |frame: proto::ListEntriesResponse| frame.entries;
                let mut listing = Listing::new(context, rows::ENTRY_HEADER);
                listing.all(frames, page, rows::entry_object, no_head, rows::entry_cells).await?;
                listing.end("entries")
            }
            Self::Message(history) => {
                let message_id = message.ok_or_else(|| Failure::usage("which message?"))?;
                history.run(context, client, message_id).await
            }
        }
    }
}

impl Selection {
    fn wire(&self) -> proto::Selection {
        let office = self.office.as_ref().map(ToString::to_string).unwrap_or_default();
        proto::Selection { from_index: self.from, limit: self.limit, office }
    }
}

/// Lists deliveries, and counts what is real apart from what is not.
async fn deliveries<F>(
    context: &Context,
    frames: Streaming<F>,
    page: fn(F) -> Vec<proto::DeliveryRow>,
    object: &'static str,
) -> Result<Exit, Failure> {
    let mut listing = Listing::new(context, rows::DELIVERY_HEADER);
    let mut counts = rows::Counts::default();
    let to_object = |row: &proto::DeliveryRow| rows::delivery_object(object, row);
    let head = |context: &Context, row: &proto::DeliveryRow| {
        rows::message_head(context, &row.message.clone().unwrap_or_default())
    };
    let to_cells = |_: &Context, row: &proto::DeliveryRow| {
        counts.add(row);
        rows::delivery_cells(row)
    };
    listing.all(frames, page, to_object, head, to_cells).await?;
    listing.end_with(&counts.words())
}

fn no_head<R>(_: &Context, _: &R) -> String {
    String::new()
}

/// A listing, page by page. Neighbours with the same head share a table under it, if there is one.
struct Listing<'a> {
    context: &'a Context,
    header: &'static [&'static str],
    head: String,
    table: Table,
    count: usize,
}

impl<'a> Listing<'a> {
    fn new(context: &'a Context, header: &'static [&'static str]) -> Self {
        Self { context, header, head: String::new(), table: table(header), count: 0 }
    }

    async fn all<F, R>(
        &mut self,
        mut frames: Streaming<F>,
        page: fn(F) -> Vec<R>,
        object: impl Fn(&R) -> Value,
        head: impl Fn(&Context, &R) -> String,
        mut cells: impl FnMut(&Context, &R) -> Vec<Cell>,
    ) -> Result<(), Failure> {
        while let Some(frame) = frames.message().await.map_err(|status: Status| Failure::from(status))? {
            for row in page(frame) {
                self.count += 1;
                if self.context.screen.is_json() {
                    self.context.screen.object(&object(&row))?;
                    continue;
                }
                self.under(head(self.context, &row))?;
                self.table.add_row(cells(self.context, &row));
                if self.table.row_count() == TABLE_ROWS_MAX {
                    self.print()?;
                }
            }
        }
        Ok(())
    }

    fn under(&mut self, head: String) -> Result<(), Failure> {
        if head == self.head {
            return Ok(());
        }
        if self.table.row_count() > 0 {
            self.print()?;
            self.context.screen.line("")?;
        }
        self.context.screen.line(&head)?;
        self.head = head;
        Ok(())
    }

    fn print(&mut self) -> Result<(), Failure> {
        let full = std::mem::replace(&mut self.table, table(self.header));
        Ok(self.context.screen.table(&full)?)
    }

    fn end(self, what: &str) -> Result<Exit, Failure> {
        let words = format!("{} {what}.", self.count);
        self.end_with(&words)
    }

    fn end_with(mut self, words: &str) -> Result<Exit, Failure> {
        if self.table.row_count() > 0 {
            self.print()?;
        }
        self.context.screen.line(words)?;
        Ok(Exit::Done)
    }
}
