//! Proofs as files: kept bytes, a whole one, and everything that is none.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "c2sp.org/tlog-proof@v1\nextra AQID\nindex 2\n";

/// A proof of the third of seven leaves.
fn proof() -> LogProof {
    let kept = Kept::of(7);
    let path = TiledTree::new(&kept, 7).unwrap().inclusion(2).unwrap();
    LogProof::new(2, path, checkpoint(7).sign(&signing(1), at(1_800_000_000)))
}

#[test]
fn a_proof_holds_for_its_leaf_and_its_log() {
    let read = LogProof::parse(proof().to_string().as_bytes()).unwrap();
    assert_eq!(read.index(), 2);
    let signed = read.verify(&leaf(2), &log()).unwrap();
    assert_eq!(signed.checkpoint(), &checkpoint(7));
    assert!(matches!(read.verify(&leaf(3), &log()), Err(LogProofError::Path(PathError::Root { .. }))));
    let other = LogVerifier::new(origin(), &signing(2).verifying_key());
    assert!(matches!(read.verify(&leaf(2), &other), Err(LogProofError::Checkpoint(_))));
    let moved = proof().to_string().replace("index 2", "index 3");
    let moved = LogProof::parse(moved.as_bytes()).unwrap();
    assert!(matches!(moved.verify(&leaf(2), &log()), Err(LogProofError::Path(_))));
    let beyond = proof().to_string().replace("index 2", "index 7");
    let beyond = LogProof::parse(beyond.as_bytes()).unwrap().verify(&leaf(2), &log());
    assert_eq!(beyond, Err(LogProofError::Path(PathError::Index { index: 7, size: 7 })));
}

#[test]
fn a_proof_has_the_lines_of_the_standard() {
    let with_extra = proof().with_extra(vec![1, 2, 3]).unwrap();
    let text = with_extra.to_string();
    let (head, checkpoint) = text.split_once("\n\n").unwrap();
    assert_eq!(
        head,
        concat!(
            "c2sp.org/tlog-proof@v1\n",
            "extra AQID\n",
            "index 2\n",
            "nDWBzz/qaLIzJry78gW9uSZV6zjxtlbmxPT4FigoykU=\n",
            "5k6jhr4LcSUUyZJLrm3Kvr1kflvD+QAlLWoSHRqWejw=\n",
            "1k4CyyjLmDQ4DOIts8cpUhjrGOzzExNiXgWZNo0MJuY=",
        )
    );
    assert_eq!(checkpoint, with_extra.checkpoint().to_string());
    assert_eq!(LogProof::parse(text.as_bytes()), Ok(with_extra));
    assert!(proof().with_extra(vec![0; EXTRA_BYTES_MAX + 1]).is_err());
    // The standard's example, whose checkpoint it prints cut: with a whole one in its place.
    let published = include_str!("../vectors/proof-head.txt");
    let whole = format!("{published}\n{}", include_str!("../vectors/cosigned.note"));
    let read = LogProof::parse(whole.as_bytes()).unwrap();
    assert_eq!((read.index(), read.path().hashes().len()), (73_894, 5));
    assert_eq!(read.to_string(), whole);
}

#[test]
fn bytes_that_are_no_proof_are_refused() {
    let whole = proof().with_extra(vec![1, 2, 3]).unwrap().to_string();
    let said = |text: &str| LogProof::parse(text.as_bytes()).unwrap_err().to_string();
    let hash = whole.lines().nth(3).unwrap();
    let changed = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from:?}");
        said(&whole.replacen(from, to, 1))
    };
    let extra = "the extra data of a proof: Base64 of at most 16384 bytes expected";
    assert_eq!(
        changed("@v1", "@v2"),
        "a proof that begins with \"c2sp.org/tlog-proof@v2\", \"c2sp.org/tlog-proof@v1\" expected"
    );
    assert_eq!(changed("AQID", "AQI"), extra);
    assert_eq!(changed("AQID", &"AAAA".repeat(EXTRA_BYTES_MAX / 3 + 1)), extra);
    for wrong in
        ["index 02", "index +2", "index  2", "index", "index 2 ", "index 18446744073709551616", "Index 2"]
    {
        let expected = format!("{wrong:?} in a proof, \"index \" and a decimal number expected");
        assert_eq!(changed("index 2", wrong), expected);
    }
    assert_eq!(
        changed(HEAD, "c2sp.org/tlog-proof@v1\nindex 2\nextra AQID\n"),
        "hash 1 of a proof is not Base64 of 32 bytes"
    );
    assert_eq!(changed(HEAD, &format!("{HEAD}extra AQID\n")), "hash 1 of a proof is not Base64 of 32 bytes");
    assert_eq!(changed(hash, &hash[1..]), "hash 1 of a proof is not Base64 of 32 bytes");
    assert_eq!(changed(hash, &format!("{hash} ")), "hash 1 of a proof is not Base64 of 32 bytes");
    let many = format!("{HEAD}{}", format!("{hash}\n").repeat(61));
    assert_eq!(changed(HEAD, &many), "a proof with 64 hashes, at most 63 expected");
    assert_eq!(changed("\n\nresguardo", "\nresguardo"), "hash 4 of a proof is not Base64 of 32 bytes");
    assert_eq!(said(HEAD), "a proof without the empty line before its checkpoint");
    let cut = said(&whole[..whole.len() - 1]);
    assert!(cut.starts_with("the checkpoint of a proof: a note without"), "{cut}");
    assert_eq!(LogProof::parse(b"\xff\n\n"), Err(BundleError::Utf8));
    assert!(matches!(LogProof::parse(&vec![b'a'; 2 << 20]), Err(BundleError::Bytes { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn proofs_read_back_as_written(index in any::<u64>(), extra in prop::option::of(prop::collection::vec(any::<u8>(), 0..99)),
        hashes in prop::collection::vec(any::<[u8; 32]>(), 0..64)) {
        let path = InclusionProof::from_hashes(hashes.into_iter().map(TreeHash).collect()).unwrap();
        let note = Note::parse(include_bytes!("../vectors/foo.note")).unwrap();
        let made = LogProof::new(index, path, note);
        let made = match extra { Some(extra) => made.with_extra(extra).unwrap(), None => made };
        prop_assert_eq!(LogProof::parse(made.to_string().as_bytes()), Ok(made));
    }

    #[test]
    fn one_bit_of_a_proof_counts(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = proof().to_string().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let read = LogProof::parse(&bytes);
        prop_assert!(!read.is_ok_and(|read| read.verify(&leaf(2), &log()).is_ok()), "byte {}", at);
    }
}
