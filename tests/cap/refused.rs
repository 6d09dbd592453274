//! Bad documents: each is refused at its line and element, in words that say what to do.

use resguardo::cap::{DOCUMENT_BYTES_MAX, Fault, Notice, export, import};

/// A small valid alert; the tests below break it in one place each.
const GOOD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>id-1</identifier>
  <sender>desk@office.example</sender>
  <sent>2026-03-02T09:14:00-06:00</sent>
  <status>Actual</status>
  <msgType>Alert</msgType>
  <scope>Public</scope>
  <note>n</note>
  <references>a@b,1,2026-03-02T09:00:00-06:00</references>
  <info>
    <language>es</language>
    <category>Security</category>
    <event>e</event>
    <urgency>Immediate</urgency>
    <severity>Severe</severity>
    <certainty>Likely</certainty>
    <expires>2026-03-09T09:14:00-06:00</expires>
    <headline>h</headline>
    <web>https://office.example/</web>
    <parameter><valueName>n</valueName><value>v</value></parameter>
    <resource>
      <resourceDesc>r</resourceDesc>
      <mimeType>text/plain</mimeType>
      <size>1</size>
    </resource>
    <area>
      <areaDesc>a</areaDesc>
      <polygon>1,1 2,2 3,1 1,1</polygon>
      <circle>1,1 5</circle>
      <altitude>1</altitude>
      <ceiling>2</ceiling>
    </area>
  </info>
</alert>
"#;

/// Breaks the good document, and checks where and with which words it is refused.
#[track_caller]
fn refused(from: &str, to: &str, line: usize, element: &str, words: &str) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from} is not once in the good document");
    let error = import(GOOD.replace(from, to).as_bytes()).expect_err(to);
    assert_eq!((error.line, error.element.as_str()), (line, element), "{from} -> {to}: {error}");
    assert!(error.to_string().contains(words), "{from} -> {to}: {error} does not say: {words}");
}

#[test]
fn good_document_is_accepted() {
    assert_eq!(import(GOOD.as_bytes()).unwrap().warnings, []);
}

#[test]
fn structure() {
    for (from, to, line, element, words) in [
        ("  <identifier>id-1</identifier>\n", "", 3, "identifier", "missing: found `sender`"),
        ("  <scope>Public</scope>\n", "", 8, "scope", "missing: found `note`, expected `scope`"),
        ("    <certainty>Likely</certainty>\n", "", 17, "certainty", "missing: found `expires`"),
        ("    <event>e</event>\n", "", 14, "event", "missing"),
        ("    <category>Security</category>\n", "", 13, "category", "missing"),
        ("      <areaDesc>a</areaDesc>\n", "", 28, "areaDesc", "missing"),
        ("      <mimeType>text/plain</mimeType>\n", "", 24, "mimeType", "missing"),
        ("<value>v</value>", "", 21, "value", "missing: found the end of `parameter`"),
        ("<valueName>n</valueName>", "", 21, "valueName", "missing: found `value`"),
        ("<note>n</note>", "<note>n</note><note>m</note>", 9, "note", "a second time"),
        ("<event>e</event>", "<event>e</event><event>f</event>", 14, "event", "a second time"),
        (
            "<identifier>id-1</identifier>",
            "<identifier>1</identifier><identifier>2</identifier>",
            3,
            "identifier",
            "second",
        ),
        (
            "<note>n</note>",
            "<note>n</note><source>s</source>",
            9,
            "source",
            "out of order: found it after `note`",
        ),
        ("<note>n</note>", "<source>s</source>", 9, "source", "expected it before `scope`"),
        (
            "<urgency>Immediate</urgency>\n    <severity>Severe</severity>",
            "<severity>Severe</severity>\n    <urgency>Immediate</urgency>",
            15,
            "severity",
            "out of order",
        ),
        (
            "<headline>h</headline>",
            "<headline>h</headline><senderName>s</senderName>",
            19,
            "senderName",
            "it before `headline`",
        ),
        ("<note>n</note>", "<priority>1</priority>", 9, "priority", "does not belong in `alert`"),
        ("<headline>h</headline>", "<x:h xmlns:x='urn:x'>h</x:h>", 19, "h", "it is of namespace `urn:x`"),
        (
            "<headline>h</headline>",
            "<headline xmlns=''>h</headline>",
            19,
            "headline",
            "it is in no namespace",
        ),
        ("<headline>h</headline>", "<headline>a <b>h</b></headline>", 19, "b", "text without markup"),
        ("<headline>h</headline>", "stray", 18, "info", "text between its elements"),
        ("<headline>h</headline>", "<headline lang='es'>h</headline>", 19, "headline", "attribute `lang`"),
        (
            "<headline>h</headline>",
            "<headline xml:lang='es'>h</headline>",
            19,
            "headline",
            "attribute `xml:lang`",
        ),
        (
            "<note>n</note>",
            "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'/>",
            10,
            "references",
            "found it after `Signature`, expected the end of `alert`",
        ),
    ] {
        // Text between elements is found at its first letter.
        let line = if to == "stray" { 19 } else { line };
        refused(from, to, line, element, words);
    }
}

