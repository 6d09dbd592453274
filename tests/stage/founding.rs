//! Who is who at the founding of a hub, as two registrars sign it.

use std::fmt::Write as _;

use bytes::Bytes;
use resguardo::model::fact::{DeskKeys, Fact};
use resguardo::model::id::UnixMicros;
use resguardo::model::identity::{Desk, Name};
use resguardo::model::policy::Policy;
use resguardo::registrar::founding;
use resguardo::seal::{OpeningKey, Recipient, SigningKey, sha256};
use resguardo::wire::amendment;

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

/// The desks of headquarters, of which many tests want more than one, and of each other office.
const DESKS_OF_HEADQUARTERS: [&str; 7] =
    ["desk-0", "desk-1", "desk-2", "desk-3", "desk-4", "desk-5", "night"];
const DESKS: [&str; 3] = ["desk-1", "desk-2", "desk-3"];

fn desks_of(office: &str) -> &'static [&'static str] {
    if office == OFFICES[0].0 { &DESKS_OF_HEADQUARTERS } else { &DESKS }
}

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

    /// What the registrars sign.
    pub(crate) fn signed(&self) -> Bytes {
        signed(&self.toml(), &OFFICES.map(|(office, _)| office))
    }

    /// The list.
    fn toml(&self) -> String {
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

/// What the registrars of two institutions sign: a list, their keys, and the desks of each office.
pub(crate) fn signed(list: &str, offices: &[&str]) -> Bytes {
    let mut facts = founding::parse(list).expect("the list follows");
    let registrars = [("iachr", key(1)), ("ohchr", key(2))];
    for (institution, key) in &registrars {
        let (name, institution) = (name(institution), name(institution));
        facts.push(Fact::Registrar { name, institution, key: key.verifying_key() });
    }
    facts.push(Fact::HubKey { key: hub_key().verifying_key() });
    for (office, desk) in
        offices.iter().flat_map(|office| desks_of(office).iter().map(move |desk| (office, desk)))
    {
        let number = desk_number(offices, office, desk);
        let [attended, unattended] = [number, number + 100].map(|number| key(number).verifying_key());
        let desk = Desk { office: name(office), desk: name(desk) };
        facts.push(Fact::Desk {
            desk,
            keys: Box::new(DeskKeys { attended, unattended, transfer: recipient(number) }),
        });
    }
    for office in offices {
        facts.push(Fact::OfficeKey { office: name(office), recipient: opening(office).recipient() });
    }
    let mut signed = amendment::unsigned(Policy::default().next_amendment(facts, UnixMicros(1)));
    for (_, key) in &registrars {
        amendment::sign(&mut signed, key);
    }
    amendment::bytes(&signed)
}

/// The key by which a stage's hub signs its logs.
pub(crate) fn hub_key() -> SigningKey {
    key(250)
}

/// From which number the attended key of a desk follows; its unattended one from 100 more.
pub(crate) fn desk_number(offices: &[&str], office: &str, desk: &str) -> u8 {
    let mut all = offices.iter().flat_map(|office| desks_of(office).iter().map(move |desk| (*office, *desk)));
    let at = all.position(|found| found == (office, desk)).expect("a desk of the founding");
    10 + u8::try_from(at).expect("some desks")
}

/// The key that opens what is sealed to an office.
pub(crate) fn opening(office: &str) -> OpeningKey {
    OpeningKey::generate(|seed| seed.copy_from_slice(&sha256(office.as_bytes())))
}

/// The id of the key that an office is sealed to.
pub(crate) fn opening_id(office: &str) -> Bytes {
    Bytes::copy_from_slice(&sha256(&opening(office).recipient().to_bytes()))
}

/// A desk's keys, attended and unattended, by its identity; those of nobody for one that no founding has.
pub(crate) fn desk_keys(identity: &str) -> [SigningKey; 2] {
    let parts: Vec<_> = identity.split(':').collect();
    let offices = OFFICES.map(|(office, _)| office);
    let number = match parts.as_slice() {
        [.., office, desk] if offices.contains(office) && desks_of(office).contains(desk) => {
            desk_number(&offices, office, desk)
        }
        _ => 90,
    };
    [key(number), key(number + 100)]
}

/// A key that follows from a number.
pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::generate(|seeds| seeds.fill(number))
}

/// A key that is sealed to, from a number.
pub(crate) fn recipient(number: u8) -> Recipient {
    OpeningKey::generate(|seed| seed.fill(number)).recipient()
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}
