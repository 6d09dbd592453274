//! Amendments, held to their signatures; and a directory for the tests of other rooms.

use std::sync::Arc;

use bytes::Bytes;

use super::{Policy, Role};
use crate::model::amendment::{Amendment, DirectoryEntry, HANDOVER_BYTES_MAX, Rotation, SignedEntry};
use crate::model::fact::{DeskKeys, Fact, QUORUM_MAX};
use crate::model::id::{AmendmentNumber, DirectoryVersion, UnixMicros};
use crate::model::identity::{Desk, Identity, Name};
use crate::model::refusal::Reason;
use crate::seal::{Kind, OpeningKey, Signature, SigningKey, sha256};

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
    let transfer = recipient(number + 128);
    Fact::Desk { desk, keys: Box::new(DeskKeys { attended, unattended, transfer }) }
}

/// Facts as the next amendment of a directory, signed with these keys. What is signed is no message of the protocol.
pub(crate) fn signed(policy: &Policy, facts: Vec<Fact>, keys: &[SigningKey]) -> Arc<SignedEntry> {
    Arc::new(with_signatures(DirectoryEntry::Amendment(policy.next_amendment(facts, UnixMicros(1))), keys))
}

/// A rotation of a key, signed with these keys.
pub(crate) fn rotation(replaces: [u8; 32], fact: Fact, keys: &[SigningKey]) -> Arc<SignedEntry> {
    let rotation = Rotation { replaces, made: UnixMicros(1), fact, handover: Bytes::new() };
    Arc::new(with_signatures(DirectoryEntry::Rotation(rotation), keys))
}

