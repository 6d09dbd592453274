//! A configuration as text: every key with what it is for, what may stand there, and what does.
//!
//! Owns the form. What is printed is a `hub.toml` that reads back to the same configuration.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::Config;
use super::keys::{KEYS, Key, Kind};

/// What stands where a key may be left out.
const METRICS_EXAMPLE: &str = "127.0.0.1:9464";

impl Config {
    /// Writes it, whole, with every default.
    pub fn to_text(&self) -> String {
        let table = self.table();
        let mut text =
            "# The configuration in effect: what hub.toml says, and the default of what it leaves out.\n"
                .to_owned();
        let mut within = "";
        for key in KEYS {
            let (section, name) = key.name.split_once('.').unwrap_or(("", key.name));
            text.push('\n');
            if section != within {
                within = section;
                put(&mut text, format_args!("[{section}]\n"));
            }
            let Key { kind, effect, about, .. } = key;
            put(&mut text, format_args!("# {about}\n# {kind}; a change counts: {effect}\n"));
            match value(&table, key.name) {
                Some(value) => put(&mut text, format_args!("{name} = {value}\n")),
                None => put(&mut text, format_args!("# {name} = \"{METRICS_EXAMPLE}\"\n")),
            }
        }
        text
    }

    /// It as a table of TOML.
    pub(super) fn table(&self) -> Table {
        Table::try_from(self).expect("names, addresses and numbers below 2^63 can be written as TOML")
    }
}

/// What stands at a key.
pub(super) fn value<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        Some((section, name)) => table.get(section)?.get(name),
        None => table.get(key),
    }
}

/// The number that stands at a key that has one.
pub(super) fn number(table: &Table, key: &Key) -> Option<u64> {
    match key.kind {
        Kind::Number(..) => {
            value(table, key.name)?.as_integer().and_then(|number| u64::try_from(number).ok())
        }
        Kind::Name | Kind::Address | Kind::Loopback => None,
    }
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "name = 'dev'\nlisten = '127.0.0.1:0'\n";

    #[test]
    fn what_is_printed_reads_back_to_the_same() {
        for text in [
            LEAST.to_owned(),
            format!(
                "{LEAST}metrics = '[::1]:9464'\n[limits]\ngrace_ms = 500\n[journal]\nsegment_bytes = 2097152\n"
            ),
        ] {
            let config = Config::parse(&text).unwrap();
            let printed = config.to_text();
            assert_eq!(Config::parse(&printed).unwrap(), config, "{printed}");
            assert_eq!(Config::parse(&printed).unwrap().to_text(), printed);
        }
        let printed = Config::parse(LEAST).unwrap().to_text();
        assert!(printed.contains("# Largest payload.\n# 1 to 3145728 bytes; a change counts: while running\npayload_bytes_max = 262144\n"), "{printed}");
    }

    #[test]
    fn every_key_is_in_the_list_and_everything_in_the_list_is_a_key() {
        let whole = Config::parse(&format!("{LEAST}metrics = '127.0.0.1:1'")).unwrap().table();
        let mut there = Vec::new();
        for (name, value) in &whole {
            match value {
                Value::Table(section) => there.extend(section.keys().map(|key| format!("{name}.{key}"))),
                _ => there.push(name.clone()),
            }
        }
        let mut listed: Vec<_> = KEYS.iter().map(|key| key.name.to_owned()).collect();
        there.sort();
        listed.sort();
        assert_eq!(there, listed);
    }

    #[test]
    fn the_page_says_of_each_key_what_the_program_does() {
        let page = include_str!("../../../docs/configuration.md");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
        let defaults = Config::parse(LEAST).unwrap().table();
        for key in KEYS {
            let default = match key.kind {
                Kind::Number(..) => value(&defaults, key.name).map_or_else(String::new, ToString::to_string),
                Kind::Loopback => "none".to_owned(),
                Kind::Name | Kind::Address => "must be given".to_owned(),
            };
            let Key { name, kind, effect, about } = key;
            let row = format!("| `{name}` | {kind} | {default} | {effect} | {about} |");
            assert!(rows.contains(&row.as_str()), "docs/configuration.md lacks this row:\n{row}");
        }
        assert_eq!(rows.len(), KEYS.len(), "docs/configuration.md has a key that is none");
    }
}
