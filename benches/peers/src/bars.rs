//! The chart: bars for each of those that are measured, in panels with a scale each. Ours are in another colour.

use std::fmt::Write as _;

use crate::common::svg::{self, WIDTH};

const LEFT: f64 = 245.0;
/// Where the longest bar ends: room for its number is after it.
const RIGHT: f64 = 90.0;
const BAR: f64 = 15.0;
const STEP: f64 = 20.0;
const TITLE: f64 = 34.0;
const GAP: f64 = 18.0;

/// Some bars under a title.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    /// Digits after the point.
    pub(crate) digits: usize,
    pub(crate) bars: Vec<Bar>,
}

/// One bar.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) ours: bool,
    pub(crate) value: f64,
}

/// Draws panels, one under the other.
pub(crate) fn draw(panels: &[Panel]) -> String {
    let heights = panels.iter().map(|panel| {
        let count = panel.bars.iter().map(|_| STEP).sum::<f64>();
        TITLE + count + GAP
    });
    let label = panels.iter().map(|panel| panel.title).collect::<Vec<_>>().join("; ");
    let mut svg = svg::begin(heights.sum(), &label);
    let mut y = 0.0;
    for Panel { title, digits, bars } in panels {
        svg::text(&mut svg, 8.0, y + 20.0, "start", title);
        y += TITLE;
        let most = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        for Bar { name, ours, value } in bars {
            let width = (WIDTH - LEFT - RIGHT) * value / most;
            let class = if *ours { "ours" } else { "theirs" };
            svg::text(&mut svg, LEFT - 8.0, y + 12.0, "end", name);
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>"
            );
            svg::text(&mut svg, LEFT + width + 6.0, y + 12.0, "start", &format!("{value:.digits$}"));
            y += STEP;
        }
        y += GAP;
    }
    svg::end(svg)
}
