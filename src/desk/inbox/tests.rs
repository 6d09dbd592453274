//! What an inbox promises, crash by crash.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::desk::home::tests::home_on;
use crate::desk::sample::{NOW, delivery, delivery_of, envelope, id, notice, policy, signed, writer};
use crate::host::disk::crash;
use crate::host::disk::{CrashStyle, Disk, MemoryDisk};
use crate::model::epoch::{Begun, Epoch, EpochId, Epochs};
use crate::model::receipt::Stage;
use crate::wire::proto;

fn reopen(disk: &MemoryDisk) -> InboxWriter {
    writer(&Home::open(Arc::new(disk.clone()), Path::new("/home")).unwrap()).unwrap()
}

fn ids(inbox: &Inbox) -> Vec<u64> {
    inbox.entries().unwrap().iter().map(|entry| entry.index.0).collect()
}

#[test]
fn what_was_returned_survives_every_crash_and_nothing_is_half_there() {
    let disk = MemoryDisk::new();
    disk.record();
    let mut writer = writer(&home_on(&disk)).unwrap();
    let ready = disk.recorded().len();
    let frames = [vec![delivery(3), notice(4), delivery(1)], vec![delivery(5)], vec![notice(6), delivery(7)]];
    let mut promised = Vec::new();
    for frame in &frames {
        writer.keep(frame.clone(), NOW, false).unwrap();
        promised.push(disk.recorded().len());
    }
    crash::at_every_moment(&disk.recorded(), ready, |done, disk| {
        let mut writer = reopen(&disk);
        for (frame, _) in frames.iter().zip(&promised).filter(|(_, promised)| **promised <= done) {
            for delivery in frame {
                assert!(known(&writer, delivery.index), "{} is lost after {done} operations", delivery.index);
            }
        }
        // All that has a name is whole.
        for entry in writer.inbox().entries().unwrap() {
            let kept = writer.inbox().read(&entry).unwrap();
            assert_eq!(kept.payload, format!("payload {}", entry.index));
        }
        for index in writer.inbox().notices().unwrap() {
            writer.inbox().read_notice(index).unwrap();
        }
        // All comes again, and is there once.
        for frame in &frames {
            writer.keep(frame.clone(), NOW, false).unwrap();
        }
        assert_eq!(ids(writer.inbox()), [1, 3, 5, 7]);
        assert_eq!(writer.inbox().notices().unwrap(), [(Index(4), EpochId(0)), (Index(6), EpochId(0))]);
        let names = disk.list(Path::new("/home/inbox")).unwrap();
        assert!(names.iter().all(|name| !name.to_string_lossy().ends_with(".new")), "{names:?}");
        // All of it may be acknowledged now: so it outlives a power cut, whichever run wrote it.
        let writer = reopen(&disk.crash(CrashStyle::DropUnsynced));
        assert_eq!(ids(writer.inbox()), [1, 3, 5, 7], "{done} operations, a kill and a power cut");
        assert_eq!(writer.inbox().notices().unwrap(), [(Index(4), EpochId(0)), (Index(6), EpochId(0))]);
    });
}

/// The digest by which a receipt names a message.
fn digest(delivery: &proto::Delivery) -> [u8; 32] {
    let Some(proto::delivery::Content::Message(message)) = &delivery.content else { panic!("a message") };
    SignedEnvelope::read(&message.envelope).unwrap().digest()
}

fn known(writer: &InboxWriter, index: u64) -> bool {
    ids(writer.inbox()).contains(&index)
        || writer.inbox().notices().unwrap().contains(&(Index(index), EpochId(0)))
}

#[test]
fn a_duplicate_is_told_over_restarts_and_inside_a_frame() {
    let disk = MemoryDisk::new();
    let home = home_on(&disk);
    let mut writer = writer(&home).unwrap();
    let outcomes = writer.keep(vec![delivery(2), delivery(2)], NOW, false).unwrap();
    assert!(matches!(&outcomes[0], Outcome::New(kept, _) if kept.entry.index == Index(2)));
    assert!(matches!(&outcomes[1], Outcome::Again { replayed: false, .. }));
    drop(writer);
    let mut writer = reopen(&disk);
    // After a restore of the hub the same message may come at another index: that one is acknowledged.
    let mut moved = delivery(2);
    moved.index = 40;
    let outcomes = writer.keep(vec![moved], NOW, false).unwrap();
    assert!(matches!(&outcomes[0], Outcome::Again { message, .. } if message.index == Index(40)));
    assert_eq!(ids(writer.inbox()), [2]);
}

