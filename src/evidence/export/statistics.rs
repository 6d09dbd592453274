//! What an export says in numbers: counts and times by class of message, by office and by stage.
//!
//! Owns their shape. Never has the name of a person, nor of a desk: an office is the smallest that is told apart.

use std::collections::BTreeMap;

use super::spread::Spread;
use crate::model::entry::EntryKind;
use crate::model::envelope::MessageClass;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::receipt::Stage;

/// Stages, in the order of their numbers.
pub const STAGES: usize = Stage::ALL.len();

/// All that is counted of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Entries that are shown, those of the directory too, by what they record.
    pub shown: BTreeMap<EntryKind, u64>,
    /// Entries that are there by their record alone.
    pub hidden: u64,
    /// When the first and the last that is shown were recorded.
    pub recorded: Option<(UnixMicros, UnixMicros)>,
    /// Of messages that are real.
    pub real: Counts,
    /// Of all others: exercises, tests, drafts, what is about the exchange itself.
    pub others: Counts,
    /// Entries that are shown and do not count: the journal has them as they were handed in.
    pub uncounted: Uncounted,
    /// What receipts cover that is not opened: messages that are not shown.
    pub covers_hidden: u64,
    /// Stages that were stated, by office, of messages which the file does not show: from before its first entry, or hidden.
    pub elsewhere: BTreeMap<(Name, Stage), u64>,
    /// Deadlines that the hub says offices missed, of such messages.
    pub missed_elsewhere: BTreeMap<Name, u64>,
    /// Months for which offices did not send in time what an obligation asks for, by the hub's word.
    pub months_missed: BTreeMap<Name, u64>,
    /// Messages whose erasure was ordered.
    pub erasures_ordered: u64,
}

/// What is counted of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages, by class and by the office that sent them.
    pub published: BTreeMap<(MessageClass, Name), u64>,
    /// What they came to, by class and by the office that they were for.
    pub offices: BTreeMap<(MessageClass, Name), OfOffice>,
}

/// What messages of a class came to at an office.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfOffice {
    /// Messages that were for it.
    pub messages: u64,
    /// From the hub's record of a message to its record of the first statement of each stage, in the order of the stages' numbers.
    pub stages: [Spread; STAGES],
    /// Deadlines that the hub says it missed, likewise: of `received`, `read` and `acted`.
    pub missed: [u64; STAGES],
    /// Answers that the hub says it did not give in time.
    pub answers_missed: u64,
}

/// Entries that are shown and do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// How many.
    pub count: u64,
    /// The first of them, and why.
    pub first: Vec<(Index, String)>,
}

impl Statistics {
    /// Entries that are shown.
    pub fn shown_count(&self) -> u64 {
        self.shown.values().sum()
    }
}

impl Counts {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.published.is_empty()
    }

    /// The classes of which there are messages, with how many.
    pub fn classes(&self) -> BTreeMap<MessageClass, u64> {
        let mut classes = BTreeMap::new();
        for ((class, _), count) in &self.published {
            *classes.entry(*class).or_default() += count;
        }
        classes
    }

    /// What the messages of a class came to at all offices together.
    pub fn of_class(&self, class: MessageClass) -> OfOffice {
        let mut all = OfOffice::default();
        for (_, one) in self.offices.iter().filter(|((of, _), _)| *of == class) {
            all.messages += one.messages;
            all.answers_missed += one.answers_missed;
            for (sum, stage) in all.stages.iter_mut().zip(&one.stages) {
                sum.add_all(stage);
            }
            for (sum, missed) in all.missed.iter_mut().zip(one.missed) {
                *sum += missed;
            }
        }
        all
    }
}

impl OfOffice {
    /// The times of a stage.
    pub fn stage(&self, stage: Stage) -> &Spread {
        &self.stages[stage as usize - 1]
    }

    /// Deadlines of a stage that were missed.
    pub fn missed(&self, stage: Stage) -> u64 {
        self.missed[stage as usize - 1]
    }
}
