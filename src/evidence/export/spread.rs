//! How durations are spread: how many, the median, the ninth of ten, the longest.
//!
//! Owns how exact they are. A year has millions of them, so they are counted by size: none is told shorter than it was, and none longer
//! by more than 1 in 128; the longest is exact.

use std::collections::BTreeMap;

/// Binary digits of a duration that are kept.
const KEPT_BITS: u32 = 8;

/// Durations, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// By the longest of those that are counted together.
    counts: BTreeMap<u64, u64>,
    count: u64,
    longest: u64,
}

impl Spread {
    /// Counts one.
    pub(super) fn add(&mut self, duration_us: u64) {
        *self.counts.entry(upper(duration_us)).or_default() += 1;
        self.count += 1;
        self.longest = self.longest.max(duration_us);
    }

    /// Counts all that another has.
    pub(super) fn add_all(&mut self, other: &Self) {
        for (upper, count) in &other.counts {
            *self.counts.entry(*upper).or_default() += count;
        }
        self.count += other.count;
        self.longest = self.longest.max(other.longest);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The duration that half of them, rounded up, do not exceed, in microseconds; `None` where there is none.
    pub fn median_us(&self) -> Option<u64> {
        self.within(5)
    }

    /// The duration that nine in ten of them, rounded up, do not exceed, in microseconds.
    pub fn p90_us(&self) -> Option<u64> {
        self.within(9)
    }

    /// The longest, in microseconds: exact.
    pub fn longest_us(&self) -> Option<u64> {
        (self.count > 0).then_some(self.longest)
    }

    fn within(&self, tenths: u64) -> Option<u64> {
        let rank = (u128::from(self.count) * u128::from(tenths)).div_ceil(10);
        let mut seen = 0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += u128::from(**count);
            seen >= rank
        });
        found.map(|(upper, _)| (*upper).min(self.longest))
    }
}

/// The longest duration of those that are counted with one.
fn upper(duration: u64) -> u64 {
    let dropped = u64::BITS.saturating_sub(duration.leading_zeros() + KEPT_BITS);
    duration | ((1 << dropped) - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_median() {
        let none = Spread::default();
        assert_eq!((none.count(), none.median_us(), none.p90_us(), none.longest_us()), (0, None, None, None));
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_a_sorted_list_but_for_one_in_128(
            mut all in proptest::collection::vec(prop_oneof![0..300_u64, any::<u64>(), 1_000_000..9_000_000_000_u64], 1..60),
            split in any::<prop::sample::Index>(),
        ) {
            let (mut spread, mut other) = (Spread::default(), Spread::default());
            let split = split.index(all.len());
            all[..split].iter().for_each(|it| spread.add(*it));
            all[split..].iter().for_each(|it| other.add(*it));
            spread.add_all(&other);
            all.sort_unstable();
            let exact = |tenths: usize| all[(all.len() * tenths).div_ceil(10) - 1];
            for (found, exact) in [(spread.median_us(), exact(5)), (spread.p90_us(), exact(9))] {
                let found = found.unwrap();
                prop_assert!(found >= exact && found - exact <= exact / 128, "{} for {}", found, exact);
            }
            prop_assert_eq!((spread.count(), spread.longest_us()), (all.len() as u64, all.last().copied()));
        }
    }
}
