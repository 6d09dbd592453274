//! A rule of documents: a command that a document tells its reader to run is there.
//!
//! `resguardo …` and `cargo run … -- …` are followed through the program's own `--help`, flags included;
//! scripts and targets of cargo must lie in the tree. Runs nothing but `--help`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::tree::{self, Source};
use crate::{assert_none, markdown};

/// What ends one command on a line and begins another.
const SEPARATORS: [&str; 5] = ["|", "||", "&&", ";", "&"];

/// What one `--help` lists.
struct Help {
    commands: Vec<String>,
    /// Each with whether a value follows it.
    options: Vec<(String, bool)>,
}

impl Help {
    fn of(text: &str) -> Self {
        let mut help = Self { commands: Vec::new(), options: Vec::new() };
        let mut lists_commands = false;
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            if indent == 0 {
                lists_commands = line == "Commands:";
            } else if lists_commands && indent == 2 {
                help.commands.extend(line.split_whitespace().next().map(str::to_owned));
            } else if line.trim_start().starts_with('-') && indent <= 6 {
                let spec = line.trim().split("  ").next().unwrap_or_default();
                let takes_value = spec.contains('<') && !spec.contains("[=");
                let names = spec.split([' ', ',', '=', '[', '.']).filter(|word| word.starts_with('-'));
                help.options.extend(names.map(|name| (name.to_owned(), takes_value)));
            }
        }
        help
    }
}

/// Follows the words after the program's name; `help` gives the text of `--help` of a chain of subcommands.
fn objection(words: &[String], help: &dyn Fn(&[String]) -> String) -> Option<String> {
    let mut chain: Vec<String> = Vec::new();
    let mut level = Help::of(&help(&chain));
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            break;
        } else if word.starts_with('-') {
            let name = word.split('=').next().unwrap_or_default();
            let Some((_, takes_value)) = level.options.iter().find(|(option, _)| option == name) else {
                return Some(format!("`resguardo {}` has no option {name}", chain.join(" ")));
            };
            if *takes_value && !word.contains('=') {
                rest.next();
            }
        } else if level.commands.contains(word) {
            chain.push(word.clone());
            level = Help::of(&help(&chain));
        } else if !level.commands.is_empty() || chain.is_empty() {
            return Some(format!("`resguardo {}` has no command {word}", chain.join(" ")));
        }
    }
    None
}

/// Finds commands of blocks of code that the program, cargo or the tree does not have.
fn unknown_commands(document: &Source, help: &dyn Fn(&[String]) -> String) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, command) in commands(&document.text) {
        let program = command.iter().position(|word| !word.contains('=')).unwrap_or(0);
        let arguments = &command[(program + 1).min(command.len())..];
        let found = match command.get(program).map(String::as_str) {
            Some("cargo") => cargo_objection(arguments, help),
            Some(word) if word == "resguardo" || word.ends_with("/resguardo") => objection(arguments, help),
            _ => None,
        };
        findings.extend(found.map(|words| format!("{}:{line}: {words}", document.path)));
    }
    findings
}

fn cargo_objection(arguments: &[String], help: &dyn Fn(&[String]) -> String) -> Option<String> {
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let (own, passed) = arguments.split_at(end);
    for (option, folder) in [("--bench", "benches"), ("--example", "examples"), ("--test", "tests")] {
        let Some(name) = own.iter().skip_while(|word| *word != option).nth(1) else { continue };
        let there = [format!("{folder}/{name}.rs"), format!("{folder}/{name}/main.rs")]
            .iter()
            .any(|path| tree::top().join(path).is_file());
        if !there {
            return Some(format!("{folder} has no target {name}"));
        }
        return None;
    }
    (own.first().is_some_and(|word| word == "run") && !passed.is_empty())
        .then(|| objection(&passed[1..], help))
        .flatten()
}

/// Takes the commands out of a document's shell blocks, each with its line.
///
/// In a block with prompts (`$ `) the rest is output.
fn commands(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut commands = Vec::new();
    for block in markdown::blocks(text) {
        if !matches!(block.language.as_str(), "" | "sh" | "bash" | "shell" | "console") {
            continue;
        }
        let prompted = block.lines.iter().any(|(_, line)| line.trim_start().starts_with("$ "));
        let mut line_of: Option<usize> = None;
        let mut whole = String::new();
        for (number, line) in &block.lines {
            let said = line.trim_start().strip_prefix("$ ");
            if line_of.is_none() && prompted && said.is_none() {
                continue;
            }
            let said = said.unwrap_or(line);
            let start = *line_of.get_or_insert(*number);
            whole.push_str(said.trim_end_matches('\\'));
            if said.ends_with('\\') {
                continue;
            }
            let words = words(&whole);
            let parts = words.split(|word| SEPARATORS.contains(&word.as_str()));
            commands.extend(parts.filter(|part| !part.is_empty()).map(|part| (start, part.to_vec())));
            whole.clear();
            line_of = None;
        }
    }
    commands
}

/// Splits a line as a shell would, as far as documents need: quotes, comments, redirections left out.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in line.chars().chain([' ']) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ' ' | '\t') if !word.is_empty() => words.push(std::mem::take(&mut word)),
            (None, ' ' | '\t') => {}
            (None, ';') => {
                words.extend(
                    [std::mem::take(&mut word), ";".to_owned()].into_iter().filter(|it| !it.is_empty()),
                );
            }
            (_, c) => word.push(c),
        }
    }
    let comment = words.iter().position(|word| word.starts_with('#')).unwrap_or(words.len());
    words.truncate(comment);
    while let Some(at) = words.iter().position(|word| is_redirection(word)) {
        let alone = words[at].ends_with(['>', '<']) && at + 1 < words.len();
        words.drain(at..=at + usize::from(alone));
    }
    words
}

