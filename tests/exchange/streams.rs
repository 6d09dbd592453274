//! Streams and who may use them, as policy says.

use resguardo::wire::proto::Start;
use tonic::Code;

use crate::stage::draft::STREAM;
use crate::stage::founding::Founding;
use crate::stage::subscription::{Subscription, ids};
use crate::stage::told::{Told, told};
use crate::stage::{Setup, Stage};
use crate::{GUATEMALA, HONDURAS, IACHR, MEXICO};

/// A stream that headquarters alone publishes to, for itself and one office.
const CLOSED: &str = "closed";

async fn stage() -> Stage {
    let founding = Founding::default().with_stream(CLOSED, &[IACHR], &[IACHR, MEXICO]);
    Stage::open_with(Setup { founding, ..Setup::default() }).await
}

fn start(streams: &[&str]) -> Start {
    let streams = streams.iter().map(|stream| (*stream).to_owned()).collect();
    Start { streams, credit: 100, ..Start::default() }
}

#[tokio::test]
async fn stream_that_policy_does_not_give_is_refused_to_publishers() {
    let stage = stage().await;
    for office in [HONDURAS, MEXICO] {
        let desk = stage.desk(office).await;
        let told = told(desk.publish(&desk.draft(&[MEXICO]).stream(CLOSED)).await);
        assert_eq!(
            told.expect_reason("STREAM_NOT_ALLOWED").expect_field("stream").code,
            Code::PermissionDenied
        );
    }
    let desk = stage.desk(IACHR).await;
    let unknown = told(desk.publish(&desk.draft(&[MEXICO]).stream("no-such-stream")).await);
    assert_eq!(unknown.expect_reason("STREAM_UNKNOWN").expect_field("stream").code, Code::NotFound);
    desk.send(&desk.draft(&[IACHR, MEXICO]).stream(CLOSED)).await;
}

#[tokio::test]
async fn recipient_must_be_an_office_and_a_member_of_the_stream() {
    let stage = stage().await;
    let desk = stage.desk(IACHR).await;
    let not_member = told(desk.publish(&desk.draft(&[HONDURAS, MEXICO]).stream(CLOSED)).await);
    not_member.expect_reason("RECIPIENT_NOT_MEMBER").expect_field("recipients");
    let nobody = told(desk.publish(&desk.draft(&[MEXICO, "ohchr-nowhere"])).await);
    nobody.expect_reason("OFFICE_UNKNOWN").expect_field("recipients");
    let mut subscription = stage.desk(MEXICO).await.subscribe().await;
    assert_eq!(subscription.started.outstanding, 0);
    subscription.nothing_comes().await;
}

#[tokio::test]
async fn stream_that_policy_does_not_give_is_refused_to_subscribers() {
    let stage = stage().await;
    let desk = stage.desk(HONDURAS).await;
    let refused = async |streams: &[&str]| -> Told { told(Subscription::open(&desk, start(streams)).await) };
    let told = refused(&[CLOSED]).await;
    assert_eq!(
        told.expect_reason("STREAM_NOT_ALLOWED").expect_field("start.streams").code,
        Code::PermissionDenied
    );
    refused(&[STREAM, CLOSED]).await.expect_reason("STREAM_NOT_ALLOWED");
    let unknown = refused(&["no-such-stream"]).await;
    assert_eq!(unknown.expect_reason("STREAM_UNKNOWN").expect_field("start.streams").code, Code::NotFound);
    refused(&["Not A Name"]).await.expect_reason("FIELD_INVALID").expect_field("start.streams");
    Subscription::open(&desk, start(&[STREAM])).await.unwrap();
}

#[tokio::test]
async fn subscriber_gets_the_streams_that_it_asks_for_and_keeps_the_others_outstanding() {
    let stage = stage().await;
    let sender = stage.desk(IACHR).await;
    let drafts =
        ["studies", STREAM, CLOSED, "advocacy", STREAM].map(|stream| sender.draft(&[MEXICO]).stream(stream));
    for draft in &drafts {
        sender.send(draft).await;
    }
    let mexico = stage.desk(MEXICO).await;
    let mut some = mexico.subscribe_with(start(&[STREAM, CLOSED])).await;
    let came = some.next(3).await;
    assert_eq!(ids(&came), [drafts[1].id(), drafts[2].id(), drafts[4].id()]);
    some.acknowledge(&came).await;
    let live = sender.draft(&[MEXICO]).stream("studies");
    sender.send(&live).await;
    some.nothing_comes().await;
    let mut every = mexico.subscribe().await;
    assert_eq!(every.started.outstanding, 3);
    assert_eq!(ids(&every.next(3).await), [drafts[0].id(), drafts[3].id(), live.id()]);
}

#[tokio::test]
async fn message_goes_to_those_whom_the_envelope_lists_and_to_nobody_else() {
    let stage = stage().await;
    let sender = stage.desk(HONDURAS).await;
    let mut bystander = stage.desk(GUATEMALA).await.subscribe().await;
    let mut own = sender.subscribe().await;
    let to_others = sender.draft(&[IACHR, MEXICO]);
    let to_itself = sender.draft(&[HONDURAS, MEXICO]);
    sender.send(&to_others).await;
    sender.send(&to_itself).await;
    assert_eq!(ids(&stage.desk(IACHR).await.subscribe().await.next(1).await), [to_others.id()]);
    let both = stage.desk(MEXICO).await.subscribe().await.next(2).await;
    assert_eq!(ids(&both), [to_others.id(), to_itself.id()]);
    assert_eq!(ids(&own.next(1).await), [to_itself.id()]);
    own.nothing_comes().await;
    bystander.nothing_comes().await;
}
