//! Offices' homes and the hub's, after power cuts at some of them: what a command said that it kept is there, what was
//! acknowledged is in the inbox, and all of it arrives, once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use resguardo::host::disk::CrashStyle;
use serde_json::Value;

use crate::disks::{Disks, Kept, style};
use crate::homes::{Homes, alert, member};
use crate::life::random;
use crate::plan::{count, moments};
use crate::stage::chance::Chance;
use crate::tape::{Record, Tape, recorder, text};

/// Of the cuts of a run, so many of a hundred are the offices'.
const SHARE: usize = 30;
const SENDER: &str = "ohchr-honduras";
const READER: &str = "iachr";
/// The homes that are recorded, each a machine.
const MACHINES: [&str; 3] = ["hub", SENDER, READER];
/// Alerts that are written while the hub is away, and while it is there.
const ALERTS: usize = 3;

/// Between two looks at what cannot be awaited, and how many there are.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS_MAX: u32 = 600;

/// What somebody was told.
#[derive(Debug)]
enum Fact {
    Phase(&'static str),
    /// The sender's home has a message.
    Kept(String),
    /// The sender was told that the hub has a message, and where.
    Accepted(String, u64),
    /// The reader's program said that a message came and was acknowledged.
    Acknowledged(String),
    /// The reader's home has what a person stated of a message; whether the hub has it too.
    Stated(String, bool),
    /// The reader holds a checkpoint of the journal over so many entries.
    Seen(u64),
}

struct Life {
    homes: Homes,
    tape: Tape,
    facts: Vec<Fact>,
    content: Vec<u8>,
}

impl Life {
    fn founded(chance: &mut Chance) -> Self {
        let mut homes = Homes::founded();
        // The sender's home knows the directory, as every home does after its first day.
        homes.start_hub();
        homes.well(SENDER, &["office", "list"]);
        homes.kill_hub();
        let tape = Tape::of(&roots(&homes), &homes.beside("tape"));
        homes.environment = tape.environment();
        Self { homes, tape, facts: Vec::new(), content: random(chance, 300_000) }
    }

    fn know(&mut self, fact: Fact) {
        self.tape.mark(self.facts.len() as u64);
        self.facts.push(fact);
    }

    fn live(mut self) -> (Homes, Vec<Fact>, Vec<Record>, Vec<u8>) {
        self.know(Fact::Phase("written while the hub is away"));
        for number in 0..ALERTS {
            let path = alert(&self.homes.beside(""), &format!("away-{number}"));
            let ran =
                self.homes.run(SENDER, &["publish", "alert", &path, "--to", READER, "--unconfirmed-ok"]);
            assert_eq!(ran.code, Some(4), "{ran:?}");
            self.know(Fact::Kept(
                member(ran.of("published").next().expect("it is told"), "message_id").into(),
            ));
        }
        self.homes.start_hub();
        self.know(Fact::Phase("handed in"));
        let ran = self.homes.well(SENDER, &["publish", "pending"]);
        self.accepted(ran.of("published").cloned().collect());
        self.know(Fact::Phase("received"));
        let mut watch = self.homes.start(READER, &["subscribe"]);
        let mut came = Vec::new();
        for _ in 0..ALERTS {
            came.push(member(&watch.object("message"), "message_id").to_owned());
        }
        self.acknowledged(&came);
        for number in 0..ALERTS {
            let path = alert(&self.homes.beside(""), &format!("there-{number}"));
            let ran =
                self.homes.well(SENDER, &["publish", "alert", &path, "--to", READER, "--unconfirmed-ok"]);
            self.accepted(ran.of("published").cloned().collect());
            let id = member(&watch.object("message"), "message_id").to_owned();
            watch.object("acknowledged");
            self.know(Fact::Acknowledged(id));
        }
        self.know(Fact::Phase("a packet with a file"));
        let file = self.homes.beside("report");
        fs::write(&file, &self.content).expect("the report is written");
        let file = text(&file);
        let packet = ["publish", "packet", &file, "--title", "Report", "--to", READER];
        let ran = self.homes.well(SENDER, &packet);
        self.accepted(ran.of("published").cloned().collect());
        let id = member(&watch.object("files"), "message_id").to_owned();
        watch.object("acknowledged");
        self.know(Fact::Acknowledged(id));
        drop(watch);
        self.know(Fact::Phase("read, and the logs looked at"));
        self.homes.well(READER, &["ack", &came[0], "--stage", "read"]);
        self.know(Fact::Stated(came[0].clone(), true));
        // The watch may have seen it first: then there is nothing new to tell.
        until("a checkpoint is seen", || {
            self.homes.well(READER, &["witness", "--once"]);
            seen(&self.homes).is_some()
        });
        let size = seen(&self.homes).expect("it was waited for");
        self.know(Fact::Seen(size));
        self.homes.kill_hub();
        let read = self.homes.run(READER, &["ack", &came[1], "--stage", "read"]);
        assert_eq!(read.code, Some(4), "{read:?}");
        self.know(Fact::Stated(came[1].clone(), false));
        let Self { mut homes, tape, facts, content } = self;
        homes.environment.clear();
        (homes, facts, tape.records(), content)
    }

