//! The entries about one message, each held to the keys of who states it and to the message.
//!
//! Owns what makes each kind of entry count. Never reads a statement from other bytes than those that were signed.

use std::collections::BTreeMap;

use super::EvidenceError;
use super::directory::Directory;
use super::file::{Entry, Evidence, Note};
use super::proved::{Erased, Message, Missed, Officer, Orderer, Published, Recipient, Statement};
use crate::model::entry::EntryKind;
use crate::model::envelope::Envelope;
use crate::model::erasure::{Erasure, OrderedBy};
use crate::model::identity::{Desk, Identity, Name};
use crate::model::overdue::Missed as What;
use crate::model::policy::{Policy, Role, Stated};
use crate::model::receipt::{Covered, MessageRef};
use crate::model::refusal::Refusal;
use crate::seal::{FileKey, Kind, open_bytes_with, sha256};
use crate::wire::note::{CONTENT_BYTES_MAX, OfficerNote};
use crate::wire::signed::{OpenedReceipt, SignedEnvelope};
use crate::wire::{convert, erasure};

/// What is about one message.
pub(super) struct About<'a> {
    directory: &'a Directory<'a>,
    envelope: Envelope,
    covered: Covered,
}

/// What offices, the hub and registrars say about it.
#[derive(Default)]
pub(super) struct Said {
    pub(super) statements: Vec<Statement>,
    pub(super) missed: Vec<Missed>,
    pub(super) erased: Vec<Erased>,
}

impl<'a> About<'a> {
    /// Reads the entry of the message itself, the first.
    ///
    /// # Errors
    /// [`EvidenceError`] by what is wrong with it.
    pub(super) fn of(
        evidence: &Evidence,
        directory: &'a Directory<'a>,
    ) -> Result<(Self, Published), EvidenceError> {
        let entry = evidence.entries.first().filter(|it| it.kind == EntryKind::Publish);
        let entry = entry.ok_or(EvidenceError::NoMessage)?;
        let index = entry.index.0;
        unopened(entry)?;
        let read = SignedEnvelope::read(&entry.statement).map_err(refused(entry))?;
        let (covered_digest, SignedEnvelope { envelope, signed }) = (read.digest(), read);
        directory.check(entry, |policy, when| {
            let (statement, signatures) = (&signed.statement, &signed.signatures);
            let stated = Stated { desk: &envelope.sender, kind: Kind::Envelope, statement, signatures };
            policy.check_envelope(stated, when)
        })?;
        answers_for(entry, &envelope.sender)?;
        let here = directory.version_at(entry);
        if usize::try_from(envelope.directory_version.0).is_ok_and(|found| found > here) {
            return Err(EvidenceError::DirectoryBehind { found: envelope.directory_version.0, here });
        }
        let policy = directory.version(here)?;
        let institution = |office: &Name| {
            let found = policy.offices().find(|(_, name, _)| *name == office);
            let unknown = || EvidenceError::NotRecipient { index, office: office.to_string() };
            found.map(|(_, _, institution)| institution.clone()).ok_or_else(unknown)
        };
        let recipient =
            |office: &Name| Ok(Recipient { office: office.clone(), institution: institution(office)? });
        let published = Published {
            index: entry.index,
            recorded: entry.time,
            institution: institution(&envelope.sender.office)?,
            sender: envelope.sender.clone(),
            message: message(&envelope, covered_digest),
            recipients: envelope.offices().map(recipient).collect::<Result<_, EvidenceError>>()?,
            not_before: directory.newest_key(&envelope),
        };
        let (message_id, digest) = (envelope.message_id, covered_digest);
        let covered = Covered { index: entry.index, message_id, digest };
        Ok((Self { directory, envelope, covered }, published))
    }

