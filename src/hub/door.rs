//! The door: who may make which call, and whether what they hand in is in form, in bounds and theirs.
//!
//! Owns every check that needs no place in the order. What it lets through is decided again, from journaled facts
//! alone, by the ledger. Every refusal that leaves the hub goes through here, so each is counted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Request, Status, Streaming};

use super::config::Limits;
use super::decode;
use super::rates::Rates;
use super::refusals::Refusals;
use super::submit::{self, Submitted};
use crate::files::store::Store;
use crate::host::clock::Clock;
use crate::ledger::entry::Statement;
use crate::ledger::view::{Known, View};
use crate::model::entry::{EntryKind, Proposal};
use crate::model::envelope::Envelope;
use crate::model::erasure::Erasure;
use crate::model::identity::Identity;
use crate::model::policy::{OfficeNumber, Stated, When};
use crate::model::receipt::{NOTE_BYTES_MAX, Receipt};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{Kind, sha256};
use crate::wire::connection::Caller;
use crate::wire::erasure::SignedOrder;
use crate::wire::proto::{Accepted, EraseResponse, HandedReceipt, PublishRequest};
use crate::wire::signed::{Signed, SignedEnvelope, SignedReceipt};
use crate::wire::{erasure, status};

/// When to come again when all streams are taken, in milliseconds.
const STREAMS_RETRY_MS: u64 = 1_000;
/// When to publish again when the disk is down to its reserve, in milliseconds: a person must make room.
const RESERVE_RETRY_MS: u64 = 60_000;

/// What the door found in a publish.
#[derive(Debug)]
pub(super) enum Publish {
    /// It was accepted before; this is the first answer.
    Known(Accepted),
    /// It is new, as far as the door knows.
    New(Submitted),
}

/// What the door found in an order to erase.
#[derive(Debug)]
pub(super) enum Erase {
    /// It was ordered before; this is the first answer.
    Known(EraseResponse),
    /// It is new, as far as the door knows.
    New(Submitted),
}

/// What the door does with the signatures of envelopes and receipts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signatures {
    /// It holds each to the keys in the directory.
    Checked,
    /// It takes in whatever stands there: for a benchmark, and out of the program's reach (see [`super::run`]).
    NotLookedAt,
}

/// A place among the streams.
#[derive(Debug)]
pub(super) struct StreamPlace {
    _line: Option<OwnedSemaphorePermit>,
    _own: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// The door.
pub(super) struct Door {
    /// What the ledger knows.
    pub view: View,
    /// Where refusals go.
    pub refusals: Refusals,
    /// Packets' files.
    pub files: Arc<Store>,
    limits: RwLock<Arc<Limits>>,
    clock: Arc<dyn Clock>,
    publishes: Rates<OfficeNumber>,
    receipts: Rates<OfficeNumber>,
    streams: Arc<Semaphore>,
    /// The places of each office and auditor: as many as are enrolled.
    streams_of: Mutex<HashMap<String, Arc<Semaphore>>>,
    signatures: Signatures,
    /// The disk is down to its reserve.
    pub disk_low: AtomicBool,
    /// The hub is stopping.
    pub stopping: AtomicBool,
}

impl Door {
    /// Hangs the door.
    pub(super) fn new(
        view: View,
        refusals: Refusals,
        files: Arc<Store>,
        limits: Limits,
        clock: Arc<dyn Clock>,
        signatures: Signatures,
    ) -> Self {
        let publishes = Rates::new(limits.publishes_per_s, limits.publishes_burst);
        let receipts = Rates::new(limits.receipts_per_s, limits.receipts_per_s.saturating_mul(2));
        let streams = Arc::new(Semaphore::new(limits.streams_max));
        let streams_of = Mutex::default();
        let (disk_low, stopping) = (AtomicBool::new(false), AtomicBool::new(false));
        let limits = RwLock::new(Arc::new(limits));
        Self {
            view,
            refusals,
            files,
            limits,
            clock,
            publishes,
            receipts,
            streams,
            streams_of,
            signatures,
            disk_low,
            stopping,
        }
    }

