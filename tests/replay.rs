//! A replay gives the same ledger, byte for byte: on another day, under another configuration, after another start.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use resguardo::host::clock::{Clock, ManualClock};
use resguardo::host::disk::{Disk, MemoryDisk, OpenMode, OsDisk};
use resguardo::host::network::TcpNetwork;
use resguardo::host::random::{SeededRandom, uuid_v7};
use resguardo::host::tasks::TokioTasks;
use resguardo::hub::home::Home;
use resguardo::hub::open;
use resguardo::hub::run::Host;
use resguardo::hub::verify;
use resguardo::ledger::store::Direction;
use resguardo::ledger::store::memory::MemoryStores;
use resguardo::ledger::store::sled::SledStores;
use resguardo::model::deadline::Deadlines;
use resguardo::model::entry::{Batch, BatchName, EntryKind, Proposal};
use resguardo::model::envelope::{
    CapMsgType, CapStatus, Envelope, MessageClass, MessageId, Priority, Recipient,
};
use resguardo::model::id::{DirectoryVersion, Index, UnixMicros};
use resguardo::model::identity::{Desk, Name};
use resguardo::model::receipt::{Action, Covered, Receipt, Stage};
use resguardo::seal::SigningKey;
use resguardo::wire::signed::{SignedEnvelope, SignedReceipt};
use tokio_util::sync::CancellationToken;

#[path = "stage/founding.rs"]
#[expect(dead_code, reason = "the founding of a whole stage stands in it too")]
mod founding;

const OFFICES: [&str; 3] = ["iachr", "ohchr-honduras", "ohchr-mexico"];
const BATCHES: u64 = 300;

fn founding() -> Bytes {
    let office = |name| format!("[[office]]\nname = '{name}'\ninstitution = 'ohchr'\n");
    let offices = OFFICES.map(office).concat();
    let list = format!(
        "institutions = ['iachr', 'ohchr']\nheadquarters = 'iachr'\n{offices}[[stream]]\nname = 's'\n\
         publishers = {OFFICES:?}\nsubscribers = {OFFICES:?}\n"
    );
    founding::signed(&list, &OFFICES)
}

fn host(runtime: &tokio::runtime::Runtime, day: u64, boot_id: &str) -> Host {
    Host {
        disk: Arc::new(OsDisk),
        clock: Arc::new(ManualClock::at(UnixMicros(day * 86_400_000_000))),
        random: Arc::new(SeededRandom::new(day)),
        network: Arc::new(TcpNetwork),
        tasks: Arc::new(TokioTasks::on(runtime.handle().clone())),
        stores: Arc::new(SledStores { boot_id: boot_id.into() }),
        reload: Arc::default(),
        stop: CancellationToken::new(),
    }
}

/// What offices do, in any order and often wrongly: publish, publish again, acknowledge what they were and were not owed.
struct Offices<'a> {
    clock: &'a dyn Clock,
    random: &'a SeededRandom,
    published: Vec<(Index, MessageId, Bytes, Desk)>,
}

