//! The store in sled, on a real disk, trusted only as far as it may be.
//!
//! Owns the folder of the rows, the file beside it that says how far they can be trusted, and a lock. Never syncs while
//! in use: the journal is what is durable, and rows that a crash took are decided again.
//!
//! At a crash of the process sled comes back as of some moment before, whole: what it wrote the system still holds.
//! At a crash of the machine it may come back with holes (its flush ends in `sync_file_range`, which orders nothing on
//! the device): it is then set aside and built anew. So before the rows are first touched, the file beside them says,
//! durably, which boot of the machine uses them; only a close that synced every file takes that back.

use std::fs;
use std::ops::{Bound, ControlFlow};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;

use super::{
    ASIDE, Direction, Distrust, OpenedStore, RowBatch, SetAside, Store, StoreError, Stores, Visit,
    assert_bounds,
};
use crate::host::disk::{Disk, Lock, OsDisk};

const ROWS: &str = "rows";
const TRUST: &str = "trust";
const LOCK: &str = "lock";
const TRUST_BYTES_MAX: u64 = 4096;
/// How often sled writes what is in its buffers: with `None` it would also stop collecting its garbage.
const FLUSH_EVERY_MS: u64 = 500;
/// sled's threads let go of its file a moment after the last handle is gone; 50 times 20 ms is far more.
const UNLOCK_TRIES: u32 = 50;
const UNLOCK_PAUSE: Duration = Duration::from_millis(20);

/// Where and how rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SledOptions {
    /// The folder of the ledger: it is made if it is missing, and nothing else may be in it.
    pub dir: PathBuf,
    /// The id of this boot of the machine, one line: another one tells that the machine stopped in between.
    pub boot_id: String,
    /// Bytes of sled's cache of pages. Not a bound on its memory: some two times that.
    pub cache_bytes: u64,
}

/// Rows in sled.
pub struct SledStore {
    db: RwLock<Option<sled::Db>>,
    dir: PathBuf,
    _lock: Option<Lock>,
}

/// Keeps stores in sled.
#[derive(Clone, Debug)]
pub struct SledStores {
    /// The id of this boot of the machine: see [`SledOptions::boot_id`].
    pub boot_id: String,
}

/// What opening found.
pub struct OpenedSled {
    /// The store.
    pub store: SledStore,
    /// Rows that were there and could not be trusted. The store is then empty: the ledger is to be built anew.
    pub set_aside: Option<SetAside>,
}

impl Stores for SledStores {
    fn open(&self, dir: &Path, cache_bytes: u64) -> Result<OpenedStore, StoreError> {
        let options = SledOptions { dir: dir.to_owned(), boot_id: self.boot_id.clone(), cache_bytes };
        let OpenedSled { store, set_aside } = SledStore::open(&options)?;
        Ok(OpenedStore { store: Arc::new(store), set_aside })
    }

    fn set_aside(&self, dir: &Path, cache_bytes: u64) -> Vec<Arc<dyn Store>> {
        let there = ASIDE.map(|name| dir.join(name)).into_iter().filter(|dir| dir.is_dir());
        let open = |dir: PathBuf| {
            let db = RwLock::new(Some(open_rows(&dir, cache_bytes).ok()?));
            Some(Arc::new(SledStore { db, dir, _lock: None }) as Arc<dyn Store>)
        };
        there.filter_map(open).collect()
    }

    fn remove(&self, dir: &Path) -> Result<(), StoreError> {
        removed(dir)
    }
}

impl SledStore {
    /// Opens the rows; sets aside those that cannot be trusted or opened, and begins with none.
    ///
    /// # Errors
    /// [`StoreError::Io`]: another process holds the folder, or the disk refuses.
    pub fn open(options: &SledOptions) -> Result<OpenedSled, StoreError> {
        let dir = options.dir.clone();
        OsDisk.create_dir_all(&dir).map_err(|error| io(&dir, &error))?;
        let lock = OsDisk.lock(&dir.join(LOCK)).map_err(|error| io(&dir, &error))?;
        let lock =
            lock.ok_or_else(|| StoreError::Io(format!("{} is in use by another process", dir.display())))?;
        let mut set_aside = match distrust(&dir, &options.boot_id) {
            Some(why) => put_aside(&dir, why)?,
            None => None,
        };
        write_trust(&dir, &format!("open {}", options.boot_id))?;
        let rows = dir.join(ROWS);
        let db = match open_rows(&rows, options.cache_bytes) {
            Ok(db) => db,
            Err(found) => {
                set_aside = put_aside(&dir, Distrust::Damaged(found.to_string()))?;
                open_rows(&rows, options.cache_bytes)?
            }
        };
        Ok(OpenedSled { store: Self { db: RwLock::new(Some(db)), dir, _lock: Some(lock) }, set_aside })
    }

