//! Resealings at the hub: let through between a message's sender and an office that it was for, and otherwise not.

use bytes::Bytes;
use prost::Message as _;
use resguardo::wire::proto::{
    AboutMessage, EntryKind, Envelope, MessageClass, Signed, Stage as ReceiptStage, StageRow,
};
use tonic::Code;

use crate::erase::{erase, order};
use crate::stage::chance::sha256;
use crate::stage::client::{Desk, refused};
use crate::stage::draft::{Draft, new_id};
use crate::stage::founding::Founding;
use crate::stage::statement::{bare, named, read, turned_down};
use crate::stage::subscription::id;
use crate::stage::told::{expect_item, told};
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR, MEXICO};

/// A stream to which headquarters alone publishes.
const CLOSED: &str = "closed";

/// What one desk says to an office of a message.
fn reseal(desk: &Desk, to: &str, of: &Draft) -> Draft {
    desk.draft(&[to]).edit(|envelope| {
        envelope.message_class = MessageClass::Reseal.into();
        (envelope.priority, envelope.status) = (of.envelope.priority, of.envelope.status);
        envelope.stream.clone_from(&of.envelope.stream);
        envelope.about = Some(about(of));
    })
}

fn about(of: &Draft) -> AboutMessage {
    let statement = Signed::decode(of.envelope_bytes()).expect("it was signed here").statement;
    let office = of.envelope.sender.split(':').nth(3).expect("a desk is of an office").to_owned();
    AboutMessage { office, message_id: of.id(), envelope_digest: sha256(&statement).into() }
}

#[tokio::test]
async fn request_and_answer_come_to_the_other_office_and_stand_in_the_audit_with_what_they_are_about() {
    let founding = Founding::default().with_stream(CLOSED, &[IACHR], &[IACHR, MEXICO]);
    let stage = Stage::open_with(Setup { founding, ..Setup::default() }).await;
    let (iachr, mexico) = (stage.desk(IACHR).await, stage.desk(MEXICO).await);
    let message = iachr.draft(&[MEXICO]).urgent().stream(CLOSED);
    let sent = iachr.send(&message).await;
    let mut at_mexico = mexico.subscribe().await;
    let came = at_mexico.next(1).await;
    let lost = "sealed to a key that was lost";
    at_mexico.record(&turned_down(&mexico.identity, ReceiptStage::Unreadable, named(&came[0]), lost)).await;

    // Mexico may publish nothing on this stream.
    let request = reseal(&mexico, IACHR, &message);
    let asked = mexico.send(&request).await;
    let mut at_iachr = iachr.subscribe().await;
    let told = at_iachr.next(2).await;
    assert!(told.iter().any(|it| it.index == asked.index), "{told:?}");
    let answer = reseal(&iachr, MEXICO, &message);
    let answered = iachr.send(&answer).await;
    let came_back = at_mexico.next(1).await;
    assert_eq!((id(&came_back[0]), came_back[0].index), (answer.id(), answered.index));

    // What could not be read is read after all, and closed by that.
    at_mexico.record(&read(&mexico.identity, named(&came[0]))).await;
    let auditor = stage.auditor("iachr").await;
    let rows = auditor.deliveries(crate::stage::audit::all()).await.unwrap();
    let abouts: Vec<_> = rows.iter().map(|row| row.message.clone().unwrap().about).collect();
    let expected = Some(bare(&named(&came[0])));
    assert_eq!(expected.as_ref().unwrap().index, sent.index);
    assert_eq!(abouts, [None, expected.clone(), expected]);
    let stages: Vec<_> = rows[0].stages.iter().map(StageRow::stage).collect();
    assert_eq!(stages, [ReceiptStage::Unreadable, ReceiptStage::Read]);
    let open = auditor.outstanding(crate::stage::audit::of(MEXICO), ReceiptStage::Read).await.unwrap();
    assert!(open.iter().all(|row| row.message.as_ref().unwrap().index != sent.index));
}

/// What an envelope is changed to.
type Change<'a> = &'a dyn Fn(&mut Envelope);

#[tokio::test]
async fn resealing_by_who_has_no_part_in_the_message_is_refused_at_the_door() {
    let stage = Stage::open().await;
    let (iachr, mexico) = (stage.desk(IACHR).await, stage.desk(MEXICO).await);
    let honduras = stage.desk(HONDURAS).await;
    let message = iachr.draft(&[MEXICO]);
    iachr.send(&message).await;
    let request = reseal(&mexico, IACHR, &message);
    mexico.send(&request).await;
    let other = |change: &dyn Fn(&mut AboutMessage)| {
        reseal(&mexico, IACHR, &message).edit(|it| change(it.about.as_mut().unwrap()))
    };
    let unknown = other(&|it| it.message_id = new_id());
    let another = other(&|it| it.envelope_digest = Bytes::from_static(&[9; 32]));
    let of_request = reseal(&iachr, MEXICO, &request);
    for (desk, draft) in [
        (&honduras, reseal(&honduras, IACHR, &message)),
        (&iachr, reseal(&iachr, HONDURAS, &message)),
        (&mexico, unknown),
        (&mexico, another),
        (&iachr, of_request),
        (&mexico, reseal(&mexico, IACHR, &message).urgent()),
    ] {
        let refusal = told(desk.publish(&draft).await);
        assert_eq!(refusal.expect_reason("RESEAL_NOT_ALLOWED").code, Code::PermissionDenied);
        refusal.expect_field("about");
        let results = desk.publish_frames(vec![vec![draft.request()]]).await.unwrap();
        expect_item(&refused(&results[0]), "RESEAL_NOT_ALLOWED");
    }
    // In another's name nobody asks, and by its form it goes nowhere else.
    let foreign = reseal(&mexico, IACHR, &message);
    told(honduras.publish(&foreign).await).expect_reason("SENDER_FOREIGN");
    let cases: [(Change<'_>, &str); 4] = [
        (&|it| it.recipients = vec![crate::stage::draft::recipient(HONDURAS)], "recipients"),
        (&|it| it.about = None, "about"),
        (&|it| it.message_class = MessageClass::Alert.into(), "about"),
        (&|it| it.references = vec![new_id()], "msg_type"),
    ];
    for (change, field) in cases {
        let draft = reseal(&mexico, IACHR, &message).edit(|it| change(it));
        told(mexico.publish(&draft).await).expect_reason("FIELD_INVALID").expect_field(field);
    }

    let auditor = stage.auditor("iachr").await;
    let kept = auditor.entries_of(EntryKind::Publish).await;
    assert_eq!(kept.len(), 2, "what the door refuses stands among no messages");
    erase(&iachr, &order(&iachr, &message)).await.unwrap();
    for (desk, to) in [(&mexico, IACHR), (&iachr, MEXICO)] {
        let refusal = told(desk.publish(&reseal(desk, to, &message)).await);
        refusal.expect_reason("RESEAL_NOT_ALLOWED").expect_field("about");
    }
}
