//! Exit codes: what each kind of failure ends with, and what it leaves.

use std::fs;
use std::process::{Command, Stdio};

use super::alerts::alert;
use super::stage::{Stage, example, objects, run, until};

#[test]
fn bad_input_ends_with_2_and_leaves_nothing() {
    let stage = Stage::set();
    let public = stage.file("public", &alert("one", "").replace("Restricted", "Public"));
    let broken = stage.file("broken", &alert("two", "").replace("<scope>Restricted</scope>", ""));
    let auditor = ("auditor-iachr", "only an office's desk");
    let office = "ohchr-honduras";
    for ((home, words), arguments) in [
        ((office, "cannot read"), &["publish", "alert", "/nowhere.xml"][..]),
        ((office, "cannot read"), &["demo", "--alert", "/nowhere.xml"]),
        ((office, "line 2, column"), &["demo", "--alert", &broken]),
        ((office, "--allow-public"), &["publish", "alert", &public]),
        ((office, "line 2, column"), &["publish", "alert", &broken]),
        ((office, "there is no stream weather"), &["publish", "alert", &example(), "--stream", "weather"]),
        ((office, "there is no office ohchr-peru"), &["publish", "alert", &example(), "--to", "ohchr-peru"]),
        ((office, "is not a name"), &["publish", "alert", &example(), "--to", "Peru"]),
        ((office, "--wait"), &["publish", "alert", &example(), "--timeout", "5s"]),
        ((office, "duration"), &["publish", "alert", &example(), "--wait", "read", "--timeout", "soon"]),
        (auditor, &["publish", "alert", &example()]),
        (auditor, &["subscribe"]),
        (auditor, &["publish", "pending"]),
        ((office, "at least 6 characters"), &["show", "abc"]),
        ((office, "no message of this home"), &["ack", "abcdef", "--stage", "read"]),
        ((office, "possible values"), &["ack", "abcdef", "--stage", "seen"]),
        ((office, "unrecognized subcommand"), &["dance"]),
        (("hub", "is not a desk's home"), &["inbox"]),
        (("hub/hub.toml", "is not a desk's home"), &["inbox"]),
    ] {
        let ran = stage.run(home, arguments);
        assert!(ran.code == 2 && ran.err.contains(words), "{arguments:?}: {ran:?}");
    }
    assert!(stage.names("ohchr-honduras/outbox", "").iter().all(|name| name == "lock"));
    let ran = stage.run("ohchr-honduras", &["publish", "alert", &public, "--allow-public"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_statement_that_makes_no_sense_ends_with_2_and_is_not_kept() {
    let stage = Stage::set();
    let published = &stage.objects("ohchr-honduras", &["publish", "alert", &example()])[0];
    let id = published["message_id"].as_str().unwrap();
    stage.well("iachr", &["subscribe", "--count", "1"]);
    for (words, arguments) in [
        ("needs a reason", &["--stage", "declined"][..]),
        ("what was done", &["--stage", "acted"]),
        ("only `acted` has an action", &["--stage", "read", "--action", "relocation"]),
        ("needs a reason", &["--stage", "acted", "--action", "none"]),
    ] {
        let ran = stage.run("iachr", &[&["ack", id][..], arguments].concat());
        assert!(ran.code == 2 && ran.err.contains(words), "{arguments:?}: {ran:?}");
    }
    let own = stage.run("ohchr-honduras", &["ack", id, "--stage", "read"]);
    assert!(own.code == 2 && own.err.contains("own"), "{own:?}");
    assert!(stage.names("iachr/outbox", "receipt.pending").is_empty());
}

#[test]
fn a_refusal_ends_with_3_and_is_kept_aside() {
    let stage = Stage::set();
    // Its settings name another desk than its certificate.
    stage.rewrite("ohchr-honduras/desk.toml", "desk-1", "desk-2");
    let ran = stage.run("ohchr-honduras", &["--json", "publish", "alert", &example()]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let mut told = objects(&ran.out);
    // The desk that it says it is has other keys than this home.
    assert_eq!(told.remove(0)["alarm"], "own-keys-changed");
    assert_eq!((&told[0]["outcome"], &told[0]["reason"]), (&"refused".into(), &"SENDER_FOREIGN".into()));
    assert_eq!((&told[1]["object"], &told[1]["exit_code"]), (&"error".into(), &3.into()));
    assert_eq!(stage.names("ohchr-honduras/outbox", ".message.refused").len(), 1);
    assert!(stage.well("ohchr-honduras", &["publish", "pending"]).contains("Nothing waits"));
    let shown = stage.well("ohchr-honduras", &["show", told[0]["message_id"].as_str().unwrap()]);
    assert!(shown.contains("refused"), "{shown}");
}

#[test]
fn an_office_that_may_not_audit_a_message_is_refused_with_3() {
    let stage = Stage::set();
    let published = &stage.objects("ohchr-honduras", &["publish", "alert", &example(), "--to", "iachr"])[0];
    let id = published["message_id"].as_str().unwrap();
    let ran = stage.run("ohchr-mexico", &["audit", "message", id]);
    assert!(ran.code == 3 && ran.err.contains("MESSAGE_UNKNOWN"), "{ran:?}");
}

#[test]
fn without_a_hub_it_ends_with_4_and_what_was_written_is_handed_in_later() {
    let mut stage = Stage::set();
    let first = &stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("one")])[0];
    stage.well("iachr", &["subscribe", "--count", "1"]);
    stage.kill_hub();
    let ran = stage.run("ohchr-honduras", &["--json", "publish", "alert", &stage.alert("two")]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.err.contains("kept in the outbox") && ran.err.contains("directory as of"), "{ran:?}");
    let id =
        objects(&ran.out).iter().find_map(|it| it["message_id"].as_str().map(ToOwned::to_owned)).unwrap();
    let read = stage.run("iachr", &["ack", first["message_id"].as_str().unwrap(), "--stage", "read"]);
    assert!(read.code == 4 && read.err.contains("with the time of now"), "{read:?}");
    assert!(stage.well("iachr", &["inbox"]).contains("read (waits)"));
    assert_eq!(stage.run("iachr", &["audit", "deliveries"]).code, 4);
    // An office that never saw the directory cannot resolve a stream, and says so; offices that it names it may write to.
    let unknown = stage.run("ohchr-mexico", &["publish", "alert", &example()]);
    assert!(unknown.code == 4 && unknown.err.contains("--to"), "{unknown:?}");
    // Whose keys are whose nobody can tell without a directory: a person answers for it.
    let named = ["publish", "alert", &example(), "--to", "iachr"];
    let unconfirmed = stage.run("ohchr-mexico", &named);
    assert!(unconfirmed.code == 2 && unconfirmed.err.contains("--unconfirmed-ok"), "{unconfirmed:?}");
    assert_eq!(stage.run("ohchr-mexico", &[&named[..], &["--unconfirmed-ok"]].concat()).code, 4);

    stage.start_hub();
    let handed_in = stage.objects("ohchr-honduras", &["publish", "pending"]);
    assert_eq!(
        (&handed_in[0]["message_id"], &handed_in[0]["outcome"]),
        (&id.as_str().into(), &"accepted".into())
    );
    assert_eq!(stage.objects("iachr", &["publish", "pending"])[0]["outcome"], "accepted");
    // The running watch of an office hands in what waits, too.
    let mut watch = stage.start("ohchr-mexico", &["subscribe", "--json"]);
    assert_eq!(watch.object("published")["outcome"], "accepted");
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries", "--office", "iachr"]);
    assert_eq!(rows.len(), 3, "{rows:?}");
    let history =
        &stage.objects("auditor-iachr", &["audit", "message", first["message_id"].as_str().unwrap()])[0];
    let read = &history["deliveries"][0]["stages"][1];
    assert!(
        read["at"].as_str() < read["recorded_at"].as_str(),
        "the office's time is that of the act: {read}"
    );
}

#[test]
fn what_the_hub_cannot_take_for_now_is_handed_in_again_and_not_given_up() {
    let mut stage = Stage::without_hub();
    for identifier in ["one", "two", "three"] {
        let alert = stage.alert(identifier);
        let publish = ["publish", "alert", &alert, "--to", "iachr", "--unconfirmed-ok"];
        assert_eq!(stage.run("ohchr-honduras", &publish).code, 4);
    }
    let limits = "[limits]\npublishes_per_s = 1\npublishes_burst = 1\n";
    let config = fs::read_to_string(stage.path("hub/hub.toml")).unwrap();
    fs::write(stage.path("hub/hub.toml"), format!("{config}\n{limits}")).unwrap();
    stage.start_hub();
    let handed_in = stage.objects("ohchr-honduras", &["publish", "pending"]);
    let accepted = handed_in.iter().filter(|it| it["outcome"] == "accepted").count();
    assert_eq!(accepted, 3, "{handed_in:?}");
    let refusals = stage.objects("auditor-iachr", &["audit", "entries"]);
    assert!(
        refusals.iter().any(|it| it.to_string().contains("RATE_EXCEEDED")),
        "none was beyond: {refusals:?}"
    );
}

#[test]
fn who_is_not_the_hub_ends_with_5_and_nothing_is_written() {
    let stage = Stage::set();
    let other = Stage::without_hub();
    fs::copy(other.path("ca/cert.pem"), stage.path("ohchr-honduras/tls/ca.pem")).unwrap();
    for arguments in [&["publish", "alert", &example()][..], &["subscribe"], &["audit", "deliveries"]] {
        let ran = stage.run("ohchr-honduras", arguments);
        assert!(ran.code == 5 && ran.err.contains("not trusted"), "{arguments:?}: {ran:?}");
    }
    assert!(stage.names("ohchr-honduras/outbox", ".pending").is_empty());
    // A certificate that the hub does not know: the hub refuses, with 3.
    for file in ["cert.pem", "key.pem"] {
        let file = format!("ohchr-mexico/tls/{file}");
        fs::copy(other.path(&file), stage.path(&file)).unwrap();
    }
    assert_eq!(stage.run("ohchr-mexico", &["publish", "alert", &example()]).code, 3);
}

#[test]
fn a_damaged_message_is_told_with_5_and_the_others_are_shown() {
    let stage = Stage::set();
    for name in ["one", "two"] {
        stage.well("ohchr-honduras", &["publish", "alert", &stage.alert(name)]);
    }
    stage.well("iachr", &["subscribe", "--count", "2"]);
    let names = stage.names("iachr/inbox", ".kept");
    let path = stage.path("iachr/inbox").join(&names[0]);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let listed = stage.run("iachr", &["inbox"]);
    assert!(
        listed.code == 5 && listed.err.contains("damaged") && listed.out.contains("Titular two"),
        "{listed:?}"
    );
    let id = names[0].split('.').nth(1).unwrap();
    for command in ["show", "export"] {
        let ran = stage.run("iachr", &[command, id]);
        assert!(ran.code == 5 && ran.err.contains("checksum") && ran.out.is_empty(), "{ran:?}");
    }
    // It comes again on request, and is whole.
    let mut watch = stage.start("iachr", &["subscribe", "--json", "--replay-from", "0"]);
    let told = watch.object("warning");
    assert!(told["message"].as_str().unwrap().contains("it came again"), "{told}");
    watch.signal("TERM");
    assert_eq!(watch.end().code(), Some(0));
    assert!(stage.well("iachr", &["show", id]).contains("Titular one"));
}

#[test]
fn waiting_in_vain_ends_with_6_and_names_who_is_missing() {
    let stage = Stage::set();
    let arguments = ["publish", "alert", &example(), "--to", "iachr,ohchr-mexico", "--wait", "received"];
    let ran = stage.run("ohchr-honduras", &[&arguments[..], &["--timeout", "300ms"]].concat());
    assert!(ran.code == 6 && ran.err.contains("iachr, ohchr-mexico"), "{ran:?}");
    assert!(ran.out.contains("Accepted"), "{ran:?}");
}

#[test]
fn signals_end_with_130_and_143_and_a_watch_with_0() {
    let stage = Stage::set();
    for (signal, waiting, watching) in [("INT", 130, 0), ("TERM", 143, 0)] {
        let arguments = ["--json", "publish", "alert", &example(), "--to", "ohchr-mexico", "--wait", "read"];
        let mut publish = stage.start("ohchr-honduras", &arguments);
        publish.object("published");
        publish.signal(signal);
        let error = publish.object("error");
        assert!(error["exit_code"] == waiting && error["message"].to_string().contains("stands"), "{error}");
        assert_eq!(publish.end().code(), Some(waiting));
        for (arguments, code) in
            [(&["--json", "subscribe"][..], watching), (&["--json", "subscribe", "--count", "9"], waiting)]
        {
            let mut watch = stage.start("iachr", arguments);
            watch.object("started");
            watch.signal(signal);
            assert_eq!(watch.end().code(), Some(code), "{arguments:?} {signal}");
        }
    }
}

#[test]
fn a_signal_ends_what_waits_for_its_input() {
    let stage = Stage::without_hub();
    let pipe = stage.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (file, signal, code) in [("-", "INT", 130), ("-", "TERM", 143), (pipe.to_str().unwrap(), "INT", 130)]
    {
        let mut command = stage.command("ohchr-honduras", &["publish", "alert", file]);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let pid = child.id().to_string();
        // Until then a signal would end it without a word.
        let watched = || fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        until("it watches for signals", || catches(&watched(), code - 128));
        assert!(Command::new("kill").args([format!("-{signal}"), pid.clone()]).status().unwrap().success());
        until("the signal ends it", || child.try_wait().unwrap().is_some());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{file}");
    }
}

/// Reads from Linux's list of what a process catches.
fn catches(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
    u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal - 1) & 1 == 1
}

#[test]
fn an_alert_comes_through_a_pipe_as_well_as_from_a_file() {
    let stage = Stage::set();
    let alert = fs::File::open(example()).unwrap();
    let mut cat = Command::new("cat").stdin(alert).stdout(Stdio::piped()).spawn().unwrap();
    let mut command = stage.command("ohchr-honduras", &["publish", "alert", "/dev/stdin"]);
    let ran = run(command.stdin(cat.stdout.take().unwrap()));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(cat.wait().unwrap().success());
}

#[test]
fn a_disk_that_fails_before_the_alert_is_kept_is_told_as_what_it_is() {
    let stage = Stage::set();
    // A folder in the way of the directory's new copy stands for a disk that does not take it.
    fs::create_dir(stage.path("ohchr-honduras/directory.new")).unwrap();
    let ran = stage.run("ohchr-honduras", &["publish", "alert", &example()]);
    assert!(ran.code == 1 && ran.err.contains("Nothing was published"), "{ran:?}");
    assert!(stage.names("ohchr-honduras/outbox", ".message.pending").is_empty());
}
