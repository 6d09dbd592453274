//! The content of an alert between exact bytes and the model: the CAP document as it is, and the person blocks.
//!
//! Owns the form. Never looks into the document.

use std::fmt::Display;

use bytes::Bytes;
use prost::Message as _;

use super::proto;
use crate::cap;
use crate::model::person::{Consent, Field, PERSONS_MAX, Person, PersonError, PersonKind, PlacePrecision};

/// Longest CAP document, in bytes.
pub const CAP_BYTES_MAX: usize = cap::DOCUMENT_BYTES_MAX;

/// What an alert's payload holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertContent {
    /// The CAP 1.2 document, unread.
    pub cap: Bytes,
    /// Whom it is about.
    pub persons: Vec<Person>,
}

/// Why bytes are no content of an alert.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// They are not of this form at all.
    #[error("not the content of an alert: {0}")]
    Form(String),
    /// The document is missing, or longer than is allowed.
    #[error("cap: 1 to {CAP_BYTES_MAX} bytes expected; this has {0}")]
    Cap(usize),
    /// There are too many person blocks.
    #[error("persons: {PERSONS_MAX} at most expected; these are {0}")]
    Count(usize),
    /// A person block is not as it must be.
    #[error("person block {number}, {error}")]
    Person {
        /// Which, from 1.
        number: usize,
        /// What is wrong with it.
        error: PersonError,
    },
}

/// Decodes the content of an alert, every field checked.
///
/// # Errors
/// [`ContentError`]
pub fn alert(bytes: &Bytes) -> Result<AlertContent, ContentError> {
    let wire = proto::AlertContent::decode(bytes.clone());
    let wire = wire.map_err(|error| ContentError::Form(error.to_string()))?;
    if !(1..=CAP_BYTES_MAX).contains(&wire.cap.len()) {
        return Err(ContentError::Cap(wire.cap.len()));
    }
    if wire.persons.len() > PERSONS_MAX {
        return Err(ContentError::Count(wire.persons.len()));
    }
    let persons = wire.persons.into_iter().zip(1..).map(|(wire, number)| {
        let checked = person(wire).and_then(|person| person.check().map(|()| person));
        checked.map_err(|error| ContentError::Person { number, error })
    });
    Ok(AlertContent { cap: wire.cap, persons: persons.collect::<Result<_, _>>()? })
}

/// Encodes the content of an alert. The same content has the same bytes.
pub fn alert_bytes(content: &AlertContent) -> Bytes {
    let person = |it: &Person| proto::Person {
        kind: it.kind as i32,
        name: it.name.clone(),
        contact: it.contact.clone(),
        place_precision: it.place as i32,
        measures: it.measures.clone(),
        precautionary_measure: it.precautionary_measure.clone(),
        name_to_government: it.name_to_government as i32,
        name_in_public_report: it.name_in_public_report as i32,
    };
    let wire = proto::AlertContent {
        cap: content.cap.clone(),
        persons: content.persons.iter().map(person).collect(),
    };
    wire.encode_to_vec().into()
}

fn person(wire: proto::Person) -> Result<Person, PersonError> {
    let place =
        numbered(Field::Place, wire.place_precision, PlacePrecision::from_number, PlacePrecision::ALL)?;
    let consent = |field, number| numbered(field, number, Consent::from_number, &Consent::ALL);
    Ok(Person {
        kind: numbered(Field::Kind, wire.kind, PersonKind::from_number, PersonKind::ALL)?,
        name: wire.name,
        contact: wire.contact,
        place,
        measures: wire.measures,
        precautionary_measure: wire.precautionary_measure,
        name_to_government: consent(Field::NameToGovernment, wire.name_to_government)?,
        name_in_public_report: consent(Field::NameInPublicReport, wire.name_in_public_report)?,
    })
}

fn numbered<T: Display>(
    field: Field,
    number: i32,
    known: impl Fn(i32) -> Option<T>,
    all: &[T],
) -> Result<T, PersonError> {
    known(number).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(ToString::to_string).collect();
        PersonError { field, message: format!("{} expected; this is the number {number}", words.join(", ")) }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::person::tests::person;

    fn wire(persons: Vec<proto::Person>) -> Bytes {
        proto::AlertContent { cap: Bytes::from_static(b"<alert/>"), persons }.encode_to_vec().into()
    }

    fn good() -> proto::Person {
        proto::Person { kind: 1, name: "n".into(), place_precision: 5, ..proto::Person::default() }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back_consents_and_all(
            cap in proptest::collection::vec(any::<u8>(), 1..64),
            persons in proptest::collection::vec(person(), 0..5),
        ) {
            let content = AlertContent { cap: cap.into(), persons };
            prop_assert_eq!(alert(&alert_bytes(&content)), Ok(content));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = alert(&bytes.into());
        }
    }

    #[test]
    fn a_consent_that_is_not_there_was_not_asked_for() {
        let person = &alert(&wire(vec![good()])).unwrap().persons[0];
        assert_eq!(
            (person.name_to_government, person.name_in_public_report),
            (Consent::Unasked, Consent::Unasked)
        );
    }

    type Change<'a> = &'a dyn Fn(&mut proto::Person);

    #[test]
    fn each_field_is_checked_and_named() {
        let refused = |change: &dyn Fn(&mut proto::Person)| {
            let mut bad = good();
            change(&mut bad);
            alert(&wire(vec![good(), bad])).unwrap_err().to_string()
        };
        let cases: [(Change<'_>, &str); 7] = [
            (&|it| it.kind = 0, "person block 2, kind: person, group, community expected"),
            (&|it| it.kind = 4, "person block 2, kind: "),
            (&|it| it.place_precision = 0, "person block 2, place: exact, "),
            (&|it| it.place_precision = 6, "person block 2, place: exact, "),
            (
                &|it| it.name_to_government = 3,
                "person block 2, name_to_government: unasked, yes, no expected",
            ),
            (&|it| it.name_in_public_report = -1, "person block 2, name_in_public_report: "),
            (&|it| it.name.clear(), "person block 2, name: 1 to 256 bytes"),
        ];
        for (change, words) in cases {
            let said = refused(change);
            assert!(said.starts_with(words), "{said}");
        }
        let many = alert(&wire(vec![good(); PERSONS_MAX + 1])).unwrap_err();
        assert_eq!(many, ContentError::Count(PERSONS_MAX + 1));
        alert(&wire(vec![good(); PERSONS_MAX])).unwrap();
        assert_eq!(alert(&Bytes::new()), Err(ContentError::Cap(0)));
        let raw = alert(&Bytes::from_static(b"<?xml version=\"1.0\"?>")).unwrap_err();
        assert!(matches!(raw, ContentError::Form(_)), "{raw}");
    }
}
