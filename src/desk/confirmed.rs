//! Which offices' keys somebody here has compared over another line.
//!
//! Owns `confirmed.toml` in the home: the fingerprint of each office as it was compared. A change of an office's signing keys
//! changes its fingerprint, so what was confirmed before no longer counts. Never confirms another's by itself.
//! At a crash the file is whole, old or new.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::home::{Home, HomeError};
use super::keys::{self, KeysError};
use crate::host::disk::Disk;
use crate::model::identity::Name;
use crate::model::policy::Policy;
use crate::seal::{KeyId, OfficeFingerprint};

const FILE: &str = "confirmed.toml";
/// Under which the keys of the home's own office stand; no office has such a name.
const OWN: &str = "-own";
/// Largest such file, in bytes: some thousand offices.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What was confirmed in a home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    offices: BTreeMap<String, String>,
}

/// How the keys of one's own office stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// As they were confirmed, or as this desk alone made them.
    Known,
    /// Changed, or never looked at: nobody here has said that the office asked for it.
    Unknown(OfficeFingerprint),
}

/// Why it is not known what was confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmedError {
    /// The file cannot be read or written.
    #[error("{FILE}: {0}")]
    Disk(#[from] io::Error),
    /// The file is not what it should be.
    #[error("{FILE}: {0}; put it right, or remove it and confirm the offices again")]
    Form(String),
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The home's own request cannot be read.
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// The fingerprint of an office: of all keys that its desks sign with and that count; `None`: it has none.
///
/// What is sealed to is not in it: that key changes each month, and the desks vouch for it.
pub fn fingerprint(policy: &Policy, office: &Name) -> Option<OfficeFingerprint> {
    let ids = signing_ids(policy, office);
    (!ids.is_empty()).then(|| OfficeFingerprint::of(&ids, None))
}

fn signing_ids(policy: &Policy, office: &Name) -> Vec<KeyId> {
    let counts = policy
        .desks()
        .iter()
        .filter(|(desk, _)| desk.office == *office && !policy.revoked().contains_key(desk));
    counts.flat_map(|(_, keys)| [keys.attended.id(), keys.unattended.id()]).collect()
}

impl Confirmed {
    /// Reads what was confirmed in a home.
    ///
    /// # Errors
    /// [`ConfirmedError::Disk`], [`ConfirmedError::Form`].
    pub fn read(home: &Home) -> Result<Self, ConfirmedError> {
        let text = match home.disk().read(&home.dir().join(FILE), FILE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read?,
        };
        let offices = toml::from_str(&String::from_utf8_lossy(&text));
        Ok(Self { offices: offices.map_err(|error| ConfirmedError::Form(error.message().to_owned()))? })
    }

    /// Tells whether an office's keys are those that were confirmed.
    pub fn holds(&self, policy: &Policy, office: &Name) -> bool {
        let found = fingerprint(policy, office).map(|it| it.to_string());
        found.is_some() && self.offices.get(office.as_str()) == found.as_ref()
    }

    /// Which of some offices have keys that nobody here has confirmed.
    pub fn lacking<'a>(&self, policy: &Policy, offices: &'a [Name]) -> Vec<&'a Name> {
        offices.iter().filter(|office| !self.holds(policy, office)).collect()
    }

    /// Tells how the keys of the home's own office stand: those that its desks sign with, and the one that is sealed to.
    ///
    /// # Errors
    /// [`ConfirmedError::Home`], [`ConfirmedError::Keys`].
    pub fn own(&self, home: &Home, policy: &Policy) -> Result<Own, ConfirmedError> {
        let desk = home.desk()?;
        let Some(found) = whole(policy, &desk.office) else { return Ok(Own::Known) };
        let made_here = keys::request(home.disk().as_ref(), home.dir())?;
        let of_office: BTreeSet<_> = policy
            .desks()
            .keys()
            .filter(|it| it.office == desk.office && !policy.revoked().contains_key(*it))
            .collect();
        let alone = of_office.len() == 1
            && made_here.is_some_and(|made| {
                policy.desks().get(desk) == Some(&made.keys)
                    && policy.office_key(&desk.office) == made.recipient.as_ref()
            });
        let confirmed = self.offices.get(OWN) == Some(&found.to_string());
        Ok(if alone || confirmed { Own::Known } else { Own::Unknown(found) })
    }
}

/// The fingerprint of all keys of an office, also of the one that is sealed to.
fn whole(policy: &Policy, office: &Name) -> Option<OfficeFingerprint> {
    let ids = signing_ids(policy, office);
    (!ids.is_empty()).then(|| OfficeFingerprint::of(&ids, policy.office_key(office)))
}

/// Keeps that the keys of the home's own office are those that it asked for.
///
/// # Errors
/// [`ConfirmedError`]
pub async fn confirm_own(home: &Home, policy: &Policy) -> Result<(), ConfirmedError> {
    let Some(found) = whole(policy, &home.desk()?.office) else { return Ok(()) };
    let _held = home.lock().await?;
    let mut confirmed = Confirmed::read(home).unwrap_or_default();
    confirmed.offices.insert(OWN.to_owned(), found.to_string());
    write(home.disk().as_ref(), home.dir(), &confirmed)
}

/// Keeps that an office's fingerprint was compared.
///
/// # Errors
/// [`ConfirmedError`]
pub async fn confirm(home: &Home, office: &Name, compared: OfficeFingerprint) -> Result<(), ConfirmedError> {
    let _held = home.lock().await?;
    // One that cannot be read confirmed nothing any more.
    let mut confirmed = Confirmed::read(home).unwrap_or_default();
    confirmed.offices.insert(office.to_string(), compared.to_string());
    write(home.disk().as_ref(), home.dir(), &confirmed)
}

/// Writes what counts as confirmed in a new home of a development set: all offices of a directory.
///
/// # Errors
/// [`ConfirmedError::Disk`]
pub fn confirm_all(disk: &dyn Disk, dir: &Path, policy: &Policy) -> Result<(), ConfirmedError> {
    let all = policy
        .offices()
        .filter_map(|(_, office, _)| Some((office.to_string(), fingerprint(policy, office)?.to_string())));
    write(disk, dir, &Confirmed { offices: all.collect() })
}

fn write(disk: &dyn Disk, dir: &Path, confirmed: &Confirmed) -> Result<(), ConfirmedError> {
    let text = toml::to_string(&confirmed.offices).expect("strings can be written");
    Ok(disk.write_atomically(&dir.join(FILE), text.as_bytes())?)
}
