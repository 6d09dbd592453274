//! `erase` by the program: at the hub, at every desk that has the message, in backups and after a restore.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use resguardo::desk::find;
use resguardo::desk::home::Home;
use resguardo::desk::inbox::InboxWriter;
use resguardo::desk::members::Members;
use resguardo::desk::outbox::Outbox;
use resguardo::host::disk::OsDisk;
use resguardo::wire::proto::{Delivery, Message, delivery};
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

/// Bytes that stand in the sealed payload of a message of a desk, and nowhere else.
fn sealed(stage: &Stage, home: &str, id: &str) -> Vec<u8> {
    let home = Home::open(Arc::new(OsDisk), &stage.path(home)).unwrap();
    let id = find::parse_message_id(id).unwrap();
    Outbox::open(&home).unwrap().read_message(id).unwrap().payload[60..260].to_vec()
}

/// Whether any file of a folder of the stage holds some bytes.
fn holds(dir: &Path, words: &[u8]) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, words);
        }
        fs::read(&path).is_ok_and(|file| file.windows(words.len()).any(|window| window == words))
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
    let (payload, to_stay) =
        (sealed(&stage, "ohchr-honduras", &id), sealed(&stage, "ohchr-honduras", &other));
    assert!(["hub", "iachr", "ohchr-honduras"].iter().all(|home| holds(&stage.path(home), &payload)));
    assert!(!holds(&stage.path(""), b"Titular to-"), "nothing lies in clear");
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
    let came = mexico.objects_until(&["notice", "message"]);
    let left = came.iter().find(|it| it["message_id"] == *id).unwrap();
    assert_eq!((&left["erased_unordered"], &left["erased_reason"]), (&false.into(), &REASON.into()));
    assert!(came.iter().all(|it| it["object"] != "warning"), "the order is seen to hold: {came:?}");
    until("both have stated it", || {
        let told = history(&stage, &id);
        stages(&told, "iachr") == ["received", "erased"] && stages(&told, "ohchr-mexico") == ["erased"]
    });
    until("its words are nowhere", || !holds(&stage.path(""), &payload));
    assert!(["hub", "iachr", "ohchr-honduras"].iter().all(|home| holds(&stage.path(home), &to_stay)));
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
fn what_the_hub_alone_says_to_be_erased_is_told_loudly_and_its_command_runs_when_it_comes() {
    let stage = Stage::set();
    publish(&stage, "before-it-61f0");
    stage.well("iachr", &["subscribe", "--count", "1"]);
    let id = publish(&stage, "hidden-61f0");
    // A hub that lies, in one frame.
    let open = |name: &str| Home::open(Arc::new(OsDisk), &stage.path(name)).unwrap();
    let sent = Outbox::open(&open("ohchr-honduras")).unwrap();
    let sent = sent.read_message(find::parse_message_id(&id).unwrap()).unwrap();
    let home = open("iachr");
    let mut writer = InboxWriter::open(&home, None).unwrap();
    writer.follow(Arc::new(Members::copied(&home).unwrap().unwrap().policy().clone()));
    let lie = Message { envelope: sent.envelope_bytes, erased: true, ..Message::default() };
    let now = sent.envelope.sent;
    let content = Some(delivery::Content::Message(lie));
    let lie = Delivery { index: 7_777, accepted_unix_us: now.0, content };
    writer.keep(vec![lie], now, false).unwrap();
    drop(writer);
    let told = |arguments: &[&str]| {
        let ran = stage.run("iachr", arguments);
        (ran.code == 0, ran.out + &ran.err)
    };
    for arguments in [&["inbox"][..], &["inbox", "--unread"], &["show", &id]] {
        let (well, said) = told(arguments);
        assert!(well && said.contains("shows no order: ask its sender"), "{arguments:?}: {said}");
    }
    let inbox = stage.objects("iachr", &["inbox"]);
    let hidden = inbox.iter().find(|it| it["message_id"] == *id).unwrap();
    assert_eq!([&hidden["erased"], &hidden["erased_unordered"], &hidden["unread"]], [true; 3]);
    assert!(inbox.iter().any(|it| it["object"] == "warning"), "{inbox:?}");
    let mut watch = stage.start("iachr", &["--json", "subscribe", "--exec", "true"]);
    assert_eq!(watch.object("message")["erased_unordered"], false);
    assert_eq!((&watch.object("command")["message_id"]), &id);
    drop(watch);
    assert!(stage.well("iachr", &["show", &id]).contains("Titular hidden-61f0"));
    assert!(!told(&["inbox"]).1.contains("shows no order"));
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
    let payload = sealed(&stage, "ohchr-honduras", &id);
    erase(&stage, &id);
    let mut first = stage.start("iachr", &["--json", "subscribe"]);
    first.object("erased");
    until("the office has stated it", || stages(&history(&stage, &id), "iachr") == ["received", "erased"]);
    drop(first);
    assert!(holds(&stage.path("away"), &payload));
    let mut away = stage.start("away", &["--json", "subscribe"]);
    assert_eq!(away.object("erased")["reason"], REASON);
    until("its bytes are nowhere", || !holds(&stage.path(""), &payload));
}

