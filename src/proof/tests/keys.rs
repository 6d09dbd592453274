//! Names and keys: published ones, and everything that is none.

use super::*;
use crate::seal::Algorithm;

/// Published keys: of C2SP `signed-note`, of the Go checksum database, of a public witness, and of the ML-DSA-44 log in the tests
/// of filippo.io/torchwood.
const PUBLISHED: [(&str, &str, &str, SignatureType); 4] = [
    (include_str!("../vectors/foo.vkey"), "example.com/foo", "530d903a", SignatureType::Ed25519),
    (include_str!("../vectors/sumdb.vkey"), "sum.golang.org", "033de0ae", SignatureType::Ed25519),
    (include_str!("../vectors/remora.vkey"), "remora.n621.de", "da77ade7", SignatureType::CosignatureEd25519),
    (
        include_str!("../vectors/mldsa-log.vkey"),
        "example.com/mldsa-log",
        "b5df45c5",
        SignatureType::CosignatureMlDsa44,
    ),
];

#[test]
fn published_keys_are_read_and_written() {
    for (text, name, id, signature_type) in PUBLISHED {
        let text = text.trim_end();
        let key: NoteKey = text.parse().unwrap();
        assert_eq!((key.name().as_str(), key.signature_type()), (name, signature_type));
        assert_eq!(key.id().to_string(), id);
        assert_eq!(key.to_string(), text);
    }
}

#[test]
fn each_type_of_one_key_has_its_own_id() {
    let (key, name) = (signing(1).verifying_key(), name("a.example"));
    let types =
        [SignatureType::Ed25519, SignatureType::CosignatureEd25519, SignatureType::CosignatureMlDsa44];
    let ids = types.map(|it| NoteKey::new(name.clone(), it, &key).id().to_string());
    assert_eq!(ids, ["8edbb852", "09c8cf39", "d769593a"]);
    let keys = types.map(|it| NoteKey::new(name.clone(), it, &key));
    assert_eq!(keys.each_ref().map(|it| it.to_string().parse::<NoteKey>().unwrap()), keys);
    assert_eq!(keys[2].key().algorithm(), Algorithm::MlDsa44);
}

#[test]
fn what_is_no_key_is_refused() {
    let foo = PUBLISHED[0].0.trim_end();
    let said = |text: &str| text.parse::<NoteKey>().unwrap_err().to_string();
    let form = said("");
    for wrong in [
        "example.com/foo",
        "example.com/foo+530d903a",
        &foo.replace("530d903a", "530D903A"),
        &foo.replace("530d903a", "0530d903a"),
        &foo.replace("530d903a", "+30d903a"),
        &foo.replace("3U2k", "3U2k="),
        &foo.replace("3U2k", "3U2"),
        &foo.replace("3U2k", "3U-k"),
        "example.com/foo+530d903a+",
        &format!("{foo}{}", "AAAA".repeat(2000)),
    ] {
        assert_eq!(said(wrong), form, "{wrong}");
    }
    assert_eq!(
        said(&foo.replace("/foo", "/fop")),
        "the key of example.com/fop has the id 530d903a, 7de3800f expected"
    );
    assert_eq!(said(&foo.replace("+Aek", "+Ce k")), form);
    let typed = said(&foo.replace("+Aek", "+Auk"));
    assert_eq!(typed, "the key of example.com/foo has the type 0x02, 0x01, 0x04 or 0x06 expected");
    let short = said("example.com/foo+530d903a+Aekyeg==");
    assert_eq!(short, "the key of example.com/foo is not one of Ed25519");
    let other = said("example.com/foo+530d903a+Bukyeg==");
    assert_eq!(other, "the key of example.com/foo is not one of ML-DSA-44");
}

#[test]
fn names_are_without_spaces_and_plus_signs() {
    let long = "n".repeat(KEY_NAME_BYTES_MAX);
    for right in ["a", "example.com/a-b_c", "oid/1.3.6.1", "añá/ü", &long] {
        assert_eq!(name(right).as_str(), right);
    }
    let longer = format!("{long}n");
    for wrong in ["", " a", "a b", "a+b", "a\n", "a\u{1}", "a\u{2003}b", "a\u{85}", &longer] {
        assert!(wrong.parse::<KeyName>().is_err(), "{wrong:?}");
        assert!(wrong.parse::<Origin>().is_err(), "{wrong:?}");
    }
}
