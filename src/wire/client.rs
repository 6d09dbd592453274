//! A client's connection to its hub.
//!
//! Owns connecting, and connecting again when the channel finds the connection lost. Never retries a call: what was
//! handed in and not answered is handed in again by who kept its bytes.
//!
//! In TLS 1.3 a client is done before the hub has looked at its certificate (RFC 8446, section 2), so a refusal comes
//! with the first bytes read. HTTP/2 keeps of an error its text alone. So a connection counts as made when the hub's
//! first bytes are there: a hub speaks first (its SETTINGS, RFC 9113, section 3.4). It costs a round trip, which a first
//! call would have cost, and every refusal is told as what it is, also when connecting again.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::AsyncBufReadExt as _;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::connect_error::{ConnectError, chain};
use super::line::{Line, Silence};
use super::tls::{Credentials, client_config};
use crate::host::clock::Clock;
use crate::host::network::{Network, Socket, TcpNetwork};

/// Bytes that a stream, and a connection, may have on the way unread: 100 Mbit/s at a round trip of 300 ms.
pub const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// See [`STREAM_WINDOW_BYTES`].
pub const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// Milliseconds after which either side pings the other that says nothing: its answer comes before it has been silent for too long. With
/// less, an idle link comes to 2 MB a day, headers included.
pub const PING_EVERY_MS: u64 = 22_000;

/// How long a ping may wait for its answer: longer than a silence that is borne, which is what tells that a line is dead.
pub const PING_TIMEOUT: Duration = Duration::from_mins(10);

/// What a client waits for, and how it notices that a connection is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectLimits {
    /// Milliseconds for finding the name, connecting, shaking hands and the hub's first bytes, together.
    pub connect_ms: u64,
    /// Milliseconds between two pings.
    pub keepalive_ms: u64,
    /// How long the hub may be silent before the connection counts as lost.
    pub silence: Silence,
    /// Bytes that a stream may have on the way unread. Windows smaller than line speed times round trip slow a line down;
    /// they are also the memory that a peer can claim.
    pub stream_window_bytes: u32,
    /// And all streams of the connection together.
    pub connection_window_bytes: u32,
}

impl ConnectLimits {
    /// For a connection that moves files: 2 MiB on the way, so that a transfer stays within 8 MiB of memory in all. That
    /// fills 50 Mbit/s at a round trip of 300 ms.
    pub fn for_files() -> Self {
        let window_bytes = 2 << 20;
        Self { stream_window_bytes: window_bytes, connection_window_bytes: window_bytes, ..Self::default() }
    }
}

impl Default for ConnectLimits {
    fn default() -> Self {
        Self {
            // At 9,600 bit/s with 2 s latency it takes 15 s, and twice that while something else goes over the same line.
            connect_ms: 60_000,
            keepalive_ms: PING_EVERY_MS,
            silence: Silence::default(),
            stream_window_bytes: STREAM_WINDOW_BYTES,
            connection_window_bytes: CONNECTION_WINDOW_BYTES,
        }
    }
}

/// Connects to a hub at `address` (`host:port`), whose certificate must be for `server_name`, a DNS name or IP address.
///
/// When the connection is lost later, the channel connects again by itself at the next call; a failure then stands as a
/// [`ConnectError`] among the sources of that call's status.
///
/// # Errors
/// Each of [`ConnectError`].
pub async fn connect(
    address: &str,
    server_name: &str,
    credentials: &Credentials,
    limits: ConnectLimits,
    clock: Arc<dyn Clock>,
) -> Result<Channel, ConnectError> {
    let connecting = connect_over(Arc::new(TcpNetwork), (address, server_name), credentials, limits, clock);
    // Whoever calls this has it in a future of its own, which is large enough.
    Box::pin(connecting).await
}

