//! The server: TLS, HTTP/2 and the services, with their bounds.
//!
//! Every service stands behind the door, also health and reflection: who is not enrolled learns nothing but that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::{Request, Status};
use tonic_health::server::HealthReporter;
use tower::layer::layer_fn;

use super::Hub;
use super::audit::Audit;
use super::config::Limits;
use super::directory::Directory;
use super::enrolment::Enrolment;
use super::exchange::Exchange;
use super::files::{self, Files};
use super::logs::service::LogsAsked;
use super::operator::Operator;
use super::reader::Readers;
use crate::host::network::Listener;
use crate::host::tasks::Task;
use crate::model::amendment::ENTRY_BYTES_MAX;
use crate::model::refusal::{Reason, Refusal};
use crate::wire::client::{PING_EVERY_MS, PING_TIMEOUT};
use crate::wire::connection::Connection;
use crate::wire::listener::{self, ListenerLimits};
use crate::wire::proto::DESCRIPTORS;
use crate::wire::proto::audit_service_server::AuditServiceServer;
use crate::wire::proto::directory_service_server::DirectoryServiceServer;
use crate::wire::proto::enrolment_service_server::EnrolmentServiceServer;
use crate::wire::proto::exchange_service_server::ExchangeServiceServer;
use crate::wire::proto::file_service_server::FileServiceServer;
use crate::wire::proto::log_service_server::LogServiceServer;
use crate::wire::proto::operator_service_server::OperatorServiceServer;
use crate::wire::stranger::{Observer, Stranger};

/// Bytes that one caller's stream may have on the way to the hub unread.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// And all streams of its connection together. What gRPC puts together of one call comes on top: 4 MiB at most.
const CONNECTION_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// Calls at once on one connection beside its streams; each may make the hub hold a message of 4 MiB.
const CALLS_PER_CONNECTION_MAX: u32 = 64;
/// How long a call may take to come in and be answered: 256 KiB on a line of 9,600 bit/s are four minutes.
const CALL_MAX: Duration = Duration::from_mins(10);
/// Bytes of one request for an audit or the directory.
const QUESTION_BYTES_MAX: usize = 64 * 1024;
/// When to come again when one's own connections are all taken, in milliseconds.
const CONNECTIONS_RETRY_MS: u64 = 5_000;
/// Bytes of headers of one call.
const HEADER_BYTES_MAX: u32 = 16 * 1024;

