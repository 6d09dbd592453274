//! Packets' files: whole before their message, resumed after every end, and for nobody but whom they are for.

use bytes::Bytes;
use resguardo::model::envelope::FileDigest;
use resguardo::wire::proto::MessageClass;
use resguardo::wire::proto::upload_request::Frame;

use crate::stage::Stage;
use crate::stage::chance::Chance;
use crate::stage::told::{Told, told};
use crate::stage::transfer::file_of;
use crate::stage::wait::{until, within};
use crate::{GUATEMALA, HONDURAS, IACHR, MEXICO};

/// More than what a line has on its way, so that a transfer is in the middle for a while.
const LONG: usize = 12 << 20;

fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut chance = Chance::seeded(seed);
    let words = std::iter::repeat_with(|| chance.bits().to_le_bytes()).take(bytes.div_ceil(8));
    let mut content: Vec<u8> = words.flatten().collect();
    content.truncate(bytes);
    content
}

#[tokio::test]
async fn file_of_a_packet_comes_down_as_it_went_up_to_sender_and_recipients_from_any_byte() {
    let stage = Stage::open().await;
    let (sender, reader) = (stage.desk(GUATEMALA).await, stage.desk(IACHR).await);
    let (report, empty) = (content(1, 3_000_000), Vec::new());
    let files = vec![sender.hand_up(&report).await.unwrap(), sender.hand_up(&empty).await.unwrap()];
    let packet = sender.packet(&[IACHR], files.clone());
    let accepted = sender.send(&packet).await;
    for desk in [&sender, &reader] {
        assert_eq!(desk.download(&packet, &accepted, &files[0], 0).await.unwrap(), report);
        assert_eq!(desk.download(&packet, &accepted, &files[1], 0).await.unwrap(), empty);
        let tail = desk.download(&packet, &accepted, &files[0], 2_999_990).await.unwrap();
        assert_eq!(tail, &report[2_999_990..]);
        assert!(desk.download(&packet, &accepted, &files[0], 3_000_000).await.unwrap().is_empty());
        told(desk.download(&packet, &accepted, &files[0], 3_000_001).await).expect_reason("FIELD_INVALID");
    }
}

#[tokio::test]
async fn file_that_was_damaged_on_the_hubs_disk_is_not_given_whole() {
    let stage = Stage::open().await;
    let (sender, reader) = (stage.desk(GUATEMALA).await, stage.desk(IACHR).await);
    for (seed, bytes, at) in [(1, 3_000_000, 1_000_000), (2, 10, 9), (3, 262_144, 0), (4, 262_145, 262_144)] {
        let report = content(seed, bytes);
        let file = sender.hand_up(&report).await.unwrap();
        let packet = sender.packet(&[IACHR], vec![file.clone()]);
        let accepted = sender.send(&packet).await;
        let digest: [u8; 32] = file.sha256.as_ref().try_into().unwrap();
        let name = FileDigest(digest).to_string();
        let path = stage.home().join("files").join(GUATEMALA).join(name);
        let mut damaged = report.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        let mut down = reader.open_download(&packet, &accepted, &file, 0).await.unwrap();
        let mut came = 0;
        let told = loop {
            match within("the file goes on", down.message()).await {
                Ok(frame) => came += frame.expect("it does not end well").chunk.len(),
                Err(status) => break Told::of(&status),
            }
        };
        told.expect_reason("FILE_MISSING");
        assert!(came < bytes, "all {bytes} bytes came, damaged ones among them");
        assert!(told.message.contains("damaged") && stage.hub().log().contains("damaged on this disk"));
        std::fs::write(&path, &report).unwrap();
        assert_eq!(reader.download(&packet, &accepted, &file, 0).await.unwrap(), report);
    }
}

#[tokio::test]
async fn packet_is_refused_until_every_one_of_its_files_is_whole_and_of_its_own_office() {
    let stage = Stage::open().await;
    let (desk, other) = (stage.desk(GUATEMALA).await, stage.desk(MEXICO).await);
    let (whole, missing) = (content(2, 1_000), content(3, 1_000));
    let packet = desk.packet(&[IACHR], vec![file_of(&whole), file_of(&missing)]);
    told(desk.publish(&packet).await).expect_reason("FILE_MISSING").expect_field("files");
    desk.hand_up(&whole).await.unwrap();
    // Another office's bytes do not count, nor do those that are not all there.
    other.hand_up(&missing).await.unwrap();
    desk.begin_upload(file_of(&missing)).await.unwrap();
    let upload = desk.upload(file_of(&missing), 0).await.unwrap();
    upload.send(Frame::Chunk(Bytes::copy_from_slice(&missing[..999]))).await;
    told(desk.publish(&packet).await).expect_reason("FILE_MISSING");
    upload.send(Frame::Chunk(Bytes::copy_from_slice(&missing[999..]))).await;
    upload.whole().await.unwrap();
    desk.send(&packet).await;
    // What was accepted gets its first answer.
    assert!(desk.publish(&packet).await.unwrap().duplicate);
    let alert = packet.edit(|envelope| envelope.message_class = MessageClass::Alert.into());
    let alert = alert.edit(|envelope| envelope.message_id = crate::stage::draft::new_id());
    told(desk.publish(&alert).await).expect_reason("FIELD_INVALID").expect_field("files");
}

