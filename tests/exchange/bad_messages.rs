//! Messages that are not as they must be: each refused by the field that is wrong, alone and in a stream, and none kept.

use bytes::Bytes;
use resguardo::wire::proto::{Envelope, PublishRequest};
use tonic::Code;

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::chance::random_bytes;
use crate::stage::client::{Desk, refused};
use crate::stage::draft::recipient;
use crate::stage::draft::{Draft, new_id};
use crate::stage::told::{expect_item, told};
use crate::{HONDURAS, IACHR, MEXICO};

/// A change that spoils an envelope, and the field that is to be named.
type Spoiled = (&'static str, fn(&mut Envelope));

/// Version 4 of RFC 9562: random, and not what is asked for.
fn id_of_version_4() -> Bytes {
    let mut id = random_bytes::<16>();
    (id[6], id[8]) = (0x40 | (id[6] & 0x0f), 0x80 | (id[8] & 0x3f));
    Bytes::copy_from_slice(&id)
}

const SPOILED: [Spoiled; 45] = [
    ("message_id", |it| it.message_id = Bytes::new()),
    ("message_id", |it| it.message_id.truncate(15)),
    ("message_id", |it| it.message_id = [it.message_id.as_ref(), &[0]].concat().into()),
    ("message_id", |it| it.message_id = Bytes::from_static(&[0; 16])),
    ("message_id", |it| it.message_id = id_of_version_4()),
    ("message_class", |it| it.message_class = 0),
    ("message_class", |it| it.message_class = 5),
    ("about", |it| it.message_class = 4),
    ("message_class", |it| it.message_class = i32::MAX),
    ("message_class", |it| it.message_class = -1),
    ("stream", |it| it.stream.clear()),
    ("stream", |it| it.stream = "Monitoring-Protection".into()),
    ("stream", |it| it.stream = "a".repeat(65)),
    ("stream", |it| it.stream = "monitoring protection".into()),
    ("stream", |it| it.stream = "../journal".into()),
    ("sender", |it| it.sender.clear()),
    ("sender", |it| it.sender = "ohchr-honduras".into()),
    ("sender", |it| it.sender = "urn:resguardo:auditor:iachr".into()),
    ("sender", |it| it.sender.push(':')),
    ("recipients", |it| it.recipients.clear()),
    ("recipients", |it| it.recipients = vec![recipient(MEXICO), recipient(IACHR)]),
    ("recipients", |it| it.recipients = vec![recipient(IACHR), recipient(IACHR)]),
    ("recipients", |it| it.recipients = vec![recipient("")]),
    ("recipients", |it| it.recipients = vec![recipient("IACHR")]),
    ("recipients", |it| it.recipients = vec![recipient("urn:resguardo:office:iachr:desk-1")]),
    ("priority", |it| it.priority = 0),
    ("priority", |it| it.priority = 4),
    ("priority", |it| it.priority = i32::MIN),
    ("status", |it| it.status = 0),
    ("status", |it| it.status = 6),
    ("status", |it| it.status = 255),
    ("msg_type", |it| it.msg_type = 0),
    ("msg_type", |it| it.msg_type = 6),
    ("thread_id", |it| it.thread_id = Bytes::new()),
    ("thread_id", |it| it.thread_id.truncate(15)),
    ("thread_id", |it| it.thread_id = Bytes::from_static(&[1; 17])),
    ("references", |it| it.references = vec![Bytes::new()]),
    ("references", |it| it.references = vec![id_of_version_4()]),
    ("references", |it| it.references = (0..65).map(|_| new_id()).collect()),
    ("payload_digest", |it| it.payload_digest = Bytes::new()),
    ("payload_digest", |it| it.payload_digest.truncate(31)),
    ("payload_digest", |it| it.payload_digest = [it.payload_digest.as_ref(), &[0]].concat().into()),
    ("recipients", |it| it.recipients = vec![recipient(IACHR), recipient(MEXICO), recipient(IACHR)]),
    ("recipients", |it| it.recipients = vec![recipient(&"a".repeat(65))]),
    ("stream", |it| it.stream = "monitoring-protection\0".into()),
];

async fn assert_refused(desk: &Desk, request: PublishRequest, reason: &str, field: &str) {
    let alone = told(desk.publish_request(request.clone()).await);
    assert_eq!(alone.expect_reason(reason).code, Code::InvalidArgument, "{alone:?}");
    assert_eq!(alone.field.as_deref().unwrap_or_default(), field, "{alone:?}");
    assert_eq!(alone.retry, None, "the same bytes are never right: {alone:?}");
    let results = desk.publish_frames(vec![vec![request]]).await.expect("the stream goes on");
    let refusal = refused(&results[0]);
    expect_item(&refusal, reason);
    assert_eq!((refusal.field.as_str(), refusal.retry_after_ms), (field, 0), "{refusal:?}");
}

#[tokio::test]
async fn spoiled_envelope_is_refused_by_its_field_and_none_is_kept() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    for (field, spoil) in SPOILED {
        assert_refused(&desk, desk.draft(&[IACHR]).edit(spoil).request(), "FIELD_INVALID", field).await;
    }
    assert!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().is_empty());
    desk.send(&desk.draft(&[IACHR])).await;
}

