//! The bytes of each kind of row: a change here is another format, and a ledger built anew.

use std::sync::Arc;

use bytes::Bytes;

use super::bench::*;
use crate::ledger::amendments::AmendmentRow;
use crate::ledger::ids::Ids;
use crate::ledger::log::{Record as _, pack};
use crate::ledger::outstanding::Outstanding;
use crate::ledger::rows::{MessageRow, ReceiptRow, RenewalRow};
use crate::ledger::span::{Places, Span, Statement};
use crate::ledger::standing::Standing;
use crate::ledger::store::RowBatch;
use crate::ledger::store::memory::MemoryStore;
use crate::ledger::sum::RowSum;
use crate::ledger::table::{Table, hex};
use crate::ledger::{Tally, keys};
use crate::model::amendment::{Amendment, DirectoryEntry, SignedEntry};
use crate::model::deadline::{Deadlines, Within};
use crate::model::entry::Mark;
use crate::model::envelope::{CapMsgType, CapStatus, FileDigest, MessageClass, Priority};
use crate::model::epoch::EpochId;
use crate::model::id::{AmendmentNumber, Index, Position, UnixMicros};
use crate::model::identity::{Desk, Identity, Name};
use crate::model::obligation::{Duty, Obligation, Who};
use crate::model::policy::tests::{key, registrars, rotation, signed};
use crate::model::policy::{Fact, Policy};
use crate::model::receipt::{Action, MessageRef, Stage};
use crate::model::renewal::Renewal;
use crate::seal::{KeyId, OpeningKey, Signature, sha256};

fn shown(rows: &RowBatch) -> Vec<(String, String)> {
    rows.iter().map(|(key, value)| (hex(key), hex(value.as_deref().unwrap_or_default()))).collect()
}

fn assert_rows(rows: &RowBatch, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    assert_eq!(shown(rows), expected);
}

fn message(index: u64) -> Arc<MessageRow> {
    Arc::new(MessageRow {
        index: Index(index),
        message_id: id(0x0102),
        accepted: UnixMicros(1000),
        sender: desk("iachr"),
        sender_office: IACHR,
        stream: name("studies"),
        class: MessageClass::Packet,
        priority: Priority::Urgent,
        status: CapStatus::Test,
        msg_type: CapMsgType::Update,
        expires: Some(UnixMicros(2000)),
        recipients: vec![MEXICO, HONDURAS],
        digest: [0xd1; 32],
        deadlines: Deadlines { read: Within::from_seconds(900).ok(), ..Deadlines::default() },
        follow_ups: Vec::new(),
        thread: None,
        answers: Vec::new(),
        about: None,
    })
}

fn places(of: &[u8]) -> Places {
    let mut places = Places::default();
    for place in of {
        places.insert(*place);
    }
    places
}

#[test]
fn standing_row() {
    let mark = Mark {
        journal: JOURNAL,
        position: Position(3),
        next_index: Index(300),
        chain: 0xaabb_ccdd,
        time: UnixMicros(5),
    };
    let tally = Tally { messages: 1, receipts: 2, duplicates: 3, refused: 4, refusals: 5 };
    let standing = Standing { mark, checkpoint: Index(256), tally, sum: RowSum::from_bytes([0x5e; 16]) };
    assert_eq!(keys::STANDING, b"a");
    assert_eq!(
        hex(&standing.encode()),
        "080a121007070707070707070707070707070707180320ac0228dd99efd50a30053880024001480250035804\
         60056a105e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e"
    );
}

#[test]
fn message_rows() {
    let mut rows = RowBatch::new();
    pack(&[message(7), message(300)], &mut rows);
    assert_rows(
        &rows,
        &[(
            "6d0000000000000007",
            "000000610a100000000000017000800000000000000210e807220569616368722a066465736b2d313207737475\
                64696573380240014804500258d00f620201026a20d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1\
                d1d1d1d1d1d1d1d1d1788407a502610a100000000000017000800000000000000210e807220569616368722a\
                066465736b2d31320773747564696573380240014804500258d00f620201026a20d1d1d1d1d1d1d1d1d1d1d1\
                d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1788407",
        )],
    );
}