    /// The bounds that hold now.
    pub(super) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes up other bounds. The places for streams were counted at the start: their bounds stay until the next.
    pub(super) fn adopt(&self, limits: &Limits) {
        let before = self.limits();
        let limits = Limits {
            streams_max: before.streams_max,
            streams_per_office_max: before.streams_per_office_max,
            streams_per_connection_max: before.streams_per_connection_max,
            ..limits.clone()
        };
        self.publishes.set(limits.publishes_per_s, limits.publishes_burst);
        self.receipts.set(limits.receipts_per_s, limits.receipts_per_s.saturating_mul(2));
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// Lets in whoever makes a call: an enrolled identity.
    ///
    /// # Errors
    /// A status with [`Reason::IdentityMissing`], [`Reason::IdentityAmbiguous`], [`Reason::IdentityMalformed`] or
    /// [`Reason::NotEnrolled`].
    pub(super) fn admit<T>(&self, request: &Request<T>) -> Result<Identity, Status> {
        let Some(caller) = request.extensions().get::<Arc<Caller>>() else {
            let refusal = Refusal::new(Reason::IdentityMissing, "the connection bears no certificate");
            return Err(status::refused(&refusal));
        };
        let admitted = caller
            .identity
            .clone()
            .and_then(|identity| self.view.policy().admit(&identity).map(|()| identity));
        admitted.map_err(|refusal| {
            if refusal.reason == Reason::ConnectionsExceeded {
                self.refusals.beyond(refusal.reason);
            } else {
                self.refusals.stranger(refusal.reason.name(), Some(caller.peer), &refusal.message);
            }
            status::refused(&refusal)
        })
    }

    /// Records the refusal of an admitted caller and makes it a status.
    pub(super) fn refuse(&self, caller: &Identity, call: &str, refusal: &Refusal) -> Status {
        self.refusals.known(caller, call, refusal);
        status::refused(refusal)
    }

    /// Records what could not be read of a call of an admitted caller, and makes it a status; `None` for a status that
    /// says something else.
    pub(super) fn read_failed(&self, caller: &Identity, call: &str, status: &Status) -> Option<Status> {
        status::of_reader(status).map(|refusal| self.refuse(caller, call, &refusal))
    }

    /// Takes the next frame of an admitted caller's stream; `None`: there are no more.
    ///
    /// # Errors
    /// A status for a frame that cannot be read, and for a line that was cut.
    pub(super) async fn frame<T>(
        &self,
        caller: &Identity,
        call: &str,
        up: &mut Streaming<T>,
    ) -> Result<Option<T>, Status> {
        let told = |status| self.read_failed(caller, call, &status).unwrap_or(status);
        up.message().await.map_err(told)
    }

    /// Gives a place for a caller's stream, held until it is dropped; `line` has the places of its connection.
    ///
    /// # Errors
    /// [`Reason::Stopping`], [`Reason::ConnectionsExceeded`].
    pub(super) fn stream(
        &self,
        line: Option<Arc<Semaphore>>,
        caller: &Identity,
    ) -> Result<StreamPlace, Refusal> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(submit::stopping());
        }
        let full = |whose: &str, most: usize| {
            let message = format!("{most} streams are open, as many as this hub takes {whose}");
            Refusal::new(Reason::ConnectionsExceeded, message).retry_after_ms(STREAMS_RETRY_MS)
        };
        let limits = self.limits();
        let (line_max, own_max) = (limits.streams_per_connection_max, limits.streams_per_office_max);
        let line = line.map(Semaphore::try_acquire_owned).transpose();
        let line = line.map_err(|_| full("of one connection", line_max))?;
        let own = {
            let mut owns = self.streams_of.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(owns.entry(account(caller)).or_insert_with(|| Arc::new(Semaphore::new(own_max))))
        };
        let own = own.try_acquire_owned().map_err(|_| full("of one office", own_max))?;
        let place = Arc::clone(&self.streams).try_acquire_owned();
        let place = place.map_err(|_| full("in all", limits.streams_max))?;
        Ok(StreamPlace { _line: line, _own: own, _place: place })
    }

