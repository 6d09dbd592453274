//! A hub with the health service alone, and certificates for it and its clients. Both have clocks of their own.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, Issuer, KeyPair, SanType, date_time_ymd};
use resguardo::host::clock::{Clock, ManualClock, SystemClock};
use resguardo::host::tasks::{Task, Tasks, TokioTasks};
use resguardo::model::id::UnixMicros;
use resguardo::wire::certs::{HubAddress, Issued, Validity, issue_ca, issue_client, issue_server};
use resguardo::wire::client::{ConnectLimits, connect};
use resguardo::wire::connect_error::ConnectError;
use resguardo::wire::connection::Caller;
use resguardo::wire::listener::{Door, Incoming, ListenerLimits, listen};
use resguardo::wire::pace::Pace;
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::status::{self, CallError};
use resguardo::wire::stranger::{Observer, Stranger};
use resguardo::wire::tls::{Credentials, server_config};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const SECOND: u64 = 1_000_000;
const DAY: u64 = 86_400 * SECOND;

/// 2026-07-01T00:00:00Z: the time of both clocks where a test says nothing else.
pub(crate) const NOW: UnixMicros = UnixMicros(1_782_864_000 * SECOND);

/// Longer than anything here takes: a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const DESK: &str = "urn:resguardo:office:iachr:desk-1";

pub(crate) fn days(count: u64) -> UnixMicros {
    UnixMicros(NOW.0 + count * DAY)
}

pub(crate) fn clock(at: UnixMicros) -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(at))
}

pub(crate) fn year() -> Validity {
    Validity { not_before: UnixMicros(NOW.0 - 180 * DAY), not_after: days(180) }
}

/// An authority and what it signs.
pub(crate) struct Set {
    pub(crate) ca: Issued,
}

impl Set {
    pub(crate) fn new(name: &str) -> Self {
        Self { ca: issue_ca(&name.parse().unwrap(), year()).unwrap() }
    }

    pub(crate) fn hub(&self, validity: Validity) -> Issued {
        let addresses = [HubAddress::Dns("hub.example".into()), HubAddress::Ip("127.0.0.1".parse().unwrap())];
        issue_server(&self.ca, &"main".parse().unwrap(), &addresses, validity).unwrap()
    }

    pub(crate) fn client(&self, identity: &str) -> Issued {
        self.client_of(identity, year())
    }

    pub(crate) fn client_of(&self, identity: &str, validity: Validity) -> Issued {
        issue_client(&self.ca, &identity.parse().unwrap(), validity).unwrap()
    }

    /// A client's certificate that names nobody, several, or somebody who cannot be.
    pub(crate) fn client_with(&self, uris: &[&str]) -> Issued {
        let mut params = CertificateParams::default();
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        let issuer =
            Issuer::from_ca_cert_pem(&self.ca.certificate_pem, KeyPair::from_pem(&self.ca.key_pem).unwrap());
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer.unwrap()).unwrap();
        Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }

    /// This side's pair, with this set's authority for the other side's.
    pub(crate) fn credentials(&self, own: &Issued) -> Credentials {
        Credentials {
            authorities: PemFile::new("ca.crt", self.ca.certificate_pem.as_str()),
            certificate: PemFile::new("own.crt", own.certificate_pem.as_str()),
            key: PemFile::new("own.key", own.key_pem.as_str()),
        }
    }

    pub(crate) fn server_config(&self, now: UnixMicros) -> Arc<ServerConfig> {
        server_config(&self.credentials(&self.hub(year())), None, clock(now)).unwrap()
    }
}

/// What the hub was told of those who did not get in.
struct Told(mpsc::Sender<Stranger>);

impl Observer for Told {
    fn turned_away(&self, stranger: &Stranger) {
        // A test that is over may not look any more; one that runs has room for all.
        let full = matches!(self.0.try_send(stranger.clone()), Err(mpsc::error::TrySendError::Full(_)));
        assert!(!full);
    }

    fn accept_failed(&self, error: &io::Error) {
        panic!("{error}");
    }
}

/// A door that is open.
pub(crate) struct TestDoor {
    pub(crate) address: SocketAddr,
    pub(crate) config: watch::Sender<Arc<ServerConfig>>,
    pub(crate) stop: CancellationToken,
    pub(crate) end: CancellationToken,
    pub(crate) listener: Task,
    strangers: mpsc::Receiver<Stranger>,
}

