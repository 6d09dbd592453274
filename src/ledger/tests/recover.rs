//! Whatever becomes of the ledger's files: it opens, begins anew or catches up, and answers the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;

use super::agree::{Dump, Journal, drawn_and_agreed, dump};
use super::bench::*;
use crate::ledger::store::memory::MemoryStore;
use crate::ledger::store::sled::{OpenedSled, SledOptions, SledStore};
use crate::ledger::store::{Store, StoreError, VALUE_BYTES_MAX};
use crate::ledger::{Ledger, LedgerError, Opened};

/// Opens a ledger as a hub does at its start, feeds it what it has not, reads all of it; as often as it must be started.
fn started(dir: &Path, journal: &Journal) -> (Dump, usize) {
    for starts in 1..5 {
        let options = SledOptions { dir: dir.to_owned(), boot_id: "boot".into(), cache_bytes: 8 << 20 };
        let OpenedSled { store, .. } = SledStore::open(&options).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        match caught_up(&store, journal) {
            Ok(dump) => {
                store.close().unwrap();
                return (dump, starts);
            }
            Err(LedgerError::Row { .. } | LedgerError::Store(StoreError::Damaged(_))) => {}
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the hub starts again and again");
}

fn caught_up(store: &Arc<dyn Store>, journal: &Journal) -> Result<Dump, LedgerError> {
    let Opened::Ready { mut ledger, mut writer, view } = Ledger::open(Arc::clone(store), JOURNAL)? else {
        panic!("another journal or format");
    };
    let done = usize::try_from(ledger.mark().position.0).unwrap();
    if let Some(last) = done.checked_sub(1) {
        assert_eq!(ledger.mark(), journal[last].0, "it stands at a batch of this journal");
    }
    for (mark, entries) in &journal[done..] {
        writer.write(&ledger.decide(*mark, entries)?.staged)?;
    }
    view.checked(dump(store.as_ref()))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Files of a folder and those below it, the rows alone.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

fn a_journal_and_its_ledger() -> (Journal, Dump, TempDir) {
    let (journal, rows) = drawn_and_agreed(7, 60);
    let dir = TempDir::new().unwrap();
    assert!(started(dir.path(), &journal) == (rows.clone(), 1));
    (journal, rows, dir)
}

#[test]
fn deleted_or_older_ledger_catches_up_and_answers_the_same() {
    let (journal, rows, dir) = a_journal_and_its_ledger();
    let older = TempDir::new().unwrap();
    assert!(started(older.path(), &journal[..20].to_vec()).0 != rows);
    assert!(started(older.path(), &journal) == (rows.clone(), 1), "an older copy");
    for name in ["rows", "trust", ""] {
        let copied = TempDir::new().unwrap();
        copy(dir.path(), copied.path());
        let path = copied.path().join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        assert!(started(copied.path(), &journal) == (rows.clone(), 1), "without {name}");
    }
}

#[test]
fn ledger_damaged_anywhere_answers_the_same() {
    let (journal, rows, dir) = a_journal_and_its_ledger();
    let names = files(&dir.path().join("rows"));
    assert!(names.len() >= 2, "{names:?}");
    let mut starts = 0;
    for (place, name) in (0..30_u64).flat_map(|place| names.iter().map(move |name| (place, name))) {
        let copied = TempDir::new().unwrap();
        copy(dir.path(), copied.path());
        let path = copied.path().join(name.strip_prefix(dir.path()).unwrap());
        let mut bytes = fs::read(&path).unwrap();
        if bytes.is_empty() {
            continue;
        }
        let at = usize::try_from(place * bytes.len() as u64 / 30).unwrap();
        match place % 3 {
            0 => bytes[at] ^= 0x10,
            1 => bytes[at..].iter_mut().take(700).for_each(|byte| *byte = 0),
            _ => bytes.truncate(at),
        }
        fs::write(&path, bytes).unwrap();
        let (found, times) = started(copied.path(), &journal);
        assert!(found == rows, "{} at {place}/30", path.display());
        starts = starts.max(times);
    }
    assert!(starts <= 2, "a hub starts twice at most: {starts}");
}

#[test]
fn any_row_that_is_not_as_it_was_written_is_found_at_a_start() {
    let (journal, rows) = drawn_and_agreed(11, 50);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    assert!(caught_up(&store, &journal[..40].to_vec()).is_ok());
    let older: BTreeMap<_, _> = dump(store.as_ref()).unwrap().into_iter().collect();
    assert!(caught_up(&store, &journal) == Ok(rows.clone()));
    let put = |key: &[u8], value: Option<&[u8]>| {
        let value = value.map(Bytes::copy_from_slice);
        store.apply(&[(Bytes::copy_from_slice(key), value)].into()).unwrap();
    };
    let refused = |what: &str, key: &[u8]| {
        let opened = Ledger::open(Arc::clone(&store), JOURNAL);
        assert!(matches!(opened, Err(LedgerError::Row { .. })), "{what} {key:?}");
    };
    for (key, value) in &rows {
        put(key, None);
        refused("missing", key);
        let mut changed = value.clone();
        if changed.len() < VALUE_BYTES_MAX {
            changed.push(0);
        } else {
            changed[0] ^= 1;
        }
        put(key, Some(&changed));
        refused("changed", key);
        if let Some(before) = older.get(key).filter(|before| *before != value) {
            put(key, Some(before));
            refused("of before", key);
        }
        put(key, Some(value));
    }
    put(b"z", Some(b""));
    refused("one more", b"z");
    put(b"z", None);
    assert!(Ledger::open(Arc::clone(&store), JOURNAL).is_ok());
}

#[test]
fn close_that_could_not_sync_a_file_is_told_and_counts_as_none() {
    let dir = TempDir::new().unwrap();
    let options = |boot_id: &str| SledOptions {
        dir: dir.path().to_owned(),
        boot_id: boot_id.into(),
        cache_bytes: 8 << 20,
    };
    let store = SledStore::open(&options("boot-1")).unwrap().store;
    // A device that keeps nothing: all goes well with it but a sync.
    let device = dir.path().join("rows/device");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    assert!(matches!(store.close(), Err(StoreError::Io(_))));
    fs::remove_file(device).unwrap();
    drop(store);
    let OpenedSled { set_aside, .. } = SledStore::open(&options("boot-2")).unwrap();
    assert!(set_aside.is_some(), "rows that may not be on the disk were trusted on another boot");
}
