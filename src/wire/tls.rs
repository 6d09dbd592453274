//! TLS as the exchange uses it: 1.3 only, both sides with certificates, hybrid key exchange first, nothing resumed.
//!
//! Owns the two configurations and what people are told when a file for them is not right. Never names an identity
//! (`identity` does) and never opens a socket. Sources: RFC 8446; draft-ietf-tls-ecdhe-mlkem (X25519MLKEM768).
//!
//! The cryptographic provider is given to each configuration; no process-wide default is set or read.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::identity::Certificate;
use super::pem_file::{PemFile, PemFileError};
use super::revocations::Revocations;
use crate::host::clock::Clock;
use crate::host::disk;
use crate::model::id::UnixMicros;

/// A hub's configuration, shared by all its handshakes.
pub type ServerTls = Arc<ServerConfig>;

/// HTTP/2, the only protocol spoken inside (RFC 9113, section 3.2).
const ALPN_H2: &[u8] = b"h2";

/// What one side of a connection proves itself and checks the other with.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The authorities that the other side's certificate must come from: one or more certificates.
    pub authorities: PemFile,
    /// This side's certificate, then any certificates between it and the authority.
    pub certificate: PemFile,
    /// The private key of the certificate, not encrypted.
    pub key: PemFile,
}

impl Credentials {
    /// Reads a folder's: `ca.pem`, and `key.pem` with the key and its certificate. Where that file holds the key alone,
    /// the certificate stands in `cert.pem`.
    ///
    /// # Errors
    /// [`TlsError::File`]: one is missing, or the key is open to others.
    pub fn read(folder: &Path) -> Result<Self, TlsError> {
        let key = PemFile::key(&folder.join("key.pem"))?;
        let certificate = if key.holds_certificate() {
            key.clone()
        } else {
            PemFile::certificates(&folder.join("cert.pem"))?
        };
        Ok(Self { authorities: PemFile::certificates(&folder.join("ca.pem"))?, certificate, key })
    }

    /// Says what this side's own certificate says: the identity that envelopes and receipts must name, and how long
    /// it is still valid.
    ///
    /// # Errors
    /// [`TlsError::Content`] for a file without a certificate.
    pub fn own(&self) -> Result<Certificate, TlsError> {
        first_certificate(&self.certificate)
    }
}

/// Says what a file's first certificate says.
///
/// # Errors
/// [`TlsError::Content`] for a file without one.
pub fn first_certificate(file: &PemFile) -> Result<Certificate, TlsError> {
    Ok(Certificate::read(&certificates(file)?[0]))
}

/// Why credentials cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file itself is not right.
    #[error(transparent)]
    File(#[from] PemFileError),
    /// A file holds something else than what is expected.
    #[error("{file}: {found}; {expected} expected")]
    Content {
        /// The file's name.
        file: String,
        /// What is there.
        found: String,
        /// What must be there.
        expected: &'static str,
    },
    /// The key belongs to another certificate.
    #[error(
        "{key} is not the key of {certificate}: the two come as a pair from one issuing; one of them was changed"
    )]
    KeyForeign {
        /// The key file's name.
        key: String,
        /// The certificate file's name.
        certificate: String,
    },
    /// This side's own certificate is no longer valid.
    #[error("the certificate in {file} ended on {}: ask for a new one (this machine's clock says {})", time(*.ended), time(*.now))]
    Ended {
        /// The file's name.
        file: String,
        /// When it ended.
        ended: UnixMicros,
        /// What time it is here.
        now: UnixMicros,
    },
    /// This side's own certificate is not valid yet.
    #[error("the certificate in {file} begins on {}, but this machine's clock says {}: is the clock right?", time(*.begins), time(*.now))]
    NotBegun {
        /// The file's name.
        file: String,
        /// When it begins.
        begins: UnixMicros,
        /// What time it is here.
        now: UnixMicros,
    },
}

impl TlsError {
    /// Whether the disk did not give a file, rather than that something is wrong with it.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::File(PemFileError::Unreadable { kind, .. }) if disk::is_failure(*kind))
    }
}

/// Makes a hub's configuration.
///
/// A client that shows no certificate of one of the authorities is turned away in the handshake. The authorities'
/// names are not sent: a stranger learns nothing, and a client with another authority's certificate sends it all the
/// same and is told so, instead of seeming to have none.
///
/// Certificates on a revocation list are turned away too, also when a newer list should have come by now.
///
/// # Errors
/// Each of [`TlsError`].
pub fn server_config(
    credentials: &Credentials,
    revocations: Option<&Revocations>,
    clock: Arc<dyn Clock>,
) -> Result<ServerTls, TlsError> {
    let provider = provider();
    let (chain, key) = own_pair(credentials, &provider, clock.as_ref())?;
    let roots = Arc::new(authorities(&credentials.authorities)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .clear_root_hint_subjects()
        .with_crls(revocations.map(|list| list.der().clone()))
        .only_check_end_entity_revocation()
        // Of another authority than the list's.
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| {
            content(&credentials.authorities, error.to_string(), "authorities and their list")
        })?;
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(HandedInTime(clock)))
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has suites and groups of TLS 1.3")
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&credentials.certificate, &error))?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    // A resumed session would skip the check of the certificate, and with it any revocation since.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_tls13_tickets = 0;
    // Early data can be replayed by whoever recorded it.
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Makes a client's configuration.
///
/// # Errors
/// Each of [`TlsError`].
pub fn client_config(
    credentials: &Credentials,
    clock: Arc<dyn Clock>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = provider();
    let (chain, key) = own_pair(credentials, &provider, clock.as_ref())?;
    let roots = Arc::new(authorities(&credentials.authorities)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .expect("there is an authority, and no revocation list that could be wrong");
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(HandedInTime(clock)))
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has suites and groups of TLS 1.3")
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(&credentials.certificate, &error))?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(Arc::new(config))
}

