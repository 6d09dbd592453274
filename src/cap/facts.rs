//! What the envelope of an alert is made from, and which follow-up counts.
//!
//! Owns the derivation of priority and expiry from the content of an alert. Never decides who may speak for a CAP
//! sender, nor what an expired alert is worth.

use super::alert::{Alert, Info};
use super::code::{MsgType, Scope, Severity, Status, Urgency};
use super::reference::Reference;
use super::value::Sender;

/// In which order messages that wait are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// After all others.
    Low,
    /// In its turn.
    Normal,
    /// Before all others.
    Urgent,
}

/// What the envelope shows of an alert, and what tells whether a follow-up counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// How it is to be handled.
    pub status: Status,
    /// What it does.
    pub msg_type: MsgType,
    /// Whom it is for.
    pub scope: Scope,
    /// In which order it is delivered: see [`priority`].
    pub priority: Priority,
    /// The latest expiry of its info blocks, in microseconds since 1970-01-01T00:00:00Z (0 for any time before);
    /// `None` if one of them has none, or there are none.
    pub expires_unix_micros: Option<u64>,
    /// The earlier messages that it is about.
    pub references: Vec<Reference>,
    /// Who originated it.
    pub sender: Sender,
}

impl Facts {
    /// Derives the facts of an alert.
    pub fn of(alert: &Alert) -> Self {
        let micros =
            |info: &Info| info.expires.as_ref().map(|time| u64::try_from(time.unix_micros()).unwrap_or(0));
        let expires: Option<Vec<u64>> = alert.infos.iter().map(micros).collect();
        Self {
            status: alert.status,
            msg_type: alert.msg_type,
            scope: alert.scope,
            priority: priority(alert),
            expires_unix_micros: expires.and_then(|times| times.into_iter().max()),
            references: alert.references.as_ref().map(|r| r.list().to_vec()).unwrap_or_default(),
            sender: alert.sender.clone(),
        }
    }

    /// Says whether this message updates or cancels `earlier`: it is an Update or a Cancel, of the same CAP sender,
    /// and refers to it. Others' updates and cancels are shown and change nothing.
    ///
    /// A CAP sender is text that anybody can write: that both messages come from the same office is for the caller
    /// to check first.
    pub fn counts_for(&self, earlier: &Reference) -> bool {
        matches!(self.msg_type, MsgType::Update | MsgType::Cancel)
            && self.sender == earlier.sender
            && self.references.iter().any(|reference| reference.names_the_same(earlier))
    }
}

/// Derives how soon an alert must be delivered. What is not said is taken for the worse.
///
/// - A Cancel is urgent: somebody may be acting on the alert that it ends.
/// - Otherwise the most urgent info block decides. A block is urgent if its urgency is Immediate, or its severity is
///   Extreme or Severe with urgency Expected or Unknown. It is low if its urgency is Past and its severity Minor or
///   Unknown. Else it is normal.
/// - An Alert or Update without a block is urgent: it does not say how much time there is. An Error without one is
///   normal, an Ack low.
/// - An Update is never low: what it changes may have been urgent.
///
/// Status changes nothing: an Exercise or a Test that travelled on another road would try another road.
pub fn priority(alert: &Alert) -> Priority {
    let by_info = alert.infos.iter().map(info_priority).max();
    match (alert.msg_type, by_info) {
        (MsgType::Cancel, _) | (MsgType::Alert | MsgType::Update, None) => Priority::Urgent,
        (MsgType::Update, Some(found)) => found.max(Priority::Normal),
        (_, Some(found)) => found,
        (MsgType::Error, None) => Priority::Normal,
        (MsgType::Ack, None) => Priority::Low,
    }
}

/// Derives the priority that one block gives.
fn info_priority(info: &Info) -> Priority {
    match (info.urgency, info.severity) {
        (Urgency::Immediate, _)
        | (Urgency::Expected | Urgency::Unknown, Severity::Extreme | Severity::Severe) => Priority::Urgent,
        (Urgency::Past, Severity::Minor | Severity::Unknown) => Priority::Low,
        _ => Priority::Normal,
    }
}

#[cfg(test)]
mod tests {
    use super::super::import;
    use super::*;

