//! What falls due: sets of message indexes in lanes, one for each office, stage and time that it has.
//!
//! Owns the lanes. The hub's time only grows, so within a lane what is due is a prefix: the first index tells when. What
//! was missed and is still open has a lane of its own. Never knows a time of day; a message without deadlines is in none.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use roaring::RoaringTreemap;

use super::LedgerError;
use super::keys::{self, CHUNK_BITS};
use super::outstanding::{decode_chunk, encode_chunk};
use super::rows::MessageRow;
use super::store::{Direction, RowBatch};
use super::table::Table;
use crate::model::deadline::Within;
use crate::model::envelope::CapStatus;
use crate::model::id::{Index, UnixMicros};
use crate::model::policy::OfficeNumber;
use crate::model::receipt::Stage;

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    /// Whose.
    pub(super) office: OfficeNumber,
    /// What is asked.
    pub(super) stage: Stage,
    /// What waits in it.
    pub(super) kind: Kind,
}

/// What waits in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// What was missed and is still open; what is not real apart.
    Missed {
        /// Whether it is real.
        real: bool,
    },
    /// What the office has so long for.
    Within(Within),
}

impl Kind {
    /// Its number in a key: seconds, of which there are never 0 or as many as fit.
    fn number(self) -> u32 {
        match self {
            Self::Missed { real: true } => 0,
            Self::Missed { real: false } => u32::MAX,
            Self::Within(within) => within.seconds(),
        }
    }

    fn from_number(number: u32) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Missed { real: true }),
            u32::MAX => Ok(Self::Missed { real: false }),
            seconds => Within::from_seconds(seconds).map(Self::Within),
        }
    }
}

impl Lane {
    /// The lane of what was missed, for a message.
    pub(super) fn missed(office: OfficeNumber, stage: Stage, message: &MessageRow) -> Self {
        Self { office, stage, kind: Kind::Missed { real: message.status == CapStatus::Actual } }
    }
}

/// All lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    sets: BTreeMap<Lane, RoaringTreemap>,
    /// Chunks that changed since the checkpoint.
    changed: BTreeSet<(Lane, u64)>,
}

impl Lanes {
    /// Reads them.
    pub(super) fn load(table: &Table) -> Result<Self, LedgerError> {
        let mut lanes = Self::default();
        let mut damaged = None;
        let (from, to) = keys::all_due();
        table.scan(
            &from,
            &to,
            Direction::Ascending,
            &mut |key, value| match lanes.load_chunk(key, value) {
                Ok(()) => ControlFlow::Continue(()),
                Err(found) => {
                    damaged = Some(LedgerError::row(key, found));
                    ControlFlow::Break(())
                }
            },
        )?;
        damaged.map_or(Ok(lanes), Err)
    }

    fn load_chunk(&mut self, key: &[u8], mut value: &[u8]) -> Result<(), String> {
        let (office, stage, seconds, chunk) = keys::due_place(key).ok_or("a key of no lane")?;
        let lane = Lane { office, stage, kind: Kind::from_number(seconds)? };
        let set = self.sets.entry(lane).or_default();
        decode_chunk(&mut value, chunk, set)?;
        if value.is_empty() { Ok(()) } else { Err("bytes that are too many".into()) }
    }

    /// Writes what changed since the checkpoint: a row a chunk, or none where nothing is in it.
    pub(super) fn write(&self, rows: &mut RowBatch) {
        let nothing = RoaringTreemap::new();
        for (lane, chunk) in &self.changed {
            let mut value = Vec::new();
            let empty = encode_chunk(self.sets.get(lane).unwrap_or(&nothing), *chunk, &mut value);
            let key = keys::due(lane.office, lane.stage, lane.kind.number(), *chunk);
            rows.insert(key.into(), (!empty).then(|| value.into()));
        }
    }

    /// Forgets what changed: it is written.
    pub(super) fn written(&mut self) {
        self.changed.clear();
    }

    /// Has each recipient's deadlines of an accepted message begin.
    pub(super) fn begin(&mut self, message: &MessageRow) {
        for (stage, within) in message.deadlines.each() {
            for office in &message.recipients {
                self.insert(Lane { office: *office, stage, kind: Kind::Within(within) }, message.index);
            }
        }
    }

    /// Takes in that an office reached a stage, and with it those before, at a time; `None`: at a time that nobody may
    /// trust, which is in time. What was reached too late was missed all the same: it waits for the hub to say so.
    pub(super) fn reached(
        &mut self,
        office: OfficeNumber,
        stage: Stage,
        message: &MessageRow,
        at: Option<UnixMicros>,
    ) {
        for (asked, within) in message.deadlines.each().filter(|(asked, _)| *asked <= stage) {
            self.remove(Lane::missed(office, asked, message), message.index);
            if at.is_none_or(|at| at <= within.after(message.accepted)) {
                self.remove(Lane { office, stage: asked, kind: Kind::Within(within) }, message.index);
            }
        }
    }

    /// Takes in that something was missed; `open`: it is not done yet.
    pub(super) fn miss(&mut self, lane: Lane, message: &MessageRow, open: bool) {
        self.remove(lane, message.index);
        if open {
            self.insert(Lane::missed(lane.office, lane.stage, message), message.index);
        }
    }

    /// Tells whether a message is in a lane.
    pub(super) fn contains(&self, lane: Lane, index: Index) -> bool {
        self.sets.get(&lane).is_some_and(|set| set.contains(index.0))
    }

    /// Tells whether nothing is asked of an office.
    pub(super) fn is_free(&self, office: OfficeNumber) -> bool {
        self.of(office).next().is_none()
    }

    /// The lanes of an office that hold anything.
    pub(super) fn of(&self, office: OfficeNumber) -> impl Iterator<Item = (Lane, &RoaringTreemap)> {
        let first = Lane { office, stage: Stage::Received, kind: Kind::Missed { real: false } };
        let sets = self.sets.range(first..).take_while(move |(lane, _)| lane.office == office);
        sets.map(|(lane, set)| (*lane, set))
    }

    /// All lanes that hold anything, with their first index.
    pub(super) fn heads(&self) -> impl Iterator<Item = (Lane, Index)> {
        self.sets.iter().filter_map(|(lane, set)| Some((*lane, Index(set.min()?))))
    }

    /// The first indexes of a lane from one on, ascending.
    pub(super) fn some(&self, lane: Lane, from: Index, count_max: usize) -> Vec<Index> {
        let Some(set) = self.sets.get(&lane) else { return Vec::new() };
        let mut indexes = set.iter();
        indexes.advance_to(from.0);
        indexes.take(count_max).map(Index).collect()
    }

    fn insert(&mut self, lane: Lane, index: Index) {
        self.sets.entry(lane).or_default().insert(index.0);
        self.changed.insert((lane, index.0 >> CHUNK_BITS));
    }

    fn remove(&mut self, lane: Lane, index: Index) {
        let Some(set) = self.sets.get_mut(&lane) else { return };
        if set.remove(index.0) {
            self.changed.insert((lane, index.0 >> CHUNK_BITS));
            if set.is_empty() {
                self.sets.remove(&lane);
            }
        }
    }
}
