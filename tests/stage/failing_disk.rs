//! A disk that fails where a test says: what a real program does to the files below one folder gets errors from the system.
//!
//! Owns the orders that the program's loaded library (`failing_disk.c`) follows. Never changes a file itself.

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::preload;

/// Kinds of calls.
pub(crate) const WRITES: u32 = 1;
pub(crate) const SYNCS: u32 = 2;
pub(crate) const READS: u32 = 4;
/// New names, changes of names, and names removed.
pub(crate) const NAMES: u32 = 8;

/// Where numbers and names stand in the shared file.
const KINDS_AT: u64 = 0;
const AFTER_AT: u64 = 4;
const FAILED_AT: u64 = 16;
const PART_AT: u64 = 20;
const WHERE_AT: u64 = 128;
const PART_BYTES: usize = 108;
const WHERE_BYTES: usize = 128;

/// What is to fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Which kinds of calls.
    pub(crate) kinds: u32,
    /// What the path below the folder has in it; nothing for all.
    pub(crate) part: &'static str,
    /// So many calls of those go well before.
    pub(crate) after: u32,
    /// What the system says.
    pub(crate) error: Errno,
    /// Whether all fail from then on, until the disk is mended, or one.
    pub(crate) lasting: bool,
}

/// A disk below a folder.
pub(crate) struct FailingDisk {
    root: PathBuf,
    path: PathBuf,
    orders: File,
}

impl FailingDisk {
    /// The disk below a folder; its orders stand in a new file.
    pub(crate) fn below(root: &Path, orders: &Path) -> Self {
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(orders);
        let file = file.expect("a new file");
        file.set_len(WHERE_AT + WHERE_BYTES as u64).expect("room for orders");
        let root = root.canonicalize().expect("the folder is there");
        Self { root, path: orders.to_owned(), orders: file }
    }

    /// What stands in the environment of a program whose disk this is.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let text =
            |path: &Path| path.to_str().expect("the test's own folders have names in ASCII").to_owned();
        vec![
            ("LD_PRELOAD".to_owned(), text(preload::library("failing_disk", include_str!("failing_disk.c")))),
            ("FAILING_ROOT".to_owned(), text(&self.root)),
            ("FAILING_ORDERS".to_owned(), text(&self.path)),
        ]
    }

    /// Orders a fault; it takes the place of any before.
    pub(crate) fn fail(&self, fault: Fault) {
        self.put(KINDS_AT, &[0; 4]);
        let mut part = [0; PART_BYTES];
        part[..fault.part.len()].copy_from_slice(fault.part.as_bytes());
        self.put(PART_AT, &part);
        self.put(WHERE_AT, &[0; WHERE_BYTES]);
        let error = fault.error.raw_os_error().unsigned_abs();
        let numbers = [fault.after, error, u32::from(fault.lasting), 0];
        self.put(AFTER_AT, &numbers.map(u32::to_ne_bytes).concat());
        self.put(KINDS_AT, &fault.kinds.to_ne_bytes());
    }

    /// Nothing fails any more.
    pub(crate) fn mend(&self) {
        self.put(KINDS_AT, &[0; 4]);
    }

    /// The file that failed first since the last order, below the folder.
    pub(crate) fn failed(&self) -> Option<String> {
        let mut count = [0; 4];
        self.orders.read_exact_at(&mut count, FAILED_AT).expect("it is long enough");
        if u32::from_ne_bytes(count) == 0 {
            return None;
        }
        let mut name = [0; WHERE_BYTES];
        self.orders.read_exact_at(&mut name, WHERE_AT).expect("it is long enough");
        let name = CStr::from_bytes_until_nul(&name).expect("it was cut to its length");
        Some(name.to_string_lossy().into_owned())
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        self.orders.write_all_at(bytes, at).expect("it is long enough");
    }
}
