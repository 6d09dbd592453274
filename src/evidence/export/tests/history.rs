//! A journal made of what happened, and exports of it: what a hub gives, with its witnesses.
//!
//! Owns the frames of a file before anybody has altered them. The tree's edge and its growth are made here by RFC 6962 word for word,
//! not by what makes them for the hub.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::evidence::export::{EXPORT_MAGIC, ExportError, Exported, Frame, Head, Opened, Shown, verify};
use crate::evidence::tests::sample::{
    HUB, Sample, at, covered, desk, entry, envelope, founding, keys, name, publish, receipt, root,
};
use crate::model::deadline::{Deadlines, Within};
use crate::model::entry::{Entry, EntryKind};
use crate::model::erasure::{ErasureOrder, OrderedBy};
use crate::model::fact::Fact;
use crate::model::id::{Index, UnixMicros};
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::Policy;
use crate::model::policy::tests::registrars;
use crate::model::receipt::{Receipt, Stage};
use crate::proof::TreeHash;
use crate::seal::SigningKey;
use crate::wire::log::Recorded;
use crate::wire::signed::SignedReceipt;
use crate::wire::trust::Trust;
use crate::wire::{amendment, convert, erasure};

/// A journal that grows.
pub(super) struct History {
    pub(super) entries: Vec<Entry>,
    policy: Policy,
    sent: u8,
}

/// An export before it is written.
#[derive(Clone)]
pub(super) struct Export {
    pub(super) frames: Vec<Frame>,
    pub(super) trust: Trust,
}

impl History {
    /// Founded, by entry 0.
    pub(super) fn founded() -> Self {
        let first = amendment::tests::signed(&Policy::default(), founding(), &registrars());
        let mut policy = Policy::default();
        policy.amend(&Arc::new(first.clone())).unwrap();
        let entries = vec![entry(0, EntryKind::Directory, HUB, amendment::bytes(&first))];
        Self { entries, policy, sent: 0 }
    }

    pub(super) fn next(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Another entry, which is about nothing here.
    pub(super) fn noise(&mut self) {
        self.entries.push(entry(self.next(), EntryKind::Refusal, HUB, Bytes::from_static(b"something else")));
    }

    /// Another entry of the directory.
    pub(super) fn amend(&mut self, days: u32) {
        let signed = amendment::tests::signed(&self.policy, vec![Fact::Retention { days }], &registrars());
        self.policy.amend(&Arc::new(signed.clone())).unwrap();
        let entry =
            entry(self.next(), EntryKind::Directory, &desk("iachr").to_string(), amendment::bytes(&signed));
        self.entries.push(entry);
    }

    /// Publishes, with seconds to read it; gives its index.
    pub(super) fn publish(&mut self, from: &str, to: &[&str], read_s: Option<u32>) -> u64 {
        self.sent += 1;
        let mut envelope = envelope(self.sent, from, to);
        let read = read_s.map(|it| Within::from_seconds(it).unwrap());
        envelope.deadlines = Deadlines { read, ..Deadlines::default() };
        let index = self.next();
        self.entries.push(publish(Index(index), envelope));
        index
    }

    /// States that messages were received.
    pub(super) fn received(&mut self, office: &str, messages: &[u64]) {
        let covered =
            messages.iter().map(|it| covered(&self.entries[usize::try_from(*it).unwrap()])).collect();
        let index = self.next();
        let stated = Receipt::received(desk(office), covered, at(index));
        self.entries.push(receipt(index, stated, &keys(office)[1]));
    }

    /// States a person's stage.
    pub(super) fn stated(&mut self, office: &str, stage: Stage, message: u64, key: &SigningKey) {
        let about = covered(&self.entries[usize::try_from(message).unwrap()]);
        let index = self.next();
        let received = Receipt::received(desk(office), vec![about], at(index));
        let stated = Receipt { stage, note_digest: Some([5; 32]), ..received };
        self.entries.push(receipt(index, stated, key));
    }

    pub(super) fn read(&mut self, office: &str, message: u64) {
        self.stated(office, Stage::Read, message, &keys(office)[0]);
    }

    /// The hub's word that an office did not read a message by some seconds after it.
    pub(super) fn missed(&mut self, office: &str, message: u64, read_s: u64) {
        let published = &self.entries[usize::try_from(message).unwrap()];
        let (message, due) =
            (covered(published).message(), UnixMicros(published.time.0 + read_s * 1_000_000));
        let status = crate::model::envelope::CapStatus::Actual;
        let missed = Missed::Stage { message, stage: Stage::Read, status };
        let overdue = Overdue { office: name(office), due, missed };
        self.entries.push(entry(self.next(), EntryKind::Overdue, HUB, convert::overdue_bytes(&overdue)));
    }

    /// An office's order to erase a message of its own, around which the hub names an entry.
    pub(super) fn erased(&mut self, office: &str, message: u64, named: u64) {
        let about = covered(&self.entries[usize::try_from(message).unwrap()]);
        let (by, at) = (OrderedBy::Desk(desk(office)), at(self.next()));
        let order = ErasureOrder { by, message_id: about.message_id, at, reason: "sent twice".into() };
        let order = erasure::SignedOrder::by(&keys(office)[0], &order);
        let statement = erasure::ordered_bytes(order, Index(named));
        self.entries.push(entry(self.next(), EntryKind::Erasure, &desk(office).to_string(), statement));
    }

    /// Puts an entry in again.
    pub(super) fn again(&mut self, index: u64) {
        let mut again = self.entries[usize::try_from(index).unwrap()].clone();
        let placed = entry(self.next(), again.kind, HUB, Bytes::new());
        (again.index, again.time, again.nonce) = (placed.index, placed.time, placed.nonce);
        self.entries.push(again);
    }

    /// What a hub gives of some of it, under a checkpoint over all; entries in `hidden` by their records.
    pub(super) fn export(&self, from: u64, until: u64, hidden: &BTreeSet<u64>) -> Export {
        let sample = Sample {
            entries: self.entries.clone(),
            about: Vec::new(),
            notes: Vec::new(),
            witnesses: 3,
            size: self.entries.len(),
        };
        let (evidence, leaves) = (sample.evidence(), sample.leaves());
        let [first, after] = [from, until].map(|it| usize::try_from(it).unwrap());
        let head = Head {
            from: Index(from),
            until: Index(until),
            directory: evidence.directory.len() as u64,
            edge: edge(&leaves[..first]),
            consistency: if after == leaves.len() { Vec::new() } else { growth(after, &leaves, true) },
            journal_checkpoint: evidence.journal_checkpoint,
            directory_checkpoint: evidence.directory_checkpoint,
        };
        let mut frames = vec![Frame::Head(head)];
        let own: BTreeSet<_> = evidence.directory.iter().map(|it| it.index).collect();
        frames.extend(evidence.directory.into_iter().map(Frame::Directory));
        for entry in self.entries[first..after].iter().filter(|it| !own.contains(&it.index)) {
            frames.push(if hidden.contains(&entry.index.0) {
                Frame::Hidden(Recorded::from(entry).record(&entry.nonce))
            } else {
                Frame::Shown(shown(entry))
            });
        }
        Export { frames, trust: sample.trust() }
    }
}

impl Export {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let frames = self.frames.iter().flat_map(Frame::to_bytes);
        EXPORT_MAGIC.iter().copied().chain(frames).collect()
    }

