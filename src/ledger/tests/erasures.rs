//! Erasures: what counts as one, what it ends, and for how long payloads are kept.

use super::bench::*;
use super::deadlines::Hub;
use crate::ledger::entry::{Outcome, Statement};
use crate::ledger::erasures::{Erased, ErasureRow};
use crate::model::clock::ClockRecord;
use crate::model::envelope::Priority;
use crate::model::erasure::{Erasure, OrderedBy, RETENTION_DAYS_DEFAULT};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::policy::{AuditPermit, Fact};
use crate::model::receipt::Stage;
use crate::model::refusal::Reason;

const DAY: u64 = 86_400_000_000;

fn send(hub: &mut Hub, number: u64) -> Index {
    let mut it = envelope(number, "ohchr-mexico", &["iachr", "ohchr-honduras"]);
    it.priority = Priority::Urgent;
    match hub.batch(vec![(by("ohchr-mexico"), publish(it))]).remove(0) {
        Outcome::Accepted { index, .. } => index,
        other => panic!("{other:?}"),
    }
}

fn order(number: u64, message: Index) -> Statement {
    let order = ordered(OrderedBy::Desk(desk("ohchr-mexico")), id(number));
    Statement::Erasure(Erasure::Order { order, message })
}

/// The hub says what it has kept long enough, in lots of two.
fn end_retention(hub: &mut Hub) -> Vec<Index> {
    let mut said = Vec::new();
    while let Some(until) = hub.bench.view.retention_due(hub.now, 2).unwrap() {
        hub.batch(vec![(super::bench::hub(), Statement::Erasure(Erasure::Retention { until }))]);
        if hub.bench.view.retention_due(hub.now, 2).unwrap() == Some(until) {
            break;
        }
        said.push(until);
    }
    said
}

fn rows(hub: &Hub) -> Vec<ErasureRow> {
    let page = hub.bench.view.erasures((AuditPermit::All, None), Index(0), 100).unwrap();
    page.rows.iter().map(|row| (**row).clone()).collect()
}

#[test]
fn order_ends_what_is_asked_and_unsays_nothing_that_fell_due_before() {
    let mut hub = Hub::founded();
    let (early, late) = (send(&mut hub, 1), send(&mut hub, 2));
    hub.pass(301_000_000);
    hub.look();
    hub.batch(vec![(by("ohchr-mexico"), order(1, early))]);
    let open = |hub: &Hub, index| {
        let message = hub.bench.view.message(index).unwrap().unwrap();
        [Stage::Received, Stage::Read].map(|stage| hub.bench.view.is_overdue(IACHR, stage, &message))
    };
    assert_eq!((open(&hub, early), open(&hub, late)), ([false, false], [true, false]));
    let before = hub.bench.view.backlog(IACHR);
    assert_eq!((before.drills, before.unread), (2, 0), "both are exercises, both are still owed");
    let mut hub = hub.restart();
    hub.pass(700_000_000);
    hub.look();
    assert_eq!((open(&hub, early), open(&hub, late)), ([false, false], [true, true]));
    // Missed, each by two offices: received of both messages, read of the later one.
    let missed = hub.bench.view.overdue((AuditPermit::All, None), Index(0), 100).unwrap().rows.len();
    assert_eq!(missed, 6);
    assert!(hub.bench.view.is_erased(early) && !hub.bench.view.is_erased(late));
}

#[test]
fn order_at_the_place_of_another_message_is_refused_and_erases_neither() {
    let mut hub = Hub::founded();
    let (first, second) = (send(&mut hub, 1), send(&mut hub, 2));
    let said = hub.batch(vec![(by("ohchr-mexico"), order(1, second))]).remove(0);
    assert!(matches!(&said, Outcome::Refused(it) if it.reason == Reason::MessageUnknown), "{said:?}");
    assert!(!hub.bench.view.is_erased(first) && !hub.bench.view.is_erased(second));
}

