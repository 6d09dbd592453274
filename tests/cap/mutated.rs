//! Documents damaged at random: import never panics, what it accepts survives, and it judges like a schema validator.

use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use resguardo::cap::{CapError, Fault, Notice, export, import};

use super::outside::{Validator, Verdict, folder};

const SAMPLES: [&str; 2] = [
    include_str!("../../examples/alerts/death-threat.xml"),
    include_str!("../../examples/alerts/death-threat-update.xml"),
];

/// Damaged documents that a schema validator judges beside us.
const JUDGED: usize = 1500;

/// Pieces that mean something to XML or to CAP.
const PIECES: [&str; 44] = [
    "<",
    ">",
    "&",
    "\"",
    "'",
    "/>",
    "</",
    "<!--",
    "-->",
    "--",
    "]]>",
    "<![CDATA[",
    "<?x?>",
    "&#0;",
    "&#65;",
    "&amp;",
    "&nbsp;",
    "xmlns=''",
    " a='b'",
    "<note>",
    "</note>",
    "<note/>",
    "<info>",
    "</info>",
    "<x/>",
    "\u{0}",
    "\u{7f}",
    "\u{ffff}",
    "é",
    "\r\n",
    " ",
    "\t",
    "Z",
    "-00:00",
    "+14:01",
    "24:00:00",
    "<ceiling>1</ceiling>",
    "<size>5</size>",
    "<polygon/>",
    "<circle>1,1 1</circle>",
    "<altitude>1.5</altitude>",
    "<web>a b</web>",
    "<code>c</code>",
    "\u{202e}",
];

