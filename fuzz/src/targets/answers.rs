//! What a desk takes from the hub: its signed word for a message, checkpoints, proofs of growth, tiles, the directory, receipts of
//! others, refusals.
//!
//! The first byte chooses. The hub may mean ill: nothing counts but what the seeds' hub, registrars and offices have signed.

use std::convert::Infallible;
use std::sync::LazyLock;

use crate::exchange::{self, id, name, policy, trust};
use bytes::Bytes;
use prost::Message as _;
use resguardo::desk::stated::{Shown, Subject};
use resguardo::model::entry::Entry;
use resguardo::model::epoch::EpochId;
use resguardo::model::id::DirectoryVersion;
use resguardo::model::policy::Policy;
use resguardo::proof::{
    ConsistencyProof, HASH_BYTES, InclusionProof, Tile, TiledTree, Tiles, TreeHash, TreeHead,
};
use resguardo::wire::log::{Log, Recorded, opened, quorum};
use resguardo::wire::promise::check;
use resguardo::wire::status::{CallError, Refused};
use resguardo::wire::{amendment, proto};
use tonic::{Code, Status};

static POLICY: LazyLock<Policy> = LazyLock::new(policy);
/// The head of the seeds' log, and its signed word for an entry.
static HEAD: LazyLock<TreeHead> = LazyLock::new(|| {
    let note = include_bytes!("../../seeds/answers/checkpoint");
    *opened(&POLICY, Log::Journal, &note[1..]).expect("the seed holds").checkpoint().tree()
});

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 7 {
        0 => promise(rest),
        1 => checkpoint(rest),
        2 => tiles(rest),
        3 => paths(rest),
        4 => directory(&Bytes::copy_from_slice(rest)),
        5 => receipts(rest),
        _ => refusal(rest),
    }
}

/// The entry that the seed's word is about.
fn promised() -> Entry {
    exchange::promised().remove(1)
}

fn promise(bytes: &[u8]) {
    let Ok(promise) = proto::Promise::decode(bytes) else { return };
    let entry = promised();
    if check(Some(&promise), &POLICY, EpochId(9), &Recorded::from(&entry)).is_ok() {
        assert_eq!((promise.first, promise.count, &promise.nonce[..]), (1, 3, &entry.nonce[..]));
    }
}

fn checkpoint(bytes: &[u8]) {
    if let Ok(signed) = opened(&POLICY, Log::Journal, bytes) {
        assert_eq!(signed.checkpoint().tree(), &*HEAD);
        let quorum = quorum(&POLICY).expect("there are three offices");
        if let Ok(tally) = quorum.tally(&signed) {
            assert!(tally.cosigned.len() <= 3);
        }
    }
}

/// Tiles that all have the same bytes, or are cut.
struct Same<'a>(&'a [u8]);

impl Tiles for Same<'_> {
    type Error = Infallible;

    fn tile(&self, tile: Tile) -> Result<Bytes, Infallible> {
        let whole = self.0.iter().copied().cycle().take(if self.0.is_empty() { 0 } else { tile.bytes() });
        Ok(whole.skip(self.0.first().is_some_and(|it| *it == 0xff).into()).collect())
    }
}

fn numbers<const COUNT: usize>(bytes: &[u8]) -> Option<([u64; COUNT], &[u8])> {
    let (numbers, rest) = bytes.split_at_checked(COUNT * 8)?;
    let number = |at: usize| numbers[at * 8..at * 8 + 8].try_into().map(u64::from_le_bytes);
    Some((std::array::from_fn(|at| number(at).unwrap_or_default()), rest))
}

fn tiles(bytes: &[u8]) {
    let Some(([size, index, old], rest)) = numbers(bytes) else { return };
    let tiles = Same(rest);
    let Ok(mut tree) = TiledTree::new(&tiles, size) else { return };
    let _ = tree.root().map(|root| assert!(size > 0 || root == TreeHash::EMPTY_ROOT));
    if let (Ok(leaf), Ok(proof)) = (tree.leaf(index), tree.inclusion(index)) {
        assert!(index < size && proof.root(&leaf, index, size).is_ok());
    }
    let _ = tree.consistency(old).map(|_| assert!(old <= size));
}

fn hashes(bytes: &[u8]) -> Vec<TreeHash> {
    bytes.as_chunks::<HASH_BYTES>().0.iter().copied().map(TreeHash).collect()
}

fn paths(bytes: &[u8]) {
    let Some(([size, index, old], rest)) = numbers(bytes) else { return };
    let (leaf, root) = (TreeHash([1; 32]), TreeHash([2; 32]));
    if let Some(proof) = InclusionProof::from_hashes(hashes(rest)) {
        if let Ok(found) = proof.root(&leaf, index, size) {
            assert!(proof.verify(&leaf, index, &TreeHead { size, root: found }).is_ok());
        }
        assert!(proof.verify(&leaf, index, &TreeHead { size, root }).is_err());
    }
    if let Some(proof) = ConsistencyProof::from_hashes(hashes(rest)) {
        let (old, new) = (TreeHead { size: old, root: leaf }, TreeHead { size, root });
        if proof.verify(&old, &new).is_ok() {
            assert_eq!(old.size, 0, "no two roots were chosen for this");
        }
    }
}

fn directory(bytes: &Bytes) {
    if let Ok(policy) = amendment::read_directory(trust(), bytes) {
        assert!(policy.version() <= DirectoryVersion(2));
        let again = amendment::read_directory(trust(), &amendment::directory_bytes(&policy));
        assert_eq!(again.expect("it was one before").head(), policy.head());
    }
}

fn receipts(bytes: &[u8]) {
    let Ok(history) = proto::DescribeMessageResponse::decode(bytes) else { return };
    let subject = Subject { message_id: id(2), digest: None };
    let shown = Shown::of(&POLICY, subject, &history.receipts);
    for row in history.receipts.iter().filter_map(|it| it.stage.as_ref()) {
        let _ = shown.stage(&name("iachr"), row);
    }
    for receipt in shown.receipts() {
        assert!(exchange::offices().any(|it| it == receipt.desk.office.as_str()));
        assert!(receipt.messages.iter().any(|it| it.message_id == id(2)));
    }
}

fn refusal(bytes: &[u8]) {
    let Some((code, details)) = bytes.split_first() else { return };
    let status = Status::with_details(Code::from_i32((*code).into()), "m", Bytes::copy_from_slice(details));
    if let CallError::Refused(refused) = CallError::from(status) {
        let _ = refused.known_reason();
    }
    if let Ok(wire) = proto::Refusal::decode(details) {
        let _ = Refused::from(wire).known_reason();
    }
}
