//! What a document says, read without any knowledge of CAP: the independent witness that nothing was lost.

use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

const SIGNATURE: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Returns each element of CAP in order: its path, and its text if it has no elements in it. Signatures are left out.
pub(crate) fn leaves(document: &str) -> Vec<(String, String)> {
    let document =
        document.strip_prefix('\u{feff}').unwrap_or(document).replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = NsReader::from_str(&document);
    reader.config_mut().expand_empty_elements = true;
    let mut found: Vec<(String, String)> = Vec::new();
    // For each open element: its path, its place in `found`, its text, whether it has elements in it.
    let mut open: Vec<(String, usize, String, bool)> = Vec::new();
    let mut inside_signature = 0;
    loop {
        let (namespace, event) = reader.read_resolved_event().unwrap();
        let signed = matches!(&namespace, ResolveResult::Bound(n) if n.as_ref() == SIGNATURE);
        match event {
            Event::Start(_) if signed || inside_signature > 0 => inside_signature += 1,
            Event::End(_) if inside_signature > 0 => inside_signature -= 1,
            Event::Start(start) => {
                assert!(
                    matches!(&namespace, ResolveResult::Bound(n) if n.as_ref() == resguardo::cap::NAMESPACE)
                );
                let parent = open.last_mut().map(|(path, _, _, has_elements)| {
                    *has_elements = true;
                    path.clone()
                });
                let path = format!("{}/{}", parent.unwrap_or_default(), start.local_name().as_ref());
                open.push((path.clone(), found.len(), String::new(), false));
                found.push((path, String::new()));
            }
            Event::End(_) => {
                let (_, place, text, has_elements) = open.pop().unwrap();
                if has_elements {
                    assert_eq!(text.trim(), "", "text between elements");
                } else {
                    found[place].1 = text;
                }
            }
            Event::Text(text) if inside_signature == 0 => push(&mut open, &text),
            Event::CData(text) if inside_signature == 0 => push(&mut open, &text),
            Event::GeneralRef(name) if inside_signature == 0 => {
                let character = name.resolve_char_ref().unwrap();
                let known = [("amp", '&'), ("lt", '<'), ("gt", '>'), ("apos", '\''), ("quot", '"')];
                let named = known.iter().find(|(entity, _)| *entity == &*name).map(|(_, c)| *c);
                push(&mut open, &character.or(named).unwrap().to_string());
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

fn push(open: &mut [(String, usize, String, bool)], text: &str) {
    if let Some((_, _, so_far, _)) = open.last_mut() {
        so_far.push_str(text);
    }
}

#[test]
fn witness_sees_text_order_and_repetition() {
    let document = "<c:a xmlns:c='urn:oasis:names:tc:emergency:cap:1.2'> <c:b>1 &amp; <![CDATA[<2>]]></c:b><c:b/>\
        <Signature xmlns='http://www.w3.org/2000/09/xmldsig#'><x>no</x></Signature></c:a>";
    let pairs =
        [("/a", ""), ("/a/b", "1 & <2>"), ("/a/b", "")].map(|(path, text)| (path.into(), text.into()));
    assert_eq!(leaves(document), pairs);
}
