//! What a hub does after each answer of an order. Pure: how long to wait between attempts is the hub's.

use super::OrderError;
use crate::model::id::Position;
use crate::model::refusal::{Reason, Refusal};

/// When to come again after a refusal, in milliseconds: a few batches later.
const RETRY_AFTER_MS: u64 = 250;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is in order.
    Done(Position),
    /// Append the same batch again, under the same name.
    Again,
    /// Append it in parts: the first under the same name.
    Split,
    /// Refuse what is in it: none of it was put in order.
    Refuse(Refusal),
}

/// The attempts at putting one batch in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    doubtful: bool,
}

impl Attempt {
    /// Takes in an answer.
    ///
    /// Once an answer was `Ambiguous`, only a position ends it: a refusal or a split after that would disown, or double,
    /// what an earlier attempt may have put in order.
    pub fn answered(&mut self, answer: Result<Position, OrderError>) -> Step {
        let error = match answer {
            Ok(position) => return Step::Done(position),
            Err(error) => error,
        };
        self.doubtful |= error == OrderError::Ambiguous;
        match error {
            _ if self.doubtful => Step::Again,
            OrderError::NotWritten | OrderError::Ambiguous => Step::Again,
            OrderError::TooLarge { .. } => Step::Split,
            OrderError::Unavailable => refuse("the hub cannot put messages in order now"),
            OrderError::Full => refuse("the hub has as much in hand as it may"),
        }
    }
}

fn refuse(what: &str) -> Step {
    let message = format!("{what}: try again in {RETRY_AFTER_MS} ms");
    Step::Refuse(Refusal::new(Reason::Busy, message).retry_after_ms(RETRY_AFTER_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_step() {
        let too_large = OrderError::TooLarge { found: 2, allowed: 1 };
        assert_eq!(Attempt::default().answered(Ok(Position(3))), Step::Done(Position(3)));
        assert_eq!(Attempt::default().answered(Err(OrderError::NotWritten)), Step::Again);
        assert_eq!(Attempt::default().answered(Err(OrderError::Ambiguous)), Step::Again);
        assert_eq!(Attempt::default().answered(Err(too_large)), Step::Split);
        for error in [OrderError::Unavailable, OrderError::Full] {
            let Step::Refuse(refusal) = Attempt::default().answered(Err(error)) else { panic!("{error}") };
            assert_eq!((refusal.reason, refusal.retry_after_ms), (Reason::Busy, Some(RETRY_AFTER_MS)));
        }
    }

    #[test]
    fn after_an_ambiguous_answer_only_a_position_ends_it() {
        let mut attempt = Attempt::default();
        attempt.answered(Err(OrderError::Ambiguous));
        let too_large = OrderError::TooLarge { found: 2, allowed: 1 };
        for error in [OrderError::Full, OrderError::Unavailable, too_large, OrderError::NotWritten] {
            assert_eq!(attempt.answered(Err(error)), Step::Again, "{error}");
        }
        assert_eq!(attempt.answered(Ok(Position(3))), Step::Done(Position(3)));
    }
}
