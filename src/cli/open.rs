//! `open`: any age file that was sealed to this office, opened.
//!
//! Owns where it goes. Nothing is printed before all was verified; at a crash a `….part` is left beside the file that was named.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::context::{Context, Stop};
use super::exit::{Exit, Failure};
use super::screen::Tone;
use super::unlock::Unlock;
use crate::desk::unseal::{Form, MEMORY_BYTES_MAX, UnsealError, to_file, to_memory};
use crate::seal::OpenError;

/// Opens an age file that was sealed to this office, by whatever program.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo open report.pdf.age --to report.pdf
  resguardo open note.age

It does not say who sealed the file: the age format does not know. Messages of the exchange are checked by `show`.")]
pub struct Open {
    /// The file, binary or armored.
    file: PathBuf,
    /// Write to this file, open to you alone, instead of standard output. It must not be there.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlock,
}

impl Open {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        if let Some(to) = self.to.as_deref().filter(|to| std::fs::symlink_metadata(to).is_ok()) {
            return Err(Failure::usage(format!("{} is there: name another file", to.display())));
        }
        // Before anybody types a passphrase.
        let again = || Ok(Stoppable(File::open(&self.file)?, &context.stop));
        again().map_err(|error| self.failure(context, &UnsealError::Read(error)))?;
        let unlocked = self.unlock.required(context, &context.home()?)?;
        let keys = unlocked.opener.keys();
        if keys.is_empty() {
            let words =
                "this home has no key that opens: another desk of the office has it. Open the file there";
            return Err(Failure::usage(words));
        }
        if let Some(to) = &self.to {
            let form = to_file(context.disk.as_ref(), &again, &keys, to);
            let form = form.map_err(|error| self.failure(context, &error))?;
            return tell(context, form, to);
        }
        let (clear, form) = to_memory(&again, &keys).map_err(|error| self.failure(context, &error))?;
        warn_of(context, form);
        context.screen.raw(&clear)?;
        Ok(Exit::Done)
    }

    fn failure(&self, context: &Context, error: &UnsealError) -> Failure {
        if context.stop.token.is_cancelled() {
            return Failure::new(context.stop.exit(), "ended by a signal; nothing of the file was left");
        }
        let exit = match error {
            UnsealError::Disk { .. } => Exit::Fault,
            UnsealError::Open(OpenError::Changed | OpenError::Padding | OpenError::Header(_)) => {
                Exit::Integrity
            }
            _ => Exit::Usage,
        };
        let more = match error {
            UnsealError::Open(OpenError::NotForTheseKeys { .. }) => {
                "Ask the sender to seal it to the key that the directory has of this office"
            }
            UnsealError::Open(OpenError::TooLarge { allowed: MEMORY_BYTES_MAX, .. }) => {
                "Name a file with --to"
            }
            UnsealError::Leftover(_) => return Failure::new(exit, error.to_string()),
            _ if exit == Exit::Integrity => "Have it sent again. Nothing of it was written",
            _ => "Nothing was written",
        };
        Failure::new(exit, format!("{}: {error}", self.file.display())).and(more)
    }
}

fn tell(context: &Context, form: Form, to: &Path) -> Result<Exit, Failure> {
    let word = match form {
        Form::Age => "age",
        Form::Exchange => "exchange",
    };
    context.screen.object(&json!({ "object": "opened", "path": to.to_string_lossy(), "form": word }))?;
    warn_of(context, form);
    context.screen.aside(Tone::Plain, &format!("Written to {}.", to.display()));
    Ok(Exit::Done)
}

fn warn_of(context: &Context, form: Form) {
    if form == Form::Exchange {
        let words = "This was sealed by a program of the exchange; whose it is was not checked.";
        context.screen.aside(Tone::Warning, words);
    }
}

/// A file whose reading a signal ends.
struct Stoppable<'a>(File, &'a Stop);

impl Read for Stoppable<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.1.token.is_cancelled() {
            return Err(io::Error::other("a signal came"));
        }
        self.0.read(bytes)
    }
}
