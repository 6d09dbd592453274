//! The directory as this desk knows it: who the members of a stream are, also while the line is down.
//!
//! Owns the copy in the home, and that it follows from what the home trusts, entry by entry, whatever the hub says.
//! New keys of the home are put in their places when the directory is found to hold them. At a crash: the copy is whole, old or
//! new.

use bytes::Bytes;
use tonic::transport::Channel;

use super::clocks;
use super::home::{Home, HomeError, HomeLock, TrustFileError};
use super::keys;
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
    /// The hub's time when it told it; `None` for a copy.
    pub hub_time: Option<UnixMicros>,
    /// What went otherwise than usual and stopped nothing, in sentences.
    pub remarks: Vec<String>,
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
        let mut remarks = Vec::new();
        let known = match Self::copied(home) {
            Ok(copied) => copied.map(|copied| copied.policy).unwrap_or_default(),
            Err(
                error @ (MembersError::Contradiction(_) | MembersError::Store(StoreError::Damaged { .. })),
            ) => {
                remarks.push(format!("the copy of the directory in this home was made anew: {error}"));
                Policy::default()
            }
            Err(error) => return Err(error),
        };
        let mut client = DirectoryServiceClient::new(channel);
        let mut policy = known;
        let hub_time = loop {
            let was = policy.version();
            let request = proto::DescribeDirectoryRequest { after_version: was.0 };
            let told = client.describe_directory(request).await.map_err(CallError::from)?.into_inner();
            if told.version < was.0 {
                let (told, known) = (DirectoryVersion(told.version), was);
                if !remarks.is_empty() || !give_back(&mut client, &policy, told).await? {
                    return Err(MembersError::Shrunken { told, known });
                }
                remarks.push(format!(
                    "the hub knew version {told} of the directory and this home {known}, as after a restore from a backup: \
                     what the hub had lost of it was handed in again"
                ));
                continue;
            }
            if was.0 > 0 && told.digest_after != policy.head().as_slice() {
                return Err(MembersError::Forked(was));
            }
            policy = amendment::follow(trust, policy, &told.entries).map_err(MembersError::Contradiction)?;
            if policy.version().0 >= told.version {
                break UnixMicros(told.now_unix_us);
            }
            if policy.version() == was {
                return Err(MembersError::Shrunken { told: was, known: DirectoryVersion(told.version) });
            }
        };
        remarks.extend(clocks::remark(now, hub_time));
        let held = home.lock().await?;
        let policy = kept(home, &held, policy, now)?;
        // It stops nothing: the keys that were there before stay, and the next time it is tried again.
        let settled = home.desk().map(|desk| keys::settle(home.disk().as_ref(), home.dir(), desk, &policy));
        if let Ok(Err(error)) = settled {
            remarks.push(format!("new keys of this home could not be put in their places: {error}"));
        }
        Ok(Self { told: now, hub_time: Some(hub_time), remarks, policy })
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
        let followed = amendment::follow(home.trust()?, Policy::default(), &body.entries);
        let policy = followed.map_err(MembersError::Contradiction)?;
        Ok(Some(Self { told: UnixMicros(body.told_unix_us), hub_time: None, remarks: Vec::new(), policy }))
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

/// Keeps a directory that was fetched, and gives the newest that is known: another process may have kept a newer one since this
/// one was asked for, and that is never taken back.
fn kept(home: &Home, _held: &HomeLock, fetched: Policy, now: UnixMicros) -> Result<Policy, MembersError> {
    let entries: Vec<_> = fetched.entries().iter().map(|signed| amendment::bytes(signed)).collect();
    let there = home.root()?.read::<DirectoryBody>(FILE);
    // Mostly nothing new was kept, and then nothing is followed a second time.
    if !there.is_ok_and(|there| entries.starts_with(&there.entries)) {
        let copy = match Members::copied(home) {
            Ok(copied) => copied.map(|copied| copied.policy).unwrap_or_default(),
            Err(MembersError::Contradiction(_) | MembersError::Store(StoreError::Damaged { .. })) => {
                Policy::default()
            }
            Err(error) => return Err(error),
        };
        let common = copy.version().min(fetched.version());
        if copy.head_at(common) != fetched.head_at(common) {
            return Err(MembersError::Forked(common));
        }
        if copy.version() > fetched.version() {
            return Ok(copy);
        }
    }
    let body = DirectoryBody { entries, told_unix_us: now.0 };
    home.root()?.keep(&[(FILE.to_owned(), encode(&body))])?;
    Ok(fetched)
}

