//! OASIS CAP 1.2 in and out: what an alert is, reading it from XML, writing it, and showing it to a person.
//!
//! Owns the model ([`Alert`]), [`import`], [`export`], the [`Facts`] of which the envelope is made, the rule by which
//! a follow-up counts ([`Facts::counts_for`]), and [`render::text`]. Nothing of an alert is lost between import and
//! export: every element and repetition is kept, in order; what cannot be kept is refused, and an XML signature,
//! which could not hold for other bytes, is reported as dropped. Documents are taken for hostile: everything is
//! bounded, no DOCTYPE is looked into, and nothing in an alert can act on a terminal.
//! Never knows the hub, disks, clocks or offices. Touches no disk, so a crash leaves nothing behind.
//! Source: Common Alerting Protocol Version 1.2, OASIS Standard, 1 July 2010, and its schema.

mod alert;
mod code;
mod encoding;
mod error;
mod export;
mod facts;
mod flaw;
mod import;
mod plain;
mod reference;
pub mod render;
mod sequence;
mod shape;
mod tag;
mod time;
mod value;
mod xml;

pub use alert::{Alert, AlertParts, Area, Height, Info, NamedValue, Resource};
pub use code::{Category, Certainty, MsgType, ResponseType, Scope, Severity, Status, Urgency};
pub use error::{CapError, Contradiction, Fault, Notice, Warning};
pub use export::export;
pub use facts::{Facts, Priority, priority};
pub use import::{Imported, import};
pub use plain::{acts_or_hides, visible};
pub use reference::{Reference, References};
pub use shape::{Circle, Polygon};
pub use time::Time;
pub use value::{Decimal, Identifier, Language, Sender, Text, Uri};

/// The namespace of CAP 1.2.
pub const NAMESPACE: &str = "urn:oasis:names:tc:emergency:cap:1.2";

/// Bytes of a document at most. Real alerts with the borders of whole countries have up to 0.9 MB.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Elements of a document at most. An alert that names each municipality of a country has some tens of thousands.
pub const ELEMENTS_MAX: usize = 100_000;

/// Levels of elements at most. CAP has five; an XML signature with certificates has some ten.
pub const DEPTH_MAX: usize = 32;
