//! Puts the table into a document, between two marks that stand there for it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// Fails unless a document has the marks of a benchmark.
pub(crate) fn has_marks(path: &Path, benchmark: &str) -> Result<()> {
    parts(path, benchmark).map(|_| ())
}

/// Replaces what stands between the marks of a benchmark; everything else stays as it is.
pub(crate) fn write(path: &Path, benchmark: &str, measured: &str) -> Result<()> {
    let (head, tail) = parts(path, benchmark)?;
    let text = format!("{head}\n\n{}\n\n{tail}", measured.trim_end());
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// Gives what stands up to the first mark and from the second on.
fn parts(path: &Path, benchmark: &str) -> Result<(String, String)> {
    let [begin, end] = ["begin", "end"].map(|it| format!("<!-- measured by {benchmark}: {it} -->"));
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let marks = || format!("{} has no lines {begin} and {end}", path.display());
    let (head, rest) = text.split_once(&begin).with_context(marks)?;
    let (_, tail) = rest.split_once(&end).with_context(marks)?;
    Ok((format!("{head}{begin}"), format!("{end}{tail}")))
}
