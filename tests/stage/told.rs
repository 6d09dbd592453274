//! What a caller is told when the hub says no: the code and the `google.rpc` details of a status.

use std::time::Duration;

use resguardo::wire::proto;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What a caller was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The code of gRPC.
    pub(crate) code: Code,
    /// `ErrorInfo.reason`; empty where there is no `ErrorInfo`.
    pub(crate) reason: String,
    /// `ErrorInfo.domain`.
    pub(crate) domain: String,
    /// The first field of `BadRequest`.
    pub(crate) field: Option<String>,
    /// `RetryInfo.retry_delay`.
    pub(crate) retry: Option<Duration>,
    /// The words for people.
    pub(crate) message: String,
}

impl Told {
    /// Reads a status.
    pub(crate) fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info();
        let violation = details.bad_request().and_then(|bad| bad.field_violations.first());
        Self {
            code: status.code(),
            reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
            domain: info.map(|info| info.domain.clone()).unwrap_or_default(),
            field: violation.map(|violation| violation.field.clone()),
            retry: details.retry_info().and_then(|info| info.retry_delay),
            message: status.message().to_owned(),
        }
    }

    /// Checks that it is a refusal of this reason, in the project's domain and in words.
    #[track_caller]
    pub(crate) fn expect_reason(&self, reason: &str) -> &Self {
        assert_eq!((self.reason.as_str(), self.domain.as_str()), (reason, "resguardo"), "{self:?}");
        assert!(!self.message.trim().is_empty(), "a refusal has words: {self:?}");
        self
    }

    /// Checks that it names this field.
    #[track_caller]
    pub(crate) fn expect_field(&self, field: &str) -> &Self {
        assert_eq!(self.field.as_deref(), Some(field), "{self:?}");
        self
    }

    /// Checks that it is what is told at a bound: `RESOURCE_EXHAUSTED`, and when to come again.
    #[track_caller]
    pub(crate) fn expect_bound(&self) -> &Self {
        assert_eq!(self.code, Code::ResourceExhausted, "{self:?}");
        assert!(self.retry.is_some_and(|retry| retry > Duration::ZERO), "no RetryInfo: {self:?}");
        self
    }
}

/// Reads the refusal out of a status that must be one.
#[track_caller]
pub(crate) fn told<T>(answer: Result<T, Status>) -> Told {
    match answer {
        Ok(_) => panic!("a refusal was expected, and it was accepted"),
        Err(status) => Told::of(&status),
    }
}

/// Checks that the refusal of one thing among several has this reason and is in words.
#[track_caller]
pub(crate) fn expect_item(refusal: &proto::Refusal, reason: &str) {
    assert_eq!(refusal.reason, reason, "{refusal:?}");
    assert!(!refusal.message.trim().is_empty(), "a refusal has words: {refusal:?}");
}
