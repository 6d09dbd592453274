//! The logs of a hub on a disk in memory: grown, cut at every moment, damaged, and shown another journal.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::check::{Held, check, rebuild};
use super::keeper::{Keeper, LogError};
use super::rounds::Rounds;
use super::source::Source;
use super::{Signed, dir_of, founding};
use crate::host::disk::crash::at_every_moment;
use crate::host::disk::{Disk, MemoryDisk};
use crate::host::tasks::LocalTasks;
use crate::journal::{self, Options, Reader, SEGMENT_BYTES_MIN, Writer};
use crate::model::entry::{Batch, BatchName, EntryKind, Proposal};
use crate::model::fact::Fact;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::policy::Policy;
use crate::model::policy::tests::{registrar_facts, registrars, signed};
use crate::proof::{Frontier, LogVerifier, Origin, Tile, TiledTree, Tiles as _, TreeHead, UnixSeconds};
use crate::seal::SigningKey;
use crate::wire::log::{Log, Recorded};

const JOURNAL: &str = "/home/journal";
const LOGS: &str = "/home/logs";
const OPTIONS: Options = Options { segment_bytes: 64 * SEGMENT_BYTES_MIN };

fn key() -> SigningKey {
    SigningKey::generate(|seeds| seeds.fill(7))
}

fn origin() -> Origin {
    Log::Journal.origin(&founding(&policy()))
}

/// A directory that names the hub's key.
fn policy() -> Policy {
    let institutions = ["iachr", "ohchr"].map(|name| name.parse::<Name>().unwrap());
    let mut facts: Vec<_> = institutions.clone().map(Fact::Institution).into();
    facts.extend(registrar_facts(institutions));
    facts.push(Fact::HubKey { key: key().verifying_key() });
    let mut policy = Policy::default();
    let founding = signed(&policy, facts, &registrars());
    policy.amend(&founding).unwrap();
    policy
}

fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(seconds).unwrap()
}

/// Where the journal's own task may be.
fn local(test: impl FnOnce()) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async { test() });
}

/// A journal, and where it lies.
struct Kept {
    disk: MemoryDisk,
    writer: Writer,
    reader: Reader,
    batches: u64,
}

impl Kept {
    fn new() -> Self {
        Self::on(MemoryDisk::new())
    }

    fn on(disk: MemoryDisk) -> Self {
        journal::create(&disk, Path::new(JOURNAL), [3; 16], OPTIONS).unwrap();
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let opened = journal::open(shared, &LocalTasks, Path::new(JOURNAL), OPTIONS, None).unwrap();
        Self { disk, writer: opened.0, reader: opened.1, batches: 0 }
    }

    /// Appends so many entries; `word` is what they say.
    fn append(&mut self, count: usize, word: &str) {
        for from in (0..count).step_by(5_000) {
            self.append_batch(from..count.min(from + 5_000), word);
        }
    }

    fn append_batch(&mut self, numbers: Range<usize>, word: &str) {
        let proposal = |number: usize| Proposal {
            kind: EntryKind::Summary,
            identity: "urn:resguardo:hub:test".into(),
            statement: Bytes::from(format!("{word} {number}")),
            payload: None,
        };
        let name = BatchName { hub: 1, run: 1, number: self.batches };
        let (time, seed) = (UnixMicros(self.batches), [5; 32]);
        let proposals = numbers.map(proposal).collect();
        self.writer.append(&Batch { name, time, seed, proposals }).unwrap();
        self.batches += 1;
    }

    fn keeper(&self) -> Result<Keeper, LogError> {
        opened(&self.disk, &self.reader)
    }

    /// The root of the first entries, worked out by somebody else.
    fn root(&self, size: u64) -> Frontier {
        let (mut tree, mut cursor) = (Frontier::new(), self.reader.from(Index(0)));
        for _ in 0..size {
            let entry = cursor.next().unwrap().unwrap();
            tree.append(Recorded::from(&entry).record(&entry.nonce).leaf());
        }
        tree
    }
}

fn opened(disk: &MemoryDisk, reader: &Reader) -> Result<Keeper, LogError> {
    let (dir, disk) = (dir_of(Path::new(LOGS), Log::Journal), Arc::new(disk.clone()));
    disk.create_dir_all(&dir).unwrap();
    Keeper::open(Source::of_journal(reader.clone()), origin(), disk, &dir, &mut |_| ())
}

fn head(signed: &Signed) -> (u64, String) {
    let opened = LogVerifier::new(origin(), &key().verifying_key()).open(&signed.note).unwrap();
    let tree = opened.checkpoint().tree();
    assert_eq!(*tree, signed.tree.head);
    (tree.size, tree.root.to_string())
}

fn reader_on(disk: &MemoryDisk) -> Reader {
    journal::open(Arc::new(disk.clone()), &LocalTasks, Path::new(JOURNAL), OPTIONS, None).unwrap().1
}

