//! A backup stands whole at every moment, and holds the files that the hub has and no others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::files::{Flaw, KeptFile};
use super::{BackedUp, BackupError, Home, backup, check};
use crate::files::partial::Digested;
use crate::host::clock::ManualClock;
use crate::host::disk::{CrashStyle, Disk as _, Fault, FaultPoint, MemoryDisk, OpenMode};
use crate::host::network::TcpNetwork;
use crate::host::random::SeededRandom;
use crate::host::tasks::TokioTasks;
use crate::hub::open::found;
use crate::hub::run::Host;
use crate::ledger::store::memory::MemoryStores;
use crate::model::envelope::FileRef;
use crate::model::id::UnixMicros;
use crate::wire::amendment;

const CONFIG: &str = "name = 'dev'\nlisten = '127.0.0.1:0'\n[journal]\nsegment_bytes = 1048576\n";

/// A founded hub and what runs it.
struct Stage {
    runtime: Runtime,
    disk: MemoryDisk,
    host: Host,
}

impl Stage {
    fn founded() -> Self {
        let stage = Self::on(MemoryDisk::new());
        stage.disk.record();
        let founding = amendment::tests::founding_bytes();
        for (name, bytes) in [("hub.toml", CONFIG.as_bytes()), ("founding", &founding)] {
            stage.disk.create_dir_all(Path::new("/hub")).unwrap();
            stage.disk.write_atomically(&Path::new("/hub").join(name), bytes).unwrap();
        }
        found(&stage.host, &Home::at(Path::new("/hub")), None, &mut |_| {}).unwrap();
        stage
    }

    fn on(disk: MemoryDisk) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let host = Host {
            disk: Arc::new(disk.clone()),
            clock: Arc::new(ManualClock::at(UnixMicros(1_700_000_000_000_000))),
            random: Arc::new(SeededRandom::new(1)),
            network: Arc::new(TcpNetwork),
            tasks: Arc::new(TokioTasks::on(runtime.handle().clone())),
            stores: Arc::new(MemoryStores::default()),
            reload: Arc::default(),
            stop: CancellationToken::new(),
        };
        Self { runtime, disk, host }
    }

    fn back_up(&self) -> BackedUp {
        self.try_back_up(&mut |_| {}).unwrap()
    }

    fn try_back_up(&self, progress: &mut dyn FnMut(u64)) -> Result<BackedUp, BackupError> {
        self.runtime.block_on(backup(&self.host, Path::new("/hub"), Path::new("/backup"), progress))
    }

    /// Puts a whole file into the hub's folder.
    fn put(&self, content: &[u8]) -> KeptFile {
        let mut digested = Digested::nothing();
        digested.take(content);
        let file = FileRef { digest: digested.finish(), bytes: content.len() as u64 };
        let kept = KeptFile { office: "one".parse().unwrap(), file };
        self.disk.create_dir_all(Path::new("/hub/files/one")).unwrap();
        self.disk.write_atomically(&path("/hub", &kept), content).unwrap();
        kept
    }

    /// Takes a file away from the hub, its bytes overwritten first.
    fn erase(&self, kept: &KeptFile) {
        let path = path("/hub", kept);
        let zeros = vec![0; usize::try_from(kept.file.bytes).unwrap()];
        self.disk.open(&path, OpenMode::Write).unwrap().write_all_at(&zeros, 0).unwrap();
        self.disk.remove(&path).unwrap();
    }

    /// The names of files in the backup.
    fn names(&self) -> Vec<String> {
        let names = self.disk.list(Path::new("/backup/files/one")).unwrap_or_default();
        names.into_iter().map(|name| name.into_string().unwrap()).collect()
    }
}

fn path(home: &str, kept: &KeptFile) -> PathBuf {
    Path::new(home).join("files").join(kept.office.as_str()).join(kept.file.digest.to_string())
}

