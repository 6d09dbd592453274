//! Who gets in, and what everybody else and the hub are told.

use std::sync::Arc;

use resguardo::model::id::UnixMicros;
use resguardo::model::refusal::Reason;
use resguardo::wire::certs::{Issued, Revocation, Validity, sign_revocations};
use resguardo::wire::client::ConnectLimits;
use resguardo::wire::connect_error::{CertificateRefused, ConnectError, Outcome};
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::revocations::Revocations;
use resguardo::wire::status::CallError;
use resguardo::wire::stranger::StrangerReason;
use resguardo::wire::tls::{Credentials, client_config, server_config};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::hub::{
    DESK, NOW, PATIENCE, Set, TestHub, call, clock, connect_by, connect_to, days, try_in, year,
};

#[tokio::test]
async fn caller_is_who_the_certificate_names() {
    let set = Set::new("a");
    let hub = TestHub::open(&set).await;
    let desk = set.client(DESK);
    let channel = hub.connect(&set.credentials(&desk)).await.unwrap();
    call(&channel).await.unwrap();
    let caller = hub.last_caller();
    assert_eq!(caller.identity.clone().unwrap().to_string(), DESK);
    assert_eq!(caller.connection.0, 1);
    assert_eq!(caller.not_after, days(180));
    assert!(caller.peer.ip().is_loopback());
}

#[tokio::test]
async fn certificates_that_do_not_hold_are_refused_and_both_sides_are_told_why() {
    use CertificateRefused as Client;
    use StrangerReason as Hub;
    let set = Set::new("a");
    let mut hub = TestHub::open(&set).await;
    let ended = set.client_of(DESK, Validity { not_before: UnixMicros(0), not_after: days(0) });
    let begins = set.client_of(DESK, Validity { not_before: days(2), not_after: days(9) });
    let unusable = |alert: &str| Client::Unusable(alert.into());
    let table: [(&str, Issued, UnixMicros, Hub, Client); 7] = [
        ("another authority", Set::new("b").client(DESK), NOW, Hub::UnknownCa, Client::UnknownCa),
        ("another of the same name", Set::new("a").client(DESK), NOW, Hub::UnknownCa, Client::UnknownCa),
        ("expired", ended, days(0), Hub::Expired, Client::NotValidNow),
        ("not yet valid", begins, days(3), Hub::NotYetValid, Client::NotValidNow),
        (
            "a hub's own",
            set.hub(crate::hub::year()),
            NOW,
            Hub::BadCertificate,
            unusable("UnsupportedCertificate"),
        ),
        (
            "signed by a desk",
            signed_by_a_desk(&set),
            NOW,
            Hub::BadCertificate,
            unusable("CertificateUnknown"),
        ),
        ("the authority's own", set.ca.clone(), NOW, Hub::BadCertificate, unusable("CertificateUnknown")),
    ];
    // The hub's clock is a day and a bit on from when the first certificate ended.
    hub.door.config.send(set.server_config(days(1))).unwrap();
    for (case, certificate, client_now, told_hub, told_client) in table {
        let credentials = set.credentials(&certificate);
        let found = connect_to(hub.door.address, &credentials, client_now).await.unwrap_err();
        let address = hub.door.address.to_string();
        assert_eq!(found, ConnectError::Refused { address, why: told_client }, "{case}");
        assert_eq!(found.outcome(), Outcome::Refused, "{case}");
        let stranger = hub.door.stranger().await;
        assert_eq!(stranger.reason, told_hub, "{case}: {stranger:?}");
    }
    assert!(hub.callers.lock().unwrap().is_empty());
    try_in(hub.door.address, &set.credentials(&set.client(DESK)), NOW).await.unwrap();
}

/// A desk signs a certificate for another office and sends its own along.
fn signed_by_a_desk(set: &Set) -> Issued {
    let desk = Set { ca: set.client(DESK) };
    let forged = desk.client("urn:resguardo:office:ohchr-mexico:desk-1");
    Issued { certificate_pem: forged.certificate_pem + &desk.ca.certificate_pem, ..forged }
}

#[tokio::test]
async fn list_that_should_have_been_renewed_still_counts_and_keeps_out_nobody_else() {
    let set = Set::new("a");
    let hub = TestHub::open(&set).await;
    let [revoked, other] = [DESK, "urn:resguardo:office:ohchr-mexico:desk-1"].map(|uri| set.client(uri));
    let [revoked, other] = [revoked, other].map(|issued| set.credentials(&issued));
    let line = Revocation { serial: revoked.own().unwrap().serial, at: NOW };
    let list = sign_revocations(&set.ca, &[line], NOW, days(1)).unwrap();
    let own = set.credentials(&set.hub(year()));
    let list = Revocations::read(&PemFile::new("crl.pem", list), &own.authorities).unwrap();
    // A month after the list should have been followed by another.
    hub.door.config.send(server_config(&own, Some(&list), clock(days(31))).unwrap()).unwrap();
    let found = connect_to(hub.door.address, &revoked, NOW).await.unwrap_err();
    let address = hub.door.address.to_string();
    assert_eq!(found, ConnectError::Refused { address, why: CertificateRefused::Revoked });
    try_in(hub.door.address, &other, NOW).await.unwrap();
}

