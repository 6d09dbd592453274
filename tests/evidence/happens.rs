//! What happens in an exchange: messages, receipts one by one and in batches, officers' notes, new keys, revocations, deadlines
//! that were missed, erasures. Most of it is as it must be; some of it is signed with a key that was just replaced.

use bytes::Bytes;
use resguardo::evidence::Note;
use resguardo::model::deadline::Deadlines;
use resguardo::model::entry::EntryKind;
use resguardo::model::envelope::{
    CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority, Recipient,
};
use resguardo::model::erasure::{ErasureOrder, OrderedBy};
use resguardo::model::fact::Fact;
use resguardo::model::id::{DirectoryVersion, Index, UnixMicros};
use resguardo::model::identity::Name;
use resguardo::model::overdue::{Missed, Overdue};
use resguardo::model::receipt::{Action, Covered, Receipt, Stage};
use resguardo::seal::{FileKey, SigningKey, seal_bytes, sha256};
use resguardo::wire::manifest::{Part, SealedManifest};
use resguardo::wire::note::OfficerNote;
use resguardo::wire::signed::{SignedEnvelope, SignedReceipt};
use resguardo::wire::{convert, erasure};

use crate::world::{HUB, INSTITUTIONS, Office, Sent, World, name};

impl World {
    /// An exchange at random, in which one message has a history.
    pub(crate) fn happened(seed: u64) -> Self {
        let mut world = Self::founded(seed);
        for _ in 0..world.chance.below(3) {
            world.something();
        }
        world.main = world.messages.len();
        world.publish();
        for _ in 0..5 + world.chance.below(14) {
            world.something();
        }
        world
    }

    fn something(&mut self) {
        let published = self.messages.len() > self.main;
        match self.chance.below(24) {
            0..=2 => self.publish(),
            3..=8 if published => self.received(),
            9..=13 if published => self.stated(),
            14 if published => self.missed(),
            15 if published => self.erased(),
            16..=17 => self.new_keys_of_a_desk(),
            18 => self.new_key_of_an_office(),
            19..=21 => self.amended(),
            _ => drop(self.record(EntryKind::Clock, HUB, Bytes::from_static(b"something else"))),
        }
    }

    /// A key of a desk: the present one, and sometimes the one before.
    fn signs(&self, place: usize, attended: bool) -> &SigningKey {
        let held = &self.desks[place];
        let keys = if attended { &held.attended } else { &held.unattended };
        let before = keys.len() > 1 && self.chance.happens(8);
        &keys[keys.len() - 1 - usize::from(before)]
    }

    /// A desk that counts now; of an office, where one is named.
    fn desk(&self, of: Option<&Name>) -> Option<usize> {
        let counts = |it: &usize| {
            let desk = &self.desks[*it].desk;
            let of = of.is_none_or(|office| desk.office == *office);
            of && (self.policy.counts(desk) || self.chance.happens(5))
        };
        let there: Vec<_> = (0..self.desks.len()).filter(counts).collect();
        (!there.is_empty()).then(|| *self.chance.of(&there))
    }

    fn publish(&mut self) {
        let Some(place) = self.desk(None) else { return };
        let sender = self.desks[place].desk.clone();
        let others: Vec<_> = (0..self.offices.len()).filter(|_| self.chance.happens(70)).collect();
        let others: Vec<_> =
            others.into_iter().filter(|it| self.offices[*it].name != sender.office).collect();
        let first = (0..self.offices.len()).find(|it| self.offices[*it].name != sender.office).unwrap_or(0);
        let to = if others.is_empty() { vec![first] } else { others };
        let recipients: Vec<_> = to
            .iter()
            .map(|it| {
                let Office { name, opening } = &self.offices[*it];
                let key = sha256(&self.chance.of(opening).recipient().to_bytes());
                Recipient { office: name.clone(), key, number: 1 + self.chance.below(9) as u64 }
            })
            .collect();
        let mut id = self.chance.bytes::<16>();
        (id[6], id[8]) = (0x70 | id[6] & 15, 0x80 | id[8] & 63);
        let back = self.chance.below(2) as u64;
        let class = *self.chance.of(&[MessageClass::Alert, MessageClass::Statement]);
        let [receive, read, act] = ["90s", "15min", "60d"].map(|it| it.parse().ok());
        let deadlines = Deadlines { receive, read, act };
        let envelope = Envelope {
            message_id: MessageId::from_slice(&id).expect("it is of version 7"),
            class,
            stream: name("monitoring-protection"),
            sender: sender.clone(),
            recipients,
            directory_version: DirectoryVersion(self.policy.version().0.saturating_sub(back).max(1)),
            priority: *self.chance.of(&[Priority::Urgent, Priority::Normal]),
            status: *self.chance.of(&[CapStatus::Actual, CapStatus::Exercise]),
            msg_type: CapMsgType::Alert,
            thread_id: self.chance.bytes(),
            references: Vec::new(),
            sent: UnixMicros(1_772_000_000_000_000),
            expires: None,
            payload_bytes: 1 + self.chance.below(9_000) as u64,
            payload_digest: self.chance.bytes(),
            deadlines: *self.chance.of(&[Deadlines::default(), deadlines]),
            files: Vec::new(),
            voided: Vec::new(),
            about: None,
        };
        let signed = SignedEnvelope::by(self.signs(place, true), envelope);
        let to = signed.envelope.offices().cloned().collect();
        let (message_id, digest) = (signed.envelope.message_id, signed.digest());
        let index = self.record(EntryKind::Publish, &sender.to_string(), signed.signed.to_bytes());
        self.messages.push(Sent { covered: Covered { index, message_id, digest }, sender, to });
    }