    pub(super) fn verify(&self) -> Result<Exported, ExportError> {
        verified(&self.bytes(), self.trust)
    }

    pub(super) fn head(&mut self) -> &mut Head {
        match &mut self.frames[0] {
            Frame::Head(head) => head,
            _ => panic!("the head is first"),
        }
    }

    /// The place of the frame of an entry in the range, counted from the first that is in no directory.
    pub(super) fn range(&self) -> usize {
        self.frames.iter().take_while(|it| matches!(it, Frame::Head(_) | Frame::Directory(_))).count()
    }

    pub(super) fn shown(&mut self, place: usize) -> &mut Shown {
        let at = self.range() + place;
        match &mut self.frames[at] {
            Frame::Shown(shown) => shown,
            other => panic!("{other:?} is not shown"),
        }
    }
}

pub(super) fn verified(bytes: &[u8], trust: Trust) -> Result<Exported, ExportError> {
    verify(bytes, trust, &mut |_, _| {})
}

fn shown(entry: &Entry) -> Shown {
    let recorded = Recorded::from(entry);
    let receipt = SignedReceipt::read(&entry.statement).ok().filter(|_| entry.kind == EntryKind::Receipt);
    let covers = receipt.iter().flat_map(|receipt| {
        receipt.receipt.messages.iter().map(|it| {
            let (place, salt) = receipt.opening(it.index).unwrap();
            let place = u32::try_from(place).unwrap();
            Opened { place, salt, message_id: it.message_id, digest: it.digest }
        })
    });
    Shown {
        time: entry.time,
        kind: entry.kind,
        identity: entry.identity.clone(),
        statement: recorded.statement.clone(),
        nonce: entry.nonce,
        covers: covers.collect(),
    }
}

/// The full subtrees that so many leaves are made of.
fn edge(mut leaves: &[TreeHash]) -> Vec<TreeHash> {
    let mut edge = Vec::new();
    while !leaves.is_empty() {
        let (full, rest) = leaves.split_at(1 << leaves.len().ilog2());
        edge.push(root(full));
        leaves = rest;
    }
    edge
}

/// RFC 6962, section 2.1.2: SUBPROOF(m, D[n], b).
fn growth(m: usize, leaves: &[TreeHash], whole: bool) -> Vec<TreeHash> {
    let n = leaves.len();
    if m == n {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(n.next_power_of_two() / 2);
    let k = left.len();
    if m <= k {
        [growth(m, left, whole), vec![root(right)]].concat()
    } else {
        [growth(m - k, right, false), vec![root(left)]].concat()
    }
}
