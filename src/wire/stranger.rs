//! Who did not get in, and why: what a listener tells the hub about connections that ended before anybody was known.
//!
//! Owns the stable reasons. Never logs, counts or stores: strangers can come as often as they like, so how much is
//! kept of them is decided where it is kept.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use rustls::{AlertDescription, CertificateError, ContentType, Error as TlsError, PeerIncompatible};

/// Characters of a detail at most: it can hold what a stranger chose.
const DETAIL_CHARS_MAX: usize = 200;

/// Is told of each connection that did not get in, on the task that turned it away: it must be quick and not block.
pub trait Observer: Send + Sync {
    /// A connection was turned away.
    fn turned_away(&self, stranger: &Stranger);

    /// The system gave no connection, e.g. for want of file descriptors; the listener tries again shortly.
    fn accept_failed(&self, error: &io::Error);
}

/// A connection that did not get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// Where it came from.
    pub peer: SocketAddr,
    /// Why it did not get in.
    pub reason: StrangerReason,
    /// More for people, one line, at most 200 characters; empty where there is no more.
    pub detail: String,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The stable reason why a connection did not get in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum StrangerReason { $($(#[doc = $doc])+ $variant,)+ }

        impl StrangerReason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Gives the name that stands in logs and entries.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

reasons! {
    /// The client showed no certificate.
    NoCertificate = "NO_CERTIFICATE",
    /// The client's certificate does not come from an authority that the hub knows.
    UnknownCa = "UNKNOWN_CA",
    /// The client's certificate has ended.
    Expired = "EXPIRED",
    /// The client's certificate has not begun.
    NotYetValid = "NOT_YET_VALID",
    /// The client's certificate cannot be read, or is not a client's.
    BadCertificate = "BAD_CERTIFICATE",
    /// The client does not speak TLS 1.3.
    TlsVersion = "TLS_VERSION",
    /// The client speaks TLS 1.3 with nothing in common: key exchange, signature or inner protocol.
    Incompatible = "INCOMPATIBLE",
    /// What came is not TLS.
    NotTls = "NOT_TLS",
    /// The client broke off because it did not accept the hub's certificate or offer.
    RefusedByClient = "REFUSED_BY_CLIENT",
    /// The handshake took too long.
    TimedOut = "TIMED_OUT",
    /// It was the longest under way of too many simultaneous handshakes.
    TooManyHandshakes = "TOO_MANY_HANDSHAKES",
    /// There were as many connections as there may be.
    TooManyConnections = "TOO_MANY_CONNECTIONS",
    /// The other side closed the connection.
    Closed = "CLOSED",
}

impl fmt::Display for StrangerReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Stranger {
    /// Makes one; the detail is cut and its control characters are escaped.
    pub(super) fn new(peer: SocketAddr, reason: StrangerReason, detail: &str) -> Self {
        Self { peer, reason, detail: detail.escape_debug().take(DETAIL_CHARS_MAX).collect() }
    }

    /// Says why a handshake failed.
    pub(super) fn of_handshake(peer: SocketAddr, error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        let Some(tls) = tls else {
            let silent = error.kind() == io::ErrorKind::TimedOut;
            let reason = if silent { StrangerReason::TimedOut } else { StrangerReason::Closed };
            return Self::new(peer, reason, &error.to_string());
        };
        Self::new(peer, reason(tls), &detail(tls))
    }
}

fn reason(error: &TlsError) -> StrangerReason {
    match error {
        TlsError::NoCertificatesPresented => StrangerReason::NoCertificate,
        TlsError::InvalidCertificate(error) => certificate_reason(error),
        TlsError::PeerIncompatible(
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        )
        | TlsError::AlertReceived(AlertDescription::ProtocolVersion) => StrangerReason::TlsVersion,
        TlsError::PeerIncompatible(_) | TlsError::NoApplicationProtocol => StrangerReason::Incompatible,
        TlsError::AlertReceived(AlertDescription::CloseNotify | AlertDescription::UserCanceled) => {
            StrangerReason::Closed
        }
        TlsError::AlertReceived(_)
        // Where a hello was to be.
        | TlsError::InappropriateMessage { got_type: ContentType::Alert, .. } => StrangerReason::RefusedByClient,
        _ => StrangerReason::NotTls,
    }
}

fn certificate_reason(error: &CertificateError) -> StrangerReason {
    use CertificateError as E;
    match error {
        // A bad signature is what another authority of the same name looks like, e.g. of a set made anew.
        E::UnknownIssuer | E::BadSignature => StrangerReason::UnknownCa,
        E::Expired | E::ExpiredContext { .. } => StrangerReason::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => StrangerReason::NotYetValid,
        _ => StrangerReason::BadCertificate,
    }
}

fn detail(error: &TlsError) -> String {
    match error {
        // Without the library's own beginning: the reason says it.
        TlsError::InvalidCertificate(error) => error.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_of_a_stranger_is_one_short_line() {
        let peer = "127.0.0.1:1".parse().unwrap();
        let long = Stranger::new(peer, StrangerReason::Closed, &"\u{1b}[31mé\n".repeat(100));
        assert_eq!(long.detail.chars().count(), DETAIL_CHARS_MAX);
        assert!(long.detail.starts_with("\\u{1b}[31mé\\n\\u{1b}[31mé"), "{}", long.detail);
    }

    #[test]
    fn names_are_stable_and_each_its_own() {
        let names: std::collections::BTreeSet<_> = StrangerReason::ALL.iter().map(|it| it.name()).collect();
        assert_eq!(names.len(), StrangerReason::ALL.len());
    }
}
