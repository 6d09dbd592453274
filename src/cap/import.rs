//! From a document to an alert: structure, code lists, forms and sense of CAP 1.2.
//!
//! Owns what is accepted. Strict where two readings would differ, lenient where real documents vary without harm:
//! optional elements may be empty, codes and names may have white space around them (which is remarked), prefixes,
//! comments and processing instructions may stand wherever XML has them. Source: CAP 1.2, section 3.2.

use std::str::FromStr;

use super::alert::{Alert, AlertParts, Area, Height, Info, NamedValue, Resource};
use super::error::{CapError, Fault, Notice, Warning};
use super::flaw::{Flaw, place};
use super::plain::excerpt;
use super::reference::References;
use super::sequence::{Sequence, leaf};
use super::shape::{Circle, Polygon};
use super::tag;
use super::time::Time;
use super::value::{Decimal, Identifier, Language, Sender, Text, Uri, size_bytes, trimmed};
use super::xml::{self, Element};
use super::{DOCUMENT_BYTES_MAX, NAMESPACE, encoding};

/// The namespaces of the versions before.
const OLD_VERSIONS: [(&str, &str); 2] =
    [("urn:oasis:names:tc:emergency:cap:1.1", "1.1"), ("http://www.incident.com/cap/1.0", "1.0")];

/// The namespace of XML signatures, for which the schema has a place at the end of an alert.
const SIGNATURE_NAMESPACE: &str = "http://www.w3.org/2000/09/xmldsig#";

const ALERT: &[&str] = &[
    "identifier",
    "sender",
    "sent",
    "status",
    "msgType",
    "source",
    "scope",
    "restriction",
    "addresses",
    "code",
    "note",
    "references",
    "incidents",
    "info",
];
const INFO: &[&str] = &[
    "language",
    "category",
    "event",
    "responseType",
    "urgency",
    "severity",
    "certainty",
    "audience",
    "eventCode",
    "effective",
    "onset",
    "expires",
    "senderName",
    "headline",
    "description",
    "instruction",
    "web",
    "contact",
    "parameter",
    "resource",
    "area",
];
const RESOURCE: &[&str] = &["resourceDesc", "mimeType", "size", "uri", "derefUri", "digest"];
const AREA: &[&str] = &["areaDesc", "polygon", "circle", "geocode", "altitude", "ceiling"];
const NAMED_VALUE: &[&str] = &["valueName", "value"];

/// An accepted document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The alert, with nothing lost.
    pub alert: Alert,
    /// What its sender may want to know; also what was not kept.
    pub warnings: Vec<Warning>,
}

/// Reads a CAP 1.2 document: one `alert`, in any encoding that XML allows.
///
/// # Errors
/// A [`CapError`] with line, column and element for a document that is too large, is not XML, has a DOCTYPE, is not
/// CAP 1.2, has something missing, repeated, out of order or foreign, a value of the wrong form, or makes no sense.
pub fn import(bytes: &[u8]) -> Result<Imported, CapError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Flaw::document(0, Fault::TooLong { found: bytes.len() }).told(""));
    }
    let decoded = encoding::decode(bytes)?;
    let text = &decoded.text;
    let mut reading = Reading::default();
    for notice in decoded.notices {
        reading.remark(0, "document", notice);
    }
    let alert = reading.document(text).map_err(|flaw| flaw.told(text))?;
    let warnings = reading.remarks.into_iter().map(|(at, element, notice, times)| {
        let (line, column) = place(text, at);
        Warning { line, column, element, notice, times }
    });
    Ok(Imported { alert, warnings: warnings.collect() })
}

/// The remarks of one import: offset and element of the first occurrence, and how often.
#[derive(Default)]
struct Reading {
    remarks: Vec<(usize, String, Notice, usize)>,
}

impl Reading {
    /// Keeps a remark; a document of thousands of the same gives one.
    fn remark(&mut self, at: usize, element: &str, notice: Notice) {
        match self.remarks.iter_mut().find(|(_, name, same, _)| name == element && *same == notice) {
            Some((.., times)) => *times += 1,
            None => self.remarks.push((at, element.to_owned(), notice, 1)),
        }
    }

