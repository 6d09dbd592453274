//! Next certificates: asked for by desks, carried by an operator, signed away from the hub, installed by desks.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::stage::{Running, Stage};

const OPERATOR: &str = "operator-dev";

/// Carries what waits to the authority and the answers back; gives what the authority said of each.
fn carry(stage: &Stage) -> Vec<Value> {
    let [requests, answers] = ["requests", "answers"].map(|name| stage.path(name).display().to_string());
    stage.well(OPERATOR, &["office", "renewals", "--to", &requests]);
    let said = stage.objects("ca", &["ca", "renew", &requests, "--to", &answers, "--yes"]);
    stage.well(OPERATOR, &["office", "renewals", "--answer", &answers]);
    said
}

fn watching(stage: &Stage, home: &str) -> Running {
    let mut watch = stage.start(home, &["--json", "subscribe"]);
    while watch.object("renewal")["state"] != "waits" {}
    watch
}

fn publish(stage: &Stage, name: &str) -> String {
    let path = stage.alert(name);
    let published =
        stage.objects("ohchr-mexico", &["publish", "alert", &path, "--to", "iachr,ohchr-honduras"]);
    published[0]["message_id"].as_str().unwrap().to_owned()
}

#[test]
fn desks_renew_by_themselves_under_traffic_and_nobody_loses_or_repeats_anything() {
    let stage = Stage::ending_in("20");
    let (mut iachr, mut honduras) = (watching(&stage, "iachr"), watching(&stage, "ohchr-honduras"));
    let mut sent = BTreeSet::from([publish(&stage, "before")]);
    let said = carry(&stage);
    let signed: BTreeSet<_> =
        said.iter().map(|one| (one["object"].as_str(), one["identity"].as_str())).collect();
    let desk = |office: &str| format!("urn:resguardo:office:{office}:desk-1");
    let (one, two) = (desk("iachr"), desk("ohchr-honduras"));
    assert_eq!(signed, BTreeSet::from([(Some("signed"), Some(&*one)), (Some("signed"), Some(&*two))]));
    sent.extend((0..5).map(|number| publish(&stage, &format!("while-{number}"))));
    let mut came: [Vec<Value>; 2] = [Vec::new(), Vec::new()];
    for (watch, came) in [&mut iachr, &mut honduras].into_iter().zip(&mut came) {
        came.extend(watch.objects_until(&["renewal"]));
        assert_eq!(came.last().unwrap()["state"], "installed");
        came.extend(watch.objects_until(&["started"]));
    }
    sent.insert(publish(&stage, "after"));
    for (watch, came) in [&mut iachr, &mut honduras].into_iter().zip(&mut came) {
        let messages = |came: &[Value]| came.iter().filter(|one| one["object"] == "message").count();
        while messages(came) < sent.len() {
            came.extend(watch.objects_until(&["message"]));
        }
        let messages = came.iter().filter(|one| one["object"] == "message");
        let ids: Vec<_> = messages.map(|one| one["message_id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(ids.len(), sent.len(), "none twice");
        assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), sent);
    }
    for home in ["iachr", "ohchr-honduras"] {
        let ran = stage.run(home, &["audit", "deliveries"]);
        assert!(ran.code == 0 && !ran.err.contains("certificate"), "the new one serves: {ran:?}");
        assert_eq!(stage.names(&format!("{home}/tls"), ""), ["ca.pem", "cert.pem", "key.pem"]);
    }
    let entries = stage.objects("auditor-iachr", &["audit", "entries"]);
    let renewals = entries.iter().filter(|one| one["kind"] == "renewal");
    let by: Vec<_> = renewals.map(|one| one["identity"].as_str().unwrap()).collect();
    assert_eq!(by.len(), 4, "{by:?}");
    assert!(by[2..].iter().all(|by| *by == "urn:resguardo:operator:dev"), "{by:?}");
    // Nothing waits any more, and answers that came back twice are told.
    let answers = stage.path("answers").display().to_string();
    let again = stage.objects(OPERATOR, &["office", "renewals", "--answer", &answers]);
    assert!(
        again.iter().all(|one| one["refused"].as_str().unwrap().contains("waits for no answer")),
        "{again:?}"
    );
}

