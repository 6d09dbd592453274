//! From one office to the others and back: publish, receive, read, act, audit.

use serde_json::Value;

use super::alerts::{alert, reference};
use super::stage::{Stage, example, objects};

#[test]
fn an_alert_goes_from_file_to_audit() {
    let stage = Stage::set();
    let mut watch = stage.start("iachr", &["subscribe", "--json", "--count", "1"]);
    assert_eq!(watch.object("started")["outstanding"], 0);
    let published = &stage.objects("ohchr-honduras", &["publish", "alert", &example()])[0];
    assert_eq!((&published["object"], &published["outcome"]), (&"published".into(), &"accepted".into()));
    assert_eq!(published["recipients"].as_array().unwrap().len(), 6);
    let id = published["message_id"].as_str().unwrap();

    let message = watch.object("message");
    assert_eq!((&message["message_id"], &message["index"]), (&published["message_id"], &published["index"]));
    assert_eq!(message["headline"], "Amenaza de muerte contra una defensora del territorio");
    assert_eq!((&message["status"], &message["priority"]), (&"Exercise".into(), &"urgent".into()));
    watch.object("acknowledged");
    assert_eq!(watch.end().code(), Some(0));

    let card = stage.well("iachr", &["show", &id[28..]]);
    assert!(card.contains("*** EXERCISE ***") && card.contains("--stage read"), "{card}");
    let inbox = |arguments: &[&str]| stage.objects("iachr", &[&["inbox"], arguments].concat());
    assert_eq!(inbox(&["--unread"]).len(), 1, "to show is not to read");
    let stated = &stage.objects("iachr", &["ack", &id[28..], "--stage", "read"])[0];
    assert_eq!((&stated["outcome"], &stated["repeated"]), (&"accepted".into(), &false.into()));
    let again = &stage.objects("iachr", &["ack", &id[..23], "--stage", "read"])[0];
    assert_eq!((&again["repeated"], &again["index"]), (&true.into(), &stated["index"]));
    assert!(inbox(&["--unread"]).is_empty());
    stage.well("iachr", &["ack", id, "--stage", "acted", "--action", "contacted-person"]);

    let history = &stage.objects("auditor-ohchr", &["audit", "message", id])[0];
    let delivery = &history["deliveries"][0];
    let stages: Vec<_> =
        delivery["stages"].as_array().unwrap().iter().map(|it| it["stage"].clone()).collect();
    assert_eq!(
        (&delivery["office"], stages),
        (&"iachr".into(), vec!["received".into(), "read".into(), "acted".into()])
    );
    assert_eq!(history["receipts"].as_array().unwrap().len(), 4);
    let outstanding = stage.objects("auditor-iachr", &["audit", "outstanding"]);
    assert_eq!(outstanding.len(), 5);
    let receipts = stage.objects("auditor-iachr", &["audit", "receipts", "--office", "iachr"]);
    assert_eq!(receipts.len(), 4);
    let entries = stage.objects("auditor-iachr", &["audit", "entries", "--limit", "2"]);
    let kinds: Vec<_> = entries.iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["directory", "publish"]);
    let table = stage.well("auditor-iachr", &["audit", "deliveries"]);
    let wide: Vec<_> = table.lines().filter(|line| line.trim_end().chars().count() > 80).collect();
    assert!(table.contains(id) && wide[..] == [table.lines().last().unwrap()], "{table}");
    assert!(
        table.contains("EXERCISE") && table.contains("Exercises, tests and drafts: 6 deliveries"),
        "{table}"
    );
}

