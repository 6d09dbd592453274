//! What the hub proves itself with and checks others by: certificate, key, authorities, revocation list.
//!
//! Owns reading them at a start and taking them up again when they have changed, for handshakes from then on. Never
//! gives up what is in force for files that are not right: those are told, and what was read last goes on.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::watch;

use super::home::Home;
use crate::host::clock::Clock;
use crate::model::id::UnixMicros;
use crate::wire::certs::Serial;
use crate::wire::identity::Certificate;
use crate::wire::pem_file::{PemFile, PemFileError};
use crate::wire::revocations::{Revocations, RevocationsError};
use crate::wire::tls::{self, Credentials, ServerTls, TlsError};

/// Why they cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PapersError {
    /// A certificate, a key or the authorities.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The revocation list.
    #[error(transparent)]
    Revocations(#[from] RevocationsError),
}

/// What is in force.
#[derive(Clone)]
pub(super) struct InForce {
    /// The hub's own certificate.
    pub own: Certificate,
    /// The revocation list, where there is one.
    pub revocations: Option<Revocations>,
}

/// The hub's papers.
pub(super) struct Papers {
    home: Home,
    clock: Arc<dyn Clock>,
    tls: watch::Sender<ServerTls>,
    in_force: RwLock<InForce>,
    seen: Mutex<Files>,
}

/// The files, as they were read.
#[derive(Clone)]
struct Files {
    credentials: Credentials,
    revocations: Option<PemFile>,
}

impl Papers {
    /// Reads a home's.
    ///
    /// # Errors
    /// [`PapersError`].
    pub(super) fn read(home: &Home, clock: Arc<dyn Clock>) -> Result<Self, PapersError> {
        let files = Files::read(home)?;
        let (tls, in_force) = files.check(&clock)?;
        let (tls, _) = watch::channel(tls);
        Ok(Self { home: home.clone(), clock, tls, in_force: RwLock::new(in_force), seen: Mutex::new(files) })
    }

    /// The configuration that each handshake takes.
    pub(super) fn tls(&self) -> watch::Receiver<ServerTls> {
        self.tls.subscribe()
    }

    /// What is in force.
    pub(super) fn in_force(&self) -> InForce {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells whether a certificate was revoked.
    pub(super) fn are_revoked(&self, serial: &Serial) -> bool {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        in_force.revocations.as_ref().is_some_and(|list| list.holds(serial))
    }

    /// Until when the revocation list is new, if that is over.
    pub(super) fn stale_since(&self) -> Option<UnixMicros> {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        in_force.revocations.as_ref()?.next_update().filter(|next| *next < self.clock.now())
    }

    /// Takes up files that have changed; tells whether any had. What handshakes ask is changed before they can ask it.
    ///
    /// # Errors
    /// [`PapersError`]: the new files cannot be used, and the old ones stay in force.
    pub(super) fn take_up(&self) -> Result<bool, PapersError> {
        let files = Files::read(&self.home)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if files.bytes() == seen.bytes() {
            return Ok(false);
        }
        let (tls, in_force) = files.check(&self.clock)?;
        *seen = files;
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = in_force;
        self.tls.send_replace(tls);
        Ok(true)
    }
}

impl Files {
    fn read(home: &Home) -> Result<Self, PapersError> {
        let credentials = Credentials::read(&home.tls(""))?;
        let revocations = match PemFile::certificates(&home.tls("crl.pem")) {
            Err(PemFileError::Missing { .. }) => None,
            read => Some(read.map_err(TlsError::from)?),
        };
        Ok(Self { credentials, revocations })
    }

    fn check(&self, clock: &Arc<dyn Clock>) -> Result<(ServerTls, InForce), PapersError> {
        let read = |file: &PemFile| Revocations::read(file, &self.credentials.authorities);
        let revocations = self.revocations.as_ref().map(read).transpose()?;
        let tls = tls::server_config(&self.credentials, revocations.as_ref(), Arc::clone(clock))?;
        Ok((tls, InForce { own: self.credentials.own()?, revocations }))
    }

    fn bytes(&self) -> [Option<&[u8]>; 4] {
        let Credentials { authorities, certificate, key } = &self.credentials;
        [Some(authorities), Some(certificate), Some(key), self.revocations.as_ref()]
            .map(|file| file.map(PemFile::bytes))
    }
}
