//! The curve as a plain SVG: messages a second, and the hub's memory, over the messages stored. Readable on light and
//! on dark ground.

use std::fmt::Write as _;

use crate::common::svg::{self, WIDTH};
use crate::size::{Filled, ratio};

const PANEL: f64 = 170.0;
const LEFT: f64 = 90.0;
const TOP: f64 = 34.0;
const GAP: f64 = 56.0;
/// Lines across a panel, beside its ground.
const STEPS: u64 = 4;

/// Draws the points of a filling.
pub(crate) fn draw(curve: &[Filled]) -> String {
    let most = curve.last().map_or(1, |point| point.messages);
    let height = TOP + 2.0 * PANEL + GAP + 44.0;
    let mut svg = svg::begin(height, "Messages a second and memory of the hub over the messages stored");
    panel(&mut svg, TOP, "messages a second", curve, most, |point| point.per_s);
    panel(&mut svg, TOP + PANEL + GAP, "memory of the hub, MiB", curve, most, |point| point.resident_mib);
    let ground = TOP + 2.0 * PANEL + GAP;
    for step in 0..=STEPS {
        let x = LEFT + (WIDTH - LEFT - 40.0) * ratio(step, ratio(STEPS, 1.0));
        svg::text(&mut svg, x, ground + 18.0, "middle", &(most * step / STEPS).to_string());
    }
    svg::text(&mut svg, LEFT + (WIDTH - LEFT - 40.0) / 2.0, ground + 38.0, "middle", "messages stored");
    svg::end(svg)
}

fn panel(
    svg: &mut String,
    top: f64,
    title: &str,
    curve: &[Filled],
    most: u64,
    value: impl Fn(&Filled) -> f64,
) {
    let scale = round_up(curve.iter().map(&value).fold(1.0, f64::max));
    let width = WIDTH - LEFT - 40.0;
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"{:.1}\">{title}</text>", top - 12.0);
    for step in 0..=STEPS {
        let share = ratio(step, ratio(STEPS, 1.0));
        let y = top + PANEL * (1.0 - share);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}</text>",
            LEFT + width,
            LEFT - 8.0,
            y + 4.0,
            scale * share
        );
    }
    let points = curve.iter().map(|point| {
        let x = LEFT + width * ratio(point.messages, ratio(most, 1.0));
        format!("{x:.1},{:.1}", top + PANEL * (1.0 - value(point) / scale))
    });
    let points = points.collect::<Vec<_>>().join(" ");
    let _ = writeln!(svg, "<polyline class=\"line\" points=\"{points}\"/>");
}

/// The next number of one digit and zeros, 4 at least.
fn round_up(value: f64) -> f64 {
    let magnitude = 10_f64.powf(value.log10().floor());
    ((value / magnitude).ceil() * magnitude).max(4.0)
}