#[test]
fn a_payload_that_is_not_the_digested_one_is_kept_aside_and_told() {
    let disk = MemoryDisk::new();
    let mut writer = writer(&home_on(&disk)).unwrap();
    let bytes = signed(&envelope(2, "iachr", "ohchr-honduras", b"payload 2"));
    let outcomes = writer.keep(vec![delivery_of(2, bytes, b"payload X")], NOW, false).unwrap();
    let Outcome::Unreadable { message: Some(found), reason, .. } = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(found.message_id, envelope(2, "iachr", "ohchr-honduras", b"").message_id);
    assert!(reason.contains("SHA-256"), "{reason}");
    assert!(writer.inbox().entries().unwrap().is_empty());
    assert_eq!(writer.inbox().asides().unwrap(), [Index(2)]);
    let garbage = writer.keep(vec![delivery_of(3, Bytes::from_static(b"\xff"), b"")], NOW, false).unwrap();
    assert!(matches!(garbage[0], Outcome::Unreadable { message: None, .. }), "{garbage:?}");
    // Whole, it is kept like any other.
    assert!(matches!(writer.keep(vec![delivery(2)], NOW, false).unwrap()[0], Outcome::New(..)));
}

#[test]
fn an_envelope_of_a_later_version_can_still_be_acknowledged_as_unreadable() {
    use prost::Message as _;
    let disk = MemoryDisk::new();
    let mut writer = writer(&home_on(&disk)).unwrap();
    let bytes = signed(&envelope(2, "iachr", "ohchr-honduras", b""));
    let mut around = proto::Signed::decode(bytes).unwrap();
    let mut later = proto::Envelope::decode(around.statement.clone()).unwrap();
    later.message_class = 77;
    around.statement = later.encode_to_vec().into();
    let outcomes = writer.keep(vec![delivery_of(2, around.encode_to_vec().into(), b"")], NOW, false).unwrap();
    assert!(matches!(&outcomes[0], Outcome::Unreadable { message: Some(_), .. }), "{outcomes:?}");
}

#[test]
fn another_message_under_a_kept_id_never_replaces_it() {
    let disk = MemoryDisk::new();
    let mut writer = writer(&home_on(&disk)).unwrap();
    writer.keep(vec![delivery(2)], NOW, false).unwrap();
    let other = delivery_of(9, signed(&envelope(2, "iachr", "ohchr-honduras", b"other")), b"other");
    let outcomes = writer.keep(vec![other], NOW, false).unwrap();
    assert!(matches!(&outcomes[0], Outcome::Unreadable { message: Some(_), .. }), "{outcomes:?}");
    let entries = writer.inbox().entries().unwrap();
    assert_eq!(writer.inbox().read(&entries[0]).unwrap().payload, "payload 2");
}

#[test]
fn a_damaged_file_is_told_not_served_and_mended_when_it_comes_again() {
    let disk = MemoryDisk::new();
    let mut writer = writer(&home_on(&disk)).unwrap();
    writer.keep(vec![delivery(2)], NOW, true).unwrap();
    let entry = writer.inbox().entries().unwrap().remove(0);
    let path = Path::new("/home/inbox").join(entry.file_name(State::Due));
    disk.flip_bit(&path, 60, 3).unwrap();
    assert!(matches!(writer.inbox().read(&entry), Err(StoreError::Damaged { .. })));
    let outcomes = writer.keep(vec![delivery(2)], NOW, false).unwrap();
    assert!(matches!(&outcomes[0], Outcome::Mended { .. }), "{outcomes:?}");
    assert_eq!(writer.inbox().read(&entry).unwrap().payload, "payload 2");
    assert_eq!(writer.inbox().due().unwrap(), [entry]);
}

