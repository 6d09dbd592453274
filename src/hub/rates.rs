//! Rates: how often somebody may do something, as a bucket that fills with time.
//!
//! Time is an argument, monotonic. Bounded: one small bucket for each key ever seen; keys are enrolled identities.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// A bucket for each key.
#[derive(Debug)]
pub(super) struct Rates<K> {
    per_s: u32,
    burst: u32,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Millionths of a token.
    micro_tokens: u64,
    filled_us: u64,
}

impl<K: Eq + Hash> Rates<K> {
    /// Gives each key `burst` at once and `per_s` a second on average; both at least 1.
    pub(super) fn new(per_s: u32, burst: u32) -> Self {
        Self { per_s, burst, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes `count` for a key at a monotonic time in microseconds. More than `burst` at once counts as `burst`.
    ///
    /// # Errors
    /// Milliseconds until there will be enough; nothing was taken.
    pub(super) fn take(&self, key: K, count: u32, now_us: u64) -> Result<(), u64> {
        let full = u64::from(self.burst) * 1_000_000;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert(Bucket { micro_tokens: full, filled_us: now_us });
        let passed_us = now_us.saturating_sub(bucket.filled_us);
        bucket.filled_us = now_us;
        let filled = passed_us.saturating_mul(u64::from(self.per_s));
        bucket.micro_tokens = bucket.micro_tokens.saturating_add(filled).min(full);
        let wanted = u64::from(count.min(self.burst)) * 1_000_000;
        if bucket.micro_tokens < wanted {
            let missing = wanted - bucket.micro_tokens;
            return Err(missing.div_ceil(u64::from(self.per_s)).div_ceil(1_000));
        }
        bucket.micro_tokens -= wanted;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burst_goes_at_once_and_then_the_rate_holds() {
        let rates = Rates::new(10, 3);
        assert_eq!(rates.take("a", 3, 0), Ok(()));
        assert_eq!(rates.take("a", 1, 0), Err(100));
        assert_eq!(rates.take("b", 1, 0), Ok(()), "another key has its own bucket");
        assert_eq!(rates.take("a", 1, 100_000), Ok(()));
        assert_eq!(rates.take("a", 1, 150_000), Err(50));
        assert_eq!(rates.take("a", 3, 10_000_000), Ok(()));
        assert_eq!(rates.take("a", 1, 10_000_000), Err(100), "a pause saves up no more than the burst");
    }
}
