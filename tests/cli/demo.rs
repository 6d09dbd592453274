//! The demonstration, as a newcomer starts it.

use std::process::{Command, Stdio};

use super::stage::{Stage, objects, run};

#[test]
fn it_ends_with_the_audit_and_leaves_nothing() {
    let stage = Stage::without_hub();
    let place = stage.path("place");
    std::fs::create_dir(&place).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_resguardo"));
    let ran =
        run(command.args(["demo", "--json"]).env("TMPDIR", &place).current_dir(&place).stdin(Stdio::null()));
    assert_eq!(ran.code, 0, "{ran:?}");
    let rows = objects(&ran.out);
    let stated = |stage: &str| {
        rows.iter()
            .filter(|row| row["stages"].as_array().unwrap().iter().any(|it| it["stage"] == stage))
            .count()
    };
    assert_eq!((rows.len(), stated("received"), stated("read"), stated("acted")), (6, 6, 6, 2), "{rows:?}");
    assert!(rows.iter().all(|row| row["object"] == "delivery" && row["status"] == "Exercise"), "{rows:?}");
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
}
