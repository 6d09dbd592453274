//! The founding list: institutions, offices, auditors, streams and rights, as people write them.
//!
//! Owns its form. Keys stand in requests and not here; what counts is the amendment that registrars sign.

use std::collections::BTreeSet;
use std::fmt::Display;

use serde::Deserialize;

use crate::model::deadline::{Deadlines, Within};
use crate::model::envelope::{MessageClass, Priority};
use crate::model::identity::Name;
use crate::model::obligation::{Duty, Obligation, Who};
use crate::model::policy::{Fact, Policy};

/// Why a founding list is refused.
#[derive(Debug, thiserror::Error)]
pub enum FoundingError {
    /// Not TOML, an unknown key, a wrong type; with line and column.
    #[error("founding list: {0}")]
    Form(#[from] toml::de::Error),
    /// A fact that does not follow from those before it.
    #[error("founding list: {0}")]
    Sense(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    institutions: Vec<String>,
    headquarters: String,
    office: Vec<Member>,
    #[serde(default)]
    auditor: Vec<Member>,
    #[serde(default)]
    operator: Vec<Member>,
    stream: Vec<StreamRights>,
    #[serde(default)]
    deadlines: Vec<DefaultDeadlines>,
    #[serde(default)]
    obligation: Vec<Owed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    name: String,
    institution: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamRights {
    name: String,
    publishers: Vec<String>,
    subscribers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DefaultDeadlines {
    class: String,
    priority: String,
    receive: Option<String>,
    read: Option<String>,
    act: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owed {
    name: String,
    institution: Option<String>,
    #[serde(default)]
    offices: Vec<String>,
    class: String,
    stream: String,
    /// Days of grace after each month.
    monthly: Option<u32>,
    /// By when each such message is to be answered.
    follow_up: Option<String>,
}

impl Owed {
    fn fact(&self) -> Result<Fact, FoundingError> {
        let sense = |message: &str| FoundingError::Sense(format!("obligation {}: {message}", self.name));
        let who = match &self.institution {
            Some(institution) if self.offices.is_empty() => Who::Institution(name(institution)?),
            None if !self.offices.is_empty() => Who::Offices(names(&self.offices)?),
            _ => return Err(sense("say who owes it, an institution or offices")),
        };
        let duty = match (self.monthly, within(self.follow_up.as_ref())?) {
            (Some(grace_days), None) => Duty::Monthly { grace_days },
            (None, Some(within)) => Duty::FollowUp { within },
            _ => return Err(sense("say what is owed, monthly or follow_up")),
        };
        let (its_name, class) = (name(&self.name)?, word(MessageClass::ALL, &self.class)?);
        Ok(Fact::Obligation(Obligation { name: its_name, who, class, stream: name(&self.stream)?, duty }))
    }
}

/// Reads a founding list into facts, each following from those before.
///
/// # Errors
/// [`FoundingError::Form`] with line and column; [`FoundingError::Sense`] for a bad name, an unknown institution or
/// office, or something named twice.
pub fn parse(text: &str) -> Result<Vec<Fact>, FoundingError> {
    let file: File = toml::from_str(text)?;
    let mut facts = Vec::new();
    for institution in &file.institutions {
        facts.push(Fact::Institution(name(institution)?));
    }
    for office in &file.office {
        facts.push(Fact::Office { name: name(&office.name)?, institution: name(&office.institution)? });
    }
    for auditor in &file.auditor {
        facts.push(Fact::Auditor { name: name(&auditor.name)?, institution: name(&auditor.institution)? });
    }
    for operator in &file.operator {
        let (name, institution) = (name(&operator.name)?, name(&operator.institution)?);
        facts.push(Fact::Operator { name, institution });
    }
    for stream in &file.stream {
        facts.push(Fact::Stream {
            name: name(&stream.name)?,
            publishers: names(&stream.publishers)?,
            subscribers: names(&stream.subscribers)?,
        });
    }
    for it in &file.deadlines {
        facts.push(Fact::Deadlines {
            class: word(MessageClass::ALL, &it.class)?,
            priority: word(Priority::ALL, &it.priority)?,
            deadlines: Deadlines {
                receive: within(it.receive.as_ref())?,
                read: within(it.read.as_ref())?,
                act: within(it.act.as_ref())?,
            },
        });
    }
    for owed in &file.obligation {
        facts.push(owed.fact()?);
    }
    facts.push(Fact::Headquarters(name(&file.headquarters)?));
    Policy::default().check(&facts).map_err(FoundingError::Sense)?;
    Ok(facts)
}

fn word<T: Copy + Display>(all: &[T], text: &str) -> Result<T, FoundingError> {
    all.iter().copied().find(|word| word.to_string() == text).ok_or_else(|| {
        let all: Vec<_> = all.iter().map(ToString::to_string).collect();
        FoundingError::Sense(format!("{text:?} is none of {}", all.join(", ")))
    })
}

fn within(text: Option<&String>) -> Result<Option<Within>, FoundingError> {
    text.map(|text| text.parse().map_err(FoundingError::Sense)).transpose()
}

fn name(text: &str) -> Result<Name, FoundingError> {
    text.parse().map_err(|error| FoundingError::Sense(format!("{error}")))
}

fn names(list: &[String]) -> Result<BTreeSet<Name>, FoundingError> {
    list.iter().map(|text| name(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "institutions = ['a']\nheadquarters = 'one'\n\
        [[office]]\nname = 'one'\ninstitution = 'a'\n\
        [[stream]]\nname = 's'\npublishers = ['one']\nsubscribers = ['one']\n";

    #[test]
    fn facts_come_in_the_order_in_which_each_follows_from_those_before() {
        let facts = parse(SMALL).unwrap();
        assert_eq!(facts.len(), 4);
        assert!(matches!(facts[0], Fact::Institution(_)));
        assert!(matches!(facts[3], Fact::Headquarters(_)));
    }

    #[test]
    fn deadlines_are_said_by_class_and_priority() {
        let text = format!(
            "{SMALL}[[deadlines]]\nclass = 'alert'\npriority = 'urgent'\nreceive = '5min'\nact = '24h'\n"
        );
        let seconds = |seconds| Within::from_seconds(seconds).ok();
        let deadlines = Deadlines { receive: seconds(300), read: None, act: seconds(86_400) };
        let (class, priority) = (MessageClass::Alert, Priority::Urgent);
        assert_eq!(parse(&text).unwrap()[3], Fact::Deadlines { class, priority, deadlines });
        for (from, to, said) in [
            ("'urgent'", "'soon'", "none of urgent, normal, low"),
            ("'5min'", "'5'", "a unit expected"),
            ("'5min'", "'25h'", "as long at least"),
        ] {
            let error = parse(&text.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(said), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn obligations_say_who_owes_what() {
        let owed = "[[obligation]]\nname = 'analyses'\ninstitution = 'a'\nclass = 'packet'\nstream = 's'\nmonthly = 5\n";
        let text = format!("{SMALL}{owed}");
        let parsed = parse(&text).unwrap();
        let Fact::Obligation(of) = &parsed[3] else { panic!("{parsed:?}") };
        assert_eq!((of.name.as_str(), of.duty), ("analyses", Duty::Monthly { grace_days: 5 }));
        for (from, to, said) in [
            ("institution = 'a'\nclass", "class", "say who owes it"),
            ("monthly = 5", "monthly = 5\nfollow_up = '60d'", "say what is owed"),
            ("monthly = 5", "monthly = 29", "0 to 28 days of grace"),
            ("institution = 'a'\nclass", "institution = 'b'\nclass", "institution b is not"),
            ("stream = 's'", "stream = 't'", "there is no stream t"),
        ] {
            let error = parse(&text.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(said), "{from} -> {to}: {error}");
        }
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        for (from, to, said) in [
            ("['a']", "['b']", "institution a is not in the directory"),
            ("headquarters = 'one'", "headquarters = 'two'", "headquarters two is not an office"),
            ("publishers = ['one']", "publishers = ['two']", "office two"),
            ("['a']", "['a', 'a']", "institution a is there already"),
            ("name = 's'", "name = 'S'", "not a name"),
            ("name = 's'", "nom = 's'", "unknown field `nom`"),
        ] {
            let error = parse(&SMALL.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(said), "{from} -> {to}: {error}");
        }
    }
}
