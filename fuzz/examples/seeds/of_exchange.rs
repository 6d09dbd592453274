//! Evidence, exports, entries and segments: of one small exchange.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use resguardo::evidence::export::{EXPORT_MAGIC, Frame, Frames};
use resguardo::evidence::{Evidence, Note};
use resguardo::host::disk::{Disk as _, MemoryDisk};
use resguardo::host::tasks::LocalTasks;
use resguardo::journal::{self, Options, SEGMENT_BYTES_MIN};
use resguardo::model::clock::ClockRecord;
use resguardo::model::entry::{Batch, BatchName, EntryKind, Proposal};
use resguardo::model::epoch::{Begun, Epoch, EpochId};
use resguardo::model::id::{Index, UnixMicros};
use resguardo::model::obligation::Month;
use resguardo::model::overdue::{Missed, Overdue};
use resguardo::model::receipt::{Covered, Receipt, SEED_BYTES};
use resguardo::seal::FileKey;
use resguardo::wire::reseal::{ResealAnswer, ResealContent};
use resguardo::wire::signed::SignedReceipt;
use resguardo::wire::{convert, proto};
use resguardo_fuzz::exchange::{ABOUT, Exchange, MESSAGE, NOW, OTHER, desk, id, keys, name};
use resguardo_fuzz::{hub, segment};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::{Result, Write};

/// Of `evidence`, `exported` and `colluding`.
pub fn files(write: &Write<'_>) -> Result<()> {
    let Exchange { entries, notes } = Exchange::happened();
    let whole = hub::evidence_of(&entries, &notes, &ABOUT);
    write("evidence", "whole", &whole.to_bytes())?;
    let mut part = whole.clone();
    part.entries.truncate(3);
    part.notes.clear();
    part.directory_checkpoint = None;
    write("evidence", "part", &part.to_bytes())?;
    let whole = hub::export_of(&entries, 0, entries.len() as u64, &[]);
    write("exported", "whole", &whole)?;
    write("exported", "part", &hub::export_of(&entries, 2, 10, &[7]))?;

    // Under no checkpoints: whoever runs it makes them.
    let of_hub = |notes: &[Note], about: &[u64]| Evidence {
        journal_checkpoint: Bytes::new(),
        directory_checkpoint: None,
        ..hub::evidence_of(&entries, notes, about)
    };
    write("colluding", "evidence", &[&[6], &of_hub(&notes, &ABOUT).to_bytes()[..]].concat())?;
    write("colluding", "other", &[&[4], &of_hub(&[], &[OTHER.0, 4]).to_bytes()[..]].concat())?;
    let mut frames = Frames::of(&whole[..])?;
    let mut of_hub = EXPORT_MAGIC.to_vec();
    while let Some(mut frame) = frames.frame()? {
        if let Frame::Head(head) = &mut frame {
            (head.journal_checkpoint, head.directory_checkpoint) = (Bytes::new(), None);
        }
        of_hub.extend(frame.to_bytes());
    }
    write("colluding", "export", &[&[7], &of_hub[..]].concat())
}

