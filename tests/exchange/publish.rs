//! Publishing: what the answer says is what the journal holds, byte for byte.

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use resguardo::wire::proto::{EntryKind, Priority, PublishRequest};
use tokio::task::JoinSet;

use crate::stage::audit::all;
use crate::stage::chance::{Chance, sha256};
use crate::stage::client::{accepted, refused};
use crate::stage::draft::Draft;
use crate::stage::subscription::{id, message};
use crate::stage::told::expect_item;
use crate::stage::{Setup, Stage};
use crate::{GUATEMALA, HONDURAS, IACHR, MEXICO};

#[tokio::test]
async fn answer_names_the_entry_that_holds_the_exact_envelope() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let mut told = Vec::new();
    for draft in [desk.draft(&[IACHR]), desk.draft(&[MEXICO]).urgent(), desk.draft(&[GUATEMALA, IACHR])] {
        told.push((desk.send(&draft).await, draft));
    }
    let entries = stage.auditor("iachr").await.entries(all()).await.unwrap();
    for (answer, draft) in told {
        let entry = entries.iter().find(|entry| entry.index == answer.index).unwrap();
        assert_eq!(entry.kind(), EntryKind::Publish);
        assert_eq!(entry.recorded_unix_us, answer.accepted_unix_us);
        assert_eq!(entry.identity, desk.identity);
        assert_eq!(entry.statement, draft.envelope_bytes());
    }
    assert!(entries.windows(2).all(|pair| pair[0].recorded_unix_us <= pair[1].recorded_unix_us));
}

#[tokio::test]
async fn envelope_and_payload_arrive_as_the_very_bytes_that_were_handed_in() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    for payload_bytes in [1_u64, 255, 4_096, 65_537, 256 * 1_024] {
        let mut chance = Chance::seeded(payload_bytes);
        let payload: Vec<u8> = (0..payload_bytes).map(|_| chance.bits().to_be_bytes()[0]).collect();
        let draft = desk.draft(&[IACHR]).payload(payload);
        // A field that no version knows yet, in front of all others: bytes that no encoder here would make.
        let mut envelope = BytesMut::new();
        envelope.put_slice(&[0xa2, 0x06, 0x03, b'n', b'e', b'w']);
        envelope.put_slice(&draft.envelope_bytes());
        let envelope = envelope.freeze();
        let request = PublishRequest { envelope: envelope.clone(), payload: draft.payload.clone() };
        let answer = desk.publish_request(request).await.unwrap();
        let delivery = subscription.delivery().await;
        let came = message(&delivery);
        assert_eq!((&came.envelope, &came.payload), (&envelope, &draft.payload));
        assert_eq!((delivery.index, delivery.accepted_unix_us), (answer.index, answer.accepted_unix_us));
        assert!(!came.expired && !came.replayed);
    }
}

#[tokio::test]
async fn results_of_a_stream_come_in_the_order_of_handing_in() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let drafts: Vec<Draft> = (0..300).map(|_| desk.draft(&[IACHR, MEXICO])).collect();
    let answers = desk.send_all(&drafts, 17).await;
    assert_eq!(answers.len(), drafts.len());
    assert!(answers.windows(2).all(|pair| pair[0].index < pair[1].index));
    let rows = stage.auditor("iachr").await.entries_of(EntryKind::Publish).await;
    let held: Vec<_> = rows.iter().map(|row| (row.index, row.statement.clone())).collect();
    let expected: Vec<_> =
        answers.iter().zip(&drafts).map(|(answer, draft)| (answer.index, draft.envelope_bytes())).collect();
    assert_eq!(held, expected);
}

