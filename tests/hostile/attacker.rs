//! Somebody who attacks: a thread of its own that takes at most half of one core, and its lines to the hub.
//!
//! Owns what it is held to. What it does beside that stands in `attacks`.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use resguardo::host::clock::{Clock as _, SystemClock};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::frames;

/// Over how long half a core is meant.
const SPAN_US: u64 = 50_000;
/// How long it waits for a socket.
const CONNECT: Duration = Duration::from_millis(50);
/// How long it waits for what the hub neither takes nor gives.
const WAIT: Duration = Duration::from_millis(1);

/// What an attacker is told, and what it tells.
pub(crate) struct Attacker {
    /// Where the hub listens.
    pub(crate) address: String,
    /// Its TLS.
    pub(crate) tls: Arc<ClientConfig>,
    /// Set: the attack is over.
    pub(crate) over: Arc<AtomicBool>,
    /// What it has done so far.
    pub(crate) done: Arc<AtomicU64>,
    /// Microseconds of a core that it took so far.
    pub(crate) cpu_us: Arc<AtomicU64>,
    runtime: Runtime,
    clock: SystemClock,
    span: (u64, u64),
}

impl Attacker {
    /// Makes one, on the thread that attacks.
    pub(crate) fn new(address: String, tls: Arc<ClientConfig>, over: Arc<AtomicBool>) -> Self {
        let clock = SystemClock::new();
        let span = (clock.monotonic_us(), cpu_us());
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { address, tls, over, done: Arc::default(), cpu_us: Arc::default(), runtime, clock, span }
    }

    /// How long it has to wait now so that it has half a core and no more.
    pub(crate) fn must_wait(&mut self) -> Duration {
        let (from, spent) = self.span;
        let (wall, cpu) = (self.clock.monotonic_us() - from, cpu_us() - spent);
        self.cpu_us.store(cpu_us(), Ordering::Relaxed);
        if wall > SPAN_US {
            self.span = (from + wall, spent + cpu);
        }
        Duration::from_micros((cpu * 2).saturating_sub(wall))
    }

    /// Counts what it did, waits for its turn, and tells whether it goes on.
    pub(crate) fn goes_on(&mut self, did: u64) -> bool {
        self.done.fetch_add(did, Ordering::Relaxed);
        let wait = self.must_wait();
        if !wait.is_zero() {
            sleep(wait);
        }
        !self.over.load(Ordering::Relaxed)
    }

    /// A socket to the hub, from an address of its own.
    pub(crate) fn socket(&self) -> io::Result<TcpStream> {
        let hub = self.address.parse().map_err(io::Error::other)?;
        let socket = self.runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from(([127, 0, 0, 2], 0)))?;
            timeout(CONNECT, socket.connect(hub)).await?
        })?;
        socket.set_nodelay(true)?;
        socket.into_std()
    }

    /// The beginning of a line to the hub: what a client says first goes out when the handshake is over.
    pub(crate) fn begin(&mut self, first: &[u8]) -> io::Result<Line> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut tls = ClientConnection::new(Arc::clone(&self.tls), name).map_err(io::Error::other)?;
        tls.set_buffer_limit(None);
        tls.writer().write_all(first)?;
        Ok(Line { socket: self.socket()?, tls, came: Vec::new() })
    }

    /// A line to the hub, with what a client says first.
    pub(crate) fn line(&mut self, first: &[u8]) -> io::Result<Line> {
        let mut line = self.begin(first)?;
        while line.tls.is_handshaking() {
            line.pump()?;
            if !self.goes_on(0) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            sleep(WAIT);
        }
        Ok(line)
    }
}

/// Microseconds that this thread has had of a core.
fn cpu_us() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells of threads");
    let ns: u64 = text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds");
    ns / 1_000
}

/// A line to the hub that waits for nothing.
pub(crate) struct Line {
    socket: TcpStream,
    tls: ClientConnection,
    /// What came and was not looked at.
    pub(crate) came: Vec<u8>,
}

impl Line {
    /// Moves what can be moved, both ways; tells whether all that was to be sent has gone.
    pub(crate) fn pump(&mut self) -> io::Result<bool> {
        let sent = loop {
            if !self.tls.wants_write() {
                break true;
            }
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break false,
                Err(error) => return Err(error),
            }
        };
        loop {
            match self.tls.read_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {
                    self.tls.process_new_packets().map_err(io::Error::other)?;
                    let mut piece = [0; 16_384];
                    while let Ok(read @ 1..) = self.tls.reader().read(&mut piece) {
                        self.came.extend(&piece[..read]);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Whether its handshake is over, as far as this side knows.
    pub(crate) fn stands(&self) -> bool {
        !self.tls.is_handshaking()
    }

    /// Sends bytes, as soon as the hub takes them.
    pub(crate) fn push(&mut self, attacker: &mut Attacker, bytes: &[u8]) -> io::Result<()> {
        self.tls.writer().write_all(bytes)?;
        while !self.pump()? {
            if !attacker.goes_on(0) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            sleep(WAIT);
        }
        Ok(())
    }

    /// Takes the frames that have come whole.
    pub(crate) fn frames(&mut self) -> Vec<(u8, u8, u32, Vec<u8>)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(head) = self.came.get(at..at + frames::HEADER_BYTES) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let (kind, flags) = (head[3], head[4]);
            let from = at + frames::HEADER_BYTES;
            let Some(payload) = self.came.get(from..from + length) else { break };
            found.push((kind, flags, stream, payload.to_vec()));
            at = from + length;
        }
        self.came.drain(..at);
        found
    }
}
