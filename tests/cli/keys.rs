//! Keys that follow on keys: an office's, at one desk and at several, and a desk's own.

use std::fs;

use super::stage::Stage;

const DESK: &str = "urn:resguardo:office:ohchr-honduras:desk-1";
const FURTHER: &str = "urn:resguardo:office:ohchr-honduras:desk-2";
const HOME: &str = "ohchr-honduras";

fn key(stage: &Stage, home: &str, arguments: &[&str]) -> String {
    let objects = stage.objects(home, arguments);
    let key = objects.iter().find(|it| it["object"] == "office_key").expect("a key is told");
    key["key"].as_str().expect("it is there").to_owned()
}

fn named(stage: &Stage, home: &str, beginning: &str) -> Vec<String> {
    let all = stage.names(&format!("{home}/keys"), "");
    all.into_iter().filter(|name| name.starts_with(beginning)).collect()
}

/// Enrols a further desk of Honduras, whose own key of the office is none.
fn further(stage: &Stage) {
    let home = "desk-2";
    let asked = &stage.objects(home, &["office", "request", "--insecure-dev-keys", "--further-desk"])[0];
    let signed =
        &stage.objects("ca", &["ca", "sign", asked["request"].as_str().unwrap(), "--as", FURTHER])[0];
    let [bundle, authority] = ["bundle", "authority"].map(|name| signed[name].as_str().unwrap());
    let trust = stage.path("registrar-iachr/trust.toml");
    let hub = stage.hub_address().to_string();
    let rest = ["--hub", &hub, "--server-name", "localhost", "--authority", authority];
    let accept = [&["office", "accept", bundle][..], &rest, &["--trust", trust.to_str().unwrap()]].concat();
    stage.well(home, &accept);
    let request = stage.path("desk-2/keys/request");
    stage.amend(&["registrar", "enrol", request.to_str().unwrap(), "--as", FURTHER]);
}

#[test]
fn an_office_rotates_its_key_and_neither_a_travelling_amendment_nor_its_own_people_are_surprised() {
    let stage = Stage::set();
    let path = stage.path("travelling").to_str().unwrap().to_owned();
    stage.well("registrar-iachr", &["policy", "retention", "--days", "30", "--to", &path]);
    let before = fs::read(stage.path(HOME).join("keys/office")).unwrap();
    let fingerprint = || stage.objects(HOME, &["office", "fingerprint"]).pop().unwrap();
    let compared = fingerprint();
    let first = key(&stage, HOME, &["office", "rotate"]);
    let second = key(&stage, HOME, &["office", "rotate"]);
    assert_ne!(first, second);
    assert_ne!(fs::read(stage.path(HOME).join("keys/office")).unwrap(), before);
    assert_eq!(named(&stage, HOME, "former.").len(), 2, "former keys stay");
    assert!(named(&stage, HOME, "office-next").is_empty() && named(&stage, HOME, "former-next").is_empty());
    assert_eq!(fingerprint(), compared, "what others have compared stays");
    let listed = stage.run(HOME, &["office", "list"]);
    assert!(listed.code == 0 && listed.err.is_empty(), "{listed:?}");
    stage.well("registrar-ohchr", &["registrar", "sign", &path, "--yes"]);
    stage.well("operator-dev", &["hub", "directory", "add", &path]);
}

#[test]
fn key_that_was_handed_in_before_a_crash_comes_into_its_place_when_the_directory_is_next_told() {
    let stage = Stage::set();
    let keys = stage.path(HOME).join("keys");
    let before = fs::read(keys.join("office")).unwrap();
    stage.well(HOME, &["office", "rotate"]);
    let after = fs::read(keys.join("office")).unwrap();
    // As a crash leaves it between the hub's answer and what follows.
    let former = named(&stage, HOME, "former.").remove(0);
    let old = former.rsplit('.').next().unwrap();
    fs::rename(keys.join(&former), keys.join(format!("former-next.{old}"))).unwrap();
    let id = rotated_to(&stage);
    fs::write(keys.join(format!("office-next.{id}")), &after).unwrap();
    fs::write(keys.join("office"), &before).unwrap();
    stage.well(HOME, &["office", "list"]);
    assert_eq!(fs::read(keys.join("office")).unwrap(), after);
    assert_eq!(named(&stage, HOME, "former."), [former]);
    stage.well(HOME, &["office", "rotate"]);
}

