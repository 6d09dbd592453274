//! Sealing beside others' work: the published vectors, another implementation of age, and bounded memory.
//!
//! The vectors are those of github.com/C2SP/CCTV (0BSD, CC0-1.0 or Unlicense), as its npm package `cctv-age` has them.
//! `tests/seal/setup` fetches them and `age-encryption`.

#![cfg(test)]

mod open;

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use resguardo::host::random::{Random as _, SeededRandom};
use resguardo::seal::key_file::{SecretKey, WorkFactor, wrapped};
use resguardo::seal::{OpenError, Opening, OpeningKey, open_any, open_bytes, seal, seal_bytes};

const MANY: u64 = 1 << 30;

fn key(seed: u64) -> OpeningKey {
    OpeningKey::generate(|bytes| SeededRandom::new(seed).fill(bytes))
}

/// Has the other implementation do something with bytes.
fn other(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node");
    let there = folder.join("node_modules/.installed").exists();
    assert!(there, "run tests/seal/setup first: {} has nothing installed", folder.display());
    let mut command = Command::new(folder.join("node"));
    command.current_dir(folder).args(["--input-type=module", "--eval", include_str!("age.mjs"), "--"]);
    let mut child =
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node starts");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{arguments:?}");
    ended.stdout
}

/// In hexadecimal digits, as the vectors have it.
fn sha256(bytes: &[u8]) -> String {
    let hash = digest(&SHA256, bytes);
    hash.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// What a published vector says should come of it, and what came.
fn outcomes(folder: &Path, name: &str) -> (String, String) {
    let about = fs::read_to_string(folder.join(format!("{name}.about"))).unwrap();
    let said = |field: &'static str| {
        about.lines().filter_map(move |line| line.strip_prefix(field)?.strip_prefix(": "))
    };
    let file = fs::read(folder.join(format!("{name}.age"))).unwrap();
    let keys: Vec<_> = said("identity").filter_map(|text| OpeningKey::from_text(text).ok()).collect();
    assert!(!keys.is_empty(), "{name}: {about}");
    let expected = match said("payload").next().filter(|_| said("expect").any(|it| it == "success")) {
        Some(hash) => hash.to_owned(),
        // Its damage is in a stanza of plain X25519, whose keys we do not have: there is nothing in it for us.
        None if name == "hybrid_x25519_arg" => "no match".to_owned(),
        None => said("expect").next().unwrap().to_owned(),
    };
    let mut clear = Vec::new();
    let came = match open_any(file.as_slice(), &keys, MANY, &mut clear) {
        Ok(()) => sha256(&clear),
        Err(OpenError::NotForTheseKeys { .. }) => "no match".to_owned(),
        Err(OpenError::Header(_)) => "header failure".to_owned(),
        Err(error) => error.to_string(),
    };
    (expected, came)
}

/// The published vectors in a folder, and their names.
fn vectors() -> (tempfile::TempDir, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    other(&["vectors", folder.path().to_str().unwrap()], b"");
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "about"));
    let mut names: Vec<_> =
        files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 19, "{names:?}");
    (folder, names)
}

#[test]
fn the_published_vectors_for_hybrid_recipients_come_out_as_they_say() {
    let (folder, names) = vectors();
    for name in names {
        let (expected, came) = outcomes(folder.path(), &name);
        assert_eq!(came, expected, "{name}");
    }
}

#[test]
fn the_published_vectors_come_out_of_the_client_in_python_as_they_say() {
    let (folder, names) = vectors();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("target/python/venv/bin/python");
    assert!(program.exists(), "run examples/python/setup first: {} is missing", program.display());
    let mut command = Command::new(program);
    command.args(["-B", "-c", include_str!("vectors.py")]).arg(root.join("examples/python"));
    command.arg(root.join("target/python/generated")).arg(folder.path());
    let ran = command.stderr(Stdio::inherit()).output().unwrap();
    let told = String::from_utf8(ran.stdout).unwrap();
    let came: Vec<_> = told.lines().filter_map(|line| line.split_once('\t')).collect();
    assert_eq!(came.len(), names.len(), "{told}");
    for (name, came) in came {
        // A sealing is never armored, and so the client does not read it.
        let armored = name == "armor_hybrid";
        let expected = if armored { "header failure".to_owned() } else { outcomes(folder.path(), name).0 };
        assert_eq!(came, expected, "{name}");
    }
}

#[test]
fn each_implementation_opens_what_the_other_sealed() {
    let (own, content) = (key(1), vec![0xa5; 200_000]);
    let sealed = seal_bytes(&[key(2).recipient(), own.recipient()], b"from a to b", &content).unwrap();
    let clear = other(&["decrypt", &own.to_text()], &sealed);
    assert_eq!(clear[..16], *b"RSG1\x0b\0\0\0\x40\x0d\x03\0\0\0\0\0");
    assert_eq!(clear[16..27], *b"from a to b");
    assert_eq!(clear[27..200_027], content);

    let recipient = own.recipient().to_string();
    let theirs = other(&["encrypt", &recipient], &clear);
    let opened = open_bytes(&theirs, std::slice::from_ref(&own), MANY).unwrap();
    assert_eq!((opened.manifest, opened.content), (b"from a to b".to_vec(), content));
    let any = other(&["encrypt", &recipient], b"a note from elsewhere");
    let mut note = Vec::new();
    open_any(any.as_slice(), std::slice::from_ref(&own), MANY, &mut note).unwrap();
    assert_eq!(note, b"a note from elsewhere");

    let file = wrapped(&SecretKey::Opening(own.clone()), "correcto caballo", WorkFactor::TEST).unwrap();
    let text = other(&["decrypt-passphrase", "correcto caballo"], file.as_bytes());
    assert_eq!(text, format!("{}\n", own.to_text().as_str()).as_bytes());
}

/// Bytes of the large content: the largest file that there is.
const LARGE: u64 = 2 << 30;
/// What sealing and opening it may cost together.
const MOST: u64 = 8 << 20;

/// The most memory that this process has had so far, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

const NOUGHT: [u8; 4096] = [0; 4096];

/// Counts zeros, and nothing else comes.
struct Zeros(u64);

impl Write for Zeros {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Compared in one go: there are two thousand million of them.
        assert!(bytes.chunks(NOUGHT.len()).all(|chunk| *chunk == NOUGHT[..chunk.len()]));
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sealed_and_opened(bytes: u64) {
    let (reader, writer) = io::pipe().unwrap();
    let recipients: Vec<_> = (0..7).map(|seed| key(seed).recipient()).collect();
    let sealer = std::thread::Builder::new().spawn(move || {
        let mut content = io::repeat(0).take(bytes);
        drop(seal(&recipients, b"manifest", &mut content, bytes, writer).unwrap());
    });
    let opening = Opening::begin(reader, &[key(6)], bytes).unwrap();
    let mut zeros = Zeros(0);
    assert_eq!(opening.finish(&mut zeros).unwrap(), b"manifest");
    assert_eq!(zeros.0, bytes);
    sealer.unwrap().join().unwrap();
}

#[test]
fn a_large_content_is_sealed_and_opened_in_little_memory() {
    const ALONE: &str = "RESGUARDO_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // Other tests of this process have memory of their own.
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", "a_large_content_is_sealed_and_opened_in_little_memory"]).env(ALONE, "1");
        assert!(alone.status().unwrap().success());
        return;
    }
    sealed_and_opened(1000);
    let before = peak();
    sealed_and_opened(LARGE);
    let cost = peak() - before;
    assert!(cost < MOST, "{cost} bytes");
}
