//! Randomness, handed in, and the ids made of it.
//!
//! Owns the system's generator and a seeded one for tests and simulations. Never makes keys.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use super::clock::Clock;

/// A source of random bytes.
pub trait Random: Send + Sync {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// Gives 32 random bytes.
    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.fill(&mut seed);
        seed
    }
}

/// The system's cryptographic generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness nothing may go on: ids would repeat.
        aws_lc_rs::rand::fill(bytes)
            .expect("the system's random generator does not fail once the system is up");
    }
}

/// A generator that gives the same bytes for the same seed (SplitMix64). Never for anything secret.
#[derive(Debug)]
pub struct SeededRandom {
    state: AtomicU64,
}

impl SeededRandom {
    /// Starts from a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// Draws the next 64 bits.
    pub fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number below `bound`, which is at least 1. The bias is below `bound / 2^64`.
    pub fn below(&self, bound: u64) -> u64 {
        self.next_u64() % bound
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Makes a UUID of version 7 (RFC 9562, section 5.7): 48 bits of milliseconds, 74 random bits.
pub fn uuid_v7(clock: &dyn Clock, random: &dyn Random) -> Uuid {
    let mut bits = [0; 10];
    random.fill(&mut bits);
    uuid::Builder::from_unix_timestamp_millis(clock.now().0 / 1_000, &bits).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::ManualClock;
    use crate::model::id::UnixMicros;

    #[test]
    fn seeded_bytes_repeat_and_match_the_published_sequence() {
        // The first outputs of SplitMix64 for the seed 1234567, as its reference implementation gives them.
        let random = SeededRandom::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        let (mut one, mut two) = ([0; 13], [0; 13]);
        SeededRandom::new(9).fill(&mut one);
        SeededRandom::new(9).fill(&mut two);
        assert_eq!(one, two);
    }

    #[test]
    fn system_bytes_differ() {
        let (mut one, mut two) = ([0; 16], [0; 16]);
        OsRandom.fill(&mut one);
        OsRandom.fill(&mut two);
        assert_ne!(one, two);
    }

    #[test]
    fn uuid_carries_the_clocks_milliseconds_and_its_version() {
        let clock = ManualClock::at(UnixMicros(1_700_000_000_123_999));
        let id = uuid_v7(&clock, &SeededRandom::new(1));
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_timestamp().unwrap().to_unix(), (1_700_000_000, 123_000_000));
    }
}
