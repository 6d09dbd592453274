//! Sealing and opening: sizes, a sealing that was kept, streams, and each way in which a file can be wrong.

use std::io::{self, Read, Write};

use age_core::format::{FileKey, Stanza};
use proptest::prelude::*;

use super::opening;
use crate::seal::{
    MANIFEST_BYTES_MAX, OpenError, Opened, Opening, OpeningKey, RECIPIENTS_MAX, Recipient, SealError,
    open_any, open_bytes, padded_bytes, seal, seal_bytes,
};

const MANY: u64 = 1 << 30;
/// A sealing of the manifest `b"from a to b"` and the content `b"an alert"` for `opening(1)` and `opening(2)`.
const KEPT: &[u8] = include_bytes!("sealed.age");

fn recipients(numbers: &[u8]) -> Vec<Recipient> {
    numbers.iter().map(|number| opening(*number).recipient()).collect()
}

fn sample() -> Vec<u8> {
    seal_bytes(&recipients(&[1, 2]), b"from a to b", b"an alert").unwrap()
}

fn sample_opened() -> Opened {
    Opened { manifest: b"from a to b".to_vec(), content: b"an alert".to_vec() }
}

fn refused(sealed: &[u8]) -> OpenError {
    open_bytes(sealed, &[opening(1)], MANY).unwrap_err()
}

/// Encrypts any clear text as an age file, as other software would.
fn foreign(clear: &[u8]) -> Vec<u8> {
    let recipient = opening(1).recipient();
    let encryptor = age::Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
    let mut into = encryptor.unwrap().wrap_output(Vec::new()).unwrap();
    into.write_all(clear).unwrap();
    into.finish().unwrap()
}

/// Where the part after the header begins.
fn body_at(sealed: &[u8]) -> usize {
    sealed.windows(4).position(|it| it == b"\n---").unwrap() + 49
}

fn clear(manifest_bytes: u32, content_bytes: u64, rest: &[u8]) -> Vec<u8> {
    [b"RSG1", &manifest_bytes.to_le_bytes()[..], &content_bytes.to_le_bytes(), rest].concat()
}

#[test]
fn every_recipient_opens_a_sealing_that_was_kept_and_nobody_else() {
    for number in [1, 2] {
        // A key that was replaced stays at hand for what was sealed to it.
        let keys = [opening(9), opening(number)];
        assert_eq!(open_bytes(KEPT, &keys, MANY).unwrap(), sample_opened());
        assert_eq!(open_bytes(&sample(), &keys, MANY).unwrap(), sample_opened());
    }
    let tried = [opening(3), opening(4)];
    assert!(matches!(open_bytes(KEPT, &tried, MANY), Err(OpenError::NotForTheseKeys { tried: 2 })));
    assert!(matches!(open_bytes(KEPT, &[], MANY), Err(OpenError::NotForTheseKeys { tried: 0 })));
    assert_ne!(sample(), sample());
}

#[test]
fn sizes_tell_their_step_alone() {
    let steps = [
        (0, 4096),
        (4096, 4096),
        (4097, 16_384),
        (16_385, 65_536),
        (65_536, 65_536),
        (65_537, 67_584),
        (67_585, 69_632),
        (1 << 20, 1 << 20),
        ((1 << 20) + 1, (1 << 20) + (1 << 15)),
        (1 << 31, 1 << 31),
        ((1 << 31) + 1, (1 << 31) + (1 << 26)),
    ];
    for (bytes, padded) in steps {
        assert_eq!(padded_bytes(bytes), Some(padded), "{bytes}");
    }
    assert_eq!(padded_bytes(u64::MAX), None);

    let body = |manifest: usize, content: usize| {
        let sealed = seal_bytes(&recipients(&[1]), &vec![7; manifest], &vec![7; content]).unwrap();
        sealed.len() - body_at(&sealed)
    };
    // A nonce of 16 bytes, and a tag of 16 for each 64 KiB.
    assert_eq!(body(0, 0), 16 + 4096 + 16);
    assert_eq!(body(80, 4000), 16 + 4096 + 16);
    assert_eq!(body(81, 4000), 16 + 16_384 + 16);
    assert_eq!(body(0, 65_520), 16 + 65_536 + 16);
    assert_eq!(body(0, 65_521), 16 + 67_584 + 32);
}

