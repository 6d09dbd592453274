//! Refusals and faults as gRPC statuses, and back: the one place where a status is built or read.
//!
//! Owns which reason has which code, and what of a fault is told: that there was one. Never decides what is refused.
//! Sources: gRPC status codes; `google.rpc.ErrorInfo`, `BadRequest` and `RetryInfo` (AIP-193).

use std::error::Error;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::connect_error::{ConnectError, chain};
use super::proto;
use crate::model::refusal::{Reason, Refusal};

/// The domain of every reason.
pub const DOMAIN: &str = "resguardo";

/// The reason of a fault of the hub's own. It is no refusal: the caller did nothing wrong.
pub const FAULT: &str = "FAULT";

/// Bytes of a message at most. It travels twice in the headers, once percent-encoded, and clients take 16 KiB of them.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// After how long to come again after a fault: about what a restart takes.
const FAULT_RETRY: Duration = Duration::from_secs(2);

/// Answers a call with a refusal.
pub fn refused(refusal: &Refusal) -> Status {
    let mut details = ErrorDetails::with_error_info(refusal.reason.name(), DOMAIN, []);
    let message = said(refusal);
    if !refusal.field.is_empty() {
        details.add_bad_request_violation(refusal.field, message);
    }
    if let Some(retry_after_ms) = refusal.retry_after_ms {
        details.set_retry_info(Some(Duration::from_millis(retry_after_ms)));
    }
    Status::with_error_details(code(refusal.reason), message, details)
}

/// Answers a call that met a fault of the hub's, after which the hub stops: nothing of the fault is told but that.
pub fn fault() -> Status {
    fault_status(
        Code::Internal,
        "the hub had a fault and stops; what was handed in may or may not be kept: hand in the same bytes again",
    )
}

/// Answers a call that met something that is not there for now: nothing of the fault is told but that.
pub fn unavailable() -> Status {
    fault_status(
        Code::Unavailable,
        "the hub cannot do this now; what was handed in may or may not be kept: hand in the same bytes again",
    )
}

fn fault_status(code: Code, message: &str) -> Status {
    let mut details = ErrorDetails::with_error_info(FAULT, DOMAIN, []);
    details.set_retry_info(Some(FAULT_RETRY));
    Status::with_error_details(code, message, details)
}

/// Reads the library's own status for a request that it could not take apart; `None` for every other, such as one of a
/// line that was cut.
pub fn of_reader(status: &Status) -> Option<Refusal> {
    if !status.details().is_empty() || status.source().is_some() {
        return None;
    }
    match status.code() {
        Code::OutOfRange => {
            let message = "the request is larger than what the hub reads at once: hand in less at once";
            Some(Refusal::new(Reason::TooLarge, message))
        }
        Code::Internal => {
            let message = format!("the bytes are not those of a request: {}", status.message());
            Some(Refusal::new(Reason::Malformed, message))
        }
        _ => None,
    }
}

fn code(reason: Reason) -> Code {
    use Reason as R;
    match reason {
        R::IdentityMissing | R::IdentityAmbiguous | R::IdentityMalformed => Code::Unauthenticated,
        R::NotEnrolled
        | R::RoleNotAllowed
        | R::SenderForeign
        | R::DeskForeign
        | R::StreamNotAllowed
        | R::RecipientNotMember
        | R::ReferenceForeign
        | R::ResealNotAllowed
        | R::AuditNotAllowed
        | R::RenewalForeign
        | R::SignatureInvalid
        | R::SignatureMissing
        | R::KeyUnknown
        | R::KeyNotAllowed
        | R::Revoked => Code::PermissionDenied,
        R::StreamUnknown | R::OfficeUnknown | R::MessageUnknown => Code::NotFound,
        R::Malformed | R::FieldInvalid | R::PayloadMismatch | R::FrameUnexpected | R::FileMismatch => {
            Code::InvalidArgument
        }
        R::IdReused => Code::AlreadyExists,
        R::NotOwed
        | R::NotErased
        | R::DirectoryStale
        | R::RenewalUnknown
        | R::FileMissing
        | R::FoundingForeign => Code::FailedPrecondition,
        // Too large comes without a time to come again: the same bytes fit only once an operator has raised the bound.
        R::TooLarge
        | R::RateExceeded
        | R::ConnectionsExceeded
        | R::Busy
        | R::DiskReserve
        | R::QuotaExceeded => Code::ResourceExhausted,
        R::Stopping => Code::Unavailable,
    }
}

