//! `reseal`: asks for what opens a message that was sealed to a lost key, and gives it.
//!
//! Owns what both officers are told before. Never seals again without a request that is here, and never by itself.

use clap::Args;

use super::confirm::Unconfirmed;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::objects;
use super::publish::reach;
use super::screen::{Tone, harmless, toned};
use super::send::send;
use super::unlock::{Opened, Unlock, own_recipient};
use super::{LEFT_IN_OUTBOX, inbox};
use crate::desk::find::{FindError, Found, find, parse_message_id};
use crate::desk::home::Home;
use crate::desk::members::Members;
use crate::desk::opener::{Reader, Unreadable};
use crate::desk::outbox::{Outbox, Outgoing};
use crate::desk::reseal::{self, Desktop, Request, ResealError};
use crate::model::envelope::MessageClass;
use crate::model::identity::Name;
use crate::seal::OpenError;
use crate::wire::reseal::check_why;

/// What is so before it comes to the outbox.
const NOTHING: &str = "Nothing was sent";

/// Has a message sealed again, or does so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo reseal 7d9be2c4 --ask --why 'the disk with our key burned'
  resguardo reseal 7d9be2c4 --for ohchr-honduras

An office that lost its key asks; an officer of the office that sent the message looks at the request (`resguardo show`), and
answers it at the desk that sent the message. What goes back is what opens the message as it was sent, sealed to the key that
the directory has of the office now: compare its fingerprint first, over another line.")]
pub struct Reseal {
    /// The message that cannot be opened: its id, or at least six characters of its beginning or end.
    message: String,
    /// Ask the office that sent it.
    #[arg(long, required_unless_present = "office", conflicts_with = "office")]
    ask: bool,
    /// Why, in words for the office that sent it: they are sealed for it.
    #[arg(long, value_name = "TEXT", default_value = "", requires = "ask")]
    why: String,
    /// Answer the request of this office: to be said by the office that sent the message.
    #[arg(long = "for", value_name = "OFFICE")]
    office: Option<Name>,
    #[command(flatten)]
    unconfirmed: Unconfirmed,
    #[command(flatten)]
    unlock: Unlock,
}

