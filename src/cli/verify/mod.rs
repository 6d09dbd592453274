//! `verify`: checks a file of evidence or an export without a line and without a home, and tells what it proves and what it does
//! not.
//!
//! Owns how that is told. Whether it holds, `evidence` says: nothing of a file is told before all of it holds.

mod en;
mod es;
pub(super) mod exported;
mod fr;
mod object;
mod page;
mod pt;
mod story;
mod words;

use std::path::{Path, PathBuf};

use clap::Args;

use self::story::Story;
use self::words::Language;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::office::trust_at;
use super::screen::{Tone, toned};
use crate::evidence::{self, EVIDENCE_BYTES_MAX, Proved};
use crate::host::disk::OpenMode;
use crate::wire::trust::Trust;

/// What an export begins with, of whatever version.
const EXPORT_BEGINS: &[u8; 17] = b"resguardo export ";

/// Checks a file of evidence or an export, without a line and without a home.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo verify alert.evidence --trust trust.toml
  resguardo verify alert.evidence --trust trust.toml --language es --html evidence.html
  resguardo verify 2026.export --trust trust.toml --html 2026.html

Ends with 0 where all of the file holds and enough witnesses bear witness to it, with 7 where it holds and too few do yet,
with 5 where it does not hold. The trust file comes from a registrar, never with the file.")]
pub struct Verify {
    /// The file of evidence, or the export.
    file: PathBuf,
    /// The trust file: the founding of the exchange that you trust.
    #[arg(long, value_name = "TRUST")]
    trust: PathBuf,
    /// The language of what is told: English, Spanish, French, Portuguese.
    #[arg(long, value_enum, default_value_t)]
    language: Language,
    /// Write a page for people to print to this file: what happened to the message, or an export's figures.
    #[arg(long, value_name = "PAGE")]
    html: Option<PathBuf>,
}

impl Verify {
    /// Does it.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a file that is not there, or a trust file that is none; [`Exit::Integrity`] for what does not hold.
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let trust = trust_at(context, &self.trust)?;
        if is_export(context, &self.file)? {
            return self.run_export(context, trust);
        }
        let proved = read(context, &self.file, trust)?;
        let words = self.language.words();
        let story = story::told(&proved, words);
        self.page(context, || page::made(&proved, &story, words))?;
        context.screen.object(&object::of(&proved))?;
        show(context, &story, proved.is_witnessed())?;
        Ok(if proved.is_witnessed() { Exit::Done } else { Exit::Unwitnessed })
    }

    /// Writes the page, where one was asked for: first, for who reads what is told may go away.
    fn page(&self, context: &Context, made: impl FnOnce() -> String) -> Result<(), Failure> {
        let Some(path) = &self.html else { return Ok(()) };
        let written = context.disk.write_atomically(path, made().as_bytes());
        written.map_err(|error| Failure::new(Exit::Fault, format!("{}: {error}", path.display())))
    }
}

/// Tells whether a file says that it is an export, of whatever version.
fn is_export(context: &Context, file: &Path) -> Result<bool, Failure> {
    let wrong = |error: std::io::Error| Failure::usage(format!("{}: {error}", file.display()));
    let mut begins = [0; EXPORT_BEGINS.len()];
    let file = context.disk.open(file, OpenMode::Read).map_err(wrong)?;
    let read = file.read_at(&mut begins, 0).map_err(wrong)?;
    Ok(begins[..read] == *EXPORT_BEGINS)
}

/// Tells a story on the terminal.
fn show(context: &Context, story: &Story, witnessed: bool) -> Result<(), Failure> {
    if context.screen.is_json() {
        return Ok(());
    }
    let tone = if witnessed { Tone::Good } else { Tone::Warning };
    context.screen.line(&toned(tone, &story.verdict))?;
    if let Some(warning) = &story.warning {
        context.screen.line(&toned(Tone::Drill, &format!(" {warning} ")))?;
    }
    context.screen.line(&format!("\n{}\n{}", story.title, story.times))?;
    for section in &story.sections {
        context.screen.line(&format!("\n{}", section.heading.to_uppercase()))?;
        for point in &section.points {
            context.screen.line(&format!("- {}", point.said))?;
            for under in &point.under {
                context.screen.line(&format!("    - {under}"))?;
            }
        }
    }
    Ok(())
}

fn read(context: &Context, file: &Path, trust: Trust) -> Result<Proved, Failure> {
    let bytes = context.disk.read(file, EVIDENCE_BYTES_MAX as u64);
    let bytes = bytes.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    evidence::verify(&bytes.into(), trust).map_err(|error| {
        Failure::new(Exit::Integrity, format!("{}: {error}", file.display()))
            .and("Nothing of this file is proved: do not rely on any of it")
    })
}
