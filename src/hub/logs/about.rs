//! All that a stranger needs to check what happened to one message, a part at a time.
//!
//! Owns which entries are about a message and which checkpoints go with them. Who may see what, the audit says: an entry that it
//! does not show is not given here, and of a receipt the one cover is opened that is about the message.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tonic::Status;

use super::super::Hub;
use super::super::rows::{self, HISTORY_RECEIPTS_MAX, PAGE_BYTES_MAX};
use super::Signed;
use super::parts::Parts;
use super::service::{NotGiven, failed, fault, hashes, standing};
use crate::ledger::LedgerError;
use crate::ledger::rows::MessageRow;
use crate::ledger::view::View;
use crate::model::entry::EntryKind;
use crate::model::id::Index;
use crate::model::identity::Identity;
use crate::model::policy::AuditPermit;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::convert;
use crate::wire::log::{Log, Recorded};
use crate::wire::proto::{CoverOpening, EvidenceEntry, ProveMessageRequest, ProveMessageResponse};
use crate::wire::signed::SignedReceipt;

/// Missed deadlines that are looked at for one page.
const OVERDUE_ROWS_MAX: usize = 1_024;

/// What is to be given.
pub(super) struct Plan {
    signed: Arc<Signed>,
    /// Entries under the checkpoint that is given.
    size: u64,
    message: Index,
    /// The first part, until it was given.
    checkpoints: Option<ProveMessageResponse>,
    /// Entries of the directory, then those about the message, whose place in this list is from `about` on.
    indexes: Vec<Index>,
    about: usize,
    /// How many of them were given.
    given: usize,
}

/// Works out what is about one message.
///
/// # Errors
/// The refusal of who may not see it, or asks while nothing covers it yet.
pub(super) fn plan(hub: &Hub, caller: &Identity, asked: &ProveMessageRequest) -> Result<Plan, NotGiven> {
    let (view, policy) = (&hub.door.view, hub.door.view.policy());
    let permit = policy.permit_audit(caller)?;
    let id = convert::message_id("message_id", &asked.message_id)?;
    let sender = match asked.sender_office.as_str() {
        "" => None,
        office => {
            let name = convert::name("sender_office", office)?;
            let unknown =
                || Refusal::new(Reason::OfficeUnknown, format!("the directory holds no office {name}"));
            Some(policy.number(&name).ok_or_else(|| unknown().of_field("sender_office"))?)
        }
    };
    let message = rows::message_of(view, permit, id, sender).map_err(|error| failed(&error))??;
    let entries = entries(view, permit, &message).map_err(|error| failed(&error))?;
    let last = entries.last().copied().unwrap_or(message.index);
    let (size, journal_checkpoint) = journal_note(hub, last)?;
    let indexes = view.directory_before(Index(size)).map_err(|error| failed(&error))?;
    let about = indexes.len();
    let directory_checkpoint = directory_note(hub, about as u64)?;
    Ok(Plan {
        // Newer than any round that was found above.
        signed: standing(hub, Log::Journal)?,
        size,
        message: message.index,
        checkpoints: Some(ProveMessageResponse {
            journal_checkpoint,
            directory_checkpoint,
            ..ProveMessageResponse::default()
        }),
        indexes: indexes.into_iter().chain(entries).collect(),
        about,
        given: 0,
    })
}

impl Parts for Plan {
    type Part = ProveMessageResponse;

    fn next(&mut self, hub: &Hub) -> Result<Option<ProveMessageResponse>, Status> {
        if let Some(checkpoints) = self.checkpoints.take() {
            return Ok(Some(checkpoints));
        }
        if self.given == self.indexes.len() {
            return Ok(None);
        }
        let part = part(hub, self, self.given)?;
        self.given += part.directory.len() + part.entries.len();
        Ok(Some(part))
    }
}

