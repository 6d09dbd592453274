//! The hub's logs as people meet them: who bears witness, a hub that is put back to an older state, tiles that are damaged.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use resguardo::desk::find;
use resguardo::desk::home::Home;
use resguardo::desk::outbox::{Outbox, Stand};
use resguardo::host::disk::OsDisk;
use serde_json::Value;
use tokio::runtime::Builder;

use super::enrol::{accept, sign};
use super::stage::{Running, Stage, objects, until};

/// Offices that watch: more than half, of both institutions.
const WATCHING: [&str; 4] = ["iachr", "ohchr-colombia", "ohchr-guatemala", "ohchr-mexico"];

fn watch(stage: &Stage) -> Vec<Running> {
    let start = |office: &&str| {
        let mut watch = stage.start(office, &["--json", "subscribe"]);
        watch.object("started");
        watch
    };
    WATCHING.iter().map(start).collect()
}

/// What an auditor sees of the journal's log.
fn journal(stage: &Stage) -> Option<Value> {
    let objects = stage.objects("auditor-ohchr", &["audit", "log"]);
    objects.into_iter().find(|it| it["object"] == "log" && it["log"] == "journal")
}

/// Waits until enough offices bear witness to so many entries.
fn witnessed(stage: &Stage, entries: u64) {
    until("witnesses", || {
        journal(stage).is_some_and(|log| log["witnessed"] == true && log["round"].as_u64() >= Some(entries))
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|it| (it.path(), it.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            let _ = fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn offices_bear_witness_and_a_hub_that_goes_back_is_found_out_while_alerts_go_on() {
    let mut stage = Stage::set();
    let watching = watch(&stage);
    witnessed(&stage, 1);
    let log = journal(&stage).unwrap();
    let of = |key: &str| -> Vec<_> {
        log["cosigned"].as_array().unwrap().iter().map(|it| it[key].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(log["needed"], 4, "{log}");
    assert!(
        of("office").contains(&"iachr".to_owned()) && of("institution").contains(&"ohchr".to_owned()),
        "{log}"
    );

    // As it is now, it comes back later.
    stage.kill_hub();
    copy(&stage.path("hub"), &stage.path("older"));
    stage.start_hub();
    let published = stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one")]);
    let index = published[0]["index"].as_u64().unwrap();
    witnessed(&stage, index + 1);
    // At the next look each office finds the message among what enough of them have cosigned.
    let mut watching = watching;
    stage.well("ohchr-honduras", &["publish", "alert", &stage.alert("between")]);
    for watch in &mut watching {
        while watch.object("included")["until_index"].as_u64() <= Some(index) {}
    }
    let id = published[0]["message_id"].as_str().unwrap();
    let shown = stage.objects("iachr", &["show", id]);
    assert_eq!(shown[0]["witnessed"], true, "{shown:?}");

    stage.kill_hub();
    let config = fs::read(stage.path("hub/hub.toml")).unwrap();
    fs::remove_dir_all(stage.path("hub")).unwrap();
    copy(&stage.path("older"), &stage.path("hub"));
    fs::write(stage.path("hub/hub.toml"), config).unwrap();
    stage.start_hub();
    for office in WATCHING {
        until("the hub is found out", || stage.path(office).join("logs/journal.found").exists());
    }
    let told = stage.run("iachr", &["inbox"]);
    assert!(
        told.code == 0 && told.err.contains("IS NOT WHAT IT WAS") && told.err.contains("Telephone"),
        "{told:?}"
    );
    let proof = fs::read_to_string(stage.path("iachr/logs/journal.found")).unwrap();
    assert_eq!(
        proof.matches("\n— resguardo-").count(),
        4,
        "both notes with both of the hub's signatures: {proof}"
    );
    // Nobody cosigns any more what it signs, and an alert comes all the same.
    stage.well("ohchr-honduras", &["publish", "alert", &stage.alert("two")]);
    watching[0].objects_until(&["message"]);
    for office in WATCHING {
        let asked = stage.run(office, &["witness", "--once"]);
        assert!(asked.code == 5 && !asked.out.contains("cosigned"), "{asked:?}");
    }
    // Their receipts say so: to the hub's operator, and over the line to who has not found it out.
    until("the operator is told", || {
        let status = stage.run("operator-dev", &["hub", "status"]).out;
        WATCHING.iter().all(|office| status.contains(&format!("{office}:")))
            && status.contains("logs-disputed")
    });
    stage.well("ohchr-south-america", &["witness", "--once"]);
    let told = stage.run("ohchr-south-america", &["inbox"]);
    assert!(told.code == 0 && told.err.contains("iachr:desk-1 SAYS THAT THE HUB'S LOG"), "{told:?}");
}

#[test]
fn two_histories_that_the_hub_shows_are_found_out_by_a_receipt() {
    let mut stage = Stage::set();
    stage.kill_hub();
    copy(&stage.path("hub"), &stage.path("older"));
    stage.start_hub();
    let publish = |stage: &Stage, name: &str| {
        let published = stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert(name)]).remove(0);
        (published["message_id"].as_str().unwrap().to_owned(), published["index"].as_u64().unwrap())
    };
    let round = |stage: &Stage, index: u64| {
        until("a round over it", || journal(stage).is_some_and(|log| log["round"].as_u64() > Some(index)));
    };
    let (_, index) = publish(&stage, "shown-to-one");
    round(&stage, index);
    stage.well("ohchr-mexico", &["witness", "--once"]);
    stage.kill_hub();
    let config = fs::read(stage.path("hub/hub.toml")).unwrap();
    fs::remove_dir_all(stage.path("hub")).unwrap();
    copy(&stage.path("older"), &stage.path("hub"));
    fs::write(stage.path("hub/hub.toml"), config).unwrap();
    stage.start_hub();
    let (id, index) = publish(&stage, "shown-to-the-other");
    round(&stage, index);
    stage.well("ohchr-honduras", &["witness", "--once"]);
    stage.well("ohchr-mexico", &["subscribe", "--count", "1"]);
    // As if it had not looked again: then only its receipt tells what it has seen.
    let _ = fs::remove_file(stage.path("ohchr-mexico/logs/journal.found"));
    stage.well("ohchr-mexico", &["ack", &id, "--stage", "read"]);
    let told = stage.run("ohchr-honduras", &["audit", "message", &id]);
    assert!(told.code == 0 && told.err.contains("IS NOT WHAT IT WAS"), "{told:?}");
    let proof = fs::read_to_string(stage.path("ohchr-honduras/logs/journal.found")).unwrap();
    assert!(proof.contains("ohchr-mexico:desk-1 has") && proof.contains("two different trees"), "{proof}");
    // The same where this home's has grown on.
    fs::remove_file(stage.path("ohchr-honduras/logs/journal.found")).unwrap();
    let (_, index) = publish(&stage, "another");
    round(&stage, index);
    stage.well("ohchr-honduras", &["witness", "--once"]);
    let told = stage.run("ohchr-honduras", &["audit", "message", &id]);
    assert!(told.code == 0 && told.err.contains("do not go on from the 2"), "{told:?}");
}

#[test]
fn a_restore_is_followed_once_both_registrars_have_signed_it() {
    let mut stage = Stage::set();
    let mut watching = watch(&stage);
    let backup = stage.path("backup");
    stage.well("hub", &["hub", "backup", backup.to_str().unwrap()]);
    let publish = |stage: &Stage, name: &str| -> u64 {
        let published = stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert(name)]);
        published[0]["index"].as_u64().unwrap()
    };
    let index = publish(&stage, "one");
    witnessed(&stage, index + 1);
    stage.kill_hub();
    fs::rename(stage.path("hub"), stage.path("lost")).unwrap();
    let restored = stage.objects("hub", &["hub", "restore", backup.to_str().unwrap()]).pop().unwrap();
    for kept in ["tls", "keys"] {
        fs::rename(stage.path("lost").join(kept), stage.path("hub").join(kept)).unwrap();
    }
    fs::copy(stage.path("lost/hub.toml"), stage.path("hub/hub.toml")).unwrap();
    stage.start_hub();
    let found = |stage: &Stage| {
        WATCHING.iter().filter(|it| stage.path(it).join("logs/journal.found").exists()).count()
    };
    until("every office has found that it went back", || found(&stage) == WATCHING.len());

    let file = stage.path("hub/restored.toml");
    let said = fs::read_to_string(&file).unwrap();
    assert!(said.contains(restored["root"].as_str().unwrap()), "{said}");
    stage.amend(&["policy", "restored", file.to_str().unwrap()]);
    // The next look is soon after the next urgent alert.
    let index = publish(&stage, "two");
    for watch in &mut watching {
        watch.object("message");
    }
    witnessed(&stage, index + 1);
    assert_eq!(found(&stage), 0);
    // Who has cosigned again disputes nothing any more; the next look tells.
    stage.well("iachr", &["witness", "--once"]);
    let told = stage.run("iachr", &["inbox"]);
    assert!(!told.err.contains("IS NOT WHAT IT WAS"), "{told:?}");
    let aside = stage.names("iachr/logs", "");
    let aside = aside.iter().find(|name| name.starts_with("journal.found-")).expect("it is put aside");
    // As it is when the desk was killed after the new checkpoint was kept and before the rest was.
    drop(watching);
    fs::rename(stage.path("iachr/logs").join(aside), stage.path("iachr/logs/journal.found")).unwrap();
    fs::remove_file(stage.path("iachr/logs/restored")).unwrap();
    stage.well("iachr", &["office", "list"]); // the directory comes first
    stage.well("iachr", &["witness", "--once"]);
    assert_eq!(found(&stage), 0);
}

#[test]
fn what_the_hub_confirmed_and_left_out_of_the_journal_is_found_out_by_who_sent_it() {
    let mut stage = Stage::set();
    let watching = watch(&stage);
    let publish = |stage: &Stage, name: &str| -> (String, Option<u64>) {
        let told = stage.run("ohchr-honduras", &["--json", "publish", "alert", &stage.alert(name)]);
        let told = objects(&told.out);
        let published = told.iter().find(|it| it["outcome"].is_string()).expect("it is told of");
        (published["message_id"].as_str().unwrap().to_owned(), published["index"].as_u64())
    };
    let (one, index) = publish(&stage, "one");
    let index = index.unwrap();
    stage.kill_hub();
    let (two, none) = publish(&stage, "two");
    assert_eq!(none, None, "nobody took it");
    // As it is when the hub said that it took it, and has another in its place.
    let home = Home::open(Arc::new(OsDisk), &stage.path("ohchr-honduras")).unwrap();
    let outbox = Outbox::open(&home).unwrap();
    let [one, two] = [one, two].map(|id| find::parse_message_id(&id).unwrap());
    let said = outbox.read_message(one).unwrap();
    let held = Builder::new_current_thread().enable_time().build().unwrap().block_on(home.lock()).unwrap();
    outbox.settle_message(&held, two, (said.outcome.unwrap(), said.promise)).unwrap();
    drop(held);
    stage.start_hub();
    publish(&stage, "three");
    witnessed(&stage, index + 2);
    let mut sender = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    sender.object("started");
    until("the sender has found it out", || stage.path("ohchr-honduras/logs/journal.found").exists());
    let proof = fs::read_to_string(stage.path("ohchr-honduras/logs/journal.found")).unwrap();
    assert!(proof.contains("is not among the") && proof.contains("the hub's signed word"), "{proof}");
    let told = stage.run("ohchr-honduras", &["inbox"]);
    assert!(told.err.contains("IS NOT WHAT IT WAS"), "{told:?}");
    drop(watching);
}

#[test]
fn what_a_person_stated_is_found_in_the_journal_or_the_hub_is_found_out() {
    let mut stage = Stage::set();
    let mut watching = watch(&stage);
    let publish = |stage: &Stage, name: &str| -> (String, u64) {
        let published = stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert(name)]).remove(0);
        (published["message_id"].as_str().unwrap().to_owned(), published["index"].as_u64().unwrap())
    };
    let (one, _) = publish(&stage, "one");
    let (two, index) = publish(&stage, "two");
    let reader = WATCHING.iter().position(|office| *office == "iachr").unwrap();
    watching[reader].objects_until(&["message"]);
    watching[reader].objects_until(&["message"]);
    stage.well("iachr", &["ack", &one, "--stage", "read"]);
    // The next look finds both messages and the receipt.
    publish(&stage, "three");
    witnessed(&stage, index + 3);
    let mut proved = 0;
    while proved < 3 {
        proved += watching[reader].object("included")["proved"].as_u64().unwrap();
    }
    assert!(!stage.path("iachr/logs/journal.found").exists());

    stage.kill_hub();
    let waits = stage.run("iachr", &["ack", &two, "--stage", "read"]);
    assert_ne!(waits.code, 0, "{waits:?}");
    // As it is when the hub said that it took it, and has another in its place.
    let home = Home::open(Arc::new(OsDisk), &stage.path("iachr")).unwrap();
    let outbox = Outbox::open(&home).unwrap();
    let statements = outbox.statements().unwrap();
    let [said, waits] = [Stand::Accepted, Stand::Pending].map(|stand| {
        let found = statements.iter().find(|it| it.stand == stand);
        found.expect("it was stated").clone()
    });
    let said = outbox.read_statement(&said).unwrap().outcome.unwrap();
    let held = Builder::new_current_thread().enable_time().build().unwrap().block_on(home.lock()).unwrap();
    outbox.settle_statement(&held, &waits, said).unwrap();
    drop(held);
    stage.start_hub();
    // At its next look it finds that another stands in that place, and cosigns nothing any more.
    publish(&stage, "four");
    until("the reader has found it out", || stage.path("iachr/logs/journal.found").exists());
    let proof = fs::read_to_string(stage.path("iachr/logs/journal.found")).unwrap();
    assert!(proof.contains("this desk's receipt of message") && proof.contains(&two), "{proof}");
}

