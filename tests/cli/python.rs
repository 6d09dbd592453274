//! The Python client against a real hub, beside desks of the program itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use prost::Message as _;
use resguardo::desk::keys;
use resguardo::host::disk::OsDisk;
use resguardo::seal::key_file::{SecretKey, WorkFactor, wrapped};
use resguardo::seal::{Kind, OpeningKey, SigningKey};
use resguardo::wire::proto;
use resguardo::wire::signed::Signed;
use serde_json::Value;

use super::stage::{Running, Stage, example, run, until};

/// Python with gRPC, as `examples/python/setup` makes it.
pub(super) fn interpreter() -> Command {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/venv/bin/python");
    assert!(program.exists(), "run examples/python/setup first: {} is missing", program.display());
    let mut command = Command::new(program);
    command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}

pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python").join(name)
}

pub(super) fn python(stage: &Stage, home: &str, arguments: &[&str]) -> Command {
    let mut command = interpreter();
    command.arg(script("office.py")).arg("--home").arg(stage.path(home)).args(arguments);
    command
}

pub(super) fn well(stage: &Stage, home: &str, arguments: &[&str]) -> String {
    let ran = run(&mut python(stage, home, arguments));
    assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
    ran.out
}

/// The word after another one.
pub(super) fn after<'a>(text: &'a str, word: &str) -> &'a str {
    let mut words = text.split_whitespace();
    words.find(|it| *it == word).and_then(|_| words.next()).unwrap_or_else(|| panic!("no {word} in {text:?}"))
}

pub(super) fn pending(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|it| it == "pending")).collect()
}

#[test]
fn python_states_that_a_message_is_erased_where_an_order_holds() {
    let stage = Stage::set();
    let to = ["publish", "alert", &stage.alert("gone"), "--to", "iachr"];
    let id = stage.objects("ohchr-honduras", &to)[0]["message_id"].as_str().unwrap().to_owned();
    stage.objects("ohchr-honduras", &["erase", &id, "--reason", "sent to the wrong office"]);
    let said = well(&stage, "iachr", &["receive", "--count", "2"]);
    assert!(said.contains(&format!("erased {id}")), "{said}");
    let history = stage.objects("auditor-iachr", &["audit", "message", &id]).remove(0);
    assert_eq!(history["deliveries"][0]["stages"][0]["stage"], "erased", "{history}");
    // An order about another message, or by nobody, is none.
    let lie = "import sys; sys.path[:0] = sys.argv[1:3]; from erasures import holds; \
               from resguardo.v1 import message_pb2 as m; e = m.Envelope(message_id=b'x'); \
               o = m.ErasureOrder(message_id=b'x', desk='urn:resguardo:office:a:b').SerializeToString(); \
               from directory import Directory; d = Directory.__new__(Directory); d.signing = {}; d.registrars = {}; \
               print([holds(d, b, e) for b in (b'', m.Signed(statement=o).SerializeToString())])";
    let mut asked = interpreter();
    let generated = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python/generated");
    asked.args(["-c", lie]).arg(script("")).arg(generated);
    assert_eq!(run(&mut asked).out.trim(), "[False, False]");
}