#[test]
fn values() {
    for (from, to, line, element, words) in [
        ("id-1", "", 3, "identifier", "found nothing"),
        ("id-1", "id 1", 3, "identifier", "without spaces"),
        ("id-1", "id,1", 3, "identifier", "commas"),
        ("id-1", "a&amp;b", 3, "identifier", "`&`"),
        ("desk@office.example", "desk &lt;x>", 4, "sender", "without spaces"),
        ("T09:14:00-06:00</sent>", "T15:14:00Z</sent>", 5, "sent", "`+00:00` or `-00:00`, not `Z`"),
        ("T09:14:00-06:00</sent>", "T09:14:00</sent>", 5, "sent", "a time such as"),
        ("T09:14:00-06:00</sent>", "T09:14:00.5-06:00</sent>", 5, "sent", "a time such as"),
        ("2026-03-02T09:14:00-06:00</sent>", "2026-02-30T09:14:00-06:00</sent>", 5, "sent", "calendar"),
        ("2026-03-09T09:14:00-06:00</expires>", "</expires>", 18, "expires", "found nothing"),
        (
            "Actual",
            "actual",
            6,
            "status",
            "found `actual`, expected one of Actual, Exercise, System, Test, Draft",
        ),
        ("<msgType>Alert", "<msgType>Warning", 7, "msgType", "one of Alert, Update, Cancel, Ack, Error"),
        ("Public", "", 8, "scope", "found nothing, expected one of Public"),
        ("<category>Security", "<category>Human Rights", 13, "category", "one of Geo, Met"),
        ("Immediate", "Now", 15, "urgency", "one of Immediate"),
        ("Severe", "Bad", 16, "severity", "one of Extreme"),
        ("Likely", "Very Likely", 17, "certainty", "one of Observed"),
        ("<language>es", "<language>es_HN", 12, "language", "a language tag"),
        ("https://office.example/", "https://office.example/%zz", 20, "web", "a URI"),
        ("<size>1", "<size>1 kB", 25, "size", "a whole number of bytes"),
        ("1,1 2,2 3,1 1,1", "1,1 2,2 3,1", 29, "polygon", "at least four"),
        ("1,1 2,2 3,1 1,1", "1,1 2,2 3,1 4,4", 29, "polygon", "found `4,4`, expected the last pair"),
        ("1,1 2,2 3,1 1,1", "95,1 2,2 3,1 95,1", 29, "polygon", "a latitude of -90 to 90"),
        ("1,1 5", "1,1", 30, "circle", "radius"),
        ("<altitude>1", "<altitude>high", 31, "altitude", "a decimal number"),
        ("a@b,1,2026-03-02T09:00:00-06:00", "1", 10, "references", "a triple `sender,identifier,sent`"),
        ("a@b,1,2026-03-02T09:00:00-06:00", "a@b,1,2026-03-02T09:00:00Z", 10, "references", "not `Z`"),
    ] {
        refused(from, to, line, element, words);
    }
}

#[test]
fn sense() {
    const REFERENCES: &str = "  <references>a@b,1,2026-03-02T09:00:00-06:00</references>\n";
    for msg_type in ["Update", "Cancel", "Ack", "Error"] {
        let changed = GOOD.replace("<msgType>Alert", &format!("<msgType>{msg_type}"));
        assert!(import(changed.as_bytes()).is_ok(), "{msg_type} with references");
        for (references, line) in
            [("", 7), ("  <references/>\n", 10), ("  <references>\n  </references>\n", 10)]
        {
            let error = import(changed.replace(REFERENCES, references).as_bytes()).expect_err(msg_type);
            assert_eq!((error.line, error.element.as_str()), (line, "references"), "{error}");
            assert!(error.to_string().contains(&format!("{msg_type} without references")), "{error}");
        }
    }
    refused("Public", "Private", 8, "addresses", "scope Private without addresses");
    refused("Public", "Restricted", 8, "restriction", "scope Restricted without a restriction");
    refused(
        "Public</scope>",
        "Private</scope>\n<addresses> </addresses>",
        9,
        "addresses",
        "without addresses",
    );
    refused(
        "Public</scope>",
        "Restricted</scope>\n<restriction/>",
        9,
        "restriction",
        "without a restriction",
    );
    refused("      <altitude>1</altitude>\n", "", 31, "ceiling", "a ceiling without an altitude");
    let private = GOOD.replace("Public</scope>", "Private</scope><addresses>a \"b c\"</addresses>");
    assert!(import(private.as_bytes()).is_ok());
}

