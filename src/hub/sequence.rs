//! The sequence: everything that happens goes through here, one batch at a time.
//!
//! command → order → journal, synced → ledger decides → answers and bells → ledger's rows, beside the next batch.
//!
//! While a batch is on its way to the disk the next one fills. Nobody is answered before the journal has synced: a crash
//! before that loses what nobody was told; a crash after it loses nothing, for a restart applies the same entries again
//! and decides the same. Any failure ends the sequence for good: nothing more is answered, the process says why and
//! exits, a restart replays.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::decode;
use super::live::{Item, Live};
use super::metrics::Meters;
use super::promises::Promiser;
use super::submit::{Decided, Submission, Waiting};
use crate::files::store::Pins;
use crate::host::clock::Clock;
use crate::host::random::Random;
use crate::journal::{Appended, JournalError, Writer};
use crate::ledger::entry::{Decoded, Outcome, Statement};
use crate::ledger::{Applied, Ledger, LedgerError, Staged};
use crate::model::entry::{Batch, BatchName, Entry, EntryKind, Payload, Proposal};
use crate::model::envelope::Priority;
use crate::model::erasure::Erasure;
use crate::model::id::UnixMicros;
use crate::model::refusal::{Reason, Refusal};
use crate::order::retry::{Attempt, Step};
use crate::order::{Order, Tail as _, TailError};
use crate::wire::promise::Promised;

/// Bytes in one batch, but for a single larger submission: some 4 ms of a disk that takes 1 GiB/s.
pub(super) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Submissions in one batch.
const BATCH_SUBMISSIONS_MAX: usize = 1_024;
/// How long receipts wait for a message to go to the disk with. Nobody's next step waits for the answer to a receipt; but
/// a message that comes while receipts are being synced waits for that. A timer's grain may double it.
pub(super) const RECEIPTS_WAIT: Duration = Duration::from_millis(1);
/// Between two attempts at writing to a full disk.
const FULL_PAUSE: Duration = Duration::from_secs(1);
/// Between two attempts at putting a batch in order.
const ORDER_PAUSE: Duration = Duration::from_millis(10);
/// This hub's number in the names of batches: with an order of its own there is no other.
pub(super) const HUB_NUMBER: u32 = 1;