#[test]
fn python_and_the_program_publish_receive_acknowledge_and_audit_alike() {
    let stage = Stage::set();
    let mut receiving = Running::of(&mut python(&stage, "iachr", &["receive", "--count", "2"]));
    let published = well(&stage, "ohchr-honduras", &["publish", &example()]);
    let id = after(&published, "published").to_owned();
    assert_eq!(
        receiving.line(),
        format!("received {id} EXERCISE from urn:resguardo:office:ohchr-honduras:desk-1")
    );
    let of_the_program = &stage.objects("ohchr-mexico", &["publish", "alert", &example()])[0];
    let other = of_the_program["message_id"].as_str().unwrap();
    assert!(receiving.line().starts_with(&format!("received {other} EXERCISE")));
    assert_eq!(receiving.end().code(), Some(0));

    // A desk of the program takes the Python client's message for whole, and holds its envelope to its alert.
    let received = stage.objects("ohchr-guatemala", &["subscribe", "--count", "2"]);
    let message =
        received.iter().find(|it| it["object"] == "message" && it["message_id"] == id.as_str()).unwrap();
    assert_eq!((&message["priority"], &message["status"]), (&"urgent".into(), &"Exercise".into()));
    assert!(received.iter().all(|it| it["object"] != "unreadable"), "{received:?}");
    assert_eq!(well(&stage, "iachr", &["show", other]), stage.well("ohchr-guatemala", &["export", other]));

    well(&stage, "iachr", &["ack", &id, "--stage", "read"]);
    well(&stage, "iachr", &["ack", &id, "--stage", "acted", "--action", "contacted-person"]);
    assert!(well(&stage, "iachr", &["ack", &id, "--stage", "read"]).contains("it was known"));
    let refused = run(&mut python(&stage, "iachr", &["ack", &id, "--stage", "acted"]));
    assert!(refused.code == 1 && refused.err.contains("FIELD_INVALID"), "{refused:?}");

    let history = &stage.objects("auditor-iachr", &["audit", "message", &id])[0];
    let stages = history["deliveries"][0]["stages"].as_array().unwrap();
    assert_eq!(
        stages.iter().map(|it| it["stage"].as_str().unwrap()).collect::<Vec<_>>(),
        ["received", "read", "acted"]
    );
    let told = well(&stage, "auditor-iachr", &["audit", &id]);
    assert!(told.contains("iachr: received") && told.contains("ohchr-colombia: nothing yet"), "{told}");
    assert_eq!(stage.objects("auditor-iachr", &["audit", "outstanding", "--office", "iachr"]).len(), 0);
}

#[test]
fn python_client_loses_nothing_while_the_hub_is_down_and_shows_nothing_twice() {
    let mut stage = Stage::set();
    let mut receiving = Running::of(&mut python(&stage, "iachr", &["receive", "--count", "2"]));
    let first = after(&well(&stage, "ohchr-honduras", &["publish", &example()]), "published").to_owned();
    assert!(receiving.line().contains(&first));
    stage.kill_hub();
    let outbox = stage.path("ohchr-honduras/python-outbox");
    let mut publishing = Running::of(&mut python(&stage, "ohchr-honduras", &["publish", &example()]));
    until("the message is kept while nobody listens", || !pending(&outbox).is_empty());
    stage.start_hub();
    let second = after(&publishing.line(), "published").to_owned();
    assert!(receiving.line().contains(&second), "the first must not come again");
    assert_eq!((publishing.end().code(), receiving.end().code()), (Some(0), Some(0)));
    assert!(pending(&outbox).is_empty());

    // Killed between keeping and handing in: the next run hands in the same bytes.
    let kept = outbox.join(format!("{second}.accepted"));
    fs::rename(&kept, outbox.join(format!("{second}.pending"))).unwrap();
    well(&stage, "ohchr-honduras", &["publish", &example()]);
    assert!(kept.exists() && pending(&outbox).is_empty());
    let deliveries = stage.objects("auditor-iachr", &["audit", "deliveries", "--office", "iachr"]);
    assert_eq!(deliveries.len(), 3, "the repetition is no message of its own");
    assert_eq!(well(&stage, "iachr", &["receive", "--count", "1"]).lines().count(), 1);
}

/// Publishes by the client, one part of which does something else: `patch` is the line that changes it.
fn publish_changed(stage: &Stage, home: &str, patch: &str) -> String {
    let client = [
        "import sys",
        "sys.path.insert(0, sys.argv.pop(1))",
        "import office, exchange, keys",
        "sealed = exchange.seal",
        patch,
        "office.main()",
    ];
    let mut command = interpreter();
    command.args(["-c", &client.join("\n")]).arg(script("")).arg("--home").arg(stage.path(home));
    let ran = run(command.args(["publish", &example()]));
    assert_eq!(ran.code, 0, "{patch}: {ran:?}");
    after(&ran.out, "published").to_owned()
}

