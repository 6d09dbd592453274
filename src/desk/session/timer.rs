//! A wait of a line that may or may not be on.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Sleep, sleep};

/// A wait that may or may not be on.
#[derive(Default)]
pub(super) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    /// Starts it, unless it is on.
    pub(super) fn start(&mut self, duration: Duration) {
        self.0.get_or_insert_with(|| Box::pin(sleep(duration)));
    }

    /// Puts it off.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    /// Waits for its end; for ever while it is off.
    pub(super) async fn elapsed(&mut self) {
        match &mut self.0 {
            Some(sleep) => sleep.await,
            None => pending().await,
        }
    }
}
