//! What the ledger holds in memory, and how a message and a receipt change it.
//!
//! Owns the sets of what is outstanding and of what falls due, the spans changed since the last checkpoint, the newest ids and messages.
//! Never decides whether something may be, never reads the store: what it needs of it is handed in.
//! At a crash it is read again as of the last checkpoint, and the same changes are made again from the rows since.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::erasures::Erasures;
use super::ids::Ids;
use super::keys;
use super::lanes::{Asked, Kind, Lane, Lanes};
use super::months::AllMonths;
use super::outstanding::Outstanding;
use super::overdue::{ClockRow, MissedRow, OverdueRow};
use super::rows::MessageRow;
use super::span::{Places, Span, Statement};
use super::store::RowBatch;
use super::table::{Table, put_long};
use super::{LedgerError, SMALL};
use crate::model::entry::Mark;
use crate::model::envelope::{CapStatus, MessageId, Priority};
use crate::model::epoch::Epochs;
use crate::model::id::{Index, UnixMicros};
use crate::model::policy::{OfficeNumber, Policy};
use crate::model::receipt::Stage;
use crate::model::renewal::Renewals;

/// The places of the newest messages: a power of two; some 9 MB, and at 45,000 messages a second 0.7 s.
const RECENT_MAX: usize = if SMALL { 256 } else { 32_768 };

/// The stages that clear a delivery: who read it or acted on it has it, and who erased it need not have it any more.
pub(super) const CLEARING: [Stage; 4] = [Stage::Received, Stage::Read, Stage::Acted, Stage::Erased];

/// The stages after which nobody is waited for to see a message.
const READING: [Stage; 3] = [Stage::Read, Stage::Acted, Stage::Erased];

/// An office's span, by the span's number.
pub(super) type SpanKey = (OfficeNumber, u64);

/// What the ledger holds in memory.
pub(super) struct State {
    /// After the last decided batch.
    pub(super) mark: Mark,
    /// As of the last decided batch.
    pub(super) policy: Arc<Policy>,
    /// As of the last decided batch.
    pub(super) renewals: Arc<Renewals>,
    /// As of the last decided batch.
    pub(super) epochs: Arc<Epochs>,
    /// The newest ids.
    pub(super) ids: Ids,
    /// By office number; an office without one is owed nothing.
    pub(super) outstanding: Vec<Outstanding>,
    /// What falls due, and what was missed.
    pub(super) lanes: Lanes,
    /// What is owed each month.
    pub(super) months: AllMonths,
    /// The messages of a thread that somebody still owes an answer to.
    pub(super) threads: BTreeMap<[u8; 16], BTreeSet<Index>>,
    /// What is no longer kept.
    pub(super) erasures: Erasures,
    /// Since which record the hub's clock is not to be trusted; `None`: it is.
    pub(super) suspended: Option<ClockRow>,
    /// Spans that changed since the checkpoint.
    pub(super) spans: BTreeMap<SpanKey, Span>,
    /// Up to here spans, outstanding sets and ids are in rows of their own.
    pub(super) checkpoint: Index,
    recent: Vec<Option<Arc<MessageRow>>>,
}

/// What was read from the store because memory does not hold it.
#[derive(Default)]
pub(super) struct Gathered {
    /// Messages.
    pub(super) messages: BTreeMap<Index, Arc<MessageRow>>,
    /// Spans as of the last checkpoint.
    pub(super) spans: BTreeMap<SpanKey, Span>,
    /// The offices that used an id, and where.
    pub(super) ids: BTreeMap<MessageId, Vec<(OfficeNumber, Index)>>,
}

/// What a receipt changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// Places of which it was the first to state its stage, by span.
    pub(super) news: Vec<(u64, Places)>,
    /// Places of which it was not.
    pub(super) repeats: Vec<(u64, Places)>,
    /// The last of the receipts that it repeated.
    pub(super) last_first: Option<Index>,
}

impl State {
    /// Begins with what was read from the store.
    pub(super) fn loaded(
        (mark, checkpoint): (Mark, Index),
        policy: Arc<Policy>,
        renewals: Arc<Renewals>,
        epochs: Arc<Epochs>,
        ids: Ids,
        outstanding: Vec<Outstanding>,
        (lanes, months, suspended, erasures): (Lanes, AllMonths, Option<ClockRow>, Erasures),
    ) -> Self {
        let recent = vec![None; RECENT_MAX];
        let (spans, threads) = (BTreeMap::new(), BTreeMap::new());
        Self {
            mark,
            policy,
            renewals,
            epochs,
            ids,
            outstanding,
            lanes,
            months,
            threads,
            erasures,
            suspended,
            spans,
            checkpoint,
            recent,
        }
    }

