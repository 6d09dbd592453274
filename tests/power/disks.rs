//! The disks of machines, made again from a tape, and what a power cut leaves of them.
//!
//! Owns which folder is which machine's disk. The model is the product's own (`MemoryDisk`): what was synced is there; of what was
//! not, nothing, or a part of each write in blocks, and of the names the first few changes of a folder or any of them.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use resguardo::host::disk::{CrashStyle, Disk as _, FileNumber, MemoryDisk, OpenMode, Operation};

use crate::stage::chance::Chance;
use crate::tape::{Inode, Record};

/// Largest file that a disk is asked for.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The disks of some machines, at one moment.
pub(crate) struct Disks {
    /// By the folder that stands for it.
    machines: BTreeMap<PathBuf, MemoryDisk>,
    files: HashMap<Inode, (PathBuf, FileNumber)>,
}

impl Disks {
    /// The disks as these folders are now, all of it synced.
    pub(crate) fn of(roots: &[PathBuf]) -> Self {
        let mut disks = Self { machines: BTreeMap::new(), files: HashMap::new() };
        for root in roots {
            let root = root.canonicalize().expect("the folder is there");
            disks.machines.insert(root.clone(), MemoryDisk::new());
            disks.take_in(&root);
            disks.machines[&root].replay(&Operation::SyncAll).expect("a disk takes a sync");
        }
        disks
    }

    fn take_in(&mut self, dir: &Path) {
        for entry in fs::read_dir(dir).expect("the folder can be read") {
            let path = entry.expect("it can be listed").path();
            let found = fs::metadata(&path).expect("it is there");
            if found.is_dir() {
                self.apply(&Record::DirMade { path: path.clone() });
                self.take_in(&path);
                continue;
            }
            let bytes = fs::read(&path).expect("it can be read").into();
            let inode = found.ino();
            self.apply(&Record::Opened { path, inode, created: true, emptied: false });
            self.apply(&Record::Written { inode, offset: 0, bytes });
        }
    }

    /// Lets things happen; gives how many marks there are then, if there was one more.
    pub(crate) fn go_on(&mut self, records: &[Record]) -> Option<usize> {
        for record in records {
            self.apply(record);
        }
        records.iter().rev().find_map(|record| match record {
            Record::Mark(mark) => Some(usize::try_from(*mark).expect("some hundreds") + 1),
            _ => None,
        })
    }

    /// Lets one thing happen.
    ///
    /// # Panics
    /// Where it could not have happened: the record is then not all that happened.
    pub(crate) fn apply(&mut self, record: &Record) {
        let done = self.try_apply(record);
        done.unwrap_or_else(|error| panic!("{record:?} cannot have happened: {error}"));
    }

    fn try_apply(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Opened { path, inode, created, emptied } => {
                let (root, inside) = self.place(path);
                if *created {
                    self.machines[&root].replay(&Operation::CreateFile(inside.clone()))?;
                    let number = self.machines[&root].number(&inside)?;
                    self.files.insert(*inode, (root, number));
                } else if *emptied {
                    self.of_file(*inode, |file| Operation::SetLen(file, 0))?;
                }
                Ok(())
            }
            Record::Written { inode, offset, bytes } => {
                self.of_file(*inode, |file| Operation::Write(file, *offset, bytes.clone()))
            }
            Record::Cut { inode, length } => self.of_file(*inode, |file| Operation::SetLen(file, *length)),
            Record::FileSynced { inode } => self.of_file(*inode, Operation::SyncData),
            Record::DirSynced { path } => self.of_name(path, Operation::SyncDir),
            Record::AllSynced { path } => self.of_name(path, |_| Operation::SyncAll),
            Record::Unlinked { path } => self.of_name(path, Operation::Remove),
            Record::DirMade { path } => self.of_name(path, Operation::MakeDir),
            Record::DirRemoved { path } => self.of_name(path, Operation::RemoveDir),
            Record::Renamed { from, to } => {
                let ((root, from), (other, to)) = (self.place(from), self.place(to));
                if root != other || from.parent() != to.parent() {
                    return Err(io::ErrorKind::CrossesDevices.into());
                }
                self.machines[&root].replay(&Operation::Rename(from, to))
            }
            Record::Mark(_) => Ok(()),
        }
    }

    fn of_file(&self, inode: Inode, operation: impl FnOnce(FileNumber) -> Operation) -> io::Result<()> {
        let (root, file) = self.files.get(&inode).ok_or(io::ErrorKind::NotFound)?;
        self.machines[root].replay(&operation(*file))
    }

    fn of_name(&self, path: &Path, operation: impl FnOnce(PathBuf) -> Operation) -> io::Result<()> {
        let (root, inside) = self.place(path);
        self.machines[&root].replay(&operation(inside))
    }

    /// The disk that a path is on, and its path there.
    fn place(&self, path: &Path) -> (PathBuf, PathBuf) {
        let on = self.machines.keys().find_map(|root| Some((root, path.strip_prefix(root).ok()?)));
        let (root, inside) = on.expect("only these folders are recorded");
        (root.clone(), inside.to_owned())
    }

    /// Holds the disks to the folders as they are: what was recorded is then all that happened.
    pub(crate) fn are_as_the_folders(&self) {
        for (root, disk) in &self.machines {
            is_as(disk, Path::new(""), root);
        }
    }

    /// Puts into each folder what a cut at this moment leaves of it.
    pub(crate) fn lay(&self, how: impl Fn(&Path) -> CrashStyle) {
        for (root, disk) in &self.machines {
            fs::remove_dir_all(root).expect("the folder can be removed");
            lay(&disk.crash(how(root)), Path::new(""), root);
        }
    }
}

