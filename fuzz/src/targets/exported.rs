//! An export, through what `resguardo verify` does to it: the trust file is that of the seeds.
//!
//! Frames of the right form are written again byte for byte. What verifies says in numbers what the seed of its range does, unless it
//! hides more.

use std::sync::LazyLock;

use crate::exchange::trust;
use resguardo::evidence::export::{EXPORT_MAGIC, Exported, Frames, verify};
use resguardo::wire::trust::Trust;

const SEEDS: [&[u8]; 2] =
    [include_bytes!("../../seeds/exported/whole"), include_bytes!("../../seeds/exported/part")];

static SAID: LazyLock<(Trust, Vec<Exported>)> = LazyLock::new(|| {
    let trust = Trust::parse(&trust().to_text()).expect("it is a trust file");
    let said = SEEDS.map(|it| verify(it, trust, &mut |_, _| {}).expect("the seed holds"));
    (trust, said.into())
});

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Ok(mut frames) = Frames::of(bytes) else { return };
    let mut again = EXPORT_MAGIC.to_vec();
    while let Ok(Some(frame)) = frames.frame() {
        again.extend(frame.to_bytes());
    }
    assert!(bytes.starts_with(&again));
    let (trust, said) = &*SAID;
    let mut last = 0;
    let seen = &mut |done, all| {
        assert!(last < done && done <= all, "{done} of {all} after {last}");
        last = done;
    };
    let Ok(found) = verify(bytes, *trust, seen) else { return };
    assert_eq!(again, bytes);
    let said = said.iter().find(|it| (it.from, it.until) == (found.from, found.until));
    let said = said.expect("nobody makes an edge for another range");
    assert_eq!((found.founding, found.journal.tree), (said.founding, said.journal.tree));
    assert!(found.journal.witnessed.by.iter().all(|it| said.journal.witnessed.by.contains(it)));
    let (here, there) = (&found.statistics, &said.statistics);
    assert_eq!(here.shown_count() + here.hidden, there.shown_count() + there.hidden);
    assert!(here == there || here.hidden > there.hidden, "{here:?}");
}
