//! Founding and opening: journal first, then the ledger brought up to it.
//!
//! Owns the decision whether a ledger is trusted. The journal is the truth: a ledger that is missing, damaged, of another
//! journal or of another format is moved aside and built anew; one that is behind is fed what it lacks; one that knows
//! of more than the journal holds shows that the journal has lost something, and nothing is started.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::config::Config;
use super::decode;
use super::home::{self, Home, HomeError};
use super::logs;
use super::logs::check::Held;
use super::logs::keeper::LogError;
use super::run::Host;
use super::sequence::HUB_NUMBER;
use crate::journal::{self, JournalError, Options, Reader, Recovery, Writer};
use crate::ledger::store::{SetAside, Store, Stores};
use crate::ledger::view::View;
use crate::ledger::{self, Ledger, LedgerError};
use crate::model::entry::{Batch, BatchName, EntryKind, Mark, Proposal};
use crate::model::id::Position;
use crate::model::identity::Identity;
use crate::model::policy::Policy;
use crate::model::refusal::Refusal;
use crate::wire::amendment;
use crate::wire::log::Log;
use crate::wire::trust::{Trust, TrustError};

/// Progress is told each time that this many more entries are in.
const PROGRESS_ENTRIES: u64 = 50_000;

/// Why a hub does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its logs do not agree with the journal.
    #[error("logs: {0}")]
    Log(#[from] LogError),
    /// Its trust file is not one.
    #[error(transparent)]
    Trust(TrustError),
    /// Its founding is not one.
    #[error(transparent)]
    Founding(Refusal),
    /// It was founded before.
    #[error("{0} holds a journal already: a hub is founded once; name another home, or run this one")]
    Founded(PathBuf),
    /// It was never founded.
    #[error("{0} holds no founded journal: run `resguardo hub init` first")]
    NotFounded(PathBuf),
    /// Its journal is gone: the ledger knows of one.
    #[error(
        "the journal of {0} is gone, though the ledger knows of it: bring it back from a copy; nothing was changed"
    )]
    JournalLost(PathBuf),
    /// The journal.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The ledger, also after it was built anew.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// The ledger is of another journal, or in a format that this version does not know.
    #[error("the ledger is of another journal, or in a format that this version does not know")]
    LedgerForeign,
    /// The host's stop came.
    #[error("stopped before the ledger had taken in what it lacks; the next start goes on from there")]
    Stopped,
}

/// How far the ledger is with what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries applied so far.
    pub applied: u64,
    /// Entries that it lacked.
    pub lacked: u64,
    /// Entries a second, since it began.
    pub per_s: u64,
}

impl Progress {
    fn since(began_us: u64, now_us: u64, applied: u64, lacked: u64) -> Self {
        let per_s = applied.saturating_mul(1_000_000) / now_us.saturating_sub(began_us).max(1);
        Self { applied, lacked, per_s }
    }

    /// Whole seconds that the rest takes at this rate.
    pub fn left_s(self) -> u64 {
        (self.lacked - self.applied).div_ceil(self.per_s.max(1))
    }
}

/// How long the parts of an opening took, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// The ledger's store itself: sled's own reading of its files.
    pub store_us: u64,
    /// The journal.
    pub journal_us: u64,
    /// The ledger: its rows read, what is open remembered, what it lacked taken in.
    pub ledger_us: u64,
}

/// Something that an operator should know of an opening.
#[derive(Debug)]
pub enum News {
    /// What the journal's opening found and mended.
    Journal(Recovery),
    /// The ledger could not be used: it was moved aside, and another is built.
    LedgerSetAside(SetAside),
    /// The ledger is fed what it lacks.
    CatchingUp(Progress),
    /// A second ledger is built, for a check of the first.
    BuildingSecond(Progress),
}

