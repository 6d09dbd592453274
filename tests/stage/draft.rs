//! Messages to hand in, right by default and wrong on request.

use bytes::Bytes;
use prost::Message as _;
use resguardo::seal::{Kind, SigningKey};
use resguardo::wire::proto::{
    CapMsgType, CapStatus, Envelope, MessageClass, Priority, PublishRequest, Recipient, Signed,
};
use uuid::Builder;

use super::authority::now_us;
use super::chance::{random_bytes, sha256};
use super::founding::{desk_keys, opening_id};
use super::sign::signature;

/// The stream that a message goes to if nothing else is said.
pub(crate) const STREAM: &str = "monitoring-protection";

/// A message before it is handed in.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// Its envelope.
    pub(crate) envelope: Envelope,
    /// Its payload.
    pub(crate) payload: Bytes,
}

impl Draft {
    /// A normal message of a desk to offices, on the usual stream, with a short payload of its own.
    pub(crate) fn new(sender: &str, recipients: &[&str]) -> Self {
        let mut recipients: Vec<_> = recipients.iter().map(|office| recipient(office)).collect();
        recipients.sort_unstable_by(|a, b| a.office.cmp(&b.office));
        let envelope = Envelope {
            message_id: new_id(),
            message_class: MessageClass::Alert.into(),
            stream: STREAM.to_owned(),
            sender: sender.to_owned(),
            recipients,
            directory_version: 0,
            priority: Priority::Normal.into(),
            status: CapStatus::Exercise.into(),
            msg_type: CapMsgType::Alert.into(),
            thread_id: Bytes::copy_from_slice(&random_bytes::<16>()),
            references: Vec::new(),
            sent_unix_us: now_us(),
            expires_unix_us: None,
            payload_bytes: 0,
            payload_digest: Bytes::new(),
            receive_by_s: None,
            read_by_s: None,
            act_by_s: None,
            files: Vec::new(),
            voided: Vec::new(),
            about: None,
        };
        let payload = random_bytes::<48>();
        Self { envelope, payload: Bytes::new() }.payload(payload.to_vec())
    }

    /// Sets how soon it must be seen.
    pub(crate) fn priority(self, priority: Priority) -> Self {
        self.edit(|envelope| envelope.priority = priority.into())
    }

    /// Makes it urgent.
    pub(crate) fn urgent(self) -> Self {
        self.priority(Priority::Urgent)
    }

    /// Sets its stream.
    pub(crate) fn stream(self, stream: &str) -> Self {
        self.edit(|envelope| stream.clone_into(&mut envelope.stream))
    }

    /// Sets when it stops to apply.
    pub(crate) fn expires(self, unix_us: u64) -> Self {
        self.edit(|envelope| envelope.expires_unix_us = Some(unix_us))
    }

    /// Sets its payload, and the size and digest that the envelope says.
    pub(crate) fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = payload.into();
        self.envelope.payload_bytes = self.payload.len() as u64;
        self.envelope.payload_digest = sha256(&self.payload).into();
        self
    }

    /// Changes the envelope.
    pub(crate) fn edit(mut self, change: impl FnOnce(&mut Envelope)) -> Self {
        change(&mut self.envelope);
        self
    }

    /// Its id.
    pub(crate) fn id(&self) -> Bytes {
        self.envelope.message_id.clone()
    }

    /// The envelope's exact bytes, signed by the desk that it names.
    pub(crate) fn envelope_bytes(&self) -> Bytes {
        self.signed_with(&desk_keys(&self.envelope.sender)[0])
    }

    /// The envelope's exact bytes, signed by somebody.
    pub(crate) fn signed_with(&self, key: &SigningKey) -> Bytes {
        let statement: Bytes = self.envelope.encode_to_vec().into();
        let signatures = vec![signature(key, Kind::Envelope, &statement)];
        Signed { statement, signatures }.encode_to_vec().into()
    }

    /// What is handed in.
    pub(crate) fn request(&self) -> PublishRequest {
        PublishRequest { envelope: self.envelope_bytes(), payload: self.payload.clone() }
    }
}

/// An office that a message is for, by the key that the founding gives it.
pub(crate) fn recipient(office: &str) -> Recipient {
    Recipient { office: office.to_owned(), key_id: opening_id(office), number: 1 }
}

/// Reads an envelope out of what stands around it.
pub(crate) fn envelope_of(signed: &Bytes) -> Envelope {
    let signed = Signed::decode(signed.clone()).expect("what stands around an envelope");
    Envelope::decode(signed.statement).expect("the envelope that was handed in")
}

/// A new message id: a UUID of version 7.
pub(crate) fn new_id() -> Bytes {
    let id = Builder::from_unix_timestamp_millis(now_us() / 1_000, &random_bytes()).into_uuid();
    Bytes::copy_from_slice(id.as_bytes())
}
