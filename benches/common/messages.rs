//! Messages of the load: every one another, and when each was handed in. Its number stands in its id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use prost::Message as _;
use resguardo::desk::home::Home;
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::host::disk::OsDisk;
use resguardo::host::random::{Random as _, SeededRandom, uuid_v7};
use resguardo::model::envelope::MessageId;
use resguardo::model::id::Index;
use resguardo::model::policy::Policy;
use resguardo::model::receipt::Covered;
use resguardo::seal::{Kind, SigningKey, sha256};
use resguardo::wire::amendment;
use resguardo::wire::proto::{
    CapMsgType, CapStatus, DescribeDirectoryResponse, Envelope, FileRef, MessageClass, Priority,
    PublishRequest, Recipient, Signed,
};
use resguardo::wire::signed;
use tokio::time::sleep;

use crate::common::hub::{DevSet, SENDER};
use crate::common::stopwatch::Stopwatch;

/// Bytes of a payload that nobody sealed.
pub(crate) const PAYLOAD_BYTES: usize = 1024;
/// The stream that they belong to: the one of urgent alerts.
pub(crate) const STREAM: &str = "monitoring-protection";
/// The tag and length that stand before the id at the start of every envelope (field 1, 16 bytes).
const ID_HEAD: [u8; 2] = [0x0a, 16];
/// Where in an id the message's number stands: RFC 9562 has random bits there.
const NUMBER_AT: usize = 8;
/// The bits of it that are the number: before them stands the variant.
const NUMBER_BITS: u64 = (1 << 62) - 1;
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

    /// Gives the next message's number, as long as it is below a bound.
    pub(crate) fn take_below(&self, bound: u64) -> Option<u64> {
        let next = |number: u64| (number < bound).then_some(number + 1);
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()
    }

    /// Gives the next message's number.
    pub(crate) fn take(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
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
    envelope: Envelope,
    key: Option<Arc<SigningKey>>,
    payload: [u8; PAYLOAD_BYTES],
    clock: SystemClock,
    random: SeededRandom,
}

impl Author {
    /// Makes an author for each of some seeds: messages of the stream to all its members but the sender.
    pub(crate) fn new(audience: &Audience, seed: u64) -> Self {
        let (clock, random) = (SystemClock::new(), SeededRandom::new(seed));
        let mut payload = [0; PAYLOAD_BYTES];
        random.fill(&mut payload);
        let envelope = Envelope {
            message_class: MessageClass::Alert.into(),
            stream: STREAM.to_owned(),
            sender: desk(SENDER),
            recipients: audience.recipients.clone(),
            directory_version: audience.policy.version().0,
            priority: Priority::Urgent.into(),
            status: CapStatus::Test.into(),
            msg_type: CapMsgType::Alert.into(),
            payload_bytes: PAYLOAD_BYTES as u64,
            payload_digest: Bytes::from_static(&[0; 32]),
            receive_by_s: Some(DEADLINE_S),
            read_by_s: Some(DEADLINE_S),
            act_by_s: Some(DEADLINE_S),
            ..Envelope::default()
        };
        Self { envelope, key: audience.key.clone(), payload, clock, random }
    }

    /// Writes the message of a number.
    pub(crate) fn write(&mut self, number: u64) -> PublishRequest {
        self.payload[..8].copy_from_slice(&number.to_be_bytes());
        self.envelope.payload_digest = Bytes::copy_from_slice(&sha256(&self.payload));
        let statement = self.address(number);
        let envelope = match &self.key {
            Some(key) => signed::Signed::by(key, Kind::Envelope, statement).to_bytes(),
            None => signed::Signed { statement, signatures: Vec::new() }.to_bytes(),
        };
        PublishRequest { envelope, payload: Bytes::copy_from_slice(&self.payload) }
    }

    /// Gives the envelope of a number, which nobody has signed.
    pub(crate) fn address(&mut self, number: u64) -> Bytes {
        let mut id = uuid_v7(&self.clock, &self.random).into_bytes();
        let tail = u64::from_be_bytes(id[NUMBER_AT..].try_into().expect("an id ends with 8 bytes"));
        id[NUMBER_AT..].copy_from_slice(&(tail & !NUMBER_BITS | number).to_be_bytes());
        self.envelope.message_id = Bytes::copy_from_slice(&id);
        self.envelope.thread_id = Bytes::copy_from_slice(&id);
        self.envelope.sent_unix_us = self.clock.now().0;
        for recipient in &mut self.envelope.recipients {
            recipient.number = number + 1;
        }
        self.envelope.encode_to_vec().into()
    }

