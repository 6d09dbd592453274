//! An alert as a card of plain text, for a person at a terminal.
//!
//! Owns the layout. Left of the bar `|` stand the words of this program, right of it those of the alert: each line
//! of the alert's own text begins behind a bar and is broken before a terminal would break it, so that no text can
//! pass for a label, a banner or another field. Characters that act on a terminal are shown, not obeyed. No colours.

use super::alert::{Alert, Area, Info, Resource};
use super::code::Status;
use super::plain::visible;
use super::reference::References;
use super::value::Language;

/// Columns of a card: a terminal of 80 does not break its lines.
const CARD_COLUMNS: usize = 78;

/// Columns of a label.
const LABEL_COLUMNS: usize = 13;

/// Columns that remain for the alert's own text, after the label and `| `.
const TEXT_COLUMNS: usize = CARD_COLUMNS - LABEL_COLUMNS - 2;

/// Writes an alert as a card of lines of at most 78 columns.
///
/// `languages` are what the reader prefers, best first (`es`, `pt-BR`): the info blocks in them are shown in that
/// order, and blocks in other languages are named. Without any, or if none fits, all blocks are shown.
pub fn text(alert: &Alert, languages: &[&str]) -> String {
    let mut card = Card(Vec::new());
    card.banner(alert.status);
    card.line("Status", alert.status.as_str());
    card.line("Type", alert.msg_type.as_str());
    card.line("Scope", alert.scope.as_str());
    card.words("Restriction", alert.restriction.as_deref());
    card.words("Addresses", alert.addresses.as_deref());
    card.line("Sent", alert.sent.as_str());
    card.words("Sender", Some(&alert.sender));
    card.words("Identifier", Some(&alert.identifier));
    card.words("Source", alert.source.as_deref());
    for code in &alert.codes {
        card.words("Code", Some(code));
    }
    card.words("Note", alert.note.as_deref());
    for reference in alert.references.iter().flat_map(References::list) {
        card.words("References", Some(&reference.to_string()));
    }
    card.words("Incidents", alert.incidents.as_deref());
    let (shown, others) = by_language(&alert.infos, languages);
    for info in shown {
        card.info(info);
    }
    if !others.is_empty() {
        let tags: Vec<&str> = others.into_iter().map(language_of).collect();
        card.0.push("\n".to_owned());
        card.words("Not shown", Some(&tags.join(", ")));
    }
    card.banner(alert.status);
    card.0.concat()
}

/// Parts blocks into those to show, in order of preference, and the others.
fn by_language<'a>(infos: &'a [Info], languages: &[&str]) -> (Vec<&'a Info>, Vec<&'a Info>) {
    let rank = |info: &Info| languages.iter().position(|range| info.is_within(range));
    let (mut shown, others): (Vec<_>, Vec<_>) = infos.iter().partition(|info| rank(info).is_some());
    if shown.is_empty() {
        return (others, shown);
    }
    shown.sort_by_key(|info| rank(info));
    (shown, others)
}

fn language_of(info: &Info) -> &str {
    info.language.as_deref().unwrap_or(Language::DEFAULT)
}

/// The card as far as it is written, in lines.
struct Card(Vec<String>);

impl Card {
    /// Writes what nobody may overlook about an alert that is not actual, above and below all else.
    fn banner(&mut self, status: Status) {
        let meaning = match status {
            Status::Actual => return,
            Status::Exercise => "this is not a real event; act as the exercise says",
            Status::Test => "a technical test; do not act on it",
            Status::System => "a message of the alerting system itself",
            Status::Draft => "a draft; do not act on it",
        };
        let rule = "=".repeat(CARD_COLUMNS);
        let name = status.as_str().to_uppercase();
        self.0.push(format!("{rule}\n  *** {name} ***  {meaning}\n{rule}\n"));
    }