#[test]
fn message_row_of_a_resealing_names_the_message_that_it_is_about() {
    let row = MessageRow {
        class: MessageClass::Reseal,
        about: Some(MessageRef { index: Index(7), message_id: id(0x0203) }),
        ..(*message(300)).clone()
    };
    let mut bytes = Vec::new();
    row.encode(&mut bytes);
    let about = "a201140807121000000000000270008000000000000003";
    assert!(hex(&bytes).ends_with(about), "{}", hex(&bytes));
    assert_eq!(MessageRow::decode(Index(300), &bytes), Ok(row));
}

#[test]
fn receipt_rows() {
    let receipt = ReceiptRow {
        index: Index(9),
        recorded: UnixMicros(1000),
        desk: desk("ohchr-mexico"),
        office: MEXICO,
        stage: Stage::Acted,
        messages: vec![Index(5), Index(7), Index(300)],
        notices: vec![Index(8)],
        at: UnixMicros(900),
        action: Some(Action::AskedState),
        reason: "r".into(),
        news: 3,
    };
    let mut rows = RowBatch::new();
    pack(&[Arc::new(receipt)], &mut rows);
    rows.insert(keys::repeat(MEXICO, 2, Index(9)).into(), Some(bytes::Bytes::new()));
    assert_rows(
        &rows,
        &[
            (
                "720000000000000009",
                "0000003008e80710011a0c6f686368722d6d657869636f22066465736b2d31280332040502a5023a0108408407\
                48025201725803",
            ),
            ("74000100000000000000020000000000000009", ""),
        ],
    );
}

#[test]
fn file_rows() {
    let digest = FileDigest([0xd1; 32]);
    assert_eq!(
        hex(&keys::file(MEXICO, &digest, Index(9))),
        "780001d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d10000000000000009"
    );
}

#[test]
fn amendment_rows() {
    let name = |text: &str| text.parse::<Name>().unwrap();
    let office = name("iachr");
    let later = vec![
        Fact::Operator { name: name("dev"), institution: name("both") },
        Fact::OfficeKey {
            office: office.clone(),
            recipient: OpeningKey::generate(|seed| seed.fill(7)).recipient(),
        },
        Fact::Deadlines {
            class: MessageClass::Alert,
            priority: Priority::Urgent,
            deadlines: Deadlines { receive: Within::from_seconds(300).ok(), read: None, act: None },
        },
        Fact::Obligation(Obligation {
            name: name("analyses"),
            who: Who::Institution(name("both")),
            class: MessageClass::Packet,
            stream: name("studies"),
            duty: Duty::Monthly { grace_days: 5 },
        }),
        Fact::ObligationEnded(name("analyses")),
        Fact::Witness { name: name("w"), institution: name("both"), key: key(71).verifying_key() },
        Fact::Quorum { witnesses: 3 },
        Fact::HubKey { key: key(72).verifying_key() },
        Fact::Restored { id: EpochId(0x0102_0304_0506_0708), kept: 9, root: [7; 32] },
        Fact::Retention { days: 30 },
        Fact::DeskRevoked { desk: Desk { office, desk: name("desk-1") }, reason: "stolen".into() },
        Fact::OfficeRemoved { name: name("ohchr-mexico"), reason: "closed".into() },
    ];
    let mut policy = Policy::default();
    let mut rows = Vec::new();
    for (facts, index) in [(directory(), 0), (later, 9)] {
        let signed = signed(&policy, facts, &registrars());
        policy.amend(&signed).unwrap();
        rows.push(Arc::new(AmendmentRow { index: Index(index), signed }));
    }
    let replaced = sha256(&OpeningKey::generate(|seed| seed.fill(7)).recipient().to_bytes());
    let recipient = OpeningKey::generate(|seed| seed.fill(8)).recipient();
    for fact in [
        Fact::OfficeKey { office: name("iachr"), recipient: recipient.clone() },
        Fact::TransferKey { desk: Desk { office: name("iachr"), desk: name("desk-1") }, recipient },
    ] {
        let mut signed = SignedEntry::clone(&rotation(replaced, fact, &registrars()));
        if let DirectoryEntry::Rotation(rotation) = &mut signed.entry {
            rotation.handover = Bytes::from_static(b"sealed");
        }
        rows.push(Arc::new(AmendmentRow { index: Index(11), signed: Arc::new(signed) }));
    }
    for row in &rows {
        let mut bytes = Vec::new();
        row.encode(&mut bytes);
        assert_eq!(AmendmentRow::decode(row.index, &bytes).unwrap(), **row);
    }
    // A small one whose signatures are always the same, byte for byte.
    let signature = Signature::from_parts(&[1; 64], &[2; 2420]).unwrap();
    let signed = SignedEntry {
        entry: DirectoryEntry::Amendment(Amendment {
            number: AmendmentNumber(2),
            previous: [9; 32],
            made: UnixMicros(5),
            facts: vec![Fact::Retention { days: 30 }],
        }),
        statement: Bytes::from_static(b"what is signed"),
        signatures: vec![(KeyId([3; 32]), signature)],
    };
    let mut bytes = Vec::new();
    AmendmentRow { index: Index(9), signed: Arc::new(signed) }.encode(&mut bytes);
    let (head, signature) = bytes.split_at(bytes.len() - 2420);
    assert!(signature.iter().all(|byte| *byte == 2));
    let expected = [
        "0802122009090909090909090909090909090909090909090909090909090909090909091805",
        "2204080b781e2a0e77686174206973207369676e656432db130a20",
        &"03".repeat(32),
        "1240",
        &"01".repeat(64),
        "1af412",
    ];
    assert_eq!(hex(head), expected.concat());
}

