//! From the ledger's rows and the journal's entries to rows on the wire.
//!
//! Owns what of an entry an office may see beyond its own: the envelopes it was owed and the receipts that are about
//! nothing but its own messages. A receipt that is about others' messages too is listed by its row, not by its bytes.

use std::sync::Arc;

use bytes::Bytes;

use super::audit::covers;
use crate::journal::{JournalError, Reader};
use crate::ledger::LedgerError;
use crate::ledger::audit::{DeliveryRow, DueRow, Selection, StageRow};
use crate::ledger::due::{ObligationRow, OwedRow};
use crate::ledger::erasures::{Erased, ErasureRow};
use crate::ledger::overdue::{MissedRow, OverdueRow};
use crate::ledger::rows::{MessageRow, ReceiptRow};
use crate::ledger::view::View;
use crate::model::entry::{Entry, EntryKind, Payload};
use crate::model::envelope::MessageId;
use crate::model::erasure::Erasure;
use crate::model::id::Index;
use crate::model::identity::{Identity, Name};
use crate::model::policy::{AuditPermit, OfficeNumber, Policy};
use crate::model::receipt::MessageRef;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::proto::{self, DescribeMessageResponse, EntryRow};
use crate::wire::{convert, erasure};

/// Entries read for one page at most: a caller that may see few of them still gets on.
const ENTRIES_PER_PAGE_MAX: usize = 512;

/// Bytes of statements in one page: a quarter of what gRPC takes by default.
pub(super) const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Receipts told of one message at most: its offices' stages, and far more repetitions than anybody makes in good faith.
pub(super) const HISTORY_RECEIPTS_MAX: usize = 1_024;

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// From the ledger.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// From the journal.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
}

/// Puts a delivery on the wire.
pub(super) fn delivery(policy: &Policy, row: &DeliveryRow) -> proto::DeliveryRow {
    proto::DeliveryRow {
        message: Some(message(&row.message)),
        office: policy.office(row.office).map(Name::to_string).unwrap_or_default(),
        office_removed: is_removed(policy, row.office),
        stages: row.stages.iter().cloned().map(stage_row).collect(),
        due: row.due.iter().map(due_row).collect(),
    }
}

fn due_row(row: &DueRow) -> proto::DueRow {
    proto::DueRow {
        stage: row.stage as i32,
        due_unix_us: row.due.0,
        reached_unix_us: row.reached.map(|at| at.0),
        overdue: row.overdue,
    }
}

/// Puts what was missed on the wire.
///
/// # Errors
/// [`ReadError::Ledger`]
pub(super) fn overdue(view: &View, row: &OverdueRow) -> Result<proto::OverdueRow, ReadError> {
    let policy = view.policy();
    let missed = row.missed.message().map(|index| view.message(index)).transpose()?.flatten();
    let (stage, obligation, month) = match row.missed {
        MissedRow::Stage { stage, .. } => (stage as i32, None, None),
        MissedRow::FollowUp { obligation, .. } => (0, Some(obligation), None),
        MissedRow::Month { obligation, month } => (0, Some(obligation), Some(month)),
    };
    let obligation = obligation.and_then(|number| policy.obligations().get(number));
    Ok(proto::OverdueRow {
        index: row.index.0,
        recorded_unix_us: row.recorded.0,
        office: policy.office(row.office).map(Name::to_string).unwrap_or_default(),
        due_unix_us: row.due.0,
        open: view.is_open(row)?,
        message: missed.as_ref().map(message),
        stage,
        office_removed: is_removed(&policy, row.office),
        obligation: obligation.map(|it| it.name.to_string()).unwrap_or_default(),
        month: month.map(|month| month.to_string()).unwrap_or_default(),
    })
}

/// Puts what an office owes on the wire.
pub(super) fn obligation(policy: &Policy, row: &ObligationRow) -> proto::ObligationRow {
    let obligation = policy.obligations().get(row.obligation);
    let base = proto::ObligationRow {
        obligation: obligation.map(|it| it.name.to_string()).unwrap_or_default(),
        office: policy.office(row.office).map(Name::to_string).unwrap_or_default(),
        due_unix_us: row.due.0,
        office_removed: is_removed(policy, row.office),
        ..proto::ObligationRow::default()
    };
    match &row.owed {
        OwedRow::Month { month, missed, last } => proto::ObligationRow {
            month: month.to_string(),
            missed: *missed,
            last_index: last.map(|index| index.0),
            ..base
        },
        OwedRow::FollowUp { message: asked, overdue } => {
            proto::ObligationRow { message: Some(message(asked)), overdue: *overdue, ..base }
        }
    }
}