/// The same over a given network.
///
/// # Errors
/// Each of [`ConnectError`].
pub async fn connect_over(
    network: Arc<dyn Network>,
    (address, server_name): (&str, &str),
    credentials: &Credentials,
    limits: ConnectLimits,
    clock: Arc<dyn Clock>,
) -> Result<Channel, ConnectError> {
    let connector = Connector {
        network,
        address: address.into(),
        server_name: ServerName::try_from(server_name.to_owned()).map_err(|_| ConnectError::Address {
            found: server_name.to_owned(),
            expected: "a hub's DNS name or IP address",
        })?,
        config: client_config(credentials, clock)?,
        limit: Duration::from_millis(limits.connect_ms),
        silence: limits.silence,
    };
    let channel = endpoint(address, limits)?.connect_with_connector(connector).await;
    channel.map_err(|error| {
        let found = chain(&error).find_map(|error| error.downcast_ref::<ConnectError>());
        let cut = || ConnectError::Cut { address: address.to_owned(), message: error.to_string() };
        found.cloned().unwrap_or_else(cut)
    })
}

fn endpoint(address: &str, limits: ConnectLimits) -> Result<Endpoint, ConnectError> {
    let not_an_address = || ConnectError::Address { found: address.to_owned(), expected: EXPECTED_ADDRESS };
    let origin: Uri = format!("https://{address}").parse().map_err(|_| not_an_address())?;
    // With https here the library would look for its own TLS; ours is in the connector.
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(|_| not_an_address())?;
    Ok(endpoint
        .origin(origin)
        .http2_keep_alive_interval(Duration::from_millis(limits.keepalive_ms))
        .keep_alive_timeout(PING_TIMEOUT)
        // An office that waits for alerts must notice a dead line before it has something to send.
        .keep_alive_while_idle(true)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes))
}

/// What part of the time for connecting a socket has: one round trip of five. Where nobody answers it is over sooner.
const SOCKET_SHARE: u32 = 3;

const EXPECTED_ADDRESS: &str = "a hub's address: host:port expected";

/// Makes one connection each time that it is asked.
#[derive(Clone)]
struct Connector {
    network: Arc<dyn Network>,
    address: Arc<str>,
    server_name: ServerName<'static>,
    config: Arc<ClientConfig>,
    limit: Duration,
    silence: Silence,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("address", &self.address).finish_non_exhaustive()
    }
}

type Io = TokioIo<TlsStream<Line<Socket>>>;

impl Service<Uri> for Connector {
    type Response = Io;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Io, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let timed_out =
                || ConnectError::TimedOut { address: connector.address.to_string(), limit: connector.limit };
            let connected = timeout(connector.limit, connector.open()).await;
            connected.map_err(|_| timed_out())?.map(TokioIo::new)
        })
    }
}

impl Connector {
    async fn open(&self) -> Result<TlsStream<Line<Socket>>, ConnectError> {
        let failed = |error: io::Error| ConnectError::of_tls(&self.address, &error);
        let socket = Line::over(self.socket().await?, self.silence);
        let connector = TlsConnector::from(self.config.clone());
        let mut tls = connector.connect(self.server_name.clone(), socket).await.map_err(failed)?;
        if tls.fill_buf().await.map_err(failed)?.is_empty() {
            let message =
                "it closed before it said anything; it may be stopping, or have too many connections";
            return Err(ConnectError::Cut { address: self.address.to_string(), message: message.into() });
        }
        let (line, session) = tls.get_mut();
        line.shaken(session);
        Ok(tls)
    }

    /// Tries the host's addresses in turn, each with its share of the time: where one family of addresses leads
    /// nowhere, the other still gets its chance.
    async fn socket(&self) -> Result<Socket, ConnectError> {
        let address = || self.address.to_string();
        let found = match self.network.lookup(&self.address).await {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                return Err(ConnectError::Address { found: address(), expected: EXPECTED_ADDRESS });
            }
            Err(error) => {
                return Err(ConnectError::NameNotFound { address: address(), message: error.to_string() });
            }
        };
        let limit = self.limit / SOCKET_SHARE;
        let share = limit / u32::try_from(found.len()).unwrap_or(u32::MAX).max(1);
        let mut failure =
            ConnectError::NameNotFound { address: address(), message: "the name has no address".into() };
        for candidate in found {
            failure = match timeout(share, self.network.connect(candidate)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => ConnectError::of_socket(&self.address, &error),
                Err(_) => ConnectError::TimedOut { address: address(), limit },
            };
        }
        Err(failure)
    }
}
