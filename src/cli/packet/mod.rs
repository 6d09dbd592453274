//! `packet list|get|history`: analysis packets that came and went.
//!
//! Owns their listing and their card. Never writes over a file; never acknowledges for a person.

mod progress;
mod publish;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::progress::Bar;
pub(super) use self::progress::{Seldom, object as transfer_object};
pub(super) use self::publish::PublishPacket;
pub(super) use self::publish::send;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::inbox::{banner_of, short};
use super::objects::{self, utc_or_null};
use super::publish::warn;
use super::screen::{Tone, cell, harmless, table, toned};
use super::status::bytes;
use super::unlock::{Unlock, unattended};
use crate::desk::find::{Found, find};
use crate::desk::hand_in::{self, HandInError};
use crate::desk::home::Home;
use crate::desk::inbox::InboxEntry;
use crate::desk::opener::Reader;
use crate::desk::outbox::{OutboxEntry, Stand};
use crate::desk::packet::catalogue::{Catalogue, Entry};
use crate::desk::packet::transfer::{Mover, Patience, Progress, TransferError};
use crate::desk::packet::unpack::{Opens, Unpacked, unpack};
use crate::desk::packet::{Manifest, ManifestError};
use crate::desk::reseal::answers::Resealed;
use crate::files::shelf::Shelf;
use crate::model::envelope::Envelope;
use crate::model::receipt::MessageRef;

const LEFT: &str = "What is here stays, and the same command goes on from there.";

/// Analysis packets.
#[derive(Debug, Subcommand)]
pub enum PacketCommand {
    /// Lists the packets that came and those of this desk, newest first; superseded ones are marked.
    List(PacketList),
    /// Fetches a packet's files and writes them into a folder; another file of the same name stays as it is.
    Get(PacketGet),
    /// Lists the versions of a packet, newest first.
    History(PacketHistory),
}

/// `packet list`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  resguardo packet list --limit 200")]
pub struct PacketList {
    /// Leave out what is superseded.
    #[arg(long)]
    newest: bool,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    unlock: Unlock,
}

/// `packet get`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo packet get 7d9be2c4
  resguardo packet get 7d9be2c4 --to ~/march

When the line is cut it goes on where it was; after Ctrl-C so does the same command.")]
pub struct PacketGet {
    /// The packet: its id, or at least six characters of its beginning or end.
    packet: String,
    /// The folder; else one of the packet's short id, here.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlock,
}

/// `packet history`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  resguardo packet history 7d9be2c4")]
pub struct PacketHistory {
    /// A version of the packet: its id, or at least six characters of its beginning or end.
    packet: String,
    #[command(flatten)]
    unlock: Unlock,
}

impl PacketCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::List(command) => command.run(context),
            Self::Get(command) => context.unless_stopped(LEFT, command.run(context)).await,
            Self::History(command) => command.run(context),
        }
    }
}

impl PacketList {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let (catalogue, exit) = catalogue(context, &home, &self.unlock.reader(context, &home)?)?;
        let newest = |entry: &&Entry| !self.newest || entry.superseded_by.is_none();
        let entries: Vec<_> = catalogue.entries.iter().filter(newest).take(self.limit).collect();
        listed(context, &home, &entries)?;
        Ok(exit)
    }
}

impl PacketHistory {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let (catalogue, exit) = catalogue(context, &home, &self.unlock.reader(context, &home)?)?;
        let entry = one_of(&catalogue, &self.packet, |_| true)?;
        listed(context, &home, &catalogue.history(entry))?;
        Ok(exit)
    }
}

