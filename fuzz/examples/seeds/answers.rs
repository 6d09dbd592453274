//! What a hub answers.

use prost::Message as _;
use resguardo::model::epoch::EpochId;
use resguardo::model::id::Index;
use resguardo::model::refusal::{Reason, Refusal};
use resguardo::wire::promise::Promised;
use resguardo::wire::{amendment, proto, status};
use resguardo_fuzz::exchange::{ABOUT, Exchange, desk, hub_key, policy, promised, trust};
use resguardo_fuzz::hub;

use crate::{Result, Write};

/// Of `answers`.
pub fn write(write: &Write<'_>) -> Result<()> {
    let write = |choice: u8, name: &str, bytes: &[u8]| write("answers", name, &[&[choice], bytes].concat());
    let Exchange { entries, notes } = Exchange::happened();
    let word = Promised::sign(&hub_key(), &trust().founding, EpochId(9), &promised());
    let word = word.and_then(|it| it.of(Index(2))).ok_or("it is one of them")?;
    write(0, "promise", &word.encode_to_vec())?;
    write(1, "checkpoint", &hub::evidence_of(&entries, &notes, &ABOUT).journal_checkpoint)?;
    let numbers = |numbers: [u64; 3]| numbers.map(u64::to_le_bytes).concat();
    write(2, "tiles", &[numbers([70_000, 66_000, 300]), vec![3; 32]].concat())?;
    write(3, "path", &[numbers([3, 2, 1]), vec![4; 64]].concat())?;
    write(4, "directory", &amendment::directory_bytes(&policy()))?;
    let stage = proto::StageRow {
        receipt_index: 6,
        stage: proto::Stage::Read as i32,
        desk: desk("iachr").to_string(),
        ..Default::default()
    };
    let row =
        proto::ReceiptRow { stage: Some(stage), receipt: entries[6].statement.clone(), ..Default::default() };
    let told = proto::DescribeMessageResponse { receipts: vec![row], ..Default::default() };
    write(5, "receipts", &told.encode_to_vec())?;
    let refusal = Refusal::field("sender", "it is another's");
    let refusal = Refusal { retry_after_ms: Some(1_500), ..refusal };
    write(6, "refused", &[&[3], status::refused(&refusal).details()].concat())?;
    let busy = proto::Refusal::from(&Refusal::new(Reason::Busy, "later"));
    write(6, "result", &[&[8], &busy.encode_to_vec()[..]].concat())
}
