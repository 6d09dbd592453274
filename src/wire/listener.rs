//! The hub's door: accepts sockets, shakes hands, and yields connections of known certificates.
//!
//! Owns the accept loop and its bounds: handshakes at once and their time, connections in all. Never knows the
//! directory: who may do what is decided later; never logs: who is turned away is told to an [`Observer`].
//! One slow or hostile client holds up nobody: each handshake is a task of its own, and when all places are taken, of the
//! address that has most of them the one under way for longest gives way. Who fills the places from one address is so in
//! his own way alone; were newcomers refused instead, a handful of silent sockets would keep offices out. What a handshake costs to
//! compute begins when a whole hello is there, and so many do a second: one recorded hello costs a stranger nothing.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::select;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::connection::{Caller, Connection, ConnectionId};
use super::identity::Certificate;
use super::line::{Line, Silence};
use super::pace::Pace;
use super::stranger::{Observer, Stranger, StrangerReason};
use crate::host::clock::Clock;
use crate::host::network::{Listener, Socket};
use crate::host::tasks::{Task, Tasks};
use crate::model::refusal::{Reason, Refusal};

/// Connections that wait for the server to take them, at most: it takes them at once.
const WAITING_MAX: usize = 16;

/// How long a failed accept waits before the next: long enough not to spin when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long, and for how many bytes, a client that was turned away is still listened to. Closing a socket with unread
/// bytes resets it, and a reset can overtake the alert that says why.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES_MAX: u64 = 64 << 10;

/// After how long a client may come again that found every place taken.
const RETRY_AFTER_MS: u64 = 5_000;

/// How much the listener takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Handshakes at once. A handshake over a bad line takes some round trips: 128 in 45 s leave room for all offices.
    pub handshakes_max: usize,
    /// Milliseconds that a handshake may take; then as long again for the first bytes; and as long as a refused
    /// connection lives, so that its caller can be told.
    pub handshake_ms: u64,
    /// Handshakes a second, on average, and as many at once after a pause of two: each takes the hub's machine some tenths of a
    /// millisecond, and all connected offices wait meanwhile.
    pub handshakes_per_s: u32,
    /// Streams at once on one connection.
    pub streams_max: usize,
    /// Connections in all. As many as `handshakes_max` more are let in only to be told that there are too many.
    pub connections_max: usize,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            handshakes_max: 128,
            handshake_ms: 45_000,
            handshakes_per_s: 400,
            connections_max: 1_024,
            streams_max: 32,
        }
    }
}

/// What a listener works with.
#[derive(Clone)]
pub struct Door {
    /// The TLS configuration, taken anew for each handshake.
    pub config: watch::Receiver<Arc<ServerConfig>>,
    /// Its bounds.
    pub limits: ListenerLimits,
    /// Starts its tasks.
    pub tasks: Arc<dyn Tasks>,
    /// By which handshakes are paced.
    pub clock: Arc<dyn Clock>,
    /// Is told who did not get in.
    pub observer: Arc<dyn Observer>,
    /// Cancelled: nobody is let in any more, handshakes under way end, connections go on.
    pub stop: CancellationToken,
    /// Cancelled: every connection ends at once.
    pub end: CancellationToken,
}

/// The connections, in the order in which their handshakes ended. Ends when the listener has stopped.
#[derive(Debug)]
pub struct Incoming(ReceiverStream<Result<Connection, Infallible>>);

impl Stream for Incoming {
    type Item = Result<Connection, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(context)
    }
}

/// Opens the door where connections are taken. The task ends when `door.stop` is cancelled or the [`Incoming`] dropped.
pub fn listen(listener: Box<dyn Listener>, door: Door) -> (Incoming, Task) {
    let (ready, incoming) = mpsc::channel(WAITING_MAX);
    let tasks = door.tasks.clone();
    let hall = Arc::new(Hall {
        connections: Arc::new(Semaphore::new(door.limits.connections_max)),
        told: Arc::new(Semaphore::new(door.limits.handshakes_max)),
        next_id: AtomicU64::new(1),
        turn: Mutex::new(Pace::new(Arc::clone(&door.clock), door.limits.handshakes_per_s.into())),
        door,
        ready,
    });
    let task = tasks.spawn("listener", Box::pin(accept_all(listener, hall)));
    (Incoming(ReceiverStream::new(incoming)), task)
}

