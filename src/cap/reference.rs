//! References: how one CAP message names another, and which follow-up counts.
//!
//! Owns the form of `references` (CAP 1.2, section 3.2.1): triples `sender,identifier,sent` with white space
//! between them. Never decides who may speak for a CAP sender: that is the exchange's own identity.

use super::error::Fault;
use super::time::Time;
use super::value::{Identifier, Sender, Text};

/// The full name of a CAP message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Its sender.
    pub sender: Sender,
    /// Its identifier.
    pub identifier: Identifier,
    /// When it was sent.
    pub sent: Time,
}

impl Reference {
    /// Reads a triple `sender,identifier,sent`.
    ///
    /// # Errors
    /// [`Fault::Value`] if it is none.
    pub fn parse(triple: &str) -> Result<Self, Fault> {
        let mut parts = triple.split(',');
        let (Some(sender), Some(identifier), Some(sent), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::value(triple, "a triple `sender,identifier,sent`"));
        };
        Ok(Self {
            sender: Sender::new(sender)?,
            identifier: Identifier::new(identifier)?,
            sent: Time::new(sent)?,
        })
    }

    /// Says whether both name the same message: sender and identifier letter by letter, and the same instant,
    /// since a program on the way may have written the time with another offset.
    pub fn names_the_same(&self, other: &Self) -> bool {
        self.sender == other.sender
            && self.identifier == other.identifier
            && self.sent.unix_micros() == other.sent.unix_micros()
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{}", self.sender, self.identifier, self.sent)
    }
}

/// The messages that an alert refers to, and the text that named them; may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct References {
    text: Text,
    list: Vec<Reference>,
}

impl References {
    /// Reads triples with white space between them.
    ///
    /// # Errors
    /// [`Fault::Value`] if one of them is no triple.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = Text::new(text)?;
        let list = text.split_ascii_whitespace().map(Reference::parse).collect::<Result<_, _>>()?;
        Ok(Self { text, list })
    }

    /// Returns them as they were written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns them in order.
    pub fn list(&self) -> &[Reference] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triples_are_read_in_order_and_the_text_is_kept() {
        let text = "\n a@b,1,2026-03-02T09:14:00-06:00\n  a@b,2,2026-03-02T09:15:00-06:00 ";
        let references = References::parse(text).unwrap();
        assert_eq!(references.as_str(), text);
        let names: Vec<String> = references.list().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a@b,1,2026-03-02T09:14:00-06:00", "a@b,2,2026-03-02T09:15:00-06:00"]);
        assert!(References::parse(" ").unwrap().list().is_empty());
    }

    #[test]
    fn what_is_no_triple_is_refused() {
        for bad in [
            "none",
            "a,b",
            "a,,2026-03-02T09:14:00-06:00",
            ",b,2026-03-02T09:14:00-06:00",
            "a,b,yesterday",
            "a,b,2026-03-02T09:14:00Z",
            "a,b,2026-03-02T09:14:00-06:00,c",
            "a, b, 2026-03-02T09:14:00-06:00",
        ] {
            assert!(References::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn same_instant_with_another_offset_is_the_same_message() {
        let [a, b, c, d] = [
            "a@b,1,2026-03-02T09:14:00-06:00",
            "a@b,1,2026-03-02T15:14:00-00:00",
            "a@b,1,2026-03-02T15:14:01-00:00",
            "A@b,1,2026-03-02T09:14:00-06:00",
        ]
        .map(|triple| Reference::parse(triple).unwrap());
        assert!(a.names_the_same(&b) && !a.names_the_same(&c) && !a.names_the_same(&d));
    }
}
