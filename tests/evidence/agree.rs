//! The comparison.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use prost::Message as _;
use resguardo::wire::proto;
use serde_json::{Value, json};

use crate::forged::{self, Forgery};
use crate::world::{Chance, World};

/// How many histories are made where nothing else is said: each forgery is in one of them.
const HISTORIES: u64 = 130;

/// Reads a number of the environment.
fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("the variable is a number"))
}

/// A history as a file.
struct Made {
    seed: u64,
    forgery: Option<&'static str>,
    file: PathBuf,
    trust: PathBuf,
}

/// Makes the history of a seed; odd ones have a forgery.
fn made(seed: u64, dir: &Path) -> Made {
    let mut world = World::happened(seed);
    let mut forgery = None;
    let trust = dir.join(format!("{seed}.trust"));
    fs::write(&trust, world.trust().to_text()).expect("a step of the test");
    let forgeries = forged::all();
    let first = usize::try_from(seed / 2).expect("it is small");
    let mut bytes = Vec::new();
    let chance = Chance::new(seed ^ u64::MAX);
    let tried = if seed % 2 == 1 { forgeries.len() } else { 0 };
    for place in first..first + tried {
        let (name, forge) = forgeries[place % forgeries.len()];
        let done = match forge {
            Forgery::Colluding(forge) => {
                let done = forge(&mut world);
                bytes = world.evidence().to_bytes().to_vec();
                done
            }
            Forgery::InFile(forge) => {
                let mut wire =
                    proto::Evidence::decode(world.evidence().to_bytes()).expect("a step of the test");
                let done = forge(&mut wire, &chance);
                bytes = wire.encode_to_vec();
                done
            }
            Forgery::InBytes(forge) => {
                bytes = world.evidence().to_bytes().to_vec();
                forge(&mut bytes, &chance)
            }
        };
        if done {
            forgery = Some(*name);
            break;
        }
    }
    if forgery.is_none() {
        bytes = world.evidence().to_bytes().to_vec();
    }
    let file = dir.join(format!("{seed}.evidence"));
    fs::write(&file, bytes).expect("a step of the test");
    Made { seed, forgery, file, trust }
}

/// What `resguardo verify` makes of a file: its exit code, and what it says.
fn by_program(made: &Made) -> (i32, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_resguardo"));
    command.args(["--json", "verify"]).arg(&made.file).arg("--trust").arg(&made.trust);
    let output = command.env_remove("RESGUARDO_HOME").output().expect("a step of the test");
    let said = String::from_utf8(output.stdout).expect("it is text");
    let object = said.lines().next().map(serde_json::from_str).expect("it says something");
    (output.status.code().unwrap_or(-1), object.expect("it is an object"))
}

/// What the other verifier makes of all of them, in one process.
fn by_python(all: &[Made]) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let interpreter = root.join("target/python/venv/bin/python");
    assert!(interpreter.exists(), "run examples/python/setup first");
    let mut command = Command::new(interpreter);
    command.arg(root.join("tests/evidence/many.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("a step of the test");
    let mut stdin = child.stdin.take().expect("it was asked for");
    let mut answers = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let told = all.iter().map(|made| {
        writeln!(stdin, "{}\t{}", made.file.display(), made.trust.display()).expect("a step of the test");
        let line = answers.next().unwrap_or_else(|| panic!("it ended at seed {}", made.seed));
        serde_json::from_str(&line.expect("a step of the test")).expect("it is an object")
    });
    let told = told.collect();
    drop(stdin);
    assert!(child.wait().expect("a step of the test").success());
    told
}

fn micros(time: &Value) -> Value {
    let Some(text) = time.as_str() else { return Value::Null };
    let time: jiff::Timestamp = text.parse().expect("it is a time");
    json!(time.as_microsecond())
}

/// What the program says, in the other's words.
fn facts(said: &Value) -> Value {
    let list = |key: &str| said[key].as_array().cloned().unwrap_or_default();
    let mut all = BTreeMap::new();
    for it in list("statements") {
        let officer = &it["officer"]["name"];
        all.insert(it["index"].as_u64(), json!({
            "index": it["index"], "recorded_us": micros(&it["recorded_at"]), "desk": it["desk"], "stage": it["stage"],
            "at_us": micros(&it["at"]), "action": it["action"], "reason": it["reason"], "attended": it["attended"],
            "officer": officer,
        }));
    }
    for it in list("missed") {
        let missed = if it["stage"].is_null() { &it["obligation"] } else { &it["stage"] };
        all.insert(it["index"].as_u64(), json!({
            "index": it["index"], "recorded_us": micros(&it["recorded_at"]), "office": it["office"], "missed": missed,
            "due_us": micros(&it["due_at"]),
        }));
    }
    for it in list("erased") {
        let by = if it["ordered_by"].is_null() {
            json!("kept as long as policy asks")
        } else {
            it["ordered_by"].clone()
        };
        all.insert(
            it["index"].as_u64(),
            json!({
                "index": it["index"], "recorded_us": micros(&it["recorded_at"]), "erased": by,
            }),
        );
    }
    let reached = micros(&said["not_after"]).as_i64().map(|it| it / 1_000_000);
    let recipients: Vec<_> = list("recipients").iter().map(|it| it["office"].clone()).collect();
    let cosigned: Vec<_> = said["journal"]["cosigned"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(|it| it["office"].clone())
        .collect();
    json!({
        "message_id": said["message_id"], "sender": said["sender"], "recipients": recipients,
        "payload_digest": said["payload_digest"], "recorded_us": micros(&said["recorded_at"]),
        "said": all.into_values().collect::<Vec<_>>(), "witnessed": said["witnessed"], "not_after_s": reached,
        "needed": said["journal"]["needed"], "cosigned": cosigned,
        "directory_version": said["directory_version"], "directory_witnessed": said["directory_witnessed"],
    })
}

#[test]
fn two_verifiers_say_the_same_of_random_histories_and_of_every_forgery() {
    let dir = tempfile::tempdir().expect("a step of the test");
    let first = number("RESGUARDO_SEED", 0);
    let all: Vec<_> = (first..first + number("RESGUARDO_HISTORIES", HISTORIES))
        .map(|seed| made(seed, dir.path()))
        .collect();
    let (mut wrong, mut counts) = (String::new(), BTreeMap::<_, usize>::new());
    for (made, other) in all.iter().zip(by_python(&all)) {
        let (code, said) = by_program(made);
        let forgery = made.forgery.unwrap_or("nothing forged");
        let same = other["code"] == code && (code == 5 || facts(&said) == other["proved"]);
        *counts.entry((made.forgery.is_some(), code)).or_default() += 1;
        if !same {
            let told = if code == 5 { said["message"].clone() } else { facts(&said) };
            let _ = writeln!(wrong, "seed {}, {forgery}: {code}: {told}\n  the other: {other}", made.seed);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    println!("whether forged, exit code and how often: {counts:?}");
    let count = |forged, code| counts.get(&(forged, code)).copied().unwrap_or_default();
    // Else nothing would be compared.
    assert!(2 * count(false, 0) >= all.len() / 4, "too few histories hold: {counts:?}");
    assert!(2 * count(true, 5) >= all.len() / 4, "too few forgeries are refused: {counts:?}");
}
