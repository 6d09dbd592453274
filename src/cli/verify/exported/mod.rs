//! An export, checked and told: that it holds, and what it says in numbers.
//!
//! Owns how it is read from the disk and how far that is, and how it is told. Whether it holds, `evidence` says. A page has no name
//! of a person or a desk.

mod en;
mod es;
mod fr;
mod object;
mod page;
mod pt;
mod story;
mod words;

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Verify;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::packet::Seldom;
use crate::evidence::export::{self, ExportError, Exported};
use crate::host::disk::{DiskFile, OpenMode};
use crate::wire::trust::Trust;

/// Bytes that are read from the disk at once.
const READ_BYTES: usize = 256 * 1024;

/// A file from its beginning on, until somebody wants the program to end.
struct Reading {
    file: Arc<dyn DiskFile>,
    at: u64,
    stop: CancellationToken,
}

impl Read for Reading {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_cancelled() {
            return Err(io::Error::other("ended by a signal"));
        }
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Holds an export to a trust file, and shows how far that is.
///
/// # Errors
/// [`ExportError`]; [`ExportError::Read`] also for a signal.
pub(in crate::cli) fn checked(context: &Context, path: &Path, trust: Trust) -> Result<Exported, ExportError> {
    let file = context.disk.open(path, OpenMode::Read).map_err(ExportError::Read)?;
    let reading = Reading { file, at: 0, stop: context.stop.token.clone() };
    let seldom = Seldom::new();
    let checked = export::verify(BufReader::with_capacity(READ_BYTES, reading), trust, &mut |done, all| {
        if seldom.is_time(context.clock.monotonic_us()) {
            let percent = u128::from(done) * 100 / u128::from(all.max(1));
            context.screen.draw(&format!("checked {done} of {all} entries, {percent} %"));
        }
    });
    context.screen.undraw();
    checked
}

impl Verify {
    /// Checks an export and tells it.
    ///
    /// # Errors
    /// [`Exit::Integrity`] for what does not hold, a fault of the disk, a signal.
    pub(super) fn run_export(&self, context: &Context, trust: Trust) -> Result<Exit, Failure> {
        let exported = checked(context, &self.file, trust).map_err(|error| {
            let words = format!("{}: {error}", self.file.display());
            match error {
                ExportError::Read(_) if context.stop.token.is_cancelled() => {
                    Failure::new(context.stop.exit(), words)
                }
                ExportError::Read(_) => Failure::new(Exit::Fault, words),
                _ => Failure::new(Exit::Integrity, words)
                    .and("Nothing of this file is proved: do not rely on any of it"),
            }
        })?;
        let (words, own) = (self.language.words(), words::of(self.language));
        let story = story::told(&exported, words, own);
        self.page(context, || page::made(&exported, &story, words, own))?;
        context.screen.object(&object::of(&exported))?;
        super::show(context, &story.all(), exported.is_witnessed())?;
        Ok(if exported.is_witnessed() { Exit::Done } else { Exit::Unwitnessed })
    }
}

#[cfg(test)]
mod tests {
    use super::super::words::tests::each_says_the_same_as_the_first;

    #[test]
    fn each_language_fills_in_the_same_and_none_is_left_in_english() {
        let all = [&super::en::WORDS, &super::es::WORDS, &super::fr::WORDS, &super::pt::WORDS];
        each_says_the_same_as_the_first(&all.map(|it| format!("{it:?}")));
    }
}
