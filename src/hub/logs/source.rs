//! Where the records of the hub's logs come from: the journal, and the directory as the ledger has it.
//!
//! Never decides anything: what is in the journal is in its log, and what the directory took in is in the other.

use std::sync::Arc;

use crate::journal::{Cursor, JournalError, Reader};
use crate::ledger::view::View;
use crate::model::id::Index;
use crate::model::policy::Policy;
use crate::proof::Record;
use crate::wire::amendment;
use crate::wire::log::{Log, Recorded, directory_record};

/// The records of one log, in their order.
pub(super) enum Source {
    /// The journal's.
    Journal {
        /// The journal.
        reader: Reader,
        /// Where it is read.
        at: Option<(u64, Cursor)>,
    },
    /// The directory's.
    Directory(Directory),
}

/// Where the directory stands.
pub(super) enum Directory {
    /// As it is now.
    Now(View),
    /// As it was, for a hub that does not run.
    Then(Arc<Policy>),
}

impl Source {
    /// Which log they are of.
    pub(super) fn log(&self) -> Log {
        match self {
            Self::Journal { .. } => Log::Journal,
            Self::Directory(_) => Log::Directory,
        }
    }

    /// Reads a journal.
    pub(super) fn of_journal(reader: Reader) -> Self {
        Self::Journal { reader, at: None }
    }

    /// How many there are by now.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Journal { reader, .. } => reader.mark().next_index.0,
            Self::Directory(directory) => directory.policy().entries().len() as u64,
        }
    }

    /// Gives the one at a place, which is there.
    ///
    /// # Errors
    /// [`JournalError`]
    pub(super) fn record(&mut self, place: u64) -> Result<Record, JournalError> {
        match self {
            Self::Journal { reader, at } => {
                let cursor = match at.take() {
                    Some((next, cursor)) if next == place => cursor,
                    _ => reader.without_payloads(Index(place)),
                };
                let (_, cursor) = at.insert((place + 1, cursor));
                let entry = cursor.next()?.expect("the journal has the entries that it counts");
                Ok(Recorded::from(&entry).record(&entry.nonce))
            }
            Self::Directory(directory) => {
                let place = usize::try_from(place).expect("a directory has few entries");
                Ok(directory_record(&amendment::bytes(&directory.policy().entries()[place])))
            }
        }
    }
}

impl Directory {
    fn policy(&self) -> Arc<Policy> {
        match self {
            Self::Now(view) => view.policy(),
            Self::Then(policy) => Arc::clone(policy),
        }
    }
}
