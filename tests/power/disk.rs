//! The machine's disk (`OsDisk`) itself: what it says is durable is there after every cut.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use resguardo::host::disk::{CrashStyle, Disk as _, OsDisk};

use crate::disks::Disks;
use crate::tape::{Record, Tape, text};

/// Names the folder to a process that only writes, and what it is to do.
const FOLDER: &str = "POWER_DISK_FOLDER";
const TASK: &str = "POWER_DISK_TASK";

/// What such a process does, one after the other: some files, so many that all of the disk is synced, and a file twice.
const TASKS: [&str; 4] = ["few", "many", "old", "new"];

/// What there is below the folder when a task is done; `old` is written over by `new`.
fn promised(task: &str) -> BTreeMap<PathBuf, Bytes> {
    let file = |number: u8| {
        let path = format!("{task}/{}/{number}", number % 3).into();
        (path, Bytes::from(vec![number; 40 * usize::from(number)]))
    };
    match task {
        "few" => (0..3).map(file).collect(),
        "many" => (0..60).map(file).collect(),
        content => [("one/file".into(), Bytes::from(content.repeat(700)))].into(),
    }
}

fn carry_out(task: &str, dir: &Path) {
    let files: Vec<_> = promised(task).into_iter().collect();
    if files.len() > 1 {
        return OsDisk.write_many(dir, &files).expect("they are written");
    }
    let (path, bytes) = &files[0];
    let path = dir.join(path);
    OsDisk.create_dir_all(path.parent().expect("its folder")).expect("the folder is made");
    OsDisk.write_atomically(&path, bytes).expect("it is written");
}

#[test]
fn what_the_machines_disk_says_is_durable_is_there_after_every_cut() {
    if let (Ok(dir), Ok(task)) = (env::var(FOLDER), env::var(TASK)) {
        return carry_out(&task, Path::new(&dir));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("disk");
    fs::create_dir(&root).expect("a folder");
    let (roots, tape) = ([root.clone()], folder.path().join("tape"));
    let (mut disks, tape) = (Disks::of(&roots), Tape::of(&roots, &tape));
    for (number, task) in (0..).zip(TASKS) {
        let mut command = Command::new(env::current_exe().expect("this test"));
        let name = "disk::what_the_machines_disk_says_is_durable_is_there_after_every_cut";
        command.args(["--exact", name]).envs(tape.environment()).env(FOLDER, text(&root)).env(TASK, task);
        let ran = command.output().expect("it runs");
        assert!(ran.status.success(), "{task}: {ran:?}");
        tape.mark(number);
    }
    let records = tape.records();
    let synced_at_once = records.iter().filter(|it| matches!(it, Record::AllSynced { .. })).count();
    assert_eq!(synced_at_once, 1, "the recorder sees the sync of many files: rustix calls the C library");
    let mut done = 0;
    for (at, record) in records.iter().enumerate() {
        disks.apply(record);
        if let Record::Mark(_) = record {
            done += 1;
        }
        let seeds = (0..4).flat_map(|seed| [CrashStyle::Torn { seed }, CrashStyle::Scattered { seed }]);
        for style in seeds.chain([CrashStyle::DropUnsynced]) {
            disks.lay(|_| style);
            let mut files = BTreeMap::new();
            TASKS[..done].iter().for_each(|task| files.extend(promised(task)));
            for (path, bytes) in files {
                let found = fs::read(root.join(&path)).unwrap_or_default();
                // What is being written over is there in the old form or in the new one.
                let whole = found == bytes || (done == 3 && found == promised("new")[&path]);
                assert!(whole, "{} after record {at}, {record:?}, {style:?}", path.display());
            }
        }
    }
}
