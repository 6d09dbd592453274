//! What is tried on an export: each is refused, with the reason; what can only hide is told.

use std::collections::BTreeSet;

use super::history::{Export, History, verified};
use crate::evidence::EvidenceError as B;
use crate::evidence::export::{EXPORT_MAGIC, ExportError as E, Frame, Opened};
use crate::model::id::Index;
use crate::proof::{PathError, TreeHash};
use crate::wire::trust::Trust;

const A: &str = "iachr";
const C: &str = "ohchr-mexico";

type Altering = fn(&mut Export);
type Refused = fn(&E) -> bool;

/// Entries 1 to 8 of 9: 1 a message, 2 another, 3 what both received, 4 of the directory, 5 read, 6 hidden, 7 noise.
fn happened() -> Export {
    let mut history = History::founded();
    let one = history.publish(C, &[A], None);
    let two = history.publish(C, &[A], None);
    history.received(A, &[one, two]);
    history.amend(30);
    history.read(A, one);
    history.received(A, &[two]);
    history.noise();
    history.noise();
    history.export(1, 8, &BTreeSet::from([6]))
}

fn root(error: &E) -> bool {
    matches!(error, E::Root(PathError::Root { .. }))
}

fn covers(error: &E) -> bool {
    matches!(error, E::Covers { .. })
}

const BY_WHO_HAS_THE_FILE: &[(&str, Altering, Refused)] = &[
    ("an entry's time", |it| it.shown(0).time.0 += 1, root),
    ("an entry's identity", |it| it.shown(0).identity.push('x'), root),
    ("an entry's kind", |it| it.shown(5).kind = crate::model::entry::EntryKind::Clock, root),
    ("an entry's nonce", |it| it.shown(0).nonce[0] ^= 1, root),
    ("an entry's statement", |it| it.shown(5).statement = bytes::Bytes::from_static(b"something more"), root),
    (
        "an entry removed",
        |it| {
            let place = it.range() + 4;
            it.frames.remove(place);
        },
        |e| matches!(e, E::Cut { .. }),
    ),
    (
        "an entry removed, and the range made smaller",
        |it| {
            let place = it.range() + 4;
            it.frames.remove(place);
            it.head().until.0 -= 1;
        },
        |e| matches!(e, E::Root(PathError::Length { .. } | PathError::Root { .. })),
    ),
    (
        "the last left out, and the range made smaller",
        |it| {
            it.frames.pop();
            it.head().until.0 -= 1;
        },
        |e| matches!(e, E::Root(PathError::Length { .. })),
    ),
    (
        "the first left out, and the range made smaller",
        |it| {
            let place = it.range();
            it.frames.remove(place);
            it.head().from.0 += 1;
        },
        root,
    ),
    (
        "entries moved",
        |it| {
            let place = it.range();
            it.frames.swap(place + 4, place + 5);
        },
        root,
    ),
    (
        "an entry twice",
        |it| {
            let again = it.frames.last().unwrap().clone();
            it.frames.push(again);
        },
        |e| matches!(e, E::Further { .. }),
    ),
    (
        "the first removed",
        |it| {
            let place = it.range();
            it.frames.remove(place);
        },
        |e| matches!(e, E::Time { index: 4, .. }),
    ),
    (
        "another record of what is hidden",
        |it| {
            let place = it.range() + 4;
            let Frame::Hidden(record) = &mut it.frames[place] else { panic!("6 is hidden") };
            record.0[0] ^= 1;
        },
        root,
    ),
    (
        "another range",
        |it| it.head().from.0 -= 1,
        |e| matches!(e, E::Edge { from: 0, found: 1, expected: 0 }),
    ),
    ("no range", |it| it.head().until = Index(1), |e| matches!(e, E::Range { .. })),
    (
        "a range beyond the checkpoint",
        |it| it.head().until = Index(10),
        |e| matches!(e, E::Range { size: 9, .. }),
    ),
    ("another edge", |it| it.head().edge[0].0[0] ^= 1, root),
    ("another growth", |it| it.head().consistency[0].0[0] ^= 1, root),
    (
        "a longer growth",
        |it| it.head().consistency.push(TreeHash([0; 32])),
        |e| matches!(e, E::Root(PathError::Length { .. })),
    ),
    (
        "a growth without end",
        |it| it.head().consistency = vec![TreeHash([0; 32]); 64],
        |e| matches!(e, E::Root(PathError::Length { .. })),
    ),
    (
        "the directory's checkpoint for the journal's",
        |it| {
            let other = it.head().directory_checkpoint.clone().unwrap();
            it.head().journal_checkpoint = other;
        },
        |e| matches!(e, E::Basis(B::Checkpoint { .. })),
    ),
    (
        "the founding withheld",
        |it| {
            it.frames.remove(1);
            it.head().directory -= 1;
        },
        |e| matches!(e, E::Basis(B::Founding(_))),
    ),
    (
        "an entry of the directory hidden",
        |it| {
            let Frame::Directory(entry) = it.frames.remove(2) else { panic!("the second") };
            it.head().directory -= 1;
            let place = it.range() + 3;
            it.frames.insert(place, Frame::Hidden(entry.record()));
        },
        |e| matches!(e, E::Basis(B::DirectoryShort { .. })),
    ),
    (
        "an entry of the directory shown as another, without the directory's checkpoint",
        |it| {
            let Frame::Directory(entry) = it.frames.remove(2) else { panic!("the second") };
            it.head().directory -= 1;
            it.head().directory_checkpoint = None;
            let place = it.range() + 3;
            let crate::evidence::Entry { time, kind, identity, statement, nonce, .. } = entry;
            let covers = Vec::new();
            let shown = super::super::Shown { time, kind, identity, statement, nonce, covers };
            it.frames.insert(place, Frame::Shown(shown));
        },
        |e| matches!(e, E::LeftOut { index: 4 }),
    ),
    (
        "the directory's entries moved",
        |it| it.frames.swap(1, 2),
        |e| matches!(e, E::Basis(B::Order { index: 0 })),
    ),
    (
        "an entry of the range in the directory",
        |it| {
            let place = it.range();
            let entry = it.frames.remove(place);
            it.frames.insert(1, entry);
        },
        |e| matches!(e, E::Place { found: "an entry of the range", .. }),
    ),
    ("a head twice", |it| it.frames.push(it.frames[0].clone()), |e| matches!(e, E::Further { .. })),
    (
        "a head in the range",
        |it| {
            let place = it.range();
            it.frames[place] = it.frames[0].clone();
        },
        |e| matches!(e, E::Place { found: "a head", .. }),
    ),
    (
        "no head",
        |it| {
            it.frames.remove(0);
        },
        |e| matches!(e, E::Place { expected: "a head", .. }),
    ),
    ("nothing", |it| it.frames.clear(), |e| matches!(e, E::Cut { .. })),
    ("a cover's salt", |it| it.shown(2).covers[0].salt[0] ^= 1, covers),
    ("a cover's digest", |it| it.shown(2).covers[1].digest[0] ^= 1, covers),
    (
        "a cover's message",
        |it| {
            let other = it.shown(2).covers[0].message_id;
            it.shown(2).covers[1].message_id = other;
        },
        covers,
    ),
    ("a cover's place", |it| it.shown(2).covers[1].place = 2, covers),
    (
        "covers moved",
        |it| it.shown(2).covers.swap(0, 1),
        |e| matches!(e, E::Frame { found, .. } if found.contains("ascending")),
    ),
    ("no cover opened", |it| it.shown(2).covers.clear(), covers),
    ("a person's cover not opened", |it| it.shown(3).covers.clear(), covers),
    (
        "a cover where none is",
        |it| {
            let cover: Opened = it.shown(2).covers[0];
            it.shown(0).covers.push(cover);
        },
        covers,
    ),
];