impl Offices<'_> {
    fn desk(&self) -> Desk {
        let office = OFFICES[usize::try_from(self.random.below(3)).expect("a step of the test")];
        Desk {
            office: office.parse().expect("a step of the test"),
            desk: "desk-1".parse().expect("a step of the test"),
        }
    }

    fn proposal(&mut self, index: Index) -> Proposal {
        let desk = self.desk();
        let known = self.published.len() as u64;
        match self.random.below(10) {
            0..4 => self.publish(index, &desk),
            4 if known > 0 => {
                let at = usize::try_from(self.random.below(known)).expect("a step of the test");
                let (_, _, bytes, sender) = self.published[at].clone();
                proposal(EntryKind::Publish, &sender, bytes)
            }
            5 => proposal(EntryKind::Publish, &desk, Bytes::from_static(b"no envelope")),
            _ if known > 0 => self.acknowledge(&desk, known),
            _ => self.publish(index, &desk),
        }
    }

    fn publish(&mut self, index: Index, desk: &Desk) -> Proposal {
        let id = *uuid_v7(self.clock, self.random).as_bytes();
        let mut recipients: Vec<Name> =
            OFFICES.iter().map(|office| office.parse().expect("a step of the test")).collect();
        recipients.remove(usize::try_from(self.random.below(3)).expect("a step of the test"));
        recipients.sort();
        let recipient = |office| Recipient { office, key: [1; 32], number: 1 };
        let envelope = Envelope {
            message_id: MessageId::from_slice(&id).expect("a step of the test"),
            class: MessageClass::Alert,
            stream: "s".parse().expect("a step of the test"),
            sender: desk.clone(),
            recipients: recipients.into_iter().map(recipient).collect(),
            directory_version: DirectoryVersion(0),
            priority: if self.random.below(2) == 0 { Priority::Urgent } else { Priority::Normal },
            status: CapStatus::Test,
            msg_type: CapMsgType::Alert,
            thread_id: id,
            references: Vec::new(),
            sent: UnixMicros(1),
            expires: None,
            payload_bytes: 1,
            payload_digest: [7; 32],
            deadlines: Deadlines::default(),
            files: Vec::new(),
            voided: Vec::new(),
            about: None,
        };
        // Deciding never looks at a signature: that was the door's.
        let SignedEnvelope { envelope, signed } = SignedEnvelope::by(&key(), envelope);
        let bytes = signed.to_bytes();
        self.published.push((index, envelope.message_id, bytes.clone(), desk.clone()));
        proposal(EntryKind::Publish, desk, bytes)
    }

    fn acknowledge(&self, desk: &Desk, known: u64) -> Proposal {
        let (index, message_id, bytes, _) =
            &self.published[usize::try_from(self.random.below(known)).expect("a step of the test")];
        let (index, message_id) = (*index, *message_id);
        let digest = SignedEnvelope::read(bytes).expect("a step of the test").digest();
        let stage = [Stage::Received, Stage::Read, Stage::Acted, Stage::Declined]
            [usize::try_from(self.random.below(4)).expect("a step of the test")];
        let receipt = Receipt {
            desk: desk.clone(),
            stage,
            messages: vec![Covered { index, message_id, digest }],
            notices: Vec::new(),
            at: UnixMicros(2),
            action: (stage == Stage::Acted).then_some(Action::AskedState),
            reason: String::new(),
            note_digest: stage.is_persons().then_some([6; 32]),
            opened: false,
            seen: None,
        };
        proposal(EntryKind::Receipt, desk, SignedReceipt::by(&key(), receipt, [9; 32]).to_bytes())
    }
}

fn key() -> SigningKey {
    SigningKey::generate(|seeds| seeds.fill(10))
}

fn proposal(kind: EntryKind, desk: &Desk, statement: Bytes) -> Proposal {
    let payload = (kind == EntryKind::Publish).then(|| Bytes::from_static(b"x"));
    Proposal { kind, identity: desk.to_string(), statement, payload }
}

fn write_home(dir: &Path, config: &str) {
    fs::create_dir_all(dir).expect("a step of the test");
    fs::write(dir.join("hub.toml"), config).expect("a step of the test");
    fs::write(dir.join("founding"), founding()).expect("a step of the test");
}

