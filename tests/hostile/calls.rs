//! What attackers do with calls that are well made, as whoever has an office's keys can.

use bytes::Bytes;
use resguardo::wire::proto::subscribe_request::Frame as Up;
use resguardo::wire::proto::{PublishRequest, Receipts, Start, SubscribeRequest};
use tokio::runtime::Builder;
use tokio::time::{Duration, sleep, timeout};

use crate::attacker::Attacker;
use crate::stage::audit::all;
use crate::stage::authority::Papers;
use crate::stage::chance::random_bytes;
use crate::stage::client::{Desk, knock_at};
use crate::stage::draft::new_id;
use crate::stage::statement;
use crate::stage::subscription::Subscription;
use crate::{IACHR, MEXICO_DESK};

/// Does something with a desk again and again, so many at once; each says how much it did.
fn as_desk(attacker: &mut Attacker, papers: &Papers, at_once: usize, mut act: impl AsyncFnMut(&Desk) -> u64) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut desks: Vec<Desk> = Vec::new();
        for turn in 0.. {
            if desks.len() < at_once
                && let Ok(channel) = knock_at(&attacker.address, papers).await
            {
                desks.push(Desk { identity: MEXICO_DESK.to_owned(), channel });
            }
            let did = match desks.get(turn % at_once) {
                Some(desk) => timeout(Duration::from_secs(3), act(desk)).await.unwrap_or(0),
                None => 0,
            };
            sleep(attacker.must_wait()).await;
            if !attacker.goes_on(did) {
                return;
            }
        }
    });
}

/// Small messages without end, each signed as it must be.
pub(crate) fn publishes(attacker: &mut Attacker, papers: &Papers) {
    as_desk(attacker, papers, 1, async |desk| {
        let drafts: Vec<_> = (0..8).map(|_| desk.draft(&[IACHR]).request()).collect();
        desk.publish_frames(vec![drafts]).await.map_or(0, |results| results.len() as u64)
    });
}

/// The same with signatures that are none: the hub has to look at each.
pub(crate) fn forged_publishes(attacker: &mut Attacker, papers: &Papers) {
    as_desk(attacker, papers, 1, async |desk| {
        let forged: Vec<PublishRequest> = (0..32)
            .map(|_| {
                let draft = desk.draft(&[IACHR]);
                let mut envelope = draft.envelope_bytes().to_vec();
                let at = envelope.len() - 5;
                envelope[at] ^= 1;
                PublishRequest { envelope: envelope.into(), ..draft.request() }
            })
            .collect();
        desk.publish_frames(vec![forged]).await.map_or(0, |results| results.len() as u64)
    });
}

/// Receipts for what nobody sent.
pub(crate) fn false_receipts(attacker: &mut Attacker, papers: &Papers) {
    as_desk(attacker, papers, 1, async |desk| {
        let start = Start { credit: 1, ..Start::default() };
        let Ok(mut subscription) = Subscription::open(desk, start).await else { return 0 };
        let mut did = 0;
        for _ in 0..8 {
            let receipts: Vec<Bytes> = (0..16)
                .map(|_| {
                    let nobodys = statement::nobodys(u64::MAX, new_id());
                    statement::bytes(&statement::received_of(&desk.identity, vec![nobodys]))
                })
                .collect();
            match subscription.try_state_bytes(receipts).await {
                Ok(results) => did += results.len() as u64,
                Err(_) => break,
            }
        }
        did
    });
}

/// Receipts that are no receipts, as many as a frame holds.
pub(crate) fn broken_receipts(attacker: &mut Attacker, papers: &Papers) {
    as_desk(attacker, papers, 4, async |desk| {
        let start = Start { credit: 1, ..Start::default() };
        let Ok(mut subscription) = Subscription::open(desk, start).await else { return 0 };
        let mut did = 0;
        for _ in 0..16 {
            let receipts = vec![Bytes::copy_from_slice(&random_bytes::<16>()); 256];
            match subscription.try_state_bytes(receipts).await {
                Ok(results) => did += results.len() as u64,
                Err(_) => break,
            }
        }
        did
    });
}

/// The audit's listings, over and over.
pub(crate) fn listings(attacker: &mut Attacker, papers: &Papers) {
    as_desk(attacker, papers, 8, async |desk| {
        let auditor = desk.auditor();
        let (one, two) = (auditor.clone(), auditor);
        let listed = tokio::join!(one.deliveries(all()), one.entries(all()), two.deliveries(all()));
        u64::from(listed.0.is_ok()) + u64::from(listed.1.is_ok()) + u64::from(listed.2.is_ok())
    });
}

/// Subscriptions that take everything and read nothing, as many as one may have.
pub(crate) fn deaf_subscriptions(attacker: &mut Attacker, papers: &Papers) {
    let mut held = Vec::new();
    as_desk(attacker, papers, 8, async |desk| {
        let start = Start { credit: 65_536, replay_from_index: Some(0), ..Start::default() };
        let Ok(subscription) = Subscription::open(desk, start).await else {
            sleep(Duration::from_millis(5)).await;
            return 0;
        };
        held.push(subscription);
        1
    });
}

/// Streams that are opened and left, whose receipts go up and whose results nobody reads.
pub(crate) fn deaf_receipts(attacker: &mut Attacker, papers: &Papers) {
    let mut held = Vec::new();
    as_desk(attacker, papers, 8, async |desk| {
        let first = SubscribeRequest { frame: Some(Up::Start(Start { credit: 1, ..Start::default() })) };
        let Ok((up, down)) = Subscription::open_raw(desk, first).await else { return 0 };
        let receipts = Receipts { receipts: vec![statement::handed(Bytes::from_static(b"\xff\xff")); 256] };
        let frame = SubscribeRequest { frame: Some(Up::Receipts(receipts)) };
        let mut did = 0;
        while let Ok(Ok(())) = timeout(Duration::from_millis(20), up.send(frame.clone())).await {
            did += 256;
            if did > 10_000 {
                break;
            }
        }
        held.push((up, down));
        did
    });
    drop(held);
}
