//! Why a client has no connection to its hub, in a person's words.
//!
//! Owns telling apart who refused whom. Never retries: what to do about it is decided elsewhere.
//! Source of the alerts: RFC 8446, section 6.2.

use std::io;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError, Error as RustlsError};

use super::tls::{TlsError, time};
use crate::model::id::UnixMicros;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// This side's own files cannot be used.
    #[error(transparent)]
    Credentials(#[from] TlsError),
    /// The hub's address or name cannot be one.
    #[error("{found:?} is not {expected}")]
    Address {
        /// What was given.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The name service does not know the host, or does not answer.
    #[error("no address found for {address}: {message}")]
    NameNotFound {
        /// The hub's address.
        address: String,
        /// What the system says.
        message: String,
    },
    /// The machine is there, and nobody listens on the port.
    #[error("nobody listens on {address}: is the hub running, and is this its port?")]
    NobodyListens {
        /// The hub's address.
        address: String,
    },
    /// No connection within the time.
    #[error("{address} did not answer within {limit:?}")]
    TimedOut {
        /// The hub's address.
        address: String,
        /// The time that it had.
        limit: Duration,
    },
    /// The line is down, or the other side closed it.
    #[error("the connection to {address} was cut: {message}")]
    Cut {
        /// The hub's address.
        address: String,
        /// What happened.
        message: String,
    },
    /// Something answers, but it does not speak the exchange's TLS.
    #[error("what answers on {address} is not a hub of this exchange: {message}")]
    NotAHub {
        /// The hub's address.
        address: String,
        /// What happened.
        message: String,
    },
    /// The hub does not accept this side's certificate.
    #[error("the hub at {address} refused this certificate: {why}")]
    Refused {
        /// The hub's address.
        address: String,
        /// What it said.
        why: CertificateRefused,
    },
    /// This side does not accept the hub's certificate: it may be somebody else.
    #[error("the hub at {address} is not trusted: {why}")]
    NotTrusted {
        /// The hub's address.
        address: String,
        /// What is wrong with it.
        why: HubNotTrusted,
    },
}

/// What the hub said of a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateRefused {
    /// It saw none.
    #[error("it saw none")]
    None,
    /// It comes from another authority.
    #[error(
        "it does not come from an authority that the hub knows; was it made for another hub, or before the hub's certificates were made anew?"
    )]
    UnknownCa,
    /// By the hub's clock it has ended or not begun; the protocol has one word for both.
    #[error("by the hub's clock it has ended, or not begun")]
    NotValidNow,
    /// It was revoked.
    #[error("it was revoked")]
    Revoked,
    /// It cannot be read, or it is not a client's.
    #[error("it cannot be read, or is not one for clients ({0})")]
    Unusable(String),
}

/// What is wrong with a hub's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubNotTrusted {
    /// It comes from another authority.
    #[error("its certificate does not come from an authority that this office trusts")]
    UnknownCa,
    /// It is for other names.
    #[error("its certificate is for {}, not for {expected}", list(presented))]
    WrongName {
        /// The name that was expected.
        expected: String,
        /// The names that it is for.
        presented: Vec<String>,
    },
    /// It has ended.
    #[error("its certificate ended on {}", time(*.0))]
    Ended(UnixMicros),
    /// It has not begun.
    #[error("its certificate begins on {}: is this machine's clock right?", time(*.0))]
    NotBegun(UnixMicros),
    /// It cannot be read, or it is not a hub's.
    #[error("its certificate cannot be read, or is not one for hubs ({0})")]
    Unusable(String),
}

/// What a failure means for whoever started the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Something was given wrongly.
    Usage,
    /// This machine's disk failed.
    Fault,
    /// The hub refuses this side.
    Refused,
    /// There is no way to the hub for now.
    Unreachable,
    /// Who answers may not be the hub.
    Integrity,
}

impl ConnectError {
    /// Says what it means.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Credentials(error) if error.is_failure() => Outcome::Fault,
            Self::Credentials(_) | Self::Address { .. } => Outcome::Usage,
            Self::NameNotFound { .. }
            | Self::NobodyListens { .. }
            | Self::TimedOut { .. }
            | Self::Cut { .. }
            | Self::NotAHub { .. } => Outcome::Unreachable,
            Self::Refused { .. } => Outcome::Refused,
            Self::NotTrusted { .. } => Outcome::Integrity,
        }
    }

    /// Reads an error of connecting a socket.
    pub(super) fn of_socket(address: &str, error: &io::Error) -> Self {
        let address = address.to_owned();
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::NobodyListens { address },
            _ => Self::Cut { address, message: error.to_string() },
        }
    }

    /// Reads an error of the handshake or of the first bytes after it, where a hub's refusal shows in TLS 1.3.
    pub(super) fn of_tls(address: &str, error: &io::Error) -> Self {
        let address = address.to_owned();
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>());
        match tls {
            // The library has words for that which help nobody at the line's end.
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                let message = "it ended before it was agreed who is who".into();
                Self::Cut { address, message }
            }
            None => Self::Cut { address, message: error.to_string() },
            Some(RustlsError::InvalidCertificate(error)) => {
                Self::NotTrusted { address, why: not_trusted(error) }
            }
            Some(RustlsError::AlertReceived(alert)) => match refused(*alert) {
                Some(why) => Self::Refused { address, why },
                None => Self::NotAHub { address, message: format!("it broke off with {alert:?}") },
            },
            Some(other) => Self::NotAHub { address, message: other.to_string() },
        }
    }
}

