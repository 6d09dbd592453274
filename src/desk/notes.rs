//! Notes: who stated a person's stage, sealed for those whom it concerns.
//!
//! Owns whom a note is sealed for: the office that sent the message, headquarters and one's own. Never keeps one.

use bytes::Bytes;

use super::opener::{Opener, Unreadable};
use super::sealer::{SealerError, Unlocked, key_of};
use crate::model::identity::Name;
use crate::model::policy::Policy;
use crate::model::receipt::Receipt;
use crate::seal::{SigningKey, seal_bytes, sha256};
use crate::wire::manifest::{Part, SealedManifest};
use crate::wire::note::{CONTENT_BYTES_MAX, NoteError, OfficerNote};

/// Signs and seals the note that goes with a receipt, and has the receipt name it.
///
/// # Errors
/// [`SealerError`]
pub fn seal(
    unlocked: &Unlocked,
    policy: &Policy,
    (officer, note): (&SigningKey, &OfficerNote),
    sender: &Name,
    receipt: &mut Receipt,
) -> Result<Bytes, SealerError> {
    let mut readers = vec![sender.clone(), unlocked.desk.office.clone()];
    readers.extend(policy.headquarters().cloned());
    readers.sort();
    readers.dedup();
    let keys = readers.iter().map(|office| key_of(policy, office).map(|(key, _)| key));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let content = note.signed_by(officer);
    let manifest = SealedManifest {
        sender: unlocked.desk.clone(),
        recipients: readers,
        message_id: note.message_id,
        part: Part::Note,
        content_digest: sha256(&content),
    };
    let sealed = seal_bytes(&keys, &manifest.signed_by(&unlocked.attended()), &content)?;
    receipt.note_digest = Some(sha256(&sealed));
    Ok(sealed.into())
}

