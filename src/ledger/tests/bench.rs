//! A ledger with three offices and two streams, and short ways to say things to it.

use std::sync::{Arc, OnceLock};

use crate::ledger::entry::{Decoded, Outcome, Statement};
use crate::ledger::store::Store;
use crate::ledger::store::memory::MemoryStore;
use crate::ledger::view::{Lane, Owed, View};
use crate::ledger::{Ledger, Opened, Staged, Writer};
use crate::model::amendment::SignedEntry;
use crate::model::deadline::Deadlines;
use crate::model::entry::Mark;
use crate::model::envelope::{CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority, Recipient};
use crate::model::erasure::{ErasureOrder, OrderedBy};
use crate::model::id::{DirectoryVersion, Index, Position, UnixMicros};
use crate::model::identity::{Desk, Identity, Name};
use crate::model::policy::tests::{desk_fact, registrar_facts, registrars, signed};
use crate::model::policy::{Fact, OfficeNumber, Policy};
use crate::model::receipt::{Action, Covered, Receipt, Stage};
use crate::model::refusal::Reason;

pub(super) const JOURNAL: [u8; 16] = [7; 16];
/// The offices in the order of their numbers, which is not that of their names.
pub(super) const OFFICES: [&str; 3] = ["iachr", "ohchr-mexico", "ohchr-honduras"];
pub(super) const IACHR: OfficeNumber = OfficeNumber(0);
pub(super) const MEXICO: OfficeNumber = OfficeNumber(1);
pub(super) const HONDURAS: OfficeNumber = OfficeNumber(2);

/// A ledger over a store, and the journal's place.
pub(super) struct Bench {
    pub(super) store: Arc<dyn Store>,
    pub(super) ledger: Ledger,
    pub(super) writer: Writer,
    pub(super) view: View,
}

pub(super) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// An order to erase a message of an office.
pub(super) fn ordered(by: OrderedBy, message_id: MessageId) -> ErasureOrder {
    ErasureOrder { by, message_id, at: UnixMicros(5), reason: "a reason".into() }
}

pub(super) fn desk(office: &str) -> Desk {
    Desk { office: name(office), desk: name("desk-1") }
}

#[expect(clippy::unnecessary_wraps, reason = "as the caller of an entry is")]
pub(super) fn by(office: &str) -> Option<Identity> {
    Some(Identity::Desk(desk(office)))
}

#[expect(clippy::unnecessary_wraps, reason = "as the caller of an entry is")]
pub(super) fn hub() -> Option<Identity> {
    Some(Identity::Hub(name("main")))
}

/// An id whose order is that of its number.
pub(super) fn id(number: u64) -> MessageId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&(number >> 8).to_be_bytes()[2..]);
    (bytes[6], bytes[8], bytes[15]) = (0x70, 0x80, number.to_be_bytes()[7]);
    MessageId::from_slice(&bytes).unwrap()
}

pub(super) fn envelope(number: u64, sender: &str, recipients: &[&str]) -> Envelope {
    let recipient = |office: &&str| Recipient { office: name(office), key: [0; 32], number: 1 };
    let mut recipients: Vec<_> = recipients.iter().map(recipient).collect();
    recipients.sort_unstable_by(|a, b| a.office.cmp(&b.office));
    Envelope {
        message_id: id(number),
        class: MessageClass::Alert,
        stream: name("studies"),
        sender: desk(sender),
        recipients,
        directory_version: DirectoryVersion(0),
        priority: Priority::Normal,
        status: CapStatus::Exercise,
        msg_type: CapMsgType::Alert,
        thread_id: [0; 16],
        references: Vec::new(),
        sent: UnixMicros(number),
        expires: None,
        payload_bytes: 0,
        payload_digest: [0; 32],
        deadlines: Deadlines::default(),
        files: Vec::new(),
        voided: Vec::new(),
        about: None,
    }
}

pub(super) fn publish(envelope: Envelope) -> Statement {
    let digest = digest(envelope.message_id);
    Statement::Publish { envelope: Box::new(envelope), digest }
}

fn digest(id: MessageId) -> [u8; 32] {
    let mut digest = [0; 32];
    digest[..16].copy_from_slice(id.as_bytes());
    digest
}

/// What a receipt covers of a message.
pub(super) fn covered(index: Index, message_id: MessageId) -> Covered {
    Covered { index, message_id, digest: digest(message_id) }
}

pub(super) fn receipt(office: &str, stage: Stage, messages: &[(Index, MessageId)]) -> Receipt {
    Receipt {
        desk: desk(office),
        stage,
        messages: messages.iter().map(|(index, id)| covered(*index, *id)).collect(),
        notices: Vec::new(),
        at: UnixMicros(5),
        action: (stage == Stage::Acted).then_some(Action::ContactedPerson),
        reason: if stage == Stage::Unreadable { "a reason".into() } else { String::new() },
        note_digest: stage.is_persons().then_some([6; 32]),
        opened: false,
        seen: None,
    }
}

pub(super) fn noticed(office: &str, notices: &[Index]) -> Receipt {
    Receipt { notices: notices.to_vec(), ..receipt(office, Stage::Received, &[]) }
}

pub(super) fn state(receipt: Receipt) -> Statement {
    Statement::Receipt(Box::new(receipt))
}

