//! Forgeries by who has the file alone, or the hub and its keys: each is refused for its own reason, or is not witnessed.

use bytes::Bytes;
use prost::Message as _;

use super::sample::Sample;
use crate::evidence::{Evidence, EvidenceError as E, Note, verify};
use crate::model::entry::EntryKind;
use crate::model::id::{Index, UnixMicros};
use crate::model::refusal::Reason;
use crate::proof::{CheckpointError, InclusionProof, LineError, PathError};
use crate::wire::proto;
use crate::wire::trust::Trust;

type Altering = fn(&mut Evidence);
type Refused = fn(&E) -> bool;

fn text(note: &Bytes) -> String {
    String::from_utf8(note.to_vec()).unwrap()
}

/// Leaves out the lines of a note that hold some words.
fn without(note: &mut Bytes, words: &str, most: usize) {
    let mut left = most;
    let mut out = String::new();
    for line in text(note).split_inclusive('\n') {
        if left > 0 && line.contains(words) {
            left -= 1;
        } else {
            out.push_str(line);
        }
    }
    assert!(left < most, "{words} stands there");
    *note = out.into_bytes().into();
}

/// Changes a character of the signature in a line of a note.
fn flipped(note: &mut Bytes, words: &str) {
    let whole = text(note);
    let line = whole.lines().find(|it| it.starts_with('\u{2014}') && it.contains(words)).unwrap();
    let at = line.len() - 20;
    let other = if line.as_bytes()[at] == b'A' { "B" } else { "A" };
    let changed = format!("{}{other}{}", &line[..at], &line[at + 1..]);
    *note = whole.replace(line, &changed).into_bytes().into();
}

fn flip(bytes: &mut Bytes, at: usize) {
    let mut changed = bytes.to_vec();
    changed[at] ^= 1;
    *bytes = changed.into();
}

fn path_of(error: &E, at: u64) -> bool {
    matches!(error, E::Path { index, error: PathError::Root { .. } } if *index == at)
}