#[test]
fn a_stanza_has_the_formats_length() {
    let sealed = seal_bytes(&recipients(&[1, 2, 3]), b"", b"").unwrap();
    let text = String::from_utf8_lossy(&sealed);
    let stanzas = text.split("-> ").filter(|it| it.starts_with("mlkem768x25519 "));
    assert_eq!(stanzas.map(|it| it.len() + 3).collect::<Vec<_>>(), [1557; 3]);
}

#[test]
fn what_cannot_be_sealed_is_refused_before_a_byte_is_written() {
    let none: &mut dyn Read = &mut io::empty();
    assert!(matches!(seal(&[], b"", none, 0, Broken), Err(SealError::NoRecipients)));
    let many = vec![opening(1).recipient(); RECIPIENTS_MAX + 1];
    assert!(matches!(seal(&many, b"", none, 0, Broken), Err(SealError::TooManyRecipients { found: 1025 })));
    let to = recipients(&[1]);
    let manifest = vec![0; MANIFEST_BYTES_MAX + 1];
    assert!(matches!(seal(&to, &manifest, none, 0, Broken), Err(SealError::ManifestTooLarge { .. })));
    assert!(matches!(seal(&to, b"", none, u64::MAX, Broken), Err(SealError::ContentTooLarge { .. })));
    assert!(matches!(seal(&to, b"", none, 0, Broken), Err(SealError::Write(_))));
}

#[test]
fn a_content_of_another_length_or_that_breaks_is_not_sealed() {
    let to = recipients(&[1]);
    let sealed = |content: &mut dyn Read, told| seal(&to, b"", content, told, io::sink()).map(|_| ());
    assert!(matches!(sealed(&mut &[1; 5][..], 6), Err(SealError::ContentLength { told: 6, found: 5 })));
    assert!(matches!(sealed(&mut &[1; 9][..], 6), Err(SealError::ContentLength { told: 6, found: 7 })));
    assert!(matches!(sealed(&mut io::repeat(1), 6), Err(SealError::ContentLength { told: 6, found: 7 })));
    assert!(matches!(sealed(&mut [1; 3].chain(Broken), 6), Err(SealError::Read(_))));
    assert!(sealed(&mut &[1; 6][..], 6).is_ok());
}

#[test]
fn the_most_recipients_that_are_sealed_to_can_all_open() {
    let mut many = vec![opening(1).recipient(); RECIPIENTS_MAX - 1];
    many.push(opening(2).recipient());
    let sealed = seal_bytes(&many, b"m", b"c").unwrap();
    assert_eq!(open_bytes(&sealed, &[opening(2)], MANY).unwrap().content, b"c");
}

#[test]
fn a_damaged_header_is_told() {
    let sealed = sample();
    let end = body_at(&sealed);
    // The second cut and the last but two are ends of lines.
    for cut in [0, 22, 1, 30, end - 48, end - 20, end - 1] {
        assert!(matches!(refused(&sealed[..cut]), OpenError::Header(_)), "{cut}");
    }
    let mut changed = sealed.clone();
    changed[end - 10] ^= 1;
    assert!(matches!(refused(&changed), OpenError::Header(_)));
    let other = [&b"age-encryption.org/v2"[..], &sealed[21..]].concat();
    assert!(matches!(refused(&other), OpenError::Header(_)));
    assert!(matches!(refused(&vec![b'x'; 70_000]), OpenError::Header(_)));
    // A recipient is taken out: what is left no longer has this authentication code.
    let text = |from: usize| sealed[from..].windows(3).position(|it| it == b"-> ").map(|at| at + from);
    let second = text(text(0).unwrap() + 1).unwrap();
    let fewer = [&sealed[..second], &sealed[second + 1557..]].concat();
    assert!(matches!(refused(&fewer), OpenError::Header(_)));
    let endless = b"age-encryption.org/v1\n".iter().chain(b"-> x y\nAAAA\n".iter().cycle()).copied();
    let endless: Vec<u8> = endless.take(4 << 20).collect();
    assert!(matches!(refused(&endless), OpenError::TooLarge { what: "a header", .. }));
}

