//! An exchange at random, with all its keys: whatever a hub, its witnesses and its offices can have done together.
//!
//! Owns what stands in the journal. What happens in it at all is `happens`, what goes into a file `file`. It all follows from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use resguardo::evidence::Note;
use resguardo::host::random::SeededRandom;
use resguardo::model::amendment::{Rotation, SignedEntry};
use resguardo::model::entry::{Entry, EntryKind, Payload};
use resguardo::model::fact::{DeskKeys, Fact};
use resguardo::model::id::{Index, UnixMicros};
use resguardo::model::identity::{Desk, Name};
use resguardo::model::policy::Policy;
use resguardo::model::receipt::Covered;
use resguardo::seal::{OpeningKey, SigningKey};
use resguardo::wire::amendment;

/// The hub's own.
pub(crate) const HUB: &str = "urn:resguardo:hub:one";
const OPERATOR: &str = "urn:resguardo:operator:one";
/// When the first entry was recorded.
const BEGAN_US: u64 = 1_772_000_000_000_000;
/// Seconds between two entries, at most: a key that was replaced counts for ten more.
const PAUSE_S_MAX: u64 = 9;

/// Random numbers, from a seed.
pub(crate) struct Chance(SeededRandom);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed))
    }

    /// A number below another.
    pub(crate) fn below(&self, bound: usize) -> usize {
        usize::try_from(self.0.below(bound as u64)).expect("it is below a usize")
    }

    /// Whether something happens, in so many of a hundred.
    pub(crate) fn happens(&self, of_hundred: usize) -> bool {
        self.below(100) < of_hundred
    }

    /// One of them.
    pub(crate) fn of<'a, T>(&self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub(crate) fn bytes<const BYTES: usize>(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        for byte in &mut bytes {
            *byte = u8::try_from(self.below(256)).expect("it is below 256");
        }
        bytes
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_seeds(&self.bytes())
    }

    pub(crate) fn opening(&self) -> OpeningKey {
        OpeningKey::from_seed(&self.bytes())
    }
}

/// A desk, with all its keys since the founding.
pub(crate) struct Held {
    pub(crate) desk: Desk,
    pub(crate) attended: Vec<SigningKey>,
    pub(crate) unattended: Vec<SigningKey>,
}

/// An office, with all its keys.
pub(crate) struct Office {
    pub(crate) name: Name,
    pub(crate) opening: Vec<OpeningKey>,
}

/// A message that was published.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) covered: Covered,
    pub(crate) sender: Desk,
    pub(crate) to: Vec<Name>,
}

/// All of it.
pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) policy: Policy,
    pub(crate) entries: Vec<Entry>,
    pub(crate) offices: Vec<Office>,
    pub(crate) desks: Vec<Held>,
    pub(crate) registrars: [SigningKey; 2],
    pub(crate) hub_keys: Vec<SigningKey>,
    /// Every key that bears witness, by its id.
    pub(crate) witnesses: BTreeMap<[u8; 32], SigningKey>,
    pub(crate) messages: Vec<Sent>,
    /// Which of them the file is about.
    pub(crate) main: usize,
    /// Entries about it.
    pub(crate) about: Vec<Index>,
    pub(crate) notes: Vec<Note>,
    now: u64,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("a name of a test is one")
}

pub(crate) const INSTITUTIONS: [&str; 2] = ["iachr", "ohchr"];

impl World {
    /// Founds an exchange of two to five offices.
    pub(crate) fn founded(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let registrars = [chance.key(), chance.key()];
        let hub_keys = vec![chance.key()];
        let mut world = Self {
            chance,
            policy: Policy::default(),
            entries: Vec::new(),
            offices: Vec::new(),
            desks: Vec::new(),
            registrars,
            hub_keys,
            witnesses: BTreeMap::new(),
            messages: Vec::new(),
            main: 0,
            about: Vec::new(),
            notes: Vec::new(),
            now: BEGAN_US,
        };
        let mut facts: Vec<_> = INSTITUTIONS.map(|it| Fact::Institution(name(it))).into();
        for (institution, key) in INSTITUTIONS.into_iter().zip(&world.registrars) {
            let (name, institution) = (name(institution), name(institution));
            facts.push(Fact::Registrar { name, institution, key: key.verifying_key() });
        }
        for number in 0..2 + world.chance.below(4) {
            facts.extend(world.office(number));
        }
        facts.push(Fact::HubKey { key: world.hub_keys[0].verifying_key() });
        assert!(world.amend(facts), "a founding follows from nothing");
        world
    }

