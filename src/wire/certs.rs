//! Making certificates and revocation lists: an authority's, a hub's and its clients'.
//!
//! Owns what stands in each kind. Never stores a key, never reads a clock: validity and serial numbers are handed in;
//! keys come from the cryptographic library's own generator, never from the handed-in randomness.
//! Keys are ECDSA on P-256 with SHA-256 (FIPS 186-5); the profile is RFC 5280's.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PublicKeyData, RevokedCertParams, SanType, date_time_ymd,
};

use super::request::Request;
use crate::host::random::Random;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Identity, Name};

/// The latest end of a validity: 9999-12-31T23:59:59Z, the last time that a certificate can hold (RFC 5280, 4.1.2.5).
const NOT_AFTER_MAX: UnixMicros = UnixMicros(253_402_300_799_000_000);

/// From when to when a certificate is valid, both inclusive, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: UnixMicros,
    /// The last moment.
    pub not_after: UnixMicros,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM (PKCS #8), not encrypted: whoever has it is the one whom the certificate names.
    pub key_pem: String,
}

/// Leaves the key out.
impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// A certificate's serial number, unique with its authority: 1 to 20 bytes (RFC 5280, 4.1.2.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// Draws one of 16 bytes that nobody can foresee.
    pub fn draw(random: &dyn Random) -> Self {
        let mut bytes = vec![0; 16];
        random.fill(&mut bytes);
        // Positive, and as long as every other.
        bytes[0] = (bytes[0] & 0x7f) | 0x40;
        Self(bytes)
    }

    /// Takes one from a certificate or a revocation list, where it has no leading zeros but for its sign.
    pub fn of(bytes: &[u8]) -> Self {
        let from = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        Self(bytes[from..].to_owned())
    }
}

/// Shows hexadecimal digits.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// Text that is not a serial number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a serial number: an even number of hexadecimal digits, 40 at most, expected")]
pub struct SerialError(String);

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, SerialError> {
        let wrong = || SerialError(text.chars().take(64).collect());
        let digits = text.bytes().all(|it| it.is_ascii_hexdigit());
        if text.is_empty() || text.len() > 40 || text.len() % 2 == 1 || !digits {
            return Err(wrong());
        }
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong());
        Ok(Self::of(&(0..text.len()).step_by(2).map(byte).collect::<Result<Vec<_>, _>>()?))
    }
}

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A client, by its one identity. Its certificate cannot be used as a hub's.
    Client(Identity),
    /// A hub, and the addresses at which clients reach it. Its certificate cannot be used as a client's.
    Hub {
        /// Its name.
        name: Name,
        /// Its addresses.
        addresses: Vec<HubAddress>,
    },
}

impl Subject {
    /// The URI that the certificate bears.
    pub fn identity(&self) -> Identity {
        match self {
            Self::Client(identity) => identity.clone(),
            Self::Hub { name, .. } => Identity::Hub(name.clone()),
        }
    }
}

/// One line of a revocation list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The certificate.
    pub serial: Serial,
    /// Since when it does not count.
    pub at: UnixMicros,
}

/// A name at which clients reach a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubAddress {
    /// A DNS name.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// The validity ends before it begins, or after the year 9999.
    #[error("a validity from {} to {} us cannot be: it ends after it begins and before the year 10000", .0.not_before.0, .0.not_after.0)]
    Validity(Validity),
    /// A DNS name is not plain ASCII.
    #[error("{0:?} is not a DNS name: letters, digits, - and . expected")]
    DnsName(String),
    /// The authority's certificate or key cannot be used.
    #[error("the authority's certificate or key cannot be used: {0}")]
    Authority(rcgen::Error),
    /// The making failed.
    #[error("cannot make the certificate: {0}")]
    Making(#[from] rcgen::Error),
}

