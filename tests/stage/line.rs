//! A bad line between programs and their hub: it forwards, no faster than a test says, and is cut where it says.
//!
//! Owns a port of its own and the connections through it. A cut ends all of them at once, as a lost line does: what was
//! forwarded before it has gone out to the byte, everything behind it is lost. The next connection goes through.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, sleep};
use std::time::Duration;

/// Bytes forwarded at once.
const PIECE_BYTES: usize = 16 * 1024;

/// Which way bytes go.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// To the hub.
    Up,
    /// From the hub.
    Down,
}

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
    passed_bytes: [u64; 2],
    /// How many bytes go through before each of the cuts to come.
    cuts: [VecDeque<usize>; 2],
    /// How long a byte takes; nothing where it is zero.
    byte_ns: u64,
}

impl Line {
    /// Leads to a hub, which need not be there yet.
    pub(crate) fn to(hub: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let line = Self { address: listener.local_addr().unwrap(), state: Arc::default() };
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
        self.state.lock().unwrap().cuts[way as usize].extend(bytes);
    }

    /// How many cuts are to come.
    pub(crate) fn cuts_left(&self, way: Way) -> usize {
        self.state.lock().unwrap().cuts[way as usize].len()
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
        state.cut();
        drop(state);
        // Wakes who waits for the next connection; it may have ended.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    /// How many of these bytes go through, and whether the line is cut behind them.
    fn pass(&mut self, way: Way, bytes: usize) -> (usize, bool) {
        let cuts = &mut self.cuts[way as usize];
        let passed = cuts.front().map_or(bytes, |left| bytes.min(*left));
        self.passed_bytes[way as usize] += passed as u64;
        let cut = cuts.front_mut().is_some_and(|left| {
            *left -= passed;
            *left == 0
        });
        if cut {
            cuts.pop_front();
        }
        (passed, cut)
    }

    fn cut(&mut self) {
        for end in self.open.drain(..) {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn carry(listener: &TcpListener, hub: SocketAddr, state: &Arc<Mutex<State>>) {
    for client in listener.incoming().map(Result::unwrap) {
        // A hub that is not there is a line that ends at once.
        let hub = TcpStream::connect(hub);
        let mut opened = state.lock().unwrap();
        if opened.closed {
            return;
        }
        let Ok(hub) = hub else { continue };
        for end in [&client, &hub] {
            end.set_nodelay(true).unwrap();
            opened.open.push(end.try_clone().unwrap());
        }
        drop(opened);
        let ends = (client.try_clone().unwrap(), hub.try_clone().unwrap());
        for (from, to, way) in [(client, ends.1, Way::Up), (hub, ends.0, Way::Down)] {
            let state = Arc::clone(state);
            Builder::new().spawn(move || forward(from, to, way, &state)).unwrap();
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, way: Way, state: &Mutex<State>) {
    let mut piece = [0; PIECE_BYTES];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        let (passed, cut, byte_ns) = {
            let mut state = state.lock().unwrap();
            let (passed, cut) = state.pass(way, read);
            (passed, cut, state.byte_ns)
        };
        sleep(Duration::from_nanos(byte_ns * passed as u64));
        let written = to.write_all(&piece[..passed]);
        if cut {
            state.lock().unwrap().cut();
        }
        if cut || written.is_err() {
            break;
        }
    }
    // Where one end has gone, the other hears of it.
    let _ = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
}
