//! Person blocks: read from files, shown on a card, and written for whom they may go to.
//!
//! Owns their words. What may leave is decided below: here nothing is written but what was released.

use std::path::PathBuf;

use super::context::Context;
use super::exit::Failure;
use super::publish::warn;
use super::screen::{Tone, harmless, toned};
use super::show::field;
use crate::cap::Alert;
use crate::desk::persons::{FILE_BYTES_MAX, read};
use crate::desk::release::{Release, named_in_text, numbers};
use crate::model::person::{Audience, Consent, PERSONS_MAX, Person, PlacePrecision};

/// Reads files of person blocks, and warns where the alert's own text has a name.
///
/// # Errors
/// Usage: a file cannot be read, or is none, with its line.
pub(super) fn of_files(context: &Context, files: &[PathBuf], alert: &Alert) -> Result<Vec<Person>, Failure> {
    let mut persons = Vec::new();
    for file in files {
        let wrong = |message: &str| Failure::usage(format!("{}, {message}", file.display()));
        let bytes = context.disk.read(file, FILE_BYTES_MAX).map_err(|error| wrong(&error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text"))?;
        let blocks = read(&text).map_err(|error| wrong(&error.to_string()))?;
        if blocks.is_empty() {
            return Err(wrong("it has no [[person]]"));
        }
        persons.extend(blocks);
    }
    if persons.len() > PERSONS_MAX {
        let words = format!("{PERSONS_MAX} persons at most expected; these are {} in all", persons.len());
        return Err(Failure::usage(words));
    }
    let named = named_in_text(alert, &persons);
    if !named.is_empty() {
        let words = format!(
            "the alert's own text has the name of person block {}: it goes wherever the text goes, whatever the consents say, \
             and is in the way of an export for others. A name belongs in its block alone",
            numbers(&named)
        );
        warn(context, &words)?;
    }
    Ok(persons)
}

/// Shows whom an alert is about.
///
/// # Errors
/// Any of the output.
pub(super) fn cards(context: &Context, persons: &[Person]) -> Result<(), Failure> {
    for (person, number) in persons.iter().zip(1..) {
        context.screen.line(&format!("\n{} {number} of {}", titled(person), persons.len()))?;
        field(context, "Name", &harmless(&person.name))?;
        let contact = if person.contact.is_empty() { "no safe way is known" } else { &person.contact };
        field(context, "Contact", &harmless(contact))?;
        field(context, "Place", place(person.place))?;
        for measure in &person.measures {
            field(context, "Measure", &harmless(measure))?;
        }
        if !person.precautionary_measure.is_empty() {
            field(context, "Precaution.", &harmless(&person.precautionary_measure))?;
        }
        for (of, consent) in
            [("Government", person.name_to_government), ("Public", person.name_in_public_report)]
        {
            field(context, of, &may(consent, of))?;
        }
    }
    Ok(())
}

fn titled(person: &Person) -> String {
    let mut name = person.kind.name().to_owned();
    name[..1].make_ascii_uppercase();
    name
}

fn place(place: PlacePrecision) -> &'static str {
    match place {
        PlacePrecision::Exact => "may be shown as it is known",
        PlacePrecision::Municipality => "may be shown down to the municipality",
        PlacePrecision::Region => "may be shown down to the region",
        PlacePrecision::Country => "only the country may be shown",
        PlacePrecision::Hidden => "may not be shown at all",
    }
}

fn may(consent: Consent, of: &str) -> String {
    let go = if of == "Public" { "stand in a public report" } else { "go to the government" };
    match consent {
        Consent::Yes => format!("the name may {go}"),
        Consent::No => toned(Tone::Warning, &format!("the name may NOT {go}")),
        Consent::Unasked => toned(Tone::Warning, &format!("not asked: the name may NOT {go}")),
    }
}

/// Says beside the output what an export leaves out, and why.
pub(super) fn tell(context: &Context, release: &Release, audience: Audience) {
    let aside = |words: &str| context.screen.aside(Tone::Warning, words);
    let of = |what: Consent| {
        let which: Vec<_> = release.withheld.iter().filter(|it| it.1 == what).map(|it| it.0).collect();
        (which.len(), numbers(&which))
    };
    for (consent, why) in [(Consent::No, "said no"), (Consent::Unasked, "were not asked")] {
        let (count, which) = of(consent);
        if count > 0 {
            let blocks = if count == 1 { "person block is" } else { "person blocks are" };
            aside(&format!("{count} {blocks} left out, for {audience} those concerned {why}: {which}"));
        }
    }
    if let Some(least) = release.areas_left_out {
        aside(&format!(
            "the alert's areas are left out: the place of a person block {}, and how precise they are cannot be told",
            place(least)
        ));
    }
    if audience != Audience::OwnUse {
        aside(
            "the rest of the alert's text goes as its sender wrote it: read it for names and places before you hand it on",
        );
    }
}