impl TestDoor {
    pub(crate) async fn open(config: Arc<ServerConfig>, limits: ListenerLimits) -> (Self, Incoming) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let (told, strangers) = mpsc::channel(64);
        let (config, watched) = watch::channel(config);
        let (stop, end) = (CancellationToken::new(), CancellationToken::new());
        let door = Door {
            config: watched,
            limits,
            tasks: Arc::new(TokioTasks::on(Handle::current())),
            clock: Arc::new(SystemClock::new()),
            observer: Arc::new(Told(told)),
            stop: stop.clone(),
            end: end.clone(),
        };
        let (incoming, listener) = listen(Box::new(socket), door);
        (Self { address, config, stop, end, listener, strangers }, incoming)
    }

    /// The next one who did not get in.
    pub(crate) async fn stranger(&mut self) -> Stranger {
        timeout(PATIENCE, self.strangers.recv()).await.expect("a stranger is told").unwrap()
    }

    /// Whether nobody else was turned away by now.
    pub(crate) fn no_stranger(&mut self) -> bool {
        self.strangers.try_recv().is_err()
    }
}

/// A hub that answers health checks of those who have an identity.
pub(crate) struct TestHub {
    pub(crate) door: TestDoor,
    pub(crate) callers: Arc<Mutex<Vec<Arc<Caller>>>>,
}

impl TestHub {
    pub(crate) async fn open(set: &Set) -> Self {
        Self::open_with(set.server_config(NOW), ListenerLimits::default()).await
    }

    pub(crate) async fn open_with(config: Arc<ServerConfig>, limits: ListenerLimits) -> Self {
        let free = Pace::new(Arc::new(SystemClock::new()), u64::MAX / 1_000_000);
        Self::open_paced(config, limits, Arc::new(free)).await
    }

    /// One that reads all its connections together at this pace.
    pub(crate) async fn open_paced(
        config: Arc<ServerConfig>,
        limits: ListenerLimits,
        pace: Arc<Pace>,
    ) -> Self {
        let (door, incoming) = TestDoor::open(config, limits).await;
        let incoming = incoming.map(move |it| it.map(|connection| connection.paced(Arc::clone(&pace))));
        let callers = Arc::<Mutex<Vec<Arc<Caller>>>>::default();
        let seen = callers.clone();
        let (_, health) = tonic_health::server::health_reporter();
        let health = InterceptedService::new(health, move |request: tonic::Request<()>| {
            let caller = request.extensions().get::<Arc<Caller>>().expect("each request has its caller");
            seen.lock().unwrap().push(caller.clone());
            caller.identity.as_ref().map_err(status::refused)?;
            Ok(request)
        });
        let serving = Server::builder().add_service(health).serve_with_incoming(incoming);
        let serving = async { serving.await.unwrap() };
        drop(TokioTasks::on(Handle::current()).spawn("serving", Box::pin(serving)));
        Self { door, callers }
    }

    pub(crate) async fn connect(&self, credentials: &Credentials) -> Result<Channel, ConnectError> {
        connect_to(self.door.address, credentials, NOW).await
    }

    /// The caller of the last call.
    pub(crate) fn last_caller(&self) -> Arc<Caller> {
        self.callers.lock().unwrap().last().unwrap().clone()
    }
}

pub(crate) async fn connect_to(
    address: SocketAddr,
    credentials: &Credentials,
    now: UnixMicros,
) -> Result<Channel, ConnectError> {
    connect_by(&address.to_string(), "hub.example", credentials, ConnectLimits::default(), now).await
}

/// Connects by this address, to a hub of this name.
pub(crate) async fn connect_by(
    address: &str,
    name: &str,
    credentials: &Credentials,
    limits: ConnectLimits,
    now: UnixMicros,
) -> Result<Channel, ConnectError> {
    let connecting = connect(address, name, credentials, limits, clock(now));
    timeout(PATIENCE, connecting).await.expect("connecting ends")
}

/// Asks for the hub's health.
pub(crate) async fn call(channel: &Channel) -> Result<(), CallError> {
    let request = HealthCheckRequest { service: String::new() };
    let called = timeout(PATIENCE, HealthClient::new(channel.clone()).check(request)).await;
    called.expect("the call ends").map(drop).map_err(CallError::from)
}

/// Connects and calls.
pub(crate) async fn try_in(
    address: SocketAddr,
    credentials: &Credentials,
    now: UnixMicros,
) -> Result<(), CallError> {
    call(&connect_to(address, credentials, now).await?).await
}
