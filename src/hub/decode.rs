//! From an entry of the journal to what the ledger applies: a pure function of the entry.
//!
//! What the door decoded and what a replay decodes is the same, so the same is decided.

use std::sync::Arc;

use bytes::Bytes;

use crate::ledger::entry::{Decoded, Statement};
use crate::model::entry::{Entry, EntryKind};
use crate::wire::signed::{SignedEnvelope, SignedReceipt};
use crate::wire::{amendment, convert, erasure};

/// Decodes a statement of a kind.
pub(super) fn statement(kind: EntryKind, bytes: &Bytes) -> Statement {
    let decoded = match kind {
        EntryKind::Publish => SignedEnvelope::read(bytes).map(publish),
        EntryKind::Receipt => SignedReceipt::read(bytes).map(|it| Statement::Receipt(Box::new(it.receipt))),
        EntryKind::Directory => amendment::read(bytes).map(|it| Statement::Amendment(Arc::new(it))),
        EntryKind::Renewal => convert::renewal(bytes).map(Statement::Renewal),
        EntryKind::Erasure => erasure::read(bytes).map(Statement::Erasure),
        EntryKind::Epoch => convert::epoch(bytes).map(Statement::Epoch),
        EntryKind::Overdue => convert::overdue(bytes).map(|it| Statement::Overdue(Box::new(it))),
        EntryKind::Clock => convert::clock_record(bytes).map(Statement::Clock),
        EntryKind::Refusal | EntryKind::Summary => Ok(Statement::Refusal),
    };
    decoded.unwrap_or_else(Statement::Undecodable)
}

/// What an envelope states.
pub(super) fn publish(signed: SignedEnvelope) -> Statement {
    let digest = signed.digest();
    Statement::Publish { envelope: Box::new(signed.envelope), digest }
}

/// Decodes an entry.
pub(super) fn entry(entry: &Entry) -> Decoded {
    with_statement(entry, statement(entry.kind, &entry.statement))
}

/// Joins an entry and its statement, decoded before.
pub(super) fn with_statement(entry: &Entry, statement: Statement) -> Decoded {
    Decoded { index: entry.index, time: entry.time, caller: entry.identity.parse().ok(), statement }
}
