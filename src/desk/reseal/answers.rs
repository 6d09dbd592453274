//! Answers that came to requests to seal messages again, and what they open.
//!
//! Owns which answer counts for which message: one of the office that sent it, about that very envelope, for this office. Keeps no
//! key: an answer is opened when what it opens is, with the keys that the office has by then. Never writes.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::desk::home::Home;
use crate::desk::inbox::{Inbox, InboxEntry, Kept};
use crate::desk::opener::{Clear, Opener, Unreadable};
use crate::desk::store::StoreError;
use crate::model::envelope::{Envelope, FileRef, MessageClass, MessageId};
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Name};
use crate::model::policy::Policy;
use crate::model::refusal::Refusal;
use crate::seal::{FileKey, OpenError};
use crate::wire::reseal::{ResealAnswer, ResealContent};

/// How a message that was sealed to a lost key is opened: by whom, when, on which request.
#[derive(Debug)]
pub struct Resealed {
    /// The desk that sealed it again.
    pub by: Desk,
    /// The hub's time of the answer.
    pub at: UnixMicros,
    /// The answer.
    pub answer: MessageId,
    /// The request that it names.
    pub request: MessageId,
    keys: Vec<FileKey>,
}

/// Why an answer counts for nothing.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// It is about other bytes of that id.
    #[error("it is about another envelope of the same id")]
    Another,
    /// It was made for another office.
    #[error("it is not for this office")]
    ForOthers,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(Box<Unreadable>),
    /// What stands in it is not of its form.
    #[error("what it says is not of its form: {0}")]
    Form(Refusal),
    /// It is a request.
    #[error("it is a request itself")]
    Request,
    /// It has not a key for each sealing.
    #[error("it has {found} keys, and the message has {expected} sealings")]
    Count {
        /// How many came.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Its key is of something else.
    #[error("its key does not open the message: {0}")]
    Key(OpenError),
}

impl Resealed {
    /// The key of a file of the message.
    pub fn file_key(&self, envelope: &Envelope, file: &FileRef) -> Option<&FileKey> {
        let at = envelope.files.iter().position(|it| it == file)?;
        self.keys.get(1 + at)
    }
}

/// Which answers are here, looked for when one is needed first.
#[derive(Clone)]
pub struct Answers {
    home: Home,
    by_message: Arc<OnceLock<ByMessage>>,
}

type ByMessage = HashMap<(Name, MessageId), Vec<InboxEntry>>;

impl Answers {
    /// Those of a home.
    pub fn of(home: &Home) -> Self {
        Self { home: home.clone(), by_message: Arc::default() }
    }

    /// Opens a message with what an answer has, the newest first.
    ///
    /// # Errors
    /// [`Unreadable::Answer`] where none counts, [`Unreadable::Answers`]; `None`: there is none.
    pub fn open(
        &self,
        (opener, policy): (&Opener, &Policy),
        kept: &Kept,
    ) -> Result<Option<(Clear, Resealed)>, Unreadable> {
        let inbox = Inbox::open(&self.home).map_err(Unreadable::Answers)?;
        let key = (kept.entry.sender.clone(), kept.entry.message_id);
        let entries = self.by_message(&inbox).map_err(Unreadable::Answers)?.get(&key);
        let own = self.home.desk().ok().map(|desk| &desk.office);
        let mut refused = None;
        for entry in entries.into_iter().flatten().rev() {
            // One that is damaged counts for nothing until it has come again.
            let Ok(answer) = inbox.read(entry) else { continue };
            match open((opener, policy), own, kept, &answer) {
                Ok(found) => return Ok(Some(found)),
                // Another request is none of this office's answers.
                Err(AnswerError::Request) => {}
                Err(why) => refused = refused.or(Some(Unreadable::Answer { id: entry.message_id, why })),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    fn by_message(&self, inbox: &Inbox) -> Result<&ByMessage, StoreError> {
        if let Some(found) = self.by_message.get() {
            return Ok(found);
        }
        let mut found = ByMessage::new();
        for entry in inbox.entries()? {
            let kept = match inbox.read(&entry) {
                Ok(kept) => kept,
                Err(StoreError::Damaged { .. }) => continue,
                Err(error) => return Err(error),
            };
            if let Some(about) = kept.envelope.about.filter(|_| kept.erased.is_none()) {
                found.entry((about.office, about.message_id)).or_default().push(entry);
            }
        }
        Ok(self.by_message.get_or_init(|| found))
    }
}

/// Holds an answer to the message, and opens that with it.
pub(super) fn open(
    (opener, policy): (&Opener, &Policy),
    own: Option<&Name>,
    message: &Kept,
    answer: &Kept,
) -> Result<(Clear, Resealed), AnswerError> {
    let ResealAnswer { request, keys, .. } = held((opener, policy), own, message, answer)?;
    let expected = 1 + message.envelope.files.len();
    let [of_payload, ..] = keys.as_slice() else { return Err(AnswerError::Count { found: 0, expected }) };
    if keys.len() != expected {
        return Err(AnswerError::Count { found: keys.len(), expected });
    }
    let clear = Opener::open_with(policy, &message.envelope, &message.payload, of_payload);
    let clear = clear.map_err(|why| match why {
        Unreadable::Sealing(error) => AnswerError::Key(error),
        why => AnswerError::Unreadable(Box::new(why)),
    })?;
    let (by, at) = (answer.envelope.sender.clone(), answer.accepted);
    Ok((clear, Resealed { by, at, answer: answer.envelope.message_id, request, keys }))
}

/// What an answer says, once it is one to this message.
fn held(
    (opener, policy): (&Opener, &Policy),
    own: Option<&Name>,
    message: &Kept,
    answer: &Kept,
) -> Result<ResealAnswer, AnswerError> {
    let (of_message, of_answer) = (&message.envelope, &answer.envelope);
    let about = of_answer.about.as_ref().filter(|about| {
        about.office == of_message.sender.office
            && about.message_id == of_message.message_id
            && about.digest == message.digest
            && of_answer.class == MessageClass::Reseal
    });
    if about.is_none() {
        return Err(AnswerError::Another);
    }
    // By its form a resealing is of the office that sent the other message, or for it: one for this office is of that one.
    if of_answer.offices().all(|office| Some(office) != own) {
        return Err(AnswerError::ForOthers);
    }
    let clear = opener.open(policy, of_answer, &answer.payload);
    let clear = clear.map_err(|why| AnswerError::Unreadable(Box::new(why)))?;
    match ResealContent::read(&clear.0).map_err(AnswerError::Form)? {
        ResealContent::Answer(answer) => Ok(answer),
        ResealContent::Request { .. } => Err(AnswerError::Request),
    }
}

/// Shows nothing of it.
impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}
