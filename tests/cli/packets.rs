//! Analysis packets by the program: published, fetched, resumed, superseded, acknowledged only when whole.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use prost::Message as _;
use resguardo::desk::home::Home;
use resguardo::desk::inbox::InboxWriter;
use resguardo::desk::keys;
use resguardo::desk::members::Members;
use resguardo::files::partial::Digested;
use resguardo::host::clock::SystemClock;
use resguardo::host::disk::OsDisk;
use resguardo::host::random::{OsRandom, Random as _, SeededRandom, uuid_v7};
use resguardo::model::deadline::Deadlines;
use resguardo::model::envelope::{
    CapMsgType, CapStatus, Envelope, FileDigest, FileRef, MessageClass, MessageId, Priority, Recipient,
};
use resguardo::model::id::UnixMicros;
use resguardo::model::identity::{Desk, Name};
use resguardo::seal::{seal_bytes, sha256};
use resguardo::wire::manifest::{Part, SealedManifest};
use resguardo::wire::signed::SignedEnvelope;
use resguardo::wire::{convert, proto};
use serde_json::Value;

use super::stage::{Stage, until};

/// Bytes that take seconds on a line as slow as this: whatever moves them is killed in the middle.
const LONG: usize = 24 << 20;
const SLOW_BYTES_PER_S: u64 = 6 << 20;

pub(super) fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    SeededRandom::new(seed).fill(&mut content);
    content
}

/// The SHA-256 of a content, as its file is named.
pub(super) fn sha256_of(content: &[u8]) -> String {
    let mut digested = Digested::nothing();
    digested.take(content);
    digested.finish().to_string()
}

