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
use crate::desk::confirmed::confirm_all;
use crate::desk::home::{Home, Settings, TlsFiles};
use crate::desk::keys::{self, Wrap};
use crate::desk::officers;
use crate::host::disk::{Disk, OpenMode};
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Identity, Name};
use crate::model::policy::Fact;
use crate::registrar::{Registrar, founding, plain_key};
use crate::seal::SigningKey;
use crate::seal::key_file::{self, Plain, SecretKey};
use crate::wire::amendment;
use crate::wire::certs::{CertsError, HubAddress, Subject, Validity};
use crate::wire::open_key::OpenKey;
use crate::wire::pem_file::PemFile;
use crate::wire::request::{self, Request};
use crate::wire::trust::{TRUST_FILE, Trust};

/// Who is in the set, and who may do what.
const LIST: &str = include_str!("../../certs-dev/offices.toml");
/// The hub's name in the set.
const HUB: &str = "dev";
/// The desk of each office in the set.
const DESK: &str = "desk-1";
/// The one officer of each desk.
const OFFICER: &str = "duty-officer";
/// The institutions that have a registrar in the set, of the same name.
const REGISTRARS: [&str; 2] = ["iachr", "ohchr"];
/// Free bytes of disk below which a hub for trying takes no file.
const FILES_RESERVE_BYTES: u64 = 64 * 1024 * 1024;
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
    /// Write over a set that is there. Its hub's journal is of another directory then: remove it, and found the hub anew.
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
        let mut facts =
            founding::parse(LIST).expect("the list in this program is one that a hub can be founded with");
        facts.push(self.hub_key()?);
        let mut homes = vec![hub.clone()];
        for fact in facts.clone() {
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
            if let Identity::Desk(desk) = &identity {
                facts.extend(self.desk_keys(&home, desk)?);
                let officer = (&name(OFFICER), "Duty officer");
                let (disk, random) = (self.disk.as_ref(), context.random.as_ref());
                officers::add(disk, &home, officer, officers::Wrap::Insecure, random, context.clock.now())?;
            }
            context.screen.line(&format!("{}  {identity}", home.display()))?;
            let object = serde_json::json!({
                "object": "home", "home": home.display().to_string(), "identity": identity.to_string(),
            });
            context.screen.object(&object)?;
            homes.push(home);
        }
        self.found(context, facts, &homes)?;
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
        // A hub in use keeps more of its disk free than a machine on which somebody tries it may have.
        let config = format!(
            "# A hub for trying. Every key that may stand here has a default.\nname = \"{HUB}\"\nlisten = \"{}\"\n\
            files.disk_reserve_bytes = {FILES_RESERVE_BYTES}\n",
            self.dev.listen
        );
        self.put(&dir.join("hub.toml"), &config)
    }

    /// Makes the key by which the hub signs its logs; gives what the directory says of it.
    fn hub_key(&self) -> Result<Fact, Failure> {
        let dir = self.dev.dir.join("hub");
        self.remove(&dir.join("keys"), &["hub", "hub.public"])?;
        let key = OpenKey::Hub.make(self.disk.as_ref(), &dir, self.context.random.as_ref());
        Ok(Fact::HubKey { key: key.map_err(|error| Failure::new(Exit::Fault, error.to_string()))? })
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

    /// Removes files of an earlier set.
    fn remove(&self, dir: &Path, files: &[&str]) -> Result<(), Failure> {
        for path in files.iter().map(|file| dir.join(file)) {
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritten(&path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes a desk's keys, as an office makes them, but that nothing wraps them; gives what the directory says of them.
    fn desk_keys(&self, home: &Path, desk: &Desk) -> Result<Vec<Fact>, Failure> {
        for file in ["request", "attended", "unattended", "office", "transfer"] {
            let path = home.join("keys").join(file);
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(unwritten(&path, &error));
                }
                _ => {}
            }
        }
        let random = self.context.random.as_ref();
        let made = keys::make(self.disk.as_ref(), home, true, Wrap::Insecure, random)?;
        let recipient =
            made.recipient.map(|recipient| Fact::OfficeKey { office: desk.office.clone(), recipient });
        let keys = Fact::Desk { desk: desk.clone(), keys: Box::new(made.keys) };
        Ok(std::iter::once(keys).chain(recipient).collect())
    }

    /// Makes two registrars, has them sign the founding, and lets every home trust it.
    fn found(&self, context: &Context, mut facts: Vec<Fact>, homes: &[PathBuf]) -> Result<(), Failure> {
        let mut registrars = Vec::new();
        for institution in REGISTRARS {
            let dir = self.dev.dir.join(format!("registrar-{institution}"));
            for file in ["public.toml", "directory", TRUST_FILE] {
                let path = dir.join(file);
                match self.disk.remove(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(unwritten(&path, &error));
                    }
                    _ => {}
                }
            }
            let random = self.context.random.as_ref();
            let key = SigningKey::generate(|bytes| random.fill(bytes));
            let public = key.verifying_key();
            let file = key_file::plain(&SecretKey::Signing(key), Plain::Insecure)?;
            let name = name(institution);
            let made = Registrar::found(Arc::clone(&self.disk), &dir, (&name, &name), (&public, &file))?;
            let key = plain_key(made.key_file()?).expect("it was made so");
            facts.push(Fact::Registrar { name: name.clone(), institution: name, key: public });
            registrars.push((made, key));
            context.screen.line(&format!("{}  registrar {institution}", dir.display()))?;
        }
        let mut founding = None;
        for (registrar, key) in &registrars {
            match &mut founding {
                None => founding = Some(registrar.draft(facts.clone(), self.context.clock.now(), key)?),
                Some(founding) => registrar.sign(founding, key)?,
            }
        }
        let founding = founding.expect("there are registrars");
        let mut policy = None;
        for (mut registrar, _) in registrars {
            registrar.take_in(founding.clone())?;
            policy = Some(registrar.policy().clone());
        }
        let policy = policy.expect("there are registrars");
        let path = self.dev.dir.join("hub/founding");
        let written = self.disk.write_atomically(&path, &amendment::bytes(&founding));
        written.map_err(|error| unwritten(&path, &error))?;
        let trust = Trust::of(&founding).to_text();
        for home in homes {
            // What the hub of an earlier set told.
            self.remove(home, &["directory"])?;
            self.put(&home.join(TRUST_FILE), &trust)?;
            // In a set that one person made, that person has compared.
            confirm_all(self.disk.as_ref(), home, &policy)?;
        }
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
