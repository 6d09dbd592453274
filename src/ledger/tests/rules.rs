//! The rules of publishing and acknowledging, sentence by sentence.

use super::bench::*;
use crate::ledger::entry::{Outcome, Statement};
use crate::ledger::view::{Lane, Owed, OwedCount};
use crate::model::envelope::{CapMsgType, FileDigest, FileRef, MessageClass, Priority};
use crate::model::erasure::{Erasure, OrderedBy};
use crate::model::id::Index;
use crate::model::identity::Identity;
use crate::model::policy::Fact;
use crate::model::receipt::{Covered, Receipt, Stage};
use crate::model::refusal::{Reason, Refusal};

#[test]
fn publish_is_answered_with_its_index_and_time() {
    let mut bench = Bench::founded();
    let index = bench.next();
    let outcome = bench.one(by("iachr"), publish(envelope(1, "iachr", &["ohchr-mexico"])));
    let time = bench.view.decided().time;
    assert_eq!(outcome, Outcome::Accepted { index, time, duplicate: false });
    let known = bench.view.known(IACHR, id(1)).unwrap().unwrap();
    assert_eq!((known.index, known.time), (index, time));
    assert_eq!(bench.view.known(MEXICO, id(1)).unwrap(), None, "ids are an office's own");
}

#[test]
fn same_id_gets_the_first_answer_for_ever() {
    let mut bench = Bench::founded();
    let first = bench.one(by("iachr"), publish(envelope(1, "iachr", &["ohchr-mexico"])));
    let Outcome::Accepted { index, time, .. } = first else { panic!("{first:?}") };
    let again = Outcome::Accepted { index, time, duplicate: true };
    assert_eq!(bench.one(by("iachr"), publish(envelope(1, "iachr", &["ohchr-mexico"]))), again);
    // Past every window: memory keeps fewer ids and messages than this.
    for round in 0..40 {
        let messages = (0..100).map(|number| {
            (by("iachr"), publish(envelope(2 + round * 100 + number, "iachr", &["ohchr-mexico"])))
        });
        bench.batch(messages.collect());
    }
    assert_eq!(bench.one(by("iachr"), publish(envelope(1, "iachr", &["ohchr-mexico"]))), again);
    let mut bench = bench.reopened();
    assert_eq!(bench.one(by("iachr"), publish(envelope(1, "iachr", &["ohchr-mexico"]))), again);
    assert_eq!(bench.view.known(IACHR, id(1)).unwrap().unwrap().index, index);
    assert_eq!(bench.view.known(IACHR, id(80_000)).unwrap(), None);
}

#[test]
fn same_id_in_one_batch_is_accepted_once() {
    let mut bench = Bench::founded();
    let index = bench.next();
    let message = || (by("iachr"), publish(envelope(1, "iachr", &["ohchr-mexico"])));
    let outcomes = bench.batch(vec![message(), message()]);
    let indexes = outcomes.into_iter().map(|outcome| match outcome {
        Outcome::Accepted { index, duplicate, .. } => (index, duplicate),
        other => panic!("{other:?}"),
    });
    assert_eq!(indexes.collect::<Vec<_>>(), [(index, false), (index, true)]);
    assert_eq!(bench.view.owed_count(MEXICO), OwedCount { messages: 1, notices: 0 });
}

#[test]
fn same_id_with_other_bytes_is_refused() {
    let mut bench = Bench::founded();
    bench.send(1, "iachr", &["ohchr-mexico"]);
    let Statement::Publish { envelope, .. } = publish(envelope(1, "iachr", &["ohchr-mexico"])) else {
        panic!("not a message")
    };
    let other = || Statement::Publish { envelope: envelope.clone(), digest: [9; 32] };
    assert_eq!(bench.refused(by("iachr"), other()), Reason::IdReused);
    let mut bench = bench.reopened();
    assert_eq!(bench.refused(by("iachr"), other()), Reason::IdReused);
    assert_eq!(bench.view.owed_count(MEXICO).messages, 1);
}

