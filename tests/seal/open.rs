//! `resguardo open`: files of another program's making, opened by the real one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use resguardo::seal::key_file::{KeyFile, WorkFactor, wrapped};
use resguardo::seal::seal_bytes;

use super::{key, other};

const PROGRAM: &str = env!("CARGO_BIN_EXE_resguardo");

/// The homes of a development set.
struct Homes(tempfile::TempDir);

impl Homes {
    fn made() -> Self {
        let dir = tempfile::tempdir().expect("a folder can be made");
        let made = Command::new(PROGRAM).args(["certs", "dev", "--dir"]).arg(dir.path().join("set")).output();
        let made = made.expect("the program starts");
        assert!(made.status.success(), "{made:?}");
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("set").join(name)
    }

    /// The office's key to seal to, as its request for the registrars has it.
    fn recipient(&self, home: &str) -> String {
        let request = fs::read_to_string(self.path(home).join("keys/request")).expect("keys were made");
        let line = request.lines().find_map(|line| line.strip_prefix("recipient = \""));
        line.expect("an office has a recipient").trim_end_matches('"').to_owned()
    }

    fn open(&self, home: &str, file: &Path, more: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.arg("--home").arg(self.path(home)).arg("open").arg(file).args(more);
        command.stdin(Stdio::null()).output().expect("the program starts")
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("the folder is there");
        path
    }

    /// What lies beside a file that was opened, by its beginning.
    fn names(&self, beginning: &str) -> Vec<String> {
        let names = fs::read_dir(self.path("")).expect("the folder is there");
        let names =
            names.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(beginning)).collect()
    }
}

fn said(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

#[test]
fn a_file_of_another_program_is_opened_in_both_forms_to_both_places() {
    let homes = Homes::made();
    let content = b"a note from elsewhere\n".repeat(10_000);
    for command in ["encrypt", "encrypt-armored"] {
        let file = homes.file("note.age", &other(&[command, &homes.recipient("iachr")], &content));
        let shown = homes.open("iachr", &file, &[]);
        assert!(shown.status.success() && shown.stdout == content, "{command}: {}", said(&shown));
        let to = homes.path("clear");
        let written = homes.open("iachr", &file, &["--to", to.to_str().expect("UTF-8")]);
        assert!(written.status.success() && written.stdout.is_empty(), "{}", said(&written));
        assert_eq!(fs::read(&to).expect("it was written"), content);
        let mode = fs::metadata(&to).expect("it was written").permissions().mode();
        assert_eq!((mode & 0o777, homes.names("clear")), (0o600, vec!["clear".to_owned()]));
        let again = homes.open("iachr", &file, &["--to", to.to_str().expect("UTF-8")]);
        assert!(again.status.code() == Some(2) && said(&again).contains("is there"), "{}", said(&again));
        fs::remove_file(to).expect("it was written");
    }
}

#[test]
fn nothing_is_shown_or_left_of_a_file_that_is_not_whole_or_for_others() {
    let homes = Homes::made();
    let content = vec![b'x'; 300_000];
    let sealed = other(&["encrypt", &homes.recipient("iachr")], &content);
    let armored = other(&["encrypt-armored", &homes.recipient("iachr")], &content);
    let mut changed = sealed.clone();
    changed[200_000] ^= 1;
    let theirs = other(&["encrypt", &homes.recipient("ohchr-mexico")], &content);
    for (bytes, code, words) in [
        (&sealed[..sealed.len() - 100_000], 5, "changed or cut"),
        (&sealed[..sealed.len() - 1], 5, "changed or cut"),
        (&sealed[..300], 5, "header is damaged"),
        (&armored[..armored.len() - 50_000], 5, "changed or cut"),
        (&changed, 5, "changed or cut"),
        (&theirs, 2, "sealed to other keys"),
        (&content, 2, "no age file"),
    ] {
        let file = homes.file("bad.age", bytes);
        for more in [&[][..], &["--to", homes.path("clear").to_str().expect("UTF-8")]] {
            let ran = homes.open("iachr", &file, more);
            assert_eq!((ran.status.code(), ran.stdout.len()), (Some(code), 0), "{words}: {}", said(&ran));
            assert!(said(&ran).contains(words), "{words}: {}", said(&ran));
            assert!(homes.names("clear").is_empty(), "{words}");
        }
    }
}

#[test]
fn what_the_exchange_sealed_comes_without_manifest_and_padding() {
    let homes = Homes::made();
    let recipient = homes.recipient("iachr").parse().expect("a request has a recipient");
    let file = homes.file(
        "ours.age",
        &seal_bytes(&[recipient, key(3).recipient()], b"manifest", b"content").expect("two recipients"),
    );
    let ran = homes.open("iachr", &file, &[]);
    assert_eq!(ran.stdout, b"content", "{}", said(&ran));
    assert!(said(&ran).contains("whose it is was not checked"), "{}", said(&ran));
}

#[test]
fn keys_that_a_passphrase_wraps_open_with_it_alone() {
    let homes = Homes::made();
    for name in ["attended", "office"] {
        let path = homes.path("iachr/keys").join(name);
        let Ok(KeyFile::Plain(_, key)) = KeyFile::parse(&fs::read(&path).expect("keys were made")) else {
            panic!("a development set has plain keys");
        };
        fs::write(&path, wrapped(&key, "correcto caballo", WorkFactor::TEST).expect("a passphrase"))
            .expect("it is ours");
    }
    let file = homes.file("note.age", &other(&["encrypt", &homes.recipient("iachr")], b"note"));
    let by = |passphrase: &str| {
        let path = homes.file("passphrase", passphrase.as_bytes());
        homes.open("iachr", &file, &["--passphrase-file", path.to_str().expect("UTF-8")])
    };
    assert_eq!(by("correcto caballo\n").stdout, b"note");
    let wrong = by("otro caballo\n");
    assert!(wrong.status.code() == Some(2) && said(&wrong).contains("wrong passphrase"), "{}", said(&wrong));
    let nobody = homes.open("iachr", &file, &[]);
    assert!(nobody.status.code() == Some(2) && nobody.stdout.is_empty(), "{}", said(&nobody));
    fs::remove_file(homes.path("iachr/keys/office")).expect("it was there");
    let further = by("correcto caballo\n");
    assert!(
        further.status.code() == Some(2) && said(&further).contains("another desk"),
        "{}",
        said(&further)
    );
}
