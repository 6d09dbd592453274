//! The objects for programs: every name that is printed stands in `docs/json.md`; and what helps a person to begin.

use std::collections::BTreeSet;

use serde_json::Value;

use super::alerts::alert;
use super::stage::{Stage, example, objects, run};

const DOCUMENT: &str = include_str!("../../docs/json.md");

fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                into.insert(name.clone());
                names(value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, into)),
        _ => {}
    }
}

#[test]
fn every_name_is_documented() {
    let stage = Stage::set();
    let mut all = stage.objects("ohchr-honduras", &["publish", "alert", &example()]);
    let id = all[0]["message_id"].as_str().unwrap().to_owned();
    let mut watch = stage.start("iachr", &["--json", "subscribe", "--exec", "false"]);
    all.extend(watch.objects_until(&["started", "message", "acknowledged", "command"]));
    drop(watch);
    for (home, arguments) in [
        ("iachr", &["ack", &id, "--stage", "declined", "--reason", "no"][..]),
        ("iachr", &["inbox"]),
        ("iachr", &["show", &id]),
        ("ohchr-honduras", &["show", &id]),
        ("auditor-iachr", &["audit", "deliveries"]),
        ("auditor-iachr", &["audit", "receipts"]),
        ("auditor-iachr", &["audit", "outstanding"]),
        ("auditor-iachr", &["audit", "entries"]),
        ("auditor-iachr", &["audit", "message", &id]),
    ] {
        all.extend(stage.objects(home, arguments));
    }
    let mut watch = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    all.push(watch.object("notice"));
    let mut found = BTreeSet::new();
    for object in &all {
        names(object, &mut found);
        let kind = object["object"].as_str().unwrap();
        assert!(DOCUMENT.contains(&format!("`{kind}`")), "object {kind} is not in docs/json.md");
    }
    let missing: Vec<_> = found.iter().filter(|name| !DOCUMENT.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "not in docs/json.md: {missing:?}");
}

#[test]
fn each_command_has_an_example_and_the_program_its_exit_codes() {
    let stage = Stage::without_hub();
    let help = stage.well("iachr", &["--help"]);
    assert!(help.contains("Exit codes:"), "{help}");
    for command in [
        &["publish", "alert"][..],
        &["publish", "pending"],
        &["subscribe"],
        &["ack"],
        &["inbox"],
        &["show"],
        &["export"],
        &["completions"],
        &["audit", "deliveries"],
        &["audit", "receipts"],
        &["audit", "outstanding"],
        &["audit", "message"],
        &["audit", "entries"],
    ] {
        let help = stage.well("iachr", &[command, &["--help"]].concat());
        assert!(help.contains("Example"), "{command:?}: {help}");
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(stage.well("iachr", &["completions", shell]).contains("subscribe"));
    }
}

#[test]
fn what_cannot_be_understood_is_an_object_too() {
    let stage = Stage::without_hub();
    for arguments in [&["--json", "dance"][..], &["ack", "--json", "abcdef", "--stage", "seen"]] {
        let ran = stage.run("iachr", arguments);
        let [error] = &objects(&ran.out)[..] else { panic!("{arguments:?}: {ran:?}") };
        assert_eq!((&error["object"], &error["exit_code"]), (&"error".into(), &2.into()), "{ran:?}");
        assert!(!ran.err.is_empty());
    }
    let ran = stage.run("iachr", &["--json", "--help"]);
    assert!(ran.code == 0 && ran.out.contains("Usage:"), "{ran:?}");
}

#[test]
fn headline_is_in_the_readers_language_also_where_the_alert_leaves_english_unsaid() {
    let stage = Stage::set();
    let text = alert("one", "");
    let (from, to) = (text.find("<info>").unwrap(), text.find("</alert>").unwrap());
    let block = &text[from..to];
    let english = block.replace("<language>es</language>", "").replace("Titular", "Headline");
    let file = stage.file("two", &text.replace("</alert>", &format!("{english}</alert>")));
    stage.well("ohchr-honduras", &["publish", "alert", &file, "--to", "iachr"]);
    stage.well("iachr", &["subscribe", "--count", "1"]);
    for (language, headline) in [("en_US.UTF-8", "Headline one"), ("es_HN.UTF-8", "Titular one")] {
        let ran = run(stage.command("iachr", &["--json", "inbox"]).env("LANG", language));
        assert_eq!(objects(&ran.out)[0]["headline"], headline, "{language}");
    }
}
