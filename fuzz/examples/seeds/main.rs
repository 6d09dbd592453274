//! Writes the seeds: what this program itself makes of each kind, for a fuzzer to begin with.
//!
//! ```sh
//! cargo run --manifest-path fuzz/Cargo.toml --example seeds
//! ```

mod answers;
mod of_exchange;
mod papers;

use std::error::Error;
use std::path::Path;

use bytes::Bytes;
use resguardo::desk::persons;
use resguardo::host::clock::ManualClock;
use resguardo::host::random::{Random as _, SeededRandom, uuid_v7};
use resguardo::model::amendment::Amendment;
use resguardo::model::deadline::Deadlines;
use resguardo::model::envelope::{
    CapMsgType, CapStatus, Envelope, FileDigest, FileRef, MessageClass, MessageId, Priority, Recipient,
    Voided,
};
use resguardo::model::fact::{DeskKeys, Fact};
use resguardo::model::id::{AmendmentNumber, DirectoryVersion, Index, UnixMicros};
use resguardo::model::identity::{Desk, Name};
use resguardo::model::receipt::{Action, Covered, Receipt, Stage};
use resguardo::proof::{
    Checkpoint, Frontier, InclusionProof, LogProof, LogVerifier, Record, TreeHead, UnixSeconds, node_hash,
};
use resguardo::seal::{OpeningKey, SigningKey, seal_bytes, sha256};
use resguardo::wire::amendment;
use resguardo::wire::content::{AlertContent, alert_bytes};
use resguardo::wire::manifest::{Part, SealedManifest};
use resguardo::wire::note::OfficerNote;
use resguardo::wire::signed::{SignedEnvelope, SignedReceipt};

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Writes a seed of a target, under a name.
type Write<'a> = dyn Fn(&str, &str, &[u8]) -> Result<()> + 'a;

const NOW: UnixMicros = UnixMicros(1_772_467_200_000_000);
const ALERT: &[u8] = include_bytes!("../../../examples/alerts/death-threat.xml");
/// The message that the note of `content` is about.
const NOTED: [u8; 16] = [1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 16];
const PERSONS: &str = include_str!("../../../examples/alerts/persons.toml");

fn main() -> Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = seeds.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), bytes)
    };
    let random = SeededRandom::new(1);
    let key = SigningKey::generate(|bytes| random.fill(bytes));

    let alert = alert()?;
    write("envelope", "alert", &SignedEnvelope::by(&key, alert.clone()).signed.to_bytes())?;
    write("envelope", "unsigned", &SignedEnvelope::by(&key, alert.clone()).signed.statement)?;
    let packet = packet(&alert)?;
    write("envelope", "packet", &SignedEnvelope::by(&key, packet).signed.to_bytes())?;

    for (name, stage, action) in [
        ("received", Stage::Received, None),
        ("acted", Stage::Acted, Some(Action::AskedState)),
        ("declined", Stage::Declined, None),
        ("unreadable", Stage::Unreadable, None),
    ] {
        let receipt = receipt(&alert, stage, action)?;
        write("receipt", name, &SignedReceipt::by(&key, receipt, [4; 32]).to_bytes())?;
    }

    let mut founding = amendment::unsigned(founding(&random)?);
    write("directory", "unsigned", &amendment::bytes(&founding))?;
    amendment::sign(&mut founding, &key);
    write("directory", "founding", &amendment::bytes(&founding))?;

    let content =
        alert_bytes(&AlertContent { cap: Bytes::from_static(ALERT), persons: persons::read(PERSONS)? });
    let manifest = SealedManifest::of(&alert, Part::Payload, sha256(&content)).signed_by(&key);
    let mut head = b"\0RSG1\x08\0\0\0\x07\0\0\0\0\0\0\0".to_vec();
    head.extend_from_slice(b"manifestcontent");
    write("content", "head", &head)?;
    write("content", "manifest", &[b"\x01", &manifest[..]].concat())?;
    write("content", "alert", &[b"\x02", &content[..]].concat())?;

    let note = OfficerNote {
        officer: "Turno".into(),
        key: key.verifying_key(),
        message_id: MessageId::from_slice(&NOTED).ok_or("it is of version 7")?,
        digest: [6; 32],
        stage: Stage::Declined,
        action: None,
        at: NOW,
        text: "not ours".into(),
    };
    write("content", "note", &[b"\x03", &note.signed_by(&key)[..]].concat())?;

    let own = OpeningKey::from_seed(&[1; 32]);
    let other = OpeningKey::from_seed(&[2; 32]);
    write("stanza", "alone", &seal_bytes(&[own.recipient()], b"manifest", b"content")?)?;
    write("stanza", "second", &seal_bytes(&[other.recipient(), own.recipient()], b"manifest", b"content")?)?;
    write("stanza", "others", &seal_bytes(&[other.recipient()], b"manifest", b"content")?)?;

    let checkpoint = checkpoint()?;
    let log = SigningKey::from_seeds(&[1; 64]);
    let at = UnixSeconds::new(NOW.0 / 1_000_000).ok_or("it is after 1970")?;
    let mut note = checkpoint.sign(&log, at);
    for key in LogVerifier::new(checkpoint.origin().clone(), &log.verifying_key()).keys() {
        write("proof", &format!("key-{:02}", key.signature_type().byte()), key.to_string().as_bytes())?;
    }
    for line in checkpoint.cosign(&"witness.example".parse()?, &SigningKey::from_seeds(&[2; 64]), at) {
        note.add(line)?;
    }
    write("proof", "note", note.to_string().as_bytes())?;
    let beside = node_hash(&Record([0; 32]).leaf(), &Record([1; 32]).leaf());
    let path = InclusionProof::from_hashes(vec![beside]).ok_or("it is short")?;
    let proof = LogProof::new(2, path, note).with_extra(b"extra".to_vec())?;
    write("proof", "proof", proof.to_string().as_bytes())?;
    write("proof", "tile", b"tile/1/x001/234.p/9")?;
    write("proof", "bundle", b"tile/entries/x001/x234/067")?;

    let write: &Write<'_> = &|target, name, bytes| Ok(write(target, name, bytes)?);
    of_exchange::files(write)?;
    of_exchange::entries(write)?;
    of_exchange::journal(write)?;
    answers::write(write)?;
    papers::papers(write)?;
    papers::text(write)?;
    write("cap", "alert", ALERT)?;
    write("cap", "update", include_bytes!("../../../examples/alerts/death-threat-update.xml"))?;
    let wide: Vec<u8> = std::str::from_utf8(ALERT)?.encode_utf16().flat_map(u16::to_be_bytes).collect();
    write("cap", "wide", &[&[0xfe, 0xff], &wide[..]].concat())
}

