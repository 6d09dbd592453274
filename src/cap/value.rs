//! The simple values of CAP 1.2: text, identifiers, languages, URIs, numbers.
//!
//! Owns the form of each, as the schema (xs:string, xs:language, xs:anyURI, xs:decimal) and section 3.2 of the
//! standard have it. A value that exists can be written as valid XML and reads back as itself. What is written is
//! kept as written: `5.0` stays `5.0`.

use std::fmt;
use std::ops::Deref;

use super::error::Fault;

/// Digits that a decimal may have in all: what common schema validators take.
const DECIMAL_DIGITS_MAX: usize = 24;

/// Says whether XML 1.0, section 2.2, has this character.
pub(super) fn is_xml_char(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Takes away the white space that XML Schema takes away around values that are not plain text.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}

/// Declares a value that is kept as a string of a certain form.
macro_rules! string_value {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(String);

        impl $name {
            /// Returns it as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

string_value! {
    /// Any text that XML can hold, kept exactly: white space too.
    Text
}

impl Text {
    /// Takes a text.
    ///
    /// # Errors
    /// [`Fault::Value`] if it has a control character that XML 1.0 has no way to write.
    pub fn new(text: &str) -> Result<Self, Fault> {
        match text.chars().find(|&character| !is_xml_char(character)) {
            Some(foreign) => Err(Fault::value(&foreign.to_string(), "characters that XML 1.0 can hold")),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// Says whether it has nothing but white space.
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }
}

string_value! {
    /// An alert's id, unique for its sender.
    Identifier
}

impl Identifier {
    /// Takes an identifier.
    ///
    /// # Errors
    /// [`Fault::Value`] if it is empty or has white space, a comma, `<` or `&`.
    pub fn new(name: &str) -> Result<Self, Fault> {
        checked_name(name).map(|name| Self(name.to_owned()))
    }
}

string_value! {
    /// Who originated an alert: a name that its giver keeps unique in the world.
    Sender
}

impl Sender {
    /// Takes a sender.
    ///
    /// # Errors
    /// [`Fault::Value`] if it is empty or has white space, a comma, `<` or `&`.
    pub fn new(name: &str) -> Result<Self, Fault> {
        checked_name(name).map(|name| Self(name.to_owned()))
    }
}

string_value! {
    /// A language tag (RFC 3066).
    Language
}

impl Language {
    /// What an info block without a language is in, by section 3.2.2.
    pub const DEFAULT: &str = "en-US";

    /// Takes a tag: letters, then groups of letters and digits, each of 1 to 8, joined by `-`.
    ///
    /// # Errors
    /// [`Fault::Value`] if it is not such a tag.
    pub fn new(tag: &str) -> Result<Self, Fault> {
        let fits = tag.split('-').enumerate().all(|(place, group)| {
            let known = |byte: u8| byte.is_ascii_alphabetic() || (place > 0 && byte.is_ascii_digit());
            (1..=8).contains(&group.len()) && group.bytes().all(known)
        });
        if fits {
            Ok(Self(tag.to_owned()))
        } else {
            Err(Fault::value(tag, "a language tag such as `es` or `es-HN`"))
        }
    }

    /// Says whether this tag is `range` or a part of it: `es-HN` is a part of `es` (RFC 4647, section 3.3.1).
    pub fn is_within(&self, range: &str) -> bool {
        let (tag, range) = (self.0.as_bytes(), range.as_bytes());
        tag.len() >= range.len()
            && tag[..range.len()].eq_ignore_ascii_case(range)
            && tag.get(range.len()).is_none_or(|&next| next == b'-')
    }
}

string_value! {
    /// A URI reference (RFC 3986, with the characters that xs:anyURI lets stand unescaped); may be empty.
    Uri
}

impl Uri {
    /// Takes a URI reference.
    ///
    /// # Errors
    /// [`Fault::Value`] if it is none, or has white space at its ends.
    pub fn new(uri: &str) -> Result<Self, Fault> {
        let kept = trimmed(uri) == uri && uri.chars().all(|c| is_xml_char(c) && !c.is_ascii_control());
        if kept && is_uri_reference(uri) { Ok(Self(uri.to_owned())) } else { Err(Fault::value(uri, "a URI")) }
    }

    /// Says whether it has a scheme.
    pub fn is_absolute(&self) -> bool {
        scheme_len(&self.0).is_some()
    }
}

string_value! {
    /// A decimal number, as written: feet above mean sea level.
    Decimal
}

impl Decimal {
    /// Takes a number: a sign or none, digits, a point or none; 24 digits at most.
    ///
    /// # Errors
    /// [`Fault::Value`] if it is not written so.
    pub fn new(number: &str) -> Result<Self, Fault> {
        let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let count = whole.len() + part.len();
        let fits = whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit());
        if fits && (1..=DECIMAL_DIGITS_MAX).contains(&count) {
            Ok(Self(number.to_owned()))
        } else {
            Err(Fault::value(number, "a decimal number of at most 24 digits, such as `984.25`"))
        }
    }
}

/// Reads the size of a resource: xs:integer, in bytes.
pub(super) fn size_bytes(text: &str) -> Result<u64, Fault> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let size = if plain { digits.parse().ok() } else { None };
    size.ok_or_else(|| Fault::value(text, "a whole number of bytes"))
}

/// Checks what the standard forbids in `identifier` and `sender`, so that references can be told apart.
fn checked_name(name: &str) -> Result<&str, Fault> {
    let apart = |c: char| c.is_whitespace() || matches!(c, ',' | '<' | '&') || !is_xml_char(c);
    if name.is_empty() || name.contains(apart) {
        return Err(Fault::value(name, "a name without spaces, commas, `<` and `&`"));
    }
    Ok(name)
}

/// Returns the length of the scheme of a URI, without its colon.
fn scheme_len(uri: &str) -> Option<usize> {
    let len = uri.find([':', '/', '?', '#']).filter(|&at| uri.as_bytes()[at] == b':')?;
    let mut scheme = uri[..len].bytes();
    let letter_first = scheme.next().is_some_and(|byte| byte.is_ascii_alphabetic());
    (letter_first && scheme.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))).then_some(len)
}