#[tokio::test]
async fn bad_message_in_a_frame_harms_no_other() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let good: Vec<Draft> = (0..4).map(|_| desk.draft(&[IACHR])).collect();
    let bad = [
        (desk.draft(&[IACHR]).stream("no-such-stream").request(), "STREAM_UNKNOWN"),
        (
            PublishRequest { envelope: Bytes::from_static(b"\xff\xff\xff"), payload: Bytes::new() },
            "MALFORMED",
        ),
        (
            PublishRequest { payload: Bytes::from_static(b"other"), ..desk.draft(&[IACHR]).request() },
            "PAYLOAD_MISMATCH",
        ),
    ];
    let frame = (0..7).map(|at| match at % 2 {
        0 => good[at / 2].request(),
        _ => bad[at / 2].0.clone(),
    });
    let results = desk.publish_frames(vec![frame.collect()]).await.unwrap();
    for (at, result) in results.iter().enumerate() {
        match at % 2 {
            0 => assert!(!accepted(result).duplicate),
            _ => expect_item(&refused(result), bad[at / 2].1),
        }
    }
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let came: Vec<_> = subscription.next(4).await.iter().map(id).collect();
    assert_eq!(came, good.iter().map(Draft::id).collect::<Vec<_>>());
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn publishers_of_many_offices_at_once_each_get_their_own_answers() {
    let stage = Stage::open().await;
    let mut publishing = JoinSet::new();
    for office in [HONDURAS, MEXICO, GUATEMALA, IACHR] {
        for desk in ["desk-1", "desk-2"] {
            let desk = stage.desk_named(office, desk).await;
            publishing.spawn(async move {
                let mut told = Vec::new();
                for _ in 0..25 {
                    let draft = desk.draft(&["ohchr-colombia"]).priority(Priority::Low);
                    told.push((desk.send(&draft).await.index, draft));
                }
                assert!(told.windows(2).all(|pair| pair[0].0 < pair[1].0), "one caller's order is kept");
                told
            });
        }
    }
    let told: Vec<_> = publishing.join_all().await.into_iter().flatten().collect();
    let entries = stage.auditor("iachr").await.entries(all()).await.unwrap();
    for (index, draft) in &told {
        let entry = entries.iter().find(|entry| entry.index == *index).unwrap();
        assert_eq!(entry.statement, draft.envelope_bytes());
    }
    let mut subscription = stage.desk("ohchr-colombia").await.subscribe().await;
    let came = subscription.next(told.len()).await;
    assert!(came.windows(2).all(|pair| pair[0].index < pair[1].index), "delivered in order");
}

#[tokio::test]
async fn many_large_messages_at_once_are_more_than_a_segment_holds_and_all_are_kept() {
    let stage = Stage::open_with(Setup::fast()).await;
    let desk = stage.desk(HONDURAS).await;
    let mut publishing = JoinSet::new();
    for _ in 0..48 {
        let desk = desk.clone();
        let draft = desk.draft(&[IACHR]).payload(vec![6; 250_000]);
        publishing.spawn(async move { desk.send(&draft).await.index });
    }
    let mut indexes = publishing.join_all().await;
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len(), 48);
    let drafts: Vec<Draft> = (0..16).map(|_| desk.draft(&[IACHR]).payload(vec![7; 250_000])).collect();
    assert_eq!(desk.send_all(&drafts, 16).await.len(), 16);
    assert_eq!(stage.desk(IACHR).await.subscribe().await.started.outstanding, 64);
}

#[tokio::test]
async fn history_shows_the_message_and_no_payload() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let secret: Vec<u8> = sha256(b"a name that nobody may read").repeat(8);
    let draft = desk.draft(&[IACHR]).urgent().expires(4_102_444_800_000_000).payload(secret.clone());
    let answer = desk.send(&draft).await;
    let auditor = stage.auditor("ohchr").await;
    let history = auditor.describe(&draft.id(), HONDURAS).await.unwrap();
    let row = history.message.clone().unwrap();
    assert_eq!(
        (row.index, row.accepted_unix_us, row.message_id.clone()),
        (answer.index, answer.accepted_unix_us, draft.id())
    );
    assert_eq!(
        (row.sender.as_str(), row.stream.as_str()),
        (desk.identity.as_str(), draft.envelope.stream.as_str())
    );
    assert_eq!(
        (row.message_class, row.priority, row.status, row.msg_type, row.expires_unix_us),
        (
            draft.envelope.message_class,
            draft.envelope.priority,
            draft.envelope.status,
            draft.envelope.msg_type,
            draft.envelope.expires_unix_us
        )
    );
    assert_eq!(history.envelope, draft.envelope_bytes());
    for (what, row) in auditor.everything().await {
        assert!(!row.windows(32).any(|window| window == &secret[..32]), "{what} shows the payload");
    }
    assert!(!history.encode_to_vec().windows(32).any(|window| window == &secret[..32]));
}
