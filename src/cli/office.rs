//! `office request|accept|list|show|add|revoke`: how a home gets its certificate, and who is in the directory.
//!
//! Owns the question that a person must answer: is this the authority that was read out? Never answers it.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use tonic::transport::Channel;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::renewals;
use super::screen::{self, Screen, Tone, cell, read_out, utc};
use crate::desk::enrol::{self, EnrolError, Offer};
use crate::desk::members::Members;
use crate::model::identity::{Identity, Name};
use crate::model::policy::{Fact, Policy, StreamRights};
use crate::wire::fingerprint::Fingerprint;
use crate::wire::tls::Credentials;

/// An office's place in the exchange.
#[derive(Debug, Subcommand)]
pub enum Office {
    /// Makes a key in this home, and a request to carry to the authority.
    #[command(after_help = "Example:\n  resguardo office request --home desk-1")]
    Request(RequestCommand),
    /// Installs the certificate that came back, after you have compared who signed it.
    #[command(after_help = "\
Example:
  resguardo office accept bundle.pem --hub hub.example.org:7443 --home desk-1")]
    Accept(Accept),
    /// Carries requests for next certificates from the hub to a file, and the authority's answers back. For operators.
    #[command(after_help = "\
Examples:
  resguardo office renewals --to renewals
  resguardo office renewals --answer answers")]
    Renewals(super::renewals::Renewals),
    /// Lists the offices of the directory.
    #[command(after_help = "Example:\n  resguardo office list")]
    List,
    /// Shows one office: its institution, its streams, its revoked desks.
    #[command(after_help = "Example:\n  resguardo office show ohchr-honduras")]
    Show {
        /// The office.
        office: Name,
    },
    /// Adds an office to the directory and to streams. For operators.
    #[command(after_help = "\
Example:
  resguardo office add ohchr-peru --institution ohchr --stream monitoring-protection,studies")]
    Add(Add),
    /// Ends an office's membership, or one desk, at once. For operators. What happened before stays.
    #[command(after_help = "\
Examples:
  resguardo office revoke urn:resguardo:office:ohchr-peru:desk-1 --reason 'laptop stolen'
  resguardo office revoke ohchr-peru --reason 'closed on 1 March'")]
    Revoke(Revoke),
}

/// `office add`
#[derive(Debug, Args)]
pub struct Add {
    /// Its name.
    office: Name,
    /// Its institution.
    #[arg(long, value_name = "INSTITUTION")]
    institution: Name,
    /// The streams that it may publish to and receives.
    #[arg(long, value_name = "STREAM", value_delimiter = ',')]
    stream: Vec<Name>,
}

/// `office revoke`
#[derive(Debug, Args)]
pub struct Revoke {
    /// An office's name, or a desk's URI.
    who: String,
    /// Why, for everybody to read.
    #[arg(long, value_name = "REASON")]
    reason: String,
}

/// `office request`
#[derive(Debug, Args)]
pub struct RequestCommand {
    /// Make a new key although one waits for its certificate: a certificate for that one is then of no use.
    #[arg(long)]
    anew: bool,
}

/// `office accept`
#[derive(Debug, Args)]
pub struct Accept {
    /// The bundle, as `resguardo ca sign` wrote it, or the answers of `resguardo ca renew`.
    bundle: PathBuf,
    /// Where the hub listens; needed once.
    #[arg(long, value_name = "HOST:PORT")]
    hub: Option<String>,
    /// The name in the hub's certificate, where it is not the host.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// The authority's fingerprint, as it was read out, instead of the question.
    #[arg(long, value_name = "FINGERPRINT")]
    authority: Option<Fingerprint>,
}