    /// Runs something on sled; its panics, of which it has some for damaged files, are errors.
    fn with<T>(&self, run: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or(StoreError::Closed)?;
        caught(|| run(db))
    }
}

impl Store for SledStore {
    fn row(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.with(|db| Ok(db.get(key)?.map(|value| Bytes::copy_from_slice(&value))))
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        // Sought anew for each row: sled's cache looks at what it holds only after 64 visits to one of its 256 shards,
        // and an iterator visits a page of rows once. A scan of 300 MB then took 220 MB of memory, and so takes none.
        let (mut low, mut high) = (Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec()));
        self.with(|db| {
            while !is_empty(&low, &high) {
                let mut rest = db.range((low.clone(), high.clone()));
                let row = match direction {
                    Direction::Ascending => rest.next(),
                    Direction::Descending => rest.next_back(),
                };
                let Some((key, value)) = row.transpose()? else { break };
                if visit(&key, &value) == ControlFlow::Break(()) {
                    break;
                }
                match direction {
                    Direction::Ascending => low = Bound::Excluded(key.to_vec()),
                    Direction::Descending => high = Bound::Excluded(key.to_vec()),
                }
            }
            Ok(())
        })
    }

    fn apply(&self, batch: &RowBatch) -> Result<(), StoreError> {
        assert_bounds(batch);
        let mut rows = sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => rows.insert(key.as_ref(), value.as_ref()),
                None => rows.remove(key.as_ref()),
            }
        }
        self.with(|db| db.apply_batch(rows))
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.with(sled::Db::size_on_disk)
    }

    fn distrust(&self, found: &str) -> Result<(), StoreError> {
        write_trust(&self.dir, &format!("distrusted {found}"))
    }

    fn close(&self) -> Result<(), StoreError> {
        let db = self.db.write().unwrap_or_else(PoisonError::into_inner).take().ok_or(StoreError::Closed)?;
        caught(|| db.flush())?;
        drop(db);
        sync_all(&self.dir.join(ROWS)).map_err(|error| io(&self.dir, &error))?;
        OsDisk.sync_dir(&self.dir).map_err(|error| io(&self.dir, &error))?;
        // A distrust that was written stays: the rows were damaged before they were synced.
        match read_trust(&self.dir) {
            Some(text) if text.starts_with("open ") => write_trust(&self.dir, "closed"),
            _ => Ok(()),
        }
    }
}

fn removed(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(dir, &error)),
        _ => Ok(()),
    }
}

/// Tells why rows that may be there cannot be trusted.
fn distrust(dir: &Path, boot_id: &str) -> Option<Distrust> {
    let text = read_trust(dir);
    let text = text.as_deref();
    match text.map(|text| text.split_once(' ').unwrap_or((text, ""))) {
        Some(("closed", _)) => None,
        // Where the boot has no id, no stop of the machine would be noticed.
        Some(("open", boot)) if !boot_id.is_empty() && boot == boot_id => None,
        Some(("open", _)) => Some(Distrust::MachineStopped),
        Some(("distrusted", found)) => Some(Distrust::Damaged(found.to_owned())),
        Some(_) => Some(Distrust::Damaged(format!("{TRUST} says {text:?}"))),
        None => Some(Distrust::Damaged(format!("there is no file {TRUST} beside the rows"))),
    }
}

