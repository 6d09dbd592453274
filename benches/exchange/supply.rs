//! Messages that are made before the clock starts: signed ones of 1 KiB, and alerts that are sealed and signed.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use resguardo::model::entry::EntryKind;
use resguardo::model::envelope::Envelope;
use resguardo::model::id::{Index, UnixMicros};
use resguardo::seal::{Recipient, SigningKey, seal_bytes, sha256};
use resguardo::wire::convert;
use resguardo::wire::log::Recorded;
use resguardo::wire::manifest::{Part, SealedManifest};
use resguardo::wire::proto::PublishRequest;
use resguardo::wire::signed::SignedEnvelope;
use resguardo::{cap, desk};

use crate::common::hub::{DevSet, SENDER};
use crate::common::messages::{Audience, Author, desk};
use crate::common::source::{Pool, Source};
use crate::common::stopwatch::Stopwatch;
use crate::point::Content;

/// An alert of about 1 KiB, so that with its manifest it is padded to 4 KiB.
const ALERT: &[u8] = include_bytes!("alert.xml");

/// What stands before an entry in the hash that is its record: a domain and a nonce.
const RECORD_HEAD_BYTES: usize = 26 + 16;

/// How many messages are made beforehand; none of those that are not measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) signed: Option<u64>,
    pub(crate) sealed: Option<u64>,
}

/// All messages of a run: the same for each hub, for each is founded anew.
pub(crate) struct Supply {
    pub(crate) audience: Audience,
    pub(crate) signed: Option<Arc<Pool>>,
    pub(crate) sealed: Option<Arc<Pool>>,
}

/// What seals alerts as a desk does.
pub(crate) struct Sealer {
    author: Author,
    /// Those of all offices, the sender's own last.
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) content: Bytes,
}

impl Supply {
    /// Makes as many messages as are asked for.
    pub(crate) fn make(dev: &DevSet, audience: Audience, made: Made, watch: Stopwatch) -> Result<Self> {
        let sign = |seed| {
            let mut author = Author::new(&audience, seed);
            move |number| Ok(author.write(number))
        };
        let office = Sealer::new(dev, &audience, 0)?;
        let seal = |seed| {
            let mut office = office.again(&audience, seed);
            move |number| office.seal(number)
        };
        let signed = made.signed.map(|count| Pool::make(count, watch, sign)).transpose()?;
        let sealed = made.sealed.map(|count| Pool::make(count, watch, seal)).transpose()?;
        Ok(Self { audience, signed: signed.map(Arc::new), sealed: sealed.map(Arc::new) })
    }

    /// Says what was made, in sentences.
    pub(crate) fn told(&self) -> Vec<String> {
        let pools = [(&self.signed, "signed messages"), (&self.sealed, "sealed and signed alerts")];
        let told = |(pool, what): (&Option<Arc<Pool>>, &str)| {
            let pool = pool.as_ref()?;
            let PublishRequest { envelope, payload } = pool.first()?;
            #[expect(clippy::cast_precision_loss, reason = "a count of messages is exact in an f64")]
            let per_s = pool.count() as f64 / pool.made_s;
            Some(format!(
                "{} {what} (envelope {} bytes, payload {}) were made beforehand in {:.1} s on all cores: {per_s:.0}/s.",
                pool.count(),
                envelope.len(),
                payload.len(),
                pool.made_s
            ))
        };
        pools.into_iter().filter_map(told).collect()
    }

    /// Bytes that the record of a message of 1 KiB is the hash of, signed or not.
    pub(crate) fn entry_bytes(&self, content: Content) -> usize {
        let audience =
            if content == Content::Opaque { self.audience.unsigned() } else { self.audience.clone() };
        let statement = Author::new(&audience, 0).write(0).envelope;
        let (index, time, identity) = (Index(0), UnixMicros(0), &desk(SENDER));
        let recorded = Recorded { index, time, kind: EntryKind::Publish, identity, statement };
        RECORD_HEAD_BYTES + recorded.to_bytes().len()
    }

    /// Where callers take messages of a kind from.
    pub(crate) fn source(&self, content: Content) -> Result<Source> {
        let pool = match content {
            Content::Opaque => return Ok(Source::Written(self.audience.unsigned())),
            Content::Signed => &self.signed,
            Content::Sealed => &self.sealed,
        };
        pool.clone().map(Source::Pool).ok_or_else(|| anyhow!("no messages were made that are {content}"))
    }
}

impl Sealer {
    /// Takes the newest keys of all offices from the directory.
    pub(crate) fn new(dev: &DevSet, audience: &Audience, seed: u64) -> Result<Self> {
        let offices = audience.offices.iter().map(String::as_str).chain([SENDER]);
        let key = |office: &str| {
            let key = audience.policy.office_key(&office.parse()?).cloned();
            key.ok_or_else(|| anyhow!("the directory has no key of {office}"))
        };
        let alert = cap::import(ALERT)?.alert;
        Ok(Self {
            author: Author::new(audience, seed),
            recipients: offices.map(key).collect::<Result<_>>()?,
            key: dev.attended(SENDER)?,
            content: desk::content::payload(&alert, &[]),
        })
    }

    /// The same, with another seed for the ids.
    fn again(&self, audience: &Audience, seed: u64) -> Self {
        Self {
            author: Author::new(audience, seed),
            recipients: self.recipients.clone(),
            key: Arc::clone(&self.key),
            content: self.content.clone(),
        }
    }

    /// Seals and signs the alert of a number.
    pub(crate) fn seal(&mut self, number: u64) -> Result<PublishRequest> {
        let drafted = convert::envelope(&self.author.address(number));
        self.seal_draft(drafted.map_err(|refusal| anyhow!("a draft: {}", refusal.message))?)
    }

    /// Seals and signs the alert of an envelope.
    pub(crate) fn seal_draft(&self, mut envelope: Envelope) -> Result<PublishRequest> {
        let payload = seal_bytes(&self.recipients, &self.manifest(&envelope), &self.content)?;
        envelope.payload_bytes = payload.len() as u64;
        envelope.payload_digest = sha256(&payload);
        let envelope = SignedEnvelope::by(&self.key, envelope).signed.to_bytes();
        Ok(PublishRequest { envelope, payload: payload.into() })
    }

    /// Signs what stands inside the sealing.
    pub(crate) fn manifest(&self, envelope: &Envelope) -> Bytes {
        SealedManifest::of(envelope, Part::Payload, sha256(&self.content)).signed_by(&self.key)
    }
}
