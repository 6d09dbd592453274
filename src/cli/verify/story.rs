//! What evidence says, as sentences in a language: the same for a terminal and for a page.
//!
//! Owns which sentences stand in every form: whether it is witnessed, whether it is real, and what is not proved.

use super::words::{Words, fill};
use crate::cli::screen::{harmless, hex, utc_second};
use crate::evidence::{Logged, Proved, Statement};
use crate::model::envelope::CapStatus;
use crate::model::id::{DirectoryVersion, UnixMicros};
use crate::model::identity::Name;
use crate::proof::UnixSeconds;

/// An office's clock may be later than the hub's by so many microseconds, and nobody is told: one minute.
const CLOCKS_DIFFER_US: u64 = 60 * 1_000_000;

/// Evidence, told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Story {
    /// What it is about.
    pub(super) title: String,
    /// Whether it is witnessed.
    pub(super) verdict: String,
    /// That it is not real, where it is not.
    pub(super) warning: Option<String>,
    /// How its times are to be read. It stands with what it is about, for it proves nothing.
    pub(super) times: &'static str,
    /// Parts, each under a heading.
    pub(super) sections: Vec<Section>,
}

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// What it is about.
    pub(super) heading: String,
    /// Sentences; those under an office's name stand with it.
    pub(super) points: Vec<Point>,
}

/// A sentence, and those that belong under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// The sentence.
    pub(super) said: String,
    /// What belongs under it.
    pub(super) under: Vec<String>,
}

impl From<String> for Point {
    fn from(said: String) -> Self {
        Self { said, under: Vec::new() }
    }
}

/// Tells what a file proves.
pub(super) fn told(proved: &Proved, words: &Words) -> Story {
    let message = &proved.published.message;
    let real = message.status == CapStatus::Actual;
    let versions = [proved.directory_version, proved.directory_witnessed()];
    let sections = [
        (words.is_proved, about_message(proved, words)),
        (words.recipients, recipients(proved, words)),
        (words.witnesses, witnesses(&proved.journal, versions, &proved.founding, words)),
        (words.is_not_proved, not_proved(proved, words)),
    ];
    let section = |(heading, points): (&str, _)| Section { heading: heading.to_owned(), points };
    Story {
        title: fill(words.title, &[&message.id.to_string()]),
        verdict: if proved.is_witnessed() { words.proved } else { words.unwitnessed }.to_owned(),
        warning: (!real).then(|| fill(words.not_real, &[words.status(message.status)])),
        times: words.times,
        sections: sections.into_iter().map(section).collect(),
    }
}

fn about_message(proved: &Proved, words: &Words) -> Vec<Point> {
    let published = &proved.published;
    let message = &published.message;
    let (sender, institution) = (&published.sender, published.institution.as_str());
    let mut said = vec![
        fill(words.published, &[sender.office.as_str(), institution, sender.desk.as_str()]),
        fill(
            words.described,
            &[
                words.class(message.class),
                words.priority(message.priority),
                words.status(message.status),
                message.stream.as_str(),
            ],
        ),
        fill(words.accepted, &[&at(published.recorded), &at(message.sent)]),
        fill(words.content, &[&message.payload_bytes.to_string(), &hex(&message.payload_digest)]),
    ];
    if !message.files.is_empty() {
        let files: Vec<_> = message.files.iter().map(|it| it.digest.to_string()).collect();
        said.push(fill(words.files, &[&files.join(", ")]));
    }
    said.push(match &published.not_before {
        Some(key) => fill(words.not_before, &[key.office.as_str(), &at(key.recorded), &at(key.made)]),
        None => words.no_not_before.to_owned(),
    });
    said.push(match proved.not_after() {
        Some(time) => fill(words.not_after, &[&at_second(time)]),
        None => words.no_not_after.to_owned(),
    });
    for it in &proved.erased {
        let recorded = at(it.recorded);
        said.push(match &it.ordered {
            Some(order) => fill(words.erased_order, &[&order.by, &recorded, &harmless(&order.reason)]),
            None => fill(words.erased_time, &[&recorded]),
        });
    }
    said.into_iter().map(Point::from).collect()
}

fn recipients(proved: &Proved, words: &Words) -> Vec<Point> {
    let recipients = proved.published.recipients.iter().map(|recipient| {
        let mut under: Vec<_> = proved.first_of(&recipient.office).flat_map(|it| stated(it, words)).collect();
        under.extend(missed(proved, &recipient.office, words));
        if under.is_empty() {
            under.push(words.nothing.to_owned());
        }
        Point { said: format!("{} ({})", recipient.office, recipient.institution), under }
    });
    recipients.collect()
}