    /// Writes a packet with files, which need not be in order.
    pub(crate) fn write_packet(&mut self, number: u64, files: &[FileRef]) -> PublishRequest {
        let mut files = files.to_vec();
        files.sort_by(|one, other| one.sha256.cmp(&other.sha256));
        let alert = self.envelope.clone();
        (self.envelope.message_class, self.envelope.files) = (MessageClass::Packet.into(), files);
        let written = self.write(number);
        self.envelope = alert;
        written
    }
}

/// Whom the messages are for.
#[derive(Clone)]
pub(crate) struct Audience {
    /// The offices that receive them.
    pub(crate) offices: Vec<String>,
    /// The directory that says so.
    pub(crate) policy: Arc<Policy>,
    recipients: Vec<Recipient>,
    /// What they are signed with; none for a hub that takes what nobody signed.
    key: Option<Arc<SigningKey>>,
}

impl Audience {
    /// Takes the stream's six members from the directory, without the sender.
    pub(crate) fn of(told: &DescribeDirectoryResponse, dev: &DevSet) -> Result<Self> {
        let all = Self::all(told, dev)?;
        ensure!(all.offices.len() == 6, "{} offices receive the stream; six expected", all.offices.len());
        Ok(all)
    }

    /// Takes the stream's members from the directory, however many, without the sender.
    pub(crate) fn all(told: &DescribeDirectoryResponse, dev: &DevSet) -> Result<Self> {
        let trust = Home::open(Arc::new(OsDisk), &dev.office_home(SENDER))?.trust()?;
        let policy = amendment::follow(trust, Policy::default(), &told.entries)
            .map_err(|refusal| anyhow!("the directory: {}", refusal.message))?;
        let rights = policy.streams().get(STREAM).context("the directory lacks the stream")?;
        let mut recipients = Vec::new();
        for office in rights.subscribers.iter().filter(|office| office.as_str() != SENDER) {
            let key = policy.office_key_id(office).context("an office without a key")?;
            let key_id = Bytes::copy_from_slice(&key);
            recipients.push(Recipient { office: office.to_string(), key_id, number: 1 });
        }
        let offices = recipients.iter().map(|it| it.office.clone()).collect();
        Ok(Self { offices, policy: Arc::new(policy), recipients, key: Some(dev.attended(SENDER)?) })
    }

    /// Divides it so that no part has more than so many offices.
    pub(crate) fn in_parts(&self, most: usize) -> Vec<Self> {
        let parts = self.recipients.chunks(most).zip(self.offices.chunks(most));
        let part = |(recipients, offices): (&[Recipient], &[String])| Self {
            recipients: recipients.to_vec(),
            offices: offices.to_vec(),
            ..self.clone()
        };
        parts.map(part).collect()
    }

    /// The same, for messages that nobody signs.
    pub(crate) fn unsigned(&self) -> Self {
        Self { key: None, ..self.clone() }
    }
}

/// Names the one desk that an office of the dev set has.
pub(crate) fn desk(office: &str) -> String {
    format!("urn:resguardo:office:{office}:desk-1")
}

/// Reads a message's number back.
pub(crate) fn number(id: MessageId) -> u64 {
    let tail = id.as_bytes()[NUMBER_AT..].try_into().expect("an id ends with 8 bytes");
    u64::from_be_bytes(tail) & NUMBER_BITS
}

/// Names a message as a receipt covers it. Every author here puts the id first, so decoding the rest, at six subscribers'
/// cost a message, would measure this program instead of the hub.
pub(crate) fn covered(index: u64, envelope: &Bytes) -> Result<Covered> {
    let signed = Signed::decode(envelope.clone())?;
    let statement = signed.statement;
    ensure!(
        statement.len() >= 18 && statement[..2] == ID_HEAD,
        "an envelope that does not begin with its id"
    );
    let message_id = MessageId::from_slice(&statement[2..18]).context("no message id")?;
    Ok(Covered { index: Index(index), message_id, digest: sha256(&statement) })
}
