//! Policy: who is who and who may do what, as the facts in the journal say.
//!
//! The only maker of permits: code that needs a right takes a permit, not a `bool`.
//! Never reads configuration: the same facts in the same order give the same policy.

use std::collections::{BTreeMap, BTreeSet};

use super::deadline::Deadlines;
use super::envelope::{Envelope, MessageClass, Priority};
use super::erasure::{ErasureOrder, RETENTION_DAYS_DEFAULT, RETENTION_DAYS_MAX};
pub use super::fact::Fact;
use super::id::Index;
use super::identity::{Desk, Identity, Name};
use super::obligation::Obligations;
use super::refusal::{Reason, Refusal};

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

/// The right to change the directory. Made by [`Policy::permit_amend`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmendPermit(());

/// The right to see how the hub is and to care for it. Made by [`Policy::permit_operate`] alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatePermit(());

/// Who is who and who may do what, as of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    version: Index,
    facts: Vec<Fact>,
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
    /// Takes in a fact that stands at an index.
    ///
    /// # Errors
    /// A sentence that says what does not follow: an unknown institution or office, a second of the same name.
    pub fn apply(&mut self, index: Index, fact: Fact) -> Result<(), String> {
        match fact.clone() {
            Fact::Institution(name) => {
                if !self.institutions.insert(name.clone()) {
                    return Err(format!("institution {name} is there already"));
                }
            }
            Fact::Office { name, institution } => self.add_office(name, institution)?,
            Fact::Auditor { name, institution } => {
                self.known_institution(&institution)?;
                if self.auditors.contains_key(&name) {
                    return Err(format!("auditor {name} is there already"));
                }
                self.auditors.insert(name, institution);
            }
            Fact::Stream { name, publishers, subscribers } => {
                if let Some(office) = publishers.union(&subscribers).find(|office| !self.is_member(office)) {
                    return Err(format!(
                        "stream {name} names office {office}, which the directory does not hold"
                    ));
                }
                self.streams.insert(name, StreamRights { publishers, subscribers });
            }
            Fact::Headquarters(name) => {
                if !self.is_member(&name) {
                    return Err(format!("headquarters {name} is not an office of the directory"));
                }
                self.headquarters = Some(name);
            }
            Fact::Operator { name, institution } => {
                self.known_institution(&institution)?;
                if self.operators.contains_key(&name) {
                    return Err(format!("operator {name} is there already"));
                }
                self.operators.insert(name, institution);
            }
            Fact::OfficeRemoved { name, reason } => self.remove_office(name, reason)?,
            Fact::DeskRevoked { desk, reason } => {
                if self.number(&desk.office).is_none() {
                    return Err(format!("there is no office {}", desk.office));
                }
                if self.revoked.contains_key(&desk) {
                    return Err(format!("{desk} is revoked already"));
                }
                self.revoked.insert(desk, reason);
            }
            Fact::Deadlines { class, priority, deadlines } => {
                deadlines.check().map_err(|refusal| refusal.message)?;
                self.deadlines.insert((class, priority), deadlines);
            }
            Fact::Obligation(obligation) => {
                obligation.follows(self)?;
                self.obligations.set(obligation)?;
            }
            Fact::ObligationEnded(name) => self.obligations.end(&name)?,
            Fact::Retention { days } => {
                if !(1..=RETENTION_DAYS_MAX).contains(&days) {
                    return Err(format!("payloads are kept for 1 to {RETENTION_DAYS_MAX} days, not {days}"));
                }
                self.retention_days = Some(days);
            }
        }
        self.facts.push(fact);
        self.version = index.next();
        Ok(())
    }

    fn add_office(&mut self, name: Name, institution: Name) -> Result<(), String> {
        self.known_institution(&institution)?;
        if self.numbers.contains_key(&name) {
            return Err(format!("office {name} is there already"));
        }
        let number = u16::try_from(self.offices.len())
            .ok()
            .filter(|number| usize::from(*number) < OFFICES_MAX)
            .ok_or_else(|| format!("a directory holds at most {OFFICES_MAX} offices; {name} is one more"))?;
        self.numbers.insert(name.clone(), OfficeNumber(number));
        self.offices.push((name, institution));
        Ok(())
    }

    fn remove_office(&mut self, name: Name, reason: String) -> Result<(), String> {
        if !self.is_member(&name) {
            return Err(format!("{name} is not an office of the directory"));
        }
        if self.headquarters.as_ref() == Some(&name) {
            return Err(format!("{name} is headquarters: name another office headquarters first"));
        }
        for rights in self.streams.values_mut() {
            rights.publishers.remove(&name);
            rights.subscribers.remove(&name);
        }
        self.removed.insert(name, reason);
        Ok(())
    }

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

    /// The index after the newest fact.
    pub fn version(&self) -> Index {
        self.version
    }

    /// The facts, in the order in which they were taken in.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
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

    /// Lets an operator change the directory.
    ///
    /// # Errors
    /// [`Reason::RoleNotAllowed`], [`Reason::NotEnrolled`].
    pub fn permit_amend(&self, caller: &Identity) -> Result<AmendPermit, Refusal> {
        if !matches!(caller, Identity::Operator(_)) {
            let message = format!("only an operator changes the directory; the caller is {caller}");
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
        self.number(&desk.office).ok_or_else(|| {
            let message =
                format!("office {} is not in this hub's directory: ask a registrar to enrol it", desk.office);
            Refusal::new(Reason::NotEnrolled, message)
        })
    }

    fn stream(&self, name: &Name) -> Result<&StreamRights, Refusal> {
        self.streams.get(name).ok_or_else(|| {
            let known: Vec<_> = self.streams.keys().map(Name::as_str).collect();
            let message = format!("there is no stream {name}; there are {}", known.join(", "));
            Refusal::new(Reason::StreamUnknown, message).of_field("stream")
        })
    }
}