    /// The largest credit.
    pub(super) fn credit_max(&self) -> u32 {
        self.limits().deliveries_in_flight_max
    }

    /// The credit granted for what was asked.
    ///
    /// # Errors
    /// [`Reason::FieldInvalid`] for none.
    pub(super) fn credit(&self, asked: u32) -> Result<u32, Refusal> {
        if asked == 0 {
            return Err(Refusal::field(
                "start.credit",
                "a subscription begins with a credit of at least 1; this has 0",
            ));
        }
        Ok(asked.min(self.limits().deliveries_in_flight_max))
    }

    /// Checks a publish.
    ///
    /// # Errors
    /// Any refusal of form, bounds, policy or signature, [`Reason::IdReused`], [`Reason::ReferenceForeign`],
    /// [`Reason::ResealNotAllowed`], [`Reason::FileMissing`], [`Reason::RateExceeded`], [`Reason::DiskReserve`], [`Reason::Stopping`].
    pub(super) fn publish(&self, caller: &Identity, request: PublishRequest) -> Result<Publish, Refusal> {
        let signed = SignedEnvelope::read(&request.envelope)?;
        let message_id = signed.envelope.message_id;
        let checked = self.check(caller, request, signed);
        match &checked {
            Ok(Publish::New(_)) => tracing::debug!(%message_id, %caller, "let in"),
            Ok(Publish::Known(_)) => tracing::debug!(%message_id, %caller, "known: it gets its first answer"),
            Err(refusal) => {
                tracing::debug!(%message_id, %caller, reason = %refusal.reason, "refused at the door");
            }
        }
        checked
    }

    fn check(
        &self,
        caller: &Identity,
        request: PublishRequest,
        signed: SignedEnvelope,
    ) -> Result<Publish, Refusal> {
        let envelope = &signed.envelope;
        let payload_digest = sha256(&request.payload);
        // What was accepted once gets its first answer, whatever bounds, rights and keys have become since.
        if let Some(known) = self.known(caller, envelope) {
            envelope.check_payload(request.payload.len(), &payload_digest)?;
            if known.digest == signed.digest() {
                return Ok(Publish::Known(self.first_answer(&known)));
            }
            return Err(envelope.message_id.reused(known.index));
        }
        self.bounds(envelope, request.payload.len())?;
        envelope.check_payload(request.payload.len(), &payload_digest)?;
        let policy = self.view.policy();
        let permit = policy.permit_publish(caller, envelope)?;
        self.view.check_references(permit.sender, envelope).unwrap_or(Ok(()))?;
        self.view.check_about(&permit, envelope).unwrap_or(Ok(()))?;
        self.may_write(permit.sender)?;
        // Last, for it costs the most.
        let Signed { statement, signatures } = &signed.signed;
        let stated = Stated { desk: &envelope.sender, kind: Kind::Envelope, statement, signatures };
        if self.signatures == Signatures::Checked {
            policy.check_envelope(stated, When::Now)?;
        }
        policy.check_sealing_keys(envelope)?;
        let files = &envelope.files;
        let pins = (!files.is_empty()).then(|| self.files.pin(&envelope.sender.office, files)).transpose()?;
        let proposal = Proposal {
            kind: EntryKind::Publish,
            identity: caller.to_string(),
            statement: request.envelope,
            payload: Some(request.payload),
        };
        Ok(Publish::New(Submitted { proposal, statement: decode::publish(signed), pins }))
    }

    fn first_answer(&self, known: &Known) -> Accepted {
        let epoch = self.view.epochs().of(known.index).0;
        Accepted {
            index: known.index.0,
            accepted_unix_us: known.time.0,
            duplicate: true,
            epoch,
            promise: None,
        }
    }

    /// What the ledger knows of a message of the caller's own. A ledger that cannot tell says nothing here: the message is
    /// decided in its place.
    fn known(&self, caller: &Identity, envelope: &Envelope) -> Option<Known> {
        let Identity::Desk(desk) = caller else { return None };
        let office = self.view.policy().number(&desk.office).filter(|_| envelope.sender == *desk)?;
        self.view.known(office, envelope.message_id).ok().flatten()
    }