/// What cannot be read is no word of trust: rows are built anew rather than kept from starting a hub.
fn read_trust(dir: &Path) -> Option<String> {
    match OsDisk.read(&dir.join(TRUST), TRUST_BYTES_MAX) {
        Ok(bytes) => Some(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => Some(error.to_string()),
    }
}

fn write_trust(dir: &Path, text: &str) -> Result<(), StoreError> {
    let line: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(1000).collect();
    OsDisk.write_atomically(&dir.join(TRUST), format!("{line}\n").as_bytes()).map_err(|error| io(dir, &error))
}

/// Moves rows out of the way, if there are any. One set of each kind is kept for whoever wants to know what happened.
fn put_aside(dir: &Path, why: Distrust) -> Result<Option<SetAside>, StoreError> {
    let rows = dir.join(ROWS);
    if !fs::exists(&rows).map_err(|error| io(&rows, &error))? {
        return Ok(None);
    }
    let to = dir.join(why.place());
    removed(&to)?;
    fs::rename(&rows, &to).map_err(|error| io(&rows, &error))?;
    OsDisk.sync_dir(dir).map_err(|error| io(dir, &error))?;
    Ok(Some(SetAside { why, to }))
}

fn open_rows(rows: &Path, cache_bytes: u64) -> Result<sled::Db, StoreError> {
    let config =
        sled::Config::new().path(rows).cache_capacity(cache_bytes).flush_every_ms(Some(FLUSH_EVERY_MS));
    for _ in 1..UNLOCK_TRIES {
        match caught(|| config.open()) {
            // No other process: this one holds the lock of the folder.
            Err(StoreError::Io(text)) if text.contains("could not acquire lock") => {
                std::thread::sleep(UNLOCK_PAUSE);
            }
            opened => return opened,
        }
    }
    caught(|| config.open())
}

/// Tells whether no key is between bounds: sled takes no range whose bounds cross.
fn is_empty(low: &Bound<Vec<u8>>, high: &Bound<Vec<u8>>) -> bool {
    match (low, high) {
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
        _ => false,
    }
}

fn caught<T>(run: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(sled::Error::Io(error))) => Err(StoreError::Io(in_words(&error.to_string()).to_owned())),
        Ok(Err(error)) => Err(StoreError::Damaged(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(StoreError::Damaged(format!("sled panicked: {}", text.unwrap_or_default())))
        }
    }
}

/// What the system said, of an error that sled made to text as it prints it to a programmer.
fn in_words(text: &str) -> &str {
    let message = text.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"'));
    message.map_or(text, |(message, _)| message)
}

/// Syncs every file and folder: sled itself leaves some of what it wrote to the system.
fn sync_all(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        } else {
            fs::File::open(entry.path())?.sync_all()?;
        }
    }
    OsDisk.sync_dir(dir)
}

