//! Deadlines with real processes: asked by policy or sender, missed once, told, and open until they are done.

use serde_json::Value;

use super::stage::{Running, Stage, until};

const SENDER: &str = "ohchr-honduras";
const LATE: &str = "ohchr-mexico";
const HEADQUARTERS: &str = "iachr";

/// A stage whose urgent alerts are to be received, read and acted on within so many seconds.
fn stage(seconds: [&str; 3]) -> Stage {
    let stage = Stage::set();
    ask(&stage, seconds);
    stage
}

fn ask(stage: &Stage, [receive, read, act]: [&str; 3]) {
    let asked = ["--receive-by", receive, "--read-by", read, "--act-by", act];
    let class = ["policy", "deadlines", "--class", "alert", "--priority", "urgent"];
    stage.amend(&[&class[..], &asked].concat());
}

fn publish(stage: &Stage, name: &str, more: &[&str]) -> Value {
    let alert = stage.alert(name);
    let arguments = [&["publish", "alert", &alert, "--to", LATE][..], more].concat();
    stage.objects(SENDER, &arguments).into_iter().find(|it| it["object"] == "published").unwrap()
}

fn watching(stage: &Stage, home: &str) -> Running {
    let mut watch = stage.start(home, &["--json", "subscribe"]);
    watch.object("started");
    watch
}

fn notices(watch: &mut Running, count: usize) -> Vec<Value> {
    (0..count).map(|_| watch.object("notice")).collect()
}

fn overdue(stage: &Stage) -> Vec<Value> {
    stage.objects("auditor-iachr", &["audit", "overdue", "--all"])
}

fn seconds(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_second()
}

#[test]
fn missed_stages_are_told_once_to_the_sender_and_headquarters_with_the_time_at_which_they_fell_due() {
    let stage = stage(["1s", "2s", "3s"]);
    let (mut sender, mut headquarters) = (watching(&stage, SENDER), watching(&stage, HEADQUARTERS));
    let sent = publish(&stage, "one", &[]);
    let accepted = seconds(&sent["accepted_at"]);
    for watch in [&mut sender, &mut headquarters] {
        for (notice, (stage, after)) in
            notices(watch, 3).iter().zip([("received", 1), ("read", 2), ("acted", 3)])
        {
            assert_eq!((&notice["missed_by"], &notice["stage"]), (&LATE.into(), &stage.into()), "{notice}");
            assert_eq!(
                (&notice["message_ids"][0], &notice["status"]),
                (&sent["message_id"], &"Exercise".into())
            );
            assert_eq!(seconds(&notice["due_at"]), accepted + after);
        }
    }
    let rows = overdue(&stage);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows.iter().all(|row| row["open"] == true && row["real"] == false && row["office"] == LATE));
    let text = stage.well("auditor-iachr", &["audit", "overdue"]);
    assert!(text.ends_with("Actual: 0 missed. Exercises, tests and drafts: 3 missed.\n"), "{text}");
    let csv = stage.well("auditor-iachr", &["audit", "overdue", "--csv"]);
    assert_eq!(csv.lines().count(), 4, "{csv}");
    assert!(csv.starts_with("overdue_index,recorded_at,office,"), "{csv}");
    let shown = stage.well(SENDER, &["inbox"]);
    assert!(shown.contains("not read by ohchr-mexico, due"), "{shown}");
    // Who is late sees it, who has nothing to do with it does not.
    let of = |home| stage.objects(home, &["audit", "overdue"]).len();
    assert_eq!((of(LATE), of(SENDER), of(HEADQUARTERS), of("ohchr-colombia")), (3, 3, 3, 0));
}

#[test]
fn alert_stays_open_until_what_it_asks_for_is_done_and_none_because_is_an_answer() {
    let stage = stage(["1h", "1h", "1h"]);
    let sent = publish(&stage, "one", &["--act-by", "3s"]);
    let id = sent["message_id"].as_str().unwrap();
    let came = stage.objects(LATE, &["subscribe", "--count", "1"]);
    let message = came.iter().find(|it| it["object"] == "message").unwrap();
    assert_eq!((&message["read_by_s"], &message["act_by_s"]), (&3.into(), &3.into()), "as the sender asked");
    stage.well(LATE, &["ack", id, "--stage", "read"]);
    let asked = |stage: &Stage| stage.objects(LATE, &["inbox"])[0]["asked"].clone();
    let [receive, read, act] = [0, 1, 2].map(|at| asked(&stage)[at].clone());
    assert_eq!((&receive["done"], &read["done"], &act["done"]), (&true.into(), &true.into(), &false.into()));
    until("it is overdue", || overdue(&stage).len() == 1);
    let shown = stage.well(LATE, &["show", id]);
    assert!(shown.contains("OVERDUE acted since") && shown.contains("open until it is done"), "{shown}");
    let delivery = || stage.objects("auditor-iachr", &["audit", "deliveries"]).remove(0);
    let due = delivery()["due"][2].clone();
    assert_eq!((&due["overdue"], &due["reached_at"]), (&true.into(), &Value::Null), "{due}");
    let none =
        ["ack", id, "--stage", "acted", "--action", "none", "--reason", "the person asked for silence"];
    stage.well(LATE, &none);
    assert_eq!(asked(&stage)[2]["done"], true);
    let due = delivery()["due"][2].clone();
    assert!(due["overdue"] == false && due["reached_at"].is_string(), "{due}");
    assert_eq!(stage.objects("auditor-iachr", &["audit", "overdue"]).len(), 0, "nothing is open");
    assert_eq!(overdue(&stage).len(), 1, "it was missed all the same");
}

