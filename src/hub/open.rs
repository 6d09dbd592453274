//! Founding and opening: journal first, then the ledger brought up to it.
//!
//! Owns the decision whether a ledger is trusted. The journal is the truth: a ledger that is missing, damaged, of another
//! journal or of another format is moved aside and built anew; one that is behind is fed what it lacks; one that knows
//! of more than the journal holds shows that the journal has lost something, and nothing is started.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Config;
use super::decode;
use super::founding::{self, FoundingError};
use super::home::{self, Home, HomeError};
use super::run::Host;
use super::sequence::HUB_NUMBER;
use crate::journal::{self, JournalError, Options, Reader, Recovery, Writer};
use crate::ledger::store::Store;
use crate::ledger::store_sled::SledStore;
use crate::ledger::view::View;
use crate::ledger::{self, Ledger, LedgerError};
use crate::model::entry::{Batch, BatchName, EntryKind, Mark, Proposal};
use crate::model::id::Position;
use crate::model::identity::Identity;
use crate::model::policy::Fact;
use crate::wire::convert;

/// Progress is told each time that this many more entries are in.
const PROGRESS_ENTRIES: u64 = 50_000;

/// Why a hub does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its founding file.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// It was founded before.
    #[error("{0} holds a journal already: a hub is founded once; name another home, or run this one")]
    Founded(PathBuf),
    /// It was never founded.
    #[error("{0} holds no founded journal: run `resguardo hub init` first")]
    NotFounded(PathBuf),
    /// The journal.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The ledger, also after it was built anew.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// The ledger is of another journal, or in a format that this version does not know.
    #[error("the ledger is of another journal, or in a format that this version does not know")]
    LedgerForeign,
    /// The system.
    #[error("{doing} {path}: {error}")]
    Io {
        /// What was done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// How far the ledger is with what it lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Entries applied so far.
    pub applied: u64,
    /// Entries that it lacked.
    pub lacked: u64,
}

/// Something that an operator should know of an opening.
#[derive(Debug)]
pub enum News {
    /// What the journal's opening found and mended.
    Journal(Recovery),
    /// The ledger could not be used: it was moved aside, and another is built.
    LedgerSetAside {
        /// Why.
        why: String,
        /// Where it is now; `None` when there was nothing to keep.
        to: Option<PathBuf>,
    },
    /// The ledger is fed what it lacks.
    CatchingUp(Progress),
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
    pub epoch: u64,
}