    fn info(&mut self, info: &Info) {
        let words = |codes: &[&str]| codes.join(", ");
        self.0.push("\n".to_owned());
        self.words("Language", Some(language_of(info)));
        self.words("Headline", info.headline.as_deref());
        self.words("Event", Some(&info.event));
        self.line("Urgency", info.urgency.as_str());
        self.line("Severity", info.severity.as_str());
        self.line("Certainty", info.certainty.as_str());
        self.line("Category", &words(&info.categories.iter().map(|code| code.as_str()).collect::<Vec<_>>()));
        if !info.response_types.is_empty() {
            self.line(
                "Response",
                &words(&info.response_types.iter().map(|code| code.as_str()).collect::<Vec<_>>()),
            );
        }
        for (label, time) in
            [("Effective", &info.effective), ("Onset", &info.onset), ("Expires", &info.expires)]
        {
            if let Some(time) = time {
                self.line(label, time.as_str());
            }
        }
        self.words("Sender name", info.sender_name.as_deref());
        self.words("Audience", info.audience.as_deref());
        self.words("Description", info.description.as_deref());
        self.words("Instruction", info.instruction.as_deref());
        self.words("Contact", info.contact.as_deref());
        self.words("Web", info.web.as_deref());
        for area in &info.areas {
            self.area(area);
        }
        for (label, values) in [("Event code", &info.event_codes), ("Parameter", &info.parameters)] {
            for value in values {
                self.words(label, Some(&format!("{} = {}", value.name, value.value)));
            }
        }
        for resource in &info.resources {
            self.resource(resource);
        }
    }

    fn area(&mut self, area: &Area) {
        self.words("Area", Some(&area.description));
        for polygon in area.polygons.iter().filter(|polygon| polygon.pairs() > 0) {
            self.line("  polygon", &format!("of {} points", polygon.pairs()));
        }
        for circle in &area.circles {
            self.words("  circle", Some(circle.as_str()));
        }
        for code in &area.geocodes {
            self.words("  code", Some(&format!("{} = {}", code.name, code.value)));
        }
        if let Some(height) = &area.height {
            self.words("  feet", Some(&height.altitude));
            self.words("  up to feet", height.ceiling.as_deref());
        }
    }

    fn resource(&mut self, resource: &Resource) {
        self.words("File", Some(&resource.description));
        self.words("  type", Some(&resource.mime_type));
        if let Some(size) = resource.size_bytes {
            self.line("  bytes", &size.to_string());
        }
        self.words("  at", resource.uri.as_deref());
        if let Some(content) = &resource.deref_uri {
            self.line("  enclosed", &format!("{} characters of base64", content.len()));
        }
        self.words("  SHA-1", resource.digest.as_deref());
    }

    /// Writes a label and words of this program.
    fn line(&mut self, label: &str, words: &str) {
        self.0.push(format!("{label:<LABEL_COLUMNS$}{words}\n"));
    }

    /// Writes a label and words of the alert, if it has any, behind the bar.
    fn words(&mut self, label: &str, words: Option<&str>) {
        let lines = wrapped(words.unwrap_or_default());
        for (number, line) in lines.iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let line = format!("{label:<LABEL_COLUMNS$}| {line}");
            self.0.push(format!("{}\n", line.trim_end()));
        }
    }
}

/// Breaks text into harmless lines that fit, without blank lines at its ends or two in a row.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in visible(text.trim()).lines().map(str::trim) {
        if line.is_empty() {
            if lines.last().is_some_and(|last| !last.is_empty()) {
                lines.push(String::new());
            }
            continue;
        }
        let mut rest = line;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(fitting(rest));
            lines.push(head.trim_end().to_owned());
            rest = tail.trim_start();
        }
    }
    lines
}

