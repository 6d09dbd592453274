//! The payload of a resealing between exact bytes and the model: a request, or an answer with the keys of sealings.
//!
//! Owns the form, and that the memory which held such keys is overwritten. Never says whose a request or an answer is.

use bytes::Bytes;
use prost::Message as _;
use zeroize::Zeroizing;

use super::convert::{array, message_id};
use super::proto;
use crate::model::envelope::{FILES_MAX, MessageId};
use crate::model::refusal::{Reason, Refusal};
use crate::seal::{FILE_KEY_BYTES, FileKey};

/// Longest reason of a request, in bytes of UTF-8.
pub const WHY_BYTES_MAX: usize = 4096;

/// What one office says to another about a message that one of them sent and the other cannot open.
#[derive(Debug)]
pub enum ResealContent {
    /// It asks for what opens it.
    Request {
        /// Why; empty: nothing is said.
        why: String,
    },
    /// It gives what opens it.
    Answer(ResealAnswer),
}

/// What opens a message.
#[derive(Debug)]
pub struct ResealAnswer {
    /// The request's id.
    pub request: MessageId,
    /// The SHA-256 of the exact bytes of the request's envelope.
    pub request_digest: [u8; 32],
    /// The key of the payload's sealing, then those of the files' in the order of the envelope: one at least.
    pub keys: Vec<FileKey>,
}

impl ResealContent {
    /// Reads it. Bytes that are overwritten when they are dropped stay the only ones that hold a key.
    ///
    /// # Errors
    /// [`Reason::Malformed`], [`Reason::FieldInvalid`] with the field.
    pub fn read(bytes: &Bytes) -> Result<Self, Refusal> {
        use proto::reseal_content::Content;
        let wire = proto::ResealContent::decode(bytes.clone());
        let wire = wire.map_err(|error| {
            Refusal::new(Reason::Malformed, format!("the bytes are not those of a resealing: {error}"))
        })?;
        match wire.content {
            Some(Content::Request(request)) => {
                let why = request.reason;
                check_why(&why)?;
                Ok(Self::Request { why })
            }
            Some(Content::Answer(answer)) => Ok(Self::Answer(ResealAnswer {
                request: message_id("request_id", &answer.request_id)?,
                request_digest: array("request_digest", &answer.request_digest)?,
                keys: keys(&answer.file_keys)?,
            })),
            None => Err(Refusal::field(
                "content",
                "a resealing is a request or an answer; nothing that is known came",
            )),
        }
    }

    /// Encodes it.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        use proto::reseal_content::Content;
        let content = match self {
            Self::Request { why } => Content::Request(proto::ResealRequest { reason: why.clone() }),
            Self::Answer(answer) => {
                // What grows leaves copies of it behind.
                let mut keys = Zeroizing::new(Vec::with_capacity(answer.keys.len() * FILE_KEY_BYTES));
                answer.keys.iter().for_each(|key| keys.extend_from_slice(key.as_bytes()));
                Content::Answer(proto::ResealAnswer {
                    request_id: Bytes::copy_from_slice(answer.request.as_bytes()),
                    request_digest: Bytes::copy_from_slice(&answer.request_digest),
                    file_keys: Bytes::from_owner(keys),
                })
            }
        };
        // `encode_to_vec` has room for all of it from the first byte on.
        Zeroizing::new(proto::ResealContent { content: Some(content) }.encode_to_vec())
    }
}

/// Checks why a message is to be sealed again.
///
/// # Errors
/// [`Reason::FieldInvalid`] for more than [`WHY_BYTES_MAX`].
pub fn check_why(why: &str) -> Result<(), Refusal> {
    if why.len() <= WHY_BYTES_MAX {
        return Ok(());
    }
    let message = format!("reason: at most {WHY_BYTES_MAX} bytes say why; {} came", why.len());
    Err(Refusal::field("reason", message))
}

fn keys(bytes: &[u8]) -> Result<Vec<FileKey>, Refusal> {
    let (keys, rest) = bytes.as_chunks::<FILE_KEY_BYTES>();
    if rest.is_empty() && (1..=1 + FILES_MAX).contains(&keys.len()) {
        return Ok(keys.iter().map(FileKey::from_bytes).collect());
    }
    let message = format!(
        "file_keys has {FILE_KEY_BYTES} bytes for the payload and for each of {FILES_MAX} files at most; {} came",
        bytes.len()
    );
    Err(Refusal::field("file_keys", message))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id() -> MessageId {
        MessageId::from_slice(&[0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1]).unwrap()
    }

    fn answer(keys: usize) -> ResealContent {
        let keys =
            (0..keys).map(|number| FileKey::from_bytes(&[u8::try_from(number).unwrap(); 16])).collect();
        ResealContent::Answer(ResealAnswer { request: id(), request_digest: [7; 32], keys })
    }

    fn read(content: &ResealContent) -> Result<ResealContent, Refusal> {
        ResealContent::read(&Bytes::from_owner(content.to_bytes()))
    }

    #[test]
    fn what_is_encoded_is_read_back() {
        let ResealContent::Request { why } = read(&ResealContent::Request { why: "fire".into() }).unwrap()
        else {
            panic!("no request")
        };
        assert_eq!(why, "fire");
        for count in [1, 2, 1 + FILES_MAX] {
            let ResealContent::Answer(read) = read(&answer(count)).unwrap() else { panic!("no answer") };
            assert_eq!((read.request, read.request_digest, read.keys.len()), (id(), [7; 32], count));
            for (key, number) in read.keys.iter().zip(0..) {
                assert_eq!(key.as_bytes(), &[number; 16]);
            }
        }
    }

    #[test]
    fn other_lengths_and_nothing_are_refused_by_field() {
        let long = ResealContent::Request { why: "x".repeat(WHY_BYTES_MAX + 1) };
        assert_eq!(read(&long).unwrap_err().field, "reason");
        for count in [0, 2 + FILES_MAX] {
            assert_eq!(read(&answer(count)).unwrap_err().field, "file_keys");
        }
        let mut wire = proto::ResealContent::decode(answer(1).to_bytes().as_slice()).unwrap();
        let Some(proto::reseal_content::Content::Answer(it)) = &mut wire.content else { panic!("no answer") };
        it.file_keys = Bytes::from_static(&[7; 17]);
        assert_eq!(ResealContent::read(&wire.encode_to_vec().into()).unwrap_err().field, "file_keys");
        assert_eq!(ResealContent::read(&Bytes::new()).unwrap_err().field, "content");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ResealContent::read(&bytes.into());
        }
    }
}
