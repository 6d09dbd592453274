//! Obligations: each month and each answer that is missed is said once, whatever the hub was doing then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::agree::dump;
use super::bench::*;
use super::deadlines::{DAY, Hub, SECOND};
use super::model::Draw;
use crate::ledger::entry::{Outcome, Statement};
use crate::ledger::overdue::MissedRow;
use crate::ledger::store::Store;
use crate::ledger::store::memory::MemoryStore;
use crate::model::deadline::Within;
use crate::model::envelope::{CapStatus, MessageClass};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::obligation::{Duty, Month, Obligation, Who};
use crate::model::policy::{AuditPermit, Fact, OfficeNumber};
use crate::model::receipt::Stage;

const BOTH: [&str; 2] = ["ohchr-mexico", "ohchr-honduras"];

fn obligation(called: &str, duty: Duty) -> Fact {
    let who = Who::Offices(BOTH.map(name).into());
    let (class, stream) = (MessageClass::Alert, name("studies"));
    Fact::Obligation(Obligation { name: name(called), who, class, stream, duty })
}

#[expect(clippy::unnecessary_wraps, reason = "as the caller of an entry is")]
fn operator() -> Option<Identity> {
    Some(Identity::Operator(name("dev")))
}

impl Hub {
    fn amend(&mut self, fact: Fact) {
        let amendment = self.bench.amendment(vec![fact]);
        let outcome = self.batch(vec![(operator(), amendment)]).remove(0);
        assert_eq!(outcome, Outcome::Noted);
    }

    /// Publishes on a thread; gives its index.
    fn publish(&mut self, number: u64, sender: &str, to: &[&str], thread: u8, status: CapStatus) -> Index {
        let mut it = envelope(number, sender, to);
        (it.thread_id, it.status) = ([thread; 16], status);
        match self.batch(vec![(by(sender), publish(it))]).remove(0) {
            Outcome::Accepted { index, .. } => index,
            other => panic!("{other:?}"),
        }
    }

    fn real(&mut self, number: u64, sender: &str) {
        self.publish(number, sender, &["iachr"], 0, CapStatus::Actual);
    }

    fn go_to(&mut self, day: &str) {
        let (month, day) = day.rsplit_once('-').unwrap();
        let begin = month.parse::<Month>().unwrap().begin();
        self.now = UnixMicros(begin.0 + (day.parse::<u64>().unwrap() - 1) * DAY);
    }

    /// What was said to be missed: office, month, when it fell due.
    fn months_missed(&self) -> Vec<(OfficeNumber, String, UnixMicros)> {
        let page = self.bench.view.overdue((AuditPermit::All, None), Index(0), 1_000).unwrap();
        let month = |missed| match missed {
            MissedRow::Month { month, .. } => Some(month.to_string()),
            _ => None,
        };
        page.rows.iter().filter_map(|row| Some((row.office, month(row.missed)?, row.due))).collect()
    }

    fn answers_missed(&self) -> Vec<(OfficeNumber, Index)> {
        let page = self.bench.view.overdue((AuditPermit::All, None), Index(0), 1_000).unwrap();
        let answer = |missed| match missed {
            MissedRow::FollowUp { message, .. } => Some(message),
            _ => None,
        };
        page.rows.iter().filter_map(|row| Some((row.office, answer(row.missed)?))).collect()
    }

    /// A replay gives the same rows.
    fn assert_replayed(&self) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let mut again = open(&store);
        for (mark, entries) in &self.journal {
            again.writer.write(&again.ledger.decide(*mark, entries).unwrap().staged).unwrap();
        }
        assert!(dump(store.as_ref()).unwrap() == dump(self.bench.store.as_ref()).unwrap(), "other rows");
    }
}

#[test]
fn month_is_met_by_a_real_message_of_its_own_or_of_its_grace_and_missed_once_otherwise() {
    let mut hub = Hub::founded();
    hub.go_to("2026-10-04");
    hub.amend(obligation("analyses", Duty::Monthly { grace_days: 5 }));
    hub.go_to("2026-11-10");
    hub.look();
    assert_eq!(hub.months_missed(), [], "the month in which it began is not owed");
    hub.real(1, "ohchr-mexico");
    hub.publish(2, "ohchr-honduras", &["iachr"], 0, CapStatus::Exercise);
    hub.go_to("2026-12-03");
    // For November, since the exercise did not count; then for December.
    hub.real(3, "ohchr-honduras");
    hub.go_to("2026-12-20");
    hub.real(4, "ohchr-honduras");
    hub.go_to("2027-01-06");
    hub.now = UnixMicros(hub.now.0 - 1);
    hub.look();
    assert_eq!(hub.months_missed(), [], "a moment before it falls due");
    hub.pass(1);
    hub.look();
    let due = hub.now;
    assert_eq!(hub.months_missed(), [(MEXICO, "2026-12".to_owned(), due)]);
    let mut hub = hub.restart();
    // Too late for December: it counts for January.
    hub.real(5, "ohchr-mexico");
    // The hub is down for months.
    hub.go_to("2027-04-01");
    let mut hub = hub.restart();
    hub.look();
    hub.look();
    let missed = hub.months_missed();
    let of =
        |office| -> Vec<_> { missed.iter().filter(|it| it.0 == office).map(|it| it.1.as_str()).collect() };
    assert_eq!(of(MEXICO), ["2026-12", "2027-02"]);
    assert_eq!(of(HONDURAS), ["2027-01", "2027-02"]);
    assert!(missed.iter().all(|(_, month, due)| month.parse::<Month>().unwrap().due(5) == *due));
    assert_eq!((hub.notices(IACHR), hub.notices(MEXICO), hub.notices(HONDURAS)), (4, 2, 2));
    hub.amend(Fact::ObligationEnded(name("analyses")));
    hub.go_to("2028-01-01");
    hub.look();
    assert_eq!(hub.months_missed().len(), 4, "it has ended");
    hub.assert_replayed();
}