/// `<FILE>` is a place to fill in, not a redirection.
fn is_redirection(word: &str) -> bool {
    let to_fill_in = word.len() > 1 && word.starts_with('<') && word.ends_with('>');
    word.trim_start_matches('2').starts_with(['>', '<']) && !to_fill_in
}

/// Finds scripts that a document names anywhere and that are not there, or cannot be run.
fn unknown_scripts(document: &Source, runnable: &dyn Fn(&str) -> bool) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(document.text.lines()) {
        let path_part = |c: char| c.is_alphanumeric() || "/._-".contains(c);
        for word in line.split(|c: char| !path_part(c)) {
            let path = word.trim_start_matches("./").trim_end_matches(['.', '/']);
            let script = path.strip_prefix("scripts/").or_else(|| path.strip_prefix(".ci/"));
            if script.is_some_and(|name| !name.is_empty()) && !runnable(path) {
                findings.push(format!("{}:{number}: {path} is not there, or cannot be run", document.path));
            }
        }
    }
    findings
}

fn run_help(chain: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_resguardo")).args(chain).arg("--help").output();
    let output = output.expect("the program was built with this test and starts");
    String::from_utf8(output.stdout).expect("help is UTF-8")
}

fn is_runnable(path: &str) -> bool {
    let metadata = tree::top().join(path).metadata();
    metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[test]
fn commands_in_documents_exist() {
    let documents = tree::sources(&[".md"]);
    assert_none(&documents.iter().flat_map(|it| unknown_commands(it, &run_help)).collect::<Vec<_>>());
}

#[test]
fn the_readme_has_the_two_commands_of_a_newcomer() {
    let readme = Source { path: "README.md".to_owned(), text: tree::read("README.md") };
    let commands: Vec<_> = commands(&readme.text).into_iter().map(|(_, words)| words.join(" ")).collect();
    for command in ["cargo run --release -- demo", "scripts/test"] {
        assert!(commands.iter().any(|said| said == command), "README.md does not have {command:?}");
    }
}

#[test]
fn scripts_in_documents_can_be_run() {
    let documents = tree::sources(&[".md"]);
    assert_none(&documents.iter().flat_map(|it| unknown_scripts(it, &is_runnable)).collect::<Vec<_>>());
}

#[cfg(test)]
fn example(text: &str) -> Source {
    Source { path: "A.md".to_owned(), text: text.to_owned() }
}

#[test]
fn a_command_that_is_not_there_is_found() {
    let help = |chain: &[String]| {
        let text = match chain.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => {
                "Usage: x\n\nCommands:\n  publish  Hands in\n  demo     Shows\n\nOptions:\n      --home <DIR>  Where\n  \
                 -h, --help        Print help\n\nExample:\n  resguardo other\n"
            }
            ["publish"] => "Commands:\n  alert  An alert\n\nOptions:\n      --home <DIR>  Where\n",
            ["publish", "alert"] => {
                "Arguments:\n  <FILE>\n          The file\n\nOptions:\n      --to <OFFICE>...\n          To\n      \
                 --allow-public\n          --no-option in words\n"
            }
            ["demo"] => "Options:\n      --keep  Keeps\n",
            _ => panic!("asked for {chain:?}"),
        };
        text.to_owned()
    };
    let cases = [
        ("resguardo --home 'a b' publish alert f.xml --to x \\\n  --allow-public # note", None),
        ("A=1 ./target/release/resguardo demo --keep > out; resguardo publish alert --to=x -- --y", None),
        ("cargo run --release -- demo\ncargo test --locked\ncargo test --test tidy", None),
        ("$ resguardo demo\nresguardo shows this", None),
        ("resguardo publish alert <FILE> --to x 2>&1 < in | tail", None),
        ("resguardo demo <FILE> --kept", Some("has no option --kept")),
        ("resguardo demos", Some("A.md:2: `resguardo ` has no command demos")),
        ("true && resguardo other", Some("`resguardo ` has no command other")),
        ("cargo run -- publish packet", Some("`resguardo publish` has no command packet")),
        (
            "resguardo publish alert f --no-option",
            Some("`resguardo publish alert` has no option --no-option"),
        ),
        ("resguardo --keep demo", Some("`resguardo ` has no option --keep")),
        ("cargo bench --bench no-such", Some("benches has no target no-such")),
    ];
    for (block, expected) in cases {
        let found = unknown_commands(&example(&format!("```sh\n{block}\n```\n")), &help);
        match expected {
            None => assert_none(&found),
            Some(words) => {
                assert_eq!(found.len(), 1, "{block}: {found:?}");
                assert!(found[0].contains(words), "{:?} does not say {words:?}", found[0]);
            }
        }
    }
    assert_none(&unknown_commands(&example("```text\nresguardo other\n```\n"), &help));
}

#[test]
fn a_script_that_cannot_be_run_is_found() {
    let runnable = |path: &str| path == "scripts/test";
    assert_none(&unknown_scripts(
        &example("Run `./scripts/test`, then scripts/test. In scripts/ lie others."),
        &runnable,
    ));
    let found = unknown_scripts(&example("a\n`bash .ci/go`"), &runnable);
    assert_eq!(found, ["A.md:2: .ci/go is not there, or cannot be run"]);
}
