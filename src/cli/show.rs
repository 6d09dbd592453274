//! `show`: a message as a person reads it.
//!
//! Owns the card. Never acknowledges: a person says so with `ack`.

use clap::Args;

use super::asked::{asked, line};
use super::confirm;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::inbox::{Statements, banner_of, short};
use super::objects;
use super::packet;
use super::persons;
use super::publish::warn;
use super::resealing;
use super::screen::{Tone, harmless, priority_tone, toned};
use super::unlock::Unlock;
use super::witness::{self, Witnessed};
use crate::cap::{self, Alert, Facts, Reference, render};
use crate::desk::content;
use crate::desk::find::{Found, find};
use crate::desk::home::Home;
use crate::desk::inbox::{Inbox, InboxEntry, Kept};
use crate::desk::members::Members;
use crate::desk::opener::{Clear, Reader, Unreadable};
use crate::desk::outbox::{OutboxEntry, Outcome};
use crate::desk::packet::Manifest;
use crate::model::envelope::{Envelope, MessageClass, MessageId};
use crate::seal::OpenError;

/// Shows a message.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo show 7d9be2c4
  resguardo show 7d9be2c4 --lang es

To show is not to acknowledge: say `resguardo ack 7d9be2c4 --stage read` when you have read it.")]
pub struct Show {
    /// The message: its id, or at least six characters of its beginning or end.
    message: String,
    /// The languages to show, best first, e.g. es,en; else those of the environment.
    #[arg(long, value_name = "LANGUAGE", value_delimiter = ',')]
    lang: Vec<String>,
    #[command(flatten)]
    unlock: Unlock,
}