/// Puts an erasure on the wire.
///
/// # Errors
/// [`ReadError`], each.
pub(super) fn erasure_row(
    view: &View,
    journal: &Reader,
    row: &ErasureRow,
) -> Result<proto::ErasureRow, ReadError> {
    let base = proto::ErasureRow {
        index: row.index.0,
        recorded_unix_us: row.recorded.0,
        ..proto::ErasureRow::default()
    };
    Ok(match &row.what {
        Erased::Message { message: erased, by, reason, .. } => {
            let order =
                journal.entry(row.index)?.and_then(|it| erasure::order_of(&it.statement).ok().flatten());
            proto::ErasureRow {
                message: view.message(*erased)?.as_ref().map(message),
                ordered_by: by.to_string(),
                reason: reason.clone(),
                order: order.unwrap_or_default(),
                ..base
            }
        }
        Erased::Until(until) => proto::ErasureRow { until_index: until.0, ..base },
    })
}

fn is_removed(policy: &Policy, office: OfficeNumber) -> bool {
    policy.office(office).is_some_and(|office| policy.removed(office).is_some())
}

/// Puts a receipt on the wire.
///
/// # Errors
/// [`ReadError::Ledger`]
pub(super) fn receipt(view: &View, row: &ReceiptRow) -> Result<proto::ReceiptRow, ReadError> {
    let mut messages = Vec::with_capacity(row.messages.len());
    for index in &row.messages {
        if let Some(found) = view.message(*index)? {
            messages.push(convert::message_ref(&MessageRef { index: *index, message_id: found.message_id }));
        }
    }
    let stage = Some(stage_row(stage_of(row)));
    Ok(proto::ReceiptRow { stage, messages, news: row.news, ..proto::ReceiptRow::default() })
}

fn unknown(id: MessageId) -> Refusal {
    let message = format!("there is no message {id} that the caller may see");
    Refusal::new(Reason::MessageUnknown, message).of_field("message_id")
}

/// Finds the message with an id that the caller may see; inside, the refusal where there is none, or several.
///
/// # Errors
/// [`ReadError`], each.
pub(super) fn message_of(
    view: &View,
    permit: AuditPermit,
    id: MessageId,
    sender: Option<OfficeNumber>,
) -> Result<Result<Arc<MessageRow>, Refusal>, ReadError> {
    let mut found = view.find(permit, id, sender)?;
    Ok(match (found.pop(), found.is_empty()) {
        (None, _) => Err(unknown(id)),
        (Some(row), true) => Ok(row),
        (Some(row), false) => {
            found.push(row);
            let senders: Vec<_> = found.iter().map(|row| row.sender.office.to_string()).collect();
            let message = format!("{id} was used by {}: name the sending office", senders.join(", "));
            Err(Refusal::field("sender_office", message))
        }
    })
}

