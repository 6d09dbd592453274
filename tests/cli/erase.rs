//! `erase` by the program: at the hub, at every desk that has the message, in backups and after a restore.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::stage::{Stage, objects, until};

const REASON: &str = "sent to the wrong offices";

fn publish(stage: &Stage, name: &str) -> String {
    let file = stage.alert(name);
    let to = ["publish", "alert", &file, "--to", "iachr,ohchr-mexico"];
    stage.objects("ohchr-honduras", &to)[0]["message_id"].as_str().unwrap().to_owned()
}

fn erase(stage: &Stage, id: &str) -> Value {
    stage.objects("ohchr-honduras", &["erase", id, "--reason", REASON]).remove(0)
}

/// Whether any file of a folder of the stage holds some words.
fn holds(dir: &Path, words: &str) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, words);
        }
        fs::read(&path).is_ok_and(|file| file.windows(words.len()).any(|window| window == words.as_bytes()))
    })
}

fn history(stage: &Stage, id: &str) -> Value {
    stage.objects("auditor-iachr", &["audit", "message", id]).remove(0)
}

/// The stages that an office stated, in their order.
fn stages(history: &Value, office: &str) -> Vec<String> {
    let rows = history["deliveries"].as_array().unwrap();
    let row = rows.iter().find(|row| row["office"] == office).unwrap();
    row["stages"].as_array().unwrap().iter().map(|it| it["stage"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn erased_message_goes_from_hub_and_desks_and_each_office_is_on_record_with_it() {
    let stage = Stage::set();
    let (id, other) = (publish(&stage, "to-be-erased-7d9b"), publish(&stage, "to-stay-7d9b"));
    for name in ["to-be-erased-7d9b.xml", "to-stay-7d9b.xml"] {
        fs::remove_file(stage.path(name)).unwrap();
    }
    stage.well("iachr", &["subscribe", "--count", "2"]);
    assert!(
        ["hub", "iachr", "ohchr-honduras"]
            .iter()
            .all(|home| holds(&stage.path(home), "Titular to-be-erased-7d9b"))
    );
    let ordered = erase(&stage, &id[id.len() - 8..]);
    assert_eq!(
        (ordered["object"].as_str(), ordered["outcome"].as_str()),
        (Some("ordered"), Some("accepted"))
    );
    assert_eq!(erase(&stage, &id)["index"], ordered["index"], "the second is the first");

    // Who has it is told and erases it; who has it not yet gets what is left of it.
    let mut iachr = stage.start("iachr", &["--json", "subscribe"]);
    let told = iachr.objects_until(&["notice", "erased"]);
    let notice = told.iter().find(|it| it["object"] == "notice").unwrap();
    assert_eq!((&notice["reason"], &notice["message_ids"][0]), (&REASON.into(), &id.clone().into()));
    let mut mexico = stage.start("ohchr-mexico", &["--json", "subscribe"]);
    mexico.objects_until(&["notice", "message"]);
    until("both have stated it", || {
        let told = history(&stage, &id);
        stages(&told, "iachr") == ["received", "erased"] && stages(&told, "ohchr-mexico") == ["erased"]
    });
    until("its words are nowhere", || !holds(&stage.path(""), "Titular to-be-erased-7d9b"));
    assert!(
        ["hub", "iachr", "ohchr-honduras"]
            .iter()
            .all(|home| holds(&stage.path(home), "Titular to-stay-7d9b"))
    );
    until("the other one came", || stages(&history(&stage, &other), "ohchr-mexico") == ["received"]);
    drop((iachr, mexico));

    let told = history(&stage, &id);
    assert_eq!((&told["erasure"]["reason"], &told["erasure"]["index"]), (&REASON.into(), &ordered["index"]));
    let listed = stage.objects("auditor-iachr", &["audit", "erasures"]);
    assert_eq!((listed.len(), &listed[0]["message"]["message_id"]), (1, &id.clone().into()));
    assert_eq!(stage.objects("ohchr-colombia", &["audit", "erasures"]), Vec::<Value>::new());
    // What is left says what it is, to everybody who looks.
    for home in ["iachr", "ohchr-mexico", "ohchr-honduras"] {
        assert!(stage.well(home, &["show", &id]).contains("Erased"), "{home}");
        let ran = stage.run(home, &["export", &id]);
        assert!(ran.code == 3 && ran.err.contains("is erased"), "{home}: {ran:?}");
    }
    let inbox = stage.objects("iachr", &["inbox"]);
    let erased: Vec<_> = inbox.iter().filter(|it| it["erased"] == true).collect();
    assert_eq!((erased.len(), &erased[0]["unread"]), (1, &false.into()), "there is nothing to read of it");
    assert!(!stage.well("iachr", &["inbox", "--unread"]).contains("(erased"));
}

#[test]
fn desk_that_was_away_when_another_was_told_erases_its_copy_when_it_is_back() {
    let stage = Stage::set();
    let id = publish(&stage, "away-51c7");
    fs::remove_file(stage.path("away-51c7.xml")).unwrap();
    stage.well("iachr", &["subscribe", "--count", "1"]);
    // The same desk's second home has a copy and is away; the first one is told and answers for the office.
    let copied = Command::new("cp").arg("-r").args([stage.path("iachr"), stage.path("away")]).status();
    assert!(copied.unwrap().success());
    erase(&stage, &id);
    let mut first = stage.start("iachr", &["--json", "subscribe"]);
    first.object("erased");
    until("the office has stated it", || stages(&history(&stage, &id), "iachr") == ["received", "erased"]);
    drop(first);
    assert!(holds(&stage.path("away"), "Titular away-51c7"));
    let mut away = stage.start("away", &["--json", "subscribe"]);
    assert_eq!(away.object("erased")["reason"], REASON);
    until("its words are nowhere", || !holds(&stage.path(""), "Titular away-51c7"));
}

#[test]
fn copy_in_the_outbox_of_another_home_goes_when_a_desk_of_the_same_office_gives_the_order() {
    let stage = Stage::set();
    let copied =
        Command::new("cp").arg("-r").args([stage.path("ohchr-honduras"), stage.path("other")]).status();
    assert!(copied.unwrap().success());
    let id = publish(&stage, "sent-by-the-first-88d2");
    fs::remove_file(stage.path("sent-by-the-first-88d2.xml")).unwrap();
    let ordered = stage.objects("other", &["erase", &id, "--reason", REASON]).remove(0);
    assert_eq!(ordered["outcome"], "accepted");
    assert!(holds(&stage.path("ohchr-honduras"), "Titular sent-by-the-first-88d2"));
    let mut first = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    assert_eq!(first.object("erased")["message_id"], *id);
    until("its words are nowhere", || !holds(&stage.path(""), "Titular sent-by-the-first-88d2"));
}

#[test]
fn order_that_could_not_be_handed_in_waits_and_erases_nothing_before_the_hub_has_it() {
    let mut stage = Stage::set();
    let id = publish(&stage, "waits-90aa");
    stage.kill_hub();
    let ran = stage.run("ohchr-honduras", &["erase", &id, "--reason", REASON]);
    assert!(ran.code == 4 && ran.err.contains("nothing is erased"), "{ran:?}");
    assert!(stage.well("ohchr-honduras", &["show", &id]).contains("Titular waits-90aa"));
    stage.start_hub();
    let handed_in = objects(&stage.well("ohchr-honduras", &["--json", "publish", "pending"]));
    assert_eq!((&handed_in[0]["object"], &handed_in[0]["outcome"]), (&"ordered".into(), &"accepted".into()));
    assert!(stage.well("ohchr-honduras", &["show", &id]).contains("Erased"));
    for (arguments, said) in [
        (["erase", "zzzzzz", "--reason", "x"], "no message of this home"),
        (["erase", &id, "--reason", " "], "--reason says why"),
    ] {
        let ran = stage.run("ohchr-honduras", &arguments);
        assert!(ran.code == 2 && ran.err.contains(said), "{arguments:?}: {ran:?}");
    }
    let ran = stage.run("ohchr-mexico", &["erase", &id, "--reason", "not ours"]);
    assert!(ran.code == 3 && ran.err.contains("MESSAGE_UNKNOWN"), "{ran:?}");
}

#[test]
fn next_backup_holds_no_erased_payload_and_a_hub_restored_from_an_older_one_is_told_again() {
    let mut stage = Stage::set();
    let back_up = |stage: &Stage, to: &str| {
        let to = stage.path(to);
        stage.well("hub", &["hub", "backup", to.to_str().unwrap()]);
    };
    let id = publish(&stage, "backed-up-3e1f");
    fs::remove_file(stage.path("backed-up-3e1f.xml")).unwrap();
    back_up(&stage, "older");
    back_up(&stage, "backup");
    assert!(holds(&stage.path("backup"), "Titular backed-up-3e1f"));
    erase(&stage, &id);
    back_up(&stage, "backup");
    assert!(
        !holds(&stage.path("backup"), "Titular backed-up-3e1f"),
        "what was copied before the order is erased too"
    );
    let restore = |stage: &mut Stage, from: &str| {
        stage.kill_hub();
        let (hub, lost) = (stage.path("hub"), stage.path("lost"));
        fs::rename(&hub, &lost).unwrap();
        stage.well("hub", &["hub", "restore", stage.path(from).to_str().unwrap()]);
        fs::rename(lost.join("tls"), hub.join("tls")).unwrap();
        fs::remove_dir_all(lost).unwrap();
        assert_eq!(stage.run("hub", &["hub", "verify"]).code, 0);
        stage.start_hub();
    };
    restore(&mut stage, "backup");
    assert_eq!(history(&stage, &id)["erasure"]["reason"], REASON);
    // The older one knows nothing of the order: the desk that gave it gives it again.
    restore(&mut stage, "older");
    assert!(history(&stage, &id)["erasure"].is_null() && holds(&stage.path("hub"), "Titular backed-up-3e1f"));
    let mut sender = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    assert_eq!(sender.object("ordered")["outcome"], "accepted");
    until("it is erased again", || !holds(&stage.path("hub"), "Titular backed-up-3e1f"));
    assert_eq!(history(&stage, &id)["erasure"]["reason"], REASON);
}

#[test]
fn registrars_say_how_long_payloads_are_kept() {
    let stage = Stage::set();
    let days = |stage: &Stage| {
        let told = stage.objects("ohchr-honduras", &["policy", "list"]);
        told.iter().find(|it| it["object"] == "retention").unwrap()["payload_days"].as_u64().unwrap()
    };
    assert_eq!(days(&stage), 1_095);
    stage.amend(&["policy", "retention", "--days", "30"]);
    assert_eq!(days(&stage), 30);
    let nothing = ["policy", "retention", "--days", "0", "--to", "nowhere"];
    assert_eq!(stage.run("registrar-iachr", &nothing).code, 2);
    assert_eq!(days(&stage), 30);
}
