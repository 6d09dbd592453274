//! Sealing again, on both sides: what counts, what does not and why, and that no key of a sealing lies open.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::*;
use crate::desk::home::tests::home_on;
use crate::desk::inbox::InboxWriter;
use crate::desk::members::tests::keep_copy;
use crate::desk::opener::Unreadable;
use crate::desk::outbox::Outbox;
use crate::desk::reseal::answers::Resealed;
use crate::desk::sample::{NOW, delivery_of, desk, envelope, id, keys, policy, writer};
use crate::host::clock::ManualClock;
use crate::host::disk::{Disk as _, MemoryDisk};
use crate::host::random::SeededRandom;
use crate::model::epoch::EpochId;
use crate::model::fact::Fact;
use crate::model::id::Index;
use crate::model::policy::tests::{desk_fact, registrars, signed};
use crate::seal::{FILE_KEY_BYTES, OpeningKey, open_bytes, seal_bytes, sha256};
use crate::wire::manifest::{Part, SealedManifest};

const WORDS: &[u8] = b"words that were sealed to a key that burned";
const OWN: &str = "ohchr-honduras";
const OTHER: &str = "iachr";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The key that an office lost, the one that it has now, and that of the other office.
fn key(number: u8) -> OpeningKey {
    OpeningKey::from_seed(&[number; 32])
}

const LOST: u8 = 5;
const NOW_HAS: u8 = 6;
const OTHERS: u8 = 7;

/// Seals a content in an envelope for some keys, and signs both as the sender's desk does.
fn sealed(envelope: Envelope, content: &[u8], to: &[u8]) -> (Envelope, Bytes, Vec<u8>) {
    let attended = &keys(envelope.sender.office.as_str())[0];
    let recipients: Vec<_> = to.iter().map(|number| key(*number).recipient()).collect();
    let manifest = SealedManifest::of(&envelope, Part::Payload, sha256(content)).signed_by(attended);
    let payload = seal_bytes(&recipients, &manifest, content).unwrap();
    let (payload_bytes, payload_digest) = (payload.len() as u64, sha256(&payload));
    let envelope = Envelope { payload_bytes, payload_digest, ..envelope };
    let SignedEnvelope { envelope, signed } = SignedEnvelope::by(attended, envelope);
    (envelope, signed.to_bytes(), payload)
}

/// A home that has lost its key, with a message of `iachr` that came, sealed to it.
struct Lost {
    disk: MemoryDisk,
    home: Home,
    writer: InboxWriter,
    message: Kept,
}

impl Lost {
    fn home() -> Self {
        let disk = MemoryDisk::new();
        let home = home_on(&disk);
        keep_copy(&home, &policy());
        let mut writer = writer(&home).unwrap();
        let (_, envelope, payload) = sealed(envelope(2, OTHER, OWN, b""), WORDS, &[LOST, OTHERS]);
        writer.keep(vec![delivery_of(2, envelope, &payload)], NOW, false).unwrap();
        let inbox = Inbox::open(&home).unwrap();
        let message = inbox.read(&inbox.entries().unwrap()[0]).unwrap();
        Self { disk, home, writer, message }
    }

    fn reader(&self) -> Reader {
        Reader::of(&self.home, Some(Opener::new(vec![key(NOW_HAS)])))
    }

    fn opened(&self) -> Result<(Bytes, Option<Resealed>), String> {
        let (clear, resealed) = self.reader().opened(&self.message);
        clear.map(|clear| (clear.0, resealed)).map_err(|why| why.to_string())
    }

    fn about(&self) -> About {
        let message_id = self.message.envelope.message_id;
        About { office: name(OTHER), message_id, digest: self.message.digest }
    }

    fn file_key(&self) -> FileKey {
        FileKey::of(&*self.message.payload, &[key(OTHERS)]).unwrap()
    }

    /// The envelope of an answer to it.
    fn answer(&self, seed: u64) -> Envelope {
        let (class, about) = (MessageClass::Reseal, Some(self.about()));
        Envelope { class, about, ..envelope(seed, OTHER, OWN, b"") }
    }

    fn came(&mut self, seed: u64, answer: Envelope, content: &[u8], to: u8) {
        let (_, envelope, payload) = sealed(answer, content, &[to]);
        self.writer.keep(vec![delivery_of(seed, envelope, &payload)], NOW, false).unwrap();
    }
}

fn answer_of(keys: Vec<FileKey>) -> Vec<u8> {
    let answer = ResealAnswer { request: id(90), request_digest: [9; 32], keys };
    ResealContent::Answer(answer).to_bytes().to_vec()
}