/// An open hub, not yet running.
pub struct Opened {
    /// The journal, for writing.
    pub journal: Writer,
    /// The journal, for reading.
    pub reader: Reader,
    /// The ledger, for deciding.
    pub ledger: Ledger,
    /// The ledger, for its rows.
    pub rows: ledger::Writer,
    /// The ledger, for reading.
    pub view: View,
    /// Where the ledger's rows are.
    pub store: Arc<dyn Store>,
    /// This run's number: one more than the last run that wrote.
    pub run: u64,
    /// How long it took.
    pub took: Took,
}

impl Opened {
    /// Closes journal and ledger in order.
    ///
    /// # Errors
    /// [`OpenError::Ledger`], [`OpenError::Journal`].
    pub fn close(self) -> Result<(), OpenError> {
        self.journal.close()?;
        Ok(self.rows.close()?)
    }
}

/// Founds a hub: makes its journal, whose first entry is the founding that the registrars signed; gives how many facts it has, and what homes are to trust.
///
/// # Errors
/// [`OpenError`]; a founding that was cut short can be made again.
pub fn found(
    host: &Host,
    home: &Home,
    founding: Option<&Path>,
    news: &mut dyn FnMut(&News),
) -> Result<(usize, Trust), OpenError> {
    let _lock = home.lock(host.disk.as_ref())?;
    let config = home.config(host.disk.as_ref())?;
    let path = founding.map_or_else(|| home.founding(), Path::to_owned);
    let statement = Bytes::from(home::bytes(host.disk.as_ref(), &path)?);
    let signed = amendment::read(&statement).map(Arc::new).map_err(OpenError::Founding)?;
    Policy::default().amend(&signed).map_err(OpenError::Founding)?;
    // Where the home says whom it trusts, it founds nothing else.
    if let Ok(text) = home::bytes(host.disk.as_ref(), &home.trust()) {
        let trust = Trust::parse(&String::from_utf8_lossy(&text)).map_err(OpenError::Trust)?;
        trust.check(&signed).map_err(OpenError::Founding)?;
    }
    let (mut journal, _, recovery) = made(host, home, &config, news)?;
    news(&News::Journal(recovery));
    if journal.mark().position != Position(0) {
        return Err(OpenError::Founded(home.journal()));
    }
    let name = BatchName { hub: HUB_NUMBER, run: 0, number: 0 };
    let hub = Identity::Hub(config.name).to_string();
    let proposal = Proposal { kind: EntryKind::Directory, identity: hub, statement, payload: None };
    let seed = host.random.seed();
    journal.append(&Batch { name, time: host.clock.now(), seed, proposals: vec![proposal] })?;
    journal.close()?;
    Ok((signed.entry.facts().len(), Trust::of(&signed)))
}

/// Opens the journal of a home that may be founded, or makes it. A home that has lost its journal is not founded anew:
/// what was acknowledged in it must be brought back. One that is founded already loses nothing by a second try.
fn made(
    host: &Host,
    home: &Home,
    config: &Config,
    news: &mut dyn FnMut(&News),
) -> Result<(Writer, Reader, Recovery), OpenError> {
    let shelf = Shelf::of(host, home.ledger(), config);
    let store = shelf.store(news)?;
    let confirmed = shelf.stands_at(&store);
    store.close().map_err(LedgerError::from)?;
    let options = options(config);
    let (disk, tasks, dir) = (&host.disk, host.tasks.as_ref(), home.journal());
    let open = || journal::open(disk.clone(), tasks, &dir, options, confirmed.as_ref());
    match open() {
        Err(JournalError::NotFound { dir }) if confirmed.is_some() => Err(OpenError::JournalLost(dir)),
        Err(JournalError::NotFound { .. }) => {
            let mut id = [0; 16];
            host.random.fill(&mut id);
            journal::create(disk.as_ref(), &dir, id, options)?;
            Ok(open()?)
        }
        opened => Ok(opened?),
    }
}

