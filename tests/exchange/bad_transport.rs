//! Bytes that are no protocol, below and inside TLS: the hub closes or refuses, and serves everybody else.

use std::sync::Arc;

use bytes::Bytes;
use resguardo::wire::proto::PublishRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Status};

use crate::stage::Stage;
use crate::stage::audit::all;
use crate::stage::chance::{Chance, random_u64};
use crate::stage::raw::{request, send_plain, shake_hands, tls};
use crate::stage::told::{Told, told};
use crate::stage::wait::{until, within};
use crate::{HONDURAS, IACHR};

const GRPC: &str = "application/grpc";
const PUBLISH: &str = "/resguardo.v1.ExchangeService/Publish";
const PUBLISH_STREAM: &str = "/resguardo.v1.ExchangeService/PublishStream";
const SUBSCRIBE: &str = "/resguardo.v1.ExchangeService/Subscribe";
const ENTRIES: &str = "/resguardo.v1.AuditService/ListEntries";

/// A message of gRPC: a flag, the length that it says, and bytes. As text, so that bodies need no type of their own:
/// no byte is above 0x7f.
fn framed(flag: u8, length: u32, text: &str) -> String {
    let head = [&[flag][..], &length.to_be_bytes()].concat();
    String::from_utf8(head).expect("bytes below 0x80") + text
}

fn whole(text: &str) -> String {
    framed(0, u32::try_from(text.len()).expect("short"), text)
}

/// A publish and its delivery still go through.
async fn assert_serves(stage: &Stage) {
    let sender = stage.desk(HONDURAS).await;
    let draft = sender.draft(&[IACHR]);
    sender.send(&draft).await;
    let mut subscription = stage.desk(IACHR).await.subscribe().await;
    let delivery = subscription.delivery().await;
    assert_eq!(crate::stage::subscription::id(&delivery), draft.id());
    subscription.acknowledge(&[delivery]).await;
}

#[tokio::test]
async fn noise_on_the_plain_socket_is_closed() {
    let stage = Stage::open().await;
    let seed = random_u64();
    let mut chance = Chance::seeded(seed);
    for round in 0..60 {
        let length = 1 + chance.place(4_000);
        let mut noise: Vec<u8> = (0..length).map(|_| chance.bits().to_be_bytes()[0]).collect();
        // Every other time it begins like a record of TLS that is whole.
        if round % 2 == 0 && noise.len() > 5 {
            let body = u16::try_from(noise.len() - 5).unwrap().to_be_bytes();
            noise[..5].copy_from_slice(&[0x16, 3, 1, body[0], body[1]]);
        } else {
            noise[0] = 0;
        }
        send_plain(&stage.address(), &noise).await;
    }
    for text in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"SSH-2.0-OpenSSH_9\r\n", b"\0\0\0\0\0\0\0\0\0"] {
        send_plain(&stage.address(), text).await;
    }
    assert_serves(&stage).await;
}

#[tokio::test]
async fn noise_inside_tls_is_closed() {
    let stage = Stage::open().await;
    let papers = stage.authority.client("urn:resguardo:office:iachr:desk-1");
    let config = Arc::new(tls(stage.authority.pem(), Some(&papers), &[]));
    let mut chance = Chance::seeded(7);
    for round in 0..20 {
        let mut tls = shake_hands(&stage.address(), config.clone()).await.unwrap();
        let mut noise: Vec<u8> = (0..2_000).map(|_| chance.bits().to_be_bytes()[0]).collect();
        if round % 2 == 0 {
            // A right preface, then frames that are none.
            noise.splice(..0, *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        }
        let _ = tls.write_all(&noise).await;
        let _ = within("noise is closed", tls.read_to_end(&mut Vec::new())).await;
    }
    assert_serves(&stage).await;
}

#[tokio::test]
async fn bodies_that_are_no_messages_are_refused_on_every_call() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    // Field 15 of a kind that there is not.
    let noise = "\x7f\x7f\x7f\x7f\x7f\x7f";
    let bodies = [
        ("nothing", String::new()),
        ("no frame", "hello".to_owned()),
        ("half a head", "\0\0\0".to_owned()),
        ("half a frame", framed(0, 100, "half")),
        ("2 GiB announced", framed(0, 0x7f7f_7f7f, "little")),
        ("an encoding that is not there", framed(1, 5, "hello")),
        ("a flag that is not there", framed(77, 5, "hello")),
        ("noise", whole(noise)),
    ];
    for path in [PUBLISH, PUBLISH_STREAM, SUBSCRIBE, ENTRIES] {
        for (what, body) in &bodies {
            let answer = request(&desk.channel, "POST", path, GRPC, body.clone()).await;
            let code = answer.and_then(|answer| answer.grpc());
            // A stream of no messages at all is a right one, and audits take a request in which nothing is set.
            let may_pass = *what == "nothing" && path == PUBLISH_STREAM;
            assert!(code != Some(0) || may_pass, "{path}: {what}: {code:?}");
        }
    }
    assert!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().is_empty());
    assert_serves(&stage).await;
}