#[tokio::test]
async fn file_is_refused_to_every_office_that_the_message_is_not_for_and_the_refusal_is_an_entry() {
    let stage = Stage::open().await;
    let (sender, stranger) = (stage.desk(GUATEMALA).await, stage.desk(HONDURAS).await);
    let file = sender.hand_up(b"for iachr alone").await.unwrap();
    let packet = sender.packet(&[IACHR], vec![file.clone()]);
    let accepted = sender.send(&packet).await;
    told(stranger.download(&packet, &accepted, &file, 0).await).expect_reason("MESSAGE_UNKNOWN");
    // A message of its own does not open another's file.
    let own = stranger.packet(&[IACHR], vec![stranger.hand_up(b"its own").await.unwrap()]);
    let own_accepted = stranger.send(&own).await;
    told(stranger.download(&own, &own_accepted, &file, 0).await).expect_reason("MESSAGE_UNKNOWN");
    // Nor does the right message under a wrong index, or a right index under another id.
    let reader = stage.desk(IACHR).await;
    told(reader.download(&packet, &own_accepted, &file, 0).await).expect_reason("MESSAGE_UNKNOWN");
    told(reader.download(&own, &accepted, &file, 0).await).expect_reason("MESSAGE_UNKNOWN");
    assert!(reader.download(&packet, &accepted, &file, 0).await.is_ok());
    let auditor = stage.auditor("iachr").await;
    told(crate::stage::client::Desk::connect(&stage, &auditor.identity).await.begin_upload(file).await)
        .expect_reason("ROLE_NOT_ALLOWED");
    until("the refusal is an entry", async || {
        let refusals = auditor.refusals().await;
        let found = |(who, record): &(String, resguardo::wire::proto::RefusalRecord)| {
            *who == stranger.identity && record.call == "Download" && record.reason == "MESSAGE_UNKNOWN"
        };
        refusals.iter().any(found).then_some(())
    })
    .await;
}

#[tokio::test]
async fn upload_goes_on_after_a_cut_line_and_a_killed_hub_where_it_was() {
    let mut stage = Stage::open().await;
    let content = content(4, LONG);
    let file = file_of(&content);
    let desk = stage.desk(GUATEMALA).await;
    desk.begin_upload(file.clone()).await.unwrap();
    let mut upload = desk.upload(file.clone(), 0).await.unwrap();
    upload.send_all(&content[..4 << 20]).await;
    upload.synced(2 << 20).await;
    stage.kill().await;
    stage.start().await;
    let desk = stage.desk(GUATEMALA).await;
    let have = desk.begin_upload(file.clone()).await.unwrap();
    assert!(!have.whole && (2 << 20..=4 << 20).contains(&have.have_bytes), "{have:?}");
    // The same line goes silent: a newer upload takes its place at once.
    let stuck = desk.upload(file.clone(), have.have_bytes).await.unwrap();
    let desk = stage.desk_named(GUATEMALA, "desk-2").await;
    assert_eq!(desk.hand_up(&content).await.unwrap(), file);
    stuck.send(Frame::Chunk(Bytes::from_static(b"late"))).await;
    told(stuck.whole().await).expect_reason("BUSY");
    let packet = desk.packet(&[IACHR], vec![file.clone()]);
    let accepted = desk.send(&packet).await;
    stage.kill().await;
    stage.start().await;
    let reader = stage.desk(IACHR).await;
    assert_eq!(reader.download(&packet, &accepted, &file, 0).await.unwrap(), content);
}

#[tokio::test]
async fn other_bytes_than_announced_are_dropped_and_the_file_begins_anew() {
    let stage = Stage::open().await;
    let desk = stage.desk(GUATEMALA).await;
    let content = content(5, 200_000);
    let file = file_of(&content);
    desk.begin_upload(file.clone()).await.unwrap();
    let upload = desk.upload(file.clone(), 0).await.unwrap();
    let mut other = content.clone();
    other[150_000] ^= 1;
    upload.send_all(&other).await;
    told(upload.whole().await).expect_reason("FILE_MISMATCH");
    told(desk.publish(&desk.packet(&[IACHR], vec![file.clone()])).await).expect_reason("FILE_MISSING");
    assert_eq!(desk.begin_upload(file.clone()).await.unwrap().have_bytes, 0);
    desk.hand_up(&content).await.unwrap();
}
