//! What stands inside a sealing, by a sealer who means ill: head, manifest, padding, an alert with its person blocks, an officer's
//! note.
//!
//! The first byte chooses. What is taken is encoded and read back to the same.

use std::io::Write as _;

use age::Encryptor;
use bytes::Bytes;
use resguardo::desk::content;
use resguardo::model::envelope::MessageId;
use resguardo::model::id::{Index, UnixMicros};
use resguardo::model::identity::Desk;
use resguardo::model::receipt::{Covered, Receipt, Stage};
use resguardo::seal::{OpeningKey, open_bytes, padded_bytes};
use resguardo::wire::content as wire;
use resguardo::wire::manifest::SealedManifest;
use resguardo::wire::note::OfficerNote;

/// Far more than a seed has, so that a length that is believed shows as memory.
const CONTENT_BYTES_MAX: u64 = 1 << 20;

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 4 {
        0 => inside(rest),
        1 => {
            if let Ok((manifest, signed)) = SealedManifest::read(&Bytes::copy_from_slice(rest)) {
                assert_eq!(SealedManifest::read(&signed.to_bytes()), Ok((manifest, signed)));
            }
        }
        2 => {
            let payload = Bytes::copy_from_slice(rest);
            if let Ok(alert) = wire::alert(&payload) {
                assert_eq!(wire::alert(&wire::alert_bytes(&alert)), Ok(alert));
            }
            if let Ok(read) = content::read(&payload) {
                let again = content::payload(&read.imported.alert, &read.persons);
                assert_eq!(content::read(&again).expect("it was one before").persons, read.persons);
            }
        }
        _ => {
            if let Ok(note) = OfficerNote::read(&Bytes::copy_from_slice(rest), &receipt()) {
                assert_eq!(note.check(), Ok(()));
            }
        }
    }
}

/// The receipt of the seed's note.
fn receipt() -> Receipt {
    let id = [1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 16];
    let message_id = MessageId::from_slice(&id).expect("a UUID of version 7");
    Receipt {
        desk: Desk { office: "iachr".parse().expect("a name"), desk: "desk-1".parse().expect("a name") },
        stage: Stage::Declined,
        messages: vec![Covered { index: Index(9), message_id, digest: [6; 32] }],
        notices: Vec::new(),
        at: UnixMicros(1_772_467_200_000_000),
        action: None,
        reason: String::new(),
        note_digest: Some([7; 32]),
        opened: false,
        seen: None,
    }
}

/// Opens a file that is sealed as it must be, around anything.
fn inside(clear: &[u8]) {
    let key = OpeningKey::from_seed(&[1; 32]);
    let recipient = key.recipient();
    let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient));
    let mut writer = encryptor.expect("one recipient").wrap_output(Vec::new()).expect("memory takes it");
    writer.write_all(clear).expect("memory takes it");
    // As much padding as a head may ask for, so that one is not refused for that alone.
    if let Some(padded) = padded_bytes(clear.len() as u64) {
        writer.write_all(&vec![0; padded as usize - clear.len()]).expect("memory takes it");
    }
    let sealed = writer.finish().expect("memory takes it");
    if let Ok(opened) = open_bytes(&sealed, &[key], CONTENT_BYTES_MAX) {
        let full = opened.manifest.len() + opened.content.len() + 16;
        assert!(full as u64 <= padded_bytes(clear.len() as u64).unwrap_or_default());
    }
}
