//! What follows from each fact of the directory.
//!
//! Owns whether a fact follows from those before it. Never asks who signed it.

use super::keys::By;
use super::{OFFICES_MAX, OfficeNumber, Policy, Registrar, Restored, StreamRights};
use crate::model::erasure::RETENTION_DAYS_MAX;
use crate::model::fact::{Fact, QUORUM_MAX};
use crate::model::identity::Name;
use crate::seal::VerifyingKey;

impl Policy {
    /// Takes in one fact; after an error nothing of this policy counts any more.
    pub(super) fn take(&mut self, fact: &Fact, by: By) -> Result<(), String> {
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
            Fact::Registrar { name, institution, key } => self.add_registrar(name, institution, key)?,
            Fact::Desk { desk, keys } => {
                self.member(&desk.office, "the office of a desk,")?;
                if self.revoked.contains_key(&desk) {
                    return Err(format!("{desk} was revoked: its name is never used again"));
                }
                self.keys.set_desk(desk, *keys)?;
            }
            Fact::OfficeKey { office, recipient } => {
                self.member(&office, "the office of a key,")?;
                self.keys.set_office_key(office, recipient, by)?;
            }
            Fact::TransferKey { desk, recipient } => {
                if !self.counts(&desk) {
                    return Err(format!("there is no {desk}, or it does not count any more"));
                }
                self.keys.set_transfer_key(&desk, recipient)?;
            }
            Fact::HubKey { key } => {
                self.keys.unused(&key)?;
                self.hub_keys.push(key);
            }
            Fact::Restored { id, kept, root } => {
                if self.restored.iter().any(|it| it.id == id) {
                    return Err(format!("the restore of epoch {:016x} is there already", id.0));
                }
                self.restored.push(Restored { id, kept, root });
            }
            Fact::Witness { name, institution, key } => self.add_witness(name, institution, key)?,
            Fact::Quorum { witnesses } => {
                if !(2..=QUORUM_MAX).contains(&witnesses) {
                    return Err(format!("a quorum is of 2 to {QUORUM_MAX} witnesses, not {witnesses}"));
                }
                self.quorum = Some(witnesses);
            }
            Fact::OfficeRemoved { name, reason } => self.remove_office(name, reason)?,
            Fact::DeskRevoked { desk, reason } => {
                if !self.desks().contains_key(&desk) {
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

    fn add_registrar(&mut self, name: Name, institution: Name, key: VerifyingKey) -> Result<(), String> {
        self.known_institution(&institution)?;
        if self.registrars.get(&name).is_some_and(|it| it.institution != institution) {
            return Err(format!("registrar {name} is of another institution than {institution}"));
        }
        self.keys.set_registrar(&name, &key)?;
        self.registrars.insert(name, Registrar { institution, key });
        Ok(())
    }

    fn add_witness(&mut self, name: Name, institution: Name, key: VerifyingKey) -> Result<(), String> {
        self.known_institution(&institution)?;
        if self.witnesses.get(&name).is_some_and(|it| it.institution != institution) {
            return Err(format!("witness {name} is of another institution than {institution}"));
        }
        self.keys.unused(&key)?;
        self.witnesses.insert(name, Registrar { institution, key });
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
}
