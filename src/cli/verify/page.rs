//! Evidence as one page of HTML, to be read and printed anywhere: nothing in it is fetched.
//!
//! Owns its look and the drawing of what happened: a lane for each office, a row for each thing. Others' words are escaped.

use std::fmt::Write as _;

use super::story::{Story, at, at_second, short};
use super::words::{Words, fill};
use crate::evidence::Proved;
use crate::model::id::UnixMicros;
use crate::model::identity::Name;
use crate::model::receipt::Stage;

/// Things that are drawn at most; the sentences have all of them.
const ROWS_MAX: usize = 80;
const ROW_HEIGHT: usize = 26;
const TOP: usize = 120;
const FIRST_LANE_X: usize = 210;
const LANE_WIDTH: usize = 90;

const STYLE: &str = "body{font:16px/1.45 Georgia,serif;max-width:60em;margin:2em auto;padding:0 1em;color:#111;background:#fff}\
h1{font-size:1.4em}h2{font-size:1.15em;border-bottom:1px solid #999;margin-top:1.6em}\
.v{padding:.7em 1em;border:3px solid #1a6b2f;font-weight:bold}.v.no{border-color:#a15c00}\
.w{padding:.7em 1em;background:#111;color:#fff;font-weight:bold}\
li{margin:.25em 0;overflow-wrap:anywhere}svg{max-width:100%;height:auto}svg text{font:12px sans-serif}\
@media print{body{margin:0;max-width:none;font-size:11pt}h2,li,svg{break-inside:avoid}.w{border:3px solid #111;color:#111;background:#fff}}";

/// Makes the page.
pub(super) fn made(proved: &Proved, story: &Story, words: &Words) -> String {
    let mut page = String::new();
    let title = escaped(&story.title);
    let tag = words.tag;
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    let class = if proved.is_witnessed() { "v" } else { "v no" };
    let _ = writeln!(page, "<p class=\"{class}\">{}</p>", escaped(&story.verdict));
    if let Some(warning) = &story.warning {
        let _ = writeln!(page, "<p class=\"w\">{}</p>", escaped(warning));
    }
    let _ = writeln!(page, "<p>{}</p>", escaped(story.times));
    for (place, section) in story.sections.iter().enumerate() {
        let _ = writeln!(page, "<h2>{}</h2>\n<ul>", escaped(&section.heading));
        for point in &section.points {
            let _ = write!(page, "<li>{}", escaped(&point.said));
            if !point.under.is_empty() {
                let under: Vec<_> =
                    point.under.iter().map(|it| format!("<li>{}</li>", escaped(it))).collect();
                let _ = write!(page, "<ul>{}</ul>", under.concat());
            }
            page.push_str("</li>\n");
        }
        page.push_str("</ul>\n");
        // What happened is drawn once it was said for whom it was.
        if place == 1 {
            let _ = writeln!(page, "<h2>{}</h2>\n{}", escaped(words.drawing), drawing(proved, words));
        }
    }
    page.push_str("</body>\n</html>\n");
    page
}

/// Something that is drawn.
struct Row {
    when: String,
    order: (UnixMicros, u64),
    /// The lane, from 0; `None`: across all.
    lane: Option<usize>,
    label: String,
    shape: Shape,
}

#[derive(Clone, Copy)]
enum Shape {
    Square,
    Ring,
    Dot,
    Cross,
}

