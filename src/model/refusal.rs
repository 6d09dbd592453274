//! Refusals: what a caller did wrong or must wait for, told plainly and with a stable reason.
//!
//! A refusal is never a fault of the hub's: nothing here stops the hub. The reasons are part of the protocol and are
//! never reused for something else.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The stable reason of a refusal, as it stands in `google.rpc.ErrorInfo.reason`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $variant,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Gives the name that travels.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    /// The certificate holds no URI.
    IdentityMissing = "IDENTITY_MISSING",
    /// The certificate holds more than one URI.
    IdentityAmbiguous = "IDENTITY_AMBIGUOUS",
    /// The certificate's URI is not of the form of an identity.
    IdentityMalformed = "IDENTITY_MALFORMED",
    /// The directory does not hold the identity.
    NotEnrolled = "NOT_ENROLLED",
    /// The identity's role may not make this call.
    RoleNotAllowed = "ROLE_NOT_ALLOWED",
    /// The envelope names another sender than the caller.
    SenderForeign = "SENDER_FOREIGN",
    /// The receipt names another desk than the caller.
    DeskForeign = "DESK_FOREIGN",
    /// The directory holds no such stream.
    StreamUnknown = "STREAM_UNKNOWN",
    /// Policy does not give the stream to the office.
    StreamNotAllowed = "STREAM_NOT_ALLOWED",
    /// The directory holds no such office.
    OfficeUnknown = "OFFICE_UNKNOWN",
    /// A recipient is not a member of the stream.
    RecipientNotMember = "RECIPIENT_NOT_MEMBER",
    /// Policy does not let the caller audit this.
    AuditNotAllowed = "AUDIT_NOT_ALLOWED",
    /// The directory has changed since the version that was named.
    DirectoryStale = "STALE_DIRECTORY",
    /// A signature is not of the key that it names, or is no signature.
    SignatureInvalid = "SIGNATURE_INVALID",
    /// A signature that is needed is not there.
    SignatureMissing = "SIGNATURE_MISSING",
    /// The directory holds no such key, or not any more.
    KeyUnknown = "KEY_UNKNOWN",
    /// The key may not sign this.
    KeyNotAllowed = "KEY_NOT_ALLOWED",
    /// The directory begins with another founding than is trusted.
    FoundingForeign = "FOUNDING_FOREIGN",
    /// The desk was revoked, or its office removed.
    Revoked = "REVOKED",
    /// The bytes are not a message of the expected kind.
    Malformed = "MALFORMED",
    /// A field is missing, or not as it must be.
    FieldInvalid = "FIELD_INVALID",
    /// The payload is not the one that the envelope describes.
    PayloadMismatch = "PAYLOAD_MISMATCH",
    /// The payload, envelope or receipt is larger than allowed.
    TooLarge = "TOO_LARGE",
    /// The message id was used for other bytes before.
    IdReused = "ID_REUSED",
    /// A reference names another office's message.
    ReferenceForeign = "REFERENCE_FOREIGN",
    /// A resealing between offices that may not say so to each other of the message that it is about, or of one that is erased.
    ResealNotAllowed = "RESEAL_NOT_ALLOWED",
    /// The receipt is about a message or notice that the office was never owed.
    NotOwed = "NOT_OWED",
    /// A message said to be erased that nobody ordered to be erased.
    NotErased = "NOT_ERASED",
    /// No such message, or not for the caller to see.
    MessageUnknown = "MESSAGE_UNKNOWN",
    /// The answer is to no request for a certificate that waits.
    RenewalUnknown = "RENEWAL_UNKNOWN",
    /// The request is not for the certificate that the caller shows.
    RenewalForeign = "RENEWAL_FOREIGN",
    /// More publishes a second than the office may make.
    RateExceeded = "RATE_EXCEEDED",
    /// More connections, calls or subscriptions than allowed.
    ConnectionsExceeded = "CONNECTIONS_EXCEEDED",
    /// The hub has as much in hand as it may.
    Busy = "BUSY",
    /// The hub's disk has come down to its reserve.
    DiskReserve = "DISK_RESERVE",
    /// The office's files take as much of the hub's disk as they may.
    QuotaExceeded = "QUOTA_EXCEEDED",
    /// The envelope names a file that is not whole at the hub.
    FileMissing = "FILE_MISSING",
    /// The bytes that were handed up are not those of the file that was announced.
    FileMismatch = "FILE_MISMATCH",
    /// The hub is stopping.
    Stopping = "STOPPING",
    /// A frame came out of its order, e.g. no `start`, or a second one.
    FrameUnexpected = "FRAME_UNEXPECTED",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} [{reason}]")]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// What was wrong, what was expected and what to do, for people.
    pub message: String,
    /// The field that was wrong, by its name in the protocol; empty where no one field is.
    pub field: &'static str,
    /// Milliseconds after which to try again; `None`: trying again unchanged does not help.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// Makes a refusal for which trying again unchanged does not help.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), field: "", retry_after_ms: None }
    }

    /// Makes a refusal of one field.
    pub fn field(field: &'static str, message: impl Into<String>) -> Self {
        Self { reason: Reason::FieldInvalid, message: message.into(), field, retry_after_ms: None }
    }

    /// Names the field that was wrong.
    #[must_use]
    pub fn of_field(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    /// Says when to try again, in milliseconds.
    #[must_use]
    pub fn retry_after_ms(self, retry_after_ms: u64) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..self }
    }
}