#[test]
fn follow_up_is_an_answer_on_the_thread_or_an_act_and_missed_once_otherwise() {
    let mut hub = Hub::founded();
    let within = Within::from_seconds(60 * 86_400).unwrap();
    hub.amend(obligation("reports", Duty::FollowUp { within }));
    let all = ["iachr", "ohchr-mexico", "ohchr-honduras"];
    let trainings: Vec<_> = (1..4)
        .map(|number| hub.publish(number, "iachr", &all, u8::try_from(number).unwrap(), CapStatus::Actual))
        .collect();
    hub.publish(4, "iachr", &all, 4, CapStatus::Exercise);
    // Past a checkpoint: what is asked is then read from rows of its own.
    hub.batch(vec![(super::bench::hub(), Statement::Refusal); 5_000]);
    hub.pass(59 * DAY);
    let mut hub = hub.restart();
    hub.state("ohchr-mexico", Stage::Acted, trainings[0], id(1));
    hub.publish(5, "ohchr-honduras", &["iachr"], 1, CapStatus::Actual);
    // An exercise is no answer; another thread is none either.
    hub.publish(6, "ohchr-honduras", &["iachr"], 2, CapStatus::Exercise);
    hub.publish(7, "ohchr-mexico", &["iachr"], 9, CapStatus::Actual);
    hub.publish(8, "ohchr-mexico", &["iachr"], 3, CapStatus::Actual);
    let mut hub = hub.restart();
    hub.pass(2 * DAY);
    hub.look();
    hub.look();
    let expected = [(MEXICO, trainings[1]), (HONDURAS, trainings[1]), (HONDURAS, trainings[2])];
    assert_eq!(hub.answers_missed(), expected);
    let open = |hub: &Hub| {
        let page = hub.bench.view.overdue((AuditPermit::All, None), Index(0), 100).unwrap();
        page.rows.iter().map(|row| hub.bench.view.is_open(row).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(open(&hub), [true; 3]);
    hub.publish(9, "ohchr-honduras", &["iachr"], 2, CapStatus::Actual);
    let mut hub = hub.restart();
    assert_eq!(open(&hub), [true, false, true], "answered since");
    hub.look();
    assert_eq!(hub.answers_missed().len(), 3);
    hub.assert_replayed();
}

#[test]
fn years_of_months_and_answers_with_a_hub_that_is_often_down_replay_to_the_same_rows() {
    let draw = Draw::seeded(7);
    let mut hub = Hub::founded();
    hub.go_to("2025-01-10");
    hub.amend(obligation("analyses", Duty::Monthly { grace_days: 3 }));
    let mut sent = Vec::new();
    let mut met: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
    for number in 1..600 {
        hub.pass(draw.below(5) as u64 * DAY + draw.below(86_400) as u64 * SECOND);
        match draw.below(6) {
            0 => hub = hub.restart(),
            1 => hub.look(),
            2 => hub.pass(30 * DAY),
            _ => {
                let office = BOTH[draw.below(2)];
                hub.real(number, office);
                sent.push((office, hub.now));
            }
        }
    }
    hub.pass(40 * DAY);
    hub.look();
    // What a person would tick off in a calendar: the month before, within its grace, else this one.
    for (office, at) in sent {
        let ticked = met.entry(office).or_default();
        let now = Month::of(at);
        let open = [Month(now.0 - 1), now].into_iter().find(|month| {
            month.0 > "2025-01".parse::<Month>().unwrap().0
                && at <= month.due(3)
                && !ticked.contains(&month.0)
        });
        ticked.extend(open.map(|month| month.0));
    }
    let mut expected = Vec::new();
    for (office, named) in [(MEXICO, BOTH[0]), (HONDURAS, BOTH[1])] {
        let mut month = "2025-02".parse::<Month>().unwrap();
        while month.due(3) <= hub.now {
            if !met.get(named).is_some_and(|met| met.contains(&month.0)) {
                expected.push((office, month.to_string(), month.due(3)));
            }
            month = month.next();
        }
    }
    let mut missed = hub.months_missed();
    missed.sort();
    expected.sort();
    assert!(expected.len() > 20, "{}", expected.len());
    assert_eq!(missed, expected);
    hub.assert_replayed();
}