#[test]
fn backup_that_was_cut_anywhere_leaves_the_one_before_or_is_whole_itself() {
    let stage = Stage::founded();
    let (first, second) = (stage.put(b"first"), stage.put(b"second"));
    let before = stage.back_up();
    assert_eq!(before.manifest.files, BTreeSet::from([first.clone(), second.clone()]));
    // One has gone, a new one has come.
    stage.erase(&first);
    let third = stage.put(&vec![3; 300_000]);
    let began = stage.disk.recorded().len();
    let after = stage.back_up();
    assert_eq!((after.new_files, &after.flawed), (1, &Vec::new()));
    assert_eq!(after.manifest.files, BTreeSet::from([second, third]));
    assert_eq!(stage.names().len(), 2, "what no manifest names any more is gone");
    let operations = stage.disk.recorded();
    let styles = [CrashStyle::ProcessEnd, CrashStyle::DropUnsynced, CrashStyle::Torn { seed: 7 }];
    let (replayed, mut stood) = (MemoryDisk::new(), BTreeSet::new());
    for (done, operation) in (1..).zip(&operations) {
        replayed.replay(operation).unwrap();
        if done < began {
            continue;
        }
        for style in styles {
            let crashed = Stage::on(replayed.crash(style));
            let looked = check(&crashed.host, Path::new("/backup"), &mut |_| {}).unwrap();
            let which = [&before, &after].iter().position(|it| it.manifest == looked.manifest);
            stood.insert(which.expect("the one before, or the new one"));
            assert_eq!(looked.flawed, [], "{done} {style:?}");
            let again = crashed.back_up();
            assert_eq!((again.manifest.files, again.flawed), (after.manifest.files.clone(), Vec::new()));
            assert_eq!(crashed.names().len(), 2, "{done} {style:?}");
        }
    }
    assert_eq!(stood.len(), 2, "both were seen");
}

#[test]
fn file_that_vanishes_while_it_is_copied_is_no_error_and_leaves_nothing() {
    let stage = Stage::founded();
    let mut files =
        [stage.put(&vec![1; 700_000]), stage.put(&vec![2; 700_000]), stage.put(&vec![3; 700_000])];
    files.sort();
    let [erased, cleared, kept] = &files;
    let mut gone = false;
    // The first is erased in its middle, the second cleared before its turn.
    let made = stage.try_back_up(&mut |_| {
        if stage.names().iter().any(|name| name.contains(".part")) && !std::mem::replace(&mut gone, true) {
            stage.erase(erased);
            stage.disk.remove(&path("/hub", cleared)).unwrap();
        }
    });
    let made = made.unwrap();
    assert!(gone, "it vanished in the middle");
    assert_eq!((made.flawed, made.new_files), (Vec::new(), 1));
    assert_eq!(made.manifest.files, BTreeSet::from([kept.clone()]));
    assert_eq!(stage.names(), [kept.file.digest.to_string()]);
}

#[test]
fn file_is_copied_once_and_one_that_is_damaged_at_the_hub_is_told() {
    let stage = Stage::founded();
    let kept = stage.put(&[1; 5_000]);
    assert_eq!(stage.back_up().new_files, 1);
    let again = stage.back_up();
    assert!(again.new_files == 0 && again.bytes < 5_000 && again.flawed.is_empty(), "{again:?}");
    let damaged = stage.put(&[2; 5_000]);
    stage.disk.flip_bit(&path("/hub", &damaged), 4_999, 0).unwrap();
    let told = stage.back_up();
    let found: Vec<_> = told.flawed.iter().map(|it| (&it.kept, it.flaw)).collect();
    assert_eq!(found, [(&damaged, Flaw::Damaged)]);
    assert_eq!(told.manifest.files, BTreeSet::from([kept.clone()]), "what is damaged is not kept as whole");
    // In the backup itself both are found by a check.
    let unflawed = check(&stage.host, Path::new("/backup"), &mut |_| {}).unwrap();
    assert_eq!(unflawed.flawed, []);
    stage.disk.flip_bit(&path("/backup", &kept), 0, 0).unwrap();
    let flaw = || check(&stage.host, Path::new("/backup"), &mut |_| {}).unwrap().flawed[0].flaw;
    assert_eq!(flaw(), Flaw::Damaged);
    stage.disk.remove(&path("/backup", &kept)).unwrap();
    assert_eq!(flaw(), Flaw::Missing);
    assert_eq!(stage.back_up().new_files, 1, "and the next backup has it again");
}

#[test]
fn backup_whose_disk_fails_leaves_the_one_before() {
    let stage = Stage::founded();
    let before = stage.back_up();
    stage.put(&[1; 5_000]);
    stage.disk.inject(Fault {
        point: FaultPoint::Sync,
        after: 1,
        error: std::io::ErrorKind::StorageFull,
        carried_out: false,
    });
    assert!(matches!(
        stage.try_back_up(&mut |_| {}),
        Err(BackupError::Disk { .. } | BackupError::Journal(_))
    ));
    let looked = check(&stage.host, Path::new("/backup"), &mut |_| {}).unwrap();
    assert_eq!((looked.manifest, looked.flawed), (before.manifest, Vec::new()));
}
