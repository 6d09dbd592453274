//! An envelope as it comes to the hub's door and to a desk. What is taken is encoded and read back to the same.

use bytes::Bytes;
use resguardo::wire::convert;
use resguardo::wire::signed::SignedEnvelope;

/// Runs it.
pub fn run(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    if let Ok(envelope) = convert::envelope(&bytes) {
        assert_eq!(convert::envelope(&convert::envelope_bytes(&envelope)), Ok(envelope));
    }
    if let Ok(read) = SignedEnvelope::read(&bytes) {
        assert_eq!(SignedEnvelope::read(&read.signed.to_bytes()), Ok(read));
    }
}
