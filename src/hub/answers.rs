//! Answers to frames of several things: some known at the door, the others when the disk has them; always in order.
//!
//! One mechanism for publishing streams and receipts. A hub that fails before it has the outcomes answers nothing of
//! the frame: the caller hands the same bytes in again.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tonic::Status;

use super::Hub;
use super::submit::{Decided, Outcomes, Submitted};
use crate::ledger::entry::Outcome;
use crate::model::epoch::Epochs;
use crate::model::refusal::Refusal;
use crate::wire::promise::Promised;
use crate::wire::proto::{
    Accepted, EraseResponse, PublishResult, ReceiptResult, Recorded, publish_result, receipt_result,
};
use crate::wire::status;

/// Frames of one stream that may wait for their answers: enough to fill a batch while another is on its way to the disk.
pub(super) const FRAMES_WAITING_MAX: usize = 64;
/// Answers sent in one frame at most.
const ANSWERS_PER_FRAME_MAX: usize = 1_024;

/// An answer to one thing.
pub(super) trait Answer: Send + Sized + 'static {
    /// Makes the answer of a refusal.
    fn refused(refusal: &Refusal) -> Self;
    /// Makes the answer of an outcome.
    fn outcome(outcome: Outcome, by: Option<&Promised>, epochs: &Epochs) -> Self;
    /// The message that it accepts, if it accepts one.
    fn accepted(&mut self) -> Option<&mut Accepted>;
}

impl Answer for PublishResult {
    fn refused(refusal: &Refusal) -> Self {
        Self { outcome: Some(publish_result::Outcome::Refusal(refusal.into())) }
    }

    fn outcome(outcome: Outcome, by: Option<&Promised>, epochs: &Epochs) -> Self {
        match accepted(outcome, by, epochs) {
            Ok(accepted) => Self { outcome: Some(publish_result::Outcome::Accepted(accepted)) },
            Err(refusal) => Self::refused(&refusal),
        }
    }

    fn accepted(&mut self) -> Option<&mut Accepted> {
        match &mut self.outcome {
            Some(publish_result::Outcome::Accepted(accepted)) => Some(accepted),
            _ => None,
        }
    }
}

impl Answer for ReceiptResult {
    fn refused(refusal: &Refusal) -> Self {
        Self { outcome: Some(receipt_result::Outcome::Refusal(refusal.into())) }
    }

    fn outcome(outcome: Outcome, _by: Option<&Promised>, epochs: &Epochs) -> Self {
        let recorded = match outcome {
            Outcome::Recorded { index, time, news, .. } => {
                Recorded { index: index.0, recorded_unix_us: time.0, news, epoch: epochs.of(index).0 }
            }
            Outcome::Refused(refusal) => return Self::refused(&refusal),
            other => unreachable!("a receipt is recorded or refused, not {other:?}"),
        };
        Self { outcome: Some(receipt_result::Outcome::Recorded(recorded)) }
    }

    fn accepted(&mut self) -> Option<&mut Accepted> {
        None
    }
}

/// Reads the outcome of a publish.
///
/// # Errors
/// The refusal that the ledger decided.
pub(super) fn accepted(
    outcome: Outcome,
    by: Option<&Promised>,
    epochs: &Epochs,
) -> Result<Accepted, Refusal> {
    match outcome {
        Outcome::Accepted { index, time, duplicate } => {
            let epoch = epochs.of(index).0;
            let promise = by.and_then(|promised| promised.of(index));
            Ok(Accepted { index: index.0, accepted_unix_us: time.0, duplicate, epoch, promise })
        }
        Outcome::Refused(refusal) => Err(refusal),
        other => unreachable!("a publish is accepted or refused, not {other:?}"),
    }
}

