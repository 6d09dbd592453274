//! What a sync beside an upload has told to be there is there; of one that failed nothing counts, for whoever goes on.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{NOW, ROOMY, begin_upload, content, file_of, hand_up, iachr, open, reason, whole};
use crate::files::store::{Store, StoreError, Upload};
use crate::host::disk::{CrashStyle, Disk, DiskFile, Fault, FaultPoint, Lock, MemoryDisk, OpenMode};
use crate::model::envelope::FileRef;
use crate::model::refusal::Reason;

const BROKEN: Fault =
    Fault { point: FaultPoint::Sync, after: 0, error: io::ErrorKind::Other, carried_out: false };

#[test]
fn what_a_failed_sync_left_is_never_taken_for_written() {
    let content = content(21, 5_000);
    let file = file_of(&content);
    // A sync beside what comes; one that is waited for when all has come; one at the end.
    for (came, beside) in [(3_000, true), (5_000, true), (5_000, false)] {
        let disk = MemoryDisk::new();
        let store = open(&disk, ROOMY, NOW);
        let mut upload = begin_upload(&store, file);
        upload.take(&content[..came]).unwrap();
        disk.inject(BROKEN);
        if beside {
            let sync = upload.sync().unwrap();
            upload.take(&content[came..]).unwrap();
            assert!(matches!(sync.run(), Err(StoreError::Disk(_))));
            assert_eq!(reason(upload.take(b"")), Reason::Busy, "it does not go on");
        }
        assert!(upload.finish().is_err(), "{came} bytes");
        let have = store.begin(&iachr(), file, NOW).unwrap();
        assert_eq!((have.bytes, have.whole), (0, false), "{came} bytes: what is not known to be there");
        assert_eq!(
            open(&disk, ROOMY, NOW).begin(&iachr(), file, NOW).unwrap().bytes,
            0,
            "nor for the next run"
        );
        hand_up(&store, &content);
        let left = disk.crash(CrashStyle::DropUnsynced);
        assert_eq!(whole(&open(&left, ROOMY, NOW), &file), Some(content.clone()), "{came} bytes");
    }
}

#[test]
fn a_sync_that_fails_in_the_midst_of_a_write_leaves_nothing_of_it() {
    let content = content(22, 5_000);
    let file = file_of(&content);
    for written_first in [false, true] {
        let memory = MemoryDisk::new();
        let disk = Between { disk: memory.clone(), written_first, then: Arc::default() };
        let store = Store::open(Arc::new(disk.clone()), "/hub/files".into(), ROOMY, NOW).unwrap();
        let mut upload = begin_upload(&store, file);
        upload.take(&content[..3_000]).unwrap();
        let sync = upload.sync().unwrap();
        memory.inject(BROKEN);
        *disk.then.lock().unwrap() = Some(Box::new(move || assert!(sync.run().is_err())));
        assert_eq!(reason(upload.take(&content[3_000..])), Reason::Busy, "it does not go on");
        drop(upload);
        for store in [&store, &open(&memory, ROOMY, NOW)] {
            assert_eq!(store.begin(&iachr(), file, NOW).unwrap().bytes, 0, "written first: {written_first}");
        }
        hand_up(&store, &content);
        assert_eq!(
            whole(&open(&memory.crash(CrashStyle::DropUnsynced), ROOMY, NOW), &file),
            Some(content.clone())
        );
    }
}

/// A store with an upload of which `who` has come and `le` has not.
fn begun(disk: impl Disk + 'static) -> (Arc<Store>, FileRef, Upload) {
    let store = Store::open(Arc::new(disk), "/hub/files".into(), ROOMY, NOW).unwrap();
    let file = file_of(b"whole");
    let mut upload = begin_upload(&store, file);
    upload.take(b"who").unwrap();
    (store, file, upload)
}

fn end(mut upload: Upload) {
    upload.take(b"le").unwrap();
    upload.finish().unwrap();
}

#[test]
fn what_came_is_not_gone_on_from_while_it_may_turn_out_not_to_be_there() {
    let (store, file, upload) = begun(MemoryDisk::new());
    let [first, second] = [upload.sync().unwrap(), upload.sync().unwrap()];
    drop(upload);
    assert_eq!(store.begin(&iachr(), file, NOW).unwrap().bytes, 3);
    assert_eq!(reason(store.upload(&iachr(), file, 3).map(drop)), Reason::Busy);
    assert_eq!(first.run().unwrap(), 3);
    assert_eq!(reason(store.upload(&iachr(), file, 3).map(drop)), Reason::Busy);
    assert_eq!(second.run().unwrap(), 3);
    end(begin_upload(&store, file));
    assert_eq!(whole(&store, &file).unwrap(), b"whole");
}

#[test]
fn nothing_of_a_file_counts_any_more_when_a_failed_sync_cuts_it() {
    let memory = MemoryDisk::new();
    let disk = Between { disk: memory.clone(), written_first: false, then: Arc::default() };
    let (store, file, upload) = begun(disk.clone());
    let sync = upload.sync().unwrap();
    memory.inject(BROKEN);
    *disk.then.lock().unwrap() =
        Some(Box::new(move || assert_eq!(store.begin(&iachr(), file, NOW).unwrap().bytes, 0)));
    assert!(sync.run().is_err());
    assert!(disk.then.lock().unwrap().is_none(), "it was cut");
}

#[test]
fn a_sync_is_good_for_what_had_come_when_it_began() {
    let disk = MemoryDisk::new();
    let (_, file, mut upload) = begun(disk.clone());
    let sync = upload.sync().unwrap();
    upload.take(b"l").unwrap();
    upload.synced_to(sync.run().unwrap());
    assert_eq!(upload.unsynced(), 1);
    upload.take(b"e").unwrap();
    upload.finish().unwrap();
    assert_eq!(whole(&open(&disk.crash(CrashStyle::DropUnsynced), ROOMY, NOW), &file).unwrap(), b"whole");
}

#[test]
fn a_failed_sync_of_a_file_that_was_cleared_ends_no_other() {
    let disk = MemoryDisk::new();
    let (store, file, upload) = begun(disk.clone());
    let sync = upload.sync().unwrap();
    store.forget(&iachr(), &file.digest, || Ok::<_, super::DiskError>(false)).unwrap();
    let mut upload = begin_upload(&store, file);
    upload.take(b"who").unwrap();
    disk.inject(BROKEN);
    assert!(sync.run().is_err());
    end(upload);
    assert_eq!(whole(&store, &file).unwrap(), b"whole");
}

type Then = Box<dyn FnOnce() + Send>;

/// A disk in which something happens once just before or just after a write, or just before a file is cut.
#[derive(Clone)]
struct Between {
    disk: MemoryDisk,
    written_first: bool,
    then: Arc<Mutex<Option<Then>>>,
}

struct BetweenFile(Arc<dyn DiskFile>, Between);

impl Between {
    fn happen(&self) {
        let then = self.then.lock().unwrap().take();
        if let Some(then) = then {
            then();
        }
    }
}

impl Disk for Between {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir_all(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(BetweenFile(self.disk.open(path, mode)?, self.clone())))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.disk.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        self.disk.lock(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }
}

impl DiskFile for BetweenFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if !self.1.written_first {
            self.1.happen();
        }
        self.0.write_all_at(bytes, offset)?;
        self.1.happen();
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.1.happen();
        self.0.set_len(len)
    }
}
