//! Envelopes: what the hub may see of a message, checked once, at the edge.
//!
//! An `Envelope` that exists is valid in form; whether policy lets it pass is `policy`'s to say.

use std::fmt;

use super::deadline::Deadlines;
use super::id::{DirectoryVersion, Index, UnixMicros};
use super::identity::{Desk, Name};
use super::refusal::{Reason, Refusal};

/// Longest encoded envelope, in bytes: some 150 recipients of the longest name.
pub const ENVELOPE_BYTES_MAX: usize = 16 * 1024;
/// Longest signed envelope, in bytes: one signature takes 2.5 KB.
pub const SIGNED_ENVELOPE_BYTES_MAX: usize = 20 * 1024;
/// Numbers that an envelope may void: a desk has few messages that the hub refuses for good.
pub const VOIDED_MAX: usize = 256;
/// References to earlier messages at most: what one thread of updates is ever likely to name.
pub const REFERENCES_MAX: usize = 64;
/// Files of one message at most: a report, its annexes and its data; with their digests some 3 KiB of the envelope.
pub const FILES_MAX: usize = 64;
/// Largest file, in bytes: 2 GiB.
pub const FILE_BYTES_MAX: u64 = 1 << 31;

macro_rules! numbered {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $vdoc:literal])+ $variant:ident = $number:literal $text:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $vdoc])+ $variant = $number,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Reads it from its number in the protocol; `None` for 0 and for numbers that this version does not know.
            pub fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// Gives its name, as people and programs read it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.pad(self.name()) }
        }
    };
}
pub(crate) use numbered;

numbered! {
    /// What kind of thing a message is.
    MessageClass {
        /// An alert: OASIS CAP 1.2.
        Alert = 1 "alert",
        /// An analysis packet.
        Packet = 2 "packet",
        /// A statement of both institutions.
        Statement = 3 "statement",
        /// A request to seal an earlier message again, or the answer to one.
        Reseal = 4 "reseal",
    }
}

numbered! {
    /// How soon a message must be seen.
    Priority {
        /// Before everything else.
        Urgent = 1 "urgent",
        /// The usual.
        Normal = 2 "normal",
        /// It may wait.
        Low = 3 "low",
    }
}

numbered! {
    /// CAP 1.2 `status`.
    CapStatus {
        /// Real.
        Actual = 1 "Actual",
        /// An exercise.
        Exercise = 2 "Exercise",
        /// About the exchange itself.
        System = 3 "System",
        /// A technical test.
        Test = 4 "Test",
        /// A draft.
        Draft = 5 "Draft",
    }
}

numbered! {
    /// CAP 1.2 `msgType`.
    CapMsgType {
        /// New.
        Alert = 1 "Alert",
        /// Replaces earlier ones.
        Update = 2 "Update",
        /// Withdraws earlier ones.
        Cancel = 3 "Cancel",
        /// Received and accepted, in CAP's own sense.
        Ack = 4 "Ack",
        /// Rejected, in CAP's own sense.
        Error = 5 "Error",
    }
}

