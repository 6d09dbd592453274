//! A damaged journal: the hub refuses to start, says file and offset, exits with 5, and overwrites nothing.
//! A torn tail, which only a write that was never confirmed can leave, is cut instead.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::stage::Stage;
use crate::stage::audit::{all, assert_same, everything};
use crate::stage::chance::{Chance, random_u64};
use crate::stage::client::Desk;
use crate::stage::draft::Draft;
use crate::stage::files::{change, contents, copy, end_of_data, files, find, flip, replace};
use crate::stage::subscription::message;
use crate::stage::traffic::bustle;
use crate::{HONDURAS, IACHR};

/// The exit code for damage.
const INTEGRITY: i32 = 5;
/// How far before a bad byte the place may lie that is told: the beginning of its batch.
const TOLD_BEFORE_MAX: usize = 128 * 1_024;

fn journal(stage: &Stage) -> PathBuf {
    stage.home().join("journal")
}

/// The journal's files but for the lock, which is no part of it.
fn kept(stage: &Stage) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut kept = contents(&journal(stage));
    kept.remove(Path::new("lock"));
    kept
}

fn numbers(text: &str) -> impl Iterator<Item = usize> + '_ {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok())
}

/// Checks that words name the file and a place at or shortly before the bad byte.
fn assert_names(said: &str, file: &Path, offset: usize, when: &str) {
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name of a file");
    assert!(said.contains(name), "{when}: {name} is not named in: {said}");
    let place = numbers(said).any(|number| number <= offset && offset - number <= TOLD_BEFORE_MAX);
    assert!(place, "{when}: no place near {offset} is named in: {said}");
}

/// Checks that hub and `hub verify` refuse the home as it is and leave every byte of the journal; gives their words.
async fn assert_refuses(stage: &mut Stage, when: &str) -> String {
    let before = kept(stage);
    let Err(ended) = stage.try_start().await else { panic!("{when}: the hub started") };
    assert_eq!(ended.status.code(), Some(INTEGRITY), "{when}: {ended}");
    assert!(!ended.said("panicked"), "{when}: {ended}");
    let verified = stage.program(&["hub", "verify"]).await;
    assert_eq!(verified.status.code(), Some(INTEGRITY), "{when}: {verified:?}");
    let rebuilt = stage.program(&["hub", "rebuild"]).await;
    assert!(!rebuilt.status.success(), "{when}: a ledger was rebuilt from a damaged journal");
    assert!(kept(stage) == before, "{when}: something was overwritten");
    ended.log
}

/// A stopped hub with some traffic behind it, a copy of its home, and a message in the middle and the last one.
struct Scene {
    stage: Stage,
    whole: PathBuf,
    before: Vec<(String, Vec<u8>)>,
    middle: Draft,
    last: Draft,
}

async fn scene(kill: bool) -> Scene {
    let mut stage = Stage::open().await;
    bustle(&stage, 1).await;
    let sender: Desk = stage.desk(HONDURAS).await;
    let middle = sender.draft(&[IACHR]);
    sender.send(&middle).await;
    bustle(&stage, 1).await;
    let last = sender.draft(&[IACHR]).payload(vec![0x77; 3_000]);
    sender.send(&last).await;
    let before = everything(&stage).await;
    if kill {
        stage.kill().await;
    } else {
        assert!(stage.stop().await.success());
    }
    let whole = stage.folder().join("whole");
    copy(&stage.home(), &whole);
    Scene { stage, whole, before, middle, last }
}

impl Scene {
    fn mend(&self) {
        replace(&self.stage.home(), &self.whole);
    }

    /// Where the envelope of a message stands.
    fn place(&self, draft: &Draft) -> (PathBuf, usize) {
        find(&journal(&self.stage), &draft.envelope_bytes()).expect("the journal has the exact bytes")
    }

    /// The hub starts on the mended home and answers as before: the damage was all that was wrong.
    async fn assert_mended(mut self) {
        self.mend();
        self.stage.start().await;
        assert_same(&self.before, &everything(&self.stage).await, "mended");
    }
}