fn io(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Io(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tempfile::TempDir;

    use super::super::contract::{self, batch};
    use super::*;

    fn options(dir: &Path, boot_id: &str) -> SledOptions {
        SledOptions { dir: dir.to_owned(), boot_id: boot_id.into(), cache_bytes: 8 << 20 }
    }

    fn opened(dir: &Path, boot_id: &str) -> (SledStore, Option<Distrust>) {
        let OpenedSled { store, set_aside } = SledStore::open(&options(dir, boot_id)).unwrap();
        (store, set_aside.map(|it| it.why))
    }

    fn with_a_row(dir: &Path) -> SledStore {
        let (store, aside) = opened(dir, "boot-1");
        assert_eq!(aside, None);
        store.apply(&batch(&[(b"key", Some(b"value"))])).unwrap();
        store
    }

    fn has_the_row(store: &SledStore) -> bool {
        store.row(b"key").unwrap().is_some()
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

    #[test]
    fn sled_store_keeps_the_contract() {
        let dirs = RefCell::new(Vec::new());
        contract::keeps_the_contract(|| {
            let dir = TempDir::new().unwrap();
            let (store, _) = opened(dir.path(), "boot-1");
            dirs.borrow_mut().push(dir);
            Box::new(store)
        });
    }

    #[test]
    fn sled_stores_keep_the_contract() {
        let dir = TempDir::new().unwrap();
        let on = |boot_id: &str| SledStores { boot_id: boot_id.into() };
        contract::keeps_stores(dir.path(), &on("boot-1"), || Arc::new(on("boot-2")));
    }

    #[test]
    fn closed_rows_are_trusted_on_another_boot() {
        let dir = TempDir::new().unwrap();
        with_a_row(dir.path()).close().unwrap();
        let (store, aside) = opened(dir.path(), "boot-2");
        assert_eq!((has_the_row(&store), aside), (true, None));
    }

    #[test]
    fn rows_of_a_stopped_process_are_trusted_on_the_same_boot_alone() {
        let dir = TempDir::new().unwrap();
        drop(with_a_row(dir.path()));
        let (store, aside) = opened(dir.path(), "boot-1");
        assert_eq!((has_the_row(&store), aside), (true, None));
        drop(store);
        let (store, aside) = opened(dir.path(), "boot-2");
        assert_eq!((has_the_row(&store), aside), (false, Some(Distrust::MachineStopped)));
        assert!(dir.path().join("rows-untrusted").exists());
    }

    #[test]
    fn clean_close_counts_once() {
        let dir = TempDir::new().unwrap();
        with_a_row(dir.path()).close().unwrap();
        drop(opened(dir.path(), "boot-2"));
        let (store, aside) = opened(dir.path(), "boot-3");
        assert_eq!((has_the_row(&store), aside), (false, Some(Distrust::MachineStopped)));
    }

    #[test]
    fn distrusted_rows_are_set_aside_even_after_a_clean_close() {
        let dir = TempDir::new().unwrap();
        let store = with_a_row(dir.path());
        store.distrust("row 61 is damaged:\nno stage").unwrap();
        store.close().unwrap();
        drop(store);
        let (store, aside) = opened(dir.path(), "boot-1");
        let why = Distrust::Damaged("row 61 is damaged: no stage".into());
        assert_eq!((has_the_row(&store), aside), (false, Some(why)));
    }

    #[test]
    fn rows_without_word_of_their_trust_are_set_aside() {
        let long = "closed".repeat(1000);
        for text in [None, Some(""), Some("closed?"), Some("open"), Some(&*long)] {
            let dir = TempDir::new().unwrap();
            with_a_row(dir.path()).close().unwrap();
            let trust = dir.path().join(TRUST);
            text.map_or_else(|| fs::remove_file(&trust), |text| fs::write(&trust, text)).unwrap();
            let (store, aside) = opened(dir.path(), "boot-1");
            assert!(!has_the_row(&store) && aside.is_some(), "{text:?}");
        }
    }

    #[test]
    fn folder_in_use_is_refused_and_left_alone() {
        let dir = TempDir::new().unwrap();
        let store = with_a_row(dir.path());
        for boot_id in ["boot-1", "boot-2"] {
            assert!(matches!(SledStore::open(&options(dir.path(), boot_id)), Err(StoreError::Io(_))));
        }
        assert!(has_the_row(&store));
    }

    #[test]
    fn aside_is_kept_once_a_kind() {
        let dir = TempDir::new().unwrap();
        for boot in 0..4 {
            let (store, aside) = opened(dir.path(), &boot.to_string());
            assert_eq!(aside.is_some(), boot > 0);
            store.apply(&batch(&[(b"key", Some(b"value"))])).unwrap();
        }
        let names = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect::<Vec<_>>();
        assert_eq!(
            names.iter().filter(|it| it.to_string_lossy().starts_with("rows-")).count(),
            1,
            "{names:?}"
        );
    }

    #[test]
    fn what_a_killed_process_leaves_is_whole_batches() {
        let (dir, copies) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (store, _) = opened(dir.path(), "boot-1");
        let mut newest = 0;
        for number in 0..300_u32 {
            let value = [number.to_be_bytes(); 100].concat();
            let rows: Vec<_> = (0..20_u8).map(|key| [key]).collect();
            let rows: Vec<(&[u8], Option<&[u8]>)> =
                rows.iter().map(|key| (&key[..], Some(&value[..]))).collect();
            store.apply(&batch(&rows)).unwrap();
            if number % 30 == 0 {
                let to = copies.path().join(number.to_string());
                copy(dir.path(), &to);
                let (found, aside) = opened(&to, "boot-1");
                assert_eq!(aside, None);
                let values: Vec<_> = (0..20_u8).map(|key| found.row(&[key]).unwrap()).collect();
                assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "at batch {number}");
                let found =
                    values[0].as_ref().map_or(0, |it| u32::from_be_bytes(it[..4].try_into().unwrap()));
                assert!((newest..=number).contains(&found), "at batch {number}: {found}");
                newest = found;
            }
        }
    }

    #[test]
    fn damage_anywhere_is_an_error_or_an_empty_store_never_a_panic() {
        let dir = TempDir::new().unwrap();
        let store = with_a_row(dir.path());
        let value = [9; 1000];
        for number in 0..2000_u32 {
            store.apply(&batch(&[(&number.to_be_bytes(), Some(&value))])).unwrap();
        }
        store.close().unwrap();
        drop(store);
        let files = ["rows/db", "rows/conf"];
        for (number, place) in (0..40_u64).flat_map(|place| [(0, place), (1, place)]) {
            let copies = TempDir::new().unwrap();
            copy(dir.path(), copies.path());
            let path = copies.path().join(files[number]);
            let mut bytes = fs::read(&path).unwrap();
            let at = usize::try_from(place * bytes.len() as u64 / 40).unwrap();
            bytes[at] ^= 0x55;
            fs::write(&path, bytes).unwrap();
            let OpenedSled { store, .. } = SledStore::open(&options(copies.path(), "boot-1")).unwrap();
            let _ = store.scan(&[0], &[255], Direction::Ascending, &mut |_, found| {
                assert!(found == value || found == b"value");
                ControlFlow::Continue(())
            });
        }
    }
}