impl Office {
    /// Does it.
    ///
    /// # Errors
    /// Usage: a bundle that is not for this home; integrity: another authority than the one that was read out.
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Request(_) | Self::Accept(_) => self.enrol(context),
            Self::Renewals(renewals) => renewals.run(context).await,
            Self::List => list(context, &told(context).await?.1, None),
            Self::Show { office } => list(context, &told(context).await?.1, Some(office)),
            Self::Add(add) => amend(context, |policy| add.facts(policy)).await,
            Self::Revoke(revoke) => amend(context, |_| revoke.facts()).await,
        }
    }

    fn enrol(&self, context: &Context) -> Result<Exit, Failure> {
        let Some(home) = &context.home else {
            return Err(Failure::usage(
                "whose home? Name it with --home DIR or RESGUARDO_HOME; it may be new",
            ));
        };
        match self {
            Self::Request(command) => {
                let pending = enrol::request(context.disk.as_ref(), home, command.anew)?;
                let screen = &context.screen;
                let path = pending.request.display();
                let made = if pending.repeated { "waits since before" } else { "is made" };
                screen.line(&format!("{path} {made}: carry it to the authority."))?;
                screen.line("Read its key to them over another line:\n")?;
                screen.line(&format!("{}\n", read_out("  ", pending.key)))?;
                screen.line("The key itself stays here. Next: resguardo office accept BUNDLE")?;
                let renewal = follow(context, home)?;
                if let Some(renewal) = &renewal {
                    screen.line(&format!("Or, without reading it out: ca renew {}", renewal.display()))?;
                }
                screen.object(&serde_json::json!({
                    "object": "request", "request": path.to_string(), "key": pending.key.to_string(),
                    "renewal": renewal.map(|renewal| renewal.display().to_string()),
                }))?;
                Ok(Exit::Done)
            }
            Self::Accept(command) => command.run(context, home),
            _ => unreachable!("only what is done in a home comes here"),
        }
    }
}

/// Has a home that has a certificate prove by it that it asks for the next one; gives the file. One whose certificate has
/// ended proves nothing: its request is signed like a first one.
fn follow(context: &Context, home: &Path) -> Result<Option<PathBuf>, Failure> {
    let Ok(present) = Credentials::read(&home.join("tls")) else { return Ok(None) };
    if !present.own().is_ok_and(|own| own.not_after >= context.clock.now()) {
        return Ok(None);
    }
    enrol::renewal(context.disk.as_ref(), home, &present)?;
    Ok(Some(enrol::renewal_path(home)))
}

/// Asks the hub for the directory.
pub(super) async fn told(context: &Context) -> Result<(Channel, Members), Failure> {
    let home = context.home()?;
    let channel = context.connect(&home).await?;
    let members = Members::fetch(channel.clone(), &home, context.clock.now()).await?;
    Ok((channel, members))
}

fn list(context: &Context, members: &Members, only: Option<&Name>) -> Result<Exit, Failure> {
    if let Some(office) = only
        && members.policy().number(office).is_none()
    {
        members.check_office(office)?;
    }
    let policy = members.policy();
    let mut table = screen::table(&["Office", "Institution", "Streams", "State"]);
    for (_, name, institution) in
        policy.offices().filter(|(_, name, _)| only.is_none_or(|only| only == *name))
    {
        let streams: Vec<_> = policy
            .streams()
            .iter()
            .filter(|(_, rights)| rights.publishers.contains(name) || rights.subscribers.contains(name))
            .map(|(stream, _)| stream.to_string())
            .collect();
        let headquarters = policy.headquarters() == Some(name);
        let (tone, state) = match policy.removed(name) {
            Some(reason) => (Tone::Bad, format!("removed: {reason}")),
            None if headquarters => (Tone::Good, "headquarters".to_owned()),
            None => (Tone::Plain, String::new()),
        };
        let revoked: Vec<_> = policy.revoked().iter().filter(|(desk, _)| desk.office == *name).collect();
        table.add_row(vec![
            cell(Tone::Plain, name.as_str()),
            cell(Tone::Plain, institution.as_str()),
            cell(Tone::Plain, &streams.join(", ")),
            cell(tone, &state),
        ]);
        if only.is_some() {
            for (desk, reason) in &revoked {
                let what = format!("revoked: {reason}");
                table.add_row(vec![
                    cell(Tone::Bad, &desk.to_string()),
                    cell(Tone::Plain, ""),
                    cell(Tone::Plain, ""),
                    cell(Tone::Bad, &what),
                ]);
            }
        }
        context.screen.object(&serde_json::json!({
            "object": "office",
            "office": name.as_str(),
            "institution": institution.as_str(),
            "streams": streams,
            "headquarters": headquarters,
            "removed": policy.removed(name),
            "revoked_desks": revoked.iter().map(|(desk, reason)| {
                serde_json::json!({ "desk": desk.to_string(), "reason": reason })
            }).collect::<Vec<_>>(),
        }))?;
    }
    context.screen.table(&table)?;
    Ok(Exit::Done)
}

