//! What the fuzzer's targets do (`fuzz/`), done to each of their seeds and to some hundred mutations of it: a share of fuzzing for every
//! run of the tests.
//!
//! `RESGUARDO_SEED` begins with another seed, `RESGUARDO_MUTATIONS` says how many there are of each file.

#[expect(dead_code, unreachable_pub, reason = "the fuzzer's own package has more use for it")]
#[expect(clippy::cast_possible_truncation, reason = "its journals are short")]
#[path = "../../fuzz/src/exchange.rs"]
mod exchange;
#[expect(dead_code, unreachable_pub, reason = "the fuzzer's own package has more use for it")]
#[expect(clippy::cast_possible_truncation, reason = "its journals are short")]
#[path = "../../fuzz/src/hub.rs"]
mod hub;
#[cfg(test)]
mod run;
#[expect(unreachable_pub, reason = "it is a library's in the fuzzer's own package")]
#[path = "../../fuzz/src/segment.rs"]
mod segment;
#[expect(unreachable_pub, reason = "it is a library's in the fuzzer's own package")]
#[expect(clippy::cast_possible_truncation, reason = "its numbers are small")]
#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

macro_rules! stand_what_is_mutated {
    ($($test:ident: $target:ident,)*) => { $(
        #[test]
        fn $test() {
            run::mutated(stringify!($target), targets::$target::run);
        }
    )* };
}

stand_what_is_mutated! {
    answers_of_a_hub_count_as_they_were_signed: answers,
    an_alert_is_read_back_as_it_was_written: cap,
    a_hub_with_all_witnesses_says_nothing_for_an_office: colluding,
    what_is_inside_a_sealing_is_read_back: content,
    an_entry_of_the_directory_is_read_back: directory,
    what_an_entry_states_is_read_back: entry,
    an_envelope_is_read_back: envelope,
    evidence_states_nothing_else: evidence,
    an_export_states_nothing_else: exported,
    a_journal_is_read_the_same_in_each_way: journal,
    papers_of_offices_are_read_back: papers,
    notes_and_proofs_are_read_back_byte_for_byte: proof,
    a_receipt_is_read_back: receipt,
    a_sealed_file_gives_no_more_than_it_has: stanza,
    what_people_write_is_read_back: text,
}
