//! The acknowledged-delivery log: a deterministic projection of the journal into rows.
//!
//! Owns what follows from the entries: which messages were accepted, who is owed what, who acknowledged what and when.
//! Never reads a clock, configuration or randomness, and is never the only copy of anything: lost, it is rebuilt.
//! At a crash it stands at its mark, whole, and is fed the batches after it.
//!
//! Deciding and writing are two steps, so that callers are answered before the store is written: [`Ledger::decide`]
//! changes what readers see, [`Writer::write`] puts the rows and the mark into the store in one stroke.

mod amendments;
pub mod audit;
mod changes;
mod checks;
mod decide;
pub mod due;
pub mod entry;
pub mod erasures;
mod gather;
mod ids;
mod keys;
mod lanes;
mod log;
mod missed;
mod months;
mod open;
mod outstanding;
pub mod overdue;
pub mod rows;
mod span;
mod standing;
mod state;
pub mod store;
mod sum;
mod table;
pub mod view;

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use self::amendments::AmendmentRow;
use self::decide::{Additions, Deciding, Prepared};
use self::entry::{Decoded, Outcome, Statement};
pub use self::open::{Opened, stands_at};
use self::rows::ReceiptRow;
use self::standing::Standing;
pub use self::standing::Tally;
use self::state::State;
use self::store::{RowBatch, StoreError};
use self::table::Table;
use crate::model::entry::Mark;
use crate::model::epoch::Begun;
use crate::model::id::Index;
use crate::model::policy::{OfficeNumber, Policy};
use crate::model::renewal::Renewals;

/// Entries decided under one lock at most: readers wait some tens of microseconds.
const LOCKED_ENTRIES_MAX: usize = 64;
/// Entries between checkpoints: what is decided again, in milliseconds, when the ledger is opened. Whole spans.
const CHECKPOINT_ENTRIES: u64 = if SMALL { 1024 } else { 4096 };
/// Changed spans that make a checkpoint come at the end of the present span: they are in memory until then.
const CHANGED_SPANS_MAX: usize = if SMALL { 12 } else { 16_384 };
/// In debug tests all bounds are small, so that every one is crossed often.
const SMALL: bool = cfg!(all(test, debug_assertions));

/// Why the ledger cannot go on. It stays so: nothing more is decided or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row does not say what this version wrote.
    #[error("row {key} of the ledger is damaged: {found}")]
    Row {
        /// The row's key, in hex.
        key: String,
        /// What was wrong.
        found: String,
    },
    /// A batch does not follow the one before it.
    #[error("the ledger expects {expected}; {found} came")]
    OutOfOrder {
        /// What would follow.
        expected: String,
        /// What came.
        found: String,
    },
}

/// Takes batches in, one after the other, and decides what follows.
pub struct Ledger {
    shared: Arc<Shared>,
    policy: Arc<Policy>,
    renewals: Arc<Renewals>,
    standing: Standing,
    stage: u64,
    fault: Option<LedgerError>,
}

/// What was decided of a batch.
pub struct Applied {
    /// The outcome of each entry, in order.
    pub outcomes: Vec<Outcome>,
    /// The offices for which something became outstanding, ascending.
    pub owed: Vec<OfficeNumber>,
    /// How long after its acceptance each message was first said to be received by an office, in microseconds.
    pub received_after_us: Vec<u64>,
    /// Its rows, to be written.
    pub staged: Staged,
}

/// Rows of decided batches, not yet in the store.
pub struct Staged {
    stages: std::ops::RangeInclusive<u64>,
    mark: Mark,
    rows: RowBatch,
}

/// Puts staged rows into the store.
pub struct Writer {
    shared: Arc<Shared>,
    stage: u64,
    fault: Option<LedgerError>,
}

struct Shared {
    table: Table,
    state: RwLock<State>,
    written: RwLock<Mark>,
}

impl LedgerError {
    fn row(key: &[u8], found: impl Into<String>) -> Self {
        Self::Row { key: table::hex(key), found: found.into() }
    }
}

impl Ledger {
    /// Where it stands: after the last decided batch.
    pub fn mark(&self) -> Mark {
        self.standing.mark
    }

    /// How much it took in.
    pub fn tally(&self) -> Tally {
        self.standing.tally
    }

