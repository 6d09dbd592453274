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

use anyhow::bail;
use resguardo::desk::compose::new_id;
use resguardo::desk::dial::{Dial as _, HomeDial};
use resguardo::desk::hand_in;
use resguardo::desk::home::Home;
use resguardo::desk::inbox::Inbox;
use resguardo::desk::outbox::{Outbox, Stand, StatementEntry};
use resguardo::desk::session::{Event, Host, Observer, Plan, Subscription};
use resguardo::host::clock::{Clock, SystemClock};
use resguardo::host::disk::OsDisk;
use resguardo::host::random::OsRandom;
use resguardo::host::tasks::TokioTasks;
use resguardo::model::receipt::{MessageRef, Receipt, Stage};
use resguardo::wire::client::ConnectLimits;
use resguardo::wire::convert;
use tokio_util::sync::CancellationToken;

/// Hears what happens. What it is told of is on the disk.
struct Screen;

impl Observer for Screen {
    fn tell(&self, event: Event<'_>) -> io::Result<()> {
        match event {
            Event::Started { outstanding } => println!("connected; {outstanding} outstanding"),
            Event::Message(kept) => println!("{} from {}", kept.entry.message_id, kept.entry.sender),
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
    let host = Host { clock: clock.clone(), random: Arc::new(OsRandom), tasks, files: None };
    let plan = Plan { count: Some(count.parse()?), ..Plan::default() };
    // Cancelled, the token would end the subscription in order.
    let stop = CancellationToken::new();
    Subscription::open(&home, &dial, host, plan, &Screen, stop)?.run().await?;

    let Some(newest) = Inbox::open(&home)?.entries()?.pop() else { bail!("nothing came") };
    println!("press Enter when you have read message {}", newest.message_id);
    if io::stdin().lock().lines().next().transpose()?.is_none() {
        bail!("nobody said so: nothing is stated");
    }
    let desk = home.desk()?;
    let receipt = Receipt {
        desk: desk.clone(),
        stage: Stage::Read,
        messages: vec![MessageRef { index: newest.index, message_id: newest.message_id }],
        notices: Vec::new(),
        at: clock.now(),
        action: None,
        reason: String::new(),
    };

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
    outbox.add_statement(&held, &entry, convert::receipt_bytes(&receipt), clock.now())?;
    drop(held);
    let outcomes = hand_in::statements(dial.dial().await?, &home, &outbox, &[entry]).await?;
    println!("{outcomes:?}");
    Ok(())
}
