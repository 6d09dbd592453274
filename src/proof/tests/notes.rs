//! Notes: published ones, exact bytes, bounds, and everything that is none.

use proptest::prelude::*;

use super::*;
use crate::seal::{Algorithm, Plain};

/// The examples of C2SP `signed-note`, `tlog-cosignature` and `tlog-checkpoint`, a checkpoint of the Go checksum database, and
/// one of the ML-DSA-44 log in the tests of filippo.io/torchwood.
const PUBLISHED: [&str; 5] = [
    include_str!("../vectors/foo.note"),
    include_str!("../vectors/poem.note"),
    include_str!("../vectors/cosigned.note"),
    include_str!("../vectors/sumdb.note"),
    include_str!("../vectors/mldsa-log.note"),
];

fn key(text: &str) -> NoteKey {
    text.trim_end().parse().unwrap()
}

#[test]
fn published_notes_are_read_and_written() {
    for text in PUBLISHED {
        assert_eq!(Note::parse(text.as_bytes()).unwrap().to_string(), text);
    }
    let poem = Note::parse(PUBLISHED[1].as_bytes()).unwrap();
    assert!(poem.text().ends_with("raggio di sole:\n\ned è subito sera.\n"));
    assert_eq!(poem.lines()[0].name(), "quasimodo.example/salvatore");
    assert_eq!(Note::parse(PUBLISHED[2].as_bytes()).unwrap().lines().len(), 2);
}

#[test]
fn published_signatures_hold_and_hold_for_nothing_else() {
    for (note, by) in [
        (PUBLISHED[0], include_str!("../vectors/foo.vkey")),
        (PUBLISHED[3], include_str!("../vectors/sumdb.vkey")),
    ] {
        let by = key(by);
        assert_eq!(Note::parse(note.as_bytes()).unwrap().verify(&by), Ok(()));
        for at in 0..note.find("\n\n").unwrap() {
            let mut changed = note.as_bytes().to_vec();
            changed[at] ^= 1;
            // Some are no note any more; none is another one that is signed.
            let verified = Note::parse(&changed).map(|note| note.verify(&by));
            assert!(!matches!(verified, Ok(Ok(()))), "byte {at}");
        }
    }
}

/// A note that was signed with `signing(1)` and kept: Ed25519 has one signature for each text.
const KEPT: &str = "uno\n\ndos\n\n\u{2014} a.example jtu4UoLxGcLh01wHdxIS40fVSRG2XtgOJNuH/cEjP8dqFJxp7Jb6B1GqcIHdECazsd0D2KW4LSiEUkiLjCwZXYUXgA8=\n";

fn signed(text: &str) -> Note {
    let by = NoteKey::new(name("a.example"), SignatureType::Ed25519, &signing(1).verifying_key());
    let signature = signing(1).sign_plain(Algorithm::Ed25519, Plain::of(text.as_bytes()).unwrap());
    Note::new(text.to_owned(), vec![SignatureLine::of(&by, signature)]).unwrap()
}

#[test]
fn a_note_that_was_kept_is_still_written() {
    let by = NoteKey::new(name("a.example"), SignatureType::Ed25519, &signing(1).verifying_key());
    assert_eq!(signed("uno\n\ndos\n").to_string(), KEPT);
    assert_eq!(Note::parse(KEPT.as_bytes()).unwrap().verify(&by), Ok(()));
}

#[test]
fn bytes_that_are_no_note_are_refused() {
    let said = |text: &str| Note::parse(text.as_bytes()).unwrap_err();
    for (from, to, expected) in [
        ("uno\n", "uno\r\n", NoteError::Control { found: '\r' }),
        ("uno", "u\u{0}o", NoteError::Control { found: '\0' }),
        ("a.example", "a.e\txample", NoteError::Control { found: '\t' }),
        ("\n\n\u{2014}", "\n\u{2014}", NoteError::Line { number: 1 }),
        ("\u{2014} ", "\u{2013} ", NoteError::Line { number: 1 }),
        ("\u{2014} ", "\u{2014}  ", NoteError::Line { number: 1 }),
        ("a.example", "a.ex+mple", NoteError::Line { number: 1 }),
        ("a.example", "a.ex\u{2003}mple", NoteError::Line { number: 1 }),
        ("a.example ", "a.example  ", NoteError::Line { number: 1 }),
        ("==\n", "=\n", NoteError::Line { number: 1 }),
        ("==\n", "== \n", NoteError::Line { number: 1 }),
        ("==\n", "==", NoteError::Parts),
        ("==\n", "==\n\n", NoteError::Signatures { found: 0 }),
        ("==\n", "==\nx\n", NoteError::Line { number: 2 }),
    ] {
        // Four bytes of an id and one of a signature.
        let whole = "uno\n\ndos\n\n\u{2014} a.example AAAAAAE=\n".replace("AAAAAAE=", "AAAAAAEBAQ==");
        assert!(Note::parse(whole.as_bytes()).is_ok());
        assert!(whole.contains(from), "{from:?}");
        assert_eq!(said(&whole.replacen(from, to, 1)), expected, "{from:?} to {to:?}");
    }
    assert_eq!(said(""), NoteError::Parts);
    assert_eq!(said("uno\n"), NoteError::Parts);
    assert_eq!(said("uno\n\n"), NoteError::Signatures { found: 0 });
    assert_eq!(said("uno\n\n\u{2014} a AAAAAA==\n"), NoteError::Line { number: 1 });
    assert_eq!(said("uno\n\n\u{2014} a AAAAAAF=\n"), NoteError::Line { number: 1 });
    assert_eq!(Note::parse(b"uno\n\n\xff\n"), Err(NoteError::Utf8));
    assert_eq!(
        Note::parse(&vec![b'\n'; NOTE_BYTES_MAX + 1]),
        Err(NoteError::Bytes { found: NOTE_BYTES_MAX + 1 })
    );
    assert_eq!(Note::new("uno".into(), signed("uno\n").lines().to_vec()), Err(NoteError::Parts));
    assert_eq!(Note::new("uno\n".into(), Vec::new()), Err(NoteError::Signatures { found: 0 }));
}

