//! Deadlines: each that is missed is said once, with the time at which it fell due, whatever the hub was doing then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::agree::dump;
use super::bench::*;
use super::model::Draw;
use crate::ledger::entry::{Decoded, Outcome, Statement};
use crate::ledger::overdue::MissedRow;
use crate::ledger::store::Store;
use crate::ledger::store::memory::MemoryStore;
use crate::ledger::view::{Lane, Owed};
use crate::model::clock::ClockRecord;
use crate::model::deadline::{Deadlines, Within};
use crate::model::entry::Mark;
use crate::model::envelope::{CapStatus, MessageClass, MessageId, Priority};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Identity;
use crate::model::overdue::{Missed, Overdue};
use crate::model::policy::{AuditPermit, Fact, OfficeNumber};
use crate::model::receipt::{MessageRef, Receipt, Stage};

pub(super) const SECOND: u64 = 1_000_000;
pub(super) const DAY: u64 = 86_400 * SECOND;
const ALL: (AuditPermit, Option<OfficeNumber>) = (AuditPermit::All, None);

type Said = (Option<Identity>, Statement);

/// A hub whose days are the test's.
pub(super) struct Hub {
    pub(super) bench: Bench,
    pub(super) now: UnixMicros,
    pub(super) journal: Vec<(Mark, Vec<Decoded>)>,
}

fn deadlines(receive: u32, read: u32, act: u32) -> Deadlines {
    let within = |seconds| Within::from_seconds(seconds).ok();
    Deadlines { receive: within(receive), read: within(read), act: within(act) }
}

impl Hub {
    pub(super) fn founded() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let mut hub = Self { bench: open(&store), now: UnixMicros(20_000 * DAY), journal: Vec::new() };
        let urgent = Fact::Deadlines {
            class: MessageClass::Alert,
            priority: Priority::Urgent,
            deadlines: deadlines(300, 900, 86_400),
        };
        let operator = Fact::Operator { name: name("dev"), institution: name("both") };
        let facts = directory().into_iter().chain([urgent, operator]);
        let founding = hub.bench.amendment(facts.collect());
        hub.batch(vec![(super::bench::hub(), founding)]);
        hub
    }

    pub(super) fn batch(&mut self, said: Vec<Said>) -> Vec<Outcome> {
        let before = self.bench.ledger.mark();
        let time = self.now.max(before.time);
        let mut entries = decoded(before, said);
        for entry in &mut entries {
            entry.time = time;
        }
        let mark = Mark { time, ..after(before, entries.len() as u64) };
        let applied = self.bench.ledger.decide(mark, &entries).unwrap();
        self.bench.writer.write(&applied.staged).unwrap();
        self.journal.push((mark, entries));
        applied.outcomes
    }

    pub(super) fn pass(&mut self, us: u64) {
        self.now = UnixMicros(self.now.0 + us);
    }

    pub(super) fn restart(self) -> Self {
        Self { bench: self.bench.reopened(), ..self }
    }

    fn send(&mut self, number: u64, sender: &str, to: &[&str], asked: Option<Deadlines>) -> Index {
        let mut it = envelope(number, sender, to);
        match asked {
            Some(asked) => it.deadlines = asked,
            None => it.priority = Priority::Urgent,
        }
        match self.batch(vec![(by(sender), publish(it))]).remove(0) {
            Outcome::Accepted { index, .. } => index,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&mut self, office: &str, stage: Stage, index: Index, id: MessageId) {
        let stated: Receipt = receipt(office, stage, &[(index, id)]);
        let outcome = self.batch(vec![(by(office), state(stated))]).remove(0);
        assert!(matches!(outcome, Outcome::Recorded { .. }), "{outcome:?}");
    }

    /// Says what has fallen due, as a hub does, in small lots.
    pub(super) fn look(&mut self) {
        loop {
            let due = self.bench.view.due(self.now, 7).unwrap();
            if due.is_empty() || self.bench.view.suspended().is_some() {
                return;
            }
            let said = due.into_iter().map(|it| (hub(), Statement::Overdue(Box::new(it))));
            self.batch(said.collect());
        }
    }

    /// What was said to be missed, by ascending entry: message, office, stage, when it fell due.
    fn missed(&self) -> Vec<(Index, OfficeNumber, Stage, UnixMicros)> {
        let (mut all, mut next) = (Vec::new(), Some(Index(0)));
        while let Some(from) = next {
            let page = self.bench.view.overdue(ALL, from, 100).unwrap();
            all.extend(page.rows.iter().filter_map(|it| match it.missed {
                MissedRow::Stage { message, stage } => Some((message, it.office, stage, it.due)),
                _ => None,
            }));
            next = page.next;
        }
        all
    }

    fn is_overdue(&self, office: OfficeNumber, stage: Stage, index: Index) -> bool {
        let message = self.bench.view.message(index).unwrap().unwrap();
        self.bench.view.is_overdue(office, stage, &message)
    }

    pub(super) fn notices(&self, office: OfficeNumber) -> usize {
        let owed = self.bench.view.owed(office, Lane::Urgent, Index(0), usize::MAX).unwrap();
        owed.iter().filter(|it| matches!(it, Owed::Notice(_))).count()
    }
}

