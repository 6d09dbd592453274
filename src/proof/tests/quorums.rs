//! Quorums: offices count once, both institutions are there, and rules that cannot be.

use std::collections::BTreeSet;

use super::*;

/// A witness with the key of a number.
fn member(number: u8, office: &str, institution: &str) -> Member {
    let witness = WitnessVerifier::new(witness_name(number), &signing(number).verifying_key());
    Member { witness, office: office.into(), institution: institution.into() }
}

fn witness_name(number: u8) -> KeyName {
    name(&format!("witness-{number}.example"))
}

fn both() -> BTreeSet<Box<str>> {
    ["ohchr", "iachr"].map(Into::into).into()
}

/// Three offices of two institutions, one of them with two desks; three of them are asked for.
fn quorum(needed: usize) -> Result<Quorum, QuorumError> {
    let members = vec![
        member(10, "honduras", "ohchr"),
        member(11, "honduras", "ohchr"),
        member(12, "geneva", "ohchr"),
        member(13, "washington", "iachr"),
    ];
    Quorum::new(members, needed, both())
}

/// A checkpoint of seven leaves that `signing(1)` signed and the witnesses 10 and 13 cosigned, kept: the form holds still.
const KEPT: &[u8] = include_bytes!("../vectors/kept.note");

#[test]
fn a_checkpoint_that_was_kept_still_counts() {
    let signed = log().open(KEPT).unwrap();
    assert_eq!((signed.checkpoint(), signed.signed_at()), (&checkpoint(7), Some(at(1_800_000_000))));
    assert_eq!(signed.note().to_string().as_bytes(), KEPT);
    let tally = quorum(2).unwrap().tally(&signed).unwrap();
    let times: Vec<_> = tally.cosigned.iter().map(|it| it.at.seconds()).collect();
    assert_eq!((times, tally.reached_at), (vec![1_800_000_010, 1_800_000_013], Some(at(1_800_000_013))));
}

/// A checkpoint that witnesses cosigned, each at its time.
fn cosigned(by: &[(u8, u64)]) -> SignedCheckpoint {
    let mut signed = log().verify(checkpoint(7).sign(&signing(1), at(1))).unwrap();
    for (number, seconds) in by {
        for line in checkpoint(7).cosign(&witness_name(*number), &signing(*number), at(*seconds)) {
            signed.add(line).unwrap();
        }
    }
    signed
}

#[test]
fn a_quorum_is_offices_and_both_institutions() {
    let tally = |needed, by: &[(u8, u64)]| quorum(needed).unwrap().tally(&cosigned(by)).unwrap();
    for (needed, by, reached) in [
        (2, &[][..], None),
        (2, &[(13, 5)], None),
        // Two desks of one office are one office; two offices of one institution are one institution.
        (2, &[(10, 5), (11, 6)], None),
        (2, &[(10, 5), (12, 6)], None),
        (2, &[(10, 5), (13, 9)], Some(9)),
        (2, &[(11, 5), (10, 3), (13, 2)], Some(3)),
        (2, &[(10, 5), (12, 6), (13, 7)], Some(7)),
        (3, &[(10, 5), (12, 6), (13, 4)], Some(6)),
        (3, &[(10, 5), (11, 6), (13, 4)], None),
        // A stranger's lines mean nothing.
        (2, &[(10, 5), (99, 6)], None),
    ] {
        let tally = tally(needed, by);
        assert_eq!(tally.reached_at, reached.map(at), "{needed} of {by:?}");
        assert_eq!(tally.is_enough(), reached.is_some());
    }
    let told = tally(2, &[(11, 5), (10, 5), (12, 4)]);
    let who: Vec<_> = told.cosigned.iter().map(|it| (it.witness.as_str(), &*it.office, it.at)).collect();
    assert_eq!(who, [("witness-12.example", "geneva", at(4)), ("witness-10.example", "honduras", at(5))]);
    assert_eq!(told.institutions_missing, ["iachr".into()].into());
}

#[test]
fn a_quorum_needs_both_algorithms_and_no_forged_line() {
    let quorum = quorum(2).unwrap();
    let mut signed = cosigned(&[(10, 5)]);
    let [one, two] = checkpoint(7).cosign(&witness_name(13), &signing(13), at(6));
    signed.add(one).unwrap();
    assert!(!quorum.tally(&signed).unwrap().is_enough());
    let mut whole = signed.clone();
    whole.add(two.clone()).unwrap();
    assert!(quorum.tally(&whole).unwrap().is_enough());
    let mut bytes = two.signature().to_vec();
    bytes[9] ^= 1;
    signed.add(SignatureLine::of(quorum.members()[3].witness.keys()[1], bytes)).unwrap();
    assert!(matches!(quorum.tally(&signed), Err(LineError::Failed { .. })));
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let said = |rule: Result<Quorum, QuorumError>| rule.unwrap_err().to_string();
    assert_eq!(said(quorum(0)), "a quorum of 0 offices, 1 to 3 expected");
    assert_eq!(said(quorum(4)), "a quorum of 4 offices, 1 to 3 expected");
    assert_eq!(said(quorum(1)), "a quorum of 1 offices, at least one for each of 2 institutions expected");
    let of = |members: Vec<Member>| said(Quorum::new(members, 2, both()));
    let (one, two) = (member(10, "a", "ohchr"), member(11, "b", "iachr"));
    assert_eq!(
        of(vec![one.clone(), one.clone(), two.clone()]),
        "two witnesses have the name witness-10.example, expected is one"
    );
    let same = WitnessVerifier::new(name("c.example"), &signing(10).verifying_key());
    let same = Member { witness: same, ..two.clone() };
    assert_eq!(
        of(vec![one.clone(), same]),
        "witness-10.example and c.example share a key, expected are keys of their own"
    );
    let moved = Member { institution: "iachr".into(), ..member(12, "a", "") };
    assert_eq!(
        of(vec![one.clone(), two.clone(), moved]),
        "the office a is of ohchr and of iachr, expected is one institution"
    );
    let alone = vec![one, member(12, "b", "ohchr")];
    assert_eq!(of(alone), "iachr must be there and has no witness, at least one expected");
}
