//! An authority and the certificates that it signs, right ones and wrong ones.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use std::io::Write as _;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::model::id::UnixMicros;
use resguardo::model::identity::Identity;
use resguardo::wire::certs::{HubAddress, Issued, Validity, issue_ca, issue_client, issue_server};
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::tls::Credentials;

const DAY_US: u64 = 86_400_000_000;

/// When a certificate is valid, seen from now.
#[derive(Clone, Copy)]
pub(crate) enum When {
    /// From yesterday to tomorrow.
    Now,
    /// Until an hour ago.
    Past,
    /// From an hour hence.
    Future,
}

impl When {
    fn validity(self) -> Validity {
        let now = now_us();
        let hour = DAY_US / 24;
        let (from, to) = match self {
            Self::Now => (now - DAY_US, now + DAY_US),
            Self::Past => (now - DAY_US, now - hour),
            Self::Future => (now + hour, now + DAY_US),
        };
        Validity { not_before: UnixMicros(from), not_after: UnixMicros(to) }
    }
}

/// Microseconds since 1970, by this machine's clock.
pub(crate) fn now_us() -> u64 {
    SystemClock::new().now().0
}

/// An authority.
pub(crate) struct Authority {
    ca: Issued,
}

/// A certificate with its key, and the authority that its holder trusts, each in PEM.
#[derive(Clone)]
pub(crate) struct Papers {
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) authority: String,
}

impl Authority {
    /// A new authority of a name; two of the same name have different keys.
    pub(crate) fn new(name: &str) -> Self {
        let name = name.parse().expect("a name");
        Self { ca: issue_ca(&name, When::Now.validity()).expect("an authority can be made") }
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.ca.certificate_pem
    }

    /// The hub's papers.
    pub(crate) fn hub(&self) -> Papers {
        let addresses = [HubAddress::Dns("localhost".into()), HubAddress::Ip(IpAddr::from([127, 0, 0, 1]))];
        let name = "stage".parse().expect("a name");
        self.papers(issue_server(&self.ca, &name, &addresses, When::Now.validity()).expect("a certificate"))
    }

    /// The papers of an identity.
    pub(crate) fn client(&self, identity: &str) -> Papers {
        self.client_when(identity, When::Now)
    }

    /// The papers of an identity, valid at some time.
    pub(crate) fn client_when(&self, identity: &str, when: When) -> Papers {
        let identity: Identity = identity.parse().expect("an identity");
        self.papers(issue_client(&self.ca, &identity, when.validity()).expect("a certificate"))
    }

    /// A client's papers with these names in the certificate, whatever they are.
    pub(crate) fn client_of(&self, uris: &[&str], others: Vec<SanType>) -> Papers {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "somebody");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2099, 1, 1);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = others;
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ASCII")));
        params.subject_alt_names.extend(uris);
        let ca_key = KeyPair::from_pem(&self.ca.key_pem).expect("the authority's key");
        let issuer = Issuer::from_ca_cert_pem(&self.ca.certificate_pem, ca_key).expect("the authority");
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        self.papers(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// Papers of this authority for somebody who trusts another.
    pub(crate) fn trusting(&self, papers: &Papers) -> Papers {
        Papers { authority: self.pem().to_owned(), ..papers.clone() }
    }

    fn papers(&self, issued: Issued) -> Papers {
        Papers { certificate: issued.certificate_pem, key: issued.key_pem, authority: self.pem().to_owned() }
    }
}

impl Papers {
    /// As the library's client takes them.
    pub(crate) fn credentials(&self) -> Credentials {
        Credentials {
            authorities: PemFile::new("ca.pem", self.authority.as_bytes()),
            certificate: PemFile::new("cert.pem", self.certificate.as_bytes()),
            key: PemFile::new("key.pem", self.key.as_bytes()),
        }
    }

    /// Writes them into a folder, as a home holds them.
    pub(crate) fn write(&self, folder: &Path) {
        fs::create_dir_all(folder).expect("the folder can be made");
        let texts = [("ca.pem", &self.authority), ("cert.pem", &self.certificate), ("key.pem", &self.key)];
        for (name, text) in texts {
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(folder.join(name)).expect("the file can be made");
            file.write_all(text.as_bytes()).expect("the file can be written");
        }
    }
}
