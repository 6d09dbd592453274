//! The hub's clock, as the journal knows it: whether its time of day may be trusted.

use super::id::UnixMicros;

/// What an entry records of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockRecord {
    /// It jumped: nothing is called overdue or expired until somebody has looked.
    Suspended {
        /// What it should have shown.
        expected: UnixMicros,
        /// What it showed.
        found: UnixMicros,
    },
    /// An operator has looked.
    Confirmed,
}
