//! The tables: what was measured, medians over the rounds; who syncs when; and ours over theirs, beside the goals.

use std::fmt::Write as _;

use crate::bars::{Bar, Panel};
use crate::common::callers::Mode;
use crate::common::latency::{Quantiles, median};
use crate::contest::{ALL, Contestant};
use crate::nats::Acks;
use crate::point::{Content, Measured};
use crate::syncs::Syncs;
use crate::{All, Looked, Turn, bulk};

const CALLS: Contestant = Contestant::Ours(Content::Opaque, Mode::Calls);
const STREAM: Contestant = Contestant::Ours(Content::Opaque, Mode::Stream);
const SIGNED: Contestant = Contestant::Ours(Content::Signed, Mode::Stream);
/// An urgent alert's p99 end to end beside bulk, at most this many times that beside nothing.
const BESIDE_BULK_GOAL: f64 = 2.0;
/// Of NATS the one of its two that costs less.
const PEERS: [Contestant; 3] = [Contestant::Redis, Contestant::Nats(Acks::Sent), Contestant::Rabbit];

/// What was measured of one of them with so many callers, in each round.
struct Rows<'a>(&'a [Vec<Turn>]);

impl Rows<'_> {
    fn turn(round: &[Turn], contestant: Contestant, callers: u32) -> Option<&Turn> {
        round.iter().find(|turn| turn.contestant == contestant && turn.callers == callers)
    }

    /// Gives a value of each round in which it was measured.
    fn each(&self, contestant: Contestant, callers: u32, value: impl Fn(&Turn) -> f64) -> Vec<f64> {
        self.0.iter().filter_map(|round| Self::turn(round, contestant, callers)).map(value).collect()
    }
}

/// Makes the tables, in Markdown.
pub(crate) fn tables(all: &All) -> String {
    let All { looked, rounds, bulk } = all;
    if !bulk.is_empty() {
        return bulk_table(bulk);
    }
    let mut text = syncs_table(looked);
    text.push_str(&measured_table(rounds));
    text.push_str(&ratios_table(rounds, looked));
    text
}

/// Each round's ratios are to the same exchange's alerts beside nothing.
fn bulk_table(rounds: &[Vec<bulk::Measured>]) -> String {
    let mut text = String::from(
        "| | urgent alerts beside | MiB/s of it | confirm p50 / p99 ms | end to end p50 / p99 ms | p99 × that beside nothing \
         (each round) | goal |\n|---|---|---:|---:|---:|---:|---|\n",
    );
    let mut phases: Vec<_> = rounds.iter().flatten().map(|it| (&it.name, &it.beside, it.ours)).collect();
    phases.sort_by(|one, other| (one.2, one.0).cmp(&(other.2, other.0)));
    phases.dedup();
    for (name, beside, ours) in phases {
        let found = |round: &[bulk::Measured], beside: &str| {
            round.iter().find(|it| it.name == *name && it.beside == beside).cloned()
        };
        let each: Vec<_> = rounds
            .iter()
            .filter_map(|round| Some((found(round, beside)?, found(round, "nothing")?)))
            .collect();
        let of = |value: fn(&bulk::Measured) -> f64| median(each.iter().map(|(it, _)| value(it)));
        let ratios: Vec<f64> =
            each.iter().map(|(it, idle)| it.end_to_end.p99_ms / idle.end_to_end.p99_ms).collect();
        let times = median(ratios.iter().copied());
        let goal = match (ours, beside.as_str()) {
            (true, beside) if beside != "nothing" => {
                format!("≤ {BESIDE_BULK_GOAL} {}", if times <= BESIDE_BULK_GOAL { "met" } else { "missed" })
            }
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "| {name} | {beside} | {:.1} | {:.3} / {:.3} | {:.3} / {:.3} | {times:.2} ({}) | {goal} |",
            of(|it| it.bulk_per_s / 1024.0 / 1024.0),
            of(|it| it.confirm.p50_ms),
            of(|it| it.confirm.p99_ms),
            of(|it| it.end_to_end.p50_ms),
            of(|it| it.end_to_end.p99_ms),
            ratios.iter().map(|it| format!("{it:.2}")).collect::<Vec<_>>().join(" ")
        );
    }
    text
}

