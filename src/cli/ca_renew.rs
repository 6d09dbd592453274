//! `ca renew`: the next certificates of those who have one, away from the hub.
//!
//! Owns what the person who signs is shown and asked, one by one. Never signs what the register does not bear out.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::ca::CERTIFICATE_DAYS;
use super::context::Context;
use super::exit::Failure;
use super::renewals;
use super::screen::{Tone, harmless, read_out, utc};
use crate::ca::Authority;
use crate::wire::proto::RenewalAnswer;
use crate::wire::renewal::{self, Renewal};

/// `ca renew`
#[derive(Debug, Args)]
pub struct Renew {
    /// The requests, as `resguardo office renewals --to` or `resguardo office request` wrote them.
    requests: PathBuf,
    /// Where to write the answers, for `resguardo office renewals --answer`.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Sign all that the register bears out, without a question for each.
    #[arg(long)]
    yes: bool,
    /// How long the next certificates are valid.
    #[arg(long, value_name = "DAYS", default_value_t = CERTIFICATE_DAYS, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
}

impl Renew {
    /// Does it.
    ///
    /// # Errors
    /// Usage: a file that is none of renewals, or nobody to ask; a fault of the disk.
    pub(super) fn run(&self, context: &Context, authority: &mut Authority) -> Result<(), Failure> {
        let (requests, _) = renewals::read(context, &self.requests)?;
        if !self.yes && !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "nobody is here to be asked for each certificate: say --yes to sign all that the register bears out",
            ));
        }
        let mut answers = Vec::new();
        for bytes in &requests {
            match Renewal::read(bytes) {
                Ok(asked) => answers.extend(self.answer(context, authority, &asked)?),
                // It does not say whom to answer.
                Err(error) => {
                    context
                        .screen
                        .aside(Tone::Bad, &format!("passed over: {}", harmless(&error.to_string())));
                }
            }
        }
        let count = answers.len();
        renewals::write(context, &self.to, &renewal::file(Vec::new(), answers))?;
        let words = format!(
            "{count} of {} answered. Carry {} back: resguardo office renewals --answer {1}",
            requests.len(),
            self.to.display()
        );
        context.screen.line(&words)?;
        Ok(())
    }

    /// Answers one; `None`: the person who signs left it unanswered.
    fn answer(
        &self,
        context: &Context,
        authority: &mut Authority,
        asked: &Renewal,
    ) -> Result<Option<RenewalAnswer>, Failure> {
        let (screen, now) = (&context.screen, context.clock.now());
        screen.line(&format!("for          {}", asked.identity))?;
        screen.line(&format!(
            "follows      {}, until {}",
            asked.certificate.serial,
            screen.time(asked.certificate.not_after)
        ))?;
        screen.line(&read_out("new key      ", asked.request.fingerprint()))?;
        let answer = |bundle: String, refusal: String| RenewalAnswer {
            identity: asked.identity.to_string(),
            request_digest: asked.digest.to_vec().into(),
            bundle: bundle.into(),
            refusal,
        };
        if let Err(refusal) = authority.check_renewal(asked, now) {
            screen.aside(Tone::Bad, &format!("refused: {refusal}"));
            screen.object(&json!({ "object": "refused", "identity": asked.identity.to_string(), "message": refusal.to_string() }))?;
            return Ok(Some(answer(String::new(), refusal.to_string())));
        }
        if !self.yes && !is_confirmed(context)? {
            screen.line("left unanswered\n")?;
            return Ok(None);
        }
        let bundle = match authority.renew(asked, self.days, now, context.random.as_ref())? {
            Ok(bundle) => bundle,
            Err(refusal) => return Ok(Some(answer(String::new(), refusal.to_string()))),
        };
        let certificate = &bundle.certificate;
        screen.line(&format!(
            "signed       {}, until {}\n",
            certificate.serial,
            screen.time(certificate.not_after)
        ))?;
        screen.object(&json!({
            "object": "signed",
            "identity": asked.identity.to_string(),
            "serial": certificate.serial.to_string(),
            "key": certificate.key.to_string(),
            "certificate": certificate.fingerprint.to_string(),
            "authority": authority.fingerprint().to_string(),
            "not_after": utc(certificate.not_after),
            "bundle": self.to.display().to_string(),
        }))?;
        Ok(Some(answer(bundle.pem, String::new())))
    }
}

fn is_confirmed(context: &Context) -> Result<bool, Failure> {
    context.screen.aside(Tone::Warning, "Sign it? Type yes:");
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim().eq_ignore_ascii_case("yes"))
}
