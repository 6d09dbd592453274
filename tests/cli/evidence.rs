//! Evidence with real processes: an alert is published, received, read, acted on and declined; offices bear witness; sender,
//! recipient and auditor each write a file, and a stranger checks it with the trust file alone.

use std::fs;
use std::process::Command;
use std::sync::Arc;

use prost::Message as _;
use resguardo::desk::find;
use resguardo::desk::home::Home;
use resguardo::desk::outbox::Outbox;
use resguardo::host::disk::OsDisk;
use resguardo::wire::proto;
use serde_json::Value;

use super::python::{interpreter, script};
use super::stage::{PROGRAM, Ran, Stage, example, objects, run, until};

pub(super) const SENDER: &str = "ohchr-honduras";
pub(super) const AUDITOR: &str = "auditor-iachr";
const TO: &str = "iachr,ohchr-guatemala,ohchr-mexico";

fn publish(stage: &Stage) -> String {
    let told = stage.objects(SENDER, &["publish", "alert", &example(), "--to", TO, "--unconfirmed-ok"]);
    let published = told.iter().find(|it| it["object"] == "published").unwrap();
    published["message_id"].as_str().unwrap().to_owned()
}

/// What the journal's witnesses are at.
fn journal(stage: &Stage) -> Value {
    let logs = stage.objects(AUDITOR, &["audit", "log"]);
    logs.into_iter().find(|it| it["log"] == "journal").unwrap_or_default()
}

/// An alert with its history, and a round of witnesses over all of it.
pub(super) fn happened(stage: &Stage) -> String {
    let id = publish(stage);
    for office in ["iachr", "ohchr-mexico"] {
        stage.well(office, &["subscribe", "--count", "1"]);
    }
    stage.well("iachr", &["ack", &id, "--stage", "read"]);
    stage.well("iachr", &["ack", &id, "--stage", "acted", "--action", "asked-state", "--reason", "Se pidió"]);
    stage.well("ohchr-mexico", &["ack", &id, "--stage", "declined", "--reason", "of another territory"]);
    // Another urgent one soon has a round of its own, over all that was before it.
    publish(stage);
    let entries = stage.objects(AUDITOR, &["audit", "entries"]).len() as u64;
    until("witnesses are asked", || journal(stage)["round"].as_u64().is_some_and(|size| size >= entries));
    id
}

pub(super) fn cosign(stage: &Stage) {
    for office in ["iachr", "ohchr-mexico", "ohchr-guatemala", "ohchr-honduras", "ohchr-colombia"] {
        stage.well(office, &["witness", "--once"]);
    }
    assert_eq!(journal(stage)["witnessed"], true);
}

/// Writes evidence of a home, and gives the file's path.
fn written(stage: &Stage, home: &str, id: &str, more: &[&str]) -> String {
    let path = stage.path(&format!("{home}-{}.evidence", more.len()));
    let path = path.to_str().unwrap().to_owned();
    let _ = fs::remove_file(&path);
    stage.well(home, &[&["audit", "message", id, "--evidence", &path][..], more].concat());
    path
}

pub(super) fn verify(stage: &Stage, file: &str, more: &[&str]) -> Ran {
    let trust = stage.path("iachr/trust.toml");
    // No home is named, and there is no line.
    let mut command = Command::new(PROGRAM);
    command.args(["verify", file, "--trust"]).arg(trust).args(more).env_remove("RESGUARDO_HOME");
    run(&mut command)
}

