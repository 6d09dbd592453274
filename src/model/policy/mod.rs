//! Policy: who is who and who may do what, as the amendments of the directory say.
//!
//! The only maker of permits: code that needs a right takes a permit, not a `bool`. The only judge of amendments: hub and
//! desks come to the same directory by the same rules, and take in nothing that was not signed as it must be.
//! Never reads configuration: the same amendments give the same policy.

mod amend;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::amendment::SignedAmendment;
use super::deadline::Deadlines;
use super::envelope::{Envelope, MessageClass, Priority};
use super::erasure::{ErasureOrder, RETENTION_DAYS_DEFAULT};
pub use super::fact::{DeskKeys, Fact};
use super::id::DirectoryVersion;
use super::identity::{Desk, Identity, Name};
use super::obligation::Obligations;
use super::refusal::{Reason, Refusal};
use crate::seal::{Recipient, VerifyingKey};

/// Offices that a directory holds at most: an office's number takes two bytes.
pub const OFFICES_MAX: usize = 4096;

/// An office's number in the ledger: its place among the offices, by journal order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OfficeNumber(pub u16);

/// A stream's rights.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StreamRights {
    /// Offices that may publish to it.
    pub publishers: BTreeSet<Name>,
    /// Offices that receive it.
    pub subscribers: BTreeSet<Name>,
}

/// The right to publish one envelope. Made by [`Policy::permit_publish`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishPermit {
    /// The sending office.
    pub sender: OfficeNumber,
    /// The recipients, ascending by name.
    pub recipients: Vec<OfficeNumber>,
}

/// The right to ask what happened. Made by [`Policy::permit_audit`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditPermit {
    /// Everything.
    All,
    /// What one office sent, was owed and stated.
    Own(OfficeNumber),
}

/// The right to hand up files. Made by [`Policy::permit_upload`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadPermit {
    /// The office whose files they will be.
    pub office: Name,
}

/// The right to hand in an amendment of the directory. Made by [`Policy::permit_amend`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmendPermit(());

/// The right to see how the hub is and to care for it. Made by [`Policy::permit_operate`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatePermit(());

/// A registrar: its institution and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registrar {
    /// Its institution.
    pub institution: Name,
    /// Its key.
    pub key: VerifyingKey,
}

/// Who is who and who may do what, at one version of the directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    amendments: Vec<Arc<SignedAmendment>>,
    head: [u8; 32],
    registrars: BTreeMap<Name, Registrar>,
    desks: BTreeMap<Desk, DeskKeys>,
    office_keys: BTreeMap<Name, Recipient>,
    used: BTreeSet<[u8; 32]>,
    institutions: BTreeSet<Name>,
    offices: Vec<(Name, Name)>,
    numbers: BTreeMap<Name, OfficeNumber>,
    auditors: BTreeMap<Name, Name>,
    streams: BTreeMap<Name, StreamRights>,
    headquarters: Option<Name>,
    operators: BTreeMap<Name, Name>,
    removed: BTreeMap<Name, String>,
    revoked: BTreeMap<Desk, String>,
    deadlines: BTreeMap<(MessageClass, Priority), Deadlines>,
    obligations: Obligations,
    retention_days: Option<u32>,
}

impl Policy {
    /// Tells whether an office is in the directory and was not removed.
    pub fn is_member(&self, office: &Name) -> bool {
        self.numbers.contains_key(office) && !self.removed.contains_key(office)
    }

    /// Why an office was removed; `None`: it was not.
    pub fn removed(&self, office: &Name) -> Option<&str> {
        self.removed.get(office).map(String::as_str)
    }

    /// The desks that were revoked, and why.
    pub fn revoked(&self) -> &BTreeMap<Desk, String> {
        &self.revoked
    }

    /// The deadlines of messages that name none, by class and priority.
    pub fn deadlines(&self) -> &BTreeMap<(MessageClass, Priority), Deadlines> {
        &self.deadlines
    }