#[test]
fn a_checkpoint_covers_all_entries_and_one_size_is_signed_once() {
    local(|| {
        let mut kept = Kept::new();
        let mut keeper = kept.keeper().unwrap();
        for (count, size) in [(1, 1), (3, 4), (300, 304), (208, 512), (70_000 - 512, 70_000), (1, 70_001)] {
            kept.append(count, "entry");
            assert!(keeper.is_behind());
            let signed = Arc::clone(keeper.sign(&key(), at(1)).unwrap());
            assert_eq!(head(&signed), (size, kept.root(size).root().to_string()));
            let again = Arc::clone(keeper.sign(&key(), at(2)).unwrap());
            assert!(again.note == signed.note && !keeper.is_behind(), "{size} was signed twice");
            // A start goes on from the tiles, with the very note that was shown.
            keeper = kept.keeper().unwrap();
            assert_eq!(keeper.signed().unwrap().note, signed.note);
            assert_eq!(keeper.sign(&key(), at(3)).unwrap().note, signed.note);
        }
        // What was signed before is proved from what is there now.
        let tree = &keeper.signed().unwrap().tree;
        for (old, new) in [(1, 4), (304, 70_000), (512, 513), (513, 70_001)] {
            let (before, after) = (kept.root(old), kept.root(new));
            let heads =
                [(old, before.root()), (new, after.root())].map(|(size, root)| TreeHead { size, root });
            let proof = TiledTree::new(tree, new).unwrap().consistency(old).unwrap();
            proof.verify(&heads[0], &heads[1]).unwrap();
            let leaf = TiledTree::new(tree, new).unwrap().leaf(old - 1).unwrap();
            let path = TiledTree::new(tree, new).unwrap().inclusion(old - 1).unwrap();
            path.verify(&leaf, old - 1, &heads[1]).unwrap();
        }
    });
}

#[test]
fn a_crash_at_any_moment_leaves_no_second_tree_of_a_size_that_was_signed() {
    local(|| {
        let disk = MemoryDisk::new();
        disk.record();
        let mut kept = Kept::on(disk);
        kept.append(250, "entry");
        let begun = kept.disk.recorded().len();
        let mut shown = Vec::new();
        let mut keeper = kept.keeper().unwrap();
        for count in [3, 4, 300] {
            kept.append(count, "entry");
            let signed = Arc::clone(keeper.sign(&key(), at(1)).unwrap());
            shown.push((kept.disk.recorded().len(), signed.tree.head, signed.note.clone()));
        }
        at_every_moment(&kept.disk.recorded(), begun, |done, disk| {
            let reader = reader_on(&disk);
            let mut keeper = opened(&disk, &reader).unwrap();
            let last = shown.iter().rfind(|(by, _, _)| *by <= done);
            if let Some((_, head, note)) = last {
                let there = keeper.signed().expect("what was shown is there").tree.head;
                assert!(there.size >= head.size, "{done}");
                assert!(there.size > head.size || keeper.signed().unwrap().note == *note, "{done}");
            }
            let before = keeper.signed().map(|signed| (signed.tree.head, signed.note.clone()));
            let signed = keeper.sign(&key(), at(9)).unwrap();
            if let Some((head, note)) = before {
                assert!(signed.tree.head.size > head.size || signed.note == note, "{done}");
            }
        });
    });
}

#[test]
fn tiles_that_are_lost_or_damaged_are_made_again_and_a_check_finds_each() {
    local(|| {
        let mut kept = Kept::new();
        kept.append(1, "entry");
        kept.append(66_000, "entry");
        let mut keeper = kept.keeper().unwrap();
        let signed = Arc::clone(keeper.sign(&key(), at(1)).unwrap());
        let (dir, policy) = (dir_of(Path::new(LOGS), Log::Journal), Arc::new(policy()));
        let disk: Arc<dyn Disk> = Arc::new(kept.disk.clone());
        let held = Held { disk: &disk, dir: Path::new(LOGS), reader: &kept.reader, policy };
        let whole = checked(&held);
        assert_eq!(whole.as_ref().map(|it| (it.entries, it.tiles)), Ok((66_001, 2 * 257 + 1)));
        for path in ["tile/0/000", "tile/0/x000/256", "tile/0/256", "tile/1/000", "tile/entries/017"] {
            let path = dir.join(path);
            if kept.disk.flip_bit(&path, 40, 3).is_err() {
                continue;
            }
            let found = checked(&held).unwrap_err();
            assert!(found.contains(path.to_str().unwrap()), "{found}");
            rebuild_as(&held).unwrap();
            assert_eq!(checked(&held), whole);
            kept.disk.remove(&path).unwrap();
            assert!(checked(&held).is_err(), "{} is missing", path.display());
            // A running hub makes it again by itself, and goes on with the same checkpoint.
            let again = kept.keeper().unwrap();
            assert_eq!(again.signed().unwrap().note, signed.note);
            rebuild_as(&held).unwrap();
            assert_eq!(checked(&held), whole);
        }
        kept.disk.flip_bit(&dir.join("checkpoint"), 90, 0).unwrap();
        assert!(checked(&held).is_err());
    });
}

