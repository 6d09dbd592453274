//! `registrar init|found|enrol|sign|update|erase`: who is in the directory, signed by two, away from the hub.
//!
//! Owns what a registrar is shown before signing. Never answers for a person.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::facts::in_full;
use super::passphrase::{Passphrase, asked};
use super::registrar_erase::Erase;
use super::screen::Tone;
use crate::host::disk::OpenMode;
use crate::model::amendment::{DirectoryEntry, ENTRY_BYTES_MAX, SignedEntry};
use crate::model::fact::Fact;
use crate::model::identity::{Desk, Identity, Name};
use crate::model::policy::{Policy, StreamRights};
use crate::registrar::{Asker, Registrar, RegistrarError, founding};
use crate::seal::key_file::{self, KeyFile, Plain, SecretKey, WorkFactor};
use crate::seal::{KeyTextError, SigningKey, VerifyingKey};
use crate::wire::amendment;
use crate::wire::key_request::{self, KEY_REQUEST_BYTES_MAX, KeyRequest};
use crate::wire::trust::Trust;

/// Bytes of a founding list at most.
const LIST_BYTES_MAX: u64 = 1024 * 1024;

/// The directory, as registrars make it. Nothing here goes online.
#[derive(Debug, Subcommand)]
pub enum RegistrarCommand {
    /// Makes a registrar's home and its key.
    #[command(
        after_help = "Example:\n  resguardo registrar init iachr --institution iachr --home registrar-iachr"
    )]
    Init(Init),
    /// Writes the founding of a directory and signs it; the other registrar signs it too.
    #[command(after_help = "\
Example:
  resguardo registrar found offices.toml --registrar iachr.toml --registrar ohchr.toml --hub hub.public \\
      --desk urn:resguardo:office:iachr:desk-1=request --to founding --home registrar-iachr")]
    Found(Found),
    /// Writes the enrolment of a desk from its request and signs it; the other registrar signs it too.
    #[command(after_help = "\
Examples:
  resguardo registrar enrol request --as urn:resguardo:office:ohchr-peru:desk-1 --institution ohchr \\
      --stream monitoring-protection,studies --to peru
  resguardo registrar enrol request --as urn:resguardo:office:iachr:desk-2 --to second-desk")]
    Enrol(Enrol),
    /// Signs an amendment that another has written, after showing what it says.
    #[command(after_help = "Example:\n  resguardo registrar sign peru --home registrar-ohchr")]
    Sign(Sign),
    /// Takes in amendments that have their signatures, the founding first: what comes next follows from them.
    #[command(after_help = "Example:\n  resguardo registrar update founding --home registrar-ohchr")]
    Update(Update),
    /// Writes an order to erase a message, whoever sent it, as a file that any desk hands in.
    #[command(after_help = "\
Example:
  resguardo registrar erase 0198f0c2-7d9b-7e2c-8f00-1a2b3c4d5e6f --sent-by ohchr-honduras \\
      --reason 'the office asked for it by telephone' --to order --home registrar-iachr
  resguardo erase --order order --home iachr")]
    Erase(Erase),
}

/// `registrar init`
#[derive(Debug, Args)]
pub struct Init {
    /// The registrar's name.
    name: Name,
    /// Its institution.
    #[arg(long, value_name = "INSTITUTION")]
    institution: Name,
    /// Leave the key open on the disk: for trying, never for use.
    #[arg(long)]
    insecure_dev_keys: bool,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// `registrar found`
#[derive(Debug, Args)]
pub struct Found {
    /// The list of institutions, offices, streams and rights, as `certs-dev/offices.toml`.
    list: PathBuf,
    /// The public file of each registrar, from its home.
    #[arg(long, value_name = "FILE", required = true)]
    registrar: Vec<PathBuf>,
    /// The public half of the hub's key, `keys/hub.public` of its home.
    #[arg(long, value_name = "FILE")]
    hub: PathBuf,
    /// A desk and its request.
    #[arg(long, value_name = "DESK=FILE")]
    desk: Vec<String>,
    #[command(flatten)]
    draft: Draft,
}

/// `registrar enrol`
#[derive(Debug, Args)]
pub struct Enrol {
    /// The desk's request, `keys/request` of its home.
    request: PathBuf,
    /// The desk.
    #[arg(long = "as", value_name = "DESK")]
    desk: Identity,
    /// The institution of a new office.
    #[arg(long, value_name = "INSTITUTION")]
    institution: Option<Name>,
    /// The streams that a new office may publish to and receives.
    #[arg(long, value_name = "STREAM", value_delimiter = ',', requires = "institution")]
    stream: Vec<Name>,
    /// The office has lost its key: what is for it is sealed to the one of this request from now on.
    #[arg(long)]
    replace_office_key: bool,
    #[command(flatten)]
    draft: Draft,
}

/// `registrar sign`
#[derive(Debug, Args)]
pub struct Sign {
    /// The amendment; it is signed in its place.
    amendment: PathBuf,
    /// Sign without the question.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    passphrase: Passphrase,
}

/// `registrar update`
#[derive(Debug, Args)]
pub struct Update {
    /// The amendments, in order.
    #[arg(required = true)]
    amendment: Vec<PathBuf>,
    /// Trust the founding without the question.
    #[arg(long)]
    yes: bool,
}

/// Where an amendment goes that a registrar writes.
#[derive(Debug, Args)]
pub struct Draft {
    /// Where to write the amendment, signed with this registrar's key.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    passphrase: Passphrase,
}

impl RegistrarCommand {
    /// Does it.
    ///
    /// # Errors
    /// Usage: a home, request or amendment that is not right, or does not follow.
    pub(super) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Init(init) => init.run(context),
            Self::Found(found) => found.draft.write(context, |known| {
                if known.entries().is_empty() {
                    return found.facts(context);
                }
                Err(Failure::usage(
                    "this registrar follows a directory already: another founding needs a home of its own",
                ))
            }),
            Self::Enrol(enrol) => enrol.draft.write(context, |policy| enrol.facts(context, policy)),
            Self::Sign(sign) => sign.run(context),
            Self::Update(update) => update.run(context),
            Self::Erase(erase) => erase.run(context),
        }
    }
}

