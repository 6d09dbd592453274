//! Bytes changed at random: what still verifies says what it said.

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::prelude::*;

use super::sample::Sample;
use crate::evidence::{Proved, verify};
use crate::wire::trust::Trust;

static MADE: LazyLock<(Bytes, Trust, Proved)> = LazyLock::new(|| {
    let sample = Sample::new();
    let (bytes, trust) = (sample.evidence().to_bytes(), sample.trust());
    let proved = verify(&bytes, trust).unwrap();
    (bytes, trust, proved)
});

fn says_the_same_or_nothing(bytes: Vec<u8>) -> Result<(), TestCaseError> {
    let (_, trust, proved) = &*MADE;
    if let Ok(found) = verify(&bytes.into(), *trust) {
        prop_assert_eq!(&found, proved);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_that_were_changed_prove_nothing_else(
        places in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        let mut bytes = MADE.0.to_vec();
        for (place, with) in places {
            *place.get_mut(&mut bytes) ^= with;
        }
        says_the_same_or_nothing(bytes)?;
    }

    #[test]
    fn bytes_that_were_taken_out_or_put_in_prove_nothing_else(
        from in any::<prop::sample::Index>(), cut in 0..200_usize, put in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = MADE.0.to_vec();
        let from = from.index(bytes.len());
        let to = (from + cut).min(bytes.len());
        bytes.splice(from..to, put);
        says_the_same_or_nothing(bytes)?;
    }
}
