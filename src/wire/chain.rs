//! A certificate as its authority sends it: the new one, then the authority's own.
//!
//! Owns reading and checking the pair. Never says that an authority is to be trusted: only people can, who compare its
//! fingerprint.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::fingerprint::Fingerprint;
use super::identity::Certificate;
use super::pem_file::PemFile;
use super::tls::{self, TlsError};
use crate::host::clock::Clock;

const EXPECTED: &str = "the new certificate and then its authority's, as `resguardo ca sign` writes them";
const END: &str = "-----END CERTIFICATE-----";

/// A certificate and its authority's.
#[derive(Clone, Debug)]
pub struct Chain {
    /// What the certificate says.
    pub certificate: Certificate,
    /// The certificate, PEM.
    pub own_pem: String,
    /// The authority's, PEM.
    pub authority_pem: String,
    /// The fingerprint of the authority's.
    pub authority: Fingerprint,
}

impl Chain {
    /// Reads one, and checks that the authority signed it and that it is valid now.
    ///
    /// # Errors
    /// [`TlsError::Content`], [`TlsError::Ended`], [`TlsError::NotBegun`].
    pub fn read(file: &PemFile, clock: &dyn Clock) -> Result<Self, TlsError> {
        let wrong = |found: String| tls::content(file, found, EXPECTED);
        let found = tls::certificates(file)?;
        let [own, authority] = found.as_slice() else {
            return Err(wrong(format!("it holds {} certificates", found.len())));
        };
        if !is_signed_by(own, authority) {
            return Err(wrong("its second certificate is not of the authority that signed its first".into()));
        }
        let certificate = Certificate::read(own);
        tls::check_validity(file, &certificate, clock.now())?;
        let text = String::from_utf8_lossy(file.bytes());
        let (first, rest) = text.split_once(END).ok_or_else(|| wrong("it is cut off".into()))?;
        Ok(Self {
            certificate,
            own_pem: format!("{}{END}\n", first.trim_start()),
            authority_pem: rest.trim_start().to_owned(),
            authority: Fingerprint::of(authority),
        })
    }

    /// Tells whether its authority is one of those in a file.
    ///
    /// # Errors
    /// [`TlsError::Content`] for a file without a certificate.
    pub fn is_of(&self, authorities: &PemFile) -> Result<bool, TlsError> {
        Ok(tls::certificates(authorities)?.iter().any(|known| Fingerprint::of(known) == self.authority))
    }
}

/// Tells whether one certificate was signed by the other, an authority's.
pub(super) fn is_signed_by(own: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    let (Ok((_, own)), Ok((_, authority))) =
        (X509Certificate::from_der(own), X509Certificate::from_der(authority))
    else {
        return false;
    };
    authority.is_ca()
        && own.issuer() == authority.subject()
        && own.verify_signature(Some(authority.public_key())).is_ok()
}
