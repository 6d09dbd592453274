//! Messages of the load: 1 KiB each, every one another, and when each was handed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use prost::Message as _;
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::host::random::{Random as _, SeededRandom, uuid_v7};
use resguardo::wire::proto::{
    CapMsgType, CapStatus, DescribeDirectoryResponse, DirectoryAmendment, Envelope, FileRef, MessageClass,
    Priority, PublishRequest, Signed, directory_fact::Fact,
};
use tokio::time::sleep;

use crate::common::hub::SENDER;
use crate::common::stopwatch::Stopwatch;

/// Bytes of a payload; its first eight are the message's number.
pub(crate) const PAYLOAD_BYTES: usize = 1024;
/// The tag and length that stand before the id at the start of every envelope (field 1, 16 bytes).
const ID_HEAD: [u8; 2] = [0x0a, 16];
/// By when a message asks to be received, read and acted on, in seconds: a day, so that nothing of it is late in any run.
const DEADLINE_S: u32 = 86_400;
/// How often it is looked whether a count is reached.
const LOOK: Duration = Duration::from_millis(1);

/// Numbers the messages and keeps when each was handed in.
pub(crate) struct Flights {
    watch: Stopwatch,
    next: AtomicU64,
    /// The first number whose times count.
    counted_from: AtomicU64,
    begun_ns: Vec<AtomicU64>,
}

impl Flights {
    /// Makes room for this many messages.
    pub(crate) fn new(watch: Stopwatch, count: usize) -> Self {
        let begun_ns = std::iter::repeat_with(AtomicU64::default).take(count).collect();
        Self { watch, next: AtomicU64::new(0), counted_from: AtomicU64::new(u64::MAX), begun_ns }
    }

    /// Nanoseconds on the clock that all times are taken with.
    pub(crate) fn now_ns(&self) -> u64 {
        self.watch.ns()
    }