    /// Tells whether a message is among the newest and will still be when entries before `next` were decided.
    pub(super) fn stays_recent(&self, index: Index, next: Index) -> bool {
        self.recent(index).is_some() && next.0 - index.0 <= RECENT_MAX as u64
    }

    /// The message at an index, if it is among the newest.
    pub(super) fn recent(&self, index: Index) -> Option<&Arc<MessageRow>> {
        self.recent[slot(index)].as_ref().filter(|row| row.index == index)
    }

    /// Tells whether a span may have a row: none begins before the checkpoint and ends after it.
    pub(super) fn may_be_stored(&self, span: u64) -> bool {
        Places::index(span, 0) < self.checkpoint
    }

    /// Makes an accepted message outstanding for its recipients.
    pub(super) fn deliver(&mut self, message: &Arc<MessageRow>) {
        let (number, place) = Places::of(message.index);
        let (urgent, real) = (message.priority == Priority::Urgent, message.status == CapStatus::Actual);
        for office in &message.recipients {
            // A new index is in a span that has no row yet.
            let span = self.spans.entry((*office, number)).or_default();
            span.owed.insert(place);
            if urgent {
                span.urgent.insert(place);
            }
            self.outstanding_mut(*office).owe(message.index, urgent, real);
        }
        self.lanes.begin(message);
        self.follow(message);
        self.ids.insert((message.message_id, message.sender_office), message.index);
        self.recent[slot(message.index)] = Some(Arc::clone(message));
    }

    /// Makes a notice outstanding.
    pub(super) fn owe_notice(&mut self, office: OfficeNumber, receipt: Index) {
        let (number, place) = Places::of(receipt);
        self.spans.entry((office, number)).or_default().notices.insert(place);
        self.outstanding_mut(office).notices.insert(receipt.0);
    }

    /// Takes in that nobody of an office is waited for any more to see a message.
    pub(super) fn seen(&mut self, office: OfficeNumber, message: Index) {
        let outstanding = self.outstanding_mut(office);
        outstanding.unread.remove(message.0);
        outstanding.settle(message.0..=message.0);
    }

    /// Remembers the thread of a message that somebody owes an answer to.
    pub(super) fn follow(&mut self, message: &MessageRow) {
        if let Some(thread) = message.thread {
            self.threads.entry(thread).or_default().insert(message.index);
        }
    }

    /// Takes in that an office answered a message.
    pub(super) fn answer(&mut self, office: OfficeNumber, message: &MessageRow) {
        self.lanes.answered(office, message);
        self.forget(message);
    }

    fn forget(&mut self, message: &MessageRow) {
        if let Some(thread) = message.thread
            && self.lanes.is_answered(message)
            && let Some(open) = self.threads.get_mut(&thread)
        {
            open.remove(&message.index);
            if open.is_empty() {
                self.threads.remove(&thread);
            }
        }
    }

    /// Takes in that an office missed something about a message, or in a month, and owes those a notice who are to know.
    pub(super) fn miss(&mut self, gathered: &Gathered, row: &OverdueRow, message: Option<&MessageRow>) {
        match (row.missed, message) {
            (MissedRow::Stage { stage, .. }, Some(message)) => {
                if let Some(within) = message.deadlines.of(stage) {
                    let (number, place) = Places::of(message.index);
                    let later: Vec<_> = CLEARING.into_iter().filter(|it| *it >= stage).collect();
                    let span = self.span(gathered, (row.office, number));
                    let open = span.is_none_or(|span| !span.any_of(&later).contains(place));
                    let (asked, kind) = (Asked::Stage(stage), Kind::Within(within));
                    self.lanes.miss(Lane { office: row.office, asked, kind }, message, open);
                }
            }
            (MissedRow::FollowUp { obligation, .. }, Some(message)) => {
                if let Some(it) = message.follow_ups.iter().find(|it| it.obligation == obligation) {
                    let (asked, kind) = (Asked::FollowUp(obligation), Kind::Within(it.within));
                    self.lanes.miss(Lane { office: row.office, asked, kind }, message, true);
                }
            }
            _ => {}
        }
        for office in &row.told {
            self.owe_notice(*office, row.index);
        }
    }

    /// Takes in a record of the hub's clock.
    pub(super) fn set_clock(&mut self, row: ClockRow) {
        self.suspended = row.suspended.is_some().then_some(row);
    }

