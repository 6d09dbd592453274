//! The attacks, one after the other, each on a copy of the same exchange.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use resguardo::model::entry::EntryKind;
use resguardo::model::fact::Fact;
use resguardo::model::id::{Index, UnixMicros};
use resguardo::model::policy::Policy;
use resguardo::model::receipt::{Covered, Receipt};
use resguardo::wire::amendment;
use resguardo::wire::signed::{SignedEnvelope, SignedReceipt};

use super::scene::{
    ASKING, LATE, SENDER, Scene, WATCHING, cosigned, journal, look, not_witnessed, plain, publish, verified,
};
use super::teller::Teller;
use super::turned::{Told, append, copy, go_on, history, hub_key, put_back};
use super::{Row, Soon};
use crate::stage::{Stage, objects, until};

/// Each gives the rows of what it tried.
pub(super) const ATTACKS: &[fn(&Scene) -> Vec<Row>] = &[
    rewritten,
    rewritten_on_the_disk_alone,
    taken_out_before_anybody_looked,
    two_histories,
    invented,
    revocation_withheld,
    message_withheld,
    late_receipt,
    older_backup,
];

/// Says who found it.
fn by(found: &[String], looked: &[&str], all: &str) -> String {
    assert_eq!(found, looked, "all of them find it, and nobody else was asked");
    all.to_owned()
}

const LOOKED_BEFORE: &str = "every office that had looked before";

fn rewritten(scene: &Scene) -> Vec<Row> {
    let [message, overdue, receipt] = scene.places();
    let tried = |tried, change: &dyn Fn(&mut Vec<Told>)| {
        let mut stage = scene.stage.copied();
        let mut told = scene.since();
        change(&mut told);
        go_on(&stage, &scene.older, &told, true);
        stage.start_hub();
        let (found, sees) = look(&stage, &WATCHING);
        Row { tried, by: by(&found, &WATCHING, LOOKED_BEFORE), soon: Soon::Look, sees }
    };
    vec![
        tried("an entry taken out of the journal", &|told| drop(told.remove(message))),
        tried("entries moved in it", &|told| {
            let one = told[overdue].proposal.clone();
            told[overdue].proposal = std::mem::replace(&mut told[receipt].proposal, one);
        }),
        tried("an entry changed", &|told| told[overdue].time.0 += 1),
    ]
}

/// Without the hub's key: its program finds it itself.
fn rewritten_on_the_disk_alone(scene: &Scene) -> Vec<Row> {
    let mut stage = scene.stage.copied();
    let mut told = scene.since();
    told.remove(scene.places()[1]);
    go_on(&stage, &scene.older, &told, false);
    let checked = stage.run("hub", &["hub", "verify"]);
    assert!(checked.code == 5 && checked.err.contains("is not the one that was signed"), "{checked:?}");
    stage.start_hub();
    let mut status = String::new();
    until("the hub says so", || {
        status = stage.run("operator-dev", &["hub", "status"]).out;
        status.contains("logs-unsigned")
    });
    let sees = plain(&checked.err, "the journal is not", ", and only");
    vec![Row {
        tried: "the same with the disk alone, and the logs left as they were",
        by: "the hub itself: its operator, and `hub verify`".into(),
        soon: Soon::Start,
        sees,
    }]
}

/// An alert that was confirmed to its sender, and is gone before anybody has a checkpoint over it.
fn taken_out_before_anybody_looked(scene: &Scene) -> Vec<Row> {
    let mut stage = scene.stage.copied();
    stage.start_hub();
    let lost = publish(&stage, "lost", &["--to", "iachr"]);
    stage.kill_hub();
    put_back(&stage, &scene.stage.path("hub"));
    stage.start_hub();
    let alert = stage.alert("other");
    stage.well(LATE, &["publish", "alert", &alert, "--to", "iachr"]);
    cosigned(&stage, &WATCHING);
    let mut watch = stage.start(SENDER, &["--json", "subscribe"]);
    let told = watch.object("warning");
    let said = told["message"].as_str().unwrap();
    assert!(said.contains(lost["message_id"].as_str().unwrap()), "{said}");
    let sees = plain(said, "THE HUB'S", ". The proof is kept");
    vec![Row {
        tried: "an alert that was confirmed taken out before anybody has looked",
        by: "its sender".into(),
        soon: Soon::LookAfterQuorum,
        sees,
    }]
}

