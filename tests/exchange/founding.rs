//! Offices, institutions, streams and rights: journaled at the founding, and from then on the journal's alone.

use std::fs;

use prost::Message as _;
use resguardo::wire::proto::directory_entry::Entry;
use resguardo::wire::proto::directory_fact::Fact;
use resguardo::wire::proto::{
    DescribeDirectoryResponse, DirectoryAmendment, DirectoryEntry, EntryKind, Signed,
};

use crate::stage::audit::all;
use crate::stage::founding::{Founding, OFFICES, STREAMS};
use crate::stage::{Setup, Stage};
use crate::{HONDURAS, IACHR, MEXICO};

/// Facts in words, in one order.
fn words(directory: &DescribeDirectoryResponse) -> Vec<String> {
    let entry = DirectoryEntry::decode(directory.entries[0].clone()).expect("an entry").entry;
    let Some(Entry::Amendment(exact)) = entry else { panic!("a directory begins with an amendment") };
    let amendment = Signed::decode(exact).expect("it is signed");
    let facts = DirectoryAmendment::decode(amendment.statement).expect("an amendment").facts;
    let mut words: Vec<_> = facts
        .iter()
        .filter(|fact| {
            !matches!(
                fact.fact,
                Some(Fact::Registrar(_) | Fact::Desk(_) | Fact::OfficeKey(_) | Fact::HubKey(_))
            )
        })
        .map(|fact| match fact.fact.as_ref().expect("a fact says something") {
            Fact::Institution(it) => format!("institution {}", it.name),
            Fact::Office(it) => format!("office {} of {}", it.name, it.institution),
            Fact::Auditor(it) => format!("auditor {} of {}", it.name, it.institution),
            Fact::Stream(it) => format!("stream {}: {:?} to {:?}", it.name, it.publishers, it.subscribers),
            Fact::Headquarters(it) => format!("headquarters {}", it.office),
            other => panic!("not in this founding: {other:?}"),
        })
        .collect();
    words.sort_unstable();
    words
}

#[tokio::test]
async fn directory_is_the_founding_file_and_every_enrolled_identity_may_read_it() {
    let stage = Stage::open().await;
    let directory = stage.desk(HONDURAS).await.directory().await.unwrap();
    let offices: Vec<_> = OFFICES.iter().map(|(office, _)| *office).collect();
    let mut expected: Vec<_> =
        OFFICES.iter().map(|(office, institution)| format!("office {office} of {institution}")).collect();
    expected.extend(["iachr", "ohchr"].map(|name| format!("institution {name}")));
    expected.extend(["iachr", "ohchr"].map(|name| format!("auditor {name} of {name}")));
    expected.extend(STREAMS.map(|stream| format!("stream {stream}: {offices:?} to {offices:?}")));
    expected.push("headquarters iachr".to_owned());
    expected.sort_unstable();
    assert_eq!(words(&directory), expected);
    let auditor = stage.auditor("ohchr").await;
    let as_desk = crate::stage::client::Desk { identity: auditor.identity, channel: auditor.channel };
    assert_eq!(as_desk.directory().await.unwrap().entries, directory.entries);
}

#[tokio::test]
async fn entries_of_the_directory_are_entries_of_the_journal_byte_for_byte() {
    let stage = Stage::open().await;
    let desk = stage.desk(IACHR).await;
    let directory = desk.directory().await.unwrap();
    let entries = stage.auditor("iachr").await.entries_of(EntryKind::Directory).await;
    let statements: Vec<_> = entries.iter().map(|entry| entry.statement.clone()).collect();
    assert_eq!((statements, directory.version), (directory.entries, 1));
    assert!(entries.iter().all(|entry| entry.recorded_unix_us > 0 && !entry.identity.is_empty()));
}

#[tokio::test]
async fn files_changed_after_the_founding_change_no_right() {
    let mut stage = Stage::open().await;
    let before = stage.desk(IACHR).await.directory().await.unwrap();
    assert!(stage.stop().await.success());
    let poorer =
        Founding { streams: Vec::new(), ..Founding::default() }.with_stream(STREAMS[0], &[IACHR], &[IACHR]);
    fs::write(stage.home().join("founding"), poorer.signed()).unwrap();
    stage.start().await;
    let sender = stage.desk(HONDURAS).await;
    assert_eq!(sender.directory().await.unwrap().entries, before.entries);
    sender.send(&sender.draft(&[MEXICO])).await;
}

#[tokio::test]
async fn second_founding_changes_nothing() {
    let mut stage = Stage::open().await;
    let before = stage.auditor("iachr").await.entries(all()).await.unwrap();
    assert!(stage.stop().await.success());
    let again = stage.program(&["hub", "init"]).await;
    assert!(!again.status.success(), "a founded home was founded again");
    assert!(!again.stderr.is_empty(), "it says why");
    stage.start().await;
    assert_eq!(stage.auditor("iachr").await.entries(all()).await.unwrap(), before);
}

#[tokio::test]
async fn home_that_was_not_founded_does_not_run() {
    let mut stage = Stage::prepare(Setup::default()).await;
    for entry in fs::read_dir(stage.home()).unwrap().map(Result::unwrap) {
        let kept = ["hub.toml", "founding", "tls"].iter().any(|name| entry.file_name() == *name);
        match (kept, entry.file_type().unwrap().is_dir()) {
            (true, _) => {}
            (false, true) => fs::remove_dir_all(entry.path()).unwrap(),
            (false, false) => fs::remove_file(entry.path()).unwrap(),
        }
    }
    let ended = stage.try_start().await.unwrap_err();
    assert!(!ended.status.success() && !ended.log.trim().is_empty(), "{ended}");
}

#[tokio::test]
async fn hub_of_one_home_runs_once() {
    let stage = Stage::open().await;
    let second = stage.program(&["hub", "run"]).await;
    assert!(!second.status.success(), "a second hub ran on the home of the first");
    let said = String::from_utf8_lossy(&second.stderr).to_lowercase();
    assert!(!said.contains("panicked") && said.contains("one hub a home"), "{said}");
    stage.desk(IACHR).await.directory().await.unwrap();
}