#[tokio::test]
async fn certificates_that_name_nobody_are_told_so_at_the_first_call() {
    let set = Set::new("a");
    let hub = TestHub::open(&set).await;
    let table: [(&[&str], Reason); 5] = [
        (&[], Reason::IdentityMissing),
        (&[DESK, "urn:resguardo:auditor:iachr"], Reason::IdentityAmbiguous),
        (&["urn:resguardo:office:iachr"], Reason::IdentityMalformed),
        (&["https://iachr.example/desk-1"], Reason::IdentityMalformed),
        (&["urn:resguardo:office:IACHR:desk-1"], Reason::IdentityMalformed),
    ];
    for (uris, reason) in table {
        let credentials = set.credentials(&set.client_with(uris));
        match try_in(hub.door.address, &credentials, NOW).await {
            Err(CallError::Refused(refused)) => {
                assert_eq!(refused.known_reason(), Some(reason), "{uris:?}");
                assert_eq!(refused.retry_after_ms, None, "{uris:?}");
            }
            other => panic!("{uris:?}: {other:?}"),
        }
        assert_eq!(hub.last_caller().identity.clone().map_err(|it| it.reason), Err(reason));
    }
}

#[tokio::test]
async fn clients_that_do_not_speak_as_they_must_are_turned_away() {
    use StrangerReason as Hub;
    let set = Set::new("a");
    let mut hub = TestHub::open(&set).await;
    let own = set.credentials(&set.client(DESK));
    let with_alpn = |alpn: &str| {
        let mut config = Arc::unwrap_or_clone(client_config(&own, clock(NOW)).unwrap());
        config.alpn_protocols = vec![alpn.into()];
        config
    };
    let table: [(&str, ClientConfig, Hub, &str); 4] = [
        (
            "no certificate",
            anonymous(&set, &TLS13),
            Hub::NoCertificate,
            "received fatal alert: CertificateRequired",
        ),
        ("TLS 1.2", anonymous(&set, &TLS12), Hub::TlsVersion, "received fatal alert: ProtocolVersion"),
        ("HTTP/1.1", with_alpn("http/1.1"), Hub::Incompatible, "received fatal alert: NoApplicationProtocol"),
        (
            "hub not trusted",
            anonymous(&Set::new("b"), &TLS13),
            Hub::RefusedByClient,
            "invalid peer certificate: UnknownIssuer",
        ),
    ];
    for (case, config, told_hub, told_client) in table {
        assert_eq!(raw_tls(&hub, config).await, told_client, "{case}");
        assert_eq!(hub.door.stranger().await.reason, told_hub, "{case}");
    }
    // More than the hub reads: closing with bytes unread would reset the socket, and a reset can overtake the alert.
    let long = vec![b'.'; 32 << 10];
    let table: [(&str, &[u8], Hub); 5] = [
        ("plain HTTP", b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n", Hub::NotTls),
        ("much of something else", &long, Hub::NotTls),
        ("plain HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Hub::NotTls),
        ("an alert for a beginning", &[0x15, 3, 3, 0, 2, 2, 40], Hub::RefusedByClient),
        ("half a record", &[0x16, 3, 1, 2, 0, 1], Hub::Closed),
    ];
    for (case, bytes, told_hub) in table {
        let mut socket = TcpStream::connect(hub.door.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("the hub closes").unwrap();
        assert_eq!(hub.door.stranger().await.reason, told_hub, "{case}");
    }
    assert!(hub.callers.lock().unwrap().is_empty());
    try_in(hub.door.address, &own, NOW).await.unwrap();
}

/// A client without a certificate, of one version of TLS.
fn anonymous(trusts: &Set, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let credentials = trusts.credentials(&trusts.ca);
    roots.add(crate::session::der(&credentials.authorities)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What a client sees that shakes hands, greets and reads.
async fn raw_tls(hub: &TestHub, config: ClientConfig) -> String {
    let socket = TcpStream::connect(hub.door.address).await.unwrap();
    let name = ServerName::try_from("hub.example").unwrap();
    let talk = async {
        let mut tls = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
        // Unread bytes at the hub: they must not keep the client from reading why.
        tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        tls.flush().await?;
        tls.read(&mut [0; 64]).await
    };
    match timeout(PATIENCE, talk).await.expect("the hub answers") {
        Ok(read) => format!("read {read} bytes"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn own_certificate_that_ended_is_told_before_anybody_is_asked() {
    let set = Set::new("a");
    let ended = set.client_of(DESK, Validity { not_before: UnixMicros(0), not_after: days(0) });
    let credentials: Credentials = set.credentials(&ended);
    let limits = ConnectLimits::default();
    let found = connect_by("127.0.0.1:1", "hub.example", &credentials, limits, days(1)).await.unwrap_err();
    assert_eq!(found.outcome(), Outcome::Usage);
    assert_eq!(
        found.to_string(),
        "the certificate in own.crt ended on 2026-07-01T00:00:00Z: ask for a new one \
         (this machine's clock says 2026-07-02T00:00:00Z)"
    );
}
