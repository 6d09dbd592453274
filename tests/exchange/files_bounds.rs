//! Bounds of packets' files: each is told, and with when to come again where waiting helps.

use bytes::Bytes;
use resguardo::wire::proto::upload_request::Frame;
use resguardo::wire::proto::{FileRef, UploadStart};
use tonic::Code;

use crate::stage::told::told;
use crate::stage::transfer::file_of;
use crate::stage::wait::until;
use crate::stage::{Setup, Stage};
use crate::{GUATEMALA, IACHR, MEXICO};

#[tokio::test]
async fn file_beyond_two_gibibytes_is_refused_for_good() {
    let stage = Stage::open().await;
    let desk = stage.desk(GUATEMALA).await;
    let huge = FileRef { bytes: (1 << 31) + 1, ..file_of(b"") };
    let refused = told(desk.begin_upload(huge.clone()).await);
    refused.expect_reason("TOO_LARGE");
    assert_eq!((refused.code, refused.retry), (Code::ResourceExhausted, None));
    told(desk.publish(&desk.packet(&[IACHR], vec![huge])).await).expect_reason("TOO_LARGE");
    desk.begin_upload(FileRef { bytes: 1 << 31, ..file_of(b"") }).await.expect("the bound itself is allowed");
}

#[tokio::test]
async fn office_beyond_its_quota_is_told_and_others_go_on() {
    let stage = Stage::open_with_files("office_bytes_max = 10000").await;
    let (desk, other) = (stage.desk(GUATEMALA).await, stage.desk(MEXICO).await);
    desk.hand_up(&[1; 6_000]).await.unwrap();
    told(desk.begin_upload(file_of(&[2; 4_001])).await).expect_reason("QUOTA_EXCEEDED").expect_bound();
    desk.hand_up(&[2; 4_000]).await.unwrap();
    other.hand_up(&[2; 10_000]).await.unwrap();
}

#[tokio::test]
async fn no_file_is_taken_that_would_touch_the_disks_reserve_and_alerts_go_on() {
    let stage = Stage::open_with_files(&format!("disk_reserve_bytes = {}", 1_u64 << 50)).await;
    let desk = stage.desk(GUATEMALA).await;
    told(desk.begin_upload(file_of(b"x")).await).expect_reason("DISK_RESERVE").expect_bound();
    desk.send(&desk.draft(&[IACHR])).await;
}

#[tokio::test]
async fn office_moves_so_many_files_at_once_and_no_more() {
    let stage = Stage::open_with_files("transfers_per_office_max = 2").await;
    let (desk, other) = (stage.desk(GUATEMALA).await, stage.desk(MEXICO).await);
    let file = |number: u8| file_of(&[number; 10]);
    let mut uploads = Vec::new();
    for number in 0..2 {
        desk.begin_upload(file(number)).await.unwrap();
        uploads.push(desk.upload(file(number), 0).await.unwrap());
    }
    desk.begin_upload(file(2)).await.unwrap();
    told(desk.upload(file(2), 0).await.map(|_| ())).expect_reason("CONNECTIONS_EXCEEDED").expect_bound();
    other.hand_up(&[9; 10]).await.unwrap();
    drop(uploads.pop());
    until("the place is free again", async || desk.upload(file(2), 0).await.ok().map(|_| ())).await;
}

#[tokio::test]
async fn frames_out_of_order_or_form_are_refused() {
    let stage = Stage::open().await;
    let desk = stage.desk(GUATEMALA).await;
    let content = vec![7; 300_000];
    let file = file_of(&content);
    told(desk.upload(file.clone(), 0).await.unwrap().whole().await).expect_reason("FILE_MISSING");
    desk.begin_upload(file.clone()).await.unwrap();
    told(desk.upload(file.clone(), 1).await.unwrap().whole().await).expect_reason("FIELD_INVALID");
    let start = || Frame::Start(UploadStart { file: Some(file.clone()), from_bytes: 0 });
    let chunk = |bytes: usize| Frame::Chunk(Bytes::from(vec![7; bytes]));
    for (frame, reason) in [
        (start(), "FRAME_UNEXPECTED"),
        (chunk(0), "FIELD_INVALID"),
        (chunk(256 * 1024 + 1), "FIELD_INVALID"),
        (chunk(300 * 1024), "TOO_LARGE"),
    ] {
        let upload = desk.upload(file.clone(), 0).await.unwrap();
        upload.send(frame).await;
        told(upload.whole().await).expect_reason(reason);
    }
    told(desk.begin_upload(FileRef { sha256: Bytes::from_static(b"short"), bytes: 1 }).await)
        .expect_reason("FIELD_INVALID");
    desk.hand_up(&content).await.unwrap();
}

#[tokio::test]
async fn office_that_may_publish_nowhere_hands_up_nothing() {
    let mut founding = crate::stage::founding::Founding::default();
    for stream in &mut founding.streams {
        stream.publishers.retain(|office| office != MEXICO);
    }
    let stage = Stage::open_with(Setup { founding, ..Setup::default() }).await;
    told(stage.desk(MEXICO).await.begin_upload(file_of(b"x")).await).expect_reason("STREAM_NOT_ALLOWED");
    stage.desk(GUATEMALA).await.hand_up(b"x").await.unwrap();
}
