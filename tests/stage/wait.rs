//! Waiting for a condition, with a deadline so generous that only a hub that hangs meets it.

use std::future::Future;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

/// Time that anything may take on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_mins(2);
/// Time between two looks at something that cannot be awaited.
const LOOK: Duration = Duration::from_millis(20);

/// Awaits something that must come.
///
/// # Panics
/// When it has not come by the deadline; `what` says what was waited for.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let Ok(done) = timeout(DEADLINE, future).await else {
        panic!("waited {DEADLINE:?} in vain until {what}");
    };
    done
}

/// Looks again and again until there is something to see.
///
/// # Panics
/// When there is nothing by the deadline; `what` says what was waited for.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    })
    .await
}
