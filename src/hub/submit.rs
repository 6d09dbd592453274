//! The way in: what the door has let through waits here for its place in the order, its disk and its outcome.
//!
//! Bounded in number and bytes. Who comes by a single call when it is full is told to come again; who streams waits.
//! Receipts have a queue of their own, so that while they wait for a message, one more of them wakes nobody.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::files::store::Pins;
use crate::host::clock::Clock;
use crate::ledger::entry::{Outcome, Statement};
use crate::model::entry::{EntryKind, Proposal};
use crate::model::refusal::{Reason, Refusal};
use crate::wire::promise::Promised;

/// Submissions that may wait in each queue: more than all callers of a full hub make at once by single calls.
const SUBMISSIONS_WAITING_MAX: usize = 4_096;
/// What a submission costs beside its bytes.
const ITEM_BYTES: usize = 512;
/// When to come again when the hub has as much in hand as it may, in milliseconds.
const BUSY_RETRY_MS: u64 = 250;
/// When to come again when the hub is stopping, in milliseconds: a restart takes about this long.
const STOPPING_RETRY_MS: u64 = 2_000;

/// One thing to put in order, with its statement as the door decoded it.
#[derive(Debug)]
pub(super) struct Submitted {
    /// What becomes an entry.
    pub proposal: Proposal,
    /// The same statement, decoded.
    pub statement: Statement,
    /// Files that it names, held until it is decided.
    pub pins: Option<Pins>,
}

impl Submitted {
    fn bytes(&self) -> usize {
        let payload = self.proposal.payload.as_ref().map_or(0, bytes::Bytes::len);
        self.proposal.statement.len() + payload + ITEM_BYTES
    }
}

/// What became of things that were handed in together.
#[derive(Debug)]
pub(super) struct Decided {
    /// The outcomes, in their order.
    pub outcomes: Vec<Outcome>,
    /// The hub's signed word for what came to the disk with them, where one of them is a message.
    pub promised: Option<Arc<Promised>>,
}

/// Things that go in together and are answered together.
#[derive(Debug)]
pub(super) struct Submission {
    /// The things, in order.
    pub items: Vec<Submitted>,
    /// Where the outcomes go, in the same order.
    pub reply: oneshot::Sender<Decided>,
    /// What they weigh, in bytes.
    pub bytes: usize,
    /// When they were handed in, by the monotonic clock.
    pub since_us: u64,
    _weight: OwnedSemaphorePermit,
}

impl Submission {
    /// Tells whether it holds receipts and nothing else.
    pub(super) fn is_of_receipts(&self) -> bool {
        self.items.iter().all(|item| item.proposal.kind == EntryKind::Receipt)
    }
}

/// The end of the way in: what waits.
pub(super) struct Waiting {
    receipts: mpsc::Receiver<Submission>,
    others: mpsc::Receiver<Submission>,
}

impl Waiting {
    /// Waits for the next one; `None`: none will come any more.
    pub(super) async fn next(&mut self) -> Option<Submission> {
        tokio::select! {
            biased;
            Some(other) = self.others.recv() => Some(other),
            Some(receipts) = self.receipts.recv() => Some(receipts),
            else => None,
        }
    }

    /// Waits for the next one that is not of receipts; `None`: none will come any more.
    pub(super) async fn next_other(&mut self) -> Option<Submission> {
        self.others.recv().await
    }

    /// Takes what is there, from both queues in turns, until there are as many.
    pub(super) fn take(&mut self, taken: &mut VecDeque<Submission>, count_max: usize) {
        let mut more = true;
        while more && taken.len() < count_max {
            more = false;
            for queue in [&mut self.receipts, &mut self.others] {
                if let Ok(submission) = queue.try_recv() {
                    taken.push_back(submission);
                    more = true;
                }
            }
        }
    }

    /// Takes the receipts that are there, until there are as many.
    pub(super) fn take_receipts(&mut self, taken: &mut VecDeque<Submission>, count_max: usize) {
        while taken.len() < count_max
            && let Ok(receipts) = self.receipts.try_recv()
        {
            taken.push_back(receipts);
        }
    }