#[test]
fn urgent_alert_without_deadlines_has_those_of_policy_and_others_have_none() {
    let mut hub = Hub::founded();
    let urgent = hub.send(1, "ohchr-mexico", &["ohchr-honduras"], None);
    hub.send(2, "ohchr-mexico", &["ohchr-honduras"], Some(Deadlines::default()));
    let own = hub.send(3, "ohchr-mexico", &["ohchr-honduras"], Some(deadlines(60, 60, 120)));
    let accepted = hub.now;
    hub.pass(DAY);
    hub.look();
    let due = |seconds| UnixMicros(accepted.0 + seconds * SECOND);
    let expected: BTreeSet<_> = [
        (urgent, HONDURAS, Stage::Received, due(300)),
        (urgent, HONDURAS, Stage::Read, due(900)),
        (urgent, HONDURAS, Stage::Acted, due(86_400)),
        (own, HONDURAS, Stage::Received, due(60)),
        (own, HONDURAS, Stage::Read, due(60)),
        (own, HONDURAS, Stage::Acted, due(120)),
    ]
    .into();
    let missed = hub.missed();
    assert_eq!((missed.len(), missed.into_iter().collect::<BTreeSet<_>>()), (6, expected));
    assert_eq!(hub.bench.view.overdue_count(HONDURAS), (0, 6), "exercises, apart");
    assert_eq!((hub.notices(MEXICO), hub.notices(IACHR), hub.notices(HONDURAS)), (6, 6, 0));
}

#[test]
fn stage_that_is_reached_in_time_is_not_missed_and_one_that_is_late_was() {
    let mut hub = Hub::founded();
    let index = hub.send(1, "ohchr-mexico", &["ohchr-honduras", "iachr"], None);
    hub.pass(300 * SECOND);
    // In the last moment; who has read it has it.
    hub.state("ohchr-honduras", Stage::Read, index, id(1));
    hub.pass(1);
    hub.state("iachr", Stage::Received, index, id(1));
    hub.look();
    let missed = |hub: &Hub| -> Vec<_> { hub.missed().into_iter().map(|it| (it.1, it.2)).collect() };
    assert_eq!(missed(&hub), [(IACHR, Stage::Received)]);
    assert_eq!(hub.bench.view.overdue_count(IACHR), (0, 0), "it is done by now");
    hub.pass(DAY);
    hub.state("ohchr-honduras", Stage::Declined, index, id(1));
    hub.look();
    let both = [(IACHR, Stage::Read), (IACHR, Stage::Acted), (HONDURAS, Stage::Acted)];
    assert_eq!(missed(&hub)[1..], both);
    assert!(hub.is_overdue(HONDURAS, Stage::Acted, index), "declining does not close it");
    hub.state("ohchr-honduras", Stage::Acted, index, id(1));
    assert!(!hub.is_overdue(HONDURAS, Stage::Acted, index));
    assert_eq!(hub.bench.view.overdue_count(IACHR), (0, 2));
    hub.state("iachr", Stage::Acted, index, id(1));
    assert_eq!(hub.bench.view.overdue_count(IACHR), (0, 0), "who has acted has read");
}