impl PacketGet {
    async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        home.desk()?;
        let reader = Reader::of(&home, Some(self.unlock.required(context, &home)?.opener));
        let (catalogue, _) = catalogue(context, &home, &reader)?;
        let entry = one_of(&catalogue, &self.packet, |_| true)?;
        let manifest = entry.manifest.as_ref().map_err(unreadable)?;
        let message = entry.message().ok_or_else(|| {
            Failure::usage(
                "this packet has not been handed in yet: its files are where `publish packet` found them",
            )
        })?;
        if let Some(newer) = entry.superseded_by {
            warn(context, &format!("this version is superseded by {newer}"))?;
        }
        let store = home.shelf();
        fetch(context, &home, &store, &message, (&entry.envelope, manifest)).await?;
        let resealed = match &entry.found {
            Found::Received(it) => reader.opened(&context.boxes(&home)?.0.read(it)?).1,
            Found::Sent(_) => None,
        };
        self.write(context, (&store, &reader, resealed.as_ref()), entry, manifest).await?;
        if let Found::Received(entry) = &entry.found {
            received(context, &home, entry).await?;
        }
        Ok(Exit::Done)
    }

    async fn write(
        &self,
        context: &Context,
        (store, reader, resealed): (&Shelf, &Reader, Option<&Resealed>),
        entry: &Entry,
        manifest: &Manifest,
    ) -> Result<(), Failure> {
        let short = short(&entry.envelope.message_id.to_string());
        let dir = self.to.clone().unwrap_or_else(|| format!("packet-{short}").into());
        let opener = reader.opener().map_err(|why| Failure::usage(why.to_string()))?;
        for file in &manifest.files {
            let by = Opens { opener, resealed, policy: reader.policy(), envelope: &entry.envelope };
            let done = unpack(&context.disk, store, (by, file), &dir).await?;
            let path = dir.join(&file.name);
            context.screen.object(&json!({
                "object": "file",
                "message_id": entry.envelope.message_id.to_string(),
                "name": file.name,
                "path": path.to_string_lossy(),
                "bytes": file.file.bytes,
                "sha256": file.file.digest.to_string(),
                "written": done == Unpacked::Written,
            }))?;
            let words = if done == Unpacked::Written { "" } else { ", there already" };
            let line = format!("{} ({}){words}", harmless(&path.to_string_lossy()), bytes(file.file.bytes));
            context.screen.line(&line)?;
        }
        Ok(())
    }
}

/// Fetches what is not here yet of a packet's files.
async fn fetch(
    context: &Context,
    home: &Home,
    store: &Shelf,
    message: &MessageRef,
    (envelope, manifest): (&Envelope, &Manifest),
) -> Result<(), Failure> {
    let bar = Bar::new(context, envelope, false, &manifest.title);
    let dial = context.files_dial(home);
    let tell = |progress: Progress| bar.tell(progress);
    let lost = |error: &TransferError, ms: u64| bar.lost(error, ms);
    let (random, patience) = (&*context.random, Patience::Tries(publish::TRIES));
    let mover = Mover { dial: &dial, random, patience, tell: &tell, lost: &lost };
    for file in &envelope.files {
        mover
            .down(store, message, *file)
            .await
            .map_err(|error| Failure::from(HandInError::from(error)).and(LEFT))?;
    }
    Ok(())
}

/// Acknowledges as received what is whole on this disk now. Where the hub is not there, a running `subscribe` does it.
async fn received(context: &Context, home: &Home, entry: &InboxEntry) -> Result<(), Failure> {
    let Ok(channel) = context.connect(home).await else { return Ok(()) };
    let (now, (inbox, outbox)) = (context.clock.now(), context.boxes(home)?);
    // What was replayed from before, or acknowledged long ago, says nothing new.
    let kept = inbox.read(entry)?;
    let signer = unattended(context, home)?;
    if let Err(error) = hand_in::received(channel, home, &outbox, (&kept, now), &signer).await {
        warn(context, &format!("it is not acknowledged as received yet: {}", Failure::from(error).message))?;
    }
    Ok(())
}

fn catalogue(context: &Context, home: &Home, reader: &Reader) -> Result<(Catalogue, Exit), Failure> {
    let (inbox, outbox) = context.boxes(home)?;
    let catalogue = Catalogue::of(&inbox, &outbox, reader)?;
    for error in &catalogue.damaged {
        warn(context, &error.to_string())?;
    }
    let exit = if catalogue.damaged.is_empty() { Exit::Done } else { Exit::Integrity };
    Ok((catalogue, exit))
}

/// The one packet that a person means.
fn one_of<'a>(
    catalogue: &'a Catalogue,
    text: &str,
    of: impl Fn(&&Entry) -> bool,
) -> Result<&'a Entry, Failure> {
    let entries: Vec<&Entry> = catalogue.entries.iter().filter(of).collect();
    let received: Vec<InboxEntry> = entries
        .iter()
        .filter_map(|entry| match &entry.found {
            Found::Received(entry) => Some(entry.clone()),
            Found::Sent(_) => None,
        })
        .collect();
    let sent: Vec<OutboxEntry> = entries
        .iter()
        .filter_map(|entry| match &entry.found {
            Found::Sent(entry) => Some(entry.clone()),
            Found::Received(_) => None,
        })
        .collect();
    let found = find(text, &received, &sent).map_err(|error| {
        Failure::from(error).and("`resguardo packet list` lists the packets of this home")
    })?;
    let entry = entries.into_iter().find(|entry| entry.found == found);
    entry.ok_or_else(|| Failure::usage(format!("{text:?} is no packet of this home")))
}