async fn accept_all(mut listener: Box<dyn Listener>, hall: Arc<Hall>) {
    let stop = &hall.door.stop;
    let mut handshakes = Handshakes::new(hall.door.limits.handshakes_max);
    loop {
        let accepted = select! {
            biased;
            () = stop.cancelled() => return,
            () = hall.ready.closed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                let under_way = handshakes.begin(peer, stop).await;
                let task = greet(hall.clone(), socket, peer, under_way);
                // Its end is seen by the place that it gives back.
                drop(hall.door.tasks.spawn("handshake", Box::pin(task)));
            }
            Err(error) => {
                hall.door.observer.accept_failed(&error);
                // Of one connection alone: the next may be fine, and waiting would let strangers slow the door.
                let of_one =
                    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
                if !of_one {
                    let _ = timeout(ACCEPT_PAUSE, stop.cancelled()).await;
                }
            }
        }
    }
}

/// The handshakes under way, in the order in which they began.
struct Handshakes {
    places: Arc<Semaphore>,
    begun: VecDeque<(IpAddr, CancellationToken)>,
}

/// One handshake's place. `over` cancelled: it must end. Dropped, it cancels that first and gives back the place then: a
/// handshake that is not over has its place, and ending it frees one.
struct UnderWay {
    over: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

impl Handshakes {
    fn new(handshakes_max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(handshakes_max.max(1))), begun: VecDeque::new() }
    }

    /// Gives a place, where there is none by ending the handshake that began first of the address that has most.
    async fn begin(&mut self, peer: SocketAddr, stop: &CancellationToken) -> UnderWay {
        self.begun.retain(|(_, other)| !other.is_cancelled());
        if self.places.available_permits() == 0
            && let Some(longest) = self.longest_of_most()
        {
            longest.cancel();
        }
        let place = self.places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let over = stop.child_token();
        self.begun.push_back((whose(peer.ip()), over.clone()));
        UnderWay { over, _place: place }
    }

    fn longest_of_most(&mut self) -> Option<CancellationToken> {
        let mut counts = HashMap::<IpAddr, usize>::new();
        for (address, _) in &self.begun {
            *counts.entry(*address).or_default() += 1;
        }
        let most = counts.values().max()?;
        let at = self.begun.iter().position(|(address, _)| counts.get(address) == Some(most))?;
        self.begun.remove(at).map(|(_, longest)| longest)
    }
}

/// An address as far as it is one client's: of IPv6 the network, in which whoever has it takes any address.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address @ IpAddr::V4(_) => address,
    }
}

/// What all handshakes share.
struct Hall {
    door: Door,
    connections: Arc<Semaphore>,
    told: Arc<Semaphore>,
    next_id: AtomicU64,
    /// Whose turn it is to compute: one after the other, in the order in which their hellos came.
    turn: Mutex<Pace>,
    ready: mpsc::Sender<Result<Connection, Infallible>>,
}

/// Brings one socket in or turns it away.
async fn greet(hall: Arc<Hall>, socket: Socket, peer: SocketAddr, under_way: UnderWay) {
    let tls = select! {
        biased;
        () = under_way.over.cancelled() => {
            if !hall.door.stop.is_cancelled() {
                hall.turn_away(peer, StrangerReason::TooManyHandshakes, "");
            }
            return;
        }
        tls = hall.shake_hands(socket, peer) => tls,
    };
    drop(under_way);
    let Some(connection) = tls.and_then(|tls| hall.enter(tls, peer)) else { return };
    // Fails only when nobody takes connections any more; dropping it closes it.
    let _ = hall.ready.send(Ok(connection)).await;
}

impl Hall {
    async fn shake_hands(&self, socket: Socket, peer: SocketAddr) -> Option<TlsStream<Line<Socket>>> {
        let socket = Line::over(socket, Silence::default());
        let mut hello = LazyConfigAcceptor::new(Acceptor::default(), socket);
        let handshake = async {
            let begun = match (&mut hello).await {
                Ok(begun) => begun,
                Err(error) => return Err((error, hello.take_io())),
            };
            self.turn().await;
            let config = self.door.config.borrow().clone();
            let tls = begun.into_stream(config).into_fallible().await;
            tls.map_err(|(error, socket)| (error, Some(socket)))
        };
        match timeout(self.patience(), handshake).await {
            Ok(Ok(mut tls)) => {
                let (line, session) = tls.get_mut();
                line.shaken(session);
                Some(tls)
            }
            Ok(Err((error, socket))) => {
                self.door.observer.turned_away(&Stranger::of_handshake(peer, &error));
                if let Some(socket) = socket {
                    linger(socket).await;
                }
                None
            }
            Err(_) => {
                self.turn_away(peer, StrangerReason::TimedOut, "");
                None
            }
        }
    }

