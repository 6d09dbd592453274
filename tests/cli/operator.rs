//! What an operator sees of a running hub.

use std::fs;

use serde_json::Value;

use super::alerts;
use super::stage::{Stage, until};

const OPERATOR: &str = "operator-dev";

/// How the hub is, by its operator.
fn status(stage: &Stage) -> Value {
    stage.objects(OPERATOR, &["hub", "status"]).remove(0)
}

fn office<'a>(status: &'a Value, name: &str) -> &'a Value {
    let offices = status["offices"].as_array().unwrap();
    offices.iter().find(|office| office["office"] == name).unwrap()
}

fn alarms(status: &Value) -> Vec<&str> {
    status["alarms"].as_array().unwrap().iter().map(|alarm| alarm["alarm"].as_str().unwrap()).collect()
}

/// Publishes an urgent alert from Honduras to headquarters; gives its id.
fn publish(stage: &Stage, identifier: &str, status: &str) -> String {
    let text = alerts::alert(identifier, "").replace("Exercise", status);
    let path = stage.file(identifier, &text);
    let published = stage.objects("ohchr-honduras", &["publish", "alert", &path, "--to", "iachr"]);
    published[0]["message_id"].as_str().unwrap().to_owned()
}

#[test]
fn status_counts_what_is_real_apart_and_names_the_oldest_urgent_message_until_it_is_read() {
    let stage = Stage::set();
    let fresh = status(&stage);
    assert_eq!((&fresh["oldest_unread_urgent"], alarms(&fresh)), (&Value::Null, vec![]));
    assert_eq!(fresh["connected"][0]["identity"], "urn:resguardo:operator:dev");
    assert!(fresh["entries"].as_u64().unwrap() > 0 && fresh["days_left"].as_u64().unwrap() > 300);
    publish(&stage, "drill", "Exercise");
    let first = publish(&stage, "first", "Actual");
    publish(&stage, "second", "Actual");
    let open = status(&stage);
    let iachr = office(&open, "iachr");
    assert_eq!((&iachr["outstanding_urgent"], &iachr["outstanding_drills"]), (&2.into(), &1.into()));
    assert_eq!(
        (&iachr["unread_urgent"], &open["oldest_unread_urgent"]["office"]),
        (&2.into(), &"iachr".into())
    );
    assert_eq!(open["oldest_unread_urgent"]["message_id"], *first, "the exercise is older");
    assert_eq!(open["entries"].as_u64().unwrap(), fresh["entries"].as_u64().unwrap() + 3);

    stage.well("iachr", &["subscribe", "--count", "3"]);
    let received = status(&stage);
    let iachr = office(&received, "iachr");
    assert_eq!((&iachr["outstanding_urgent"], &iachr["outstanding_drills"]), (&0.into(), &0.into()));
    assert_eq!(iachr["unread_urgent"], 2, "what lies in an inbox has not been read");

    stage.well("iachr", &["ack", &first, "--stage", "read"]);
    let read = status(&stage);
    assert_eq!(office(&read, "iachr")["unread_urgent"], 1);
    assert_ne!(read["oldest_unread_urgent"]["message_id"], *first);
    let table = stage.well(OPERATOR, &["hub", "status"]);
    assert!(table.contains("no alarm is in force") && table.contains("at iachr for"), "{table}");
}

#[test]
fn only_an_operator_is_told_how_the_hub_is() {
    let stage = Stage::set();
    for home in ["iachr", "auditor-iachr"] {
        let ran = stage.run(home, &["hub", "status"]);
        assert!(ran.code == 3 && ran.err.contains("ROLE_NOT_ALLOWED"), "{home}: {ran:?}");
    }
}

#[test]
fn disk_at_its_reserve_refuses_publishes_alone_raises_an_alarm_and_is_over_when_there_is_room() {
    let stage = Stage::set();
    let config = fs::read_to_string(stage.path("hub/hub.toml")).unwrap();
    let id = publish(&stage, "before", "Actual");
    let limits = format!("{config}[limits]\ndisk_reserve_bytes = {}\n", 1_u64 << 50);
    fs::write(stage.path("hub/hub.toml"), limits).unwrap();
    until("the alarm is raised", || alarms(&status(&stage)) == ["disk-low"]);
    // Reading and receipts go on.
    stage.well("iachr", &["subscribe", "--count", "1"]);
    stage.well("iachr", &["ack", &id, "--stage", "read"]);
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries"]);
    assert_eq!(rows[0]["stages"].as_array().unwrap().len(), 2, "{rows:?}");
    let refused = stage.run("ohchr-honduras", &["publish", "alert", &stage.alert("late"), "--to", "iachr"]);
    assert!(refused.code == 4 && refused.err.contains("DISK_RESERVE"), "{refused:?}");
    let shown = stage.well(OPERATOR, &["hub", "status"]);
    assert!(shown.contains("ALARM disk-low") && shown.contains("publishing is refused"), "{shown}");

    fs::write(stage.path("hub/hub.toml"), config).unwrap();
    until("the alarm is over", || alarms(&status(&stage)).is_empty());
    stage.well("ohchr-honduras", &["publish", "pending"]);
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries"]);
    assert_eq!(rows.len(), 2, "what waited in the outbox is there: {rows:?}");
}

