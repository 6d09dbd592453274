//! Key files: both forms, both marks, and each way in which one can be wrong.

use proptest::prelude::*;

use super::{opening, signing};
use crate::seal::KeyTextError;
use crate::seal::key_file::{
    FILE_BYTES_MAX, KeyFile, KeyFileError, Plain, SecretKey, WorkFactor, plain, wrapped,
};

const PASSPHRASE: &str = "correcto caballo batería grapa";
/// `signing(7)`, wrapped by [`PASSPHRASE`] with [`WorkFactor::TEST`].
const KEPT: &[u8] = include_bytes!("wrapped-vector.age");

fn of_signing(number: u8) -> SecretKey {
    SecretKey::Signing(signing(number))
}

fn unwrapped(file: &[u8], passphrase: &str) -> Result<SecretKey, KeyFileError> {
    match KeyFile::parse(file)? {
        KeyFile::Wrapped(key) => key.unwrap_with(passphrase),
        KeyFile::Plain(..) => panic!("not wrapped"),
    }
}

#[test]
fn a_wrapped_key_comes_back_with_its_passphrase_alone() {
    let file = wrapped(&SecretKey::Opening(opening(1)), PASSPHRASE, WorkFactor::TEST).unwrap();
    assert!(!file.contains("SECRET"));
    let Ok(SecretKey::Opening(key)) = unwrapped(file.as_bytes(), PASSPHRASE) else { panic!("another key") };
    assert_eq!(key.recipient(), opening(1).recipient());
    let wrong = unwrapped(file.as_bytes(), "correcto caballo");
    assert_eq!(wrong.unwrap_err(), KeyFileError::WrongPassphrase);
    assert_eq!(wrapped(&of_signing(1), "", WorkFactor::TEST), Err(KeyFileError::EmptyPassphrase));

    let Ok(SecretKey::Signing(kept)) = unwrapped(KEPT, PASSPHRASE) else { panic!("another key") };
    assert_eq!(kept.verifying_key(), signing(7).verifying_key());
}

#[test]
fn a_plain_file_says_so_in_its_first_line() {
    let file = plain(&SecretKey::Opening(opening(1)), Plain::Insecure).unwrap();
    assert_eq!(
        *file,
        "# INSECURE: not wrapped by a passphrase; for development and tests alone\n\
         AGE-SECRET-KEY-PQ-1QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQYQSCTK5KM\n"
    );
    let read = KeyFile::parse(file.as_bytes()).unwrap();
    let KeyFile::Plain(Plain::Insecure, SecretKey::Opening(key)) = read else { panic!("{read:?}") };
    assert_eq!(key.recipient(), opening(1).recipient());

    let file = plain(&of_signing(1), Plain::Unattended).unwrap();
    assert!(
        file.starts_with(
            "# UNATTENDED: not wrapped by a passphrase; signs only what no person answers for\n"
        )
    );
    let read = KeyFile::parse(file.replace('\n', "\r\n").as_bytes()).unwrap();
    let KeyFile::Plain(Plain::Unattended, SecretKey::Signing(key)) = read else { panic!("{read:?}") };
    assert_eq!(key.verifying_key(), signing(1).verifying_key());
}

#[test]
fn a_key_that_opens_is_never_unattended() {
    let refused = plain(&SecretKey::Opening(opening(1)), Plain::Unattended);
    assert_eq!(refused, Err(KeyFileError::UnattendedOpens));
    let marked = plain(&of_signing(1), Plain::Unattended).unwrap();
    let mark = marked.lines().next().unwrap();
    let file = format!("{mark}\n{}\n", opening(1).to_text().as_str());
    assert_eq!(KeyFile::parse(file.as_bytes()).unwrap_err(), KeyFileError::UnattendedOpens);
}