#[test]
fn a_message_sealed_to_a_lost_key_opens_with_the_answer_of_who_sent_it_and_says_so() {
    let mut lost = Lost::home();
    let said = lost.opened().unwrap_err();
    assert!(said.contains("sealed to other keys"), "{said}");
    let content = answer_of(vec![lost.file_key()]);
    lost.came(9, lost.answer(9), &content, NOW_HAS);
    let (clear, resealed) = lost.opened().unwrap();
    assert_eq!(clear, WORDS);
    let resealed = resealed.expect("the office's own key does not open it");
    assert_eq!((resealed.by, resealed.answer, resealed.request), (desk(OTHER), id(9), id(90)));
    // It stays as it came: whoever checks it checks what was sent.
    assert!(open_bytes(&lost.message.payload, &[key(NOW_HAS)], 1 << 20).is_err());
    // Without the keys nothing is open.
    let locked = Reader::of(&lost.home, None).opened(&lost.message).0;
    assert!(matches!(locked, Err(Unreadable::Locked)));
}

type Change<'a> = &'a dyn Fn(&mut Envelope);
type Keys<'a> = &'a dyn Fn(&Lost) -> Vec<FileKey>;

#[test]
fn an_answer_that_is_none_to_this_message_opens_nothing_and_each_says_why() {
    let other = sealed(envelope(3, OTHER, OWN, b""), WORDS, &[OTHERS]).2;
    let others_key = || FileKey::of(&*other, &[key(OTHERS)]).unwrap();
    let same: Change<'_> = &|_| {};
    let another: Change<'_> = &|it| it.about.as_mut().unwrap().digest = [1; 32];
    let good = |lost: &Lost| vec![lost.file_key()];
    let cases: [(Change<'_>, Keys<'_>, u8, &str); 5] = [
        (another, &good, NOW_HAS, "about another envelope of the same id"),
        (same, &|_| vec![others_key()], NOW_HAS, "its key does not open the message"),
        (
            same,
            &|lost| vec![lost.file_key(), others_key()],
            NOW_HAS,
            "2 keys, and the message has 1 sealings",
        ),
        (same, &|_| Vec::new(), NOW_HAS, "not of its form"),
        (same, &good, LOST, "sealed to other keys: none of the 1 keys"),
    ];
    for (change, keys, to, words) in cases {
        let mut lost = Lost::home();
        let mut answer = lost.answer(9);
        change(&mut answer);
        let content = answer_of(keys(&lost));
        lost.came(9, answer, &content, to);
        let said = lost.opened().unwrap_err();
        assert!(said.contains(words) && said.contains(&id(9).to_string()), "{words}: {said}");
        // It keeps a good one from nothing, whichever came last.
        let content = answer_of(vec![lost.file_key()]);
        lost.came(8, lost.answer(8), &content, NOW_HAS);
        assert_eq!(lost.opened().unwrap().1.unwrap().answer, id(8), "{words}");
    }
}

#[test]
fn what_others_say_of_a_message_counts_for_nothing_here() {
    // Of another message, whose id it names.
    let mut lost = Lost::home();
    let mut answer = lost.answer(9);
    answer.about.as_mut().unwrap().message_id = id(3);
    let content = answer_of(vec![lost.file_key()]);
    lost.came(9, answer, &content, NOW_HAS);
    assert!(lost.opened().unwrap_err().starts_with("what is sealed cannot be opened"));

    // For another office, and shown here by a hub that turns: it is kept aside.
    let mut answer = lost.answer(10);
    answer.recipients[0].office = name("ohchr-mexico");
    lost.came(10, answer, &content, NOW_HAS);
    assert!(lost.opened().unwrap_err().starts_with("what is sealed cannot be opened"));
    assert_eq!(Inbox::open(&lost.home).unwrap().asides().unwrap(), [Index(10)]);

    // Of an office that did not send it: by its form that is none, and it is kept aside.
    let mut lost = Lost::home();
    let mut answer = lost.answer(9);
    answer.about.as_mut().unwrap().office = name("ohchr-mexico");
    lost.came(9, answer, &content, NOW_HAS);
    assert_eq!(Inbox::open(&lost.home).unwrap().asides().unwrap(), [Index(9)]);
    assert!(lost.opened().is_err());
}

