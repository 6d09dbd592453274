//! `subscribe`: the desk's watch: what comes is kept, acknowledged as received, shown, and given to a command.
//!
//! Owns what is shown of it. Never acknowledges for a person.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use serde_json::json;

use super::confirm;
use super::context::Context;
use super::erase;
use super::exit::{Exit, Failure};
use super::inbox::{banner_of, short, tell_notice};
use super::objects;
use super::packet::{Seldom, transfer_object};
use super::publish::tell_statement;
use super::screen::{Tone, harmless, priority_tone, toned, utc};
use super::since::{Place, Since};
use super::unlock::{Opened, Ring, Unlock, unattended};
use super::wait::disputed;
use super::witness;
use crate::desk::dial::Dial;
use crate::desk::epochs::Restored;
use crate::desk::exec::{Plan as ExecPlan, Ran};
use crate::desk::home::Home;
use crate::desk::inbox::{InboxEntry, Kept, Missing};
use crate::desk::members::{Members, MembersError};
use crate::desk::opener::{Clear, Opener, Reader, Unreadable};
use crate::desk::outbox::Outcome;
use crate::desk::packet::porter::Moved;
use crate::desk::renew::Renewed;
use crate::desk::session::{End, Event, Host, Observer, Plan, ReplayFrom, Subscription};
use crate::desk::witness::WitnessError;
use crate::model::envelope::{CapMsgType, MessageId};
use crate::model::identity::Name;
use crate::wire::status::CallError;

/// Receives what the office is owed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo subscribe
  resguardo subscribe --exec 'notify-send \"$RESGUARDO_PRIORITY alert from $RESGUARDO_SENDER\"'
  resguardo subscribe --count 1 --json
  resguardo subscribe --replay-from 2h

What comes is on this home's disk before it is acknowledged as received. While the hub is not there it is tried again,
for as long as it takes. What waits in the outbox is handed in.

--exec CMD runs `sh -c CMD` for each message after it was kept and acknowledged as received, at most four at once. It
gets the alert (CAP 1.2 XML) on standard input and RESGUARDO_MESSAGE_ID, RESGUARDO_SENDER, RESGUARDO_STREAM,
RESGUARDO_PRIORITY, RESGUARDO_STATUS and RESGUARDO_INDEX in its environment. One that fails is reported and run again
by the next `subscribe --exec`; one that succeeded is never run again.

Ctrl-C and SIGTERM end it with 0; with --count before the count is reached with 130 or 143.")]
pub struct Subscribe {
    /// Only these streams; else all that policy gives.
    #[arg(long, value_name = "STREAM", value_delimiter = ',')]
    stream: Vec<Name>,
    /// Leave packets' files to `resguardo packet get`: a packet is acknowledged only once they are here.
    #[arg(long)]
    no_files: bool,
    /// Run a command for each message.
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    /// End after so many messages that were not here before.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Have also what was acknowledged before, from here on: an entry of the journal, a time of the hub's
    /// (2026-11-25T10:00), or how long ago (2h).
    #[arg(long, value_name = "INDEX|TIME|SPAN")]
    replay_from: Option<Since>,
    #[command(flatten)]
    unlock: Unlock,
}

impl Subscribe {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        home.desk()?;
        context.warn_of_end(&home);
        let dial = context.dial(&home);
        let mut host = Host {
            clock: context.clock.clone(),
            random: context.random.clone(),
            tasks: context.tasks.clone(),
            files: (!self.no_files).then(|| Arc::new(context.files_dial(&home)) as Arc<dyn Dial>),
            signer: unattended(context, &home)?,
            unlocked: None,
        };
        let mut ring = self.unlock.offered(context, &home)?;
        if ring.is_none() {
            let words =
                "The keys are not unlocked: what comes is kept and acknowledged sealed, and drafts wait.";
            context.screen.aside(Tone::Warning, words);
        }
        let output_to_stderr = context.screen.is_json();
        let counted = self.count.is_some();
        let replay_from = match self.replay_from.map(|since| since.place(context)).transpose()? {
            Some(Place::Index(index)) => Some(ReplayFrom::Index(index)),
            Some(Place::Time(time)) => Some(ReplayFrom::Time(time)),
            None => None,
        };
        let plan = Plan {
            streams: self.stream,
            replay_from,
            count: self.count,
            exec: self.exec.map(|command| ExecPlan { command, output_to_stderr }),
        };
        look_at_directory(context, &home, ring.as_mut()).await;
        host.unlocked = ring.as_ref().map(|ring| ring.unlocked.clone());
        let opener = host.unlocked.as_ref().map(|unlocked| unlocked.opener.clone());
        let (lost, waits, seldom) = (Mutex::new(None), Mutex::default(), Seldom::new());
        let watch = Watch { context, home: &home, opener, lost, waits, seldom };
        let stop = context.stop.token.clone();
        let ring = Ring::of(context, &home, ring);
        let end = Subscription::open(&home, &dial, host, plan, &watch, stop)?.rekeying(&ring).run().await?;
        Ok(if end == End::Stopped && counted { context.stop.exit() } else { Exit::Done })
    }
}

