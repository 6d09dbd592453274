//! Certificates and keys as they come from files.
//!
//! Owns reading them and refusing a private key that others on the machine can read. Never looks inside; never writes.
//! Reads the real disk itself: in a simulation credentials are made, not read.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Bytes that a file of certificates or keys has at most; a chain of the longest certificates is well below.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A PEM file's bytes, and the name by which people know it.
#[derive(Clone)]
pub struct PemFile {
    name: String,
    bytes: Vec<u8>,
}

/// Leaves the bytes out: they may be a key.
impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Why a file of certificates or keys cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemFileError {
    /// It is not there.
    #[error("{file} is not there; {expected} expected")]
    Missing {
        /// The file's name.
        file: String,
        /// What must be there.
        expected: &'static str,
    },
    /// It cannot be read.
    #[error("{file} cannot be read: {message}")]
    Unreadable {
        /// The file's name.
        file: String,
        /// What the system says.
        message: String,
        /// As what kind of error it says it.
        kind: io::ErrorKind,
    },
    /// It is far larger than such a file can be.
    #[error("{file} has more than {FILE_BYTES_MAX} bytes: it is not a file of certificates or keys")]
    TooLarge {
        /// The file's name.
        file: String,
    },
    /// A private key that its group or everybody may read. On Unix only.
    #[error(
        "{file} may be read by others on this machine (mode {mode:04o}): `chmod 600 {file}` and, if others use this machine, ask for a new key"
    )]
    OpenToOthers {
        /// The file's name.
        file: String,
        /// Its permission bits.
        mode: u32,
    },
}

impl PemFile {
    /// Takes bytes that came from elsewhere than a file; `name` is what errors call them.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// Reads a file of certificates.
    ///
    /// # Errors
    /// [`PemFileError::Missing`], [`PemFileError::Unreadable`], [`PemFileError::TooLarge`].
    pub fn certificates(path: &Path) -> Result<Self, PemFileError> {
        Ok(Self::read(path, "a file of certificates in PEM")?.0)
    }

    /// Reads a private key that nobody but its owner may read.
    ///
    /// # Errors
    /// [`PemFileError::OpenToOthers`] on Unix, [`PemFileError::Missing`], [`PemFileError::Unreadable`],
    /// [`PemFileError::TooLarge`].
    pub fn key(path: &Path) -> Result<Self, PemFileError> {
        let (read, file) = Self::read(path, "a private key in PEM")?;
        closed_to_others(&read.name, &file)?;
        Ok(read)
    }

    /// The name by which people know the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Tells whether a certificate stands in it.
    pub fn holds_certificate(&self) -> bool {
        const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
        self.bytes.windows(BEGIN.len()).any(|window| window == BEGIN)
    }

    fn read(path: &Path, expected: &'static str) -> Result<(Self, File), PemFileError> {
        let name = path.display().to_string();
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => PemFileError::Missing { file: name.clone(), expected },
            kind => PemFileError::Unreadable { file: name.clone(), message: error.to_string(), kind },
        };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        (&file).take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(PemFileError::TooLarge { file: name });
        }
        Ok((Self { name, bytes }, file))
    }
}

/// The permission bits of the group and of everybody else, the lowest ones.
#[cfg(unix)]
const OTHERS_BITS: u32 = 6;

/// Looks at the file that was opened, not at its path: that may name another one by now.
#[cfg(unix)]
fn closed_to_others(name: &str, file: &File) -> Result<(), PemFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().map_err(|error| PemFileError::Unreadable {
        file: name.to_owned(),
        message: error.to_string(),
        kind: error.kind(),
    })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode.trailing_zeros() >= OTHERS_BITS {
        return Ok(());
    }
    Err(PemFileError::OpenToOthers { file: name.to_owned(), mode })
}

/// Elsewhere the permissions of the folder above decide; this program does not read them.
#[cfg(not(unix))]
fn closed_to_others(_: &str, _: &File) -> Result<(), PemFileError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn key_that_others_may_read_is_refused_and_a_certificate_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        std::fs::write(&path, "secret").unwrap();
        for (mode, open) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o644, true)] {
            std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let file = path.display().to_string();
            let refused = PemFileError::OpenToOthers { file, mode };
            assert_eq!(PemFile::key(&path).err(), open.then_some(refused), "mode {mode:o}");
            assert_eq!(PemFile::certificates(&path).unwrap().bytes(), b"secret");
        }
        assert!(!format!("{:?}", PemFile::certificates(&path).unwrap()).contains("secret"));
    }

    #[test]
    fn what_cannot_be_read_is_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hub.crt");
        let missing = PemFile::certificates(&path).unwrap_err().to_string();
        assert_eq!(
            missing,
            format!("{} is not there; a file of certificates in PEM expected", path.display())
        );
        assert!(matches!(PemFile::certificates(folder.path()), Err(PemFileError::Unreadable { .. })));
        std::fs::write(&path, vec![b'a'; usize::try_from(FILE_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(PemFile::certificates(&path), Err(PemFileError::TooLarge { .. })));
    }
}
