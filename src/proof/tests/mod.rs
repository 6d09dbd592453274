//! What is told of trees, notes, checkpoints and proofs holds: against others' implementations and published examples, with
//! properties, kept bytes, and each error.

mod bundles;
mod checkpoints;
mod keys;
mod notes;
mod paths;
mod quorums;
mod tiled;
mod trees;

use std::cell::Cell;
use std::collections::BTreeMap;

use bytes::Bytes;
use ct_merkle::RootHash;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

use super::*;
use crate::seal::SigningKey;

/// A tree as another implementation has it, of the leaves that [`record`] gives.
type Other = MemoryBackedTree<Sha256, Vec<u8>>;

/// The record at an index, another for each.
fn record(index: u64) -> Record {
    Record::of(&Nonce([7; NONCE_BYTES]), &index.to_be_bytes())
}

/// The leaf at an index.
fn leaf(index: u64) -> TreeHash {
    record(index).leaf()
}

fn other(size: u64) -> Other {
    let mut tree = Other::new();
    (0..size).for_each(|index| tree.push(record(index).0.to_vec()));
    tree
}

fn head(root: &RootHash<Sha256>) -> TreeHead {
    TreeHead { size: root.num_leaves(), root: TreeHash((*root.as_bytes()).into()) }
}

/// The hashes of another implementation's proof.
fn split(bytes: &[u8]) -> Vec<TreeHash> {
    bytes.as_chunks::<HASH_BYTES>().0.iter().map(|hash| TreeHash(*hash)).collect()
}

/// Numbers that are the same in each run and look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        // Knuth's, of which the upper half is used.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) % end
    }
}

/// Tiles in memory, which count how often one is read.
#[derive(Default)]
struct Kept {
    tiles: BTreeMap<(u8, u64), Bytes>,
    reads: Cell<usize>,
}

impl Kept {
    fn keep(&mut self, tiles: Vec<(Tile, Bytes)>) {
        for (tile, bytes) in tiles {
            assert_eq!(tile.bytes(), bytes.len(), "{tile}");
            self.tiles.insert((tile.level(), tile.index()), bytes);
        }
    }

    /// Those of the first so many leaves.
    fn of(size: u64) -> Self {
        let (mut grower, mut kept) = (Grower::new(), Self::default());
        (0..size).for_each(|index| grower.append(leaf(index)));
        kept.keep(grower.take_finished());
        kept.keep(grower.unfinished().collect());
        kept
    }
}

impl Tiles for Kept {
    type Error = &'static str;

    fn tile(&self, tile: Tile) -> Result<Bytes, &'static str> {
        self.reads.set(self.reads.get() + 1);
        self.tiles.get(&(tile.level(), tile.index())).cloned().ok_or("not there")
    }
}

/// A signing key that is the same in each run.
fn signing(number: u8) -> SigningKey {
    let mut seeds = [number; 64];
    seeds[32..].fill(number.wrapping_add(100));
    SigningKey::from_seeds(&seeds)
}

fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds::new(seconds).unwrap()
}

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn origin() -> Origin {
    "resguardo.example/journal".parse().unwrap()
}

/// A checkpoint of the first so many leaves.
fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint::new(origin(), head(&other(size).root())).unwrap()
}

fn log() -> LogVerifier {
    LogVerifier::new(origin(), &signing(1).verifying_key())
}