#[test]
fn hub_that_was_down_says_each_missed_deadline_once_with_the_time_at_which_it_fell_due() {
    let mut stage = stage(["3s", "3s", "1h"]);
    let sent = publish(&stage, "one", &[]);
    stage.kill_hub();
    let due = seconds(&sent["accepted_at"]) + 3;
    until("it is over", || jiff::Timestamp::now().as_second() > due);
    stage.start_hub();
    until("both are told", || overdue(&stage).len() == 2);
    stage.kill_hub();
    stage.start_hub();
    // One more that is missed: by then whatever else there was to say is said.
    publish(&stage, "later", &["--receive-by", "1s", "--read-by", "none", "--act-by", "none"]);
    until("the later one is told", || overdue(&stage).iter().any(|row| seconds(&row["due_at"]) > due));
    let rows = overdue(&stage);
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(rows.iter().filter(|row| seconds(&row["due_at"]) == due).count(), 2);
    let mut sender = watching(&stage, SENDER);
    assert_eq!(notices(&mut sender, 3).iter().filter(|it| seconds(&it["due_at"]) == due).count(), 2);
}

#[test]
fn silence_tells_who_has_not_read_since_when_and_counts_exercises_apart() {
    let stage = stage(["1s", "1s", "1h"]);
    let exercise = publish(&stage, "one", &[]);
    let real = super::alerts::alert("real", "").replace("Exercise", "Actual");
    let real = stage.file("real", &real);
    stage.well(SENDER, &["publish", "alert", &real, "--to", "ohchr-mexico,iachr"]);
    until("all is overdue", || overdue(&stage).len() == 6);
    let silence = || stage.objects("auditor-ohchr", &["audit", "silence"]);
    let rows = silence();
    let short = |row: &Value| {
        (row["office"].clone(), row["real"] == true, row["unread"].clone(), row["overdue"].clone())
    };
    let expected = [(HEADQUARTERS, true), (LATE, true), (LATE, false)];
    let expected = expected.map(|(office, real)| (office.into(), real, 1.into(), 2.into()));
    assert_eq!(rows.iter().map(short).collect::<Vec<_>>(), expected);
    assert_eq!(rows[2]["silent_since"], exercise["accepted_at"]);
    let csv = stage.well("auditor-ohchr", &["audit", "silence", "--csv"]);
    assert_eq!(csv.lines().count(), 4, "{csv}");
    stage.well(HEADQUARTERS, &["subscribe", "--count", "1"]);
    let id = stage.objects(HEADQUARTERS, &["inbox"])[0]["message_id"].as_str().unwrap().to_owned();
    stage.well(HEADQUARTERS, &["ack", &id, "--stage", "read"]);
    assert!(silence().iter().all(|row| row["office"] == LATE), "who has read is not silent");
    let text = stage.well("auditor-ohchr", &["audit", "silence", "--office", "ohchr-colombia"]);
    assert!(text.contains("Actual: nothing is unread."), "{text}");
}

#[test]
fn registrars_say_what_is_asked_and_senders_give_times_that_follow() {
    let stage = Stage::set();
    let mut policy = stage.objects("iachr", &["policy", "list"]);
    policy.retain(|it| it["object"] == "deadlines");
    assert_eq!(policy.len(), 1);
    let seconds = ["receive_by_s", "read_by_s", "act_by_s"].map(|name| policy[0][name].as_u64().unwrap());
    assert_eq!(seconds, [300, 900, 86_400], "urgent alerts, at the founding");
    let change = ["policy", "deadlines", "--class", "alert", "--priority", "urgent", "--read-by", "2min"];
    stage.amend(&change);
    let sent = publish(&stage, "one", &["--act-by", "1h"]);
    let kept = stage.objects(SENDER, &["show", sent["message_id"].as_str().unwrap()]).remove(0);
    let asked = ["receive_by_s", "read_by_s", "act_by_s"].map(|name| kept[name].as_u64().unwrap());
    assert_eq!(asked, [120, 120, 3_600]);
    let alert = stage.alert("two");
    for (flags, said) in [
        (&["--read-by", "1h", "--act-by", "5min"][..], "give the later stage as long at least"),
        (&["--read-by", "soon"], "a whole number and a unit expected"),
        (&["--receive-by", "none", "--read-by", "none", "--act-by", "none"], "leave one of its deadlines"),
    ] {
        let ran = stage.run(SENDER, &[&["publish", "alert", &alert, "--to", LATE], flags].concat());
        assert!(ran.code == 2 && ran.err.contains(said), "{flags:?}: {ran:?}");
    }
    assert_eq!(
        stage.objects("auditor-iachr", &["audit", "deliveries"]).len(),
        1,
        "nothing of it was published"
    );
}
