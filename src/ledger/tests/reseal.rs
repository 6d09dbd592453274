//! Resealings: between which offices they go, about what, and that deciding says so also where no door did.

use super::bench::*;
use crate::ledger::entry::{Outcome, Statement};
use crate::model::envelope::{About, CapStatus, Envelope, MessageClass, Priority};
use crate::model::erasure::{Erasure, OrderedBy};
use crate::model::id::Index;
use crate::model::identity::Identity;
use crate::model::policy::Fact;
use crate::model::receipt::{MessageRef, Stage};
use crate::model::refusal::Reason;

/// A message on a stream to which `iachr` alone publishes.
fn message(number: u64) -> Envelope {
    Envelope { stream: name("advocacy"), ..envelope(number, "iachr", &["ohchr-mexico"]) }
}

/// What one office says to another of a message of `iachr`.
fn reseal(number: u64, from: &str, to: &str, of: u64) -> Envelope {
    let digest = covered(Index(0), id(of)).digest;
    let about = Some(About { office: name("iachr"), message_id: id(of), digest });
    let (class, stream) = (MessageClass::Reseal, name("advocacy"));
    Envelope { class, stream, about, ..envelope(number, from, &[to]) }
}

fn request(number: u64, of: u64) -> Envelope {
    reseal(number, "ohchr-mexico", "iachr", of)
}

fn answer(number: u64, of: u64) -> Envelope {
    reseal(number, "iachr", "ohchr-mexico", of)
}

fn sender(envelope: &Envelope) -> Option<Identity> {
    by(envelope.sender.office.as_str())
}

fn accepted(bench: &mut Bench, envelope: Envelope) -> Index {
    match bench.one(sender(&envelope), publish(envelope)) {
        Outcome::Accepted { index, duplicate: false, .. } => index,
        other => panic!("{other:?}"),
    }
}

fn refused(bench: &mut Bench, envelope: Envelope, words: &str) {
    let permit = bench.view.policy().permit_publish(&sender(&envelope).unwrap(), &envelope).unwrap();
    let at_door = bench.view.check_about(&permit, &envelope).unwrap().unwrap_err();
    let Outcome::Refused(decided) = bench.one(sender(&envelope), publish(envelope)) else {
        panic!("accepted: {words}")
    };
    assert_eq!(decided, at_door, "the door says what deciding does");
    assert_eq!((decided.reason, decided.field), (Reason::ResealNotAllowed, "about"));
    assert!(decided.message.contains(words), "{decided}");
}

#[test]
fn a_resealing_goes_between_the_sender_of_a_message_and_an_office_that_it_was_for() {
    let mut bench = Bench::founded();
    let of = accepted(&mut bench, message(1));
    let about = Some(MessageRef { index: of, message_id: id(1) });
    // One that may publish nothing to the stream asks, and is answered.
    for (number, envelope) in [(2, request(2, 1)), (3, answer(3, 1))] {
        let index = accepted(&mut bench, envelope);
        assert_eq!(bench.view.message(index).unwrap().unwrap().about, about, "{number}");
    }
    for round in 0..2 {
        let at = 10 + 20 * round;
        let none = "none that both offices have";
        refused(&mut bench, reseal(at, "ohchr-honduras", "iachr", 1), none);
        refused(&mut bench, reseal(at + 1, "iachr", "ohchr-honduras", 1), none);
        refused(&mut bench, request(at + 2, 9), none);
        let mut other = request(at + 3, 1);
        other.about.as_mut().unwrap().digest = [9; 32];
        refused(&mut bench, other, none);
        let mut other = reseal(at + 4, "ohchr-mexico", "ohchr-honduras", 1);
        other.about.as_mut().unwrap().office = name("ohchr-honduras");
        refused(&mut bench, other, none);
        refused(&mut bench, answer(at + 5, 3), "resealing itself");
        let its_own = "has its stream";
        let elsewhere = Envelope { stream: name("studies"), ..request(at + 6, 1) };
        refused(&mut bench, elsewhere, its_own);
        refused(&mut bench, Envelope { priority: Priority::Urgent, ..request(at + 7, 1) }, its_own);
        refused(&mut bench, Envelope { status: CapStatus::Actual, ..request(at + 8, 1) }, its_own);
        accepted(&mut bench, request(at + 9, 1));
        // The second time from the store: memory keeps fewer messages than this.
        for lot in 0..40 {
            let many =
                (0..100).map(|it| (by("iachr"), publish(message(1_000 + round * 5_000 + lot * 100 + it))));
            bench.batch(many.collect());
        }
        bench = bench.reopened();
    }
}

#[test]
fn a_resealing_of_what_is_erased_or_to_who_was_removed_is_refused() {
    let mut bench = Bench::founded();
    let of = accepted(&mut bench, message(1));
    accepted(&mut bench, message(2));
    let order = ordered(OrderedBy::Desk(desk("iachr")), id(1));
    let order = Statement::Erasure(Erasure::Order { order, message: of });
    // In one batch: the door knew nothing of the order.
    let outcomes = bench.batch(vec![(by("iachr"), order), (by("ohchr-mexico"), publish(request(3, 1)))]);
    let Outcome::Refused(refusal) = &outcomes[1] else { panic!("{outcomes:?}") };
    assert!(refusal.message.contains("it is erased"), "{refusal}");
    refused(&mut bench, request(4, 1), "it is erased");
    refused(&mut bench, answer(5, 1), "it is erased");
    accepted(&mut bench, request(6, 2));

    let gone = Fact::OfficeRemoved { name: name("ohchr-mexico"), reason: "closed".into() };
    let amendment = bench.amendment(vec![gone]);
    bench.one(by("iachr"), amendment);
    assert_eq!(bench.refused(by("iachr"), publish(answer(7, 2))), Reason::OfficeUnknown);
    assert_eq!(bench.refused(by("ohchr-mexico"), publish(request(8, 2))), Reason::Revoked);
}

#[test]
fn what_was_unreadable_counts_as_read_and_acted_once_it_is() {
    let mut bench = Bench::founded();
    let of = accepted(&mut bench, message(1));
    let of_stage = |stage| state(receipt("ohchr-mexico", stage, &[(of, id(1))]));
    let mut news = |stage| match bench.one(by("ohchr-mexico"), of_stage(stage)) {
        Outcome::Recorded { news, .. } => (news, bench.owed(MEXICO).len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(news(Stage::Unreadable), (1, 1), "the delivery stays open");
    assert_eq!(news(Stage::Read), (1, 0), "and is closed by who reads it after all");
    assert_eq!(news(Stage::Acted), (1, 0));
    assert_eq!(news(Stage::Unreadable).0, 0, "the first of a stage counts");
}
