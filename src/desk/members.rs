//! The directory as this desk knows it: who the members of a stream are, also while the line is down.
//!
//! Owns the copy in the home. Never trusts it for a right: the hub decides. At a crash: the copy is whole, old or new.

use bytes::Bytes;
use prost::Message as _;
use tonic::transport::Channel;

use super::home::{Home, HomeError};
use super::record::{Record, RecordKind, encode};
use super::store::StoreError;
use crate::model::id::{Index, UnixMicros};
use crate::model::identity::Name;
use crate::model::policy::{Fact, Policy};
use crate::wire::proto::directory_service_client::DirectoryServiceClient;
use crate::wire::status::CallError;
use crate::wire::{convert, proto};

const FILE: &str = "directory";

/// The directory at one version.
#[derive(Clone, Debug)]
pub struct Members {
    /// Its version.
    pub version: Index,
    /// When the hub told it, by this desk's clock.
    pub told: UnixMicros,
    policy: Policy,
}

/// Why there are no members.
#[derive(Debug, thiserror::Error)]
pub enum MembersError {
    /// The hub did not answer as expected.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The copy cannot be kept or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The home is in use.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// What the hub tells does not fit together.
    #[error("the directory that the hub tells does not fit together: {0}")]
    Contradiction(String),
    /// There is no such stream.
    #[error("there is no stream {stream}; there are {}", known.join(", "))]
    StreamUnknown {
        /// The stream.
        stream: Name,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The stream has no member beside the sender.
    #[error("stream {stream} has no other member than {office}: nobody would get it")]
    Nobody {
        /// The stream.
        stream: Name,
        /// The sender.
        office: Name,
    },
    /// There is no such office.
    #[error("there is no office {office}; there are {}", known.join(", "))]
    OfficeUnknown {
        /// The office.
        office: Name,
        /// Those that there are.
        known: Vec<String>,
    },
}

impl Members {
    /// Asks the hub, and keeps what it tells in the home.
    ///
    /// # Errors
    /// [`MembersError::Call`], [`MembersError::Contradiction`], [`MembersError::Store`], [`MembersError::Home`].
    pub async fn fetch(channel: Channel, home: &Home, now: UnixMicros) -> Result<Self, MembersError> {
        let request = proto::DescribeDirectoryRequest {};
        let answer = DirectoryServiceClient::new(channel).describe_directory(request).await;
        let told = answer.map_err(CallError::from)?.into_inner();
        let body = DirectoryBody { told: told.encode_to_vec().into(), told_unix_us: now.0 };
        let members = Self::of(&told, now)?;
        let _held = home.lock().await?;
        home.root()?.keep(&[(FILE.to_owned(), encode(&body))])?;
        Ok(members)
    }

    /// Reads the copy in the home; `None` if the hub was never asked.
    ///
    /// # Errors
    /// [`MembersError::Store`], [`MembersError::Contradiction`].
    pub fn copied(home: &Home) -> Result<Option<Self>, MembersError> {
        let folder = home.root()?;
        let body: DirectoryBody = match folder.read(FILE) {
            Err(error) if error.is_not_found() => return Ok(None),
            body => body?,
        };
        let told = proto::DescribeDirectoryResponse::decode(body.told)
            .map_err(|error| folder.damaged(FILE, error.to_string()))?;
        Self::of(&told, UnixMicros(body.told_unix_us)).map(Some)
    }

    /// Changes the directory, as an operator; gives its new version.
    ///
    /// # Errors
    /// [`CallError`]; a directory that has changed since it was told is a refusal, and nothing is changed.
    pub async fn amend(&self, channel: Channel, facts: &[Fact]) -> Result<Index, CallError> {
        let facts = facts.iter().map(convert::fact_bytes).collect();
        let request = proto::AmendDirectoryRequest { version: self.version.0, facts };
        let answer = DirectoryServiceClient::new(channel).amend_directory(request).await?;
        Ok(Index(answer.into_inner().version))
    }

    fn of(told: &proto::DescribeDirectoryResponse, now: UnixMicros) -> Result<Self, MembersError> {
        let mut policy = Policy::default();
        for (at, fact) in (0..).zip(&told.facts) {
            let fact = convert::fact(&fact.encode_to_vec().into())
                .map_err(|refusal| MembersError::Contradiction(refusal.message))?;
            policy.apply(Index(at), fact).map_err(MembersError::Contradiction)?;
        }
        Ok(Self { version: Index(told.version), told: now, policy })
    }

