//! Rates: how often somebody may do something, as a bucket that fills with time.
//!
//! Time is an argument, monotonic. Bounded: one small bucket for each key ever seen; keys are enrolled identities.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// One token, in millionths.
const TOKEN: u64 = 1_000_000;

/// A bucket for each key.
#[derive(Debug)]
pub(super) struct Rates<K> {
    per_s: AtomicU32,
    burst: AtomicU32,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// In millionths.
    micro_tokens: u64,
    filled_us: u64,
}

impl<K: Eq + Hash> Rates<K> {
    /// Gives each key `burst` at once and `per_s` a second on average; both at least 1.
    pub(super) fn new(per_s: u32, burst: u32) -> Self {
        Self { per_s: per_s.into(), burst: burst.into(), buckets: Mutex::new(HashMap::new()) }
    }

    /// Gives each key another rate from now on.
    pub(super) fn set(&self, per_s: u32, burst: u32) {
        self.per_s.store(per_s, Ordering::Relaxed);
        self.burst.store(burst, Ordering::Relaxed);
    }

    /// Takes one for a key at a monotonic time in microseconds.
    ///
    /// # Errors
    /// Milliseconds until there will be enough; nothing was taken.
    pub(super) fn take(&self, key: K, now_us: u64) -> Result<(), u64> {
        let per_s = u64::from(self.per_s.load(Ordering::Relaxed));
        let full = u64::from(self.burst.load(Ordering::Relaxed)) * TOKEN;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert(Bucket { micro_tokens: full, filled_us: now_us });
        let passed_us = now_us.saturating_sub(bucket.filled_us);
        bucket.filled_us = now_us;
        let filled = passed_us.saturating_mul(per_s);
        bucket.micro_tokens = bucket.micro_tokens.saturating_add(filled).min(full);
        if bucket.micro_tokens < TOKEN {
            let missing = TOKEN - bucket.micro_tokens;
            return Err(missing.div_ceil(per_s).div_ceil(1_000));
        }
        bucket.micro_tokens -= TOKEN;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_goes_at_once_and_then_the_rate_holds() {
        let rates = Rates::new(10, 2);
        assert_eq!((rates.take("a", 0), rates.take("a", 0)), (Ok(()), Ok(())));
        assert_eq!(rates.take("a", 0), Err(100));
        assert_eq!(rates.take("b", 0), Ok(()), "another key has its own bucket");
        assert_eq!(rates.take("a", 100_000), Ok(()));
        assert_eq!(rates.take("a", 150_000), Err(50));
        assert_eq!((rates.take("a", 10_000_000), rates.take("a", 10_000_000)), (Ok(()), Ok(())));
        assert_eq!(rates.take("a", 10_000_000), Err(100), "a pause saves up no more than the burst");
    }
}
