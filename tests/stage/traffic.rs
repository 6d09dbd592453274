//! A little of everything that can happen on the exchange, so that an audit has something to say.

use resguardo::wire::proto::{Action, Priority, Stage as ReceiptStage};

use super::Stage;
use super::audit::all;
use super::draft::Draft;
use super::statement::{acted, is_message, named, read, turned_down};
use super::told::told;

/// Offices that send, and to whom.
const ROUTES: [(&str, &[&str]); 5] = [
    ("ohchr-honduras", &["iachr", "ohchr-mexico"]),
    ("ohchr-guatemala", &["iachr"]),
    ("ohchr-mexico", &["ohchr-colombia", "ohchr-honduras", "ohchr-mexico"]),
    ("ohchr-colombia", &["iachr", "ohchr-central-america", "ohchr-south-america"]),
    ("iachr", &["ohchr-honduras"]),
];

/// Messages of all priorities on several routes; receipts of every stage, one by one and many at once; repetitions;
/// notices acknowledged and not; refusals; much left outstanding. Gives what was published.
pub(crate) async fn bustle(stage: &Stage, rounds: usize) -> Vec<Draft> {
    let mut published = Vec::new();
    for round in 0..rounds {
        for (sender, to) in ROUTES {
            let desk = stage.desk(sender).await;
            let priorities = [Priority::Normal, Priority::Urgent, Priority::Low];
            let drafts = priorities.map(|it| desk.draft(to).priority(it).expires(1 + round as u64));
            desk.send_all(&drafts, 2).await;
            desk.publish(&drafts[0]).await.expect("a repetition is answered");
            told(desk.publish(&desk.draft(to).stream("no-such-stream")).await);
            published.extend(drafts);
        }
        acknowledge_some(stage).await;
    }
    published
}

/// Headquarters goes through every stage; Mexico turns down; Honduras acknowledges a notice; the rest stays silent.
async fn acknowledge_some(stage: &Stage) {
    let iachr = stage.desk("iachr").await;
    let mut subscription = iachr.subscribe().await;
    let count = usize::try_from(subscription.started.outstanding).expect("few");
    let came = subscription.next(count).await;
    subscription.acknowledge(&came[..count - 1]).await;
    subscription.acknowledge(&came[..2]).await;
    subscription.record(&read(&iachr.identity, named(&came[0]))).await;
    subscription.record(&acted(&iachr.identity, named(&came[0]), Action::UrgentAppeal)).await;
    let mexico = stage.desk_named("ohchr-mexico", "desk-2").await;
    let mut subscription = mexico.subscribe().await;
    let mut came = Vec::new();
    while came.len() < 3 {
        // Its own turning down of earlier rounds comes back to it as notices.
        came.extend(Some(subscription.delivery().await).filter(is_message));
    }
    for (delivery, at) in
        came.iter().zip([ReceiptStage::Declined, ReceiptStage::Unreadable, ReceiptStage::Declined])
    {
        subscription.record(&turned_down(&mexico.identity, at, named(delivery), "not for us")).await;
    }
    let mut honduras = stage.desk("ohchr-honduras").await.subscribe().await;
    let one = honduras.delivery().await;
    honduras.acknowledge(&[one]).await;
    let told = stage.auditor("iachr").await.refusals().await;
    assert!(!told.is_empty(), "refusals are entries");
    assert!(!stage.auditor("ohchr").await.receipts(all()).await.expect("receipts are listed").is_empty());
}