/// Tells one message's history; inside, the refusal of one that is not there or not for the caller to see.
///
/// # Errors
/// [`ReadError`], each.
pub(super) fn history(
    view: &View,
    journal: &Reader,
    permit: AuditPermit,
    id: MessageId,
    sender: Option<OfficeNumber>,
) -> Result<Result<DescribeMessageResponse, Refusal>, ReadError> {
    let row = match message_of(view, permit, id, sender)? {
        Ok(row) => row,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(history) = view.history(permit, row.index)? else { return Ok(Err(unknown(id))) };
    let policy = view.policy();
    let mut receipts = Vec::new();
    let mut next = Some(Index(0));
    while let Some(from) = next
        && receipts.len() < HISTORY_RECEIPTS_MAX
    {
        let page = view.receipts_about(permit, &row, from, HISTORY_RECEIPTS_MAX - receipts.len())?;
        for one in &page.rows {
            let named = MessageRef { index: row.index, message_id: row.message_id };
            let (receipt, note) = of_person(journal, permit, one)?;
            receipts.push(proto::ReceiptRow {
                stage: Some(stage_row(stage_of(one))),
                messages: vec![convert::message_ref(&named)],
                news: one.news,
                receipt,
                note,
            });
        }
        next = page.next;
    }
    Ok(Ok(DescribeMessageResponse {
        message: Some(message(&history.message)),
        envelope: journal.entry(row.index)?.map(|entry| entry.statement).unwrap_or_default(),
        deliveries: history.deliveries.iter().map(|row| delivery(&policy, row)).collect(),
        receipts,
        erasure: view.erasure_of(row.index)?.map(|row| erasure_row(view, journal, &row)).transpose()?,
    }))
}

/// A person's receipt and its note, which is for desks.
fn of_person(journal: &Reader, permit: AuditPermit, row: &ReceiptRow) -> Result<(Bytes, Bytes), ReadError> {
    let entry = if row.stage.is_persons() { journal.entry(row.index)? } else { None };
    let Some(entry) = entry else { return Ok(<(Bytes, Bytes)>::default()) };
    let note = match entry.payload {
        Payload::Kept(note) if permit != AuditPermit::All => note,
        _ => Bytes::new(),
    };
    Ok((entry.statement, note))
}

/// Reads a page of entries that the caller may see, and the place of the next one.
///
/// # Errors
/// [`ReadError`], each.
pub(super) fn entries(
    view: &View,
    journal: &Reader,
    selection: Selection,
    (from, until): (Index, Index),
    rows_max: usize,
) -> Result<(Vec<EntryRow>, Option<Index>), ReadError> {
    let policy = view.policy();
    let mut cursor = journal.from(from);
    let mut rows = Vec::new();
    let (mut next, mut bytes) = (from, 0);
    for _ in 0..ENTRIES_PER_PAGE_MAX {
        if next >= until || rows.len() == rows_max || bytes >= PAGE_BYTES_MAX {
            break;
        }
        let Some(entry) = cursor.next()? else { break };
        next = entry.index.next();
        let office = office_of(&policy, &entry.identity);
        let wanted = selection.office.is_none_or(|wanted| office == Some(wanted));
        if wanted && may_see(&policy, view, selection.permit, &entry)? {
            bytes += entry.statement.len();
            rows.push(entry_row(entry));
        }
    }
    Ok((rows, (next < until).then_some(next)))
}

fn office_of(policy: &Policy, identity: &str) -> Option<OfficeNumber> {
    match identity.parse() {
        Ok(Identity::Desk(desk)) => policy.number(&desk.office),
        _ => None,
    }
}

/// Whether somebody may see an entry.
///
/// # Errors
/// [`ReadError::Ledger`]
pub(super) fn may_see(
    policy: &Policy,
    view: &View,
    permit: AuditPermit,
    entry: &Entry,
) -> Result<bool, ReadError> {
    Ok(covers(permit, office_of(policy, &entry.identity)) || concerns(policy, view, permit, entry)?)
}

/// Whether an entry of somebody else's is an office's to see.
fn concerns(policy: &Policy, view: &View, permit: AuditPermit, entry: &Entry) -> Result<bool, ReadError> {
    let AuditPermit::Own(own) = permit else { return Ok(true) };
    Ok(match entry.kind {
        EntryKind::Directory | EntryKind::Epoch | EntryKind::Clock => true,
        EntryKind::Publish => view.message(entry.index)?.is_some_and(|row| row.recipients.contains(&own)),
        EntryKind::Receipt => match view.receipt(entry.index)? {
            Some(row) if row.notices.is_empty() => all_sent_by(view, own, &row.messages)?,
            _ => false,
        },
        EntryKind::Overdue => match convert::overdue(&entry.statement) {
            Ok(it) => policy.number(&it.office) == Some(own) || view.is_told(own, entry.index)?,
            Err(_) => false,
        },
        EntryKind::Erasure => match erasure::read(&entry.statement) {
            Ok(Erasure::Order { order, .. }) => {
                policy.number(order.sender()) == Some(own) || view.is_told(own, entry.index)?
            }
            Ok(Erasure::Retention { .. }) => true,
            Err(_) => false,
        },
        EntryKind::Refusal | EntryKind::Summary | EntryKind::Renewal => false,
    })
}

fn all_sent_by(view: &View, office: OfficeNumber, messages: &[Index]) -> Result<bool, ReadError> {
    for index in messages {
        if view.message(*index)?.is_none_or(|row| row.sender_office != office) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn entry_row(entry: Entry) -> EntryRow {
    EntryRow {
        index: entry.index.0,
        recorded_unix_us: entry.time.0,
        kind: entry.kind as i32,
        identity: entry.identity,
        statement: entry.statement,
    }
}

fn message(row: &Arc<MessageRow>) -> proto::MessageRow {
    proto::MessageRow {
        index: row.index.0,
        message_id: Bytes::copy_from_slice(row.message_id.as_bytes()),
        accepted_unix_us: row.accepted.0,
        sender: row.sender.to_string(),
        stream: row.stream.to_string(),
        message_class: row.class as i32,
        priority: row.priority as i32,
        status: row.status as i32,
        msg_type: row.msg_type as i32,
        expires_unix_us: row.expires.map(|at| at.0),
        about: row.about.as_ref().map(convert::message_ref),
    }
}

fn stage_of(row: &ReceiptRow) -> StageRow {
    StageRow {
        stage: row.stage,
        receipt: row.index,
        desk: row.desk.clone(),
        recorded: row.recorded,
        at: row.at,
        action: row.action,
        reason: row.reason.clone(),
    }
}

fn stage_row(row: StageRow) -> proto::StageRow {
    proto::StageRow {
        stage: row.stage as i32,
        receipt_index: row.receipt.0,
        desk: row.desk.to_string(),
        recorded_unix_us: row.recorded.0,
        at_unix_us: row.at.0,
        action: row.action.map_or(0, |action| action as i32),
        reason: row.reason,
    }
}
