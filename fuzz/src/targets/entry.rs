//! What an entry of the journal states, beside envelopes, receipts and the directory; and what a receipt says to whom the hub shows
//! one of its covers alone.
//!
//! The first byte chooses. What is taken is encoded and read back to the same.

use crate::exchange::id;
use bytes::Bytes;
use resguardo::model::epoch::Begun;
use resguardo::model::erasure::Erasure;
use resguardo::model::id::Index;
use resguardo::model::receipt::{Covered, SEED_BYTES, cover_salt};
use resguardo::wire::convert;
use resguardo::wire::erasure::{self, SignedOrder};
use resguardo::wire::reseal::ResealContent;
use resguardo::wire::signed::{OpenedReceipt, Signed};

/// Runs it.
pub fn run(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let bytes = Bytes::copy_from_slice(rest);
    match choice % 8 {
        0 => {
            if let Ok(read) = convert::overdue(&bytes) {
                assert_eq!(convert::overdue(&convert::overdue_bytes(&read)), Ok(read));
            }
        }
        1 => {
            if let Ok(read) = convert::clock_record(&bytes) {
                assert_eq!(convert::clock_record(&convert::clock_bytes(&read)), Ok(read));
            }
        }
        2 => erased(&bytes),
        3 => {
            let _ = convert::renewal(&bytes);
        }
        4 => {
            if let Ok(epoch) = convert::epoch(&bytes) {
                let begun = Begun { epoch, first: Index(0) };
                assert_eq!(convert::begun(&convert::wire_epoch(&begun)), begun);
                assert_eq!(convert::epoch(&convert::epoch_bytes(&begun)), Ok(epoch));
            }
        }
        5 => {
            if let Ok(read) = ResealContent::read(&bytes) {
                let again = Bytes::copy_from_slice(&read.to_bytes());
                assert_eq!(*ResealContent::read(&again).expect("it was one before").to_bytes(), again);
            }
        }
        6 => {
            // The message and the salt of the seed.
            let message = Covered { index: Index(2), message_id: id(2), digest: [6; 32] };
            let opened = OpenedReceipt::read(&bytes, message, (1, &cover_salt(&[4; SEED_BYTES], 1)));
            if let Ok(OpenedReceipt { receipt, signed, covers }) = opened {
                assert_eq!((receipt.messages, covers > 1), (vec![message], true));
                assert_eq!(Signed::read("receipt", &signed.to_bytes(), usize::MAX), Ok(signed));
            }
        }
        _ => {
            if let Ok(read) = Signed::read("statement", &bytes, 1 << 20) {
                assert_eq!(Signed::read("statement", &read.to_bytes(), usize::MAX), Ok(read));
            }
        }
    }
}

fn erased(bytes: &Bytes) {
    let Ok(read) = erasure::read(bytes) else { return };
    let order = erasure::order_of(bytes).expect("it was one before");
    match &read {
        Erasure::Retention { until } => {
            assert_eq!(order, None);
            assert_eq!(erasure::read(&erasure::retention_bytes(*until)), Ok(read));
        }
        Erasure::Order { order: said, message } => {
            let order = order.expect("there is an order");
            assert_eq!(SignedOrder::read(&order).map(|it| it.order), Ok(said.clone()));
            assert_eq!(erasure::read(&erasure::ordered_bytes(order, *message)), Ok(read));
        }
    }
}