impl Init {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let dir = home(context)?;
        let key = SigningKey::generate(|bytes| context.random.fill(bytes));
        let public = key.verifying_key();
        let (name, institution) = (&self.name, &self.institution);
        let secret = SecretKey::Signing(key);
        let file = if self.insecure_dev_keys {
            key_file::plain(&secret, Plain::Insecure)?
        } else {
            let passphrase = self.passphrase.chosen(context)?;
            key_file::wrapped(&secret, &passphrase, WorkFactor::STANDARD)?.into()
        };
        let disk = Arc::clone(&context.disk);
        let registrar = Registrar::found(disk, dir, (name, institution), (&public, &file))?;
        let path = registrar.public_path();
        let screen = &context.screen;
        screen.line(&format!("{} is the home of registrar {name} of {institution} now.", dir.display()))?;
        screen.line(&format!("key  {}", public.id()))?;
        screen.line(&format!("{} goes into the founding.", path.display()))?;
        screen.object(&json!({
            "object": "registrar", "name": name.as_str(), "institution": institution.as_str(),
            "key": public.id().to_string(), "public": path.display().to_string(),
        }))?;
        Ok(Exit::Done)
    }
}

impl Found {
    fn facts(&self, context: &Context) -> Result<Vec<Fact>, Failure> {
        let list = text(context, &self.list, LIST_BYTES_MAX)?;
        let mut facts = founding::parse(&list).map_err(|error| Failure::usage(error.to_string()))?;
        for path in &self.registrar {
            let fact = key_request::read_registrar(&text(context, path, KEY_REQUEST_BYTES_MAX)?);
            facts.push(fact.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?);
        }
        facts.push(Fact::HubKey { key: verifying_key(context, &self.hub)? });
        for desk in &self.desk {
            let named = desk.split_once('=').and_then(|(desk, path)| Some((desk.parse().ok()?, path)));
            let Some((Identity::Desk(desk), path)) = named else {
                return Err(Failure::usage(format!(
                    "{desk:?}: a desk and its request expected, urn:resguardo:office:<office>:<desk>=FILE"
                )));
            };
            facts.extend(enrolled(desk, request(context, Path::new(path))?));
        }
        Ok(facts)
    }
}

impl Enrol {
    fn facts(&self, context: &Context, policy: &Policy) -> Result<Vec<Fact>, Failure> {
        let Identity::Desk(desk) = &self.desk else {
            return Err(Failure::usage(format!(
                "{} is not a desk: only desks have keys of their own",
                self.desk
            )));
        };
        let request = request(context, &self.request)?;
        context.screen.line(&format!("keys of {desk}, to be compared over another line:\n"))?;
        context.screen.line(&format!("  {}\n", request.fingerprint()))?;
        let (office, key) = (&desk.office, request.recipient.is_some());
        if key && policy.office_key(office).is_some() && !self.replace_office_key {
            return Err(Failure::usage(format!(
                "the request brings a key that is sealed to, and {office} has one: a further desk asks with --further-desk; if \
                 the office's key was lost, say --replace-office-key"
            )));
        }
        if !key && policy.office_key(office).is_none() {
            context.screen.aside(
                Tone::Warning,
                &format!("{office} has no key that is sealed to, and gets none by this"),
            );
        }
        let mut facts = Vec::new();
        if let Some(institution) = &self.institution {
            facts.push(Fact::Office { name: desk.office.clone(), institution: institution.clone() });
        }
        facts.extend(enrolled(desk.clone(), request));
        facts.extend(joined(policy, &desk.office, &self.stream)?);
        Ok(facts)
    }
}

