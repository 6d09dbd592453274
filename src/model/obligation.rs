//! Obligations: what offices owe without a message yet: the analysis of each month, the report on a training.
//!
//! Owns months and when a period falls due. Never reads a clock: what is due is said of a time that is handed in.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::deadline::Within;
use super::envelope::MessageClass;
use super::id::UnixMicros;
use super::identity::Name;
use super::policy::Policy;

/// Obligations that a directory holds at most, also those that have ended.
pub const OBLIGATIONS_MAX: usize = 256;
/// Days after a month in which what it asks for may still be done, at most: so two months at most are open at once.
pub const GRACE_DAYS_MAX: u32 = 28;

const DAY_US: u64 = 86_400_000_000;

/// An obligation's number in the ledger: its place among the obligations, by journal order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObligationNumber(pub u16);

/// What offices owe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// Its name.
    pub name: Name,
    /// Who owes it.
    pub who: Who,
    /// The class of the messages that it is about.
    pub class: MessageClass,
    /// Their stream.
    pub stream: Name,
    /// What is owed.
    pub duty: Duty,
}

/// Who owes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Every office of an institution.
    Institution(Name),
    /// These offices.
    Offices(BTreeSet<Name>),
}

/// What is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// To publish such a message in each calendar month of UTC.
    Monthly {
        /// Days after the month in which it may still come: 0 to 28.
        grace_days: u32,
    },
    /// To answer each such message that one receives: by a message on its thread, or by `acted`.
    FollowUp {
        /// By when, counted from the hub's acceptance.
        within: Within,
    },
}

impl Obligation {
    /// Tells whether an office owes what it says.
    pub fn is_owed_by(&self, office: &Name, policy: &Policy) -> bool {
        policy.is_member(office)
            && match &self.who {
                Who::Offices(offices) => offices.contains(office),
                Who::Institution(institution) => {
                    policy.offices().any(|(_, name, of)| name == office && of == institution)
                }
            }
    }

    /// Checks that it follows from a policy.
    ///
    /// # Errors
    /// A sentence: there is no such institution, office or stream.
    pub(super) fn follows(&self, policy: &Policy) -> Result<(), String> {
        match &self.who {
            Who::Institution(institution) => policy.known_institution(institution)?,
            Who::Offices(offices) => {
                if let Some(office) = offices.iter().find(|office| !policy.is_member(office)) {
                    return Err(format!("{office} is not an office of the directory"));
                }
            }
        }
        if policy.streams().contains_key(&self.stream) {
            return Ok(());
        }
        Err(format!("there is no stream {}", self.stream))
    }
}

/// The obligations of a directory, by number; one that has ended keeps its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Obligations(Vec<(Obligation, bool)>);

impl Obligations {
    /// Takes one in; it replaces what was said under its name before.
    ///
    /// # Errors
    /// A sentence: there are as many as a directory holds, or the grace is too long.
    pub fn set(&mut self, obligation: Obligation) -> Result<(), String> {
        if let Duty::Monthly { grace_days } = obligation.duty
            && grace_days > GRACE_DAYS_MAX
        {
            return Err(format!("a month has 0 to {GRACE_DAYS_MAX} days of grace, not {grace_days}"));
        }
        if let Some(known) = self.0.iter_mut().find(|(known, _)| known.name == obligation.name) {
            *known = (obligation, true);
            return Ok(());
        }
        if self.0.len() == OBLIGATIONS_MAX {
            return Err(format!(
                "a directory holds at most {OBLIGATIONS_MAX} obligations, also those that ended"
            ));
        }
        self.0.push((obligation, true));
        Ok(())
    }

    /// Ends one.
    ///
    /// # Errors
    /// A sentence: there is none of this name.
    pub fn end(&mut self, name: &Name) -> Result<(), String> {
        let known = self.0.iter_mut().find(|(known, in_force)| known.name == *name && *in_force);
        let (_, in_force) = known.ok_or_else(|| format!("there is no obligation {name}"))?;
        *in_force = false;
        Ok(())
    }

