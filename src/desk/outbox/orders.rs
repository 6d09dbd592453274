//! Orders to erase messages of this office, and what they do to this desk's own copy.

use bytes::Bytes;

use super::files::{OrderBody, OutcomeBody, OutgoingBody, message_name, order_name, order_of};
use super::{Outbox, Outcome, Stand, is_pending};
use crate::desk::home::HomeLock;
use crate::desk::record::encode;
use crate::desk::store::StoreError;
use crate::model::envelope::MessageId;
use crate::model::id::UnixMicros;

/// An order to erase a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The exact bytes of the signed `ErasureOrder`.
    pub order_bytes: Bytes,
    /// What the hub said; `None` while pending.
    pub outcome: Option<Outcome>,
}

impl Outbox {
    /// Keeps an order: its exact bytes are on the disk, for good, when it returns. One that is there already stays.
    ///
    /// # Errors
    /// [`StoreError::Disk`]: it must not be handed in.
    pub fn add_order(
        &self,
        _held: &HomeLock,
        id: MessageId,
        order: Bytes,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        if self.orders()?.iter().any(|(known, stand)| *known == id && *stand != Stand::Refused) {
            return Ok(());
        }
        let body = OrderBody { order, written_unix_us: now.0, outcome: None };
        self.folder.keep(&[(order_name(id, Stand::Pending), encode(&body))])?;
        // A new order in the place of one that was refused.
        self.folder.remove(&[order_name(id, Stand::Refused)])
    }

    /// Lists orders, by the message's id.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn orders(&self) -> Result<Vec<(MessageId, Stand)>, StoreError> {
        let mut orders: Vec<_> = self.folder.names()?.iter().filter_map(|name| order_of(name)).collect();
        orders.sort_unstable_by_key(|(id, stand)| (*id, std::cmp::Reverse(*stand)));
        orders.dedup_by_key(|(id, _)| *id);
        Ok(orders)
    }

    /// Lists the messages for which an order waits. It is on the disk for good: it may be handed in.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn pending_orders(&self) -> Result<Vec<MessageId>, StoreError> {
        let names = self.folder.names()?;
        let waits = names.iter().filter(|name| is_pending(name) && !super::has_outcome(&names, name));
        let waits: Vec<_> = waits.filter_map(|name| order_of(name)).map(|(id, _)| id).collect();
        if !waits.is_empty() {
            self.folder.sync()?;
        }
        Ok(waits)
    }

    /// Reads an order.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn read_order(&self, id: MessageId) -> Result<Order, StoreError> {
        let body: OrderBody = self.read(|stand| order_name(id, stand))?;
        let outcome = body.outcome.map(OutcomeBody::into_outcome);
        Ok(Order { order_bytes: body.order, outcome })
    }

    /// Notes for good what the hub said of an order. What another process noted already stays.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn settle_order(&self, _held: &HomeLock, id: MessageId, outcome: Outcome) -> Result<(), StoreError> {
        let body: OrderBody = self.read(|stand| order_name(id, stand))?;
        if body.outcome.is_some() {
            return Ok(());
        }
        let name = order_name(id, outcome.stand());
        let body = OrderBody { outcome: Some(OutcomeBody::of(outcome)), ..body };
        self.folder.keep(&[(name, encode(&body))])?;
        self.folder.remove(&[order_name(id, Stand::Pending)])
    }

    /// Makes an order wait again that the hub had and has lost.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn reopen_order(&self, _held: &HomeLock, id: MessageId) -> Result<(), StoreError> {
        let body: OrderBody = self.read(|stand| order_name(id, stand))?;
        let waits = encode(&OrderBody { outcome: None, ..body });
        self.folder.keep(&[(order_name(id, Stand::Pending), waits)])?;
        self.folder.remove(&[order_name(id, Stand::Accepted)])
    }

    /// Erases this home's own copy of a message's payload: nothing of it is left in the outbox where the disk allows. `false`:
    /// it was erased before.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`]; it may be there in part; ask again.
    pub fn erase_message(&self, _held: &HomeLock, id: MessageId) -> Result<bool, StoreError> {
        let body: OutgoingBody = self.read(|stand| message_name(id, stand))?;
        if body.erased {
            return Ok(false);
        }
        let stand = body.outcome.clone().map_or(Stand::Pending, |outcome| outcome.into_outcome().stand());
        let name = message_name(id, stand);
        let body = OutgoingBody { payload: Bytes::new(), sources: Vec::new(), erased: true, ..body };
        self.folder.replace(&name, &encode(&body)).map(|()| true)
    }
}
