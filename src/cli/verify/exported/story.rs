//! What an export says, as sentences in a language: the same for a terminal and, but for the figures, for a page.
//!
//! Owns which sentences stand in every form. The figures stand in a list for a terminal; a page has tables of them instead.

use super::words::ExportWords;
use crate::cli::screen::{after, harmless};
use crate::cli::verify::story::{Point, Section, Story, at, at_second, short, witnesses};
use crate::cli::verify::words::{Words, fill};
use crate::evidence::export::{Counts, Exported, OfOffice, Spread};
use crate::model::envelope::MessageClass;
use crate::model::id::UnixMicros;
use crate::model::receipt::Stage;

/// An export, told.
pub(super) struct Told {
    /// What it is.
    pub(super) title: String,
    /// How its times are to be read.
    pub(super) times: &'static str,
    /// Whether it is witnessed.
    pub(super) verdict: String,
    /// What stands before the figures.
    pub(super) proved: Section,
    /// The figures.
    figures: Vec<Section>,
    /// What stands after them.
    pub(super) beside: Section,
    /// Why entries do not count, which is for a terminal alone: it names desks.
    uncounted: Vec<String>,
    /// Who bears witness, and what is not proved.
    pub(super) last: [Section; 2],
}

impl Told {
    /// All of it, for a terminal.
    pub(super) fn all(&self) -> Story {
        let mut sections = vec![self.proved.clone()];
        sections.extend(self.figures.iter().cloned());
        let mut beside = self.beside.clone();
        if let Some(point) = beside.points.last_mut().filter(|_| !self.uncounted.is_empty()) {
            point.under.clone_from(&self.uncounted);
        }
        sections.extend(Some(beside).filter(|it| !it.points.is_empty()));
        sections.extend(self.last.iter().cloned());
        let (title, verdict) = (self.title.clone(), self.verdict.clone());
        Story { title, verdict, warning: None, times: self.times, sections }
    }
}

/// Tells what an export proves.
pub(super) fn told(exported: &Exported, words: &Words, own: &ExportWords) -> Told {
    let section = |heading: &str, points| Section { heading: heading.to_owned(), points };
    let statistics = &exported.statistics;
    let mut figures = vec![section(own.published, published(&statistics.real, own))];
    if !statistics.real.is_empty() {
        figures.push(section(own.came_to, came_to(&statistics.real, words, own)));
    }
    if !statistics.others.is_empty() {
        let points = published(&statistics.others, own).into_iter();
        figures.push(section(own.others, points.chain(came_to(&statistics.others, words, own)).collect()));
    }
    let why = statistics.uncounted.first.iter();
    Told {
        title: fill(own.title, &[&exported.from.to_string(), &(exported.until.0 - 1).to_string()]),
        times: words.times,
        verdict: if exported.is_witnessed() { words.proved } else { words.unwitnessed }.to_owned(),
        proved: section(words.is_proved, proved(exported, words, own)),
        figures,
        beside: section(own.beside, beside(exported, words, own)),
        uncounted: why.map(|(index, why)| fill(own.entry, &[&index.to_string(), &harmless(why)])).collect(),
        last: [
            section(words.witnesses, witnessed(exported, words)),
            section(words.is_not_proved, not_proved(exported, words, own)),
        ],
    }
}

fn proved(exported: &Exported, words: &Words, own: &ExportWords) -> Vec<Point> {
    let statistics = &exported.statistics;
    let (shown, hidden) = (statistics.shown_count().to_string(), statistics.hidden.to_string());
    let mut said = vec![fill(own.whole, &[&exported.entries().to_string()])];
    said.push(match statistics.hidden {
        0 => own.all_shown.to_owned(),
        _ => fill(own.some_hidden, &[&shown, &hidden]),
    });
    if let Some((first, last)) = statistics.recorded {
        said.push(fill(own.recorded, &[&at(first), &at(last)]));
    }
    said.push(match exported.journal.witnessed.reached_at {
        Some(time) => fill(own.not_after, &[&at_second(time)]),
        None => words.no_not_after.to_owned(),
    });
    said.push(own.clock.to_owned());
    said.into_iter().map(Point::from).collect()
}

