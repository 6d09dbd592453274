//! An order in memory that gives each of its answers on demand: for tests and simulations.
//!
//! Owns the script of answers. Never gives an answer that is not the truth: `Ambiguous` comes both with and without
//! the batch being in order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::local::{Bounds, Local, LocalTail};
use super::{Order, OrderError, batch_bytes};
use crate::host::random::SeededRandom;
use crate::model::entry::Batch;
use crate::model::id::Position;

/// What happens to one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is put in order, if it is not yet, and the position given.
    Position,
    /// [`OrderError::NotWritten`].
    NotWritten,
    /// It is put in order, and [`OrderError::Ambiguous`] given.
    AmbiguousWritten,
    /// It is not put in order, and [`OrderError::Ambiguous`] given.
    AmbiguousLost,
    /// [`OrderError::Unavailable`].
    Unavailable,
    /// [`OrderError::TooLarge`].
    TooLarge,
    /// [`OrderError::Full`].
    Full,
}

/// An order in memory. Clones are the same order.
#[derive(Clone, Debug)]
pub struct Memory {
    sequence: Local,
    answers: Arc<Answers>,
}

#[derive(Debug)]
struct Answers {
    script: Mutex<VecDeque<Answer>>,
    drawn: Option<(SeededRandom, Vec<Answer>)>,
}

impl Memory {
    /// Begins at a position and answers by the script; after its end, as it should.
    pub fn scripted(next: Position, script: impl IntoIterator<Item = Answer>) -> Self {
        Self::answering(next, Answers { script: Mutex::new(script.into_iter().collect()), drawn: None })
    }

    /// Begins at a position and answers each append with one of `answers`, drawn with the seed.
    pub fn seeded(next: Position, seed: u64, answers: impl Into<Vec<Answer>>) -> Self {
        let drawn = Some((SeededRandom::new(seed), answers.into()));
        Self::answering(next, Answers { script: Mutex::default(), drawn })
    }

    fn answering(next: Position, answers: Answers) -> Self {
        let unbounded =
            Bounds { batch_bytes_max: usize::MAX, held_batches_max: usize::MAX, held_bytes_max: usize::MAX };
        Self { sequence: Local::starting_at(next, unbounded), answers: Arc::new(answers) }
    }
}

impl Answers {
    fn next(&self) -> Answer {
        let scripted = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let drawn = || {
            let (random, answers) = self.drawn.as_ref()?;
            let place = usize::try_from(random.below(answers.len() as u64)).ok()?;
            answers.get(place).copied()
        };
        scripted.or_else(drawn).unwrap_or(Answer::Position)
    }
}

impl Order for Memory {
    type Tail = LocalTail;

    async fn append(&self, batch: Arc<Batch>) -> Result<Position, OrderError> {
        match self.answers.next() {
            Answer::Position => self.sequence.append(batch).await,
            Answer::NotWritten => Err(OrderError::NotWritten),
            Answer::AmbiguousWritten => {
                self.sequence.append(batch).await?;
                Err(OrderError::Ambiguous)
            }
            Answer::AmbiguousLost => Err(OrderError::Ambiguous),
            Answer::Unavailable => Err(OrderError::Unavailable),
            Answer::TooLarge => {
                let found = batch_bytes(&batch);
                Err(OrderError::TooLarge { found, allowed: found.saturating_sub(1) })
            }
            Answer::Full => Err(OrderError::Full),
        }
    }

    fn tail(&self, from: Position) -> LocalTail {
        self.sequence.tail(from)
    }

    fn release(&self, before: Position) {
        self.sequence.release(before);
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{self, batch, numbers, run};
    use super::super::retry::{Attempt, Step};
    use super::*;

    #[test]
    fn memory_order_keeps_the_contract() {
        contract::keeps_the_contract(|next| Memory::scripted(next, []));
    }

    #[test]
    fn each_answer_is_given_and_its_retry_never_doubles() {
        let too_large = OrderError::TooLarge { found: 9, allowed: 8 };
        for (answer, error, written) in [
            (Answer::NotWritten, OrderError::NotWritten, false),
            (Answer::AmbiguousLost, OrderError::Ambiguous, false),
            (Answer::AmbiguousWritten, OrderError::Ambiguous, true),
            (Answer::Unavailable, OrderError::Unavailable, false),
            (Answer::TooLarge, too_large, false),
            (Answer::Full, OrderError::Full, false),
        ] {
            run(async {
                let order = Memory::scripted(Position(0), [Answer::Position, answer]);
                order.append(batch(0, 9)).await.unwrap();
                assert_eq!(order.append(batch(1, 9)).await, Err(error));
                let other = contract::named(2, 0, 9);
                let other_position = order.append(other).await.unwrap();
                assert_eq!(other_position, Position(if written { 2 } else { 1 }), "{answer:?}");
                let position = order.append(batch(1, 9)).await.unwrap();
                assert_eq!(position, Position(if written { 1 } else { 2 }), "{answer:?}");
                assert_eq!(order.append(batch(2, 9)).await, Ok(Position(3)), "{answer:?}");
            });
        }
    }

    #[test]
    fn under_drawn_answers_each_batch_stands_once_and_in_order() {
        let answers = [Answer::Position, Answer::NotWritten, Answer::AmbiguousLost, Answer::AmbiguousWritten];
        for seed in 0..50 {
            run(async {
                let order = Memory::seeded(Position(0), seed, answers);
                for number in 0..100 {
                    let mut attempt = Attempt::default();
                    loop {
                        match attempt.answered(order.append(batch(number, 1)).await) {
                            Step::Done(position) => {
                                break assert_eq!(position, Position(number), "seed {seed}");
                            }
                            Step::Again => {}
                            other => panic!("seed {seed}: {other:?}"),
                        }
                    }
                }
                let all: Vec<_> = (0..100).collect();
                assert_eq!(numbers(&mut order.tail(Position(0)), 100).await, all, "seed {seed}");
            });
        }
    }
}
