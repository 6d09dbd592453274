//! Signatures: what is signed, a signature that was kept, and everything that does not count.

use proptest::prelude::*;

use super::{sha256, signing};
use crate::seal::{Algorithm, Kind, Signature, SignatureError, pae};

/// A signature of `signing(7)` over `b"an envelope"` as [`Kind::Envelope`]: Ed25519's, then ML-DSA-44's.
const KEPT: &[u8; 2484] = include_bytes!("signature.bin");

#[test]
fn what_is_signed_is_the_standards_encoding() {
    assert_eq!(
        pae(Kind::Envelope, b"an envelope"),
        b"DSSEv1 37 application/vnd.resguardo.envelope.v1 11 an envelope"
    );
    assert_eq!(pae(Kind::OfficerNote, b""), b"DSSEv1 41 application/vnd.resguardo.officer-note.v1 0 ");
    let mut names = Kind::ALL.map(Kind::payload_type).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Kind::ALL.len());
}

#[test]
fn a_signature_that_was_kept_still_holds() {
    let kept = Signature::from_parts(&KEPT[..64], &KEPT[64..]).unwrap();
    let key = signing(7).verifying_key();
    assert_eq!(key.verify(Kind::Envelope, b"an envelope", &kept), Ok(()));
    // Ed25519 has one signature for each statement, ML-DSA another each time.
    let again = signing(7).sign(Kind::Envelope, b"an envelope");
    assert_eq!(again.ed25519(), kept.ed25519());
    assert_ne!(again.ml_dsa_44(), kept.ml_dsa_44());
    assert_eq!(sha256(KEPT), "a20596fe43850d2e6e8e2ae05c7006aad4bc60a598faf25c57b2d2271655d470");
}

#[test]
fn each_half_is_asked_for_and_named() {
    let (key, statement) = (signing(1), b"received");
    let whole = key.sign(Kind::Receipt, statement);
    let verify = |signature: &Signature| key.verifying_key().verify(Kind::Receipt, statement, signature);
    assert_eq!(verify(&whole), Ok(()));

    let of = Signature::from_parts;
    let (one, two) = (whole.ed25519(), whole.ml_dsa_44());
    assert_eq!(of(one, two).as_ref(), Ok(&whole));
    assert_eq!(of(&[], two), Err(SignatureError::Missing(Algorithm::Ed25519)));
    assert_eq!(of(one, &[]), Err(SignatureError::Missing(Algorithm::MlDsa44)));
    let length = |algorithm, found, expected| Err(SignatureError::Length { algorithm, found, expected });
    assert_eq!(of(&one[1..], two), length(Algorithm::Ed25519, 63, 64));
    assert_eq!(of(one, &[two, &[0]].concat()), length(Algorithm::MlDsa44, 2421, 2420));

    let other = signing(2).sign(Kind::Receipt, statement);
    let failed = |algorithm| Err(SignatureError::Failed(algorithm));
    assert_eq!(verify(&of(other.ed25519(), two).unwrap()), failed(Algorithm::Ed25519));
    assert_eq!(verify(&of(one, other.ml_dsa_44()).unwrap()), failed(Algorithm::MlDsa44));
    assert_eq!(verify(&other), failed(Algorithm::Ed25519));
}

#[test]
fn a_signature_for_one_kind_counts_for_no_other() {
    let key = signing(1);
    let signature = key.sign(Kind::Receipt, b"bytes");
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Receipt) {
        let refused = key.verifying_key().verify(kind, b"bytes", &signature);
        assert_eq!(refused, Err(SignatureError::Failed(Algorithm::Ed25519)), "{kind:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_signature_holds_for_its_bytes_alone(
        statement in prop::collection::vec(any::<u8>(), 1..300), at: prop::sample::Index, bit in 0_u8..8,
    ) {
        let key = signing(3);
        let signature = key.sign(Kind::Envelope, &statement);
        prop_assert_eq!(key.verifying_key().verify(Kind::Envelope, &statement, &signature), Ok(()));
        let mut changed = statement.clone();
        changed[at.index(statement.len())] ^= 1 << bit;
        prop_assert!(key.verifying_key().verify(Kind::Envelope, &changed, &signature).is_err());
        prop_assert!(key.verifying_key().verify(Kind::Envelope, &statement[1..], &signature).is_err());
    }

    #[test]
    fn one_bit_of_either_signature_counts(at in 0_usize..2484, bit in 0_u8..8) {
        let mut bytes = *KEPT;
        bytes[at] ^= 1 << bit;
        let changed = Signature::from_parts(&bytes[..64], &bytes[64..]).unwrap();
        let algorithm = if at < 64 { Algorithm::Ed25519 } else { Algorithm::MlDsa44 };
        let refused = signing(7).verifying_key().verify(Kind::Envelope, b"an envelope", &changed);
        prop_assert_eq!(refused, Err(SignatureError::Failed(algorithm)));
    }
}
