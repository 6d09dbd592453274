//! A file of what happened: the tree over all entries, both checkpoints with some of the cosignatures, and some of what was said.

use bytes::Bytes;
use prost::Message as _;
use resguardo::evidence::{Entry as Given, Evidence};
use resguardo::model::entry::{Entry, EntryKind};
use resguardo::model::id::Index;
use resguardo::model::identity::Identity;
use resguardo::model::policy::Policy;
use resguardo::model::receipt::{SALT_BYTES, cover_salt};
use resguardo::proof::{Checkpoint, Frontier, InclusionProof, TreeHash, TreeHead, UnixSeconds, node_hash};
use resguardo::seal::SigningKey;
use resguardo::wire::log::{Log, Recorded, directory_record, key_name};
use resguardo::wire::trust::Trust;
use resguardo::wire::{amendment, proto};

use crate::world::World;

/// When the first of the witnesses cosigned, in seconds; each other one within the next hundred.
const COSIGNED_S: u64 = 1_772_009_000;

impl World {
    /// What a stranger trusts.
    pub(crate) fn trust(&self) -> Trust {
        Trust::of(&self.policy.entries()[0])
    }

    fn log_note(&self, log: Log, policy: &Policy, head: TreeHead) -> Bytes {
        let checkpoint = Checkpoint::new(log.origin(&self.trust().founding), head);
        let checkpoint = checkpoint.expect("a tree that was made has a possible size");
        let signed = UnixSeconds::new(COSIGNED_S).expect("it is after 1970");
        let counts = |it: &&SigningKey| policy.hub_keys().contains(&it.verifying_key());
        let mut known: Vec<_> = self.hub_keys.iter().filter(counts).collect();
        // Where the directory was forged, none counts.
        known.extend(self.hub_keys.first().filter(|_| known.is_empty()));
        let mut note = checkpoint.sign(known[self.chance.below(known.len())], signed);
        let desks = policy.desks().iter().filter(|(desk, _)| policy.counts(desk));
        let desks = desks.map(|(desk, keys)| (Identity::Desk(desk.clone()), keys.unattended.id()));
        let others = policy.witnesses().iter();
        let others = others.map(|(name, it)| (Identity::Witness(name.clone()), it.key.id()));
        let most = if self.chance.happens(75) { 95 } else { 40 };
        for (identity, id) in desks.chain(others) {
            if !self.chance.happens(most) {
                continue;
            }
            let at = UnixSeconds::new(COSIGNED_S + 1 + self.chance.below(100) as u64);
            let lines = checkpoint.cosign(
                &key_name(&identity),
                &self.witnesses[&id.0],
                at.expect("it is after 1970"),
            );
            for line in lines {
                assert!(note.add(line).expect("it is another's"), "nobody has signed it before");
            }
        }
        note.to_string().into_bytes().into()
    }

    /// Makes it.
    pub(crate) fn evidence(&self) -> Evidence {
        let main = self.messages[self.main].covered.index;
        let mut about: Vec<_> = self.about.iter().copied().filter(|_| self.chance.happens(85)).collect();
        about.insert(0, main);
        let last = *about.iter().max().expect("the message is there");
        let after = self.entries.len() - usize::try_from(last.0).expect("it is small");
        let size = usize::try_from(last.0).expect("it is small") + 1 + self.chance.below(after);
        let entries = &self.entries[..size];
        let leaves: Vec<_> = entries.iter().map(|it| Recorded::from(it).record(&it.nonce).leaf()).collect();
        let given = |entry: &Entry| self.given(entry, &leaves);
        let directory: Vec<_> =
            entries.iter().filter(|it| it.kind == EntryKind::Directory).map(given).collect();
        let journal = self.log_note(Log::Journal, &policy_of(&directory), head(&leaves));
        let logged =
            directory.len() - if self.chance.happens(30) { self.chance.below(directory.len()) } else { 0 };
        let exact = |it: &Given| amendment::read(&it.statement).map(|it| amendment::bytes(&it));
        let records = directory[..logged].iter().map(|it| {
            let exact = exact(it).unwrap_or_else(|_| it.statement.clone());
            directory_record(&exact).leaf()
        });
        let tree = head(&records.collect::<Vec<_>>());
        let directory_checkpoint = (!self.chance.happens(10))
            .then(|| self.log_note(Log::Directory, &policy_of(&directory[..logged]), tree));
        let entries: Vec<_> = about.iter().map(|it| given(self.entry(*it))).collect();
        let mut notes = self.notes.clone();
        notes.retain(|note| about.contains(&note.receipt));
        Evidence { journal_checkpoint: journal, directory_checkpoint, directory, entries, notes }
    }

    fn given(&self, entry: &Entry, leaves: &[TreeHash]) -> Given {
        let (recorded, place) = (Recorded::from(entry), usize::try_from(entry.index.0).expect("it is small"));
        Given {
            index: entry.index,
            time: entry.time,
            kind: entry.kind,
            identity: entry.identity.clone(),
            statement: recorded.statement.clone(),
            nonce: entry.nonce,
            path: InclusionProof::from_hashes(path(place, leaves)).expect("it is short"),
            cover: opening(entry, self.messages[self.main].covered.index),
        }
    }
}

/// The directory that entries come to, as far as they count.
fn policy_of(entries: &[Given]) -> Policy {
    let mut policy = Policy::default();
    for entry in entries {
        let Ok(signed) = amendment::read(&entry.statement) else { break };
        if policy.amend(&signed.into()).is_err() {
            break;
        }
    }
    policy
}

fn head(leaves: &[TreeHash]) -> TreeHead {
    let mut tree = Frontier::new();
    for leaf in leaves {
        tree.append(*leaf);
    }
    TreeHead { size: tree.size(), root: tree.root() }
}

/// What opens the cover of a message, whoever signed the receipt.
fn opening(entry: &Entry, message: Index) -> Option<(u32, [u8; SALT_BYTES])> {
    let whole = proto::SignedReceipt::decode(entry.statement.clone()).ok()?;
    let place = whole.messages.iter().position(|it| it.index == message.0)?;
    let seed = whole.seed[..].try_into().ok().filter(|_| entry.kind == EntryKind::Receipt)?;
    Some((u32::try_from(place).expect("it is small"), cover_salt(&seed, place)))
}

/// RFC 6962, section 2.1.1, word for word.
fn path(index: usize, leaves: &[TreeHash]) -> Vec<TreeHash> {
    if leaves.len() < 2 {
        return Vec::new();
    }
    let left = leaves.len().next_power_of_two() / 2;
    let (own, other, index) = if index < left {
        (&leaves[..left], &leaves[left..], index)
    } else {
        (&leaves[left..], &leaves[..left], index - left)
    };
    let mut path = path(index, own);
    path.push(root(other));
    path
}

fn root(leaves: &[TreeHash]) -> TreeHash {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    node_hash(&root(left), &root(right))
}
