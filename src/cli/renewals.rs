//! `office renewals`: requests for next certificates from the hub to a file, and the authority's answers back.
//!
//! Owns the two ways of the file. Never judges what is in it: who signs does, and each desk checks its own answer.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::exit::{Exit, Failure};
use super::screen::{Tone, harmless};
use crate::desk::enrol::renewal_path;
use crate::wire::pem_file::PemFile;
use crate::wire::proto::enrolment_service_client::EnrolmentServiceClient;
use crate::wire::proto::{AnswerRenewalsRequest, ListRenewalsRequest};
use crate::wire::renewal::{self, FILE_BYTES_MAX, Renewal, RenewalError, digest_of};

/// `office renewals`
#[derive(Debug, Args)]
pub struct Renewals {
    /// Write the requests that wait at the hub to this file, for `resguardo ca renew`.
    #[arg(long, value_name = "FILE", required_unless_present = "answer")]
    to: Option<PathBuf>,
    /// Hand in what `resguardo ca renew` answered.
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    answer: Option<PathBuf>,
}

impl Renewals {
    /// Does it.
    ///
    /// # Errors
    /// Usage: a file that is none of renewals; refused: the caller is no operator.
    pub(super) async fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let home = context.home()?;
        match (&self.to, &self.answer) {
            (_, Some(answers)) => {
                // What was named is looked at before the hub is asked.
                let (_, answers) = read(context, answers)?;
                if answers.is_empty() {
                    context.screen.line("The file holds no answers.")?;
                    return Ok(Exit::Done);
                }
                let mut client = EnrolmentServiceClient::new(context.connect(&home).await?);
                let identities: Vec<_> = answers.iter().map(|answer| answer.identity.clone()).collect();
                let told = client.answer_renewals(AnswerRenewalsRequest { answers }).await?.into_inner();
                for (identity, result) in identities.iter().zip(told.results) {
                    let refusal = result.refusal.map(|refusal| refusal.message);
                    context
                        .screen
                        .object(&json!({ "object": "answered", "identity": identity, "refused": refusal }))?;
                    match refusal {
                        None => context.screen.line(&format!("handed in  {}", harmless(identity)))?,
                        Some(why) => {
                            let words = format!("not taken  {}: {}", harmless(identity), harmless(&why));
                            context.screen.aside(Tone::Warning, &words);
                        }
                    }
                }
                context.screen.line("Each desk installs its own by itself.")?;
            }
            (Some(to), None) => {
                let mut client = EnrolmentServiceClient::new(context.connect(&home).await?);
                let requests = client.list_renewals(ListRenewalsRequest {}).await?.into_inner().requests;
                for request in &requests {
                    let who = Renewal::read(request).map(|it| it.identity.to_string());
                    let who = who.unwrap_or_else(|error| format!("cannot be read: {error}"));
                    context.screen.line(&format!("waits  {}", harmless(&who)))?;
                    context.screen.object(&json!({ "object": "renewal-request", "identity": who }))?;
                }
                let file = renewal::file(requests, Vec::new());
                write(context, to, &file)?;
                let words =
                    format!("Carry {0} to the authority: resguardo ca renew {0} --to answers", to.display());
                context.screen.line(&words)?;
            }
            (None, None) => return Err(Failure::usage("name a file: --to FILE, or --answer FILE")),
        }
        Ok(Exit::Done)
    }
}

/// The bundle for a home in a file: the file itself, or the answer to the home's own request among several.
///
/// # Errors
/// Usage: there is none for this home, or the authority refused.
pub(super) fn bundle_for(context: &Context, home: &Path, file: &Path) -> Result<PemFile, Failure> {
    let Ok((_, answers)) = read(context, file) else { return Ok(PemFile::certificates(file)?) };
    let own = read(context, &renewal_path(home)).ok().and_then(|(requests, _)| requests.into_iter().next());
    let own = own.map(|request| digest_of(&request));
    let answer = answers.into_iter().find(|answer| own.is_some_and(|own| answer.request_digest == own[..]));
    match answer {
        None => {
            Err(Failure::usage(format!("{} holds no answer to the request of this home", file.display())))
        }
        Some(answer) if answer.bundle.is_empty() => {
            Err(Failure::usage(format!("the authority refused: {}", answer.refusal)))
        }
        Some(answer) => Ok(PemFile::new(file.display().to_string(), answer.bundle.to_vec())),
    }
}

/// What a file of renewals holds.
pub(super) type Held = (Vec<bytes::Bytes>, Vec<crate::wire::proto::RenewalAnswer>);

/// Reads a file of renewals.
///
/// # Errors
/// Usage: it is none.
pub(super) fn read(context: &Context, path: &Path) -> Result<Held, Failure> {
    let bytes = context.disk.read(path, FILE_BYTES_MAX);
    let bytes = bytes.map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    Ok(renewal::read_file(&path.display().to_string(), &bytes)?)
}

/// Writes a file of renewals.
///
/// # Errors
/// A fault of the disk.
pub(super) fn write(context: &Context, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = context.disk.write_atomically(path, bytes);
    written.map_err(|error| Failure::new(Exit::Fault, format!("cannot write {}: {error}", path.display())))
}

impl From<RenewalError> for Failure {
    fn from(error: RenewalError) -> Self {
        Self::usage(error.to_string())
    }
}
