//! `ca init|sign|renew|revoke|list`: the authority's commands, away from the hub.
//!
//! Owns what the person who signs is told and asked. Never takes an identity from a request.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen::{self, Tone, cell, harmless, read_out, utc};
use crate::ca::{Authority, CaError, Signed, Which, days_us};
use crate::model::id::UnixMicros;
use crate::model::identity::{Identity, Name};
use crate::wire::certs::{HubAddress, Serial, Subject, Validity};
use crate::wire::pem_file::{PemFile, PemFileError};
use crate::wire::request::{Request, RequestError};

/// How long an authority lasts where nothing else is said, in days.
const AUTHORITY_DAYS: u32 = 3_650;
/// How long a certificate lasts where nothing else is said, in days.
pub(super) const CERTIFICATE_DAYS: u32 = 365;
/// How long a revocation list counts as new where nothing else is said, in days.
const LIST_DAYS: u32 = 30;

/// The authority.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Founds an authority in a home of its own.
    #[command(after_help = "Example:\n  resguardo ca init --home authority --name joint-authority")]
    Init(Init),
    /// Signs the key of a request for whom you say.
    #[command(after_help = "\
Examples:
  resguardo ca sign request.pem --as urn:resguardo:office:ohchr-peru:desk-1 --home authority
  resguardo ca sign request.pem --as urn:resguardo:hub:main --address hub.example.org --home authority")]
    Sign(Sign),
    /// Signs the next certificates of those who ask for them, with the identities that they have.
    #[command(after_help = "\
Example:
  resguardo ca renew renewals --to answers --home authority")]
    Renew(super::ca_renew::Renew),
    /// Takes certificates back, and writes the list for the hub; with nothing named, writes the list anew.
    #[command(after_help = "\
Examples:
  resguardo ca revoke urn:resguardo:office:ohchr-peru:desk-1 --reason 'laptop stolen' --home authority
  resguardo ca revoke --home authority")]
    Revoke(Revoke),
    /// Lists the certificates that were signed.
    #[command(after_help = "Example:\n  resguardo ca list --home authority")]
    List,
}

/// `ca init`
#[derive(Debug, Args)]
pub struct Init {
    /// Its name, for people.
    #[arg(long, value_name = "NAME")]
    name: Name,
    /// How long it lasts.
    #[arg(long, value_name = "DAYS", default_value_t = AUTHORITY_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

/// `ca sign`
#[derive(Debug, Args)]
pub struct Sign {
    /// The request, as `resguardo office request` wrote it.
    request: PathBuf,
    /// Whom the certificate is to name.
    #[arg(long = "as", value_name = "URI")]
    identity: Identity,
    /// With a hub's identity: a DNS name or IP address at which clients reach it. May be given several times.
    #[arg(long, value_name = "ADDRESS")]
    address: Vec<String>,
    /// How long it is valid.
    #[arg(long, value_name = "DAYS", default_value_t = CERTIFICATE_DAYS, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
    /// Where to write the bundle; beside the request where none is named.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// `ca revoke`
#[derive(Debug, Args)]
pub struct Revoke {
    /// An identity, for all its certificates, or a certificate's serial number.
    which: Option<String>,
    /// Why, for the register.
    #[arg(long, value_name = "REASON", requires = "which", default_value = "not said")]
    reason: String,
    /// How long the list counts as new.
    #[arg(long, value_name = "DAYS", default_value_t = LIST_DAYS, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
}

impl CaCommand {
    /// Does it.
    ///
    /// # Errors
    /// Usage: a home, request or identity that is not right; integrity: a damaged register.
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let Some(home) = &context.home else {
            return Err(Failure::usage("which authority? Name its home with --home DIR or RESGUARDO_HOME"));
        };
        let disk = Arc::clone(&context.disk);
        match self {
            Self::Init(init) => {
                let now = context.clock.now();
                let validity =
                    Validity { not_before: now, not_after: UnixMicros(now.0 + days_us(init.days)) };
                told(context, home, &Authority::found(disk, home, &init.name, validity)?)?;
            }
            Self::Sign(sign) => sign.run(context, &mut Authority::open(disk, home)?)?,
            Self::Renew(renew) => renew.run(context, &mut Authority::open(disk, home)?)?,
            Self::Revoke(revoke) => revoke.run(context, &mut Authority::open(disk, home)?)?,
            Self::List => list(context, &Authority::open(disk, home)?)?,
        }
        Ok(Exit::Done)
    }
}

impl Sign {
    fn run(&self, context: &Context, authority: &mut Authority) -> Result<(), Failure> {
        let subject = self.subject()?;
        let request = Request::read(&PemFile::certificates(&self.request)?)?;
        let now = context.clock.now();
        let bundle = authority.sign(&request, &subject, self.days, now, context.random.as_ref())?;
        let out = self.out.clone().unwrap_or_else(|| self.request.with_file_name("bundle.pem"));
        let written = context.disk.write_atomically(&out, bundle.pem.as_bytes());
        written
            .map_err(|error| Failure::new(Exit::Fault, format!("cannot write {}: {error}", out.display())))?;
        let certificate = &bundle.certificate;
        for other in &bundle.others {
            let other = format!(
                "{} has another certificate that counts until {} (serial {}): revoke it if its key is lost",
                other.identity,
                context.screen.time(other.not_after),
                other.serial
            );
            context.screen.aside(Tone::Warning, &other);
        }
        let screen = &context.screen;
        screen.line(&format!("signed for      {}", self.identity))?;
        screen.line(&format!("valid until     {}", screen.time(certificate.not_after)))?;
        screen.line(&format!("serial          {}", certificate.serial))?;
        screen.line(&read_out("key             ", certificate.key))?;
        screen.line(&read_out("this authority  ", authority.fingerprint()))?;
        screen.line("\nThe office must have read the same key to you, and compares this authority:")?;
        screen.line(&format!("  resguardo office accept {}", out.display()))?;
        screen.object(&serde_json::json!({
            "object": "signed",
            "identity": self.identity.to_string(),
            "serial": certificate.serial.to_string(),
            "key": certificate.key.to_string(),
            "certificate": certificate.fingerprint.to_string(),
            "authority": authority.fingerprint().to_string(),
            "not_after": utc(certificate.not_after),
            "bundle": out.display().to_string(),
        }))?;
        Ok(())
    }

