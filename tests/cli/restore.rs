//! Backups of a hub at work, and hubs restored from them.

use std::fs;

use serde_json::Value;

use super::packets::source;
use super::stage::{Ran, Stage, objects, until};

/// Backs the hub up into `backup`, and gives what is told of it.
fn back_up(stage: &Stage) -> Value {
    let to = stage.path("backup");
    stage.objects("hub", &["hub", "backup", to.to_str().unwrap()]).pop().unwrap()
}

/// Loses the hub with its home, and lays the backup in its place; the keys come from elsewhere.
fn lose_and_restore(stage: &mut Stage) -> Value {
    stage.kill_hub();
    fs::rename(stage.path("hub"), stage.path("lost")).unwrap();
    let restored = restore(stage, "hub");
    assert_eq!(restored.code, 0, "{restored:?}");
    fs::rename(stage.path("lost/tls"), stage.path("hub/tls")).unwrap();
    fs::remove_dir_all(stage.path("lost")).unwrap();
    objects(&restored.out).pop().unwrap()
}

fn restore(stage: &Stage, home: &str) -> Ran {
    let from = stage.path("backup");
    stage.run(home, &["--json", "hub", "restore", from.to_str().unwrap()])
}

fn publish(stage: &Stage, name: &str) -> String {
    let file = stage.alert(&name.replace([' ', ','], "-"));
    let published = stage.objects("ohchr-honduras", &["publish", "alert", &file, "--to", "iachr"]);
    published[0]["message_id"].as_str().unwrap().to_owned()
}

fn entries(stage: &Stage) -> Vec<Value> {
    stage.objects("auditor-iachr", &["audit", "entries"])
}

#[test]
fn backup_of_a_hub_at_work_is_restored_elsewhere_and_an_auditor_sees_where_it_ends() {
    let mut stage = Stage::set();
    publish(&stage, "first");
    let first = back_up(&stage);
    publish(&stage, "second");
    stage.well("iachr", &["subscribe", "--count", "2"]);
    let second = back_up(&stage);
    let (before, after) = (first["entries"].as_u64().unwrap(), second["entries"].as_u64().unwrap());
    assert_eq!(second["new_entries"].as_u64().unwrap(), after - before, "only what is new is copied");
    assert!(second["copied_bytes"].as_u64().unwrap() < first["copied_bytes"].as_u64().unwrap());
    let held = entries(&stage);
    assert_eq!(held.len() as u64, after);
    publish(&stage, "third, lost");
    let restored = lose_and_restore(&mut stage);
    assert_eq!(restored["last_kept_index"].as_u64().unwrap(), after - 1);
    stage.start_hub();
    let now = entries(&stage);
    assert_eq!(now[..held.len()], held[..], "every entry of the backup is there, byte for byte");
    let epoch = &now[held.len()];
    assert_eq!((epoch["kind"].as_str(), now.len()), (Some("epoch"), held.len() + 1));
    assert!(epoch["what"].as_str().unwrap().starts_with("epoch 2: the hub was restored"), "{epoch}");
    // It goes on from there, and so do its backups; one more restore begins one more epoch.
    publish(&stage, "after the restore");
    assert_eq!(back_up(&stage)["epoch"], 2);
    assert_eq!(lose_and_restore(&mut stage)["epoch"], 3);
    assert_eq!(stage.run("hub", &["hub", "verify"]).code, 0);
}

#[test]
fn restore_and_backup_refuse_what_they_would_spoil() {
    let mut stage = Stage::set();
    publish(&stage, "first");
    back_up(&stage);
    let refused = restore(&stage, "hub");
    assert_eq!(refused.code, 2, "a home that holds a hub: {refused:?}");
    // Another journal.
    let founding = stage.path("kept-founding");
    fs::copy(stage.path("hub/founding"), &founding).unwrap();
    lose_and_restore(&mut stage);
    stage.start_hub();
    publish(&stage, "of the second history");
    back_up(&stage);
    stage.kill_hub();
    fs::remove_dir_all(stage.path("hub/journal")).unwrap();
    fs::remove_dir_all(stage.path("hub/ledger")).unwrap();
    stage.well("hub", &["hub", "init", "--founding", founding.to_str().unwrap()]);
    let to = stage.path("backup");
    let other = stage.run("hub", &["hub", "backup", to.to_str().unwrap()]);
    assert_eq!((other.code, other.err.contains("another history")), (2, true), "{other:?}");
    assert_eq!(stage.run("hub", &["hub", "backup", to.to_str().unwrap(), "--check"]).code, 0);
    // A flipped bit in the middle.
    let segment = to.join("journal/00000000.segment");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[4_500] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let damaged = restore(&stage, "new");
    assert_eq!((damaged.code, stage.path("new").exists()), (5, false), "{damaged:?}");
    assert_eq!(stage.run("hub", &["hub", "backup", to.to_str().unwrap(), "--check"]).code, 5);
}