/// Hands in again what a hub has lost of the directory, if what it has is the beginning of what is known, and it takes that
/// from here; tells whether it did.
///
/// Each entry bears the signatures that it needs, so it makes no difference who brings it.
async fn give_back(
    client: &mut DirectoryServiceClient<Channel>,
    policy: &Policy,
    told: DirectoryVersion,
) -> Result<bool, MembersError> {
    let request = proto::DescribeDirectoryRequest { after_version: told.0 };
    let there = client.describe_directory(request).await.map_err(CallError::from)?.into_inner();
    match policy.head_at(told) {
        Some(head) if there.digest_after == head.as_slice() => {}
        _ => return Err(MembersError::Forked(told)),
    }
    let at = usize::try_from(told.0).unwrap_or(usize::MAX);
    for signed in policy.entries().get(at..).unwrap_or_default() {
        let request = proto::AmendDirectoryRequest { entry: amendment::bytes(signed) };
        // A caller who may not, or a hub that takes it no more: then it is told as what it is.
        if client.amend_directory(request).await.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Hands in an entry, as an operator or a desk; gives the directory's new version.
///
/// # Errors
/// [`CallError`]; one that does not follow, or is not signed as it must be, is a refusal, and nothing is changed.
pub async fn amend(channel: Channel, entry: Bytes) -> Result<DirectoryVersion, CallError> {
    let request = proto::AmendDirectoryRequest { entry };
    let answer = DirectoryServiceClient::new(channel).amend_directory(request).await?;
    Ok(DirectoryVersion(answer.into_inner().version))
}

#[derive(Clone, PartialEq, prost::Message)]
struct DirectoryBody {
    /// The entries, exact bytes.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    entries: Vec<Bytes>,
    #[prost(uint64, tag = "2")]
    told_unix_us: u64,
}

impl Record for DirectoryBody {
    const KIND: RecordKind = RecordKind::Directory;
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpListener;
    use tokio::runtime::Handle;
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::transport::{Endpoint, Server};
    use tonic::{Request, Response, Status};

    use super::*;
    use crate::desk::home::tests::home_on;
    use crate::host::disk::{Disk as _, MemoryDisk};
    use crate::host::tasks::{Tasks as _, TokioTasks};
    use crate::model::fact::Fact;
    use crate::model::policy::tests::{registrar_facts, registrars};
    use crate::model::refusal::Reason;
    use crate::wire::proto::directory_service_server::{DirectoryService, DirectoryServiceServer};
    use crate::wire::trust::{TRUST_FILE, Trust};

    /// Has a home know a directory, as if the hub had told it.
    pub(in crate::desk) fn keep_copy(home: &Home, policy: &Policy) {
        let entries: Vec<_> = policy.entries().iter().map(|it| amendment::bytes(it)).collect();
        let body = DirectoryBody { entries, told_unix_us: 77 };
        home.root().unwrap().keep(&[(FILE.to_owned(), encode(&body))]).unwrap();
        let trust = Trust::of(&policy.entries()[0]).to_text();
        home.disk().write_atomically(&home.dir().join(TRUST_FILE), trust.as_bytes()).unwrap();
    }

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
        founded_with(founding())
    }

    fn founded_with(facts: Vec<Fact>) -> Policy {
        let mut policy = Policy::default();
        let signed = amendment::tests::signed(&policy, facts, &registrars());
        policy.amend(&Arc::new(signed)).unwrap();
        policy
    }

    #[test]
    fn members_are_a_streams_subscribers_without_the_sender() {
        let members = Members { told: UnixMicros(1), hub_time: None, remarks: Vec::new(), policy: policy() };
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
        let entries: Vec<_> = policy.entries().iter().map(|it| amendment::bytes(it)).collect();
        let body = DirectoryBody { entries, told_unix_us: 77 };
        home.root().unwrap().keep(&[(FILE.to_owned(), encode(&body))]).unwrap();
        assert!(matches!(Members::copied(&home), Err(MembersError::Trust(_))), "it trusts nobody");
        let trust = |trust: Trust| {
            disk.write_atomically(&home.dir().join("trust.toml"), trust.to_text().as_bytes()).unwrap();
        };
        trust(Trust { founding: [7; 32] });
        let foreign = Members::copied(&home).unwrap_err();
        assert!(matches!(&foreign, MembersError::Contradiction(it) if it.reason == Reason::FoundingForeign));
        trust(Trust::of(&policy.entries()[0]));
        let copied = Members::copied(&home).unwrap().unwrap();
        assert_eq!((copied.version(), copied.told), (policy.version(), UnixMicros(77)));
    }

    /// A directory and one more amendment.
    fn longer(policy: &Policy, days: u32) -> Policy {
        let mut longer = policy.clone();
        let signed = amendment::tests::signed(policy, vec![Fact::Retention { days }], &registrars());
        longer.amend(&Arc::new(signed)).unwrap();
        longer
    }

    #[tokio::test]
    async fn a_slow_answer_takes_back_nothing_that_was_kept_meanwhile() {
        let disk = MemoryDisk::new();
        let home = home_on(&disk);
        let old = policy();
        let new = longer(&old, 7);
        let copied = || Members::copied(&home).unwrap().unwrap().policy;
        keep_copy(&home, &new);
        let held = home.lock().await.unwrap();
        let found = kept(&home, &held, old.clone(), UnixMicros(78)).unwrap();
        assert_eq!((found.head(), copied().head()), (new.head(), new.head()));
        let forked = kept(&home, &held, longer(&old, 8), UnixMicros(79));
        assert!(matches!(forked, Err(MembersError::Forked(DirectoryVersion(2)))), "{forked:?}");
        assert_eq!(copied().head(), new.head());
        let newest = longer(&new, 9);
        assert_eq!(kept(&home, &held, newest.clone(), UnixMicros(80)).unwrap().head(), newest.head());
        assert_eq!(copied().head(), newest.head());
        // One that cannot be read counts for nothing.
        disk.write_atomically(&home.dir().join(FILE), b"damaged").unwrap();
        assert_eq!(kept(&home, &held, old.clone(), UnixMicros(81)).unwrap().head(), old.head());
        assert_eq!(copied().head(), old.head());
    }

    /// A hub that has one directory and says that it has so many entries.
    struct Teller {
        policy: Policy,
        version: u64,
        handed_in: AtomicUsize,
    }

    #[tonic::async_trait]
    impl DirectoryService for Teller {
        async fn describe_directory(
            &self,
            request: Request<proto::DescribeDirectoryRequest>,
        ) -> Result<Response<proto::DescribeDirectoryResponse>, Status> {
            let after = DirectoryVersion(request.into_inner().after_version);
            let entries = self.policy.entries().iter().map(|it| amendment::bytes(it));
            Ok(Response::new(proto::DescribeDirectoryResponse {
                version: self.version,
                entries: entries.skip(usize::try_from(after.0).unwrap()).collect(),
                digest_after: self.policy.head_at(after).map(|it| it.to_vec().into()).unwrap_or_default(),
                now_unix_us: 9,
            }))
        }

        async fn amend_directory(
            &self,
            _: Request<proto::AmendDirectoryRequest>,
        ) -> Result<Response<proto::AmendDirectoryResponse>, Status> {
            self.handed_in.fetch_add(1, Ordering::Relaxed);
            Err(Status::permission_denied("not from here"))
        }
    }

    /// What a home makes of what a hub tells, and how many entries it handed in there.
    async fn fetched(home: &Home, policy: Policy, version: u64) -> (Result<Members, MembersError>, usize) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hub = Arc::new(Teller { policy, version, handed_in: AtomicUsize::new(0) });
        let server = Server::builder().add_service(DirectoryServiceServer::from_arc(Arc::clone(&hub)));
        let serving = async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        };
        drop(TokioTasks::on(Handle::current()).spawn("hub", Box::pin(serving)));
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        let members = Members::fetch(channel, home, UnixMicros(8)).await;
        (members, hub.handed_in.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_hub_that_tells_another_directory_or_less_of_it_is_not_believed() {
        let home = home_on(&MemoryDisk::new());
        let founded = policy();
        let known = longer(&founded, 7);
        keep_copy(&home, &known);
        let other = fetched(&home, longer(&founded, 8), 2).await;
        assert!(matches!(&other, (Err(MembersError::Forked(DirectoryVersion(2))), 0)), "{other:?}");
        let less = fetched(&home, founded, 1).await;
        let shrunken = |told, known| (DirectoryVersion(told), DirectoryVersion(known));
        let versions = |found: &Result<Members, MembersError>| match found {
            Err(MembersError::Shrunken { told, known }) => (*told, *known),
            other => panic!("{other:?}"),
        };
        assert_eq!((versions(&less.0), less.1), (shrunken(1, 2), 1), "it does not take what it has lost");
        let mut facts = founding();
        facts.pop();
        let foreign = fetched(&home, founded_with(facts), 1).await;
        assert!(matches!(&foreign, (Err(MembersError::Forked(DirectoryVersion(1))), 0)), "{foreign:?}");
        let kept_back = fetched(&home, known.clone(), 3).await;
        assert_eq!(versions(&kept_back.0), shrunken(2, 3), "it says that there is more");
        assert_eq!(Members::copied(&home).unwrap().unwrap().policy(), &known, "what was known stays");
        let grown = longer(&known, 9);
        assert_eq!(fetched(&home, grown.clone(), 3).await.0.unwrap().policy(), &grown);
    }
}
