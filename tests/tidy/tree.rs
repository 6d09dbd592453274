//! The project's own files, as they lie in the source tree. Never looks into what a build or a run has made.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose files are the project's.
const FOLDERS: [&str; 9] =
    [".ci", "benches", "certs-dev", "docs", "examples", "proto", "scripts", "src", "tests"];

/// A file of the project.
pub(crate) struct Source {
    /// Its path from the top, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

/// Gives the top of the project.
pub(crate) fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Reads one file of the project.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Reads all files with one of these endings, at the top and in the folders, by path.
pub(crate) fn sources(endings: &[&str]) -> Vec<Source> {
    let mut paths = files_in(&top());
    for folder in FOLDERS {
        descend(&top().join(folder), &mut paths);
    }
    let mut sources: Vec<_> = paths
        .iter()
        .filter_map(|path| path.strip_prefix(top()).ok()?.to_str())
        .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
        .map(|path| Source { path: path.to_owned(), text: read(path) })
        .collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!sources.is_empty(), "no file ends in any of {endings:?}: the rule would hold for nothing");
    sources
}

fn descend(folder: &Path, into: &mut Vec<PathBuf>) {
    into.extend(files_in(folder));
    // A package of its own has what cargo builds beside its sources.
    for below in entries(folder).into_iter().filter(|path| path.is_dir() && !path.ends_with("target")) {
        descend(&below, into);
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_file()).collect()
}

/// A folder that is not there has no entries: not every project has benches from its first day.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    listing.map(|entry| entry.expect("the source tree can be listed").path()).collect()
}
