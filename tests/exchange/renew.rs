//! What the hub takes of renewals: a request for the caller's own certificate, and answers that an operator brings.

use bytes::Bytes;
use prost::Message as _;
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::proto::enrolment_service_client::EnrolmentServiceClient;
use resguardo::wire::proto::{
    AnswerRenewalsRequest, EntryKind, ListRenewalsRequest, RenewRequest, RenewalAnswer, RenewalRequest,
};
use resguardo::wire::renewal::{digest_of, make};
use resguardo::wire::request;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::stage::authority::Papers;
use crate::stage::client::knock;
use crate::stage::founding::Founding;
use crate::stage::told::Told;
use crate::stage::wait::within;
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR};

fn request_of(papers: &Papers) -> Bytes {
    let made = request::make().expect("a key");
    let (certificate, key) =
        (PemFile::new("c", papers.certificate.as_bytes()), PemFile::new("k", papers.key.as_bytes()));
    make(&made.request_pem, &certificate, &key).expect("a request")
}

async fn client(stage: &Stage, papers: &Papers) -> EnrolmentServiceClient<Channel> {
    EnrolmentServiceClient::new(knock(stage, papers).await.expect("they are let in"))
}

async fn renew(
    client: &mut EnrolmentServiceClient<Channel>,
    request: Bytes,
) -> Result<Option<RenewalAnswer>, Status> {
    let answer = within("a renewal is answered", client.renew(RenewRequest { request })).await?;
    Ok(answer.into_inner().answer)
}

fn reason(status: &Status) -> String {
    Told::of(status).reason
}

fn desk(office: &str) -> String {
    format!("urn:resguardo:office:{office}:desk-1")
}

#[tokio::test]
async fn a_request_waits_until_it_is_answered_also_over_a_crash_and_a_newer_one_takes_its_place() {
    let founding = Founding::default().with_operator("stage");
    let mut stage = Stage::open_with(Setup { founding, ..Setup::default() }).await;
    let papers = stage.authority.client(&desk(HONDURAS));
    let operator = stage.authority.client("urn:resguardo:operator:stage");
    let mut office = client(&stage, &papers).await;
    let (first, second) = (request_of(&papers), request_of(&papers));
    for request in [&first, &second, &second] {
        assert_eq!(renew(&mut office, request.clone()).await.unwrap(), None);
    }
    stage.kill().await;
    stage.start().await;
    let mut carrier = client(&stage, &operator).await;
    let waiting = carrier.list_renewals(ListRenewalsRequest {}).await.unwrap().into_inner().requests;
    assert_eq!(waiting, std::slice::from_ref(&second));
    let answer = |request: &Bytes| RenewalAnswer {
        identity: desk(HONDURAS),
        request_digest: digest_of(request).to_vec().into(),
        bundle: Bytes::from_static(b"what the authority signed"),
        refusal: String::new(),
    };
    let answers = vec![answer(&first), answer(&second), answer(&second), RenewalAnswer::default()];
    let told = carrier.answer_renewals(AnswerRenewalsRequest { answers }).await.unwrap().into_inner().results;
    let reasons: Vec<_> = told.iter().map(|one| one.refusal.as_ref().map(|it| it.reason.as_str())).collect();
    let unknown = Some("RENEWAL_UNKNOWN");
    assert_eq!(reasons, [unknown, None, unknown, Some("FIELD_INVALID")]);
    let mut office = client(&stage, &papers).await;
    assert_eq!(renew(&mut office, second.clone()).await.unwrap(), Some(answer(&second)));
    assert!(carrier.list_renewals(ListRenewalsRequest {}).await.unwrap().into_inner().requests.is_empty());
    stage.restart().await;
    let mut office = client(&stage, &papers).await;
    assert_eq!(renew(&mut office, second.clone()).await.unwrap(), Some(answer(&second)), "for ever");
    let kept = stage.auditor("iachr").await.entries_of(EntryKind::Renewal).await;
    assert_eq!(kept.len(), 4, "asked twice the same, written once: {kept:?}");
}

#[tokio::test]
async fn a_request_for_another_certificate_than_the_callers_is_refused_and_not_kept() {
    let stage = Stage::open().await;
    let own = stage.authority.client(&desk(HONDURAS));
    let mut office = client(&stage, &own).await;
    let of_other_office = request_of(&stage.authority.client(&desk(IACHR)));
    let of_other_certificate = request_of(&stage.authority.client(&desk(HONDURAS)));
    for foreign in [of_other_office, of_other_certificate] {
        let refused = renew(&mut office, foreign).await.unwrap_err();
        assert_eq!((refused.code(), &*reason(&refused)), (Code::PermissionDenied, "RENEWAL_FOREIGN"));
    }
    let mut changed = RenewalRequest::decode(request_of(&own)).unwrap();
    changed.certification_request = RenewalRequest::decode(request_of(&own)).unwrap().certification_request;
    for bad in [changed.encode_to_vec(), b"no request".to_vec(), Vec::new(), vec![0; 9_000]] {
        let refused = renew(&mut office, bad.into()).await.unwrap_err();
        assert_eq!(&*reason(&refused), "FIELD_INVALID", "{refused:?}");
    }
    let listed = office.list_renewals(ListRenewalsRequest {}).await.unwrap_err();
    let answered = office.answer_renewals(AnswerRenewalsRequest::default()).await.unwrap_err();
    for refused in [listed, answered] {
        assert_eq!(&*reason(&refused), "ROLE_NOT_ALLOWED");
    }
    assert!(stage.auditor("iachr").await.entries_of(EntryKind::Renewal).await.is_empty());
}
