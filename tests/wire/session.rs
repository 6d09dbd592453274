//! What the two sides agree on in a handshake.

use std::sync::{Arc, Mutex};

use resguardo::host::clock::{Clock, ManualClock};
use resguardo::wire::listener::ListenerLimits;
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::tls::client_config;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore, SignatureScheme};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::hub::{DESK, NOW, PATIENCE, Set, TestDoor, TestHub, call, clock, try_in};

pub(crate) fn der(file: &PemFile) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(file.bytes()).unwrap()
}

async fn shake_hands(door: &TestDoor, config: Arc<ClientConfig>) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(door.address).await.unwrap();
    let name = ServerName::try_from("hub.example").unwrap();
    TlsConnector::from(config).connect(name, socket).await.unwrap()
}

/// A client with a certificate that would resume if it could, with these groups.
fn lenient(set: &Set, groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>) -> ClientConfig {
    let own = set.credentials(&set.client(DESK));
    let mut roots = RootCertStore::empty();
    roots.add(der(&own.authorities)).unwrap();
    let provider = CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![der(&own.certificate)],
            PrivateKeyDer::from_pem_slice(own.key.bytes()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::in_memory_sessions(8);
    config.enable_early_data = true;
    config
}

#[tokio::test]
async fn hub_and_client_agree_on_tls_1_3_with_the_hybrid_group() {
    let set = Set::new("a");
    let hub = TestHub::open(&set).await;
    let config = client_config(&set.credentials(&set.client(DESK)), clock(NOW)).unwrap();
    let tls = shake_hands(&hub.door, config).await;
    let session = tls.get_ref().1;
    assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full), "in one round trip");
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), Some(b"h2".as_slice()));
    // A client in another language that has no hybrid group yet gets in too.
    let classical = Arc::new(lenient(&set, vec![kx_group::SECP256R1]));
    let tls = shake_hands(&hub.door, classical).await;
    let group = tls.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::secp256r1);
}

#[tokio::test]
async fn second_connection_of_a_client_that_would_resume_is_a_full_handshake() {
    let set = Set::new("a");
    let hub = TestHub::open(&set).await;
    let config = Arc::new(lenient(&set, vec![kx_group::X25519MLKEM768]));
    for _ in 0..3 {
        let mut tls = shake_hands(&hub.door, config.clone()).await;
        // A ticket would come before the hub's first bytes.
        timeout(PATIENCE, tls.read(&mut [0; 64])).await.expect("the hub speaks first").unwrap();
        let session = tls.get_ref().1;
        assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn new_configuration_counts_from_the_next_handshake_and_leaves_connections_alone() {
    let (old, new) = (Set::new("a"), Set::new("b"));
    let mut hub = TestHub::open(&old).await;
    let of_old = old.credentials(&old.client(DESK));
    let channel = hub.connect(&of_old).await.unwrap();
    call(&channel).await.unwrap();
    hub.door.config.send(new.server_config(NOW)).unwrap();
    call(&channel).await.unwrap();
    assert!(try_in(hub.door.address, &of_old, NOW).await.is_err());
    hub.door.stranger().await;
    try_in(hub.door.address, &new.credentials(&new.client(DESK)), NOW).await.unwrap();
}

#[tokio::test]
async fn validity_is_judged_by_the_handed_in_clock_at_each_handshake() {
    let set = Set::new("a");
    let time = Arc::new(ManualClock::at(NOW));
    let server = set.credentials(&set.hub(crate::hub::year()));
    let config = resguardo::wire::tls::server_config(&server, None, time.clone()).unwrap();
    let mut hub = TestHub::open_with(config, ListenerLimits::default()).await;
    let own = set.credentials(&set.client(DESK));
    try_in(hub.door.address, &own, NOW).await.unwrap();
    time.advance_us(200 * 86_400 * 1_000_000);
    assert!(time.now() > crate::hub::days(180));
    assert!(try_in(hub.door.address, &own, NOW).await.is_err());
    assert_eq!(hub.door.stranger().await.reason.name(), "EXPIRED");
}

/// Keeps the names of authorities that a hub asks for, and shows no certificate.
#[derive(Debug, Default)]
struct Asked(Mutex<Option<usize>>);

impl ResolvesClientCert for Asked {
    fn resolve(&self, authorities: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        *self.0.lock().unwrap() = Some(authorities.len());
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn strangers_are_not_told_whom_the_hub_trusts() {
    let set = Set::new("a");
    let hub = TestHub::open(&set).await;
    let asked = Arc::new(Asked::default());
    let mut config = lenient(&set, vec![kx_group::X25519MLKEM768]);
    config.client_auth_cert_resolver = asked.clone();
    shake_hands(&hub.door, Arc::new(config)).await;
    assert_eq!(*asked.0.lock().unwrap(), Some(0), "a certificate is asked for, of no authority by name");
}