#[test]
fn whoever_has_the_file_changes_nothing_in_it() {
    assert!(happened().verify().unwrap().is_witnessed());
    for (what, alter, refused) in BY_WHO_HAS_THE_FILE {
        let mut export = happened();
        alter(&mut export);
        match export.verify() {
            Ok(_) => panic!("{what}: it holds"),
            Err(error) => assert!(refused(&error), "{what}: {error:?}"),
        }
    }
}

/// It cannot be prevented, and it is told: a file with nothing hidden has all.
#[test]
fn whoever_has_the_file_may_hide_more_and_that_is_told() {
    let mut export = happened();
    let before = export.verify().unwrap();
    let place = export.range();
    let record = export.shown(0).record(Index(1));
    export.frames[place] = Frame::Hidden(record);
    let after = export.verify().unwrap();
    assert_eq!((before.statistics.hidden, after.statistics.hidden), (1, 2));
    assert_eq!((before.statistics.shown_count(), after.statistics.shown_count()), (6, 5));
}

#[test]
fn whoever_trusts_another_founding_refuses_it() {
    let error = verified(&happened().bytes(), Trust { founding: [7; 32] }).unwrap_err();
    assert!(matches!(error, E::Basis(B::Founding(_) | B::Checkpoint { .. })), "{error:?}");
}

#[test]
fn without_enough_witnesses_it_holds_and_says_so() {
    let mut export = happened();
    let text = String::from_utf8(export.head().journal_checkpoint.to_vec()).unwrap();
    let less = |it: &&str| !it.contains("ohchr-mexico") && !it.contains("ohchr-honduras");
    let kept: String = text.split_inclusive('\n').filter(less).collect();
    export.head().journal_checkpoint = kept.into_bytes().into();
    assert!(!export.verify().unwrap().is_witnessed());
    let mut export = happened();
    export.head().directory_checkpoint = None;
    assert!(
        !export.verify().unwrap().is_witnessed(),
        "nobody says that nothing of the directory was left out"
    );
}

#[test]
fn a_file_that_was_cut_is_refused_wherever_it_was() {
    let export = happened();
    let bytes = export.bytes();
    for at in (0..bytes.len()).step_by(211).chain([1, 18, 19, 20, 23, bytes.len() - 1]) {
        let error = verified(&bytes[..at], export.trust).unwrap_err();
        let expected = if at < EXPORT_MAGIC.len() {
            matches!(error, E::Magic)
        } else {
            matches!(error, E::Cut { at: found } if found == at as u64)
        };
        assert!(expected, "{at}: {error:?}");
    }
    let error = verified(&[&bytes[..], &[0]].concat(), export.trust).unwrap_err();
    assert!(matches!(error, E::Cut { .. }), "{error:?}");
    let long = [EXPORT_MAGIC, &[0xff; 8]].concat();
    let error = verified(&long, export.trust).unwrap_err();
    assert!(matches!(error, E::FrameBytes { at: 19, found: 0xffff_ffff }), "{error:?}");
}
