//! Outputs that nobody reads: what was asked for is done all the same, and the exit code says how it went.

use std::process::{Command, Stdio};

use super::stage::{Ran, Stage, example, run};

/// Runs a command whose standard output is a pipe without a reader.
fn unread(command: &mut Command) -> Ran {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ran { code: output.status.code().unwrap_or(-1), out: String::new(), err }
}

#[test]
fn an_alert_and_a_statement_that_wait_say_so_with_4_also_when_nobody_reads_on() {
    let mut stage = Stage::set();
    stage.well("ohchr-honduras", &["publish", "alert", &example()]);
    let came = stage.objects("iachr", &["subscribe", "--count", "1"]);
    let came = came.iter().find(|it| it["object"] == "message").unwrap();
    let id = came["message_id"].as_str().unwrap();
    stage.kill_hub();
    let alert = example();
    for json in [&[][..], &["--json"]] {
        // With --json a warning comes first, before the alert is kept: it must not be the end.
        let publish = [json, &["publish", "alert", &alert, "--to", "iachr"]].concat();
        let ran = unread(&mut stage.command("ohchr-honduras", &publish));
        assert_eq!(ran.code, 4, "{publish:?}: {ran:?}");
        let ack = [json, &["ack", id, "--stage", "read"]].concat();
        let ran = unread(&mut stage.command("iachr", &ack));
        assert_eq!(ran.code, 4, "{ack:?}: {ran:?}");
    }
    assert_eq!(stage.names("ohchr-honduras/outbox", ".message.pending").len(), 2);
}

#[test]
fn a_set_is_whole_also_when_nobody_reads_what_is_in_it() {
    let stage = Stage::without_hub();
    let set = stage.path("another");
    let dir = set.to_str().unwrap();
    assert_eq!(unread(&mut stage.command("", &["certs", "dev", "--dir", dir])).code, 0);
    let ran = run(&mut stage.command("another/auditor-ohchr", &["inbox"]));
    assert_eq!(ran.code, 0, "{ran:?}");
}
