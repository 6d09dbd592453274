//! An entry of the directory, as it comes from the hub and in a registrar's file. What is taken is encoded and read back to the
//! same.

use bytes::Bytes;
use resguardo::wire::amendment;

/// Runs it.
pub fn run(bytes: &[u8]) {
    if let Ok(read) = amendment::read(&Bytes::copy_from_slice(bytes)) {
        assert_eq!(amendment::read(&amendment::bytes(&read)), Ok(read));
    }
}
