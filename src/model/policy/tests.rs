//! Amendments, held to their signatures; and a directory for the tests of other rooms.

use std::sync::Arc;

use super::Policy;
use crate::model::amendment::{Amendment, SignedAmendment};
use crate::model::fact::{DeskKeys, Fact};
use crate::model::id::{DirectoryVersion, UnixMicros};
use crate::model::identity::{Desk, Identity, Name};
use crate::model::refusal::Reason;
use crate::seal::{Kind, OpeningKey, Signature, SigningKey};

/// A key that follows from a number.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::generate(|seeds| seeds.fill(number))
}

/// The keys of the two registrars.
pub(crate) fn registrars() -> [SigningKey; 2] {
    [key(1), key(2)]
}

/// The two registrars, of these institutions.
pub(crate) fn registrar_facts(institutions: [Name; 2]) -> Vec<Fact> {
    let facts = institutions.into_iter().zip(registrars()).map(|(institution, key)| Fact::Registrar {
        name: institution.clone(),
        institution,
        key: key.verifying_key(),
    });
    facts.collect()
}

/// The keys of a desk, from a number.
pub(crate) fn desk_keys(number: u8) -> [SigningKey; 2] {
    [key(number), key(number + 100)]
}

/// A desk with the keys of a number.
pub(crate) fn desk_fact(desk: Desk, number: u8) -> Fact {
    let [attended, unattended] = desk_keys(number).map(|key| key.verifying_key());
    Fact::Desk { desk, keys: Box::new(DeskKeys { attended, unattended }) }
}

/// Facts as the next amendment of a directory, signed with these keys. What is signed is no message of the protocol.
pub(crate) fn signed(policy: &Policy, facts: Vec<Fact>, keys: &[SigningKey]) -> Arc<SignedAmendment> {
    Arc::new(with_signatures(policy.next_amendment(facts, UnixMicros(1)), keys))
}