/// Puts the refusal of one thing among several on the wire.
impl From<&Refusal> for proto::Refusal {
    fn from(refusal: &Refusal) -> Self {
        Self {
            reason: refusal.reason.name().to_owned(),
            message: said(refusal).to_owned(),
            field: refusal.field.to_owned(),
            // 0 says that coming again does not help.
            retry_after_ms: refusal.retry_after_ms.map_or(0, |ms| ms.max(1)),
        }
    }
}

/// A refusal as a client reads it: also one whose reason only a newer hub knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} [{reason}]")]
pub struct Refused {
    /// The reason as it travels, e.g. `ID_REUSED`.
    pub reason: String,
    /// What was wrong, what was expected and what to do. The hub's text: escape it for a terminal.
    pub message: String,
    /// The field that was wrong; empty where no one field is.
    pub field: String,
    /// Milliseconds after which to try again; `None`: trying again unchanged does not help.
    pub retry_after_ms: Option<u64>,
}

impl Refused {
    /// Gives the reason, where this program knows it.
    pub fn known_reason(&self) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.name() == self.reason)
    }
}

impl From<proto::Refusal> for Refused {
    fn from(wire: proto::Refusal) -> Self {
        let retry_after_ms = (wire.retry_after_ms != 0).then_some(wire.retry_after_ms);
        Self { reason: wire.reason, message: wire.message, field: wire.field, retry_after_ms }
    }
}

/// Why a call failed, as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The hub refused: the same call again is refused again, unless it says after how long to come.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The hub had a fault; what was handed in may or may not be kept.
    #[error("{message} [{FAULT}]")]
    Fault {
        /// What the hub says.
        message: String,
        /// Milliseconds after which to try again.
        retry_after_ms: Option<u64>,
    },
    /// There is no connection, and a new one could not be made.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection was cut, or no answer came; what was handed in may or may not be kept.
    #[error("the hub cannot be reached: {message}")]
    Unreachable {
        /// What happened.
        message: String,
    },
    /// Something else, e.g. a call that the hub does not know.
    #[error("the hub answered {code:?}: {message}")]
    Other {
        /// Its code.
        code: Code,
        /// What it says.
        message: String,
    },
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        if let Some(error) = sources(&status).find_map(|source| source.downcast_ref::<ConnectError>()) {
            return Self::Connect(error.clone());
        }
        let details = status.get_error_details();
        let retry_after_ms = details
            .retry_info()
            .and_then(|info| info.retry_delay)
            .map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        match details.error_info().filter(|info| info.domain == DOMAIN).map(|info| info.reason.as_str()) {
            Some(FAULT) => Self::Fault { message, retry_after_ms },
            Some(reason) => {
                let violation = details.bad_request().and_then(|bad| bad.field_violations.first());
                let field = violation.map(|violation| violation.field.clone()).unwrap_or_default();
                Self::Refused(Refused { reason: reason.to_owned(), message, field, retry_after_ms })
            }
            // A status that came from the hub has no source: this one was made here, of a lost connection.
            None if sources(&status).next().is_some() => {
                Self::Unreachable { message: lost(&status).unwrap_or(message) }
            }
            None => match status.code() {
                Code::Unavailable | Code::DeadlineExceeded => Self::Unreachable { message },
                code => Self::Other { code, message },
            },
        }
    }
}

/// Says how a connection was lost. For a line that was cut TLS has words, and a link, that help nobody at its end.
fn lost(status: &Status) -> Option<String> {
    let message = sources(status).last()?.to_string();
    Some(if message.contains("close_notify") { "the line was cut".to_owned() } else { message })
}

fn sources(status: &Status) -> impl Iterator<Item = &(dyn Error + 'static)> {
    status.source().into_iter().flat_map(chain)
}