fn is_as(disk: &MemoryDisk, dir: &Path, real: &Path) {
    let mut names: Vec<_> = fs::read_dir(real)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be listed").file_name())
        .collect();
    names.sort();
    assert_eq!(disk.list(dir).expect("it is a folder"), names, "{}", real.display());
    for name in names {
        let (path, real) = (dir.join(&name), real.join(&name));
        if real.is_dir() {
            is_as(disk, &path, &real);
            continue;
        }
        let same = fs::read(&real).expect("it can be read")
            == disk.read(&path, FILE_BYTES_MAX).expect("it is there");
        assert!(same, "{} has other bytes than were recorded", real.display());
    }
}

/// Where a test fails, keeps what the cut had left, for whoever looks for the reason.
pub(crate) struct Kept<'a> {
    disks: &'a Disks,
    how: &'a dyn Fn(&Path) -> CrashStyle,
    name: String,
}

impl<'a> Kept<'a> {
    /// To be kept under a name.
    pub(crate) fn of(disks: &'a Disks, how: &'a dyn Fn(&Path) -> CrashStyle, name: String) -> Self {
        Self { disks, how, name }
    }
}

impl Drop for Kept<'_> {
    #[expect(clippy::print_stderr, reason = "it belongs to a failed test's output")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("power-cut-{}", self.name));
        // It may be there from a run with the same seed.
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a folder for what is kept");
        for (root, disk) in &self.disks.machines {
            let to = dir.join(root.file_name().expect("a machine has a name"));
            lay(&disk.crash((self.how)(root)), Path::new(""), &to);
        }
        eprintln!("what the cut left is kept in {}", dir.display());
    }
}

fn lay(disk: &MemoryDisk, dir: &Path, to: &Path) {
    fs::DirBuilder::new().mode(0o700).create(to).expect("a folder can be made");
    for name in disk.list(dir).expect("it is a folder") {
        let (path, to) = (dir.join(&name), to.join(&name));
        match disk.open(&path, OpenMode::Read) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => lay(disk, &path, &to),
            Err(error) => panic!("{}: {error}", path.display()),
            Ok(_) => {
                let bytes: Bytes = disk.read(&path, FILE_BYTES_MAX).expect("it can be read").into();
                let mut options = fs::OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(0o600).open(to).expect("a new file");
                file.write_all(&bytes).expect("it can be written");
            }
        }
    }
}

/// How the power goes: with all that was not synced, or leaving a part of it.
pub(crate) fn style(chance: &mut Chance) -> CrashStyle {
    match chance.below(5) {
        0 => CrashStyle::DropUnsynced,
        1 | 2 => CrashStyle::Torn { seed: chance.bits() },
        _ => CrashStyle::Scattered { seed: chance.bits() },
    }
}