#[test]
fn an_answer_that_the_hub_did_not_sign_is_told_and_stops_nothing() {
    let mut stage = Stage::set();
    let publish = |stage: &Stage, name: &str| {
        let told = stage.run("ohchr-honduras", &["--json", "publish", "alert", &stage.alert(name)]);
        assert_eq!(told.code, 0, "{told:?}");
        let told = objects(&told.out);
        let published = told.iter().find(|it| it["outcome"].is_string()).expect("it is told of");
        (published["outcome"].clone(), published["unsigned"].clone())
    };
    assert_eq!(publish(&stage, "one"), ("accepted".into(), Value::Null));
    stage.kill_hub();
    fs::rename(stage.path("hub/keys/hub"), stage.path("key")).unwrap();
    stage.start_hub();
    assert_eq!(publish(&stage, "two"), ("accepted".into(), true.into()));
    let told = stage.run("ohchr-honduras", &["publish", "alert", &stage.alert("three")]);
    assert!(told.code == 0 && told.out.contains("did not sign"), "{told:?}");
}

#[test]
fn a_checkpoint_that_was_kept_and_not_cosigned_is_cosigned_when_it_is_seen_again() {
    let stage = Stage::set();
    until("a round", || journal(&stage).is_some());
    stage.well("iachr", &["witness", "--once"]);
    // As it is when a desk was killed, or its line was cut, between the two.
    copy(&stage.path("iachr/logs"), &stage.path("ohchr-mexico/logs"));
    let cosigned = |told: &[Value]| told.iter().filter(|it| it["cosigned"] == true).count();
    assert_eq!(cosigned(&stage.objects("ohchr-mexico", &["witness", "--once"])), 2);
    assert_eq!(cosigned(&stage.objects("ohchr-mexico", &["witness", "--once"])), 0, "once is enough");
}

