//! How connections end: one alone, no new ones, all of them.

use resguardo::host::tasks::{Tasks as _, TokioTasks};
use resguardo::wire::connect_error::ConnectError;
use resguardo::wire::listener::ListenerLimits;
use resguardo::wire::status::CallError;
use resguardo::wire::tls::client_config;
use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_client::HealthClient;

use crate::hub::{DESK, NOW, PATIENCE, Set, TestDoor, TestHub, call, clock};

const OTHER: &str = "urn:resguardo:auditor:iachr";

/// A stream that says one thing and stays open.
async fn watch(channel: &Channel) -> tonic::Streaming<HealthCheckResponse> {
    let request = HealthCheckRequest { service: String::new() };
    let mut stream = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    stream
}

async fn cut(stream: &mut tonic::Streaming<HealthCheckResponse>) {
    let end = timeout(PATIENCE, stream.message()).await.expect("the stream ends").unwrap_err();
    let end = CallError::from(end);
    assert!(matches!(end, CallError::Unreachable { .. }), "{end:?}");
}

#[tokio::test]
async fn cancelling_a_token_ends_that_connection_at_once_and_another_lives_on() {
    let set = Set::new("a");
    let hub = TestHub::open(&set).await;
    let one = hub.connect(&set.credentials(&set.client(DESK))).await.unwrap();
    let mut of_one = watch(&one).await;
    let token = hub.last_caller().ended.clone();
    let other = hub.connect(&set.credentials(&set.client(OTHER))).await.unwrap();
    let mut of_other = watch(&other).await;
    token.cancel();
    cut(&mut of_one).await;
    call(&other).await.unwrap();
    let other_token = hub.last_caller().ended.clone();
    assert!(!other_token.is_cancelled());
    other_token.cancel();
    cut(&mut of_other).await;
}

#[tokio::test]
async fn cancelling_a_token_ends_a_connection_whose_client_stopped_reading() {
    let set = Set::new("a");
    let (door, mut incoming) = TestDoor::open(set.server_config(NOW), ListenerLimits::default()).await;
    let config = client_config(&set.credentials(&set.client(DESK)), clock(NOW)).unwrap();
    let socket = TcpStream::connect(door.address).await.unwrap();
    let name = ServerName::try_from("hub.example").unwrap();
    let _reads_nothing = TlsConnector::from(config).connect(name, socket).await.unwrap();
    let Ok(mut connection) = incoming.next().await.unwrap();
    let token = connection.caller().ended.clone();
    let (blocked, is_blocked) = tokio::sync::oneshot::channel();
    let writing = TokioTasks::on(Handle::current()).spawn(
        "writing",
        Box::pin(async move {
            let mut blocked = Some(blocked);
            let block = vec![0; 64 << 10];
            let end = loop {
                let mut write = Box::pin(connection.write_all(&block));
                // The socket's buffers take some; then a write waits for the client.
                match futures_poll_once(&mut write).await {
                    Some(Ok(())) => {}
                    Some(Err(error)) => break error,
                    None => {
                        let _ = blocked.take().map(|blocked| blocked.send(()));
                        if let Err(error) = write.await {
                            break error;
                        }
                    }
                }
            };
            assert_eq!(end.kind(), std::io::ErrorKind::ConnectionAborted);
        }),
    );
    is_blocked.await.unwrap();
    token.cancel();
    timeout(PATIENCE, writing).await.expect("the blocked write ends").unwrap();
}

/// Polls once; `None`: it is not done.
async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn stopped_door_lets_nobody_in_leaves_connections_and_then_ends_them_all() {
    let set = Set::new("a");
    // No handshake ends by its deadline here.
    let limits = ListenerLimits { handshake_ms: 60_000, ..ListenerLimits::default() };
    let hub = TestHub::open_with(set.server_config(NOW), limits).await;
    let own = set.credentials(&set.client(DESK));
    let channel = hub.connect(&own).await.unwrap();
    let mut stream = watch(&channel).await;
    let mut under_way = TcpStream::connect(hub.door.address).await.unwrap();
    call(&channel).await.unwrap();
    hub.door.stop.cancel();
    let address = hub.door.address;
    timeout(PATIENCE, hub.door.listener).await.expect("the listener ends").unwrap();
    let closed = timeout(PATIENCE, tokio::io::copy(&mut under_way, &mut tokio::io::sink())).await;
    assert!(closed.is_ok(), "a handshake under way ends");
    let refused = crate::hub::connect_to(address, &own, NOW).await.unwrap_err();
    assert_eq!(refused, ConnectError::NobodyListens { address: address.to_string() });
    call(&channel).await.unwrap();
    hub.door.end.cancel();
    cut(&mut stream).await;
    // The channel finds the connection lost, and the way to a new one closed.
    let lost = call(&channel).await.unwrap_err();
    let expected = ConnectError::NobodyListens { address: address.to_string() };
    assert!(matches!(&lost, CallError::Connect(error) if *error == expected), "{lost:?}");
}