#[test]
fn payloads_are_kept_as_long_as_policy_asks_and_then_the_hub_says_so_once() {
    let mut hub = Hub::founded();
    let first: Vec<_> = (0..5).map(|number| send(&mut hub, number)).collect();
    hub.pass(10 * DAY);
    let second = send(&mut hub, 9);
    hub.pass(u64::from(RETENTION_DAYS_DEFAULT) * DAY - 10 * DAY - 1);
    assert_eq!(end_retention(&mut hub), []);
    hub.pass(1);
    assert_eq!(end_retention(&mut hub), [first[1], first[3], first[4]]);
    assert_eq!(end_retention(&mut hub), []);
    assert!(first.iter().all(|index| hub.bench.view.is_erased(*index)));
    assert!(!hub.bench.view.is_erased(second));
    let hub = hub.restart();
    assert!(hub.bench.view.is_erased(first[0]) && !hub.bench.view.is_erased(second));
    let taken: Vec<_> = rows(&hub).iter().map(|row| row.what.clone()).collect();
    assert_eq!(taken, [Erased::Until(first[1]), Erased::Until(first[3]), Erased::Until(first[4])]);
    let named = |from, at: usize| -> Vec<_> {
        hub.bench.view.to_erase(&rows(&hub)[at], from).unwrap().iter().map(|row| row.index).collect()
    };
    assert_eq!((named(Index(0), 0), named(first[1].next(), 1)), (first[..2].to_vec(), first[2..4].to_vec()));
}

#[test]
fn shorter_retention_counts_for_what_is_kept_and_a_longer_one_brings_nothing_back() {
    let mut hub = Hub::founded();
    let old = send(&mut hub, 1);
    hub.pass(3 * DAY);
    let new = send(&mut hub, 2);
    let operator = Some(Identity::Operator(name("dev")));
    let kept_for = |hub: &Hub, days| hub.bench.amendment(vec![Fact::Retention { days }]);
    let shorter = kept_for(&hub, 3);
    let said = hub.batch(vec![(operator.clone(), shorter)]);
    assert_eq!(said, [Outcome::Noted]);
    assert_eq!(end_retention(&mut hub), [old]);
    let longer = kept_for(&hub, 400);
    hub.batch(vec![(operator.clone(), longer)]);
    hub.pass(3 * DAY);
    assert_eq!(end_retention(&mut hub), []);
    assert!(hub.bench.view.is_erased(old) && !hub.bench.view.is_erased(new));
    for days in [0, 36_501] {
        let wrong = kept_for(&hub, days);
        let said = hub.batch(vec![(operator.clone(), wrong)]);
        assert!(matches!(&said[0], Outcome::Refused(refusal) if refusal.reason == Reason::FieldInvalid));
    }
}

#[test]
fn end_of_a_retention_counts_from_the_hub_alone_where_it_is_true_and_the_clock_is_trusted() {
    let mut hub = Hub::founded();
    let sent = send(&mut hub, 1);
    let end = |until| Statement::Erasure(Erasure::Retention { until });
    hub.batch(vec![(super::bench::hub(), end(sent))]);
    hub.pass(u64::from(RETENTION_DAYS_DEFAULT) * DAY);
    hub.batch(vec![(super::bench::hub(), end(sent.next())), (super::bench::hub(), end(Index(u64::MAX)))]);
    let said = hub.batch(vec![(by("ohchr-mexico"), end(sent))]);
    assert!(matches!(&said[0], Outcome::Refused(refusal) if refusal.reason == Reason::RoleNotAllowed));
    let jumped = ClockRecord::Suspended { expected: UnixMicros(1), found: UnixMicros(2) };
    hub.batch(vec![(super::bench::hub(), Statement::Clock(jumped)), (super::bench::hub(), end(sent))]);
    assert_eq!(rows(&hub), []);
    let operator = Some(Identity::Operator(name("dev")));
    hub.batch(vec![(operator, Statement::Clock(ClockRecord::Confirmed)), (super::bench::hub(), end(sent))]);
    assert_eq!(rows(&hub).len(), 1);
    // Who has it and was not told by its sender may still be told.
    let again = hub.batch(vec![(by("ohchr-mexico"), order(1, sent))]);
    assert!(matches!(again[0], Outcome::Erased { duplicate: false, .. }));
}
