//! The order of elements: what the schema's sequences ask of the children of an element.
//!
//! Owns the finding of missing, repeated, misplaced and foreign elements. Never looks at values.

use super::NAMESPACE;
use super::error::Fault;
use super::flaw::Flaw;
use super::plain::excerpt;
use super::tag;
use super::xml::Element;

/// The namespace of XML Schema's own attributes, which say nothing of the alert.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The children of an element, read in the order of the schema.
pub(super) struct Sequence<'t, 'a> {
    parent: &'t Element<'a>,
    /// The names that the schema has here, in order.
    names: &'static [&'static str],
    /// The child that comes next.
    next: usize,
    /// The name that was asked for last, as a place in `names`.
    asked: usize,
    /// Names that may stand once and have stood, by their place in `names`.
    stood: Vec<usize>,
}

impl<'t, 'a> Sequence<'t, 'a> {
    /// Begins to read the children of `parent`, which may have the given names.
    ///
    /// # Errors
    /// A flaw if `parent` has text between its elements or an attribute.
    pub(super) fn of(parent: &'t Element<'a>, names: &'static [&'static str]) -> Result<Self, Flaw> {
        check_attributes(parent)?;
        if let Some(at) = parent.text_at {
            let found = excerpt(&parent.text);
            return Err(Flaw { at, element: parent.name.to_owned(), fault: Fault::StrayText { found } });
        }
        Ok(Self { parent, names, next: 0, asked: 0, stood: Vec::new() })
    }

    /// Takes the next child, which must have this name.
    ///
    /// # Errors
    /// A flaw that says what stands there instead.
    pub(super) fn one(&mut self, name: &'static str) -> Result<&'t Element<'a>, Flaw> {
        match self.optional(name) {
            Some(element) => Ok(element),
            None => Err(self.instead_of(name)),
        }
    }

    /// Takes the next child if it has this name, which may stand once.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<&'t Element<'a>> {
        self.asked = self.names.iter().position(|known| *known == name).unwrap_or(self.asked);
        let element = self.peek().filter(|child| is_cap(child, name))?;
        self.next += 1;
        self.stood.push(self.asked);
        Some(element)
    }

    /// Takes all children of this name that come next.
    pub(super) fn many(&mut self, name: &'static str) -> Vec<&'t Element<'a>> {
        let mut found = Vec::new();
        while let Some(element) = self.optional(name) {
            self.stood.pop();
            found.push(element);
        }
        found
    }

    /// Takes the next child if it is of this namespace.
    pub(super) fn of_namespace(&mut self, namespace: &str) -> Option<&'t Element<'a>> {
        let element = self.peek().filter(|child| *child.namespace == *namespace)?;
        self.next += 1;
        Some(element)
    }

    /// Ends the sequence.
    ///
    /// # Errors
    /// A flaw if a child is left.
    pub(super) fn end(mut self) -> Result<(), Flaw> {
        self.asked = self.names.len();
        match self.peek() {
            None => Ok(()),
            Some(left) => Err(self.out_of_order(left, format!("the end of `{}`", self.parent.name))),
        }
    }

    fn peek(&self) -> Option<&'t Element<'a>> {
        self.parent.children.get(self.next)
    }

    /// Says why the required element is not next: it is missing, or something else stands before it.
    fn instead_of(&self, name: &'static str) -> Flaw {
        let missing = |at, found| Flaw {
            at,
            element: name.to_owned(),
            fault: Fault::Missing { found, expected: name },
        };
        let Some(found) = self.peek() else {
            return missing(self.parent.end, format!("the end of `{}`", self.parent.name));
        };
        let comes_later = self.parent.children[self.next..].iter().any(|child| is_cap(child, name));
        if comes_later || self.place(found).is_none_or(|place| place < self.asked) {
            return self.out_of_order(found, format!("`{name}`"));
        }
        missing(found.at, format!("`{}`", found.name))
    }

    /// Says what is wrong with an element that stands where `expected` should.
    fn out_of_order(&self, found: &Element<'_>, expected: String) -> Flaw {
        let fault = match self.place(found) {
            None => foreign(found, self.parent.name, expected),
            Some(place) if self.stood.contains(&place) => Fault::Repeated,
            Some(place) => {
                let read = &self.parent.children[..self.next];
                let later = read.iter().find(|child| self.place(child).is_some_and(|other| other > place));
                let after = read.last().map(|child| format!("after `{}`", tag::shown(child.name)));
                Fault::Misplaced {
                    found: after.unwrap_or_else(|| "at the beginning".to_owned()),
                    expected: later.map_or(expected, |child| format!("it before `{}`", child.name)),
                }
            }
        };
        Flaw { at: found.at, element: tag::shown(found.name), fault }
    }

    /// Returns the place of a child in the schema's order, if it has one.
    fn place(&self, child: &Element<'_>) -> Option<usize> {
        self.names.iter().position(|name| is_cap(child, name))
    }
}

/// Returns the text of an element that holds nothing but text.
///
/// # Errors
/// A flaw if it has an element or an attribute.
pub(super) fn leaf<'t>(element: &'t Element<'_>) -> Result<&'t str, Flaw> {
    check_attributes(element)?;
    match element.children.first() {
        Some(child) => {
            let fault = foreign(child, element.name, "text without markup".to_owned());
            Err(Flaw { at: child.at, element: tag::shown(child.name), fault })
        }
        None => Ok(&element.text),
    }
}

fn is_cap(element: &Element<'_>, name: &str) -> bool {
    element.name == name && *element.namespace == *NAMESPACE
}

fn foreign(found: &Element<'_>, parent: &str, expected: String) -> Fault {
    let namespace = match &*found.namespace {
        NAMESPACE => String::new(),
        "" => " (it is in no namespace)".to_owned(),
        other => format!(" (it is of namespace {})", excerpt(other)),
    };
    Fault::Foreign { parent: parent.to_owned(), namespace, expected }
}

/// Refuses attributes: CAP has none, so one that is not understood would be lost. What XML Schema allows everywhere
/// (the place of a schema, the name of a type) says nothing of the alert.
fn check_attributes(element: &Element<'_>) -> Result<(), Flaw> {
    let known = ["schemaLocation", "noNamespaceSchemaLocation", "type"];
    let strange =
        element.attributes.iter().find(|a| *a.namespace != *SCHEMA_INSTANCE || !known.contains(&a.name));
    match strange {
        Some(attribute) => Err(element.flaw(Fault::Attribute { found: tag::shown(attribute.full_name) })),
        None => Ok(()),
    }
}
