//! Obligations between the wire and the model.
//!
//! Contains no rules but the form of a field.

use super::convert::{name, number};
use super::proto;
use super::proto::obligation::Duty as Wire;
use crate::model::deadline::Within;
use crate::model::envelope::MessageClass;
use crate::model::identity::Name;
use crate::model::obligation::{Duty, Month, Obligation, Who};
use crate::model::refusal::Refusal;

pub(super) fn read(wire: &proto::Obligation) -> Result<Obligation, Refusal> {
    let who = match (wire.institution.as_str(), wire.offices.as_slice()) {
        ("", []) => {
            return Err(Refusal::field("offices", "an obligation says who owes it; this names nobody"));
        }
        ("", offices) => {
            Who::Offices(offices.iter().map(|office| name("offices", office)).collect::<Result<_, _>>()?)
        }
        (institution, []) => Who::Institution(name("institution", institution)?),
        _ => return Err(Refusal::field("offices", "an institution or offices owe it; both came")),
    };
    let duty = match &wire.duty {
        Some(Wire::Monthly(it)) => Duty::Monthly { grace_days: it.grace_days },
        Some(Wire::FollowUp(it)) => {
            let within = Within::from_seconds(it.within_s);
            Duty::FollowUp { within: within.map_err(|found| Refusal::field("within_s", found))? }
        }
        None => {
            return Err(Refusal::field(
                "duty",
                "an obligation says what is owed; nothing that is known came",
            ));
        }
    };
    Ok(Obligation {
        name: name("name", &wire.name)?,
        who,
        class: number("message_class", wire.message_class, MessageClass::from_number)?,
        stream: name("stream", &wire.stream)?,
        duty,
    })
}

pub(super) fn wire(it: &Obligation) -> proto::Obligation {
    let (institution, offices) = match &it.who {
        Who::Institution(institution) => (institution.to_string(), Vec::new()),
        Who::Offices(offices) => (String::new(), offices.iter().map(Name::to_string).collect()),
    };
    proto::Obligation {
        name: it.name.to_string(),
        institution,
        offices,
        message_class: it.class as i32,
        stream: it.stream.to_string(),
        duty: Some(match it.duty {
            Duty::Monthly { grace_days } => Wire::Monthly(proto::Monthly { grace_days }),
            Duty::FollowUp { within } => Wire::FollowUp(proto::FollowUp { within_s: within.seconds() }),
        }),
    }
}

pub(super) fn month(year: u32, month: u32) -> Result<Month, Refusal> {
    Month::from_parts(year, month).map_err(|found| Refusal::field("month", found))
}
