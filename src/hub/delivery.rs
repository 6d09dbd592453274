//! What is sent down next: the cursor of one subscription over what its office is owed.
//!
//! Owns positions only. What is owed is the ledger's to say, the bytes come from memory or from the journal.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::Status;

use super::live::Item;
use super::{Hub, stopping_status};
use crate::ledger::LedgerError;
use crate::ledger::rows::MessageRow;
use crate::ledger::view::{Lane, Owed, View};
use crate::model::entry::EntryKind;
use crate::model::envelope::Priority;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::policy::OfficeNumber;
use crate::wire::proto::{
    Deliveries, Delivery, Message, Notice, SubscribeResponse, delivery, notice, subscribe_response,
};

/// Deliveries in one frame at most.
const FRAME_DELIVERIES_MAX: usize = 64;
/// Bytes of deliveries in one frame, but for a single larger one: what an urgent message may wait behind, with the one
/// frame that is on its way. On a line of 9,600 bit/s that is a minute.
pub(super) const FRAME_BYTES_MAX: usize = 64 * 1024;

/// The cursor of one subscription.
pub(super) struct Cursor {
    places: Places,
    /// The office's name.
    office: String,
    /// Only these streams; none: all.
    streams: Vec<Name>,
    /// How many are looked for at once: twice what fitted into the last frame, for looking up more is in vain.
    fits: usize,
    bell: watch::Receiver<()>,
}

/// The positions of one subscription.
#[derive(Clone, Copy)]
struct Places {
    office: OfficeNumber,
    /// The next urgent one is at or after this.
    urgent: Index,
    /// What is still to be replayed before the others: from, up to.
    replay: Option<(Index, Index)>,
    /// What the replay brings in all: what is owed of it does not come a second time.
    covered: Option<(Index, Index)>,
    /// The next other one is at or after this.
    other: Index,
}

/// What is sent next.
pub(super) struct Next {
    /// The deliveries; none: nothing is owed beyond what was sent.
    pub deliveries: Vec<Delivery>,
    /// More may be owed already: to be asked for without waiting for the bell.
    pub more: bool,
}

/// Why something is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    Urgent,
    Replay {
        /// It was acknowledged before.
        again: bool,
    },
    Other,
}

/// Something chosen to be sent.
struct Chosen {
    owed: Owed,
    why: Why,
}

impl Chosen {
    fn index(&self) -> Index {
        match &self.owed {
            Owed::Message(row) => row.index,
            Owed::Notice(index) => *index,
        }
    }
}

impl Cursor {
    /// Begins at the oldest that is owed; replays what stands from an index on, up to now.
    pub(super) fn new(hub: &Hub, office: OfficeNumber, streams: Vec<Name>, replay_from: Option<u64>) -> Self {
        let until = hub.door.view.decided().next_index;
        let replay = replay_from.map(|from| (Index(from), until));
        let places = Places { office, urgent: Index(0), replay, covered: replay, other: Index(0) };
        let name = hub.door.view.policy().office(office).map(ToString::to_string).unwrap_or_default();
        Self { places, office: name, streams, fits: FRAME_DELIVERIES_MAX, bell: hub.live.listen(office) }
    }

    /// Waits until something new is owed.
    pub(super) async fn rung(&mut self) {
        if self.bell.changed().await.is_err() {
            // The hub is gone; the subscription is ended by others.
            std::future::pending::<()>().await;
        }
    }

    /// Chooses what comes next, at most `most` things, and reads it.
    ///
    /// # Errors
    /// A status when the hub stops or its ledger fails.
    pub(super) async fn next(&mut self, hub: &Hub, most: u32) -> Result<Next, Status> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.fits);
        loop {
            // What rings from here on is looked at again.
            self.bell.borrow_and_update();
            let decided = hub.door.view.decided().next_index;
            let (chosen, replayed) = self.choose(hub, most).await?;
            if replayed {
                self.places.replay = None;
            }
            if !chosen.iter().any(|one| one.why == Why::Urgent) {
                // Whatever urgent is owed from now on stands at or after this.
                self.places.urgent = decided;
            }
            if chosen.is_empty() {
                self.places.other = decided;
                return Ok(Next { deliveries: Vec::new(), more: false });
            }
            // A replay leaves out what it brings in another lane: then a frame that is not full says nothing.
            let last = chosen.len() < most && self.places.covered.is_none();
            let wanted: Vec<_> = chosen.iter().filter(|one| self.wants(one)).map(Chosen::index).collect();
            let found = hub.items(wanted).await?;
            let (deliveries, all) = self.take(&hub.door.view, chosen, found, hub.expiring());
            let next = if all { self.fits } else { deliveries.len() };
            self.fits = (2 * next).clamp(1, FRAME_DELIVERIES_MAX);
            if last && all {
                self.places.urgent = self.places.urgent.max(decided);
                self.places.other = self.places.other.max(decided);
            }
            if !deliveries.is_empty() {
                return Ok(Next { deliveries, more: !(last && all) });
            }
        }
    }

    /// Asks the ledger; whoever is behind asks in the lane, for its rows may have to come from disk.
    async fn choose(&self, hub: &Hub, most: usize) -> Result<(Vec<Chosen>, bool), Status> {
        let places = self.places;
        let chosen = if places.replay.is_none() && hub.live.covers(places.urgent.min(places.other)) {
            places.choose(&hub.door.view, most)
        } else {
            let view = hub.door.view.clone();
            hub.reads.run(move || places.choose(&view, most)).await.map_err(|_| stopping_status())?
        };
        chosen.map_err(|error| hub.ledger_fault(error))
    }

    fn wants(&self, chosen: &Chosen) -> bool {
        match &chosen.owed {
            // What is urgent and owed has come already, before the replay.
            Owed::Message(row)
                if row.priority == Priority::Urgent && chosen.why == Why::Replay { again: false } =>
            {
                false
            }
            Owed::Message(row) => self.streams.is_empty() || self.streams.contains(&row.stream),
            Owed::Notice(_) => true,
        }
    }

    /// Takes as many as fit into a frame, and moves on past them, past those of other streams and past those that cannot
    /// be read: they stay owed, and hold up nothing else. Tells whether that was all.
    fn take(
        &mut self,
        view: &View,
        chosen: Vec<Chosen>,
        found: Vec<Option<Item>>,
        now: UnixMicros,
    ) -> (Vec<Delivery>, bool) {
        let mut bytes = 0;
        let mut deliveries = Vec::with_capacity(found.len());
        let mut found = found.into_iter();
        for one in chosen {
            if self.wants(&one) {
                // What was not looked for any more comes in the next frame.
                let Some(item) = found.next() else { return (deliveries, false) };
                if let Some(item) = item {
                    bytes += item.bytes();
                    if bytes > FRAME_BYTES_MAX && !deliveries.is_empty() {
                        return (deliveries, false);
                    }
                    if let Owed::Message(row) = &one.owed {
                        tracing::debug!(message_id = %row.message_id, office = self.office, "sent down");
                    }
                    deliveries.push(delivery(view, &one, item, now));
                }
            }
            self.places.pass(&one);
        }
        (deliveries, true)
    }
}

