//! The words in which an export is told, in each language, beside those of evidence.
//!
//! Owns that a sentence is there in all of them: one that is missing does not compile.

use crate::cli::verify::words::Language;
use crate::model::envelope::MessageClass;

/// The sentences of one language.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli::verify) struct ExportWords {
    pub(super) title: &'static str,
    pub(super) whole: &'static str,
    pub(super) all_shown: &'static str,
    pub(super) some_hidden: &'static str,
    pub(super) recorded: &'static str,
    pub(super) not_after: &'static str,
    pub(super) published: &'static str,
    pub(super) none_published: &'static str,
    pub(super) came_to: &'static str,
    pub(super) others: &'static str,
    pub(super) messages: &'static str,
    pub(super) all_offices: &'static str,
    pub(super) for_it: &'static str,
    pub(super) times: &'static str,
    pub(super) deadlines: &'static str,
    pub(super) answers: &'static str,
    pub(super) beside: &'static str,
    pub(super) months: &'static str,
    pub(super) erasures: &'static str,
    pub(super) elsewhere: &'static str,
    pub(super) missed_elsewhere: &'static str,
    pub(super) covers: &'static str,
    pub(super) uncounted: &'static str,
    pub(super) entry: &'static str,
    pub(super) clock: &'static str,
    pub(super) not_hidden: &'static str,
    pub(super) not_outside: &'static str,
    /// Class, office, sent; then office, stage, stated, half within, nine in ten within, longest, missed.
    pub(super) sent_columns: [&'static str; 3],
    pub(super) columns: [&'static str; 7],
    /// Alerts, packets, statements, resealings.
    pub(super) classes: [&'static str; 4],
}

impl ExportWords {
    /// What kind of things they are.
    pub(super) fn class(&self, class: MessageClass) -> &'static str {
        self.classes[class as usize - 1]
    }
}

/// A language's words.
pub(in crate::cli::verify) fn of(language: Language) -> &'static ExportWords {
    match language {
        Language::En => &super::en::WORDS,
        Language::Es => &super::es::WORDS,
        Language::Fr => &super::fr::WORDS,
        Language::Pt => &super::pt::WORDS,
    }
}
