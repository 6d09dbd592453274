//! `export`: a message's alert as CAP 1.2 XML, for other programs, and its person blocks for whom they may go to.
//!
//! Owns where it goes. At a crash while a file is written: it is whole, old or new.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::persons::tell;
use super::screen::Tone;
use super::unlock::Unlock;
use crate::cap;
use crate::desk::find::{Found, find};
use crate::desk::opener::Reader;
use crate::desk::release::release;
use crate::desk::{content, persons};
use crate::model::envelope::MessageClass;
use crate::model::person::Audience;

/// Writes a message's alert as CAP 1.2 XML, and its person blocks for whom they may go to.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo export 7d9be2c4
  resguardo export 7d9be2c4 --output alert.xml
  resguardo export 7d9be2c4 --for government --output alert.xml --persons-to persons.toml")]
pub struct Export {
    /// The message: its id, or at least six characters of its beginning or end.
    message: String,
    /// Write to this file, open to you alone, instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Leave out what may not go there: person blocks without a yes for it, areas where a place is not to be shown.
    #[arg(long = "for", value_name = "AUDIENCE", value_parser = audience_parser())]
    audience: Option<Audience>,
    /// Write the person blocks that may go there to this file, open to you alone. The XML never has them.
    #[arg(long, value_name = "FILE", requires = "audience")]
    persons_to: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlock,
}

fn audience_parser() -> impl clap::builder::TypedValueParser<Value = Audience> {
    let names = Audience::ALL.map(Audience::name);
    let of = |name: String| Audience::ALL.into_iter().find(|it| it.name() == name);
    PossibleValuesParser::new(names).map(move |name| of(name).expect("it is one of the names"))
}

impl Export {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let (inbox, outbox) = context.boxes(&home)?;
        let reader = Reader::of(&home, Some(self.unlock.required(context, &home)?.opener));
        let (envelope, clear, erased) = match find(&self.message, &inbox.entries()?, &outbox.messages()?)? {
            Found::Received(entry) => {
                let kept = inbox.read(&entry)?;
                let clear = reader.came(&kept);
                (kept.envelope, clear, kept.erased.is_some())
            }
            Found::Sent(entry) => {
                let sent = outbox.read_message(entry.message_id)?;
                let clear = reader.went(&sent);
                (sent.envelope, clear, sent.erased)
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
        if envelope.class == MessageClass::Reseal {
            let words = "this is a resealing, not an alert: export the message that it is about";
            return Err(Failure::usage(words));
        }
        let clear = clear.map_err(|why| Failure::new(Exit::Integrity, why.to_string()))?;
        let read =
            content::read(&clear.0).map_err(|error| Failure::new(Exit::Integrity, error.to_string()))?;
        let alert = &read.imported;
        for remark in &alert.warnings {
            context.screen.aside(Tone::Warning, &format!("warning: {remark}"));
        }
        let Some(audience) = self.audience else {
            let count = read.persons.len();
            if count > 0 {
                let words = format!(
                    "For the office's own use: nothing is left out of the alert's text. Its {count} person blocks are not in the XML: \
                     --for says for whom, and --persons-to has those that may go there"
                );
                context.screen.aside(Tone::Warning, &words);
            }
            return self.write_alert(context, &cap::export(&alert.alert));
        };
        let released = release(&alert.alert, &read.persons, audience)
            .map_err(|error| Failure::usage(error.to_string()).and("Nothing was exported"))?;
        tell(context, &released, audience);
        if let Some(file) = &self.persons_to {
            write(context, file, persons::written(&released.persons, audience).as_bytes())?;
        }
        self.write_alert(context, &cap::export(&released.alert))
    }

    fn write_alert(&self, context: &Context, xml: &str) -> Result<Exit, Failure> {
        match &self.output {
            None => context.screen.raw(xml.as_bytes())?,
            Some(file) => write(context, file, xml.as_bytes())?,
        }
        Ok(Exit::Done)
    }
}

fn write(context: &Context, file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if std::fs::symlink_metadata(file).is_ok_and(|there| !there.is_file()) {
        return Err(Failure::usage(format!(
            "{} is there and is no plain file: it would be replaced. Name another, or take standard output",
            file.display()
        )));
    }
    let written = context.disk.write_atomically(file, bytes);
    written.map_err(|error| Failure::usage(format!("cannot write {}: {error}", file.display())))?;
    context.screen.aside(Tone::Plain, &format!("Written to {}.", file.display()));
    Ok(())
}
