//! Keys are made once, lie as they must, and none is lost while another takes its place.

use super::pending::Folder;
use super::*;
use crate::host::disk::MemoryDisk;
use crate::host::disk::crash;
use crate::host::random::SeededRandom;
use crate::model::fact::Fact;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Name};
use crate::model::policy::Policy;
use crate::model::policy::tests::{registrar_facts, registrars, rotation, signed};
use crate::wire::amendment;

#[test]
fn keys_are_made_once_and_lie_as_they_must() {
    let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
    let made = make(&disk, home, true, Wrap::Passphrase("correct horse"), &random).unwrap();
    assert_eq!(make(&disk, home, true, Wrap::Insecure, &random).unwrap(), made, "nothing is made anew");
    let read = |name: &str| {
        let path = home.join(FOLDER).join(name);
        key_file::KeyFile::parse(&disk.read(&path, 1 << 20).unwrap()).unwrap()
    };
    for name in ["attended", "office", "transfer"] {
        assert!(matches!(read(name), key_file::KeyFile::Wrapped(_)), "{name}");
    }
    assert!(matches!(read("unattended"), key_file::KeyFile::Plain(Plain::Unattended, _)));
    let second = make(&disk, Path::new("/second"), false, Wrap::Insecure, &random).unwrap();
    assert_eq!(second.recipient, None, "one office, one key");
    assert_ne!(second.keys, made.keys);
}

#[test]
fn keyring_holds_the_keys_of_the_request_and_comes_by_the_passphrase_alone() {
    let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
    let made = make(&disk, home, true, Wrap::Passphrase("correct horse"), &random).unwrap();
    assert!(needs_passphrase(&disk, home).unwrap());
    assert!(matches!(unlock(&disk, home, None), Err(KeysError::NoPassphrase)));
    let wrong = unlock(&disk, home, Some("battery staple"));
    assert!(matches!(wrong, Err(KeysError::Key(KeyFileError::WrongPassphrase))));
    let ring = unlock(&disk, home, Some("correct horse")).unwrap();
    assert_eq!(ring.attended.verifying_key(), made.keys.attended);
    let opening: Vec<_> = ring.opening.iter().map(OpeningKey::recipient).collect();
    assert_eq!(opening, [made.recipient.unwrap()]);
    assert_eq!(unattended(&disk, home).unwrap().verifying_key(), made.keys.unattended);
    let open = Path::new("/open");
    let second = make(&disk, open, false, Wrap::Insecure, &random).unwrap();
    assert!(!needs_passphrase(&disk, open).unwrap());
    let ring = unlock(&disk, open, None).unwrap();
    assert_eq!((ring.attended.verifying_key(), ring.opening.len()), (second.keys.attended, 0));
    assert!(matches!(unlock(&disk, Path::new("/none"), None), Err(KeysError::Missing(_))));
}

/// A directory whose only desk has the keys of a home, and what follows from it.
struct Told {
    policy: Policy,
    attended: SigningKey,
    desk: Desk,
}

impl Told {
    fn of(made: &KeyRequest, attended: SigningKey) -> Self {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let desk = Desk { office: name("one"), desk: name("desk-1") };
        let mut facts = vec![Fact::Institution(name("a")), Fact::Institution(name("b"))];
        facts.extend(registrar_facts([name("a"), name("b")]));
        facts.push(Fact::Office { name: name("one"), institution: name("a") });
        facts.push(Fact::Desk { desk: desk.clone(), keys: Box::new(made.keys.clone()) });
        let recipient = made.recipient.clone().unwrap();
        facts.push(Fact::OfficeKey { office: name("one"), recipient });
        facts.push(Fact::Retention { days: 1 });
        let mut policy = Policy::default();
        policy.amend(&signed(&policy, facts, &registrars())).unwrap();
        Self { policy, attended, desk }
    }

