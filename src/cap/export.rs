//! From an alert to a document: UTF-8, accepted by the schema, meaning the same as what was imported.
//!
//! Owns the order of elements and the escaping. Never reformats a value: what was kept as written is written as
//! kept. Source: CAP 1.2, section 3.2 and its schema.

use std::fmt::{Display, Write};

use super::NAMESPACE;
use super::alert::{Alert, Area, Info, NamedValue, Resource};
use super::plain::acts_or_hides;
use super::reference::References;

/// Writes an alert as a CAP 1.2 document; importing it gives the same alert.
pub fn export(alert: &Alert) -> String {
    let mut out = Document(String::with_capacity(4096));
    out.0.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    out.tag("<alert xmlns=\"", NAMESPACE, "\">\n");
    out.leaf(1, "identifier", &alert.identifier);
    out.leaf(1, "sender", &alert.sender);
    out.leaf(1, "sent", &alert.sent);
    out.leaf(1, "status", alert.status);
    out.leaf(1, "msgType", alert.msg_type);
    out.leaves(1, "source", &alert.source);
    out.leaf(1, "scope", alert.scope);
    out.leaves(1, "restriction", &alert.restriction);
    out.leaves(1, "addresses", &alert.addresses);
    out.leaves(1, "code", &alert.codes);
    out.leaves(1, "note", &alert.note);
    out.leaves(1, "references", alert.references.as_ref().map(References::as_str));
    out.leaves(1, "incidents", &alert.incidents);
    for info in &alert.infos {
        out.group(1, "info", |out| out.info(info));
    }
    out.0.push_str("</alert>\n");
    out.0
}

/// The document as far as it is written.
struct Document(String);

impl Document {
    fn info(&mut self, info: &Info) {
        self.leaves(2, "language", &info.language);
        self.leaves(2, "category", &info.categories);
        self.leaf(2, "event", &info.event);
        self.leaves(2, "responseType", &info.response_types);
        self.leaf(2, "urgency", info.urgency);
        self.leaf(2, "severity", info.severity);
        self.leaf(2, "certainty", info.certainty);
        self.leaves(2, "audience", &info.audience);
        self.named("eventCode", 2, &info.event_codes);
        self.leaves(2, "effective", &info.effective);
        self.leaves(2, "onset", &info.onset);
        self.leaves(2, "expires", &info.expires);
        self.leaves(2, "senderName", &info.sender_name);
        self.leaves(2, "headline", &info.headline);
        self.leaves(2, "description", &info.description);
        self.leaves(2, "instruction", &info.instruction);
        self.leaves(2, "web", &info.web);
        self.leaves(2, "contact", &info.contact);
        self.named("parameter", 2, &info.parameters);
        for resource in &info.resources {
            self.group(2, "resource", |out| out.resource(resource));
        }
        for area in &info.areas {
            self.group(2, "area", |out| out.area(area));
        }
    }

    fn resource(&mut self, resource: &Resource) {
        self.leaf(3, "resourceDesc", &resource.description);
        self.leaf(3, "mimeType", &resource.mime_type);
        self.leaves(3, "size", resource.size_bytes);
        self.leaves(3, "uri", &resource.uri);
        self.leaves(3, "derefUri", &resource.deref_uri);
        self.leaves(3, "digest", &resource.digest);
    }

    fn area(&mut self, area: &Area) {
        self.leaf(3, "areaDesc", &area.description);
        self.leaves(3, "polygon", &area.polygons);
        self.leaves(3, "circle", &area.circles);
        self.named("geocode", 3, &area.geocodes);
        if let Some(height) = &area.height {
            self.leaf(3, "altitude", &height.altitude);
            self.leaves(3, "ceiling", &height.ceiling);
        }
    }

    fn named(&mut self, element: &str, level: usize, values: &[NamedValue]) {
        for value in values {
            self.group(level, element, |out| {
                out.leaf(level + 1, "valueName", &value.name);
                out.leaf(level + 1, "value", &value.value);
            });
        }
    }

    /// Writes an element that holds elements.
    fn group(&mut self, level: usize, element: &str, content: impl FnOnce(&mut Self)) {
        self.indent(level);
        self.tag("<", element, ">\n");
        content(self);
        self.indent(level);
        self.tag("</", element, ">\n");
    }

    /// Writes each value in an element of its own.
    fn leaves<V: Display>(&mut self, level: usize, element: &str, values: impl IntoIterator<Item = V>) {
        for value in values {
            self.leaf(level, element, value);
        }
    }

    /// Writes an element that holds text.
    fn leaf(&mut self, level: usize, element: &str, value: impl Display) {
        self.indent(level);
        self.tag("<", element, ">");
        write!(Escaped(&mut self.0), "{value}").expect("a string takes all that is written to it");
        self.tag("</", element, ">\n");
    }

    fn indent(&mut self, level: usize) {
        for _ in 0..level {
            self.0.push_str("  ");
        }
    }

    fn tag(&mut self, open: &str, element: &str, close: &str) {
        for part in [open, element, close] {
            self.0.push_str(part);
        }
    }
}

/// Writes text as character data. A carriage return would be read as the end of a line, so it goes as a number; so do
/// characters that could act on a terminal to which a document is printed.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '\n' | '\t' => self.0.push(character),
                hidden if acts_or_hides(hidden) => write!(self.0, "&#{};", u32::from(hidden))?,
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}
