//! `export`: a message's alert as CAP 1.2 XML, for other programs.
//!
//! Owns where it goes. At a crash while a file is written: it is whole, old or new.

use std::path::PathBuf;

use clap::Args;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen::Tone;
use crate::cap;
use crate::desk::find::{Found, find};
use crate::model::envelope::MessageClass;

/// Writes a message's alert as CAP 1.2 XML.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo export 7d9be2c4
  resguardo export 7d9be2c4 --output alert.xml")]
pub struct Export {
    /// The message: its id, or at least six characters of its beginning or end.
    message: String,
    /// Write to this file, open to you alone, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let (inbox, outbox) = context.boxes(&home)?;
        let (envelope, payload, erased) = match find(&self.message, &inbox.entries()?, &outbox.messages()?)? {
            Found::Received(entry) => {
                let kept = inbox.read(&entry)?;
                (kept.envelope, kept.payload, kept.erased.is_some())
            }
            Found::Sent(entry) => {
                let sent = outbox.read_message(entry.message_id)?;
                (sent.envelope, sent.payload, sent.erased)
            }
        };
        if erased {
            let words = format!("{} is erased: there is nothing to export", envelope.message_id);
            return Err(Failure::new(Exit::Refused, words));
        }
        if envelope.class == MessageClass::Packet {
            let words =
                format!("this is a packet, not an alert: resguardo packet get {}", envelope.message_id);
            return Err(Failure::usage(words));
        }
        let alert = cap::import(&payload).map_err(|error| {
            Failure::new(Exit::Integrity, format!("the payload is no CAP 1.2 alert: {error}"))
        })?;
        for remark in &alert.warnings {
            context.screen.aside(Tone::Warning, &format!("warning: {remark}"));
        }
        let xml = cap::export(&alert.alert);
        match &self.output {
            None => context.screen.raw(xml.as_bytes())?,
            Some(file) => {
                if std::fs::symlink_metadata(file).is_ok_and(|there| !there.is_file()) {
                    return Err(Failure::usage(format!(
                        "{} is there and is no plain file: it would be replaced. Name another, or take standard output",
                        file.display()
                    )));
                }
                let written = context.disk.write_atomically(file, xml.as_bytes());
                written
                    .map_err(|error| Failure::usage(format!("cannot write {}: {error}", file.display())))?;
                context.screen.aside(Tone::Plain, &format!("Written to {}.", file.display()));
            }
        }
        Ok(Exit::Done)
    }
}
