//! The directory as this desk knows it: who the members of a stream are, also while the line is down.
//!
//! Owns the copy in the home, and that it follows from what the home trusts, amendment by amendment, whatever the hub says.
//! At a crash: the copy is whole, old or new.

use bytes::Bytes;
use tonic::transport::Channel;

use super::home::{Home, HomeError, TrustFileError};
use super::record::{Record, RecordKind, encode};
use super::store::StoreError;
use crate::model::id::{DirectoryVersion, UnixMicros};
use crate::model::identity::Name;
use crate::model::policy::Policy;
use crate::model::refusal::Refusal;
use crate::wire::proto::directory_service_client::DirectoryServiceClient;
use crate::wire::status::CallError;
use crate::wire::{amendment, proto};

const FILE: &str = "directory";

/// The directory at one version.
#[derive(Clone, Debug)]
pub struct Members {
    /// When the hub told it, by this desk's clock.
    pub told: UnixMicros,
    /// What was wrong with the copy in the home, which was made anew.
    pub mended: Option<String>,
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
    /// The home trusts no founding.
    #[error(transparent)]
    Trust(#[from] TrustFileError),
    /// What the hub tells does not follow from what this home trusts and knows.
    #[error(
        "the hub tells a directory that does not count here: {0}. Tell the registrars; what was known before stays"
    )]
    Contradiction(Refusal),
    /// The hub tells another directory than before.
    #[error(
        "the hub tells another version {0} of the directory than it told before: two directories are about; tell the \
         registrars"
    )]
    Forked(DirectoryVersion),
    /// The hub tells less than it told before.
    #[error(
        "the hub tells version {told} of the directory, and this home knows {known}: it keeps something back, or was \
         restored from an older backup; tell the registrars"
    )]
    Shrunken {
        /// What it tells.
        told: DirectoryVersion,
        /// What is known.
        known: DirectoryVersion,
    },
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
    /// Asks the hub for what came since the copy, holds it to what the home trusts, and keeps it.
    ///
    /// # Errors
    /// [`MembersError::Call`], [`MembersError::Contradiction`], [`MembersError::Shrunken`], [`MembersError::Trust`],
    /// [`MembersError::Store`], [`MembersError::Home`].
    pub async fn fetch(channel: Channel, home: &Home, now: UnixMicros) -> Result<Self, MembersError> {
        let trust = home.trust()?;
        // The copy is a copy: one that cannot be used is made anew from what the hub tells, which is held to the same trust.
        let (known, mended) = match Self::copied(home) {
            Ok(copied) => (copied.map(|copied| copied.policy).unwrap_or_default(), None),
            Err(
                error @ (MembersError::Contradiction(_) | MembersError::Store(StoreError::Damaged { .. })),
            ) => (Policy::default(), Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let mut client = DirectoryServiceClient::new(channel);
        let mut policy = known;
        loop {
            let was = policy.version();
            let request = proto::DescribeDirectoryRequest { after_version: was.0 };
            let told = client.describe_directory(request).await.map_err(CallError::from)?.into_inner();
            if told.version < was.0 {
                return Err(MembersError::Shrunken { told: DirectoryVersion(told.version), known: was });
            }
            if was.0 > 0 && told.digest_after != policy.head().as_slice() {
                return Err(MembersError::Forked(was));
            }
            policy =
                amendment::follow(trust, policy, &told.amendments).map_err(MembersError::Contradiction)?;
            if policy.version().0 >= told.version {
                break;
            }
            if policy.version() == was {
                return Err(MembersError::Shrunken { told: was, known: DirectoryVersion(told.version) });
            }
        }
        let amendments = policy.amendments().iter().map(|signed| amendment::bytes(signed)).collect();
        let body = DirectoryBody { amendments, told_unix_us: now.0 };
        let _held = home.lock().await?;
        home.root()?.keep(&[(FILE.to_owned(), encode(&body))])?;
        Ok(Self { told: now, mended, policy })
    }

    /// Reads the copy in the home; `None` if the hub was never asked.
    ///
    /// # Errors
    /// [`MembersError::Store`], [`MembersError::Trust`], [`MembersError::Contradiction`].
    pub fn copied(home: &Home) -> Result<Option<Self>, MembersError> {
        let body: DirectoryBody = match home.root()?.read(FILE) {
            Err(error) if error.is_not_found() => return Ok(None),
            body => body?,
        };
        let followed = amendment::follow(home.trust()?, Policy::default(), &body.amendments);
        let policy = followed.map_err(MembersError::Contradiction)?;
        Ok(Some(Self { told: UnixMicros(body.told_unix_us), mended: None, policy }))
    }

    /// Its version.
    pub fn version(&self) -> DirectoryVersion {
        self.policy.version()
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

/// Hands in an amendment, as an operator or a desk; gives the directory's new version.
///
/// # Errors
/// [`CallError`]; one that does not follow, or is not signed as it must be, is a refusal, and nothing is changed.
pub async fn amend(channel: Channel, amendment: Bytes) -> Result<DirectoryVersion, CallError> {
    let request = proto::AmendDirectoryRequest { amendment };
    let answer = DirectoryServiceClient::new(channel).amend_directory(request).await?;
    Ok(DirectoryVersion(answer.into_inner().version))
}

#[derive(Clone, PartialEq, prost::Message)]
struct DirectoryBody {
    /// The amendments, exact bytes.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    amendments: Vec<Bytes>,
    #[prost(uint64, tag = "2")]
    told_unix_us: u64,
}

impl Record for DirectoryBody {
    const KIND: RecordKind = RecordKind::Directory;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::desk::home::tests::home_on;
    use crate::host::disk::{Disk as _, MemoryDisk};
    use crate::model::fact::Fact;
    use crate::model::policy::tests::{registrar_facts, registrars};
    use crate::model::refusal::Reason;
    use crate::wire::trust::Trust;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn founding() -> Vec<Fact> {
        let office = |text| Fact::Office { name: name(text), institution: name("ohchr") };
        let both = || ["ohchr-honduras", "ohchr-mexico"].map(name).into();
        let stream = |text, subscribers| Fact::Stream { name: name(text), publishers: both(), subscribers };
        let mut facts = vec![Fact::Institution(name("ohchr")), Fact::Institution(name("iachr"))];
        facts.extend(registrar_facts([name("ohchr"), name("iachr")]));
        facts.extend([
            office("ohchr-honduras"),
            office("ohchr-mexico"),
            stream("studies", both()),
            stream("advocacy", [name("ohchr-honduras")].into()),
        ]);
        facts
    }

    fn policy() -> Policy {
        let mut policy = Policy::default();
        let signed = amendment::tests::signed(&policy, founding(), &registrars());
        policy.amend(&Arc::new(signed)).unwrap();
        policy
    }

    #[test]
    fn members_are_a_streams_subscribers_without_the_sender() {
        let members = Members { told: UnixMicros(1), mended: None, policy: policy() };
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
    fn the_copy_in_the_home_reads_back_if_it_follows_from_what_the_home_trusts() {
        let disk = MemoryDisk::new();
        let home = home_on(&disk);
        assert!(Members::copied(&home).unwrap().is_none());
        let policy = policy();
        let amendments: Vec<_> = policy.amendments().iter().map(|it| amendment::bytes(it)).collect();
        let body = DirectoryBody { amendments, told_unix_us: 77 };
        home.root().unwrap().keep(&[(FILE.to_owned(), encode(&body))]).unwrap();
        assert!(matches!(Members::copied(&home), Err(MembersError::Trust(_))), "it trusts nobody");
        let trust = |trust: Trust| {
            disk.write_atomically(&home.dir().join("trust.toml"), trust.to_text().as_bytes()).unwrap();
        };
        trust(Trust { founding: [7; 32] });
        let foreign = Members::copied(&home).unwrap_err();
        assert!(matches!(&foreign, MembersError::Contradiction(it) if it.reason == Reason::FoundingForeign));
        trust(Trust::of(&policy.amendments()[0]));
        let copied = Members::copied(&home).unwrap().unwrap();
        assert_eq!((copied.version(), copied.told), (policy.version(), UnixMicros(77)));
    }
}
