//! The rows as of the last decided batch: those in the store, and over them those that are staged.
//!
//! Owns what is staged and not yet written, and values longer than a row may be. Never decides anything.
//! At a crash what is staged is gone; it is decided again from the journal.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;

use super::LedgerError;
use super::store::{Direction, RowBatch, Store, StoreError, VALUE_BYTES_MAX, Visit};

/// The rows as of the last decided batch.
pub(super) struct Table {
    store: Arc<dyn Store>,
    unwritten: RwLock<BTreeMap<Bytes, StagedRow>>,
}

struct StagedRow {
    stage: u64,
    value: Option<Bytes>,
}

impl Table {
    /// Begins with nothing staged.
    pub(super) fn over(store: Arc<dyn Store>) -> Self {
        Self { store, unwritten: RwLock::default() }
    }

    /// Puts rows over those of the store, until they are written.
    pub(super) fn stage(&self, stage: u64, rows: &RowBatch) {
        let mut unwritten = self.unwritten.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in rows {
            unwritten.insert(key.clone(), StagedRow { stage, value: value.clone() });
        }
    }

    /// Writes rows to the store and stops holding them, but for those that were staged anew after `last_stage`.
    pub(super) fn write(&self, last_stage: u64, rows: &RowBatch) -> Result<(), StoreError> {
        self.store.apply(rows)?;
        let mut unwritten = self.unwritten.write().unwrap_or_else(PoisonError::into_inner);
        for key in rows.keys() {
            if unwritten.get(key).is_some_and(|row| row.stage <= last_stage) {
                unwritten.remove(key);
            }
        }
        Ok(())
    }

    /// Reads a row.
    pub(super) fn row(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if let Some(row) = self.unwritten().get(key) {
            return Ok(row.value.clone());
        }
        // Written in between, it is in the store: rows leave the staged ones only after that.
        self.store.row(key)
    }

    /// Reads a value that may be longer than a row.
    pub(super) fn long(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let Some(first) = self.row(key)? else { return Ok(None) };
        match parts_of(key, &first)? {
            (0, _) => Ok(Some(first.slice(COUNT_BYTES..))),
            _ => self.parts(key),
        }
    }

    /// Reads all parts while nothing can be staged or written: they are then of one value.
    fn parts(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let unwritten = self.unwritten();
        let row = |key: &[u8]| match unwritten.get(key) {
            Some(row) => Ok(row.value.clone()),
            None => self.store.row(key),
        };
        let Some(first) = row(key)? else { return Ok(None) };
        let (more, head) = parts_of(key, &first)?;
        let mut whole = head.to_vec();
        for part in 1..=more {
            let key = [key, &part.to_be_bytes()].concat();
            let missing = || StoreError::Damaged(format!("the row of key {} is missing", hex(&key)));
            whole.extend_from_slice(&row(&key)?.ok_or_else(missing)?);
        }
        Ok(Some(whole.into()))
    }

