//! When what happens in the exchange: messages and receipts of seven offices, checkpoints, rounds of witnesses; second by second.
//!
//! Owns the simulated clock, and the hub's rhythm as `hub::logs` has it. Makes nothing that is signed.

use resguardo::desk::session::WITNESS_EVERY;
use resguardo::host::random::SeededRandom;

/// Seconds of a day.
pub(crate) const DAY_S: u64 = 86_400;
/// Recipients of each message: all offices but its own.
pub(crate) const RECIPIENTS: u32 = 6;
/// Between two looks of a desk.
pub(crate) const LOOK_S: u64 = WITNESS_EVERY.as_secs();
/// Between two checkpoints at least.
const CHECKPOINT_EVERY_S: u64 = 5;
/// Between two rounds of witnesses, where nothing is urgent.
const ROUND_EVERY_S: u64 = 600;
/// A person states `read` so many seconds after a message came, at random: the first and the last.
const READ_AFTER_S: (u64, u64) = (60, 4 * 3_600);
/// A person states `acted` as many seconds later again.
const ACTED_AFTER_S: (u64, u64) = (600, 8 * 3_600);

/// What the exchange is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) days: u64,
    pub(crate) messages_a_day: u64,
    /// One of so many messages is urgent.
    pub(crate) urgent_one_of: u64,
    pub(crate) seed: u64,
}

/// What comes of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Happened {
    pub(crate) messages: u64,
    pub(crate) entries: u64,
    pub(crate) checkpoints: u64,
    /// The second and the size of each round.
    pub(crate) rounds: Vec<(u64, u64)>,
    /// Rounds that began because of an urgent message.
    pub(crate) urgent_rounds: u64,
    /// Looks at which a desk finds another round than at the one before.
    pub(crate) looks_with_a_round: u64,
}

impl Exchange {
    /// Goes through all seconds until the last entry has a checkpoint; `append` is told how many entries each second brings.
    pub(crate) fn run<E>(&self, mut append: impl FnMut(u64) -> Result<(), E>) -> Result<Happened, E> {
        let random = SeededRandom::new(self.seed);
        let seconds = self.days * DAY_S + READ_AFTER_S.1 + ACTED_AFTER_S.1 + CHECKPOINT_EVERY_S + 1;
        let (entries, urgent) =
            self.entries(&random, usize::try_from(seconds).expect("some years of seconds"));
        let mut happened = Happened { messages: self.days * self.messages_a_day, ..Happened::default() };
        let (mut signed, mut next_s, mut next_round_s, mut round, mut seen) = (0, 0, 0, 0, 0);
        let mut newest_urgent = None;
        for ((second, came), urgent) in (0_u64..).zip(entries).zip(urgent) {
            if urgent {
                newest_urgent = Some(happened.entries);
            }
            happened.entries += u64::from(came);
            append(u64::from(came))?;
            if happened.entries > signed && second >= next_s {
                (signed, next_s) = (happened.entries, second + CHECKPOINT_EVERY_S);
                happened.checkpoints += 1;
            }
            let is_urgent = newest_urgent.is_some_and(|index| (round..signed).contains(&index));
            if signed > round && (second >= next_round_s || is_urgent) {
                happened.urgent_rounds += u64::from(second < next_round_s);
                (round, next_round_s) = (signed, second + ROUND_EVERY_S);
                happened.rounds.push((second, round));
            }
            if second % LOOK_S == LOOK_S - 1 && second < self.days * DAY_S {
                happened.looks_with_a_round += u64::from(round > seen);
                seen = round;
            }
        }
        Ok(happened)
    }

    /// How many entries each second brings, and whether an urgent message is among them. Receipts by machines come in the same
    /// second, one from each office, for a desk gathers them for a millisecond; a person's receipt names one message.
    fn entries(&self, random: &SeededRandom, seconds: usize) -> (Vec<u16>, Vec<bool>) {
        let (mut entries, mut urgent) = (vec![0; seconds], vec![false; seconds]);
        let after = |(first, last): (u64, u64)| first + random.below(last - first + 1);
        let at = |second: u64| usize::try_from(second).expect("some years of seconds");
        for number in 0..self.days * self.messages_a_day {
            let second = number / self.messages_a_day * DAY_S + random.below(DAY_S);
            entries[at(second)] += 1 + u16::try_from(RECIPIENTS).expect("few offices");
            urgent[at(second)] |= random.below(self.urgent_one_of) == 0;
            for reader in 0..RECIPIENTS {
                let read = second + after(READ_AFTER_S);
                entries[at(read)] += 1;
                // One office of them does something.
                if reader == 0 {
                    entries[at(read + after(ACTED_AFTER_S))] += 1;
                }
            }
        }
        (entries, urgent)
    }
}

/// Entries of one message: itself, `received` and `read` of each recipient, one `acted`.
pub(crate) const ENTRIES_A_MESSAGE: u64 = 2 + 2 * RECIPIENTS as u64;