/// Opens the journal and brings the ledger up to it.
///
/// # Errors
/// [`OpenError`]; the journal is as it was, but for a torn tail that was cut.
pub fn open(
    host: &Host,
    home: &Home,
    config: &Config,
    news: &mut dyn FnMut(&News),
) -> Result<Opened, OpenError> {
    let shelf = Shelf::of(host, home.ledger(), config);
    let began_us = host.clock.monotonic_us();
    let mut store = shelf.store(news)?;
    let store_us = host.clock.monotonic_us();
    let open = |confirmed: Option<&Mark>| {
        journal::open(host.disk.clone(), host.tasks.as_ref(), &home.journal(), options(config), confirmed)
    };
    let confirmed = shelf.stands_at(&store);
    let opened = match open(confirmed.as_ref()) {
        Err(JournalError::OtherJournal { .. }) => {
            store = shelf.anew(store, "it is of another journal", news)?;
            open(None)
        }
        opened => opened,
    };
    let (journal, reader, recovery) = match opened {
        Err(JournalError::NotFound { dir }) if confirmed.is_some() => {
            return Err(OpenError::JournalLost(dir));
        }
        Err(JournalError::NotFound { dir }) => return Err(OpenError::NotFounded(dir)),
        opened => opened?,
    };
    news(&News::Journal(recovery));
    if reader.mark().position == Position(0) {
        return Err(OpenError::NotFounded(home.journal()));
    }
    let journal_us = host.clock.monotonic_us();
    let built = match catch_up(host, &reader, Arc::clone(&store), news) {
        Err(error @ (OpenError::Ledger(_) | OpenError::LedgerForeign)) => {
            store = shelf.anew(store, &error.to_string(), news)?;
            catch_up(host, &reader, Arc::clone(&store), news)
        }
        built => built,
    };
    let (ledger, rows, view) = built?;
    let run = last_run(&reader)? + 1;
    let took = Took {
        store_us: store_us - began_us,
        journal_us: journal_us - store_us,
        ledger_us: host.clock.monotonic_us() - journal_us,
    };
    Ok(Opened { journal, reader, ledger, rows, view, store, run, took })
}

/// Builds the ledger anew from the journal; the old rows are moved aside.
///
/// # Errors
/// [`OpenError`], each.
pub fn rebuild(
    host: &Host,
    home: &Home,
    config: &Config,
    news: &mut dyn FnMut(&News),
) -> Result<Opened, OpenError> {
    let shelf = Shelf::of(host, home.ledger(), config);
    let store = shelf.store(news)?;
    // Rows that are aside may lack what they knew: the journal is held to them before.
    let confirmed = shelf.stands_at(&store);
    let looked = journal::open(
        host.disk.clone(),
        host.tasks.as_ref(),
        &home.journal(),
        options(config),
        confirmed.as_ref(),
    );
    match looked {
        Err(JournalError::OtherJournal { .. }) => {}
        looked => drop(looked?),
    }
    store.distrust("an operator had it built anew").map_err(LedgerError::from)?;
    store.close().map_err(LedgerError::from)?;
    drop(store);
    open(host, home, config, news)
}

/// Makes the tiles of both logs again from the journal and the directory; gives the sizes up to which they were signed.
///
/// # Errors
/// [`OpenError::Log`]
pub fn rebuild_logs(host: &Host, home: &Home, opened: &Opened) -> Result<[u64; 2], OpenError> {
    let dir = home.logs();
    let held = Held { disk: &host.disk, dir: &dir, reader: &opened.reader, policy: opened.view.policy() };
    Ok([logs::check::rebuild(&held, Log::Journal)?, logs::check::rebuild(&held, Log::Directory)?])
}

/// A ledger: for deciding, for its rows, for reading.
pub type Built = (Ledger, ledger::Writer, View);

