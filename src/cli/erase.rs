//! `erase`: has a message of this office erased, at the hub and at everybody who received it.
//!
//! Owns the making of the order: it is kept before it is handed in. Never erases here before the hub has the order.

use clap::Args;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::objects;
use super::publish::again_and_again;
use super::screen::{Tone, harmless, toned};
use crate::desk::find::{find, parse_message_id};
use crate::desk::hand_in;
use crate::desk::home::Home;
use crate::desk::outbox::{Outbox, OutboxEntry, Outcome, Stand};
use crate::model::envelope::MessageId;
use crate::model::erasure::ErasureOrder;
use crate::model::receipt::REASON_BYTES_MAX;
use crate::wire::erasure;

const WAITS: &str = "The order is kept in the outbox, and handed in by `resguardo publish pending` or a running \
                     `resguardo subscribe`; until then nothing is erased";

/// Has a message erased.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  resguardo erase 7d9be2c4 --reason 'sent to the wrong offices'

It cannot be taken back. The hub overwrites the message's content and files, tells everybody who received it to erase
theirs, and records who did; so do its next backups. That it was sent, to whom, and who acknowledged it stays.

The hub and all who received the message can read the reason: no names, no places.")]
pub struct Erase {
    /// The message: its whole id, or, for a message that this home sent, at least six characters of its beginning or end.
    message: String,
    /// Why.
    #[arg(long)]
    reason: String,
}

impl Erase {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let outbox = Outbox::open(&home)?;
        let order = self.order(context, &home, &outbox)?;
        let id = order.message_id;
        let bytes = erasure::order_bytes(&order);
        outbox.add_order(&home.lock().await?, id, bytes, context.clock.now())?;
        let outcome = hand_in(context, &home, &outbox, id).await;
        tell(context, id, outcome.as_ref().ok())?;
        match outcome? {
            Outcome::Accepted { .. } => Ok(Exit::Done),
            Outcome::Refused { reason, message } => {
                let message = format!("the hub refused: {message} [{reason}]. Nothing was erased");
                Err(Failure { exit: Exit::Refused, message, reason: Some(reason) })
            }
        }
    }

    fn order(&self, context: &Context, home: &Home, outbox: &Outbox) -> Result<ErasureOrder, Failure> {
        let desk = home.desk()?.clone();
        let reason = self.reason.trim().to_owned();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            let found = reason.len();
            return Err(Failure::usage(format!(
                "--reason says why, in 1 to {REASON_BYTES_MAX} bytes; {found} came"
            )));
        }
        let message_id = match parse_message_id(&self.message) {
            // Another desk of this office may have sent it.
            Some(id) => id,
            None => find(&self.message, &[], &outbox.messages()?)?.message_id(),
        };
        let waits = |it: &OutboxEntry| it.message_id == message_id && it.stand == Stand::Pending;
        if outbox.messages()?.iter().any(waits) {
            return Err(Failure::usage(format!(
                "{message_id} still waits in the outbox, nobody has it yet: `resguardo publish pending` hands it in, \
                 and it can be erased then"
            )));
        }
        Ok(ErasureOrder { desk, message_id, at: context.clock.now(), reason })
    }
}

async fn hand_in(context: &Context, home: &Home, outbox: &Outbox, id: MessageId) -> Result<Outcome, Failure> {
    let channel = context.connect(home).await.map_err(|failure| failure.and(WAITS))?;
    let handing = async || hand_in::order(channel.clone(), home, outbox, id).await;
    again_and_again(handing).await.map_err(|error| Failure::from(error).and(WAITS))
}

/// Tells what became of an order.
pub(super) fn tell(context: &Context, id: MessageId, outcome: Option<&Outcome>) -> Result<(), Failure> {
    context.screen.object(&objects::ordered(id, outcome))?;
    let line = match outcome {
        Some(Outcome::Accepted { index, at, repeated, .. }) => {
            let word = if *repeated { "Ordered before" } else { "Ordered" };
            format!(
                "{}: {id} is erased, by entry {index} on {}. Who has erased it: resguardo audit message {id}",
                toned(Tone::Good, word),
                context.screen.time(*at)
            )
        }
        Some(Outcome::Refused { reason, message }) => {
            format!("{} to erase {id}: {} [{reason}]", toned(Tone::Bad, "Refused"), harmless(message))
        }
        None => format!("{} to erase {id} in the outbox", toned(Tone::Warning, "Waits")),
    };
    Ok(context.screen.line(&line)?)
}