    /// What offices owe without a message yet.
    pub fn obligations(&self) -> &Obligations {
        &self.obligations
    }

    /// Days that payloads are kept, from the hub's acceptance on.
    pub fn retention_days(&self) -> u32 {
        self.retention_days.unwrap_or(RETENTION_DAYS_DEFAULT)
    }

    /// Operators with their institutions, by name.
    pub fn operators(&self) -> &BTreeMap<Name, Name> {
        &self.operators
    }

    pub(super) fn known_institution(&self, institution: &Name) -> Result<(), String> {
        if self.institutions.contains(institution) {
            return Ok(());
        }
        Err(format!("institution {institution} is not in the directory"))
    }

    /// How many amendments were taken in.
    pub fn version(&self) -> DirectoryVersion {
        DirectoryVersion(self.amendments.len() as u64)
    }

    /// The digest of the newest amendment, which the next one names; zeros before the founding.
    pub fn head(&self) -> [u8; 32] {
        self.head
    }

    /// The amendments, in order; the first is the founding.
    pub fn amendments(&self) -> &[Arc<SignedAmendment>] {
        &self.amendments
    }

    /// The facts, in the order in which they were taken in.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.amendments.iter().flat_map(|signed| &signed.amendment.facts)
    }

    /// The registrars, by name.
    pub fn registrars(&self) -> &BTreeMap<Name, Registrar> {
        &self.registrars
    }

    /// The desks that were ever enrolled, with their keys.
    pub fn desks(&self) -> &BTreeMap<Desk, DeskKeys> {
        &self.desks
    }

    /// What messages for an office are sealed to.
    pub fn office_key(&self, office: &Name) -> Option<&Recipient> {
        self.office_keys.get(office)
    }

    /// Offices with their institutions, by number.
    pub fn offices(&self) -> impl Iterator<Item = (OfficeNumber, &Name, &Name)> {
        self.offices.iter().zip(0_u16..).map(|((name, institution), n)| (OfficeNumber(n), name, institution))
    }

    /// The streams, by name.
    pub fn streams(&self) -> &BTreeMap<Name, StreamRights> {
        &self.streams
    }

    /// The office that is headquarters.
    pub fn headquarters(&self) -> Option<&Name> {
        self.headquarters.as_ref()
    }

    /// An office's number.
    pub fn number(&self, office: &Name) -> Option<OfficeNumber> {
        self.numbers.get(office).copied()
    }

    /// An office's name.
    pub fn office(&self, number: OfficeNumber) -> Option<&Name> {
        self.offices.get(usize::from(number.0)).map(|(name, _)| name)
    }

    /// Lets in an enrolled identity.
    ///
    /// # Errors
    /// [`Reason::NotEnrolled`] for one that the directory does not hold, [`Reason::Revoked`] for one that it held.
    pub fn admit(&self, identity: &Identity) -> Result<(), Refusal> {
        let enrolled = match identity {
            Identity::Desk(desk) => return self.enrolled(desk).map(|_| ()),
            Identity::Auditor(name) => self.auditors.contains_key(name),
            Identity::Operator(name) => self.operators.contains_key(name),
            Identity::Hub(_) => false,
        };
        if enrolled {
            return Ok(());
        }
        let message = format!("{identity} is not in this hub's directory: ask a registrar to enrol it");
        Err(Refusal::new(Reason::NotEnrolled, message))
    }

    /// Lets a desk publish an envelope.
    ///
    /// # Errors
    /// [`Reason::SenderForeign`], [`Reason::NotEnrolled`], [`Reason::StreamUnknown`], [`Reason::StreamNotAllowed`],
    /// [`Reason::OfficeUnknown`], [`Reason::RecipientNotMember`].
    pub fn permit_publish(&self, caller: &Identity, envelope: &Envelope) -> Result<PublishPermit, Refusal> {
        let desk = Self::desk(caller)?;
        let sender = self.enrolled(desk)?;
        if envelope.sender != *desk {
            let message = format!(
                "the envelope is in the name of {}, the caller is {desk}: an office publishes in its own name",
                envelope.sender
            );
            return Err(Refusal::new(Reason::SenderForeign, message).of_field("sender"));
        }
        let rights = self.stream(&envelope.stream)?;
        if !rights.publishers.contains(&desk.office) {
            let message =
                format!("policy does not let {} publish to stream {}", desk.office, envelope.stream);
            return Err(Refusal::new(Reason::StreamNotAllowed, message).of_field("stream"));
        }
        let recipients = envelope.recipients.iter().map(|office| {
            let number = self.number(office).ok_or_else(|| {
                let message =
                    format!("the directory holds no office {office}: take recipients from the directory");
                Refusal::new(Reason::OfficeUnknown, message).of_field("recipients")
            })?;
            if !rights.subscribers.contains(office) {
                let message = format!(
                    "{office} is not a member of stream {}: it may not receive from it",
                    envelope.stream
                );
                return Err(Refusal::new(Reason::RecipientNotMember, message).of_field("recipients"));
            }
            Ok(number)
        });
        Ok(PublishPermit { sender, recipients: recipients.collect::<Result<_, _>>()? })
    }

    /// Lets a desk hand up files for messages to come: of an office that may publish somewhere.
    ///
    /// # Errors
    /// [`Reason::RoleNotAllowed`], [`Reason::NotEnrolled`], [`Reason::Revoked`], [`Reason::StreamNotAllowed`].
    pub fn permit_upload(&self, caller: &Identity) -> Result<UploadPermit, Refusal> {
        let desk = Self::desk(caller)?;
        self.enrolled(desk)?;
        if self.streams.values().any(|rights| rights.publishers.contains(&desk.office)) {
            return Ok(UploadPermit { office: desk.office.clone() });
        }
        let message =
            format!("policy lets {} publish to no stream, so its files would be nobody's", desk.office);
        Err(Refusal::new(Reason::StreamNotAllowed, message))
    }

    /// Lets a desk subscribe to streams; none named means all that it is given.
    ///
    /// # Errors
    /// [`Reason::RoleNotAllowed`], [`Reason::NotEnrolled`], [`Reason::StreamUnknown`], [`Reason::StreamNotAllowed`].
    pub fn permit_subscribe(&self, caller: &Identity, streams: &[Name]) -> Result<OfficeNumber, Refusal> {
        let desk = Self::desk(caller)?;
        let office = self.enrolled(desk)?;
        for stream in streams {
            let rights = self.stream(stream).map_err(|refusal| refusal.of_field("start.streams"))?;
            if !rights.subscribers.contains(&desk.office) {
                let message = format!("policy does not give stream {stream} to {}", desk.office);
                return Err(Refusal::new(Reason::StreamNotAllowed, message).of_field("start.streams"));
            }
        }
        Ok(office)
    }

    /// Lets a desk state a receipt.
    ///
    /// # Errors
    /// [`Reason::DeskForeign`], [`Reason::RoleNotAllowed`], [`Reason::NotEnrolled`].
    pub fn permit_receipt(&self, caller: &Identity, stated_by: &Desk) -> Result<OfficeNumber, Refusal> {
        let desk = Self::desk(caller)?;
        let office = self.enrolled(desk)?;
        if stated_by != desk {
            let message = format!(
                "the receipt is in the name of {stated_by}, the caller is {desk}: a desk acknowledges in its own name"
            );
            return Err(Refusal::new(Reason::DeskForeign, message).of_field("desk"));
        }
        Ok(office)
    }

    /// Lets a desk have a message of its office erased.
    ///
    /// # Errors
    /// [`Reason::DeskForeign`], [`Reason::RoleNotAllowed`], [`Reason::NotEnrolled`], [`Reason::Revoked`].
    pub fn permit_erase(&self, caller: &Identity, order: &ErasureOrder) -> Result<OfficeNumber, Refusal> {
        let desk = Self::desk(caller)?;
        let office = self.enrolled(desk)?;
        if order.desk != *desk {
            let message = format!(
                "the order is in the name of {}, the caller is {desk}: a desk orders in its own name",
                order.desk
            );
            return Err(Refusal::new(Reason::DeskForeign, message).of_field("desk"));
        }
        Ok(office)
    }

    /// Lets somebody ask what happened.
    ///
    /// # Errors
    /// [`Reason::AuditNotAllowed`] for a role that may not, [`Reason::NotEnrolled`].
    pub fn permit_audit(&self, caller: &Identity) -> Result<AuditPermit, Refusal> {
        match caller {
            Identity::Auditor(_) => self.admit(caller).map(|()| AuditPermit::All),
            Identity::Desk(desk) => self.enrolled(desk).map(AuditPermit::Own),
            Identity::Operator(_) | Identity::Hub(_) => {
                Err(Refusal::new(Reason::AuditNotAllowed, format!("policy does not let {caller} audit")))
            }
        }
    }

    /// Lets somebody hand in an amendment: an operator, or a desk. Whether it counts is a matter of its signatures.
    ///
    /// # Errors
    /// [`Reason::RoleNotAllowed`], [`Reason::NotEnrolled`].
    pub fn permit_amend(&self, caller: &Identity) -> Result<AmendPermit, Refusal> {
        if !matches!(caller, Identity::Operator(_) | Identity::Desk(_)) {
            let message = format!("only operators and desks hand in amendments; the caller is {caller}");
            return Err(Refusal::new(Reason::RoleNotAllowed, message));
        }
        self.admit(caller).map(|()| AmendPermit(()))
    }

    /// Lets an operator see how the hub is and care for it.
    ///
    /// # Errors
    /// [`Reason::RoleNotAllowed`], [`Reason::NotEnrolled`].
    pub fn permit_operate(&self, caller: &Identity) -> Result<OperatePermit, Refusal> {
        if !matches!(caller, Identity::Operator(_)) {
            let message = format!("only an operator cares for the hub; the caller is {caller}");
            return Err(Refusal::new(Reason::RoleNotAllowed, message));
        }
        self.admit(caller).map(|()| OperatePermit(()))
    }

    fn desk(caller: &Identity) -> Result<&Desk, Refusal> {
        match caller {
            Identity::Desk(desk) => Ok(desk),
            other => {
                let message = format!("only an office's desk may do this; the caller is {other}");
                Err(Refusal::new(Reason::RoleNotAllowed, message))
            }
        }
    }

    fn enrolled(&self, desk: &Desk) -> Result<OfficeNumber, Refusal> {
        let revoked = |what: &dyn std::fmt::Display, reason: &str| {
            let message = format!("{what}: {reason}. Ask the hub's operator if that is a surprise");
            Refusal::new(Reason::Revoked, message)
        };
        if let Some(reason) = self.removed(&desk.office) {
            return Err(revoked(&format_args!("office {} was removed", desk.office), reason));
        }
        if let Some(reason) = self.revoked.get(desk) {
            return Err(revoked(&format_args!("{desk} was revoked"), reason));
        }
        let not_enrolled = |what: &dyn std::fmt::Display| {
            let message = format!("{what} is not in this hub's directory: ask the registrars to enrol it");
            Refusal::new(Reason::NotEnrolled, message)
        };
        let number = self.number(&desk.office);
        let number = number.ok_or_else(|| not_enrolled(&format_args!("office {}", desk.office)))?;
        if self.desks.contains_key(desk) { Ok(number) } else { Err(not_enrolled(desk)) }
    }

    fn stream(&self, name: &Name) -> Result<&StreamRights, Refusal> {
        self.streams.get(name).ok_or_else(|| {
            let known: Vec<_> = self.streams.keys().map(Name::as_str).collect();
            let message = format!("there is no stream {name}; there are {}", known.join(", "));
            Refusal::new(Reason::StreamUnknown, message).of_field("stream")
        })
    }
}