#[test]
fn a_file_that_is_no_key_file_is_told_by_its_reason() {
    let parsed = |file: &str| KeyFile::parse(file.as_bytes()).unwrap_err();
    let bare = format!("{}\n", opening(1).to_text().as_str());
    for file in ["", "\n", "x", "# created by hand\n", &bare] {
        assert_eq!(parsed(file), KeyFileError::Unknown, "{file}");
    }
    assert_eq!(KeyFile::parse(b"\xff\n").unwrap_err(), KeyFileError::Unknown);
    assert_eq!(parsed(&"x".repeat(FILE_BYTES_MAX + 1)), KeyFileError::TooLarge);
    let mark = plain(&of_signing(1), Plain::Insecure).unwrap().lines().next().unwrap().to_owned();
    let damaged = parsed(&format!("{mark}\nAGE-SECRET-KEY-PQ-1XX\n"));
    assert!(matches!(damaged, KeyFileError::Key(KeyTextError::Damaged { .. })), "{damaged:?}");
    let public = parsed(&format!("{mark}\n{}\n", opening(1).recipient()));
    assert!(matches!(public, KeyFileError::Key(KeyTextError::Kind { .. })), "{public:?}");
}

#[test]
fn a_damaged_wrapping_and_one_that_asks_too_much_are_told() {
    let cut = &KEPT[..KEPT.len() - 60];
    assert_eq!(unwrapped(cut, PASSPHRASE).unwrap_err(), KeyFileError::Damaged);
    let much = String::from_utf8(KEPT.to_vec()).unwrap();
    assert_eq!(
        unwrapped(much.replace('\n', "\nx").as_bytes(), PASSPHRASE).unwrap_err(),
        KeyFileError::Damaged
    );

    let mut recipient = age::scrypt::Recipient::new(PASSPHRASE.to_owned().into());
    recipient.set_work_factor(1);
    let file = armored(&recipient, b"no key");
    assert!(matches!(unwrapped(&file, PASSPHRASE), Err(KeyFileError::Key(_))));
    // Two digits of the stanza stand for the work; whoever changes them costs a reader seconds or hours.
    let asks = age_file(&recipient, b"no key");
    let at = asks.windows(3).position(|it| it == b" 1\n").unwrap();
    let asks = armor(&[&asks[..at], b" 21\n", &asks[at + 3..]].concat());
    assert_eq!(unwrapped(&asks, PASSPHRASE).unwrap_err(), KeyFileError::TooMuchWork);
    let for_a_key = armored(&opening(1).recipient(), b"no key");
    assert_eq!(unwrapped(&for_a_key, PASSPHRASE).unwrap_err(), KeyFileError::Damaged);
}

#[test]
fn no_text_of_an_error_or_of_debug_has_a_secret() {
    let file = plain(&of_signing(1), Plain::Insecure).unwrap();
    let read = KeyFile::parse(file.as_bytes()).unwrap();
    assert_eq!(format!("{read:?}"), "Plain(Insecure, SecretKey::Signing)");
    let wrapped = KeyFile::parse(KEPT).unwrap();
    assert_eq!(format!("{wrapped:?}"), "Wrapped(WrappedKey)");
}

fn age_file(recipient: &dyn age::Recipient, clear: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let encryptor = age::Encryptor::with_recipients(std::iter::once(recipient)).unwrap();
    let mut into = encryptor.wrap_output(Vec::new()).unwrap();
    into.write_all(clear).unwrap();
    into.finish().unwrap()
}

fn armor(file: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut into =
        age::armor::ArmoredWriter::wrap_output(Vec::new(), age::armor::Format::AsciiArmor).unwrap();
    into.write_all(file).unwrap();
    into.finish().unwrap()
}

fn armored(recipient: &dyn age::Recipient, clear: &[u8]) -> Vec<u8> {
    armor(&age_file(recipient, clear))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_key_comes_back_from_its_file(number: u8, passphrase in ".{1,40}") {
        let file = wrapped(&of_signing(number), &passphrase, WorkFactor::TEST).unwrap();
        let Ok(SecretKey::Signing(key)) = unwrapped(file.as_bytes(), &passphrase) else { panic!("another key") };
        prop_assert_eq!(key.verifying_key(), signing(number).verifying_key());
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), at in 0_usize..600) {
        let _ = KeyFile::parse(&bytes);
        let mixed = [&KEPT[..at.min(KEPT.len())], &bytes].concat();
        if let Ok(KeyFile::Wrapped(key)) = KeyFile::parse(&mixed) {
            let _ = key.unwrap_with("other");
        }
    }
}
