//! One connection of a subscription, from its start to its end.
//!
//! Owns the order of things on it: keep, tell, acknowledge, give credit. Never connects again.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::acknowledge::{Acknowledger, Own, Sent};
use super::beside::{courier, missed_erasures, renewing, tell_pending, witnessing};
use super::incomplete::Due;
use super::timer::Timer;
use super::{Closing, End, Event, LineEnd, ReplayFrom, SessionError, Subscription};
use crate::desk::epochs;
use crate::desk::hand_in::{self, HandInError, passes_after_ms};
use crate::desk::inbox::{Outcome, Told, hold};
use crate::desk::opener::known;
use crate::desk::packet::porter::{Moved, Porter};
use crate::model::envelope::{FileRef, Priority};
use crate::model::epoch::Epochs;
use crate::model::erasure::ErasureOrder;
use crate::model::id::Index;
use crate::model::receipt::Covered;
use crate::model::refusal::Reason;
use crate::wire::proto;
use crate::wire::proto::subscribe_response::Frame;
use crate::wire::status::{CallError, Refused};

/// Deliveries on their way at most: at a round trip of 300 ms some 3,000 a second, and 256 MiB of the largest payloads.
const CREDIT: u32 = 1_024;
/// Frames that wait in the channel to the connection; more wait here.
const FRAMES_MAX: usize = 16;
/// How long receipts are gathered: under load one then covers many messages.
const GATHER: Duration = Duration::from_millis(1);
/// How often a receipt refused for now is handed up again.
const ROUND: Duration = Duration::from_secs(1);
/// In each so many rounds the outbox is looked at, for what other processes left there.
const ROUNDS_TO_OUTBOX: u32 = 10;
/// How long the hub's results are waited for at the end: at 9,600 bit/s with 2 s latency a receipt and its result take 8 s.
const CLOSE_GRACE: Duration = Duration::from_secs(15);

struct Line<'s, 'a> {
    subscription: &'s mut Subscription<'a>,
    channel: Channel,
    receipts: Acknowledger,
    /// Deliveries that the hub may still send.
    credit: u32,
    /// How many it lets be on their way at most: beyond that, more credit is lost.
    credit_max: u32,
    closing: Option<Closing>,
    gather: Timer,
    grace: Timer,
    rounds: u32,
}

/// Serves one connection.
///
/// # Errors
/// Each of [`SessionError`]; that the connection is lost is no error.
pub(super) async fn serve(
    subscription: &mut Subscription<'_>,
    channel: Channel,
) -> Result<LineEnd, SessionError> {
    let stop = subscription.stop.clone();
    let credit = subscription.credit_wanted(CREDIT);
    let (replay_from_index, replay_from_unix_us) = match subscription.plan.replay_from {
        Some(ReplayFrom::Index(index)) => (Some(index.0), None),
        Some(ReplayFrom::Time(time)) => (None, Some(time.0)),
        None => (None, None),
    };
    let start = proto::Start {
        streams: subscription.plan.streams.iter().map(ToString::to_string).collect(),
        replay_from_index,
        credit,
        replay_from_unix_us,
    };
    let (sender, frames) = mpsc::channel(FRAMES_MAX);
    let start = proto::SubscribeRequest { frame: Some(proto::subscribe_request::Frame::Start(start)) };
    sender.try_send(start).expect("the channel is empty and its other end is in this function");
    let mut client = hand_in::client(channel.clone());
    let down = tokio::select! {
        down = client.subscribe(ReceiverStream::new(frames)) => down,
        () = stop.cancelled() => return Ok(LineEnd::Done(End::Stopped)),
    };
    let down = match down {
        Ok(down) => down.into_inner(),
        Err(status) => return Ok(LineEnd::Lost(status.into())),
    };
    let (home, outbox) = (subscription.home, subscription.outbox.clone());
    let beside = (Arc::clone(&subscription.waiting), subscription.host.sealing());
    let courier = courier(home, &outbox, channel.clone(), subscription.observer, beside);
    let (clock, observer) = (subscription.host.clock.clone(), subscription.observer);
    let missed = pin!(missed_erasures(home, channel.clone()));
    let renewed = pin!(renewing(home, channel.clone(), clock.as_ref(), observer));
    let (urgent, signer) = (Arc::clone(&subscription.urgent), subscription.host.signer.clone());
    let witness = witnessing(home, channel.clone(), clock.as_ref(), (observer, &urgent, &signer));
    subscription.writer.follow(known(home));
    subscription.keep_up(channel.clone()).await;
    let mut line = Line {
        channel: channel.clone(),
        subscription,
        receipts: Acknowledger::default(),
        credit,
        credit_max: CREDIT,
        closing: None,
        gather: Timer::default(),
        grace: Timer::default(),
        rounds: 0,
    };
    tokio::select! {
        end = line.run(down, sender, renewed, missed) => end,
        error = courier => Err(error),
        error = witness => Err(error),
    }
}

