//! `publish`: an alert to its recipients, and what waits in the outbox.
//!
//! Owns the order: read and check, resolve, keep, hand in, wait. At a crash: what was kept is handed in again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tonic::transport::Channel;

use super::LEFT_IN_OUTBOX;
use super::confirm::{self, Unconfirmed};
use super::context::Context;
use super::exit::{Exit, Failure};
use super::packet::PublishPacket;
use super::screen::{Tone, banner, harmless, toned};
use super::send::send;
use super::unlock::{Unlock, own_recipient};
use super::wait::{self, WaitStage};
use super::{objects, pending, persons};
use crate::cap::{self, Alert, Scope};
use crate::desk::compose::{self, Composed, Draft, compose};
use crate::desk::find::{Found, find};
use crate::desk::hand_in::HandInError;
use crate::desk::home::Home;
use crate::desk::members::{Members, MembersError};
use crate::desk::outbox::{Outbox, Outcome, Outgoing, StatementEntry};
use crate::model::deadline::{Deadlines, Within};
use crate::model::envelope::{Envelope, MessageClass, MessageId, Priority, REFERENCES_MAX};
use crate::model::identity::Name;

/// How often a hub that cannot take something now is asked again before it stays in the outbox.
const TRIES: u32 = 4;
/// Microseconds after which no other try is begun: on a dead line each takes half a minute to find that out, and what is to go waits in
/// the outbox as well.
const TRIES_US: u64 = 60_000_000;
/// The first pause between two tries; it doubles.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest that a person is kept waiting between two tries, in milliseconds: a hub that asks for more is not waited for.
const PATIENCE_MS: u64 = 10_000;
/// What is so before it comes to the outbox.
pub(super) const NOTHING: &str = "Nothing was published";
/// What to do about what waits.
pub(super) const WAITS: &str = "It is kept in the outbox, and handed in by `resguardo publish pending` or a running `resguardo \
                     subscribe`: do not write it again";

/// Publishes.
#[derive(Debug, Subcommand)]
pub enum Publish {
    /// Publishes an alert: a CAP 1.2 file.
    Alert(PublishAlert),
    /// Publishes an analysis packet: files, and what they are.
    Packet(PublishPacket),
    /// Hands in what waits in the outbox.
    #[command(after_help = "Example:\n  resguardo publish pending")]
    Pending(Unlock),
}

/// `publish alert`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo publish alert threat.xml
  resguardo publish alert threat.xml --to iachr,ohchr-mexico --wait read --timeout 30m
  resguardo publish alert threat.xml --person persons.toml
  resguardo publish alert threat.xml --read-by 10min --act-by 6h")]
pub struct PublishAlert {
    /// The alert, CAP 1.2 XML; `-` for standard input.
    file: PathBuf,
    /// Only to these offices, instead of all members of the stream.
    #[arg(long, value_name = "OFFICE", value_delimiter = ',')]
    to: Vec<Name>,
    /// The stream that it belongs to.
    #[arg(long, value_name = "STREAM", default_value = "monitoring-protection")]
    stream: Name,
    /// Whom it is about: a file of person blocks, apart from the alert's text (see examples/alerts/persons.toml). May be said
    /// several times.
    #[arg(long = "person", value_name = "FILE")]
    persons: Vec<PathBuf>,
    /// Answer a message that came, on its thread.
    #[arg(long, value_name = "MESSAGE")]
    answers: Option<String>,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    unconfirmed: Unconfirmed,
    /// Let an alert of scope Public out: everybody may then pass it on.
    #[arg(long)]
    allow_public: bool,
    /// Wait until every recipient has it, or until a person at each has read it.
    #[arg(long, value_name = "STAGE", value_parser = wait::stage_parser())]
    wait: Option<WaitStage>,
    /// Wait no longer than this, e.g. 90s, 30m, 2h.
    #[arg(long, value_name = "DURATION", requires = "wait", value_parser = wait::duration_parser)]
    timeout: Option<SignedDuration>,
    #[command(flatten)]
    unlock: Unlock,
}

/// By when it is to be received, read and acted on.
#[derive(Debug, Args)]
pub(super) struct By {
    /// By when each recipient is to have received it, e.g. 5min, or `none`; else as policy says.
    #[arg(long = "receive-by", value_name = "DURATION", value_parser = by)]
    receive: Option<Time>,
    /// By when each is to have read it.
    #[arg(long = "read-by", value_name = "DURATION", value_parser = by)]
    read: Option<Time>,
    /// By when each is to have acted on it, or said why not.
    #[arg(long = "act-by", value_name = "DURATION", value_parser = by)]
    act: Option<Time>,
}

/// A time that somebody has, or that none is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time(pub(super) Option<Within>);

