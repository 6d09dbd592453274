//! `registrar erase`: an order to erase a message, whoever sent it, as a file that a desk hands in.
//!
//! Never goes online.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::erase::checked_reason;
use super::exit::{Exit, Failure};
use super::passphrase::Passphrase;
use super::registrar::{home, key};
use crate::desk::find::parse_message_id;
use crate::host::disk::OpenMode;
use crate::model::erasure::{ErasureOrder, OrderedBy};
use crate::model::identity::Name;
use crate::registrar::Registrar;
use crate::wire::erasure::SignedOrder;

/// `registrar erase`
#[derive(Debug, Args)]
pub struct Erase {
    /// The message: its whole id.
    message: String,
    /// The office that sent it.
    #[arg(long, value_name = "OFFICE")]
    sent_by: Name,
    /// Why. The hub and all who received the message can read it: no names, no places.
    #[arg(long)]
    reason: String,
    /// Where to write the order.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl Erase {
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let registrar = Registrar::open(Arc::clone(&context.disk), home(context)?)?;
        let (to, path) = (&self.to, self.to.display());
        if context.disk.open(to, OpenMode::Read).is_ok() {
            return Err(Failure::usage(format!("{path} is there already: name a new file with --to")));
        }
        let message_id = parse_message_id(&self.message).ok_or_else(|| {
            let message =
                format!("{:?}: the message's whole id expected, as `resguardo audit` shows it", self.message);
            Failure::usage(message)
        })?;
        let by = OrderedBy::Registrar { name: registrar.name().clone(), sender: self.sent_by.clone() };
        let (reason, at) = (checked_reason(&self.reason)?, context.clock.now());
        let key = key(context, &registrar, &self.passphrase)?;
        let bytes = SignedOrder::by(&key, &ErasureOrder { by, message_id, at, reason });
        let written = context.disk.write_atomically(to, &bytes);
        written.map_err(|error| Failure::new(Exit::Fault, format!("cannot write {path}: {error}")))?;
        let screen = &context.screen;
        screen.line(&format!(
            "{path} has message {message_id} erased. At any desk: resguardo erase --order {path}"
        ))?;
        screen.object(&json!({
            "object": "erasure_order", "path": path.to_string(), "message_id": message_id.to_string(),
            "sender_office": self.sent_by.as_str(), "registrar": registrar.name().as_str(),
        }))?;
        Ok(Exit::Done)
    }
}