impl Line<'_, '_> {
    async fn run(
        &mut self,
        mut down: Streaming<proto::SubscribeResponse>,
        up: mpsc::Sender<proto::SubscribeRequest>,
        mut renewed: Pin<&mut impl Future<Output = Result<(), SessionError>>>,
        mut missed: Pin<&mut impl Future<Output = Vec<proto::ErasureRow>>>,
    ) -> Result<LineEnd, SessionError> {
        let stop = self.subscription.stop.clone();
        let mut rounds = interval(ROUND);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listed = false;
        loop {
            if self.closing.is_none() && self.subscription.has_counted() {
                self.close(Closing::Done(End::Counted));
            }
            if let Some(closing) = self.closing
                && self.receipts.is_done()
            {
                return Ok(closing.into());
            }
            // What goes up comes first: a hub that waits for receipts sends nothing new.
            tokio::select! {
                biased;
                () = stop.cancelled(), if self.closing.is_none() => self.close(Closing::Done(End::Stopped)),
                () = self.grace.elapsed() => {
                    return Ok(self.closing.unwrap_or(Closing::Done(End::Stopped)).into());
                }
                renewed = &mut renewed, if self.closing.is_none() => {
                    renewed?;
                    self.close(Closing::Renewed);
                }
                () = self.gather.elapsed() => self.flush(),
                permit = up.reserve(), if self.receipts.has_frame() => match permit {
                    Ok(permit) => self.hand_up(permit),
                    Err(_) => return Ok(LineEnd::Lost(ended())),
                },
                frame = down.message() => match frame {
                    Ok(Some(frame)) => {
                        if let Err(error) = self.take(frame).await? {
                            return Ok(LineEnd::Lost(error));
                        }
                    }
                    Ok(None) => return Ok(LineEnd::Lost(ended())),
                    Err(status) => return Ok(LineEnd::Lost(status.into())),
                },
                moved = next_moved(&mut self.subscription.porter) => self.moved(&moved)?,
                rows = &mut missed, if !listed => {
                    listed = true;
                    self.carry_out(rows).await?;
                }
                _ = rounds.tick() => self.round().await?,
            }
            if self.receipts.is_full() {
                self.flush();
            } else if self.receipts.has_gathered() {
                self.gather.start(GATHER);
            }
        }
    }

    /// Ends the subscription as soon as what is kept is acknowledged.
    fn close(&mut self, closing: Closing) {
        self.closing = Some(closing);
        self.grace.start(CLOSE_GRACE);
        self.flush();
    }

    fn flush(&mut self) {
        self.gather.clear();
        let host = &self.subscription.host;
        let attended = host.unlocked.as_ref().map(|unlocked| unlocked.signer(host.random.clone()));
        self.receipts.flush((&host.signer, attended.as_ref()), host.clock.now());
    }

    fn hand_up(&mut self, permit: mpsc::Permit<'_, proto::SubscribeRequest>) {
        let Some((frame, due)) = self.receipts.next_frame() else { return };
        permit.send(frame);
        if let Some(commands) = &self.subscription.commands {
            for (priority, entry) in due {
                commands.add(priority, entry);
            }
        }
    }

    async fn take(&mut self, frame: proto::SubscribeResponse) -> Result<Result<(), CallError>, SessionError> {
        match frame.frame {
            Some(Frame::Started(started)) => {
                if started.credit < self.credit {
                    self.credit_max = started.credit;
                }
                self.credit = started.credit;
                self.subscription.started_once = true;
                self.tell(Event::Started { outstanding: started.outstanding })?;
                self.adopt(epochs::told(&started)).await?;
            }
            // They are not kept, not acknowledged, and come again.
            Some(Frame::Deliveries(_))
                if self.closing.is_some() || self.subscription.remaining == Some(0) => {}
            Some(Frame::Deliveries(frame)) => return self.keep(frame.deliveries).await,
            Some(Frame::ReceiptResults(frame)) => {
                for result in frame.results {
                    if let Err(error) = self.answered(result).await? {
                        return Ok(Err(error));
                    }
                }
            }
            None => {}
        }
        Ok(Ok(()))
    }

    /// Takes in the epochs of the hub's log, and has the courier carry what the hub has lost.
    async fn adopt(&mut self, told: Epochs) -> Result<(), SessionError> {
        let adopted = epochs::adopt(self.subscription.home, &self.subscription.outbox, &told).await;
        match adopted {
            Ok(Some(restored)) => {
                self.tell(Event::Restored(&restored))?;
                self.subscription.waiting.notify_one();
            }
            Ok(None) => {}
            Err(HandInError::Store(error)) => return Err(error.into()),
            Err(error) => tell_pending(self.subscription.observer, error)?,
        }
        self.subscription.writer.adopt(told);
        Ok(())
    }