    /// A machine's receipt of one message or several.
    fn received(&mut self) {
        let main = self.messages[self.main].clone();
        let Some(place) = self.desk(Some(self.chance.of(&main.to))) else { return };
        let desk = self.desks[place].desk.clone();
        let is_for = |it: &Sent| it.to.contains(&desk.office);
        let others = self.messages.iter().filter(|it| is_for(it) && self.chance.happens(50));
        let mut covered: Vec<_> = others.map(|it| it.covered).collect();
        if !covered.contains(&main.covered) {
            covered.push(main.covered);
        }
        covered.sort_by_key(|it| it.index);
        let received = Receipt::received(desk, covered, self.clock());
        let stage = *self.chance.of(&[Stage::Received, Stage::Received, Stage::Erased]);
        let attended = self.chance.happens(20);
        self.receipt(Receipt { stage, ..received }, place, attended);
    }

    /// An office's clock.
    fn clock(&self) -> UnixMicros {
        UnixMicros(1_772_000_000_000_000 + self.chance.below(900_000_000) as u64)
    }

    fn receipt(&mut self, receipt: Receipt, place: usize, attended: bool) -> Index {
        let desk = receipt.desk.to_string();
        let signed = SignedReceipt::by(self.signs(place, attended), receipt, self.chance.bytes());
        let index = self.record(EntryKind::Receipt, &desk, signed.to_bytes());
        self.about.push(index);
        index
    }

    /// What a person states, or that it cannot be read.
    fn stated(&mut self) {
        let main = self.messages[self.main].clone();
        let Some(place) = self.desk(Some(self.chance.of(&main.to))) else { return };
        let received = Receipt::received(self.desks[place].desk.clone(), vec![main.covered], self.clock());
        if self.chance.happens(15) {
            let opened = self.chance.happens(50);
            let reason = "no key of this office opens it".to_owned();
            let unreadable = Receipt { stage: Stage::Unreadable, reason, opened, ..received };
            let attended = opened || self.chance.happens(50);
            self.receipt(unreadable, place, attended);
            return;
        }
        let stage = *self.chance.of(&[Stage::Read, Stage::Acted, Stage::Declined]);
        let action = (stage == Stage::Acted).then(|| *self.chance.of(&[Action::AskedState, Action::None]));
        let mut receipt = Receipt { stage, action, ..received };
        let (sealed, file_key) = self.note(&receipt, place, &main);
        receipt.note_digest = Some(sha256(&sealed));
        let index = self.receipt(receipt, place, true);
        if self.chance.happens(60) {
            self.notes.push(Note { receipt: index, sealed, file_key });
        }
    }

    fn note(&self, receipt: &Receipt, place: usize, about: &Sent) -> (Bytes, [u8; 16]) {
        let officer = self.chance.key();
        let note = OfficerNote {
            officer: self.chance.of(&["María Pérez", "Turno", "João"]).to_string(),
            key: officer.verifying_key(),
            message_id: about.covered.message_id,
            digest: about.covered.digest,
            stage: receipt.stage,
            action: receipt.action,
            at: receipt.at,
            text: self.chance.of(&[" ", "Se pidió protección", "line\nline", "no", "sí"]).to_string(),
        };
        let content = note.signed_by(&officer);
        let sender = &about.sender.office;
        let readers: Vec<_> = self.offices.iter().filter(|it| it.name == *sender).collect();
        let manifest = SealedManifest {
            sender: receipt.desk.clone(),
            recipients: vec![sender.clone()],
            message_id: about.covered.message_id,
            part: Part::Note,
            content_digest: sha256(&content),
        };
        let key = &readers[0].opening[0];
        let manifest = manifest.signed_by(self.signs(place, true));
        let sealed = seal_bytes(&[key.recipient()], &manifest, &content).expect("it is small");
        let opening = [resguardo::seal::OpeningKey::from_text(&key.to_text()).expect("it was a key")];
        let file_key = FileKey::of(&sealed[..], &opening).expect("it was sealed to it");
        (sealed.into(), *file_key.as_bytes())
    }

