//! `inbox`: what came, and what this desk's people have done with it.
//!
//! Owns the listing. Never acknowledges anything: to list is not to read.

use std::collections::HashMap;
use std::fmt::Write as _;

use clap::Args;
use serde_json::json;

use super::asked::{Asked, asked, words};
use super::confirm;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::objects;
use super::screen::{Tone, banner, cell, harmless, priority_tone, table, toned};
use super::subscribe::missing_words;
use super::unlock::Unlock;
use crate::desk::inbox::{Inbox, InboxEntry, Kept, KeptNotice, Told};
use crate::desk::members::Members;
use crate::desk::opener::{Reader, Unreadable};
use crate::desk::outbox::{Outbox, Stand};
use crate::desk::store::StoreError;
use crate::model::envelope::{CapMsgType, CapStatus, MessageId};
use crate::model::identity::Name;
use crate::model::overdue::Overdue;
use crate::model::receipt::Stage;

/// Lists what came.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo inbox
  resguardo inbox --unread --limit 200

A * marks what no person here has acknowledged yet.")]
pub struct InboxList {
    /// Only what no person here has acknowledged yet.
    #[arg(long)]
    unread: bool,
    /// How many of the newest messages, and of the newest notices.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    unlock: Unlock,
}

/// What this desk's people stated, by message.
pub(super) struct Statements(HashMap<(MessageId, Name), Stated>);

/// What this desk's people stated about a message.
#[derive(Clone, Default)]
pub(super) struct Stated(Vec<(Stage, Stand)>);

impl Statements {
    /// Reads them from the names in the outbox.
    pub(super) fn of(outbox: &Outbox) -> Result<Self, StoreError> {
        let mut by_message: HashMap<_, Stated> = HashMap::new();
        for entry in outbox.statements()? {
            let stated = by_message.entry((entry.message_id, entry.sender)).or_default();
            stated.0.push((entry.stage, entry.stand));
        }
        Ok(Self(by_message))
    }

    /// Picks out what is about one message.
    pub(super) fn about(&self, entry: &InboxEntry) -> Stated {
        self.0.get(&(entry.message_id, entry.sender.clone())).cloned().unwrap_or_default()
    }
}

impl Stated {
    /// The furthest stage that persons here stated and the hub did not refuse; at least `received`: it is here.
    pub(super) fn furthest(&self) -> Stage {
        let counts = |(stage, stand): &&(Stage, Stand)| *stage <= Stage::Acted && *stand != Stand::Refused;
        self.0.iter().filter(counts).map(|(stage, _)| *stage).max().unwrap_or(Stage::Received)
    }

    /// Tells whether no person has acknowledged it: what waits in the outbox counts, what was refused does not.
    pub(super) fn is_unread(&self) -> bool {
        self.0.iter().all(|(stage, stand)| *stage == Stage::Received || *stand == Stand::Refused)
    }

    pub(super) fn words(&self) -> String {
        let word = |(stage, stand): &(Stage, Stand)| match stand {
            Stand::Accepted => stage.to_string(),
            Stand::Pending => format!("{stage} (waits)"),
            Stand::Refused => format!("{stage} (refused)"),
        };
        let mut words: Vec<_> = self.0.iter().map(word).collect();
        // Stated twice is stated once.
        words.sort();
        words.dedup();
        words.join(", ")
    }

    pub(super) fn object(&self) -> serde_json::Value {
        let object =
            |(stage, stand): &(Stage, Stand)| json!({ "stage": stage.name(), "outcome": stand.name() });
        self.0.iter().map(object).collect()
    }
}