/// Opens a hub, whose ledger is then fed what it lacks, and gives the ledger's rows.
fn rows(host: &Host, dir: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let home = Home::at(dir);
    let config = home.config(host.disk.as_ref()).expect("a step of the test");
    let opened = open::open(host, &home, &config, &mut |_| {}).expect("a step of the test");
    let mut rows = Vec::new();
    opened
        .store
        .scan(&[], &[0xff], Direction::Ascending, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .expect("a step of the test");
    opened.close().expect("a step of the test");
    rows
}

fn fill(host: &Host, dir: &Path, random: &SeededRandom) {
    let home = Home::at(dir);
    let config = home.config(host.disk.as_ref()).expect("a step of the test");
    let mut opened = open::open(host, &home, &config, &mut |_| {}).expect("a step of the test");
    let mut offices = Offices { clock: host.clock.as_ref(), random, published: Vec::new() };
    for number in 0..BATCHES {
        let first = opened.journal.mark().next_index.0;
        let count = 1 + random.below(8);
        let proposals = (0..count).map(|at| offices.proposal(Index(first + at))).collect();
        let name = BatchName { hub: 1, run: opened.run, number };
        let time = UnixMicros(opened.journal.mark().time.0 + random.below(5_000_000));
        opened.journal.append(&Batch { name, time, seed: [0; 32], proposals }).expect("a step of the test");
    }
    opened.close().expect("a step of the test");
}

#[test]
fn replay_on_another_day_under_another_configuration_gives_the_same_rows() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a step of the test");
    let folder = tempfile::tempdir().expect("a step of the test");
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let small = "[journal]\nsegment_bytes = 1048576\n";
    write_home(&first, &format!("name = 'one'\nlisten = '127.0.0.1:0'\n{small}"));
    let today = host(&runtime, 20_000, "boot-1");
    open::found(&today, &Home::at(&first), None, &mut |_| {}).expect("a step of the test");
    fill(&today, &first, &SeededRandom::new(42));
    let expected = rows(&today, &first);
    assert!(expected.len() > 10, "{} rows", expected.len());

    let limits = "[limits]\npayload_bytes_max = 1\nrecipients_max = 1\npublishes_per_s = 1\n[ledger]\ncache_bytes = 1048576\n";
    write_home(&second, &format!("name = 'two'\nlisten = '[::1]:0'\n{limits}{small}"));
    fs::create_dir(second.join("journal")).expect("a step of the test");
    for file in fs::read_dir(first.join("journal")).expect("a step of the test") {
        let file = file.expect("a step of the test");
        fs::copy(file.path(), second.join("journal").join(file.file_name())).expect("a step of the test");
    }
    let found = rows(&host(&runtime, 29_999, "boot-2"), &second);
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
}

/// Puts a file on a disk, in a folder that is made.
fn put(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    disk.create_dir_all(path.parent().expect("a step of the test")).expect("a step of the test");
    let file = disk.open(path, OpenMode::Replace).expect("a step of the test");
    file.write_all_at(bytes, 0).expect("a step of the test");
}

#[test]
fn replay_in_memory_gives_the_rows_that_the_machine_gives_and_leaves_nothing_on_it() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a step of the test");
    let folder = tempfile::tempdir().expect("a step of the test");
    let (real, nowhere) = (folder.path().join("real"), folder.path().join("nowhere"));
    let config = "name = 'one'\nlisten = '127.0.0.1:0'\n[journal]\nsegment_bytes = 1048576\n";
    let disk = Arc::new(MemoryDisk::new());
    put(disk.as_ref(), &nowhere.join("hub.toml"), config.as_bytes());
    put(disk.as_ref(), &nowhere.join("founding"), &founding());
    let mut memory = host(&runtime, 20_000, "");
    memory.disk = disk.clone();
    memory.stores = Arc::new(MemoryStores::default());
    open::found(&memory, &Home::at(&nowhere), None, &mut |_| {}).expect("a step of the test");
    fill(&memory, &nowhere, &SeededRandom::new(43));
    let found = rows(&memory, &nowhere);
    verify::verify(&memory, &nowhere, &mut |_| {}, &mut |_| {}).expect("a step of the test");
    assert!(!nowhere.exists(), "something was kept on the machine's own disk");

    write_home(&real, config);
    for name in disk.list(&nowhere.join("journal")).expect("a step of the test") {
        let bytes = disk.read(&nowhere.join("journal").join(&name), u64::MAX).expect("a step of the test");
        put(&OsDisk, &real.join("journal").join(name), &bytes);
    }
    assert!(found == rows(&host(&runtime, 20_000, "boot-1"), &real), "the rows differ");
}
