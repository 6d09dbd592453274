//! What has to hold whenever a machine has crashed, and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use resguardo::desk::home::Home as OfficeHome;
use resguardo::desk::inbox::Inbox;
use resguardo::desk::outbox::{Outbox, Stand};
use resguardo::host::disk::CrashStyle;
use resguardo::hub::home::Home;
use resguardo::hub::open::{self, Opened};
use resguardo::hub::run::Host;
use resguardo::hub::verify::{VerifyError, verify};
use resguardo::ledger::store::memory::MemoryStores;
use resguardo::model::entry::{Entry, EntryKind};
use resguardo::model::id::Index;
use resguardo::model::receipt::Stage;
use resguardo::wire::signed::{SignedEnvelope, SignedReceipt};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::machine;
use crate::set::{HUB, OFFICES};
use crate::world::World;

/// Does something with the hub's home while the hub does not run.
fn beside<T>(work: impl FnOnce() -> T) -> T {
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, async { work() })
}

/// Founds the hub.
pub(crate) fn found(world: &World) {
    beside(|| {
        let host = machine::host(world.machine(HUB));
        open::found(&host, &Home::at(&world.set_home(HUB)), None, &mut |_| {}).expect("it is founded");
    });
}

/// Holds the hub to what was told. `anew`: a ledger is made from the journal alone, else the one that is there must agree with it.
/// Gives how many entries there are.
pub(crate) fn hub(world: &World, anew: bool) -> u64 {
    beside(|| {
        let machine = world.machine(HUB);
        // What was to strike the hub is not for who looks at it.
        machine.disk().mend();
        let mut host = machine::host(machine);
        if anew {
            host.disk = Arc::new(machine.disk().crash(CrashStyle::ProcessEnd));
            host.stores = Arc::new(MemoryStores::default());
        }
        let dir = world.set_home(HUB);
        match verify(&host, &dir, &mut |_| {}, &mut |_| {}) {
            // After a stop of the machine no ledger is trusted that was not closed.
            Ok(_) | Err(VerifyError::LedgerSetAside(_)) => {}
            Err(error) => panic!("the hub is not whole: {error}"),
        }
        let home = Home::at(&dir);
        let config = home.config(host.disk.as_ref()).expect("it has its configuration");
        let opened = open::open(&host, &home, &config, &mut |_| {}).expect("it opens");
        let count = is_as_told(world, &host, &opened);
        opened.close().expect("it closes");
        count
    })
}