    /// Imports an alert with the given type, references and info blocks.
    fn alert(msg_type: &str, references: &str, infos: &[(&str, &str, &str)]) -> Alert {
        let blocks: Vec<String> = infos
            .iter()
            .map(|(urgency, severity, expires)| {
                format!(
                    "<info><category>Security</category><event>e</event><urgency>{urgency}</urgency><severity>{severity}\
                     </severity><certainty>Likely</certainty>{expires}</info>"
                )
            })
            .collect();
        let document = format!(
            "<alert xmlns='urn:oasis:names:tc:emergency:cap:1.2'><identifier>2</identifier><sender>a@b</sender>\
             <sent>2026-03-02T10:00:00-06:00</sent><status>Actual</status><msgType>{msg_type}</msgType>\
             <scope>Public</scope><references>{references}</references>{}</alert>",
            blocks.concat()
        );
        import(document.as_bytes()).unwrap().alert
    }

    const EARLIER: &str = "a@b,1,2026-03-02T09:14:00-06:00";

    #[test]
    fn most_urgent_block_decides_and_silence_counts_for_the_worse() {
        use Priority::{Low, Normal, Urgent};
        for (msg_type, infos, expected) in [
            ("Alert", &[("Immediate", "Minor", "")][..], Urgent),
            ("Alert", &[("Expected", "Extreme", "")], Urgent),
            ("Alert", &[("Expected", "Severe", "")], Urgent),
            ("Alert", &[("Unknown", "Severe", "")], Urgent),
            ("Alert", &[("Expected", "Moderate", "")], Normal),
            ("Alert", &[("Future", "Extreme", "")], Normal),
            ("Alert", &[("Unknown", "Unknown", "")], Normal),
            ("Alert", &[("Past", "Extreme", "")], Normal),
            ("Alert", &[("Past", "Minor", ""), ("Past", "Unknown", "")], Low),
            ("Alert", &[("Past", "Minor", ""), ("Future", "Minor", "")], Normal),
            ("Alert", &[("Past", "Minor", ""), ("Immediate", "Minor", "")], Urgent),
            ("Alert", &[], Urgent),
            ("Update", &[], Urgent),
            ("Update", &[("Past", "Minor", "")], Normal),
            ("Update", &[("Immediate", "Minor", "")], Urgent),
            ("Cancel", &[], Urgent),
            ("Cancel", &[("Past", "Minor", "")], Urgent),
            ("Error", &[], Normal),
            ("Ack", &[], Low),
        ] {
            assert_eq!(priority(&alert(msg_type, EARLIER, infos)), expected, "{msg_type} {infos:?}");
        }
    }

    #[test]
    fn expiry_is_the_latest_and_none_if_a_block_has_none() {
        let [early, late] = ["2026-03-03T00:00:00-06:00", "2026-03-03T08:00:00+00:00"]
            .map(|time| format!("<expires>{time}</expires>"));
        let expires =
            |infos: &[(&str, &str, &str)]| Facts::of(&alert("Alert", "", infos)).expires_unix_micros;
        assert_eq!(
            expires(&[("Past", "Minor", &late), ("Past", "Minor", &early)]),
            Some(1_772_524_800_000_000),
            "08:00 UTC is later than 06:00 UTC"
        );
        assert_eq!(expires(&[("Past", "Minor", &late), ("Past", "Minor", "")]), None);
        assert_eq!(expires(&[]), None);
        assert_eq!(expires(&[("Past", "Minor", "<expires>0001-01-01T00:00:00+00:00</expires>")]), Some(0));
    }

    #[test]
    fn follow_up_counts_from_the_same_sender_only() {
        let counts = |msg_type: &str, references: &str, earlier: &str| {
            Facts::of(&alert(msg_type, references, &[])).counts_for(&Reference::parse(earlier).unwrap())
        };
        assert!(counts("Update", EARLIER, EARLIER));
        assert!(counts("Cancel", EARLIER, "a@b,1,2026-03-02T15:14:00+00:00"));
        assert!(counts("Cancel", &format!("a@b,0,2026-03-02T09:00:00-06:00 {EARLIER}"), EARLIER));
        assert!(!counts("Ack", EARLIER, EARLIER) && !counts("Error", EARLIER, EARLIER));
        assert!(!counts("Alert", EARLIER, EARLIER));
        assert!(!counts("Cancel", EARLIER, "a@b,2,2026-03-02T09:14:00-06:00"));
        let of_another = "x@y,1,2026-03-02T09:14:00-06:00";
        assert!(!counts("Cancel", of_another, of_another), "the follow-up's sender is a@b");
    }
}
