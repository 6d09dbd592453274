//! What a file says that holds.

use super::sample::{MESSAGE, NOW, Sample, WITNESSED_S, desk, name};
use crate::evidence::{EvidenceError, make, verify};
use crate::model::id::{DirectoryVersion, Index, UnixMicros};
use crate::model::receipt::{Action, Stage};
use crate::proof::{SignatureLine, UnixSeconds};

#[test]
fn what_happened_is_told_as_it_was_signed() {
    let sample = Sample::new();
    let (bytes, made) = make(sample.evidence(), sample.trust()).unwrap();
    let proved = verify(&bytes, sample.trust()).unwrap();
    assert_eq!(proved, made);
    assert!(proved.is_witnessed());
    assert_eq!(proved.not_after(), UnixSeconds::new(WITNESSED_S + 1), "two of three are enough");
    assert_eq!(proved.journal.witnessed.by.len(), 3);
    assert_eq!(proved.directory_witnessed(), DirectoryVersion(2));
    let published = &proved.published;
    assert_eq!((published.index, published.recorded), (MESSAGE, UnixMicros(NOW.0 + 2_000_000)));
    assert_eq!((&published.sender, &published.institution), (&desk("ohchr-honduras"), &name("ohchr")));
    assert_eq!(published.recipients.len(), 2);
    assert_eq!(published.not_before.as_ref().unwrap().recorded, NOW);
    let stages: Vec<_> = proved.statements.iter().map(|it| (it.desk.office.as_str(), it.stage)).collect();
    let expected = [
        ("iachr", Stage::Received),
        ("ohchr-mexico", Stage::Received),
        ("iachr", Stage::Read),
        ("iachr", Stage::Acted),
    ];
    assert_eq!(stages, expected);
    assert_eq!(
        proved.statements.iter().map(|it| it.attended).collect::<Vec<_>>(),
        [false, false, true, true]
    );
    let acted = &proved.statements[3];
    assert_eq!(
        (acted.action, acted.officer.as_ref().unwrap().name.as_str()),
        (Some(Action::AskedState), "María Pérez")
    );
    assert_eq!((proved.missed.len(), proved.missed[0].stage), (1, Some(Stage::Read)));
    assert_eq!(proved.erased[0].ordered.as_ref().unwrap().reason, "sent twice");
}

#[test]
fn without_notes_nobody_is_named_and_all_else_holds() {
    let sample = Sample { notes: Vec::new(), ..Sample::new() };
    let (_, proved) = make(sample.evidence(), sample.trust()).unwrap();
    assert!(proved.statements.iter().all(|it| it.officer.is_none()));
    assert_eq!(proved.statements.len(), 4);
}

#[test]
fn with_too_few_witnesses_it_holds_and_says_so() {
    for witnesses in [0, 1] {
        let sample = Sample { witnesses, ..Sample::new() };
        let (_, proved) = make(sample.evidence(), sample.trust()).unwrap();
        assert!(!proved.is_witnessed());
        assert_eq!((proved.not_after(), proved.directory_witnessed()), (None, DirectoryVersion(0)));
        assert_eq!(proved.journal.witnessed.by.len(), witnesses);
    }
}

#[test]
fn where_nobody_bears_witness_to_the_directory_it_holds_and_says_so() {
    let sample = Sample::new();
    let mut given = sample.evidence();
    given.directory_checkpoint = None;
    let (_, proved) = make(given.clone(), sample.trust()).unwrap();
    assert!(!proved.is_witnessed() && proved.not_after().is_some());
    // Of what came into the directory after all that is told, nobody need bear witness yet.
    let first = Sample { size: 3, about: vec![MESSAGE], notes: Vec::new(), ..sample.clone() };
    given.directory_checkpoint = first.evidence().directory_checkpoint;
    let (_, proved) = make(given.clone(), sample.trust()).unwrap();
    assert!(!proved.is_witnessed() && proved.directory_witnessed() == DirectoryVersion(1));
    given.entries.truncate(1);
    given.notes.clear();
    let (_, proved) = make(given, sample.trust()).unwrap();
    assert!(proved.is_witnessed());
}

#[test]
fn a_file_may_have_any_part_of_what_was_said_and_then_proves_that_part() {
    let sample = Sample { about: vec![MESSAGE, Index(5)], notes: Vec::new(), ..Sample::new() };
    let (_, proved) = make(sample.evidence(), sample.trust()).unwrap();
    assert_eq!(proved.statements.len(), 1);
}

#[test]
fn lines_of_others_are_left_out_of_a_file_and_refused_in_one() {
    let sample = Sample::new();
    let mut given = sample.evidence();
    let stranger: SignatureLine = "\u{2014} example.org/w AAAAAQAAAAA=".parse().unwrap();
    let text = format!("{}{stranger}\n", String::from_utf8_lossy(&given.journal_checkpoint));
    given.journal_checkpoint = text.into_bytes().into();
    let refused = verify(&given.to_bytes(), sample.trust());
    assert!(matches!(refused, Err(EvidenceError::Stranger { .. })), "{refused:?}");
    let (_, proved) = make(given, sample.trust()).unwrap();
    assert!(proved.is_witnessed());
}
