//! When enough witnesses have cosigned a checkpoint.
//!
//! Owns the rule: so many offices of all, each counted once whatever witnesses it has, and among them one at least of each
//! institution that must be there. Never says who is a witness: that stands in a trust file or in the directory. Never looks at
//! a clock: how old a cosignature may be is for whoever asks.
//!
//! After C2SP `tlog-policy`, and not written as it is: there a witness is in one group only, so a rule that counts offices and
//! asks for both institutions cannot be said.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::SignedCheckpoint;
use super::cosignature::{UnixSeconds, WitnessVerifier};
use super::key::KeyName;
use super::note::LineError;

/// A witness, and for whom it speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name and keys.
    pub witness: WitnessVerifier,
    /// The office, or the body that runs it, by a name that no other has.
    pub office: Box<str>,
    /// The institution that the office belongs to.
    pub institution: Box<str>,
}

/// Which witnesses there are and how many offices of them are enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    members: Vec<Member>,
    offices_needed: usize,
    institutions_needed: BTreeSet<Box<str>>,
}

/// A rule that cannot be kept, or that counts somebody twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// No office is asked for, or more than there are.
    #[error("a quorum of {needed} offices, 1 to {offices} expected")]
    Offices {
        /// How many are asked for.
        needed: usize,
        /// How many have a witness.
        offices: usize,
    },
    /// Two witnesses have one name.
    #[error("two witnesses have the name {name}, expected is one")]
    Name {
        /// The name.
        name: KeyName,
    },
    /// Two witnesses share a key, or half of one.
    #[error("{one} and {other} share a key, expected are keys of their own")]
    Key {
        /// One of them.
        one: KeyName,
        /// The other.
        other: KeyName,
    },
    /// An office is said to belong to two institutions.
    #[error("the office {office} is of {one} and of {other}, expected is one institution")]
    TwoInstitutions {
        /// The office.
        office: Box<str>,
        /// One institution.
        one: Box<str>,
        /// The other.
        other: Box<str>,
    },
    /// An institution that must be there has no witness.
    #[error("{institution} must be there and has no witness, at least one expected")]
    NoWitness {
        /// The institution.
        institution: Box<str>,
    },
    /// So few offices may be enough that not every institution can be among them.
    #[error("a quorum of {needed} offices, at least one for each of {institutions} institutions expected")]
    TooFew {
        /// How many offices are asked for.
        needed: usize,
        /// How many institutions must be there.
        institutions: usize,
    },
}

/// An office that cosigned, by the first of its witnesses that did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness.
    pub witness: KeyName,
    /// Its office.
    pub office: Box<str>,
    /// The office's institution.
    pub institution: Box<str>,
    /// When, by the witness's own clock.
    pub at: UnixSeconds,
}

/// Who cosigned a checkpoint, and whether that is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Offices, each once, in order of their times and then of their names.
    pub cosigned: Vec<Cosigned>,
    /// How many offices the rule asks for.
    pub offices_needed: usize,
    /// Institutions that the rule asks for and that have not cosigned.
    pub institutions_missing: BTreeSet<Box<str>>,
    /// When the last cosignature that was needed came; `None` while there are not enough.
    pub reached_at: Option<UnixSeconds>,
}

impl Quorum {
    /// Takes the witnesses, how many offices of theirs are enough, and the institutions that must be among them.
    ///
    /// # Errors
    /// [`QuorumError`] by what is wrong with the rule.
    pub fn new(
        members: Vec<Member>,
        offices_needed: usize,
        institutions_needed: BTreeSet<Box<str>>,
    ) -> Result<Self, QuorumError> {
        each_counts_once(&members)?;
        let institutions = institution_of_each_office(&members)?;
        let offices = institutions.len();
        if !(1..=offices).contains(&offices_needed) {
            return Err(QuorumError::Offices { needed: offices_needed, offices });
        }
        let there: BTreeSet<_> = institutions.into_values().collect();
        if let Some(institution) = institutions_needed.iter().find(|it| !there.contains(&***it)) {
            return Err(QuorumError::NoWitness { institution: institution.clone() });
        }
        let institutions = institutions_needed.len();
        if institutions > offices_needed {
            return Err(QuorumError::TooFew { needed: offices_needed, institutions });
        }
        Ok(Self { members, offices_needed, institutions_needed })
    }

    /// Gives the witnesses.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Gives how many offices are enough.
    pub fn offices_needed(&self) -> usize {
        self.offices_needed
    }

    /// Gives the institutions that must be among them.
    pub fn institutions_needed(&self) -> &BTreeSet<Box<str>> {
        &self.institutions_needed
    }

    /// Says who cosigned a checkpoint, by its note's lines, and whether that is enough. Lines of others mean nothing.
    ///
    /// # Errors
    /// [`LineError`] where a line by a witness's key does not hold: the note was altered.
    pub fn tally(&self, signed: &SignedCheckpoint) -> Result<Tally, LineError> {
        let mut first: BTreeMap<&str, Cosigned> = BTreeMap::new();
        for Member { witness, office, institution } in &self.members {
            let Some(at) = witness.cosigned(signed.checkpoint(), signed.note())? else { continue };
            if first.get(&**office).is_some_and(|it| it.at <= at) {
                continue;
            }
            let (witness, office_name) = (witness.name().clone(), office.clone());
            let it = Cosigned { witness, office: office_name, institution: institution.clone(), at };
            first.insert(office, it);
        }
        let mut cosigned: Vec<_> = first.into_values().collect();
        cosigned.sort_by(|a, b| (a.at, &a.office).cmp(&(b.at, &b.office)));
        let mut institutions_missing = self.institutions_needed.clone();
        let mut reached_at = None;
        for (offices, it) in (1..).zip(&cosigned) {
            institutions_missing.remove(&it.institution);
            if reached_at.is_none() && offices >= self.offices_needed && institutions_missing.is_empty() {
                reached_at = Some(it.at);
            }
        }
        Ok(Tally { cosigned, offices_needed: self.offices_needed, institutions_missing, reached_at })
    }
}

impl Tally {
    /// Says whether enough have cosigned.
    pub fn is_enough(&self) -> bool {
        self.reached_at.is_some()
    }
}

/// No two witnesses have a name or one of their keys in common: else one would count for two offices.
fn each_counts_once(members: &[Member]) -> Result<(), QuorumError> {
    let mut names = BTreeSet::new();
    let mut keys: BTreeMap<&[u8], &KeyName> = BTreeMap::new();
    for Member { witness, .. } in members {
        let name = witness.name();
        if !names.insert(name) {
            return Err(QuorumError::Name { name: name.clone() });
        }
        for key in witness.keys() {
            if let Some(other) = keys.insert(key.key().as_bytes(), name) {
                return Err(QuorumError::Key { one: other.clone(), other: name.clone() });
            }
        }
    }
    Ok(())
}

fn institution_of_each_office(members: &[Member]) -> Result<BTreeMap<&str, &str>, QuorumError> {
    let mut institutions: BTreeMap<&str, &str> = BTreeMap::new();
    for Member { office, institution, .. } in members {
        let one = *institutions.entry(office).or_insert(institution);
        if one != &**institution {
            let other = institution.clone();
            return Err(QuorumError::TwoInstitutions { office: office.clone(), one: one.into(), other });
        }
    }
    Ok(institutions)
}