/// Founds a hub: makes its journal, whose first entries are the facts of the founding file.
///
/// # Errors
/// [`OpenError`]; a founding that was cut short can be made again.
pub fn found(host: &Host, home: &Home, founding: Option<&Path>) -> Result<usize, OpenError> {
    let _lock = home.lock(host.disk.as_ref())?;
    let config = home.config(host.disk.as_ref())?;
    let path = founding.map_or_else(|| home.founding(), Path::to_owned);
    let facts = founding::parse(&home::text(host.disk.as_ref(), &path)?)?;
    let mut id = [0; 16];
    host.random.fill(&mut id);
    let options = options(&config);
    match journal::create(host.disk.as_ref(), &home.journal(), id, options) {
        Ok(()) | Err(JournalError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let (mut journal, _, _) =
        journal::open(host.disk.clone(), host.tasks.as_ref(), &home.journal(), options, None)?;
    if journal.mark().position != Position(0) {
        return Err(OpenError::Founded(home.journal()));
    }
    let name = BatchName { hub: HUB_NUMBER, epoch: 0, number: 0 };
    let hub = Identity::Hub(config.name).to_string();
    let proposals = facts.iter().map(|fact| directory_proposal(&hub, fact)).collect();
    journal.append(&Batch { name, time: host.clock.now(), proposals })?;
    journal.close()?;
    Ok(facts.len())
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
    let shelf = Shelf { host, dir: home.ledger(), cache_bytes: config.ledger.cache_bytes };
    let mut store = shelf.store(news)?;
    let open = |confirmed: Option<&Mark>| {
        journal::open(host.disk.clone(), host.tasks.as_ref(), &home.journal(), options(config), confirmed)
    };
    let opened = match open(ledger::stands_at(store.as_ref()).ok().flatten().as_ref()) {
        Err(JournalError::OtherJournal { .. }) => {
            store = shelf.set_aside(store, "it is of another journal", news)?;
            open(None)
        }
        opened => opened,
    };
    let (journal, reader, recovery) = match opened {
        Err(JournalError::NotFound { dir }) => return Err(OpenError::NotFounded(dir)),
        opened => opened?,
    };
    news(&News::Journal(recovery));
    if reader.mark().position == Position(0) {
        return Err(OpenError::NotFounded(home.journal()));
    }
    let built = match catch_up(&reader, Arc::clone(&store), news) {
        Err(error @ (OpenError::Ledger(_) | OpenError::LedgerForeign)) => {
            store = shelf.set_aside(store, &error.to_string(), news)?;
            catch_up(&reader, Arc::clone(&store), news)
        }
        built => built,
    };
    let (ledger, rows, view) = built?;
    let epoch = last_epoch(&reader)? + 1;
    Ok(Opened { journal, reader, ledger, rows, view, store, epoch })
}

/// Moves a ledger aside, so that the next opening builds it anew.
///
/// # Errors
/// [`OpenError::Io`]
pub fn forget_ledger(host: &Host, home: &Home) -> Result<Option<PathBuf>, OpenError> {
    move_aside(host, &home.ledger())
}

/// A ledger: for deciding, for its rows, for reading.
pub type Built = (Ledger, ledger::Writer, View);

/// Feeds the ledger in a store what it lacks of a journal.
///
/// # Errors
/// [`OpenError::Ledger`], [`OpenError::LedgerForeign`] for a ledger that cannot be used, [`OpenError::Journal`].
pub fn catch_up(
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
    let from = ledger.mark();
    let lacked = end.next_index.0 - from.next_index.0;
    let mut batches = reader.batches(from.position);
    let mut told = from.next_index.0;
    while let Some(batch) = batches.next()? {
        let decoded: Vec<_> = batch.entries.iter().map(decode::entry).collect();
        rows.write(ledger.decide(batch.after, &decoded)?.staged)?;
        let at = batch.after.next_index.0;
        if at - told >= PROGRESS_ENTRIES || at == end.next_index.0 {
            told = at;
            news(&News::CatchingUp(Progress { applied: at - from.next_index.0, lacked }));
        }
    }
    Ok((ledger, rows, view))
}

fn last_epoch(reader: &Reader) -> Result<u64, JournalError> {
    let last = Position(reader.mark().position.0.saturating_sub(1));
    Ok(reader.batches(last).next()?.map_or(0, |batch| batch.name.epoch))
}

/// Where the ledger's store is, and how it is opened and replaced.
struct Shelf<'a> {
    host: &'a Host,
    dir: PathBuf,
    cache_bytes: u64,
}

impl Shelf<'_> {
    fn store(&self, news: &mut dyn FnMut(&News)) -> Result<Arc<dyn Store>, OpenError> {
        match SledStore::open(&self.dir, self.cache_bytes, &self.host.boot_id) {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => self.anew(&error.to_string(), news),
        }
    }

    fn set_aside(
        &self,
        store: Arc<dyn Store>,
        why: &str,
        news: &mut dyn FnMut(&News),
    ) -> Result<Arc<dyn Store>, OpenError> {
        // It is of no use any more: whether it closes well does not matter.
        let _ = store.close();
        drop(store);
        self.anew(why, news)
    }

    fn anew(&self, why: &str, news: &mut dyn FnMut(&News)) -> Result<Arc<dyn Store>, OpenError> {
        let to = move_aside(self.host, &self.dir)?;
        news(&News::LedgerSetAside { why: why.into(), to });
        let store = SledStore::open(&self.dir, self.cache_bytes, &self.host.boot_id);
        Ok(Arc::new(store.map_err(|error| OpenError::Ledger(error.into()))?))
    }
}

/// Gives a folder another name beside it; `None` when there is none.
fn move_aside(host: &Host, dir: &Path) -> Result<Option<PathBuf>, OpenError> {
    let io = |doing| move |error| OpenError::Io { doing, path: dir.to_owned(), error };
    let mut name = dir.as_os_str().to_owned();
    name.push(format!(".aside-{}", host.clock.now().0));
    let to = PathBuf::from(name);
    match host.disk.rename(dir, &to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io("move aside")(error)),
    }
    host.disk.sync_dir(dir.parent().unwrap_or(Path::new("."))).map_err(io("sync the folder of"))?;
    Ok(Some(to))
}

fn directory_proposal(hub: &str, fact: &Fact) -> Proposal {
    let statement = convert::fact_bytes(fact);
    Proposal { kind: EntryKind::Directory, identity: hub.to_owned(), statement, payload: None }
}

fn options(config: &Config) -> Options {
    Options { segment_bytes: config.journal.segment_bytes }
}