/// Of three records, the last of which the fuzzer knows.
fn checkpoint() -> Result<Checkpoint> {
    let mut tree = Frontier::new();
    for record in [Record([0; 32]), Record([1; 32]), Record([2; 32])] {
        tree.append(record.leaf());
    }
    let tree = TreeHead { size: tree.size(), root: tree.root() };
    Ok(Checkpoint::new("resguardo.example/journal".parse()?, tree)?)
}

fn id(seed: u64) -> Result<MessageId> {
    let id = uuid_v7(&ManualClock::at(NOW), &SeededRandom::new(seed));
    MessageId::from_slice(id.as_bytes()).ok_or_else(|| "it is of version 7".into())
}

fn desk(office: &str) -> Result<Desk> {
    Ok(Desk { office: office.parse()?, desk: "desk-1".parse()? })
}

fn alert() -> Result<Envelope> {
    let office = |name: &str| -> Result<Recipient> {
        Ok(Recipient { office: name.parse()?, key: [3; 32], number: 1 })
    };
    Ok(Envelope {
        message_id: id(1)?,
        class: MessageClass::Alert,
        stream: "monitoring-protection".parse()?,
        sender: desk("ohchr-honduras")?,
        recipients: vec![office("iachr")?, office("ohchr-mexico")?],
        directory_version: DirectoryVersion(3),
        priority: Priority::Urgent,
        status: CapStatus::Exercise,
        msg_type: CapMsgType::Update,
        thread_id: [7; 16],
        references: vec![id(2)?],
        sent: NOW,
        expires: Some(UnixMicros(NOW.0 + 1)),
        payload_bytes: 7,
        payload_digest: sha256(b"payload"),
        deadlines: Deadlines {
            receive: "5min".parse().ok(),
            read: "15min".parse().ok(),
            act: "24h".parse().ok(),
        },
        files: Vec::new(),
        voided: vec![Voided { office: "iachr".parse()?, number: 2 }],
        about: None,
    })
}

fn packet(alert: &Envelope) -> Result<Envelope> {
    let file = FileRef { digest: FileDigest(sha256(b"file")), bytes: 4 };
    Ok(Envelope {
        class: MessageClass::Packet,
        priority: Priority::Normal,
        files: vec![file],
        ..alert.clone()
    })
}

fn receipt(of: &Envelope, stage: Stage, action: Option<Action>) -> Result<Receipt> {
    let message = Covered { index: Index(9), message_id: of.message_id, digest: sha256(b"envelope") };
    let notices = if stage == Stage::Received { vec![Index(4), Index(6)] } else { Vec::new() };
    let reason = if stage == Stage::Unreadable { "no key".to_owned() } else { String::new() };
    let note_digest = matches!(stage, Stage::Acted | Stage::Declined).then_some([7; 32]);
    Ok(Receipt {
        desk: desk("iachr")?,
        stage,
        messages: vec![message],
        notices,
        at: NOW,
        action,
        reason,
        note_digest,
        opened: false,
        seen: None,
    })
}

fn founding(random: &SeededRandom) -> Result<Amendment> {
    let name = |text: &str| text.parse::<Name>();
    let signing = || SigningKey::generate(|bytes| random.fill(bytes)).verifying_key();
    let keys = DeskKeys {
        attended: signing(),
        unattended: signing(),
        transfer: OpeningKey::from_seed(&[5; 32]).recipient(),
    };
    let office = || name("ohchr-honduras");
    let facts = vec![
        Fact::Institution(name("ohchr")?),
        Fact::Office { name: office()?, institution: name("ohchr")? },
        Fact::Registrar { name: name("ohchr")?, institution: name("ohchr")?, key: signing() },
        Fact::Stream {
            name: name("monitoring-protection")?,
            publishers: [office()?].into(),
            subscribers: [office()?].into(),
        },
        Fact::Headquarters(office()?),
        Fact::Desk { desk: desk("ohchr-honduras")?, keys: Box::new(keys) },
    ];
    Ok(Amendment { number: AmendmentNumber(1), previous: [0; 32], made: NOW, facts })
}
