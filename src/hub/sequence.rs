//! The sequence: everything that happens goes through here, one batch at a time.
//!
//! command → order → journal, synced → ledger decides → answers and bells → ledger written.
//!
//! While a batch is on its way to the disk the next one fills. Nobody is answered before the journal has synced: a crash
//! before that loses what nobody was told; a crash after it loses nothing, for a restart applies the same entries again
//! and decides the same. Any failure ends the sequence for good: nothing more is answered, the process says why and
//! exits, a restart replays.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::decode;
use super::live::{Content, Item, Live};
use super::submit::{Submission, Submitted};
use crate::host::clock::Clock;
use crate::journal::{JournalError, Writer};
use crate::ledger::{Applied, Decided, Ledger, LedgerError, Outcome, Statement};
use crate::model::entry::{Batch, BatchName, EntryKind, Mark, Payload};
use crate::model::id::{Index, UnixMicros};
use crate::order::{Order, OrderError, Tail};

/// Bytes in one batch, but for a single larger submission: some 4 ms of a disk that takes 1 GiB/s.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Submissions in one batch.
const BATCH_SUBMISSIONS_MAX: usize = 1_024;
/// This hub's number in the names of batches: with an order of its own there is no other.
pub const HUB_NUMBER: u32 = 1;

/// Why the sequence ended.
#[derive(Debug, thiserror::Error)]
pub enum SequenceError {
    /// The journal failed.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The ledger failed.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// The order failed.
    #[error("order: {0}")]
    Order(#[from] OrderError),
}

/// Everything that the sequence works with.
pub struct Sequence<O: Order> {
    /// The order.
    pub order: O,
    /// The order's tail, at the journal's end.
    pub tail: O::Tail,
    /// The journal.
    pub journal: Writer,
    /// The ledger.
    pub ledger: Ledger,
    /// What goes on now.
    pub live: Arc<Live>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What comes in.
    pub submissions: mpsc::Receiver<Submission>,
    /// Take in no more, finish what is in, and end.
    pub drain: CancellationToken,
    /// This run's number.
    pub epoch: u64,
    /// The hub's time so far; only grows.
    pub time: UnixMicros,
}

impl<O: Order> Sequence<O> {
    /// Runs to the end: until `drain` is cancelled and everything that had come in is done.
    ///
    /// # Errors
    /// The first failure; nothing is answered after it.
    pub async fn run(mut self) -> Result<(), SequenceError> {
        let mut waiting = VecDeque::new();
        let mut number = 0;
        while self.gather(&mut waiting).await {
            let taken = take_batch(&mut waiting);
            let name = BatchName { hub: HUB_NUMBER, epoch: self.epoch, number };
            number += 1;
            self.process(name, taken).await?;
        }
        self.journal.close()?;
        self.ledger.close()?;
        Ok(())
    }

    /// Waits until something has come in; `false` when nothing will any more.
    async fn gather(&mut self, waiting: &mut VecDeque<Submission>) -> bool {
        if waiting.is_empty() {
            let first = tokio::select! {
                biased;
                first = self.submissions.recv() => first,
                () = self.drain.cancelled(), if !self.submissions.is_closed() => {
                    self.submissions.close();
                    self.submissions.recv().await
                }
            };
            let Some(first) = first else { return false };
            waiting.push_back(first);
        }
        while waiting.len() < BATCH_SUBMISSIONS_MAX
            && let Ok(more) = self.submissions.try_recv()
        {
            waiting.push_back(more);
        }
        true
    }

    async fn process(&mut self, name: BatchName, taken: Vec<Submission>) -> Result<(), SequenceError> {
        self.time = self.time.max(self.clock.now());
        let (proposals, statements, replies) = unpack(taken);
        let batch = Batch { name, time: self.time, proposals };
        self.order.append(batch).await?;
        let mut statements = Some(statements);
        loop {
            let (_, batch) = self.tail.next().await?;
            let own = batch.name == name;
            let appended = self.journal.append(&batch)?;
            let decided = decided(&batch, appended.first, if own { statements.take() } else { None });
            let applied = self.ledger.decide(appended.mark, decided)?;
            self.tell(&batch, appended.first, &applied);
            if own {
                answer(replies, applied.outcomes);
            }
            self.ledger.write(applied.staged)?;
            if own {
                return Ok(());
            }
        }
    }

    /// Keeps what may be owed in memory, and rings.
    fn tell(&self, batch: &Batch, first: Index, applied: &Applied) {
        if applied.owed.is_empty() {
            return;
        }
        let places = (first.0..).map(Index);
        self.live.keep(batch.proposals.iter().zip(places).filter_map(|(proposal, index)| {
            let content = match proposal.kind {
                EntryKind::Publish => applied.message(index).map(|envelope| Content::Message {
                    stream: envelope.stream.clone(),
                    expires: envelope.expires,
                    payload: proposal.payload.clone(),
                })?,
                EntryKind::Receipt if applied.is_notice(index) => Content::Notice,
                _ => return None,
            };
            Some(Item { index, time: batch.time, statement: proposal.statement.clone(), content })
        }));
        for office in &applied.owed {
            self.live.ring(*office);
        }
    }
}

type Replies = Vec<(usize, tokio::sync::oneshot::Sender<Vec<Outcome>>)>;

fn take_batch(waiting: &mut VecDeque<Submission>) -> Vec<Submission> {
    let mut bytes = 0;
    let fits = |one: &&Submission| {
        bytes += one.bytes;
        bytes <= BATCH_BYTES_MAX
    };
    let count = waiting.iter().take_while(fits).count().max(1);
    waiting.drain(..count).collect()
}
