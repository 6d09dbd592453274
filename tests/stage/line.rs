//! A bad line between programs and their hub: it forwards, no faster and no sooner than a test says, and breaks where it says.
//!
//! Owns a port of its own and the connections through it. A cut ends all of them at once, as a lost line does: what was
//! forwarded before it has gone out to the byte, everything behind it is lost. The next connection goes through. A dead
//! line takes what comes and forwards nothing, and no end hears of another's.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{Builder, sleep};
use std::time::Duration;

use resguardo::host::clock::{Clock as _, SystemClock};
use socket2::{Domain, Socket, Type};

/// Bytes forwarded at once.
const PIECE_BYTES: usize = 16 * 1024;
/// And by a modem.
const PACKET_BYTES: usize = 256;
/// Pieces on the way of one connection at most: those of a modem wait before they are taken.
const PIECES_MAX: usize = 4_096;
/// What the ends of a modem take before it has sent it: the system gives about twice that, and no less than 2 KiB.
const BUFFER_BYTES: usize = 4 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// To the hub.
    Up,
    /// From the hub.
    Down,
}

/// What a connection does with what comes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It forwards it.
    #[default]
    Open,
    /// It keeps it, until it is let go.
    Held,
    /// It takes it, and forwards nothing.
    Dead,
}

/// How a line breaks.
#[derive(Clone, Copy)]
enum Break {
    Cut,
    Turn(Gate, [bool; 2]),
}

/// Both ways.
const BOTH: [bool; 2] = [true; 2];

/// The line. Dropped, it is cut for good.
pub(crate) struct Line {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// Both ends of every connection.
    open: Vec<TcpStream>,
    /// What each connection does each way, in the order in which they came.
    gates: Vec<[Arc<Turnstile>; 2]>,
    /// What the next one does.
    next: Gate,
    passed_bytes: [u64; 2],
    /// How many bytes go through before each of the breaks to come.
    breaks: [VecDeque<(usize, Break)>; 2],
    /// How long a byte takes; nothing where it is zero.
    byte_ns: u64,
    modem: Option<Arc<Modem>>,
}

/// What all connections share that go over one modem.
struct Modem {
    latency_us: u64,
    clock: SystemClock,
    /// When it has sent what it has, each way.
    free_us: [Mutex<u64>; 2],
}

struct Turnstile {
    gate: Mutex<Gate>,
    changed: Condvar,
}

/// What goes one way on one connection.
struct Piece {
    due_us: u64,
    bytes: Vec<u8>,
    end: Option<Break>,
}

impl Turnstile {
    fn new(gate: Gate) -> Arc<Self> {
        Arc::new(Self { gate: Mutex::new(gate), changed: Condvar::new() })
    }

    fn turn(&self, to: Gate) {
        *self.gate.lock().unwrap() = to;
        self.changed.notify_all();
    }

    /// Waits while what comes is kept.
    fn pass(&self) -> Gate {
        *self.changed.wait_while(self.gate.lock().unwrap(), |gate| *gate == Gate::Held).unwrap()
    }
}

impl Modem {
    /// Sends so many bytes after all that it has taken before; gives when they come out at its other end.
    fn send(&self, way: Way, bytes: usize, byte_ns: u64) -> u64 {
        let mut free = self.free_us[way as usize].lock().unwrap();
        let now = self.clock.monotonic_us();
        let sent = (*free).max(now) + bytes as u64 * byte_ns / 1_000;
        *free = sent;
        drop(free);
        sleep(Duration::from_micros(sent - now));
        sent + self.latency_us
    }

    fn wait(&self, due_us: u64) {
        sleep(Duration::from_micros(due_us.saturating_sub(self.clock.monotonic_us())));
    }
}

impl Line {
    /// Leads to a hub, which need not be there yet.
    pub(crate) fn to(hub: SocketAddr) -> Self {
        Self::of(hub, State::default())
    }