/// Reads a time.
pub(super) fn by(text: &str) -> Result<Time, String> {
    if text == "none" { Ok(Time(None)) } else { text.parse().map(|within| Time(Some(within))) }
}

impl By {
    /// What was asked for, over what is said already: this gives way where it would have a later stage come first.
    ///
    /// # Errors
    /// Usage: times that were asked for of which a later stage's comes first; nothing asked of what asks for something.
    pub(super) fn over(&self, said: Deadlines) -> Result<Deadlines, Failure> {
        let named = [self.receive, self.read, self.act].map(|time| time.and_then(|Time(within)| within));
        let [receive, read, act] = named;
        let (before_read, before_act) = (receive, receive.max(read));
        let (after_receive, after_read) = (least(read, act), act);
        let deadlines = Deadlines {
            receive: fitted(self.receive, said.receive, None, after_receive),
            read: fitted(self.read, said.read, before_read, after_read),
            act: fitted(self.act, said.act, before_act, None),
        };
        deadlines.check().map_err(|refusal| Failure::usage(refusal.message))?;
        if deadlines.is_none() && !said.is_none() {
            return Err(Failure::usage("policy asks something of this message: leave one of its deadlines"));
        }
        Ok(deadlines)
    }
}

fn least(one: Option<Within>, other: Option<Within>) -> Option<Within> {
    one.into_iter().chain(other).min()
}

/// The time of one stage: what was asked for, else what was said, between those of the stages around it.
fn fitted(
    asked: Option<Time>,
    said: Option<Within>,
    before: Option<Within>,
    after: Option<Within>,
) -> Option<Within> {
    match asked {
        Some(Time(within)) => within,
        None => said
            .map(|said| after.map_or(said, |after| said.min(after)))
            .map(|said| before.map_or(said, |before| said.max(before))),
    }
}

impl Publish {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Alert(command) => Box::pin(command.run(context)).await,
            Self::Packet(command) => Box::pin(command.run(context)).await,
            Self::Pending(unlock) => {
                context.unless_stopped(LEFT_IN_OUTBOX, pending::run(context, &unlock)).await
            }
        }
    }
}

impl PublishAlert {
    async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let published = context.unless_stopped(LEFT_IN_OUTBOX, Box::pin(self.publish(context))).await?;
        let (Some(stage), (outgoing, Some(channel))) = (self.wait, published) else { return Ok(Exit::Done) };
        let waiting = wait::until(context, channel, &outgoing, stage, self.timeout);
        context.unless_stopped("The message stands; only the waiting has ended", waiting).await
    }

    /// Gives what the hub accepted, and the way to it.
    async fn publish(&self, context: &Context) -> Result<(Outgoing, Option<Channel>), Failure> {
        let home = context.home()?;
        let desk = home.desk()?;
        let alert = self.alert(context).await?;
        let persons =
            persons::of_files(context, &self.persons, &alert).map_err(|failure| failure.and(NOTHING))?;
        let outbox = Outbox::open(&home)?;
        let (channel, members) = reach(context, &home).await?;
        let recipients = recipients(context, &self.to, &self.stream, members.as_ref(), &desk.office)?;
        let class = (MessageClass::Alert, compose::priority_of(&alert));
        let question = "Send the urgent alert to them all the same? Type yes:";
        let question = Some(question).filter(|_| class.1 == Priority::Urgent);
        let checked = self.unconfirmed.check(context, &home, members.as_ref(), &recipients, question);
        checked.map_err(|failure| failure.and(NOTHING))?;
        let policy = members.as_ref().map(Members::policy);
        let said = policy.and_then(|policy| policy.deadlines().get(&class)).copied().unwrap_or_default();
        let deadlines = self.by.over(said).map_err(|failure| failure.and(NOTHING))?;
        let thread_id = self.thread(context, &home).map_err(|failure| failure.and(NOTHING))?;
        let stream = self.stream.clone();
        let (to_members, own) = (self.to.is_empty(), own_recipient(context, &home, members.as_ref())?);
        let (persons, own) = (&persons, &own);
        let draft =
            Draft { alert: &alert, persons, stream, recipients, thread_id, deadlines, to_members, own };
        let composed = compose(desk, draft, &outbox, &*context.clock, &*context.random)?;
        tell_left_out(context, &composed)?;
        let outgoing = composed.outgoing;
        outbox.add_message(&home.lock().await?, &outgoing, context.clock.now())?;
        let opened = || self.unlock.opened(context, &home);
        let way = (channel.as_ref(), members.as_ref());
        Ok((send(context, (&home, &outbox), way, opened, outgoing).await?, channel))
    }

    /// The thread of the message that it answers.
    fn thread(&self, context: &Context, home: &Home) -> Result<Option<[u8; 16]>, Failure> {
        let Some(answers) = &self.answers else { return Ok(None) };
        let (inbox, outbox) = context.boxes(home)?;
        Ok(Some(match find(answers, &inbox.entries()?, &outbox.messages()?)? {
            Found::Received(entry) => inbox.read(&entry)?.envelope.thread_id,
            Found::Sent(entry) => outbox.read_message(entry.message_id)?.envelope.thread_id,
        }))
    }

    async fn alert(&self, context: &Context) -> Result<Alert, Failure> {
        let imported = cap::import(&read(&self.file).await?).map_err(|error| {
            Failure::usage(format!("{}, {error}. Nothing was published", self.file.display()))
        })?;
        for remark in &imported.warnings {
            warn(context, &format!("{}, {remark}", self.file.display()))?;
        }
        if imported.alert.scope == Scope::Public && !self.allow_public {
            return Err(Failure::usage(format!(
                "{} has scope Public: whoever gets it may pass it on to everybody. Give it scope Restricted or Private, \
                 or say --allow-public. Nothing was published",
                self.file.display()
            )));
        }
        Ok(imported.alert)
    }
}