#[test]
fn word_that_something_was_missed_counts_once_from_the_hub_alone_and_only_where_it_is_true() {
    let mut hub = Hub::founded();
    let index = hub.send(1, "ohchr-mexico", &["ohchr-honduras"], None);
    let accepted = hub.now;
    let overdue = |office: &str, stage, seconds| {
        let message = MessageRef { index, message_id: id(1) };
        let due = UnixMicros(accepted.0 + seconds * SECOND);
        Overdue {
            office: name(office),
            due,
            missed: Missed::Stage { message, stage, status: CapStatus::Exercise },
        }
    };
    let said = |it: &Overdue| Statement::Overdue(Box::new(it.clone()));
    let right = overdue("ohchr-honduras", Stage::Received, 300);
    hub.pass(300 * SECOND - 1);
    hub.batch(vec![(super::bench::hub(), said(&right))]);
    assert_eq!(hub.missed().len(), 0, "before it is due");
    hub.pass(1);
    let mut other_id = right.clone();
    let (mut other_status, status) = (right.clone(), CapStatus::Actual);
    let (message, stage) = (MessageRef { index, message_id: id(1) }, Stage::Received);
    other_status.missed = Missed::Stage { message, stage, status };
    let (message, status) = (MessageRef { index, message_id: id(2) }, CapStatus::Exercise);
    other_id.missed = Missed::Stage { message, stage, status };
    let wrong = [
        overdue("iachr", Stage::Received, 300),
        overdue("ohchr-honduras", Stage::Received, 299),
        overdue("ohchr-honduras", Stage::Declined, 300),
        overdue("ohchr-honduras", Stage::Read, 300),
        other_id,
        other_status,
    ];
    hub.batch(wrong.iter().map(|it| (super::bench::hub(), said(it))).collect());
    hub.batch(vec![(by("ohchr-mexico"), said(&right)), (None, said(&right))]);
    assert_eq!(hub.missed().len(), 0);
    hub.batch(vec![(super::bench::hub(), said(&right)), (super::bench::hub(), said(&right))]);
    let mut hub = hub.restart();
    hub.batch(vec![(super::bench::hub(), said(&right))]);
    assert_eq!(hub.missed().len(), 1);
    assert_eq!((hub.notices(MEXICO), hub.notices(IACHR)), (1, 1));
}

#[test]
fn nothing_is_missed_while_the_clock_is_suspended_until_an_operator_confirms_it() {
    let mut hub = Hub::founded();
    let index = hub.send(1, "ohchr-mexico", &["ohchr-honduras", "iachr"], None);
    let jumped = ClockRecord::Suspended { expected: hub.now, found: UnixMicros(hub.now.0 + DAY) };
    let by_operator = || Some(Identity::Operator(name("dev")));
    let own = || super::bench::hub();
    let refused =
        hub.batch(vec![(by_operator(), Statement::Clock(jumped)), (by("iachr"), Statement::Clock(jumped))]);
    assert!(
        refused.iter().all(|it| matches!(it, Outcome::Refused(_))) && hub.bench.view.suspended().is_none()
    );
    hub.batch(vec![(own(), Statement::Clock(jumped))]);
    hub.pass(2 * DAY);
    let due = hub.bench.view.due(hub.now, 100).unwrap();
    let said: Vec<_> = due.into_iter().map(|it| (own(), Statement::Overdue(Box::new(it)))).collect();
    assert_eq!(said.len(), 6);
    hub.batch(said);
    // By a clock that nobody trusts it is not late.
    hub.state("iachr", Stage::Acted, index, id(1));
    let mut hub = hub.restart();
    assert_eq!((hub.missed().len(), hub.bench.view.suspended().is_some()), (0, true));
    let refused = hub.batch(vec![
        (own(), Statement::Clock(ClockRecord::Confirmed)),
        (by("iachr"), Statement::Clock(ClockRecord::Confirmed)),
    ]);
    assert!(
        refused.iter().all(|it| matches!(it, Outcome::Refused(_))) && hub.bench.view.suspended().is_some()
    );
    hub.batch(vec![(by_operator(), Statement::Clock(ClockRecord::Confirmed))]);
    let mut hub = hub.restart();
    assert!(hub.bench.view.suspended().is_none());
    hub.look();
    let missed: BTreeSet<_> = hub.missed().into_iter().map(|it| it.1).collect();
    assert_eq!((hub.missed().len(), missed), (3, [HONDURAS].into()));
}