#[test]
fn signatures_have_a_bound_that_is_never_below_the_standards() {
    let one = "\u{2014} a.example AAAAAAE=\n";
    let most = format!("uno\n\n{}", one.repeat(SIGNATURES_MAX));
    let mut note = Note::parse(most.as_bytes()).unwrap();
    assert_eq!(note.lines().len(), 256);
    let more = format!("uno\n\n{}", one.repeat(SIGNATURES_MAX + 1));
    assert_eq!(Note::parse(more.as_bytes()), Err(NoteError::Signatures { found: 257 }));
    let line: SignatureLine = "\u{2014} b.example AAAAAAE=".parse().unwrap();
    assert_eq!(note.add(line.clone()), Err(NoteError::Signatures { found: 257 }));
    let mut note = signed("uno\n");
    assert_eq!(note.add(line.clone()), Ok(true));
    assert_eq!(note.add(line), Ok(false));
    assert_eq!(note.lines().len(), 2);
    let large = format!("\u{2014} c {}", "AAAA".repeat(NOTE_BYTES_MAX / 4 - 4));
    let before = note.clone();
    assert!(matches!(note.add(large.parse().unwrap()), Err(NoteError::Bytes { .. })));
    assert_eq!(note, before);
    // What is counted is what is written.
    let room = NOTE_BYTES_MAX - note.to_string().len() - "\u{2014} d ".len() - 1;
    let fits = format!("\u{2014} d {}", "AAAA".repeat(room / 4));
    assert_eq!(note.add(fits.parse().unwrap()), Ok(true));
    assert!(note.to_string().len() > NOTE_BYTES_MAX - 4 && Note::parse(note.to_string().as_bytes()).is_ok());
}

#[test]
fn unknown_signatures_mean_nothing_and_known_ones_must_hold() {
    let by = NoteKey::new(name("a.example"), SignatureType::Ed25519, &signing(1).verifying_key());
    let whole = signed("uno\n");
    let mut note = whole.clone();
    // Of the same name and another key, and of the same key's id under another name.
    note.add("\u{2014} a.example AAAAAAE=".parse().unwrap()).unwrap();
    let elsewhere = SignatureLine::of(&by, vec![1]).to_string().replace("a.example", "b.example");
    note.add(elsewhere.parse().unwrap()).unwrap();
    assert_eq!(note.verify(&by), Ok(()));

    let (name, id) = (by.name().clone(), by.id());
    let twice = format!("{note}{}\n", SignatureLine::of(&by, vec![1; 64]));
    let failed = Err(LineError::Failed { name: name.clone(), id });
    assert_eq!(Note::parse(twice.as_bytes()).unwrap().verify(&by), failed);
    let other = NoteKey::new(name.clone(), SignatureType::Ed25519, &signing(2).verifying_key());
    let missing = Err(LineError::Missing { name: name.clone(), id: other.id() });
    assert_eq!(note.verify(&other), missing);
    let timed = NoteKey::new(name.clone(), SignatureType::CosignatureEd25519, &signing(1).verifying_key());
    assert_eq!(note.verify(&timed), Err(LineError::Type { name, id: timed.id() }));
}

#[test]
fn a_statement_is_never_verified_as_a_note() {
    let by = NoteKey::new(name("a.example"), SignatureType::Ed25519, &signing(1).verifying_key());
    let kind = crate::seal::Kind::Envelope;
    let statement = crate::seal::pae(kind, b"uno\n");
    let signature = signing(1).sign(kind, b"uno\n").ed25519().to_vec();
    assert!(Plain::of(&statement).is_err());
    let text = String::from_utf8(statement).unwrap();
    let note = Note::new(text, vec![SignatureLine::of(&by, signature)]).unwrap();
    assert_eq!(note.verify(&by), Err(LineError::Failed { name: by.name().clone(), id: by.id() }));
}

fn line() -> impl Strategy<Value = SignatureLine> {
    let name = "[a-zñ—./-]{1,30}";
    (name, any::<u32>(), prop::collection::vec(any::<u8>(), 1..90)).prop_map(|(name, id, signature)| {
        let bytes = [&id.to_be_bytes(), signature.as_slice()].concat();
        format!("\u{2014} {name} {}", text::to_base64(&bytes)).parse().unwrap()
    })
}

proptest! {
    #[test]
    fn notes_read_back_as_written(text in "[^\u{0}-\u{1f}]{0,40}(\n[^\u{0}-\u{1f}]{0,40}){0,4}\n",
        lines in prop::collection::vec(line(), 1..6)) {
        let note = Note::new(text, lines).unwrap();
        prop_assert_eq!(Note::parse(note.to_string().as_bytes()), Ok(note));
    }

    #[test]
    fn what_is_read_is_written_the_same(bytes in "(uno|\n|\u{2014} |a\\.b|AAAAAAE=| ){0,12}\n") {
        if let Ok(note) = Note::parse(bytes.as_bytes()) {
            prop_assert_eq!(note.to_string(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Note::parse(&bytes);
        let _ = LogProof::parse(&bytes);
        let _ = String::from_utf8_lossy(&bytes).parse::<NoteKey>();
        let _ = Checkpoint::parse(&String::from_utf8_lossy(&bytes));
    }
}