/// The hybrid group comes first: what is recorded today stays closed to tomorrow's quantum computers. The others are
/// for clients in other languages that do not have it yet.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..aws_lc_rs::default_provider()
    })
}

/// The clock that is handed in, as the library wants it.
struct HandedInTime(Arc<dyn Clock>);

impl fmt::Debug for HandedInTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandedInTime")
    }
}

impl TimeProvider for HandedInTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_micros(self.0.now().0)))
    }
}

fn authorities(file: &PemFile) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| unusable(file, &error))?;
    }
    Ok(roots)
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn own_pair(
    credentials: &Credentials,
    provider: &CryptoProvider,
    clock: &dyn Clock,
) -> Result<Pair, TlsError> {
    let Credentials { certificate, key, .. } = credentials;
    let chain = certificates(certificate)?;
    let private = private_key(key)?;
    check_validity(certificate, &credentials.own()?, clock.now())?;
    rustls::sign::CertifiedKey::from_der(chain.clone(), private.clone_key(), provider).map_err(|error| {
        match error {
            rustls::Error::InconsistentKeys(_) => TlsError::KeyForeign {
                key: key.name().to_owned(),
                certificate: certificate.name().to_owned(),
            },
            rustls::Error::InvalidCertificate(_) => unusable(certificate, &error),
            _ => content(key, format!("its key cannot be used: {error}"), EXPECTED_KEY),
        }
    })?;
    Ok((chain, private))
}

/// Checks that a file's certificate is valid now.
pub(super) fn check_validity(file: &PemFile, own: &Certificate, now: UnixMicros) -> Result<(), TlsError> {
    let file = || file.name().to_owned();
    // The last second counts whole.
    if now.0 / 1_000_000 > own.not_after.0 / 1_000_000 {
        return Err(TlsError::Ended { file: file(), ended: own.not_after, now });
    }
    if now < own.not_before {
        return Err(TlsError::NotBegun { file: file(), begins: own.not_before, now });
    }
    Ok(())
}

const EXPECTED_CERTIFICATE: &str = "a certificate in PEM (-----BEGIN CERTIFICATE-----)";
const EXPECTED_KEY: &str = "a private key in PEM, not encrypted (-----BEGIN PRIVATE KEY-----)";

/// Gives a file's certificates: at least one.
pub(super) fn certificates(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(file.bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| content(file, not_pem(file, &error), EXPECTED_CERTIFICATE))?;
    if found.is_empty() {
        return Err(content(file, not_pem(file, &pem::Error::NoItemsFound), EXPECTED_CERTIFICATE));
    }
    Ok(found)
}

fn private_key(file: &PemFile) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(file.bytes())
        .map_err(|error| content(file, not_pem(file, &error), EXPECTED_KEY))
}

/// Says what is there instead; nothing of a file's content is repeated: it may be a key.
fn not_pem(file: &PemFile, error: &pem::Error) -> String {
    let bytes = file.bytes();
    let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return "the file is empty".into();
    }
    if holds(b"BEGIN ENCRYPTED PRIVATE KEY") {
        return "its key is encrypted".into();
    }
    match error {
        pem::Error::NoItemsFound if holds(b"PRIVATE KEY-----") => "it holds a private key".into(),
        pem::Error::NoItemsFound if holds(b"BEGIN CERTIFICATE-----") => "it holds a certificate".into(),
        pem::Error::NoItemsFound => "it holds nothing of that kind".into(),
        pem::Error::MissingSectionEnd { .. } => "it is cut off before its -----END line".into(),
        _ => "it is damaged: its base64 cannot be read".into(),
    }
}

pub(super) fn content(file: &PemFile, found: String, expected: &'static str) -> TlsError {
    TlsError::Content { file: file.name().to_owned(), found, expected }
}

fn unusable(file: &PemFile, error: &rustls::Error) -> TlsError {
    let found = match error {
        // The library's own words speak of a peer's certificate.
        rustls::Error::InvalidCertificate(why) => format!("its certificate cannot be used ({why})"),
        other => format!("its certificate cannot be used ({other})"),
    };
    content(file, found, "an X.509 certificate of version 3")
}

