//! `office request|accept|list|show|fingerprint|confirm|revoke`, and `office_keys`: how a home gets its keys and its certificate, and who is in the directory.
//!
//! Owns the question that a person must answer: is this the authority that was read out? Never answers it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use tonic::transport::Channel;

use super::confirm::{self, Confirm, ShowFingerprint};
use super::context::Context;
use super::exit::{Exit, Failure};
use super::office_keys::{PassKey, Rotate, TakeKey, given};
use super::passphrase::{Passphrase, asked};
use super::registrar::Draft;
use super::renewals;
use super::screen::{self, Tone, cell, read_out, utc};
use crate::desk::enrol::{self, EnrolError, Offer};
use crate::desk::home::Home;
use crate::desk::keys::{self, KeysError, Wrap};
use crate::desk::members::Members;
use crate::host::disk::OpenMode;
use crate::model::identity::{Identity, Name};
use crate::model::policy::Fact;
use crate::wire::fingerprint::Fingerprint;
use crate::wire::key_request::fingerprint_of_recipient;
use crate::wire::open_key::OpenKey;
use crate::wire::tls::Credentials;
use crate::wire::trust::{TRUST_BYTES_MAX, TRUST_FILE, Trust};

/// An office's place in the exchange.
#[derive(Debug, Subcommand)]
pub enum Office {
    /// Makes keys in this home, and requests to carry to the authority and to the registrars.
    #[command(after_help = "\
Examples:
  resguardo office request --home desk-1
  resguardo office request --further-desk --home desk-2
  resguardo office request --renew-keys --home desk-1")]
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
    /// Shows the fingerprint of an office's keys, to be compared by telephone.
    #[command(after_help = "Example:\n  resguardo office fingerprint ohchr-mexico")]
    Fingerprint(ShowFingerprint),
    /// Keeps that you have compared the fingerprint of an office's keys.
    #[command(after_help = "Example:\n  resguardo office confirm ohchr-mexico")]
    Confirm(Confirm),
    /// Makes a new key that what is for this office is sealed to from now on. Once a month; former keys stay as long as what was
    /// sealed to them is kept.
    #[command(after_help = "Example:\n  resguardo office rotate --home desk-1")]
    Rotate(Rotate),
    /// Passes the office's keys to another desk of it, in a file that only that desk can open.
    #[command(after_help = "\
Example:
  resguardo office pass-key urn:resguardo:office:ohchr-honduras:desk-2 --to for-desk-2 --home desk-1")]
    PassKey(PassKey),
    /// Takes the office's keys from the file that another desk of it wrote.
    #[command(after_help = "Example:\n  resguardo office take-key for-desk-2 --home desk-2")]
    TakeKey(TakeKey),
    /// Writes the end of an office's membership, or of one desk, and signs it. For registrars: the other one signs it too.
    /// What happened before stays.
    #[command(after_help = "\
Examples:
  resguardo office revoke urn:resguardo:office:ohchr-peru:desk-1 --reason 'laptop stolen' --to stolen
  resguardo office revoke ohchr-peru --reason 'closed on 1 March' --to closed")]
    Revoke(Revoke),
}

/// `office revoke`
#[derive(Debug, Args)]
pub struct Revoke {
    /// An office's name, or a desk's URI.
    who: String,
    /// Why, for everybody to read.
    #[arg(long, value_name = "REASON")]
    reason: String,
    #[command(flatten)]
    draft: Draft,
}

