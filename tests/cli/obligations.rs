//! Obligations with real processes: met by the matching message or act, missed once otherwise.

use std::fs;
use std::sync::Arc;

use resguardo::host::clock::{Clock as _, ManualClock, SystemClock};
use resguardo::host::disk::OsDisk;
use resguardo::host::network::TcpNetwork;
use resguardo::host::random::SeededRandom;
use resguardo::host::tasks::TokioTasks;
use resguardo::hub::home::Home;
use resguardo::hub::open;
use resguardo::hub::run::Host;
use resguardo::ledger::store::sled::SledStores;
use resguardo::model::id::UnixMicros;
use resguardo::model::obligation::Month;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::stage::{Stage, until};

const DAY_US: u64 = 86_400_000_000;

/// Founds the stage's hub anew, as of a day that is so long ago.
fn found_before(stage: &Stage, days: u64) -> UnixMicros {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let then = UnixMicros(SystemClock::new().now().0 - days * DAY_US);
    for folder in ["hub/journal", "hub/ledger"] {
        fs::remove_dir_all(stage.path(folder)).unwrap();
    }
    let host = Host {
        disk: Arc::new(OsDisk),
        clock: Arc::new(ManualClock::at(then)),
        random: Arc::new(SeededRandom::new(1)),
        network: Arc::new(TcpNetwork),
        tasks: Arc::new(TokioTasks::on(runtime.handle().clone())),
        stores: Arc::new(SledStores { boot_id: "boot".into() }),
        reload: Arc::default(),
        stop: CancellationToken::new(),
    };
    open::found(&host, &Home::at(&stage.path("hub")), None, &mut |_| {}).unwrap();
    then
}

fn overdue(stage: &Stage) -> Vec<Value> {
    stage.objects("auditor-iachr", &["audit", "overdue", "--all"])
}

#[test]
fn months_that_passed_while_the_hub_was_down_are_said_once_each_to_the_office_and_headquarters() {
    let mut stage = Stage::without_hub();
    let then = found_before(&stage, 120);
    let now = SystemClock::new().now();
    let mut months = Vec::new();
    let mut month = Month::of(then).next();
    while month.due(5) <= now {
        months.push(month.to_string());
        month = month.next();
    }
    assert!(months.len() >= 2, "{months:?}");
    // Six branches owe an analysis each month.
    let all = months.len() * 6;
    for _ in 0..2 {
        stage.start_hub();
        until("each is said", || overdue(&stage).len() == all);
        stage.kill_hub();
    }
    stage.start_hub();
    let rows = overdue(&stage);
    let of_mexico: Vec<_> = rows.iter().filter(|row| row["office"] == "ohchr-mexico").collect();
    let said: Vec<_> = of_mexico.iter().map(|row| row["month"].as_str().unwrap().to_owned()).collect();
    assert_eq!(said, months);
    for (row, month) in of_mexico.iter().zip(&months) {
        let due: jiff::Timestamp = row["due_at"].as_str().unwrap().parse().unwrap();
        let expected = month.parse::<Month>().unwrap().due(5).0;
        assert_eq!((due.as_microsecond(), &row["real"]), (i64::try_from(expected).unwrap(), &true.into()));
    }
    let owed = stage.objects("auditor-iachr", &["audit", "obligations", "--office", "ohchr-mexico"]);
    assert_eq!(owed.len(), 1);
    assert_eq!(
        (&owed[0]["month"], &owed[0]["months_missed"]),
        (&month.to_string().into(), &months.len().into())
    );
    // A day or so more may have begun since; nobody else sees it but headquarters.
    assert_eq!(stage.objects("iachr", &["audit", "obligations"]).len(), 6);
    assert_eq!(stage.objects("ohchr-colombia", &["audit", "obligations"]).len(), 1);
    let mut watch = stage.start("ohchr-mexico", &["--json", "subscribe"]);
    for month in &months {
        let notice = watch.object("notice");
        assert_eq!(
            (&notice["obligation"], &notice["month"]),
            (&"monthly-analysis".into(), &(*month).clone().into())
        );
    }
    let csv = stage.well("auditor-iachr", &["audit", "obligations", "--csv"]);
    assert!(csv.starts_with("obligation,office,") && csv.lines().count() == 7, "{csv}");
}

#[test]
fn answers_are_owed_by_each_recipient_and_given_on_the_thread_or_by_an_act() {
    let stage = Stage::set();
    let owe = ["policy", "obligation", "answers", "--institution", "ohchr", "--class", "alert"];
    stage.amend(&[&owe[..], &["--stream", "monitoring-protection", "--follow-up", "20s"]].concat());
    let real = |name: &str| stage.file(name, &super::alerts::alert(name, "").replace("Exercise", "Actual"));
    let to = "ohchr-mexico,ohchr-colombia,ohchr-guatemala";
    stage.well("iachr", &["publish", "alert", &real("one"), "--to", to]);
    for office in ["ohchr-mexico", "ohchr-colombia"] {
        stage.well(office, &["subscribe", "--count", "1"]);
    }
    let id = stage.objects("ohchr-mexico", &["inbox"])[0]["message_id"].as_str().unwrap().to_owned();
    let owed = || stage.objects("auditor-iachr", &["audit", "obligations"]);
    let answers = || owed().into_iter().filter(|row| row["obligation"] == "answers").count();
    assert_eq!(answers(), 3);
    stage.well("ohchr-mexico", &["publish", "alert", &real("two"), "--answers", &id, "--to", "iachr"]);
    stage.well("ohchr-colombia", &["ack", &id, "--stage", "acted", "--action", "asked-state"]);
    assert_eq!(answers(), 1);
    let missed =
        || overdue(&stage).into_iter().filter(|row| row["obligation"] == "answers").collect::<Vec<_>>();
    until("the last is missed", || missed().len() == 1);
    assert_eq!((&missed()[0]["office"], &missed()[0]["open"]), (&"ohchr-guatemala".into(), &true.into()));
    assert_eq!(missed()[0]["message_id"], *id);
    stage.amend(&["policy", "end", "answers"]);
    assert_eq!(
        stage.objects("iachr", &["policy", "list"]).iter().filter(|it| it["object"] == "obliged").count(),
        2
    );
}
