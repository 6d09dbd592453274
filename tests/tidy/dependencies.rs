//! A rule of dependencies: each stands in `ARCHITECTURE.md` with its reason, and nothing stands there that is gone.

use std::collections::BTreeSet;

use crate::rust::paths;
use crate::{assert_none, markdown, tree};

/// Named by the generated code only.
const GENERATED: [&str; 1] = ["tonic-prost"];

fn used(manifest: &toml::Table) -> BTreeSet<&str> {
    let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
    let tables = kinds.iter().filter_map(|kind| manifest.get(*kind)?.as_table());
    tables.flat_map(|table| table.keys().map(String::as_str)).collect()
}

fn differences(manifest: &str, architecture: &str) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let used = used(&manifest);
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

fn unnamed(manifest: &str, sources: &[&str]) -> Vec<String> {
    let manifest: toml::Table = manifest.parse().expect("Cargo.toml is TOML");
    let named: BTreeSet<String> =
        sources.iter().flat_map(|text| paths(text)).map(|path| path.segments[0].clone()).collect();
    let unnamed = used(&manifest).into_iter().filter(|name| !named.contains(&name.replace('-', "_")));
    let unnamed = unnamed.filter(|name| !GENERATED.contains(name));
    unnamed.map(|name| format!("{name} is in Cargo.toml, and no code names it")).collect()
}

#[test]
fn every_dependency_is_named_somewhere() {
    let sources = tree::sources(&[".rs"]);
    let texts: Vec<_> = sources.iter().map(|source| source.text.as_str()).collect();
    assert_none(&unnamed(&tree::read("Cargo.toml"), &texts));
}

#[test]
fn a_dependency_that_no_code_names_is_found() {
    let manifest = "[dependencies]\na-b = '1'\nc = '1'\n";
    assert_none(&unnamed(manifest, &["use a_b::X;", "#[derive(c::D)] struct S;"]));
    let found = unnamed(manifest, &["use a_b::X; use x::c::Y; // c::Z"]);
    assert_eq!(found, ["c is in Cargo.toml, and no code names it"]);
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