#[test]
fn another_person_who_has_the_answer_but_not_the_signature_inside_opens_nothing() {
    let mut lost = Lost::home();
    // The payload is as it should be, and the manifest in it is of another message.
    let content = answer_of(vec![lost.file_key()]);
    let attended = &keys(OTHER)[0];
    let manifest = SealedManifest::of(&lost.answer(33), Part::Payload, sha256(&content)).signed_by(attended);
    let payload = seal_bytes(&[key(NOW_HAS).recipient()], &manifest, &content).unwrap();
    let (payload_bytes, payload_digest) = (payload.len() as u64, sha256(&payload));
    let answer = Envelope { payload_bytes, payload_digest, ..lost.answer(9) };
    let bytes = SignedEnvelope::by(attended, answer).signed.to_bytes();
    lost.writer.keep(vec![delivery_of(9, bytes, &payload)], NOW, false).unwrap();
    let said = lost.opened().unwrap_err();
    assert!(said.contains("its message id is not the envelope's"), "{said}");
}

/// A message of this home, as the hub has it.
fn sent() -> Outgoing {
    let (envelope, envelope_bytes, payload) = sealed(envelope(2, OWN, OTHER, b""), WORDS, &[NOW_HAS, LOST]);
    let (index, at, epoch) = (Index(2), NOW, EpochId(0));
    Outgoing {
        envelope,
        envelope_bytes,
        payload: payload.into(),
        to_members: false,
        name: None,
        sources: Vec::new(),
        seen: None,
        erased: false,
        outcome: Some(Outcome::Accepted { index, at, epoch, repeated: false, unsigned: false }),
        promise: None,
    }
}

#[test]
fn only_what_was_sent_and_is_kept_is_sealed_again_and_only_for_whom_it_was() {
    let (good, other) = (sent(), name(OTHER));
    assert!(check(&good, &other).is_ok());
    let refused = |sent: &Outgoing, office: &Name| check(sent, office).unwrap_err().to_string();
    let said = refused(&good, &name("ohchr-mexico"));
    assert!(said.contains("was not for ohchr-mexico"), "{said}");
    let said = refused(&Outgoing { erased: true, ..good.clone() }, &other);
    assert!(said.contains("is erased"), "{said}");
    let said = refused(&Outgoing { outcome: None, ..good.clone() }, &other);
    assert!(said.contains("nobody has it"), "{said}");
    let class = MessageClass::Reseal;
    let envelope = Envelope { class, about: Some(name_of(&good)), ..good.envelope.clone() };
    let said = refused(&Outgoing { envelope, ..good }, &other);
    assert!(said.contains("resealing itself"), "{said}");
}

/// Every file of a disk.
fn files(disk: &MemoryDisk, dir: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
    for name in disk.list(dir).unwrap() {
        let path = dir.join(name);
        match disk.read(&path, 1 << 24) {
            Ok(bytes) => into.push((path, bytes)),
            Err(_) => files(disk, &path, into),
        }
    }
}

