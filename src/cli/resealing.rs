//! Cards of resealings: who asks for what, and who gave what opens it.
//!
//! Owns these words. Never opens, never answers.

use super::context::Context;
use super::exit::{Exit, Failure};
use super::inbox::short;
use super::screen::{Tone, harmless, toned};
use super::show::field;
use crate::desk::home::Home;
use crate::desk::opener::Clear;
use crate::desk::reseal::answers::Resealed;
use crate::model::envelope::Envelope;
use crate::wire::reseal::ResealContent;

/// Says of a message that its own office's keys do not open it, and by whose word it is open.
pub(super) fn sealed_again(context: &Context, resealed: &Resealed) -> Result<(), Failure> {
    let Resealed { by, at, answer, request, .. } = resealed;
    let words =
        format!("by {by} on {}, with message {answer}, on request {request}", context.screen.time(*at));
    field(context, "Resealed", &toned(Tone::Warning, &words))
}

/// The rest of the card of a resealing.
///
/// # Errors
/// Integrity: it is not of its form.
pub(super) fn card(
    context: &Context,
    home: &Home,
    envelope: &Envelope,
    clear: &Clear,
) -> Result<(), Failure> {
    let said = ResealContent::read(&clear.0).map_err(|refusal| {
        let words = format!("the resealing cannot be read: {}. It is kept as it came", refusal.message);
        Failure::new(Exit::Integrity, words)
    })?;
    let Some(about) = &envelope.about else {
        return Err(Failure::new(Exit::Fault, "a resealing is about no message"));
    };
    field(context, "About", &format!("{} of {}", about.message_id, about.office))?;
    let sender = &envelope.sender.office;
    match said {
        ResealContent::Request { why } => {
            let line = format!("{sender} cannot open that message, and asks for what opens it.");
            context.screen.line(&toned(Tone::Warning, &line))?;
            field(context, "Why", &if why.is_empty() { "(not said)".to_owned() } else { harmless(&why) })?;
            if home.desk().is_ok_and(|desk| desk.office == about.office) {
                let id = short(&about.message_id.to_string());
                let words = format!(
                    "To give it, once you have compared the keys of {sender} over another line: resguardo reseal {id} \
                     --for {sender}"
                );
                context.screen.line(&words)?;
            }
        }
        ResealContent::Answer(answer) => {
            field(context, "On request", &answer.request.to_string())?;
            let to: Vec<_> = envelope.offices().map(ToString::to_string).collect();
            let line = format!("{sender} gave {} what opens that message, as it was sent.", to.join(", "));
            context.screen.line(&line)?;
        }
    }
    Ok(())
}
