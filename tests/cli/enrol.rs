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

pub(super) fn sign(stage: &Stage, request: &str, identity: &str) -> Value {
    stage.objects("ca", &["ca", "sign", request, "--as", identity]).remove(0)
}

pub(super) fn accept(stage: &Stage, home: &str, signed: &Value) -> Ran {
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
    let passed = stage.path("passed");
    let passed = passed.to_str().unwrap();
    stage.well("ohchr-honduras", &["office", "pass-key", NEW, "--to", passed]);
    stage.well("desk-2", &["office", "take-key", passed]);
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
