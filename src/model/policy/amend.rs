//! How an amendment is held to its signatures, and what follows from each fact.
//!
//! Owns who must sign what. Never takes in a part of an amendment.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{OFFICES_MAX, OfficeNumber, Policy, Registrar, StreamRights};
use crate::model::amendment::{Amendment, FACTS_MAX, SIGNATURES_MAX, SignedAmendment};
use crate::model::erasure::RETENTION_DAYS_MAX;
use crate::model::fact::Fact;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Name};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{KeyId, Kind, VerifyingKey, sha256};

/// Who signed an amendment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Signer {
    /// A registrar.
    Registrar {
        /// Its name.
        name: Name,
        /// Its institution.
        institution: Name,
    },
    /// A desk's attended key.
    Desk(Desk),
}

impl Policy {
    /// Takes in an amendment: the founding, where nothing was taken in before.
    ///
    /// # Errors
    /// [`Reason::DirectoryStale`] for one that does not follow the newest; [`Reason::KeyUnknown`],
    /// [`Reason::SignatureInvalid`], [`Reason::SignatureMissing`]; [`Reason::FieldInvalid`] for facts that do not follow.
    pub fn amend(&mut self, signed: &Arc<SignedAmendment>) -> Result<(), Refusal> {
        let amendment = &signed.amendment;
        let next = self.version().next();
        if amendment.version != next {
            let message = format!(
                "the amendment is for version {} of the directory; {next} is the next: look at the directory and have it \
                 made and signed anew",
                amendment.version
            );
            return Err(Refusal::new(Reason::DirectoryStale, message));
        }
        if amendment.previous != self.head {
            let message = format!(
                "the amendment for version {next} follows another directory than this one: tell the registrars, for two \
                 directories may be about"
            );
            return Err(Refusal::new(Reason::DirectoryStale, message));
        }
        let facts = &amendment.facts;
        if !(1..=FACTS_MAX).contains(&facts.len()) {
            let message = format!("an amendment holds 1 to {FACTS_MAX} facts; this holds {}", facts.len());
            return Err(Refusal::field("facts", message));
        }
        // At the founding those sign whom it names: who pins its digest pins their keys.
        let founding = self.amendments.is_empty();
        let signers = if founding { signers(&founders(facts)?, signed) } else { signers(self, signed) };
        self.authorise(facts, &signers?, founding)?;
        let mut amended = self.clone();
        for fact in facts {
            let taken = amended.take(fact);
            taken.map_err(|found| Refusal::field("facts", format!("a fact does not follow: {found}")))?;
        }
        amended.head = signed.digest();
        amended.amendments.push(Arc::clone(signed));
        *self = amended;
        Ok(())
    }

    /// Gives what the next amendment says, with these facts.
    pub fn next_amendment(&self, facts: Vec<Fact>, made: UnixMicros) -> Amendment {
        Amendment { version: self.version().next(), previous: self.head, made, facts }
    }

    /// Tells whether facts follow from the directory as it stands, one after the other, whoever signs them.
    ///
    /// # Errors
    /// A sentence that says what does not follow.
    pub fn check(&self, facts: &[Fact]) -> Result<(), String> {
        let mut amended = self.clone();
        facts.iter().try_for_each(|fact| amended.take(fact))
    }

    /// Holds the signatures that an amendment has so far to their keys, whoever is still to sign.
    ///
    /// # Errors
    /// [`Reason::KeyUnknown`], [`Reason::SignatureInvalid`].
    pub fn check_signatures(&self, signed: &SignedAmendment) -> Result<(), Refusal> {
        if self.amendments.is_empty() {
            return signers(&founders(&signed.amendment.facts)?, signed).map(|_| ());
        }
        signers(self, signed).map(|_| ())
    }

    /// Registrars of both institutions sign everything; a desk's next keys need its present one and one registrar; an office's
    /// next key for sealing needs one of its desks.
    fn authorise(&self, facts: &[Fact], signers: &[Signer], founding: bool) -> Result<(), Refusal> {
        let institutions: BTreeSet<_> = signers
            .iter()
            .filter_map(
                |it| if let Signer::Registrar { institution, .. } = it { Some(institution) } else { None },
            )
            .collect();
        if founding {
            let named = facts.iter().filter(|fact| matches!(fact, Fact::Registrar { .. })).count();
            if signers.len() < named {
                return Err(missing("each registrar that a founding names signs it; one has not"));
            }
            if institutions.len() < 2 {
                return Err(missing("a founding names registrars of two institutions"));
            }
        }
        if institutions.len() >= 2 {
            return Ok(());
        }
        for fact in facts {
            match fact {
                Fact::Desk { desk, .. } if self.desks.contains_key(desk) => {
                    let own = signers.contains(&Signer::Desk(desk.clone()));
                    if !own || institutions.is_empty() {
                        let message = format!(
                            "new keys of {desk} are signed with its present key and by one registrar, or by registrars \
                             of two institutions"
                        );
                        return Err(missing(message));
                    }
                }
                Fact::OfficeKey { office, .. } if self.office_keys.contains_key(office) => {
                    let own = |it: &Signer| matches!(it, Signer::Desk(desk) if desk.office == *office);
                    if !signers.iter().any(own) {
                        return Err(missing(format!("a new key of {office} is signed by one of its desks")));
                    }
                }
                _ => return Err(missing("registrars of two institutions sign an amendment together")),
            }
        }
        Ok(())
    }

