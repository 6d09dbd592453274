//! What a hub gets that says the directory has changed: other bytes of a message only where it has.

use super::*;
use crate::desk::dial::Dial as _;
use crate::desk::hand_in::{HandInError, Sealing, message};
use crate::desk::keys::Keyring;
use crate::desk::outbox::{Outcome, Outgoing};
use crate::desk::sample::desk;
use crate::desk::sealer::{SealerError, Unlocked};
use crate::model::envelope::{Envelope, MessageClass, Recipient};
use crate::model::fact::Fact;
use crate::model::policy::Policy;
use crate::model::policy::tests::registrars;
use crate::seal::OpeningKey;
use crate::wire::amendment;

fn key(number: u8) -> OpeningKey {
    OpeningKey::from_seed(&[number; 32])
}

fn amended(policy: &Policy, facts: Vec<Fact>) -> Policy {
    let mut policy = policy.clone();
    let entry = amendment::tests::signed(&policy, facts, &registrars());
    policy.amend(&Arc::new(entry)).unwrap();
    policy
}

fn office_key(office: &str, number: u8) -> Fact {
    Fact::OfficeKey { office: office.parse().unwrap(), recipient: key(number).recipient() }
}

/// A message that was sealed for the directory, and waits.
fn sealed(policy: &Policy) -> Outgoing {
    let payload = crate::desk::sealer::draft_payload(&key(5).recipient(), b"words").unwrap();
    let office = "iachr".parse().unwrap();
    let key = policy.office_key_id(&office).unwrap();
    let envelope = Envelope {
        class: MessageClass::Alert,
        recipients: vec![Recipient { office, key, number: 1 }],
        directory_version: policy.version(),
        ..envelope(1, "ohchr-honduras", "iachr", &payload)
    };
    waits(envelope, payload.into())
}

#[tokio::test]
async fn on_the_hubs_word_alone_no_second_envelope_of_a_message_is_made() {
    let (desk_home, hub) = (Desk::new(), FakeHub::start().await);
    let known = amended(&policy(), vec![office_key("ohchr-honduras", 5), office_key("iachr", 6)]);
    keep_copy(&desk_home.home, &known);
    hub.tell_directory(known.clone());
    let home = &desk_home.home;
    let outbox = Outbox::open(home).unwrap();
    let first = sealed(&known);
    outbox.add_message(&home.lock().await.unwrap(), &first, NOW).unwrap();
    let [attended, _] = keys("ohchr-honduras");
    let unlocked = Unlocked::of(desk("ohchr-honduras"), Keyring { attended, opening: vec![key(5)] });
    let sealing = Sealing { unlocked: Some(unlocked), clock: Arc::new(ManualClock::at(NOW)) };
    let channel = hub.way().dial().await.unwrap();
    let hand_in = async || message(channel.clone(), home, &outbox, id(1), &sealing).await;
    let stale = || Err(status::refused(&Refusal::new(Reason::DirectoryStale, "it has changed")));
    let published = || hub.published().into_iter().map(|it| it.envelope).collect::<Vec<_>>();

    hub.answer_publish([stale(), stale()]);
    let told = hand_in().await.unwrap_err();
    assert!(matches!(told, HandInError::Sealer(SealerError::NotStale(_))), "{told}");
    assert_eq!(published(), [&first.envelope_bytes; 2]);
    assert_eq!(outbox.read_message(id(1)).unwrap(), first);
    // Where registrars have replaced the key, it is made anew, once.
    hub.tell_directory(amended(&known, vec![office_key("iachr", 7)]));
    let accepted =
        proto::Accepted { index: 9, accepted_unix_us: NOW.0, duplicate: false, epoch: 0, promise: None };
    hub.answer_publish([stale(), Ok(accepted)]);
    let outcome = hand_in().await.unwrap();
    assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
    let second = outbox.read_message(id(1)).unwrap();
    assert_ne!(second.envelope_bytes, first.envelope_bytes);
    assert_eq!(published()[2..], [first.envelope_bytes, second.envelope_bytes]);
    // What has its outcome goes nowhere again.
    assert_eq!(hand_in().await.unwrap(), outcome);
    assert_eq!(published().len(), 4);
}
