//! The words in which evidence is told, in each language of the two institutions.
//!
//! Owns that a sentence is there in all of them: one that is missing does not compile. `{0}` and so on stand for what is filled in.

use crate::model::envelope::{CapStatus, MessageClass, Priority};
use crate::model::receipt::{Action, Stage};

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Language {
    /// English.
    #[default]
    En,
    /// Spanish.
    Es,
    /// French.
    Fr,
    /// Portuguese.
    Pt,
}

/// The sentences of one language.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    /// Its tag, for the page.
    pub(super) tag: &'static str,
    pub(super) title: &'static str,
    pub(super) proved: &'static str,
    pub(super) unwitnessed: &'static str,
    pub(super) not_real: &'static str,
    pub(super) times: &'static str,
    pub(super) is_proved: &'static str,
    pub(super) published: &'static str,
    pub(super) described: &'static str,
    pub(super) accepted: &'static str,
    pub(super) content: &'static str,
    pub(super) files: &'static str,
    pub(super) not_before: &'static str,
    pub(super) no_not_before: &'static str,
    pub(super) not_after: &'static str,
    pub(super) no_not_after: &'static str,
    pub(super) recipients: &'static str,
    pub(super) nothing: &'static str,
    pub(super) stated: &'static str,
    pub(super) later: &'static str,
    pub(super) reason: &'static str,
    pub(super) officer: &'static str,
    pub(super) said: &'static str,
    pub(super) missed: &'static str,
    pub(super) missed_answer: &'static str,
    pub(super) erased_order: &'static str,
    pub(super) erased_time: &'static str,
    pub(super) witnesses: &'static str,
    pub(super) witness: &'static str,
    pub(super) counted: &'static str,
    pub(super) missing: &'static str,
    pub(super) journal: &'static str,
    pub(super) directory: &'static str,
    pub(super) trusted: &'static str,
    pub(super) is_not_proved: &'static str,
    pub(super) not_understood: &'static str,
    pub(super) not_all: &'static str,
    pub(super) not_content: &'static str,
    pub(super) not_times: &'static str,
    pub(super) not_missed: &'static str,
    pub(super) not_directory: &'static str,
    pub(super) not_officer: &'static str,
    pub(super) not_named: &'static str,
    pub(super) drawing: &'static str,
    pub(super) lane_published: &'static str,
    pub(super) lane_missed: &'static str,
    pub(super) lane_witnessed: &'static str,
    pub(super) lane_erased: &'static str,
    /// Received, read, acted, declined, unreadable, erased.
    pub(super) stages: [&'static str; 6],
    /// In the order of their numbers.
    pub(super) actions: [&'static str; 7],
    /// Alert, packet, statement, resealing.
    pub(super) classes: [&'static str; 4],
    /// Urgent, normal, low.
    pub(super) priorities: [&'static str; 3],
    /// Actual, exercise, system, test, draft.
    pub(super) statuses: [&'static str; 5],
}

impl Language {
    /// Its words.
    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::En => &super::en::WORDS,
            Self::Es => &super::es::WORDS,
            Self::Fr => &super::fr::WORDS,
            Self::Pt => &super::pt::WORDS,
        }
    }
}

impl Words {
    /// What a stage means.
    pub(super) fn stage(&self, stage: Stage) -> &'static str {
        self.stages[stage as usize - 1]
    }

    /// What was done.
    pub(super) fn action(&self, action: Action) -> &'static str {
        self.actions[action as usize - 1]
    }

    /// What kind of thing it is.
    pub(super) fn class(&self, class: MessageClass) -> &'static str {
        self.classes[class as usize - 1]
    }

    /// How soon it must be seen.
    pub(super) fn priority(&self, priority: Priority) -> &'static str {
        self.priorities[priority as usize - 1]
    }

    /// Whether it is real.
    pub(super) fn status(&self, status: CapStatus) -> &'static str {
        self.statuses[status as usize - 1]
    }
}

/// Puts values into a sentence, in the places of their numbers.
pub(super) fn fill(sentence: &str, values: &[&str]) -> String {
    let mut filled = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        let (place, after) = after.split_once('}').unwrap_or((after, ""));
        filled.push_str(before);
        filled.push_str(place.parse::<usize>().ok().and_then(|it| values.get(it)).unwrap_or(&""));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{en, es, fr, pt};
    use super::*;

    fn sentences(shown: &str) -> Vec<String> {
        shown.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn places(sentence: &str) -> Vec<&str> {
        let mut places: Vec<_> = sentence.split('{').skip(1).filter_map(|it| it.split('}').next()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    #[test]
    fn each_language_fills_in_the_same_and_none_is_left_in_english() {
        let all = [&en::WORDS, &es::WORDS, &fr::WORDS, &pt::WORDS];
        each_says_the_same_as_the_first(&all.map(|it| format!("{it:?}")));
    }

    /// Compares what languages' words look like; English is the first.
    pub(in crate::cli::verify) fn each_says_the_same_as_the_first(all: &[String]) {
        let english = sentences(&all[0]);
        for words in &all[1..] {
            let other = sentences(words);
            assert_eq!(other.len(), english.len(), "no sentence has a quotation mark of its own");
            for (one, two) in english.iter().zip(&other) {
                assert_eq!(places(one), places(two), "{one} / {two}");
                assert!(one != two || one.len() < 12, "{one}");
            }
        }
    }

    #[test]
    fn what_is_filled_in_is_not_filled_in_again() {
        assert_eq!(fill("{1} of {0}.", &["{1}", "a"]), "a of {1}.");
    }
}
