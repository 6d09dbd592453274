//! The library's examples, as a reader of them would run them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::stage::{PROGRAM, Ran, Stage, example, run};

/// An example, built beside the program.
fn of_the_library(name: &str) -> Command {
    let built = Path::new(PROGRAM).with_file_name("examples").join(name);
    assert!(built.exists(), "{} is missing: cargo build --examples makes it", built.display());
    Command::new(built)
}

fn well(ran: &Ran) -> &str {
    assert_eq!(ran.code, 0, "{ran:?}");
    &ran.out
}

#[test]
fn examples_publish_receive_and_audit() {
    let stage = Stage::set();
    let published = run(of_the_library("publish").arg(stage.path("ohchr-honduras")).arg(example()));
    assert!(well(&published).starts_with("published "), "{published:?}");
    let id = published.out.split_whitespace().nth(1).unwrap().to_owned();

    let mut receive = of_the_library("receive");
    receive.arg(stage.path("iachr")).arg("1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut receiving = receive.spawn().unwrap();
    receiving.stdin.take().unwrap().write_all(b"\n").unwrap();
    let received = receiving.wait_with_output().unwrap();
    let told = String::from_utf8(received.stdout).unwrap();
    assert!(received.status.success() && told.contains(&id) && told.contains("Accepted"), "{told}");

    let audited = run(of_the_library("audit").arg(stage.path("auditor-iachr")));
    let line = well(&audited).lines().find(|line| line.contains("iachr")).unwrap();
    assert!(line.contains("STAGE_RECEIVED STAGE_READ"), "{line}");
    assert_eq!(audited.out.lines().count(), 6);
}

#[test]
fn example_states_nothing_for_a_person_who_did_not_say_so() {
    let stage = Stage::set();
    let published = run(of_the_library("publish").arg(stage.path("ohchr-honduras")).arg(example()));
    well(&published);
    let received = run(of_the_library("receive").arg(stage.path("iachr")).arg("1").stdin(Stdio::null()));
    assert!(received.code == 1 && received.err.contains("nothing is stated"), "{received:?}");
    let receipts = stage.objects("auditor-iachr", &["audit", "receipts", "--office", "iachr"]);
    assert!(receipts.iter().all(|it| it["stage"] == "received"), "{receipts:?}");
}
