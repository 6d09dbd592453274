//! Policy: who is who and who may do what, as the amendments of the directory say.
//!
//! The only maker of permits: code that needs a right takes a permit, not a `bool`. The only judge of amendments: hub and
//! desks come to the same directory by the same rules, and take in nothing that was not signed as it must be.
//! Never reads configuration: the same amendments give the same policy.

mod amend;
mod keys;
mod rotate;
mod signed;
mod take;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keys::Keys;
pub use keys::{Role, SigningKeyStanding};

pub use self::signed::{Stated, When};
use super::amendment::SignedEntry;
use super::deadline::Deadlines;
use super::envelope::{Envelope, MessageClass, Priority};
use super::epoch::EpochId;
use super::erasure::{ErasureOrder, OrderedBy, RETENTION_DAYS_DEFAULT};
pub use super::fact::{DeskKeys, Fact};
use super::id::{AmendmentNumber, DirectoryVersion};
use super::identity::{Desk, Identity, Name};
use super::obligation::Obligations;
use super::refusal::{Reason, Refusal};
use crate::seal::VerifyingKey;

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

/// A restore of the hub that registrars have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The epoch that began with it.
    pub id: EpochId,
    /// How many entries of the journal were kept.
    pub kept: u64,
    /// The root of the journal's tree over those.
    pub root: [u8; 32],
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

