//! The ledger lost: deleted, corrupted, old or another hub's. The hub starts, says what it did, and answers the same.

use std::fs;
use std::path::PathBuf;

use crate::stage::audit::{assert_same, everything};
use crate::stage::chance::{Chance, random_u64};
use crate::stage::files::{break_somehow, copy, files, replace};
use crate::stage::traffic::bustle;
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR};

/// What a hub says when it makes its ledger anew, with its progress.
const REBUILDS: [&str; 1] = ["the ledger takes in what it lacks"];

fn ledger(stage: &Stage) -> PathBuf {
    stage.home().join("ledger")
}

/// What every subscriber is owed, as a subscription says it.
async fn owed(stage: &Stage) -> Vec<u64> {
    let mut owed = Vec::new();
    for (office, _) in crate::stage::founding::OFFICES {
        owed.push(stage.desk(office).await.subscribe().await.started.outstanding);
    }
    owed
}

#[tokio::test]
async fn deleted_ledger_is_rebuilt_and_answers_the_same() {
    let mut stage = Stage::open().await;
    let drafts = bustle(&stage, 3).await;
    let (before, owed_before) = (everything(&stage).await, owed(&stage).await);
    for kill in [false, true, false] {
        if kill {
            stage.kill().await;
        } else {
            assert!(stage.stop().await.success());
        }
        fs::remove_dir_all(ledger(&stage)).unwrap();
        stage.start().await;
        stage.hub().says(&REBUILDS).await;
        assert_same(&before, &everything(&stage).await, "the ledger was deleted");
        assert_eq!(owed(&stage).await, owed_before);
    }
    let desk = stage.desk(HONDURAS).await;
    assert!(desk.publish(&drafts[0]).await.unwrap().duplicate, "what was published is known");
    desk.send(&desk.draft(&[IACHR])).await;
}

#[tokio::test]
async fn ledger_corrupted_in_many_places_never_changes_an_answer() {
    const ROUNDS: usize = 24;
    let seed = random_u64();
    println!("seed {seed}");
    let mut chance = Chance::seeded(seed);
    let mut stage = Stage::open().await;
    let drafts = bustle(&stage, 3).await;
    let before = everything(&stage).await;
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            assert!(stage.stop().await.success());
        } else {
            stage.kill().await;
        }
        let all = files(&ledger(&stage));
        let count = if round % 3 == 0 { all.len() } else { 1 };
        let mut ways = Vec::new();
        for at in 0..count {
            let file = if count == 1 { &all[chance.place(all.len())] } else { &all[at] };
            ways.push(break_somehow(file, &mut chance));
        }
        let when = format!("seed {seed}, round {round}: {ways:?}");
        if let Err(ended) = stage.try_start().await {
            panic!("{when}: the hub did not start: {ended}");
        }
        assert_same(&before, &everything(&stage).await, &when);
        let known = stage.desk(HONDURAS).await.publish(&drafts[0]).await.unwrap();
        assert!(known.duplicate, "{when}: what was published is known");
    }
}

#[tokio::test]
async fn older_copy_of_the_ledger_catches_up_and_answers_the_same() {
    let mut stage = Stage::open().await;
    let old = stage.folder().join("old-ledger");
    bustle(&stage, 1).await;
    assert!(stage.stop().await.success());
    copy(&ledger(&stage), &old);
    stage.start().await;
    bustle(&stage, 3).await;
    let (before, owed_before) = (everything(&stage).await, owed(&stage).await);
    for kill in [false, true] {
        if kill {
            stage.kill().await;
        } else {
            assert!(stage.stop().await.success());
        }
        replace(&ledger(&stage), &old);
        stage.start().await;
        assert!(!stage.hub().log().trim().is_empty(), "it says what it did");
        assert_same(&before, &everything(&stage).await, "an older ledger was swapped in");
        assert_eq!(owed(&stage).await, owed_before);
    }
}

#[tokio::test]
async fn ledger_of_another_hub_is_not_believed() {
    let mut stage = Stage::open().await;
    bustle(&stage, 2).await;
    let before = everything(&stage).await;
    let mut other = Stage::open().await;
    bustle(&other, 3).await;
    assert!(other.stop().await.success() && stage.stop().await.success());
    replace(&ledger(&stage), &ledger(&other));
    let verified = stage.program(&["hub", "verify"]).await;
    let said = String::from_utf8_lossy(&verified.stdout) + String::from_utf8_lossy(&verified.stderr);
    let told = !verified.status.success() || said.contains("of another journal");
    assert!(told, "another hub's ledger was found to agree: {verified:?}");
    replace(&ledger(&stage), &ledger(&other));
    stage.start().await;
    stage.hub().says(&["of another journal"]).await;
    stage.hub().says(&REBUILDS).await;
    assert_same(&before, &everything(&stage).await, "another hub's ledger was swapped in");
}

#[tokio::test]
async fn rebuild_and_verify_by_command_change_no_answer() {
    let mut stage = Stage::open().await;
    bustle(&stage, 2).await;
    let before = everything(&stage).await;
    assert!(stage.stop().await.success());
    for command in ["verify", "rebuild", "verify"] {
        let done = stage.program(&["hub", command]).await;
        assert_eq!(done.status.code(), Some(0), "hub {command}: {done:?}");
        // A whole ledger lacks nothing: a check says so only of what it lacks.
        let lacks = String::from_utf8_lossy(&done.stdout).contains("lacks");
        assert_eq!(lacks, command == "rebuild", "hub {command}: {done:?}");
    }
    stage.start().await;
    assert_same(&before, &everything(&stage).await, "after a rebuild by command");
    // On a running hub they do no harm: the home is held.
    for command in ["rebuild", "verify"] {
        let done = stage.program(&["hub", command]).await;
        assert!(command == "verify" || !done.status.success(), "hub {command}: {done:?}");
    }
    assert_same(&before, &everything(&stage).await, "after commands on a running hub");
}

#[tokio::test]
async fn start_without_a_ledger_gives_the_same_as_a_start_with_another_configuration() {
    let mut stage = Stage::open_with(Setup::default()).await;
    bustle(&stage, 2).await;
    let before = everything(&stage).await;
    assert!(stage.stop().await.success());
    fs::remove_dir_all(ledger(&stage)).unwrap();
    stage.set_limits("payload_bytes_max = 10\nrecipients_max = 1\npublishes_per_s = 1\npublishes_burst = 1");
    stage.start().await;
    assert_same(&before, &everything(&stage).await, "rebuilt under another hub.toml");
}
