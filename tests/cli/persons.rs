//! Person blocks: from a file to a card, and out of an office only for whom they may go to.

use std::path::Path;

use super::stage::{Ran, Stage, example};

const PERSONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/alerts/persons.toml");
/// The names of the example, and whether each may go to the government, and to the public.
const NAMES: [(&str, bool, bool); 3] = [
    ("Defensora Uno (ejercicio)", true, false),
    ("Comité de Defensa del Territorio (ejercicio)", true, true),
    ("Comunidad del Río (ejercicio)", false, false),
];
const CONTACT: &str = "no llamar a su teléfono";
const MEASURE: &str = "Traslado de la familia";

/// A hub, and an alert with three blocks that has come to `iachr`; gives its id.
fn published() -> (Stage, String) {
    let stage = Stage::set();
    let published =
        &stage.objects("ohchr-honduras", &["publish", "alert", &example(), "--person", PERSONS])[0];
    stage.well("iachr", &["subscribe", "--count", "1"]);
    let id = published["message_id"].as_str().unwrap().to_owned();
    (stage, id)
}

fn text(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn blocks_are_shown_whole_where_they_came_and_where_they_were_sent() {
    let (stage, id) = published();
    for home in ["iachr", "ohchr-honduras"] {
        let card = stage.well(home, &["show", &id]);
        for words in [
            "Person 1 of 3",
            "Group 2 of 3",
            "Community 3 of 3",
            "Name        | Defensora Uno (ejercicio)",
            CONTACT,
            MEASURE,
            "MC-000-26",
            "only the country may be shown",
            "may not be shown at all",
            "the name may go to the government",
            "the name may NOT stand in a public report",
            "not asked: the name may NOT go to the government",
            "no safe way is known",
        ] {
            assert!(card.contains(words), "{home}: {words}: {card}");
        }
        let persons = &stage.objects(home, &["show", &id])[0]["persons"];
        let first = &persons[0];
        assert_eq!((&first["kind"], &first["name"]), (&"person".into(), &NAMES[0].0.into()));
        assert_eq!((&first["place"], &first["measures"][1]), (&"country".into(), &MEASURE.into()));
        assert!(first["contact"].as_str().unwrap().contains(CONTACT));
        let consents: Vec<_> = persons.as_array().unwrap().iter().collect();
        let said = consents.iter().map(|it| (&it["name_to_government"], &it["name_in_public_report"]));
        let (yes, no, unasked) = ("yes".into(), "no".into(), "unasked".into());
        assert!(said.eq([(&yes, &no), (&yes, &yes), (&unasked, &unasked)]), "{persons}");
    }
}

#[test]
fn an_export_has_only_blocks_with_a_yes_and_says_what_it_leaves_out() {
    let (stage, id) = published();
    let (xml, file) = (stage.path("exported.xml"), stage.path("persons-out.toml"));
    let places = [xml.to_str().unwrap(), file.to_str().unwrap()];
    for (audience, may, left_out) in [
        ("government", NAMES.map(|it| it.1), ["were not asked: 3", "areas are left out"]),
        ("public", NAMES.map(|it| it.2), ["said no: 1", "were not asked: 3"]),
    ] {
        for home in ["iachr", "ohchr-honduras"] {
            let to = ["--output", places[0], "--persons-to", places[1]];
            let ran = stage.run(home, &[&["export", &id, "--for", audience], &to[..]].concat());
            assert_eq!(ran.code, 0, "{ran:?}");
            let (xml, persons) = (text(&xml), text(&file));
            for ((name, ..), may) in NAMES.into_iter().zip(may) {
                assert_eq!(persons.contains(name), may, "{name} for {audience}: {persons}");
                assert!(!xml.contains(name) && !ran.out.contains(name) && !ran.err.contains(name));
            }
            for theirs in [CONTACT, MEASURE] {
                assert!(!format!("{xml}{persons}{}", ran.out).contains(theirs), "{theirs} for {audience}");
            }
            assert!(left_out.iter().all(|words| ran.err.contains(words)), "{ran:?}");
            // A place of which only the country may be shown: whether an area is that, nobody can tell.
            assert!(!xml.contains("<area>"), "{xml}");
            assert!(resguardo::cap::import(xml.as_bytes()).is_ok(), "{xml}");
        }
    }
    let public = text(&file);
    assert!(public.contains("place = \"region\"") && !public.contains("name_to_government"), "{public}");
}

#[test]
fn without_a_word_for_whom_no_block_leaves_and_for_own_use_all_do() {
    let (stage, id) = published();
    let plain = stage.run("iachr", &["export", &id]);
    assert_eq!(plain.code, 0, "{plain:?}");
    assert!(plain.err.contains("own use") && plain.err.contains("3 person blocks"), "{plain:?}");
    assert!(plain.out.contains("<area>"), "{plain:?}");
    for (name, ..) in NAMES {
        assert!(!plain.out.contains(name), "{plain:?}");
    }
    let file = stage.path("persons-out.toml");
    let file = file.to_str().unwrap();
    let nobody: Ran = stage.run("iachr", &["export", &id, "--persons-to", file]);
    assert_eq!(nobody.code, 2, "blocks leave for somebody: {nobody:?}");
    stage.well("iachr", &["export", &id, "--for", "own-use", "--persons-to", file]);
    // What is exported for own use is what the next alert about them takes.
    let again =
        &stage.objects("ohchr-honduras", &["publish", "alert", &stage.alert("two"), "--person", file])[0];
    let shown = |id: &str| stage.objects("ohchr-honduras", &["show", id])[0]["persons"].clone();
    assert_eq!(shown(again["message_id"].as_str().unwrap()), shown(&id));
}

#[test]
fn a_name_in_the_alerts_own_text_is_told_and_keeps_the_whole_from_leaving() {
    let stage = Stage::set();
    let named = super::alerts::alert("one", "")
        .replace("Titular one", "Amenaza contra COMUNIDAD del rio (ejercicio)");
    let file = stage.file("one", &named);
    let ran = stage.run("ohchr-honduras", &["--json", "publish", "alert", &file, "--person", PERSONS]);
    assert!(ran.code == 0 && ran.err.contains("name of person block 3"), "{ran:?}");
    let id = super::stage::objects(&ran.out).last().unwrap()["message_id"].as_str().unwrap().to_owned();
    for audience in ["government", "public"] {
        let kept = stage.run("ohchr-honduras", &["export", &id, "--for", audience]);
        assert!(kept.code == 2 && kept.out.is_empty() && kept.err.contains("block 3"), "{kept:?}");
    }
    stage.well("ohchr-honduras", &["export", &id, "--for", "own-use"]);
}

#[test]
fn a_command_for_each_message_gets_the_alert_and_no_block() {
    let (stage, _) = published();
    let heard = stage.path("heard");
    stage.well(
        "ohchr-mexico",
        &["subscribe", "--count", "1", "--exec", &format!("cat > {}", heard.display())],
    );
    super::stage::until("the command has run", || heard.exists() && text(&heard).contains("</alert>"));
    let heard = text(&heard);
    assert!(heard.starts_with("<?xml") && NAMES.iter().all(|(name, ..)| !heard.contains(name)), "{heard}");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line_and_nothing_is_published() {
    let stage = Stage::without_hub();
    let file = stage.path("persons-in.toml");
    let block = "[[person]]\nkind = \"group\"\nname = \"B\"\n";
    for (text, words) in [
        (format!("{block}place = \"town\"\n"), "persons-in.toml, line 4: place: exact, municipality,"),
        (format!("{block}consent = \"yes\"\n"), "persons-in.toml, line 4: unknown field `consent`"),
        (block.replace('B', ""), "persons-in.toml, line 3: name: 1 to 256 bytes expected"),
        (block.replace("\"B\"", "B"), "persons-in.toml, line 3: "),
        ("# nobody\n".to_owned(), "persons-in.toml, it has no [[person]]"),
        (block.repeat(65), "persons-in.toml, line 193: 64 persons at most"),
    ] {
        std::fs::write(&file, text).unwrap();
        let ran = stage
            .run("ohchr-honduras", &["publish", "alert", &example(), "--person", file.to_str().unwrap()]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains(words) && ran.err.contains("Nothing was published"), "{words}: {ran:?}");
    }
    assert!(stage.names("ohchr-honduras/outbox", "").is_empty());
}