    async fn keep(
        &mut self,
        mut deliveries: Vec<proto::Delivery>,
    ) -> Result<Result<(), CallError>, SessionError> {
        let came = u32::try_from(deliveries.len()).unwrap_or(u32::MAX);
        self.credit = self.credit.saturating_sub(came);
        let due = self.subscription.commands.is_some();
        let now = self.subscription.host.clock.now();
        let waits = self.subscription.look_up(self.channel.clone(), &mut deliveries).await?;
        for outcome in self.subscription.writer.keep(deliveries, now, due)? {
            self.kept(outcome).await?;
        }
        let target = self.subscription.credit_wanted(self.credit_max);
        let missing = target.saturating_sub(self.credit);
        if missing > 0 && missing >= target / 2 {
            self.credit += missing;
            self.receipts.credit(missing);
        }
        Ok(waits.map_or(Ok(()), Err))
    }

    /// Acknowledges a message as soon as it and its files are here.
    fn acknowledge(&mut self, message: Covered, files: &[FileRef], due: Due) -> Result<(), SessionError> {
        let Subscription { home, porter, incomplete, .. } = &mut *self.subscription;
        if incomplete.take(&home.shelf(), porter.as_ref(), message, files, &due)? {
            self.receipts.message(message, due);
        }
        Ok(())
    }

    fn moved(&mut self, moved: &Moved) -> Result<(), SessionError> {
        if let Moved::Whole(message) = moved
            && let Some(due) = self.subscription.incomplete.whole(message)
        {
            self.receipts.message(*message, due);
        }
        self.tell(Event::Files(moved))
    }

    async fn kept(&mut self, outcome: Outcome) -> Result<(), SessionError> {
        match outcome {
            Outcome::New(kept, clear) => {
                self.tell(Event::Message(&kept, clear.as_ref()))?;
                if kept.envelope.priority == Priority::Urgent {
                    self.subscription.urgent.notify_one();
                }
                if let Some(remaining) = &mut self.subscription.remaining {
                    *remaining = remaining.saturating_sub(1);
                }
                if !kept.replayed {
                    let message = kept.covered();
                    let due = Some((kept.envelope.priority, kept.entry));
                    self.acknowledge(message, &kept.envelope.files, due)?;
                }
            }
            Outcome::Mended { message, kept } => {
                self.tell(Event::Mended(&kept))?;
                if !kept.replayed {
                    self.acknowledge(message, &kept.envelope.files, None)?;
                }
            }
            Outcome::Again { message, replayed: false, files } => self.acknowledge(message, &files, None)?,
            Outcome::Again { .. } => {}
            Outcome::Erased { message, holds, kept } => {
                if let Some(kept) = kept {
                    self.tell(Event::ErasedCame(&kept))?;
                }
                if holds {
                    self.receipts.erased(message);
                }
            }
            Outcome::Unreadable { message, index, reason, opened } => {
                let message_id = message.map(|message| message.message_id);
                self.tell(Event::Unreadable { message_id, index, reason: &reason })?;
                if let Some(message) = message {
                    self.receipts.unreadable(message, reason, opened);
                }
            }
            Outcome::Notice { notice, again } => {
                if !again {
                    self.tell(Event::Notice(&notice))?;
                }
                if let Ok(Told::Erasure(order)) = &notice.told {
                    self.erase(order).await?;
                }
                self.receipts.notice(notice.index);
            }
            Outcome::Unknown(index) => self.tell(Event::Unknown(index))?,
        }
        Ok(())
    }

    /// Erases what is here of a message, and states it.
    async fn erase(&mut self, order: &ErasureOrder) -> Result<(), SessionError> {
        let (message, why) = ((order.sender(), order.message_id), &order.reason);
        if let Some(message) = self.subscription.erase(message, why).await? {
            self.receipts.erased(message);
        }
        Ok(())
    }

    /// Carries out what this home was not told of while it was away.
    async fn carry_out(&mut self, rows: Vec<proto::ErasureRow>) -> Result<(), SessionError> {
        let (mut last, mut all_held) = (None, true);
        for row in rows {
            let index = Index(row.index);
            // The end of a retention is the hub's own affair.
            let order =
                (!row.order.is_empty()).then(|| hold::order(self.subscription.writer.policy(), &row.order));
            match order.transpose() {
                Ok(Some(order)) => self.erase(&order).await?,
                Ok(None) => {}
                Err(refusal) => {
                    all_held = false;
                    self.tell(Event::OrderNotHeld { index, refusal: &refusal })?;
                }
            }
            // One that does not hold is asked for again: the directory may be behind.
            last = if all_held { Some(index) } else { last };
        }
        last.map_or(Ok(()), |last| self.subscription.told_of_erasures(last))
    }