#[test]
fn documents_that_are_not_cap_1_2() {
    let xmlns = "urn:oasis:names:tc:emergency:cap:1.2";
    refused(
        xmlns,
        "urn:oasis:names:tc:emergency:cap:1.1",
        2,
        "alert",
        "found an alert of CAP 1.1, expected CAP 1.2",
    );
    refused(xmlns, "http://www.incident.com/cap/1.0", 2, "alert", "CAP 1.0");
    refused(
        " xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"",
        "",
        2,
        "alert",
        "found `alert` of namespace none as the root",
    );
    refused("<note>n</note>", "<note>n", 35, "note", "expected the end tag of the element that is open");
    refused("<note>n</note>", "<note>&nbsp;</note>", 9, "note", "found `&nbsp;`");
    refused(
        "<note>n</note>",
        "<note>\u{1b}[2J</note>",
        9,
        "document",
        "found `\\u{1b}`, expected characters",
    );
    refused("<note>n</note>", "<p:note>n</p:note>", 9, "note", "a prefix that is declared");
    for (bytes, line, words) in [
        (&b""[..], 1, "found no element"),
        (b"\n\nhello", 3, "no text outside of the root element"),
        (b"{\"alert\": 1}", 1, "no text outside of the root element"),
        (b"<html><body>", 1, "expected its end tag"),
        (b"<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'>\n\xff", 2, "not UTF-8 at byte 53"),
        (b"<?xml version='1.0' encoding='klingon'?><alert/>", 1, "encoding `klingon`"),
    ] {
        let error = import(bytes).expect_err(words);
        assert!(error.line == line && error.to_string().contains(words), "{error} does not say: {words}");
    }
}

#[test]
fn doctype_is_refused_always_and_at_once() {
    let bomb =
        "<!DOCTYPE alert [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;'>]>\n<alert";
    let remote = "<!DOCTYPE alert SYSTEM 'http://127.0.0.1:9/x.dtd'>\n<alert";
    for declaration in [bomb, remote, "<!DOCTYPE alert>\n<alert", "<!DOCTYPE", "<!doctype html>\n<alert"] {
        refused("<alert", declaration, 2, "document", "found a DOCTYPE");
    }
    refused("<note>n</note>", "<!DOCTYPE x>", 9, "alert", "found a DOCTYPE");
}