#[test]
fn duplicate_is_answered_also_when_policy_has_changed() {
    let mut bench = Bench::founded();
    let index = bench.send(1, "ohchr-mexico", &["iachr"]);
    let closed =
        Fact::Stream { name: name("studies"), publishers: [name("iachr")].into(), subscribers: [].into() };
    let closed = bench.amendment(vec![closed]);
    bench.one(by("iachr"), closed);
    let again = bench.one(by("ohchr-mexico"), publish(envelope(1, "ohchr-mexico", &["iachr"])));
    assert!(matches!(again, Outcome::Accepted { index: first, duplicate: true, .. } if first == index));
    let new = publish(envelope(2, "ohchr-mexico", &["iachr"]));
    assert_eq!(bench.refused(by("ohchr-mexico"), new), Reason::StreamNotAllowed);
}

#[test]
fn policy_decides_as_of_the_entry() {
    let mut bench = Bench::founded();
    let to_all = || publish(envelope(1, "ohchr-honduras", &["iachr"]));
    let close = Fact::Stream { name: name("studies"), publishers: [].into(), subscribers: [].into() };
    let close = bench.amendment(vec![close]);
    let outcomes = bench.batch(vec![(by("ohchr-honduras"), to_all()), (by("iachr"), close), {
        (by("ohchr-honduras"), publish(envelope(2, "ohchr-honduras", &["iachr"])))
    }]);
    assert!(matches!(outcomes[0], Outcome::Accepted { .. }));
    assert!(matches!(&outcomes[2], Outcome::Refused(it) if it.reason == Reason::StreamNotAllowed));
}

#[test]
fn what_policy_does_not_give_is_refused() {
    let mut bench = Bench::founded();
    let advocacy = |sender, recipient| {
        publish(crate::model::envelope::Envelope {
            stream: name("advocacy"),
            ..envelope(1, sender, &[recipient])
        })
    };
    let to = |sender, recipient| publish(envelope(1, sender, &[recipient]));
    let auditor = Some(Identity::Auditor(name("both")));
    let unknown = crate::model::envelope::Envelope { stream: name("x"), ..envelope(1, "iachr", &["iachr"]) };
    let own = bench.amendment(vec![Fact::Institution(name("own"))]);
    let again = bench.amendment(vec![Fact::Institution(name("both"))]);
    let own_again = own.clone();
    for (caller, statement, reason) in [
        (by("iachr"), to("ohchr-mexico", "iachr"), Reason::SenderForeign),
        (by("nobody"), to("nobody", "iachr"), Reason::NotEnrolled),
        (auditor.clone(), to("iachr", "iachr"), Reason::RoleNotAllowed),
        (hub(), to("iachr", "iachr"), Reason::RoleNotAllowed),
        (None, to("iachr", "iachr"), Reason::IdentityMalformed),
        (by("iachr"), publish(unknown), Reason::StreamUnknown),
        (by("ohchr-mexico"), advocacy("ohchr-mexico", "iachr"), Reason::StreamNotAllowed),
        (by("iachr"), advocacy("iachr", "ohchr-honduras"), Reason::RecipientNotMember),
        (by("iachr"), to("iachr", "nobody"), Reason::OfficeUnknown),
        (by("iachr"), state(receipt("ohchr-mexico", Stage::Received, &[])), Reason::DeskForeign),
        (auditor.clone(), state(receipt("iachr", Stage::Received, &[])), Reason::RoleNotAllowed),
        (by("nobody"), state(receipt("nobody", Stage::Received, &[])), Reason::NotEnrolled),
        (by("nobody"), own.clone(), Reason::NotEnrolled),
        (auditor, own, Reason::RoleNotAllowed),
        (by("iachr"), again, Reason::FieldInvalid),
        (hub(), own_again, Reason::RoleNotAllowed),
        (by("iachr"), Statement::Undecodable(Refusal::new(Reason::Malformed, "x")), Reason::Malformed),
    ] {
        assert_eq!(bench.refused(caller.clone(), statement.clone()), reason, "{caller:?} {statement:?}");
    }
    for office in [IACHR, MEXICO, HONDURAS] {
        assert_eq!(bench.view.owed_count(office), OwedCount::default());
    }
    assert_eq!(bench.view.known(IACHR, id(1)).unwrap(), None);
    assert_eq!((bench.ledger.tally().refused, bench.ledger.tally().messages), (17, 0));
}

