//! Puts the table into a document, between two marks that stand there for it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

const BEGIN: &str = "<!-- measured by the benchmark: begin -->";
const END: &str = "<!-- measured by the benchmark: end -->";

/// Replaces what stands between the marks; everything else stays as it is.
pub(crate) fn write(path: &Path, measured: &str) -> Result<()> {
    let name = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(name)?;
    let marks = || format!("{} has no lines {BEGIN} and {END}", name());
    let (head, rest) = text.split_once(BEGIN).with_context(marks)?;
    let (_, tail) = rest.split_once(END).with_context(marks)?;
    let text = format!("{head}{BEGIN}\n\n{}\n\n{END}{tail}", measured.trim_end());
    fs::write(path, text).with_context(name)
}
