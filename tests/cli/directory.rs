//! The directory as two registrars make it, and as homes believe it: files, signatures, and hubs that show something else.

use std::fs;

use serde_json::Value;

use super::stage::Stage;

#[test]
fn only_what_both_registrars_signed_and_follows_changes_the_directory() {
    let stage = Stage::set();
    let path = |name: &str| stage.path(name).to_str().unwrap().to_owned();
    let (first, both, late, later) = (path("first"), path("both"), path("late"), path("later"));
    let kept_for = |registrar: &str, days: &str, to: &str| {
        stage.well(registrar, &["policy", "retention", "--days", days, "--to", to]);
    };
    kept_for("registrar-iachr", "30", &first);
    kept_for("registrar-ohchr", "40", &both);
    kept_for("registrar-ohchr", "50", &late);
    for file in [&both, &late] {
        stage.well("registrar-iachr", &["registrar", "sign", file, "--yes"]);
    }
    let garbage = stage.file("garbage", "no amendment");
    let refused = |home: &str, code: i32, words: &str, arguments: &[&str]| {
        let ran = stage.run(home, arguments);
        assert!(ran.code == code && ran.err.contains(words), "{home} {arguments:?}: {ran:?}");
    };
    refused("operator-dev", 3, "SIGNATURE_MISSING", &["hub", "directory", "add", &first]);
    refused("auditor-iachr", 3, "only operators and desks", &["hub", "directory", "add", &both]);
    refused("operator-dev", 2, "is not an amendment or rotation", &["hub", "directory", "add", &garbage]);
    stage.well("operator-dev", &["hub", "directory", "add", &both]);
    refused("operator-dev", 3, "STALE_DIRECTORY", &["hub", "directory", "add", &late]);
    // Whoever does not know whether it arrived hands it in again.
    stage.well("operator-dev", &["hub", "directory", "add", &both]);
    let days = stage.objects("iachr", &["policy", "list"]);
    assert!(days.iter().any(|it| it["object"] == "retention" && it["payload_days"] == 40));
    // What does not follow is not written in the first place, and nobody signs what he does not know.
    let new = path("new");
    let revoke = |who| ["office", "revoke", who, "--reason", "why", "--to", &new];
    let no_reason = ["office", "revoke", "ohchr-mexico", "--reason", "", "--to", &new];
    for (code, words, arguments) in [
        (2, "is headquarters", &revoke("iachr")[..]),
        (2, "not an office", &revoke("nobody")),
        (2, "neither an office", &revoke("urn:resguardo:auditor:iachr")),
        (2, "cannot stand in an amendment", &no_reason),
        (2, "is there already", &["policy", "retention", "--days", "9", "--to", &first]),
    ] {
        refused("registrar-iachr", code, words, arguments);
    }
    refused("operator-dev", 2, "is not a registrar's home", &revoke("ohchr-mexico"));
    refused("registrar-iachr", 2, "registrar update", &{
        stage.well("registrar-ohchr", &["registrar", "update", &both]);
        kept_for("registrar-ohchr", "60", &later);
        ["registrar", "sign", &later, "--yes"]
    });
    stage.well("registrar-iachr", &["registrar", "update", &both]);
    refused("registrar-iachr", 2, "nobody is here to answer", &["registrar", "sign", &later]);
    let forged = path("forged");
    let mut bytes = fs::read(&later).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&forged, bytes).unwrap();
    refused("registrar-iachr", 5, "signature is not of this key", &["registrar", "sign", &forged, "--yes"]);
    let stranger = ["registrar", "init", "un", "--institution", "iachr", "--insecure-dev-keys"];
    stage.well("stranger", &stranger);
    for file in ["trust.toml", "directory"] {
        fs::copy(stage.path("registrar-iachr").join(file), stage.path("stranger").join(file)).unwrap();
    }
    refused("stranger", 2, "no registrar of this directory", &["registrar", "sign", &later, "--yes"]);
    let twice =
        stage.run("registrar-ohchr", &["policy", "retention", "--days", "61", "--to", &path("twice")]);
    assert!(twice.code == 0 && twice.err.contains("signed another amendment"), "{twice:?}");
    fs::remove_file(stage.path("stranger/trust.toml")).unwrap();
    refused("stranger", 5, "trust.toml is gone", &["registrar", "sign", &later, "--yes"]);
    refused("operator-dev", 2, "there is no office nobody", &["office", "show", "nobody"]);
    refused("operator-dev", 3, "AUDIT_NOT_ALLOWED", &["audit", "deliveries"]);
    let entries = stage.objects("auditor-iachr", &["audit", "entries"]);
    let changes: Vec<_> = entries.iter().filter(|one| one["kind"] == "directory").collect();
    assert_eq!(changes.len(), 2, "the founding and the one that counted");
    assert_eq!(changes[1]["identity"], "urn:resguardo:operator:dev");
}

