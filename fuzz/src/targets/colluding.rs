//! Evidence and exports by who has the hub with all its keys, and can put anything into a journal that is signed: what comes is put
//! under checkpoints of the hub's own, and then verified.
//!
//! The first byte chooses, and says how many witnesses lie with the hub. What offices and registrars sign stays theirs: nothing verifies
//! that says more of an office than the seeds do. Times and missed deadlines are the hub's word.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crate::exchange::trust;
use crate::hub;
use bytes::Bytes;
use resguardo::evidence::export::{self, Counts, Exported, Frame, Frames};
use resguardo::evidence::{Evidence, Orderer, Proved, Statement};
use resguardo::model::id::{Index, UnixMicros};

/// Evidence of each message, and all entries.
static SAID: LazyLock<([Proved; 2], Exported)> = LazyLock::new(|| {
    let [message, other]: [&[u8]; 2] =
        [include_bytes!("../../seeds/colluding/evidence"), include_bytes!("../../seeds/colluding/other")];
    let of = |bytes: &[u8]| proved(&bytes[1..], 3).expect("the seed holds");
    let whole = include_bytes!("../../seeds/colluding/export");
    ([of(message), of(other)], counted(&whole[1..], 3).expect("the seed holds"))
});

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let witnesses = usize::from(choice >> 1) % 4;
    if choice % 2 == 0 { evidence(rest, witnesses) } else { exported(rest, witnesses) }
}

/// What evidence proves once it is under checkpoints of the hub's.
fn proved(bytes: &[u8], witnesses: usize) -> Option<Proved> {
    let mut given = Evidence::parse(&Bytes::copy_from_slice(bytes)).ok()?;
    let put = hub::evidence(&mut given, witnesses);
    put.then(|| resguardo::evidence::verify(&given.to_bytes(), trust()).ok())?
}

fn evidence(bytes: &[u8], witnesses: usize) {
    let Some(found) = proved(bytes, witnesses) else { return };
    let same = |it: &&Proved| it.published.message == found.published.message;
    let said = SAID.0.iter().find(same).expect("no office has signed another message");
    let (here, there) = (&found.published, &said.published);
    assert_eq!((&here.sender, &here.institution), (&there.sender, &there.institution));
    assert_eq!(here.recipients, there.recipients);
    for it in &found.statements {
        // Where and when it was recorded is the hub's word; who stated it, the file need not show.
        let signed = |of: &Statement| Statement { index: Index(0), recorded: UnixMicros(0), ..of.clone() };
        let without = |of: &Statement| Statement { officer: None, ..signed(of) };
        let is = |of: &Statement| signed(it) == signed(of) || signed(it) == without(of);
        assert!(said.statements.iter().any(is), "{it:?}");
    }
    let ordered =
        |of: &Proved| -> Vec<Orderer> { of.erased.iter().filter_map(|it| it.ordered.clone()).collect() };
    assert!(ordered(&found).iter().all(|it| ordered(said).contains(it)));
}

/// What an export says in numbers once it is under checkpoints of the hub's.
fn counted(bytes: &[u8], witnesses: usize) -> Option<Exported> {
    let mut frames = Frames::of(bytes).ok()?;
    let Ok(Some(Frame::Head(head))) = frames.frame() else { return None };
    let (mut directory, mut range) = (Vec::new(), Vec::new());
    while let Ok(Some(frame)) = frames.frame() {
        match frame {
            Frame::Directory(entry) if range.is_empty() => directory.push(entry),
            other => range.push(other),
        }
    }
    let file = hub::export(head, directory, &range, witnesses)?;
    export::verify(&file[..], trust(), &mut |_, _| {}).ok()
}

fn exported(bytes: &[u8], witnesses: usize) {
    let Some(found) = counted(bytes, witnesses) else { return };
    let (here, there) = (&found.statistics, &SAID.1.statistics);
    fewer(&here.real, &there.real);
    fewer(&here.others, &there.others);
    assert!(here.erasures_ordered <= there.erasures_ordered);
}

/// Each message, and each stage of it at an office, counts once.
fn fewer(here: &Counts, there: &Counts) {
    let at_most = |found: &BTreeMap<_, u64>, most: &BTreeMap<_, u64>| {
        found.iter().all(|(key, count)| most.get(key).is_some_and(|most| count <= most))
    };
    assert!(at_most(&here.published, &there.published), "{here:?}");
    for (key, found) in &here.offices {
        let most = there.offices.get(key).unwrap_or_else(|| panic!("{key:?}: nothing was for it"));
        assert!(found.messages <= most.messages);
        for (found, most) in found.stages.iter().zip(&most.stages) {
            assert!(found.count() <= most.count(), "{key:?}");
        }
    }
}