#[test]
fn a_desk_that_was_revoked_meanwhile_gets_nothing_and_the_others_do() {
    let stage = Stage::ending_in("20");
    let (iachr, mut honduras) = (watching(&stage, "iachr"), watching(&stage, "ohchr-honduras"));
    let lost = "urn:resguardo:office:iachr:desk-1";
    stage.well("ca", &["ca", "revoke", lost, "--reason", "laptop stolen"]);
    let said = carry(&stage);
    let refused: Vec<_> = said.iter().filter(|one| one["object"] == "refused").collect();
    assert!(refused.len() == 1 && refused[0]["identity"] == lost, "{said:?}");
    assert!(refused[0]["message"].as_str().unwrap().contains("laptop stolen"), "{said:?}");
    assert_eq!(honduras.object("renewal")["state"], "installed");
    // The list has not reached the hub yet: the desk is told what the authority said.
    let mut iachr = iachr;
    let told = iachr.object("renewal");
    assert!(told["state"] == "refused" && told["message"].to_string().contains("laptop stolen"), "{told}");
}

#[test]
fn files_that_are_none_or_were_changed_and_homes_that_ask_by_hand() {
    let stage = Stage::ending_in("20");
    let path = |name: &str| stage.path(name).display().to_string();
    let key = path("iachr/tls/key.pem");
    let none = stage.run("ca", &["ca", "renew", &key, "--to", &path("answers"), "--yes"]);
    assert!(none.code == 2 && none.err.contains("is not a file of renewals"), "{none:?}");
    let silent = stage.run(OPERATOR, &["office", "renewals"]);
    assert!(silent.code == 2 && silent.err.contains("--to"), "{silent:?}");
    let office = stage.run("iachr", &["office", "renewals", "--to", &path("requests")]);
    assert!(office.code == 3 && office.err.contains("ROLE_NOT_ALLOWED"), "{office:?}");
    // An auditor and a hub ask by hand, and install by hand.
    for (home, identity) in
        [("auditor-iachr", "urn:resguardo:auditor:iachr"), ("hub", "urn:resguardo:hub:dev")]
    {
        let asked = stage.objects(home, &["office", "request"]).remove(0);
        let request = asked["renewal"].as_str().unwrap();
        let nobody = stage.run("ca", &["ca", "renew", request, "--to", &path("answers")]);
        assert!(nobody.code == 2 && nobody.err.contains("nobody is here"), "{nobody:?}");
        let said = stage.objects("ca", &["ca", "renew", request, "--to", &path("answers"), "--yes"]);
        assert_eq!((&said[0]["object"], &said[0]["identity"]), (&"signed".into(), &identity.into()));
        let foreign = stage.run("ohchr-mexico", &["office", "accept", &path("answers")]);
        assert!(
            foreign.code == 2 && foreign.err.contains("no answer to the request of this home"),
            "{foreign:?}"
        );
        stage.well(home, &["office", "accept", &path("answers")]);
    }
    let heard = stage.run("auditor-iachr", &["audit", "deliveries"]);
    assert!(heard.code == 0 && heard.err.is_empty(), "{heard:?}");
    // Changed on its way: what is signed of it no longer holds, so nothing is signed.
    let asked = stage.objects("iachr", &["office", "request"]).remove(0);
    let request = asked["renewal"].as_str().unwrap();
    let mut bytes = fs::read(request).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(request, bytes).unwrap();
    let changed = stage.run("ca", &["ca", "renew", request, "--to", &path("answers"), "--yes"]);
    assert!(changed.out.contains("0 of 1 answered") && changed.err.contains("passed over"), "{changed:?}");
}
