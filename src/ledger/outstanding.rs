//! What is open at an office: sets of indexes in memory, kept in the store a row a chunk.
//!
//! Owns the sets and the bytes of a chunk. A million indexes take some hundred kilobytes, in memory and in the store.

use std::ops::{ControlFlow, RangeInclusive};

use bytes::{Buf, BufMut};
use prost::encoding::{decode_varint, encode_varint};
use roaring::{RoaringBitmap, RoaringTreemap};

use super::LedgerError;
use super::keys::{self, CHUNK_BITS};
use super::store::{Direction, RowBatch};
use super::table::Table;
use super::view::{Backlog, Lane, OwedCount};
use crate::model::id::Index;
use crate::model::policy::OfficeNumber;

const CHUNK: u64 = 1 << CHUNK_BITS;
const WORDS: usize = 1 << (CHUNK_BITS - 6);
const WORDS_BYTES: usize = WORDS * 8;

/// What is outstanding for one office, and what of it nobody has read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Outstanding {
    /// Urgent messages.
    pub(super) urgent: RoaringTreemap,
    /// Other messages.
    pub(super) other: RoaringTreemap,
    /// Notices.
    pub(super) notices: RoaringTreemap,
    /// Urgent messages, received or not, of which the office has stated neither `read` nor `acted`.
    pub(super) unread: RoaringTreemap,
    /// Those of all these messages that are not real.
    pub(super) drills: RoaringTreemap,
}

impl Outstanding {
    /// Reads those of all offices, by number.
    pub(super) fn load(table: &Table) -> Result<Vec<Self>, LedgerError> {
        let mut offices: Vec<Self> = Vec::new();
        let mut damaged = None;
        let (from, to) = keys::all_outstanding();
        table.scan(&from, &to, Direction::Ascending, &mut |key, value| match Self::load_chunk(
            &mut offices,
            key,
            value,
        ) {
            Ok(()) => ControlFlow::Continue(()),
            Err(found) => {
                damaged = Some(LedgerError::row(key, found));
                ControlFlow::Break(())
            }
        })?;
        damaged.map_or(Ok(offices), Err)
    }

    fn load_chunk(offices: &mut Vec<Self>, key: &[u8], mut value: &[u8]) -> Result<(), String> {
        let (office, chunk) = keys::outstanding_place(key).ok_or("a key that is too short")?;
        let office = usize::from(office.0);
        if offices.len() <= office {
            offices.resize(office + 1, Self::default());
        }
        for set in offices[office].sets_mut() {
            decode_chunk(&mut value, chunk, set)?;
        }
        if value.is_empty() { Ok(()) } else { Err("bytes that are too many".into()) }
    }

    /// Writes one chunk: a row, or none where nothing is outstanding.
    pub(super) fn write(&self, office: OfficeNumber, chunk: u64, rows: &mut RowBatch) {
        let mut value = Vec::new();
        let mut empty = true;
        for set in self.sets() {
            empty &= encode_chunk(set, chunk, &mut value);
        }
        rows.insert(keys::outstanding(office, chunk).into(), (!empty).then(|| value.into()));
    }

    /// Counts it.
    pub(super) fn count(&self) -> OwedCount {
        OwedCount { messages: self.urgent.len() + self.other.len(), notices: self.notices.len() }
    }

    /// Counts it, what is real apart from what is not.
    pub(super) fn backlog(&self) -> Backlog {
        let real = |set: &RoaringTreemap| set.len() - set.intersection_len(&self.drills);
        Backlog {
            urgent: real(&self.urgent),
            other: real(&self.other),
            drills: self.urgent.intersection_len(&self.drills) + self.other.intersection_len(&self.drills),
            notices: self.notices.len(),
            unread: real(&self.unread),
            oldest_unread: self.unread.iter().find(|index| !self.drills.contains(*index)).map(Index),
        }
    }

    /// Takes in an accepted message.
    pub(super) fn owe(&mut self, index: Index, urgent: bool, real: bool) {
        if urgent {
            self.urgent.insert(index.0);
            self.unread.insert(index.0);
        } else {
            self.other.insert(index.0);
        }
        if !real {
            self.drills.insert(index.0);
        }
    }

    /// Forgets which messages of a run are not real, of those that are in no other set.
    pub(super) fn settle(&mut self, run: RangeInclusive<u64>) {
        // What nobody has read is in a set: mostly that is all of them.
        if self.unread.contains_range(run.clone()) {
            return;
        }
        for index in run {
            if ![&self.urgent, &self.other, &self.unread].into_iter().any(|set| set.contains(index)) {
                self.drills.remove(index);
            }
        }
    }

