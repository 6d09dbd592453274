//! Pace: how much work whoever is connected may make the hub do by frames of HTTP/2, whatever is in them.
//!
//! Owns a balance that fills with time and may be overdrawn by what one read brings: nothing is refused or lost, the next
//! read waits until the balance is paid. A frame costs its sender some bytes and the hub a multiple of them, so that without
//! this a client that sends pings, resets or headers as fast as it can takes a core of the hub's with a small part of its own.
//! Never looks into a frame: it knows types and lengths. Source: RFC 9113, section 4.1.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::host::clock::Clock;

/// Bytes that a client sends before its first frame.
const PREFACE_BYTES: usize = 24;
/// Bytes of a frame's header.
const HEADER_BYTES: usize = 9;
/// What a frame weighs. A unit is about what a ping takes: a microsecond or two.
const FRAME_UNITS: u64 = 1;
/// What a call weighs, from its headers to its refusal.
const CALL_UNITS: u64 = 40;
/// What a reset weighs: a call is taken down.
const RESET_UNITS: u64 = 4;
/// Bytes of headers that weigh one unit more: each byte may stand for a header of kilobytes.
const HEADER_BYTES_A_UNIT: u64 = 16;
/// Bytes of data that weigh one unit more: they are decrypted and moved, whoever wants them.
const DATA_BYTES_A_UNIT: u64 = 2_048;
/// Types of frames that weigh more than others.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
/// How long a balance may be saved up.
const SAVED: Duration = Duration::from_secs(2);
/// How far it may be overdrawn: below what a keep-alive waits, for an answer to that is a frame as well.
const OWED: Duration = Duration::from_secs(5);

/// A balance. All connections of one office or auditor draw on the same one.
pub struct Pace {
    clock: Arc<dyn Clock>,
    /// Units a second.
    per_s: AtomicU64,
    balance: Mutex<Balance>,
}

struct Balance {
    /// Units times a million; below zero: owed.
    micro_units: i64,
    at_us: u64,
}

impl Pace {
    /// Begins with what may be saved up, at so many units a second.
    pub fn new(clock: Arc<dyn Clock>, per_s: u64) -> Self {
        let balance = Mutex::new(Balance { micro_units: i64::MAX, at_us: clock.monotonic_us() });
        Self { clock, per_s: AtomicU64::new(per_s.max(1)), balance }
    }

    /// Sets how many units a second there are from now on.
    pub fn set(&self, per_s: u64) {
        self.per_s.store(per_s.max(1), Ordering::Relaxed);
    }

    /// Takes units; gives how long to wait before anything more is taken.
    pub fn take(&self, units: u64) -> Duration {
        let now_us = self.clock.monotonic_us();
        let per_s = self.per_s.load(Ordering::Relaxed);
        let of = |time: Duration| i64::try_from(u128::from(per_s) * time.as_micros()).unwrap_or(i64::MAX);
        let mut balance = self.balance.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = of(Duration::from_micros(now_us.saturating_sub(balance.at_us)));
        balance.at_us = now_us;
        let units = i64::try_from(units.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        let left = balance.micro_units.saturating_add(filled).min(of(SAVED)).saturating_sub(units);
        balance.micro_units = left.max(-of(OWED));
        Duration::from_micros(balance.micro_units.min(0).unsigned_abs().div_ceil(per_s))
    }
}

/// Weighs one connection's frames as their bytes come.
#[derive(Debug)]
pub(super) struct Scales {
    header: [u8; HEADER_BYTES],
    have: usize,
    /// Bytes that are no frame's header.
    skip: usize,
}

impl Scales {
    /// Begins with a connection's first byte.
    pub(super) fn new() -> Self {
        Self { header: [0; HEADER_BYTES], have: 0, skip: PREFACE_BYTES }
    }

    /// Gives what the frames weigh whose headers end in these bytes.
    pub(super) fn weigh(&mut self, mut bytes: &[u8]) -> u64 {
        let mut units = 0;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEADER_BYTES - self.have).min(bytes.len());
            self.header[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEADER_BYTES {
                self.have = 0;
                let [a, b, c, kind, ..] = self.header;
                let length = u32::from_be_bytes([0, a, b, c]);
                self.skip = length as usize;
                units += weight(kind, length);
            }
        }
        units
    }
}

fn weight(kind: u8, length: u32) -> u64 {
    let length = u64::from(length);
    let headers = length / HEADER_BYTES_A_UNIT;
    match kind {
        DATA => FRAME_UNITS + length / DATA_BYTES_A_UNIT,
        HEADERS => CALL_UNITS + headers,
        CONTINUATION => FRAME_UNITS + headers,
        RST_STREAM => RESET_UNITS,
        _ => FRAME_UNITS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock::ManualClock;
    use crate::model::id::UnixMicros;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, u8::try_from(payload.len()).unwrap(), kind, 0, 0, 0, 0, 1];
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn frames_weigh_the_same_however_their_bytes_come() {
        let mut bytes = vec![7; PREFACE_BYTES];
        bytes.extend([frame(4, &[]), frame(HEADERS, &[HEADERS; 160]), frame(0, &[9; 200])].concat());
        bytes.extend([frame(RST_STREAM, &[0; 4]), frame(CONTINUATION, &[1; 32]), frame(6, &[6; 8])].concat());
        let expected = 1 + (CALL_UNITS + 10) + 1 + RESET_UNITS + (1 + 2) + 1;
        for piece in [1, 2, 8, 9, 10, 100, bytes.len()] {
            let mut scales = Scales::new();
            let units: u64 = bytes.chunks(piece).map(|piece| scales.weigh(piece)).sum();
            assert_eq!(units, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn balance_is_saved_up_to_a_bound_overdrawn_to_a_bound_and_paid_by_time() {
        let clock = Arc::new(ManualClock::at(UnixMicros(1)));
        let pace = Pace::new(clock.clone(), 100);
        assert_eq!(pace.take(200), Duration::ZERO, "what is saved up goes at once");
        assert_eq!(pace.take(50), Duration::from_millis(500));
        clock.advance_us(400_000);
        assert_eq!(pace.take(0), Duration::from_millis(100));
        clock.advance_us(3_600_000_000);
        assert_eq!(pace.take(201), Duration::from_millis(10), "a pause saves up no more than the bound");
        assert_eq!(pace.take(u64::MAX), OWED);
        pace.set(1_000);
        clock.advance_us(500_000);
        assert_eq!(pace.take(0), Duration::ZERO);
    }
}
