//! Forgeries by a hub and all its witnesses together: the tree, its checkpoints and all cosignatures are made anew, so that only
//! what offices and registrars signed stands in the way.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::sample::{
    MESSAGE, NOW, Sample, at, covered, desk, elsewhere, envelope, keys, name, persons, publish, receipt,
};
use crate::evidence::{EvidenceError as E, verify};
use crate::model::entry::Entry;
use crate::model::envelope::CapStatus;
use crate::model::fact::Fact;
use crate::model::id::{DirectoryVersion, Index};
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::Policy;
use crate::model::policy::tests::registrars;
use crate::model::receipt::{Action, Receipt, Stage};
use crate::model::refusal::Reason;
use crate::wire::signed::SignedEnvelope;
use crate::wire::{amendment, convert, proto};

type Refused = fn(&E) -> bool;
type Remaking = fn(&mut Sample);

fn message_of(sample: &mut Sample) -> Entry {
    sample.at(MESSAGE).clone()
}

/// Changes what is signed of a receipt or an envelope, and leaves the signatures. An envelope's `Signed` has fewer fields.
fn resaid<M: prost::Message + Default>(entry: &mut Entry, change: impl FnOnce(&mut M)) {
    let mut signed = proto::SignedReceipt::decode(entry.statement.clone()).unwrap();
    let mut said = M::decode(signed.statement.clone()).unwrap();
    change(&mut said);
    signed.statement = said.encode_to_vec().into();
    entry.statement = signed.encode_to_vec().into();
}

fn signatures(entry: &mut Entry, change: impl FnOnce(&mut Vec<proto::Signature>)) {
    let mut signed = proto::SignedReceipt::decode(entry.statement.clone()).unwrap();
    change(&mut signed.signatures);
    entry.statement = signed.encode_to_vec().into();
}

fn refused(error: &E, at: u64, because: Reason) -> bool {
    matches!(error, E::Statement { index, refusal } if *index == at && refusal.reason == because)
}

