//! Rules of the service's unit: it starts what the program has, and it stays hardened.

use std::process::Command;

use crate::tree;

const UNIT: &str = "packaging/resguardo-hub.service";
/// What `systemd-analyze security` may say at most, in tenths: 0 is nothing exposed, 100 all.
const EXPOSED_MAX: u32 = 19;

fn setting(name: &str) -> String {
    let text = tree::read(UNIT);
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("{UNIT} has no {name}")).to_owned()
}

#[test]
fn the_unit_starts_what_the_program_has() {
    let start = setting("ExecStart");
    let words: Vec<_> = start.split(' ').collect();
    let [_, "hub", "run", "--log", "json", "--home", home] = words[..] else { panic!("{start}") };
    assert_eq!(home, format!("/var/lib/{}", setting("StateDirectory")));
    // Help is given only where the arguments before it are right.
    let helped = Command::new(env!("CARGO_BIN_EXE_resguardo")).args(&words[1..]).arg("--help").output();
    assert!(helped.expect("the program starts").status.success());
    assert_eq!((setting("LimitCORE"), setting("RestartPreventExitStatus")), ("0".into(), "2 5".into()));
}

#[test]
fn the_unit_exposes_little() {
    let asked = Command::new("systemd-analyze")
        .args(["security", "--offline=true"])
        .arg(tree::top().join(UNIT))
        .output();
    // Only a machine with systemd can say; the settings that matter most are held to here on every machine.
    if let Ok(asked) = asked {
        let said = String::from_utf8_lossy(&asked.stdout).into_owned();
        let level = said.lines().rev().find_map(|line| line.split("resguardo-hub.service: ").nth(1));
        let level = level.and_then(|rest| rest.split(' ').next()).unwrap_or_else(|| panic!("{said}"));
        let tenths: u32 = level.replace('.', "").parse().unwrap_or_else(|_| panic!("{level}"));
        assert!(tenths <= EXPOSED_MAX, "{level}: {said}");
    }
    for (name, value) in [
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallFilter", "@system-service"),
        ("UMask", "0077"),
    ] {
        assert_eq!(setting(name), value, "{name}");
    }
}
