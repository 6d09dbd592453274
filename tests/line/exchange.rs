//! What every exchange over a bad line is held to in the end.

use serde_json::Value;

use super::stage::{Ran, Running, Stage, until};

/// Who sends.
pub(crate) const SENDER: &str = "ohchr-honduras";
/// Who receives.
pub(crate) const RECEIVER: &str = "iachr";

/// Words of which a person is told at least one of a line that does not do what it should.
const SAID: [&str; 4] =
    ["nothing came from the other side for", "cut", "cannot be reached", "did not answer"];

/// Publishes the alert of this name; `None`: it waits in the outbox, which a person was told with the reason.
pub(crate) fn publish(stage: &Stage, sender: &str, file: &str) -> Option<Value> {
    let command = ["--json", "publish", "alert", file, "--to", RECEIVER, "--unconfirmed-ok"];
    let ran = stage.run(sender, &command);
    told(&ran);
    let objects = super::stage::objects(&ran.out);
    let published =
        objects.into_iter().find(|it| it["object"] == "published").unwrap_or_else(|| panic!("{ran:?}"));
    assert_eq!(published["outcome"] == "accepted", ran.code == 0, "{ran:?}");
    (ran.code == 0).then_some(published)
}

/// Holds the end of a command to what a person must be told.
#[track_caller]
pub(crate) fn told(ran: &Ran) {
    let said = SAID.iter().any(|words| ran.err.contains(words));
    assert!(ran.code == 0 || (ran.code == 4 && said && ran.err.contains("outbox")), "{ran:?}");
}

/// Waits until a subscription has a message and its hub has the receipt.
pub(crate) fn receive(watch: &mut Running) {
    let mut came = false;
    loop {
        let told: Value = serde_json::from_str(&watch.line()).unwrap();
        match told["object"].as_str() {
            Some("message") => came = true,
            Some("acknowledged") => return,
            // The answer to the receipt was lost.
            Some("started") if came && told["outstanding"] == 0 => return,
            _ => {}
        }
    }
}

/// Waits until the hub has the receipt of everything that is owed to the receiver.
pub(crate) fn all_received(stage: &Stage) {
    until("all is acknowledged", || {
        let rows = stage.objects("auditor-iachr", &["audit", "deliveries", "--office", RECEIVER]);
        rows.iter().all(|row| !row["stages"].as_array().unwrap().is_empty())
    });
}

/// Hands in what waits; gives what became of the messages among it.
pub(crate) fn pending(stage: &Stage, sender: &str) -> Vec<Value> {
    let handed_in = stage.objects(sender, &["publish", "pending"]);
    assert!(handed_in.iter().all(|it| it["outcome"] == "accepted"), "{handed_in:?}");
    handed_in.into_iter().filter(|it| it["object"] == "published").collect()
}

/// Every message that was confirmed, and no other, is in the journal once, where it was said to be, with each of these stages
/// stated once; every one is whole at its receiver; nothing waits any more.
pub(crate) fn holds(stage: &Stage, confirmed: &[Value], senders: &[&str], stages: &[&str]) {
    let entries = stage.objects("auditor-iachr", &["audit", "entries", "--limit", "100000"]);
    let rows =
        stage.objects("auditor-iachr", &["audit", "deliveries", "--office", RECEIVER, "--limit", "100000"]);
    let mut told: Vec<_> =
        confirmed.iter().map(|it| (it["index"].as_u64(), it["message_id"].to_string())).collect();
    let mut there: Vec<_> =
        rows.iter().map(|it| (it["index"].as_u64(), it["message_id"].to_string())).collect();
    told.sort();
    there.sort();
    assert_eq!(there, told);
    assert_eq!(entries.iter().filter(|it| it["kind"] == "publish").count(), confirmed.len());
    for row in &rows {
        let mut stated: Vec<_> =
            row["stages"].as_array().unwrap().iter().map(|it| it["stage"].as_str().unwrap()).collect();
        stated.sort_unstable();
        assert_eq!(stated, stages, "{row}");
    }
    // A receipt that was stated again is on record as one that says nothing new.
    let receipts =
        stage.objects("auditor-iachr", &["audit", "receipts", "--office", RECEIVER, "--limit", "100000"]);
    let news: u64 = receipts.iter().map(|it| it["news"].as_u64().unwrap()).sum();
    assert_eq!(news, (confirmed.len() * stages.len()) as u64, "{receipts:?}");
    let inbox = stage.objects(RECEIVER, &["inbox", "--limit", "100000"]);
    assert_eq!(inbox.len(), confirmed.len());
    for message in inbox {
        stage.well(RECEIVER, &["show", message["message_id"].as_str().unwrap()]);
    }
    for home in senders.iter().chain([&RECEIVER]) {
        assert!(stage.names(&format!("{home}/outbox"), ".pending").is_empty(), "{home}");
    }
}
