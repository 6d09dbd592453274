//! Messages to hand in, right by default and wrong on request.

use bytes::Bytes;
use prost::Message as _;
use resguardo::wire::proto::{CapMsgType, CapStatus, Envelope, MessageClass, Priority, PublishRequest};
use uuid::Builder;

use super::authority::now_us;
use super::chance::{random_bytes, sha256};

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
        let mut recipients: Vec<String> = recipients.iter().map(|office| (*office).to_owned()).collect();
        recipients.sort_unstable();
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

    /// The envelope's exact bytes.
    pub(crate) fn envelope_bytes(&self) -> Bytes {
        self.envelope.encode_to_vec().into()
    }

    /// What is handed in.
    pub(crate) fn request(&self) -> PublishRequest {
        PublishRequest { envelope: self.envelope_bytes(), payload: self.payload.clone() }
    }
}

/// A new message id: a UUID of version 7.
pub(crate) fn new_id() -> Bytes {
    let id = Builder::from_unix_timestamp_millis(now_us() / 1_000, &random_bytes()).into_uuid();
    Bytes::copy_from_slice(id.as_bytes())
}