#[tokio::test]
async fn flipped_byte_of_a_confirmed_entry_stops_the_start_and_is_named() {
    for kill in [false, true] {
        let mut scene = scene(kill).await;
        for draft in [scene.middle.clone(), scene.last.clone()] {
            let (file, offset) = scene.place(&draft);
            let (_, payload) = find(&journal(&scene.stage), &draft.payload).unwrap();
            let length = draft.envelope_bytes().len();
            // In the statement, its first and last byte, the identity and the heads before it, and in the payload.
            for bad in
                [offset, offset + length - 1, offset - 1, offset - 40, offset - 60, offset - 100, payload + 7]
            {
                scene.mend();
                flip(&file, bad);
                let when = format!("kill {kill}: byte {bad} of {} flipped", file.display());
                let said = assert_refuses(&mut scene.stage, &when).await;
                assert_names(&said, &file, bad, &when);
            }
        }
        scene.assert_mended().await;
    }
}

#[tokio::test]
async fn any_flipped_byte_between_the_first_and_the_last_entry_stops_the_start() {
    let seed = random_u64();
    println!("seed {seed}");
    let mut chance = Chance::seeded(seed);
    let mut scene = scene(true).await;
    let (file, _) = scene.place(&scene.last);
    let end = end_of_data(&file);
    for _ in 0..25 {
        let bad = 4_096 + chance.place(end - 4_096);
        scene.mend();
        flip(&file, bad);
        let when = format!("seed {seed}: byte {bad} of {end} flipped");
        let said = assert_refuses(&mut scene.stage, &when).await;
        assert_names(&said, &file, bad, &when);
    }
    scene.assert_mended().await;
}

#[tokio::test]
async fn what_is_missing_at_the_end_but_was_confirmed_is_damage_and_not_a_torn_tail() {
    for kill in [false, true] {
        let mut scene = scene(kill).await;
        let (file, offset) = scene.place(&scene.last);
        let end = end_of_data(&file);
        for from in [offset - 200, offset, offset + 600, offset + 1_500] {
            scene.mend();
            change(&file, |bytes| bytes[from..end].fill(0));
            let when = format!("kill {kill}: everything from {from} on is zeros");
            assert_refuses(&mut scene.stage, &when).await;
            scene.mend();
            change(&file, |bytes| bytes.truncate(from));
            let when = format!("kill {kill}: the file ends at {from}");
            assert_refuses(&mut scene.stage, &when).await;
        }
        scene.assert_mended().await;
    }
}

/// The ledger is then set aside, and still what it knew of the journal counts, at every further start.
#[tokio::test]
async fn stop_of_the_machine_makes_no_torn_tail_of_what_was_confirmed() {
    let mut scene = scene(true).await;
    let (file, offset) = scene.place(&scene.last);
    let end = end_of_data(&file);
    fs::write(scene.stage.home().join("ledger/trust"), "open another boot\n").unwrap();
    change(&file, |bytes| bytes[offset + 600..end].fill(0));
    for start in 1..=2 {
        assert_refuses(&mut scene.stage, &format!("start {start} after the machine stopped")).await;
    }
    assert!(scene.stage.home().join("ledger/rows-untrusted").is_dir());
    scene.assert_mended().await;
}

#[tokio::test]
async fn missing_empty_and_overwritten_segments_are_damage() {
    let mut scene = scene(false).await;
    let (file, _) = scene.place(&scene.last);
    let ways: [(&str, &dyn Fn()); 3] = [
        ("the segment is empty", &|| fs::write(&file, b"").unwrap()),
        ("the head is overwritten", &|| change(&file, |bytes| bytes[..4_096].fill(0x5a))),
        ("the segment is gone", &|| fs::remove_file(&file).unwrap()),
    ];
    for (when, spoil) in ways {
        scene.mend();
        spoil();
        assert_refuses(&mut scene.stage, when).await;
    }
    scene.assert_mended().await;
}

#[tokio::test]
async fn journal_that_is_gone_while_the_ledger_knows_of_it_is_not_founded_anew() {
    let mut scene = scene(false).await;
    for path in files(&journal(&scene.stage)) {
        fs::remove_file(path).unwrap();
    }
    let founded = scene.stage.program(&["hub", "init"]).await;
    assert!(!founded.status.success(), "a home that has lost its journal was founded anew: {founded:?}");
    assert!(scene.stage.try_start().await.is_err());
    scene.assert_mended().await;
}

