//! What a hub's operator tells the registrars of a restore, as a file.
//!
//! Owns its form. Never says that it counts: registrars sign it as a fact of the directory.

use serde::{Deserialize, Serialize};

use crate::model::epoch::EpochId;
use crate::model::fact::Fact;

/// The file's name in a restored home.
pub const RESTORED_FILE: &str = "restored.toml";
/// Bytes of such a file at most.
pub const RESTORED_BYTES_MAX: u64 = 4 * 1024;

/// Text that is not such a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a file of a restore: {0}")]
pub struct RestoredError(String);

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    epoch: String,
    kept: u64,
    root: String,
}

/// Gives the file's text.
pub fn to_text(id: EpochId, kept: u64, root: &[u8; 32]) -> String {
    let root = root.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let file = File { epoch: format!("{:016x}", id.0), kept, root };
    toml::to_string(&file).expect("numbers and digits can be written")
}

/// Reads a file into the fact that registrars sign of it.
///
/// # Errors
/// [`RestoredError`] with what is wrong.
pub fn read(text: &str) -> Result<Fact, RestoredError> {
    let file: File = toml::from_str(text).map_err(|error| RestoredError(error.message().to_owned()))?;
    let wrong =
        |field: &str, digits: u8| RestoredError(format!("{field}: {digits} hexadecimal digits expected"));
    for (field, text, digits) in [("epoch", &file.epoch, 16), ("root", &file.root, 64)] {
        if text.len() != usize::from(digits) || !text.bytes().all(|it| it.is_ascii_hexdigit()) {
            return Err(wrong(field, digits));
        }
    }
    let id = u64::from_str_radix(&file.epoch, 16).map_err(|_| wrong("epoch", 16))?;
    let mut root = [0; 32];
    for (byte, at) in root.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&file.root[at..at + 2], 16).map_err(|_| wrong("root", 64))?;
    }
    Ok(Fact::Restored { id: EpochId(id), kept: file.kept, root })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_as_written_and_no_other_text_is_read() {
        let text = to_text(EpochId(0x2f), 9, &[7; 32]);
        let fact = Fact::Restored { id: EpochId(0x2f), kept: 9, root: [7; 32] };
        assert_eq!(read(&text), Ok(fact));
        for (from, to) in [
            ("000000000000002f", "00000000000002f"),
            ("000000000000002f", "+00000000000002f"),
            ("07070707", "070707"),
            ("07070707", "+7070707"),
            ("kept = 9", "kept = -9"),
            ("kept = 9", "kept = 9\nmore = 1"),
        ] {
            let other = text.replacen(from, to, 1);
            assert!(other != text && read(&other).is_err(), "{other}");
        }
    }
}
