//! Who stands behind a connection, as the certificate says that the TLS handshake proved.
//!
//! Owns reading the one identity URI, the fingerprint and the validity of an end-entity certificate. Never checks
//! signatures or times: the handshake has done it; never asks whether the identity is enrolled.
//! Sources: RFC 5280, sections 4.1.2.5 and 4.2.1.6.

use rustls::pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, SubjectAlternativeName};
use x509_parser::oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME;
use x509_parser::prelude::FromDer as _;

use super::certs::Serial;
use super::fingerprint::Fingerprint;
use crate::model::id::UnixMicros;
use crate::model::identity::Identity;
use crate::model::refusal::{Reason, Refusal};

/// What an end-entity certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The identity, or why there is none.
    pub identity: Result<Identity, Refusal>,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// The fingerprint of the key that it is for; of nothing where it cannot be read.
    pub key: Fingerprint,
    /// Its number with its authority; of no bytes where it cannot be read.
    pub serial: Serial,
    /// The first second of its validity; 0 where it cannot be read.
    pub not_before: UnixMicros,
    /// The last second of its validity; 0 where it cannot be read.
    pub not_after: UnixMicros,
}

impl Certificate {
    /// Reads a certificate; nothing but the one URI of its subject alternative name says who it is.
    ///
    /// `identity` is refused with [`Reason::IdentityMissing`], [`Reason::IdentityAmbiguous`] or
    /// [`Reason::IdentityMalformed`].
    pub fn read(der: &CertificateDer<'_>) -> Self {
        let fingerprint = Fingerprint::of(der);
        let Ok((_, parsed)) = X509Certificate::from_der(der) else {
            let identity = Err(malformed("it cannot be read"));
            let (key, serial) = (Fingerprint::of(&[]), Serial::of(&[]));
            return Self {
                identity,
                fingerprint,
                key,
                serial,
                not_before: UnixMicros(0),
                not_after: UnixMicros(0),
            };
        };
        let validity = parsed.validity();
        Self {
            identity: identity(&parsed),
            fingerprint,
            key: Fingerprint::of(parsed.public_key().raw),
            serial: Serial::of(parsed.raw_serial()),
            not_before: micros(validity.not_before.timestamp()),
            not_after: micros(validity.not_after.timestamp()),
        }
    }
}

fn identity(certificate: &X509Certificate<'_>) -> Result<Identity, Refusal> {
    let unreadable = || malformed("its subject alternative name cannot be read or stands there twice");
    let extension =
        certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME).map_err(|_| unreadable())?;
    let names = extension.map_or(Ok(Vec::new()), |it| general_names(it.value).ok_or_else(unreadable))?;
    let mut uris = names.iter().filter_map(uri);
    let Some(found) = uris.next() else {
        let message =
            "the certificate holds no URI, so it names nobody: ask for one with your identity in it";
        return Err(Refusal::new(Reason::IdentityMissing, message));
    };
    match uris.count() {
        0 => found.parse().map_err(|error| malformed(&format!("its URI {error}"))),
        more => {
            let message = format!("the certificate holds {} URIs; exactly one names its bearer", more + 1);
            Err(Refusal::new(Reason::IdentityAmbiguous, message))
        }
    }
}

/// Reads the names of an extension to its last byte; `None` where one of them, or what follows them, cannot be read: it
/// could be a second URI.
fn general_names(value: &[u8]) -> Option<Vec<GeneralName<'_>>> {
    let (rest, names) = SubjectAlternativeName::from_der(value).ok()?;
    let invalid = |name: &GeneralName<'_>| matches!(name, GeneralName::Invalid(..));
    (rest.is_empty() && !names.general_names.iter().any(invalid)).then_some(names.general_names)
}

fn uri<'a>(name: &'a GeneralName<'_>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }
}

fn malformed(what: &str) -> Refusal {
    Refusal::new(Reason::IdentityMalformed, format!("the certificate names nobody: {what}"))
}