fn checked(held: &Held<'_>) -> Result<super::check::CheckedLog, String> {
    check(held, Log::Journal).map_err(|error| error.to_string())
}

fn rebuild_as(held: &Held<'_>) -> Result<u64, LogError> {
    rebuild(held, Log::Journal)
}

#[test]
fn entries_that_are_gone_or_changed_after_they_were_signed_are_never_signed_again() {
    local(|| {
        let mut kept = Kept::new();
        kept.append(700, "entry");
        kept.keeper().unwrap().sign(&key(), at(1)).unwrap();
        for (entries, word) in [(699, "entry"), (700, "other"), (900, "other")] {
            let mut other = Kept::new();
            other.append(entries, word);
            let dir = dir_of(Path::new(LOGS), Log::Journal);
            other.disk.create_dir_all(&dir).unwrap();
            let note = kept.disk.read(&dir.join("checkpoint"), 1 << 20).unwrap();
            other.disk.write_atomically(&dir.join("checkpoint"), &note).unwrap();
            let Err(error) = other.keeper() else {
                panic!("{entries} of {word:?} were taken for those that were signed")
            };
            assert!(matches!(error, LogError::Disagrees { .. }), "{error}");
        }
    });
}

#[test]
fn rounds_keep_what_was_cosigned_for_ever_and_what_was_not_for_a_while() {
    local(|| {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let dir = Path::new("/home/logs/journal");
        let mut rounds = Rounds::open(Arc::clone(&disk), dir).unwrap();
        assert_eq!((rounds.newest(), rounds.witnessed()), (None, None));
        for size in 1..=100 {
            rounds.keep(size, b"note", false).unwrap();
            if size % 10 == 0 {
                rounds.keep(size, b"note, cosigned", true).unwrap();
            }
        }
        for rounds in [&rounds, &Rounds::open(disk, dir).unwrap()] {
            assert_eq!((rounds.newest(), rounds.witnessed()), (Some(100), Some(100)));
            assert_eq!(
                [0, 9, 10, 99, 100].map(|index| rounds.witnessing(index)),
                [Some(10), Some(10), Some(20), Some(100), None]
            );
            assert_eq!(rounds.note(10).unwrap().unwrap(), "note, cosigned".as_bytes());
            assert_eq!(rounds.note(99).unwrap().unwrap(), "note".as_bytes());
            assert_eq!((rounds.note(3).unwrap(), rounds.note(101).unwrap()), (None, None));
        }
    });
}

#[test]
fn an_unfinished_tile_is_given_as_wide_as_it_is() {
    local(|| {
        let mut kept = Kept::new();
        kept.append(300, "entry");
        let mut keeper = kept.keeper().unwrap();
        let signed = Arc::clone(keeper.sign(&key(), at(1)).unwrap());
        for (tile, width) in [((0, 0, 256), 256), ((0, 1, 44), 44), ((0, 1, 9), 44), ((1, 0, 1), 1)] {
            let bytes = signed.tree.tile(Tile::new(tile.0, tile.1, tile.2).unwrap()).unwrap();
            assert_eq!(bytes.len(), width * 32, "{tile:?}");
        }
    });
}

#[test]
fn a_damaged_tile_gives_no_proof_that_would_accuse_the_hub() {
    local(|| {
        let mut kept = Kept::new();
        kept.append(66_000, "entry");
        let mut keeper = kept.keeper().unwrap();
        let signed = Arc::clone(keeper.sign(&key(), at(1)).unwrap());
        let dir = dir_of(Path::new(LOGS), Log::Journal);
        let size = signed.tree.head.size;
        assert!(signed.first(size).unwrap().inclusion(300).is_ok());
        assert!(signed.first(size).unwrap().consistency(300).is_ok());
        // The lowest tile has the leaf and its neighbours, the one above the root of the tile beside that.
        for (tile, byte) in [("tile/0/001", 44 * 32), ("tile/1/000", 5)] {
            let path = dir.join(tile);
            kept.disk.flip_bit(&path, byte, 3).unwrap();
            let inclusion = signed.first(size).and_then(|mut first| first.inclusion(300));
            let consistency = signed.first(size).and_then(|mut first| first.consistency(301));
            for damaged in [inclusion.map(|_| ()), consistency.map(|_| ())] {
                let told = damaged.unwrap_err().to_string();
                assert!(told.contains("damaged") && told.contains("hub rebuild"), "{tile}: {told}");
            }
            kept.disk.flip_bit(&path, byte, 3).unwrap();
        }
        assert!(signed.first(size).unwrap().inclusion(300).is_ok());
    });
}