/// A second founding by mistake is refused, and is no way round what a start would refuse.
#[tokio::test]
async fn second_founding_overwrites_nothing_of_a_damaged_journal() {
    let mut scene = scene(true).await;
    let (file, offset) = scene.place(&scene.last);
    let end = end_of_data(&file);
    change(&file, |bytes| bytes[offset + 600..end].fill(0));
    let before = kept(&scene.stage);
    let founded = scene.stage.program(&["hub", "init"]).await;
    assert_eq!(founded.status.code(), Some(INTEGRITY), "{founded:?}");
    assert!(kept(&scene.stage) == before, "what was confirmed was cut off");
    assert_refuses(&mut scene.stage, "after a second founding").await;
    scene.assert_mended().await;
}

#[tokio::test]
async fn older_copy_of_the_journal_has_lost_what_was_confirmed() {
    let mut scene = scene(false).await;
    let older = scene.stage.folder().join("older");
    copy(&journal(&scene.stage), &older);
    scene.stage.start().await;
    let sender = scene.stage.desk(HONDURAS).await;
    sender.send(&sender.draft(&[IACHR])).await;
    assert!(scene.stage.stop().await.success());
    replace(&journal(&scene.stage), &older);
    assert_refuses(&mut scene.stage, "the journal is an older copy").await;
    scene.assert_mended().await;
}

#[tokio::test]
async fn rebuild_that_is_refused_leaves_the_ledgers_word_on_what_was_confirmed() {
    let mut scene = scene(true).await;
    let (file, offset) = scene.place(&scene.last);
    let end = end_of_data(&file);
    change(&file, |bytes| bytes[offset + 600..end].fill(0));
    // Whatever the command answers: what was confirmed must not be cut off, now or at the next start.
    scene.stage.program(&["hub", "rebuild"]).await;
    if let Ok(()) = scene.stage.try_start().await {
        let auditor = scene.stage.auditor("iachr").await;
        let kept = auditor.describe(&scene.last.id(), HONDURAS).await;
        panic!(
            "the hub started on a journal that has lost what was confirmed: {:?}",
            kept.map(|it| it.message)
        );
    }
    scene.assert_mended().await;
}

/// Many segments: an entry in an early one is damaged. Nobody is ever served what is damaged.
#[tokio::test]
async fn damage_in_an_early_segment_is_found_by_verify_and_never_served() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    let early = sender.draft(&[IACHR]).payload(vec![0x31; 20_000]);
    sender.send(&early).await;
    let others: Vec<Draft> = (0..30).map(|_| sender.draft(&[IACHR]).payload(vec![0x32; 200_000])).collect();
    for other in &others {
        sender.send(other).await;
    }
    assert!(stage.stop().await.success());
    assert!(files(&journal(&stage)).len() >= 6, "several segments");
    let whole = stage.folder().join("whole");
    copy(&stage.home(), &whole);
    let (file, envelope) = find(&journal(&stage), &early.envelope_bytes()).unwrap();
    let (_, payload) = find(&journal(&stage), &early.payload).unwrap();
    for bad in [envelope + 20, payload + 9_000] {
        replace(&stage.home(), &whole);
        flip(&file, bad);
        let damaged = kept(&stage);
        let when = format!("byte {bad} of {} flipped", file.display());
        let verified = stage.program(&["hub", "verify"]).await;
        assert_eq!(verified.status.code(), Some(INTEGRITY), "{when}: {verified:?}");
        let said = String::from_utf8_lossy(&verified.stderr) + String::from_utf8_lossy(&verified.stdout);
        assert_names(&said, &file, bad, &when);
        if let Err(ended) = stage.try_start().await {
            assert_eq!(ended.status.code(), Some(INTEGRITY), "{when}: {ended}");
        } else {
            let mut subscription = stage.desk(IACHR).await.subscribe().await;
            while let Ok(delivery) = subscription.try_delivery().await {
                let came = message(&delivery);
                let all = others.iter().chain([&early]);
                let whole = all
                    .into_iter()
                    .any(|it| it.envelope_bytes() == came.envelope && it.payload == came.payload);
                assert!(whole, "{when}: damaged bytes were delivered");
                if delivery.index >= 20 {
                    break;
                }
            }
            let entries = stage.auditor("iachr").await.entries(all()).await.unwrap_or_default();
            let known =
                |statement: &[u8]| others.iter().chain([&early]).any(|it| it.envelope_bytes() == statement);
            let published =
                entries.iter().filter(|it| it.kind() == resguardo::wire::proto::EntryKind::Publish);
            assert!(
                published.into_iter().all(|it| known(&it.statement)),
                "{when}: damaged bytes were listed"
            );
            if stage.hub.is_some() {
                stage.kill().await;
            }
        }
        let now = kept(&stage);
        assert!(
            damaged.iter().all(|(name, bytes)| now.get(name).is_none_or(|it| it[bad] == bytes[bad])),
            "{when}"
        );
    }
}

