//! The suites that every store and every keeper of stores pass.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{Direction, Distrust, OpenedStore, RowBatch, Store, StoreError, Stores, VALUE_BYTES_MAX};

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

const CACHE_BYTES: u64 = 8 << 20;

/// Holds every sentence of the contract against a keeper of stores that has none yet in a folder; `next_boot` gives the
/// same one after a stop of the machine.
pub(super) fn keeps_stores(folder: &Path, stores: &dyn Stores, next_boot: impl FnOnce() -> Arc<dyn Stores>) {
    let (one, other) = (folder.join("one"), folder.join("other"));
    rows_outlive_their_store(stores, &one);
    distrusted_rows_are_set_aside(stores, &one);
    folders_are_apart_and_removed(stores, &one, &other);
    let closed = with_a_row(stores, &other);
    closed.close().unwrap();
    drop((closed, with_a_row(stores, &one)));
    let next_boot = next_boot();
    assert_eq!(opened(next_boot.as_ref(), &other), (true, None), "closed before the machine stopped");
    let why = Some(Distrust::MachineStopped);
    assert_eq!(opened(next_boot.as_ref(), &one), (false, why), "in use when the machine stopped");
}

fn with_a_row(stores: &dyn Stores, dir: &Path) -> Arc<dyn Store> {
    let store = stores.open(dir, CACHE_BYTES).unwrap().store;
    store.apply(&batch(&[(b"key", Some(b"value"))])).unwrap();
    store
}

fn has_the_row(store: &dyn Store) -> bool {
    store.row(b"key").unwrap().is_some()
}

/// Opens a store and drops it: whether it has the row, why rows were set aside.
fn opened(stores: &dyn Stores, dir: &Path) -> (bool, Option<Distrust>) {
    let OpenedStore { store, set_aside } = stores.open(dir, CACHE_BYTES).unwrap();
    if let Some(aside) = &set_aside {
        assert!(aside.to.starts_with(dir));
    }
    (has_the_row(store.as_ref()), set_aside.map(|it| it.why))
}

fn rows_outlive_their_store(stores: &dyn Stores, dir: &Path) {
    let store = with_a_row(stores, dir);
    assert!(matches!(stores.open(dir, CACHE_BYTES), Err(StoreError::Io(_))), "it is in use");
    drop(store);
    assert_eq!(opened(stores, dir), (true, None), "dropped, as by a process that ended");
    assert!(stores.set_aside(dir, CACHE_BYTES).is_empty());
    stores.open(dir, CACHE_BYTES).unwrap().store.close().unwrap();
    assert_eq!(opened(stores, dir), (true, None), "closed");
}

fn distrusted_rows_are_set_aside(stores: &dyn Stores, dir: &Path) {
    let why = Some(Distrust::Damaged("no good".into()));
    for close in [false, true] {
        let store = with_a_row(stores, dir);
        store.distrust("no good").unwrap();
        if close {
            store.close().unwrap();
        }
        drop(store);
        assert_eq!(opened(stores, dir), (false, why.clone()), "close {close}");
        let aside = stores.set_aside(dir, CACHE_BYTES);
        assert!(aside.len() == 1 && has_the_row(aside[0].as_ref()), "close {close}");
    }
}

fn folders_are_apart_and_removed(stores: &dyn Stores, one: &Path, other: &Path) {
    let store = with_a_row(stores, one);
    assert_eq!(opened(stores, other), (false, None));
    drop(store);
    stores.remove(one).unwrap();
    stores.remove(one).unwrap();
    assert_eq!(opened(stores, one), (false, None));
    assert!(stores.set_aside(one, CACHE_BYTES).is_empty());
}
