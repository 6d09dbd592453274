//! An exchange that is attacked, and how its offices look.

use std::path::{Path, PathBuf};
use std::process::Command;

use resguardo::model::entry::EntryKind;
use serde_json::Value;

use super::turned::{Told, copy, history};
use crate::stage::{PROGRAM, Ran, Stage, run, until};

pub(super) const SENDER: &str = "ohchr-honduras";
pub(super) const LATE: &str = "ohchr-mexico";
/// Offices that had looked before: more than half, of both institutions, the sender and a recipient among them.
pub(super) const WATCHING: [&str; 5] = ["iachr", "ohchr-colombia", "ohchr-guatemala", SENDER, LATE];
/// It looks when the test asks where the logs are.
pub(super) const ASKING: &str = "ohchr-central-america";
/// Its desk is taken back.
pub(super) const LOST: &str = "ohchr-south-america";

/// An exchange that has stopped for a moment, and what it was earlier.
pub(super) struct Scene {
    pub(super) stage: Stage,
    /// The hub before the message.
    pub(super) older: PathBuf,
    /// The home of who had looked then and not since.
    pub(super) away: PathBuf,
    /// The message: its id and its place.
    pub(super) id: String,
    pub(super) index: usize,
    /// The hub with a receipt that nobody has looked at yet.
    pub(super) unseen: PathBuf,
}

pub(super) fn publish(stage: &Stage, name: &str, more: &[&str]) -> Value {
    let alert = stage.alert(name);
    let told = stage.objects(SENDER, &[&["publish", "alert", &alert][..], more].concat());
    told.into_iter().find(|it| it["object"] == "published").unwrap()
}

pub(super) fn journal(stage: &Stage) -> Value {
    let logs = stage.objects("auditor-ohchr", &["audit", "log"]);
    logs.into_iter().find(|it| it["log"] == "journal").unwrap_or_default()
}

/// Waits for a round over all that the journal has, and has offices look at it and cosign.
pub(super) fn cosigned(stage: &Stage, offices: &[&str]) {
    let entries = stage.objects("auditor-ohchr", &["audit", "entries"]).len() as u64;
    until("a round over all of it", || round(stage).is_some_and(|size| size >= entries));
    for office in offices {
        stage.well(office, &["witness", "--once"]);
    }
}

/// Entries under the checkpoint that desks are asked to cosign now.
pub(super) fn round(stage: &Stage) -> Option<u64> {
    let seen = stage.objects(ASKING, &["witness", "--once"]);
    seen.iter().find(|it| it["log"] == "journal")?["size"].as_u64()
}

impl Scene {
    pub(super) fn set() -> Self {
        let mut stage = Stage::set();
        publish(&stage, "before", &["--to", "iachr"]);
        cosigned(&stage, &WATCHING);
        stage.kill_hub();
        let at = |name: &str| stage.path(name);
        let (older, away, unseen) = (at("older"), at("away"), at("unseen"));
        copy(&at("hub"), &older);
        copy(&at(LATE), &away);
        stage.start_hub();
        stage.amend(&["office", "revoke", LOST, "--reason", "closed"]);
        let sent = publish(&stage, "late", &["--to", LATE, "--receive-by", "1s"]);
        let missed = || stage.objects("auditor-iachr", &["audit", "overdue", "--all"]);
        until("its deadline is missed", || !missed().is_empty());
        stage.well(LATE, &["subscribe", "--count", "1"]);
        publish(&stage, "another", &["--to", "iachr"]);
        stage.kill_hub();
        copy(&stage.path("hub"), &unseen);
        stage.start_hub();
        cosigned(&stage, &WATCHING);
        stage.kill_hub();
        let id = sent["message_id"].as_str().unwrap().to_owned();
        let index = usize::try_from(sent["index"].as_u64().unwrap()).unwrap();
        Self { stage, older, away, id, index, unseen }
    }

    /// The history since the older home.
    pub(super) fn since(&self) -> Vec<Told> {
        history(&self.stage.path("hub")).split_off(history(&self.older).len())
    }

    /// Places in that history of what is about the message: itself, the word that its deadline was missed, the receipt.
    pub(super) fn places(&self) -> [usize; 3] {
        let (first, since) = (history(&self.older).len(), self.since());
        let of = |kind| since.iter().position(|it| it.proposal.kind == kind).unwrap();
        [self.index - first, of(EntryKind::Overdue), of(EntryKind::Receipt)]
    }
}

/// What offices find that look now, each in its words; numbers and hashes are left out, they are others each time.
pub(super) fn look(stage: &Stage, offices: &[&str]) -> (Vec<String>, String) {
    let (mut by, mut sees) = (Vec::new(), String::new());
    for office in offices {
        let looked = stage.run(office, &["witness", "--once"]);
        if looked.code == 0 {
            continue;
        }
        assert_eq!(looked.code, 5, "{office}: {looked:?}");
        let said = plain(&looked.err, "THE HUB'S", ". The proof is kept");
        assert!(stage.path(office).join("logs/journal.found").exists(), "the proof is kept");
        assert!(sees.is_empty() || sees == said, "{sees}: {said}");
        sees = said;
        by.push((*office).to_owned());
    }
    (by, sees)
}

/// A part of what was said, with N for each number and … for each hash or id.
pub(super) fn plain(said: &str, from: &str, to: &str) -> String {
    let from = said.find(from).unwrap_or_else(|| panic!("{said}"));
    let said = &said[from..];
    let said = &said[..said.find(to).unwrap_or_else(|| panic!("{to:?} in {said}"))];
    let mut plain = Vec::new();
    for word in said.split_whitespace() {
        let bare = word.trim_end_matches([',', '.', ':', ';']);
        let end = &word[bare.len()..];
        let is_number = !bare.is_empty() && bare.chars().all(|it| it.is_ascii_digit());
        let is_hash = bare.len() >= 32 && bare.contains(|it: char| it.is_ascii_digit());
        plain.push(match (is_number, is_hash) {
            (true, _) => format!("N{end}"),
            (_, true) => format!("…{end}"),
            _ => word.to_owned(),
        });
    }
    plain.join(" ")
}

/// What a stranger makes of a file.
pub(super) fn verified(stage: &Stage, file: &Path, more: &[&str]) -> Ran {
    let mut command = Command::new(PROGRAM);
    command.arg("verify").arg(file).arg("--trust").arg(stage.path("iachr/trust.toml")).args(more);
    run(&mut command)
}

/// What an office is shown of a message that enough offices have not cosigned.
pub(super) fn not_witnessed(stage: &Stage, home: &str, id: &str) -> String {
    let shown = stage.objects(home, &["show", id]);
    assert_eq!(shown[0]["witnessed"], false, "{shown:?}");
    let shown = stage.well(home, &["show", id]);
    let line = shown.lines().find(|line| line.contains("not yet")).unwrap_or_else(|| panic!("{shown}"));
    let words = plain(line, "not yet", ",");
    format!("{words} witnessed")
}
