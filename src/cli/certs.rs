//! `certs dev`: a set of certificates and homes for trying, ready to use.
//!
//! Owns what such a set holds. Never overwrites one without being told; its keys lie open and are for trying only.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};

use crate::desk::home::{Home, Settings, TlsFiles};
use crate::host::disk::Disk;
use crate::hub::founding;
use crate::hub::run::Host;
use crate::model::id::UnixMicros;
use crate::model::identity::{Desk, Identity, Name};
use crate::model::policy::Fact;
use crate::wire::certs::{HubAddress, Issued, Validity, issue_ca, issue_client, issue_server};

/// Who is in the set, and who may do what.
const LIST: &str = include_str!("../../certs-dev/offices.toml");
/// The hub's name in the set.
const HUB: &str = "dev";
/// The desk of each office in the set.
const DESK: &str = "desk-1";
/// Where the hub of the set listens.
pub const ADDRESS: &str = "127.0.0.1:7443";
/// How long the set is valid, in microseconds: a year.
const VALID_US: u64 = 365 * 24 * 3_600 * 1_000_000;
/// How far back it begins, in microseconds: clocks of one machine differ by nothing, but a set may be carried.
const BEFORE_US: u64 = 3_600 * 1_000_000;

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
    /// Write over a set that is there. Its hub and offices no longer fit each other's certificates until all are written.
    #[arg(long)]
    pub force: bool,
}

impl Dev {
    /// Writes the set.
    ///
    /// # Errors
    /// A set that is there without `--force`; any error of the disk.
    pub fn run(&self, host: &Host, out: &mut dyn Write) -> anyhow::Result<()> {
        let set = Set::new(host, self)?;
        let there = host.disk.open(&self.dir.join("ca/cert.pem"), crate::host::disk::OpenMode::Read).is_ok();
        ensure!(
            self.force || !there,
            "{} holds a set already: use it, name another folder with --dir, or write over it with --force",
            self.dir.display()
        );
        set.write(out)
    }
}

struct Set<'a> {
    disk: Arc<dyn Disk>,
    dev: &'a Dev,
    validity: Validity,
    ca: Issued,
}

impl<'a> Set<'a> {
    fn new(host: &Host, dev: &'a Dev) -> anyhow::Result<Self> {
        let now = host.clock.now().0;
        let validity =
            Validity { not_before: UnixMicros(now - BEFORE_US), not_after: UnixMicros(now + VALID_US) };
        let ca = issue_ca(&"resguardo-dev".parse()?, validity)?;
        Ok(Self { disk: Arc::clone(&host.disk), dev, validity, ca })
    }

    fn write(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        self.ca_home()?;
        self.hub_home()?;
        writeln!(out, "{}  the hub, listening on {}", self.dev.dir.join("hub").display(), self.dev.listen)?;
        for fact in founding::parse(LIST).context("the list of offices in this program")? {
            let (home, identity) = match fact {
                Fact::Office { name, .. } => {
                    let desk = Desk { office: name.clone(), desk: DESK.parse()? };
                    (name.to_string(), Identity::Desk(desk))
                }
                Fact::Auditor { name, .. } => (format!("auditor-{name}"), Identity::Auditor(name)),
                _ => continue,
            };
            let home = self.dev.dir.join(home);
            self.client_home(&home, &identity)?;
            writeln!(out, "{}  {identity}", home.display())?;
        }
        writeln!(out, "\nThese keys lie open on the disk: they are for trying, not for use.")?;
        writeln!(
            out,
            "Next: resguardo hub init --home {0}/hub && resguardo hub run --home {0}/hub",
            self.dev.dir.display()
        )?;
        Ok(())
    }

    fn ca_home(&self) -> anyhow::Result<()> {
        let dir = self.dev.dir.join("ca");
        self.disk.create_dir_all(&dir)?;
        self.put(&dir.join("cert.pem"), &self.ca.certificate_pem)?;
        self.put(&dir.join("key.pem"), &self.ca.key_pem)
    }

    fn hub_home(&self) -> anyhow::Result<()> {
        let hub: Name = HUB.parse()?;
        let addresses =
            [HubAddress::Dns("localhost".into()), HubAddress::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        let issued = issue_server(&self.ca, &hub, &addresses, self.validity)?;
        let dir = self.dev.dir.join("hub");
        self.disk.create_dir_all(&dir.join("tls"))?;
        self.put(&dir.join("tls/cert.pem"), &issued.certificate_pem)?;
        self.put(&dir.join("tls/key.pem"), &issued.key_pem)?;
        self.put(&dir.join("tls/ca.pem"), &self.ca.certificate_pem)?;
        self.put(&dir.join("founding.toml"), LIST)?;
        let config = format!(
            "# A hub for trying. Every key that may stand here has a default.\nname = \"{HUB}\"\nlisten = \"{}\"\n",
            self.dev.listen
        );
        self.put(&dir.join("hub.toml"), &config)
    }

    fn client_home(&self, dir: &Path, identity: &Identity) -> anyhow::Result<()> {
        let issued = issue_client(&self.ca, identity, self.validity)?;
        let settings = Settings {
            identity: identity.clone(),
            hub: self.dev.listen.to_string(),
            server_name: "localhost".into(),
        };
        let tls =
            TlsFiles { cert: &issued.certificate_pem, key: &issued.key_pem, ca: &self.ca.certificate_pem };
        Home::create(Arc::clone(&self.disk), dir, settings, tls)?;
        Ok(())
    }

    fn put(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        self.disk
            .write_atomically(path, text.as_bytes())
            .with_context(|| format!("writing {}", path.display()))
    }
}