fn stated(it: &Statement, words: &Words) -> Vec<String> {
    let stage = match it.action {
        Some(action) => format!("{}: {}", words.stage(it.stage), words.action(action)),
        None => words.stage(it.stage).to_owned(),
    };
    let desk = it.desk.desk.as_str();
    let mut said = vec![fill(words.stated, &[&stage, &at(it.recorded), &at(it.at), desk])];
    // Clocks differ by some seconds; more is to be asked about, for a time can be put back to keep a deadline.
    let later_us = it.at.0.saturating_sub(it.recorded.0);
    if later_us > CLOCKS_DIFFER_US {
        said.push(fill(words.later, &[&(later_us / 1_000_000).to_string()]));
    }
    if !it.reason.is_empty() {
        said.push(fill(words.reason, &[&harmless(&it.reason)]));
    }
    if let Some(officer) = &it.officer {
        said.push(fill(words.officer, &[&harmless(&officer.name)]));
        if !officer.text.is_empty() {
            said.push(fill(words.said, &[&harmless(&officer.text)]));
        }
    }
    said
}

fn missed<'a>(proved: &'a Proved, office: &'a Name, words: &'a Words) -> impl Iterator<Item = String> + 'a {
    proved.missed.iter().filter(move |it| it.office == *office).map(|it| {
        let (due, recorded) = (at(it.due), at(it.recorded));
        if let Some(stage) = it.stage {
            return fill(words.missed, &[short(words.stage(stage)), &due, &recorded]);
        }
        let obligation = it.obligation.as_ref().map(Name::as_str).unwrap_or_default();
        fill(words.missed_answer, &[obligation, &due, &recorded])
    })
}

/// Who bears witness to a journal, and to how many of a directory's entries.
pub(super) fn witnesses(
    journal: &Logged,
    versions: [DirectoryVersion; 2],
    founding: &[u8; 32],
    words: &Words,
) -> Vec<Point> {
    let witnessed = &journal.witnessed;
    let counted = [witnessed.by.len(), witnessed.needed].map(|it| it.to_string());
    let mut points = vec![Point {
        said: fill(words.counted, &[&counted[0], &counted[1]]),
        under: witnessed
            .by
            .iter()
            .map(|it| fill(words.witness, &[&it.office, &it.institution, &at_second(it.at)]))
            .collect(),
    }];
    if !witnessed.missing.is_empty() {
        points.push(fill(words.missing, &[&witnessed.missing.join(", ")]).into());
    }
    let tree = &journal.tree;
    points.push(fill(words.journal, &[&tree.size.to_string(), &tree.root.to_string()]).into());
    let versions = versions.map(|it| it.0.to_string());
    points.push(fill(words.directory, &[&versions[0], &versions[1]]).into());
    points.push(fill(words.trusted, &[&hex(founding)]).into());
    points
}

fn not_proved(proved: &Proved, words: &Words) -> Vec<Point> {
    let persons = || proved.statements.iter().filter(|it| it.stage.is_persons());
    let mut said = vec![
        words.not_understood.to_owned(),
        words.not_all.to_owned(),
        words.not_content.to_owned(),
        words.not_times.to_owned(),
        fill(words.not_directory, &[&proved.directory_witnessed().0.to_string()]),
    ];
    if !proved.missed.is_empty() {
        said.push(words.not_missed.to_owned());
    }
    if persons().any(|it| it.officer.is_some()) {
        said.push(words.not_officer.to_owned());
    }
    if persons().any(|it| it.officer.is_none()) {
        said.push(words.not_named.to_owned());
    }
    said.into_iter().map(Point::from).collect()
}

/// The word before what explains it.
pub(super) fn short(explained: &str) -> &str {
    explained.split(':').next().unwrap_or(explained).trim_end()
}

/// A time, UTC.
pub(super) fn at(time: UnixMicros) -> String {
    utc_second(time)
}

/// A witness's time, UTC.
pub(super) fn at_second(time: UnixSeconds) -> String {
    utc_second(UnixMicros(time.seconds().saturating_mul(1_000_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::verify::words::Language;
    use crate::model::id::Index;
    use crate::model::identity::Desk;
    use crate::model::receipt::Stage;

    #[test]
    fn an_office_that_signed_later_than_the_hub_says_is_told_of_and_one_by_some_seconds_is_not() {
        let told = |later_us| {
            let recorded = UnixMicros(1_700_000_000_000_000);
            let statement = Statement {
                index: Index(7),
                recorded,
                desk: Desk { office: "iachr".parse().unwrap(), desk: "desk-1".parse().unwrap() },
                stage: Stage::Read,
                at: UnixMicros(recorded.0 + later_us),
                action: None,
                reason: String::new(),
                attended: true,
                officer: None,
            };
            stated(&statement, Language::En.words()).split_off(1)
        };
        assert!(told(60_000_000).is_empty());
        let later = told(3_600_000_000);
        assert!(later.len() == 1 && later[0].contains("was 3600 s later"), "{later:?}");
    }
}