/// Times before 1970 become 0.
fn micros(unix_s: i64) -> UnixMicros {
    UnixMicros(u64::try_from(unix_s).unwrap_or(0).saturating_mul(1_000_000))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};

    use super::*;

    const DESK: &str = "urn:resguardo:office:iachr:desk-1";

    fn certificate(names: Vec<SanType>, twice: bool) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        if twice {
            // subjectAltName once more, with a URI of its own.
            let mut value = vec![0x30, u8::try_from(DESK.len() + 2).unwrap(), 0x86];
            value.push(u8::try_from(DESK.len()).unwrap());
            value.extend(DESK.bytes());
            params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], value)];
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    #[test]
    fn one_uri_is_the_identity_whatever_else_the_certificate_names() {
        let mail = SanType::Rfc822Name("urn:resguardo:auditor:other".try_into().unwrap());
        let der = certificate(vec![dns("other.example"), uri(DESK), mail], false);
        assert_eq!(Certificate::read(&der).identity.unwrap().to_string(), DESK);
    }

    #[test]
    fn no_uri_several_and_strange_ones_are_refused() {
        let table: [(Vec<SanType>, bool, Reason); 8] = [
            (vec![], false, Reason::IdentityMissing),
            (vec![dns("urn.resguardo.office")], false, Reason::IdentityMissing),
            (vec![uri(DESK), uri("urn:resguardo:auditor:a")], false, Reason::IdentityAmbiguous),
            (vec![uri(DESK), uri(DESK)], false, Reason::IdentityAmbiguous),
            (vec![uri(DESK), uri("https://example.org/")], false, Reason::IdentityAmbiguous),
            (vec![uri("https://example.org/")], false, Reason::IdentityMalformed),
            (vec![uri("")], false, Reason::IdentityMalformed),
            (vec![uri(DESK)], true, Reason::IdentityMalformed),
        ];
        for (names, twice, expected) in table {
            let found = Certificate::read(&certificate(names.clone(), twice)).identity;
            assert_eq!(
                found.clone().map_err(|refusal| refusal.reason),
                Err(expected),
                "{names:?}: {found:?}"
            );
        }
        let garbage = Certificate::read(&CertificateDer::from(vec![1, 2, 3]));
        assert_eq!(garbage.identity.unwrap_err().reason, Reason::IdentityMalformed);
    }

    /// A certificate whose subjectAltName holds these bytes.
    fn certificate_with(value: Vec<u8>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.custom_extensions = vec![CustomExtension::from_oid_content(&[2, 5, 29, 17], value)];
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    /// A tag, a length below 128, and bytes (X.690, section 8.1).
    fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    #[test]
    fn second_uri_that_cannot_be_read_is_not_overlooked() {
        let one = tagged(0x86, DESK.as_bytes());
        let names = tagged(0x30, &one);
        assert!(Certificate::read(&certificate_with(names.clone())).identity.is_ok());
        let not_ascii = tagged(0x86, "urn:resguardo:auditor:\u{f1}".as_bytes());
        let other = tagged(0x30, &tagged(0x86, b"urn:resguardo:auditor:a"));
        for value in [
            tagged(0x30, &[one.clone(), not_ascii.clone()].concat()),
            tagged(0x30, &[not_ascii, one.clone()].concat()),
            tagged(0x30, &[one.clone(), tagged(0xa6, b"urn:resguardo:auditor:a")].concat()),
            tagged(0x30, &[one.clone(), vec![0x86, 0x20, b'u']].concat()),
            [names.clone(), other].concat(),
            [names, vec![0]].concat(),
            one,
        ] {
            let found = Certificate::read(&certificate_with(value.clone())).identity;
            let expected = [Reason::IdentityMalformed, Reason::IdentityAmbiguous];
            assert!(found.as_ref().is_err_and(|it| expected.contains(&it.reason)), "{value:02x?}: {found:?}");
        }
    }

    #[test]
    fn validity_is_read_in_microseconds() {
        let found = Certificate::read(&certificate(vec![], false));
        assert_eq!(found.not_before, UnixMicros(157_766_400_000_000), "1975-01-01, as rcgen sets it");
        assert_eq!(found.not_after, UnixMicros(67_090_118_400_000_000), "4096-01-01");
        assert_eq!(found.fingerprint.to_string().len(), 64);
    }
}