    fn accepted(&mut self, published: Vec<Value>) {
        assert!(!published.is_empty(), "something was handed in");
        for it in published {
            assert_eq!(it["outcome"], "accepted", "{it}");
            self.know(Fact::Kept(member(&it, "message_id").to_owned()));
            let index = it["index"].as_u64().expect("where it is");
            self.know(Fact::Accepted(member(&it, "message_id").to_owned(), index));
        }
    }

    /// The hub says of all of them that they were received.
    fn acknowledged(&mut self, ids: &[String]) {
        until("all is acknowledged", || ids.iter().all(|id| received(&self.homes).contains(id)));
        for id in ids {
            self.know(Fact::Acknowledged(id.clone()));
        }
    }
}

/// Looks again and again; only what hangs is given up.
fn until(what: &str, mut look: impl FnMut() -> bool) {
    for _ in 0..LOOKS_MAX {
        if look() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    panic!("waited in vain until {what}");
}

fn roots(homes: &Homes) -> Vec<PathBuf> {
    MACHINES.iter().map(|name| homes.home(name)).collect()
}

fn deliveries(homes: &Homes) -> Vec<Value> {
    homes.well("auditor-iachr", &["audit", "deliveries", "--office", READER]).objects
}

fn id_of(object: &Value) -> String {
    member(object, "message_id").to_owned()
}

/// What the hub says that the reader has received.
fn received(homes: &Homes) -> BTreeSet<String> {
    let is_received = |row: &&Value| row["stages"].as_array().is_some_and(|stages| !stages.is_empty());
    deliveries(homes).iter().filter(is_received).map(id_of).collect()
}

/// What is in the reader's inbox, once each.
fn inbox(homes: &Homes, when: &str) -> BTreeSet<String> {
    let ran = homes.well(READER, &["inbox", "--limit", "1000"]);
    assert!(!ran.err.contains("IS NOT WHAT IT WAS"), "{when}: an honest hub is called a liar: {ran:?}");
    let ids: Vec<_> = ran.of("message").map(id_of).collect();
    let once: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(once.len(), ids.len(), "{when}: a message is kept twice: {ids:?}");
    once
}

#[test]
fn what_offices_were_told_outlives_power_cuts_at_any_of_them_and_the_hub() {
    let count = count();
    let mut chance = Chance::seeded(count.seed ^ 1);
    let life = Life::founded(&mut chance);
    let (mut disks, mut whole) = (Disks::of(&roots(&life.homes)), Disks::of(&roots(&life.homes)));
    let (mut homes, facts, records, content) = life.live();
    whole.go_on(&records);
    whole.are_as_the_folders();
    drop(whole);
    let phases = (0..).zip(&facts).filter_map(|(number, fact)| match fact {
        Fact::Phase(name) => Some((number, *name)),
        _ => None,
    });
    let phases: BTreeMap<u64, _> = phases.collect();
    let cuts = moments(&records, &phases, count.cuts * SHARE / 100, &mut chance);
    println!("{count}; offices: {} records, {} facts, {} cuts", records.len(), facts.len(), cuts.len());
    let (mut done, mut known) = (0, 0);
    for (number, (at, phase)) in cuts.into_iter().enumerate() {
        known = disks.go_on(&records[done..at]).unwrap_or(known);
        done = at;
        // At one machine, at two, or at all.
        let struck = 1 + chance.place((1 << MACHINES.len()) - 1);
        let styles: BTreeMap<_, _> = MACHINES
            .iter()
            .enumerate()
            .map(|(place, name)| {
                let struck = struck & (1 << place) > 0;
                (*name, if struck { style(&mut chance) } else { CrashStyle::ProcessEnd })
            })
            .collect();
        let when = format!("seed {}, cut {number} after record {at} ({phase}), {styles:?}", count.seed);
        let how =
            |root: &Path| styles[root.file_name().and_then(|name| name.to_str()).expect("a home's name")];
        disks.lay(how);
        let _kept = Kept::of(&disks, &how, format!("{}-offices-{number}", count.seed));
        let boot_id = homes.beside("boot-id");
        let boot =
            if styles["hub"] == CrashStyle::ProcessEnd { "as before".into() } else { number.to_string() };
        fs::write(&boot_id, boot).expect("the boot's id is written");
        homes.environment =
            vec![("LD_PRELOAD".into(), text(recorder())), ("POWER_BOOT_ID".into(), text(&boot_id))];
        come_back(&mut homes, &facts[..known], &content, &when);
    }
}

/// Starts everybody again and looks at all of it.
fn come_back(homes: &mut Homes, known: &[Fact], content: &[u8], when: &str) {
    let outbox = homes.names(&format!("{SENDER}/outbox"), "");
    let read_box = homes.names(&format!("{READER}/outbox"), ".receipt.pending");
    for fact in known {
        match fact {
            Fact::Kept(id) => {
                let kept = outbox.iter().any(|name| is_kept(name, id));
                assert!(kept, "{when}: {id} was kept, and the outbox has {outbox:?}");
            }
            Fact::Stated(id, false) => {
                assert!(read_box.iter().any(|name| name.contains(id.as_str())), "{when}: {id}: {read_box:?}");
            }
            Fact::Seen(size) => {
                assert!(seen(homes) >= Some(*size), "{when}: {:?}, {size} known", seen(homes));
            }
            _ => {}
        }
    }
    homes.start_hub();
    let (before, acknowledged) = (inbox(homes, when), received(homes));
    let lost: Vec<_> = acknowledged.difference(&before).collect();
    assert!(lost.is_empty(), "{when}: acknowledged and not in the inbox: {lost:?}");
    for office in [SENDER, READER] {
        let handed_in = homes.well(office, &["publish", "pending"]);
        assert!(handed_in.objects.iter().all(|it| it["outcome"] != "refused"), "{when}: {handed_in:?}");
    }
    let owed = deliveries(homes);
    let missing = owed.len() - received(homes).len();
    let count = missing.to_string();
    if missing > 0 {
        // What is here already is acknowledged and not counted: then the count never comes.
        let new = owed.iter().filter(|row| !before.contains(&id_of(row))).count();
        if new > 0 {
            let watch = homes.well(READER, &["subscribe", "--count", &new.to_string()]);
            assert_eq!(watch.of("unreadable").count(), 0, "{when}: {watch:?}");
            assert_eq!(watch.of("message").count(), new, "{when}: {watch:?}");
        }
        let watch = homes.start(READER, &["subscribe"]);
        until(&format!("{when}: all is acknowledged"), || received(homes).len() == owed.len());
        drop(watch);
    }
    arrived(homes, known, (&owed, &count), content, when);
    homes.kill_hub();
}

fn arrived(homes: &Homes, known: &[Fact], (owed, count): (&[Value], &str), content: &[u8], when: &str) {
    let ids: BTreeSet<_> = owed.iter().map(id_of).collect();
    assert_eq!(ids.len(), owed.len(), "{when}: a message is owed twice: {owed:?}");
    assert_eq!(inbox(homes, when), ids, "{when}: {count} were missing");
    let read: BTreeSet<_> = owed_stages(homes, "read");
    for fact in known {
        match fact {
            Fact::Kept(id) => assert!(ids.contains(id), "{when}: {id} was kept and never arrived"),
            Fact::Accepted(id, index) => {
                let row = owed.iter().find(|row| id_of(row) == *id);
                let place = row.and_then(|row| row["index"].as_u64());
                assert_eq!(place, Some(*index), "{when}: {id} was accepted");
            }
            Fact::Acknowledged(id) => assert!(ids.contains(id), "{when}: {id}"),
            Fact::Stated(id, _) => {
                assert!(read.contains(id), "{when}: {id} was read, and the hub does not know");
            }
            Fact::Phase(_) | Fact::Seen(_) => {}
        }
    }
    let before = seen(homes);
    homes.well(READER, &["witness", "--once"]);
    assert!(seen(homes) >= before, "{when}: from {before:?} entries of the log back to {:?}", seen(homes));
    for row in owed {
        let shown = homes.well(READER, &["show", &id_of(row)]);
        assert_eq!(shown.of("message").count(), 1, "{when}: {shown:?}");
        if row["class"] == "packet" {
            let to = homes.beside("got");
            let _ = fs::remove_dir_all(&to);
            homes.well(READER, &["packet", "get", &id_of(row), "--to", &text(&to)]);
            assert!(fs::read(to.join("report")).expect("it was fetched") == content, "{when}: other bytes");
        }
    }
}

/// Whether a file of the outbox has a message, whatever became of it.
fn is_kept(name: &str, id: &str) -> bool {
    let stand = name.strip_prefix(id).and_then(|rest| rest.strip_prefix(".message."));
    stand.is_some_and(|stand| ["pending", "accepted"].contains(&stand))
}

/// Over how many entries of the journal the last checkpoint is that the reader's home holds.
fn seen(homes: &Homes) -> Option<u64> {
    let note = fs::read_to_string(homes.home(READER).join("logs/journal")).ok()?;
    note.lines().nth(1)?.parse().ok()
}

fn owed_stages(homes: &Homes, stage: &str) -> BTreeSet<String> {
    let has = |row: &&Value| {
        row["stages"].as_array().is_some_and(|stages| stages.iter().any(|it| it["stage"] == stage))
    };
    deliveries(homes).iter().filter(has).map(id_of).collect()
}