fn proved(stage: &Stage, file: &str) -> Value {
    let ran = verify(stage, file, &["--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    objects(&ran.out).remove(0)
}

fn stages(proved: &Value) -> Vec<(String, String)> {
    let text = |it: &Value| it.as_str().unwrap().to_owned();
    let statements = proved["statements"].as_array().unwrap();
    statements.iter().map(|it| (text(&it["office"]), text(&it["stage"]))).collect()
}

fn by_python(stage: &Stage, file: &str) -> Ran {
    let trust = stage.path("iachr/trust.toml");
    run(interpreter().arg(script("verify_evidence.py")).arg(file).arg("--trust").arg(trust))
}

#[test]
fn a_stranger_checks_what_sender_recipient_and_auditor_show() {
    let stage = Stage::set();
    let id = happened(&stage);
    let early = written(&stage, AUDITOR, &id, &[]);
    let ran = verify(&stage, &early, &[]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.out.starts_with("NOT WITNESSED YET"), "{}", ran.out);
    assert_eq!(by_python(&stage, &early).code, 7);
    cosign(&stage);

    let auditors = proved(&stage, &written(&stage, AUDITOR, &id, &[]));
    assert_eq!(auditors["message_id"], id.as_str());
    assert_eq!(auditors["journal"]["needed"], 4);
    assert_eq!(auditors["directory_witnessed"], auditors["directory_version"]);
    let all = stages(&auditors);
    for it in [("iachr", "received"), ("iachr", "read"), ("iachr", "acted"), ("ohchr-mexico", "declined")] {
        assert!(all.contains(&(it.0.to_owned(), it.1.to_owned())), "{it:?} in {all:?}");
    }
    let named = |proved: &Value| {
        let statements = proved["statements"].as_array().unwrap().clone();
        statements.iter().filter(|it| !it["officer"].is_null()).count()
    };
    assert_eq!(named(&auditors), 0);

    let path = written(&stage, SENDER, &id, &["--officers"]);
    let senders = proved(&stage, &path);
    assert_eq!((named(&senders), stages(&senders)), (3, all), "a name for each person's stage");
    assert_eq!(named(&proved(&stage, &written(&stage, SENDER, &id, &[]))), 0, "names are asked for");
    let recipients = proved(&stage, &written(&stage, "ohchr-mexico", &id, &[]));
    assert!(stages(&recipients).iter().all(|(office, _)| office == "ohchr-mexico"), "{recipients}");
    assert!(!stages(&recipients).is_empty());

    let sent = fs::read(&path).unwrap();
    let page = stage.path("page.html");
    for (language, word) in [("en", "PROVED"), ("es", "PROBADO"), ("fr", "PROUVÉ"), ("pt", "PROVADO")] {
        let ran = verify(&stage, &path, &["--language", language, "--html", page.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.starts_with(word), "{}", ran.out);
        let times = ran.out.lines().find(|line| line.ends_with(" UTC.")).unwrap();
        assert!(!times.starts_with('-'), "how times are read is no point that is proved: {times}");
        let html = fs::read_to_string(&page).unwrap();
        assert!(
            html.contains("<svg") && html.contains(word) && html.contains(&format!("lang=\"{language}\""))
        );
        assert!(html.contains(&format!("<p>{times}</p>")), "{html}");
        let outside = html.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "");
        assert!(!outside.contains("http") && !outside.contains("<script") && !outside.contains("src="));
    }
    assert_eq!(by_python(&stage, &path).code, 0);
    let home = Home::open(Arc::new(OsDisk), &stage.path(SENDER)).unwrap();
    let outgoing = Outbox::open(&home).unwrap().read_message(find::parse_message_id(&id).unwrap()).unwrap();
    let payload = &outgoing.payload[100..200];
    assert!(!sent.windows(payload.len()).any(|it| it == payload), "nothing of the payload");
    refused(&stage, &sent, &id);
}

/// What is tried on a file, and must be refused by both verifiers.
type Forgery = (&'static str, fn(&mut proto::Evidence));

const FORGERIES: &[Forgery] = &[
    ("time", |it| it.entries[0].recorded_unix_us += 1),
    ("identity", |it| it.entries[1].identity = it.entries[0].identity.clone()),
    ("kind", |it| it.entries[1].kind = 6),
    ("nonce", |it| it.entries[2].nonce = vec![0; 16].into()),
    ("order", |it| it.entries.swap(1, 2)),
    ("exchange", |it| {
        let other = it.entries[2].statement.clone();
        it.entries[1].statement = other;
    }),
    ("message", |it| drop(it.entries.remove(0))),
    ("founding", |it| drop(it.directory.remove(0))),
    ("path", |it| drop(it.entries[0].path.pop())),
    ("place", |it| it.entries[1].cover.as_mut().unwrap().place += 1),
    ("salt", |it| it.entries[1].cover.as_mut().unwrap().salt = vec![0; 16].into()),
    ("no cover", |it| it.entries[1].cover = None),
    ("checkpoint", |it| it.journal_checkpoint = it.directory_checkpoint.clone()),
    ("half a cosignature", |it| {
        let text = String::from_utf8(it.journal_checkpoint.to_vec()).unwrap();
        let mut lines: Vec<_> = text.split_inclusive('\n').collect();
        lines.pop();
        it.journal_checkpoint = lines.concat().into_bytes().into();
    }),
    ("half of the hub's", |it| {
        let text = String::from_utf8(it.journal_checkpoint.to_vec()).unwrap();
        let mut lines: Vec<_> = text.split_inclusive('\n').collect();
        lines.remove(4);
        it.journal_checkpoint = lines.concat().into_bytes().into();
    }),
    ("note", |it| it.notes[0].file_key = vec![0; 16].into()),
    ("notes", |it| {
        let other = it.notes[1].note.clone();
        it.notes[0].note = other;
    }),
];

fn refused(stage: &Stage, sent: &[u8], id: &str) {
    let path = stage.path("forged.evidence");
    let path = path.to_str().unwrap();
    for (what, forge) in FORGERIES {
        let mut evidence = proto::Evidence::decode(sent).unwrap();
        forge(&mut evidence);
        fs::write(path, evidence.encode_to_vec()).unwrap();
        let ran = verify(stage, path, &["--json"]);
        assert_eq!(ran.code, 5, "{what}: {ran:?}");
        assert_eq!(objects(&ran.out)[0]["object"], "error", "{what}: nothing of it is told");
        let ran = by_python(stage, path);
        assert_eq!(ran.code, 5, "{what}, by the other verifier: {ran:?}");
    }
    fs::write(path, &sent[..sent.len() - 1]).unwrap();
    assert_eq!(verify(stage, path, &[]).code, 5);
    fs::write(path, sent).unwrap();
    let another = stage.path("another.toml");
    fs::write(&another, format!("founding = \"{}\"", "ab".repeat(32))).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["verify", path, "--trust"]).arg(&another);
    let ran = run(&mut command);
    assert!(ran.code == 5 && ran.err.contains("another founding"), "{ran:?}");
    assert_eq!(verify(stage, "not-there", &[]).code, 2);
    let there = stage.run(SENDER, &["audit", "message", id, "--evidence", path]);
    assert!(there.code == 2 && there.err.contains("is there"), "{there:?}");
    let names = stage.run(AUDITOR, &["audit", "message", id, "--evidence", "new", "--officers"]);
    assert_eq!(names.code, 2, "{names:?}");
    let other = stage.run("ohchr-colombia", &["audit", "message", id, "--evidence", "new"]);
    assert_eq!(other.code, 3, "{other:?}");
}