/// Publishes a packet of one file to headquarters; gives its id and the SHA-256 of the file as it is sealed.
fn publish_packet(stage: &Stage, name: &str, content: &[u8]) -> (String, String) {
    let path = source(stage, name, content);
    let before = stage.path("ohchr-honduras/files").exists().then(|| stage.names("ohchr-honduras/files", ""));
    let command = ["publish", "packet", &path, "--title", name, "--to", "iachr"];
    let objects = stage.objects("ohchr-honduras", &command);
    let published = objects.iter().find(|it| it["object"] == "published").unwrap();
    let mut files = stage.names("ohchr-honduras/files", "");
    files.retain(|file| before.as_ref().is_none_or(|before| !before.contains(file)));
    (published["message_id"].as_str().unwrap().to_owned(), files.remove(0))
}

fn get(stage: &Stage, packet: &str, to: &str) -> Ran {
    // What this office has fetched before is gone, so it comes from the hub.
    let _ = fs::remove_dir_all(stage.path("iachr/files"));
    let dir = stage.path(to);
    stage.run("iachr", &["packet", "get", packet, "--to", dir.to_str().unwrap()])
}

/// What a command tells of files that are not whole, and its exit code.
fn flawed(ran: &Ran) -> (i32, Vec<(String, String)>) {
    let told = objects(&ran.out).pop().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let files = told["flawed_files"].as_array().unwrap().iter();
    (ran.code, files.map(|it| (text(&it["sha256"]), text(&it["found"]))).collect())
}

#[test]
fn packets_files_are_backed_up_and_restored_and_what_is_missing_or_damaged_is_told() {
    let mut stage = Stage::set();
    let (kept, _) = publish_packet(&stage, "kept", &vec![1; 300_000]);
    let (damaged, damaged_sha256) = publish_packet(&stage, "damaged", b"damaged in the backup");
    let (lost, lost_sha256) = publish_packet(&stage, "lost", b"lost by the hub");
    stage.well("iachr", &["subscribe", "--count", "3", "--no-files"]);
    let made = back_up(&stage);
    assert_eq!((&made["files"], &made["new_files"]), (&Value::from(3), &Value::from(3)));
    // What its sender has had erased goes from the next backup too.
    let (erased, erased_sha256) = publish_packet(&stage, "erased", b"sent in error");
    assert_eq!(back_up(&stage)["new_files"], 1);
    let [of_hub, of_backup] =
        ["hub", "backup"].map(|folder| stage.path(&format!("{folder}/files/ohchr-honduras/{erased_sha256}")));
    assert!(of_backup.exists());
    stage.well("ohchr-honduras", &["erase", &erased, "--reason", "sent in error"]);
    until("the hub has erased it", || !of_hub.exists());
    assert_eq!((&back_up(&stage)["files"], of_backup.exists()), (&Value::from(3), false));
    // What the hub itself loses stays in the backup as long as the message needs it.
    fs::remove_file(stage.path(&format!("hub/files/ohchr-honduras/{lost_sha256}"))).unwrap();
    let to = stage.path("backup");
    let again = stage.run("hub", &["--json", "hub", "backup", to.to_str().unwrap()]);
    assert_eq!(flawed(&again), (5, vec![(lost_sha256.clone(), "missing".into())]));
    assert!(again.err.contains("the backup holds it"), "{again:?}");
    // What the backup has lost is told by a check and by the restore, which brings back everything else.
    let in_backup = to.join("files/ohchr-honduras");
    fs::write(in_backup.join(&damaged_sha256), b"damaged in a backup!!").unwrap();
    let expected = (5, vec![(damaged_sha256.clone(), "damaged".into())]);
    let checked = stage.run("hub", &["--json", "hub", "backup", to.to_str().unwrap(), "--check"]);
    assert_eq!(flawed(&checked), expected);
    stage.kill_hub();
    fs::rename(stage.path("hub"), stage.path("lost")).unwrap();
    assert_eq!(flawed(&restore(&stage, "hub")), expected);
    fs::rename(stage.path("lost/tls"), stage.path("hub/tls")).unwrap();
    stage.start_hub();
    for packet in [&kept, &lost] {
        assert_eq!(get(&stage, packet, "got").code, 0);
    }
    assert_eq!(fs::read(stage.path("got/kept")).unwrap(), vec![1; 300_000]);
    assert_eq!(fs::read(stage.path("got/lost")).unwrap(), b"lost by the hub");
    let asked = get(&stage, &damaged, "got");
    assert!(asked.code != 0 && asked.err.contains("ask ohchr-honduras for it"), "{asked:?}");
}

