//! Receives what an office is owed, and states for a person that it was read.
//!
//! ```sh
//! cargo run --example receive -- certs-dev/iachr 1
//! ```
//!
//! The library keeps each message in the home's inbox before it acknowledges it as received, connects again after a cut,
//! and hands in what waits in the outbox. That a person read it, only a person may say: here by pressing Enter.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people to read and run")]

use std::io::{self, BufRead as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use resguardo::desk::compose::new_id;
use resguardo::desk::dial::{Dial as _, HomeDial};
use resguardo::desk::hand_in;
use resguardo::desk::home::Home;
use resguardo::desk::inbox::Inbox;
use resguardo::desk::keys;
use resguardo::desk::members::Members;
use resguardo::desk::outbox::{Outbox, Stand, StatementEntry};
use resguardo::desk::sealer::Unlocked;
use resguardo::desk::session::{Event, Host, Observer, Plan, Subscription};
use resguardo::desk::signer::Signer;
use resguardo::desk::{notes, officers, witness};
use resguardo::host::clock::{Clock, SystemClock};
use resguardo::host::disk::OsDisk;
use resguardo::host::random::OsRandom;
use resguardo::host::tasks::TokioTasks;
use resguardo::model::receipt::{Receipt, Stage};
use resguardo::wire::client::ConnectLimits;
use resguardo::wire::note::OfficerNote;
use tokio_util::sync::CancellationToken;

/// Hears what happens. What it is told of is on the disk.
struct Screen;

impl Observer for Screen {
    fn tell(&self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Started { outstanding } => println!("connected; {outstanding} outstanding"),
            Event::Message(kept, _) => println!("{} from {}", kept.entry.message_id, kept.entry.sender),
            Event::Lost { why, retry_in_ms } => eprintln!("no line: {why}; again in {retry_in_ms} ms"),
            _ => {}
        }
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [home, count] = &arguments[..] else {
        bail!("give a desk's home, and how many messages to wait for")
    };
    let clock = Arc::new(SystemClock::new());
    let home = Home::open(Arc::new(OsDisk), Path::new(home))?;
    let dial = HomeDial::of(&home, ConnectLimits::default(), clock.clone());

    let tasks = Arc::new(TokioTasks::on(tokio::runtime::Handle::current()));
    let desk = home.desk()?.clone();
    // A machine signs what a machine may state; what a person states, and opening, takes the passphrase of the keys. Those
    // of a development set need none.
    let signer = Signer::new(desk.clone(), keys::unattended(&OsDisk, home.dir())?, Arc::new(OsRandom));
    let unlocked = Unlocked::of(desk.clone(), keys::unlock(&OsDisk, home.dir(), None)?);
    let person = unlocked.signer(Arc::new(OsRandom));
    let random = Arc::new(OsRandom);
    let host =
        Host { clock: clock.clone(), random, tasks, files: None, signer, unlocked: Some(unlocked.clone()) };
    let plan = Plan { count: Some(count.parse()?), ..Plan::default() };
    // Cancelled, the token would end the subscription in order.
    let stop = CancellationToken::new();
    Subscription::open(&home, &dial, host, plan, &Screen, stop)?.run().await?;

    let Some(newest) = Inbox::open(&home)?.entries()?.pop() else { bail!("nothing came") };
    println!("press Enter when you have read message {}", newest.message_id);
    if io::stdin().lock().lines().next().transpose()?.is_none() {
        bail!("nobody said so: nothing is stated");
    }
    let mut receipt = Receipt {
        desk,
        stage: Stage::Read,
        messages: vec![Inbox::open(&home)?.read(&newest)?.covered()],
        notices: Vec::new(),
        at: clock.now(),
        action: None,
        reason: String::new(),
        note_digest: None,
        opened: false,
        seen: witness::seen(&home),
    };
    // A person's stage bears the person's name: in a note that the office that sent the message, headquarters and one's own
    // office can open.
    let officer = officers::who(&OsDisk, home.dir(), None)?;
    let key = officers::unlock(&OsDisk, home.dir(), &officer, "")?.key;
    let covered = receipt.messages[0];
    let note = OfficerNote {
        officer: officer.name,
        key: key.verifying_key(),
        message_id: covered.message_id,
        digest: covered.digest,
        stage: receipt.stage,
        action: None,
        at: receipt.at,
        text: String::new(),
    };
    let members = Members::copied(&home)?.context("the directory is known since the subscription")?;
    let note = notes::seal(&unlocked, members.policy(), (&key, &note), &newest.sender, &mut receipt)?;

    // As with a message: kept first, with the time of the act, then handed in.
    let outbox = Outbox::open(&home)?;
    let entry = StatementEntry {
        id: new_id(&*clock, &OsRandom),
        message_id: newest.message_id,
        sender: newest.sender,
        stage: Stage::Read,
        stand: Stand::Pending,
    };
    let held = home.lock().await?;
    outbox.add_statement(&held, &entry, (person.sign(receipt), note), clock.now())?;
    drop(held);
    let outcomes = hand_in::statements(dial.dial().await?, &home, &outbox, &[entry]).await?;
    println!("{outcomes:?}");
    Ok(())
}
