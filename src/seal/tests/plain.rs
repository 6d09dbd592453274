//! Bytes that are signed as they are: by one algorithm at a time, and never for a statement.

use super::signing;
use crate::seal::{Algorithm, HalfKey, Kind, NotPlain, Plain, Signature, SignatureError, pae};

const ALGORITHMS: [Algorithm; 2] = [Algorithm::Ed25519, Algorithm::MlDsa44];

fn plain(bytes: &[u8]) -> Plain<'_> {
    Plain::of(bytes).unwrap()
}

#[test]
fn a_signature_holds_for_its_bytes_its_key_and_its_algorithm() {
    for (algorithm, length, other) in
        [(ALGORITHMS[0], 64, ALGORITHMS[1]), (ALGORITHMS[1], 2420, ALGORITHMS[0])]
    {
        let signature = signing(1).sign_plain(algorithm, plain(b"a note\n"));
        assert_eq!(signature.len(), length);
        let key = signing(1).verifying_key().half(algorithm);
        let failed = Err(SignatureError::Failed(algorithm));
        assert_eq!(key.algorithm(), algorithm);
        assert_eq!(key.verify(plain(b"a note\n"), &signature), Ok(()));
        assert_eq!(key.verify(plain(b"a note"), &signature), failed);
        assert_eq!(key.verify(plain(b"a note\n"), &signature[1..]), failed);
        assert_eq!(key.verify(plain(b"a note\n"), &[]), failed);
        assert_eq!(signing(2).verifying_key().half(algorithm).verify(plain(b"a note\n"), &signature), failed);
        let other = signing(1).verifying_key().half(other);
        assert!(other.verify(plain(b"a note\n"), &signature).is_err());
    }
}

#[test]
fn no_statement_is_plain_and_nothing_plain_is_a_statement() {
    for kind in Kind::ALL {
        assert_eq!(Plain::of(&pae(kind, b"bytes")).err(), Some(NotPlain), "{kind:?}");
    }
    for bytes in [b"".as_slice(), b"DSSEv1", b"DSSEv1\n", b"DSSEv2 ", b" DSSEv1 ", b"dssev1 "] {
        assert!(Plain::of(bytes).is_ok(), "{bytes:?}");
    }
    // Both signatures over the same bytes as they are: they count for no kind.
    let (key, bytes) = (signing(1), b"bytes");
    let [one, two] = ALGORITHMS.map(|algorithm| key.sign_plain(algorithm, plain(bytes)));
    let both = Signature::from_parts(&one, &two).unwrap();
    for kind in Kind::ALL {
        let refused = key.verifying_key().verify(kind, bytes, &both);
        assert_eq!(refused, Err(SignatureError::Failed(Algorithm::Ed25519)), "{kind:?}");
    }
}

#[test]
fn half_a_key_is_its_bytes() {
    let whole = signing(1).verifying_key();
    let bytes = whole.to_bytes();
    for (algorithm, bytes) in [(ALGORITHMS[0], &bytes[..32]), (ALGORITHMS[1], &bytes[32..])] {
        let half = whole.half(algorithm);
        assert_eq!(half.as_bytes(), bytes);
        assert_eq!(HalfKey::from_bytes(algorithm, bytes).as_ref(), Ok(&half));
        assert!(HalfKey::from_bytes(algorithm, &bytes[1..]).is_err());
        assert!(HalfKey::from_bytes(algorithm, &[bytes, &[0]].concat()).is_err());
        assert!(HalfKey::from_bytes(algorithm, b"").is_err());
        assert_ne!(signing(2).verifying_key().half(algorithm), half);
    }
    assert_ne!(whole.half(ALGORITHMS[0]), whole.half(ALGORITHMS[1]));
}
