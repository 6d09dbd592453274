//! Exit codes, and the one shape of everything that goes wrong in a command.
//!
//! Owns which error has which code. Never prints: a failure is told once, at the top.

use std::io;

use crate::cap::CapError;
use crate::desk::find::FindError;
use crate::desk::hand_in::HandInError;
use crate::desk::home::{HomeError, TrustFileError};
use crate::desk::members::MembersError;
use crate::desk::packet::transfer::TransferError;
use crate::desk::packet::unpack::UnpackError;
use crate::desk::sealer::SealerError;
use crate::desk::session::SessionError;
use crate::desk::store::StoreError;
use crate::host::disk;
use crate::wire::connect_error::{ConnectError, Outcome};
use crate::wire::status::{CallError, Refused};

/// How the program ends. The numbers are part of what scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is done.
    Done = 0,
    /// Any other fault.
    Fault = 1,
    /// Wrong usage or bad input.
    Usage = 2,
    /// The hub refused.
    Refused = 3,
    /// The hub is not there, or cannot take it now.
    Unreachable = 4,
    /// Something is damaged, or somebody is not who they should be.
    Integrity = 5,
    /// What was waited for did not come in time.
    InVain = 6,
    /// Evidence holds, and too few witnesses bear witness to it.
    Unwitnessed = 7,
    /// Ended by Ctrl-C.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

/// What is printed below `--help`.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a fault that is none of the others
  2    wrong usage or bad input
  3    the hub refused
  4    the hub is not there, or cannot take it now; what was written waits in the outbox
  5    integrity: a damaged file, a digest that does not fit, a hub that is not trusted
  6    --wait: the time was over first
  7    `verify`: the file holds, and not enough witnesses bear witness to it yet
  130  ended by Ctrl-C; 143 ended by SIGTERM (`subscribe` without --count ends with 0 then)";

/// Why a command ended early.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What was wrong, what was expected, what to do; for people. It may hold others' words: make them harmless.
    pub message: String,
    /// The hub's stable reason, where it refused.
    pub reason: Option<String>,
}

impl Failure {
    /// Says what is wrong.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), reason: None }
    }

    /// Bad input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds a sentence.
    #[must_use]
    pub fn and(mut self, sentence: &str) -> Self {
        let stop = if self.message.ends_with(['.', '?', '!']) { "" } else { "." };
        self.message = format!("{}{stop} {sentence}", self.message);
        self
    }

    /// What a file of settings or papers comes to that cannot be read.
    pub(super) fn of_unread(kind: io::ErrorKind) -> Exit {
        if disk::is_failure(kind) { Exit::Fault } else { Exit::Usage }
    }

    fn of(exit: Exit, error: &impl ToString) -> Self {
        Self::new(exit, error.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let field =
            if refused.field.is_empty() { String::new() } else { format!(" (field {})", refused.field) };
        let exit = if refused.retry_after_ms.is_some() { Exit::Unreachable } else { Exit::Refused };
        let message = format!("the hub refused: {}{field} [{}]", refused.message, refused.reason);
        Self { exit, message, reason: Some(refused.reason) }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refused) => refused.into(),
            CallError::Connect(error) => error.into(),
            CallError::Fault { .. } | CallError::Unreachable { .. } => Self::of(Exit::Unreachable, &error),
            CallError::Other { .. } => Self::of(Exit::Fault, &error),
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let exit = match error.outcome() {
            Outcome::Usage => Exit::Usage,
            Outcome::Fault => Exit::Fault,
            Outcome::Refused => Exit::Refused,
            Outcome::Unreachable => Exit::Unreachable,
            Outcome::Integrity => Exit::Integrity,
        };
        Self::of(exit, &error)
    }
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        CallError::from(status).into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Damaged { .. } => Self::of(Exit::Integrity, &error),
            StoreError::Disk { .. } | StoreError::InUse { .. } => Self::of(Exit::Fault, &error),
        }
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        match &error {
            HomeError::Missing { .. } | HomeError::Settings { .. } | HomeError::NotADesk { .. } => {
                Self::of(Exit::Usage, &error)
            }
            HomeError::Disk { .. } | HomeError::Busy { .. } => Self::of(Exit::Fault, &error),
        }
    }
}

impl From<MembersError> for Failure {
    fn from(error: MembersError) -> Self {
        match error {
            MembersError::Call(error) => error.into(),
            MembersError::Store(error) => error.into(),
            MembersError::Home(error) => error.into(),
            MembersError::Contradiction(_) | MembersError::Forked(_) | MembersError::Shrunken { .. } => {
                Self::of(Exit::Integrity, &error)
            }
            MembersError::Trust(TrustFileError::Disk { .. }) => Self::of(Exit::Fault, &error),
            _ => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<HandInError> for Failure {
    fn from(error: HandInError) -> Self {
        match error {
            HandInError::Call(error) => error.into(),
            HandInError::Store(error) => error.into(),
            HandInError::Home(error) => error.into(),
            HandInError::MessageLost(_) => Self::of(Exit::Unreachable, &error),
            HandInError::Files(error) => error.into(),
            HandInError::Sealer(error) => error.into(),
        }
    }
}

impl From<SealerError> for Failure {
    fn from(error: SealerError) -> Self {
        match error {
            SealerError::Store(error) => error.into(),
            SealerError::Draft(_) | SealerError::Manifest(_) | SealerError::NotStale(_) => {
                Self::of(Exit::Integrity, &error)
            }
            SealerError::Seal(_) | SealerError::Disk(_) => Self::of(Exit::Fault, &error),
            SealerError::NoDirectory => Self::of(Exit::Unreachable, &error),
            _ => Self::of(Exit::Usage, &error),
        }
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Call(error) => error.into(),
            TransferError::Unreadable { .. } | TransferError::Changed { .. } => Self::of(Exit::Usage, &error),
            TransferError::Disk(_) => Self::of(Exit::Fault, &error),
            TransferError::Other(_) => Self::of(Exit::Integrity, &error),
        }
    }
}

impl From<UnpackError> for Failure {
    fn from(error: UnpackError) -> Self {
        let exit = match &error {
            UnpackError::Taken(_) => Exit::Usage,
            UnpackError::Unreadable { .. } => Exit::Integrity,
            UnpackError::Disk { .. } => Exit::Fault,
        };
        Self::of(exit, &error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Refused(refused) => refused.into(),
            SessionError::Connect(error) => error.into(),
            SessionError::Store(StoreError::InUse { .. }) => Self::new(
                Exit::Fault,
                "another `resguardo subscribe` runs on this home: one is enough; end it, or use that one",
            ),
            SessionError::Store(error) => error.into(),
            SessionError::Home(error) => error.into(),
            SessionError::Files(error) => Self::of(Exit::Fault, &error),
            SessionError::Observer(error) => error.into(),
        }
    }
}

impl From<FindError> for Failure {
    fn from(error: FindError) -> Self {
        Self::of(Exit::Usage, &error)
    }
}

impl From<CapError> for Failure {
    fn from(error: CapError) -> Self {
        Self::of(Exit::Usage, &error)
    }
}

impl From<io::Error> for Failure {
    /// A reader that went away, like `head`, has all that it wanted.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Done, ""),
            _ => Self::new(Exit::Fault, format!("cannot write: {error}")),
        }
    }
}