#[test]
fn update_and_cancel_count_only_from_the_alerts_own_sender() {
    let mut bench = Bench::founded();
    bench.send(1, "iachr", &["ohchr-mexico"]);
    bench.send(2, "ohchr-mexico", &["iachr"]);
    // One id, two offices: it names one's own.
    bench.send(3, "iachr", &["ohchr-mexico"]);
    bench.send(3, "ohchr-mexico", &["iachr"]);
    let mut number = 10;
    for stored in [false, true] {
        for (msg_type, references, accepted) in [
            (CapMsgType::Update, vec![1], true),
            (CapMsgType::Cancel, vec![1], true),
            (CapMsgType::Update, vec![2], false),
            (CapMsgType::Cancel, vec![2], false),
            (CapMsgType::Cancel, vec![1, 2], false),
            (CapMsgType::Update, vec![3], true),
            (CapMsgType::Cancel, vec![999], true),
            (CapMsgType::Ack, vec![2], true),
            (CapMsgType::Error, vec![2], true),
            (CapMsgType::Alert, vec![2], true),
        ] {
            number += 1;
            let mut it = envelope(number, "iachr", &["ohchr-mexico"]);
            it.msg_type = msg_type;
            it.references = references.iter().map(|number| id(*number)).collect();
            match bench.one(by("iachr"), publish(it)) {
                Outcome::Accepted { .. } => assert!(accepted, "{msg_type} {references:?}, stored {stored}"),
                Outcome::Refused(refusal) => {
                    assert!(!accepted, "{msg_type} {references:?}, stored {stored}");
                    assert_eq!(refusal.reason, Reason::ReferenceForeign);
                }
                other => panic!("{other:?}"),
            }
        }
        // Again with the ids in pages, and none of them in memory.
        let many = (0..3_000).map(|it| (by("iachr"), publish(envelope(1000 + it, "iachr", &["iachr"]))));
        if !stored {
            bench.batch(many.collect());
        }
    }
}

#[test]
fn outstanding_is_ordered_urgent_first_and_cleared_by_received() {
    let mut bench = Bench::founded();
    let normal = bench.send(1, "iachr", &["ohchr-mexico", "ohchr-honduras"]);
    let mut it = envelope(2, "iachr", &["ohchr-mexico"]);
    it.priority = Priority::Urgent;
    let urgent = bench.next();
    bench.one(by("iachr"), publish(it));
    let mut it = envelope(3, "iachr", &["ohchr-mexico"]);
    it.priority = Priority::Low;
    let low = bench.next();
    bench.one(by("iachr"), publish(it));
    assert_eq!(bench.owed(MEXICO), [urgent.0, normal.0, low.0]);
    assert_eq!(bench.owed(HONDURAS), [normal.0]);
    assert_eq!(bench.owed(IACHR), [0; 0]);
    let lane = |lane, from| bench.view.owed(MEXICO, lane, from, 1).unwrap();
    assert!(matches!(&lane(Lane::Other, Index(0))[..], [Owed::Message(it)] if it.index == normal));
    assert!(matches!(&lane(Lane::Other, normal.next())[..], [Owed::Message(it)] if it.index == low));
    assert!(lane(Lane::Other, low.next()).is_empty());

    let both = receipt("ohchr-mexico", Stage::Received, &[(normal, id(1)), (urgent, id(2))]);
    assert_eq!(bench.states(both).1, 2);
    assert_eq!(bench.owed(MEXICO), [low.0]);
    assert_eq!(bench.owed(HONDURAS), [normal.0], "receipts are an office's own");
    assert!(bench.view.is_owed(HONDURAS, normal) && !bench.view.is_owed(MEXICO, normal));
}