#[test]
fn an_outside_witness_cosigns_and_counts_once_it_is_named() {
    let mut stage = Stage::set();
    let made = stage.objects("univ", &["witness", "--request"]);
    assert_eq!(made[0]["object"], "witness_key");
    let public = made[0]["public"].as_str().unwrap();
    let amend = ["policy", "witness", "univ", "--institution", "iachr", "--key", public];
    stage.amend(&amend);
    let listed = stage.objects("auditor-ohchr", &["policy", "list"]);
    assert!(listed.iter().any(|it| it["object"] == "witness" && it["name"] == "univ"), "{listed:?}");

    let asked = stage.objects("univ", &["office", "request", "--transport-only"]).remove(0);
    let signed = sign(&stage, asked["request"].as_str().unwrap(), "urn:resguardo:witness:univ");
    let accepted = accept(&stage, "univ", &signed);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    stage.kill_hub();
    copy(&stage.path("hub"), &stage.path("older"));
    stage.start_hub();
    let published = stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one")]).remove(0);
    let index = published["index"].as_u64();
    until("a round over it", || journal(&stage).is_some_and(|log| log["round"].as_u64() > index));
    let mut witness = stage.start("univ", &["--json", "witness"]);
    assert_eq!(witness.object("log_seen")["cosigned"], true);
    until("it counts", || {
        let log = journal(&stage).unwrap();
        let by = |it: &Value| it["witness"] == "urn:resguardo:witness:univ" && it["institution"] == "iachr";
        log["cosigned"].as_array().unwrap().iter().any(by)
    });
    // It outlives a hub that is away, and ends where the hub was found out.
    stage.kill_hub();
    let config = fs::read(stage.path("hub/hub.toml")).unwrap();
    fs::remove_dir_all(stage.path("hub")).unwrap();
    copy(&stage.path("older"), &stage.path("hub"));
    fs::write(stage.path("hub/hub.toml"), config).unwrap();
    stage.start_hub();
    let again = stage.run("univ", &["witness", "--once"]);
    assert!(again.code == 5 && again.err.contains("IS NOT WHAT IT WAS"), "{again:?}");
    assert!(stage.path("univ/logs/journal.found").exists());
    drop(witness);
    let ended = stage.start("univ", &["witness"]).end();
    assert_eq!(ended.code(), Some(5));
}

