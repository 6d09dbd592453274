//! `audit`: what was published, delivered and acknowledged, as the hub's journal has it.
//!
//! Owns the questions. Never sees a payload: the hub gives none here.

mod csv;
mod evidence;
mod export;
mod history;
mod listing;
mod owed;
mod rows;
mod silence;
mod watch;

use clap::{Args, Subcommand};
use tonic::{Response, Status, Streaming};

use self::listing::{Listing, Shape};
use self::watch::Client;
use super::ack::named;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::since::{Place, Since};
use super::witness;
use crate::desk::home::Home;
use crate::model::identity::Name;
use crate::model::receipt::Stage;
use crate::wire::proto;

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
    /// Lists missed deadlines: a row for each office and stage.
    #[command(after_help = "Example:\n  resguardo audit overdue --office ohchr-mexico")]
    Overdue(Overdue),
    /// Lists what offices owe: something each month, or an answer.
    #[command(after_help = "Example:\n  resguardo audit obligations --office ohchr-mexico")]
    Obligations(silence::OfOffice),
    /// Tells which offices have not read what they owe, and since when.
    #[command(after_help = "Example:\n  resguardo audit silence --csv > silence.csv")]
    Silence(silence::OfOffice),
    /// Lists what is no longer kept: orders to erase a message, and ends of the time for which policy keeps payloads.
    #[command(after_help = "Example:\n  resguardo audit erasures --office ohchr-mexico")]
    Erasures(Selection),
    /// Tells one message's history.
    #[command(after_help = "Example:\n  resguardo audit message 01928f3a-6c1e-7d3b-9f20-5b1c7d9be2c4")]
    Message(history::History),
    /// Writes all entries from one to another, as far as they may be seen here, to a file for a stranger to check with `verify`.
    #[command(
        after_help = "Examples:\n  resguardo audit export 2026.export --from 2026-01-01 --to 2027-01-01\n  resguardo audit export all.export"
    )]
    Export(export::Export),
    /// Shows what the hub's logs come to, and which offices bear witness to it.
    #[command(after_help = "Example:\n  resguardo audit log --home certs-dev/auditor-iachr")]
    Log,
    /// Lists entries of the journal.
    #[command(
        after_help = "Example:\n  resguardo audit entries --limit 20\n  resguardo audit entries --watch --from 2h"
    )]
    Entries(Selection),
}

/// Which rows.
#[derive(Debug, Args)]
pub struct Selection {
    /// Where to begin: an entry of the journal, a time of the hub's (2026-11-25T10:00), or how long ago (2h).
    #[arg(long, value_name = "INDEX|TIME|SPAN")]
    from: Option<Since>,
    /// How many rows at most; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u64,
    /// Only this office.
    #[arg(long, value_name = "OFFICE")]
    office: Option<Name>,
    /// Show what happens from now on, or from where --from says, until Ctrl-C.
    #[arg(long)]
    watch: bool,
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

/// `audit overdue`
#[derive(Debug, Args)]
pub struct Overdue {
    #[command(flatten)]
    selection: Selection,
    /// Also what was done since.
    #[arg(long)]
    all: bool,
    /// Print comma-separated values, for a spreadsheet.
    #[arg(long, conflicts_with_all = ["json", "watch"])]
    csv: bool,
}

const OUTSTANDING_STAGES: &[Stage] = &[Stage::Received, Stage::Read, Stage::Acted];

impl Audit {
    /// Tells whether it goes on until it is stopped.
    pub(super) fn watches(&self) -> bool {
        match self {
            Self::Deliveries(selection)
            | Self::Receipts(selection)
            | Self::Erasures(selection)
            | Self::Entries(selection) => selection.watch,
            Self::Outstanding(asked) => asked.selection.watch,
            Self::Overdue(asked) => asked.selection.watch,
            Self::Silence(_) | Self::Obligations(_) | Self::Export(_) | Self::Log => false,
            Self::Message(history) => history.watches(),
        }
    }

