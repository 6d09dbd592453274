//! A journal's folder with up to two segments: what a disk gives back of them, and what somebody who has the disk writes there.
//!
//! The first byte chooses: whether all checksums, which whoever has the disk can make, are made right, and whether the first segment has
//! its end. Whatever can be read is read the same in each way, and again after an opening has mended what a crash left.

use std::path::Path;
use std::sync::Arc;

use crate::segment;
use resguardo::host::disk::{Disk as _, MemoryDisk};
use resguardo::host::tasks::LocalTasks;
use resguardo::journal::{self, JournalError, Options, Reader, SEGMENT_BYTES_MIN};
use resguardo::model::entry::{Batch, BatchName, Entry, EntryKind, Proposal};
use resguardo::model::id::{Index, Position};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

const OPTIONS: Options = Options { segment_bytes: SEGMENT_BYTES_MIN };

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let Some((length, rest)) = rest.split_first_chunk() else { return };
    let (first, second) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
    let (mut chain, ended) = ((choice & 1 != 0).then_some(0), choice & 2 != 0);
    let (disk, dir) = (MemoryDisk::new(), Path::new("/journal"));
    disk.create_dir_all(dir).expect("memory takes it");
    for (number, part) in [first, second].into_iter().enumerate() {
        if number == 0 || !part.is_empty() {
            let file = segment::file(part, chain.as_mut(), ended && number == 0);
            disk.write_atomically(&dir.join(format!("{number:08}.segment")), &file).expect("memory takes it");
        }
    }
    let looked = journal::look(Arc::new(disk.clone()), dir);
    let read = looked.ok().and_then(|reader| read(&reader).ok());
    let runtime = Builder::new_current_thread().build().expect("it asks for nothing");
    LocalSet::new().block_on(&runtime, async { opened(&disk, dir, read) });
}

/// Opens it, which mends; reads it; appends; opens it once more.
fn opened(disk: &MemoryDisk, dir: &Path, looked: Option<Vec<Entry>>) {
    let open = || journal::open(Arc::new(disk.clone()), &LocalTasks, dir, OPTIONS, None);
    let Ok((mut writer, reader, _)) = open() else { return };
    let Ok(entries) = read(&reader) else { return };
    if let Some(looked) = looked {
        assert_eq!(entries, looked);
    }
    let mark = reader.mark();
    // The numbers of a journal that somebody made may be near their ends.
    let appends = mark.next_index.0 < u64::MAX / 2 && mark.position.0 < u64::MAX / 2;
    if appends {
        let proposal = Proposal {
            kind: EntryKind::Clock,
            identity: "hub".into(),
            statement: Vec::new().into(),
            payload: None,
        };
        let name = BatchName { hub: 1, run: 1, number: 1 };
        let batch = Batch { name, time: mark.time, seed: [1; 32], proposals: vec![proposal] };
        if writer.append(&batch).is_err() {
            return;
        }
    }
    drop((writer, reader));
    let (_writer, reader, recovery) = open().expect("it was open a moment ago");
    assert_eq!(recovery.torn, None);
    let again = read(&reader).expect("it was read a moment ago");
    assert_eq!(again.len(), entries.len() + usize::from(appends));
    assert_eq!(again[..entries.len()], entries);
}

/// Reads all entries, in each way. Where all of it holds, each gives the same.
fn read(reader: &Reader) -> Result<Vec<Entry>, JournalError> {
    let mark = reader.mark();
    let verified = journal::verify(reader, &mut |_| {}, &mut |_| {});
    let entries = entries(reader);
    let batches = batches(reader);
    let near = [mark.next_index.0 / 2, mark.next_index.0.saturating_sub(1)].map(|it| reader.entry(Index(it)));
    let marks = [mark.position.0 / 2, mark.position.0].map(|it| reader.mark_at(Position(it)));
    let at = reader.index_at(mark.time);
    let (verified, entries) = (verified?, entries.expect("each frame was verified"));
    assert_eq!((verified.mark, verified.entries), (mark, entries.len() as u64));
    assert_eq!(batches.expect("each frame was verified"), entries);
    assert!(near.into_iter().flatten().flatten().all(|it| it == entries[it.index.0 as usize]));
    assert_eq!(marks.last().and_then(|it| it.as_ref().ok()), Some(&Some(mark)));
    assert!(at.expect("each frame was verified") <= mark.next_index);
    Ok(entries)
}

fn entries(reader: &Reader) -> Result<Vec<Entry>, JournalError> {
    let (mut cursor, mut entries) = (reader.from(Index(0)), Vec::new());
    while let Some(entry) = cursor.next()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn batches(reader: &Reader) -> Result<Vec<Entry>, JournalError> {
    let (mut batches, mut entries) = (reader.batches(Position(0)), Vec::new());
    while let Some(batch) = batches.next()? {
        entries.extend(batch.entries);
    }
    Ok(entries)
}
