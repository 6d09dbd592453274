//! What an alert is: every element of CAP 1.2 (section 3.2), repetitions in their order.
//!
//! Owns the model and the rules of sense that go across elements. An [`Alert`] that exists keeps them, and can be
//! exported as a document that the schema accepts. An element that is there and empty (`Some` of nothing) is told
//! from one that is not there (`None`).

use std::ops::Deref;

use super::code::{Category, Certainty, MsgType, ResponseType, Scope, Severity, Status, Urgency};
use super::error::{Contradiction, Fault};
use super::reference::{Reference, References};
use super::shape::{Circle, Polygon};
use super::time::Time;
use super::value::{Decimal, Identifier, Language, Sender, Text, Uri};

/// A CAP 1.2 alert that makes sense. It is read like its [`AlertParts`] and cannot be changed, so its rules stay kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert(AlertParts);

/// The elements of `alert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertParts {
    /// The alert's id, unique for its sender.
    pub identifier: Identifier,
    /// Who originated it.
    pub sender: Sender,
    /// When it was sent.
    pub sent: Time,
    /// How it is to be handled.
    pub status: Status,
    /// What it does.
    pub msg_type: MsgType,
    /// The operator or device that it came from.
    pub source: Option<Text>,
    /// Whom it is for.
    pub scope: Scope,
    /// The rule by which a Restricted alert is limited.
    pub restriction: Option<Text>,
    /// Whom a Private alert is for, with white space between them.
    pub addresses: Option<Text>,
    /// Flags or codes of special handling.
    pub codes: Vec<Text>,
    /// The purpose of a message, for Cancel and Error above all.
    pub note: Option<Text>,
    /// The earlier messages that this one is about.
    pub references: Option<References>,
    /// Names of incidents, with white space between them.
    pub incidents: Option<Text>,
    /// What happened, a block a language as a rule.
    pub infos: Vec<Info>,
}

/// The elements of `info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its language; without one it is [`Language::DEFAULT`].
    pub language: Option<Language>,
    /// The kinds of event; at least one.
    pub categories: Vec<Category>,
    /// The event in words.
    pub event: Text,
    /// What those concerned should do.
    pub response_types: Vec<ResponseType>,
    /// How soon to act.
    pub urgency: Urgency,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub certainty: Certainty,
    /// Whom it is meant for.
    pub audience: Option<Text>,
    /// Codes of the event, each of a system.
    pub event_codes: Vec<NamedValue>,
    /// From when what is said holds.
    pub effective: Option<Time>,
    /// When the event is expected to begin.
    pub onset: Option<Time>,
    /// Until when what is said holds.
    pub expires: Option<Time>,
    /// The sender's name for people.
    pub sender_name: Option<Text>,
    /// A short headline.
    pub headline: Option<Text>,
    /// What happened.
    pub description: Option<Text>,
    /// What to do.
    pub instruction: Option<Text>,
    /// Where to read more.
    pub web: Option<Uri>,
    /// Whom to ask.
    pub contact: Option<Text>,
    /// Values of other systems.
    pub parameters: Vec<NamedValue>,
    /// Files that go with it.
    pub resources: Vec<Resource>,
    /// Where it holds.
    pub areas: Vec<Area>,
}

/// A `valueName` and its `value`: an event code, a parameter, a geocode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedValue {
    /// The system that gives the value its meaning.
    pub name: Text,
    /// The value.
    pub value: Text,
}

/// The elements of `resource`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What the file is.
    pub description: Text,
    /// Its MIME type.
    pub mime_type: Text,
    /// Its size in bytes, about.
    pub size_bytes: Option<u64>,
    /// Where it is.
    pub uri: Option<Uri>,
    /// The file itself in base64, as written.
    pub deref_uri: Option<Text>,
    /// Its SHA-1, as written.
    pub digest: Option<Text>,
}

/// The elements of `area`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// The area in words.
    pub description: Text,
    /// Lines around it.
    pub polygons: Vec<Polygon>,
    /// Circles around it.
    pub circles: Vec<Circle>,
    /// Codes of it, each of a system.
    pub geocodes: Vec<NamedValue>,
    /// Its height; the standard has no ceiling without an altitude.
    pub height: Option<Height>,
}

/// `altitude` and `ceiling`, in feet above mean sea level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Height {
    /// The height, or the lower end of the range up to the ceiling.
    pub altitude: Decimal,
    /// The upper end.
    pub ceiling: Option<Decimal>,
}

impl Alert {
    /// Takes the parts of an alert, if they make sense together.
    ///
    /// # Errors
    /// [`Contradiction`] for an Update, Cancel, Ack or Error without references, a Private without addresses, a
    /// Restricted without restriction, or an info block without category.
    pub fn new(parts: AlertParts) -> Result<Self, Contradiction> {
        let blank = |text: &Option<Text>| text.as_ref().is_none_or(Text::is_blank);
        let contradiction = |element, found, expected| {
            Err(Contradiction { element, fault: Fault::Sense { found, expected } })
        };
        if parts.msg_type != MsgType::Alert && parts.references.as_ref().is_none_or(|r| r.list().is_empty()) {
            let found = match parts.msg_type {
                MsgType::Update => "an Update without references",
                MsgType::Cancel => "a Cancel without references",
                MsgType::Ack => "an Ack without references",
                _ => "an Error without references",
            };
            return contradiction(
                "references",
                found,
                "at least one `sender,identifier,sent` that it is about",
            );
        }
        match parts.scope {
            Scope::Private if blank(&parts.addresses) => {
                contradiction("addresses", "scope Private without addresses", "the addresses that it is for")
            }
            Scope::Restricted if blank(&parts.restriction) => contradiction(
                "restriction",
                "scope Restricted without a restriction",
                "the rule that limits it",
            ),
            _ if parts.infos.iter().any(|info| info.categories.is_empty()) => {
                contradiction("category", "an info block without a category", "at least one")
            }
            _ => Ok(Self(parts)),
        }
    }

    /// Returns the name by which later messages refer to this one.
    pub fn reference(&self) -> Reference {
        let AlertParts { sender, identifier, sent, .. } = &self.0;
        Reference { sender: sender.clone(), identifier: identifier.clone(), sent: sent.clone() }
    }

    /// Returns its parts.
    pub fn into_parts(self) -> AlertParts {
        self.0
    }
}

impl Info {
    /// Says whether its language is `range` or a part of it ([`Language::is_within`]); without one it is in
    /// [`Language::DEFAULT`].
    pub fn is_within(&self, range: &str) -> bool {
        let unsaid = || Language::new(Language::DEFAULT).ok();
        self.language.clone().or_else(unsaid).is_some_and(|tag| tag.is_within(range))
    }
}

impl Deref for Alert {
    type Target = AlertParts;

    fn deref(&self) -> &AlertParts {
        &self.0
    }
}
