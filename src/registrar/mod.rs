//! The registrar: writes and signs amendments of the directory, and signs new keys of desks, away from the hub.
//!
//! Owns its home. Never goes online, signs nothing that does not follow from the directory that it knows, and believes
//! of that directory only what follows from its founding. It follows the amendments; of rotations, which offices make among
//! themselves and the hub, it need not know, and no amendment depends on them.
//!
//! ```text
//! public.toml    name, institution and public key: goes into the founding
//! key            the key, wrapped by a passphrase
//! trust.toml     the founding that it trusts; there once it has taken it in
//! directory      the entries that it knows
//! signed         what it has signed, a line each: an amendment's number and digest
//! ```

pub mod founding;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::disk::Disk;
use crate::model::amendment::{DirectoryEntry, ENTRY_BYTES_MAX, Rotation, SignedEntry};
use crate::model::fact::Fact;
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::model::policy::Policy;
use crate::model::refusal::Refusal;
use crate::seal::key_file::{KeyFile, KeyFileError, SecretKey};
use crate::seal::{SigningKey, VerifyingKey, key_file};
use crate::wire::amendment;
use crate::wire::key_request::{self, KEY_REQUEST_BYTES_MAX, KeyRequestError};
use crate::wire::trust::{TRUST_BYTES_MAX, TRUST_FILE, Trust, TrustError};

const PUBLIC: &str = "public.toml";
const KEY: &str = "key";
const DIRECTORY: &str = "directory";
const SIGNED: &str = "signed";
/// Bytes of what it has signed at most: some hundred thousand lines.
const SIGNED_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of the directory at most: some hundred amendments of the largest.
const DIRECTORY_BYTES_MAX: u64 = 256 * ENTRY_BYTES_MAX as u64;

/// A registrar's home.
pub struct Registrar {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    name: Name,
    institution: Name,
    /// The founding that it trusts, once there is one.
    trust: Option<Trust>,
    policy: Policy,
}

/// Whether it can be told from what a registrar knows that the right one asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// All signatures so far are of keys that it knows.
    Known,
    /// The desk has had other keys since: only its people can say whether they ask, and the hub whether it was their key.
    Unknown,
}