    fn document(&mut self, text: &str) -> Result<Alert, Flaw> {
        let root = xml::parse(text)?;
        if let Some((_, version)) = OLD_VERSIONS.iter().find(|(namespace, _)| *root.namespace == **namespace)
        {
            return Err(root.flaw(Fault::OldVersion { version }));
        }
        if root.name != "alert" || *root.namespace != *NAMESPACE {
            let namespace =
                if root.namespace.is_empty() { "none".to_owned() } else { excerpt(&root.namespace) };
            let found = format!("{} of namespace {namespace}", excerpt(root.name));
            return Err(root.flaw(Fault::NotAnAlert { found }));
        }
        let parts = self.alert(&root)?;
        if parts.infos.is_empty() && parts.msg_type == super::MsgType::Alert {
            self.remark(root.at, "alert", Notice::NoInfo);
        }
        Alert::new(parts).map_err(|contradiction| {
            // What is there and says nothing is shown; what is not there is shown where it is called for.
            let called_for_by = if contradiction.element == "references" { "msgType" } else { "scope" };
            let child = |name: &str| root.children.iter().find(|child| child.name == name);
            let at = child(contradiction.element).or_else(|| child(called_for_by)).map_or(root.at, |e| e.at);
            Flaw { at, element: contradiction.element.to_owned(), fault: contradiction.fault }
        })
    }

    fn alert(&mut self, root: &Element<'_>) -> Result<AlertParts, Flaw> {
        let mut children = Sequence::of(root, ALERT)?;
        let identifier = self.name(children.one("identifier")?, Identifier::new)?;
        let sender = self.name(children.one("sender")?, Sender::new)?;
        let sent = value(children.one("sent")?, Time::new)?;
        let parts = AlertParts {
            identifier,
            sender,
            status: self.code(children.one("status")?)?,
            msg_type: self.code(children.one("msgType")?)?,
            source: children.optional("source").map(text).transpose()?,
            scope: self.code(children.one("scope")?)?,
            restriction: children.optional("restriction").map(text).transpose()?,
            addresses: children.optional("addresses").map(text).transpose()?,
            codes: each(&children.many("code"), text)?,
            note: children.optional("note").map(text).transpose()?,
            references: children.optional("references").map(references).transpose()?,
            incidents: children.optional("incidents").map(text).transpose()?,
            infos: each(&children.many("info"), |info| self.info(info, &sent))?,
            sent,
        };
        // One remark for all, under the first one's name: thousands of names would be as many remarks.
        let mut first = None;
        while let Some(signature) = children.of_namespace(SIGNATURE_NAMESPACE) {
            let name = first.get_or_insert_with(|| tag::shown(signature.name));
            self.remark(signature.at, name, Notice::SignatureDropped);
        }
        children.end()?;
        Ok(parts)
    }

    fn info(&mut self, element: &Element<'_>, sent: &Time) -> Result<Info, Flaw> {
        let mut children = Sequence::of(element, INFO)?;
        let language = children.optional("language").map(|tag| value(tag, language)).transpose()?;
        let category = children.one("category")?;
        let more = children.many("category");
        let info = Info {
            language,
            categories: each(&[&[category], more.as_slice()].concat(), |code| self.code(code))?,
            event: text(children.one("event")?)?,
            response_types: each(&children.many("responseType"), |code| self.code(code))?,
            urgency: self.code(children.one("urgency")?)?,
            severity: self.code(children.one("severity")?)?,
            certainty: self.code(children.one("certainty")?)?,
            audience: children.optional("audience").map(text).transpose()?,
            event_codes: each(&children.many("eventCode"), named_value)?,
            effective: children.optional("effective").map(|time| value(time, Time::new)).transpose()?,
            onset: children.optional("onset").map(|time| value(time, Time::new)).transpose()?,
            expires: children.optional("expires").map(|time| self.expires(time, sent)).transpose()?,
            sender_name: children.optional("senderName").map(text).transpose()?,
            headline: children.optional("headline").map(text).transpose()?,
            description: children.optional("description").map(text).transpose()?,
            instruction: children.optional("instruction").map(text).transpose()?,
            web: children.optional("web").map(|web| self.absolute_uri(web)).transpose()?,
            contact: children.optional("contact").map(text).transpose()?,
            parameters: each(&children.many("parameter"), named_value)?,
            resources: each(&children.many("resource"), |resource| self.resource(resource))?,
            areas: each(&children.many("area"), area)?,
        };
        children.end()?;
        Ok(info)
    }

    fn resource(&mut self, element: &Element<'_>) -> Result<Resource, Flaw> {
        let mut children = Sequence::of(element, RESOURCE)?;
        let (description, mime_type) =
            (text(children.one("resourceDesc")?)?, text(children.one("mimeType")?)?);
        let size = children.optional("size").map(|size| value(size, size_bytes)).transpose()?;
        let uri = children.optional("uri");
        let deref_uri = children.optional("derefUri").map(text).transpose()?;
        let uri = match (uri, &deref_uri) {
            (None, _) => None,
            // A relative URI names the content that goes with it.
            (Some(uri), Some(_)) => Some(value(uri, Uri::new)?),
            (Some(uri), None) => Some(self.absolute_uri(uri)?),
        };
        let digest = children.optional("digest").map(text).transpose()?;
        children.end()?;
        Ok(Resource { description, mime_type, size_bytes: size, uri, deref_uri, digest })
    }