#[test]
fn a_command_is_due_until_it_succeeded_also_over_crashes() {
    let disk = MemoryDisk::new();
    disk.record();
    let mut writer = writer(&home_on(&disk)).unwrap();
    writer.keep(vec![delivery(1), delivery(2)], NOW, true).unwrap();
    let kept = disk.recorded().len();
    let entries = writer.inbox().due().unwrap();
    writer.inbox().settle_due(&entries[0]).unwrap();
    let settled = disk.recorded().len();
    assert_eq!(writer.inbox().due().unwrap(), entries[1..]);
    crash::at_every_moment(&disk.recorded(), kept, |done, disk| {
        let due = reopen(&disk).inbox().due().unwrap();
        assert!(due.contains(&entries[1]), "a command that never ran is forgotten");
        assert!(done < settled || due.len() == 1, "a command that succeeded would run again");
        assert_eq!(ids(reopen(&disk).inbox()), [1, 2]);
    });
}

#[test]
fn a_notice_is_kept_once() {
    let disk = MemoryDisk::new();
    let mut writer = writer(&home_on(&disk)).unwrap();
    let outcomes = writer.keep(vec![notice(5)], NOW, false).unwrap();
    assert!(matches!(outcomes[0], Outcome::Notice { again: false, .. }));
    let Outcome::Notice { notice: kept, again: true } = &writer.keep(vec![notice(5)], NOW, false).unwrap()[0]
    else {
        panic!("kept twice")
    };
    let Ok(Told::Receipt(receipt)) = &kept.told else { panic!("{kept:?}") };
    assert_eq!(receipt.stage, Stage::Declined);
    assert_eq!(writer.inbox().notices().unwrap(), [(Index(5), EpochId(0))]);
}

#[test]
fn a_second_writer_is_refused() {
    let disk = MemoryDisk::new();
    let home = home_on(&disk);
    let _first = writer(&home).unwrap();
    assert!(matches!(writer(&home).err(), Some(StoreError::InUse { .. })));
}

#[test]
fn a_fault_of_the_disk_acknowledges_nothing() {
    use crate::host::disk::{Fault, FaultPoint};
    for point in [FaultPoint::Write, FaultPoint::Sync, FaultPoint::Name] {
        let disk = MemoryDisk::new();
        let mut writer = writer(&home_on(&disk)).unwrap();
        let error = std::io::ErrorKind::StorageFull;
        disk.inject(Fault { point, after: 0, error, carried_out: false });
        assert!(writer.keep(vec![delivery(1)], NOW, false).is_err(), "{point:?}");
    }
}

#[test]
fn message_that_comes_again_after_a_restore_gets_its_new_place_and_no_old_index_is_taken_for_a_new_one() {
    let at = |number, index| proto::Delivery { index, ..delivery(number) };
    let disk = MemoryDisk::new();
    let home = home_on(&disk);
    let mut writer = writer(&home).unwrap();
    writer.keep(vec![at(1, 5), at(2, 6), notice(7)], NOW, true).unwrap();
    let epoch = Epoch { id: EpochId(0xe), number: 2, backup: NOW };
    let epochs: Epochs = [Begun { epoch, first: Index(6) }].into_iter().collect();
    writer.adopt(epochs);
    // What was kept of the log comes at its index; what was lost at another, where somebody else's stood before.
    let outcomes = writer.keep(vec![at(1, 5), at(3, 6), at(2, 9), notice(7)], NOW, true);
    let again = |index, number| Outcome::Again {
        message: Covered { index: Index(index), message_id: id(number), digest: digest(&delivery(number)) },
        replayed: false,
        files: Vec::new(),
    };
    let outcomes = outcomes.unwrap();
    assert_eq!((&outcomes[0], &outcomes[2]), (&again(5, 1), &again(9, 2)));
    assert!(matches!(&outcomes[1], Outcome::New(kept, _) if kept.entry.index == Index(6)), "{outcomes:?}");
    assert!(
        matches!(outcomes[3], Outcome::Notice { again: false, .. }),
        "another notice than the one before"
    );
    let inbox = Inbox::open(&home).unwrap();
    let places: Vec<_> = inbox.entries().unwrap().iter().map(|it| (it.index.0, it.epoch.0)).collect();
    assert_eq!(places, [(5, 0), (6, 0xe), (9, 0xe)]);
    assert_eq!(inbox.notices().unwrap(), [(Index(7), EpochId(0)), (Index(7), EpochId(0xe))]);
    assert_eq!(inbox.due().unwrap().len(), 3, "a command is due for each as before");
}

fn without_payload(index: u64) -> proto::Delivery {
    let mut delivery = delivery(index);
    let Some(proto::delivery::Content::Message(message)) = &mut delivery.content else { panic!("a message") };
    (message.payload, message.erased) = (Bytes::new(), true);
    delivery
}

