//! `publish packet`: files and what they are, to the members of a stream.
//!
//! Owns the order: read and digest, look up what is superseded, keep the draft, hand up the files, publish. At a crash or a
//! signal after the draft was kept: the same command, `publish pending` or a running `subscribe` goes on where it was.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::civil::Date;

use super::progress::Bar;
use crate::cli::LEFT_IN_OUTBOX;
use crate::cli::confirm::Unconfirmed;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::policy::word;
use crate::cli::publish::{By, NOTHING, WAITS, reach, recipients, refusal, tell};
use crate::cli::unlock::{Unlock, own_recipient};
use crate::desk::hand_in::{self, Sealing};
use crate::desk::home::Home;
use crate::desk::opener::Reader;
use crate::desk::outbox::{Outbox, Outcome, Outgoing};
use crate::desk::packet::catalogue::{Catalogue, Entry};
use crate::desk::packet::draft::{Found, PacketDraft, compose, digest};
use crate::desk::packet::transfer::{Mover, Patience, Progress, TransferError};
use crate::desk::packet::{Grade, Manifest, Source};
use crate::model::envelope::{CapStatus, FILES_MAX, MessageClass, Priority};
use crate::model::identity::{Desk, Name};

/// Tries without a byte before a file is left for later.
pub(super) const TRIES: u32 = 6;

/// `publish packet`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo publish packet report.pdf annexes/ --title 'Threats in March' --period 2026-03 --territory Honduras
  resguardo publish packet report.pdf --title 'Threats in March' --supersedes 7d9be2c4 --source 'B2: field visit, 12 March'

A PATH is a file, or a folder that stands for the files in it; folders in it are refused. When the line is cut it goes on
where it was. After Ctrl-C or without a hub, the same command goes on, or `resguardo publish pending`, or a running
`resguardo subscribe`: the outbox keeps what the packet says and where its files are, so leave them there, unchanged.")]
pub struct PublishPacket {
    /// Files and folders.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What it is called, in a line.
    #[arg(long)]
    title: String,
    /// The stream that it belongs to: its line of action.
    #[arg(long, value_name = "STREAM", default_value = "studies")]
    stream: Name,
    /// Only to these offices, instead of all members of the stream.
    #[arg(long, value_name = "OFFICE", value_delimiter = ',')]
    to: Vec<Name>,
    /// The packet of this office that it replaces, by its id: it is the next version of it.
    #[arg(long, value_name = "ID")]
    supersedes: Option<String>,
    /// What time it is about: a year, a month, a day, or FROM..TO in days, e.g. 2026-03 or 2026-03-01..2026-03-15.
    #[arg(long, value_name = "PERIOD", value_parser = period)]
    period: Option<(Date, Date)>,
    /// What territory it is about.
    #[arg(long, default_value = "")]
    territory: String,
    /// How it was made.
    #[arg(long, default_value = "")]
    method: String,
    /// What it rests on, with its grade by the Admiralty code, e.g. 'B2: two witnesses'. Once for each source.
    #[arg(long = "source", value_name = "GRADE: TEXT", value_parser = source)]
    sources: Vec<Source>,
    /// Whether it is real.
    #[arg(long, value_name = "STATUS", default_value = "Actual", value_parser = word(CapStatus::ALL))]
    status: CapStatus,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    unlock: Unlock,
}

/// Reads a period: a year, a month, a day, or two days.
fn period(text: &str) -> Result<(Date, Date), String> {
    let expected =
        || format!("{text:?} is no period: 2026, 2026-03, 2026-03-31 or 2026-03-01..2026-03-15 expected");
    let day = |text: &str| text.parse::<Date>().ok();
    let found = match text.split_once("..") {
        Some((from, to)) => day(from).zip(day(to)),
        None => match text.len() {
            4 => day(&format!("{text}-01-01")).zip(day(&format!("{text}-12-31"))),
            7 => day(&format!("{text}-01")).map(|first| (first, first.last_of_month())),
            _ => day(text).map(|day| (day, day)),
        },
    };
    found.filter(|(from, to)| from <= to).ok_or_else(expected)
}

