//! The hub killed with SIGKILL at random moments, under publishers and subscribers: what it confirmed stays, in its
//! place; what it did not confirm is there whole or not at all.
//!
//! `RESGUARDO_KILLS` says how often (50), `RESGUARDO_KILL_SEED` repeats the moments of a run.

#[path = "../stage/mod.rs"]
mod stage;

mod audit;
mod book;
mod gate;

mod publisher;
mod subscriber;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use audit::Picture;
use book::Book;
use gate::Gate;
use resguardo::wire::proto::Stage as ReceiptStage;
use stage::Stage;
use stage::audit::all;
use stage::chance::{Chance, random_u64};
use stage::wait::{until, within};

/// Offices whose desks publish: the first two by single calls, the others by stream.
const PUBLISHERS: [&str; 4] = ["ohchr-honduras", "ohchr-guatemala", "ohchr-mexico", "ohchr-colombia"];
/// Offices that every message is for, each with one subscriber.
const SUBSCRIBERS: [&str; 3] = ["iachr", "ohchr-central-america", "ohchr-south-america"];
/// Confirmations between two kills, at most.
const CONFIRMATIONS_MAX: u64 = 120;
/// Microseconds between the last of them and the kill, at most.
const DELAY_US_MAX: u64 = 30_000;
/// One restart in so many is itself killed first, at a random moment of its start.
const STARTS_TO_A_KILL: u64 = 5;
/// Microseconds into a start that is killed, at most.
const START_US_MAX: u64 = 400_000;

fn number(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

#[tokio::test]
async fn what_was_confirmed_stays_in_its_place_over_50_kills() {
    let kills = number("RESGUARDO_KILLS").unwrap_or(50);
    let seed = number("RESGUARDO_KILL_SEED").unwrap_or_else(random_u64);
    println!("RESGUARDO_KILLS={kills} RESGUARDO_KILL_SEED={seed}");
    let mut chance = Chance::seeded(seed);
    let mut stage = Stage::open().await;
    let (book, gate) = (Arc::new(Book::default()), Arc::new(Gate::default()));
    let mut publishers = JoinSet::new();
    for (at, office) in PUBLISHERS.into_iter().enumerate() {
        let mut worker = publisher::Publisher::new(&stage, office, chance.bits(), &book, &gate);
        if at < 2 {
            publishers.spawn(async move { worker.by_single_calls().await });
        } else {
            publishers.spawn(async move { worker.by_stream().await });
        }
    }
    let mut subscribers = JoinSet::new();
    for office in SUBSCRIBERS {
        let mut worker = subscriber::Subscriber::new(&stage, office, chance.bits(), &book, &gate);
        subscribers.spawn(async move { worker.run().await });
    }
    let workers = PUBLISHERS.len() + SUBSCRIBERS.len();
    let mut picture = Picture::take(&stage).await;
    for round in 1..=kills {
        gate.all_wait(workers).await;
        gate.open();
        let enough = book.confirmations() + 1 + chance.below(CONFIRMATIONS_MAX);
        let confirmed = within("enough is confirmed", book.confirmed(enough));
        tokio::select! {
            () = confirmed => {}
            end = publishers.join_next() => panic!("seed {seed}, round {round}: a publisher ended: {end:?}"),
            end = subscribers.join_next() => panic!("seed {seed}, round {round}: a subscriber ended: {end:?}"),
        }
        tokio::time::sleep(Duration::from_micros(chance.below(DELAY_US_MAX))).await;
        stage.kill().await;
        gate.all_wait(workers).await;
        if chance.below(STARTS_TO_A_KILL) == 0 {
            stage.start_and_kill(Duration::from_micros(chance.below(START_US_MAX))).await;
        }
        stage.start().await;
        picture = picture.next(&stage, &book, &format!("seed {seed}, after kill {round}")).await;
    }
    gate.all_wait(workers).await;
    gate.open();
    book.stop_publishing();
    within("publishers end", publishers.join_all()).await;
    let auditor = stage.auditor("iachr").await;
    until("every subscriber has acknowledged everything", async || {
        assert!(subscribers.try_join_next().is_none(), "seed {seed}: a subscriber ended");
        let owed = auditor.outstanding(all(), ReceiptStage::Received).await.expect("a listing");
        owed.is_empty().then_some(())
    })
    .await;
    for office in SUBSCRIBERS {
        assert_eq!(book.lacks(office), 0, "seed {seed}: confirmed messages never reached {office}");
    }
    subscribers.shutdown().await;
    assert_eq!(stage.stop().await.code(), Some(0));
    let verified = stage.program(&["hub", "verify"]).await;
    assert!(verified.status.success(), "seed {seed}: {verified:?}");
    stage.start().await;
    let last = picture.next(&stage, &book, &format!("seed {seed}, at the end")).await;
    println!(
        "{} confirmed messages, {} confirmed receipts, {} entries",
        book.confirmations(),
        book.receipts(),
        last.len()
    );
}
