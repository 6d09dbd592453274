//! Receipts on their way: gathered, handed up, answered.
//!
//! Owns which receipt each of the hub's results is about. Never names a message that the inbox does not have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use crate::desk::hand_in::FRAME_RECEIPTS_MAX;
use crate::desk::inbox::InboxEntry;
use crate::desk::outbox::StatementEntry;
use crate::desk::signer::Signer;
use crate::model::envelope::Priority;
use crate::model::id::{Index, UnixMicros};
use crate::model::receipt::{
    Covered, REASON_BYTES_MAX, RECEIPT_MESSAGES_MAX, RECEIPT_NOTICES_MAX, Receipt, Stage,
};
use crate::wire::proto;

/// A receipt that was handed up, until its result is there.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    /// The desk's own.
    Own(Own),
    /// A person's.
    Statement(StatementEntry),
}

/// A receipt that a desk may state by itself.
#[derive(Clone, Debug)]
pub(super) enum Own {
    /// It has these.
    Received(Batch),
    /// It has erased these.
    Erased(Batch),
    /// It cannot read this, for this reason.
    Unreadable(Covered, String, bool),
}

/// What one `received` or `erased` names.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) messages: BTreeMap<Index, Covered>,
    pub(super) notices: BTreeSet<Index>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.messages.len() + self.notices.len()
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= RECEIPT_MESSAGES_MAX || self.notices.len() >= RECEIPT_NOTICES_MAX
    }

    /// Parts it in two, so that one that the hub refuses does not keep the others from being acknowledged.
    fn halves(mut self) -> [Self; 2] {
        let at = |count: usize| count.div_ceil(2);
        let second_messages = match self.messages.keys().nth(at(self.messages.len())).copied() {
            Some(index) if self.messages.len() > 1 => self.messages.split_off(&index),
            _ => BTreeMap::new(),
        };
        let second_notices = match self.notices.iter().nth(at(self.notices.len())).copied() {
            Some(index) if self.notices.len() > 1 => self.notices.split_off(&index),
            _ if second_messages.is_empty() => std::mem::take(&mut self.notices),
            _ => BTreeSet::new(),
        };
        [self, Self { messages: second_messages, notices: second_notices }]
    }
}

/// A frame that waits for its turn.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) frame: proto::subscribe_request::Frame,
    /// The receipts in it, in order.
    pub(super) sent: Vec<Sent>,
    /// Messages for which a command may run as soon as the frame is handed up.
    pub(super) due: Vec<(Priority, InboxEntry)>,
}

/// Receipts of one connection.
#[derive(Debug, Default)]
pub(super) struct Acknowledger {
    gathered: Batch,
    erased: Batch,
    apart: Vec<Own>,
    statements: Vec<(StatementEntry, proto::HandedReceipt)>,
    due: Vec<(Priority, InboxEntry)>,
    queue: VecDeque<Outgoing>,
    sent: VecDeque<Sent>,
    /// Refused for now: gathered again at the next round.
    later: Vec<Sent>,
}

impl Acknowledger {
    /// A message that the inbox has; with `due`, a command may run for it once its receipt is on the way.
    pub(super) fn message(&mut self, message: Covered, due: Option<(Priority, InboxEntry)>) {
        self.gathered.messages.insert(message.index, message);
        self.due.extend(due);
    }

    pub(super) fn notice(&mut self, index: Index) {
        self.gathered.notices.insert(index);
    }

    /// A message that was erased here.
    pub(super) fn erased(&mut self, message: Covered) {
        self.gathered.messages.remove(&message.index);
        self.erased.messages.insert(message.index, message);
    }

    pub(super) fn unreadable(&mut self, message: Covered, reason: String, opened: bool) {
        self.apart.push(Own::Unreadable(message, reason, opened));
    }

    pub(super) fn statement(&mut self, entry: StatementEntry, receipt: proto::HandedReceipt) {
        self.statements.push((entry, receipt));
    }

