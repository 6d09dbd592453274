//! What every disk does, whatever it is made of; and what a crash leaves of a disk in memory.

use std::io::ErrorKind;
use std::path::Path;

use super::*;

fn keeps_the_contract(disk: &dyn Disk, root: &Path) {
    folders_and_names(disk, root);
    contents(disk, root);
    locks(disk, root);
    let dir = root.join("atomic");
    disk.create_dir_all(&dir).unwrap();
    let path = dir.join("file");
    disk.write_atomically(&path, b"first, longer").unwrap();
    disk.write_atomically(&path, b"second").unwrap();
    assert_eq!(disk.read(&path, 6).unwrap(), b"second");
    assert_eq!(disk.read(&path, 5).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(disk.list(&dir).unwrap(), ["file"]);
    // Few of them, and many.
    for count in [1_u8, 40] {
        let dir = root.join("many").join(count.to_string());
        let of =
            |name: u8| (format!("{}/{name}", name % 3).into(), Bytes::from(vec![name; usize::from(name)]));
        let files: Vec<_> = (0..count).map(of).collect();
        disk.write_many(&dir, &files).unwrap();
        disk.write_many(&dir, &files).unwrap();
        for (path, bytes) in &files {
            assert_eq!(disk.read(&dir.join(path), 40).unwrap(), bytes.as_ref());
        }
        let in_the_way = [("0/0/below a file".into(), Bytes::new())];
        let error = disk.write_many(&dir, &in_the_way).unwrap_err();
        assert!(error.to_string().contains("0/0/below a file"), "{error}");
    }
    assert!(disk.free_bytes(&dir).unwrap() > 0);
    assert_eq!(disk.free_bytes(&root.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
}

fn folders_and_names(disk: &dyn Disk, root: &Path) {
    let dir = root.join("deep/er");
    disk.create_dir_all(&dir).unwrap();
    disk.create_dir_all(&dir).unwrap();
    assert_eq!(disk.list(&root.join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    let (one, two, three) = (dir.join("b"), dir.join("a"), dir.join("c"));
    assert_eq!(kind(disk.open(&one, OpenMode::Read)), ErrorKind::NotFound);
    assert_eq!(kind(disk.open(&one, OpenMode::Write)), ErrorKind::NotFound);
    let file = disk.open(&one, OpenMode::CreateNew).unwrap();
    file.write_all_at(b"kept", 0).unwrap();
    assert_eq!(kind(disk.open(&one, OpenMode::CreateNew)), ErrorKind::AlreadyExists);
    assert!(disk.create_dir_all(&one.join("under a file")).is_err());
    assert!(disk.create_dir_all(&one).is_err(), "a file stands there");
    disk.open(&two, OpenMode::Replace).unwrap();
    assert_eq!(disk.list(&dir).unwrap(), ["a", "b"]);
    disk.rename(&one, &three).unwrap();
    assert_eq!(disk.rename(&one, &three).unwrap_err().kind(), ErrorKind::NotFound);
    // An open handle follows its file, not its name.
    file.write_all_at(b"KE", 0).unwrap();
    disk.rename(&three, &two).unwrap();
    disk.sync_dir(&dir).unwrap();
    assert_eq!(disk.list(&dir).unwrap(), ["a"]);
    assert_eq!(disk.read(&two, 100).unwrap(), b"KEpt");
    assert_eq!(disk.rename(&two, &root.join("a")).unwrap_err().kind(), ErrorKind::CrossesDevices);
    disk.rename(&dir, &root.join("deep/moved")).unwrap();
    let moved = root.join("deep/moved/a");
    assert_eq!(disk.read(&moved, 100).unwrap(), b"KEpt");
    assert!(disk.open(&moved, OpenMode::Replace).unwrap().is_empty().unwrap());
    disk.remove(&moved).unwrap();
    assert_eq!(disk.remove(&moved).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(disk.sync_dir(&dir).unwrap_err().kind(), ErrorKind::NotFound);
}

fn contents(disk: &dyn Disk, root: &Path) {
    let path = root.join("content");
    let file = disk.open(&path, OpenMode::CreateNew).unwrap();
    file.write_all_at(b"tail", 10).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.len().unwrap(), 14);
    let mut bytes = [1; 8];
    assert_eq!(file.read_at(&mut bytes, 8).unwrap(), 6);
    assert_eq!(&bytes[..6], b"\0\0tail");
    assert_eq!(file.read_at(&mut bytes, 14).unwrap(), 0);
    assert_eq!(file.read_at(&mut bytes, 1_000).unwrap(), 0);
    assert_eq!(file.read_exact_at(&mut bytes, 8).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    file.set_len(11).unwrap();
    file.set_len(13).unwrap();
    let reader = disk.open(&path, OpenMode::Read).unwrap();
    reader.read_exact_at(&mut bytes[..3], 10).unwrap();
    assert_eq!(&bytes[..3], b"t\0\0");
    assert_eq!(reader.write_all_at(b"x", 0).unwrap_err().raw_os_error(), Some(9));
    disk.remove(&path).unwrap();
    file.read_exact_at(&mut bytes[..3], 10).unwrap();
    assert_eq!(&bytes[..3], b"t\0\0", "an open handle outlives its name");
}

fn locks(disk: &dyn Disk, root: &Path) {
    let path = root.join("lock");
    let lock = disk.lock(&path).unwrap().unwrap();
    assert!(disk.lock(&path).unwrap().is_none());
    assert!(disk.lock(&root.join("other lock")).unwrap().is_some());
    drop(lock);
    assert!(disk.lock(&path).unwrap().is_some());
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("it is refused").kind()
}

#[test]
fn os_disk_keeps_the_contract() {
    let home = tempfile::tempdir().unwrap();
    keeps_the_contract(&OsDisk, home.path());
}

#[test]
fn memory_disk_keeps_the_contract() {
    let disk = MemoryDisk::new();
    keeps_the_contract(&disk, Path::new(""));
    keeps_the_contract(&disk, Path::new("/home/hub"));
}

fn disk_with_file(bytes: &[u8]) -> (MemoryDisk, Arc<dyn DiskFile>) {
    let disk = MemoryDisk::new();
    let file = disk.open(Path::new("file"), OpenMode::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    (disk, file)
}

fn left(disk: &MemoryDisk) -> Option<Vec<u8>> {
    disk.read(Path::new("file"), u64::MAX).ok()
}

#[test]
fn power_cut_drops_what_was_not_synced_and_a_process_end_does_not() {
    let (disk, file) = disk_with_file(b"one");
    assert_eq!(left(&disk.crash(CrashStyle::DropUnsynced)), None);
    disk.sync_dir(Path::new("")).unwrap();
    assert_eq!(
        left(&disk.crash(CrashStyle::DropUnsynced)).unwrap(),
        b"",
        "the name is there, the content not"
    );
    file.sync_data().unwrap();
    file.write_all_at(b"two", 3).unwrap();
    assert_eq!(left(&disk.crash(CrashStyle::DropUnsynced)).unwrap(), b"one");
    assert_eq!(left(&disk.crash(CrashStyle::ProcessEnd)).unwrap(), b"onetwo");
    disk.remove(Path::new("file")).unwrap();
    assert_eq!(left(&disk.crash(CrashStyle::ProcessEnd)), None);
    assert_eq!(left(&disk.crash(CrashStyle::DropUnsynced)).unwrap(), b"one");
}

#[test]
fn torn_write_leaves_whole_blocks_old_or_new_and_every_mixture_comes_up() {
    let (disk, file) = disk_with_file(&[1; 8_192]);
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    file.write_all_at(&[2; 1_600], 100).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let bytes = left(&disk.crash(CrashStyle::Torn { seed })).unwrap();
        assert_eq!(bytes.len(), 8_192);
        let blocks = [100..512, 512..1_024, 1_024..1_536, 1_536..1_700].map(|block| {
            bytes[block.clone()].iter().all(|byte| *byte == bytes[block.start]).then_some(bytes[block.start])
        });
        assert!(blocks.iter().all(Option::is_some), "a block is torn inside: seed {seed}");
        assert!(bytes[..100].iter().chain(&bytes[1_700..]).all(|byte| *byte == 1));
        seen.insert(blocks);
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn torn_names_are_a_first_part_of_the_changes() {
    let disk = MemoryDisk::new();
    for name in ["a", "b"] {
        disk.open(Path::new(name), OpenMode::CreateNew).unwrap();
    }
    disk.rename(Path::new("a"), Path::new("c")).unwrap();
    let seen = (0..100).map(|seed| disk.crash(CrashStyle::Torn { seed }).list(Path::new("")).unwrap());
    let seen: std::collections::BTreeSet<_> = seen.collect();
    let expected: [&[&str]; 4] = [&[], &["a"], &["a", "b"], &["b", "c"]];
    let expected = expected.map(|names| names.iter().map(OsString::from).collect::<Vec<_>>());
    assert_eq!(seen, expected.into());
}

#[test]
fn scattered_names_are_any_of_the_changes_and_a_length_may_be_there_without_its_bytes() {
    let disk = MemoryDisk::new();
    for name in ["a", "b"] {
        disk.open(Path::new(name), OpenMode::CreateNew).unwrap();
    }
    let crashes = || (0..100).map(|seed| disk.crash(CrashStyle::Scattered { seed }));
    let names: std::collections::BTreeSet<_> =
        crashes().map(|left| left.list(Path::new("")).unwrap()).collect();
    let expected: [&[&str]; 4] = [&[], &["a"], &["a", "b"], &["b"]];
    let expected = expected.map(|names| names.iter().map(OsString::from).collect::<Vec<_>>());
    assert_eq!(names, expected.into());
    let file = disk.open(Path::new("file"), OpenMode::CreateNew).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    file.write_all_at(b"bytes", 0).unwrap();
    let bytes: std::collections::BTreeSet<_> = crashes().map(|disk| left(&disk).unwrap()).collect();
    let expected: [&[u8]; 3] = [b"", &[0; 5], b"bytes"];
    assert_eq!(bytes, expected.map(<[u8]>::to_vec).into());
}

#[test]
fn folder_that_was_made_lasts_from_the_sync_of_the_folder_above_and_a_sync_of_all_keeps_all() {
    let disk = MemoryDisk::new();
    let made = |disk: &MemoryDisk| disk.list(&Path::new("dir").join("in")).is_ok();
    disk.replay(&Operation::MakeDir("dir".into())).unwrap();
    disk.replay(&Operation::MakeDir("dir/in".into())).unwrap();
    disk.sync_dir(Path::new("dir")).unwrap();
    assert!(!made(&disk.crash(CrashStyle::DropUnsynced)));
    disk.sync_dir(Path::new("")).unwrap();
    assert!(made(&disk.crash(CrashStyle::DropUnsynced)));
    disk.open(Path::new("file"), OpenMode::CreateNew).unwrap().write_all_at(b"kept", 0).unwrap();
    disk.replay(&Operation::RemoveDir("dir/in".into())).unwrap();
    assert!(disk.replay(&Operation::RemoveDir("".into())).is_err(), "it is not empty");
    disk.replay(&Operation::SyncAll).unwrap();
    let after = disk.crash(CrashStyle::DropUnsynced);
    assert_eq!(left(&after).unwrap(), b"kept");
    assert!(!made(&after));
}

#[test]
fn write_atomically_leaves_the_old_or_the_new_content_at_every_operation() {
    let disk = MemoryDisk::new();
    disk.write_atomically(Path::new("file"), b"old").unwrap();
    let again = disk.crash(CrashStyle::ProcessEnd);
    disk.record();
    disk.write_atomically(Path::new("file"), &[7; 2_000]).unwrap();
    let recorded = disk.recorded();
    for (done, operation) in recorded.iter().enumerate() {
        again.replay(operation).unwrap();
        for seed in 0..50 {
            let bytes = left(&again.crash(CrashStyle::Torn { seed })).unwrap();
            let last = done + 1 == recorded.len();
            assert!(bytes == [7; 2_000] || (!last && bytes == b"old"), "after {operation:?}, seed {seed}");
        }
    }
}

#[test]
fn faults_strike_once_where_they_were_put() {
    let (disk, file) = disk_with_file(b"abc");
    let fault = |point, after, carried_out| Fault { point, after, error: ErrorKind::TimedOut, carried_out };
    disk.inject(fault(FaultPoint::Write, 1, true));
    disk.inject(fault(FaultPoint::Sync, 0, false));
    disk.inject(fault(FaultPoint::Read, 0, false));
    disk.inject(fault(FaultPoint::Name, 0, false));
    file.write_all_at(b"x", 0).unwrap();
    assert_eq!(kind(file.write_all_at(b"y", 1)), ErrorKind::TimedOut);
    assert_eq!(kind(file.sync_data()), ErrorKind::TimedOut);
    assert_eq!(kind(disk.read(Path::new("file"), 9)), ErrorKind::TimedOut);
    assert_eq!(kind(disk.remove(Path::new("file"))), ErrorKind::TimedOut);
    assert_eq!(left(&disk).unwrap(), b"xyc", "the failed write was carried out");
    disk.sync_dir(Path::new("")).unwrap();
    assert_eq!(left(&disk.crash(CrashStyle::DropUnsynced)).unwrap(), b"", "the failed sync was not");
}

#[test]
fn content_of_a_failed_sync_is_read_until_a_power_cut_whatever_is_synced_later() {
    let (disk, file) = disk_with_file(b"abc");
    disk.sync_dir(Path::new("")).unwrap();
    disk.inject(Fault { point: FaultPoint::Sync, after: 0, error: ErrorKind::TimedOut, carried_out: false });
    assert_eq!(kind(file.sync_data()), ErrorKind::TimedOut);
    file.sync_data().unwrap();
    assert_eq!(left(&disk.crash(CrashStyle::ProcessEnd)).unwrap(), b"abc");
    assert_eq!(left(&disk.crash(CrashStyle::DropUnsynced)).unwrap(), b"");
    file.write_all_at(b"abc", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(left(&disk.crash(CrashStyle::DropUnsynced)).unwrap(), b"abc");
}

#[test]
fn full_disk_refuses_growth_and_nothing_else() {
    let (disk, file) = disk_with_file(b"abc");
    disk.set_capacity_bytes(5);
    assert_eq!(disk.free_bytes(Path::new("")).unwrap(), 2);
    assert_eq!(kind(file.write_all_at(b"def", 3)), ErrorKind::StorageFull);
    assert_eq!(kind(file.set_len(6)), ErrorKind::StorageFull);
    file.write_all_at(b"xyzde", 0).unwrap();
    disk.remove(Path::new("file")).unwrap();
    assert_eq!(disk.free_bytes(Path::new("")).unwrap(), 5);
}

#[test]
fn liar_says_that_it_synced_and_loses_the_content() {
    let (disk, file) = disk_with_file(b"abc");
    disk.sync_dir(Path::new("")).unwrap();
    disk.ignore_syncs(true);
    file.sync_data().unwrap();
    assert_eq!(left(&disk.crash(CrashStyle::DropUnsynced)).unwrap(), b"");
}

#[test]
fn flipped_bit_survives_a_crash() {
    let (disk, file) = disk_with_file(b"abc");
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    disk.flip_bit(Path::new("file"), 1, 0).unwrap();
    assert_eq!(left(&disk.crash(CrashStyle::DropUnsynced)).unwrap(), b"acc");
}
