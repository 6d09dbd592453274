//! A journal of a small exchange, with all its keys: what a hub, its witnesses and its offices have together.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use crate::evidence::{Entry as Given, Evidence, Note};
use crate::model::deadline::Deadlines;
use crate::model::entry::{Entry, EntryKind, Payload};
use crate::model::envelope::{CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority, Recipient};
use crate::model::erasure::{ErasureOrder, OrderedBy};
use crate::model::fact::Fact;
use crate::model::id::{DirectoryVersion, Index, UnixMicros};
use crate::model::identity::{Desk, Identity, Name};
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::Policy;
use crate::model::policy::tests::{desk_fact, desk_keys, key, registrar_facts, registrars};
use crate::model::receipt::{
    Action, Covered, MessageRef, Receipt, SALT_BYTES, SEED_BYTES, Stage, cover_salt,
};
use crate::proof::{Checkpoint, Frontier, InclusionProof, TreeHash, TreeHead, UnixSeconds, node_hash};
use crate::seal::{FileKey, OpeningKey, SigningKey, seal_bytes, sha256};
use crate::wire::log::{Log, Recorded, directory_record, key_name};
use crate::wire::manifest::{Part, SealedManifest};
use crate::wire::note::OfficerNote;
use crate::wire::signed::{SignedEnvelope, SignedReceipt};
use crate::wire::trust::Trust;
use crate::wire::{amendment, convert, erasure, proto};

/// When the hub recorded the first entry; each other one a second later.
pub(in crate::evidence) const NOW: UnixMicros = UnixMicros(1_700_000_000_000_000);
/// When witnesses cosigned, the first of them.
pub(in crate::evidence) const WITNESSED_S: u64 = 1_700_000_600;
/// Offices: their institutions, and the numbers of their keys.
pub(in crate::evidence) const OFFICES: [(&str, &str, u8); 3] =
    [("iachr", "iachr", 20), ("ohchr-honduras", "ohchr", 22), ("ohchr-mexico", "ohchr", 24)];
/// Where the message stands, and the one beside it in a receipt.
pub(in crate::evidence) const MESSAGE: Index = Index(2);
const OTHER: Index = Index(1);
/// The hub's own.
pub(in crate::evidence) const HUB: &str = "urn:resguardo:hub:one";

/// Who could have made everything but what offices and registrars sign.
#[derive(Clone)]
pub(in crate::evidence) struct Sample {
    /// All entries of the journal, by their indexes.
    pub(in crate::evidence) entries: Vec<Entry>,
    /// What goes into a file, beside the directory.
    pub(in crate::evidence) about: Vec<Index>,
    /// The officers' notes.
    pub(in crate::evidence) notes: Vec<Note>,
    /// How many of the offices cosign.
    pub(in crate::evidence) witnesses: usize,
    /// Entries that the journal's checkpoint is over.
    pub(in crate::evidence) size: usize,
}

pub(in crate::evidence) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(in crate::evidence) fn desk(office: &str) -> Desk {
    Desk { office: name(office), desk: name("desk-1") }
}

/// The keys of an office's desk: attended, unattended.
pub(in crate::evidence) fn keys(office: &str) -> [SigningKey; 2] {
    desk_keys(OFFICES.iter().find(|it| it.0 == office).unwrap().2)
}

pub(in crate::evidence) fn opening(office: &str) -> OpeningKey {
    let number = OFFICES.iter().find(|it| it.0 == office).unwrap().2;
    OpeningKey::generate(|seed| seed.fill(number / 2))
}

fn id(last: u8) -> MessageId {
    let mut bytes = [7; 16];
    (bytes[6], bytes[8], bytes[15]) = (0x70, 0x80, last);
    MessageId::from_slice(&bytes).unwrap()
}

pub(in crate::evidence) fn entry(index: u64, kind: EntryKind, identity: &str, statement: Bytes) -> Entry {
    let (index, time) = (Index(index), UnixMicros(NOW.0 + index * 1_000_000));
    let nonce = [u8::try_from(index.0).unwrap() + 100; 16];
    Entry { index, time, nonce, kind, identity: identity.to_owned(), statement, payload: Payload::None }
}

pub(in crate::evidence) fn founding() -> Vec<Fact> {
    let mut facts = vec![Fact::Institution(name("iachr")), Fact::Institution(name("ohchr"))];
    facts.extend(registrar_facts([name("iachr"), name("ohchr")]));
    for (office, institution, number) in OFFICES {
        facts.push(Fact::Office { name: name(office), institution: name(institution) });
        facts.push(desk_fact(desk(office), number));
        facts.push(Fact::OfficeKey { office: name(office), recipient: opening(office).recipient() });
    }
    let all: BTreeSet<_> = OFFICES.iter().map(|(office, ..)| name(office)).collect();
    let (publishers, subscribers) = (all.clone(), all);
    facts.push(Fact::Stream { name: name("monitoring-protection"), publishers, subscribers });
    facts.push(Fact::HubKey { key: key(9).verifying_key() });
    facts
}

