//! The tape: all that recorded processes did to their files, and the marks of the test, in one order.
//!
//! Owns the recorder (`shim.c`) and the form of the tape. Never knows what a file is for.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytes::Bytes;

use crate::stage::preload;

/// Bytes before a record's path and its written bytes.
const HEAD_BYTES: usize = 32;
/// Flags of a record of opening.
const CREATED: u64 = 1;
const TRUNCATED: u64 = 2;

/// A file, whatever it is called: its number in the machine's file system. Given again once the file is gone.
pub(crate) type Inode = u64;

/// One record.
#[derive(Clone, Debug)]
pub(crate) enum Record {
    /// A file was opened that was not there before, or emptied.
    Opened { path: PathBuf, inode: Inode, created: bool, emptied: bool },
    /// Bytes were written from a place on.
    Written { inode: Inode, offset: u64, bytes: Bytes },
    /// A file's length was set.
    Cut { inode: Inode, length: u64 },
    /// A file's content was synced.
    FileSynced { inode: Inode },
    /// A folder's names were synced.
    DirSynced { path: PathBuf },
    /// The whole disk that holds a folder was synced.
    AllSynced { path: PathBuf },
    /// A name was changed.
    Renamed { from: PathBuf, to: PathBuf },
    /// A file's name was removed.
    Unlinked { path: PathBuf },
    /// A folder was made.
    DirMade { path: PathBuf },
    /// A folder was removed.
    DirRemoved { path: PathBuf },
    /// The test says that it knows something now.
    Mark(u64),
}

const UNFORESEEN: u32 = 11;
const MARK: u32 = 12;

/// A tape that is being written.
pub(crate) struct Tape {
    path: PathBuf,
    roots: Vec<PathBuf>,
    marks: Mutex<File>,
}

impl Tape {
    /// A new tape, of what happens below some folders from now on.
    pub(crate) fn of(roots: &[PathBuf], path: &Path) -> Self {
        let marks = OpenOptions::new().create_new(true).append(true).open(path).expect("a new tape");
        let roots = roots.iter().map(|root| root.canonicalize().expect("the folder is there")).collect();
        Self { path: path.to_owned(), roots, marks: Mutex::new(marks) }
    }

    /// What stands in the environment of a program that is recorded.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let roots: Vec<_> = self.roots.iter().map(|root| text(root)).collect();
        vec![
            ("LD_PRELOAD".to_owned(), text(recorder())),
            ("POWER_TAPE".to_owned(), text(&self.path)),
            ("POWER_ROOTS".to_owned(), roots.join(":")),
        ]
    }

    /// Puts a mark behind all that has happened.
    pub(crate) fn mark(&self, number: u64) {
        let mut head = [0; HEAD_BYTES];
        head[..4].copy_from_slice(&MARK.to_le_bytes());
        head[16..24].copy_from_slice(&number.to_le_bytes());
        let mut tape = self.marks.lock().expect("nobody panics over a mark");
        tape.lock().expect("the tape can be locked");
        tape.write_all(&head).expect("the tape can be written");
        tape.unlock().expect("the tape can be unlocked");
    }

    /// Reads what is on it. Of a program that was killed, the last record may be there in part: it is left out.
    ///
    /// # Panics
    /// Where a program changed files in a way that the recorder does not know.
    pub(crate) fn records(&self) -> Vec<Record> {
        let tape = Bytes::from(fs::read(&self.path).expect("the tape is there"));
        let (mut records, mut at) = (Vec::new(), 0);
        while let Some((record, bytes)) = read(&tape.slice(at..)) {
            records.push(record);
            at += bytes;
        }
        records
    }
}

/// The next record and its length; `None` where no whole one follows.
fn read(rest: &Bytes) -> Option<(Record, usize)> {
    if rest.len() < HEAD_BYTES {
        return None;
    }
    let number = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().expect("eight bytes"));
    let size = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().expect("four bytes"));
    let (inode, value) = (number(8), number(16));
    let behind_path = HEAD_BYTES + size(4) as usize;
    let end = behind_path + usize::try_from(number(24)).expect("it was written");
    if rest.len() < end {
        return None;
    }
    let name = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
    let path = name(&rest[HEAD_BYTES..behind_path]);
    let bytes = rest.slice(behind_path..end);
    let record = match size(0) {
        1 => Record::Opened { path, inode, created: value & CREATED > 0, emptied: value & TRUNCATED > 0 },
        2 => Record::Written { inode, offset: value, bytes },
        3 => Record::Cut { inode, length: value },
        4 => Record::FileSynced { inode },
        5 => Record::DirSynced { path },
        6 => Record::AllSynced { path },
        7 => Record::Renamed { from: path, to: name(&bytes) },
        8 => Record::Unlinked { path },
        9 => Record::DirMade { path },
        10 => Record::DirRemoved { path },
        MARK => Record::Mark(value),
        UNFORESEEN => panic!("a program called {}: the recorder must learn it", path.display()),
        kind => panic!("a record of kind {kind}"),
    };
    Some((record, end))
}

/// The recorder, compiled.
pub(crate) fn recorder() -> &'static Path {
    preload::library("power", include_str!("shim.c"))
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("the test's own folders have names in ASCII").to_owned()
}
