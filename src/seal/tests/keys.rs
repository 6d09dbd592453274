//! Keys as text and as bytes, their ids, and the fingerprints over them.
//!
//! The pair of `the_published_pair_is_ours` is the example of C2SP `age.md` (github.com/C2SP/C2SP, CC BY 4.0), its recipient as
//! the SHA-256 of its text. Bech32's examples are those of BIP 173 (BSD-2-Clause).

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::{opening, sha256, signing};
use crate::seal::bech::{self, KeyTextError};
use crate::seal::{
    FingerprintError, KeyId, OfficeFingerprint, OpeningKey, Recipient, SigningKey, VerifyingKey,
};

const PUBLISHED: &str = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR";

#[test]
fn the_published_pair_is_ours() {
    let key = OpeningKey::from_text(PUBLISHED).unwrap();
    assert_eq!(*key.to_text(), PUBLISHED);
    let recipient = key.recipient().to_string();
    assert!(recipient.starts_with("age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrqtz"));
    assert!(recipient.ends_with("k3tlhl53k2ykx3qheyty7saeq0d3fzv49zc0k"));
    assert_eq!(
        sha256(recipient.as_bytes()),
        "a091dd7e0ee9d62b75173dcc98441a0424baa941e66a8776e570a4ae60ff61ea"
    );
    assert_eq!(recipient.parse::<Recipient>().unwrap(), key.recipient());
}

#[test]
fn keys_of_fixed_seeds_stay_what_they_are() {
    let recipient = opening(7).recipient();
    assert_eq!(recipient.to_bytes().len(), 1216);
    assert_eq!(
        sha256(&recipient.to_bytes()),
        "74943b4ecd441ec7f92d22c3fb377a29cd7fb96687efda8fae74ae2219a1c279"
    );
    let verifying = signing(7).verifying_key();
    assert_eq!(verifying.to_bytes().len(), 1344);
    assert_eq!(
        verifying.id().to_string(),
        "dd7905d0444fe5c181d75a17708f57a2fb0fefca6583ce3f29b7faa41fc34874"
    );
    assert_eq!(verifying.id().to_string(), sha256(&verifying.to_bytes()));
    assert_eq!(
        sha256(verifying.to_string().as_bytes()),
        "8a63b8362f7320ab82925345907fb9a13edfd637b4fbea90b81ae82a42a7a4f9"
    );
    assert_eq!(
        *signing(7).to_text(),
        "RESGUARDO-SECRET-KEY-1QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURSWPC8QURKK6MTDD4KK6MTDD4KK6MTDD4KK6MTDD4KK6MTDD4KK6MTDD4KK6C55M75Z"
    );
}

#[test]
fn texts_of_bech32_are_read_as_the_standard_has_them() {
    let empty: [(&'static str, &str); 2] = [
        ("a", "A12UEL5L"),
        (
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio",
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
        ),
    ];
    for (prefix, text) in empty {
        assert_eq!(*bech::read(prefix, text).unwrap(), [0; 0]);
        assert_eq!(*bech::write(prefix, &[]), text.to_lowercase());
    }
    let counted = "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw";
    let bytes = bech::read("abcdef", counted).unwrap();
    assert_eq!(*bech::write("abcdef", &bytes), counted);
    assert_eq!(*bech::read("a", "a1qqqd87cq").unwrap(), [0]);
    // The last two are whole, but have more than the byte in them.
    for wrong in
        ["A1G7SGD8", "a12UEL5L", "x1b4n0q5v", "li1dgmt3", "de1lg7wt\u{ff}", "", "a1qpamnt9j", "a1qqqd87cpp"]
    {
        assert_eq!(bech::read("a", wrong), Err(KeyTextError::Damaged { expected: "a" }), "{wrong}");
    }
}

#[test]
fn a_text_that_is_not_the_key_asked_for_is_refused_by_reason() {
    let recipient = opening(1).recipient().to_string();
    let other = if recipient.as_bytes()[50] == b'q' { "p" } else { "q" };
    let damaged = format!("{}{other}{}", &recipient[..50], &recipient[51..]);
    assert_eq!(damaged.parse::<Recipient>(), Err(KeyTextError::Damaged { expected: "age1pq" }));
    assert_eq!(
        signing(1).verifying_key().to_string().parse::<Recipient>(),
        Err(KeyTextError::Kind { expected: "age1pq" })
    );
    let short = bech::write("age1pq", &[3; 1215]);
    assert_eq!(short.parse::<Recipient>(), Err(KeyTextError::Value { expected: "age1pq" }));
    assert!(matches!(OpeningKey::from_text(&recipient), Err(KeyTextError::Kind { .. })));
    assert!(matches!(SigningKey::from_text(PUBLISHED), Err(KeyTextError::Kind { .. })));
    let short = bech::write("resguardo-secret-key-", &[3; 63]);
    assert!(matches!(SigningKey::from_text(&short), Err(KeyTextError::Value { .. })));
    let short = bech::write("resguardo-verify", &[3; 1343]);
    assert!(matches!(short.parse::<VerifyingKey>(), Err(KeyTextError::Value { .. })));
    let long = bech::write("age-secret-key-pq-", &[3; 33]);
    assert!(matches!(OpeningKey::from_text(&long), Err(KeyTextError::Value { .. })));
}

#[test]
fn a_recipient_that_hides_nothing_is_refused() {
    let refused = Err(KeyTextError::Value { expected: "age1pq" });
    let good = opening(1).recipient().to_bytes();
    // The points of order 1, 2, 4 and 8, and others that are taken for them (RFC 7748, section 6.1).
    let order_8 = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    let order_8: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&order_8[at..at + 2], 16).unwrap()).collect();
    let mut prime = [0xff; 32];
    (prime[0], prime[31]) = (0xed, 0x7f);
    let (mut one, mut zero_set) = ([0; 32], [0; 32]);
    (one[0], zero_set[31]) = (1, 0x80);
    for share in [&[0; 32][..], &one, &zero_set, &prime, &order_8] {
        let bytes = [&good[..1184], share].concat();
        assert_eq!(Recipient::from_bytes(&bytes), refused, "{share:02x?}");
    }
    let mut beyond = good.clone();
    beyond[..3].fill(0xff);
    assert_eq!(Recipient::from_bytes(&beyond), refused);
    assert!(Recipient::from_bytes(&good).is_ok());
}