#[test]
fn a_tile_that_was_damaged_is_found_by_a_check_and_made_again() {
    let mut stage = Stage::set();
    let published = stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one")]);
    let index = published[0]["index"].as_u64();
    until("a checkpoint over it", || journal(&stage).is_some_and(|log| log["size"].as_u64() > index));
    stage.kill_hub();
    let checked = stage.objects("hub", &["hub", "verify"]);
    let log = checked.iter().find(|it| it["object"] == "verified_log" && it["log"] == "journal").unwrap();
    assert_eq!(log["signed"], log["entries"], "{log}");
    let path = stage.path("hub/logs/journal/checkpoint");
    let note = fs::read_to_string(&path).unwrap();
    let size = note.lines().nth(1).unwrap();
    fs::write(&path, note.replacen(&format!("\n{size}\n"), "\n1\n", 1)).unwrap();
    let found = stage.run("hub", &["hub", "verify"]);
    assert!(found.code == 5 && found.err.contains("logs: "), "{found:?}");
    // The hub starts all the same, and signs nothing more.
    stage.start_hub();
    stage.well("ohchr-honduras", &["publish", "alert", &stage.alert("two")]);
    until("the alarm", || stage.run("operator-dev", &["hub", "status"]).out.contains("logs-unsigned"));
}
