//! Entries of the directory, handed in over the line: what counts, what is refused and why, and that it is told whole.

use bytes::Bytes;
use prost::Message as _;
use resguardo::model::amendment::Rotation;
use resguardo::model::fact::{DeskKeys, Fact};
use resguardo::model::id::UnixMicros;
use resguardo::model::policy::Policy;
use resguardo::seal::{OpeningKey, SigningKey, sha256};
use resguardo::wire::amendment;
use resguardo::wire::proto::directory_entry::Entry;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;
use resguardo::wire::proto::{
    AmendDirectoryRequest, DescribeDirectoryRequest, DirectoryEntry, EntryKind, PublishRequest, Signed,
};
use resguardo::wire::trust::Trust;
use tonic::Status;

use crate::erase::{erase, order};
use crate::stage::client::Desk;
use crate::stage::founding::{Founding, OFFICES, desk_number, key, recipient};
use crate::stage::statement::{self, read, signed_with};
use crate::stage::told::{expect_item, told};
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR};

/// From which numbers the registrars' keys follow.
pub(crate) const REGISTRARS: [u8; 2] = [1, 2];

/// A hub with an operator, and the directory as somebody knows it who does not believe the hub.
pub(crate) struct Exchange {
    pub(crate) stage: Stage,
    pub(crate) operator: Desk,
    pub(crate) policy: Policy,
}

impl Exchange {
    pub(crate) async fn open() -> Self {
        Self::open_with(Setup::default()).await
    }

    /// The same on another stage, whoever is on it.
    pub(crate) async fn open_with(setup: Setup) -> Self {
        let founding = Founding::default().with_operator("stage");
        let exact = founding.signed();
        let stage = Stage::open_with(Setup { founding, ..setup }).await;
        let operator = Desk::connect(&stage, "urn:resguardo:operator:stage").await;
        let trust = Trust::of(&amendment::read(&exact).expect("a step of the test"));
        // Signatures are other ones each time: what the hub has is the one that counts.
        let told = operator.directory().await.expect("a step of the test");
        let policy = amendment::follow(trust, Policy::default(), &told.entries).expect("a step of the test");
        Self { stage, operator, policy }
    }

    pub(crate) fn written(&self, facts: Vec<Fact>, keys: &[u8]) -> Bytes {
        let mut signed = amendment::unsigned(self.policy.next_amendment(facts, UnixMicros(7)));
        for number in keys {
            amendment::sign(&mut signed, &key(*number));
        }
        amendment::bytes(&signed)
    }

    /// Hands it in, and follows it where the hub takes it.
    pub(crate) async fn amend(&mut self, by: &Desk, exact: Bytes) -> Result<u64, Status> {
        let request = AmendDirectoryRequest { entry: exact.clone() };
        let answer = DirectoryServiceClient::new(by.channel.clone()).amend_directory(request).await?;
        let trust = Trust::of(&self.policy.entries()[0]);
        self.policy = amendment::follow(trust, self.policy.clone(), &[exact]).expect("a step of the test");
        Ok(answer.into_inner().version)
    }

    async fn refused(&mut self, exact: Bytes) -> String {
        let operator = self.operator.clone();
        let status = self.amend(&operator, exact).await.expect_err("it is refused");
        crate::stage::told::Told::of(&status).reason
    }
}

/// A rotation of a key, signed with keys of these numbers.
fn rotation(replaces: [u8; 32], fact: Fact, keys: &[u8]) -> Bytes {
    let rotation = Rotation { replaces, made: UnixMicros(7), fact, handover: Bytes::new() };
    let mut signed = amendment::unsigned_rotation(rotation);
    for number in keys {
        amendment::sign(&mut signed, &key(*number));
    }
    amendment::bytes(&signed)
}

/// From which number the attended key of a desk of Honduras follows.
fn number_of(desk: &str) -> u8 {
    desk_number(&OFFICES.map(|(office, _)| office), HONDURAS, desk)
}