    /// Visits rows, as [`Store::scan`] does.
    pub(super) fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let range = (Bound::Included(from), Bound::Excluded(to));
        let mut staged: Vec<(Bytes, Option<Bytes>)> = self
            .unwritten()
            .range::<[u8], _>(range)
            .map(|(key, row)| (key.clone(), row.value.clone()))
            .collect();
        // Taken from the end.
        if direction == Direction::Ascending {
            staged.reverse();
        }
        let mut going = ControlFlow::Continue(());
        self.store.scan(from, to, direction, &mut |key, value| {
            while let Some((staged_key, _)) = staged.last() {
                let stored_is_first = match direction {
                    Direction::Ascending => key < staged_key.as_ref(),
                    Direction::Descending => key > staged_key.as_ref(),
                };
                if stored_is_first {
                    break;
                }
                let same = key == staged_key.as_ref();
                going = visit_last(&mut staged, visit);
                if same || going.is_break() {
                    return going;
                }
            }
            going = visit(key, value);
            going
        })?;
        while going.is_continue() && !staged.is_empty() {
            going = visit_last(&mut staged, visit);
        }
        Ok(())
    }

    /// Gives the row with the greatest key from `from` to before `to`.
    pub(super) fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.one(from, to, Direction::Descending)
    }

    /// Gives the row with the smallest key from `from` to before `to`.
    pub(super) fn first(&self, from: &[u8], to: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        self.one(from, to, Direction::Ascending)
    }

    fn one(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
    ) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let mut found = None;
        self.scan(from, to, direction, &mut |key, value| {
            found = Some((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Sees to it that a store with a damaged row is not used again; gives the error back.
    pub(super) fn distrusted(&self, error: LedgerError) -> LedgerError {
        if let LedgerError::Row { .. } | LedgerError::Store(StoreError::Damaged(_)) = &error {
            // Where even that fails, the next opening meets the damage again.
            let _ = self.store.distrust(&error.to_string());
        }
        error
    }

    /// Tells how many bytes the store takes on disk.
    pub(super) fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.store.disk_bytes()
    }

    /// Closes the store.
    pub(super) fn close(&self) -> Result<(), StoreError> {
        self.store.close()
    }

    fn unwritten(&self) -> RwLockReadGuard<'_, BTreeMap<Bytes, StagedRow>> {
        // A row is put or removed whole, so a poisoned map is whole.
        self.unwritten.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes in front of a value that may be longer than a row: how many further parts it has.
const COUNT_BYTES: usize = size_of::<u16>();

/// Puts a value that may be longer than a row into a batch: in parts, the further ones under the key and their number.
///
/// A value put under the same key before must not have had more parts.
pub(super) fn put_long(rows: &mut RowBatch, key: &[u8], value: &[u8]) {
    let (head, tail) = value.split_at(value.len().min(VALUE_BYTES_MAX - COUNT_BYTES));
    let parts = tail.chunks(VALUE_BYTES_MAX);
    let more = u16::try_from(parts.len()).expect("no value that the ledger keeps comes near 256 MiB");
    let first = [&more.to_be_bytes(), head].concat();
    rows.insert(Bytes::copy_from_slice(key), Some(first.into()));
    for (part, number) in parts.zip(1..=more) {
        rows.insert([key, &number.to_be_bytes()].concat().into(), Some(Bytes::copy_from_slice(part)));
    }
}

/// Reads how many further parts a value has, and what of it is in its first.
fn parts_of<'a>(key: &[u8], first: &'a [u8]) -> Result<(u16, &'a [u8]), StoreError> {
    let split = first.split_first_chunk();
    let (count, head) =
        split.ok_or_else(|| StoreError::Damaged(format!("the row of key {} is too short", hex(key))))?;
    Ok((u16::from_be_bytes(*count), head))
}

/// Writes bytes in hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn visit_last(staged: &mut Vec<(Bytes, Option<Bytes>)>, visit: &mut Visit<'_>) -> ControlFlow<()> {
    match staged.pop() {
        Some((key, Some(value))) => visit(&key, &value),
        _ => ControlFlow::Continue(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::memory::MemoryStore;
    use super::*;

    fn rows(of: &[(&'static str, Option<&'static str>)]) -> RowBatch {
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        of.iter().map(|(key, value)| (bytes(key), value.map(bytes))).collect()
    }

    fn scanned(table: &Table, direction: Direction) -> String {
        let mut text = String::new();
        let scanned = table.scan(b"a", b"y", direction, &mut |key, value| {
            text += std::str::from_utf8(&[key, b"=", value, b" "].concat()).unwrap();
            ControlFlow::Continue(())
        });
        scanned.unwrap();
        text
    }

    #[test]
    fn row_staged_anew_outlives_the_writing_of_the_one_before() {
        let table = Table::over(Arc::new(MemoryStore::default()));
        let (first, second) =
            (rows(&[("k", Some("1")), ("l", Some("1"))]), rows(&[("k", Some("2")), ("l", None)]));
        table.stage(1, &first);
        table.stage(2, &second);
        table.write(1, &first).unwrap();
        assert_eq!(scanned(&table, Direction::Ascending), "k=2 ");
        assert_eq!((table.row(b"k").unwrap().unwrap(), table.row(b"l").unwrap()), (Bytes::from("2"), None));
        table.write(2, &second).unwrap();
        assert_eq!(scanned(&table, Direction::Ascending), "k=2 ");
        assert!(table.unwritten().is_empty());
    }

    #[test]
    fn scans_lay_staged_rows_over_those_of_the_store() {
        let table = Table::over(Arc::new(MemoryStore::default()));
        let stored = [("a", "1"), ("c", "1"), ("e", "1"), ("g", "1"), ("z", "1")];
        table.write(0, &rows(&stored.map(|(key, value)| (key, Some(value))))).unwrap();
        table.stage(
            1,
            &rows(&[("b", Some("2")), ("c", Some("2")), ("e", None), ("h", Some("2")), ("y", Some("2"))]),
        );
        assert_eq!(scanned(&table, Direction::Ascending), "a=1 b=2 c=2 g=1 h=2 ");
        assert_eq!(scanned(&table, Direction::Descending), "h=2 g=1 c=2 b=2 a=1 ");
        let pair = |key, value| Some((Bytes::from_static(key), Bytes::from_static(value)));
        assert_eq!(table.first(b"b", b"d").unwrap(), pair(b"b", b"2"));
        assert_eq!(table.last(b"d", b"g").unwrap(), None);
        assert_eq!(table.last(b"a", b"g").unwrap(), pair(b"c", b"2"));
    }

    #[test]
    fn long_values_read_back_and_their_parts_fit_rows() {
        let table = Table::over(Arc::new(MemoryStore::default()));
        // A row of a directory's entry has up to two mebibytes.
        let lengths = [0, 1, 4094, 4095, 4096, 4097, 8190, 8191, 8192, 100_000, 1 << 20, 2 << 20];
        for (stage, length) in (1..).zip(lengths) {
            let value: Vec<u8> = (0..length).map(|place: u32| place.to_be_bytes()[2]).collect();
            let mut rows = RowBatch::new();
            put_long(&mut rows, b"key", &value);
            assert!(rows.values().flatten().all(|part| part.len() <= VALUE_BYTES_MAX));
            table.stage(stage, &rows);
            assert_eq!(table.long(b"key").unwrap().unwrap(), value, "{length}");
            table.write(stage, &rows).unwrap();
            assert_eq!(table.long(b"key").unwrap().unwrap(), value, "{length}");
        }
        assert_eq!(table.long(b"other").unwrap(), None);
        let part = Bytes::from_static(b"key\0\x01");
        table.write(99, &[(part, None)].into()).unwrap();
        assert!(matches!(table.long(b"key"), Err(StoreError::Damaged(_))));
    }
}
