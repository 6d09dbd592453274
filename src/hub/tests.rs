//! A hub that is not running: founded, opened, checked.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::decode;
use super::home::Home;
use super::open::{OpenError, found, open, rebuild};
use super::run::Host;
use super::verify::{VerifyError, verify};
use crate::host::clock::ManualClock;
use crate::host::disk::OsDisk;
use crate::host::network::TcpNetwork;
use crate::host::random::SeededRandom;
use crate::host::tasks::TokioTasks;
use crate::journal::{self, Options};
use crate::ledger::entry::Statement;
use crate::ledger::store::sled::SledStores;
use crate::ledger::{Ledger, Opened};
use crate::model::entry::{Batch, BatchName, EntryKind, Proposal};
use crate::model::id::{Position, UnixMicros};
use crate::wire::amendment;

const SEGMENT_BYTES: u64 = 1 << 20;
const CONFIG: &str = "name = 'dev'\nlisten = '127.0.0.1:0'\n[journal]\nsegment_bytes = 1048576\n";
fn stage() -> (Runtime, Host, TempDir) {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let host = Host {
        disk: Arc::new(OsDisk),
        clock: Arc::new(ManualClock::at(UnixMicros(1_700_000_000_000_000))),
        random: Arc::new(SeededRandom::new(1)),
        network: Arc::new(TcpNetwork),
        tasks: Arc::new(TokioTasks::on(runtime.handle().clone())),
        stores: Arc::new(SledStores { boot_id: "boot-1".into() }),
        reload: Arc::default(),
        stop: CancellationToken::new(),
    };
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("hub.toml"), CONFIG).unwrap();
    fs::write(dir.path().join("founding"), amendment::tests::founding_bytes()).unwrap();
    (runtime, host, dir)
}

fn try_open(host: &Host, dir: &Path) -> Result<(), OpenError> {
    let home = Home::at(dir);
    let config = home.config(host.disk.as_ref())?;
    open(host, &home, &config, &mut |_| {})?.close()
}

#[test]
fn founding_that_was_cut_short_opens_no_hub_and_can_be_made_again_once() {
    let (_runtime, host, dir) = stage();
    let home = Home::at(dir.path());
    let options = Options { segment_bytes: SEGMENT_BYTES };
    // The journal is there, its first batch is not.
    journal::create(host.disk.as_ref(), &home.journal(), [7; 16], options).unwrap();
    assert!(matches!(try_open(&host, dir.path()), Err(OpenError::NotFounded(_))));
    assert_eq!(found(&host, &home, None, &mut |_| {}).unwrap().0, amendment::tests::founding().len());
    try_open(&host, dir.path()).unwrap();
    assert!(matches!(found(&host, &home, None, &mut |_| {}), Err(OpenError::Founded(_))));
}

/// Replaces a ledger by one that is whole and stands where the journal stands, but passed over the last entry.
fn put_ledger_that_passed_over_an_entry(host: &Host, dir: &Path) {
    let home = Home::at(dir);
    let config = home.config(host.disk.as_ref()).unwrap();
    let opened = open(host, &home, &config, &mut |_| {}).unwrap();
    let reader = opened.reader.clone();
    opened.close().unwrap();
    fs::remove_dir_all(home.ledger()).unwrap();
    let store = host.stores.open(&home.ledger(), config.ledger.cache_bytes).unwrap().store;
    let Opened::Ready { mut ledger, mut writer, .. } = Ledger::open(store, reader.mark().journal).unwrap()
    else {
        panic!("an empty store is of any journal")
    };
    let mut batches = reader.batches(Position(0));
    while let Some(batch) = batches.next().unwrap() {
        let mut decoded: Vec<_> = batch.entries.iter().map(decode::entry).collect();
        if batch.after == reader.mark() {
            decoded.last_mut().unwrap().statement = Statement::Refusal;
        }
        writer.write(&ledger.decide(batch.after, &decoded).unwrap().staged).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn verify_tells_a_ledger_that_says_something_else_than_the_journal_until_it_is_rebuilt() {
    let (_runtime, host, dir) = stage();
    let home = Home::at(dir.path());
    found(&host, &home, None, &mut |_| {}).unwrap();
    let check = || verify(&host, dir.path(), &mut |_| {}, &mut |_| {});
    let report = check().unwrap();
    assert_eq!((report.journal.entries, report.journal.batches), (1, 1));
    put_ledger_that_passed_over_an_entry(&host, dir.path());
    // Nothing but the comparison can tell: each row is as it was written.
    try_open(&host, dir.path()).unwrap();
    assert!(matches!(check(), Err(VerifyError::Differs { .. })));
    assert!(matches!(check(), Err(VerifyError::Differs { .. })), "it changed what it found");
    let config = home.config(host.disk.as_ref()).unwrap();
    rebuild(&host, &home, &config, &mut |_| {}).unwrap().close().unwrap();
    assert_eq!(check().unwrap().ledger_rows, report.ledger_rows);
}

#[test]
fn verify_reads_also_what_no_start_and_no_ledger_reads() {
    let (_runtime, host, dir) = stage();
    let home = Home::at(dir.path());
    found(&host, &home, None, &mut |_| {}).unwrap();
    let config = home.config(host.disk.as_ref()).unwrap();
    let mut opened = open(&host, &home, &config, &mut |_| {}).unwrap();
    // Each fills more than half of a segment.
    for number in 0..3 {
        let name = BatchName { hub: 1, run: opened.run, number };
        let (statement, payload) = (Bytes::from_static(b"no envelope"), Some(vec![1; 600_000].into()));
        let proposals =
            vec![Proposal { kind: EntryKind::Publish, identity: String::new(), statement, payload }];
        opened.journal.append(&Batch { name, time: host.clock.now(), seed: [0; 32], proposals }).unwrap();
    }
    opened.close().unwrap();
    let check = || verify(&host, dir.path(), &mut |_| {}, &mut |_| {});
    assert_eq!(check().unwrap().journal.entries, 4);
    // Between the last frame of a full segment and its end there are zeros.
    let segment = fs::File::options().write(true).open(home.journal().join("00000000.segment")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&segment, b"x", 900_000).unwrap();
    try_open(&host, dir.path()).unwrap();
    let Err(VerifyError::Journal(error)) = check() else { panic!("the byte was passed over") };
    assert!(error.to_string().contains("00000000.segment is damaged at byte 900000"), "{error}");
}

#[test]
fn verify_tells_a_payload_that_is_gone_without_an_order() {
    let (_runtime, host, dir) = stage();
    let home = Home::at(dir.path());
    found(&host, &home, None, &mut |_| {}).unwrap();
    let config = home.config(host.disk.as_ref()).unwrap();
    let mut opened = open(&host, &home, &config, &mut |_| {}).unwrap();
    let name = BatchName { hub: 1, run: opened.run, number: 0 };
    let (statement, payload) = (Bytes::from_static(b"no envelope"), Some(Bytes::from_static(b"payload")));
    let proposals = vec![Proposal { kind: EntryKind::Publish, identity: String::new(), statement, payload }];
    let index = opened
        .journal
        .append(&Batch { name, time: host.clock.now(), seed: [0; 32], proposals })
        .unwrap()
        .first;
    let reader = opened.reader.clone();
    opened.close().unwrap();
    let check = || verify(&host, dir.path(), &mut |_| {}, &mut |_| {});
    assert_eq!(check().unwrap().journal.payloads, 1);
    journal::erase(&reader, [index]).unwrap();
    assert!(matches!(check(), Err(VerifyError::ErasedWithoutOrder(at)) if at == index));
}
