//! Names, attributes, references and namespaces: what stands inside of a tag.
//!
//! Owns the rules of XML 1.0 (fifth edition), sections 2.3, 3.1 and 4.1, and of Namespaces in XML 1.0, that the
//! tokenizer leaves to its caller.

use std::rc::Rc;

use super::error::Fault;
use super::plain::visible;
use super::value::is_xml_char;

/// Attributes of one element: CAP has none, XML signatures a few; more would only cost time (each is compared with each).
pub(super) const ATTRIBUTES_MAX: usize = 64;

/// Prefixes in force at one place: real documents have up to a dozen, and each name is looked up among them.
const SCOPES_MAX: usize = 64;

/// The namespace of the prefix `xml`.
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// The namespace of the prefix `xmlns`.
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// An attribute that declares no namespace.
#[derive(Debug)]
pub(super) struct Attribute<'a> {
    /// Its name without prefix.
    pub name: &'a str,
    /// Its name as written.
    pub full_name: &'a str,
    /// Its namespace; empty without a prefix.
    pub namespace: Rc<str>,
}

/// The prefixes in force.
#[derive(Debug, Default)]
pub(super) struct Scopes<'a> {
    /// Depth of the element that declared it, prefix (empty for the default), namespace.
    declared: Vec<(usize, &'a str, Rc<str>)>,
}

impl<'a> Scopes<'a> {
    /// Reads the attributes of an element at `depth`, from the text after its name; returns its namespace and the
    /// attributes that declare none.
    ///
    /// # Errors
    /// [`Fault::IllFormed`] or [`Fault::TooMany`].
    pub(super) fn open(
        &mut self,
        depth: usize,
        full_name: &'a str,
        rest: &'a str,
    ) -> Result<(Rc<str>, Vec<Attribute<'a>>), Fault> {
        let mut plain = Vec::new();
        for (name, value) in attributes(rest)? {
            match name.strip_prefix("xmlns") {
                Some("") => self.declare(depth, "", &value)?,
                Some(prefixed) if prefixed.starts_with(':') => self.declare(depth, &prefixed[1..], &value)?,
                _ => plain.push(name),
            }
        }
        let namespace = self.namespace_of(full_name, true)?;
        let mut kept: Vec<Attribute<'a>> = Vec::with_capacity(plain.len());
        for full_name in plain {
            let namespace = self.namespace_of(full_name, false)?;
            let name = full_name.rsplit(':').next().unwrap_or(full_name);
            if !namespace.is_empty() && kept.iter().any(|a| a.name == name && a.namespace == namespace) {
                return Err(Fault::ill_formed(full_name, "each attribute once"));
            }
            kept.push(Attribute { name, full_name, namespace });
        }
        Ok((namespace, kept))
    }

    /// Forgets what the element at `depth` declared.
    pub(super) fn close(&mut self, depth: usize) {
        while self.declared.last().is_some_and(|(declared_at, ..)| *declared_at >= depth) {
            self.declared.pop();
        }
    }

    /// Takes a declaration.
    fn declare(&mut self, depth: usize, prefix: &'a str, namespace: &str) -> Result<(), Fault> {
        let reserved = prefix == "xmlns" || namespace == XMLNS || (prefix == "xml") != (namespace == XML);
        if reserved || (namespace.is_empty() && !prefix.is_empty()) {
            return Err(Fault::ill_formed(prefix, "a prefix and a namespace that may be declared"));
        }
        if self.declared.len() >= SCOPES_MAX {
            return Err(Fault::TooMany { what: "namespaces in force", limit: SCOPES_MAX });
        }
        self.declared.push((depth, prefix, namespace.into()));
        Ok(())
    }

    /// Looks up the namespace of a name; without a prefix, an attribute has none.
    fn namespace_of(&self, full_name: &str, is_element: bool) -> Result<Rc<str>, Fault> {
        let prefix = match full_name.split_once(':') {
            Some(("xml", _)) => return Ok(XML.into()),
            Some((prefix, _)) => prefix,
            None if is_element => "",
            None => return Ok("".into()),
        };
        match self.declared.iter().rev().find(|(_, declared, _)| *declared == prefix) {
            Some((.., namespace)) => Ok(Rc::clone(namespace)),
            None if prefix.is_empty() => Ok("".into()),
            None => Err(Fault::ill_formed(full_name, "a prefix that is declared with `xmlns:`")),
        }
    }
}

