//! A rule of dependencies: each stands in `ARCHITECTURE.md` with its reason, and nothing stands there that is gone.

use std::collections::BTreeSet;

use crate::{assert_none, markdown, tree};

fn differences(manifest: &str, architecture: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
    let tables = kinds.iter().filter_map(|kind| manifest.get(*kind)?.as_table());
    let used: BTreeSet<&str> = tables.flat_map(|table| table.keys().map(String::as_str)).collect();
    let rows = markdown::table(architecture, "Dependencies");
    let explained: BTreeSet<&str> = rows
        .iter()
        .filter(|row| row.len() >= 2 && !row[1].is_empty())
        .flat_map(|row| markdown::quoted(&row[0]))
        .collect();
    let missing =
        used.difference(&explained).map(|name| format!("{name} is used, and no row gives its reason"));
    let gone = explained.difference(&used).map(|name| format!("{name} has a row, and is not in Cargo.toml"));
    missing.chain(gone).collect()
}

#[test]
fn every_dependency_has_its_reason() {
    assert_none(&differences(&tree::read("Cargo.toml"), &tree::read("ARCHITECTURE.md")));
}

#[test]
fn a_dependency_without_a_reason_is_found() {
    let manifest = "[dependencies]\na = '1'\n[build-dependencies]\nb = '1'\n[dev-dependencies]\nc = '1'\n";
    let table = |rows: &str| format!("## Dependencies\n| crate | why |\n|---|---|\n{rows}");
    assert_none(&differences(manifest, &table("| `a`, `b` | both |\n| `c` | tests |\n")));
    let found = differences(manifest, &table("| `a` | |\n| `c`, `d` | tests |\n"));
    let expected = [
        "a is used, and no row gives its reason",
        "b is used, and no row gives its reason",
        "d has a row, and is not in Cargo.toml",
    ];
    assert_eq!(found, expected);
}