    /// Leads to a hub over a modem that all connections share: so many bytes a second each way, each of which comes so much
    /// later. What it has not sent waits with who sends.
    pub(crate) fn modem(hub: SocketAddr, bytes_per_s: u64, latency: Duration) -> Self {
        let latency_us = u64::try_from(latency.as_micros()).unwrap();
        let modem = Modem { latency_us, clock: SystemClock::new(), free_us: Default::default() };
        let byte_ns = 1_000_000_000 / bytes_per_s;
        Self::of(hub, State { byte_ns, modem: Some(Arc::new(modem)), ..State::default() })
    }

    fn of(hub: SocketAddr, state: State) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if state.modem.is_some() {
            socket.set_recv_buffer_size(BUFFER_BYTES).unwrap();
        }
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(128).unwrap();
        let listener = TcpListener::from(socket);
        let line = Self { address: listener.local_addr().unwrap(), state: Arc::new(Mutex::new(state)) };
        let state = Arc::clone(&line.state);
        Builder::new().spawn(move || carry(&listener, hub, &state)).unwrap();
        line
    }

    /// Carries so many bytes a second on each connection and way from now on.
    pub(crate) fn slow(&self, bytes_per_s: u64) {
        self.state.lock().unwrap().byte_ns = 1_000_000_000 / bytes_per_s;
    }

    /// Where it begins.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts it again and again: so many bytes go one way before each cut.
    pub(crate) fn cut_after(&self, way: Way, bytes: impl IntoIterator<Item = usize>) {
        let cuts = bytes.into_iter().map(|bytes| (bytes, Break::Cut));
        self.state.lock().unwrap().breaks[way as usize].extend(cuts);
    }

    /// Lets so many bytes go one way; then the connections that are open are dead. Those that come later are not.
    pub(crate) fn die_after(&self, way: Way, bytes: usize) {
        self.state.lock().unwrap().breaks[way as usize].push_back((bytes, Break::Turn(Gate::Dead, BOTH)));
    }

    /// Lets so many bytes go one way; then the connections that are open keep what comes that way, until they are let go.
    pub(crate) fn hold_after(&self, way: Way, bytes: usize) {
        let hold = Break::Turn(Gate::Held, only(way));
        self.state.lock().unwrap().breaks[way as usize].push_back((bytes, hold));
    }

    /// Has the connections that are there, and those that come, do this with what comes.
    pub(crate) fn all(&self, gate: Gate) {
        let mut state = self.state.lock().unwrap();
        state.next = gate;
        state.turn(gate, BOTH);
    }

    /// Keeps what comes one way on the connections that are there. Those that come later go through.
    pub(crate) fn hold(&self, way: Way) {
        self.state.lock().unwrap().turn(Gate::Held, only(way));
    }

    /// How many connections came so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.lock().unwrap().gates.len()
    }

    /// Lets go what one of those connections has kept, by its number from 0.
    pub(crate) fn let_go(&self, number: usize) {
        self.state.lock().unwrap().gates[number].iter().for_each(|it| it.turn(Gate::Open));
    }

    /// How many breaks are to come.
    pub(crate) fn cuts_left(&self, way: Way) -> usize {
        self.state.lock().unwrap().breaks[way as usize].len()
    }

    /// Takes back the breaks that are to come.
    pub(crate) fn mend(&self) {
        self.state.lock().unwrap().breaks = Default::default();
    }

    /// Bytes that went one way so far.
    pub(crate) fn passed_bytes(&self, way: Way) -> u64 {
        self.state.lock().unwrap().passed_bytes[way as usize]
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap();
        state.closed = true;
        state.turn(Gate::Dead, BOTH);
        state.cut();
        drop(state);
        // Wakes who waits for the next connection; it may have ended.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    /// How many of these bytes go through, and how the line breaks behind them.
    fn pass(&mut self, way: Way, bytes: usize) -> (usize, Option<Break>) {
        let breaks = &mut self.breaks[way as usize];
        let passed = breaks.front().map_or(bytes, |(left, _)| bytes.min(*left));
        self.passed_bytes[way as usize] += passed as u64;
        let broken = breaks.front_mut().and_then(|(left, how)| {
            *left -= passed;
            (*left == 0).then_some(*how)
        });
        if broken.is_some() {
            breaks.pop_front();
        }
        (passed, broken)
    }

    fn turn(&self, gate: Gate, ways: [bool; 2]) {
        for gates in &self.gates {
            gates.iter().zip(ways).filter(|(_, of_way)| *of_way).for_each(|(it, _)| it.turn(gate));
        }
    }

    fn break_off(&mut self, how: Break) {
        match how {
            Break::Cut => self.cut(),
            Break::Turn(gate, ways) => self.turn(gate, ways),
        }
    }

    fn cut(&mut self) {
        for end in self.open.drain(..) {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn only(way: Way) -> [bool; 2] {
    [matches!(way, Way::Up), matches!(way, Way::Down)]
}

fn carry(listener: &TcpListener, hub: SocketAddr, state: &Arc<Mutex<State>>) {
    for client in listener.incoming().map(Result::unwrap) {
        let narrow = state.lock().unwrap().modem.is_some();
        // A hub that is not there is a line that ends at once.
        let hub = connect(hub, narrow);
        let mut opened = state.lock().unwrap();
        if opened.closed {
            return;
        }
        let Ok(hub) = hub else { continue };
        for end in [&client, &hub] {
            end.set_nodelay(true).unwrap();
            opened.open.push(end.try_clone().unwrap());
        }
        let gates = [opened.next; 2].map(Turnstile::new);
        opened.gates.push(gates.clone());
        drop(opened);
        let ends = (client.try_clone().unwrap(), hub.try_clone().unwrap());
        for (from, to, way) in [(client, ends.1, Way::Up), (hub, ends.0, Way::Down)] {
            let (pieces, out) = sync_channel(PIECES_MAX);
            let (taking, giving) = (Arc::clone(state), (Arc::clone(state), Arc::clone(&gates[way as usize])));
            Builder::new().spawn(move || take(from, &pieces, way, &taking)).unwrap();
            Builder::new().spawn(move || give(to, &out, &giving.0, &giving.1)).unwrap();
        }
    }
}

fn connect(hub: SocketAddr, narrow: bool) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if narrow {
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
    }
    socket.connect(&hub.into())?;
    Ok(socket.into())
}

/// Takes what comes at one end.
fn take(mut from: TcpStream, pieces: &SyncSender<Piece>, way: Way, state: &Mutex<State>) {
    let mut buffer = [0; PIECE_BYTES];
    let modem = state.lock().unwrap().modem.clone();
    let most = if modem.is_some() { PACKET_BYTES } else { PIECE_BYTES };
    while let Ok(read @ 1..) = from.read(&mut buffer[..most]) {
        let (passed, end, byte_ns) = {
            let mut state = state.lock().unwrap();
            let (passed, end) = state.pass(way, read);
            (passed, end, state.byte_ns)
        };
        let due_us = if let Some(modem) = &modem {
            modem.send(way, passed, byte_ns)
        } else {
            sleep(Duration::from_nanos(byte_ns * passed as u64));
            0
        };
        if pieces.send(Piece { due_us, bytes: buffer[..passed].to_vec(), end }).is_err() {
            break;
        }
        if let Some(Break::Cut) = end {
            return;
        }
    }
    let _ = from.shutdown(Shutdown::Read);
}

/// Gives it out at the other.
fn give(mut to: TcpStream, pieces: &Receiver<Piece>, state: &Mutex<State>, gate: &Turnstile) {
    let modem = state.lock().unwrap().modem.clone();
    for piece in pieces {
        if let Some(modem) = &modem {
            modem.wait(piece.due_us);
        }
        if gate.pass() == Gate::Dead {
            continue;
        }
        let written = to.write_all(&piece.bytes);
        if let Some(how) = piece.end {
            state.lock().unwrap().break_off(how);
        }
        if written.is_err() {
            break;
        }
    }
    // Where one end has gone, the other hears of it, as far as anything is heard.
    if gate.pass() != Gate::Dead {
        let _ = to.shutdown(Shutdown::Write);
    }
}
