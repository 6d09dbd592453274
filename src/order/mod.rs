//! Total order: puts batches into one sequence and hands them on, in order, to whoever follows its tail.
//!
//! Owns the contract that every implementation keeps, and its suite. Never looks into a batch, never decides.
//! At a crash a local order is gone: the journal, written from the tail before anybody is answered, is what remains.

pub mod local;
pub mod memory;
pub mod retry;

#[cfg(test)]
mod contract;

use std::future::Future;
use std::sync::Arc;

use crate::model::entry::Batch;
use crate::model::id::Position;

/// Why a batch was not put in order, or not for certain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// This attempt did not put it in order.
    #[error("the batch was not put in order")]
    NotWritten,
    /// It may be in order or not. Trying again under the same name is safe.
    #[error("it is not known whether the batch was put in order")]
    Ambiguous,
    /// Nothing can be put in order now.
    #[error("the order cannot be reached")]
    Unavailable,
    /// The batch is larger than one may be.
    #[error("the batch has {found} bytes; at most {allowed} are taken")]
    TooLarge {
        /// The batch's size in bytes, as [`batch_bytes`] counts.
        found: usize,
        /// The most that is taken.
        allowed: usize,
    },
    /// As much waits for its followers as may wait.
    #[error("the order holds as much as it may until its followers release some")]
    Full,
}

/// Why a tail gives nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// What was asked for had been released.
    #[error("batch {asked} was released; the first that is held is {first}")]
    Released {
        /// The position asked for.
        asked: Position,
        /// The first one that is held.
        first: Position,
    },
    /// The order cannot be reached: ask for a new tail later.
    #[error("the order cannot be reached")]
    Unavailable,
}

/// A total order of batches.
pub trait Order: Send + Sync {
    /// What follows it.
    type Tail: Tail;

    /// Puts a batch in order and gives its position. A batch of a name that is in order already gets the same position
    /// and is not added again. Not yet durable here: it is when the follower has written it.
    ///
    /// # Errors
    /// [`OrderError`], each as it says.
    fn append(&self, batch: Arc<Batch>) -> impl Future<Output = Result<Position, OrderError>> + Send;

    /// Follows the order from a position on: one that is held, or one that is still to come.
    fn tail(&self, from: Position) -> Self::Tail;

    /// Lets go of all batches before a position: their followers have them on disk. Their names stay known.
    fn release(&self, before: Position);
}

/// A follower of an order.
pub trait Tail: Send {
    /// Waits for the next batch. Dropped before it is done, it loses nothing.
    ///
    /// # Errors
    /// [`TailError`], each as it says.
    fn next(&mut self) -> impl Future<Output = Result<(Position, Arc<Batch>), TailError>> + Send;
}

/// Counts a batch's bytes: identities, statements and payloads.
pub fn batch_bytes(batch: &Batch) -> usize {
    let proposals = batch.proposals.iter();
    proposals
        .map(|it| it.identity.len() + it.statement.len() + it.payload.as_ref().map_or(0, bytes::Bytes::len))
        .sum()
}
