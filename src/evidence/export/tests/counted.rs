//! What an export that holds says in numbers.

use std::collections::{BTreeMap, BTreeSet};

use super::history::History;
use crate::evidence::export::{Frame, Statistics};
use crate::evidence::tests::sample::{NOW, WITNESSED_S, keys, name};
use crate::model::entry::EntryKind;
use crate::model::envelope::MessageClass;
use crate::model::id::{DirectoryVersion, UnixMicros};
use crate::model::receipt::Stage;
use crate::proof::UnixSeconds;

const A: &str = "iachr";
const B: &str = "ohchr-honduras";
const C: &str = "ohchr-mexico";

/// Founding, a message to two, another to one, and what came of them: an entry a second.
fn happened() -> History {
    let mut history = History::founded();
    let one = history.publish(B, &[A, C], Some(4)); // 1
    let two = history.publish(C, &[A], None); // 2
    history.received(A, &[one, two]); // 3
    history.received(C, &[one]); // 4
    history.read(A, one); // 5: at the last moment
    history.read(A, one); // 6: again
    history.missed(C, one, 4); // 7
    history.amend(30); // 8
    history.read(C, one); // 9: too late
    history.noise(); // 10
    history
}

fn none() -> BTreeSet<u64> {
    BTreeSet::new()
}

#[test]
fn figures_are_those_of_what_happened() {
    let proved = happened().export(0, 11, &none()).verify().unwrap();
    assert!(proved.is_witnessed());
    assert_eq!(proved.journal.witnessed.reached_at, UnixSeconds::new(WITNESSED_S + 1));
    assert_eq!((proved.entries(), proved.directory_needed), (11, DirectoryVersion(2)));
    let Statistics { shown, hidden, recorded, real, others, uncounted, elsewhere, .. } = &proved.statistics;
    let kinds: Vec<_> = shown.iter().map(|(kind, count)| (*kind, *count)).collect();
    let expected = [
        (EntryKind::Directory, 2),
        (EntryKind::Publish, 2),
        (EntryKind::Receipt, 5),
        (EntryKind::Refusal, 1),
        (EntryKind::Overdue, 1),
    ];
    assert_eq!(kinds, expected);
    assert_eq!((*hidden, uncounted.count, others.is_empty()), (0, 0, true), "{uncounted:?}");
    assert_eq!(*recorded, Some((NOW, UnixMicros(NOW.0 + 10_000_000))));
    assert!(elsewhere.is_empty());
    let alert = MessageClass::Alert;
    assert_eq!(real.classes(), BTreeMap::from([(alert, 2)]));
    assert_eq!(real.published[&(alert, name(B))], 1);
    let (a, c) = (&real.offices[&(alert, name(A))], &real.offices[&(alert, name(C))]);
    assert_eq!((a.messages, c.messages), (2, 1));
    let received = a.stage(Stage::Received);
    assert_eq!((received.count(), received.longest_us()), (2, Some(2_000_000)));
    let near =
        |found: Option<u64>, exact: u64| found.is_some_and(|it| it >= exact && it - exact <= exact / 128);
    assert!(near(received.median_us(), 1_000_000), "{received:?}");
    assert!(near(received.p90_us(), 2_000_000));
    let read = [a, c].map(|it| (it.stage(Stage::Read).count(), it.stage(Stage::Read).longest_us()));
    assert_eq!(read, [(1, Some(4_000_000)), (1, Some(8_000_000))], "a repetition counts nothing");
    assert_eq!([a, c].map(|it| it.missed(Stage::Read)), [0, 1]);
    let all = real.of_class(alert);
    assert_eq!((all.messages, all.stage(Stage::Read).count(), all.missed(Stage::Read)), (3, 2, 1));
}

#[test]
fn a_part_counts_what_is_of_messages_before_it_apart() {
    let proved = happened().export(2, 10, &none()).verify().unwrap();
    let Statistics { elsewhere, missed_elsewhere, real, uncounted, .. } = &proved.statistics;
    assert_eq!((proved.entries(), uncounted.count), (8, 0));
    assert_eq!(real.classes(), BTreeMap::from([(MessageClass::Alert, 1)]));
    let expected = [((name(A), Stage::Received), 1), ((name(A), Stage::Read), 2)];
    let of_c = [((name(C), Stage::Received), 1), ((name(C), Stage::Read), 1)];
    assert_eq!(*elsewhere, expected.into_iter().chain(of_c).collect());
    assert_eq!(*missed_elsewhere, BTreeMap::from([(name(C), 1)]));
}

