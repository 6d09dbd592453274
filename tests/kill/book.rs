//! What publishers and subscribers know for certain, and what they are in doubt about.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use resguardo::wire::proto::{Accepted, CoveredMessage, Recorded};
use tokio::sync::watch;

use crate::stage::draft::Draft;
use crate::stage::statement::Receipt;

/// A message that was handed in at least once.
#[derive(Clone)]
pub(crate) struct Handed {
    /// Its exact envelope.
    pub(crate) envelope: Bytes,
    /// The hub's answer, once there was one.
    pub(crate) confirmed: Option<Accepted>,
    /// Where the audit shows it, if it does.
    pub(crate) seen: Option<u64>,
}

/// A receipt that the hub recorded.
#[derive(Clone)]
pub(crate) struct Stated {
    pub(crate) office: String,
    pub(crate) receipt: Receipt,
    pub(crate) bytes: Bytes,
    pub(crate) recorded: Recorded,
}

#[derive(Default)]
struct Pages {
    messages: HashMap<Bytes, Handed>,
    receipts: Vec<Stated>,
    /// By office: which messages it got.
    got: HashMap<String, HashSet<Bytes>>,
    /// By office: whose `received` was confirmed, and in which run of the hub.
    acknowledged: HashMap<String, HashMap<Bytes, u64>>,
}

/// The book.
pub(crate) struct Book {
    pages: Mutex<Pages>,
    confirmations: watch::Sender<u64>,
    stop: AtomicBool,
}

impl Default for Book {
    fn default() -> Self {
        Self { pages: Mutex::default(), confirmations: watch::Sender::new(0), stop: AtomicBool::new(false) }
    }
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().expect("nobody panicked over the book")
    }

    /// Notes that a message is about to be handed in.
    pub(crate) fn hand_in(&self, draft: &Draft) {
        let envelope = draft.envelope_bytes();
        let handed = Handed { envelope, confirmed: None, seen: None };
        self.pages().messages.entry(draft.id()).or_insert(handed);
    }

    /// Notes the hub's answer, which must agree with what the audit showed.
    pub(crate) fn confirm(&self, id: &Bytes, accepted: Accepted) {
        let mut pages = self.pages();
        let handed = pages.messages.get_mut(id).expect("it was handed in");
        assert!(handed.confirmed.is_none(), "{id:02x?} is confirmed a second time");
        match handed.seen {
            Some(index) => assert_eq!(
                (accepted.index, accepted.duplicate),
                (index, true),
                "{id:02x?} was in the audit: handed in again, it gets that index"
            ),
            None => assert!(!accepted.duplicate, "{id:02x?} was not in the audit, and is called a duplicate"),
        }
        handed.confirmed = Some(accepted);
        drop(pages);
        self.confirmations.send_modify(|count| *count += 1);
    }

    /// Notes where the audit shows messages.
    pub(crate) fn saw(&self, id: &Bytes, index: u64) {
        let mut pages = self.pages();
        let handed = pages.messages.get_mut(id).unwrap_or_else(|| panic!("{id:02x?} was never handed in"));
        assert!(handed.seen.is_none_or(|seen| seen == index), "{id:02x?} moved to {index}");
        handed.seen = Some(index);
    }

    /// Notes a delivery in a run of the hub.
    pub(crate) fn deliver(&self, office: &str, run: u64, id: &Bytes, envelope: &Bytes) {
        let mut pages = self.pages();
        let handed = pages.messages.get(id).unwrap_or_else(|| panic!("{id:02x?} was never handed in"));
        assert_eq!(handed.envelope, envelope, "{office} got other bytes than were handed in");
        let before = pages.acknowledged.get(office).and_then(|runs| runs.get(id)).copied();
        assert!(
            before.is_none_or(|before| before >= run),
            "{office} got {id:02x?} again, which it had acknowledged in an earlier run"
        );
        pages.got.entry(office.to_owned()).or_default().insert(id.clone());
    }

    /// Notes a recorded receipt.
    pub(crate) fn record(&self, run: u64, stated: Stated, clears: &[CoveredMessage]) {
        let mut pages = self.pages();
        let acknowledged = pages.acknowledged.entry(stated.office.clone()).or_default();
        for message in clears {
            acknowledged.entry(message.message_id.clone()).or_insert(run);
        }
        pages.receipts.push(stated);
    }

    /// How many messages are confirmed.
    pub(crate) fn confirmations(&self) -> u64 {
        *self.confirmations.borrow()
    }

    /// Waits until so many messages are confirmed.
    pub(crate) async fn confirmed(&self, enough: u64) {
        let mut count = self.confirmations.subscribe();
        count.wait_for(|count| *count >= enough).await.expect("the book is here");
    }

    /// How many confirmed messages an office has not got.
    pub(crate) fn lacks(&self, office: &str) -> usize {
        let pages = self.pages();
        let got = |id: &Bytes| pages.got.get(office).is_some_and(|got| got.contains(id));
        pages.messages.iter().filter(|(id, handed)| handed.confirmed.is_some() && !got(id)).count()
    }

    /// Every message that was handed in.
    pub(crate) fn messages(&self) -> HashMap<Bytes, Handed> {
        self.pages().messages.clone()
    }

    /// Every receipt that was confirmed.
    pub(crate) fn stated(&self) -> Vec<Stated> {
        self.pages().receipts.clone()
    }

    /// How many receipts are confirmed.
    pub(crate) fn receipts(&self) -> usize {
        self.pages().receipts.len()
    }

    /// Asks publishers to end.
    pub(crate) fn stop_publishing(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Whether publishers are to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