impl InboxList {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let (inbox, outbox) = context.boxes(&home)?;
        let reader = self.unlock.reader(context, &home)?;
        let statements = Statements::of(&outbox)?;
        let mut entries = inbox.entries()?;
        let all = entries.len();
        // There is nothing to read of what is erased.
        let mut erased = inbox.erased()?;
        let unordered: Vec<_> =
            erased.extract_if(.., |entry| inbox.read(entry).is_ok_and(|kept| kept.unordered)).collect();
        let is_unread =
            |entry: &InboxEntry| erased.binary_search(entry).is_err() && statements.about(entry).is_unread();
        let unread = entries.iter().filter(|entry| is_unread(entry)).count();
        if self.unread {
            entries.retain(is_unread);
        }
        let older = entries.len().saturating_sub(self.limit);
        let entries = entries.split_off(older);
        let mut damaged = 0;
        let (members, now) = (confirm::copied(context, &home), context.clock.now());
        if let Some(known) = &members {
            confirm::alarm(context, &home, known);
        }
        let policy = members.as_ref().map(Members::policy);
        let mut rows = table(&[
            "",
            "Index",
            "Accepted",
            "From",
            "Priority",
            "Status",
            "Headline",
            "Stated here",
            "Asked",
            "Id",
        ]);
        for entry in &entries {
            let stated = statements.about(entry);
            match inbox.read(entry) {
                Ok(kept) => {
                    let (clear, resealed) = reader.opened(&kept);
                    let headline = objects::headline_here(&kept, &clear, &context.languages);
                    let asked = asked(&kept, &stated, policy, now);
                    let mut object = objects::received(&kept, headline.as_deref().ok());
                    object["resealed"] = objects::resealed(resealed.as_ref());
                    tell_object(context, object, &kept, &stated, &asked)?;
                    let again = if resealed.is_some() { "(sealed again) " } else { "" };
                    let headline = format!("{again}{}", headline.unwrap_or_else(|error| error));
                    rows.add_row(row(context, &kept, &headline, &stated, words(&asked, now)));
                }
                Err(error) => {
                    damaged += 1;
                    tell_damage(context, &error)?;
                }
            }
        }
        if entries.is_empty() {
            context.screen.line(if self.unread { "Nothing is unread." } else { "The inbox is empty." })?;
        } else {
            context.screen.table(&rows)?;
        }
        for entry in &unordered {
            let words = objects::unordered(entry);
            context.screen.object(&objects::warning(&words))?;
            context.screen.aside(Tone::Bad, &words);
        }
        damaged += self.notices(context, &inbox, &reader)?;
        Self::summary(context, &inbox, &outbox, Count { all, unread, older })?;
        Ok(if damaged > 0 { Exit::Integrity } else { Exit::Done })
    }

    fn notices(&self, context: &Context, inbox: &Inbox, reader: &Reader) -> Result<usize, Failure> {
        let mut indexes = inbox.notices()?;
        let mut damaged = 0;
        for index in indexes.split_off(indexes.len().saturating_sub(self.limit)) {
            match inbox.read_notice(index) {
                Ok(notice) => tell_notice(context, &notice, reader)?,
                Err(error) => {
                    damaged += 1;
                    tell_damage(context, &error)?;
                }
            }
        }
        Ok(damaged)
    }

    fn summary(context: &Context, inbox: &Inbox, outbox: &Outbox, count: Count) -> Result<(), Failure> {
        let Count { all, unread, older } = count;
        let plural = if all == 1 { "" } else { "s" };
        let mut words = format!("{all} message{plural}, {unread} unread");
        if older > 0 {
            let _ = write!(words, "; {older} older ones are not shown (--limit)");
        }
        // One that is damaged is begun anew by the next subscription.
        for missing in inbox.missing().unwrap_or_default() {
            super::publish::warn(context, &missing_words(&missing))?;
        }
        let asides = inbox.asides()?.len();
        if asides > 0 {
            let _ = write!(words, "; {asides} could not be read and are kept aside");
        }
        let (messages, statements) = outbox.pending()?;
        let waits = messages.len() + statements.len() + outbox.pending_orders()?.len();
        if waits > 0 {
            let _ = write!(words, "; {waits} wait in the outbox");
        }
        Ok(context.screen.line(&format!("{words}."))?)
    }
}

/// How many messages there are.
#[derive(Clone, Copy)]
struct Count {
    all: usize,
    unread: usize,
    /// Older than what is shown.
    older: usize,
}