#[test]
fn renewal_rows() {
    let mut rows = RowBatch::new();
    let (by, operator) = (Identity::Desk(desk("iachr")), "urn:resguardo:operator:dev".parse().unwrap());
    let asked = Renewal::Asked { digest: [0xd1; 32] };
    let answered = Renewal::Answered { identity: by.clone(), digest: [0xd1; 32] };
    let asked = RenewalRow { index: Index(9), by, renewal: asked };
    let answered = RenewalRow { index: Index(12), by: operator, renewal: answered };
    pack(&[Arc::new(asked), Arc::new(answered)], &mut rows);
    assert_rows(
        &rows,
        &[(
            "6e0000000000000009",
            "000000450a2175726e3a72657367756172646f3a6f66666963653a69616368723a6465736b2d311220d1d1d1d1\
             d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d103610a1a75726e3a72657367756172\
             646f3a6f70657261746f723a6465761220d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1d1\
             d1d1d1d1d11a2175726e3a72657367756172646f3a6f66666963653a69616368723a6465736b2d31",
        )],
    );
}

#[test]
fn span_rows() {
    let statement =
        |stage, receipt, of: &[u8]| Statement { stage, receipt: Index(receipt), places: places(of) };
    let span = Span {
        owed: places(&[0, 1, 255]),
        urgent: places(&[1]),
        notices: places(&[70]),
        statements: vec![
            statement(Stage::Received, 0x1_0000, &[0, 1]),
            statement(Stage::Read, 0x1_0005, &[1]),
        ],
    };
    assert_eq!(hex(&keys::span(MEXICO, 256)), "6f00010000000000000100");
    assert_eq!(
        hex(&span.encode()),
        "0709000000000000000380000000000000000100000000000000020200000000000000400180800401000000\
        0000000003820501"
    );
}

#[test]
fn outstanding_rows() {
    let mut rows = RowBatch::new();
    let outstanding = Outstanding {
        urgent: [4096, 4098].into_iter().collect(),
        other: (4104..4304).collect(),
        notices: [8191].into_iter().collect(),
        unread: [4097, 4098].into_iter().collect(),
        drills: [4098].into_iter().collect(),
    };
    outstanding.write(MEXICO, 1, &mut rows);
    assert_rows(&rows, &[("7100010000000000000001", "04000101010308c80103ff1f01020102020201")]);
}

#[test]
fn id_rows() {
    let mut ids = Ids::default();
    ids.insert((id(2), MEXICO), Index(9));
    ids.insert((id(1), IACHR), Index(10));
    let mut rows = RowBatch::new();
    ids.write(&Table::over(Arc::new(MemoryStore::default())), &mut rows).unwrap();
    assert_rows(
        &rows,
        &[(
            "69000000000000700080000000000000010000",
            "000000000000700080000000000000010000000000000000000a000000000000700080000000000000020001\
                0000000000000009",
        )],
    );
}
