//! The authority: signs certificates for keys that others made, away from the hub, and takes them back.
//!
//! Owns its home. Never goes online, never makes another's key, and takes nothing from a request but the key: whom a
//! certificate names is the word of the person who signs. One process at a time uses a home.
//! At a crash every file is whole, old or new; see `register` for why a certificate that is about is always known.
//!
//! ```text
//! cert.pem    the authority's certificate: every home of the exchange has it
//! key.pem     its key
//! register    every certificate that was signed
//! crl.pem     the list of those that were taken back: goes to the hub
//! lock        held while a process uses the home
//! ```

mod register;
mod renew;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::register::Signed;
use self::register::{Register, counts};
pub use self::renew::RenewRefusal;
use crate::host::disk::{Disk, Lock, OpenMode};
use crate::host::random::Random;
use crate::model::id::UnixMicros;
use crate::model::identity::{Identity, Name};
use crate::wire::certs::{self, CertsError, Issued, Serial, Subject, Validity};
use crate::wire::fingerprint::Fingerprint;
use crate::wire::identity::Certificate;
use crate::wire::pem_file::PemFile;
use crate::wire::request::Request;
use crate::wire::tls::{self, TlsError};

/// How far back a validity begins, in microseconds: the clocks of offices differ.
const BEFORE_US: u64 = 3_600 * 1_000_000;
/// Largest file of the home but the register, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// An authority's open home.
pub struct Authority {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    issuer: Issued,
    certificate: Certificate,
    register: Register,
    _lock: Lock,
}

/// Why an authority cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The home is none.
    #[error("{} is not an authority's home: it holds no cert.pem. `resguardo ca init` makes one", .0.display())]
    Missing(PathBuf),
    /// The home is one already.
    #[error("{} is an authority's home already: use it, or name another folder", .0.display())]
    There(PathBuf),
    /// Another process uses it.
    #[error("{} is used by another process: wait until it has ended", .0.display())]
    Busy(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The register is damaged.
    #[error("{}, line {line}: {found}; put back the last good copy of the home before anything is signed", path.display())]
    Register {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        found: String,
    },
    /// The authority's own files are not right.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A certificate would outlive the authority.
    #[error(
        "the authority's own certificate ends on {ends}, before {days} days are over: sign for fewer days, or found a new authority"
    )]
    Outlives {
        /// The days asked for.
        days: u32,
        /// When the authority ends.
        ends: String,
    },
    /// The making failed.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// Nothing that counts fits what was named.
    #[error("no certificate that has not ended is known here for {0}")]
    Unknown(String),
}

/// A certificate as it leaves the authority.
pub struct Bundle {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The certificate and then the authority's own, PEM: what goes to whom it is for.
    pub pem: String,
    /// What the certificate says.
    pub certificate: Certificate,
    /// Other certificates of the same identity that still count, with other keys.
    pub others: Vec<Signed>,
}

/// Which certificates are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// All of an identity.
    Of(Identity),
    /// The one with this number.
    Serial(Serial),
}

impl Authority {
    /// Founds an authority in a folder.
    ///
    /// # Errors
    /// [`CaError::There`], [`CaError::Disk`], [`CaError::Certs`].
    pub fn found(disk: Arc<dyn Disk>, dir: &Path, name: &Name, validity: Validity) -> Result<Self, CaError> {
        disk.create_dir_all(dir).map_err(at(dir))?;
        let lock = lock(disk.as_ref(), dir)?;
        if disk.open(&dir.join("cert.pem"), OpenMode::Read).is_ok() {
            return Err(CaError::There(dir.into()));
        }
        let issued = certs::issue_ca(name, validity)?;
        // The certificate comes last: a home that has it is whole.
        for (file, text) in [("key.pem", &issued.key_pem), ("cert.pem", &issued.certificate_pem)] {
            let path = dir.join(file);
            disk.write_atomically(&path, text.as_bytes()).map_err(at(&path))?;
        }
        Self::with(disk, dir, issued, lock)
    }