#[test]
fn a_content_that_was_changed_or_cut_is_told() {
    let sealed = seal_bytes(&recipients(&[1]), b"m", &vec![5; 200_000]).unwrap();
    let start = body_at(&sealed);
    let whole_chunks = start + 16 + 2 * 65_552;
    for cut in [start, start + 15, start + 16, start + 17, whole_chunks, whole_chunks + 1, sealed.len() - 1] {
        assert!(matches!(refused(&sealed[..cut]), OpenError::Changed), "{cut}");
    }
    for at in [start, start + 16, start + 70_000, sealed.len() - 1] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(matches!(refused(&changed), OpenError::Changed), "{at}");
    }
    assert!(matches!(refused(&[&sealed[..], b"x"].concat()), OpenError::Changed));
    let chunk = |number: usize| &sealed[start + 16 + number * 65_552..start + 16 + (number + 1) * 65_552];
    let exchanged = [&sealed[..start + 16], chunk(1), chunk(0), &sealed[start + 16 + 2 * 65_552..]].concat();
    assert!(matches!(refused(&exchanged), OpenError::Changed));
}

#[test]
fn a_padding_that_hides_something_is_told() {
    let padded = |rest: &[u8], zeros: usize| clear(1, 2, &[rest, &vec![0; zeros]].concat());
    let good = padded(b"mcc", 4096 - 19);
    assert_eq!(open_bytes(&foreign(&good), &[opening(1)], MANY).unwrap().content, b"cc");
    for zeros in [0, 4096 - 20, 4096 - 18, 16_384 - 19] {
        assert!(matches!(refused(&foreign(&padded(b"mcc", zeros))), OpenError::Padding), "{zeros}");
    }
    for at in [19, 4095] {
        let mut bad = good.clone();
        bad[at] = 1;
        assert!(matches!(refused(&foreign(&bad)), OpenError::Padding), "{at}");
    }
    // The file ends inside its content, inside its manifest.
    assert!(matches!(refused(&foreign(&clear(1, 9000, &[0; 4080]))), OpenError::Padding));
    assert!(matches!(refused(&foreign(&clear(9000, 0, &[0; 4080]))), OpenError::Padding));
}

#[test]
fn what_is_too_large_is_told_before_it_is_read() {
    let sealed = seal_bytes(&recipients(&[1]), b"m", &[5; 100]).unwrap();
    let opened = open_bytes(&sealed, &[opening(1)], 99);
    assert!(matches!(opened, Err(OpenError::TooLarge { found: 100, allowed: 99, .. })));
    let manifest = foreign(&clear(u32::MAX, 0, &[0; 4080]));
    assert!(matches!(refused(&manifest), OpenError::TooLarge { what: "a manifest", .. }));
    let unbounded = foreign(&clear(0, u64::MAX, &[0; 4080]));
    assert!(matches!(open_bytes(&unbounded, &[opening(1)], u64::MAX), Err(OpenError::Padding)));
}

#[test]
fn any_age_file_for_a_key_can_be_opened_but_has_no_manifest() {
    let file = foreign(b"from another program");
    assert!(matches!(refused(&file), OpenError::Foreign));
    assert!(matches!(refused(&foreign(b"")), OpenError::Foreign));
    let any = |file: &[u8], max| {
        let mut clear = Vec::new();
        open_any(file, &[opening(1)], max, &mut clear).map(|()| clear)
    };
    assert_eq!(any(&file, 20).unwrap(), b"from another program");
    assert!(matches!(any(&file, 19), Err(OpenError::TooLarge { found: 20, allowed: 19, .. })));

    let mut armor =
        age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor).unwrap();
    armor.write_all(&file).unwrap();
    let mut armored = armor.finish().unwrap();
    assert_eq!(any(&armored, 20).unwrap(), b"from another program");
    assert!(matches!(refused(&armored), OpenError::Header(_)));
    armored[100] = b'!';
    assert!(matches!(any(&armored, 20), Err(OpenError::Header(_))));
}

#[test]
fn errors_of_files_are_not_taken_for_damage() {
    let sealed = seal_bytes(&recipients(&[1]), b"m", &vec![5; 200_000]).unwrap();
    for readable in [10, body_at(&sealed) + 3, 100_000] {
        let broken = sealed[..readable].chain(Broken);
        let opened = Opening::begin(broken, &[opening(1)], MANY).and_then(|it| it.finish(&mut io::sink()));
        assert!(matches!(opened, Err(OpenError::Read(_))), "{readable}");
    }
    let opened = Opening::begin(sealed.as_slice(), &[opening(1)], MANY).unwrap();
    assert_eq!((opened.manifest(), opened.content_bytes()), (&b"m"[..], 200_000));
    assert!(matches!(opened.finish(&mut Broken), Err(OpenError::Write(_))));
}

