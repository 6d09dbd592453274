//! A listing on the screen: objects for programs, tables for people, as rows come.
//!
//! Owns how rows are gathered into tables. Never holds more than a table; says what is real apart from what is not.

use comfy_table::{Cell, ColumnConstraint, Table, Width};
use serde_json::Value;

use super::csv::Csv;
use super::owed;
use super::rows::{self, Counts};
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::screen::table;
use crate::wire::proto;

/// Rows of a table at most; a longer listing is several tables, so that memory stays bounded.
const TABLE_ROWS_MAX: usize = 500;

/// How the rows of a call are taken and shown.
pub(super) struct Shape<F, R> {
    /// What stands above the columns.
    pub(super) header: &'static [&'static str],
    /// Takes a frame's rows, and its place to go on.
    pub(super) page: fn(F) -> (Vec<R>, u64),
    object: fn(&R) -> Value,
    head: fn(&Context, &R) -> String,
    cells: fn(&Context, &R) -> Vec<Cell>,
    count: fn(&mut Counts, &R),
    /// What is said at the end.
    pub(super) words: fn(&Listing<'_>) -> String,
    /// Whether people get comma-separated values in the place of tables.
    pub(super) csv: bool,
}

pub(super) const DELIVERIES: Shape<proto::ListDeliveriesResponse, proto::DeliveryRow> = Shape {
    header: rows::DELIVERY_HEADER,
    page: |frame| (frame.deliveries, frame.next_index),
    object: |row| rows::delivery_object("delivery", row),
    head: delivery_head,
    cells: |context, row| rows::delivery_cells(row, context.clock.now()),
    count: Counts::add,
    words: |listing| listing.counts.words(),
    csv: false,
};

pub(super) const OUTSTANDING: Shape<proto::ListOutstandingResponse, proto::DeliveryRow> = Shape {
    header: rows::DELIVERY_HEADER,
    page: |frame| (frame.deliveries, frame.next_index),
    object: |row| rows::delivery_object("outstanding", row),
    head: delivery_head,
    cells: |context, row| rows::delivery_cells(row, context.clock.now()),
    count: Counts::add,
    words: |listing| listing.counts.words(),
    csv: false,
};

pub(super) const RECEIPTS: Shape<proto::ListReceiptsResponse, proto::ReceiptRow> = Shape {
    header: rows::RECEIPT_HEADER,
    page: |frame| (frame.receipts, frame.next_index),
    object: rows::receipt_object,
    head: |_, _| String::new(),
    cells: rows::receipt_cells,
    count: |_, _| {},
    words: |listing| format!("{} receipts.", listing.count),
    csv: false,
};

pub(super) const ENTRIES: Shape<proto::ListEntriesResponse, proto::EntryRow> = Shape {
    header: rows::ENTRY_HEADER,
    page: |frame| (frame.entries, frame.next_index),
    object: rows::entry_object,
    head: |_, _| String::new(),
    cells: rows::entry_cells,
    count: |_, _| {},
    words: |listing| format!("{} entries.", listing.count),
    csv: false,
};

pub(super) const ERASURES: Shape<proto::ListErasuresResponse, proto::ErasureRow> = Shape {
    header: rows::ERASURE_HEADER,
    page: |frame| (frame.erasures, frame.next_index),
    object: rows::erasure_object,
    head: |_, _| String::new(),
    cells: rows::erasure_cells,
    count: |_, _| {},
    words: |listing| format!("{} erasures.", listing.count),
    csv: false,
};

pub(super) const OVERDUE: Shape<proto::ListOverdueResponse, proto::OverdueRow> = Shape {
    header: owed::OVERDUE_HEADER,
    page: |frame| (frame.overdue, frame.next_index),
    object: owed::overdue_object,
    head: |_, _| String::new(),
    cells: owed::overdue_cells,
    count: Counts::add_missed,
    words: |listing| listing.counts.missed_words(),
    csv: false,
};

pub(super) const OBLIGATIONS: Shape<proto::ListObligationsResponse, proto::ObligationRow> = Shape {
    header: owed::OBLIGATION_HEADER,
    page: |frame| (frame.obligations, 0),
    object: owed::obligation_object,
    head: |_, _| String::new(),
    cells: owed::obligation_cells,
    count: |_, _| {},
    words: |listing| format!("{} owed.", listing.count),
    csv: false,
};

pub(super) const OBLIGATIONS_CSV: Shape<proto::ListObligationsResponse, proto::ObligationRow> =
    Shape { csv: true, ..OBLIGATIONS };

pub(super) const OVERDUE_CSV: Shape<proto::ListOverdueResponse, proto::OverdueRow> =
    Shape { csv: true, ..OVERDUE };

fn delivery_head(context: &Context, row: &proto::DeliveryRow) -> String {
    rows::message_head(context, &row.message.clone().unwrap_or_default())
}

/// A listing, row by row. Neighbours with the same head share a table under it, if there is one.
pub(super) struct Listing<'a> {
    context: &'a Context,
    header: &'static [&'static str],
    head: String,
    table: Table,
    counts: Counts,
    csv: Csv,
    /// Rows so far.
    pub(super) count: usize,
}

impl<'a> Listing<'a> {
    /// Begins one.
    pub(super) fn new(context: &'a Context, header: &'static [&'static str]) -> Self {
        let (head, table) = (String::new(), table(header));
        Self { context, header, head, table, counts: Counts::default(), csv: Csv::default(), count: 0 }
    }

    /// Adds a row: shown at once to programs, with its table to people.
    ///
    /// # Errors
    /// Any of the output.
    pub(super) fn add<F, R>(&mut self, shape: &Shape<F, R>, row: &R) -> Result<(), Failure> {
        self.count += 1;
        (shape.count)(&mut self.counts, row);
        if self.context.screen.is_json() {
            return Ok(self.context.screen.object(&(shape.object)(row))?);
        }
        if shape.csv {
            return Ok(self.csv.row(&self.context.screen, &(shape.object)(row))?);
        }
        self.under((shape.head)(self.context, row))?;
        self.table.add_row((shape.cells)(self.context, row));
        if self.table.row_count() == TABLE_ROWS_MAX { self.flush() } else { Ok(()) }
    }

    fn under(&mut self, head: String) -> Result<(), Failure> {
        if head == self.head {
            return Ok(());
        }
        self.flush()?;
        if !self.head.is_empty() {
            self.context.screen.line("")?;
        }
        self.context.screen.line(&head)?;
        (self.head, self.table) = (head, table(self.header));
        Ok(())
    }

    /// Shows what was added. What comes after it under the same head has no header of its own, and columns that are no
    /// narrower, so that rows stand under each other.
    ///
    /// # Errors
    /// Any of the output.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if self.table.row_count() == 0 {
            return Ok(());
        }
        let widths = self.table.column_max_content_widths();
        let mut next = table(&[]);
        next.set_constraints(
            widths.iter().map(|width| ColumnConstraint::LowerBoundary(Width::Fixed(*width))),
        );
        Ok(self.context.screen.table(&std::mem::replace(&mut self.table, next))?)
    }
}