fn syncs_table(looked: &Looked) -> String {
    if looked.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "| | publishes synced before they are confirmed | syncs a message | acknowledgements synced before they are confirmed | \
         syncs more, for a message's six |\n|---|---|---:|---|---:|\n",
    );
    for (contestant, Syncs { publishes, acknowledgements, confirmed }) in looked {
        let yes = |percent: f64| match percent {
            99.0.. => "yes".to_owned(),
            ..=0.0 => "no".to_owned(),
            percent => format!("{percent:.0} % of them"),
        };
        let acknowledged = match confirmed {
            true => yes(acknowledgements.before_percent),
            false => format!("never confirmed; {:.0} % synced within 50 ms", acknowledgements.before_percent),
        };
        let name = if contestant.is_peer() { contestant.to_string() } else { "ours".to_owned() };
        let _ = writeln!(
            text,
            "| {name} | {} | {:.1} | {acknowledged} | {:.1} |",
            yes(publishes.before_percent),
            publishes.a_message,
            acknowledgements.a_message
        );
    }
    text.push('\n');
    text
}

fn measured_table(rounds: &[Vec<Turn>]) -> String {
    let turns = || rounds.iter().flatten();
    let of = |value: fn(&Turn) -> f64| median(turns().map(value));
    let mut text = format!(
        "L = {:.3} ms: sync p50 {:.3} (p99 {:.3}), echo p50 {:.3} (p99 {:.3}); medians of {} probes.\n\n\
         | | callers | messages/s (each round) | confirm p50 / p99 / p99.9 ms | end to end p50 / p99 / p99.9 ms | \
         server CPU s per 1,000 | clients' | server memory at most, MiB |\n|---|---:|---:|---:|---:|---:|---:|---:|\n",
        of(|it| it.limit.ms()),
        of(|it| it.limit.sync.p50_ms),
        of(|it| it.limit.sync.p99_ms),
        of(|it| it.limit.echo.p50_ms),
        of(|it| it.limit.echo.p99_ms),
        turns().count()
    );
    let mut callers: Vec<u32> = turns().map(|turn| turn.callers).collect();
    callers.sort_unstable();
    callers.dedup();
    for contestant in ALL {
        for &callers in &callers {
            text.push_str(&row(contestant, callers, &Rows(rounds)));
        }
    }
    text
}

fn row(contestant: Contestant, callers: u32, rows: &Rows<'_>) -> String {
    let each = |value: fn(&Measured) -> f64| rows.each(contestant, callers, |turn| value(&turn.measured));
    let of = |value: fn(&Measured) -> f64| median(each(value).into_iter());
    let three = |quantiles: fn(&Measured) -> Quantiles| {
        let of = |value: fn(&Quantiles) -> f64| {
            median(rows.each(contestant, callers, |turn| value(&quantiles(&turn.measured))).into_iter())
        };
        format!("{:.3} / {:.3} / {:.3}", of(|it| it.p50_ms), of(|it| it.p99_ms), of(|it| it.p999_ms))
    };
    let rates = each(|it| it.per_s);
    if rates.is_empty() {
        return String::new();
    }
    format!(
        "| {contestant} | {callers} | {:.0} ({}) | {} | {} | {:.3} | {:.3} | {:.0} |\n",
        of(|it| it.per_s),
        rates.iter().map(|rate| format!("{rate:.0}")).collect::<Vec<_>>().join(" "),
        three(|it| it.confirm),
        three(|it| it.end_to_end),
        of(|it| it.cpu_s_per_1000),
        of(|it| it.clients_cpu_s_per_1000),
        of(|it| it.peak_mib)
    )
}

/// A goal: ours over theirs, in each round.
struct Ratio {
    name: String,
    ours: Contestant,
    callers: u32,
    value: fn(&Turn) -> f64,
    theirs: Theirs,
    goal: Goal,
}

/// What ours is held to.
#[derive(Clone, Copy)]
enum Theirs {
    Redis,
    /// The least of those who sync before they confirm.
    Best,
    Median,
    /// The limit of the machine, just before.
    L,
}

#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

