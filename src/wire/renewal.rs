//! Requests for the next certificate, and the file that carries them and their answers.
//!
//! Owns their signatures and their form. A request proves two things: that its maker has the new key, and that who has the
//! key of the present certificate asks for it. Whether that certificate counts is not said here: the authority's register
//! says it. Never stores anything. Keys of other kinds than the exchange makes, P-256, are renewed by hand.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use bytes::Bytes;
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::certs::{HubAddress, Subject};
use super::chain::is_signed_by;
use super::identity::Certificate;
use super::pem_file::PemFile;
use super::proto::{RenewalAnswer, RenewalFile, RenewalRequest};
use super::request::{Request, RequestError};
use crate::model::identity::Identity;
use crate::model::renewal::RequestDigest;

/// Bytes of a request at most: two keys, a certificate and two signatures take some 2 KiB.
pub const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// Bytes of an answer's bundle at most: two certificates.
pub const BUNDLE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a file at most: as many requests as may wait, and then some.
pub const FILE_BYTES_MAX: u64 = 8 << 20;
/// What the signature is of: it can be taken for nothing else.
const DOMAIN: &[u8] = b"resguardo.v1.RenewalRequest\0";
const FORMAT: &str = "resguardo renewals 1";

/// A request that holds together.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// Whose next certificate is asked for: by the present one.
    pub identity: Identity,
    /// The present certificate.
    pub certificate: Certificate,
    /// The new key.
    pub request: Request,
    /// Whom the next certificate is to name: whom the present one names, a hub with the same addresses.
    pub subject: Subject,
    /// Of the exact bytes.
    pub digest: RequestDigest,
    present: CertificateDer<'static>,
}

/// Why a request or a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewalError {
    /// It is none.
    #[error("it is no request for a next certificate: {0}")]
    Malformed(String),
    /// The request of the new key.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The present certificate names nobody.
    #[error("{0}")]
    Nameless(String),
    /// The signature is not of the present certificate's key.
    #[error(
        "its signature is not by the key of the certificate that it would follow: it was changed, or made by somebody else"
    )]
    Signature,
    /// The key cannot sign.
    #[error("the key of {0} cannot sign a request: only keys on P-256 can; renew it by hand with `ca sign`")]
    Key(String),
    /// A file of another kind.
    #[error(
        "{0} is not a file of renewals: `office renewals --to`, `office request` and `ca renew` write them"
    )]
    File(String),
}

/// Makes a request: exact bytes. `request_pem` is of the new key; certificate and key are the present ones, PEM.
///
/// # Errors
/// [`RenewalError::Malformed`], [`RenewalError::Key`].
pub fn make(request_pem: &str, certificate: &PemFile, key: &PemFile) -> Result<Bytes, RenewalError> {
    let malformed = |error: rustls::pki_types::pem::Error| RenewalError::Malformed(error.to_string());
    let request = CertificateSigningRequestDer::from_pem_slice(request_pem.as_bytes()).map_err(malformed)?;
    let present = CertificateDer::from_pem_slice(certificate.bytes()).map_err(malformed)?;
    let unusable = || RenewalError::Key(key.name().to_owned());
    let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(key.bytes()).map_err(|_| unusable())?;
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.secret_pkcs8_der());
    let signature =
        pair.and_then(|pair| Ok(pair.sign(&SystemRandom::new(), &signed_text(&request, &present))?));
    let made = RenewalRequest {
        certification_request: Bytes::copy_from_slice(&request),
        certificate: Bytes::copy_from_slice(&present),
        signature: Bytes::copy_from_slice(signature.map_err(|_| unusable())?.as_ref()),
    };
    Ok(made.encode_to_vec().into())
}

impl Renewal {
    /// Reads a request and checks both signatures.
    ///
    /// # Errors
    /// [`RenewalError::Malformed`], [`RenewalError::Request`], [`RenewalError::Nameless`], [`RenewalError::Signature`].
    pub fn read(bytes: &[u8]) -> Result<Self, RenewalError> {
        if bytes.len() > REQUEST_BYTES_MAX {
            let found = format!("{} bytes; at most {REQUEST_BYTES_MAX} are taken", bytes.len());
            return Err(RenewalError::Malformed(found));
        }
        let wire =
            RenewalRequest::decode(bytes).map_err(|error| RenewalError::Malformed(error.to_string()))?;
        let request = Request::of(&wire.certification_request, "the request")?;
        let present = CertificateDer::from(wire.certificate.as_ref());
        let certificate = Certificate::read(&present);
        let identity =
            certificate.identity.clone().map_err(|refusal| RenewalError::Nameless(refusal.message))?;
        let (_, parsed) = X509Certificate::from_der(&present).map_err(|_| RenewalError::Signature)?;
        let key =
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &parsed.public_key().subject_public_key.data);
        let text = signed_text(&wire.certification_request, &wire.certificate);
        key.verify(&text, &wire.signature).map_err(|_| RenewalError::Signature)?;
        let subject = match &identity {
            Identity::Hub(name) => Subject::Hub { name: name.clone(), addresses: addresses(&parsed) },
            client => Subject::Client(client.clone()),
        };
        let present = present.into_owned();
        Ok(Self { identity, certificate, request, subject, digest: digest_of(bytes), present })
    }
}

impl Renewal {
    /// Tells whether an authority, by its certificate, signed the present certificate.
    pub fn follows(&self, authority: &PemFile) -> bool {
        CertificateDer::from_pem_slice(authority.bytes()).is_ok_and(|it| is_signed_by(&self.present, &it))
    }
}