    /// Gives the offices that receive a stream, but for the sender's own, ascending.
    ///
    /// # Errors
    /// [`MembersError::StreamUnknown`], [`MembersError::Nobody`].
    pub fn recipients(&self, stream: &Name, sender: &Name) -> Result<Vec<Name>, MembersError> {
        let rights = self.policy.streams().get(stream).ok_or_else(|| {
            let known = self.policy.streams().keys().map(Name::to_string).collect();
            MembersError::StreamUnknown { stream: stream.clone(), known }
        })?;
        let others: Vec<_> = rights.subscribers.iter().filter(|office| *office != sender).cloned().collect();
        if others.is_empty() {
            return Err(MembersError::Nobody { stream: stream.clone(), office: sender.clone() });
        }
        Ok(others)
    }

    /// Who is who and who may do what, as it was told.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Checks that there is an office.
    ///
    /// # Errors
    /// [`MembersError::OfficeUnknown`].
    pub fn check_office(&self, office: &Name) -> Result<(), MembersError> {
        if self.policy.is_member(office) {
            return Ok(());
        }
        let names = self.policy.offices().map(|(_, name, _)| name);
        let known = names.filter(|name| self.policy.is_member(name)).map(Name::to_string).collect();
        Err(MembersError::OfficeUnknown { office: office.clone(), known })
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct DirectoryBody {
    /// A `DescribeDirectoryResponse`, as it came.
    #[prost(bytes = "bytes", tag = "1")]
    told: Bytes,
    #[prost(uint64, tag = "2")]
    told_unix_us: u64,
}

impl Record for DirectoryBody {
    const KIND: RecordKind = RecordKind::Directory;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::home::tests::home_on;
    use crate::host::disk::MemoryDisk;

    fn told() -> proto::DescribeDirectoryResponse {
        let name = |text: &str| text.parse::<Name>().unwrap();
        let office = |text| Fact::Office { name: name(text), institution: name("ohchr") };
        let both = || ["ohchr-honduras", "ohchr-mexico"].map(name).into();
        let stream = |text, subscribers| Fact::Stream { name: name(text), publishers: both(), subscribers };
        let facts = [
            Fact::Institution(name("ohchr")),
            office("ohchr-honduras"),
            office("ohchr-mexico"),
            stream("studies", both()),
            stream("advocacy", [name("ohchr-honduras")].into()),
        ];
        let facts = facts.map(|fact| proto::DirectoryFact::decode(convert::fact_bytes(&fact)).unwrap());
        proto::DescribeDirectoryResponse { version: 5, facts: facts.into() }
    }

    #[test]
    fn members_are_a_streams_subscribers_without_the_sender() {
        let members = Members::of(&told(), UnixMicros(1)).unwrap();
        let name = |text: &str| text.parse::<Name>().unwrap();
        let honduras = name("ohchr-honduras");
        assert_eq!(members.recipients(&name("studies"), &honduras).unwrap(), [name("ohchr-mexico")]);
        let nobody = members.recipients(&name("advocacy"), &honduras);
        assert!(matches!(nobody, Err(MembersError::Nobody { .. })), "{nobody:?}");
        let unknown = members.recipients(&name("weather"), &honduras).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no stream weather; there are advocacy, studies");
        let unknown = members.check_office(&name("ohchr-peru")).unwrap_err();
        assert!(unknown.to_string().ends_with("there are ohchr-honduras, ohchr-mexico"), "{unknown}");
    }

    #[test]
    fn the_copy_in_the_home_reads_back() {
        let home = home_on(&MemoryDisk::new());
        assert!(Members::copied(&home).unwrap().is_none());
        let body = DirectoryBody { told: told().encode_to_vec().into(), told_unix_us: 77 };
        home.root().unwrap().keep(&[(FILE.to_owned(), encode(&body))]).unwrap();
        let copied = Members::copied(&home).unwrap().unwrap();
        assert_eq!((copied.version, copied.told), (Index(5), UnixMicros(77)));
    }
}
