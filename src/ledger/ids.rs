//! Which message ids were used, by which office, at which index: for ever, so that a repetition gets its first answer.
//!
//! Owns the sorted pages in the store and the newest ids in memory. Most ids are new and greater than all before
//! (UUIDs of version 7 begin with the time), so most questions are answered without reading a page.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::{Buf, BufMut, Bytes};

use super::keys;
use super::store::{Direction, RowBatch};
use super::table::Table;
use super::{LedgerError, SMALL};
use crate::model::envelope::MessageId;
use crate::model::id::Index;
use crate::model::policy::OfficeNumber;

/// An id of an office's message. Ids of different offices may be the same.
pub(super) type IdKey = (MessageId, OfficeNumber);

/// Bytes of one id in a page: id, office, index.
const ENTRY_BYTES: usize = 16 + 2 + 8;
/// Ids in a page at most: it then fits a row.
const PAGE_IDS_MAX: usize = if SMALL { 16 } else { 128 };
/// Ids that stay in memory: some 3 MB; at 45,000 messages a second the last second and a half.
const KEPT_IDS_MAX: usize = if SMALL { 300 } else { 65_536 };

/// The ids that are in memory: all that are not in pages yet, and the greatest of the others.
#[derive(Debug, Default)]
pub(super) struct Ids {
    known: BTreeMap<IdKey, Index>,
    /// Every id in the pages that is not smaller is also in `known`; `None`: every id is.
    floor: Option<IdKey>,
    /// Those of `known` that are not in pages yet.
    pending: Vec<(IdKey, Index)>,
}

impl Ids {
    /// Reads the last page: what is greater than its first id is then answered from memory.
    pub(super) fn load(table: &Table) -> Result<Self, LedgerError> {
        let (from, to) = keys::all_ids();
        let Some((key, value)) = table.last(&from, &to)? else { return Ok(Self::default()) };
        let known: BTreeMap<_, _> = decode(&key, &value)?.into_iter().collect();
        let floor = known.first_key_value().map(|(id, _)| *id);
        Ok(Self { known, floor, pending: Vec::new() })
    }

    /// Takes in a new id.
    pub(super) fn insert(&mut self, id: IdKey, index: Index) {
        self.known.insert(id, index);
        self.pending.push((id, index));
    }

    /// The index of an office's message, as far as memory knows.
    pub(super) fn index(&self, id: IdKey) -> Option<Index> {
        self.known.get(&id).copied()
    }

    /// The offices that used an id, and where, as far as memory knows.
    pub(super) fn of(&self, id: MessageId) -> impl Iterator<Item = (OfficeNumber, Index)> {
        self.known.range(bounds(id)).map(|((_, office), index)| (*office, *index))
    }

    /// Tells whether pages may hold more of an id than memory does.
    pub(super) fn may_be_in_pages(&self, id: MessageId) -> bool {
        self.floor.is_some_and(|(floor, _)| id <= floor)
    }

    /// Writes what is pending into pages.
    pub(super) fn write(&self, table: &Table, rows: &mut RowBatch) -> Result<(), LedgerError> {
        let mut pending = self.pending.clone();
        pending.sort_unstable();
        let mut rest = pending.as_slice();
        while let Some((first, _)) = rest.first() {
            let page = Page::holding(table, *first)?;
            let count = rest.partition_point(|(id, _)| page.end.is_none_or(|end| *id < end));
            let (its, others) = rest.split_at(count);
            page.put(its, rows);
            rest = others;
        }
        Ok(())
    }

    /// Forgets what is pending, once it is staged in pages, and all but the greatest ids.
    pub(super) fn written(&mut self) {
        self.pending.clear();
        if let Some(floor) = self.floor {
            // Below the floor memory knew only what was pending.
            self.known = self.known.split_off(&floor);
        }
        let surplus = self.known.len().saturating_sub(KEPT_IDS_MAX);
        if let Some((floor, _)) = self.known.iter().nth(surplus).filter(|_| surplus > 0) {
            let floor = *floor;
            self.known = self.known.split_off(&floor);
            self.floor = Some(floor);
        }
    }
}