const BY_HUB_AND_WITNESSES: &[(&str, Remaking, Refused)] = &[
    (
        "another recipient",
        |it| resaid(it.at(MESSAGE), |it: &mut proto::Envelope| it.priority = 3),
        |e| refused(e, 2, Reason::SignatureInvalid),
    ),
    (
        "a message signed by who must not",
        |it| {
            let signed = SignedEnvelope::by(
                &keys("ohchr-honduras")[1],
                envelope(2, "ohchr-honduras", &["iachr", "ohchr-mexico"]),
            );
            it.at(MESSAGE).statement = signed.signed.to_bytes();
        },
        |e| refused(e, 2, Reason::KeyNotAllowed),
    ),
    (
        "a message in another office's name",
        |it| {
            let signed = SignedEnvelope::by(
                &keys("iachr")[0],
                envelope(2, "ohchr-honduras", &["iachr", "ohchr-mexico"]),
            );
            it.at(MESSAGE).statement = signed.signed.to_bytes();
        },
        |e| refused(e, 2, Reason::KeyUnknown),
    ),
    (
        "one signature of two missing",
        |it| signatures(it.at(Index(5)), |it| it[0].ml_dsa_44 = Bytes::new()),
        |e| refused(e, 5, Reason::SignatureInvalid),
    ),
    (
        "no signature",
        |it| signatures(it.at(Index(5)), Vec::clear),
        |e| refused(e, 5, Reason::SignatureMissing),
    ),
    (
        "two signatures",
        |it| signatures(it.at(Index(5)), |it| it.push(it[0].clone())),
        |e| refused(e, 5, Reason::SignatureMissing),
    ),
    (
        "half a signature of another",
        |it| {
            let other = proto::SignedReceipt::decode(it.at(Index(4)).statement.clone()).unwrap().signatures
                [0]
            .ed25519
            .clone();
            signatures(it.at(Index(5)), |it| it[0].ed25519 = other);
        },
        |e| refused(e, 5, Reason::SignatureInvalid),
    ),
    (
        "a stage raised",
        |it| {
            resaid(it.at(Index(6)), |it: &mut proto::Receipt| {
                (it.stage, it.action) = (Stage::Acted as i32, Action::AskedState as i32);
            });
        },
        |e| refused(e, 6, Reason::SignatureInvalid),
    ),
    (
        "a person's stage by the machine's key",
        |it| {
            let about = covered(&message_of(it));
            let (read, note) = persons(6, Stage::Read, None, about);
            *it.at(Index(6)) = receipt(6, read, &keys("iachr")[1]);
            it.notes[0] = note;
        },
        |e| refused(e, 6, Reason::KeyNotAllowed),
    ),
    (
        "another message's receipt",
        |it| {
            let other = covered(&it.entries[1].clone());
            let (mut entry, own) = (
                receipt(
                    5,
                    Receipt::received(desk("ohchr-mexico"), vec![other], at(5)),
                    &keys("ohchr-mexico")[1],
                ),
                covered(&message_of(it)),
            );
            let mut signed = proto::SignedReceipt::decode(entry.statement.clone()).unwrap();
            signed.messages[0].index = own.index.0;
            entry.statement = signed.encode_to_vec().into();
            *it.at(Index(5)) = entry;
        },
        |e| refused(e, 5, Reason::FieldInvalid),
    ),
    (
        "a receipt of another envelope with this id",
        |it| {
            let mut own = covered(&message_of(it));
            own.digest[0] ^= 1;
            *it.at(Index(5)) = receipt(
                5,
                Receipt::received(desk("ohchr-mexico"), vec![own], at(5)),
                &keys("ohchr-mexico")[1],
            );
        },
        |e| refused(e, 5, Reason::FieldInvalid),
    ),
    (
        "a receipt of who it was not for",
        |it| {
            let own = covered(&message_of(it));
            *it.at(Index(5)) = receipt(
                5,
                Receipt::received(desk("ohchr-honduras"), vec![own], at(5)),
                &keys("ohchr-honduras")[1],
            );
        },
        |e| matches!(e, E::NotRecipient { index: 5, .. }),
    ),
    (
        "a receipt answered for by another",
        |it| it.at(Index(5)).identity = desk("iachr").to_string(),
        |e| matches!(e, E::Identity { index: 5, .. }),
    ),
    (
        "a message answered for by another",
        |it| it.at(MESSAGE).identity = desk("iachr").to_string(),
        |e| matches!(e, E::Identity { index: 2, .. }),
    ),
    (
        "a time before the one before",
        |it| it.at(Index(6)).time = NOW,
        |e| matches!(e, E::Time { index: 6, .. }),
    ),
    (
        "a deadline missed of another message",
        |it| {
            let id = covered(&it.entries[1].clone()).message_id;
            let missed =
                Missed::Stage { message: elsewhere(id), stage: Stage::Read, status: CapStatus::Actual };
            let overdue = Overdue { office: name("ohchr-mexico"), due: NOW, missed };
            it.at(Index(8)).statement = convert::overdue_bytes(&overdue);
        },
        |e| matches!(e, E::OtherMessage { index: 8 }),
    ),
    (
        "a deadline that an office says was missed",
        |it| it.at(Index(8)).identity = desk("iachr").to_string(),
        |e| matches!(e, E::Identity { index: 8, .. }),
    ),
    (
        "an erasure that nobody ordered",
        |it| {
            let statement = it.at(Index(9)).statement.clone();
            let mut erasure = proto::Erasure::decode(statement).unwrap();
            let Some(proto::erasure::Erasure::Ordered(order)) = &mut erasure.erasure else { panic!() };
            let mut signed = proto::Signed::decode(order.order.clone()).unwrap();
            signed.signatures[0].ed25519 = vec![1; 64].into();
            order.order = signed.encode_to_vec().into();
            it.at(Index(9)).statement = erasure.encode_to_vec().into();
        },
        |e| refused(e, 9, Reason::SignatureInvalid),
    ),
    (
        "a receipt of a desk that was taken back",
        |it| {
            // Long after: what was on its way when the desk was revoked has come.
            let mut policy = Policy::default();
            let founding = amendment::read(&it.entries[0].statement).unwrap();
            policy.amend(&Arc::new(founding)).unwrap();
            let facts = vec![Fact::DeskRevoked { desk: desk("ohchr-mexico"), reason: "stolen".into() }];
            let revoked = amendment::tests::signed(&policy, facts, &registrars());
            // It bears no witness any more.
            it.witnesses = 2;
            it.at(Index(3)).statement = amendment::bytes(&revoked);
            for entry in &mut it.entries[4..] {
                entry.time.0 += 60_000_000;
            }
        },
        |e| refused(e, 5, Reason::DirectoryStale),
    ),
    (
        "a revocation that one registrar signed",
        |it| {
            let mut policy = Policy::default();
            policy.amend(&Arc::new(amendment::read(&it.entries[0].statement).unwrap())).unwrap();
            let facts = vec![Fact::DeskRevoked { desk: desk("iachr"), reason: "stolen".into() }];
            it.at(Index(3)).statement =
                amendment::bytes(&amendment::tests::signed(&policy, facts, &registrars()[..1]));
        },
        |e| matches!(e, E::Directory { index: 3, refusal } if refusal.reason == Reason::SignatureMissing),
    ),
    (
        "the directory that the message names withheld",
        |it| {
            let mut envelope = envelope(2, "ohchr-honduras", &["iachr", "ohchr-mexico"]);
            envelope.directory_version = DirectoryVersion(3);
            *it.at(MESSAGE) = publish(MESSAGE, envelope);
        },
        |e| matches!(e, E::DirectoryBehind { found: 3, here: 1 }),
    ),
    (
        "a note that the desk did not seal",
        |it| {
            let about = covered(&message_of(it));
            let (read, note) = persons(6, Stage::Read, None, about);
            // The office's other stage, under this receipt.
            let (other, _) = persons(6, Stage::Declined, None, about);
            let swapped = Receipt { note_digest: read.note_digest, ..other };
            *it.at(Index(6)) = receipt(6, swapped, &keys("iachr")[0]);
            it.notes[0] = note;
        },
        |e| matches!(e, E::NoteInside { index: 6, .. }),
    ),
];

#[test]
fn a_hub_and_all_its_witnesses_cannot_say_what_offices_and_registrars_did_not_sign() {
    let mut wrong = Vec::new();
    for (what, remake, expected) in BY_HUB_AND_WITNESSES {
        let mut sample = Sample::new();
        let trust = sample.trust();
        remake(&mut sample);
        match verify(&sample.evidence().to_bytes(), trust) {
            Err(error) if expected(&error) => {}
            other => wrong.push(format!("{what}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_on_its_way_when_a_key_was_replaced_still_counts() {
    let mut sample = Sample::new();
    let mut policy = Policy::default();
    policy.amend(&Arc::new(amendment::read(&sample.entries[0].statement).unwrap())).unwrap();
    let facts = vec![Fact::DeskRevoked { desk: desk("ohchr-mexico"), reason: "stolen".into() }];
    sample.at(Index(3)).statement =
        amendment::bytes(&amendment::tests::signed(&policy, facts, &registrars()));
    // The founding is old by then.
    for entry in &mut sample.entries[1..] {
        entry.time.0 += 60_000_000;
    }
    sample.witnesses = 2;
    let trust = sample.trust();
    let proved = verify(&sample.evidence().to_bytes(), trust).unwrap();
    assert_eq!(proved.statements.len(), 4);
}