#[test]
fn python_and_the_program_show_nothing_of_what_its_sealing_or_signatures_do_not_hold_for() {
    let stage = Stage::set();
    let publish = |patch| publish_changed(&stage, "ohchr-honduras", patch);
    let other_content =
        publish("exchange.seal = lambda to, manifest, content: sealed(to, manifest, content + b' ')");
    let other_keys = publish("exchange.seal = lambda to, *inner: sealed(list(to)[-1:], *inner)");
    let no_manifest = publish("exchange.seal = lambda to, manifest, content: sealed(to, b'', content)");
    let other_message = publish(
        "exchange.message_pb2.SealedManifest = lambda made=exchange.message_pb2.SealedManifest, **fields: \
         made(**fields | {'message_id': bytes(16)})",
    );
    let by_the_machine = publish(
        "keys.SigningKey.signed = lambda self, kind, it, real=keys.SigningKey.signed: \
         real(office.Home(sys.argv[2]).unattended if kind == keys.MANIFEST else self, kind, it)",
    );
    let whole = after(&well(&stage, "ohchr-honduras", &["publish", &example()]), "published").to_owned();

    assert!(well(&stage, "iachr", &["receive", "--count", "1"]).contains(&whole));
    assert_eq!(stage.names("iachr/python-inbox", ".message").len(), 1);
    assert_eq!(stage.names("iachr/python-inbox", ".aside").len(), 5);
    stage.objects("ohchr-guatemala", &["subscribe", "--count", "1"]);
    for (id, reason) in [
        (other_content, "belongs to another message"),
        (other_keys, "sealed to other keys"),
        (no_manifest, "there are 0 signatures"),
        (other_message, "belongs to another message"),
        (by_the_machine, "while nobody is there"),
    ] {
        assert!(run(&mut python(&stage, "iachr", &["show", &id])).out.is_empty());
        let history = &stage.objects("auditor-iachr", &["audit", "message", &id])[0];
        let stated = |office: &str| {
            let deliveries = history["deliveries"].as_array().unwrap();
            let stages = &deliveries.iter().find(|it| it["office"] == office).unwrap()["stages"];
            assert_eq!((stages.as_array().unwrap().len(), &stages[0]["stage"]), (1, &"unreadable".into()));
            stages[0]["reason"].as_str().unwrap().to_owned()
        };
        assert!(stated("iachr").contains(reason), "{}", stated("iachr"));
        stated("ohchr-guatemala");
    }
    // The sender is told, and believes the desk that says so.
    let notices = well(&stage, "ohchr-honduras", &["receive", "--count", "5"]);
    assert!(notices.lines().filter(|it| it.contains("unreadable")).count() >= 5, "{notices}");
    assert!(!notices.contains("of a receipt that does not count"), "{notices}");
}

#[test]
fn python_shows_nothing_that_was_changed_after_it_was_signed() {
    let stage = Stage::set();
    let id = after(&well(&stage, "ohchr-honduras", &["publish", &example()]), "published").to_owned();
    well(&stage, "iachr", &["receive", "--count", "1"]);
    let name = stage.names("iachr/python-inbox", ".message").remove(0);
    let path = stage.path("iachr/python-inbox").join(name);
    let came = proto::Delivery::decode(fs::read(&path).unwrap().as_slice()).unwrap();
    let Some(proto::delivery::Content::Message(message)) = &came.content else { panic!("{came:?}") };
    let signed = proto::Signed::decode(message.envelope.clone()).unwrap();
    let envelope = proto::Envelope::decode(signed.statement.clone()).unwrap();
    let of =
        |signed: proto::Signed| proto::Message { envelope: signed.encode_to_vec().into(), ..message.clone() };
    let mut halves = [signed.clone(), signed.clone()];
    halves[0].signatures[0].ed25519 = flipped(&signed.signatures[0].ed25519);
    halves[1].signatures[0].ml_dsa_44 = flipped(&signed.signatures[0].ml_dsa_44);
    let [ed25519, ml_dsa] = halves.map(of);
    let actual = proto::Envelope { status: proto::CapStatus::Actual.into(), ..envelope.clone() };
    let changed = of(proto::Signed { statement: actual.encode_to_vec().into(), ..signed.clone() });
    let payload = proto::Message { payload: flipped(&message.payload), ..message.clone() };
    // Another office's desk signs the same, and says that it is of Honduras.
    let signed_by = |key: &SigningKey| Signed::by(key, Kind::Envelope, signed.statement.clone()).to_bytes();
    let foreign =
        proto::Message { envelope: signed_by(&attended(&stage, "ohchr-mexico")), ..message.clone() };
    for (message, words) in [
        (ed25519, "the Ed25519 signature"),
        (ml_dsa, "the ML-DSA-44 signature"),
        (changed, "the Ed25519 signature"),
        (payload, "the payload is not the one"),
        (foreign, "a key that is none of urn:resguardo:office:ohchr-honduras:desk-1"),
    ] {
        let content = Some(proto::delivery::Content::Message(message));
        fs::write(&path, proto::Delivery { content, ..came.clone() }.encode_to_vec()).unwrap();
        let ran = run(&mut python(&stage, "iachr", &["show", &id]));
        assert!(ran.code == 1 && ran.out.is_empty() && ran.err.contains(words), "{words}: {ran:?}");
    }
    fs::write(&path, came.encode_to_vec()).unwrap();
    assert!(well(&stage, "iachr", &["show", &id]).contains("<alert"));
}