    /// A further office with one desk or two.
    pub(crate) fn office(&mut self, number: usize) -> Vec<Fact> {
        let office = name(&format!("office-{number}"));
        let institution = name(INSTITUTIONS[number % 2]);
        let opening = self.chance.opening();
        let mut facts = vec![
            Fact::Office { name: office.clone(), institution },
            Fact::OfficeKey { office: office.clone(), recipient: opening.recipient() },
        ];
        self.offices.push(Office { name: office.clone(), opening: vec![opening] });
        for desk in 1..=1 + self.chance.below(2) {
            let desk = Desk { office: office.clone(), desk: name(&format!("desk-{desk}")) };
            self.desks.push(Held { desk, attended: Vec::new(), unattended: Vec::new() });
            facts.push(self.new_keys(self.desks.len() - 1));
        }
        facts
    }

    /// New keys of a desk.
    pub(crate) fn new_keys(&mut self, place: usize) -> Fact {
        let [attended, unattended] = [self.chance.key(), self.chance.key()];
        let keys = DeskKeys {
            attended: attended.verifying_key(),
            unattended: unattended.verifying_key(),
            transfer: self.chance.opening().recipient(),
        };
        self.bears_witness(&unattended);
        let held = &mut self.desks[place];
        held.attended.push(attended);
        held.unattended.push(unattended);
        Fact::Desk { desk: held.desk.clone(), keys: Box::new(keys) }
    }

    /// Keeps a key that signs checkpoints.
    pub(crate) fn bears_witness(&mut self, key: &SigningKey) {
        let again = SigningKey::from_text(&key.to_text()).expect("it was a key");
        self.witnesses.insert(key.verifying_key().id().0, again);
    }

    /// The hub's time of the next entry.
    pub(crate) fn time(&mut self) -> UnixMicros {
        self.now +=
            1 + self.chance.below(usize::try_from(PAUSE_S_MAX * 1_000_000).expect("some millions")) as u64;
        UnixMicros(self.now)
    }

    /// The index that the next entry gets.
    pub(crate) fn next(&self) -> Index {
        Index(self.entries.len() as u64)
    }

    /// Records an entry.
    pub(crate) fn record(&mut self, kind: EntryKind, identity: &str, statement: Bytes) -> Index {
        let (index, time) = (self.next(), self.time());
        let (nonce, identity) = (self.chance.bytes(), identity.to_owned());
        self.entries.push(Entry { index, time, nonce, kind, identity, statement, payload: Payload::None });
        index
    }

    /// Has registrars amend the directory; `false` where that does not follow.
    pub(crate) fn amend(&mut self, facts: Vec<Fact>) -> bool {
        let mut signed = amendment::unsigned(self.policy.next_amendment(facts, UnixMicros(self.now)));
        for key in &self.registrars {
            amendment::sign(&mut signed, key);
        }
        self.take(signed)
    }

    /// Has a key replaced that its owner has; `false` where that does not follow.
    pub(crate) fn rotate(&mut self, replaces: [u8; 32], fact: Fact, by: &[&SigningKey]) -> bool {
        let (made, handover) = (UnixMicros(self.now), Bytes::new());
        let mut signed = amendment::unsigned_rotation(Rotation { replaces, made, fact, handover });
        for key in by {
            amendment::sign(&mut signed, key);
        }
        self.take(signed)
    }

    fn take(&mut self, signed: SignedEntry) -> bool {
        let bytes = amendment::bytes(&signed);
        let taken = self.policy.amend(&Arc::new(signed)).is_ok();
        if taken {
            let by = if self.entries.is_empty() { HUB } else { OPERATOR };
            self.record(EntryKind::Directory, by, bytes);
        }
        taken
    }
}