/// Serves a hub to who comes until it stops; `end` cuts what is left of its connections.
pub(super) fn serve(
    hub: &Arc<Hub>,
    listener: Box<dyn Listener>,
    limits: &Limits,
    end: CancellationToken,
) -> Task {
    let door = listener::Door {
        config: hub.papers.tls(),
        limits: ListenerLimits {
            handshakes_max: limits.handshakes_max,
            handshake_ms: limits.handshake_ms,
            handshakes_per_s: limits.handshakes_per_s,
            connections_max: limits.connections_max,
            streams_max: limits.streams_per_connection_max,
        },
        tasks: Arc::clone(&hub.tasks),
        clock: Arc::clone(&hub.clock),
        observer: Arc::new(Strangers { hub: Arc::clone(hub) }),
        stop: hub.stop.clone(),
        end,
    };
    let (incoming, _) = listener::listen(listener, door);
    let entered = Arc::clone(hub);
    let incoming = incoming.map(move |connection| connection.map(|connection| let_in(&entered, connection)));
    // Calls beside the streams; above the streams' own bound, so that who goes beyond that is told.
    let streams = u32::try_from(limits.streams_per_connection_max).unwrap_or(u32::MAX);
    let (serving, streams) = (Arc::clone(hub), streams.saturating_add(CALLS_PER_CONNECTION_MAX));
    hub.tasks.spawn(
        "server",
        Box::pin(async move {
            let admit = Admit { hub: Arc::clone(&serving) };
            let (health, health_service) = tonic_health::server::health_reporter();
            health.set_serving::<ExchangeServiceServer<Exchange>>().await;
            health.set_serving::<AuditServiceServer<Audit>>().await;
            health.set_serving::<DirectoryServiceServer<Directory>>().await;
            health.set_serving::<OperatorServiceServer<Operator>>().await;
            health.set_serving::<EnrolmentServiceServer<Enrolment>>().await;
            let exchange = ExchangeServiceServer::new(Exchange::new(Arc::clone(&serving)));
            let audit = AuditServiceServer::new(Audit::new(Arc::clone(&serving)));
            let directory = DirectoryServiceServer::new(Directory::new(Arc::clone(&serving)));
            let enrolment = EnrolmentServiceServer::new(Enrolment::new(Arc::clone(&serving)));
            let operator = OperatorServiceServer::new(Operator::new(Arc::clone(&serving)));
            health.set_serving::<FileServiceServer<Files>>().await;
            let files = FileServiceServer::new(Files::new(Arc::clone(&serving)));
            health.set_serving::<LogServiceServer<LogsAsked>>().await;
            let logs = LogServiceServer::new(LogsAsked::new(Arc::clone(&serving)));
            let reflection = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
                .build_v1()
                .expect("the descriptors were compiled with this program");
            let behind = Arc::clone(&serving);
            let served = Server::builder()
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_concurrent_streams(streams)
                .http2_keepalive_interval(Some(Duration::from_millis(PING_EVERY_MS)))
                .http2_keepalive_timeout(Some(PING_TIMEOUT))
                .http2_max_header_list_size(HEADER_BYTES_MAX)
                .timeout(CALL_MAX)
                .layer(layer_fn(move |services| Readers::before(Arc::clone(&behind), services)))
                // Who is not let in is told so before a byte of the request is taken.
                .add_service(InterceptedService::new(exchange, admit.clone()))
                .add_service(InterceptedService::new(
                    audit.max_decoding_message_size(QUESTION_BYTES_MAX),
                    admit.clone(),
                ))
                .add_service(InterceptedService::new(
                    directory.max_decoding_message_size(ENTRY_BYTES_MAX + QUESTION_BYTES_MAX),
                    admit.clone(),
                ))
                .add_service(InterceptedService::new(
                    operator.max_decoding_message_size(QUESTION_BYTES_MAX),
                    admit.clone(),
                ))
                .add_service(InterceptedService::new(enrolment, admit.clone()))
                .add_service(InterceptedService::new(
                    logs.max_decoding_message_size(QUESTION_BYTES_MAX),
                    admit.clone(),
                ))
                .add_service(InterceptedService::new(
                    files.max_decoding_message_size(files::FRAME_BYTES_MAX),
                    admit.clone(),
                ))
                .add_service(InterceptedService::new(health_service, admit.clone()))
                .add_service(InterceptedService::new(reflection, admit))
                .serve_with_incoming_shutdown(incoming, stopped(serving.stop.clone(), health))
                .await;
            if let Err(error) = served {
                tracing::error!(%error, "the server ended");
            }
        }),
    )
}

/// Lets a connection stay, or has all its calls refused and ends it soon: who is not enrolled, or has as many as one
/// office may, keeps no place from others.
fn let_in(hub: &Hub, connection: Connection) -> Connection {
    let caller = connection.caller();
    let own = hub.connections.enter(caller, hub.clock.now());
    // The list may have changed between the handshake and now.
    if hub.papers.are_revoked(&caller.serial) {
        caller.ended.cancel();
    }
    let Ok(identity) = &caller.identity else {
        return connection.paced(hub.shares.refused()).without_place();
    };
    let limits = hub.door.limits();
    let most = limits.connections_per_office_max;
    let refusal = match hub.door.view.policy().admit(identity) {
        Err(refusal) => refusal,
        Ok(()) if own > most => {
            let message = format!("{most} connections are open, as many as this hub takes of one office");
            Refusal::new(Reason::ConnectionsExceeded, message).retry_after_ms(CONNECTIONS_RETRY_MS)
        }
        Ok(()) => {
            let share = hub.shares.of(identity, &limits);
            return connection.paced(Arc::clone(&share.pace));
        }
    };
    connection
        .paced(hub.shares.refused())
        .without_place()
        .refuse(refusal, Duration::from_millis(limits.handshake_ms))
}

/// Waits for the hub's stop, and lets go of those who watch its health.
async fn stopped(stop: CancellationToken, mut health: HealthReporter) {
    stop.cancelled().await;
    for service in [
        <ExchangeServiceServer<Exchange> as NamedService>::NAME,
        <AuditServiceServer<Audit> as NamedService>::NAME,
        <DirectoryServiceServer<Directory> as NamedService>::NAME,
        <OperatorServiceServer<Operator> as NamedService>::NAME,
        <EnrolmentServiceServer<Enrolment> as NamedService>::NAME,
        <FileServiceServer<Files> as NamedService>::NAME,
        "",
    ] {
        health.clear_service_status(service).await;
    }
}

/// Lets enrolled identities through.
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
