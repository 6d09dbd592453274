//! Time of day and monotonic time, handed in.
//!
//! Owns reading the machine's clocks. Never decides by them: deadlines are decided from journaled times.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::id::UnixMicros;

/// The clocks of the machine.
pub trait Clock: Send + Sync {
    /// Reads the time of day. It may jump, also backwards.
    fn now(&self) -> UnixMicros;

    /// Reads the microseconds since some fixed point; never goes back, and ignores changes of the time of day.
    fn monotonic_us(&self) -> u64;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts counting monotonic time from 0.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the machine's clock is read")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    /// A time of day before 1970 reads as 0.
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the machine's clock is read")]
    fn now(&self) -> UnixMicros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMicros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now_us: AtomicU64,
    monotonic_us: AtomicU64,
}

impl ManualClock {
    /// Starts at a time of day, with monotonic time at 0.
    pub fn at(now: UnixMicros) -> Self {
        Self { now_us: AtomicU64::new(now.0), monotonic_us: AtomicU64::new(0) }
    }

    /// Lets time pass: both clocks go on by `us` microseconds.
    pub fn advance_us(&self, us: u64) {
        self.monotonic_us.fetch_add(us, Ordering::SeqCst);
        self.now_us.fetch_add(us, Ordering::SeqCst);
    }

    /// Sets the time of day alone, forwards or backwards, as an operator would.
    pub fn jump_to(&self, now: UnixMicros) {
        self.now_us.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMicros {
        UnixMicros(self.now_us.load(Ordering::SeqCst))
    }

    fn monotonic_us(&self) -> u64 {
        self.monotonic_us.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_clock_reads_a_time_after_this_was_written_and_never_goes_back() {
        let clock = SystemClock::new();
        assert!(clock.now() > UnixMicros(1_700_000_000_000_000));
        let first = clock.monotonic_us();
        assert!(clock.monotonic_us() >= first);
    }

    #[test]
    fn jump_of_the_day_leaves_monotonic_time_alone() {
        let clock = ManualClock::at(UnixMicros(5_000));
        clock.advance_us(7);
        clock.jump_to(UnixMicros(100));
        assert_eq!((clock.now(), clock.monotonic_us()), (UnixMicros(100), 7));
    }
}