    /// Waits until this handshake may be computed.
    async fn turn(&self) {
        let pace = self.turn.lock().await;
        let wait = pace.take(1);
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    /// Gives a connection its place and says who it is.
    fn enter(&self, tls: TlsStream<Line<Socket>>, peer: SocketAddr) -> Option<Connection> {
        let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = Certificate::read(shown.expect("a handshake without a certificate fails"));
        let id = ConnectionId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let caller = Caller {
            identity: certificate.identity.clone(),
            fingerprint: certificate.fingerprint,
            serial: certificate.serial.clone(),
            not_after: certificate.not_after,
            peer,
            connection: id,
            streams: Arc::new(Semaphore::new(self.door.limits.streams_max)),
            ended: self.door.end.child_token(),
        };
        if let Ok(place) = self.connections.clone().try_acquire_owned() {
            return Some(Connection::new(tls, caller, self.patience(), place, Arc::clone(&self.told)));
        }
        let Ok(place) = self.told.clone().try_acquire_owned() else {
            let who = certificate.identity.map_or_else(|refusal| refusal.to_string(), |who| who.to_string());
            self.turn_away(peer, StrangerReason::TooManyConnections, &who);
            return None;
        };
        let connection = Connection::new(tls, caller, self.patience(), place, Arc::clone(&self.told));
        // Who has no identity is told that; it does not pass.
        if certificate.identity.is_err() {
            return Some(connection);
        }
        let message =
            format!("the hub has {} connections, as many as it may", self.door.limits.connections_max);
        let refusal = Refusal::new(Reason::ConnectionsExceeded, message).retry_after_ms(RETRY_AFTER_MS);
        Some(connection.refuse(refusal, self.patience()))
    }

    fn turn_away(&self, peer: SocketAddr, reason: StrangerReason, detail: &str) {
        self.door.observer.turned_away(&Stranger::new(peer, reason, detail));
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.door.limits.handshake_ms)
    }
}