/// The facts of the directory.
pub(super) fn directory() -> Vec<Fact> {
    let all = || OFFICES.iter().map(|office| name(office)).collect();
    let mut facts = vec![Fact::Institution(name("both")), Fact::Institution(name("other"))];
    facts.extend(registrar_facts([name("both"), name("other")]));
    for (office, number) in OFFICES.iter().zip(11..) {
        facts.push(Fact::Office { name: name(office), institution: name("both") });
        facts.push(desk_fact(desk(office), number));
    }
    facts.push(Fact::Auditor { name: name("both"), institution: name("both") });
    facts.push(Fact::Stream { name: name("studies"), publishers: all(), subscribers: all() });
    facts.push(Fact::Stream {
        name: name("advocacy"),
        publishers: [name("iachr")].into(),
        subscribers: [name("iachr"), name("ohchr-mexico")].into(),
    });
    facts.push(Fact::Headquarters(name("iachr")));
    facts
}

/// The directory's founding, the same each time: a signature is another one whenever it is made.
pub(super) fn founding() -> Statement {
    static FOUNDING: OnceLock<Arc<SignedEntry>> = OnceLock::new();
    let sign = || signed(&Policy::default(), directory(), &registrars());
    Statement::Amendment(Arc::clone(FOUNDING.get_or_init(sign)))
}

/// The mark after a batch of so many entries.
pub(super) fn after(mark: Mark, entries: u64) -> Mark {
    Mark {
        position: mark.position.next(),
        next_index: Index(mark.next_index.0 + entries),
        chain: mark.chain.wrapping_mul(31).wrapping_add(1),
        time: time_at(mark.position),
        ..mark
    }
}

fn time_at(position: Position) -> UnixMicros {
    UnixMicros(1_000_000 + position.0 * 1000)
}

pub(super) fn open(store: &Arc<dyn Store>) -> Bench {
    let Opened::Ready { ledger, writer, view } = Ledger::open(Arc::clone(store), JOURNAL).unwrap() else {
        panic!("another journal or format");
    };
    Bench { store: Arc::clone(store), ledger, writer, view }
}

impl Bench {
    /// A ledger in memory whose directory is there.
    pub(super) fn founded() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        Self::founded_on(&store)
    }

    /// A ledger over a store, whose directory is there.
    pub(super) fn founded_on(store: &Arc<dyn Store>) -> Self {
        let mut bench = open(store);
        assert_eq!(bench.one(hub(), founding()), Outcome::Noted);
        bench
    }

    /// What both registrars sign of facts as the next amendment.
    pub(super) fn amendment(&self, facts: Vec<Fact>) -> Statement {
        Statement::Amendment(signed(&self.view.policy(), facts, &registrars()))
    }

    /// Opens the same store again.
    pub(super) fn reopened(self) -> Self {
        let store = Arc::clone(&self.store);
        drop(self);
        open(&store)
    }

    /// The index of the next entry.
    pub(super) fn next(&self) -> Index {
        self.ledger.mark().next_index
    }

    /// Decides a batch without writing it.
    pub(super) fn decide(&mut self, entries: Vec<(Option<Identity>, Statement)>) -> (Vec<Outcome>, Staged) {
        let before = self.ledger.mark();
        let entries = decoded(before, entries);
        let mark = after(before, entries.len() as u64);
        let applied = self.ledger.decide(mark, &entries).unwrap();
        (applied.outcomes, applied.staged)
    }

    /// Decides and writes a batch.
    pub(super) fn batch(&mut self, entries: Vec<(Option<Identity>, Statement)>) -> Vec<Outcome> {
        let (outcomes, staged) = self.decide(entries);
        self.writer.write(&staged).unwrap();
        outcomes
    }

    /// Decides and writes one entry.
    pub(super) fn one(&mut self, caller: Option<Identity>, statement: Statement) -> Outcome {
        self.batch(vec![(caller, statement)]).remove(0)
    }

    /// Publishes a message that is accepted; gives its index.
    pub(super) fn send(&mut self, number: u64, sender: &str, recipients: &[&str]) -> Index {
        match self.one(by(sender), publish(envelope(number, sender, recipients))) {
            Outcome::Accepted { index, duplicate: false, .. } => index,
            other => panic!("{other:?}"),
        }
    }

    /// States something that is recorded; gives the receipt's index and news.
    pub(super) fn states(&mut self, stated: Receipt) -> (Index, u32) {
        match self.one(Some(Identity::Desk(stated.desk.clone())), state(stated)) {
            Outcome::Recorded { index, news, .. } => (index, news),
            other => panic!("{other:?}"),
        }
    }

    /// States something that is refused.
    pub(super) fn refused(&mut self, caller: Option<Identity>, statement: Statement) -> Reason {
        match self.one(caller, statement) {
            Outcome::Refused(refusal) => refusal.reason,
            other => panic!("{other:?}"),
        }
    }

    /// What is outstanding for an office, urgent first, by index.
    pub(super) fn owed(&self, office: OfficeNumber) -> Vec<u64> {
        self.first_owed(office, usize::MAX)
    }

    /// The first so many of each lane.
    pub(super) fn first_owed(&self, office: OfficeNumber, most: usize) -> Vec<u64> {
        let lanes = [Lane::Urgent, Lane::Other].into_iter();
        let owed = lanes.flat_map(|lane| self.view.owed(office, lane, Index(0), most).unwrap());
        let index = |owed| match owed {
            Owed::Message(message) => Arc::as_ref(&message).index.0,
            Owed::Notice(index) => index.0,
        };
        owed.map(index).collect()
    }
}

/// Gives entries their indexes and the time of their batch.
pub(super) fn decoded(mark: Mark, entries: Vec<(Option<Identity>, Statement)>) -> Vec<Decoded> {
    let time = time_at(mark.position);
    let entries = entries.into_iter().zip(mark.next_index.0..);
    entries
        .map(|((caller, statement), index)| Decoded { index: Index(index), time, caller, statement })
        .collect()
}
