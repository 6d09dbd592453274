//! This machine's clock beside the hub's.
//!
//! Owns from when on somebody is told that one of them is wrong. Decides nothing by it: order and deadlines are the hub's to say.

use crate::model::id::UnixMicros;

/// How far they may be from each other without a word: more than an answer takes on any line.
const CLOCK_OFF_US: u64 = 5 * 60 * 1_000_000;

/// Says that one of two clocks is wrong.
pub(super) fn remark(now: UnixMicros, hub: UnixMicros) -> Option<String> {
    let minutes = now.0.abs_diff(hub.0) / 60_000_000;
    let far = match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", (minutes + 720) / 1_440),
    };
    let way = if now > hub { "ahead of" } else { "behind" };
    (now.0.abs_diff(hub.0) > CLOCK_OFF_US).then(|| {
        format!(
            "this machine's clock is {far} {way} the hub's: what is written here bears its time, so set the clock, or tell whoever runs \
             the hub. The hub's time counts for order and deadlines"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_that_is_far_from_the_hubs_is_told_as_people_say_it() {
        let told = |now: u64, hub: u64| remark(UnixMicros(now * 1_000_000), UnixMicros(hub * 1_000_000));
        assert_eq!((told(1_000, 1_300), told(1_300, 1_000)), (None, None));
        for (now, hub, words) in [
            (0, 301, "5 minutes behind the hub's"),
            (7_199, 0, "119 minutes ahead of the hub's"),
            (0, 172_799, "47 hours behind the hub's"),
            (86_400 * 366, 86_400, "365 days ahead of the hub's"),
        ] {
            assert!(told(now, hub).is_some_and(|told| told.contains(words)), "{words}");
        }
    }
}
