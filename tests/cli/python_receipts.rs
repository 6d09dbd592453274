//! Receipts and notes of the Python client, and receipts verified away from the hub.

use std::fs;

use bytes::Bytes;
use prost::Message as _;
use resguardo::desk::keys;
use resguardo::host::disk::OsDisk;
use resguardo::model::envelope::MessageId;
use resguardo::model::id::Index;
use resguardo::model::receipt::Covered;
use resguardo::seal::{Kind, SigningKey, sha256};
use resguardo::wire::proto;
use resguardo::wire::signed::Signed;
use serde_json::Value;

use super::python::{
    after, attended, entries, envelopes, flipped, interpreter, numbers, pending, python, script, statement,
    well,
};
use super::stage::{Ran, Stage, example, run};

/// Has a receipt verified away from the hub, after something was done to it.
fn verified(stage: &Stage, index: u64, change: impl FnOnce(&mut proto::SignedReceipt)) -> Ran {
    verified_as(stage, (index, index), change)
}

/// As [`verified`], with another index than the hub says.
fn verified_as(
    stage: &Stage,
    (index, said): (u64, u64),
    change: impl FnOnce(&mut proto::SignedReceipt),
) -> Ran {
    let mut entries = entries(stage);
    let entry = entries.iter_mut().find(|it| it["index"] == index).expect("the receipt is there");
    let mut receipt = proto::SignedReceipt::decode(statement(entry).as_slice()).unwrap();
    change(&mut receipt);
    let digits = receipt.encode_to_vec().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    entry["statement_hex"] = digits.into();
    entry["index"] = said.into();
    let path = stage.path("entries");
    fs::write(&path, entries.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")).unwrap();
    let trust = fs::read_to_string(stage.path("auditor-iachr/trust.toml")).unwrap();
    let founding = trust.split('"').nth(1).expect("the founding stands there");
    let said = said.to_string();
    run(interpreter().arg(script("verify_receipt.py")).args(["--founding", founding]).arg(path).arg(said))
}

#[test]
fn receipts_are_verified_away_from_the_hub_and_forged_ones_are_told() {
    let stage = Stage::set();
    let [id, other] = ["ohchr-honduras", "ohchr-mexico"]
        .map(|sender| after(&well(&stage, sender, &["publish", &example()]), "published").to_owned());
    well(&stage, "iachr", &["receive", "--count", "2"]);
    let recorded = well(&stage, "iachr", &["ack", &id, "--stage", "read"]);
    let read = after(&recorded, "index").parse().unwrap();
    let by_program = &stage.objects("ohchr-guatemala", &["subscribe", "--count", "2"]);
    assert!(!by_program.is_empty());
    for entry in entries(&stage).iter().filter(|it| it["kind"] == "receipt") {
        let ran = verified(&stage, entry["index"].as_u64().unwrap(), |_| ());
        assert!(ran.code == 0 && ran.out.contains("both signatures hold"), "{ran:?}");
    }
    let ran = verified(&stage, read, |_| ());
    assert!(ran.out.contains("desk-1 stated read") && ran.out.contains(&id) && !ran.out.contains(&other));

    let told = |words: &str, change: &dyn Fn(&mut proto::SignedReceipt)| {
        let ran = verified(&stage, read, change);
        assert!(ran.code == 1 && ran.out.is_empty() && ran.err.contains(words), "{words}: {ran:?}");
    };
    told("the Ed25519 signature", &|it| it.signatures[0].ed25519 = flipped(&it.signatures[0].ed25519));
    told("the ML-DSA-44 signature", &|it| it.signatures[0].ml_dsa_44 = flipped(&it.signatures[0].ml_dsa_44));
    told("there are 0 signatures", &|it| it.signatures.clear());
    // Another message, whether or not the words inside are changed to cover it.
    let another =
        entries(&stage).iter().find(|it| it["what"].as_str().unwrap().contains(&other)).map(statement);
    let another = proto::Signed::decode(another.unwrap().as_slice()).unwrap().statement;
    let covered = proto::CoveredMessage {
        index: 2,
        message_id: proto::Envelope::decode(another.clone()).unwrap().message_id,
        envelope_digest: sha256(&another).to_vec().into(),
    };
    told("are not those that it covers", &|it| it.messages = vec![covered.clone()]);
    let stated = |it: &mut proto::SignedReceipt, change: &dyn Fn(&mut proto::Receipt)| {
        let mut receipt = proto::Receipt::decode(it.statement.clone()).unwrap();
        change(&mut receipt);
        it.statement = receipt.encode_to_vec().into();
    };
    let signed_by = |it: &mut proto::SignedReceipt, key: &SigningKey| {
        let signed = Signed::by(key, Kind::Receipt, it.statement.clone());
        it.signatures = proto::Signed::decode(signed.to_bytes()).unwrap().signatures;
    };
    // A desk that covers this envelope under the other's id has stated nothing of either.
    let attended_key = attended(&stage, "iachr");
    told("does not cover this message", &|it| {
        it.messages[0].message_id = covered.message_id.clone();
        let seed = it.seed.as_ref().try_into().unwrap();
        let message = Covered {
            index: Index(1),
            message_id: MessageId::from_slice(&covered.message_id).unwrap(),
            digest: it.messages[0].envelope_digest.as_ref().try_into().unwrap(),
        };
        let cover = Bytes::copy_from_slice(&message.cover(seed, 0));
        stated(it, &|it| it.covers = vec![Bytes::clone(&cover)]);
        signed_by(it, &attended_key);
    });
    let acted = |it: &mut proto::Receipt| {
        it.set_stage(proto::Stage::Acted);
        it.set_action(proto::Action::ContactedPerson);
    };
    told("the Ed25519 signature", &|it| stated(it, &acted));
    let unattended = keys::unattended(&OsDisk, &stage.path("iachr")).unwrap();
    told("while nobody is there", &|it| signed_by(it, &unattended));
    let guatemala = "urn:resguardo:office:ohchr-guatemala:desk-1";
    told("none of urn:resguardo:office:ohchr-guatemala", &|it| stated(it, &|it| it.desk = guatemala.into()));
    told("none of urn:resguardo:office:iachr", &|it| signed_by(it, &attended(&stage, "ohchr-guatemala")));
    told("was not for the office", &|it| {
        stated(it, &|it| it.desk = "urn:resguardo:office:ohchr-honduras:desk-1".into());
        signed_by(it, &attended(&stage, "ohchr-honduras"));
    });
}

#[test]
fn what_was_signed_before_keys_were_replaced_counts_in_python_and_nothing_after_that() {
    let stage = Stage::set();
    let id = after(&well(&stage, "ohchr-honduras", &["publish", &example()]), "published").to_owned();
    well(&stage, "iachr", &["receive", "--count", "1"]);
    let recorded = well(&stage, "iachr", &["ack", &id, "--stage", "read"]);
    let read = after(&recorded, "index").parse().unwrap();
    for office in ["ohchr-honduras", "iachr"] {
        let home = format!("{office}-again");
        stage.well(&home, &["office", "request", "--further-desk", "--insecure-dev-keys"]);
        let request = stage.path(&home).join("keys/request").to_str().unwrap().to_owned();
        let desk = format!("urn:resguardo:office:{office}:desk-1");
        stage.amend(&["registrar", "enrol", &request, "--as", &desk]);
    }
    assert!(well(&stage, "ohchr-mexico", &["receive", "--count", "1"]).contains(&id));
    assert!(well(&stage, "ohchr-mexico", &["show", &id]).contains("<alert"));
    assert_eq!(verified(&stage, read, |_| ()).code, 0);
    let later = verified_as(&stage, (read, 1_000), |_| ());
    assert!(later.code == 1 && later.err.contains("a former key"), "{later:?}");

    let ran = run(&mut python(&stage, "ohchr-honduras", &["publish", &example()]));
    assert!(ran.code == 1 && ran.err.contains("former keys"), "{ran:?}");
    assert_eq!(pending(&stage.path("ohchr-honduras/python-outbox")).len(), 1, "a person mends it");
    let again = |name: &str| stage.path("ohchr-honduras-again/keys").join(name);
    for name in ["attended", "unattended"] {
        fs::copy(again(name), stage.path("ohchr-honduras/keys").join(name)).unwrap();
    }
    well(&stage, "ohchr-honduras", &["publish", &example()]);
    assert!(pending(&stage.path("ohchr-honduras/python-outbox")).is_empty());
    assert_eq!(numbers(&envelopes(&stage, "ohchr-honduras"), "iachr"), [1, 2, 3]);
}

#[test]
fn python_and_the_program_read_each_others_notes_and_nothing_that_does_not_hold() {
    let stage = Stage::set();
    let id = after(&well(&stage, "ohchr-honduras", &["publish", &example()]), "published").to_owned();
    well(&stage, "iachr", &["receive", "--count", "1"]);
    stage.objects("ohchr-guatemala", &["subscribe", "--count", "1"]);
    let decline = ["ack", &id, "--stage", "declined"];
    let refused = run(&mut python(&stage, "iachr", &decline));
    assert!(refused.code == 1 && refused.err.contains("needs a reason"), "{refused:?}");
    well(&stage, "iachr", &[&decline[..], &["--reason", "of another territory"]].concat());
    stage.well("ohchr-guatemala", &[&decline[..], &["--reason", "known since Monday"]].concat());

    let told = |home: &str| {
        let history = stage.objects(home, &["audit", "message", &id]).pop().unwrap();
        let receipts = history["receipts"].as_array().unwrap().clone();
        let declined = receipts.into_iter().filter(|it| it["stage"] == "declined");
        declined.map(|it| (it["officer"].clone(), it["note"].clone())).collect::<Vec<_>>()
    };
    let expected = [("Duty officer", "of another territory"), ("Duty officer", "known since Monday")];
    let expected = expected.map(|(officer, note)| (Value::from(officer), Value::from(note)));
    stage.well("ohchr-honduras", &["office", "list"]);
    assert_eq!(told("ohchr-honduras"), expected);
    assert_eq!(told("auditor-iachr"), [(Value::Null, Value::Null), (Value::Null, Value::Null)]);

    let notices = well(&stage, "ohchr-honduras", &["receive", "--count", "2"]);
    for (desk, text) in [("iachr", "of another territory"), ("ohchr-guatemala", "known since Monday")] {
        let words = format!("declined {id} by urn:resguardo:office:{desk}:desk-1: {text}, says Duty officer");
        assert!(notices.contains(&words), "{notices}");
    }
    let swapped = [
        "import sys",
        "sys.path.insert(0, sys.argv.pop(1))",
        "import office",
        "desk = office.Office(office.Home(sys.argv[1]))",
        "one, two = (desk.kept(name).notice for name in desk.inbox.names('.notice'))",
        "one.note = two.note",
        "print(office.words(desk, one))",
        "desk.home.__dict__['opening'] = []",
        "print(office.words(desk, two))",
    ];
    let home = stage.path("ohchr-honduras");
    let ran = run(interpreter().args(["-c", &swapped.join("\n")]).arg(script("")).arg(home));
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2, "{ran:?}");
    assert!(lines[0].ends_with("the note is not the one that the receipt names"), "{ran:?}");
    assert!(lines[1].contains("a note that does not count: sealed to other keys"), "{ran:?}");
}