/// Says whom it is for.
pub(super) fn recipients(
    context: &Context,
    to: &[Name],
    stream: &Name,
    members: Option<&Members>,
    own: &Name,
) -> Result<Vec<Name>, Failure> {
    let Some(members) = members else {
        if to.is_empty() {
            return Err(Failure::new(
                Exit::Unreachable,
                format!(
                    "the hub is not there, and this home does not know the members of {stream}: name recipients with --to. \
                     Nothing was published"
                ),
            ));
        }
        return Ok(to.to_vec());
    };
    if to.is_empty() {
        return Ok(members.recipients(stream, own)?);
    }
    for office in to {
        members.check_office(office)?;
    }
    if to.contains(own) {
        warn(
            context,
            &format!("{own} is the sender and a recipient: it will have to acknowledge its own message"),
        )?;
    }
    Ok(to.to_vec())
}

/// Goes to the hub for the directory; where there is no way, takes the copy in the home.
pub(super) async fn reach(
    context: &Context,
    home: &Home,
) -> Result<(Option<Channel>, Option<Members>), Failure> {
    let failure = match context.connect(home).await {
        Ok(channel) => match Members::fetch(channel.clone(), home, context.clock.now()).await {
            Ok(members) => {
                confirm::alarm(context, home, &members);
                return Ok((Some(channel), Some(members)));
            }
            Err(MembersError::Call(error)) => Failure::from(error),
            // A false directory is not believed, and an alert does not wait for the truth.
            Err(
                error @ (MembersError::Contradiction(_)
                | MembersError::Forked(_)
                | MembersError::Shrunken { .. }
                | MembersError::Trust(_)),
            ) => {
                context.screen.aside(Tone::Bad, &error.to_string());
                let known = confirm::copied(context, home);
                if let Some(known) = &known {
                    let said =
                        format!("Recipients are taken from version {} of the directory", known.version());
                    context.screen.aside(Tone::Bad, &said);
                    confirm::alarm(context, home, known);
                }
                return Ok((Some(channel), known));
            }
            Err(error) => return Err(Failure::from(error).and(NOTHING)),
        },
        Err(failure) => failure,
    };
    if failure.exit != Exit::Unreachable {
        return Err(failure.and(NOTHING));
    }
    let copied = confirm::copied(context, home);
    if let Some(known) = &copied {
        confirm::alarm(context, home, known);
    }
    let failure = match &copied {
        Some(members) => {
            let told = context.screen.time(members.told);
            failure.and(&format!("Recipients are taken from the directory as of {told}"))
        }
        None => failure,
    };
    warn(context, &failure.message)?;
    Ok((None, copied))
}

/// Tries a few times, with pauses that double, as long as another try may help soon.
pub(super) async fn again_and_again<T>(
    context: &Context,
    hand_in: impl AsyncFn() -> Result<T, HandInError>,
) -> Result<T, HandInError> {
    let (mut pause, begun_us) = (PAUSE, context.clock.monotonic_us());
    for _ in 1..TRIES {
        let handed_in = hand_in().await;
        if context.clock.monotonic_us() - begun_us > TRIES_US {
            return handed_in;
        }
        let wait_ms = handed_in.as_ref().err().and_then(HandInError::retry_after_ms);
        match wait_ms.filter(|wait_ms| *wait_ms <= PATIENCE_MS) {
            Some(wait_ms) => tokio::time::sleep(pause.max(Duration::from_millis(wait_ms))).await,
            None => return handed_in,
        }
        pause *= 2;
    }
    hand_in().await
}

