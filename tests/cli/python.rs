//! The Python client against a real hub, beside desks of the program itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::stage::{Running, Stage, example, run, until};

/// Python with gRPC, as `examples/python/setup` makes it.
fn python(stage: &Stage, home: &str, arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/python/venv/bin/python");
    assert!(program.exists(), "run examples/python/setup first: {} is missing", program.display());
    let mut command = Command::new(program);
    command.arg(root.join("examples/python/office.py")).arg("--home").arg(stage.path(home)).args(arguments);
    command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}

fn well(stage: &Stage, home: &str, arguments: &[&str]) -> String {
    let ran = run(&mut python(stage, home, arguments));
    assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
    ran.out
}

/// The word after another one.
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    let mut words = text.split_whitespace();
    words.find(|it| *it == word).and_then(|_| words.next()).unwrap_or_else(|| panic!("no {word} in {text:?}"))
}

fn pending(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|it| it == "pending")).collect()
}

#[test]
fn python_and_the_program_publish_receive_acknowledge_and_audit_alike() {
    let stage = Stage::set();
    let mut receiving = Running::of(&mut python(&stage, "iachr", &["receive", "--count", "2"]));
    let published = well(&stage, "ohchr-honduras", &["publish", &example()]);
    let id = after(&published, "published").to_owned();
    assert_eq!(
        receiving.line(),
        format!("received {id} EXERCISE from urn:resguardo:office:ohchr-honduras:desk-1")
    );
    let of_the_program = &stage.objects("ohchr-mexico", &["publish", "alert", &example()])[0];
    let other = of_the_program["message_id"].as_str().unwrap();
    assert!(receiving.line().starts_with(&format!("received {other} EXERCISE")));
    assert_eq!(receiving.end().code(), Some(0));

    // A desk of the program takes the Python client's message for whole, and holds its envelope to its alert.
    let received = stage.objects("ohchr-guatemala", &["subscribe", "--count", "2"]);
    let message =
        received.iter().find(|it| it["object"] == "message" && it["message_id"] == id.as_str()).unwrap();
    assert_eq!((&message["priority"], &message["status"]), (&"urgent".into(), &"Exercise".into()));
    assert!(received.iter().all(|it| it["object"] != "unreadable"), "{received:?}");
    assert_eq!(well(&stage, "iachr", &["show", other]), stage.well("ohchr-guatemala", &["export", other]));

    well(&stage, "iachr", &["ack", &id, "--stage", "read"]);
    well(&stage, "iachr", &["ack", &id, "--stage", "acted", "--action", "contacted-person"]);
    assert!(well(&stage, "iachr", &["ack", &id, "--stage", "read"]).contains("it was known"));
    let refused = run(&mut python(&stage, "iachr", &["ack", &id, "--stage", "acted"]));
    assert!(refused.code == 1 && refused.err.contains("FIELD_INVALID"), "{refused:?}");

    let history = &stage.objects("auditor-iachr", &["audit", "message", &id])[0];
    let stages = history["deliveries"][0]["stages"].as_array().unwrap();
    assert_eq!(
        stages.iter().map(|it| it["stage"].as_str().unwrap()).collect::<Vec<_>>(),
        ["received", "read", "acted"]
    );
    let told = well(&stage, "auditor-iachr", &["audit", &id]);
    assert!(told.contains("iachr: received") && told.contains("ohchr-colombia: nothing yet"), "{told}");
    assert_eq!(stage.objects("auditor-iachr", &["audit", "outstanding", "--office", "iachr"]).len(), 0);
}

#[test]
fn python_client_loses_nothing_while_the_hub_is_down_and_shows_nothing_twice() {
    let mut stage = Stage::set();
    let mut receiving = Running::of(&mut python(&stage, "iachr", &["receive", "--count", "2"]));
    let first = after(&well(&stage, "ohchr-honduras", &["publish", &example()]), "published").to_owned();
    assert!(receiving.line().contains(&first));
    stage.kill_hub();
    let outbox = stage.path("ohchr-honduras/python-outbox");
    let mut publishing = Running::of(&mut python(&stage, "ohchr-honduras", &["publish", &example()]));
    until("the message is kept while nobody listens", || !pending(&outbox).is_empty());
    stage.start_hub();
    let second = after(&publishing.line(), "published").to_owned();
    assert!(receiving.line().contains(&second), "the first must not come again");
    assert_eq!((publishing.end().code(), receiving.end().code()), (Some(0), Some(0)));
    assert!(pending(&outbox).is_empty());

    // Killed between keeping and handing in: the next run hands in the same bytes.
    let kept = outbox.join(format!("{second}.accepted"));
    fs::rename(&kept, outbox.join(format!("{second}.pending"))).unwrap();
    well(&stage, "ohchr-honduras", &["publish", &example()]);
    assert!(kept.exists() && pending(&outbox).is_empty());
    let deliveries = stage.objects("auditor-iachr", &["audit", "deliveries", "--office", "iachr"]);
    assert_eq!(deliveries.len(), 3, "the repetition is no message of its own");
    assert_eq!(well(&stage, "iachr", &["receive", "--count", "1"]).lines().count(), 1);
}