/// Finds in the pages the offices that used an id, and where.
pub(super) fn in_pages(table: &Table, id: MessageId) -> Result<Vec<(OfficeNumber, Index)>, LedgerError> {
    let mut found = Vec::new();
    let (from, _) = keys::all_ids();
    let to = keys::after(&keys::ids((id, OfficeNumber(u16::MAX))));
    let mut damaged = None;
    // The same id of many offices may fill several pages; the one before them may hold it too.
    table.scan(&from, &to, Direction::Descending, &mut |key, value| match decode(key, value) {
        Ok(page) => {
            let begins_below = page.first().is_none_or(|(first, _)| first.0 < id);
            found.extend(page.into_iter().filter(|((it, _), _)| *it == id).map(|((_, by), at)| (by, at)));
            if begins_below { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
        Err(error) => {
            damaged = Some(error);
            ControlFlow::Break(())
        }
    })?;
    found.sort_unstable();
    damaged.map_or(Ok(found), Err)
}

/// A page, and where the next one begins.
struct Page {
    ids: Vec<(IdKey, Index)>,
    end: Option<IdKey>,
}

impl Page {
    /// Reads the page that an id belongs to.
    fn holding(table: &Table, id: IdKey) -> Result<Self, LedgerError> {
        let (from, to) = keys::all_ids();
        let beyond = keys::after(&keys::ids(id));
        let read = |found: Option<(Bytes, Bytes)>| found.map(|(key, value)| decode(&key, &value)).transpose();
        let begins = |page: &Vec<(IdKey, Index)>| page.first().map(|(id, _)| *id);
        let after = read(table.first(&beyond, &to)?)?;
        let before = read(table.last(&from, &beyond)?)?;
        Ok(match (before, after) {
            (Some(ids), after) => Self { ids, end: after.as_ref().and_then(begins) },
            // Smaller than all: a page of its own, before the first.
            (None, after) => Self { ids: Vec::new(), end: after.as_ref().and_then(begins) },
        })
    }

    /// Puts ids into the page, and writes it, or what it falls into.
    fn put(self, ids: &[(IdKey, Index)], rows: &mut RowBatch) {
        let appended = self.ids.last().is_none_or(|(last, _)| ids.first().is_some_and(|(id, _)| id > last));
        let mut all = self.ids;
        all.extend_from_slice(ids);
        all.sort_unstable();
        // Ids that go on in ascending order leave full pages behind; others leave room for more.
        let pages = all.len().div_ceil(PAGE_IDS_MAX);
        let size = if appended { PAGE_IDS_MAX } else { all.len().div_ceil(pages) };
        for page in all.chunks(size) {
            let mut value = Vec::with_capacity(page.len() * ENTRY_BYTES);
            for ((id, office), index) in page {
                value.put_slice(id.as_bytes());
                value.put_u16(office.0);
                value.put_u64(index.0);
            }
            rows.insert(keys::ids(page[0].0).into(), Some(value.into()));
        }
    }
}

fn bounds(id: MessageId) -> std::ops::RangeInclusive<IdKey> {
    (id, OfficeNumber(0))..=(id, OfficeNumber(u16::MAX))
}

fn decode(key: &[u8], value: &[u8]) -> Result<Vec<(IdKey, Index)>, LedgerError> {
    let damaged = || LedgerError::row(key, "not a page of ids");
    if value.is_empty() || !value.len().is_multiple_of(ENTRY_BYTES) {
        return Err(damaged());
    }
    let entries = value.chunks_exact(ENTRY_BYTES).map(|entry| {
        let (id, mut rest) = entry.split_at(16);
        let id = MessageId::from_slice(id).ok_or_else(damaged)?;
        Ok(((id, OfficeNumber(rest.get_u16())), Index(rest.get_u64())))
    });
    entries.collect()
}