fn tell_left_out(context: &Context, composed: &Composed) -> Result<(), Failure> {
    for reference in &composed.unknown {
        warn(
            context,
            &format!("it refers to {reference}, which this desk did not send: the envelope leaves it out"),
        )?;
    }
    for reference in &composed.beyond {
        warn(
            context,
            &format!("it refers to more than {REFERENCES_MAX} messages: the envelope leaves out {reference}"),
        )?;
    }
    for damaged in &composed.damaged {
        warn(context, &format!("{damaged}: it could not be looked at for references"))?;
    }
    Ok(())
}

pub(super) fn tell(context: &Context, outgoing: &Outgoing, outcome: Option<&Outcome>) -> Result<(), Failure> {
    let Envelope { message_id, status, .. } = &outgoing.envelope;
    context.screen.object(&with_recipients(objects::published(*message_id, outcome), outgoing))?;
    let names = outgoing.envelope.offices().map(Name::as_str).collect::<Vec<_>>().join(", ");
    context.screen.line(&format!("{}{}", spaced(&banner(*status)), told(context, *message_id, outcome)))?;
    context.screen.line(&format!("  {}, for {names}", outgoing.envelope.priority))?;
    Ok(())
}

fn with_recipients(mut object: serde_json::Value, outgoing: &Outgoing) -> serde_json::Value {
    let names: Vec<_> = outgoing.envelope.offices().map(ToString::to_string).collect();
    object["recipients"] = names.into();
    object["status"] = outgoing.envelope.status.name().into();
    object["priority"] = outgoing.envelope.priority.name().into();
    object
}

/// What is said of an acceptance that the hub could deny.
const UNSIGNED: &str = "The hub did not sign this answer as it must: it could deny it until witnesses have the message. Tell the \
                        hub's operator; the alert goes on";

pub(super) fn told(context: &Context, message_id: MessageId, outcome: Option<&Outcome>) -> String {
    match outcome {
        Some(Outcome::Accepted { index, at, repeated, unsigned, .. }) => {
            let again = if *repeated { ", handed in before" } else { "" };
            let word = toned(Tone::Good, "Accepted");
            let line = format!("{word} {message_id} as entry {index} on {}{again}", context.screen.time(*at));
            if *unsigned { format!("{line}\n  {}", toned(Tone::Warning, UNSIGNED)) } else { line }
        }
        Some(Outcome::Refused { reason, message }) => {
            format!("{} {message_id}: {} [{reason}]", toned(Tone::Bad, "Refused"), harmless(message))
        }
        None => format!("{} {message_id} in the outbox", toned(Tone::Warning, "Waits")),
    }
}

pub(super) fn refusal(outcome: &Outcome) -> Failure {
    match outcome {
        Outcome::Refused { reason, message } => Failure {
            exit: Exit::Refused,
            message: format!("the hub refused: {message} [{reason}]. It is kept aside in the outbox"),
            reason: Some(reason.clone()),
        },
        Outcome::Accepted { .. } => Failure::new(Exit::Fault, "an acceptance was taken for a refusal"),
    }
}

/// Tells what became of a person's receipt.
pub(super) fn tell_statement(
    context: &Context,
    entry: &StatementEntry,
    outcome: Option<&Outcome>,
) -> Result<(), Failure> {
    context.screen.object(&objects::stated(entry, outcome))?;
    let what = format!("{} for {} of {}", entry.stage, entry.message_id, entry.sender);
    let line = match outcome {
        Some(Outcome::Accepted { index, at, repeated: false, .. }) => {
            let word = toned(Tone::Good, "Recorded");
            format!("{word} {what} as entry {index} on {}", context.screen.time(*at))
        }
        Some(Outcome::Accepted { index, at, repeated: true, .. }) => {
            format!(
                "Known already: {what}, entry {index} of {}; this changes nothing",
                context.screen.time(*at)
            )
        }
        Some(Outcome::Refused { reason, message }) => {
            format!("{} {what}: {} [{reason}]", toned(Tone::Bad, "Refused"), harmless(message))
        }
        None => format!("{} {what} in the outbox", toned(Tone::Warning, "Waits")),
    };
    Ok(context.screen.line(&line)?)
}

/// Reads a file that was named; it may be a pipe that is long in coming, so a signal must be able to end it.
async fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let reading = async {
        let input: Box<dyn AsyncRead + Send + Unpin> = if file == Path::new("-") {
            Box::new(tokio::io::stdin())
        } else {
            Box::new(tokio::fs::File::open(file).await?)
        };
        let mut bytes = Vec::new();
        input.take(cap::DOCUMENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).await?;
        std::io::Result::Ok(bytes)
    };
    reading.await.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))
}

/// Says something that stops nothing.
pub(super) fn warn(context: &Context, message: &str) -> Result<(), Failure> {
    context.screen.object(&objects::warning(message))?;
    context.screen.aside(Tone::Warning, &format!("warning: {}", harmless(message)));
    Ok(())
}

fn spaced(banner: &str) -> String {
    if banner.is_empty() { String::new() } else { format!("{banner} ") }
}
