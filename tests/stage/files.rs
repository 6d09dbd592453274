//! Files of a stopped hub: copied, compared and broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::chance::Chance;

/// Copies a folder to a place where nothing is.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the folder can be read").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the file can be copied");
        }
    }
}

/// Puts a copy in the place of a folder.
pub(crate) fn replace(folder: &Path, with: &Path) {
    fs::remove_dir_all(folder).expect("the folder can be removed");
    copy(with, folder);
}

/// Every file below a folder, by its path from there, with its bytes.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in files(folder) {
        let bytes = fs::read(&path).expect("the file can be read");
        found.insert(path.strip_prefix(folder).expect("below the folder").to_owned(), bytes);
    }
    found
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read").map(|entry| entry.expect("an entry")) {
        if entry.file_type().expect("a type").is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    found
}

/// Changes a file's bytes.
pub(crate) fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("the file can be read");
    change(&mut bytes);
    fs::write(path, bytes).expect("the file can be written");
}

/// Flips one bit of a byte.
pub(crate) fn flip(path: &Path, offset: usize) {
    change(path, |bytes| bytes[offset] ^= 0x10);
}

/// Where bytes stand below a folder: file and offset; the last place, if there are several.
pub(crate) fn find(folder: &Path, wanted: &[u8]) -> Option<(PathBuf, usize)> {
    files(folder).into_iter().rev().find_map(|path| {
        let bytes = fs::read(&path).expect("the file can be read");
        let offset = bytes.windows(wanted.len()).rposition(|window| window == wanted)?;
        Some((path, offset))
    })
}

/// The offset behind the last byte that is not zero.
pub(crate) fn end_of_data(path: &Path) -> usize {
    let bytes = fs::read(path).expect("the file can be read");
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// Breaks a file in one of many ways; gives the way in words.
pub(crate) fn break_somehow(path: &Path, chance: &mut Chance) -> String {
    let length = fs::metadata(path).expect("the file is there").len();
    let length = usize::try_from(length).expect("a short file");
    let places = 1 + chance.place(12);
    match chance.below(7) {
        0..=2 if length > 0 => {
            change(path, |bytes| {
                for _ in 0..places {
                    let at = chance.place(length);
                    bytes[at] ^= 1 << chance.below(8);
                }
            });
            format!("{places} bits of {} flipped", path.display())
        }
        3 if length > 0 => {
            let from = chance.place(length);
            change(path, |bytes| bytes.truncate(from));
            format!("{} cut at {from} of {length}", path.display())
        }
        4 if length > 0 => {
            let from = chance.place(length);
            change(path, |bytes| {
                let to = (from + 4_096).min(length);
                bytes[from..to].fill(0);
            });
            format!("4,096 bytes of {} zeroed from {from}", path.display())
        }
        5 => {
            change(path, |bytes| bytes.iter_mut().for_each(|byte| *byte = chance.bits().to_be_bytes()[0]));
            format!("{} overwritten with noise", path.display())
        }
        _ => {
            fs::remove_file(path).expect("the file can be removed");
            format!("{} removed", path.display())
        }
    }
}