    fn bounds(&self, envelope: &Envelope, payload_bytes: usize) -> Result<(), Refusal> {
        let limits = self.limits();
        if payload_bytes as u64 > limits.payload_bytes_max {
            let message = format!(
                "the payload has {payload_bytes} bytes; this hub takes at most {}: send large content as a packet",
                limits.payload_bytes_max
            );
            return Err(Refusal::new(Reason::TooLarge, message).of_field("payload"));
        }
        if envelope.recipients.len() > limits.recipients_max {
            let (found, most) = (envelope.recipients.len(), limits.recipients_max);
            let message = format!("the envelope names {found} recipients; this hub takes at most {most}");
            return Err(Refusal::new(Reason::TooLarge, message).of_field("recipients"));
        }
        Ok(())
    }

    fn may_write(&self, office: OfficeNumber) -> Result<(), Refusal> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(submit::stopping());
        }
        if self.disk_low.load(Ordering::Acquire) {
            let message =
                "the hub's disk is down to its reserve, which is kept for receipts: tell its operator";
            return Err(Refusal::new(Reason::DiskReserve, message).retry_after_ms(RESERVE_RETRY_MS));
        }
        self.publishes.take(office, self.clock.monotonic_us()).map_err(|retry_after_ms| {
            let message = format!(
                "the office publishes more than {} messages a second: hand in the same bytes again later",
                self.limits().publishes_per_s
            );
            Refusal::new(Reason::RateExceeded, message).retry_after_ms(retry_after_ms)
        })
    }

    /// Checks a receipt.
    ///
    /// # Errors
    /// Any refusal of form, policy or signature, [`Reason::RateExceeded`], [`Reason::NotOwed`], [`Reason::NotErased`].
    pub(super) fn receipt(&self, caller: &Identity, handed: HandedReceipt) -> Result<Submitted, Refusal> {
        let HandedReceipt { receipt: bytes, note } = handed;
        let SignedReceipt { receipt, signed: Signed { statement, signatures }, .. } =
            SignedReceipt::read(&bytes)?;
        let policy = self.view.policy();
        let office = policy.permit_receipt(caller, &receipt.desk)?;
        self.may_state(office)?;
        let (statement, signatures) = (&statement, &signatures);
        let stated = Stated { desk: &receipt.desk, kind: Kind::Receipt, statement, signatures };
        if self.signatures == Signatures::Checked {
            policy.check_receipt(stated, &receipt, When::Now)?;
        }
        check_note(&receipt, &note)?;
        // Before it takes a place on the disk. Who was owed what never changes, so the ledger would say the same; a ledger
        // that cannot tell says nothing here.
        self.view.check_receipt(office, &receipt).unwrap_or(Ok(()))?;
        let proposal = Proposal {
            kind: EntryKind::Receipt,
            identity: caller.to_string(),
            statement: bytes,
            payload: (!note.is_empty()).then_some(note),
        };
        Ok(Submitted { proposal, statement: Statement::Receipt(Box::new(receipt)), pins: None })
    }
}

impl Door {
    /// Checks an order to erase a message. It is taken also when the disk is down to its reserve, as receipts are.
    ///
    /// # Errors
    /// Any refusal of form, policy or signature, [`Reason::MessageUnknown`], [`Reason::RateExceeded`], [`Reason::Stopping`].
    pub(super) fn erase(&self, caller: &Identity, bytes: Bytes) -> Result<Erase, Refusal> {
        let SignedOrder { order, signed: Signed { statement, signatures } } = SignedOrder::read(&bytes)?;
        let policy = self.view.policy();
        let office = policy.permit_erase(caller, &order)?;
        let sent = self.view.check_order(office, order.message_id);
        // A ledger that cannot tell ends the hub.
        let (message, known) = sent.unwrap_or_else(|_| Err(submit::stopping()))?;
        if let Some((index, recorded)) = known {
            let (index, epoch) = (index.0, self.view.epochs().of(index).0);
            let response = EraseResponse { index, recorded_unix_us: recorded.0, duplicate: true, epoch };
            return Ok(Erase::Known(response));
        }
        policy.check_erasure_order(&order, (&statement, &signatures), When::Now)?;
        if self.stopping.load(Ordering::Acquire) {
            return Err(submit::stopping());
        }
        self.may_state(office)?;
        let (kind, identity) = (EntryKind::Erasure, caller.to_string());
        let statement = erasure::ordered_bytes(bytes, message);
        let proposal = Proposal { kind, identity, statement, payload: None };
        let statement = Statement::Erasure(Erasure::Order { order, message });
        Ok(Erase::New(Submitted { proposal, statement, pins: None }))
    }

