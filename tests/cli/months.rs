//! The office's key of the month: made when somebody first unlocks the home's keys in it, also where a passphrase wraps them.

use std::fs;

use resguardo::host::clock::{Clock as _, SystemClock};
use resguardo::model::id::UnixMicros;
use resguardo::model::policy::Policy;
use resguardo::registrar::plain_key;
use resguardo::seal::key_file::{KeyFile, WorkFactor, wrapped};
use resguardo::wire::amendment;
use resguardo::wire::trust::Trust;

use super::stage::{Stage, objects};

const HOME: &str = "ohchr-honduras";
const SAID: &str = "has a new key for the month";

/// A set whose directory was founded, with the same keys, by registrars whose clock was so many days behind.
fn founded_before(days: u64) -> Stage {
    let mut stage = Stage::without_hub();
    let founding = stage.path("hub/founding");
    let facts = amendment::read(&fs::read(&founding).unwrap().into()).unwrap().entry.facts().to_vec();
    let made = SystemClock::new().now().0 - days * 86_400_000_000;
    let mut signed = amendment::unsigned(Policy::default().next_amendment(facts, UnixMicros(made)));
    for registrar in ["registrar-iachr", "registrar-ohchr"] {
        let file = KeyFile::parse(&fs::read(stage.path(registrar).join("key")).unwrap()).unwrap();
        amendment::sign(&mut signed, &plain_key(file).unwrap());
    }
    fs::write(&founding, amendment::bytes(&signed)).unwrap();
    for home in fs::read_dir(stage.path("")).unwrap() {
        let trust = home.unwrap().path().join("trust.toml");
        if trust.exists() {
            fs::write(trust, Trust::of(&signed).to_text()).unwrap();
        }
    }
    for stored in ["hub/journal", "hub/ledger"] {
        fs::remove_dir_all(stage.path(stored)).unwrap();
    }
    stage.well("hub", &["hub", "init"]);
    stage.start_hub();
    stage
}

/// Wraps the keys of a home of the set by a passphrase; gives the file that has it.
fn wrap(stage: &Stage, home: &str) -> String {
    let passphrase = "correct horse battery staple";
    for name in ["attended", "transfer", "office"] {
        let path = stage.path(home).join("keys").join(name);
        let KeyFile::Plain(_, key) = KeyFile::parse(&fs::read(&path).unwrap()).unwrap() else {
            panic!("a set's keys are open")
        };
        fs::write(&path, wrapped(&key, passphrase, WorkFactor::TEST).unwrap()).unwrap();
    }
    stage.file("passphrase", passphrase)
}

fn former(stage: &Stage, home: &str) -> Vec<String> {
    let names = stage.names(&format!("{home}/keys"), "");
    names.into_iter().filter(|name| name.starts_with("former.")).collect()
}

#[test]
fn first_unlock_of_a_month_gives_the_office_a_new_key_and_the_next_one_does_not() {
    let stage = founded_before(40);
    let (passphrase, wrong) = (wrap(&stage, HOME), stage.file("wrong", "incorrect\n"));
    let publish = |name: &str, passphrase: &str| {
        let alert = stage.alert(name);
        let to = ["--json", "publish", "alert", &alert, "--to", "iachr", "--passphrase-file", passphrase];
        stage.run(HOME, &to)
    };
    let refused = publish("wrong-passphrase", &wrong);
    assert!(refused.code == 2 && refused.err.contains("wrong passphrase"), "{refused:?}");
    assert!(former(&stage, HOME).is_empty(), "nobody has unlocked anything");
    let first = publish("first", &passphrase);
    assert!(first.code == 0 && first.err.contains(SAID), "{first:?}");
    let second = publish("second", &passphrase);
    assert!(second.code == 0 && !second.err.contains(SAID), "{second:?}");
    assert_eq!(former(&stage, HOME).len(), 1, "the key of the months before stays");
    let begins = |name: &str, with: &[u8]| {
        let file = fs::read(stage.path(HOME).join("keys").join(name)).unwrap();
        assert!(file.starts_with(with), "{name} lies in clear");
    };
    begins("office", b"-----BEGIN AGE ENCRYPTED FILE-----");
    begins(&former(&stage, HOME)[0], b"age-encryption.org/v1");
    // The receiver has its month's key from its own first unlock, and opens what was sealed to the one before.
    let came = stage.run("iachr", &["subscribe", "--count", "2"]);
    assert!(came.code == 0 && came.err.contains(SAID), "{came:?}");
    assert!(came.out.contains("Titular first") && came.out.contains("Titular second"), "{came:?}");
    assert_eq!(former(&stage, "iachr").len(), 1);
    // What was sealed before stays open to its sender.
    let id = objects(&first.out)[0]["message_id"].as_str().unwrap().to_owned();
    assert!(stage.well(HOME, &["show", &id, "--passphrase-file", &passphrase]).contains("Titular first"));
}
