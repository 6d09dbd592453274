//! Proofs of inclusion and consistency: as another implementation makes them, and nothing else counts.

use super::*;

fn inclusion(tree: &Other, index: u64) -> InclusionProof {
    let proof = tree.prove_inclusion(usize::try_from(index).unwrap());
    InclusionProof::from_hashes(split(proof.as_bytes())).unwrap()
}

fn consistency(tree: &Other, old: u64) -> ConsistencyProof {
    // Theirs has no proof from a tree of no leaf.
    let added = usize::try_from(tree.len() - old).unwrap();
    ConsistencyProof::from_hashes(split(tree.prove_consistency(added).as_bytes())).unwrap()
}

/// A proof with one bit another, by a number; with a hash fewer at either end; with one more at either end.
fn altered(hashes: &[TreeHash], number: usize) -> Vec<Vec<TreeHash>> {
    let mut all = Vec::new();
    if !hashes.is_empty() {
        let mut bit = hashes.to_vec();
        bit[number % hashes.len()].0[number / 3 % HASH_BYTES] ^= 1 << (number % 8);
        all.extend([bit, hashes[1..].to_vec(), hashes[..hashes.len() - 1].to_vec()]);
    }
    if hashes.len() > 1 {
        let mut turned = hashes.to_vec();
        turned.rotate_left(1);
        all.push(turned);
    }
    let more = TreeHash([3; 32]);
    all.extend([[&[more], hashes].concat(), [hashes, &[more]].concat()]);
    all
}

fn altered_inclusion(proof: &InclusionProof, number: usize) -> impl Iterator<Item = InclusionProof> {
    altered(proof.hashes(), number).into_iter().filter_map(InclusionProof::from_hashes)
}

fn altered_consistency(proof: &ConsistencyProof, number: usize) -> impl Iterator<Item = ConsistencyProof> {
    altered(proof.hashes(), number).into_iter().filter_map(ConsistencyProof::from_hashes)
}

fn heads(sizes: std::ops::RangeInclusive<u64>) -> Vec<TreeHead> {
    sizes.map(|size| head(&other(size).root())).collect()
}

#[test]
fn every_inclusion_up_to_130_leaves_holds_and_nothing_else_does() {
    let heads = heads(0..=131);
    let mut number = 0;
    for tree in &heads[1..=130] {
        let theirs = other(tree.size);
        let kept = Kept::of(tree.size);
        let mut tiled = TiledTree::new(&kept, tree.size).unwrap();
        for index in 0..tree.size {
            number += 1;
            let proof = tiled.inclusion(index).unwrap();
            assert_eq!(proof, inclusion(&theirs, index), "{index} of {}", tree.size);
            assert_eq!(proof.verify(&leaf(index), index, tree), Ok(()));
            for wrong in altered_inclusion(&proof, number) {
                assert!(wrong.verify(&leaf(index), index, tree).is_err(), "{index} of {}", tree.size);
            }
            let others = [(index + 1) % tree.size, tree.size - 1 - index, index ^ 1];
            for wrong in others.into_iter().filter(|wrong| *wrong != index) {
                assert!(proof.verify(&leaf(index), wrong, tree).is_err(), "{index} of {}", tree.size);
                assert!(proof.verify(&leaf(wrong), index, tree).is_err(), "{index} of {}", tree.size);
            }
            let beside = usize::try_from(tree.size).unwrap();
            for wrong in [&heads[beside - 1], &heads[beside + 1]] {
                assert!(proof.verify(&leaf(index), index, wrong).is_err(), "{index} of {}", tree.size);
            }
        }
    }
}

#[test]
fn every_consistency_up_to_130_leaves_holds_and_nothing_else_does() {
    let heads = heads(0..=131);
    let mut number = 0;
    for new in &heads[1..=130] {
        let (theirs, kept) = (other(new.size), Kept::of(new.size));
        for old in heads[1..].iter().take_while(|old| old.size <= new.size) {
            number += 1;
            let proof = TiledTree::new(&kept, new.size).unwrap().consistency(old.size).unwrap();
            if old.size < new.size {
                assert_eq!(proof, consistency(&theirs, old.size), "{} to {}", old.size, new.size);
            }
            holds_alone(&proof, old, new, &heads, number);
        }
    }
}

