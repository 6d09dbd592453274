//! Who has the hub's disk, all its keys and its clock tries everything, with the real program on every side: what is found, by
//! whom and how soon is the table in `docs/evidence.md`.
//!
//! Owns the table: it is made of what was found, and the page must hold exactly that.

mod scene;
mod teller;
mod tried;
mod turned;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use resguardo::desk::included::LATE_US;
use resguardo::desk::session::{MISSING_PATIENCE_US, URGENT_SIGNED_IN, WITNESS_EVERY};

use self::scene::Scene;

/// What the table begins with.
const HEAD: &str = "| who has the hub tries | found by | how soon | what they see |\n|---|---|---|---|\n";
/// Attacks that are tried at once: most of one is waiting for checkpoints.
const AT_ONCE: usize = 3;

/// What came of one attack.
struct Row {
    tried: &'static str,
    by: String,
    soon: Soon,
    sees: String,
}

/// When somebody finds it.
enum Soon {
    /// When a desk looks at the logs.
    Look,
    /// When a desk looks, once a checkpoint over it was cosigned by enough.
    LookAfterQuorum,
    /// When somebody asks for anything that needs the directory.
    Asked,
    /// When the hub starts.
    Start,
    /// When the next message of the same desk is there.
    NextMessage,
    /// When it is late.
    Late,
    /// When who knows one history is shown another.
    Meeting,
    /// When somebody reads the evidence.
    Read,
}

impl Soon {
    fn words(&self) -> String {
        match self {
            Self::Look => "at its next look".into(),
            Self::LookAfterQuorum => "at its next look after enough offices have cosigned".into(),
            Self::Asked => "at once, whatever it is asked for".into(),
            Self::Start => "at its start".into(),
            Self::NextMessage => {
                let patience = span(Duration::from_micros(MISSING_PATIENCE_US));
                format!("with the next message of that desk; told unasked {patience} later")
            }
            Self::Late => format!("{} after the message", span(Duration::from_micros(LATE_US))),
            Self::Meeting => "at its next look after that".into(),
            Self::Read => "when it is read".into(),
        }
    }
}

/// How often a desk looks.
fn rhythm() -> String {
    format!(
        "A desk looks when it connects, then once in {}, and {} after an urgent alert.",
        span(WITNESS_EVERY),
        span(URGENT_SIGNED_IN)
    )
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        60 => "a minute".into(),
        seconds if seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[test]
fn what_a_hub_that_was_taken_over_tries_is_found_as_the_table_says() {
    let scene = Scene::set();
    let mut table = format!("{}\n\n{HEAD}", rhythm());
    for attacks in tried::ATTACKS.chunks(AT_ONCE) {
        let rows: Vec<_> = thread::scope(|scope| {
            let tried: Vec<_> = attacks.iter().map(|attack| scope.spawn(|| attack(&scene))).collect();
            tried.into_iter().flat_map(|it| it.join().unwrap()).collect()
        });
        for Row { tried, by, soon, sees } in rows {
            writeln!(table, "| {tried} | {by} | {} | {sees} |", soon.words()).unwrap();
        }
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/evidence.md");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains(&format!("\n\n{table}\n")), "docs/evidence.md has not this:\n\n{table}");
}