#[test]
fn a_home_believes_no_directory_but_its_own_and_no_damaged_file_of_it_stops_an_alert() {
    let stage = Stage::set();
    let publish = |name: &str, more: &[&str]| {
        let alert = stage.alert(name);
        stage.run("iachr", &[&["publish", "alert", &alert, "--to", "ohchr-mexico"], more].concat())
    };
    assert_eq!(publish("before", &[]).code, 0);
    let ok = ["--unconfirmed-ok"];
    // Without a directory that it believes a home has no key to seal to: the alert waits, sealed to its own office.
    for (code, file, damage, words) in [
        (4, "trust.toml", Some(format!("founding = \"{}\"\n", "ab".repeat(32))), "another founding"),
        (4, "trust.toml", None, "trust.toml"),
        (0, "confirmed.toml", Some("no list".to_owned()), "confirmed.toml"),
        (0, "keys/request", Some("no request".to_owned()), "request"),
    ] {
        let path = stage.path("iachr").join(file);
        let good = fs::read(&path).unwrap();
        match damage {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let sent = publish("alert", &ok);
        assert!(sent.code == code && sent.err.contains(words), "{file}: {sent:?}");
        assert_eq!(stage.run("iachr", &["inbox"]).code, 0, "{file}");
        fs::write(&path, good).unwrap();
    }
    assert_eq!(stage.objects("iachr", &["publish", "pending"]).len(), 2, "they wait no longer");
    // The copy of what the hub told is made anew.
    let copy = stage.path("iachr/directory");
    let mut bytes = fs::read(&copy).unwrap();
    bytes[100] ^= 1;
    fs::write(&copy, bytes).unwrap();
    let mended = publish("mended", &[]);
    assert!(mended.code == 0 && mended.err.contains("made anew"), "{mended:?}");
    let quiet = publish("after", &[]);
    let open = "The keys of this home lie open on the disk: for trying, never for use\n";
    assert!(quiet.code == 0 && quiet.err == open, "{quiet:?}");
}

#[test]
fn a_new_key_for_what_is_sealed_to_ones_own_office_is_told_loudly_and_not_taken_by_the_way() {
    let stage = Stage::set();
    let desk = "urn:resguardo:office:ohchr-honduras:desk-2";
    stage.well("desk-2", &["office", "request", "--insecure-dev-keys"]);
    let request = stage.path("desk-2/keys/request").to_str().unwrap().to_owned();
    let to = stage.path("taken").to_str().unwrap().to_owned();
    let enrol = ["registrar", "enrol", &request, "--as", desk];
    let refused = stage.run("registrar-iachr", &[&enrol[..], &["--to", &to]].concat());
    assert!(refused.code == 2 && refused.err.contains("--replace-office-key"), "{refused:?}");
    stage.amend(&[&enrol[..], &["--replace-office-key"]].concat());
    stage.amend(&["office", "revoke", desk, "--reason", "stolen"]);
    for command in [&["office", "list"][..], &["inbox"]] {
        let told = stage.run("ohchr-honduras", command);
        assert!(told.code == 0 && told.err.contains("YOUR OWN OFFICE"), "{command:?}: {told:?}");
    }
    let mut watch = stage.start("ohchr-honduras", &["--json", "subscribe"]);
    assert_eq!(watch.object("alarm")["alarm"], "own-keys-changed");
}

#[test]
fn whoever_signs_is_shown_every_name_and_key() {
    let stage = Stage::set();
    let path = |name: &str| stage.path(name).to_str().unwrap().to_owned();
    let asked = stage.objects("peru", &["office", "request", "--insecure-dev-keys"]).pop().unwrap();
    let enrol = ["registrar", "enrol", &path("peru/keys/request"), "--institution", "ohchr"];
    let desk = [
        "--as",
        "urn:resguardo:office:ohchr-peru:desk-1",
        "--stream",
        "studies",
        "--to",
        &path("peru.amendment"),
    ];
    stage.well("registrar-iachr", &[&enrol[..], &desk].concat());
    let sign = ["registrar", "sign", &path("peru.amendment"), "--yes"];
    let shown = stage.well("registrar-ohchr", &sign);
    for words in [
        asked["fingerprint"].as_str().unwrap(),
        asked["office_key"].as_str().unwrap(),
        "stream studies; may publish: iachr, ohchr-central-america",
        "new: ohchr-peru",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let objects = stage.objects("registrar-ohchr", &sign);
    assert_eq!(objects.iter().filter(|it| it["object"] == "fact").count(), 4, "{objects:?}");
}

#[test]
fn registrars_found_a_directory_with_keys_that_a_passphrase_wraps() {
    let stage = Stage::without_hub();
    let path = |name: &str| stage.path(name).to_str().unwrap().to_owned();
    let passphrase = stage.file("passphrase", "correct horse battery staple\n");
    let by_file = ["--passphrase-file", &passphrase];
    for (home, institution) in [("one", "iachr"), ("two", "ohchr")] {
        let init = ["registrar", "init", institution, "--institution", institution];
        let ran = stage.run(home, &init);
        assert!(ran.code == 2 && ran.err.contains("nobody is here to type"), "{ran:?}");
        stage.well(home, &[&init[..], &by_file].concat());
        assert!(stage.run(home, &[&init[..], &by_file].concat()).err.contains("home already"));
    }
    stage.well("desk", &[&["office", "request"][..], &by_file].concat());
    let desk = format!("urn:resguardo:office:iachr:desk-1={}", path("desk/keys/request"));
    let (one, two, founding) = (path("one/public.toml"), path("two/public.toml"), path("founding"));
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/certs-dev/offices.toml");
    let hub = path("hub/keys/hub.public");
    let found = [
        "registrar",
        "found",
        list,
        "--registrar",
        &one,
        "--registrar",
        &two,
        "--hub",
        &hub,
        "--desk",
        &desk,
    ];
    stage.well("one", &[&found[..], &["--to", &founding], &by_file].concat());
    let wrong = stage.file("wrong", "incorrect\n");
    let sign = ["registrar", "sign", &founding, "--yes", "--passphrase-file"];
    let refused = stage.run("two", &[&sign[..], &[&wrong]].concat());
    assert!(refused.code == 2 && refused.err.contains("wrong passphrase"), "{refused:?}");
    let init = ["hub", "init", "--founding", &founding];
    fs::remove_dir_all(stage.path("hub/journal")).unwrap();
    fs::remove_dir_all(stage.path("hub/ledger")).unwrap_or_default();
    let one_alone = stage.run("hub", &init);
    assert!(one_alone.code == 2 && one_alone.err.contains("each registrar"), "{one_alone:?}");
    let by_command = format!("cat {passphrase}");
    stage.well("two", &["registrar", "sign", &founding, "--yes", "--passphrase-command", &by_command]);
    let of_another = stage.run("hub", &init);
    assert!(of_another.code == 2 && of_another.err.contains("another founding"), "{of_another:?}");
    stage.well("two", &["registrar", "update", &founding, "--yes"]);
    fs::copy(stage.path("two/trust.toml"), stage.path("hub/trust.toml")).unwrap();
    let founded = stage.well("hub", &init);
    assert!(founded.contains("facts of the directory"), "{founded}");
    for file in ["one/key", "two/key", "desk/keys/attended", "desk/keys/office"] {
        let text = fs::read_to_string(stage.path(file)).unwrap();
        assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"), "{file}");
    }
}

#[test]
fn a_hub_that_shows_another_directory_of_the_same_version_is_found_out_and_alerts_go_on() {
    let mut stage = Stage::set();
    stage.kill_hub();
    let copy = |from: &str, to: &str| {
        let [from, to] = [from, to].map(|name| stage.path(name));
        let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
        assert!(copied.success());
    };
    for home in ["hub", "registrar-iachr", "registrar-ohchr"] {
        copy(home, &format!("before-{home}"));
    }
    stage.start_hub();
    stage.amend(&["policy", "retention", "--days", "30"]);
    stage.well("ohchr-honduras", &["policy", "list"]);
    stage.kill_hub();
    for home in ["hub/journal", "hub/ledger", "registrar-iachr", "registrar-ohchr"] {
        fs::remove_dir_all(stage.path(home)).unwrap();
        fs::rename(stage.path(&format!("before-{home}")), stage.path(home)).unwrap();
    }
    stage.start_hub();
    stage.amend(&["policy", "retention", "--days", "40"]);
    let listed = stage.run("ohchr-honduras", &["policy", "list"]);
    assert!(listed.code == 5 && listed.err.contains("two directories are about"), "{listed:?}");
    let sent = stage.run("ohchr-honduras", &["publish", "alert", &stage.alert("one"), "--to", "iachr"]);
    assert!(sent.code == 0 && sent.err.contains("two directories are about"), "{sent:?}");
}

#[test]
fn registrars_name_witnesses_and_how_many_of_them_must_sign() {
    let stage = Stage::set();
    let listed = |kind: &str| -> Vec<Value> {
        let all = stage.objects("ohchr-mexico", &["policy", "list"]);
        all.into_iter().filter(|it| it["object"] == kind).collect()
    };
    assert!(listed("witness").is_empty());
    assert_eq!(
        listed("quorum")[0]["witnesses"],
        4,
        "more than half of seven offices, where nothing was said"
    );
    let made = &stage
        .objects("univ", &["registrar", "init", "univ", "--institution", "ohchr", "--insecure-dev-keys"])[0];
    let public = fs::read_to_string(made["public"].as_str().unwrap()).unwrap();
    let key = public.split('"').find(|word| word.starts_with("resguardo-verify1")).unwrap();
    let (key, wrong) = (stage.file("key", key), stage.file("no-key", "resguardo-verify1qqqq"));
    let witness = |key: &str, institution: &str| -> Vec<String> {
        let words = ["policy", "witness", "univ", "--institution", institution, "--key", key];
        words.map(str::to_owned).to_vec()
    };
    let to = stage.path("refused").to_str().unwrap().to_owned();
    for (words, code) in [(witness(&wrong, "ohchr"), 2), (witness(&key, "unicef"), 2)] {
        let words: Vec<_> = words.iter().map(String::as_str).chain(["--to", &to]).collect();
        let ran = stage.run("registrar-iachr", &words);
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(!stage.path("refused").exists(), "{ran:?}");
    }
    let words = witness(&key, "ohchr");
    stage.amend(&words.iter().map(String::as_str).collect::<Vec<_>>());
    stage.amend(&["policy", "quorum", "--witnesses", "3"]);
    let told = listed("witness").remove(0);
    assert_eq!(
        (&told["name"], &told["institution"], &told["key"]),
        (&"univ".into(), &"ohchr".into(), &made["key"])
    );
    assert_eq!(listed("quorum")[0]["witnesses"], 3);
}