/// What a person would note down of a message.
struct Noted {
    index: Index,
    id: MessageId,
    accepted: UnixMicros,
    asked: Deadlines,
    recipients: Vec<OfficeNumber>,
    /// When each office first reached a stage or a later one; 0: while nobody trusted the clock.
    reached: BTreeMap<(OfficeNumber, Stage), UnixMicros>,
}

type Missings = BTreeSet<(Index, OfficeNumber, Stage, UnixMicros)>;

impl Noted {
    fn asked(&self) -> Vec<(OfficeNumber, Stage, UnixMicros)> {
        let due = |within: Within| UnixMicros(self.accepted.0 + u64::from(within.seconds()) * SECOND);
        let of = |office: &OfficeNumber| {
            let office = *office;
            self.asked.each().map(move |(stage, within)| (office, stage, due(within)))
        };
        self.recipients.iter().flat_map(of).collect()
    }
}

/// Lets the hub look, and notes what it must have said by then.
fn look(hub: &mut Hub, noted: &[Noted], expected: &mut Missings) {
    if hub.bench.view.suspended().is_none() {
        for message in noted {
            let missed = message.asked().into_iter().filter(|(office, stage, due)| {
                *due <= hub.now && message.reached.get(&(*office, *stage)).is_none_or(|at| at > due)
            });
            expected.extend(missed.map(|(office, stage, due)| (message.index, office, stage, due)));
        }
    }
    hub.look();
}

const NUMBERS: [OfficeNumber; 3] = [IACHR, MEXICO, HONDURAS];

fn publish_some(hub: &mut Hub, draw: &Draw, noted: &mut Vec<Noted>) {
    let number = 1 + noted.len() as u64;
    let chosen: Vec<_> = (0..3).filter(|_| draw.below(3) > 0).collect();
    let recipients = if chosen.is_empty() { vec![draw.below(3)] } else { chosen };
    let names: Vec<_> = recipients.iter().map(|at| OFFICES[*at]).collect();
    let asked = match draw.below(4) {
        0 => Some(Deadlines::default()),
        1 => Some(deadlines([7, 60, 3_600][draw.below(3)], 7_200, 5_184_000)),
        _ => None,
    };
    let index = hub.send(number, OFFICES[draw.below(2)], &names, asked);
    let asked = asked.unwrap_or(deadlines(300, 900, 86_400));
    let recipients = recipients.iter().map(|at| NUMBERS[*at]).collect();
    let accepted = hub.bench.view.decided().time;
    noted.push(Noted { index, id: id(number), accepted, asked, recipients, reached: BTreeMap::new() });
}

