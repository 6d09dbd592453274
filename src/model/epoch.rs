//! Epochs: what an index of the log is worth after a hub was restored from a backup.
//!
//! Owns which indexes still stand. A restore keeps the log up to an index and begins an epoch after it: what had stood at
//! later indexes is gone, and others come to stand there. So an index means one thing only together with its epoch.

use super::id::{Index, UnixMicros};

/// An epoch's name: random, so that two hubs restored from one backup are told apart; 0 for the first, which no restore began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochId(pub u64);

/// What an entry says that begins an epoch. Every field as `audit.proto` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its name.
    pub id: EpochId,
    /// How many epochs there are with it.
    pub number: u64,
    /// When the backup was made, by its hub's clock: what was accepted later may be missing.
    pub backup: UnixMicros,
}

/// An epoch of a log, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The epoch.
    pub epoch: Epoch,
    /// The index of the entry that begins it: the last one kept is before it.
    pub first: Index,
}

/// The epochs of a log, but for the first, which begins at 0. One more with each restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    begun: Vec<Begun>,
}

impl Epochs {
    /// Takes in one that begins after all others.
    pub fn begin(&mut self, begun: Begun) {
        self.begun.push(begun);
    }

    /// All but the first, in their order.
    pub fn begun(&self) -> &[Begun] {
        &self.begun
    }

    /// The epoch that an index of this log is of.
    pub fn of(&self, index: Index) -> EpochId {
        let after = self.begun.partition_point(|it| it.first <= index);
        after.checked_sub(1).map_or(EpochId::default(), |at| self.begun[at].epoch.id)
    }

    /// How many there are with the first: the present one's number.
    pub fn number(&self) -> u64 {
        self.begun.last().map_or(1, |it| it.epoch.number)
    }

    /// The present one.
    pub fn current(&self) -> EpochId {
        self.begun.last().map_or(EpochId::default(), |it| it.epoch.id)
    }

    /// Tells whether what once stood at an index, of an epoch, still stands there.
    pub fn hold(&self, index: Index, of: EpochId) -> bool {
        self.of(index) == of
    }
}

impl FromIterator<Begun> for Epochs {
    fn from_iter<I: IntoIterator<Item = Begun>>(begun: I) -> Self {
        Self { begun: begun.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(of: &[(u64, u64)]) -> Epochs {
        let begun = |(id, first): &(u64, u64)| Begun {
            epoch: Epoch { id: EpochId(*id), number: 0, backup: UnixMicros(0) },
            first: Index(*first),
        };
        of.iter().map(begun).collect()
    }

    #[test]
    fn what_was_kept_stands_and_what_came_after_the_backup_does_not() {
        let first = EpochId::default();
        assert!(epochs(&[]).hold(Index(1_000), first));
        let restored = epochs(&[(7, 100)]);
        assert!(restored.hold(Index(99), first));
        assert!(!restored.hold(Index(100), first), "another entry stands there now");
        assert!(restored.hold(Index(100), EpochId(7)));
        assert_eq!((restored.of(Index(99)), restored.current()), (first, EpochId(7)));
    }

    #[test]
    fn epoch_that_was_left_behind_stands_nowhere_and_who_slept_through_one_is_told_right() {
        // Restored at 100, from a backup of that at 150, and from the first backup once more.
        let (twice, sibling) = (epochs(&[(7, 100), (8, 150)]), epochs(&[(9, 100)]));
        assert!(twice.hold(Index(120), EpochId(7)) && !twice.hold(Index(150), EpochId(7)));
        assert!(!twice.hold(Index(120), EpochId::default()), "lost by the restore before the last");
        assert!(!sibling.hold(Index(120), EpochId(7)));
        assert!(sibling.hold(Index(50), EpochId::default()));
    }
}
