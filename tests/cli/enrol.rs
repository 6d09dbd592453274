//! A home's way into the exchange and out of it: request, signature, certificate, revocation, all by files.

use std::fs;

use serde_json::Value;

use super::stage::{Ran, Running, Stage, until};

const NEW: &str = "urn:resguardo:office:ohchr-honduras:desk-2";

/// Asks for a certificate in a new home; gives the request's path and its key's fingerprint.
fn request(stage: &Stage, home: &str) -> (String, String) {
    let asked = &stage.objects(home, &["office", "request", "--insecure-dev-keys", "--further-desk"])[0];
    let text = |name: &str| asked[name].as_str().unwrap().to_owned();
    (text("request"), text("key"))
}

fn sign(stage: &Stage, request: &str, identity: &str) -> Value {
    stage.objects("ca", &["ca", "sign", request, "--as", identity]).remove(0)
}

fn accept(stage: &Stage, home: &str, signed: &Value) -> Ran {
    let [bundle, authority] = ["bundle", "authority"].map(|name| signed[name].as_str().unwrap());
    let hub = fs::read_to_string(stage.path("iachr/desk.toml")).unwrap();
    let hub = hub.lines().find_map(|line| line.strip_prefix("hub = \"")).unwrap().trim_end_matches('"');
    let trust = stage.path("registrar-iachr/trust.toml");
    let trust = trust.to_str().unwrap();
    let rest = ["--hub", hub, "--server-name", "localhost", "--authority", authority, "--trust", trust];
    stage.run(home, &[&["office", "accept", bundle][..], &rest].concat())
}

/// Has the registrars take the keys of a home into the directory.
fn enrol_keys(stage: &Stage, home: &str, desk: &str, more: &[&str]) {
    let request = stage.path(home).join("keys/request");
    stage.amend(&[&["registrar", "enrol", request.to_str().unwrap(), "--as", desk][..], more].concat());
}

/// Enrols a second desk of Honduras.
fn enrol(stage: &Stage, home: &str) -> Value {
    let (request, _) = request(stage, home);
    let signed = sign(stage, &request, NEW);
    let accepted = accept(stage, home, &signed);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    enrol_keys(stage, home, NEW, &[]);
    signed
}

fn watching(stage: &Stage, home: &str) -> Running {
    let mut watch = stage.start(home, &["--json", "subscribe"]);
    watch.object("started");
    watch
}

#[test]
fn a_new_desk_enters_with_the_key_that_it_made_and_the_identity_that_was_signed() {
    let stage = Stage::set();
    let (request, key) = request(&stage, "desk-2");
    let signed = sign(&stage, &request, NEW);
    assert_eq!(signed["key"], *key, "both sides read the same to each other");
    let accepted = accept(&stage, "desk-2", &signed);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    assert!(
        stage
            .names("desk-2/tls", "")
            .iter()
            .all(|name| !name.contains("new-key") && !name.contains("request"))
    );
    enrol_keys(&stage, "desk-2", NEW, &[]);
    stage.well("desk-2", &["publish", "alert", &stage.alert("one"), "--to", "iachr", "--unconfirmed-ok"]);
    let came = &stage.objects("iachr", &["subscribe", "--count", "1"]);
    let sender = came.iter().find(|one| one["object"] == "message").unwrap();
    assert_eq!(sender["sender"], NEW);
    // The first desk of the office is there as before, and alarmed: nobody there has said that this was asked for.
    let publish =
        |name: &str| stage.run("ohchr-honduras", &["publish", "alert", &stage.alert(name), "--to", "iachr"]);
    let alarmed = publish("two");
    assert!(alarmed.code == 0 && alarmed.err.contains("YOUR OWN OFFICE"), "{alarmed:?}");
    let own = stage.objects("ohchr-honduras", &["office", "fingerprint"]);
    let own = own.iter().find(|it| it["object"] == "fingerprint").unwrap()["fingerprint"].clone();
    let confirm = ["office", "confirm", "ohchr-honduras", "--fingerprint", own.as_str().unwrap()];
    stage.well("ohchr-honduras", &confirm);
    let quiet = publish("three");
    assert!(quiet.code == 0 && !quiet.err.contains("YOUR OWN OFFICE"), "{quiet:?}");
}

