//! Checkpoints and cosignatures: what is signed, both algorithms, and everything that does not count.

use proptest::prelude::*;

use super::*;

const ORIGIN: &str = "resguardo.example/journal";

#[test]
fn a_published_signature_by_ml_dsa_holds() {
    let key: NoteKey = include_str!("../vectors/mldsa-log.vkey").trim_end().parse().unwrap();
    let note = Note::parse(include_bytes!("../vectors/mldsa-log.note")).unwrap();
    let read = Checkpoint::parse(note.text()).unwrap();
    // That log says no time, which a log may leave out.
    assert_eq!(cosignature::times_of(&read, &key, &note), Ok(vec![None]));
    let other = Checkpoint::new(read.origin().clone(), TreeHead { size: 2, ..*read.tree() }).unwrap();
    let failed = LineError::Failed { name: key.name().clone(), id: key.id() };
    assert_eq!(cosignature::times_of(&other, &key, &note), Err(failed));
}

#[test]
fn the_published_examples_are_checkpoints() {
    let note = Note::parse(include_bytes!("../vectors/cosigned.note")).unwrap();
    let read = Checkpoint::parse(note.text()).unwrap();
    assert_eq!((read.origin().as_str(), read.tree().size), ("example.com/behind-the-sofa", 20_852_163));
    assert_eq!(read.text(), note.text());
    // The message that the standard prints, and the time in the example's line.
    let witness = WitnessVerifier::new(name("witness.example.com/w1"), &signing(1).verifying_key());
    let message = cosignature::message(&read, witness.keys()[0], 1_679_315_147);
    assert_eq!(message, format!("cosignature/v1\ntime 1679315147\n{}", note.text()).as_bytes());
    assert_eq!(note.lines()[1].signature()[..8], 1_679_315_147_u64.to_be_bytes());
}

#[test]
fn what_ml_dsa_signs_is_the_standards_structure() {
    let read = checkpoint(5);
    let witness = WitnessVerifier::new(name("w.example"), &signing(2).verifying_key());
    let message = cosignature::message(&read, witness.keys()[1], 0x0102);
    let expected = [
        b"subtree/v1\n\0".as_slice(),
        b"\x09w.example",
        &[0, 0, 0, 0, 0, 0, 1, 2],
        b"\x19resguardo.example/journal",
        &[0; 8],
        &[0, 0, 0, 0, 0, 0, 0, 5],
        &read.tree().root.0,
    ];
    assert_eq!(message, expected.concat());
}

#[test]
fn a_log_signs_by_both_algorithms_and_both_are_asked_for() {
    let note = checkpoint(7).sign(&signing(1), at(1_800_000_000));
    let bytes = note.to_string();
    let opened = log().open(bytes.as_bytes()).unwrap();
    assert_eq!((opened.checkpoint(), opened.note()), (&checkpoint(7), &note));
    assert_eq!(opened.signed_at(), Some(at(1_800_000_000)));
    let [of_text, timed] = log().keys().map(Clone::clone);
    assert_eq!(note.lines().iter().map(SignatureLine::id).collect::<Vec<_>>(), [of_text.id(), timed.id()]);

    for (kept, absent) in [(0, &timed), (1, &of_text)] {
        let half = Note::new(note.text().to_owned(), vec![note.lines()[kept].clone()]).unwrap();
        let missing = LineError::Missing { name: absent.name().clone(), id: absent.id() };
        assert_eq!(log().verify(half), Err(missing.into()));
    }
    // Another key's line in place of one of the two.
    let other = checkpoint(7).sign(&signing(2), at(1_800_000_000));
    let forged = |line: &SignatureLine, by: &NoteKey| SignatureLine::of(by, line.signature().to_vec());
    for lines in [
        vec![forged(&other.lines()[0], &of_text), note.lines()[1].clone()],
        vec![note.lines()[0].clone(), forged(&other.lines()[1], &timed)],
    ] {
        let forged = Note::new(note.text().to_owned(), lines).unwrap();
        assert!(matches!(log().verify(forged), Err(CheckpointError::Signature(LineError::Failed { .. }))));
    }
    // A line of a wrong length, and one with a time that is none.
    let cut = SignatureLine::of(&timed, note.lines()[1].signature()[1..].to_vec());
    let cut = Note::new(note.text().to_owned(), vec![note.lines()[0].clone(), cut]).unwrap();
    let said = log().verify(cut).unwrap_err().to_string();
    assert!(said.ends_with(" has 2427 bytes, 2428 expected"), "{said}");
    let mut late = note.lines()[1].signature().to_vec();
    late[0] = 0x80;
    let late =
        Note::new(note.text().to_owned(), vec![note.lines()[0].clone(), SignatureLine::of(&timed, late)]);
    assert!(log().verify(late.unwrap()).unwrap_err().to_string().ends_with("s of Unix time, which is none"));
}