/// Makes an authority that signs itself and may sign end-entity certificates only, no further authorities.
///
/// `name` is for people; give each authority its own.
///
/// # Errors
/// [`CertsError::Validity`], [`CertsError::Making`].
pub fn issue_ca(name: &Name, validity: Validity) -> Result<Issued, CertsError> {
    let mut params = params(name, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?;
    Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
}

/// Signs a requested key. Nothing of the request counts but the key: who it names is the signer's word.
///
/// # Errors
/// [`CertsError::Validity`], [`CertsError::DnsName`], [`CertsError::Authority`], [`CertsError::Making`].
pub fn sign(
    ca: &Issued,
    request: &Request,
    subject: &Subject,
    validity: Validity,
    serial: &Serial,
) -> Result<String, CertsError> {
    let mut params = subject_params(subject, validity)?;
    params.serial_number = Some(serial.0.clone().into());
    signed(params, request.public_key(), ca)
}

/// Signs a revocation list that is to be renewed before `next`.
///
/// # Errors
/// [`CertsError::Validity`], [`CertsError::Authority`], [`CertsError::Making`].
pub fn sign_revocations(
    ca: &Issued,
    revoked: &[Revocation],
    at: UnixMicros,
    next: UnixMicros,
) -> Result<String, CertsError> {
    check(Validity { not_before: at, not_after: next })?;
    let epoch = date_time_ymd(1970, 1, 1);
    let revoked = revoked.iter().map(|one| RevokedCertParams {
        serial_number: one.serial.0.clone().into(),
        revocation_time: epoch + Duration::from_micros(one.at.0.min(at.0)),
        reason_code: None,
        invalidity_date: None,
    });
    let list = CertificateRevocationListParams {
        this_update: epoch + Duration::from_micros(at.0),
        next_update: epoch + Duration::from_micros(next.0),
        // Grows with the authority's clock.
        crl_number: at.0.to_be_bytes().to_vec().into(),
        issuing_distribution_point: None,
        revoked_certs: revoked.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(list.signed_by(&issuer(ca)?)?.pem()?)
}

/// Makes a hub's certificate and its key at once, for the addresses at which clients reach it.
///
/// # Errors
/// [`CertsError::Validity`], [`CertsError::DnsName`], [`CertsError::Authority`], [`CertsError::Making`].
pub fn issue_server(
    ca: &Issued,
    hub: &Name,
    addresses: &[HubAddress],
    validity: Validity,
) -> Result<Issued, CertsError> {
    issue(ca, &Subject::Hub { name: hub.clone(), addresses: addresses.to_vec() }, validity)
}

/// Makes a client's certificate and its key at once.
///
/// # Errors
/// [`CertsError::Validity`], [`CertsError::Authority`], [`CertsError::Making`].
pub fn issue_client(ca: &Issued, identity: &Identity, validity: Validity) -> Result<Issued, CertsError> {
    issue(ca, &Subject::Client(identity.clone()), validity)
}

fn issue(ca: &Issued, subject: &Subject, validity: Validity) -> Result<Issued, CertsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate_pem = signed(subject_params(subject, validity)?, &key, ca)?;
    Ok(Issued { certificate_pem, key_pem: key.serialize_pem() })
}

fn subject_params(subject: &Subject, validity: Validity) -> Result<CertificateParams, CertsError> {
    let identity = subject.identity();
    let mut params = params(common_name(&identity), validity)?;
    match subject {
        Subject::Client(_) => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
        Subject::Hub { addresses, .. } => {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.subject_alt_names = addresses.iter().map(san).collect::<Result<_, _>>()?;
        }
    }
    params.subject_alt_names.push(uri(&identity)?);
    Ok(params)
}

fn params(common_name: &Name, validity: Validity) -> Result<CertificateParams, CertsError> {
    check(validity)?;
    let mut params = CertificateParams::default();
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_micros(validity.not_before.0);
    params.not_after = epoch + Duration::from_micros(validity.not_after.0);
    // A name has at most 64 bytes: as many as a common name may have (RFC 5280, appendix A.1).
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name.as_str());
    Ok(params)
}

fn check(validity: Validity) -> Result<(), CertsError> {
    if validity.not_before >= validity.not_after || validity.not_after > NOT_AFTER_MAX {
        return Err(CertsError::Validity(validity));
    }
    Ok(())
}

fn signed(
    mut params: CertificateParams,
    key: &impl PublicKeyData,
    ca: &Issued,
) -> Result<String, CertsError> {
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params.signed_by(key, &issuer(ca)?)?.pem())
}

fn issuer(ca: &Issued) -> Result<Issuer<'static, KeyPair>, CertsError> {
    let key = KeyPair::from_pem(&ca.key_pem).map_err(CertsError::Authority)?;
    Issuer::from_ca_cert_pem(&ca.certificate_pem, key).map_err(CertsError::Authority)
}