fn published(counts: &Counts, own: &ExportWords) -> Vec<Point> {
    let mut points = Vec::new();
    for (class, count) in counts.classes() {
        let of_class = counts.published.iter().filter(|((of, _), _)| *of == class);
        let said = fill(own.messages, &[own.class(class), &count.to_string()]);
        let under = of_class.map(|((_, office), count)| format!("{office}: {count}")).collect();
        points.push(Point { said, under });
    }
    if points.is_empty() {
        points.push(own.none_published.to_owned().into());
    }
    points
}

fn came_to(counts: &Counts, words: &Words, own: &ExportWords) -> Vec<Point> {
    let mut points = Vec::new();
    for class in counts.classes().into_keys() {
        points.push(of_office(class, own.all_offices, &counts.of_class(class), (words, own)));
        let offices = counts.offices.iter().filter(|((of, _), _)| *of == class);
        points.extend(offices.map(|((_, office), it)| of_office(class, office.as_str(), it, (words, own))));
    }
    points
}

fn of_office(
    class: MessageClass,
    office: &str,
    it: &OfOffice,
    (words, own): (&Words, &ExportWords),
) -> Point {
    let messages = it.messages.to_string();
    let mut under = Vec::new();
    for stage in Stage::ALL {
        let (name, times) = (short(words.stage(*stage)), it.stage(*stage));
        if let Some([median, p90, longest]) = durations(times) {
            let count = times.count().to_string();
            under.push(fill(own.times, &[name, &count, &messages, &median, &p90, &longest]));
        }
        if it.missed(*stage) > 0 {
            under.push(fill(own.deadlines, &[name, &it.missed(*stage).to_string()]));
        }
    }
    if it.answers_missed > 0 {
        under.push(fill(own.answers, &[&it.answers_missed.to_string()]));
    }
    Point { said: fill(own.for_it, &[own.class(class), office, &messages]), under }
}

/// The median, the ninth of ten and the longest, as people read them.
pub(super) fn durations(times: &Spread) -> Option<[String; 3]> {
    let words = |us: u64| after(UnixMicros(0), UnixMicros(us));
    Some([times.median_us()?, times.p90_us()?, times.longest_us()?].map(words))
}

fn beside(exported: &Exported, words: &Words, own: &ExportWords) -> Vec<Point> {
    let statistics = &exported.statistics;
    let mut said = Vec::new();
    for (office, count) in &statistics.months_missed {
        said.push(fill(own.months, &[office.as_str(), &count.to_string()]));
    }
    if statistics.erasures_ordered > 0 {
        said.push(fill(own.erasures, &[&statistics.erasures_ordered.to_string()]));
    }
    for ((office, stage), count) in &statistics.elsewhere {
        let stage = short(words.stage(*stage));
        said.push(fill(own.elsewhere, &[office.as_str(), stage, &count.to_string()]));
    }
    for (office, count) in &statistics.missed_elsewhere {
        said.push(fill(own.missed_elsewhere, &[office.as_str(), &count.to_string()]));
    }
    if statistics.covers_hidden > 0 {
        said.push(fill(own.covers, &[&statistics.covers_hidden.to_string()]));
    }
    // The last: why stands under it.
    if statistics.uncounted.count > 0 {
        said.push(fill(own.uncounted, &[&statistics.uncounted.count.to_string()]));
    }
    said.into_iter().map(Point::from).collect()
}

fn witnessed(exported: &Exported, words: &Words) -> Vec<Point> {
    let versions = [exported.directory_version, exported.directory_witnessed()];
    witnesses(&exported.journal, versions, &exported.founding, words)
}

fn not_proved(exported: &Exported, words: &Words, own: &ExportWords) -> Vec<Point> {
    let mut said = vec![words.not_understood.to_owned(), own.not_outside.to_owned()];
    if exported.statistics.hidden > 0 {
        said.push(own.not_hidden.to_owned());
    }
    said.extend([
        words.not_content.to_owned(),
        words.not_times.to_owned(),
        words.not_missed.to_owned(),
        fill(words.not_directory, &[&exported.directory_witnessed().0.to_string()]),
    ]);
    said.into_iter().map(Point::from).collect()
}
