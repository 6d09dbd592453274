//! A side that is gone without a word, found by the other; and how little it costs to look.

use std::thread::{Builder, sleep};
use std::time::Duration;

use resguardo::host::clock::{Clock as _, SystemClock};

use super::exchange::{RECEIVER, SENDER, all_received, holds, pending, publish, receive};
use super::line::{Gate, Line, Way};
use super::slow::{LATENCY, modem};
use super::stage::{Running, Stage, until};

/// By when a dead peer is found.
const FOUND_S: f64 = 30.0;
/// And at 9,600 bit/s.
const FOUND_SLOW_S: f64 = 120.0;
/// Bytes a day of a link on which nothing is published, both ways together.
const DAY_BYTES: f64 = 2_000_000.0;
/// How long such a link is watched: long enough for a look for something to cosign.
const WATCHED: Duration = Duration::from_secs(200);
/// Until a desk has begun, and looked for the first time.
const BEGUN: Duration = Duration::from_secs(10);
/// A ping and its answer have come by then; on a slow line, twice its latency later.
const HEARD: Duration = Duration::from_millis(200);
/// Between two looks at the hub's connections.
const LOOK: Duration = Duration::from_millis(500);

/// Connections of an office's desks, as the hub has it.
pub(crate) fn connected(stage: &Stage, office: &str) -> usize {
    let status = stage.objects("operator-dev", &["hub", "status"]).remove(0);
    let connected = status["connected"].as_array().unwrap();
    let name = format!(":office:{office}:");
    connected.iter().filter(|it| it["identity"].as_str().unwrap().contains(&name)).count()
}

/// On a good line. When it is there again the office gets what was sent meanwhile.
pub(crate) fn found() {
    let (stage, line, mut watch) = find("a good line", |stage| stage.by_line(&[RECEIVER]), (HEARD, FOUND_S));
    let published = publish(&stage, SENDER, &stage.alert("meanwhile")).unwrap();
    line.all(Gate::Open);
    receive(&mut watch);
    end(watch);
    holds(&stage, &[published], &[SENDER], &["received"]);
}

/// On a slow one.
pub(crate) fn found_slow() {
    find("9,600 bit/s, 2 s latency", |stage| modem(stage, RECEIVER), (HEARD + 2 * LATENCY, FOUND_SLOW_S));
}

/// Has a line die between an office that waits and its hub: each finds the other gone by then, and a person is told why.
fn find(
    what: &'static str,
    line: fn(&Stage) -> Line,
    (heard, most_s): (Duration, f64),
) -> (Stage, Line, Running) {
    let stage = Stage::set();
    stage.well(RECEIVER, &["office", "list"]);
    let line = line(&stage);
    let mut watch = stage.start(RECEIVER, &["--json", "subscribe"]);
    watch.object("started");
    sleep(BEGUN);
    assert!(connected(&stage, RECEIVER) > 0);
    // Just when they have heard of each other, so that it takes longest.
    let before = line.passed_bytes(Way::Down);
    until("a ping goes over it", || line.passed_bytes(Way::Down) > before);
    sleep(heard);
    let clock = SystemClock::new();
    line.all(Gate::Dead);
    let by_office = Builder::new().spawn(move || {
        let lost = watch.object("lost");
        (clock_s(&clock), lost["message"].to_string(), watch)
    });
    let clock = SystemClock::new();
    while connected(&stage, RECEIVER) > 0 {
        sleep(LOOK);
    }
    let by_hub_s = clock_s(&clock);
    let (by_office_s, said, watch) = by_office.unwrap().join().unwrap();
    println!(
        "{what}: the office found the hub gone after {by_office_s:.1} s, the hub the office after {by_hub_s:.1} s: {said}"
    );
    assert!(by_office_s < most_s && by_hub_s < most_s, "{most_s} s at most");
    assert!(said.contains("nothing came from the other side for"), "{said}");
    (stage, line, watch)
}

fn clock_s(clock: &SystemClock) -> f64 {
    Duration::from_micros(clock.monotonic_us()).as_secs_f64()
}

fn end(watch: Running) {
    watch.signal("TERM");
    assert!(watch.end().success());
}

/// A line dies in some phase of an exchange, and nobody hears of it: what was written is there once.
pub(crate) fn in_each_phase() {
    let stage = Stage::set();
    // The line dies after so many bytes, or before the last so many.
    let phases = [
        ("ohchr-honduras", Way::Up, 200, "in the handshake"),
        ("ohchr-guatemala", Way::Down, 700, "in the handshake's answer"),
        ("ohchr-mexico", Way::Up, -1_500, "in the message"),
        ("ohchr-colombia", Way::Down, -100, "in its answer"),
    ];
    let offices = phases.map(|(office, ..)| office);
    let mut confirmed = Vec::new();
    let publish_in = |(office, way, place, phase): (&'static str, Way, i64, &'static str)| {
        // They know the directory, so what goes over the line has always about the same length.
        stage.well(office, &["office", "list"]);
        let line = stage.by_line(&[office]);
        let first = publish(&stage, office, &stage.alert(&format!("{office}-first"))).unwrap();
        let length = i64::try_from(line.passed_bytes(way)).unwrap();
        let bytes = if place < 0 { length + place } else { place };
        line.die_after(way, usize::try_from(bytes).unwrap());
        let clock = SystemClock::new();
        let published = publish(&stage, office, &stage.alert(office));
        println!(
            "dead {phase}: {} after {:.1} s",
            if published.is_some() { "accepted" } else { "waits" },
            clock_s(&clock)
        );
        assert_eq!(line.cuts_left(way), 0, "it died {phase}");
        [first, published.unwrap_or_else(|| pending(&stage, office).remove(0))]
    };
    std::thread::scope(|scope| {
        let running = phases.map(|phase| scope.spawn(move || publish_in(phase)));
        confirmed.extend(running.into_iter().flat_map(|it| it.join().unwrap()));
    });
    let line = stage.by_line(&[RECEIVER]);
    line.die_after(Way::Down, 9_000);
    let mut watch = stage.start(RECEIVER, &["--json", "subscribe"]);
    for _ in &confirmed {
        watch.object("message");
    }
    all_received(&stage);
    assert_eq!(line.cuts_left(Way::Down), 0, "it died");
    end(watch);
    holds(&stage, &confirmed, &offices, &["received"]);
}

/// A link on which nothing is published costs little.
pub(crate) fn idle() {
    let stage = Stage::set();
    let line = stage.by_line(&[RECEIVER]);
    let mut watch = stage.start(RECEIVER, &["--json", "subscribe"]);
    watch.object("started");
    sleep(BEGUN);
    let passed = || [Way::Up, Way::Down].map(|way| line.passed_bytes(way));
    let begun = passed();
    sleep(WATCHED);
    let watched = passed();
    end(watch);
    let days = Duration::from_hours(24).as_secs_f64() / WATCHED.as_secs_f64();
    let [up, down] = [0, 1].map(|way| f64::from(u32::try_from(watched[way] - begun[way]).unwrap()) * days);
    println!("an idle link: {up:.0} bytes up and {down:.0} down a day, {begun:?} to begin");
    assert!(up + down < DAY_BYTES, "{up} and {down}");
    assert!(up > 0.0 && down > 0.0, "somebody looks whether the other is there");
}
