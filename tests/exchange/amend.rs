//! Amendments of the directory, handed in over the line: what counts, what is refused and why, and that it is told whole.

use bytes::Bytes;
use prost::Message as _;
use resguardo::model::fact::{DeskKeys, Fact};
use resguardo::model::id::UnixMicros;
use resguardo::model::policy::Policy;
use resguardo::seal::{OpeningKey, SigningKey};
use resguardo::wire::amendment;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;
use resguardo::wire::proto::{AmendDirectoryRequest, DescribeDirectoryRequest, EntryKind, Signed};
use resguardo::wire::trust::Trust;
use tonic::Status;

use crate::stage::client::Desk;
use crate::stage::founding::{Founding, OFFICES, desk_number, key};
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR};

/// From which numbers the registrars' keys follow.
const REGISTRARS: [u8; 2] = [1, 2];

/// A hub with an operator, and the directory as somebody knows it who does not believe the hub.
struct Exchange {
    stage: Stage,
    operator: Desk,
    policy: Policy,
}

impl Exchange {
    async fn open() -> Self {
        let founding = Founding::default().with_operator("stage");
        let exact = founding.signed();
        let stage = Stage::open_with(Setup { founding, ..Setup::default() }).await;
        let operator = Desk::connect(&stage, "urn:resguardo:operator:stage").await;
        let trust = Trust::of(&amendment::read(&exact).expect("a step of the test"));
        // Signatures are other ones each time: what the hub has is the one that counts.
        let told = operator.directory().await.expect("a step of the test");
        let policy =
            amendment::follow(trust, Policy::default(), &told.amendments).expect("a step of the test");
        Self { stage, operator, policy }
    }

    fn written(&self, facts: Vec<Fact>, keys: &[u8]) -> Bytes {
        let mut signed = amendment::unsigned(self.policy.next_amendment(facts, UnixMicros(7)));
        for number in keys {
            amendment::sign(&mut signed, &key(*number));
        }
        amendment::bytes(&signed)
    }

    /// Hands it in, and follows it where the hub takes it.
    async fn amend(&mut self, by: &Desk, exact: Bytes) -> Result<u64, Status> {
        let request = AmendDirectoryRequest { amendment: exact.clone() };
        let answer = DirectoryServiceClient::new(by.channel.clone()).amend_directory(request).await?;
        let trust = Trust::of(&self.policy.amendments()[0]);
        self.policy = amendment::follow(trust, self.policy.clone(), &[exact]).expect("a step of the test");
        Ok(answer.into_inner().version)
    }

    async fn refused(&mut self, exact: Bytes) -> String {
        let operator = self.operator.clone();
        let status = self.amend(&operator, exact).await.expect_err("it is refused");
        crate::stage::told::Told::of(&status).reason
    }
}

/// From which number the attended key of a desk of Honduras follows.
fn number_of(desk: &str) -> u8 {
    desk_number(&OFFICES.map(|(office, _)| office), HONDURAS, desk)
}

/// A desk of Honduras.
fn named(desk: &str) -> resguardo::model::identity::Desk {
    let (office, desk) =
        (HONDURAS.parse().expect("a step of the test"), desk.parse().expect("a step of the test"));
    resguardo::model::identity::Desk { office, desk }
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
        let mut signed = Signed::decode(whole.clone()).unwrap();
        let other = Signed::decode(exchange.written(kept_for(8), &[])).unwrap();
        signed.statement = other.statement;
        signed.encode_to_vec().into()
    };
    let half = {
        let mut signed = Signed::decode(whole.clone()).unwrap();
        signed.signatures[1].ed25519 = Bytes::new();
        signed.encode_to_vec().into()
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
    let again = AmendDirectoryRequest { amendment: whole };
    let answer = DirectoryServiceClient::new(operator.channel.clone()).amend_directory(again).await.unwrap();
    assert_eq!(answer.into_inner().version, 2);
    let skipped = {
        let mut ahead = exchange.policy.next_amendment(kept_for(9), UnixMicros(7));
        ahead.version = ahead.version.next();
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

#[tokio::test]
async fn a_desk_hands_in_new_keys_that_it_signed_and_the_old_one_counts_no_more() {
    let mut exchange = Exchange::open().await;
    let desk = exchange.stage.desk(HONDURAS).await;
    let new = |number: u8| Fact::Desk {
        desk: named("desk-1"),
        keys: Box::new(DeskKeys {
            attended: key(number).verifying_key(),
            unattended: key(number + 1).verifying_key(),
        }),
    };
    let alone = exchange.written(vec![new(220)], &[number_of("desk-1")]);
    assert_eq!(exchange.refused(alone).await, "SIGNATURE_MISSING");
    let other_desk = exchange.written(vec![new(220)], &[number_of("desk-2"), REGISTRARS[0]]);
    assert_eq!(exchange.refused(other_desk).await, "SIGNATURE_MISSING");
    let right = exchange.written(vec![new(220)], &[number_of("desk-1"), REGISTRARS[1]]);
    assert_eq!(exchange.amend(&desk, right).await.unwrap(), 2);
    let by_the_old = exchange.written(vec![new(230)], &[number_of("desk-1"), REGISTRARS[1]]);
    assert_eq!(exchange.refused(by_the_old).await, "KEY_UNKNOWN");
    let recipient = OpeningKey::generate(|seed| seed.fill(9)).recipient();
    let first = vec![Fact::OfficeKey { office: HONDURAS.parse().unwrap(), recipient }];
    let by_a_desk = exchange.written(first.clone(), &[220]);
    assert_eq!(
        exchange.refused(by_a_desk).await,
        "SIGNATURE_MISSING",
        "the first is the registrars' to sign"
    );
    let by_both = exchange.written(first, &REGISTRARS);
    assert_eq!(exchange.amend(&desk, by_both).await.unwrap(), 3);
    let next = OpeningKey::generate(|seed| seed.fill(10)).recipient();
    let next = vec![Fact::OfficeKey { office: HONDURAS.parse().unwrap(), recipient: next }];
    let by_the_desk = exchange.written(next, &[220]);
    assert_eq!(exchange.amend(&desk, by_the_desk).await.unwrap(), 4);
    exchange.stage.kill().await;
    exchange.stage.start().await;
    let told = exchange.stage.desk(IACHR).await.directory().await.unwrap();
    assert_eq!((told.version, told.amendments.len()), (4, 4), "a restart knows what it knew");
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
            let mut next = || {
                number += 1;
                SigningKey::generate(|seeds| {
                    seeds.fill(255);
                    seeds[..4].copy_from_slice(&number.to_be_bytes());
                })
                .verifying_key()
            };
            Fact::Desk {
                desk: named(&format!("many-{round}-{desk}")),
                keys: Box::new(DeskKeys { attended: next(), unattended: next() }),
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
        told.extend(answer.amendments);
        if told.len() as u64 == answer.version {
            break;
        }
    }
    let expected: Vec<_> = exchange.policy.amendments().iter().map(|it| amendment::bytes(it)).collect();
    assert_eq!(told, expected);
    assert!(answers >= 3, "{answers} answers for some MiB");
}
