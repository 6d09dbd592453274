//! What proves a message's history, over the line: more than fits one part comes in several, and holds together.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use resguardo::evidence::{Entry, Evidence, make};
use resguardo::model::fact::Fact;
use resguardo::seal::SigningKey;
use resguardo::wire::proto::log_service_client::LogServiceClient;
use resguardo::wire::proto::{ProveMessageRequest, ProveMessageResponse};
use resguardo::wire::trust::Trust;
use tonic::Status;
use tonic::transport::Channel;

use crate::amend::{Exchange, REGISTRARS};
use crate::stage::statement::received;
use crate::{HONDURAS, IACHR};

/// Bytes of a part at most, but for the last of its entries.
const PART_BYTES: usize = 1024 * 1024;
/// Amendments, and witnesses that each of them names: more than two parts of keys.
const AMENDMENTS: u8 = 8;
const WITNESSES: u8 = 200;

/// Names witnesses, each with a key of its own.
fn witnesses(number: u8) -> Vec<Fact> {
    let witness = |place: u8| {
        let mut seeds = [0xfe; 64];
        (seeds[0], seeds[1]) = (number, place);
        let name = format!("w-{number}-{place}").parse().expect("a step of the test");
        let institution = "ohchr".parse().expect("a step of the test");
        Fact::Witness { name, institution, key: SigningKey::from_seeds(&seeds).verifying_key() }
    };
    (0..WITNESSES).map(witness).collect()
}

async fn parts(channel: &Channel, message_id: &Bytes) -> Result<Vec<ProveMessageResponse>, Status> {
    let asked = ProveMessageRequest { message_id: message_id.clone(), sender_office: String::new() };
    let mut answer = LogServiceClient::new(channel.clone()).prove_message(asked).await?.into_inner();
    let mut parts = Vec::new();
    while let Some(part) = answer.message().await? {
        parts.push(part);
    }
    Ok(parts)
}

/// Puts parts together.
fn joined(parts: &[ProveMessageResponse]) -> Evidence {
    let entries = |of: fn(&ProveMessageResponse) -> &[_]| {
        let all = parts.iter().flat_map(of).cloned();
        all.map(|it| Entry::read(it).expect("a step of the test")).collect()
    };
    Evidence {
        journal_checkpoint: parts[0].journal_checkpoint.clone(),
        directory_checkpoint: Some(parts[0].directory_checkpoint.clone()).filter(|it| !it.is_empty()),
        directory: entries(|it| &it.directory),
        entries: entries(|it| &it.entries),
        notes: Vec::new(),
    }
}

#[tokio::test]
async fn what_proves_a_message_comes_in_parts_of_a_mebibyte_and_holds_together() {
    let mut exchange = Exchange::open().await;
    let operator = exchange.operator.clone();
    for number in 0..AMENDMENTS {
        let exact = exchange.written(witnesses(number), &REGISTRARS);
        exchange.amend(&operator, exact).await.expect("a step of the test");
    }
    let (sender, desk) = (exchange.stage.desk(HONDURAS).await, exchange.stage.desk(IACHR).await);
    let draft = sender.draft(&[IACHR]);
    sender.send(&draft).await;
    let mut subscription = desk.subscribe().await;
    let came = subscription.next(1).await;
    subscription.record(&received(&desk.identity, &came)).await;

    let message_id = crate::stage::statement::named(&came[0]).message_id;
    let mut given = parts(&sender.channel, &message_id).await;
    for _ in 0..600 {
        match &given {
            // The receipt may not be under a checkpoint yet.
            Err(status) => assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}"),
            Ok(_) => break,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        given = parts(&sender.channel, &message_id).await;
    }
    let given = given.expect("a checkpoint covers it by now");
    assert!(given.len() > 3, "the checkpoints alone, then more than two mebibytes: {}", given.len());
    assert!(given[0].directory.is_empty() && !given[0].journal_checkpoint.is_empty());
    for part in &given[1..] {
        assert!(part.journal_checkpoint.is_empty() && part.directory_checkpoint.is_empty());
        assert!(part.directory.len() + part.entries.len() > 0, "no part is empty");
        let largest = part.directory.iter().map(prost::Message::encoded_len).max().unwrap_or(0);
        assert!(part.encoded_len() <= PART_BYTES + largest, "{} bytes", part.encoded_len());
    }
    let whole: usize = given.iter().map(prost::Message::encoded_len).sum();
    assert!(whole > 2 * PART_BYTES, "{whole} bytes");

    let trust = Trust::of(&exchange.policy.entries()[0]);
    let (_, proved) = make(joined(&given), trust).expect("all of it holds");
    assert_eq!(proved.directory_version.0, 1 + u64::from(AMENDMENTS));
    assert_eq!(proved.statements.len(), 1);
    // A part that does not come leaves nothing that holds.
    let mut lost = given;
    lost.remove(2);
    let lost = make(joined(&lost), trust);
    assert!(lost.is_err(), "{lost:?}");
}