fn row(
    context: &Context,
    kept: &Kept,
    headline: &str,
    stated: &Stated,
    (urgency, asked): (Tone, String),
) -> Vec<comfy_table::Cell> {
    let envelope = &kept.envelope;
    let mark = if !kept.is_gone() && stated.is_unread() { "*" } else { "" };
    let status = match envelope.status {
        CapStatus::Actual => cell(Tone::Plain, "Actual"),
        drill => cell(Tone::Drill, &drill.name().to_uppercase()),
    };
    let expired = if kept.expired { "EXPIRED " } else { "" };
    let headline = match envelope.msg_type {
        CapMsgType::Alert => format!("{expired}{headline}"),
        other => format!("{expired}{}: {headline}", other.name().to_uppercase()),
    };
    vec![
        cell(Tone::Bad, mark),
        cell(Tone::Plain, &kept.entry.index.to_string()),
        cell(Tone::Plain, &context.screen.time(kept.accepted)),
        cell(Tone::Plain, kept.entry.sender.as_str()),
        cell(priority_tone(envelope.priority), envelope.priority.name()),
        status,
        cell(if kept.unordered { Tone::Bad } else { Tone::Plain }, &headline),
        cell(Tone::Plain, &stated.words()),
        cell(urgency, &asked),
        cell(Tone::Faint, &short(&envelope.message_id.to_string())),
    ]
}

/// The end of an id: enough for a person to type.
pub(super) fn short(id: &str) -> String {
    id[id.len().saturating_sub(8)..].to_owned()
}

fn tell_object(
    context: &Context,
    mut object: serde_json::Value,
    kept: &Kept,
    stated: &Stated,
    asked: &[Asked],
) -> Result<(), Failure> {
    object["unread"] = (!kept.is_gone() && stated.is_unread()).into();
    object["stated"] = stated.object();
    object["asked"] = objects::asked(asked);
    Ok(context.screen.object(&object)?)
}

/// Tells of a notice.
pub(super) fn tell_notice(context: &Context, notice: &KeptNotice, reader: &Reader) -> Result<(), Failure> {
    let note = match &notice.told {
        Ok(Told::Receipt(receipt)) => reader.note(receipt, &notice.note),
        _ => None,
    };
    let opened = note.as_ref().and_then(|note| note.as_ref().ok());
    context.screen.object(&objects::notice(notice, opened))?;
    let line = match &notice.told {
        Ok(Told::Receipt(receipt)) => {
            let ids: Vec<_> = receipt.messages.iter().map(|message| message.message_id.to_string()).collect();
            format!(
                "{} {} by {} on {}: {}",
                toned(Tone::Bad, &receipt.stage.name().to_uppercase()),
                ids.join(", "),
                receipt.desk.office,
                context.screen.time(notice.recorded),
                match &note {
                    Some(Ok(note)) => format!("{}, says {}", harmless(&note.text), harmless(&note.officer)),
                    Some(Err(Unreadable::Locked)) => "(its note is sealed)".into(),
                    Some(Err(why)) => format!("(its note cannot be read: {why})"),
                    None => harmless(&receipt.reason),
                },
            )
        }
        Ok(Told::Overdue(Overdue { office, due, missed })) => format!(
            "{} {} by {office}, due {}",
            toned(Tone::Bad, "OVERDUE"),
            objects::missed(missed),
            context.screen.time(*due),
        ),
        Ok(Told::Erasure(order)) => format!(
            "{} {} is erased, by order of {} on {}: {}",
            toned(Tone::Warning, "ERASED"),
            order.message_id,
            order.by,
            context.screen.time(notice.recorded),
            harmless(&order.reason),
        ),
        Err(refusal) => format!("notice {} cannot be read: {}", notice.index, harmless(&refusal.message)),
    };
    Ok(context.screen.line(&line)?)
}

fn tell_damage(context: &Context, error: &StoreError) -> Result<(), Failure> {
    super::publish::warn(
        context,
        &format!("{error}. The hub can send it again: `resguardo subscribe --replay-from`"),
    )
}

/// What stands before a message that is not real, with a space.
pub(super) fn banner_of(status: CapStatus) -> String {
    let banner = banner(status);
    if banner.is_empty() { banner } else { format!("{banner} ") }
}
