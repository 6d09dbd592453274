//! What somebody has who took over the hub: its disk, its keys, its program's own parts.
//!
//! Owns the journal written again with another history. Whoever does this by hand can do no more: nonces and times are the
//! hub's, and only what registrars and offices have signed is not.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use resguardo::host::disk::OsDisk;
use resguardo::host::tasks::TokioTasks;
use resguardo::journal::{self, Options, Reader};
use resguardo::model::entry::{Batch, BatchName, Entry, EntryKind, Payload, Proposal};
use resguardo::model::id::{Position, UnixMicros};
use resguardo::seal::SigningKey;
use resguardo::wire::open_key::OpenKey;

use crate::stage::Stage;

/// One entry of a history, with what its batch says of it.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) name: BatchName,
    pub(super) time: UnixMicros,
    pub(super) proposal: Proposal,
}

impl Told {
    /// An entry that comes after another, in a batch of its own.
    pub(super) fn after(before: &Self, kind: EntryKind, identity: &str, statement: Bytes) -> Self {
        let name = BatchName { number: before.name.number + 1, ..before.name };
        let identity = identity.to_owned();
        let proposal = Proposal { kind, identity, statement, payload: None };
        Self { name, time: before.time, proposal }
    }
}

/// The journal of a hub that does not run, entry by entry.
pub(super) fn history(hub: &Path) -> Vec<Told> {
    let reader = journal::look(Arc::new(OsDisk), &hub.join("journal")).unwrap();
    let (mut batches, mut told) = (reader.batches(Position(0)), Vec::new());
    while let Some(batch) = batches.next().unwrap() {
        let of_batch = |entry: Entry| {
            let Entry { time, kind, identity, statement, payload, .. } = entry;
            let payload = if let Payload::Kept(bytes) = payload { Some(bytes) } else { None };
            Told { name: batch.name, time, proposal: Proposal { kind, identity, statement, payload } }
        };
        told.extend(batch.entries.into_iter().map(of_batch));
    }
    told
}

/// Puts another hub's home in the place of a stage's, but for where it listens.
pub(super) fn put_back(stage: &Stage, older: &Path) {
    let hub = stage.path("hub");
    let config = fs::read(hub.join("hub.toml")).unwrap();
    fs::remove_dir_all(&hub).unwrap();
    copy(older, &hub);
    fs::write(hub.join("hub.toml"), config).unwrap();
}

pub(super) fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// Has the hub's journal go on after what an older home of it has, with another history; `sign_anew` lets the hub sign that.
pub(super) fn go_on(stage: &Stage, older: &Path, told: &[Told], sign_anew: bool) {
    let logs = stage.path("logs-of-before");
    let _ = fs::remove_dir_all(&logs);
    fs::rename(stage.path("hub/logs"), &logs).unwrap();
    put_back(stage, older);
    fs::remove_dir_all(stage.path("hub/ledger")).unwrap();
    let kept = fs::remove_dir_all(stage.path("hub/logs"));
    kept.unwrap();
    if !sign_anew {
        fs::rename(&logs, stage.path("hub/logs")).unwrap();
    }
    append(stage, told);
}

/// Appends entries to the journal of a hub that does not run.
pub(super) fn append(stage: &Stage, told: &[Told]) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let tasks = TokioTasks::on(runtime.handle().clone());
    let dir = stage.path("hub/journal");
    let opened = journal::open(Arc::new(OsDisk), &tasks, &dir, Options::default(), None);
    let (mut writer, _, _): (_, Reader, _) = opened.unwrap();
    for one in told {
        let (name, time) = (one.name, one.time);
        let batch = Batch { name, time, seed: [9; 32], proposals: vec![one.proposal.clone()] };
        writer.append(&batch).unwrap();
    }
    writer.close().unwrap();
}

/// The key by which the hub signs its logs.
pub(super) fn hub_key(stage: &Stage) -> SigningKey {
    OpenKey::Hub.read(&OsDisk, &stage.path("hub")).unwrap().expect("a hub has one")
}
