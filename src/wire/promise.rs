//! The hub's signed word with which it answers a publish: the entry is on its disk, at this index, at this time.
//!
//! Owns what is signed: once for all entries that came to the disk together, so that it costs a publish some hashes. It holds
//! until a checkpoint covers the entry; whoever has it can prove to others that the hub took what it later left out. Signed by
//! Ed25519 alone, for it is needed for minutes: checkpoints bear both algorithms. Format: `docs/protocol.md`.

use bytes::Bytes;

use super::log::Recorded;
use super::proto;
use crate::model::entry::{Entry, NONCE_BYTES};
use crate::model::epoch::EpochId;
use crate::model::id::Index;
use crate::model::policy::Policy;
use crate::proof::{BatchTree, HASH_BYTES, InclusionProof, TreeHash, TreeHead};
use crate::seal::{Algorithm, Plain, SigningKey};

/// Begins what is signed.
const DOMAIN: &[u8] = b"resguardo promise v1\n";

/// Entries that came to the disk together, signed.
#[derive(Debug)]
pub struct Promised {
    first: Index,
    tree: BatchTree,
    nonces: Vec<[u8; NONCE_BYTES]>,
    signature: Bytes,
}

/// Why an answer does not bind the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromiseError {
    /// The hub did not sign it.
    #[error("the hub's answer bears no signature")]
    Missing,
    /// It has another form, or is about another entry.
    #[error("the hub's signature is not about this message")]
    Other,
    /// No key of the hub's has signed it.
    #[error("the signature of the hub's answer does not hold")]
    Signature,
}

impl Promised {
    /// Signs entries that stand behind each other in a journal and are on its disk; `None` for none.
    pub fn sign(key: &SigningKey, founding: &[u8; 32], epoch: EpochId, entries: &[Entry]) -> Option<Self> {
        let first = entries.first()?.index;
        let leaf = |entry: &Entry| Recorded::from(entry).record(&entry.nonce).leaf();
        let tree = BatchTree::over(entries.iter().map(leaf).collect());
        let text = signed_bytes(founding, epoch, first, &TreeHead { size: tree.size(), root: tree.root() });
        let plain = Plain::of(&text).expect("it begins with its own domain");
        let signature = key.sign_plain(Algorithm::Ed25519, plain).into();
        Some(Self { first, tree, nonces: entries.iter().map(|entry| entry.nonce).collect(), signature })
    }

    /// Gives the word for one of them.
    pub fn of(&self, index: Index) -> Option<proto::Promise> {
        let place = usize::try_from(index.0.checked_sub(self.first.0)?).ok()?;
        let path = self.tree.inclusion(place)?;
        Some(proto::Promise {
            nonce: Bytes::copy_from_slice(self.nonces.get(place)?),
            first: self.first.0,
            count: self.tree.size(),
            path: path.hashes().iter().map(|hash| Bytes::copy_from_slice(&hash.0)).collect(),
            signature: self.signature.clone(),
        })
    }
}

/// Holds the hub's word to the entry that it is to be about, and to the keys that the directory names.
///
/// # Errors
/// [`PromiseError`]
pub fn check(
    promise: Option<&proto::Promise>,
    policy: &Policy,
    epoch: EpochId,
    recorded: &Recorded<'_>,
) -> Result<(), PromiseError> {
    let promise = promise.ok_or(PromiseError::Missing)?;
    let tree = tree_of(promise, recorded).ok_or(PromiseError::Other)?;
    let founding = policy.entries().first().map_or([0; 32], |entry| entry.digest());
    let text = signed_bytes(&founding, epoch, Index(promise.first), &tree);
    let plain = Plain::of(&text).expect("it begins with its own domain");
    let holds = policy
        .hub_keys()
        .iter()
        .rev()
        .any(|key| key.half(Algorithm::Ed25519).verify(plain, &promise.signature).is_ok());
    if holds { Ok(()) } else { Err(PromiseError::Signature) }
}

/// The tree that a word is over, if the entry is in it.
fn tree_of(promise: &proto::Promise, recorded: &Recorded<'_>) -> Option<TreeHead> {
    let nonce = <[u8; NONCE_BYTES]>::try_from(promise.nonce.as_ref()).ok()?;
    let hash = |bytes: &Bytes| <[u8; HASH_BYTES]>::try_from(bytes.as_ref()).ok().map(TreeHash);
    let path = InclusionProof::from_hashes(promise.path.iter().map(hash).collect::<Option<_>>()?)?;
    let place = recorded.index.0.checked_sub(promise.first)?;
    let root = path.root(&recorded.record(&nonce).leaf(), place, promise.count).ok()?;
    Some(TreeHead { size: promise.count, root })
}