/// From which number the attended key of an office's first desk follows.
fn desk_number_of(office: &str) -> u8 {
    desk_number(&OFFICES.map(|(office, _)| office), office, "desk-1")
}

/// A desk of Honduras.
fn named(desk: &str) -> resguardo::model::identity::Desk {
    let (office, desk) =
        (HONDURAS.parse().expect("a step of the test"), desk.parse().expect("a step of the test"));
    resguardo::model::identity::Desk { office, desk }
}

/// What an entry holds that is an amendment.
fn signed_of(exact: &Bytes) -> Signed {
    let entry = DirectoryEntry::decode(exact.clone()).expect("a step of the test").entry;
    let Some(Entry::Amendment(signed)) = entry else { panic!("no amendment: {entry:?}") };
    Signed::decode(signed).expect("a step of the test")
}

fn an_amendment(signed: &Signed) -> Bytes {
    DirectoryEntry { entry: Some(Entry::Amendment(signed.encode_to_vec().into())) }.encode_to_vec().into()
}

fn kept_for(days: u32) -> Vec<Fact> {
    vec![Fact::Retention { days }]
}

#[tokio::test]
async fn forged_amendments_are_refused_each_for_its_reason_and_none_is_taken_in() {
    let mut exchange = Exchange::open().await;
    let whole = exchange.written(kept_for(7), &REGISTRARS);
    let one = exchange.written(kept_for(7), &REGISTRARS[..1]);
    let foreign = exchange.written(kept_for(7), &[REGISTRARS[0], 200]);
    let desks = exchange.written(kept_for(7), &[REGISTRARS[0], number_of("desk-1")]);
    let changed = {
        let other = signed_of(&exchange.written(kept_for(8), &[]));
        an_amendment(&Signed { statement: other.statement, ..signed_of(&whole) })
    };
    let half = {
        let mut signed = signed_of(&whole);
        signed.signatures[1].ed25519 = Bytes::new();
        an_amendment(&signed)
    };
    let unfounded = exchange.written(vec![Fact::Headquarters("nobody".parse().unwrap())], &REGISTRARS);
    for (exact, reason) in [
        (one, "SIGNATURE_MISSING"),
        (desks, "SIGNATURE_MISSING"),
        (foreign, "KEY_UNKNOWN"),
        (changed, "SIGNATURE_INVALID"),
        (half, "SIGNATURE_INVALID"),
        (unfounded, "FIELD_INVALID"),
        (Bytes::from_static(b"no amendment"), "MALFORMED"),
    ] {
        assert_eq!(exchange.refused(exact).await, reason);
    }
    let operator = exchange.operator.clone();
    assert_eq!(exchange.amend(&operator, whole.clone()).await.unwrap(), 2);
    // Whoever does not know whether it arrived hands it in again: it is answered, and written once.
    let again = AmendDirectoryRequest { entry: whole };
    let answer = DirectoryServiceClient::new(operator.channel.clone()).amend_directory(again).await.unwrap();
    assert_eq!(answer.into_inner().version, 2);
    let skipped = {
        let mut ahead = exchange.policy.next_amendment(kept_for(9), UnixMicros(7));
        ahead.number = ahead.number.next();
        let mut signed = amendment::unsigned(ahead);
        for number in REGISTRARS {
            amendment::sign(&mut signed, &key(number));
        }
        amendment::bytes(&signed)
    };
    assert_eq!(exchange.refused(skipped).await, "STALE_DIRECTORY");
    let rival = {
        let mut other = exchange.policy.next_amendment(kept_for(9), UnixMicros(7));
        other.previous = [7; 32];
        let mut signed = amendment::unsigned(other);
        for number in REGISTRARS {
            amendment::sign(&mut signed, &key(number));
        }
        amendment::bytes(&signed)
    };
    assert_eq!(exchange.refused(rival).await, "STALE_DIRECTORY");
    let entries = exchange.stage.auditor("iachr").await.entries_of(EntryKind::Directory).await;
    assert_eq!(entries.len(), 2, "what was refused at the door is no entry of the directory");
    let refusals = exchange.stage.auditor("iachr").await.entries_of(EntryKind::Refusal).await;
    assert!(!refusals.is_empty(), "an operator's attempts are kept");
}

