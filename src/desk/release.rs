//! What of an alert may leave the office for an audience.
//!
//! Owns what is left out: blocks without a yes, areas where a place is not to be shown as it is known, and the whole where the
//! alert's own words name who is left out. Never writes anything.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::cap::{self, Alert, acts_or_hides};
use crate::model::person::{Audience, Consent, Person, PlacePrecision, Released};

/// What may leave.
#[derive(Debug)]
pub struct Release {
    /// The alert.
    pub alert: Alert,
    /// The person blocks.
    pub persons: Vec<Released>,
    /// The blocks that are left out: which, from 1, and what those concerned had said.
    pub withheld: Vec<(usize, Consent)>,
    /// How precisely the place may be shown, where areas were left out for that.
    pub areas_left_out: Option<PlacePrecision>,
}

/// The alert's own words name who is to be left out: the whole stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the alert's own text has the name of person block {}, which may not go there: export it for own use, take the name out, \
     and hand on that", numbers(.0)
)]
pub struct NamedInText(Vec<usize>);

/// Takes out of an alert what may not go to an audience.
///
/// The area of an alert is that of everybody in it, and nobody can make the sender's words about it less precise: with a place
/// that is not to be shown exactly, of a block that goes or of one that stays, no area leaves.
///
/// # Errors
/// [`NamedInText`]
pub fn release(alert: &Alert, persons: &[Person], audience: Audience) -> Result<Release, NamedInText> {
    let mut release =
        Release { alert: alert.clone(), persons: Vec::new(), withheld: Vec::new(), areas_left_out: None };
    let mut stay = Vec::new();
    for (person, number) in persons.iter().zip(1..) {
        match (person.released(audience), person.consent_for(audience)) {
            (Some(released), _) => release.persons.push(released),
            (None, consent) => {
                stay.push(person);
                release.withheld.push((number, consent.unwrap_or_default()));
            }
        }
    }
    if audience == Audience::OwnUse {
        return Ok(release);
    }
    let text = Text::of(alert);
    let named = release.withheld.iter().zip(&stay).filter(|(_, person)| text.names(person));
    let named: Vec<_> = named.map(|((number, _), _)| *number).collect();
    if !named.is_empty() {
        return Err(NamedInText(named));
    }
    let least = persons.iter().map(|person| person.place).max();
    let has_areas = alert.infos.iter().any(|info| !info.areas.is_empty());
    if let Some(least) = least.filter(|least| *least != PlacePrecision::Exact && has_areas) {
        let mut parts = release.alert.into_parts();
        parts.infos.iter_mut().for_each(|info| info.areas.clear());
        release.alert = Alert::new(parts).expect("no rule of an alert is about its areas");
        release.areas_left_out = Some(least);
    }
    Ok(release)
}

/// Tells which blocks' names stand in the alert's own text, from 1.
pub fn named_in_text(alert: &Alert, persons: &[Person]) -> Vec<usize> {
    let text = Text::of(alert);
    persons.iter().zip(1..).filter(|(person, _)| text.names(person)).map(|(_, number)| number).collect()
}

/// Numbers in a row, for a sentence.
pub fn numbers(numbers: &[usize]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// All that an alert says, as words without capitals, accents and marks, each after a space.
struct Text(String);

impl Text {
    fn of(alert: &Alert) -> Self {
        Self(folded(&unescaped(&cap::export(alert))))
    }

    /// A part of a name, a nickname or another spelling is not found.
    fn names(&self, person: &Person) -> bool {
        let name = folded(&person.name);
        // A name of signs alone is no word.
        name.trim() != "" && self.0.contains(&name)
    }
}

/// A document's text with its references as characters again: those that [`cap::export`] writes.
fn unescaped(xml: &str) -> String {
    let mut parts = xml.split('&');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (reference, rest) = part.split_once(';').unwrap_or_default();
        let number = reference.strip_prefix('#').and_then(|number| number.parse().ok());
        text.push(match (reference, number.and_then(char::from_u32)) {
            ("lt", _) => '<',
            ("gt", _) => '>',
            (_, Some(character)) => character,
            _ => '&',
        });
        text.push_str(rest);
    }
    text
}