#[tokio::test]
async fn requests_that_are_no_calls_are_refused() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let body = || whole("");
    let unknown = [
        "/resguardo.v1.ExchangeService/Burn",
        "/resguardo.v2.ExchangeService/Publish",
        "/",
        "/../etc/passwd",
    ];
    for path in unknown {
        let answer = request(&desk.channel, "POST", path, GRPC, body()).await.unwrap();
        let refused = answer.grpc() == Some(Code::Unimplemented as i32) || answer.http.is_client_error();
        assert!(refused, "{path}: {} {:?}", answer.http, answer.headers);
    }
    for (method, kind) in
        [("POST", "text/plain"), ("POST", "application/json"), ("GET", GRPC), ("DELETE", GRPC)]
    {
        let answer = request(&desk.channel, method, PUBLISH, kind, body()).await;
        let passed = answer.is_some_and(|answer| answer.grpc() == Some(0));
        assert!(!passed, "{method} {kind} was taken for a call");
    }
    assert_serves(&stage).await;
}

#[tokio::test]
async fn message_of_many_megabytes_is_refused_and_not_kept_in_memory() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let before = stage.hub().memory_bytes();
    let huge = Bytes::from(vec![0x5a; 48 << 20]);
    for _ in 0..4 {
        let draft = desk.draft(&[IACHR]);
        let request = PublishRequest { payload: huge.clone(), ..draft.request() };
        assert!(desk.publish_request(request.clone()).await.is_err());
        assert!(desk.publish_frames(vec![vec![request]]).await.is_err());
    }
    let grown = stage.hub().memory_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "the hub grew by {grown} bytes");
    assert_serves(&stage).await;
}

#[tokio::test]
async fn headers_of_a_megabyte_are_refused() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let mut call = tonic::Request::new(desk.draft(&[IACHR]).request());
    call.metadata_mut().insert("x-noise", "a".repeat(1 << 20).parse().unwrap());
    assert!(within("an answer", desk.exchange().publish(call)).await.is_err());
    assert_serves(&stage).await;
}

#[tokio::test]
async fn connection_cut_in_the_middle_of_a_call_leaves_no_trace() {
    let stage = Stage::open().await;
    for _ in 0..30 {
        let desk = stage.desk(HONDURAS).await;
        let stream = desk.publish_stream().await.unwrap();
        let subscription = stage.desk(IACHR).await.subscribe().await;
        drop((stream, subscription, desk));
    }
    assert!(stage.auditor("iachr").await.deliveries(all()).await.unwrap().is_empty());
    assert_serves(&stage).await;
}

#[tokio::test]
async fn what_the_protocol_itself_refuses_is_told_with_a_reason_too_and_counted() {
    let stage = Stage::open().await;
    let desk = stage.desk(HONDURAS).await;
    let huge = desk.draft(&[IACHR]).payload(vec![7; 5 << 20]);
    let alone = told(desk.publish(&huge).await);
    assert_eq!(alone.expect_reason("TOO_LARGE").code, Code::ResourceExhausted);
    let in_a_frame = told(desk.publish_frames(vec![vec![huge.request()]]).await);
    assert_eq!(in_a_frame.expect_reason("TOO_LARGE").code, Code::ResourceExhausted);
    let auditor = stage.auditor("iachr").await;
    until("each is an entry", async || {
        let refusals = auditor.refusals().await;
        let calls: Vec<_> = refusals
            .iter()
            .filter(|(who, it)| *who == desk.identity && it.reason == "TOO_LARGE")
            .map(|(_, it)| it.call.as_str())
            .collect();
        (calls == ["Publish", "PublishStream"]).then_some(())
    })
    .await;
    for path in [PUBLISH, PUBLISH_STREAM, SUBSCRIBE, ENTRIES] {
        let answer = request(&desk.channel, "POST", path, GRPC, whole("\x7f\x7f\x7f")).await.unwrap();
        let told = Told::of(&Status::from_header_map(&answer.headers).unwrap());
        assert_eq!(told.expect_reason("MALFORMED").code, Code::InvalidArgument, "{path}");
    }
}