/// A message's id: a UUID of version 7 (RFC 9562, section 5.7), unique in its office.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// Takes 16 bytes that are a UUID of version 7 and the RFC's variant; `None` for others.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = bytes.try_into().ok()?;
        (bytes[6] >> 4 == 7 && bytes[8] >> 6 == 2).then_some(Self(bytes))
    }

    /// Gives the 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Refuses other bytes under this id, which the office used before, at an index.
    pub fn reused(self, first: Index) -> Refusal {
        let message = format!(
            "the office used message id {self} for other bytes before, at index {first}: a new message needs a new id"
        );
        Refusal::new(Reason::IdReused, message).of_field("message_id")
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the hub may see of a message. Every field as `message.proto` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The message's id.
    pub message_id: MessageId,
    /// What kind of thing it is.
    pub class: MessageClass,
    /// The stream it belongs to.
    pub stream: Name,
    /// The sending desk.
    pub sender: Desk,
    /// The offices it is for, ascending, each once, at least one.
    pub recipients: Vec<Recipient>,
    /// The version of the directory that they were taken from.
    pub directory_version: DirectoryVersion,
    /// How soon it must be seen.
    pub priority: Priority,
    /// Whether it is real.
    pub status: CapStatus,
    /// What it does to earlier messages.
    pub msg_type: CapMsgType,
    /// The thread it belongs to.
    pub thread_id: [u8; 16],
    /// The sender's earlier messages that it is about.
    pub references: Vec<MessageId>,
    /// When the sender wrote it, by the sender's clock.
    pub sent: UnixMicros,
    /// When it stops to apply.
    pub expires: Option<UnixMicros>,
    /// The payload's size.
    pub payload_bytes: u64,
    /// The payload's SHA-256.
    pub payload_digest: [u8; 32],
    /// By when it is to be received, read and acted on; none: as policy says.
    pub deadlines: Deadlines,
    /// The files that belong to it, ascending by digest, each once; of a packet alone.
    pub files: Vec<FileRef>,
    /// Numbers of the sending desk that no message bears.
    pub voided: Vec<Voided>,
    /// The message that a resealing is about; of one alone.
    pub about: Option<About>,
}

/// A message of whatever office, by what its envelope says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct About {
    /// The office that sent it.
    pub office: Name,
    /// Its id.
    pub message_id: MessageId,
    /// The SHA-256 of its envelope's exact bytes.
    pub digest: [u8; 32],
}

/// An office that a message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The office.
    pub office: Name,
    /// The SHA-256 of the key that the message is sealed to for it.
    pub key: [u8; 32],
    /// The how-manieth message of the sending desk for it, from 1 on.
    pub number: u64,
}

/// A number of the sending desk that no message bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voided {
    /// The office that the message would have been for.
    pub office: Name,
    /// The number.
    pub number: u64,
}

/// A file's SHA-256. Its text is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileDigest(pub [u8; 32]);

impl FileDigest {
    /// Reads it from its text; `None` for other text, capital letters included.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for FileDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A file, by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileRef {
    /// The SHA-256 of all its bytes.
    pub digest: FileDigest,
    /// Its size.
    pub bytes: u64,
}

impl FileRef {
    /// Checks its size.
    ///
    /// # Errors
    /// [`Reason::TooLarge`] for a file of more than [`FILE_BYTES_MAX`].
    pub fn check(&self) -> Result<(), Refusal> {
        if self.bytes <= FILE_BYTES_MAX {
            return Ok(());
        }
        let message = format!(
            "file {} has {} bytes; a file has at most {FILE_BYTES_MAX}: part it, or pack it closer",
            self.digest, self.bytes
        );
        Err(Refusal::new(Reason::TooLarge, message).of_field("files"))
    }
}

impl Envelope {
    /// The offices that it is for, ascending by name.
    pub fn offices(&self) -> impl Iterator<Item = &Name> {
        self.recipients.iter().map(|recipient| &recipient.office)
    }

    /// Checks what no single field shows.
    ///
    /// # Errors
    /// [`Reason::FieldInvalid`] for recipients that are none, not ascending or not unique, for too many references, and for
    /// deadlines of which a later one comes first, for files that are not ascending, not unique, too many, or not of a
    /// packet, and for what only a resealing is or is not; [`Reason::TooLarge`] for a file that is.
    pub fn check(&self) -> Result<(), Refusal> {
        if self.recipients.is_empty() {
            return Err(Refusal::field(
                "recipients",
                "an envelope names at least one recipient; this names none",
            ));
        }
        if let Some((before, after)) = self.offices().zip(self.offices().skip(1)).find(|(a, b)| a >= b) {
            let message = format!("recipients stand in ascending order, each once; {after} follows {before}");
            return Err(Refusal::field("recipients", message));
        }
        if let Some(recipient) = self.recipients.iter().find(|it| it.number == 0) {
            let message =
                format!("recipients.number counts from 1; the message for {} has 0", recipient.office);
            return Err(Refusal::field("recipients", message));
        }
        if self.voided.len() > VOIDED_MAX {
            let found = self.voided.len();
            let message = format!("an envelope voids at most {VOIDED_MAX} numbers; this voids {found}");
            return Err(Refusal::field("voided", message));
        }
        if self.references.len() > REFERENCES_MAX {
            let found = self.references.len();
            let message = format!("an envelope has at most {REFERENCES_MAX} references; this has {found}");
            return Err(Refusal::field("references", message));
        }
        self.check_files()?;
        self.check_about()?;
        self.deadlines.check()
    }

