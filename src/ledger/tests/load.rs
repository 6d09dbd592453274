//! The load that the ledger is built for: messages by stream, six recipients each, every one acknowledged.

use std::time::Duration;

use tempfile::TempDir;

use super::bench::*;
use crate::host::clock::{Clock, SystemClock};
use crate::ledger::store::Store;
use crate::ledger::store::sled::{SledOptions, SledStore};
use crate::ledger::view::Lane;
use crate::model::id::Index;
use crate::model::identity::{Identity, Name};
use crate::model::policy::tests::{desk_fact, registrar_facts};
use crate::model::policy::{Fact, OfficeNumber};
use crate::model::receipt::Stage;

const OFFICES: usize = 7;

struct Load {
    bench: Bench,
    clock: SystemClock,
    batch_messages: u64,
    sent: u64,
    deciding: Duration,
    writing: Duration,
    longest: Duration,
    rows: u64,
    row_bytes: u64,
}

fn office(number: usize) -> String {
    format!("ohchr-office-{number}")
}

impl Load {
    fn on(dir: &TempDir, batch_messages: u64) -> Self {
        let options =
            SledOptions { dir: dir.path().to_owned(), boot_id: "boot".into(), cache_bytes: 64 << 20 };
        let store: std::sync::Arc<dyn Store> = std::sync::Arc::new(SledStore::open(&options).unwrap().store);
        let mut bench = open(&store);
        let all =
            || (0..OFFICES).map(|number| name(&office(number))).collect::<std::collections::BTreeSet<Name>>();
        let mut facts = vec![Fact::Institution(name("ohchr"))];
        facts.extend(
            all().into_iter().map(|name| Fact::Office { name, institution: "ohchr".parse().unwrap() }),
        );
        facts.push(Fact::Stream { name: name("studies"), publishers: all(), subscribers: all() });
        facts.push(Fact::Institution(name("other")));
        facts.extend(registrar_facts([name("ohchr"), name("other")]));
        facts.extend((0..OFFICES).zip(11..).map(|(number, keys)| desk_fact(desk(&office(number)), keys)));
        let founding = bench.amendment(facts);
        bench.one(hub(), founding);
        Self {
            bench,
            clock: SystemClock::new(),
            batch_messages,
            sent: 0,
            deciding: Duration::ZERO,
            writing: Duration::ZERO,
            longest: Duration::ZERO,
            rows: 0,
            row_bytes: 0,
        }
    }

    /// One batch: new messages, and receipts for those of the batch before.
    fn batch(
        &mut self,
        acknowledged: &[Vec<(Index, crate::model::envelope::MessageId)>],
    ) -> Vec<Vec<(Index, crate::model::envelope::MessageId)>> {
        let first = self.bench.next();
        let mut entries = Vec::new();
        let mut owed = vec![Vec::new(); OFFICES];
        for number in 0..self.batch_messages {
            let sender = usize::try_from(number % OFFICES as u64).unwrap();
            let names: Vec<_> = (0..OFFICES).filter(|it| *it != sender).map(office).collect();
            let recipients: Vec<_> = names.iter().map(String::as_str).collect();
            let message = envelope(self.sent + number, &office(sender), &recipients);
            for (recipient, owed) in owed.iter_mut().enumerate().filter(|(it, _)| *it != sender) {
                let _ = recipient;
                owed.push((Index(first.0 + number), message.message_id));
            }
            entries.push((by(&office(sender)), publish(message)));
        }
        for (number, messages) in acknowledged.iter().enumerate().filter(|(_, it)| !it.is_empty()) {
            let stated = receipt(&office(number), Stage::Received, messages);
            entries.push((Some(Identity::Desk(stated.desk.clone())), state(stated)));
        }
        self.sent += self.batch_messages;
        let before = self.bench.ledger.mark();
        let count = entries.len() as u64;
        let entries = decoded(before, entries);
        let began = self.clock.monotonic_us();
        let applied = self.bench.ledger.decide(after(before, count), &entries).unwrap();
        let decided = self.clock.monotonic_us();
        self.rows += applied.staged.rows().len() as u64;
        self.row_bytes += applied.staged.rows().values().flatten().map(|it| it.len() as u64).sum::<u64>();
        self.bench.writer.write(&applied.staged).unwrap();
        let written = self.clock.monotonic_us();
        let took = Duration::from_micros(decided - began);
        self.deciding += took;
        self.longest = self.longest.max(took);
        self.writing += Duration::from_micros(written - decided);
        owed
    }

    fn report(&self) -> String {
        let each = |total: u128| total / u128::from(self.sent);
        let nanos = (self.deciding + self.writing).as_nanos();
        format!(
            "{} messages in batches of {}: a message {} ns to decide (a batch {:?} at most) and {} ns to write, {} rows a \
             thousand, {} bytes of rows, {} bytes on disk; {} messages/s",
            self.sent,
            self.batch_messages,
            each(self.deciding.as_nanos()),
            self.longest,
            each(self.writing.as_nanos()),
            each(u128::from(self.rows) * 1000),
            each(self.row_bytes.into()),
            each(self.bench.view.disk_bytes().unwrap().into()),
            u128::from(self.sent) * 1_000_000_000 / nanos,
        )
    }
}

/// Publishes and acknowledges; gives a report for people.
fn run(messages: u64, batch_messages: u64) -> String {
    let dir = TempDir::new().unwrap();
    let mut load = Load::on(&dir, batch_messages);
    let mut owed = vec![Vec::new(); OFFICES];
    while load.sent < messages {
        owed = load.batch(&owed);
    }
    load.batch_messages = 0;
    load.batch(&owed);
    load.batch_messages = batch_messages;
    for number in 0..OFFICES {
        let number = OfficeNumber(u16::try_from(number).unwrap());
        assert_eq!(load.bench.view.owed_count(number).messages, 0);
        assert!(load.bench.view.owed(number, Lane::Other, Index(0), 1).unwrap().is_empty());
    }
    assert_eq!(load.bench.ledger.tally().messages, load.sent);
    load.report()
}

#[test]
fn acknowledged_messages_leave_nothing_outstanding_under_load() {
    for (messages, batch_messages) in [(3_000, 256), (200, 1)] {
        println!("{}", run(messages, batch_messages));
    }
}