#[test]
fn a_certificate_that_ends_soon_is_spoken_of_and_replaced_without_a_question() {
    let stage = Stage::set();
    let (asked, _) = request(&stage, "iachr");
    let identity = "urn:resguardo:office:iachr:desk-1";
    let short = stage.objects("ca", &["ca", "sign", &asked, "--as", identity, "--days", "29"]).remove(0);
    let bundle = short["bundle"].as_str().unwrap();
    stage.well("iachr", &["office", "accept", bundle]);
    let warned = stage.run("iachr", &["audit", "deliveries"]);
    assert!(warned.code == 0 && warned.err.contains("ends on"), "{warned:?}");
    let (asked, _) = request(&stage, "iachr");
    let long = sign(&stage, &asked, identity);
    stage.well("iachr", &["office", "accept", long["bundle"].as_str().unwrap()]);
    let quiet = stage.run("iachr", &["audit", "deliveries"]);
    assert!(quiet.code == 0 && quiet.err.is_empty(), "{quiet:?}");
}

#[test]
fn a_request_is_the_same_until_its_certificate_comes() {
    let stage = Stage::without_hub();
    let first = request(&stage, "desk-2");
    assert_eq!(request(&stage, "desk-2"), first);
    let anew = &stage.objects("desk-2", &["office", "request", "--anew", "--transport-only"])[0];
    assert_ne!(anew["key"], *first.1);
}

#[test]
fn what_is_not_for_a_home_is_refused_and_changes_nothing() {
    let stage = Stage::without_hub();
    let (asked, _) = request(&stage, "desk-2");
    let (other, _) = request(&stage, "desk-3");
    let signed = sign(&stage, &asked, NEW);
    let told = |ran: &Ran, code: i32, words: &str| {
        assert!(ran.code == code && ran.err.contains(words), "{words}: {ran:?}");
    };
    told(&accept(&stage, "desk-3", &signed), 2, "another key");
    told(&accept(&stage, "iachr", &signed), 2, "holds no request");
    request(&stage, "iachr");
    told(&accept(&stage, "iachr", &signed), 2, "another key");
    let bundle = signed["bundle"].as_str().unwrap();
    told(&stage.run("desk-2", &["office", "accept", bundle, "--hub", "a:1"]), 2, "nobody is here to compare");
    let wrong = "00".repeat(32);
    let ran = stage.run("desk-2", &["office", "accept", bundle, "--hub", "a:1", "--authority", &wrong]);
    told(&ran, 5, "another authority");
    let authority = signed["authority"].as_str().unwrap();
    let command = ["office", "accept", bundle, "--authority", authority];
    told(&stage.run("desk-2", &command), 2, "whom does this home trust?");
    let trust = stage.path("registrar-iachr/trust.toml");
    let trusting = [&command[..], &["--trust", trust.to_str().unwrap()]].concat();
    told(&stage.run("desk-2", &trusting), 2, "where is the hub?");
    assert!(!stage.path("desk-2/trust.toml").exists(), "nothing of it is kept");
    let foreign = stage.file("foreign", &format!("founding = \"{}\"\n", "ab".repeat(32)));
    fs::copy(&trust, stage.path("desk-2/trust.toml")).unwrap();
    let of_another = [&command[..], &["--trust", &foreign, "--hub", "a:1"]].concat();
    told(&stage.run("desk-2", &of_another), 5, "trusts another founding");
    fs::remove_file(stage.path("desk-2/trust.toml")).unwrap();
    assert!(!stage.path("desk-2/desk.toml").exists());
    told(&stage.run("ca", &["ca", "sign", bundle, "--as", NEW]), 2, "is not a certificate request");
    told(&stage.run("ca", &["ca", "sign", &other, "--as", "urn:resguardo:king:a"]), 2, "is not an identity");
    told(&stage.run("ca", &["ca", "sign", &other, "--as", "urn:resguardo:hub:a"]), 2, "--address");
    told(
        &stage.run("ca", &["ca", "sign", &other, "--as", NEW, "--days", "3000"]),
        2,
        "authority's own certificate ends",
    );
    told(&stage.run("iachr", &["ca", "sign", &other, "--as", NEW]), 2, "is not an authority's home");
    told(&stage.run("ca", &["ca", "init", "--name", "again"]), 2, "is an authority's home already");
    // Another desk's certificate, signed for the home of this one.
    let (own, _) = request(&stage, "ohchr-honduras");
    told(&accept(&stage, "ohchr-honduras", &sign(&stage, &own, NEW)), 2, "is the home of");
    let (own, _) = request(&stage, "hub");
    told(&accept(&stage, "hub", &sign(&stage, &own, NEW)), 2, "is the home of urn:resguardo:hub:dev");
}