#[test]
fn what_is_exported_is_what_was_published() {
    let stage = Stage::set();
    let published = &stage.objects("ohchr-honduras", &["publish", "alert", &example()])[0];
    let id = published["message_id"].as_str().unwrap();
    stage.well("iachr", &["subscribe", "--count", "1"]);
    let sent = stage.well("ohchr-honduras", &["export", id]);
    let file = stage.path("exported.xml");
    stage.well("iachr", &["export", id, "--output", file.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(file).unwrap(), sent);
    let meaning = |xml: &[u8]| resguardo::cap::import(xml).unwrap().alert;
    assert_eq!(meaning(sent.as_bytes()), meaning(&std::fs::read(example()).unwrap()));
}

#[test]
fn an_export_replaces_nothing_but_a_plain_file() {
    let stage = Stage::set();
    let published = &stage.objects("ohchr-honduras", &["publish", "alert", &example()])[0];
    let id = published["message_id"].as_str().unwrap();
    let (file, link) = (stage.file("exported", "old"), stage.path("link"));
    std::os::unix::fs::symlink("/dev/null", &link).unwrap();
    for (output, code) in
        [(file.as_str(), 0), (link.to_str().unwrap(), 2), (stage.path("hub").to_str().unwrap(), 2)]
    {
        let ran = stage.run("ohchr-honduras", &["export", id, "--output", output]);
        assert_eq!(ran.code, code, "{output}: {ran:?}");
    }
    assert!(link.is_symlink());
}

#[test]
fn an_update_belongs_to_its_alert_and_unknown_references_are_left_out_aloud() {
    let stage = Stage::set();
    let first =
        &stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one"), "--to", "iachr"])[0];
    let references = format!("{} {}", reference("one"), reference("elsewhere"));
    let expires = "<expires>2096-03-03T09:14:00-06:00</expires><headline>";
    let update = stage.file("two", &alert("two", &references).replace("<headline>", expires));
    let ran = stage.run("ohchr-honduras", &["--json", "publish", "alert", &update, "--to", "iachr"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told = objects(&ran.out);
    assert!(told[0]["message"].as_str().unwrap().contains("elsewhere"), "{told:?}");
    stage.well("iachr", &["subscribe", "--count", "2"]);
    let inbox = stage.objects("iachr", &["inbox"]);
    assert_eq!(inbox[1]["references"][0], first["message_id"]);
    assert_eq!(inbox[1]["references"].as_array().unwrap().len(), 1);
    assert_eq!(inbox[1]["thread_id"], inbox[0]["thread_id"]);
    assert_eq!((&inbox[0]["msg_type"], &inbox[0]["expires_at"]), (&"Alert".into(), &Value::Null));
    assert_eq!(inbox[1]["msg_type"], "Update");
    assert!(inbox[1]["expires_at"].as_str().unwrap().starts_with("2096-03-03T15:14:00"), "{}", inbox[1]);
    let id = inbox[1]["message_id"].as_str().unwrap();
    let shown = stage.run("iachr", &["show", id]);
    assert!(shown.out.contains("Updates     | ") && shown.err.contains("elsewhere"), "{shown:?}");
}

#[test]
fn anothers_update_is_shown_and_said_to_change_nothing() {
    let stage = Stage::set();
    stage.well("ohchr-honduras", &["publish", "alert", &stage.alert("one"), "--to", "iachr"]);
    let update = stage.file("two", &alert("two", &reference("one")));
    stage.well("ohchr-mexico", &["publish", "alert", &update, "--to", "iachr"]);
    stage.well("iachr", &["subscribe", "--count", "2"]);
    let id = stage.objects("iachr", &["inbox"])[1]["message_id"].as_str().unwrap().to_owned();
    let shown = stage.run("iachr", &["show", &id]);
    assert!(shown.code == 0 && !shown.out.contains("Updates     |"), "{shown:?}");
    assert!(shown.err.contains("changes no other office's alert"), "{shown:?}");
}

#[test]
fn an_update_counts_from_another_home_of_its_office() {
    let stage = Stage::set();
    stage.well("ohchr-honduras", &["publish", "alert", &stage.alert("one"), "--to", "iachr"]);
    // A home that did not send the alert knows no id of it for the envelope.
    std::fs::rename(stage.path("ohchr-honduras/outbox"), stage.path("outbox-of-another-home")).unwrap();
    let update = stage.file("two", &alert("two", &reference("one")));
    stage.well("ohchr-honduras", &["publish", "alert", &update, "--to", "iachr"]);
    stage.well("iachr", &["subscribe", "--count", "2"]);
    let inbox = stage.objects("iachr", &["inbox"]);
    assert!(inbox[1]["references"].as_array().unwrap().is_empty());
    let shown = stage.run("iachr", &["show", inbox[1]["message_id"].as_str().unwrap()]);
    let updates = format!("Updates     | {}", inbox[0]["message_id"].as_str().unwrap());
    assert!(shown.out.contains(&updates) && !shown.err.contains("changes no"), "{shown:?}");
}

#[test]
fn a_sender_is_told_of_a_refusal_there_and_hostile_words_cannot_act_on_its_terminal() {
    let stage = Stage::set();
    let published =
        &stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one"), "--to", "iachr"])[0];
    stage.well("iachr", &["subscribe", "--count", "1"]);
    let id = published["message_id"].as_str().unwrap();
    let reason = "no\u{1b}[2J\u{202e}\nRecorded read";
    stage.well("iachr", &["ack", id, "--stage", "declined", "--reason", reason]);
    let mut watch = stage.start("ohchr-honduras", &["subscribe"]);
    let line = watch.line();
    assert!(line.starts_with("DECLINED"), "{line}");
    assert!(line.contains("no\\u{1b}[2J\\u{202e}\\nRecorded read"), "{line}");
    watch.signal("INT");
    assert_eq!(watch.end().code(), Some(0));
    let table = stage.well("ohchr-honduras", &["audit", "message", id]);
    assert!(!table.contains('\u{1b}') && !table.contains('\u{202e}'), "{table:?}");
    assert_eq!(stage.objects("ohchr-honduras", &["inbox"])[0]["reason"], reason);
}

#[test]
fn waiting_tells_each_stage_and_ends_when_all_have_it() {
    let stage = Stage::set();
    let arguments =
        ["--json", "publish", "alert", &example(), "--to", "iachr,ohchr-mexico", "--wait", "read"];
    let mut publish = stage.start("ohchr-honduras", &arguments);
    let id = publish.object("published")["message_id"].as_str().unwrap().to_owned();
    for home in ["iachr", "ohchr-mexico"] {
        stage.well(home, &["subscribe", "--count", "1"]);
        let stages = [publish.object("stage")["stage"].clone()];
        assert_eq!(stages, ["received"]);
        stage.well(home, &["ack", &id, "--stage", "read"]);
        let read = publish.object("stage");
        assert_eq!((&read["stage"], &read["office"]), (&"read".into(), &home.into()));
    }
    assert_eq!(publish.end().code(), Some(0));
}
