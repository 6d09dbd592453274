//! What the audit shows while nobody else is at the hub, held against the last time and against what was confirmed.

use std::collections::HashMap;

use bytes::Bytes;
use resguardo::wire::proto::{DeliveryRow, EntryKind, EntryRow, ReceiptRow};

use crate::SUBSCRIBERS;
use crate::book::Book;
use crate::publisher::id_of;
use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::statement;

/// The audit at one time.
pub(crate) struct Picture {
    entries: Vec<EntryRow>,
    deliveries: Vec<DeliveryRow>,
    receipts: Vec<ReceiptRow>,
}

impl Picture {
    /// Takes one.
    pub(crate) async fn take(stage: &Stage) -> Self {
        let auditor = stage.auditor("ohchr").await;
        Self {
            entries: auditor.entries(all()).await.expect("entries are listed"),
            deliveries: auditor.deliveries(all()).await.expect("deliveries are listed"),
            receipts: auditor.receipts(all()).await.expect("receipts are listed"),
        }
    }

    /// How many entries it shows.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes the next one in its place, and holds it against this one and the book.
    pub(crate) async fn next(&mut self, stage: &Stage, book: &Book, when: &str) {
        let next = Self::take(stage).await;
        next.continues(self, when);
        next.holds_messages(book, when);
        next.holds_receipts(book, when);
        *self = next;
    }

    /// What was shown once is shown for ever, in the same place.
    fn continues(&self, before: &Self, when: &str) {
        assert!(self.entries.len() >= before.entries.len(), "{when}: entries were lost");
        for (old, new) in before.entries.iter().zip(&self.entries) {
            assert_eq!(old, new, "{when}: entry {} changed", old.index);
        }
        let indexes = self.entries.iter().map(|entry| entry.index);
        assert!(indexes.eq(0..self.entries.len() as u64), "{when}: indexes have gaps");
        let times = self.entries.windows(2);
        assert!(
            times.into_iter().all(|pair| pair[0].recorded_unix_us <= pair[1].recorded_unix_us),
            "{when}: time ran back"
        );
    }

    fn holds_messages(&self, book: &Book, when: &str) {
        let mut rows: HashMap<u64, Vec<&str>> = HashMap::new();
        for row in &self.deliveries {
            let index = row.message.as_ref().expect("a row is of a message").index;
            rows.entry(index).or_default().push(&row.office);
        }
        let handed = book.messages();
        let mut shown: HashMap<Bytes, u64> = HashMap::new();
        for entry in self.entries.iter().filter(|entry| entry.kind() == EntryKind::Publish) {
            let id = id_of(&entry.statement);
            let known =
                handed.get(&id).unwrap_or_else(|| panic!("{when}: {} was never handed in", entry.index));
            assert_eq!(entry.statement, known.envelope, "{when}: {} has other bytes", entry.index);
            let twice = shown.insert(id.clone(), entry.index);
            assert_eq!(twice, None, "{when}: {id:02x?} is there twice, again at {}", entry.index);
            let owed = rows.remove(&entry.index).unwrap_or_default();
            assert_eq!(
                owed, SUBSCRIBERS,
                "{when}: {} is owed to all its recipients or it is not there",
                entry.index
            );
            book.saw(&id, entry.index);
        }
        assert!(rows.is_empty(), "{when}: deliveries of messages that are no entries: {rows:?}");
        for (id, handed) in handed {
            let found = shown.get(&id);
            if let Some(accepted) = &handed.confirmed {
                assert_eq!(
                    found,
                    Some(&accepted.index),
                    "{when}: {id:02x?} was confirmed at {}",
                    accepted.index
                );
                let entry = &self.entries[usize::try_from(accepted.index).expect("an index fits")];
                assert_eq!(entry.recorded_unix_us, accepted.accepted_unix_us, "{when}: its time changed");
            }
            assert!(
                handed.seen.is_none() || handed.seen == found.copied(),
                "{when}: {id:02x?} was there and is gone"
            );
        }
    }

    fn holds_receipts(&self, book: &Book, when: &str) {
        let listed: HashMap<u64, &ReceiptRow> = self
            .receipts
            .iter()
            .map(|row| (row.stage.as_ref().expect("a row is of a stage").receipt_index, row))
            .collect();
        let mut stages = HashMap::new();
        for row in &self.deliveries {
            let index = row.message.as_ref().expect("a row is of a message").index;
            for stage in &row.stages {
                stages.insert((row.office.as_str(), index, stage.stage), stage.receipt_index);
            }
        }
        // Confirmed or not: a receipt that is an entry counts for every message that it names.
        for entry in self.entries.iter().filter(|entry| entry.kind() == EntryKind::Receipt) {
            let receipt = statement::decoded(&entry.statement);
            let office = receipt.desk.split(':').nth(3).expect("a desk");
            for message in &receipt.messages {
                let first = stages.get(&(office, message.index, receipt.stage));
                let counts = first.is_some_and(|first| *first <= entry.index);
                assert!(counts, "{when}: receipt {} does not count for {}", entry.index, message.index);
            }
        }
        for stated in book.stated() {
            for message in &stated.receipt.messages {
                let first = stages.get(&(stated.office.as_str(), message.index, stated.receipt.stage));
                assert!(first.is_some(), "{when}: {} confirmed {:?} is lost", stated.office, stated.receipt);
            }
            if stated.recorded.news == 0 {
                continue;
            }
            let index = stated.recorded.index;
            let entry = &self.entries[usize::try_from(index).expect("an index fits")];
            assert_eq!(
                (entry.kind(), &entry.statement),
                (EntryKind::Receipt, &stated.bytes),
                "{when}: receipt {index}"
            );
            assert_eq!(entry.recorded_unix_us, stated.recorded.recorded_unix_us, "{when}: receipt {index}");
            let news = listed.get(&index).map(|row| row.news);
            assert_eq!(news, Some(stated.recorded.news), "{when}: receipt {index}");
        }
    }
}