#[test]
fn what_is_hidden_is_told_and_not_counted() {
    let mut export = happened().export(0, 11, &BTreeSet::from([2, 10]));
    // Of the receipt about both messages, only what is about the first one is opened.
    export.shown(2).covers.truncate(1);
    let proved = export.verify().unwrap();
    let Statistics { hidden, covers_hidden, real, elsewhere, .. } = &proved.statistics;
    assert_eq!((*hidden, *covers_hidden), (2, 1));
    assert_eq!(real.offices[&(MessageClass::Alert, name(A))].messages, 1);
    assert!(elsewhere.is_empty());
    assert_eq!(proved.statistics.shown_count(), 9);
}

#[test]
fn entries_that_do_not_count_are_told_and_change_no_figure() {
    let mut history = happened(); // 11 on
    let before = history.export(0, 11, &none()).verify().unwrap().statistics;
    history.again(1);
    history.received(B, &[2]);
    history.stated(C, Stage::Read, 1, &keys(A)[0]);
    history.stated(C, Stage::Read, 1, &keys(C)[1]);
    history.missed(A, 1, 4);
    history.missed(C, 1, 4);
    history.missed(C, 1, 3);
    history.missed(B, 1, 4);
    let proved = history.export(0, 19, &none()).verify().unwrap();
    let Statistics { uncounted, real, elsewhere, .. } = &proved.statistics;
    let why: Vec<_> = uncounted.first.iter().map(|(index, why)| (index.0, why.as_str())).collect();
    assert_eq!(uncounted.count, 8, "{why:#?}");
    for (index, words) in [
        (11, "repeats entry 1"),
        (12, "was not for ohchr-honduras"),
        (13, "is none of"),
        (14, "while nobody is there"),
        (15, "had stated that, or more, in time"),
        (16, "said before"),
        (17, "was not asked"),
        (18, "was not for ohchr-honduras"),
    ] {
        assert!(why.iter().any(|it| it.0 == index && it.1.contains(words)), "{index}: {words}: {why:#?}");
    }
    assert_eq!((real, elsewhere), (&before.real, &before.elsewhere));
}

/// Which entry it is about, the hub says; which message, who signs it.
#[test]
fn an_order_to_erase_counts_once_for_its_message_whatever_entry_the_hub_names() {
    let mut history = History::founded();
    let one = history.publish(B, &[A], None); // 1
    let two = history.publish(B, &[A], None); // 2
    history.erased(B, one, two); // 3: of the other
    for named in [one, one, 70] {
        history.erased(B, one, named); // 4 to 6
    }
    let proved = history.export(0, 7, &none()).verify().unwrap();
    let Statistics { erasures_ordered, uncounted, .. } = &proved.statistics;
    let why: Vec<_> = uncounted.first.iter().map(|(index, why)| (index.0, why.as_str())).collect();
    assert_eq!(*erasures_ordered, 1, "{why:#?}");
    let names = "the message is in entry 1, and the hub names entry";
    for (place, (index, words)) in [(3, names), (5, "ordered before"), (6, names)].into_iter().enumerate() {
        assert!(why[place].0 == index && why[place].1.contains(words), "{why:#?}");
    }
    let proved = history.export(3, 7, &none()).verify().unwrap();
    assert_eq!(proved.statistics.erasures_ordered, 1, "of a message that is not shown");
}

#[test]
fn whoever_reads_is_told_how_far() {
    let export = happened().export(3, 9, &none());
    let mut told = Vec::new();
    super::super::verify(&export.bytes()[..], export.trust, &mut |done, all| told.push((done, all))).unwrap();
    assert_eq!(told, (1..=6).map(|done| (done, 6)).collect::<Vec<_>>());
    assert!(matches!(export.frames[0], Frame::Head(_)));
}