fn rows(proved: &Proved, lanes: &[&Name], words: &Words) -> Vec<Row> {
    let lane = |office: &Name| lanes.iter().position(|it| *it == office);
    let published = &proved.published;
    let row = |(recorded, index): (UnixMicros, u64), lane, label: String, shape| Row {
        when: at(recorded),
        order: (recorded, index),
        lane,
        label,
        shape,
    };
    let place = (published.recorded, published.index.0);
    let mut rows =
        vec![row(place, lane(&published.sender.office), words.lane_published.to_owned(), Shape::Square)];
    for office in lanes {
        rows.extend(proved.first_of(office).map(|it| {
            let shape = match it.stage {
                Stage::Received | Stage::Erased => Shape::Ring,
                Stage::Read | Stage::Acted => Shape::Dot,
                Stage::Declined | Stage::Unreadable => Shape::Cross,
            };
            row((it.recorded, it.index.0), lane(office), short(words.stage(it.stage)).to_owned(), shape)
        }));
    }
    rows.extend(proved.missed.iter().map(|it| {
        let what = it.stage.map_or_else(
            || it.obligation.as_ref().map(Name::to_string).unwrap_or_default(),
            |stage| short(words.stage(stage)).to_owned(),
        );
        row((it.recorded, it.index.0), lane(&it.office), fill(words.lane_missed, &[&what]), Shape::Cross)
    }));
    rows.extend(
        proved
            .erased
            .iter()
            .map(|it| row((it.recorded, it.index.0), None, words.lane_erased.to_owned(), Shape::Cross)),
    );
    rows.sort_by_key(|it| it.order.1);
    rows.truncate(ROWS_MAX);
    if let Some(time) = proved.not_after() {
        let order = (UnixMicros(time.seconds().saturating_mul(1_000_000)), u64::MAX);
        let label = words.lane_witnessed.to_owned();
        rows.push(Row { when: at_second(time), order, lane: None, label, shape: Shape::Square });
    }
    rows
}

fn drawing(proved: &Proved, words: &Words) -> String {
    let published = &proved.published;
    let mut lanes = vec![&published.sender.office];
    let others = published.recipients.iter().map(|it| &it.office);
    lanes.extend(others.filter(|office| **office != published.sender.office));
    let rows = rows(proved, &lanes, words);
    let (width, height) = (FIRST_LANE_X + lanes.len() * LANE_WIDTH + 60, TOP + rows.len() * ROW_HEIGHT + 20);
    let x = |lane: usize| FIRST_LANE_X + lane * LANE_WIDTH;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" role=\"img\" aria-label=\"{}\">",
        escaped(words.drawing)
    );
    for (lane, office) in lanes.iter().enumerate() {
        let (x, top, end) = (x(lane), TOP - 18, height - 12);
        let _ = write!(
            svg,
            "<line x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{end}\" stroke=\"#aaa\"/>\
             <text x=\"{x}\" y=\"{}\" transform=\"rotate(-35 {x} {})\">{}</text>",
            top - 6,
            top - 6,
            escaped(office.as_str())
        );
    }
    for (place, row) in rows.iter().enumerate() {
        let y = TOP + place * ROW_HEIGHT;
        let _ = write!(svg, "<text x=\"4\" y=\"{}\">{}</text>", y + 4, escaped(&row.when));
        let label = escaped(&row.label);
        let Some(lane) = row.lane else {
            let (from, to) = (x(0) - 20, width - 8);
            let _ = write!(
                svg,
                "<line x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\" stroke=\"#111\" stroke-dasharray=\"5 3\"/>\
                 <text x=\"{from}\" y=\"{}\">{label}</text>",
                y - 4
            );
            continue;
        };
        let x = x(lane);
        svg.push_str(&shape(row.shape, x, y));
        let _ = write!(svg, "<text x=\"{}\" y=\"{}\">{label}</text>", x + 10, y + 4);
    }
    svg.push_str("</svg>");
    svg
}

/// Shapes differ without colour, for whoever prints.
fn shape(shape: Shape, x: usize, y: usize) -> String {
    match shape {
        Shape::Square => {
            format!("<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"#111\"/>", x - 6, y - 6)
        }
        Shape::Ring => {
            format!(
                "<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"#fff\" stroke=\"#1a6b2f\" stroke-width=\"2\"/>"
            )
        }
        Shape::Dot => format!("<circle cx=\"{x}\" cy=\"{y}\" r=\"6\" fill=\"#1a6b2f\"/>"),
        Shape::Cross => {
            let [left, right, up, down] = [x - 5, x + 5, y - 5, y + 5];
            format!(
                "<path d=\"M{left} {up}L{right} {down}M{left} {down}L{right} {up}\" stroke=\"#a11\" stroke-width=\"3\"/>"
            )
        }
    }
}

/// Text in which nothing is markup.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for one in text.chars() {
        match one {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            one => escaped.push(one),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_words_are_no_markup() {
        assert_eq!(escaped("<b a='\"'>&"), "&lt;b a=&#39;&quot;&#39;&gt;&amp;");
    }
}