    /// Tells whether a person's receipt is on its way already.
    pub(super) fn has_statement(&self, entry: &StatementEntry) -> bool {
        let sent = |sent: &Sent| matches!(sent, Sent::Statement(other) if other.id == entry.id);
        self.statements.iter().any(|(other, _)| other.id == entry.id)
            || self.sent.iter().chain(&self.later).any(sent)
            || self.queue.iter().any(|outgoing| outgoing.sent.iter().any(sent))
    }

    /// Tells whether something waits to be put in a frame.
    pub(super) fn has_gathered(&self) -> bool {
        self.gathered.len() + self.erased.len() > 0 || !self.apart.is_empty() || !self.statements.is_empty()
    }

    /// Tells whether it must be put in a frame now.
    pub(super) fn is_full(&self) -> bool {
        self.gathered.is_full()
            || self.erased.is_full()
            || self.apart.len() + self.statements.len() >= FRAME_RECEIPTS_MAX / 2
    }

    /// Tells whether nothing is gathered, waits or is unanswered.
    pub(super) fn is_done(&self) -> bool {
        !self.has_gathered() && self.queue.is_empty() && self.sent.is_empty()
    }

    pub(super) fn credit(&mut self, deliveries: u32) {
        let frame = proto::subscribe_request::Frame::Credit(proto::Credit { deliveries });
        self.queue.push_back(Outgoing { frame, sent: Vec::new(), due: Vec::new() });
    }

    /// Puts what was gathered in frames. What took the office's key to find out is signed by who has unlocked it.
    pub(super) fn flush(&mut self, (signer, attended): (&Signer, Option<&Signer>), now: UnixMicros) {
        let mut own: Vec<_> =
            std::mem::take(&mut self.gathered).parts().into_iter().map(Own::Received).collect();
        own.extend(std::mem::take(&mut self.erased).parts().into_iter().map(Own::Erased));
        own.append(&mut self.apart);
        let mut receipts: Vec<_> = own.iter().map(|own| own.receipt((signer, attended), now)).collect();
        let mut sent: Vec<_> = own.into_iter().map(Sent::Own).collect();
        for (entry, receipt) in std::mem::take(&mut self.statements) {
            receipts.push(receipt);
            sent.push(Sent::Statement(entry));
        }
        let mut due = std::mem::take(&mut self.due);
        while !receipts.is_empty() {
            let rest = receipts.len().min(FRAME_RECEIPTS_MAX);
            let rest = (receipts.split_off(rest), sent.split_off(rest));
            let frame = proto::subscribe_request::Frame::Receipts(proto::Receipts { receipts });
            self.queue.push_back(Outgoing { frame, sent, due: std::mem::take(&mut due) });
            (receipts, sent) = rest;
        }
    }

