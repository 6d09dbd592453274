//! The metrics page of a real hub, read by a parser that takes nothing but OpenMetrics text (version 1.0).

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::alerts;
use super::stage::{Stage, until};

/// The page that says what each metric means.
const OPERATING: &str = include_str!("../../docs/operating.md");

/// Samples by name and labels, exactly as they stand.
type Samples = BTreeMap<String, f64>;

/// Connects; what does not come within a minute never comes.
fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

/// Sends a request and gives the answer's head and body.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = connect(address);
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn page(address: &str) -> Samples {
    let (head, body) = ask(address, "GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text"), "{head}");
    parse(&body)
}

/// One family of metrics, as its head says.
struct Family {
    name: String,
    kind: String,
}

fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.chars().all(inner) && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// Reads a page; panics at the first thing that the standard does not allow.
fn parse(text: &str) -> Samples {
    let body = text.strip_suffix("# EOF\n").expect("the page ends with its end");
    let (mut seen, mut samples) = (Vec::<String>::new(), Samples::new());
    let mut family: Option<Family> = None;
    let mut helped = String::new();
    for line in body.lines() {
        if let Some(head) = line.strip_prefix("# ") {
            let (word, rest) = head.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            let (name, rest) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(is_name(name) && name.starts_with("resguardo_"), "{line}");
            match word {
                "HELP" => {
                    assert!(OPERATING.contains(&format!("`{name}")), "not in docs/operating.md: {line}");
                    assert!(
                        rest.len() > 5 && !seen.contains(&name.to_owned()),
                        "said twice or nothing: {line}"
                    );
                    seen.push(name.to_owned());
                    name.clone_into(&mut helped);
                }
                "TYPE" => {
                    assert_eq!(name, helped, "{line}");
                    assert!(["counter", "gauge", "histogram"].contains(&rest), "{line}");
                    family = Some(Family { name: name.to_owned(), kind: rest.to_owned() });
                }
                "UNIT" => assert!(name.ends_with(&format!("_{rest}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let family = family.as_ref().unwrap_or_else(|| panic!("no head before {line}"));
        let (key, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
        let suffix = name.strip_prefix(family.name.as_str()).unwrap_or_else(|| panic!("{line}"));
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            _ => &["_bucket", "_sum", "_count"],
        };
        assert!(suffixes.contains(&suffix), "{line} is no sample of a {}", family.kind);
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap_or_else(|| panic!("{line}"));
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            assert!(is_name(label) && value.is_some_and(|value| !value.contains('"')), "{line}");
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(samples.insert(key.to_owned(), value).is_none(), "twice: {line}");
    }
    check_histograms(&samples);
    samples
}

/// Classes only grow, and the last holds all.
fn check_histograms(samples: &Samples) {
    for (count_key, count) in samples.iter().filter(|(key, _)| key.ends_with("_count")) {
        let name = count_key.trim_end_matches("_count");
        let begin = format!("{name}_bucket{{le=\"");
        let classes = samples.iter().filter_map(|(key, value)| {
            let end = key.strip_prefix(&begin)?.strip_suffix("\"}")?;
            Some((if end == "+Inf" { f64::INFINITY } else { end.parse::<f64>().unwrap() }, *value))
        });
        let mut classes: Vec<_> = classes.collect();
        classes.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(classes.len() > 5 && classes.is_sorted_by(|a, b| a.1 <= b.1), "{name}: {classes:?}");
        assert_eq!(classes.last(), Some(&(f64::INFINITY, *count)), "{name}");
        assert!(samples.contains_key(&format!("{name}_sum")), "{name}");
    }
}

/// A hub with metrics, and where they are.
fn stage() -> (Stage, String) {
    let mut stage = Stage::without_hub();
    let config = fs::read_to_string(stage.path("hub/hub.toml")).unwrap();
    fs::write(stage.path("hub/hub.toml"), format!("{config}metrics = \"127.0.0.1:0\"\n")).unwrap();
    stage.start_hub();
    let log = fs::read_to_string(stage.path("hub.log")).unwrap();
    let line = log.lines().find(|line| line.contains("metrics are answered")).expect("it says where");
    let address = line.split("address=").nth(1).unwrap().trim().to_owned();
    (stage, address)
}

#[test]
fn page_counts_and_measures_what_happened_and_says_what_the_status_says() {
    let (stage, address) = stage();
    let fresh = page(&address);
    assert_eq!(fresh["resguardo_alarm{alarm=\"disk-low\"}"].to_bits(), 0_f64.to_bits());
    let text = alerts::alert("real", "").replace("Exercise", "Actual");
    for path in [stage.file("real", &text), stage.alert("drill")] {
        stage.well("ohchr-honduras", &["publish", "alert", &path, "--to", "iachr"]);
    }
    let refused = stage.run("iachr", &["hub", "status"]);
    assert_eq!(refused.code, 3);
    let open = page(&address);
    let is = |samples: &Samples, key: &str, value: f64| {
        let found = samples.get(key).unwrap_or_else(|| panic!("no {key} in {samples:#?}"));
        assert!((found - value).abs() < 1e-9, "{key} is {found}, not {value}");
    };
    is(&open, "resguardo_messages_accepted_total{status=\"Actual\"}", 1.0);
    is(&open, "resguardo_messages_accepted_total{status=\"Exercise\"}", 1.0);
    is(&open, "resguardo_outstanding{office=\"iachr\",kind=\"urgent\"}", 1.0);
    is(&open, "resguardo_outstanding{office=\"iachr\",kind=\"drill\"}", 1.0);
    is(&open, "resguardo_unread_urgent{office=\"iachr\"}", 1.0);
    is(&open, "resguardo_refusals_total{reason=\"ROLE_NOT_ALLOWED\"}", 1.0);
    is(&open, "resguardo_publish_confirm_seconds_count", 2.0);
    assert!(
        open["resguardo_publish_confirm_seconds_sum"] > 0.0
            && open["resguardo_journal_sync_seconds_sum"] > 0.0
    );
    assert!(open.contains_key("resguardo_oldest_unread_urgent_timestamp_seconds{office=\"iachr\"}"));

    stage.well("iachr", &["subscribe", "--count", "2"]);
    let received = page(&address);
    is(&received, "resguardo_outstanding{office=\"iachr\",kind=\"urgent\"}", 0.0);
    is(&received, "resguardo_delivery_received_seconds_count", 2.0);
    is(&received, "resguardo_deliveries_total", 2.0);
    assert!(received["resguardo_receipts_recorded_total{stage=\"received\"}"] >= 1.0);
    let status = stage.objects("operator-dev", &["hub", "status"]).remove(0);
    for (name, field) in [
        ("resguardo_journal_entries", "entries"),
        ("resguardo_disk_reserve_bytes", "reserve_bytes"),
        ("resguardo_journal_size_bytes", "journal_bytes"),
    ] {
        is(&received, name, status[field].as_f64().unwrap());
    }
    let expiry = received["resguardo_certificate_expiry_timestamp_seconds{holder=\"hub\"}"];
    let started = received["resguardo_start_time_seconds"];
    let days = (expiry - started) / 86_400.0;
    assert!((days - 365.0).abs() < 1.0, "{days}");
}

#[test]
fn page_is_for_this_machine_alone_and_bounded() {
    let (stage, address) = stage();
    assert!(ask(&address, "GET /").0.starts_with("HTTP/1.1 404"));
    assert!(ask(&address, "POST /metrics").0.starts_with("HTTP/1.1 405"));
    // Who holds all places in silence is cut off, and others are answered then.
    let mut silent: Vec<_> = (0..12).map(|_| connect(&address)).collect();
    page(&address);
    let mut rest = Vec::new();
    silent[0].read_to_end(&mut rest).unwrap();
    let config = fs::read_to_string(stage.path("hub/hub.toml")).unwrap();
    let kept: Vec<_> = config.lines().filter(|line| !line.starts_with("metrics")).collect();
    let open = format!("{}\nmetrics = \"0.0.0.0:0\"\n", kept.join("\n"));
    fs::write(stage.path("hub/hub.toml"), open).unwrap();
    let checked = stage.run("hub", &["hub", "config"]);
    assert!(checked.code == 2 && checked.err.contains("metrics is 0.0.0.0:0"), "{checked:?}");
    until("the running hub says so", || {
        stage.objects("operator-dev", &["hub", "status"])[0]["alarms"][0]["alarm"] == "configuration-unusable"
    });
}
