//! Following certificates: which requests the authority answers with a next certificate, and why not the others.
//!
//! Owns the check against the register. Never believes what a certificate says of itself: its signature must be this
//! authority's, and its number, identity and key those that the register holds.

use super::register::counts;
use super::{Authority, Bundle, CaError};
use crate::host::random::Random;
use crate::model::id::UnixMicros;
use crate::wire::pem_file::PemFile;
use crate::wire::renewal::Renewal;

/// Why a request is not answered with a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewRefusal {
    /// The present certificate is not one of this authority's.
    #[error("the certificate that it would follow was not signed by this authority")]
    Unknown,
    /// It was taken back.
    #[error("the certificate that it would follow was revoked: {0}")]
    Revoked(String),
    /// It has ended.
    #[error(
        "the certificate that it would follow has ended: have a new one signed, with `office request` and `ca sign`"
    )]
    Ended,
    /// Its key has a certificate already: the request is an old one.
    #[error(
        "its new key was signed before: it was answered already, and a new request is made with a new key"
    )]
    Answered,
}

impl Authority {
    /// Checks a request against the register.
    ///
    /// # Errors
    /// [`RenewRefusal`]
    pub fn check_renewal(&self, renewal: &Renewal, now: UnixMicros) -> Result<(), RenewRefusal> {
        let authority = PemFile::new("cert.pem", self.certificate_pem());
        let present = &renewal.certificate;
        let known = self.signed().iter().find(|one| {
            one.serial == present.serial && one.identity == renewal.identity && one.key == present.key
        });
        let known = known.filter(|_| renewal.follows(&authority)).ok_or(RenewRefusal::Unknown)?;
        if let Some((_, reason)) = &known.revoked {
            return Err(RenewRefusal::Revoked(reason.clone()));
        }
        if !counts(known, now) {
            return Err(RenewRefusal::Ended);
        }
        let key = renewal.request.fingerprint();
        if self.signed().iter().any(|one| one.key == key) {
            return Err(RenewRefusal::Answered);
        }
        Ok(())
    }

