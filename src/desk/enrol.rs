//! Enrolment: a key made in this home, a request for it, and the certificate that comes back.
//!
//! Owns the way of a new key into the home: made, kept beside the old one, put in its place with its certificate.
//! Never sends a key anywhere; never trusts an authority that a person has not compared.
//! At a crash while a certificate is installed the new key is still kept: installing it again finishes the work.
//!
//! ```text
//! tls/new-key.pem    a key whose certificate has not come yet
//! tls/request.pem    the request for it
//! tls/renewal        the same request, signed with the present key: a file for `ca renew`
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::home::{Home, HomeError, Settings, TlsFiles};
use crate::host::clock::Clock;
use crate::host::disk::Disk;
use crate::model::identity::Identity;
use crate::wire::certs::CertsError;
use crate::wire::chain::Chain;
use crate::wire::fingerprint::Fingerprint;
use crate::wire::identity::Certificate;
use crate::wire::pem_file::PemFile;
use crate::wire::renewal::{self, Renewal, RenewalError};
use crate::wire::request::{self, Request, RequestError};
use crate::wire::tls::{Credentials, TlsError, first_certificate};

/// Largest file of PEM here, in bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;
const NEW_KEY: &str = "tls/new-key.pem";
const REQUEST: &str = "tls/request.pem";
const RENEWAL: &str = "tls/renewal";

/// A request that waits for its certificate.
#[derive(Debug)]
pub struct Pending {
    /// The file to carry to the authority.
    pub request: PathBuf,
    /// The fingerprint of its key.
    pub key: Fingerprint,
    /// Whether it was there before.
    pub repeated: bool,
}

/// A certificate that came back, checked but for what only a person can compare.
pub struct Offer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    identity: Identity,
    chain: Chain,
    key_pem: String,
    home: Option<Home>,
    trusted: bool,
}

/// Why a home cannot be enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The home's settings cannot be read.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A file of the home or the bundle is not right.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The request is not right.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// No key could be made.
    #[error(transparent)]
    Certs(#[from] CertsError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The request for the next certificate cannot be made.
    #[error(transparent)]
    Renewal(#[from] RenewalError),
    /// Nobody asked for a certificate here.
    #[error("{} holds no request: `resguardo office request` makes one, and this certificate is for another home", .0.display())]
    NotAsked(PathBuf),
    /// The certificate is for another key.
    #[error(
        "the certificate is for another key (its fingerprint is {found}) than the one that waits here ({expected}): \
         it belongs to another home, or to an earlier request"
    )]
    KeyForeign {
        /// The key that it is for, in groups.
        found: String,
        /// The key that waits, in groups.
        expected: String,
    },
    /// The certificate names nobody.
    #[error("{0}")]
    Nameless(String),
    /// The home is somebody else's.
    #[error("this is the home of {home}, and the certificate is for {found}: accept it in a home of its own")]
    Other {
        /// Whose home it is.
        home: Identity,
        /// Whom the certificate names.
        found: Identity,
    },
    /// It is not known where the hub is.
    #[error("where is the hub? Name its address with --hub HOST:PORT")]
    NoHub,
    /// The address is none.
    #[error("{0:?} is not an address: host:port expected, e.g. hub.example.org:7443")]
    HubAddress(String),
}

/// Makes a key and a request for it; gives those that wait already, unless new ones are asked for.
///
/// # Errors
/// [`EnrolError::Certs`], [`EnrolError::Request`], [`EnrolError::Disk`].
pub fn request(disk: &dyn Disk, dir: &Path, anew: bool) -> Result<Pending, EnrolError> {
    let (request, key) = (dir.join(REQUEST), dir.join(NEW_KEY));
    if !anew && let (Some(asked), Some(waiting)) = (text(disk, &request)?, text(disk, &key)?) {
        let fingerprint = Request::read(&pem_file(&request, &asked))?.fingerprint();
        // A crash between the two files leaves a request for a key that is gone: then both are made anew.
        if request::fingerprint_of_key(&pem_file(&key, &waiting))? == fingerprint {
            return Ok(Pending { request, key: fingerprint, repeated: true });
        }
    }
    let made = request::make()?;
    let folder = dir.join("tls");
    disk.create_dir_all(&folder).map_err(at(&folder))?;
    write(disk, &key, &made.key_pem)?;
    write(disk, &request, &made.request_pem)?;
    let fingerprint = Request::read(&pem_file(&request, &made.request_pem))?.fingerprint();
    Ok(Pending { request, key: fingerprint, repeated: false })
}

