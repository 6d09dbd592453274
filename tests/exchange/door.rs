//! Who is let in through the door of TLS, and what it costs to be kept out.

use std::sync::Arc;
use std::time::Duration;

use resguardo::wire::connect_error::{CertificateRefused, ConnectError};
use rustls::AlertDescription;
use rustls::HandshakeKind;
use rustls::NamedGroup;
use rustls::crypto::aws_lc_rs::kx_group::{X25519, X25519MLKEM768};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::IACHR;
use crate::stage::authority::{Authority, Papers, When};
use crate::stage::client::{Desk, knock};
use crate::stage::raw::{alert, send_plain, shake_hands, tls};
use crate::stage::{Setup, Stage};

const DESK: &str = "urn:resguardo:office:iachr:desk-1";

/// A `ClientHello` of TLS 1.2 (RFC 5246, section 7.4.1.2): two suites, two groups, three signature schemes.
fn client_hello_of_tls_1_2() -> Vec<u8> {
    let extensions: &[u8] = &[
        0x00, 0x0a, 0x00, 0x06, 0x00, 0x04, 0x00, 0x1d, 0x00, 0x17, // groups: x25519, secp256r1
        0x00, 0x0b, 0x00, 0x02, 0x01, 0x00, // point formats: uncompressed
        0x00, 0x0d, 0x00, 0x08, 0x00, 0x06, 0x04, 0x03, 0x08, 0x04, 0x04, 0x01, // signatures
    ];
    let mut body = vec![0x03, 0x03];
    body.extend([7; 32]);
    body.extend([0x00, 0x00, 0x04, 0xc0, 0x2b, 0xc0, 0x2f, 0x01, 0x00, 0x00]);
    body.push(u8::try_from(extensions.len()).expect("short"));
    body.extend(extensions);
    let length = u8::try_from(body.len()).expect("short");
    let mut record = vec![0x16, 0x03, 0x01, 0x00, length + 4, 0x01, 0x00, 0x00, length];
    record.extend(body);
    record
}

async fn refused(stage: &Stage, papers: &Papers) -> CertificateRefused {
    match knock(stage, papers).await {
        Err(ConnectError::Refused { why, .. }) => why,
        other => panic!("the hub was to refuse the certificate; {other:?}"),
    }
}

#[tokio::test]
async fn tls_1_2_is_refused_by_its_version() {
    let stage = Stage::open().await;
    let answer = send_plain(&stage.address(), &client_hello_of_tls_1_2()).await;
    // An alert (21), fatal (2), protocol_version (70): RFC 8446, section 6.2.
    assert_eq!(
        (answer.first(), answer.get(5), answer.get(6)),
        (Some(&21), Some(&2), Some(&70)),
        "{answer:02x?}"
    );
    stage.desk(IACHR).await.directory().await.unwrap();
}

#[tokio::test]
async fn client_without_a_certificate_is_refused() {
    let stage = Stage::open().await;
    let config = Arc::new(tls(stage.authority.pem(), None, &[]));
    let error = shake_hands(&stage.address(), config).await.unwrap_err();
    assert_eq!(alert(&error), Some(AlertDescription::CertificateRequired), "{error:?}");
}

#[tokio::test]
async fn certificates_of_others_of_yesterday_and_of_tomorrow_are_refused_each_with_its_reason() {
    let stage = Stage::open().await;
    let ours = &stage.authority;
    let stranger = ours.trusting(&Authority::new("somebody-else").client(DESK));
    assert_eq!(refused(&stage, &stranger).await, CertificateRefused::UnknownCa);
    let namesake = ours.trusting(&Authority::new("stage").client(DESK));
    assert_eq!(refused(&stage, &namesake).await, CertificateRefused::UnknownCa);
    for when in [When::Past, When::Future] {
        // Our own client checks its own certificate first; a stranger's would not.
        let papers = ours.client_when(DESK, when);
        let config = Arc::new(tls(ours.pem(), Some(&papers), &[]));
        let error = shake_hands(&stage.address(), config).await.unwrap_err();
        assert_eq!(alert(&error), Some(AlertDescription::CertificateExpired), "{error:?}");
    }
    // A hub's certificate is no client's.
    let config = Arc::new(tls(ours.pem(), Some(&ours.hub()), &[]));
    let error = shake_hands(&stage.address(), config).await.unwrap_err();
    assert!(alert(&error).is_some(), "{error:?}");
    stage.desk(IACHR).await.directory().await.unwrap();
}