/// Whether the disk holds the payload of a message anywhere.
fn holds(disk: &MemoryDisk, index: u64) -> bool {
    let payload = format!("payload {index}");
    let names = disk.list(Path::new("/home/inbox")).unwrap();
    names.iter().any(|name| {
        let bytes = disk.read(&Path::new("/home/inbox").join(name), u64::MAX).unwrap();
        bytes.windows(payload.len()).any(|window| window == payload.as_bytes())
    })
}

#[test]
fn ordered_erasure_leaves_all_but_the_payload_at_every_crash_and_is_ended_by_the_next_try() {
    let disk = MemoryDisk::new();
    disk.record();
    let mut writer = writer(&home_on(&disk)).unwrap();
    writer.keep(vec![delivery(1), delivery(2)], NOW, true).unwrap();
    let before = disk.recorded().len();
    let sender = "iachr".parse().unwrap();
    let erased = writer.erase(&sender, id(1), "a reason").unwrap().unwrap();
    assert_eq!((erased.place.map(|it| it.index), erased.was_kept), (Some(Index(1)), true));
    let ended = disk.recorded().len();
    crash::at_every_moment(&disk.recorded(), before, |done, disk| {
        let mut writer = reopen(&disk);
        assert_eq!(ids(writer.inbox()), [1, 2], "after {done} operations");
        let entries = writer.inbox().entries().unwrap();
        let kept = writer.inbox().read(&entries[0]).unwrap();
        assert!(kept.erased.is_some() || kept.payload == "payload 1", "{kept:?}");
        assert!(done < ended || kept.erased.as_deref() == Some("a reason"));
        writer.erase(&sender, id(1), "a reason").unwrap().unwrap();
        let kept = writer.inbox().read(&entries[0]).unwrap();
        assert_eq!((kept.erased.as_deref(), kept.payload.len()), (Some("a reason"), 0));
        assert!(!holds(&disk, 1) && holds(&disk, 2), "after {done} operations");
        assert_eq!(writer.inbox().due().unwrap().len(), 1, "no command runs for what is erased");
    });
}

#[test]
fn message_that_comes_without_its_payload_takes_nothing_from_who_has_it() {
    let disk = MemoryDisk::new();
    let mut writer = writer(&home_on(&disk)).unwrap();
    let came = writer.keep(vec![delivery(1), without_payload(2)], NOW, false).unwrap();
    assert!(matches!(&came[1], Outcome::Erased { kept: Some(kept), .. } if kept.entry.index == Index(2)));
    // The hub has kept it as long as policy asks; the desk's copy is the desk's.
    let again = writer.keep(vec![without_payload(1), without_payload(2)], NOW, false).unwrap();
    assert!(matches!(&again[0], Outcome::Again { files, .. } if files.is_empty()));
    assert!(matches!(&again[1], Outcome::Erased { kept: None, .. }));
    assert!(holds(&disk, 1));
    let sender = "iachr".parse().unwrap();
    let erased = writer.erase(&sender, id(2), "a reason").unwrap().unwrap();
    assert!(!erased.was_kept);
    let entries = writer.inbox().entries().unwrap();
    assert_eq!(writer.inbox().read(&entries[1]).unwrap().erased.as_deref(), Some("a reason"));
    assert_eq!(writer.erase(&sender, id(9), "never came").unwrap(), None);
    // What is erased here stays so, whatever a hub that lost the order sends.
    writer.keep(vec![delivery(2)], NOW, false).unwrap();
    assert!(!holds(&disk, 2));
}

/// Whether there is one file of each message.
fn files(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.list(Path::new("/home/inbox")).unwrap();
    let ending =
        |name: std::ffi::OsString| Path::new(&name).extension().map(|it| it.to_string_lossy().into());
    names.into_iter().filter_map(ending).collect()
}