/// What a caller is told of a refusal, in words: the message, as far as it fits. It can hold what the caller chose.
pub fn said(refusal: &Refusal) -> &str {
    let message = &refusal.message;
    &message[..message.floor_char_boundary(MESSAGE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use Reason as R;

    fn read_back(refusal: &Refusal) -> Refused {
        match CallError::from(refused(refusal)) {
            CallError::Refused(read) => read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_reason_reads_back_from_a_status_and_from_a_result() {
        for &reason in Reason::ALL {
            for (field, retry_after_ms) in [("", None), ("sender", Some(1)), ("", Some(90_500))] {
                let refusal = Refusal { reason, message: "qué pasó".into(), field, retry_after_ms };
                let expected = Refused {
                    reason: reason.name().into(),
                    message: "qué pasó".into(),
                    field: field.into(),
                    retry_after_ms,
                };
                assert_eq!(read_back(&refusal), expected);
                assert_eq!(Refused::from(proto::Refusal::from(&refusal)), expected);
                assert_eq!(expected.known_reason(), Some(reason));
            }
        }
    }

    #[test]
    fn every_bound_has_the_code_of_bounds_and_nothing_else_has() {
        let of = |code_of_bounds| Reason::ALL.iter().copied().filter(move |it| code(*it) == code_of_bounds);
        let bounds =
            [R::TooLarge, R::RateExceeded, R::ConnectionsExceeded, R::Busy, R::DiskReserve, R::QuotaExceeded];
        assert_eq!(of(Code::ResourceExhausted).collect::<Vec<_>>(), bounds);
        assert_eq!(of(Code::Unavailable).collect::<Vec<_>>(), [R::Stopping]);
    }

    #[test]
    fn fault_says_nothing_of_the_inside_and_is_no_refusal() {
        for (status, code) in [(fault(), Code::Internal), (unavailable(), Code::Unavailable)] {
            assert_eq!(status.code(), code);
            assert!(status.get_error_details().debug_info().is_none());
            let read = CallError::from(status);
            assert!(matches!(read, CallError::Fault { retry_after_ms: Some(2_000), .. }), "{read:?}");
        }
    }

    #[test]
    fn status_of_the_reader_is_told_apart_from_the_hubs_own() {
        let read = |status| of_reader(&status).map(|refusal| refusal.reason);
        assert_eq!(read(Status::out_of_range("too large")), Some(R::TooLarge));
        assert_eq!(read(Status::internal("no message")), Some(R::Malformed));
        for own in [fault(), unavailable(), refused(&Refusal::new(R::TooLarge, "m")), Status::cancelled("m")]
        {
            assert_eq!(read(own), None);
        }
        let mut cut = Status::internal("reset");
        cut.set_source(std::sync::Arc::new(std::io::Error::other("reset")));
        assert_eq!(read(cut), None);
    }

    #[test]
    fn long_message_is_cut_between_letters_and_fits_the_headers() {
        let read = read_back(&Refusal::new(Reason::Malformed, "ñ".repeat(5_000)));
        assert_eq!(read.message, "ñ".repeat(MESSAGE_BYTES_MAX / 2));
        let status = refused(&Refusal::field("sender", "ñ".repeat(5_000)));
        let size: usize = status.into_http::<()>().headers().values().map(http::HeaderValue::len).sum();
        assert!(size < 8 << 10, "{size}");
    }

    #[test]
    fn statuses_of_others_are_not_taken_for_refusals() {
        let foreign = ErrorDetails::with_error_info("ID_REUSED", "example.org", []);
        let foreign = Status::with_error_details(Code::AlreadyExists, "m", foreign);
        let table = [
            (foreign, CallError::Other { code: Code::AlreadyExists, message: "m".into() }),
            (Status::unimplemented("m"), CallError::Other { code: Code::Unimplemented, message: "m".into() }),
            (Status::unavailable("m"), CallError::Unreachable { message: "m".into() }),
            (Status::deadline_exceeded("m"), CallError::Unreachable { message: "m".into() }),
        ];
        for (status, expected) in table {
            assert_eq!(CallError::from(status), expected);
        }
    }
}
