//! Rules of every file: its length, the doc at its head, and words that do not belong.

use crate::assert_none;
use crate::tree::{self, Source};

/// Longest file of Rust or protobuf, in lines: what one sitting reads.
const LINES_MAX: usize = 500;

/// Marks of work left for later. Put together here, so that this file does not find itself.
const UNWANTED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > LINES_MAX).then(|| format!("{} has {lines} lines; at most {LINES_MAX} are allowed", source.path))
}

fn undocumented(source: &Source) -> Option<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let said = first.strip_prefix("//!").is_some_and(|words| !words.trim().is_empty());
    (!said).then(|| format!("{} does not begin with a //! doc that says what it is", source.path))
}

fn unwanted(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(source.text.lines()) {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        findings.extend(
            words
                .find(|word| UNWANTED.contains(word))
                .map(|word| format!("{}:{number}: {word} does not belong here", source.path)),
        );
        // A test that is left out holds nothing; a test that cannot run says so where it is read.
        if line.trim_start().starts_with(concat!("#[", "ignore")) {
            findings.push(format!("{}:{number}: a test that is left out", source.path));
        }
    }
    findings
}

#[test]
fn no_file_is_longer_than_one_sitting() {
    let findings: Vec<_> = tree::sources(&[".rs", ".proto"]).iter().filter_map(too_long).collect();
    assert_none(&findings);
}

#[test]
fn every_module_and_test_begins_with_a_doc() {
    let findings: Vec<_> = tree::sources(&[".rs"]).iter().filter_map(undocumented).collect();
    assert_none(&findings);
}

#[test]
fn no_mark_of_unfinished_work_is_left() {
    let endings = [".rs", ".proto", ".md", ".toml", ".yaml", ".ci/run", "scripts/test"];
    let findings: Vec<_> = tree::sources(&endings).iter().flat_map(unwanted).collect();
    assert_none(&findings);
}

fn example(text: &str) -> Source {
    Source { path: "src/a.rs".to_owned(), text: text.to_owned() }
}

#[test]
fn a_long_file_is_found() {
    assert_eq!(too_long(&example(&"\n".repeat(LINES_MAX))), None);
    let found = too_long(&example(&"\n".repeat(LINES_MAX + 1)));
    assert_eq!(found.as_deref(), Some("src/a.rs has 501 lines; at most 500 are allowed"));
}

#[test]
fn a_file_without_a_doc_is_found() {
    assert_eq!(undocumented(&example("//! Says what it is.\n")), None);
    for bad in ["", "//!\n", "// words\n", "\n//! late\n", "use std::fmt;\n//! later\n"] {
        assert!(undocumented(&example(bad)).is_some(), "{bad:?}");
    }
}

#[test]
fn an_unwanted_word_is_found() {
    let longer = UNWANTED[2].repeat(2);
    assert_none(&unwanted(&example(&format!("todos los derechos; mktemp name.{longer}; ignore = true"))));
    for word in UNWANTED {
        let found = unwanted(&example(&format!("//! a\n// {word}: later")));
        assert_eq!(found, [format!("src/a.rs:2: {word} does not belong here")]);
    }
    let left_out = unwanted(&example(concat!("    #[", "ignore = \"slow\"]")));
    assert_eq!(left_out, ["src/a.rs:1: a test that is left out"]);
}
