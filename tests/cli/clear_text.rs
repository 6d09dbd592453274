//! That nothing of what people write is readable anywhere but where it was opened: words of an alert, of a person, of a
//! packet and of a note are looked for in all that is kept, sent to others, logged, measured and backed up.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use memchr::memmem;

use super::packets::source;
use super::stage::{Stage, objects, until};

/// One word for each thing that is written; each stands nowhere else.
const WORDS: [&str; 5] =
    ["headline-4c91", "defender-4c91", "packet-title-4c91", "packet-content-4c91", "officer-note-4c91"];

/// Which of the words some bytes hold.
fn found(bytes: &[u8]) -> Vec<&'static str> {
    let holds = |word: &&str| memmem::find(bytes, word.as_bytes()).is_some();
    WORDS.into_iter().filter(holds).collect()
}

/// Which of the words any file below a folder holds.
fn found_below(dir: &Path) -> Vec<(String, Vec<&'static str>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(found_below(&path));
        } else {
            let words = found(&fs::read(&path).unwrap_or_default());
            if !words.is_empty() {
                all.push((path.display().to_string(), words));
            }
        }
    }
    all
}

/// Which of the words a process has in its memory; `None`: the system does not let it be read.
fn found_in_memory(id: u32) -> Option<Vec<&'static str>> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).ok()?;
    let mut memory = fs::File::open(format!("/proc/{id}/mem")).ok()?;
    let (mut all, mut read_bytes) = (Vec::new(), 0);
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        memory.seek(SeekFrom::Start(from)).ok()?;
        // Some pages are not there to be read.
        if memory.read_exact(&mut bytes).is_ok() {
            read_bytes += bytes.len();
            all.extend(found(&bytes));
        }
    }
    (read_bytes > 1 << 20).then_some(all)
}

#[test]
fn words_of_the_clear_text_are_nowhere() {
    let mut stage = Stage::without_hub();
    stage.logs = (vec!["--log", "json"], "trace");
    let config = fs::read_to_string(stage.path("hub/hub.toml")).unwrap();
    fs::write(stage.path("hub/hub.toml"), format!("{config}metrics = \"127.0.0.1:0\"\n")).unwrap();
    stage.start_hub();
    let alert = stage.alert(WORDS[0]);
    let persons = "[[person]]\nkind = \"person\"\nname = \"defender-4c91\"\nname_to_government = \"yes\"\n";
    let person = stage.file("persons.toml", persons);
    let published = stage.objects("ohchr-honduras", &["publish", "alert", &alert, "--person", &person]);
    let id = published[0]["message_id"].as_str().unwrap().to_owned();
    let file = source(&stage, "report", "packet-content-4c91 ".repeat(9_000).as_bytes());
    let packet = ["--json", "publish", "packet", &file, "--title", WORDS[2], "--to", "iachr"];
    stage.well("ohchr-honduras", &packet);
    let mut watch = stage.start("iachr", &["--json", "subscribe"]);
    let told = watch.objects_until(&["message", "message", "files"]);
    assert!(told.iter().any(|it| it["headline"].as_str().is_some_and(|line| line.contains(WORDS[0]))));
    stage.well("iachr", &["ack", &id, "--stage", "read", "--reason", WORDS[4]]);
    // Those for whom it is open it, by hand.
    let seen = stage.objects("ohchr-honduras", &["audit", "message", &id]).remove(0);
    let receipts = seen["receipts"].as_array().unwrap();
    assert!(receipts.iter().any(|it| it["note"] == WORDS[4] && it["officer"] == "Duty officer"), "{seen}");
    let stages =
        seen["deliveries"].as_array().unwrap().iter().flat_map(|it| it["stages"].as_array().unwrap());
    assert!(stages.clone().any(|it| it["stage"] == "read" && it["signed"] == true), "{seen}");
    assert!(stages.clone().all(|it| it["stage"] == "read" || it["signed"].is_null()), "{seen}");
    // A draft that waits, and an office that has not opened what came.
    stage.well("ohchr-mexico", &["subscribe", "--count", "1"]);
    let backup = stage.path("backup");
    stage.well("hub", &["hub", "backup", backup.to_str().unwrap()]);
    for home in ["auditor-iachr", "operator-dev"] {
        for call in [&["audit", "entries"][..], &["audit", "deliveries"], &["hub", "status"]] {
            let ran = stage.run(home, &[&["--json"], call].concat());
            assert_eq!(found(ran.out.as_bytes()), [""; 0], "{home} {call:?}");
        }
    }
    match found_in_memory(stage.hub_id()) {
        Some(words) => assert_eq!(words, [""; 0], "the hub's memory"),
        // As root it can be read, unless the system is hardened further.
        None => println!("the hub's memory could not be read, and was not searched"),
    }
    stage.kill_hub();
    let waits = stage.run("ohchr-honduras", &["publish", "alert", &alert, "--to", "iachr"]);
    assert_eq!(waits.code, 4, "{waits:?}");
    watch.signal("TERM");
    assert!(watch.end().success());
    for written in [&alert, &person, &file] {
        fs::remove_file(written).unwrap();
    }
    assert_eq!(found_below(&stage.path("")), [], "homes, hub, its log, the backup");
    // The search finds what is there: the note, once it is written out.
    stage.start_hub();
    let shown = objects(&stage.well("ohchr-honduras", &["--json", "audit", "message", &id]));
    fs::write(stage.path("shown"), shown[0].to_string()).unwrap();
    until("it is found", || found_below(&stage.path("")).len() == 1);
}