    /// Lets no more in; what is there can be taken still.
    pub(super) fn close(&mut self) {
        self.receipts.close();
        self.others.close();
    }
}

/// Where the outcomes will come. They do not come when the hub fails before the things are on its disk.
pub(super) type Outcomes = oneshot::Receiver<Decided>;

/// The way in.
#[derive(Clone)]
pub(super) struct Submitter {
    clock: Arc<dyn Clock>,
    receipts: mpsc::Sender<Submission>,
    others: mpsc::Sender<Submission>,
    /// Bytes that may still wait.
    room: Arc<Semaphore>,
    bytes_max: usize,
    submission_bytes_max: usize,
    /// When something other than receipts was last handed in, by the monotonic clock.
    last_us: Arc<AtomicU64>,
}

impl Submitter {
    /// Makes a way in that holds at most `bytes_max` bytes, of one submission at most `submission_bytes_max`; and its end.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        bytes_max: usize,
        submission_bytes_max: usize,
    ) -> (Self, Waiting) {
        let (receipts, waiting_receipts) = mpsc::channel(SUBMISSIONS_WAITING_MAX);
        let (others, waiting_others) = mpsc::channel(SUBMISSIONS_WAITING_MAX);
        let room = Arc::new(Semaphore::new(bytes_max));
        let last_us = Arc::default();
        (
            Self { clock, receipts, others, room, bytes_max, submission_bytes_max, last_us },
            Waiting { receipts: waiting_receipts, others: waiting_others },
        )
    }

    fn queue(&self, submission: &Submission) -> &mpsc::Sender<Submission> {
        if submission.is_of_receipts() {
            return &self.receipts;
        }
        self.last_us.store(self.clock.monotonic_us(), Ordering::Relaxed);
        &self.others
    }

    /// Tells whether something other than receipts was handed in within the last so many microseconds.
    pub(super) fn is_in_use(&self, within_us: u64) -> bool {
        self.clock.monotonic_us().saturating_sub(self.last_us.load(Ordering::Relaxed)) < within_us
    }

    /// Hands things in if there is room now.
    ///
    /// # Errors
    /// [`Reason::Busy`], [`Reason::TooLarge`], [`Reason::Stopping`]; nothing was handed in.
    pub(super) fn submit_now(&self, items: Vec<Submitted>) -> Result<Outcomes, Refusal> {
        let since_us = self.clock.monotonic_us();
        let (bytes, permits) = self.weigh(&items)?;
        let weight = Arc::clone(&self.room).try_acquire_many_owned(permits).map_err(|_| busy())?;
        let (reply, outcomes) = oneshot::channel();
        let submission = Submission { items, reply, bytes, since_us, _weight: weight };
        self.queue(&submission).try_send(submission).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => busy(),
            mpsc::error::TrySendError::Closed(_) => stopping(),
        })?;
        Ok(outcomes)
    }

    /// Hands things in when there is room.
    ///
    /// # Errors
    /// [`Reason::TooLarge`], [`Reason::Stopping`]; nothing was handed in.
    pub(super) async fn submit(&self, items: Vec<Submitted>) -> Result<Outcomes, Refusal> {
        let since_us = self.clock.monotonic_us();
        let (bytes, permits) = self.weigh(&items)?;
        let weight = Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| stopping())?;
        let (reply, outcomes) = oneshot::channel();
        let submission = Submission { items, reply, bytes, since_us, _weight: weight };
        self.queue(&submission).send(submission).await.map_err(|_| stopping())?;
        Ok(outcomes)
    }

    /// Cuts things into parts that each can be submitted; a single thing that cannot be is a part of its own.
    pub(super) fn parts(&self, items: Vec<Submitted>) -> Vec<Vec<Submitted>> {
        let mut parts: Vec<Vec<Submitted>> = Vec::new();
        let mut bytes = usize::MAX;
        for item in items {
            bytes = bytes.saturating_add(item.bytes());
            match parts.last_mut() {
                Some(part) if bytes <= self.submission_bytes_max => part.push(item),
                _ => {
                    bytes = item.bytes();
                    parts.push(vec![item]);
                }
            }
        }
        parts
    }

    /// Weighs things: their bytes, and the permits that they take, which are never more than there are.
    fn weigh(&self, items: &[Submitted]) -> Result<(usize, u32), Refusal> {
        let bytes: usize = items.iter().map(Submitted::bytes).sum();
        if bytes > self.submission_bytes_max {
            let most = self.submission_bytes_max;
            let message = format!(
                "what came at once weighs {bytes} bytes; at most {most} are taken: send smaller frames"
            );
            return Err(Refusal::new(Reason::TooLarge, message));
        }
        Ok((bytes, u32::try_from(bytes.min(self.bytes_max)).unwrap_or(u32::MAX)))
    }
}

