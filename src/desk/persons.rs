//! Person blocks as people write them: a TOML file with a table for each.
//!
//! Owns its form. What is written reads back to the same; only what may leave is written.

use std::fmt::{Display, Write as _};
use std::ops::Range;

use serde::Deserialize;
use toml::{Spanned, Value};

use crate::model::person::{
    Audience, Consent, Field, PERSONS_MAX, Person, PersonError, PersonKind, PlacePrecision, Released,
};

/// Longest file, in bytes: the most blocks there may be, each at its longest, and as much again for remarks.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a file has no person blocks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct FileError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    person: Vec<Spanned<Block>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    kind: Spanned<String>,
    name: Spanned<String>,
    contact: Option<Spanned<String>>,
    place: Option<Spanned<String>>,
    measures: Option<Spanned<Vec<String>>>,
    precautionary_measure: Option<Spanned<String>>,
    name_to_government: Option<Spanned<String>>,
    name_in_public_report: Option<Spanned<String>>,
}

/// Reads a file of person blocks. A place of which nothing is said is not shown, and a consent of which nothing is said was not
/// asked for.
///
/// # Errors
/// [`FileError`] with the line.
pub fn read(text: &str) -> Result<Vec<Person>, FileError> {
    let wrong = |span: Range<usize>, message: String| {
        let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
        FileError { line, message }
    };
    let file: File = toml::from_str(text)
        .map_err(|error| wrong(error.span().unwrap_or_default(), error.message().replace('\n', " ")))?;
    if let Some(beyond) = file.person.get(PERSONS_MAX) {
        let message = format!("{PERSONS_MAX} persons at most expected; this is one more");
        return Err(wrong(beyond.span(), message));
    }
    file.person
        .iter()
        .map(|block| {
            let person = block.get_ref().person().and_then(|person| person.check().map(|()| person));
            person.map_err(|error| {
                let span = block.get_ref().span_of(error.field).unwrap_or_else(|| block.span());
                wrong(span, error.to_string())
            })
        })
        .collect()
}

impl Block {
    fn person(&self) -> Result<Person, PersonError> {
        let text = |text: &Option<Spanned<String>>| {
            text.as_ref().map_or_else(String::new, |it| it.get_ref().clone())
        };
        let consent = |field, said: &Option<Spanned<String>>| {
            said.as_ref().map_or(Ok(Consent::Unasked), |said| word(field, said, &Consent::ALL))
        };
        let place = self.place.as_ref();
        Ok(Person {
            kind: word(Field::Kind, &self.kind, PersonKind::ALL)?,
            name: self.name.get_ref().clone(),
            contact: text(&self.contact),
            place: place
                .map_or(Ok(PlacePrecision::Hidden), |it| word(Field::Place, it, PlacePrecision::ALL))?,
            measures: self.measures.as_ref().map_or_else(Vec::new, |it| it.get_ref().clone()),
            precautionary_measure: text(&self.precautionary_measure),
            name_to_government: consent(Field::NameToGovernment, &self.name_to_government)?,
            name_in_public_report: consent(Field::NameInPublicReport, &self.name_in_public_report)?,
        })
    }

    fn span_of(&self, field: Field) -> Option<Range<usize>> {
        let text = |it: &Option<Spanned<String>>| it.as_ref().map(Spanned::span);
        match field {
            Field::Kind => Some(self.kind.span()),
            Field::Name => Some(self.name.span()),
            Field::Contact => text(&self.contact),
            Field::Place => text(&self.place),
            Field::Measures => self.measures.as_ref().map(Spanned::span),
            Field::PrecautionaryMeasure => text(&self.precautionary_measure),
            Field::NameToGovernment => text(&self.name_to_government),
            Field::NameInPublicReport => text(&self.name_in_public_report),
        }
    }
}