const BY_WHO_HAS_THE_FILE: &[(&str, Altering, Refused)] = &[
    ("another time", |it| it.entries[0].time.0 += 1, |e| path_of(e, 2)),
    ("another identity", |it| it.entries[1].identity.push('x'), |e| path_of(e, 4)),
    ("another kind", |it| it.entries[5].kind = EntryKind::Receipt, |e| path_of(e, 8)),
    ("another statement", |it| flip(&mut it.entries[0].statement, 40), |e| path_of(e, 2)),
    ("another nonce", |it| it.entries[0].nonce[0] ^= 1, |e| path_of(e, 2)),
    ("another index", |it| it.entries[6].index = Index(10), |e| matches!(e, E::Path { index: 10, .. })),
    (
        "an index beyond the tree",
        |it| it.entries[6].index = Index(11),
        |e| matches!(e, E::Path { index: 11, error: PathError::Index { .. } }),
    ),
    (
        "another path",
        |it| {
            let mut hashes = it.entries[0].path.hashes().to_vec();
            hashes[0].0[0] ^= 1;
            it.entries[0].path = InclusionProof::from_hashes(hashes).unwrap();
        },
        |e| path_of(e, 2),
    ),
    (
        "a path cut short",
        |it| {
            let hashes = it.entries[0].path.hashes();
            it.entries[0].path = InclusionProof::from_hashes(hashes[1..].to_vec()).unwrap();
        },
        |e| matches!(e, E::Path { error: PathError::Length { .. }, .. }),
    ),
    (
        "entries exchanged",
        |it| {
            let one = it.entries[1].clone();
            it.entries[1] = crate::evidence::Entry { index: one.index, ..it.entries[2].clone() };
        },
        |e| path_of(e, 4),
    ),
    ("entries moved", |it| it.entries.swap(1, 2), |e| matches!(e, E::Order { index: 4 })),
    (
        "an entry twice",
        |it| {
            let again = it.entries[1].clone();
            it.entries.insert(1, again);
        },
        |e| matches!(e, E::Order { .. }),
    ),
    (
        "without the message",
        |it| {
            it.entries.remove(0);
        },
        |e| matches!(e, E::NoMessage),
    ),
    (
        "without anything",
        |it| {
            it.entries.clear();
        },
        |e| matches!(e, E::NoMessage),
    ),
    (
        "another cover's place",
        |it| it.entries[1].cover.as_mut().unwrap().0 = 0,
        |e| matches!(e, E::Statement { index: 4, refusal } if refusal.reason == Reason::FieldInvalid),
    ),
    (
        "another cover's salt",
        |it| it.entries[1].cover.as_mut().unwrap().1[0] ^= 1,
        |e| matches!(e, E::Statement { index: 4, refusal } if refusal.reason == Reason::FieldInvalid),
    ),
    ("no cover opened", |it| it.entries[1].cover = None, |e| matches!(e, E::Opening { index: 4 })),
    (
        "a cover where none is",
        |it| it.entries[0].cover = Some((0, [0; 16])),
        |e| matches!(e, E::Opening { index: 2 }),
    ),
    ("no directory", |it| it.directory.clear(), |e| matches!(e, E::Founding(_))),
    (
        "the founding withheld",
        |it| {
            it.directory.remove(0);
        },
        |e| matches!(e, E::Founding(_)),
    ),
    (
        "an entry of the directory withheld",
        |it| {
            it.directory.remove(1);
        },
        |e| matches!(e, E::DirectoryShort { size: 2, found: 1 }),
    ),
    ("the founding's time", |it| it.directory[0].time.0 -= 1, |e| path_of(e, 0)),
    (
        "the directory's statement",
        |it| flip(&mut it.directory[1].statement, 60),
        |e| matches!(e, E::Directory { index: 3, .. }),
    ),
    (
        "something else in the directory",
        |it| {
            let other = it.entries.remove(1);
            it.directory.push(other);
        },
        |e| matches!(e, E::Kind { index: 4, .. }),
    ),
    (
        "the directory among the rest",
        |it| {
            let other = it.directory.pop().unwrap();
            it.entries.insert(1, other);
            it.directory_checkpoint = None;
        },
        |e| matches!(e, E::Kind { index: 3, .. }),
    ),
    (
        "the other log's checkpoint",
        |it| it.journal_checkpoint = it.directory_checkpoint.clone().unwrap(),
        |e| matches!(e, E::Checkpoint { log: "journal", error: CheckpointError::OtherLog { .. } }),
    ),
    (
        "the journal's checkpoint for the directory's",
        |it| it.directory_checkpoint = Some(it.journal_checkpoint.clone()),
        |e| matches!(e, E::DirectoryShort { .. } | E::Checkpoint { log: "directory", .. }),
    ),
    (
        "another size",
        |it| {
            it.journal_checkpoint =
                text(&it.journal_checkpoint).replacen("\n11\n", "\n12\n", 1).into_bytes().into();
        },
        |e| {
            matches!(
                e,
                E::Checkpoint { log: "journal", error: CheckpointError::Signature(LineError::Failed { .. }) }
            )
        },
    ),
    (
        "the hub's signature by Ed25519 changed",
        |it| flipped(&mut it.journal_checkpoint, "/journal "),
        |e| matches!(e, E::Checkpoint { error: CheckpointError::Signature(LineError::Failed { .. }), .. }),
    ),
    (
        "one of the hub's signatures missing",
        |it| without(&mut it.journal_checkpoint, "/journal ", 1),
        |e| matches!(e, E::Checkpoint { error: CheckpointError::Signature(LineError::Missing { .. }), .. }),
    ),
    (
        "both of the hub's signatures missing",
        |it| without(&mut it.journal_checkpoint, "/journal ", 2),
        |e| matches!(e, E::Checkpoint { error: CheckpointError::Signature(LineError::Missing { .. }), .. }),
    ),
    (
        "one line of a witness missing",
        |it| without(&mut it.journal_checkpoint, "mexico", 1),
        |e| matches!(e, E::Half { .. }),
    ),
    (
        "one line of a witness of the directory missing",
        |it| without(it.directory_checkpoint.as_mut().unwrap(), "mexico", 1),
        |e| matches!(e, E::Half { log: "directory", .. }),
    ),
    (
        "a witness's signature changed",
        |it| flipped(&mut it.journal_checkpoint, "mexico"),
        |e| matches!(e, E::Cosignature { log: "journal", error: LineError::Failed { .. } }),
    ),
    (
        "a witness renamed",
        |it| {
            it.journal_checkpoint = text(&it.journal_checkpoint)
                .replace("ohchr-mexico:desk-1", "ohchr-mexico:desk-2")
                .into_bytes()
                .into();
        },
        |e| matches!(e, E::Stranger { .. }),
    ),
    (
        "the directory's cosignatures under the journal's checkpoint",
        |it| {
            let lines = |note: &Bytes| {
                text(note).lines().filter(|it| it.contains("mexico")).map(str::to_owned).collect::<Vec<_>>()
            };
            let other = lines(it.directory_checkpoint.as_ref().unwrap());
            let mut whole = text(&it.journal_checkpoint);
            for (own, other) in lines(&it.journal_checkpoint).iter().zip(&other) {
                whole = whole.replace(own.as_str(), other);
            }
            it.journal_checkpoint = whole.into_bytes().into();
        },
        |e| matches!(e, E::Cosignature { error: LineError::Failed { .. }, .. }),
    ),
    ("no checkpoint", |it| it.journal_checkpoint = Bytes::new(), |e| matches!(e, E::Note { .. })),
    ("a note's key", |it| it.notes[0].file_key[0] ^= 1, |e| matches!(e, E::NoteSealed { index: 6, .. })),
    (
        "a note's bytes",
        |it| {
            let last = it.notes[0].sealed.len() - 1;
            flip(&mut it.notes[0].sealed, last);
        },
        |e| matches!(e, E::NoteDigest { index: 6 }),
    ),
    (
        "notes exchanged",
        |it| {
            let [one, two] = it.notes.as_mut_slice() else { panic!() };
            std::mem::swap(&mut one.sealed, &mut two.sealed);
            std::mem::swap(&mut one.file_key, &mut two.file_key);
        },
        |e| matches!(e, E::NoteDigest { .. }),
    ),
    (
        "a note with a machine's receipt",
        |it| it.notes[0].receipt = Index(4),
        |e| matches!(e, E::NoteAlone { index: 4 }),
    ),
    (
        "a note with no receipt",
        |it| it.notes[1].receipt = Index(99),
        |e| matches!(e, E::NoteAlone { index: 99 }),
    ),
];