/// SHA-256 of a request's exact bytes.
pub fn digest_of(bytes: &[u8]) -> RequestDigest {
    digest(&SHA256, bytes).as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

fn signed_text(request: &[u8], certificate: &[u8]) -> Vec<u8> {
    [DOMAIN, digest(&SHA256, request).as_ref(), digest(&SHA256, certificate).as_ref()].concat()
}

/// The addresses that a hub's certificate names.
fn addresses(certificate: &X509Certificate<'_>) -> Vec<HubAddress> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|extension| &extension.value.general_names);
    let address = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(HubAddress::Dns((*name).to_owned())),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|it| HubAddress::Ip(it.into())),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|it| HubAddress::Ip(it.into())),
        },
        _ => None,
    };
    names.filter_map(address).collect()
}

/// Writes a file of requests and answers.
pub fn file(requests: Vec<Bytes>, answers: Vec<RenewalAnswer>) -> Vec<u8> {
    RenewalFile { format: FORMAT.into(), requests, answers }.encode_to_vec()
}

/// Reads a file of requests and answers; `name` is what the error calls it.
///
/// # Errors
/// [`RenewalError::File`].
pub fn read_file(name: &str, bytes: &[u8]) -> Result<(Vec<Bytes>, Vec<RenewalAnswer>), RenewalError> {
    match RenewalFile::decode(bytes) {
        Ok(file) if file.format == FORMAT => Ok((file.requests, file.answers)),
        _ => Err(RenewalError::File(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::model::id::UnixMicros;
    use crate::wire::certs::{Issued, Validity, issue_ca, issue_client, issue_server};
    use crate::wire::request;

    const DESK: &str = "urn:resguardo:office:iachr:desk-1";

    fn validity() -> Validity {
        Validity {
            not_before: UnixMicros(1_767_225_600_000_000),
            not_after: UnixMicros(1_798_761_600_000_000),
        }
    }

    fn files(issued: &Issued) -> (PemFile, PemFile) {
        let certificate = PemFile::new("cert.pem", issued.certificate_pem.as_str());
        (certificate, PemFile::new("key.pem", issued.key_pem.as_str()))
    }

    fn desk() -> (Issued, Issued) {
        let ca = issue_ca(&"a".parse().unwrap(), validity()).unwrap();
        let desk = issue_client(&ca, &DESK.parse().unwrap(), validity()).unwrap();
        (ca, desk)
    }

    #[test]
    fn a_request_says_who_asks_and_with_which_key() {
        let (_, issued) = desk();
        let (certificate, key) = files(&issued);
        let made = request::make().unwrap();
        let bytes = make(&made.request_pem, &certificate, &key).unwrap();
        let read = Renewal::read(&bytes).unwrap();
        assert_eq!(read.identity.to_string(), DESK);
        assert_eq!(read.subject, Subject::Client(DESK.parse().unwrap()));
        let new_key = PemFile::new("new-key.pem", made.key_pem.as_str());
        assert_eq!(Ok(read.request.fingerprint()), request::fingerprint_of_key(&new_key));
        assert_eq!(Ok(read.certificate.key), request::fingerprint_of_key(&key));
    }

    #[test]
    fn a_hub_keeps_its_addresses() {
        let (ca, _) = desk();
        let addresses = [
            HubAddress::Dns("hub.example.org".into()),
            HubAddress::Ip(IpAddr::from([127, 0, 0, 1])),
            HubAddress::Ip("2001:db8::1".parse().unwrap()),
        ];
        let hub = issue_server(&ca, &"main".parse().unwrap(), &addresses, validity()).unwrap();
        let (certificate, key) = files(&hub);
        let bytes = make(&request::make().unwrap().request_pem, &certificate, &key).unwrap();
        let Subject::Hub { name, addresses: found } = Renewal::read(&bytes).unwrap().subject else {
            panic!("a hub's certificate is followed by a hub's")
        };
        assert_eq!((name.as_str(), found.as_slice()), ("main", &addresses[..]));
    }

    #[test]
    fn what_was_changed_or_signed_by_another_key_is_refused() {
        let (ca, issued) = desk();
        let (certificate, key) = files(&issued);
        let other = issue_client(&ca, &DESK.parse().unwrap(), validity()).unwrap();
        let made = request::make().unwrap();
        // By another key than the certificate's, though it names the same desk.
        let foreign = make(&made.request_pem, &certificate, &files(&other).1).unwrap();
        assert_eq!(Renewal::read(&foreign).unwrap_err(), RenewalError::Signature);
        let good = make(&made.request_pem, &certificate, &key).unwrap();
        let mut swapped = RenewalRequest::decode(good.clone()).unwrap();
        let another = make(&request::make().unwrap().request_pem, &certificate, &key).unwrap();
        swapped.certification_request = RenewalRequest::decode(another).unwrap().certification_request;
        let swapped = swapped.encode_to_vec();
        assert_eq!(Renewal::read(&swapped).unwrap_err(), RenewalError::Signature, "another new key");
        for at in (0..good.len()).step_by(7) {
            let mut changed = good.to_vec();
            changed[at] ^= 1;
            assert!(Renewal::read(&changed).is_err(), "byte {at}");
        }
        assert!(matches!(Renewal::read(&vec![0; REQUEST_BYTES_MAX + 1]), Err(RenewalError::Malformed(_))));
        assert_eq!(read_file("x", b"no file").unwrap_err(), RenewalError::File("x".into()));
        assert_eq!(read_file("x", &file(vec![good.clone()], vec![])).unwrap().0, [good]);
    }
}