/// Why a registrar cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum RegistrarError {
    /// The home is none.
    #[error("{} is not a registrar's home: it holds no {PUBLIC}. `resguardo registrar init` makes one", .0.display())]
    Missing(PathBuf),
    /// The home is one already.
    #[error("{} is a registrar's home already: use it, or name another folder", .0.display())]
    There(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// Its own public file is not right.
    #[error(transparent)]
    Public(#[from] KeyRequestError),
    /// Its own trust file is not right.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Its key cannot be used.
    #[error("the key: {0}")]
    Key(#[from] KeyFileError),
    /// It cannot tell any more what it trusts.
    #[error("{} is gone: put it back from a copy, for without it this home would begin another directory", .0.display())]
    Untrusted(PathBuf),
    /// Somebody signs who is no registrar of this directory.
    #[error("{0} is no registrar of this directory, or not with this key: nothing was signed")]
    Stranger(Name),
    /// What was written cannot be read.
    #[error("what was asked for cannot stand in an amendment: {0}")]
    Form(Refusal),
    /// An amendment does not follow from what it knows.
    #[error("{0}")]
    Refused(Refusal),
    /// No registrar signs it.
    #[error("{0}")]
    Foreign(&'static str),
    /// Facts do not follow from the directory that it knows.
    #[error(
        "{0}; this home knows {1} amendments of the directory: `resguardo registrar update` takes in what came later"
    )]
    Facts(String, u64),
}

impl Registrar {
    /// Makes a registrar's home around a new key; `file` is the text of its key file.
    ///
    /// # Errors
    /// [`RegistrarError::There`], [`RegistrarError::Disk`].
    pub fn found(
        disk: Arc<dyn Disk>,
        dir: &Path,
        (name, institution): (&Name, &Name),
        (key, file): (&VerifyingKey, &str),
    ) -> Result<Self, RegistrarError> {
        disk.create_dir_all(dir).map_err(at(dir))?;
        let path = dir.join(PUBLIC);
        if read(disk.as_ref(), &path, KEY_REQUEST_BYTES_MAX)?.is_some() {
            return Err(RegistrarError::There(dir.into()));
        }
        let public = key_request::registrar_text(name, institution, key);
        // The public file comes last: a home that has it is whole.
        for (path, text) in [(dir.join(KEY), file), (path, &public)] {
            disk.write_atomically(&path, text.as_bytes()).map_err(at(&path))?;
        }
        Self::open(disk, dir)
    }

    /// Opens a home.
    ///
    /// # Errors
    /// [`RegistrarError`], but for a key, which is not touched.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, RegistrarError> {
        let public = read(disk.as_ref(), &dir.join(PUBLIC), KEY_REQUEST_BYTES_MAX)?;
        let public = public.ok_or_else(|| RegistrarError::Missing(dir.into()))?;
        let fact = key_request::read_registrar(&String::from_utf8_lossy(&public))?;
        let Fact::Registrar { name, institution, .. } = fact else {
            unreachable!("a registrar's public file says nothing else")
        };
        let trust = read(disk.as_ref(), &dir.join(TRUST_FILE), TRUST_BYTES_MAX)?;
        let trust = trust.map(|text| Trust::parse(&String::from_utf8_lossy(&text))).transpose()?;
        let policy = match (trust, read(disk.as_ref(), &dir.join(DIRECTORY), DIRECTORY_BYTES_MAX)?) {
            (Some(trust), Some(directory)) => {
                amendment::read_directory(trust, &directory.into()).map_err(RegistrarError::Refused)?
            }
            // Before its founding; or after a crash while that was taken in: then it is held to that trust.
            (_, None) => Policy::default(),
            (None, Some(_)) => return Err(RegistrarError::Untrusted(dir.join(TRUST_FILE))),
        };
        Ok(Self { disk, dir: dir.into(), name, institution, trust, policy })
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its institution.
    pub fn institution(&self) -> &Name {
        &self.institution
    }

    /// The directory, as far as it knows it.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Where its public file is.
    pub fn public_path(&self) -> PathBuf {
        self.dir.join(PUBLIC)
    }

    /// Reads its key file.
    ///
    /// # Errors
    /// [`RegistrarError::Key`], [`RegistrarError::Disk`].
    pub fn key_file(&self) -> Result<KeyFile, RegistrarError> {
        let path = self.dir.join(KEY);
        let bytes = self.disk.read(&path, key_file::FILE_BYTES_MAX as u64).map_err(at(&path))?;
        Ok(KeyFile::parse(&bytes)?)
    }

    /// Writes what facts amend, signed with its key.
    ///
    /// # Errors
    /// [`RegistrarError::Facts`], [`RegistrarError::Stranger`], [`RegistrarError::Form`].
    pub fn draft(
        &self,
        facts: Vec<Fact>,
        made: UnixMicros,
        key: &SigningKey,
    ) -> Result<SignedEntry, RegistrarError> {
        let mut signed = amendment::unsigned(self.policy.next_amendment(facts, made));
        self.sign(&mut signed, key)?;
        // Whoever gets it reads it by these rules.
        amendment::read(&amendment::bytes(&signed)).map_err(RegistrarError::Form)
    }

    /// Tells whether another's entry follows from the directory that it knows, and whether it could be told who asks: not of
    /// new keys of a desk whose present ones this home has not heard of. The hub decides that again.
    ///
    /// # Errors
    /// [`RegistrarError::Facts`], [`RegistrarError::Refused`] for a signature that does not hold, [`RegistrarError::Foreign`].
    pub fn follows(&self, signed: &SignedEntry) -> Result<Asker, RegistrarError> {
        let first = self.policy.entries().is_empty();
        if let Some(trust) = self.trust.filter(|_| first) {
            trust.check(signed).map_err(RegistrarError::Refused)?;
        }
        let facts = |found| RegistrarError::Facts(found, self.policy.amendments().0);
        let amendment = match &signed.entry {
            DirectoryEntry::Amendment(amendment) => amendment,
            DirectoryEntry::Rotation(rotation) => {
                self.policy.check(signed.entry.facts()).map_err(facts)?;
                return self.asker(rotation, signed);
            }
        };
        let next = self.policy.next_amendment(Vec::new(), UnixMicros(0));
        if (amendment.number, amendment.previous) != (next.number, next.previous) {
            return Err(facts(format!("this is amendment {} of a directory", amendment.number)));
        }
        self.policy.check(&amendment.facts).map_err(facts)?;
        self.policy.check_signatures(signed).map_err(RegistrarError::Refused)?;
        Ok(Asker::Known)
    }

    fn asker(&self, rotation: &Rotation, signed: &SignedEntry) -> Result<Asker, RegistrarError> {
        let Fact::Desk { desk, .. } = &rotation.fact else {
            return Err(RegistrarError::Foreign(
                "registrars sign new keys of a desk; an office's are its desks' to sign",
            ));
        };
        if !self.policy.desks().contains_key(desk) {
            let found = format!("{desk} is not in the directory, and has no keys to be replaced");
            return Err(RegistrarError::Facts(found, self.policy.amendments().0));
        }
        if !signed.signatures.iter().any(|(id, _)| id.0 == rotation.replaces) {
            return Err(RegistrarError::Foreign(
                "the desk has not signed it with its present key: where that is lost, `registrar enrol` replaces it",
            ));
        }
        if self.policy.attended_id(desk).is_none_or(|present| present.0 != rotation.replaces) {
            return Ok(Asker::Unknown);
        }
        self.policy.check_signatures(signed).map_err(RegistrarError::Refused)?;
        Ok(Asker::Known)
    }

    /// Signs an entry, if it follows and this is one of its registrars.
    ///
    /// # Errors
    /// As [`Registrar::follows`]; [`RegistrarError::Stranger`].
    pub fn sign(&self, signed: &mut SignedEntry, key: &SigningKey) -> Result<(), RegistrarError> {
        let _ = self.follows(signed)?;
        let own = key.verifying_key();
        let named = |fact: &Fact| matches!(fact, Fact::Registrar { name, key, .. } if *name == self.name && *key == own);
        let known = self.policy.registrars().get(&self.name).is_some_and(|it| it.key == own);
        let founds = self.policy.entries().is_empty() && signed.entry.facts().iter().any(named);
        if !known && !founds {
            return Err(RegistrarError::Stranger(self.name.clone()));
        }
        amendment::sign(signed, key);
        Ok(())
    }

    /// Keeps which amendment was signed under a number; tells whether another was before.
    ///
    /// # Errors
    /// [`RegistrarError::Disk`]
    pub fn remember(&self, signed: &SignedEntry) -> Result<bool, RegistrarError> {
        // Of rotations that replace one key the first counts, and no harm is in another.
        let DirectoryEntry::Amendment(amendment) = &signed.entry else { return Ok(false) };
        let path = self.dir.join(SIGNED);
        let kept = read(self.disk.as_ref(), &path, SIGNED_BYTES_MAX)?.unwrap_or_default();
        let mut kept = String::from_utf8_lossy(&kept).into_owned();
        let number = format!("{} ", amendment.number);
        let line = format!("{number}{}", Trust::of(signed).to_string().replace(' ', ""));
        let another = kept.lines().any(|it| it.starts_with(&number) && it != line);
        if !kept.lines().any(|it| it == line) {
            kept.push_str(&line);
            kept.push('\n');
            self.disk.write_atomically(&path, kept.as_bytes()).map_err(at(&path))?;
        }
        Ok(another)
    }

    /// Tells whether it has taken in this entry already.
    pub fn knows(&self, signed: &SignedEntry) -> bool {
        self.policy.holds(signed)
    }

    /// Takes in an entry that has all its signatures. The first is the founding, which the home trusts from then on: the
    /// caller has asked.
    ///
    /// # Errors
    /// [`RegistrarError::Refused`], [`RegistrarError::Disk`].
    pub fn take_in(&mut self, signed: SignedEntry) -> Result<(), RegistrarError> {
        let trust = self.trust.unwrap_or_else(|| Trust::of(&signed));
        if self.policy.entries().is_empty() {
            trust.check(&signed).map_err(RegistrarError::Refused)?;
        }
        self.policy.amend(&Arc::new(signed)).map_err(RegistrarError::Refused)?;
        // The trust first: a crash between the two leaves a home that takes in this founding again, and no other.
        if self.trust.is_none() {
            let path = self.dir.join(TRUST_FILE);
            self.disk.write_atomically(&path, trust.to_text().as_bytes()).map_err(at(&path))?;
            self.trust = Some(trust);
        }
        let path = self.dir.join(DIRECTORY);
        let directory = amendment::directory_bytes(&self.policy);
        self.disk.write_atomically(&path, &directory).map_err(at(&path))
    }
}

/// The signing key of a key file that nothing wraps; `None` for one that a passphrase wraps.
pub fn plain_key(file: KeyFile) -> Option<SigningKey> {
    match file {
        KeyFile::Plain(_, SecretKey::Signing(key)) => Some(key),
        _ => None,
    }
}

fn read(disk: &dyn Disk, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, RegistrarError> {
    match disk.read(path, bytes_max) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some).map_err(at(path)),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> RegistrarError {
    let path = path.to_owned();
    move |source| RegistrarError::Disk { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::disk::MemoryDisk;
    use crate::model::policy::tests::registrars;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    /// The home of registrar `a`, whose key is the first of the tests' registrars.
    fn home(disk: &MemoryDisk) -> Result<Registrar, RegistrarError> {
        Registrar::open(Arc::new(disk.clone()), Path::new("/a"))
    }

    fn signed(facts: Vec<Fact>) -> SignedEntry {
        amendment::tests::signed(&Policy::default(), facts, &registrars())
    }

    #[test]
    fn home_that_was_cut_off_while_it_took_in_its_founding_takes_in_that_one_and_no_other() {
        let disk = MemoryDisk::new();
        let [own, _] = registrars();
        let (disk_here, own) = (Arc::new(disk.clone()), own.verifying_key());
        let file = "the key is not looked at";
        let made = Registrar::found(disk_here, Path::new("/a"), (&name("a"), &name("a")), (&own, file));
        let founding = signed(amendment::tests::founding());
        made.unwrap().take_in(founding.clone()).unwrap();
        assert_eq!(home(&disk).unwrap().policy().version().0, 1);
        // As a crash between its two files leaves it.
        disk.remove(Path::new("/a/directory")).unwrap();
        let mut cut = home(&disk).unwrap();
        let mut other = amendment::tests::founding();
        other.push(Fact::Retention { days: 7 });
        let other = signed(other);
        assert!(matches!(cut.follows(&other), Err(RegistrarError::Refused(_))));
        assert!(matches!(cut.take_in(other), Err(RegistrarError::Refused(_))));
        cut.take_in(founding).unwrap();
        assert_eq!(home(&disk).unwrap().policy().version().0, 1);
        disk.remove(Path::new("/a/trust.toml")).unwrap();
        assert!(matches!(home(&disk), Err(RegistrarError::Untrusted(_))), "it begins no other directory");
    }
}
