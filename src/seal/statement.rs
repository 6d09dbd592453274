//! Kinds of statements, and the bytes that a signature is over.
//!
//! Owns the names by which a signature for one kind never counts for another. Never looks inside a statement.
//! Source: DSSE 1.0.0, "Signature definition".

/// What a signed statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An envelope, by the desk that sends it.
    Envelope,
    /// The manifest inside a sealing, by the desk that sends it.
    Manifest,
    /// A receipt, by the desk that gives it.
    Receipt,
    /// A person's note inside a receipt, by the officer.
    OfficerNote,
    /// An entry of the directory, by registrars.
    DirectoryEntry,
    /// A new key of an office or a desk, by the key that speaks for it.
    KeyRotation,
    /// An order to erase, by the sender's desk or a registrar.
    ErasureOrder,
    /// Keys of an office that one of its desks passes to another.
    KeyHandover,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Envelope,
        Self::Manifest,
        Self::Receipt,
        Self::OfficerNote,
        Self::DirectoryEntry,
        Self::KeyRotation,
        Self::ErasureOrder,
        Self::KeyHandover,
    ];

    /// Gives the name that is signed with each statement of this kind: DSSE's `payloadType`.
    pub fn payload_type(self) -> &'static str {
        match self {
            Self::Envelope => "application/vnd.resguardo.envelope.v1",
            Self::Manifest => "application/vnd.resguardo.manifest.v1",
            Self::Receipt => "application/vnd.resguardo.receipt.v1",
            Self::OfficerNote => "application/vnd.resguardo.officer-note.v1",
            Self::DirectoryEntry => "application/vnd.resguardo.directory-entry.v1",
            Self::KeyRotation => "application/vnd.resguardo.key-rotation.v1",
            Self::ErasureOrder => "application/vnd.resguardo.erasure-order.v1",
            Self::KeyHandover => "application/vnd.resguardo.key-handover.v1",
        }
    }
}

/// What [`pae`] gives begins with. Nothing else that is signed does.
pub(super) const PAE_BEGINS: &[u8] = b"DSSEv1 ";

/// Gives what is signed for a statement: its kind and its exact bytes, each after its length, so that no two are alike.
pub fn pae(kind: Kind, statement: &[u8]) -> Vec<u8> {
    let name = kind.payload_type();
    let mut bytes = PAE_BEGINS.to_vec();
    bytes.extend_from_slice(format!("{} {name} {} ", name.len(), statement.len()).as_bytes());
    bytes.extend_from_slice(statement);
    bytes
}
