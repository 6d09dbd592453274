//! Since when: an index of the journal, a time, or how long ago, as people write them.
//!
//! Owns the three forms. Never compares clocks: a time is the hub's, how long ago is counted from this machine's now.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::{Span, SpanRelativeTo, Timestamp};

use super::context::Context;
use super::exit::Failure;
use crate::model::id::{Index, UnixMicros};

/// Since when, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// An entry of the journal.
    Index(u64),
    /// A moment with its offset.
    Moment(Timestamp),
    /// A date, or a date and a time of day, in the reader's zone.
    Local(DateTime),
    /// So many microseconds ago.
    Ago(u64),
}

/// Since when, for the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// From this entry on.
    Index(Index),
    /// From the first entry at or after this time of the hub's.
    Time(UnixMicros),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(index) = text.parse() {
            return Ok(Self::Index(index));
        }
        if let Ok(moment) = text.parse() {
            return Ok(Self::Moment(moment));
        }
        if let Ok(local) = text.parse() {
            return Ok(Self::Local(local));
        }
        ago(text).map(Self::Ago).ok_or_else(|| {
            format!(
                "{text:?} says no beginning: an index of the journal (1042), a time (2026-11-25T10:00, or with its offset \
                 2026-11-25T10:00-06:00), or how long ago (2h, 30min, 7d) expected"
            )
        })
    }
}

/// Reads how long ago; days have 24 hours, so that an hour ago is an hour on every clock.
fn ago(text: &str) -> Option<u64> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    u64::try_from(duration.as_micros()).ok()
}

impl Since {
    /// Says it to the hub.
    ///
    /// # Errors
    /// Usage: a time before 1970, or one that the reader's zone does not have.
    pub(super) fn place(&self, context: &Context) -> Result<Place, Failure> {
        let moment = match self {
            Self::Index(index) => return Ok(Place::Index(Index(*index))),
            Self::Ago(us) => return Ok(Place::Time(UnixMicros(context.clock.now().0.saturating_sub(*us)))),
            Self::Moment(moment) => Some(*moment),
            Self::Local(local) => context.screen.moment(*local),
        };
        let us = moment.and_then(|moment| u64::try_from(moment.as_microsecond()).ok());
        us.map(|us| Place::Time(UnixMicros(us)))
            .ok_or_else(|| Failure::usage("the time is before 1970, or on no calendar"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_times_and_spans_are_told_apart() {
        let hour = 3_600_000_000;
        for (text, expected) in [
            ("0", Since::Index(0)),
            ("1042", Since::Index(1042)),
            ("2026-11-25T10:00Z", Since::Moment("2026-11-25T10:00Z".parse().unwrap())),
            ("2026-11-25T10:00-06:00", Since::Moment("2026-11-25T16:00Z".parse().unwrap())),
            ("2026-11-25T10:00", Since::Local("2026-11-25T10:00".parse().unwrap())),
            ("2026-11-25", Since::Local("2026-11-25T00:00".parse().unwrap())),
            ("2h", Since::Ago(2 * hour)),
            ("90min", Since::Ago(hour * 3 / 2)),
            ("7d", Since::Ago(7 * 24 * hour)),
            ("1d 12h", Since::Ago(36 * hour)),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", "-5", "yesterday", "-2h", "1mo", "10:00", "2026-13-01", "5 parsecs"] {
            let told = text.parse::<Since>().unwrap_err();
            assert!(told.contains("how long ago"), "{text}: {told}");
        }
    }
}
