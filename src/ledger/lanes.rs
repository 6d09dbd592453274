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
use super::rows::{FollowUp, MessageRow};
use super::store::{Direction, RowBatch};
use super::table::Table;
use crate::model::deadline::Within;
use crate::model::envelope::CapStatus;
use crate::model::id::{Index, UnixMicros};
use crate::model::obligation::ObligationNumber;
use crate::model::policy::OfficeNumber;
use crate::model::receipt::Stage;

/// Which lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    /// Whose.
    pub(super) office: OfficeNumber,
    /// What is asked.
    pub(super) asked: Asked,
    /// What waits in it.
    pub(super) kind: Kind,
}

/// What is asked of an office about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// To reach a stage.
    Stage(Stage),
    /// To answer it, or to act, as an obligation says.
    FollowUp(ObligationNumber),
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
    pub(super) fn missed(office: OfficeNumber, asked: Asked, message: &MessageRow) -> Self {
        Self { office, asked, kind: Kind::Missed { real: message.status == CapStatus::Actual } }
    }
}

/// All lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    sets: BTreeMap<Lane, Waiting>,
}

/// What waits in a lane. An empty lane stays until the checkpoint: most are filled again by the next message.
#[derive(Debug, Default)]
struct Waiting {
    indexes: RoaringTreemap,
    /// Chunks that changed since the checkpoint.
    changed: BTreeSet<u64>,
    /// The last of them to change: neighbours mostly follow each other.
    last_changed: Option<u64>,
}