pub(in crate::evidence) fn envelope(last: u8, from: &str, to: &[&str]) -> Envelope {
    let recipient = |office: &&str| Recipient {
        office: name(office),
        key: sha256(&opening(office).recipient().to_bytes()),
        number: 1,
    };
    Envelope {
        message_id: id(last),
        class: MessageClass::Alert,
        stream: name("monitoring-protection"),
        sender: desk(from),
        recipients: to.iter().map(recipient).collect(),
        directory_version: DirectoryVersion(1),
        priority: Priority::Urgent,
        status: CapStatus::Actual,
        msg_type: CapMsgType::Alert,
        thread_id: [7; 16],
        references: vec![],
        sent: NOW,
        expires: None,
        payload_bytes: 4,
        payload_digest: sha256(b"what"),
        deadlines: Deadlines::default(),
        files: Vec::new(),
        voided: Vec::new(),
        about: None,
    }
}

pub(in crate::evidence) fn publish(index: Index, envelope: Envelope) -> Entry {
    let sender = envelope.sender.clone();
    let signed = SignedEnvelope::by(&keys(sender.office.as_str())[0], envelope);
    entry(index.0, EntryKind::Publish, &sender.to_string(), signed.signed.to_bytes())
}

/// What a receipt says of a message that was published in an entry.
pub(in crate::evidence) fn covered(published: &Entry) -> Covered {
    let signed = SignedEnvelope::read(&published.statement).unwrap();
    Covered { index: published.index, message_id: signed.envelope.message_id, digest: signed.digest() }
}

pub(in crate::evidence) fn receipt(index: u64, receipt: Receipt, key: &SigningKey) -> Entry {
    let desk = receipt.desk.to_string();
    let signed = SignedReceipt::by(key, receipt, [u8::try_from(index).unwrap(); SEED_BYTES]);
    entry(index, EntryKind::Receipt, &desk, signed.to_bytes())
}

pub(in crate::evidence) fn at(index: u64) -> UnixMicros {
    UnixMicros(NOW.0 + index * 1_000_000 - 500_000)
}

/// A person's stage at `iachr`, and the note that goes with it.
pub(in crate::evidence) fn persons(
    index: u64,
    stage: Stage,
    action: Option<Action>,
    about: Covered,
) -> (Receipt, Note) {
    let officer = key(60);
    let note = OfficerNote {
        officer: "María Pérez".into(),
        key: officer.verifying_key(),
        message_id: about.message_id,
        digest: about.digest,
        stage,
        action,
        at: at(index),
        text: "Se pidió protección".into(),
    };
    let content = note.signed_by(&officer);
    let manifest = SealedManifest {
        sender: desk("iachr"),
        recipients: vec![name("iachr"), name("ohchr-honduras")],
        message_id: about.message_id,
        part: Part::Note,
        content_digest: sha256(&content),
    };
    let readers = ["iachr", "ohchr-honduras"].map(|it| opening(it).recipient());
    let sealed = seal_bytes(&readers, &manifest.signed_by(&keys("iachr")[0]), &content);
    let sealed: Bytes = sealed.unwrap().into();
    let key = FileKey::of(&sealed[..], &[opening("ohchr-honduras")]).unwrap();
    let note_digest = Some(sha256(&sealed));
    let note = Note { receipt: Index(index), sealed, file_key: *key.as_bytes() };
    let received = Receipt::received(desk("iachr"), vec![about], at(index));
    (Receipt { stage, action, note_digest, ..received }, note)
}

impl Sample {
    pub(in crate::evidence) fn new() -> Self {
        let first = amendment::tests::signed(&Policy::default(), founding(), &registrars());
        let mut policy = Policy::default();
        policy.amend(&Arc::new(first.clone())).unwrap();
        let facts = vec![Fact::Retention { days: 30 }];
        let second = amendment::tests::signed(&policy, facts, &registrars());
        let operator = "urn:resguardo:operator:one";
        let other = publish(OTHER, envelope(1, "ohchr-mexico", &["iachr"]));
        let message = publish(MESSAGE, envelope(2, "ohchr-honduras", &["iachr", "ohchr-mexico"]));
        let (one, two) = (covered(&other), covered(&message));
        let received = |office: &str, index, about| Receipt::received(desk(office), about, at(index));
        let (read, read_note) = persons(6, Stage::Read, None, two);
        let (acted, acted_note) = persons(7, Stage::Acted, Some(Action::AskedState), two);
        let overdue = Overdue {
            office: name("ohchr-mexico"),
            due: UnixMicros(NOW.0 + 7_000_000),
            missed: Missed::Stage { message: two.message(), stage: Stage::Read, status: CapStatus::Actual },
        };
        let order = ErasureOrder {
            by: OrderedBy::Desk(desk("ohchr-honduras")),
            message_id: two.message_id,
            at: at(9),
            reason: "sent twice".into(),
        };
        let order = erasure::SignedOrder::by(&keys("ohchr-honduras")[0], &order);
        let sender = desk("ohchr-honduras").to_string();
        let entries = vec![
            entry(0, EntryKind::Directory, HUB, amendment::bytes(&first)),
            other,
            message,
            entry(3, EntryKind::Directory, operator, amendment::bytes(&second)),
            receipt(4, received("iachr", 4, vec![one, two]), &keys("iachr")[1]),
            receipt(5, received("ohchr-mexico", 5, vec![two]), &keys("ohchr-mexico")[1]),
            receipt(6, read, &keys("iachr")[0]),
            receipt(7, acted, &keys("iachr")[0]),
            entry(8, EntryKind::Overdue, HUB, convert::overdue_bytes(&overdue)),
            entry(9, EntryKind::Erasure, &sender, erasure::ordered_bytes(order, MESSAGE)),
            entry(10, EntryKind::Clock, HUB, Bytes::from_static(b"something else")),
        ];
        let about = [2, 4, 5, 6, 7, 8, 9].map(Index).to_vec();
        let (size, notes) = (entries.len(), vec![read_note, acted_note]);
        Self { entries, about, notes, witnesses: OFFICES.len(), size }
    }

