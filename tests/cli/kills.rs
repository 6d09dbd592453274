//! Kills of the offices' programs: what was acknowledged is kept, what was kept is handed in, each once.

use std::collections::BTreeSet;
use std::time::Duration;

use resguardo::host::random::SeededRandom;
use serde_json::Value;

use super::stage::{Stage, objects, until};

/// Kills of each program; more with `RESGUARDO_KILLS`.
fn kills() -> u64 {
    std::env::var("RESGUARDO_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

fn random() -> SeededRandom {
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    SeededRandom::new(seed)
}

#[test]
fn what_a_killed_watch_acknowledged_is_in_its_inbox_and_everything_comes_once() {
    let stage = Stage::set();
    let random = random();
    let mut expected = BTreeSet::new();
    for round in 0..kills() {
        let watch = stage.start("iachr", &["--json", "subscribe"]);
        for part in 0..3 {
            let file = stage.alert(&format!("alert-{round}-{part}"));
            let published =
                &stage.objects("ohchr-honduras", &["publish", "alert", &file, "--to", "iachr"])[0];
            expected.insert(published["message_id"].as_str().unwrap().to_owned());
        }
        std::thread::sleep(Duration::from_millis(random.below(60)));
        watch.kill();
        let acknowledged = received(&stage);
        let kept = kept(&stage);
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "acknowledged and not kept: {lost:?}");
    }
    let watch = stage.start("iachr", &["--json", "subscribe"]);
    until("all came", || received(&stage) == expected);
    drop(watch);
    assert_eq!(kept(&stage), expected);
    assert_eq!(stage.names("iachr/inbox", ".kept").len(), expected.len());
    assert_eq!(stage.run("iachr", &["inbox"]).code, 0);
}

/// What is in the inbox; after a quarter of an hour it also has notices, of what nobody has read.
pub(crate) fn kept(stage: &Stage) -> BTreeSet<String> {
    let mut inbox = stage.objects("iachr", &["inbox", "--limit", "2000"]);
    inbox.retain(|it| it["object"] != "notice");
    let id = |it: &Value| it["message_id"].as_str().unwrap_or_else(|| panic!("no message: {it}")).to_owned();
    inbox.iter().map(id).collect()
}

/// What the hub calls received.
pub(crate) fn received(stage: &Stage) -> BTreeSet<String> {
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries", "--office", "iachr"]);
    let received = rows.iter().filter(|row| !row["stages"].as_array().unwrap().is_empty());
    received.map(|row| row["message_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_a_killed_publisher_kept_is_in_the_audit_once_and_what_it_did_not_keep_is_not() {
    let stage = Stage::set();
    let random = random();
    for round in 0..kills() {
        let file = stage.alert(&format!("alert-{round}"));
        let publish = stage.start("ohchr-honduras", &["--json", "publish", "alert", &file, "--to", "iachr"]);
        std::thread::sleep(Duration::from_millis(random.below(120)));
        publish.kill();
    }
    let ran = stage.run("ohchr-honduras", &["--json", "publish", "pending"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(objects(&ran.out).iter().all(|it| it["outcome"] == "accepted"), "{ran:?}");
    let names = stage.names("ohchr-honduras/outbox", ".message.accepted");
    let kept: Vec<_> = names.iter().map(|name| name.split('.').next().unwrap().to_owned()).collect();
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries"]);
    let mut audited: Vec<_> = rows.iter().map(|row| row["message_id"].as_str().unwrap().to_owned()).collect();
    audited.sort();
    assert_eq!(audited, kept);
    assert!(stage.names("ohchr-honduras/outbox", ".pending").is_empty());
}
