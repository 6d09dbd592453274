//! Who is who at the founding of a hub, as its founding file says it.

use std::fmt::Write as _;

/// The founding offices with their institutions.
pub(crate) const OFFICES: [(&str, &str); 7] = [
    ("iachr", "iachr"),
    ("ohchr-central-america", "ohchr"),
    ("ohchr-colombia", "ohchr"),
    ("ohchr-guatemala", "ohchr"),
    ("ohchr-honduras", "ohchr"),
    ("ohchr-mexico", "ohchr"),
    ("ohchr-south-america", "ohchr"),
];

/// The five lines of action.
pub(crate) const STREAMS: [&str; 5] =
    ["advocacy", "monitoring-protection", "promotion", "studies", "technical-assistance"];

/// A stream of a founding file: its name, who publishes to it, who receives it.
#[derive(Clone)]
pub(crate) struct FoundingStream {
    pub(crate) name: String,
    pub(crate) publishers: Vec<String>,
    pub(crate) subscribers: Vec<String>,
}

/// A founding file.
#[derive(Clone)]
pub(crate) struct Founding {
    pub(crate) streams: Vec<FoundingStream>,
    /// Operators, by name.
    pub(crate) operators: Vec<String>,
}

impl Default for Founding {
    /// The seven offices, two auditors, five streams that all publish to and receive.
    fn default() -> Self {
        let all = || OFFICES.iter().map(|(office, _)| (*office).to_owned()).collect::<Vec<_>>();
        let stream =
            |name: &&str| FoundingStream { name: (*name).to_owned(), publishers: all(), subscribers: all() };
        Self { streams: STREAMS.iter().map(stream).collect(), operators: Vec::new() }
    }
}

impl Founding {
    /// The usual one with one stream more.
    pub(crate) fn with_stream(mut self, name: &str, publishers: &[&str], subscribers: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.streams.push(FoundingStream {
            name: name.to_owned(),
            publishers: owned(publishers),
            subscribers: owned(subscribers),
        });
        self
    }

    /// The usual one with an operator.
    pub(crate) fn with_operator(mut self, name: &str) -> Self {
        self.operators.push(name.to_owned());
        self
    }

    /// The file's text.
    pub(crate) fn toml(&self) -> String {
        let mut text = "institutions = [\"iachr\", \"ohchr\"]\nheadquarters = \"iachr\"\n".to_owned();
        for (name, institution) in OFFICES {
            let _ = write!(text, "\n[[office]]\nname = {name:?}\ninstitution = {institution:?}\n");
        }
        for name in ["iachr", "ohchr"] {
            let _ = write!(text, "\n[[auditor]]\nname = {name:?}\ninstitution = {name:?}\n");
        }
        for name in &self.operators {
            let _ = write!(text, "\n[[operator]]\nname = {name:?}\ninstitution = \"ohchr\"\n");
        }
        for FoundingStream { name, publishers, subscribers } in &self.streams {
            let _ = write!(
                text,
                "\n[[stream]]\nname = {name:?}\npublishers = {publishers:?}\nsubscribers = {subscribers:?}\n"
            );
        }
        text
    }
}