fn word<T: Copy + Display>(field: Field, said: &Spanned<String>, all: &[T]) -> Result<T, PersonError> {
    let said = said.get_ref();
    all.iter().copied().find(|it| it.to_string() == *said).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(ToString::to_string).collect();
        PersonError { field, message: format!("{} expected; this is {said:?}", words.join(", ")) }
    })
}

/// Writes what may leave for an audience, in the form that [`read`] takes.
pub fn written(persons: &[Released], audience: Audience) -> String {
    let mut text = format!("# Person blocks of an alert. For: {audience}.\n");
    for released in persons {
        text.push_str("\n[[person]]\n");
        for (field, value) in fields(released.person()) {
            writeln!(text, "{field} = {value}").expect("a string takes everything");
        }
    }
    text
}

/// The fields that say something, in their order.
fn fields(person: &Person) -> Vec<(Field, Value)> {
    let text = |text: &str| Value::String(text.to_owned());
    let said = |said: &str| (!said.is_empty()).then(|| text(said));
    let asked = |consent: Consent| (consent != Consent::Unasked).then(|| text(consent.name()));
    let measures: Vec<_> = person.measures.iter().map(|it| text(it)).collect();
    let all = [
        (Field::Kind, Some(text(person.kind.name()))),
        (Field::Name, Some(text(&person.name))),
        (Field::Contact, said(&person.contact)),
        (Field::Place, Some(text(person.place.name()))),
        (Field::Measures, (!measures.is_empty()).then_some(Value::Array(measures))),
        (Field::PrecautionaryMeasure, said(&person.precautionary_measure)),
        (Field::NameToGovernment, asked(person.name_to_government)),
        (Field::NameInPublicReport, asked(person.name_in_public_report)),
    ];
    all.into_iter().filter_map(|(field, value)| value.map(|value| (field, value))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::person::tests::person;

    proptest! {
        #[test]
        fn what_is_written_for_own_use_reads_back_to_the_same(persons in proptest::collection::vec(person(), 0..5)) {
            let released: Vec<_> = persons.iter().filter_map(|it| it.released(Audience::OwnUse)).collect();
            prop_assert_eq!(read(&written(&released, Audience::OwnUse)), Ok(persons));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = read(&text);
            let _ = read(&format!("[[person]]\nkind = 'group'\nname = {text}"));
        }
    }

    #[test]
    fn what_is_left_out_is_the_safer_one() {
        let person = &read("[[person]]\nkind = 'person'\nname = 'A'\n").unwrap()[0];
        assert_eq!(person.place, PlacePrecision::Hidden);
        assert_eq!(
            (person.name_to_government, person.name_in_public_report),
            (Consent::Unasked, Consent::Unasked)
        );
        assert_eq!(read(""), Ok(Vec::new()));
    }

    #[test]
    fn the_example_is_one() {
        let persons = read(include_str!("../../examples/alerts/persons.toml")).unwrap();
        assert_eq!(persons.len(), 3);
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_field() {
        let good = "[[person]]\nkind = 'person'\nname = 'A'\n\n[[person]]\nkind = 'group'\nname = 'B'\n";
        for (text, line, words) in [
            (
                format!("{good}place = 'town'"),
                8,
                "place: exact, municipality, region, country, hidden expected; this is \"town\"",
            ),
            (format!("{good}name_to_government = 'YES'"), 8, "name_to_government: unasked, yes, no expected"),
            (format!("{good}name_to_government = true"), 8, "invalid type: boolean"),
            (format!("{good}measures = [\n'good',\n'']"), 8, "measures: 1 to 256 bytes expected; this has 0"),
            (format!("{good}public = 'yes'"), 8, "unknown field `public`"),
            (good.replace("'B'", "''"), 7, "name: 1 to 256 bytes expected; this has 0"),
            (good.replace("kind = 'group'\n", ""), 5, "missing field `kind`"),
            (good.replace("[[person]]", "[[persona]]"), 1, "unknown field `persona`"),
            (good.repeat(33), 225, "64 persons at most"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.message.starts_with(words) && error.line == line, "{error}, {words}");
        }
    }
}
