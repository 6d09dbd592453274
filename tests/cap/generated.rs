//! Alerts made at random from all that the model can hold: export and import give them back, the schema accepts them.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use resguardo::cap::{
    Alert, AlertParts, Area, Category, Certainty, Circle, Decimal, Height, Identifier, Info, Language,
    MsgType, NamedValue, Polygon, Reference, References, Resource, ResponseType, Scope, Sender, Severity,
    Status, Text, Time, Urgency, Uri, export, import, render,
};

use super::outside::{Validator, Verdict};

/// Alerts that the schema judges in one run.
const JUDGED: usize = 300;

fn text() -> impl Strategy<Value = Text> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9 ,.]{1,8}",
        2 => select(vec!["<", ">", "&", "\"", "'", "]]>", "&amp;", "<!--", "<![CDATA[", "%"]).prop_map(str::to_owned),
        2 => select(vec!["\n", "\t", "\r", "\r\n", "  ", "\u{85}", "\u{2028}"]).prop_map(str::to_owned),
        2 => any::<char>().prop_map(|c| c.to_string()),
    ];
    vec(piece, 0..12).prop_filter_map("characters of XML", |pieces| Text::new(&pieces.concat()).ok())
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9@._:/>\"é-]{1,20}"
}

fn time() -> impl Strategy<Value = Time> {
    let day = (1..=9999_u16, 1..=12_u8, 1..=31_u8);
    let clock = (0..=23_u8, 0..=59_u8, 0..=59_u8);
    (day, clock, select(vec!['+', '-']), 0..=14_u8, 0..=59_u8).prop_filter_map(
        "days of the calendar",
        |((year, month, day), (hour, minute, second), sign, hours, minutes)| {
            let day = format!("{year:04}-{month:02}-{day:02}");
            let clock = format!("{hour:02}:{minute:02}:{second:02}");
            Time::new(&format!("{day}T{clock}{sign}{hours:02}:{minutes:02}")).ok()
        },
    )
}

fn language() -> impl Strategy<Value = Language> {
    "[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8}){0,2}".prop_map(|tag| Language::new(&tag).unwrap())
}

/// URIs of any letters that [`Uri`] takes, so that the schema's verdict tells whether it takes too much.
fn uri() -> impl Strategy<Value = Uri> {
    let scheme = select(vec!["", "http://", "https://", "mailto:", "urn:", "//", "/"]);
    (scheme, r"[a-z0-9:/?#@%&=+$,;!~*'() \[\]{}|^\\<>é.-]{0,12}")
        .prop_filter_map("URIs", |(scheme, rest)| Uri::new(&format!("{scheme}{rest}")).ok())
}

fn decimal() -> impl Strategy<Value = Decimal> {
    r"[+-]?([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12})".prop_map(|number| Decimal::new(&number).unwrap())
}

fn pair() -> impl Strategy<Value = String> {
    (-90.0..=90.0_f64, -180.0..=180.0_f64).prop_map(|(lat, lon)| format!("{lat},{lon}"))
}

fn polygon() -> impl Strategy<Value = Polygon> {
    let space = select(vec![" ", "\n", "  \t"]);
    prop_oneof![
        1 => Just(Polygon::new("").unwrap()),
        5 => (vec(pair(), 3..8), space).prop_map(|(mut pairs, space)| {
            pairs.push(pairs[0].clone());
            Polygon::new(&pairs.join(space)).unwrap()
        }),
    ]
}

fn circle() -> impl Strategy<Value = Circle> {
    (pair(), 0.0..20_000.0_f64).prop_map(|(centre, km)| Circle::new(&format!("{centre} {km}")).unwrap())
}

fn named_values() -> impl Strategy<Value = Vec<NamedValue>> {
    vec((text(), text()).prop_map(|(name, value)| NamedValue { name, value }), 0..3)
}