/// A registrar or a witness: its institution and its key.
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
    entries: Vec<Arc<SignedEntry>>,
    /// The digest of the directory at each version, the first.
    heads: Vec<[u8; 32]>,
    /// Of what was signed in each entry.
    taken: BTreeSet<[u8; 32]>,
    amendments: AmendmentNumber,
    newest_amendment: [u8; 32],
    registrars: BTreeMap<Name, Registrar>,
    keys: Keys,
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
    /// The newest last.
    restored: Vec<Restored>,
    /// The present one last.
    hub_keys: Vec<VerifyingKey>,
    witnesses: BTreeMap<Name, Registrar>,
    quorum: Option<u32>,
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

    /// Who signs what the hub's journal comes to, by name.
    pub fn witnesses(&self) -> &BTreeMap<Name, Registrar> {
        &self.witnesses
    }

    /// The restores of the hub that registrars have signed, the newest last.
    pub fn restored(&self) -> &[Restored] {
        &self.restored
    }

    /// The key by which the hub signs what its logs come to; `None` where registrars named none.
    pub fn hub_key(&self) -> Option<&VerifyingKey> {
        self.hub_keys.last()
    }

    /// All keys by which the hub signed, the present one last.
    pub fn hub_keys(&self) -> &[VerifyingKey] {
        &self.hub_keys
    }

    /// How many witnesses must have signed, of both institutions in any case: where nothing was said, more than half as many
    /// as there are offices.
    pub fn quorum(&self) -> u32 {
        let members = self.numbers.keys().filter(|office| self.is_member(office)).count();
        let majority = u32::try_from(members / 2 + 1).unwrap_or(u32::MAX);
        self.quorum.unwrap_or(majority.max(2))
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

    /// How many entries were taken in.
    pub fn version(&self) -> DirectoryVersion {
        DirectoryVersion(self.entries.len() as u64)
    }

    /// How many of them are amendments.
    pub fn amendments(&self) -> AmendmentNumber {
        self.amendments
    }

    /// The digest of the directory, over all entries in their order; zeros before the founding.
    pub fn head(&self) -> [u8; 32] {
        self.heads.last().copied().unwrap_or_default()
    }

    /// The digest of the directory as it was at a version; `None`: it has not come so far, or that is 0.
    pub fn head_at(&self, version: DirectoryVersion) -> Option<[u8; 32]> {
        let at = usize::try_from(version.0).ok()?.checked_sub(1)?;
        self.heads.get(at).copied()
    }

    /// The entries, in order; the first is the founding.
    pub fn entries(&self) -> &[Arc<SignedEntry>] {
        &self.entries
    }

    /// Tells whether an entry was taken in, whoever else signed it there.
    pub fn holds(&self, signed: &SignedEntry) -> bool {
        self.taken.contains(&signed.signed_digest())
    }

    /// The facts, in the order in which they were taken in.
    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.entries.iter().flat_map(|signed| signed.entry.facts())
    }

    /// The registrars, by name.
    pub fn registrars(&self) -> &BTreeMap<Name, Registrar> {
        &self.registrars
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
            Identity::Witness(name) => self.witnesses.contains_key(name),
            Identity::Hub(_) => false,
        };
        if enrolled {
            return Ok(());
        }
        let message = format!("{identity} is not in this hub's directory: ask a registrar to enrol it");
        Err(Refusal::new(Reason::NotEnrolled, message))
    }

    /// Lets a desk publish an envelope. A resealing needs no right on its stream: what gives it standing is the message that it is
    /// about, which is not looked at here.
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
        let by_right = envelope.class != MessageClass::Reseal;
        if by_right && !rights.publishers.contains(&desk.office) {
            let message =
                format!("policy does not let {} publish to stream {}", desk.office, envelope.stream);
            return Err(Refusal::new(Reason::StreamNotAllowed, message).of_field("stream"));
        }
        let recipients = envelope.offices().map(|office| {
            let number = self.number(office).ok_or_else(|| {
                let message =
                    format!("the directory holds no office {office}: take recipients from the directory");
                Refusal::new(Reason::OfficeUnknown, message).of_field("recipients")
            })?;
            if by_right && !rights.subscribers.contains(office) {
                let message = format!(
                    "{office} is not a member of stream {}: it may not receive from it",
                    envelope.stream
                );
                return Err(Refusal::new(Reason::RecipientNotMember, message).of_field("recipients"));
            }
            match self.removed(office) {
                Some(reason) if !by_right => {
                    let message = format!("office {office} was removed: {reason}");
                    Err(Refusal::new(Reason::OfficeUnknown, message).of_field("recipients"))
                }
                _ => Ok(number),
            }
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

    /// Lets a desk have a message erased: one of its office on its own order, any on a registrar's. Gives the office that sent
    /// it.
    ///
    /// # Errors
    /// [`Reason::DeskForeign`], [`Reason::RoleNotAllowed`], [`Reason::NotEnrolled`], [`Reason::Revoked`];
    /// [`Reason::MessageUnknown`] for one of an office that there is not.
    pub fn permit_erase(&self, caller: &Identity, order: &ErasureOrder) -> Result<OfficeNumber, Refusal> {
        let desk = Self::desk(caller)?;
        let office = self.enrolled(desk)?;
        match &order.by {
            OrderedBy::Desk(by) if by != desk => {
                let message = format!(
                    "the order is in the name of {by}, the caller is {desk}: a desk orders in its own name"
                );
                Err(Refusal::new(Reason::DeskForeign, message).of_field("desk"))
            }
            OrderedBy::Desk(_) => Ok(office),
            OrderedBy::Registrar { sender, .. } => self.number(sender).ok_or_else(|| {
                let message = format!("there is no office {sender} that could have sent it");
                Refusal::new(Reason::MessageUnknown, message).of_field("sender_office")
            }),
        }
    }

    /// Lets somebody ask what happened.
    ///
    /// # Errors
    /// [`Reason::AuditNotAllowed`] for a role that may not, [`Reason::NotEnrolled`].
    pub fn permit_audit(&self, caller: &Identity) -> Result<AuditPermit, Refusal> {
        match caller {
            Identity::Auditor(_) => self.admit(caller).map(|()| AuditPermit::All),
            Identity::Desk(desk) => self.enrolled(desk).map(AuditPermit::Own),
            Identity::Operator(_) | Identity::Hub(_) | Identity::Witness(_) => {
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
        if self.desks().contains_key(desk) { Ok(number) } else { Err(not_enrolled(desk)) }
    }

    fn stream(&self, name: &Name) -> Result<&StreamRights, Refusal> {
        self.streams.get(name).ok_or_else(|| {
            let known: Vec<_> = self.streams.keys().map(Name::as_str).collect();
            let message = format!("there is no stream {name}; there are {}", known.join(", "));
            Refusal::new(Reason::StreamUnknown, message).of_field("stream")
        })
    }
}