    fn expires(&mut self, element: &Element<'_>, sent: &Time) -> Result<Time, Flaw> {
        let expires = value(element, Time::new)?;
        if expires.unix_micros() < sent.unix_micros() {
            self.remark(element.at, element.name, Notice::ExpiresBeforeSent);
        }
        Ok(expires)
    }

    fn absolute_uri(&mut self, element: &Element<'_>) -> Result<Uri, Flaw> {
        let uri = value(element, Uri::new)?;
        if !uri.is_empty() && !uri.is_absolute() {
            self.remark(element.at, element.name, Notice::RelativeUri);
        }
        Ok(uri)
    }

    /// Reads a word of a code list.
    fn code<C: FromStr<Err = Fault>>(&mut self, element: &Element<'_>) -> Result<C, Flaw> {
        self.name(element, C::from_str)
    }

    /// Reads a word in which white space has no meaning; the schema has none around it, so its removal is remarked.
    fn name<V>(
        &mut self,
        element: &Element<'_>,
        read: impl FnOnce(&str) -> Result<V, Fault>,
    ) -> Result<V, Flaw> {
        let written = leaf(element)?;
        let word = trimmed(written);
        if word.len() < written.len() {
            self.remark(element.at, element.name, Notice::SpaceTrimmed);
        }
        read(word).map_err(|fault| element.flaw(fault))
    }
}

/// Reads each of a row of elements.
fn each<'t, 'a, V>(
    elements: &[&'t Element<'a>],
    read: impl FnMut(&'t Element<'a>) -> Result<V, Flaw>,
) -> Result<Vec<V>, Flaw> {
    elements.iter().copied().map(read).collect()
}

/// Reads a value around which XML Schema has white space mean nothing.
fn value<V>(element: &Element<'_>, read: impl FnOnce(&str) -> Result<V, Fault>) -> Result<V, Flaw> {
    read(trimmed(leaf(element)?)).map_err(|fault| element.flaw(fault))
}

/// Reads text, exactly as it is.
fn text(element: &Element<'_>) -> Result<Text, Flaw> {
    Text::new(leaf(element)?).map_err(|fault| element.flaw(fault))
}

/// Reads a language; an empty one is the default, in the schema and in section 3.2.2.
fn language(tag: &str) -> Result<Language, Fault> {
    Language::new(if tag.is_empty() { Language::DEFAULT } else { tag })
}

fn references(element: &Element<'_>) -> Result<References, Flaw> {
    References::parse(leaf(element)?).map_err(|fault| element.flaw(fault))
}

fn named_value(element: &Element<'_>) -> Result<NamedValue, Flaw> {
    let mut children = Sequence::of(element, NAMED_VALUE)?;
    let (name, value) = (text(children.one("valueName")?)?, text(children.one("value")?)?);
    children.end()?;
    Ok(NamedValue { name, value })
}

fn area(element: &Element<'_>) -> Result<Area, Flaw> {
    let mut children = Sequence::of(element, AREA)?;
    let description = text(children.one("areaDesc")?)?;
    let polygon = |p: &Element<'_>| Polygon::new(leaf(p)?).map_err(|fault| p.flaw(fault));
    let circle = |c: &Element<'_>| Circle::new(leaf(c)?).map_err(|fault| c.flaw(fault));
    let polygons = each(&children.many("polygon"), polygon)?;
    let circles = each(&children.many("circle"), circle)?;
    let geocodes = each(&children.many("geocode"), named_value)?;
    let altitude = children.optional("altitude").map(|feet| value(feet, Decimal::new)).transpose()?;
    let ceiling = children.optional("ceiling");
    let height = match (altitude, ceiling) {
        (Some(altitude), ceiling) => {
            let ceiling = ceiling.map(|feet| value(feet, Decimal::new)).transpose()?;
            Some(Height { altitude, ceiling })
        }
        (None, Some(ceiling)) => {
            let (found, expected) = ("a ceiling without an altitude", "the altitude from which it counts");
            return Err(ceiling.flaw(Fault::Sense { found, expected }));
        }
        (None, None) => None,
    };
    children.end()?;
    Ok(Area { description, polygons, circles, geocodes, height })
}
