//! Opening a ledger: reading where it stands, and making again the changes since its last checkpoint.
//!
//! Owns the order of reading. Every row is read once, to be sure that it is there and as it was written: some 0.6 s for
//! a million messages. Nothing else reads all messages: what is outstanding is in rows of its own, policy is small, and
//! since the checkpoint there are some thousand entries at most.

use std::sync::{Arc, RwLock};

use super::amendments::AmendmentRow;
use super::erasures::{Erased, ErasureRow, Erasures};
use super::gather::stored_span;
use super::ids::Ids;
use super::lanes::Lanes;
use super::log::{self, Reader};
use super::months::AllMonths;
use super::outstanding::Outstanding;
use super::overdue::{ClockRow, OverdueRow};
use super::rows::{MessageRow, ReceiptRow, RenewalRow};
use super::span::Places;
use super::standing::{Found, Standing};
use super::state::{Gathered, State, by_span};
use super::store::Store;
use super::sum::RowSum;
use super::table::Table;
use super::view::View;
use super::{Ledger, LedgerError, Shared, Writer, keys};
use crate::model::entry::Mark;
use crate::model::epoch::{Begun, Epochs};
use crate::model::id::Index;
use crate::model::policy::{OfficeNumber, Policy};
use crate::model::receipt::Stage;
use crate::model::refusal::Refusal;
use crate::model::renewal::Renewals;

/// What a store was found to hold.
#[expect(clippy::large_enum_variant, reason = "one is made at a start")]
pub enum Opened {
    /// A ledger of this journal, or an empty one: its mark tells which batch comes next.
    Ready {
        /// Decides batches; one thread's.
        ledger: Ledger,
        /// Writes what was decided; one thread's, the same or another.
        writer: Writer,
        /// Reads.
        view: View,
    },
    /// A ledger of another journal: [`Store::distrust`] it and open it anew.
    OtherJournal {
        /// That journal's id.
        found: [u8; 16],
    },
    /// A ledger in a format that this version does not know: [`Store::distrust`] it and open it anew.
    OtherFormat {
        /// The number of that format.
        found: u32,
    },
}

/// Tells where the ledger in a store stands; `None` where there is none, or one in a format that this version does not
/// know.
///
/// # Errors
/// [`LedgerError::Store`], [`LedgerError::Row`].
pub fn stands_at(store: &Arc<dyn Store>) -> Result<Option<Mark>, LedgerError> {
    match Standing::read(&Table::over(Arc::clone(store)))? {
        Found::Standing(standing) => Ok(Some(standing.mark)),
        Found::Nothing | Found::OtherFormat(_) => Ok(None),
    }
}

impl Ledger {
    /// Opens the ledger of a journal. Reads every row once, for their sum; remembers what is outstanding and the policy.
    ///
    /// # Errors
    /// [`LedgerError::Store`], [`LedgerError::Row`]: close the store; opened again, it begins with nothing where it was damaged.
    pub fn open(store: Arc<dyn Store>, journal: [u8; 16]) -> Result<Opened, LedgerError> {
        let table = Table::over(Arc::clone(&store));
        Self::read(table, journal).map_err(|error| Table::over(store).distrusted(error))
    }

    fn read(table: Table, journal: [u8; 16]) -> Result<Opened, LedgerError> {
        let standing = match Standing::read(&table)? {
            Found::Nothing => Standing { mark: Mark { journal, ..Mark::default() }, ..Standing::default() },
            Found::OtherFormat(found) => return Ok(Opened::OtherFormat { found }),
            Found::Standing(standing) if standing.mark.journal != journal => {
                return Ok(Opened::OtherJournal { found: standing.mark.journal });
            }
            Found::Standing(standing) => standing,
        };
        if RowSum::of(&table)? != standing.sum {
            return Err(LedgerError::row(
                keys::STANDING,
                "the rows beside it are not those that were written",
            ));
        }
        let policy = Arc::new(policy(&table)?);
        let renewals = Arc::new(renewals(&table)?);
        let mut state = State::loaded(
            (standing.mark, standing.checkpoint),
            Arc::clone(&policy),
            Arc::clone(&renewals),
            Arc::new(epochs(&table)?),
            Ids::load(&table)?,
            Outstanding::load(&table)?,
            (
                Lanes::load(&table)?,
                AllMonths::load(&table)?,
                clock(&table, standing.checkpoint)?,
                Erasures::load(&table, standing.checkpoint)?,
            ),
        );
        follow(&table, &mut state)?;
        change_since(&table, &mut state)?;
        let shared =
            Arc::new(Shared { table, state: RwLock::new(state), written: RwLock::new(standing.mark) });
        let view = View::of(Arc::clone(&shared));
        let writer = Writer { shared: Arc::clone(&shared), stage: 0, fault: None };
        let ledger = Self { shared, policy, renewals, standing, stage: 0, fault: None };
        Ok(Opened::Ready { ledger, writer, view })
    }
}