/// Stands of an office's box: how many files end so.
fn count(stage: &Stage, folder: &str, ending: &str) -> usize {
    stage.names(folder, ending).len()
}

/// What an auditor finds of each message: who stated which stage at what time of its own, without the log's indexes.
fn audited(stage: &Stage) -> Vec<Value> {
    let mut rows = stage.objects("auditor-iachr", &["audit", "deliveries"]);
    for row in &mut rows {
        let stages: Vec<_> = row["stages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|stage| stage["stage"] != "received")
            .map(|stage| serde_json::json!([stage["stage"], stage["desk"], stage["at"], stage["reason"]]))
            .collect();
        *row = serde_json::json!([row["message_id"], row["office"], stages]);
    }
    rows.sort_by_key(ToString::to_string);
    rows
}

#[test]
fn drill_brings_back_once_everything_that_any_office_had_confirmed() {
    let mut stage = Stage::set();
    let kept = publish(&stage, "kept");
    let read_later = publish(&stage, "kept, read after the backup");
    stage.well("iachr", &["subscribe", "--count", "2"]);
    stage.well("iachr", &["ack", &kept, "--stage", "read"]);
    let (packet, _) = publish_packet(&stage, "analysis", &vec![7; 3_000_000]);
    // The backup is made while others publish and receive.
    let load = stage.start("iachr", &["--json", "subscribe"]);
    let backup = stage.path("backup");
    let backing = stage.start("hub", &["hub", "backup", backup.to_str().unwrap()]);
    for number in 0..4 {
        publish(&stage, &format!("under load {number}"));
    }
    assert!(backing.end().success());
    back_up(&stage);
    // All this is confirmed, and the backup has nothing of it.
    let lost: Vec<_> = (0..3).map(|number| publish(&stage, &format!("lost {number}"))).collect();
    let (lost_packet, _) = publish_packet(&stage, "lost analysis", &vec![8; 1_000_000]);
    until("all is kept", || count(&stage, "iachr/inbox", ".kept") == 11);
    until("all is acknowledged", || audited_received(&stage) == 11);
    load.signal("TERM");
    assert!(load.end().success());
    stage.well("iachr", &["ack", &read_later, "--stage", "read"]);
    stage.well("iachr", &["ack", &lost[1], "--stage", "acted", "--action", "contacted-person"]);
    stage.well("iachr", &["ack", &lost[2], "--stage", "declined", "--reason", "not ours"]);
    let before = audited(&stage);
    lose_and_restore(&mut stage);
    stage.start_hub();
    assert_ne!(audited(&stage), before, "something is lost indeed");
    // A person states something before the lost message has come again: it waits, with the time of the act.
    let early = stage.run("iachr", &["ack", &lost[0], "--stage", "read"]);
    assert_eq!((early.code, early.err.contains("restored from a backup")), (4, true), "{early:?}");
    let mut receiver = stage.start("iachr", &["--json", "subscribe"]);
    let told = receiver.object("started");
    assert!(told["outstanding"].is_number());
    let mut sender = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    let restored = sender.object("restored");
    assert_eq!((restored["messages"].as_u64(), restored["epoch"].as_u64()), (Some(4), Some(2)));
    sender.objects_until(&["published"]);
    until("nothing waits any more", || {
        count(&stage, "iachr/outbox", ".pending") + count(&stage, "ohchr-honduras/outbox", ".pending") == 0
    });
    until("all is acknowledged again", || audited_received(&stage) == 11);
    let after = audited(&stage);
    let early_read = |row: &&Value| row[0] != lost[0].as_str();
    assert!(after.iter().filter(early_read).eq(before.iter().filter(early_read)), "{before:#?} {after:#?}");
    let late = after.iter().find(|row| row[0] == lost[0].as_str()).unwrap();
    assert_eq!(late[2][0][0], "read", "{late}");
    // Once each, in both boxes, and nothing was set aside.
    assert_eq!(count(&stage, "iachr/inbox", ".kept"), 11);
    assert_eq!(count(&stage, "iachr/inbox", ".aside"), 0);
    assert_eq!(count(&stage, "ohchr-honduras/outbox", ".message.accepted"), 11);
    assert_eq!(count(&stage, "iachr/outbox", ".refused"), 0);
    drop((receiver, sender));
    // The hub has the files of both packets: one from the backup, one from its sender.
    for (packet, name, content) in
        [(&packet, "analysis", vec![7; 3_000_000]), (&lost_packet, "lost analysis", vec![8; 1_000_000])]
    {
        assert_eq!(get(&stage, packet, "got").code, 0);
        assert!(fs::read(stage.path("got").join(name)).unwrap() == content);
    }
    // It is told once.
    let file = stage.alert("back");
    stage.well("iachr", &["publish", "alert", &file, "--to", "ohchr-honduras"]);
    let again = stage.objects("ohchr-honduras", &["subscribe", "--count", "1"]);
    assert!(again.iter().all(|it| it["object"] != "restored"), "{again:?}");
}

/// How many deliveries the office's programs have acknowledged.
fn audited_received(stage: &Stage) -> usize {
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries"]);
    let received =
        |row: &&Value| row["stages"].as_array().unwrap().iter().any(|stage| stage["stage"] == "received");
    rows.iter().filter(received).count()
}

#[test]
fn what_a_hub_has_lost_of_the_directory_comes_back_from_a_home_that_may_hand_it_in() {
    let mut stage = Stage::set();
    back_up(&stage);
    stage.amend(&["policy", "retention", "--days", "30"]);
    stage.well("ohchr-honduras", &["office", "rotate"]);
    stage.well("auditor-iachr", &["policy", "list"]);
    lose_and_restore(&mut stage);
    stage.start_hub();
    let may_not = stage.run("auditor-iachr", &["policy", "list"]);
    assert!(may_not.code == 5 && may_not.err.contains("keeps something back"), "{may_not:?}");
    let publish = ["publish", "alert", &stage.alert("one"), "--to", "iachr"];
    let told = stage.run("ohchr-honduras", &publish);
    assert!(told.code == 0 && told.err.contains("handed in again"), "{told:?}");
    for home in ["ohchr-honduras", "auditor-iachr"] {
        let quiet = stage.run(home, &["policy", "list"]);
        assert!(quiet.code == 0 && quiet.err.is_empty(), "{quiet:?}");
        assert!(quiet.out.contains("30 days"), "{quiet:?}");
    }
}

#[test]
fn alerts_go_on_when_a_hub_knows_another_directory_than_a_home_since_a_restore() {
    let mut stage = Stage::set();
    back_up(&stage);
    let path = |name: &str| stage.path(name).to_str().unwrap().to_owned();
    let (one, other) = (path("one"), path("other"));
    for (file, days) in [(&one, "30"), (&other, "40")] {
        stage.well("registrar-iachr", &["policy", "retention", "--days", days, "--to", file]);
        stage.well("registrar-ohchr", &["registrar", "sign", file, "--yes"]);
    }
    stage.well("operator-dev", &["hub", "directory", "add", &one]);
    stage.well("ohchr-honduras", &["office", "rotate"]);
    lose_and_restore(&mut stage);
    stage.start_hub();
    stage.well("operator-dev", &["hub", "directory", "add", &other]);
    let listed = stage.run("ohchr-honduras", &["policy", "list"]);
    assert!(listed.code == 5 && listed.err.contains("two directories are about"), "{listed:?}");
    let publish = ["publish", "alert", &stage.alert("one"), "--to", "iachr"];
    let told = stage.run("ohchr-honduras", &publish);
    assert!(told.code == 0 && told.err.contains("two directories are about"), "{told:?}");
}