    fn rotated(&mut self, replaces: [u8; 32], fact: Fact, and: Option<SigningKey>) {
        let attended = SigningKey::from_text(&self.attended.to_text()).unwrap();
        let keys: Vec<_> = std::iter::once(attended).chain(and).collect();
        self.policy.amend(&rotation(replaces, fact, &keys)).unwrap();
    }

    fn office_key(&mut self, next: &OpeningKey) {
        let (office, recipient) = (self.desk.office.clone(), next.recipient());
        let replaces = self.policy.office_key_id(&office).unwrap();
        self.rotated(replaces, Fact::OfficeKey { office, recipient }, None);
    }
}

fn opening(disk: &MemoryDisk) -> Vec<[u8; 32]> {
    unlock(disk, Path::new("/home"), None).unwrap().opening.iter().map(handover::id).collect()
}

fn fresh(number: u8) -> OpeningKey {
    OpeningKey::generate(|seed| seed.fill(number))
}

#[test]
fn no_key_of_the_office_is_lost_wherever_a_rotation_is_cut_off() {
    let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
    disk.record();
    let made = make(&disk, home, true, Wrap::Insecure, &random).unwrap();
    let ring = unlock(&disk, home, None).unwrap();
    let (present, next) = (ring.opening[0].clone(), fresh(7));
    let mut told = Told::of(&made, ring.attended);
    let ready = disk.recorded().len();
    rotate::keep_next(&Folder::of(&disk, home), Wrap::Insecure, &next, &present).unwrap();
    let kept = disk.recorded().len();
    settle(&disk, home, &told.desk, &told.policy).unwrap();
    assert_eq!(opening(&disk), [handover::id(&present)], "the hub has not taken it");
    told.office_key(&next);
    settle(&disk, home, &told.desk, &told.policy).unwrap();
    let whole = [handover::id(&next), handover::id(&present)];
    assert_eq!(opening(&disk), whole);
    crash::at_every_moment(&disk.recorded(), ready, |done, disk| {
        let found = opening(&disk);
        assert!(found.contains(&whole[1]), "after {done}");
        // It is handed in once it is kept: from then on it comes into its place.
        if done >= kept {
            settle(&disk, home, &told.desk, &told.policy).unwrap();
            assert_eq!(opening(&disk), whole, "after {done}");
        }
    });
}

#[test]
fn former_keys_stay_until_they_are_spent_and_are_written_over_then() {
    let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
    let made = make(&disk, home, true, Wrap::Insecure, &random).unwrap();
    let ring = unlock(&disk, home, None).unwrap();
    let mut told = Told::of(&made, ring.attended);
    let mut keys = vec![ring.opening[0].clone()];
    let folder = Folder::of(&disk, home);
    for number in [7, 8, 9] {
        let next = fresh(number);
        rotate::keep_next(&folder, Wrap::Insecure, &next, &keys[0]).unwrap();
        told.office_key(&next);
        settle(&disk, home, &told.desk, &told.policy).unwrap();
        keys.insert(0, next);
    }
    let ids: Vec<_> = keys.iter().map(handover::id).collect();
    assert_eq!(opening(&disk), ids);
    let spent = told.policy.spent_office_keys(&told.desk.office, UnixMicros(u64::MAX));
    assert_eq!(spent, [ids[3], ids[2]], "the present one and the one before are still sealed to");
    let erased = folder.former().unwrap().pop().unwrap();
    let held = disk.open(&folder.path(&erased.name), crate::host::disk::OpenMode::Read).unwrap();
    assert_eq!(pending::destroy(&folder, &spent).unwrap(), 2);
    let mut bytes = [1; 64];
    assert!(
        held.read_at(&mut bytes, 0).is_ok_and(|read| read == 64) && bytes == [0; 64],
        "its bytes are gone"
    );
    assert_eq!(opening(&disk), ids[..2]);
}