/// Says that a proof holds for two trees, and neither another one for them nor this one for others.
fn holds_alone(proof: &ConsistencyProof, old: &TreeHead, new: &TreeHead, heads: &[TreeHead], number: usize) {
    let why = format!("{} to {}", old.size, new.size);
    assert_eq!(proof.verify(old, new), Ok(()), "{why}");
    for wrong in altered_consistency(proof, number) {
        assert!(wrong.verify(old, new).is_err(), "{why}");
    }
    let (before, after) = (usize::try_from(old.size).unwrap(), usize::try_from(new.size).unwrap());
    let others = [(before - 1, after), (before + 1, after), (before, after - 1), (before, after + 1)];
    for (wrong_old, wrong_new) in others.map(|(old, new)| (&heads[old], &heads[new])) {
        // A proof without hashes is right for some others too: for equal ones, and from no leaf.
        if proof.hashes().is_empty() && (wrong_old.size == 0 || wrong_old == wrong_new) {
            continue;
        }
        assert!(proof.verify(wrong_old, wrong_new).is_err(), "{why}");
    }
    let forged = TreeHash([9; 32]);
    assert!(proof.verify(&TreeHead { root: forged, ..*old }, new).is_err(), "{why}");
    assert!(proof.verify(old, &TreeHead { root: forged, ..*new }).is_err(), "{why}");
}

#[test]
fn random_trees_up_to_five_thousand_leaves_agree_with_the_other_implementation() {
    let mut numbers = Numbers(1);
    for round in 0..12 {
        let size = if round == 0 { 5000 } else { 1 + numbers.below(5000) };
        let (theirs, kept) = (other(size), Kept::of(size));
        let tree = head(&theirs.root());
        let mut tiled = TiledTree::new(&kept, size).unwrap();
        assert_eq!(tiled.root().unwrap(), tree.root);
        for number in 0..40 {
            let index = numbers.below(size);
            let proof = tiled.inclusion(index).unwrap();
            assert_eq!(proof, inclusion(&theirs, index), "{index} of {size}");
            assert_eq!(proof.verify(&leaf(index), index, &tree), Ok(()));
            assert_eq!(tiled.leaf(index).unwrap(), leaf(index));
            for wrong in altered_inclusion(&proof, number) {
                assert!(wrong.verify(&leaf(index), index, &tree).is_err(), "{index} of {size}");
            }
        }
        for number in 0..8 {
            let old = 1 + numbers.below(size);
            let earlier = head(&other(old).root());
            let proof = tiled.consistency(old).unwrap();
            if old < size {
                assert_eq!(proof, consistency(&theirs, old), "{old} to {size}");
            }
            assert_eq!(proof.verify(&earlier, &tree), Ok(()));
            for wrong in altered_consistency(&proof, number) {
                assert!(wrong.verify(&earlier, &tree).is_err(), "{old} to {size}");
            }
        }
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let tree = head(&other(7).root());
    let kept = Kept::of(7);
    let mut tiled = TiledTree::new(&kept, 7).unwrap();
    let said = |result: Result<(), PathError>| result.unwrap_err().to_string();
    let inclusion = tiled.inclusion(2).unwrap();
    assert_eq!(said(inclusion.verify(&leaf(2), 7, &tree)), "index 7 is not in a tree of 7 leaves");
    assert_eq!(said(inclusion.verify(&leaf(6), 6, &tree)), "the proof has 3 hashes, 2 expected");
    let wrong = said(inclusion.verify(&leaf(3), 2, &tree));
    assert!(wrong.starts_with("the proof leads to the root ") && wrong.ends_with(" expected"), "{wrong}");
    let large = TreeHead { size: SIZE_MAX + 1, ..tree };
    assert_eq!(
        said(inclusion.verify(&leaf(2), 2, &large)),
        "a tree has at most 9223372036854775807 leaves, 9223372036854775808 found"
    );
    let consistency = tiled.consistency(3).unwrap();
    assert_eq!(
        said(consistency.verify(&tree, &TreeHead { size: 3, ..tree })),
        "a log of 7 leaves has 3 later: it only grows"
    );
    let empty = TreeHead { size: 0, root: TreeHash::EMPTY_ROOT };
    let none = ConsistencyProof::from_hashes(Vec::new()).unwrap();
    assert_eq!(none.verify(&empty, &tree), Ok(()));
    assert_eq!(none.verify(&empty, &empty), Ok(()));
    assert!(none.verify(&TreeHead { size: 0, ..tree }, &tree).is_err());
    assert!(none.verify(&TreeHead { size: 0, ..tree }, &TreeHead { size: 0, ..tree }).is_err());
    assert!(consistency.verify(&empty, &tree).is_err());
    assert!(consistency.verify(&tree, &tree).is_err());
    assert_eq!(tiled.inclusion(7).unwrap_err().to_string(), "index 7 is not in a tree of 7 leaves");
    assert_eq!(tiled.consistency(8).unwrap_err().to_string(), "a log of 8 leaves has 7 later: it only grows");
    assert!(TiledTree::new(&kept, SIZE_MAX + 1).is_err());
    assert_eq!(InclusionProof::from_hashes(vec![leaf(0); 64]), None);
    assert_eq!(ConsistencyProof::from_hashes(vec![leaf(0); 64]), None);
}