/// The SHA-256 of the office's present key, as its next rotation would name it.
fn rotated_to(stage: &Stage) -> String {
    use resguardo::desk::keys::unlock;
    use resguardo::host::disk::OsDisk;
    let ring = unlock(&OsDisk, &stage.path(HOME), None).expect("a set's keys are open");
    let id = resguardo::seal::sha256(&ring.opening[0].recipient().to_bytes());
    resguardo::seal::KeyId(id).to_string()
}

#[test]
fn a_further_desk_gets_the_offices_keys_by_file_once_and_by_rotations_from_then_on() {
    let stage = Stage::set();
    stage.well(HOME, &["office", "rotate"]);
    further(&stage);
    let refused = |home: &str, arguments: &[&str], code: i32, words: &str| {
        let ran = stage.run(home, arguments);
        assert!(ran.code == code && ran.err.contains(words), "{home} {arguments:?}: {ran:?}");
    };
    refused("desk-2", &["office", "rotate"], 2, "does not have the present key");
    let file = stage.path("passed").to_str().unwrap().to_owned();
    let pass = ["office", "pass-key", FURTHER, "--to", &file];
    refused(
        HOME,
        &["office", "pass-key", "urn:resguardo:office:iachr:desk-1", "--to", &file],
        2,
        "no desk of this",
    );
    refused("desk-2", &["office", "pass-key", DESK, "--to", &file], 2, "does not have the present key");
    stage.well(HOME, &pass);
    refused(HOME, &pass, 2, "is there already");
    refused("iachr", &["office", "take-key", &file], 5, "no desk of this office has signed");
    refused(HOME, &["office", "take-key", &file], 5, "for urn:resguardo:office:ohchr-honduras:desk-2");
    let forged = stage.path("forged");
    let mut bytes = fs::read(&file).unwrap();
    bytes[200] ^= 1;
    fs::write(&forged, bytes).unwrap();
    refused("desk-2", &["office", "take-key", forged.to_str().unwrap()], 5, "no keys passed to this desk");
    let transfer = fs::read(stage.path("desk-2/keys/transfer")).unwrap();
    stage.well("desk-2", &["office", "take-key", &file]);
    assert_eq!(named(&stage, "desk-2", "former.").len(), 1, "the former key came with it");
    assert_ne!(
        fs::read(stage.path("desk-2/keys/transfer")).unwrap(),
        transfer,
        "what it came by is used once"
    );
    refused("desk-2", &["office", "take-key", &file], 5, "none of the");
    // Each makes the next key in turn; it comes to the other with the directory.
    let first = key(&stage, HOME, &["office", "rotate"]);
    let second = key(&stage, "desk-2", &["office", "rotate"]);
    let third = key(&stage, HOME, &["office", "rotate"]);
    assert!(first != second && second != third);
    // What is sealed to a key that this desk has not taken yet is opened here as well.
    stage.well("iachr", &["publish", "alert", &stage.alert("one"), "--to", HOME, "--unconfirmed-ok"]);
    stage.well("desk-2", &["office", "list"]);
    let came = stage.objects("desk-2", &["subscribe", "--count", "1"]);
    let message = came.iter().find(|it| it["object"] == "message").expect("it came");
    let shown = stage.well("desk-2", &["show", message["message_id"].as_str().unwrap()]);
    assert!(shown.contains("Titular one"), "{shown}");
    assert_eq!(named(&stage, HOME, "former.").len(), 4, "the first, and three that followed");
    assert_eq!(named(&stage, "desk-2", "former.").len(), 3);
    // A desk that is not told keys any more: it was revoked.
    stage.amend(&["office", "revoke", FURTHER, "--reason", "stolen"]);
    refused(
        HOME,
        &["office", "pass-key", FURTHER, "--to", stage.path("late").to_str().unwrap()],
        2,
        "no desk of",
    );
    stage.well(HOME, &["office", "rotate"]);
}