/// `office request`
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct RequestCommand {
    /// Make a new key although one waits for its certificate: a certificate for that one is then of no use.
    #[arg(long)]
    anew: bool,
    /// For a hub, an operator or an auditor: make no keys for the directory.
    #[arg(long)]
    transport_only: bool,
    /// The office has a desk already, which has the office's key.
    #[arg(long)]
    further_desk: bool,
    /// Make new signing keys of a desk that has some, and a file for one registrar to sign; ask for no certificate.
    #[arg(long, conflicts_with_all = ["anew", "transport_only", "further_desk", "insecure_dev_keys"])]
    renew_keys: bool,
    /// Leave the keys open on the disk: for trying, never for use.
    #[arg(long)]
    insecure_dev_keys: bool,
    #[command(flatten)]
    passphrase: Passphrase,
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
    /// The trust file of the directory, from a registrar; needed once, but for a hub.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
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
            Self::Fingerprint(show) => show.run(context).await,
            Self::Confirm(confirm) => confirm.run(context).await,
            Self::Rotate(rotate) => rotate.run(context).await,
            Self::PassKey(pass) => pass.run(context).await,
            Self::TakeKey(take) => take.run(context).await,
            Self::Revoke(revoke) => revoke.draft.write(context, |_| revoke.facts()),
        }
    }

    fn enrol(&self, context: &Context) -> Result<Exit, Failure> {
        let Some(home) = &context.home else {
            return Err(Failure::usage(
                "whose home? Name it with --home DIR or RESGUARDO_HOME; it may be new",
            ));
        };
        match self {
            Self::Request(command) if command.renew_keys => command.renew(context),
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
                if command.wants_keys(context, home) {
                    command.keys(context, home)?;
                } else if is_hub(context, home) && !command.transport_only {
                    hub_key(context, home)?;
                }
                Ok(Exit::Done)
            }
            Self::Accept(command) => command.run(context, home),
            _ => unreachable!("only what is done in a home comes here"),
        }
    }
}

/// Tells whether this is a hub's home.
fn is_hub(context: &Context, home: &Path) -> bool {
    context.disk.open(&home.join("hub.toml"), OpenMode::Read).is_ok()
}