    fn check_about(&self) -> Result<(), Refusal> {
        let Some(about) = &self.about else {
            if self.class != MessageClass::Reseal {
                return Ok(());
            }
            return Err(Refusal::field(
                "about",
                "a resealing names the message that it is about; this names none",
            ));
        };
        if self.class != MessageClass::Reseal {
            let message =
                format!("only a resealing is about another message; this is of class {}", self.class);
            return Err(Refusal::field("about", message));
        }
        if self.msg_type != CapMsgType::Alert || !self.references.is_empty() {
            let message =
                "a resealing changes no earlier message: msg_type is Alert, and there are no references";
            return Err(Refusal::field("msg_type", message));
        }
        let own = &self.sender.office;
        let between =
            |it: &Recipient| it.office != *own && (about.office == *own || about.office == it.office);
        if matches!(&*self.recipients, [other] if between(other)) {
            return Ok(());
        }
        let message = format!(
            "a resealing goes between {}, which sent the other message, and one office that it was for",
            about.office
        );
        Err(Refusal::field("recipients", message))
    }

    fn check_files(&self) -> Result<(), Refusal> {
        let found = self.files.len();
        if found > 0 && self.class != MessageClass::Packet {
            let message = format!("only a packet has files; this {} has {found}", self.class);
            return Err(Refusal::field("files", message));
        }
        if found > FILES_MAX {
            let message = format!("an envelope has at most {FILES_MAX} files; this has {found}");
            return Err(Refusal::field("files", message));
        }
        if self.files.iter().zip(self.files.iter().skip(1)).any(|(a, b)| a.digest >= b.digest) {
            return Err(Refusal::field(
                "files",
                "files stand in ascending order of their digests, each once",
            ));
        }
        self.files.iter().try_for_each(FileRef::check)
    }