    /// Gives the first indexes of a lane from one on, before another, ascending; `true` for a notice.
    pub(super) fn lane(
        &self,
        lane: Lane,
        from: Index,
        before: Index,
        count_max: usize,
    ) -> Vec<(Index, bool)> {
        let messages = self.messages(lane, from, before, count_max);
        let mut both: Vec<_> = messages.into_iter().map(|index| (index, false)).collect();
        if lane == Lane::Urgent {
            both.extend(some(&self.notices, from, before, count_max).map(|index| (index, true)));
            both.sort_unstable();
            both.truncate(count_max);
        }
        both
    }

    /// Gives the first messages of a lane from an index on, before another, ascending.
    pub(super) fn messages(&self, lane: Lane, from: Index, before: Index, count_max: usize) -> Vec<Index> {
        let set = match lane {
            Lane::Urgent => &self.urgent,
            Lane::Other => &self.other,
        };
        some(set, from, before, count_max).collect()
    }

    /// Tells whether a message or notice is outstanding.
    pub(super) fn contains(&self, index: Index) -> bool {
        [&self.urgent, &self.other, &self.notices].into_iter().any(|set| set.contains(index.0))
    }

    /// The sets, in the order in which they stand in a row.
    fn sets(&self) -> [&RoaringTreemap; 5] {
        [&self.urgent, &self.other, &self.notices, &self.unread, &self.drills]
    }

    fn sets_mut(&mut self) -> [&mut RoaringTreemap; 5] {
        [&mut self.urgent, &mut self.other, &mut self.notices, &mut self.unread, &mut self.drills]
    }
}

fn some(set: &RoaringTreemap, from: Index, before: Index, count_max: usize) -> impl Iterator<Item = Index> {
    let mut indexes = set.iter();
    indexes.advance_to(from.0);
    indexes.take_while(move |index| *index < before.0).take(count_max).map(Index)
}

/// Writes one chunk of a set; tells whether it is empty.
pub(super) fn encode_chunk(set: &RoaringTreemap, chunk: u64, out: &mut Vec<u8>) -> bool {
    let mut words = [0_u64; WORDS];
    let mut places = set.iter();
    places.advance_to(chunk << CHUNK_BITS);
    let mut empty = true;
    for place in places.map(|index| index - (chunk << CHUNK_BITS)).take_while(|place| *place < CHUNK) {
        empty = false;
        words[usize::try_from(place / 64).expect("a chunk has few words")] |= 1 << (place % 64);
    }
    encode(&words, out);
    empty
}

/// Reads one chunk of a set: whole words and runs at a time, for at a start there are millions of places.
pub(super) fn decode_chunk(bytes: &mut &[u8], chunk: u64, set: &mut RoaringTreemap) -> Result<(), String> {
    let length = decode_varint(bytes).map_err(|error| error.to_string())?;
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    let (mut places, rest) = bytes.split_at_checked(length).ok_or("a set that ends too soon")?;
    *bytes = rest;
    let base = chunk << CHUNK_BITS;
    if length == WORDS_BYTES {
        let words: Vec<u8> = places.chunks_exact(8).flat_map(|word| word.iter().rev().copied()).collect();
        let [high, low] = [base >> 32, base & u64::from(u32::MAX)];
        let [high, low] = [high, low].map(|half| u32::try_from(half).expect("it is half of 64 bits"));
        *set |= RoaringTreemap::from_bitmaps([(high, RoaringBitmap::from_lsb0_bytes(low, &words))]);
        return Ok(());
    }
    let mut end = 0_u64;
    while places.has_remaining() {
        let gap = decode_varint(&mut places).map_err(|error| error.to_string())?;
        let run = decode_varint(&mut places).map_err(|error| error.to_string())?;
        let first = end.saturating_add(gap);
        end = first.saturating_add(run);
        if end > CHUNK {
            return Err("a run beyond its chunk".into());
        }
        if first < end {
            set.insert_range(base + first..=base + (end - 1));
        }
    }
    Ok(())
}

/// Writes a set in its one form: its length in bytes, then the gaps and lengths of its runs, or where these are
/// as long, its words.
fn encode(words: &[u64; WORDS], out: &mut Vec<u8>) {
    let mut runs = Vec::new();
    let mut end = 0;
    while let Some((first, length)) = next_run(words, end) {
        encode_varint(first - end, &mut runs);
        encode_varint(length, &mut runs);
        end = first + length;
        if runs.len() >= WORDS_BYTES {
            encode_varint(WORDS_BYTES as u64, out);
            for word in words {
                out.put_u64(*word);
            }
            return;
        }
    }
    encode_varint(runs.len() as u64, out);
    out.extend_from_slice(&runs);
}

