//! How near the end of something is: certificates, lists. The same steps for the hub, the commands and the metrics.
//!
//! Owns the steps. Never reads a clock; never decides what ends with it.

use super::id::UnixMicros;

const DAY_US: u64 = 86_400_000_000;

/// How near an end is, by the steps at which it is told: each louder than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// 30 days or less: time to begin.
    Month,
    /// 14 days or less.
    Fortnight,
    /// 7 days or less: told every day from here on.
    Week,
    /// A day or less.
    Day,
    /// It has come.
    Over,
}

impl Nearness {
    /// Tells how near an end is; `None`: more than 30 days.
    pub fn of(ends: UnixMicros, now: UnixMicros) -> Option<Self> {
        let left_us = ends.0.saturating_sub(now.0);
        let steps =
            [(0, Self::Over), (1, Self::Day), (7, Self::Week), (14, Self::Fortnight), (30, Self::Month)];
        steps.into_iter().find(|(days, _)| left_us <= days * DAY_US).map(|(_, nearness)| nearness)
    }

    /// Whether it is told anew each day, and not once only.
    pub fn is_told_daily(self) -> bool {
        self >= Self::Week
    }
}

/// Whole days until an end; 0 when it has come.
pub fn days_left(ends: UnixMicros, now: UnixMicros) -> u64 {
    ends.0.saturating_sub(now.0) / DAY_US
}

/// What was told of one end, and when: so that it is told once at each step, and daily in the last week.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reminder {
    told: Option<(Nearness, UnixMicros)>,
}

impl Reminder {
    /// Tells how near an end is if that is to be told now; remembers that it was.
    pub fn due(&mut self, ends: UnixMicros, now: UnixMicros) -> Option<Nearness> {
        let Some(nearness) = Nearness::of(ends, now) else {
            self.told = None;
            return None;
        };
        let again = |at: UnixMicros| nearness.is_told_daily() && now.0.saturating_sub(at.0) >= DAY_US;
        if self.told.is_some_and(|(told, at)| told == nearness && !again(at)) {
            return None;
        }
        self.told = Some((nearness, now));
        Some(nearness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMicros = UnixMicros(1_000 * DAY_US);

    fn in_days(days: u64) -> UnixMicros {
        UnixMicros(NOW.0 + days * DAY_US)
    }

    #[test]
    fn steps_are_at_30_14_7_and_1_days_and_at_the_end() {
        let just_after = |days| UnixMicros(in_days(days).0 + 1);
        for (days, at, after) in [
            (30, Some(Nearness::Month), None),
            (14, Some(Nearness::Fortnight), Some(Nearness::Month)),
            (7, Some(Nearness::Week), Some(Nearness::Fortnight)),
            (1, Some(Nearness::Day), Some(Nearness::Week)),
            (0, Some(Nearness::Over), Some(Nearness::Day)),
        ] {
            assert_eq!((Nearness::of(in_days(days), NOW), Nearness::of(just_after(days), NOW)), (at, after));
        }
        assert_eq!(Nearness::of(UnixMicros(1), NOW), Some(Nearness::Over));
        assert_eq!((days_left(just_after(7), NOW), days_left(UnixMicros(1), NOW)), (7, 0));
    }

    #[test]
    fn it_is_told_once_at_each_step_daily_in_the_last_week_and_anew_after_a_renewal() {
        let (ends, mut reminder, mut told) = (in_days(40), Reminder::default(), Vec::new());
        let hours = |hours: u64| UnixMicros(NOW.0 + hours * DAY_US / 24);
        for hour in 0..=41 * 24 {
            told.extend(reminder.due(ends, hours(hour)).map(|nearness| (hour / 24, nearness)));
        }
        let week = (33..39).map(|day| (day, Nearness::Week));
        let mut expected = vec![(10, Nearness::Month), (26, Nearness::Fortnight)];
        expected.extend(week);
        expected.extend([(39, Nearness::Day), (40, Nearness::Over), (41, Nearness::Over)]);
        assert_eq!(told, expected);
        assert_eq!(reminder.due(in_days(400), hours(41 * 24)), None);
        assert_eq!(reminder.due(in_days(42), hours(41 * 24)), Some(Nearness::Day), "it had been renewed");
    }
}