#[test]
fn reading_and_acting_imply_having_and_declining_does_not() {
    for (stage, clears) in [
        (Stage::Received, true),
        (Stage::Read, true),
        (Stage::Acted, true),
        (Stage::Declined, false),
        (Stage::Unreadable, false),
    ] {
        let mut bench = Bench::founded();
        let index = bench.send(1, "iachr", &["ohchr-mexico"]);
        assert_eq!(bench.states(receipt("ohchr-mexico", stage, &[(index, id(1))])).1, 1);
        assert_eq!(bench.owed(MEXICO).is_empty(), clears, "{stage}");
        let received = receipt("ohchr-mexico", Stage::Received, &[(index, id(1))]);
        let news = u32::from(stage != Stage::Received);
        assert_eq!(bench.states(received).1, news, "{stage}: the first of its stage is news");
        assert!(bench.owed(MEXICO).is_empty());
    }
}

#[test]
fn declined_and_unreadable_are_owed_to_the_sender_as_notices() {
    for stage in [Stage::Declined, Stage::Unreadable] {
        let mut bench = Bench::founded();
        let index = bench.send(1, "iachr", &["ohchr-mexico"]);
        let (notice, _) = bench.states(receipt("ohchr-mexico", stage, &[(index, id(1))]));
        assert_eq!(bench.view.owed(IACHR, Lane::Urgent, Index(0), 9).unwrap(), [Owed::Notice(notice)]);
        assert_eq!(bench.view.owed_count(IACHR), OwedCount { messages: 0, notices: 1 });
        bench.states(receipt("ohchr-mexico", stage, &[(index, id(1))]));
        assert_eq!(bench.owed(IACHR), [notice.0], "a repetition tells nothing new");

        let foreign = state(noticed("ohchr-honduras", &[notice]));
        assert_eq!(bench.refused(by("ohchr-honduras"), foreign), Reason::NotOwed);
        let mut bench = bench.reopened();
        assert_eq!(bench.owed(IACHR), [notice.0]);
        let (first, news) = bench.states(noticed("iachr", &[notice]));
        assert_eq!(news, 1);
        assert_eq!(bench.owed(IACHR), [0; 0]);
        assert_eq!(bench.states(noticed("iachr", &[notice])), (first, 0));
    }
}

#[test]
fn repeated_receipt_changes_nothing_and_says_so() {
    let mut bench = Bench::founded();
    let a = bench.send(1, "iachr", &["ohchr-mexico"]);
    let b = bench.send(2, "iachr", &["ohchr-mexico"]);
    let received = |of: &[(Index, u64)]| {
        let of: Vec<_> = of.iter().map(|(index, number)| (*index, id(*number))).collect();
        state(receipt("ohchr-mexico", Stage::Received, &of))
    };
    let first = bench.one(by("ohchr-mexico"), received(&[(a, 1)]));
    let second = bench.one(by("ohchr-mexico"), received(&[(a, 1), (b, 2)]));
    let Outcome::Recorded { index: first, time: first_time, news: 1, .. } = first else {
        panic!("{first:?}")
    };
    let Outcome::Recorded { index: second, time: second_time, news: 1, .. } = second else {
        panic!("{second:?}")
    };
    let recorded = |index, time| Outcome::Recorded { index, time, news: 0, about: Vec::new() };
    for _ in 0..2 {
        assert_eq!(bench.one(by("ohchr-mexico"), received(&[(a, 1)])), recorded(first, first_time));
        let last = bench.one(by("ohchr-mexico"), received(&[(a, 1), (b, 2)]));
        assert_eq!(last, recorded(second, second_time), "where several were first, the last of them");
        bench = bench.reopened();
    }
    let both = bench.batch(vec![(by("ohchr-mexico"), received(&[(b, 2)])); 2]);
    assert_eq!(both, vec![recorded(second, second_time); 2]);
}

#[test]
fn receipt_in_the_same_batch_as_its_first_gets_its_time() {
    let mut bench = Bench::founded();
    let index = bench.send(1, "iachr", &["ohchr-mexico"]);
    let read = state(receipt("ohchr-mexico", Stage::Read, &[(index, id(1))]));
    let first = bench.next();
    let outcomes = bench.batch(vec![(by("ohchr-mexico"), read); 2]);
    let time = bench.view.decided().time;
    let recorded = |news, about| Outcome::Recorded { index: first, time, news, about };
    assert_eq!(outcomes, [recorded(1, vec![IACHR]), recorded(0, vec![])]);
}

