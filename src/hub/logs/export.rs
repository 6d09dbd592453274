//! All entries of the journal from one to another, with what lets a stranger check that none is missing between, a part at a time.
//!
//! Owns how far an export goes and what of it is hidden. Who may see what, the audit and evidence say: of an entry that neither would
//! show, the record alone is given; of a receipt those covers are opened that the caller may see. A reader that stops reading costs
//! no more than a part.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use tonic::Status;

use super::super::Hub;
use super::super::rows::{self, PAGE_BYTES_MAX, ReadError};
use super::Signed;
use super::about::{directory_note, journal_note};
use super::parts::Parts;
use super::service::{NotGiven, failed, fault, hashes, standing};
use crate::ledger::view::View;
use crate::model::entry::{Entry, EntryKind};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::policy::{AuditPermit, Policy};
use crate::model::refusal::{Reason, Refusal};
use crate::wire::log::{Log, Recorded};
use crate::wire::proto::export_frame::Frame;
use crate::wire::proto::{
    EvidenceEntry, ExportEntriesRequest, ExportEntriesResponse, ExportFrame, ExportHead, ExportedEntry,
    OpenedCover,
};
use crate::wire::signed::SignedReceipt;

/// Entries read for one part at most: others wait for the lane, too.
const ENTRIES_PER_PART_MAX: usize = 512;

/// What is to be given.
pub(super) struct Plan {
    permit: AuditPermit,
    signed: Arc<Signed>,
    /// Entries under the checkpoint that is given.
    size: u64,
    head: ExportHead,
    /// The directory's entries, ascending: they stand before the range and have no place in it.
    directory: Vec<Index>,
    next: Next,
}

/// How far it is.
#[derive(Clone, Copy)]
enum Next {
    Head,
    Directory(usize),
    Range(u64),
    Done,
}

/// Works out what an export has.
///
/// # Errors
/// The refusal of who may not ask, of a range that has no entry, or of one that nothing covers yet.
pub(super) fn plan(hub: &Hub, caller: &Identity, asked: &ExportEntriesRequest) -> Result<Plan, NotGiven> {
    let permit = hub.door.view.policy().permit_audit(caller)?;
    let (from, until) = range(hub, asked)?;
    let (size, journal_checkpoint) = journal_note(hub, Index(until - 1))?;
    let directory = hub.door.view.directory_before(Index(size)).map_err(|error| failed(&error))?;
    let directory_checkpoint = directory_note(hub, directory.len() as u64)?;
    // Newer than any round that was found above.
    let signed = standing(hub, Log::Journal)?;
    let before = signed.first(from).and_then(|mut first| first.edge()).map_err(|error| failed(&error))?;
    let growth = signed.first(size).and_then(|mut first| first.consistency(until));
    let growth = growth.map_err(|error| failed(&error))?;
    let head = ExportHead {
        from_index: from,
        until_index: until,
        directory_entries: directory.len() as u64,
        edge: hashes(before.edge()),
        consistency: hashes(growth.hashes()),
        journal_checkpoint,
        directory_checkpoint,
    };
    Ok(Plan { permit, signed, size, head, directory, next: Next::Head })
}

impl Parts for Plan {
    type Part = ExportEntriesResponse;

    fn next(&mut self, hub: &Hub) -> Result<Option<ExportEntriesResponse>, Status> {
        loop {
            let (frames, next) = match self.next {
                Next::Head => (vec![frame(Frame::Head(self.head.clone()))], Next::Directory(0)),
                Next::Directory(from) => directory_part(hub, self, from)?,
                Next::Range(from) => range_part(hub, self, from)?,
                Next::Done => return Ok(None),
            };
            self.next = next;
            if !frames.is_empty() {
                return Ok(Some(ExportEntriesResponse { frames }));
            }
        }
    }
}

/// Works out from which entry and up to which one is asked for, and that a checkpoint covers them.
fn range(hub: &Hub, asked: &ExportEntriesRequest) -> Result<(u64, u64), NotGiven> {
    let covered = standing(hub, Log::Journal)?.tree.head.size;
    let there = hub.journal.mark().next_index.0;
    let at = |time| hub.journal.index_at(UnixMicros(time)).map(|it| it.0).map_err(|error| failed(&error));
    let since = asked.from_unix_us.map(at).transpose()?.unwrap_or(0);
    let from = asked.from_index.max(since);
    if asked.until_index.is_some_and(|until| until > there) {
        let message = format!("the journal has {there} entries: it can be given up to that index, left out");
        return Err(Refusal::field("until_index", message).into());
    }
    let to_come = |time| time > hub.clock.now().0;
    let by_time = asked.until_unix_us.map(|time| Ok(if to_come(time) { covered } else { at(time)? }));
    let by_time = by_time.transpose().map_err(|error: NotGiven| error)?;
    let until = match (asked.until_index, by_time) {
        (None, None) => {
            let witnessed = hub.logs.of(Log::Journal).rounds().as_ref().and_then(super::Rounds::witnessed);
            witnessed.filter(|size| *size > from).unwrap_or(covered)
        }
        (index, time) => index.into_iter().chain(time).min().unwrap_or(covered),
    };
    let not_covered = from.max(until.saturating_sub(1));
    if until > covered || (until <= from && from >= covered && from < there) {
        let message = format!("no checkpoint covers entry {not_covered} yet: ask again in some seconds");
        let busy = Refusal::new(Reason::Busy, message);
        return Err(busy.retry_after_ms(super::CHECKPOINT_EVERY_US / 1_000).into());
    }
    if until <= from {
        let message = format!("no entry of the journal is from {from} on and before {until}; it has {there}");
        return Err(Refusal::field("from_index", message).into());
    }
    Ok((from, until))
}

