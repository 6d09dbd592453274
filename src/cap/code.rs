//! The code lists of CAP 1.2, section 3.2: each value is the standard's word.

use super::error::Fault;

/// Declares a code list: an enum whose variants are the words of the standard.
macro_rules! code_list {
    ($(#[$list:meta])* $name:ident { $($(#[$word:meta])* $variant:ident,)+ }) => {
        $(#[$list])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$word])* $variant,)+ }

        impl $name {
            /// Every value, in the standard's order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the standard's word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = Fault;

            /// Reads the standard's word, exactly as the standard writes it.
            fn from_str(word: &str) -> Result<Self, Fault> {
                let found = Self::ALL.iter().copied().find(|code| code.as_str() == word);
                found.ok_or_else(|| {
                    let words: Vec<&str> = Self::ALL.iter().map(|code| code.as_str()).collect();
                    Fault::value(word, format!("one of {}", words.join(", ")))
                })
            }
        }
    };
}

code_list! {
    /// How an alert is to be handled.
    Status {
        /// To be acted upon by all.
        Actual,
        /// To be acted upon by those who take part in an exercise.
        Exercise,
        /// For the functions of an alert network itself.
        System,
        /// Technical testing only; to be disregarded.
        Test,
        /// A template or draft; not to be acted upon.
        Draft,
    }
}

code_list! {
    /// What an alert does.
    MsgType {
        /// First information.
        Alert,
        /// Replaces the alerts in `references`.
        Update,
        /// Ends the alerts in `references`.
        Cancel,
        /// Acknowledges the alerts in `references`.
        Ack,
        /// Rejects the alerts in `references`; `note` says why.
        Error,
    }
}

code_list! {
    /// Whom an alert is for.
    Scope {
        /// Anybody.
        Public,
        /// Those whom `restriction` describes.
        Restricted,
        /// Those in `addresses`.
        Private,
    }
}

code_list! {
    /// The kind of event.
    Category {
        /// Geophysical, landslides included.
        Geo,
        /// Meteorological, floods included.
        Met,
        /// General emergency and public safety.
        Safety,
        /// Law enforcement, military, homeland, local and private security.
        Security,
        /// Rescue and recovery.
        Rescue,
        /// Fire suppression and rescue.
        Fire,
        /// Medical and public health.
        Health,
        /// Pollution and other environmental.
        Env,
        /// Public and private transportation.
        Transport,
        /// Utility, telecommunication, other infrastructure.
        Infra,
        /// Chemical, biological, radiological, nuclear or high-yield explosive.
        CBRNE,
        /// Anything else.
        Other,
    }
}

code_list! {
    /// What those concerned should do.
    ResponseType {
        /// Take shelter in place.
        Shelter,
        /// Relocate.
        Evacuate,
        /// Make preparations.
        Prepare,
        /// Execute a planned activity.
        Execute,
        /// Avoid the event.
        Avoid,
        /// Attend to information sources.
        Monitor,
        /// Evaluate what the alert says.
        Assess,
        /// The event no longer is a threat or concern.
        AllClear,
        /// Nothing is recommended.
        None,
    }
}

code_list! {
    /// How soon to act.
    Urgency {
        /// At once.
        Immediate,
        /// Within the next hour.
        Expected,
        /// In the near future.
        Future,
        /// No longer needed.
        Past,
        /// Not known.
        Unknown,
    }
}

code_list! {
    /// How bad the event is.
    Severity {
        /// Extraordinary threat to life or property.
        Extreme,
        /// Significant threat to life or property.
        Severe,
        /// Possible threat to life or property.
        Moderate,
        /// Minimal to no known threat to life or property.
        Minor,
        /// Not known.
        Unknown,
    }
}

code_list! {
    /// How sure the event is.
    Certainty {
        /// Has occurred or is going on.
        Observed,
        /// More likely than not.
        Likely,
        /// Possible, and not more likely than not.
        Possible,
        /// Not expected to occur.
        Unlikely,
        /// Not known.
        Unknown,
    }
}