/// New keys of a desk of Honduras, from a number.
fn new(number: u8) -> Fact {
    Fact::Desk {
        desk: named("desk-1"),
        keys: Box::new(DeskKeys {
            attended: key(number).verifying_key(),
            unattended: key(number + 1).verifying_key(),
            transfer: recipient(number),
        }),
    }
}

#[tokio::test]
async fn a_desk_hands_in_new_keys_that_it_signed_and_the_old_one_counts_no_more() {
    let mut exchange = Exchange::open().await;
    let desk = exchange.stage.desk(HONDURAS).await;
    let old = number_of("desk-1");
    let id = |number: u8| key(number).verifying_key().id().0;
    let alone = rotation(id(old), new(220), &[old]);
    assert_eq!(exchange.refused(alone).await, "SIGNATURE_MISSING");
    let other_desk = rotation(id(old), new(220), &[number_of("desk-2"), REGISTRARS[0]]);
    assert_eq!(exchange.refused(other_desk).await, "SIGNATURE_MISSING");
    let right = rotation(id(old), new(220), &[old, REGISTRARS[1]]);
    assert_eq!(exchange.amend(&desk, right).await.unwrap(), 2);
    let of_the_old = rotation(id(old), new(230), &[old, REGISTRARS[1]]);
    assert_eq!(exchange.refused(of_the_old).await, "STALE_DIRECTORY");
    let by_the_old = rotation(id(220), new(230), &[old, REGISTRARS[1]]);
    assert_eq!(exchange.refused(by_the_old).await, "KEY_UNKNOWN");
}

#[tokio::test]
async fn what_is_signed_with_a_key_that_was_replaced_is_taken_in_no_more() {
    let mut exchange = Exchange::open().await;
    let (desk, other) = (exchange.stage.desk(HONDURAS).await, exchange.stage.desk(IACHR).await);
    let (before, after) = (desk.draft(&[IACHR]), desk.draft(&[IACHR]));
    desk.send(&before).await;
    other.send(&other.draft(&[HONDURAS])).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(1).await;
    let by_both = exchange.written(vec![new(220)], &REGISTRARS);
    exchange.amend(&desk, by_both).await.unwrap();
    told(desk.publish_request(after.request()).await).expect_reason("STALE_DIRECTORY");
    let request = PublishRequest { envelope: after.signed_with(&key(220)), payload: after.payload.clone() };
    desk.publish_request(request).await.unwrap();
    let receipt = read(&desk.identity, statement::named(&came[0]));
    let by_the_old = subscription.state_bytes(vec![statement::bytes(&receipt)]).await;
    expect_item(&statement::refused(&by_the_old[0]), "STALE_DIRECTORY");
    let by_the_new = subscription.state_bytes(vec![signed_with(&receipt, &key(220))]).await;
    assert_eq!(statement::recorded(&by_the_new[0]).news, 1);
    told(erase(&desk, &order(&desk, &before)).await).expect_reason("STALE_DIRECTORY");
    // What was taken in before is answered as it was then.
    desk.publish_request(before.request()).await.unwrap();
}