    /// What a stranger trusts.
    pub(in crate::evidence) fn trust(&self) -> Trust {
        Trust::of(&amendment::read(&self.entries[0].statement).unwrap())
    }

    /// The entry at an index.
    pub(in crate::evidence) fn at(&mut self, index: Index) -> &mut Entry {
        &mut self.entries[usize::try_from(index.0).unwrap()]
    }

    pub(in crate::evidence) fn leaves(&self) -> Vec<TreeHash> {
        let recorded = self.entries[..self.size].iter().map(|it| (Recorded::from(it), it.nonce));
        recorded.map(|(it, nonce)| it.record(&nonce).leaf()).collect()
    }

    /// A log's checkpoint, signed and cosigned by all who do.
    fn note(&self, log: Log, head: TreeHead) -> Bytes {
        let founding = self.trust().founding;
        let checkpoint = Checkpoint::new(log.origin(&founding), head).unwrap();
        let at = |seconds| UnixSeconds::new(WITNESSED_S + seconds).unwrap();
        let mut note = checkpoint.sign(&key(9), at(0));
        for ((office, ..), seconds) in OFFICES.iter().zip(0..).take(self.witnesses) {
            let name = key_name(&Identity::Desk(desk(office)));
            for line in checkpoint.cosign(&name, &keys(office)[1], at(seconds)) {
                assert!(note.add(line).unwrap());
            }
        }
        note.to_string().into_bytes().into()
    }

    /// What a hub gives of it.
    pub(in crate::evidence) fn evidence(&self) -> Evidence {
        let leaves = self.leaves();
        let (mut journal, mut directory) = (Frontier::new(), Frontier::new());
        for leaf in &leaves {
            journal.append(*leaf);
        }
        let given = |entry: &Entry| {
            let (recorded, place) = (Recorded::from(entry), usize::try_from(entry.index.0).unwrap());
            let cover = opening_of(entry);
            Given {
                index: entry.index,
                time: entry.time,
                kind: entry.kind,
                identity: entry.identity.clone(),
                statement: recorded.statement.clone(),
                nonce: entry.nonce,
                path: InclusionProof::from_hashes(path(place, &leaves)).unwrap(),
                cover,
            }
        };
        let facts = self.entries[..self.size].iter().filter(|it| it.kind == EntryKind::Directory);
        let facts: Vec<_> = facts.map(given).collect();
        for it in &facts {
            let exact = amendment::read(&it.statement).map(|it| amendment::bytes(&it));
            directory.append(directory_record(&exact.unwrap()).leaf());
        }
        let head = |tree: &Frontier| TreeHead { size: tree.size(), root: tree.root() };
        let about = self.about.iter().map(|it| &self.entries[usize::try_from(it.0).unwrap()]);
        Evidence {
            journal_checkpoint: self.note(Log::Journal, head(&journal)),
            directory_checkpoint: Some(self.note(Log::Directory, head(&directory))),
            directory: facts,
            entries: about.map(given).collect(),
            notes: self.notes.clone(),
        }
    }
}

/// What opens the cover of the message, whoever signed the receipt.
fn opening_of(entry: &Entry) -> Option<(u32, [u8; SALT_BYTES])> {
    let whole = proto::SignedReceipt::decode(entry.statement.clone()).ok()?;
    let place = whole.messages.iter().position(|it| it.index == MESSAGE.0)?;
    let seed = whole.seed[..].try_into().ok().filter(|_| entry.kind == EntryKind::Receipt)?;
    Some((u32::try_from(place).unwrap(), cover_salt(&seed, place)))
}

/// RFC 6962, section 2.1.1, word for word.
fn path(index: usize, leaves: &[TreeHash]) -> Vec<TreeHash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let left = leaves.len().next_power_of_two() / 2;
    let (own, other, index) = if index < left {
        (&leaves[..left], &leaves[left..], index)
    } else {
        (&leaves[left..], &leaves[..left], index - left)
    };
    let mut path = path(index, own);
    path.push(root(other));
    path
}

pub(in crate::evidence) fn root(leaves: &[TreeHash]) -> TreeHash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    node_hash(&root(left), &root(right))
}

/// A message of another place.
pub(in crate::evidence) fn elsewhere(message_id: MessageId) -> MessageRef {
    MessageRef { index: OTHER, message_id }
}
