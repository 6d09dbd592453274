//! Roots and proofs beside another implementation's, in another language.
//!
//! `tests/proof/setup` fetches it. What is held to it is made by the library out of tiles, and written to a file for it.

#![cfg(test)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use bytes::Bytes;
use resguardo::host::random::{Random as _, SeededRandom};
use resguardo::proof::{Grower, NONCE_BYTES, Nonce, Record, Tile, TiledTree, Tiles, TreeHash};
use serde_json::{Value, json};

/// Leaves of the largest tree.
const LEAVES: u64 = 5000;
/// Of all sizes up to this one, every leaf and every pair is tried.
const EVERY: u64 = 130;

struct Kept(BTreeMap<(u8, u64), Bytes>);

impl Tiles for Kept {
    type Error = Infallible;

    fn tile(&self, tile: Tile) -> Result<Bytes, Infallible> {
        Ok(self.0[&(tile.level(), tile.index())].clone())
    }
}

fn hex(hashes: &[TreeHash]) -> String {
    hashes.iter().map(ToString::to_string).collect()
}

/// A number from 1 up to a bound.
fn up_to(random: &SeededRandom, most: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % most + 1
}

/// What the other implementation is asked about.
fn questions() -> Value {
    let records: Vec<_> =
        (0..LEAVES).map(|index| Record::of(&Nonce([7; NONCE_BYTES]), &index.to_be_bytes())).collect();
    let mut grower = Grower::new();
    for record in &records {
        grower.append(record.leaf());
    }
    let grown = grower.take_finished().into_iter().chain(grower.unfinished());
    let kept = grown.map(|(tile, bytes)| ((tile.level(), tile.index()), bytes));
    let kept = Kept(kept.collect());
    let tiled = |size| TiledTree::new(&kept, size).unwrap();

    let random = SeededRandom::new(6962);
    let sizes: Vec<_> = (0..40).map(|_| up_to(&random, LEAVES)).chain([LEAVES]).collect();
    let (mut roots, mut inclusion, mut consistency) = (Vec::new(), Vec::new(), Vec::new());
    let mut ask = |size: u64, indexes: Vec<u64>, olds: Vec<u64>| {
        let mut tree = tiled(size);
        roots.push(json!([size, tree.root().unwrap().to_string()]));
        for index in indexes {
            inclusion.push(json!([index, size, hex(tree.inclusion(index).unwrap().hashes())]));
        }
        for old in olds {
            consistency.push(json!([old, size, hex(tree.consistency(old).unwrap().hashes())]));
        }
    };
    ask(0, vec![], vec![]);
    (1..=EVERY).for_each(|size| ask(size, (0..size).collect(), (1..=size).collect()));
    for size in sizes {
        let indexes = (0..20).map(|_| up_to(&random, size) - 1).collect();
        ask(size, indexes, vec![up_to(&random, size)]);
    }
    let records: Vec<_> = records.iter().map(|record| TreeHash(record.0).to_string()).collect();
    json!({ "records": records, "roots": roots, "inclusion": inclusion, "consistency": consistency })
}

#[test]
fn roots_and_proofs_are_those_of_an_implementation_in_python() {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pymerkle/venv/bin/python");
    assert!(program.exists(), "run tests/proof/setup first: {} is missing", program.display());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("questions.json");
    fs::write(&file, questions().to_string()).unwrap();
    let mut command = Command::new(program);
    command.args(["-B", "-c", include_str!("agrees.py")]).arg(file);
    let ran = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(ran.status.success());
    let pairs = EVERY * (EVERY + 1) / 2;
    let expected = format!("{} {} {}\n", EVERY + 42, pairs + 41 * 20, pairs + 41);
    assert_eq!(String::from_utf8(ran.stdout).unwrap(), expected);
}
