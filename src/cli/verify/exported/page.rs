//! The figures of an export as one page of HTML, to be read and printed anywhere: nothing in it is fetched.
//!
//! Owns its look. Never has the name of a person or a desk: offices are the smallest that is told apart.

use std::fmt::Write as _;

use super::story::{Told, durations};
use super::words::ExportWords;
use crate::cli::verify::page::escaped;
use crate::cli::verify::story::{Section, short};
use crate::cli::verify::words::Words;
use crate::evidence::export::{Counts, Exported, OfOffice};
use crate::model::envelope::MessageClass;
use crate::model::receipt::Stage;

const STYLE: &str = ":root{color-scheme:light dark;--p:#fff;--t:#111;--m:#555;--l:#bbb;--b:#eef2ee;--g:#1a6b2f;--o:#a15c00;--r:#a11}\
@media (prefers-color-scheme:dark){:root{--p:#15181a;--t:#e8e6e3;--m:#a9a59f;--l:#4a4f53;--b:#20262a;--g:#6cc483;--o:#e0a458;--r:#f28b82}}\
body{font:16px/1.45 Georgia,serif;max-width:66em;margin:2em auto;padding:0 1em;color:var(--t);background:var(--p)}\
h1{font-size:1.4em}h2{font-size:1.15em;border-bottom:1px solid var(--l);margin-top:1.6em}h3{font-size:1em;margin:1.2em 0 .3em}\
.v{padding:.7em 1em;border:3px solid var(--g);font-weight:bold}.v.no{border-color:var(--o)}\
li{margin:.25em 0;overflow-wrap:anywhere}.s{overflow-x:auto}\
table{border-collapse:collapse;font:14px/1.35 sans-serif;min-width:100%}\
th,td{text-align:left;vertical-align:top;padding:.35em .7em .35em 0;border-bottom:1px solid var(--l)}\
thead th{color:var(--m);font-weight:normal;vertical-align:bottom}tbody th{font-weight:bold}.h{visibility:hidden}\
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}tr.a th,tr.a td{background:var(--b)}\
.m{color:var(--r);font-weight:bold}.r{display:block;height:4px;margin-top:3px;background:var(--l)}.r i{display:block;height:4px;background:var(--g)}\
@media (max-width:44em){body{margin:1em auto}thead{display:none}table,tbody,tr,th,td{display:block;border:0;padding:.1em 0}\
tr{border-bottom:1px solid var(--l);padding:.4em 0}tr.a th,tr.a td{background:none}td.n{text-align:left;white-space:normal}.h{visibility:visible}\
td[data-c]::before{content:attr(data-c) \": \";color:var(--m)}.r{max-width:16em}}\
@media print{:root{--p:#fff;--t:#111;--m:#444;--l:#999;--b:#eee;--g:#111;--o:#111;--r:#111}\
body{margin:0;max-width:none;font-size:11pt}h2,h3,li,tr{break-inside:avoid}thead{display:table-header-group}}";