#[test]
fn keys_that_were_passed_take_their_places_at_once_or_not_at_all() {
    let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
    disk.record();
    make(&disk, home, true, Wrap::Insecure, &random).unwrap();
    let own = unlock(&disk, home, None).unwrap().opening.remove(0);
    let ready = disk.recorded().len();
    let keys = [fresh(9), fresh(8), own.clone()];
    rotate::install(&Folder::of(&disk, home), Wrap::Insecure, &keys).unwrap();
    let ids: Vec<_> = keys.iter().map(handover::id).collect();
    assert_eq!(opening(&disk), ids);
    let (mut old, mut new) = (0, 0);
    crash::at_every_moment(&disk.recorded(), ready, |done, disk| {
        let found = opening(&disk);
        assert!(found == [ids[2]] || found == ids, "after {done}: {} keys", found.len());
        if found == ids { new += 1 } else { old += 1 }
    });
    assert!(old > 0 && new > 0, "{old}, {new}");
}

#[test]
fn new_signing_keys_come_into_their_places_when_the_directory_holds_them_wherever_that_is_cut_off() {
    let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
    disk.record();
    let made = make(&disk, home, true, Wrap::Insecure, &random).unwrap();
    let mut told = Told::of(&made, unlock(&disk, home, None).unwrap().attended);
    let (path, next) = renew((&disk, home), &told.desk, None, &random, UnixMicros(1)).unwrap();
    let again = renew((&disk, home), &told.desk, None, &random, UnixMicros(2)).unwrap();
    assert_eq!(again, (path.clone(), next.clone()), "what waits is given again");
    let entry = amendment::read(&disk.read(&path, 1 << 20).unwrap().into()).unwrap();
    assert_eq!(entry.signatures.len(), 1, "the registrar's is still to come");
    let asked = entry.entry.facts()[0].clone();
    settle(&disk, home, &told.desk, &told.policy).unwrap();
    let attended = |disk: &MemoryDisk| unlock(disk, home, None).unwrap().attended.verifying_key();
    assert_eq!(attended(&disk), made.keys.attended, "the present ones count");
    let replaces = made.keys.attended.id().0;
    told.rotated(replaces, asked, Some(registrars().into_iter().next().unwrap()));
    let ready = disk.recorded().len();
    settle(&disk, home, &told.desk, &told.policy).unwrap();
    assert_eq!(request(&disk, home).unwrap().unwrap(), next);
    crash::at_every_moment(&disk.recorded(), ready, |done, disk| {
        settle(&disk, home, &told.desk, &told.policy).unwrap();
        assert_eq!(attended(&disk), next.keys.attended, "after {done}");
        assert_eq!(unattended(&disk, home).unwrap().verifying_key(), next.keys.unattended);
        assert_eq!(request(&disk, home).unwrap().unwrap(), next);
    });
}

#[test]
fn what_a_cut_left_of_a_key_locks_nobody_out() {
    let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
    make(&disk, home, true, Wrap::Insecure, &random).unwrap();
    let folder = Folder::of(&disk, home);
    let [earlier, later] = [[1; 32], [2; 32]].map(|id| pending::hex(&id));
    for name in [format!("transfer-next.{earlier}.new"), format!("office-next.{earlier}.new")] {
        folder.write(&name, b"half a k").unwrap();
    }
    folder.write(&format!("office-next.{later}"), b"whole").unwrap();
    assert_eq!(handover::transfer_keys((&disk, home), None).unwrap().len(), 1);
    assert_eq!(pending::suffix(&folder.names().unwrap(), "office-next."), Some(later));
}

#[test]
fn rotation_is_due_in_each_calendar_month_and_not_before() {
    let (disk, home, random) = (MemoryDisk::new(), Path::new("/home"), SeededRandom::new(1));
    let made = make(&disk, home, true, Wrap::Insecure, &random).unwrap();
    // Made at the beginning of 1970.
    let told = Told::of(&made, unlock(&disk, home, None).unwrap().attended);
    let due = |day: u64| rotation_due(&told.policy, &told.desk.office, UnixMicros(day * 86_400_000_000));
    assert_eq!([0, 30, 31, 400].map(due), [false, false, true, true]);
    assert!(!rotation_due(&told.policy, &"two".parse().unwrap(), UnixMicros(u64::MAX)), "it has no key");
}