/// Reads a key as text, `resguardo-verify1…`.
pub(super) fn verifying_key(context: &Context, path: &Path) -> Result<VerifyingKey, Failure> {
    let text = text(context, path, KEY_REQUEST_BYTES_MAX)?;
    let key = text.trim().parse();
    key.map_err(|error: KeyTextError| Failure::usage(format!("{}: {error}", path.display())))
}

/// An office's place in streams.
fn joined(policy: &Policy, office: &Name, streams: &[Name]) -> Result<Vec<Fact>, Failure> {
    let mut facts = Vec::new();
    for stream in streams {
        let Some(rights) = policy.streams().get(stream) else {
            let known: Vec<_> = policy.streams().keys().map(Name::as_str).collect();
            return Err(Failure::usage(format!(
                "there is no stream {stream}; there are {}",
                known.join(", ")
            )));
        };
        let StreamRights { mut publishers, mut subscribers } = rights.clone();
        publishers.insert(office.clone());
        subscribers.insert(office.clone());
        facts.push(Fact::Stream { name: stream.clone(), publishers, subscribers });
    }
    Ok(facts)
}

fn enrolled(desk: Desk, request: KeyRequest) -> Vec<Fact> {
    let office = desk.office.clone();
    let mut facts = vec![Fact::Desk { desk, keys: Box::new(request.keys) }];
    facts.extend(request.recipient.map(|recipient| Fact::OfficeKey { office, recipient }));
    facts
}

impl Draft {
    /// Writes what follows from the directory that the registrar knows, signed.
    pub(super) fn write(
        &self,
        context: &Context,
        facts: impl FnOnce(&Policy) -> Result<Vec<Fact>, Failure>,
    ) -> Result<Exit, Failure> {
        let registrar = Registrar::open(Arc::clone(&context.disk), home(context)?)?;
        if context.disk.open(&self.to, OpenMode::Read).is_ok() {
            let message = format!("{} is there already: name a new file with --to", self.to.display());
            return Err(Failure::usage(message));
        }
        let facts = facts(registrar.policy())?;
        let key = key(context, &registrar, &self.passphrase)?;
        let signed = registrar.draft(facts, context.clock.now(), &key)?;
        remember(context, &registrar, &signed)?;
        keep(context, &self.to, &signed)?;
        tell(context, &signed, &self.to)
    }
}

impl Sign {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let registrar = Registrar::open(Arc::clone(&context.disk), home(context)?)?;
        let mut signed = read_amendment(context, &self.amendment)?;
        let asker = registrar.follows(&signed)?;
        show(context, registrar.policy(), &signed)?;
        if asker == Asker::Unknown {
            let said = "this home does not know the present key of that desk, so it cannot tell whether the desk asks: \
                        telephone its people. The hub holds it to that key";
            context.screen.aside(Tone::Warning, said);
        }
        if !self.yes && !asked(context, "Sign this? Type yes:", "say --yes, if you have looked at it")? {
            return Err(Failure::usage("nothing was signed"));
        }
        let key = key(context, &registrar, &self.passphrase)?;
        registrar.sign(&mut signed, &key)?;
        remember(context, &registrar, &signed)?;
        keep(context, &self.amendment, &signed)?;
        tell(context, &signed, &self.amendment)
    }
}

impl Update {
    fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let mut registrar = Registrar::open(Arc::clone(&context.disk), home(context)?)?;
        for path in &self.amendment {
            let signed = read_amendment(context, path)?;
            if registrar.policy().entries().is_empty() {
                show(context, registrar.policy(), &signed)?;
                context.screen.line(&format!("\nfounding  {}", Trust::of(&signed)))?;
                if !self.yes
                    && !asked(
                        context,
                        "Trust this founding, and all that follows from it? Type yes:",
                        "say --yes, if you have compared it",
                    )?
                {
                    return Err(Failure::usage("nothing was taken in"));
                }
            }
            if registrar.knows(&signed) {
                continue;
            }
            registrar.take_in(signed)?;
        }
        let amendments = registrar.policy().amendments();
        context.screen.line(&format!("This home knows {amendments} amendments of the directory now."))?;
        context.screen.object(&json!({ "object": "amendments", "amendments": amendments.0 }))?;
        Ok(Exit::Done)
    }
}