#[test]
fn a_desk_renews_its_signing_keys_with_one_registrar_and_its_old_ones_end() {
    let stage = Stage::set();
    let asked = stage.objects(HOME, &["office", "request", "--renew-keys"]).pop().unwrap();
    let file = asked["request"].as_str().unwrap();
    let again = stage.objects(HOME, &["office", "request", "--renew-keys"]).pop().unwrap();
    assert_eq!(again, asked, "what waits is told again");
    let alone = stage.run(HOME, &["hub", "directory", "add", file]);
    assert!(alone.code == 3 && alone.err.contains("SIGNATURE_MISSING"), "{alone:?}");
    let shown = stage.well("registrar-ohchr", &["registrar", "sign", file, "--yes"]);
    assert!(
        shown.contains(asked["fingerprint"].as_str().unwrap()) && shown.contains("one registrar"),
        "{shown}"
    );
    let keys = stage.path(HOME).join("keys");
    let before = [fs::read(keys.join("attended")).unwrap(), fs::read(keys.join("unattended")).unwrap()];
    let handed_in = fs::read(file).unwrap();
    let added = stage.run(HOME, &["hub", "directory", "add", file]);
    assert_eq!(added.code, 0, "{added:?}");
    assert!(!added.err.contains("YOUR OWN OFFICE"), "this desk made them: {added:?}");
    let after = [fs::read(keys.join("attended")).unwrap(), fs::read(keys.join("unattended")).unwrap()];
    assert!(before[0] != after[0] && before[1] != after[1]);
    assert!(named(&stage, HOME, "renewal").is_empty() && named(&stage, HOME, "request-next").is_empty());
    stage.well(HOME, &["office", "rotate"]);
    // Those who had compared the keys compare them anew.
    let alert = ["publish", "alert", &stage.alert("one"), "--to", HOME];
    let sent = stage.run("iachr", &alert);
    assert!(sent.code == 2 && sent.err.contains("nobody here has confirmed"), "{sent:?}");
    // A registrar who never heard of the new keys cannot tell who asks, and says so; the hub can.
    let asked = stage.objects(HOME, &["office", "request", "--renew-keys"]).pop().unwrap();
    let file = asked["request"].as_str().unwrap();
    let signed = stage.run("registrar-iachr", &["registrar", "sign", file, "--yes"]);
    assert!(signed.code == 0 && signed.err.contains("cannot tell whether the desk asks"), "{signed:?}");
    stage.well("operator-dev", &["hub", "directory", "add", file]);
    let old = stage.path("old");
    fs::write(&old, handed_in).unwrap();
    let again = stage.run("operator-dev", &["hub", "directory", "add", old.to_str().unwrap()]);
    assert_eq!(again.code, 0, "it was taken in once, and that is the answer: {again:?}");
}

#[test]
fn what_runs_goes_on_with_keys_that_were_replaced_beside_it() {
    let stage = Stage::set();
    let mut running = stage.start(HOME, &["--json", "subscribe"]);
    let publish = |name: &str| {
        let to = ["publish", "alert", &stage.alert(name), "--to", HOME, "--unconfirmed-ok"];
        stage.objects("iachr", &to)[0]["message_id"].as_str().unwrap().to_owned()
    };
    let mut comes = |name: &str| {
        let id = publish(name);
        let told = running.objects_until(&["message", "acknowledged"]);
        let message = told.iter().find(|it| it["object"] == "message").unwrap();
        assert_eq!(message["message_id"], *id);
        assert!(
            message["headline"].as_str().is_some_and(|it| it.contains(name)),
            "{name} is opened: {message}"
        );
        let history = stage.objects("iachr", &["audit", "message", &id]).remove(0);
        assert_eq!(history["deliveries"][0]["stages"][0]["stage"], "received", "{name}");
    };
    comes("before");
    stage.well(HOME, &["office", "rotate"]);
    comes("after-a-new-key-of-the-office");
    let asked = stage.objects(HOME, &["office", "request", "--renew-keys"]).pop().unwrap();
    let file = asked["request"].as_str().unwrap();
    stage.well("registrar-ohchr", &["registrar", "sign", file, "--yes"]);
    stage.well("operator-dev", &["hub", "directory", "add", file]);
    comes("after-new-keys-of-the-desk");
    stage.well(HOME, &["office", "rotate"]);
    comes("after-both");
}
