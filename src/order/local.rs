//! This hub's own order: a sequence in memory.
//!
//! Owns positions, names and the batches that wait for their followers, bounded in number and bytes.
//! Never touches a disk: at a crash it is gone, and begins again where the journal ends.
//!
//! Nothing is copied or handed to another thread: a batch is shared, and who appends and then asks the tail gets
//! its own batch at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Order, OrderError, Tail, TailError, batch_bytes};
use crate::model::entry::{Batch, BatchName};
use crate::model::id::Position;

/// How much a local order holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of one batch.
    pub batch_bytes_max: usize,
    /// Batches that are not released yet.
    pub held_batches_max: usize,
    /// Bytes of the batches that are not released yet.
    pub held_bytes_max: usize,
}

impl Default for Bounds {
    /// One batch in flight needs one place; eight leave room for a follower that is behind.
    fn default() -> Self {
        Self { batch_bytes_max: 16 << 20, held_batches_max: 8, held_bytes_max: 64 << 20 }
    }
}

/// The order of one hub alone.
#[derive(Clone, Debug)]
pub struct Local {
    shared: Arc<Shared>,
}

/// Follows a local order.
#[derive(Debug)]
pub struct LocalTail {
    shared: Arc<Shared>,
    next: Position,
}

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    sequence: Mutex<Sequence>,
    grown: Notify,
}

#[derive(Debug)]
struct Sequence {
    first_held: Position,
    held: VecDeque<Arc<Batch>>,
    held_bytes: usize,
    runs: Vec<Run>,
}

/// Names in succession at positions in succession: a hub numbers its batches without gaps, so one run's names cost
/// nothing a batch, and a name is known for ever.
#[derive(Debug)]
struct Run {
    first_name: BatchName,
    first: Position,
    batches: u64,
}

impl Local {
    /// Begins where the journal ends: `next` is the position of the first batch to come.
    pub fn starting_at(next: Position, bounds: Bounds) -> Self {
        let sequence = Sequence { first_held: next, held: VecDeque::new(), held_bytes: 0, runs: Vec::new() };
        Self { shared: Arc::new(Shared { bounds, sequence: Mutex::new(sequence), grown: Notify::new() }) }
    }
}

impl Order for Local {
    type Tail = LocalTail;

    async fn append(&self, batch: Arc<Batch>) -> Result<Position, OrderError> {
        let position = self.shared.sequence().append(batch, &self.shared.bounds)?;
        self.shared.grown.notify_waiters();
        Ok(position)
    }

    fn tail(&self, from: Position) -> LocalTail {
        LocalTail { shared: Arc::clone(&self.shared), next: from }
    }

    fn release(&self, before: Position) {
        self.shared.sequence().release(before);
    }
}

impl Tail for LocalTail {
    async fn next(&mut self) -> Result<(Position, Arc<Batch>), TailError> {
        loop {
            // Made before the look: it is woken by every batch that is appended from here on.
            let grown = self.shared.grown.notified();
            if let Some(batch) = self.shared.sequence().held_at(self.next)? {
                let position = self.next;
                self.next = position.next();
                return Ok((position, batch));
            }
            grown.await;
        }
    }
}

impl Shared {
    fn sequence(&self) -> MutexGuard<'_, Sequence> {
        // No step of a change can panic half way, so a poisoned sequence is whole.
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sequence {
    fn append(&mut self, batch: Arc<Batch>, bounds: &Bounds) -> Result<Position, OrderError> {
        if let Some(position) = self.runs.iter().rev().find_map(|run| run.position_of(batch.name)) {
            return Ok(position);
        }
        let bytes = batch_bytes(&batch);
        if bytes > bounds.batch_bytes_max {
            return Err(OrderError::TooLarge { found: bytes, allowed: bounds.batch_bytes_max });
        }
        if self.held.len() >= bounds.held_batches_max || self.held_bytes + bytes > bounds.held_bytes_max {
            return Err(OrderError::Full);
        }
        let position = Position(self.first_held.0 + self.held.len() as u64);
        match self.runs.last_mut() {
            Some(run) if run.goes_on_with(batch.name) => run.batches += 1,
            _ => self.runs.push(Run { first_name: batch.name, first: position, batches: 1 }),
        }
        self.held.push_back(batch);
        self.held_bytes += bytes;
        Ok(position)
    }

    fn held_at(&self, position: Position) -> Result<Option<Arc<Batch>>, TailError> {
        let released = TailError::Released { asked: position, first: self.first_held };
        let place = position.0.checked_sub(self.first_held.0).ok_or(released)?;
        Ok(usize::try_from(place).ok().and_then(|place| self.held.get(place)).cloned())
    }

    fn release(&mut self, before: Position) {
        while self.first_held < before {
            let Some(batch) = self.held.pop_front() else { return };
            self.held_bytes -= batch_bytes(&batch);
            self.first_held = self.first_held.next();
        }
    }
}

impl Run {
    fn position_of(&self, name: BatchName) -> Option<Position> {
        let same_run = name.hub == self.first_name.hub && name.run == self.first_name.run;
        let place = name.number.checked_sub(self.first_name.number)?;
        (same_run && place < self.batches).then(|| Position(self.first.0 + place))
    }

    fn goes_on_with(&self, name: BatchName) -> bool {
        name == BatchName { number: self.first_name.number + self.batches, ..self.first_name }
    }
}

#[cfg(test)]
mod tests {
    use super::super::contract::{self, batch, run};
    use super::*;

    fn roomy(next: Position) -> Local {
        let bounds = Bounds { held_batches_max: 10_000, ..Bounds::default() };
        Local::starting_at(next, bounds)
    }

    #[test]
    fn local_order_keeps_the_contract() {
        contract::keeps_the_contract(roomy);
    }

    #[test]
    fn what_waits_is_bounded_and_release_makes_room() {
        run(async {
            let bounds = Bounds { batch_bytes_max: 100, held_batches_max: 2, held_bytes_max: 150 };
            let order = Local::starting_at(Position(0), bounds);
            assert_eq!(order.append(batch(0, 80)).await, Ok(Position(0)));
            assert_eq!(order.append(batch(1, 80)).await, Err(OrderError::Full), "bytes");
            assert_eq!(order.append(batch(1, 10)).await, Ok(Position(1)));
            assert_eq!(order.append(batch(2, 10)).await, Err(OrderError::Full), "batches");
            assert_eq!(order.append(batch(0, 80)).await, Ok(Position(0)), "a repetition needs no room");
            let too_large = OrderError::TooLarge { found: 101, allowed: 100 };
            assert_eq!(order.append(batch(2, 101)).await, Err(too_large));
            order.release(Position(1));
            assert_eq!(order.append(batch(2, 80)).await, Ok(Position(2)));
        });
    }

    #[test]
    fn release_beyond_the_end_lets_go_of_what_there_is() {
        run(async {
            let order = roomy(Position(5));
            order.append(batch(0, 1)).await.unwrap();
            order.release(Position(100));
            assert_eq!(order.append(batch(1, 1)).await, Ok(Position(6)));
        });
    }

    #[test]
    fn names_in_succession_cost_one_run() {
        run(async {
            let order = roomy(Position(0));
            for number in 0..5_000 {
                let position = order.append(batch(number, 1)).await.unwrap();
                order.release(position.next());
            }
            assert_eq!(order.append(batch(17, 1)).await, Ok(Position(17)));
            let sequence = order.shared.sequence();
            assert_eq!((sequence.runs.len(), sequence.held.len(), sequence.held_bytes), (1, 0, 0));
        });
    }
}