#[test]
fn a_revoked_desk_is_cut_off_while_it_listens_and_the_others_go_on() {
    let stage = Stage::set();
    enrol(&stage, "desk-2");
    let (mut revoked, mut other) = (watching(&stage, "desk-2"), watching(&stage, "ohchr-honduras"));
    stage.well("ca", &["ca", "revoke", NEW, "--reason", "laptop stolen"]);
    fs::copy(stage.path("ca/crl.pem"), stage.path("hub/tls/crl.pem")).unwrap();
    // It is told why, and goes on trying: a list may have been wrong.
    while !revoked.object("lost")["message"].as_str().unwrap().contains("it was revoked") {}
    revoked.kill();
    let again = stage.run("desk-2", &["subscribe", "--count", "1"]);
    assert!(again.code == 3 && again.err.contains("it was revoked"), "{again:?}");
    // Nobody else lost the line.
    let alert = stage.alert("one");
    stage.well("iachr", &["publish", "alert", &alert, "--to", "ohchr-honduras", "--unconfirmed-ok"]);
    let came = other.objects_until(&["message"]);
    assert!(came.iter().all(|one| one["object"] != "lost"), "{came:?}");
    let listed = stage.objects("ca", &["ca", "list"]);
    let of_desk = listed.iter().find(|one| one["identity"] == NEW).unwrap();
    assert_eq!(of_desk["reason"], "laptop stolen");
}

#[test]
fn a_list_that_cannot_be_used_changes_nothing_and_a_new_certificate_of_the_hub_is_taken_up() {
    let mut stage = Stage::set();
    let log = stage.path("hub.log");
    let said = |words: &str| until(words, || fs::read_to_string(&log).unwrap().contains(words));
    fs::write(stage.path("hub/tls/crl.pem"), "no list").unwrap();
    said("is not a list of revoked certificates");
    stage.well("ohchr-honduras", &["publish", "alert", &stage.alert("one"), "--to", "iachr"]);
    stage.well("ca", &["ca", "revoke"]);
    fs::copy(stage.path("ca/crl.pem"), stage.path("hub/tls/crl.pem")).unwrap();
    said("certificates were taken up");
    let (asked, _) = request(&stage, "hub");
    let arguments = ["ca", "sign", &asked, "--as", "urn:resguardo:hub:dev", "--address", "renewed.example"];
    let signed = stage.objects("ca", &arguments).remove(0);
    let accepted = accept(&stage, "hub", &signed);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    until("the new certificate is shown", || {
        let ran = stage.run("ohchr-honduras", &["audit", "deliveries"]);
        ran.code == 5 && ran.err.contains("is for renewed.example")
    });
    stage.kill_hub();
    fs::write(stage.path("hub/tls/crl.pem"), "no list").unwrap();
    let started = stage.run("hub", &["hub", "run"]);
    assert!(started.code == 2 && started.err.contains("is not a list"), "{started:?}");
}

#[test]
fn changed_limits_hold_without_a_restart() {
    let stage = Stage::set();
    let config = fs::read_to_string(stage.path("hub/hub.toml")).unwrap();
    let log = stage.path("hub.log");
    let said = |words: &str| until(words, || fs::read_to_string(&log).unwrap().contains(words));
    fs::write(stage.path("hub/hub.toml"), format!("{config}[limits]\npayload = 9\n")).unwrap();
    said("unknown field `payload`");
    let limits = "[limits]\npayload_bytes_max = 100\nconnections_max = 7\n";
    fs::write(stage.path("hub/hub.toml"), format!("{config}{limits}")).unwrap();
    // The signal asks for a look now; it ends nothing.
    stage.signal_hub("HUP");
    said("limits.connections_max");
    let refused = stage.run("ohchr-honduras", &["publish", "alert", &stage.alert("one")]);
    assert!(refused.code == 3 && refused.err.contains("TOO_LARGE"), "{refused:?}");
}