/// Says loudly when this registrar has signed two amendments of which only one can count.
fn remember(context: &Context, registrar: &Registrar, signed: &SignedEntry) -> Result<(), Failure> {
    if registrar.remember(signed)? {
        let said = "this registrar has signed another amendment of this number before: only one of them may ever be handed in";
        context.screen.aside(Tone::Warning, said);
    }
    Ok(())
}

pub(super) fn home(context: &Context) -> Result<&Path, Failure> {
    context.home.as_deref().ok_or_else(|| {
        Failure::usage(
            "which registrar? Name its home with --home DIR or RESGUARDO_HOME; `registrar init` makes one",
        )
    })
}

pub(super) fn key(
    context: &Context,
    registrar: &Registrar,
    passphrase: &Passphrase,
) -> Result<SigningKey, Failure> {
    let secret = match registrar.key_file()? {
        KeyFile::Plain(_, secret) => {
            let said = "This registrar's key lies open on the disk: it is for trying, not for use.";
            context.screen.aside(Tone::Warning, said);
            secret
        }
        KeyFile::Wrapped(wrapped) => wrapped.unwrap_with(&passphrase.given(context)?)?,
    };
    match secret {
        SecretKey::Signing(key) => Ok(key),
        SecretKey::Opening(_) => {
            Err(Failure::usage("the key of this home opens, and does not sign: it is another's"))
        }
    }
}

/// Shows all that an amendment says, as it changes what is known.
fn show(context: &Context, known: &Policy, signed: &SignedEntry) -> Result<(), Failure> {
    let made = context.screen.time(signed.entry.made());
    let what = match &signed.entry {
        DirectoryEntry::Amendment(amendment) => format!("amendment {} of the directory", amendment.number),
        DirectoryEntry::Rotation(_) => "new keys".to_owned(),
    };
    context.screen.line(&format!("{what}, written {made}:"))?;
    for fact in signed.entry.facts() {
        let words = super::screen::harmless(&in_full(known, fact));
        context.screen.line(&format!("  {words}"))?;
        context.screen.object(&json!({ "object": "fact", "says": words }))?;
    }
    Ok(())
}

fn tell(context: &Context, signed: &SignedEntry, path: &Path) -> Result<Exit, Failure> {
    let path_words = path.display();
    let number = match &signed.entry {
        DirectoryEntry::Amendment(amendment) => Some(amendment.number.0),
        DirectoryEntry::Rotation(_) => None,
    };
    let next = match number {
        Some(1) => format!("With those of both institutions: resguardo hub init --founding {path_words}"),
        Some(_) => format!("With those of both institutions: resguardo hub directory add {path_words}"),
        None => format!("With the desk's own and one registrar's: resguardo hub directory add {path_words}"),
    };
    let signed_by = match signed.signatures.len() {
        1 => "one signature".to_owned(),
        more => format!("{more} signatures"),
    };
    context.screen.line(&format!("{path_words} has {signed_by} now. {next}"))?;
    context.screen.object(&json!({
        "object": "amendment",
        "path": path.display().to_string(),
        "number": number,
        "digest": amendment_digest(signed),
        "signed_by": signed.signatures.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>(),
    }))?;
    Ok(Exit::Done)
}

fn amendment_digest(signed: &SignedEntry) -> String {
    Trust::of(signed).to_string().replace(' ', "")
}

pub(super) fn read_amendment(context: &Context, path: &Path) -> Result<SignedEntry, Failure> {
    let bytes = context.disk.read(path, ENTRY_BYTES_MAX as u64).map_err(|error| unread(path, &error))?;
    amendment::read(&bytes.into()).map_err(|refusal| {
        Failure::usage(format!("{} is not an amendment or rotation: {}", path.display(), refusal.message))
    })
}

fn request(context: &Context, path: &Path) -> Result<KeyRequest, Failure> {
    let request = KeyRequest::parse(&text(context, path, KEY_REQUEST_BYTES_MAX)?);
    request.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn text(context: &Context, path: &Path, bytes_max: u64) -> Result<String, Failure> {
    let bytes = context.disk.read(path, bytes_max).map_err(|error| unread(path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn keep(context: &Context, path: &Path, signed: &SignedEntry) -> Result<(), Failure> {
    context
        .disk
        .write_atomically(path, &amendment::bytes(signed))
        .map_err(|error| Failure::new(Exit::Fault, format!("cannot write {}: {error}", path.display())))
}

fn unread(path: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}

impl From<RegistrarError> for Failure {
    fn from(error: RegistrarError) -> Self {
        let exit = match error {
            RegistrarError::Disk { .. } => Exit::Fault,
            RegistrarError::Refused(_) | RegistrarError::Untrusted(_) => Exit::Integrity,
            _ => Exit::Usage,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<key_file::KeyFileError> for Failure {
    fn from(error: key_file::KeyFileError) -> Self {
        Self::usage(format!("the key: {error}"))
    }
}