impl Waiting {
    fn change(&mut self, index: Index) {
        let chunk = index.0 >> CHUNK_BITS;
        if self.last_changed.replace(chunk) != Some(chunk) {
            self.changed.insert(chunk);
        }
    }
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
        let (office, asked, seconds, chunk) = keys::due_place(key).ok_or("a key of no lane")?;
        let lane = Lane { office, asked, kind: Kind::from_number(seconds)? };
        let waiting = self.sets.entry(lane).or_default();
        decode_chunk(&mut value, chunk, &mut waiting.indexes)?;
        if value.is_empty() { Ok(()) } else { Err("bytes that are too many".into()) }
    }

    /// Writes what changed since the checkpoint: a row a chunk, or none where nothing is in it.
    pub(super) fn write(&self, rows: &mut RowBatch) {
        for (lane, waiting) in &self.sets {
            for chunk in &waiting.changed {
                let mut value = Vec::new();
                let empty = encode_chunk(&waiting.indexes, *chunk, &mut value);
                let key = keys::due(lane.office, lane.asked, lane.kind.number(), *chunk);
                rows.insert(key.into(), (!empty).then(|| value.into()));
            }
        }
    }

    /// Forgets what changed: it is written.
    pub(super) fn written(&mut self) {
        self.sets.retain(|_, waiting| !waiting.indexes.is_empty());
        for waiting in self.sets.values_mut() {
            waiting.changed.clear();
            waiting.last_changed = None;
        }
    }

    /// Has each recipient's deadlines of an accepted message begin.
    pub(super) fn begin(&mut self, message: &MessageRow) {
        for (stage, within) in message.deadlines.each() {
            for office in &message.recipients {
                let (office, asked) = (*office, Asked::Stage(stage));
                self.insert(Lane { office, asked, kind: Kind::Within(within) }, message.index);
            }
        }
        for FollowUp { obligation, within, offices } in &message.follow_ups {
            for office in offices {
                let (office, asked) = (*office, Asked::FollowUp(*obligation));
                self.insert(Lane { office, asked, kind: Kind::Within(*within) }, message.index);
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
        if stage == Stage::Acted {
            self.answered(office, message);
        }
        for (asked, within) in message.deadlines.each().filter(|(asked, _)| *asked <= stage) {
            let asked = Asked::Stage(asked);
            self.remove(Lane::missed(office, asked, message), message.index);
            if at.is_none_or(|at| at <= within.after(message.accepted)) {
                self.remove(Lane { office, asked, kind: Kind::Within(within) }, message.index);
            }
        }
    }

    /// Takes in that an office gave the answers that obligations ask for. One that comes late, but before the hub has said
    /// so, is taken as it is.
    pub(super) fn answered(&mut self, office: OfficeNumber, message: &MessageRow) {
        for FollowUp { obligation, within, .. } in &message.follow_ups {
            let asked = Asked::FollowUp(*obligation);
            self.remove(Lane::missed(office, asked, message), message.index);
            self.remove(Lane { office, asked, kind: Kind::Within(*within) }, message.index);
        }
    }

    /// Tells whether anybody still owes an answer to a message.
    pub(super) fn is_answered(&self, message: &MessageRow) -> bool {
        !message.follow_ups.iter().any(|it| {
            it.offices.iter().any(|office| {
                let (office, asked) = (*office, Asked::FollowUp(it.obligation));
                let due = Lane { office, asked, kind: Kind::Within(it.within) };
                [due, Lane::missed(office, asked, message)]
                    .into_iter()
                    .any(|lane| self.contains(lane, message.index))
            })
        })
    }

    /// The lanes of answers that obligations ask for, from one on.
    pub(super) fn follow_ups(&self, from: Option<Lane>) -> impl Iterator<Item = Lane> {
        let lanes = self.filled().map(|(lane, _)| lane);
        let lanes = lanes.filter(|lane| matches!(lane.asked, Asked::FollowUp(_)));
        lanes.filter(move |lane| from.is_none_or(|from| *lane >= from))
    }

    /// Takes in that something was missed; `open`: it is not done yet.
    pub(super) fn miss(&mut self, lane: Lane, message: &MessageRow, open: bool) {
        self.remove(lane, message.index);
        if open {
            self.insert(Lane::missed(lane.office, lane.asked, message), message.index);
        }
    }

    /// Tells whether a message is in a lane.
    pub(super) fn contains(&self, lane: Lane, index: Index) -> bool {
        self.sets.get(&lane).is_some_and(|waiting| waiting.indexes.contains(index.0))
    }

    /// Tells whether nothing is asked of an office.
    pub(super) fn is_free(&self, office: OfficeNumber) -> bool {
        self.of(office).next().is_none()
    }

    /// The lanes of an office that hold anything.
    pub(super) fn of(&self, office: OfficeNumber) -> impl Iterator<Item = (Lane, &RoaringTreemap)> {
        let first = Lane { office, asked: Asked::Stage(Stage::Received), kind: Kind::Missed { real: false } };
        let of_office = self.sets.range(first..).take_while(move |(lane, _)| lane.office == office);
        filled(of_office)
    }

    fn filled(&self) -> impl Iterator<Item = (Lane, &RoaringTreemap)> {
        filled(self.sets.iter())
    }

    /// All lanes that hold anything, with their first index.
    pub(super) fn heads(&self) -> impl Iterator<Item = (Lane, Index)> {
        self.filled().filter_map(|(lane, indexes)| Some((lane, Index(indexes.min()?))))
    }

    /// The first indexes of a lane from one on, ascending.
    pub(super) fn some(&self, lane: Lane, from: Index, count_max: usize) -> Vec<Index> {
        let Some(waiting) = self.sets.get(&lane) else { return Vec::new() };
        let mut indexes = waiting.indexes.iter();
        indexes.advance_to(from.0);
        indexes.take(count_max).map(Index).collect()
    }

    fn insert(&mut self, lane: Lane, index: Index) {
        let waiting = self.sets.entry(lane).or_default();
        waiting.indexes.insert(index.0);
        waiting.change(index);
    }

    fn remove(&mut self, lane: Lane, index: Index) {
        if let Some(waiting) = self.sets.get_mut(&lane)
            && waiting.indexes.remove(index.0)
        {
            waiting.change(index);
        }
    }
}

fn filled<'a>(
    lanes: impl Iterator<Item = (&'a Lane, &'a Waiting)>,
) -> impl Iterator<Item = (Lane, &'a RoaringTreemap)> {
    let filled = lanes.filter(|(_, waiting)| !waiting.indexes.is_empty());
    filled.map(|(lane, waiting)| (*lane, &waiting.indexes))
}