fn signed_bytes(founding: &[u8; 32], epoch: EpochId, first: Index, tree: &TreeHead) -> Vec<u8> {
    let numbers = [epoch.0, first.0, tree.size].map(u64::to_le_bytes).concat();
    [DOMAIN, founding, &numbers, &tree.root.0].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::entry::{EntryKind, Payload};
    use crate::model::fact::Fact;
    use crate::model::id::UnixMicros;
    use crate::model::identity::Name;
    use crate::model::policy::tests::{key, registrar_facts, registrars, signed};

    const EPOCH: EpochId = EpochId(9);

    /// A directory that names these keys of the hub's, one after the other.
    fn policy(keys: &[u8]) -> Policy {
        let institutions = ["iachr", "ohchr"].map(|name| name.parse::<Name>().unwrap());
        let mut facts: Vec<_> = institutions.clone().map(Fact::Institution).into();
        facts.extend(registrar_facts(institutions));
        let mut policy = Policy::default();
        policy.amend(&signed(&policy, facts, &registrars())).unwrap();
        for number in keys {
            let fact = Fact::HubKey { key: key(*number).verifying_key() };
            policy.amend(&signed(&policy, vec![fact], &registrars())).unwrap();
        }
        policy
    }

    fn entry(index: u64) -> Entry {
        Entry {
            index: Index(index),
            time: UnixMicros(1_000),
            nonce: [u8::try_from(index).unwrap(); NONCE_BYTES],
            kind: EntryKind::Publish,
            identity: "urn:resguardo:office:a:desk-1".into(),
            statement: Bytes::from(format!("what entry {index} says")),
            payload: Payload::None,
        }
    }

    fn founding(policy: &Policy) -> [u8; 32] {
        policy.entries()[0].digest()
    }

    #[test]
    fn each_of_a_batch_has_the_hubs_word_and_none_of_it_is_about_another() {
        let policy = policy(&[7]);
        for count in [1, 2, 3, 8, 21] {
            let entries: Vec<_> = (40..40 + count).map(entry).collect();
            let promised = Promised::sign(&key(7), &founding(&policy), EPOCH, &entries).unwrap();
            for entry in &entries {
                let recorded = Recorded::from(entry);
                let promise = promised.of(entry.index).unwrap();
                assert_eq!(check(Some(&promise), &policy, EPOCH, &recorded), Ok(()));
                let other = Recorded { time: UnixMicros(1_001), ..recorded.clone() };
                assert!(check(Some(&promise), &policy, EPOCH, &other).is_err());
                let moved = Recorded { index: Index(entry.index.0 + 1), ..recorded.clone() };
                assert!(check(Some(&promise), &policy, EPOCH, &moved).is_err());
                assert_eq!(
                    check(Some(&promise), &policy, EpochId(8), &recorded),
                    Err(PromiseError::Signature)
                );
                for first in [39, 41] {
                    let promise = proto::Promise { first, ..promise.clone() };
                    assert!(check(Some(&promise), &policy, EPOCH, &recorded).is_err());
                }
                let cut = proto::Promise { nonce: Bytes::from_static(&[1]), ..promise };
                assert_eq!(check(Some(&cut), &policy, EPOCH, &recorded), Err(PromiseError::Other));
            }
            assert!(promised.of(Index(39)).is_none() && promised.of(Index(40 + count)).is_none());
        }
        assert!(Promised::sign(&key(7), &founding(&policy), EPOCH, &[]).is_none());
        let recorded = entry(1);
        let recorded = Recorded::from(&recorded);
        assert_eq!(check(None, &policy, EPOCH, &recorded), Err(PromiseError::Missing));
    }

    #[test]
    fn only_a_key_that_the_directory_names_binds_the_hub_and_an_older_one_still_does() {
        let policy = policy(&[7, 8]);
        let entry = entry(1);
        let by = |number| {
            let signed =
                Promised::sign(&key(number), &founding(&policy), EPOCH, std::slice::from_ref(&entry));
            check(signed.unwrap().of(entry.index).as_ref(), &policy, EPOCH, &Recorded::from(&entry))
        };
        assert_eq!([by(7), by(8), by(9)], [Ok(()), Ok(()), Err(PromiseError::Signature)]);
    }
}
