//! What the hub says to be erased, and whether more than its word says so.
//!
//! Owns the orders that were seen to hold for messages that are not here, as long as a subscription runs. Never believes the
//! hub: a message without its payload is missed until an order for it holds, or the time for which payloads are kept is over.

use std::collections::{HashMap, HashSet};

use super::{InboxEntry, InboxWriter};
use crate::model::envelope::{Envelope, MessageId};
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::policy::Policy;
use crate::wire::proto;
use crate::wire::signed::SignedEnvelope;

const DAY_US: u64 = 24 * 60 * 60 * 1_000_000;

/// The office that sent a message, and the message's id.
pub(super) type Sent = (Name, MessageId);

/// Why messages are erased that are not here, by orders that hold.
pub(super) type Orders = HashMap<Sent, String>;

impl InboxWriter {
    /// The messages of a frame that only the hub says to be erased, and the smallest of their indexes; `None`: there are none.
    pub fn unordered(&self, frame: &[proto::Delivery], now: UnixMicros) -> Option<(Index, HashSet<Sent>)> {
        let told = frame.iter().filter_map(|delivery| match &delivery.content {
            Some(proto::delivery::Content::Message(message)) if message.erased => {
                Some((Index(delivery.index), SignedEnvelope::read(&message.envelope).ok()?.envelope))
            }
            _ => None,
        });
        let missed = told.filter(|(_, envelope)| self.gone(envelope, now).1 && !self.is_settled(envelope));
        let (indexes, sent): (Vec<_>, HashSet<_>) = missed.map(|(index, it)| (index, sent(&it))).unzip();
        indexes.into_iter().min().map(|first| (first, sent))
    }

    /// Why a message is erased, as far as it is known, and whether the hub alone says that it is.
    pub(super) fn gone(&self, envelope: &Envelope, now: UnixMicros) -> (String, bool) {
        match self.orders.get(&sent(envelope)) {
            Some(why) => (why.clone(), false),
            None => (String::new(), !is_over(&self.policy, envelope.sent, now)),
        }
    }

    /// Tells whether a message is here with its payload, or erased for good.
    fn is_settled(&self, envelope: &Envelope) -> bool {
        let (sender, message_id) = sent(envelope);
        let Some((index, epoch)) = self.known.get(&(sender.clone(), message_id)).copied() else {
            return false;
        };
        let entry = InboxEntry { index, epoch, message_id, sender };
        self.inbox.read(&entry).is_ok_and(|kept| !kept.unordered)
    }
}

fn sent(envelope: &Envelope) -> Sent {
    (envelope.sender.office.clone(), envelope.message_id)
}

/// Whether a payload need not be kept any more, by the time that its sender signed: the hub's own times are the hub's word.
fn is_over(policy: &Policy, sent: UnixMicros, now: UnixMicros) -> bool {
    let kept_us = u64::from(policy.retention_days()).saturating_mul(DAY_US);
    now.0 >= sent.0.saturating_add(kept_us)
}
