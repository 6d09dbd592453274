//! Hashes and the right edge: kept bytes, and every root as another implementation has it.

use super::*;

#[test]
fn hashes_are_those_of_the_standard() {
    // The first two are RFC 6962's of nothing, which other implementations publish.
    let shown = |hash: TreeHash| hash.to_string();
    assert_eq!(
        shown(TreeHash::EMPTY_ROOT),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
    assert_eq!(shown(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    assert_eq!(
        shown(node_hash(&TreeHash([1; 32]), &TreeHash([2; 32]))),
        "b331da6ec49d4547d9942a6727e5123f69bed5a0b97ac171cfbfd6201431fcfa"
    );
    assert_eq!(Frontier::new().root(), TreeHash::EMPTY_ROOT);
}

#[test]
fn a_record_is_of_its_nonce_and_its_entry() {
    let one = Record::of(&Nonce([7; NONCE_BYTES]), b"an entry");
    assert_eq!(
        TreeHash(one.0).to_string(),
        "9ba34145eff0239a1d53650679a9fc1a72c6f84beafa6418995d29d7d74c380a"
    );
    assert_eq!(one.leaf(), leaf_hash(&one.0));
    assert_ne!(Record::of(&Nonce([8; NONCE_BYTES]), b"an entry"), one);
    assert_ne!(Record::of(&Nonce([7; NONCE_BYTES]), b"an entry."), one);
    let whole = [b"resguardo journal entry v1".as_slice(), &[7; NONCE_BYTES], b"an entry"].concat();
    assert_eq!(one.0, crate::seal::sha256(&whole));
    assert_eq!(format!("{:?}", Nonce([7; NONCE_BYTES])), "Nonce");
}

#[test]
fn every_root_up_to_five_thousand_leaves_is_the_other_implementations() {
    let (mut ours, mut theirs) = (Frontier::new(), Other::new());
    assert_eq!(ours.root(), head(&theirs.root()).root);
    for index in 0..5000 {
        ours.append(leaf(index));
        theirs.push(record(index).0.to_vec());
        assert_eq!(TreeHead { size: ours.size(), root: ours.root() }, head(&theirs.root()));
        assert_eq!(Frontier::of(ours.size(), ours.edge().to_vec()).as_ref(), Some(&ours));
    }
}

#[test]
fn an_edge_has_a_hash_for_each_bit_of_its_size() {
    let edge = |hashes| vec![TreeHash([1; 32]); hashes];
    assert!(Frontier::of(0, edge(0)).is_some());
    assert!(Frontier::of(SIZE_MAX, edge(63)).is_some());
    for (size, hashes) in [(0, 1), (5, 1), (5, 3), (u64::MAX, 64), (SIZE_MAX + 1, 1)] {
        assert_eq!(Frontier::of(size, edge(hashes)), None, "{size} {hashes}");
    }
}

#[test]
fn a_batch_in_memory_has_the_same_root_and_the_same_proofs() {
    assert_eq!(BatchTree::over(Vec::new()).root(), TreeHash::EMPTY_ROOT);
    for size in 1..=130 {
        let tree = BatchTree::over((0..size).map(leaf).collect());
        let theirs = other(size);
        assert_eq!(TreeHead { size: tree.size(), root: tree.root() }, head(&theirs.root()));
        for index in 0..size {
            let place = usize::try_from(index).unwrap();
            let proof = theirs.prove_inclusion(place);
            assert_eq!(tree.inclusion(place).unwrap().hashes(), split(proof.as_bytes()), "{index} of {size}");
        }
        assert!(tree.inclusion(usize::try_from(size).unwrap()).is_none());
    }
}
