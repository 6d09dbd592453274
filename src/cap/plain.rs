//! Text that cannot act on a terminal.
//!
//! Owns the one place where words of an alert are made safe to print: control characters (ANSI escapes among
//! them), bidirectional overrides and invisible characters are shown as `\u{…}`. It never changes what an alert says,
//! only how it is shown. Source: Unicode Technical Report 36, section 2 (visual spoofing), and UAX 9.

/// Characters of a document that an error or a warning quotes at most: enough to find the place.
const EXCERPT_CHARS_MAX: usize = 60;

/// Shows `text` with every character that could act on a terminal or hide made visible; keeps `\n` as it is, and
/// a tab becomes a space.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push('\n'),
            '\t' => shown.push(' '),
            hidden if acts_or_hides(hidden) => shown.extend(hidden.escape_unicode()),
            harmless => shown.push(harmless),
        }
    }
    shown
}

/// Quotes the beginning of `text` for an error: one line, harmless, in backquotes.
pub(super) fn excerpt(text: &str) -> String {
    let mut characters = text.trim().chars();
    let head: String = characters.by_ref().take(EXCERPT_CHARS_MAX).collect();
    let more = if characters.next().is_some() { "…" } else { "" };
    format!("`{}{more}`", visible(&head).replace('\n', "\\n"))
}

/// Says whether a character controls the terminal, reorders its neighbours, or cannot be seen; `\n` and `\t` too.
pub fn acts_or_hides(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_overrides_are_shown_instead_of_obeyed() {
        for (hostile, harmless) in [
            ("\u{1b}[2Jcleared", "\\u{1b}[2Jcleared"),
            ("\u{9b}31mred", "\\u{9b}31mred"),
            ("bell\u{7}\u{8}\u{7f}", "bell\\u{7}\\u{8}\\u{7f}"),
            ("over\rwritten", "over\\u{d}written"),
            ("\u{202e}txet", "\\u{202e}txet"),
            ("\u{2066}isolate\u{2069}", "\\u{2066}isolate\\u{2069}"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
            ("tag\u{e0041}", "tag\\u{e0041}"),
            ("line\u{2028}para\u{2029}", "line\\u{2028}para\\u{2029}"),
            ("a\tb\nc", "a b\nc"),
            ("Ñandú, São, 日本 🕯", "Ñandú, São, 日本 🕯"),
        ] {
            assert_eq!(visible(hostile), harmless);
        }
    }

    #[test]
    fn excerpt_is_one_short_line() {
        assert_eq!(excerpt(" a\nb "), "`a\\nb`");
        assert_eq!(excerpt(&"x".repeat(70)), format!("`{}…`", "x".repeat(60)));
    }
}
