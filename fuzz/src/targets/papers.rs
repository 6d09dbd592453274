//! Certificates, and the files that offices, an authority and registrars hand to each other: requests, bundles, revocation lists,
//! renewals, keys.
//!
//! The first byte chooses. DER comes as it is and is put into PEM here, so that what is changed is what is parsed.

use std::sync::LazyLock;

use crate::exchange::NOW;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use resguardo::host::clock::ManualClock;
use resguardo::model::fact::Fact;
use resguardo::seal::key_file::KeyFile;
use resguardo::seal::{OpeningKey, SigningKey};
use resguardo::wire::chain::Chain;
use resguardo::wire::key_request::{KeyRequest, read_registrar, registrar_text};
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::renewal::{self, Renewal};
use resguardo::wire::request::{Request, fingerprint_of_key};
use resguardo::wire::revocations::Revocations;
use resguardo::wire::tls::first_certificate;

/// The authority of the seeds.
static AUTHORITY: LazyLock<PemFile> =
    LazyLock::new(|| PemFile::new("ca.pem", *include_bytes!("../../seeds/papers/authority.pem")));

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 8 {
        0 => certificate(&pem("CERTIFICATE", rest)),
        1 => {
            let _ = Request::read(&pem("CERTIFICATE REQUEST", rest)).map(|it| it.fingerprint());
        }
        2 => revocations(&pem("X509 CRL", rest)),
        3 => {
            if let Ok(read) = Renewal::read(rest) {
                assert_eq!(read.certificate.identity, Ok(read.identity.clone()));
                let _ = read.follows(&AUTHORITY);
            }
        }
        4 => {
            if let Ok((requests, answers)) = renewal::read_file("file", rest) {
                let again = renewal::file(requests.clone(), answers.clone());
                assert_eq!(renewal::read_file("file", &again), Ok((requests, answers)));
            }
        }
        5 => file(&PemFile::new("file.pem", rest)),
        6 => keys(rest),
        _ => {
            if let Ok(KeyFile::Plain(..)) = KeyFile::parse(rest) {
                assert!(!rest.is_empty());
            }
        }
    }
}

fn pem(label: &str, der: &[u8]) -> PemFile {
    let text = STANDARD.encode(der);
    PemFile::new("file.pem", format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n"))
}

fn certificate(file: &PemFile) {
    let Ok(read) = first_certificate(file) else { return };
    assert_eq!(first_certificate(file), Ok(read.clone()));
    if let Ok(identity) = read.identity {
        assert_eq!(identity.to_string().parse(), Ok(identity));
    }
}

fn revocations(file: &PemFile) {
    if let Ok(list) = Revocations::read(file, &AUTHORITY) {
        assert_eq!(list.len(), 1, "the authority has signed one list alone");
    }
}

/// A file as it came, which may hold anything in PEM.
fn file(file: &PemFile) {
    certificate(file);
    revocations(file);
    let _ = Request::read(file);
    let _ = fingerprint_of_key(file);
    // What is installed of a bundle is what was looked at.
    if let Ok(chain) = Chain::read(file, &ManualClock::at(NOW)) {
        let own = first_certificate(&PemFile::new("own", chain.own_pem)).expect("it was one before");
        assert_eq!(own, chain.certificate);
        let authority = first_certificate(&PemFile::new("authority", chain.authority_pem));
        assert_eq!(authority.expect("it was one before").fingerprint, chain.authority);
    }
}

/// Keys as text: of a desk, of a registrar, alone.
fn keys(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(request) = KeyRequest::parse(text) {
        let again = KeyRequest::parse(&request.to_text()).expect("it was one before");
        assert_eq!((again.keys, again.recipient), (request.keys, request.recipient));
    }
    if let Ok(Fact::Registrar { name, institution, key }) = read_registrar(text) {
        let again = read_registrar(&registrar_text(&name, &institution, &key));
        assert_eq!(again, Ok(Fact::Registrar { name, institution, key }));
    }
    if let Ok(key) = SigningKey::from_text(text) {
        let again = SigningKey::from_text(&key.to_text()).expect("it was one before");
        assert_eq!(again.verifying_key().id(), key.verifying_key().id());
    }
    if let Ok(key) = OpeningKey::from_text(text) {
        let again = OpeningKey::from_text(&key.to_text()).expect("it was one before");
        assert_eq!(again.recipient().to_bytes(), key.recipient().to_bytes());
    }
}
