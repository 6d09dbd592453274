//! The gate at which publishers and subscribers wait while the hub is down and while the audit is looked at.

use tokio::sync::watch;

use crate::stage::wait::within;

/// Opened once for each run of the hub. Who lost the hub waits here for its next run.
pub(crate) struct Gate {
    run: watch::Sender<u64>,
    waiting: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { run: watch::Sender::new(0), waiting: watch::Sender::new(0) }
    }
}

impl Gate {
    /// Opens it for a run; who waits passes.
    pub(crate) fn open(&self) {
        self.waiting.send_replace(0);
        self.run.send_modify(|run| *run += 1);
    }

    /// Waits for a run later than `seen`; gives it.
    pub(crate) async fn pass(&self, seen: u64) -> u64 {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let mut run = self.run.subscribe();
        let found = *run.wait_for(|run| *run > seen).await.expect("the gate outlives its workers");
        found
    }

    /// Waits until so many wait.
    pub(crate) async fn all_wait(&self, workers: usize) {
        let mut waiting = self.waiting.subscribe();
        let all = waiting.wait_for(|waiting| *waiting >= workers);
        within("publishers and subscribers have seen the kill", all).await.expect("the gate is here");
    }
}