/// One hub for one office, another for the others.
fn two_histories(scene: &Scene) -> Vec<Row> {
    let (mut one, mut two) = (scene.stage.copied(), scene.stage.copied());
    one.start_hub();
    two.start_hub();
    for stage in [&one, &two] {
        publish(stage, "fork", &["--to", LATE]);
        let alert = stage.alert("more");
        stage.well("iachr", &["publish", "alert", &alert, "--to", LATE]);
    }
    let others: Vec<_> = WATCHING.iter().copied().filter(|it| *it != LATE).collect();
    cosigned(&one, &others);
    assert_eq!(journal(&one)["witnessed"], true);
    // The office that is kept apart finds nothing, and nobody bears witness beside it.
    cosigned(&two, &[]);
    assert!(look(&two, &[LATE]).0.is_empty());
    let came = two.objects(LATE, &["subscribe", "--count", "1"]);
    let came = came.iter().find(|it| it["object"] == "message").unwrap();
    let sees = not_witnessed(&two, LATE, came["message_id"].as_str().unwrap());
    let apart = Row {
        tried: "two histories to two desks, each kept to its own for ever",
        by: "the desk that is kept apart from the others".into(),
        soon: Soon::Late,
        sees,
    };
    // Its home comes to the other hub, as when the hub lets it see what the others have cosigned.
    fs::remove_dir_all(one.path(LATE)).unwrap();
    copy(&two.path(LATE), &one.path(LATE));
    let (from, to) = (two.hub_address().to_string(), one.hub_address().to_string());
    one.rewrite(&format!("{LATE}/desk.toml"), &from, &to);
    let (found, sees) = look(&one, &[LATE]);
    let by = by(&found, &[LATE], "the desk that had been shown another");
    vec![apart, Row { tried: "two histories to two desks that meet", by, soon: Soon::Meeting, sees }]
}

/// The directory as the hub has it.
fn directory(stage: &Stage) -> (Policy, Vec<Bytes>) {
    let told = history(&stage.path("hub"));
    let told = told.into_iter().filter(|it| it.proposal.kind == EntryKind::Directory);
    let entries: Vec<_> = told.map(|it| it.proposal.statement).collect();
    let mut policy = Policy::default();
    for entry in &entries {
        policy.amend(&Arc::new(amendment::read(entry).unwrap())).unwrap();
    }
    (policy, entries)
}

fn invented_office(stage: &Stage, policy: &Policy) -> Bytes {
    let (name, institution) = ("ohchr-nowhere".parse().unwrap(), "ohchr".parse().unwrap());
    let facts = vec![Fact::Office { name, institution }];
    let mut signed = amendment::unsigned(policy.next_amendment(facts, UnixMicros(1)));
    amendment::sign(&mut signed, &hub_key(stage));
    amendment::bytes(&signed)
}

/// Asks of a home what needs the directory, and gives what is said.
fn asked(stage: &Stage, home: &str, teller: &Teller) -> String {
    stage.rewrite(&format!("{home}/desk.toml"), "127.0.0.1:1\"", &format!("{}\"", teller.address));
    let listed = stage.run(home, &["policy", "list"]);
    assert_eq!(listed.code, 5, "{listed:?}");
    listed.err
}

