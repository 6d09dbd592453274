//! `ack`: what a person states about a message that came.
//!
//! Owns the making of the statement: it is kept before it is handed in, with the time of the act. Never states by itself.

use bytes::Bytes;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _, ValueParser};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::publish::{again_and_again, tell_statement};
use super::unlock::Unlock;
use crate::desk::compose::new_id;
use crate::desk::find::{Found, find};
use crate::desk::hand_in;
use crate::desk::home::Home;
use crate::desk::members::Members;
use crate::desk::notes;
use crate::desk::officers::{self, Officer};
use crate::desk::outbox::{Outbox, Outcome, Stand, StatementEntry};
use crate::desk::sealer::SealerError;
use crate::desk::witness;
use crate::model::identity::Name;
use crate::model::receipt::{Action, Receipt, Stage};
use crate::seal::SigningKey;
use crate::wire::note::OfficerNote;

/// States what a person did with a message.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  resguardo ack 7d9be2c4 --stage read
  resguardo ack 7d9be2c4 --stage acted --action contacted-person
  resguardo ack 7d9be2c4 --stage acted --action none --reason 'already relocated'
  resguardo ack 7d9be2c4 --stage declined --reason 'not our territory'

What is said with --reason is sealed for the office that sent the message, headquarters and your own; with `unreadable` alone
everybody can read it: no names, no places.")]
pub struct Ack {
    /// The message: its id, or at least six characters of its beginning or end.
    message: String,
    /// How far the office is with it.
    #[arg(long, value_parser = named(Stage::ALL, Stage::name))]
    stage: Stage,
    /// What was done; with `acted`, and then always.
    #[arg(long, value_parser = named(Action::ALL, Action::name))]
    action: Option<Action>,
    /// Why; with `declined`, `unreadable` and the action `none` always.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who states it, where this desk has several officers.
    #[arg(long, value_name = "OFFICER")]
    officer: Option<Name>,
    #[command(flatten)]
    unlock: Unlock,
}

/// Reads one of a list of words.
pub(super) fn named<T>(all: &'static [T], name: fn(T) -> &'static str) -> ValueParser
where
    T: Copy + Send + Sync + 'static,
{
    let names = PossibleValuesParser::new(all.iter().map(|value| name(*value)));
    let found = move |word: String| {
        let value = all.iter().copied().find(|value| name(*value) == word);
        value.ok_or_else(|| format!("{word} is not one of them"))
    };
    names.try_map(found).into()
}

impl Ack {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let outbox = Outbox::open(&home)?;
        let (entry, sender, mut receipt) = self.statement(context, &home)?;
        let (unlocked, note) = if self.stage.is_persons() {
            let officer = officers::who(context.disk.as_ref(), home.dir(), self.officer.as_ref())?;
            let (unlocked, key) = self.unlock.officer(context, &home, &officer)?;
            let members = Members::copied(&home)?.ok_or(SealerError::NoDirectory)?;
            let note = self.note(&officer, &key, &receipt)?;
            let sealed = notes::seal(&unlocked, members.policy(), (&key, &note), &sender, &mut receipt)?;
            (unlocked, sealed)
        } else {
            (self.unlock.required(context, &home)?, Bytes::new())
        };
        receipt.check().map_err(|refusal| Failure::usage(refusal.message))?;
        let receipt = unlocked.signer(context.random.clone()).sign(receipt);
        let held = home.lock().await?;
        outbox.add_statement(&held, &entry, (receipt, note), context.clock.now())?;
        drop(held);
        let entries = [entry];
        let outcome = hand_in(context, &home, &outbox, &entries).await;
        let [entry] = entries;
        tell_statement(context, &entry, outcome.as_ref().ok())?;
        match outcome? {
            Outcome::Accepted { .. } => Ok(Exit::Done),
            Outcome::Refused { reason, message } => {
                let message =
                    format!("the hub refused: {message} [{reason}]. It is kept aside in the outbox");
                Err(Failure { exit: Exit::Refused, message, reason: Some(reason) })
            }
        }
    }

    fn statement(&self, context: &Context, home: &Home) -> Result<(StatementEntry, Name, Receipt), Failure> {
        let desk = home.desk()?;
        let (inbox, outbox) = context.boxes(home)?;
        let entry = match find(&self.message, &inbox.entries()?, &outbox.messages()?)? {
            Found::Received(entry) => entry,
            Found::Sent(entry) => {
                let id = entry.message_id;
                return Err(Failure::usage(format!(
                    "{id} is this desk's own: only who receives a message acknowledges it"
                )));
            }
        };
        let receipt = Receipt {
            desk: desk.clone(),
            stage: self.stage,
            messages: vec![inbox.read(&entry)?.covered()],
            notices: Vec::new(),
            at: context.clock.now(),
            action: self.action,
            reason: if self.stage.is_persons() { String::new() } else { self.reason.trim().to_owned() },
            note_digest: None,
            opened: self.stage == Stage::Unreadable,
            seen: witness::seen(home),
        };
        // The note comes later: what a person gave is looked at before they are asked for a passphrase.
        let note_digest = self.stage.is_persons().then_some([0; 32]);
        Receipt { note_digest, ..receipt.clone() }
            .check()
            .map_err(|refusal| Failure::usage(refusal.message))?;
        let why = self.stage == Stage::Declined || self.action == Some(Action::None);
        if why && self.reason.trim().is_empty() {
            return Err(Failure::usage(format!("{} needs a reason; none is given", self.stage)));
        }
        let id = new_id(&*context.clock, &*context.random);
        let (message_id, sender) = (entry.message_id, entry.sender);
        let of = sender.clone();
        Ok((StatementEntry { id, message_id, sender, stage: self.stage, stand: Stand::Pending }, of, receipt))
    }

    fn note(&self, officer: &Officer, key: &SigningKey, receipt: &Receipt) -> Result<OfficerNote, Failure> {
        let [covered] = receipt.messages.as_slice() else {
            return Err(Failure::new(Exit::Fault, "a person's stage names one message"));
        };
        let note = OfficerNote {
            officer: officer.name.clone(),
            key: key.verifying_key(),
            message_id: covered.message_id,
            digest: covered.digest,
            stage: receipt.stage,
            action: receipt.action,
            at: receipt.at,
            text: self.reason.trim().to_owned(),
        };
        note.check().map_err(|refusal| Failure::usage(refusal.message))?;
        Ok(note)
    }
}

async fn hand_in(
    context: &Context,
    home: &Home,
    outbox: &Outbox,
    entries: &[StatementEntry; 1],
) -> Result<Outcome, Failure> {
    let waits = "It is kept in the outbox with the time of now, and handed in by `resguardo publish pending` or a \
                 running `resguardo subscribe`";
    let channel = context.connect(home).await.map_err(|failure| failure.and(waits))?;
    let handing = async || hand_in::statements(channel.clone(), home, outbox, entries).await;
    let outcomes =
        again_and_again(context, handing).await.map_err(|error| Failure::from(error).and(waits))?;
    let missing = || Failure::new(Exit::Fault, "the hub's answer is missing").and(waits);
    outcomes.into_iter().next().ok_or_else(missing)
}
