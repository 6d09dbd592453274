//! An office that lost its key, and all that it had: registrars give it a new one, it asks, the sender answers, it reads.

use std::fs;

use serde_json::Value;

use super::packets::{content, source};
use super::python;
use super::stage::{Stage, objects, run};

const LOST: &str = "ohchr-honduras";
const SENDER: &str = "iachr";
const DESK: &str = "urn:resguardo:office:ohchr-honduras:desk-2";
/// The home that the office makes anew.
const HOME: &str = "recovered";
const WHY: &str = "the disk with our key burned";

/// Does as `docs/operating.md` says for an office that has nothing any more.
fn recover(stage: &Stage) {
    fs::remove_dir_all(stage.path(LOST)).unwrap();
    let asked = &stage.objects(HOME, &["office", "request", "--insecure-dev-keys"])[0];
    let signed = &stage.objects("ca", &["ca", "sign", asked["request"].as_str().unwrap(), "--as", DESK])[0];
    let [bundle, authority] = ["bundle", "authority"].map(|name| signed[name].as_str().unwrap());
    let (trust, hub) = (stage.path("registrar-iachr/trust.toml"), stage.hub_address().to_string());
    let rest = ["--hub", &hub, "--server-name", "localhost", "--authority", authority];
    let accept = [&["office", "accept", bundle][..], &rest, &["--trust", trust.to_str().unwrap()]].concat();
    stage.well(HOME, &accept);
    let request = stage.path(&format!("{HOME}/keys/request"));
    let enrol = ["registrar", "enrol", request.to_str().unwrap(), "--as", DESK, "--replace-office-key"];
    stage.amend(&enrol);
    stage.amend(&["office", "revoke", "urn:resguardo:office:ohchr-honduras:desk-1", "--reason", "burned"]);
    stage.well(HOME, &["office", "confirm", LOST, "--fingerprint", &fingerprint(stage, HOME)]);
    stage.well(HOME, &["officer", "add", "ana", "--name", "Ana"]);
}

fn fingerprint(stage: &Stage, home: &str) -> String {
    let told = stage.objects(home, &["office", "fingerprint", LOST]).pop().unwrap();
    told["fingerprint"].as_str().unwrap().to_owned()
}

fn published(objects: &[Value]) -> String {
    let published = objects.iter().find(|it| it["object"] == "published").expect("it is told");
    assert_eq!(published["outcome"], "accepted", "{published}");
    published["message_id"].as_str().unwrap().to_owned()
}

/// Says that a command is refused, in words, before anything left.
fn refused(stage: &Stage, home: &str, arguments: &[&str], (code, words): (i32, &str)) {
    let ran = stage.run(home, arguments);
    assert!(ran.code == code && ran.err.contains(words), "{home} {arguments:?}: {ran:?}");
}

/// Takes what a home is owed, and gives the one resealing among it.
fn resealing(stage: &Stage, home: &str) -> Value {
    // What opens a message is for no command.
    let given = stage.path("given");
    let command = format!("cat > '{}'", given.display());
    let came = stage.objects(home, &["subscribe", "--count", "1", "--exec", &command]);
    assert_eq!(fs::read(given).unwrap(), b"");
    let mut messages = came.into_iter().filter(|it| it["object"] == "message");
    let message = messages.next().expect("it came");
    assert!(message["class"] == "reseal" && messages.next().is_none(), "{message}");
    message
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_else(|| panic!("{field}: {object}"))
}