    fn missed(&mut self) {
        let main = self.messages[self.main].clone();
        let signed =
            SignedEnvelope::read(&self.entry(main.covered.index).statement).expect("it was published");
        let (message, due) = (main.covered.message(), self.clock());
        let missed = if self.chance.happens(25) {
            Missed::FollowUp { obligation: name("training-report"), message }
        } else {
            let stage = *self.chance.of(&[Stage::Received, Stage::Read, Stage::Acted]);
            Missed::Stage { message, stage, status: signed.envelope.status }
        };
        let overdue = Overdue { office: self.chance.of(&main.to).clone(), due, missed };
        let index = self.record(EntryKind::Overdue, HUB, convert::overdue_bytes(&overdue));
        self.about.push(index);
    }

    fn erased(&mut self) {
        let main = self.messages[self.main].clone();
        let (message_id, at, reason) = (main.covered.message_id, self.clock(), "sent twice".to_owned());
        let (identity, statement) = match self.chance.below(3) {
            0 => {
                let until = Index(main.covered.index.0 + self.chance.below(4) as u64);
                (HUB.to_owned(), erasure::retention_bytes(until))
            }
            1 => {
                let (name, sender) = (name(INSTITUTIONS[0]), main.sender.office);
                let by = OrderedBy::Registrar { name, sender };
                let order = ErasureOrder { by, message_id, at, reason };
                let signed = erasure::SignedOrder::by(&self.registrars[0], &order);
                (HUB.to_owned(), erasure::ordered_bytes(signed, main.covered.index))
            }
            _ => {
                let Some(place) = self.desk(Some(&main.sender.office)) else { return };
                let desk = self.desks[place].desk.clone();
                let identity = desk.to_string();
                let order = ErasureOrder { by: OrderedBy::Desk(desk), message_id, at, reason };
                let signed = erasure::SignedOrder::by(self.signs(place, true), &order);
                (identity, erasure::ordered_bytes(signed, main.covered.index))
            }
        };
        let index = self.record(EntryKind::Erasure, &identity, statement);
        self.about.push(index);
    }

    fn new_keys_of_a_desk(&mut self) {
        let Some(place) = self.desk(None) else { return };
        let old = &self.desks[place];
        let signs = old.attended.last().expect("each has keys");
        let (replaces, signs) = (signs.verifying_key().id().0, again(signs));
        if self.policy.counts(&old.desk) {
            let registrar = again(&self.registrars[1]);
            let fact = self.new_keys(place);
            assert!(self.rotate(replaces, fact, &[&signs, &registrar]), "new keys follow from present ones");
        }
    }

    fn new_key_of_an_office(&mut self) {
        let place = self.chance.below(self.offices.len());
        let office = self.offices[place].name.clone();
        let Some(desk) = self.desk(Some(&office)) else { return };
        let present = self.offices[place].opening.last().expect("each has a key").recipient();
        let signs = again(self.desks[desk].attended.last().expect("each has keys"));
        let opening = self.chance.opening();
        let fact = Fact::OfficeKey { office, recipient: opening.recipient() };
        if self.rotate(sha256(&present.to_bytes()), fact, &[&signs]) {
            self.offices[place].opening.push(opening);
        }
    }

    /// What registrars say.
    fn amended(&mut self) {
        match self.chance.below(9) {
            0 => drop(self.amend(vec![Fact::Retention { days: 30 }])),
            1 => {
                let witnesses = 2 + u32::try_from(self.chance.below(3)).expect("it is small");
                self.amend(vec![Fact::Quorum { witnesses }]);
            }
            2 | 3 => {
                let key = self.chance.key();
                self.bears_witness(&key);
                let one = self.chance.below(2);
                let (witness, institution) = (name(["univ", "press"][one]), name(INSTITUTIONS[one]));
                let key = key.verifying_key();
                self.amend(vec![Fact::Witness { name: witness, institution, key }]);
            }
            4 => {
                let key = self.chance.key();
                if self.amend(vec![Fact::HubKey { key: key.verifying_key() }]) {
                    self.hub_keys.push(key);
                }
            }
            5 => {
                let (key, institution) = (self.chance.key(), name(INSTITUTIONS[0]));
                let fact =
                    Fact::Registrar { name: institution.clone(), institution, key: key.verifying_key() };
                if self.amend(vec![fact]) {
                    self.registrars[0] = key;
                }
            }
            6 => {
                let facts = self.office(self.offices.len());
                assert!(self.amend(facts), "a further office follows from any directory");
            }
            7 if self.chance.happens(40) => {
                let office = self.chance.of(&self.offices).name.clone();
                self.amend(vec![Fact::OfficeRemoved { name: office, reason: "closed".into() }]);
            }
            _ => {
                let desk = self.chance.of(&self.desks).desk.clone();
                self.amend(vec![Fact::DeskRevoked { desk, reason: "stolen".into() }]);
            }
        }
    }

    /// The entry at an index.
    pub(crate) fn entry(&self, index: Index) -> &resguardo::model::entry::Entry {
        &self.entries[usize::try_from(index.0).expect("it is small")]
    }
}

/// The same key once more: keys are not copied by the way.
pub(crate) fn again(key: &SigningKey) -> SigningKey {
    SigningKey::from_text(&key.to_text()).expect("it was a key")
}