fn policy(table: &Table) -> Result<Policy, LedgerError> {
    let mut policy = Policy::default();
    log::each(table, Index(0), |row: Arc<AmendmentRow>| {
        let damaged =
            |refusal: Refusal| LedgerError::row(&keys::group(keys::AMENDMENTS, row.index), refusal.message);
        policy.amend(&row.signed).map_err(damaged)?;
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(policy)
}

fn renewals(table: &Table) -> Result<Renewals, LedgerError> {
    let mut renewals = Renewals::default();
    log::each(table, Index(0), |row: Arc<RenewalRow>| {
        let damaged =
            |refusal: Refusal| LedgerError::row(&keys::group(keys::RENEWALS, row.index), refusal.message);
        renewals.take(row.index, &row.by, &row.renewal).map_err(damaged)?;
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(renewals)
}

fn epochs(table: &Table) -> Result<Epochs, LedgerError> {
    let mut epochs = Epochs::default();
    log::each(table, Index(0), |begun: Arc<Begun>| {
        epochs.begin(*begun);
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    Ok(epochs)
}

/// Remembers the threads in which answers are still owed.
fn follow(table: &Table, state: &mut State) -> Result<(), LedgerError> {
    let lanes: Vec<_> = state.lanes.follow_ups(None).collect();
    let mut messages = Reader::<MessageRow>::of(table);
    for lane in lanes {
        for index in state.lanes.some(lane, Index(0), usize::MAX) {
            let missing = || LedgerError::row(&keys::group(keys::MESSAGES, index), "no message in a lane");
            state.follow(&*messages.at(index)?.ok_or_else(missing)?);
        }
    }
    Ok(())
}

/// Tells whether the clock was suspended before an index.
fn clock(table: &Table, before: Index) -> Result<Option<ClockRow>, LedgerError> {
    let mut last = None;
    log::each(table, Index(0), |row: Arc<ClockRow>| {
        Ok(if row.index < before {
            last = Some(*row);
            std::ops::ControlFlow::Continue(())
        } else {
            std::ops::ControlFlow::Break(())
        })
    })?;
    Ok(last.filter(|row| row.suspended.is_some()))
}

/// Makes again the changes after the checkpoint, in their order.
fn change_since(table: &Table, state: &mut State) -> Result<(), LedgerError> {
    let mut messages = Reader::<MessageRow>::of(table);
    let mut receipts = Reader::<ReceiptRow>::of(table);
    let mut missed = Reader::<OverdueRow>::of(table);
    let mut clock = Reader::<ClockRow>::of(table);
    let mut erasures = Reader::<ErasureRow>::of(table);
    let from = state.checkpoint;
    let mut message = messages.from(from)?;
    let mut receipt = receipts.from(from)?;
    let mut overdue = missed.from(from)?;
    let mut record = clock.from(from)?;
    let mut erasure = erasures.from(from)?;
    loop {
        let indexes = [
            message.as_ref().map(|row| row.index),
            receipt.as_ref().map(|row| row.index),
            overdue.as_ref().map(|row| row.index),
            record.as_ref().map(|row| row.index),
            erasure.as_ref().map(|row| row.index),
        ];
        let Some(next) = indexes.into_iter().flatten().min() else { return Ok(()) };
        if let Some(row) = message.take_if(|row| row.index == next) {
            for index in &row.answers {
                let asked = stored_message(table, state, *index)?;
                state.answer(row.sender_office, &asked);
            }
            state.deliver(&row);
            message = messages.from(next.next())?;
        } else if let Some(row) = receipt.take_if(|row| row.index == next) {
            acknowledge(table, state, &row)?;
            receipt = receipts.from(next.next())?;
        } else if let Some(row) = overdue.take_if(|row| row.index == next) {
            let (mut about, mut message) = (Gathered::default(), None);
            if let Some(index) = row.missed.message() {
                about = gathered(table, state, row.office, &by_span([index]))?;
                message = Some(stored_message(table, state, index)?);
            }
            state.miss(&about, &row, message.as_deref());
            overdue = missed.from(next.next())?;
        } else if let Some(row) = erasure.take_if(|row| row.index == next) {
            let message = match row.what {
                Erased::Message { message, .. } => Some(stored_message(table, state, message)?),
                Erased::Until(_) => None,
            };
            state.erase(&row, message.as_deref());
            erasure = erasures.from(next.next())?;
        } else if let Some(row) = record.take() {
            state.set_clock(*row);
            record = clock.from(next.next())?;
        }
    }
}

/// Reads the spans that memory does not hold.
fn gathered(
    table: &Table,
    state: &State,
    office: OfficeNumber,
    named: &[(u64, Places)],
) -> Result<Gathered, LedgerError> {
    let mut gathered = Gathered::default();
    for (number, _) in named {
        let key = (office, *number);
        if !state.spans.contains_key(&key)
            && let Some(span) = stored_span(table, key)?
        {
            gathered.spans.insert(key, span);
        }
    }
    Ok(gathered)
}

fn stored_message(table: &Table, state: &State, index: Index) -> Result<Arc<MessageRow>, LedgerError> {
    if let Some(message) = state.recent(index) {
        return Ok(Arc::clone(message));
    }
    let missing = || LedgerError::row(&keys::group(keys::MESSAGES, index), "no message under another row");
    Reader::<MessageRow>::of(table).at(index)?.ok_or_else(missing)
}

fn acknowledge(table: &Table, state: &mut State, row: &ReceiptRow) -> Result<(), LedgerError> {
    if !state.lanes.is_free(row.office) {
        for index in &row.messages {
            let message = stored_message(table, state, *index)?;
            state.reach(row.office, row.stage, &message, row.recorded);
        }
    }
    let mut named = [row.messages.as_slice(), row.notices.as_slice()].concat();
    named.sort_unstable();
    let named = by_span(named);
    let gathered = gathered(table, state, row.office, &named)?;
    let done = state.acknowledge(&gathered, row.office, row.stage, row.index, &named);
    if !done.news.is_empty() && matches!(row.stage, Stage::Declined | Stage::Unreadable) {
        for index in &row.messages {
            let sender = stored_message(table, state, *index)?.sender_office;
            state.owe_notice(sender, row.index);
        }
    }
    Ok(())
}