    /// Signs the next certificate of who has one, for so many days from now: the same identity, for a hub the same
    /// addresses.
    ///
    /// # Errors
    /// As [`Authority::sign`]; inside, why the request is refused.
    pub fn renew(
        &mut self,
        renewal: &Renewal,
        days: u32,
        now: UnixMicros,
        random: &dyn Random,
    ) -> Result<Result<Bundle, RenewRefusal>, CaError> {
        if let Err(refusal) = self.check_renewal(renewal, now) {
            return Ok(Err(refusal));
        }
        self.sign(&renewal.request, &renewal.subject, days, now, random).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::ca::{Which, days_us};
    use crate::host::disk::MemoryDisk;
    use crate::host::random::SeededRandom;
    use crate::wire::certs::{self, HubAddress, Subject, Validity, issue_ca};
    use crate::wire::renewal;
    use crate::wire::request::{self, Request};

    const NOW: UnixMicros = UnixMicros(1_767_225_600_000_000);
    const DESK: &str = "urn:resguardo:office:ohchr-peru:desk-1";

    fn later(days: u32) -> UnixMicros {
        UnixMicros(NOW.0 + days_us(days))
    }

    fn founded() -> Authority {
        let validity = Validity { not_before: NOW, not_after: later(900) };
        let disk = Arc::new(MemoryDisk::new());
        Authority::found(disk, &PathBuf::from("/ca"), &"joint".parse().unwrap(), validity).unwrap()
    }

    /// A certificate and its key.
    struct Pair(PemFile, PemFile);

    fn signed(authority: &mut Authority, subject: &Subject, seed: u64) -> Pair {
        let made = request::make().unwrap();
        let request = Request::read(&PemFile::new("request.pem", made.request_pem)).unwrap();
        let bundle = authority.sign(&request, subject, 60, NOW, &SeededRandom::new(seed)).unwrap();
        Pair(PemFile::new("cert.pem", bundle.certificate_pem), PemFile::new("key.pem", made.key_pem))
    }

    fn ask(present: &Pair) -> Renewal {
        let bytes = renewal::make(&request::make().unwrap().request_pem, &present.0, &present.1).unwrap();
        Renewal::read(&bytes).unwrap()
    }

    fn renew(authority: &mut Authority, asked: &Renewal, at: UnixMicros) -> Result<Bundle, RenewRefusal> {
        authority.renew(asked, 365, at, &SeededRandom::new(99)).unwrap()
    }

    #[test]
    fn a_known_certificate_is_followed_once_by_one_of_the_same_identity() {
        let mut authority = founded();
        let present = signed(&mut authority, &Subject::Client(DESK.parse().unwrap()), 1);
        let asked = ask(&present);
        let bundle = renew(&mut authority, &asked, later(45)).unwrap();
        assert_eq!(bundle.certificate.identity.unwrap().to_string(), DESK);
        assert_eq!(bundle.certificate.key, asked.request.fingerprint());
        assert_eq!(bundle.certificate.not_after, later(45 + 365));
        let again = renew(&mut authority, &asked, later(45)).err();
        assert_eq!(again, Some(RenewRefusal::Answered), "an old request says nothing any more");
        assert_eq!(authority.signed().len(), 2, "nothing more was signed");
    }

    #[test]
    fn what_the_register_does_not_bear_out_is_refused_and_nothing_is_signed() {
        let (mut authority, mut other) = (founded(), founded());
        let desk = Subject::Client(DESK.parse().unwrap());
        let present = signed(&mut authority, &desk, 1);
        let foreign = ask(&signed(&mut other, &desk, 1));
        assert_eq!(renew(&mut authority, &foreign, later(1)).err(), Some(RenewRefusal::Unknown));
        let ended = renew(&mut authority, &ask(&present), UnixMicros(later(60).0 + 1_000_000)).err();
        assert_eq!(ended, Some(RenewRefusal::Ended));
        authority.revoke(&Which::Of(DESK.parse().unwrap()), "stolen", 30, later(2)).unwrap();
        let revoked = renew(&mut authority, &ask(&present), later(3)).err();
        assert_eq!(revoked, Some(RenewRefusal::Revoked("stolen".into())));
        assert_eq!(authority.signed().len(), 1);
    }

    #[test]
    fn a_hub_cannot_give_itself_other_addresses() {
        let mut authority = founded();
        let named = |address: &str| Subject::Hub {
            name: "main".parse().unwrap(),
            addresses: vec![HubAddress::Dns(address.into())],
        };
        let made = request::make().unwrap();
        let request = Request::read(&PemFile::new("request.pem", made.request_pem)).unwrap();
        let bundle =
            authority.sign(&request, &named("hub.example.org"), 60, NOW, &SeededRandom::new(1)).unwrap();
        let key = PemFile::new("key.pem", made.key_pem);
        let present = Pair(PemFile::new("cert.pem", bundle.certificate_pem), key.clone());
        let asked = ask(&present);
        assert_eq!(asked.subject, named("hub.example.org"));
        // It has the key, and the register has key, number and identity: only the signature tells that it made this
        // certificate itself, for the names of others.
        let validity = Validity { not_before: NOW, not_after: later(60) };
        let own = issue_ca(&"joint".parse().unwrap(), validity).unwrap();
        let forged =
            certs::sign(&own, &request, &named("bank.example.org"), validity, &bundle.certificate.serial);
        let forged = ask(&Pair(PemFile::new("cert.pem", forged.unwrap()), key));
        assert_eq!(renew(&mut authority, &forged, later(1)).err(), Some(RenewRefusal::Unknown));
        let renewed = renew(&mut authority, &asked, later(1)).map(|bundle| bundle.certificate.identity);
        assert_eq!(renewed.unwrap().unwrap().to_string(), "urn:resguardo:hub:main");
    }
}