fn san(address: &HubAddress) -> Result<SanType, CertsError> {
    match address {
        HubAddress::Ip(ip) => Ok(SanType::IpAddress(*ip)),
        HubAddress::Dns(name) => {
            let text = name.as_str().try_into().map_err(|_| CertsError::DnsName(name.clone()))?;
            Ok(SanType::DnsName(text))
        }
    }
}

fn uri(identity: &Identity) -> Result<SanType, CertsError> {
    Ok(SanType::URI(identity.to_string().try_into()?))
}

fn common_name(identity: &Identity) -> &Name {
    match identity {
        Identity::Desk(Desk { desk: name, .. })
        | Identity::Auditor(name)
        | Identity::Operator(name)
        | Identity::Hub(name)
        | Identity::Witness(name) => name,
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use x509_parser::certificate::X509Certificate;
    use x509_parser::prelude::FromDer as _;

    use super::*;
    use crate::wire::identity::Certificate;

    const SECOND: u64 = 1_000_000;
    const VALIDITY: Validity = Validity {
        not_before: UnixMicros(1_767_225_600 * SECOND),
        not_after: UnixMicros(1_798_761_600 * SECOND),
    };

    fn der(issued: &Issued) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap()
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn each_kind_says_what_it_may_be_used_for_and_no_more() {
        let ca = issue_ca(&name("dev-authority"), VALIDITY).unwrap();
        let addresses = [HubAddress::Dns("localhost".into()), HubAddress::Ip(IpAddr::from([127, 0, 0, 1]))];
        let hub = issue_server(&ca, &name("main"), &addresses, VALIDITY).unwrap();
        let identity = "urn:resguardo:office:iachr:desk-1".parse().unwrap();
        let desk = issue_client(&ca, &identity, VALIDITY).unwrap();
        for (issued, is_ca, server, client) in [
            (&ca, true, None, None),
            (&hub, false, Some(true), Some(false)),
            (&desk, false, Some(false), Some(true)),
        ] {
            let der = der(issued);
            let (_, parsed) = X509Certificate::from_der(&der).unwrap();
            let usage = parsed.extended_key_usage().unwrap().map(|usage| usage.value);
            assert_eq!(parsed.is_ca(), is_ca);
            assert_eq!(usage.map(|usage| usage.server_auth), server);
            assert_eq!(usage.map(|usage| usage.client_auth), client);
            assert_eq!(parsed.key_usage().unwrap().unwrap().value.key_cert_sign(), is_ca);
        }
        assert_eq!(Certificate::read(&der(&desk)).identity, Ok(identity));
        assert_eq!(Certificate::read(&der(&hub)).identity.unwrap().to_string(), "urn:resguardo:hub:main");
    }

    #[test]
    fn validity_is_the_one_handed_in() {
        let ca = issue_ca(&name("a"), VALIDITY).unwrap();
        let found = Certificate::read(&der(&ca));
        assert_eq!((found.not_before, found.not_after), (VALIDITY.not_before, VALIDITY.not_after));
        for (not_before, not_after) in [(5, 5), (6, 5), (5, NOT_AFTER_MAX.0 + 1), (5, u64::MAX)] {
            let validity = Validity { not_before: UnixMicros(not_before), not_after: UnixMicros(not_after) };
            assert!(matches!(issue_ca(&name("a"), validity), Err(CertsError::Validity(_))));
        }
    }

    #[test]
    fn authority_that_is_none_and_names_that_are_none_are_told() {
        let ca = issue_ca(&name("a"), VALIDITY).unwrap();
        let broken = Issued { key_pem: "no key".into(), ..ca.clone() };
        let identity = "urn:resguardo:auditor:iachr".parse().unwrap();
        assert!(matches!(issue_client(&broken, &identity, VALIDITY), Err(CertsError::Authority(_))));
        let strange = [HubAddress::Dns("héctor.example".into())];
        assert!(matches!(
            issue_server(&ca, &name("main"), &strange, VALIDITY),
            Err(CertsError::DnsName(found)) if found == "héctor.example"
        ));
        assert!(!format!("{ca:?}").contains("PRIVATE KEY"));
    }

    #[test]
    fn a_serial_number_has_digits_and_no_signs() {
        let serial = Serial::of(&[1, 0x2f]);
        for text in ["012f", "012F", "00012f"] {
            assert_eq!(text.parse::<Serial>(), Ok(serial.clone()), "{text}");
        }
        for text in ["", "1", "+12f", "0x2f", "é2f", &"0".repeat(42)] {
            assert!(text.parse::<Serial>().is_err(), "{text}");
        }
    }
}
