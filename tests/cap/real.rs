//! Real documents from the folder of samples, each with the verdict that is expected of us.

use std::fs;

use resguardo::cap::{Imported, Notice, export, import};

use super::outside::{Validator, Verdict, folder};
use super::tree::leaves;

/// Documents that are accepted, and what is remarked.
const ACCEPTED: [(&str, &[Notice]); 7] = [
    ("oasiscap__v1dot2_appendix_adot1.xml", &[]),
    ("oasiscap__v1dot2_appendix_adot3.xml", &[]),
    ("oasiscap__v1dot2_appendix_adot4.xml", &[]),
    ("google__canada.cap", &[]),
    ("google__australia.cap", &[]),
    ("google__earthquake-iso8859-1.cap", &[Notice::SignatureDropped]),
    ("wmo__tg_valid.xml", &[Notice::SignatureDropped]),
];

/// Documents that are refused: line and element of the error, and words in it.
const REFUSED: [(&str, usize, &str, &str); 3] = [
    ("google__canada_errors.cap", 12, "references", "an Update without references"),
    ("google__invalid.cap", 9, "scope", "missing: found `info`, expected `scope`"),
    ("wmo__tg_invalid_schema.xml", 16, "certainty", "missing: found `audience`, expected `certainty`"),
];

#[test]
fn accepted_documents_lose_nothing() {
    let Some(folder) = folder("real documents that are accepted") else { return };
    for (name, notices) in ACCEPTED {
        let Ok(bytes) = fs::read(folder.join(name)) else {
            println!("left out: {name} is not in RESGUARDO_CAP_DIR");
            continue;
        };
        let imported = import(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found: Vec<&Notice> = imported.warnings.iter().map(|warning| &warning.notice).collect();
        assert_eq!(found, notices.iter().collect::<Vec<_>>(), "{name}");
        assert_nothing_lost(name, &bytes, &imported);
    }
}

#[test]
fn refused_documents_are_refused_at_their_place() {
    let Some(folder) = folder("real documents that are refused") else { return };
    for (name, line, element, words) in REFUSED {
        let Ok(bytes) = fs::read(folder.join(name)) else {
            println!("left out: {name} is not in RESGUARDO_CAP_DIR");
            continue;
        };
        let error = import(&bytes).expect_err(name);
        assert_eq!((error.line, error.element.as_str()), (line, element), "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
}

/// Any other document in the folder: what is accepted loses nothing; what the schema accepts is refused for its sense
/// or for the forms that only the standard's text has, and the run says so.
#[test]
fn other_documents_are_judged_like_the_schema_does() {
    let Some(validator) = Validator::find("other documents of the folder") else { return };
    let Some(folder) = folder("other documents") else { return };
    let known = |name: &str| ACCEPTED.iter().any(|k| k.0 == name) || REFUSED.iter().any(|k| k.0 == name);
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if known(&name) || !file.extension().is_some_and(|extension| extension == "xml" || extension == "cap")
        {
            continue;
        }
        let bytes = fs::read(&file).unwrap();
        match (import(&bytes), validator.judge(&[&bytes])[0]) {
            (Ok(imported), verdict) => {
                assert!(verdict == Verdict::Valid || !imported.warnings.is_empty(), "{name}: {verdict:?}");
                assert_nothing_lost(&name, &bytes, &imported);
            }
            (Err(error), verdict) => println!("{name}: refused ({verdict:?} by the schema): {error}"),
        }
    }
}

/// Compares element by element what the document says before and after, by a reader that knows nothing of CAP.
fn assert_nothing_lost(name: &str, bytes: &[u8], imported: &Imported) {
    let exported = export(&imported.alert);
    assert_eq!(import(exported.as_bytes()).map(|again| again.alert).as_ref(), Ok(&imported.alert), "{name}");
    // The real documents are in UTF-8 or ISO-8859-1, whose bytes are the first 256 characters of Unicode.
    let before = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    };
    let (before, after) = (leaves(&before), leaves(&exported));
    assert_eq!(before.len(), after.len(), "{name}: elements");
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(was, is, "{name}");
    }
    if let Some(validator) = Validator::find("the schema's verdict on exported real documents") {
        assert_eq!(validator.judge(&[&exported]), [Verdict::Valid], "{name}");
    }
}
