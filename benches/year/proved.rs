//! Evidence of messages under a year's tree: moved to their places, placed by the tiles, signed and cosigned by the real keys, and
//! verified as a stranger does.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use bytes::Bytes;
use resguardo::evidence::{Entry, Evidence, make, verify};
use resguardo::host::disk::OsDisk;
use resguardo::hub::logs::keeper::given::GivenTiles;
use resguardo::model::id::{Index, UnixMicros};
use resguardo::model::identity::Identity;
use resguardo::proof::{
    Checkpoint, Frontier, KeyName, Note, Origin, Record, TiledTree, TreeHead, UnixSeconds,
};
use resguardo::seal::SigningKey;
use resguardo::wire::amendment;
use resguardo::wire::log::{Log, Recorded, directory_record, key_name};
use resguardo::wire::open_key::OpenKey;
use resguardo::wire::trust::Trust;

use crate::common::hub::DevSet;
use crate::common::latency::Latency;
use crate::common::messages::desk;
use crate::common::stopwatch::Stopwatch;
use crate::rhythm::ENTRIES_A_MESSAGE;

/// When the hub signs, and the first witness; any time after the entries'.
const SIGNED_S: u64 = 2_000_000_000;

/// Evidence of one message at many places.
pub(crate) struct Placed {
    given: Evidence,
    /// Where the message stands in each.
    places: Vec<u64>,
}

/// Who signs and cosigns.
pub(crate) struct Signers {
    hub: SigningKey,
    witnesses: Vec<(KeyName, Arc<SigningKey>)>,
}

/// What verifying took.
pub(crate) struct Verified {
    pub(crate) times: Latency,
    /// Bytes of a file, and hashes of a path: the most.
    pub(crate) file_bytes: usize,
    pub(crate) path_hashes: usize,
    pub(crate) entries: usize,
    pub(crate) directory: usize,
}

impl Placed {
    /// Puts a message with what is about it to so many places of a log of so many entries, after the directory.
    pub(crate) fn new(given: Evidence, count: u64, entries: u64) -> Result<Self> {
        let first = given.directory.last().context("evidence without a directory")?.index.0 + 1;
        let about = given.entries.len() as u64;
        ensure!(
            about == ENTRIES_A_MESSAGE,
            "{about} entries are about a message; {ENTRIES_A_MESSAGE} expected"
        );
        let step = (entries - first) / count;
        ensure!(step >= about, "no room for {count} messages in {entries} entries");
        Ok(Self { given, places: (0..count).map(|number| first + number * step).collect() })
    }

    /// Gives the records of all of them, by their places.
    pub(crate) fn records(&self) -> BTreeMap<u64, Record> {
        let moved = self.places.iter().flat_map(|place| self.moved(*place));
        moved.chain(self.given.directory.clone()).map(|it| (it.index.0, record(&it))).collect()
    }

    fn moved(&self, place: u64) -> Vec<Entry> {
        let after = self.given.directory.last().map_or(UnixMicros(0), |it| it.time);
        let moved = self.given.entries.iter().zip(place..).map(|(entry, index)| Entry {
            index: Index(index),
            time: UnixMicros(entry.time.0.max(after.0)),
            ..entry.clone()
        });
        moved.collect()
    }

