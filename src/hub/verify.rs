//! Checking a hub that is not running: every frame of the journal, that the ledger says what the journal says, and that the
//! logs' tiles and last checkpoints are those of the journal.
//!
//! Owns the comparison. The ledger is built a second time beside the first, from the journal alone, and the two must
//! have the same rows, byte for byte. Changes nothing but what every start changes: a torn tail of the journal is cut, a
//! ledger that is behind is fed, one that cannot be used is built anew, and that is told as not whole.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::home::{Home, HomeError};
use super::logs;
use super::logs::check::{CheckedLog, Held};
use super::logs::keeper::LogError;
use super::manifest::hex;
use super::open::{self, News, OpenError, Opened};
use super::run::Host;
use crate::journal::{self, JournalError, Verified};
use crate::ledger::LedgerError;
use crate::ledger::erasures::Erased;
use crate::ledger::store::{Direction, Store, StoreError};
use crate::model::id::Index;
use crate::model::policy::AuditPermit;
use crate::wire::log::Log;

/// Rows compared at a time.
const PAGE_ROWS: usize = 4_096;

/// What a check found to be whole.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Of the journal.
    pub journal: Verified,
    /// Rows of the ledger.
    pub ledger_rows: u64,
    /// Both logs.
    pub logs: [CheckedLog; 2],
    /// Payloads that are to be erased and are not overwritten yet: the hub does it when it runs.
    pub to_erase: u64,
}

/// Why a check did not end well.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The hub cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The journal is damaged or cannot be read.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The ledger cannot be read.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// The ledger's store cannot be read.
    #[error("ledger: {0}")]
    Store(#[from] StoreError),
    /// The ledger says something else than the journal.
    #[error(
        "the ledger does not agree with the journal at row {key}: the ledger has {found}, the journal gives \
         {expected}; `resguardo hub rebuild` builds it anew"
    )]
    Differs {
        /// The row's key, in hex.
        key: String,
        /// What the ledger has.
        found: String,
        /// What the journal gives.
        expected: String,
    },
    /// A log does not agree with the journal, its tiles or its last checkpoint.
    #[error("logs: {0}")]
    Log(#[from] LogError),
    /// A payload is gone that nothing says is to be erased.
    #[error("the payload of entry {0} is erased, and no entry of the journal says that it is to be")]
    ErasedWithoutOrder(Index),
    /// The ledger could not be used. It was built anew, and the new one is whole.
    #[error("{0}: it was built anew from the journal, which is whole, and agrees with it now")]
    LedgerSetAside(String),
}

/// Checks a hub. `news` hears of the opening, `progress` of the journal's entries checked so far.
///
/// # Errors
/// [`VerifyError`]: the first thing that is not whole.
pub fn verify(
    host: &Host,
    dir: &Path,
    news: &mut dyn FnMut(&News),
    progress: &mut dyn FnMut(&Verified),
) -> Result<Report, VerifyError> {
    let home = Home::at(dir);
    let _lock = home.lock(host.disk.as_ref())?;
    let config = home.config(host.disk.as_ref())?;
    let mut aside = None;
    let opened = open::open(host, &home, &config, &mut |one| {
        if let News::LedgerSetAside(set_aside) = one {
            aside = Some(set_aside.why.to_string());
        }
        news(one);
    })?;
    let mut gone = Vec::new();
    let journal = journal::verify(&opened.reader, progress, &mut |index| gone.push(index))?;
    let waiting = erasures(&opened, &gone)?;
    let logs = home.logs();
    let held = Held { disk: &host.disk, dir: &logs, reader: &opened.reader, policy: opened.view.policy() };
    let logs = [logs::check::check(&held, Log::Journal)?, logs::check::check(&held, Log::Directory)?];
    let beside = dir.join("ledger.verify");
    // A leftover of a check that was cut short.
    host.stores.remove(&beside)?;
    let second = host.stores.open(&beside, config.ledger.cache_bytes)?.store;
    let (_, rows, _) = open::catch_up(host, &opened.reader, Arc::clone(&second), &mut |one| match one {
        News::CatchingUp(progress) => news(&News::BuildingSecond(*progress)),
        other => news(other),
    })?;
    let compared = compare(opened.store.as_ref(), second.as_ref());
    rows.close()?;
    opened.close()?;
    drop(second);
    host.stores.remove(&beside)?;
    let ledger_rows = compared?;
    aside.map_or(Ok(Report { journal, ledger_rows, logs, to_erase: waiting }), |why| {
        Err(VerifyError::LedgerSetAside(why))
    })
}

/// Holds the payloads that are gone, ascending, against what the journal says is to be erased; gives how many are to be and
/// are not yet.
fn erasures(opened: &Opened, gone: &[Index]) -> Result<u64, VerifyError> {
    let view = &opened.view;
    for index in gone {
        if !view.is_to_go(*index)? {
            return Err(VerifyError::ErasedWithoutOrder(*index));
        }
    }
    let (mut next, mut kept_from, mut waiting) = (Some(Index(0)), Index(0), 0);
    while let Some(from) = next {
        let page = view.erasures((AuditPermit::All, None), from, PAGE_ROWS)?;
        for row in &page.rows {
            let messages = view.to_erase(row, kept_from)?;
            let waits = messages.iter().filter(|message| gone.binary_search(&message.index).is_err());
            waiting += waits.count() as u64;
            for message in &messages {
                let notes = view.notes_about(message)?;
                waiting += notes.iter().filter(|note| gone.binary_search(note).is_err()).count() as u64;
            }
            if let Erased::Until(until) = row.what {
                kept_from = until.next();
            }
        }
        next = page.next;
    }
    Ok(waiting)
}

type Row = (Vec<u8>, Vec<u8>);

fn compare(found: &dyn Store, expected: &dyn Store) -> Result<u64, VerifyError> {
    let mut from = Vec::new();
    let mut rows = 0;
    loop {
        let (ours, theirs) = (page(found, &from)?, page(expected, &from)?);
        for at in 0..ours.len().max(theirs.len()) {
            let (our, their) = (ours.get(at), theirs.get(at));
            if our != their {
                return Err(differs(our, their));
            }
        }
        rows += ours.len() as u64;
        let Some((last, _)) = ours.last() else { return Ok(rows) };
        from.clone_from(last);
        // The smallest key after it.
        from.push(0);
    }
}

fn page(store: &dyn Store, from: &[u8]) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::with_capacity(PAGE_ROWS);
    // Keys begin with a letter, so every key is before this.
    store.scan(from, &[0xff], Direction::Ascending, &mut |key, value| {
        rows.push((key.to_owned(), value.to_owned()));
        if rows.len() < PAGE_ROWS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(rows)
}

fn differs(found: Option<&Row>, expected: Option<&Row>) -> VerifyError {
    let smaller = match (found, expected) {
        (Some((ours, _)), Some((theirs, _))) => ours.min(theirs),
        (Some((key, _)), None) | (None, Some((key, _))) => key,
        (None, None) => unreachable!("two missing rows do not differ"),
    };
    let said = |row: Option<&Row>| match row {
        Some((key, value)) if key == smaller => hex(value),
        _ => "none".into(),
    };
    VerifyError::Differs { key: hex(smaller), found: said(found), expected: said(expected) }
}