/// Gives an error and all that caused it, outermost first.
pub(super) fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// Reads an alert; `None` when it says nothing of a certificate.
fn refused(alert: AlertDescription) -> Option<CertificateRefused> {
    use AlertDescription as A;
    Some(match alert {
        A::CertificateRequired | A::NoCertificate => CertificateRefused::None,
        // A hub answers with the second when another authority of the same name signed the certificate.
        A::UnknownCA | A::DecryptError => CertificateRefused::UnknownCa,
        A::CertificateExpired => CertificateRefused::NotValidNow,
        A::CertificateRevoked => CertificateRefused::Revoked,
        A::BadCertificate | A::UnsupportedCertificate | A::CertificateUnknown | A::AccessDenied => {
            CertificateRefused::Unusable(format!("{alert:?}"))
        }
        _ => return None,
    })
}

fn not_trusted(error: &CertificateError) -> HubNotTrusted {
    use CertificateError as E;
    let micros = |at: &rustls::pki_types::UnixTime| UnixMicros(at.as_secs().saturating_mul(1_000_000));
    match error {
        E::UnknownIssuer | E::BadSignature => HubNotTrusted::UnknownCa,
        E::ExpiredContext { not_after, .. } => HubNotTrusted::Ended(micros(not_after)),
        E::NotValidYetContext { not_before, .. } => HubNotTrusted::NotBegun(micros(not_before)),
        E::NotValidForNameContext { expected, presented } => HubNotTrusted::WrongName {
            expected: expected.to_str().into_owned(),
            presented: presented.iter().filter_map(|name| server_name(name)).collect(),
        },
        other => HubNotTrusted::Unusable(other.to_string()),
    }
}

/// Takes a name out of the library's way of showing it; `None` for names that are no server's, such as URIs.
fn server_name(shown: &str) -> Option<String> {
    let (kind, rest) = shown.split_once('(')?;
    let name = rest.strip_suffix(')')?.trim_matches('"');
    matches!(kind, "DnsName" | "IpAddress").then(|| name.to_owned())
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "no name at all".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_about_a_certificate_are_refusals_and_others_are_not() {
        use AlertDescription as A;
        use CertificateRefused as R;
        let unusable = |alert: &str| Some(R::Unusable(alert.into()));
        let table = [
            (A::CertificateRequired, Some(R::None)),
            (A::UnknownCA, Some(R::UnknownCa)),
            (A::DecryptError, Some(R::UnknownCa)),
            (A::CertificateExpired, Some(R::NotValidNow)),
            (A::CertificateRevoked, Some(R::Revoked)),
            (A::BadCertificate, unusable("BadCertificate")),
            (A::UnsupportedCertificate, unusable("UnsupportedCertificate")),
            (A::CertificateUnknown, unusable("CertificateUnknown")),
            (A::AccessDenied, unusable("AccessDenied")),
            (A::ProtocolVersion, None),
            (A::HandshakeFailure, None),
            (A::NoApplicationProtocol, None),
            (A::InternalError, None),
        ];
        for (alert, why) in table {
            let error = io::Error::new(io::ErrorKind::InvalidData, RustlsError::AlertReceived(alert));
            let found = ConnectError::of_tls("hub:1", &error);
            match why {
                Some(why) => assert_eq!(found, ConnectError::Refused { address: "hub:1".into(), why }),
                None => assert!(matches!(found, ConnectError::NotAHub { .. }), "{alert:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn names_of_a_hub_that_is_another_read_as_names() {
        let presented =
            ["DnsName(\"hub.example\")", "IpAddress(::1)", "UniformResourceIdentifier(\"urn:x\")"];
        let presented = presented.iter().filter_map(|shown| server_name(shown)).collect();
        let why = HubNotTrusted::WrongName { expected: "a".into(), presented };
        assert_eq!(why.to_string(), "its certificate is for hub.example, ::1, not for a");
        let why = HubNotTrusted::WrongName { expected: "a".into(), presented: vec![] };
        assert_eq!(why.to_string(), "its certificate is for no name at all, not for a");
    }
}
