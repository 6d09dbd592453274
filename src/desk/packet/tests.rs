//! Manifests that others wrote, with every intent: refused with words of their own, or read as they are.

use std::path::Path;

use super::catalogue::Catalogue;
use super::*;
use crate::desk::home::tests::home_on;
use crate::desk::inbox::{Inbox, InboxWriter};
use crate::desk::members::tests::keep_copy;
use crate::desk::opener::{Opener, Reader};
use crate::desk::outbox::{Outbox, Outgoing};
use crate::desk::sample::{NOW, delivery_of, envelope, id, keys, policy, signed, writer};
use crate::desk::sealer::SealerError;
use crate::host::disk::{Disk as _, MemoryDisk, OpenMode};
use crate::model::envelope::{FILE_BYTES_MAX, MessageClass};
use crate::seal::{OpeningKey, seal_bytes, sha256};
use crate::wire::manifest::{Part, SealedManifest};

fn file(name: &str, digest: u8, bytes: u64) -> proto::PacketFile {
    let sha256: Bytes = vec![digest; 32].into();
    let sealed = Some(proto::FileRef { sha256: sha256.clone(), bytes });
    proto::PacketFile { name: name.into(), bytes, sha256, sealed }
}

fn named(names: &[&str]) -> proto::PacketManifest {
    let files = (1..=u8::MAX).cycle().zip(names).map(|(digest, name)| file(name, digest, 10)).collect();
    proto::PacketManifest {
        title: "Threats in March".into(),
        line_of_action: "studies".into(),
        version: 1,
        files,
        ..Default::default()
    }
}

/// What is said of a manifest; empty: it is read.
fn said(manifest: &proto::PacketManifest) -> String {
    Manifest::read(&manifest.encode_to_vec().into()).err().map_or_else(String::new, |error| error.to_string())
}

/// The manifest of a good packet, with one thing changed.
fn changed(change: impl FnOnce(&mut proto::PacketManifest)) -> String {
    let mut manifest = named(&["a", "b"]);
    change(&mut manifest);
    said(&manifest)
}

#[test]
fn name_that_is_more_than_a_name_is_refused_with_the_name() {
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    // Two bytes a letter: it is bytes that a disk counts.
    let accents = "é".repeat(128);
    for name in [
        "",
        ".",
        "..",
        "/",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a/",
        "./a",
        "a\\b",
        "..\\a",
        "C:\\a",
        "nul\0",
        "\0",
        "line\nfeed",
        "tab\t",
        "bell\u{7}",
        "escape\u{1b}[2J",
        "delete\u{7f}",
        "c1\u{9b}",
        "fdp.\u{202e}exe",
        "isolate\u{2066}",
        "mark\u{200f}",
        "zero\u{200b}width",
        "joiner\u{200d}",
        "bom\u{feff}",
        "soft\u{ad}hyphen",
        "para\u{2029}graph",
        "filler\u{3164}",
        "tag\u{e0041}",
        &long,
        &accents,
    ] {
        let told = said(&named(&["before", name]));
        let quoted = format!("{name:?} is no name for a packet's file: 1 to 255 bytes");
        assert!(told.starts_with(&quoted), "{name:?}: {told}");
        assert!(!told.chars().any(char::is_control), "{name:?} acts in what is told of it");
    }
    for name in
        ["a", "...", ".hidden", "-rf", "Informe de marzo (2).pdf", "año.csv", "报告", "x: y", &long[1..]]
    {
        assert_eq!(said(&named(&[name])), "", "{name:?}");
    }
}