/// The refusal of a hub that has its hands full.
pub(super) fn busy() -> Refusal {
    let message = "the hub has as much in hand as it may: hand in the same bytes again";
    Refusal::new(Reason::Busy, message).retry_after_ms(BUSY_RETRY_MS)
}

/// The refusal of a hub that is stopping.
pub(super) fn stopping() -> Refusal {
    let message = "the hub is stopping: hand in the same bytes again when it is back";
    Refusal::new(Reason::Stopping, message).retry_after_ms(STOPPING_RETRY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::ManualClock;
    use crate::model::id::UnixMicros;

    fn of_bytes(bytes: usize) -> Vec<Submitted> {
        of_kind(EntryKind::Refusal, bytes)
    }

    fn of_kind(kind: EntryKind, bytes: usize) -> Vec<Submitted> {
        let (identity, statement) = (String::new(), vec![0; bytes - ITEM_BYTES].into());
        let proposal = Proposal { kind, identity, statement, payload: None };
        vec![Submitted { proposal, statement: Statement::Refusal, pins: None }]
    }

    #[test]
    fn who_waits_for_a_message_is_not_woken_by_receipts_and_neither_keeps_the_other_out() {
        let clock = Arc::new(ManualClock::at(UnixMicros(1)));
        let (submitter, mut waiting) = Submitter::new(clock, 100_000, 8_000);
        let _answers: Vec<_> =
            [EntryKind::Receipt, EntryKind::Receipt, EntryKind::Receipt, EntryKind::Publish]
                .map(|kind| submitter.submit_now(of_kind(kind, 600)).unwrap())
                .into();
        let mut taken = VecDeque::new();
        waiting.take(&mut taken, 2);
        let of_receipts: Vec<_> = taken.iter().map(Submission::is_of_receipts).collect();
        assert_eq!(of_receipts, [true, false], "in turns");
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let other = std::pin::pin!(waiting.next_other()).poll(&mut context);
        assert!(other.is_pending(), "two receipts wait");
        waiting.take_receipts(&mut taken, 1_000);
        assert_eq!(taken.len(), 4);
    }

    #[test]
    fn bytes_that_wait_are_bounded_until_those_before_are_done() {
        let clock = Arc::new(ManualClock::at(UnixMicros(1)));
        let (submitter, mut waiting) = Submitter::new(clock, 10_000, 8_000);
        let _first = submitter.submit_now(of_bytes(6_000)).unwrap();
        let refusal = submitter.submit_now(of_bytes(6_000)).unwrap_err();
        assert_eq!((refusal.reason, refusal.retry_after_ms), (Reason::Busy, Some(BUSY_RETRY_MS)));
        let _second = submitter.submit_now(of_bytes(4_000)).unwrap();
        let mut taken = VecDeque::new();
        waiting.take(&mut taken, 1);
        assert_eq!(taken.drain(..).count(), 1);
        let _third = submitter.submit_now(of_bytes(6_000)).unwrap();
        assert_eq!(submitter.submit_now(of_bytes(8_001)).unwrap_err().reason, Reason::TooLarge);
    }
}