#[test]
fn receipt_for_what_was_never_owed_is_refused_whole() {
    let mut bench = Bench::founded();
    let owed = bench.send(1, "iachr", &["ohchr-mexico"]);
    let other = bench.send(2, "iachr", &["ohchr-honduras"]);
    let beyond = Index(other.0 + 1000);
    for messages in [
        vec![(other, id(2))],
        vec![(owed, id(2))],
        vec![(Index(0), id(1))],
        vec![(beyond, id(1))],
        vec![(owed, id(1)), (other, id(2))],
    ] {
        for stage in [Stage::Received, Stage::Read, Stage::Acted, Stage::Declined, Stage::Unreadable] {
            let stated = receipt("ohchr-mexico", stage, &messages);
            let door = bench.view.check_receipt(MEXICO, &stated).unwrap().unwrap_err();
            assert_eq!(door.reason, Reason::NotOwed, "{stage} {messages:?}");
            let stated = state(stated);
            assert_eq!(bench.refused(by("ohchr-mexico"), stated), Reason::NotOwed, "{stage} {messages:?}");
        }
    }
    // Neither the id nor the digest names a message alone.
    let good = receipt("ohchr-mexico", Stage::Received, &[(owed, id(1))]);
    let named = covered(owed, id(1));
    for half in [Covered { digest: [9; 32], ..named }, Covered { message_id: id(2), ..named }] {
        let stated = Receipt { messages: vec![half], ..good.clone() };
        assert_eq!(bench.view.check_receipt(MEXICO, &stated).unwrap().unwrap_err().reason, Reason::NotOwed);
        assert_eq!(bench.refused(by("ohchr-mexico"), state(stated)), Reason::NotOwed);
    }
    for notice in [Index(0), owed, beyond] {
        let stated = noticed("ohchr-mexico", &[notice]);
        assert_eq!(bench.view.check_receipt(MEXICO, &stated).unwrap().unwrap_err().reason, Reason::NotOwed);
        let stated = state(stated);
        assert_eq!(bench.refused(by("ohchr-mexico"), stated), Reason::NotOwed);
    }
    assert_eq!(bench.owed(MEXICO), [owed.0], "nothing followed from them");
    assert_eq!(bench.owed(IACHR), [0; 0]);
}

#[test]
fn file_belongs_to_the_messages_of_its_sender_that_name_it_and_to_no_other() {
    let digest = |byte| FileDigest([byte; 32]);
    let packet = |number, files: &[u8]| {
        let files = files.iter().map(|byte| FileRef { digest: digest(*byte), bytes: 5 }).collect();
        let class = MessageClass::Packet;
        let envelope = envelope(number, "iachr", &["ohchr-mexico"]);
        publish(crate::model::envelope::Envelope { class, files, ..envelope })
    };
    let mut bench = Bench::founded();
    let (first, second) = (bench.next(), Index(bench.next().0 + 1));
    bench.batch(vec![(by("iachr"), packet(1, &[1, 2])), (by("iachr"), packet(2, &[2, 3]))]);
    bench.refused(by("ohchr-mexico"), packet(3, &[4]));
    let needs = |bench: &Bench, byte| bench.view.needs_file(IACHR, &digest(byte)).unwrap();
    let hold = |bench: &Bench| {
        let has = |byte, index| bench.view.has_file(IACHR, &digest(byte), index).unwrap();
        assert_eq!([has(1, first), has(2, first), has(3, first)], [true, true, false]);
        assert_eq!([has(1, second), has(2, second), has(3, second)], [false, true, true]);
        assert!(!bench.view.has_file(MEXICO, &digest(2), first).unwrap(), "another office's");
        assert_eq!([1, 2, 3, 4].map(|byte| needs(bench, byte)), [true, true, true, false]);
    };
    hold(&bench);
    let mut bench = bench.reopened();
    hold(&bench);
    // One that is erased needs none, and has none any more.
    let order = ordered(OrderedBy::Desk(desk("iachr")), id(1));
    bench.batch(vec![(by("iachr"), Statement::Erasure(Erasure::Order { order, message: first }))]);
    assert_eq!([1, 2, 3].map(|byte| needs(&bench, byte)), [false, true, true]);
    assert!(!bench.view.has_file(IACHR, &digest(2), first).unwrap());
}