/// RFC 3986, section 4.1, with what xs:anyURI escapes by itself (spaces, quotes, other scripts) taken as letters.
fn is_uri_reference(uri: &str) -> bool {
    let (rest, relative) = match scheme_len(uri) {
        Some(len) => (&uri[len + 1..], false),
        None => (uri, true),
    };
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (hierarchy, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = match hierarchy.strip_prefix("//") {
        Some(after) => {
            let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
            if !is_authority(authority) {
                return false;
            }
            path
        }
        None => hierarchy,
    };
    let colon_first = relative && path.split('/').next().is_some_and(|segment| segment.contains(':'));
    !colon_first && [path, query, fragment].into_iter().all(has_uri_characters)
}

/// RFC 3986, section 3.2: user, host and port. A port that is there has digits.
fn is_authority(authority: &str) -> bool {
    let (user, host_port) = authority.split_once('@').unwrap_or(("", authority));
    let (host, port) = match host_port.strip_prefix('[').and_then(|literal| literal.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, after)) => (address, Some(after.strip_prefix(':').unwrap_or("none"))),
        None => host_port.split_once(':').map_or((host_port, None), |(host, port)| (host, Some(port))),
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok() && !port.starts_with('+'));
    port_fits && has_uri_characters(user) && has_uri_characters(host) && !host.contains('@')
}

/// Checks that percent signs begin escapes and that no delimiter stands where none may.
fn has_uri_characters(part: &str) -> bool {
    let escapes = part.match_indices('%').all(|(at, _)| {
        part.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    });
    escapes && !part.contains(['#', '[', ']'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_nothing_that_would_split_a_reference() {
        for good in ["2.49.0.1.124", "http://a/b?c", "KARO@CLETS.DOJ.CA.GOV", "ñ"] {
            assert!(Identifier::new(good).is_ok() && Sender::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a,b", "a<b", "a&b", "a\u{a0}b", "a\u{1}"] {
            assert!(Identifier::new(bad).is_err() && Sender::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn language_is_a_tag_of_the_schema() {
        for good in ["es", "es-HN", "i-klingon", "zh-Hant-TW", "x-12345678"] {
            assert!(Language::new(good).is_ok(), "{good}");
        }
        for bad in ["", "en_US", "es-", "-es", "english12", "e5", "ñ", "es HN"] {
            assert!(Language::new(bad).is_err(), "{bad}");
        }
        let tag = Language::new("es-HN").unwrap();
        assert!(tag.is_within("ES") && tag.is_within("es-hn"));
        assert!(!tag.is_within("e") && !tag.is_within("es-HN-x") && !tag.is_within("en"));
    }

    #[test]
    fn uri_is_what_schema_validators_take() {
        for good in [
            "",
            "http://a/b?c#d",
            "http://a b/c d",
            "urn:oid:2.49.0.1",
            "mailto:a@b.c",
            "www.x.org",
            "//h",
            "?x",
            "http://[::1]:80/",
            "http://ñ.es/ñ",
            "http://a/%20",
            "a{b}|c",
            "/a:b",
            "http:///x",
            "http://u:p@h:1/",
        ] {
            assert!(Uri::new(good).is_ok(), "{good}");
        }
        for bad in [
            "%zz",
            "a%2",
            "http://[a",
            "::",
            ":a",
            "1a:b",
            "#a#b",
            "http://a:x/",
            "http://a:/",
            "http://u@h@i/",
            "[a]",
            "http://a/[b]",
            "é:x",
            " http://a",
            "http://a\nb",
            "http://a:999999999999/",
            "http://[::1]x/",
        ] {
            assert!(Uri::new(bad).is_err(), "{bad}");
        }
        assert!(Uri::new("http://a").unwrap().is_absolute() && !Uri::new("a/b:c").unwrap().is_absolute());
    }

    #[test]
    fn numbers_are_kept_as_written_and_bounded() {
        for good in ["1", "-5.5", "+5", "5.", ".5", "007", "123456789012345678901234"] {
            assert_eq!(Decimal::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "-", "1e5", "1,5", "--1", "1.2.3", "1234567890123456789012345", "٣"] {
            assert!(Decimal::new(bad).is_err(), "{bad}");
        }
        assert_eq!([size_bytes("007"), size_bytes("+5")], [Ok(7), Ok(5)]);
        for bad in ["", "-5", "1.5", "+", "++1", "99999999999999999999"] {
            assert!(size_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn text_holds_what_xml_can_write() {
        assert!(Text::new("tab\t, line\n, return\r, 日本, \u{85}").is_ok());
        for bad in ["\0", "\u{1b}[2J", "\u{ffff}", "\u{c}"] {
            assert!(Text::new(bad).is_err());
        }
    }
}