    /// Those in force.
    pub fn iter(&self) -> impl Iterator<Item = (ObligationNumber, &Obligation)> {
        let numbered = (0_u16..).map(ObligationNumber).zip(&self.0);
        numbered.filter(|(_, (_, in_force))| *in_force).map(|(number, (obligation, _))| (number, obligation))
    }

    /// One by its number, in force or not.
    pub fn get(&self, number: ObligationNumber) -> Option<&Obligation> {
        self.0.get(usize::from(number.0)).map(|(obligation, _)| obligation)
    }

    /// The number of a name.
    pub fn number(&self, name: &Name) -> Option<ObligationNumber> {
        let place = self.0.iter().position(|(known, _)| known.name == *name)?;
        u16::try_from(place).ok().map(ObligationNumber)
    }
}

/// A calendar month of UTC: months since January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(pub u32);

impl Month {
    /// The month in which a time is.
    pub fn of(time: UnixMicros) -> Self {
        // Days to a date, by H. Hinnant, "chrono-compatible low-level date algorithms": years begin in March.
        let days = time.0 / DAY_US + 719_468;
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        // Its months are counted from March of the year 0; 1970 begins ten months and 1,969 years after it.
        Self(u32::try_from((era * 400 + year) * 12 + month + 2 - 1_970 * 12).unwrap_or(u32::MAX))
    }

    /// A month by its year, 1970 to 9999, and its number in it, 1 to 12.
    ///
    /// # Errors
    /// A sentence: there is no such month.
    pub fn from_parts(year: u32, month: u32) -> Result<Self, String> {
        match (year, month) {
            (1_970..=9_999, 1..=12) => Ok(Self((year - 1_970) * 12 + month - 1)),
            _ => Err(format!("a month expected, e.g. 2026-11; {year}-{month} came")),
        }
    }

    /// Its year, and its number in it.
    pub fn parts(self) -> (u32, u32) {
        (1_970 + self.0 / 12, self.0 % 12 + 1)
    }

    /// The month after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// When it begins.
    pub fn begin(self) -> UnixMicros {
        let months = u64::from(self.0) + 1_970 * 12 - 2;
        let (year, month) = (months / 12, months % 12);
        let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
        UnixMicros((days - 719_468).saturating_mul(DAY_US))
    }

    /// When what it asks for falls due.
    pub fn due(self, grace_days: u32) -> UnixMicros {
        UnixMicros(self.next().begin().0.saturating_add(u64::from(grace_days) * DAY_US))
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month) = self.parts();
        f.pad(&format!("{year:04}-{month:02}"))
    }
}

impl FromStr for Month {
    type Err = String;

    /// Reads `2026-11`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').map(|(year, month)| (year.parse(), month.parse()));
        match parts {
            Some((Ok(year), Ok(month))) => Self::from_parts(year, month),
            _ => Err(format!("a month expected, e.g. 2026-11; {text:?} came")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_where_the_calendar_says() {
        for (month, seconds) in [
            ("1970-01", 0),
            ("1972-03", 68_256_000),
            ("2000-02", 949_363_200),
            ("2000-03", 951_868_800),
            ("2024-03", 1_709_251_200),
            ("2026-12", 1_796_083_200),
            ("2100-03", 4_107_542_400),
        ] {
            let it: Month = month.parse().unwrap();
            assert_eq!((it.begin().0 / 1_000_000, it.to_string()), (seconds, month.to_owned()));
            assert_eq!(Month::of(it.begin()), it);
            if it.0 > 0 {
                assert_eq!(Month::of(UnixMicros(it.begin().0 - 1)).next(), it);
            }
        }
        let november: Month = "2026-11".parse().unwrap();
        assert_eq!(november.due(5).0, "2026-12".parse::<Month>().unwrap().begin().0 + 5 * DAY_US);
        for bad in ["", "2026", "2026-13", "2026-0", "1969-12", "x-1"] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }
}
