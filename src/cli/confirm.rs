//! `office fingerprint|confirm`: whose keys somebody here has compared, and what is said where nobody has.
//!
//! Owns the question before an urgent alert, or what opens a message, goes to such an office. Never confirms without a person's word.

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::office::told;
use super::passphrase::asked;
use super::screen::Tone;
use crate::desk::confirmed::{Confirmed, ConfirmedError, Own, confirm, confirm_own, fingerprint};
use crate::desk::home::Home;
use crate::desk::members::Members;
use crate::model::identity::Name;
use crate::seal::OfficeFingerprint;

/// `office fingerprint`
#[derive(Debug, Args)]
pub struct ShowFingerprint {
    /// The office; this home's own where none is named.
    office: Option<Name>,
}

/// `office confirm`
#[derive(Debug, Args)]
pub struct Confirm {
    /// The office.
    office: Name,
    /// Its fingerprint, as it was read to you, instead of the question: 12 groups of 5 digits.
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<OfficeFingerprint>,
}

/// What is done about recipients whose keys nobody here has compared.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Unconfirmed {
    /// Go on without the question where nobody here has confirmed an office's fingerprint.
    #[arg(long)]
    unconfirmed_ok: bool,
}

impl ShowFingerprint {
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let (_, members) = told(context).await?;
        let office = match &self.office {
            Some(office) => office.clone(),
            None => context.home()?.desk()?.office.clone(),
        };
        let found = known(&members, &office)?;
        let confirmed = Confirmed::read(&context.home()?)?.holds(members.policy(), &office);
        let said = if confirmed { "confirmed here" } else { "not confirmed here" };
        context
            .screen
            .line(&format!("{office}, {said}; the same is read out at both ends:\n\n  {found}\n"))?;
        tell(context, &office, found, confirmed)
    }
}

impl Confirm {
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let (_, members) = told(context).await?;
        let found = known(&members, &self.office)?;
        let same = match self.fingerprint {
            Some(compared) if compared != found => {
                let message = format!(
                    "the directory has other keys of {} ({found}) than were read to you: do not send to it, and tell \
                     both registrars",
                    self.office
                );
                return Err(Failure::new(Exit::Integrity, message));
            }
            Some(_) => true,
            None => {
                context.screen.line(&format!("{}:\n\n  {found}\n", self.office))?;
                asked(
                    context,
                    "Did they read the same to you, over another line? Type yes:",
                    "give what was read to you with --fingerprint",
                )?
            }
        };
        if !same {
            return Err(Failure::usage("nothing was confirmed"));
        }
        let home = context.home()?;
        confirm(&home, &self.office, found).await?;
        if home.desk().is_ok_and(|desk| desk.office == self.office) {
            confirm_own(&home, members.policy()).await?;
        }
        context.screen.line(&format!("{} is confirmed here, until its keys change.", self.office))?;
        tell(context, &self.office, found, true)
    }
}

fn known(members: &Members, office: &Name) -> Result<OfficeFingerprint, Failure> {
    members.check_office(office)?;
    fingerprint(members.policy(), office).ok_or_else(|| {
        Failure::usage(format!("{office} has no desk with keys in the directory: nothing to compare"))
    })
}

fn tell(
    context: &Context,
    office: &Name,
    found: OfficeFingerprint,
    confirmed: bool,
) -> Result<Exit, Failure> {
    context.screen.object(&json!({
        "object": "fingerprint",
        "office": office.as_str(),
        "fingerprint": found.to_string(),
        "confirmed": confirmed,
    }))?;
    Ok(Exit::Done)
}

impl Unconfirmed {
    /// Says which recipients nobody here has confirmed, and asks, where there is a question. Without a directory nobody is
    /// confirmed.
    ///
    /// # Errors
    /// Usage: nobody is here to answer, or the answer is no.
    pub(super) fn check(
        self,
        context: &Context,
        home: &Home,
        members: Option<&Members>,
        recipients: &[Name],
        question: Option<&str>,
    ) -> Result<(), Failure> {
        let confirmed = read(context, home);
        let lacking = match members {
            Some(members) => confirmed.lacking(members.policy(), recipients),
            None => recipients.iter().collect(),
        };
        if lacking.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = lacking.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        let said =
            format!("nobody here has confirmed the keys of {names} (`resguardo office confirm OFFICE`)");
        context.screen.aside(Tone::Warning, &said);
        match question.filter(|_| !self.unconfirmed_ok) {
            Some(question) if !asked(context, question, "say --unconfirmed-ok")? => {
                Err(Failure::usage("it was not sent"))
            }
            _ => Ok(()),
        }
    }
}

/// What was confirmed; where that cannot be told, nothing was.
fn read(context: &Context, home: &Home) -> Confirmed {
    Confirmed::read(home).unwrap_or_else(|error| {
        context.screen.aside(Tone::Warning, &error.to_string());
        Confirmed::default()
    })
}

/// Says loudly that the keys of one's own office are not those that somebody here knows of. It stops nothing.
pub(super) fn alarm(context: &Context, home: &Home, members: &Members) {
    let Ok(desk) = home.desk() else { return };
    for remark in &members.remarks {
        context.screen.aside(Tone::Warning, remark);
    }
    let found = match read(context, home).own(home, members.policy()) {
        Ok(Own::Known) => return,
        Ok(Own::Unknown(found)) => found.to_string(),
        Err(error) => format!("and what this home asked for cannot be read: {error}"),
    };
    let office = &desk.office;
    let said = format!(
        "THE KEYS OF YOUR OWN OFFICE, {office}, ARE NOT THOSE THAT SOMEBODY HERE KNOWS OF (now {found}). If your office asked \
         for a new desk, a new key or an end, say so: resguardo office confirm {office}. If nobody did, telephone both \
         registrars now. Alerts go on"
    );
    context.screen.aside(Tone::Bad, &said);
    // Whoever reads objects may have gone; that is told elsewhere.
    let _ = context.screen.object(&json!({
        "object": "alarm", "alarm": "own-keys-changed", "office": office.as_str(), "fingerprint": found,
    }));
}

/// The copy of the directory in a home; one that cannot be used is told, and stops nothing.
pub(super) fn copied(context: &Context, home: &Home) -> Option<Members> {
    match Members::copied(home) {
        Ok(copied) => copied,
        Err(error) => {
            context.screen.aside(Tone::Warning, &error.to_string());
            None
        }
    }
}

impl From<ConfirmedError> for Failure {
    fn from(error: ConfirmedError) -> Self {
        match error {
            ConfirmedError::Home(error) => error.into(),
            ConfirmedError::Keys(error) => error.into(),
            ConfirmedError::Disk(_) => Self::new(Exit::Fault, error.to_string()),
            ConfirmedError::Form(_) => Self::usage(error.to_string()),
        }
    }
}