/// Feeds the ledger in a store what it lacks of a journal.
///
/// # Errors
/// [`OpenError::Ledger`], [`OpenError::LedgerForeign`] for a ledger that cannot be used, [`OpenError::Journal`],
/// [`OpenError::Stopped`]: what was taken in until then is kept.
pub fn catch_up(
    host: &Host,
    reader: &Reader,
    store: Arc<dyn Store>,
    news: &mut dyn FnMut(&News),
) -> Result<Built, OpenError> {
    let end = reader.mark();
    let (mut ledger, mut rows, view) = match Ledger::open(store, end.journal)? {
        ledger::Opened::Ready { ledger, writer, view } => (ledger, writer, view),
        ledger::Opened::OtherJournal { .. } | ledger::Opened::OtherFormat { .. } => {
            return Err(OpenError::LedgerForeign);
        }
    };
    let began_us = host.clock.monotonic_us();
    let from = ledger.mark();
    let lacked = end.next_index.0 - from.next_index.0;
    let mut batches = reader.batches(from.position);
    let mut told = from.next_index.0;
    while let Some(batch) = batches.next()? {
        if host.stop.is_cancelled() {
            return Err(OpenError::Stopped);
        }
        let decoded: Vec<_> = batch.entries.iter().map(decode::entry).collect();
        rows.write(&ledger.decide(batch.after, &decoded)?.staged)?;
        let at = batch.after.next_index.0;
        if at - told >= PROGRESS_ENTRIES || at == end.next_index.0 {
            told = at;
            let applied = at - from.next_index.0;
            let now_us = host.clock.monotonic_us();
            news(&News::CatchingUp(Progress::since(began_us, now_us, applied, lacked)));
        }
    }
    Ok((ledger, rows, view))
}

/// The number of the last run that wrote.
pub(super) fn last_run(reader: &Reader) -> Result<u64, JournalError> {
    let last = Position(reader.mark().position.0.saturating_sub(1));
    Ok(reader.batches(last).next()?.map_or(0, |batch| batch.name.run))
}

/// Where the ledger's store is, and how it is opened.
struct Shelf {
    stores: Arc<dyn Stores>,
    dir: PathBuf,
    cache_bytes: u64,
}

impl Shelf {
    fn of(host: &Host, dir: PathBuf, config: &Config) -> Self {
        Self { stores: Arc::clone(&host.stores), dir, cache_bytes: config.ledger.cache_bytes }
    }

    fn store(&self, news: &mut dyn FnMut(&News)) -> Result<Arc<dyn Store>, OpenError> {
        let opened = self.stores.open(&self.dir, self.cache_bytes).map_err(LedgerError::from)?;
        if let Some(aside) = opened.set_aside {
            news(&News::LedgerSetAside(aside));
        }
        Ok(opened.store)
    }

    /// Tells how far the journal was confirmed, by the ledger's word. One that begins anew knows nothing of it: then
    /// those do that were set aside, until the journal was once opened and the ledger begins to catch up.
    fn stands_at(&self, store: &Arc<dyn Store>) -> Option<Mark> {
        ledger::stands_at(store).ok().flatten().or_else(|| {
            let set_aside = self.stores.set_aside(&self.dir, self.cache_bytes);
            let marks = set_aside.iter().filter_map(|store| ledger::stands_at(store).ok().flatten());
            marks.max_by_key(|mark| mark.next_index)
        })
    }

    /// Opens it anew, empty, after saying why what it holds cannot be used.
    fn anew(
        &self,
        store: Arc<dyn Store>,
        why: &str,
        news: &mut dyn FnMut(&News),
    ) -> Result<Arc<dyn Store>, OpenError> {
        store.distrust(why).map_err(LedgerError::from)?;
        // It is of no use any more: whether it closes well does not matter.
        let _ = store.close();
        drop(store);
        self.store(news)
    }
}

fn options(config: &Config) -> Options {
    Options { segment_bytes: config.journal.segment_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reckons_with_no_time_and_no_progress() {
        let progress = Progress::since(1_000_000, 3_500_000, 50_000, 150_001);
        assert_eq!((progress.per_s, progress.left_s()), (20_000, 6));
        let at_once = Progress::since(7, 7, 0, 5);
        assert_eq!((at_once.per_s, at_once.left_s()), (0, 5));
    }
}