/// Makes the request for the certificate that follows the present one, exact bytes; gives the one that waits already, if
/// it follows that certificate.
///
/// # Errors
/// As [`request()`]; [`EnrolError::Tls`], [`EnrolError::Renewal`] for a present certificate or key that cannot ask.
pub fn renewal(disk: &dyn Disk, dir: &Path, present: &Credentials) -> Result<Bytes, EnrolError> {
    let own = present.own()?;
    let mut pending = request(disk, dir, false)?;
    if pending.key == own.key {
        // Left by a crash after its certificate was installed.
        pending = request(disk, dir, true)?;
    }
    let path = dir.join(RENEWAL);
    let waiting = match disk.read(&path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => renewal::read_file(RENEWAL, &read.map_err(at(&path))?)
            .ok()
            .and_then(|(found, _)| found.into_iter().next()),
    };
    if let Some(waiting) = waiting
        && let Ok(read) = Renewal::read(&waiting)
        && (read.certificate.fingerprint, read.request.fingerprint()) == (own.fingerprint, pending.key)
    {
        return Ok(waiting);
    }
    let asked = text(disk, &pending.request)?.unwrap_or_default();
    let made = renewal::make(&asked, &present.certificate, &present.key)?;
    let file = renewal::file(vec![made.clone()], Vec::new());
    disk.write_atomically(&path, &file).map_err(at(&path))?;
    Ok(made)
}

/// Where [`renewal()`] leaves its file.
pub fn renewal_path(dir: &Path) -> PathBuf {
    dir.join(RENEWAL)
}

/// Lets go of the request that waits, and of its key.
///
/// # Errors
/// [`EnrolError::Disk`].
pub fn forget(disk: &dyn Disk, dir: &Path) -> Result<(), EnrolError> {
    // The key goes last: while it is there its certificate can be installed.
    for name in [RENEWAL, REQUEST, NEW_KEY] {
        let path = dir.join(name);
        match disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path)(error)),
            _ => {}
        }
    }
    let folder = dir.join("tls");
    disk.sync_dir(&folder).map_err(at(&folder))
}

impl Offer {
    /// Reads a bundle for the key that waits in a home.
    ///
    /// # Errors
    /// Each of [`EnrolError`] but the last two.
    pub fn read(
        disk: Arc<dyn Disk>,
        dir: &Path,
        bundle: &PemFile,
        clock: &dyn Clock,
    ) -> Result<Self, EnrolError> {
        let key = dir.join(NEW_KEY);
        let Some(key_pem) = text(disk.as_ref(), &key)? else { return Err(EnrolError::NotAsked(dir.into())) };
        let expected = request::fingerprint_of_key(&pem_file(&key, &key_pem))?;
        let chain = Chain::read(bundle, clock)?;
        let certificate = &chain.certificate;
        if certificate.key != expected {
            let (found, expected) = (certificate.key.grouped(), expected.grouped());
            return Err(EnrolError::KeyForeign { found, expected });
        }
        let identity = certificate.identity.clone();
        let identity = identity.map_err(|refusal| EnrolError::Nameless(refusal.message))?;
        let home = match Home::open(Arc::clone(&disk), dir) {
            Err(HomeError::Missing { .. }) => None,
            home => Some(home?),
        };
        if let Some(home) = whose(disk.as_ref(), dir, home.as_ref())?
            && home != identity
        {
            return Err(EnrolError::Other { home, found: identity });
        }
        let authorities = dir.join("tls/ca.pem");
        let trusted = match text(disk.as_ref(), &authorities)? {
            Some(known) => chain.is_of(&pem_file(&authorities, &known))?,
            None => false,
        };
        Ok(Self { disk, dir: dir.into(), identity, chain, key_pem, home, trusted })
    }