/// Reads a source and its grade.
fn source(text: &str) -> Result<Source, String> {
    let (grade, words) = text.split_once(':').unwrap_or((text, ""));
    let words = words.trim();
    match Grade::parse(grade.trim()) {
        Some(grade) if !words.is_empty() => Ok(Source { grade, text: words.to_owned() }),
        _ => Err(format!(
            "{text:?}: a grade from A1 to F6, a colon and the source expected, e.g. 'B2: two witnesses'"
        )),
    }
}

impl PublishPacket {
    pub(in crate::cli) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.unless_stopped(LEFT_IN_OUTBOX, self.publish(context)).await
    }

    async fn publish(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let desk = home.desk()?;
        let (inbox, outbox) = context.boxes(&home)?;
        let nothing = |failure: Failure| failure.and(NOTHING);
        let unlocked = self.unlock.required(context, &home).map_err(nothing)?;
        let catalogue = Catalogue::of(&inbox, &outbox, &Reader::of(&home, Some(unlocked.opener.clone())))?;
        let superseded = self.superseded(&catalogue, desk).map_err(nothing)?;
        let found = found(&self.paths).map_err(nothing)?;
        let manifest = self.manifest(context, &found, superseded).await.map_err(nothing)?;
        let (channel, members) = reach(context, &home).await?;
        let recipients = recipients(context, &self.to, &self.stream, members.as_ref(), &desk.office)?;
        let class = (MessageClass::Packet, Priority::Normal);
        Unconfirmed::default().check(context, &home, members.as_ref(), &recipients, None).map_err(nothing)?;
        let policy = members.as_ref().and_then(|members| members.policy().deadlines().get(&class));
        let deadlines = self.by.over(policy.copied().unwrap_or_default()).map_err(nothing)?;
        let draft = PacketDraft {
            sources: sorted_like(&manifest, found),
            manifest,
            thread_id: superseded.map(|entry| entry.envelope.thread_id),
            status: self.status,
            stream: self.stream.clone(),
            deadlines,
            recipients,
            to_members: self.to.is_empty(),
            own: own_recipient(context, &home, members.as_ref())?,
        };
        let (mut outgoing, waits) =
            compose(desk, draft, &outbox, &*context.clock, &*context.random, &unlocked)?;
        let held = home.lock().await?;
        if !waits {
            outbox.add_message(&held, &outgoing, context.clock.now())?;
        }
        drop(held);
        if channel.is_none() {
            tell(context, &outgoing, None)?;
            return Err(Failure::new(Exit::Unreachable, "the packet was not handed in").and(WAITS));
        }
        if outgoing.is_draft()
            && let Some(members) = &members
        {
            let held = home.lock().await?;
            let id = outgoing.envelope.message_id;
            let sealed = unlocked.seal(&home, &held, &outbox, members.policy(), id);
            outgoing = sealed.map_err(|error| Failure::from(error).and(WAITS))?;
        }
        let sealing = context.sealing(Some(unlocked));
        let outcome = send(context, &home, &outbox, (&outgoing, &self.title), &sealing).await;
        tell(context, &outgoing, outcome.as_ref().ok())?;
        match outcome? {
            Outcome::Accepted { .. } => Ok(Exit::Done),
            refused @ Outcome::Refused { .. } => Err(refusal(&refused)),
        }
    }

    fn superseded<'a>(&self, catalogue: &'a Catalogue, desk: &Desk) -> Result<Option<&'a Entry>, Failure> {
        let Some(text) = &self.supersedes else { return Ok(None) };
        let own = |entry: &&Entry| entry.envelope.sender.office == desk.office;
        let entry = super::one_of(catalogue, text, own)?;
        if let Some(newer) = entry.superseded_by {
            let words = format!("{text} is superseded by {newer} already: say --supersedes {newer}");
            return Err(Failure::usage(words));
        }
        Ok(Some(entry))
    }

    async fn manifest(
        &self,
        context: &Context,
        found: &[Found],
        superseded: Option<&Entry>,
    ) -> Result<Manifest, Failure> {
        let version = match superseded.map(|entry| &entry.manifest) {
            None => 1,
            Some(Ok(manifest)) => manifest.version.saturating_add(1),
            Some(Err(error)) => {
                return Err(Failure::usage(format!("what it supersedes cannot be read: {error}")));
            }
        };
        let mut files = Vec::with_capacity(found.len());
        for one in found {
            let read = digest(&context.disk, one).await;
            files.push(
                read.map_err(|error| Failure::usage(format!("cannot read {}: {error}", one.path.display())))?,
            );
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = Manifest {
            title: self.title.clone(),
            period: self.period,
            territory: self.territory.clone(),
            line_of_action: self.stream.clone(),
            method: self.method.clone(),
            sources: self.sources.clone(),
            version,
            supersedes: superseded.map(|entry| entry.envelope.message_id),
            files,
        };
        manifest.check().map_err(|error| Failure::usage(error.to_string()))?;
        Ok(manifest)
    }
}

