//! What sealing, opening, signing and verifying take, beside what the libraries' bare primitives take for as many bytes.
//!
//! In one process, with no hub: each on one core, then on all cores at once.

use std::fmt;
use std::hint::black_box;
use std::thread;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use resguardo::desk::opener::Opener;
use resguardo::model::policy::{Policy, Stated, When};
use resguardo::model::refusal::Refusal;
use resguardo::seal::{Kind, seal_bytes, sha256};
use resguardo::wire::proto::PublishRequest;
use resguardo::wire::signed::SignedEnvelope;

use crate::common::hub::DevSet;
use crate::common::messages::Audience;
use crate::common::stopwatch::Stopwatch;
use crate::primitives::Primitives;
use crate::supply::Sealer;

/// Bytes that the alert, its manifest and the padding come to.
const PADDED_BYTES: usize = 4096;

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Microseconds on one core.
    pub(crate) us: f64,
    /// How many a second all cores do together.
    pub(crate) per_s_all: f64,
    /// Which primitives are behind it.
    pub(crate) bare: &'static str,
    /// Microseconds that these take on one core.
    pub(crate) bare_us: f64,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, us, per_s_all, bare, bare_us } = self;
        write!(f, "{name}: {us:.1} us, {per_s_all:.0}/s on all cores; {bare}: {bare_us:.1} us")
    }
}

/// What is done over and over; it is told how often it was done before.
type Act<'a> = &'a (dyn Fn(usize) -> Result<()> + Sync);

/// A sealed alert, and who can open it.
struct Alert {
    request: PublishRequest,
    read: SignedEnvelope,
    openers: Vec<Opener>,
}

/// Measures each three times for so many seconds: alone, its primitives, and on all cores.
pub(crate) fn measure(
    dev: &DevSet,
    audience: &Audience,
    seconds: f64,
    watch: Stopwatch,
) -> Result<Vec<Operation>> {
    let mut sealer = Sealer::new(dev, audience, 1)?;
    let alert = Alert::of(sealer.seal(0)?, dev, audience)?;
    let (sealer, policy, key) = (&sealer, &audience.policy, &sealer.key);
    let statement = &alert.read.signed.statement;
    let (public, (_, signature)) = (key.verifying_key(), &alert.read.signed.signatures[0]);
    let manifest = sealer.manifest(&alert.read.envelope);
    let bare = Primitives::new(statement, PADDED_BYTES)?;
    let wraps = sealer.recipients.len();

    let timed = |name, act: Act<'_>, bare, primitives: Act<'_>| -> Result<Operation> {
        let us = per_act_us(act, seconds, watch)?;
        let bare_us = per_act_us(primitives, seconds, watch)?;
        let per_s_all = on_all_cores(act, seconds, watch)?;
        Ok(Operation { name, us, per_s_all, bare, bare_us })
    };
    let sign: Act<'_> = &|_| done(key.sign(Kind::Envelope, statement));
    let verify: Act<'_> = &|_| Ok(public.verify(Kind::Envelope, statement, signature)?);
    let seal: Act<'_> = &|_| done(seal_bytes(&sealer.recipients, &manifest, &sealer.content)?);
    let open: Act<'_> = &|turn| done(alert.opener(turn).own(&alert.request.payload)?);
    let send: Act<'_> = &|_| done(sealer.seal_draft(alert.read.envelope.clone())?);
    let receive: Act<'_> = &|turn| alert.receive(policy, turn);
    Ok(vec![
        timed("sign", sign, "Ed25519 and ML-DSA-44", &|_| bare.sign())?,
        timed("verify", verify, "Ed25519 and ML-DSA-44", &|_| bare.verify())?,
        timed("seal for seven", seal, "seven times X-Wing, and the cipher", &|_| bare.seal(wraps))?,
        timed("open", open, "once X-Wing, and the cipher", &|_| bare.open())?,
        timed("alert: seal, sign twice", send, "the same", &|_| {
            bare.sign()?;
            bare.sign()?;
            bare.seal(wraps)
        })?,
        timed("alert: verify twice, open", receive, "the same", &|_| {
            bare.verify()?;
            bare.verify()?;
            bare.open()
        })?,
    ])
}

impl Alert {
    fn of(request: PublishRequest, dev: &DevSet, audience: &Audience) -> Result<Self> {
        let read = SignedEnvelope::read(&request.envelope).map_err(|refusal| anyhow!(refusal.message))?;
        let openers = audience.offices.iter().map(|office| dev.opener(office)).collect::<Result<_>>()?;
        Ok(Self { request, read, openers })
    }

    /// The offices open it in turns: whose stanza stands further back has more to try.
    fn opener(&self, turn: usize) -> &Opener {
        &self.openers[turn % self.openers.len()]
    }

    /// Does with it what a desk does before it shows it.
    fn receive(&self, policy: &Policy, turn: usize) -> Result<()> {
        let refused = |refusal: Refusal| anyhow!(refusal.message);
        let SignedEnvelope { envelope, signed } =
            SignedEnvelope::read(&self.request.envelope).map_err(refused)?;
        let (statement, signatures) = (&signed.statement, &signed.signatures);
        let stated = Stated { desk: &envelope.sender, kind: Kind::Envelope, statement, signatures };
        policy.check_envelope(stated, When::Once).map_err(refused)?;
        let payload: &Bytes = &self.request.payload;
        envelope.check_payload(payload.len(), &sha256(payload)).map_err(refused)?;
        self.opener(turn).open(policy, &envelope, payload)?;
        Ok(())
    }
}

/// Keeps the compiler from leaving out what gave this.
#[expect(clippy::unnecessary_wraps, reason = "it ends an act, which may fail")]
fn done<T>(given: T) -> Result<()> {
    drop(black_box(given));
    Ok(())
}

/// Microseconds that an act takes on one core.
fn per_act_us(act: Act<'_>, seconds: f64, watch: Stopwatch) -> Result<f64> {
    Ok(1e6 / per_s(act, seconds, watch)?)
}

/// How often a second all cores do something together.
fn on_all_cores(act: Act<'_>, seconds: f64, watch: Stopwatch) -> Result<f64> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let cores: Vec<_> = (0..cores).map(|_| scope.spawn(|| per_s(act, seconds, watch))).collect();
        cores.into_iter().map(|core| core.join().map_err(|_| anyhow!("it panicked"))?).sum()
    })
}

fn per_s(act: Act<'_>, seconds: f64, watch: Stopwatch) -> Result<f64> {
    let (began_s, mut turns, mut count) = (watch.seconds(), 0, 0.0);
    loop {
        act(turns)?;
        (turns, count) = (turns + 1, count + 1.0);
        let lasted_s = watch.seconds() - began_s;
        if lasted_s >= seconds {
            return Ok(count / lasted_s);
        }
    }
}