/// Makes the page.
pub(super) fn made(exported: &Exported, told: &Told, words: &Words, own: &ExportWords) -> String {
    let mut page = String::new();
    let (title, tag) = (escaped(&told.title), words.tag);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"{tag}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    let class = if exported.is_witnessed() { "v" } else { "v no" };
    let _ = writeln!(page, "<p class=\"{class}\">{}</p>", escaped(&told.verdict));
    let _ = writeln!(page, "<p>{}</p>", escaped(told.times));
    list(&mut page, &told.proved);
    let statistics = &exported.statistics;
    let _ = writeln!(page, "<h2>{}</h2>", escaped(own.published));
    sent(&mut page, &statistics.real, own);
    if !statistics.real.is_empty() {
        let _ = writeln!(page, "<h2>{}</h2>", escaped(own.came_to));
        came_to(&mut page, &statistics.real, words, own);
    }
    if !statistics.others.is_empty() {
        let _ = writeln!(page, "<h2>{}</h2>", escaped(own.others));
        sent(&mut page, &statistics.others, own);
        came_to(&mut page, &statistics.others, words, own);
    }
    if !told.beside.points.is_empty() {
        list(&mut page, &told.beside);
    }
    for section in &told.last {
        list(&mut page, section);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn list(page: &mut String, section: &Section) {
    let _ = writeln!(page, "<h2>{}</h2>\n<ul>", escaped(&section.heading));
    for point in &section.points {
        let under: Vec<_> = point.under.iter().map(|it| format!("<li>{}</li>", escaped(it))).collect();
        let under = if under.is_empty() { String::new() } else { format!("<ul>{}</ul>", under.concat()) };
        let _ = writeln!(page, "<li>{}{under}</li>", escaped(&point.said));
    }
    page.push_str("</ul>\n");
}

fn header(page: &mut String, columns: &[&str]) {
    page.push_str("<div class=\"s\"><table>\n<thead><tr>");
    for (place, column) in columns.iter().enumerate() {
        let class = if place < 2 { "" } else { " class=\"n\"" };
        let _ = write!(page, "<th scope=\"col\"{class}>{}</th>", escaped(column));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}

fn number(page: &mut String, column: &str, value: &str, more: &str) {
    let _ = write!(page, "<td class=\"n\" data-c=\"{}\">{}{more}</td>", escaped(column), escaped(value));
}

fn sent(page: &mut String, counts: &Counts, own: &ExportWords) {
    if counts.is_empty() {
        let _ = writeln!(page, "<p>{}</p>", escaped(own.none_published));
        return;
    }
    header(page, &own.sent_columns);
    for (class, count) in counts.classes() {
        let name = escaped(own.class(class));
        let _ = write!(
            page,
            "<tr class=\"a\"><th scope=\"row\">{name}</th><td>{}</td>",
            escaped(own.all_offices)
        );
        number(page, own.sent_columns[2], &count.to_string(), "");
        page.push_str("</tr>\n");
        for ((_, office), count) in counts.published.iter().filter(|((of, _), _)| *of == class) {
            let _ = write!(page, "<tr><th scope=\"row\"></th><td>{}</td>", escaped(office.as_str()));
            number(page, own.sent_columns[2], &count.to_string(), "");
            page.push_str("</tr>\n");
        }
    }
    page.push_str("</tbody></table></div>\n");
}

fn came_to(page: &mut String, counts: &Counts, words: &Words, own: &ExportWords) {
    for class in counts.classes().into_keys() {
        of_class(page, counts, class, (words, own));
    }
}

fn of_class(page: &mut String, counts: &Counts, class: MessageClass, words: (&Words, &ExportWords)) {
    let _ = writeln!(page, "<h3>{}</h3>", escaped(words.1.class(class)));
    header(page, &words.1.columns);
    rows(page, words.1.all_offices, &counts.of_class(class), words, "a");
    for ((_, office), it) in counts.offices.iter().filter(|((of, _), _)| *of == class) {
        rows(page, office.as_str(), it, words, "");
    }
    page.push_str("</tbody></table></div>\n");
}

fn rows(page: &mut String, office: &str, it: &OfOffice, (words, own): (&Words, &ExportWords), class: &str) {
    let always = [Stage::Received, Stage::Read, Stage::Acted];
    let told = |stage: &&Stage| always.contains(stage) || it.stage(**stage).count() > 0;
    for (place, stage) in Stage::ALL.iter().filter(told).enumerate() {
        let times = it.stage(*stage);
        // Said again for narrow pages, where a row stands by itself.
        let again = if place == 0 { "" } else { " class=\"h\"" };
        let name = escaped(short(words.stage(*stage)));
        let _ = write!(
            page,
            "<tr class=\"{class}\"><th scope=\"row\"><span{again}>{}</span></th><td>{name}</td>",
            escaped(office)
        );
        let percent = (times.count() * 100).checked_div(it.messages).unwrap_or(0).min(100);
        let bar = format!("<span class=\"r\"><i style=\"width:{percent}%\"></i></span>");
        number(page, own.columns[2], &format!("{} / {}", times.count(), it.messages), &bar);
        let told = durations(times).unwrap_or_else(|| [const { String::new() }; 3].map(|_| "–".to_owned()));
        for (column, duration) in own.columns[3..6].iter().zip(&told) {
            number(page, column, duration, "");
        }
        let missed = it.missed(*stage);
        let class = if missed > 0 { "n m" } else { "n" };
        let column = escaped(own.columns[6]);
        let _ = writeln!(page, "<td class=\"{class}\" data-c=\"{column}\">{missed}</td></tr>");
    }
}