/// Hands in a packet: its files with their progress, then the message.
pub(in crate::cli) async fn send(
    context: &Context,
    home: &Home,
    outbox: &Outbox,
    (outgoing, title): (&Outgoing, &str),
    sealing: &Sealing,
) -> Result<Outcome, Failure> {
    let bar = Bar::new(context, &outgoing.envelope, true, title);
    let dial = context.files_dial(home);
    let tell = |progress: Progress| bar.tell(progress);
    let lost = |error: &TransferError, ms: u64| bar.lost(error, ms);
    let (random, patience) = (&*context.random, Patience::Tries(TRIES));
    let mover = Mover { dial: &dial, random, patience, tell: &tell, lost: &lost };
    hand_in::packet(&mover, home, outbox, outgoing, sealing)
        .await
        .map_err(|error| Failure::from(error).and(WAITS))
}

/// The files that paths stand for.
fn found(paths: &[PathBuf]) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let unreadable = |error| Failure::usage(format!("cannot read {}: {error}", path.display()));
        // Where it is, also for a run that begins in another folder.
        let path = path.canonicalize().map_err(unreadable)?;
        if !path.is_dir() {
            found.push(one(path)?);
            continue;
        }
        for entry in std::fs::read_dir(&path).map_err(unreadable)? {
            let inside = entry.map_err(unreadable)?.path().canonicalize().map_err(unreadable)?;
            if inside.is_dir() {
                let words = format!(
                    "{} is a folder in a folder: a packet has files, without folders",
                    inside.display()
                );
                return Err(Failure::usage(words));
            }
            found.push(one(inside)?);
        }
    }
    match found.len() {
        0 => Err(Failure::usage("there is no file in what was named")),
        count if count > FILES_MAX => Err(Failure::usage(format!(
            "a packet has at most {FILES_MAX} files; these are {count}: pack some together"
        ))),
        _ => Ok(found),
    }
}

fn one(path: PathBuf) -> Result<Found, Failure> {
    let not_text = || Failure::usage(format!("{} is not UTF-8: give it another name", path.display()));
    path.to_str().ok_or_else(not_text)?;
    if !path.is_file() {
        return Err(Failure::usage(format!("{} is no plain file", path.display())));
    }
    let name = Path::file_name(&path).and_then(|name| name.to_str()).ok_or_else(not_text)?.to_owned();
    Ok(Found { name, path })
}

/// Where the files are, in the manifest's order.
fn sorted_like(manifest: &Manifest, found: Vec<Found>) -> Vec<PathBuf> {
    let mut found = found;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    debug_assert!(manifest.files.iter().zip(&found).all(|(file, found)| file.name == found.name));
    found.into_iter().map(|found| found.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_years_months_days_and_from_to() {
        for (text, from, to) in [
            ("2026", "2026-01-01", "2026-12-31"),
            ("2028-02", "2028-02-01", "2028-02-29"),
            ("2026-03-05", "2026-03-05", "2026-03-05"),
            ("2026-03-05..2026-04-01", "2026-03-05", "2026-04-01"),
        ] {
            assert_eq!(period(text), Ok((from.parse().unwrap(), to.parse().unwrap())), "{text}");
        }
        for text in ["", "26", "2026-13", "2026-02-30", "2026-04-01..2026-03-31", "March"] {
            assert!(period(text).unwrap_err().contains("is no period"), "{text}");
        }
    }

    #[test]
    fn sources_bear_a_grade() {
        let read = source("B2: two witnesses: apart").unwrap();
        assert_eq!((read.grade.to_string(), read.text.as_str()), ("B2".into(), "two witnesses: apart"));
        for text in ["two witnesses", "G1: x", "A7: x", "B2:", "B2 x"] {
            assert!(source(text).is_err(), "{text}");
        }
    }
}