/// The entries about a message that the audit shows: itself, receipts, missed deadlines, its erasure.
fn entries(view: &View, permit: AuditPermit, message: &MessageRow) -> Result<BTreeSet<Index>, LedgerError> {
    let mut found = BTreeSet::from([message.index]);
    let mut next = Some(Index(0));
    while let Some(from) = next
        && found.len() <= HISTORY_RECEIPTS_MAX
    {
        let page = view.receipts_about(permit, message, from, HISTORY_RECEIPTS_MAX + 1 - found.len())?;
        found.extend(page.rows.iter().map(|row| row.index));
        next = page.next;
    }
    let mut next = Some(message.index);
    while let Some(from) = next {
        let page = view.overdue((permit, None), from, OVERDUE_ROWS_MAX)?;
        let about = page.rows.iter().filter(|row| row.missed.message() == Some(message.index));
        found.extend(about.map(|row| row.index));
        next = page.next;
    }
    found.extend(view.erasure_of(message.index)?.map(|row| row.index));
    Ok(found)
}

/// The smallest checkpoint that covers an entry and that enough witnesses have cosigned; else the newest.
pub(super) fn journal_note(hub: &Hub, last: Index) -> Result<(u64, Bytes), NotGiven> {
    if let Some(rounds) = hub.logs.of(Log::Journal).rounds().as_ref() {
        let newest = || rounds.newest().filter(|size| *size > last.0);
        let size = rounds.witnessing(last.0).or_else(newest);
        let note = size.map(|size| rounds.note(size)).transpose().map_err(|error| failed(&error))?;
        if let Some((size, note)) = size.zip(note.flatten()) {
            return Ok((size, note));
        }
    }
    let signed = standing(hub, Log::Journal)?;
    let size = signed.tree.head.size;
    if size > last.0 {
        return Ok((size, signed.note.clone()));
    }
    let message = format!("no checkpoint covers entry {last} yet: ask again in some seconds");
    Err(Refusal::new(Reason::Busy, message).retry_after_ms(super::CHECKPOINT_EVERY_US / 1_000).into())
}

/// The largest checkpoint of the directory over so many entries at most, likewise; empty where there is none.
pub(super) fn directory_note(hub: &Hub, entries: u64) -> Result<Bytes, NotGiven> {
    let shown = hub.logs.of(Log::Directory);
    if let Some(rounds) = shown.rounds().as_ref() {
        let newest = || rounds.newest().filter(|size| *size <= entries);
        let size = rounds.witnessed_within(entries).or_else(newest);
        let note = size.map(|size| rounds.note(size)).transpose().map_err(|error| failed(&error))?;
        if let Some(note) = note.flatten() {
            return Ok(note);
        }
    }
    let signed = shown.signed().filter(|signed| signed.tree.head.size <= entries);
    Ok(signed.map(|signed| signed.note.clone()).unwrap_or_default())
}

/// Makes a part from a place on: as many entries as fit, at least one.
///
/// # Errors
/// A fault of this hub's.
fn part(hub: &Hub, plan: &Plan, from: usize) -> Result<ProveMessageResponse, Status> {
    let mut part = ProveMessageResponse::default();
    let mut first = plan.signed.first(plan.size).map_err(|error| fault(&error))?;
    let mut bytes = 0;
    for (place, index) in plan.indexes.iter().enumerate().skip(from) {
        let entry = hub.journal.entry(*index).map_err(|error| fault(&error))?;
        let entry =
            entry.ok_or_else(|| fault(&format!("entry {index} is in the ledger and not in the journal")))?;
        let opening = match entry.kind {
            EntryKind::Receipt => {
                let receipt = SignedReceipt::read(&entry.statement).map_err(|error| fault(&error))?;
                receipt.opening(plan.message)
            }
            _ => None,
        };
        let cover = opening.map(|(place, salt)| CoverOpening {
            place: u32::try_from(place).unwrap_or(u32::MAX),
            salt: Bytes::copy_from_slice(&salt),
        });
        let recorded = Recorded::from(&entry);
        let path = first.inclusion(index.0).map_err(|error| fault(&error))?;
        let given = EvidenceEntry {
            index: index.0,
            recorded_unix_us: entry.time.0,
            kind: entry.kind as i32,
            identity: entry.identity.clone(),
            statement: recorded.statement.clone(),
            nonce: Bytes::copy_from_slice(&entry.nonce),
            path: hashes(path.hashes()),
            cover,
        };
        bytes += given.statement.len() + 32 * given.path.len();
        if bytes > PAGE_BYTES_MAX && place > from {
            break;
        }
        if place < plan.about { part.directory.push(given) } else { part.entries.push(given) }
    }
    Ok(part)
}
