//! Person blocks: who an alert is about, and how far their names may go.
//!
//! Owns what a block is, its limits, and the one way by which it leaves an office ([`Person::released`]): a block without a
//! yes for where it goes never becomes a [`Released`]. Never knows the alert's text.

use std::fmt;

use super::envelope::numbered;

/// Blocks of one alert at most.
pub const PERSONS_MAX: usize = 64;
/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Longest way to contact somebody, in bytes.
pub const CONTACT_BYTES_MAX: usize = 512;
/// Protection measures of one block at most.
pub const MEASURES_MAX: usize = 16;
/// Longest protection measure, in bytes: a line.
pub const MEASURE_BYTES_MAX: usize = 256;
/// Longest number of a precautionary measure, in bytes.
pub const NUMBER_BYTES_MAX: usize = 64;

numbered! {
    /// What a block is about.
    PersonKind {
        /// One person.
        Person = 1 "person",
        /// An organisation or another group.
        Group = 2 "group",
        /// A community.
        Community = 3 "community",
    }
}

numbered! {
    /// How precisely a place may be shown, most precise first.
    PlacePrecision {
        /// As it is known.
        Exact = 1 "exact",
        /// The municipality.
        Municipality = 2 "municipality",
        /// The region: a department, province or state.
        Region = 3 "region",
        /// The country.
        Country = 4 "country",
        /// Not at all.
        Hidden = 5 "hidden",
    }
}

/// What those concerned said when they were asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// They were not asked: as good as a no.
    #[default]
    Unasked,
    /// Yes.
    Yes,
    /// No.
    No,
}

/// Whom something is exported for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The office itself: all, whatever consents say.
    OwnUse,
    /// A government.
    Government,
    /// Everybody.
    Public,
}

/// A defender, group or community. Every field as `content.proto` says; [`Person::check`] holds it to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// What it is about.
    pub kind: PersonKind,
    /// The name.
    pub name: String,
    /// A safe way to contact them; may be empty. For offices alone.
    pub contact: String,
    /// How precisely the place may be shown.
    pub place: PlacePrecision,
    /// Protection measures. For offices alone.
    pub measures: Vec<String>,
    /// The number of the precautionary measure; may be empty.
    pub precautionary_measure: String,
    /// Whether the name may go to the government.
    pub name_to_government: Consent,
    /// Whether the name may stand in a public report.
    pub name_in_public_report: Consent,
}

/// A block as it may leave the office for an audience: only [`Person::released`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released(Person);

/// Which field of a block is not as it must be, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct PersonError {
    /// The field.
    pub field: Field,
    /// What was found and what was expected.
    pub message: String,
}

/// A field of a block, by its name in a file of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `kind`
    Kind,
    /// `name`
    Name,
    /// `contact`
    Contact,
    /// `place`
    Place,
    /// `measures`
    Measures,
    /// `precautionary_measure`
    PrecautionaryMeasure,
    /// `name_to_government`
    NameToGovernment,
    /// `name_in_public_report`
    NameInPublicReport,
}

impl Field {
    /// Gives its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Name => "name",
            Self::Contact => "contact",
            Self::Place => "place",
            Self::Measures => "measures",
            Self::PrecautionaryMeasure => "precautionary_measure",
            Self::NameToGovernment => "name_to_government",
            Self::NameInPublicReport => "name_in_public_report",
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Consent {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Unasked, Self::Yes, Self::No];

    /// Reads it from its number in the protocol; `None` for numbers that this version does not know.
    pub fn from_number(number: i32) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number)).copied()
    }

    /// Gives its name, as people and programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

impl fmt::Display for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Audience {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::OwnUse, Self::Government, Self::Public];

    /// Gives its name, as people and programs read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnUse => "own-use",
            Self::Government => "government",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Person {
    /// Checks every field.
    ///
    /// # Errors
    /// [`PersonError`], the first one.
    pub fn check(&self) -> Result<(), PersonError> {
        text(Field::Name, &self.name, 1, NAME_BYTES_MAX)?;
        text(Field::Contact, &self.contact, 0, CONTACT_BYTES_MAX)?;
        if self.measures.len() > MEASURES_MAX {
            let message = format!("{MEASURES_MAX} at most expected; these are {}", self.measures.len());
            return Err(PersonError { field: Field::Measures, message });
        }
        for measure in &self.measures {
            text(Field::Measures, measure, 1, MEASURE_BYTES_MAX)?;
        }
        text(Field::PrecautionaryMeasure, &self.precautionary_measure, 0, NUMBER_BYTES_MAX)
    }

    /// What those concerned said about an audience; `None` for the office itself, for which nobody is asked.
    pub fn consent_for(&self, audience: Audience) -> Option<Consent> {
        match audience {
            Audience::OwnUse => None,
            Audience::Government => Some(self.name_to_government),
            Audience::Public => Some(self.name_in_public_report),
        }
    }

    /// Gives the block as it may leave for an audience; `None` without a yes for it.
    ///
    /// The yes is to the name. How somebody is reached and protected stays with the offices, and what was said about the
    /// government is not for the public; that a name is not for the public is for a government to know.
    pub fn released(&self, audience: Audience) -> Option<Released> {
        if !matches!(self.consent_for(audience), None | Some(Consent::Yes)) {
            return None;
        }
        let mut person = self.clone();
        if audience != Audience::OwnUse {
            person.contact.clear();
            person.measures.clear();
        }
        if audience == Audience::Public {
            person.name_to_government = Consent::Unasked;
        }
        Some(Released(person))
    }
}

