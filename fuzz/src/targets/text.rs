//! Text that people write and programs read: `hub.toml`, `desk.toml`, the trust file, a founding list, person blocks, what says how
//! far a hub was restored; names, identities, deadlines, fingerprints.
//!
//! The first byte chooses. What is taken is written and read back to the same.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use resguardo::desk::home::{Home, Settings};
use resguardo::desk::persons;
use resguardo::host::disk::{Disk as _, MemoryDisk};
use resguardo::hub::config::Config;
use resguardo::model::deadline::Within;
use resguardo::model::fact::Fact;
use resguardo::model::identity::{Identity, Name};
use resguardo::model::person::{Audience, Released};
use resguardo::registrar::founding;
use resguardo::seal::{OfficeFingerprint, Recipient, VerifyingKey};
use resguardo::wire::certs::Serial;
use resguardo::wire::fingerprint::Fingerprint;
use resguardo::wire::restored;
use resguardo::wire::trust::{TRUST_FILE, Trust};

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    match choice % 7 {
        0 => {
            if let Ok(config) = Config::parse(text) {
                assert_eq!(Config::parse(&config.to_text()).expect("it was one before"), config);
            }
        }
        1 => home(text),
        2 => {
            if let Ok(trust) = Trust::parse(text) {
                assert_eq!(Trust::parse(&trust.to_text()), Ok(trust));
            }
        }
        3 => {
            let _ = founding::parse(text);
        }
        4 => persons(text),
        5 => {
            if let Ok(Fact::Restored { id, kept, root }) = restored::read(text) {
                let again = restored::read(&restored::to_text(id, kept, &root));
                assert_eq!(again, Ok(Fact::Restored { id, kept, root }));
            }
        }
        _ => words(text),
    }
}

/// A home, with what it says in both files.
fn home(text: &str) {
    let (disk, dir) = (MemoryDisk::new(), Path::new("/home"));
    disk.create_dir_all(dir).expect("memory takes it");
    for file in ["desk.toml", TRUST_FILE] {
        disk.write_atomically(&dir.join(file), text.as_bytes()).expect("memory takes it");
    }
    if let Ok(home) = Home::open(Arc::new(disk), dir) {
        let _ = (home.desk(), Settings::host(&home.settings().hub));
        assert!(home.trust().is_err(), "no file is both");
    }
}

fn persons(text: &str) {
    let Ok(read) = persons::read(text) else { return };
    for audience in [Audience::OwnUse, Audience::Government, Audience::Public] {
        let released: Vec<_> = read.iter().filter_map(|it| it.released(audience)).collect();
        let again = persons::read(&persons::written(&released, audience)).expect("it was one before");
        assert!(again.iter().eq(released.iter().map(Released::person)));
        assert!(audience != Audience::OwnUse || again == read);
    }
}

fn words(text: &str) {
    if let Ok(name) = text.parse::<Name>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(identity) = text.parse::<Identity>() {
        assert_eq!(identity.to_string(), text);
    }
    if let Ok(within) = text.parse::<Within>() {
        assert_eq!(within.to_string().parse(), Ok(within));
    }
    if let Ok(recipient) = Recipient::from_str(text) {
        assert_eq!(recipient.to_string(), text);
    }
    if let Ok(key) = VerifyingKey::from_str(text) {
        assert_eq!(key.to_string(), text);
    }
    // As people write them: with spaces and the like, in capital letters.
    let plain = |marks: &[char]| {
        let kept = text.chars().filter(|it| !it.is_whitespace() && !marks.contains(it));
        kept.collect::<String>().to_lowercase()
    };
    if let Ok(found) = text.parse::<Fingerprint>() {
        assert_eq!(found.to_string(), plain(&[':']));
    }
    if let Ok(found) = text.parse::<OfficeFingerprint>() {
        assert_eq!(found.to_string().parse(), Ok(found));
    }
    if let Ok(serial) = text.parse::<Serial>() {
        assert_eq!(serial.to_string().trim_start_matches('0'), plain(&[]).trim_start_matches('0'));
    }
}
