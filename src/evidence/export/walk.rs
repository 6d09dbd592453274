//! The directory as it stands while the journal goes by, entry after entry.
//!
//! Owns two places in it: at the entry, and so long before that nothing of that time is on its way any more. Never keeps a version
//! for each entry: a year has millions, and the two only go on.

use std::sync::Arc;

use crate::evidence::directory::places;
use crate::evidence::file::Entry;
use crate::model::amendment::SignedEntry;
use crate::model::id::{Index, UnixMicros};
use crate::model::policy::Policy;
use crate::model::refusal::{Reason, Refusal};

/// A directory that goes on with the journal. Places and times that are asked for never go back.
pub(super) struct Walk<'a> {
    entries: &'a [Entry],
    /// The same, read.
    signed: &'a [Arc<SignedEntry>],
    now: Policy,
    before: Policy,
}

impl<'a> Walk<'a> {
    /// Begins before the founding. `signed` is what stands in `entries`, all of which counts.
    pub(super) fn new(entries: &'a [Entry], signed: &'a [Arc<SignedEntry>]) -> Self {
        Self { entries, signed, now: Policy::default(), before: Policy::default() }
    }

    /// The directory at an entry.
    pub(super) fn at(&mut self, place: (Index, UnixMicros)) -> &Policy {
        let [now, _] = places(self.entries, place);
        go(&mut self.now, &self.signed[..now]);
        &self.now
    }

    /// Checks something by the keys that counted when an entry was put in the journal: as for evidence, those count still that were
    /// replaced a moment before.
    ///
    /// # Errors
    /// The refusal of the directory at the entry.
    pub(super) fn check(
        &mut self,
        place: (Index, UnixMicros),
        holds: impl Fn(&Policy) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let [now, before] = places(self.entries, place);
        match holds(self.at(place)) {
            Err(refusal) if refusal.reason == Reason::DirectoryStale && (1..now).contains(&before) => {
                go(&mut self.before, &self.signed[..before]);
                holds(&self.before)
            }
            checked => checked,
        }
    }
}

/// Has a directory go on to a version.
fn go(policy: &mut Policy, signed: &[Arc<SignedEntry>]) {
    let there = policy.entries().len();
    for entry in signed.get(there..).unwrap_or_default() {
        policy.amend(entry).expect("the directory was followed whole before");
    }
}
