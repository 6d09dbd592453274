//! Carrying erasures out: payloads overwritten in the journal, files that no kept message needs removed.
//!
//! Owns the rhythm, the hub's own word that the time is over for which policy keeps payloads, and a file that says how far
//! it has come. Never decides what is to be erased: the ledger says it. Nobody is given what is erased from the order on,
//! whether its bytes are overwritten yet or not.
//! At a crash: the file is written after the bytes; what came after the last time is carried out once more. Without the
//! file everything is.

use std::sync::Arc;
use std::time::Duration;

use super::Hub;
use super::alarms::Alarm;
use super::deadlines::put_in;
use super::files::NotDone;
use super::manifest::hex;
use super::rows::ReadError;
use super::submit::Submitted;
use crate::files::DiskError;
use crate::journal::{self, JournalError};
use crate::ledger::LedgerError;
use crate::ledger::entry::Statement;
use crate::ledger::erasures::{Erased, ErasureRow};
use crate::model::entry::{EntryKind, Proposal};
use crate::model::envelope::{FileDigest, MessageClass};
use crate::model::erasure::Erasure;
use crate::model::id::Index;
use crate::model::identity::Name;
use crate::model::policy::AuditPermit;
use crate::wire::erasure;
use crate::wire::signed::SignedEnvelope;

/// How often it is looked whether the time is over for a payload, and what failed is tried again.
const LOOK: Duration = Duration::from_mins(1);
/// Messages that one word of the hub's takes: at 10,000 a day, a few words each night.
const LOT_MAX: usize = 4_096;
/// Erasures read at once.
const ROWS_MAX: usize = 64;
/// Bytes of the file that says how far it has come.
const PLACE_BYTES_MAX: u64 = 256;

/// How far erasures were carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// The next entry to look at.
    next: Index,
    /// Where payloads begin that the end of no retention has taken.
    kept_from: Index,
}

/// Begins to carry erasures out, until the hub stops.
pub(super) fn begin(hub: &Arc<Hub>) {
    hub.tasks.spawn("eraser", Box::pin(run(Arc::clone(hub))));
}