fn is_as_told(world: &World, _: &Host, opened: &Opened) -> u64 {
    let (mut cursor, mut entries) = (opened.reader.from(Index(0)), Vec::new());
    while let Some(entry) = cursor.next().expect("the journal is whole") {
        entries.push(entry);
    }
    let entry = |index: &Index| -> &Entry {
        let place = usize::try_from(index.0).expect("a small journal");
        entries
            .get(place)
            .unwrap_or_else(|| panic!("entry {index} is gone; the journal has {}", entries.len()))
    };
    let (view, policy, told) = (&opened.view, opened.view.policy(), world.told());
    let message = |index: Index| view.message(index).expect("the ledger is whole");

    for (id, index) in &told.confirmed {
        let row =
            message(*index).unwrap_or_else(|| panic!("message {id} at {index} was confirmed and is gone"));
        assert_eq!(row.message_id, *id, "another message stands at {index}");
        let envelope = SignedEnvelope::read(&entry(index).statement).expect("it was taken");
        assert_eq!(envelope.envelope.message_id, *id);
    }
    for ((office, id, stage), index) in &told.stated {
        let receipt = SignedReceipt::read(&entry(index).statement).expect("it was taken").receipt;
        assert!(
            view.receipt(*index).expect("the ledger is whole").is_some(),
            "the receipt at {index} is gone"
        );
        assert_eq!((receipt.desk.office.as_str(), receipt.stage), (*office, *stage), "at {index}");
        assert!(receipt.messages.iter().any(|it| it.message_id == *id), "at {index}");
    }
    // Once, in one place.
    let (mut ids, mut owed) = (BTreeSet::new(), BTreeMap::new());
    for entry in &entries {
        let Some(row) = message(entry.index) else { continue };
        assert!(ids.insert(row.message_id), "message {} stands twice", row.message_id);
        // By what its sender signed, not by what the ledger made of it.
        let envelope = SignedEnvelope::read(&entry.statement).expect("it was taken").envelope;
        for recipient in &envelope.recipients {
            let office = policy.number(&recipient.office).expect("an office of the directory");
            owed.insert((office, entry.index), true);
        }
    }
    // A receipt only of who is owed; and what is outstanding is what is owed and not received.
    for entry in entries.iter().filter(|it| it.kind == EntryKind::Receipt) {
        if view.receipt(entry.index).expect("the ledger is whole").is_none() {
            continue;
        }
        let receipt = SignedReceipt::read(&entry.statement).expect("it was taken").receipt;
        let office = policy.number(&receipt.desk.office).expect("an office of the directory");
        for covered in &receipt.messages {
            let due = owed.get_mut(&(office, covered.index));
            let due = due.unwrap_or_else(|| {
                panic!("{office:?} has a receipt of {} and is not owed it", covered.index)
            });
            *due &= !matches!(receipt.stage, Stage::Received | Stage::Read | Stage::Acted);
        }
    }
    for ((office, index), due) in &owed {
        assert_eq!(view.is_owed(*office, *index), *due, "{office:?}, entry {index}");
    }
    // One order for all, and nothing for who is not meant.
    for (office, came) in &told.came {
        let number = policy.number(&office.parse().expect("a name")).expect("an office of the directory");
        for (id, index) in came {
            let row =
                message(*index).unwrap_or_else(|| panic!("{office} has {id} at {index}, the hub nothing"));
            assert_eq!(row.message_id, *id, "{office} has another message at {index}");
            assert!(owed.contains_key(&(number, *index)), "{office} has {id}, which is not for it");
        }
    }
    entries.len() as u64
}

/// Holds the offices' homes to what was told there.
pub(crate) fn offices(world: &World) {
    for office in OFFICES {
        let home = home(world, office);
        let inbox = Inbox::open(&home).expect("an inbox");
        let here: BTreeMap<_, _> = inbox
            .entries()
            .expect("it can be read")
            .into_iter()
            .map(|it| (it.message_id, it.index))
            .collect();
        let told = world.told();
        for (id, index) in told.came.get(office).into_iter().flatten() {
            assert_eq!(here.get(id), Some(index), "{office} was told of {id}");
        }
        let outbox = Outbox::open(&home).expect("an outbox");
        let own: BTreeMap<_, _> = outbox
            .messages()
            .expect("it can be read")
            .into_iter()
            .map(|it| (it.message_id, it.stand))
            .collect();
        for (id, (by, _)) in &told.kept {
            assert!(*by != office || own.contains_key(id), "{office} had kept {id}");
        }
    }
}

fn home(world: &World, office: &str) -> OfficeHome {
    // A copy: a lock, or a fault that waits for its turn, is the running desk's.
    let disk = world.machine(office).disk().crash(CrashStyle::ProcessEnd);
    OfficeHome::open(Arc::new(disk), &world.set_home(office)).expect("the home is there")
}

/// Whether everything has come where it is to come, and nothing waits. The disks say so: who stops between keeping something and
/// telling of it never tells.
pub(crate) fn is_at_rest(world: &World) -> bool {
    let mut came = BTreeMap::new();
    for office in OFFICES {
        let home = home(world, office);
        let outbox = Outbox::open(&home).expect("an outbox");
        let messages = outbox.messages().expect("it can be read");
        let statements = outbox.statements().expect("it can be read");
        let stands = messages.iter().map(|it| it.stand).chain(statements.iter().map(|it| it.stand));
        if stands.into_iter().any(|it| it != Stand::Accepted) {
            return false;
        }
        let entries = Inbox::open(&home).and_then(|inbox| inbox.entries()).expect("it can be read");
        came.insert(office, entries.into_iter().map(|it| it.message_id).collect::<BTreeSet<_>>());
    }
    world.told().kept.iter().all(|(id, (_, recipients))| {
        recipients.iter().all(|office| came.get(office.as_str()).is_none_or(|came| came.contains(id)))
    })
}
