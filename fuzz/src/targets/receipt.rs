//! A receipt as it comes to the hub's door and to a desk. What is taken is encoded and read back to the same.

use bytes::Bytes;
use resguardo::wire::signed::SignedReceipt;

/// Runs it.
pub fn run(bytes: &[u8]) {
    if let Ok(read) = SignedReceipt::read(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(SignedReceipt::read(&read.to_bytes()), Ok(read));
    }
}
