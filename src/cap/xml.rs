//! From text to a tree of elements: XML 1.0 with namespaces, and nothing that could hide or blow up.
//!
//! Owns well-formedness: the tokens come from `quick-xml`, which leaves many rules to its caller (characters, names,
//! attributes, references, one root); those are here. A DOCTYPE is refused before anything in it is looked at, so
//! there are no entities but the five of XML. Depth, elements and attributes are bounded before they cost memory.
//! Source: XML 1.0 (fifth edition), Namespaces in XML 1.0 (third edition).

use std::rc::Rc;

use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::error::Fault;
use super::flaw::Flaw;
use super::tag::{self, Attribute, Scopes};
use super::value::is_xml_char;
use super::{DEPTH_MAX, ELEMENTS_MAX};

/// An element with what is in it.
#[derive(Debug)]
pub(super) struct Element<'a> {
    /// Where its tag begins in the text.
    pub at: usize,
    /// Where its end tag begins; where its tag begins, if it has none.
    pub end: usize,
    /// Its name without prefix.
    pub name: &'a str,
    /// Its namespace; empty for none.
    pub namespace: Rc<str>,
    /// Its attributes without the declarations of namespaces.
    pub attributes: Vec<Attribute<'a>>,
    /// Its child elements in order.
    pub children: Vec<Element<'a>>,
    /// All character data directly in it, references resolved.
    pub text: String,
    /// Where the first character that is not white space stands.
    pub text_at: Option<usize>,
}

impl Element<'_> {
    /// Says a fault of this element.
    pub(super) fn flaw(&self, fault: Fault) -> Flaw {
        Flaw { at: self.at, element: tag::shown(self.name), fault }
    }
}

/// Reads a whole document and returns its root.
///
/// # Errors
/// A [`Flaw`] with [`Fault::IllFormed`], [`Fault::Doctype`] or [`Fault::TooMany`].
pub(super) fn parse(text: &str) -> Result<Element<'_>, Flaw> {
    if let Some((at, foreign)) =
        text.char_indices().find(|&(_, c)| !is_xml_char(c) || c == '\u{feff}' && text.starts_with(c))
    {
        let fault = Fault::ill_formed(&foreign.to_string(), "characters that XML 1.0 has");
        return Err(Flaw::document(at, fault));
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut tree = Tree { text, open: Vec::new(), scopes: Scopes::default(), elements: 0, root: None };
    loop {
        let at = position(reader.buffer_position());
        if is_declaration(&text[at..]) {
            return Err(tree.flaw(at, Fault::Doctype));
        }
        let event = reader.read_event();
        let end = position(reader.buffer_position());
        match event {
            Ok(Event::Eof) => return tree.finish(),
            Ok(event) => tree.take(&event, at, &text[at..end])?,
            Err(error) => return Err(tree.syntax(position(reader.error_position()), &error)),
        }
    }
}

/// Turns the reader's position into an index: it reads from memory.
fn position(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a position in a text that is in memory")
}

/// Says whether a markup declaration begins here: DOCTYPE in any letters, ENTITY and the like.
fn is_declaration(rest: &str) -> bool {
    rest.strip_prefix("<!").is_some_and(|after| !after.starts_with("--") && !after.starts_with("[CDATA["))
}

/// The tree as far as it is read.
struct Tree<'a> {
    text: &'a str,
    /// The elements that are open, the root first.
    open: Vec<Element<'a>>,
    scopes: Scopes<'a>,
    /// Elements so far.
    elements: usize,
    root: Option<Element<'a>>,
}

impl<'a> Tree<'a> {
    /// Takes one token that begins at `at` and reads `raw`.
    fn take(&mut self, event: &Event<'_>, at: usize, raw: &'a str) -> Result<(), Flaw> {
        match event {
            Event::Start(_) => self.start(at, &raw[1..raw.len() - 1]),
            Event::Empty(_) => {
                self.start(at, &raw[1..raw.len() - 2])?;
                self.close(at);
                Ok(())
            }
            Event::End(_) => {
                self.close(at);
                Ok(())
            }
            Event::Text(_) => match raw.find("]]>") {
                Some(inside) => Err(self.ill_formed(at + inside, "]]>", "`]]&gt;` outside of CDATA")),
                None => self.characters(at, raw),
            },
            Event::CData(_) if self.open.is_empty() => {
                Err(self.ill_formed(at, raw, "CDATA inside of an element only"))
            }
            Event::CData(_) => self.characters(at, &raw["<![CDATA[".len()..raw.len() - "]]>".len()]),
            Event::GeneralRef(_) => self.reference(at, raw),
            Event::PI(_) => self.instruction(at, raw),
            Event::Decl(_) if at > 0 => {
                Err(self.ill_formed(at, raw, "the XML declaration before everything else"))
            }
            // Read before decoding: `encoding`.
            Event::Decl(_) | Event::Comment(_) | Event::Eof => Ok(()),
            Event::DocType(_) => Err(self.flaw(at, Fault::Doctype)),
        }
    }

