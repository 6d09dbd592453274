//! Polygons and circles of an area: WGS 84 latitude and longitude in decimal degrees (CAP 1.2, section 3.2.4).
//!
//! Owns their form. Both are kept as written, because a number printed anew need not be the same place; an empty
//! one is kept too: weather services write it for an area without a shape.

use std::fmt;

use super::error::Fault;

/// Pairs that a polygon has at least, the first and the last being the same.
const POLYGON_PAIRS_MIN: usize = 4;

/// A closed line around an area, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Polygon(String);

impl Polygon {
    /// Takes pairs `latitude,longitude` with white space between them.
    ///
    /// # Errors
    /// [`Fault::Value`] if a pair is none or out of range, if there are fewer than four, or the last is not the first.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let pairs = text.split_ascii_whitespace().map(pair).collect::<Result<Vec<_>, _>>()?;
        if let (Some(first), Some(last)) = (pairs.first(), pairs.last()) {
            if pairs.len() < POLYGON_PAIRS_MIN {
                return Err(Fault::value(text, "at least four `latitude,longitude` pairs"));
            }
            if first != last {
                let last = text.split_ascii_whitespace().next_back().unwrap_or_default();
                return Err(Fault::value(last, "the last pair to be the same as the first"));
            }
        }
        if text.chars().any(|c| !super::value::is_xml_char(c)) {
            return Err(Fault::value(text, "characters that XML 1.0 can hold"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Counts its pairs: 0, or at least 4.
    pub fn pairs(&self) -> usize {
        self.0.split_ascii_whitespace().count()
    }
}

impl fmt::Display for Polygon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A point and the distance around it, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Circle(String);

impl Circle {
    /// Takes `latitude,longitude radius`, the radius in kilometres.
    ///
    /// # Errors
    /// [`Fault::Value`] if it is not written so, or out of range.
    pub fn new(text: &str) -> Result<Self, Fault> {
        let mut words = text.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (None, ..) if text.chars().all(super::value::is_xml_char) => return Ok(Self(text.to_owned())),
            (Some(centre), Some(radius), None) => {
                pair(centre)?;
                if number(radius).is_some_and(|km| km >= 0.0) {
                    return Ok(Self(text.to_owned()));
                }
            }
            _ => {}
        }
        Err(Fault::value(text, "`latitude,longitude radius` with the radius in kilometres"))
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Reads one pair of degrees.
fn pair(text: &str) -> Result<(f64, f64), Fault> {
    let numbers = text.split_once(',').and_then(|(lat, lon)| Some((number(lat)?, number(lon)?)));
    let (lat, lon) = numbers.ok_or_else(|| Fault::value(text, "a `latitude,longitude` pair of numbers"))?;
    if lat.abs() > 90.0 || lon.abs() > 180.0 {
        return Err(Fault::value(text, "a latitude of -90 to 90 and a longitude of -180 to 180"));
    }
    Ok((lat, lon))
}

/// Reads a finite number; not the words (`inf`, `nan`) that Rust reads too.
fn number(text: &str) -> Option<f64> {
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse().ok().filter(|value: &f64| numeric && value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polygon_is_closed_and_in_range() {
        for good in [
            "1,1 2,2 3,1 1,1",
            "\n +41.12,-117.61 41.06,-117.47\n41.04,-117.47 41.120,-117.610 ",
            "",
            " \n",
            "90,180 -90,-180 0,0 90,180",
            "-1.4e-14,.5 1,1 2,2 -1.4E-14,0.5",
        ] {
            assert_eq!(Polygon::new(good).unwrap().as_str(), good);
        }
        for (bad, word) in [
            ("1,1 2,2 1,1", "four"),
            ("1,1 2,2 3,3 4,4", "same as the first"),
            ("91,1 2,2 3,3 91,1", "-90 to 90"),
            ("1,181 2,2 3,3 1,181", "-180 to 180"),
            ("1, 1 2,2 3,3 1,1", "pair"),
            ("1,1,0 2,2 3,3 1,1,0", "pair"),
            ("1,1, 2,2 3,3 1,1,", "pair"),
            ("nan,1 2,2 3,3 nan,1", "pair"),
            ("1e999,1 2,2 3,3 1e999,1", "pair"),
            ("1;1 2;2 3;3 1;1", "pair"),
        ] {
            let Fault::Value { expected, .. } = Polygon::new(bad).unwrap_err() else { panic!("{bad}") };
            assert!(expected.contains(word), "{bad}: {expected}");
        }
    }

    #[test]
    fn circle_is_a_point_and_a_radius() {
        for good in ["32.9525,-115.5527 0", "-35.3888,147.0598  25.0", "", "\n1,1\n2\n"] {
            assert_eq!(Circle::new(good).unwrap().as_str(), good);
        }
        for bad in ["1,1", "1,1 -1", "1,1 x", "1 1 1", "91,0 1", "1,1 1 1", "1,1 inf"] {
            assert!(Circle::new(bad).is_err(), "{bad}");
        }
    }
}