/// One damage to a document.
#[derive(Clone, Debug)]
enum Damage {
    Delete(Index, usize),
    Repeat(Index, usize),
    Insert(Index, &'static str),
    Replace(Index, char),
    /// Moves a whole line: elements out of order, missing and repeated.
    MoveLine(Index, Index),
    DeleteLine(Index),
    RepeatLine(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        (at(), 1..20_usize).prop_map(|(at, len)| Damage::Delete(at, len)),
        (at(), 1..20_usize).prop_map(|(at, len)| Damage::Repeat(at, len)),
        (at(), select(&PIECES[..])).prop_map(|(at, piece)| Damage::Insert(at, piece)),
        (at(), any::<char>()).prop_map(|(at, character)| Damage::Replace(at, character)),
        (at(), at()).prop_map(|(from, to)| Damage::MoveLine(from, to)),
        at().prop_map(Damage::DeleteLine),
        at().prop_map(Damage::RepeatLine),
    ]
}

impl Damage {
    fn done_to(&self, document: &str) -> String {
        let characters: Vec<char> = document.chars().collect();
        let mut lines: Vec<&str> = document.split_inclusive('\n').collect();
        if characters.is_empty() {
            return String::new();
        }
        let cut = |at: &Index, len: usize| {
            let from = at.index(characters.len());
            (from, (from + len).min(characters.len()))
        };
        let joined = |parts: [&[char]; 3]| parts.concat().into_iter().collect();
        match self {
            Self::Delete(at, len) => {
                let (from, to) = cut(at, *len);
                joined([&characters[..from], &[], &characters[to..]])
            }
            Self::Repeat(at, len) => {
                let (from, to) = cut(at, *len);
                joined([&characters[..to], &characters[from..to], &characters[to..]])
            }
            Self::Insert(at, piece) => {
                let (from, _) = cut(at, 0);
                joined([&characters[..from], &piece.chars().collect::<Vec<_>>(), &characters[from..]])
            }
            Self::Replace(at, character) => {
                let (from, to) = cut(at, 1);
                joined([&characters[..from], &[*character], &characters[to..]])
            }
            Self::MoveLine(from, to) => {
                let line = lines.remove(from.index(lines.len()));
                lines.insert(to.index(lines.len() + 1), line);
                lines.concat()
            }
            Self::DeleteLine(at) => {
                lines.remove(at.index(lines.len()));
                lines.concat()
            }
            Self::RepeatLine(at) => {
                let place = at.index(lines.len());
                lines.insert(place, lines[place]);
                lines.concat()
            }
        }
    }
}

/// A sample with some damage.
fn damaged() -> impl Strategy<Value = String> {
    (select(&SAMPLES[..]), vec(damage(), 1..4)).prop_map(|(sample, damages)| {
        damages.iter().fold(sample.to_owned(), |document, d| d.done_to(&document))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn damaged_document_never_panics_and_survives_if_accepted(document in damaged()) {
        if let Ok(imported) = import(document.as_bytes()) {
            let again = import(export(&imported.alert).as_bytes());
            prop_assert_eq!(again.map(|imported| imported.alert), Ok(imported.alert));
        }
    }

    #[test]
    fn damaged_bytes_never_panic(
        sample in select(&SAMPLES[..]),
        encode in select(vec![0, 1, 2]),
        damages in vec((any::<Index>(), any::<u8>()), 0..6),
        end in any::<Index>(),
    ) {
        let mut bytes: Vec<u8> = match encode {
            0 => sample.bytes().collect(),
            1 => sample.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            _ => [0xfe, 0xff].into_iter().chain(sample.encode_utf16().flat_map(u16::to_be_bytes)).collect(),
        };
        for (at, byte) in damages {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len() * 2) + 1);
        let _ = import(&bytes);
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = import(&bytes);
    }
}

#[test]
fn damaged_real_documents_never_panic() {
    let Some(folder) = folder("damage to real documents") else { return };
    let mut runner = TestRunner::default();
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(document) = fs::read_to_string(&file) else { continue };
        for _ in 0..(1_000_000 / (document.len() + 1)).clamp(1, 50) {
            let damaged = damage().new_tree(&mut runner).unwrap().current().done_to(&document);
            if let Ok(imported) = import(damaged.as_bytes()) {
                let again = import(export(&imported.alert).as_bytes()).unwrap().alert;
                assert_eq!(again, imported.alert, "{}", file.display());
            }
        }
    }
}

/// What we accept is well-formed, and valid but for white space that is remarked; what is valid we refuse only for
/// what the schema cannot say: sense, names, references, shapes, and a DOCTYPE.
#[test]
fn damaged_documents_are_judged_as_the_schema_judges_them() {
    let Some(validator) = Validator::find("the schema's verdict on damaged documents") else { return };
    let mut runner = TestRunner::default();
    let documents: Vec<String> =
        (0..JUDGED).map(|_| damaged().new_tree(&mut runner).unwrap().current()).collect();
    let mut tally = [0; 3];
    for (document, verdict) in documents.iter().zip(validator.judge(&documents)) {
        tally[verdict as usize] += 1;
        let ours = import(document.as_bytes());
        let agree = match (&ours, verdict) {
            (Ok(_), Verdict::Valid) | (Err(_), Verdict::Invalid | Verdict::IllFormed) => true,
            (Ok(imported), Verdict::Invalid) => {
                imported.warnings.iter().any(|w| w.notice == Notice::SpaceTrimmed)
            }
            (Ok(_), Verdict::IllFormed) => false,
            (Err(error), Verdict::Valid) => is_own_rule(error),
        };
        assert!(
            agree,
            "the schema says {verdict:?}, we say {:?}:\n{document}",
            ours.map(|imported| imported.warnings)
        );
    }
    println!("valid, invalid, ill-formed: {tally:?}");
    assert!(tally.iter().all(|&count| count > JUDGED / 20), "the damage is of all kinds: {tally:?}");
}

/// Says whether a refusal is for a rule that the standard's text has and its schema has not.
fn is_own_rule(error: &CapError) -> bool {
    let of_the_text = ["identifier", "sender", "references", "polygon", "circle", "size"];
    match error.fault {
        Fault::Sense { .. } | Fault::Doctype => true,
        Fault::Value { .. } => of_the_text.contains(&error.element.as_str()),
        _ => false,
    }
}