/// Writes a file beside the homes and gives its path.
pub(super) fn source(stage: &Stage, name: &str, content: &[u8]) -> String {
    let path = stage.path(&format!("sources/{name}"));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Publishes a packet to headquarters and gives its id.
fn publish(stage: &Stage, arguments: &[&str]) -> String {
    let arguments = [&["publish", "packet", "--to", "iachr"], arguments].concat();
    let objects = stage.objects("ohchr-guatemala", &arguments);
    let published = objects.iter().find(|it| it["object"] == "published").unwrap();
    assert_eq!(published["outcome"], "accepted");
    published["message_id"].as_str().unwrap().to_owned()
}

/// The stages that headquarters has stated of a message.
pub(super) fn stages(stage: &Stage, id: &str) -> Vec<String> {
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries", "--office", "iachr"]);
    let row = rows.iter().find(|row| row["message_id"] == id);
    let stages = row.map(|row| row["stages"].as_array().unwrap().clone()).unwrap_or_default();
    stages.iter().map(|it| it["stage"].as_str().unwrap().to_owned()).collect()
}

fn fetched(stage: &Stage, id: &str, to: &str) -> PathBuf {
    let dir = stage.path(to);
    stage.well("iachr", &["packet", "get", id, "--to", dir.to_str().unwrap()]);
    dir
}

fn kill_when_moving(stage: &Stage, home: &str, arguments: &[&str]) {
    let mut running = stage.start(home, &[&["--json"], arguments].concat());
    loop {
        let moved = running.object("transfer");
        if moved["done_bytes"].as_u64().unwrap() > 1 << 20 {
            break;
        }
    }
    running.kill();
}

#[test]
fn packet_arrives_whole_and_is_acknowledged_when_its_files_are_here() {
    let stage = Stage::set();
    let (report, data) = (content(1, 5_000_000), content(2, 100));
    source(&stage, "folder/data.csv", &data);
    let folder = stage.path("sources/folder");
    let report_path = source(&stage, "report.pdf", &report);
    let id = publish(
        &stage,
        &[
            &report_path,
            folder.to_str().unwrap(),
            "--title",
            "Threats in March",
            "--period",
            "2026-03",
            "--source",
            "B2: field visit",
        ],
    );
    assert!(stages(&stage, &id).is_empty());
    let mut watch = stage.start("iachr", &["--json", "subscribe", "--count", "1"]);
    let told = watch.objects_until(&["message", "files", "acknowledged"]);
    let message = told.iter().find(|it| it["object"] == "message").unwrap();
    assert_eq!(
        (&message["class"], &message["headline"]),
        (&Value::from("packet"), &Value::from("packet: Threats in March (version 1)"),)
    );
    assert!(watch.end().success());
    assert_eq!(stages(&stage, &id), ["received"]);
    let dir = fetched(&stage, &id, "got");
    assert_eq!(fs::read(dir.join("report.pdf")).unwrap(), report);
    assert_eq!(fs::read(dir.join("data.csv")).unwrap(), data);
    let listed = stage.objects("iachr", &["packet", "list"]);
    assert_eq!(listed[0]["period_to"], "2026-03-31");
    assert_eq!(
        (&listed[0]["files_here"], listed[0]["files"].as_array().unwrap().len()),
        (&Value::from(2), 2)
    );
    let shown = stage.well("iachr", &["show", &id]);
    assert!(shown.contains("B2 field visit") && shown.contains("report.pdf (4.7 MiB)"), "{shown}");
    // The sender has it back, too.
    let own = stage.path("own");
    stage.well("ohchr-guatemala", &["packet", "get", &id, "--to", own.to_str().unwrap()]);
    assert_eq!(fs::read(own.join("report.pdf")).unwrap(), report);
}

#[test]
fn packet_whose_file_the_hub_has_lost_holds_up_no_other() {
    let stage = Stage::set();
    let lost = publish(&stage, &[&source(&stage, "lost.bin", &content(11, 1_000)), "--title", "Lost"]);
    for file in fs::read_dir(stage.path("hub/files/ohchr-guatemala")).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let next = publish(&stage, &[&source(&stage, "next.bin", &content(12, 1_000)), "--title", "Next"]);
    let _watch = stage.start("iachr", &["subscribe"]);
    until("the next packet is whole", || stages(&stage, &next) == ["received"]);
    assert!(stages(&stage, &lost).is_empty(), "nobody has all of it");
}

#[test]
fn without_its_files_a_packet_is_kept_and_not_acknowledged_until_they_are_fetched() {
    let stage = Stage::set();
    let id = publish(&stage, &[&source(&stage, "a", b"aaa"), "--title", "A"]);
    let file = stage.alert("meanwhile");
    stage.well("ohchr-guatemala", &["publish", "alert", &file, "--to", "iachr"]);
    let watch = stage.start("iachr", &["--json", "subscribe", "--no-files"]);
    until("the alert is acknowledged and the packet is kept", || {
        let kept = stage.names("iachr/inbox", ".kept").len() == 2;
        kept && stage.objects("auditor-iachr", &["audit", "outstanding"]).len() == 1
    });
    assert!(stages(&stage, &id).is_empty());
    assert!(stage.well("iachr", &["show", &id]).contains("1 of its files are not here yet"));
    let dir = fetched(&stage, &id, "got");
    assert_eq!(fs::read(dir.join("a")).unwrap(), b"aaa");
    assert_eq!(stages(&stage, &id), ["received"]);
    drop(watch);
}

#[test]
fn versions_are_shown_newest_first_and_superseded_ones_are_marked() {
    let stage = Stage::set();
    let first = publish(&stage, &[&source(&stage, "v1", b"one"), "--title", "Report"]);
    let second =
        publish(&stage, &[&source(&stage, "v2", b"two"), "--title", "Report", "--supersedes", &first]);
    let again = stage.run(
        "ohchr-guatemala",
        &["publish", "packet", &source(&stage, "v3", b"x"), "--title", "R", "--supersedes", &first],
    );
    assert!(again.code == 2 && again.err.contains(&second), "{again:?}");
    let third =
        publish(&stage, &[&source(&stage, "v3", b"three"), "--title", "Report", "--supersedes", &second]);
    stage.well("iachr", &["subscribe", "--count", "3"]);
    for (home, of) in [("iachr", &first), ("ohchr-guatemala", &third)] {
        let history = stage.objects(home, &["packet", "history", of]);
        let found: Vec<_> = history
            .iter()
            .map(|it| (it["message_id"].as_str().unwrap(), it["version"].as_u64().unwrap()))
            .collect();
        assert_eq!(found, [(third.as_str(), 3), (second.as_str(), 2), (first.as_str(), 1)]);
        assert_eq!(
            (&history[0]["superseded_by"], &history[2]["superseded_by"]),
            (&Value::Null, &Value::from(second.clone()),)
        );
        let newest = stage.objects(home, &["packet", "list", "--newest"]);
        assert_eq!(newest.len(), 1);
    }
    // Another office's packet cannot be superseded.
    let foreign = stage.run(
        "iachr",
        &["publish", "packet", &source(&stage, "w", b"w"), "--title", "R", "--supersedes", &third],
    );
    assert_eq!(foreign.code, 2, "{foreign:?}");
}

#[test]
fn nothing_is_written_over_and_the_same_file_is_no_trouble() {
    let stage = Stage::set();
    let id = publish(&stage, &[&source(&stage, "name", b"sent"), "--title", "A"]);
    stage.well("iachr", &["subscribe", "--count", "1"]);
    let dir = fetched(&stage, &id, "got");
    fetched(&stage, &id, "got");
    fs::write(dir.join("name"), "my own notes").unwrap();
    let taken = stage.run("iachr", &["packet", "get", &id, "--to", dir.to_str().unwrap()]);
    assert!(taken.code == 2 && taken.err.contains("stays as it is"), "{taken:?}");
    assert_eq!(fs::read(dir.join("name")).unwrap(), b"my own notes");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn killed_sender_goes_on_with_the_same_command_and_publishes_once() {
    let stage = Stage::set();
    let line = stage.by_line(&["ohchr-guatemala"]);
    line.slow(SLOW_BYTES_PER_S);
    let content = content(3, LONG);
    let path = source(&stage, "long", &content);
    let command = ["publish", "packet", &path, "--title", "Long", "--to", "iachr"];
    kill_when_moving(&stage, "ohchr-guatemala", &command);
    let part = format!("hub/files/{}", "ohchr-guatemala");
    let have = stage.names(&part, ".part");
    assert_eq!(have.len(), 1, "the hub has a part of it");
    let objects = stage.objects("ohchr-guatemala", &command);
    let first = objects.iter().find(|it| it["object"] == "transfer").unwrap();
    assert!(first["done_bytes"].as_u64().unwrap() > 1 << 20, "it went on from there: {first}");
    assert_eq!(stage.names("ohchr-guatemala/outbox", ".message.accepted").len(), 1);
    assert!(stage.names("ohchr-guatemala/outbox", ".message.pending").is_empty());
}

#[test]
fn killed_hub_and_killed_receiver_lose_nothing_and_go_on() {
    let mut stage = Stage::set();
    let line = stage.by_line(&["ohchr-guatemala", "iachr"]);
    line.slow(SLOW_BYTES_PER_S);
    let content = content(4, LONG);
    let path = source(&stage, "long", &content);
    let mut publishing = stage.start(
        "ohchr-guatemala",
        &["--json", "publish", "packet", &path, "--title", "Long", "--to", "iachr"],
    );
    publishing.object("transfer");
    stage.kill_hub();
    publishing.object("lost");
    stage.start_hub();
    let published = publishing.object("published");
    assert_eq!(published["outcome"], "accepted");
    let id = published["message_id"].as_str().unwrap().to_owned();
    kill_when_moving(&stage, "iachr", &["subscribe"]);
    assert!(stages(&stage, &id).is_empty(), "acknowledged and not whole");
    let mut watch = stage.start("iachr", &["--json", "subscribe"]);
    watch.object("transfer");
    stage.kill_hub();
    stage.start_hub();
    watch.objects_until(&["files", "acknowledged"]);
    let dir = fetched(&stage, &id, "got");
    assert!(fs::read(dir.join("long")).unwrap() == content);
    assert_eq!(stages(&stage, &id), ["received"]);
}

#[test]
fn what_waits_is_handed_in_later_and_a_file_that_changed_is_told() {
    let mut stage = Stage::set();
    stage.well("ohchr-guatemala", &["office", "list"]);
    stage.kill_hub();
    let path = source(&stage, "later", b"as it was");
    let changed = source(&stage, "changed", b"as it was then");
    for path in [&path, &changed] {
        let waits =
            stage.run("ohchr-guatemala", &["publish", "packet", path, "--title", path, "--to", "iachr"]);
        assert!(waits.code == 4 && waits.err.contains("publish pending"), "{waits:?}");
    }
    fs::write(&changed, "as it is now!!").unwrap();
    stage.start_hub();
    let handed_in = stage.objects("ohchr-guatemala", &["publish", "pending"]);
    let outcome = |word: &str| handed_in.iter().filter(|it| it["outcome"] == word).count();
    assert_eq!((outcome("accepted"), outcome("refused")), (1, 1), "{handed_in:?}");
    assert!(handed_in.iter().any(|it| it["reason"] == "FILE_CHANGED"));
    assert_eq!(stage.well("ohchr-guatemala", &["publish", "pending"]), "Nothing waits in the outbox.\n");
}

#[test]
fn running_watch_hands_in_packets_that_wait() {
    let mut stage = Stage::set();
    stage.kill_hub();
    let path = source(&stage, "waits", b"waits");
    let waits = stage.run("ohchr-guatemala", &["publish", "packet", &path, "--title", "W", "--to", "iachr"]);
    assert_eq!(waits.code, 4, "{waits:?}");
    stage.start_hub();
    let mut watch = stage.start("ohchr-guatemala", &["--json", "subscribe"]);
    assert_eq!(watch.object("published")["outcome"], "accepted");
}

/// Keeps a packet in headquarters' inbox, as if it had come: with a manifest that names its one file so, and that file,
/// sealed and signed by a desk that means no good.
fn keep_hostile(stage: &Stage, index: u64, name: &str) -> String {
    let home = Home::open(Arc::new(OsDisk), &stage.path("iachr")).unwrap();
    let policy = Members::copied(&home).unwrap().expect("the directory is known").policy().clone();
    let office: Name = "iachr".parse().unwrap();
    let to = [policy.office_key(&office).unwrap().clone()];
    let key = keys::unlock(&OsDisk, &stage.path("ohchr-guatemala"), None).unwrap().attended;
    let id = uuid_v7(&SystemClock::new(), &OsRandom);
    let mut envelope = Envelope {
        message_id: MessageId::from_slice(id.as_bytes()).unwrap(),
        class: MessageClass::Packet,
        stream: "studies".parse().unwrap(),
        sender: Desk { office: "ohchr-guatemala".parse().unwrap(), desk: "desk-1".parse().unwrap() },
        recipients: vec![Recipient {
            office: office.clone(),
            key: policy.office_key_id(&office).unwrap(),
            number: 1,
        }],
        directory_version: policy.version(),
        priority: Priority::Normal,
        status: CapStatus::Actual,
        msg_type: CapMsgType::Alert,
        thread_id: [7; 16],
        references: Vec::new(),
        sent: UnixMicros(1),
        expires: None,
        payload_bytes: 0,
        payload_digest: [0; 32],
        deadlines: Deadlines::default(),
        files: Vec::new(),
        voided: Vec::new(),
        about: None,
    };
    let sealed = |envelope: &Envelope, part, content: &[u8]| {
        let inner = SealedManifest::of(envelope, part, sha256(content)).signed_by(&key);
        seal_bytes(&to, &inner, content).unwrap()
    };
    let file = sealed(&envelope, Part::File, b"hostile");
    let as_sealed = FileRef { digest: FileDigest(sha256(&file)), bytes: file.len() as u64 };
    let files = vec![proto::PacketFile {
        name: name.into(),
        bytes: 7,
        sha256: sha256(b"hostile").to_vec().into(),
        sealed: Some(convert::wire_file_ref(&as_sealed)),
    }];
    let (title, line_of_action) = ("Hostile".into(), "studies".into());
    let manifest = proto::PacketManifest { title, line_of_action, version: 1, files, ..Default::default() };
    let payload = sealed(&envelope, Part::Payload, &manifest.encode_to_vec());
    envelope.files = vec![as_sealed];
    envelope.payload_bytes = payload.len() as u64;
    envelope.payload_digest = sha256(&payload);
    let envelope = SignedEnvelope::by(&key, envelope).signed.to_bytes();
    let message = proto::Message { envelope, payload: payload.into(), ..Default::default() };
    let content = Some(proto::delivery::Content::Message(message));
    let delivery = proto::Delivery { index, accepted_unix_us: 2, content };
    let mut writer = InboxWriter::open(&home, None).unwrap();
    writer.follow(Arc::new(policy));
    writer.keep(vec![delivery], UnixMicros(3), false).unwrap();
    let shelf = stage.path("iachr/files");
    fs::create_dir_all(&shelf).unwrap();
    fs::write(shelf.join(as_sealed.digest.to_string()), file).unwrap();
    id.to_string()
}

#[test]
fn packet_whose_files_have_hostile_names_is_told_and_writes_nothing() {
    let stage = Stage::set();
    stage.well("iachr", &["office", "list"]);
    let to = stage.path("a/b/c/got");
    let to = to.to_str().unwrap();
    let absolute = stage.path("outside");
    for (index, name) in
        (1..).zip(["../outside", "../../../../outside", absolute.to_str().unwrap(), "inner/x", ".."])
    {
        let id = keep_hostile(&stage, index, name);
        let got = stage.run("iachr", &["packet", "get", &id, "--to", to]);
        assert!(got.code == 5 && got.err.contains("is no name for a packet's file"), "{name:?}: {got:?}");
        let listed = stage.objects("iachr", &["packet", "list"]);
        assert!(listed.iter().any(|it| it["message_id"] == *id), "it is listed all the same");
    }
    assert!(!stage.path("a").exists() && !absolute.exists(), "something was written");
    // The same file under a name is written.
    let id = keep_hostile(&stage, 9, "name");
    stage.well("iachr", &["packet", "get", &id, "--to", to]);
    assert_eq!(fs::read(stage.path("a/b/c/got/name")).unwrap(), b"hostile");
}

#[test]
fn bad_packets_are_refused_before_anything_is_kept() {
    let stage = Stage::set();
    let path = source(&stage, "folder/inner/x", b"x");
    let folder = stage.path("sources/folder");
    let long = "x".repeat(300);
    for (arguments, words) in [
        (vec![folder.to_str().unwrap(), "--title", "T"], "folder in a folder"),
        (vec!["/nowhere/at/all", "--title", "T"], "cannot read"),
        (vec![&path, "--title", &long], "title: 1 to 256 bytes"),
        (vec![&path, &path, "--title", "T"], "two files have the name"),
        (vec![&path, "--title", "T", "--period", "soon"], "is no period"),
        (vec![&path, "--title", "T", "--source", "Z9: x"], "grade from A1 to F6"),
        (vec![&path, "--title", "T", "--supersedes", "abcdef"], "packet list"),
    ] {
        let arguments = [vec!["publish", "packet"], arguments].concat();
        let refused = stage.run("ohchr-guatemala", &arguments);
        assert!(refused.code == 2 && refused.err.contains(words), "{words}: {refused:?}");
    }
    assert!(stage.names("ohchr-guatemala/outbox", "").is_empty());
}