#[test]
fn files_that_cannot_be_used_and_a_stale_list_are_alarms_until_they_are_mended() {
    let stage = Stage::set();
    let config = fs::read_to_string(stage.path("hub/hub.toml")).unwrap();
    fs::write(stage.path("hub/hub.toml"), format!("{config}[limits]\npayload = 9\n")).unwrap();
    fs::write(stage.path("hub/tls/crl.pem"), "no list").unwrap();
    until("both are alarms", || {
        alarms(&status(&stage)) == ["certificates-unusable", "configuration-unusable"]
    });
    fs::write(stage.path("hub/hub.toml"), &config).unwrap();
    fs::remove_file(stage.path("hub/tls/crl.pem")).unwrap();
    until("they are over", || alarms(&status(&stage)).is_empty());
    let log = fs::read_to_string(stage.path("hub.log")).unwrap();
    assert_eq!(log.matches("the alarm is over").count(), 2, "the log says the same: {log}");
}

#[test]
fn certificate_that_ends_soon_is_an_alarm_for_the_operator_and_louder_for_its_bearer() {
    let mut stage = Stage::without_hub();
    for (days, alarm, words) in [("20", false, "in 19 days"), ("6", true, "IN 5 DAYS")] {
        for (home, identity) in [("hub", "urn:resguardo:hub:dev"), (OPERATOR, "urn:resguardo:operator:dev")] {
            let asked = stage.objects(home, &["office", "request"]).remove(0);
            let asked = asked["request"].as_str().unwrap();
            let mut sign = vec!["ca", "sign", asked, "--as", identity, "--days", days];
            if home == "hub" {
                sign.extend(["--address", "localhost"]);
            }
            let signed = stage.objects("ca", &sign).remove(0);
            stage.well(home, &["office", "accept", signed["bundle"].as_str().unwrap()]);
        }
        stage.start_hub();
        let told = stage.run(OPERATOR, &["--json", "hub", "status"]);
        assert!(told.code == 0 && told.err.contains(words), "{told:?}");
        let told: Value = serde_json::from_str(told.out.trim()).unwrap();
        let expected = if alarm { vec!["certificate-ends"] } else { vec![] };
        assert_eq!(
            (alarms(&told), told["days_left"].as_u64()),
            (expected, days.parse::<u64>().ok().map(|it| it - 1))
        );
        let log = fs::read_to_string(stage.path("hub.log")).unwrap();
        assert!(log.contains(&format!("ends in {} days", days.parse::<u64>().unwrap() - 1)), "{log}");
        stage.kill_hub();
    }
}

#[test]
fn one_id_leads_through_the_log_and_neither_payload_nor_key_is_ever_in_it() {
    let mut stage = Stage::without_hub();
    stage.logs = (vec!["--log", "json"], "debug");
    stage.start_hub();
    let id = publish(&stage, "secreto", "Actual");
    stage.well("iachr", &["subscribe", "--count", "1"]);
    stage
        .well("iachr", &["ack", &id, "--stage", "acted", "--action", "none", "--reason", "razones-del-caso"]);
    let log = fs::read_to_string(stage.path("hub.log")).unwrap();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect();
    let of_message: Vec<_> = lines.iter().filter(|line| line["message_id"] == *id).collect();
    let told: Vec<_> = of_message.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(told, ["let in", "accepted", "sent down", "stated", "stated"], "{of_message:?}");
    assert_eq!((&of_message[2]["office"], &of_message[4]["stage"]), (&"iachr".into(), &"acted".into()));
    for secret in ["Titular", "Amenaza", "secreto", "razones-del-caso", "PRIVATE KEY", "BEGIN CERTIFICATE"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn service_manager_is_told_when_the_hub_is_ready() {
    let mut stage = Stage::without_hub();
    let path = stage.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_mins(1))).unwrap();
    stage.notify = Some(path);
    stage.start_hub();
    let mut told = [0; 64];
    let length = socket.recv(&mut told).unwrap();
    assert_eq!(&told[..length], b"READY=1");
}

#[test]
fn no_process_leaves_its_memory_behind_when_it_falls() {
    let stage = Stage::set();
    let mut watch = stage.start("iachr", &["--json", "subscribe"]);
    watch.object("started");
    for process in [stage.hub_id(), watch.id()] {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let numbers: Vec<_> = core.split_whitespace().filter(|word| *word == "0").collect();
        assert_eq!(numbers.len(), 2, "{core}");
    }
}
