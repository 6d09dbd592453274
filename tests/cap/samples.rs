//! Our own samples: what they say, survives, and how they look to a person.

use resguardo::cap::{Facts, MsgType, Priority, Scope, Status, export, import, render};

use super::outside::{Validator, Verdict};
use super::tree::leaves;

const ALERT: &str = include_str!("../../examples/alerts/death-threat.xml");
const UPDATE: &str = include_str!("../../examples/alerts/death-threat-update.xml");

#[test]
fn samples_survive_and_the_schema_accepts_them() {
    for document in [ALERT, UPDATE] {
        let imported = import(document.as_bytes()).unwrap();
        assert_eq!(imported.warnings, []);
        let exported = export(&imported.alert);
        assert_eq!(leaves(&exported), leaves(document));
        assert_eq!(import(exported.as_bytes()).unwrap().alert, imported.alert);
        if let Some(validator) = Validator::find("the schema's verdict on our samples") {
            assert_eq!(validator.judge(&[document, &exported]), [Verdict::Valid; 2]);
        }
    }
}

#[test]
fn update_counts_for_the_alert_and_not_the_other_way_round() {
    let [alert, update] = [ALERT, UPDATE].map(|document| import(document.as_bytes()).unwrap().alert);
    let [facts, later] = [&alert, &update].map(Facts::of);
    assert_eq!(
        (facts.status, facts.msg_type, facts.scope),
        (Status::Exercise, MsgType::Alert, Scope::Restricted)
    );
    assert_eq!((facts.priority, later.priority), (Priority::Urgent, Priority::Urgent));
    assert_eq!((facts.expires_unix_micros, later.expires_unix_micros), (None, Some(1_773_790_800_000_000)));
    assert!(later.counts_for(&alert.reference()));
    assert!(!facts.counts_for(&update.reference()));
    assert!(!later.counts_for(&update.reference()));
}

#[test]
fn card_says_exercise_first_and_shows_the_language_asked_for() {
    let alert = import(ALERT.as_bytes()).unwrap().alert;
    let card = render::text(&alert, &["es"]);
    assert!(card.lines().nth(1).unwrap().starts_with("  *** EXERCISE ***  this is not a real event"));
    for line in [
        "Status       Exercise",
        "Scope        Restricted",
        "Restriction  | Offices of the Joint Action Mechanism only. Do not contact the",
        "             | defender except as the instruction says.",
        "Headline     | Amenaza de muerte contra una defensora del territorio",
        "Urgency      Immediate",
        "Event code   | HURIDOCS:MT4 = 020103020000",
        "Area         | Honduras",
        "  code       | ISO3166-1 = HN",
        "Not shown    | en",
    ] {
        assert!(card.lines().any(|found| found == line), "{line}\nin\n{card}");
    }
    let both = render::text(&alert, &["en", "es"]);
    assert!(both.find("Death threat against").unwrap() < both.find("Amenaza de muerte contra").unwrap());
}

#[test]
fn encoding_does_not_change_what_an_alert_says() {
    let expected = import(ALERT.as_bytes()).unwrap().alert;
    let declared = |name: &str| ALERT.replace("encoding=\"UTF-8\"", &format!("encoding=\"{name}\""));
    let utf_16 = |document: &str, mark: bool, bytes_of: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let mark = if mark { "\u{feff}" } else { "" };
        format!("{mark}{document}").encode_utf16().flat_map(bytes_of).collect()
    };
    // Characters that an encoding does not have are written as numbers, as programs do.
    let single = |name: &str, has: fn(char) -> Option<u8>| -> Vec<u8> {
        let bytes_of =
            |c| has(c).map_or_else(|| format!("&#{};", u32::from(c)).into_bytes(), |byte| vec![byte]);
        declared(name).chars().flat_map(bytes_of).collect()
    };
    for (name, bytes) in [
        ("UTF-8, marked", ["\u{feff}".as_bytes(), ALERT.as_bytes()].concat()),
        ("UTF-8, Windows line ends", ALERT.replace('\n', "\r\n").into_bytes()),
        ("UTF-8, undeclared", ALERT.split_once("?>\n").unwrap().1.as_bytes().to_vec()),
        ("UTF-16LE, marked", utf_16(&declared("UTF-16"), true, u16::to_le_bytes)),
        ("UTF-16BE, marked", utf_16(&declared("UTF-16"), true, u16::to_be_bytes)),
        ("UTF-16LE", utf_16(&declared("UTF-16LE"), false, u16::to_le_bytes)),
        ("UTF-16BE", utf_16(&declared("UTF-16BE"), false, u16::to_be_bytes)),
        ("US-ASCII", single("US-ASCII", |c| u8::try_from(c).ok().filter(u8::is_ascii))),
        ("ISO-8859-1", single("ISO-8859-1", |c| u8::try_from(c).ok())),
        (
            "windows-1252",
            single("windows-1252", |c| match c {
                '“' => Some(0x93),
                '”' => Some(0x94),
                c => u8::try_from(c).ok(),
            }),
        ),
    ] {
        let imported = import(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((imported.alert, imported.warnings), (expected.clone(), vec![]), "{name}");
        if let Some(validator) = Validator::find("the schema's verdict on encodings") {
            assert_eq!(validator.judge(&[&bytes]), [Verdict::Valid], "{name}");
        }
    }
}
