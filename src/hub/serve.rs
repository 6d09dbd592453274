//! The server: TLS, HTTP/2 and the services, with their bounds.
//!
//! Every service stands behind the door, also health and reflection: who is not enrolled learns nothing but that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};

use super::Hub;
use super::audit::Audit;
use super::config::Limits;
use super::directory::Directory;
use super::exchange::Exchange;
use crate::host::tasks::Task;
use crate::wire::listener::{self, ListenerLimits};
use crate::wire::proto::DESCRIPTORS;
use crate::wire::proto::audit_service_server::AuditServiceServer;
use crate::wire::proto::directory_service_server::DirectoryServiceServer;
use crate::wire::proto::exchange_service_server::ExchangeServiceServer;
use crate::wire::stranger::{Observer, Stranger};

/// Bytes that one caller's stream may have on the way to the hub unread: a frame of messages.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// And all streams of its connection together; times the connections, the most that callers can make the hub hold.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// A caller that does not answer a ping within both is gone: below 30 s.
const PING_EVERY: Duration = Duration::from_secs(18);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of headers of one call.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Serves a hub on a socket until it stops; `end` cuts what is left of its connections.
pub(super) fn serve(
    hub: &Arc<Hub>,
    socket: TcpListener,
    tls: Arc<ServerConfig>,
    limits: &Limits,
    end: CancellationToken,
) -> Task {
    let (_, config) = watch::channel(tls);
    let door = listener::Door {
        config,
        limits: ListenerLimits {
            handshakes_max: limits.handshakes_max,
            handshake_ms: limits.handshake_ms,
            connections_max: limits.connections_max,
        },
        tasks: Arc::clone(&hub.tasks),
        observer: Arc::new(Strangers { hub: Arc::clone(hub) }),
        stop: hub.stop.clone(),
        end,
    };
    let (incoming, _) = listener::listen(socket, door);
    let (serving, streams) = (Arc::clone(hub), limits.streams_per_connection_max);
    hub.tasks.spawn(
        "server",
        Box::pin(async move {
            let admit = Admit { hub: Arc::clone(&serving) };
            let (health, health_service) = tonic_health::server::health_reporter();
            health.set_serving::<ExchangeServiceServer<Exchange>>().await;
            health.set_serving::<AuditServiceServer<Audit>>().await;
            health.set_serving::<DirectoryServiceServer<Directory>>().await;
            let reflection = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .build_v1()
                .expect("the descriptors were compiled with this program");
            let served = Server::builder()
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_concurrent_streams(streams)
                .http2_keepalive_interval(Some(PING_EVERY))
                .http2_keepalive_timeout(Some(PING_TIMEOUT))
                .http2_max_header_list_size(HEADER_BYTES_MAX)
                .add_service(ExchangeServiceServer::new(Exchange::new(Arc::clone(&serving))))
                .add_service(AuditServiceServer::new(Audit::new(Arc::clone(&serving))))
                .add_service(DirectoryServiceServer::new(Directory::new(Arc::clone(&serving))))
                .add_service(InterceptedService::new(health_service, admit.clone()))
                .add_service(InterceptedService::new(reflection, admit))
                .serve_with_incoming_shutdown(incoming, serving.stop.clone().cancelled_owned())
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "the server ended");
            }
        }),
    )
}

/// Lets enrolled identities through to services that are not the hub's own.
#[derive(Clone)]
struct Admit {
    hub: Arc<Hub>,
}

impl Interceptor for Admit {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.hub.door.admit(&request)?;
        Ok(request)
    }
}

/// Hears of those who did not get in.
struct Strangers {
    hub: Arc<Hub>,
}

impl Observer for Strangers {
    fn turned_away(&self, stranger: &Stranger) {
        self.hub.door.refusals.stranger(stranger.reason.name(), Some(stranger.peer), &stranger.detail);
    }

    fn accept_failed(&self, error: &io::Error) {
        self.hub.door.refusals.stranger("ACCEPT_FAILED", None, &error.to_string());
    }
}
