//! The watch of a desk: its commands, and what runs beside it.

use std::fs;
use std::process::Command;

use super::stage::{Stage, example, run, until};

#[test]
fn a_command_gets_the_alert_and_is_run_again_only_if_it_failed() {
    let stage = Stage::set();
    let published = &stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one")])[0];
    let log = stage.path("log");
    let good = stage.path("good");
    let command = format!(
        "echo \"$RESGUARDO_MESSAGE_ID $RESGUARDO_STATUS $(cat | grep -o 'Titular [a-z]*')\" >> {}; echo said; test -e {}",
        log.display(),
        good.display()
    );
    let arguments = ["--json", "subscribe", "--exec", &command];
    let mut watch = stage.start("iachr", &arguments);
    assert_eq!(watch.object("command")["ok"], false);
    watch.signal("TERM");
    assert_eq!(watch.end().code(), Some(0));
    fs::write(&good, "").unwrap();
    let mut watch = stage.start("iachr", &arguments);
    assert_eq!(watch.object("command")["ok"], true);
    watch.signal("TERM");
    assert_eq!(watch.end().code(), Some(0));
    // A third watch has nothing left to run but what is new.
    let mut watch = stage.start("iachr", &arguments);
    watch.object("started");
    let second = &stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("two")])[0];
    assert_eq!(watch.object("command")["message_id"], second["message_id"]);
    let line = |published: &serde_json::Value, name| {
        format!("{} Exercise Titular {name}", published["message_id"].as_str().unwrap())
    };
    let lines = [line(published, "one"), line(published, "one"), line(second, "two")];
    assert_eq!(fs::read_to_string(&log).unwrap().lines().collect::<Vec<_>>(), lines);
}

#[test]
fn one_watch_a_home_and_everything_else_beside_it() {
    let stage = Stage::set();
    let mut watch = stage.start("iachr", &["--json", "subscribe"]);
    watch.object("started");
    let second = stage.run("iachr", &["subscribe"]);
    assert!(second.code == 1 && second.err.contains("another `resguardo subscribe`"), "{second:?}");
    stage.well("ohchr-honduras", &["publish", "alert", &stage.alert("one")]);
    let id = watch.object("message")["message_id"].as_str().unwrap().to_owned();
    stage.well("iachr", &["ack", &id, "--stage", "read"]);
    stage.well("iachr", &["publish", "alert", &example()]);
    assert_eq!(stage.objects("iachr", &["inbox"]).len(), 1);
}

#[test]
fn a_watch_outlives_its_hub_and_goes_on() {
    let mut stage = Stage::set();
    let mut watch = stage.start("iachr", &["--json", "subscribe"]);
    watch.object("started");
    stage.kill_hub();
    let lost = watch.object("lost")["message"].to_string();
    // Reset, where the killed hub had not read all that was sent to it.
    assert!(["the line was cut", "connection reset"].iter().any(|said| lost.contains(said)), "{lost}");
    stage.start_hub();
    watch.object("started");
    let published = &stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one")])[0];
    assert_eq!(watch.object("message")["message_id"], published["message_id"]);
}

#[test]
fn a_reader_that_goes_away_ends_a_listing_quietly() {
    let stage = Stage::set();
    // `true` reads nothing and is gone before the first row comes.
    let program = stage.command("auditor-iachr", &[]).get_program().to_owned();
    let script = format!(
        "({} --home {} audit entries --json; echo \"ended with $?\" >&2) | true",
        program.display(),
        stage.path("auditor-iachr").display()
    );
    let ran = run(Command::new("sh").arg("-c").arg(script));
    assert_eq!(ran.err.trim(), "ended with 0");
}

#[test]
fn a_command_that_hangs_ends_with_the_watch() {
    let stage = Stage::set();
    stage.well("ohchr-honduras", &["publish", "alert", &example()]);
    let pid = stage.path("pid");
    let command = format!("echo $$ > {0}.part; mv {0}.part {0}; exec sleep 600", pid.display());
    let watch = stage.start("iachr", &["--json", "subscribe", "--exec", &command]);
    until("the command runs", || pid.exists());
    watch.signal("TERM");
    assert_eq!(watch.end().code(), Some(0));
    let pid = fs::read_to_string(&pid).unwrap();
    let there = || Command::new("kill").args(["-0", pid.trim()]).output().unwrap().status.success();
    until("the command is gone", || !there());
}