    /// Reads the entries after it.
    ///
    /// # Errors
    /// [`EvidenceError`]: the first thing that is wrong.
    pub(super) fn said(&self, evidence: &Evidence) -> Result<Said, EvidenceError> {
        let mut notes: BTreeMap<_, _> = evidence.notes.iter().map(|note| (note.receipt, note)).collect();
        let mut said = Said::default();
        for entry in &evidence.entries[1..] {
            match entry.kind {
                EntryKind::Receipt => {
                    said.statements.push(self.statement(entry, notes.remove(&entry.index))?);
                }
                EntryKind::Overdue => said.missed.push(self.missed(entry)?),
                EntryKind::Erasure => said.erased.push(self.erased(entry)?),
                kind => {
                    let (found, expected) =
                        (kind as i32, "a receipt, a missed deadline or an erasure (3, 6, 8)");
                    return Err(EvidenceError::Kind { index: entry.index.0, found, expected });
                }
            }
        }
        match notes.into_keys().next() {
            Some(index) => Err(EvidenceError::NoteAlone { index: index.0 }),
            None => Ok(said),
        }
    }

    fn statement(&self, entry: &Entry, note: Option<&Note>) -> Result<Statement, EvidenceError> {
        let index = entry.index.0;
        let (place, salt) = entry.cover.as_ref().ok_or(EvidenceError::Opening { index })?;
        let place = usize::try_from(*place).unwrap_or(usize::MAX);
        let opened = OpenedReceipt::read(&entry.statement, self.covered, (place, salt));
        let OpenedReceipt { receipt, signed, .. } = opened.map_err(refused(entry))?;
        let stated = Stated {
            desk: &receipt.desk,
            kind: Kind::Receipt,
            statement: &signed.statement,
            signatures: &signed.signatures,
        };
        self.directory.check(entry, |policy, when| policy.check_receipt(stated, &receipt, when))?;
        answers_for(entry, &receipt.desk)?;
        self.is_for(entry, &receipt.desk.office)?;
        let policy = self.directory.version(self.directory.version_at(entry))?;
        let key = signed.signatures.first().and_then(|(id, _)| policy.signing_key(&receipt.desk, *id));
        let attended = key.is_some_and(|key| key.role == Role::Attended);
        let officer = note.map(|note| officer(policy, &receipt, note)).transpose()?;
        Ok(Statement {
            index: entry.index,
            recorded: entry.time,
            stage: receipt.stage,
            at: receipt.at,
            action: receipt.action,
            reason: receipt.reason,
            desk: receipt.desk,
            attended,
            officer,
        })
    }

    /// The hub's word: nothing but the log holds it.
    fn missed(&self, entry: &Entry) -> Result<Missed, EvidenceError> {
        unopened(entry)?;
        by_hub(entry)?;
        let overdue = convert::overdue(&entry.statement).map_err(refused(entry))?;
        let (message, stage, obligation) = match overdue.missed {
            What::Stage { message, stage, status } if status == self.envelope.status => {
                (message, Some(stage), None)
            }
            What::FollowUp { obligation, message } => (message, None, Some(obligation)),
            What::Stage { .. } | What::Month { .. } => {
                return Err(EvidenceError::OtherMessage { index: entry.index.0 });
            }
        };
        self.is_about(entry, &message)?;
        self.is_for(entry, &overdue.office)?;
        let (office, due) = (overdue.office, overdue.due);
        Ok(Missed { index: entry.index, recorded: entry.time, office, due, stage, obligation })
    }