#[test]
fn documents_beyond_every_bound_are_refused_without_being_read() {
    let error = import(&vec![b'<'; DOCUMENT_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(error.fault, Fault::TooLong { found: DOCUMENT_BYTES_MAX + 1 });
    let deep = GOOD.replace("<note>n</note>", &"<x>".repeat(1_000_000));
    assert!(import(deep.as_bytes()).unwrap_err().to_string().contains("levels of elements"));
    let wide = GOOD.replace("<note>n</note>", &"<x/>".repeat(800_000));
    assert!(import(wide.as_bytes()).unwrap_err().to_string().contains("elements"));
    let attributes: Vec<String> = (0..200_000).map(|n| format!(" a{n}=''")).collect();
    let dressed = GOOD.replace("<note>", &format!("<note{}>", attributes.concat()));
    assert!(import(dressed.as_bytes()).unwrap_err().to_string().contains("attributes of one element"));
}

#[test]
fn errors_cannot_forge_a_terminal() {
    let error =
        import(GOOD.replace("Actual", "x&#x9b;31m\u{202e}&#xA;line 1: all is well").as_bytes()).unwrap_err();
    assert!(error.to_string().contains("`x\\u{9b}31m\\u{202e}\\nline 1: all is well`"), "{error}");
    let name = "x".repeat(100_000);
    let signature = format!("<{name} xmlns='http://www.w3.org/2000/09/xmldsig#'/>");
    let root = "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">";
    for (from, to) in [
        ("Actual", name.clone()),
        ("<note>n</note>", format!("<{name}/>")),
        ("</alert>", format!("{signature}<note/></alert>")),
        (root, format!("<{name}/>")),
        (root, format!("<{name} xmlns='urn:oasis:names:tc:emergency:cap:1.1'/>")),
    ] {
        let long = import(GOOD.replace(from, &to).as_bytes()).unwrap_err().to_string();
        assert!(long.len() < 300, "{}", &long[..300]);
    }
    let signed = import(GOOD.replace("</alert>", &format!("{signature}</alert>")).as_bytes()).unwrap();
    assert!(signed.warnings[0].to_string().len() < 300);
}

#[test]
fn what_real_documents_do_without_harm_is_accepted() {
    for (from, to, notices) in [
        ("<note>n</note>", "<note/>", &[][..]),
        ("<language>es", "<language>", &[]),
        ("https://office.example/", "", &[]),
        ("https://office.example/", "www.office.example", &[Notice::RelativeUri]),
        ("1,1 2,2 3,1 1,1", "", &[]),
        ("1,1 2,2 3,1 1,1", "\n 1,1 2,2\n 3,1 1,1 ", &[]),
        ("Actual", "\n  Actual\n  ", &[Notice::SpaceTrimmed]),
        ("id-1", " id-1\n", &[Notice::SpaceTrimmed]),
        ("2026-03-02T09:14:00-06:00</sent>", " 2026-03-02T09:14:00-06:00 </sent>", &[]),
        (
            "2026-03-09T09:14:00-06:00</expires>",
            "2026-03-01T09:14:00-06:00</expires>",
            &[Notice::ExpiresBeforeSent],
        ),
        ("<alert ", "<?xml-stylesheet href='x'?><!-- c --><alert ", &[]),
        (
            "<alert ",
            "<alert xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b' ",
            &[],
        ),
        ("<polygon>", "<polygon xmlns:g='http://www.georss.org/georss'>", &[]),
        ("<note>n</note>", "<note><![CDATA[<b>]]>&#x20AC;<!-- c --> x</note>", &[]),
        (
            "</alert>",
            "<Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><a><b c='d'/></a></Signature></alert>",
            &[Notice::SignatureDropped],
        ),
    ] {
        assert_eq!(GOOD.matches(from).count(), 1, "{from}");
        let imported =
            import(GOOD.replace(from, to).as_bytes()).unwrap_or_else(|error| panic!("{to}: {error}"));
        let found: Vec<Notice> = imported.warnings.into_iter().map(|warning| warning.notice).collect();
        assert_eq!(found, notices, "{to}");
    }
    let empty_language = import(GOOD.replace("<language>es", "<language>").as_bytes()).unwrap().alert;
    assert_eq!(empty_language.infos[0].language.as_deref(), Some("en-US"));
    let mixed = GOOD.replace("<note>n</note>", "<note><![CDATA[<b>]]>&#x20AC;<!-- c --> x\r\n&#13;</note>");
    assert_eq!(import(mixed.as_bytes()).unwrap().alert.note.as_deref(), Some("<b>€ x\n\r"));
}

#[test]
fn same_remark_many_times_is_one_warning() {
    let codes = "<category> Security</category>".repeat(50_000);
    let imported = import(GOOD.replace("<category>Security</category>", &codes).as_bytes()).unwrap();
    let [warning] = &imported.warnings[..] else { panic!("{:?}", imported.warnings) };
    assert_eq!((warning.line, warning.element.as_str(), warning.times), (13, "category", 50_000));
    assert_eq!(imported.alert.infos[0].categories.len(), 50_000);
}

#[test]
fn signatures_of_thousands_of_names_are_one_warning() {
    let names: Vec<String> = (0..50_000).map(|n| format!("<s:a{n}/>")).collect();
    let document = GOOD.replace("<alert ", "<alert xmlns:s='http://www.w3.org/2000/09/xmldsig#' ");
    let document = document.replace("</alert>", &format!("<s:Signature/>{}</alert>", names.concat()));
    let imported = import(document.as_bytes()).unwrap();
    let [warning] = &imported.warnings[..] else { panic!("{} warnings", imported.warnings.len()) };
    assert_eq!((warning.element.as_str(), warning.times), ("Signature", 50_001));
    assert_eq!(warning.notice, Notice::SignatureDropped);
}

#[test]
fn exported_document_has_nothing_that_acts_on_a_terminal() {
    let hostile = "<note>a\u{9b}2J\u{202e}b\u{7f}\u{85}\u{e0041}\tc\n</note>";
    let alert = import(GOOD.replace("<note>n</note>", hostile).as_bytes()).unwrap().alert;
    assert_eq!(alert.note.as_deref(), Some("a\u{9b}2J\u{202e}b\u{7f}\u{85}\u{e0041}\tc\n"));
    let exported = export(&alert);
    assert!(exported.contains("<note>a&#155;2J&#8238;b&#127;&#133;&#917569;\tc\n</note>"), "{exported}");
    assert_eq!(import(exported.as_bytes()).unwrap().alert, alert);
}
