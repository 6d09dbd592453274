//! Messages, receipts and facts as they came, in groups: a row for as many as fit, by the index of the first.
//!
//! Owns packing and finding. A row a batch instead of a row a record: a small row costs the store as much as a full one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use prost::encoding::{decode_varint, encode_varint};

use super::LedgerError;
use super::keys;
use super::store::{RowBatch, VALUE_BYTES_MAX};
use super::table::{Table, put_long};
use crate::model::id::Index;

/// Something that is kept by index, in groups.
pub(super) trait Record: Sized {
    /// The letter of its rows.
    const LETTER: u8;

    /// Its index.
    fn index(&self) -> Index;

    /// Appends its bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads it from its bytes; says what is wrong with others.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

/// Packs records, ascending by index, into rows.
pub(super) fn pack<R: Record>(records: &[Arc<R>], rows: &mut RowBatch) {
    let mut group = Vec::new();
    let mut first = None;
    let mut one = Vec::new();
    for record in records {
        one.clear();
        record.encode(&mut one);
        let full = group.len() + one.len() + prost::length_delimiter_len(one.len()) >= VALUE_BYTES_MAX;
        if let Some(begun) = first.filter(|_| full) {
            put_long(rows, &keys::group(R::LETTER, begun), &group);
            group.clear();
            first = None;
        }
        first = first.or(Some(record.index()));
        encode_varint(one.len() as u64, &mut group);
        group.extend_from_slice(&one);
    }
    if let Some(first) = first {
        put_long(rows, &keys::group(R::LETTER, first), &group);
    }
}

/// Reads records, and keeps the group that it read last: neighbours cost one read.
pub(super) struct Reader<'a, R> {
    table: &'a Table,
    group: BTreeMap<Index, Arc<R>>,
}

impl<'a, R: Record> Reader<'a, R> {
    /// Begins with nothing read.
    pub(super) fn of(table: &'a Table) -> Self {
        Self { table, group: BTreeMap::new() }
    }

    /// Reads the record at an index, if there is one.
    pub(super) fn at(&mut self, index: Index) -> Result<Option<Arc<R>>, LedgerError> {
        let kept = self.group.first_key_value().zip(self.group.last_key_value());
        if !kept.is_some_and(|((first, _), (last, _))| (first..=last).contains(&&index)) {
            let to = keys::after(&keys::group(R::LETTER, index));
            let Some((key, _)) = self.table.last(&[R::LETTER], &to)? else { return Ok(None) };
            let first =
                keys::group_first(&key).ok_or_else(|| LedgerError::row(&key, "a key that is too short"))?;
            self.read(first)?;
        }
        Ok(self.group.get(&index).cloned())
    }

    /// Reads the first record at or after an index, if there is one.
    pub(super) fn from(&mut self, index: Index) -> Result<Option<Arc<R>>, LedgerError> {
        if self.at(index)?.is_none() && self.group.range(index..).next().is_none() {
            let next = self.table.first(&keys::group(R::LETTER, index), &[R::LETTER + 1])?;
            let Some((key, _)) = next else { return Ok(None) };
            let first =
                keys::group_first(&key).ok_or_else(|| LedgerError::row(&key, "a key that is too short"))?;
            self.read(first)?;
        }
        Ok(self.group.range(index..).next().map(|(_, record)| Arc::clone(record)))
    }

    fn read(&mut self, first: Index) -> Result<(), LedgerError> {
        let key = keys::group(R::LETTER, first);
        let bytes =
            self.table.long(&key)?.ok_or_else(|| LedgerError::row(&key, "no group where its parts are"))?;
        self.group = decode(&bytes).map_err(|found| LedgerError::row(&key, found))?;
        Ok(())
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

fn decode<R: Record>(mut bytes: &[u8]) -> Result<BTreeMap<Index, Arc<R>>, String> {
    let mut group = BTreeMap::new();
    while !bytes.is_empty() {
        let length = decode_varint(&mut bytes).map_err(|error| error.to_string())?;
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let (one, rest) = bytes.split_at_checked(length).ok_or("a record that ends too soon")?;
        let record = R::decode(one)?;
        group.insert(record.index(), Arc::new(record));
        bytes = rest;
    }
    Ok(group)
}