    /// Makes the evidence of each place, by the tiles of a log, and verifies it so often.
    pub(crate) fn verify(
        &self,
        tiles: &GivenTiles,
        signers: &Signers,
        (trust, repeats): (Trust, u32),
        watch: Stopwatch,
    ) -> Result<Verified> {
        let head = tiles.head();
        let journal = signers.note(&Log::Journal.origin(&trust.founding), head)?;
        let directory = signers.note(&Log::Directory.origin(&trust.founding), self.directory()?)?;
        let mut verified =
            Verified { times: Latency::new(), file_bytes: 0, path_hashes: 0, entries: 0, directory: 0 };
        for place in &self.places {
            let mut tree = TiledTree::new(tiles, head.size)?;
            let mut placed = |mut entry: Entry| -> Result<Entry> {
                entry.path = tree.inclusion(entry.index.0)?;
                verified.path_hashes = verified.path_hashes.max(entry.path.hashes().len());
                Ok(entry)
            };
            let given = Evidence {
                journal_checkpoint: journal.clone(),
                directory_checkpoint: Some(directory.clone()),
                directory: self.given.directory.iter().cloned().map(&mut placed).collect::<Result<_>>()?,
                entries: self.moved(*place).into_iter().map(&mut placed).collect::<Result<_>>()?,
                notes: Vec::new(),
            };
            (verified.entries, verified.directory) = (given.entries.len(), given.directory.len());
            let (bytes, _) = make(given, trust)?;
            verified.file_bytes = verified.file_bytes.max(bytes.len());
            for _ in 0..repeats {
                let from = watch.ns();
                let proved = verify(&bytes, trust)?;
                verified.times.record_ns(watch.ns() - from);
                ensure!(proved.is_witnessed(), "evidence of entry {place} is not witnessed");
                ensure!(proved.published.index.0 == *place, "evidence of another entry than {place}");
            }
        }
        Ok(verified)
    }

    /// The directory's own tree.
    fn directory(&self) -> Result<TreeHead> {
        let mut tree = Frontier::new();
        for entry in &self.given.directory {
            let read = amendment::read(&entry.statement).map_err(|refusal| anyhow!(refusal.message))?;
            tree.append(directory_record(&amendment::bytes(&read)).leaf());
        }
        Ok(TreeHead { size: tree.size(), root: tree.root() })
    }
}

fn record(entry: &Entry) -> Record {
    let Entry { index, time, kind, identity, statement, nonce, .. } = entry;
    let recorded =
        Recorded { index: *index, time: *time, kind: *kind, identity, statement: statement.clone() };
    recorded.record(nonce)
}

impl Signers {
    /// Takes the keys of a set's hub, and of some offices' desks.
    pub(crate) fn of(dev: &DevSet, offices: &[String]) -> Result<Self> {
        let hub = OpenKey::Hub.read(&OsDisk, &dev.hub_home())?.context("the hub has no key")?;
        let witness = |office: &String| -> Result<_> {
            let identity: Identity = desk(office).parse().map_err(|_| anyhow!("{office} has no desk"))?;
            Ok((key_name(&identity), dev.unattended(office)?))
        };
        Ok(Self { hub, witnesses: offices.iter().map(witness).collect::<Result<_>>()? })
    }

    /// Signs a tree, and has all cosign it.
    pub(crate) fn note(&self, origin: &Origin, head: TreeHead) -> Result<Bytes> {
        Ok(self.cosigned(origin, head)?.to_string().into_bytes().into())
    }

    /// The same, and the bytes of the checkpoint before anybody cosigned, and of it after all did.
    pub(crate) fn sizes(&self, origin: &Origin, head: TreeHead) -> Result<[usize; 2]> {
        let signed = Checkpoint::new(origin.clone(), head)?.sign(&self.hub, at(0)?);
        Ok([signed.to_string().len(), self.note(origin, head)?.len()])
    }

    fn cosigned(&self, origin: &Origin, head: TreeHead) -> Result<Note> {
        let checkpoint = Checkpoint::new(origin.clone(), head)?;
        let mut note = checkpoint.sign(&self.hub, at(0)?);
        for ((name, key), second) in self.witnesses.iter().zip(1..) {
            for line in checkpoint.cosign(name, key, at(second)?) {
                ensure!(note.add(line)?, "a witness cosigned twice");
            }
        }
        Ok(note)
    }
}

fn at(seconds: u64) -> Result<UnixSeconds> {
    UnixSeconds::new(SIGNED_S + seconds).context("a time")
}
