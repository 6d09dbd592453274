//! Clocks of real processes that are wrong, or jump while they run: order, deadlines and expiry are the hub's to say, and somebody
//! is told.

use serde_json::Value;

use super::other_clock::OtherClock;
use super::stage::{Ran, Stage, run, until};

const OPERATOR: &str = "operator-dev";
const HOUR_S: i64 = 3_600;
const YEAR_S: i64 = 365 * 24 * HOUR_S;

/// Homes of which each program goes by a clock two years on: far from both ends of its certificate.
fn stage() -> (Stage, OtherClock) {
    let mut stage = Stage::without_hub_ending_in("3000");
    let clock = OtherClock::right(&stage.path("clock"));
    clock.set_off(2 * YEAR_S);
    stage.environment = clock.environment().into();
    stage.start_hub();
    (stage, clock)
}

fn alarms(stage: &Stage) -> Vec<Value> {
    let status = stage.objects(OPERATOR, &["hub", "status"]).remove(0);
    let alarms = status["alarms"].as_array().unwrap().iter();
    alarms.map(|alarm| alarm["alarm"].clone()).collect()
}

fn count(stage: &Stage, kind: &str) -> usize {
    let entries = stage.objects("auditor-iachr", &["audit", "entries"]);
    let times: Vec<_> = entries.iter().map(|entry| entry["recorded_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "time ran back: {times:?}");
    entries.iter().filter(|entry| entry["kind"] == kind).count()
}

fn publish(stage: &Stage, name: &str, to: &str) -> String {
    let file = stage.alert(name);
    let arguments = ["publish", "alert", &file, "--to", to, "--receive-by", "1h"];
    stage.objects("ohchr-honduras", &arguments)[0]["message_id"].as_str().unwrap().to_owned()
}

/// Runs a command of a home whose clock is so many seconds off those of all others.
fn off(stage: &Stage, clock: &OtherClock, home: &str, arguments: &[&str]) -> Ran {
    run(stage.command(home, arguments).envs(clock.environment()))
}

#[test]
fn hub_whose_clock_jumps_by_hours_goes_on_in_order_and_calls_nothing_overdue_until_somebody_has_looked() {
    let (stage, clock) = stage();
    let office = OtherClock::right(&stage.path("offices-clock"));
    office.set_off(2 * YEAR_S);
    publish(&stage, "unheard", "ohchr-mexico");
    let mut published = Vec::new();
    // What a founding two years ago has let pass; the hub says it at its start.
    let before = count(&stage, "overdue");
    for (jump, hours) in [6, -6, 30, 0].into_iter().enumerate() {
        clock.set_off(2 * YEAR_S + hours * HOUR_S);
        until("the alarm is raised", || alarms(&stage) == ["clock-suspended"]);
        published.push(publish(&stage, &format!("after-jump-{jump}"), "iachr"));
        let came = off(&stage, &office, "iachr", &["--json", "subscribe", "--count", "1"]);
        assert!(came.code == 0 && came.out.contains(published.last().unwrap()), "{came:?}");
        assert_eq!(count(&stage, "overdue"), before, "nobody has looked at the clock");
    }
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries", "--office", "iachr"]);
    let order: Vec<_> = rows.iter().map(|row| row["message_id"].as_str().unwrap()).collect();
    assert_eq!(order, published);
    assert!(
        rows.iter().all(|row| row["stages"].as_array().unwrap().len() == 1),
        "each is received: {rows:?}"
    );
    assert_eq!(stage.objects(OPERATOR, &["hub", "clock-ok"])[0]["was_suspended"], true);
    until("the alarm is over", || alarms(&stage).is_empty());
}

#[test]
fn office_whose_clock_is_a_year_off_is_told_and_its_messages_are_in_their_place_and_in_time() {
    let (stage, _) = stage();
    let wrong = OtherClock::right(&stage.path("wrong-clock"));
    let mut published = vec![publish(&stage, "before", "iachr")];
    let before = count(&stage, "overdue");
    for (years, words) in [(3, "365 days ahead of the hub's"), (1, "365 days behind the hub's")] {
        wrong.set_off(years * YEAR_S);
        let file = stage.alert(&format!("year-{years}"));
        let arguments = ["--json", "publish", "alert", &file, "--to", "iachr", "--receive-by", "1h"];
        let said = off(&stage, &wrong, "ohchr-honduras", &arguments);
        assert!(said.code == 0 && said.err.contains(words), "{said:?}");
        let object: Value = serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
        published.push(object["message_id"].as_str().unwrap().to_owned());
        published.push(publish(&stage, &format!("after-{years}"), "iachr"));
        let came = off(&stage, &wrong, "iachr", &["--json", "subscribe", "--count", "2"]);
        assert!(came.code == 0 && came.err.contains(words), "{came:?}");
    }
    let rows = stage.objects("auditor-iachr", &["audit", "deliveries", "--office", "iachr"]);
    let order: Vec<_> = rows.iter().map(|row| row["message_id"].as_str().unwrap()).collect();
    assert_eq!(order, published, "in the order in which they were handed in");
    let received = rows.iter().filter(|row| row["stages"].as_array().unwrap().len() == 1);
    assert_eq!((received.count(), count(&stage, "overdue")), (4, before));
    assert!(alarms(&stage).is_empty(), "the hub's own clock is right");
    // What waits longest comes first, and nothing of it is too old to be shown.
    let last = stage.objects("iachr", &["subscribe", "--count", "1"]);
    assert!(last.iter().any(|it| it["message_id"] == *published.last().unwrap().as_str()), "{last:?}");
    let inbox = stage.objects("iachr", &["inbox", "--limit", "1000"]);
    let shown = |id: &String| inbox.iter().any(|it| it["message_id"] == *id.as_str());
    assert!(published.iter().all(shown), "{inbox:?}");
}

#[test]
fn office_whose_clock_stands_outside_of_the_hubs_certificate_is_told_to_look_at_its_clock() {
    let (stage, _) = stage();
    let wrong = OtherClock::right(&stage.path("wrong-clock"));
    wrong.set_off(-YEAR_S);
    let file = stage.alert("too-early");
    let said = off(&stage, &wrong, "ohchr-honduras", &["publish", "alert", &file, "--to", "iachr"]);
    assert!(said.code != 0 && said.err.contains("clock"), "{said:?}");
}
