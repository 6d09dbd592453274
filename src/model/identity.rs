//! Identities: who somebody is, as the one URI in their certificate says.
//!
//! Source of the form: `urn:resguardo:<role>:<name>`, for an office `urn:resguardo:office:<office>:<desk>`.

use std::fmt;
use std::str::FromStr;

/// Longest name of an office, desk, stream, institution or auditor, in bytes: an identity then fits 255.
pub const NAME_BYTES_MAX: usize = 64;

/// A name: 1 to 64 of `a-z`, `0-9` and `-`, not beginning or ending with `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Text that is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a name: 1 to 64 of a-z, 0-9 and -, not beginning or ending with -, expected")]
pub struct NameError {
    found: String,
}

impl Name {
    /// Gives the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let letters = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let length = (1..=NAME_BYTES_MAX).contains(&text.len());
        if letters && length && !text.starts_with('-') && !text.ends_with('-') {
            Ok(Self(text.into()))
        } else {
            Err(NameError { found: text.chars().take(NAME_BYTES_MAX * 2).collect() })
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A desk of an office: a program with its own certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Desk {
    /// The office.
    pub office: Name,
    /// The desk's name in the office.
    pub desk: Name,
}

impl fmt::Display for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "urn:resguardo:office:{}:{}", self.office, self.desk)
    }
}

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A desk of an office.
    Desk(Desk),
    /// An auditor.
    Auditor(Name),
    /// An operator of a hub.
    Operator(Name),
    /// A hub.
    Hub(Name),
    /// A witness outside the offices.
    Witness(Name),
}

/// A URI that is not an identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not an identity: urn:resguardo:office:<office>:<desk>, urn:resguardo:auditor:<name>, \
     urn:resguardo:operator:<name>, urn:resguardo:hub:<name> or urn:resguardo:witness:<name> expected"
)]
pub struct IdentityError {
    found: String,
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        parse(uri).ok_or_else(|| IdentityError { found: uri.chars().take(255).collect() })
    }
}

fn parse(uri: &str) -> Option<Identity> {
    let mut parts = uri.strip_prefix("urn:resguardo:")?.split(':');
    let role = parts.next()?;
    let name = parts.next()?.parse().ok()?;
    let identity = match role {
        "office" => Identity::Desk(Desk { office: name, desk: parts.next()?.parse().ok()? }),
        "auditor" => Identity::Auditor(name),
        "operator" => Identity::Operator(name),
        "hub" => Identity::Hub(name),
        "witness" => Identity::Witness(name),
        _ => return None,
    };
    parts.next().is_none().then_some(identity)
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Desk(desk) => desk.fmt(f),
            Self::Auditor(name) => write!(f, "urn:resguardo:auditor:{name}"),
            Self::Operator(name) => write!(f, "urn:resguardo:operator:{name}"),
            Self::Hub(name) => write!(f, "urn:resguardo:hub:{name}"),
            Self::Witness(name) => write!(f, "urn:resguardo:witness:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_read_back_as_written() {
        for uri in [
            "urn:resguardo:office:ohchr-honduras:desk-1",
            "urn:resguardo:auditor:iachr",
            "urn:resguardo:operator:night-shift",
            "urn:resguardo:hub:main",
        ] {
            assert_eq!(uri.parse::<Identity>().unwrap().to_string(), uri);
        }
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for uri in [
            "",
            "urn:resguardo:office:iachr",
            "urn:resguardo:office:iachr:desk-1:more",
            "urn:resguardo:office:IACHR:desk-1",
            "urn:resguardo:office::desk-1",
            "urn:resguardo:office:-a:desk-1",
            "urn:resguardo:king:a",
            "URN:resguardo:auditor:a",
            "urn:resguardo:auditor:a ",
            "https://example.org/",
        ] {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
        assert!("a".repeat(65).parse::<Name>().is_err());
    }
}
