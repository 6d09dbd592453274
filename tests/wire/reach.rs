//! What a client is told that does not reach its hub, or reaches somebody else.

use std::time::Duration;

use resguardo::model::id::UnixMicros;
use resguardo::wire::certs::Validity;
use resguardo::wire::client::ConnectLimits;
use resguardo::wire::connect_error::{CertificateRefused, ConnectError, HubNotTrusted, Outcome};
use resguardo::wire::listener::ListenerLimits;
use resguardo::wire::status::CallError;
use resguardo::wire::tls::server_config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::hub::{DESK, NOW, PATIENCE, Set, TestHub, call, clock, connect_by, connect_to, days, year};

#[tokio::test]
async fn hub_that_may_be_somebody_else_is_not_trusted_and_the_reason_is_told() {
    use HubNotTrusted as Why;
    let (set, client_now) = (Set::new("a"), days(1));
    let own = set.credentials(&set.client(DESK));
    let past = Validity { not_before: UnixMicros(0), not_after: days(0) };
    let future = Validity { not_before: days(2), not_after: days(9) };
    let not_a_hub = "certificate does not allow extended key usage for server authentication, \
                     allows client authentication";
    let (other, renamed) = (Set::new("b"), Set::new("a"));
    let wrong_name = |expected: &str| Why::WrongName {
        expected: expected.into(),
        presented: vec!["hub.example".into(), "127.0.0.1".into()],
    };
    let table = [
        ("another authority", other.credentials(&other.hub(year())), NOW, "hub.example", Why::UnknownCa),
        ("of the same name", renamed.credentials(&renamed.hub(year())), NOW, "hub.example", Why::UnknownCa),
        ("ended", set.credentials(&set.hub(past)), NOW, "hub.example", Why::Ended(days(0))),
        ("not begun", set.credentials(&set.hub(future)), days(3), "hub.example", Why::NotBegun(days(2))),
        ("another name", set.credentials(&set.hub(year())), NOW, "mail.example", wrong_name("mail.example")),
        ("another address", set.credentials(&set.hub(year())), NOW, "127.0.0.2", wrong_name("127.0.0.2")),
        ("a desk", set.credentials(&set.client(DESK)), NOW, "hub.example", Why::Unusable(not_a_hub.into())),
    ];
    for (case, hub, hub_now, name, why) in table {
        let config = server_config(&hub, None, clock(hub_now)).unwrap();
        let hub = TestHub::open_with(config, ListenerLimits::default()).await;
        let address = hub.door.address.to_string();
        let limits = ConnectLimits::default();
        let found = connect_by(&address, name, &own, limits, client_now).await.unwrap_err();
        assert_eq!(found, ConnectError::NotTrusted { address, why }, "{case}");
        assert_eq!(found.outcome(), Outcome::Integrity, "{case}");
    }
}

#[tokio::test]
async fn hub_is_reached_by_its_ip_address_when_the_certificate_names_it() {
    let set = Set::new("a");
    let hub = TestHub::open(&set).await;
    let own = set.credentials(&set.client(DESK));
    let (address, limits) = (hub.door.address.to_string(), ConnectLimits::default());
    call(&connect_by(&address, "127.0.0.1", &own, limits, NOW).await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn no_way_to_a_hub_is_told_apart_by_what_stands_in_it() {
    let set = Set::new("a");
    let own = set.credentials(&set.client(DESK));
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (silent_at, gone_at) =
        (silent.local_addr().unwrap().to_string(), gone.local_addr().unwrap().to_string());
    drop(gone);
    let no_host = format!("{}:443", "a".repeat(300));
    let limits = ConnectLimits { connect_ms: 300, ..ConnectLimits::default() };
    let limit = Duration::from_millis(300);
    let expected = "a hub's address: host:port expected";
    let not_an_address = |found: &str| ConnectError::Address { found: found.into(), expected };
    let table = [
        (
            silent_at.as_str(),
            ConnectError::TimedOut { address: silent_at.clone(), limit },
            Outcome::Unreachable,
        ),
        (gone_at.as_str(), ConnectError::NobodyListens { address: gone_at.clone() }, Outcome::Unreachable),
        ("localhost", not_an_address("localhost"), Outcome::Usage),
        ("a b:1", not_an_address("a b:1"), Outcome::Usage),
        ("", not_an_address(""), Outcome::Usage),
    ];
    for (address, expected, outcome) in table {
        let found = connect_by(address, "hub.example", &own, limits, NOW).await.unwrap_err();
        assert_eq!(found, expected);
        assert_eq!(found.outcome(), outcome, "{found}");
    }
    let found = connect_by(&no_host, "hub.example", &own, limits, NOW).await.unwrap_err();
    assert!(matches!(found, ConnectError::NameNotFound { .. }), "{found:?}");
    let found = connect_by(&silent_at, "not a name", &own, limits, NOW).await.unwrap_err();
    assert_eq!(found.to_string(), "\"not a name\" is not a hub's DNS name or IP address");
}

#[tokio::test]
async fn what_answers_but_is_no_hub_is_told() {
    let set = Set::new("a");
    let own = set.credentials(&set.client(DESK));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let (socket, _) = listener.accept().await.unwrap();
        drop(socket);
    };
    let asking = async {
        let found = connect_to(address, &own, NOW).await.unwrap_err();
        assert!(matches!(found, ConnectError::NotAHub { .. }), "{found:?}");
        let found = connect_to(address, &own, NOW).await.unwrap_err();
        assert!(matches!(found, ConnectError::Cut { .. }), "{found:?}");
        assert_eq!(found.outcome(), Outcome::Unreachable);
    };
    timeout(PATIENCE, Box::pin(async { tokio::join!(answering, asking) })).await.expect("both end");
}

#[tokio::test]
async fn channel_connects_again_by_itself_and_a_refusal_then_is_told_as_one() {
    let set = Set::new("a");
    let mut hub = TestHub::open(&set).await;
    let channel = hub.connect(&set.credentials(&set.client(DESK))).await.unwrap();
    call(&channel).await.unwrap();
    let cut_off = |hub: &TestHub| {
        let token = hub.last_caller().ended.clone();
        token.cancel();
    };
    cut_off(&hub);
    lost(&channel).await;
    call(&channel).await.unwrap();
    assert_eq!(hub.last_caller().connection.0, 2);
    // The hub has ended its trust in the authority by the time that the channel comes again.
    let other = Set::new("b");
    let mut pair = other.credentials(&set.hub(year()));
    pair.authorities = other.credentials(&other.ca).authorities;
    hub.door.config.send(server_config(&pair, None, clock(NOW)).unwrap()).unwrap();
    cut_off(&hub);
    let address = hub.door.address.to_string();
    let expected = ConnectError::Refused { address, why: CertificateRefused::UnknownCa };
    let noticed = async {
        loop {
            match call(&channel).await {
                Err(CallError::Unreachable { .. }) => {}
                other => break other,
            }
        }
    };
    let found = timeout(PATIENCE, noticed).await.expect("the channel comes again");
    assert_eq!(found, Err(CallError::Connect(expected)));
    assert_eq!(hub.door.stranger().await.reason.name(), "UNKNOWN_CA");
}

/// Waits until the channel has noticed that its connection is lost, by a call that fails, or finds it mended already.
async fn lost(channel: &tonic::transport::Channel) {
    if let Err(error) = call(channel).await {
        assert!(matches!(error, CallError::Unreachable { .. }), "{error:?}");
    }
}
