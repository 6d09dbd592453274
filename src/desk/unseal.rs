//! Any age file that was sealed to this office, opened: what people exchange beside the hub, and what this exchange sealed.
//!
//! Owns that nothing of a file is anywhere to be read as its content before its last part was verified. Never says who sealed it.
//! At a crash: a part of the content is in `….part` beside where it was to go, open to its owner alone, and that is all.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::disk::{Disk, DiskFile, OpenMode, folder_of};
use crate::seal::{OpenError, Opening, OpeningKey, open_any};

/// Largest content that is written to a file, in bytes: 64 GiB.
pub const FILE_BYTES_MAX: u64 = 64 << 30;
/// Largest content that is held in memory until it is verified, in bytes: 64 MiB.
pub const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// How an armored age file begins.
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// How every other one does.
const BINARY: &[u8] = b"age-encryption.org/";

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Any age file: all that is in it is its content.
    Age,
    /// One that this exchange sealed: its content is without manifest and padding.
    Exchange,
}

/// Why a file was not opened. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// It is no age file.
    #[error("this is no age file: it begins like neither form of one")]
    NotAge,
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It was not opened.
    #[error(transparent)]
    Open(OpenError),
    /// The content cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Disk {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// What a run that was cut off has left is in the way.
    #[error("{} is there, from a run that was cut off: remove it, it is clear text", .0.display())]
    Leftover(PathBuf),
}

impl From<OpenError> for UnsealError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Read(error) => Self::Read(error),
            error => Self::Open(error),
        }
    }
}

/// Opens a file into memory; `again` begins to read it from its first byte.
///
/// # Errors
/// [`UnsealError`]
pub fn to_memory<R: Read>(
    again: &dyn Fn() -> io::Result<R>,
    keys: &[OpeningKey],
) -> Result<(Vec<u8>, Form), UnsealError> {
    let mut content = Vec::new();
    let form = into(again, keys, MEMORY_BYTES_MAX, &mut content)?;
    Ok((content, form))
}

/// Opens a file into another one, which is there only once all was verified.
///
/// # Errors
/// [`UnsealError`]
pub fn to_file<R: Read>(
    disk: &dyn Disk,
    again: &dyn Fn() -> io::Result<R>,
    keys: &[OpeningKey],
    to: &Path,
) -> Result<Form, UnsealError> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| UnsealError::Disk { path, source }
    };
    // Never one that is there: in a folder of several people it could lead elsewhere.
    let file = disk.open(part, OpenMode::CreateNew).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => UnsealError::Leftover(part.into()),
        _ => at(part)(error),
    })?;
    let mut writer = Writer { file: file.clone(), at: 0 };
    let written = into(again, keys, FILE_BYTES_MAX, &mut writer);
    let written = written.and_then(|form| file.sync_data().map(|()| form).map_err(at(part)));
    let placed = written.and_then(|form| disk.rename(part, to).map(|()| form).map_err(at(to)));
    match placed {
        Ok(form) => {
            // A folder's name for it that a crash loses is made again by the same command.
            let _ = disk.sync_dir(folder_of(to));
            Ok(form)
        }
        Err(error) => {
            drop((writer, file));
            disk.remove(part).map_err(at(part))?;
            Err(error)
        }
    }
}

fn into<R: Read>(
    again: &dyn Fn() -> io::Result<R>,
    keys: &[OpeningKey],
    bytes_max: u64,
    into: &mut dyn Write,
) -> Result<Form, UnsealError> {
    let mut first = Vec::new();
    again()
        .and_then(|file| file.take(ARMOR.len() as u64).read_to_end(&mut first))
        .map_err(UnsealError::Read)?;
    if first.starts_with(BINARY) {
        match Opening::begin(again().map_err(UnsealError::Read)?, keys, bytes_max) {
            Err(OpenError::Foreign) => {}
            begun => return Ok(begun?.finish(into).map(|_| Form::Exchange)?),
        }
    } else if first != ARMOR {
        return Err(UnsealError::NotAge);
    }
    open_any(again().map_err(UnsealError::Read)?, keys, bytes_max, into)?;
    Ok(Form::Age)
}

/// Writes to a file of the disk, one piece after the other.
struct Writer {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::disk::MemoryDisk;
    use crate::seal::seal_bytes;

    fn key(seed: u8) -> OpeningKey {
        OpeningKey::from_seed(&[seed; 32])
    }

    fn opened(bytes: &[u8], keys: &[OpeningKey]) -> (MemoryDisk, Result<Form, UnsealError>) {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/a")).unwrap();
        let form = to_file(&disk, &|| Ok(bytes), keys, Path::new("/a/clear"));
        (disk, form)
    }

    #[test]
    fn what_was_sealed_here_is_there_whole_and_alone() {
        let content = vec![7; 200_000];
        let sealed = seal_bytes(&[key(1).recipient()], b"manifest", &content).unwrap();
        let (disk, form) = opened(&sealed, &[key(2), key(1)]);
        assert_eq!(form.unwrap(), Form::Exchange);
        assert_eq!(disk.read(Path::new("/a/clear"), 1 << 20).unwrap(), content);
        assert_eq!(disk.list(Path::new("/a")).unwrap(), ["clear"]);
        assert_eq!(to_memory(&|| Ok(&sealed[..]), &[key(1)]).unwrap(), (content, Form::Exchange));
    }

    #[test]
    fn nothing_is_left_of_what_was_cut_changed_or_sealed_to_others() {
        let sealed = seal_bytes(&[key(1).recipient()], b"manifest", &vec![7; 200_000]).unwrap();
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        for (bytes, keys, words) in [
            (&sealed[..sealed.len() - 70_000], key(1), "changed or cut"),
            (&sealed[..sealed.len() - 1], key(1), "changed or cut"),
            (&changed, key(1), "changed or cut"),
            (&sealed, key(2), "sealed to other keys"),
            (b"<?xml version='1.0'?>", key(1), "no age file"),
            (b"", key(1), "no age file"),
        ] {
            let (disk, form) = opened(bytes, &[keys]);
            let said = form.unwrap_err().to_string();
            assert!(said.contains(words), "{said}: {words}");
            assert!(disk.list(Path::new("/a")).unwrap().is_empty(), "{words}");
        }
    }

    #[test]
    fn a_leftover_is_neither_followed_nor_written_over() {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/a")).unwrap();
        disk.write_atomically(Path::new("/a/clear.part"), b"left").unwrap();
        let sealed = seal_bytes(&[key(1).recipient()], b"", b"new").unwrap();
        let refused = to_file(&disk, &|| Ok(&sealed[..]), &[key(1)], Path::new("/a/clear")).unwrap_err();
        assert!(matches!(refused, UnsealError::Leftover(_)), "{refused}");
        assert_eq!(disk.read(Path::new("/a/clear.part"), 100).unwrap(), b"left");
    }
}