/// Makes the key by which a hub signs what its logs come to.
fn hub_key(context: &Context, home: &Path) -> Result<(), Failure> {
    let made = OpenKey::Hub.make(context.disk.as_ref(), home, context.random.as_ref());
    let id = made.map_err(|error| Failure::new(Exit::Fault, error.to_string()))?.id();
    let (screen, path) = (&context.screen, OpenKey::Hub.public_path(home));
    screen.line(&format!(
        "\n{}: the key by which the hub signs its logs, for the registrars.",
        path.display()
    ))?;
    screen.line(&format!("Read its id to them over another line:\n\n  {id}\n"))?;
    screen.object(&serde_json::json!({
        "object": "hub_key", "public": path.display().to_string(), "key": id.to_string(),
    }))?;
    Ok(())
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
    confirm::alarm(context, &home, &members);
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

impl RequestCommand {
    /// Tells whether this is to be a desk's home.
    fn wants_keys(&self, context: &Context, home: &Path) -> bool {
        let is_hub = is_hub(context, home);
        let known = Home::open(Arc::clone(&context.disk), home);
        let is_other = known.is_ok_and(|known| !matches!(known.settings().identity, Identity::Desk(_)));
        !(self.transport_only || is_hub || is_other)
    }

    /// Makes new signing keys in the place of present ones.
    fn renew(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        let given = given(context, &home, &self.passphrase)?;
        let (path, request) = keys::renew(
            (context.disk.as_ref(), home.dir()),
            home.desk()?,
            given.as_ref().map(|it| it.as_str()),
            context.random.as_ref(),
            context.clock.now(),
        )?;
        let (screen, fingerprint, path) = (&context.screen, request.fingerprint(), path.display());
        screen.line(&format!("{path}: carry it to one registrar, who signs it (registrar sign)."))?;
        screen.line(&format!("Read its fingerprint to them over another line:\n\n  {fingerprint}\n"))?;
        screen.line(&format!(
            "The present keys count until the hub took it: resguardo hub directory add {path}"
        ))?;
        screen.object(&serde_json::json!({
            "object": "key_request", "request": path.to_string(), "fingerprint": fingerprint.to_string(),
            "office_key": null,
        }))?;
        Ok(Exit::Done)
    }

    /// Makes the keys that the directory is to hold.
    fn keys(&self, context: &Context, home: &Path) -> Result<(), Failure> {
        let disk = context.disk.as_ref();
        let request = if let Some(made) = keys::request(disk, home)? {
            made
        } else {
            let passphrase =
                if self.insecure_dev_keys { None } else { Some(self.passphrase.chosen(context)?) };
            let wrap = passphrase.as_ref().map_or(Wrap::Insecure, |it| Wrap::Passphrase(it));
            keys::make(disk, home, !self.further_desk, wrap, context.random.as_ref())?
        };
        let path = keys::request_path(home);
        let (screen, fingerprint) = (&context.screen, request.fingerprint());
        screen.line(&format!("\n{}: carry it to a registrar.", path.display()))?;
        screen.line(&format!("Read its fingerprint to them over another line:\n\n  {fingerprint}\n"))?;
        let office_key = request.recipient.as_ref().map(|it| fingerprint_of_recipient(it).to_string());
        if let Some(office_key) = &office_key {
            screen.line(&format!("And that of the key that is sealed to:\n\n  {office_key}\n"))?;
        }
        if self.insecure_dev_keys {
            let said = "These keys lie open on the disk: they are for trying, not for use.";
            screen.aside(Tone::Warning, said);
        }
        screen.object(&serde_json::json!({
            "object": "key_request", "request": path.display().to_string(), "fingerprint": fingerprint.to_string(),
            "office_key": office_key,
        }))?;
        Ok(())
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
        // Shown before the question, judged after it.
        let trust = self.trust(context, home, &identity);
        self.compare(context, &offer)?;
        let trust = trust?;
        offer.check(self.hub.as_deref(), self.server_name.as_deref())?;
        // Before the certificate: a home that was cut off between the two is accepted again.
        if let Some(trust) = trust {
            let path = home.join(TRUST_FILE);
            let written = context.disk.write_atomically(&path, trust.to_text().as_bytes());
            written.map_err(|error| {
                Failure::new(Exit::Fault, format!("cannot write {}: {error}", path.display()))
            })?;
        }
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

    /// What the home is to trust from now on; `None`: it trusts something already.
    fn trust(&self, context: &Context, home: &Path, identity: &Identity) -> Result<Option<Trust>, Failure> {
        let present = trust_at(context, &home.join(TRUST_FILE)).ok();
        let Some(from) = &self.trust else {
            if present.is_some() || matches!(identity, Identity::Hub(_)) {
                return Ok(None);
            }
            return Err(Failure::usage(
                "whom does this home trust? Name the trust.toml that a registrar gave you with --trust FILE",
            ));
        };
        let trust = trust_at(context, from)?;
        context.screen.line(&format!("founding     {trust}"))?;
        match present {
            Some(present) if present != trust => Err(Failure::new(
                Exit::Integrity,
                format!(
                    "this home trusts another founding ({present}): nothing was changed; ask both registrars"
                ),
            )),
            Some(_) => Ok(None),
            None => Ok(Some(trust)),
        }
    }

    fn compare(&self, context: &Context, offer: &Offer) -> Result<(), Failure> {
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
        let question =
            "\nAre these the fingerprints that were read to you over another line? Type yes to install:";
        let instead = "nobody is here to compare the authority's fingerprint: give the one that was read out with --authority";
        if asked(context, question, instead)? {
            return Ok(());
        }
        Err(Failure::usage("nothing was installed: the fingerprint was not confirmed"))
    }
}

/// Reads a trust file.
///
/// # Errors
/// Usage: it is not there, or none.
pub(super) fn trust_at(context: &Context, path: &Path) -> Result<Trust, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::usage(format!("{}: {error}", path.display()));
    let text = context.disk.read(path, TRUST_BYTES_MAX).map_err(|error| wrong(&error))?;
    Trust::parse(&String::from_utf8_lossy(&text)).map_err(|error| wrong(&error))
}

impl From<KeysError> for Failure {
    fn from(error: KeysError) -> Self {
        let exit = if matches!(error, KeysError::Disk { .. }) { Exit::Fault } else { Exit::Usage };
        Self::new(exit, error.to_string())
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