/// Asks for the directory before anything else, so that a change of the own office is told. It stops nothing.
async fn look_at_directory(context: &Context, home: &Home, opened: Option<&mut Opened>) {
    // Without a line, or without a desk, the watch itself says so.
    let Ok(channel) = context.connect(home).await else { return };
    match Members::fetch(channel.clone(), home, context.clock.now()).await {
        Ok(members) => {
            confirm::alarm(context, home, &members);
            if let Some(opened) = opened {
                opened.rotate_when_due(context, home, channel).await;
            }
        }
        Err(MembersError::Call(_)) => {}
        Err(error) => context.screen.aside(Tone::Bad, &error.to_string()),
    }
}

struct Watch<'a> {
    context: &'a Context,
    home: &'a Home,
    opener: Option<Opener>,
    /// Why there is no connection, as it was last told: the same is not told twice.
    lost: Mutex<Option<String>>,
    /// Why a packet's files wait, as it was last told.
    waits: Mutex<HashMap<MessageId, String>>,
    /// When progress was last told.
    seldom: Seldom,
}

impl Observer for Watch<'_> {
    fn tell(&self, event: Event<'_>) -> io::Result<()> {
        let screen = &self.context.screen;
        match event {
            Event::Started { outstanding } => self.started(outstanding),
            Event::Restored(restored) => self.restored(restored),
            Event::Lost { why, retry_in_ms } => self.lost(why, retry_in_ms),
            Event::Message(kept, clear) => self.message(kept, clear),
            Event::ErasedCame(kept) => {
                self.message(kept, None)?;
                if kept.unordered { self.aside(Tone::Bad, &objects::unordered(&kept.entry)) } else { Ok(()) }
            }
            Event::Missing(missing) => self.aside(Tone::Bad, &missing_words(missing)),
            Event::Directory(error) => self.aside(Tone::Bad, &error.to_string()),
            Event::Mended(kept) => self.aside(
                Tone::Warning,
                &format!("{} was damaged here; it came again and is whole", kept.entry.message_id),
            ),
            Event::Erased { sender, message_id, reason } => {
                screen.object(&json!({
                    "object": "erased",
                    "message_id": message_id.to_string(),
                    "sender_office": sender.to_string(),
                    "reason": reason,
                }))?;
                let words = format!("{message_id} of {sender} is erased here: {}", harmless(reason));
                screen.aside(Tone::Warning, &words);
                Ok(())
            }
            Event::OrderHandedIn { message_id, outcome } => {
                io_of(erase::tell(self.context, message_id, Some(outcome)))
            }
            Event::Unreadable { message_id, index, reason } => {
                screen.object(&objects::unreadable(message_id, index, reason))?;
                let said =
                    if message_id.is_some() { "the sender is told" } else { "the hub cannot be told which" };
                let words =
                    format!("entry {index} cannot be read: {}; it is kept aside, {said}", harmless(reason));
                screen.aside(Tone::Bad, &words);
                Ok(())
            }
            Event::Notice(notice) => {
                let reader = Reader::of(self.home, self.opener.clone());
                io_of(tell_notice(self.context, notice, &reader))
            }
            Event::Unknown(index) => self.aside(
                Tone::Warning,
                &format!("entry {index} is of a kind that only a newer program knows: upgrade this one"),
            ),
            Event::OrderNotHeld { index, refusal } => {
                screen.object(&objects::order_not_held(index, refusal))?;
                let said = format!(
                    "the hub tells of an order to erase a message, entry {index}, that does not hold: {}. Nothing was erased; \
                     tell the registrars",
                    harmless(&refusal.message)
                );
                screen.aside(Tone::Bad, &said);
                Ok(())
            }
            Event::Acknowledged { count } => {
                screen.object(&json!({ "object": "acknowledged", "count": count }))
            }
            Event::ReceiptRefused(refused) => self
                .aside(Tone::Bad, &format!("the hub refused a receipt: {}", harmless(&refused.to_string()))),
            Event::MessageHandedIn { message_id, outcome } => self.handed_in(message_id, outcome),
            Event::StatementHandedIn { entry, outcome } => {
                io_of(tell_statement(self.context, entry, Some(outcome)))
            }
            Event::StillPending(error) => {
                self.aside(Tone::Warning, &format!("the outbox waits: {}", harmless(&error.to_string())))
            }
            Event::Files(moved) => self.moved(moved),
            Event::Renewal(renewed) => self.renewal(renewed),
            Event::RenewalFailed(error) => self.aside(
                Tone::Warning,
                &format!("the next certificate of this desk: {}", harmless(&error.to_string())),
            ),
            Event::Witnessed(seen) => screen.object(&witness::object(seen)),
            Event::Included(included) => screen.object(&json!({
                "object": "included", "until_index": included.until.0, "proved": included.proved,
            })),
            Event::NotWitnessed(error) => {
                let tone =
                    if matches!(error, WitnessError::Found { .. }) { Tone::Bad } else { Tone::Warning };
                self.aside(tone, &format!("the hub's logs: {}", harmless(&error.to_string())))
            }
            Event::Disputed(desk) => self.aside(Tone::Bad, &disputed(desk)),
            Event::CommandEnded { entry, ran } => self.command_ended(entry, ran),
        }
    }
}