fn invented(scene: &Scene) -> Vec<Row> {
    let stage = scene.stage.copied();
    let (policy, mut entries) = directory(&stage);
    entries.push(invented_office(&stage, &policy));
    let teller = Teller::of(&stage.path("hub"), policy.clone(), entries);
    let homes = [&WATCHING[..], &["auditor-iachr", "operator-dev"]].concat();
    let said: Vec<_> = homes.iter().map(|home| asked(&stage, home, &teller)).collect();
    let sees = plain(&said[0], "the hub tells", ". Tell the registrars");
    assert!(said.iter().all(|it| plain(it, "the hub tells", ". Tell the registrars") == sees));
    let told = Row {
        tried: "an office invented, or a key, without the registrars' signatures",
        by: "every home".into(),
        soon: Soon::Asked,
        sees,
    };
    // Its own program takes no such entry either, wherever it stands.
    let mut stage = scene.stage.copied();
    let invented = invented_office(&stage, &policy);
    let hub = "urn:resguardo:hub:dev";
    let last = history(&stage.path("hub")).pop().unwrap();
    append(&stage, &[Told::after(&last, EntryKind::Directory, hub, invented)]);
    stage.start_hub();
    let listed = stage.well("iachr", &["office", "list"]);
    assert!(listed.contains(LATE) && !listed.contains("ohchr-nowhere"), "{listed}");
    drop(stage);
    // A whole directory of one's own.
    let stage = scene.stage.copied();
    let foreign = Stage::without_hub();
    let founding = fs::read(foreign.path("hub/founding")).unwrap();
    let mut other = Policy::default();
    other.amend(&Arc::new(amendment::read(&founding.clone().into()).unwrap())).unwrap();
    let teller = Teller::of(&stage.path("hub"), other, vec![founding.into()]);
    // A home that knows none yet.
    fs::remove_file(stage.path("iachr/directory")).unwrap();
    let said = asked(&stage, "iachr", &teller);
    let sees = plain(&said, "the hub tells", " (");
    vec![
        told,
        Row {
            tried: "a directory founded anew, with registrars of its own",
            by: "every home, by its trust file".into(),
            soon: Soon::Asked,
            sees,
        },
    ]
}

fn revocation_withheld(scene: &Scene) -> Vec<Row> {
    let stage = scene.stage.copied();
    let (policy, mut entries) = directory(&stage);
    entries.pop();
    let teller = Teller::of(&stage.path("hub"), policy, entries);
    let said: Vec<_> = WATCHING.iter().map(|home| asked(&stage, home, &teller)).collect();
    let sees = plain(&said[0], "the hub tells", ", or was restored");
    assert!(said.iter().all(|it| it.contains("it keeps something back")), "{said:?}");
    let known = Row {
        tried: "a revocation withheld from who knows of it",
        by: "every home that does".into(),
        soon: Soon::Asked,
        sees,
    };
    // From an office that was away: it is shown the hub as it was, and nobody bears witness to what follows.
    let mut stage = scene.stage.copied();
    put_back(&stage, &scene.older);
    fs::remove_dir_all(stage.path(LATE)).unwrap();
    copy(&scene.away, &stage.path(LATE));
    let (from, to) = (scene.stage.hub_address().to_string(), "127.0.0.1:1");
    stage.rewrite(&format!("{LATE}/desk.toml"), &from, to);
    stage.start_hub();
    assert!(look(&stage, &[LATE]).0.is_empty(), "it cannot know");
    let alert = stage.alert("away");
    let told = stage.objects(LATE, &["publish", "alert", &alert, "--to", "iachr"]);
    let sent = told.iter().find(|it| it["object"] == "published").unwrap();
    let others: Vec<_> = WATCHING.iter().copied().filter(|it| *it != LATE).collect();
    assert_eq!(look(&stage, &others).0, others, "who knows of it does not cosign");
    let id = sent["message_id"].as_str().unwrap();
    let file = stage.path("away.evidence");
    until("a checkpoint over it", || journal(&stage)["size"].as_u64() > sent["index"].as_u64());
    stage.well(LATE, &["audit", "message", id, "--evidence", file.to_str().unwrap()]);
    let read = verified(&stage, &file, &[]);
    assert_eq!(read.code, 7, "nobody bears witness to what came after");
    let sees = plain(&read.out, "NOT WITNESSED", ":");
    vec![
        known,
        Row {
            tried: "a revocation withheld from who was away",
            by: "that office, and whoever reads its evidence, as the others do not cosign beside it".into(),
            soon: Soon::Late,
            sees,
        },
    ]
}

