//! What strangers and clients cannot exceed.

use std::sync::Arc;

use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::model::refusal::Reason;
use resguardo::wire::connect_error::ConnectError;
use resguardo::wire::listener::ListenerLimits;
use resguardo::wire::pace::Pace;
use resguardo::wire::status::CallError;
use resguardo::wire::stranger::StrangerReason;
use resguardo::wire::tls::client_config;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::hub::{DESK, NOW, PATIENCE, Set, TestHub, call, clock, try_in};

async fn hub(set: &Set, limits: ListenerLimits) -> TestHub {
    TestHub::open_with(set.server_config(NOW), limits).await
}

/// Waits until the other side closes.
async fn closed(socket: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let end = timeout(PATIENCE, socket.read_to_end(&mut rest)).await.expect("the hub closes");
    assert!(end.is_err() || rest.len() < 1_024, "{} bytes", rest.len());
}

#[tokio::test]
async fn slow_handshake_is_cut_at_its_deadline_and_holds_up_nobody() {
    let set = Set::new("a");
    let mut hub = hub(&set, ListenerLimits { handshake_ms: 3_000, ..ListenerLimits::default() }).await;
    let mut silent = TcpStream::connect(hub.door.address).await.unwrap();
    let mut slow = TcpStream::connect(hub.door.address).await.unwrap();
    slow.write_all(&[0x16, 3, 1, 2]).await.unwrap();
    let channel = hub.connect(&set.credentials(&set.client(DESK))).await.unwrap();
    call(&channel).await.unwrap();
    assert!(hub.door.no_stranger(), "let in while the other two are still under way");
    closed(&mut silent).await;
    closed(&mut slow).await;
    for _ in 0..2 {
        assert_eq!(hub.door.stranger().await.reason, StrangerReason::TimedOut);
    }
    call(&channel).await.unwrap();
}

#[tokio::test]
async fn more_handshakes_than_the_bound_cost_the_longest_its_place_and_no_office_its_way_in() {
    let set = Set::new("a");
    let limits = ListenerLimits { handshakes_max: 2, handshake_ms: 60_000, ..ListenerLimits::default() };
    let mut hub = hub(&set, limits).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(hub.door.address).await.unwrap());
    }
    try_in(hub.door.address, &set.credentials(&set.client(DESK)), NOW).await.unwrap();
    for socket in &mut silent[..3] {
        let stranger = hub.door.stranger().await;
        assert_eq!(stranger.reason, StrangerReason::TooManyHandshakes);
        assert_eq!(stranger.peer, socket.local_addr().unwrap(), "the one under way for longest");
        closed(socket).await;
    }
    // The fourth is still under way: it may go on.
    let going_on = &mut silent[3];
    going_on.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    closed(going_on).await;
    assert_eq!(hub.door.stranger().await.reason, StrangerReason::NotTls);
}

#[tokio::test]
async fn connections_over_the_bound_are_told_and_far_over_it_closed() {
    let set = Set::new("a");
    let limits = ListenerLimits {
        handshakes_max: 1,
        connections_max: 1,
        handshake_ms: 60_000,
        ..ListenerLimits::default()
    };
    let mut hub = hub(&set, limits).await;
    let own = set.credentials(&set.client(DESK));
    let first = hub.connect(&own).await.unwrap();
    call(&first).await.unwrap();
    let second = hub.connect(&own).await.unwrap();
    let Err(CallError::Refused(refused)) = call(&second).await else { panic!("refused") };
    assert_eq!(refused.known_reason(), Some(Reason::ConnectionsExceeded));
    assert_eq!(refused.retry_after_ms, Some(5_000));
    let third = hub.connect(&own).await.unwrap_err();
    assert!(matches!(third, ConnectError::Cut { .. }), "{third:?}");
    let stranger = hub.door.stranger().await;
    assert_eq!((stranger.reason, stranger.detail.as_str()), (StrangerReason::TooManyConnections, DESK));
    // The place comes back when its connection ends.
    let ended = hub.callers.lock().unwrap()[0].ended.clone();
    drop(first);
    timeout(PATIENCE, ended.cancelled()).await.expect("the connection ends with its channel");
    let again = hub.connect(&own).await.unwrap();
    call(&again).await.unwrap();
}

#[tokio::test]
async fn handshakes_are_computed_no_faster_than_the_bound_and_all_in_the_end() {
    let set = Set::new("a");
    let hub = hub(&set, ListenerLimits { handshakes_per_s: 2, ..ListenerLimits::default() }).await;
    let clock = SystemClock::new();
    let own = set.credentials(&set.client(DESK));
    // Four at once after a pause, then two a second.
    for _ in 0..7 {
        call(&hub.connect(&own).await.unwrap()).await.unwrap();
    }
    let took_us = clock.monotonic_us();
    assert!(took_us > 1_000_000, "seven handshakes took {took_us} us");
}

#[tokio::test]
async fn connections_on_one_pace_are_read_no_faster_than_it_and_to_the_last_call() {
    let set = Set::new("a");
    let clock = Arc::new(SystemClock::new());
    let pace = Arc::new(Pace::new(clock.clone(), 100));
    let hub = TestHub::open_paced(set.server_config(NOW), ListenerLimits::default(), pace).await;
    let own = set.credentials(&set.client(DESK));
    let (one, other) = (hub.connect(&own).await.unwrap(), hub.connect(&own).await.unwrap());
    // A call weighs at least 40: two hundred are saved up, and the other three hundred take three seconds.
    for _ in 0..6 {
        call(&one).await.unwrap();
        call(&other).await.unwrap();
    }
    let took_us = clock.monotonic_us();
    assert!(took_us > 2_000_000, "twelve calls took {took_us} us");
}

#[tokio::test]
async fn refused_connection_ends_by_itself() {
    let set = Set::new("a");
    let hub = hub(&set, ListenerLimits { handshake_ms: 1_000, ..ListenerLimits::default() }).await;
    let known = hub.connect(&set.credentials(&set.client(DESK))).await.unwrap();
    call(&known).await.unwrap();
    let known_caller = hub.last_caller();
    let nobody = hub.connect(&set.credentials(&set.client_with(&[]))).await.unwrap();
    assert!(matches!(call(&nobody).await, Err(CallError::Refused(_))));
    let ended = hub.last_caller().ended.clone();
    timeout(PATIENCE, ended.cancelled()).await.expect("the connection ends");
    // One who is known, and came before, stays.
    assert!(!known_caller.ended.is_cancelled());
    call(&known).await.unwrap();
    assert_eq!(hub.last_caller().connection, known_caller.connection);
}

#[tokio::test]
async fn connection_that_says_nothing_after_its_handshake_is_ended() {
    let set = Set::new("a");
    let hub = hub(&set, ListenerLimits { handshake_ms: 1_000, ..ListenerLimits::default() }).await;
    let config = client_config(&set.credentials(&set.client(DESK)), clock(NOW)).unwrap();
    let socket = TcpStream::connect(hub.door.address).await.unwrap();
    let name = ServerName::try_from("hub.example").unwrap();
    let mut tls = TlsConnector::from(config).connect(name, socket).await.unwrap();
    closed(&mut tls).await;
}
