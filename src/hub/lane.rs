//! A lane: one thread on which reads of disk and ledger wait, so that the runtime's threads never do.
//!
//! Never carries what a publish waits for. Bounded: who comes when the lane is full waits for a place.

use std::io;

use tokio::sync::{mpsc, oneshot};

use crate::host::tasks::{Task, Tasks};

/// Reads that may wait in one lane: more would only wait longer.
const JOBS_WAITING_MAX: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// The way into a lane.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    jobs: mpsc::Sender<Job>,
}

/// The lane has ended: the hub is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the hub is stopping")]
pub(super) struct LaneEnded;

impl Lane {
    /// Starts a lane; it ends when its last clone is dropped.
    ///
    /// # Errors
    /// The system gives no further thread.
    pub(super) fn start(tasks: &dyn Tasks, name: &str) -> io::Result<(Self, Task)> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(JOBS_WAITING_MAX);
        let task = tasks.spawn_dedicated(
            name,
            Box::new(move || {
                Box::pin(async move {
                    while let Some(job) = waiting.recv().await {
                        job();
                    }
                })
            }),
        )?;
        Ok((Self { jobs }, task))
    }

    /// Runs a read in the lane and gives what it gave.
    ///
    /// # Errors
    /// [`LaneEnded`]
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, LaneEnded> {
        self.begin(read).await?.await.map_err(|_| LaneEnded)
    }

    /// Has something run in the lane, and gives where it will tell what it gave; it is run also when nobody waits there.
    ///
    /// # Errors
    /// [`LaneEnded`]
    pub(super) async fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<oneshot::Receiver<T>, LaneEnded> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Who asked may have gone.
            let _ = tell.send(work());
        });
        self.jobs.send(job).await.map_err(|_| LaneEnded)?;
        Ok(told)
    }
}