#[test]
fn what_the_hub_alone_says_to_be_erased_is_missed_and_taken_when_it_comes_after_all() {
    let disk = MemoryDisk::new();
    let mut writer = writer(&home_on(&disk)).unwrap();
    let mut lie = without_payload(2);
    if let Some(proto::delivery::Content::Message(message)) = &mut lie.content {
        message.payload = Bytes::from_static(b"words of the hub's own");
    }
    let wanted = writer.unordered(&[delivery(1), lie.clone()], NOW).unwrap();
    assert_eq!(wanted, (Index(2), [("iachr".parse().unwrap(), id(2))].into()));
    let came = writer.keep(vec![lie], NOW, true).unwrap();
    let Outcome::Erased { holds: false, kept: Some(kept), .. } = &came[0] else { panic!("{came:?}") };
    assert!(kept.unordered && !kept.is_gone() && kept.payload.is_empty());
    drop(writer);
    let mut writer = reopen(&disk);
    let again = writer.keep(vec![without_payload(2)], NOW, true).unwrap();
    assert!(matches!(again[0], Outcome::Erased { holds: false, kept: None, .. }), "{again:?}");
    let both = writer.keep(vec![without_payload(3), delivery(3)], NOW, true).unwrap();
    assert!(both.iter().all(|it| matches!(it, Outcome::Erased { holds: false, .. })), "{both:?}");
    assert!(matches!(writer.keep(vec![delivery(3)], NOW, false).unwrap()[0], Outcome::New(..)));
    // Another payload than the one that was signed is none.
    let bytes = signed(&envelope(2, "iachr", "ohchr-honduras", b"payload 2"));
    let other = writer.keep(vec![delivery_of(2, bytes, b"payload X")], NOW, true).unwrap();
    assert!(matches!(other[0], Outcome::Unreadable { .. }), "{other:?}");
    let came = writer.keep(vec![delivery(2)], NOW, true).unwrap();
    assert!(matches!(&came[0], Outcome::New(kept, _) if kept.payload == "payload 2"), "{came:?}");
    assert_eq!(writer.inbox().due().unwrap().len(), 1, "its command is due");
    assert!(matches!(writer.keep(vec![delivery(2)], NOW, true).unwrap()[0], Outcome::Again { .. }));
    let disk = disk.crash(CrashStyle::DropUnsynced);
    let kept = reopen(&disk).inbox().clone();
    assert_eq!(kept.read(&kept.entries().unwrap()[0]).unwrap().payload, "payload 2");
    assert!(!files(&disk).contains(&"erased".to_owned()), "{:?}", files(&disk));
}

#[test]
fn an_order_or_the_end_of_what_policy_asks_for_says_more_than_the_hubs_word() {
    let disk = MemoryDisk::new();
    let mut writer = writer(&home_on(&disk)).unwrap();
    let sender = "iachr".parse().unwrap();
    writer.erase(&sender, id(1), "an earlier order").unwrap();
    let three = [without_payload(1), without_payload(2), without_payload(3)].to_vec();
    let came = writer.keep(three.clone(), NOW, false).unwrap();
    let stated = |came: &[Outcome]| -> Vec<bool> {
        came.iter().map(|it| matches!(it, Outcome::Erased { holds: true, .. })).collect()
    };
    assert_eq!(stated(&came), [true, false, false]);
    let erased = writer.erase(&sender, id(2), "a later order").unwrap().unwrap();
    assert!(erased.was_unordered && !erased.was_kept && erased.place.is_some());
    assert_eq!(stated(&writer.keep(three.clone(), NOW, false).unwrap()), [true, true, false]);
    let days = u64::from(policy().retention_days()) * 24 * 60 * 60 * 1_000_000;
    let day_before = UnixMicros(NOW.0 + days - 1);
    assert_eq!(stated(&writer.keep(three.clone(), day_before, false).unwrap()), [true, true, false]);
    let over = UnixMicros(NOW.0 + days);
    assert_eq!(writer.unordered(&three, over), None);
    assert_eq!(stated(&writer.keep(three, over, false).unwrap()), [true; 3]);
    let inbox = writer.inbox();
    let kept = inbox.entries().unwrap().into_iter().map(|entry| inbox.read(&entry).unwrap());
    let said: Vec<_> = kept.map(|it| (it.erased.unwrap(), it.unordered)).collect();
    let said: Vec<_> = said.iter().map(|(why, unordered)| (why.as_str(), *unordered)).collect();
    assert_eq!(said, [("an earlier order", false), ("a later order", false), ("", false)]);
    // What is erased by an order stays so.
    writer.keep(vec![delivery(1), delivery(2)], NOW, false).unwrap();
    assert!(!holds(&disk, 1) && !holds(&disk, 2));
}