    /// How many messages there are so far.
    pub(crate) fn count(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Waits until there are so many messages.
    pub(crate) async fn reach(&self, count: u64) -> Result<()> {
        while self.count() < count {
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// From here on times count.
    pub(crate) fn count_times(&self) {
        self.counted_from.store(self.count(), Ordering::Relaxed);
    }

    /// Until then times do not count any more.
    pub(crate) fn discount_times(&self) {
        self.counted_from.store(u64::MAX, Ordering::Relaxed);
    }

    /// Notes that a message is being handed in now; gives the time.
    pub(crate) fn begin(&self, number: u64) -> Result<u64> {
        let now = self.watch.ns();
        self.slot(number)?.store(now, Ordering::Relaxed);
        Ok(now)
    }

    /// Gives how long before a time a message was handed in, in nanoseconds; `None` while times do not count.
    pub(crate) fn elapsed_ns(&self, number: u64, now_ns: u64) -> Result<Option<u64>> {
        let elapsed = now_ns - self.slot(number)?.load(Ordering::Relaxed);
        Ok((number >= self.counted_from.load(Ordering::Relaxed)).then_some(elapsed))
    }

    fn slot(&self, number: u64) -> Result<&AtomicU64> {
        let slot = usize::try_from(number).ok().and_then(|at| self.begun_ns.get(at));
        slot.with_context(|| format!("message {number} is beyond the room for {}", self.begun_ns.len()))
    }
}

/// Writes one caller's messages.
pub(crate) struct Author {
    flights: Arc<Flights>,
    envelope: Envelope,
    payload: [u8; PAYLOAD_BYTES],
    clock: SystemClock,
    random: SeededRandom,
}

impl Author {
    /// Makes an author for each of some seeds: messages of the directory's first stream to all its members but the sender.
    pub(crate) fn new(flights: &Arc<Flights>, audience: &Audience, seed: u64) -> Self {
        let (clock, random) = (SystemClock::new(), SeededRandom::new(seed));
        let mut payload = [0; PAYLOAD_BYTES];
        random.fill(&mut payload);
        let envelope = Envelope {
            message_class: MessageClass::Alert.into(),
            stream: audience.stream.clone(),
            sender: desk(SENDER),
            recipients: audience.offices.clone(),
            directory_version: audience.directory_version,
            priority: Priority::Urgent.into(),
            status: CapStatus::Test.into(),
            msg_type: CapMsgType::Alert.into(),
            payload_bytes: PAYLOAD_BYTES as u64,
            receive_by_s: Some(DEADLINE_S),
            read_by_s: Some(DEADLINE_S),
            act_by_s: Some(DEADLINE_S),
            ..Envelope::default()
        };
        Self { flights: Arc::clone(flights), envelope, payload, clock, random }
    }

    /// Writes a message; gives it with its number.
    pub(crate) fn write(&mut self) -> (u64, PublishRequest) {
        let number = self.flights.next.fetch_add(1, Ordering::Relaxed);
        self.payload[..8].copy_from_slice(&number.to_be_bytes());
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.payload);
        let id = uuid_v7(&self.clock, &self.random).into_bytes();
        self.envelope.message_id = Bytes::copy_from_slice(&id);
        self.envelope.thread_id = Bytes::copy_from_slice(&id);
        self.envelope.sent_unix_us = self.clock.now().0;
        self.envelope.payload_digest = Bytes::copy_from_slice(digest.as_ref());
        let envelope = self.envelope.encode_to_vec().into();
        (number, PublishRequest { envelope, payload: Bytes::copy_from_slice(&self.payload) })
    }
}

impl Author {
    /// Writes a packet with files, which need not be in order; gives it with its number.
    pub(crate) fn write_packet(&mut self, files: &[FileRef]) -> (u64, PublishRequest) {
        let mut files = files.to_vec();
        files.sort_by(|one, other| one.sha256.cmp(&other.sha256));
        let alert = self.envelope.clone();
        (self.envelope.message_class, self.envelope.files) = (MessageClass::Packet.into(), files);
        let written = self.write();
        self.envelope = alert;
        written
    }
}

/// Whom the messages are for.
#[derive(Clone)]
pub(crate) struct Audience {
    stream: String,
    /// The offices that receive them.
    pub(crate) offices: Vec<String>,
    directory_version: u64,
}

impl Audience {
    /// Takes the first stream's members from the directory, without the sender.
    pub(crate) fn of(directory: &DescribeDirectoryResponse) -> Result<Self> {
        let founding = directory.amendments.first().context("the directory was not founded")?;
        let founding = DirectoryAmendment::decode(Signed::decode(founding.clone())?.statement)?;
        let facts = founding.facts.into_iter().filter_map(|fact| fact.fact);
        let mut streams =
            facts.filter_map(|fact| if let Fact::Stream(stream) = fact { Some(stream) } else { None });
        let stream = streams.next().context("the directory has no stream")?;
        let mut offices = stream.subscribers;
        offices.retain(|office| office != SENDER);
        offices.sort();
        ensure!(offices.len() == 6, "{} offices receive the stream; six expected", offices.len());
        Ok(Self { stream: stream.name, offices, directory_version: directory.version })
    }
}

/// Names the one desk that an office of the dev set has.
pub(crate) fn desk(office: &str) -> String {
    format!("urn:resguardo:office:{office}:desk-1")
}

/// Reads a message's number back.
pub(crate) fn number(payload: &[u8]) -> Result<u64> {
    let head = payload.first_chunk().context("a payload of less than 8 bytes")?;
    Ok(u64::from_be_bytes(*head))
}

/// Reads the id from an envelope's bytes. Every author here puts it first, so decoding the rest, at six subscribers'
/// cost a message, would measure this program instead of the hub.
pub(crate) fn id(envelope: &Bytes) -> Result<Bytes> {
    ensure!(envelope.len() >= 18 && envelope[..2] == ID_HEAD, "an envelope that does not begin with its id");
    Ok(envelope.slice(2..18))
}
