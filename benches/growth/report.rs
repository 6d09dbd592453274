//! The table: a line for each measure, a column for each size, and how often more the last is than the first.

use std::fmt::Write as _;

use crate::size::{Size, Start, ratio};

/// A start may take this long beside sled's own opening, in seconds.
const START_GOAL_S: f64 = 2.0;
/// What the hub may take of the memory, in MiB.
const MEMORY_GOAL_MIB: f64 = 150.0;
const MIB: f64 = 1024.0 * 1024.0;

/// One of a size's starts.
type Started = fn(&Size) -> &Start;

/// Makes the table, in Markdown.
pub(crate) fn table(sizes: &[Size]) -> String {
    let mut text = String::from("| messages stored |");
    for size in sizes {
        let _ = write!(text, " {} |", size.messages);
    }
    text.push_str(" × | goal |\n|---|");
    text.push_str(&"---:|".repeat(sizes.len() + 1));
    text.push_str("---|\n");
    let mut row = |name: &str, digits: usize, goal: Option<(f64, &str)>, value: &dyn Fn(&Size) -> f64| {
        let values: Vec<f64> = sizes.iter().map(value).collect();
        let _ = write!(text, "| {name} |");
        for value in &values {
            let _ = write!(text, " {value:.digits$} |");
        }
        let times = values.last().zip(values.first()).map_or(f64::NAN, |(last, first)| last / first);
        let most = values.iter().copied().fold(0.0, f64::max);
        let goal = goal.map(|(goal, unit)| {
            format!("≤ {goal:.0} {unit} {}", if most <= goal { "met" } else { "missed" })
        });
        let _ = writeln!(text, " {times:.2} | {} |", goal.unwrap_or_default());
    };
    row("64 callers by stream: messages/s", 0, None, &|it| it.per_s);
    row("their confirm p50, ms", 3, None, &|it| it.confirm.p50_ms);
    row("their confirm p99, ms", 3, None, &|it| it.confirm.p99_ms);
    row("sync of 1 KiB beside one caller, p50, ms", 3, None, &|it| it.sync.p50_ms);
    row("one caller: confirm p50, ms", 3, None, &|it| it.alone_confirm.p50_ms);
    row("its end to end p50, ms", 3, None, &|it| it.alone_end_to_end.p50_ms);
    row("messages outstanding when an office comes back", 0, None, &|it| ratio(it.caught_up, 1.0));
    row("until it has acknowledged all, s", 2, None, &|it| it.caught_up_s);
    row("that is messages/s", 0, None, &|it| ratio(it.caught_up, it.caught_up_s));
    row("clean stop, s", 2, None, &|it| it.stop_s);
    let starts: [(&str, bool, Started); 3] = [
        ("start after a clean stop", true, |it| &it.clean),
        ("start after SIGKILL", false, |it| &it.killed),
        ("start without a ledger", false, |it| &it.rebuilt),
    ];
    for (name, bound, of) in starts {
        row(&format!("{name}: sled's own opening, s"), 2, None, &|it| of(it).sled_s);
        let goal = bound.then_some((START_GOAL_S, "s"));
        row(&format!("{name}: all the rest, s"), 2, goal, &|it| of(it).rest_s());
    }
    row("entries of the journal at the end", 0, None, &|it| ratio(it.entries, 1.0));
    row("rebuild of the ledger: entries/s", 0, None, &|it| ratio(it.entries, it.rebuilt.ledger_s));
    row("`hub verify`, s", 2, None, &|it| it.verify_s);
    let memory = Some((MEMORY_GOAL_MIB, "MiB"));
    row("memory when it is filled, MiB", 0, memory, &|it| it.filled.resident_mib);
    row("at most until then, MiB", 0, memory, &|it| it.filled.peak_mib);
    row("memory after the catch-up, MiB", 0, memory, &|it| it.after_catch_up.resident_mib);
    row("at most until then, MiB", 0, memory, &|it| it.after_catch_up.peak_mib);
    for (name, _, of) in starts {
        row(&format!("memory after a {name}, MiB"), 0, memory, &|it| of(it).usage.resident_mib);
        row("at most until then, MiB", 0, memory, &|it| of(it).usage.peak_mib);
    }
    row("bytes written to the journal over payload", 2, None, &|it| {
        ratio(it.journal_bytes, it.payload_bytes())
    });
    row("journal on disk, with room for what comes, MiB", 0, None, &|it| ratio(it.journal_disk_bytes, MIB));
    row("ledger on disk as it grew, over payload", 2, None, &|it| {
        ratio(it.ledger_disk_bytes, it.payload_bytes())
    });
    row("ledger on disk when built anew, over payload", 2, None, &|it| {
        ratio(it.ledger_rebuilt_bytes, it.payload_bytes())
    });
    text
}