fn with_signatures(amendment: Amendment, keys: &[SigningKey]) -> SignedAmendment {
    let statement = format!("{amendment:?}").into_bytes();
    let sign = |key: &SigningKey| (key.verifying_key().id(), key.sign(Kind::DirectoryEntry, &statement));
    let signatures = keys.iter().map(sign).collect();
    SignedAmendment { amendment, statement: statement.into(), signatures }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn desk(office: &str) -> Desk {
    Desk { office: name(office), desk: name("desk-1") }
}

fn recipient(number: u8) -> crate::seal::Recipient {
    OpeningKey::generate(|seed| seed.fill(number)).recipient()
}

/// Two institutions, an office of each with a desk and a key.
fn founding() -> Vec<Fact> {
    let mut facts = vec![Fact::Institution(name("a")), Fact::Institution(name("b"))];
    facts.extend(registrar_facts([name("a"), name("b")]));
    for (institution, office, number) in [("a", "one", 11), ("b", "two", 12)] {
        facts.push(Fact::Office { name: name(office), institution: name(institution) });
        facts.push(desk_fact(desk(office), number));
        facts.push(Fact::OfficeKey { office: name(office), recipient: recipient(number) });
    }
    facts
}

fn founded() -> Policy {
    let mut policy = Policy::default();
    policy.amend(&signed(&policy, founding(), &registrars())).unwrap();
    policy
}

fn refused(policy: &mut Policy, amendment: &Arc<SignedAmendment>) -> Reason {
    let before = policy.clone();
    let refusal = policy.amend(amendment).unwrap_err();
    assert_eq!(*policy, before, "nothing of it was taken in");
    refusal.reason
}

#[test]
fn what_registrars_of_both_institutions_signed_is_taken_in() {
    let mut policy = founded();
    assert_eq!(policy.version(), DirectoryVersion(1));
    let office = Fact::Office { name: name("three"), institution: name("b") };
    let amendment = signed(&policy, vec![office, desk_fact(desk("three"), 13)], &registrars());
    policy.amend(&amendment).unwrap();
    assert_eq!((policy.version(), policy.head()), (DirectoryVersion(2), amendment.digest()));
    assert!(policy.admit(&Identity::Desk(desk("three"))).is_ok());
}

#[test]
fn founding_is_signed_by_every_registrar_that_it_names_and_by_two_institutions() {
    let [one, two] = registrars();
    let mut policy = Policy::default();
    let by_one = signed(&policy, founding(), &[one]);
    assert_eq!(refused(&mut policy, &by_one), Reason::SignatureMissing);
    let by_another = signed(&policy, founding(), &[two, key(9)]);
    assert_eq!(refused(&mut policy, &by_another), Reason::KeyUnknown);
    let mut alone = founding();
    alone.retain(|fact| !matches!(fact, Fact::Registrar { name, .. } if name.as_str() == "b"));
    let [one, _] = registrars();
    let alone = signed(&policy, alone, &[one]);
    assert_eq!(refused(&mut policy, &alone), Reason::SignatureMissing);
}

#[test]
fn amendment_that_lacks_a_registrar_or_names_a_foreign_key_is_refused() {
    let mut policy = founded();
    let [one, _] = registrars();
    let office = || vec![Fact::Office { name: name("three"), institution: name("a") }];
    let by_one = signed(&policy, office(), &[one]);
    assert_eq!(refused(&mut policy, &by_one), Reason::SignatureMissing);
    let [one, again] = [key(1), key(1)];
    let twice = signed(&policy, office(), &[one, again]);
    assert_eq!(refused(&mut policy, &twice), Reason::SignatureMissing, "one registrar signed twice");
    let by_nobody = signed(&policy, office(), &[]);
    assert_eq!(refused(&mut policy, &by_nobody), Reason::SignatureMissing);
    let [one, _] = registrars();
    let foreign = signed(&policy, office(), &[one, key(77)]);
    assert_eq!(refused(&mut policy, &foreign), Reason::KeyUnknown);
    let [one, _] = registrars();
    let by_a_desk = signed(&policy, office(), &[one, key(12)]);
    assert_eq!(refused(&mut policy, &by_a_desk), Reason::SignatureMissing, "a desk is no registrar");
}

#[test]
fn signature_of_other_bytes_or_of_one_algorithm_alone_is_refused() {
    let mut policy = founded();
    let facts = vec![Fact::Retention { days: 7 }];
    let right = signed(&policy, facts, &registrars());
    let [one, _] = registrars();
    let elsewhere = one.sign(Kind::Envelope, &right.statement);
    let (id, signature) = &right.signatures[0];
    let mixed = Signature::from_parts(elsewhere.ed25519(), signature.ml_dsa_44()).unwrap();
    let other_half = Signature::from_parts(signature.ed25519(), elsewhere.ml_dsa_44()).unwrap();
    for wrong in [elsewhere, mixed, other_half] {
        let mut forged = SignedAmendment::clone(&right);
        forged.signatures[0] = (*id, wrong);
        assert_eq!(refused(&mut policy, &Arc::new(forged)), Reason::SignatureInvalid);
    }
    let mut changed = SignedAmendment::clone(&right);
    changed.statement = [&right.statement[..], b" "].concat().into();
    assert_eq!(refused(&mut policy, &Arc::new(changed)), Reason::SignatureInvalid);
    policy.amend(&right).unwrap();
}

#[test]
fn amendment_out_of_its_order_is_refused() {
    let mut policy = founded();
    let early = policy.clone();
    let first = signed(&policy, vec![Fact::Retention { days: 7 }], &registrars());
    let rival = signed(&policy, vec![Fact::Retention { days: 8 }], &registrars());
    policy.amend(&first).unwrap();
    assert_eq!(refused(&mut policy, &first), Reason::DirectoryStale, "again");
    assert_eq!(refused(&mut policy, &rival), Reason::DirectoryStale, "another for the same version");
    let mut other = early;
    other.amend(&rival).unwrap();
    let on_another = signed(&other, vec![Fact::Retention { days: 9 }], &registrars());
    assert_eq!(refused(&mut policy, &on_another), Reason::DirectoryStale, "it follows another history");
}

#[test]
fn new_keys_of_a_desk_need_its_present_one_and_a_registrar_or_both() {
    let new = || vec![desk_fact(desk("one"), 21)];
    let [one, two] = registrars();
    for (keys, reason) in [
        (vec![key(11)], Some(Reason::SignatureMissing)),
        (vec![one], Some(Reason::SignatureMissing)),
        (vec![key(12), key(2)], Some(Reason::SignatureMissing)),
        (vec![key(111), key(1)], Some(Reason::KeyUnknown)),
        (vec![key(11), two], None),
        (vec![key(1), key(2)], None),
    ] {
        let mut policy = founded();
        let amendment = signed(&policy, new(), &keys);
        match reason {
            Some(reason) => assert_eq!(refused(&mut policy, &amendment), reason),
            None => policy.amend(&amendment).unwrap(),
        }
    }
    let mut policy = founded();
    policy.amend(&signed(&policy, new(), &registrars())).unwrap();
    let by_the_old = signed(&policy, vec![desk_fact(desk("one"), 31)], &[key(11), key(1)]);
    assert_eq!(refused(&mut policy, &by_the_old), Reason::KeyUnknown, "the old key speaks for nobody");
}

#[test]
fn new_key_of_an_office_needs_one_of_its_desks_that_still_counts() {
    let new = |number| vec![Fact::OfficeKey { office: name("one"), recipient: recipient(number) }];
    let mut policy = founded();
    let foreign = signed(&policy, new(21), &[key(12)]);
    assert_eq!(refused(&mut policy, &foreign), Reason::SignatureMissing);
    let unattended = signed(&policy, new(21), &[key(111)]);
    assert_eq!(refused(&mut policy, &unattended), Reason::KeyUnknown, "nobody was there");
    policy.amend(&signed(&policy, new(21), &[key(11)])).unwrap();
    let beside = [new(22), vec![Fact::Retention { days: 1 }]].concat();
    let beside = signed(&policy, beside, &[key(11)]);
    assert_eq!(refused(&mut policy, &beside), Reason::SignatureMissing, "nothing goes in with it");
    let revoked = vec![Fact::DeskRevoked { desk: desk("one"), reason: "stolen".into() }];
    policy.amend(&signed(&policy, revoked, &registrars())).unwrap();
    let by_the_thief = signed(&policy, new(23), &[key(11)]);
    assert_eq!(refused(&mut policy, &by_the_thief), Reason::KeyUnknown);
}

#[test]
fn facts_that_do_not_follow_take_the_whole_amendment_with_them() {
    let mut policy = founded();
    let used = desk_fact(Desk { office: name("one"), desk: name("desk-2") }, 12);
    let nobody = desk_fact(desk("nobody"), 44);
    let again = desk_fact(desk("one"), 45);
    let unknown =
        Fact::DeskRevoked { desk: Desk { office: name("one"), desk: name("x") }, reason: "x".into() };
    let key_again = Fact::OfficeKey { office: name("two"), recipient: recipient(11) };
    for wrong in [used, nobody, unknown, key_again] {
        let facts = vec![Fact::Retention { days: 5 }, wrong];
        let amendment = signed(&policy, facts, &registrars());
        assert_eq!(refused(&mut policy, &amendment), Reason::FieldInvalid);
    }
    let revoked = vec![Fact::DeskRevoked { desk: desk("one"), reason: "stolen".into() }];
    policy.amend(&signed(&policy, revoked, &registrars())).unwrap();
    let amendment = signed(&policy, vec![again], &registrars());
    assert_eq!(refused(&mut policy, &amendment), Reason::FieldInvalid, "its name is never used again");
    let empty = signed(&policy, Vec::new(), &registrars());
    assert_eq!(refused(&mut policy, &empty), Reason::FieldInvalid);
}

#[test]
fn founding_lacks_the_word_of_a_third_registrar_that_it_names() {
    let mut policy = Policy::default();
    let third = Fact::Registrar { name: name("c"), institution: name("a"), key: key(3).verifying_key() };
    let facts = [founding(), vec![third]].concat();
    let by_two = signed(&policy, facts.clone(), &registrars());
    assert_eq!(refused(&mut policy, &by_two), Reason::SignatureMissing);
    let by_all = signed(&policy, facts, &[key(1), key(2), key(3)]);
    policy.amend(&by_all).unwrap();
}

#[test]
fn key_that_was_replaced_never_comes_back() {
    let mut policy = founded();
    policy.amend(&signed(&policy, vec![desk_fact(desk("one"), 21)], &registrars())).unwrap();
    for of in ["one", "two"] {
        let back = signed(&policy, vec![desk_fact(desk(of), 11)], &registrars());
        assert_eq!(refused(&mut policy, &back), Reason::FieldInvalid, "{of}");
    }
    let next = |number| vec![Fact::OfficeKey { office: name("one"), recipient: recipient(number) }];
    policy.amend(&signed(&policy, next(31), &[key(21)])).unwrap();
    let back = signed(&policy, next(11), &[key(21)]);
    assert_eq!(refused(&mut policy, &back), Reason::FieldInvalid);
}
