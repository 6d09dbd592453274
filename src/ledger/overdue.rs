//! What the ledger keeps of a missed deadline and of the hub's clock, and the bytes of each.
//!
//! Owns these shapes; the tags of their fields are part of the format. Never decides what was missed.

use prost::Message;

use super::keys;
use super::log::Record;
use super::rows::office;
use crate::model::id::{Index, UnixMicros};
use crate::model::obligation::{Month, ObligationNumber};
use crate::model::policy::OfficeNumber;
use crate::model::receipt::Stage;

/// A deadline that was missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverdueRow {
    /// Its index.
    pub index: Index,
    /// The hub's time of the entry.
    pub recorded: UnixMicros,
    /// The office that missed it.
    pub office: OfficeNumber,
    /// When it fell due.
    pub due: UnixMicros,
    /// What was missed.
    pub missed: MissedRow,
    /// The offices that are told, ascending.
    pub told: Vec<OfficeNumber>,
}

/// What was missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissedRow {
    /// A stage of a message.
    Stage {
        /// The message.
        message: Index,
        /// The stage.
        stage: Stage,
    },
    /// The answer to a message.
    FollowUp {
        /// The message.
        message: Index,
        /// The obligation that asks for it.
        obligation: ObligationNumber,
    },
    /// What is owed in each month.
    Month {
        /// The obligation.
        obligation: ObligationNumber,
        /// The month.
        month: Month,
    },
}

impl MissedRow {
    /// The message, if there is one.
    pub fn message(self) -> Option<Index> {
        match self {
            Self::Stage { message, .. } | Self::FollowUp { message, .. } => Some(message),
            Self::Month { .. } => None,
        }
    }
}

/// A record of the hub's clock that counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockRow {
    /// Its index.
    pub index: Index,
    /// What the clock should have shown and what it showed; `None`: it was confirmed.
    pub suspended: Option<(UnixMicros, UnixMicros)>,
}

impl Record for OverdueRow {
    const LETTER: u8 = keys::OVERDUE;

    fn index(&self) -> Index {
        self.index
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (stage, obligation, month) = match self.missed {
            MissedRow::Stage { stage, .. } => (stage as i32, None, None),
            MissedRow::FollowUp { obligation, .. } => (0, Some(obligation), None),
            MissedRow::Month { obligation, month } => (0, Some(obligation), Some(month)),
        };
        let bytes = OverdueBytes {
            recorded: self.recorded.0,
            office: self.office.0.into(),
            due: self.due.0,
            message: self.missed.message().map(|index| index.0),
            stage,
            told: self.told.iter().map(|office| office.0.into()).collect(),
            obligation: obligation.map(|it| it.0.into()),
            month: month.map(|month| month.0),
        };
        bytes.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = OverdueBytes::decode(bytes).map_err(|error| error.to_string())?;
        let obligation = it.obligation.map(u16::try_from).transpose().map_err(|error| error.to_string())?;
        let missed = match (it.message.map(Index), obligation.map(ObligationNumber), it.month.map(Month)) {
            (Some(message), None, None) => {
                MissedRow::Stage { message, stage: Stage::from_number(it.stage).ok_or("no stage")? }
            }
            (Some(message), Some(obligation), None) => MissedRow::FollowUp { message, obligation },
            (None, Some(obligation), Some(month)) => MissedRow::Month { obligation, month },
            _ => return Err("nothing that can be missed".into()),
        };
        Ok(Self {
            index,
            recorded: UnixMicros(it.recorded),
            office: office(it.office)?,
            due: UnixMicros(it.due),
            missed,
            told: it.told.into_iter().map(office).collect::<Result<_, _>>()?,
        })
    }
}

impl Record for ClockRow {
    const LETTER: u8 = keys::CLOCK;

    fn index(&self) -> Index {
        self.index
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let (expected, found) = self.suspended.map(|(expected, found)| (expected.0, found.0)).unzip();
        ClockBytes { expected, found }.encode_raw(out);
    }

    fn decode(index: Index, bytes: &[u8]) -> Result<Self, String> {
        let it = ClockBytes::decode(bytes).map_err(|error| error.to_string())?;
        Ok(Self { index, suspended: it.expected.map(UnixMicros).zip(it.found.map(UnixMicros)) })
    }
}

#[derive(Clone, PartialEq, Message)]
struct OverdueBytes {
    #[prost(uint64, tag = "1")]
    recorded: u64,
    #[prost(uint32, tag = "2")]
    office: u32,
    #[prost(uint64, tag = "3")]
    due: u64,
    #[prost(uint64, optional, tag = "4")]
    message: Option<u64>,
    #[prost(int32, tag = "5")]
    stage: i32,
    #[prost(uint32, repeated, tag = "6")]
    told: Vec<u32>,
    #[prost(uint32, optional, tag = "7")]
    obligation: Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    month: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct ClockBytes {
    #[prost(uint64, optional, tag = "1")]
    expected: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    found: Option<u64>,
}