    /// Opens an authority's home.
    ///
    /// # Errors
    /// [`CaError::Missing`], [`CaError::Busy`], [`CaError::Disk`], [`CaError::Register`], [`CaError::Tls`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, CaError> {
        let text = |file: &str| -> Result<String, CaError> {
            let path = dir.join(file);
            match disk.read(&path, FILE_BYTES_MAX) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(CaError::Missing(dir.into())),
                read => Ok(String::from_utf8_lossy(&read.map_err(at(&path))?).into_owned()),
            }
        };
        let issued = Issued { certificate_pem: text("cert.pem")?, key_pem: text("key.pem")? };
        let lock = lock(disk.as_ref(), dir)?;
        Self::with(disk, dir, issued, lock)
    }

    fn with(disk: Arc<dyn Disk>, dir: &Path, issuer: Issued, lock: Lock) -> Result<Self, CaError> {
        let file = PemFile::new(dir.join("cert.pem").display().to_string(), issuer.certificate_pem.as_str());
        let certificate = tls::first_certificate(&file)?;
        let register = Register::open(Arc::clone(&disk), &dir.join("register"))?;
        Ok(Self { disk, dir: dir.into(), issuer, certificate, register, _lock: lock })
    }

    /// The fingerprint of the authority's own certificate: what every office compares.
    pub fn fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint
    }

    /// The authority's own certificate, PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.issuer.certificate_pem
    }

    /// Every certificate that was signed, oldest first.
    pub fn signed(&self) -> &[Signed] {
        self.register.lines()
    }

    /// Signs a requested key for somebody, for so many days from now.
    ///
    /// # Errors
    /// [`CaError::Outlives`], [`CaError::Certs`], [`CaError::Disk`]: nothing was signed that the register does not know.
    pub fn sign(
        &mut self,
        request: &Request,
        subject: &Subject,
        days: u32,
        now: UnixMicros,
        random: &dyn Random,
    ) -> Result<Bundle, CaError> {
        let validity = self.validity(days, now)?;
        let identity = subject.identity();
        let serial = Serial::draw(random);
        let pem = certs::sign(&self.issuer, request, subject, validity, &serial)?;
        let key = request.fingerprint();
        let others = self.register.lines().iter().filter(|one| counts(one, now) && one.identity == identity);
        let others = others.filter(|one| one.key != key).cloned().collect();
        let certificate = tls::first_certificate(&PemFile::new("the new certificate", pem.as_str()))?;
        let not_after = certificate.not_after;
        self.register.add(Signed { serial, identity, key, not_after, revoked: None })?;
        let both = format!("{pem}{}", self.issuer.certificate_pem);
        Ok(Bundle { certificate_pem: pem, pem: both, certificate, others })
    }

    /// Takes certificates back, and writes the list for the hub, to be renewed within so many days; gives those that were
    /// not taken back before, and the list's place. Said again after a crash, it writes the list that was missing.
    ///
    /// # Errors
    /// [`CaError::Unknown`], [`CaError::Certs`], [`CaError::Disk`].
    pub fn revoke(
        &mut self,
        which: &Which,
        reason: &str,
        days: u32,
        now: UnixMicros,
    ) -> Result<(Vec<Signed>, PathBuf), CaError> {
        let meant = |signed: &Signed| match which {
            Which::Of(identity) => signed.identity == *identity,
            Which::Serial(serial) => signed.serial == *serial,
        };
        let taken = self.register.revoke(now, reason, meant)?;
        if !self.register.lines().iter().any(|signed| meant(signed) && signed.not_after >= now) {
            return Err(CaError::Unknown(match which {
                Which::Of(identity) => identity.to_string(),
                Which::Serial(serial) => serial.to_string(),
            }));
        }
        let list = self.write_list(days, now)?;
        Ok((taken, list))
    }

    /// Writes the list of what was taken back, to be renewed within so many days; gives its place.
    ///
    /// # Errors
    /// [`CaError::Certs`], [`CaError::Disk`].
    pub fn write_list(&self, days: u32, now: UnixMicros) -> Result<PathBuf, CaError> {
        let next = UnixMicros(now.0 + days_us(days));
        let pem = certs::sign_revocations(&self.issuer, &self.register.revocations(now), now, next)?;
        let path = self.dir.join("crl.pem");
        self.disk.write_atomically(&path, pem.as_bytes()).map_err(at(&path))?;
        Ok(path)
    }

    fn validity(&self, days: u32, now: UnixMicros) -> Result<Validity, CaError> {
        let not_before = UnixMicros(now.0.saturating_sub(BEFORE_US));
        let not_after = UnixMicros(now.0 + days_us(days));
        if not_after > self.certificate.not_after {
            return Err(CaError::Outlives { days, ends: tls::time(self.certificate.not_after) });
        }
        Ok(Validity { not_before, not_after })
    }
}

/// Days in microseconds.
pub fn days_us(days: u32) -> u64 {
    u64::from(days) * 86_400_000_000
}

fn lock(disk: &dyn Disk, dir: &Path) -> Result<Lock, CaError> {
    let path = dir.join("lock");
    disk.lock(&path).map_err(at(&path))?.ok_or_else(|| CaError::Busy(dir.into()))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CaError {
    let path = path.to_owned();
    move |source| CaError::Disk { path, source }
}