pub(super) fn flipped(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    *bytes.last_mut().expect("there are some") ^= 1;
    bytes.into()
}

pub(super) fn attended(stage: &Stage, home: &str) -> SigningKey {
    keys::unlock(&OsDisk, &stage.path(home), None).expect("a development set's keys lie open").attended
}

/// The entries that an auditor sees.
pub(super) fn entries(stage: &Stage) -> Vec<Value> {
    stage.objects("auditor-iachr", &["audit", "entries"])
}

pub(super) fn statement(entry: &Value) -> Vec<u8> {
    let digits = entry["statement_hex"].as_str().unwrap();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// What the envelopes of a desk say, in their order.
pub(super) fn envelopes(stage: &Stage, office: &str) -> Vec<proto::Envelope> {
    let entries = entries(stage).into_iter().filter(|it| it["kind"] == "publish");
    let signed = entries.map(|it| proto::Signed::decode(statement(&it).as_slice()).unwrap());
    let envelopes = signed.map(|it| proto::Envelope::decode(it.statement).unwrap());
    envelopes.filter(|it| it.sender.split(':').nth(3) == Some(office)).collect()
}

pub(super) fn numbers(envelopes: &[proto::Envelope], office: &str) -> Vec<u64> {
    let of = |it: &proto::Envelope| it.recipients.iter().find(|it| it.office == office).unwrap().number;
    envelopes.iter().map(of).collect()
}

#[test]
fn python_numbers_have_no_gap_and_say_which_ones_nobody_bears() {
    let stage = Stage::set();
    let publish = || well(&stage, "ohchr-honduras", &["publish", &example()]);
    publish();
    // Only its sender updates a message: this update is refused for good.
    let foreign = after(&well(&stage, "ohchr-mexico", &["publish", &example()]), "published").to_owned();
    let alert = fs::read_to_string(example()).unwrap();
    let update = alert.replace("<msgType>Alert<", "<msgType>Update<");
    let update = stage.file("update", &update);
    let ran = run(&mut python(&stage, "ohchr-honduras", &["publish", &update, "--about", &foreign]));
    assert!(ran.code == 1 && ran.err.contains("REFERENCE_FOREIGN"), "{ran:?}");
    publish();
    publish();
    let sent = envelopes(&stage, "ohchr-honduras");
    assert_eq!(numbers(&sent, "iachr"), [1, 3, 4]);
    let voided = sent[1].voided.iter().find(|it| it.office == "iachr").map(|it| it.number);
    assert_eq!((voided, sent[1].voided.len()), (Some(2), sent[1].recipients.len()));
    assert!(sent[0].voided.is_empty() && sent[2].voided.is_empty(), "it is said once");
    assert_eq!(numbers(&envelopes(&stage, "ohchr-mexico"), "iachr"), [1], "each desk counts for itself");
}

#[test]
fn python_seals_anew_what_the_hub_finds_sealed_to_a_key_that_was_replaced() {
    let mut stage = Stage::set();
    well(&stage, "ohchr-honduras", &["publish", &example()]);
    stage.kill_hub();
    let outbox = stage.path("ohchr-honduras/python-outbox");
    let waiting = Running::of(&mut python(&stage, "ohchr-honduras", &["publish", &example()]));
    until("the message is kept while nobody listens", || !pending(&outbox).is_empty());
    waiting.kill();
    stage.start_hub();
    stage.well("desk-2", &["office", "request", "--insecure-dev-keys"]);
    let request = stage.path("desk-2/keys/request").to_str().unwrap().to_owned();
    let desk = "urn:resguardo:office:ohchr-guatemala:desk-2";
    stage.amend(&["registrar", "enrol", &request, "--as", desk, "--replace-office-key"]);
    well(&stage, "ohchr-honduras", &["publish", &example()]);
    assert!(pending(&outbox).is_empty());
    let sent = envelopes(&stage, "ohchr-honduras");
    assert_eq!(numbers(&sent, "ohchr-guatemala"), [1, 2, 3]);
    assert_eq!(sent.iter().map(|it| it.directory_version).collect::<Vec<_>>(), [1, 2, 2]);
    fs::copy(stage.path("desk-2/keys/office"), stage.path("ohchr-guatemala/keys/office")).unwrap();
    let received = stage.objects("ohchr-guatemala", &["subscribe", "--count", "2"]);
    assert_eq!(received.iter().filter(|it| it["object"] == "message").count(), 2, "{received:?}");
}

#[test]
fn python_refuses_keys_that_a_passphrase_wraps_and_keys_that_are_out_of_place() {
    let stage = Stage::set();
    let path = |name: &str| stage.path("ohchr-honduras/keys").join(name);
    let refused = |words: &str, arguments: &[&str]| {
        let ran = run(&mut python(&stage, "ohchr-honduras", arguments));
        assert!(
            ran.code == 1 && ran.err.starts_with("error: ") && ran.err.contains(words),
            "{words}: {ran:?}"
        );
    };
    let keep = |name: &str, key: SecretKey| {
        fs::write(path(name), wrapped(&key, "correct horse", WorkFactor::TEST).unwrap()).unwrap();
    };
    let alert = example();
    keep("attended", SecretKey::Signing(attended(&stage, "ohchr-honduras")));
    refused("a passphrase wraps this key", &["publish", &alert]);
    fs::copy(path("office"), path("attended")).unwrap();
    refused("another kind", &["publish", &alert]);
    let text = fs::read_to_string(path("unattended")).unwrap();
    let open = text.replace(text.lines().nth(1).unwrap(), "RESGUARDO-SECRET-KEY-1QQQQQQ");
    fs::write(path("attended"), open).unwrap();
    refused("the text of a key is damaged", &["publish", &alert]);
    stage.well("iachr", &["publish", "alert", &alert]);
    keep("office", SecretKey::Opening(OpeningKey::from_seed(&[1; 32])));
    refused("a passphrase wraps this key", &["receive", "--count", "1"]);
    assert_eq!(stage.names("ohchr-honduras/python-inbox", "").len(), 0);
}

#[test]
fn python_opens_what_was_sealed_to_former_keys_of_its_office() {
    let stage = Stage::set();
    let id = after(&well(&stage, "ohchr-honduras", &["publish", &example()]), "published").to_owned();
    for _ in 0..2 {
        stage.well("iachr", &["office", "rotate"]);
    }
    let second = after(&well(&stage, "ohchr-honduras", &["publish", &example()]), "published").to_owned();
    let received = well(&stage, "iachr", &["receive", "--count", "2"]);
    assert!(received.contains(&id) && received.contains(&second), "{received}");
    assert_eq!(stage.names("iachr/keys", "").iter().filter(|it| it.starts_with("former.")).count(), 2);
    assert!(well(&stage, "iachr", &["show", &id]).contains("<alert"));
}