#[test]
fn an_office_that_lost_its_key_asks_and_reads_once_an_officer_of_the_sender_has_answered() {
    let stage = Stage::set();
    let alert = stage.alert("sent-before-the-fire");
    let alert = published(&stage.objects(SENDER, &["publish", "alert", &alert, "--to", LOST]));
    let report = content(1, 300_000);
    let file = source(&stage, "report.pdf", &report);
    let packet = ["publish", "packet", &file, "--title", "Before the fire", "--to", LOST];
    let packet = published(&stage.objects(SENDER, &packet));
    let erased = stage.alert("to-be-erased");
    let erased = published(&stage.objects(SENDER, &["publish", "alert", &erased, "--to", LOST]));
    stage.well(LOST, &["subscribe", "--count", "3"]);
    recover(&stage);

    // What was sent before comes again, and cannot be opened.
    stage.well(HOME, &["subscribe", "--replay-from", "1", "--count", "3"]);
    for id in [&alert, &packet] {
        refused(&stage, HOME, &["show", id], (5, "resguardo reseal"));
    }
    let for_lost = |id: &str| vec!["reseal".to_owned(), id.to_owned(), "--for".into(), LOST.into()];
    let answer = |id: &str, rest: &[&str]| {
        let arguments = for_lost(id);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(rest.iter().copied()).collect();
        stage.run(SENDER, &arguments)
    };
    let before = answer(&alert, &["--unconfirmed-ok"]);
    assert!(before.code == 2 && before.err.contains("no signed request of ohchr-honduras"), "{before:?}");
    refused(&stage, SENDER, &["reseal", &alert, "--for", "ohchr-mexico"], (2, "was not for ohchr-mexico"));
    refused(&stage, SENDER, &["reseal", &alert, "--ask"], (2, "this desk sent that message"));
    refused(&stage, HOME, &["reseal", &alert, "--for", LOST], (2, "only the office that sent one"));
    refused(&stage, "ohchr-mexico", &["reseal", &alert, "--ask"], (2, "no message of this home"));

    // It asks, and the sender sees who asks for what, and why.
    let asked = published(&stage.objects(HOME, &["reseal", &alert, "--ask", "--why", WHY]));
    let request = resealing(&stage, SENDER);
    assert_eq!(text(&request, "message_id"), asked);
    assert_eq!(request["about"]["message_id"], Value::from(alert.as_str()));
    let card = stage.well(SENDER, &["show", &asked]);
    assert!(card.contains(WHY) && card.contains(&alert) && card.contains("--for ohchr-honduras"), "{card}");
    assert_eq!(text(&stage.objects(SENDER, &["show", &asked])[0], "why"), WHY);
    assert!(stage.well(SENDER, &["inbox"]).contains("asks to seal"));
    refused(&stage, SENDER, &["export", &asked], (2, "resealing"));

    // Nothing goes to keys that nobody there has compared.
    let unconfirmed = answer(&alert, &[]);
    assert!(
        unconfirmed.code == 2 && unconfirmed.err.contains("nobody here has confirmed"),
        "{unconfirmed:?}"
    );
    stage.well(SENDER, &["office", "confirm", LOST, "--fingerprint", &fingerprint(&stage, HOME)]);
    let answered = answer(&alert, &["--json"]);
    assert_eq!(answered.code, 0, "{answered:?}");
    let objects = objects(&answered.out);
    let told = objects.iter().find(|it| it["object"] == "reseal_request").expect("who asks is told first");
    assert!(told["why"] == WHY && told["message_id"] == asked.as_str(), "{told}");
    let answer_id = published(&objects);

    // It reads, as any message; and both sides see that it was sealed again.
    let came = resealing(&stage, HOME);
    assert_eq!(text(&came, "message_id"), answer_id);
    let card = stage.well(HOME, &["show", &alert]);
    assert!(card.contains("Titular sent-before-the-fire"), "{card}");
    let by = "by urn:resguardo:office:iachr:desk-1";
    assert!(card.contains("Resealed") && card.contains(by) && card.contains(&asked), "{card}");
    let shown = stage.objects(HOME, &["show", &alert]).remove(0);
    assert_eq!(
        (text(&shown["resealed"], "answer"), text(&shown["resealed"], "request")),
        (&*answer_id, &*asked)
    );
    let listed = stage.well(HOME, &["inbox"]);
    assert!(listed.contains("(sealed again) Titular"), "{listed}");
    assert!(stage.well(HOME, &["export", &alert]).contains("sent-before-the-fire"));
    stage.well(HOME, &["ack", &alert, "--stage", "read"]);
    stage.well(HOME, &["ack", &alert, "--stage", "acted", "--action", "contacted-person"]);
    let (went, back) = (stage.well(SENDER, &["show", &answer_id]), stage.well(HOME, &["show", &answer_id]));
    assert_eq!(text(&stage.objects(HOME, &["show", &answer_id])[0], "request"), asked);
    for card in [went, back] {
        assert!(
            card.contains("gave ohchr-honduras what opens that message") && card.contains(&asked),
            "{card}"
        );
    }

    // A packet with its file, in the same way.
    refused(&stage, HOME, &["packet", "get", &packet], (5, "cannot be read"));
    stage.well(HOME, &["reseal", &packet, "--ask"]);
    stage.well(SENDER, &["subscribe", "--count", "1"]);
    assert_eq!(answer(&packet, &[]).code, 0);
    stage.well(HOME, &["subscribe", "--count", "1"]);
    let dir = stage.path("fetched");
    stage.well(HOME, &["packet", "get", &packet, "--to", dir.to_str().unwrap()]);
    assert!(fs::read(dir.join("report.pdf")).unwrap() == report, "the file is another");

    // A client that knows no resealing takes it for a message, and shows what it is.
    let third = published(&stage.objects(HOME, &["reseal", &erased, "--ask"]));
    let received = python::well(&stage, SENDER, &["receive", "--count", "1"]);
    assert_eq!(python::after(&received, "received"), third);
    let ran = run(&mut python::python(&stage, SENDER, &["show", &third]));
    assert!(ran.code == 1 && ran.err.contains("MESSAGE_CLASS_RESEAL"), "{ran:?}");

    // What is erased is sealed again for nobody.
    stage.well(SENDER, &["erase", &erased, "--reason", "sent to the wrong offices"]);
    let gone = answer(&erased, &[]);
    assert!(gone.code == 2 && gone.err.contains("is erased"), "{gone:?}");

    auditor_sees(&stage, &alert, [&asked, &answer_id]);
}

/// The auditor sees that it was asked and answered, about what, and nothing else of it.
fn auditor_sees(stage: &Stage, alert: &str, resealings: [&str; 2]) {
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries"]);
    let about = |id: &str| rows.iter().find(|row| row["message_id"] == id).unwrap()["about"].clone();
    let of_alert = rows.iter().find(|row| row["message_id"] == alert).unwrap();
    for id in resealings {
        assert_eq!(about(id)["message_id"], Value::from(alert));
        assert_eq!(about(id)["index"], of_alert["index"]);
    }
    assert_eq!(about(alert), Value::Null);
    let told = stage.well("auditor-iachr", &["audit", "message", resealings[1]]);
    assert!(
        told.contains(&format!("reseal {}", resealings[1])) && told.contains(&format!("about {alert}")),
        "{told}"
    );
    let entries = stage.well("auditor-iachr", &["audit", "entries"]);
    assert!(entries.contains("reseal"), "{entries}");
}