/// Lets the other side read why it was turned away, then closes.
async fn linger(mut socket: Line<Socket>) {
    let _ = timeout(LINGER, async {
        let _ = socket.shutdown().await;
        let _ = tokio::io::copy(&mut (&mut socket).take(LINGER_BYTES_MAX), &mut tokio::io::sink()).await;
    })
    .await;
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio::runtime::Handle;

    use super::*;
    use crate::host::clock::SystemClock;
    use crate::host::network::Waited;
    use crate::host::tasks::TokioTasks;
    use crate::wire::certs::{Validity, issue_ca};
    use crate::wire::pem_file::PemFile;
    use crate::wire::tls::{Credentials, server_config};

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// Fails so, the last first; then goes on with a socket, or for ever with no more file descriptors.
    struct Failing {
        failures: Vec<io::ErrorKind>,
        then: Option<TcpListener>,
    }

    impl Listener for Failing {
        fn accept(&mut self) -> Waited<'_, (Socket, SocketAddr)> {
            if let Some(kind) = self.failures.pop() {
                return Box::pin(async move { Err(kind.into()) });
            }
            match &mut self.then {
                Some(socket) => Listener::accept(socket),
                // EMFILE
                None => Box::pin(async { Err(io::Error::from_raw_os_error(24)) }),
            }
        }
    }

    enum Seen {
        Failure(io::ErrorKind),
        Stranger,
    }

    struct Told(mpsc::Sender<Seen>);

    impl Observer for Told {
        fn turned_away(&self, _: &Stranger) {
            let _ = self.0.try_send(Seen::Stranger);
        }

        fn accept_failed(&self, error: &io::Error) {
            let _ = self.0.try_send(Seen::Failure(error.kind()));
        }
    }

    fn door(clock: Arc<dyn Clock>) -> (Door, mpsc::Receiver<Seen>) {
        let us = clock.now().0;
        let validity =
            Validity { not_before: clock.now(), not_after: crate::model::id::UnixMicros(us + 3_600_000_000) };
        let own = issue_ca(&"a".parse().unwrap(), validity).unwrap();
        let pem = |text: &str| PemFile::new("own", text);
        let credentials = Credentials {
            authorities: pem(&own.certificate_pem),
            certificate: pem(&own.certificate_pem),
            key: pem(&own.key_pem),
        };
        let (told, seen) = mpsc::channel(1_024);
        let door = Door {
            config: watch::channel(server_config(&credentials, None, Arc::clone(&clock)).unwrap()).1,
            clock,
            limits: ListenerLimits::default(),
            tasks: Arc::new(TokioTasks::on(Handle::current())),
            observer: Arc::new(Told(told)),
            stop: CancellationToken::new(),
            end: CancellationToken::new(),
        };
        (door, seen)
    }

    #[tokio::test]
    async fn accept_that_fails_is_tried_again_without_spinning_and_still_stops() {
        let clock = Arc::new(SystemClock::new());
        let (door, mut seen) = door(clock.clone());
        let stop = door.stop.clone();
        let began_us = clock.monotonic_us();
        let (_incoming, task) = listen(Box::new(Failing { failures: Vec::new(), then: None }), door);
        for _ in 0..4 {
            let failure = timeout(PATIENCE, seen.recv()).await.expect("it is tried again");
            assert!(matches!(failure, Some(Seen::Failure(_))));
        }
        let took = Duration::from_micros(clock.monotonic_us() - began_us);
        assert!(took >= 3 * ACCEPT_PAUSE, "{took:?} for three pauses");
        stop.cancel();
        timeout(PATIENCE, task).await.expect("the listener ends").unwrap();
    }

    #[tokio::test]
    async fn socket_that_comes_after_failed_accepts_is_greeted() {
        let (door, mut seen) = door(Arc::new(SystemClock::new()));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let failures = vec![io::ErrorKind::ConnectionAborted, io::ErrorKind::OutOfMemory];
        let (_incoming, _task) = listen(Box::new(Failing { failures, then: Some(socket) }), door);
        drop(TcpStream::connect(address).await.unwrap());
        for expected in [Some(io::ErrorKind::OutOfMemory), Some(io::ErrorKind::ConnectionAborted), None] {
            match timeout(PATIENCE, seen.recv()).await.expect("each is told").unwrap() {
                Seen::Failure(kind) => assert_eq!(Some(kind), expected),
                Seen::Stranger => assert_eq!(None, expected),
            }
        }
    }

    #[tokio::test]
    async fn handshake_that_gave_back_its_place_is_not_the_one_to_give_way() {
        let (stop, peer) = (CancellationToken::new(), "192.0.2.1:1".parse().unwrap());
        let mut handshakes = Handshakes::new(2);
        let (over, silent) = (handshakes.begin(peer, &stop).await, handshakes.begin(peer, &stop).await);
        drop(over);
        let _next = handshakes.begin(peer, &stop).await;
        let gives_way = async move { silent.over.cancelled().await };
        let both = async { tokio::join!(handshakes.begin(peer, &stop), gives_way) };
        timeout(PATIENCE, both).await.expect("the silent one gives way");
    }

    #[tokio::test]
    async fn who_fills_the_places_from_one_network_takes_none_from_another() {
        let stop = CancellationToken::new();
        let mut handshakes = Handshakes::new(4);
        let office = handshakes.begin("192.0.2.7:1".parse().unwrap(), &stop).await;
        let mut under_way = Vec::new();
        for (at, address) in
            ["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3:0:0:4]:1"].into_iter().enumerate()
        {
            under_way.push(handshakes.begin(address.parse().unwrap(), &stop).await);
            assert!(under_way.iter().all(|it| !it.over.is_cancelled()), "{at}");
        }
        for _ in 0..8 {
            let first = under_way.remove(0);
            let gives_way = async move { first.over.cancelled().await };
            let next = handshakes.begin("[2001:db8::5]:1".parse().unwrap(), &stop);
            let (next, ()) =
                timeout(PATIENCE, async { tokio::join!(next, gives_way) }).await.expect("one gives way");
            under_way.push(next);
            assert!(!office.over.is_cancelled(), "the office came first, and stays");
        }
    }

    #[tokio::test]
    async fn listener_ends_when_nobody_takes_its_connections() {
        let (door, _seen) = door(Arc::new(SystemClock::new()));
        let (incoming, task) = listen(Box::new(TcpListener::bind("127.0.0.1:0").await.unwrap()), door);
        drop(incoming);
        timeout(PATIENCE, task).await.expect("the listener ends").unwrap();
    }
}
