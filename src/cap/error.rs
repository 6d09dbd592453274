//! What import refuses, and what it only remarks on.
//!
//! Owns the errors and warnings of this room: each names line, column and element, what was found and what was
//! expected. Words taken from a document pass through [`excerpt`], so that an error cannot forge a terminal either.

use thiserror::Error;

use super::plain::excerpt;
use super::{DOCUMENT_BYTES_MAX, NAMESPACE};

/// A document that is refused: where, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}, {element}: {fault}")]
pub struct CapError {
    /// The line, from 1, in the document as its author sees it.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The element that is wrong or missing, without prefix; `document` for what lies outside of all elements.
    pub element: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a document, an element or a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// The document is larger than any real alert.
    #[error("found {found} bytes, expected {} at most", DOCUMENT_BYTES_MAX)]
    TooLong {
        /// Its size in bytes.
        found: usize,
    },
    /// More elements, attributes or levels than any real alert has.
    #[error("found more than {limit} {what}, expected {limit} at most")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The XML declaration names an encoding that is not known here.
    #[error(
        "found encoding `{found}`, expected UTF-8, UTF-16, ISO-8859-1, windows-1252 or another known one"
    )]
    UnknownEncoding {
        /// The name in the declaration.
        found: String,
    },
    /// Bytes that are not text in the document's encoding.
    #[error("found bytes that are not {encoding} at byte {byte} of the file, expected {encoding} throughout")]
    MalformedBytes {
        /// The encoding's name.
        encoding: &'static str,
        /// Offset of the first such byte, from 0.
        byte: usize,
    },
    /// A DOCTYPE or another markup declaration; never looked into.
    #[error("found a DOCTYPE or other `<!` declaration, expected none: it is not looked into")]
    Doctype,
    /// Not XML 1.0 with namespaces.
    #[error("found {found}, expected {expected}")]
    IllFormed {
        /// What stands there.
        found: String,
        /// What XML has there.
        expected: &'static str,
    },
    /// The root is an alert of CAP 1.0 or 1.1.
    #[error("found an alert of CAP {version}, expected CAP 1.2 (namespace {})", NAMESPACE)]
    OldVersion {
        /// Its version.
        version: &'static str,
    },
    /// The root is something else.
    #[error("found {found} as the root, expected `alert` of namespace {}", NAMESPACE)]
    NotAnAlert {
        /// The root's name and namespace.
        found: String,
    },
    /// A required element is not there.
    #[error("missing: found {found}, expected `{expected}`")]
    Missing {
        /// What stands in its place.
        found: String,
        /// The element that is required here.
        expected: &'static str,
    },
    /// An element that CAP has, out of its order.
    #[error("out of order: found it {found}, expected {expected}")]
    Misplaced {
        /// Beside what it stands.
        found: String,
        /// What is required here.
        expected: String,
    },
    /// An element that may stand once stands again.
    #[error("found it a second time, expected it once")]
    Repeated,
    /// An element that CAP does not have here; dropping it would lose something.
    #[error("found an element that does not belong in `{parent}`{namespace}, expected {expected}")]
    Foreign {
        /// The element that it stands in.
        parent: String,
        /// Its namespace in words, if it is not CAP's; else empty.
        namespace: String,
        /// What may stand here.
        expected: String,
    },
    /// An attribute; CAP has none.
    #[error("found attribute `{found}`, expected none: CAP has no attributes")]
    Attribute {
        /// The attribute's name.
        found: String,
    },
    /// Text between the elements of an element that holds only elements.
    #[error("found text between its elements: {found}, expected none")]
    StrayText {
        /// The text.
        found: String,
    },
    /// A value that the element cannot have.
    #[error("found {found}, expected {expected}")]
    Value {
        /// The value.
        found: String,
        /// The form that it should have.
        expected: String,
    },
    /// Each element is right, and together they mean nothing.
    #[error("found {found}, expected {expected}")]
    Sense {
        /// What contradicts what.
        found: &'static str,
        /// What would make sense.
        expected: &'static str,
    },
}

impl Fault {
    /// Makes the fault of a value, with the value quoted and harmless.
    pub(super) fn value(found: &str, expected: impl Into<String>) -> Self {
        let found = if found.trim().is_empty() { "nothing".to_owned() } else { excerpt(found) };
        Self::Value { found, expected: expected.into() }
    }

    /// Makes the fault of ill-formed XML, with what was found quoted and harmless.
    pub(super) fn ill_formed(found: &str, expected: &'static str) -> Self {
        Self::IllFormed { found: excerpt(found), expected }
    }
}

/// A rule of sense that an alert breaks: see [`Alert::new`](super::Alert::new).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{element}: {fault}")]
pub struct Contradiction {
    /// The element that is missing or wrong.
    pub element: &'static str,
    /// Why.
    pub fault: Fault,
}

/// A remark on a document that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The line, from 1, of the first occurrence.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The element, without prefix.
    pub element: String,
    /// What is remarked.
    pub notice: Notice,
    /// How often it occurs on elements of this name.
    pub times: usize,
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}, {}: {}", self.line, self.column, self.element, self.notice)?;
        if self.times > 1 {
            write!(f, " ({} times)", self.times)?;
        }
        Ok(())
    }
}

/// What a [`Warning`] remarks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// An XML signature was there; it is neither checked nor kept, and could not hold for the exported bytes.
    SignatureDropped,
    /// White space around a code, an identifier or a sender was taken away.
    SpaceTrimmed,
    /// `expires` is before `sent`.
    ExpiresBeforeSent,
    /// A URI without a scheme, which the standard wants absolute.
    RelativeUri,
    /// An alert without any info block: it says nothing of what happened.
    NoInfo,
    /// The bytes are in another encoding than the XML declaration says.
    OtherEncoding {
        /// The name in the declaration.
        declared: String,
        /// What the bytes are.
        used: &'static str,
    },
    /// Bytes 0x80 to 0x9F under an ISO-8859-1 label: read as windows-1252, as their writers mean them.
    Windows1252,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SignatureDropped => f.write_str("the XML signature was neither checked nor kept"),
            Self::SpaceTrimmed => f.write_str("white space around the value was taken away"),
            Self::ExpiresBeforeSent => f.write_str("the alert had expired when it was sent"),
            Self::RelativeUri => f.write_str("found a relative URI, the standard wants an absolute one"),
            Self::NoInfo => f.write_str("there is no info block: nothing says what happened"),
            Self::OtherEncoding { declared, used } => {
                write!(f, "the declaration says {}, the bytes are {used}", excerpt(declared))
            }
            Self::Windows1252 => f.write_str("bytes 0x80 to 0x9F were read as windows-1252"),
        }
    }
}