    fn subject(&self) -> Result<Subject, Failure> {
        let addresses = self.address.iter().map(|address| match address.parse::<IpAddr>() {
            Ok(ip) => HubAddress::Ip(ip),
            Err(_) => HubAddress::Dns(address.clone()),
        });
        let addresses: Vec<_> = addresses.collect();
        match &self.identity {
            Identity::Hub(_) if addresses.is_empty() => {
                Err(Failure::usage("at which names do clients reach the hub? Name each with --address"))
            }
            Identity::Hub(name) => Ok(Subject::Hub { name: name.clone(), addresses }),
            other if addresses.is_empty() => Ok(Subject::Client(other.clone())),
            other => Err(Failure::usage(format!("--address is for a hub's certificate, not for {other}"))),
        }
    }
}

impl Revoke {
    fn run(&self, context: &Context, authority: &mut Authority) -> Result<(), Failure> {
        let now = context.clock.now();
        let path = match &self.which {
            None => authority.write_list(self.days, now)?,
            Some(which) => {
                let (taken, path) = authority.revoke(&parse(which)?, &self.reason, self.days, now)?;
                for one in &taken {
                    context.screen.line(&format!("revoked  {}  {}", one.serial, one.identity))?;
                    context.screen.object(&object(one))?;
                }
                path
            }
        };
        context.screen.line(&format!(
            "The list is in {}: put it into the hub's home as tls/crl.pem. The hub takes it up by itself.",
            path.display()
        ))?;
        Ok(())
    }
}

fn parse(which: &str) -> Result<Which, Failure> {
    if which.starts_with("urn:") {
        return which.parse().map(Which::Of).map_err(|error| Failure::usage(format!("{error}")));
    }
    which.parse::<Serial>().map(Which::Serial).map_err(|error| Failure::usage(error.to_string()))
}

fn told(context: &Context, home: &Path, authority: &Authority) -> Result<(), Failure> {
    let screen = &context.screen;
    screen.line(&format!(
        "{} is the home of an authority; keep it away from the hub and from networks.",
        home.display()
    ))?;
    screen.line(&read_out("fingerprint  ", authority.fingerprint()))?;
    screen.object(&serde_json::json!({
        "object": "authority", "authority": authority.fingerprint().to_string(), "home": home.display().to_string(),
    }))?;
    Ok(())
}

fn list(context: &Context, authority: &Authority) -> Result<(), Failure> {
    let mut table = screen::table(&["Serial", "Identity", "Until", "Revoked"]);
    for one in authority.signed() {
        let revoked = one.revoked.as_ref();
        let revoked = revoked.map(|(at, reason)| format!("{}: {reason}", context.screen.time(*at)));
        let tone = if revoked.is_some() { Tone::Bad } else { Tone::Plain };
        table.add_row(vec![
            cell(Tone::Plain, &one.serial.to_string()),
            cell(Tone::Plain, &one.identity.to_string()),
            cell(Tone::Plain, &context.screen.time(one.not_after)),
            cell(tone, &harmless(&revoked.unwrap_or_default())),
        ]);
        context.screen.object(&object(one))?;
    }
    context.screen.table(&table)?;
    Ok(())
}

fn object(one: &Signed) -> serde_json::Value {
    serde_json::json!({
        "object": "certificate",
        "serial": one.serial.to_string(),
        "identity": one.identity.to_string(),
        "key": one.key.to_string(),
        "not_after": utc(one.not_after),
        "revoked_at": one.revoked.as_ref().map(|(at, _)| utc(*at)),
        "reason": one.revoked.as_ref().map(|(_, reason)| reason),
    })
}

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        let exit = match &error {
            CaError::Register { .. } => Exit::Integrity,
            CaError::Busy(_) | CaError::Disk { .. } | CaError::Certs(_) => Exit::Fault,
            CaError::Missing(_)
            | CaError::There(_)
            | CaError::Tls(_)
            | CaError::Outlives { .. }
            | CaError::Unknown(_) => Exit::Usage,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<PemFileError> for Failure {
    fn from(error: PemFileError) -> Self {
        Self::usage(error.to_string())
    }
}
