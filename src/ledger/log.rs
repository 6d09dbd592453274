//! Messages, receipts and facts as they came, in groups: a row for as many as fit, by the index of the first.
//!
//! Owns packing and finding. A row a batch instead of a row a record: a small row costs the store as much as a full one.

use std::marker::PhantomData;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use bytes::Bytes;
use prost::encoding::{decode_varint, encode_varint};

use super::LedgerError;
use super::keys;
use super::store::{RowBatch, VALUE_BYTES_MAX};
use super::table::{Table, put_long};
use crate::model::id::Index;

/// Bytes of a record's frame at most: two numbers of ten bytes, and the group's own first byte.
const FRAME_BYTES_MAX: usize = 10 + 10 + 1;

/// Something that is kept by index, in groups.
pub(super) trait Record: Sized {
    /// The letter of its rows.
    const LETTER: u8;

    /// Its index.
    fn index(&self) -> Index;

    /// Appends its bytes, but for the index.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads it from its bytes; says what is wrong with others.
    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String>;
}

/// Packs records, ascending by index, into rows: of each the distance to the one before, its length, its bytes.
pub(super) fn pack<R: Record>(records: &[Arc<R>], rows: &mut RowBatch) {
    let mut group = Group::default();
    let mut record = Vec::new();
    for it in records {
        record.clear();
        it.encode(&mut record);
        if !group.bytes.is_empty() && group.bytes.len() + record.len() + FRAME_BYTES_MAX >= VALUE_BYTES_MAX {
            put_long(rows, &keys::group(R::LETTER, group.first), &group.bytes);
            group.bytes.clear();
        }
        group.push(it.index(), &record);
    }
    if !group.bytes.is_empty() {
        put_long(rows, &keys::group(R::LETTER, group.first), &group.bytes);
    }
}

/// A group that is being filled.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    first: Index,
    last: Index,
}

impl Group {
    fn push(&mut self, index: Index, record: &[u8]) {
        if self.bytes.is_empty() {
            (self.first, self.last) = (index, index);
        }
        encode_varint(index.0 - self.last.0, &mut self.bytes);
        encode_varint(record.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(record);
        self.last = index;
    }
}

/// Reads records, and keeps the group that it read last: neighbours cost one read. Decodes what is asked for alone.
pub(super) struct Reader<'a, R> {
    table: &'a Table,
    bytes: Bytes,
    places: Vec<(Index, Range<usize>)>,
    record: PhantomData<R>,
}

impl<'a, R: Record> Reader<'a, R> {
    /// Begins with nothing read.
    pub(super) fn of(table: &'a Table) -> Self {
        Self { table, bytes: Bytes::new(), places: Vec::new(), record: PhantomData }
    }

    /// Reads the record at an index, if there is one.
    pub(super) fn at(&mut self, index: Index) -> Result<Option<Arc<R>>, LedgerError> {
        let kept = self.places.first().zip(self.places.last());
        if !kept.is_some_and(|((first, _), (last, _))| (*first..=*last).contains(&index)) {
            let to = keys::after(&keys::group(R::LETTER, index));
            let Some((key, _)) = self.table.last(&[R::LETTER], &to)? else { return Ok(None) };
            self.read_group(&key)?;
        }
        let place = self.places.binary_search_by_key(&index, |(at, _)| *at).ok();
        place.map(|place| self.decode(place)).transpose()
    }

    /// Reads the first record at or after an index, if there is one.
    pub(super) fn from(&mut self, index: Index) -> Result<Option<Arc<R>>, LedgerError> {
        if let Some(record) = self.at(index)? {
            return Ok(Some(record));
        }
        if self.places.last().is_none_or(|(last, _)| *last < index) {
            let next = self.table.first(&keys::group(R::LETTER, index), &[R::LETTER + 1])?;
            let Some((key, _)) = next else { return Ok(None) };
            self.read_group(&key)?;
        }
        let place = self.places.partition_point(|(at, _)| *at < index);
        (place < self.places.len()).then(|| self.decode(place)).transpose()
    }

