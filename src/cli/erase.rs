//! `erase`: has a message of this office erased, at the hub and at everybody who received it.
//!
//! Owns the making of the order: it is kept before it is handed in. Never erases here before the hub has the order.

use std::fmt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::objects;
use super::publish::again_and_again;
use super::screen::{Tone, harmless, toned};
use super::unlock::Unlock;
use crate::desk::find::{find, parse_message_id};
use crate::desk::hand_in;
use crate::desk::home::Home;
use crate::desk::outbox::{Outbox, OutboxEntry, Outcome, Stand};
use crate::model::envelope::MessageId;
use crate::model::erasure::{ErasureOrder, OrderedBy};
use crate::model::receipt::REASON_BYTES_MAX;
use crate::wire::erasure::{ERASURE_BYTES_MAX, SignedOrder};

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
    #[arg(required_unless_present = "order")]
    message: Option<String>,
    /// Why.
    #[arg(long, required_unless_present = "order")]
    reason: Option<String>,
    /// A registrar's order, made with `registrar erase`: whoever sent the message.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["message", "reason"])]
    order: Option<PathBuf>,
    #[command(flatten)]
    unlock: Unlock,
}

impl Erase {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let outbox = Outbox::open(&home)?;
        let (id, bytes) = if let Some(path) = &self.order {
            of_registrar(context, path)?
        } else {
            let order = self.own_order(context, &home, &outbox)?;
            let unlocked = self.unlock.required(context, &home)?;
            (order.message_id, SignedOrder::by(&unlocked.attended(), &order))
        };
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

    fn own_order(&self, context: &Context, home: &Home, outbox: &Outbox) -> Result<ErasureOrder, Failure> {
        let desk = home.desk()?.clone();
        let reason = checked_reason(self.reason.as_deref().unwrap_or_default())?;
        let message = self.message.as_deref().unwrap_or_default();
        let message_id = match parse_message_id(message) {
            // Another desk of this office may have sent it.
            Some(id) => id,
            None => find(message, &[], &outbox.messages()?)?.message_id(),
        };
        let waits = |it: &OutboxEntry| it.message_id == message_id && it.stand == Stand::Pending;
        if outbox.messages()?.iter().any(waits) {
            return Err(Failure::usage(format!(
                "{message_id} still waits in the outbox, nobody has it yet: `resguardo publish pending` hands it in, \
                 and it can be erased then"
            )));
        }
        Ok(ErasureOrder { by: OrderedBy::Desk(desk), message_id, at: context.clock.now(), reason })
    }
}

/// Reads a registrar's order. Whether it holds the hub says.
fn of_registrar(context: &Context, path: &Path) -> Result<(MessageId, Bytes), Failure> {
    let wrong = |error: &dyn fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let bytes = context.disk.read(path, ERASURE_BYTES_MAX as u64).map_err(|error| wrong(&error))?.into();
    let read = SignedOrder::read(&bytes);
    let SignedOrder { order, .. } = read.map_err(|refusal| {
        wrong(&format_args!("this is no order of `registrar erase`: {}", refusal.message))
    })?;
    Ok((order.message_id, bytes))
}

/// Checks the reason of an order.
///
/// # Errors
/// Usage: none, or one that is too long.
pub(super) fn checked_reason(reason: &str) -> Result<String, Failure> {
    match reason.trim() {
        reason if (1..=REASON_BYTES_MAX).contains(&reason.len()) => Ok(reason.to_owned()),
        reason => {
            let found = reason.len();
            Err(Failure::usage(format!("--reason says why, in 1 to {REASON_BYTES_MAX} bytes; {found} came")))
        }
    }
}

async fn hand_in(context: &Context, home: &Home, outbox: &Outbox, id: MessageId) -> Result<Outcome, Failure> {
    let channel = context.connect(home).await.map_err(|failure| failure.and(WAITS))?;
    let handing = async || hand_in::order(channel.clone(), home, outbox, id).await;
    again_and_again(context, handing).await.map_err(|error| Failure::from(error).and(WAITS))
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
