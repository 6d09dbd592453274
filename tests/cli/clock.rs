//! A hub's clock that cannot be right, with real processes: nothing is overdue until an operator has looked.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use resguardo::host::clock::SystemClock;
use resguardo::host::disk::OsDisk;
use resguardo::host::network::TcpNetwork;
use resguardo::host::random::SeededRandom;
use resguardo::host::tasks::TokioTasks;
use resguardo::hub::home::Home;
use resguardo::hub::open;
use resguardo::hub::run::Host;
use resguardo::ledger::store::sled::SledStores;
use resguardo::model::entry::{Batch, BatchName, EntryKind, Proposal};
use resguardo::model::id::UnixMicros;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::stage::{Stage, until};

const OPERATOR: &str = "operator-dev";
const DAY_US: u64 = 86_400_000_000;

/// Leaves a batch in the journal of a hub that does not run, as of a clock that is a day ahead.
fn run_ahead(hub: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let clock = Arc::new(SystemClock::new());
    let host = Host {
        disk: Arc::new(OsDisk),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(1)),
        network: Arc::new(TcpNetwork),
        tasks: Arc::new(TokioTasks::on(runtime.handle().clone())),
        stores: Arc::new(SledStores { boot_id: "boot".into() }),
        reload: Arc::default(),
        stop: CancellationToken::new(),
    };
    let home = Home::at(hub);
    let config = home.config(host.disk.as_ref()).unwrap();
    let mut opened = open::open(&host, &home, &config, &mut |_| {}).unwrap();
    let name = BatchName { hub: 1, run: opened.run, number: 0 };
    let time = UnixMicros(resguardo::host::clock::Clock::now(clock.as_ref()).0 + DAY_US);
    let (kind, identity) = (EntryKind::Summary, "urn:resguardo:hub:dev".to_owned());
    let proposals = vec![Proposal { kind, identity, statement: Bytes::new(), payload: None }];
    opened.journal.append(&Batch { name, time, seed: [0; 32], proposals }).unwrap();
    opened.close().unwrap();
}

fn alarms(stage: &Stage) -> Vec<Value> {
    let status = stage.objects(OPERATOR, &["hub", "status"]).remove(0);
    let alarms = status["alarms"].as_array().unwrap().iter();
    alarms.map(|alarm| alarm["alarm"].clone()).collect()
}

#[test]
fn clock_before_the_journals_last_time_suspends_what_is_overdue_until_an_operator_confirms_it() {
    let mut stage = Stage::set();
    let alert = |stage: &Stage, name: &str, to: &str| {
        let alert = stage.alert(name);
        stage.well("ohchr-honduras", &["publish", "alert", &alert, "--to", to, "--receive-by", "5s"]);
    };
    alert(&stage, "one", "ohchr-mexico");
    stage.kill_hub();
    run_ahead(&stage.path("hub"));
    for _ in 0..2 {
        stage.start_hub();
        until("the alarm is raised, also by the next start", || alarms(&stage) == ["clock-suspended"]);
        stage.kill_hub();
    }
    stage.start_hub();
    // Publishing and receipts go on.
    alert(&stage, "two", "iachr");
    stage.well("iachr", &["subscribe", "--count", "1"]);
    let kinds = |kind: &str| {
        let entries = stage.objects("auditor-iachr", &["audit", "entries"]);
        entries.iter().filter(|entry| entry["kind"] == kind).count()
    };
    assert_eq!((kinds("clock"), kinds("overdue")), (1, 0), "said once, and remembered");
    let refused = stage.run("iachr", &["hub", "clock-ok"]);
    assert!(refused.code == 3 && refused.err.contains("only an operator"), "{refused:?}");
    let said = stage.objects(OPERATOR, &["hub", "clock-ok"]).remove(0);
    assert_eq!(said["was_suspended"], true);
    until("it goes on", || alarms(&stage).is_empty() && kinds("overdue") == 1);
    let missed = stage.objects("auditor-iachr", &["audit", "overdue"]);
    assert_eq!(
        (missed.len(), &missed[0]["office"]),
        (1, &"ohchr-mexico".into()),
        "what came meanwhile was in time"
    );
    assert_eq!(stage.objects(OPERATOR, &["hub", "clock-ok"])[0]["was_suspended"], false);
    assert_eq!(kinds("clock"), 2);
}