/// Of `entry`.
pub fn entries(write: &Write<'_>) -> Result<()> {
    let write = |choice: u8, name: &str, bytes: &[u8]| write("entry", name, &[&[choice], bytes].concat());
    let entries = Exchange::happened().entries;
    write(0, "overdue", &entries[8].statement)?;
    let month = Missed::Month { obligation: name("analyses"), month: Month::of(NOW) };
    let owed = Overdue { office: name("iachr"), due: NOW, missed: month };
    write(0, "month", &convert::overdue_bytes(&owed))?;
    let clock = ClockRecord::Suspended { expected: NOW, found: UnixMicros(1) };
    write(1, "clock", &convert::clock_bytes(&clock))?;
    write(2, "order", &entries[9].statement)?;
    write(2, "retention", &entries[10].statement)?;
    let answer = proto::RenewalAnswer {
        identity: desk("iachr").to_string(),
        request_digest: vec![3; 32].into(),
        refusal: "who is this?".into(),
        ..Default::default()
    };
    let record = proto::renewal_record::Record::Answer(answer);
    write(3, "renewal", &proto::RenewalRecord { record: Some(record) }.encode_to_vec())?;
    let epoch = Epoch { id: EpochId(7), number: 1, backup: NOW };
    write(4, "epoch", &convert::epoch_bytes(&Begun { epoch, first: Index(3) }))?;
    let why = "the disk was lost".to_owned();
    write(5, "asked", &ResealContent::Request { why }.to_bytes())?;
    let keys_of = [[1; 16], [2; 16]].iter().map(FileKey::from_bytes).collect();
    let answer = ResealAnswer { request: id(3), request_digest: [4; 32], keys: keys_of };
    write(5, "answered", &ResealContent::Answer(answer).to_bytes())?;
    let covered = |index: Index, digest| Covered { index, message_id: id(index.0 as u8), digest };
    let messages = vec![covered(OTHER, [5; 32]), covered(MESSAGE, [6; 32])];
    let received = Receipt::received(desk("iachr"), messages, NOW);
    let receipt = SignedReceipt::by(&keys("iachr")[1], received, [4; SEED_BYTES]);
    write(6, "receipt", &receipt.signed.to_bytes())?;
    write(7, "signed", &receipt.signed.to_bytes())
}

/// Of `journal`.
pub fn journal(write: &Write<'_>) -> Result<()> {
    let runtime = Builder::new_current_thread().build()?;
    let [full, last, alone] = LocalSet::new().block_on(&runtime, async { segments() })?;
    let part = |file: &[u8], ended: bool| {
        let used = file[..segment::BYTES - 80].iter().rposition(|it| *it != 0).map_or(4_096, |it| it + 1);
        let end = if ended { &file[segment::BYTES - 80..] } else { &[] };
        [&file[..segment::FIELDS], &file[4_096..used.next_multiple_of(16)], end].concat()
    };
    for (name, mended) in [("read", 0), ("mended", 1)] {
        let (first, second) = (part(&full, true), part(&last, false));
        let length = (first.len() as u16).to_le_bytes();
        write("journal", &format!("{name}-two"), &[&[mended | 2], &length[..], &first, &second].concat())?;
        let alone = part(&alone, false);
        let length = (alone.len() as u16).to_le_bytes();
        write("journal", &format!("{name}-one"), &[&[mended], &length[..], &alone].concat())?;
    }
    Ok(())
}

/// A full segment and the one after it; the segment of another journal, which was closed.
fn segments() -> Result<[Vec<u8>; 3]> {
    let proposal = |statement: &'static [u8], payload: usize| Proposal {
        kind: if payload > 0 { EntryKind::Publish } else { EntryKind::Receipt },
        identity: desk("iachr").to_string(),
        statement: Bytes::from_static(statement),
        payload: (payload > 0).then(|| vec![9; payload].into()),
    };
    let batch = |number, proposals| {
        let name = BatchName { hub: 3, run: 2, number };
        Batch { name, time: UnixMicros(NOW.0 + number), seed: [7; 32], proposals }
    };
    let options = Options { segment_bytes: SEGMENT_BYTES_MIN };
    let (disk, dir) = (MemoryDisk::new(), Path::new("/journal"));
    journal::create(&disk, dir, *b"journal of seeds", options)?;
    let open = || journal::open(Arc::new(disk.clone()), &LocalTasks, dir, options, None);
    let (mut writer, _, _) = open()?;
    writer.append(&batch(0, vec![proposal(b"one", 5), proposal(b"two", 0)]))?;
    writer.close()?;
    let read = |number: u32| disk.read(&dir.join(format!("{number:08}.segment")), u64::MAX);
    let alone = read(0)?;
    let (mut writer, _, _) = open()?;
    writer.append(&batch(1, vec![proposal(b"fills", 11_000)]))?;
    writer.append(&batch(2, vec![proposal(b"next", 1_000)]))?;
    writer.append(&batch(3, vec![proposal(b"last", 0)]))?;
    Ok([read(0)?, read(1)?, alone])
}