async fn run(hub: Arc<Hub>) {
    let mut bell = hub.live.listen_erasures();
    let mut place = hub.place();
    loop {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            gone_on = go_on(&hub, place) => match gone_on {
                Ok(reached) => {
                    place = reached;
                    hub.alarms.set(Alarm::ErasuresWait, None);
                }
                Err(Failed::Journal(error)) => hub.erasures_wait(&error),
                Err(Failed::Files(error)) => hub.erasures_wait(&error),
                // The hub stops, or its ledger failed and it ends by that.
                Err(Failed::Ended) => return,
            }
        }
        tokio::select! {
            () = hub.stop.cancelled() => return,
            rung = bell.changed() => if rung.is_err() { return },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Why it cannot go on.
enum Failed {
    Journal(JournalError),
    Files(DiskError),
    Ended,
}

/// Says what has been kept long enough, and carries out everything that is said by then.
async fn go_on(hub: &Arc<Hub>, mut place: Place) -> Result<Place, Failed> {
    loop {
        place = carry_out(hub, place).await?;
        if hub.door.view.suspended().is_some() {
            return Ok(place);
        }
        let (view, now) = (hub.door.view.clone(), hub.clock.now());
        let due = hub.audits.run(move || view.retention_due(now, LOT_MAX)).await;
        let due = due.map_err(|_| Failed::Ended)?.map_err(|error| hub.ended(error))?;
        let Some(until) = due else { return Ok(place) };
        let kept_from = place.kept_from;
        let said = Erasure::Retention { until };
        let (kind, statement) = (EntryKind::Erasure, erasure::retention_bytes(until));
        let proposal = Proposal { kind, identity: hub.identity.to_string(), statement, payload: None };
        let item = Submitted { proposal, statement: Statement::Erasure(said), pins: None };
        put_in(hub, vec![item]).await.map_err(|_| Failed::Ended)?;
        place = carry_out(hub, place).await?;
        if place.kept_from == kept_from {
            // The ledger did not take it; in a minute it may be another day.
            return Ok(place);
        }
    }
}

/// Carries out what was said and not carried out yet.
async fn carry_out(hub: &Arc<Hub>, mut place: Place) -> Result<Place, Failed> {
    hub.settled().await.map_err(|_| Failed::Ended)?;
    loop {
        let (view, from) = (hub.door.view.clone(), place.next);
        let page = hub.audits.run(move || view.erasures((AuditPermit::All, None), from, ROWS_MAX)).await;
        let page = page.map_err(|_| Failed::Ended)?.map_err(|error| hub.ended(error))?;
        for row in &page.rows {
            let (shared, one, kept_from) = (Arc::clone(hub), Arc::clone(row), place.kept_from);
            let done = hub.transfers.in_lane(move || shared.overwrite(&one, kept_from)).await;
            let (payloads, files) = match done.ok_or(Failed::Ended)? {
                Ok(done) => done,
                Err(ReadError::Journal(error)) => return Err(Failed::Journal(error)),
                Err(ReadError::Ledger(error)) => return Err(hub.ended(error)),
            };
            for (sender, digest) in files {
                hub.forget_file(sender, digest).await.map_err(|error| match error {
                    NotDone::Disk(error) => Failed::Files(error),
                    NotDone::Ledger(error) => hub.ended(error),
                    NotDone::Refused(_) | NotDone::Status(_) => Failed::Ended,
                })?;
            }
            tracing::info!(index = %row.index, payloads, "an erasure was carried out");
            place.next = row.index.next();
            if let Erased::Until(until) = row.what {
                place.kept_from = until.next();
            }
        }
        if !page.rows.is_empty() {
            hub.note_place(place);
        }
        match page.next {
            Some(next) => place.next = next,
            None => return Ok(place),
        }
    }
}

impl Hub {
    /// Overwrites what an erasure names. Gives how many payloads that were, and the files of these messages.
    fn overwrite(
        &self,
        row: &ErasureRow,
        kept_from: Index,
    ) -> Result<(u64, Vec<(Name, FileDigest)>), ReadError> {
        let messages = self.door.view.to_erase(row, kept_from)?;
        let mut indexes: Vec<_> = messages.iter().map(|message| message.index).collect();
        for message in &messages {
            indexes.extend(self.door.view.notes_about(message)?);
        }
        indexes.sort_unstable();
        let payloads = journal::erase(&self.journal, indexes.iter().copied())?;
        self.live.forget(&indexes);
        let mut files = Vec::new();
        for message in messages.iter().filter(|message| message.class == MessageClass::Packet) {
            let entry = self.journal.entry(message.index)?;
            // The ledger decoded it once, so it is an envelope.
            let Some(Ok(read)) = entry.map(|entry| SignedEnvelope::read(&entry.statement)) else { continue };
            let envelope = read.envelope;
            let sender = &envelope.sender.office;
            files.extend(envelope.files.iter().map(|file| (sender.clone(), file.digest)));
        }
        Ok((payloads, files))
    }

    fn erasures_wait(&self, error: &dyn std::error::Error) {
        let wrong =
            format!("what is to be erased cannot be overwritten, it is tried again each minute: {error}");
        self.alarms.set(Alarm::ErasuresWait, Some(wrong));
    }

    fn ended(&self, error: LedgerError) -> Failed {
        // The hub ends by it.
        let _ = self.ledger_fault(error);
        Failed::Ended
    }

    /// Reads how far erasures were carried out: from the start where that is not known of this journal.
    fn place(&self) -> Place {
        let read = self.disk.read(&self.run.erased, PLACE_BYTES_MAX);
        let text = read.ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let parts: Vec<_> = text.split_whitespace().collect();
        match parts[..] {
            [journal, next, kept_from] if journal == hex(&self.journal.mark().journal) => {
                match (next.parse(), kept_from.parse()) {
                    (Ok(next), Ok(kept_from)) => Place { next: Index(next), kept_from: Index(kept_from) },
                    _ => Place::default(),
                }
            }
            _ => Place::default(),
        }
    }

    /// Writes down how far erasures were carried out. A place that is lost costs carrying them out again.
    fn note_place(&self, place: Place) {
        let journal = hex(&self.journal.mark().journal);
        let text = format!("{journal} {} {}\n", place.next.0, place.kept_from.0);
        if let Err(error) = self.disk.write_atomically(&self.run.erased, text.as_bytes()) {
            tracing::warn!(%error, "it cannot be written down how far erasures were carried out");
        }
    }
}