/// Returns the part of a qualified name after the prefix; `None` if it is no qualified name.
pub(super) fn local_name(full_name: &str) -> Option<&str> {
    let (prefix, name) = full_name.split_once(':').unwrap_or(("_", full_name));
    (is_name(prefix) && is_name(name) && !name.contains(':')).then_some(name)
}

/// Shows a name of the document in an error: short and harmless.
pub(super) fn shown(name: &str) -> String {
    visible(&name.chars().take(60).collect::<String>())
}

/// XML 1.0, productions 4 and 5.
pub(super) fn is_name(name: &str) -> bool {
    let starts = |c: char| {
        matches!(c, ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}'
            | '\u{f8}'..='\u{2ff}' | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}' | '\u{200d}'
            | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
            | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
    };
    let goes_on = |c: char| {
        starts(c)
            || matches!(c, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}' | '\u{2040}')
    };
    name.starts_with(starts) && name.chars().all(goes_on)
}

/// Resolves what stands between `&` and `;`.
///
/// # Errors
/// [`Fault::IllFormed`] for anything but the five entities of XML and numbers of XML characters.
pub(super) fn resolve(name: &str) -> Result<char, Fault> {
    let number = |digits: &str, radix: u32| {
        let plain = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
        u32::from_str_radix(digits, radix).ok().filter(|_| plain).and_then(char::from_u32)
    };
    let resolved = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => match name.strip_prefix("#x") {
            Some(digits) => number(digits, 16),
            None => name.strip_prefix('#').and_then(|digits| number(digits, 10)),
        },
    };
    resolved.filter(|&character| is_xml_char(character)).ok_or_else(|| {
        Fault::ill_formed(&format!("&{name};"), "`&amp;`, `&lt;`, `&gt;`, `&apos;`, `&quot;` or `&#…;`")
    })
}

/// Reads all attributes of a tag, from the text after its name.
fn attributes(mut rest: &str) -> Result<Vec<(&str, String)>, Fault> {
    let space = [' ', '\t', '\n'];
    let ill = |found: &str| Fault::ill_formed(found, "attributes such as ` name=\"value\"`");
    let mut found: Vec<(&str, String)> = Vec::new();
    loop {
        let next = rest.trim_start_matches(space);
        if next.is_empty() {
            return Ok(found);
        }
        let (name, after) = next.split_at(next.find(['=', ' ', '\t', '\n']).unwrap_or(next.len()));
        let value =
            after.trim_start_matches(space).strip_prefix('=').map(|after| after.trim_start_matches(space));
        let quoted = value.and_then(|value| {
            let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            value[1..].split_once(quote)
        });
        let (Some((value, after)), true, Some(_)) = (quoted, next.len() < rest.len(), local_name(name))
        else {
            return Err(ill(next));
        };
        if found.len() == ATTRIBUTES_MAX {
            return Err(Fault::TooMany { what: "attributes of one element", limit: ATTRIBUTES_MAX });
        }
        if found.iter().any(|(other, _)| *other == name) {
            return Err(Fault::ill_formed(name, "each attribute once"));
        }
        found.push((name, attribute_value(value)?));
        rest = after;
    }
}

/// Resolves the references of an attribute's value and turns white space into spaces (XML 1.0, section 3.3.3).
fn attribute_value(raw: &str) -> Result<String, Fault> {
    if raw.contains('<') {
        return Err(Fault::ill_formed(raw, "`&lt;` in the value of an attribute"));
    }
    let mut value = String::with_capacity(raw.len());
    let mut pieces = raw.split('&');
    let spaced = |piece: &str| piece.replace(['\t', '\n'], " ");
    value.push_str(&spaced(pieces.next().unwrap_or_default()));
    for piece in pieces {
        let (name, after) = piece
            .split_once(';')
            .ok_or_else(|| Fault::ill_formed(piece, "`&amp;`, or a reference that ends with `;`"))?;
        value.push(resolve(name)?);
        value.push_str(&spaced(after));
    }
    Ok(value)
}