/// Opens the note that came with a receipt, and holds it to that.
///
/// # Errors
/// [`Unreadable`]
pub fn open(
    opener: &Opener,
    policy: &Policy,
    receipt: &Receipt,
    note: &[u8],
) -> Result<OfficerNote, Unreadable> {
    if receipt.note_digest != Some(sha256(note)) {
        return Err(Unreadable::Other("digest"));
    }
    let inside = opener.open_bytes(note, CONTENT_BYTES_MAX)?;
    OfficerNote::hold(policy, receipt, inside).map_err(|error| match error {
        NoteError::Refused(refusal) => Unreadable::Manifest(refusal),
        NoteError::Other(what) => Unreadable::Other(what),
    })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::desk::sample::{NOW, desk, id, keys, policy};
    use crate::model::id::Index;
    use crate::model::policy::tests::key;
    use crate::model::receipt::{Action, Covered, Stage};
    use crate::seal::OpeningKey;
    use crate::wire::proto;

    fn own_key() -> OpeningKey {
        OpeningKey::from_seed(&[5; 32])
    }

    /// What an officer of `iachr` says of having read a message.
    fn note() -> OfficerNote {
        OfficerNote {
            officer: "María Pérez".into(),
            key: key(3).verifying_key(),
            message_id: id(1),
            digest: [4; 32],
            stage: Stage::Read,
            action: None,
            at: NOW,
            text: String::new(),
        }
    }

    /// The receipt with which a sealed note came.
    fn receipt(sealed: &[u8]) -> Receipt {
        let messages = vec![Covered { index: Index(1), message_id: id(1), digest: [4; 32] }];
        let received = Receipt::received(desk("iachr"), messages, NOW);
        Receipt { stage: Stage::Read, note_digest: Some(sha256(sealed)), ..received }
    }

    fn manifest(content: &[u8]) -> SealedManifest {
        SealedManifest {
            sender: desk("iachr"),
            recipients: vec!["ohchr-honduras".parse().unwrap()],
            message_id: id(1),
            part: Part::Note,
            content_digest: sha256(content),
        }
    }

    /// What is made of a content that came under a manifest with its receipt.
    fn opened(manifest: &[u8], content: &[u8]) -> Result<OfficerNote, Unreadable> {
        let sealed = seal_bytes(&[own_key().recipient()], manifest, content).unwrap();
        open(&Opener::new(vec![own_key()]), &policy(), &receipt(&sealed), &sealed)
    }

    fn assert_says(what: &str, opened: Result<OfficerNote, Unreadable>, words: &str) {
        let said = opened.unwrap_err().to_string();
        assert!(said.contains(words), "{what}: {said:?} does not say {words:?}");
    }

    #[test]
    fn a_note_that_was_not_sealed_by_the_desk_of_its_receipt_is_not_shown() {
        let ([attended, unattended], [foreign, _]) = (keys("iachr"), keys("ohchr-honduras"));
        let content = note().signed_by(&key(3));
        let good = manifest(&content);
        let with = |change: &dyn Fn(&mut SealedManifest), by: &SigningKey| {
            let mut manifest = good.clone();
            change(&mut manifest);
            manifest.signed_by(by)
        };
        assert_eq!(opened(&good.signed_by(&attended), &content).unwrap(), note());
        for (what, manifest, words) in [
            ("of another message", with(&|it| it.message_id = id(9), &attended), "its message id"),
            ("another desk's", with(&|it| it.sender = desk("ohchr-honduras"), &foreign), "its sender"),
            ("a payload", with(&|it| it.part = Part::Payload, &attended), "its part"),
            ("about other words", with(&|it| it.content_digest[0] ^= 1, &attended), "its content"),
            ("signed by a machine", good.signed_by(&unattended), "while nobody is there"),
            ("signed by another office", good.signed_by(&foreign), "is none of"),
        ] {
            assert_says(what, opened(&manifest, &content), words);
        }
        // Another sealing of the same is another note than the receipt names.
        let seal = || seal_bytes(&[own_key().recipient()], &good.signed_by(&attended), &content).unwrap();
        let opener = Opener::new(vec![own_key()]);
        assert_says("sealed anew", open(&opener, &policy(), &receipt(&seal()), &seal()), "its digest");
    }

    #[test]
    fn a_note_that_an_officer_did_not_sign_of_its_receipt_is_not_shown() {
        let [attended, _] = keys("iachr");
        let told = |content: &[u8]| opened(&manifest(content).signed_by(&attended), content);
        let with = |change: &dyn Fn(&mut OfficerNote)| {
            let mut note = note();
            change(&mut note);
            note.signed_by(&key(3))
        };
        let around = |change: &dyn Fn(&mut proto::Signed)| {
            let mut signed = proto::Signed::decode(note().signed_by(&key(3))).unwrap();
            change(&mut signed);
            Bytes::from(signed.encode_to_vec())
        };
        let acted = |it: &mut OfficerNote| (it.stage, it.action) = (Stage::Acted, Some(Action::AskedState));
        let other_words = |it: &mut proto::Signed| {
            let mut note = proto::OfficerNote::decode(it.statement.clone()).unwrap();
            note.text = "something else".into();
            it.statement = note.encode_to_vec().into();
        };
        let other_id = |it: &mut proto::Signed| it.signatures[0].key_id = vec![7; 32].into();
        let of_another = "of another receipt";
        for (what, content, words) in [
            ("of another message", with(&|it| it.message_id = id(9)), of_another),
            ("of another envelope", with(&|it| it.digest[0] ^= 1), of_another),
            ("of another stage", with(&acted), of_another),
            ("of another time", with(&|it| it.at.0 += 1), of_another),
            ("with other words", around(&other_words), "the officer's signature"),
            ("signed by somebody else", note().signed_by(&key(4)), "the officer's signature"),
            ("said to be signed by somebody else", around(&other_id), of_another),
            ("signed by nobody", around(&|it| it.signatures.clear()), "signs a note once"),
            ("signed twice", around(&|it| it.signatures.extend_from_within(..)), "signs a note once"),
        ] {
            assert_says(what, told(&content), words);
        }
    }
}