impl Show {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let (inbox, outbox) = context.boxes(&home)?;
        match find(&self.message, &inbox.entries()?, &outbox.messages()?)? {
            Found::Received(entry) => self.received(context, &home, &entry),
            Found::Sent(entry) => self.sent(context, &home, &entry),
        }
    }

    fn received(&self, context: &Context, home: &Home, entry: &InboxEntry) -> Result<Exit, Failure> {
        let (inbox, outbox) = context.boxes(home)?;
        let kept = inbox.read(entry)?;
        let stated = Statements::of(&outbox)?.about(entry);
        let reader = self.unlock.reader(context, home)?;
        let (clear, resealed) = reader.opened(&kept);
        let read = clear.as_ref().ok().map(|clear| content::read(&clear.0));
        let headline = objects::headline_here(&kept, &clear, self.languages(context)).ok();
        let mut object = objects::received(&kept, headline.as_deref());
        if let Ok(clear) = &clear
            && let Ok(manifest) = Manifest::of(&kept.envelope, &clear.0)
        {
            objects::extend_with_manifest(&mut object, &manifest);
        } else if let Some(Ok(read)) = &read {
            objects::extend_with_persons(&mut object, &read.persons);
        }
        object["resealed"] = objects::resealed(resealed.as_ref());
        if let (MessageClass::Reseal, Ok(clear)) = (kept.envelope.class, &clear) {
            objects::extend_with_resealing(&mut object, &clear.0);
        }
        object["unread"] = (!kept.is_gone() && stated.is_unread()).into();
        let witnessed =
            witness::of(home, (entry.message_id, entry.index), kept.accepted, context.clock.now())?;
        object["witnessed"] = (witnessed == Witnessed::Yes).into();
        let (members, now) = (confirm::copied(context, home), context.clock.now());
        let asked = asked(&kept, &stated, members.as_ref().map(Members::policy), now);
        object["stated"] = stated.object();
        object["asked"] = objects::asked(&asked);
        context.screen.object(&object)?;
        head(context, &kept.envelope)?;
        field(
            context,
            "Entry",
            &format!("{}, accepted {}", entry.index, context.screen.time(kept.accepted)),
        )?;
        field(context, "Kept here", &context.screen.time(kept.kept))?;
        field(context, "Witnessed", &witnessed.words())?;
        if kept.expired {
            field(context, "Expired", &toned(Tone::Warning, "before it came; what it tells of may go on"))?;
        }
        if !stated.words().is_empty() {
            field(context, "Stated here", &stated.words())?;
        }
        if let Some(line) = line(&asked, now) {
            field(context, "Asked", &line)?;
        }
        if kept.unordered {
            field(context, "Erased", &toned(Tone::Bad, objects::UNORDERED))?;
            return Ok(Exit::Done);
        }
        if let Some(why) = &kept.erased {
            return erased(context, why);
        }
        if let Some(resealed) = &resealed {
            resealing::sealed_again(context, resealed)?;
        }
        let clear = clear.map_err(|why| not_shown(entry, &why))?;
        if kept.envelope.class == MessageClass::Reseal {
            resealing::card(context, home, &kept.envelope, &clear)?;
            return unread(context, &entry.message_id, stated.is_unread());
        }
        if kept.envelope.class == MessageClass::Packet {
            return show_packet(context, home, (&kept, &clear), stated.is_unread());
        }
        let read = match read.unwrap_or_else(|| content::read(&clear.0)) {
            Ok(read) => read,
            Err(error) => {
                let id = short(&entry.message_id.to_string());
                let words = format!(
                    "{error}. It is kept as it came. Tell the sender: \
                     `resguardo ack {id} --stage unreadable --reason …`"
                );
                return Err(Failure::new(Exit::Integrity, words));
            }
        };
        follow_up(context, (&inbox, &reader), &kept, &read.imported.alert)?;
        self.card(context, &read)?;
        unread(context, &entry.message_id, stated.is_unread())
    }

    fn sent(&self, context: &Context, home: &Home, entry: &OutboxEntry) -> Result<Exit, Failure> {
        let outgoing = context.boxes(home)?.1.read_message(entry.message_id)?;
        let clear = self.unlock.reader(context, home)?.went(&outgoing);
        let opened = clear.as_ref().ok();
        let headline = opened.map(|it| objects::headline(&outgoing.envelope, &it.0, self.languages(context)));
        let mut object = objects::sent(&outgoing, headline.and_then(Result::ok).as_deref());
        let manifest = opened.and_then(|it| Manifest::of(&outgoing.envelope, &it.0).ok());
        let read = opened.map(|it| content::read(&it.0));
        match (&manifest, &read) {
            (Some(manifest), _) => objects::extend_with_manifest(&mut object, manifest),
            (None, Some(Ok(read))) => objects::extend_with_persons(&mut object, &read.persons),
            (None, _) => {}
        }
        if let (MessageClass::Reseal, Some(clear)) = (outgoing.envelope.class, opened) {
            objects::extend_with_resealing(&mut object, &clear.0);
        }
        context.screen.object(&object)?;
        head(context, &outgoing.envelope)?;
        let stand = match &outgoing.outcome {
            None => toned(Tone::Warning, "waits in the outbox"),
            Some(Outcome::Accepted { index, at, .. }) => {
                format!("entry {index}, accepted {}", context.screen.time(*at))
            }
            Some(Outcome::Refused { reason, message }) => {
                format!("{}: {} [{reason}]", toned(Tone::Bad, "refused"), harmless(message))
            }
        };
        field(context, "Sent", &stand)?;
        if let Some(Outcome::Accepted { index, at, .. }) = &outgoing.outcome {
            let witnessed = witness::of(home, (entry.message_id, *index), *at, context.clock.now())?;
            field(context, "Witnessed", &witnessed.words())?;
        }
        if outgoing.erased {
            return erased(context, "this office had it erased");
        }
        let clear = clear.map_err(|why| Failure::new(Exit::Integrity, why.to_string()))?;
        if outgoing.envelope.class == MessageClass::Reseal {
            resealing::card(context, home, &outgoing.envelope, &clear)?;
            return Ok(Exit::Done);
        }
        if let Some(manifest) = &manifest {
            packet::card(context, manifest)?;
        } else {
            let read = read.unwrap_or_else(|| content::read(&clear.0));
            self.card(context, &read.map_err(|error| Failure::new(Exit::Integrity, error.to_string()))?)?;
        }
        Ok(Exit::Done)
    }

    fn card(&self, context: &Context, read: &content::Read) -> Result<(), Failure> {
        let languages: Vec<_> = self.languages(context).iter().map(String::as_str).collect();
        context.screen.line("")?;
        context.screen.line(&render::text(&read.imported.alert, &languages))?;
        persons::cards(context, &read.persons)
    }

    fn languages<'a>(&'a self, context: &'a Context) -> &'a [String] {
        if self.lang.is_empty() { &context.languages } else { &self.lang }
    }
}

/// Why nothing of a message is shown, and what to do.
fn not_shown(entry: &InboxEntry, why: &Unreadable) -> Failure {
    if matches!(why, Unreadable::Locked) {
        return Failure::usage(format!(
            "{why}: name --passphrase-file or --passphrase-command, or type it in a terminal"
        ));
    }
    let id = short(&entry.message_id.to_string());
    let what = match why {
        Unreadable::Sealing(OpenError::NotForTheseKeys { .. }) | Unreadable::Answer { .. } => {
            format!("Ask the sender for what opens it: `resguardo reseal {id} --ask`")
        }
        _ => format!("Tell the sender: `resguardo ack {id} --stage unreadable --reason …`"),
    };
    Failure::new(Exit::Integrity, format!("{why}. Nothing of it is shown; it is kept as it came. {what}"))
}

/// The rest of the card of a message that is erased.
fn erased(context: &Context, why: &str) -> Result<Exit, Failure> {
    let why = if why.is_empty() { "the hub no longer keeps its content" } else { why };
    field(context, "Erased", &toned(Tone::Warning, &harmless(why)))?;
    Ok(Exit::Done)
}

