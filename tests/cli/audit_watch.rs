//! `audit … --watch`: what an auditor sees as it happens, also across a hub that dies, and until a right ends.

use std::fs;

use super::stage::{Running, Stage};

const AUDITOR: &str = "auditor-iachr";

fn watching(stage: &Stage, arguments: &[&str]) -> Running {
    let mut watch = stage.start(AUDITOR, &[&["--json", "audit"], arguments, &["--watch"]].concat());
    watch.object("watching");
    watch
}

#[test]
fn rows_come_live_and_after_the_hubs_death_from_where_they_stopped_until_ctrl_c() {
    let mut stage = Stage::set();
    let mut entries = watching(&stage, &["entries"]);
    let mut deliveries = watching(&stage, &["deliveries", "--office", "iachr"]);
    let publish = |stage: &Stage, name: &str| {
        let path = stage.alert(name);
        stage.objects("ohchr-honduras", &["publish", "alert", &path, "--to", "iachr"]).remove(0)
    };
    let first = publish(&stage, "one");
    assert_eq!(entries.object("entry")["index"], first["index"]);
    assert_eq!(deliveries.object("delivery")["stages"], serde_json::json!([]));
    stage.kill_hub();
    entries.object("lost");
    deliveries.object("lost");
    stage.start_hub();
    let second = publish(&stage, "two");
    assert_eq!(entries.object("entry")["index"], second["index"], "neither again nor passed over");
    stage.well("iachr", &["subscribe", "--count", "2"]);
    assert_eq!(deliveries.object("delivery")["message_id"], second["message_id"]);
    let received = deliveries.object("delivery");
    assert_eq!(received["stages"][0]["stage"], "received");
    for watch in [entries, deliveries] {
        watch.signal("INT");
        assert_eq!(watch.end().code(), Some(0));
    }
}

#[test]
fn people_see_lines_of_one_table_and_one_message_with_its_receipts_as_they_come() {
    let stage = Stage::set();
    let id = stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one"), "--to", "iachr"])[0]
        ["message_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut history = stage.start(AUDITOR, &["audit", "message", &id, "--watch"]);
    while !history.line().contains("0 receipts") {}
    let arguments = ["audit", "entries", "--watch", "--from", "1h", "--office", "iachr", "--limit", "2"];
    let mut entries = stage.start(AUDITOR, &arguments);
    stage.well("iachr", &["subscribe", "--count", "1"]);
    assert!(entries.line().contains("Recorded"), "the header, once");
    assert!(entries.line().contains("received of"));
    stage.well("iachr", &["ack", &id, "--stage", "read"]);
    let line = entries.line();
    assert!(line.contains("read of"), "{line:?}");
    assert_eq!(entries.end().code(), Some(0), "the limit ends it");
    assert!(history.line().contains("Messages"), "the receipts' header");
    assert!(history.line().contains("received"));
    assert!(history.line().contains("read"));
}

#[test]
fn a_watch_ends_at_once_with_its_auditors_right() {
    let stage = Stage::set();
    let mut watch = watching(&stage, &["receipts"]);
    stage.well("ca", &["ca", "revoke", "urn:resguardo:auditor:iachr", "--reason", "left"]);
    fs::copy(stage.path("ca/crl.pem"), stage.path("hub/tls/crl.pem")).unwrap();
    stage.signal_hub("HUP");
    watch.object("lost");
    let told = watch.object("error");
    assert!(told["message"].as_str().unwrap().contains("it was revoked"), "{told}");
    assert_eq!(watch.end().code(), Some(3));
}

#[test]
fn a_beginning_is_an_index_a_time_or_how_long_ago() {
    let stage = Stage::set();
    let published = &stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one")])[0];
    let accepted = published["accepted_at"].as_str().unwrap();
    let index = published["index"].to_string();
    let entries = |from: &str| stage.objects(AUDITOR, &["audit", "entries", "--from", from]);
    assert_eq!(entries(&index).len(), 1);
    assert_eq!(entries(accepted).len(), 1);
    assert_eq!(entries("1h"), entries("0"));
    assert!(entries("2999-01-01").is_empty());
    let wrong = stage.run(AUDITOR, &["audit", "entries", "--from", "yesterday"]);
    assert!(wrong.code == 2 && wrong.err.contains("how long ago"), "{wrong:?}");
    stage.well("iachr", &["subscribe", "--count", "1"]);
    for from in [accepted, "1h", &index] {
        // A home that lost its messages has them again.
        fs::remove_dir_all(stage.path("iachr/inbox")).unwrap();
        let mut again = stage.start("iachr", &["--json", "subscribe", "--replay-from", from]);
        assert_eq!(again.object("message")["replayed"], true);
    }
}