    fn may_state(&self, office: OfficeNumber) -> Result<(), Refusal> {
        self.receipts.take(office, self.clock.monotonic_us()).map_err(|retry_after_ms| {
            let message =
                format!("the office states more than {} receipts a second", self.limits().receipts_per_s);
            Refusal::new(Reason::RateExceeded, message).retry_after_ms(retry_after_ms)
        })
    }
}

/// Checks that a note is the one that goes with a receipt.
fn check_note(receipt: &Receipt, note: &[u8]) -> Result<(), Refusal> {
    if note.len() > NOTE_BYTES_MAX {
        let message = format!("the note has {} bytes; at most {NOTE_BYTES_MAX} are taken", note.len());
        return Err(Refusal::new(Reason::TooLarge, message).of_field("note"));
    }
    if receipt.note_digest == (!note.is_empty()).then(|| sha256(note)) {
        return Ok(());
    }
    let message =
        "the note is not the one whose SHA-256 stands in the receipt: hand up both as they were signed";
    Err(Refusal::new(Reason::PayloadMismatch, message).of_field("note"))
}

/// Under which all desks of an office are counted as one.
pub(super) fn account(identity: &Identity) -> String {
    match identity {
        Identity::Desk(desk) => format!("urn:resguardo:office:{}", desk.office),
        other => other.to_string(),
    }
}

/// The places for streams on a request's connection.
pub(super) fn line<T>(request: &Request<T>) -> Option<Arc<Semaphore>> {
    request.extensions().get::<Arc<Caller>>().map(|caller| Arc::clone(&caller.streams))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::ManualClock;
    use crate::host::disk::MemoryDisk;
    use crate::hub::config::FilesConfig;
    use crate::hub::metrics::Meters;
    use crate::hub::shares::Shares;
    use crate::ledger::store::memory::MemoryStore;
    use crate::ledger::{Ledger, Opened};
    use crate::model::id::UnixMicros;

    fn door() -> Door {
        let Opened::Ready { view, .. } = Ledger::open(Arc::new(MemoryStore::default()), [7; 16]).unwrap()
        else {
            panic!("an empty store is of any journal")
        };
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(UnixMicros(1)));
        let submitter = submit::Submitter::new(Arc::clone(&clock), 1_000, 1_000).0;
        let hub = "urn:resguardo:hub:dev".parse().unwrap();
        let shares = Arc::new(Shares::new(Arc::clone(&clock)));
        let refusals = Refusals::new(Arc::clone(&clock), submitter, hub, Meters::new(), shares);
        let room = FilesConfig::default().room();
        let files = Store::open(Arc::new(MemoryDisk::new()), "/files".into(), room, UnixMicros(1)).unwrap();
        Door::new(view, refusals, files, Limits::default(), clock, Signatures::Checked)
    }

    #[test]
    fn hub_that_stops_takes_no_publish_and_no_stream_and_says_when_to_come_again() {
        let (door, desk) = (door(), "urn:resguardo:office:iachr:desk-1".parse().unwrap());
        assert!(door.may_write(OfficeNumber(0)).is_ok() && door.stream(None, &desk).is_ok());
        door.stopping.store(true, Ordering::Release);
        let publish = door.may_write(OfficeNumber(0)).unwrap_err();
        let stream = door.stream(None, &desk).unwrap_err();
        for refusal in [publish, stream] {
            assert_eq!((refusal.reason, refusal.retry_after_ms.is_some()), (Reason::Stopping, true));
        }
    }
}