/// Entries of the directory from a place on, each with its path: as many as fit, at least one.
fn directory_part(hub: &Hub, plan: &Plan, from: usize) -> Result<(Vec<ExportFrame>, Next), Status> {
    let mut first = plan.signed.first(plan.size).map_err(|error| fault(&error))?;
    let (mut frames, mut bytes) = (Vec::new(), 0);
    for (place, index) in plan.directory.iter().enumerate().skip(from) {
        let entry = hub.journal.entry(*index).map_err(|error| fault(&error))?;
        let entry =
            entry.ok_or_else(|| fault(&format!("entry {index} is in the ledger and not in the journal")))?;
        let path = first.inclusion(index.0).map_err(|error| fault(&error))?;
        let given = frame(Frame::Directory(EvidenceEntry {
            index: index.0,
            recorded_unix_us: entry.time.0,
            kind: entry.kind as i32,
            identity: entry.identity,
            statement: entry.statement,
            nonce: Bytes::copy_from_slice(&entry.nonce),
            path: hashes(path.hashes()),
            cover: None,
        }));
        bytes += given.encoded_len();
        if bytes > PAGE_BYTES_MAX && place > from {
            return Ok((frames, Next::Directory(place)));
        }
        frames.push(given);
    }
    Ok((frames, Next::Range(plan.head.from_index)))
}

/// Entries of the range from an index on: as many as fit, at least one.
fn range_part(hub: &Hub, plan: &Plan, from: u64) -> Result<(Vec<ExportFrame>, Next), Status> {
    let (policy, view) = (hub.door.view.policy(), &hub.door.view);
    let mut cursor = hub.journal.from(Index(from));
    let (mut frames, mut bytes, mut next) = (Vec::new(), 0, from);
    for _ in 0..ENTRIES_PER_PART_MAX {
        if next == plan.head.until_index {
            return Ok((frames, Next::Done));
        }
        let entry = cursor.next().map_err(|error| fault(&error))?;
        let entry =
            entry.ok_or_else(|| fault(&format!("entry {next} is in the log and not in the journal")))?;
        if plan.directory.binary_search(&entry.index).is_err() {
            let given = entry_frame((&policy, view), plan.permit, &entry);
            let given = given.map_err(|error| hub.page_fault(error))?;
            bytes += given.encoded_len();
            if bytes > PAGE_BYTES_MAX && !frames.is_empty() {
                break;
            }
            frames.push(given);
        }
        next += 1;
    }
    Ok((frames, Next::Range(next)))
}

fn entry_frame(
    (policy, view): (&Policy, &View),
    permit: AuditPermit,
    entry: &Entry,
) -> Result<ExportFrame, ReadError> {
    let recorded = Recorded::from(entry);
    let Some(covers) = opened((policy, view), permit, entry)? else {
        let record = recorded.record(&entry.nonce);
        return Ok(frame(Frame::Hidden(Bytes::copy_from_slice(&record.0))));
    };
    Ok(frame(Frame::Entry(ExportedEntry {
        recorded_unix_us: entry.time.0,
        kind: entry.kind as i32,
        identity: entry.identity.clone(),
        statement: recorded.statement,
        nonce: Bytes::copy_from_slice(&entry.nonce),
        covers,
    })))
}

/// Whether somebody may see an entry: then, of a receipt, the covers that they may see.
fn opened(
    (policy, view): (&Policy, &View),
    permit: AuditPermit,
    entry: &Entry,
) -> Result<Option<Vec<OpenedCover>>, ReadError> {
    let whole = rows::may_see(policy, view, permit, entry)?;
    if entry.kind != EntryKind::Receipt {
        return Ok(whole.then(Vec::new));
    }
    // One that cannot be read covers nothing that could be opened.
    let Ok(receipt) = SignedReceipt::read(&entry.statement) else { return Ok(None) };
    let counts = whole || view.receipt(entry.index)?.is_some();
    let mut covers = Vec::new();
    for covered in receipt.receipt.messages.iter().filter(|_| counts) {
        let sent = |own| {
            let row = view.message(covered.index)?;
            Ok::<_, ReadError>(row.is_some_and(|row| row.sender_office == own))
        };
        // As evidence of one message shows its sender who stated what.
        let seen = match permit {
            AuditPermit::Own(own) if !whole => sent(own)?,
            _ => whole,
        };
        if let (true, Some((place, salt))) = (seen, receipt.opening(covered.index)) {
            covers.push(OpenedCover {
                place: u32::try_from(place).unwrap_or(u32::MAX),
                salt: Bytes::copy_from_slice(&salt),
                message_id: Bytes::copy_from_slice(covered.message_id.as_bytes()),
                envelope_digest: Bytes::copy_from_slice(&covered.digest),
            });
        }
    }
    Ok((whole || !covers.is_empty()).then_some(covers))
}

fn frame(frame: Frame) -> ExportFrame {
    ExportFrame { frame: Some(frame) }
}