#[tokio::test]
async fn payload_other_than_described_is_refused() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let draft = desk.draft(&[IACHR]);
    let with = |payload: Bytes| PublishRequest { payload, ..draft.request() };
    let mut flipped = draft.payload.to_vec();
    flipped[7] ^= 1;
    assert_refused(&desk, with(flipped.into()), "PAYLOAD_MISMATCH", "payload_digest").await;
    assert_refused(&desk, with(Bytes::new()), "PAYLOAD_MISMATCH", "payload_bytes").await;
    assert_refused(&desk, with(draft.payload.slice(1..)), "PAYLOAD_MISMATCH", "payload_bytes").await;
    let zero = draft.clone().edit(|envelope| envelope.payload_digest = Bytes::from_static(&[0; 32]));
    assert_refused(&desk, zero.request(), "PAYLOAD_MISMATCH", "payload_digest").await;
    let sizeless = draft.clone().edit(|envelope| envelope.payload_bytes = u64::MAX);
    assert_refused(&desk, sizeless.request(), "PAYLOAD_MISMATCH", "payload_bytes").await;
    assert!(!desk.send(&draft).await.duplicate, "refusals used up no id");
}

#[tokio::test]
async fn garbage_in_place_of_an_envelope_is_refused() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let whole = desk.draft(&[IACHR]).envelope_bytes();
    for envelope in [
        Bytes::from_static(b"\xff"),
        Bytes::from_static(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        Bytes::from_static(b"{\"message_id\": 7}"),
        whole.slice(..whole.len() - 5),
    ] {
        let request = PublishRequest { envelope, payload: Bytes::from_static(b"payload") };
        assert_refused(&desk, request, "MALFORMED", "").await;
    }
    // Nothing at all decodes as an envelope in which nothing is set.
    let nothing = told(desk.publish_request(PublishRequest::default()).await);
    nothing.expect_reason("FIELD_INVALID");
    for round in 0..200_u8 {
        let noise: Vec<u8> = (0..=round).flat_map(|_| random_bytes::<3>()).collect();
        told(desk.publish_request(PublishRequest { envelope: noise.into(), payload: Bytes::new() }).await);
    }
    assert!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().is_empty());
}

#[tokio::test]
async fn envelope_larger_than_allowed_is_refused() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let mut request = desk.draft(&[IACHR]).request();
    let mut padded = request.envelope.to_vec();
    // Field 100, which nobody knows, of 21,000 bytes.
    padded.extend([0xa2, 0x06, 0x88, 0xa4, 0x01]);
    padded.resize(padded.len() + 21_000, b'.');
    request.envelope = padded.into();
    let answer = told(desk.publish_request(request).await);
    answer.expect_reason("TOO_LARGE");
}

#[tokio::test]
async fn every_known_number_of_an_enumeration_is_taken() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let mut drafts: Vec<Draft> = Vec::new();
    let mut add = |count: i32, set: fn(&mut Envelope, i32)| {
        drafts.extend((1..=count).map(|number| desk.draft(&[IACHR]).edit(|envelope| set(envelope, number))));
    };
    add(3, |envelope, number| envelope.message_class = number);
    add(3, |envelope, number| envelope.priority = number);
    add(5, |envelope, number| envelope.status = number);
    let answers = desk.send_all(&drafts, 100).await;
    assert_eq!(answers.len(), 11);
}