#[test]
fn names_that_some_disk_takes_for_one_are_refused() {
    for (one, other) in [
        ("a", "a"),
        ("Report.PDF", "report.pdf"),
        ("ÉTÉ", "été"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("CAFE\u{301}", "caf\u{e9}"),
        ("\u{212b}ngstr\u{f6}m", "a\u{30a}ngstro\u{308}m"),
        ("\u{1e69}", "s\u{307}\u{323}"),
    ] {
        let told = said(&named(&["x", one, other]));
        assert_eq!(told, format!("two files have the name {other:?}"), "{one:?}");
    }
    assert_eq!(said(&named(&["a", "a.", "a b", "ab", "ä"])), "");
}

#[test]
fn counts_sizes_and_digests_beyond_their_bounds_are_refused() {
    let names: Vec<_> = (0..5_000).map(|number| format!("file-{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(said(&named(&names)), "a packet has 1 to 64 files; this has 5000");
    assert_eq!(said(&named(&names[..65])), "a packet has 1 to 64 files; this has 65");
    assert_eq!(said(&named(&[])), "a packet has 1 to 64 files; this has 0");
    assert_eq!(said(&named(&names[..64])), "");
    for bytes in [FILE_BYTES_MAX + 1, 1 << 63, u64::MAX] {
        let told = changed(|it| it.files[1].bytes = bytes);
        assert!(told.contains(&format!("has {bytes} bytes; a file has at most")), "{told}");
    }
    // As large as can be, all of them together still count.
    let full = proto::PacketManifest {
        files: (0..64).map(|at| file(&format!("file-{at}"), at, FILE_BYTES_MAX)).collect(),
        ..named(&[])
    };
    let full = Manifest::read(&full.encode_to_vec().into()).unwrap();
    assert_eq!(full.bytes_in_all(), 64 * FILE_BYTES_MAX);
    for length in [0, 1, 31, 33, 64] {
        let told = changed(|it| it.files[0].sha256 = vec![1; length].into());
        assert_eq!(told, "the SHA-256 of \"a\" has not 32 bytes");
    }
}

#[test]
fn every_other_field_is_refused_with_its_name() {
    let words = |bytes: usize| "x".repeat(bytes);
    let day = |from: &str, to: &str| {
        changed(|it| (it.period_from, it.period_to) = (from.to_owned(), to.to_owned()))
    };
    for (told, expected) in [
        (changed(|it| it.title.clear()), "title: 1 to 256 bytes"),
        (changed(|it| it.title = words(257)), "title: 1 to 256 bytes"),
        (changed(|it| it.territory = words(257)), "territory: 0 to 256 bytes"),
        (changed(|it| it.method = words(4_097)), "method: 0 to 4096 bytes"),
        (changed(|it| it.line_of_action = "../studies".into()), "line of action: "),
        (changed(|it| it.line_of_action.clear()), "line of action: "),
        (changed(|it| it.version = 0), "version 1 supersedes nothing"),
        (changed(|it| it.version = u32::MAX), "version 1 supersedes nothing"),
        (changed(|it| it.supersedes = vec![0; 16].into()), "no message id"),
        (changed(|it| it.supersedes = vec![7; 15].into()), "no message id"),
        (day("2026-03-32", "2026-04-01"), "is no day"),
        (day("2026-03-31", ""), "is no day"),
        (day("2026-03-31", "2026-03-30"), "ends before it begins"),
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let source = |grade: &str, text: &str| proto::PacketSource { grade: grade.into(), text: text.into() };
    assert!(changed(|it| it.sources = vec![source("Z9", "x")]).contains("is no grade"));
    assert!(changed(|it| it.sources = vec![source("A1", "")]).contains("source: 1 to 1024 bytes"));
    assert!(changed(|it| it.sources = vec![source("A1", "x"); 65]).contains("at most 64 sources"));
    assert!(Manifest::read(&Bytes::from_static(b"\xff\xff no protobuf")).is_err());
}

fn opening() -> OpeningKey {
    OpeningKey::generate(|bytes| bytes.fill(8))
}

/// Keeps a packet of `iachr` whose envelope lists what its manifest names, or what is given.
fn keep(
    writer: &mut InboxWriter,
    index: u64,
    manifest: &proto::PacketManifest,
    supersedes: Option<MessageId>,
) {
    let content = manifest.encode_to_vec();
    let mut envelope = envelope(index, "iachr", "ohchr-honduras", b"");
    envelope.class = MessageClass::Packet;
    envelope.references = supersedes.into_iter().collect();
    envelope.files = Manifest::read(&content.clone().into()).map(|it| it.file_refs()).unwrap_or_default();
    let inner = SealedManifest::of(&envelope, Part::Payload, sha256(&content)).signed_by(&keys("iachr")[0]);
    let payload = seal_bytes(&[opening().recipient()], &inner, &content).unwrap();
    envelope.payload_bytes = payload.len() as u64;
    envelope.payload_digest = sha256(&payload);
    let delivery = delivery_of(index, signed(&envelope), &payload);
    writer.keep(vec![delivery], NOW, false).unwrap();
}

fn version(of: MessageId) -> proto::PacketManifest {
    let supersedes = Bytes::copy_from_slice(of.as_bytes());
    proto::PacketManifest { version: 2, supersedes, ..named(&["a"]) }
}

#[test]
fn manifest_of_another_envelope_is_refused() {
    let manifest = named(&["a", "b"]);
    let payload: Bytes = manifest.encode_to_vec().into();
    let mut envelope = envelope(1, "iachr", "ohchr-honduras", &payload);
    let read = |envelope: &Envelope, payload: &Bytes| {
        Manifest::of(envelope, payload).err().map_or_else(String::new, |error| error.to_string())
    };
    envelope.files = Manifest::read(&payload).unwrap().file_refs();
    assert_eq!(read(&envelope, &payload), "");
    let not_listed = "its files are not those that the envelope lists";
    for change in [
        (|files: &mut Vec<FileRef>| files.truncate(1)) as fn(&mut Vec<FileRef>),
        |files| files[0].bytes += 1,
        |files| files[0].digest.0[31] ^= 1,
        |files| files.reverse(),
        Vec::clear,
    ] {
        let mut other = envelope.clone();
        change(&mut other.files);
        assert_eq!(read(&other, &payload), not_listed);
    }
    // One content under two names is one file; with two sizes it is none that an envelope can list.
    let twice =
        |bytes| proto::PacketManifest { files: vec![file("a", 1, 5), file("b", 1, bytes)], ..named(&[]) };
    assert_eq!(Manifest::read(&twice(5).encode_to_vec().into()).unwrap().file_refs().len(), 1);
    envelope.files = vec![FileRef { digest: FileDigest([1; 32]), bytes: 5 }];
    assert_eq!(read(&envelope, &twice(5).encode_to_vec().into()), "");
    assert_eq!(read(&envelope, &twice(6).encode_to_vec().into()), not_listed);
    let superseding: Bytes = version(id(9)).encode_to_vec().into();
    envelope.files = Manifest::read(&superseding).unwrap().file_refs();
    assert_eq!(read(&envelope, &superseding), "it supersedes a packet that the envelope does not refer to");
}

#[test]
fn catalogue_of_packets_that_supersede_in_circles_and_cannot_be_read_is_listed_whole() {
    let disk = MemoryDisk::new();
    let home = home_on(&disk);
    keep_copy(&home, &policy());
    let mut writer = writer(&home).unwrap();
    // 1 and 2 supersede each other, 3 itself, 4 something that nobody has; 5 cannot be read.
    for (index, of) in [(1, 2), (2, 1), (3, 3), (4, 99)] {
        keep(&mut writer, index, &version(id(of)), Some(id(of)));
    }
    keep(&mut writer, 5, &named(&["../../outside"]), None);
    let catalogue = Catalogue::of(
        &Inbox::open(&home).unwrap(),
        &Outbox::open(&home).unwrap(),
        &Reader::of(&home, Some(Opener::new(vec![opening()]))),
    )
    .unwrap();
    assert!(catalogue.damaged.is_empty());
    let found: Vec<_> = catalogue.entries.iter().map(|it| it.index.unwrap().0).collect();
    assert_eq!(found, [5, 4, 3, 2, 1]);
    for entry in &catalogue.entries {
        let history = catalogue.history(entry);
        assert!((1..=5).contains(&history.len()), "it ends");
        assert!(history.iter().any(|it| it.envelope.message_id == entry.envelope.message_id));
    }
    let unreadable = catalogue.entries[0].manifest.as_ref().unwrap_err().to_string();
    assert!(unreadable.contains("is no name"), "{unreadable}");
    assert!(disk.list(Path::new("/home/files")).is_err(), "nothing was written");
}

#[test]
fn a_file_that_was_not_sealed_for_its_packet_is_not_opened() {
    const WORDS: &[u8] = b"what the file holds";
    let disk = MemoryDisk::new();
    let at = Path::new("/file");
    let ([attended, unattended], [foreign, _]) = (keys("iachr"), keys("ohchr-honduras"));
    let envelope = envelope(1, "iachr", "ohchr-honduras", b"");
    let good = SealedManifest::of(&envelope, Part::File, sha256(WORDS));
    let opened = |inner: &[u8], content: &[u8], expected: &[u8]| {
        let sealed = seal_bytes(&[opening().recipient()], inner, content).unwrap();
        disk.write_atomically(at, &sealed).unwrap();
        let source = disk.open(at, OpenMode::Read).unwrap();
        let target = disk.open(Path::new("/target"), OpenMode::Replace).unwrap();
        let clear = FileRef { digest: FileDigest(sha256(expected)), bytes: expected.len() as u64 };
        let file = PacketFile { name: "a".into(), file: clear, sealed: None };
        let opens = sealed::Opens {
            opener: &Opener::new(vec![opening()]),
            resealed: None,
            policy: &policy(),
            envelope: &envelope,
        };
        sealed::open_file(opens, &file, source, target).map_err(|error| error.to_string())
    };
    let with = |change: &dyn Fn(&mut SealedManifest)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        manifest.signed_by(&attended)
    };
    assert_eq!(opened(&good.signed_by(&attended), WORDS, WORDS), Ok(()));
    for (what, inner, words) in [
        ("of another packet", with(&|it| it.message_id = id(9)), "message id is not the envelope's"),
        ("for others", with(&|it| it.recipients.push("ohchr-peru".parse().unwrap())), "list of recipients"),
        ("a payload", with(&|it| it.part = Part::Payload), "its part"),
        ("about other words", with(&|it| it.content_digest[0] ^= 1), "its content"),
        ("signed by a machine", good.signed_by(&unattended), "while nobody is there"),
        ("signed by another office", good.signed_by(&foreign), "is none of"),
    ] {
        let said = opened(&inner, WORDS, WORDS).unwrap_err();
        assert!(said.contains(words), "{what}: {said:?} does not say {words:?}");
    }
    // Its sender sealed it for this packet, in the place of another file.
    let said = opened(&good.signed_by(&attended), WORDS, b"what the packet names").unwrap_err();
    assert!(said.contains("its file is not the envelope's"), "{said}");
}

#[test]
fn a_file_that_changed_since_the_packet_was_made_is_not_sealed() {
    let disk = MemoryDisk::new();
    let (home, source) = (home_on(&disk), Path::new("/file"));
    let envelope = envelope(1, "iachr", "ohchr-honduras", b"");
    let mut manifest = Manifest::read(&named(&["a"]).encode_to_vec().into()).unwrap();
    let file = FileRef { digest: FileDigest(sha256(b"the words")), bytes: 9 };
    manifest.files[0] = PacketFile { file, sealed: None, ..manifest.files[0].clone() };
    let outgoing = Outgoing {
        envelope: envelope.clone(),
        envelope_bytes: Bytes::new(),
        payload: Bytes::new(),
        to_members: false,
        name: None,
        sources: vec![source.to_owned()],
        seen: None,
        erased: false,
        outcome: None,
        promise: None,
    };
    let seal = |words: &[u8]| {
        disk.write_atomically(source, words).unwrap();
        let keys = (&[opening().recipient()][..], &keys("iachr")[0]);
        sealed::seal_files(&home, &outgoing, &envelope, manifest.clone(), keys)
    };
    assert!(seal(b"the words").unwrap().files[0].sealed.is_some());
    for changed in [&b"New words"[..], b"the word", b"the words and more"] {
        let said = seal(changed).unwrap_err();
        assert!(matches!(&said, SealerError::Changed(path) if path == source), "{said}");
    }
}