/// Changes the directory by what follows from it as it stands.
pub(super) async fn amend(
    context: &Context,
    facts: impl FnOnce(&Policy) -> Result<Vec<Fact>, Failure>,
) -> Result<Exit, Failure> {
    let (channel, members) = told(context).await?;
    let facts = facts(members.policy())?;
    let version = members.amend(channel, &facts).await?;
    context.screen.line(&format!("The directory is at version {version} now."))?;
    context.screen.object(&serde_json::json!({ "object": "directory", "version": version.0 }))?;
    Ok(Exit::Done)
}

impl Add {
    fn facts(&self, policy: &Policy) -> Result<Vec<Fact>, Failure> {
        let (name, institution) = (self.office.clone(), self.institution.clone());
        let mut facts = vec![Fact::Office { name, institution }];
        for stream in &self.stream {
            let Some(rights) = policy.streams().get(stream) else {
                let known: Vec<_> = policy.streams().keys().map(Name::as_str).collect();
                return Err(Failure::usage(format!(
                    "there is no stream {stream}; there are {}",
                    known.join(", ")
                )));
            };
            let StreamRights { mut publishers, mut subscribers } = rights.clone();
            publishers.insert(self.office.clone());
            subscribers.insert(self.office.clone());
            facts.push(Fact::Stream { name: stream.clone(), publishers, subscribers });
        }
        Ok(facts)
    }
}

impl Revoke {
    fn facts(&self) -> Result<Vec<Fact>, Failure> {
        let reason = self.reason.clone();
        if let Ok(name) = self.who.parse() {
            return Ok(vec![Fact::OfficeRemoved { name, reason }]);
        }
        match self.who.parse() {
            Ok(Identity::Desk(desk)) => Ok(vec![Fact::DeskRevoked { desk, reason }]),
            _ => Err(Failure::usage(format!(
                "{:?} is neither an office's name nor a desk, urn:resguardo:office:<office>:<desk>",
                self.who
            ))),
        }
    }
}

impl Accept {
    fn run(&self, context: &Context, home: &Path) -> Result<Exit, Failure> {
        let bundle = renewals::bundle_for(context, home, &self.bundle)?;
        let offer = Offer::read(Arc::clone(&context.disk), home, &bundle, context.clock.as_ref())?;
        let screen = &context.screen;
        let identity = offer.identity().clone();
        let not_after = offer.certificate().not_after;
        screen.line(&format!("for          {identity}"))?;
        screen.line(&format!("valid until  {}", screen.time(not_after)))?;
        screen.line(&read_out("authority    ", offer.authority()))?;
        self.compare(screen, &offer)?;
        offer.install(self.hub.as_deref(), self.server_name.as_deref())?;
        screen.line(&format!("{} is the home of {identity} now.", home.display()))?;
        screen.object(&serde_json::json!({
            "object": "home",
            "home": home.display().to_string(),
            "identity": identity.to_string(),
            "not_after": utc(not_after),
        }))?;
        Ok(Exit::Done)
    }

    fn compare(&self, screen: &Screen, offer: &Offer) -> Result<(), Failure> {
        if let Some(expected) = self.authority {
            if expected == offer.authority() {
                return Ok(());
            }
            return Err(Failure::new(
                Exit::Integrity,
                format!(
                    "the certificate is of another authority than {}: do not use it, and ask who sent it",
                    expected.grouped()
                ),
            ));
        }
        if offer.is_trusted() {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "nobody is here to compare the authority's fingerprint: give the one that was read out with --authority",
            ));
        }
        let question = "\nIs this the authority's fingerprint that was read to you over another line? Type yes to install:";
        screen.aside(Tone::Warning, question);
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if answer.trim().eq_ignore_ascii_case("yes") {
            return Ok(());
        }
        Err(Failure::usage("nothing was installed: the fingerprint was not confirmed"))
    }
}

impl From<EnrolError> for Failure {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::Home(error) => error.into(),
            EnrolError::Request(error) => error.into(),
            EnrolError::Disk { .. } | EnrolError::Certs(_) => Self::new(Exit::Fault, error.to_string()),
            EnrolError::Tls(_)
            | EnrolError::Renewal(_)
            | EnrolError::NotAsked(_)
            | EnrolError::KeyForeign { .. }
            | EnrolError::Nameless(_)
            | EnrolError::Other { .. }
            | EnrolError::NoHub
            | EnrolError::HubAddress(_) => Self::usage(error.to_string()),
        }
    }
}