/// Finds the first run of places at or after one: where it begins, how long it is.
fn next_run(words: &[u64; WORDS], from: u64) -> Option<(u64, u64)> {
    let first = next_place(words, from, 0)?;
    let end = next_place(words, first, u64::MAX).unwrap_or(CHUNK);
    Some((first, end - first))
}

/// Finds the first place at or after one that is in the set; with all bits of `flip`, that is not in it.
fn next_place(words: &[u64; WORDS], from: u64, flip: u64) -> Option<u64> {
    let begin = usize::try_from(from / 64).ok()?;
    let mut mask = u64::MAX << (from % 64);
    for (number, word) in words.iter().enumerate().skip(begin) {
        let word = (word ^ flip) & mask;
        if word != 0 {
            return Some(number as u64 * 64 + u64::from(word.trailing_zeros()));
        }
        mask = u64::MAX;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::store::VALUE_BYTES_MAX;
    use super::super::store::memory::MemoryStore;
    use super::*;

    fn read_back(written: &Outstanding, chunks: impl IntoIterator<Item = u64>) -> Outstanding {
        let mut rows = RowBatch::new();
        for chunk in chunks {
            written.write(OfficeNumber(2), chunk, &mut rows);
        }
        assert!(rows.values().flatten().all(|value| value.len() <= VALUE_BYTES_MAX));
        let table = Table::over(Arc::new(MemoryStore::default()));
        table.stage(1, &rows);
        Outstanding::load(&table).unwrap().pop().unwrap_or_default()
    }

    #[test]
    fn sets_of_every_density_read_back_and_fit_a_row() {
        // The middle one of the later three is the first beyond 32 bits.
        for (step, first) in
            [1, 2, 3, 7, 64, 1000, CHUNK - 1, CHUNK].into_iter().zip([0, (1 << 20) - 1].repeat(4))
        {
            let places = first * CHUNK..(first + 3) * CHUNK;
            let set = || places.clone().step_by(usize::try_from(step).unwrap()).collect::<RoaringTreemap>();
            let written =
                Outstanding { urgent: set(), other: set(), notices: set(), unread: set(), drills: set() };
            assert_eq!(read_back(&written, first..first + 3), written, "every {step} from {first}");
        }
    }

    #[test]
    fn empty_chunk_takes_its_row_out() {
        let mut rows = RowBatch::new();
        Outstanding::default().write(OfficeNumber(0), 7, &mut rows);
        assert_eq!(rows.into_values().collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn runs_make_consecutive_indexes_small() {
        let mut rows = RowBatch::new();
        let all = Outstanding { other: (0..CHUNK).collect(), ..Outstanding::default() };
        all.write(OfficeNumber(0), 0, &mut rows);
        assert!(rows.into_values().flatten().all(|value| value.len() < 10));
    }

    #[test]
    fn nothing_is_remembered_of_an_exercise_that_was_received_and_read() {
        let mut open = Outstanding::default();
        open.owe(Index(7), true, false);
        open.urgent.remove(7);
        open.settle(7..=7);
        assert!(open.drills.contains(7), "it is still unread");
        open.unread.remove(7);
        open.settle(7..=7);
        assert_eq!(open, Outstanding::default());
    }

    #[test]
    fn urgent_lane_merges_notices_by_index() {
        let owed = Outstanding {
            urgent: [3, 9].into_iter().collect(),
            other: [1].into_iter().collect(),
            notices: [5, 11].into_iter().collect(),
            ..Outstanding::default()
        };
        let lane = |from, before, most| owed.lane(Lane::Urgent, Index(from), Index(before), most);
        assert_eq!(
            lane(0, 100, 9),
            [(Index(3), false), (Index(5), true), (Index(9), false), (Index(11), true)]
        );
        assert_eq!(lane(4, 11, 9), [(Index(5), true), (Index(9), false)]);
        assert_eq!(lane(4, 100, 1), [(Index(5), true)]);
        assert_eq!(owed.lane(Lane::Other, Index(0), Index(9), 9), [(Index(1), false)]);
    }

    proptest! {
        #[test]
        fn any_sets_read_back(sets in any::<[std::collections::BTreeSet<u16>; 5]>()) {
            let [urgent, other, notices, unread, drills] = sets.map(|set| set.into_iter().map(u64::from).collect());
            let written = Outstanding { urgent, other, notices, unread, drills };
            prop_assert_eq!(read_back(&written, 0..(1 << 16) / CHUNK), written);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode_chunk(&mut bytes.as_slice(), 7, &mut RoaringTreemap::new());
        }
    }
}
