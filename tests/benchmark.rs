//! The benchmarks run to their ends, from the commands that the documents name. Their numbers are not looked at.

use std::fs;
use std::process::Command;

#[test]
fn exchange_finds_nothing_lost_or_outstanding_and_writes_its_table() {
    let rows = [
        "sign | ",
        "verify | ",
        "seal for seven | ",
        "open | ",
        "bare, opaque: single calls | 1 ",
        "hub, opaque: single calls | 1 ",
        "hub, opaque: publishing stream | 64 ",
        "bare, signed: publishing stream | 64 ",
        "hub, signed: single calls | 64 ",
        "hub, signed: publishing stream | 1 ",
        "hub, sealed: single calls | 1 ",
        "hub, sealed: publishing stream | 64 ",
        "nothing | 0.0 |",
        "files up | ",
        "files down | ",
        // With the logs and without.
        "signed: single calls | ",
        "signed: publishing stream | ",
        "opaque: single calls | ",
        "opaque: publishing stream | ",
        // Step by step.
        "TCP, between two programs | ",
        "+ HTTP/2 and gRPC | ",
        "+ until an office has it | ",
    ];
    let names = ["the benchmark", "the benchmark of the logs", "the benchmark of the steps"];
    written("exchange", &names, "steps.svg", &rows).expect("the steps are drawn beside their table");
}

#[test]
fn year_finds_its_evidence_in_the_tree_and_writes_its_table() {
    let rows = [
        "messages | 200 |",
        "entries of the journal | 2800 |",
        "tiles of hashes: files; MiB; MiB on the disk | 10; ",
        "bundles of records: files; MiB; MiB on the disk | 10; ",
        "what a round adds | ",
        "verifying it, p50 / p99 ms | ",
        "an export: messages; entries; MiB | 20; ",
        "as many entries as all days have, at that rate: GiB; making, h; verifying, h | ",
    ];
    assert_eq!(written("year", &["the benchmark of a year"], "year.svg", &rows), None, "nothing to draw");
}

#[test]
fn growth_finds_nothing_lost_or_outstanding_and_writes_its_table_and_curve() {
    let rows = [
        "messages stored | 500 | 2000 |",
        "start after SIGKILL",
        "start without a ledger",
        "offices, each with a session | 6 | 20 | 210 |",
        "messages that an alert to all takes | 1 | 1 | 2 |",
        "messages outstanding when an office comes back | ",
    ];
    let names = [
        "the growth benchmark",
        "the growth benchmark of offices",
        "the growth benchmark of what is outstanding",
    ];
    let curve = written("growth", &names, "growth.svg", &rows).expect("a curve is beside the table");
    let points = curve.matches(" points=\"").count();
    assert_eq!(points, 2, "a line for the rate and one for the memory: {curve}");
}

/// Runs a benchmark shortly, with a document that has the marks of all these parts; gives the picture that it drew beside its table,
/// if it did.
fn written(benchmark: &str, names: &[&str], picture: &str, rows: &[&str]) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let document = folder.path().join("performance.md");
    let mark = |name: &str, it: &str| format!("<!-- measured by {name}: {it} -->");
    let part = |name: &&str| format!("{}\nold\n{}\n", mark(name, "begin"), mark(name, "end"));
    let parts: String = names.iter().map(part).collect();
    fs::write(&document, format!("# Before\n\n{parts}after\n")).expect("it can be written");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--bench", benchmark, "--", "--quick", "--write"])
        .arg(&document)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let written = fs::read_to_string(&document).expect("it can be read");
    for row in rows {
        assert!(written.contains(&format!("\n| {row}")), "no row {row:?} in:\n{written}");
        assert!(printed.contains(row), "no row {row:?} in:\n{printed}");
    }
    assert!(written.starts_with("# Before\n") && written.ends_with("\nafter\n"), "{written}");
    assert!(!written.contains("old"), "{written}");
    let drawn = fs::read_to_string(folder.path().join(picture)).ok()?;
    assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"), "{drawn}");
    Some(drawn)
}