    /// What a signal leaves of it.
    pub(super) fn left(&self) -> &'static str {
        match self {
            Self::Export(_) => "No file was written.",
            _ => "The listing is not whole.",
        }
    }

    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        match self {
            Self::Deliveries(selection) => {
                let ask = async |mut client: Client, selection| {
                    client.list_deliveries(proto::ListDeliveriesRequest { selection: Some(selection) }).await
                };
                list(context, &home, &selection, listing::DELIVERIES, ask).await
            }
            Self::Outstanding(asked) => {
                let stage = asked.stage as i32;
                let ask = async |mut client: Client, selection| {
                    let selection = Some(selection);
                    client.list_outstanding(proto::ListOutstandingRequest { selection, stage }).await
                };
                list(context, &home, &asked.selection, listing::OUTSTANDING, ask).await
            }
            Self::Overdue(asked) => {
                let all = asked.all;
                let ask = async |mut client: Client, selection| {
                    let selection = Some(selection);
                    client.list_overdue(proto::ListOverdueRequest { selection, all }).await
                };
                let shape = if asked.csv { listing::OVERDUE_CSV } else { listing::OVERDUE };
                list(context, &home, &asked.selection, shape, ask).await
            }
            Self::Obligations(asked) => {
                let ask = async |mut client: Client, selection| {
                    client
                        .list_obligations(proto::ListObligationsRequest { selection: Some(selection) })
                        .await
                };
                let shape = if asked.csv { listing::OBLIGATIONS_CSV } else { listing::OBLIGATIONS };
                let selection = Selection { from: None, limit: 0, office: asked.office, watch: false };
                list(context, &home, &selection, shape, ask).await
            }
            Self::Log => witness::show(context).await,
            Self::Silence(asked) => asked.silence(context, watch::connect(context, &home).await?).await,
            Self::Receipts(selection) => {
                let ask = async |mut client: Client, selection| {
                    let request = proto::ListReceiptsRequest { selection: Some(selection), message_index: 0 };
                    client.list_receipts(request).await
                };
                list(context, &home, &selection, listing::RECEIPTS, ask).await
            }
            Self::Erasures(selection) => {
                let ask = async |mut client: Client, selection| {
                    client.list_erasures(proto::ListErasuresRequest { selection: Some(selection) }).await
                };
                list(context, &home, &selection, listing::ERASURES, ask).await
            }
            Self::Entries(selection) => {
                let ask = async |mut client: Client, selection| {
                    client.list_entries(proto::ListEntriesRequest { selection: Some(selection) }).await
                };
                list(context, &home, &selection, listing::ENTRIES, ask).await
            }
            Self::Message(history) => history.run(context, &home).await,
            Self::Export(export) => export.run(context, &home).await,
        }
    }
}

impl Selection {
    fn wire(&self, context: &Context) -> Result<proto::Selection, Failure> {
        let mut wire = proto::Selection { limit: self.limit, ..proto::Selection::default() };
        wire.office = self.office.as_ref().map(ToString::to_string).unwrap_or_default();
        match self.from.as_ref().map(|since| since.place(context)).transpose()? {
            Some(Place::Index(index)) => wire.from_index = index.0,
            Some(Place::Time(time)) => wire.from_unix_us = Some(time.0),
            // Beyond the journal's end: what is new.
            None if self.watch => wire.from_index = u64::MAX,
            None => {}
        }
        Ok(wire)
    }
}

/// Shows the rows of a call, up to now or as they come.
async fn list<F, R>(
    context: &Context,
    home: &Home,
    selection: &Selection,
    shape: Shape<F, R>,
    ask: impl AsyncFn(Client, proto::Selection) -> Result<Response<Streaming<F>>, Status>,
) -> Result<Exit, Failure> {
    let wire = selection.wire(context)?;
    if selection.watch {
        return watch::run(context, home, wire, shape, ask).await;
    }
    let client = watch::connect(context, home).await?;
    let mut frames = ask(client, wire).await?.into_inner();
    let mut listing = Listing::new(context, shape.header);
    while let Some(frame) = frames.message().await? {
        for row in (shape.page)(frame).0 {
            listing.add(&shape, &row)?;
        }
    }
    listing.flush()?;
    if !shape.csv {
        context.screen.line(&(shape.words)(&listing))?;
    }
    Ok(Exit::Done)
}