#[test]
fn copy_in_the_outbox_of_another_home_goes_when_a_desk_of_the_same_office_gives_the_order() {
    let stage = Stage::set();
    let copied =
        Command::new("cp").arg("-r").args([stage.path("ohchr-honduras"), stage.path("other")]).status();
    assert!(copied.unwrap().success());
    let id = publish(&stage, "sent-by-the-first-88d2");
    fs::remove_file(stage.path("sent-by-the-first-88d2.xml")).unwrap();
    let payload = sealed(&stage, "ohchr-honduras", &id);
    let ordered = stage.objects("other", &["erase", &id, "--reason", REASON]).remove(0);
    assert_eq!(ordered["outcome"], "accepted");
    assert!(holds(&stage.path("ohchr-honduras"), &payload));
    let mut first = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    assert_eq!(first.object("erased")["message_id"], *id);
    until("its bytes are nowhere", || !holds(&stage.path(""), &payload));
}

#[test]
fn a_registrars_order_is_handed_in_by_any_desk_and_carried_out_by_all_who_have_the_message() {
    let stage = Stage::set();
    let id = publish(&stage, "by-a-registrar-4c11");
    fs::remove_file(stage.path("by-a-registrar-4c11.xml")).unwrap();
    stage.well("iachr", &["subscribe", "--count", "1"]);
    let payload = sealed(&stage, "ohchr-honduras", &id);
    let (order, other) = (stage.path("order"), stage.path("other-order"));
    let write = |home: &str, sender: &str, to: &Path| {
        let to = to.to_str().unwrap();
        let words = ["registrar", "erase", &id, "--sent-by", sender, "--reason", REASON, "--to", to];
        stage.run(home, &words)
    };
    assert_eq!(write("registrar-ohchr", "ohchr-honduras", &order).code, 0);
    let again = write("registrar-ohchr", "ohchr-honduras", &order);
    assert!(again.code == 2 && again.err.contains("is there already"), "{again:?}");
    assert_eq!(write("registrar-iachr", "ohchr-mexico", &other).code, 0);
    let hand_in = |home: &str, order: &Path| stage.run(home, &["erase", "--order", order.to_str().unwrap()]);
    let elsewhere = hand_in("ohchr-colombia", &other);
    assert!(elsewhere.code == 3 && elsewhere.err.contains("MESSAGE_UNKNOWN"), "{elsewhere:?}");
    let mut changed = fs::read(&order).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(stage.path("changed"), changed).unwrap();
    let forged = hand_in("ohchr-colombia", &stage.path("changed"));
    assert!(forged.code == 3 && forged.err.contains("SIGNATURE_INVALID"), "{forged:?}");
    let none = hand_in("ohchr-colombia", &stage.path("hub/hub.toml"));
    assert!(none.code == 2 && none.err.contains("no order of `registrar erase`"), "{none:?}");

    assert_eq!(hand_in("ohchr-colombia", &order).code, 0);
    let mut iachr = stage.start("iachr", &["--json", "subscribe"]);
    let told = iachr.objects_until(&["notice", "erased"]);
    assert_eq!(told.iter().find(|it| it["object"] == "notice").unwrap()["erased_by"], "registrar ohchr");
    let mut sender = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    assert_eq!(sender.object("erased")["message_id"], *id);
    until("its bytes are nowhere", || !holds(&stage.path(""), &payload));
    assert!(stage.well("auditor-iachr", &["audit", "message", &id]).contains("by order of registrar ohchr"));
    let listed = stage.objects("auditor-iachr", &["audit", "erasures"]);
    assert_eq!(listed[0]["ordered_by"], "registrar ohchr");
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
    let payload = sealed(&stage, "ohchr-honduras", &id);
    back_up(&stage, "older");
    back_up(&stage, "backup");
    assert!(holds(&stage.path("backup"), &payload));
    erase(&stage, &id);
    back_up(&stage, "backup");
    assert!(!holds(&stage.path("backup"), &payload), "what was copied before the order is erased too");
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
    assert!(history(&stage, &id)["erasure"].is_null() && holds(&stage.path("hub"), &payload));
    let mut sender = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    assert_eq!(sender.object("ordered")["outcome"], "accepted");
    until("it is erased again", || !holds(&stage.path("hub"), &payload));
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
