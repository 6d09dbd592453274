//! Handing in one message that was just written: sealed where the directory is known, told, and its outcome.
//!
//! Owns that order for alerts and resealings. At a crash: the message is in the outbox from its writing on.

use tonic::transport::Channel;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::publish::{WAITS, again_and_again, refusal, tell};
use super::unlock::Opened;
use crate::desk::hand_in;
use crate::desk::home::Home;
use crate::desk::members::Members;
use crate::desk::outbox::{Outbox, Outcome, Outgoing};

/// Seals a message that is kept in the outbox, hands it in, and tells what became of it.
///
/// # Errors
/// Refused by the hub; any other, and it waits in the outbox.
pub(super) async fn send(
    context: &Context,
    (home, outbox): (&Home, &Outbox),
    (channel, members): (Option<&Channel>, Option<&Members>),
    opened: impl FnOnce() -> Result<Opened, Failure>,
    mut outgoing: Outgoing,
) -> Result<Outgoing, Failure> {
    let id = outgoing.envelope.message_id;
    let outcome = async {
        // Sealed also where there is no way to the hub: whoever hands it in later then needs no passphrase.
        let mut opened = opened().map_err(|failure| failure.and(WAITS))?;
        if let Some(members) = members {
            let held = home.lock().await?;
            let sealed = opened.unlocked.seal(home, &held, outbox, members.policy(), id);
            outgoing = sealed.map_err(|error| Failure::from(error).and(WAITS))?;
        }
        let Some(channel) = channel else {
            return Err(Failure::new(Exit::Unreachable, "the message was not handed in").and(WAITS));
        };
        let sealing = context.sealing(Some(opened.unlocked.clone()));
        let handing = async || hand_in::message(channel.clone(), home, outbox, id, &sealing).await;
        let handed_in = again_and_again(context, handing).await;
        let outcome = handed_in.map_err(|error| Failure::from(error).and(WAITS))?;
        // After the message, which waits for nothing.
        opened.rotate_when_due(context, home, channel.clone()).await;
        Ok::<_, Failure>(outcome)
    }
    .await;
    tell(context, &outgoing, outcome.as_ref().ok())?;
    match outcome? {
        Outcome::Accepted { .. } => Ok(outgoing),
        refused @ Outcome::Refused { .. } => Err(refusal(&refused)),
    }
}