fn folded(text: &str) -> String {
    let mut words = String::from(" ");
    // First capitals: some letters become two by that, and a mark a letter.
    let capitals = text.chars().flat_map(char::to_uppercase).nfkd();
    let seen = |c: &char| !is_combining_mark(*c) && (c.is_whitespace() || !acts_or_hides(*c));
    for c in capitals.filter(seen).flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            words.push(c);
        } else if !words.ends_with(' ') {
            words.push(' ');
        }
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::person::PersonKind;
    use crate::model::person::tests::person;

    fn alert(words: &str) -> Alert {
        let document = format!(
            "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>u</identifier><sender>a@b</sender>\
             <sent>2026-03-02T10:00:00-06:00</sent><status>Test</status><msgType>Alert</msgType><scope>Public</scope>\
             <info><category>Security</category><event>e</event><urgency>Immediate</urgency><severity>Severe</severity>\
             <certainty>Likely</certainty><description>{words}</description>\
             <area><areaDesc>Finca</areaDesc><circle>14.1,-87.2 0.1</circle></area></info></alert>"
        );
        cap::import(document.as_bytes()).unwrap().alert
    }

    fn named(name: &str) -> Person {
        Person {
            kind: PersonKind::Person,
            name: name.into(),
            contact: String::new(),
            place: PlacePrecision::Exact,
            measures: Vec::new(),
            precautionary_measure: String::new(),
            name_to_government: Consent::Unasked,
            name_in_public_report: Consent::No,
        }
    }

    proptest! {
        #[test]
        fn what_leaves_has_no_block_without_a_yes(
            persons in proptest::collection::vec(person(), 0..6),
            government: bool,
        ) {
            let audience = if government { Audience::Government } else { Audience::Public };
            let said = |it: &Person| it.consent_for(audience) == Some(Consent::Yes);
            // The invented names are so short that some are words of the alert.
            let Ok(release) = release(&alert("words"), &persons, audience) else { return Ok(()) };
            let may: Vec<_> = persons.iter().filter(|it| said(it)).map(|it| &it.name).collect();
            let goes: Vec<_> = release.persons.iter().map(|it| &it.person().name).collect();
            prop_assert_eq!(goes, may);
            prop_assert_eq!(release.withheld.len() + release.persons.len(), persons.len());
            let exact = persons.iter().all(|it| it.place == PlacePrecision::Exact);
            prop_assert_eq!(cap::export(&release.alert).contains("area"), exact);
        }

        #[test]
        fn a_withheld_name_in_the_text_is_found_however_it_is_written(person in person(), capital: bool) {
            let name = if capital { person.name.to_uppercase() } else { person.name.clone() };
            let xml = name.replace('&', "&amp;").replace('<', "&lt;").replace(']', " ");
            let person = Person { name_to_government: Consent::No, name: person.name.replace(']', " "), ..person };
            prop_assume!(!person.name.trim().is_empty() && !folded(&name).trim().is_empty());
            // What an alert cannot say, it does not name.
            let Ok(imported) = cap::import(with(&xml).as_bytes()) else { return Ok(()) };
            let refused = release(&imported.alert, &[person], Audience::Government).unwrap_err();
            prop_assert_eq!(refused, NamedInText(vec![1]));
        }
    }

    fn with(words: &str) -> String {
        cap::export(&alert("MARK")).replace("MARK", words)
    }

    #[test]
    fn a_name_in_other_letters_and_between_other_marks_is_found_and_another_is_not() {
        let persons = [named("Berta Núñez & hijas"), named("Ana")];
        for (words, found) in [
            ("La Sra. BERTA  NUNEZ &amp; HIJAS, de ayer", vec![1]),
            ("berta-n\u{fa}\u{f1}ez &amp;\nhijas", vec![1]),
            ("Berta Nun\u{303}ez y Ana.", vec![2]),
            ("A\u{200b}na, A\u{e0100}n\u{ad}a", vec![2]),
            ("Berta Núñez &#38; hijas", vec![1]),
            ("Anastasia, mañana", vec![]),
        ] {
            assert_eq!(named_in_text(&alert(words), &persons), found, "{words}");
        }
        let alert = alert("Ana");
        assert_eq!(release(&alert, &persons, Audience::Public).unwrap_err(), NamedInText(vec![2]));
        assert_eq!(release(&alert, &persons, Audience::OwnUse).unwrap().persons.len(), 2);
        let yes = Person { name_in_public_report: Consent::Yes, ..named("Ana") };
        release(&alert, &[yes], Audience::Public).unwrap();
    }

    #[test]
    fn the_place_of_one_who_stays_counts_too() {
        let mut hidden = named("X Y");
        hidden.place = PlacePrecision::Municipality;
        let persons = [Person { name_in_public_report: Consent::Yes, ..named("Z W") }, hidden];
        let release = release(&alert("words"), &persons, Audience::Public).unwrap();
        assert_eq!(release.areas_left_out, Some(PlacePrecision::Municipality));
        assert_eq!(release.withheld, [(2, Consent::No)]);
        assert!(!cap::export(&release.alert).contains("14.1"));
    }
}