#[tokio::test]
async fn offices_rotate_their_keys_while_an_amendment_travels() {
    let mut exchange = Exchange::open().await;
    let desk = exchange.stage.desk(HONDURAS).await;
    let attended = number_of("desk-1");
    let office_key =
        |number: u8| Fact::OfficeKey { office: HONDURAS.parse().unwrap(), recipient: recipient(number) };
    let id = |number: u8| sha256(&recipient(number).to_bytes());
    let first = rotation(id(9), office_key(9), &[attended]);
    assert_eq!(
        exchange.refused(first).await,
        "STALE_DIRECTORY",
        "it follows on a key that the office has not"
    );
    let by_both = exchange.written(vec![office_key(9)], &REGISTRARS);
    assert_eq!(exchange.amend(&desk, by_both).await.unwrap(), 2);
    let travelling = exchange.written(kept_for(30), &REGISTRARS);
    let foreign = rotation(id(9), office_key(200), &[desk_number_of(IACHR)]);
    assert_eq!(exchange.refused(foreign).await, "SIGNATURE_MISSING", "another office's desk");
    let unattended = rotation(id(9), office_key(200), &[attended + 100]);
    assert_eq!(exchange.refused(unattended).await, "KEY_UNKNOWN", "nobody was there");
    let next = rotation(id(9), office_key(200), &[attended]);
    assert_eq!(exchange.amend(&desk, next.clone()).await.unwrap(), 3);
    let again = AmendDirectoryRequest { entry: next };
    let answer = DirectoryServiceClient::new(desk.channel.clone()).amend_directory(again).await.unwrap();
    assert_eq!(answer.into_inner().version, 3, "it is answered, and written once");
    let rival = rotation(id(9), office_key(201), &[attended]);
    assert_eq!(exchange.refused(rival).await, "STALE_DIRECTORY", "that key is replaced");
    let operator = exchange.operator.clone();
    assert_eq!(exchange.amend(&operator, travelling).await.unwrap(), 4);
    exchange.stage.kill().await;
    exchange.stage.start().await;
    let told = exchange.stage.desk(IACHR).await.directory().await.unwrap();
    assert_eq!((told.version, told.entries.len()), (4, 4), "a restart knows what it knew");
    let request = DescribeDirectoryRequest { after_version: 4 };
    let channel = exchange.stage.desk(IACHR).await.channel;
    let after = DirectoryServiceClient::new(channel).describe_directory(request).await.unwrap().into_inner();
    assert_eq!(after.digest_after, exchange.policy.head().as_slice());
}

#[tokio::test]
async fn a_certificate_without_a_record_of_its_desk_gets_nothing() {
    let stage = Stage::open().await;
    let desk = Desk::connect(&stage, &format!("urn:resguardo:office:{HONDURAS}:desk-99")).await;
    let status = desk.directory().await.unwrap_err();
    assert_eq!(crate::stage::told::Told::of(&status).reason, "NOT_ENROLLED");
}

#[tokio::test]
async fn a_long_directory_is_told_in_parts_and_followed_to_its_end() {
    let mut exchange = Exchange::open().await;
    let operator = exchange.operator.clone();
    // Each with some hundred keys.
    let mut number = 0_u32;
    for round in 0..8 {
        let facts = (0..120).map(|desk| {
            number += 1;
            let next = |which: u8| {
                SigningKey::generate(|seeds| {
                    seeds.fill(which);
                    seeds[..4].copy_from_slice(&number.to_be_bytes());
                })
                .verifying_key()
            };
            let transfer = OpeningKey::generate(|seed| {
                seed.fill(255);
                seed[..4].copy_from_slice(&number.to_be_bytes());
            });
            Fact::Desk {
                desk: named(&format!("many-{round}-{desk}")),
                keys: Box::new(DeskKeys {
                    attended: next(254),
                    unattended: next(255),
                    transfer: transfer.recipient(),
                }),
            }
        });
        let exact = exchange.written(facts.collect(), &REGISTRARS);
        exchange.amend(&operator, exact).await.unwrap();
    }
    let mut client = DirectoryServiceClient::new(operator.channel.clone());
    let (mut told, mut answers) = (Vec::new(), 0);
    loop {
        let request = DescribeDirectoryRequest { after_version: told.len() as u64 };
        let answer = client.describe_directory(request).await.unwrap().into_inner();
        answers += 1;
        told.extend(answer.entries);
        if told.len() as u64 == answer.version {
            break;
        }
    }
    let expected: Vec<_> = exchange.policy.entries().iter().map(|it| amendment::bytes(it)).collect();
    assert_eq!(told, expected);
    assert!(answers >= 3, "{answers} answers for some MiB");
}
