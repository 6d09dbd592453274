//! Rules of the house: what a room may import, and what is named in one room only.
//!
//! Source: the tables under "Floors" and "What is absent where" in `ARCHITECTURE.md`.

use std::collections::BTreeMap;

use crate::rust::{NamedPath, paths};
use crate::tree::Source;
use crate::{assert_none, markdown, tree};

/// Who stands on which floor, and who may import a sibling.
struct House {
    floors: BTreeMap<String, i32>,
    sideways: Vec<(String, String)>,
}

impl House {
    fn of(architecture: &str) -> Self {
        let mut house = Self { floors: BTreeMap::new(), sideways: Vec::new() };
        for row in markdown::table(architecture, "Floors") {
            let floor = row[0].parse().unwrap_or_else(|_| panic!("{:?} is not a floor's number", row[0]));
            house.floors.extend(markdown::quoted(&row[1]).into_iter().map(|room| (room.to_owned(), floor)));
            let pairs = markdown::quoted(&row[2]);
            house.sideways.extend(pairs.chunks(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
        }
        house
    }

    /// Says what is wrong with a room importing another.
    fn objection(&self, from: &str, to: &str) -> Option<String> {
        let Some(above) = self.floors.get(from) else {
            return Some(format!("{from} stands on no floor of the table in ARCHITECTURE.md"));
        };
        let Some(below) = self.floors.get(to) else {
            return Some(format!(
                "{from} imports {to}, which stands on no floor of the table in ARCHITECTURE.md"
            ));
        };
        let sideways = || self.sideways.iter().any(|(a, b)| a == from && b == to);
        (from != to && below >= above && !sideways()).then(|| {
            format!("{from} (floor {above}) imports {to} (floor {below}): imports run downward only")
        })
    }
}

fn imports(house: &House, source: &Source) -> Vec<String> {
    let module = module_of(&source.path);
    let from = if source.path == "src/main.rs" { "main" } else { module.first().map_or("", String::as_str) };
    if from.is_empty() {
        return Vec::new();
    }
    let objection = |path: &NamedPath| {
        let to = room_of(&module, path)?;
        let objection = house.objection(from, &to)?;
        Some(format!("{}:{}: {objection}", source.path, path.line))
    };
    paths(&source.text).iter().filter_map(objection).collect()
}

/// Gives the room that a path leads into; `None` for a path out of the package, or of a name in scope.
fn room_of(module: &[String], path: &NamedPath) -> Option<String> {
    let here: Vec<&String> = module.iter().chain(&path.inside).collect();
    let ups = path.segments.iter().take_while(|segment| *segment == "super").count();
    let rest = |from: usize| path.segments.get(from).map_or_else(|| "crate".to_owned(), String::clone);
    match path.segments[0].as_str() {
        "crate" | "resguardo" => Some(rest(1)),
        "super" if ups >= here.len() => Some(rest(ups)),
        _ => None,
    }
}

fn module_of(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let names = inner.split('/').filter(|name| !matches!(*name, "lib" | "main" | "mod"));
    names.map(str::to_owned).collect()
}

/// Finds names that the table keeps to other rooms; `std::fs` covers all that lies under it.
/// Modules of tests are left out: they make folders, run tasks and break files as their room may not.
fn strays(architecture: &str, source: &Source) -> Vec<String> {
    let module = module_of(&source.path);
    let Some(room) = module.first() else { return Vec::new() };
    let tests = |names: &[String]| names.iter().any(|name| matches!(name.as_str(), "tests" | "contract"));
    if tests(&module) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for row in markdown::table(architecture, "What is absent where") {
        let rooms = markdown::quoted(&row[1]);
        if rooms.contains(&room.as_str()) {
            continue;
        }
        for kept in markdown::quoted(&row[0]) {
            let kept_segments: Vec<_> = kept.split("::").collect();
            let named = paths(&source.text).into_iter().filter(|path| {
                !tests(&path.inside)
                    && path.segments.len() >= kept_segments.len()
                    && path.segments.iter().zip(&kept_segments).all(|(found, kept)| found == kept)
            });
            let lines = named.map(|path| {
                format!(
                    "{}:{}: {kept} is for {} only, not for {room}",
                    source.path,
                    path.line,
                    rooms.join(", ")
                )
            });
            findings.extend(lines);
        }
    }
    findings
}

fn rust_sources() -> Vec<Source> {
    let mut sources = tree::sources(&[".rs"]);
    sources.retain(|source| source.path.starts_with("src/"));
    sources
}

#[test]
fn imports_run_downward_only() {
    let house = House::of(&tree::read("ARCHITECTURE.md"));
    let findings: Vec<_> = rust_sources().iter().flat_map(|source| imports(&house, source)).collect();
    assert_none(&findings);
}

#[test]
fn every_room_of_the_table_is_there() {
    let there = |room: &str| {
        let places = [format!("src/{room}.rs"), format!("src/{room}/mod.rs")];
        places.iter().any(|path| tree::top().join(path).is_file())
    };
    let house = House::of(&tree::read("ARCHITECTURE.md"));
    let missing = house.floors.keys().filter(|room| !there(room));
    assert_none(&missing.map(|room| format!("the room {room} is not there")).collect::<Vec<_>>());
}

#[test]
fn what_belongs_to_one_room_is_named_nowhere_else() {
    let architecture = tree::read("ARCHITECTURE.md");
    let findings: Vec<_> = rust_sources().iter().flat_map(|source| strays(&architecture, source)).collect();
    assert_none(&findings);
}

/// What runs a hub that looks at no signature: for a benchmark, never for the program.
const UNCHECKED: &str = "run_without_checking_signatures";

fn unchecked(source: &Source) -> Option<String> {
    let outside = source.path != "src/hub/run.rs" && source.text.contains(UNCHECKED);
    outside.then(|| format!("{} names {UNCHECKED}, which only a benchmark may call", source.path))
}

#[test]
fn program_cannot_reach_the_hub_that_looks_at_no_signature() {
    let defined = tree::read("src/hub/run.rs").matches(UNCHECKED).count();
    assert_eq!(defined, 1, "it is defined in src/hub/run.rs and called nowhere there");
    assert_none(&rust_sources().iter().filter_map(unchecked).collect::<Vec<_>>());
    let call = example("src/cli/hub.rs", "run::run_without_checking_signatures(host)");
    assert_eq!(
        unchecked(&call),
        Some("src/cli/hub.rs names run_without_checking_signatures, which only a benchmark may call".into())
    );
}

#[cfg(test)]
const EXAMPLE: &str = "\
## Floors
| floor | rooms | may import a sibling |
|---|---|---|
| 4 | `main` | |
| 3 | `cli` | |
| 2 | `hub`, `desk` | |
| 1 | `journal`, `ledger` | |
| 0 | `host`, `model` | `host` → `model` |

## What is absent where
| named | only in |
|---|---|
| `sled` | `ledger` |
| `std::fs`, `tokio` | `host`, `cli` |
";

fn example(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn an_import_upward_sideways_or_out_of_the_table_is_found() {
    let house = House::of(EXAMPLE);
    let cases = [
        (
            "src/journal/mod.rs",
            "use crate::model::id; use crate::host::disk; use crate::journal::frame;",
            None,
        ),
        ("src/host/clock.rs", "use crate::model::id;", None),
        ("src/main.rs", "fn main() { resguardo::cli::run() }", None),
        ("src/lib.rs", "pub use crate::cli::run;", None),
        ("src/journal/a.rs", "mod tests { use super::super::b::C; }", None),
        (
            "src/ledger/store.rs",
            "fn f() {\n    crate::hub::run()\n}",
            Some("src/ledger/store.rs:2: ledger (floor 1)"),
        ),
        ("src/journal/a.rs", "use crate::{model::id, ledger::View};", Some("imports ledger")),
        ("src/journal/a.rs", "use super::super::ledger::View;", Some("imports ledger")),
        ("src/journal/mod.rs", "mod inner { use super::super::hub; }", Some("imports hub")),
        ("src/model/id.rs", "use crate::host::disk;", Some("model (floor 0) imports host (floor 0)")),
        ("src/desk.rs", "use crate::hub::run;", Some("imports hub")),
        ("src/desk.rs", "use crate::*;", Some("imports *, which stands on no floor")),
        ("src/desk.rs", "use crate::attic::thing;", Some("imports attic, which stands on no floor")),
        ("src/attic/mod.rs", "use crate::model::id;", Some("attic stands on no floor")),
    ];
    for (path, text, expected) in cases {
        let found = imports(&house, &example(path, text));
        match expected {
            None => assert_none(&found),
            Some(words) => {
                assert_eq!(found.len(), 1, "{path}: {text}: {found:?}");
                assert!(found[0].contains(words), "{:?} does not say {words:?}", found[0]);
            }
        }
    }
}

#[test]
fn a_name_in_a_room_that_it_is_not_for_is_found() {
    assert_none(&strays(EXAMPLE, &example("src/ledger/store.rs", "use sled::Db; use std::io::Read;")));
    assert_none(&strays(
        EXAMPLE,
        &example("src/host/os.rs", "use std::fs::File; fn f() { tokio::spawn(x) }"),
    ));
    let found =
        strays(EXAMPLE, &example("src/model/id.rs", "use std::{fmt,\n fs::File}; fn f(_: sled::Db) {}"));
    assert_eq!(
        found,
        [
            "src/model/id.rs:2: sled is for ledger only, not for model",
            "src/model/id.rs:2: std::fs is for host, cli only, not for model",
        ]
    );
}