    fn erased(&self, entry: &Entry) -> Result<Erased, EvidenceError> {
        unopened(entry)?;
        let other = || EvidenceError::OtherMessage { index: entry.index.0 };
        let ordered = match erasure::read(&entry.statement).map_err(refused(entry))? {
            Erasure::Retention { until } => {
                by_hub(entry)?;
                if until < self.covered.index {
                    return Err(other());
                }
                None
            }
            Erasure::Order { order, message } => {
                let named = MessageRef { index: message, message_id: order.message_id };
                self.is_about(entry, &named)?;
                if *order.sender() != self.envelope.sender.office {
                    return Err(other());
                }
                let exact = erasure::order_of(&entry.statement).map_err(refused(entry))?;
                let signed = erasure::SignedOrder::read(&exact.unwrap_or_default());
                let signed = signed.map_err(refused(entry))?.signed;
                let parts = (&signed.statement[..], signed.signatures.as_slice());
                self.directory
                    .check(entry, |policy, when| policy.check_erasure_order(&order, parts, when))?;
                if let OrderedBy::Desk(desk) = &order.by {
                    answers_for(entry, desk)?;
                }
                Some(Orderer { by: order.by.to_string(), at: order.at, reason: order.reason })
            }
        };
        Ok(Erased { index: entry.index, recorded: entry.time, ordered })
    }

    fn is_about(&self, entry: &Entry, named: &MessageRef) -> Result<(), EvidenceError> {
        let same = *named == self.covered.message();
        if same { Ok(()) } else { Err(EvidenceError::OtherMessage { index: entry.index.0 }) }
    }

    fn is_for(&self, entry: &Entry, office: &Name) -> Result<(), EvidenceError> {
        if self.envelope.offices().any(|it| it == office) {
            return Ok(());
        }
        Err(EvidenceError::NotRecipient { index: entry.index.0, office: office.to_string() })
    }
}

fn message(envelope: &Envelope, envelope_digest: [u8; 32]) -> Message {
    Message {
        id: envelope.message_id,
        envelope_digest,
        payload_digest: envelope.payload_digest,
        payload_bytes: envelope.payload_bytes,
        files: envelope.files.clone(),
        class: envelope.class,
        stream: envelope.stream.clone(),
        priority: envelope.priority,
        status: envelope.status,
        msg_type: envelope.msg_type,
        sent: envelope.sent,
        deadlines: envelope.deadlines,
    }
}

/// Opens the note beside a receipt with its own key, and holds it to what the receipt names.
fn officer(
    policy: &Policy,
    receipt: &crate::model::receipt::Receipt,
    note: &Note,
) -> Result<Officer, EvidenceError> {
    let index = note.receipt.0;
    let Some(digest) = receipt.note_digest else { return Err(EvidenceError::NoteAlone { index }) };
    if digest != sha256(&note.sealed) {
        return Err(EvidenceError::NoteDigest { index });
    }
    let key = FileKey::from_bytes(&note.file_key);
    let opened = open_bytes_with(&note.sealed, &key, CONTENT_BYTES_MAX);
    let opened = opened.map_err(|error| EvidenceError::NoteSealed { index, error })?;
    let held = OfficerNote::hold(policy, receipt, opened);
    let held = held.map_err(|error| EvidenceError::NoteInside { index, error })?;
    Ok(Officer { name: held.officer, key: held.key.id().0, text: held.text })
}

fn refused(entry: &Entry) -> impl FnOnce(Refusal) -> EvidenceError {
    let index = entry.index.0;
    move |refusal| EvidenceError::Statement { index, refusal }
}

fn unopened(entry: &Entry) -> Result<(), EvidenceError> {
    if entry.cover.is_none() { Ok(()) } else { Err(EvidenceError::Opening { index: entry.index.0 }) }
}

fn answers_for(entry: &Entry, desk: &Desk) -> Result<(), EvidenceError> {
    let expected = desk.to_string();
    if entry.identity == expected {
        return Ok(());
    }
    Err(EvidenceError::Identity { index: entry.index.0, found: entry.identity.clone(), expected })
}

fn by_hub(entry: &Entry) -> Result<(), EvidenceError> {
    if matches!(entry.identity.parse(), Ok(Identity::Hub(_))) {
        return Ok(());
    }
    let (found, expected) = (entry.identity.clone(), "a hub".to_owned());
    Err(EvidenceError::Identity { index: entry.index.0, found, expected })
}