#[test]
fn a_stanza_that_is_not_of_its_form_is_refused_and_anothers_is_passed_over() {
    let key = FileKey::new(Box::new([8; 16]));
    let (mut stanzas, labels) = age::Recipient::wrap_file_key(&opening(1).recipient(), &key).unwrap();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), ["postquantum"]);
    let good = stanzas.remove(0);
    let read = |stanza: &Stanza| match age::Identity::unwrap_stanza(&opening(1), stanza) {
        Some(Ok(_)) => "opened",
        Some(Err(_)) => "refused",
        None => "passed over",
    };
    let with = |tag: &str, args: &[&str], body: &[u8]| Stanza {
        tag: tag.to_owned(),
        args: args.iter().map(|it| (*it).to_owned()).collect(),
        body: body.to_vec(),
    };
    let (tag, argument, body) = (good.tag.as_str(), good.args[0].as_str(), good.body.as_slice());
    let low = format!("{}{}", &argument[..1450], "A".repeat(44));
    let mut bad_tag = body.to_vec();
    bad_tag[31] ^= 1;
    let last = argument.as_bytes()[argument.len() - 1];
    let not_canonical = format!("{}{}", &argument[..argument.len() - 1], char::from(last + 1));
    let cases = [
        (with(tag, &[argument], body), "opened"),
        (with("MLKEM768X25519", &[argument], body), "passed over"),
        (with("X25519", &[argument], body), "passed over"),
        (with(tag, &[argument], &bad_tag), "passed over"),
        (with(tag, &[], body), "refused"),
        (with(tag, &[argument, "more"], body), "refused"),
        (with(tag, &[&argument[4..]], body), "refused"),
        (with(tag, &[&format!("{argument}AAAA")], body), "refused"),
        (with(tag, &[&not_canonical], body), "refused"),
        (with(tag, &[&format!("{argument}==")], body), "refused"),
        (with(tag, &[&low], body), "refused"),
        (with(tag, &[argument], &body[1..]), "refused"),
        (with(tag, &[argument], &[body, &[0; 8]].concat()), "refused"),
    ];
    for (stanza, expected) in cases {
        assert_eq!(read(&stanza), expected, "{stanza:?}");
    }
    let several = [with(tag, &[argument], body), with("x", &[], body), with(tag, &[&low], body)];
    let own = crate::seal::FileKey::from_bytes(&[8; 16]);
    assert!(matches!(age::Identity::unwrap_stanzas(&own, &several[..2]), Some(Ok(_))));
    assert!(matches!(age::Identity::unwrap_stanzas(&own, &several), Some(Err(_))));
    assert!(matches!(age::Identity::unwrap_stanzas(&opening(1), &several[..2]), Some(Ok(_))));
    assert!(matches!(age::Identity::unwrap_stanzas(&opening(1), &several), Some(Err(_))));
}

/// Neither read from nor written to.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::InvalidData, "the disk is broken"))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::InvalidData, "the disk is broken"))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_sealed_comes_back(
        manifest in prop::collection::vec(any::<u8>(), 0..300),
        content in prop::collection::vec(any::<u8>(), 0..3000), repeated in 1_usize..80,
    ) {
        let content = content.repeat(repeated);
        let sealed = seal_bytes(&recipients(&[1, 2]), &manifest, &content).unwrap();
        prop_assert_eq!(open_bytes(&sealed, &[opening(2)], MANY).unwrap(), Opened { manifest, content });
    }

    #[test]
    fn every_changed_bit_is_found(at: prop::sample::Index, bit in 0_u8..8) {
        let mut changed = KEPT.to_vec();
        changed[at.index(KEPT.len())] ^= 1 << bit;
        prop_assert!(open_bytes(&changed, &[opening(1)], MANY).is_err());
    }

    #[test]
    fn no_bytes_make_an_opener_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0_usize..3300) {
        let key: [OpeningKey; 1] = [opening(1)];
        let _ = open_bytes(&bytes, &key, MANY);
        let mixed = [&KEPT[..at], &bytes].concat();
        prop_assert!(open_bytes(&mixed, &key, MANY).is_err());
        let _ = open_any(mixed.as_slice(), &key, MANY, &mut io::sink());
    }

    #[test]
    fn a_padded_size_holds_its_bytes_and_is_little_larger(bytes in 65_537_u64..1 << 50) {
        let padded = padded_bytes(bytes).unwrap();
        prop_assert!(padded >= bytes && padded_bytes(padded) == Some(padded));
        prop_assert!(padded - bytes <= bytes / 32);
    }
}