fn with_signatures(entry: DirectoryEntry, keys: &[SigningKey]) -> SignedEntry {
    let statement = format!("{entry:?}").into_bytes();
    let sign = |key: &SigningKey| (key.verifying_key().id(), key.sign(entry.kind(), &statement));
    let signatures = keys.iter().map(sign).collect();
    SignedEntry { entry, statement: statement.into(), signatures }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// The desk of an office.
pub(super) fn desk(office: &str) -> Desk {
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

/// What such a founding gives.
pub(super) fn founded() -> Policy {
    let mut policy = Policy::default();
    policy.amend(&signed(&policy, founding(), &registrars())).unwrap();
    policy
}

fn refused(policy: &mut Policy, amendment: &Arc<SignedEntry>) -> Reason {
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
    assert_eq!(policy.version(), DirectoryVersion(2));
    let founded = policy.head_at(DirectoryVersion(1)).unwrap();
    assert_eq!(policy.head(), amendment.head_after(&founded));
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
        let mut forged = SignedEntry::clone(&right);
        forged.signatures[0] = (*id, wrong);
        assert_eq!(refused(&mut policy, &Arc::new(forged)), Reason::SignatureInvalid);
    }
    let mut changed = SignedEntry::clone(&right);
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
    let amendment = policy.next_amendment(vec![Fact::Retention { days: 9 }], UnixMicros(1));
    let skipping = Amendment { number: AmendmentNumber(9), ..amendment };
    let skipping = Arc::new(with_signatures(DirectoryEntry::Amendment(skipping), &registrars()));
    assert_eq!(refused(&mut policy, &skipping), Reason::DirectoryStale, "its number is not the next");
}

#[test]
fn registrar_signs_with_the_present_key_alone_and_stays_of_one_institution() {
    let mut policy = founded();
    let registrar = |institution, number| {
        let (name, institution) = (name("a"), name(institution));
        vec![Fact::Registrar { name, institution, key: key(number).verifying_key() }]
    };
    let moved = signed(&policy, registrar("b", 3), &registrars());
    assert_eq!(refused(&mut policy, &moved), Reason::FieldInvalid, "it is of another institution");
    policy.amend(&signed(&policy, registrar("a", 3), &registrars())).unwrap();
    let by = |policy: &Policy, keys: &[SigningKey]| signed(policy, vec![Fact::Retention { days: 7 }], keys);
    let by_the_old = by(&policy, &registrars());
    assert_eq!(refused(&mut policy, &by_the_old), Reason::KeyUnknown);
    policy.amend(&by(&policy, &[key(3), key(2)])).unwrap();
}

/// The id of the key of a number, as a desk's attended one.
fn id(number: u8) -> [u8; 32] {
    key(number).verifying_key().id().0
}

fn recipient_id(number: u8) -> [u8; 32] {
    sha256(&recipient(number).to_bytes())
}

/// The next key of office one, by a rotation.
fn next_key(replaces: u8, number: u8, keys: &[SigningKey]) -> Arc<SignedEntry> {
    let fact = Fact::OfficeKey { office: name("one"), recipient: recipient(number) };
    rotation(recipient_id(replaces), fact, keys)
}

#[test]
fn new_keys_of_a_desk_need_its_present_one_and_a_registrar() {
    let new = |keys: &[SigningKey]| rotation(id(11), desk_fact(desk("one"), 21), keys);
    let [one, two] = registrars();
    for (keys, reason) in [
        (vec![key(11)], Some(Reason::SignatureMissing)),
        (vec![one], Some(Reason::SignatureMissing)),
        (vec![key(1), key(2)], Some(Reason::SignatureMissing)),
        (vec![key(12), key(2)], Some(Reason::SignatureMissing)),
        (vec![key(111), key(1)], Some(Reason::KeyUnknown)),
        (vec![key(11), two], None),
    ] {
        let mut policy = founded();
        match reason {
            Some(reason) => assert_eq!(refused(&mut policy, &new(&keys)), reason),
            None => policy.amend(&new(&keys)).unwrap(),
        }
    }
    let mut policy = founded();
    let by_the_desk = signed(&policy, vec![desk_fact(desk("one"), 21)], &[key(11), key(1)]);
    assert_eq!(refused(&mut policy, &by_the_desk), Reason::SignatureMissing, "an amendment is registrars'");
    policy.amend(&signed(&policy, vec![desk_fact(desk("one"), 21)], &registrars())).unwrap();
    let by_the_old = rotation(id(11), desk_fact(desk("one"), 31), &[key(11), key(1)]);
    assert_eq!(refused(&mut policy, &by_the_old), Reason::DirectoryStale);
    let by_the_old = rotation(id(21), desk_fact(desk("one"), 31), &[key(11), key(1)]);
    assert_eq!(refused(&mut policy, &by_the_old), Reason::KeyUnknown, "the old key speaks for nobody");
}

#[test]
fn new_key_of_an_office_needs_one_of_its_desks_that_still_counts() {
    let mut policy = founded();
    let foreign = next_key(11, 21, &[key(12)]);
    assert_eq!(refused(&mut policy, &foreign), Reason::SignatureMissing, "another office's desk");
    let unattended = next_key(11, 21, &[key(111)]);
    assert_eq!(refused(&mut policy, &unattended), Reason::KeyUnknown, "nobody was there");
    assert_eq!(refused(&mut policy, &next_key(11, 21, &registrars())), Reason::SignatureMissing);
    assert_eq!(refused(&mut policy, &next_key(11, 21, &[])), Reason::SignatureMissing);
    let elsewhere = {
        let mut other = SignedEntry::clone(&next_key(11, 21, &[]));
        let signature = key(11).sign(Kind::DirectoryEntry, &other.statement);
        other.signatures.push((key(11).verifying_key().id(), signature));
        Arc::new(other)
    };
    assert_eq!(refused(&mut policy, &elsewhere), Reason::SignatureInvalid, "signed as something else");
    let first = next_key(11, 21, &[key(11)]);
    policy.amend(&first).unwrap();
    assert!(policy.holds(&first));
    assert_eq!(refused(&mut policy, &first), Reason::DirectoryStale, "again");
    let rival = next_key(11, 22, &[key(11)]);
    assert_eq!(refused(&mut policy, &rival), Reason::DirectoryStale, "it replaces what is replaced");
    let beside = rotation(recipient_id(21), Fact::Retention { days: 1 }, &[key(11)]);
    assert_eq!(refused(&mut policy, &beside), Reason::FieldInvalid, "nothing else is rotated");
    let third =
        vec![Fact::Office { name: name("three"), institution: name("a") }, desk_fact(desk("three"), 13)];
    policy.amend(&signed(&policy, third, &registrars())).unwrap();
    let fact = Fact::OfficeKey { office: name("three"), recipient: recipient(13) };
    let its_first = rotation([0; 32], fact, &[key(13)]);
    assert_eq!(
        refused(&mut policy, &its_first),
        Reason::FieldInvalid,
        "the first is the registrars' to sign"
    );
    let revoked = vec![Fact::DeskRevoked { desk: desk("one"), reason: "stolen".into() }];
    policy.amend(&signed(&policy, revoked, &registrars())).unwrap();
    let by_the_thief = next_key(21, 23, &[key(11)]);
    assert_eq!(refused(&mut policy, &by_the_thief), Reason::KeyUnknown);
}

#[test]
fn desk_alone_signs_its_next_transfer_key() {
    let mut policy = founded();
    let next = |number, keys: &[SigningKey]| {
        let fact = Fact::TransferKey { desk: desk("one"), recipient: recipient(number) };
        rotation(recipient_id(11 + 128), fact, keys)
    };
    assert_eq!(refused(&mut policy, &next(61, &[key(12)])), Reason::SignatureMissing);
    policy.amend(&next(61, &[key(11)])).unwrap();
    assert_eq!(policy.desks()[&desk("one")].transfer, recipient(61));
    assert_eq!(refused(&mut policy, &next(62, &[key(11)])), Reason::DirectoryStale);
}

#[test]
fn amendment_that_was_signed_before_a_rotation_is_taken_after_it() {
    let mut policy = founded();
    let travelling = signed(&policy, vec![Fact::Retention { days: 7 }], &registrars());
    policy.amend(&next_key(11, 21, &[key(11)])).unwrap();
    policy.amend(&travelling).unwrap();
    assert_eq!((policy.version(), policy.amendments()), (DirectoryVersion(3), AmendmentNumber(2)));
    // A home that was never online knows the amendments alone, and what it writes follows all the same.
    let mut offline = founded();
    offline.amend(&travelling).unwrap();
    let written = signed(&offline, vec![Fact::Retention { days: 8 }], &registrars());
    policy.amend(&written).unwrap();
    assert_eq!(policy.retention_days(), 8);
}

#[test]
fn entries_in_another_order_are_another_directory() {
    let [mut one, mut other] = [founded(), founded()];
    let amendment = signed(&one, vec![Fact::Retention { days: 7 }], &registrars());
    let rotation = next_key(11, 21, &[key(11)]);
    for (policy, entries) in [(&mut one, [&amendment, &rotation]), (&mut other, [&rotation, &amendment])] {
        for entry in entries {
            policy.amend(entry).unwrap();
        }
    }
    // What comes last is the same in both, and the digest is over all.
    let last = next_key(21, 31, &[key(11)]);
    one.amend(&last).unwrap();
    other.amend(&last).unwrap();
    assert_eq!(one.version(), other.version());
    assert_ne!(one.head(), other.head());
    assert_eq!(one.head_at(DirectoryVersion(1)), other.head_at(DirectoryVersion(1)));
}

#[test]
fn handover_goes_with_a_key_of_an_office_alone_and_is_bounded() {
    let mut policy = founded();
    let carrying = |fact: Fact, replaces, bytes| {
        let handover = Bytes::from(vec![0; bytes]);
        let rotation = Rotation { replaces, made: UnixMicros(1), fact, handover };
        Arc::new(with_signatures(DirectoryEntry::Rotation(rotation), &[key(11), key(1)]))
    };
    let office = || Fact::OfficeKey { office: name("one"), recipient: recipient(21) };
    let large = carrying(office(), recipient_id(11), HANDOVER_BYTES_MAX + 1);
    assert_eq!(refused(&mut policy, &large), Reason::FieldInvalid);
    let desk = carrying(desk_fact(desk("one"), 21), id(11), 1);
    assert_eq!(refused(&mut policy, &desk), Reason::FieldInvalid);
    policy.amend(&carrying(office(), recipient_id(11), HANDOVER_BYTES_MAX)).unwrap();
}

#[test]
fn quorum_is_more_than_half_the_offices_until_something_is_said() {
    let mut policy = founded();
    assert_eq!(policy.quorum(), 2);
    for (witnesses, ok) in [(1, false), (QUORUM_MAX + 1, false), (3, true)] {
        let amendment = signed(&policy, vec![Fact::Quorum { witnesses }], &registrars());
        assert_eq!(policy.amend(&amendment).is_ok(), ok, "{witnesses}");
    }
    let witness = |institution, number: u8| {
        let (name, institution) = (name("w"), name(institution));
        vec![Fact::Witness { name, institution, key: key(number).verifying_key() }]
    };
    policy.amend(&signed(&policy, witness("a", 71), &registrars())).unwrap();
    let moved = signed(&policy, witness("b", 72), &registrars());
    assert_eq!(refused(&mut policy, &moved), Reason::FieldInvalid, "it is of another institution");
    let used = signed(&policy, witness("a", 71), &registrars());
    assert_eq!(refused(&mut policy, &used), Reason::FieldInvalid);
    assert_eq!((policy.quorum(), policy.witnesses().len()), (3, 1));
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
    let twice = signed(&policy, facts.clone(), &[key(1), key(1), key(2)]);
    assert_eq!(refused(&mut policy, &twice), Reason::SignatureMissing, "one registrar signed twice");
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
    policy.amend(&next_key(11, 31, &[key(21)])).unwrap();
    assert_eq!(refused(&mut policy, &next_key(31, 11, &[key(21)])), Reason::FieldInvalid);
}

fn standing(policy: &Policy, office: &str, key: &SigningKey) -> Option<(Role, bool)> {
    let standing = policy.signing_key(&desk(office), key.verifying_key().id())?;
    assert_eq!(standing.key, &key.verifying_key());
    Some((standing.role, standing.current))
}

#[test]
fn signing_keys_of_a_desk_are_found_by_their_ids_after_they_were_replaced_too() {
    let mut policy = founded();
    let ([attended, unattended], [next, _]) = (desk_keys(11), desk_keys(21));
    assert_eq!(standing(&policy, "one", &attended), Some((Role::Attended, true)));
    assert_eq!(standing(&policy, "one", &unattended), Some((Role::Unattended, true)));
    assert_eq!(standing(&policy, "two", &attended), None, "it is another desk's");
    assert_eq!(standing(&policy, "one", &next), None, "nobody has it yet");
    policy.amend(&signed(&policy, vec![desk_fact(desk("one"), 21)], &registrars())).unwrap();
    assert_eq!(standing(&policy, "one", &attended), Some((Role::Attended, false)), "it was replaced");
    assert_eq!(standing(&policy, "one", &unattended), Some((Role::Unattended, false)));
    assert_eq!(standing(&policy, "one", &next), Some((Role::Attended, true)));
    let removed = vec![Fact::OfficeRemoved { name: name("one"), reason: "closed".into() }];
    let mut without = policy.clone();
    without.amend(&signed(&policy, removed, &registrars())).unwrap();
    assert_eq!(standing(&without, "one", &next), Some((Role::Attended, false)), "its office was removed");
    let revoked = vec![Fact::DeskRevoked { desk: desk("one"), reason: "stolen".into() }];
    policy.amend(&signed(&policy, revoked, &registrars())).unwrap();
    assert_eq!(standing(&policy, "one", &next), Some((Role::Attended, false)), "the desk was revoked");
}

#[test]
fn key_that_its_office_rotated_away_is_accepted_once_more_and_one_that_was_lost_is_not() {
    let id = recipient_id;
    let accepted = |policy: &Policy, numbers: [u8; 4]| {
        numbers.map(|it| policy.accepts_sealing_key(&name("one"), &id(it)))
    };
    let next = |number| vec![Fact::OfficeKey { office: name("one"), recipient: recipient(number) }];
    let mut policy = founded();
    assert_eq!(accepted(&policy, [11, 21, 31, 12]), [true, false, false, false]);
    policy.amend(&next_key(11, 21, &[key(11)])).unwrap();
    assert_eq!(accepted(&policy, [11, 21, 31, 12]), [true, true, false, false]);
    policy.amend(&next_key(21, 31, &[key(11)])).unwrap();
    assert_eq!(accepted(&policy, [11, 21, 31, 12]), [false, true, true, false]);
    policy.amend(&signed(&policy, next(41), &registrars())).unwrap();
    assert_eq!(accepted(&policy, [21, 31, 41, 12]), [false, false, true, false], "it was lost or stolen");
    assert_eq!(policy.office_key_id(&name("one")), Some(id(41)));
    assert_eq!(policy.office_key_id(&name("nobody")), None);
    assert!(policy.had_sealing_key(&name("one"), &id(11)));
    assert!(!policy.had_sealing_key(&name("two"), &id(11)));
}

#[test]
fn former_key_is_spent_once_what_was_sealed_to_it_has_left_retention() {
    const DAY: u64 = 86_400_000_000;
    let mut policy = founded();
    policy.amend(&signed(&policy, vec![Fact::Retention { days: 10 }], &registrars())).unwrap();
    for (replaces, number, day) in [(11, 21, 100), (21, 31, 130), (31, 41, 160)] {
        let fact = Fact::OfficeKey { office: name("one"), recipient: recipient(number) };
        let rotation = Rotation {
            replaces: recipient_id(replaces),
            made: UnixMicros(day * DAY),
            fact,
            handover: Bytes::new(),
        };
        policy.amend(&Arc::new(with_signatures(DirectoryEntry::Rotation(rotation), &[key(11)]))).unwrap();
    }
    assert_eq!(policy.office_key_made(&name("one")), Some(UnixMicros(160 * DAY)));
    let spent = |policy: &Policy, day: u64| policy.spent_office_keys(&name("one"), UnixMicros(day * DAY));
    // It was taken until the second rotation after it, on day 130, and what came then is kept for ten days.
    assert_eq!(spent(&policy, 140), Vec::<[u8; 32]>::new());
    assert_eq!(spent(&policy, 141), [recipient_id(11)]);
    assert_eq!(
        spent(&policy, 10_000),
        [recipient_id(11), recipient_id(21)],
        "the present one and the one before stay"
    );
    let lost = vec![Fact::OfficeKey { office: name("one"), recipient: recipient(51) }];
    let amendment = policy.next_amendment(lost, UnixMicros(161 * DAY));
    let amendment = with_signatures(DirectoryEntry::Amendment(amendment), &registrars());
    policy.amend(&Arc::new(amendment)).unwrap();
    assert_eq!(spent(&policy, 10_000).len(), 4, "what registrars replaced is taken no more at once");
    assert_eq!(policy.office_key_root(&name("one")), Some(recipient_id(51)));
}
