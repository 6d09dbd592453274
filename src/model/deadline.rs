//! Deadlines: how long an office has for each stage of a message, counted from the hub's acceptance.
//!
//! Owns which durations there are. Never reads a clock: what is due is said of a time that is handed in.

use std::fmt;
use std::str::FromStr;

use super::envelope::Envelope;
use super::id::UnixMicros;
use super::policy::Policy;
use super::receipt::Stage;
use super::refusal::Refusal;

const MINUTE_S: u32 = 60;
const HOUR_S: u32 = 60 * MINUTE_S;
const DAY_S: u32 = 24 * HOUR_S;
/// Up to here in whole seconds, then in whole minutes.
const SECONDS_UNTIL_S: u32 = 2 * MINUTE_S;
/// Up to here in whole minutes, then in whole hours.
const MINUTES_UNTIL_S: u32 = 2 * DAY_S;
/// Up to here in whole hours, then in whole days.
const HOURS_UNTIL_S: u32 = 60 * DAY_S;
/// The longest: ten years.
const LONGEST_S: u32 = 3_653 * DAY_S;

/// How long somebody has. There are some 8,000 of them, so that what falls due can be kept in as many queues at most:
/// nobody needs a deadline in 36 hours and one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Within(u32);

impl Within {
    /// Takes a number of seconds.
    ///
    /// # Errors
    /// A sentence that says which there are.
    pub fn from_seconds(seconds: u32) -> Result<Self, String> {
        let steps = [(SECONDS_UNTIL_S, 1), (MINUTES_UNTIL_S, MINUTE_S), (HOURS_UNTIL_S, HOUR_S)];
        let step = steps.iter().find(|(until, _)| seconds <= *until).map_or(DAY_S, |(_, step)| *step);
        if (1..=LONGEST_S).contains(&seconds) && seconds.is_multiple_of(step) {
            return Ok(Self(seconds));
        }
        Err(format!(
            "a deadline is 1 to 120 seconds, whole minutes up to 2 days, whole hours up to 60 days, or whole days up to \
             10 years; {seconds} seconds came"
        ))
    }

    /// Its seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// When it is over, counted from a time.
    pub fn after(self, from: UnixMicros) -> UnixMicros {
        UnixMicros(from.0.saturating_add(u64::from(self.0) * 1_000_000))
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            s if s.is_multiple_of(DAY_S) => (s / DAY_S, "d"),
            s if s.is_multiple_of(HOUR_S) => (s / HOUR_S, "h"),
            s if s.is_multiple_of(MINUTE_S) => (s / MINUTE_S, "min"),
            s => (s, "s"),
        };
        f.pad(&format!("{number} {unit}"))
    }
}

impl FromStr for Within {
    type Err = String;

    /// Reads a whole number and a unit: `90s`, `15min`, `24h`, `60d`.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_s = match unit.trim() {
            "s" | "sec" => 1,
            "m" | "min" => MINUTE_S,
            "h" => HOUR_S,
            "d" => DAY_S,
            _ => return Err("a whole number and a unit expected, e.g. 90s, 15min, 24h, 60d".to_owned()),
        };
        let seconds = number.parse().ok().and_then(|number: u32| number.checked_mul(unit_s));
        Self::from_seconds(seconds.ok_or_else(|| format!("{text:?} is no number of seconds that counts"))?)
    }
}

/// By when an office is to have received, read and acted on a message; none where nothing is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Deadlines {
    /// For `received`.
    pub receive: Option<Within>,
    /// For `read`.
    pub read: Option<Within>,
    /// For `acted`.
    pub act: Option<Within>,
}

impl Deadlines {
    /// Tells whether nothing is asked.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The stages that are asked for, with their times, from the first on.
    pub fn each(&self) -> impl Iterator<Item = (Stage, Within)> + use<> {
        let each = [(Stage::Received, self.receive), (Stage::Read, self.read), (Stage::Acted, self.act)];
        each.into_iter().filter_map(|(stage, within)| Some((stage, within?)))
    }

    /// The time for a stage.
    pub fn of(&self, stage: Stage) -> Option<Within> {
        self.each().find(|(asked, _)| *asked == stage).map(|(_, within)| within)
    }

    /// The stage at which nothing more is asked.
    pub fn furthest(&self) -> Option<Stage> {
        self.each().last().map(|(stage, _)| stage)
    }

    /// Checks that no stage has less time than one before it.
    ///
    /// # Errors
    /// [`super::refusal::Reason::FieldInvalid`] with the field.
    pub fn check(&self) -> Result<(), Refusal> {
        let stages: Vec<_> = self.each().collect();
        let Some(pair) = stages.windows(2).find(|pair| pair[0].1 > pair[1].1) else { return Ok(()) };
        let ((before, longer), (stage, shorter)) = (pair[0], pair[1]);
        let field = if stage == Stage::Read { "read_by_s" } else { "act_by_s" };
        let message = format!(
            "{stage} is asked within {shorter} and {before} within {longer}: give the later stage as long at least"
        );
        Err(Refusal::field(field, message))
    }
}

impl Policy {
    /// By when a message is to be received, read and acted on: what its envelope says, or where that names no deadline
    /// at all, what policy says of its class and priority.
    pub fn deadlines_of(&self, envelope: &Envelope) -> Deadlines {
        if !envelope.deadlines.is_none() {
            return envelope.deadlines;
        }
        self.deadlines().get(&(envelope.class, envelope.priority)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(seconds: u32) -> Within {
        Within::from_seconds(seconds).unwrap()
    }

    #[test]
    fn durations_are_as_fine_as_people_need_and_no_finer() {
        for good in [1, 119, 120, 180, 900, 2 * DAY_S, 3 * DAY_S, 60 * DAY_S, 61 * DAY_S, LONGEST_S] {
            assert_eq!(within(good).seconds(), good);
        }
        let beyond = 2 * DAY_S + MINUTE_S;
        for bad in [0, 121, 901, beyond, 60 * DAY_S + HOUR_S, LONGEST_S + DAY_S, u32::MAX] {
            assert!(Within::from_seconds(bad).unwrap_err().contains(&bad.to_string()), "{bad}");
        }
        assert_eq!(within(900).to_string(), "15 min");
        assert_eq!(within(DAY_S).to_string(), "1 d");
        assert_eq!(within(7).to_string(), "7 s");
        for (text, seconds) in
            [("90s", 90), ("15min", 900), ("15 m", 900), ("24h", DAY_S), ("60d", 60 * DAY_S)]
        {
            assert_eq!(text.parse(), Ok(within(seconds)), "{text}");
        }
        for bad in ["", "15", "min", "-1h", "0s", "901s", "5 weeks", "99999999999d"] {
            assert!(bad.parse::<Within>().is_err(), "{bad}");
        }
    }

    #[test]
    fn later_stage_has_as_long_at_least() {
        let deadlines = |receive: Option<u32>, read: Option<u32>, act: Option<u32>| Deadlines {
            receive: receive.map(within),
            read: read.map(within),
            act: act.map(within),
        };
        for good in [(None, None, None), (Some(5), Some(5), Some(5)), (Some(5), None, Some(9))] {
            deadlines(good.0, good.1, good.2).check().unwrap();
        }
        let refused = |it: Deadlines| it.check().unwrap_err();
        assert_eq!(refused(deadlines(Some(6), Some(5), None)).field, "read_by_s");
        assert_eq!(refused(deadlines(Some(9), None, Some(5))).field, "act_by_s");
        assert_eq!(deadlines(Some(1), Some(2), None).furthest(), Some(Stage::Read));
    }
}
