//! Plain drawings, readable on light and on dark ground: how they begin, how they end, and steps of a scale.

use std::fmt::Write as _;

/// Units across a drawing.
pub(crate) const WIDTH: f64 = 760.0;

/// Begins a drawing of this height. `label` says for whoever cannot see it what it shows.
pub(crate) fn begin(height: f64, label: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{label}\">\n<style>\n\
         text {{ font: 13px sans-serif; fill: #1f2328 }}\n.grid {{ stroke: #d1d9e0 }}\n\
         .line {{ fill: none; stroke: #0969da; stroke-width: 2 }}\n.ours {{ fill: #0969da }}\n.theirs {{ fill: #9198a1 }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         text {{ fill: #f0f6fc }}\n.grid {{ stroke: #3d444d }}\n.line {{ stroke: #4493f8 }}\n.ours {{ fill: #4493f8 }}\n\
         .theirs {{ fill: #656c76 }}\n}}\n</style>\n"
    )
}

/// Writes a word or a number where it begins, is in the middle, or ends (`start`, `middle`, `end`).
pub(crate) fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

/// Ends a drawing.
pub(crate) fn end(mut svg: String) -> String {
    svg.push_str("</svg>\n");
    svg
}