#[tokio::test]
async fn key_exchange_is_the_post_quantum_hybrid_wherever_the_client_has_it() {
    let stage = Stage::open().await;
    let papers = stage.authority.client(DESK);
    for (groups, expected) in [
        (vec![], NamedGroup::X25519MLKEM768),
        (vec![X25519MLKEM768, X25519], NamedGroup::X25519MLKEM768),
        (vec![X25519], NamedGroup::X25519),
    ] {
        let config = Arc::new(tls(stage.authority.pem(), Some(&papers), &groups));
        let tls = shake_hands(&stage.address(), config).await.unwrap();
        let found = tls.get_ref().1.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(found, expected, "the client offers {groups:?}");
    }
}

#[tokio::test]
async fn no_session_is_resumed() {
    let stage = Stage::open().await;
    let papers = stage.authority.client(DESK);
    let config = Arc::new(tls(stage.authority.pem(), Some(&papers), &[]));
    for _ in 0..3 {
        let tls = shake_hands(&stage.address(), config.clone()).await.unwrap();
        let kind = tls.get_ref().1.handshake_kind();
        assert!(
            matches!(kind, Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)),
            "a whole handshake was expected, not {kind:?}"
        );
    }
}

/// Far more than the handshake's time that tests configure, and less than the hub's own 20 s.
const CONFIGURED: Duration = Duration::from_secs(15);

/// Opens sockets that never say a word.
async fn silent(stage: &Stage, count: usize) -> JoinSet<()> {
    let mut closed = JoinSet::new();
    for _ in 0..count {
        let mut socket = TcpStream::connect(stage.address()).await.expect("the hub listens");
        closed.spawn(async move {
            let _ = socket.read_to_end(&mut Vec::new()).await;
        });
    }
    closed
}

#[tokio::test]
async fn silent_sockets_hold_up_nobody_and_are_closed_in_time() {
    let stage = Stage::open_with(Setup::limits("handshakes_max = 64\nhandshake_ms = 3000")).await;
    let mut closed = silent(&stage, 32).await;
    stage.desk(IACHR).await.directory().await.unwrap();
    for _ in 0..32 {
        let ended = timeout(CONFIGURED, closed.join_next()).await;
        ended.expect("a silent socket is closed in the time that is configured").unwrap().unwrap();
    }
}

#[tokio::test]
async fn handshakes_at_once_are_bounded_and_an_office_still_gets_in() {
    let stage = Stage::open_with(Setup::limits("handshakes_max = 4\nhandshake_ms = 120000")).await;
    let mut closed = silent(&stage, 40).await;
    for _ in 0..36 {
        // Well before the deadline of a handshake: it is the bound that closes it.
        let ended = timeout(Duration::from_mins(1), closed.join_next()).await;
        ended.expect("a socket beyond the bound is closed").unwrap().unwrap();
    }
    stage.desk(IACHR).await.directory().await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_trickles_in_is_cut_at_its_deadline() {
    let stage = Stage::open_with(Setup::limits("handshake_ms = 2000")).await;
    let hello = client_hello_of_tls_1_2();
    let mut socket = TcpStream::connect(stage.address()).await.unwrap();
    let mut beats = tokio::time::interval(Duration::from_millis(100));
    let cut = async {
        let (mut down, mut up) = socket.split();
        let reading = async move { down.read_to_end(&mut Vec::new()).await.map(|_| ()) };
        // Never the last byte: the record stays incomplete for as long as anybody waits for it.
        let writing = async {
            for byte in &hello[..hello.len() - 1] {
                beats.tick().await;
                tokio::io::AsyncWriteExt::write_all(&mut up, &[*byte]).await?;
            }
            std::future::pending::<std::io::Result<()>>().await
        };
        tokio::select! { end = reading => end, end = writing => end }
    };
    let _ =
        timeout(CONFIGURED, cut).await.expect("a trickling handshake is cut in the time that is configured");
    stage.desk(IACHR).await.directory().await.unwrap();
}

#[tokio::test]
async fn every_desk_of_an_office_gets_in_over_connections_of_its_own() {
    let stage = Stage::open().await;
    for desk in ["desk-1", "desk-2", "night"] {
        let desk: Desk = stage.desk_named(IACHR, desk).await;
        desk.directory().await.unwrap();
    }
}