/// The rest of the card of a packet that came.
fn show_packet(
    context: &Context,
    home: &Home,
    (kept, clear): (&Kept, &Clear),
    unread: bool,
) -> Result<Exit, Failure> {
    let id = short(&kept.entry.message_id.to_string());
    let manifest = Manifest::of(&kept.envelope, &clear.0).map_err(|error| {
        let words = format!(
            "the packet cannot be read: {error}. It is kept as it came. Tell the sender: \
             `resguardo ack {id} --stage unreadable --reason …`"
        );
        Failure::new(Exit::Integrity, words)
    })?;
    packet::card(context, &manifest)?;
    let shelf = home.shelf();
    let missing = kept.envelope.files.iter().filter(|file| !shelf.has(file).unwrap_or(false)).count();
    let here =
        if missing == 0 { String::new() } else { format!("{missing} of its files are not here yet. ") };
    context.screen.line(&format!("{here}To have the files: resguardo packet get {id}"))?;
    self::unread(context, &kept.entry.message_id, unread)
}

/// What to do about a message that nobody here has acknowledged: the card's last line.
fn unread(context: &Context, id: &MessageId, is_unread: bool) -> Result<Exit, Failure> {
    if is_unread {
        let id = short(&id.to_string());
        let hint = format!("Not acknowledged. When you have read it: resguardo ack {id} --stage read");
        context.screen.line(&toned(Tone::Warning, &hint))?;
    }
    Ok(Exit::Done)
}

fn head(context: &Context, envelope: &Envelope) -> Result<(), Failure> {
    let priority = toned(priority_tone(envelope.priority), &envelope.priority.name().to_uppercase());
    let what = match envelope.class {
        MessageClass::Reseal => "resealing",
        _ => envelope.msg_type.name(),
    };
    let line = format!("{}{priority} {what} from {}", banner_of(envelope.status), envelope.sender.office);
    context.screen.line(&line)?;
    field(context, "Id", &envelope.message_id.to_string())?;
    field(context, "From", &envelope.sender.to_string())?;
    let names: Vec<_> = envelope.offices().map(ToString::to_string).collect();
    field(context, "For", &names.join(", "))?;
    field(context, "Stream", envelope.stream.as_str())
}

pub(super) fn field(context: &Context, name: &str, words: &str) -> Result<(), Failure> {
    Ok(context.screen.line(&format!("{name:<12}| {words}"))?)
}

/// Says what an Update or a Cancel counts for: only for alerts of the same office, and of the same CAP sender.
fn follow_up(context: &Context, boxes: (&Inbox, &Reader), kept: &Kept, alert: &Alert) -> Result<(), Failure> {
    let facts = Facts::of(alert);
    if !matches!(facts.msg_type, cap::MsgType::Update | cap::MsgType::Cancel) {
        return Ok(());
    }
    let known = earlier(boxes, kept, &facts.references)?;
    for reference in &facts.references {
        let named = known.iter().find(|(_, earlier)| earlier.names_the_same(reference));
        match named {
            Some((entry, earlier)) if facts.counts_for(earlier) => {
                let verb = if facts.msg_type == cap::MsgType::Cancel { "Cancels" } else { "Updates" };
                field(context, verb, &format!("{}, entry {}", entry.message_id, entry.index))?;
            }
            Some((entry, _)) => {
                let words = format!("{} is of another CAP sender: this does NOT change it", entry.message_id);
                warn(context, &words)?;
            }
            None => {
                let words = format!(
                    "it refers to {reference}, which is not among the alerts that came from {}: it changes no other \
                     office's alert",
                    kept.entry.sender
                );
                warn(context, &words)?;
            }
        }
    }
    Ok(())
}

/// Finds the alerts of the same office that are named. Those of the envelope come first, and are enough as a rule: it
/// leaves out what another home of the office sent.
fn earlier(
    (inbox, reader): (&Inbox, &Reader),
    kept: &Kept,
    wanted: &[Reference],
) -> Result<Vec<(InboxEntry, Reference)>, Failure> {
    let mut entries = inbox.entries()?;
    entries.retain(|entry| entry.sender == kept.entry.sender && *entry != kept.entry);
    entries.sort_by_key(|entry| !kept.envelope.references.contains(&entry.message_id));
    let mut missing: Vec<&Reference> = wanted.iter().collect();
    let mut known = Vec::new();
    for entry in entries {
        if missing.is_empty() {
            break;
        }
        // One that is damaged is told when it is itself shown.
        let Ok(kept) = inbox.read(&entry) else { continue };
        let Ok(clear) = reader.came(&kept) else { continue };
        let Ok(read) = content::read(&clear.0) else { continue };
        let name = read.imported.alert.reference();
        if missing.iter().any(|reference| name.names_the_same(reference)) {
            missing.retain(|reference| !name.names_the_same(reference));
            known.push((entry, name));
        }
    }
    Ok(known)
}