impl Reseal {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        home.desk()?;
        context.unless_stopped(LEFT_IN_OUTBOX, Box::pin(self.resealed(context, &home))).await
    }

    async fn resealed(&self, context: &Context, home: &Home) -> Result<Exit, Failure> {
        let (_, outbox) = context.boxes(home)?;
        let opened = self.unlock.opened(context, home)?;
        let reader = Reader::of(home, Some(opened.unlocked.opener.clone()));
        match &self.office {
            None => self.ask(context, home, &outbox, (opened, &reader)).await,
            Some(office) => Box::pin(self.answer(context, home, &outbox, (opened, &reader), office)).await,
        }
    }

    async fn ask(
        &self,
        context: &Context,
        home: &Home,
        outbox: &Outbox,
        (opened, reader): (Opened, &Reader),
    ) -> Result<Exit, Failure> {
        let why = self.why.trim();
        check_why(why).map_err(|refusal| Failure::usage(refusal.message))?;
        let inbox = context.boxes(home)?.0;
        let Found::Received(entry) = find(&self.message, &inbox.entries()?, &outbox.messages()?)? else {
            return Err(Failure::usage("this desk sent that message: it asks nobody for it").and(NOTHING));
        };
        let (id, kept) = (entry.message_id, inbox.read(&entry)?);
        if kept.erased.is_some() {
            return Err(Failure::usage(format!("{id} is erased: there is nothing to open")).and(NOTHING));
        }
        if kept.envelope.class == MessageClass::Reseal {
            let words = "that is a resealing itself: ask for the message that it is about";
            return Err(Failure::usage(words).and(NOTHING));
        }
        match reader.came(&kept) {
            Ok(_) => {
                return Err(Failure::usage(format!("{id} can be opened here: there is nothing to ask for")));
            }
            Err(Unreadable::Sealing(OpenError::NotForTheseKeys { .. }) | Unreadable::Answer { .. }) => {}
            // With the key of its sealing it would be as wrong.
            Err(why) => return Err(Failure::new(Exit::Integrity, why.to_string()).and(NOTHING)),
        }
        let office = kept.entry.sender.clone();
        let way = reach(context, home).await?;
        self.unconfirmed.check(context, home, way.1.as_ref(), std::slice::from_ref(&office), None)?;
        let write = |desktop: Desktop<'_>| Ok(reseal::request(desktop, &kept, why)?);
        self.sent(context, (home, outbox), way, opened, write).await?;
        let short = inbox::short(&id.to_string());
        let line = format!(
            "{office} is asked for what opens {id}. Once an officer there has answered, `resguardo show {short}` shows it"
        );
        context.screen.line(&line)?;
        Ok(Exit::Done)
    }

    async fn answer(
        &self,
        context: &Context,
        home: &Home,
        outbox: &Outbox,
        (opened, reader): (Opened, &Reader),
        office: &Name,
    ) -> Result<Exit, Failure> {
        let sent = self.own(context, home, outbox)?;
        reseal::check(&sent, office).map_err(nothing)?;
        let inbox = context.boxes(home)?.0;
        let about = reseal::name_of(&sent);
        let way = reach(context, home).await?;
        let policy = known(way.1.as_ref())?.policy();
        let asked = reseal::asked(&inbox, reader, (&sent, &about), (office, policy)).map_err(nothing)?;
        tell_request(context, &asked)?;
        let question = format!("Give what opens this message to {office} all the same? Type yes:");
        let offices = std::slice::from_ref(office);
        let checked = self.unconfirmed.check(context, home, way.1.as_ref(), offices, Some(&question));
        checked.map_err(|failure| failure.and(NOTHING))?;
        let id = sent.envelope.message_id;
        let keys = opened.unlocked.opener.clone();
        let write = |desktop: Desktop<'_>| {
            reseal::answer(desktop, (home, &keys), (&sent, about), &asked).map_err(nothing)
        };
        self.sent(context, (home, outbox), way, opened, write).await?;
        let line = format!("{office} can open {id} from now on, with its present key.");
        context.screen.line(&toned(Tone::Good, &line))?;
        Ok(Exit::Done)
    }

    /// The message of this desk that is meant.
    fn own(&self, context: &Context, home: &Home, outbox: &Outbox) -> Result<Outgoing, Failure> {
        let inbox = context.boxes(home)?.0;
        match find(&self.message, &inbox.entries()?, &outbox.messages()?) {
            Ok(Found::Sent(entry)) => Ok(outbox.read_message(entry.message_id)?),
            Ok(Found::Received(entry)) => {
                let words = format!(
                    "{} sent that message: only the office that sent one seals it again",
                    entry.sender
                );
                Err(Failure::usage(words).and(NOTHING))
            }
            Err(error @ FindError::None { .. }) if parse_message_id(&self.message).is_some() => {
                let words = "If another desk of this office sent it, it is sealed again there";
                Err(Failure::from(error).and(words))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn sent(
        &self,
        context: &Context,
        (home, outbox): (&Home, &Outbox),
        (channel, members): (Option<tonic::transport::Channel>, Option<Members>),
        opened: Opened,
        write: impl FnOnce(Desktop<'_>) -> Result<Outgoing, Failure>,
    ) -> Result<(), Failure> {
        let known = known(members.as_ref())?;
        let own = own_recipient(context, home, members.as_ref())?;
        let outgoing = write(Desktop {
            desk: home.desk()?,
            policy: known.policy(),
            own: &own,
            clock: &*context.clock,
            random: &*context.random,
        })?;
        outbox.add_message(&home.lock().await?, &outgoing, context.clock.now())?;
        let way = (channel.as_ref(), members.as_ref());
        send(context, (home, outbox), way, || Ok(opened), outgoing).await?;
        Ok(())
    }
}

/// Shows who asks for what, before it is answered.
fn tell_request(context: &Context, asked: &Request) -> Result<(), Failure> {
    let envelope = &asked.kept.envelope;
    context.screen.object(&objects::request(asked))?;
    let why = if asked.why.is_empty() { "(no reason is given)".to_owned() } else { harmless(&asked.why) };
    let line = format!(
        "{} asked on {}, in {}: {why}",
        envelope.sender,
        context.screen.time(asked.kept.accepted),
        envelope.message_id
    );
    Ok(context.screen.line(&line)?)
}

fn known(members: Option<&Members>) -> Result<&Members, Failure> {
    let words = "the hub is not there, and this home does not know the directory";
    members.ok_or_else(|| Failure::new(Exit::Unreachable, words).and(NOTHING))
}

fn nothing(error: ResealError) -> Failure {
    Failure::from(error).and(NOTHING)
}

impl From<ResealError> for Failure {
    fn from(error: ResealError) -> Self {
        match error {
            ResealError::Store(error) => error.into(),
            ResealError::Seal(error) => error.into(),
            ResealError::Disk(_) => Self::new(Exit::Fault, error.to_string()),
            ResealError::Key { .. } | ResealError::FileMissing { .. } => {
                Self::new(Exit::Integrity, error.to_string())
            }
            ResealError::NotSent(_)
            | ResealError::Erased(_)
            | ResealError::Resealing(_)
            | ResealError::NotARecipient { .. }
            | ResealError::NotAsked { .. }
            | ResealError::AskedByFormer { .. }
            | ResealError::Removed(_) => Self::usage(error.to_string()),
        }
    }
}