#[test]
fn who_has_the_file_alone_cannot_make_it_say_something_else() {
    let sample = Sample::new();
    let good = sample.evidence();
    let mut wrong = Vec::new();
    for (what, alter, expected) in BY_WHO_HAS_THE_FILE {
        let mut altered = good.clone();
        alter(&mut altered);
        assert_ne!(altered, good, "{what} changes something");
        match verify(&altered.to_bytes(), sample.trust()) {
            Err(error) if expected(&error) => {}
            other => wrong.push(format!("{what}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn cosignatures_taken_out_leave_what_is_not_witnessed() {
    let sample = Sample::new();
    let mut altered = sample.evidence();
    without(&mut altered.journal_checkpoint, "ohchr-mexico", 2);
    assert!(verify(&altered.to_bytes(), sample.trust()).unwrap().is_witnessed(), "two are enough");
    without(&mut altered.journal_checkpoint, "ohchr-honduras", 2);
    let proved = verify(&altered.to_bytes(), sample.trust()).unwrap();
    assert!(!proved.is_witnessed() && proved.not_after().is_none());
}

#[test]
fn another_exchange_or_version_is_refused() {
    let sample = Sample::new();
    let bytes = sample.evidence().to_bytes();
    let foreign = verify(&bytes, Trust { founding: [1; 32] });
    assert!(matches!(foreign, Err(E::Founding(refusal)) if refusal.reason == Reason::FoundingForeign));
    let mut wire = proto::Evidence::decode(bytes.clone()).unwrap();
    wire.version = 2;
    let newer = verify(&wire.encode_to_vec().into(), sample.trust());
    assert!(matches!(newer, Err(E::Version { found: 2 })), "{newer:?}");
    let unknown = [&bytes[..], &[0x3a, 1, 0]].concat();
    let unknown = verify(&unknown.into(), sample.trust());
    assert!(matches!(unknown, Err(E::Form(_))), "{unknown:?}");
    assert!(matches!(verify(&Bytes::from_static(b"\xff"), sample.trust()), Err(E::Form(_))));
}

#[test]
fn a_hub_alone_has_no_witnesses_for_another_history() {
    let mut sample = Sample::new();
    let cosigned = text(&sample.evidence().journal_checkpoint);
    // A late receipt is moved before its deadline, and all that the hub signs is signed anew.
    sample.at(Index(6)).time = UnixMicros(sample.entries[5].time.0);
    sample.witnesses = 0;
    let trust = sample.trust();
    assert!(!verify(&sample.evidence().to_bytes(), trust).unwrap().is_witnessed());
    let mut forged = sample.evidence();
    let lines: String = cosigned.split_inclusive('\n').filter(|it| it.contains("desk-1")).collect();
    forged.journal_checkpoint = format!("{}{lines}", text(&forged.journal_checkpoint)).into_bytes().into();
    let refused = verify(&forged.to_bytes(), trust);
    assert!(matches!(refused, Err(E::Cosignature { error: LineError::Failed { .. }, .. })), "{refused:?}");
}

#[test]
fn a_checkpoint_of_a_directory_that_was_signed_in_another_way_is_refused() {
    let sample = Sample::new();
    let mut altered = sample.evidence();
    // ML-DSA signs each time anew: these are the same statements, and other bytes.
    altered.directory_checkpoint = Sample::new().evidence().directory_checkpoint;
    let refused = verify(&altered.to_bytes(), sample.trust());
    assert!(matches!(refused, Err(E::DirectoryRoot { size: 2, .. })), "{refused:?}");
}

#[test]
fn a_debug_shows_no_key() {
    let note = Note { receipt: Index(1), sealed: Bytes::new(), file_key: [77; 16] };
    assert!(!format!("{note:?}").contains("77"));
}