    /// Whom the certificate names.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the certificate says.
    pub fn certificate(&self) -> &Certificate {
        &self.chain.certificate
    }

    /// The fingerprint of the authority that signed it.
    pub fn authority(&self) -> Fingerprint {
        self.chain.authority
    }

    /// Whether the home trusts that authority already.
    pub fn is_trusted(&self) -> bool {
        self.trusted
    }

    /// Tells whether it can be installed: whether it is known where the hub is.
    ///
    /// # Errors
    /// [`EnrolError::NoHub`], [`EnrolError::HubAddress`].
    pub fn check(&self, hub: Option<&str>, server_name: Option<&str>) -> Result<(), EnrolError> {
        if matches!(self.identity, Identity::Hub(_)) {
            Ok(())
        } else {
            self.settings(hub, server_name).map(|_| ())
        }
    }

    /// Puts key, certificate and authority in their places. Only after a person has compared the authority.
    ///
    /// # Errors
    /// [`EnrolError::NoHub`], [`EnrolError::HubAddress`], [`EnrolError::Home`], [`EnrolError::Disk`].
    pub fn install(self, hub: Option<&str>, server_name: Option<&str>) -> Result<(), EnrolError> {
        let files = TlsFiles { cert: &self.chain.own_pem, key: &self.key_pem, ca: &self.chain.authority_pem };
        if matches!(self.identity, Identity::Hub(_)) {
            Home::write_tls(self.disk.as_ref(), &self.dir, files)?;
        } else {
            let settings = self.settings(hub, server_name)?;
            Home::create(Arc::clone(&self.disk), &self.dir, settings, files)?;
        }
        forget(self.disk.as_ref(), &self.dir)
    }

    fn settings(&self, hub: Option<&str>, server_name: Option<&str>) -> Result<Settings, EnrolError> {
        let before = self.home.as_ref().map(Home::settings);
        let hub = hub.or(before.map(|before| before.hub.as_str())).ok_or(EnrolError::NoHub)?;
        let host = Settings::host(hub).ok_or_else(|| EnrolError::HubAddress(hub.into()))?;
        let server_name = server_name.or(before.map(|before| before.server_name.as_str())).unwrap_or(host);
        Ok(Settings {
            identity: self.identity.clone(),
            hub: hub.to_owned(),
            server_name: server_name.to_owned(),
        })
    }
}

/// Whose home it is already: by its settings, or where it has none, as a hub's, by its certificate.
fn whose(disk: &dyn Disk, dir: &Path, home: Option<&Home>) -> Result<Option<Identity>, EnrolError> {
    if let Some(home) = home {
        return Ok(Some(home.settings().identity.clone()));
    }
    for path in [dir.join("tls/key.pem"), dir.join("tls/cert.pem")] {
        let file = text(disk, &path)?.map(|text| pem_file(&path, &text));
        if let Some(file) = file.filter(PemFile::holds_certificate) {
            return Ok(first_certificate(&file)?.identity.ok());
        }
    }
    Ok(None)
}

fn text(disk: &dyn Disk, path: &Path) -> Result<Option<String>, EnrolError> {
    match disk.read(path, FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => Ok(Some(String::from_utf8_lossy(&read.map_err(at(path))?).into_owned())),
    }
}

fn pem_file(path: &Path, text: &str) -> PemFile {
    PemFile::new(path.display().to_string(), text)
}

fn write(disk: &dyn Disk, path: &Path, text: &str) -> Result<(), EnrolError> {
    disk.write_atomically(path, text.as_bytes()).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> EnrolError {
    let path = path.to_owned();
    move |source| EnrolError::Disk { path, source }
}
