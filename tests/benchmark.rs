//! The benchmark runs to its end, from the command that the documents name. Its numbers are not looked at.

use std::fs;
use std::process::Command;

const DOCUMENT: &str = "# Before\n\n<!-- measured by the benchmark: begin -->\nold\n\
    <!-- measured by the benchmark: end -->\nafter\n";

#[test]
fn benchmark_finds_nothing_lost_or_outstanding_and_writes_its_table() {
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("performance.md");
    fs::write(&document, DOCUMENT).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--bench", "exchange", "--", "--quick", "--write"])
        .arg(&document)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let written = fs::read_to_string(&document).unwrap();
    for row in
        ["single calls | 1 ", "single calls | 64 ", "publishing stream | 1 ", "publishing stream | 64 "]
    {
        assert!(written.contains(&format!("\n| {row}")), "no row {row:?} in:\n{written}");
        assert!(printed.contains(row), "no row {row:?} in:\n{printed}");
    }
    assert!(written.starts_with("# Before\n") && written.ends_with("\nafter\n"), "{written}");
    assert!(!written.contains("old"), "{written}");
}