    /// Checks that the payload is the one described.
    ///
    /// # Errors
    /// [`Reason::PayloadMismatch`] for another size or digest. `digest` is the payload's SHA-256.
    pub fn check_payload(&self, payload_bytes: usize, digest: &[u8; 32]) -> Result<(), Refusal> {
        if self.payload_bytes != payload_bytes as u64 {
            let message = format!(
                "the envelope describes a payload of {} bytes; {payload_bytes} came: hand in the bytes that were sized",
                self.payload_bytes
            );
            return Err(Refusal::new(Reason::PayloadMismatch, message).of_field("payload_bytes"));
        }
        if self.payload_digest != *digest {
            let message =
                "the payload's SHA-256 is not the one in the envelope: hand in the bytes that were digested";
            return Err(Refusal::new(Reason::PayloadMismatch, message).of_field("payload_digest"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(files: Vec<FileRef>) -> Envelope {
        Envelope {
            message_id: MessageId::from_slice(&[0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1])
                .unwrap(),
            class: MessageClass::Packet,
            stream: "studies".parse().unwrap(),
            sender: Desk { office: "iachr".parse().unwrap(), desk: "desk-1".parse().unwrap() },
            recipients: vec![Recipient { office: "ohchr-mexico".parse().unwrap(), key: [0; 32], number: 1 }],
            directory_version: DirectoryVersion(0),
            priority: Priority::Normal,
            status: CapStatus::Test,
            msg_type: CapMsgType::Alert,
            thread_id: [0; 16],
            references: Vec::new(),
            sent: UnixMicros(0),
            expires: None,
            payload_bytes: 0,
            payload_digest: [0; 32],
            files,
            voided: Vec::new(),
            about: None,
            deadlines: Deadlines::default(),
        }
    }

    fn file(number: u8, bytes: u64) -> FileRef {
        FileRef { digest: FileDigest([number; 32]), bytes }
    }

    #[test]
    fn files_are_ascending_few_of_a_packet_and_of_two_gibibytes_at_most() {
        let many = |count| (0..count).map(|number| file(number, 0)).collect();
        for files in [many(0), many(64), vec![file(1, FILE_BYTES_MAX)]] {
            assert_eq!(packet(files).check(), Ok(()));
        }
        for (files, reason) in [
            (many(65), Reason::FieldInvalid),
            (vec![file(2, 1), file(1, 1)], Reason::FieldInvalid),
            (vec![file(1, 1), file(1, 2)], Reason::FieldInvalid),
            (vec![file(1, FILE_BYTES_MAX + 1)], Reason::TooLarge),
        ] {
            let refusal = packet(files).check().unwrap_err();
            assert_eq!((refusal.reason, refusal.field), (reason, "files"));
        }
        let alert = Envelope { class: MessageClass::Alert, ..packet(many(1)) };
        assert_eq!(alert.check().unwrap_err().reason, Reason::FieldInvalid);
    }

    #[test]
    fn a_resealing_and_it_alone_is_about_a_message_and_goes_between_its_sender_and_another() {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let about = |office| About {
            office: name(office),
            message_id: packet(Vec::new()).message_id,
            digest: [7; 32],
        };
        let to = |offices: &[&str]| {
            offices.iter().map(|it| Recipient { office: name(it), key: [0; 32], number: 1 }).collect()
        };
        // All are of iachr.
        let reseal = |recipients: &[&str], of| {
            let (class, about) = (MessageClass::Reseal, Some(about(of)));
            Envelope { class, about, recipients: to(recipients), ..packet(Vec::new()) }
        };
        assert_eq!(reseal(&["ohchr-mexico"], "ohchr-mexico").check(), Ok(()));
        assert_eq!(reseal(&["ohchr-mexico"], "iachr").check(), Ok(()));
        let good = reseal(&["ohchr-mexico"], "iachr");
        for (envelope, field) in [
            (reseal(&["ohchr-mexico"], "ohchr-honduras"), "recipients"),
            (reseal(&["iachr"], "iachr"), "recipients"),
            (reseal(&["ohchr-honduras", "ohchr-mexico"], "iachr"), "recipients"),
            (Envelope { about: None, ..good.clone() }, "about"),
            (Envelope { class: MessageClass::Alert, ..good.clone() }, "about"),
            (Envelope { msg_type: CapMsgType::Cancel, ..good.clone() }, "msg_type"),
            (Envelope { references: vec![good.message_id], ..good.clone() }, "msg_type"),
            (Envelope { files: vec![file(1, 1)], ..good }, "files"),
        ] {
            let refusal = envelope.check().unwrap_err();
            assert_eq!((refusal.reason, refusal.field), (Reason::FieldInvalid, field), "{refusal}");
        }
    }

    #[test]
    fn digest_reads_back_from_its_text_and_from_no_other() {
        let digest = FileDigest(std::array::from_fn(|at| u8::try_from(at * 7).unwrap()));
        let text = digest.to_string();
        assert_eq!(FileDigest::from_hex(&text), Some(digest));
        for other in [&text[1..], &text.to_uppercase(), &format!("{text}0"), &text.replace('0', "é")] {
            assert_eq!(FileDigest::from_hex(other), None, "{other}");
        }
    }
}