/// A full segment's end says again what its batches say: lost or damaged, it is made again, and that is told.
#[tokio::test]
async fn damaged_end_of_a_full_segment_is_made_again_and_said() {
    let mut stage = Stage::open().await;
    let sender = stage.desk(HONDURAS).await;
    for _ in 0..12 {
        sender.send(&sender.draft(&[IACHR]).payload(vec![0x33; 200_000])).await;
    }
    let before = everything(&stage).await;
    assert!(stage.stop().await.success());
    let whole = kept(&stage);
    let first = journal(&stage).join("00000000.segment");
    flip(&first, end_of_data(&first) - 1);
    let verified = stage.program(&["hub", "verify"]).await;
    let said = String::from_utf8_lossy(&verified.stdout) + String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.contains("00000000.segment"), "{said}");
    assert!(kept(&stage)[Path::new("00000000.segment")] == whole[Path::new("00000000.segment")]);
    flip(&first, end_of_data(&first) - 1);
    stage.start().await;
    stage.hub().says(&["is made again from its batches"]).await;
    assert_same(&before, &everything(&stage).await, "an end was made again");
}

/// What a power cut in the middle of a write leaves: the journal of before, and some of the next batch's blocks.
#[tokio::test]
async fn torn_tail_is_cut_and_said_and_what_was_in_it_can_be_handed_in_again() {
    let mut stage = Stage::open().await;
    bustle(&stage, 1).await;
    let before = everything(&stage).await;
    stage.kill().await;
    let whole = stage.folder().join("whole");
    copy(&stage.home(), &whole);
    stage.start().await;
    let sender = stage.desk(HONDURAS).await;
    let torn =
        sender.draft(&[IACHR]).payload((0..9_000_u32).map(|at| at.to_le_bytes()[0] | 1).collect::<Vec<_>>());
    let index = sender.send(&torn).await.index;
    stage.kill().await;
    let (file, _) = find(&journal(&stage), &torn.envelope_bytes()).unwrap();
    let later = fs::read(&file).unwrap();
    let (start, end) =
        (end_of_data(&whole.join("journal").join(file.file_name().unwrap())), end_of_data(&file));
    let block = |at: usize| at.next_multiple_of(512);
    for cut in [block(start + 64), block(start + 600), block(start + 4_000), block(end) - 512] {
        replace(&stage.home(), &whole);
        change(&file, |bytes| bytes[start..cut].copy_from_slice(&later[start..cut]));
        stage.start().await;
        let said = stage.hub().log().to_lowercase();
        assert!(["torn", "cut", "incomplete"].iter().any(|word| said.contains(word)), "cut at {cut}: {said}");
        assert_same(&before, &everything(&stage).await, &format!("torn at {cut} of {start} to {end}"));
        let sender = stage.desk(HONDURAS).await;
        let again = sender.publish(&torn).await.unwrap();
        assert_eq!((again.index, again.duplicate), (index, false), "the next index was never given away");
        assert!(stage.stop().await.success());
        let verified = stage.program(&["hub", "verify"]).await;
        assert!(verified.status.success(), "{verified:?}");
    }
}
