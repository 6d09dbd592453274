//! The list of revoked certificates, as an authority signed it.
//!
//! Owns reading one (RFC 5280, section 5). Never decides that an old list is none: who let in everybody because a list
//! had run out, or nobody, would be wrong both times. What is stale is told.

use std::collections::BTreeSet;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::certs::Serial;
use super::pem_file::PemFile;
use super::tls;
use crate::model::id::UnixMicros;

/// A revocation list.
#[derive(Clone, Debug)]
pub struct Revocations {
    der: CertificateRevocationListDer<'static>,
    serials: BTreeSet<Serial>,
    next_update: Option<UnixMicros>,
}

/// Why a revocation list cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationsError {
    /// It is none.
    #[error(
        "{0} is not a list of revoked certificates in PEM (-----BEGIN X509 CRL-----): `resguardo ca revoke` writes one"
    )]
    None(String),
    /// It is another authority's, or was changed.
    #[error(
        "{file} was not signed by an authority in {authorities}: take the list of the authority that signed this hub's certificate"
    )]
    Foreign {
        /// The file of the list.
        file: String,
        /// The file of the authorities.
        authorities: String,
    },
}

impl Revocations {
    /// Reads one of an authority's.
    ///
    /// # Errors
    /// [`RevocationsError`].
    pub fn read(file: &PemFile, authorities: &PemFile) -> Result<Self, RevocationsError> {
        let none = || RevocationsError::None(file.name().to_owned());
        let der = CertificateRevocationListDer::from_pem_slice(file.bytes()).map_err(|_| none())?;
        let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| none())?;
        // One whose signature does not hold would have every handshake fail.
        let known = tls::certificates(authorities).unwrap_or_default();
        if !known.iter().any(|authority| is_signed_by(&list, authority)) {
            let (file, authorities) = (file.name().to_owned(), authorities.name().to_owned());
            return Err(RevocationsError::Foreign { file, authorities });
        }
        let serials = list.iter_revoked_certificates().map(|one| Serial::of(one.raw_serial())).collect();
        let next_update = list
            .next_update()
            .map(|at| UnixMicros(u64::try_from(at.timestamp()).unwrap_or(0).saturating_mul(1_000_000)));
        Ok(Self { der, serials, next_update })
    }

    /// Tells whether a certificate is on it.
    pub fn holds(&self, serial: &Serial) -> bool {
        self.serials.contains(serial)
    }

    /// How many certificates are on it.
    pub fn len(&self) -> usize {
        self.serials.len()
    }

    /// Tells whether nobody is on it.
    pub fn is_empty(&self) -> bool {
        self.serials.is_empty()
    }

    /// Until when its authority promised a newer one; `None` where it promised none.
    pub fn next_update(&self) -> Option<UnixMicros> {
        self.next_update
    }

    pub(super) fn der(&self) -> &CertificateRevocationListDer<'static> {
        &self.der
    }
}

fn is_signed_by(list: &CertificateRevocationList<'_>, authority: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(authority).is_ok_and(|(_, authority)| {
        list.issuer() == authority.subject() && list.verify_signature(authority.public_key()).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::random::SeededRandom;
    use crate::wire::certs::{Revocation, Validity, issue_ca, sign_revocations};

    const BEGIN: u64 = 1_767_225_600_000_000;
    const END: u64 = 1_769_904_000_000_000;

    #[test]
    fn a_list_says_who_is_on_it_and_until_when_it_is_new() {
        let validity = Validity { not_before: UnixMicros(BEGIN), not_after: UnixMicros(END) };
        let ca = issue_ca(&"a".parse().unwrap(), validity).unwrap();
        let authorities = PemFile::new("ca.pem", ca.certificate_pem.as_str());
        let [one, other] = [1, 2].map(|seed| Serial::draw(&SeededRandom::new(seed)));
        for revoked in [vec![], vec![Revocation { serial: one.clone(), at: UnixMicros(BEGIN) }]] {
            let pem = sign_revocations(&ca, &revoked, UnixMicros(BEGIN), UnixMicros(END)).unwrap();
            let read = Revocations::read(&PemFile::new("crl.pem", pem.as_str()), &authorities).unwrap();
            assert_eq!((read.holds(&one), read.holds(&other)), (!revoked.is_empty(), false));
            assert_eq!((read.len(), read.next_update()), (revoked.len(), Some(UnixMicros(END))));
        }
        let none = Revocations::read(&authorities, &authorities).unwrap_err();
        assert_eq!(none, RevocationsError::None("ca.pem".into()));
        // Of another authority that has the same name.
        let other = issue_ca(&"a".parse().unwrap(), validity).unwrap();
        let pem = sign_revocations(&other, &[], UnixMicros(BEGIN), UnixMicros(END)).unwrap();
        let foreign = Revocations::read(&PemFile::new("crl.pem", pem), &authorities).unwrap_err();
        assert!(matches!(foreign, RevocationsError::Foreign { .. }), "{foreign}");
    }
}
