//! What is told of a file holds through crashes, faults, bounds and time.

mod syncs;

use std::path::Path;
use std::sync::Arc;

use super::partial::{Digested, Known, Partial, PartialError};
use super::shelf::Shelf;
use super::store::{Have, ORPHAN_US, Room, Store, StoreError, UNPUBLISHED_MAX, Upload};
use super::{DiskError, SYNC_BYTES};
use crate::host::disk::{CrashStyle, Disk as _, Fault, FaultPoint, MemoryDisk, OpenMode};
use crate::host::random::{Random as _, SeededRandom};
use crate::model::envelope::{FILE_BYTES_MAX, FileDigest, FileRef};
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::model::refusal::Reason;

const NOW: UnixMicros = UnixMicros(1_700_000_000_000_000);
const ROOMY: Room = Room { office_bytes_max: 1 << 40, disk_reserve_bytes: 0 };

fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    SeededRandom::new(seed).fill(&mut content);
    content
}

fn file_of(content: &[u8]) -> FileRef {
    let mut digested = Digested::nothing();
    digested.take(content);
    FileRef { digest: digested.finish(), bytes: content.len() as u64 }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn iachr() -> Name {
    name("iachr")
}

fn open(disk: &MemoryDisk, room: Room, now: UnixMicros) -> Arc<Store> {
    Store::open(Arc::new(disk.clone()), "/hub/files".into(), room, now).unwrap()
}

fn begin_upload(store: &Arc<Store>, file: FileRef) -> Upload {
    let have = store.begin(&iachr(), file, NOW).unwrap();
    let mut upload = store.upload(&iachr(), file, have.bytes).unwrap();
    while !upload.catch_up().unwrap() {}
    upload
}

fn hand_up(store: &Arc<Store>, content: &[u8]) -> FileRef {
    let file = file_of(content);
    let mut upload = begin_upload(store, file);
    upload.take(content).unwrap();
    upload.finish().unwrap();
    file
}

#[track_caller]
fn reason<T>(result: Result<T, StoreError>) -> Reason {
    match result.err().expect("it is refused") {
        StoreError::Refused(refusal) => refusal.reason,
        StoreError::Disk(error) => panic!("{error}"),
    }
}

fn whole(store: &Store, file: &FileRef) -> Option<Vec<u8>> {
    let open = store.read(&iachr(), &file.digest).ok()?;
    let mut bytes = vec![0; usize::try_from(open.len().unwrap()).unwrap()];
    open.read_exact_at(&mut bytes, 0).unwrap();
    Some(bytes)
}

fn names(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.list(Path::new("/hub/files/iachr")).unwrap_or_default();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

#[test]
fn what_was_told_to_be_whole_is_whole_after_every_crash_and_everything_else_goes_on() {
    let disk = MemoryDisk::new();
    let content = content(1, 5_000);
    let file = file_of(&content);
    disk.record();
    let store = open(&disk, ROOMY, NOW);
    let mut upload = begin_upload(&store, file);
    for piece in content.chunks(1_700) {
        upload.take(piece).unwrap();
    }
    upload.finish().unwrap();
    let operations = disk.recorded();
    let told_at = operations.len();
    let styles = [CrashStyle::ProcessEnd, CrashStyle::DropUnsynced].into_iter();
    let styles: Vec<_> = styles.chain((0..8).map(|seed| CrashStyle::Torn { seed })).collect();
    let (replayed, mut resumed) = (MemoryDisk::new(), 0);
    for (done, operation) in (1..).zip(&operations) {
        replayed.replay(operation).unwrap();
        for style in &styles {
            let disk = replayed.crash(*style);
            let store = open(&disk, ROOMY, NOW);
            let found = whole(&store, &file);
            assert!(found.as_ref().is_none_or(|found| *found == content), "a name for other bytes");
            assert!(found.is_some() || done < told_at, "told to be whole, and lost by {style:?}");
            let have = store.begin(&iachr(), file, NOW).unwrap();
            if have.whole {
                continue;
            }
            resumed += u64::from(have.bytes > 0);
            let go_on = |have: Have| {
                let mut upload = store.upload(&iachr(), file, have.bytes).unwrap();
                while !upload.catch_up().unwrap() {}
                upload.take(&content[usize::try_from(have.bytes).unwrap()..]).unwrap();
                upload.finish()
            };
            if let Err(error) = go_on(have) {
                // The crash of a machine left other bytes than were written: found out, and begun anew.
                assert!(matches!(style, CrashStyle::Torn { .. }), "{style:?}: {error}");
                let have = store.begin(&iachr(), file, NOW).unwrap();
                assert_eq!(have.bytes, 0);
                go_on(have).unwrap();
            }
            assert_eq!(whole(&store, &file), Some(content.clone()));
        }
    }
    assert!(resumed > 5, "some went on in the middle");
}

#[test]
fn an_upload_goes_on_where_it_was_cut_at_any_byte() {
    let content = content(2, 300);
    let file = file_of(&content);
    for cut in 0..=content.len() {
        let store = open(&MemoryDisk::new(), ROOMY, NOW);
        let mut upload = begin_upload(&store, file);
        upload.take(&content[..cut]).unwrap();
        drop(upload);
        let have = store.begin(&iachr(), file, NOW).unwrap();
        assert_eq!(have, Have { bytes: cut as u64, whole: false });
        let mut upload = store.upload(&iachr(), file, have.bytes).unwrap();
        upload.take(&content[cut..]).unwrap();
        upload.finish().unwrap();
        assert_eq!(whole(&store, &file), Some(content.clone()));
    }
}

#[test]
fn a_newer_upload_ends_an_older_one_which_then_changes_nothing() {
    let store = open(&MemoryDisk::new(), ROOMY, NOW);
    let content = content(3, 100);
    let file = file_of(&content);
    let mut older = begin_upload(&store, file);
    older.take(&content[..10]).unwrap();
    let have = store.begin(&iachr(), file, NOW).unwrap();
    assert_eq!(have.bytes, 10);
    assert_eq!(reason(older.take(&content[10..20])), Reason::Busy);
    let mut newer = store.upload(&iachr(), file, 10).unwrap();
    while !newer.catch_up().unwrap() {}
    assert_eq!(reason(older.finish()), Reason::Busy);
    newer.take(&content[10..]).unwrap();
    newer.finish().unwrap();
    assert_eq!(whole(&store, &file), Some(content));
}

#[test]
fn other_bytes_are_dropped_and_more_bytes_are_not_taken() {
    let disk = MemoryDisk::new();
    let store = open(&disk, ROOMY, NOW);
    let content = content(4, 64);
    let file = file_of(&content);
    let mut upload = begin_upload(&store, file);
    upload.take(&[7; 64]).unwrap();
    assert_eq!(reason(upload.take(&[7])), Reason::FileMismatch);
    assert_eq!(reason(upload.finish()), Reason::FileMismatch);
    assert_eq!(names(&disk), [format!("{}.since", file.digest)]);
    assert_eq!(store.begin(&iachr(), file, NOW).unwrap(), Have { bytes: 0, whole: false });
    assert_eq!(reason(store.begin(&iachr(), FileRef { bytes: 65, ..file }, NOW)), Reason::FileMismatch);
    let mut short = begin_upload(&store, file);
    short.take(&content[..63]).unwrap();
    assert_eq!(reason(short.finish()), Reason::FileMismatch);
    assert_eq!(store.begin(&iachr(), file, NOW).unwrap().bytes, 63, "what came stays");
}

#[test]
fn bytes_come_only_of_what_was_announced_and_from_where_they_are_missing() {
    let store = open(&MemoryDisk::new(), ROOMY, NOW);
    let file = file_of(b"abc");
    assert_eq!(reason(store.upload(&iachr(), file, 0)), Reason::FileMissing);
    store.begin(&iachr(), file, NOW).unwrap();
    assert_eq!(reason(store.upload(&iachr(), file, 1)), Reason::FieldInvalid);
    assert_eq!(reason(store.upload(&name("ohchr-mexico"), file, 0)), Reason::FileMissing);
    let huge = FileRef { bytes: FILE_BYTES_MAX + 1, ..file };
    assert_eq!(reason(store.begin(&iachr(), huge, NOW)), Reason::TooLarge);
}

#[test]
fn one_offices_bytes_never_serve_for_another() {
    let store = open(&MemoryDisk::new(), ROOMY, NOW);
    let file = hand_up(&store, b"of iachr");
    let other = name("ohchr-mexico");
    assert_eq!(store.begin(&other, file, NOW).unwrap(), Have { bytes: 0, whole: false });
    assert_eq!(store.pin(&other, &[file]).unwrap_err().reason, Reason::FileMissing);
    assert!(store.pin(&iachr(), &[file]).is_ok());
    assert!(store.read(&other, &file.digest).is_err());
}

#[test]
fn an_office_has_its_quota_with_what_it_announced_also_after_a_start() {
    let disk = MemoryDisk::new();
    let room = Room { office_bytes_max: 100, ..ROOMY };
    let store = open(&disk, room, NOW);
    hand_up(&store, &content(5, 60));
    let announced = file_of(&content(6, 30));
    store.begin(&iachr(), announced, NOW).unwrap();
    let more = file_of(&content(7, 11));
    for store in [store, open(&disk, room, NOW)] {
        assert_eq!(store.office_bytes(&iachr()), 90);
        assert_eq!(reason(store.begin(&iachr(), more, NOW)), Reason::QuotaExceeded);
        store.begin(&iachr(), announced, NOW).expect("what was announced is counted once");
        store.begin(&name("ohchr-mexico"), more, NOW).expect("another office has its own");
    }
}

#[test]
fn an_office_keeps_so_many_files_without_a_message_and_no_more() {
    let store = open(&MemoryDisk::new(), ROOMY, NOW);
    let file = |number: usize| file_of(&number.to_le_bytes());
    for number in 0..UNPUBLISHED_MAX {
        store.begin(&iachr(), file(number), NOW).unwrap();
    }
    assert_eq!(reason(store.begin(&iachr(), file(UNPUBLISHED_MAX), NOW)), Reason::QuotaExceeded);
}

#[test]
fn the_reserve_is_kept_counting_what_is_in_flight() {
    let disk = MemoryDisk::new();
    let store = open(&disk, ROOMY, NOW);
    let (one, two) = (content(8, 600), content(9, 300));
    let free = |bytes| {
        disk.set_capacity_bytes(u64::MAX);
        disk.set_capacity_bytes(disk_used(&disk) + bytes);
    };
    free(1_000);
    store.adopt(Room { disk_reserve_bytes: 200, ..ROOMY });
    let mut upload = begin_upload(&store, file_of(&one));
    // 1,000 are free, 200 stay, 600 come.
    assert_eq!(reason(store.begin(&iachr(), file_of(&two), NOW)), Reason::DiskReserve);
    upload.take(&one[..100]).unwrap();
    assert_eq!(reason(store.begin(&iachr(), file_of(&two), NOW)), Reason::DiskReserve);
    drop(upload);
    store.begin(&iachr(), file_of(&two), NOW).expect("nothing is in flight");
    free(150);
    assert_eq!(reason(store.upload(&iachr(), file_of(&two), 0)), Reason::DiskReserve);
}

fn disk_used(disk: &MemoryDisk) -> u64 {
    u64::MAX - disk.free_bytes(Path::new("/hub/files")).unwrap()
}

#[test]
fn what_goes_on_for_long_stops_before_the_reserve() {
    let disk = MemoryDisk::new();
    let store = open(&disk, Room { disk_reserve_bytes: 1_000, ..ROOMY }, NOW);
    let piece = content(10, usize::try_from(SYNC_BYTES).unwrap());
    let file = FileRef { digest: FileDigest([1; 32]), bytes: 10 * SYNC_BYTES };
    let mut upload = begin_upload(&store, file);
    upload.take(&piece).unwrap();
    assert_eq!(upload.sync().unwrap().run().unwrap(), SYNC_BYTES);
    // Somebody else has filled the disk.
    disk.set_capacity_bytes(disk_used(&disk) + SYNC_BYTES + 999);
    upload.take(&piece).unwrap();
    assert_eq!(reason(upload.sync().unwrap().run()), Reason::DiskReserve);
    drop(upload);
    assert_eq!(reason(store.begin(&iachr(), file, NOW)), Reason::DiskReserve);
}

#[test]
fn what_belongs_to_no_message_is_cleared_after_a_day_whole_or_not() {
    let disk = MemoryDisk::new();
    let store = open(&disk, ROOMY, NOW);
    let (published, orphan) = (hand_up(&store, b"published"), hand_up(&store, b"orphan"));
    let begun = file_of(b"begun");
    begin_upload(&store, begun).take(b"be").unwrap();
    let pinned = hand_up(&store, b"pinned");
    let needed = |_: &Name, digest: &FileDigest| Ok::<_, DiskError>(*digest == published.digest);
    let later = |us| UnixMicros(NOW.0 + us);
    assert_eq!(store.clear(later(ORPHAN_US - 1), needed).unwrap(), 0);
    let pins = store.pin(&iachr(), &[pinned]).unwrap();
    // The count of days goes on over a restart.
    assert_eq!(
        open(&disk.crash(CrashStyle::ProcessEnd), ROOMY, later(ORPHAN_US))
            .clear(later(ORPHAN_US), needed)
            .unwrap(),
        3
    );
    assert_eq!(store.clear(later(ORPHAN_US), needed).unwrap(), 2);
    assert_eq!(
        names(&disk),
        sorted([published.digest.to_string(), pinned.digest.to_string(), format!("{}.since", pinned.digest)])
    );
    assert!(whole(&store, &orphan).is_none() && whole(&store, &published).is_some());
    drop(pins);
    assert_eq!(store.clear(later(ORPHAN_US), needed).unwrap(), 1);
    assert_eq!(names(&disk), [published.digest.to_string()]);
    assert_eq!(store.clear(later(9 * ORPHAN_US), needed).unwrap(), 0, "what is of a message stays with it");
    assert_eq!(store.office_bytes(&iachr()), 9);
}

fn sorted<const N: usize>(mut names: [String; N]) -> [String; N] {
    names.sort();
    names
}

#[test]
fn announcing_again_begins_the_day_anew() {
    let disk = MemoryDisk::new();
    let store = open(&disk, ROOMY, NOW);
    let file = hand_up(&store, b"again");
    let later = |us| UnixMicros(NOW.0 + us);
    assert!(store.begin(&iachr(), file, later(ORPHAN_US)).unwrap().whole);
    let no = |_: &Name, _: &FileDigest| Ok::<_, DiskError>(false);
    assert_eq!(store.clear(later(ORPHAN_US + 1), no).unwrap(), 0);
    assert_eq!(open(&disk, ROOMY, NOW).clear(later(2 * ORPHAN_US), no).unwrap(), 1);
}

#[test]
fn what_is_forgotten_leaves_no_bytes_and_no_name() {
    let disk = MemoryDisk::new();
    let store = Arc::new(open(&disk, ROOMY, NOW));
    let file = hand_up(&store, b"a name that must go");
    let reader = store.read(&iachr(), &file.digest).unwrap();
    let forget = |needed| store.forget(&iachr(), &file.digest, || Ok::<_, DiskError>(needed)).unwrap();
    assert!(forget(true), "a message needs it");
    let mut left = [1; 19];
    reader.read_exact_at(&mut left, 0).unwrap();
    assert_eq!(&left, b"a name that must go");
    let pins = store.pin(&iachr(), &[file]).unwrap();
    assert!(!forget(false), "a message with it is being decided");
    drop(pins);
    assert!(forget(false));
    let mut left = [1; 19];
    reader.read_exact_at(&mut left, 0).unwrap();
    assert_eq!((left, names(&disk).len(), store.office_bytes(&iachr())), ([0; 19], 0, 0));
    assert!(forget(false), "again is nothing");
}

#[test]
fn a_write_that_failed_leaves_nothing_that_counts() {
    let disk = MemoryDisk::new();
    let store = open(&disk, ROOMY, NOW);
    let content = content(11, 100);
    let file = file_of(&content);
    let mut upload = begin_upload(&store, file);
    upload.take(&content[..40]).unwrap();
    disk.inject(Fault {
        point: FaultPoint::Write,
        after: 0,
        error: std::io::ErrorKind::Other,
        carried_out: true,
    });
    assert!(matches!(upload.take(&[9; 20]), Err(StoreError::Disk(_))));
    drop(upload);
    let have = store.begin(&iachr(), file, NOW).unwrap();
    assert_eq!(have.bytes, 40);
    let mut upload = store.upload(&iachr(), file, 40).unwrap();
    upload.take(&content[40..]).unwrap();
    upload.finish().unwrap();
    assert_eq!(whole(&store, &file), Some(content));
}

#[test]
fn a_sync_that_failed_leaves_the_file_unfinished() {
    let disk = MemoryDisk::new();
    let store = open(&disk, ROOMY, NOW);
    let file = file_of(b"not yet");
    let mut upload = begin_upload(&store, file);
    upload.take(b"not yet").unwrap();
    disk.inject(Fault {
        point: FaultPoint::Sync,
        after: 0,
        error: std::io::ErrorKind::Other,
        carried_out: false,
    });
    assert!(matches!(upload.finish(), Err(StoreError::Disk(_))));
    assert!(store.pin(&iachr(), &[file]).is_err() && whole(&store, &file).is_none());
}

#[test]
fn one_process_at_a_time_makes_a_desks_file_grow() {
    let disk = MemoryDisk::new();
    let shelf = Shelf::at(Arc::new(disk.clone()), "/home/files".into());
    let file = file_of(b"shelved");
    assert!(!shelf.has(&file).unwrap());
    let held = shelf.grow(&file).unwrap().expect("nobody has it");
    assert!(shelf.grow(&file).unwrap().is_none());
    let mut partial = shelf.partial(&held, file).unwrap();
    partial.append(b"shel").unwrap();
    drop((partial, held));
    let held = shelf.grow(&file).unwrap().expect("it was let go");
    let mut partial = shelf.partial(&held, file).unwrap();
    assert_eq!(partial.have(), 4);
    while !partial.catch_up().unwrap() {}
    partial.append(b"ved").unwrap();
    partial.finish().unwrap();
    drop(held);
    assert!(shelf.has(&file).unwrap());
    drop(shelf.grow(&file).unwrap());
    assert_eq!(disk.list(Path::new("/home/files")).unwrap(), [file.digest.to_string().as_str()]);
    shelf.forget(&file).unwrap();
    assert!(!shelf.has(&file).unwrap());
}

#[test]
fn longer_leftovers_of_another_file_are_not_taken_for_its_beginning() {
    let disk = MemoryDisk::new();
    let dir = Path::new("/d");
    disk.create_dir_all(dir).unwrap();
    let file = file_of(b"short");
    let part = disk.open(&dir.join(format!("{}.part", file.digest)), OpenMode::CreateNew).unwrap();
    part.write_all_at(&[1; 9], 0).unwrap();
    let partial = Partial::open(Arc::new(disk), dir, file, Known::NOTHING).unwrap();
    assert_eq!(partial.have(), 0);
    assert!(matches!(partial.finish(), Err(PartialError::Mismatch { .. })));
}
