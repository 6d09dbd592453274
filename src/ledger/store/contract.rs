//! The suite that every store passes.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::{Direction, RowBatch, Store, StoreError, VALUE_BYTES_MAX};

/// Holds every sentence of the contract against new, empty stores.
pub(super) fn keeps_the_contract(make: impl Fn() -> Box<dyn Store>) {
    rows_are_put_replaced_and_taken_out(make().as_ref());
    scans_go_both_ways_in_order_of_keys(make().as_ref());
    scan_ends_where_it_is_told(make().as_ref());
    batch_is_there_whole_at_every_size(make().as_ref());
    too_long_value_is_never_kept(make().as_ref());
    closed_store_says_so(make().as_ref());
}

/// Makes a batch of rows to put, and to take out.
pub(super) fn batch(rows: &[(&[u8], Option<&[u8]>)]) -> RowBatch {
    let own = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
    rows.iter().map(|(key, value)| (own(key), value.map(own))).collect()
}

/// Reads all rows of a range.
pub(super) fn rows(
    store: &dyn Store,
    from: &[u8],
    to: &[u8],
    direction: Direction,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let scanned = store.scan(from, to, direction, &mut |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    scanned.unwrap();
    found
}

fn keys(store: &dyn Store, from: &[u8], to: &[u8], direction: Direction) -> Vec<Vec<u8>> {
    rows(store, from, to, direction).into_iter().map(|(key, _)| key).collect()
}

fn rows_are_put_replaced_and_taken_out(store: &dyn Store) {
    let value = |key: &[u8]| store.row(key).unwrap().map(|value| value.to_vec());
    assert_eq!(value(b"a"), None);
    store.apply(&batch(&[(b"a", Some(b"1")), (b"b", Some(b""))])).unwrap();
    assert_eq!((value(b"a"), value(b"b")), (Some(b"1".to_vec()), Some(Vec::new())));
    store.apply(&batch(&[(b"a", Some(b"2")), (b"b", None), (b"never", None)])).unwrap();
    assert_eq!((value(b"a"), value(b"b"), value(b"never")), (Some(b"2".to_vec()), None, None));
    store.apply(&RowBatch::new()).unwrap();
    assert!(store.disk_bytes().is_ok());
}

fn scans_go_both_ways_in_order_of_keys(store: &dyn Store) {
    let put: Vec<&[u8]> = vec![b"a", b"a\0", b"ab", b"b", b"\xff", b"\xff\xff"];
    let all: Vec<(&[u8], Option<&[u8]>)> = put.iter().rev().map(|key| (*key, Some(*key))).collect();
    store.apply(&batch(&all)).unwrap();
    let ascending = keys(store, b"", b"\xff\xff\xff", Direction::Ascending);
    assert_eq!(ascending, put);
    let mut descending = keys(store, b"", b"\xff\xff\xff", Direction::Descending);
    descending.reverse();
    assert_eq!(descending, put);
    for direction in [Direction::Ascending, Direction::Descending] {
        assert_eq!(keys(store, b"a\0", b"b", direction).len(), 2, "the first is in, the last is not");
        assert!(keys(store, b"b", b"b", direction).is_empty());
        assert!(keys(store, b"c", b"a", direction).is_empty());
        assert!(rows(store, b"", b"z", direction).iter().all(|(key, value)| key == value));
    }
}

fn scan_ends_where_it_is_told(store: &dyn Store) {
    store.apply(&batch(&[(b"a", Some(b"")), (b"b", Some(b"")), (b"c", Some(b""))])).unwrap();
    let mut seen = 0;
    let mut two = |_: &[u8], _: &[u8]| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.scan(b"a", b"z", Direction::Ascending, &mut two).unwrap();
    assert_eq!(seen, 2);
}

fn batch_is_there_whole_at_every_size(store: &dyn Store) {
    let value = vec![7; VALUE_BYTES_MAX];
    for count in [1_u32, 10, 1000] {
        let puts = (0..count).map(|number| {
            (Bytes::copy_from_slice(&number.to_be_bytes()), Some(Bytes::copy_from_slice(&value)))
        });
        store.apply(&puts.collect()).unwrap();
        let found = rows(store, &[0], &[1], Direction::Ascending);
        assert_eq!(found.len(), count as usize);
        assert!(found.iter().all(|(_, found)| *found == value));
    }
    let takes = (0..1000_u32).map(|number| (Bytes::copy_from_slice(&number.to_be_bytes()), None));
    store.apply(&takes.collect()).unwrap();
    assert!(rows(store, &[0], &[1], Direction::Ascending).is_empty());
}

fn too_long_value_is_never_kept(store: &dyn Store) {
    let value = vec![7; VALUE_BYTES_MAX + 1];
    let long = batch(&[(b"a", Some(b"1")), (b"b", Some(&value))]);
    assert!(catch_unwind(AssertUnwindSafe(|| store.apply(&long))).is_err());
    assert_eq!(store.row(b"a"), Ok(None));
}

fn closed_store_says_so(store: &dyn Store) {
    store.close().unwrap();
    assert_eq!(store.row(b"a"), Err(StoreError::Closed));
    assert_eq!(store.apply(&RowBatch::new()), Err(StoreError::Closed));
    assert_eq!(store.disk_bytes(), Err(StoreError::Closed));
    assert_eq!(store.close(), Err(StoreError::Closed));
    let scanned = store.scan(b"", b"z", Direction::Ascending, &mut |_, _| ControlFlow::Continue(()));
    assert_eq!(scanned, Err(StoreError::Closed));
}