/// Shows a time in UTC; a time that no calendar holds as its number.
pub fn time(at: UnixMicros) -> String {
    let shown = i64::try_from(at.0).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    shown.map_or_else(|| format!("{} us since 1970", at.0), |shown| format!("{shown:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::ManualClock;
    use crate::wire::certs::{Issued, Validity, issue_ca, issue_client};

    const SECOND: u64 = 1_000_000;
    const BEGIN: u64 = 1_767_225_600 * SECOND;
    const END: u64 = 1_769_904_000 * SECOND;

    fn issued() -> (Issued, Issued, Issued) {
        let validity = Validity { not_before: UnixMicros(BEGIN), not_after: UnixMicros(END) };
        let ca = issue_ca(&"dev".parse().unwrap(), validity).unwrap();
        let client = |uri: &str| issue_client(&ca, &uri.parse().unwrap(), validity).unwrap();
        let (one, other) = (client("urn:resguardo:auditor:a"), client("urn:resguardo:auditor:b"));
        (ca, one, other)
    }

    fn at(us: u64) -> Arc<dyn Clock> {
        Arc::new(ManualClock::at(UnixMicros(us)))
    }

    #[test]
    fn own_certificate_says_who_this_side_is() {
        let (ca, one, _) = issued();
        let [authorities, certificate, key] = [&ca.certificate_pem, &one.certificate_pem, &one.key_pem]
            .map(|pem| PemFile::new("", pem.as_str()));
        let own = Credentials { authorities, certificate, key }.own().unwrap();
        assert_eq!(own.identity.unwrap().to_string(), "urn:resguardo:auditor:a");
        assert_eq!(own.not_after, UnixMicros(END));
    }

    fn told(authorities: &str, certificate: &str, key: &str, now: u64) -> String {
        let credentials = Credentials {
            authorities: PemFile::new("ca.crt", authorities),
            certificate: PemFile::new("own.crt", certificate),
            key: PemFile::new("own.key", key),
        };
        let server = server_config(&credentials, None, at(now)).map(drop);
        assert_eq!(client_config(&credentials, at(now)).map(drop), server, "both sides say the same");
        server.map_or_else(|error| error.to_string(), |()| "accepted".into())
    }

    #[test]
    fn wrong_files_are_told_with_their_name_what_is_there_and_what_is_expected() {
        let (ca, one, other) = issued();
        let (ca, cert, key) = (&ca.certificate_pem, &one.certificate_pem, &one.key_pem);
        let cut = &key[..key.len() / 2];
        let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let damaged = cert.replacen("MII", "M!I", 1);
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let certificate_expected = "; a certificate in PEM (-----BEGIN CERTIFICATE-----) expected";
        let key_expected = "; a private key in PEM, not encrypted (-----BEGIN PRIVATE KEY-----) expected";
        let table: [(&str, &str, &str, String); 11] = [
            (ca, cert, key, "accepted".into()),
            ("", cert, key, format!("ca.crt: the file is empty{certificate_expected}")),
            ("hello", cert, key, format!("ca.crt: it holds nothing of that kind{certificate_expected}")),
            (ca, key, key, format!("own.crt: it holds a private key{certificate_expected}")),
            (ca, &damaged, key, format!("own.crt: it is damaged: its base64 cannot be read{certificate_expected}")),
            (ca, cert, cert, format!("own.key: it holds a certificate{key_expected}")),
            (ca, cert, "\n", format!("own.key: the file is empty{key_expected}")),
            (ca, cert, &encrypted, format!("own.key: its key is encrypted{key_expected}")),
            (ca, cert, cut, format!("own.key: it is cut off before its -----END line{key_expected}")),
            (
                no_certificate,
                cert,
                key,
                "ca.crt: its certificate cannot be used (BadEncoding); \
                 an X.509 certificate of version 3 expected"
                    .into(),
            ),
            (
                ca,
                cert,
                &other.key_pem,
                "own.key is not the key of own.crt: the two come as a pair from one issuing; one of them was changed"
                    .into(),
            ),
        ];
        for (authorities, certificate, key, expected) in table {
            assert_eq!(told(authorities, certificate, key, BEGIN), expected);
        }
    }

    #[test]
    fn own_certificate_outside_its_validity_is_told_with_both_times() {
        let (ca, one, _) = issued();
        let told = |now| told(&ca.certificate_pem, &one.certificate_pem, &one.key_pem, now);
        assert_eq!(told(BEGIN), "accepted");
        assert_eq!(told(END + SECOND - 1), "accepted");
        assert_eq!(
            told(END + SECOND),
            "the certificate in own.crt ended on 2026-02-01T00:00:00Z: ask for a new one \
             (this machine's clock says 2026-02-01T00:00:01Z)"
        );
        assert_eq!(
            told(BEGIN - 1),
            "the certificate in own.crt begins on 2026-01-01T00:00:00Z, but this machine's clock says \
             2025-12-31T23:59:59Z: is the clock right?"
        );
    }
}
