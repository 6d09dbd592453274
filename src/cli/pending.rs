//! `publish pending`: what waits in the outbox, handed in.
//!
//! Owns that one which still waits holds up none of the others.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::publish::{WAITS, again_and_again, tell_statement, told, warn};
use super::unlock::Unlock;
use super::{erase, objects, packet};
use crate::desk::hand_in::{self, HandInError};
use crate::desk::outbox::Outbox;
use crate::model::envelope::MessageClass;
use crate::wire::status::CallError;

/// `publish pending`
pub(super) async fn run(context: &Context, unlock: &Unlock) -> Result<Exit, Failure> {
    let home = context.home()?;
    home.desk()?;
    let outbox = Outbox::open(&home)?;
    outbox.sweep(&home.lock().await?)?;
    let (messages, statements) = outbox.pending()?;
    let orders = outbox.pending_orders()?;
    if messages.is_empty() && statements.is_empty() && orders.is_empty() {
        context.screen.line("Nothing waits in the outbox.")?;
        return Ok(Exit::Done);
    }
    let mut drafts = messages.iter().filter_map(|id| outbox.read_message(*id).ok());
    let unlocked = if drafts.any(|outgoing| outgoing.is_draft()) {
        Some(unlock.required(context, &home).map_err(|failure| failure.and(WAITS))?)
    } else {
        None
    };
    let sealing = context.sealing(unlocked);
    let channel = context.connect(&home).await.map_err(|failure| failure.and(WAITS))?;
    let mut exit = Exit::Done;
    for id in messages {
        let outcome = match outbox.read_message(id) {
            Ok(outgoing) if outgoing.envelope.class == MessageClass::Packet => {
                let sent =
                    packet::send(context, &home, &outbox, (&outgoing, &id.to_string()), &sealing).await;
                sent.map_err(|failure| still_waits(context, &failure, &mut exit)).ok()
            }
            _ => {
                let handing = async || hand_in::message(channel.clone(), &home, &outbox, id, &sealing).await;
                still_pending(context, again_and_again(context, handing).await, &mut exit)?
            }
        };
        context.screen.object(&objects::published(id, outcome.as_ref()))?;
        context.screen.line(&told(context, id, outcome.as_ref()))?;
    }
    for entry in statements {
        let entries = [entry];
        let handing = async || hand_in::statements(channel.clone(), &home, &outbox, &entries).await;
        let outcomes = still_pending(context, again_and_again(context, handing).await, &mut exit)?;
        let [entry] = entries;
        tell_statement(context, &entry, outcomes.and_then(|mut outcomes| outcomes.pop()).as_ref())?;
    }
    for id in orders {
        let handing = async || hand_in::order(channel.clone(), &home, &outbox, id).await;
        let outcome = still_pending(context, again_and_again(context, handing).await, &mut exit)?;
        erase::tell(context, id, outcome.as_ref())?;
    }
    Ok(exit)
}

/// One that still waits holds up none of the others; the first reason gives the exit code.
fn still_pending<T>(
    context: &Context,
    result: Result<T, HandInError>,
    exit: &mut Exit,
) -> Result<Option<T>, Failure> {
    match result {
        Ok(outcome) => Ok(Some(outcome)),
        Err(HandInError::Home(error)) => Err(error.into()),
        Err(HandInError::Call(error @ (CallError::Connect(_) | CallError::Unreachable { .. }))) => {
            Err(Failure::from(error).and(WAITS))
        }
        Err(error) => {
            still_waits(context, &error.into(), exit)?;
            Ok(None)
        }
    }
}

/// Tells why one still waits.
fn still_waits(context: &Context, failure: &Failure, exit: &mut Exit) -> Result<(), Failure> {
    if *exit == Exit::Done {
        *exit = failure.exit;
    }
    warn(context, &failure.message)
}
