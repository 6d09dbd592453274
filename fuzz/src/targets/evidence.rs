//! A file of evidence, through what `resguardo verify` does to it: the trust file is that of the seeds.
//!
//! What is of the right form is written again byte for byte. What verifies states nothing but what the seed does: it may have fewer
//! receipts, notes, witnesses and entries of the directory, and no other.

use std::sync::LazyLock;

use crate::exchange::trust;
use bytes::Bytes;
use resguardo::evidence::{Evidence, Logged, Proved, Statement, verify};
use resguardo::wire::trust::Trust;

static SAID: LazyLock<(Trust, Proved)> = LazyLock::new(|| {
    let trust = Trust::parse(&trust().to_text()).expect("it is a trust file");
    let whole = Bytes::from_static(include_bytes!("../../seeds/evidence/whole"));
    (trust, verify(&whole, trust).expect("the seed holds"))
});

/// Runs it.
pub fn run(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(evidence) = Evidence::parse(&bytes) else { return };
    assert_eq!(evidence.to_bytes(), bytes);
    let (trust, said) = &*SAID;
    if let Ok(found) = verify(&bytes, *trust) {
        says_nothing_else(&found, said);
    }
}

fn says_nothing_else(found: &Proved, said: &Proved) {
    assert_eq!((found.founding, &found.published), (said.founding, &said.published));
    witnessed(&found.journal, &said.journal);
    if let (Some(found), Some(said)) = (&found.directory, &said.directory) {
        witnessed(found, said);
    }
    assert!(found.directory_version <= said.directory_version);
    for it in &found.statements {
        let without = |of: &Statement| Statement { officer: None, ..of.clone() };
        assert!(said.statements.iter().any(|of| it == of || *it == without(of)), "{it:?}");
    }
    assert!(found.missed.iter().all(|it| said.missed.contains(it)));
    assert!(found.erased.iter().all(|it| said.erased.contains(it)));
}

fn witnessed(found: &Logged, said: &Logged) {
    assert_eq!((found.tree, found.signed_at), (said.tree, said.signed_at));
    assert!(found.witnessed.by.iter().all(|it| said.witnessed.by.contains(it)));
}