    /// Reads the group that a key, or the key of a further part, belongs to.
    fn read_group(&mut self, key: &[u8]) -> Result<(), LedgerError> {
        let first = keys::group_first(key).ok_or_else(|| LedgerError::row(key, "a key that is too short"))?;
        let key = keys::group(R::LETTER, first);
        let missing = || LedgerError::row(&key, "no group where its parts are");
        self.bytes = self.table.long(&key)?.ok_or_else(missing)?;
        self.places = places(first, &self.bytes).map_err(|found| LedgerError::row(&key, found))?;
        Ok(())
    }

    fn decode(&self, place: usize) -> Result<Arc<R>, LedgerError> {
        let (index, range) = &self.places[place];
        let damaged = |found| LedgerError::row(&keys::group(R::LETTER, *index), found);
        R::decode(*index, &self.bytes[range.clone()]).map(Arc::new).map_err(damaged)
    }
}

/// Visits all records, ascending, until told to stop; holds one group.
pub(super) fn each<R: Record>(
    table: &Table,
    from: Index,
    mut visit: impl FnMut(Arc<R>) -> Result<ControlFlow<()>, LedgerError>,
) -> Result<(), LedgerError> {
    let mut reader = Reader::<R>::of(table);
    let mut next = from;
    while let Some(record) = reader.from(next)? {
        next = record.index().next();
        if visit(record)?.is_break() {
            break;
        }
    }
    Ok(())
}

/// Finds where the records of a group are.
fn places(first: Index, group: &[u8]) -> Result<Vec<(Index, Range<usize>)>, String> {
    let mut places = Vec::new();
    let mut rest = group;
    let mut index = first.0;
    while !rest.is_empty() {
        let step = decode_varint(&mut rest).map_err(|error| error.to_string())?;
        let length = decode_varint(&mut rest).map_err(|error| error.to_string())?;
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let begin = group.len() - rest.len();
        rest = rest.get(length..).ok_or("a record that ends too soon")?;
        index = index.checked_add(step).ok_or("an index that is too great")?;
        places.push((Index(index), begin..begin + length));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::super::store::memory::MemoryStore;
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Text(Index, Vec<u8>);

    impl Record for Text {
        const LETTER: u8 = b'x';

        fn index(&self) -> Index {
            self.0
        }

        fn encode(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.1);
        }

        fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
            Ok(Self(index, bytes.to_vec()))
        }
    }

    #[test]
    fn records_of_every_length_are_found_by_index_and_in_order() {
        let table = Table::over(Arc::new(MemoryStore::default()));
        let mut rows = RowBatch::new();
        let lengths = [0, 1, 100, 4000, 4095, 4096, 5, 9000, 0, 4094, 3, 20_000];
        let texts = (0..).map(|number| 10 + number * number).zip(lengths);
        let texts: Vec<_> = texts.map(|(at, length)| Arc::new(Text(Index(at), vec![7; length]))).collect();
        // Two batches, and a key of another kind behind them.
        pack(&texts[..5], &mut rows);
        pack(&texts[5..], &mut rows);
        rows.insert(Bytes::from_static(b"y"), Some(Bytes::new()));
        assert!(rows.values().flatten().all(|value| value.len() <= VALUE_BYTES_MAX));
        table.stage(1, &rows);
        let mut reader = Reader::<Text>::of(&table);
        for index in (0..140).chain((0..140).rev()).map(Index) {
            let expected = texts.iter().find(|it| it.0 == index);
            assert_eq!(reader.at(index).unwrap().as_ref(), expected, "{index}");
            let expected = texts.iter().find(|it| it.0 >= index);
            assert_eq!(reader.from(index).unwrap().as_ref(), expected, "{index}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        for bytes in [&[][..], &[1], &[0, 2, 1], &[255; 9], &[255; 30], &[0, 0, 1]] {
            let _ = places(Index(u64::MAX), bytes);
        }
    }
}
