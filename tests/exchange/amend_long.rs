//! An entry of the directory that is nearly as long as one may be: some hundred offices with their keys.

use resguardo::host::random::{Random as _, SeededRandom};
use resguardo::model::amendment::ENTRY_BYTES_MAX;
use resguardo::model::fact::{DeskKeys, Fact};
use resguardo::model::identity::{self, Name};
use resguardo::seal::{OpeningKey, SigningKey};
use resguardo::wire::proto::DescribeDirectoryRequest;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;

use crate::amend::{Exchange, REGISTRARS};
use crate::stage::Setup;
use crate::stage::client::Desk;
use crate::stage::founding::OFFICES;

/// An office with a desk and keys that nobody has.
fn office(number: usize, random: &SeededRandom) -> Vec<Fact> {
    let name: Name = format!("branch-{number}").parse().expect("a name");
    let signing = || SigningKey::generate(|bytes| random.fill(bytes)).verifying_key();
    let opening = || OpeningKey::generate(|bytes| random.fill(bytes)).recipient();
    let desk = identity::Desk { office: name.clone(), desk: "desk-1".parse().expect("a name") };
    let keys = DeskKeys { attended: signing(), unattended: signing(), transfer: opening() };
    let institution = OFFICES[0].1.parse().expect("a name");
    vec![
        Fact::Office { name: name.clone(), institution },
        Fact::Desk { desk, keys: Box::new(keys) },
        Fact::OfficeKey { office: name, recipient: opening() },
    ]
}

#[tokio::test]
async fn entry_that_is_nearly_as_long_as_may_be_is_taken_in_and_is_there_after_a_restart() {
    let mut exchange = Exchange::open_with(Setup { usual_segments: true, ..Setup::default() }).await;
    let random = SeededRandom::new(1);
    let exact = |facts: Vec<Fact>| exchange.written(facts, &REGISTRARS);
    let one = exact(office(0, &random)).len();
    let each = exact([office(0, &random), office(1, &random)].concat()).len() - one;
    let of = |count: usize| exact((0..count).flat_map(|number| office(number, &random)).collect());
    let (long, longer) = (of(ENTRY_BYTES_MAX / each - 2), of(ENTRY_BYTES_MAX / each + 2));
    assert!((ENTRY_BYTES_MAX - 4 * each..=ENTRY_BYTES_MAX).contains(&long.len()), "{} bytes", long.len());

    let operator = exchange.operator.clone();
    let refused = exchange.amend(&operator, longer).await.expect_err("it is too long");
    assert!(refused.message().contains("say the rest in further amendments"), "{refused}");
    let version = exchange.amend(&operator, long.clone()).await.expect("it is taken in");
    exchange.stage.restart().await;
    let operator = Desk::connect(&exchange.stage, "urn:resguardo:operator:stage").await;
    let after_version = version - 1;
    let mut client = DirectoryServiceClient::new(operator.channel.clone());
    let told =
        client.describe_directory(DescribeDirectoryRequest { after_version }).await.expect("it is told");
    assert!(told.into_inner().entries == [long], "the same bytes");
}
