//! Exports with real processes: what an auditor and offices write is checked by a stranger, and its figures are those of what was
//! done.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use resguardo::evidence::export::{Frame, Frames, Shown};
use serde_json::Value;

use super::evidence::{AUDITOR, SENDER, cosign, happened, verify};
use super::line::Way;
use super::stage::{PROGRAM, Stage, objects, run, until};

/// Exports for a home, and gives the file's path.
fn exported(stage: &Stage, home: &str, more: &[&str]) -> String {
    let path = stage.path(&format!("{home}-{}.export", more.len())).to_str().unwrap().to_owned();
    let _ = fs::remove_file(&path);
    stage.well(home, &[&["audit", "export", &path][..], more].concat());
    path
}

fn proved(stage: &Stage, file: &str) -> Value {
    let ran = verify(stage, file, &["--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    objects(&ran.out).remove(0)
}

/// How often offices stated stages of alerts, by the file; the example is an exercise.
fn stated(proved: &Value, office: &str) -> Option<(u64, [u64; 4])> {
    let offices = proved["others"]["offices"].as_array().unwrap();
    let of = offices.iter().find(|it| it["office"] == office && it["class"] == "alert")?;
    let count = |stage: &str| of["stages"][stage]["count"].as_u64().unwrap();
    Some((of["messages"].as_u64().unwrap(), ["received", "read", "acted", "declined"].map(count)))
}

/// The entries that a file shows, by their indexes, those of the directory left out.
fn shown(file: &str) -> Vec<(u64, Shown)> {
    let mut frames = Frames::of(fs::File::open(file).unwrap()).unwrap();
    let (mut directory, mut next, mut all) = (BTreeSet::new(), 0, Vec::new());
    while let Some(frame) = frames.frame().unwrap() {
        while directory.contains(&next) {
            next += 1;
        }
        match frame {
            Frame::Head(head) => next = head.from.0,
            Frame::Directory(entry) => drop(directory.insert(entry.index.0)),
            Frame::Hidden(_) => next += 1,
            Frame::Shown(entry) => {
                all.push((next, entry));
                next += 1;
            }
        }
    }
    all
}

#[test]
fn what_auditor_and_offices_export_is_checked_and_counts_what_was_done() {
    let stage = Stage::set();
    happened(&stage);
    let early = exported(&stage, AUDITOR, &[]);
    let ran = verify(&stage, &early, &[]);
    assert!(ran.code == 7 && ran.out.starts_with("NOT WITNESSED YET"), "{ran:?}");
    cosign(&stage);

    let path = exported(&stage, AUDITOR, &[]);
    let all = proved(&stage, &path);
    assert_eq!((&all["object"], &all["hidden"], &all["uncounted"]), (&"export".into(), &0.into(), &0.into()));
    assert_eq!(all["directory_witnessed"], all["directory_version"]);
    assert_eq!(all["shown"], all["entries"]);
    let sent = &all["others"]["published"][0];
    assert_eq!(
        (&sent["class"], &sent["office"], &sent["messages"]),
        (&"alert".into(), &SENDER.into(), &2.into())
    );
    assert_eq!(stated(&all, "iachr"), Some((2, [1, 1, 1, 0])));
    assert_eq!(stated(&all, "ohchr-mexico"), Some((2, [1, 0, 0, 1])));
    assert_eq!(stated(&all, "ohchr-guatemala"), Some((2, [0; 4])));
    assert_eq!(all["real"]["offices"], Value::Array(Vec::new()));

    // The sender sees what all stated of its messages, a recipient what it stated itself, a stranger neither.
    let senders = proved(&stage, &exported(&stage, SENDER, &["--from", "0"]));
    // What the hub refused somebody is for who was refused alone.
    let refusals = all["kinds"]["refusal"].as_u64().unwrap_or(0);
    let hidden = senders["hidden"].as_u64().unwrap();
    assert!(hidden <= refusals, "all that happened was about its messages: {senders}");
    assert_eq!(stated(&senders, "iachr"), Some((2, [1, 1, 1, 0])));
    assert_eq!(stated(&senders, "ohchr-mexico"), Some((2, [1, 0, 0, 1])));
    let recipients = proved(&stage, &exported(&stage, "ohchr-mexico", &[]));
    let hidden = recipients["hidden"].as_u64().unwrap();
    assert!((3..=3 + refusals).contains(&hidden), "what the others stated: {recipients}");
    assert_eq!(stated(&recipients, "ohchr-mexico"), Some((2, [1, 0, 0, 1])));
    assert_eq!(stated(&recipients, "iachr"), Some((2, [0; 4])));
    let others = proved(&stage, &exported(&stage, "ohchr-colombia", &[]));
    assert_eq!(others["others"]["published"], Value::Array(Vec::new()));
    assert_eq!(others["entries"], all["entries"]);

    for home in [AUDITOR, SENDER, "ohchr-mexico", "ohchr-colombia"] {
        no_more_than_the_audit(&stage, home);
    }
    told(&stage, &path);
    refused(&stage, &path);
}

/// What an export shows is what the audit lists, and beyond that what evidence shows: who stated what of one's own messages.
fn no_more_than_the_audit(stage: &Stage, home: &str) {
    let audit = stage.objects(home, &["audit", "entries"]);
    let listed: BTreeSet<_> = audit.iter().filter_map(|it| it["index"].as_u64()).collect();
    let shown = shown(&exported(stage, home, &["--to", "1s"]));
    let beyond: Vec<_> = shown.iter().filter(|(index, _)| !listed.contains(index)).collect();
    assert!(beyond.iter().all(|(_, it)| !it.covers.is_empty()), "{home}: {beyond:?}");
    assert!(home == SENDER || beyond.is_empty(), "{home}: {beyond:?}");
    assert!(home == "ohchr-colombia" || !shown.is_empty(), "{home}");
    if home == AUDITOR {
        let of_directory = audit.iter().filter(|it| it["kind"] == "directory").count();
        assert!(shown.len() + of_directory <= listed.len() && shown.len() > 5, "{} {listed:?}", shown.len());
    }
}

fn told(stage: &Stage, path: &str) {
    let page = stage.path("figures.html");
    for (language, word) in [("en", "PROVED"), ("es", "PROBADO"), ("fr", "PROUVÉ"), ("pt", "PROVADO")] {
        let ran = verify(stage, path, &["--language", language, "--html", page.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.out.starts_with(word) && ran.out.contains("ohchr-mexico"), "{}", ran.out);
        let html = fs::read_to_string(&page).unwrap();
        assert!(html.contains("<table>") && html.contains(word) && html.contains("ohchr-mexico"));
        assert!(html.contains(&format!("lang=\"{language}\"")));
        let outside = html.replace("http-equiv", "");
        assert!(!outside.contains("http") && !outside.contains("<script") && !outside.contains("src="));
        for name in ["uty officer", "desk-1", "urn:resguardo:office"] {
            assert!(!html.contains(name), "{name} is no office");
        }
    }
}

fn refused(stage: &Stage, path: &str) {
    let sent = fs::read(path).unwrap();
    let forged = stage.path("forged.export");
    let forged = forged.to_str().unwrap();
    let cut = &sent[..sent.len() - 1];
    let mut changed = sent.clone();
    changed[sent.len() - 40] ^= 1;
    let further = [&sent[..], &sent[sent.len() - 60..]].concat();
    for (what, bytes) in [("cut", cut), ("changed", &changed), ("further", &further)] {
        fs::write(forged, bytes).unwrap();
        let ran = verify(stage, forged, &["--json"]);
        assert_eq!(ran.code, 5, "{what}: {ran:?}");
        assert_eq!(objects(&ran.out)[0]["object"], "error", "{what}: nothing of it is told");
    }
    fs::write(forged, "resguardo export 2\n").unwrap();
    let ran = verify(stage, forged, &[]);
    assert!(ran.code == 5 && ran.err.contains("take a newer program"), "{ran:?}");
    let another = stage.path("another.toml");
    fs::write(&another, format!("founding = \"{}\"", "ab".repeat(32))).unwrap();
    let ran = run(Command::new(PROGRAM).args(["verify", path, "--trust"]).arg(&another));
    assert_eq!(ran.code, 5, "{ran:?}");

    let there = stage.run(AUDITOR, &["audit", "export", path]);
    assert!(there.code == 2 && there.err.contains("is there"), "{there:?}");
    for (more, words) in [
        (["--from", "5", "--to", "3"], "no entry of the journal"),
        (["--from", "0", "--to", "999999"], "entries"),
        (["--from", "9999999", "--to", "2h"], "no entry of the journal"),
    ] {
        let ran = stage.run(AUDITOR, &[&["audit", "export", "new.export"][..], &more].concat());
        assert!(ran.code == 3 && ran.err.contains(words), "{ran:?}");
    }
    let ran = stage.run(AUDITOR, &["audit", "export", "/not-there/new.export"]);
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
fn nothing_is_left_of_an_export_whose_line_breaks() {
    let stage = Stage::set();
    happened(&stage);
    let whole = fs::metadata(exported(&stage, AUDITOR, &[])).unwrap().len();
    let line = stage.by_line(&[AUDITOR]);
    let bytes = usize::try_from(whole).unwrap() / 2;
    line.cut_after(Way::Down, [bytes]);
    let path = stage.path("broken.export");
    let ran = stage.run(AUDITOR, &["audit", "export", path.to_str().unwrap()]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(stage.names("", ".new"), Vec::<String>::new());
    assert!(!path.exists());
    stage.well(AUDITOR, &["audit", "export", path.to_str().unwrap()]);
    assert_eq!(verify(&stage, path.to_str().unwrap(), &[]).code, 7);
}

#[test]
fn an_office_is_shown_of_a_receipt_what_is_about_its_own_messages() {
    let stage = Stage::set();
    // On a busy machine the two may come apart, and then each has a receipt of its own.
    let mut from = 0;
    until("one receipt is about both", || {
        from = stage.objects(AUDITOR, &["audit", "entries"]).len();
        for (from, name) in [(SENDER, "one"), ("ohchr-colombia", "two")] {
            let alert = stage.alert(name);
            stage.well(from, &["publish", "alert", &alert, "--to", "iachr", "--unconfirmed-ok"]);
        }
        stage.well("iachr", &["subscribe", "--count", "2"]);
        let receipts = stage.objects(AUDITOR, &["audit", "receipts"]);
        receipts.last().unwrap()["messages"].as_array().unwrap().len() == 2
    });
    let (from, to) = (from.to_string(), stage.objects(AUDITOR, &["audit", "entries"]).len().to_string());
    let path = stage.path("own.export").to_str().unwrap().to_owned();
    let export = ["audit", "export", &path, "--from", &from, "--to", &to];
    until("a checkpoint covers all of it", || stage.run(SENDER, &export).code == 0);
    let ran = verify(&stage, &path, &["--json"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    let own = &objects(&ran.out)[0];
    let published = own["others"]["published"].as_array().unwrap();
    assert!(published.len() == 1 && published[0]["office"] == SENDER, "{own}");
    let received = &own["others"]["offices"][0]["stages"]["received"]["count"];
    assert_eq!((received, &own["others"]["offices"][0]["messages"]), (&1.into(), &1.into()));
    assert_eq!((&own["hidden"], &own["covers_hidden"]), (&1.into(), &1.into()), "the other office's alert");
    let receipts = shown(&path).into_iter().filter(|(_, it)| !it.covers.is_empty());
    assert_eq!(receipts.map(|(_, it)| it.covers.len()).sum::<usize>(), 1);
}