#[test]
fn new_keys_differ_and_follow_from_the_randomness_handed_in() {
    let random = |it: &mut [u8]| aws_lc_rs::rand::fill(it).unwrap();
    let (one, two) = (OpeningKey::generate(random), OpeningKey::generate(random));
    assert_ne!(one.recipient(), two.recipient());
    let seeded = || SigningKey::generate(|it| it.fill(5)).verifying_key();
    assert_eq!(seeded(), seeded());
    assert_ne!(SigningKey::generate(random).verifying_key(), seeded());
}

#[test]
fn no_debug_text_has_a_secret() {
    assert_eq!(format!("{:?} {:?}", opening(7), signing(7)), "OpeningKey SigningKey");
    assert!(format!("{:?}", opening(7).recipient()).len() < 60);
    assert_eq!(
        format!("{:?}", signing(7).verifying_key()),
        format!("VerifyingKey({})", signing(7).verifying_key().id())
    );
}

#[test]
fn a_fingerprint_names_keys_in_any_order_and_changes_with_each() {
    let (a, b) = (signing(1).verifying_key().id(), signing(2).verifying_key().id());
    let recipient = opening(1).recipient();
    let alone = OfficeFingerprint::of(&[a, b], None);
    assert_eq!(alone.to_string(), "52774 78362 61176 75821 88288 03683 01044 59660 26432 37060 93835 35623");
    let whole = OfficeFingerprint::of(&[a, b], Some(&recipient));
    assert_eq!(whole.to_string(), "02541 16398 77810 08398 84281 09190 46354 87721 05407 69995 37623 93376");
    assert_eq!(OfficeFingerprint::of(&[b, a, b], None), alone);
    let others = [
        OfficeFingerprint::of(&[a], None),
        OfficeFingerprint::of(&[], None),
        OfficeFingerprint::of(&[a, b], Some(&opening(2).recipient())),
    ];
    assert!(others.iter().all(|it| *it != alone && *it != whole));
    let spoken = whole.to_string().replace(' ', "\n");
    assert_eq!(spoken.parse(), Ok(whole));
    assert_eq!(spoken.replace('\n', "-").parse(), Ok(whole));
    assert_eq!("12345 6789".parse::<OfficeFingerprint>(), Err(FingerprintError { found: 9 }));
    assert_eq!(
        spoken.replacen(|c: char| c.is_ascii_digit(), "x", 1).parse::<OfficeFingerprint>(),
        Err(FingerprintError { found: 60 })
    );
}

proptest! {
    #[test]
    fn every_bytes_come_back_from_their_text(bytes in prop::collection::vec(any::<u8>(), 0..200), capital: bool) {
        let mut text = bech::write("some-key", &bytes);
        if capital {
            text.make_ascii_uppercase();
        }
        prop_assert_eq!(bech::read("some-key", &text).unwrap(), Zeroizing::new(bytes));
    }

    #[test]
    fn one_wrong_letter_is_found(seed: [u8; 32], at in 19_usize..77, letter in 1_usize..32) {
        let digits = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
        let mut text = OpeningKey::from_seed(&seed).to_text().as_bytes().to_vec();
        let is = digits.iter().position(|it| *it == text[at]).unwrap();
        text[at] = digits[(is + letter) % 32];
        let read = OpeningKey::from_text(std::str::from_utf8(&text).unwrap());
        let damaged = matches!(read, Err(KeyTextError::Damaged { .. }));
        prop_assert!(damaged);
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..1400)) {
        let _ = (text.parse::<Recipient>(), text.parse::<VerifyingKey>(), text.parse::<OfficeFingerprint>());
        let _ = (OpeningKey::from_text(&text), SigningKey::from_text(&text));
        let _ = (Recipient::from_bytes(&bytes), VerifyingKey::from_bytes(&bytes));
    }

    #[test]
    fn every_fingerprint_comes_back_from_its_text(ids: [[u8; 32]; 3]) {
        let fingerprint = OfficeFingerprint::of(&ids.map(KeyId), None);
        let text = fingerprint.to_string();
        prop_assert_eq!(text.len(), 71);
        prop_assert_eq!(text.parse(), Ok(fingerprint));
    }
}
