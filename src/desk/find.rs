//! Finding a message by what a person types: its id, or the beginning or end of it.
//!
//! Owns the rule of what is unambiguous. Never reads a file's content.

use super::inbox::InboxEntry;
use super::outbox::OutboxEntry;
use crate::model::envelope::MessageId;

/// Characters of an id that must be given at least: fewer match too much.
pub const ID_CHARS_MIN: usize = 6;

/// A message of this home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It came.
    Received(InboxEntry),
    /// It is this desk's own.
    Sent(OutboxEntry),
}

impl Found {
    /// Its id.
    pub fn message_id(&self) -> MessageId {
        match self {
            Self::Received(entry) => entry.message_id,
            Self::Sent(entry) => entry.message_id,
        }
    }
}

/// Why no one message was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Too little was given.
    #[error("{text:?} is too short: at least {ID_CHARS_MIN} characters of a message's id expected")]
    TooShort {
        /// What was given.
        text: String,
    },
    /// There is none.
    #[error(
        "no message of this home has an id that begins or ends with {text:?}: `resguardo inbox` lists them"
    )]
    None {
        /// What was given.
        text: String,
    },
    /// There are several.
    #[error("{text:?} fits several messages: {}: give more of the id", ids.join(", "))]
    Several {
        /// What was given.
        text: String,
        /// The ids that it fits.
        ids: Vec<String>,
    },
}

/// Finds the one message that fits. One that came goes before one of the same id that was sent: it is the same.
///
/// # Errors
/// Every [`FindError`].
pub fn find(text: &str, received: &[InboxEntry], sent: &[OutboxEntry]) -> Result<Found, FindError> {
    let text = text.to_ascii_lowercase();
    if text.len() < ID_CHARS_MIN {
        return Err(FindError::TooShort { text });
    }
    let fits = |id: MessageId| {
        let id = id.to_string();
        id.starts_with(&text) || id.ends_with(&text)
    };
    let came = received.iter().filter(|entry| fits(entry.message_id)).cloned().map(Found::Received);
    let mut found: Vec<_> = came.collect();
    for entry in sent.iter().filter(|entry| fits(entry.message_id)) {
        if found.iter().all(|other| other.message_id() != entry.message_id) {
            found.push(Found::Sent(entry.clone()));
        }
    }
    match found.len() {
        0 => Err(FindError::None { text }),
        1 => Ok(found.remove(0)),
        _ => Err(FindError::Several { text, ids: found.iter().map(shown).collect() }),
    }
}

/// Reads a whole message id.
pub fn parse_message_id(text: &str) -> Option<MessageId> {
    MessageId::from_slice(uuid::Uuid::parse_str(text).ok()?.as_bytes())
}

fn shown(found: &Found) -> String {
    match found {
        Found::Received(entry) => format!("{} of {}", entry.message_id, entry.sender),
        Found::Sent(entry) => format!("{} (sent)", entry.message_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::outbox::Stand;
    use crate::model::epoch::EpochId;
    use crate::model::id::Index;

    fn received(id: &str, sender: &str) -> InboxEntry {
        let message_id = parse_message_id(id).unwrap();
        InboxEntry { index: Index(1), epoch: EpochId(0), message_id, sender: sender.parse().unwrap() }
    }

    const ONE: &str = "01928f3a-0000-7000-8000-0000000000a1";
    const TWO: &str = "01928f3a-0001-7000-8000-0000000000b2";

    #[test]
    fn a_beginning_or_end_of_six_characters_finds_the_only_one() {
        let inbox = [received(ONE, "iachr"), received(TWO, "iachr")];
        let own = [OutboxEntry { message_id: inbox[0].message_id, stand: Stand::Accepted }];
        for text in [ONE, "0000A1", "0-8000-0000000000a1", "01928f3a-0000"] {
            assert_eq!(find(text, &inbox, &own), Ok(Found::Received(inbox[0].clone())), "{text}");
        }
        assert_eq!(find("0000a1", &[], &own), Ok(Found::Sent(own[0].clone())));
    }

    #[test]
    fn what_is_short_unknown_or_ambiguous_is_refused() {
        let inbox = [received(ONE, "iachr"), received(TWO, "iachr"), received(ONE, "ohchr-mexico")];
        assert!(matches!(find("000a1", &inbox, &[]), Err(FindError::TooShort { .. })));
        assert!(matches!(find("ffffff", &inbox, &[]), Err(FindError::None { .. })));
        let Err(FindError::Several { ids, .. }) = find("01928f", &inbox, &[]) else { panic!("one found") };
        assert_eq!(ids.len(), 3);
        // The same id of two offices: even the whole id does not say which.
        assert!(matches!(find(ONE, &inbox, &[]), Err(FindError::Several { .. })));
    }
}
