//! The key of one sealing: it opens that one as it is, and nothing else.

use super::opening;
use crate::seal::{FILE_KEY_BYTES, FileKey, OpenError, Recipient, open_bytes, open_bytes_with, seal_bytes};

const MANY: u64 = 1 << 30;
/// As in the tests of sealings.
const KEPT: &[u8] = include_bytes!("sealed.age");

fn sealed(content: &[u8]) -> Vec<u8> {
    let recipients: Vec<Recipient> = [1, 2].map(|number| opening(number).recipient()).into();
    seal_bytes(&recipients, b"from a to b", content).unwrap()
}

#[test]
fn a_recipient_takes_it_out_and_whoever_has_it_opens_the_same_sealing() {
    let large = sealed(&vec![7; 200_000]);
    for sealed in [KEPT, &large] {
        let whole = open_bytes(sealed, &[opening(2)], MANY).unwrap();
        for number in [1, 2] {
            let key = FileKey::of(sealed, &[opening(9), opening(number)]).unwrap();
            let again = FileKey::from_bytes(key.as_bytes());
            assert_eq!(open_bytes_with(sealed, &again, MANY).unwrap(), whole);
        }
    }
}

#[test]
fn nobody_else_takes_it_out() {
    let refused = FileKey::of(KEPT, &[opening(3), opening(4)]).unwrap_err();
    assert!(matches!(refused, OpenError::NotForTheseKeys { tried: 2 }), "{refused}");
    let refused = FileKey::of(KEPT, &[]).unwrap_err();
    assert!(matches!(refused, OpenError::NotForTheseKeys { tried: 0 }), "{refused}");
}

#[test]
fn it_opens_no_other_sealing_and_none_whose_header_or_content_was_changed() {
    let (one, other) = (sealed(b"an alert"), sealed(b"an alert"));
    let key = FileKey::of(&*one, &[opening(1)]).unwrap();
    let with = |sealed: &[u8], key: &FileKey| open_bytes_with(sealed, key, MANY).unwrap_err();
    let of_another = |error: &OpenError| {
        matches!(error, OpenError::Header("its authentication code is of another header"))
    };
    let refused = with(&other, &key);
    assert!(of_another(&refused), "{refused}");
    let refused = with(&one, &FileKey::from_bytes(&[0; FILE_KEY_BYTES]));
    assert!(of_another(&refused), "{refused}");

    // Another recipient's stanza in the place of one: it is as long, and of its form.
    let stanza_at = |sealed: &[u8]| sealed.windows(3).position(|it| it == b"-> ").unwrap();
    let (from, to, bytes) = (stanza_at(&one), stanza_at(&other), 1_557);
    let mut changed = one.clone();
    changed[from..from + bytes].copy_from_slice(&other[to..to + bytes]);
    let refused = with(&changed, &key);
    assert!(of_another(&refused), "{refused}");
    assert!(FileKey::of(&*changed, &[opening(2)]).is_err_and(|refused| of_another(&refused)));

    let mut changed = one.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(matches!(with(&changed, &key), OpenError::Changed));
    assert!(matches!(with(&one[..one.len() - 1], &key), OpenError::Changed));
}

#[test]
fn nothing_of_it_is_shown() {
    assert_eq!(format!("{:?}", FileKey::from_bytes(&[7; FILE_KEY_BYTES])), "FileKey");
}