#[tokio::test]
async fn a_request_that_holds_is_answered_for_who_made_it_and_no_key_of_a_sealing_lies_open() {
    let disk = MemoryDisk::new();
    let home = home_on(&disk);
    keep_copy(&home, &policy());
    let mut writer = writer(&home).unwrap();
    let (inbox, outbox) = (Inbox::open(&home).unwrap(), Outbox::open(&home).unwrap());
    let opener = Opener::new(vec![key(NOW_HAS)]);
    let reader = Reader::of(&home, Some(opener.clone()));
    let message = sent();
    let about = name_of(&message);
    let policy = policy();
    let asked_by = |office, policy: &Policy| {
        let asked = asked(&inbox, &reader, (&message, &about), (&name(office), policy));
        asked.map_err(|it| it.to_string())
    };
    let asked = |office| asked_by(office, &policy);
    assert!(asked(OTHER).unwrap_err().contains("no signed request of iachr"));

    let request = |seed, about: &About| {
        let (class, about) = (MessageClass::Reseal, Some(about.clone()));
        Envelope { class, about, ..envelope(seed, OTHER, OWN, b"") }
    };
    let why = ResealContent::Request { why: "the disk burned".into() }.to_bytes();
    let elsewhere = About { digest: [1; 32], ..about.clone() };
    // About another envelope, an answer, and one that nobody here can open.
    for (seed, about, content, to) in [
        (5, &elsewhere, why.to_vec(), NOW_HAS),
        (6, &about, answer_of(vec![FileKey::from_bytes(&[1; FILE_KEY_BYTES])]), NOW_HAS),
        (7, &about, why.to_vec(), LOST),
    ] {
        let (_, envelope, payload) = sealed(request(seed, about), &content, &[to]);
        writer.keep(vec![delivery_of(seed, envelope, &payload)], NOW, false).unwrap();
        assert!(asked(OTHER).is_err(), "{seed}");
    }
    let (_, envelope, payload) = sealed(request(8, &about), &why, &[NOW_HAS]);
    writer.keep(vec![delivery_of(8, envelope, &payload)], NOW, false).unwrap();
    let found = asked(OTHER).unwrap();
    assert_eq!((found.why.as_str(), found.kept.envelope.message_id), ("the disk burned", id(8)));
    assert!(asked("ohchr-mexico").is_err());
    // With keys that were replaced since, or for an office that was removed, nobody asks.
    let amended = |fact| {
        let mut amended = Policy::clone(&policy);
        amended.amend(&signed(&policy, vec![fact], &registrars())).unwrap();
        amended
    };
    let said = asked_by(OTHER, &amended(desk_fact(desk(OTHER), 50))).unwrap_err();
    assert!(said.contains("a key that was replaced since") && said.contains("ask again"), "{said}");
    let removed = amended(Fact::OfficeRemoved { name: name(OTHER), reason: "closed".into() });
    let said = asked_by(OTHER, &removed).unwrap_err();
    assert!(said.contains("iachr is no office of the directory any more"), "{said}");

    let (clock, random, own) = (ManualClock::at(NOW), SeededRandom::new(1), key(NOW_HAS).recipient());
    let late = Desktop { desk: &desk(OWN), policy: &removed, own: &own, clock: &clock, random: &random };
    let late = super::answer(late, (&home, &opener), (&message, about.clone()), &found);
    assert!(matches!(late, Err(ResealError::Removed(_))));
    let desktop = Desktop { desk: &desk(OWN), policy: &policy, own: &own, clock: &clock, random: &random };
    let answer = answer(desktop, (&home, &opener), (&message, about.clone()), &found).unwrap();
    let envelope = &answer.envelope;
    assert_eq!(envelope.check(), Ok(()));
    assert_eq!(answer.seen, fingerprint(&policy, &name(OTHER)));
    assert!(answer.seen.is_some());
    assert_eq!((envelope.about.as_ref(), envelope.priority), (Some(&about), message.envelope.priority));
    assert_eq!(envelope.offices().collect::<Vec<_>>(), [&name(OTHER)]);
    let ResealContent::Answer(said) = ResealContent::read(&opener.own(&answer.payload).unwrap().0).unwrap()
    else {
        panic!("a request")
    };
    assert_eq!((said.request, said.request_digest), (id(8), found.kept.digest));
    let of_payload = FileKey::of(&*message.payload, &[key(LOST)]).unwrap();
    assert_eq!(said.keys.iter().map(FileKey::as_bytes).collect::<Vec<_>>(), [of_payload.as_bytes()]);

    outbox.add_message(&home.lock().await.unwrap(), &answer, NOW).unwrap();
    assert_eq!(outbox.read_message(answer.envelope.message_id).unwrap().seen, answer.seen);
    let mut kept = Vec::new();
    files(&disk, Path::new("/home"), &mut kept);
    let holds = |bytes: &[u8], words: &[u8]| bytes.windows(words.len()).any(|it| it == words);
    assert!(kept.iter().any(|(_, bytes)| holds(bytes, &answer.payload)), "the draft is there");
    assert!(kept.iter().all(|(_, bytes)| !holds(bytes, of_payload.as_bytes())), "and its key is not");
}

#[test]
fn a_request_goes_to_the_office_that_sent_the_message_as_urgently_and_opens_for_it() {
    let lost = Lost::home();
    let (clock, random, own) = (ManualClock::at(NOW), SeededRandom::new(1), key(NOW_HAS).recipient());
    let policy = policy();
    let desktop = Desktop { desk: &desk(OWN), policy: &policy, own: &own, clock: &clock, random: &random };
    let written = request(desktop, &lost.message, "the disk burned").unwrap();
    let envelope = &written.envelope;
    assert_eq!(envelope.check(), Ok(()));
    assert_eq!(envelope.about, Some(lost.about()));
    assert_eq!(envelope.offices().collect::<Vec<_>>(), [&name(OTHER)]);
    let of_message = &lost.message.envelope;
    assert_eq!(
        (&envelope.stream, envelope.priority, envelope.status),
        (&of_message.stream, of_message.priority, of_message.status)
    );
    assert_ne!(envelope.thread_id, of_message.thread_id, "it is no answer on the message's thread");
    let mut kept = Vec::new();
    files(&lost.disk, Path::new("/home"), &mut kept);
    assert!(!kept.is_empty());
}
