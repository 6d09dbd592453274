//! How an entry of the directory is held to its place and its signatures.
//!
//! Owns who must sign an amendment. Never takes in a part of one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Policy;
use super::keys::{By, Replaced};
use crate::model::amendment::{Amendment, DirectoryEntry, FACTS_MAX, SIGNATURES_MAX, SignedEntry};
use crate::model::fact::Fact;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Name};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{KeyId, VerifyingKey};

/// Of facts that are only tried.
const UNTOLD: By = By { replaced: Replaced::Lost, made: UnixMicros(0) };

/// Who signed an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signer {
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
    /// Takes in an entry: the founding, where nothing was taken in before.
    ///
    /// # Errors
    /// [`Reason::DirectoryStale`] for one that does not follow the newest of its kind; [`Reason::KeyUnknown`],
    /// [`Reason::SignatureInvalid`], [`Reason::SignatureMissing`]; [`Reason::FieldInvalid`] for facts that do not follow.
    pub fn amend(&mut self, signed: &Arc<SignedEntry>) -> Result<(), Refusal> {
        let mut amended = self.clone();
        match &signed.entry {
            DirectoryEntry::Amendment(amendment) => amended.take_amendment(amendment, signed)?,
            DirectoryEntry::Rotation(rotation) => amended.take_rotation(rotation, signed)?,
        }
        amended.heads.push(signed.head_after(&self.head()));
        amended.taken.insert(signed.signed_digest());
        amended.entries.push(Arc::clone(signed));
        *self = amended;
        Ok(())
    }

    fn take_amendment(&mut self, amendment: &Amendment, signed: &SignedEntry) -> Result<(), Refusal> {
        let next = self.amendments.next();
        if amendment.number != next {
            let message = format!(
                "this is amendment {} of the directory; {next} is the next: look at the directory and have it made and \
                 signed anew",
                amendment.number
            );
            return Err(Refusal::new(Reason::DirectoryStale, message));
        }
        if amendment.previous != self.newest_amendment {
            let message = format!(
                "amendment {next} follows another directory than this one: tell the registrars, for two directories may \
                 be about"
            );
            return Err(Refusal::new(Reason::DirectoryStale, message));
        }
        let facts = &amendment.facts;
        if !(1..=FACTS_MAX).contains(&facts.len()) {
            let message = format!("an amendment holds 1 to {FACTS_MAX} facts; this holds {}", facts.len());
            return Err(Refusal::field("facts", message));
        }
        // At the founding those sign whom it names: who pins its digest pins their keys.
        let founding = self.entries.is_empty();
        let signers = if founding { signers(&founders(facts)?, signed) } else { signers(self, signed) };
        authorise(facts, &signers?, founding)?;
        // What registrars have to replace was lost or stolen.
        let by = By { replaced: Replaced::Lost, made: amendment.made };
        let taken = facts.iter().try_for_each(|fact| self.take(fact, by));
        taken.map_err(|found| unfounded(&found))?;
        (self.amendments, self.newest_amendment) = (next, signed.digest());
        Ok(())
    }

    /// Gives what the next amendment says, with these facts.
    pub fn next_amendment(&self, facts: Vec<Fact>, made: UnixMicros) -> Amendment {
        Amendment { number: self.amendments.next(), previous: self.newest_amendment, made, facts }
    }

    /// Tells whether facts follow from the directory as it stands, one after the other, whoever signs them.
    ///
    /// # Errors
    /// A sentence that says what does not follow.
    pub fn check(&self, facts: &[Fact]) -> Result<(), String> {
        let mut amended = self.clone();
        facts.iter().try_for_each(|fact| amended.take(fact, UNTOLD))
    }

    /// Holds the signatures that an entry has so far to their keys, whoever is still to sign.
    ///
    /// # Errors
    /// [`Reason::KeyUnknown`], [`Reason::SignatureInvalid`].
    pub fn check_signatures(&self, signed: &SignedEntry) -> Result<(), Refusal> {
        if self.entries.is_empty() {
            return signers(&founders(signed.entry.facts())?, signed).map(|_| ());
        }
        signers(self, signed).map(|_| ())
    }

    fn signer(&self, id: KeyId) -> Option<(Signer, &VerifyingKey)> {
        if let Some(name) = self.keys.registrar(id) {
            let registrar = self.registrars.get(name)?;
            let (name, institution) = (name.clone(), registrar.institution.clone());
            return Some((Signer::Registrar { name, institution }, &registrar.key));
        }
        let (desk, key) = self.keys.attended(id)?;
        self.counts(desk).then(|| (Signer::Desk(desk.clone()), key))
    }
}

/// Registrars of both institutions sign every amendment.
fn authorise(facts: &[Fact], signers: &[Signer], founding: bool) -> Result<(), Refusal> {
    let institutions = institutions(signers);
    if !founding {
        let message = "registrars of two institutions sign an amendment together";
        return if institutions >= 2 { Ok(()) } else { Err(missing(message)) };
    }
    let named = facts.iter().filter(|fact| matches!(fact, Fact::Registrar { .. })).count();
    if signers.len() < named {
        return Err(missing("each registrar that a founding names signs it; one has not"));
    }
    if institutions < 2 {
        return Err(missing("a founding names registrars of two institutions"));
    }
    Ok(())
}

/// How many institutions have a registrar among who signed.
fn institutions(signers: &[Signer]) -> usize {
    let institutions = signers.iter().filter_map(|it| match it {
        Signer::Registrar { institution, .. } => Some(institution),
        Signer::Desk(_) => None,
    });
    institutions.collect::<BTreeSet<_>>().len()
}

/// A policy that holds the registrars alone that a founding names.
fn founders(facts: &[Fact]) -> Result<Policy, Refusal> {
    let mut founders = Policy::default();
    for fact in facts {
        if matches!(fact, Fact::Institution(_) | Fact::Registrar { .. }) {
            founders.take(fact, UNTOLD).map_err(|found| Refusal::field("facts", found))?;
        }
    }
    Ok(founders)
}

/// Holds each signature to the key that it names.
pub(super) fn signers(policy: &Policy, signed: &SignedEntry) -> Result<Vec<Signer>, Refusal> {
    if signed.signatures.len() > SIGNATURES_MAX {
        let message = format!("an entry of the directory has at most {SIGNATURES_MAX} signatures");
        return Err(Refusal::field("signatures", message));
    }
    let (kind, mut signers) = (signed.entry.kind(), Vec::new());
    for (id, signature) in &signed.signatures {
        let Some((who, key)) = policy.signer(*id) else {
            let message =
                format!("the entry is signed with key {id}, which the directory does not hold (any more)");
            return Err(Refusal::new(Reason::KeyUnknown, message));
        };
        let held = key.verify(kind, &signed.statement, signature);
        held.map_err(|error| {
            Refusal::new(Reason::SignatureInvalid, format!("the entry of the directory: {error}"))
        })?;
        if !signers.contains(&who) {
            signers.push(who);
        }
    }
    Ok(signers)
}

pub(super) fn missing(message: impl Into<String>) -> Refusal {
    Refusal::new(Reason::SignatureMissing, message)
}

pub(super) fn unfounded(found: &str) -> Refusal {
    Refusal::field("facts", format!("a fact does not follow: {found}"))
}