    /// Tells whether a frame waits.
    pub(super) fn has_frame(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Gives the next frame, and remembers what it names until the results are there; with the commands to run.
    pub(super) fn next_frame(&mut self) -> Option<(proto::SubscribeRequest, Vec<(Priority, InboxEntry)>)> {
        let outgoing = self.queue.pop_front()?;
        self.sent.extend(outgoing.sent);
        Some((proto::SubscribeRequest { frame: Some(outgoing.frame) }, outgoing.due))
    }

    /// Gives the receipt that the next result is about.
    pub(super) fn answered(&mut self) -> Option<Sent> {
        self.sent.pop_front()
    }

    /// Takes back a receipt that the hub refused for now.
    pub(super) fn again_later(&mut self, sent: Sent) {
        self.later.push(sent);
    }

    /// Takes back one that the hub refused: parted, if it named several, so that only what is wrong is left out.
    /// Tells whether it did.
    pub(super) fn again_parted(&mut self, own: Own) -> bool {
        match own {
            Own::Received(batch) if batch.len() > 1 => {
                self.apart.extend(batch.halves().map(Own::Received));
                true
            }
            Own::Erased(batch) if batch.len() > 1 => {
                self.apart.extend(batch.halves().map(Own::Erased));
                true
            }
            _ => false,
        }
    }

    /// Gathers again what was refused for now.
    pub(super) fn retry(&mut self) {
        for sent in std::mem::take(&mut self.later) {
            match sent {
                Sent::Own(Own::Received(batch)) => {
                    self.gathered.messages.extend(batch.messages);
                    self.gathered.notices.extend(batch.notices);
                }
                Sent::Own(Own::Erased(batch)) => self.erased.messages.extend(batch.messages),
                Sent::Own(unreadable) => self.apart.push(unreadable),
                // A person's receipt is read from the outbox again.
                Sent::Statement(_) => {}
            }
        }
    }
}

impl Batch {
    /// Parts it as receipts may name so many.
    fn parts(mut self) -> Vec<Self> {
        let mut parts = Vec::new();
        while self.len() > 0 {
            let rest = Self {
                messages: match self.messages.keys().nth(RECEIPT_MESSAGES_MAX).copied() {
                    Some(index) => self.messages.split_off(&index),
                    None => BTreeMap::new(),
                },
                notices: match self.notices.iter().nth(RECEIPT_NOTICES_MAX).copied() {
                    Some(index) => self.notices.split_off(&index),
                    None => BTreeSet::new(),
                },
            };
            parts.push(std::mem::replace(&mut self, rest));
        }
        parts
    }
}

impl Own {
    /// How many messages and notices it names.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Received(batch) | Self::Erased(batch) => batch.len(),
            Self::Unreadable(..) => 1,
        }
    }

    fn receipt(
        &self,
        (signer, attended): (&Signer, Option<&Signer>),
        now: UnixMicros,
    ) -> proto::HandedReceipt {
        match self {
            Self::Received(batch) => of_batch(signer, now, Stage::Received, batch),
            Self::Erased(batch) => of_batch(signer, now, Stage::Erased, batch),
            Self::Unreadable(message, reason, opened) => {
                let reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].to_owned();
                let (stage, opened) = (Stage::Unreadable, *opened);
                let receipt = received(signer, vec![*message], now);
                let signer = attended.filter(|_| opened).unwrap_or(signer);
                handed(signer, Receipt { stage, reason, opened, ..receipt })
            }
        }
    }
}

fn of_batch(signer: &Signer, now: UnixMicros, stage: Stage, batch: &Batch) -> proto::HandedReceipt {
    let receipt = received(signer, batch.messages.values().copied().collect(), now);
    handed(signer, Receipt { stage, notices: batch.notices.iter().copied().collect(), ..receipt })
}

fn received(signer: &Signer, messages: Vec<Covered>, now: UnixMicros) -> Receipt {
    Receipt { seen: signer.seen(), ..Receipt::received(signer.desk().clone(), messages, now) }
}

fn handed(signer: &Signer, receipt: Receipt) -> proto::HandedReceipt {
    proto::HandedReceipt { receipt: signer.sign(receipt), note: Bytes::new() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::desk::sample::{NOW, desk, id, keys};
    use crate::host::random::SeededRandom;
    use crate::wire::signed::SignedReceipt;

    #[test]
    fn what_took_the_offices_key_to_find_out_is_signed_by_who_has_unlocked_it_and_all_else_by_the_machine() {
        let [attended, unattended] =
            keys("iachr").map(|key| Signer::new(desk("iachr"), key, Arc::new(SeededRandom::new(4))));
        let mut acknowledger = Acknowledger::default();
        let message = |index| Covered { index: Index(index), message_id: id(index), digest: [4; 32] };
        acknowledger.message(message(1), None);
        acknowledger.erased(message(2));
        acknowledger.unreadable(message(3), "its payload is another".into(), false);
        acknowledger.unreadable(message(4), "its inside is another's".into(), true);
        acknowledger.flush((&unattended, Some(&attended)), NOW);
        let (frame, _) = acknowledger.next_frame().unwrap();
        let Some(proto::subscribe_request::Frame::Receipts(frame)) = frame.frame else { panic!("receipts") };
        let [attended, unattended] = keys("iachr").map(|key| key.verifying_key().id());
        let signed = frame.receipts.iter().map(|it| {
            let SignedReceipt { receipt, signed, .. } = SignedReceipt::read(&it.receipt).unwrap();
            (receipt.messages[0].index.0, receipt.opened, signed.signatures[0].0)
        });
        let expected =
            [(1, false, unattended), (2, false, unattended), (3, false, unattended), (4, true, attended)];
        assert_eq!(signed.collect::<Vec<_>>(), expected);
    }
}