#[test]
fn an_office_is_added_takes_part_and_is_removed_at_once_and_its_history_stays() {
    let stage = Stage::set();
    let desk = "urn:resguardo:office:ohchr-peru:desk-1";
    let asked = stage.objects("peru", &["office", "request", "--insecure-dev-keys"]).remove(0);
    let signed = sign(&stage, asked["request"].as_str().unwrap(), desk);
    assert_eq!(accept(&stage, "peru", &signed).code, 0);
    let before = stage.run("peru", &["subscribe", "--count", "1"]);
    assert!(
        before.code == 3 && before.err.contains("NOT_ENROLLED"),
        "a certificate alone gives nothing: {before:?}"
    );
    enrol_keys(&stage, "peru", desk, &["--institution", "ohchr", "--stream", "monitoring-protection"]);
    let mut watch = watching(&stage, "peru");
    let publish = ["publish", "alert", &stage.alert("one")];
    let unconfirmed = stage.run("ohchr-honduras", &publish);
    assert!(unconfirmed.code == 2 && unconfirmed.err.contains("--unconfirmed-ok"), "{unconfirmed:?}");
    let shown = stage.objects("peru", &["office", "fingerprint"]).remove(0);
    let compared = shown["fingerprint"].as_str().unwrap();
    let wrong = stage.objects("peru", &["office", "fingerprint", "iachr"]).remove(0);
    let confirm = ["office", "confirm", "ohchr-peru", "--fingerprint"];
    let wrong = [&confirm[..], &[wrong["fingerprint"].as_str().unwrap()]].concat();
    let refused = stage.run("ohchr-honduras", &wrong);
    assert!(refused.code == 5 && refused.err.contains("tell both registrars"), "{refused:?}");
    stage.well("ohchr-honduras", &[&confirm[..], &[compared]].concat());
    stage.well("ohchr-honduras", &publish);
    assert_eq!(watch.object("message")["sender_office"], "ohchr-honduras");
    stage.well("peru", &["publish", "alert", &stage.alert("two"), "--to", "iachr", "--unconfirmed-ok"]);
    stage.amend(&["office", "revoke", "ohchr-peru", "--reason", "closed"]);
    assert_eq!(watch.object("error")["reason"], "REVOKED");
    assert_eq!(watch.end().code(), Some(3));
    stage.well("ohchr-honduras", &["publish", "alert", &stage.alert("three"), "--unconfirmed-ok"]);
    let listed = stage.objects("iachr", &["office", "show", "ohchr-peru"]);
    assert_eq!((&listed[0]["removed"], &listed[0]["streams"]), (&"closed".into(), &serde_json::json!([])));
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries"]);
    let of_peru: Vec<_> = rows.iter().filter(|row| row["office"] == "ohchr-peru").collect();
    assert_eq!(of_peru.len(), 1, "what came before its end, and nothing after it");
    assert!(of_peru[0]["office_removed"] == true && of_peru[0]["stages"][0]["stage"] == "received");
    assert!(rows.iter().any(|row| row["sender_office"] == "ohchr-peru"), "what it sent stays");
    let table = stage.well("auditor-iachr", &["audit", "deliveries"]);
    assert!(table.contains("ohchr-peru (removed)"), "{table}");
}

#[test]
fn a_desk_is_revoked_in_the_directory_and_the_rest_of_its_office_goes_on() {
    let stage = Stage::set();
    enrol(&stage, "desk-2");
    let (mut revoked, mut other) = (watching(&stage, "desk-2"), watching(&stage, "ohchr-honduras"));
    stage.amend(&["office", "revoke", NEW, "--reason", "laptop stolen"]);
    let told = revoked.object("error");
    assert!(
        told["reason"] == "REVOKED" && told["message"].as_str().unwrap().contains("laptop stolen"),
        "{told}"
    );
    assert_eq!(revoked.end().code(), Some(3));
    let refused = stage.run("desk-2", &["publish", "alert", &stage.alert("one")]);
    assert!(refused.code == 3 && refused.err.contains("REVOKED"), "{refused:?}");
    let alert = stage.alert("two");
    stage.well("iachr", &["publish", "alert", &alert, "--to", "ohchr-honduras", "--unconfirmed-ok"]);
    let came = other.objects_until(&["message"]);
    assert!(came.iter().all(|one| one["object"] != "lost"), "{came:?}");
}

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
    refused("operator-dev", 2, "is not an amendment", &["hub", "directory", "add", &garbage]);
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
    for (number, file, damage, words) in [
        (1, "trust.toml", Some(format!("founding = \"{}\"\n", "ab".repeat(32))), "another founding"),
        (2, "trust.toml", None, "trust.toml"),
        (3, "confirmed.toml", Some("no list".to_owned()), "confirmed.toml"),
        (4, "keys/request", Some("no request".to_owned()), "request"),
    ] {
        let path = stage.path("iachr").join(file);
        let good = fs::read(&path).unwrap();
        match damage {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let sent = publish(&format!("alert-{number}"), &ok);
        assert!(sent.code == 0 && sent.err.contains(words), "{file}: {sent:?}");
        assert_eq!(stage.run("iachr", &["inbox"]).code, 0, "{file}");
        fs::write(&path, good).unwrap();
    }
    // The copy of what the hub told is made anew.
    let copy = stage.path("iachr/directory");
    let mut bytes = fs::read(&copy).unwrap();
    bytes[100] ^= 1;
    fs::write(&copy, bytes).unwrap();
    let mended = publish("mended", &[]);
    assert!(mended.code == 0 && mended.err.contains("made anew"), "{mended:?}");
    let quiet = publish("after", &[]);
    assert!(quiet.code == 0 && quiet.err.is_empty(), "{quiet:?}");
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
    let found = ["registrar", "found", list, "--registrar", &one, "--registrar", &two, "--desk", &desk];
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