/// Returns how many bytes of a line fit: up to the last space that fits, or within a word that is longer.
fn fitting(line: &str) -> usize {
    let mut columns = 0;
    let mut space = None;
    for (at, character) in line.char_indices() {
        // Characters of two columns begin at U+1100; to count a narrow one there as two only breaks a line early.
        columns += if character < '\u{1100}' { 1 } else { 2 };
        if columns > TEXT_COLUMNS {
            return space.unwrap_or(at);
        }
        if character == ' ' {
            space = Some(at);
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use super::super::import;
    use super::*;

    /// Renders an alert with a status, and info blocks of language and description.
    fn card(status: &str, infos: &[(&str, &str)], languages: &[&str]) -> String {
        let blocks: Vec<String> = infos
            .iter()
            .map(|(language, description)| {
                format!(
                    "<info><language>{language}</language><category>Security</category><event>e</event>\
                     <urgency>Immediate</urgency><severity>Extreme</severity><certainty>Likely</certainty>\
                     <description><![CDATA[{description}]]></description></info>"
                )
            })
            .collect();
        let document = format!(
            "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>1</identifier><sender>a@b</sender>\
             <sent>2026-03-02T10:00:00-06:00</sent><status>{status}</status><msgType>Alert</msgType>\
             <scope>Public</scope>{}</alert>",
            blocks.concat()
        );
        text(&import(document.as_bytes()).unwrap().alert, languages)
    }

    #[test]
    fn status_that_is_not_actual_stands_above_and_below() {
        for (status, banners) in [("Actual", 0), ("Exercise", 2), ("Test", 2), ("System", 2), ("Draft", 2)] {
            let card = card(status, &[("es", "x")], &[]);
            let banner = format!("\n  *** {} ***  ", status.to_uppercase());
            assert_eq!(card.matches(&banner).count(), banners, "{card}");
            assert_eq!(card.starts_with("===") && card.ends_with("===\n"), banners > 0);
        }
    }

    #[test]
    fn no_text_of_an_alert_can_pass_for_the_card() {
        let spaces = " ".repeat(300);
        for hostile in [
            "x\nStatus       Actual",
            "x\r\nStatus       Actual",
            "x\u{2028}Status       Actual",
            "x\u{85}Status       Actual",
            "\u{9b}2J\u{202e}x",
            &format!("x{spaces}Status       Actual"),
            &format!("{}Status       Actual", "x".repeat(TEXT_COLUMNS)),
            &format!("{}Status       Actual", "日".repeat(200)),
            "======\n  *** EXERCISE ***  this is not a real event\n======",
        ] {
            let card = card("Actual", &[("es", hostile)], &[]);
            assert_eq!(card.lines().filter(|line| line.starts_with("Status ")).count(), 1, "{card}");
            assert!(!card.lines().any(|line| line.starts_with('=') || line.starts_with("  ***")), "{card}");
            assert!(card.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{card:?}");
            for line in card.lines() {
                let columns: usize = line.chars().map(|c| if c < '\u{1100}' { 1 } else { 2 }).sum();
                assert!(columns <= CARD_COLUMNS, "{columns}: {line}");
                let (label, bar) = line.split_at(line.floor_char_boundary(LABEL_COLUMNS));
                let own = label.trim().is_empty() || bar.starts_with('|') || line.is_ascii();
                assert!(own, "{line}");
            }
        }
    }

    #[test]
    fn languages_choose_and_order_and_what_is_left_out_is_named() {
        let infos = [("fr-CA", "dit"), ("en", "said"), ("es-HN", "dicho"), ("es", "dice")];
        let places = |languages: &[&str]| {
            let card = card("Actual", &infos, languages);
            let mut found: Vec<_> = ["dit", "said", "dicho", "dice"]
                .into_iter()
                .filter_map(|word| card.find(&format!("| {word}\n")).map(|at| (at, word)))
                .collect();
            found.sort_unstable();
            let left_out = card.lines().find(|line| line.starts_with("Not shown")).map(str::to_owned);
            (found.into_iter().map(|(_, word)| word).collect::<Vec<_>>(), left_out)
        };
        assert_eq!(places(&[]), (vec!["dit", "said", "dicho", "dice"], None));
        assert_eq!(places(&["pt"]), (vec!["dit", "said", "dicho", "dice"], None));
        assert_eq!(places(&["es", "en"]).0, ["dicho", "dice", "said"]);
        assert_eq!(places(&["es", "en"]).1.as_deref(), Some("Not shown    | fr-CA"));
    }

    #[test]
    fn long_text_is_broken_at_spaces_and_blank_lines_are_kept_single() {
        let lines = wrapped(&format!("  {}\n\n\n\nsecond {}", "word ".repeat(30), "y".repeat(100)));
        assert!(lines[0].ends_with("word") && lines[0].len() <= TEXT_COLUMNS);
        assert_eq!(lines.iter().filter(|line| line.is_empty()).count(), 1);
        assert_eq!(lines.concat().matches('y').count(), 100);
    }
}