fn resource() -> impl Strategy<Value = Resource> {
    (text(), text(), of(0..=999_999_999_999_999_999_u64), of(uri()), of(text()), of(text())).prop_map(
        |(description, mime_type, size_bytes, uri, deref_uri, digest)| Resource {
            description,
            mime_type,
            size_bytes,
            uri,
            deref_uri,
            digest,
        },
    )
}

fn area() -> impl Strategy<Value = Area> {
    let height = (decimal(), of(decimal())).prop_map(|(altitude, ceiling)| Height { altitude, ceiling });
    (text(), vec(polygon(), 0..3), vec(circle(), 0..3), named_values(), of(height)).prop_map(
        |(description, polygons, circles, geocodes, height)| Area {
            description,
            polygons,
            circles,
            geocodes,
            height,
        },
    )
}

prop_compose! {
    fn info()(
        (language, categories, event) in (of(language()), vec(select(Category::ALL), 1..4), text()),
        (response_types, urgency) in (vec(select(ResponseType::ALL), 0..4), select(Urgency::ALL)),
        (severity, certainty) in (select(Severity::ALL), select(Certainty::ALL)),
        (audience, event_codes) in (of(text()), named_values()),
        (effective, onset, expires) in (of(time()), of(time()), of(time())),
        (sender_name, headline, description) in (of(text()), of(text()), of(text())),
        (instruction, web, contact) in (of(text()), of(uri()), of(text())),
        (parameters, resources, areas) in (named_values(), vec(resource(), 0..3), vec(area(), 0..3)),
    ) -> Info {
        Info {
            language, categories, event, response_types, urgency, severity, certainty, audience, event_codes,
            effective, onset, expires, sender_name, headline, description, instruction, web, contact, parameters,
            resources, areas,
        }
    }
}

fn references() -> impl Strategy<Value = References> {
    let one = (name(), name(), time()).prop_filter_map("names", |(sender, identifier, sent)| {
        let (sender, identifier) = (Sender::new(&sender).ok()?, Identifier::new(&identifier).ok()?);
        Some(Reference { sender, identifier, sent }.to_string())
    });
    (vec(one, 0..4), select(vec![" ", "\n  ", "\t"]))
        .prop_map(|(list, space)| References::parse(&list.join(space)).unwrap())
}

prop_compose! {
    fn parts()(
        (identifier, sender, sent) in (name(), name(), time()),
        (status, msg_type, scope) in (select(Status::ALL), select(MsgType::ALL), select(Scope::ALL)),
        (source, restriction, addresses) in (of(text()), of(text()), of(text())),
        (codes, note, references) in (vec(text(), 0..3), of(text()), of(references())),
        (incidents, infos) in (of(text()), vec(info(), 0..3)),
    ) -> AlertParts {
        AlertParts {
            identifier: Identifier::new(&identifier).unwrap(), sender: Sender::new(&sender).unwrap(), sent, status,
            msg_type, source, scope, restriction, addresses, codes, note, references, incidents, infos,
        }
    }
}

fn alert() -> impl Strategy<Value = Alert> {
    parts().prop_filter_map("alerts that make sense", |parts| Alert::new(parts).ok())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn export_and_import_give_the_same_alert(alert in alert()) {
        let document = export(&alert);
        let imported = import(document.as_bytes());
        prop_assert_eq!(imported.map(|imported| imported.alert), Ok(alert), "{}", document);
    }

    #[test]
    fn card_of_any_alert_is_harmless_and_fits(alert in alert()) {
        for line in render::text(&alert, &["es"]).lines() {
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
            prop_assert!(line.chars().count() <= 78, "{:?}", line);
        }
    }
}

#[test]
fn schema_accepts_every_export() {
    let Some(validator) = Validator::find("the schema's verdict on generated alerts") else { return };
    let mut runner = TestRunner::default();
    let documents: Vec<String> =
        (0..JUDGED).map(|_| export(&alert().new_tree(&mut runner).unwrap().current())).collect();
    for (document, verdict) in documents.iter().zip(validator.judge(&documents)) {
        assert_eq!(verdict, Verdict::Valid, "{document}");
    }
}