/// A receipt that nobody signed takes a message off what an office is owed.
fn message_withheld(scene: &Scene) -> Vec<Row> {
    let mut stage = scene.stage.copied();
    stage.start_hub();
    let withheld = publish(&stage, "withheld", &["--to", LATE]);
    stage.kill_hub();
    let hub = stage.path("hub");
    let last = history(&hub).pop().unwrap();
    let signed = SignedEnvelope::read(&last.proposal.statement).unwrap();
    let index = Index(withheld["index"].as_u64().unwrap());
    let covered = Covered { index, message_id: signed.envelope.message_id, digest: signed.digest() };
    let desk = format!("urn:resguardo:office:{LATE}:desk-1");
    let Ok(resguardo::model::identity::Identity::Desk(named)) = desk.parse() else { panic!("{desk}") };
    let receipt = Receipt::received(named, vec![covered], last.time);
    let receipt = SignedReceipt::by(&hub_key(&stage), receipt, [3; 32]);
    append(&stage, &[Told::after(&last, EntryKind::Receipt, &desk, receipt.to_bytes())]);
    stage.start_hub();
    publish(&stage, "next", &["--to", LATE]);
    let came = stage.objects(LATE, &["subscribe", "--count", "1"]);
    assert!(came.iter().all(|it| it["message_id"] != withheld["message_id"]), "{came:?}");
    let listed = stage.run(LATE, &["inbox"]);
    let sees = plain(&listed.err, "message", ". If no other desk");
    let by_recipient = Row {
        tried: "a message withheld from one, with a forged receipt for the others",
        by: "the office that it is withheld from".into(),
        soon: Soon::NextMessage,
        sees,
    };
    let id = withheld["message_id"].as_str().unwrap();
    until("a checkpoint over it", || journal(&stage)["size"].as_u64() > Some(index.0 + 2));
    let file = stage.path("withheld.evidence");
    let asked = stage.run(SENDER, &["audit", "message", id, "--evidence", file.to_str().unwrap()]);
    assert!(asked.code == 5 && !file.exists(), "{asked:?}");
    let sees = plain(&asked.err, "what the hub gave", ". No file");
    vec![
        by_recipient,
        Row {
            tried: "the same",
            by: "its sender, or an auditor, who asks for evidence".into(),
            soon: Soon::Read,
            sees,
        },
    ]
}

/// A receipt that came late goes before its deadline, and nobody says that one was missed.
fn late_receipt(scene: &Scene) -> Vec<Row> {
    let [message, overdue, receipt] = scene.places();
    let in_time = |told: &mut Vec<Told>| {
        let late = told.remove(receipt);
        told.remove(overdue);
        let at = told[message].time;
        told.insert(message + 1, Told { time: UnixMicros(at.0 + 1), ..late });
    };
    let mut told = scene.since();
    in_time(&mut told);
    let mut stage = scene.stage.copied();
    go_on(&stage, &scene.older, &told, true);
    stage.start_hub();
    let (found, sees) = look(&stage, &WATCHING);
    let later = Row {
        tried: "a late receipt moved before its deadline",
        by: by(&found, &WATCHING, LOOKED_BEFORE),
        soon: Soon::Look,
        sees,
    };
    drop(stage);
    // Before anybody has a checkpoint over it, there is nothing that it would not go on from.
    let mut stage = scene.stage.copied();
    for home in WATCHING.iter().chain(&[ASKING]) {
        fs::remove_dir_all(stage.path(home).join("logs")).unwrap();
    }
    put_back(&stage, &scene.unseen);
    go_on(&stage, &scene.older, &told, true);
    stage.start_hub();
    cosigned(&stage, &WATCHING);
    let file = stage.path("late.evidence");
    stage.well("auditor-ohchr", &["audit", "message", &scene.id, "--evidence", file.to_str().unwrap()]);
    let verified = verified(&stage, &file, &["--json"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let proved = objects(&verified.out).remove(0);
    assert_eq!(proved["missed"].as_array().unwrap().len(), 0, "{proved}");
    let stated = &proved["statements"][0];
    let time = |key: &str| -> jiff::Timestamp { stated[key].as_str().unwrap().parse().unwrap() };
    assert!(time("at") > time("recorded_at"), "{stated}");
    vec![
        later,
        Row {
            tried: "the same before any desk has looked",
            by: "nobody by the log; whoever reads the evidence".into(),
            soon: Soon::Read,
            sees: "the office's own time, which it signed, is later than the hub's".into(),
        },
    ]
}

fn older_backup(scene: &Scene) -> Vec<Row> {
    let mut stage = scene.stage.copied();
    put_back(&stage, &scene.older);
    stage.start_hub();
    let (found, sees) = look(&stage, &WATCHING);
    vec![Row {
        tried: "an older backup passed off as the present",
        by: by(&found, &WATCHING, LOOKED_BEFORE),
        soon: Soon::Look,
        sees,
    }]
}