impl Released {
    /// Gives what may leave.
    pub fn person(&self) -> &Person {
        &self.0
    }
}

fn text(field: Field, text: &str, at_least: usize, at_most: usize) -> Result<(), PersonError> {
    let wrong = |message| Err(PersonError { field, message });
    if !(at_least..=at_most).contains(&text.len()) {
        return wrong(format!("{at_least} to {at_most} bytes expected; this has {}", text.len()));
    }
    if !text.is_empty() && text.trim().is_empty() {
        return wrong("words expected; this is white space alone".into());
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => {
            wrong(format!("one line without control characters expected; this has U+{:04X}", u32::from(c)))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A block of any valid form.
    pub(crate) fn person() -> impl Strategy<Value = Person> {
        let consent = || proptest::sample::select(&Consent::ALL[..]);
        let line = || "[\\PC&&[^\\s]][\\PC]{0,20}";
        (
            proptest::sample::select(PersonKind::ALL),
            line(),
            prop_oneof![Just(String::new()), line()],
            proptest::sample::select(PlacePrecision::ALL),
            proptest::collection::vec(line(), 0..4),
            prop_oneof![Just(String::new()), Just("MC-123-26".to_owned())],
            (consent(), consent()),
        )
            .prop_map(|(kind, name, contact, place, measures, precautionary_measure, consents)| {
                Person {
                    kind,
                    name,
                    contact,
                    place,
                    measures,
                    precautionary_measure,
                    name_to_government: consents.0,
                    name_in_public_report: consents.1,
                }
            })
    }

    proptest! {
        #[test]
        fn a_block_leaves_with_a_yes_for_where_it_goes_and_in_no_other_way(person in person()) {
            for audience in [Audience::Government, Audience::Public] {
                let released = person.released(audience);
                prop_assert_eq!(released.is_some(), person.consent_for(audience) == Some(Consent::Yes));
                if let Some(released) = released {
                    let Person { name, contact, measures, .. } = released.person();
                    prop_assert_eq!((name, contact.as_str(), measures.len()), (&person.name, "", 0));
                }
            }
            let own = person.released(Audience::OwnUse);
            prop_assert_eq!(own.as_ref().map(Released::person), Some(&person));
        }
    }

    #[test]
    fn every_field_is_held_to_its_bounds() {
        let good = Person {
            kind: PersonKind::Person,
            name: "n".repeat(NAME_BYTES_MAX),
            contact: "c".repeat(CONTACT_BYTES_MAX),
            place: PlacePrecision::Region,
            measures: vec!["m".repeat(MEASURE_BYTES_MAX); MEASURES_MAX],
            precautionary_measure: "1".repeat(NUMBER_BYTES_MAX),
            name_to_government: Consent::default(),
            name_in_public_report: Consent::default(),
        };
        good.check().unwrap();
        assert_eq!(good.name_to_government, Consent::Unasked);
        let refused = |change: &dyn Fn(&mut Person)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.check().unwrap_err().field
        };
        assert_eq!(refused(&|it| it.name.push('n')), Field::Name);
        assert_eq!(refused(&|it| it.name.clear()), Field::Name);
        assert_eq!(refused(&|it| it.name = " \u{a0}".into()), Field::Name);
        assert_eq!(refused(&|it| it.name = "a\u{1b}b".into()), Field::Name);
        assert_eq!(refused(&|it| it.contact.push('c')), Field::Contact);
        assert_eq!(refused(&|it| it.contact = "two\nlines".into()), Field::Contact);
        assert_eq!(refused(&|it| it.measures.push("m".into())), Field::Measures);
        assert_eq!(refused(&|it| it.measures[3].clear()), Field::Measures);
        assert_eq!(refused(&|it| it.measures[3].push('m')), Field::Measures);
        assert_eq!(refused(&|it| it.precautionary_measure.push('1')), Field::PrecautionaryMeasure);
    }
}