#[test]
fn the_text_of_a_checkpoint_is_its_own_only_form() {
    let text = checkpoint(7).text();
    assert_eq!(text, "resguardo.example/journal\n7\nRC/4nYhjsNJCJxnHyJU0Hmq0uLSn1k0LCiUPOW/SKak=\n");
    assert_eq!(Checkpoint::parse(&text), Ok(checkpoint(7)));
    let said = |text: &str| Checkpoint::parse(text).unwrap_err().to_string();
    let lines = |found| format!("a checkpoint of {found} lines, 3 expected: origin, size, root");
    assert_eq!(said(&text[..text.len() - 1]), lines(3));
    assert_eq!(said(&format!("{text}extension\n")), lines(4));
    assert_eq!(said(&format!("{text}\n")), lines(4));
    assert_eq!(said(""), lines(1));
    for size in ["", "07", "+7", "7 ", "-7", "0x7", "9223372036854775808", "18446744073709551616"] {
        let said = said(&text.replace("\n7\n", &format!("\n{size}\n")));
        assert!(said.starts_with(&format!("{size:?} is not the size of a tree")), "{said}");
    }
    let root = text.lines().last().unwrap();
    for wrong in [&root[1..], &root[..root.len() - 1], &format!("{root}A"), &root.replace('=', "")] {
        assert!(
            said(&text.replace(root, wrong))
                .ends_with("is not the root of a tree: Base64 of 32 bytes expected")
        );
    }
    assert!(said(&text.replace("\n7\n", "\n0\n")).starts_with("a tree without leaves has the root"));
    assert!(said(&text.replace(ORIGIN, "a b")).starts_with("the origin of a checkpoint: "));
    assert_eq!(checkpoint(0).tree().root, TreeHash::EMPTY_ROOT);
    let large = TreeHead { size: SIZE_MAX + 1, root: leaf(0) };
    assert!(Checkpoint::new(origin(), large).is_err());
}

#[test]
fn another_logs_checkpoint_is_told_apart() {
    let elsewhere = Checkpoint::new("other.example/journal".parse().unwrap(), *checkpoint(7).tree()).unwrap();
    let note = elsewhere.sign(&signing(1), at(1));
    let said = log().verify(note.clone()).unwrap_err().to_string();
    assert_eq!(said, "a checkpoint of other.example/journal, one of resguardo.example/journal expected");
    // With its name changed, nothing of it holds.
    let renamed = note.to_string().replace("other.example/journal", ORIGIN);
    assert!(matches!(
        log().open(renamed.as_bytes()),
        Err(CheckpointError::Signature(LineError::Missing { .. }))
    ));
}

#[test]
fn a_witness_counts_by_both_algorithms_at_one_time() {
    let (read, key, called) = (checkpoint(9), signing(3), name("w.example"));
    let witness = WitnessVerifier::new(called.clone(), &key.verifying_key());
    let cosign = |seconds| read.cosign(&called, &key, at(seconds));
    let cosigned = |lines: Vec<SignatureLine>| {
        let text = format!("{}\n", read.sign(&signing(1), at(1)));
        let lines = lines.iter().fold(text.trim_end().to_owned(), |text, line| format!("{text}\n{line}"));
        witness.cosigned(&read, &Note::parse(format!("{lines}\n").as_bytes()).unwrap())
    };
    let ([one, two], [later_one, later_two]) = (cosign(100), cosign(200));
    assert_eq!(cosigned(vec![]), Ok(None));
    assert_eq!(cosigned(vec![one.clone()]), Ok(None));
    assert_eq!(cosigned(vec![two.clone()]), Ok(None));
    assert_eq!(cosigned(vec![two.clone(), one.clone()]), Ok(Some(at(100))));
    assert_eq!(cosigned(vec![one.clone(), later_two.clone()]), Ok(None));
    let all = vec![later_two, later_one, one.clone(), two.clone()];
    assert_eq!(cosigned(all), Ok(Some(at(100))));

    assert_eq!(witness.verify(&read, &[one.clone(), two.clone()]), Ok(at(100)));
    assert!(witness.verify(&read, &[one.clone(), one.clone()]).is_err());
    assert!(witness.verify(&checkpoint(8), &[one.clone(), two.clone()]).is_err());
    let stranger = WitnessVerifier::new(called.clone(), &signing(4).verifying_key());
    assert!(matches!(stranger.verify(&read, &[one, two.clone()]), Err(LineError::Missing { .. })));
    // No time, which only a log's own line may say.
    let mut timeless = two.signature().to_vec();
    timeless[..8].fill(0);
    let timeless = cosigned(vec![SignatureLine::of(witness.keys()[1], timeless)]);
    assert!(matches!(timeless, Err(LineError::Time { found: 0, .. })));
    assert_eq!((UnixSeconds::new(0), UnixSeconds::new(1 << 63)), (None, None));
}

#[test]
fn a_cosignature_is_for_its_witness_its_log_and_its_tree() {
    let (read, key) = (checkpoint(9), signing(3));
    let [one, two] = read.cosign(&name("w.example"), &key, at(100));
    // Under another name: Ed25519's message does not say the name, its key's id does; ML-DSA-44's says it.
    let renamed = WitnessVerifier::new(name("v.example"), &key.verifying_key());
    let lines = [(&one, 0), (&two, 1)]
        .map(|(line, at)| SignatureLine::of(renamed.keys()[at], line.signature().to_vec()));
    let failed = LineError::Failed { name: name("v.example"), id: renamed.keys()[1].id() };
    assert_eq!(renamed.verify(&read, &lines), Err(failed));
    let witness = WitnessVerifier::new(name("w.example"), &key.verifying_key());
    let elsewhere = Checkpoint::new("other.example".parse().unwrap(), *read.tree()).unwrap();
    for other in [&elsewhere, &checkpoint(10)] {
        assert!(witness.verify(other, &[one.clone(), two.clone()]).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn checkpoints_read_back_as_written(name in "[a-z./-]{1,60}", size in 1..=SIZE_MAX, root in any::<[u8; 32]>()) {
        let tree = TreeHead { size, root: TreeHash(root) };
        let made = Checkpoint::new(name.parse().unwrap(), tree).unwrap();
        prop_assert_eq!(Checkpoint::parse(&made.text()), Ok(made));
    }

    #[test]
    fn one_bit_of_a_signed_checkpoint_counts(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let note = checkpoint(7).sign(&signing(1), super::at(1)).to_string();
        let mut bytes = note.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(log().open(&bytes).is_err(), "byte {} of {}", at, note);
    }
}
