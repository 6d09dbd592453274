//! Publishes an alert from a program of one's own, so that it cannot be lost: kept on the own disk first, then handed in.
//!
//! ```sh
//! cargo run --example publish -- certs-dev/ohchr-honduras examples/alerts/death-threat.xml
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people to read and run")]

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use resguardo::cap;
use resguardo::desk::compose::{Draft, compose};
use resguardo::desk::dial::{Dial as _, HomeDial};
use resguardo::desk::hand_in::{self, Sealing};
use resguardo::desk::home::Home;
use resguardo::desk::keys;
use resguardo::desk::members::Members;
use resguardo::desk::outbox::{Outbox, Outcome};
use resguardo::desk::sealer::Unlocked;
use resguardo::host::clock::{Clock, SystemClock};
use resguardo::host::disk::OsDisk;
use resguardo::host::random::OsRandom;
use resguardo::model::deadline::Deadlines;
use resguardo::wire::client::ConnectLimits;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [home, file] = &arguments[..] else { bail!("give a desk's home and a file with a CAP 1.2 alert") };
    // Clock, disk and randomness are handed in everywhere: a test gives its own.
    let clock = Arc::new(SystemClock::new());
    let home = Home::open(Arc::new(OsDisk), Path::new(home))?;
    let desk = home.desk()?;

    let imported = cap::import(&std::fs::read(file)?)?;
    for remark in &imported.warnings {
        eprintln!("{file}, {remark}");
    }

    // A connection with mutual TLS, by the home's address and keys. The hub tells who receives the stream.
    let channel = HomeDial::of(&home, ConnectLimits::default(), clock.clone()).dial().await?;
    let members = Members::fetch(channel.clone(), &home, clock.now()).await?;
    let stream = "monitoring-protection".parse()?;
    let recipients = members.recipients(&stream, &desk.office)?;

    // The envelope is all that the hub sees of the alert. From here on the message is these exact bytes.
    let outbox = Outbox::open(&home)?;
    // None: by when it is to be received, read and acted on is policy's to say.
    let deadlines = Deadlines::default();
    let thread_id = None;
    // A name stands in a person block, never in the alert's text: see `examples/alerts/persons.toml`.
    let persons = &[];
    let draft = Draft {
        alert: &imported.alert,
        persons,
        stream,
        recipients,
        thread_id,
        deadlines,
        // Its members may be others by the time it can be handed in.
        to_members: true,
        // While it waits, nobody but this office can read it.
        own: members.policy().office_key(&desk.office).context("the office has a key")?,
    };
    let outgoing = compose(desk, draft, &outbox, &*clock, &OsRandom)?.outgoing;
    let id = outgoing.envelope.message_id;
    let held = home.lock().await?;
    outbox.add_message(&held, &outgoing, clock.now())?;
    drop(held);

    // It is sealed for its recipients and signed when it is first handed in. Keys of a development set need no passphrase.
    let keyring = keys::unlock(&OsDisk, home.dir(), None)?;
    let sealing = Sealing { unlocked: Some(Unlocked::of(desk.clone(), keyring)), clock };
    // Whatever fails here, the message stays in the outbox: hand in the same bytes again, as often as it takes.
    let outcome = hand_in::message(channel, &home, &outbox, id, &sealing).await;
    match outcome.with_context(|| format!("message {id} is kept, and waits in the outbox"))? {
        Outcome::Accepted { index, .. } => println!("published {id} at index {}", index.0),
        Outcome::Refused { reason, message } => bail!("the hub refused message {id}: {message} [{reason}]"),
    }
    Ok(())
}