    fn signer(&self, id: KeyId) -> Option<(Signer, &VerifyingKey)> {
        if let Some((name, registrar)) = self.registrars.iter().find(|(_, it)| it.key.id() == id) {
            let (name, institution) = (name.clone(), registrar.institution.clone());
            return Some((Signer::Registrar { name, institution }, &registrar.key));
        }
        let mut desks = self.desks.iter();
        let (desk, keys) = desks.find(|(_, keys)| keys.attended.id() == id)?;
        let counts = self.is_member(&desk.office) && !self.revoked.contains_key(desk);
        counts.then(|| (Signer::Desk(desk.clone()), &keys.attended))
    }

    fn take(&mut self, fact: &Fact) -> Result<(), String> {
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
                self.member(&name, "headquarters")?;
                self.headquarters = Some(name);
            }
            Fact::Operator { name, institution } => {
                self.known_institution(&institution)?;
                if self.operators.contains_key(&name) {
                    return Err(format!("operator {name} is there already"));
                }
                self.operators.insert(name, institution);
            }
            Fact::Registrar { name, institution, key } => {
                self.known_institution(&institution)?;
                if self.registrars.get(&name).is_some_and(|it| it.institution != institution) {
                    return Err(format!("registrar {name} is of another institution than {institution}"));
                }
                self.unused(&[&key])?;
                self.registrars.insert(name, Registrar { institution, key });
            }
            Fact::Desk { desk, keys } => {
                self.member(&desk.office, "the office of a desk,")?;
                if self.revoked.contains_key(&desk) {
                    return Err(format!("{desk} was revoked: its name is never used again"));
                }
                self.unused(&[&keys.attended, &keys.unattended])?;
                self.desks.insert(desk, *keys);
            }
            Fact::OfficeKey { office, recipient } => {
                self.member(&office, "the office of a key,")?;
                if !self.used.insert(sha256(&recipient.to_bytes())) {
                    return Err(format!("the key of {office} was an office's before: a key is used once"));
                }
                self.office_keys.insert(office, recipient);
            }
            Fact::OfficeRemoved { name, reason } => self.remove_office(name, reason)?,
            Fact::DeskRevoked { desk, reason } => {
                if !self.desks.contains_key(&desk) {
                    return Err(format!("there is no {desk}"));
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
        Ok(())
    }

    fn member(&self, office: &Name, what: &str) -> Result<(), String> {
        if self.is_member(office) {
            return Ok(());
        }
        Err(format!("{what} {office} is not an office of the directory"))
    }

    /// A key speaks for one alone and once, else a signature would not say who signed, and a stolen key could come back.
    fn unused(&mut self, keys: &[&VerifyingKey]) -> Result<(), String> {
        match keys.iter().map(|key| key.id()).find(|id| !self.used.insert(id.0)) {
            None => Ok(()),
            Some(id) => Err(format!("key {id} is or was in use: make another")),
        }
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
}

/// A policy that holds the registrars alone that a founding names.
fn founders(facts: &[Fact]) -> Result<Policy, Refusal> {
    let mut founders = Policy::default();
    for fact in facts {
        if matches!(fact, Fact::Institution(_) | Fact::Registrar { .. }) {
            founders.take(fact).map_err(|found| Refusal::field("facts", found))?;
        }
    }
    Ok(founders)
}

/// Holds each signature to the key that it names.
fn signers(policy: &Policy, signed: &SignedAmendment) -> Result<Vec<Signer>, Refusal> {
    if signed.signatures.len() > SIGNATURES_MAX {
        let message = format!("an amendment has at most {SIGNATURES_MAX} signatures");
        return Err(Refusal::field("signatures", message));
    }
    let mut signers = Vec::new();
    for (id, signature) in &signed.signatures {
        let Some((who, key)) = policy.signer(*id) else {
            let message = format!(
                "the amendment is signed with key {id}, which the directory does not hold (any more)"
            );
            return Err(Refusal::new(Reason::KeyUnknown, message));
        };
        let held = key.verify(Kind::DirectoryEntry, &signed.statement, signature);
        held.map_err(|error| Refusal::new(Reason::SignatureInvalid, format!("the amendment: {error}")))?;
        if !signers.contains(&who) {
            signers.push(who);
        }
    }
    Ok(signers)
}

fn missing(message: impl Into<String>) -> Refusal {
    Refusal::new(Reason::SignatureMissing, message)
}
