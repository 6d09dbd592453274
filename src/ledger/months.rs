//! What offices owe each month: the oldest month that is open, for each of them.
//!
//! Owns how a message counts for a month. Few and small: kept whole in memory, a row each, written as soon as it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use prost::Message;

use super::LedgerError;
use super::keys;
use super::store::{Direction, RowBatch};
use super::table::Table;
use crate::model::id::{Index, UnixMicros};
use crate::model::obligation::{Duty, Month, ObligationNumber};
use crate::model::policy::{OfficeNumber, Policy};

/// Which obligation of which office.
pub(super) type Owed = (ObligationNumber, OfficeNumber);

/// How far an office is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Months {
    /// The oldest month that was neither met nor missed.
    pub(super) oldest: Month,
    /// Later months that were met.
    met: BTreeSet<Month>,
    /// Months that were missed.
    pub(super) missed: u32,
    /// The last message that counted.
    pub(super) last: Option<Index>,
}

impl Months {
    fn from(oldest: Month) -> Self {
        Self { oldest, met: BTreeSet::new(), missed: 0, last: None }
    }

    /// The open months that fell due by a time, ascending.
    pub(super) fn due(&self, grace_days: u32, now: UnixMicros) -> impl Iterator<Item = Month> {
        let months = std::iter::successors(Some(self.oldest), |month| Some(month.next()));
        let due = months.take_while(move |month| month.due(grace_days) <= now);
        due.filter(|month| !self.met.contains(month))
    }

    fn go_on(&mut self) {
        while self.met.remove(&self.oldest) {
            self.oldest = self.oldest.next();
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct AllMonths(pub(super) BTreeMap<Owed, Months>);

impl AllMonths {
    /// Reads them.
    pub(super) fn load(table: &Table) -> Result<Self, LedgerError> {
        let mut all = BTreeMap::new();
        let mut damaged = None;
        let (from, to) = keys::all_months();
        table.scan(&from, &to, Direction::Ascending, &mut |key, value| {
            let read = keys::months_place(key).ok_or_else(|| "a key that is too short".to_owned());
            match read.and_then(|place| Ok((place, decode(value)?))) {
                Ok((place, months)) => {
                    all.insert(place, months);
                    ControlFlow::Continue(())
                }
                Err(found) => {
                    damaged = Some(LedgerError::row(key, found));
                    ControlFlow::Break(())
                }
            }
        })?;
        damaged.map_or(Ok(Self(all)), Err)
    }

    /// Adds what is owed from a policy on that was not before, from the next month on, and takes out what no longer is.
    pub(super) fn follow(&mut self, policy: &Policy, now: UnixMicros, changed: &mut BTreeSet<Owed>) {
        let mut owed = BTreeSet::new();
        for (number, obligation) in policy.obligations().iter() {
            if matches!(obligation.duty, Duty::Monthly { .. }) {
                let offices = policy.offices().filter(|(_, name, _)| obligation.is_owed_by(name, policy));
                owed.extend(offices.map(|(office, ..)| (number, office)));
            }
        }
        let gone: Vec<_> = self.0.keys().filter(|it| !owed.contains(it)).copied().collect();
        for it in gone {
            self.0.remove(&it);
            changed.insert(it);
        }
        for it in owed {
            if let std::collections::btree_map::Entry::Vacant(vacant) = self.0.entry(it) {
                vacant.insert(Months::from(Month::of(now).next()));
                changed.insert(it);
            }
        }
    }

    /// Has a message count for the oldest month that is open and not over; `false`: it counts for none.
    pub(super) fn publish(&mut self, owed: Owed, grace_days: u32, at: UnixMicros, message: Index) -> bool {
        let Some(months) = self.0.get_mut(&owed) else { return false };
        let now = Month::of(at);
        let before = Month(now.0.saturating_sub(1));
        let open = [before, now].into_iter().find(|month| {
            *month >= months.oldest && at <= month.due(grace_days) && !months.met.contains(month)
        });
        let Some(month) = open else { return false };
        months.met.insert(month);
        months.last = Some(message);
        months.go_on();
        true
    }

    /// Takes in that the oldest open month was missed; `false`: another one is the oldest.
    pub(super) fn miss(&mut self, owed: Owed, month: Month) -> bool {
        let Some(months) = self.0.get_mut(&owed).filter(|months| months.oldest == month) else {
            return false;
        };
        months.oldest = month.next();
        months.missed = months.missed.saturating_add(1);
        months.go_on();
        true
    }

    /// Makes rows of those that changed.
    pub(super) fn rows(&self, changed: &BTreeSet<Owed>) -> RowBatch {
        let row = |owed: &Owed| {
            let value = self.0.get(owed).map(|months| encode(months).into());
            (keys::months(owed.0, owed.1).into(), value)
        };
        changed.iter().map(row).collect()
    }
}

fn encode(months: &Months) -> Vec<u8> {
    let bytes = MonthsBytes {
        oldest: months.oldest.0,
        met: months.met.iter().map(|month| month.0).collect(),
        missed: months.missed,
        last: months.last.map(|index| index.0),
    };
    bytes.encode_to_vec()
}

fn decode(bytes: &[u8]) -> Result<Months, String> {
    let it = MonthsBytes::decode(bytes).map_err(|error| error.to_string())?;
    Ok(Months {
        oldest: Month(it.oldest),
        met: it.met.into_iter().map(Month).collect(),
        missed: it.missed,
        last: it.last.map(Index),
    })
}

#[derive(Clone, PartialEq, Message)]
struct MonthsBytes {
    #[prost(uint32, tag = "1")]
    oldest: u32,
    #[prost(uint32, repeated, tag = "2")]
    met: Vec<u32>,
    #[prost(uint32, tag = "3")]
    missed: u32,
    #[prost(uint64, optional, tag = "4")]
    last: Option<u64>,
}
