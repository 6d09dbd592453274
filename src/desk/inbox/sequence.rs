//! The numbers by which each sending desk counts its messages for this office, and which of them are missing.
//!
//! Owns `sequence` beside the messages. A number is missing from the moment a later one is here; what another desk of this
//! office has taken is missing here too, so it is told and nothing is concluded from it.
//! At a crash: a message whose number was not noted comes again, for it was not acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use crate::desk::record::{Record, RecordKind};
use crate::model::envelope::Envelope;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Identity, Name};

pub(super) const FILE: &str = "sequence";
/// Numbers of one desk that may be missing here: beyond that the oldest are forgotten.
const MISSING_MAX: usize = 1_024;

/// A number that has not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The desk that gave it.
    pub desk: Desk,
    /// The number.
    pub number: u64,
    /// Since when a later one is here, by this desk's clock.
    pub since: UnixMicros,
}

/// What came, by sending desk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sequence {
    desks: BTreeMap<String, Numbers>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Numbers {
    /// The largest that came.
    last: u64,
    /// Those below it that did not, and since when that is known.
    missing: BTreeMap<u64, u64>,
}

impl Sequence {
    /// Takes in a message; `false`: nothing is new.
    pub(super) fn take(&mut self, own: &Name, envelope: &Envelope, now: UnixMicros) -> bool {
        let before = self.clone();
        let numbers = self.desks.entry(envelope.sender.to_string()).or_default();
        if let Some(here) = envelope.recipients.iter().find(|it| it.office == *own) {
            // What a desk sent before this home was there is not missing.
            let from = if numbers.last == 0 { here.number } else { numbers.last + 1 };
            let newer = from.max(here.number.saturating_sub(MISSING_MAX as u64));
            numbers.missing.extend((newer..here.number).map(|number| (number, now.0)));
            numbers.missing.remove(&here.number);
            numbers.last = numbers.last.max(here.number);
        }
        let voided: BTreeSet<u64> =
            envelope.voided.iter().filter(|it| it.office == *own).map(|it| it.number).collect();
        numbers.missing.retain(|number, _| !voided.contains(number));
        while numbers.missing.len() > MISSING_MAX {
            numbers.missing.pop_first();
        }
        *self != before
    }

    /// What is missing.
    pub(super) fn missing(&self) -> Vec<Missing> {
        let each = |(desk, numbers): (&String, &Numbers)| {
            let Ok(Identity::Desk(desk)) = desk.parse() else { return Vec::new() };
            let missing = |(number, since): (&u64, &u64)| Missing {
                desk: desk.clone(),
                number: *number,
                since: UnixMicros(*since),
            };
            numbers.missing.iter().map(missing).collect()
        };
        self.desks.iter().flat_map(each).collect()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SequenceBody {
    #[prost(message, repeated, tag = "1")]
    desks: Vec<NumbersBody>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct NumbersBody {
    #[prost(string, tag = "1")]
    desk: String,
    #[prost(uint64, tag = "2")]
    last: u64,
    #[prost(btree_map = "uint64, uint64", tag = "3")]
    missing: BTreeMap<u64, u64>,
}

impl Record for SequenceBody {
    const KIND: RecordKind = RecordKind::Sequence;
}

impl From<&Sequence> for SequenceBody {
    fn from(sequence: &Sequence) -> Self {
        let body = |(desk, it): (&String, &Numbers)| NumbersBody {
            desk: desk.clone(),
            last: it.last,
            missing: it.missing.clone(),
        };
        Self { desks: sequence.desks.iter().map(body).collect() }
    }
}

impl From<SequenceBody> for Sequence {
    fn from(body: SequenceBody) -> Self {
        let numbers = |it: NumbersBody| (it.desk, Numbers { last: it.last, missing: it.missing });
        Self { desks: body.desks.into_iter().map(numbers).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::sample::{NOW, envelope};
    use crate::model::envelope::Voided;

    #[test]
    fn a_number_is_missing_until_it_comes_or_is_voided_and_earlier_ones_never_are() {
        let own: Name = "ohchr-honduras".parse().unwrap();
        let mut sequence = Sequence::default();
        let numbered = |number, voided: &[u64]| {
            let mut envelope = envelope(1, "iachr", "ohchr-honduras", b"x");
            envelope.recipients[0].number = number;
            let voided = voided.iter().map(|number| Voided { office: own.clone(), number: *number });
            envelope.voided = voided.collect();
            envelope
        };
        let missing =
            |sequence: &Sequence| -> Vec<u64> { sequence.missing().iter().map(|it| it.number).collect() };
        // This home begins with the fifth.
        assert!(sequence.take(&own, &numbered(5, &[]), NOW));
        assert_eq!(missing(&sequence), [0_u64; 0]);
        sequence.take(&own, &numbered(9, &[]), NOW);
        assert_eq!(missing(&sequence), [6, 7, 8]);
        sequence.take(&own, &numbered(7, &[]), NOW);
        assert!(!sequence.take(&own, &numbered(7, &[]), NOW), "it came before");
        sequence.take(&own, &numbered(10, &[6]), NOW);
        assert_eq!(missing(&sequence), [8]);
        let read: Sequence = SequenceBody::from(&sequence).into();
        assert_eq!(read, sequence);
        // A jump beyond all bounds takes no more room than that.
        sequence.take(&own, &numbered(u64::MAX, &[]), NOW);
        assert!(missing(&sequence).len() <= MISSING_MAX);
    }
}
