//! `certs dev`: a set of certificates and homes for trying, ready to use.
//!
//! Owns what such a set holds. Never overwrites one without being told; its keys lie open and are for trying only.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::context::Context;
use super::exit::{Exit, Failure};
use crate::ca::{Authority, days_us};
use crate::desk::home::{Home, Settings, TlsFiles};
use crate::host::disk::{Disk, OpenMode};
use crate::hub::founding;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Identity, Name};
use crate::model::policy::Fact;
use crate::wire::certs::{CertsError, HubAddress, Subject, Validity};
use crate::wire::pem_file::PemFile;
use crate::wire::request::{self, Request};

/// Who is in the set, and who may do what.
const LIST: &str = include_str!("../../certs-dev/offices.toml");
/// The hub's name in the set.
const HUB: &str = "dev";
/// The desk of each office in the set.
const DESK: &str = "desk-1";
/// Where the hub of the set listens.
const ADDRESS: &str = "127.0.0.1:7443";
/// How long the set is valid where nothing else is said, in days; its authority at least a year, and a day more.
const DAYS: u32 = 365;
/// The files of an authority's home, to be written over.
const AUTHORITY_FILES: [&str; 4] = ["cert.pem", "key.pem", "register", "crl.pem"];

/// Certificates.
#[derive(Debug, Subcommand)]
pub enum CertsCommand {
    /// Makes a set for trying: a CA, the hub's home and the homes of seven offices and two auditors.
    #[command(after_help = "Example:\n  resguardo certs dev\n  resguardo hub init --home certs-dev/hub")]
    Dev(Dev),
}

/// `certs dev`
#[derive(Debug, Args)]
pub struct Dev {
    /// Where to write it.
    #[arg(long, value_name = "DIR", default_value = "certs-dev")]
    pub dir: PathBuf,
    /// Where the hub is to listen.
    #[arg(long, value_name = "ADDRESS", default_value = ADDRESS)]
    pub listen: std::net::SocketAddr,
    /// How long the certificates are valid.
    #[arg(long, value_name = "DAYS", default_value_t = DAYS, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub days: u32,
    /// Write over a set that is there. Its hub and offices no longer fit each other's certificates until all are written.
    #[arg(long)]
    pub force: bool,
}

impl CertsCommand {
    /// Does it.
    ///
    /// # Errors
    /// Usage: a set is there, and `--force` was not given; any error of the disk.
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let Self::Dev(dev) = self;
        let there = context.disk.open(&dev.dir.join("ca/cert.pem"), OpenMode::Read).is_ok();
        if there && !dev.force {
            return Err(Failure::usage(format!(
                "{} holds a set already: use it, name another folder with --dir, or write over it with --force",
                dev.dir.display()
            )));
        }
        Set::new(context, dev)?.write(context)?;
        Ok(Exit::Done)
    }
}

struct Set<'a> {
    context: &'a Context,
    disk: Arc<dyn Disk>,
    dev: &'a Dev,
    authority: Authority,
}

/// A certificate, PEM, and its key.
struct Pair {
    certificate: String,
    key: String,
}

impl<'a> Set<'a> {
    fn new(context: &'a Context, dev: &'a Dev) -> Result<Self, Failure> {
        let (disk, now) = (Arc::clone(&context.disk), context.clock.now());
        let dir = dev.dir.join("ca");
        for file in AUTHORITY_FILES {
            match disk.remove(&dir.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritten(&dir.join(file), &error));
                }
                _ => {}
            }
        }
        let validity =
            Validity { not_before: now, not_after: UnixMicros(now.0 + days_us(dev.days.max(DAYS) + 1)) };
        let authority = Authority::found(Arc::clone(&disk), &dir, &name("resguardo-dev"), validity)?;
        Ok(Self { context, disk, dev, authority })
    }

    /// Has a key made and signed.
    fn pair(&mut self, subject: &Subject) -> Result<Pair, Failure> {
        let made = request::make()?;
        let request = Request::read(&PemFile::new("the request", made.request_pem))?;
        let Context { clock, random, .. } = self.context;
        let bundle = self.authority.sign(&request, subject, self.dev.days, clock.now(), random.as_ref())?;
        Ok(Pair { certificate: bundle.certificate_pem, key: made.key_pem })
    }

    fn write(&mut self, context: &Context) -> Result<(), Failure> {
        self.hub_home()?;
        let hub = self.dev.dir.join("hub");
        context.screen.line(&format!("{}  the hub, listening on {}", hub.display(), self.dev.listen))?;
        let facts =
            founding::parse(LIST).expect("the list in this program is one that a hub can be founded with");
        for fact in facts {
            let (home, identity) = match fact {
                Fact::Office { name: office, .. } => {
                    (office.to_string(), Identity::Desk(Desk { office, desk: name(DESK) }))
                }
                Fact::Auditor { name, .. } => (format!("auditor-{name}"), Identity::Auditor(name)),
                Fact::Operator { name, .. } => (format!("operator-{name}"), Identity::Operator(name)),
                _ => continue,
            };
            let home = self.dev.dir.join(home);
            self.client_home(&home, &identity)?;
            context.screen.line(&format!("{}  {identity}", home.display()))?;
            let object = serde_json::json!({
                "object": "home", "home": home.display().to_string(), "identity": identity.to_string(),
            });
            context.screen.object(&object)?;
        }
        let next = format!("resguardo hub init --home {0} && resguardo hub run --home {0}", hub.display());
        context.screen.line("\nThese keys lie open on the disk: they are for trying, not for use.")?;
        context.screen.line(&format!("Next: {next}"))?;
        Ok(())
    }

    fn hub_home(&mut self) -> Result<(), Failure> {
        let hub = name(HUB);
        let addresses =
            vec![HubAddress::Dns("localhost".into()), HubAddress::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        let pair = self.pair(&Subject::Hub { name: hub, addresses })?;
        let dir = self.dev.dir.join("hub");
        Home::write_tls(self.disk.as_ref(), &dir, self.files(&pair))?;
        self.put(&dir.join("founding.toml"), LIST)?;
        let config = format!(
            "# A hub for trying. Every key that may stand here has a default.\nname = \"{HUB}\"\nlisten = \"{}\"\n",
            self.dev.listen
        );
        self.put(&dir.join("hub.toml"), &config)
    }

    fn client_home(&mut self, dir: &Path, identity: &Identity) -> Result<(), Failure> {
        let pair = self.pair(&Subject::Client(identity.clone()))?;
        let settings = Settings {
            identity: identity.clone(),
            hub: self.dev.listen.to_string(),
            server_name: "localhost".into(),
        };
        Home::create(Arc::clone(&self.disk), dir, settings, self.files(&pair))?;
        Ok(())
    }

    fn files<'b>(&'b self, pair: &'b Pair) -> TlsFiles<'b> {
        TlsFiles { cert: &pair.certificate, key: &pair.key, ca: self.authority.certificate_pem() }
    }

    fn put(&self, path: &Path, text: &str) -> Result<(), Failure> {
        self.disk.write_atomically(path, text.as_bytes()).map_err(|error| unwritten(path, &error))
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Fault, format!("cannot write {}: {error}", path.display()))
}

fn name(text: &str) -> Name {
    text.parse().expect("a name that stands in this file is a name")
}

impl From<CertsError> for Failure {
    fn from(error: CertsError) -> Self {
        Self::new(Exit::Fault, error.to_string())
    }
}
