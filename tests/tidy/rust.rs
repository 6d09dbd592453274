//! Reads the paths that a Rust file names (`a::b::c`, groups of `use` taken apart), without a full parser.
//!
//! Comments and literals are skipped. Knows inline modules, so that `self` and `super` resolve as the compiler does.

/// A path as a file names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    /// Its segments; `*` for a glob.
    pub(crate) segments: Vec<String>,
    /// The line, from 1.
    pub(crate) line: usize,
    /// The inline modules around it, outermost first.
    pub(crate) inside: Vec<String>,
}

/// Words that stand before a path and are no part of it.
const KEYWORDS: [&str; 16] = [
    "as", "const", "dyn", "else", "for", "if", "impl", "in", "let", "match", "move", "mut", "ref", "return",
    "use", "where",
];

struct Token {
    text: String,
    line: usize,
}

/// Gives every path of two or more segments, in the order of the file.
pub(crate) fn paths(source: &str) -> Vec<NamedPath> {
    let tokens = tokens(source);
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    let mut braces: Vec<Option<String>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let continues = at >= 2 && text(at - 1) == "::" && (is_name(text(at - 2)) || text(at - 2) == ">");
        match text(at) {
            "{" => {
                let opens_module = at >= 2 && text(at - 2) == "mod";
                braces.push(opens_module.then(|| text(at - 1).to_owned()));
            }
            "}" => drop(braces.pop()),
            head if is_name(head) && text(at + 1) == "::" && !continues => {
                let inside: Vec<_> = braces.iter().flatten().cloned().collect();
                at = tree(&tokens, at, &[], &inside, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one tree from its first segment on; gives the token after it.
fn tree(
    tokens: &[Token],
    start: usize,
    prefix: &[String],
    inside: &[String],
    found: &mut Vec<NamedPath>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    let mut at = start;
    loop {
        if text(at) == "{" {
            at += 1;
            while at < tokens.len() && text(at) != "}" {
                at = match text(at) {
                    item if is_name(item) || item == "*" || item == "{" => {
                        tree(tokens, at, &segments, inside, found)
                    }
                    _ => at + 1,
                };
            }
            return at + 1;
        }
        segments.push(text(at).to_owned());
        at += 1;
        let goes_on = text(at) == "::" && (is_name(text(at + 1)) || matches!(text(at + 1), "{" | "*"));
        if !goes_on {
            break;
        }
        at += 1;
    }
    if text(at) == "as" {
        at += 2;
    }
    found.push(NamedPath { segments, line: tokens[start].line, inside: inside.to_vec() });
    at
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && !KEYWORDS.contains(&text)
}

/// Splits source into names, `::`, single marks, and `"` for each literal; comments and lifetimes are left out.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut line = 1;
    while at < chars.len() {
        let start = at;
        let text = match (chars[at], chars.get(at + 1)) {
            (c, _) if c.is_whitespace() => {
                at += 1;
                None
            }
            ('/', Some('/' | '*')) => {
                at = after_comment(&chars, at);
                None
            }
            ('"', _) => {
                at = after_quoted(&chars, at, '"');
                Some("\"".to_owned())
            }
            ('\'', _) if is_char_literal(&chars, at) => {
                at = after_quoted(&chars, at, '\'');
                Some("\"".to_owned())
            }
            ('\'', _) => {
                at += 1;
                while at < chars.len() && is_name_part(chars[at]) {
                    at += 1;
                }
                None
            }
            (':', Some(':')) => {
                at += 2;
                Some("::".to_owned())
            }
            (c, _) if is_name_part(c) => {
                let (end, text) = name_or_literal(&chars, at);
                at = end;
                Some(text)
            }
            (c, _) => {
                at += 1;
                Some(c.to_string())
            }
        };
        tokens.extend(text.map(|text| Token { text, line }));
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_char_literal(chars: &[char], at: usize) -> bool {
    chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')
}

/// Reads a name, a number, or a literal that begins with letters: `r"…"`, `br#"…"#`, `b'…'`, `r#name`.
fn name_or_literal(chars: &[char], start: usize) -> (usize, String) {
    let mut at = start;
    while at < chars.len() && is_name_part(chars[at]) {
        at += 1;
    }
    let name: String = chars[start..at].iter().collect();
    let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
    let raw = matches!(name.as_str(), "r" | "br" | "cr");
    match chars.get(at + hashes) {
        Some('"') if raw => {
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            let body = at + hashes + 1;
            let length = chars[body..].windows(close.len()).position(|window| window == close);
            (length.map_or(chars.len(), |length| body + length + close.len()), "\"".to_owned())
        }
        Some(c) if raw && hashes == 1 && is_name_part(*c) => name_or_literal(chars, at + 1),
        Some('"') if hashes == 0 && matches!(name.as_str(), "b" | "c") => {
            (after_quoted(chars, at, '"'), "\"".to_owned())
        }
        Some('\'') if hashes == 0 && name == "b" => (after_quoted(chars, at, '\''), "\"".to_owned()),
        _ => (at, name),
    }
}

fn after_quoted(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn after_comment(chars: &[char], start: usize) -> usize {
    if chars[start + 1] == '/' {
        let length = chars[start..].iter().position(|c| *c == '\n');
        return length.map_or(chars.len(), |length| start + length);
    }
    let mut depth = 0_usize;
    let mut at = start;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let source = r##"
        //! crate::comment::skipped, and /* crate::too */
        /* /* crate::nested */ crate::skipped */
        use crate::{model::{id::Index, entry}, host::disk as d, wire::*};
        use ::std::{fs, io::{self, Read}};
        pub(in crate::journal) fn f<'a>(x: &'a str) -> <T as super::Trait>::Out {
            let _ = ("crate::string\" skipped", r#"crate::raw "skipped"#, b"crate::x", '"', '\'', 'a');
            crate::ledger::open::<u8>(x)
        }
        mod tests { mod deep { use super::super::frame; } use super::*; }
        $crate::hub::run!();
    "##;
    let found: Vec<_> = paths(source)
        .into_iter()
        .map(|path| format!("{} {} {}", path.line, path.segments.join("::"), path.inside.join("/")))
        .collect();
    let expected = [
        "4 crate::model::id::Index ",
        "4 crate::model::entry ",
        "4 crate::host::disk ",
        "4 crate::wire::* ",
        "5 std::fs ",
        "5 std::io::self ",
        "5 std::io::Read ",
        "6 crate::journal ",
        "6 super::Trait ",
        "8 crate::ledger::open ",
        "10 super::super::frame tests/deep",
        "10 super::* tests",
        "11 crate::hub::run ",
    ];
    assert_eq!(found, expected);
}
