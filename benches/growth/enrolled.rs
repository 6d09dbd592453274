//! More offices than the dev set has: their keys and certificates are in memory, and the registrars of the set sign for them.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::host::disk::OsDisk;
use resguardo::host::random::{OsRandom, Random as _};
use resguardo::model::fact::{DeskKeys, Fact};
use resguardo::model::id::UnixMicros;
use resguardo::model::identity::{Desk, Identity, Name};
use resguardo::registrar::{Registrar, plain_key};
use resguardo::seal::{OpeningKey, SigningKey};
use resguardo::wire::amendment;
use resguardo::wire::certs::{Issued, Validity, issue_client};
use resguardo::wire::client::{self, ConnectLimits};
use resguardo::wire::pem_file::PemFile;
use resguardo::wire::proto::AmendDirectoryRequest;
use resguardo::wire::proto::directory_service_client::DirectoryServiceClient;
use resguardo::wire::tls::Credentials;
use tonic::transport::Channel;

use crate::common::hub::{DevSet, Hub};
use crate::common::messages::STREAM;

/// Who hands in what the registrars signed.
const OPERATOR_HOME: &str = "operator-dev";
/// Offices in one amendment: some 400 KiB of keys.
const OFFICES_PER_AMENDMENT: usize = 100;
/// How long certificates are valid, in microseconds: an hour, and an hour before for clocks that differ.
const VALID_US: u64 = 3_600_000_000;

/// An office with one desk.
pub(crate) struct Office {
    pub(crate) name: String,
    /// What its machine signs with.
    pub(crate) unattended: Arc<SigningKey>,
    credentials: Credentials,
}

impl Office {
    /// Connects as its desk.
    pub(crate) async fn connect(&self, hub: &Hub) -> Result<Channel> {
        let (limits, clock) = (ConnectLimits::default(), Arc::new(SystemClock::new()));
        Ok(client::connect(hub.address(), "localhost", &self.credentials, limits, clock).await?)
    }
}

/// The offices of the set that receive the stream, and as many more as are asked for.
pub(crate) struct Enrolled<'a> {
    dev: &'a DevSet,
    registrars: Vec<(Registrar, SigningKey)>,
    pub(crate) offices: Vec<Office>,
}

impl<'a> Enrolled<'a> {
    /// Begins with those of the set.
    pub(crate) fn begin(dev: &'a DevSet, offices: &[String]) -> Result<Self> {
        let registrar = |institution: &str| -> Result<_> {
            let home = dev.office_home(&format!("registrar-{institution}"));
            let registrar = Registrar::open(Arc::new(OsDisk), &home)?;
            let key = plain_key(registrar.key_file()?).context("a key that a passphrase wraps")?;
            Ok((registrar, key))
        };
        let of_set = |name: &String| -> Result<_> {
            let credentials = crate::common::hub::credentials(&dev.office_home(name))?;
            Ok(Office { name: name.clone(), unattended: dev.unattended(name)?, credentials })
        };
        Ok(Self {
            dev,
            registrars: ["iachr", "ohchr"].into_iter().map(registrar).collect::<Result<_>>()?,
            offices: offices.iter().map(of_set).collect::<Result<_>>()?,
        })
    }

    /// Enrols more until there are so many, and has all receive the stream.
    pub(crate) async fn enrol(&mut self, hub: &Hub, count: usize) -> Result<()> {
        while self.offices.len() < count {
            let mut facts = Vec::new();
            for _ in 0..OFFICES_PER_AMENDMENT.min(count - self.offices.len()) {
                let (office, made) = self.made()?;
                self.offices.push(office);
                facts.extend(made);
            }
            self.amend(hub, facts).await?;
        }
        let rights = self.registrars[0].0.policy().streams().get(STREAM).context("no stream")?.clone();
        let mut subscribers = rights.subscribers;
        for office in &self.offices {
            subscribers.insert(office.name.parse()?);
        }
        let publishers: BTreeSet<Name> = rights.publishers;
        self.amend(hub, vec![Fact::Stream { name: STREAM.parse()?, publishers, subscribers }]).await
    }

    fn made(&self) -> Result<(Office, Vec<Fact>)> {
        let name = format!("branch-{:04}", self.offices.len());
        let (office, institution) = (name.parse::<Name>()?, "ohchr".parse()?);
        let desk = Desk { office: office.clone(), desk: "desk-1".parse()? };
        let signing = || SigningKey::generate(|bytes| OsRandom.fill(bytes));
        let opening = || OpeningKey::generate(|bytes| OsRandom.fill(bytes)).recipient();
        let unattended = signing();
        let keys = DeskKeys {
            attended: signing().verifying_key(),
            unattended: unattended.verifying_key(),
            transfer: opening(),
        };
        let facts = vec![
            Fact::Office { name: office.clone(), institution },
            Fact::Desk { desk: desk.clone(), keys: Box::new(keys) },
            Fact::OfficeKey { office, recipient: opening() },
        ];
        let ca = self.dev.office_home("ca");
        let read = |file: &str| fs::read_to_string(ca.join(file));
        let authority = Issued { certificate_pem: read("cert.pem")?, key_pem: read("key.pem")? };
        let now = SystemClock::new().now().0;
        let validity =
            Validity { not_before: UnixMicros(now - VALID_US), not_after: UnixMicros(now + VALID_US) };
        let issued = issue_client(&authority, &Identity::Desk(desk), validity)?;
        let credentials = Credentials {
            authorities: PemFile::new("ca.pem", authority.certificate_pem),
            certificate: PemFile::new("cert.pem", issued.certificate_pem),
            key: PemFile::new("key.pem", issued.key_pem),
        };
        Ok((Office { name, unattended: Arc::new(unattended), credentials }, facts))
    }

    async fn amend(&mut self, hub: &Hub, facts: Vec<Fact>) -> Result<()> {
        let now = SystemClock::new().now();
        let (first, key) = &self.registrars[0];
        let mut signed = first.draft(facts, now, key)?;
        for (registrar, key) in &self.registrars[1..] {
            registrar.sign(&mut signed, key)?;
        }
        let channel = hub.connect(&self.dev.office_home(OPERATOR_HOME)).await?;
        let request = AmendDirectoryRequest { entry: amendment::bytes(&signed) };
        DirectoryServiceClient::new(channel).amend_directory(request).await?;
        for (registrar, _) in &mut self.registrars {
            registrar.take_in(signed.clone())?;
        }
        Ok(())
    }
}