    /// Opens an element; `tag` is what stands between `<` and `>`.
    fn start(&mut self, at: usize, tag: &'a str) -> Result<(), Flaw> {
        if self.root.is_some() {
            return Err(self.ill_formed(at, tag, "nothing but comments after the root element"));
        }
        self.elements += 1;
        for (what, found, limit) in [
            ("elements", self.elements, ELEMENTS_MAX),
            ("levels of elements", self.open.len() + 1, DEPTH_MAX),
        ] {
            if found > limit {
                return Err(self.flaw(at, Fault::TooMany { what, limit }));
            }
        }
        let (full_name, rest) = tag.split_at(tag.find([' ', '\t', '\n']).unwrap_or(tag.len()));
        let name = tag::local_name(full_name)
            .ok_or_else(|| self.ill_formed(at, full_name, "the name of an element after `<`"))?;
        let opened = self.scopes.open(self.open.len() + 1, full_name, rest);
        let (namespace, attributes) =
            opened.map_err(|fault| Flaw { at, element: tag::shown(name), fault })?;
        self.open.push(Element {
            at,
            end: at,
            name,
            namespace,
            attributes,
            children: Vec::new(),
            text: String::new(),
            text_at: None,
        });
        Ok(())
    }

    /// Closes the innermost element, whose end tag begins at `at`; the reader has compared the names.
    fn close(&mut self, at: usize) {
        self.scopes.close(self.open.len());
        let Some(mut element) = self.open.pop() else { return };
        element.end = at;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    /// Takes character data.
    fn characters(&mut self, at: usize, characters: &str) -> Result<(), Flaw> {
        let first = characters.find(|c| !matches!(c, ' ' | '\t' | '\n' | '\r'));
        match (self.open.last_mut(), first) {
            (Some(element), first) => {
                element.text.push_str(characters);
                element.text_at = element.text_at.or(first.map(|inside| at + inside));
                Ok(())
            }
            (None, None) => Ok(()),
            (None, Some(inside)) => Err(self.ill_formed(
                at + inside,
                &characters[inside..],
                "no text outside of the root element",
            )),
        }
    }

    /// Takes a reference, `&` to `;`.
    fn reference(&mut self, at: usize, raw: &str) -> Result<(), Flaw> {
        let resolved = tag::resolve(&raw[1..raw.len() - 1]);
        let resolved = resolved.map_err(|fault| self.flaw(at, fault))?;
        if self.open.is_empty() {
            return Err(self.ill_formed(at, raw, "no text outside of the root element"));
        }
        self.characters(at, resolved.encode_utf8(&mut [0; 4]))
    }

    /// Checks a processing instruction, which says nothing of the alert.
    fn instruction(&self, at: usize, raw: &str) -> Result<(), Flaw> {
        let inside = &raw[2..raw.len() - 2];
        let target = inside.split([' ', '\t', '\n']).next().unwrap_or_default();
        if tag::is_name(target) && !target.contains(':') && !target.eq_ignore_ascii_case("xml") {
            Ok(())
        } else {
            Err(self.ill_formed(at, raw, "a processing instruction with a target"))
        }
    }

    /// Ends the document.
    fn finish(mut self) -> Result<Element<'a>, Flaw> {
        if let Some(element) = self.open.last() {
            let fault =
                Fault::IllFormed { found: "the end of the document".to_owned(), expected: "its end tag" };
            return Err(Flaw { at: self.text.len(), element: tag::shown(element.name), fault });
        }
        let fault = Fault::IllFormed { found: "no element".to_owned(), expected: "a CAP alert" };
        self.root.take().ok_or_else(|| Flaw::document(self.text.len(), fault))
    }

    /// Says a fault inside the innermost open element.
    fn flaw(&self, at: usize, fault: Fault) -> Flaw {
        match self.open.last() {
            Some(element) => Flaw { at, element: tag::shown(element.name), fault },
            None => Flaw::document(at, fault),
        }
    }

    fn ill_formed(&self, at: usize, found: &str, expected: &'static str) -> Flaw {
        self.flaw(at, Fault::ill_formed(found, expected))
    }