/// Why the sequence ended.
#[derive(Debug, thiserror::Error)]
pub enum SequenceError {
    /// The journal failed.
    #[error("journal: {0}")]
    Journal(#[from] JournalError),
    /// The ledger failed.
    #[error("ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// The order's tail broke off.
    #[error("order: {0}")]
    Order(#[from] TailError),
    /// The writer of the ledger's rows has ended before the sequence.
    #[error("the ledger takes no more rows")]
    RowsEnded,
}

/// Everything that the sequence works with.
pub(super) struct Sequence<O: Order> {
    /// The order.
    pub order: O,
    /// The order's tail, at the journal's end.
    pub tail: O::Tail,
    /// The journal.
    pub journal: Writer,
    /// The ledger.
    pub ledger: Ledger,
    /// Where the ledger's rows go, to be written beside the next batch.
    pub rows: mpsc::Sender<Staged>,
    /// What goes on now.
    pub live: Arc<Live>,
    /// What is counted and measured.
    pub meters: Meters,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// What comes in.
    pub submissions: Waiting,
    /// Cancelled: take in no more, finish what is in, and end.
    pub drain: CancellationToken,
    /// Bytes in one batch, but for a single larger submission.
    pub batch_bytes_max: usize,
    /// How long receipts wait for a message.
    pub receipts_wait: Duration,
    /// Signs what was taken; `None`: the hub has no key.
    pub promiser: Option<Arc<Promiser>>,
    /// This run's number.
    pub run: u64,
}

impl<O: Order> Sequence<O> {
    /// Runs to the end: until `drain` is cancelled and everything that had come in is done; then the journal is closed.
    ///
    /// # Errors
    /// The first failure; nothing is answered after it.
    pub(super) async fn run(mut self) -> Result<(), SequenceError> {
        let mut waiting = VecDeque::new();
        let mut number = 0;
        while self.gather(&mut waiting).await {
            let taken = take_batch(&mut waiting, self.batch_bytes_max);
            let name = BatchName { hub: HUB_NUMBER, run: self.run, number };
            number += 1;
            self.process(name, taken).await?;
        }
        self.journal.close()?;
        Ok(())
    }

    /// Waits until something has come in; `false` when nothing will any more.
    async fn gather(&mut self, waiting: &mut VecDeque<Submission>) -> bool {
        if waiting.is_empty() {
            let first = tokio::select! {
                biased;
                first = self.submissions.next() => first,
                () = self.drain.cancelled() => {
                    self.submissions.close();
                    self.submissions.next().await
                }
            };
            let Some(first) = first else { return false };
            waiting.push_back(first);
        }
        self.submissions.take(waiting, BATCH_SUBMISSIONS_MAX);
        if waiting.iter().all(Submission::is_of_receipts) {
            let company = self.company().await;
            self.submissions.take_receipts(waiting, BATCH_SUBMISSIONS_MAX);
            waiting.extend(company);
        }
        true
    }

    /// Lets receipts wait for what is not one.
    async fn company(&mut self) -> Option<Submission> {
        tokio::select! {
            biased;
            company = self.submissions.next_other() => company,
            () = self.drain.cancelled() => None,
            () = tokio::time::sleep(self.receipts_wait) => None,
        }
    }

    async fn process(&mut self, name: BatchName, taken: Vec<Submission>) -> Result<(), SequenceError> {
        let time: UnixMicros = self.journal.mark().time.max(self.clock.now());
        let (proposals, statements, replies) = unpack(taken);
        let batch = Arc::new(Batch { name, time, seed: self.random.seed(), proposals });
        if let Err(refusal) = self.put_in_order(&batch).await {
            let outcomes = vec![Outcome::Refused(refusal); batch.proposals.len()];
            self.answer(with_outcomes(replies, outcomes), None);
            return Ok(());
        }
        loop {
            let (position, next) = self.tail.next().await?;
            let appended = self.append(&next).await?;
            self.order.release(position.next());
            if next.name == name {
                let decoded = appended.entries.iter().zip(statements);
                let decoded: Vec<_> = decoded.map(|(entry, it)| decode::with_statement(entry, it)).collect();
                return self.decide(appended, &decoded, replies).await;
            }
            let decoded: Vec<_> = appended.entries.iter().map(decode::entry).collect();
            self.decide(appended, &decoded, Vec::new()).await?;
        }
    }

    /// Puts a batch on the disk. While there is no room for it nothing is taken or answered; reading goes on.
    async fn append(&mut self, batch: &Batch) -> Result<Appended, JournalError> {
        loop {
            let began_us = self.clock.monotonic_us();
            match self.journal.append(batch) {
                Err(JournalError::Full { shortage }) if !self.drain.is_cancelled() => {
                    tracing::error!(shortage, "nothing is taken until the disk has room for another segment");
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Ok(appended) => {
                    self.meters.synced(self.clock.monotonic_us() - began_us);
                    return Ok(appended);
                }
                failed => return failed,
            }
        }
    }

    /// Puts a batch in order, trying again as long as that is safe and of use.
    async fn put_in_order(&self, batch: &Arc<Batch>) -> Result<(), Refusal> {
        let mut attempt = Attempt::default();
        loop {
            match attempt.answered(self.order.append(Arc::clone(batch)).await) {
                Step::Done(_) => return Ok(()),
                Step::Again => tokio::time::sleep(ORDER_PAUSE).await,
                Step::Split => {
                    let message = "the batch is larger than the order takes: hand in fewer at once";
                    return Err(Refusal::new(Reason::TooLarge, message));
                }
                Step::Refuse(refusal) => return Err(refusal),
            }
        }
    }

    /// Has the ledger decide, and tells: first who hands in the next message when it knows of this one, then the readers,
    /// so that a message goes down to an office with the answer to its receipts.
    async fn decide(
        &mut self,
        appended: Appended,
        decoded: &[Decoded],
        replies: Vec<Reply>,
    ) -> Result<(), SequenceError> {
        let Applied { outcomes, owed, received_after_us, staged } =
            self.ledger.decide(appended.mark, decoded)?;
        trace(decoded, &outcomes);
        for (entry, outcome) in decoded.iter().zip(&outcomes) {
            if let (Statement::Publish { envelope, .. }, Outcome::Accepted { .. }) =
                (&entry.statement, outcome)
                && envelope.priority == Priority::Urgent
            {
                self.live.note_urgent(entry.index);
            }
        }
        self.meters.decided(decoded, &outcomes, &received_after_us);
        let taken = replies.iter().any(|reply| reply.publishes > 0);
        let signer = self.promiser.as_ref().filter(|_| taken);
        let promised = signer.and_then(|it| it.sign(&appended.entries)).map(Arc::new);
        self.keep(appended.entries, &outcomes);
        let (publishes, others): (Vec<_>, Vec<_>) =
            with_outcomes(replies, outcomes).partition(|(reply, _)| reply.publishes > 0);
        self.answer(publishes, promised.as_ref());
        for office in &owed {
            self.live.ring(*office);
        }
        self.answer(others, None);
        self.rows.send(staged).await.map_err(|_| SequenceError::RowsEnded)
    }

    /// Hands the outcomes to who waits for them.
    fn answer(
        &self,
        replies: impl IntoIterator<Item = (Reply, Vec<Outcome>)>,
        promised: Option<&Arc<Promised>>,
    ) {
        let now_us = self.clock.monotonic_us();
        for (reply, outcomes) in replies {
            self.meters.confirmed(reply.publishes, now_us.saturating_sub(reply.since_us));
            // Who asked may have gone: what was decided stands all the same.
            let _ = reply.to.send(Decided { outcomes, promised: promised.cloned() });
        }
    }

    /// Keeps new messages in memory for the subscriptions.
    fn keep(&self, entries: Vec<Entry>, outcomes: &[Outcome]) {
        if entries.iter().any(|entry| entry.kind == EntryKind::Directory) {
            self.live.ring_directory();
        }
        if entries.iter().any(|entry| entry.kind == EntryKind::Erasure) {
            self.live.ring_erasures();
        }
        let new = |(entry, outcome): (Entry, &Outcome)| match (entry.kind, outcome) {
            (EntryKind::Publish, Outcome::Accepted { duplicate: false, .. }) => {
                let payload = match entry.payload {
                    Payload::Kept(bytes) => Some(bytes),
                    Payload::None | Payload::Erased => None,
                };
                Some(Item {
                    kind: entry.kind,
                    index: entry.index,
                    time: entry.time,
                    statement: entry.statement,
                    payload,
                })
            }
            _ => None,
        };
        self.live.keep(entries.into_iter().zip(outcomes).filter_map(new));
    }
}

/// Tells of each message what was decided, where that is asked for: at some thousand messages a second it is not.
fn trace(entries: &[Decoded], outcomes: &[Outcome]) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for (entry, outcome) in entries.iter().zip(outcomes) {
        let index = entry.index;
        match (&entry.statement, outcome) {
            (Statement::Publish { envelope, .. }, Outcome::Refused(refusal)) => {
                let message_id = envelope.message_id;
                tracing::debug!(%message_id, %index, reason = %refusal.reason, "refused");
            }
            (Statement::Publish { envelope, .. }, _) => {
                let (message_id, sender) = (envelope.message_id, &envelope.sender);
                tracing::debug!(%message_id, %index, %sender, priority = envelope.priority.name(), "accepted");
            }
            (Statement::Receipt(receipt), outcome) => {
                let refused = matches!(outcome, Outcome::Refused(_));
                for message in &receipt.messages {
                    let (message_id, desk, stage) = (message.message_id, &receipt.desk, receipt.stage.name());
                    tracing::debug!(%message_id, %index, %desk, stage, refused, "stated");
                }
            }
            (Statement::Erasure(Erasure::Order { order, .. }), outcome) => {
                let refused = matches!(outcome, Outcome::Refused(_));
                let (message_id, by) = (order.message_id, &order.by);
                tracing::debug!(%message_id, %index, %by, refused, "ordered to be erased");
            }
            _ => {}
        }
    }
}

/// Who waits for outcomes: for how many, how many of them of publishes, since when.
struct Reply {
    count: usize,
    publishes: usize,
    since_us: u64,
    to: oneshot::Sender<Decided>,
    /// Files that are held until it is decided.
    _pins: Vec<Pins>,
}

/// Gives each reply its outcomes.
fn with_outcomes(replies: Vec<Reply>, outcomes: Vec<Outcome>) -> impl Iterator<Item = (Reply, Vec<Outcome>)> {
    let mut outcomes = outcomes.into_iter();
    replies.into_iter().map(move |reply| {
        let its = outcomes.by_ref().take(reply.count).collect();
        (reply, its)
    })
}

fn take_batch(waiting: &mut VecDeque<Submission>, bytes_max: usize) -> Vec<Submission> {
    let mut bytes = 0;
    let fits = |one: &&Submission| {
        bytes += one.bytes;
        bytes <= bytes_max
    };
    let count = waiting.iter().take_while(fits).count().max(1);
    waiting.drain(..count).collect()
}

fn unpack(taken: Vec<Submission>) -> (Vec<Proposal>, Vec<Statement>, Vec<Reply>) {
    let count = taken.iter().map(|one| one.items.len()).sum();
    let (mut proposals, mut statements) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut replies = Vec::with_capacity(taken.len());
    for submission in taken {
        let publishes = submission.items.iter().filter(|item| item.proposal.kind == EntryKind::Publish);
        let (count, publishes, mut pins) = (submission.items.len(), publishes.count(), Vec::new());
        for item in submission.items {
            proposals.push(item.proposal);
            statements.push(item.statement);
            pins.extend(item.pins);
        }
        let (since_us, to) = (submission.since_us, submission.reply);
        replies.push(Reply { count, publishes, since_us, to, _pins: pins });
    }
    (proposals, statements, replies)
}

#[cfg(test)]
mod tests;