fn acknowledge_some(hub: &mut Hub, draw: &Draw, noted: &mut [Noted]) {
    let newest = noted.len() - 1;
    let back = if draw.below(4) == 0 { draw.below(newest + 1) } else { draw.below(6).min(newest) };
    let message = &mut noted[newest - back];
    if message.recipients.is_empty() {
        return;
    }
    let office = message.recipients[draw.below(message.recipients.len())];
    let stage = [Stage::Received, Stage::Read, Stage::Acted, Stage::Declined][draw.below(4)];
    hub.state(OFFICES[usize::from(office.0)], stage, message.index, message.id);
    let trusted = hub.bench.view.suspended().is_none();
    let at = if trusted { hub.bench.view.decided().time } else { UnixMicros(0) };
    for reached in [Stage::Received, Stage::Read, Stage::Acted] {
        if stage != Stage::Declined && reached <= stage {
            let first = message.reached.entry((office, reached)).or_insert(at);
            *first = at.min(*first);
        }
    }
}

#[test]
fn years_of_hub_time_give_each_missed_deadline_once_with_its_time_and_a_replay_gives_the_same() {
    for seed in 0..4 {
        let draw = Draw::seeded(seed);
        let mut hub = Hub::founded();
        let begun = hub.now;
        let mut noted = Vec::new();
        let (mut removed, mut expected) = (false, BTreeSet::new());
        publish_some(&mut hub, &draw, &mut noted);
        for step in 0..3_000 {
            hub.pass(draw.below(1_200) as u64 * SECOND);
            match draw.below(60) {
                // The hub is down, for days.
                0 => {
                    hub.pass(draw.below(40) as u64 * DAY);
                    hub = hub.restart();
                }
                1 => {
                    let found = UnixMicros(hub.now.0 + DAY);
                    let jumped = ClockRecord::Suspended { expected: hub.now, found };
                    hub.batch(vec![(super::bench::hub(), Statement::Clock(jumped))]);
                }
                2..5 => {
                    let operator = Some(Identity::Operator(name("dev")));
                    hub.batch(vec![(operator, Statement::Clock(ClockRecord::Confirmed))]);
                }
                5..25 if !removed => publish_some(&mut hub, &draw, &mut noted),
                25..40 => look(&mut hub, &noted, &mut expected),
                _ => acknowledge_some(&mut hub, &draw, &mut noted),
            }
            if step == 2_500 {
                let operator = || Some(Identity::Operator(name("dev")));
                hub.batch(vec![(operator(), Statement::Clock(ClockRecord::Confirmed))]);
                look(&mut hub, &noted, &mut expected);
                removed = true;
                for message in &mut noted {
                    message.recipients.retain(|office| *office != HONDURAS);
                }
                let fact = Fact::OfficeRemoved { name: name("ohchr-honduras"), reason: "closed".into() };
                let removed = hub.bench.amendment(vec![fact]);
                hub.batch(vec![(operator(), removed)]);
            }
        }
        hub.batch(vec![(Some(Identity::Operator(name("dev"))), Statement::Clock(ClockRecord::Confirmed))]);
        hub.pass(100 * DAY);
        look(&mut hub, &noted, &mut expected);
        assert!(hub.now.0 - begun.0 > 2 * 365 * DAY, "years");
        for message in &noted {
            for (office, stage, due) in message.asked() {
                let said = expected.contains(&(message.index, office, stage, due));
                let open = said && !message.reached.contains_key(&(office, stage));
                assert_eq!(
                    hub.is_overdue(office, stage, message.index),
                    open,
                    "seed {seed}: {office:?} {stage}"
                );
            }
        }
        let missed = hub.missed();
        assert!(missed.len() > 300, "{}", missed.len());
        assert_eq!(missed.len(), expected.len(), "seed {seed}: each once");
        assert_eq!(missed.into_iter().collect::<BTreeSet<_>>(), expected, "seed {seed}");
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let mut again = open(&store);
        for (mark, entries) in &hub.journal {
            again.writer.write(&again.ledger.decide(*mark, entries).unwrap().staged).unwrap();
        }
        let same = dump(store.as_ref()).unwrap() == dump(hub.bench.store.as_ref()).unwrap();
        assert!(same, "seed {seed}: a replay gives other rows");
    }
}