fn unreadable(error: &ManifestError) -> Failure {
    Failure::new(Exit::Integrity, format!("the packet cannot be read: {error}. Tell its sender"))
}

/// How many of a packet's files are here, of how many.
fn here(store: &Shelf, entry: &Entry) -> (usize, usize) {
    let files = &entry.envelope.files;
    (files.iter().filter(|file| store.has(file).unwrap_or(false)).count(), files.len())
}

fn listed(context: &Context, home: &Home, entries: &[&Entry]) -> Result<(), Failure> {
    let store = home.shelf();
    let mut rows = table(&["", "At", "From", "Title", "Version", "Period", "Size", "Files", "Id"]);
    for entry in entries {
        let (here, files) = here(&store, entry);
        context.screen.object(&packet_object(entry, here))?;
        rows.add_row(row(context, entry, here, files));
    }
    if entries.is_empty() {
        context.screen.line("There are no packets.")?;
    } else {
        context.screen.table(&rows)?;
    }
    Ok(())
}

fn row(context: &Context, entry: &Entry, here: usize, files: usize) -> Vec<comfy_table::Cell> {
    let manifest = entry.manifest.as_ref().ok();
    let sent = matches!(entry.found, Found::Sent(_));
    let from = if sent { "(sent)" } else { entry.envelope.sender.office.as_str() };
    let waits = matches!(&entry.found, Found::Sent(sent) if sent.stand == Stand::Pending);
    let mark = match entry.superseded_by {
        Some(_) => cell(Tone::Faint, "superseded"),
        None if waits => cell(Tone::Warning, "waits"),
        None => cell(Tone::Plain, ""),
    };
    let files = match entry.found {
        Found::Received(_) => format!("{here} of {files} here"),
        Found::Sent(_) => files.to_string(),
    };
    vec![
        mark,
        cell(Tone::Plain, &context.screen.time(entry.at)),
        cell(Tone::Plain, from),
        cell(Tone::Plain, &format!("{}{}", banner_of(entry.envelope.status), title(entry))),
        cell(Tone::Plain, &manifest.map_or_else(String::new, |it| it.version.to_string())),
        cell(Tone::Plain, &manifest.map_or_else(String::new, period)),
        cell(Tone::Plain, &manifest.map_or_else(String::new, |it| bytes(it.bytes_in_all()))),
        cell(Tone::Plain, &files),
        cell(Tone::Faint, &short(&entry.envelope.message_id.to_string())),
    ]
}

fn title(entry: &Entry) -> String {
    match &entry.manifest {
        Ok(manifest) => manifest.title.clone(),
        Err(error) => format!("(cannot be read: {error})"),
    }
}

fn period(manifest: &Manifest) -> String {
    match manifest.period {
        None => String::new(),
        Some((from, to)) if from == to => from.to_string(),
        Some((from, to)) => format!("{from} to {to}"),
    }
}

fn packet_object(entry: &Entry, here: usize) -> Value {
    let mut object = json!({
        "object": "packet",
        "message_id": entry.envelope.message_id.to_string(),
        "sender_office": entry.envelope.sender.office.to_string(),
        "direction": if matches!(entry.found, Found::Sent(_)) { "sent" } else { "received" },
        "stream": entry.envelope.stream.to_string(),
        "status": entry.envelope.status.name(),
        "index": entry.index.map(|index| index.0),
        "at": utc_or_null(Some(entry.at)),
        "superseded_by": entry.superseded_by.map(|id| id.to_string()),
        "files_here": here,
    });
    if let Ok(manifest) = &entry.manifest {
        objects::extend_with_manifest(&mut object, manifest);
    }
    object
}

/// Shows what a packet says, to a person.
pub(super) fn card(context: &Context, manifest: &Manifest) -> Result<(), Failure> {
    let field = |name: &str, words: &str| {
        if words.is_empty() {
            Ok(())
        } else {
            context.screen.line(&format!("{name:<12}| {}", harmless(words)))
        }
    };
    context.screen.line("")?;
    context.screen.line(&toned(Tone::Good, &harmless(&manifest.title)))?;
    field("Version", &manifest.version.to_string())?;
    field("Supersedes", &manifest.supersedes.map(|id| id.to_string()).unwrap_or_default())?;
    field("Period", &period(manifest))?;
    field("Territory", &manifest.territory)?;
    field("Line", manifest.line_of_action.as_str())?;
    field("Method", &manifest.method)?;
    for source in &manifest.sources {
        field("Source", &format!("{} {}", source.grade, source.text))?;
    }
    for file in &manifest.files {
        field("File", &format!("{} ({})", file.name, bytes(file.file.bytes)))?;
    }
    Ok(())
}
