//! Times of CAP 1.2: xs:dateTime with the standard's pattern, as given.
//!
//! Owns the form and the calendar. Never reads a clock; the offset is kept, `-00:00` too, because it says that
//! the writer's own zone is not known.

use std::fmt;

use super::error::Fault;

/// The form that the schema's pattern gives; `0` stands for a digit.
const PATTERN: &[u8; 25] = b"0000-00-00T00:00:00+00:00";

/// A time with its offset, to the second.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Time {
    /// 25 characters of [`PATTERN`].
    text: String,
    /// Microseconds since 1970-01-01T00:00:00Z.
    unix_micros: i64,
}

impl Time {
    /// Reads a time such as `2026-03-02T09:14:00-06:00`.
    ///
    /// # Errors
    /// [`Fault::Value`] if it has another form (`Z`, parts of seconds) or is no time of the calendar.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let Some(fields) = fields(text.as_bytes()) else {
            let expected = if text.ends_with(['Z', 'z']) {
                "the offset in digits, `+00:00` or `-00:00`, not `Z`"
            } else {
                "a time such as `2026-03-02T09:14:00-06:00`"
            };
            return Err(Fault::value(text, expected));
        };
        let unix_micros = unix_micros(fields)
            .ok_or_else(|| Fault::value(text, "a day, hour and offset that the calendar has"))?;
        Ok(Self { text: text.to_owned(), unix_micros })
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the instant: microseconds since 1970-01-01T00:00:00Z; negative before.
    pub fn unix_micros(&self) -> i64 {
        self.unix_micros
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Year, month, day, hour, minute, second, sign of the offset, its hours and minutes.
type Fields = [i64; 9];

/// Cuts a text of [`PATTERN`]'s form into numbers.
fn fields(text: &[u8]) -> Option<Fields> {
    let like = |(&found, &form): (&u8, &u8)| match form {
        b'0' => found.is_ascii_digit(),
        b'+' => matches!(found, b'+' | b'-'),
        sign => found == sign,
    };
    if text.len() != PATTERN.len() || !text.iter().zip(PATTERN).all(like) {
        return None;
    }
    let number = |from: usize, to: usize| text[from..to].iter().fold(0, |n, &d| n * 10 + i64::from(d - b'0'));
    let sign = if text[19] == b'-' { -1 } else { 1 };
    let [year, month, day] = [number(0, 4), number(5, 7), number(8, 10)];
    let [hour, minute, second] = [number(11, 13), number(14, 16), number(17, 19)];
    Some([year, month, day, hour, minute, second, sign, number(20, 22), number(23, 25)])
}

/// Computes the instant; `None` for what the calendar does not have. As in XML Schema part 2, section 3.2.7, 24:00:00
/// is the end of its day, and offsets go to 14:00.
fn unix_micros([year, month, day, hour, minute, second, sign, hours, minutes]: Fields) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    let midnight = (hour, minute, second) == (24, 0, 0);
    let clock = (hour < 24 && minute < 60 && second < 60) || midnight;
    let offset = hours * 60 + minutes;
    if year < 1 || !(1..=days_in_month).contains(&day) || !clock || minutes > 59 || offset > 14 * 60 {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar; years begin in March, so that the leap day comes last.
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        years * 365 + years / 4 - years / 100 + years / 400 + (months * 153 + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute - sign * offset) * 60 + second;
    Some(seconds * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instant_is_right_across_the_calendar() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00+00:00", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("2012-05-02T23:21:04-00:00", 1_336_000_864),
            ("2003-06-11T20:56:00-07:00", 1_055_390_160),
            ("2000-02-29T24:00:00+00:00", 951_868_800),
            ("2026-03-02T09:14:00-06:00", 1_772_464_440),
            ("2024-12-31T23:59:59+14:00", 1_735_639_199),
            ("0001-01-01T00:00:00+00:00", -62_135_596_800),
            ("9999-12-31T23:59:59+00:00", 253_402_300_799),
        ] {
            let time = Time::new(text).unwrap();
            assert_eq!((time.unix_micros(), time.as_str()), (seconds * 1_000_000, text));
        }
    }

    #[test]
    fn what_the_calendar_does_not_have_is_refused() {
        for bad in [
            "2012-02-30T00:00:00+00:00",
            "2011-02-29T00:00:00+00:00",
            "1900-02-29T00:00:00+00:00",
            "2012-13-01T00:00:00+00:00",
            "2012-00-01T00:00:00+00:00",
            "2012-01-00T00:00:00+00:00",
            "0000-01-01T00:00:00+00:00",
            "2012-01-01T24:00:01+00:00",
            "2012-01-01T25:00:00+00:00",
            "2012-01-01T00:60:00+00:00",
            "2012-01-01T00:00:60+00:00",
            "2012-01-01T00:00:00+14:01",
            "2012-01-01T00:00:00+00:60",
            "2012-04-31T00:00:00-06:00",
        ] {
            let Fault::Value { expected, .. } = Time::new(bad).unwrap_err() else { panic!("{bad}") };
            assert!(expected.contains("calendar"), "{bad}: {expected}");
        }
    }

    #[test]
    fn another_form_is_refused_and_z_is_named() {
        for bad in [
            "2012-05-02T23:21:04",
            "2012-05-02T23:21:04.5+00:00",
            "2012-05-02 23:21:04+00:00",
            "12-05-02T23:21:04+00:00",
            "2012-05-02T23:21:04,00:00",
            "2012-05-02T23:21:04+0000",
            "",
            "2012-05-02T23:21:04+00:0é",
            "now",
        ] {
            let Fault::Value { expected, .. } = Time::new(bad).unwrap_err() else { panic!("{bad}") };
            assert!(expected.contains("such as"), "{bad}: {expected}");
        }
        let Fault::Value { expected, .. } = Time::new("2012-05-02T23:21:04Z").unwrap_err() else { panic!() };
        assert!(expected.contains("`+00:00` or `-00:00`"));
    }
}