fn goals() -> Vec<Ratio> {
    let per_s: fn(&Turn) -> f64 = |it| it.measured.per_s;
    let cpu: fn(&Turn) -> f64 = |it| it.measured.cpu_s_per_1000;
    let memory: fn(&Turn) -> f64 = |it| it.measured.peak_mib;
    let confirm: fn(&Turn) -> f64 = |it| it.measured.confirm.p50_ms;
    let end_to_end: fn(&Turn) -> f64 = |it| it.measured.end_to_end.p50_ms;
    let goal = |name: &str, (ours, callers), value, theirs, goal| Ratio {
        name: name.to_owned(),
        ours,
        callers,
        value,
        theirs,
        goal,
    };
    vec![
        goal("end to end p50", (CALLS, 1), end_to_end, Theirs::Best, Goal::AtMost(0.6)),
        goal("messages/s", (CALLS, 64), per_s, Theirs::Redis, Goal::AtLeast(1.4)),
        goal("messages/s", (STREAM, 64), per_s, Theirs::Redis, Goal::AtLeast(4.0)),
        goal("messages/s", (SIGNED, 64), per_s, Theirs::Redis, Goal::AtLeast(0.8)),
        goal("server CPU a message", (CALLS, 64), cpu, Theirs::Best, Goal::AtMost(0.8)),
        goal("server CPU a message", (STREAM, 64), cpu, Theirs::Best, Goal::AtMost(0.5)),
        goal("server memory at most", (CALLS, 64), memory, Theirs::Median, Goal::AtMost(1.0)),
        goal("server memory at most", (STREAM, 64), memory, Theirs::Median, Goal::AtMost(1.0)),
        goal("confirm p50", (CALLS, 1), confirm, Theirs::L, Goal::AtMost(1.6)),
        goal("end to end p50", (CALLS, 1), end_to_end, Theirs::L, Goal::AtMost(1.75)),
    ]
}

fn ratios_table(rounds: &[Vec<Turn>], looked: &Looked) -> String {
    let mut text = String::from(
        "\n| ours | callers | | over | ratio (each round) | goal |\n|---|---:|---|---|---:|---|\n",
    );
    for ratio in goals() {
        let ratios: Vec<f64> = rounds.iter().filter_map(|round| ratio.of(round, looked)).collect();
        if ratios.is_empty() {
            continue;
        }
        let of = median(ratios.iter().copied());
        let (sign, goal, met) = match ratio.goal {
            Goal::AtMost(goal) => ("≤", goal, of <= goal),
            Goal::AtLeast(goal) => ("≥", goal, of >= goal),
        };
        let theirs = match ratio.theirs {
            Theirs::Redis => "Redis, unsigned",
            Theirs::Best => "the best of those who sync",
            Theirs::Median => "the median of the three",
            Theirs::L => "L",
        };
        let each = ratios.iter().map(|it| format!("{it:.2}")).collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            text,
            "| {} | {} | {} | {theirs} | {of:.2} ({each}) | {sign} {goal} {} |",
            ratio.ours,
            ratio.callers,
            ratio.name,
            if met { "met" } else { "missed" }
        );
    }
    text
}

impl Ratio {
    /// Works it out of one round; `None` where something was not measured.
    fn of(&self, round: &[Turn], looked: &Looked) -> Option<f64> {
        let ours = Rows::turn(round, self.ours, self.callers)?;
        let their = |peer| Rows::turn(round, peer, self.callers).map(self.value);
        // Who was not looked at is taken for one who syncs.
        let syncs = |peer: &Contestant| {
            looked.iter().find(|(it, _)| it == peer).is_none_or(|(_, it)| it.publishes_first())
        };
        let theirs = match self.theirs {
            Theirs::Redis => their(Contestant::Redis)?,
            Theirs::Best => PEERS.into_iter().filter(syncs).filter_map(their).min_by(f64::total_cmp)?,
            Theirs::Median => {
                let all: Vec<f64> = PEERS.into_iter().filter_map(their).collect();
                (!all.is_empty()).then(|| median(all.into_iter()))?
            }
            Theirs::L => ours.limit.ms(),
        };
        Some((self.value)(ours) / theirs)
    }
}

/// What the chart shows.
pub(crate) fn panels(rounds: &[Vec<Turn>]) -> Vec<Panel> {
    let panel = |title, digits, callers, value: fn(&Turn) -> f64| {
        let bar = |contestant: Contestant| {
            let values = Rows(rounds).each(contestant, callers, value);
            let of = || Bar {
                name: contestant.to_string(),
                ours: !contestant.is_peer(),
                value: median(values.iter().copied()),
            };
            (!values.is_empty()).then(of)
        };
        Panel { title, digits, bars: ALL.into_iter().filter_map(bar).collect() }
    };
    vec![
        panel("messages a second, 64 callers", 0, 64, |it| it.measured.per_s),
        panel("end to end p50, ms, one caller", 2, 1, |it| it.measured.end_to_end.p50_ms),
        panel("server's processor seconds for 1,000 messages, 64 callers", 3, 64, |it| {
            it.measured.cpu_s_per_1000
        }),
        panel("server's memory at most, MiB, 64 callers", 0, 64, |it| it.measured.peak_mib),
    ]
}