    /// Takes in that an office reached a stage of a message at a time.
    pub(super) fn reach(&mut self, office: OfficeNumber, stage: Stage, message: &MessageRow, at: UnixMicros) {
        if stage <= Stage::Acted {
            let at = if self.suspended.is_some() { None } else { Some(at) };
            self.lanes.reached(office, stage, message, at);
            self.forget(message);
        }
    }

    /// Takes in what an office stated of messages and notices that it was owed.
    pub(super) fn acknowledge(
        &mut self,
        gathered: &Gathered,
        office: OfficeNumber,
        stage: Stage,
        receipt: Index,
        named: &[(u64, Places)],
    ) -> Acknowledged {
        let mut done = Acknowledged::default();
        for (number, places) in named {
            let Some(span) = self.span(gathered, (office, *number)) else { continue };
            let repeats = places.and(span.stated(stage));
            if !repeats.is_empty() {
                let first = span.statements.iter().filter(|it| it.stage == stage);
                let first = first.filter(|it| !it.places.and(repeats).is_empty()).map(|it| it.receipt);
                done.last_first = done.last_first.max(first.max());
                done.repeats.push((*number, repeats));
            }
            let news = places.minus(repeats);
            if !news.is_empty() {
                self.state_first(gathered, (office, *number), Statement { stage, receipt, places: news });
                done.news.push((*number, news));
            }
        }
        done
    }

    /// The span as it is now.
    pub(super) fn span<'a>(&'a self, gathered: &'a Gathered, key: SpanKey) -> Option<&'a Span> {
        self.spans.get(&key).or_else(|| gathered.spans.get(&key))
    }

    /// Writes what changed since the checkpoint: spans, their chunks of outstanding sets, ids.
    pub(super) fn checkpoint_rows(&self, table: &Table, rows: &mut RowBatch) -> Result<(), LedgerError> {
        let mut chunks = BTreeSet::new();
        for ((office, number), span) in &self.spans {
            put_long(rows, &keys::span(*office, *number), &span.encode());
            chunks.insert((*office, number >> keys::SPANS_IN_CHUNK_BITS));
        }
        for (office, chunk) in chunks {
            if let Some(outstanding) = self.outstanding.get(usize::from(office.0)) {
                outstanding.write(office, chunk, rows);
            }
        }
        self.lanes.write(rows);
        self.ids.write(table, rows)
    }

    fn state_first(&mut self, gathered: &Gathered, key: SpanKey, statement: Statement) {
        let stored = || gathered.spans.get(&key).cloned().unwrap_or_default();
        let span = self.spans.entry(key).or_insert_with(stored);
        let (cleared, read) = (span.any_of(&CLEARING), span.any_of(&READING));
        span.statements.push(statement);
        if !CLEARING.contains(&statement.stage) {
            return;
        }
        let (urgent, notices) = (span.urgent, span.notices);
        let outstanding = self.outstanding_mut(key.0);
        let new = statement.places.minus(cleared);
        let messages = new.minus(notices);
        for (set, places) in [
            (&mut outstanding.notices, new.and(notices)),
            (&mut outstanding.urgent, messages.and(urgent)),
            (&mut outstanding.other, messages.minus(urgent)),
        ] {
            for run in runs(key.1, places) {
                set.remove_range(run);
            }
        }
        if READING.contains(&statement.stage) {
            let new = statement.places.minus(read);
            for run in runs(key.1, new) {
                outstanding.unread.remove_range(run);
            }
        }
        runs(key.1, statement.places).for_each(|run| outstanding.settle(run));
    }

    fn outstanding_mut(&mut self, office: OfficeNumber) -> &mut Outstanding {
        let number = usize::from(office.0);
        if self.outstanding.len() <= number {
            self.outstanding.resize(number + 1, Outstanding::default());
        }
        &mut self.outstanding[number]
    }
}

/// The indexes at some places of a span, in runs.
fn runs(span: u64, places: Places) -> impl Iterator<Item = RangeInclusive<u64>> {
    places.runs().map(move |(first, last)| Places::index(span, first).0..=Places::index(span, last).0)
}

/// Sorts indexes, ascending, into the spans that they are in.
pub(super) fn by_span(indexes: impl IntoIterator<Item = Index>) -> Vec<(u64, Places)> {
    let mut spans: Vec<(u64, Places)> = Vec::new();
    for index in indexes {
        let (number, place) = Places::of(index);
        match spans.last_mut() {
            Some((last, places)) if *last == number => places.insert(place),
            _ => {
                let mut places = Places::default();
                places.insert(place);
                spans.push((number, places));
            }
        }
    }
    spans
}

fn slot(index: Index) -> usize {
    usize::try_from(index.0 % RECENT_MAX as u64).expect("what is left is below RECENT_MAX")
}
