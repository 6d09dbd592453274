//! Distributions of times, and medians of what several rounds gave.

use anyhow::Result;
use hdrhistogram::Histogram;

/// Longest time that is told apart, in nanoseconds: one minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// Digits that are kept of a time.
const DIGITS: u8 = 3;

/// A distribution of times.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("the bounds are in order"))
    }

    /// Counts one time; one beyond the longest counts as the longest.
    pub(crate) fn record_ns(&mut self, ns: u64) {
        self.0.saturating_record(ns);
    }

    pub(crate) fn add(&mut self, other: &Self) -> Result<()> {
        Ok(self.0.add(&other.0)?)
    }

    /// How many times were counted.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The longest, in milliseconds.
    pub(crate) fn longest_ms(&self) -> f64 {
        self.quantile_ms(1.0)
    }

    pub(crate) fn quantiles(&self) -> Quantiles {
        let of = |quantile| self.quantile_ms(quantile);
        Quantiles { p50_ms: of(0.5), p99_ms: of(0.99), p999_ms: of(0.999) }
    }

    #[expect(clippy::cast_precision_loss, reason = "a minute of nanoseconds is exact in an f64")]
    fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1e6
    }
}

/// What is told of a distribution, in milliseconds.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "a time is named with its unit")]
pub(crate) struct Quantiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
}

/// Gives the median: of an even number of values the mean of the middle two; of none NaN.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