    /// Says in this room's words what the reader found.
    fn syntax(&self, at: usize, error: &Error) -> Flaw {
        let expected = match error {
            Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
                "the end tag of the element that is open"
            }
            Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => "no end tag without its start",
            Error::IllFormed(IllFormedError::DoubleHyphenInComment) => "no `--` inside of a comment",
            Error::IllFormed(IllFormedError::UnclosedReference) => {
                "`&amp;`, or a reference that ends with `;`"
            }
            _ => "markup that is closed",
        };
        let rest = &self.text[self.text.floor_char_boundary(at)..];
        self.ill_formed(at, rest, expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_has_names_namespaces_text_and_places() {
        let root = parse(
            "<?xml version='1.0'?><!-- x --><?pi y?>\n<p:a xmlns:p='urn:p' xmlns='urn:d'>\n <b k='v'>1 &lt; <![CDATA[<2>]]>&#x33;</b><p:c/></p:a> ",
        )
        .unwrap();
        assert_eq!((root.name, &*root.namespace), ("a", "urn:p"));
        let [b, c] = &root.children[..] else { panic!("{root:?}") };
        assert_eq!((b.name, &*b.namespace, b.text.as_str()), ("b", "urn:d", "1 < <2>3"));
        assert_eq!(b.attributes[0].name, "k");
        assert_eq!((c.name, &*c.namespace, c.at == c.end), ("c", "urn:p", true));
        assert_eq!(root.text_at, None);
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for bad in [
            "",
            " ",
            "text",
            "<a>",
            "<a></b>",
            "</a>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a/><![CDATA[]]>",
            "<a/>&lt;",
            "<1a/>",
            "<a:b:c/>",
            "<:a/>",
            "<a:/>",
            "<p:a/>",
            "<a/ >",
            "<a",
            "<a b/>",
            "<a b=c/>",
            "<a b='1' b='2'/>",
            "<a b='<'/>",
            "<a b='1'c='2'/>",
            "<a b='&nbsp;'/>",
            "<a b='&'/>",
            "<a>&nbsp;</a>",
            "<a>& b</a>",
            "<a>&#0;</a>",
            "<a>&#x;</a>",
            "<a>&#X41;</a>",
            "<a>&#+65;</a>",
            "<a>&#xD800;</a>",
            "<a>&#1;</a>",
            "<a>&#x110000;</a>",
            "<a>&;</a>",
            "<a>]]></a>",
            "<a><!-- -- --></a>",
            "<a><!-- ---></a>",
            "<a><!-- </a>",
            "<a><![CDATA[</a>",
            "<a><??></a>",
            "<a><?xml version='1.0'?></a>",
            "<a><?XML x?></a>",
            "<a><?pi </a>",
            " <?xml version='1.0'?><a/>",
            "<a\u{1}/>",
            "<a>\u{ffff}</a>",
            "<a xmlns:p=''/>",
            "<a xmlns:xml='urn:x'/>",
            "<a xmlns:xmlns='urn:x'/>",
            "<a xmlns:q='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns:p='urn:p' xmlns:q='urn:p' p:b='1' q:b='2'/>",
            "<a q:b='1'/>",
            "<xmlns:a/>",
            "<a></a b='c'>",
            "<a></ a>",
            "\u{feff}<a/>",
            "< a/>",
            "<>",
            "<a>\u{b}</a>",
            "<a b='1' =''/>",
            "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
            "<a><?p:i x?></a>",
        ] {
            let flaw = parse(bad).unwrap_err();
            assert!(matches!(flaw.fault, Fault::IllFormed { .. }), "{bad:?}: {:?}", flaw.fault);
        }
    }

    #[test]
    fn declaration_is_refused_before_it_is_looked_at() {
        for bad in [
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
            "<!DOCTYPE a",
            "<!doctype a><a/>",
            "<a/><!DOCTYPE a>",
            "<!DOCTYPE>",
            "<a><!ENTITY b 'c'></a>",
            "<a><!",
            "<!-- x --><!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
            "<![cdata[x]]>",
        ] {
            assert_eq!(parse(bad).unwrap_err().fault, Fault::Doctype, "{bad}");
        }
    }

    #[test]
    fn depth_elements_and_attributes_are_bounded() {
        let deep = |levels: usize| "<a>".repeat(levels) + &"</a>".repeat(levels);
        let wide = |elements: usize| format!("<a>{}</a>", "<b/>".repeat(elements - 1));
        let dressed = |attributes: usize| {
            let list: Vec<String> = (0..attributes).map(|n| format!(" b{n}=''")).collect();
            format!("<a{}/>", list.concat())
        };
        let named = |declarations: usize| {
            let list: Vec<String> = (0..declarations).map(|n| format!(" xmlns:b{n}='x'")).collect();
            format!("<a{}/>", list.concat())
        };
        for (good, bad, what) in [
            (deep(DEPTH_MAX), deep(DEPTH_MAX + 1), "levels of elements"),
            (wide(ELEMENTS_MAX), wide(ELEMENTS_MAX + 1), "elements"),
            (dressed(tag::ATTRIBUTES_MAX), dressed(tag::ATTRIBUTES_MAX + 1), "attributes of one element"),
            (named(tag::ATTRIBUTES_MAX), named(tag::ATTRIBUTES_MAX + 1), "attributes of one element"),
            (
                format!("<c{}>{}</c>", &named(40)[2..named(40).len() - 2], "<d/>"),
                format!("<c{}>{}</c>", &named(40)[2..named(40).len() - 2], named(40)),
                "namespaces in force",
            ),
        ] {
            assert!(parse(&good).is_ok(), "{what}");
            let fault = parse(&bad).unwrap_err().fault;
            assert!(matches!(fault, Fault::TooMany { what: found, .. } if found == what), "{fault:?}");
        }
    }
}