    /// Decides a batch: readers see it at once, the store when its rows are written. `mark` is the journal's after it.
    ///
    /// # Errors
    /// [`LedgerError`], each. No batch can be decided any more, and nothing of this one will be written.
    pub fn decide(&mut self, mark: Mark, entries: &[Decoded]) -> Result<Applied, LedgerError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let decided = self.follows(mark, entries).and_then(|()| self.decide_next(mark, entries));
        decided.map_err(|fault| {
            self.fault = Some(fault.clone());
            self.shared.table.distrusted(fault)
        })
    }

    fn follows(&self, mark: Mark, entries: &[Decoded]) -> Result<(), LedgerError> {
        let stands = self.standing.mark;
        let indexes = (stands.next_index.0..mark.next_index.0).map(Index);
        let follows = mark.journal == stands.journal
            && mark.position == stands.position.next()
            && entries.iter().map(|entry| entry.index).eq(indexes);
        if follows {
            return Ok(());
        }
        let first = entries.first().map(|entry| entry.index);
        Err(LedgerError::OutOfOrder {
            expected: format!("the batch after {stands:?}"),
            found: format!("{} entries from {first:?} on, up to {mark:?}", entries.len()),
        })
    }

    fn decide_next(&mut self, mark: Mark, entries: &[Decoded]) -> Result<Applied, LedgerError> {
        self.stage += 1;
        let mut rows = RowBatch::new();
        let mut additions = Additions::default();
        let mut outcomes = Vec::with_capacity(entries.len());
        for slice in entries.chunks(LOCKED_ENTRIES_MAX) {
            let prepared = slice
                .iter()
                .map(|it| decide::prepare(&mut self.policy, &mut self.renewals, &mut additions, it));
            let mut prepared = prepared.collect::<Vec<_>>();
            let mut next = slice[0].index;
            while !prepared.is_empty() {
                let before = outcomes.len();
                let rest = self.decide_some(prepared, next, &mut additions, &mut outcomes)?;
                next = Index(next.0 + (outcomes.len() - before) as u64);
                prepared = rest;
                if self.is_checkpoint(next) {
                    rows.extend(self.checkpoint(next)?);
                }
            }
        }
        self.date_repeats(entries, &additions, &mut outcomes)?;
        self.count(entries, &outcomes);
        self.standing.mark = mark;
        let begun: Vec<_> = additions.epochs.iter().map(|begun| **begun).collect();
        let owed = std::mem::take(&mut additions.owed).into_iter().collect();
        let received_after_us = std::mem::take(&mut additions.received_after_us);
        let months = self.shared.state().months.rows(&std::mem::take(&mut additions.months));
        self.replace(&months)?;
        self.shared.table.stage(self.stage, &months);
        rows.extend(months);
        let added = additions.into_rows(&mut self.standing);
        self.shared.table.stage(self.stage, &added);
        rows.extend(added);
        let mut state = self.shared.state_mut();
        state.mark = mark;
        state.policy = Arc::clone(&self.policy);
        state.renewals = Arc::clone(&self.renewals);
        for begun in begun {
            Arc::make_mut(&mut state.epochs).begin(begun);
        }
        drop(state);
        Ok(Applied {
            outcomes,
            owed,
            received_after_us,
            staged: Staged { stages: self.stage..=self.stage, mark, rows },
        })
    }

    /// Decides entries up to a checkpoint, the first of them at `next`; gives back those after it.
    fn decide_some<'a>(
        &self,
        prepared: Vec<Prepared<'a>>,
        mut next: Index,
        additions: &mut Additions,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<Vec<Prepared<'a>>, LedgerError> {
        let end = Index(next.0 + prepared.len() as u64);
        let gathered = gather::gather(&self.shared.table, &self.shared.state(), additions, &prepared, end)?;
        let mut state = self.shared.state_mut();
        let mut rest = prepared.into_iter();
        for prepared in rest.by_ref() {
            let mut deciding = Deciding { state: &mut state, gathered: &gathered, additions };
            outcomes.push(deciding.decide(prepared)?);
            next = next.next();
            if is_checkpoint(next, state.spans.len()) {
                break;
            }
        }
        Ok(rest.collect())
    }

    fn is_checkpoint(&self, next: Index) -> bool {
        is_checkpoint(next, self.shared.state().spans.len())
    }

    /// Puts what changed since the last checkpoint into rows of its own.
    fn checkpoint(&mut self, next: Index) -> Result<RowBatch, LedgerError> {
        let mut rows = RowBatch::new();
        self.shared.state().checkpoint_rows(&self.shared.table, &mut rows)?;
        self.replace(&rows)?;
        // Staged before memory lets go of them, so that a reader finds them in the one or the other.
        self.shared.table.stage(self.stage, &rows);
        let mut state = self.shared.state_mut();
        let changed = std::mem::take(&mut state.spans);
        state.ids.written();
        state.lanes.written();
        state.checkpoint = next;
        drop(state);
        drop(changed);
        self.standing.checkpoint = next;
        Ok(rows)
    }

    /// Counts rows in, in the place of those that they replace.
    fn replace(&mut self, rows: &RowBatch) -> Result<(), LedgerError> {
        for (key, value) in rows {
            if let Some(before) = self.shared.table.row(key)? {
                self.standing.sum.take(key, &before);
            }
            if let Some(value) = value {
                self.standing.sum.put(key, value);
            }
        }
        Ok(())
    }

    /// Gives receipts that stated nothing new the time of the receipt that was first.
    fn date_repeats(
        &self,
        entries: &[Decoded],
        additions: &Additions,
        outcomes: &mut [Outcome],
    ) -> Result<(), LedgerError> {
        let mut reader = log::Reader::<ReceiptRow>::of(&self.shared.table);
        for (entry, outcome) in entries.iter().zip(outcomes) {
            let Outcome::Recorded { index, time, .. } = outcome else { continue };
            if *index == entry.index {
                continue;
            }
            let added = additions.receipts.binary_search_by_key(index, |it| it.index);
            let first = match added {
                Ok(place) => Some(Arc::clone(&additions.receipts[place])),
                Err(_) => reader.at(*index)?,
            };
            let missing =
                || LedgerError::row(&keys::group(keys::RECEIPTS, *index), "no receipt where a span points");
            *time = first.ok_or_else(missing)?.recorded;
        }
        Ok(())
    }

    fn count(&mut self, entries: &[Decoded], outcomes: &[Outcome]) {
        let tally = &mut self.standing.tally;
        for (entry, outcome) in entries.iter().zip(outcomes) {
            match outcome {
                Outcome::Accepted { duplicate: false, .. } => tally.messages += 1,
                Outcome::Accepted { duplicate: true, .. } => tally.duplicates += 1,
                Outcome::Recorded { .. } => tally.receipts += 1,
                Outcome::Refused(_) => tally.refused += 1,
                Outcome::Noted if entry.statement == Statement::Refusal => tally.refusals += 1,
                Outcome::Noted | Outcome::Erased { .. } => {}
            }
        }
    }
}