impl Places {
    /// Chooses what comes next; `true` when the replay is over.
    fn choose(&self, view: &View, most: usize) -> Result<(Vec<Chosen>, bool), LedgerError> {
        let mut chosen = owed(view, self.office, Lane::Urgent, self.urgent, most)?;
        let left = most - chosen.len();
        let mut over = false;
        if let Some(range) = self.replay
            && left > 0
        {
            let rows = replayed(view, self.office, range, left)?;
            over = rows.is_empty();
            chosen.extend(rows.into_iter().map(|row| {
                let again = !view.is_owed(self.office, row.index);
                Chosen { owed: Owed::Message(row), why: Why::Replay { again } }
            }));
        }
        // What is replayed comes before what is not urgent, so that it stays in the order of the journal.
        if (over || self.replay.is_none()) && left > 0 {
            let others = owed(view, self.office, Lane::Other, self.other, left)?;
            chosen.extend(others.into_iter().filter(|one| !self.covers(one.index())));
            if chosen.is_empty()
                && let Some((_, until)) = self.covered.filter(|(_, until)| self.other < *until)
            {
                chosen = owed(view, self.office, Lane::Other, until, left)?;
            }
        }
        Ok((chosen, over))
    }

    fn covers(&self, index: Index) -> bool {
        self.covered.is_some_and(|(first, until)| first <= index && index < until)
    }

    fn pass(&mut self, chosen: &Chosen) {
        let next = chosen.index().next();
        match chosen.why {
            Why::Urgent => self.urgent = next,
            Why::Other => self.other = next,
            Why::Replay { .. } => self.replay = self.replay.map(|(_, until)| (next, until)),
        }
    }
}

fn owed(
    view: &View,
    office: OfficeNumber,
    lane: Lane,
    from: Index,
    most: usize,
) -> Result<Vec<Chosen>, LedgerError> {
    let why = match lane {
        Lane::Urgent => Why::Urgent,
        Lane::Other => Why::Other,
    };
    Ok(view.owed(office, lane, from, most)?.into_iter().map(|owed| Chosen { owed, why }).collect())
}

/// The next messages that an office was ever owed, at or after one index and before another.
fn replayed(
    view: &View,
    office: OfficeNumber,
    (mut from, until): (Index, Index),
    most: usize,
) -> Result<Vec<Arc<MessageRow>>, LedgerError> {
    loop {
        let page = view.replay(office, from, most)?;
        let rows: Vec<_> = page.rows.into_iter().filter(|row| row.index < until).collect();
        match page.next {
            Some(next) if rows.is_empty() && next < until => from = next,
            _ => return Ok(rows),
        }
    }
}

/// Makes a frame.
pub(super) fn frame(deliveries: Vec<Delivery>) -> SubscribeResponse {
    SubscribeResponse { frame: Some(subscribe_response::Frame::Deliveries(Deliveries { deliveries })) }
}

fn delivery(view: &View, chosen: &Chosen, item: Item, now: UnixMicros) -> Delivery {
    let content = match &chosen.owed {
        Owed::Message(row) => {
            // From the order on, whether the bytes are overwritten yet or not.
            let kept = item.payload.filter(|_| !view.is_erased(row.index));
            delivery::Content::Message(Message {
                envelope: item.statement,
                erased: kept.is_none(),
                payload: kept.unwrap_or_default(),
                expired: row.expires.is_some_and(|expires| expires <= now),
                replayed: chosen.why == Why::Replay { again: true },
            })
        }
        Owed::Notice(_) => {
            let notice = match item.kind {
                EntryKind::Overdue => notice::Notice::Overdue(item.statement),
                EntryKind::Erasure => notice::Notice::Erasure(item.statement),
                _ => notice::Notice::Receipt(item.statement),
            };
            let note = item.payload.unwrap_or_default();
            delivery::Content::Notice(Notice { notice: Some(notice), note })
        }
    };
    Delivery { index: item.index.0, accepted_unix_us: item.time.0, content: Some(content) }
}