/// Reads the outcome of an order to erase.
///
/// # Errors
/// The refusal that the ledger decided.
pub(super) fn erased(outcome: Outcome, epochs: &Epochs) -> Result<EraseResponse, Refusal> {
    match outcome {
        Outcome::Erased { index, time, duplicate } => {
            let epoch = epochs.of(index).0;
            Ok(EraseResponse { index: index.0, recorded_unix_us: time.0, duplicate, epoch })
        }
        Outcome::Refused(refusal) => Err(refusal),
        other => unreachable!("an order is recorded or refused, not {other:?}"),
    }
}

/// The answers of one frame, on their way.
pub(super) struct Answers<A> {
    /// The answers in order; `None` where the outcome must come.
    slots: Vec<Option<A>>,
    outcomes: Vec<Outcomes>,
    hub: Arc<Hub>,
}

impl<A: Answer> Answers<A> {
    /// Hands in what the door has let through, when there is room, and remembers the answers that are known.
    ///
    /// # Errors
    /// [`crate::model::refusal::Reason::Stopping`]; nothing was handed in.
    pub(super) async fn of(checked: Vec<Result<Submitted, A>>, hub: &Arc<Hub>) -> Result<Self, Refusal> {
        let mut slots = Vec::with_capacity(checked.len());
        let mut items = Vec::with_capacity(checked.len());
        for one in checked {
            match one {
                Ok(item) => {
                    items.push(item);
                    slots.push(None);
                }
                Err(answer) => slots.push(Some(answer)),
            }
        }
        let mut outcomes = Vec::new();
        for part in hub.submitter.parts(items) {
            outcomes.push(hub.submitter.submit(part).await?);
        }
        Ok(Self { slots, outcomes, hub: Arc::clone(hub) })
    }

    /// Waits for the outcomes.
    ///
    /// # Errors
    /// `None` when the hub failed before it had them.
    async fn complete(self) -> Option<Vec<A>> {
        let mut came = VecDeque::with_capacity(self.slots.len());
        let epochs = self.hub.door.view.epochs();
        for part in self.outcomes {
            let Decided { outcomes, promised } = part.await.ok()?;
            came.extend(outcomes.into_iter().map(|it| A::outcome(it, promised.as_deref(), &epochs)));
        }
        let fill = |slot: Option<A>| slot.or_else(|| came.pop_front());
        let mut answers = self.slots.into_iter().map(fill).collect::<Option<Vec<_>>>()?;
        self.hub.promise_again(answers.iter_mut().filter_map(A::accepted)).await.ok()?;
        Some(answers)
    }

    fn ready(&self) -> bool {
        self.outcomes.iter().all(|part| !part.is_empty())
    }
}

/// Runs something and, in the same task, the sending of its answers: what was handed in is answered before it ends. Ends
/// early when nobody reads the answers any more.
pub(super) async fn beside<E>(
    answering: impl Future<Output = ()>,
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    let mut answering = pin!(answering);
    let ended = tokio::select! {
        ended = work => ended,
        () = &mut answering => return Ok(()),
    };
    answering.await;
    ended
}

/// Sends answers down in order, those that are ready together in one frame, until there are no more.
pub(super) async fn send<A: Answer, F>(
    mut waiting: mpsc::Receiver<Answers<A>>,
    down: mpsc::Sender<Result<F, Status>>,
    frame: fn(Vec<A>) -> F,
) {
    let mut next = waiting.recv().await;
    while let Some(first) = next.take() {
        let Some(mut answers) = first.complete().await else {
            // Who reads may have gone.
            let _ = down.send(Err(status::fault())).await;
            return;
        };
        next = waiting.try_recv().ok();
        while answers.len() < ANSWERS_PER_FRAME_MAX
            && let Some(more) = next.take_if(|more| more.ready())
        {
            let Some(more) = more.complete().await else {
                let _ = down.send(Err(status::fault())).await;
                return;
            };
            answers.extend(more);
            next = waiting.try_recv().ok();
        }
        if down.send(Ok(frame(answers))).await.is_err() {
            return;
        }
        if next.is_none() {
            next = waiting.recv().await;
        }
    }
}