    async fn answered(
        &mut self,
        result: proto::ReceiptResult,
    ) -> Result<Result<(), CallError>, SessionError> {
        match self.receipts.answered() {
            Some(Sent::Own(own)) => match hand_in::verdict(result) {
                Ok(Ok(_)) => {
                    self.tell(Event::Acknowledged { count: own.len() })?;
                }
                Ok(Err(refused)) => self.refused(own, &refused).await?,
                Err(error) => return Ok(Err(error)),
            },
            Some(Sent::Statement(entry)) => {
                let outbox = &self.subscription.outbox;
                match hand_in::settle(self.subscription.home, outbox, &entry, result).await {
                    Ok(outcome) => {
                        self.tell(Event::StatementHandedIn { entry: &entry, outcome: &outcome })?;
                    }
                    // It stays pending, is handed up again, and gets the same answer.
                    Err(error) => tell_pending(self.subscription.observer, error)?,
                }
            }
            None => {
                let message = "the hub answered a receipt that it was not handed".into();
                return Ok(Err(CallError::Other { code: tonic::Code::Unknown, message }));
            }
        }
        Ok(Ok(()))
    }

    async fn refused(&mut self, own: Own, refused: &Refused) -> Result<(), SessionError> {
        if passes_after_ms(refused).is_some() || self.was_rekeyed(refused).await? {
            self.receipts.again_later(Sent::Own(own));
            Ok(())
        } else if self.receipts.again_parted(own) {
            Ok(())
        } else {
            self.tell(Event::ReceiptRefused(refused))
        }
    }

    /// Tells whether what was refused was signed with a key that was replaced, and another is at hand by now.
    async fn was_rekeyed(&mut self, refused: &Refused) -> Result<bool, SessionError> {
        if refused.known_reason() != Some(Reason::DirectoryStale) {
            return Ok(false);
        }
        self.subscription.look_at_directory(self.channel.clone()).await?;
        Ok(self.subscription.keep_up(self.channel.clone()).await)
    }

    /// Hands up again what the hub could not take, and persons' receipts that wait in the outbox.
    async fn round(&mut self) -> Result<(), SessionError> {
        self.receipts.retry();
        let due = self.rounds.is_multiple_of(ROUNDS_TO_OUTBOX);
        self.rounds = self.rounds.wrapping_add(1);
        if !due || self.closing.is_some() {
            return Ok(());
        }
        self.subscription.tell_missing()?;
        self.subscription.keep_up(self.channel.clone()).await;
        let Subscription { home, porter, incomplete, .. } = &mut *self.subscription;
        for (message, due) in incomplete.look(&home.shelf(), porter.as_ref())? {
            self.receipts.message(message, due);
        }
        for entry in self.subscription.outbox.pending()?.1 {
            if self.receipts.has_statement(&entry) {
                continue;
            }
            let (home, outbox) = (self.subscription.home, &self.subscription.outbox);
            match epochs::ready(home, self.subscription.writer.inbox(), outbox, &entry).await {
                Ok(Some(receipt)) => self.receipts.statement(entry, receipt),
                // The message must come again first.
                Ok(None) => {}
                // Another process has settled it, or its file is damaged: the others go on.
                Err(error) => tell_pending(self.subscription.observer, error)?,
            }
        }
        Ok(())
    }

    fn tell(&self, event: Event<'_>) -> Result<(), SessionError> {
        Ok(self.subscription.observer.tell(event)?)
    }
}

impl Subscription<'_> {
    /// Tells whether all that was wanted has come, with its files where they are fetched.
    fn has_counted(&self) -> bool {
        self.remaining == Some(0) && (self.porter.is_none() || self.incomplete.is_empty())
    }

    /// How many deliveries may be on their way: never more than are still wanted.
    fn credit_wanted(&self, credit_max: u32) -> u32 {
        let remaining = self.remaining.and_then(|remaining| u32::try_from(remaining).ok());
        // A connection that only waits for files asks for one, and keeps nothing.
        remaining.map_or(credit_max, |remaining| remaining.clamp(1, credit_max))
    }
}

/// Waits for news of files; for ever where none are moved.
async fn next_moved(porter: &mut Option<Porter>) -> Moved {
    let next = match porter {
        Some(porter) => porter.moved.recv().await,
        None => None,
    };
    match next {
        Some(moved) => moved,
        None => pending().await,
    }
}

fn ended() -> CallError {
    CallError::Unreachable { message: "the hub ended the subscription".into() }
}
