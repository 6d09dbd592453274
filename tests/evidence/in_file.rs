//! Forgeries by who has the file alone.

use bytes::Bytes;
use resguardo::wire::proto;

use crate::forged::Forgery::{self, InBytes, InFile};
use crate::world::Chance;

pub(crate) const FORGERIES: &[(&str, Forgery)] = &[
    (
        "a byte changed",
        InBytes(|it, chance| {
            let at = chance.below(it.len());
            it[at] ^= 1 << chance.below(8);
            true
        }),
    ),
    (
        "bytes cut off",
        InBytes(|it, chance| {
            it.truncate(it.len() - 1 - chance.below(200));
            true
        }),
    ),
    (
        "a field that nobody knows",
        InBytes(|it, _| {
            it.extend([0x3a, 1, 0]);
            true
        }),
    ),
    (
        "another version",
        InFile(|it, _| {
            it.version = 2;
            true
        }),
    ),
    (
        "another time",
        InFile(|it, chance| {
            entry(it, chance).recorded_unix_us += 1;
            true
        }),
    ),
    (
        "another identity",
        InFile(|it, chance| {
            entry(it, chance).identity.push('x');
            true
        }),
    ),
    (
        "another kind",
        InFile(|it, chance| {
            let entry = entry(it, chance);
            entry.kind = if entry.kind == 3 { 6 } else { 3 };
            true
        }),
    ),
    (
        "another nonce",
        InFile(|it, chance| {
            entry(it, chance).nonce = vec![0; 16].into();
            true
        }),
    ),
    (
        "another index",
        InFile(|it, chance| {
            entry(it, chance).index += 1;
            true
        }),
    ),
    (
        "another statement",
        InFile(|it, chance| {
            let entry = entry(it, chance);
            let at = chance.below(entry.statement.len());
            entry.statement = changed(&entry.statement, at);
            true
        }),
    ),
    ("a path cut short", InFile(|it, chance| entry(it, chance).path.pop().is_some())),
    (
        "a path too long",
        InFile(|it, chance| {
            entry(it, chance).path.push(vec![0; 32].into());
            true
        }),
    ),
    (
        "entries exchanged",
        InFile(|it, _| {
            let there = it.entries.len() > 2;
            if there {
                it.entries.swap(1, 2);
            }
            there
        }),
    ),
    (
        "an entry twice",
        InFile(|it, _| {
            it.entries.push(it.entries[it.entries.len() - 1].clone());
            true
        }),
    ),
    (
        "without the message",
        InFile(|it, _| {
            it.entries.remove(0);
            true
        }),
    ),
    (
        "an entry of the directory left out",
        InFile(|it, chance| {
            it.directory.remove(chance.below(it.directory.len()));
            true
        }),
    ),
    ("another cover's place", InFile(|it, chance| cover(it, chance, |it| it.place += 1))),
    ("another salt", InFile(|it, chance| cover(it, chance, |it| it.salt = vec![0; 16].into()))),
    ("a salt of another length", InFile(|it, chance| cover(it, chance, |it| it.salt = vec![0; 15].into()))),
    (
        "a cover of nothing",
        InFile(|it, _| {
            it.entries[0].cover = Some(proto::CoverOpening { place: 0, salt: vec![0; 16].into() });
            true
        }),
    ),
    (
        "the other checkpoint",
        InFile(|it, _| {
            std::mem::swap(&mut it.journal_checkpoint, &mut it.directory_checkpoint);
            true
        }),
    ),
    (
        "no checkpoint of the directory",
        InFile(|it, _| {
            let there = !it.directory_checkpoint.is_empty();
            it.directory_checkpoint = Bytes::new();
            there
        }),
    ),
    (
        "a line of a checkpoint left out",
        InFile(|it, chance| {
            lines(it, chance, |lines, chance| {
                lines.remove(chance.below(lines.len()));
            })
        }),
    ),
    (
        "a line of a checkpoint twice",
        InFile(|it, chance| {
            lines(it, chance, |lines, chance| {
                let line = chance.of(lines).clone();
                lines.push(line);
            })
        }),
    ),
    ("lines in another order", InFile(|it, chance| lines(it, chance, |lines, _| lines.reverse()))),
    (
        "a witness left out",
        InFile(|it, chance| {
            lines(it, chance, |lines, chance| {
                let name = chance.of(lines).split(' ').nth(1).map(str::to_owned);
                lines.retain(|line| line.split(' ').nth(1) != name.as_deref());
            })
        }),
    ),
    (
        "a line of a stranger",
        InFile(|it, chance| {
            lines(it, chance, |lines, _| {
                lines.push("\u{2014} example.org/w AAAAAQAAAAA=\n".into());
            })
        }),
    ),
    (
        "a line changed",
        InFile(|it, chance| {
            lines(it, chance, |lines, chance| {
                let place = chance.below(lines.len());
                let line = &mut lines[place];
                let at = line.len() - 20;
                let other = if line.as_bytes()[at] == b'A' { "B" } else { "A" };
                line.replace_range(at..=at, other);
            })
        }),
    ),
    (
        "another size",
        InFile(|it, _| {
            let text = String::from_utf8(it.journal_checkpoint.to_vec()).expect("it is text");
            let size = text.lines().nth(1).expect("it has a size").to_owned();
            it.journal_checkpoint = text.replacen(&size, &format!("{size}0"), 1).into_bytes().into();
            true
        }),
    ),
    ("a note's key", InFile(|it, _| note(it, |it| it.file_key = vec![0; 16].into()))),
    ("a note's bytes", InFile(|it, _| note(it, |it| it.note = changed(&it.note, it.note.len() - 1)))),
    ("a note of another receipt", InFile(|it, _| note(it, |it| it.receipt_index += 1))),
    ("a note left out", InFile(|it, _| it.notes.pop().is_some())),
];

fn entry<'a>(it: &'a mut proto::Evidence, chance: &Chance) -> &'a mut proto::EvidenceEntry {
    let (directory, count) = (it.directory.len(), it.directory.len() + it.entries.len());
    let place = chance.below(count);
    if place < directory { &mut it.directory[place] } else { &mut it.entries[place - directory] }
}

fn changed(bytes: &Bytes, at: usize) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes.into()
}

fn cover(it: &mut proto::Evidence, chance: &Chance, forge: fn(&mut proto::CoverOpening)) -> bool {
    let mut covers: Vec<_> = it.entries.iter_mut().filter_map(|it| it.cover.as_mut()).collect();
    if covers.is_empty() {
        return false;
    }
    let place = chance.below(covers.len());
    forge(covers[place]);
    true
}

fn note(it: &mut proto::Evidence, change: fn(&mut proto::OpenedNote)) -> bool {
    it.notes.first_mut().map(change).is_some()
}

/// Changes the lines of one of the checkpoints.
fn lines(it: &mut proto::Evidence, chance: &Chance, forge: fn(&mut Vec<String>, &Chance)) -> bool {
    let other = !it.directory_checkpoint.is_empty() && chance.happens(40);
    let note = if other { &mut it.directory_checkpoint } else { &mut it.journal_checkpoint };
    let text = String::from_utf8(note.to_vec()).expect("it is text");
    let (said, signed) = text.split_once("\n\n").expect("it has both parts");
    let mut lines: Vec<_> = signed.split_inclusive('\n').map(str::to_owned).collect();
    forge(&mut lines, chance);
    *note = format!("{said}\n\n{}", lines.concat()).into_bytes().into();
    true
}