impl Additions {
    /// Makes rows of them, all of new keys, and of where the ledger stands with them.
    fn into_rows(self, standing: &mut Standing) -> RowBatch {
        let mut rows = RowBatch::new();
        log::pack(&self.messages, &mut rows);
        log::pack(&self.receipts, &mut rows);
        log::pack::<AmendmentRow>(&self.amendments, &mut rows);
        log::pack(&self.renewals, &mut rows);
        log::pack::<Begun>(&self.epochs, &mut rows);
        log::pack(&self.overdue, &mut rows);
        log::pack(&self.clock, &mut rows);
        log::pack(&self.erasures, &mut rows);
        rows.extend(self.repeats.into_iter().chain(self.files).map(|key| (key, Some(bytes::Bytes::new()))));
        for (key, value) in &rows {
            standing.sum.put(key, value.as_deref().unwrap_or_default());
        }
        rows.insert(keys::STANDING.into(), Some(standing.encode()));
        rows
    }
}

impl Staged {
    /// After its last batch.
    pub fn mark(&self) -> Mark {
        self.mark
    }

    /// The rows: how many, how long.
    #[cfg(test)]
    fn rows(&self) -> &RowBatch {
        &self.rows
    }

    /// Takes in the rows of the batches that follow, so that all are written at once.
    ///
    /// # Errors
    /// [`LedgerError::OutOfOrder`].
    pub fn join(&mut self, next: Staged) -> Result<(), LedgerError> {
        follows(*self.stages.end(), &next)?;
        self.rows.extend(next.rows);
        self.mark = next.mark;
        self.stages = *self.stages.start()..=*next.stages.end();
        Ok(())
    }
}

impl Writer {
    /// Puts rows and mark into the store, at once and in the order of deciding. Not yet durable when it returns.
    ///
    /// # Errors
    /// [`LedgerError`], each; nothing can be written any more.
    pub fn write(&mut self, staged: &Staged) -> Result<Mark, LedgerError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let last = *staged.stages.end();
        let written = follows(self.stage, staged)
            .and_then(|()| self.shared.table.write(last, &staged.rows).map_err(LedgerError::from));
        if let Err(fault) = written {
            self.fault = Some(fault.clone());
            return Err(self.shared.table.distrusted(fault));
        }
        self.stage = last;
        *self.shared.written.write().unwrap_or_else(PoisonError::into_inner) = staged.mark;
        Ok(staged.mark)
    }

    /// Closes the store: what was written is durable afterwards, and readers fail.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub fn close(self) -> Result<(), LedgerError> {
        self.shared.table.close().map_err(LedgerError::from)
    }
}

impl Shared {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        // A panic while it was changed is a fault: the process ends by it, and readers until then see what there is.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> Mark {
        *self.written.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether a checkpoint comes before an index. Decided by entries alone, so that a replay has the same ones.
fn is_checkpoint(next: Index, changed_spans: usize) -> bool {
    let span_ends = next.0.is_multiple_of(1 << span::SPAN_BITS);
    next.0.is_multiple_of(CHECKPOINT_ENTRIES) || (span_ends && changed_spans >= CHANGED_SPANS_MAX)
}

fn follows(stage: u64, staged: &Staged) -> Result<(), LedgerError> {
    if *staged.stages.start() == stage + 1 {
        return Ok(());
    }
    Err(LedgerError::OutOfOrder {
        expected: format!("the rows of stage {}", stage + 1),
        found: format!("those of {:?}, up to {:?}", staged.stages, staged.mark),
    })
}