impl Watch<'_> {
    fn aside(&self, tone: Tone, words: &str) -> io::Result<()> {
        if tone != Tone::Faint {
            self.context.screen.object(&objects::warning(words))?;
        }
        self.context.screen.aside(tone, words);
        Ok(())
    }

    fn renewal(&self, renewed: &Renewed) -> io::Result<()> {
        let (tone, state, words) = match renewed {
            Renewed::NotDue => return Ok(()),
            Renewed::Waits => (
                Tone::Faint,
                "waits",
                "The next certificate of this desk was asked for: it comes by itself, once the operator has had it signed."
                    .to_owned(),
            ),
            Renewed::Installed { not_after } => (
                Tone::Good,
                "installed",
                format!("The next certificate of this desk is in its place, until {}.", self.context.screen.time(*not_after)),
            ),
            Renewed::Refused { why } => (
                Tone::Bad,
                "refused",
                format!("the authority refused the next certificate of this desk: {}; it is asked for anew", harmless(why)),
            ),
        };
        self.context.screen.object(&json!({ "object": "renewal", "state": state, "message": words }))?;
        self.context.screen.aside(tone, &words);
        Ok(())
    }

    fn started(&self, outstanding: u64) -> io::Result<()> {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.context.screen.object(&json!({ "object": "started", "outstanding": outstanding }))?;
        self.aside(Tone::Faint, &format!("Connected; {outstanding} messages outstanding."))
    }

    fn restored(&self, restored: &Restored) -> io::Result<()> {
        let Restored { begun, messages, statements, orders } = restored;
        self.context.screen.object(&json!({
            "object": "restored",
            "epoch": begun.epoch.number,
            "first_index": begun.first.0,
            "backup_at": utc(begun.epoch.backup),
            "messages": messages,
            "receipts": statements,
            "orders": orders,
        }))?;
        let words = format!(
            "The hub was restored from a backup of {}: it has lost what it accepted later. Handed in again from here: \
             {messages} messages, {statements} receipts, {orders} orders to erase. What others sent comes again when they connect",
            self.context.screen.time(begun.epoch.backup)
        );
        self.context.screen.aside(Tone::Warning, &words);
        Ok(())
    }

    fn lost(&self, why: &CallError, retry_in_ms: u64) -> io::Result<()> {
        let words = harmless(&why.to_string());
        self.context
            .screen
            .object(&json!({ "object": "lost", "message": words, "retry_in_ms": retry_in_ms }))?;
        let mut told = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref() != Some(&words) {
            self.context.screen.aside(Tone::Warning, &format!("{words}; trying again until it works"));
            *told = Some(words);
        }
        Ok(())
    }

    fn message(&self, kept: &Kept, clear: Option<&Clear>) -> io::Result<()> {
        let content = clear.cloned().ok_or(Unreadable::Locked);
        let headline = objects::headline_here(kept, &content, &self.context.languages);
        self.context.screen.object(&objects::received(kept, headline.as_deref().ok()))?;
        let envelope = &kept.envelope;
        let mut words = String::new();
        if kept.expired {
            words.push_str("EXPIRED ");
        }
        if envelope.msg_type != CapMsgType::Alert {
            let _ = write!(words, "{} ", envelope.msg_type.name().to_uppercase());
        }
        let line = format!(
            "{} {}{} {words}from {}: {} [{}]",
            self.context.screen.time(kept.accepted),
            banner_of(envelope.status),
            toned(priority_tone(envelope.priority), &envelope.priority.name().to_uppercase()),
            kept.entry.sender,
            harmless(&headline.unwrap_or_else(|error| error)),
            short(&envelope.message_id.to_string()),
        );
        self.context.screen.line(&line)
    }

    fn moved(&self, moved: &Moved) -> io::Result<()> {
        let screen = &self.context.screen;
        match moved {
            Moved::Piece { message_id, up, progress } => {
                self.waits.lock().unwrap_or_else(PoisonError::into_inner).remove(message_id);
                if self.seldom.is_time(self.context.clock.monotonic_us()) {
                    screen.object(&transfer_object(*message_id, *up, progress))?;
                }
                Ok(())
            }
            Moved::Whole(message) => {
                let id = message.message_id.to_string();
                screen.object(&json!({ "object": "files", "message_id": id, "index": message.index.0 }))?;
                let words = format!("The files of {id} are here: resguardo packet get {}", short(&id));
                screen.aside(Tone::Good, &words);
                Ok(())
            }
            Moved::HandedIn { message_id, outcome } => self.handed_in(*message_id, outcome),
            Moved::Waits { message_id, why, .. } => {
                let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
                if waits.insert(*message_id, why.clone()).as_ref() == Some(why) {
                    return Ok(());
                }
                drop(waits);
                self.aside(Tone::Warning, &format!("the files of {message_id} wait: {}", harmless(why)))
            }
        }
    }

    fn handed_in(&self, message_id: MessageId, outcome: &Outcome) -> io::Result<()> {
        self.context.screen.object(&objects::published(message_id, Some(outcome)))?;
        match outcome {
            Outcome::Accepted { index, at, .. } => {
                let words = format!(
                    "{message_id}, which waited in the outbox, was accepted as entry {index} on {}",
                    self.context.screen.time(*at)
                );
                self.context.screen.aside(Tone::Good, &words);
            }
            Outcome::Refused { reason, message } => {
                let words = format!(
                    "{message_id}, which waited in the outbox, was refused: {} [{reason}]",
                    harmless(message)
                );
                self.context.screen.aside(Tone::Bad, &words);
            }
        }
        Ok(())
    }

    fn command_ended(&self, entry: &InboxEntry, ran: &Ran) -> io::Result<()> {
        let (well, words) = match ran {
            Ran::Well => (true, "ended well".to_owned()),
            Ran::Badly(status) => (false, format!("ended with {status}")),
            Ran::NotStarted(error) => (false, format!("could not be run: {error}")),
            Ran::NotRead(error) => (false, format!("was not run: {error}")),
        };
        self.context.screen.object(&json!({
            "object": "command",
            "message_id": entry.message_id.to_string(),
            "index": entry.index.0,
            "ok": well,
            "message": words,
        }))?;
        if !well {
            let words = format!(
                "the command for {} {}; the next `subscribe --exec` runs it again",
                entry.message_id,
                harmless(&words)
            );
            self.context.screen.aside(Tone::Bad, &words);
        }
        Ok(())
    }
}

/// Says that a message has not come, and what to do.
pub(super) fn missing_words(missing: &Missing) -> String {
    format!(
        "message {} of {} for this office has not come here, though later ones have. If no other desk of your office has it \
         (`resguardo audit deliveries`), somebody holds it back: ask the sender by telephone, and tell the registrars",
        missing.number, missing.desk
    )
}

/// What prints gives a failure; an observer gives what is under it.
fn io_of(result: Result<(), Failure>) -> io::Result<()> {
    result.map_err(|failure| {
        let kind = if failure.exit == Exit::Done { io::ErrorKind::BrokenPipe } else { io::ErrorKind::Other };
        io::Error::new(kind, failure.message)
    })
}
